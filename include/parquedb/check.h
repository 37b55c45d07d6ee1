/// parquedb/check.h: is every stored byte of a database sound, and what can be rebuilt?
#ifndef PQDB_CHECK_H
#define PQDB_CHECK_H

#include <parquedb/db.h>

PQDB_BEGIN

/// One damage. Texts are valid during the call that gives it.
typedef struct pqdb_damage {
    const char *file;     ///< below the database's directory
    int64_t offset;       ///< of the damage in the file, or -1
    const char *part;     ///< "schema", "tables", "root", "log", "data", "ids", "links", "state",
                          ///< "tokens" or "metadata"
    const char *table;    ///< the collection or view, or ""
    const char *message;  ///< what is wrong
    const char *remedy;   ///< what it is rebuilt from, or what is lost
    bool is_lost;         ///< rows or commits that nothing in the database can bring back
    bool is_repaired;
} pqdb_damage;

/// What was looked at and what was found.
typedef struct pqdb_checked {
    uint64_t version;         ///< the last commit that is whole
    uint64_t files, bytes;    ///< looked at
    uint64_t roots;
    uint64_t segments, frames, commits;  ///< of the change log
    uint64_t data_files, pages, values;  ///< Parquet; values decoded
    uint64_t side_files;      ///< filters of ids, and links, beside data files
    uint64_t runs, run_rows;  ///< of views' states and tokens
    uint64_t metadata_files;
    uint64_t damages, lost, repaired;
    uint64_t unnamed_files, unnamed_bytes;  ///< that nothing names: an open or checkpoint removes
                                            ///< them
} pqdb_checked;

typedef struct pqdb_check_options {
    const char *name;  ///< of one collection or view whose files are looked at; NULL: everything
    /// Rebuild what can be rebuilt. A damaged file is moved into damaged/ of the database, never
    /// removed; what is sound is not touched. Nobody else may have the database open.
    bool repair;
    void (*on_damage)(void *ctx, const pqdb_damage *damage);  ///< or NULL; at the end, in order
    void (*on_progress)(void *ctx, const char *file, uint64_t bytes, uint64_t bytes_all);  ///< NULL
    /// Files that nothing names; or NULL.
    void (*on_unnamed)(void *ctx, const char *file, uint64_t bytes);
    void *ctx;
} pqdb_check_options;

/// Read everything that the database in `directory` consists of: the schema, roots, each frame of
/// the log, each page of each data file with its checksums and statistics, what is beside data
/// files, views' states, Iceberg metadata. The database need not be one that opens, and another
/// process may be writing to it. `options` may be NULL.
///
/// Errors  PQDB_NOT_FOUND (no database here, or no such collection or view), PQDB_CONFLICT (repair:
///         open in another process), PQDB_UNSUPPORTED (written by a newer version), PQDB_IO,
///         PQDB_NO_MEMORY. Damage is no error: checked->damages counts it.
PQDB_API pqdb_code pqdb_check(const char *directory, const pqdb_check_options *options,
                              pqdb_checked *checked, pqdb_error *err);

PQDB_END

#endif
