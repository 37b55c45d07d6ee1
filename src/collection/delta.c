#include "collection/delta.h"

#include "base/fail.h"
#include "batch/builder.h"

static pqdb_code join(const struct pq_batch *minus, const struct pq_batch *plus,
                      struct pq_arena *arena, struct pq_batch *rows, pqdb_error *err) {
    const struct pq_type *type = minus->type;
    struct pq_builder *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a write");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &arena->alloc, err));
        PQ_TRY(pq_builder_append_rows(&columns[k], &minus->columns[k], 0, minus->count, err));
        PQ_TRY(pq_builder_append_rows(&columns[k], &plus->columns[k], 0, plus->count, err));
    }
    return pq_builder_finish_batch(columns, type, arena, rows, err);
}

pqdb_code pq_delta_make(const struct pq_batch *minus, const struct pq_batch *plus,
                        struct pq_arena *arena, struct pq_write_delta *delta, pqdb_error *err) {
    const size_t gone = minus == NULL ? 0 : minus->count;
    const size_t come = plus == NULL ? 0 : plus->count;
    struct pq_batch rows;
    if (gone > 0 && come > 0) {
        PQ_TRY(join(minus, plus, arena, &rows, err));
    } else {
        rows = gone > 0 || plus == NULL ? *minus : *plus;
    }
    rows.weights = NULL;
    if (gone > 0) {
        int64_t *weights = pq_arena_alloc(arena, (gone + come) * sizeof *weights);
        if (weights == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a write");
        for (size_t i = 0; i < gone + come; i++) weights[i] = i < gone ? -1 : 1;
        rows.weights = weights;
    }
    *delta = (struct pq_write_delta){.rows = rows, .minus = gone};
    return PQDB_OK;
}
