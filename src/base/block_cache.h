/// base/block_cache.h: keeps large blocks that were given back, so that a steady flow of batches
/// does not ask the system for fresh pages each time.
///
/// Only sizes of whole PQ_CACHE_UNIT_BYTES, up to PQ_CACHE_UNITS_MAX of them, are kept, in one list
/// per size; arenas round their large blocks to such sizes. Everything else goes through.
#ifndef PQ_BASE_BLOCK_CACHE_H
#define PQ_BASE_BLOCK_CACHE_H

#include <pthread.h>

#include "base/alloc.h"

enum {
    PQ_CACHE_UNIT_BYTES = 1 << 20,
    PQ_CACHE_UNITS_MAX = 16,
    PQ_CACHE_BYTES_MAX = 64 << 20,  // held at most, unless told otherwise
};

/// Any thread. Invariant: `held` is the sum of what the lists hold.
struct pq_block_cache {
    struct pq_alloc alloc;          // the cache as an allocator
    const struct pq_alloc *source;  // borrowed, thread-safe
    pthread_mutex_t lock;
    void *lists[PQ_CACHE_UNITS_MAX + 1];  // by units; a block's first word is the next one
    size_t held, bytes_max;
};

/// `&cache->alloc` is valid from here on: the struct must not move afterwards.
void pq_block_cache_init(struct pq_block_cache *cache, const struct pq_alloc *source);
/// Everything handed out must have come back.
void pq_block_cache_deinit(struct pq_block_cache *cache);

#endif
