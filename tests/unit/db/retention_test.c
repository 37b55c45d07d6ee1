/// Goal: what is older than $retention goes, by event time and in commits of its own; views follow
/// exactly, and those that keep, keep what came of it: through replay, roots, refreshes.
#include <inttypes.h>
#include <string.h>

#include "db/schema_change.h"
#include "support/db_calls.h"

/// The clock of the world begins at 2026-01-15T10:00:00Z and ticks.
static const char schema[] =
    "{ Event: { $ingest: 'custom:event', at: 'timestamp', k: 'string!', n: 'int!',\n"
    "           $retention: { after: '1h', by: 'at' } },\n"
    "  Low: { $from: 'Event', $filter: { n: { $lt: 50 } } },\n"
    "  Kinds: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' },\n"
    "           low: { $min: 'n' }, high: { $max: 'n' }, mid: { $median: 'n' } } },\n"
    "  Later: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "           $refresh: { mode: 'manual' } },\n"
    "  Ever: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "          $onRetention: 'keep' },\n"
    "  All: { $from: 'Event', $select: { n: '$n' }, $onRetention: 'keep' },\n"
    "  EverLater: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "               $onRetention: 'keep', $refresh: { mode: 'manual' } },\n"
    "  OfAll: { $from: 'All', $compute: { c: { $count: '*' } } } }";
static const char *const exact[] = {"Low", "Kinds", "Later"};

static pqdb_error err;

/// `count` events of an hour of that day; -1: of no time.
static void put(pqdb_db *db, int hour, unsigned first, unsigned count) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = first; i < first + count; i++) {
        MUST(pq_bytes_printf(&text, &err, "{\"$id\":\"e%05u\",\"k\":\"k%u\",\"n\":%u", i, i % 3,
                             i % 100));
        if (hour >= 0) {
            MUST(pq_bytes_printf(&text, &err, ",\"at\":\"2026-01-15T%02d:30:00Z\"", hour));
        }
        MUST(pq_bytes_printf(&text, &err, "}\n"));
    }
    MUST(pqdb_create(db, "Event", (const char *)text.data, text.length, NULL, NULL, &err));
    pq_bytes_deinit(&text);
}

static void verify_exact(pqdb_db *db) {
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        pqdb_verified verified = {0};
        MUST(pqdb_view_verify(db, exact[i], NULL, NULL, &verified, &err));
        CHECK(verified.differences == 0, "%s: %" PRIu64, exact[i], verified.differences);
    }
}

/// What an answer of now shows of a view that has kept nothing yet is what a refresh would make.
static void what_was_never_refreshed_keeps_nothing_for_an_answer(void) {
    const pqdb_find_options now = {.max_staleness = "0s", .select = "k,c"};
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, 7, 0, 30);
    put(db, 10, 30, 6);
    for (int round = 0; round < 2; round++) {
        struct pq_bytes rows = db_rows(db, "EverLater", &now);
        const char *count = round == 0 ? "\"c\":12" : "\"c\":2}";
        CHECK(strstr((const char *)rows.data, count) != NULL, "%s", (const char *)rows.data);
        pq_bytes_deinit(&rows);
        MUST(pq_db_retain(db, &err));
    }
    MUST(pqdb_view_refresh(db, "EverLater", false, NULL, &err));
    CHECK(db_count(db, "EverLater", "{ c: 2 }") == 3, "a refresh shows something else");
    db_end(db, disk);
}

static void what_is_too_old_goes_and_views_follow_exactly(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, 7, 0, 30);
    put(db, 10, 30, 20);
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
    MUST(pqdb_checkpoint(db, &err));  // looks for what is too old as well
    CHECK(db_count(db, "Event", NULL) == 20, "%" PRIu64 " events", db_count(db, "Event", NULL));
    verify_exact(db);
    put(db, 8, 50, 40);
    put(db, -1, 90, 5);
    CHECK(db_count(db, "Event", NULL) == 65, "nobody looked");
    for (int round = 0; round < 3; round++) {
        MUST(pq_db_retain(db, &err));
        CHECK(db_count(db, "Event", NULL) == 25, "%" PRIu64 " events", db_count(db, "Event", NULL));
        CHECK(db_count(db, "Event", "{ at: null }") == 5, "events of no time stay");
        verify_exact(db);
        MUST(pqdb_close(db, &err));  // the next round from the log
        db = db_open(db_with(disk));
        verify_exact(db);
    }
    db_end(db, disk);
}

