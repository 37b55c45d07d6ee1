#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include "base/block_cache.h"

struct pq_arena_block {
    struct pq_arena_block *older;
    size_t used;      // bytes given out of `room`
    size_t capacity;  // of `room`
    size_t padding_;  // keeps `room` 16-aligned
    uint8_t room[];
};

_Static_assert(sizeof(struct pq_arena_block) % 16 == 0, "room must be 16-aligned");

enum { block_bytes_min = 4096, block_bytes_max = PQ_CACHE_UNIT_BYTES };

static size_t aligned(size_t bytes) { return (bytes + 15) & ~(size_t)15; }

/// Growing the newest piece extends it in place; anything else is a fresh piece and a copy.
static void *arena_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    struct pq_arena *arena = ctx;
    if (new_bytes == 0) return NULL;
    if (ptr == NULL) return pq_arena_alloc(arena, new_bytes);
    struct pq_arena_block *block = arena->blocks;
    const size_t old_size = aligned(old_bytes);
    if (block != NULL && new_bytes <= SIZE_MAX - 15 && block->used >= old_size &&
        (uint8_t *)ptr == block->room + block->used - old_size) {
        const size_t start = block->used - old_size;
        if (aligned(new_bytes) <= block->capacity - start) {
            block->used = start + aligned(new_bytes);
            return ptr;
        }
    }
    if (new_bytes <= old_bytes) return ptr;
    void *fresh = pq_arena_alloc(arena, new_bytes);
    if (fresh != NULL) memcpy(fresh, ptr, old_bytes);
    return fresh;
}

void pq_arena_init(struct pq_arena *arena, const struct pq_alloc *source) {
    *arena = (struct pq_arena){.alloc = {.resize = arena_resize, .ctx = arena}, .source = source};
}

static void free_block(struct pq_arena *arena, struct pq_arena_block *block) {
    const size_t bytes = sizeof *block + block->capacity;
    arena->bytes_held -= bytes;
    pq_free(arena->source, block, bytes, 1);
}

void pq_arena_deinit(struct pq_arena *arena) {
    while (arena->blocks != NULL) {
        struct pq_arena_block *block = arena->blocks;
        arena->blocks = block->older;
        free_block(arena, block);
    }
}

void pq_arena_reset(struct pq_arena *arena) {
    struct pq_arena_block *largest = arena->blocks;
    for (struct pq_arena_block *b = arena->blocks; b != NULL; b = b->older) {
        if (b->capacity > largest->capacity) largest = b;
    }
    struct pq_arena_block *block = arena->blocks;
    while (block != NULL) {
        struct pq_arena_block *older = block->older;
        if (block != largest) free_block(arena, block);
        block = older;
    }
    arena->blocks = largest;
    if (largest != NULL) {
        largest->older = NULL;
        largest->used = 0;
    }
}

static struct pq_arena_block *add_block(struct pq_arena *arena, size_t bytes) {
    size_t capacity = arena->blocks == NULL ? block_bytes_min : arena->blocks->capacity * 2;
    const size_t usual_max = block_bytes_max - sizeof(struct pq_arena_block);
    if (capacity > usual_max) capacity = usual_max;
    if (capacity < bytes) capacity = bytes;
    size_t total = sizeof(struct pq_arena_block) + capacity;
    if (total >= block_bytes_max / 2) {  // whole units, which a block cache can keep
        total = (total + PQ_CACHE_UNIT_BYTES - 1) / PQ_CACHE_UNIT_BYTES * PQ_CACHE_UNIT_BYTES;
        capacity = total - sizeof(struct pq_arena_block);
    }
    if (total < bytes) return NULL;
    const size_t max = arena->bytes_max, held = arena->bytes_held;
    if (max != 0 && (held > max || total > max - held)) return NULL;
    struct pq_arena_block *block = pq_resize(arena->source, NULL, 0, total, 1);
    if (block == NULL) return NULL;
    *block = (struct pq_arena_block){.older = arena->blocks, .capacity = capacity};
    arena->blocks = block;
    arena->bytes_held += total;
    return block;
}

void *pq_arena_alloc(struct pq_arena *arena, size_t bytes) {
    if (bytes > SIZE_MAX / 2) return NULL;
    const size_t size = aligned(bytes);
    struct pq_arena_block *block = arena->blocks;
    if (block == NULL || size > block->capacity - block->used) {
        block = add_block(arena, size);
        if (block == NULL) return NULL;
    }
    void *piece = block->room + block->used;
    block->used += size;
    return piece;
}

void *pq_arena_calloc(struct pq_arena *arena, size_t count, size_t item_bytes) {
    if (item_bytes != 0 && count > SIZE_MAX / 2 / item_bytes) return NULL;
    void *piece = pq_arena_alloc(arena, count * item_bytes);
    if (piece != NULL) memset(piece, 0, count * item_bytes);
    return piece;
}

struct pq_text pq_arena_copy(struct pq_arena *arena, struct pq_text text) {
    char *copy = text.length < SIZE_MAX ? pq_arena_alloc(arena, text.length + 1) : NULL;
    if (copy == NULL) return (struct pq_text){0};
    if (text.length > 0) memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    return (struct pq_text){copy, text.length};
}
