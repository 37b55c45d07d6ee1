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

/// Answers of a view that streams and of one that lags, however its refresh takes the log.
static void check_as_it_streams(const char *schema_text, const char *const *streaming,
                                void (*live)(pqdb_db *db)) {
    for (uint64_t pieces = 0; pieces < 3; pieces++) {
        struct fault_store *disk = fault_store_create();
        struct pq_open_with with = db_with(disk);
        with.piece_rows = pieces;
        pqdb_db *db = db_make(with, schema_text);
        live(db);
        for (int round = 0; round < 3; round++) {
            for (size_t i = 0; streaming[i] != NULL; i += 2) {
                static const pqdb_find_options now = {.max_staleness = "0s"};
                struct pq_bytes is = db_rows(db, streaming[i + 1], &now);
                struct pq_bytes expected = db_rows(db, streaming[i], NULL);
                CHECK(strcmp((const char *)is.data, (const char *)expected.data) == 0,
                      "%s, pieces %" PRIu64 ", round %d: %s not %s", streaming[i + 1], pieces,
                      round, (const char *)is.data, (const char *)expected.data);
                pq_bytes_deinit(&is);
                pq_bytes_deinit(&expected);
                if (round == 0) MUST(pqdb_view_refresh(db, streaming[i + 1], false, NULL, &err));
            }
            if (round == 1) MUST(pqdb_checkpoint(db, &err));
            struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
            pqdb_close(db, NULL);
            fault_store_destroy(disk);
            disk = next;
            with = db_with(disk);
            with.piece_rows = pieces;
            db = db_open(with);
        }
        db_end(db, disk);
    }
}

static void live_with_ids_that_pass(pqdb_db *db) {
    put(db, 10, 0, 1);
    MUST(pqdb_view_refresh(db, "LowLater", false, NULL, &err));
    MUST(pqdb_view_refresh(db, "CountLater", false, NULL, &err));
    put(db, 7, 1, 20);
    MUST(pq_db_retain(db, &err));
    static const pqdb_edit away = {"{ $id: 'e00002' }", "{ $set: { n: 80 } }"};
    put(db, 10, 1, 8);  // 1 to 8 come again, and of them
    MUST(pqdb_delete(db, "Event", "{ $id: 'e00001' }", NULL, NULL, &err));  // one goes,
    MUST(pqdb_update(db, "Event", &away, NULL, NULL, &err));  // one is not shown any more,
    put(db, 7, 21, 2);
    static const pqdb_edit old = {"{ $id: 'e00003' }",
                                  "{ $set: { n: 30, at: '2026-01-15T07:00:00Z' } }"};
    MUST(pqdb_update(db, "Event", &old, NULL, NULL, &err));
    MUST(pq_db_retain(db, &err));  // one goes by its age, again
    put(db, 10, 3, 1);
    MUST(pqdb_delete(db, "Event", "{ n: 3 }", NULL, NULL, &err));
    put(db, 10, 9, 1);
}

static void an_id_that_passes_takes_the_kept_row_along(void) {
    static const char text[] =
        "{ Event: { $ingest: 'custom:event', at: 'timestamp', k: 'string!', n: 'int!',\n"
        "           $retention: { after: '1h', by: 'at' } },\n"
        "  Low: { $from: 'Event', $filter: { n: { $lt: 50 } }, $select: { n: '$n' },\n"
        "         $onRetention: 'keep' },\n"
        "  LowLater: { $from: 'Event', $filter: { n: { $lt: 50 } }, $select: { n: '$n' },\n"
        "              $onRetention: 'keep', $refresh: { mode: 'manual' } },\n"
        "  Count: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
        "           $onRetention: 'keep' },\n"
        "  CountLater: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
        "                $onRetention: 'keep', $refresh: { mode: 'manual' } } }";
    static const char *const views[] = {"Low", "LowLater", "Count", "CountLater", NULL};
    check_as_it_streams(text, views, live_with_ids_that_pass);
}

static void live_with_links_that_change(pqdb_db *db) {
    db_put(db, "Shop", "[{\"$id\":\"a\",\"name\":\"A\"},{\"$id\":\"b\",\"name\":\"B\"}]");
    db_put(db, "Sale", "[{\"shop\":\"a\",\"at\":\"2026-01-15T10:30:00Z\"}]");
    MUST(pqdb_view_refresh(db, "RowsLater", false, NULL, &err));
    MUST(pqdb_view_refresh(db, "NamesLater", false, NULL, &err));
    db_put(db, "Sale", "[{\"$id\":\"s\",\"shop\":\"a\",\"at\":\"2026-01-15T07:30:00Z\"},"
                       "{\"$id\":\"t\",\"shop\":\"b\",\"at\":\"2026-01-15T07:30:00Z\"}]");
    static const pqdb_edit renamed = {"{ $id: 'a' }", "{ $set: { name: 'A2' } }"};
    MUST(pqdb_update(db, "Shop", &renamed, NULL, NULL, &err));
    MUST(pq_db_retain(db, &err));
    static const pqdb_edit again = {"{ $id: 'a' }", "{ $set: { name: 'A3' } }"};
    MUST(pqdb_update(db, "Shop", &again, NULL, NULL, &err));
    MUST(pqdb_delete(db, "Shop", "{ $id: 'b' }", NULL, NULL, &err));
}

