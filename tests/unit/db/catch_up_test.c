/// Goal: a read that wants contents no older than it says gets them exactly, whatever kind of view
/// lags, and what is stored stays as it was.
///
/// Each view that lags has a twin that streams: asked for rows of now, both say the same.
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "db/catch_up.h"
#include "support/db_calls.h"
#include "support/moving_clock.h"

#define GROUPS                                                                                    \
    "$groupBy: ['kind'], $compute: { rows: { $count: '*' }, sum: { $sum: 'n' },"                   \
    " low: { $min: 'n' }, high: { $max: 'n' }, mid: { $median: 'n' },"                             \
    " kinds: { $countDistinct: 'n' }, top: { $topK: ['n', 2] }, last: { $last: 'n' } }"
#define MANUAL ", $refresh: { mode: 'manual' } },\n"
#define HOURLY ", $refresh: { mode: 'scheduled', schedule: '0 * * * *' } },\n"

static const char schema[] =
    "{ Owner: { name: 'string!' },\n"
    "  Item: { kind: 'string!', n: 'int!', owner: '-> Owner' },\n"
    "  Large: { $from: 'Item', $filter: { n: { $gte: 20 } } },\n"
    "  Groups: { $from: 'Item', " GROUPS MANUAL
    "  GroupsNow: { $from: 'Item', " GROUPS " },\n"
    "  Rows: { $from: 'Large', $select: { n: '$n', kind: '$kind' }" HOURLY
    "  RowsNow: { $from: 'Large', $select: { n: '$n', kind: '$kind' } },\n"
    "  Owned: { $from: 'Item', $groupBy: ['owner.name'], $compute: { sum: { $sum: 'n' } }" MANUAL
    "  OwnedNow: { $from: 'Item', $groupBy: ['owner.name'], $compute: { sum: { $sum: 'n' } } },\n"
    "  Above: { $from: 'Groups', $filter: { rows: { $gt: 2 } } },\n"
    "  AboveNow: { $from: 'GroupsNow', $filter: { rows: { $gt: 2 } } },\n"
    "  Count: { $from: 'Groups', $compute: { kinds: { $count: '*' }, most: { $max: 'rows' } } },\n"
    "  CountNow: { $from: 'GroupsNow', $compute: { kinds: { $count: '*' }, most: { $max: 'rows' } "
    "} },\n"
    "  Twice: { $from: 'Groups', $compute: { sum: { $sum: 'sum' } }" MANUAL
    "  TwiceNow: { $from: 'GroupsNow', $compute: { sum: { $sum: 'sum' } } },\n"
    "  Graced: { $from: 'Item', $compute: { sum: { $sum: 'n' } },\n"
    "            $refresh: { mode: 'manual', gracePeriod: '10m' } } }";

static const char *const views[] = {"Groups", "Rows", "Owned", "Above", "Count", "Twice"};
enum { view_count = sizeof views / sizeof *views };

static pqdb_error err;

static struct pq_open_with with_store(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.env = &moving_env;
    return with;
}

static pqdb_db *begin(struct fault_store **disk) {
    clock_us = march_2026;
    *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(*disk), schema);
    const char owners[] = "[{\"$id\":\"o0\",\"name\":\"a\"},{\"$id\":\"o1\",\"name\":\"b\"},"
                          "{\"$id\":\"o2\",\"name\":\"c\"}]";
    MUST(pqdb_create(db, "Owner", owners, strlen(owners), NULL, NULL, &err));
    return db;
}

/// All rows as JSON, freed with pq_bytes_deinit.
static struct pq_bytes ask(pqdb_db *db, const char *view, const char *staleness, bool *caught_up) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    const pqdb_find_options options = {.max_staleness = staleness};
    pqdb_rows *rows = NULL;
    MUST(pqdb_find(db, view, &options, &rows, &err));
    bool has_row = false;
    while (rows != NULL && pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        pq_bytes_append(&out, json, length, NULL);
        pq_bytes_append_byte(&out, '\n', NULL);
    }
    pq_bytes_append_byte(&out, '\0', NULL);
    if (caught_up != NULL) *caught_up = rows != NULL && pqdb_rows_is_caught_up(rows);
    pqdb_rows_close(rows);
    return out;
}

static void check_now(pqdb_db *db, const char *view) {
    char twin[20];
    bool caught_up;
    snprintf(twin, sizeof twin, "%sNow", view);
    struct pq_bytes stored = ask(db, view, NULL, NULL);
    struct pq_bytes now = ask(db, view, "0s", &caught_up), expected = ask(db, twin, NULL, NULL);
    struct pq_bytes after = ask(db, view, NULL, NULL);
    CHECK(strcmp((char *)now.data, (char *)expected.data) == 0, "%s:\n%s---- expected\n%s", view,
          (char *)now.data, (char *)expected.data);
    CHECK(strcmp((char *)stored.data, (char *)after.data) == 0, "%s: what is stored changed", view);
    pqdb_view_state state;
    MUST(pqdb_view_state_get(db, view, &state, &err));
    CHECK(caught_up == (strcmp(state.state, "stale") == 0), "%s is %s", view, state.state);
    pq_bytes_deinit(&stored);
    pq_bytes_deinit(&now);
    pq_bytes_deinit(&expected);
    pq_bytes_deinit(&after);
}

static void put(pqdb_db *db, unsigned number) {
    char row[120];
    snprintf(row, sizeof row, "{\"$id\":\"i%u\",\"kind\":\"k%u\",\"n\":%u,\"owner\":\"o%u\"}",
             number, number * 7 % 5, number * 13 % 50, number % 3);
    const pqdb_write_options options = {.on_conflict = "replace"};
    MUST(pqdb_create(db, "Item", row, strlen(row), &options, NULL, &err));
}

