/// Goal: what a view's state tells of its last refresh is the same in whichever process one asks,
/// whether the database was opened from the log or from a checkpoint; and it is the cheaper one.
#include <inttypes.h>
#include <string.h>

#include "support/db_calls.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  Kinds: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } } },\n"
    "  Later: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } },\n"
    "           $refresh: { mode: 'manual' } },\n"
    "  Above: { $from: 'Later', $compute: { rows: { $count: '*' } },\n"
    "           $refresh: { mode: 'manual' } },\n"
    "  Seen: { $from: 'Item', $refresh: { mode: 'manual', strategy: 'append' } } }";

static pqdb_error err;

static pqdb_view_state state_of(pqdb_db *db, const char *view) {
    pqdb_view_state state = {.last_refresh = ""};
    MUST(pqdb_view_state_get(db, view, &state, &err));
    return state;
}

static pqdb_refreshed refresh(pqdb_db *db, const char *view, bool full) {
    pqdb_refreshed refreshed = {.kind = ""};
    MUST(pqdb_view_refresh(db, view, full, &refreshed, &err));
    return refreshed;
}

/// The state tells of that refresh, now, after reopening, and after a checkpoint: always the same,
/// and no more time than whoever asked for it has waited.
static void check_told(pqdb_db **db, struct fault_store *disk, const char *view,
                       const pqdb_refreshed *did) {
    static const char *const when[] = {"at once", "from the log", "from a checkpoint"};
    const int64_t took_us = state_of(*db, view).last_refresh_us;
    CHECK((took_us > 0) == (did->us > 0) && took_us <= did->us, "%s: %" PRId64 " us", view,
          took_us);
    for (int i = 0; i < 3; i++) {
        if (i == 2) MUST(pqdb_checkpoint(*db, &err));
        if (i > 0) *db = db_reopen(*db, db_with(disk));
        const pqdb_view_state state = state_of(*db, view);
        CHECK(strcmp(state.last_refresh, did->kind) == 0, "%s, %s: %s, not %s", view, when[i],
              state.last_refresh, did->kind);
        CHECK(strcmp(state.last_refresh_reason, did->reason) == 0, "%s, %s: '%s', not '%s'", view,
              when[i], state.last_refresh_reason, did->reason);
        CHECK(state.last_refresh_rows == did->rows && state.last_refresh_us == took_us,
              "%s, %s: %" PRIu64 " rows, %" PRId64 " us", view, when[i], state.last_refresh_rows,
              state.last_refresh_us);
    }
}

static void a_refresh_is_remembered(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    CHECK(strcmp(state_of(db, "Later").last_refresh, "none") == 0, "of nothing");
    db_put(db, "Item", "{\"$id\":\"a\",\"kind\":\"x\",\"n\":1}");
    pqdb_refreshed did = refresh(db, "Later", false);
    CHECK(strcmp(did.kind, "full") == 0 && strstr(did.reason, "never") != NULL && did.us > 0,
          "%s, %s, %" PRId64, did.kind, did.reason, did.us);
    check_told(&db, disk, "Later", &did);
    db_put(db, "Item", "{\"$id\":\"b\",\"kind\":\"y\",\"n\":1}");
    const pqdb_view_state lagging = state_of(db, "Later");
    uint64_t changes = 0;
    MUST(pqdb_view_lag_changes(db, "Later", &changes, &err));
    CHECK(lagging.lag_versions > 0 && changes == 1, "%" PRIu64 " versions, %" PRIu64 " changes",
          lagging.lag_versions, changes);
    did = refresh(db, "Later", false);
    CHECK(strcmp(did.kind, "incremental") == 0 && did.rows == 1, "%s", did.kind);
    check_told(&db, disk, "Later", &did);
    did = refresh(db, "Later", true);
    CHECK(strcmp(did.reason, "asked for") == 0 && did.rows == 2, "%s", did.reason);
    check_told(&db, disk, "Later", &did);
    did = refresh(db, "Above", false);
    CHECK(strstr(did.reason, "state of its own") != NULL, "%s", did.reason);
    check_told(&db, disk, "Above", &did);
    did = refresh(db, "Seen", false);
    CHECK(strcmp(did.kind, "append") == 0 && did.rows == 2, "%s", did.kind);
    check_told(&db, disk, "Seen", &did);
    const pqdb_refreshed step = {.kind = "streaming", .reason = "", .rows = 1};
    check_told(&db, disk, "Kinds", &step);
    did = refresh(db, "Later", false);  // there was nothing to do, and that is no refresh
    CHECK(strcmp(did.kind, "none") == 0, "%s", did.kind);
    CHECK(strcmp(state_of(db, "Later").last_refresh, "full") == 0, "it forgot");
    db_end(db, disk);
}

// ---- what a refresh chooses ---------------------------------------------------------------------

enum { many_rows = 20000, rows_at_once = 1000 };

static void put_many(pqdb_db *db) {
    for (unsigned i = 0; i < many_rows; i += rows_at_once) {
        static char text[rows_at_once * 48];
        size_t length = 0;
        for (unsigned k = i; k < i + rows_at_once; k++) {
            length += (size_t)snprintf(text + length, sizeof text - length,
                                       "{\"$id\":\"i%05u\",\"kind\":\"k%u\",\"n\":%u}\n", k,
                                       k % 7, k);
        }
        db_put(db, "Item", text);
    }
}

static void update(pqdb_db *db, const char *where) {
    const pqdb_edit edit = {.where = where, .operators = "{ $inc: { n: 1 } }"};
    MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
}

/// By the log as long as that is cheaper; and what it holds is right either way, also when the
/// largest goes after a computation that made nothing to find the next.
static void much_change_is_computed_anew(void) {
    static const char text[] =
        "{ Item: { kind: 'string!', n: 'int!' },\n"
        "  Later: { $from: 'Item', $groupBy: ['kind'], $compute: { most: { $max: 'n' } },\n"
        "           $refresh: { mode: 'manual' } } }";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), text);
    put_many(db);
    refresh(db, "Later", false);
    update(db, "{ n: { $lt: 100 } }");
    pqdb_refreshed did = refresh(db, "Later", false);
    CHECK(strcmp(did.kind, "incremental") == 0, "%s: %s", did.kind, did.reason);
    db_verify(db, "Later");
    update(db, "{}");
    did = refresh(db, "Later", false);
    CHECK(strcmp(did.kind, "full") == 0 && strstr(did.reason, "so much has changed") != NULL,
          "%s: %s", did.kind, did.reason);
    db_verify(db, "Later");
    MUST(pqdb_delete(db, "Item", "{ n: { $gte: 19900 } }", NULL, NULL, &err));
    refresh(db, "Later", false);
    db_verify(db, "Later");
    update(db, "{ n: { $gt: 19890 } }");
    did = refresh(db, "Later", false);
    CHECK(strcmp(did.kind, "incremental") == 0, "%s: %s", did.kind, did.reason);
    db_verify(db, "Later");
    db_end(db, disk);
}

int main(void) {
    RUN(a_refresh_is_remembered);
    RUN(much_change_is_computed_anew);
    return test_done();
}