static void what_is_kept_shows_what_links_led_to_when_it_went(void) {
    static const char text[] =
        "{ Sale: { $ingest: 'custom:sale', shop: '-> Shop', at: 'timestamp',\n"
        "          $retention: { after: '1h', by: 'at' } },\n"
        "  Shop: { name: 'string!' },\n"
        "  Rows: { $from: 'Sale', $select: { name: '$shop.name' }, $onRetention: 'keep' },\n"
        "  RowsLater: { $from: 'Sale', $select: { name: '$shop.name' }, $onRetention: 'keep',\n"
        "               $refresh: { mode: 'manual' } },\n"
        "  Names: { $from: 'Sale', $groupBy: ['shop.name'], $compute: { c: { $count: '*' } },\n"
        "           $onRetention: 'keep' },\n"
        "  NamesLater: { $from: 'Sale', $groupBy: ['shop.name'], $onRetention: 'keep',\n"
        "                $compute: { c: { $count: '*' } }, $refresh: { mode: 'manual' } } }";
    static const char *const views[] = {"Rows", "RowsLater", "Names", "NamesLater", NULL};
    check_as_it_streams(text, views, live_with_links_that_change);
}

/// Rows go in the middle of a build: when it first reads rows of a file.
struct meanwhile {
    pqdb_db *db;
    bool waits;
};

static void retain_beside(void *ctx, struct fault_store *disk, const char *path) {
    struct meanwhile *meanwhile = ctx;
    if (!meanwhile->waits || strstr(path, ".parquet") == NULL) return;
    meanwhile->waits = false;
    disk->counts_reads = false;
    MUST(pq_db_retain(meanwhile->db, &err));
    put(meanwhile->db, 10, 9000, 6);
}

/// 9000 events in files, half of which go with the next build; views that keep have all.
static void begin_to_go(struct meanwhile *meanwhile, struct fault_store *disk) {
    meanwhile->db = db_make(db_with(disk), schema);
    put(meanwhile->db, 10, 0, 9000);
    MUST(pqdb_checkpoint(meanwhile->db, &err));
    static const pqdb_edit old = {"{ n: { $lt: 50 } }", "{ $set: { at: '2026-01-15T07:00:00Z' } }"};
    MUST(pqdb_update(meanwhile->db, "Event", &old, NULL, NULL, &err));
    struct pq_open_with with = db_with(disk);
    meanwhile->db = db_reopen(meanwhile->db, with);
    CHECK(db_count(meanwhile->db, "Event", "{ n: 1 }") == 90, "the file is not open");
    meanwhile->waits = true;
    disk->on_call = retain_beside;
    disk->on_call_ctx = meanwhile;
    disk->counts_reads = true;
}

static void what_goes_while_a_view_is_built_is_not_kept(void) {
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile;
    begin_to_go(&meanwhile, disk);
    MUST(pqdb_view_refresh(meanwhile.db, "EverLater", false, NULL, &err));
    CHECK(!meanwhile.waits, "nothing went meanwhile");
    for (int round = 0; round < 2; round++) {
        CHECK(db_count(meanwhile.db, "EverLater", "{ c: 1502 }") == 3, "round %d", round);
        CHECK(db_count(meanwhile.db, "Ever", "{ c: 3002 }") == 3, "round %d", round);
        struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
        pqdb_close(meanwhile.db, NULL);
        fault_store_destroy(disk);
        disk = next;
        meanwhile.db = db_open(db_with(disk));
    }
    db_end(meanwhile.db, disk);
}

static void a_build_below_does_not_lose_what_is_kept_meanwhile(void) {
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile;
    begin_to_go(&meanwhile, disk);
    MUST(pqdb_view_create(meanwhile.db, "OfLow", "{ $from: 'Low', $onRetention: 'keep' }", NULL,
                          NULL, &err));
    meanwhile.waits = true;
    disk->counts_reads = true;
    CHECK(pqdb_view_refresh(meanwhile.db, "Low", true, NULL, &err) == PQDB_INVALID &&
              strstr(err.subject, "OfLow") != NULL, "%s: %s", err.subject, err.message);
    CHECK(!meanwhile.waits, "nothing went meanwhile");
    CHECK(db_count(meanwhile.db, "Low", NULL) == 6 && db_count(meanwhile.db, "OfLow", NULL) == 4506,
          "rows were lost");
    db_end(meanwhile.db, disk);
}

