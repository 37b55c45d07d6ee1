/// variant/build.h: variant values put together piece by piece, by those who know the ids of names.
///
/// Values are written one after the other; then a container is put around those at the end.
#ifndef PQ_VARIANT_BUILD_H
#define PQ_VARIANT_BUILD_H

#include "base/bytes.h"

enum pq_variant_primitive {
    PQ_PRIMITIVE_NULL,
    PQ_PRIMITIVE_TRUE,
    PQ_PRIMITIVE_FALSE,
    PQ_PRIMITIVE_INT8,
    PQ_PRIMITIVE_INT16,
    PQ_PRIMITIVE_INT32,
    PQ_PRIMITIVE_INT64,
    PQ_PRIMITIVE_DOUBLE,
    PQ_PRIMITIVE_DECIMAL4,  // scale byte, then the unscaled value
    PQ_PRIMITIVE_DECIMAL8,
    PQ_PRIMITIVE_DECIMAL16,
    PQ_PRIMITIVE_DATE,
    PQ_PRIMITIVE_TIMESTAMP,
    PQ_PRIMITIVE_TIMESTAMP_NTZ,
    PQ_PRIMITIVE_FLOAT,
    PQ_PRIMITIVE_BINARY,  // u32 length, then the bytes
    PQ_PRIMITIVE_TEXT,
    PQ_PRIMITIVE_TIME,
    PQ_PRIMITIVE_TIMESTAMP_NANOS,
    PQ_PRIMITIVE_TIMESTAMP_NTZ_NANOS,
    PQ_PRIMITIVE_UUID,
    PQ_PRIMITIVE_COUNT,
};

/// A primitive with `length` bytes behind its header byte.
pqdb_code pq_variant_append_primitive(struct pq_bytes *out, enum pq_variant_primitive primitive,
                                      const void *bytes, size_t length, pqdb_error *err);
/// As the short form where it is short enough. Errors: PQDB_LIMIT, PQDB_NO_MEMORY.
pqdb_code pq_variant_append_text(struct pq_bytes *out, struct pq_text text, pqdb_error *err);
pqdb_code pq_variant_append_binary(struct pq_bytes *out, struct pq_text bytes, pqdb_error *err);

struct pq_variant_member {
    struct pq_text name;
    uint32_t id;      // of the name, in the metadata of the value
    uint32_t offset;  // of the value, from where the container's values begin
};

/// Make the values at out->data + start one object; the members are put in order of their names.
/// Cost: moves the values once. Errors: PQDB_INVALID (a name comes twice), PQDB_LIMIT,
/// PQDB_NO_MEMORY.
pqdb_code pq_variant_wrap_object(struct pq_bytes *out, size_t start,
                                 struct pq_variant_member *members, size_t count,
                                 pqdb_error *err);
/// Make them one array; only the elements' offsets are looked at.
pqdb_code pq_variant_wrap_array(struct pq_bytes *out, size_t start,
                                const struct pq_variant_member *elements, size_t count,
                                pqdb_error *err);

#endif
