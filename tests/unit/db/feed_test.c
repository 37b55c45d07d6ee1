/// Goal: the changes of a view, added up from any version on, give what the view holds; they are
/// the same after a crash, and however often one stops and goes on.
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "support/db_calls.h"

static const char schema[] =
    "{\n"
    "  Item: { kind: 'string!', n: 'int!', tags: 'string[]', to: '-> Other',\n"
    "          all: [{ to: '-> Other' }] },\n"
    "  Other: { n: 'int', back: '<- Item.to[]' },\n"
    "  Rows: { $from: 'Item', $unnest: 'tags', $filter: { n: { $lt: 70 } }, $history: '7d' },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'], $history: '7d', $compute: {\n"
    "    rows: { $count: '*' }, low: { $min: 'n' }, high: { $max: 'n' }, mean: { $avg: 'n' } } },\n"
    "  Top: { $from: 'ByKind', $groupBy: ['rows'], $history: '7d',\n"
    "         $compute: { low: { $min: 'low' } } },\n"
    "  Linked: { $from: 'Item', $expand: ['to', 'all.to'], $history: '7d' },\n"
    "  ByOther: { $from: 'Item', $groupBy: ['to.n'], $history: '7d',\n"
    "             $compute: { rows: { $count: '*' }, low: { $min: 'n' } } },\n"
    "  Back: { $from: 'Other', $expand: ['back'], $history: '7d' },\n"
    "  Plain: { $from: 'Item' },\n"
    "  Late: { $from: 'Item', $history: '7d', $refresh: { mode: 'manual' } },\n"
    "}\n";

static const char *const views[] = {"Rows", "ByKind", "Top", "Linked", "ByOther", "Back"};
enum { view_count = 6 };

static pqdb_error err;

static struct pq_open_with with_store(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.log_segment_bytes = 1 << 13;
    return with;
}

// ---- sums of rows -----------------------------------------------------------------------------

/// A multiset as the sum of hashes, weighted.
struct sum {
    uint64_t hash;
    int64_t rows;
    uint64_t version;
    int64_t changes;
    int64_t stop_at;
};

static pqdb_code add(void *ctx, const pqdb_view_change *change) {
    struct sum *sum = ctx;
    CHECK(change->version >= sum->version, "version %" PRIu64, change->version);
    sum->version = change->version;
    sum->hash += (uint64_t)change->weight * pq_hash(change->row, change->length);
    sum->rows += change->weight;
    sum->changes++;
    return sum->changes == sum->stop_at ? PQDB_CONFLICT : PQDB_OK;
}

static struct sum sum_of_rows(pqdb_db *db, const char *view) {
    struct sum sum = {0};
    const pqdb_find_options options = {.system_columns = true};
    pqdb_rows *rows = NULL;
    MUST(pqdb_find(db, view, &options, &rows, &err));
    for (bool has_row = true; has_row;) {
        MUST(pqdb_rows_next(rows, &has_row, &err));
        if (!has_row) break;
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        sum.hash += pq_hash(json, length);
        sum.rows++;
    }
    pqdb_rows_close(rows);
    return sum;
}

static uint64_t version_of(pqdb_db *db) {
    pqdb_status status;
    MUST(pqdb_status_get(db, &status, &err));
    return status.version;
}

static void add_changes(pqdb_db *db, const char *view, uint64_t since, struct sum *sum) {
    pqdb_feed *feed = NULL;
    MUST(pqdb_feed_open(db, view, since, &feed, &err));
    MUST(pqdb_feed_next(feed, add, sum, &err));
    CHECK(pqdb_feed_version(feed) == version_of(db), "told to the end");
    pqdb_feed_close(feed);
}

static void check_sum(pqdb_db *db, const char *view, const struct sum *sum, const char *what) {
    const struct sum rows = sum_of_rows(db, view);
    CHECK(sum->rows == rows.rows && sum->hash == rows.hash,
          "%s, %s: %" PRId64 " rows, not %" PRId64 "%s", what, view, sum->rows, rows.rows,
          sum->rows == rows.rows ? " (others)" : "");
}

// ---- commits ----------------------------------------------------------------------------------

static uint64_t dice;
static uint64_t roll(uint64_t sides) { return pq_hash_word(++dice) % sides; }

