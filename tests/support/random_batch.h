/// Random types and batches from a seed, for law tests. Columns come in moods, so that storage
/// meets what it has shortcuts for: all equal, all null, counting up, few distinct texts, noise.
#ifndef PQ_TEST_RANDOM_BATCH_H
#define PQ_TEST_RANDOM_BATCH_H

#include "base/arena.h"
#include "batch/column.h"

struct pq_variant_names;

struct random_source {
    uint64_t state;
    const struct pq_variant_names *names;  // of variants; may be NULL
};

/// Below `below`, which is not 0.
uint64_t random_below(struct random_source *source, uint64_t below);

/// An OBJECT type with $id, $seq and up to `columns_max` more columns, nested up to three deep.
struct pq_type random_type(struct random_source *source, size_t columns_max,
                           struct pq_arena *arena);

/// Rows of such a type; everything lives in `arena`. Variants are opaque bytes (an int8 each).
struct pq_batch random_batch(struct random_source *source, const struct pq_type *type,
                             size_t rows, struct pq_arena *arena);

#endif
