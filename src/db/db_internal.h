/// db/db_internal.h: what an open database is made of, and who may touch what.
///
/// Three kinds of threads. Callers ask (on counted snapshots, no lock beyond taking one) and write
/// (through the sequencer). The *leader* is whichever caller holds `leader`: only it touches log,
/// circuit and tables. The *keeper* is one thread that writes checkpoints: it freezes and installs
/// as leader, and works on what is frozen in between.
/// Lock order: building, making, gate, refreshing, branching, leader, published, then nothing.
#ifndef PQ_DB_DB_INTERNAL_H
#define PQ_DB_DB_INTERNAL_H

#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>

#include "base/block_cache.h"
#include "base/env.h"
#include "changelog/log.h"
#include "collection/unique.h"
#include "db/gate.h"
#include "db/listen.h"
#include "db/memory.h"
#include "db/root.h"
#include "db/schema_file.h"
#include "db/snapshot.h"
#include "flow/circuit.h"
#include "store/pace.h"
#include "table/iceberg/iceberg.h"
#include "table/page_cache.h"
#include "table/table.h"
#include "type/schema.h"
#include "view/view.h"

struct pq_row_reader;  // ingest/rows.h
struct pq_find_table;  // query/find.h

/// One entry of the schema that has rows. Stays where it is until the database is closed.
struct pq_db_table {
    size_t position;  // in snapshots of its generation, where no two tables ever have the same
    uint32_t generation;
    const struct pq_entry *entry;
    const struct pq_view *view;  // or NULL: a collection or stream
    uint32_t id;
    const char *directory;  // "Order", "_views/Recent"
    const struct pq_db_shape *shape;  // db/shapes.h
    struct pq_table *table;           // leader
    struct pq_variant_names *names;   // a view shares its collection's
    struct pq_db_table *root;         // the collection at the bottom of a view; itself otherwise
    struct pq_find_table *find;       // what paths in filters mean
    struct pq_shreds *shreds;         // owned: of a collection, what its files keep beside; or NULL
    uint64_t next_seq;                // leader; collections
    struct pq_unique unique;          // leader; without `entry` where no field is
    struct pq_row_reader *idle_reader;  // atomic; of short writes, or NULL
    bool in_root;                     // at open: contents from the root
    struct pq_iceberg *iceberg;       // keeper; opened at the first publish
    uint64_t published_version;       // keeper: what the metadata on disk says
    uint64_t lost_before;             // as the root says; only a repair changes it
    bool is_announced;                // keeper: and other readers are told, since it was opened
    bool is_tidied;                   // keeper: and what was left of before is removed, likewise

    // Views. Leader.
    struct pq_node *node;      // of a lagging view; streaming ones belong to the circuit
    struct pq_db_part *part;   // of the node, which borrows it
    atomic_uint_fast64_t built_rows, build_rows;  // so far, of so many; 0 of 0: no build runs
    atomic_bool build_stops;        // the view is being dropped
    atomic_bool rows_go;            // of a collection: some did, since it was opened
    atomic_bool has_late_parts;     // all that there are: nothing is to be made in the background
    atomic_bool wants_parts;        // of a view that lags: they are made behind its last build
    atomic_bool makes_parts;        // just now
    uint64_t retry_after_ns;        // `building`: delay before the last try,
    atomic_uint_fast64_t retry_ns;  // and when the next one is due
    struct pq_db_table *shown;      // unbuilt: what reads get meanwhile, or NULL
    struct pq_db_catch_up *catch_up;  // in db->arena
    struct pq_db_facts facts;
    pqdb_error failure;  // under published_lock
    uint64_t failure_logged;  // leader: the hash of that of the last refresh; 0: none
};

/// A thread of its own for one kind of work in the background, while there is some.
struct pq_db_worker {
    pqdb_db *db;
    void (*work)(pqdb_db *db);
    pthread_t thread;
    bool runs;         // there is one to join
    atomic_bool ends;  // it has done its work
};

struct pqdb_db {
    const struct pq_alloc *alloc;  // `blocks`
    struct pq_db_memory memory;
    struct pq_block_cache blocks;  // over memory.total
    struct pq_page_cache *pages;   // decoded, of all tables' files
    const struct pq_env *env;
    struct pqdb_options options;
    struct pq_store *store;
    bool store_is_borrowed;
    uint64_t log_segment_bytes;    // 0: the usual
    uint64_t merge_rows, ahead_rows, late_rows, piece_rows, led_rows;  // as struct pq_open_with
    uint64_t lag_bytes, wait_rows, dead_bytes, listen_bytes, cut_run_bytes;  // says
    struct pq_lock *lock;
    struct pq_pace *pace;
    struct pq_arena arena;  // what lives as long as the database
    char *location;         // absolute, "file:///srv/db"

