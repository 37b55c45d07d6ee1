/// Goal: the schema, views and files of a database change, all at once, while it is written to and
/// read by several threads and its schedule runs, by a clock that makes ten minutes of a second:
/// nobody fails, no row is lost, every view is exact. Under ThreadSanitizer this is where races
/// would show. PQ_TEST_ROUNDS: how many changes.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "db/open_with.h"
#include "support/temp.h"
#include "support/test.h"

enum { rounds_default = 10, hurry = 600 };

#define ITEMS "  Seen: { $from: 'Item', $filter: { n: { $lt: 60 } } },\n"                        \
              "  Kinds: { $from: 'Item', $groupBy: ['k'], $compute: { c: { $count: '*' },\n"     \
              "           s: { $sum: 'n' }, m: { $max: 'n' } } },\n"                              \
              "  Later: { $from: 'Item', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"   \
              "           $refresh: { mode: 'manual' } },\n"                                      \
              "  Timed: { $from: 'Item', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"    \
              "           $refresh: { mode: 'scheduled', schedule: '* * * * *',\n"               \
              "                       gracePeriod: '2m' } },\n"                                  \
              "  Grown: { $from: 'Item', $select: { n: '$n' },\n"                                \
              "           $refresh: { strategy: 'append' } },\n"
static const char *const schemas[] = {
    "{ Item: { k: 'string!', n: 'int!' }, Other: { m: 'int' },\n" ITEMS
    "  Above: { $from: 'Seen', $groupBy: ['k'], $compute: { c: { $count: '*' } } } }",
    "{ Item: { k: 'string!', n: 'int!', more: 'int' }, Other: { m: 'int' },\n" ITEMS
    "  Above: { $from: 'Seen', $groupBy: ['k'], $compute: { c: { $count: '*' } } } }",
    "{ Item: { k: 'string!', n: 'int!' }, Other: { m: 'int' },\n" ITEMS
    "  Above: { $from: 'Kinds', $filter: { c: { $gt: 2 } } } }"};

struct world {
    pqdb_db *db;
    atomic_bool stops;
    atomic_uint_fast64_t created, deleted;
};

static int64_t began_us;  // set once
static int64_t hurried_now_us(void *ctx) {
    const int64_t now_us = pq_env_system.now_us(ctx);
    return began_us + (now_us - began_us) * hurry;
}

struct worker {
    struct world *world;
    unsigned number;
    pthread_t thread;
    pqdb_code code;
    pqdb_error error;
};

static void *write_rows(void *ctx) {
    struct worker *worker = ctx;
    struct world *world = worker->world;
    for (unsigned i = 0; !world->stops && worker->code == PQDB_OK; i++) {
        char text[128];
        pqdb_written written;
        const int length = snprintf(
            text, sizeof text,
            "[{\"$id\":\"w%u.%u\",\"k\":\"k%u\",\"n\":%u},{\"k\":\"z\",\"n\":%u}]",
            worker->number, i, i % 5, i % 100, i % 70);
        worker->code = pqdb_create(world->db, "Item", text, (size_t)length, NULL, &written,
                                   &worker->error);
        world->created += worker->code == PQDB_OK ? 2 : 0;
        if (worker->code != PQDB_OK || i < 3) continue;
        snprintf(text, sizeof text, "w%u.%u", worker->number, i - 2);
        const pqdb_edit edit = {.where = text, .operators = "{ $inc: { n: 7 } }"};
        worker->code = pqdb_update(world->db, "Item", &edit, NULL, &written, &worker->error);
        if (worker->code != PQDB_OK || i % 4 != 0) continue;
        snprintf(text, sizeof text, "w%u.%u", worker->number, i - 3);
        worker->code = pqdb_delete(world->db, "Item", text, NULL, &written, &worker->error);
        world->deleted += written.removed;
    }
    return NULL;
}

