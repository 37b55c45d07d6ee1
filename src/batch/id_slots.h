/// batch/id_slots.h: rows of a builder of ids, found by their ids. Slots hold row + 1, 0: free; how
/// many there are is a power of two, of which at most half are taken.
#ifndef PQ_BATCH_ID_SLOTS_H
#define PQ_BATCH_ID_SLOTS_H

#include "base/hash.h"
#include "batch/builder.h"

static inline struct pq_text pq_built_id(const struct pq_builder *ids, size_t row) {
    const struct pq_column column = pq_builder_finish(ids);
    return pq_column_text(&column, row);
}

/// The slot of the row with this id that was noted last, or the free one for it.
static inline uint32_t *pq_id_slot(uint32_t *slots, size_t count, const struct pq_builder *ids,
                                   struct pq_text id) {
    size_t at = (size_t)pq_hash(id.data, id.length) & (count - 1);
    for (; slots[at] != 0; at = (at + 1) & (count - 1)) {
        if (pq_text_equal(pq_built_id(ids, slots[at] - 1), id)) break;
    }
    return &slots[at];
}

#endif
