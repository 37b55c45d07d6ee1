#include "table/deaths.h"

#include <string.h>

#include "base/check.h"
#include "base/fail.h"

enum {
    first_room = 64,
    most_room = 256,  // more entries take more than four bytes a row soon
};

static size_t bytes_of(uint32_t room) {
    return sizeof(struct pq_deaths) + (room > 0 ? room * sizeof(uint64_t)
                                                : PQ_DEATH_BLOCK_ROWS * sizeof(uint32_t));
}

bool pq_deaths_next(const struct pq_deaths *deaths, size_t *at, size_t *row, uint32_t *when) {
    const size_t end = deaths->room > 0 ? deaths->room : PQ_DEATH_BLOCK_ROWS;
    while (*at < end) {
        const size_t i = (*at)++;
        if (deaths->room == 0) {
            *row = i;
            *when = atomic_load_explicit(&pq_deaths_all(deaths)[i], memory_order_acquire);
        } else {
            const uint64_t entry = atomic_load_explicit(&deaths->few[i], memory_order_acquire);
            *row = (size_t)(entry & 0xFFFF) - 1;
            *when = (uint32_t)(entry >> 16);
        }
        if (*when != 0) return true;
    }
    return false;
}

static void put(struct pq_deaths *deaths, size_t row, uint32_t when) {
    deaths->count++;
    if (when > atomic_load_explicit(&deaths->newest, memory_order_relaxed)) {
        atomic_store_explicit(&deaths->newest, when, memory_order_relaxed);
    }
    if (deaths->room == 0) {
        atomic_store_explicit(&pq_deaths_all(deaths)[row], when, memory_order_release);
        return;
    }
    size_t i = pq_deaths_place(deaths, row);
    while (atomic_load_explicit(&deaths->few[i], memory_order_relaxed) != 0) {
        i = (i + 1) & (deaths->room - 1);
    }
    atomic_store_explicit(&deaths->few[i], (uint64_t)when << 16 | (row + 1), memory_order_release);
}

/// One with room for more, with all that `old` (or NULL) has.
static struct pq_deaths *grow(struct pq_deaths *old, const struct pq_alloc *alloc) {
    uint32_t room = old == NULL ? first_room : old->room * 4;
    if (room > most_room) room = 0;
    struct pq_deaths *made = pq_resize(alloc, NULL, 0, bytes_of(room), 1);
    if (made == NULL) return NULL;
    memset((void *)made, 0, bytes_of(room));
    made->room = room;
    made->smaller = old;
    size_t at = 0, row;
    uint32_t when;
    while (old != NULL && pq_deaths_next(old, &at, &row, &when)) put(made, row, when);
    return made;
}

pqdb_code pq_deaths_put(_Atomic(struct pq_deaths *) *deaths, size_t row, uint32_t when,
                        const struct pq_alloc *alloc, atomic_size_t *bytes, pqdb_error *err) {
    struct pq_deaths *there = atomic_load_explicit(deaths, memory_order_relaxed);
    pq_assert(there == NULL || pq_deaths_find(there, row) == 0);
    if (there == NULL || (there->room > 0 && there->count >= there->room / 4 * 3)) {
        there = grow(there, alloc);
        if (there == NULL) return pq_fail(err, PQDB_NO_MEMORY, "deaths of a block of rows");
        atomic_fetch_add_explicit(bytes, bytes_of(there->room), memory_order_relaxed);
        put(there, row, when);
        atomic_store_explicit(deaths, there, memory_order_release);
        return PQDB_OK;
    }
    put(there, row, when);
    return PQDB_OK;
}

void pq_deaths_destroy(struct pq_deaths *deaths, const struct pq_alloc *alloc) {
    while (deaths != NULL) {
        struct pq_deaths *smaller = deaths->smaller;
        pq_free(alloc, (void *)deaths, bytes_of(deaths->room), 1);
        deaths = smaller;
    }
}
