/// The doorway to brotli: one stream, no frame.
#include <brotli/decode.h>
#include <brotli/encode.h>

#include "codec/codec_internal.h"

#define NAME "brotli"

static pqdb_code compress(struct pq_text in, int level, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME, in.length, err));
    size_t length = BrotliEncoderMaxCompressedSize(in.length);
    PQ_TRY(pq_bytes_reserve(out, length, err));
    const uint8_t *source = (const uint8_t *)(in.length == 0 ? "" : in.data);
    if (!BrotliEncoderCompress(pq_codec_level(level, 5, BROTLI_MAX_QUALITY), BROTLI_DEFAULT_WINDOW,
                               BROTLI_DEFAULT_MODE, in.length, source, &length,
                               out->data + out->length)) {
        return pq_fail(err, PQDB_NO_MEMORY, "working memory of " NAME);
    }
    out->length += length;
    return PQDB_OK;
}

static void *create(void) { return BrotliDecoderCreateInstance(NULL, NULL, NULL); }
static void destroy(void *state) { BrotliDecoderDestroyInstance(state); }

static pqdb_code step(void *state, struct pq_inflate_io *io, pqdb_error *err) {
    if (io->is_ended && io->in_left > 0) {
        return pq_codec_damaged(NAME, "bytes follow its end", err);
    }
    const BrotliDecoderResult result = BrotliDecoderDecompressStream(
        state, &io->in_left, &io->in, &io->out_left, &io->out, NULL);
    if (result == BROTLI_DECODER_RESULT_ERROR) {
        return pq_codec_damaged(NAME, BrotliDecoderErrorString(BrotliDecoderGetErrorCode(state)),
                                err);
    }
    io->is_ended = result == BROTLI_DECODER_RESULT_SUCCESS;
    return PQDB_OK;
}

static const struct pq_inflater inflater = {
    .name = NAME, .create = create, .destroy = destroy, .step = step};

static pqdb_code decompress(struct pq_text in, uint8_t *out, size_t out_length, pqdb_error *err) {
    return pq_inflate_exactly(&inflater, in, out, out_length, err);
}

const struct pq_codec pq_codec_brotli = {
    .name = NAME, .compress = compress, .decompress = decompress, .inflater = &inflater};
