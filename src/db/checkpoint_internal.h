/// db/checkpoint_internal.h: the pieces of a checkpoint that only the keeper's side knows.
#ifndef PQ_DB_CHECKPOINT_INTERNAL_H
#define PQ_DB_CHECKPOINT_INTERNAL_H

#include "db/tokens.h"

// checkpoint.c
/// The view's node, in the circuit or its own; NULL: none, or no view.
struct pq_node *pq_db_node(const pqdb_db *db, const struct pq_db_table *table);
/// A path that no file has, for a data file whose name begins with the version.
pqdb_code pq_db_name_file(pqdb_db *db, const struct pq_db_table *table, uint64_t version,
                          char path[PQ_STORE_PATH_MAX], pqdb_error *err);

// garbage.c, lineage.c
/// What the last root no longer names: old roots, runs, log segments, retired files.
pqdb_code pq_db_collect_garbage(pqdb_db *db, const struct pq_root *root, pqdb_error *err);
/// A segment that left the catalog: its file goes once its table's metadata has released it and no
/// snapshot holds it. Takes a reference.
void pq_db_retire(pqdb_db *db, struct pq_segment *segment);
/// All files of a table that is no more.
void pq_db_retire_files(pqdb_db *db, const struct pq_table *table);
/// A segment that left a catalog while another one stands for the same file: as long as a snapshot
/// holds it the file stays.
void pq_db_share(pqdb_db *db, struct pq_segment *segment);
pqdb_code pq_db_release(pqdb_db *db, struct pq_db_table *table,
                        const struct pq_iceberg_outcome *outcome, pqdb_error *err);
/// `refreshing` is held: the files that are released and that nobody reads.
void pq_db_bury_released(pqdb_db *db);
/// After the first publish of an opening: metadata and data files that an earlier one could not
/// remove any more. Reads the manifests of the kept snapshots. What cannot be read now is left to
/// the next opening.
void pq_db_remove_orphans(pqdb_db *db, struct pq_db_table *table, struct pq_arena *arena);
/// Does the file with this name lie beside a data file that is not in the list of their directory,
/// or beside a column that the table no longer has, or was it never finished? Such files go.
bool pq_db_is_left_beside(const struct pq_db_table *table, const struct pq_store_list *list,
                          struct pq_text name);
void pq_db_remove_left_beside(pqdb_db *db, struct pq_db_table *table);
void pq_db_retired_close(pqdb_db *db);
/// Properties of a table's metadata: its versions at the cut, and of a view definition and lineage.
struct pq_db_pairs {
    struct pq_iceberg_pair *pairs;
    size_t count;
};
/// The value of the property that tells this table's metadata from that of one that had its name
/// before: its id.
#define PQ_DB_TABLE_KEY "parquedb.table"
struct pq_text pq_db_table_property(const struct pq_db_table *table, char room[static 16]);
pqdb_code pq_db_lineage(pqdb_db *db, const struct pq_db_table *table,
                        const struct pq_root_table *cut, struct pq_arena *arena,
                        struct pq_db_pairs *out, pqdb_error *err);

// salvage.c
/// Of `count` rows with these ids those that are to go (weight -1) and are not there get weight 0.
/// Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
struct pq_column;
pqdb_code pq_db_forgive_lost(struct pq_db_table *table, const struct pq_column *ids,
                             int8_t *weights, size_t count, pqdb_error *err);

// metadata.c
/// At open, behind a process that did not close: metadata that it had published, and its hint does
/// not name yet, is named. Cost: nothing after a clean close. What fails is left to the next
/// checkpoint.
void pq_db_announce_published(pqdb_db *db, const struct pq_root *root);
/// Does the root name files of the table that were made, by a merge perhaps that changed no row,
/// after its metadata was?
bool pq_db_has_newer_files(const struct pq_root_table *named);

