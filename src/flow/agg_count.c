/// flow/agg_count.c: `$count: '*'` and `$count: path` (values that are not null).
#include "flow/states.h"

static pqdb_code add_count(const struct addition *addition, pqdb_error *err) {
    (void)err;
    const struct pq_column *argument = addition->argument;
    for (size_t i = 0; i < addition->count; i++) {
        if (pq_column_is_null(argument, i)) continue;
        uint8_t *state = addition->cells->rows[addition->cell_of[i]] + addition->offset;
        *(int64_t *)(void *)state += weight_at(addition->weights, i);
    }
    return PQDB_OK;
}

const struct pq_state_kind pq_state_count = {.name = "count", .bytes = 8, .add = add_count};

static const struct pq_state_kind *count_state(const struct pq_type *argument) {
    return argument == NULL ? NULL : &pq_state_count;
}

static pqdb_code count_finish(const struct pq_finish *finish, pqdb_error *err) {
    (void)err;
    for (size_t i = 0; i < finish->count; i++) {
        const uint8_t *row = finish->rows[i];
        // Without a state: the rows themselves.
        const void *count = finish->offset == PQ_NO_COLUMN ? (const void *)&group_head(row)->rows
                                                           : (const void *)(row + finish->offset);
        emit_int64(finish->out, *(const int64_t *)count);
    }
    return PQDB_OK;
}

const struct pq_aggregate pq_aggregate_count = {
    .name = "$count",
    .help = "rows, or values that are not null",
    .takes_star = true,
    .type = type_of_int,
    .state = count_state,
    .finish = count_finish,
};
