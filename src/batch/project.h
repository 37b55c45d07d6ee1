/// batch/project.h: rows of an older shape of a table as the newer one has them (type/shape.h).
#ifndef PQ_BATCH_PROJECT_H
#define PQ_BATCH_PROJECT_H

#include "batch/column.h"

/// The column's values as `wanted`, which its type reads as: members by id, missing ones null,
/// numbers widened. Shares the column's memory; what is new is in `arena`.
///
/// Cost    O(1) a column; O(rows) where numbers are widened or members are missing
/// Errors  PQDB_NO_MEMORY; PQDB_CORRUPT when its type does not read as `wanted`
pqdb_code pq_column_project(const struct pq_column *column, const struct pq_type *wanted,
                            struct pq_arena *arena, struct pq_column *out, pqdb_error *err);
/// The same for all columns of a batch; weights stay. A variant column of nulls gets `names`.
struct pq_variant_names;
pqdb_code pq_batch_project(const struct pq_batch *batch, const struct pq_type *wanted,
                           const struct pq_variant_names *names, struct pq_arena *arena,
                           struct pq_batch *out, pqdb_error *err);

#endif
