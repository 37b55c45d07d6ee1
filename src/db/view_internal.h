/// db/view_internal.h: tables as they are asked, the rows that views read, and how views that lag
/// or have failed are brought up.
#ifndef PQ_DB_VIEW_INTERNAL_H
#define PQ_DB_VIEW_INTERNAL_H

#include "db/lookup.h"

struct pq_db_overlay;  // db/overlay.h

// state.c
/// By the facts of the snapshot alone; `stale_since_us` stays 0, which the log would have to tell.
void pq_db_view_state(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                      const struct pq_db_table *table, pqdb_view_state *state);
/// Is the view at the version of its sources, and so on down?
bool pq_db_is_fresh(const struct pq_db_snapshot *snapshot, const struct pq_db_table *table);
/// A table that the view reads and that has moved on since `version`, or NULL.
const struct pq_db_table *pq_db_moved_on(const struct pq_db_snapshot *snapshot,
                                         const struct pq_view *view, uint64_t version);
/// The commit of the collections below whose rows the view shows: what follows a view that lags
/// lags too.
uint64_t pq_db_version_of(const struct pq_db_snapshot *snapshot,
                          const struct pq_db_table *table);
/// Errors: PQDB_INVALID while a view is not built, PQDB_NOT_FOUND once the table was dropped.
pqdb_code pq_db_readable(const struct pq_db_snapshot *snapshot, const struct pq_db_table *table,
                         pqdb_error *err);
/// Of the snapshot; also refuses what is no view.
pqdb_code pq_db_snapshot_find_view(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                                   struct pq_text name, struct pq_db_table **table,
                                   pqdb_error *err);
/// The same for those who show rows to people, who get the old ones of a view that is being built:
/// `*as` is what the rows are read by.
pqdb_code pq_db_showable(const struct pq_db_snapshot *snapshot, const struct pq_db_table *table,
                         const struct pq_db_table **as, pqdb_error *err);
/// load.c. Leader: the old rows are of no more use. And at close: what roots had of them.
void pq_db_hide_shown(pqdb_db *db, struct pq_db_table *table);
void pq_db_free_shown(pqdb_db *db);
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
    const struct pq_table *held;  // its rows stand here instead: of a view being built; or NULL
    struct pq_db_table *progress;  // a view being built: rows are counted there; or NULL
    const atomic_bool *stops;      // it may be told to stop (PQDB_CONFLICT); or NULL
    const struct pq_db_overlay *overlay;  // stored rows as they were then; or NULL
    bool appends;           // only rows that were created from
    uint64_t created_from;  // here on, and
    int64_t created_rows;   // how many of these were given so far
    bool refuses;    // there is no telling (PQDB_UNSUPPORTED)
    bool recompute;  // of a view: from its definition, not from what is stored
};
/// A `pq_rows` over a table at a snapshot; `source` must outlive it.
struct pq_rows pq_db_rows_of(struct pq_db_rows *source);
/// The rows of a view computed from its source, streaming upstream views computed too.
typedef pqdb_code (*pq_db_take)(void *taker, const struct pq_batch *batch, pqdb_error *err);
pqdb_code pq_db_compute(const struct pq_db_rows *source, pq_db_take take, void *taker,
                        pqdb_error *err);

/// A batch into a table: what is large enough to be taken over is copied first, so that the memory
/// it is a view into need not stay.
pqdb_code pq_db_put_rows(pqdb_db *db, struct pq_table *table, const struct pq_batch *rows,
                         struct pq_hold *hold, uint64_t version, pqdb_error *err);

/// A view's place in a circuit, which the node borrows.
struct pq_db_part {
    struct pq_node_spec spec;
    struct pq_db_rows source;
    struct pq_rows refill;  // what its source holds before the running step
    struct pq_db_lookup linked;
    struct pq_lookup lookup;  // rows that its links lead to
    struct pq_node *node;   // owned until a circuit or the table takes it
};
pqdb_code pq_db_part_create(pqdb_db *db, struct pq_db_table *table, struct pq_db_part **part,
                            pqdb_error *err);
void pq_db_use_all_parts(struct pq_node *node);  // before it is opened or built
void pq_db_part_destroy(pqdb_db *db, struct pq_db_part *part);  // NULL is allowed

// build.c
enum { PQ_DB_PIECE_ROWS = 1 << 20 };  // pqdb_db.piece_rows
enum { PQ_DB_LATE_ROWS = 16384 };  // a scan of fewer delays no commit
enum { PQ_DB_LED_ROWS = 4096 };  // adding fewer to an append view delays none
/// Does `table` follow `source` through streaming views only?
bool pq_db_follows(const struct pq_db_table *table, uint32_t source);
/// Is it the view that is wrong (a sum that does not fit), so that the database goes on without it?
bool pq_db_is_views_own(pqdb_code code);
/// Leader: the view takes part in no step until it is built again; `why` is its last error.
void pq_db_note_failed(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why);
/// The view and the streaming views above it from their sources, beside the database, swapped in
/// with one commit. `building` is held, no other lock. After an error the old rows are there still;
/// where the error is the view's own it has failed. `why` is for its state; PQ_WHY_NOT: it shows.
/// PQ_WHY_DISCARD: what views above it have kept of rows that are gone may be lost; else that is
/// PQDB_INVALID.
pqdb_code pq_db_build(pqdb_db *db, struct pq_db_table *table, enum pq_refresh_why why,
                      pqdb_error *err);
