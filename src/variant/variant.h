/// variant/variant.h: values in Parquet's variant encoding, in memory, log and pages alike.
///
/// A collection has one append-only list of field names; an id never changes meaning, so a value's
/// bytes are the same in batch, log, memtable and page. Values with names that no longer fit the
/// list (PQ_VARIANT_NAMES_MAX, PQ_VARIANT_NAME_BYTES_MAX) carry their own metadata in front.
/// Object fields are stored in byte order of their names, as the format demands.
/// Numbers from JSON: int64 (smallest width) where it fits, beyond that decimal16 with scale 0 up
/// to 38 digits, else double. Source: Parquet VariantEncoding.md; FORMATS 1.8.
#ifndef PQ_VARIANT_VARIANT_H
#define PQ_VARIANT_VARIANT_H

#include <parquedb/error.h>

#include "base/bytes.h"
#include "base/json.h"
#include "type/value.h"

enum {
    PQ_VARIANT_NAMES_MAX = 4096,
    PQ_VARIANT_NAME_BYTES_MAX = 65536,
    PQ_VARIANT_DEPTH_MAX = 128,
    PQ_VARIANT_BYTES_MAX = 16 << 20,  // of one value
};

/// The shared list. Memory is taken once and never moves: readers go on with the ids they were
/// given while the writer adds more. Adding takes a small lock inside.
struct pq_variant_names;

pqdb_code pq_variant_names_create(const struct pq_alloc *alloc, struct pq_variant_names **names,
                                  pqdb_error *err);
struct pq_variant_names *pq_variant_names_ref(const struct pq_variant_names *names);
void pq_variant_names_unref(const struct pq_variant_names *names);

/// From a Parquet metadata dictionary (a file's, or an own-names value's). Errors: PQDB_CORRUPT.
pqdb_code pq_variant_names_from_metadata(const uint8_t *metadata, size_t length,
                                         const struct pq_alloc *alloc,
                                         struct pq_variant_names **names, size_t *used,
                                         pqdb_error *err);

uint32_t pq_variant_names_count(const struct pq_variant_names *names);
struct pq_text pq_variant_names_text(const struct pq_variant_names *names, uint32_t id);
/// The id, or UINT32_MAX. `add` also adds it when it fits.
uint32_t pq_variant_names_find(const struct pq_variant_names *names, struct pq_text name);
uint32_t pq_variant_names_add(struct pq_variant_names *names, struct pq_text name);

/// Append the Parquet metadata of the first `count` names (sorted_strings = 0).
pqdb_code pq_variant_names_write(const struct pq_variant_names *names, uint32_t count,
                                 struct pq_bytes *out, pqdb_error *err);

/// Append the encoding of a JSON value to `out`. `*own` tells that the value did not fit the list
/// and was written as metadata + value. Refuses duplicate keys, depth and size beyond the limits
/// (PQDB_INVALID, PQDB_LIMIT; err->subject is the JSON path); `out` is then as it was. An encoder
/// serves one thread. Cost: no sorting and no look-up for objects of a shape seen before.
struct pq_variant_encoder;
pqdb_code pq_variant_encoder_create(struct pq_variant_names *names, const struct pq_alloc *alloc,
                                    struct pq_variant_encoder **encoder, pqdb_error *err);
void pq_variant_encoder_destroy(struct pq_variant_encoder *encoder);
pqdb_code pq_variant_encode_json(struct pq_variant_encoder *encoder, const struct pq_json *value,
                                 struct pq_bytes *out, bool *own, pqdb_error *err);
/// An object made of chosen members of `object`: those whose position has keep[i] set.
pqdb_code pq_variant_encode_members(struct pq_variant_encoder *encoder,
                                    const struct pq_json *object, const bool *keep,
                                    struct pq_bytes *out, bool *own, pqdb_error *err);
