/// state/spill.h: traces that outgrow their memory before a checkpoint writes them, as in a build:
/// what has changed leaves as a run.
#ifndef PQ_STATE_SPILL_H
#define PQ_STATE_SPILL_H

#include "state/trace.h"

/// Who decides, and where runs go. Ids are never used twice.
struct pq_spill {
    struct pq_run_io io;
    uint64_t (*next_id)(void *ctx);
    bool (*is_due)(void *ctx, size_t dirty_bytes);  // of one view's traces
    void *ctx;
};

/// Everything that changed becomes a run and leaves memory; runs are merged where that is due. The
/// owner, between two steps, while no frozen part waits to be installed.
/// Errors: PQDB_NO_MEMORY, PQDB_IO, PQDB_CORRUPT. The trace holds all it held, written or not.
pqdb_code pq_trace_spill(struct pq_trace *trace, const struct pq_spill *spill, pqdb_error *err);

/// Which runs, given newest first, should become one: `*first` and how many, at most
/// PQ_RUN_MERGE_MAX; 0: none. Eight of about a size do, so that a row is written again once for
/// each eightfold growth of the whole.
size_t pq_runs_to_merge(struct pq_run *const *runs, size_t count, size_t *first);

#endif
