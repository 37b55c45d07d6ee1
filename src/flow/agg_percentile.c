/// flow/agg_percentile.c: `$percentile: [path, p]` and `$median`: the number at rank p * (n - 1) of
/// all numbers in order, as a double, linear between two.
#include <math.h>

#include "flow/states.h"
#include "flow/window.h"

static const struct pq_state_kind *rank_state(const struct pq_type *argument) {
    (void)argument;
    return &pq_state_rank;
}

static pqdb_code element_rank(const struct pq_finish *finish, const uint8_t *row, bool *is_there,
                              double *real, pqdb_error *err) {
    struct counted *values;
    size_t value_count, count = 0, total = 0;
    PQ_TRY(elements_counted(row, finish->offset, finish->arena, &values, &value_count, err));
    for (size_t i = 0; i < value_count; i++) total += values[i].count;
    double *sorted = pq_arena_alloc(finish->arena, (total + 1) * sizeof *sorted);
    if (sorted == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu elements", total);
    for (size_t i = 0; i < value_count; i++) {
        struct pq_cursor key = pq_cursor_of(values[i].value.data, values[i].value.length);
        double value;
        if (!key_real(&key, &value)) continue;
        for (size_t k = 0; k < values[i].count; k++) sorted[count++] = value;
    }
    *is_there = count > 0;
    if (*is_there) *real = rank_of_sorted(sorted, count, finish->given.rank);
    return PQDB_OK;
}

static pqdb_code rank_finish(const struct pq_finish *finish, pqdb_error *err) {
    for (size_t i = 0; i < finish->count; i++) {
        bool is_there;
        double real = 0;
        if (finish->state == &pq_state_elements) {
            PQ_TRY(element_rank(finish, finish->rows[i], &is_there, &real, err));
        } else {
            is_there = rank_read(finish->rows[i], finish->offset, finish->given.rank, &real);
        }
        if (is_there) {
            emit_real(finish->out, real);
        } else {
            emit_fixed_null(finish->out);
        }
    }
    return PQDB_OK;
}

const struct pq_aggregate pq_aggregate_percentile = {
    .name = "$percentile",
    .help = "the number at a rank from 0 to 1, linear between two; of none: null",
    .takes_rank = true,
    .type = type_of_double,
    .state = rank_state,
    .of_elements = &pq_state_elements,
    .finish = rank_finish,
};

const struct pq_aggregate pq_aggregate_median = {
    .name = "$median",
    .help = "the number in the middle; of none: null",
    .given = {.rank = 0.5},
    .type = type_of_double,
    .state = rank_state,
    .of_elements = &pq_state_elements,
    .finish = rank_finish,
};
