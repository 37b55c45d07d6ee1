#include "codec/inflate_stream.h"

#include <string.h>

#include "codec/codec_internal.h"

#define BUFFER_BYTES ((size_t)64 << 10)
#define MAGIC_BYTES 4

struct pq_inflate_stream {
    pq_read_fn *read;
    void *ctx;                      // borrowed
    const struct pq_alloc *alloc;   // borrowed
    const struct pq_inflater *inflater;
    void *state;                    // owned, the inflater's
    const uint8_t *at;              // view into buffer: what is not inflated yet
    size_t left;
    uint64_t taken;                 // read from the source
    bool is_source_ended;
    bool is_ended;                  // the format allows an end here
    pqdb_code failure;              // of an earlier read
    uint8_t buffer[BUFFER_BYTES];
};

static void *create_plain(void) {
    static char plain_state;
    return &plain_state;
}

static void destroy_plain(void *state) { (void)state; }

static pqdb_code step_plain(void *state, struct pq_inflate_io *io, pqdb_error *err) {
    (void)state;
    (void)err;
    const size_t length = io->in_left < io->out_left ? io->in_left : io->out_left;
    memcpy(io->out, io->in, length);
    io->in += length;
    io->in_left -= length;
    io->out += length;
    io->out_left -= length;
    io->is_ended = true;
    return PQDB_OK;
}

static const struct pq_inflater inflater_plain = {
    .name = "plain", .create = create_plain, .destroy = destroy_plain, .step = step_plain};

static const struct pq_inflater *recognise(const uint8_t *start, size_t length) {
    static const struct pq_inflater *const inflaters[] = {&pq_inflater_gzip, &pq_inflater_zstd};
    for (size_t i = 0; i < sizeof inflaters / sizeof *inflaters; i++) {
        if (inflaters[i]->recognises(start, length)) return inflaters[i];
    }
    return &inflater_plain;
}

/// Read behind the `left` bytes at the buffer's start.
static pqdb_code fill(struct pq_inflate_stream *stream, pqdb_error *err) {
    size_t length = 0;
    stream->at = stream->buffer;
    PQ_TRY(stream->read(stream->ctx, stream->buffer + stream->left, BUFFER_BYTES - stream->left,
                        &length, err));
    stream->is_source_ended = length == 0;
    stream->left += length;
    stream->taken += length;
    return PQDB_OK;
}

pqdb_code pq_inflate_stream_open(pq_read_fn *read, void *ctx, const struct pq_alloc *alloc,
                                 struct pq_inflate_stream **stream, pqdb_error *err) {
    struct pq_inflate_stream *opened = pq_resize(alloc, NULL, 0, 1, sizeof *opened);
    if (opened == NULL) return pq_fail(err, PQDB_NO_MEMORY, "buffer of an input stream");
    opened->read = read;
    opened->ctx = ctx;
    opened->alloc = alloc;
    opened->inflater = NULL;
    opened->left = 0;
    opened->taken = 0;
    opened->is_source_ended = false;
    opened->failure = PQDB_OK;

    pqdb_code code = PQDB_OK;
    while (opened->left < MAGIC_BYTES && !opened->is_source_ended) PQ_GO(fill(opened, err));
    opened->inflater = recognise(opened->buffer, opened->left);
    opened->is_ended = opened->inflater == &inflater_plain;
    opened->state = opened->inflater->create();
    if (opened->state == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "working memory of %s", opened->inflater->name);
    }
done:
    if (code == PQDB_OK) {
        *stream = opened;
    } else {
        pq_free(alloc, opened, 1, sizeof *opened);
    }
    return code;
}

void pq_inflate_stream_close(struct pq_inflate_stream *stream) {
    if (stream == NULL) return;
    stream->inflater->destroy(stream->state);
    pq_free(stream->alloc, stream, 1, sizeof *stream);
}

static pqdb_code inflate_into(struct pq_inflate_stream *stream, struct pq_inflate_io *io,
                              pqdb_error *err) {
    while (io->out_left > 0) {
        if (stream->left == 0 && !stream->is_source_ended) PQ_TRY(fill(stream, err));
        const size_t out_left = io->out_left;
        io->in = stream->at;
        io->in_left = stream->left;
        io->is_ended = stream->is_ended;
        const pqdb_code code = stream->inflater->step(stream->state, io, err);
        const bool has_moved = io->in_left < stream->left || io->out_left < out_left;
        stream->at = io->in;
        stream->left = io->in_left;
        stream->is_ended = io->is_ended;
        if (code != PQDB_OK) return code;
        if (has_moved || (stream->left == 0 && !stream->is_source_ended)) continue;
        if (stream->is_ended && stream->left == 0) return PQDB_OK;
        return pq_codec_damaged(stream->inflater->name, "cut off", err);
    }
    return PQDB_OK;
}

pqdb_code pq_inflate_stream_read(void *ctx, uint8_t *out, size_t capacity, size_t *length,
                                 pqdb_error *err) {
    struct pq_inflate_stream *stream = ctx;
    if (stream->failure != PQDB_OK) {
        return pq_fail(err, stream->failure, "the stream has failed before");
    }
    struct pq_inflate_io io = {.out = out, .out_left = capacity};
    stream->failure = inflate_into(stream, &io, err);
    if (stream->failure == PQDB_OK) {
        *length = capacity - io.out_left;
    } else if (stream->failure == PQDB_CORRUPT && err != NULL && err->offset < 0) {
        err->offset = (int64_t)(stream->taken - stream->left);
    }
    return stream->failure;
}

const char *pq_inflate_stream_format(const struct pq_inflate_stream *stream) {
    return stream->inflater->name;
}

uint64_t pq_inflate_stream_taken(const struct pq_inflate_stream *stream) {
    return stream->taken - stream->left;
}
