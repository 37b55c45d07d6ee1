/// parquet/variant_column.h: variants between columns and the annotated form Parquet has for them.
#ifndef PQ_PARQUET_VARIANT_COLUMN_H
#define PQ_PARQUET_VARIANT_COLUMN_H

#include "base/arena.h"
#include "base/text.h"
#include "batch/column.h"

struct pq_shredded;  // parquet/variant_shredded.h
struct pq_variant_encoder;
struct pq_variant_names;

/// Length of the variant metadata that `bytes` begin with; 0 when it is malformed or cut off.
size_t pq_variant_metadata_bytes(struct pq_text bytes);

/// One of the two leaves of an annotated variant: text i is entries[codes[i]], or without codes
/// data[offsets[i] .. offsets[i + 1]).
struct pq_variant_part {
    const uint32_t *codes;
    const struct pq_text *entries;
    const uint32_t *offsets;
    const uint8_t *data;
};

struct pq_variant_parts {
    size_t count;
    struct pq_variant_part metadata, value;
    const struct pq_shredded *shredded;  // instead of `value`; text i is that of row rows[i]
    const uint32_t *rows;                // NULL: i
};

struct pq_variant_target {
    struct pq_variant_encoder *encoder;    // NULL: values keep their own names
    const struct pq_variant_names *names;  // the encoder's
    struct pq_arena *arena;                // of the result
    const struct pq_alloc *alloc;          // for scratch
};

/// Put them together as the rows of a VARIANT column; marks tell which bring their own names.
/// Errors: PQDB_CORRUPT (every value is checked), PQDB_LIMIT, PQDB_NO_MEMORY.
pqdb_code pq_variant_join(const struct pq_variant_parts *parts,
                          const struct pq_variant_target *target, uint32_t **offsets,
                          uint8_t **marks, const uint8_t **data, pqdb_error *err);

#endif
