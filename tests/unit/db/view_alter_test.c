/// Goal: settings of a view hold at once, in every direction, and its rows stay what they are; of
/// another definition the old rows can be read, and say that they are old, until the new ones are
/// there, also when those cannot be built.
#include <inttypes.h>
#include <parquedb/schema.h>
#include <string.h>

#include "support/db_calls.h"

static const char schema[] =
    "{\n"
    "  Item: { k: 'string!', n: 'int!' },\n"
    "  // of each kind\n"
    "  Kinds: { $from: 'Item', $groupBy: ['k'], $compute: { rows: { $count: '*' } } },  // kept\n"
    "  Many: { $from: 'Kinds', $filter: { rows: { $gt: 1 } } },\n"
    "}\n";

static pqdb_error err;

static void put(pqdb_db *db, const char *k, int64_t n) {
    char text[96];
    const int length = snprintf(text, sizeof text, "{\"k\":\"%s\",\"n\":%" PRId64 "}", k, n);
    MUST(pqdb_create(db, "Item", text, (size_t)length, NULL, NULL, &err));
}

static pqdb_code alter(pqdb_db *db, const char *view, const char *settings) {
    return pqdb_view_alter(db, view, settings, NULL, NULL, &err);
}

static void check_rows(pqdb_db *db, const char *view, const char *want) {
    char got[512] = "";
    size_t used = 0;
    pqdb_rows *rows;
    MUST(pqdb_find(db, view, NULL, &rows, &err));
    for (bool has_row = true;;) {
        MUST(pqdb_rows_next(rows, &has_row, &err));
        if (!has_row) break;
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        used += (size_t)snprintf(got + used, sizeof got - used, "%s", strstr(json, "\",\"") + 1);
    }
    CHECK(strcmp(got, want) == 0, "%s: %s, want %s", view, got, want);
    pqdb_rows_close(rows);
}

static void check_state(pqdb_db *db, const char *view, const char *state, const char *reason) {
    pqdb_view_state got;
    MUST(pqdb_view_state_get(db, view, &got, &err));
    CHECK(strcmp(got.state, state) == 0, "%s is %s: %s", view, got.state, got.reason);
    CHECK(strstr(got.reason, reason) != NULL, "%s: %s", view, got.reason);
}

static void settings_hold_at_once_in_every_direction(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    static const char *const modes[] = {
        "{ mode: 'manual' }", "{ mode: 'scheduled', schedule: '@hourly' }",
        "{ mode: 'streaming', schedule: null }",
        "{ $refresh: { mode: 'scheduled', schedule: '0 3 * * *' } }",
        "{ mode: 'manual', schedule: null, gracePeriod: '5m' }", "{ $refresh: null }"};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        put(db, "a", 1);
        if (i % 2 == 0) MUST(pqdb_checkpoint(db, &err));
        put(db, i % 3 == 0 ? "b" : "c", 2);
        MUST(alter(db, "Kinds", modes[i]));
        put(db, "a", 3);
        pqdb_view_state state;
        MUST(pqdb_view_state_get(db, "Kinds", &state, &err));
        const bool streams = strcmp(state.mode, "streaming") == 0;
        CHECK(strcmp(state.state, streams ? "fresh" : "stale") == 0, "%s: %s", modes[i],
              state.reason);
        pqdb_refreshed refreshed;
        MUST(pqdb_view_refresh(db, "Kinds", false, &refreshed, &err));
        CHECK(strcmp(refreshed.kind, streams ? "none" : "incremental") == 0, "%s: %s, %s",
              modes[i], refreshed.kind, refreshed.reason);
        db_verify(db, "Kinds");
        db_verify(db, "Many");
        if (i % 3 != 1) continue;
        db = db_reopen(db, db_with(disk));
    }
    CHECK(strcmp(strstr(pqdb_schema_text(db, NULL), "  // of each kind"),
                 "  // of each kind\n"
                 "  Kinds: { $from: \"Item\", $groupBy: [\"k\"], $compute: "
                 "{\"rows\":{\"$count\":\"*\"}} },  // kept\n"
                 "  Many: { $from: 'Kinds', $filter: { rows: { $gt: 1 } } },\n}\n") == 0,
          "%s", pqdb_schema_text(db, NULL));
    db_end(db, disk);
}

