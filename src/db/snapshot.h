/// db/snapshot.h: the tables there are, and the database at one version as readers hold it.
#ifndef PQ_DB_SNAPSHOT_H
#define PQ_DB_SNAPSHOT_H

#include <parquedb/db.h>
#include <stdatomic.h>

#include "changelog/log.h"
#include "db/last_refresh.h"
#include "table/table.h"

struct pq_db_table;

/// What a view's state is computed from; a snapshot carries a copy.
struct pq_db_facts {
    uint64_t reflects;         // lagging or failed: the source commit it is at
    struct pq_log_position reflects_position;  // behind that commit or a later one, where what
                                               // comes next may concern it
    uint64_t shows;            // and the commit of the collections below whose rows it shows
    uint64_t mark;             // 'append': rows of the collection from here on are new to it
    int64_t slot_us;           // scheduled: the last slot that its contents complete; 0: none
    int64_t refreshed_us;
    struct pq_last_refresh last;
    bool kept;                 // it holds what came of rows that are gone: db/kept.h
    bool failed;               // its last step or refresh went wrong: see `failure`
    bool refresh_failed;       // only the last try of a refresh did: the view is as it was
    bool unbuilt;              // nothing of this definition exists yet
    bool shows_old;            // then reads get the rows of the one before: `shown`
};

/// Has it never had contents? What was built before the first commit reflects none, either.
static inline bool pq_db_is_new(const struct pq_db_facts *facts) {
    return facts->reflects == 0 && facts->last.kind == PQ_REFRESH_NONE;
}

/// The tables there are. Immutable: when one comes or goes, another list takes its place and this
/// one stays until the database is closed, so that whoever walks it may go on.
struct pq_db_tables {
    size_t count;
    size_t positions;  // given so far
    uint32_t generation;  // a changed schema begins a new one, with positions from 0
    const struct pq_db_tables *older;  // of the generation before
    struct pq_db_table *at[];
};

/// The database at one version. Immutable, counted.
struct pq_db_snapshot {
    atomic_uint references;
    const struct pq_alloc *alloc;
    uint64_t version;
    int64_t time_us;
    const struct pq_db_tables *list;     // what there is at this version
    size_t count;                        // positions; tables made later have higher ones
    struct pq_db_facts *facts;           // by position, in the same block of memory
    struct pq_table_snapshot *tables[];  // by position, referenced; NULL: no table any more
};

struct pq_db_snapshot *pq_db_snapshot(pqdb_db *db);  // a reference
void pq_db_snapshot_unref(struct pq_db_snapshot *snapshot);
/// The table's rows at the snapshot, borrowed; NULL: it was not there yet, or no more.
struct pq_table_snapshot *pq_db_snapshot_rows(const struct pq_db_snapshot *snapshot,
                                              const struct pq_db_table *table);
/// The table of this id or name at the snapshot, or NULL: for readers, who must not meet a schema
/// that is newer than the rows. NOT_FOUND names the nearest entry.
struct pq_db_table *pq_db_snapshot_by_id(const struct pq_db_snapshot *snapshot, uint32_t id);
pqdb_code pq_db_snapshot_find(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                              struct pq_text name, struct pq_db_table **table, pqdb_error *err);
/// Leader: what the tables hold now, for readers inside, or published as `version` for all.
pqdb_code pq_db_collect(pqdb_db *db, uint64_t version, int64_t time_us,
                        struct pq_db_snapshot **snapshot, pqdb_error *err);
pqdb_code pq_db_publish(pqdb_db *db, uint64_t version, int64_t time_us, pqdb_error *err);

#endif
