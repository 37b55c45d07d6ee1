/// Any bytes as metadata and value: refused, or walked, printed and renamed to the same text.
#include <stdlib.h>

#include "base/arena.h"
#include "variant/variant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print(const struct pq_variant *variant, struct pq_bytes *out) {
    if (pq_variant_write_json(variant, out, NULL) != PQDB_OK) abort();
}

static void rename_and_compare(const struct pq_variant *variant, const struct pq_bytes *text) {
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    struct pq_bytes renamed, again;
    struct pq_arena arena;
    struct pq_variant copy;
    bool own;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&renamed, &pq_alloc_libc);
    pq_bytes_init(&again, &pq_alloc_libc);
    if (pq_variant_names_create(&pq_alloc_libc, &names, NULL) != PQDB_OK) abort();
    if (pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) != PQDB_OK) abort();
    if (pq_variant_rename(encoder, variant, &renamed, &own, NULL) != PQDB_OK) abort();
    if (pq_variant_of_row(pq_bytes_text(&renamed), own ? 2 : 1, names, &arena, &copy, NULL) !=
        PQDB_OK) {
        abort();
    }
    if (pq_variant_check(&copy, NULL) != PQDB_OK) abort();
    print(&copy, &again);
    if (!pq_text_equal(pq_bytes_text(text), pq_bytes_text(&again))) abort();
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_bytes_deinit(&renamed);
    pq_bytes_deinit(&again);
    pq_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pq_arena arena;
    struct pq_bytes text;
    struct pq_variant variant;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&text, &pq_alloc_libc);
    const struct pq_text row = {(const char *)data, size};
    if (pq_variant_of_row(row, 2, NULL, &arena, &variant, NULL) == PQDB_OK &&
        pq_variant_check(&variant, NULL) == PQDB_OK) {
        print(&variant, &text);
        rename_and_compare(&variant, &text);
    }
    pq_bytes_deinit(&text);
    pq_arena_deinit(&arena);
    return 0;
}
