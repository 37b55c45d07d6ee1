/// db/view_internal.h: tables as they are asked, the rows that views read, and how views that lag
/// or have failed are brought up.
#ifndef PQ_DB_VIEW_INTERNAL_H
#define PQ_DB_VIEW_INTERNAL_H

#include "db/db_internal.h"

// state.c
/// By the facts of the snapshot alone; `stale_since_us` stays 0, which the log would have to tell.
void pq_db_view_state(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                      const struct pq_db_table *table, pqdb_view_state *state);
/// Leader: why the view has failed, for those who ask.
void pq_db_set_failure(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why);

// ingest.c, query.c: of a table's making and end
void pq_db_reader_destroy(struct pq_db_table *table);
pqdb_code pq_db_prepare_queries(pqdb_db *db, struct pq_db_table *table, pqdb_error *err);

// rows.c: what a view reads
struct pq_db_rows {
    pqdb_db *db;
    struct pq_db_snapshot *snapshot;  // borrowed; NULL: what the table holds now (leader)
    struct pq_db_table *table;
    bool recompute;  // of a view: from its definition, not from what is stored
};
/// A `pq_rows` over a table at a snapshot; `source` must outlive it.
struct pq_rows pq_db_rows_of(struct pq_db_rows *source);
/// The rows of a view computed from its source, streaming upstream views computed too.
typedef pqdb_code (*pq_db_take)(void *taker, const struct pq_batch *batch, pqdb_error *err);
pqdb_code pq_db_compute(const struct pq_db_rows *source, pq_db_take take, void *taker,
                        pqdb_error *err);

// refresh.c
/// The view's node and rows from its source. After an error it has failed: the old rows stay.
pqdb_code pq_db_rebuild(pqdb_db *db, struct pq_db_table *table, uint64_t version, int64_t time_us,
                        pqdb_error *err);
/// Is it the view that is wrong (a sum that does not fit), so that the database goes on without it?
bool pq_db_is_views_own(pqdb_code code);

pqdb_code pq_db_rebuild_with_dependents(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                                        int64_t time_us, pqdb_error *err);
/// Leader: the last commit that changed what the view reads.
uint64_t pq_db_source_version(pqdb_db *db, const struct pq_db_table *table);

#endif
