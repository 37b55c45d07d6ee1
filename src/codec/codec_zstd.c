/// The doorway to zstd. Making a context costs more than compressing a page with it, so each thread
/// keeps one of each kind, freed when the thread ends.
#include <pthread.h>
#include <zstd.h>

#include "base/check.h"
#include "codec/codec_internal.h"

#define NAME "zstd"

struct contexts {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *decompress;
};

static pthread_key_t contexts_key;
static pthread_once_t contexts_once = PTHREAD_ONCE_INIT;

static void free_contexts(void *held) {
    struct contexts *contexts = held;
    ZSTD_freeCCtx(contexts->compress);
    ZSTD_freeDCtx(contexts->decompress);
    pq_free(&pq_alloc_libc, contexts, 1, sizeof *contexts);
}

static void make_key(void) {
    const int failure = pthread_key_create(&contexts_key, free_contexts);
    pq_assert(failure == 0);
}

/// This thread's contexts, either of which may still be NULL; NULL when memory is out.
static struct contexts *thread_contexts(void) {
    pthread_once(&contexts_once, make_key);
    struct contexts *contexts = pthread_getspecific(contexts_key);
    if (contexts != NULL) return contexts;
    contexts = pq_resize(&pq_alloc_libc, NULL, 0, 1, sizeof *contexts);
    if (contexts == NULL) return NULL;
    *contexts = (struct contexts){0};
    if (pthread_setspecific(contexts_key, contexts) == 0) return contexts;
    pq_free(&pq_alloc_libc, contexts, 1, sizeof *contexts);
    return NULL;
}

static pqdb_code out_of_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "working memory of " NAME);
}

static pqdb_code compress(struct pq_text in, int level, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME, in.length, err));
    struct contexts *contexts = thread_contexts();
    if (contexts == NULL) return out_of_memory(err);
    if (contexts->compress == NULL) contexts->compress = ZSTD_createCCtx();
    if (contexts->compress == NULL) return out_of_memory(err);
    const size_t bound = ZSTD_compressBound(in.length);
    PQ_TRY(pq_bytes_reserve(out, bound, err));
    const size_t length = ZSTD_compressCCtx(contexts->compress, out->data + out->length, bound,
                                            in.data, in.length,
                                            pq_codec_level(level, 3, ZSTD_maxCLevel()));
    if (ZSTD_isError(length)) {
        return pq_fail(err, PQDB_NO_MEMORY, NAME ": %s", ZSTD_getErrorName(length));
    }
    out->length += length;
    return PQDB_OK;
}

static pqdb_code decompress(struct pq_text in, uint8_t *out, size_t out_length, pqdb_error *err) {
    PQ_TRY(pq_codec_check_block(NAME, in.length, err));
    PQ_TRY(pq_codec_check_block(NAME, out_length, err));
    if (in.length == 0) return pq_codec_damaged(NAME, "cut off", err);
    struct contexts *contexts = thread_contexts();
    if (contexts == NULL) return out_of_memory(err);
    if (contexts->decompress == NULL) contexts->decompress = ZSTD_createDCtx();
    if (contexts->decompress == NULL) return out_of_memory(err);
    const size_t length =
        ZSTD_decompressDCtx(contexts->decompress, out, out_length, in.data, in.length);
    if (ZSTD_isError(length)) return pq_codec_damaged(NAME, ZSTD_getErrorName(length), err);
    if (length != out_length) return pq_codec_wrong_length(NAME, length, out_length, err);
    return PQDB_OK;
}

static bool recognises(const uint8_t *start, size_t length) {
    if (length < 4) return false;
    const uint32_t magic = pq_load_u32(start);
    return magic == ZSTD_MAGICNUMBER ||
           (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static void *create(void) { return ZSTD_createDCtx(); }
static void destroy(void *state) { ZSTD_freeDCtx(state); }

static pqdb_code step(void *state, struct pq_inflate_io *io, pqdb_error *err) {
    ZSTD_inBuffer in = {.src = io->in, .size = io->in_left};
    ZSTD_outBuffer out = {.dst = io->out, .size = io->out_left};
    if (in.size == 0 && io->is_ended) return PQDB_OK;
    const size_t hint = ZSTD_decompressStream(state, &out, &in);
    if (ZSTD_isError(hint)) return pq_codec_damaged(NAME, ZSTD_getErrorName(hint), err);
    io->in += in.pos;
    io->in_left -= in.pos;
    io->out += out.pos;
    io->out_left -= out.pos;
    io->is_ended = hint == 0;
    return PQDB_OK;
}

const struct pq_inflater pq_inflater_zstd = {.name = NAME,
                                             .recognises = recognises,
                                             .create = create,
                                             .destroy = destroy,
                                             .step = step};

const struct pq_codec pq_codec_zstd = {
    .name = NAME, .compress = compress, .decompress = decompress, .inflater = &pq_inflater_zstd};
