/// The table handle, shared by load, publish and expire.
#ifndef PQ_TABLE_ICEBERG_INTERNAL_H
#define PQ_TABLE_ICEBERG_INTERNAL_H

#include "store/store.h"
#include "table/iceberg/iceberg.h"
#include "table/iceberg/manifest.h"
#include "table/iceberg/metadata.h"

/// Summary key: what a publish would say, as a hash; equal means that there is nothing to do.
#define PQ_ICEBERG_FINGERPRINT_KEY "parquedb.fingerprint"

#define PQ_ICEBERG_HINT "metadata/version-hint.text"

/// A manifest of the current snapshot: which files are live in it. Owned by the handle.
struct pq_iceberg_live {
    struct pq_arena arena;  // of everything below
    struct pq_iceberg_manifest line;
    const struct pq_text *paths;
    size_t path_count;
    int64_t file_bytes;
};

struct pq_iceberg {
    struct pq_store *store;      // borrowed
    const struct pq_env *env;    // borrowed
    const struct pq_alloc *alloc;  // borrowed
    struct pq_text directory;    // owned
    bool is_read;   // false: what follows is to be read from the store
    bool is_anew;   // what the files say is not looked at until the next publish
    bool exists;    // there is a v<number>.metadata.json, and it counts
    bool is_hinted;  // version-hint.text says `number`
    uint64_t number;
    char file_name[64];     // of the metadata file, without directory
    struct pq_arena arena;  // of `metadata`
    struct pq_iceberg_metadata metadata;
    bool has_manifests;  // `manifests` is filled in
    struct pq_iceberg_live **manifests;  // owned
    size_t manifest_count, manifest_capacity;
};

/// Read the metadata unless that was done. After an error nothing is read.
pqdb_code pq_iceberg_read(struct pq_iceberg *table, pqdb_error *err);
/// Forget what was read.
void pq_iceberg_forget(struct pq_iceberg *table);
/// Read the current snapshot's manifests unless that was done.
pqdb_code pq_iceberg_read_manifests(struct pq_iceberg *table, pqdb_error *err);

/// Names in the store.
enum { PQ_ICEBERG_PATH_BYTES = PQ_STORE_PATH_MAX + 1 };
pqdb_code pq_iceberg_path(const struct pq_iceberg *table, struct pq_text name,
                          char path[PQ_ICEBERG_PATH_BYTES], pqdb_error *err);

/// The bytes of a file of the table, or of one elsewhere in the file system, in `arena`.
pqdb_code pq_iceberg_read_file(const struct pq_iceberg *table, struct pq_text name,
                               struct pq_arena *arena, struct pq_text *bytes, pqdb_error *err);
pqdb_code pq_iceberg_read_list(const struct pq_iceberg *table,
                               const struct pq_iceberg_snapshot *snapshot, struct pq_arena *arena,
                               struct pq_iceberg_list *list, pqdb_error *err);
pqdb_code pq_iceberg_read_entries(const struct pq_iceberg *table,
                                  const struct pq_iceberg_manifest *line, struct pq_arena *arena,
                                  struct pq_iceberg_entries *entries, pqdb_error *err);

/// Make a live manifest of a line and its entries.
pqdb_code pq_iceberg_live_create(const struct pq_alloc *alloc,
                                 const struct pq_iceberg_manifest *line,
                                 const struct pq_iceberg_entries *entries,
                                 struct pq_iceberg_live **live, pqdb_error *err);
void pq_iceberg_live_destroy(const struct pq_alloc *alloc, struct pq_iceberg_live *live);

/// What a publish added and took away, by content.
struct pq_iceberg_change {
    int64_t added_files[2], added_rows[2], added_bytes[2];
    int64_t removed_files[2], removed_rows[2], removed_bytes[2];
    int64_t total_files[2], total_rows[2], total_bytes[2];
};

/// Append a snapshot's JSON object. `snapshot` gives all but its summary.
pqdb_code pq_iceberg_snapshot_write(const struct pq_iceberg_snapshot *snapshot, int32_t schema_id,
                                    const struct pq_iceberg_commit *commit,
                                    const struct pq_iceberg_change *change, struct pq_bytes *out,
                                    pqdb_error *err);

/// Hash of everything about a commit that has to be in the table, but for its summary.
uint64_t pq_iceberg_fingerprint(const struct pq_iceberg_commit *commit);

/// What a publish put out of the metadata.
struct pq_iceberg_expiry {
    const struct pq_iceberg_snapshot *const *expired;  // a row of parents, newest first
    size_t expired_count;
    const struct pq_iceberg_snapshot *oldest_kept;  // child of expired[0]; NULL: the new one
    const struct pq_iceberg_list *new_list;         // its manifests
};

/// Add what `expired` leaves behind to the outcome's names; what cannot be read is passed over.
void pq_iceberg_expire(const struct pq_iceberg *table, const struct pq_iceberg_expiry *expiry,
                       struct pq_arena *arena, struct pq_iceberg_outcome *outcome);

#endif
