/// Goal: what FORMATS 1 demands of a writer, read off the bytes: schema, footer, page headers,
/// statistics, indexes. Values are the business of law/parquet.
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "batch/builder.h"
#include "codec/codec.h"
#include "codec/crc32.h"
#include "parquet/footer.h"
#include "parquet/page_header.h"
#include "parquet/writer.h"
#include "support/counting_alloc.h"
#include "support/memory_file.h"
#include "support/test.h"

static const struct pq_field element = {.name = {"x", 1}, .type = {.kind = PQ_INT64}, .id = 31};
static const struct pq_field member = {
    .name = {"in", 2}, .type = {.kind = PQ_BOOL}, .required = true, .id = 33};
static const struct pq_field fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 1},
    {.name = {"bool", 4}, .type = {.kind = PQ_BOOL}, .id = 2},
    {.name = {"int", 3}, .type = {.kind = PQ_INT64}, .id = 3},
    {.name = {"float", 5}, .type = {.kind = PQ_FLOAT32}, .id = 4},
    {.name = {"double", 6}, .type = {.kind = PQ_FLOAT64}, .id = 5},
    {.name = {"d9", 2}, .type = {.kind = PQ_DECIMAL, .precision = 9, .scale = 2}, .id = 6},
    {.name = {"d18", 3}, .type = {.kind = PQ_DECIMAL, .precision = 18, .scale = 4}, .id = 7},
    {.name = {"d19", 3}, .type = {.kind = PQ_DECIMAL, .precision = 19}, .id = 8},
    {.name = {"d38", 3}, .type = {.kind = PQ_DECIMAL, .precision = 38, .scale = 38}, .id = 9},
    {.name = {"date", 4}, .type = {.kind = PQ_DATE}, .id = 10},
    {.name = {"time", 4}, .type = {.kind = PQ_TIME}, .id = 11},
    {.name = {"at", 2}, .type = {.kind = PQ_TIMESTAMP}, .id = 12},
    {.name = {"binary", 6}, .type = {.kind = PQ_BINARY}, .id = 13},
    {.name = {"json", 4}, .type = {.kind = PQ_VARIANT}, .id = 14},
    {.name = {"null", 4}, .type = {.kind = PQ_NULL}, .id = 15},
    {.name = {"list", 4},
     .type = {.kind = PQ_LIST, .field_count = 1, .fields = &element}, .id = 30},
    {.name = {"object", 6},
     .type = {.kind = PQ_OBJECT, .field_count = 1, .fields = &member}, .id = 32},
};
enum { field_count = sizeof fields / sizeof *fields, leaf_count = field_count, rows = 20000 };
static const struct pq_type type = {
    .kind = PQ_OBJECT, .field_count = field_count, .fields = fields};

// ---- a file and its footer --------------------------------------------------------------------

struct written {
    struct pq_bytes bytes;
    struct pq_arena arena;
    struct pq_meta_file meta;
    uint64_t footer;  // where it begins
};

static pqdb_code append_row(struct pq_builder *column, size_t i) {
    const struct pq_type *of = column->type;
    const pq_i128 number = (pq_i128)(i * 7919 % 1000) - 500;
    char text[40];
    if (of->kind == PQ_LIST) {
        for (size_t k = 0; k < i % 3; k++) (void)append_row(&column->children[0], i + k);
        return pq_builder_end_list(column, NULL);
    }
    if (of->kind == PQ_OBJECT) {
        (void)append_row(&column->children[0], i * 11);  // never null
        return pq_builder_end_object(column, NULL);
    }
    if (of->kind == PQ_TEXT) {
        const int length = snprintf(text, sizeof text, "row-%08zu", i);
        return pq_builder_append_bytes(column, text, (size_t)length, NULL);
    }
    if (of->kind == PQ_NULL || i % 11 == 3) return pq_builder_append_null(column, NULL);
    if (of->kind == PQ_BINARY) return pq_builder_append_bytes(column, &i, sizeof i, NULL);
    if (of->kind == PQ_VARIANT) {
        static const uint8_t variant[] = {0x01, 0, 0, 0x00};
        return pq_builder_append_own_names(column, variant, sizeof variant, NULL);
    }
    const double real = (double)number / 8;
    const float narrow = (float)real;
    const uint8_t boolean = i % 2;
    if (of->kind == PQ_FLOAT64) return pq_builder_append_fixed(column, &real, NULL);
    if (of->kind == PQ_FLOAT32) return pq_builder_append_fixed(column, &narrow, NULL);
    if (of->kind == PQ_BOOL) return pq_builder_append_fixed(column, &boolean, NULL);
    return pq_builder_append_fixed(column, &number, NULL);
}

