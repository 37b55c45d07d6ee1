#include "support/canonical_json.h"

#include <stdlib.h>

static int compare_keys(const void *a, const void *b) {
    const struct pq_json *const *x = a, *const *y = b;
    return pq_text_compare(pq_json_text(*x), pq_json_text(*y));
}

static void canonical_object(const struct pq_json *object, struct pq_bytes *out) {
    const size_t count = pq_json_count(object);
    const struct pq_json **keys = calloc(count + 1, sizeof *keys);
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < count; i++) {
        keys[i] = key;
        key = pq_json_next(pq_json_next(key));
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    pq_bytes_append_byte(out, '{', NULL);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) pq_bytes_append_byte(out, ',', NULL);
        pq_json_write_text(out, pq_json_text(keys[i]), NULL);
        pq_bytes_append_byte(out, ':', NULL);
        canonical_json(pq_json_next(keys[i]), out);
    }
    pq_bytes_append_byte(out, '}', NULL);
    free(keys);
}

void canonical_json(const struct pq_json *value, struct pq_bytes *out) {
    if (pq_json_kind(value) == PQ_JSON_OBJECT) {
        canonical_object(value, out);
    } else if (pq_json_kind(value) == PQ_JSON_LIST) {
        const size_t count = pq_json_count(value);
        const struct pq_json *element = pq_json_first(value);
        pq_bytes_append_byte(out, '[', NULL);
        for (size_t i = 0; i < count; i++, element = pq_json_next(element)) {
            if (i > 0) pq_bytes_append_byte(out, ',', NULL);
            canonical_json(element, out);
        }
        pq_bytes_append_byte(out, ']', NULL);
    } else {
        pq_json_write(out, value, NULL);
    }
}
