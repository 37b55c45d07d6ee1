/// The doorway to zlib: gzip members (RFC 1952), bare deflate (RFC 1951), and CRC-32.
#include <zlib.h>

#include "base/check.h"
#include "codec/codec_internal.h"
#include "codec/crc32.h"

#define NAME_GZIP "gzip"
#define NAME_DEFLATE "deflate"
#define WINDOW_GZIP (MAX_WBITS + 16)
#define WINDOW_DEFLATE (-MAX_WBITS)

uint32_t pq_crc32(uint32_t crc, const void *data, size_t length) {
    return length == 0 ? crc : (uint32_t)crc32_z(crc, data, length);
}

static pqdb_code deflate_block(struct pq_text in, int level, int window, struct pq_bytes *out,
                               pqdb_error *err) {
    const char *name = window == WINDOW_GZIP ? NAME_GZIP : NAME_DEFLATE;
    PQ_TRY(pq_codec_check_block(name, in.length, err));
    z_stream stream = {0};
    if (deflateInit2(&stream, pq_codec_level(level, 6, 9), Z_DEFLATED, window, 8,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return pq_fail(err, PQDB_NO_MEMORY, "working memory of %s", name);
    }
    const uLong bound = deflateBound(&stream, in.length);
    const pqdb_code code = pq_bytes_reserve(out, bound, err);
    if (code == PQDB_OK) {
        stream.next_in = (z_const Bytef *)(in.length == 0 ? "" : in.data);
        stream.avail_in = (uInt)in.length;
        stream.next_out = out->data + out->length;
        stream.avail_out = (uInt)bound;
        const int status = deflate(&stream, Z_FINISH);
        pq_assert(status == Z_STREAM_END);  // the bound is zlib's own
        out->length += stream.total_out;
    }
    deflateEnd(&stream);
    return code;
}

static pqdb_code compress_gzip(struct pq_text in, int level, struct pq_bytes *out,
                               pqdb_error *err) {
    return deflate_block(in, level, WINDOW_GZIP, out, err);
}

static pqdb_code compress_deflate(struct pq_text in, int level, struct pq_bytes *out,
                                  pqdb_error *err) {
    return deflate_block(in, level, WINDOW_DEFLATE, out, err);
}

static void *create(int window) {
    z_stream *stream = pq_resize(&pq_alloc_libc, NULL, 0, 1, sizeof *stream);
    if (stream == NULL) return NULL;
    *stream = (z_stream){0};
    if (inflateInit2(stream, window) == Z_OK) return stream;
    pq_free(&pq_alloc_libc, stream, 1, sizeof *stream);
    return NULL;
}

static void *create_gzip(void) { return create(WINDOW_GZIP); }
static void *create_deflate(void) { return create(WINDOW_DEFLATE); }

static void destroy(void *state) {
    z_stream *stream = state;
    inflateEnd(stream);
    pq_free(&pq_alloc_libc, stream, 1, sizeof *stream);
}

static uInt clip(size_t left) { return left > UINT32_MAX ? UINT32_MAX : (uInt)left; }

static pqdb_code step(z_stream *stream, const char *name, struct pq_inflate_io *io,
                      pqdb_error *err) {
    stream->next_in = (z_const Bytef *)io->in;
    stream->avail_in = clip(io->in_left);
    stream->next_out = io->out;
    stream->avail_out = clip(io->out_left);
    const uInt in_left = stream->avail_in, out_left = stream->avail_out;
    const int status = inflate(stream, Z_NO_FLUSH);
    io->in += in_left - stream->avail_in;
    io->in_left -= in_left - stream->avail_in;
    io->out += out_left - stream->avail_out;
    io->out_left -= out_left - stream->avail_out;
    io->is_ended = status == Z_STREAM_END;
    switch (status) {
    case Z_OK:
    case Z_STREAM_END:
    case Z_BUF_ERROR: return PQDB_OK;  // the last: no progress, which the caller sees
    case Z_MEM_ERROR: return pq_fail(err, PQDB_NO_MEMORY, "working memory of %s", name);
    default: return pq_codec_damaged(name, stream->msg == NULL ? "unreadable" : stream->msg, err);
    }
}

/// Members may follow each other, and zeros may fill up the last block of a tape.
static pqdb_code step_gzip(void *state, struct pq_inflate_io *io, pqdb_error *err) {
    if (io->is_ended) {
        while (io->in_left > 0 && *io->in == 0) {
            io->in++;
            io->in_left--;
        }
        if (io->in_left == 0) return PQDB_OK;
        inflateReset(state);
    }
    return step(state, NAME_GZIP, io, err);
}

static pqdb_code step_deflate(void *state, struct pq_inflate_io *io, pqdb_error *err) {
    if (io->is_ended && io->in_left > 0) {
        return pq_codec_damaged(NAME_DEFLATE, "bytes follow its end", err);
    }
    return step(state, NAME_DEFLATE, io, err);
}

static bool recognises_gzip(const uint8_t *start, size_t length) {
    return length >= 3 && start[0] == 0x1f && start[1] == 0x8b && start[2] == Z_DEFLATED;
}

const struct pq_inflater pq_inflater_gzip = {.name = NAME_GZIP,
                                             .recognises = recognises_gzip,
                                             .create = create_gzip,
                                             .destroy = destroy,
                                             .step = step_gzip};

static const struct pq_inflater inflater_deflate = {
    .name = NAME_DEFLATE, .create = create_deflate, .destroy = destroy, .step = step_deflate};

static pqdb_code decompress_gzip(struct pq_text in, uint8_t *out, size_t out_length,
                                 pqdb_error *err) {
    return pq_inflate_exactly(&pq_inflater_gzip, in, out, out_length, err);
}

static pqdb_code decompress_deflate(struct pq_text in, uint8_t *out, size_t out_length,
                                    pqdb_error *err) {
    return pq_inflate_exactly(&inflater_deflate, in, out, out_length, err);
}

const struct pq_codec pq_codec_gzip = {.name = NAME_GZIP,
                                       .compress = compress_gzip,
                                       .decompress = decompress_gzip,
                                       .inflater = &pq_inflater_gzip};

const struct pq_codec pq_codec_deflate = {.name = NAME_DEFLATE,
                                          .compress = compress_deflate,
                                          .decompress = decompress_deflate,
                                          .inflater = &inflater_deflate};
