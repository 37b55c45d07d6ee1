/// db/changed.h: what changed between two versions, from the log (ENGINE R5).
///
/// Net rows: of each `$id` of a collection its row as it was at the first version (weight −1, if
/// there was one) and as it is at the last (+1, if there is one), whatever came in between. So a
/// reader that was left behind steps once over any number of commits, and every table takes the
/// result.
#ifndef PQ_DB_CHANGED_H
#define PQ_DB_CHANGED_H

#include "db/db_internal.h"

struct pq_db_changed_rows {
    struct pq_db_table *table;  // a collection, or the view that was heard
    struct pq_batch rows;       // in `hold`; old rows first where there are any
};

struct pq_db_changed {
    struct pq_hold *hold;  // the memory of the rows
    struct pq_db_changed_rows *tables;  // each once, those without a change left out
    size_t count;
    uint64_t to;       // everything up to this commit is in it
    int64_t time_us;   // of that commit; 0: there was none
};

struct pq_db_changed_options {
    uint64_t from, to;  // (from, to]
    /// Which collections; the others are not decoded. NULL: all.
    bool (*wants)(void *ctx, const struct pq_db_table *table);
    /// Which of its columns are read besides `$id`, a flag each: the others have no rows. NULL, or
    /// NULL of it: all of them.
    const bool *(*reads)(void *ctx, const struct pq_db_table *table);
    void *ctx;
    /// By whose schema rows are given, at `to` or later. NULL: the newest.
    const struct pq_db_snapshot *snapshot;
    /// The collection of which rows that go by retention are not seen to go; NULL: none. What comes
    /// again under the id of such a row is a row of its own.
    const struct pq_db_table *keeps;
    bool apart;       // end early, before a commit that takes back a row of it which came since
                      // `from`: it may have taken the place of one that was kept
    /// With what a view has put out, as if the log had it; NULL: nothing.
    const struct pq_db_listener *heard;
    size_t rows_max;  // end early, behind the commit that passes so many; 0: no bound
};

/// Read the log of (from, to], or of its beginning as `apart` and `rows_max` say.
///
/// Owns    *changed is the caller's (pq_db_changed_deinit)
/// Cost    the commits in between, of their rows the columns that are read; memory: those
/// Thread  any, beside the leader, as long as `to` is applied and the log is held
/// Errors  PQDB_NOT_FOUND: the log no longer reaches back to `from`; PQDB_CORRUPT, PQDB_IO,
///         PQDB_NO_MEMORY, PQDB_LIMIT (4 GiB in a column)
pqdb_code pq_db_changed_read(pqdb_db *db, const struct pq_db_changed_options *options,
                             struct pq_db_changed *changed, pqdb_error *err);
void pq_db_changed_deinit(struct pq_db_changed *changed);

#endif