static pqdb_code read_once(struct worker *worker, const char *name, const char *as_of,
                           const char *max_staleness) {
    const pqdb_find_options options = {.filter = "{ k: 'k1' }", .as_of = as_of, .limit = 50,
                                       .max_staleness = max_staleness};
    pqdb_rows *rows;
    pqdb_code code = pqdb_find(worker->world->db, name, &options, &rows, &worker->error);
    if (code != PQDB_OK) return code;
    for (bool has_row = true; code == PQDB_OK && has_row;) {
        size_t length;
        code = pqdb_rows_next(rows, &has_row, &worker->error);
        if (code == PQDB_OK && has_row && pqdb_rows_json(rows, &length) == NULL) break;
    }
    pqdb_rows_close(rows);
    return code;
}

static void *read_rows(void *ctx) {
    struct worker *worker = ctx;
    pqdb_db *db = worker->world->db;
    static const char *const names[] = {"Item", "Seen", "Kinds", "Later", "Above", "Timed"};
    for (unsigned i = 0; !worker->world->stops && worker->code == PQDB_OK; i++) {
        const char *name = names[i % 6];
        pqdb_view_state state;
        pqdb_status status;
        char as_of[24];
        worker->code = pqdb_status_get(db, &status, &worker->error);
        snprintf(as_of, sizeof as_of, "%" PRIu64, status.version / 2);
        const bool was = i % 13 == 0 && i % 6 < 3;
        if (worker->code == PQDB_OK) {
            worker->code = read_once(worker, name, was ? as_of : NULL, NULL);
        }
        if (worker->code == PQDB_OK && i % 7 == 3) {
            worker->code = read_once(worker, "Later", NULL, "0s");
        }
        if (worker->code == PQDB_OK && i % 6 > 0) {
            worker->code = pqdb_view_state_get(db, name, &state, &worker->error);
        }
        char *text;
        if (i % 20 != 7 || worker->code != PQDB_OK) continue;
        worker->code = pqdb_metrics(db, &text, NULL, &worker->error);
        if (worker->code == PQDB_OK) pqdb_free(text);
    }
    return NULL;
}

static pqdb_code change(pqdb_db *db, unsigned round, pqdb_error *err) {
    const char *schema = schemas[round % 3];
    switch (round % 10) {
        case 1: return pqdb_view_create(db, "Extra", "{ $from: 'Item', $groupBy: ['n'], "
                                                     "$compute: { c: { $count: '*' } } }",
                                        NULL, NULL, err);
        case 2: return pqdb_view_alter(db, "Seen", round % 4 == 0
                                       ? "{ $filter: { n: { $lt: 80 } } }"
                                       : "{ $filter: { n: { $lt: 60 } } }", NULL, NULL, err);
        case 3: return pqdb_view_refresh(db, "Later", round % 4 == 1, NULL, err);
        case 4: return pqdb_view_create(db, "Beside", "{ $from: 'Timed', $filter: { c: 1 }, "
                                                      "$refresh: { mode: 'scheduled', "
                                                      "schedule: '* * * * *' } }", NULL, NULL, err);
        case 5: return pqdb_view_drop(db, "Extra", true, err);
        case 6: return pqdb_view_alter(db, "Timed", "{ mode: 'manual', schedule: null }",
                                       NULL, NULL, err);
        case 7: return pqdb_view_drop(db, "Beside", true, err);
        case 8: return pqdb_view_alter(db, "Timed", "{ mode: 'scheduled', schedule: '* * * * *' }",
                                       NULL, NULL, err);
        default: return pqdb_schema_apply(db, schema, strlen(schema), NULL, NULL, err);
    }
}

static void *look_after(void *ctx) {
    struct worker *worker = ctx;
    pqdb_db *db = worker->world->db;
    for (unsigned i = 0; !worker->world->stops && worker->code == PQDB_OK; i++) {
        if (i % 4 == 3) worker->code = pqdb_view_refresh(db, "Timed", false, NULL, &worker->error);
        if (worker->code != PQDB_OK) break;
        worker->code = i % 3 == 2 ? pqdb_view_vacuum(db, i % 2 == 0 ? "Seen" : "Kinds", NULL, NULL,
                                                     &worker->error)
                                  : pqdb_checkpoint(db, &worker->error);
    }
    return NULL;
}

