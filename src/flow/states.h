/// flow/states.h: all kinds of states, all aggregates.
#ifndef PQ_FLOW_STATES_H
#define PQ_FLOW_STATES_H

#include "flow/flow_internal.h"

extern const struct pq_state_kind pq_state_count;       // agg_count.c: values that are not null
extern const struct pq_state_kind pq_state_wide;        // agg_sum.c: int and decimal
extern const struct pq_state_kind pq_state_exact;       // agg_sum.c: numbers, as doubles
extern const struct pq_state_kind pq_state_wide_squares;   // agg_variance.c: likewise, squared
extern const struct pq_state_kind pq_state_exact_squares;
extern const struct pq_state_kind pq_state_min_word;    // window_word.c: kinds of one word
extern const struct pq_state_kind pq_state_max_word;
extern const struct pq_state_kind pq_state_min_bytes;   // window_bytes.c: by canonical key
extern const struct pq_state_kind pq_state_max_bytes;
extern const struct pq_state_kind pq_state_first;       // window_bytes.c: by creation order
extern const struct pq_state_kind pq_state_last;
extern const struct pq_state_kind pq_state_distinct;  // agg_distinct.c
extern const struct pq_state_kind pq_state_rank;      // window_rank.c: around a rank
extern const struct pq_state_kind pq_state_top;       // agg_top.c: the most frequent values
extern const struct pq_state_kind pq_state_all;       // window_bytes.c: all in creation order
extern const struct pq_state_kind pq_state_elements;  // element_values.c: all of one row's

extern const struct pq_aggregate pq_aggregate_count, pq_aggregate_sum, pq_aggregate_avg,
    pq_aggregate_min, pq_aggregate_max, pq_aggregate_first, pq_aggregate_last,
    pq_aggregate_stddev, pq_aggregate_stddev_samp, pq_aggregate_variance,
    pq_aggregate_variance_samp, pq_aggregate_count_distinct, pq_aggregate_percentile,
    pq_aggregate_median, pq_aggregate_mode, pq_aggregate_collect, pq_aggregate_top;

/// Types of outputs.
pqdb_code type_of_int(const struct pq_type *argument, struct pq_arena *arena,
                      struct pq_type *type, pqdb_error *err);
pqdb_code type_of_double(const struct pq_type *argument, struct pq_arena *arena,
                         struct pq_type *type, pqdb_error *err);
pqdb_code type_of_argument(const struct pq_type *argument, struct pq_arena *arena,
                           struct pq_type *type, pqdb_error *err);
/// A list of the element.
pqdb_code type_of_list(const struct pq_type *element, struct pq_arena *arena,
                       struct pq_type *type, pqdb_error *err);

#endif
