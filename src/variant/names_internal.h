/// The list of names from inside the room, and the layout of a variant's bytes.
///
///     byte 0   basic type (2 bits) | header << 2
///     0 primitive     header = primitive id; then its fixed bytes, or u32 length and bytes
///     1 short string  header = length, 0 to 63; then the bytes
///     2 object        header = offset_width-1 | (id_width-1) << 2 | is_large << 4
///                     count (1 or 4), ids in byte order of names, count+1 offsets, values
///     3 array         header = offset_width-1 | is_large << 2; count, count+1 offsets, values
///
/// Metadata: byte version 1 | sorted << 4 | (width-1) << 6, count, count+1 offsets, bytes of names.
#ifndef PQ_VARIANT_NAMES_INTERNAL_H
#define PQ_VARIANT_NAMES_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "variant/build.h"
#include "variant/variant.h"

enum { BASIC_PRIMITIVE, BASIC_SHORT_TEXT, BASIC_OBJECT, BASIC_ARRAY };

struct pq_variant_names {
    const struct pq_alloc *alloc;
    pthread_mutex_t lock;     // held to add
    atomic_int references;
    atomic_uint count;        // published after the name's bytes
    uint32_t entries_max, bytes_max, slot_count;  // fixed; slot_count a power of two
    bool has_repeated;        // foreign metadata may name one thing twice: then look by name
    uint32_t *offsets;        // entries_max + 1; behind this struct, as the next two
    atomic_uint *slots;       // open addressing, id + 1
    uint8_t *data;            // bytes_max
};

/// An empty list with its own bounds.
pqdb_code pq_variant_names_create_bounded(uint32_t entries_max, uint32_t bytes_max,
                                          const struct pq_alloc *alloc,
                                          struct pq_variant_names **names, pqdb_error *err);

static inline struct pq_text pq_names_text(const struct pq_variant_names *names, uint32_t id) {
    return (struct pq_text){(const char *)names->data + names->offsets[id],
                            names->offsets[id + 1] - names->offsets[id]};
}

/// Names of checked metadata, how many, and where it ends.
struct pq_text pq_metadata_text(const uint8_t *metadata, uint32_t id);
uint32_t pq_metadata_count(const uint8_t *metadata);
size_t pq_metadata_length(const uint8_t *metadata);

/// Little-endian, 1 to 4 bytes.
static inline uint32_t pq_load_width(const uint8_t *at, unsigned width) {
    uint32_t value = at[0];
    if (width > 1) value |= (uint32_t)at[1] << 8;
    if (width > 2) value |= (uint32_t)at[2] << 16;
    if (width > 3) value |= (uint32_t)at[3] << 24;
    return value;
}

static inline unsigned pq_width_of(size_t value) {
    return value < 1u << 8 ? 1 : value < 1u << 16 ? 2 : value < 1u << 24 ? 3 : 4;
}

static inline uint8_t *pq_put_width(uint8_t *at, uint32_t value, unsigned width) {
    for (unsigned i = 0; i < width; i++) at[i] = (uint8_t)(value >> (8 * i));
    return at + width;
}

#endif
