/// parquedb/db.h: a database: a directory with a schema, a change log and tables.
///
/// One process writes at a time. Inside it every function may be called from any thread; readers
/// work on snapshots and never wait for writers. Text is UTF-8; lengths are in bytes.
#ifndef PQDB_DB_H
#define PQDB_DB_H

#include <parquedb/api.h>
#include <parquedb/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

PQDB_BEGIN

typedef struct pqdb_db pqdb_db;

/// One mistake in a schema or definition. Texts are valid during the call that gives it.
typedef struct pqdb_problem {
    const char *code;     ///< "INVALID_FILTER", "DUPLICATE_KEY" …
    const char *path;     ///< "WorkerErrors.$filter.outcome"
    size_t line;          ///< from 1; 0 when the text has no position
    size_t column;        ///< from 1, in bytes
    const char *message;  ///< what is wrong
    const char *remedy;   ///< what to do, or ""
    bool is_warning;
} pqdb_problem;

/// Called for each problem, in the order of the text. May be NULL wherever it is a parameter.
typedef void (*pqdb_on_problem)(void *ctx, const pqdb_problem *problem);

/// Check a JSON5 schema without a database. Errors: PQDB_INVALID when there is a mistake.
PQDB_API pqdb_code pqdb_schema_check(const char *schema, size_t length, pqdb_on_problem on_problem,
                                     void *ctx, pqdb_error *err);

/// Make a database in `directory` (made when missing; it may hold foreign files).
/// Errors: PQDB_INVALID (the schema), PQDB_CONFLICT (there is one already), PQDB_IO.
PQDB_API pqdb_code pqdb_init(const char *directory, const char *schema, size_t length,
                             pqdb_on_problem on_problem, void *ctx, pqdb_error *err);

/// Zero is a default everywhere.
typedef struct pqdb_options {
    bool read_only;              ///< write nothing, wait for nobody; beside a writer as well: shows
                                 ///< what is durable at open, and keeps it until close
    size_t memory_bytes;         ///< for everything it holds in memory; 0: half of the machine's
    uint64_t checkpoint_log_bytes;  ///< checkpoint when the log has grown so much; 0: 256 MiB
    bool schedule;               ///< refresh scheduled views at their times, in the background
    int64_t checkpoint_ms;       ///< and at least so often while there is news; 0: 60 s; -1: never
} pqdb_options;

/// Open it: the last checkpoint, then the log from there. Only one process may have it open for
/// writing. Cost: the log's tail, not the data.
/// Errors: PQDB_NOT_FOUND (no database here), PQDB_CONFLICT (open in another process, whose pid the
/// message has), PQDB_CORRUPT, PQDB_UNSUPPORTED (written by a newer version), PQDB_IO.
PQDB_API pqdb_code pqdb_open(const char *directory, const pqdb_options *options, pqdb_db **db,
                             pqdb_error *err);

/// Checkpoint when the log's tail is long, then let go. Frees `db` whatever happens; an error says
/// what of it was not possible, and nothing acknowledged is lost. No rows may be open.
PQDB_API pqdb_code pqdb_close(pqdb_db *db, pqdb_error *err);

/// The schema as it was applied, NUL-terminated, valid until close.
PQDB_API const char *pqdb_schema_text(const pqdb_db *db, size_t *length);

/// An entry of the schema.
typedef struct pqdb_entry {
    const char *name;
    const char *kind;  ///< "collection", "stream", "view" or "external"
    const char *ingest;  ///< "tail", "custom:orders" …, or ""
    const char *from;  ///< of a view, else ""
    uint64_t rows;
    uint64_t version;  ///< the last commit that changed it, 0: none
} pqdb_entry;
PQDB_API size_t pqdb_entry_count(const pqdb_db *db);
PQDB_API pqdb_code pqdb_entry_at(pqdb_db *db, size_t index, pqdb_entry *entry, pqdb_error *err);

/// The columns of a collection or view, for people: `type` is as a schema would say it.
typedef void (*pqdb_on_column)(void *ctx, const char *name, const char *type, bool is_system);
PQDB_API pqdb_code pqdb_columns(pqdb_db *db, const char *name, pqdb_on_column on_column, void *ctx,
                                pqdb_error *err);

/// Write everything committed so far into Parquet files, with Iceberg metadata that names the
/// version, shorten the log, and merge files as far as that is due. Returns when it is durable.
PQDB_API pqdb_code pqdb_checkpoint(pqdb_db *db, pqdb_error *err);

