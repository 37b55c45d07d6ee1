#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "variant/names_internal.h"

/// One block: the struct, slots, offsets, data.
static size_t block_bytes(const struct pq_variant_names *names) {
    return sizeof *names + (size_t)names->slot_count * sizeof *names->slots +
           ((size_t)names->entries_max + 1) * sizeof *names->offsets + names->bytes_max;
}

pqdb_code pq_variant_names_create_bounded(uint32_t entries_max, uint32_t bytes_max,
                                          const struct pq_alloc *alloc,
                                          struct pq_variant_names **names, pqdb_error *err) {
    struct pq_variant_names shape = {.alloc = alloc,
                                     .entries_max = entries_max,
                                     .bytes_max = bytes_max,
                                     .slot_count = 16};
    while (shape.slot_count < 2 * (uint64_t)entries_max) shape.slot_count *= 2;
    uint8_t *block = pq_resize(alloc, NULL, 0, block_bytes(&shape), 1);
    if (block == NULL) return pq_fail(err, PQDB_NO_MEMORY, "list of %u names", entries_max);
    struct pq_variant_names *made = (struct pq_variant_names *)(void *)block;
    memcpy(block, &shape, sizeof shape);
    made->slots = (atomic_uint *)(void *)(block + sizeof *made);
    made->offsets = (uint32_t *)(void *)(made->slots + made->slot_count);
    made->data = (uint8_t *)(made->offsets + entries_max + 1);
    for (uint32_t i = 0; i < made->slot_count; i++) atomic_init(&made->slots[i], 0);
    made->offsets[0] = 0;
    atomic_init(&made->count, 0);
    atomic_init(&made->references, 1);
    pthread_mutex_init(&made->lock, NULL);
    *names = made;
    return PQDB_OK;
}

pqdb_code pq_variant_names_create(const struct pq_alloc *alloc, struct pq_variant_names **names,
                                  pqdb_error *err) {
    return pq_variant_names_create_bounded(PQ_VARIANT_NAMES_MAX, PQ_VARIANT_NAME_BYTES_MAX, alloc,
                                           names, err);
}

struct pq_variant_names *pq_variant_names_ref(const struct pq_variant_names *names) {
    struct pq_variant_names *shared = (struct pq_variant_names *)names;
    atomic_fetch_add_explicit(&shared->references, 1, memory_order_relaxed);
    return shared;
}

void pq_variant_names_unref(const struct pq_variant_names *names) {
    struct pq_variant_names *shared = (struct pq_variant_names *)names;
    if (shared == NULL) return;
    if (atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) > 1) return;
    pthread_mutex_destroy(&shared->lock);
    pq_free(shared->alloc, shared, block_bytes(shared), 1);
}

uint32_t pq_variant_names_count(const struct pq_variant_names *names) {
    return atomic_load_explicit(&names->count, memory_order_acquire);
}

struct pq_text pq_variant_names_text(const struct pq_variant_names *names, uint32_t id) {
    return pq_names_text(names, id);
}

/// The id, or UINT32_MAX and the free slot where the search ended.
static uint32_t find(const struct pq_variant_names *names, struct pq_text name, uint32_t *slot) {
    const uint32_t mask = names->slot_count - 1;
    *slot = (uint32_t)pq_hash(name.data, name.length) & mask;
    for (;; *slot = (*slot + 1) & mask) {
        const uint32_t taken = atomic_load_explicit(&names->slots[*slot], memory_order_acquire);
        if (taken == 0) return UINT32_MAX;
        if (pq_text_equal(pq_names_text(names, taken - 1), name)) return taken - 1;
    }
}

uint32_t pq_variant_names_find(const struct pq_variant_names *names, struct pq_text name) {
    uint32_t slot;
    return find(names, name, &slot);
}

/// Put `name` at the end; `slot` is where the search for it ended. The lock is held.
static uint32_t append(struct pq_variant_names *names, struct pq_text name, uint32_t slot) {
    const uint32_t id = atomic_load_explicit(&names->count, memory_order_relaxed);
    if (id == names->entries_max) return UINT32_MAX;
    const uint32_t offset = names->offsets[id];
    if (name.length > names->bytes_max - offset) return UINT32_MAX;
    if (name.length > 0) memcpy(names->data + offset, name.data, name.length);
    names->offsets[id + 1] = offset + (uint32_t)name.length;
    atomic_store_explicit(&names->slots[slot], id + 1, memory_order_release);
    atomic_store_explicit(&names->count, id + 1, memory_order_release);
    return id;
}

uint32_t pq_variant_names_add(struct pq_variant_names *names, struct pq_text name) {
    uint32_t slot;
    uint32_t id = find(names, name, &slot);
    if (id != UINT32_MAX) return id;
    pthread_mutex_lock(&names->lock);
    id = find(names, name, &slot);
    if (id == UINT32_MAX) id = append(names, name, slot);
    pthread_mutex_unlock(&names->lock);
    return id;
}