    _Atomic(struct pq_schema *) schema;  // of the newest plan; older ones stay until close
    _Atomic(struct pq_views *) views;
    struct pq_db_plan *plans;  // `building`; newest first
    struct pq_db_table *loaded;  // owned, linked by `shown`: old contents out of the root, which
                                 // have no view and are in no list
    _Atomic(const struct pq_db_tables *) tables;  // in db->arena; the leader stores, all may load
    pthread_mutex_t leader;
    struct pq_log *log;
    struct pq_circuit *circuit;
    struct pq_output *outputs;       // in `arena`; of every node of the circuit
    size_t outputs_room;
    struct pq_hold *step_hold;       // memory of the running step
    struct pq_trace tokens;          // of writes: db/tokens.h
    uint64_t tokens_from;            // those of lower versions are forgotten
    uint64_t tokens_max;             // so many are kept
    uint64_t version;
    bool broken;                     // the log or a step failed: only close is left
    pqdb_error broken_by;
    bool has_root, is_replaying, state_is_newer;  // newer: than the root's of the same version
    bool forgives_lost;              // as pq_open_with has it
    bool unpublished;                // a crash came between the root and a table's metadata
    struct pq_log_position replayed; // how far
    int64_t replay_time_us;
    uint64_t root_version;
    struct pq_log_position root_position;
    pthread_mutex_t queue_lock;      // guards the queue of writes
    struct pq_db_write *queue, **queue_end;
    pthread_mutex_t refusals;        // one appends to rejected/ at a time; no other lock within
    pthread_mutex_t published_lock;  // pointer and reference; failures of tables
    struct pq_db_snapshot *published;

    struct pq_db_gate gate;
    pthread_mutex_t building;        // one refresh, build or change of the schema at a time
    pthread_mutex_t refreshing;      // one checkpoint or swap of contents at a time
    pthread_mutex_t branching;       // stored contents of views that lag stay as they are: readers
                                     // go on from them in branches
    pthread_mutex_t making;          // pieces of one view's state, behind whoever has `building`
    atomic_bool making_stops;        // for a change of the schema
    // Leader: a build, and a making, read the log from here; version 0: none.
    struct pq_log_position pinned, making_pinned;
    struct pq_db_listener listener;  // leader: a build hears this
    pthread_t keeper;
    struct pq_db_worker builder, merger, run_merger, scheduler, retainer;  // keeper
    bool keeper_runs, merge_due;           // due: after a checkpoint there may be files
    atomic_bool closes;  // builds end then
    pthread_mutex_t keeper_lock;     // guards what follows
    pthread_cond_t keeper_wake, keeper_done;  // done: for writers that wait for memory
    bool keeper_stops, checkpoint_wanted, writers_wait;  // the last: memory is full until then
    char background_error[256];
    atomic_uint memory_backlog, dead_backlog, runs_backlog;  // see backlog.h

    // Keeper (under `refreshing`).
    atomic_uint_fast64_t run_id, file_id, merge_id;  // the last ones given
    struct pq_db_merge *merge;       // of files: under way, or done and not yet in a root
    bool files_wait;                 // the last checkpoint left some that are due
    struct pq_db_run_merge *run_merges;  // of states, likewise
    bool merges_runs;                // a thread is at it
    atomic_bool runs_wait;           // a checkpoint left some that are due
    uint64_t cut_run_bytes_left;     // that this checkpoint may still merge itself
    struct pq_db_retired *retired;   // files that left the catalog, until nobody needs them
    struct pq_db_unnamed *unnamed;   // runs, likewise
    struct pq_log_position trimmable;  // of the root before the last one
    pthread_mutex_t run_lock;        // guards the lists of open runs, of spills that go on
    struct pq_db_run_file *run_files;
    struct pq_db_spill *spills;
};

// open.c
/// Leader: behind the last commit that has been applied.
struct pq_log_position pq_db_position(const pqdb_db *db);
struct pq_db_table *pq_db_by_id(const pqdb_db *db, uint32_t id);  // or NULL
/// `refreshing` and `branching`: for whoever changes contents of views.
void pq_db_lock_contents(pqdb_db *db);
void pq_db_unlock_contents(pqdb_db *db);
/// `building` and `making`, which is told to stop: for whoever changes the schema.
void pq_db_lock_schema(pqdb_db *db);
void pq_db_unlock_schema(pqdb_db *db);
struct pq_db_table *pq_db_find(const pqdb_db *db, struct pq_text name);  // or NULL
/// NOT_FOUND names the nearest entry; _view also refuses what is no view.
pqdb_code pq_db_find_table(const pqdb_db *db, struct pq_text name, struct pq_db_table **table,
                           pqdb_error *err);
pqdb_code pq_db_find_view(const pqdb_db *db, struct pq_text name, struct pq_db_table **table,
                          pqdb_error *err);
pqdb_code pq_db_check_open(pqdb_db *db, pqdb_error *err);  // leader: not broken, not read only

// commit.c (see db/commit.h)
pqdb_code pq_db_break(pqdb_db *db, pqdb_code code, const pqdb_error *why);
pqdb_code pq_db_checkpoint(pqdb_db *db, bool write_all, pqdb_error *err);
void pq_db_keeper_look(pqdb_db *db);  // leader, after a commit: is a checkpoint due?
void pq_db_keeper_want(pqdb_db *db);  // a checkpoint, soon

#endif
