/// parquet/assemble.h: from leaves with levels back to nested columns.
#ifndef PQ_PARQUET_ASSEMBLE_H
#define PQ_PARQUET_ASSEMBLE_H

#include "parquet/leaf_values.h"
#include "parquet/schema.h"

struct pq_assembly {
    const struct pq_leaf_values *leaves;  // by leaf - first_leaf
    uint32_t first_leaf;
    const struct pq_leaf *file_leaves;  // of the schema
    struct pq_arena *arena;
    struct pq_variant_encoder *encoder;    // NULL: annotated variants keep their own names
    const struct pq_variant_names *names;  // the encoder's
    const struct pq_alloc *alloc;          // for scratch
};

/// The column of a member of the row itself, all rows of the leaves.
/// Errors: PQDB_CORRUPT when leaves below one list or object disagree; PQDB_NO_MEMORY.
pqdb_code pq_assemble(const struct pq_assembly *assembly, const struct pq_node *node,
                      struct pq_column *column, pqdb_error *err);

#endif
