/// What the encoders of JSON, of variants and of other values share: containers that are written
/// in one pass, with the header's room guessed and corrected, and the retry with own names.
#ifndef PQ_VARIANT_ENCODE_INTERNAL_H
#define PQ_VARIANT_ENCODE_INTERNAL_H

#include "base/fail.h"
#include "variant/names_internal.h"
#include "variant/shapes.h"

/// A member of an object whose shape is not known.
struct pq_member {
    struct pq_text name;
    uint32_t id;
    uint32_t position;  // in the source, of the member that sorting put here
    uint32_t rank;      // where sorting put the member of this position in the source
};

struct pq_shape_end;
enum { PQ_ROOT_HINTS = 16 };

struct pq_variant_encoder {
    const struct pq_alloc *alloc;
    struct pq_variant_names *names;  // referenced: the collection's list
    struct pq_variant_names *own;    // owned: the list of a value that needs one, else NULL
    bool names_are_full;             // why the last attempt failed
    const struct pq_variant_nested *nested;
    struct pq_shapes shapes;  // by `names`
    struct pq_shape_end *root_hints[PQ_ROOT_HINTS];  // of encode_json.c: shapes of the last values
    struct pq_bytes *out;      // borrowed during an encode
    uint32_t *offsets;         // owned: a stack of the open containers' offsets
    size_t offset_count, offset_capacity;
    struct pq_member *members;  // owned: a stack of the open objects' members
    size_t member_count, member_capacity;
    struct pq_bytes scratch;  // the value while its own names are not complete
};

/// A container while its values are written.
struct pq_container {
    size_t start;         // in out: of its first byte
    size_t values;        // in out: of its first value
    size_t first_offset;  // in the stack of offsets
    uint32_t count;
    uint8_t id_width;    // 0: an array
    uint8_t offset_width;  // guessed at begin, right after end
};

/// memcpy without a call for the short texts that most keys and values are.
static inline void pq_copy_short(uint8_t *to, const char *from, size_t length) {
    uint64_t a, b;
    uint32_t c, d;
    if (length > 16) {
        memcpy(to, from, length);
    } else if (length >= 8) {
        memcpy(&a, from, 8);
        memcpy(&b, from + length - 8, 8);
        memcpy(to, &a, 8);
        memcpy(to + length - 8, &b, 8);
    } else if (length >= 4) {
        memcpy(&c, from, 4);
        memcpy(&d, from + length - 4, 4);
        memcpy(to, &c, 4);
        memcpy(to + length - 4, &d, 4);
    } else {
        for (size_t i = 0; i < length; i++) to[i] = (uint8_t)from[i];
    }
}

/// At least `bytes` more behind out->length.
static inline pqdb_code pq_encoder_reserve(struct pq_variant_encoder *encoder, size_t bytes,
                                           pqdb_error *err) {
    struct pq_bytes *out = encoder->out;
    if (bytes <= out->capacity - out->length) return PQDB_OK;
    return pq_bytes_reserve(out, bytes, err);
}

/// Leave room for the header; count, id_width and offset_width are set. Then the values follow,
/// each announced by pq_container_value.
pqdb_code pq_container_begin(struct pq_variant_encoder *encoder, struct pq_container *container,
                             pqdb_error *err);

/// The next value written has this place among the container's offsets.
static inline void pq_container_value(struct pq_variant_encoder *encoder,
                                      const struct pq_container *container, size_t place) {
    encoder->offsets[container->first_offset + place] =
        (uint32_t)(encoder->out->length - container->values);
}

/// Write the header; returns where the ids go (`id_width` each, nothing for arrays).
pqdb_code pq_container_end(struct pq_variant_encoder *encoder, struct pq_container *container,
                           uint8_t **ids, pqdb_error *err);

/// An object without a known shape: push each member's name, sort those from `first` on, write the
/// values at the places that `rank` says, end, put the ids and pop. Errors: PQDB_INVALID for a name
/// that comes twice.
pqdb_code pq_members_push(struct pq_variant_encoder *encoder, struct pq_text name, pqdb_error *err);
pqdb_code pq_members_sort(struct pq_variant_encoder *encoder, size_t first, pqdb_error *err);
unsigned pq_members_id_width(const struct pq_variant_encoder *encoder, size_t first);
void pq_members_pop(struct pq_variant_encoder *encoder, size_t first,
                    const struct pq_container *container, uint8_t *ids);

pqdb_code pq_encode_text(struct pq_variant_encoder *encoder, struct pq_text text, pqdb_error *err);
pqdb_code pq_encode_integer(struct pq_variant_encoder *encoder, int64_t value, pqdb_error *err);
/// A primitive with `length` bytes behind its header byte.
pqdb_code pq_encode_primitive(struct pq_variant_encoder *encoder, uint8_t primitive,
                              const void *bytes, size_t length, pqdb_error *err);

/// Run `encode` with the shared names, and again with own ones when those are full; `out` is as it
/// was after a failure.
struct pq_encode_job {
    pqdb_code (*encode)(struct pq_variant_encoder *encoder, const void *source, pqdb_error *err);
    const void *source;
};
pqdb_code pq_encode_run(struct pq_variant_encoder *encoder, struct pq_encode_job job,
                        struct pq_bytes *out, bool *own, pqdb_error *err);

#endif
