/// db/replica.h: views computed beside the database: a private circuit over a snapshot, brought
/// forward through the log, and in the end put in the place of what is there.
///
/// It holds a view, the streaming views below it (whose deltas the log does not have), and where
/// wanted the streaming views above it. Nothing of it is visible to anybody; thrown away it leaves
/// no trace. So a full refresh, a new view, a changed definition and another try are one thing.
/// Thread: its owner, while the schema stays (`building`, `making` or `branching` is held); beside
/// the leader but where it says leader.
#ifndef PQ_DB_REPLICA_H
#define PQ_DB_REPLICA_H

#include "db/overlay.h"
#include "db/spill.h"
#include "db/view_internal.h"

struct pq_db_member {
    struct pq_db_table *table;
    struct pq_db_part *part;  // owned; NULL: the node is the view's own, borrowed
    struct pq_table *rows;    // owned: all it has put out; NULL: of no interest
    bool is_installed;        // `rows` are those that were there before
    bool starts_older;        // than the snapshot: what it read then is not known
};

struct pq_db_replica {
    pqdb_db *db;
    struct pq_circuit *circuit;     // owned
    struct pq_db_member *members;   // topological
    size_t count;
    struct pq_output *outputs;      // count
    struct pq_db_snapshot *snapshot;  // owned: sources as of the last pq_db_replica_advance
    uint64_t version;               // where the circuit is: the snapshot's or later
    struct pq_db_table *top;
    bool is_lean, appends, discards;  // see the options
    bool hears;                     // see the options
    bool goes_on;                   // from contents that are stored: what keeps, keeps
    const atomic_bool *stops;       // likewise
    uint64_t created_from;
    uint64_t names;                 // ids of what `top` puts out get this behind them; 0: nothing
    int64_t created_rows;           // of the source of `top`: that are new
    const struct pq_sink *on_rows;  // what steps of `top` put out, where it has no rows here
    uint64_t steps_rows;            // rows of the log that went in so far
    const bool *reads;              // columns of the table whose rows are of `read_type`
    const struct pq_type *read_type;
    struct pq_db_spill spill;       // of the members' states
    struct pq_arena arena;
};

extern const struct pq_sink pq_db_nowhere;  // for rows that nobody wants

struct pq_db_replica_options {
    struct pq_db_table *table;
    bool borrow;                    // the view's own node goes on; else all is built from nothing
    bool alone;                     // without the views above; what it puts out goes to `on_rows`
    bool all_parts;                 // late pieces of state are made too, so that no step in the
                                    // log asks for one
    bool is_lean;                   // not even those that its own node has
    bool appends;                   // with `alone`, and rows: only rows of its collection that were
    uint64_t created_from;          // created from here on; what links lead to must not change
    const struct pq_sink *on_rows;  // with `borrow`, or `alone` without what follows
    const atomic_bool *stops;       // it is given up when that is set (PQDB_CONFLICT); NULL: when
                                    // the view is dropped, and what it has read is counted there
    /// With `alone`: rows and state go on from what is stored, in branches: those of this lagging
    /// view and of the streaming ones above it, of which `table` is the last.
    const struct pq_db_table *branch;
    bool stored;    // views below as they are stored: it goes through no log,
    bool hears;     // unless db->listener hears what the lowest of them puts out
    bool discards;  // what views above it kept of rows that are gone may be lost
    bool whole;  // with `alone`: with rows; views below that lag or failed are computed as well
};

/// At `snapshot`, of which a reference is taken. Nothing is computed yet. Leader, or `building` and
/// `refreshing`: nobody else gives the view another node, or pieces of state.
/// With `branch` it is at the version which that view reflects; `branching` is held then, here and
/// in what is done with it.
/// Errors: PQDB_NO_MEMORY; PQDB_INVALID when a view below has failed or is being built.
pqdb_code pq_db_replica_create(pqdb_db *db, const struct pq_db_replica_options *options,
                               struct pq_db_snapshot *snapshot, struct pq_db_replica **replica,
                               pqdb_error *err);
/// A borrowed node is the view's again. NULL is allowed.
void pq_db_replica_destroy(struct pq_db_replica *replica);

/// Compute everything from the snapshot. A view above that fails is left behind (its failure is
/// the circuit's); the failure of the others is returned.
/// Cost: their sources, as pq_node_full. Errors: as pq_node_full; PQDB_CONFLICT: told to stop.
pqdb_code pq_db_replica_build(struct pq_db_replica *replica, pqdb_error *err);

/// The view alone, from these rows of its source instead. Errors: as pq_node_full.
pqdb_code pq_db_replica_build_from(struct pq_db_replica *replica, const struct pq_rows *rows,
                                   pqdb_error *err);

/// Through the log to `snapshot`. Errors: those of the log and of pq_node_step; PQDB_UNSUPPORTED
/// when a step needs a late piece of state that only the rows of its version could make.
pqdb_code pq_db_replica_advance(struct pq_db_replica *replica, struct pq_db_snapshot *snapshot,
                                pqdb_error *err);
/// The same to a version where nothing is reached by links, which only a snapshot would show.
pqdb_code pq_db_replica_advance_to(struct pq_db_replica *replica, uint64_t version,
                                   pqdb_error *err);
/// Leader: about `rows_max` rows of the log, at least two commits. Is it at the last one?
pqdb_code pq_db_replica_assist(struct pq_db_replica *replica, size_t rows_max, bool *done,
                               pqdb_error *err);

/// Back through the log to a version before: what came since is taken out again. Only multisets are
/// what they were then, whatever the order of changes was. All of it is one step.
pqdb_code pq_db_replica_rewind(struct pq_db_replica *replica, uint64_t version, pqdb_error *err);

/// build.c: through the log until little is left, beside the leader or, where writers are too fast,
/// in small steps between their commits; and as leader, the rest of it.
pqdb_code pq_db_replica_catch_up(struct pq_db_replica *replica, pqdb_error *err);
/// And around it: a snapshot, from which on the log is held; at the end `why` it failed, if it did.
pqdb_code pq_db_build_begin(pqdb_db *db, struct pq_db_table *table,
                            struct pq_db_snapshot **snapshot, pqdb_error *err);
void pq_db_build_end(pqdb_db *db, struct pq_db_table *table, pqdb_code code,
                     const pqdb_error *why);
pqdb_code pq_db_replica_finish(struct pq_db_replica *replica, pqdb_error *err);

/// Sources are as the snapshot has them, seen through the overlay (of `version`; borrowed until the
/// next call or destroy).
void pq_db_replica_show(struct pq_db_replica *replica, struct pq_db_snapshot *snapshot,
                        const struct pq_db_overlay *overlay, uint64_t version);
/// One commit, by itself.
pqdb_code pq_db_replica_step(struct pq_db_replica *replica,
                             const struct pq_db_overlay_commit *commit, pqdb_error *err);
bool pq_db_replica_reads(void *replica, const struct pq_db_table *table);

/// Leader, `refreshing`, at the last commit: every view that has rows here gets them, and its node.
/// What was there before is in the replica afterwards.
pqdb_code pq_db_replica_install(struct pq_db_replica *replica, uint64_t version, int64_t time_us,
                                pqdb_error *err);

#endif
