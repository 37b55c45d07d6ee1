/// Goal: every collection and view is answered as it was at any version and time, whatever came
/// after: writes of every kind, checkpoints, merges, another schema, an opening; and the answer
/// says which version it is.
#include <inttypes.h>
#include <parquedb/schema.h>
#include <string.h>

#include "base/bytes.h"
#include "support/db_calls.h"

static const char schema[] =
    "{ Item: { k: 'string!', n: 'int!', to: '-> Box', $history: '400d' },\n"
    "  Box: { size: 'int', $history: '400d' },\n"
    "  Big: { $from: 'Item', $filter: { n: { $gte: 50 } }, $select: { n: '$n', k: '$k' } },\n"
    "  Kinds: { $from: 'Big', $groupBy: ['k'],\n"
    "           $compute: { c: { $count: '*' }, s: { $sum: 'n' }, m: { $max: 'n' } } },\n"
    "  Sizes: { $from: 'Item', $groupBy: ['to.size'], $compute: { c: { $count: '*' } } },\n"
    "  Later: { $from: 'Item', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "           $refresh: { mode: 'manual' } } }";
static const char *const names[] = {"Item", "Box", "Big", "Kinds", "Sizes"};
enum { name_count = sizeof names / sizeof *names, steps = 60 };

static pqdb_error err;

static struct pq_open_with with_store(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.merge_rows = 4;
    return with;
}

/// What was there at a version.
struct moment {
    uint64_t version;
    int64_t time_us;
    struct pq_bytes rows[name_count];
};

static void write_something(pqdb_db *db, unsigned step) {
    char text[1024];
    size_t length = 0;
    const unsigned from = step * 7 % 40;
    switch (step % 6) {
        case 0:
        case 1:
            for (unsigned i = 0; i < 5; i++) {
                length += (size_t)snprintf(
                    text + length, sizeof text - length,
                    "{\"$id\":\"i%03u\",\"k\":\"k%u\",\"n\":%u,\"to\":\"b%u\",\"more\":%u}\n",
                    step * 5 + i, i % 3, (step * 31 + i * 17) % 100, i % 3, step);
            }
            MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
            break;
        case 2:
        case 3: {
            snprintf(text, sizeof text, "{ n: { $gte: %u, $lt: %u } }", from, from + 20);
            const pqdb_edit edit = {.where = text, .operators = "{ $inc: { n: 23 } }"};
            MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
            break;
        }
        case 4: {
            const pqdb_edit edit = {.where = step % 4 == 0 ? "b1" : "b2",
                                    .operators = "{ $inc: { size: 1 } }"};
            MUST(pqdb_update(db, "Box", &edit, NULL, NULL, &err));
            break;
        }
        default:
            snprintf(text, sizeof text, "{ n: { $gte: %u, $lt: %u } }", from + 30, from + 45);
            MUST(pqdb_delete(db, "Item", text, NULL, NULL, &err));
    }
}

static void remember(pqdb_db *db, struct moment *moment) {
    pqdb_status status;
    MUST(pqdb_status_get(db, &status, &err));
    moment->version = status.version;
    moment->time_us = status.time_us;
    for (size_t i = 0; i < name_count; i++) {
        moment->rows[i] = db_rows(db, names[i], NULL);
    }
}

static void check_moment(pqdb_db *db, const struct moment *moment, const char *as_of) {
    for (size_t i = 0; i < name_count; i++) {
        struct pq_bytes rows = db_rows(db, names[i], &(pqdb_find_options){.as_of = as_of});
        CHECK(strcmp((char *)rows.data, (char *)moment->rows[i].data) == 0,
              "%s as of %s:\n%s\nwant\n%s", names[i], as_of, (char *)rows.data,
              (char *)moment->rows[i].data);
        pq_bytes_deinit(&rows);
    }
}

static void check_moments(pqdb_db *db, const struct moment *moments, size_t count, size_t apart) {
    for (size_t i = 0; i < count; i += apart) {
        char as_of[48];
        snprintf(as_of, sizeof as_of, i % 2 == 0 ? "%" PRIu64 : "seq-%" PRIu64,
                 moments[i].version);
        check_moment(db, &moments[i], as_of);
    }
}

