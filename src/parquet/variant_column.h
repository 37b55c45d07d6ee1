/// parquet/variant_column.h: variants between columns and the two forms Parquet has for them.
#ifndef PQ_PARQUET_VARIANT_COLUMN_H
#define PQ_PARQUET_VARIANT_COLUMN_H

#include "base/arena.h"
#include "base/text.h"
#include "batch/column.h"

struct pq_variant_encoder;

/// Length of the variant metadata that `bytes` begin with; 0 when it is malformed or cut off.
size_t pq_variant_metadata_bytes(struct pq_text bytes);

#endif