static void check_kept(pqdb_db *db, const char *when) {
    CHECK(db_count(db, "Event", NULL) == 10, "%s: %" PRIu64 " events", when,
          db_count(db, "Event", NULL));
    CHECK(db_count(db, "Ever", "{ c: 10 }") == 3, "%s: groups lost rows", when);
    CHECK(db_count(db, "All", NULL) == 30, "%s: %" PRIu64 " rows", when, db_count(db, "All", NULL));
    CHECK(db_count(db, "OfAll", "{ c: 30 }") == 1, "%s: above", when);
    CHECK(db_count(db, "EverLater", "{ c: 10 }") == 3, "%s: later groups lost rows", when);
}

static void a_view_that_keeps_keeps_what_came_of_it(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, 7, 0, 20);
    put(db, 10, 20, 10);
    MUST(pq_db_retain(db, &err));
    MUST(pqdb_view_refresh(db, "EverLater", false, NULL, &err));
    // Its first refresh is of what is there: what went before it never saw.
    CHECK(db_count(db, "EverLater", "{ c: { $gt: 4 } }") == 0, "it saw what was gone");
    db_end(db, disk);

    disk = fault_store_create();
    db = db_make(db_with(disk), schema);
    put(db, 7, 0, 10);
    MUST(pqdb_view_refresh(db, "EverLater", false, NULL, &err));
    put(db, 7, 10, 10);
    put(db, 10, 20, 10);
    MUST(pq_db_retain(db, &err));
    MUST(pqdb_view_refresh(db, "EverLater", false, NULL, &err));
    check_kept(db, "at once");
    // The power fails: what was refreshed is made again from the log.
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
    db = db_open(db_with(next));
    check_kept(db, "from the log");
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, db_with(next));
    check_kept(db, "from the root");
    db_end(db, next);
}

/// Events of which most are gone, kept in all views that keep.
static pqdb_db *with_kept(struct fault_store *disk) {
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, 7, 0, 20);
    put(db, 10, 20, 10);
    MUST(pqdb_view_refresh(db, "EverLater", false, NULL, &err));
    MUST(pq_db_retain(db, &err));
    check_kept(db, "before");
    return db;
}

static void what_is_kept_goes_only_when_that_is_said(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = with_kept(disk);
    static const char *const keepers[] = {"Ever", "All", "EverLater"};
    for (size_t i = 0; i < 3; i++) {
        CHECK(pqdb_view_refresh(db, keepers[i], true, NULL, &err) == PQDB_INVALID &&
                  strstr(err.message, "--full --discard") != NULL, "%s: %s", keepers[i],
              err.message);
        CHECK(pqdb_view_alter(db, keepers[i], "{ $filter: { n: { $lt: 90 } } }", NULL, NULL,
                              &err) == PQDB_INVALID, "%s: another definition", keepers[i]);
        CHECK(pqdb_view_alter(db, keepers[i], "{ $onRetention: null }", NULL, NULL, &err) ==
                  PQDB_INVALID, "%s: it would follow", keepers[i]);
    }
    MUST(pqdb_view_refresh(db, "OfAll", true, NULL, &err));  // of what All has
    check_kept(db, "after");
    MUST(pqdb_view_discard(db, "Ever", NULL, &err));
    CHECK(db_count(db, "Ever", "{ c: { $lt: 5 } }") == 3, "discarded");
    MUST(pqdb_view_refresh(db, "Ever", true, NULL, &err));  // nothing is kept any more
    db_end(db, disk);
}

static void what_is_kept_outlives_other_modes(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = with_kept(disk);
    MUST(pqdb_view_alter(db, "EverLater", "{ mode: 'streaming' }", NULL, NULL, &err));
    MUST(pqdb_view_alter(db, "Ever", "{ mode: 'manual' }", NULL, NULL, &err));
    check_kept(db, "altered");
    put(db, 10, 30, 3);
    MUST(pqdb_view_refresh(db, "Ever", false, NULL, &err));
    MUST(pqdb_view_alter(db, "EverLater", "{ mode: 'scheduled', schedule: '@daily' }", NULL, NULL,
                         &err));
    put(db, 10, 33, 3);
    MUST(pqdb_view_alter(db, "EverLater", "{ mode: 'streaming', schedule: null }", NULL, NULL,
                         &err));
    CHECK(db_count(db, "Ever", "{ c: 11 }") == 3 && db_count(db, "EverLater", "{ c: 12 }") == 3,
          "rows were lost");
    db = db_reopen(db, db_with(disk));
    put(db, 10, 36, 3);
    MUST(pqdb_view_refresh(db, "Ever", false, NULL, &err));
    CHECK(db_count(db, "Ever", "{ c: 13 }") == 3 && db_count(db, "EverLater", "{ c: 13 }") == 3,
          "rows were lost behind a restart");
    db_end(db, disk);
}

