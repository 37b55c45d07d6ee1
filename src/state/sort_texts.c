/// state/sort_texts.c: see sort_texts.h.
#include "state/sort_texts.h"

enum {
    insertion_max = 16,
    radix_rows = 512,  // from so many on the words are sorted byte by byte
};

static void sort_few(const struct pq_text *texts, struct sorted_text *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const struct sorted_text item = items[i];
        size_t at = i;
        for (; at > 0 && text_is_before(texts, &item, &items[at - 1]); at--) {
            items[at] = items[at - 1];
        }
        items[at] = item;
    }
}

/// Runs of insertion_max, then runs of twice as many; `other` has as much room.
static void sort_runs(const struct pq_text *texts, struct sorted_text *items,
                      struct sorted_text *other, size_t count) {
    struct sorted_text *from = items, *to = other;
    for (size_t start = 0; start < count; start += insertion_max) {
        const size_t left = count - start;
        sort_few(texts, items + start, left < insertion_max ? left : insertion_max);
    }
    for (size_t width = insertion_max; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            const size_t middle = start + width < count ? start + width : count;
            const size_t end = middle + width < count ? middle + width : count;
            size_t a = start, b = middle;
            for (size_t k = start; k < end; k++) {
                const bool takes_b =
                    a == middle || (b < end && text_is_before(texts, &from[b], &from[a]));
                to[k] = takes_b ? from[b++] : from[a++];
            }
        }
        struct sorted_text *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
}

/// By the words alone, a byte at a time from the last; bytes that are all the same are passed over.
static void sort_words(struct sorted_text *items, struct sorted_text *other, size_t count) {
    struct sorted_text *from = items, *to = other;
    for (unsigned shift = 0; shift < 8 * TEXT_WORD_BYTES; shift += 8) {
        size_t ends[257] = {0};
        for (size_t i = 0; i < count; i++) ends[(from[i].word >> shift & 0xFF) + 1]++;
        if (ends[(from[0].word >> shift & 0xFF) + 1] == count) continue;
        for (size_t i = 1; i <= 256; i++) ends[i] += ends[i - 1];
        for (size_t i = 0; i < count; i++) to[ends[from[i].word >> shift & 0xFF]++] = from[i];
        struct sorted_text *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
}

void sort_texts(const struct pq_text *texts, struct sorted_text *items, struct sorted_text *other,
                size_t count) {
    if (count < radix_rows) {
        sort_runs(texts, items, other, count);
        return;
    }
    sort_words(items, other, count);
    for (size_t start = 0, end; start < count; start = end) {
        for (end = start + 1; end < count && items[end].word == items[start].word;) end++;
        if (end > start + 1) sort_runs(texts, items + start, other, end - start);
    }
}
