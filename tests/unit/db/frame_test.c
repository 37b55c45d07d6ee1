/// Goal: writes that wait together become one frame, and every view sees the rows of all of them.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "db/commit.h"
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

// ---- changes ----------------------------------------------------------------------------------

/// An update, upsert, delete or create of its own thread.
struct changer {
    pqdb_db *db;
    const char *verb, *where, *operators;
    pqdb_code code;
    pqdb_written written;
};

static void *change_one(void *ctx) {
    struct changer *changer = ctx;
    pqdb_error err = {0};
    const pqdb_edit edit = {.where = changer->where, .operators = changer->operators};
    changer->code =
        changer->verb[0] == 'u' ? pqdb_update(changer->db, "Item", &edit, NULL, &changer->written,
                                              &err)
        : changer->verb[0] == 'd'
            ? pqdb_delete(changer->db, "Item", changer->where, NULL, &changer->written, &err)
            : pqdb_create(changer->db, "Item", changer->where, strlen(changer->where), NULL,
                          &changer->written, &err);
    return NULL;
}

/// Let them wait together, in this order, then go; returns how many frames it took.
static uint64_t run_together(pqdb_db *db, struct changer *changers, size_t count) {
    pthread_t threads[WRITERS];
    pthread_mutex_lock(&db->leader);
    const uint64_t before = pq_log_position(db->log).frame;
    for (size_t i = 0; i < count; i++) {
        changers[i].db = db;
        pthread_create(&threads[i], NULL, change_one, &changers[i]);
        while (waiting(db) < i + 1) sched_yield();
    }
    pthread_mutex_unlock(&db->leader);
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
    return pq_log_position(db->log).frame - before;
}

struct changes_case {
    const char *name;
    uint64_t frames;
    struct changer changers[6];
    const char *filter;  // finds `rows` afterwards
    uint64_t rows;
};

static const struct changes_case cases[] = {
    {"updates by id that do not meet share a frame", 1,
     {{.verb = "update", .where = "a", .operators = "{ $inc: { n: 1 } }"},
      {.verb = "update", .where = "b", .operators = "{ $inc: { n: 1 } }"},
      {.verb = "delete", .where = "c"},
      {.verb = "create", .where = "{\"$id\":\"x\",\"n\":1,\"kind\":\"k\"}"}},
     "{ n: 1 }", 3},
    {"two updates of one row are two frames", 2,
     {{.verb = "update", .where = "a", .operators = "{ $inc: { n: 1 } }"},
      {.verb = "update", .where = "a", .operators = "{ $inc: { n: 1 } }"}},
     "{ n: 2 }", 1},
    {"a filter comes first in its frame, and others join it", 2,
     {{.verb = "update", .where = "a", .operators = "{ $inc: { n: 5 } }"},
      {.verb = "update", .where = "{ n: 0 }", .operators = "{ $set: { n: 9 } }"},
      {.verb = "update", .where = "a", .operators = "{ $inc: { n: 2 } }"}},
     "{ n: { $in: [7, 9] } }", 3},
    {"a row is created once", 2,
     {{.verb = "create", .where = "{\"$id\":\"x\",\"n\":1,\"kind\":\"k\"}"},
      {.verb = "create", .where = "{\"$id\":\"x\",\"n\":2,\"kind\":\"k\"}"},
      {.verb = "update", .where = "b", .operators = "{ $inc: { n: 3 } }"}},
     "{ n: { $in: [1, 3] } }", 2},
    {"an update waits for the row that is created before it", 2,
     {{.verb = "create", .where = "{\"$id\":\"x\",\"n\":1,\"kind\":\"k\"}"},
      {.verb = "update", .where = "x", .operators = "{ $inc: { n: 6 } }"}},
     "{ n: 7 }", 1},
    {"a unique value is given once", 2,
     {{.verb = "update", .where = "a", .operators = "{ $set: { u: 'x' } }"},
      {.verb = "update", .where = "b", .operators = "{ $set: { u: 'x' } }"},
      {.verb = "update", .where = "c", .operators = "{ $set: { u: 'y' } }"}},
     "{ u: { $in: ['x', 'y'] } }", 2},
    {"a row is not linked to while it goes", 2,
     {{.verb = "delete", .where = "a"},
      {.verb = "update", .where = "b", .operators = "{ $set: { to: 'a' } }"},
      {.verb = "update", .where = "c", .operators = "{ $set: { to: 'b' } }"}},
     "{ to: { $exists: true } }", 1},
    {"a row that is linked to may go behind the link", 1,
     {{.verb = "update", .where = "b", .operators = "{ $set: { to: 'a' } }"},
      {.verb = "delete", .where = "a"}},
     "{ to: 'a' }", 1},
};

static void check_changes(const struct changes_case *test) {
    static const char items[] =
        "{ Item: { n: 'int!', kind: 'string!', u: 'string##', to: '-> Item' },\n"
        "  Low: { $from: 'Item', $filter: { n: { $lt: 5 } } },\n"
        "  ByKind: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' },\n"
        "    low: { $min: 'n' } } } }";
    static const char rows[] = "{\"$id\":\"a\",\"n\":0,\"kind\":\"k\"}\n"
                               "{\"$id\":\"b\",\"n\":0,\"kind\":\"k\"}\n"
                               "{\"$id\":\"c\",\"n\":0,\"kind\":\"l\"}\n";
    const struct temp_directory place = temp_directory_make();
    pqdb_error err = {0};
    pqdb_db *db = NULL;
    note(pqdb_init(place.path, items, strlen(items), NULL, NULL, &err), &err, "init");
    note(pqdb_open(place.path, NULL, &db, &err), &err, "open");
    note(pqdb_create(db, "Item", rows, strlen(rows), NULL, NULL, &err), &err, "create");
    struct changer changers[6];
    size_t count = 0;
    while (count < 6 && test->changers[count].verb != NULL) {
        changers[count] = test->changers[count];
        count++;
    }
    const uint64_t frames = run_together(db, changers, count);
    CHECK(frames == test->frames, "%s: %" PRIu64 " frames", test->name, frames);
    for (int round = 0; round < 2; round++) {
        uint64_t found = 0;
        note(pqdb_count(db, "Item", test->filter, &found, &err), &err, test->name);
        CHECK(found == test->rows, "%s: %" PRIu64 " rows", test->name, found);
        for (size_t i = 0; i < pqdb_view_count(db); i++) {
            pqdb_verified verified = {0};
            note(pqdb_view_verify(db, pqdb_view_name(db, i), NULL, NULL, &verified, &err), &err,
                 test->name);
            CHECK(verified.differences == 0, "%s: %" PRIu64 " differences", test->name,
                  verified.differences);
        }
        note(pqdb_close(db, &err), &err, "close");
        if (round == 0) note(pqdb_open(place.path, NULL, &db, &err), &err, "reopen");
    }
    temp_directory_remove(&place);
}

static void changes_that_do_not_meet_share_a_frame(void) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_changes(&cases[i]);
}

int main(void) {
    RUN(writes_of_one_frame_reach_the_views);
    RUN(changes_that_do_not_meet_share_a_frame);
    return test_done();
}
