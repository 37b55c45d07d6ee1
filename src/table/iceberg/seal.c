#include "table/iceberg/seal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"

enum { digits = 16 };

/// The key as it stands in JSON, and in an Avro header: lengths are zigzag.
static const struct pq_text forms[] = {
    {"\"" PQ_SEAL_KEY "\":\"", sizeof PQ_SEAL_KEY - 1 + 4},
    {"\x1c" PQ_SEAL_KEY "\x20", sizeof PQ_SEAL_KEY - 1 + 2},
};

/// Where the digits are; 0: nowhere.
static size_t find_digits(struct pq_text file) {
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const char *found =
            file.length == 0 ? NULL : memmem(file.data, file.length, forms[i].data,
                                             forms[i].length);
        if (found == NULL) continue;
        const size_t at = (size_t)(found - file.data) + forms[i].length;
        if (file.length - at >= digits) return at;
    }
    return 0;
}

static void format_check(struct pq_text file, size_t at, char text[digits + 1]) {
    const size_t behind = at + digits;
    uint8_t both[16];
    pq_store_u64(both, pq_hash(file.data, at));
    pq_store_u64(both + 8, pq_hash(file.data + behind, file.length - behind));
    snprintf(text, digits + 1, "%016" PRIx64, pq_hash(both, sizeof both));
}

void pq_seal(struct pq_bytes *out, size_t start) {
    char text[digits + 1];
    const struct pq_text file = {(const char *)out->data + start, out->length - start};
    const size_t at = find_digits(file);
    pq_assert(at > 0);
    format_check(file, at, text);
    memcpy(out->data + start + at, text, digits);
}

enum pq_seal_state pq_seal_look(struct pq_text file) {
    char text[digits + 1];
    const size_t at = find_digits(file);
    if (at == 0) return PQ_SEAL_NONE;
    format_check(file, at, text);
    return memcmp(file.data + at, text, digits) == 0 ? PQ_SEAL_WHOLE : PQ_SEAL_BROKEN;
}
