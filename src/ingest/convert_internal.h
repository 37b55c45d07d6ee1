/// One JSON value into one row of a column, under the rules of its declaration.
#ifndef PQ_INGEST_CONVERT_INTERNAL_H
#define PQ_INGEST_CONVERT_INTERNAL_H

#include "base/json.h"
#include "batch/builder.h"
#include "type/schema.h"
#include "variant/variant.h"

/// What conversions need besides the value. One thread.
struct pq_converter {
    struct pq_variant_encoder *encoder;  // owned by the reader
    struct pq_bytes scratch;             // owned: a variant, bytes of base64, digits
};

/// Append a scalar, a variant or a vector; `field` says the rules, the builder the kind (of the
/// element, for a list). JSON null is for the caller to handle. On PQDB_INVALID and PQDB_LIMIT no
/// row was added and the message completes "<field> ...".
pqdb_code pq_convert(struct pq_converter *converter, const struct pq_declared_field *field,
                     const struct pq_json *value, struct pq_builder *builder, pqdb_error *err);

/// "a number", "a list" …
const char *pq_json_kind_name(const struct pq_json *value);

#endif