// checkpoint_state.c
/// A trace frozen at the cut, and what was written of it.
struct pq_db_cut_state {
    const char *name;  // in the root; in the node's memory
    struct pq_trace *trace;
    struct pq_trace_frozen frozen;
    struct pq_run *opened;  // what had changed; NULL: nothing
    size_t merge_first, merge_count;  // so many of its runs, the new one among them, become
    struct pq_run *merged;            // this one (NULL: nothing is left)
    struct pq_db_run_merge *taken;     // that it was merged by, beside the cut; NULL: by the cut
    struct pq_db_token_bound *tokens;  // borrowed: the state is of tokens; or NULL
};
/// Leader.
void pq_db_cut_freeze(struct pq_db_cut_state *cut, const char *name, struct pq_trace *trace);
/// Its changes as a run, and the list of all its runs for the root, in `arena`.
pqdb_code pq_db_cut_write(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_arena *arena,
                          struct pq_root_state *state, pqdb_error *err);
/// Leader.
pqdb_code pq_db_cut_install(struct pq_db_cut_state *cut, pqdb_error *err);
void pq_db_cut_deinit(struct pq_db_cut_state *cut);

// run_files.c
void pq_db_run_path(uint64_t id, char path[static 64]);
struct pq_run_io pq_db_run_io(pqdb_db *db);
void pq_db_run_remove(pqdb_db *db, uint64_t id);
void pq_db_runs_close(pqdb_db *db);

enum { PQ_DB_MERGE_ROWS = 8192 };      // pqdb_db.merge_rows
enum { PQ_DB_CUT_RUN_BYTES = 8 << 20 };  // pqdb_db.cut_run_bytes
enum { PQ_DB_WAIT_ROWS = 200000 };     // pqdb_db.wait_rows
enum { PQ_DB_LAG_BYTES = 256 << 20 };  // pqdb_db.lag_bytes
enum { PQ_DB_DEAD_BYTES = 64 << 20 };  // pqdb_db.dead_bytes: merging less takes no time

// compact.c
/// Merge files of one table, if any are due and no merge is under way: one file for the next
/// checkpoint. No lock held. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY; CONFLICT: it closes.
pqdb_code pq_db_merge_files(pqdb_db *db, bool *merged, pqdb_error *err);
/// Merge some files of the one table: WAITS for a checkpoint that takes it up; NONE: there are as
/// few as it needs, without dead rows; RUNS: another merge is under way. Likewise.
enum pq_db_merged { PQ_DB_MERGE_NONE, PQ_DB_MERGE_WAITS, PQ_DB_MERGE_RUNS };
pqdb_code pq_db_merge_table(pqdb_db *db, uint32_t id, enum pq_db_merged *merged, pqdb_error *err);
/// Until no file lacks a shredded path of its table, as far as nobody else merges. Errors: as that,
/// and those of checkpoints; what is left is done in the background.
pqdb_code pq_db_shred_files(pqdb_db *db, pqdb_error *err);
void pq_db_merge_close(pqdb_db *db);

// compact_runs.c
/// Merge runs of one state, the least that is due, unless that is under way: one run for the next
/// checkpoint. No lock held. Errors: as pq_db_merge_files.
pqdb_code pq_db_merge_runs(pqdb_db *db, bool *merged, pqdb_error *err);
void pq_db_run_merges_close(pqdb_db *db);

// keeper.c
void pq_db_in_background(void);  // the calling thread yields to writers and readers
pqdb_code pq_db_keeper_start(pqdb_db *db, pqdb_error *err);
void pq_db_keeper_stop(pqdb_db *db);

// recover.c
/// Tables, views and tokens from `root` (all zero: none yet) and the log. `arena` is scratch.
/// Views over much data that are to be built wait for the keeper, where one follows.
pqdb_code pq_db_recover(pqdb_db *db, const struct pq_root *root, bool keeper_follows,
                        struct pq_arena *arena, pqdb_error *err);

#endif
