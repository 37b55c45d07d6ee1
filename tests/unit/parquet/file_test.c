/// Goal: pin what the laws cannot see: the file's figures for Iceberg, statistics and page index,
/// what the writer refuses, the reader's errors, and every failed allocation on both ways.
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "batch/builder.h"
#include "batch/dictionary.h"
#include "codec/codec.h"
#include "parquet/writer.h"
#include "support/column_json.h"
#include "support/memory_file.h"
#include "support/test.h"
#include "variant/variant.h"

enum { id_field, number_field, real_field, list_field, variant_field, field_count };

static const struct pq_field element = {
    .name = {"element", 7}, .type = {.kind = PQ_INT64}, .id = 6};
static const struct pq_field fields[field_count] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 1},
    {.name = {"number", 6}, .type = {.kind = PQ_DECIMAL, .precision = 20, .scale = 2}, .id = 2},
    {.name = {"real", 4}, .type = {.kind = PQ_FLOAT64}, .id = 3},
    {.name = {"list", 4}, .type = {.kind = PQ_LIST, .field_count = 1, .fields = &element}, .id = 4},
    {.name = {"variant", 7}, .type = {.kind = PQ_VARIANT}, .id = 5},
};
static const struct pq_type type = {
    .kind = PQ_OBJECT, .field_count = field_count, .fields = fields};

/// Rows whose ids ascend: row i is { "row-000i", i / 100, i % 7, [i], {"n": i} }, with nulls.
static pqdb_code make_batch(struct pq_arena *arena, size_t rows, struct pq_batch *batch,
                            pqdb_error *err) {
    struct pq_builder *members = pq_arena_calloc(arena, field_count, sizeof *members);
    if (members == NULL) return pq_fail(err, PQDB_NO_MEMORY, "members");
    for (uint32_t k = 0; k < field_count; k++) {
        PQ_TRY(pq_builder_init(&members[k], &fields[k].type, &arena->alloc, err));
    }
    for (size_t i = 0; i < rows; i++) {
        char id[32];
        // {"n": <int8>} with the metadata in front: version 1, one name "n".
        const uint8_t variant[] = {0x01, 1, 0, 1, 'n', 0x02, 1, 0, 0, 2, 0x0C, (uint8_t)(i % 100)};
        const int length = snprintf(id, sizeof id, "row-%06zu", i);
        const pq_i128 number = (pq_i128)i - 50;
        const double real = (double)(i % 7);
        const int64_t item = (int64_t)i;
        PQ_TRY(pq_builder_append_bytes(&members[id_field], id, (size_t)length, err));
        PQ_TRY(pq_builder_append_fixed(&members[number_field], &number, err));
        PQ_TRY(i % 5 == 0 ? pq_builder_append_null(&members[real_field], err)
                          : pq_builder_append_fixed(&members[real_field], &real, err));
        PQ_TRY(pq_builder_append_fixed(&members[list_field].children[0], &item, err));
        PQ_TRY(pq_builder_end_list(&members[list_field], err));
        PQ_TRY(pq_builder_append_own_names(&members[variant_field], variant, sizeof variant, err));
    }
    return pq_builder_finish_batch(members, &type, arena, batch, err);
}

static pqdb_code write_file(const struct pq_parquet_writer_options *options,
                            const struct pq_batch *batch, const struct pq_alloc *alloc,
                            struct pq_bytes *bytes, pqdb_error *err) {
    struct pq_parquet_writer *writer;
    const struct pq_parquet_sink sink = {memory_file_append, bytes};
    PQ_TRY(pq_parquet_writer_create(options, sink, alloc, &writer, err));
    struct pq_parquet_file_info info;
    pqdb_code code = pq_parquet_writer_append(writer, batch, err);
    if (code == PQDB_OK) code = pq_parquet_writer_finish(writer, &info, err);
    pq_parquet_writer_destroy(writer);
    return code;
}

static struct pq_parquet_writer_options small_pages(void) {
    return (struct pq_parquet_writer_options){.type = &type,
                                              .codec = &pq_codec_zstd,
                                              .row_group_rows = 250,
                                              .page_rows = 100,
                                              .is_sorted = true,
                                              .sort_field = id_field};
}