static void another_definition_takes_the_place_of_the_rows(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, "a", 1);
    put(db, "a", 2);
    put(db, "b", 3);
    MUST(alter(db, "Kinds", "{ $compute: { rows: { $count: '*' }, sum: { $sum: 'n' } } }"));
    check_rows(db, "Kinds", ",\"k\":\"a\",\"rows\":2,\"sum\":3},\"k\":\"b\",\"rows\":1,\"sum\":3}");
    check_rows(db, "Many", ",\"k\":\"a\",\"rows\":2,\"sum\":3}");
    MUST(alter(db, "Many", "{ $filter: null, $select: { r: '$rows' } }"));
    check_rows(db, "Many", ",\"r\":2},\"r\":1}");
    db_verify(db, "Many");
    CHECK(alter(db, "Many", "{ $select: { r: '$rows' }, $group: 1 }") == PQDB_INVALID, "taken");
    CHECK(alter(db, "Many", "{ mode: 'often' }") == PQDB_INVALID, "taken");
    CHECK(alter(db, "Many", "7") == PQDB_INVALID, "taken");
    CHECK(alter(db, "Item", "{ mode: 'manual' }") == PQDB_INVALID, "taken");
    CHECK(alter(db, "Nobody", "{ mode: 'manual' }") == PQDB_NOT_FOUND, "taken");
    check_rows(db, "Many", ",\"r\":2},\"r\":1}");
    db_end(db, disk);
}

static void the_old_rows_are_read_while_the_new_ones_cannot_be_built(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, "a", INT64_MAX);
    put(db, "a", INT64_MAX);
    put(db, "b", 1);
    MUST(pqdb_checkpoint(db, &err));
    CHECK(alter(db, "Kinds", "{ $compute: { sum: { $sum: 'n' } , rows: { $count: '*' } } }") ==
              PQDB_LIMIT, "%s", err.message);
    put(db, "b", 2);
    for (int i = 0; i < 3; i++) {
        check_rows(db, "Kinds", ",\"k\":\"a\",\"rows\":2},\"k\":\"b\",\"rows\":1}");
        check_rows(db, "Many", ",\"k\":\"a\",\"rows\":2}");
        check_state(db, "Kinds", "stale", "its definition changed");
        check_state(db, "Many", "stale", "its definition changed");
        uint64_t count;
        MUST(pqdb_count(db, "Kinds", "{ rows: 2 }", &count, &err));
        CHECK(count == 1, "%" PRIu64, count);
        MUST(pqdb_checkpoint(db, &err));
    }
    CHECK(alter(db, "Kinds", "{ $filter: { n: { $gt: 0 } } }") == PQDB_LIMIT, "%s", err.message);
    check_rows(db, "Kinds", ",\"k\":\"a\",\"rows\":2},\"k\":\"b\",\"rows\":1}");
    MUST(alter(db, "Kinds", "{ $compute: { low: { $min: 'n' }, rows: { $count: '*' } } }"));
    check_rows(db, "Many", ",\"k\":\"a\",\"low\":9223372036854775807,\"rows\":2}"
                           ",\"k\":\"b\",\"low\":1,\"rows\":2}");
    db_verify(db, "Kinds");
    db_verify(db, "Many");
    MUST(pqdb_view_drop(db, "Kinds", true, &err));
    db_end(db, disk);
}

static void a_manual_view_waits_for_its_refresh(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, "a", 1);
    MUST(alter(db, "Many", "{ mode: 'manual' }"));
    MUST(alter(db, "Many", "{ $filter: null }"));
    check_state(db, "Many", "invalid", "its definition changed: refresh it");
    uint64_t count;
    CHECK(pqdb_count(db, "Many", NULL, &count, &err) == PQDB_INVALID, "read");
    MUST(pqdb_view_refresh(db, "Many", false, NULL, &err));
    check_rows(db, "Many", ",\"k\":\"a\",\"rows\":1}");
    db_end(db, disk);
}

/// The text on disk, as an editor leaves it.
static void edit(struct fault_store *disk, const char *text) {
    MUST(pq_store_write_file(&disk->base, "schema.json5", pq_text_of(text), &err));
}

static void a_mode_that_was_changed_in_the_file_holds_from_the_next_opening_on(void) {
    static const char *const texts[] = {
        "{ Item: { k: 'string!', n: 'int!' },\n"
        "  Kinds: { $from: 'Item', $groupBy: ['k'], $compute: { rows: { $count: '*' } },\n"
        "           $refresh: { mode: 'manual' } },\n"
        "  Many: { $from: 'Kinds', $filter: { rows: { $gt: 1 } } } }",
        schema};
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    for (int i = 0; i < 4; i++) {
        put(db, "a", 1);
        MUST(pqdb_checkpoint(db, &err));
        put(db, "a", 2);  // in the log only
        MUST(pqdb_close(db, &err));
        edit(disk, texts[i % 2]);
        db = db_open(db_with(disk));
        put(db, "a", 3);
        MUST(pqdb_view_refresh(db, "Kinds", false, NULL, &err));
        char want[32];
        snprintf(want, sizeof want, ",\"k\":\"a\",\"rows\":%d}", 3 * (i + 1));
        check_rows(db, "Kinds", want);
        check_rows(db, "Many", want);
        db_verify(db, "Kinds");
        db_verify(db, "Many");
    }
    db_end(db, disk);
}

