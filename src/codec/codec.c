#include "codec/codec.h"

#include "codec/codec_internal.h"

const struct pq_codec *pq_codec_find(struct pq_text name) {
#define PQ_CODEC_ADDRESS(x) &pq_codec_##x,
    static const struct pq_codec *const codecs[] = {PQ_CODECS(PQ_CODEC_ADDRESS)};
#undef PQ_CODEC_ADDRESS
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        if (pq_text_is(name, codecs[i]->name)) return codecs[i];
    }
    return NULL;
}

static pqdb_code out_of_memory(const struct pq_inflater *inflater, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "working memory of %s", inflater->name);
}

static bool is_complete(const struct pq_inflate_io *io) { return io->is_ended && io->in_left == 0; }

/// One step into `room` bytes. With no room it offers one byte, so that a stream that holds more
/// (`*has_excess`) is told from one that is cut off, which is PQDB_CORRUPT here.
static pqdb_code step(const struct pq_inflater *inflater, void *state, struct pq_inflate_io *io,
                      bool *has_excess, pqdb_error *err) {
    uint8_t excess, *const out = io->out;
    const size_t in_left = io->in_left, room = io->out_left;
    if (room == 0) {
        io->out = &excess;
        io->out_left = 1;
    }
    PQ_TRY(inflater->step(state, io, err));
    const bool has_moved = io->in_left < in_left || io->out_left < (room == 0 ? 1 : room);
    *has_excess = room == 0 && io->out_left == 0;
    if (room == 0) {
        io->out = out;
        io->out_left = 0;
    }
    if (has_moved || is_complete(io)) return PQDB_OK;
    return pq_codec_damaged(inflater->name, "cut off", err);
}

pqdb_code pq_inflate_exactly(const struct pq_inflater *inflater, struct pq_text in, uint8_t *out,
                             size_t out_length, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(inflater->name, in.length, err));
    PQ_TRY(pq_codec_check_block(inflater->name, out_length, err));
    struct pq_inflate_io io = {.in = (const uint8_t *)in.data,
                               .in_left = in.length,
                               .out = out,
                               .out_left = out_length};
    pqdb_code code = PQDB_OK;
    void *state = inflater->create();
    if (state == NULL) return out_of_memory(inflater, err);
    do {
        bool has_excess = false;
        PQ_GO(step(inflater, state, &io, &has_excess, err));
        if (has_excess) {
            code = pq_fail(err, PQDB_CORRUPT, "%s data holds more than the %zu bytes announced",
                           inflater->name, out_length);
            goto done;
        }
    } while (!is_complete(&io));
    if (io.out_left > 0) {
        code = pq_codec_wrong_length(inflater->name, out_length - io.out_left, out_length, err);
    }
done:
    inflater->destroy(state);
    return code;
}

static pqdb_code exceeds(size_t length_max, pqdb_error *err) {
    return pq_fail(err, PQDB_LIMIT, "expands to more than the %zu bytes allowed", length_max);
}

static pqdb_code inflate_all(const struct pq_inflater *inflater, struct pq_text in,
                             size_t length_max, struct pq_bytes *out, pqdb_error *err) {
    const size_t start = out->length;
    struct pq_inflate_io io = {.in = (const uint8_t *)in.data, .in_left = in.length};
    pqdb_code code = PQDB_OK;
    void *state = inflater->create();
    if (state == NULL) return out_of_memory(inflater, err);
    do {
        const size_t used = out->length - start, left = length_max - used;
        if (left > 0 && out->length == out->capacity) {
            const size_t extra = used < 4096 ? 4096 : used;
            PQ_GO(pq_bytes_reserve(out, extra < left ? extra : left, err));
        }
        const size_t held = out->capacity - out->length, room = held < left ? held : left;
        io.out = room == 0 ? NULL : out->data + out->length;
        io.out_left = room;
        bool has_excess = false;
        PQ_GO(step(inflater, state, &io, &has_excess, err));
        if (has_excess) PQ_GO(exceeds(length_max, err));
        out->length += room - io.out_left;
    } while (!is_complete(&io));
done:
    inflater->destroy(state);
    if (code != PQDB_OK) out->length = start;
    return code;
}

pqdb_code pq_codec_expand(const struct pq_codec *codec, struct pq_text in, size_t length_max,
                          struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(codec->name, in.length, err));
    if (codec->inflater != NULL) return inflate_all(codec->inflater, in, length_max, out, err);
    if (codec->stated_length == NULL) {
        return pq_fail(err, PQDB_UNSUPPORTED, "a %s block does not tell its length", codec->name);
    }
    size_t length = 0;
    PQ_TRY(codec->stated_length(in, &length, err));
    if (length > length_max) return exceeds(length_max, err);
    PQ_TRY(pq_bytes_reserve(out, length == 0 ? 1 : length, err));
    PQ_TRY(codec->decompress(in, out->data + out->length, length, err));
    out->length += length;
    return PQDB_OK;
}