static void make_batch(const struct pq_type *of, size_t count, struct pq_arena *arena,
                       struct pq_batch *batch) {
    struct pq_builder *columns = pq_arena_calloc(arena, of->field_count, sizeof *columns);
    for (uint32_t k = 0; k < of->field_count; k++) {
        CHECK(pq_builder_init(&columns[k], &of->fields[k].type, &arena->alloc, NULL) == PQDB_OK,
              "init");
        for (size_t i = 0; i < count; i++) {
            CHECK(append_row(&columns[k], i) == PQDB_OK, "row %zu", i);
        }
    }
    CHECK(pq_builder_finish_batch(columns, of, arena, batch, NULL) == PQDB_OK, "batch");
}

static void read_footer(struct written *file) {
    const struct pq_bytes *bytes = &file->bytes;
    const uint32_t length = pq_load_u32(bytes->data + bytes->length - 8);
    file->footer = bytes->length - 8 - length;
    struct pq_cursor cursor = pq_cursor_of(bytes->data + file->footer, length);
    CHECK(memcmp(bytes->data, "PAR1", 4) == 0 &&
              memcmp(bytes->data + bytes->length - 4, "PAR1", 4) == 0,
          "magic");
    CHECK(pq_thrift_decode(&pq_meta_file_table, &cursor, &file->arena, &file->meta, NULL) ==
                  PQDB_OK && pq_cursor_left(&cursor) == 0,
          "the footer is one struct and nothing else");
}

static void write_batch(const struct pq_parquet_writer_options *options,
                        const struct pq_batch *batch, struct written *file) {
    pq_bytes_init(&file->bytes, &pq_alloc_libc);
    pq_arena_init(&file->arena, &pq_alloc_libc);
    struct pq_parquet_writer *writer;
    struct pq_parquet_file_info info;
    const struct pq_parquet_sink sink = {memory_file_append, &file->bytes};
    pqdb_error err = {0};
    CHECK(pq_parquet_writer_create(options, sink, &pq_alloc_libc, &writer, &err) == PQDB_OK &&
              pq_parquet_writer_append(writer, batch, &err) == PQDB_OK &&
              pq_parquet_writer_finish(writer, &info, &err) == PQDB_OK,
          "%s", err.message);
    pq_parquet_writer_destroy(writer);
    read_footer(file);
}

static void close_written(struct written *file) {
    pq_bytes_deinit(&file->bytes);
    pq_arena_deinit(&file->arena);
}

/// All kinds, `rows` rows, two row groups.
static void write_all(enum pq_parquet_profile profile, enum pq_parquet_variant_form form,
                      struct written *file) {
    static bool blooms[field_count] = {[0] = true, [2] = true};
    const struct pq_parquet_writer_options options = {
        .type = &type, .codec = &pq_codec_zstd, .is_sorted = true, .profile = profile,
        .variant_form = form, .bloom_fields = blooms, .row_group_rows = 15000};
    struct pq_batch batch;
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    make_batch(&type, rows, &arena, &batch);
    write_batch(&options, &batch, file);
    pq_arena_deinit(&arena);
}

// ---- schema -----------------------------------------------------------------------------------

