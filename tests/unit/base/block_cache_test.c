/// Goal: blocks of whole units come back, others pass through, the bound holds, nothing leaks.
#include "base/block_cache.h"

#include <string.h>

#include "base/arena.h"
#include "support/test.h"

static void a_block_of_whole_units_is_given_out_again(void) {
    struct pq_block_cache cache;
    pq_block_cache_init(&cache, &pq_alloc_libc);
    const struct pq_alloc *alloc = &cache.alloc;
    void *first = pq_resize(alloc, NULL, 0, 3 * PQ_CACHE_UNIT_BYTES, 1);
    memset(first, 1, 3 * PQ_CACHE_UNIT_BYTES);
    pq_free(alloc, first, 3 * PQ_CACHE_UNIT_BYTES, 1);
    CHECK(cache.held == 3 * PQ_CACHE_UNIT_BYTES, "held %zu", cache.held);
    void *other = pq_resize(alloc, NULL, 0, 2 * PQ_CACHE_UNIT_BYTES, 1);
    void *again = pq_resize(alloc, NULL, 0, 3 * PQ_CACHE_UNIT_BYTES, 1);
    CHECK(again == first && other != first, "another size must not get it");
    CHECK(cache.held == 0, "held %zu", cache.held);
    pq_free(alloc, other, 2 * PQ_CACHE_UNIT_BYTES, 1);
    pq_free(alloc, again, 3 * PQ_CACHE_UNIT_BYTES, 1);
    pq_block_cache_deinit(&cache);
}

static void other_sizes_pass_through(void) {
    struct failing_alloc counting = {.alloc = {.resize = failing_resize}, .left = 1000000};
    counting.alloc.ctx = &counting;
    struct pq_block_cache cache;
    pq_block_cache_init(&cache, &counting.alloc);
    void *odd = pq_resize(&cache.alloc, NULL, 0, PQ_CACHE_UNIT_BYTES + 1, 1);
    void *huge = pq_resize(&cache.alloc, NULL, 0, PQ_CACHE_UNITS_MAX + 1, PQ_CACHE_UNIT_BYTES);
    pq_free(&cache.alloc, odd, PQ_CACHE_UNIT_BYTES + 1, 1);
    pq_free(&cache.alloc, huge, PQ_CACHE_UNITS_MAX + 1, PQ_CACHE_UNIT_BYTES);
    CHECK(cache.held == 0 && counting.live_bytes == 0, "%ld live", counting.live_bytes);
    pq_block_cache_deinit(&cache);
}

static void it_holds_no_more_than_its_bound_and_frees_all_in_the_end(void) {
    enum { blocks = PQ_CACHE_BYTES_MAX / PQ_CACHE_UNIT_BYTES / 8 + 3, units = 8 };
    struct failing_alloc counting = {.alloc = {.resize = failing_resize}, .left = 1000000};
    counting.alloc.ctx = &counting;
    struct pq_block_cache cache;
    pq_block_cache_init(&cache, &counting.alloc);
    void *held[blocks];
    for (int i = 0; i < blocks; i++) {
        held[i] = pq_resize(&cache.alloc, NULL, 0, units, PQ_CACHE_UNIT_BYTES);
    }
    for (int i = 0; i < blocks; i++) pq_free(&cache.alloc, held[i], units, PQ_CACHE_UNIT_BYTES);
    CHECK(cache.held == PQ_CACHE_BYTES_MAX, "held %zu", cache.held);
    CHECK(counting.live_bytes == PQ_CACHE_BYTES_MAX, "%ld live", counting.live_bytes);
    pq_block_cache_deinit(&cache);
    CHECK(counting.live_bytes == 0, "%ld bytes leak", counting.live_bytes);
}

static void large_blocks_of_an_arena_are_kept(void) {
    struct pq_block_cache cache;
    pq_block_cache_init(&cache, &pq_alloc_libc);
    struct pq_arena arena;
    pq_arena_init(&arena, &cache.alloc);
    CHECK(pq_arena_alloc(&arena, 5 * PQ_CACHE_UNIT_BYTES + 77) != NULL, "memory");
    pq_arena_deinit(&arena);
    CHECK(cache.held == 6 * PQ_CACHE_UNIT_BYTES, "held %zu", cache.held);
    pq_block_cache_deinit(&cache);
}

int main(void) {
    RUN(a_block_of_whole_units_is_given_out_again);
    RUN(other_sizes_pass_through);
    RUN(it_holds_no_more_than_its_bound_and_frees_all_in_the_end);
    RUN(large_blocks_of_an_arena_are_kept);
    return test_done();
}
