/// base/account.h: memory counted by what it is for. An account is an allocator over another one;
/// accounts may stand on each other, so that one counts a part of what the other does.
#ifndef PQ_BASE_ACCOUNT_H
#define PQ_BASE_ACCOUNT_H

#include <stdatomic.h>

#include "base/alloc.h"

/// Thread: any, where the source is.
struct pq_account {
    struct pq_alloc alloc;
    const struct pq_alloc *source;  // borrowed
    atomic_size_t used;             // bytes handed out and not given back
};

/// `&account->alloc` is valid from here on: the struct must not move afterwards.
void pq_account_init(struct pq_account *account, const struct pq_alloc *source);

static inline size_t pq_account_used(const struct pq_account *account) {
    return atomic_load_explicit(&account->used, memory_order_relaxed);
}

#endif
