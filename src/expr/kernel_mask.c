/// Truth by the byte: $and, $or, $not, $exists, $elemMatch.
#include "base/fail.h"
#include "expr/functions_internal.h"
#include "expr/nested.h"
#include "expr/run_internal.h"

static bool is_all(const uint8_t *mask, size_t count, uint8_t byte) {
    return count == 0 || (mask[0] == byte && memcmp(mask, mask + 1, count - 1) == 0);
}

/// `neutral` 1 is $and, 0 is $or. Once nothing can change any more, the rest is not computed.
static pqdb_code combine(struct pq_run *run, const struct pq_node *node, uint8_t neutral,
                         struct pq_vector *out, pqdb_error *err) {
    uint8_t *mask = pq_run_alloc(run, run->count, err);
    if (mask == NULL) return PQDB_NO_MEMORY;
    memset(mask, neutral, run->count);
    for (size_t k = 0; k < node->arg_count; k++) {
        const uint8_t *next;
        if (k > 0 && is_all(mask, run->count, !neutral)) break;
        PQ_TRY(pq_run_mask(run, node->args[k], &next, err));
        if (neutral == 1) {
            for (size_t i = 0; i < run->count; i++) mask[i] &= next[i];
        } else {
            for (size_t i = 0; i < run->count; i++) mask[i] |= next[i];
        }
    }
    pq_vector_of_mask(run, mask, out);
    return PQDB_OK;
}

pqdb_code pq_kernel_and(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                        bool *done, pqdb_error *err) {
    *done = true;
    return combine(run, node, 1, out, err);
}

pqdb_code pq_kernel_or(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                       bool *done, pqdb_error *err) {
    *done = true;
    return combine(run, node, 0, out, err);
}

pqdb_code pq_kernel_not(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                        bool *done, pqdb_error *err) {
    const uint8_t *truth;
    PQ_TRY(pq_run_mask(run, node->args[0], &truth, err));
    uint8_t *mask = pq_run_alloc(run, run->count, err);
    if (mask == NULL) return PQDB_NO_MEMORY;
    for (size_t i = 0; i < run->count; i++) mask[i] = truth[i] ^ 1;
    pq_vector_of_mask(run, mask, out);
    *done = true;
    return PQDB_OK;
}

/// A variant null does not exist.
static void mark_existing(const struct pq_column *column, size_t count, uint8_t *mask) {
    const bool variant = column->type->kind == PQ_VARIANT;
    for (size_t i = 0; i < count; i++) {
        mask[i] = !pq_column_is_null(column, i);
        if (!variant || !mask[i]) continue;
        const struct pq_variant value = pq_run_variant(column, i);
        mask[i] = !pq_variant_is_null(&value);
    }
}

pqdb_code pq_kernel_exists(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                           bool *done, pqdb_error *err) {
    struct pq_vector *operand;
    PQ_TRY(pq_run_node(run, node->args[0], &operand, err));
    uint8_t *mask = pq_run_alloc(run, run->count, err);
    if (mask == NULL) return PQDB_NO_MEMORY;
    if (operand->constant != NULL) {
        memset(mask, operand->constant->kind != PQ_NULL, run->count);
    } else if (operand->values != NULL) {
        for (size_t i = 0; i < run->count; i++) mask[i] = operand->values[i].kind != PQ_NULL;
    } else {
        mark_existing(&operand->column, run->count, mask);
    }
    pq_vector_of_mask(run, mask, out);
    *done = true;
    return PQDB_OK;
}

// ---- $elemMatch -------------------------------------------------------------------------------

/// The elements of all rows one after the other; row i has those below ends[i].
struct elements {
    struct pq_vector vector;
    size_t *ends;
    size_t count;
};

static size_t count_of(const struct pq_value *value) {
    return pq_value_is_list(value) ? pq_nested_count(value) : 0;
}

static pqdb_code elements_of_values(struct pq_run *run, const struct pq_vector *lists,
                                    struct elements *elements, pqdb_error *err) {
    for (size_t i = 0; i < run->count; i++) {
        const struct pq_value list = pq_vector_at(lists, i);
        elements->count += count_of(&list);
        elements->ends[i] = elements->count;
    }
    struct pq_value *values = pq_run_alloc(run, elements->count * sizeof *values, err);
    if (values == NULL) return PQDB_NO_MEMORY;
    for (size_t i = 0, at = 0; i < run->count; i++) {
        const struct pq_value list = pq_vector_at(lists, i);
        for (size_t k = 0; at < elements->ends[i]; k++) values[at++] = pq_nested_at(&list, k, NULL);
    }
    elements->vector.values = values;
    return PQDB_OK;
}

/// A list column's elements are a column already.
static pqdb_code elements_of_column(struct pq_run *run, const struct pq_column *lists,
                                    struct elements *elements, pqdb_error *err) {
    const uint32_t *offsets = lists->offsets;
    elements->count = offsets[run->count] - offsets[0];
    for (size_t i = 0; i < run->count; i++) elements->ends[i] = offsets[i + 1] - offsets[0];
    elements->vector.has_column = true;
    return pq_column_slice(&lists->children[0], offsets[0], elements->count, run->arena,
                           &elements->vector.column, err);
}

pqdb_code pq_kernel_elem_match(struct pq_run *run, const struct pq_node *node,
                               struct pq_vector *out, bool *done, pqdb_error *err) {
    struct pq_vector *lists;
    struct elements elements = {.count = 0};
    const uint8_t *matches;
    PQ_TRY(pq_run_values(run, node->args[0], &lists, err));
    uint8_t *mask = pq_run_alloc(run, run->count, err);
    elements.ends = pq_run_alloc(run, run->count * sizeof *elements.ends, err);
    if (mask == NULL || elements.ends == NULL) return PQDB_NO_MEMORY;
    if (lists->has_column && lists->column.layout == PQ_ROWS) {
        PQ_TRY(elements_of_column(run, &lists->column, &elements, err));
    } else {
        PQ_TRY(elements_of_values(run, lists, &elements, err));
    }
    PQ_TRY(pq_run_elements(run, node->extra, &elements.vector, elements.count, &matches, err));
    for (size_t i = 0, at = 0; i < run->count; i++) {
        mask[i] = 0;
        for (; at < elements.ends[i]; at++) mask[i] |= matches[at];
    }
    pq_vector_of_mask(run, mask, out);
    *done = true;
    return PQDB_OK;
}

pqdb_code pq_scalar_elem_match(struct pq_run *run, const struct pq_node *node,
                               const struct pq_value *args, struct pq_value *out,
                               pqdb_error *err) {
    const size_t count = count_of(args);
    const uint8_t *matches;
    struct pq_vector vector = {.has_column = args[0].kind == PQ_LIST};
    if (vector.has_column) {
        const struct pq_column *lists = args[0].as.nested.column;
        PQ_TRY(pq_column_slice(&lists->children[0], lists->offsets[args[0].as.nested.row], count,
                               run->arena, &vector.column, err));
    } else {
        struct pq_value *values = pq_run_alloc(run, (count + 1) * sizeof *values, err);
        if (values == NULL) return PQDB_NO_MEMORY;
        for (size_t k = 0; k < count; k++) values[k] = pq_nested_at(args, k, NULL);
        vector.values = values;
    }
    PQ_TRY(pq_run_elements(run, node->extra, &vector, count, &matches, err));
    *out = (struct pq_value){.kind = PQ_BOOL};
    for (size_t k = 0; k < count; k++) out->as.boolean |= matches[k] != 0;
    return PQDB_OK;
}
