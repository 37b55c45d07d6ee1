/// db/catch_up.h: what a read is shown: contents as they are stored, or, where those are older than
/// is allowed, brought up to now for the reader alone.
///
/// Nothing of that is stored: a *branch* of the view's rows and state (table/branch.h,
/// pq_trace_branch) goes through the log that the view has not seen. It is kept until the view is
/// refreshed, so that the next read continues from it. Source: ENGINE 4, "Catch-up at read".
#ifndef PQ_DB_CATCH_UP_H
#define PQ_DB_CATCH_UP_H

#include "db/view_internal.h"

struct pq_db_replica;

/// Of a view; lives as long as the database.
struct pq_db_catch_up {
    // Under `branching`.
    struct pq_db_replica *replica;   // owned; NULL: no read was beyond what is allowed
    const struct pq_db_table *base;  // with its stored contents it began; NULL: from nothing
    uint64_t reflects;               // the base, then
    // Under `published_lock`: when the first commit came that contents of a version lack.
    uint64_t lacks_version;
    int64_t lacks_us;  // 0: it is not known
};

struct pq_db_shown {
    struct pq_db_snapshot *snapshot;  // a reference
    struct pq_db_table *table;        // the snapshot's
    const struct pq_db_table *as;     // whose columns they have: an older one while it is rebuilt
    struct pq_table_snapshot *rows;   // a reference
    uint64_t version;     // that the rows reflect
    int64_t age_us;       // of what is stored: since the first source commit it lacks; 0: none
    bool is_caught_up;    // the rows are younger than what is stored
};

/// The rows of a table that are at most `staleness_us` (-1: as old as they are) and the view's
/// gracePeriod old.
/// Cost    stored rows: nothing. Else the part of the log that the view has not seen, or, where it
///         cannot follow the log, its computation; and a wait while a view is refreshed or swapped
/// Errors  PQDB_NOT_FOUND; as pq_db_readable; those of a refresh: then nothing young enough can be
///         shown
pqdb_code pq_db_show(pqdb_db *db, struct pq_text name, int64_t staleness_us,
                     struct pq_db_shown *shown, pqdb_error *err);
void pq_db_shown_deinit(struct pq_db_shown *shown);

/// What of the log contents that reflect `version` lack: nothing, where it does not reach back.
struct pq_db_lack {
    uint64_t rows;     // of the collections that the view, or one below it, reads: come and gone
    int64_t first_us;  // when the first of them came; 0: there is none
};
/// Counted until they are more than `rows_max`. Cost: that part of the log, read.
struct pq_db_lack pq_db_lack_of(pqdb_db *db, const struct pq_db_table *table, uint64_t version,
                                uint64_t rows_max);

/// When the first commit came that the stored contents, which reflect `version`, lack; 0: nobody
/// knows. Cost: a look into the log, once for each version.
int64_t pq_db_lacks_since(pqdb_db *db, struct pq_db_table *table, uint64_t version);

/// `branching`, or nobody else is there: what was kept for readers goes, of the view and of those
/// that began with its contents.
void pq_db_catch_up_drop(pqdb_db *db, const struct pq_db_table *table);

#endif
