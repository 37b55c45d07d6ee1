#include "base/account.h"

static void *account_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    struct pq_account *account = ctx;
    void *moved = account->source->resize(account->source->ctx, ptr, old_bytes, new_bytes);
    if (moved == NULL && new_bytes > 0) return NULL;
    // Modulo the size of the counter, so that giving back is adding as well.
    atomic_fetch_add_explicit(&account->used, new_bytes - (ptr == NULL ? 0 : old_bytes),
                              memory_order_relaxed);
    return moved;
}

void pq_account_init(struct pq_account *account, const struct pq_alloc *source) {
    account->alloc = (struct pq_alloc){.resize = account_resize, .ctx = account};
    account->source = source;
    atomic_init(&account->used, 0);
}