static struct pq_parquet_file *open_file(struct pq_bytes *bytes) {
    const struct pq_parquet_source source = memory_file_source(bytes);
    struct pq_parquet_file *file = NULL;
    pqdb_error err = {0};
    CHECK(pq_parquet_open(&source, bytes->length, NULL, &pq_alloc_libc, &file, &err) == PQDB_OK,
          "%s", err.message);
    return file;
}

static void pages_are_found_by_their_bounds(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_batch batch;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    CHECK(make_batch(&arena, 600, &batch, NULL) == PQDB_OK, "batch");
    const struct pq_parquet_writer_options options = small_pages();
    CHECK(write_file(&options, &batch, &pq_alloc_libc, &bytes, NULL) == PQDB_OK, "write");
    struct pq_parquet_file *file = open_file(&bytes);
    CHECK(pq_parquet_group_count(file) == 3 && pq_parquet_group_rows(file, 2) == 100, "groups");
    const int leaf = pq_parquet_leaf(file, id_field);
    CHECK(leaf == 0 && pq_parquet_leaf(file, list_field) == -1, "leaf %d", leaf);
    struct pq_parquet_pages pages;
    CHECK(pq_parquet_pages(file, 1, 0, &pages, NULL) == PQDB_OK, "pages");
    CHECK(pages.count == 3 && pages.has_bounds && pages.order == PQ_PAGES_ASCENDING, "pages");
    CHECK(pages.pages[2].first_row == 200 && pages.pages[2].row_count == 50, "rows");
    struct pq_parquet_bounds bounds;
    pq_parquet_page_bounds(file, 1, 0, 1, &bounds);
    CHECK(pq_text_is(bounds.min.as.text, "row-000350"), "%.*s", PQ_TEXT_ARG(bounds.min.as.text));
    CHECK(pq_text_is(bounds.max.as.text, "row-000449"), "%.*s", PQ_TEXT_ARG(bounds.max.as.text));
    CHECK(bounds.null_count == 0, "nulls");
    pq_parquet_group_bounds(file, 0, (size_t)pq_parquet_leaf(file, number_field), &bounds);
    CHECK(bounds.min.kind == PQ_DECIMAL && bounds.min.as.decimal == -50 && bounds.is_min_exact,
          "decimal");
    CHECK(bounds.max.as.decimal == 199, "decimal");
    uint64_t row;
    CHECK(pq_parquet_find_group(file, 250, &row) == 1 && row == 0, "group");
    CHECK(pq_parquet_find_group(file, 599, &row) == 2 && row == 99, "group");
    pq_parquet_close(file);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

/// A zero of either sign stands for both, so a bound that is zero includes both.
static void zeros_at_the_bounds_have_their_signs(void) {
    static const struct pq_field field = {.name = {"a", 1}, .type = {.kind = PQ_FLOAT64}};
    static const struct pq_type reals = {.kind = PQ_OBJECT, .field_count = 1, .fields = &field};
    static const struct {
        double values[3];
        double min, max;
    } cases[] = {{{0.0, 1, 2}, -0.0, 2}, {{-1, -0.0, -2}, -2, 0.0}, {{0.0, -0.0, NAN}, -0.0, 0.0}};
    for (size_t i = 0; i < 6; i++) {
        const struct pq_column column = {
            .type = &field.type, .layout = PQ_FIXED, .count = 3, .values = cases[i / 2].values};
        const struct pq_batch batch = {.type = &reals, .count = 3, .columns = &column};
        const struct pq_parquet_writer_options options = {.type = &reals,
                                                          .no_dictionary = i % 2 == 0};
        struct pq_parquet_writer *writer;
        struct pq_parquet_file_info info;
        struct pq_bytes bytes;
        pq_bytes_init(&bytes, &pq_alloc_libc);
        const struct pq_parquet_sink sink = {memory_file_append, &bytes};
        CHECK(pq_parquet_writer_create(&options, sink, &pq_alloc_libc, &writer, NULL) == PQDB_OK &&
                  pq_parquet_writer_append(writer, &batch, NULL) == PQDB_OK &&
                  pq_parquet_writer_finish(writer, &info, NULL) == PQDB_OK,
              "write");
        CHECK(info.leaves[0].nan_count == (i / 2 == 2), "%zu: NaN", i);
        CHECK(memcmp(info.leaves[0].lower.data, &cases[i / 2].min, 8) == 0, "%zu: lower", i);
        CHECK(memcmp(info.leaves[0].upper.data, &cases[i / 2].max, 8) == 0, "%zu: upper", i);
        pq_parquet_writer_destroy(writer);
        pq_bytes_deinit(&bytes);
    }
}

/// Counts the bytes that are read.
struct counted {
    struct pq_bytes *bytes;
    size_t read;
};

static pqdb_code count_read(void *ctx, uint64_t offset, void *out, size_t length,
                            pqdb_error *err) {
    struct counted *counted = ctx;
    counted->read += length;
    return memory_file_read(counted->bytes, offset, out, length, err);
}

static void a_range_of_rows_reads_only_its_pages(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_batch batch, got;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    CHECK(make_batch(&arena, 200000, &batch, NULL) == PQDB_OK, "batch");
    const struct pq_parquet_writer_options options = {.type = &type};
    CHECK(write_file(&options, &batch, &pq_alloc_libc, &bytes, NULL) == PQDB_OK, "write");
    struct counted counted = {&bytes, 0};
    const struct pq_parquet_source source = {count_read, &counted};
    struct pq_parquet_file *file;
    CHECK(pq_parquet_open(&source, bytes.length, NULL, &pq_alloc_libc, &file, NULL) == PQDB_OK,
          "open");
    const size_t before = counted.read;
    const uint32_t wanted[] = {id_field, list_field};
    const struct pq_parquet_request request = {
        .fields = wanted, .field_count = 2, .first_row = 123456, .row_count = 2};
    CHECK(pq_parquet_read(file, &request, &arena, &got, NULL) == PQDB_OK, "read");
    CHECK(pq_text_is(pq_column_text(&got.columns[0], 1), "row-123457"), "id");
    CHECK(got.columns[1].children[0].count == 2, "list");
    // Two pages of at most 128 KiB, and the page indexes.
    CHECK(counted.read - before < 300000, "%zu bytes of %zu", counted.read - before, bytes.length);
    pq_parquet_close(file);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

static void figures_are_those_of_iceberg(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_batch batch;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    CHECK(make_batch(&arena, 600, &batch, NULL) == PQDB_OK, "batch");
    struct pq_parquet_writer_options options = small_pages();
    options.variant_form = PQ_VARIANT_ANNOTATED;
    struct pq_parquet_writer *writer;
    const struct pq_parquet_sink sink = {memory_file_append, &bytes};
    CHECK(pq_parquet_writer_create(&options, sink, &pq_alloc_libc, &writer, NULL) == PQDB_OK,
          "create");
    CHECK(pq_parquet_writer_append(writer, &batch, NULL) == PQDB_OK, "append");
    struct pq_parquet_file_info info;
    CHECK(pq_parquet_writer_finish(writer, &info, NULL) == PQDB_OK, "finish");
    CHECK(info.row_count == 600 && info.file_bytes == bytes.length && info.split_count == 3 &&
              info.split_offsets[0] == 4 && info.leaf_count == 5,
          "file");
    const struct pq_parquet_leaf_info *leaves = info.leaves;
    CHECK(pq_text_is(leaves[0].lower, "row-000000") && pq_text_is(leaves[0].upper, "row-000599"),
          "text");
    CHECK(leaves[1].lower.length == 1 && (int8_t)leaves[1].lower.data[0] == -50, "decimal");
    CHECK(leaves[1].upper.length == 2 && memcmp(leaves[1].upper.data, "\x02\x25", 2) == 0, "549");
    CHECK(leaves[2].null_count == 120 && leaves[2].value_count == 600, "nulls");
    CHECK(leaves[3].field_id == 6 && !leaves[3].has_bounds, "list");
    CHECK(pq_text_is(leaves[3].path, "list.list.element"), "%.*s", PQ_TEXT_ARG(leaves[3].path));
    CHECK(leaves[4].field_id == 5 && pq_text_is(leaves[4].path, "variant"), "variant");
    pq_parquet_writer_destroy(writer);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

static void wrong_values_are_refused_and_named(void) {
    static const struct pq_field one[] = {
        {.name = {"a", 1}, .type = {.kind = PQ_TEXT}, .required = true}};
    static const struct pq_field two[] = {
        {.name = {"a", 1}, .type = {.kind = PQ_DECIMAL, .precision = 3}}};
    static const struct pq_type text = {.kind = PQ_OBJECT, .field_count = 1, .fields = one};
    static const struct pq_type decimal = {.kind = PQ_OBJECT, .field_count = 1, .fields = two};
    static const uint32_t offsets[] = {0, 2};
    static const uint8_t null[] = {PQ_ROW_NULL};
    static const pq_i128 thousand = 1000;
    const struct {
        const char *message;
        const struct pq_type *type;
        struct pq_column column;
    } cases[] = {
        {"null in a required column", &text,
         {.layout = PQ_BYTES, .count = 1, .valid = null, .offsets = offsets}},
        {"text that is not UTF-8", &text,
         {.layout = PQ_BYTES, .count = 1, .offsets = offsets, .data = (const uint8_t *)"\xFF\xFF"}},
        {"a decimal has more than 3 digits", &decimal,
         {.layout = PQ_FIXED, .count = 1, .values = &thousand}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pq_column column = cases[i].column;
        column.type = &cases[i].type->fields[0].type;
        const struct pq_batch batch = {.type = cases[i].type, .count = 1, .columns = &column};
        const struct pq_parquet_writer_options options = {.type = cases[i].type};
        struct pq_bytes bytes;
        pq_bytes_init(&bytes, &pq_alloc_libc);
        pqdb_error err = {0};
        CHECK(write_file(&options, &batch, &pq_alloc_libc, &bytes, &err) == PQDB_INVALID, "%s",
              cases[i].message);
        CHECK(strcmp(err.message, cases[i].message) == 0 && strcmp(err.subject, "a") == 0,
              "%s: %s", err.subject, err.message);
        pq_bytes_deinit(&bytes);
    }
}

static pqdb_code read_whole(const struct pq_alloc *alloc, struct pq_bytes *bytes,
                            pqdb_error *err) {
    const struct pq_parquet_source source = memory_file_source(bytes);
    const struct pq_parquet_open_options options = {.json_as_variant = true};
    struct pq_parquet_file *file = NULL;
    struct pq_variant_names *names = NULL;
    struct pq_variant_encoder *encoder = NULL;
    struct pq_hold *hold = NULL;
    pqdb_code code = PQDB_OK;
    PQ_GO(pq_variant_names_create(alloc, &names, err));
    PQ_GO(pq_variant_encoder_create(names, alloc, &encoder, err));
    PQ_GO(pq_hold_create(alloc, &hold, err));
    PQ_GO(pq_parquet_open(&source, bytes->length, &options, alloc, &file, err));
    static const uint32_t all[] = {0, 1, 2, 3, 4};
    for (uint64_t rows = 1; rows <= 300; rows += 299) {
        const struct pq_parquet_request request = {.fields = all,
                                                   .field_count = field_count,
                                                   .row_count = rows,
                                                   .encoder = encoder,
                                                   .names = names,
                                                   .hold = hold};
        struct pq_batch batch;
        PQ_GO(pq_parquet_read(file, &request, &hold->arena, &batch, err));
        if (batch.columns[id_field].count != rows && rows == 1) {
            code = pq_fail(err, PQDB_CORRUPT, "%zu rows", batch.count);
        }
    }
done:
    pq_parquet_close(file);
    pq_hold_unref(hold);
    if (encoder != NULL) pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_batch batch;
    CHECK(make_batch(&arena, 300, &batch, NULL) == PQDB_OK, "batch");
    for (int form = 0; form < 2; form++) {
        struct pq_parquet_writer_options options = small_pages();
        options.variant_form = (enum pq_parquet_variant_form)form;
        struct pq_bytes bytes;
        pq_bytes_init(&bytes, &pq_alloc_libc);
        pqdb_error err = {0};
        pqdb_code code = PQDB_NO_MEMORY;
        for (long fail_at = 0; code == PQDB_NO_MEMORY; fail_at++) {
            struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
            failing.alloc.ctx = &failing;
            bytes.length = 0;
            code = write_file(&options, &batch, &failing.alloc, &bytes, &err);
            CHECK(failing.live_bytes == 0, "write %ld leaks %ld", fail_at, failing.live_bytes);
        }
        CHECK(code == PQDB_OK, "write: %s", err.message);
        code = PQDB_NO_MEMORY;
        for (long fail_at = 0; code == PQDB_NO_MEMORY; fail_at++) {
            struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
            failing.alloc.ctx = &failing;
            code = read_whole(&failing.alloc, &bytes, &err);
            CHECK(failing.live_bytes == 0, "read %ld leaks %ld", fail_at, failing.live_bytes);
        }
        CHECK(code == PQDB_OK, "read: %s", err.message);
        pq_bytes_deinit(&bytes);
    }
    pq_arena_deinit(&arena);
}

/// What one of several threads does with the same open file: page bounds and a page of each group.
static void *read_like_others(void *ctx) {
    const struct pq_parquet_file *file = ctx;
    static const uint32_t wanted[] = {id_field, real_field, list_field};
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    for (size_t g = 0; g < pq_parquet_group_count(file); g++) {
        struct pq_parquet_pages pages;
        struct pq_parquet_bounds bounds;
        CHECK(pq_parquet_pages(file, g, id_field, &pages, NULL) == PQDB_OK, "pages");
        pq_parquet_page_bounds(file, g, id_field, pages.count - 1, &bounds);
        CHECK(bounds.has_min, "bounds");
        const struct pq_parquet_request request = {
            .fields = wanted, .field_count = 3, .group = g, .first_row = 7, .row_count = 5};
        struct pq_batch batch;
        CHECK(pq_parquet_read(file, &request, &arena, &batch, NULL) == PQDB_OK, "read");
        CHECK(batch.count == 5, "%zu rows", batch.count);
    }
    pq_arena_deinit(&arena);
    return NULL;
}

static void threads_share_an_open_file(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_batch batch;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    CHECK(make_batch(&arena, 5000, &batch, NULL) == PQDB_OK, "batch");
    const struct pq_parquet_writer_options options = small_pages();
    CHECK(write_file(&options, &batch, &pq_alloc_libc, &bytes, NULL) == PQDB_OK, "write");
    struct pq_parquet_file *file = open_file(&bytes);
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, read_like_others, file) == 0, "thread");
    }
    for (size_t i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    pq_parquet_close(file);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

/// Flip a bit anywhere in the pages: the checksum sees it, and the error says where.
static void a_flipped_bit_is_damage(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_batch batch;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    CHECK(make_batch(&arena, 300, &batch, NULL) == PQDB_OK, "batch");
    const struct pq_parquet_writer_options options = small_pages();
    CHECK(write_file(&options, &batch, &pq_alloc_libc, &bytes, NULL) == PQDB_OK, "write");
    struct pq_parquet_file *file = open_file(&bytes);
    const size_t pages_end = 4 + (size_t)pq_parquet_group_bytes(file, 0);
    pq_parquet_close(file);
    size_t seen = 0;
    for (size_t at = 4; at < pages_end; at += 7) {
        pqdb_error err = {0};
        bytes.data[at] ^= 0x10;
        const pqdb_code code = read_whole(&pq_alloc_libc, &bytes, &err);
        bytes.data[at] ^= 0x10;
        seen += code != PQDB_OK;
        CHECK(code == PQDB_OK || (err.offset >= 0 && err.subject[0] != '\0'), "%zu: code %d: %s",
              at, (int)code, err.message);
    }
    // A few bits of a page header say nothing that is needed.
    CHECK(seen * 100 > (pages_end / 7) * 95, "%zu of %zu seen", seen, pages_end / 7);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(pages_are_found_by_their_bounds);
    RUN(zeros_at_the_bounds_have_their_signs);
    RUN(a_range_of_rows_reads_only_its_pages);
    RUN(figures_are_those_of_iceberg);
    RUN(wrong_values_are_refused_and_named);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    RUN(threads_share_an_open_file);
    RUN(a_flipped_bit_is_damage);
    return test_done();
}
