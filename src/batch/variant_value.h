/// batch/variant_value.h: any value as a variant, rows of nested columns included.
#ifndef PQ_BATCH_VARIANT_VALUE_H
#define PQ_BATCH_VARIANT_VALUE_H

#include "batch/column.h"
#include "variant/variant.h"

/// Append the encoding of `value`: LIST and OBJECT rows become lists and objects, in which nulls
/// are variant nulls; a variant is rewritten with the encoder's names. See pq_variant_encode_json
/// for `own` and the errors.
pqdb_code pq_variant_encode_value(struct pq_variant_encoder *encoder, const struct pq_value *value,
                                  struct pq_bytes *out, bool *own, pqdb_error *err);

#endif
