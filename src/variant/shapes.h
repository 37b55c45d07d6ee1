/// variant/shapes.h: sequences of keys seen before, so that an object like the last one costs one
/// comparison per key and no look-up.
///
/// A tree: a node is a sequence of keys, its children are the keys that followed. A path never
/// contains a key twice, so a repeated key is found without extra work: it has no node. One thread.
#ifndef PQ_VARIANT_SHAPES_H
#define PQ_VARIANT_SHAPES_H

#include <stdint.h>
#include <string.h>

#include "base/arena.h"

enum {
    PQ_SHAPE_ROOT = 0,  // no key yet
    PQ_SHAPES_MAX = 16384,
    PQ_SHAPE_KEYS_MAX = 256,
};
#define PQ_SHAPE_UNKNOWN UINT32_MAX         ///< not kept: bounds, memory, or `resolve` said no
#define PQ_SHAPE_REPEATED (UINT32_MAX - 1)  ///< the key is in the sequence already

struct pq_shape {
    struct pq_text key;  // the last one of the sequence
    uint32_t parent;
    uint32_t likely;  // the child taken last, or 0
    uint32_t depth;   // how many keys
    uint32_t value;   // what `resolve` said about the key
    void *end;        // the owner's, for objects that end here; NULL at first
};

struct pq_shapes {
    struct pq_shape *nodes;
    uint32_t count;
    uint32_t capacity;
    uint32_t *slots;  // open addressing by (parent, key): node index, 0 empty
    uint32_t slot_count;
    struct pq_arena arena;  // keys, and the owner's `end`s; lives as long as the tree
    const struct pq_alloc *alloc;
    uint32_t (*resolve)(void *ctx, struct pq_text key);  // UINT32_MAX: the key cannot be kept
    void *ctx;
};

/// Must not move afterwards (it holds an arena). Allocates at the first key.
void pq_shapes_init(struct pq_shapes *shapes, const struct pq_alloc *alloc,
                    uint32_t (*resolve)(void *ctx, struct pq_text key), void *ctx);
void pq_shapes_deinit(struct pq_shapes *shapes);

/// The slow half of pq_shape_next.
uint32_t pq_shape_search(struct pq_shapes *shapes, uint32_t node, struct pq_text key);

/// Short keys compared by two overlapping words, without a call.
static inline bool pq_key_equal(struct pq_text a, struct pq_text b) {
    if (a.length != b.length) return false;
    if (a.length > 16) return memcmp(a.data, b.data, a.length) == 0;
    if (a.length >= 8) {
        uint64_t x[2], y[2];
        memcpy(&x[0], a.data, 8);
        memcpy(&y[0], b.data, 8);
        memcpy(&x[1], a.data + a.length - 8, 8);
        memcpy(&y[1], b.data + b.length - 8, 8);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    if (a.length >= 4) {
        uint32_t x[2], y[2];
        memcpy(&x[0], a.data, 4);
        memcpy(&y[0], b.data, 4);
        memcpy(&x[1], a.data + a.length - 4, 4);
        memcpy(&y[1], b.data + b.length - 4, 4);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
    }
    for (size_t i = 0; i < a.length; i++) {
        if (a.data[i] != b.data[i]) return false;
    }
    return true;
}

/// The sequence `node` followed by `key`: a node, PQ_SHAPE_UNKNOWN or PQ_SHAPE_REPEATED.
static inline uint32_t pq_shape_next(struct pq_shapes *shapes, uint32_t node, struct pq_text key) {
    if (shapes->count > 0) {
        const uint32_t likely = shapes->nodes[node].likely;
        if (likely != 0 && pq_key_equal(shapes->nodes[likely].key, key)) return likely;
    }
    return pq_shape_search(shapes, node, key);
}

#endif
