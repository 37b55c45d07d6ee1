/// Goal: reads of now, refreshes, commits and checkpoints at once: no read is torn, none is older
/// than what was acknowledged before it began.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  Sums: { $from: 'Item', $groupBy: ['kind'], $compute: { rows: { $count: '*' },\n"
    "    most: { $max: 'n' }, mid: { $median: 'n' } }, $refresh: { mode: 'manual' } },\n"
    "  All: { $from: 'Sums', $compute: { rows: { $sum: 'rows' } } },\n"
    "  Appended: { $from: 'Item', $refresh: { strategy: 'append' } } }";

enum { commits = 400, rows_each = 3 };

static pqdb_db *db;
static atomic_uint acknowledged;
static atomic_bool ends;

static void put(unsigned number, pqdb_error *err) {
    char rows[300];
    size_t length = 0;
    for (unsigned i = 0; i < rows_each; i++) {
        length += (size_t)snprintf(rows + length, sizeof rows - length,
                                   "{\"$id\":\"%u-%u\",\"kind\":\"k%u\",\"n\":%u}\n", number, i,
                                   i % 2, number * 7 % 50);
    }
    CHECK(pqdb_create(db, "Item", rows, length, NULL, NULL, err) == PQDB_OK, "%s", err->message);
}

static void *write_rows(void *ctx) {
    pqdb_error err;
    (void)ctx;
    for (unsigned i = 0; i < commits; i++) {
        put(i, &err);
        atomic_store(&acknowledged, i + 1);
    }
    ends = true;
    return NULL;
}

/// How many rows the groups say there are, by a read of now.
static uint64_t rows_now(const char *view, pqdb_error *err) {
    const pqdb_find_options options = {.max_staleness = "0s", .select = "rows"};
    pqdb_rows *rows;
    uint64_t sum = 0;
    bool has_row = true;
    if (pqdb_find(db, view, &options, &rows, err) != PQDB_OK) {
        CHECK(false, "%s: %s", view, err->message);
        return 0;
    }
    while (pqdb_rows_next(rows, &has_row, err) == PQDB_OK && has_row) {
        size_t length;
        bool is_null;
        sum += strtoull(pqdb_rows_cell(rows, 1, &length, &is_null), NULL, 10);
    }
    pqdb_rows_close(rows);
    return sum;
}

static void *read_rows(void *ctx) {
    pqdb_error err;
    while (!ends) {
        const uint64_t before = atomic_load(&acknowledged) * (uint64_t)rows_each;
        const uint64_t sum = rows_now(ctx, &err);
        CHECK(sum >= before && sum % rows_each == 0, "%s: %" PRIu64 " rows, %" PRIu64 " were there",
              (const char *)ctx, sum, before);
    }
    return NULL;
}

static void *refresh(void *ctx) {
    pqdb_error err;
    (void)ctx;
    for (unsigned i = 0; !ends; i++) {
        CHECK(pqdb_view_refresh(db, "Sums", i % 5 == 4, NULL, &err) == PQDB_OK, "%s", err.message);
        if (i % 3 == 0) CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    }
    return NULL;
}

static void reads_of_now_are_whole_and_not_too_old(void) {
    pqdb_error err;
    const struct temp_directory place = temp_directory_make();
    CHECK(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pqdb_open(place.path, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    static char sums[] = "Sums", all[] = "All";
    pthread_t threads[4];
    pthread_create(&threads[0], NULL, write_rows, NULL);
    pthread_create(&threads[1], NULL, read_rows, sums);
    pthread_create(&threads[2], NULL, read_rows, all);
    pthread_create(&threads[3], NULL, refresh, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK(rows_now("Sums", &err) == commits * rows_each, "at the end");
    uint64_t count = 0;
    CHECK(pqdb_count(db, "Appended", NULL, &count, &err) == PQDB_OK, "%s", err.message);
    CHECK(count == commits * rows_each, "%" PRIu64 " rows appended", count);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&place);
}

int main(void) {
    RUN(reads_of_now_are_whole_and_not_too_old);
    return test_done();
}
