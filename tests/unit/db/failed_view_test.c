/// Goal: a view whose result does not fit fails visibly at its last good version, its dependents
/// with it, and nothing else: writers, other views, checkpoints, reopening and asking go on.
#include <inttypes.h>
#include <string.h>

#include "support/db_calls.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  Sum: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } } },\n"
    "  Above: { $from: 'Sum', $select: { sum: '$sum' } },\n"
    "  Rows: { $from: 'Item', $compute: { rows: { $count: '*' } } },\n"
    "  Later: { $from: 'Item', $compute: { sum: { $sum: 'n' } },\n"
    "           $refresh: { mode: 'manual' } } }";

static pqdb_error err;

static void check_state(pqdb_db *db, const char *view, const char *state, const char *error) {
    pqdb_view_state now;
    CHECK(pqdb_view_state_get(db, view, &now, &err) == PQDB_OK, "%s", err.message);
    CHECK(strcmp(now.state, state) == 0, "%s is %s (%s)", view, now.state, now.reason);
    CHECK((error[0] == '\0') == (now.last_error[0] == '\0'), "%s: '%s'", view, now.last_error);
}

static void check_row(pqdb_db *db, const char *view, const char *id, const char *expected) {
    char *json = NULL;
    size_t length;
    CHECK(pqdb_get(db, view, id, &json, &length, &err) == PQDB_OK, "%s: %s", view, err.message);
    CHECK(json != NULL && strcmp(json, expected) == 0, "%s: %s", view, json);
    pqdb_free(json);
}

static void check_others(pqdb_db *db, const char *rows) {
    pqdb_verified verified = {0};
    check_row(db, "Rows", "[]", rows);
    CHECK(pqdb_view_verify(db, "Rows", NULL, NULL, &verified, &err) == PQDB_OK &&
              verified.differences == 0, "%s", err.message);
}

static void an_overflow_stops_the_view_alone(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    db_put(db, "Item", "{\"kind\":\"a\",\"n\":9223372036854775807}");
    check_state(db, "Sum", "fresh", "");
    db_put(db, "Item", "{\"kind\":\"a\",\"n\":1}");
    check_state(db, "Sum", "stale", "does not fit");
    check_state(db, "Above", "stale", "its source failed");
    check_row(db, "Sum", "[\"a\"]",
              "{\"$id\":\"[\\\"a\\\"]\",\"kind\":\"a\",\"sum\":9223372036854775807}");
    check_others(db, "{\"$id\":\"[]\",\"rows\":2}");
    CHECK(pqdb_view_refresh(db, "Sum", false, NULL, &err) == PQDB_LIMIT, "%s", err.message);
    CHECK(pqdb_view_refresh(db, "Later", false, NULL, &err) == PQDB_LIMIT, "%s", err.message);
    db_put(db, "Item", "{\"kind\":\"a\",\"n\":1}");
    db = db_reopen(db, db_with(disk));  // from the log, with the refreshes that failed
    check_state(db, "Sum", "stale", "does not fit");
    check_others(db, "{\"$id\":\"[]\",\"rows\":3}");
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    db_put(db, "Item", "{\"kind\":\"a\",\"n\":1}");
    db = db_reopen(db, db_with(disk));  // from the root
    check_state(db, "Sum", "stale", "does not fit");
    check_others(db, "{\"$id\":\"[]\",\"rows\":4}");
    db_put(db, "Item", "{\"kind\":\"a\",\"n\":-3}");
    CHECK(pqdb_view_refresh(db, "Sum", false, NULL, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_view_refresh(db, "Later", false, NULL, &err) == PQDB_OK, "%s", err.message);
    db = db_reopen(db, db_with(disk));
    for (int round = 0; round < 2; round++) {
        check_state(db, "Sum", "fresh", "");
        check_state(db, "Above", "fresh", "");
        check_row(db, "Above", "[\"a\"]",
                  "{\"$id\":\"[\\\"a\\\"]\",\"sum\":9223372036854775807}");
        check_row(db, "Later", "[]", "{\"$id\":\"[]\",\"sum\":9223372036854775807}");
        CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
        db = db_reopen(db, db_with(disk));
    }
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

/// Whatever call fails, computed or not, logged or not: with a checkpoint behind it and the next
/// refresh nothing is missing or there twice.
static void a_refresh_that_failed_anywhere_is_taken_once(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    db_put(db, "Item", "[{\"kind\":\"a\",\"n\":1}]");
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
    pqdb_code code = PQDB_IO;
    int calls = 0;
    for (; code == PQDB_IO; calls++) {
        db_put(db, "Item", "[{\"kind\":\"a\",\"n\":1}]");
        disk->counts_reads = true;
        disk->fail_at = disk->calls + calls;
        code = pqdb_view_refresh(db, "Later", false, NULL, &err);
        disk->counts_reads = false;
        disk->fail_at = -1;
        pqdb_checkpoint(db, NULL);
        db = db_reopen(db, db_with(disk));
        MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
        char row[64];
        snprintf(row, sizeof row, "{\"$id\":\"[]\",\"sum\":%d}", calls + 2);
        check_row(db, "Later", "[]", row);
    }
    CHECK(code == PQDB_OK && calls > 2, "%d calls: %s", calls, err.message);
    db_end(db, disk);
}

int main(void) {
    RUN(an_overflow_stops_the_view_alone);
    RUN(a_refresh_that_failed_anywhere_is_taken_once);
    return test_done();
}
