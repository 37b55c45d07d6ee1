/// flow/text_index.h: distinct texts, numbered as they come.
#ifndef PQ_FLOW_TEXT_INDEX_H
#define PQ_FLOW_TEXT_INDEX_H

#include <parquedb/error.h>

#include "base/arena.h"

#define TEXT_INDEX_NONE UINT32_MAX

/// Lives in its arena; the texts are borrowed. All zero but for the arena is an empty one.
struct text_index {
    struct pq_arena *arena;
    struct pq_text *texts;  // [count]
    uint32_t *slots;        // number + 1, open addressing
    size_t slot_count;      // a power of two, or 0
    uint32_t count;
};

/// The number of the text, a new one if it is new. Errors: PQDB_NO_MEMORY.
pqdb_code text_index_add(struct text_index *index, struct pq_text text, uint32_t *number,
                         pqdb_error *err);
/// TEXT_INDEX_NONE when it is not there.
uint32_t text_index_find(const struct text_index *index, struct pq_text text);

#endif
