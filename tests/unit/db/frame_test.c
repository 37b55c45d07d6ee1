/// Goal: writes that wait together become one frame, and every view sees the rows of all of them.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "db/db_internal.h"
#include "support/temp.h"
#include "support/test.h"

enum { WRITERS = 9 };

static const char schema[] =
    "{ Item: { n: 'int!', kind: 'string!', more: 'string[]' },\n"
    "  Other: { n: 'int!' },\n"
    "  Low: { $from: 'Item', $filter: { n: { $lt: 5 } } },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } } },\n"
    "  Sum: { $from: 'Other', $compute: { sum: { $sum: 'n' } } } }";

static void note(pqdb_code code, const pqdb_error *err, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s: %s", what, err->subject, err->message);
}

struct writer {
    pqdb_db *db;
    unsigned number;
    pqdb_written written;
};

static void *write_one(void *ctx) {
    struct writer *writer = ctx;
    char json[128];
    pqdb_error err = {0};
    const bool other = writer->number % 3 == 2;
    snprintf(json, sizeof json, other ? "[{\"n\":%u}]" : "[{\"n\":%u,\"kind\":\"k%u\",\"x\":[1]},"
             "{\"n\":7,\"kind\":\"k7\",\"more\":[\"a\",\"b\"]}]", writer->number,
             writer->number % 2);
    note(pqdb_create(writer->db, other ? "Other" : "Item", json, strlen(json), NULL,
                     &writer->written, &err), &err, "create");
    return NULL;
}

static size_t waiting(pqdb_db *db) {
    size_t count = 0;
    pthread_mutex_lock(&db->queue_lock);
    for (const struct pq_db_write *w = db->queue; w != NULL; w = w->next) count++;
    pthread_mutex_unlock(&db->queue_lock);
    return count;
}

static void check_views(pqdb_db *db) {
    pqdb_error err = {0};
    uint64_t items = 0;
    note(pqdb_count(db, "Item", NULL, &items, &err), &err, "count");
    CHECK(items == 2 * WRITERS / 3 * 2, "%" PRIu64 " items", items);
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        const char *view = pqdb_view_name(db, i);
        pqdb_verified verified = {0};
        note(pqdb_view_verify(db, view, NULL, NULL, &verified, &err), &err, view);
        CHECK(verified.differences == 0, "%s: %" PRIu64 " differences", view,
              verified.differences);
    }
}

static void writes_of_one_frame_reach_the_views(void) {
    const struct temp_directory place = temp_directory_make();
    pqdb_error err = {0};
    pqdb_db *db = NULL;
    note(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err), &err, "init");
    note(pqdb_open(place.path, NULL, &db, &err), &err, "open");
    struct writer writers[WRITERS];
    pthread_t threads[WRITERS];
    pthread_mutex_lock(&db->leader);  // until all of them wait
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.db = db, .number = i};
        pthread_create(&threads[i], NULL, write_one, &writers[i]);
    }
    while (waiting(db) < WRITERS) sched_yield();
    pthread_mutex_unlock(&db->leader);
    uint64_t versions = 0;
    for (unsigned i = 0; i < WRITERS; i++) {
        pthread_join(threads[i], NULL);
        versions += writers[i].written.version;
    }
    CHECK(versions == WRITERS * (WRITERS + 1) / 2, "versions add up to %" PRIu64, versions);
    check_views(db);
    note(pqdb_close(db, &err), &err, "close");
    note(pqdb_open(place.path, NULL, &db, &err), &err, "reopen");
    check_views(db);
    note(pqdb_close(db, &err), &err, "close");
    temp_directory_remove(&place);
}

int main(void) {
    RUN(writes_of_one_frame_reach_the_views);
    return test_done();
}