/// The same in recovery, where nobody else is: at `version`, without a commit.
pqdb_code pq_db_build_here(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                           int64_t time_us, pqdb_error *err);
/// Builds that are due in the background, one after the other: at once, after a failure later and
/// later. And leader-free: is any due?
void pq_db_build_due(pqdb_db *db);
bool pq_db_build_is_due(pqdb_db *db);
/// Of what the view reads.
size_t pq_db_source_rows(const pqdb_db *db, const struct pq_db_snapshot *snapshot,
                         const struct pq_db_table *table);

// late_parts.c
/// In the background, without a lock: what order windows of the view are filled from again, if it
/// is due. Nobody waits for it: see the file.
void pq_db_make_parts(pqdb_db *db, uint32_t view);
/// By the facts of the snapshot alone: is it worth a look, of a view that follows with commits?
bool pq_db_may_lack_parts(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                          const struct pq_db_table *table);
/// Leader: is one of the late pieces of a view's state there, or one not?
bool pq_db_has_late_part(struct pq_node *node, bool is_there);

// build.c
/// `building`: after a refresh or build; a failure is kept for the view's state, and the next try
/// in the background comes later than the last.
void pq_db_note_try(pqdb_db *db, struct pq_db_table *table, pqdb_code code, const pqdb_error *why);
/// Leader: does it lack nothing of what it reads, and can its contents go on through the log?
bool pq_db_is_up_to_date(pqdb_db *db, const struct pq_db_table *table);
/// log_kept.c: by the facts of the snapshot, what the next refresh of a view that lags needs of the
/// log; false: nothing.
bool pq_db_log_hold(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                    const struct pq_db_table *table, struct pqdb_log_holder *holder);
/// So much of the log is kept for a view that lags, whose sources take that in files: 0, it never
/// goes by the log; UINT64_MAX, nothing could compute it anew (it appends, or keeps what is gone);
/// else as much as they take, and db->lag_bytes: beyond that a full computation reads less.
uint64_t pq_db_log_most(const pqdb_db *db, const struct pq_db_table *table, uint64_t sources_bytes);
/// The view's node, in the circuit or outside; it is not built yet.
pqdb_code pq_db_join_circuit(pqdb_db *db, struct pq_db_table *table, pqdb_error *err);
/// Is nothing readable of it, or has it failed, and is it not manual?
bool pq_db_wants_build(const struct pq_db_table *table);

/// Do its contents follow with commits, stepped or appended, or with refreshes?
enum pq_root_pace pq_db_pace(const struct pq_db_table *table);

// refresh.c
/// `building`. By the log, or anew where it has to be; `due`: only when its slot has come.
struct pq_db_refresh {
    bool full, due;
    bool discard;  // of a view that appends: what it has goes
};
pqdb_code pq_db_refresh(pqdb_db *db, struct pq_db_table *table, const struct pq_db_refresh *how,
                        pqdb_refreshed *refreshed, pqdb_error *err);
/// A record that names the view and the slot that is complete now: rows that changed, new contents
/// in place of the old, or that there is nothing new. `did` is what its state will tell of it,
/// NULL: as before. Sets facts.slot_us.
enum pq_db_logged { PQ_DB_LOGGED_ROWS, PQ_DB_LOGGED_SWAP, PQ_DB_LOGGED_FRESH };
pqdb_code pq_db_log_refresh(pqdb_db *db, struct pq_db_table *table, enum pq_db_logged kind,
                            const struct pq_last_refresh *did, uint64_t *version,
                            pqdb_error *err);
/// Leader: a try of a refresh failed, and the view is as it was; not again while it is the same.
pqdb_code pq_db_log_failure(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why,
                            pqdb_error *err);
/// As it is stored: what was cut within a character is not told.
struct pq_text pq_db_failure_text(const pqdb_error *why);
/// What that record, or the root, tells of it.
void pq_db_recall_failure(pqdb_db *db, struct pq_db_table *table, struct pq_text message);
/// In recovery, at a version whose record is replayed: through the log up to it, where the log
/// tells, else anew; what cannot be made anew has failed then.
pqdb_code pq_db_refresh_here(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                             int64_t time_us, pqdb_error *err);
/// PQ_WHY_NOT, or why the view's contents are not to be built on.
enum pq_refresh_why pq_db_not_as_it_is(const struct pq_db_facts *facts);
/// PQ_WHY_NOT, or why the view's contents, of which these are the facts, cannot be brought forward
/// through the log.
enum pq_refresh_why pq_db_not_by_log(const pqdb_db *db, const struct pq_db_table *table,
                                     const struct pq_db_facts *facts);
/// The same by its definition and those below it alone.
enum pq_refresh_why pq_db_never_by_log(const struct pq_db_table *table);
/// Leader: its contents are those of `version` of what it reads; 0: of nothing.
void pq_db_set_reflects(pqdb_db *db, struct pq_db_table *table, uint64_t version);
/// Leader: the last commit that changed what the view reads.
uint64_t pq_db_source_version(pqdb_db *db, const struct pq_db_table *table);

#endif
