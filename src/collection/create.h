/// collection/create.h: rows that are created, against those that are there: a live `$id` is a
/// conflict.
#ifndef PQ_COLLECTION_CREATE_H
#define PQ_COLLECTION_CREATE_H

#include "collection/delta.h"
#include "table/fetch.h"
#include "type/schema.h"

enum pq_on_conflict {
    PQ_CONFLICT_REFUSE,     ///< the whole batch
    PQ_CONFLICT_IGNORE,     ///< the row that comes; within a batch the first one stays
    PQ_CONFLICT_REPLACE,    ///< the row that is there; within a batch the last one stays
    PQ_CONFLICT_SET_ASIDE,  ///< told, the rest is as if it were not there (streams)
};

struct pq_create {
    const struct pq_entry *entry;
    const struct pq_batch *rows;  // complete but for `$seq`
    struct pq_table_snapshot *snapshot;
    enum pq_on_conflict on_conflict;
    uint64_t first_seq;  // of the first new row, where rows are replaced
    const struct pq_alloc *alloc;
};

struct pq_created {
    struct pq_write_delta delta;  // without weights its `$seq` is still to be numbered
    size_t new_rows, replaced;
    const uint32_t *set_aside;    // rows of the batch, ascending
    size_t set_aside_count;
};

/// What the batch comes to. A row that replaces another keeps its createdAt and its place in the
/// order of creation, and has the next version.
///
/// Owns    everything is in `arena` or a view into the rows
/// Errors  PQDB_CONFLICT: an id is live, or twice in the batch (err->subject "$id"); those of
///         pq_table_locate and pq_table_fetch
pqdb_code pq_create_form(const struct pq_create *create, struct pq_arena *arena,
                         struct pq_created *created, pqdb_error *err);

#endif