/// Any value. Nested values belong to a room above, which says how to look inside (see
/// pq_variant_encode_value in batch/variant_value.h); NULL when `value` is a scalar or variant.
struct pq_variant_nested {
    size_t (*count)(const struct pq_value *nested);  // elements or members
    struct pq_value (*at)(const struct pq_value *nested, size_t k, struct pq_text *name);
};
void pq_variant_encoder_look_inside(struct pq_variant_encoder *encoder,
                                    const struct pq_variant_nested *nested);
pqdb_code pq_variant_encode_any(struct pq_variant_encoder *encoder, const struct pq_value *value,
                                struct pq_bytes *out, bool *own, pqdb_error *err);

/// A value that is neither list, object nor variant: it needs no names, hence no encoder.
pqdb_code pq_variant_encode_scalar(const struct pq_value *value, struct pq_bytes *out,
                                   pqdb_error *err);

/// Is the value well formed all the way down (bounds, ids, depth)? Everything below demands it,
/// so bytes from outside are checked once, at the door. Errors: PQDB_CORRUPT.
pqdb_code pq_variant_check(const struct pq_variant *variant, pqdb_error *err);

/// A scalar as its own kind (an INT8..INT64 as INT64, a variant null as PQ_NULL); an object or
/// list stays PQ_VARIANT.
struct pq_value pq_variant_unwrap(const struct pq_variant *variant);

/// The variant null, which is one byte.
static inline bool pq_variant_is_null(const struct pq_variant *variant) {
    return variant->bytes[0] == 0;
}

enum pq_variant_shape { PQ_VARIANT_SCALAR, PQ_VARIANT_OBJECT, PQ_VARIANT_ARRAY };
enum pq_variant_shape pq_variant_shape(const struct pq_variant *variant);
size_t pq_variant_count(const struct pq_variant *variant);  // fields or elements
/// Field k in name order (its name in *name) or element k.
struct pq_variant pq_variant_at(const struct pq_variant *variant, size_t k, struct pq_text *name);

/// A path resolved against a list of names once: each step is a name and perhaps an index.
struct pq_variant_step {
    struct pq_text name;
    int64_t index;  // what the name is as a list index, or -1
};
/// The value at the path, kind PQ_NULL when missing. `ids` caches the steps' ids for `names`
/// (UINT32_MAX unknown): fill with pq_variant_path_resolve, once a batch. They are not looked at
/// for a variant with metadata of its own.
void pq_variant_path_resolve(const struct pq_variant_names *names,
                             const struct pq_variant_step *steps, size_t count, uint32_t *ids);
struct pq_value pq_variant_path(const struct pq_variant *variant,
                                const struct pq_variant_step *steps, const uint32_t *ids,
                                size_t count);
/// The same, as the variant it is; false when missing.
bool pq_variant_find(const struct pq_variant *variant, const struct pq_variant_step *steps,
                     const uint32_t *ids, size_t count, struct pq_variant *found);

/// The variant of a column row, taking PQ_ROW_OWN_NAMES into account. Own names are decoded into
/// `arena`. `bytes` and `mark` are the row's data and valid byte.
struct pq_arena;
pqdb_code pq_variant_of_row(struct pq_text bytes, uint8_t mark,
                            const struct pq_variant_names *names, struct pq_arena *arena,
                            struct pq_variant *variant, pqdb_error *err);

/// The same for bytes that were checked, without decoding names: reading searches the metadata.
struct pq_variant pq_variant_of_own(struct pq_text bytes);

/// Append metadata and value, as a row with own names has them.
pqdb_code pq_variant_write_own(const struct pq_variant *variant, struct pq_bytes *out,
                               pqdb_error *err);

/// Append the same value written with another list of names.
pqdb_code pq_variant_rename(struct pq_variant_encoder *encoder, const struct pq_variant *variant,
                            struct pq_bytes *out, bool *own, pqdb_error *err);

/// Append JSON as SPEC 4 prints it: object keys in byte order, doubles shortest.
pqdb_code pq_variant_write_json(const struct pq_variant *variant, struct pq_bytes *out,
                                pqdb_error *err);

#endif
