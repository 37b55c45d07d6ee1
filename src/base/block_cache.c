#include "base/block_cache.h"

#include <stdbool.h>
#include <string.h>

/// The list for blocks of this size, 0 when they are not kept.
static size_t units_of(size_t bytes) {
    if (bytes % PQ_CACHE_UNIT_BYTES != 0) return 0;
    const size_t units = bytes / PQ_CACHE_UNIT_BYTES;
    return units > PQ_CACHE_UNITS_MAX ? 0 : units;
}

static void *take(struct pq_block_cache *cache, size_t units) {
    pthread_mutex_lock(&cache->lock);
    void *block = cache->lists[units];
    if (block != NULL) {
        memcpy(&cache->lists[units], block, sizeof(void *));
        cache->held -= units * PQ_CACHE_UNIT_BYTES;
    }
    pthread_mutex_unlock(&cache->lock);
    return block;
}

static bool keep(struct pq_block_cache *cache, void *block, size_t units) {
    const size_t bytes = units * PQ_CACHE_UNIT_BYTES;
    pthread_mutex_lock(&cache->lock);
    const bool fits = cache->held + bytes <= cache->bytes_max;
    if (fits) {
        memcpy(block, &cache->lists[units], sizeof(void *));
        cache->lists[units] = block;
        cache->held += bytes;
    }
    pthread_mutex_unlock(&cache->lock);
    return fits;
}

static void *cache_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    struct pq_block_cache *cache = ctx;
    if (ptr == NULL && units_of(new_bytes) > 0) {
        void *block = take(cache, units_of(new_bytes));
        if (block != NULL) return block;
    }
    if (ptr != NULL && new_bytes == 0 && units_of(old_bytes) > 0 &&
        keep(cache, ptr, units_of(old_bytes))) {
        return NULL;
    }
    return cache->source->resize(cache->source->ctx, ptr, old_bytes, new_bytes);
}

void pq_block_cache_init(struct pq_block_cache *cache, const struct pq_alloc *source) {
    *cache = (struct pq_block_cache){.alloc = {.resize = cache_resize, .ctx = cache},
                                     .source = source, .bytes_max = PQ_CACHE_BYTES_MAX};
    pthread_mutex_init(&cache->lock, NULL);
}

void pq_block_cache_deinit(struct pq_block_cache *cache) {
    for (size_t units = 1; units <= PQ_CACHE_UNITS_MAX; units++) {
        for (void *block; (block = take(cache, units)) != NULL;) {
            pq_free(cache->source, block, units * PQ_CACHE_UNIT_BYTES, 1);
        }
    }
    pthread_mutex_destroy(&cache->lock);
}
