/// Goal: times of commits never go back, whatever the clock does and however often the database is
/// opened; so what was at a time is found by it.
#include <inttypes.h>
#include <string.h>

#include "support/db_calls.h"
#include "support/moving_clock.h"

static const char schema[] = "{ Item: { n: 'int!' } }";

static pqdb_error err;

static struct pq_open_with with_store(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.env = &moving_env;
    with.log_segment_bytes = 1 << 13;
    return with;
}

static int64_t time_of(pqdb_db *db) {
    pqdb_status status;
    MUST(pqdb_status_get(db, &status, &err));
    return status.time_us;
}

static uint64_t count_at(pqdb_db *db, const char *as_of) {
    const pqdb_find_options options = {.as_of = as_of};
    struct pq_bytes rows = db_rows(db, "Item", &options);
    uint64_t count = 0;
    for (size_t i = 0; i < rows.length; i++) count += rows.data[i] == '\n';
    pq_bytes_deinit(&rows);
    return count;
}

/// With `checkpoints` it is opened from a root that is at the last commit.
static void check_times(bool checkpoints) {
    struct fault_store *disk = fault_store_create();
    clock_us = march_2026 + 10 * day;
    pqdb_db *db = db_make(with_store(disk), schema);
    int64_t before = 0;
    for (int i = 0; i < 6; i++) {
        db_put(db, "Item", "{\"n\":1}");
        CHECK(time_of(db) >= before && time_of(db) >= march_2026 + 10 * day,
              "commit %d at %" PRId64 ", behind %" PRId64, i, time_of(db), before);
        before = time_of(db);
        if (checkpoints) MUST(pqdb_checkpoint(db, &err));
        clock_us -= day;
        db = db_reopen(db, with_store(disk));
        CHECK(time_of(db) == before, "opened: %" PRId64 ", not %" PRId64, time_of(db), before);
    }
    CHECK(count_at(db, "2026-03-10T23:59:59Z") == 0, "before them");
    CHECK(count_at(db, "2026-03-11T00:00:00Z") == 6, "all at the time of the first");
    pass(march_2026 + 12 * day - clock_us);
    db_put(db, "Item", "{\"n\":1}");
    CHECK(count_at(db, "2026-03-12T00:00:00Z") == 6, "the clock went on");
    CHECK(count_at(db, "2026-03-13T00:00:00Z") == 7, "up to the last");
    db_end(db, disk);
}

static void times_go_on_from_the_log(void) { check_times(false); }
static void times_go_on_from_a_checkpoint(void) { check_times(true); }

int main(void) {
    RUN(times_go_on_from_the_log);
    RUN(times_go_on_from_a_checkpoint);
    return test_done();
}
