/// Goal: refused items of callers that write at the same time are all kept, whole lines each.
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

int main(void) {
    RUN(refusals_of_many_are_kept);
    return test_done();
}