/// LowKinds streams over Low, which lags; then LowKinds lags, and Low streams.
static void what_a_view_lacked_while_it_streamed_over_one_that_lags_it_gets(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    MUST(pqdb_view_create(db, "Low", "{ $from: 'Item', $refresh: { mode: 'manual' } }", NULL, NULL,
                          &err));
    MUST(pqdb_view_create(db, "LowKinds", "{ $from: 'Low', $groupBy: ['k'],"
                          " $compute: { rows: { $count: '*' } } }", NULL, NULL, &err));
    put(db, "a", 1);
    MUST(pqdb_view_refresh(db, "Low", false, NULL, &err));
    put(db, "a", 2);
    MUST(alter(db, "LowKinds", "{ mode: 'manual' }"));
    MUST(alter(db, "Low", "{ mode: 'streaming' }"));
    MUST(pqdb_view_refresh(db, "LowKinds", false, NULL, &err));
    check_rows(db, "LowKinds", ",\"k\":\"a\",\"rows\":2}");
    db_verify(db, "LowKinds");
    db_end(db, disk);
}

/// A scheduled view is built when it becomes one, unless it has contents.
static void what_was_never_refreshed_is_built_when_it_is_scheduled(void) {
    static const char text[] =
        "{ Item: { k: 'string!', n: 'int!' },\n"
        "  Kinds: { $from: 'Item', $groupBy: ['k'], $compute: { rows: { $count: '*' } },\n"
        "           $refresh: { mode: 'manual' } } }";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), text);
    for (int round = 0; round < 2; round++) {
        put(db, "a", round);
        check_state(db, "Kinds", "stale", round == 0 ? "never refreshed" : "reflects seq-");
        MUST(alter(db, "Kinds", "{ mode: 'scheduled', schedule: '@hourly' }"));
        check_rows(db, "Kinds", ",\"k\":\"a\",\"rows\":1}");
        check_state(db, "Kinds", round == 0 ? "fresh" : "stale", "");
        db = db_reopen(db, db_with(disk));
        check_rows(db, "Kinds", ",\"k\":\"a\",\"rows\":1}");
        MUST(alter(db, "Kinds", "{ mode: 'manual', schedule: null }"));
    }
    db_end(db, disk);
}

/// Built before the first commit: it has the rows that come of none, and goes on by the log.
static void what_is_built_over_nothing_is_refreshed_like_any_other(void) {
    static const char text[] =
        "{ Item: { k: 'string!', n: 'int!' },\n"
        "  Later: { $from: 'Item', $refresh: { mode: 'manual' } },\n"
        "  All: { $from: 'Item', $compute: { rows: { $count: '*' } },\n"
        "         $refresh: { mode: 'scheduled', schedule: '@hourly' } },\n"
        "  Seen: { $from: 'Item', $refresh: { mode: 'scheduled', schedule: '@hourly',\n"
        "          strategy: 'append' } },\n"
        "  OfLater: { $from: 'Later', $compute: { rows: { $count: '*' } },\n"
        "             $refresh: { mode: 'scheduled', schedule: '@hourly' } } }";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), text);
    pqdb_refreshed refreshed;
    for (int round = 0; round < 3; round++) {
        CHECK(db_count(db, "All", "{ rows: 0 }") == 1, "no global row");
        CHECK(db_count(db, "OfLater", "{ rows: 0 }") == 1, "no global row");
        check_state(db, "All", "fresh", "");
        check_state(db, "Seen", "fresh", "");
        check_state(db, "OfLater", "stale", "Later is not fresh: never refreshed");
        if (round == 1) MUST(pqdb_checkpoint(db, &err));
        db = db_reopen(db, db_with(disk));
    }
    put(db, "a", 1);
    check_state(db, "All", "stale", "this view reflects seq-0");
    db = db_reopen(db, db_with(disk));
    MUST(pqdb_view_refresh(db, "All", false, &refreshed, &err));
    CHECK(strcmp(refreshed.kind, "incremental") == 0, "%s: %s", refreshed.kind, refreshed.reason);
    CHECK(db_count(db, "All", "{ rows: 1 }") == 1, "rows");
    db_end(db, disk);
}

int main(void) {
    RUN(settings_hold_at_once_in_every_direction);
    RUN(another_definition_takes_the_place_of_the_rows);
    RUN(the_old_rows_are_read_while_the_new_ones_cannot_be_built);
    RUN(a_manual_view_waits_for_its_refresh);
    RUN(a_mode_that_was_changed_in_the_file_holds_from_the_next_opening_on);
    RUN(what_a_view_lacked_while_it_streamed_over_one_that_lags_it_gets);
    RUN(what_was_never_refreshed_is_built_when_it_is_scheduled);
    RUN(what_is_built_over_nothing_is_refreshed_like_any_other);
    return test_done();
}
