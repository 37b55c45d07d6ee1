/// flow/aggregate.c: the list of all aggregates.
#include "flow/states.h"

pqdb_code type_of_int(const struct pq_type *argument, struct pq_arena *arena,
                      struct pq_type *type, pqdb_error *err) {
    (void)argument;
    (void)arena;
    (void)err;
    *type = pq_type_int64;
    return PQDB_OK;
}

pqdb_code type_of_double(const struct pq_type *argument, struct pq_arena *arena,
                         struct pq_type *type, pqdb_error *err) {
    (void)argument;
    (void)arena;
    (void)err;
    *type = pq_type_float64;
    return PQDB_OK;
}

pqdb_code type_of_argument(const struct pq_type *argument, struct pq_arena *arena,
                           struct pq_type *type, pqdb_error *err) {
    (void)arena;
    (void)err;
    *type = argument->kind == PQ_NULL ? pq_type_variant : *argument;
    return PQDB_OK;
}

pqdb_code type_of_list(const struct pq_type *element, struct pq_arena *arena,
                       struct pq_type *type, pqdb_error *err) {
    struct pq_field *field = pq_arena_calloc(arena, 1, sizeof *field);
    if (field == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a type");
    field->name = PQ_TEXT("element");
    field->type = *element;
    *type = (struct pq_type){.kind = PQ_LIST, .field_count = 1, .fields = field};
    return PQDB_OK;
}

static const struct pq_aggregate *const all[] = {
    &pq_aggregate_count,      &pq_aggregate_sum,         &pq_aggregate_avg,
    &pq_aggregate_min,        &pq_aggregate_max,         &pq_aggregate_first,
    &pq_aggregate_last,       &pq_aggregate_stddev,      &pq_aggregate_stddev_samp,
    &pq_aggregate_variance,   &pq_aggregate_variance_samp, &pq_aggregate_count_distinct,
    &pq_aggregate_percentile, &pq_aggregate_median,      &pq_aggregate_mode,
    &pq_aggregate_collect,    &pq_aggregate_top,
};

const struct pq_aggregate *const *pq_aggregates(size_t *count) {
    *count = sizeof all / sizeof *all;
    return all;
}

const struct pq_aggregate *pq_aggregate_find(struct pq_text name) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (pq_text_is(name, all[i]->name)) return all[i];
    }
    return NULL;
}
