/// Goal: what docs/limits.md says of one write holds at its true size: the most is taken and can be
/// read again, and one more is refused with LIMIT and a message that names the bound.
#include <stdlib.h>
#include <string.h>

#include "batch/builder.h"
#include "changelog/log.h"
#include "support/fault_store.h"
#include "support/log_world.h"
#include "support/test.h"

enum { rows_most = 1 << 24, collections_most = 4096, columns_most = 64 };

static pqdb_error err;

#define OK(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

// ---- rows -------------------------------------------------------------------------------------

static struct pq_field fields[columns_most];
static struct pq_type wide = {.kind = PQ_OBJECT, .fields = fields};

static const struct pq_type *wide_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)ctx, (void)collection, (void)schema_id;
    return &wide;
}

static struct pq_variant_names *no_names(void *ctx, uint32_t collection) {
    (void)ctx, (void)collection;
    return NULL;
}

static const struct pq_log_schemas wide_schemas = {.type = wide_type, .names = no_names};

/// So many rows of so many columns, all of the same nulls.
static pqdb_code encode(size_t rows, uint32_t columns, struct pq_bytes *out) {
    static uint8_t *valid;
    static int64_t *values;
    struct pq_column all[columns_most];
    if (valid == NULL) valid = calloc(rows_most + 1, 1);
    if (values == NULL) values = calloc(rows_most + 1, sizeof *values);
    if (valid == NULL || values == NULL) abort();
    for (uint32_t k = 0; k < columns; k++) {
        fields[k] = (struct pq_field){.name = {"n", 1}, .type = {.kind = PQ_INT64}};
        all[k] = (struct pq_column){.type = &fields[k].type, .layout = PQ_FIXED, .count = rows,
                                    .valid = valid, .values = values};
    }
    wide.field_count = columns;
    const struct pq_log_rows given = {
        .collection = 1, .rows_plus = (uint32_t)rows,
        .batch = {.type = &wide, .count = rows, .columns = all}};
    return pq_log_encode_rows(&given, out, &err);
}

static void a_write_of_the_most_rows_is_read_again(void) {
    struct pq_bytes bytes;
    struct pq_arena arena;
    struct pq_log_rows read = {0};
    pq_bytes_init(&bytes, &pq_alloc_libc);
    pq_arena_init(&arena, &pq_alloc_libc);
    OK(encode(rows_most, 9, &bytes));  // more than 1 GiB once it is read
    OK(pq_log_decode_rows(pq_bytes_text(&bytes), &wide_schemas, &arena, &read, &err));
    CHECK(read.batch.count == rows_most && pq_column_is_null(&read.batch.columns[8], rows_most - 1),
          "%zu rows", read.batch.count);
    pq_arena_deinit(&arena);
    const size_t length = bytes.length;
    CHECK(encode(rows_most + 1, 1, &bytes) == PQDB_LIMIT, "one row more is taken");
    CHECK(strstr(err.message, "16777216 rows") != NULL, "%s", err.message);
    CHECK(bytes.length == length, "something is left of what was refused");
    pq_bytes_deinit(&bytes);
}

static void a_write_that_no_memory_could_read_is_refused(void) {
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    OK(encode(rows_most, 31, &bytes));
    bytes.length = 0;
    CHECK(encode(rows_most, 33, &bytes) == PQDB_LIMIT, "more than 4 GiB in columns is taken");
    CHECK(strstr(err.message, "4096 MiB in columns") != NULL, "%s", err.message);
    CHECK(bytes.length == 0, "something is left of what was refused");
    pq_bytes_deinit(&bytes);
}

// ---- collections ------------------------------------------------------------------------------

static const struct pq_field variant_field = {.name = {"any", 3}, .type = {.kind = PQ_VARIANT}};
static const struct pq_type variant_row = {
    .kind = PQ_OBJECT, .field_count = 1, .fields = &variant_field};
static struct pq_variant_names *names[collections_most + 2];  // of each collection, from 1

static const struct pq_type *variant_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)ctx, (void)collection, (void)schema_id;
    return &variant_row;
}

static struct pq_variant_names *names_of(void *ctx, uint32_t collection) {
    (void)ctx;
    return names[collection];
}

