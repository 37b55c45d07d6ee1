/// Goal: whichever call of the store is the last before the power fails, a time of a schedule that
/// was done stays done, and one that was not is made good once.
#include <inttypes.h>
#include <parquedb/query.h>
#include <string.h>

#include "db/schedule.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/moving_clock.h"
#include "support/test.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  Hourly: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } },\n"
    "            $refresh: { mode: 'scheduled', schedule: '0 * * * *' } },\n"
    "  Above: { $from: 'Hourly', $filter: { sum: { $gt: 3 } } } }";

static pqdb_error err;
static int64_t done_us;  // the last time of the schedule that was acknowledged as done

static pqdb_code open_on(struct fault_store *disk, pqdb_db **db) {
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///schedule",
                                      .env = &moving_env, .alloc = &pq_alloc_libc,
                                      .no_keeper = true, .log_segment_bytes = 1 << 13};
    return pq_db_open_with(&with, NULL, db, &err);
}

static pqdb_code put(pqdb_db *db) {
    const char row[] = "{\"kind\":\"a\",\"n\":2}";
    return pqdb_create(db, "Item", row, strlen(row), NULL, NULL, &err);
}

static pqdb_code run_slot(pqdb_db *db) {
    pqdb_refreshed refreshed;
    pass(hour);
    const pqdb_code code = pqdb_view_refresh_due(db, "Hourly", &refreshed, &err);
    if (code == PQDB_OK) done_us = refreshed.slot_us;
    return code;
}

/// Times that find rows, that find nothing new, with checkpoints in between.
static pqdb_code live(struct fault_store *disk) {
    pqdb_db *db = NULL;
    pqdb_code code = open_on(disk, &db);
    for (int i = 0; code == PQDB_OK && i < 6; i++) {
        if (i != 2) code = put(db);
        if (code == PQDB_OK) code = run_slot(db);
        if (code == PQDB_OK && i % 3 == 1) code = pqdb_checkpoint(db, &err);
    }
    const pqdb_code closed = pqdb_close(db, NULL);
    return code == PQDB_OK ? closed : code;
}

static struct fault_store *begin(void) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///schedule",
                                      .env = &moving_env, .alloc = &pq_alloc_libc};
    clock_us = march_2026;
    done_us = 0;
    CHECK(pq_db_init_with(&with, pq_text_of(schema), &err) == PQDB_OK, "%s", err.message);
    return disk;
}

static void check(struct fault_store *disk, long call) {
    pqdb_db *db;
    pqdb_refreshed refreshed = {0};
    pqdb_view_state state = {0};
    const pqdb_code code = open_on(disk, &db);
    CHECK(code == PQDB_OK, "call %ld: %s: %s", call, err.subject, err.message);
    if (code != PQDB_OK) return;
    CHECK(pqdb_view_state_get(db, "Hourly", &state, &err) == PQDB_OK, "%s", err.message);
    CHECK(state.last_slot_us >= done_us, "call %ld: slot %" PRId64 ", done %" PRId64, call,
          state.last_slot_us, done_us);
    CHECK(pqdb_view_refresh_due(db, "Hourly", &refreshed, &err) == PQDB_OK, "%s", err.message);
    const bool was_done = state.last_slot_us == clock_us;
    CHECK(was_done == (strcmp(refreshed.reason, "it is not due") == 0), "call %ld: %s", call,
          refreshed.reason);
    CHECK(pqdb_view_refresh_due(db, "Hourly", &refreshed, &err) == PQDB_OK, "%s", err.message);
    CHECK(strcmp(refreshed.reason, "it is not due") == 0, "call %ld: twice", call);
    static const char *const views[] = {"Hourly", "Above"};
    CHECK(pqdb_view_refresh(db, "Hourly", false, NULL, &err) == PQDB_OK, "%s", err.message);
    for (size_t i = 0; i < 2; i++) {
        pqdb_verified verified = {.differences = 1};
        CHECK(pqdb_view_verify(db, views[i], NULL, NULL, &verified, &err) == PQDB_OK &&
                  verified.differences == 0, "call %ld: %s: %s", call, views[i], err.message);
    }
    pqdb_close(db, NULL);
}

static void a_time_that_was_done_stays_done(void) {
    struct fault_store *disk = begin();
    CHECK(live(disk) == PQDB_OK, "%s: %s", err.subject, err.message);
    const long calls = disk->calls;
    fault_store_destroy(disk);
    for (long call = 0; call < calls; call += 2) {
        disk = begin();
        disk->down_at = disk->calls + call;
        live(disk);
        struct fault_store *next = fault_store_crash(disk, FAULT_SOME_KEPT, (uint64_t)call);
        check(next, call);
        fault_store_destroy(next);
        fault_store_destroy(disk);
    }
    fprintf(stderr, "    %ld calls\n", calls);
}

int main(void) {
    RUN(a_time_that_was_done_stays_done);
    return test_done();
}
