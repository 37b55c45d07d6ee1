/// table/publish.h: what a checkpoint wrote, as a snapshot in the table's own metadata, so that any
/// other engine reads it. A projection: it may be missing after a crash and is then made again.
#ifndef PQ_TABLE_PUBLISH_H
#define PQ_TABLE_PUBLISH_H

#include "store/store.h"
#include "table/iceberg/iceberg.h"
#include "table/table.h"

struct pq_publish {
    struct pq_store *store;
    const char *directory;  // of the table, in the store: "_views/Recent"
    const char *location;   // of the database: "file:///srv/db"
    uint64_t version;       // the cut; rows dead at it are hidden by a position delete file
    int64_t time_us;
    const struct pq_type *type;
    struct pq_segment *const *files;  // FILE segments
    size_t file_count;
    bool rows_changed;  // else only the files did: a compaction
    const struct pq_iceberg_pair *properties;
    size_t property_count;
    uint32_t snapshots_kept;  // at most, see pq_table_held_bytes
    const struct pq_alloc *alloc;
};

/// Bytes that older snapshots of a table may hold in files that its current one does not need, when
/// `live` of the `bytes` of its current files belong to rows that live: what is left of 7/4 of the
/// live ones, and always 256 KiB. So the files of a table, together, take at most 7/4 of its live
/// rows as long as dead ones do not; merges see to that (db/compact.c).
uint64_t pq_table_held_bytes(uint64_t bytes, uint64_t live);

/// Errors: as pq_iceberg_publish. `outcome` lives in `arena`.
pqdb_code pq_table_publish_files(struct pq_iceberg *iceberg, const struct pq_publish *publish,
                                 struct pq_arena *arena, struct pq_iceberg_outcome *outcome,
                                 pqdb_error *err);

#endif
