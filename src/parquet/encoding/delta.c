#include "parquet/encoding/delta.h"

#include "parquet/encoding/bit_pack.h"

bool pq_delta_decoder_init(struct pq_delta_decoder *decoder, const void *data, size_t length,
                           unsigned width_max, uint64_t value_count_max) {
    *decoder = (struct pq_delta_decoder){.width_max = width_max};
    struct pq_cursor *cursor = &decoder->cursor;
    *cursor = pq_cursor_of(data, length);
    const uint64_t block_values = pq_cursor_varint(cursor);
    const uint64_t miniblocks = pq_cursor_varint(cursor);
    decoder->value_count = pq_cursor_varint(cursor);
    decoder->value = (uint64_t)pq_unzigzag(pq_cursor_varint(cursor));
    if (cursor->failed || decoder->value_count > value_count_max) return false;
    if (block_values == 0 || block_values > PQ_DELTA_BLOCK_MAX || miniblocks == 0 ||
        miniblocks > block_values || block_values % miniblocks != 0 ||
        block_values / miniblocks % 8 != 0) {
        return false;
    }
    decoder->miniblocks = (uint32_t)miniblocks;
    decoder->miniblock_values = (uint32_t)(block_values / miniblocks);
    decoder->miniblock = decoder->miniblocks;
    return true;
}

static bool next_miniblock(struct pq_delta_decoder *decoder) {
    struct pq_cursor *cursor = &decoder->cursor;
    if (decoder->miniblock == decoder->miniblocks) {
        decoder->min_delta = (uint64_t)pq_unzigzag(pq_cursor_varint(cursor));
        decoder->widths = pq_cursor_take(cursor, decoder->miniblocks);
        if (decoder->widths == NULL) return false;
        decoder->miniblock = 0;
    }
    decoder->width = decoder->widths[decoder->miniblock++];
    if (decoder->width > decoder->width_max) return false;
    decoder->packed_bytes = (size_t)decoder->miniblock_values / 8 * decoder->width;
    decoder->packed = pq_cursor_take(cursor, decoder->packed_bytes);
    decoder->packed_next = 0;
    decoder->packed_values = decoder->miniblock_values;
    return decoder->packed != NULL;
}

static bool refill(struct pq_delta_decoder *decoder) {
    if (decoder->packed_next == decoder->packed_values && !next_miniblock(decoder)) return false;
    const uint32_t left = decoder->packed_values - decoder->packed_next;
    decoder->buffered = left < 128 ? left : 128;
    decoder->used = 0;
    const struct pq_bit_packed packed = {decoder->packed, decoder->packed_bytes, decoder->width};
    pq_bit_unpack_u64(&packed, decoder->packed_next, decoder->room, decoder->buffered);
    decoder->packed_next += decoder->buffered;
    return true;
}

bool pq_delta_take(struct pq_delta_decoder *decoder, int64_t *out, size_t count) {
    if (count > decoder->value_count - decoder->taken) return false;
    for (size_t i = 0; i < count; i++) {
        if (decoder->taken > 0) {
            if (decoder->used == decoder->buffered && !refill(decoder)) return false;
            decoder->value += decoder->min_delta + decoder->room[decoder->used++];
        }
        decoder->taken++;
        out[i] = decoder->width_max == 32 ? (int32_t)(uint32_t)decoder->value
                                          : (int64_t)decoder->value;
    }
    return true;
}

bool pq_delta_finish(struct pq_delta_decoder *decoder) {
    int64_t ignored[64];
    while (decoder->taken < decoder->value_count) {
        const uint64_t left = decoder->value_count - decoder->taken;
        if (!pq_delta_take(decoder, ignored, left < 64 ? (size_t)left : 64)) return false;
    }
    return !decoder->cursor.failed;
}