static void commit(pqdb_db *db) {
    char text[2048], filter[64];
    size_t length = 0;
    const uint64_t what = roll(9);
    snprintf(filter, sizeof filter, "{ n: { $lt: %d } }", (int)roll(30));
    if (what == 0) {
        MUST(pqdb_delete(db, "Item", filter, NULL, NULL, &err));
    } else if (what == 1) {
        const pqdb_edit edit = {.where = filter, .operators = "{ $inc: { n: 17 } }"};
        MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    } else if (what == 2 || what == 8) {
        const pqdb_write_options options = {.on_conflict = "replace"};
        length = (size_t)snprintf(text, sizeof text, "{\"$id\":\"o%d\",\"n\":%d}", (int)roll(3),
                                  (int)roll(5));
        MUST(pqdb_create(db, "Other", text, length, &options, NULL, &err));
    } else if (what == 3) {
        char there_is[64], operators[128];
        const int to = (int)roll(3);
        snprintf(there_is, sizeof there_is, "{ $id: 'o%d' }", to);
        snprintf(filter, sizeof filter, "{ n: { $mod: [3, %d] } }", (int)roll(3));
        snprintf(operators, sizeof operators, "{ $set: { to: 'o%d', all: [{ to: 'o%d' }] } }", to,
                 to);
        const pqdb_edit edit = {.where = filter, .operators = operators};
        uint64_t there = 0;
        MUST(pqdb_count(db, "Other", there_is, &there, &err));
        if (there > 0) MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    } else if (what == 4) {
        if (roll(3) == 0) MUST(pqdb_delete(db, "Other", "{ n: 3 }", NULL, NULL, &err));
    } else {
        for (uint64_t i = roll(5) + 1; i > 0; i--) {
            length += (size_t)snprintf(
                text + length, sizeof text - length,
                "{\"$id\":\"i%d\",\"kind\":\"k%d\",\"n\":%d,\"tags\":[\"a\",\"t%d\"]}\n",
                (int)roll(40), (int)roll(4), (int)roll(100), (int)roll(3));
        }
        const pqdb_write_options options = {.on_conflict = "replace"};
        MUST(pqdb_create(db, "Item", text, length, &options, NULL, &err));
    }
}

static void changes_add_up_from_any_version(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    pqdb_feed *feeds[view_count];
    struct sum followed[view_count] = {{0}}, resumed[view_count] = {{0}};
    uint64_t told[view_count] = {0};
    for (int v = 0; v < view_count; v++) MUST(pqdb_feed_open(db, views[v], 0, &feeds[v], &err));
    for (int round = 0; round < 60; round++) {
        for (uint64_t i = roll(4); i > 0; i--) commit(db);
        if (roll(6) == 0) MUST(pqdb_checkpoint(db, &err));
        if (roll(6) == 0) MUST(pqdb_view_refresh(db, "ByKind", true, NULL, &err));
        for (int v = 0; v < view_count; v++) {
            MUST(pqdb_feed_next(feeds[v], add, &followed[v], &err));
            check_sum(db, views[v], &followed[v], "followed");
            if (roll(3) != 0) continue;
            add_changes(db, views[v], told[v], &resumed[v]);
            told[v] = version_of(db);
            check_sum(db, views[v], &resumed[v], "resumed");
        }
        if (roll(10) != 0) continue;
        for (int v = 0; v < view_count; v++) pqdb_feed_close(feeds[v]);
        struct fault_store *next = fault_store_crash(disk, FAULT_SOME_KEPT, dice);
        pqdb_close(db, NULL);
        fault_store_destroy(disk);
        disk = next;
        db = db_open(with_store(disk));
        for (int v = 0; v < view_count; v++) {
            MUST(pqdb_feed_open(db, views[v], pqdb_log_first(db) > 0 ? version_of(db) : 0,
                                &feeds[v], &err));
        }
    }
    for (int v = 0; v < view_count; v++) {
        struct sum all = {0};
        pqdb_feed_close(feeds[v]);
        add_changes(db, views[v], 0, &all);
        check_sum(db, views[v], &all, "from the beginning");
    }
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

static void what_is_not_kept_is_said(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    pqdb_feed *feed = NULL;
    commit(db);
    CHECK(pqdb_feed_open(db, "None", 0, &feed, &err) == PQDB_NOT_FOUND, "%s", err.message);
    CHECK(pqdb_feed_open(db, "Item", 0, &feed, &err) == PQDB_INVALID, "%s", err.message);
    CHECK(pqdb_feed_open(db, "Plain", 0, &feed, &err) == PQDB_INVALID &&
              strstr(err.message, "$history") != NULL, "%s", err.message);
    CHECK(pqdb_feed_open(db, "Late", 0, &feed, &err) == PQDB_UNSUPPORTED, "%s", err.message);
    CHECK(pqdb_feed_open(db, "Rows", 99, &feed, &err) == PQDB_INVALID, "%s", err.message);
    const char row[] = "{\"kind\":\"k\",\"n\":1,\"tags\":[\"a\",\"b\"]}";
    MUST(pqdb_create(db, "Item", row, sizeof row - 1, NULL, NULL, &err));
    struct sum sum = {.stop_at = 1};
    MUST(pqdb_feed_open(db, "Rows", version_of(db) - 1, &feed, &err));
    CHECK(pqdb_feed_next(feed, add, &sum, &err) == PQDB_CONFLICT && sum.changes == 1, "it stops");
    CHECK(pqdb_feed_version(feed) == version_of(db) - 1, "told whole: the one before");
    pqdb_feed_close(feed);
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

int main(void) {
    RUN(changes_add_up_from_any_version);
    RUN(what_is_not_kept_is_said);
    return test_done();
}
