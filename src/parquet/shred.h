/// parquet/shred.h: from nested columns to the levels of one leaf (Dremel's shredding).
///
/// The rows of the leaf's own column that hold values are named by index, so that whoever encodes
/// them never sees nesting. Source: Melnik et al., "Dremel", PVLDB 3(1), 2010.
#ifndef PQ_PARQUET_SHRED_H
#define PQ_PARQUET_SHRED_H

#include "batch/column.h"
#include "parquet/schema.h"

/// The way from the root to a leaf.
struct pq_shred_path {
    const struct pq_leaf *leaf;
    const struct pq_node **nodes;  // the last one is the leaf's
    uint32_t *members;             // member of the object above, per node
    size_t depth;
    bool is_flat;  // a member of the row itself, not an object or list
};

pqdb_code pq_shred_path_of(const struct pq_schema *schema, size_t leaf, struct pq_arena *arena,
                           struct pq_shred_path *path, pqdb_error *err);

/// The levels of some rows; memory is kept from one call to the next.
struct pq_levels {
    const struct pq_alloc *alloc;
    uint8_t *def;  // owned, `capacity` long; unset when no row is null (`has_nulls` false)
    uint8_t *rep;  // owned, `capacity` long; unset for leaves outside lists
    uint32_t *rows;  // owned, `capacity` long; unset when `is_dense`
    size_t capacity;
    size_t count;        // of levels
    size_t value_count;  // of them with a value
    bool has_nulls;
    bool is_dense;  // the values are rows first_row … of `column`
    size_t first_row;
    const struct pq_column *column;  // the leaf's
};

void pq_levels_init(struct pq_levels *levels, const struct pq_alloc *alloc);
void pq_levels_deinit(struct pq_levels *levels);

/// Replace `levels` by those of rows [start, start + count).
/// Errors: PQDB_INVALID (null in a required member), PQDB_LIMIT, PQDB_NO_MEMORY.
pqdb_code pq_shred(const struct pq_shred_path *path, const struct pq_batch *batch, size_t start,
                   size_t count, struct pq_levels *levels, pqdb_error *err);

#endif
