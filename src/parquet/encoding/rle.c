#include "parquet/encoding/rle.h"

#include "base/check.h"
#include "base/fail.h"
#include "parquet/encoding/bit_pack.h"

enum { run_min = 8, chunk = 1024 };

pqdb_code pq_rle_encode_run(uint32_t value, size_t count, unsigned width, struct pq_bytes *out,
                            pqdb_error *err) {
    if (count == 0) return PQDB_OK;
    pq_assert(count <= INT32_MAX);
    PQ_TRY(pq_bytes_append_varint(out, (uint64_t)count << 1, err));
    return pq_bytes_append(out, &value, (width + 7) / 8, err);
}

static pqdb_code encode_groups(const uint32_t *values, size_t count, unsigned width,
                               struct pq_bytes *out, pqdb_error *err) {
    if (count == 0) return PQDB_OK;
    PQ_TRY(pq_bytes_append_varint(out, (uint64_t)((count + 7) / 8) << 1 | 1, err));
    return pq_bit_pack(values, count, width, out, err);
}

pqdb_code pq_rle_encode(const uint32_t *values, size_t count, unsigned width,
                        struct pq_bytes *out, pqdb_error *err) {
    size_t packed = 0, i = 0;  // values [packed, i) wait to be bit-packed
    while (i < count) {
        size_t run = 1;
        while (i + run < count && values[i + run] == values[i]) run++;
        // Groups before a run must be full: they borrow from it.
        const size_t borrow = (8 - (i - packed) % 8) % 8;
        if (run >= borrow + run_min) {
            i += borrow;
            run -= borrow;
            PQ_TRY(encode_groups(values + packed, i - packed, width, out, err));
            PQ_TRY(pq_rle_encode_run(values[i], run, width, out, err));
            packed = i + run;
        }
        i += run;
    }
    return encode_groups(values + packed, count - packed, width, out, err);
}

void pq_rle_decoder_init(struct pq_rle_decoder *decoder, const void *data, size_t length,
                         unsigned width) {
    *decoder = (struct pq_rle_decoder){.cursor = pq_cursor_of(data, length), .width = width};
}

static bool next_run(struct pq_rle_decoder *decoder) {
    const uint64_t header = pq_cursor_varint(&decoder->cursor);
    if (decoder->cursor.failed) return false;
    if ((header & 1) == 0) {
        if (header >> 1 > INT32_MAX) return false;
        const size_t bytes = (decoder->width + 7) / 8;
        const uint8_t *value = pq_cursor_take(&decoder->cursor, bytes);
        if (value == NULL) return false;
        decoder->run_value = 0;
        memcpy(&decoder->run_value, value, bytes);
        decoder->run_left = (size_t)(header >> 1);
        return decoder->width == 32 || decoder->run_value >> decoder->width == 0;
    }
    // Some writers cut the padding of the last group off: what is there counts.
    const uint64_t groups = header >> 1;
    if (groups > INT32_MAX / 8) return false;
    const size_t left = pq_cursor_left(&decoder->cursor);
    size_t bytes = (size_t)groups * decoder->width;
    decoder->packed_left = (size_t)groups * 8;
    if (bytes > left) {
        bytes = left;
        decoder->packed_left = left * 8 / decoder->width;
        if (decoder->packed_left == 0) return false;
    }
    decoder->packed = pq_cursor_take(&decoder->cursor, bytes);
    decoder->packed_bytes = bytes;
    decoder->packed_next = 0;
    return true;
}

bool pq_rle_take(struct pq_rle_decoder *decoder, uint32_t *out, size_t count) {
    if (decoder->width == 0) {
        memset(out, 0, count * sizeof *out);
        return true;
    }
    while (count > 0) {
        size_t taken;
        if (decoder->run_left > 0) {
            taken = count < decoder->run_left ? count : decoder->run_left;
            for (size_t i = 0; i < taken; i++) out[i] = decoder->run_value;
            decoder->run_left -= taken;
        } else if (decoder->packed_left > 0) {
            taken = count < decoder->packed_left ? count : decoder->packed_left;
            const struct pq_bit_packed packed = {decoder->packed, decoder->packed_bytes,
                                                 decoder->width};
            pq_bit_unpack_u32(&packed, decoder->packed_next, out, taken);
            decoder->packed_next += taken;
            decoder->packed_left -= taken;
        } else {
            if (!next_run(decoder)) return false;
            continue;
        }
        out += taken;
        count -= taken;
    }
    return true;
}

bool pq_rle_skip(struct pq_rle_decoder *decoder, size_t count) {
    if (decoder->width == 0) return true;
    while (count > 0) {
        size_t taken;
        if (decoder->run_left > 0) {
            taken = count < decoder->run_left ? count : decoder->run_left;
            decoder->run_left -= taken;
        } else if (decoder->packed_left > 0) {
            taken = count < decoder->packed_left ? count : decoder->packed_left;
            decoder->packed_next += taken;
            decoder->packed_left -= taken;
        } else {
            if (!next_run(decoder)) return false;
            continue;
        }
        count -= taken;
    }
    return true;
}

bool pq_rle_take_levels(struct pq_rle_decoder *decoder, uint8_t *out, size_t count, uint8_t max) {
    uint32_t wide[chunk];
    while (count > 0) {
        if (decoder->run_left == 0 && decoder->packed_left == 0 && decoder->width > 0 &&
            !next_run(decoder)) {
            return false;
        }
        if (decoder->run_left > 0) {
            const size_t taken = count < decoder->run_left ? count : decoder->run_left;
            if (decoder->run_value > max) return false;
            memset(out, (int)decoder->run_value, taken);
            decoder->run_left -= taken;
            out += taken;
            count -= taken;
            continue;
        }
        size_t taken = count < chunk ? count : chunk;
        if (decoder->width > 0 && decoder->packed_left < taken) taken = decoder->packed_left;
        if (!pq_rle_take(decoder, wide, taken)) return false;
        uint32_t largest = 0;
        for (size_t i = 0; i < taken; i++) {
            out[i] = (uint8_t)wide[i];
            if (wide[i] > largest) largest = wide[i];
        }
        if (largest > max) return false;
        out += taken;
        count -= taken;
    }
    return true;
}

bool pq_bit_packed_levels(struct pq_cursor *cursor, unsigned width, uint8_t *out, size_t count,
                          uint8_t max) {
    const uint8_t *data = pq_cursor_take(cursor, (count * width + 7) / 8);
    if (data == NULL) return false;
    size_t bit = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned level = 0;
        for (unsigned k = 0; k < width; k++, bit++) {
            level = level << 1 | (data[bit / 8] >> (7 - bit % 8) & 1);
        }
        if (level > max) return false;
        out[i] = (uint8_t)level;
    }
    return true;
}
