/// Goal: writers, long ingests, readers, verifiers, refreshes, and checkpoints by the keeper and by
/// hand at once: no race (the tsan preset runs this), no error, answers that only move forward,
/// exact views at the end and after reopening.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

enum { writers = 3, commits = 120, ingest_runs = 3, ingest_rows = 15000 };

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!', tags: 'string[]' },\n"
    "  Feed: { $ingest: 'custom:feed', x: 'int!' },\n"
    "  Low: { $from: 'Item', $filter: { n: { $lt: 5 } }, $select: { n: '$n', kind: '$kind' } },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'], $compute: { rows: { $count: '*' },\n"
    "    sum: { $sum: 'n' }, low: { $min: 'n' }, last: { $last: 'more' } } },\n"
    "  Tags: { $from: 'Item', $unnest: 'tags' },\n"
    "  Total: { $from: 'Item', $compute: { rows: { $count: '*' } } },\n"
    "  Fed: { $from: 'Feed', $compute: { rows: { $count: '*' }, sum: { $sum: 'x' } } },\n"
    "  Later: { $from: 'Low', $groupBy: ['kind'], $compute: { rows: { $count: '*' } },\n"
    "    $refresh: { mode: 'manual' } },\n"
    "  Above: { $from: 'Later', $filter: { rows: { $gt: 3 } } } }";

struct world {
    pqdb_db *db;
    atomic_int writing;  // writers that are not done
    _Atomic uint64_t items, events;
};

static void note(pqdb_code code, const pqdb_error *err, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s: %s", what, err->subject, err->message);
}

/// Commits of 1 to 300 rows: copied into the open chunk, or taken over.
static void *write_commits(void *ctx) {
    struct world *world = ctx;
    static atomic_uint next;
    const unsigned writer = next++;
    char *text = malloc(1 << 17);
    pqdb_error err = {0};
    for (unsigned i = 0; i < commits; i++) {
        const unsigned rows = i % 40 == 7 ? 300 : 1 + i % 4;
        size_t length = 0;
        for (unsigned row = 0; row < rows; row++) {
            length += (size_t)snprintf(
                text + length, (1 << 17) - length,
                "{\"$id\":\"%u-%u-%u\",\"kind\":\"k%u\",\"n\":%u,\"tags\":[\"t%u\",\"u\"],"
                "\"more\":{\"w%u\":%u}}\n",
                writer, i, row, i % 7, (i + row) % 10, row % 3, i % 50, row);
        }
        pqdb_written written = {0};
        note(pqdb_create(world->db, "Item", text, length, NULL, &written, &err), &err, "create");
        world->items += written.accepted;
    }
    free(text);
    world->writing--;
    return NULL;
}

static void *ingest(void *ctx) {
    struct world *world = ctx;
    pqdb_error err = {0};
    for (int run = 0; run < ingest_runs; run++) {
        pqdb_ingest *feed;
        note(pqdb_ingest_open(world->db, "Feed", NULL, &feed, &err), &err, "ingest");
        char line[64];
        for (int row = 0; row < ingest_rows; row++) {
            const int length = snprintf(line, sizeof line, "{\"x\":%d,\"y%d\":1}\n", row, row % 9);
            note(pqdb_ingest_feed(feed, line, (size_t)length, &err), &err, "feed");
        }
        pqdb_written written = {0};
        note(pqdb_ingest_finish(feed, &written, &err), &err, "finish");
        pqdb_ingest_close(feed);
        world->events += written.accepted;
    }
    world->writing--;
    return NULL;
}

static uint64_t total_of(pqdb_db *db, const char *view) {
    pqdb_error err = {0};
    char *json = NULL;
    size_t length;
    note(pqdb_get(db, view, "[]", &json, &length, &err), &err, view);
    const char *rows = json == NULL ? NULL : strstr(json, "\"rows\":");
    const uint64_t total = rows == NULL ? 0 : strtoull(rows + 7, NULL, 10);
    pqdb_free(json);
    return total;
}

static void *ask(void *ctx) {
    struct world *world = ctx;
    pqdb_db *db = world->db;
    pqdb_error err = {0};
    uint64_t before = 0;
    while (world->writing > 0) {
        uint64_t count = 0;
        note(pqdb_count(db, "Item", NULL, &count, &err), &err, "count");
        CHECK(count >= before, "%" PRIu64 " rows after %" PRIu64, count, before);
        const uint64_t total = total_of(db, "Total");
        CHECK(total >= count, "the view has %" PRIu64 " rows, its source had %" PRIu64, total,
              count);
        before = total;
        pqdb_rows *rows;
        const pqdb_find_options options = {.filter = "{ n: { $gte: 2 } }", .limit = 50,
                                           .sort = "{ n: -1, kind: 1 }"};
        note(pqdb_find(db, before % 2 == 0 ? "Item" : "Low", &options, &rows, &err), &err, "find");
        bool has_row = true;
        while (has_row) note(pqdb_rows_next(rows, &has_row, &err), &err, "next");
        pqdb_rows_close(rows);
        char *json;
        size_t length;
        const pqdb_code got = pqdb_get(db, "Item", "1-7-3", &json, &length, &err);
        CHECK(got == PQDB_OK || got == PQDB_NOT_FOUND, "get: %s", err.message);
        if (got == PQDB_OK) pqdb_free(json);
        pqdb_status status;
        note(pqdb_status_get(db, &status, &err), &err, "status");
        CHECK(status.background_error[0] == '\0', "background: %s", status.background_error);
    }
    return NULL;
}

