/// table/deaths.h: which rows of a block of PQ_DEATH_BLOCK_ROWS have died, and when.
///
/// While they are few they stand in a hash table, eight bytes an entry: row + 1 in the low 16 bits,
/// above it when; 0 is empty. From a few hundred on every row has four bytes, 0: it lives. "When"
/// counts from 1 and is the segment's affair.
/// A table that is full is replaced by a larger one, which keeps it: readers may still be in there,
/// and need none of the later deaths. Thread: one writer; readers without a lock find all that was
/// put before the version that they read was published.
#ifndef PQ_TABLE_DEATHS_H
#define PQ_TABLE_DEATHS_H

#include <parquedb/error.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/alloc.h"

enum { PQ_DEATH_BLOCK_ROWS = 4096 };

struct pq_deaths {
    struct pq_deaths *smaller;  // owned: what it took the place of
    uint32_t count;             // writer: of entries
    uint32_t room;              // for entries, a power of two; 0: four bytes for every row
    atomic_uint newest;         // of all that were put
    _Atomic(uint64_t) few[];
};

static inline _Atomic(uint32_t) *pq_deaths_all(const struct pq_deaths *deaths) {
    return (_Atomic(uint32_t) *)(void *)(uintptr_t)deaths->few;
}

static inline size_t pq_deaths_place(const struct pq_deaths *deaths, size_t row) {
    return (row * 0x9E37u >> 4) & (deaths->room - 1);
}

/// When the row died; 0: it lives.
static inline uint32_t pq_deaths_find(const struct pq_deaths *deaths, size_t row) {
    if (deaths->room == 0) {
        return atomic_load_explicit(&pq_deaths_all(deaths)[row], memory_order_acquire);
    }
    for (size_t i = pq_deaths_place(deaths, row);; i = (i + 1) & (deaths->room - 1)) {
        const uint64_t entry = atomic_load_explicit(&deaths->few[i], memory_order_acquire);
        if (entry == 0) return 0;
        if ((entry & 0xFFFF) == row + 1) return (uint32_t)(entry >> 16);
    }
}

/// All of them, in no order, from `*at` = 0 on; false behind the last.
bool pq_deaths_next(const struct pq_deaths *deaths, size_t *at, size_t *row, uint32_t *when);

/// The row, which lives, died then. `*deaths` may be NULL. `*bytes` counts what is held.
/// Errors: PQDB_NO_MEMORY, nothing changed.
pqdb_code pq_deaths_put(_Atomic(struct pq_deaths *) *deaths, size_t row, uint32_t when,
                        const struct pq_alloc *alloc, atomic_size_t *bytes, pqdb_error *err);
void pq_deaths_destroy(struct pq_deaths *deaths, const struct pq_alloc *alloc);

#endif
