/// Goal: the filter beside a data file never denies an id that is there and denies nearly all
/// others; small files have none; its damage is told by name.
#include "table/id_filter.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "support/test.h"
#include "table/rewrite.h"
#include "table/table.h"
#include "variant/variant.h"

enum { ROWS = 6000 };

static const struct pq_field fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 1}};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 1, .fields = fields};

static pqdb_error err;

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message); }

static bool may_have(struct pq_data_file *file, const char *form, int number) {
    char text[32];
    const size_t length = (size_t)snprintf(text, sizeof text, form, number);
    bool may = false;
    must(pq_data_file_may_have(file, (struct pq_text){text, length}, pq_hash(text, length), &may,
                               &err));
    return may;
}

/// "t.parquet" with so many rows; returns its bytes.
static uint64_t write_table(struct pq_store *store, int rows) {
    struct pq_variant_names *names;
    struct pq_table *table;
    struct pq_hold *hold;
    struct pq_builder ids;
    struct pq_batch batch;
    must(pq_variant_names_create(&pq_alloc_libc, &names, &err));
    const struct pq_table_options options = {.name = PQ_TEXT("T"), .type = &type, .names = names,
                                             .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &table, &err));
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    must(pq_builder_init(&ids, &fields[0].type, &hold->arena.alloc, &err));
    for (int row = 0; row < rows; row++) {
        char text[32];
        const int length = snprintf(text, sizeof text, "row-%d", row);
        must(pq_builder_append_bytes(&ids, text, (size_t)length, &err));
    }
    must(pq_builder_finish_batch(&ids, &type, &hold->arena, &batch, &err));
    must(pq_table_apply(table, &batch, hold, 1, &err));
    must(pq_table_seal(table, &err));
    must(pq_table_publish(table, &err));
    pq_hold_unref(hold);
    const struct pq_rewrite rewrite = {.snapshot = table->published,
                                       .segments = table->catalog->segments,
                                       .count = table->catalog->count, .store = store,
                                       .path = "t.parquet", .alloc = &pq_alloc_libc};
    struct pq_rewritten rewritten;
    must(pq_table_rewrite(&rewrite, &rewritten, &err));
    const uint64_t bytes = rewritten.bytes;
    pq_rewritten_deinit(&rewritten);
    pq_table_destroy(table);
    pq_variant_names_unref(names);
    return bytes;
}

static struct pq_data_file *open_file(struct pq_store *store, uint64_t bytes, int rows) {
    const struct pq_data_file_options options = {.store = store, .path = PQ_TEXT("t.parquet"),
                                                 .bytes = bytes, .rows = (uint64_t)rows,
                                                 .type = &type, .alloc = &pq_alloc_libc};
    struct pq_data_file *file;
    must(pq_data_file_create(&options, &file, &err));
    return file;
}

static void count_passed(struct pq_data_file *file, const char *form, int *passed) {
    *passed = 0;
    for (int i = 0; i < ROWS; i++) *passed += may_have(file, form, i);
}

static void what_is_there_always_passes(void) {
    struct pq_store *store;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const uint64_t bytes = write_table(store, ROWS);
    struct pq_data_file *file = open_file(store, bytes, ROWS);
    int passed;
    must(pq_data_file_write_ids(file, false, NULL, &err));
    count_passed(file, "row-%d", &passed);
    CHECK(passed == ROWS, "%d of %d rows pass", passed, ROWS);
    count_passed(file, "row-%d-other", &passed);
    CHECK(passed < ROWS / 30, "%d of %d others pass", passed, ROWS);
    pq_data_file_unref(file);
    pq_store_destroy(store);
}

static void without_a_filter_everything_passes(void) {
    struct pq_store *store;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const uint64_t bytes = write_table(store, 100);
    struct pq_data_file *file = open_file(store, bytes, 100);
    struct pq_file *filter = NULL;
    int passed;
    must(pq_data_file_write_ids(file, false, NULL, &err));
    CHECK(pq_file_open(store, "t.parquet.ids", PQ_OPEN_READ, &filter, &err) == PQDB_NOT_FOUND,
          "a file of 100 rows has a filter");
    count_passed(file, "other-%d", &passed);
    CHECK(passed == ROWS, "%d of %d pass", passed, ROWS);
    pq_data_file_unref(file);
    pq_store_destroy(store);
}

static void what_the_file_s_bounds_exclude_never_passes(void) {
    struct pq_store *store;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const uint64_t bytes = write_table(store, 100);
    struct pq_data_file *file = open_file(store, bytes, 100);
    const struct pq_parquet_file *reader;
    int passed;
    must(pq_data_file_reader(file, &reader, &err));
    count_passed(file, "other-%d", &passed);
    CHECK(passed == 0, "%d below pass", passed);
    count_passed(file, "rows-%d", &passed);
    CHECK(passed == 0, "%d above pass", passed);
    CHECK(may_have(file, "row-%d", 0) && may_have(file, "row-%d", 99), "first and last");
    pq_data_file_unref(file);
    pq_store_destroy(store);
}

/// Each byte of the head, and some of all that follow.
static void flip_bytes(struct pq_store *store, uint64_t bytes, bool with_marks) {
    struct pq_bytes content;
    pq_bytes_init(&content, &pq_alloc_libc);
    struct pq_data_file *file = open_file(store, bytes, ROWS);
    must(pq_data_file_write_ids(file, with_marks, NULL, &err));
    pq_data_file_unref(file);
    must(pq_id_filter_check(store, "t.parquet.ids", ROWS, &pq_alloc_libc, &err));
    must(pq_store_read_file(store, "t.parquet.ids", 1 << 20, &content, &err));
    const size_t filter_end = 40 + 64 * pq_load_u64(content.data + 16);
    CHECK((content.length > filter_end) == with_marks, "%zu bytes", content.length);
    for (size_t at = 0; at < content.length; at += at < 40 ? 1 : 131) {
        bool may;
        content.data[at] ^= 1;
        must(pq_store_write_file(store, "t.parquet.ids", pq_bytes_text(&content), &err));
        content.data[at] ^= 1;
        CHECK(pq_id_filter_check(store, "t.parquet.ids", ROWS, &pq_alloc_libc, &err) ==
                  PQDB_CORRUPT, "byte %zu", at);
        CHECK(strcmp(err.subject, "t.parquet.ids") == 0, "byte %zu: %s", at, err.subject);
        file = open_file(store, bytes, ROWS);
        const pqdb_code code = pq_data_file_may_have(file, PQ_TEXT("row-7"), pq_hash("row-7", 5),
                                                     &may, &err);
        CHECK(code == PQDB_OK && may, "byte %zu", at);
        pq_data_file_unref(file);
    }
    pq_bytes_deinit(&content);
}

static void damage_is_told_and_done_without(void) {
    struct pq_store *store;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const uint64_t bytes = write_table(store, ROWS);
    flip_bytes(store, bytes, false);
    flip_bytes(store, bytes, true);
    pq_store_destroy(store);
}

int main(void) {
    RUN(what_is_there_always_passes);
    RUN(without_a_filter_everything_passes);
    RUN(what_the_file_s_bounds_exclude_never_passes);
    RUN(damage_is_told_and_done_without);
    return test_done();
}
