/// db/created.h: of rows those that were created from some creation number on: what is new to a
/// view that appends.
#ifndef PQ_DB_CREATED_H
#define PQ_DB_CREATED_H

#include "flow/flow.h"

/// Those rows of a batch, with their weights; columns may be views into it.
///
/// Owns    what is made is in `arena`
/// Errors  PQDB_NO_MEMORY
pqdb_code pq_db_created_of(const struct pq_batch *rows, uint64_t from, struct pq_arena *arena,
                           struct pq_batch *out, pqdb_error *err);

/// Those of some batches or, where there are none, of `stored`, as a pq_rows whose ctx this is.
struct pq_db_created {
    uint64_t from;
    const struct pq_alloc *alloc;
    const struct pq_batch *batches;
    size_t batch_count;
    const struct pq_rows *stored;  // or NULL
    int64_t rows;                  // how many it gave, by their weights
    pq_take_rows *take;            // whose they are, while they are scanned
    void *taker;
};
struct pq_rows pq_db_created_rows(struct pq_db_created *created);

#endif
