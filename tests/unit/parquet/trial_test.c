/// Goal: a dictionary is kept where it makes the file smaller, and only there; pages that waited
/// for the decision are the same rows. The decision is read off the pages.
#include <string.h>

#include "codec/codec.h"
#include "parquet/page_header.h"
#include "parquet/writer.h"
#include "support/counting_alloc.h"
#include "support/memory_file.h"
#include "support/test.h"

enum { rows_max = 400000 };

static const struct pq_field field = {.name = {"a", 1}, .type = {.kind = PQ_INT64}};
static const struct pq_type numbers = {.kind = PQ_OBJECT, .field_count = 1, .fields = &field};
static const struct pq_field real_field = {.name = {"a", 1}, .type = {.kind = PQ_FLOAT64}};
static const struct pq_type reals = {.kind = PQ_OBJECT, .field_count = 1, .fields = &real_field};
static int64_t values[rows_max];

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/// How many data pages have each encoding.
struct pages {
    size_t by_encoding[PQ_ENCODING_BYTE_STREAM_SPLIT + 1];
};

static void count_pages(const struct pq_parquet_file *file, const struct pq_bytes *bytes,
                        struct pages *pages) {
    *pages = (struct pages){0};
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    for (size_t g = 0; g < pq_parquet_group_count(file); g++) {
        struct pq_parquet_pages index;
        CHECK(pq_parquet_pages(file, g, 0, &index, NULL) == PQDB_OK, "pages");
        for (size_t i = 0; i < index.count; i++) {
            struct pq_cursor cursor =
                pq_cursor_of(bytes->data + index.pages[i].offset, index.pages[i].bytes);
            struct pq_meta_page header;
            CHECK(pq_thrift_decode(&pq_meta_page_table, &cursor, &arena, &header, NULL) == PQDB_OK,
                  "header");
            pages->by_encoding[header.data.encoding]++;
        }
    }
    pq_arena_deinit(&arena);
}

/// Write the first `count` values, in pages of 1000 rows, and count what became of them.
static void write_values(const struct pq_parquet_writer_options *options, size_t count,
                         struct pages *pages) {
    const struct pq_type *type = options->type;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    struct pq_parquet_writer *writer;
    struct pq_parquet_file_info info;
    struct pq_parquet_file *file = NULL;
    const struct pq_parquet_sink sink = {memory_file_append, &bytes};
    CHECK(pq_parquet_writer_create(options, sink, &pq_alloc_libc, &writer, NULL) == PQDB_OK,
          "create");
    for (size_t start = 0; start < count; start += 7001) {
        const size_t rows = count - start < 7001 ? count - start : 7001;
        const struct pq_column column = {.type = &type->fields[0].type, .layout = PQ_FIXED,
                                         .count = rows, .values = values + start};
        const struct pq_batch batch = {.type = type, .count = rows, .columns = &column};
        CHECK(pq_parquet_writer_append(writer, &batch, NULL) == PQDB_OK, "append");
    }
    CHECK(pq_parquet_writer_finish(writer, &info, NULL) == PQDB_OK, "finish");
    const struct pq_parquet_source source = memory_file_source(&bytes);
    CHECK(pq_parquet_open(&source, bytes.length, NULL, &pq_alloc_libc, &file, NULL) == PQDB_OK,
          "open");
    count_pages(file, &bytes, pages);
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    for (size_t g = 0, row = 0; g < pq_parquet_group_count(file); g++) {
        static const uint32_t wanted[] = {0};
        const struct pq_parquet_request request = {
            .fields = wanted, .field_count = 1, .group = g, .row_count = UINT64_MAX};
        struct pq_batch batch;
        CHECK(pq_parquet_read(file, &request, &arena, &batch, NULL) == PQDB_OK, "read");
        CHECK(memcmp(batch.columns[0].values, values + row, batch.count * 8) == 0, "values");
        row += batch.count;
        pq_arena_reset(&arena);
    }
    pq_arena_deinit(&arena);
    pq_parquet_close(file);
    pq_parquet_writer_destroy(writer);
    pq_bytes_deinit(&bytes);
}

static struct pq_parquet_writer_options small_pages(const struct pq_type *type) {
    return (struct pq_parquet_writer_options){
        .type = type, .codec = &pq_codec_zstd, .level = 1, .page_rows = 1000};
}

