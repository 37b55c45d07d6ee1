/// codec/codec_internal.h: what the formats share: piecewise inflating, and their errors.
#ifndef PQ_CODEC_INTERNAL_H
#define PQ_CODEC_INTERNAL_H

#include <stdbool.h>

#include "base/fail.h"
#include "codec/codec.h"

/// What is left to read and to fill; both move on with each step.
struct pq_inflate_io {
    const uint8_t *in;
    size_t in_left;
    uint8_t *out;
    size_t out_left;
    bool is_ended;  // the stream may end here
};

/// A format that can be decompressed piece by piece. The state is the library's own.
struct pq_inflater {
    const char *name;
    bool (*recognises)(const uint8_t *start, size_t length);  // by its magic; NULL if it has none
    void *(*create)(void);                                    // NULL when memory is out
    void (*destroy)(void *state);

    /// Take what can be taken. No progress at all means more input or more room is needed.
    pqdb_code (*step)(void *state, struct pq_inflate_io *io, pqdb_error *err);
};

extern const struct pq_inflater pq_inflater_gzip, pq_inflater_zstd;

/// decompress() for formats with an inflater: exactly `out_length` bytes and nothing after them.
pqdb_code pq_inflate_exactly(const struct pq_inflater *inflater, struct pq_text in, uint8_t *out,
                             size_t out_length, pqdb_error *err);

static inline pqdb_code pq_codec_check_block(const char *name, size_t length, pqdb_error *err) {
    if (length <= PQ_CODEC_BLOCK_MAX) return PQDB_OK;
    return pq_fail(err, PQDB_LIMIT, "%s block of %zu bytes, at most %zu", name, length,
                   PQ_CODEC_BLOCK_MAX);
}

static inline pqdb_code pq_codec_damaged(const char *name, const char *why, pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "%s data is damaged: %s", name, why);
}

static inline pqdb_code pq_codec_wrong_length(const char *name, size_t got, size_t want,
                                              pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "%s data expands to %zu bytes, %zu were announced", name, got,
                   want);
}

static inline int pq_codec_level(int level, int level_default, int level_max) {
    if (level == 0) return level_default;
    if (level < 1) return 1;
    return level > level_max ? level_max : level;
}

#endif
