/// flow/aggregate.h: the aggregates of `$compute` (SPEC 5), one const descriptor each.
///
/// Every aggregate is a function of the multiset of (order, value) of its group, never of arrival
/// order; weights may be negative and in any order within a step. An aggregate has two halves: a
/// *state kind* (what a group row keeps: an exact sum, a count, a window onto the multiset) and a
/// way
/// to *finish* it into an output value. Aggregates with the same state kind, argument and
/// parameters
/// share one state: sum and avg of a field keep it once.
///
/// To add one: copy flow/agg_count.c, add its descriptor to pq_aggregates in flow/aggregate.c.
#ifndef PQ_FLOW_AGGREGATE_H
#define PQ_FLOW_AGGREGATE_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "batch/column.h"

/// What the planner asks for: `{ avgLatency: { $avg: 'latency' } }`.
struct pq_aggregate_parameters {
    double rank;     // $percentile: p from 0 to 1
    uint32_t limit;  // $topK: k from 1
};

struct pq_state_kind;  // flow/flow_internal.h
struct pq_finish;      // likewise

struct pq_aggregate {
    const char *name;  // "$sum"
    const char *help;  // one line for people
    bool takes_star;   // $count: '*'
    bool takes_by;     // $first, $last: `$by`

    bool takes_rank;   // $percentile: [path, p]
    bool takes_limit;  // $topK: [path, k]
    struct pq_aggregate_parameters given;  // what it does not take: $median's rank, $mode's limit

    /// The output column for an argument of type `argument` (NULL for '*'); what it points to lies
    /// in `arena`. Errors: PQDB_NO_MEMORY.
    pqdb_code (*type)(const struct pq_type *argument, struct pq_arena *arena,
                      struct pq_type *type, pqdb_error *err);

    /// The state it needs for that argument, and another one besides (NULL: none). Over the
    /// elements of one row `of_elements` is taken, if there is one.
    const struct pq_state_kind *(*state)(const struct pq_type *argument);
    const struct pq_state_kind *(*second)(const struct pq_type *argument);
    const struct pq_state_kind *of_elements;

    /// Output values of cells [0, count): see flow/flow_internal.h.
    pqdb_code (*finish)(const struct pq_finish *finish, pqdb_error *err);
};

/// All of them, in the order of SPEC 5; `*count` many.
const struct pq_aggregate *const *pq_aggregates(size_t *count);

/// By name ("$sum"), or NULL.
const struct pq_aggregate *pq_aggregate_find(struct pq_text name);

#endif
