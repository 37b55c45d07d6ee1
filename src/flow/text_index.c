#include "flow/text_index.h"

#include <string.h>

#include "base/fail.h"
#include "base/hash.h"

enum { slots_min = 16 };

static size_t slot_of(const struct text_index *index, struct pq_text text) {
    size_t at = (size_t)pq_hash(text.data, text.length) & (index->slot_count - 1);
    while (index->slots[at] != 0 && !pq_text_equal(index->texts[index->slots[at] - 1], text)) {
        at = (at + 1) & (index->slot_count - 1);
    }
    return at;
}

static pqdb_code grow(struct text_index *index, pqdb_error *err) {
    const size_t slot_count = index->slot_count == 0 ? slots_min : 4 * index->slot_count;
    uint32_t *slots = pq_arena_calloc(index->arena, slot_count, sizeof *slots);
    struct pq_text *texts = pq_arena_alloc(index->arena, slot_count / 2 * sizeof *texts);
    if (slots == NULL || texts == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "an index of %zu texts", slot_count / 2);
    }
    if (index->count > 0) memcpy(texts, index->texts, index->count * sizeof *texts);
    index->slots = slots;
    index->slot_count = slot_count;
    index->texts = texts;
    for (uint32_t k = 0; k < index->count; k++) slots[slot_of(index, texts[k])] = k + 1;
    return PQDB_OK;
}

pqdb_code text_index_add(struct text_index *index, struct pq_text text, uint32_t *number,
                         pqdb_error *err) {
    if (2 * (size_t)index->count >= index->slot_count) PQ_TRY(grow(index, err));
    const size_t at = slot_of(index, text);
    if (index->slots[at] == 0) {
        index->texts[index->count++] = text;
        index->slots[at] = index->count;
    }
    *number = index->slots[at] - 1;
    return PQDB_OK;
}

uint32_t text_index_find(const struct text_index *index, struct pq_text text) {
    if (index->slot_count == 0) return TEXT_INDEX_NONE;
    const uint32_t slot = index->slots[slot_of(index, text)];
    return slot == 0 ? TEXT_INDEX_NONE : slot - 1;
}
