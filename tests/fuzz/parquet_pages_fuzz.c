/// Any bytes as the pages of a column, under a footer that is sound: so that levels, encodings and
/// codecs are reached without a footer to guess.
///
///     0 physical type   1 shape: required, optional, list, list of lists   2 codec
///     3 annotation      4 rows, 2 bytes      6 values, 2 bytes      8 pages
#include <stdlib.h>

#include "base/arena.h"
#include "parquet/footer.h"
#include "support/memory_file.h"
#include "variant/variant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { config_bytes = 8, elements_max = 8, arena_bytes_max = 64 << 20 };

static struct pq_meta_element group_of(const char *name, int repetition, int converted) {
    struct pq_meta_element element = {.has = 1u << PQ_ELEMENT_NAME | 1u << PQ_ELEMENT_CHILD_COUNT |
                                             1u << PQ_ELEMENT_REPETITION,
                                      .name = pq_text_of(name),
                                      .repetition = repetition,
                                      .child_count = 1};
    if (converted >= 0) {
        element.has |= 1u << PQ_ELEMENT_CONVERTED;
        element.converted = converted;
    }
    return element;
}

static size_t make_elements(const uint8_t *config, struct pq_meta_element *elements) {
    size_t count = 0;
    elements[count++] = group_of("schema", PQ_REQUIRED, -1);
    for (int depth = config[1] % 4 - 1; depth > 0; depth--) {
        elements[count++] = group_of("a", PQ_OPTIONAL, PQ_CONVERTED_LIST);
        elements[count++] = group_of("list", PQ_REPEATED, -1);
    }
    struct pq_meta_element *leaf = &elements[count++];
    *leaf = group_of("element", config[1] % 4 == 0 ? PQ_REQUIRED : PQ_OPTIONAL, config[3] % 32 - 1);
    leaf->has &= ~(1u << PQ_ELEMENT_CHILD_COUNT);
    leaf->has |= 1u << PQ_ELEMENT_TYPE | 1u << PQ_ELEMENT_TYPE_LENGTH | 1u << PQ_ELEMENT_PRECISION;
    leaf->type = config[0] % 8;
    leaf->type_length = 1 + config[3] / 32;
    leaf->precision = 9;
    return count;
}

static void make_file(const uint8_t *data, size_t size, struct pq_bytes *file) {
    static const int32_t encodings[] = {0};
    static const struct pq_text path[] = {{"a", 1}};
    struct pq_meta_element elements[elements_max];
    const size_t element_count = make_elements(data, elements);
    const struct pq_meta_chunk chunk = {
        .has = 1u << PQ_CHUNK_FILE_OFFSET | 1u << PQ_CHUNK_COLUMN,
        .column = {.has = PQ_COLUMN_ALWAYS,
                   .type = data[0] % 8,
                   .encodings = encodings,
                   .encoding_count = 1,
                   .path = path,
                   .path_count = 1,
                   .codec = data[2] % 8,
                   .value_count = pq_load_u16(data + 6),
                   .stored_bytes = (int64_t)(size - config_bytes),
                   .data_page_offset = 4}};
    const struct pq_meta_group group = {
        .has = 0xE, .chunks = &chunk, .chunk_count = 1, .row_count = pq_load_u16(data + 4)};
    const struct pq_meta_file meta = {.has = PQ_FILE_ALWAYS,
                                      .version = 1,
                                      .elements = elements,
                                      .element_count = element_count,
                                      .row_count = group.row_count,
                                      .groups = &group,
                                      .group_count = 1};
    if (pq_bytes_append(file, "PAR1", 4, NULL) != PQDB_OK ||
        pq_bytes_append(file, data + config_bytes, size - config_bytes, NULL) != PQDB_OK) {
        abort();
    }
    const size_t start = file->length;
    if (pq_thrift_encode(&pq_meta_file_table, &meta, file, NULL) != PQDB_OK) abort();
    const uint32_t length = (uint32_t)(file->length - start);
    if (pq_bytes_append(file, &length, 4, NULL) != PQDB_OK ||
        pq_bytes_append(file, "PAR1", 4, NULL) != PQDB_OK) {
        abort();
    }
}

static void read_rows(const struct pq_parquet_file *file, uint64_t first, uint64_t count) {
    static struct pq_variant_names *names;
    static struct pq_variant_encoder *encoder;
    if (names == NULL) {
        if (pq_variant_names_create(&pq_alloc_libc, &names, NULL) != PQDB_OK) abort();
        if (pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) != PQDB_OK) abort();
    }
    struct pq_hold *hold;
    if (pq_hold_create(&pq_alloc_libc, &hold, NULL) != PQDB_OK) abort();
    hold->arena.bytes_max = arena_bytes_max;
    static const uint32_t field = 0;
    const struct pq_parquet_request request = {.fields = &field,
                                               .field_count = 1,
                                               .first_row = first,
                                               .row_count = count,
                                               .encoder = encoder,
                                               .names = names,
                                               .hold = count % 2 == 0 ? NULL : hold};
    struct pq_batch batch;
    pqdb_error err;
    if (pq_parquet_read(file, &request, &hold->arena, &batch, &err) == PQDB_OK) {
        if (batch.columns[0].count != batch.count) abort();
        if (!pq_column_is_sound(&batch.columns[0], &err)) abort();
    }
    pq_hold_unref(hold);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < config_bytes) return 0;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    make_file(data, size, &bytes);
    const struct pq_parquet_source source = memory_file_source(&bytes);
    const struct pq_parquet_open_options options = {.json_as_variant = true};
    struct pq_parquet_file *file;
    pqdb_error err;
    if (pq_parquet_open(&source, bytes.length, &options, &pq_alloc_libc, &file, &err) != PQDB_OK) {
        abort();  // the footer is sound
    }
    const uint64_t rows = pq_parquet_group_rows(file, 0);
    read_rows(file, 0, UINT64_MAX);
    if (rows > 2) read_rows(file, rows / 2, rows % 5 + 1);
    pq_parquet_close(file);
    pq_bytes_deinit(&bytes);
    return 0;
}
