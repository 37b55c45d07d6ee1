#include "base/text.h"

#include <ctype.h>
#include <stdint.h>

enum { nearest_length_max = 40 };

static size_t min3(size_t a, size_t b, size_t c) {
    const size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/// Levenshtein distance ignoring case; both at most nearest_length_max long.
static size_t distance(struct pq_text a, struct pq_text b) {
    size_t row[nearest_length_max + 1];
    for (size_t j = 0; j <= b.length; j++) row[j] = j;
    for (size_t i = 1; i <= a.length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.length; j++) {
            const bool same = tolower((unsigned char)a.data[i - 1]) ==
                              tolower((unsigned char)b.data[j - 1]);
            const size_t next = min3(row[j] + 1, row[j - 1] + 1, diagonal + (same ? 0 : 1));
            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[b.length];
}

const char *pq_text_nearest(struct pq_text given, const char *const *candidates, size_t count) {
    if (given.length == 0 || given.length > nearest_length_max) return NULL;
    const char *best = NULL;
    size_t best_distance = given.length / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        const struct pq_text candidate = pq_text_of(candidates[i]);
        if (candidate.length > nearest_length_max) continue;
        const size_t d = distance(given, candidate);
        if (d < best_distance || (d == best_distance && best == NULL)) {
            best = candidates[i];
            best_distance = d;
        }
    }
    return best;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

bool pq_text_equal_any_case(struct pq_text a, struct pq_text b) {
    if (a.length != b.length) return false;
    for (size_t i = 0; i < a.length; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) return false;
    }
    return true;
}

static inline bool is_tail(uint8_t byte) { return (byte & 0xC0) == 0x80; }

/// Length of the well-formed sequence at `at`, or 0.
static size_t sequence_length(const uint8_t *at, size_t left) {
    const uint8_t lead = at[0];
    if (lead < 0x80) return 1;
    if (lead < 0xC2) return 0;
    if (lead < 0xE0) return left >= 2 && is_tail(at[1]) ? 2 : 0;
    if (lead < 0xF0) {
        if (left < 3 || !is_tail(at[1]) || !is_tail(at[2])) return 0;
        if (lead == 0xE0 && at[1] < 0xA0) return 0;
        if (lead == 0xED && at[1] > 0x9F) return 0;
        return 3;
    }
    if (lead > 0xF4 || left < 4 || !is_tail(at[1]) || !is_tail(at[2]) || !is_tail(at[3])) return 0;
    if (lead == 0xF0 && at[1] < 0x90) return 0;
    if (lead == 0xF4 && at[1] > 0x8F) return 0;
    return 4;
}

bool pq_text_is_utf8(struct pq_text text) {
    const uint8_t *at = (const uint8_t *)text.data, *end = at + text.length;
    while (at < end) {
        uint64_t word;
        if (end - at >= 8) {
            memcpy(&word, at, 8);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += 8;
                continue;
            }
        }
        const size_t length = sequence_length(at, (size_t)(end - at));
        if (length == 0) return false;
        at += length;
    }
    return true;
}
