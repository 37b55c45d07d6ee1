/// state/multiset_internal.h: what a trace of kind PQ_TRACE_WEIGHTS_ADD is made of in memory.
///
/// Invariant: pieces of the current epoch come first; only the very first may be unsorted. What is
/// older than the current epoch never changes.
#ifndef PQ_STATE_MULTISET_INTERNAL_H
#define PQ_STATE_MULTISET_INTERNAL_H

#include "state/multiset.h"
#include "state/run_internal.h"

struct pq_multiset_piece {
    struct pq_multiset_piece *older;
    uint32_t epoch;
    struct weighted_rows rows;
};

/// A piece, or a run, at its place in a walk.
struct source {
    const struct weighted_rows *rows;  // a piece's, or `block_rows`
    size_t at;                         // UP: the next row; DOWN: the next one + 1
    const struct pq_run *run;  // or NULL
    size_t block;
    struct weighted_rows block_rows;  // owned: the run's block
};

struct pq_multiset {
    const struct pq_alloc *alloc;
    struct pq_multiset_piece *pieces;     // owned, newest first
    struct source *sources;   // owned: of the walk
    size_t source_count;      // that have been made
    size_t walking;           // that the walk uses
    struct pq_bytes room, key;  // of the walk
};

pqdb_code multiset_create(const struct pq_alloc *alloc, struct pq_multiset **multiset,
                          pqdb_error *err);
void multiset_destroy(struct pq_multiset *multiset);
size_t multiset_bytes(const struct pq_multiset *multiset);

/// Sort the open piece, and merge. `epoch`: the current one.
pqdb_code multiset_sort(struct pq_multiset *multiset, uint32_t epoch, pqdb_error *err);

/// Sorted rows become a piece, if there are any, and pieces are merged; `rows` is empty then. The
/// open piece is sorted.
pqdb_code multiset_take(struct pq_multiset *multiset, uint32_t epoch, struct weighted_rows *rows,
                        pqdb_error *err);

/// pq_trace_write and pq_trace_install for this kind.
pqdb_code multiset_write(const struct pq_trace_frozen *frozen, const struct pq_run_place *place,
                         struct pq_run_name *name, pqdb_error *err);
void multiset_drop(struct pq_multiset *multiset, uint32_t epoch);

#endif
