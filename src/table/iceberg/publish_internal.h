/// A publish while it happens: publish.c writes, publish_plan.c decides what.
#ifndef PQ_TABLE_ICEBERG_PUBLISH_INTERNAL_H
#define PQ_TABLE_ICEBERG_PUBLISH_INTERNAL_H

#include "table/iceberg/avro.h"
#include "table/iceberg/iceberg_internal.h"

enum pq_iceberg_fate {
    PQ_ICEBERG_KEEP,     ///< its line is in the new list as well
    PQ_ICEBERG_REWRITE,  ///< its entries go into the new manifest of its content
    PQ_ICEBERG_DROP,     ///< nothing live in it, or not ours
};

struct pq_iceberg_publish {
    struct pq_iceberg *table;
    const struct pq_iceberg_commit *commit;
    pqdb_error *err;
    struct pq_arena scratch;
    bool is_moved;  // the table was last published at another location

    // publish_plan.c
    uint32_t *slots;  // hash table of the commit's paths: index + 1, 0 is free
    size_t slot_mask;
    uint32_t *owners;  // per file of the commit: manifest that has it + 1, 0 is new
    enum pq_iceberg_fate *fates;  // per manifest of the table

    // publish.c
    uint64_t number;        // N of the new metadata
    struct pq_bytes bytes;  // a file on its way out
    uint8_t sync[PQ_AVRO_SYNC_BYTES];
    struct pq_iceberg_target target;
    struct pq_iceberg_change change;
    struct pq_iceberg_live **manifests;  // owned array, of the new snapshot
    size_t manifest_capacity, manifest_count;
    size_t written_count;  // the first of them are owned until installed, the others the table's
    struct pq_iceberg_list list;
    struct pq_iceberg_entries entries[2];  // of the new manifests, by content

    // publish_metadata.c
    struct pq_iceberg_metadata metadata;
    struct pq_iceberg_schema schema;
    struct pq_iceberg_snapshot snapshot;
    struct pq_iceberg_expiry expiry;
    struct pq_arena *arena;  // the caller's
    struct pq_iceberg_outcome outcome;
};

/// Compare the commit with the table: fills in owners and fates, manifests to be merged included.
pqdb_code pq_iceberg_plan(struct pq_iceberg_publish *publish);

/// Fill in `entries` of one content, in the scratch arena: what is rewritten and what is new. The
/// change counts what is added and removed.
pqdb_code pq_iceberg_plan_entries(struct pq_iceberg_publish *publish,
                                  enum pq_iceberg_content content);

/// Before anything is written: location, schema, snapshot and sequence numbers.
pqdb_code pq_iceberg_begin_metadata(struct pq_iceberg_publish *publish);
/// Once the manifest list is written: the rest of `metadata`, and what leaves it.
pqdb_code pq_iceberg_finish_metadata(struct pq_iceberg_publish *publish);

/// Instead of both: the metadata without snapshots older than `keep_ms`.
pqdb_code pq_iceberg_drop_snapshots(struct pq_iceberg_publish *publish, int64_t keep_ms);

/// A text in the scratch arena.
__attribute__((format(printf, 3, 4))) pqdb_code pq_iceberg_format(
    struct pq_iceberg_publish *publish, struct pq_text *text, const char *format, ...);

#endif
