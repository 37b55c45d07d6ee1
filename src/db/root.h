/// db/root.h: one consistent cut of the whole database, named by one small immutable file.
///
///     offset  what
///     0       "PQROOT01"
///     8       u32 format version | u32 JSON bytes
///     16      u64 bytes of the blobs
///     24      JSON: version, log position, tables, states, names of blobs
///     ...     8-aligned: the blobs one after the other (deletions, carried rows, variant names)
///     end-8   u64 check (pq_hash of all before)
///
/// The last two roots are kept as `_state/<version, 20 digits>.root`. A file in the database that
/// no kept root names is garbage. Source: ENGINE R1.
#ifndef PQ_DB_ROOT_H
#define PQ_DB_ROOT_H

#include "base/arena.h"
#include "changelog/log.h"
#include "db/last_refresh.h"
#include "state/run.h"
#include "store/store.h"

enum { PQ_ROOT_FORMAT = 1, PQ_ROOT_BYTES_MAX = 1 << 30 };

#define PQ_STATE_DIRECTORY "_state"

struct pq_root_file {
    struct pq_text path;  // in the store
    uint64_t bytes, rows;
    struct pq_text dead;  // bit per row, whole words; empty when none
};

/// A trace: groups of a view, or what it keeps beside them.
struct pq_root_state {
    struct pq_text name;
    const struct pq_run_name *runs;  // newest first
    size_t run_count;
};

/// When a view's contents follow its sources: what they are at the root's version depends on it.
enum pq_root_pace {
    PQ_ROOT_PACE_UNKNOWN,  // no view
    PQ_ROOT_BY_COMMITS,    // they are those of the root's version
    PQ_ROOT_BY_REFRESHES,  // of `reflects`
};

struct pq_root_table {
    struct pq_text name;
    uint32_t id;
    uint64_t version;   // the last commit that changed it
    uint64_t next_seq;
    uint64_t published;    // log version of its metadata on disk
    uint64_t lost_before;  // a repair lost rows: what it held before this version is not known
    const struct pq_root_file *files;
    size_t file_count;
    struct pq_text carried;  // rows too few for a file, as a log part; empty when none
    struct pq_text names;    // Parquet variant metadata of its names; views: only if is_old
    // Views.
    const struct pq_root_state *states;
    size_t state_count;
    uint64_t refresh_version;  // of the definition that made the contents; 0: of none that holds
    struct pq_text columns;    // of the contents, as pq_shape_write has them; empty: no contents
    uint32_t names_of;         // the collection whose names their variants have, while not is_old
    bool is_old;               // contents of a definition before, shown until those of this are
                               // there: without state, and with `names` of their own
    struct pq_text failure;    // why they are not kept up to date; empty when they are
    struct pq_text tried;      // why the last try of a refresh failed; empty when it did not
    enum pq_root_pace pace;
    bool kept;                 // it holds what came of rows that are gone by $retention
    uint64_t reflects, shows;  // lagging views
    struct pq_log_position reflects_position;
    int64_t refreshed_us;
    uint64_t mark;    // 'append': creation numbers from here on are new to it
    struct pq_last_refresh last;
    int64_t slot_us;  // of a schedule, the last that is complete; 0: none
};

struct pq_root {
    uint64_t version;
    int64_t time_us;
    struct pq_log_position position;  // replay starts here
    const struct pq_root_table *tables;
    size_t table_count;
    struct pq_root_state tokens;
    uint64_t run_id;  // the last one given to a run
};

/// Write it durably under its version's name. Errors: PQDB_IO, PQDB_NO_MEMORY, PQDB_LIMIT.
pqdb_code pq_root_write(struct pq_store *store, const struct pq_root *root,
                        const struct pq_alloc *alloc, pqdb_error *err);

/// After an error of pq_root_write: is its name there all the same, or cannot that be told?
bool pq_root_may_exist(struct pq_store *store, uint64_t version);

/// Versions of the roots that are there, newest first, in `arena`.
struct pq_roots {
    const uint64_t *versions;
    size_t count;
};
pqdb_code pq_root_list(struct pq_store *store, struct pq_arena *arena, struct pq_roots *roots,
                       pqdb_error *err);
void pq_root_path(uint64_t version, char path[static 64]);

/// One of them, everything in `arena`. Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED (a newer format),
/// PQDB_IO, PQDB_NO_MEMORY.
pqdb_code pq_root_read(struct pq_store *store, uint64_t version, struct pq_arena *arena,
                       struct pq_root *root, pqdb_error *err);

/// The newest one; `*found` false in a fresh database. A damaged newest root is PQDB_CORRUPT: going
/// on from the one before is a repair (parquedb/check.h).
pqdb_code pq_root_read_newest(struct pq_store *store, struct pq_arena *arena,
                              struct pq_root *root, bool *found, pqdb_error *err);

#endif