static pqdb_code skip_change(void *ctx, const pqdb_change *change) {
    *(uint64_t *)ctx = change->version;
    return PQDB_OK;
}

static void count_column(void *ctx, const char *name, const char *type, bool is_system) {
    (void)name, (void)type, (void)is_system;
    ++*(size_t *)ctx;
}

static void *verify(void *ctx) {
    struct world *world = ctx;
    pqdb_error err = {0};
    static const char *const views[] = {"Low", "ByKind", "Tags", "Total", "Fed"};
    for (size_t i = 0; world->writing > 0; i++) {
        const char *view = views[i % 5];
        pqdb_verified verified = {0};
        note(pqdb_view_verify(world->db, view, NULL, NULL, &verified, &err), &err, view);
        CHECK(verified.differences == 0, "%s: %" PRIu64 " differences", view,
              verified.differences);
        size_t columns = 0;
        note(pqdb_columns(world->db, "ByKind", count_column, &columns, &err), &err, "columns");
        CHECK(columns >= 6, "%zu columns", columns);
        pqdb_view_state state;
        note(pqdb_view_state_get(world->db, "Later", &state, &err), &err, "state");
        uint64_t version = pqdb_log_first(world->db);
        const pqdb_code read = pqdb_log_read(world->db, version - 1, skip_change, &version, &err);
        CHECK(read == PQDB_OK || read == PQDB_NOT_FOUND, "log: %s", err.message);
    }
    return NULL;
}

static void *refresh(void *ctx) {
    struct world *world = ctx;
    pqdb_error err = {0};
    for (unsigned i = 0; world->writing > 0; i++) {
        note(pqdb_view_refresh(world->db, "Later", i % 8 == 7, NULL, &err), &err, "refresh");
        if (i % 5 == 4) {
            note(pqdb_view_refresh(world->db, "ByKind", true, NULL, &err), &err, "full refresh");
        }
        if (i % 3 == 2) note(pqdb_checkpoint(world->db, &err), &err, "checkpoint");
    }
    return NULL;
}

static void check_views(struct world *world) {
    pqdb_error err = {0};
    uint64_t items = 0, events = 0;
    note(pqdb_count(world->db, "Item", NULL, &items, &err), &err, "count");
    note(pqdb_count(world->db, "Feed", NULL, &events, &err), &err, "count");
    CHECK(items == world->items && events == world->events,
          "%" PRIu64 " and %" PRIu64 " rows, not %" PRIu64 " and %" PRIu64, items, events,
          world->items, world->events);
    for (size_t i = 0; i < pqdb_view_count(world->db); i++) {
        const char *view = pqdb_view_name(world->db, i);
        pqdb_verified verified = {0};
        note(pqdb_view_refresh(world->db, view, false, NULL, &err), &err, view);
        note(pqdb_view_verify(world->db, view, NULL, NULL, &verified, &err), &err, view);
        CHECK(verified.differences == 0, "%s: %" PRIu64 " differences", view,
              verified.differences);
    }
}

static void everybody_at_once(void) {
    const struct temp_directory place = temp_directory_make();
    pqdb_error err = {0};
    struct world world = {0};
    const pqdb_options options = {.memory_bytes = 1 << 20, .checkpoint_ms = 20};
    note(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err), &err, "init");
    note(pqdb_open(place.path, &options, &world.db, &err), &err, "open");
    world.writing = writers + 1;
    void *(*const work[])(void *) = {write_commits, write_commits, write_commits, ingest, ask,
                                     ask, verify, refresh};
    enum { threads = sizeof work / sizeof *work };
    pthread_t thread[threads];
    for (size_t i = 0; i < threads; i++) pthread_create(&thread[i], NULL, work[i], &world);
    for (size_t i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    check_views(&world);
    note(pqdb_close(world.db, &err), &err, "close");
    note(pqdb_open(place.path, &options, &world.db, &err), &err, "reopen");
    check_views(&world);
    note(pqdb_close(world.db, &err), &err, "close");
    temp_directory_remove(&place);
}

int main(void) {
    RUN(everybody_at_once);
    return test_done();
}