static void a_view_keeps_rows_of_its_source_not_of_what_they_link_to(void) {
    static const char text[] =
        "{ Sale: { $ingest: 'custom:sale', shop: '-> Shop', at: 'timestamp',\n"
        "          $retention: { after: '1h', by: 'at' } },\n"
        "  Shop: { name: 'string!', at: 'timestamp', $retention: { after: '1h', by: 'at' } },\n"
        "  ByName: { $from: 'Sale', $groupBy: ['shop.name'], $compute: { c: { $count: '*' } },\n"
        "            $onRetention: 'keep' } }";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), text);
    db_put(db, "Shop", "[{\"$id\":\"a\",\"name\":\"A\",\"at\":\"2026-01-15T07:00:00Z\"}]");
    db_put(db, "Sale", "[{\"shop\":\"a\",\"at\":\"2026-01-15T07:30:00Z\"},"
                       "{\"$id\":\"s\",\"shop\":\"a\",\"at\":\"2026-01-15T10:30:00Z\"}]");
    MUST(pq_db_retain(db, &err));
    for (int round = 0; round < 2; round++) {
        db_check_rows(db, "ByName", "{\"$id\":\"[\\\"A\\\"]\",\"shop_name\":\"A\",\"c\":1}\n"
                                    "{\"$id\":\"[null]\",\"shop_name\":null,\"c\":1}\n");
        db = db_reopen(db, db_with(disk));
    }
    MUST(pqdb_delete(db, "Sale", "{ $id: 's' }", NULL, NULL, &err));
    db_check_rows(db, "ByName", "{\"$id\":\"[\\\"A\\\"]\",\"shop_name\":\"A\",\"c\":1}\n");
    db_end(db, disk);
}

static void what_could_not_be_kept_exactly_is_refused(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    static const char *const definitions[] = {
        "{ $from: 'Kinds', $onRetention: 'keep' }", "{ $from: 'Later', $onRetention: 'keep' }"};
    for (size_t i = 0; i < 2; i++) {
        CHECK(pqdb_view_create(db, "No", definitions[i], NULL, NULL, &err) == PQDB_INVALID, "%s",
              definitions[i]);
    }
    MUST(pqdb_view_create(db, "Yes", "{ $from: 'Low', $onRetention: 'keep' }", NULL, NULL, &err));
    db_end(db, disk);
}

static void a_smallest_value_that_is_gone_stays_the_smallest(void) {
    static const char text[] =
        "{ Event: { $ingest: 'custom:event', at: 'timestamp', k: 'string!', n: 'int!',\n"
        "           $retention: { after: '1h', by: 'at' } },\n"
        "  Ever: { $from: 'Event', $compute: { low: { $min: 'n' }, mid: { $median: 'n' } },\n"
        "          $onRetention: 'keep' } }";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), text);
    put(db, 7, 1, 40);   // n from 1 on
    put(db, 10, 0, 1);   // 0
    MUST(pq_db_retain(db, &err));
    MUST(pqdb_delete(db, "Event", "{ n: 0 }", NULL, NULL, &err));
    for (int round = 0; round < 2; round++) {
        db_check_rows(db, "Ever", "{\"$id\":\"[]\",\"low\":1,\"mid\":20.5}\n");
        MUST(pqdb_checkpoint(db, &err));
        db = db_reopen(db, db_with(disk));
    }
    db_end(db, disk);
}

static void it_says_that_it_keeps(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, 10, 0, 3);
    pqdb_view_state state;
    MUST(pqdb_view_state_get(db, "Ever", &state, &err));
    CHECK(state.keeps_dropped && strcmp(state.state, "fresh") == 0, "%s", state.state);
    MUST(pqdb_view_state_get(db, "OfAll", &state, &err));
    CHECK(state.keeps_dropped, "above it");
    MUST(pqdb_view_state_get(db, "Kinds", &state, &err));
    CHECK(!state.keeps_dropped, "beside it");
    CHECK(pqdb_view_verify(db, "All", NULL, NULL, NULL, &err) == PQDB_UNSUPPORTED, "verified");
    db_end(db, disk);
}

