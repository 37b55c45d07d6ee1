/// flow/cancel.c: an update whose change a view does not show is no change of the view.
#include "base/hash.h"
#include "flow/op_row.h"

/// Rows taken back, by `$id`: row + 1, open addressing.
struct taken {
    const struct pq_batch *batch;
    uint32_t *slots;
    size_t slot_count;
};

static size_t slot_of(const struct taken *taken, struct pq_text id) {
    return pq_hash(id.data, id.length) & (taken->slot_count - 1);
}

static bool rows_equal(const struct pq_batch *batch, size_t i, size_t j) {
    for (uint32_t k = 0; k < batch->type->field_count; k++) {
        if (!column_rows_equal(&batch->columns[k], i, j)) return false;
    }
    return true;
}

/// The row taken back that `row` puts there again, or UINT32_MAX. It is used up.
static uint32_t match(const struct taken *taken, const int64_t *weights, size_t row) {
    const struct pq_column *ids = &taken->batch->columns[PQ_ID_COLUMN];
    const struct pq_text id = pq_column_text(ids, row);
    for (size_t at = slot_of(taken, id); taken->slots[at] != 0;
         at = (at + 1) & (taken->slot_count - 1)) {
        const uint32_t other = taken->slots[at] - 1;
        if (weights[other] + weights[row] == 0 && pq_text_equal(pq_column_text(ids, other), id) &&
            rows_equal(taken->batch, other, row)) {
            return other;
        }
    }
    return UINT32_MAX;
}

pqdb_code cancel_pairs(struct pq_batch *batch, struct pq_arena *arena, pqdb_error *err) {
    size_t negative = 0;
    for (size_t i = 0; batch->weights != NULL && i < batch->count; i++) {
        negative += batch->weights[i] < 0;
    }
    if (negative == 0 || negative == batch->count) return PQDB_OK;
    struct taken taken = {.batch = batch, .slot_count = 16};
    while (taken.slot_count < 2 * negative) taken.slot_count *= 2;
    taken.slots = pq_arena_calloc(arena, taken.slot_count, sizeof *taken.slots);
    int64_t *weights = pq_arena_alloc(arena, batch->count * sizeof *weights);
    uint32_t *kept = pq_arena_alloc(arena, batch->count * sizeof *kept);
    if (taken.slots == NULL || weights == NULL || kept == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a delta of %zu rows", batch->count);
    }
    memcpy(weights, batch->weights, batch->count * sizeof *weights);
    for (size_t i = 0; i < batch->count; i++) {
        if (weights[i] >= 0) continue;
        size_t at = slot_of(&taken, pq_column_text(&batch->columns[PQ_ID_COLUMN], i));
        while (taken.slots[at] != 0) at = (at + 1) & (taken.slot_count - 1);
        taken.slots[at] = (uint32_t)i + 1;
    }
    size_t kept_count = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (weights[i] <= 0) continue;
        const uint32_t other = match(&taken, weights, i);
        if (other == UINT32_MAX) continue;
        weights[i] = weights[other] = 0;
    }
    for (size_t i = 0; i < batch->count; i++) {
        if (weights[i] != 0) kept[kept_count++] = (uint32_t)i;
    }
    if (kept_count == batch->count) return PQDB_OK;
    const struct pq_batch all = *batch;
    if (kept_count > 0) return pq_batch_gather(&all, kept, kept_count, arena, batch, err);
    *batch = (struct pq_batch){.type = all.type};
    return PQDB_OK;
}
