/// Any bytes as a whole Parquet file: opened or refused; then everything that can be asked of it is
/// asked, and every column that comes out is sound.
#include <stdlib.h>

#include "base/arena.h"
#include "support/memory_file.h"
#include "variant/variant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { fields_max = 64, groups_max = 8, arena_bytes_max = 64 << 20 };

static struct pq_variant_names *names;
static struct pq_variant_encoder *encoder;

static void ask(const struct pq_parquet_file *file, size_t group) {
    const struct pq_type *type = pq_parquet_type(file);
    for (size_t k = 0; k < type->field_count && k < fields_max; k++) {
        const int leaf = pq_parquet_leaf(file, k);
        struct pq_parquet_bounds bounds;
        struct pq_parquet_pages pages;
        if (leaf < 0) continue;
        pq_parquet_group_bounds(file, group, (size_t)leaf, &bounds);
        const struct pq_value value = {.kind = type->fields[k].type.kind};
        bool may_hold;
        pq_parquet_may_hold(file, group, (size_t)leaf, &value, &may_hold, NULL);
        if (pq_parquet_pages(file, group, (size_t)leaf, &pages, NULL) != PQDB_OK) continue;
        for (size_t i = 0; i < pages.count; i++) {
            pq_parquet_page_bounds(file, group, (size_t)leaf, i, &bounds);
        }
    }
}

static void read_rows(const struct pq_parquet_file *file, size_t group, uint64_t first,
                      uint64_t count) {
    const struct pq_type *type = pq_parquet_type(file);
    for (uint32_t k = 0; k < type->field_count && k < fields_max; k++) {
        struct pq_hold *hold;
        if (pq_hold_create(&pq_alloc_libc, &hold, NULL) != PQDB_OK) abort();
        hold->arena.bytes_max = arena_bytes_max;
        const struct pq_parquet_request request = {.fields = &k,
                                                   .field_count = 1,
                                                   .group = group,
                                                   .first_row = first,
                                                   .row_count = count,
                                                   .encoder = encoder,
                                                   .names = names,
                                                   .hold = hold};
        struct pq_batch batch;
        pqdb_error err;
        if (pq_parquet_read(file, &request, &hold->arena, &batch, &err) == PQDB_OK) {
            if (batch.columns[0].count != batch.count) abort();
            if (!pq_column_is_sound(&batch.columns[0], &err)) abort();
        }
        pq_hold_unref(hold);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (names == NULL) {
        if (pq_variant_names_create(&pq_alloc_libc, &names, NULL) != PQDB_OK) abort();
        if (pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) != PQDB_OK) abort();
    }
    struct pq_bytes bytes = {.data = (uint8_t *)(uintptr_t)data, .length = size};
    const struct pq_parquet_source source = memory_file_source(&bytes);
    const struct pq_parquet_open_options options = {.json_as_variant = size % 2 == 0};
    struct pq_parquet_file *file;
    if (pq_parquet_open(&source, size, &options, &pq_alloc_libc, &file, NULL) != PQDB_OK) return 0;
    for (size_t g = 0; g < pq_parquet_group_count(file) && g < groups_max; g++) {
        ask(file, g);
        const uint64_t rows = pq_parquet_group_rows(file, g);
        read_rows(file, g, 0, UINT64_MAX);
        if (rows > 2) read_rows(file, g, rows / 2, 1);
    }
    pq_parquet_close(file);
    return 0;
}