pqdb_code pq_variant_names_write(const struct pq_variant_names *names, uint32_t count,
                                 struct pq_bytes *out, pqdb_error *err) {
    pq_assert(count <= pq_variant_names_count(names));
    const uint32_t bytes = names->offsets[count];
    const unsigned width = pq_width_of(bytes > count ? bytes : count);
    PQ_TRY(pq_bytes_reserve(out, 1 + ((size_t)count + 2) * width + bytes, err));
    uint8_t *at = out->data + out->length;
    *at++ = (uint8_t)(1 | (width - 1) << 6);
    at = pq_put_width(at, count, width);
    for (uint32_t id = 0; id <= count; id++) at = pq_put_width(at, names->offsets[id], width);
    memcpy(at, names->data, bytes);
    out->length = (size_t)(at + bytes - out->data);
    return PQDB_OK;
}

/// A metadata dictionary nobody has vouched for.
struct metadata {
    unsigned width;
    uint32_t count;
    const uint8_t *offsets;
    const uint8_t *names;
    uint32_t names_bytes;
};

static pqdb_code corrupt(pqdb_error *err, const char *what) {
    return pq_fail(err, PQDB_CORRUPT, "variant metadata: %s", what);
}

static pqdb_code open_metadata(struct pq_cursor *cursor, struct metadata *metadata,
                               pqdb_error *err) {
    const uint8_t header = pq_cursor_u8(cursor);
    if (cursor->failed) return corrupt(err, "it is empty");
    if ((header & 0x0F) != 1) return corrupt(err, "its version is not 1");
    metadata->width = (header >> 6) + 1u;
    const uint8_t *count = pq_cursor_take(cursor, metadata->width);
    if (count == NULL) return corrupt(err, "it is cut");
    metadata->count = pq_load_width(count, metadata->width);
    metadata->offsets = pq_cursor_take(cursor, ((size_t)metadata->count + 1) * metadata->width);
    if (metadata->offsets == NULL) return corrupt(err, "it has more names than bytes");
    const uint8_t *last = metadata->offsets + (size_t)metadata->count * metadata->width;
    metadata->names_bytes = pq_load_width(last, metadata->width);
    metadata->names = pq_cursor_take(cursor, metadata->names_bytes);
    return metadata->names == NULL ? corrupt(err, "its names end behind its bytes") : PQDB_OK;
}

static pqdb_code add_foreign(struct pq_variant_names *names, const struct metadata *metadata,
                             pqdb_error *err) {
    uint32_t start = pq_load_width(metadata->offsets, metadata->width);
    if (start != 0) return corrupt(err, "its first name does not begin at 0");
    for (uint32_t id = 0; id < metadata->count; id++) {
        const uint8_t *at = metadata->offsets + ((size_t)id + 1) * metadata->width;
        const uint32_t end = pq_load_width(at, metadata->width);
        if (end < start || end > metadata->names_bytes) return corrupt(err, "its offsets fall");
        const struct pq_text name = {(const char *)metadata->names + start, end - start};
        if (!pq_text_is_utf8(name)) return corrupt(err, "a name is not UTF-8");
        uint32_t slot;
        if (find(names, name, &slot) != UINT32_MAX) {
            names->has_repeated = true;
            while (atomic_load_explicit(&names->slots[slot], memory_order_relaxed) != 0) {
                slot = (slot + 1) & (names->slot_count - 1);
            }
        }
        append(names, name, slot);
        start = end;
    }
    return PQDB_OK;
}

pqdb_code pq_variant_names_from_metadata(const uint8_t *bytes, size_t length,
                                         const struct pq_alloc *alloc,
                                         struct pq_variant_names **names, size_t *used,
                                         pqdb_error *err) {
    struct pq_cursor cursor = pq_cursor_of(bytes, length);
    struct metadata metadata;
    PQ_TRY(open_metadata(&cursor, &metadata, err));
    struct pq_variant_names *made;
    PQ_TRY(pq_variant_names_create_bounded(metadata.count, metadata.names_bytes, alloc, &made,
                                           err));
    const pqdb_code code = add_foreign(made, &metadata, err);
    if (code != PQDB_OK) {
        pq_variant_names_unref(made);
        return code;
    }
    *names = made;
    *used = (size_t)(cursor.at - bytes);
    return PQDB_OK;
}

/// Width of count and offsets, the count, and where the offsets begin.
static const uint8_t *offsets_of(const uint8_t *metadata, unsigned *width, uint32_t *count) {
    *width = (metadata[0] >> 6) + 1u;
    *count = pq_load_width(metadata + 1, *width);
    return metadata + 1 + *width;
}

struct pq_text pq_metadata_text(const uint8_t *metadata, uint32_t id) {
    unsigned width;
    uint32_t count;
    const uint8_t *offsets = offsets_of(metadata, &width, &count);
    pq_assert(id < count);
    const uint32_t start = pq_load_width(offsets + (size_t)id * width, width);
    const uint32_t end = pq_load_width(offsets + ((size_t)id + 1) * width, width);
    return (struct pq_text){(const char *)offsets + ((size_t)count + 1) * width + start,
                            end - start};
}

uint32_t pq_metadata_count(const uint8_t *metadata) {
    return pq_load_width(metadata + 1, (metadata[0] >> 6) + 1u);
}

size_t pq_metadata_length(const uint8_t *metadata) {
    unsigned width;
    uint32_t count;
    const uint8_t *offsets = offsets_of(metadata, &width, &count);
    const size_t header = 1 + ((size_t)count + 2) * width;
    return header + pq_load_width(offsets + (size_t)count * width, width);
}