static void everything_is_answered_as_it_was(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    static struct moment moments[steps];
    static const char boxes[] = "[{\"$id\":\"b0\",\"size\":1},{\"$id\":\"b1\",\"size\":2},"
                                "{\"$id\":\"b2\",\"size\":3}]";
    MUST(pqdb_create(db, "Box", boxes, strlen(boxes), NULL, NULL, &err));
    for (unsigned step = 0; step < steps; step++) {
        write_something(db, step);
        if (step % 7 == 3) MUST(pqdb_checkpoint(db, &err));
        remember(db, &moments[step]);
        if (step % 11 == 5) check_moments(db, moments, step + 1, 5);
        if (step % 20 != 19) continue;
        db = db_reopen(db, with_store(disk));
    }
    check_moments(db, moments, steps, 1);
    db = db_reopen(db, with_store(disk));
    check_moments(db, moments, steps, 7);
    for (size_t i = 0; i < steps; i++) {
        for (size_t k = 0; k < name_count; k++) pq_bytes_deinit(&moments[i].rows[k]);
    }
    db_end(db, disk);
}

static void put(pqdb_db *db, const char *id, int n) {
    char text[96];
    const int length =
        snprintf(text, sizeof text, "{\"$id\":\"%s\",\"k\":\"a\",\"n\":%d}", id, n);
    MUST(pqdb_create(db, "Item", text, (size_t)length, NULL, NULL, &err));
}

static uint64_t count_at(pqdb_db *db, const char *name, const char *filter, const char *as_of) {
    const pqdb_find_options options = {.filter = filter, .as_of = as_of};
    uint64_t count = UINT64_MAX;
    MUST(pqdb_count_with(db, name, &options, &count, &err));
    return count;
}

static void a_time_is_the_last_commit_up_to_it(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    int64_t times[4];
    for (int i = 0; i < 4; i++) {
        char id[16];
        snprintf(id, sizeof id, "x%d", i);
        put(db, id, i);
        pqdb_status status;
        MUST(pqdb_status_get(db, &status, &err));
        times[i] = status.time_us;
    }
    for (int i = 0; i < 4; i++) {
        for (int early = 0; early < 2; early++) {
            char as_of[64];
            const int64_t us = times[i] - early;
            snprintf(as_of, sizeof as_of, "2026-01-15T%02d:%02d:%02d.%06dZ",
                     (int)(us / 3600000000 % 24), (int)(us / 60000000 % 60),
                     (int)(us / 1000000 % 60), (int)(us % 1000000));
            CHECK(count_at(db, "Item", NULL, as_of) == (uint64_t)(i + 1 - early), "%s", as_of);
        }
    }
    CHECK(count_at(db, "Item", NULL, "2000-01-01") == 0, "before all");
    CHECK(count_at(db, "Item", NULL, "2090-01-01T00:00:00Z") == 4, "behind all");
    CHECK(count_at(db, "Item", NULL, "0") == 0, "nothing yet");
    db_end(db, disk);
}

static void check_refused(pqdb_db *db, const char *name, const char *as_of, pqdb_code want) {
    const pqdb_find_options options = {.as_of = as_of};
    uint64_t count;
    const pqdb_code code = pqdb_count_with(db, name, &options, &count, &err);
    CHECK(code == want, "%s as of %s: code %d: %s", name, as_of, (int)code,
          code == PQDB_OK ? "answered" : err.message);
}

static void what_is_no_moment_is_refused(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    put(db, "x", 1);
    check_refused(db, "Item", "2", PQDB_INVALID);
    check_refused(db, "Item", "yesterday", PQDB_INVALID);
    check_refused(db, "Item", "seq-", PQDB_INVALID);
    check_refused(db, "Item", "-1", PQDB_INVALID);
    check_refused(db, "Nobody", "1", PQDB_NOT_FOUND);
    check_refused(db, "Later", "1", PQDB_NOT_FOUND);
    db_end(db, disk);
}