enum { none = -1 };
static const struct {
    const char *name;
    int physical, length, converted, logical, field_id, children, repetition;
} elements[] = {
    {"schema", none, 0, none, none, 0, field_count, none},
    {"$id", PQ_PHYSICAL_BYTE_ARRAY, 0, PQ_CONVERTED_UTF8, PQ_LOGICAL_STRING, 1, 0, PQ_REQUIRED},
    {"bool", PQ_PHYSICAL_BOOLEAN, 0, none, none, 2, 0, PQ_OPTIONAL},
    {"int", PQ_PHYSICAL_INT64, 0, none, none, 3, 0, PQ_OPTIONAL},
    {"float", PQ_PHYSICAL_FLOAT, 0, none, none, 4, 0, PQ_OPTIONAL},
    {"double", PQ_PHYSICAL_DOUBLE, 0, none, none, 5, 0, PQ_OPTIONAL},
    {"d9", PQ_PHYSICAL_INT32, 0, PQ_CONVERTED_DECIMAL, PQ_LOGICAL_DECIMAL, 6, 0, PQ_OPTIONAL},
    {"d18", PQ_PHYSICAL_INT64, 0, PQ_CONVERTED_DECIMAL, PQ_LOGICAL_DECIMAL, 7, 0, PQ_OPTIONAL},
    {"d19", PQ_PHYSICAL_FIXED, 9, PQ_CONVERTED_DECIMAL, PQ_LOGICAL_DECIMAL, 8, 0, PQ_OPTIONAL},
    {"d38", PQ_PHYSICAL_FIXED, 16, PQ_CONVERTED_DECIMAL, PQ_LOGICAL_DECIMAL, 9, 0, PQ_OPTIONAL},
    {"date", PQ_PHYSICAL_INT32, 0, PQ_CONVERTED_DATE, PQ_LOGICAL_DATE, 10, 0, PQ_OPTIONAL},
    {"time", PQ_PHYSICAL_INT64, 0, PQ_CONVERTED_TIME_MICROS, PQ_LOGICAL_TIME, 11, 0, PQ_OPTIONAL},
    {"at", PQ_PHYSICAL_INT64, 0, PQ_CONVERTED_TIMESTAMP_MICROS, PQ_LOGICAL_TIMESTAMP, 12, 0,
     PQ_OPTIONAL},
    {"binary", PQ_PHYSICAL_BYTE_ARRAY, 0, none, none, 13, 0, PQ_OPTIONAL},
    {"json", PQ_PHYSICAL_BYTE_ARRAY, 0, PQ_CONVERTED_JSON, PQ_LOGICAL_JSON, 14, 0, PQ_OPTIONAL},
    {"null", PQ_PHYSICAL_INT32, 0, none, PQ_LOGICAL_UNKNOWN, 15, 0, PQ_OPTIONAL},
    {"list", none, 0, PQ_CONVERTED_LIST, PQ_LOGICAL_LIST, 30, 1, PQ_OPTIONAL},
    {"list", none, 0, none, none, 0, 1, PQ_REPEATED},
    {"element", PQ_PHYSICAL_INT64, 0, none, none, 31, 0, PQ_OPTIONAL},
    {"object", none, 0, none, none, 32, 1, PQ_OPTIONAL},
    {"in", PQ_PHYSICAL_BOOLEAN, 0, none, none, 33, 0, PQ_REQUIRED},
};

static int or_none(uint32_t has, int bit, int value) { return has >> bit & 1 ? value : none; }

static void the_schema_says_it_in_both_ways(void) {
    struct written file;
    write_all(PQ_PROFILE_COMPATIBLE, PQ_VARIANT_AS_JSON, &file);
    CHECK(file.meta.element_count == sizeof elements / sizeof *elements, "%zu elements",
          file.meta.element_count);
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        const struct pq_meta_element *got = &file.meta.elements[i];
        const char *name = elements[i].name;
        CHECK(pq_text_equal(got->name, pq_text_of(name)), "%zu: %.*s", i, PQ_TEXT_ARG(got->name));
        CHECK(or_none(got->has, PQ_ELEMENT_TYPE, got->type) == elements[i].physical, "%s", name);
        CHECK(got->type_length == elements[i].length, "%s: %d bytes", name, got->type_length);
        CHECK(or_none(got->has, PQ_ELEMENT_CONVERTED, got->converted) == elements[i].converted,
              "%s: converted", name);
        const bool has_logical = PQ_THRIFT_HAS(got, PQ_ELEMENT_LOGICAL);
        CHECK(has_logical == (elements[i].logical != none), "%s: logical", name);
        CHECK(!has_logical || got->logical.has == 1u << elements[i].logical, "%s: arm", name);
        CHECK(got->field_id == elements[i].field_id, "%s: field id %d", name, got->field_id);
        CHECK(got->child_count == elements[i].children, "%s: %d children", name, got->child_count);
        CHECK(or_none(got->has, PQ_ELEMENT_REPETITION, got->repetition) == elements[i].repetition,
              "%s: repetition", name);
        if (elements[i].logical == PQ_LOGICAL_DECIMAL) {
            CHECK(got->precision == got->logical.decimal.precision &&
                      got->scale == got->logical.decimal.scale && got->precision > 0,
                  "%s: precision and scale stand twice", name);
        }
        if (elements[i].logical == PQ_LOGICAL_TIME || elements[i].logical == PQ_LOGICAL_TIMESTAMP) {
            CHECK(got->logical.time.unit.has == 1u << PQ_UNIT_MICROS &&
                      got->logical.time.is_utc == (elements[i].logical == PQ_LOGICAL_TIMESTAMP),
                  "%s: unit", name);
        }
    }
    close_written(&file);
}

static void an_annotated_variant_is_a_group_of_two(void) {
    struct written file;
    write_all(PQ_PROFILE_COMPATIBLE, PQ_VARIANT_ANNOTATED, &file);
    const struct pq_meta_element *group = &file.meta.elements[14];
    CHECK(group->logical.has == 1u << PQ_LOGICAL_VARIANT && group->logical.variant.version == 1 &&
              group->child_count == 2 && group->field_id == 14,
          "group");
    CHECK(pq_text_is(group[1].name, "metadata") && pq_text_is(group[2].name, "value") &&
              group[1].repetition == PQ_REQUIRED && group[2].repetition == PQ_REQUIRED,
          "children");
    for (size_t g = 0; g < file.meta.group_count; g++) {
        for (size_t i = 13; i < 15; i++) {
            const struct pq_meta_column *column = &file.meta.groups[g].chunks[i].column;
            CHECK(!PQ_THRIFT_HAS(&column->statistics, PQ_STATISTICS_MIN) &&
                      !PQ_THRIFT_HAS(&column->statistics, PQ_STATISTICS_MAX),
                  "variants have no bounds");
        }
    }
    close_written(&file);
}

