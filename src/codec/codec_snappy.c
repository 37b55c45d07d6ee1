/// The doorway to snappy: raw blocks, which begin with their length (varint).
#include <snappy-c.h>

#include "codec/codec_internal.h"

#define NAME "snappy"

static pqdb_code compress(struct pq_text in, int level, struct pq_bytes *out, pqdb_error *err) {
    (void)level;
    PQ_TRY(pq_codec_check_block(NAME, in.length, err));
    size_t length = snappy_max_compressed_length(in.length);
    PQ_TRY(pq_bytes_reserve(out, length, err));
    const char *source = in.length == 0 ? "" : in.data;
    const snappy_status status =
        snappy_compress(source, in.length, (char *)out->data + out->length, &length);
    if (status != SNAPPY_OK) return pq_fail(err, PQDB_NO_MEMORY, "working memory of " NAME);
    out->length += length;
    return PQDB_OK;
}

static pqdb_code stated_length(struct pq_text in, size_t *length, pqdb_error *err) {
    size_t stated = 0;
    if (in.length == 0 || snappy_uncompressed_length(in.data, in.length, &stated) != SNAPPY_OK) {
        return pq_codec_damaged(NAME, "it does not begin with its length", err);
    }
    // No element of three bytes stands for more than 64: a larger claim is not worth an allocation.
    if (stated / 64 > in.length) return pq_codec_damaged(NAME, "it states too great a length", err);
    *length = stated;
    return PQDB_OK;
}

static pqdb_code decompress(struct pq_text in, uint8_t *out, size_t out_length, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME, in.length, err));
    PQ_TRY(pq_codec_check_block(NAME, out_length, err));
    size_t length = 0;
    PQ_TRY(stated_length(in, &length, err));
    if (length != out_length) return pq_codec_wrong_length(NAME, length, out_length, err);
    char nothing;
    char *target = out == NULL ? &nothing : (char *)out;
    if (snappy_uncompress(in.data, in.length, target, &length) != SNAPPY_OK) {
        return pq_codec_damaged(NAME, "an element points outside the block", err);
    }
    return PQDB_OK;
}

const struct pq_codec pq_codec_snappy = {.name = NAME,
                                         .compress = compress,
                                         .decompress = decompress,
                                         .stated_length = stated_length};
