/// An allocator that sums what is held, and the most that ever was. One thread.
#ifndef PQ_TEST_COUNTING_ALLOC_H
#define PQ_TEST_COUNTING_ALLOC_H

#include "base/alloc.h"

struct counting_alloc {
    struct pq_alloc alloc;
    size_t live, peak;
};

static void *counting_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    struct counting_alloc *counting = ctx;
    void *memory = pq_alloc_libc.resize(pq_alloc_libc.ctx, ptr, old_bytes, new_bytes);
    if (memory == NULL && new_bytes > 0) return NULL;
    counting->live += new_bytes - old_bytes;
    if (counting->live > counting->peak) counting->peak = counting->live;
    return memory;
}

static inline void counting_alloc_init(struct counting_alloc *counting) {
    *counting = (struct counting_alloc){.alloc = {.resize = counting_resize, .ctx = counting}};
}

#endif