// ---- footer -----------------------------------------------------------------------------------

static void check_group(const struct pq_meta_group *group, size_t g, uint64_t *at) {
    int64_t stored = 0, raw = 0;
    CHECK((uint64_t)group->file_offset == *at, "row group %zu begins at its first page", g);
    CHECK(group->ordinal == (int16_t)g && PQ_THRIFT_HAS(group, 7), "ordinal");
    CHECK(group->sorting_count == 1 && group->sorting[0].column == 0 &&
              !group->sorting[0].is_descending,
          "sorted by the first column");
    for (size_t i = 0; i < group->chunk_count; i++) {
        const struct pq_meta_chunk *chunk = &group->chunks[i];
        const struct pq_meta_column *column = &chunk->column;
        const bool is_coded = PQ_THRIFT_HAS(column, PQ_COLUMN_DICTIONARY_OFFSET);
        const int64_t first = is_coded ? column->dictionary_page_offset : column->data_page_offset;
        CHECK(chunk->file_offset == 0, "ColumnChunk.file_offset is not used");
        CHECK((uint64_t)first == *at, "column %zu follows the one before", i);
        CHECK(!is_coded || column->data_page_offset > column->dictionary_page_offset, "offsets");
        CHECK(PQ_THRIFT_HAS(column, PQ_COLUMN_STATISTICS) &&
                  PQ_THRIFT_HAS(&column->statistics, PQ_STATISTICS_NULL_COUNT),
              "nulls are always counted");
        CHECK(!PQ_THRIFT_HAS(&column->statistics, PQ_STATISTICS_OLD_MIN) &&
                  !PQ_THRIFT_HAS(&column->statistics, PQ_STATISTICS_OLD_MAX),
              "no deprecated bounds");
        *at += (uint64_t)column->stored_bytes;
        stored += column->stored_bytes;
        raw += column->raw_bytes;
    }
    CHECK(group->stored_bytes == stored && group->raw_bytes == raw, "sums of row group %zu", g);
    for (size_t i = 0; i < group->chunk_count; i++) {
        const struct pq_meta_column *column = &group->chunks[i].column;
        if (!PQ_THRIFT_HAS(column, PQ_COLUMN_BLOOM_OFFSET)) continue;
        CHECK((uint64_t)column->bloom_offset == *at && column->bloom_bytes > 32 &&
                  PQ_THRIFT_HAS(column, PQ_COLUMN_BLOOM_BYTES),
              "the filter of column %zu stands behind the pages, its length is told", i);
        *at += (uint64_t)column->bloom_bytes;
    }
}

static void the_footer_adds_up(void) {
    for (int profile = 0; profile < 2; profile++) {
        struct written file;
        write_all((enum pq_parquet_profile)profile, PQ_VARIANT_AS_JSON, &file);
        const struct pq_meta_file *meta = &file.meta;
        CHECK(meta->version == 1 && meta->row_count == rows && meta->group_count == 2, "file");
        CHECK(pq_text_starts_with(meta->created_by, PQ_TEXT("parquedb version ")) &&
                  meta->created_by.data[meta->created_by.length - 1] == ')' &&
                  memmem(meta->created_by.data, meta->created_by.length, " (build ", 8) != NULL,
              "created_by: %.*s", PQ_TEXT_ARG(meta->created_by));
        CHECK(meta->order_count == leaf_count, "an order for each leaf");
        for (size_t i = 0; i < meta->order_count; i++) {
            CHECK(meta->orders[i].has == 2, "TypeDefinedOrder");
        }
        uint64_t at = 4;
        for (size_t g = 0; g < meta->group_count; g++) check_group(&meta->groups[g], g, &at);
        size_t indexes = 0;
        for (size_t kind = 0; kind < 2; kind++) {  // column indexes, then offset indexes
            for (size_t g = 0; g < meta->group_count; g++) {
                for (size_t i = 0; i < leaf_count; i++) {
                    const struct pq_meta_chunk *chunk = &meta->groups[g].chunks[i];
                    if (kind == 0 && !PQ_THRIFT_HAS(chunk, PQ_CHUNK_COLUMN_INDEX)) continue;
                    CHECK(PQ_THRIFT_HAS(chunk, PQ_CHUNK_OFFSET_INDEX), "offset index");
                    CHECK((uint64_t)(kind == 0 ? chunk->column_index_offset
                                               : chunk->offset_index_offset) == at,
                          "indexes follow one another");
                    at += (uint64_t)(kind == 0 ? chunk->column_index_bytes
                                               : chunk->offset_index_bytes);
                    indexes++;
                }
            }
        }
        CHECK(at == file.footer && indexes > 2 * leaf_count, "nothing stands between");
        close_written(&file);
    }
}

