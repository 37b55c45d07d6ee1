/// db/created.c: see created.h.
#include "db/created.h"

#include "base/fail.h"
#include "batch/builder.h"
#include "table/table.h"

static int64_t weight_of(const struct pq_batch *rows, size_t row) {
    return rows->weights == NULL ? 1 : rows->weights[row];
}

pqdb_code pq_db_created_of(const struct pq_batch *rows, uint64_t from, struct pq_arena *arena,
                           struct pq_batch *out, pqdb_error *err) {
    const int64_t *seq = rows->columns[PQ_SEQ_COLUMN].values;
    uint32_t *fresh = pq_arena_alloc(arena, (rows->count + 1) * sizeof *fresh);
    int64_t *weights = pq_arena_alloc(arena, (rows->count + 1) * sizeof *weights);
    if (fresh == NULL || weights == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an append");
    size_t count = 0;
    for (size_t row = 0; row < rows->count; row++) {
        if ((uint64_t)seq[row] < from) continue;
        weights[count] = weight_of(rows, row);
        fresh[count++] = (uint32_t)row;
    }
    struct pq_batch all = *rows;
    all.weights = NULL;
    *out = (struct pq_batch){.type = rows->type};
    if (count == rows->count) *out = all;
    if (count > 0 && count < rows->count) {
        PQ_TRY(pq_batch_gather(&all, fresh, count, arena, out, err));
    }
    if (rows->weights != NULL) out->weights = weights;
    return PQDB_OK;
}

static pqdb_code take_created(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct pq_db_created *created = ctx;
    struct pq_arena arena;
    struct pq_batch fresh;
    pq_arena_init(&arena, created->alloc);
    pqdb_code code = pq_db_created_of(rows, created->from, &arena, &fresh, err);
    for (size_t row = 0; code == PQDB_OK && row < fresh.count; row++) {
        created->rows += weight_of(&fresh, row);
    }
    if (code == PQDB_OK && fresh.count > 0) code = created->take(created->taker, &fresh, err);
    pq_arena_deinit(&arena);
    return code;
}

/// With the column that tells, wherever it comes among those that are wanted.
static pqdb_code scan_stored(struct pq_db_created *created, const struct pq_rows_wish *wish,
                             pqdb_error *err) {
    const struct pq_rows *stored = created->stored;
    if (wish == NULL) return stored->scan(stored->ctx, NULL, take_created, created, err);
    const size_t room = wish->column_count + 1;
    uint32_t *wanted = pq_resize(created->alloc, NULL, 0, room, sizeof *wanted);
    if (wanted == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an append");
    size_t count = 0;
    bool has_seq = false;
    for (size_t k = 0; k < wish->column_count; k++) {
        if (!has_seq && wish->columns[k] > PQ_SEQ_COLUMN) wanted[count++] = PQ_SEQ_COLUMN;
        has_seq = has_seq || wish->columns[k] >= PQ_SEQ_COLUMN;
        wanted[count++] = wish->columns[k];
    }
    if (!has_seq) wanted[count++] = PQ_SEQ_COLUMN;
    const struct pq_rows_wish more = {wanted, count, wish->reads};
    const pqdb_code code = stored->scan(stored->ctx, &more, take_created, created, err);
    pq_free(created->alloc, wanted, room, sizeof *wanted);
    return code;
}

static pqdb_code scan_created(void *ctx, const struct pq_rows_wish *wish, pq_take_rows *take,
                              void *taker, pqdb_error *err) {
    struct pq_db_created *created = ctx;
    created->take = take;
    created->taker = taker;
    if (created->stored != NULL) return scan_stored(created, wish, err);
    for (size_t i = 0; i < created->batch_count; i++) {
        PQ_TRY(take_created(created, &created->batches[i], err));
    }
    return PQDB_OK;
}

struct pq_rows pq_db_created_rows(struct pq_db_created *created) {
    return (struct pq_rows){.scan = scan_created, .ctx = created};
}
