/// table/iceberg/manifest.h: the two Avro files between metadata and data.
///
/// A manifest lists data files or delete files (never both), a manifest list the manifests of one
/// snapshot. In memory all paths below the table are relative to it; `location` is what stands
/// before them in the files.
#ifndef PQ_TABLE_ICEBERG_MANIFEST_H
#define PQ_TABLE_ICEBERG_MANIFEST_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "table/iceberg/iceberg.h"

enum pq_iceberg_status {
    PQ_ICEBERG_EXISTING = 0,
    PQ_ICEBERG_ADDED = 1,
    PQ_ICEBERG_DELETED = 2,
};

/// A line of the manifest list.
struct pq_iceberg_manifest {
    struct pq_text path;
    int64_t bytes;
    int32_t partition_spec_id;
    enum pq_iceberg_content content;
    int64_t sequence_number;
    int64_t min_sequence_number;  // of its live files
    int64_t added_snapshot_id;
    int64_t file_counts[3];  // by status
    int64_t row_counts[3];
};

struct pq_iceberg_entry {
    enum pq_iceberg_status status;
    int64_t snapshot_id;           // of the snapshot that added or deleted the file
    int64_t sequence_number;       // the file's rows'
    int64_t file_sequence_number;  // of the snapshot that first had the file
    struct pq_iceberg_file file;
};

struct pq_iceberg_list {
    struct pq_iceberg_manifest *items;
    size_t count;
};

struct pq_iceberg_entries {
    struct pq_iceberg_entry *items;
    size_t count;
};

/// Read a manifest list. Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED, PQDB_NO_MEMORY.
pqdb_code pq_iceberg_list_read(struct pq_text bytes, struct pq_text location,
                               struct pq_arena *arena, struct pq_iceberg_list *list,
                               pqdb_error *err);

/// Read a manifest's entries; what they inherit from its line in the list is filled in.
/// Errors: also PQDB_UNSUPPORTED for equality deletes and for files that are not Parquet, if live.
pqdb_code pq_iceberg_manifest_read(struct pq_text bytes, const struct pq_iceberg_manifest *line,
                                   struct pq_text location, struct pq_arena *arena,
                                   struct pq_iceberg_entries *entries, pqdb_error *err);

/// What both writers need to know of the snapshot being made.
struct pq_iceberg_target {
    struct pq_text location;
    int64_t snapshot_id;
    int64_t parent_snapshot_id;  // -1: none
    int64_t sequence_number;
    struct pq_text schema;  // JSON of the table's schema
    int32_t schema_id;
    const uint8_t *sync;  // 16 random bytes
};

/// Append a manifest of at least one entry, all of one content, to `out` and fill in its line but
/// for the path. Added entries leave their sequence numbers to be inherited.
pqdb_code pq_iceberg_manifest_write(const struct pq_iceberg_target *target,
                                    const struct pq_iceberg_entries *entries, struct pq_bytes *out,
                                    struct pq_iceberg_manifest *line, pqdb_error *err);

pqdb_code pq_iceberg_list_write(const struct pq_iceberg_target *target,
                                const struct pq_iceberg_list *list, struct pq_bytes *out,
                                pqdb_error *err);

static inline bool pq_iceberg_is_live(const struct pq_iceberg_entry *entry) {
    return entry->status != PQ_ICEBERG_DELETED;
}
static inline int64_t pq_iceberg_live_files(const struct pq_iceberg_manifest *line) {
    return line->file_counts[PQ_ICEBERG_EXISTING] + line->file_counts[PQ_ICEBERG_ADDED];
}

#endif