// ---- pages ------------------------------------------------------------------------------------

struct seen_pages {
    int32_t dictionaries, data;
    int32_t by_encoding[PQ_ENCODING_BYTE_STREAM_SPLIT + 1];
};

/// One page at `*at`: its header, its checksum, its limits.
static void check_page(struct written *file, enum pq_parquet_profile profile, uint64_t *at,
                       struct seen_pages *seen) {
    struct pq_cursor cursor =
        pq_cursor_of(file->bytes.data + *at, file->footer - (size_t)*at);
    struct pq_meta_page page;
    CHECK(pq_thrift_decode(&pq_meta_page_table, &cursor, &file->arena, &page, NULL) == PQDB_OK,
          "header at %llu", (unsigned long long)*at);
    const bool is_compact = profile == PQ_PROFILE_COMPACT;
    CHECK(PQ_THRIFT_HAS(&page, PQ_PAGE_CRC) &&
              (uint32_t)page.crc == pq_crc32(0, cursor.at, (size_t)page.stored_bytes),
          "the checksum is of the stored bytes");
    if (page.type == PQ_PAGE_DICTIONARY) {
        CHECK(seen->data == 0 && seen->dictionaries == 0, "one dictionary, and first");
        CHECK(page.dictionary.encoding == PQ_ENCODING_PLAIN, "dictionaries are PLAIN");
        seen->dictionaries++;
    } else {
        CHECK(page.type == PQ_PAGE_DATA, "pages are v1");
        CHECK(page.data.def_encoding == PQ_ENCODING_RLE &&
                  page.data.rep_encoding == PQ_ENCODING_RLE,
              "levels are runs");
        const int32_t levels = 2 * (page.data.value_count / 2 + 64);  // beside the values
        CHECK(page.raw_bytes <= (is_compact ? 1 << 20 : 128 << 10) + levels, "%d bytes",
              page.raw_bytes);
        CHECK(is_compact || page.data.encoding == PQ_ENCODING_PLAIN ||
                  page.data.encoding == PQ_ENCODING_RLE_DICTIONARY,
              "encoding %d", page.data.encoding);
        seen->by_encoding[page.data.encoding]++;
        seen->data++;
    }
    *at = (uint64_t)(cursor.at - file->bytes.data) + (uint64_t)page.stored_bytes;
}

static void check_encodings(const struct pq_meta_column *column, const struct seen_pages *seen) {
    struct seen_pages told = {0};
    for (size_t i = 0; i < column->encoding_stats_count; i++) {
        const struct pq_meta_encoding_stats *stats = &column->encoding_stats[i];
        if (stats->page_type == PQ_PAGE_DICTIONARY) {
            told.dictionaries += stats->count;
        } else {
            told.by_encoding[stats->encoding] += stats->count;
            told.data += stats->count;
        }
    }
    CHECK(memcmp(&told, seen, sizeof told) == 0, "encoding_stats tell the pages");
    for (int32_t encoding = 0; encoding <= PQ_ENCODING_BYTE_STREAM_SPLIT; encoding++) {
        bool is_listed = seen->by_encoding[encoding] == 0;
        for (size_t i = 0; i < column->encoding_count; i++) {
            is_listed |= column->encodings[i] == encoding;
        }
        CHECK(is_listed, "encoding %d is listed", encoding);
    }
}

