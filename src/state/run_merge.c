/// state/run_merge.c: several runs into one, a block of each in memory.
#include "base/check.h"
#include "base/fail.h"
#include "state/run.h"

struct merge {
    struct pq_run_cursor cursors[PQ_RUN_MERGE_MAX];
    struct pq_run_row heads[PQ_RUN_MERGE_MAX];
    bool more[PQ_RUN_MERGE_MAX];
    size_t count;
    enum pq_trace_kind kind;
    size_t step_bytes;  // of the rows that were read since the last pause
};

static pqdb_code advance(struct merge *merge, size_t i, pqdb_error *err) {
    PQ_TRY(pq_run_cursor_next(&merge->cursors[i], &merge->heads[i], &merge->more[i], err));
    const struct pq_run_row *row = &merge->heads[i];
    if (merge->more[i]) {
        merge->step_bytes += sizeof row->hash + row->key.length + row->payload.length;
    }
    return PQDB_OK;
}

static pqdb_code pause(struct merge *merge, const struct pq_run_merge *given, pqdb_error *err) {
    if (given->pause == NULL || merge->step_bytes < PQ_RUN_MERGE_STEP_BYTES) return PQDB_OK;
    merge->step_bytes = 0;
    return given->pause(given->pause_ctx, err);
}

/// The newest of the smallest heads, or `count` when all are exhausted.
static size_t smallest(const struct merge *merge) {
    size_t best = merge->count;
    for (size_t i = 0; i < merge->count; i++) {
        if (!merge->more[i]) continue;
        if (best == merge->count || pq_run_compare(&merge->heads[i], &merge->heads[best]) < 0) {
            best = i;
        }
    }
    return best;
}

static bool is_nothing(const struct pq_run_merge *given, enum pq_trace_kind kind,
                       const struct pq_run_row *row) {
    if (kind == PQ_TRACE_WEIGHTS_ADD) return row->weight == 0;
    if (row->dead) return given->drop_dead;
    return given->stays != NULL && !given->stays(given->ctx, row);
}

static pqdb_code merge_all(struct merge *merge, struct pq_run_writer *writer,
                           const struct pq_run_merge *given, uint64_t *written, pqdb_error *err) {
    for (size_t i = 0; i < merge->count; i++) PQ_TRY(advance(merge, i, err));
    for (size_t best = smallest(merge); best < merge->count; best = smallest(merge)) {
        // Older rows of the key go first: the newest one's bytes are still needed.
        for (size_t i = best + 1; i < merge->count; i++) {
            if (merge->more[i] && pq_run_compare(&merge->heads[i], &merge->heads[best]) == 0) {
                merge->heads[best].weight += merge->heads[i].weight;
                PQ_TRY(advance(merge, i, err));
            }
        }
        if (!is_nothing(given, merge->kind, &merge->heads[best])) {
            PQ_TRY(pq_run_writer_append(writer, &merge->heads[best], err));
            ++*written;
        }
        PQ_TRY(advance(merge, best, err));
        PQ_TRY(pause(merge, given, err));
    }
    return PQDB_OK;
}

pqdb_code pq_run_merge(const struct pq_run_merge *given, const struct pq_run_place *place,
                       struct pq_run_name *name, pqdb_error *err) {
    pq_assert(given->count <= PQ_RUN_MERGE_MAX && given->count > 0);
    struct merge merge = {.count = given->count, .kind = pq_run_kind(given->runs[0])};
    uint64_t rows = 0, written = 0;
    for (size_t i = 0; i < given->count; i++) {
        pq_run_cursor_init(&merge.cursors[i], given->runs[i], place->alloc);
        rows += pq_run_name(given->runs[i])->rows;
    }
    struct pq_run_writer *writer = NULL;
    pqdb_code code;
    PQ_GO(pq_run_writer_create(place, merge.kind, rows, &writer, err));
    PQ_GO(merge_all(&merge, writer, given, &written, err));
    *name = (struct pq_run_name){.id = place->id};
    if (written > 0) PQ_GO(pq_run_writer_finish(writer, name, err));
done:
    pq_run_writer_destroy(writer);
    for (size_t i = 0; i < given->count; i++) pq_run_cursor_deinit(&merge.cursors[i]);
    return code;
}
