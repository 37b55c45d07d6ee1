/// flow/lookup.h: rows of other tables, for operators that follow links. Filled by room db.
///
/// A look-up shows *one side* of the running step: the tables as they were before it (a streaming
/// step, which runs before anything is applied), or as they are after it (a view that lags, whose
/// tables have moved on). The operator makes the other side from that one and the step's deltas.
#ifndef PQ_FLOW_LOOKUP_H
#define PQ_FLOW_LOOKUP_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "batch/column.h"

/// Where the rows of a table hold a link: a column, and members below it; lists on the way are
/// passed through. What is found there is text, or a list of text.
struct pq_link_path {
    const uint32_t *path;
    size_t length;
};

/// Which rows: those whose `$id` is one of `keys`, or, with `link`, whose link is.
struct pq_lookup_want {
    uint32_t table;
    const struct pq_link_path *link;  // NULL: by `$id`
    const struct pq_text *keys;       // distinct
    size_t key_count;
    const uint32_t *columns;  // ascending; others of the batch are placeholders; `$id` is one
    size_t column_count;
};

struct pq_lookup {
    /// The live rows, each once, in any order; with all columns of the table.
    ///
    /// Owns    rows live in `arena` and in what the look-up shows
    /// Cost    the rows found and the keys asked for, not the table
    /// Errors  PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY
    pqdb_code (*rows_at)(void *ctx, const struct pq_lookup_want *want, struct pq_arena *arena,
                         struct pq_batch *rows, pqdb_error *err);
    void *ctx;
    const struct pq_variant_names *names;  // of the view's variants
    bool is_after;  // it shows the tables after the step, else before
};

#endif