/// 30,000 distinct ones: a page of 1000 repeats about 16, which says so.
static void draw_from(uint64_t distinct) {
    for (uint64_t i = 0; i < rows_max; i++) values[i] = (int64_t)(mix(i) % distinct * 977);
}

static void a_dictionary_that_pays_late_is_kept(void) {
    draw_from(30000);
    const struct pq_parquet_writer_options options = small_pages(&numbers);
    struct pages pages;
    write_values(&options, rows_max, &pages);
    CHECK(pages.by_encoding[PQ_ENCODING_RLE_DICTIONARY] == rows_max / 1000, "%zu coded pages",
          pages.by_encoding[PQ_ENCODING_RLE_DICTIONARY]);
}

static void one_that_would_not_pay_before_the_chunk_ends_is_given_up(void) {
    draw_from(30000);
    const struct pq_parquet_writer_options options = small_pages(&numbers);
    struct pages pages;
    write_values(&options, 20500, &pages);
    CHECK(pages.by_encoding[PQ_ENCODING_PLAIN] == 21, "%zu pages",
          pages.by_encoding[PQ_ENCODING_PLAIN]);
}

static void one_that_outgrows_its_bound_before_it_pays_is_given_up(void) {
    draw_from(30000);
    struct pq_parquet_writer_options options = small_pages(&numbers);
    options.dictionary_bytes = 130000;  // 16,250 of them
    struct pages pages;
    write_values(&options, rows_max, &pages);
    CHECK(pages.by_encoding[PQ_ENCODING_PLAIN] == rows_max / 1000, "%zu pages",
          pages.by_encoding[PQ_ENCODING_PLAIN]);
}

/// The first half has 20 values; then each is another.
static void one_that_outgrows_its_bound_later_ends_there(void) {
    for (int64_t i = 0; i < rows_max; i++) values[i] = i < rows_max / 2 ? i % 20 : i;
    struct pq_parquet_writer_options options = small_pages(&numbers);
    options.dictionary_bytes = 100000;
    struct pages pages;
    write_values(&options, rows_max, &pages);
    const size_t coded = pages.by_encoding[PQ_ENCODING_RLE_DICTIONARY];
    CHECK(coded >= rows_max / 2000 && coded < rows_max / 2000 + 20, "%zu coded pages", coded);
    CHECK(pages.by_encoding[PQ_ENCODING_PLAIN] > 180, "%zu pages",
          pages.by_encoding[PQ_ENCODING_PLAIN]);
}

static void values_that_do_not_repeat_have_none(void) {
    for (int64_t i = 0; i < rows_max; i++) values[i] = i;
    const struct pq_parquet_writer_options options = small_pages(&numbers);
    struct pages pages;
    write_values(&options, rows_max, &pages);
    CHECK(pages.by_encoding[PQ_ENCODING_RLE_DICTIONARY] == 0, "coded");
}

/// What waits is held: a row group ends where its bound says, trial or not.
static void pages_that_wait_count_as_held(void) {
    draw_from(30000);
    struct pq_parquet_writer_options options = small_pages(&numbers);
    options.row_group_bytes = 60000;
    struct pages pages;
    write_values(&options, 100000, &pages);
    CHECK(pages.by_encoding[PQ_ENCODING_PLAIN] >= 100, "%zu pages",
          pages.by_encoding[PQ_ENCODING_PLAIN]);
}

