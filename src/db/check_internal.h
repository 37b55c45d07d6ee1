/// db/check_internal.h: a check of a database that is not open: what it walks over, what it found.
///
/// check.c walks roots, log and directories, check_table.c the files of one table, repair.c mends.
#ifndef PQ_DB_CHECK_INTERNAL_H
#define PQ_DB_CHECK_INTERNAL_H

#include <parquedb/check.h>

#include "db/open_with.h"
#include "db/root.h"
#include "db/shapes.h"
#include "type/schema.h"

/// What a repair does about a damage.
enum pq_db_remedy {
    PQ_REMEDY_NONE,
    PQ_REMEDY_MOVE,       // the file goes; it is made again, or nobody needs it
    PQ_REMEDY_NEW_ROOT,   // likewise; the root before it and the log take its place
    PQ_REMEDY_VIEW,       // the view is built from its source
    PQ_REMEDY_SALVAGE,    // the rows that can be read, in a new file
    PQ_REMEDY_STEP_BACK,  // the root that names the file goes; one before it, or none, and the log
    PQ_REMEDY_METADATA,   // the table is published anew
    PQ_REMEDY_HINT,       // only its hint is
    PQ_REMEDY_TOKENS,     // they are forgotten
    PQ_REMEDY_OLD_LOG,    // it and the segments before it go: a checkpoint holds them
    PQ_REMEDY_HEADER,     // of a log segment, from its first frame
    PQ_REMEDY_CUT_LOG,    // commits are lost
};

struct pq_db_plan;

struct pq_db_damage {
    pqdb_damage shown;  // its texts in the check's arena
    enum pq_db_remedy remedy;
    uint32_t table;     // id; 0: none
    struct pq_db_damage *next;
};

struct pq_db_check {
    const struct pq_open_with *with;
    struct pq_store *store;
    const struct pq_alloc *alloc;
    const pqdb_check_options *options;
    struct pq_arena arena;       // of everything that follows
    struct pq_schema *schema;    // owned; NULL: it cannot be read
    struct pq_db_shapes shapes;  // zero: they are not known
    struct pq_db_plan *plan;     // owned; of the shapes, where they follow from the schema
    struct pq_roots roots;
    bool has_root, has_older;
    struct pq_root root;         // the newest that is whole
    struct pq_root older;        // the one before, if it is whole
    uint64_t roots_below;        // as if there were only roots of versions below this; 0: all
    uint64_t step_back_to;       // likewise, what PQ_REMEDY_STEP_BACK leaves
    struct pq_log_position cut;  // where the log's damage begins
    struct pq_text *known;       // paths that something names
    size_t known_count, known_room;
    struct pq_db_damage *damages, **damages_end;
    bool has_lost;     // repair: rows that views had seen are gone
    bool has_missing;  // a file that something names is not there
    pqdb_checked checked;
    uint64_t bytes_all;
};

/// What is told of a damage; the message is the error's unless given.
struct pq_db_found {
    const char *file, *part, *message, *remedy;
    struct pq_text table;
    enum pq_db_remedy act;
    uint32_t id;
    bool is_lost;
};
pqdb_code pq_db_check_found(struct pq_db_check *check, const struct pq_db_found *found,
                            const pqdb_error *why, pqdb_error *err);

/// Something names the path; no garbage.
pqdb_code pq_db_check_know(struct pq_db_check *check, const char *path, pqdb_error *err);
/// A file is being looked at: counted, and told to the caller.
void pq_db_check_file(struct pq_db_check *check, const char *path, uint64_t bytes);
bool pq_db_check_has_file(struct pq_db_check *check, struct pq_text path);
/// May the check go on after this? Everything but damage and missing files is the check's own.
bool pq_db_is_damage(pqdb_code code);

/// Is it a view? And what it is built from, as text for people.
bool pq_db_check_is_view(struct pq_db_check *check, struct pq_text name);
/// Where the table lives.
void pq_db_check_directory(struct pq_db_check *check, const struct pq_root_table *table,
                           char path[static PQ_STORE_PATH_MAX]);
/// A view whose rows do not all follow from what is there: it appends, or keeps what has gone.
bool pq_db_check_keeps(const struct pq_db_check *check, struct pq_text view);
struct pq_text pq_db_check_source(const struct pq_db_check *check, struct pq_text view);

/// Data files, what is beside them, metadata of one table of the newest root.
pqdb_code pq_db_check_table(struct pq_db_check *check, const struct pq_root_table *table,
                            pqdb_error *err);
/// The runs of its state.
pqdb_code pq_db_check_states(struct pq_db_check *check, const struct pq_root_table *table,
                             pqdb_error *err);
pqdb_code pq_db_check_run(struct pq_db_check *check, const struct pq_run_name *name,
                          const struct pq_db_found *found, pqdb_error *err);

// check_shapes.c; after the roots
/// Do ids and columns of all tables follow from the schema alone? Then they are the check's.
/// Cost: the log is walked.
pqdb_code pq_db_check_shapes_follow(struct pq_db_check *check, bool *follow, pqdb_error *err);

// step_back.c; when everything has been walked
/// Rows that a damaged file loses are brought again by an older root, or none, and the log, if
/// all of that is whole: then their damages become such.
/// Cost: with lost rows, another walk or two.
pqdb_code pq_db_check_step_back(struct pq_db_check *check, pqdb_error *err);

// salvage.c
/// The live rows of a damaged data file that can be read, into the file `to`; NULL: only looked at.
struct pq_db_salvage {
    const struct pq_root_table *table;
    const struct pq_root_file *file;
    const char *to;
    uint64_t saved, lost, bytes;  // rows; bytes of the new file
    struct pq_bytes where;        // the caller's: the lost rows by their ids, as text for people
};
/// Cost    a read of the file, and of each damaged page many
/// Errors  PQDB_CORRUPT: not a row can be told from it; PQDB_IO, PQDB_NO_MEMORY
pqdb_code pq_db_salvage(struct pq_db_check *check, struct pq_db_salvage *salvage,
                        pqdb_error *err);

/// Everything once. Damages are in the list, not yet told.
pqdb_code pq_db_check_walk(struct pq_db_check *check, pqdb_error *err);
void pq_db_check_init(struct pq_db_check *check, const struct pq_open_with *with,
                      const pqdb_check_options *options);
void pq_db_check_deinit(struct pq_db_check *check);

/// Mend what the walk found, and look again. `*lock` is given up on the way: NULL then.
pqdb_code pq_db_repair(struct pq_db_check *check, struct pq_lock **lock, pqdb_error *err);

/// pqdb_check over any store.
pqdb_code pq_db_check_with(const struct pq_open_with *with, const pqdb_check_options *options,
                           pqdb_checked *checked, pqdb_error *err);

#endif