static void check_offset_index(struct written *file, enum pq_parquet_profile profile,
                               const struct pq_meta_group *group,
                               const struct pq_meta_chunk *chunk) {
    const struct pq_meta_column *column = &chunk->column;
    struct pq_cursor cursor = pq_cursor_of(file->bytes.data + chunk->offset_index_offset,
                                           (size_t)chunk->offset_index_bytes);
    struct pq_meta_offset_index index;
    CHECK(pq_thrift_decode(&pq_meta_offset_index_table, &cursor, &file->arena, &index, NULL) ==
              PQDB_OK, "offset index");
    uint64_t at = (uint64_t)column->data_page_offset, end;
    struct seen_pages seen = {0};
    if (PQ_THRIFT_HAS(column, PQ_COLUMN_DICTIONARY_OFFSET)) {
        uint64_t dictionary = (uint64_t)column->dictionary_page_offset;
        check_page(file, profile, &dictionary, &seen);
        CHECK(dictionary == at && seen.dictionaries == 1, "the data begins behind the dictionary");
    }
    int64_t row = 0;
    for (size_t i = 0; i < index.location_count; i++) {
        const struct pq_meta_location *page = &index.locations[i];
        end = at;
        check_page(file, profile, &end, &seen);
        CHECK((uint64_t)page->offset == at && (uint64_t)page->bytes == end - at, "page %zu", i);
        const int64_t next = i + 1 < index.location_count ? page[1].first_row : group->row_count;
        CHECK(page->first_row == row && next > row, "page %zu begins with its row", i);
        CHECK(next - row <= (profile == PQ_PROFILE_COMPACT ? 20000 : 4096), "%lld rows",
              (long long)(next - row));
        row = next;
        at = end;
    }
    CHECK(row == group->row_count, "rows");
    check_encodings(column, &seen);
}

static void pages_keep_their_limits_and_are_told_truly(void) {
    for (int profile = 0; profile < 2; profile++) {
        struct written file;
        write_all((enum pq_parquet_profile)profile, PQ_VARIANT_AS_JSON, &file);
        for (size_t g = 0; g < file.meta.group_count; g++) {
            const struct pq_meta_group *group = &file.meta.groups[g];
            for (size_t i = 0; i < group->chunk_count; i++) {
                check_offset_index(&file, (enum pq_parquet_profile)profile, group,
                                   &group->chunks[i]);
            }
        }
        close_written(&file);
    }
}

/// Texts of 1000 bytes: 131 to a page, not 4096.
static void long_values_make_short_pages(void) {
    static const struct pq_type one = {.kind = PQ_OBJECT, .field_count = 1, .fields = fields};
    enum { count = 2000, length = 1000 };
    static char data[count * length];
    static uint32_t offsets[count + 1];
    for (uint32_t i = 0; i < count; i++) {
        memset(data + i * length, 'a' + (char)(i % 26), length);
        snprintf(data + i * length, 9, "%08u", i);
        offsets[i + 1] = (i + 1) * length;
    }
    const struct pq_column column = {.type = &fields[0].type, .layout = PQ_BYTES, .count = count,
                                     .offsets = offsets, .data = (const uint8_t *)data};
    const struct pq_batch batch = {.type = &one, .count = count, .columns = &column};
    const struct pq_parquet_writer_options options = {.type = &one};
    struct written file;
    write_batch(&options, &batch, &file);
    const struct pq_meta_column *written = &file.meta.groups[0].chunks[0].column;
    CHECK(written->encoding_stats[0].count == (count + 129) / 130, "%d pages",
          written->encoding_stats[0].count);
    check_offset_index(&file, PQ_PROFILE_COMPATIBLE, &file.meta.groups[0],
                       &file.meta.groups[0].chunks[0]);
    close_written(&file);
}

// ---- statistics -------------------------------------------------------------------------------

