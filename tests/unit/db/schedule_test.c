/// Goal: scheduled views run at their times and no others, on a clock that the test moves: a month
/// in a second, summer time, clocks that are set, restarts, failures.
#include <inttypes.h>
#include <string.h>

#include "db/schedule.h"
#include "db/view_internal.h"
#include "support/db_calls.h"
#include "support/moving_clock.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  Hourly: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } },\n"
    "            $refresh: { mode: 'scheduled', schedule: '0 * * * *' } },\n"
    "  Nightly: { $from: 'Item', $filter: { n: { $gt: 5 } },\n"
    "             $refresh: { mode: 'scheduled', schedule: '30 2 * * *',\n"
    "                         timezone: 'Europe/Berlin' } },\n"
    "  Often: { $from: 'Nightly', $compute: { rows: { $count: '*' } },\n"
    "           $refresh: { mode: 'scheduled', schedule: '*/20 * * * *' } } }";

static pqdb_error err;
static struct pq_open_with with_store(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.env = &moving_env;
    return with;
}

static pqdb_db *begin(struct fault_store **disk, int64_t at_us) {
    clock_us = at_us;
    *disk = fault_store_create();
    return db_make(with_store(*disk), schema);
}

static void put(pqdb_db *db, int64_t n) {
    char row[80];
    snprintf(row, sizeof row, "{\"kind\":\"k%d\",\"n\":%" PRId64 "}", (int)(n % 3), n);
    MUST(pqdb_create(db, "Item", row, strlen(row), NULL, NULL, &err));
}

static pqdb_view_state state_of(pqdb_db *db, const char *view) {
    pqdb_view_state state = {.state = ""};
    MUST(pqdb_view_state_get(db, view, &state, &err));
    return state;
}

/// As pqdb_view_state tells it, without a look into the log.
static int64_t slot_of(pqdb_db *db, const char *view) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_db_table *table = pq_db_find(db, pq_text_of(view));
    const int64_t slot_us = snapshot->facts[table->position].slot_us;
    pq_db_snapshot_unref(snapshot);
    return slot_us;
}

/// What a scheduler does in the background, at each of its looks.
static void look(pqdb_db *db) {
    if (pq_db_schedule_is_due(db)) pq_db_schedule_run(db);
}

/// Refreshes of `view` until `until_us`, counted by its slots; a row comes with every third look.
static int run_until(pqdb_db *db, const char *view, int64_t until_us) {
    int runs = 0;
    for (int64_t i = 0; clock_us < until_us; i++) {
        const int64_t before = slot_of(db, view);
        if (i % 3 == 0) put(db, i % 10);
        look(db);
        runs += slot_of(db, view) != before;
        pass(5 * minute);
    }
    return runs;
}

static void a_month_has_as_many_runs_as_its_schedule_has_times(void) {
    struct fault_store *disk;
    pqdb_db *db = begin(&disk, march_2026 + 30 * minute);
    look(db);
    const int hourly = run_until(db, "Hourly", march_2026 + 31 * day);
    CHECK(hourly == 31 * 24 - 1, "%d hourly runs", hourly);
    CHECK(slot_of(db, "Hourly") == march_2026 + 31 * day - hour, "%" PRId64, slot_of(db, "Hourly"));
    const pqdb_view_state state = state_of(db, "Hourly");
    CHECK(state.last_slot_us == slot_of(db, "Hourly"), "the state tells the slot");
    pass(hour + minute);
    look(db);
    CHECK(strcmp(state_of(db, "Hourly").state, "fresh") == 0, "%s", state_of(db, "Hourly").reason);
    pqdb_verified verified = {0};
    MUST(pqdb_view_verify(db, "Hourly", NULL, NULL, &verified, &err));
    CHECK(verified.differences == 0 && verified.rows_stored == 3, "verified");
    db_end(db, disk);
}

/// 2026-03-29 has no 02:30 in Berlin: it runs when the clock moves to 03:00, at 01:00 UTC.
static void a_skipped_time_runs_when_the_clock_moves(void) {
    struct fault_store *disk;
    pqdb_db *db = begin(&disk, march_2026 + 27 * day);
    look(db);
    const int nightly = run_until(db, "Nightly", march_2026 + 30 * day);
    CHECK(nightly == 3, "%d nights", nightly);
    const int64_t last = march_2026 + 29 * day + 30 * minute;
    CHECK(slot_of(db, "Nightly") == last, "%" PRId64, slot_of(db, "Nightly") - last);
    db_end(db, disk);
}