/// A row with a name of its own: { "a": 1 }.
static struct pq_text make_part(uint32_t collection, struct pq_arena *arena) {
    const uint8_t value[] = {0x02, 1, 0, 0, 2, 0x0C, 1};
    struct pq_builder builder;
    struct pq_log_rows rows = {.collection = collection, .rows_plus = 1};
    struct pq_bytes *bytes = pq_arena_calloc(arena, 1, sizeof *bytes);
    pq_variant_names_add(names[collection], PQ_TEXT("a"));
    OK(pq_builder_init(&builder, &variant_field.type, &arena->alloc, &err));
    builder.names = names[collection];
    OK(pq_builder_append_bytes(&builder, value, sizeof value, &err));
    OK(pq_builder_finish_batch(&builder, &variant_row, arena, &rows.batch, &err));
    pq_bytes_init(bytes, &arena->alloc);
    OK(pq_log_encode_rows(&rows, bytes, &err));
    return pq_bytes_text(bytes);
}

static void check_collections(struct pq_log *log) {
    struct pq_log_reader *reader;
    const struct pq_log_record *record;
    OK(pq_log_reader_open(log, 1, NULL, &reader, &err));
    OK(pq_log_reader_next(reader, &record, &err));
    CHECK(record != NULL && record->rows_count == collections_most, "not all collections");
    for (uint32_t i = 0; record != NULL && i < record->rows_count; i++) {
        CHECK(record->rows[i].collection == i + 1, "collection %u", record->rows[i].collection);
    }
    OK(pq_log_reader_next(reader, &record, &err));
    CHECK(record == NULL, "what was refused is there");
    pq_log_reader_close(reader);
}

static pqdb_code pass(void *ctx, const struct pq_log_record *record, pqdb_error *error) {
    (void)error;
    *(size_t *)ctx += record->rows_count;
    return PQDB_OK;
}

static struct pq_log *open_log(struct pq_store *store, size_t *replayed) {
    const struct pq_log_options options = {
        .store = store, .directory = "log", .env = &log_world_env, .alloc = &pq_alloc_libc};
    const struct pq_log_visitor visitor = {
        .schemas = {.type = variant_type, .names = names_of}, .visit = pass, .ctx = replayed};
    struct pq_log *log = NULL;
    OK(pq_log_open(&options, &log, &err));
    *replayed = 0;
    OK(pq_log_replay(log, &visitor, &err));
    for (uint32_t id = 1; id <= collections_most + 1; id++) {
        OK(pq_log_use_names(log, id, names[id], &err));
    }
    return log;
}

static void make_names(void) {
    for (uint32_t id = 1; id <= collections_most + 1; id++) {
        pq_variant_names_unref(names[id]);
        names[id] = NULL;
        OK(pq_variant_names_create(&pq_alloc_libc, &names[id], &err));
    }
}

static void a_commit_to_the_most_collections_is_read_again(void) {
    struct fault_store *disk = fault_store_create();
    struct pq_arena arena;
    size_t replayed;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_log_part *parts = pq_arena_calloc(&arena, collections_most + 1, sizeof *parts);
    make_names();
    struct pq_log *log = open_log(&disk->base, &replayed);
    for (uint32_t i = 0; i <= collections_most; i++) {
        parts[i] = (struct pq_log_part){.bytes = make_part(i + 1, &arena)};
    }
    const struct pq_log_commit most = {
        .kind = PQ_LOG_COMMIT, .parts = parts, .part_count = collections_most};
    const struct pq_log_commit more = {
        .kind = PQ_LOG_COMMIT, .parts = parts, .part_count = collections_most + 1};
    const long calls = disk->calls;
    CHECK(pq_log_append(log, &more, 1, &err) == PQDB_LIMIT, "one collection more is taken");
    CHECK(strstr(err.message, "at most 4096") != NULL, "%s", err.message);
    CHECK(disk->calls == calls, "something of it was written");
    OK(pq_log_append(log, &most, 1, &err));
    check_collections(log);
    OK(pq_log_close(log, &err));
    make_names();
    log = open_log(&disk->base, &replayed);
    CHECK(replayed == collections_most, "%zu replayed", replayed);
    CHECK(pq_variant_names_count(names[collections_most]) == 1, "a name is lost");
    OK(pq_log_close(log, &err));
    for (uint32_t id = 1; id <= collections_most + 1; id++) pq_variant_names_unref(names[id]);
    pq_arena_deinit(&arena);
    fault_store_destroy(disk);
}

int main(void) {
    RUN(a_write_of_the_most_rows_is_read_again);
    RUN(a_write_that_no_memory_could_read_is_refused);
    RUN(a_commit_to_the_most_collections_is_read_again);
    return test_done();
}
