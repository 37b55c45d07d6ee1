/// The doorway to LZ4: raw blocks, and the blocks that Hadoop frames as
///
///     offset  size  meaning
///     0       4     bytes of the frame after decompression, big-endian
///     4       4     bytes of one compressed block, big-endian
///     8       ...   the block; more (size, block) pairs until the frame is full
#include <lz4.h>
#include <lz4hc.h>

#include "codec/codec_internal.h"

#define NAME "lz4"
#define NAME_HADOOP "lz4_hadoop"
#define HADOOP_HEADER 8

/// Append one raw block; its length is what `out` grew by.
static pqdb_code compress(struct pq_text in, int level, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME, in.length, err));
    const int bound = LZ4_compressBound((int)in.length);
    PQ_TRY(pq_bytes_reserve(out, (size_t)bound, err));
    const char *source = in.length == 0 ? "" : in.data;
    char *target = (char *)out->data + out->length;
    const int hc_level = pq_codec_level(level, 1, LZ4HC_CLEVEL_MAX);
    const int length =
        hc_level < LZ4HC_CLEVEL_MIN
            ? LZ4_compress_default(source, target, (int)in.length, bound)
            : LZ4_compress_HC(source, target, (int)in.length, bound, hc_level);
    if (length <= 0) return pq_fail(err, PQDB_NO_MEMORY, "working memory of " NAME);
    out->length += (size_t)length;
    return PQDB_OK;
}

static pqdb_code decompress(struct pq_text in, uint8_t *out, size_t out_length, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME, in.length, err));
    PQ_TRY(pq_codec_check_block(NAME, out_length, err));
    if (in.length == 0) return pq_codec_damaged(NAME, "cut off", err);
    char nothing;
    const int length = LZ4_decompress_safe(in.data, out == NULL ? &nothing : (char *)out,
                                           (int)in.length, (int)out_length);
    if (length < 0) return pq_codec_damaged(NAME, "not a block of the announced length", err);
    if ((size_t)length != out_length) {
        return pq_codec_wrong_length(NAME, (size_t)length, out_length, err);
    }
    return PQDB_OK;
}

static uint32_t load_u32_be(const uint8_t *at) { return __builtin_bswap32(pq_load_u32(at)); }

static pqdb_code compress_hadoop(struct pq_text in, int level, struct pq_bytes *out,
                                 pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME_HADOOP, in.length, err));
    PQ_TRY(pq_bytes_reserve(out, HADOOP_HEADER, err));
    const size_t start = out->length;
    out->length += HADOOP_HEADER;
    const pqdb_code code = compress(in, level, out, err);
    if (code != PQDB_OK) {
        out->length = start;
        return code;
    }
    const size_t length = out->length - start - HADOOP_HEADER;
    pq_store_u32(out->data + start, __builtin_bswap32((uint32_t)in.length));
    pq_store_u32(out->data + start + 4, __builtin_bswap32((uint32_t)length));
    return PQDB_OK;
}

/// Frames until the input ends; false if it is not made of frames that fill `out` exactly.
static bool decompress_frames(struct pq_text in, char *out, size_t out_length) {
    struct pq_cursor cursor = pq_cursor_of(in.data, in.length);
    while (pq_cursor_left(&cursor) > 0) {
        const uint8_t *header = pq_cursor_take(&cursor, 4);
        if (header == NULL) return false;
        size_t frame_left = load_u32_be(header);
        if (frame_left > out_length) return false;
        do {
            const uint8_t *size = pq_cursor_take(&cursor, 4);
            if (size == NULL) return false;
            const uint32_t length = load_u32_be(size);
            const uint8_t *block = pq_cursor_take(&cursor, length);
            if (block == NULL || length == 0) return false;
            const int got =
                LZ4_decompress_safe((const char *)block, out, (int)length, (int)frame_left);
            if (got < 0 || (got == 0 && frame_left > 0)) return false;
            out += got;
            out_length -= (size_t)got;
            frame_left -= (size_t)got;
        } while (frame_left > 0);
    }
    return out_length == 0;
}

static pqdb_code decompress_hadoop(struct pq_text in, uint8_t *out, size_t out_length,
                                   pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME_HADOOP, in.length, err));
    PQ_TRY(pq_codec_check_block(NAME_HADOOP, out_length, err));
    char nothing;
    char *target = out == NULL ? &nothing : (char *)out;
    if (in.length > 0 && decompress_frames(in, target, out_length)) return PQDB_OK;
    // Some writers put a raw block under the name of the framed format.
    if (decompress(in, out, out_length, NULL) == PQDB_OK) return PQDB_OK;
    return pq_codec_damaged(NAME_HADOOP, "neither frames nor a block of the announced length", err);
}

const struct pq_codec pq_codec_lz4 = {
    .name = NAME, .compress = compress, .decompress = decompress};

const struct pq_codec pq_codec_lz4_hadoop = {
    .name = NAME_HADOOP, .compress = compress_hadoop, .decompress = decompress_hadoop};