static void missed_times_run_once_whoever_comes_next(void) {
    struct fault_store *disk;
    pqdb_refreshed refreshed;
    pqdb_db *db = begin(&disk, march_2026 + 30 * minute);
    put(db, 1);
    look(db);
    MUST(pqdb_view_refresh_due(db, "Hourly", &refreshed, &err));
    CHECK(strcmp(refreshed.reason, "it is not due") == 0, "%s", refreshed.reason);
    put(db, 2);
    pass(5 * hour);
    db = db_reopen(db, with_store(disk));
    MUST(pqdb_view_refresh_due(db, "Hourly", &refreshed, &err));
    CHECK(strcmp(refreshed.kind, "incremental") == 0 && refreshed.rows > 0, "%s", refreshed.kind);
    CHECK(refreshed.slot_us == march_2026 + 5 * hour, "%" PRId64, refreshed.slot_us);
    put(db, 3);
    for (int round = 0; round < 2; round++) {  // from the log, from the root
        MUST(pqdb_view_refresh_due(db, "Hourly", &refreshed, &err));
        CHECK(strcmp(refreshed.kind, "none") == 0, "%s", refreshed.kind);
        if (round == 0) MUST(pqdb_checkpoint(db, &err));
        db = db_reopen(db, with_store(disk));
    }
    CHECK(pqdb_view_refresh_due(db, "Item", NULL, &err) != PQDB_OK, "a collection is never due");
    db_end(db, disk);
}

/// Else what came after it would be shown too early, once somebody opens the database again.
static void a_time_that_found_the_view_fresh_is_done_durably(void) {
    struct fault_store *disk;
    pqdb_refreshed refreshed;
    pqdb_db *db = begin(&disk, march_2026 + 30 * minute);
    put(db, 1);
    look(db);
    pass(hour);
    MUST(pqdb_view_refresh_due(db, "Hourly", &refreshed, &err));
    CHECK(strcmp(refreshed.reason, "it is fresh") == 0, "%s", refreshed.reason);
    put(db, 2);
    for (int round = 0; round < 2; round++) {
        db = db_reopen(db, with_store(disk));
        MUST(pqdb_view_refresh_due(db, "Hourly", &refreshed, &err));
        CHECK(strcmp(refreshed.reason, "it is not due") == 0, "%s", refreshed.reason);
        MUST(pqdb_checkpoint(db, &err));
    }
    db_end(db, disk);
}

static void a_clock_that_is_set_repeats_and_loses_nothing(void) {
    struct fault_store *disk;
    pqdb_db *db = begin(&disk, march_2026 + 12 * hour + 30 * minute);
    put(db, 1);
    look(db);
    const int64_t noon = march_2026 + 12 * hour, nightly = slot_of(db, "Nightly");
    const int64_t often = noon + 20 * minute;
    CHECK(slot_of(db, "Often") == often, "often");
    clock_us -= hour;  // back by less than three hours: once is enough,
    look(db);
    CHECK(slot_of(db, "Hourly") == noon - hour, "what follows the clock goes on at once");
    CHECK(slot_of(db, "Often") == often - hour, "every twenty minutes: %" PRId64,
          slot_of(db, "Often") - often);
    CHECK(slot_of(db, "Nightly") == nightly, "a fixed time is not repeated");
    clock_us += 2 * hour;  // forward: what was skipped is made good
    look(db);
    CHECK(slot_of(db, "Hourly") == noon + hour, "forward");
    clock_us -= 365 * day;  // a correction: the new time is the right one
    look(db);
    CHECK(slot_of(db, "Nightly") == nightly - 365 * day, "%" PRId64, slot_of(db, "Nightly"));
    db_end(db, disk);
}

