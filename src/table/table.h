/// table/table.h: the rows of one collection or view: a list of segments.
///
/// One writer (the leader) applies deltas and publishes; readers hold counted snapshots and take no
/// lock. The catalog (which segments there are) changes only when a chunk or file comes or goes,
/// so publishing a commit is one small allocation.
///
/// Small deltas are copied into an open chunk of PQ_CHUNK_ROWS; a batch of PQ_ADOPT_ROWS or more is
/// taken over as a chunk of its own without a copy. Rows that die stay where they are; a chunk
/// that is three quarters dead is evacuated into the open one, bit by bit.
#ifndef PQ_TABLE_TABLE_H
#define PQ_TABLE_TABLE_H

#include "table/segment.h"

enum { PQ_CHUNK_ROWS = 4096, PQ_ADOPT_ROWS = 256 };

/// Which segments there are. Immutable, counted.
struct pq_catalog {
    atomic_uint references;
    const struct pq_alloc *alloc;
    size_t count, capacity;
    size_t file_count;
    struct pq_segment *segments[];  // referenced; files first, then chunks in commit order
};

/// The number of each chunk's first row, by its position among the segments.
static inline uint64_t *pq_catalog_first_rows(const struct pq_catalog *catalog) {
    return (uint64_t *)(uintptr_t)(catalog->segments + catalog->capacity);
}

struct pq_memory_index;
struct pq_index_view;
struct pq_link_wishes;
struct pq_shreds;  // table/shred.h

/// The table at one version. Immutable, counted.
struct pq_table_snapshot {
    atomic_uint references;
    const struct pq_alloc *alloc;
    const struct pq_type *type;
    const struct pq_shreds *shreds;  // or NULL
    bool marks_ids;
    const struct pq_variant_names *names;
    uint64_t version;  // the last commit that changed the table
    size_t rows;       // live
    struct pq_catalog *catalog;   // referenced
    struct pq_segment *open;      // referenced, or NULL
    struct pq_batch open_rows;    // what of it this snapshot sees
    struct pq_link_wishes *wishes;  // referenced
    struct pq_index_view *indexes;  // over rows in memory, in the same block; the first: of `$id`
    size_t index_count, index_room;
    size_t column_count;
    struct pq_column columns[];   // of open_rows, then those nested in them
};

struct pq_table_options {
    struct pq_text name;         // for messages
    const struct pq_type *type;  // OBJECT, column 0 `$id`; outlives the table
    const struct pq_shreds *shreds;  // paths that files keep as columns; outlive it; or NULL
    struct pq_variant_names *names;  // of every VARIANT inside; referenced
    bool marks_ids;  // rows die by their ids all the time: files keep marks (table/id_filter.h)
    const struct pq_alloc *alloc;
};

struct pq_builder;
struct pq_variant_encoder;

struct pq_table {
    struct pq_table_options options;
    struct pq_catalog *catalog;           // owned reference
    struct pq_segment *open;              // being filled, or NULL
    struct pq_hold *open_hold;            // its memory
    struct pq_builder *open_columns;      // field_count, in open_hold
    size_t column_count;                  // of the type, nested ones included
    size_t open_rows;
    uint64_t next_row;                    // the number of the next row in memory
    struct pq_memory_index *indexes;      // owned; the first: of `$id`
    size_t index_count;
    struct pq_link_wishes *wishes;        // owned reference
    size_t rows;                          // live
    size_t memory_bytes;                  // of chunks, open one included
    uint64_t version;
    struct pq_table_snapshot *published;  // owned reference
};

pqdb_code pq_table_create(const struct pq_table_options *options, struct pq_table **table,
                          pqdb_error *err);
void pq_table_destroy(struct pq_table *table);

/// Apply one delta at `version`, which must be above every earlier one: rows of negative weight
/// die (found by `$id`), rows of positive weight are added. `hold` keeps the memory of `delta`;
/// it may be taken over. Not yet visible to readers: see pq_table_publish.
///
/// Cost    O(delta); a death costs an id look-up, 32 of them at a time
/// Errors  PQDB_NO_MEMORY; PQDB_CORRUPT when a dying row is not there (subject: table, message: its
///         id); PQDB_IO. Afterwards the table holds a part of the delta: reopen it.
pqdb_code pq_table_apply(struct pq_table *table, const struct pq_batch *delta,
                         struct pq_hold *hold, uint64_t version, pqdb_error *err);

/// Make everything applied so far the published snapshot. Writer only.
pqdb_code pq_table_publish(struct pq_table *table, pqdb_error *err);

struct pq_table_snapshot *pq_table_snapshot_ref(struct pq_table_snapshot *snapshot);
void pq_table_snapshot_unref(struct pq_table_snapshot *snapshot);

/// Is there a live row with this id? Writer only: sees what is applied, published or not.
pqdb_code pq_table_has(struct pq_table *table, struct pq_text id, bool *has, pqdb_error *err);

/// Seal the open chunk, so that the catalog holds everything. Writer only.
pqdb_code pq_table_seal(struct pq_table *table, pqdb_error *err);

/// From now on rows are found by the values of a column (pq_table_linked) without looking at all of
/// them: in memory, and beside the files that are written from here on. Any thread.
void pq_table_want_index(struct pq_table *table, uint32_t column);

/// What the indexes over rows in memory take beside them. Writer only.
size_t pq_table_index_bytes(const struct pq_table *table);

/// Add a segment loaded from a root, or replace segments by the file written from them: `moved[i]`
/// (may be NULL) maps rows of `old[i]` to rows of `fresh` (UINT32_MAX: not written), and deaths
/// that came after the file was begun are carried over. The table takes `fresh` (NULL when every
/// row was dead). Writer only, between commits. Publish afterwards.
struct pq_table_swap {
    struct pq_segment *const *old;
    const uint32_t *const *moved;
    size_t old_count;
    struct pq_segment *fresh;
    uint64_t carried;  // `fresh` knows all deaths of versions before this one
};
pqdb_code pq_table_swap(struct pq_table *table, const struct pq_table_swap *swap,
                        pqdb_error *err);

/// Deaths of versions [from, to] in the segment, into one that no table has yet. Rows that are dead
/// there stay as they are. Cost: a look at each block of 4096 rows, and at the deaths of those that
/// have some. Errors: PQDB_NO_MEMORY, PQDB_LIMIT.
struct pq_table_carry {
    const uint32_t *moved;  // where rows are in `fresh`; NULL: where they were
    struct pq_segment *fresh;
    uint64_t from, to;
};
pqdb_code pq_table_carry_deaths(const struct pq_segment *old, const struct pq_table_carry *carry,
                                pqdb_error *err);

/// `folded` (pq_segment_fold) in the place of the segment it was made of, with later deaths.
/// Likewise; the table takes a reference of its own.
pqdb_code pq_table_fold(struct pq_table *table, const struct pq_segment *old,
                        struct pq_segment *folded, pqdb_error *err);

#endif
