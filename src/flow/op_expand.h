/// flow/op_expand.h: the rows of a view's source with what their links lead to, as a function of
/// one side of the tables and the step's deltas. One operator for streaming, refresh, recovery,
/// backfill and recompute. Source: ENGINE R5.
#ifndef PQ_FLOW_OP_EXPAND_H
#define PQ_FLOW_OP_EXPAND_H

#include "flow/expand_internal.h"

/// A step's changes as the operator takes them. `columns` of the source are read by whatever
/// follows, links and `$id` among them.
struct expand_step {
    const struct pq_expand_spec *spec;
    const struct pq_lookup *lookup;
    uint32_t source;
    const struct pq_type *source_type;
    const uint32_t *columns;
    size_t column_count;
    const struct pq_delta *deltas;  // of all tables that changed; others are not looked at
    size_t delta_count;
};

/// Rows of the source that changed, and rows that link, directly or level by level, to rows that
/// changed, each evaluated twice: −(before) +(after). Count 0 when nothing is affected. `run`, good
/// as long as `arena`, serves expand_side.
///
/// Cost    the affected rows and the rows they link to, never a table
/// Errors  those of the look-up; PQDB_NO_MEMORY, PQDB_LIMIT
pqdb_code expand_op_step(const struct expand_step *step, struct pq_arena *arena,
                         struct expand_run *run, struct pq_batch *out, pqdb_error *err);

/// Rows of the source expanded as of one side of the run's step. `out` may share columns with
/// `rows`.
pqdb_code expand_side(const struct expand_run *run, enum expand_side side,
                      const struct pq_batch *rows, struct pq_batch *out, pqdb_error *err);

/// A run without a step: both sides are what the look-up shows.
void expand_run_init(struct expand_run *run, const struct pq_expand_spec *spec,
                     const struct pq_lookup *lookup, struct pq_arena *arena);

#endif
