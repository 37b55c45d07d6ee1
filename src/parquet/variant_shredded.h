/// parquet/variant_shredded.h: values of shredded variants, put together from their columns.
///
/// A shredded variant is a group of `metadata`, `value` and `typed_value`; the fields of a typed
/// object and the elements of a typed list are groups of `value` and `typed_value` again. What both
/// are null for is missing; an object may have some fields typed and the others in `value`.
/// Source: parquet-format, VariantShredding.md.
#ifndef PQ_PARQUET_VARIANT_SHREDDED_H
#define PQ_PARQUET_VARIANT_SHREDDED_H

#include "base/bytes.h"
#include "batch/column.h"
#include "parquet/schema.h"

/// The two halves of a group; either may be NULL, but not both.
struct pq_shredded {
    const struct pq_column *value;  // BINARY: variant values
    const struct pq_column *typed;
    const struct pq_node *node;     // of `typed`
    const struct pq_leaf *leaves;   // of the file: what the typed leaves hold
    struct pq_bytes *members;       // scratch
};

/// Append the variant value of a row to `out`; its ids are those of `like`, which gives names and
/// metadata. A row without anything is the variant null. Where a name stands both among the typed
/// fields and in `value`, the typed one holds.
/// Errors: PQDB_CORRUPT (value and typed_value contradict each other, a value is malformed, the
/// metadata lacks a field's name), PQDB_LIMIT, PQDB_NO_MEMORY.
pqdb_code pq_shredded_value(const struct pq_shredded *shredded, size_t row,
                            const struct pq_variant *like, struct pq_bytes *out, pqdb_error *err);

#endif
