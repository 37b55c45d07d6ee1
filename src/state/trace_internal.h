/// state/trace_internal.h: what the files of a trace share.
#ifndef PQ_STATE_TRACE_INTERNAL_H
#define PQ_STATE_TRACE_INTERNAL_H

#include "state/trace.h"

enum { PQ_TRACE_SLAB_BYTES = 1 << 20 };  // of room, unless one row needs more

/// A piece of memory given out from the front. `live_bytes` belongs to the owner; a writer of a
/// frozen slab reads only what does not change any more.
struct pq_trace_slab {
    struct pq_trace_slab *older;
    size_t capacity, used;  // of `room`
    size_t live_bytes;      // of rows that a slot points to
    uint32_t epoch;
    uint32_t number;  // in the trace's table
    uint8_t room[];
};
_Static_assert(sizeof(struct pq_trace_slab) % 8 == 0, "rows must be 8-aligned");
_Static_assert(sizeof(struct pq_trace_row) % 8 == 0, "payloads must be 8-aligned");

#define TRACE_SLOT_LEFT UINT64_C(1)
#define TRACE_ADDRESS_MASK UINT64_C(0x0000FFFFFFFFFFFF)

static inline struct pq_trace_row *slot_row(uint64_t slot) {
    return (struct pq_trace_row *)(uintptr_t)(slot & TRACE_ADDRESS_MASK);
}

static inline size_t trace_row_bytes(const struct pq_trace_row *row) {
    return sizeof *row + ((row->key_bytes + 7u) & ~7u) + row->payload_room;
}

/// The rows of a slab, one after the other; NULL behind the last.
static inline struct pq_trace_row *slab_first(const struct pq_trace_slab *slab) {
    return slab->used == 0 ? NULL : (struct pq_trace_row *)(uintptr_t)slab->room;
}
static inline struct pq_trace_row *slab_next(const struct pq_trace_slab *slab,
                                             const struct pq_trace_row *row) {
    const uint8_t *next = (const uint8_t *)row + trace_row_bytes(row);
    return next == slab->room + slab->used ? NULL : (struct pq_trace_row *)(uintptr_t)next;
}

/// The slot that holds the row's key in memory, or NULL.
uint64_t *trace_slot_of(struct pq_trace *trace, uint64_t hash, struct pq_text key);

/// A slab in the table but not yet in the list; NULL when memory is out.
struct pq_trace_slab *trace_make_slab(struct pq_trace *trace, size_t capacity, uint32_t epoch,
                                      pqdb_error *err);

/// Unlink the slab and give its memory back. No slot may point into it.
void trace_free_slab(struct pq_trace *trace, struct pq_trace_slab *slab);

#endif