static void write_texts(const char *const *texts, size_t count, bool is_binary,
                        struct written *file) {
    static const struct pq_field binary = {.name = {"a", 1}, .type = {.kind = PQ_BINARY}};
    static const struct pq_type of[] = {
        {.kind = PQ_OBJECT, .field_count = 1, .fields = fields},
        {.kind = PQ_OBJECT, .field_count = 1, .fields = &binary}};
    struct pq_arena arena;
    struct pq_batch batch;
    struct pq_builder column;
    pq_arena_init(&arena, &pq_alloc_libc);
    const struct pq_type *row = &of[is_binary];
    CHECK(pq_builder_init(&column, &row->fields[0].type, &arena.alloc, NULL) == PQDB_OK, "init");
    for (size_t i = 0; i < count; i++) {
        CHECK(pq_builder_append_bytes(&column, texts[i], strlen(texts[i]), NULL) == PQDB_OK, "a");
    }
    CHECK(pq_builder_finish_batch(&column, row, &arena, &batch, NULL) == PQDB_OK, "batch");
    const struct pq_parquet_writer_options options = {.type = row};
    write_batch(&options, &batch, file);
    pq_arena_deinit(&arena);
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

/// The one text is both bounds. 64 bytes are the limit.
static void cut_bounds_are_whole_characters_and_bounds(void) {
    static const struct {
        const char *text, *min, *max;  // max NULL: there is none
        bool is_exact, is_binary;
    } cases[] = {
        {"", "", "", true, false},
        {SIXTY "1234", SIXTY "1234", SIXTY "1234", true, false},
        {SIXTY "12345", SIXTY "1234", SIXTY "1235", false, false},
        {SIXTY "123\xC3\xA9", SIXTY "123", SIXTY "124", false, false},
        {SIXTY "12\xC3\xA9x", SIXTY "12\xC3\xA9", SIXTY "12\xC3\xAA", false, false},
        {SIXTY "1\xED\x9F\xBFx", SIXTY "1\xED\x9F\xBF", SIXTY "1\xEE\x80\x80", false, false},
        {SIXTY "\xF4\x8F\xBF\xBFx", SIXTY "\xF4\x8F\xBF\xBF", "0123456789" TEN TEN TEN TEN
         "012345678:", false, false},
        {SIXTY "123\x7Fx", SIXTY "123\x7F", SIXTY "124", false, false},
        {SIXTY "123\xFFx", SIXTY "123\xFF", SIXTY "124", false, true},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
         "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
         "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
         "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
         "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
         "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
         "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
         "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", NULL, false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct written file;
        write_texts(&cases[i].text, 1, cases[i].is_binary, &file);
        const struct pq_meta_chunk *chunk = &file.meta.groups[0].chunks[0];
        const struct pq_meta_statistics *got = &chunk->column.statistics;
        CHECK(pq_text_is(got->min, cases[i].min) && got->is_min_exact == cases[i].is_exact,
              "%zu: min %.*s", i, PQ_TEXT_ARG(got->min));
        const bool has_max = PQ_THRIFT_HAS(got, PQ_STATISTICS_MAX);
        CHECK(has_max == (cases[i].max != NULL), "%zu: max", i);
        CHECK(!has_max || (pq_text_is(got->max, cases[i].max) &&
                           got->is_max_exact == cases[i].is_exact),
              "%zu: max %.*s", i, PQ_TEXT_ARG(got->max));
        CHECK(PQ_THRIFT_HAS(chunk, PQ_CHUNK_COLUMN_INDEX) == has_max,
              "%zu: a column index needs both bounds", i);
        close_written(&file);
    }
}

static void texts_are_ordered_by_unsigned_bytes(void) {
    static const char *const texts[] = {"\xC3\xA9", "z", "a", "\xF0\x9F\x98\x80"};
    struct written file;
    write_texts(texts, 4, false, &file);
    const struct pq_meta_statistics *got = &file.meta.groups[0].chunks[0].column.statistics;
    CHECK(pq_text_is(got->min, "a") && pq_text_is(got->max, "\xF0\x9F\x98\x80"), "order");
    close_written(&file);
}

/// Pages of four: what the column index says of them.
static void write_reals(const double *values, const uint8_t *valid, size_t count,
                        struct written *file) {
    static const struct pq_type reals = {.kind = PQ_OBJECT, .field_count = 1, .fields = fields + 4};
    const struct pq_column column = {.type = &fields[4].type, .layout = PQ_FIXED, .count = count,
                                     .values = values, .valid = valid};
    const struct pq_batch batch = {.type = &reals, .count = count, .columns = &column};
    const struct pq_parquet_writer_options options = {.type = &reals, .page_rows = 4};
    write_batch(&options, &batch, file);
}

static void read_column_index(struct written *file, struct pq_meta_column_index *index) {
    const struct pq_meta_chunk *chunk = &file->meta.groups[0].chunks[0];
    CHECK(PQ_THRIFT_HAS(chunk, PQ_CHUNK_COLUMN_INDEX), "there is a column index");
    struct pq_cursor cursor = pq_cursor_of(file->bytes.data + chunk->column_index_offset,
                                           (size_t)chunk->column_index_bytes);
    CHECK(pq_thrift_decode(&pq_meta_column_index_table, &cursor, &file->arena, index, NULL) ==
              PQDB_OK, "column index");
}

static void pages_of_nulls_have_empty_bounds_and_no_say_in_the_order(void) {
    static const double values[] = {1, 2, 3, NAN, 0, 0, 0, 0, 4, 5, 6, 0};
    enum { v = PQ_ROW_VALID, n = PQ_ROW_NULL };
    static const uint8_t valid[] = {v, v, v, v, n, n, n, n, v, v, v, n};
    struct written file;
    struct pq_meta_column_index index;
    write_reals(values, valid, 12, &file);
    read_column_index(&file, &index);
    CHECK(index.null_page_count == 3 && !index.null_pages[0] && index.null_pages[1], "null page");
    CHECK(index.mins[1].length == 0 && index.maxs[1].length == 0, "empty bounds");
    CHECK(index.order == 1, "ascending");
    CHECK(index.null_counts[1] == 4 && index.null_counts[2] == 1 && index.nan_counts[0] == 1,
          "counts");
    const struct pq_meta_statistics *got = &file.meta.groups[0].chunks[0].column.statistics;
    const double six = 6;
    CHECK(got->null_count == 5 && got->nan_count == 1 && memcmp(got->max.data, &six, 8) == 0 &&
              got->is_max_exact,
          "NaN is counted and no bound");
    close_written(&file);
}

static void a_page_of_nan_alone_leaves_the_column_without_index(void) {
    static const double values[] = {1, 2, 3, 4, NAN, NAN, NAN, NAN};
    struct written file;
    write_reals(values, NULL, 8, &file);
    const struct pq_meta_chunk *chunk = &file.meta.groups[0].chunks[0];
    CHECK(!PQ_THRIFT_HAS(chunk, PQ_CHUNK_COLUMN_INDEX), "column index");
    CHECK(PQ_THRIFT_HAS(chunk, PQ_CHUNK_OFFSET_INDEX), "offset index");
    const double four = 4;
    CHECK(memcmp(chunk->column.statistics.max.data, &four, 8) == 0, "max");
    close_written(&file);
    write_reals(values + 4, NULL, 4, &file);
    const struct pq_meta_statistics *got = &file.meta.groups[0].chunks[0].column.statistics;
    CHECK(!PQ_THRIFT_HAS(got, PQ_STATISTICS_MIN) && !PQ_THRIFT_HAS(got, PQ_STATISTICS_MAX) &&
              got->nan_count == 4,
          "only NaN: no bounds");
    close_written(&file);
}

static void the_order_of_pages_is_told(void) {
    static const double up[] = {1, 2, 3, 4, 4, 5, 6, 7}, down[] = {7, 6, 5, 4, 4, 3, 2, 1},
                        mixed[] = {1, 9, 3, 4, 4, 5, 6, 7};
    const struct {
        const double *values;
        int32_t order;
    } cases[] = {{up, 1}, {down, 2}, {mixed, 0}};
    for (size_t i = 0; i < 3; i++) {
        struct written file;
        struct pq_meta_column_index index;
        write_reals(cases[i].values, NULL, 8, &file);
        read_column_index(&file, &index);
        CHECK(index.order == cases[i].order, "%zu: order %d", i, index.order);
        close_written(&file);
    }
}

// ---- memory -----------------------------------------------------------------------------------

static pqdb_code forget(void *ctx, const void *data, size_t length, pqdb_error *err) {
    (void)data, (void)err;
    *(uint64_t *)ctx += length;
    return PQDB_OK;
}

/// 24 MB of rows that do not compress, through a row group's worth of 1 MiB.
static void memory_follows_the_row_group_not_the_file(void) {
    static const struct pq_type numbers = {
        .kind = PQ_OBJECT, .field_count = 1, .fields = fields + 2};
    struct counting_alloc counting;
    counting_alloc_init(&counting);
    const struct pq_parquet_writer_options options = {.type = &numbers,
                                                      .row_group_bytes = 1 << 20};
    uint64_t length = 0;
    struct pq_parquet_writer *writer;
    struct pq_parquet_file_info info;
    CHECK(pq_parquet_writer_create(&options, (struct pq_parquet_sink){forget, &length},
                                   &counting.alloc, &writer, NULL) == PQDB_OK, "create");
    static uint64_t values[10000];
    for (uint64_t i = 0, word = 1; i < 300; i++) {
        for (size_t k = 0; k < 10000; k++) {
            values[k] = word = word * UINT64_C(6364136223846793005) + 1442695040888963407u;
        }
        const struct pq_column column = {
            .type = &fields[2].type, .layout = PQ_FIXED, .count = 10000, .values = values};
        const struct pq_batch batch = {.type = &numbers, .count = 10000, .columns = &column};
        CHECK(pq_parquet_writer_append(writer, &batch, NULL) == PQDB_OK, "append");
    }
    CHECK(pq_parquet_writer_finish(writer, &info, NULL) == PQDB_OK, "finish");
    CHECK(length > 24000000 && info.split_count >= 20, "%llu bytes in %zu row groups",
          (unsigned long long)length, info.split_count);
    CHECK(counting.peak < 4 << 20, "%zu bytes at most", counting.peak);
    pq_parquet_writer_destroy(writer);
    CHECK(counting.live == 0, "leak");
}

int main(void) {
    RUN(the_schema_says_it_in_both_ways);
    RUN(an_annotated_variant_is_a_group_of_two);
    RUN(the_footer_adds_up);
    RUN(pages_keep_their_limits_and_are_told_truly);
    RUN(long_values_make_short_pages);
    RUN(cut_bounds_are_whole_characters_and_bounds);
    RUN(texts_are_ordered_by_unsigned_bytes);
    RUN(pages_of_nulls_have_empty_bounds_and_no_say_in_the_order);
    RUN(a_page_of_nan_alone_leaves_the_column_without_index);
    RUN(the_order_of_pages_is_told);
    RUN(memory_follows_the_row_group_not_the_file);
    return test_done();
}