static void nobody_fails_and_every_view_is_exact(void) {
    const struct temp_directory directory = temp_directory_make();
    pqdb_error err;
    struct world world = {.stops = false};
    const char *asked = getenv("PQ_TEST_ROUNDS");
    const unsigned rounds = asked == NULL ? rounds_default : (unsigned)strtoul(asked, NULL, 10);
    struct pq_store *store = NULL;
    struct pq_env env = pq_env_system;
    began_us = env.now_us(env.ctx);
    env.now_us = hurried_now_us;
    const pqdb_options options = {.schedule = true};
    CHECK(pq_store_open_fs(directory.path, false, &pq_alloc_libc, &store, &err) == PQDB_OK, "%s",
          err.message);
    const struct pq_open_with with = {.store = store, .location = "file:///world", .env = &env,
                                      .alloc = &pq_alloc_libc};
    CHECK(pq_db_init_with(&with, pq_text_of(schemas[0]), &err) == PQDB_OK &&
              pq_db_open_with(&with, &options, &world.db, &err) == PQDB_OK, "%s", err.message);
    if (world.db == NULL) return;
    static void *(*const roles[])(void *) = {write_rows, write_rows, read_rows, read_rows,
                                             look_after};
    enum { worker_count = sizeof roles / sizeof *roles };
    struct worker workers[worker_count];
    for (unsigned i = 0; i < worker_count; i++) {
        workers[i] = (struct worker){.world = &world, .number = i};
        pthread_create(&workers[i].thread, NULL, roles[i], &workers[i]);
    }
    for (unsigned round = 0; round < rounds; round++) {
        const pqdb_code code = change(world.db, round, &err);
        CHECK(code == PQDB_OK, "round %u: %s: %s", round, err.subject, err.message);
    }
    world.stops = true;
    for (unsigned i = 0; i < worker_count; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK(workers[i].code == PQDB_OK, "worker %u: %s: %s", i, workers[i].error.subject,
              workers[i].error.message);
    }
    uint64_t rows = 0;
    CHECK(pqdb_count(world.db, "Item", NULL, &rows, &err) == PQDB_OK, "%s", err.message);
    CHECK(rows == world.created - world.deleted, "%" PRIu64 " rows", rows);
    static const char *const lagging[] = {"Later", "Timed"};
    for (size_t i = 0; i < 2; i++) {
        CHECK(pqdb_view_refresh(world.db, lagging[i], false, NULL, &err) == PQDB_OK, "%s: %s",
              lagging[i], err.message);
    }
    pqdb_view_state timed = {0};
    CHECK(pqdb_view_state_get(world.db, "Timed", &timed, &err) == PQDB_OK, "%s", err.message);
    CHECK(timed.last_slot_us > began_us, "the schedule has not run");
    CHECK(pqdb_count(world.db, "Grown", NULL, &rows, &err) == PQDB_OK, "%s", err.message);
    CHECK(rows == world.created, "%" PRIu64 " rows of %" PRIu64 " were appended", rows,
          (uint64_t)world.created);
    for (size_t i = 0; i < pqdb_view_count(world.db); i++) {
        pqdb_verified verified = {0};
        const char *name = pqdb_view_name(world.db, i);
        if (strcmp(name, "Grown") == 0) continue;  // it does not follow from what is there
        CHECK(pqdb_view_verify(world.db, name, NULL, NULL, &verified, &err) == PQDB_OK &&
                  verified.differences == 0, "%s: %" PRIu64 " differences: %s", name,
              verified.differences, verified.differences == 0 ? err.message : "");
    }
    CHECK(pqdb_close(world.db, &err) == PQDB_OK, "%s", err.message);
    pq_store_destroy(store);
    temp_directory_remove(&directory);
}

int main(void) {
    RUN(nobody_fails_and_every_view_is_exact);
    return test_done();
}
