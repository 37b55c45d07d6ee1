#include "variant/shapes.h"

#include "base/hash.h"

enum { nodes_min = 64 };

void pq_shapes_init(struct pq_shapes *shapes, const struct pq_alloc *alloc,
                    uint32_t (*resolve)(void *ctx, struct pq_text key), void *ctx) {
    *shapes = (struct pq_shapes){.alloc = alloc, .resolve = resolve, .ctx = ctx};
    pq_arena_init(&shapes->arena, alloc);
}

void pq_shapes_deinit(struct pq_shapes *shapes) {
    pq_free(shapes->alloc, shapes->nodes, shapes->capacity, sizeof *shapes->nodes);
    pq_free(shapes->alloc, shapes->slots, shapes->slot_count, sizeof *shapes->slots);
    pq_arena_deinit(&shapes->arena);
    shapes->nodes = NULL;
    shapes->slots = NULL;
    shapes->count = shapes->capacity = shapes->slot_count = 0;
}

static uint32_t slot_of(const struct pq_shapes *shapes, uint32_t parent, struct pq_text key) {
    const uint64_t hash = pq_hash_word(pq_hash(key.data, key.length) + parent);
    return (uint32_t)hash & (shapes->slot_count - 1);
}

/// Room for one more node, the root included. False when memory is out.
static bool reserve(struct pq_shapes *shapes) {
    if (shapes->count < shapes->capacity) return true;
    const uint32_t capacity = shapes->capacity == 0 ? nodes_min : shapes->capacity * 2;
    uint32_t *slots = pq_resize(shapes->alloc, NULL, 0, capacity * 2, sizeof *slots);
    if (slots == NULL) return false;
    struct pq_shape *nodes = pq_resize(shapes->alloc, shapes->nodes, shapes->capacity, capacity,
                                       sizeof *nodes);
    if (nodes == NULL) {
        pq_free(shapes->alloc, slots, capacity * 2, sizeof *slots);
        return false;
    }
    pq_free(shapes->alloc, shapes->slots, shapes->slot_count, sizeof *slots);
    shapes->nodes = nodes;
    shapes->capacity = capacity;
    shapes->slots = slots;
    shapes->slot_count = capacity * 2;
    memset(slots, 0, shapes->slot_count * sizeof *slots);
    if (shapes->count == 0) nodes[shapes->count++] = (struct pq_shape){0};
    for (uint32_t i = 1; i < shapes->count; i++) {
        uint32_t slot = slot_of(shapes, nodes[i].parent, nodes[i].key);
        while (slots[slot] != 0) slot = (slot + 1) & (shapes->slot_count - 1);
        slots[slot] = i;
    }
    return true;
}

static bool is_repeated(const struct pq_shapes *shapes, uint32_t node, struct pq_text key) {
    for (; node != PQ_SHAPE_ROOT; node = shapes->nodes[node].parent) {
        if (pq_text_equal(shapes->nodes[node].key, key)) return true;
    }
    return false;
}

static uint32_t add(struct pq_shapes *shapes, uint32_t parent, struct pq_text key) {
    if (is_repeated(shapes, parent, key)) return PQ_SHAPE_REPEATED;
    if (shapes->count >= PQ_SHAPES_MAX || shapes->nodes[parent].depth >= PQ_SHAPE_KEYS_MAX) {
        return PQ_SHAPE_UNKNOWN;
    }
    const uint32_t value = shapes->resolve(shapes->ctx, key);
    if (value == UINT32_MAX || !reserve(shapes)) return PQ_SHAPE_UNKNOWN;
    const struct pq_text copy = pq_arena_copy(&shapes->arena, key);
    if (copy.data == NULL) return PQ_SHAPE_UNKNOWN;
    const uint32_t node = shapes->count++;
    shapes->nodes[node] = (struct pq_shape){.key = copy,
                                            .parent = parent,
                                            .depth = shapes->nodes[parent].depth + 1,
                                            .value = value};
    uint32_t slot = slot_of(shapes, parent, key);
    while (shapes->slots[slot] != 0) slot = (slot + 1) & (shapes->slot_count - 1);
    shapes->slots[slot] = node;
    shapes->nodes[parent].likely = node;
    return node;
}

uint32_t pq_shape_search(struct pq_shapes *shapes, uint32_t node, struct pq_text key) {
    if (shapes->count == 0 && !reserve(shapes)) return PQ_SHAPE_UNKNOWN;
    const uint32_t mask = shapes->slot_count - 1;
    for (uint32_t slot = slot_of(shapes, node, key);; slot = (slot + 1) & mask) {
        const uint32_t found = shapes->slots[slot];
        if (found == 0) return add(shapes, node, key);
        if (shapes->nodes[found].parent == node && pq_key_equal(shapes->nodes[found].key, key)) {
            shapes->nodes[node].likely = found;
            return found;
        }
    }
}
