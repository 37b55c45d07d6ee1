/// db/cut_internal.h: what a checkpoint is made of while it is being made.
#ifndef PQ_DB_CUT_INTERNAL_H
#define PQ_DB_CUT_INTERNAL_H

#include "db/checkpoint_internal.h"
#include "table/rewrite.h"

enum {
    PQ_CUT_PIECES_MAX = 3  // new files of a table: two from memory, one merged before
};

/// Segments that become one new file.
struct cut_piece {
    struct pq_segment *const *old;  // a part of its table's
    size_t old_count;
    char *path;                // of the file, in the cut's arena; NULL: none begun
    struct pq_rewritten rewritten;
    struct pq_segment *fresh;  // over the file, NULL when every row was dead
    bool is_merged;            // written before the cut, see compact.c, from rows
    uint64_t merged_at;        // as they were at this version
    // While it is written:
    pqdb_db *db;
    struct pq_table_snapshot *snapshot;
    pqdb_code code;
    pqdb_error error;
};

/// A file whose dead rows take less from the installation on.
struct cut_fold {
    struct pq_segment *segment;  // of the catalog
    struct pq_segment *folded;   // owned reference
};

/// One table's part of the cut.
struct cut_table {
    struct pq_db_table *table;  // whose rows they are
    struct pq_table_snapshot *snapshot;  // sealed: everything is in its catalog; from the
                                         // installation on what is there then,
    struct pq_table_snapshot *replaced;  // and this one goes
    uint64_t version, next_seq;
    size_t held, memory;          // bytes in chunks at the cut: as the table counts, and counted
    bool writes;                  // `old` becomes files
    bool is_unbuilt;              // a view without contents: its metadata stays as it is,
    bool is_old;                  // and the rows are those of the definition before
    struct pq_segment **old;      // in the cut's arena: what is rewritten
    size_t old_count;
    bool only_files;              // the rewrite merges files: rows stay the same
    struct cut_piece pieces[PQ_CUT_PIECES_MAX];
    size_t piece_count;
    struct cut_fold *folds;       // in the cut's arena
    size_t fold_count;
    struct pq_db_cut_state *states;  // of a view
    size_t state_count;
    struct pq_root_table root;
};

struct cut {
    pqdb_db *db;
    struct pq_arena arena;  // dies with the checkpoint
    struct cut_table *tables;
    size_t table_count;
    struct pq_db_cut_state tokens;
    struct pq_db_token_bound token_bound;
    struct pq_root root;
    bool write_all;
};

// cut_choose.c
/// Files that a checkpoint itself merges have at most so many rows, twice as many together: they
/// are read into memory. Larger ones are left to the merges beside it.
size_t pq_db_cut_rows_max(const pqdb_db *db);
/// Fill in `old` and `pieces`; with what is merged already. Errors: NO_MEMORY, IO.
pqdb_code pq_db_cut_choose(struct cut *cut, struct cut_table *table, pqdb_error *err);

/// Is it one of those that are rewritten?
bool pq_db_cut_has(const struct cut_table *table, const struct pq_segment *segment);

// metadata.c; behind the root
/// Each table whose rows are all in files shows them in its Iceberg metadata, at the cut.
pqdb_code pq_db_publish_metadata(struct cut *cut, pqdb_error *err);

// compact.c; under `refreshing`
/// Is a merge done that the next checkpoint takes into its root? One of this table's files?
bool pq_db_merge_waits(const pqdb_db *db);
bool pq_db_merge_waits_for(const pqdb_db *db, uint32_t table_id);
/// It becomes the last piece of its table, when this is the table.
pqdb_code pq_db_merge_adopt(struct cut *cut, struct cut_table *table, pqdb_error *err);
/// After a checkpoint: what it took is over.
void pq_db_merge_end(pqdb_db *db);

// compact_runs.c; under `refreshing`
/// Of a state's runs, newest first, the `count` from `first` on should become one; 0: none. What is
/// being merged, and what is older than that, is left alone.
struct pq_db_runs_due {
    size_t first, count;
    uint64_t bytes;  // of their files
};
struct pq_db_runs_due pq_db_runs_due(const pqdb_db *db, const struct pq_db_token_bound *tokens,
                                     struct pq_run *const *runs, size_t total);
/// Is a merge done that the next checkpoint takes into its root?
bool pq_db_run_merge_waits(const pqdb_db *db);
/// Some of these runs were merged: then `cut` says so.
bool pq_db_run_merge_take(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_run *const *runs,
                          size_t total);
void pq_db_run_merge_taken(struct pq_db_cut_state *cut);  // it is installed
/// After the installation: what was taken is over, and what no state wants goes.
void pq_db_run_merges_end(pqdb_db *db);
/// Is the run read or made by a merge?
bool pq_db_merges_run(const pqdb_db *db, uint64_t id);
/// Leader: how many runs the state with the most of them has, in 1024ths of what there should be.
uint32_t pq_db_run_backlog(pqdb_db *db);

#endif
