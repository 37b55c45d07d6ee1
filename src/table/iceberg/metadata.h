/// table/iceberg/metadata.h: v<N>.metadata.json as a struct, and back.
///
/// What this room does not interpret (older schemas, snapshots) is kept as its JSON text. Ours are
/// unpartitioned tables of format version 2 with at most one sort order; partition specs, sort
/// orders, statistics and refs of others are not read and not written.
#ifndef PQ_TABLE_ICEBERG_METADATA_H
#define PQ_TABLE_ICEBERG_METADATA_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "table/iceberg/iceberg.h"

enum { PQ_ICEBERG_NO_SNAPSHOT = -1, PQ_ICEBERG_SORT_BY_KEY = 1 };

struct pq_iceberg_schema {
    int32_t id;
    struct pq_text json;    // the whole object
    struct pq_text fields;  // its list of fields
    struct pq_text keys;    // its identifier-field-ids, "[1]" or ""
};

struct pq_iceberg_snapshot {
    int64_t id;
    int64_t parent_id;  // PQ_ICEBERG_NO_SNAPSHOT: none
    int64_t sequence_number;
    int64_t time_ms;
    int64_t removed_bytes;  // of the files that it took away from its parent; 0: not told
    struct pq_text manifest_list;  // as written, absolute
    struct pq_text json;           // the whole object
};

struct pq_iceberg_log_entry {
    int64_t time_ms;
    int64_t snapshot_id;           // snapshot-log
    struct pq_text metadata_file;  // metadata-log, as written
};

struct pq_iceberg_metadata {
    int32_t format_version;
    struct pq_text uuid;
    struct pq_text location;  // without closing slashes
    int64_t last_sequence_number;
    int64_t last_updated_ms;
    int32_t last_column_id;
    int32_t current_schema_id;
    const struct pq_iceberg_schema *schemas;
    size_t schema_count;
    int32_t key_field_id;  // of sort order 1 when written; 0: none
    const struct pq_iceberg_pair *properties;
    size_t property_count;
    int64_t current_snapshot_id;  // PQ_ICEBERG_NO_SNAPSHOT: none
    const struct pq_iceberg_snapshot *snapshots;
    size_t snapshot_count;
    const struct pq_iceberg_log_entry *snapshot_log;
    size_t snapshot_log_count;
    const struct pq_iceberg_log_entry *metadata_log;
    size_t metadata_log_count;
    const struct pq_iceberg_pair *summary;  // of the current snapshot
    size_t summary_count;
};

/// Everything is copied into `arena`. Reads format versions 1 and 2.
/// Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED, PQDB_NO_MEMORY.
pqdb_code pq_iceberg_metadata_parse(struct pq_text json, struct pq_arena *arena,
                                    struct pq_iceberg_metadata *metadata, pqdb_error *err);

/// Append the file, always of format version 2.
pqdb_code pq_iceberg_metadata_write(const struct pq_iceberg_metadata *metadata,
                                    struct pq_bytes *out, pqdb_error *err);

/// The type of the current schema, in `arena`.
pqdb_code pq_iceberg_metadata_schema(const struct pq_iceberg_metadata *metadata,
                                     struct pq_arena *arena, struct pq_type *schema,
                                     pqdb_error *err);

/// The current snapshot, or NULL.
const struct pq_iceberg_snapshot *pq_iceberg_current(const struct pq_iceberg_metadata *metadata);
const struct pq_iceberg_snapshot *pq_iceberg_find_snapshot(
    const struct pq_iceberg_metadata *metadata, int64_t id);

/// The value of a key, or data NULL.
struct pq_text pq_iceberg_pair_find(const struct pq_iceberg_pair *pairs, size_t count,
                                    const char *key);

/// A path of the metadata relative to the table if it lies below `location`, else as it is. A view.
/// "file:/a", "file:///a" and "/a" are the same place.
struct pq_text pq_iceberg_relative(struct pq_text location, struct pq_text path);

#endif