static void change(pqdb_db *db, unsigned at) {
    char filter[60], name[60];
    for (unsigned i = 0; i < 6; i++) put(db, at * 5 + i);
    snprintf(filter, sizeof filter, "{ $id: 'i%u' }", at * 3);
    MUST(pqdb_delete(db, "Item", filter, NULL, NULL, &err));
    snprintf(filter, sizeof filter, "{ kind: 'k%u' }", at % 5);
    const pqdb_edit edit = {filter, "{ $inc: { n: 3 } }"};
    MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    snprintf(name, sizeof name, "{ $set: { name: 'n%u' } }", at % 2);
    const pqdb_edit rename = {"{ $id: 'o1' }", name};
    if (at % 3 == 0) MUST(pqdb_update(db, "Owner", &rename, NULL, NULL, &err));
    pass(minute);
}

static void every_view_that_lags_can_be_asked_for_now(void) {
    struct fault_store *disk;
    pqdb_db *db = begin(&disk);
    for (unsigned at = 0; at < 60; at++) {
        change(db, at);
        for (size_t i = 0; i < view_count; i++) {
            if ((at + i) % 3 != 0) check_now(db, views[i]);
        }
        const char *view = views[at % view_count];
        const bool lags = strcmp(view, "Above") != 0 && strcmp(view, "Count") != 0;
        if (at % 4 == 3 && lags) MUST(pqdb_view_refresh(db, view, at % 8 == 7, NULL, &err));
        if (at % 7 == 5) MUST(pqdb_checkpoint(db, &err));
        if (at % 11 == 10) {
            db = db_reopen(db, with_store(disk));
        }
        for (size_t i = 0; i < view_count; i++) check_now(db, views[i]);
    }
    MUST(pqdb_view_drop(db, "Groups", true, &err));
    check_now(db, "Owned");
    db_end(db, disk);
}

static void a_branch_goes_on_from_where_it_was(void) {
    struct fault_store *disk;
    pqdb_db *db = begin(&disk);
    for (unsigned i = 0; i < 50; i++) put(db, i);
    MUST(pqdb_view_refresh(db, "Groups", false, NULL, &err));
    put(db, 50);
    check_now(db, "Groups");
    const struct pq_db_catch_up *own = pq_db_find(db, pq_text_of("Groups"))->catch_up;
    const struct pq_db_replica *replica = own->replica;
    CHECK(own->base != NULL && own->base == pq_db_find(db, pq_text_of("Groups")), "from the state");
    put(db, 51);
    MUST(pqdb_checkpoint(db, &err));
    put(db, 7);
    check_now(db, "Groups");
    CHECK(own->replica == replica && replica != NULL, "the same branch");
    MUST(pqdb_view_refresh(db, "Groups", false, NULL, &err));
    CHECK(own->replica == NULL, "a refresh ends it");
    db_end(db, disk);
}

static int64_t staleness(pqdb_db *db, const char *view, const char *asked, bool *caught_up) {
    const pqdb_find_options options = {.max_staleness = asked};
    pqdb_rows *rows = NULL;
    MUST(pqdb_find(db, view, &options, &rows, &err));
    const int64_t us = rows == NULL ? -1 : pqdb_rows_staleness_us(rows);
    *caught_up = rows != NULL && pqdb_rows_is_caught_up(rows);
    pqdb_rows_close(rows);
    return us;
}

static void the_age_is_that_of_the_first_commit_that_is_lacking(void) {
    struct fault_store *disk;
    bool caught_up;
    pqdb_db *db = begin(&disk);
    put(db, 1);
    MUST(pqdb_view_refresh(db, "Graced", false, NULL, &err));
    pass(hour);
    CHECK(staleness(db, "Graced", "0s", &caught_up) == 0 && !caught_up, "nothing is lacking");
    put(db, 2);
    pass(5 * minute);
    put(db, 3);
    pass(4 * minute);
    CHECK(staleness(db, "Graced", NULL, &caught_up) == 9 * minute && !caught_up, "within grace");
    CHECK(staleness(db, "Graced", "9m", &caught_up) == 9 * minute && !caught_up, "not older");
    CHECK(staleness(db, "Graced", "8m", &caught_up) == 0 && caught_up, "the smaller holds");
    pass(2 * minute);
    CHECK(staleness(db, "Graced", "1h", &caught_up) == 0 && caught_up, "grace is over");
    char *json = NULL;
    MUST(pqdb_get(db, "Graced", "[]", &json, NULL, &err));
    CHECK(json != NULL && strstr(json, "\"sum\":78") != NULL, "get as well: %s", json);
    pqdb_free(json);
    CHECK(staleness(db, "Groups", NULL, &caught_up) == 11 * minute + hour && !caught_up,
          "without grace whatever its age");
    const pqdb_find_options wrong = {.max_staleness = "5 minutes"};
    pqdb_rows *rows = NULL;
    CHECK(pqdb_find(db, "Graced", &wrong, &rows, &err) == PQDB_INVALID &&
              strstr(err.message, "30s") != NULL, "%s", err.message);
    db_end(db, disk);
}

int main(void) {
    RUN(every_view_that_lags_can_be_asked_for_now);
    RUN(a_branch_goes_on_from_where_it_was);
    RUN(the_age_is_that_of_the_first_commit_that_is_lacking);
    return test_done();
}