/// 100 columns that would each have a dictionary of 30,000 entries, of 1 MB with what finds them.
static void memory_of_many_dictionaries_is_bounded_by_the_row_group(void) {
    enum { column_count = 100 };
    static struct pq_field fields[column_count];
    static struct pq_column columns[column_count];
    static struct pq_bytes bytes;
    draw_from(30000);
    pq_bytes_init(&bytes, &pq_alloc_libc);
    for (size_t k = 0; k < column_count; k++) {
        fields[k] = (struct pq_field){.name = {"a", 1}, .type = {.kind = PQ_INT64}};
        columns[k] = (struct pq_column){.type = &fields[k].type, .layout = PQ_FIXED,
                                        .count = rows_max / 4, .values = values + k};
    }
    const struct pq_type wide = {
        .kind = PQ_OBJECT, .field_count = column_count, .fields = fields};
    struct counting_alloc counting;
    counting_alloc_init(&counting);
    struct pq_parquet_writer_options options = small_pages(&wide);
    options.row_group_bytes = 8 << 20;
    struct pq_parquet_writer *writer;
    struct pq_parquet_file_info info;
    const struct pq_parquet_sink sink = {memory_file_append, &bytes};
    const struct pq_batch batch = {.type = &wide, .count = rows_max / 4, .columns = columns};
    CHECK(pq_parquet_writer_create(&options, sink, &counting.alloc, &writer, NULL) == PQDB_OK &&
              pq_parquet_writer_append(writer, &batch, NULL) == PQDB_OK &&
              pq_parquet_writer_finish(writer, &info, NULL) == PQDB_OK,
          "write");
    CHECK(info.split_count > 3, "%zu row groups", info.split_count);
    CHECK(counting.peak < 48 << 20, "%zu bytes at most", counting.peak);
    pq_parquet_writer_destroy(writer);
    pq_bytes_deinit(&bytes);
}

static void reals_are_split_where_that_is_shorter(void) {
    struct pq_parquet_writer_options options = small_pages(&reals);
    options.profile = PQ_PROFILE_COMPACT;
    options.no_dictionary = true;
    struct pages pages;
    for (uint64_t i = 0; i < rows_max; i++) {  // noise in the last bytes only
        const double real = 1.0 + (double)(mix(i) & 0xFFFF) * 0x1p-52;
        memcpy(&values[i], &real, 8);
    }
    write_values(&options, 50000, &pages);
    CHECK(pages.by_encoding[PQ_ENCODING_BYTE_STREAM_SPLIT] == 50, "split");
    for (uint64_t i = 0; i < rows_max; i++) {  // 50 whole values
        const double real = (double)(mix(i) % 50) / 7;
        memcpy(&values[i], &real, 8);
    }
    write_values(&options, 50000, &pages);
    CHECK(pages.by_encoding[PQ_ENCODING_PLAIN] == 50, "as they are");
}

static void a_failed_allocation_in_a_trial_is_reported_and_leaks_nothing(void) {
    draw_from(1000);
    struct pq_parquet_writer_options options = small_pages(&numbers);
    options.page_rows = 100;
    pqdb_code code = PQDB_NO_MEMORY;
    for (long fail_at = 0; code == PQDB_NO_MEMORY; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        struct pq_bytes bytes;
        pq_bytes_init(&bytes, &pq_alloc_libc);
        struct pq_parquet_writer *writer;
        struct pq_parquet_file_info info;
        const struct pq_column column = {
            .type = &field.type, .layout = PQ_FIXED, .count = 5000, .values = values};
        const struct pq_batch batch = {.type = &numbers, .count = 5000, .columns = &column};
        const struct pq_parquet_sink sink = {memory_file_append, &bytes};
        code = pq_parquet_writer_create(&options, sink, &failing.alloc, &writer, NULL);
        if (code == PQDB_OK) {
            code = pq_parquet_writer_append(writer, &batch, NULL);
            if (code == PQDB_OK) code = pq_parquet_writer_finish(writer, &info, NULL);
            pq_parquet_writer_destroy(writer);
        }
        CHECK(failing.live_bytes == 0, "allocation %ld leaks %ld", fail_at, failing.live_bytes);
        pq_bytes_deinit(&bytes);
    }
    CHECK(code == PQDB_OK, "code %d", (int)code);
}

int main(void) {
    RUN(a_dictionary_that_pays_late_is_kept);
    RUN(one_that_would_not_pay_before_the_chunk_ends_is_given_up);
    RUN(one_that_outgrows_its_bound_before_it_pays_is_given_up);
    RUN(one_that_outgrows_its_bound_later_ends_there);
    RUN(values_that_do_not_repeat_have_none);
    RUN(pages_that_wait_count_as_held);
    RUN(a_failed_allocation_in_a_trial_is_reported_and_leaks_nothing);
    RUN(memory_of_many_dictionaries_is_bounded_by_the_row_group);
    RUN(reals_are_split_where_that_is_shorter);
    return test_done();
}