static void a_refresh_that_fails_is_told_and_tried_again_later_and_later(void) {
    struct fault_store *disk;
    pqdb_db *db = begin(&disk, march_2026 + 30 * minute);
    put(db, INT64_MAX);
    look(db);
    const uint64_t before = state_of(db, "Hourly").version;
    put(db, 1);  // of another kind
    put(db, INT64_MAX);
    pass(hour);
    int tries = 0;
    uint64_t last_ns = 0;
    struct pq_db_table *table = pq_db_find(db, pq_text_of("Hourly"));
    for (int second = 0; second < 120; second++) {
        look(db);
        pq_db_build_due(db);
        tries += table->retry_ns != last_ns;
        last_ns = table->retry_ns;
        pass(minute / 60);
    }
    CHECK(tries >= 5 && tries <= 8, "%d tries in two minutes", tries);
    const pqdb_view_state state = state_of(db, "Hourly");
    CHECK(state.last_error[0] != '\0' && strcmp(state.state, "stale") == 0, "%s", state.state);
    CHECK(state.version == before && state.rows == 1, "the last good contents are there");
    MUST(pqdb_delete(db, "Item", "{ n: { $gt: 100 } }", NULL, NULL, &err));
    pass(5 * minute);
    pq_db_build_due(db);
    CHECK(slot_of(db, "Hourly") == march_2026 + hour, "%" PRId64, slot_of(db, "Hourly"));
    CHECK(state_of(db, "Hourly").last_error[0] == '\0', "%s", state_of(db, "Hourly").last_error);
    CHECK(strcmp(state_of(db, "Hourly").state, "fresh") == 0, "%s", state_of(db, "Hourly").reason);
    db_end(db, disk);
}

static uint64_t version_of(pqdb_db *db) {
    pqdb_status status;
    MUST(pqdb_status_get(db, &status, &err));
    return status.version;
}

/// The timer outside that runs the schedule is one process, who looks at the state another.
static void a_refresh_that_failed_is_known_after_a_restart(void) {
    struct fault_store *disk;
    pqdb_db *db = begin(&disk, march_2026 + 30 * minute);
    put(db, INT64_MAX);
    look(db);
    put(db, 1);
    put(db, INT64_MAX);
    pass(hour);
    CHECK(pqdb_view_refresh_due(db, "Hourly", NULL, &err) == PQDB_LIMIT, "%s", err.message);
    const uint64_t version = version_of(db);
    for (int round = 0; round < 3; round++) {
        if (round == 1) MUST(pqdb_checkpoint(db, &err));
        struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
        pqdb_close(db, NULL);
        fault_store_destroy(disk);
        disk = next;
        db = db_open(with_store(disk));
        const pqdb_view_state state = state_of(db, "Hourly");
        CHECK(strstr(state.last_error, "does not fit") != NULL && strcmp(state.state, "stale") == 0,
              "round %d: %s: %s", round, state.state, state.last_error);
        CHECK(pqdb_view_refresh_due(db, "Hourly", NULL, &err) == PQDB_LIMIT, "%s", err.message);
        CHECK(version_of(db) == version, "the same failure is told once");
    }
    MUST(pqdb_delete(db, "Item", "{ n: { $gt: 100 } }", NULL, NULL, &err));
    MUST(pqdb_view_refresh_due(db, "Hourly", NULL, &err));
    for (int round = 0; round < 2; round++) {
        const pqdb_view_state state = state_of(db, "Hourly");
        CHECK(state.last_error[0] == '\0', "%s", state.last_error);
        db = db_reopen(db, with_store(disk));
    }
    db_end(db, disk);
}

static void what_is_refused_is_no_failure(void) {
    static const char text[] =
        "{ Item: { n: 'int!' },\n"
        "  Seen: { $from: 'Item', $refresh: { mode: 'manual', strategy: 'append' } } }";
    clock_us = march_2026;
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), text);
    CHECK(pqdb_view_refresh(db, "Seen", true, NULL, &err) == PQDB_INVALID, "refused");
    CHECK(state_of(db, "Seen").last_error[0] == '\0', "%s", state_of(db, "Seen").last_error);
    db_end(db, disk);
}

int main(void) {
    RUN(a_month_has_as_many_runs_as_its_schedule_has_times);
    RUN(a_skipped_time_runs_when_the_clock_moves);
    RUN(missed_times_run_once_whoever_comes_next);
    RUN(a_time_that_found_the_view_fresh_is_done_durably);
    RUN(a_clock_that_is_set_repeats_and_loses_nothing);
    RUN(a_refresh_that_fails_is_told_and_tried_again_later_and_later);
    RUN(a_refresh_that_failed_is_known_after_a_restart);
    RUN(what_is_refused_is_no_failure);
    return test_done();
}
