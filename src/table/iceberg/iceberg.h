/// table/iceberg/iceberg.h: a table's metadata in the form every other engine reads, Iceberg v2.
///
///     <table>/metadata/version-hint.text       the current N, ASCII, no newline
///     <table>/metadata/v<N>.metadata.json      schemas, snapshots, properties
///     <table>/metadata/snap-<N>-<id>.avro      manifest list of the snapshot made by v<N>
///     <table>/metadata/manifest-<N>-<k>.avro   data or delete files with their metrics
///     <table>/data/                            the Parquet files; this room never touches them
///
/// The metadata is a projection: the database's own truth is its root file, which names the table's
/// files. Publishing compares that list with what the metadata says and writes the difference as
/// one snapshot; a publish that changes nothing is recognised, so it can be repeated after a crash.
/// A snapshot that others have added to the table disappears from its head at the next publish.
/// v<N>.metadata.json is created whole and never replaced; the hint is moved afterwards and is only
/// a hint. Until then a reader sees the old table. Source: FORMATS 2 and 4, Iceberg's spec.
#ifndef PQ_TABLE_ICEBERG_ICEBERG_H
#define PQ_TABLE_ICEBERG_ICEBERG_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/env.h"
#include "type/type.h"

struct pq_store;  // store/store.h

/// Summary key with the log version that a snapshot reflects.
#define PQ_ICEBERG_VERSION_KEY "parquedb.version"

/// Field ids that Iceberg reserves for the two columns of a position delete file.
enum { PQ_ICEBERG_ID_DELETE_PATH = 2147483546, PQ_ICEBERG_ID_DELETE_POS = 2147483545 };

struct pq_iceberg_pair {
    struct pq_text key, value;
};

/// What is known of one leaf column of one file. Counts are of values, -1 when unknown. Bounds are
/// in Iceberg's single-value form (little-endian numbers, big-endian decimals, plain text), data
/// NULL when unknown; text and binary are cut to 16 code points or bytes. VARIANT columns are JSON
/// text: they have counts and no bounds. measure.h makes all of this of Parquet's figures.
struct pq_iceberg_column {
    int32_t field_id;
    int64_t bytes;        // compressed, with page headers
    int64_t value_count;  // with nulls; in a list every element counts
    int64_t null_count;
    int64_t nan_count;  // FLOAT32 and FLOAT64 only
    struct pq_text lower, upper;
};

enum pq_iceberg_content { PQ_ICEBERG_DATA = 0, PQ_ICEBERG_POSITION_DELETES = 1 };

struct pq_iceberg_file {
    enum pq_iceberg_content content;
    struct pq_text path;  // below the table, "data/x.parquet"; what lies elsewhere is absolute
    int64_t row_count;
    int64_t file_bytes;
    const struct pq_iceberg_column *columns;
    size_t column_count;
    const int64_t *split_offsets;  // where row groups begin, ascending
    size_t split_count;
    bool is_sorted;  // by the table's key

    // Set by load only.
    int64_t sequence_number;
    int32_t partition_spec_id;  // 0 in our own tables: unpartitioned
};

enum pq_iceberg_operation {
    PQ_ICEBERG_DERIVED,    ///< append if data files were only added, delete if only rows went
    PQ_ICEBERG_REPLACE,    ///< other files, same rows: a compaction
    PQ_ICEBERG_OVERWRITE,  ///< rows changed
};

/// One publish. Everything is borrowed for the time of the call.
struct pq_iceberg_commit {
    uint64_t version;  // the log position that the files reflect
    int64_t time_us;
    struct pq_text location;  // of the table: absolute, "file:///srv/db/Orders", no closing slash
    enum pq_iceberg_operation operation;

    /// OBJECT; every field, list element and member has its id. VARIANT is stored as JSON text.
    const struct pq_type *schema;
    int32_t key_field_id;  // of `$id`: identifier and sort order of the table; 0 when there is none

    /// All live files, with unique paths. A file that the table has already is known by its path
    /// and is not looked at further; for the others `measure`, if given, is called first, so that
    /// a caller need not hold metrics: it fills in `file` (its memory from `arena`).
    const struct pq_iceberg_file *files;
    size_t file_count;
    pqdb_code (*measure)(void *ctx, size_t file_index, struct pq_arena *arena,
                         struct pq_iceberg_file *file, pqdb_error *err);
    void *measure_ctx;

    const struct pq_iceberg_pair *properties;  // set in the table; keys not named here stay
    size_t property_count;
    const struct pq_iceberg_pair *summary;  // of this snapshot, beside the counters
    size_t summary_count;

    uint32_t snapshots_kept;  // at least 1: how many remain readable, with the new one
    uint64_t held_bytes_max;  // of files that only the older ones need; beyond it they go, the
                              // oldest first. 0: any number
};

/// What a publish leaves behind, in the caller's arena. Names are relative to the table's
/// directory; files of others that lie elsewhere are absolute. Once nobody can be reading the older
/// snapshots any more, they can be removed. What could not be read is not named: it leaks.
struct pq_iceberg_outcome {
    bool is_new;  // false: the table was there already, nothing but the hint may have been written
    int64_t snapshot_id;
    uint64_t metadata_number;  // N of v<N>.metadata.json
    const struct pq_text *unneeded;  // metadata files that nothing refers to any more
    size_t unneeded_count;
    const struct pq_text *released;  // data and delete files that no kept snapshot needs any more
    size_t released_count;
};