/// What pqdb_compact did for a collection or view; the same before and after: there was nothing to
/// do. Bytes are those of its data files.
typedef struct pqdb_compacted {
    const char *name;  ///< valid in the call
    uint64_t files_before, files_after;
    uint64_t bytes_before, bytes_after;
} pqdb_compacted;
typedef void (*pqdb_on_compacted)(void *ctx, const pqdb_compacted *compacted);

/// Write everything into files, and then merge those of a collection or view (NULL: of each), until
/// it has one, or as few as hold 33,554,432 rows each, without rows that are gone. The background
/// does as much of this as pays; writers and readers go on meanwhile. Files that were replaced stay
/// on disk as long as somebody may read them. `on_compacted` may be NULL.
/// Errors: PQDB_NOT_FOUND, others as pqdb_checkpoint.
PQDB_API pqdb_code pqdb_compact(pqdb_db *db, const char *name, pqdb_on_compacted on_compacted,
                                void *ctx, pqdb_error *err);

/// Memory by what it is for, in bytes. What is in `used` alone belongs to running steps and
/// answers, or is kept for the next ones.
typedef struct pqdb_memory {
    uint64_t limit, used;
    uint64_t rows, rows_max;      ///< not yet in files
    uint64_t states, states_max;  ///< of views; the rest of them is read from disk when needed
    uint64_t pages, pages_max;    ///< decoded from files
    uint64_t indexes;             ///< of files: filters of ids, links, pages
} pqdb_memory;

/// The whole database at a glance.
typedef struct pqdb_status {
    uint64_t version;             ///< the last commit, 0: none
    int64_t time_us;              ///< of it, microseconds since 1970
    uint64_t checkpoint_version;  ///< what the files on disk show
    uint64_t log_bytes;           ///< not yet covered by a checkpoint
    uint64_t memory_bytes;        ///< rows held in memory
    uint64_t file_bytes;          ///< of the tables' current data files
    size_t file_count;
    size_t collections;
    size_t views;
    pqdb_memory memory;
    char background_error[256];   ///< why the last checkpoint failed, or ""
} pqdb_status;
PQDB_API pqdb_code pqdb_status_get(pqdb_db *db, pqdb_status *status, pqdb_error *err);

/// Who needs how much of the change log: it is trimmed at checkpoints, a whole segment at a time,
/// up to the first commit that anybody needs.
typedef struct pqdb_log_holder {
    const char *name;    ///< the view or collection, or "" for the database itself
    const char *reason;
    uint64_t version;    ///< the first commit that is needed
    uint64_t bytes;      ///< of the log from there on
    bool is_let_go;      ///< it is not waited for any more
} pqdb_log_holder;
typedef void (*pqdb_on_log_holder)(void *ctx, const pqdb_log_holder *holder);
/// `$history`, the views that lag, a build that runs, another process that reads, the last
/// checkpoint. Texts are valid during the call.
PQDB_API pqdb_code pqdb_log_holders(pqdb_db *db, pqdb_on_log_holder on_holder, void *ctx,
                                    pqdb_error *err);

/// Versions, sizes, lag and errors as text for Prometheus (exposition format 0.0.4), with a NUL
/// behind it; the caller's (pqdb_free). Errors: PQDB_NO_MEMORY, PQDB_IO, PQDB_CORRUPT (the log).
PQDB_API pqdb_code pqdb_metrics(pqdb_db *db, char **text, size_t *length, pqdb_error *err);

/// One commit of the change log.
typedef struct pqdb_change {
    uint64_t version;
    int64_t time_us;
    const char *kind;        ///< "commit", "refresh" …
    const char *collection;  ///< of these rows; a commit comes once for each
    uint64_t rows_added;
    uint64_t rows_removed;
    const char *token;       ///< idempotency token, or ""
} pqdb_change;
typedef pqdb_code (*pqdb_on_change)(void *ctx, const pqdb_change *change);

/// The commits from `since` + 1 on, as far back as the log reaches.
/// Errors: PQDB_NOT_FOUND when `since` is older than that; a code from `on_change` ends the walk.
PQDB_API pqdb_code pqdb_log_read(pqdb_db *db, uint64_t since, pqdb_on_change on_change, void *ctx,
                                 pqdb_error *err);
/// The oldest version the log still has.
PQDB_API uint64_t pqdb_log_first(pqdb_db *db);

PQDB_END

#endif
