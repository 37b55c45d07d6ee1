/// state/sort_texts.h: many texts into order, by their first eight bytes as far as those tell.
#ifndef PQ_STATE_SORT_TEXTS_H
#define PQ_STATE_SORT_TEXTS_H

#include "base/bytes.h"

enum { TEXT_WORD_BYTES = 8 };

/// A text on its way.
struct sorted_text {
    uint64_t word;  // text_word, or anything else that goes before the text
    uint32_t at;    // of the texts
};

/// The first eight bytes, zeros behind a shorter text: its order among others is theirs.
static inline uint64_t text_word(struct pq_text text) {
    uint8_t bytes[TEXT_WORD_BYTES] = {0};
    const size_t length = text.length < TEXT_WORD_BYTES ? text.length : TEXT_WORD_BYTES;
    if (length > 0) memcpy(bytes, text.data, length);
    return __builtin_bswap64(pq_load_u64(bytes));
}

static inline bool text_is_before(const struct pq_text *texts, const struct sorted_text *a,
                                  const struct sorted_text *b) {
    if (a->word != b->word) return a->word < b->word;
    return pq_text_compare(texts[a->at], texts[b->at]) < 0;
}

/// By word, then by text. `other` has as much room. Cost: 20-60 ns each.
void sort_texts(const struct pq_text *texts, struct sorted_text *items, struct sorted_text *other,
                size_t count);

#endif