static void an_id_that_comes_again_takes_the_place_of_the_row_that_was_kept(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, 7, 0, 5);
    put(db, 10, 5, 5);
    MUST(pq_db_retain(db, &err));
    put(db, 10, 3, 1);
    CHECK(db_count(db, "All", NULL) == 10, "%" PRIu64 " rows", db_count(db, "All", NULL));
    MUST(pqdb_checkpoint(db, &err));
    put(db, 10, 4, 1);
    CHECK(db_count(db, "All", NULL) == 10, "%" PRIu64 " rows", db_count(db, "All", NULL));
    CHECK(db_count(db, "All", "{ $id: 'e00004' }") == 1, "twice");
    CHECK(db_count(db, "OfAll", "{ c: 10 }") == 1, "above it");
    MUST(pqdb_delete(db, "Event", "{ $id: 'e00004' }", NULL, NULL, &err));
    CHECK(db_count(db, "OfAll", "{ c: 9 }") == 1, "above it, deleted");
    db = db_reopen(db, db_with(disk));
    CHECK(db_count(db, "All", NULL) == 9 && db_count(db, "OfAll", "{ c: 9 }") == 1, "replayed");
    db_end(db, disk);
}

static pqdb_code count_kind(void *ctx, const pqdb_change *change) {
    uint64_t *commits = ctx;
    if (strcmp(change->kind, "retention") != 0) return PQDB_OK;
    commits[0]++;
    commits[1] += change->rows_removed;
    CHECK(change->rows_added == 0, "rows came");
    return PQDB_OK;
}

static void many_rows_go_in_several_commits(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    for (unsigned i = 0; i < 20; i++) put(db, (int)(i % 10), i * 2000, 2000);
    put(db, 10, 40000, 100);
    MUST(pq_db_retain(db, &err));
    uint64_t commits[2] = {0};
    MUST(pqdb_log_read(db, 0, count_kind, commits, &err));
    CHECK(commits[0] == 3 && commits[1] == 36000, "%" PRIu64 " commits, %" PRIu64 " rows",
          commits[0], commits[1]);
    CHECK(db_count(db, "Event", NULL) == 4100, "%" PRIu64 " events", db_count(db, "Event", NULL));
    verify_exact(db);
    db_end(db, disk);
}

static void a_collection_goes_by_its_creation_and_a_date_by_its_day(void) {
    static const char text[] =
        "{ Note: { n: 'int', $retention: '1d' },\n"
        "  Day: { on: 'date', $retention: { after: '2d', by: 'on' } } }";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), text);
    static const char notes[] = "[{\"n\":1,\"createdAt\":\"2026-01-01T00:00:00Z\"},{\"n\":2}]";
    static const char days[] = "[{\"on\":\"2026-01-12\"},{\"on\":\"2026-01-14\"}]";
    MUST(pqdb_create(db, "Note", notes, strlen(notes), NULL, NULL, &err));
    MUST(pqdb_create(db, "Day", days, strlen(days), NULL, NULL, &err));
    MUST(pq_db_retain(db, &err));
    CHECK(db_count(db, "Note", "{ n: 2 }") == 1 && db_count(db, "Note", NULL) == 1, "notes");
    CHECK(db_count(db, "Day", NULL) == 1, "%" PRIu64 " days", db_count(db, "Day", NULL));
    db_end(db, disk);
}

int main(void) {
    RUN(what_is_too_old_goes_and_views_follow_exactly);
    RUN(what_was_never_refreshed_keeps_nothing_for_an_answer);
    RUN(a_view_that_keeps_keeps_what_came_of_it);
    RUN(what_is_kept_goes_only_when_that_is_said);
    RUN(what_is_kept_outlives_other_modes);
    RUN(a_view_keeps_rows_of_its_source_not_of_what_they_link_to);
    RUN(what_could_not_be_kept_exactly_is_refused);
    RUN(a_smallest_value_that_is_gone_stays_the_smallest);
    RUN(it_says_that_it_keeps);
    RUN(an_id_that_comes_again_takes_the_place_of_the_row_that_was_kept);
    RUN(many_rows_go_in_several_commits);
    RUN(a_collection_goes_by_its_creation_and_a_date_by_its_day);
    return test_done();
}
