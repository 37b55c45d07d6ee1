/// flow/agg_distinct.c: `$countDistinct`: values whose count is not zero.
#include "flow/states.h"
#include "flow/window.h"

static pqdb_code add_distinct(const struct addition *addition, pqdb_error *err) {
    (void)err;
    for (size_t i = 0; i < addition->changes->count; i++) {
        const struct value_change *change = &addition->changes->all[i];
        uint8_t *state = addition->cells->rows[change->cell] + addition->offset;
        *(int64_t *)(void *)state += (change->now > 0) - (change->before > 0);
    }
    return PQDB_OK;
}

const struct pq_state_kind pq_state_distinct = {
    .name = "distinct values", .bytes = 8, .add = add_distinct, .needs_counts = true};

static const struct pq_state_kind *distinct_state(const struct pq_type *argument) {
    (void)argument;
    return &pq_state_distinct;
}

static pqdb_code distinct_finish(const struct pq_finish *finish, pqdb_error *err) {
    for (size_t i = 0; i < finish->count; i++) {
        const uint8_t *row = finish->rows[i];
        struct counted *values;
        size_t count;
        if (finish->state == &pq_state_elements) {
            PQ_TRY(elements_counted(row, finish->offset, finish->arena, &values, &count, err));
            emit_int64(finish->out, (int64_t)count);
        } else {
            emit_int64(finish->out, *(const int64_t *)(const void *)(row + finish->offset));
        }
    }
    return PQDB_OK;
}

const struct pq_aggregate pq_aggregate_count_distinct = {
    .name = "$countDistinct",
    .help = "different values that are not null",
    .type = type_of_int,
    .state = distinct_state,
    .of_elements = &pq_state_elements,
    .finish = distinct_finish,
};
