/// Goal: refused items of callers that write at the same time are all kept, whole lines each.
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

enum { CALLERS = 6, CALLS = 30 };

static void *write_bad_ones(void *ctx) {
    pqdb_db *db = ctx;
    static const char items[] = "{\"n\":1}\n{\"n\":\"not a number\"}\n{\"n\":2}\n";
    for (int i = 0; i < CALLS; i++) {
        pqdb_error err = {0};
        pqdb_written written = {0};
        CHECK(pqdb_create(db, "Feed", items, sizeof items - 1, NULL, &written, &err) == PQDB_OK,
              "%s", err.message);
        CHECK(written.accepted == 2 && written.refused == 1, "a refusal");
    }
    return NULL;
}

static void refusals_of_many_are_kept(void) {
    static const char schema[] = "{ Feed: { $ingest: 'custom:feed', n: 'int!' } }";
    const struct temp_directory place = temp_directory_make();
    pqdb_error err = {0};
    pqdb_db *db = NULL;
    CHECK(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pqdb_open(place.path, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    pthread_t threads[CALLERS];
    for (int i = 0; i < CALLERS; i++) pthread_create(&threads[i], NULL, write_bad_ones, db);
    for (int i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
    char path[512], line[1024];
    snprintf(path, sizeof path, "%s/rejected/Feed.ndjson", place.path);
    FILE *file = fopen(path, "r");
    CHECK(file != NULL, "%s", path);
    int lines = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        CHECK(line[0] == '{' && strstr(line, "}\n") != NULL, "%s", line);
        lines++;
    }
    CHECK(lines == CALLERS * CALLS, "%d lines", lines);
    if (file != NULL) fclose(file);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&place);
}

// ---- a run ------------------------------------------------------------------------------------

enum { RUN_ITEMS = 3 * PQDB_INGEST_ROWS / 2, AGAIN = 1000 };

/// What was told, by the index of the item.
struct told {
    size_t count, wrong;
};

static void note_refusal(void *ctx, const pqdb_refusal *refusal) {
    struct told *told = ctx;
    told->count++;
    // Item n has the id n modulo RUN_ITEMS - AGAIN, so the last ones come again.
    if (refusal->index < RUN_ITEMS - AGAIN || refusal->line != refusal->index + 1 ||
        strcmp(refusal->code, "CONFLICT") != 0 || strcmp(refusal->field, "$id") != 0) {
        told->wrong++;
    }
}

static void feed_items(pqdb_ingest *ingest) {
    pqdb_error err = {0};
    for (int i = 0; i < RUN_ITEMS; i++) {
        char item[64];
        const int length = snprintf(item, sizeof item, "{\"$id\":\"i%d\",\"n\":%d}\n",
                                    i % (RUN_ITEMS - AGAIN), i);
        CHECK(pqdb_ingest_feed(ingest, item, (size_t)length, &err) == PQDB_OK, "%s", err.message);
    }
}

static void a_run_sets_ids_aside_that_are_there_already(void) {
    static const char schema[] = "{ Feed: { $ingest: 'custom:f', n: 'int!' },\n"
                                 "  Sum: { $from: 'Feed', $compute: { rows: { $count: '*' } } } }";
    const struct temp_directory place = temp_directory_make();
    struct told told = {0};
    pqdb_error err = {0};
    pqdb_db *db = NULL;
    pqdb_ingest *ingest = NULL;
    pqdb_written written = {0};
    uint64_t count = 0;
    const pqdb_write_options options = {.on_refusal = note_refusal, .ctx = &told, .token = "t"};
    CHECK(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK &&
              pqdb_open(place.path, NULL, &db, &err) == PQDB_OK,
          "%s", err.message);
    CHECK(pqdb_ingest_open(db, "Feed", &options, &ingest, &err) == PQDB_OK, "%s", err.message);
    feed_items(ingest);
    CHECK(pqdb_ingest_finish(ingest, &written, &err) == PQDB_OK, "%s", err.message);
    pqdb_ingest_close(ingest);
    CHECK(written.accepted == RUN_ITEMS - AGAIN && written.refused == AGAIN, "counts");
    CHECK(told.count == AGAIN && told.wrong == 0, "%zu told, %zu wrong", told.count, told.wrong);
    CHECK(pqdb_count(db, "Feed", NULL, &count, &err) == PQDB_OK && count == RUN_ITEMS - AGAIN,
          "%d rows", (int)count);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&place);
}

int main(void) {
    RUN(refusals_of_many_are_kept);
    RUN(a_run_sets_ids_aside_that_are_there_already);
    return test_done();
}
