/// db/as_of.h: a collection or view as it was at an earlier version, from the rows of now and the
/// log.
///
/// A collection is its files of now without the rows that changed since, and those as they were. A
/// view is computed by its definition over its collections as they were; one that lags at the
/// version of the refresh that it showed then.
#ifndef PQ_DB_AS_OF_H
#define PQ_DB_AS_OF_H

#include "db/db_internal.h"

struct pq_db_overlay;

struct pq_db_as_of {
    uint64_t version;               // that the rows reflect
    struct pq_table *rows;          // owned; published
    struct pq_db_overlay *overlay;  // owned: the tables that links lead to, as they were; or NULL
};

/// `when` is a version ("42", "seq-42") or a time (ISO 8601): the last commit up to it.
///
/// Cost    a collection: what changed since, and a bit for each row of its files; a view: its
///         computation. Memory: the changes, or the view's rows
/// Errors  PQDB_NOT_FOUND: the log no longer reaches back, the message says how far it does; or the
///         view had not been refreshed yet. PQDB_INVALID: neither a version nor a time, or one that
///         has not been yet. PQDB_UNSUPPORTED: a view that reads one that lags, or that appends
pqdb_code pq_db_as_of_open(pqdb_db *db, struct pq_db_snapshot *snapshot,
                           struct pq_db_table *table, struct pq_text when,
                           struct pq_db_as_of *out, pqdb_error *err);
void pq_db_as_of_close(struct pq_db_as_of *as_of);  // zero is allowed

#endif