static void a_manual_view_shows_its_last_refresh_until_then(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    put(db, "x", 1);
    put(db, "y", 1);
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));  // 3, of 2
    put(db, "z", 1);
    put(db, "u", 1);
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));  // 6, of 5
    put(db, "v", 1);
    CHECK(count_at(db, "Later", "{ c: 2 }", "3") == 1, "at 3");
    CHECK(count_at(db, "Later", "{ c: 2 }", "5") == 1, "at 5");
    CHECK(count_at(db, "Later", "{ c: 4 }", "seq-7") == 1, "at 7");
    check_refused(db, "Later", "2", PQDB_NOT_FOUND);
    const pqdb_find_options options = {.as_of = "5"};
    pqdb_rows *rows;
    MUST(pqdb_find(db, "Later", &options, &rows, &err));
    CHECK(pqdb_rows_version(rows) == 2, "%" PRIu64, pqdb_rows_version(rows));
    CHECK(strcmp(pqdb_rows_note(rows), "Later as of seq-2") == 0, "%s", pqdb_rows_note(rows));
    pqdb_rows_close(rows);
    db_end(db, disk);
}

static void rows_of_before_are_shown_in_the_shape_of_now(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    put(db, "x", 1);
    put(db, "y", 60);
    MUST(pqdb_delete(db, "Item", "x", NULL, NULL, &err));
    static const char next[] =
        "{ Item: { $was: { kind: 'k' }, kind: 'string!', n: 'int!', to: '-> Box', more: 'int',\n"
        "          $history: '400d' }, Box: { size: 'int' } }";
    MUST(pqdb_schema_apply(db, next, strlen(next), NULL, NULL, &err));
    CHECK(count_at(db, "Item", "{ kind: 'a' }", "2") == 2, "both");
    CHECK(count_at(db, "Item", "{ kind: 'a', more: null }", "3") == 1, "one");
    db_end(db, disk);
}

static void a_value_of_before_its_declaration_is_shown_once(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    static const char row[] = "{\"$id\":\"x\",\"k\":\"a\",\"n\":1,\"more\":7}";
    MUST(pqdb_create(db, "Item", row, strlen(row), NULL, NULL, &err));
    const pqdb_edit without = {"x", "{ $unset: { more: true } }"};
    MUST(pqdb_update(db, "Item", &without, NULL, NULL, &err));
    static const char next[] = "{ Item: { k: 'string!', n: 'int!', to: '-> Box', more: 'int',\n"
                               "          $history: '400d' }, Box: { size: 'int' } }";
    MUST(pqdb_schema_apply(db, next, strlen(next), NULL, NULL, &err));
    struct pq_bytes rows = db_rows(db, "Item", &(pqdb_find_options){.as_of = "1"});
    const char *first = strstr((const char *)rows.data, "\"more\":");
    CHECK(first != NULL && strncmp(first, "\"more\":7", 8) == 0, "%s", (const char *)rows.data);
    CHECK(first != NULL && strstr(first + 1, "\"more\":") == NULL, "%s",
          (const char *)rows.data);
    pq_bytes_deinit(&rows);
    db_end(db, disk);
}

static void what_is_older_than_history_is_forgotten(void) {
    struct fault_store *disk = fault_store_create();
    struct pq_open_with with = db_with(disk);
    with.log_segment_bytes = 1 << 12;
    static const char brief[] = "{ Item: { k: 'string!', n: 'int!', $history: '1ms' } }";
    pqdb_db *db = db_make(with, brief);
    for (int i = 0; i < 400; i++) {
        char id[16];
        snprintf(id, sizeof id, "x%d", i);
        put(db, id, i);
        if (i % 100 == 99) MUST(pqdb_checkpoint(db, &err));
    }
    check_refused(db, "Item", "1", PQDB_NOT_FOUND);
    CHECK(strstr(err.message, "known back to seq-") != NULL, "%s", err.message);
    check_refused(db, "Item", "2026-01-01", PQDB_NOT_FOUND);
    char as_of[32];
    snprintf(as_of, sizeof as_of, "%" PRIu64, pqdb_log_first(db));
    CHECK(count_at(db, "Item", NULL, as_of) == pqdb_log_first(db), "the oldest that is known");
    db_end(db, disk);
}

int main(void) {
    RUN(everything_is_answered_as_it_was);
    RUN(a_time_is_the_last_commit_up_to_it);
    RUN(what_is_no_moment_is_refused);
    RUN(a_manual_view_shows_its_last_refresh_until_then);
    RUN(rows_of_before_are_shown_in_the_shape_of_now);
    RUN(a_value_of_before_its_declaration_is_shown_once);
    RUN(what_is_older_than_history_is_forgotten);
    return test_done();
}
