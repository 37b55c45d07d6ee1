/// State runs in memory: what a pq_run_io needs, and hands for damaging them.
#ifndef PQ_TEST_MEMORY_RUNS_H
#define PQ_TEST_MEMORY_RUNS_H

#include "base/bytes.h"
#include "base/fail.h"
#include "state/run.h"

enum { MEMORY_RUNS_MAX = 256 };

struct memory_runs {
    struct pq_bytes files[MEMORY_RUNS_MAX];  // by id
    bool finished[MEMORY_RUNS_MAX];
    long calls_left;  // the call after so many fails; -1 never
};

static inline pqdb_code memory_runs_call(struct memory_runs *runs, pqdb_error *err) {
    if (runs->calls_left == 0) return pq_fail(err, PQDB_IO, "the store is gone");
    if (runs->calls_left > 0) runs->calls_left--;
    return PQDB_OK;
}

static inline pqdb_code memory_runs_append(void *ctx, uint64_t id, const void *data, size_t length,
                                           pqdb_error *err) {
    struct memory_runs *runs = ctx;
    PQ_TRY(memory_runs_call(runs, err));
    if (runs->finished[id]) return pq_fail(err, PQDB_IO, "appending to a finished run");
    return pq_bytes_append(&runs->files[id], data, length, err);
}

static inline pqdb_code memory_runs_finish(void *ctx, uint64_t id, pqdb_error *err) {
    struct memory_runs *runs = ctx;
    PQ_TRY(memory_runs_call(runs, err));
    runs->finished[id] = true;
    return PQDB_OK;
}

static inline pqdb_code memory_runs_read(void *ctx, uint64_t id, uint64_t offset, void *out,
                                         size_t length, pqdb_error *err) {
    struct memory_runs *runs = ctx;
    PQ_TRY(memory_runs_call(runs, err));
    const struct pq_bytes *file = &runs->files[id];
    if (offset > file->length || length > file->length - offset) {
        return pq_fail(err, PQDB_CORRUPT, "read beyond the end");
    }
    if (length > 0) memcpy(out, file->data + offset, length);
    return PQDB_OK;
}

static inline struct pq_run_io memory_runs_init(struct memory_runs *runs) {
    memset(runs, 0, sizeof *runs);
    runs->calls_left = -1;
    for (size_t i = 0; i < MEMORY_RUNS_MAX; i++) pq_bytes_init(&runs->files[i], &pq_alloc_libc);
    return (struct pq_run_io){.append = memory_runs_append, .finish = memory_runs_finish,
                              .read = memory_runs_read, .ctx = runs};
}

static inline void memory_runs_deinit(struct memory_runs *runs) {
    for (size_t i = 0; i < MEMORY_RUNS_MAX; i++) pq_bytes_deinit(&runs->files[i]);
}

#endif
