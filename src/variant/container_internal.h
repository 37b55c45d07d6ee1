/// variant/container_internal.h: taking checked variant bytes apart, for those who walk them.
#ifndef PQ_VARIANT_CONTAINER_INTERNAL_H
#define PQ_VARIANT_CONTAINER_INTERNAL_H

#include "variant/names_internal.h"

/// How many bytes follow a primitive's header byte, for those of fixed size.
extern const uint8_t pq_primitive_bytes[PQ_PRIMITIVE_COUNT];

/// An object or array, taken apart.
struct pq_opened {
    unsigned id_width;  // 0: an array
    unsigned offset_width;
    uint32_t count;
    const uint8_t *ids;
    const uint8_t *offsets;  // count + 1
    const uint8_t *values;
};

static inline struct pq_opened pq_open_container(const uint8_t *bytes) {
    struct pq_opened container;
    const unsigned header = bytes[0] >> 2;
    const bool is_object = (bytes[0] & 3) == BASIC_OBJECT;
    const bool large = is_object ? header >> 4 & 1 : header >> 2 & 1;
    container.offset_width = (header & 3) + 1;
    container.id_width = is_object ? (header >> 2 & 3) + 1 : 0;
    container.count = large ? pq_load_u32(bytes + 1) : bytes[1];
    container.ids = bytes + (large ? 5 : 2);
    container.offsets = container.ids + (size_t)container.count * container.id_width;
    container.values = container.offsets + ((size_t)container.count + 1) * container.offset_width;
    return container;
}

static inline uint32_t pq_opened_offset(const struct pq_opened *container, size_t k) {
    return pq_load_width(container->offsets + k * container->offset_width,
                         container->offset_width);
}

static inline uint32_t pq_opened_id(const struct pq_opened *container, size_t k) {
    return pq_load_width(container->ids + k * container->id_width, container->id_width);
}

/// Length of a whole value.
static inline size_t pq_value_size(const uint8_t *bytes) {
    const unsigned header = bytes[0] >> 2;
    switch (bytes[0] & 3) {
    case BASIC_SHORT_TEXT: return 1 + header;
    case BASIC_PRIMITIVE:
        if (header == PQ_PRIMITIVE_TEXT || header == PQ_PRIMITIVE_BINARY) {
            return 5 + (size_t)pq_load_u32(bytes + 1);
        }
        return 1 + (size_t)pq_primitive_bytes[header];
    default: {
        const struct pq_opened container = pq_open_container(bytes);
        return (size_t)(container.values - bytes) +
               pq_opened_offset(&container, container.count);
    }
    }
}

/// The name of an id, in the list or the metadata of a value.
static inline struct pq_text pq_variant_name(const struct pq_variant *variant, uint32_t id) {
    if (variant->metadata != NULL) return pq_metadata_text(variant->metadata, id);
    return pq_names_text(variant->names, id);
}

#endif