/// What appends reads what a view below it keeps, at once and beside the writers.
static void what_is_kept_is_new_to_a_view_that_appends(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    static const char definition[] = "{ $from: 'All', $refresh: { mode: 'manual', "
                                     "strategy: 'append' } }";
    MUST(pqdb_view_create(db, "Seen", definition, NULL, NULL, &err));
    put(db, 7, 0, 20);
    put(db, 10, 20, 10);
    MUST(pq_db_retain(db, &err));
    MUST(pqdb_view_refresh(db, "Seen", false, NULL, &err));
    for (int round = 0; round < 2; round++) {
        const uint64_t seen = 30 + (uint64_t)round;
        CHECK(db_count(db, "Seen", NULL) == seen, "%" PRIu64 " rows", db_count(db, "Seen", NULL));
        struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
        pqdb_close(db, NULL);
        fault_store_destroy(disk);
        disk = next;
        db = db_open(db_with(disk));
        CHECK(db_count(db, "Seen", NULL) == seen, "%" PRIu64 " rows behind a restart",
              db_count(db, "Seen", NULL));
        put(db, 10, 30 + (unsigned)round, 1);
        MUST(pqdb_view_refresh(db, "Seen", false, NULL, &err));
    }
    db_end(db, disk);
}

/// Its state went with the step, and a checkpoint would make that last: the log brings it back.
static void an_error_that_passes_does_not_end_what_is_kept(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = with_kept(disk);
    MUST(pqdb_checkpoint(db, &err));
    pqdb_code code = PQDB_IO;
    unsigned round = 0;
    for (; code == PQDB_IO; round++) {
        db = db_reopen(db, db_with(disk));  // the views' states are on disk
        put(db, 10, 30 + 3 * round, 3);
        disk->counts_reads = true;
        disk->fail_at = disk->calls + round;
        code = pqdb_view_refresh(db, "EverLater", false, NULL, &err);
        disk->counts_reads = false;
        disk->fail_at = -1;
        pqdb_checkpoint(db, NULL);
        db = db_reopen(db, db_with(disk));
        MUST(pqdb_view_refresh(db, "EverLater", false, NULL, &err));
        char all[40];
        snprintf(all, sizeof all, "{ c: %u }", 11 + round);
        CHECK(db_count(db, "EverLater", all) == 3, "not what it was with call %u", round);
        MUST(pqdb_checkpoint(db, &err));
    }
    CHECK(code == PQDB_OK && round > 4, "%u calls: %s", round, err.message);
    db_end(db, disk);
}

/// A sum that does not fit: once it does again, the view goes on with all that it has kept.
static void a_refresh_that_fails_leaves_what_is_kept(void) {
    static const char text[] =
        "{ Event: { $ingest: 'custom:event', at: 'timestamp', k: 'string!', n: 'int!',\n"
        "           $retention: { after: '1h', by: 'at' } },\n"
        "  Sums: { $from: 'Event', $groupBy: ['k'], $compute: { s: { $sum: 'n' } },\n"
        "          $onRetention: 'keep', $refresh: { mode: 'manual' } } }";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), text);
    put(db, 7, 0, 30);
    MUST(pqdb_view_refresh(db, "Sums", false, NULL, &err));
    MUST(pq_db_retain(db, &err));
    put(db, 10, 30, 3);
    db_put(db, "Event", "[{\"$id\":\"x\",\"k\":\"k0\",\"n\":9223372036854775807}]");
    for (int round = 0; round < 3; round++) {
        CHECK(pqdb_view_refresh(db, "Sums", false, NULL, &err) == PQDB_LIMIT, "%s", err.message);
        if (round > 0) MUST(pqdb_checkpoint(db, &err));
        db = db_reopen(db, db_with(disk));
        CHECK(db_count(db, "Sums", "{ s: { $lt: 200 } }") == 3, "it has changed");
    }
    MUST(pqdb_delete(db, "Event", "{ $id: 'x' }", NULL, NULL, &err));
    MUST(pqdb_view_refresh(db, "Sums", false, NULL, &err));
    uint64_t kept = 0;  // of 0 to 32
    for (int k = 0; k < 3; k++) {
        char sum[40];
        snprintf(sum, sizeof sum, "{ k: 'k%d', s: %d }", k, 11 * k + 3 * 55);
        kept += db_count(db, "Sums", sum);
    }
    CHECK(kept == 3, "rows were lost");
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
    RUN(an_id_that_passes_takes_the_kept_row_along);
    RUN(what_is_kept_shows_what_links_led_to_when_it_went);
    RUN(what_is_kept_is_new_to_a_view_that_appends);
    RUN(an_error_that_passes_does_not_end_what_is_kept);
    RUN(a_refresh_that_fails_leaves_what_is_kept);
    RUN(what_goes_while_a_view_is_built_is_not_kept);
    RUN(a_build_below_does_not_lose_what_is_kept_meanwhile);
    RUN(many_rows_go_in_several_commits);
    RUN(a_collection_goes_by_its_creation_and_a_date_by_its_day);
    return test_done();
}
