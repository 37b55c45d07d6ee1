/// flow/aggregate.c: the list of all aggregates.
#include "flow/flow_internal.h"

static const struct pq_aggregate *const all[] = {
    &pq_aggregate_count,  &pq_aggregate_sum,         &pq_aggregate_avg,
    &pq_aggregate_min,    &pq_aggregate_max,         &pq_aggregate_first,
    &pq_aggregate_last,   &pq_aggregate_stddev,      &pq_aggregate_stddev_samp,
    &pq_aggregate_variance, &pq_aggregate_variance_samp,
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
