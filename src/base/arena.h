/// base/arena.h: memory that dies all at once. An arena is named after the moment it dies
/// (step_arena, batch_arena). It is also a pq_alloc, so builders and buffers can live in it.
#ifndef PQ_BASE_ARENA_H
#define PQ_BASE_ARENA_H

#include <stddef.h>

#include "base/alloc.h"
#include "base/text.h"

struct pq_arena_block;

/// One owner, one thread at a time. `bytes_max` 0 means no bound of its own.
struct pq_arena {
    struct pq_alloc alloc;          // the arena as an allocator: frees do nothing
    const struct pq_alloc *source;  // borrowed, outlives the arena
    struct pq_arena_block *blocks;  // owned, newest first
    size_t bytes_held;              // taken from the source
    size_t bytes_max;
};

/// `&arena->alloc` is valid from here on: the struct must not move afterwards.
void pq_arena_init(struct pq_arena *arena, const struct pq_alloc *source);
void pq_arena_deinit(struct pq_arena *arena);

/// Everything given out becomes invalid; the largest block is kept, so a steady loop allocates
/// nothing.
void pq_arena_reset(struct pq_arena *arena);

/// 16-aligned and not cleared; NULL when memory or the bound is out. Zero bytes give a valid
/// pointer.
void *pq_arena_alloc(struct pq_arena *arena, size_t bytes);
void *pq_arena_calloc(struct pq_arena *arena, size_t count, size_t item_bytes);

/// A copy with a trailing NUL; data is NULL when memory is out.
struct pq_text pq_arena_copy(struct pq_arena *arena, struct pq_text text);

#endif
