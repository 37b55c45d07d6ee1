/// parquet/column_values.h: the values of a block of rows as Parquet stores them.
#ifndef PQ_PARQUET_COLUMN_VALUES_H
#define PQ_PARQUET_COLUMN_VALUES_H

#include "base/bytes.h"
#include "parquet/schema.h"
#include "parquet/shred.h"

/// Exactly one of `fixed` and `texts` is set. Views into the column or the scratch.
struct pq_value_block {
    size_t count;
    const uint8_t *fixed;  // `width` bytes each; BOOLEAN: a byte each, width 1
    size_t width;
    const struct pq_text *texts;
};

/// Memory that is kept from one block to the next.
struct pq_value_scratch {
    struct pq_bytes bytes;
    struct pq_bytes texts;    // of struct pq_text
    struct pq_bytes offsets;  // of size_t
};

void pq_value_scratch_init(struct pq_value_scratch *scratch, const struct pq_alloc *alloc);
void pq_value_scratch_deinit(struct pq_value_scratch *scratch);

/// The values of the rows `levels` names. Not for the leaves of annotated variants.
/// Errors: PQDB_INVALID (decimal beyond its precision), PQDB_LIMIT, PQDB_NO_MEMORY.
pqdb_code pq_values_gather(const struct pq_leaf *leaf, const struct pq_levels *levels,
                           struct pq_value_scratch *scratch, struct pq_value_block *block,
                           pqdb_error *err);

/// The same for the two leaves of an annotated variant: metadata and value as texts. Rows that use
/// the column's names get `shared` as their metadata.
pqdb_code pq_values_gather_variant(const struct pq_levels *levels, bool is_metadata,
                                   struct pq_text shared, struct pq_value_scratch *scratch,
                                   struct pq_value_block *block, pqdb_error *err);

#endif