/// The metadata of one table directory, with what is worth remembering between two publishes.
struct pq_iceberg;

/// `directory` is the table's prefix in the store without a closing slash, e.g. "_views/Recent"; it
/// need not exist. Cost: two or three reads; manifests only once they are needed.
/// Owns: `store`, `env` and `alloc` are borrowed until close. Thread: one at a time.
/// Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED, PQDB_IO.
pqdb_code pq_iceberg_open(struct pq_store *store, struct pq_text directory,
                          const struct pq_env *env, const struct pq_alloc *alloc,
                          struct pq_iceberg **table, pqdb_error *err);
/// The same where metadata or manifests are damaged or missing: they are not read, and the next
/// publish makes the table like a new one, under the number behind the highest that is there.
pqdb_code pq_iceberg_open_anew(struct pq_store *store, struct pq_text directory,
                               const struct pq_env *env, const struct pq_alloc *alloc,
                               struct pq_iceberg **table, pqdb_error *err);

/// Let version-hint.text name the newest metadata, where a process was killed between the two.
/// Cost: two small files are read. Errors: as pq_iceberg_publish.
pqdb_code pq_iceberg_announce(struct pq_iceberg *table, pqdb_error *err);
void pq_iceberg_close(struct pq_iceberg *table);
/// Has the table this property? Errors: as pq_iceberg_publish.
pqdb_code pq_iceberg_has_property(struct pq_iceberg *table, const char *key,
                                  struct pq_text value, bool *has, pqdb_error *err);
/// Is there a snapshot, and which log version does the current one reflect? False for a table that
/// was never published, or whose head is a snapshot of somebody else.
bool pq_iceberg_version(const struct pq_iceberg *table, uint64_t *version);

/// Make the table say what `commit` says: afterwards v<N>.metadata.json is durable.
///
/// Cost    one manifest for the new files, one rewritten for each manifest with a removed file, one
///         list, one metadata file, the hint; manifests of like size are merged by eight. All of
///         them are written anew when `location` is not the one of the last publish (moved tables).
/// Errors  PQDB_CONFLICT: another writer made v<N> first; PQDB_INVALID: no id, a path twice, a
///         location without scheme; PQDB_IO. The table on disk is then as before or as after; a
///         further call looks it up again and does what is left to do.
pqdb_code pq_iceberg_publish(struct pq_iceberg *table, const struct pq_iceberg_commit *commit,
                             struct pq_arena *arena, struct pq_iceberg_outcome *outcome,
                             pqdb_error *err);

/// Drop the snapshots older than `keep_ms` (since 1970), never the current one: afterwards a
/// metadata file without them is durable. `*dropped` 0: there was none, nothing was written.
///
/// Cost    the manifest lists of what is dropped, and manifests in which files went
/// Errors  as for publish
pqdb_code pq_iceberg_vacuum(struct pq_iceberg *table, int64_t keep_ms, struct pq_arena *arena,
                            struct pq_iceberg_outcome *outcome, size_t *dropped, pqdb_error *err);

/// Name what a publish would have named, had no crash come between it and the removal of files:
/// files of our naming below metadata/ and Parquet files below data/ that no kept snapshot needs.
/// Data files that are not published yet are among them: they are the caller's to keep.
///
/// Cost    reads every manifest of every kept snapshot; for the open after a crash
/// Errors  as for load; then nothing may be removed
pqdb_code pq_iceberg_find_orphans(struct pq_iceberg *table, struct pq_arena *arena,
                                  struct pq_iceberg_outcome *orphans, pqdb_error *err);

/// What the current snapshot holds, in the caller's arena.
struct pq_iceberg_view {
    bool has_snapshot;
    int32_t format_version;
    struct pq_text location, uuid;
    int64_t snapshot_id, sequence_number, time_ms;
    int32_t schema_id;
    int32_t last_column_id;
    const struct pq_type *schema;  // OBJECT
    const struct pq_iceberg_file *files;  // live data and delete files
    size_t file_count;
    const struct pq_iceberg_pair *properties;
    size_t property_count;
    const struct pq_iceberg_pair *summary;
    size_t summary_count;
};

/// Errors: PQDB_NOT_FOUND if there is no table; PQDB_CORRUPT; PQDB_UNSUPPORTED: format version 3
/// and above, types and delete files that are not read here (named in the message).
pqdb_code pq_iceberg_load(struct pq_iceberg *table, struct pq_arena *arena,
                          struct pq_iceberg_view *view, pqdb_error *err);

/// Give ids to an OBJECT type: a field, element or member that `previous` (may be NULL) has under
/// the same path and kind keeps its id, others get *last_id + 1 and so on; no id is given twice.
pqdb_code pq_iceberg_assign_ids(const struct pq_type *schema, const struct pq_type *previous,
                                int32_t *last_id, struct pq_arena *arena,
                                const struct pq_type **with_ids, pqdb_error *err);

#endif
