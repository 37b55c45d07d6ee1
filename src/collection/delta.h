/// collection/delta.h: a write as weighted rows: first those that go, then those that come.
#ifndef PQ_COLLECTION_DELTA_H
#define PQ_COLLECTION_DELTA_H

#include "base/arena.h"
#include "batch/column.h"

struct pq_write_delta {
    struct pq_batch rows;  // weights: -1 for the first `minus`, then +1; NULL where minus is 0
    size_t minus;
};

/// Both of one type; either may be NULL or without rows.
///
/// Owns    `delta` is in `arena`, or a view into the only one there is
/// Cost    a copy of both when both have rows
/// Errors  PQDB_NO_MEMORY, PQDB_LIMIT: 4 GiB in a column
pqdb_code pq_delta_make(const struct pq_batch *minus, const struct pq_batch *plus,
                        struct pq_arena *arena, struct pq_write_delta *delta, pqdb_error *err);

#endif
