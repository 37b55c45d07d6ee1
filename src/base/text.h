#ifndef PQ_BASE_TEXT_H
#define PQ_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/// A view of bytes that belong to someone else; text is UTF-8 wherever it came through a parser.
struct pq_text {
    const char *data;
    size_t length;
};

#define PQ_TEXT(literal) ((struct pq_text){(literal), sizeof(literal) - 1})

/// For printf: "%.*s".
#define PQ_TEXT_ARG(text) (int)(text).length, (text).data

static inline struct pq_text pq_text_of(const char *string) {
    return (struct pq_text){string, strlen(string)};
}

static inline bool pq_text_equal(struct pq_text a, struct pq_text b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool pq_text_is(struct pq_text a, const char *string) {
    return pq_text_equal(a, pq_text_of(string));
}

/// Equal when ASCII letters are compared without case.
bool pq_text_equal_any_case(struct pq_text a, struct pq_text b);

/// Order by unsigned bytes, a prefix before its extensions: <0, 0, >0.
static inline int pq_text_compare(struct pq_text a, struct pq_text b) {
    const size_t shared = a.length < b.length ? a.length : b.length;
    const int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    if (order != 0) return order;
    return a.length < b.length ? -1 : a.length > b.length;
}

static inline bool pq_text_starts_with(struct pq_text text, struct pq_text prefix) {
    return text.length >= prefix.length &&
           (prefix.length == 0 || memcmp(text.data, prefix.data, prefix.length) == 0);
}

/// The declared candidate nearest to `given` for "did you mean", or NULL when none is near.
const char *pq_text_nearest(struct pq_text given, const char *const *candidates, size_t count);

/// Is every byte part of well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms)?
bool pq_text_is_utf8(struct pq_text text);

#endif
