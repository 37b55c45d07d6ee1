/// Goal: a view that appends gets what is created, once, as it is then, and keeps it whatever
/// becomes of its sources, through restarts, crashes, checkpoints and failures.
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "support/db_calls.h"
#include "support/moving_clock.h"

#define APPEND(more) ", $refresh: { strategy: 'append'" more " } },\n"

static const char schema[] =
    "{ Owner: { name: 'string!' },\n"
    "  Item: { kind: 'string!', n: 'int!', owner: '-> Owner' },\n"
    "  Small: { $from: 'Item', $filter: { n: { $lt: 50 } } },\n"
    "  Seen: { $from: 'Item', $select: { n: '$n', owner: '$owner.name' }" APPEND("")
    "  SeenSmall: { $from: 'Small', $select: { n: '$n' }" APPEND("")
    "  Sums: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } }" APPEND("")
    "  Rolled: { $from: 'Item', $compute: { rows: { $count: '*' }, sum: { $sum: 'n' } }"
    APPEND(", mode: 'manual'")
    "  RolledSmall: { $from: 'Small', $groupBy: ['kind'], $compute: { rows: { $count: '*' } }"
    APPEND(", mode: 'scheduled', schedule: '0 * * * *'")
    "  Above: { $from: 'Sums', $groupBy: ['kind'], $compute: { sum: { $sum: 'sum' } } },\n"
    "}";

static const char *const views[] = {"Seen", "SeenSmall", "Sums", "Rolled", "RolledSmall", "Above"};
enum { view_count = sizeof views / sizeof *views };

static pqdb_error err;

static struct pq_open_with with_store(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.env = &moving_env;
    with.log_segment_bytes = 1 << 13;
    return with;
}

static pqdb_code open_on(struct fault_store *disk, pqdb_db **db) {
    const struct pq_open_with with = with_store(disk);
    return pq_db_open_with(&with, NULL, db, &err);
}

static struct fault_store *make(const char *text) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = with_store(disk);
    clock_us = march_2026 + minute;
    MUST(pq_db_init_with(&with, pq_text_of(text), &err));
    return disk;
}

static pqdb_code put(pqdb_db *db, const char *into, const char *rows) {
    return pqdb_create(db, into, rows, strlen(rows), NULL, NULL, &err);
}

static void what_is_created_is_appended_and_stays(void) {
    struct fault_store *disk = make(schema);
    pqdb_db *db = db_open(with_store(disk));
    MUST(put(db, "Owner", "{\"$id\":\"o\",\"name\":\"ann\"}"));  // seq-1
    MUST(put(db, "Item", "[{\"$id\":\"a\",\"kind\":\"x\",\"n\":1,\"owner\":\"o\"},"
                         "{\"$id\":\"b\",\"kind\":\"x\",\"n\":70}]"));  // seq-2
    const pqdb_edit edit = {"{ $id: 'a' }", "{ $set: { n: 5 } }"};
    MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    MUST(pqdb_delete(db, "Item", "{ $id: 'b' }", NULL, NULL, &err));
    const pqdb_edit rename = {"{ $id: 'o' }", "{ $set: { name: 'bob' } }"};
    MUST(pqdb_update(db, "Owner", &rename, NULL, NULL, &err));  // seq-5
    MUST(put(db, "Item", "{\"$id\":\"b\",\"kind\":\"y\",\"n\":9,\"owner\":\"o\"}"));
    db_check_rows(db, "Seen", "{\"$id\":\"a@2\",\"n\":1,\"owner\":\"ann\"}\n"
                           "{\"$id\":\"b@2\",\"n\":70,\"owner\":null}\n"
                           "{\"$id\":\"b@6\",\"n\":9,\"owner\":\"bob\"}\n");
    db_check_rows(db, "SeenSmall", "{\"$id\":\"a@2\",\"n\":1}\n{\"$id\":\"b@6\",\"n\":9}\n");
    db_check_rows(db, "Sums", "{\"$id\":\"[\\\"x\\\"]@2\",\"kind\":\"x\",\"sum\":71}\n"
                           "{\"$id\":\"[\\\"y\\\"]@6\",\"kind\":\"y\",\"sum\":9}\n");
    db_check_rows(db, "Above", "{\"$id\":\"[\\\"x\\\"]\",\"kind\":\"x\",\"sum\":71}\n"
                            "{\"$id\":\"[\\\"y\\\"]\",\"kind\":\"y\",\"sum\":9}\n");
    db_check_rows(db, "Rolled", "");
    MUST(pqdb_view_refresh(db, "Rolled", false, NULL, &err));  // seq-7: as they are now
    db_check_rows(db, "Rolled", "{\"$id\":\"[]@7\",\"rows\":2,\"sum\":14}\n");
    MUST(pqdb_view_refresh(db, "Rolled", false, NULL, &err));
    const pqdb_edit more = {"{}", "{ $inc: { n: 1 } }"};
    MUST(pqdb_update(db, "Item", &more, NULL, NULL, &err));
    MUST(put(db, "Item", "{\"$id\":\"c\",\"kind\":\"y\",\"n\":3}"));
    MUST(pqdb_view_refresh(db, "Rolled", false, NULL, &err));  // seq-10
    db_check_rows(db, "Rolled", "{\"$id\":\"[]@10\",\"rows\":1,\"sum\":3}\n"
                             "{\"$id\":\"[]@7\",\"rows\":2,\"sum\":14}\n");
    CHECK(pqdb_view_refresh(db, "Rolled", true, NULL, &err) == PQDB_INVALID &&
              strstr(err.message, "--discard") != NULL, "%s", err.message);
    CHECK(pqdb_view_verify(db, "Rolled", NULL, NULL, NULL, &err) == PQDB_UNSUPPORTED, "verify");
    MUST(pqdb_view_discard(db, "Sums", NULL, &err));  // seq-11
    for (int round = 0; round < 3; round++) {
        db_check_rows(db, "Sums", "{\"$id\":\"[\\\"x\\\"]@11\",\"kind\":\"x\",\"sum\":6}\n"
                               "{\"$id\":\"[\\\"y\\\"]@11\",\"kind\":\"y\",\"sum\":13}\n");
        db_check_rows(db, "Above", "{\"$id\":\"[\\\"x\\\"]\",\"kind\":\"x\",\"sum\":6}\n"
                                "{\"$id\":\"[\\\"y\\\"]\",\"kind\":\"y\",\"sum\":13}\n");
        if (round == 1) MUST(pqdb_checkpoint(db, &err));
        db = db_reopen(db, with_store(disk));
    }
    db_end(db, disk);
}

/// Everything that changes what is there, and refreshes; the same each time.
static pqdb_code work(pqdb_db *db, int round) {
    char rows[200], filter[40];
    pqdb_code code = PQDB_OK;
    for (int i = 0; code == PQDB_OK && i < 3; i++) {
        const int at = round * 3 + i;
        snprintf(rows, sizeof rows,
                 "[{\"$id\":\"r%d\",\"kind\":\"k%d\",\"n\":%d,\"owner\":\"o\"},"
                 "{\"$id\":\"s%d\",\"kind\":\"k%d\",\"n\":%d}]", at, at % 3, at * 7 % 90, at,
                 at % 2, at * 11 % 90);
        code = put(db, "Item", rows);
        const pqdb_edit edit = {"{ kind: 'k1' }", "{ $inc: { n: 20 } }"};
        if (code == PQDB_OK) code = pqdb_update(db, "Item", &edit, NULL, NULL, &err);
        snprintf(filter, sizeof filter, "{ $id: 's%d' }", at - 1);
        if (code == PQDB_OK) code = pqdb_delete(db, "Item", filter, NULL, NULL, &err);
    }
    pass(hour);
    if (code == PQDB_OK) code = pqdb_view_refresh(db, "Rolled", false, NULL, &err);
    if (code == PQDB_OK) code = pqdb_view_refresh_due(db, "RolledSmall", NULL, &err);
    if (code == PQDB_OK && round == 2) code = pqdb_view_discard(db, "Rolled", NULL, &err);
    if (code == PQDB_OK && round % 2 == 1) code = pqdb_checkpoint(db, &err);
    return code;
}

static void restarts_add_nothing_and_lose_nothing(void) {
    struct fault_store *disk = make(schema);
    pqdb_db *db = db_open(with_store(disk));
    MUST(put(db, "Owner", "{\"$id\":\"o\",\"name\":\"ann\"}"));
    for (int round = 0; round < 6; round++) {
        MUST(work(db, round));
        struct pq_bytes before[view_count];
        for (size_t i = 0; i < view_count; i++) before[i] = db_rows(db, views[i], NULL);
        db = db_reopen(db, with_store(disk));
        for (size_t i = 0; i < view_count; i++) {
            db_check_rows(db, views[i], (const char *)before[i].data);
            pq_bytes_deinit(&before[i]);
        }
    }
    db_end(db, disk);
}

/// Every line of `before` is one of `after`.
static void check_kept(const char *view, const char *before, const char *after, long call) {
    while (*before != '\0') {
        const size_t length = (size_t)(strchr(before, '\n') - before) + 1;
        bool found = false;
        for (const char *at = after; !found && *at != '\0'; at = strchr(at, '\n') + 1) {
            found = strncmp(at, before, length) == 0;
        }
        CHECK(found, "call %ld: %s lost %.*s", call, view, (int)length - 1, before);
        before += length;
    }
}

/// One life, cut off at any call: what was shown is there afterwards as it was, and once.
static void a_crash_takes_nothing_back(void) {
    long calls = 1;
    for (long call = 0; call < calls; call += 3) {
        struct fault_store *disk = make(schema);
        pqdb_db *db = NULL;
        struct pq_bytes before[view_count];
        const long begun = disk->calls;
        const bool counts = call == 0;
        if (!counts) disk->down_at = begun + call;
        pqdb_code code = open_on(disk, &db);
        for (size_t i = 0; i < view_count; i++) pq_bytes_init(&before[i], &pq_alloc_libc);
        if (code == PQDB_OK) code = put(db, "Owner", "{\"$id\":\"o\",\"name\":\"ann\"}");
        for (int round = 0; code == PQDB_OK && round < 2; round++) {
            code = work(db, round);
            for (size_t i = 0; code == PQDB_OK && i < view_count; i++) {
                pq_bytes_deinit(&before[i]);
                before[i] = db_rows(db, views[i], NULL);
            }
        }
        pqdb_close(db, NULL);
        if (counts) calls = disk->calls - begun;
        struct fault_store *next = fault_store_crash(disk, FAULT_SOME_KEPT, (uint64_t)call);
        db = db_open(with_store(next));
        for (size_t i = 0; i < view_count; i++) {
            struct pq_bytes after = db_rows(db, views[i], NULL);
            const bool stays = strcmp(views[i], "Above") != 0;
            if (before[i].length > 0 && stays) {
                check_kept(views[i], (const char *)before[i].data, (const char *)after.data, call);
            }
            pq_bytes_deinit(&after);
            pq_bytes_deinit(&before[i]);
        }
        pqdb_verified verified = {.differences = 1};
        MUST(pqdb_view_verify(db, "Above", NULL, NULL, &verified, &err));
        CHECK(verified.differences == 0, "call %ld: Above", call);
        pqdb_close(db, NULL);
        fault_store_destroy(next);
        fault_store_destroy(disk);
    }
    fprintf(stderr, "    %ld calls\n", calls);
}

static void a_failure_is_made_good_by_the_next_refresh(void) {
    struct fault_store *disk = make(schema);
    pqdb_db *db = db_open(with_store(disk));
    MUST(put(db, "Item", "{\"$id\":\"a\",\"kind\":\"x\",\"n\":1}"));
    MUST(put(db, "Item", "[{\"$id\":\"b\",\"kind\":\"x\",\"n\":9223372036854775807},"
                         "{\"$id\":\"c\",\"kind\":\"x\",\"n\":1}]"));
    pqdb_view_state state;
    MUST(pqdb_view_state_get(db, "Sums", &state, &err));
    CHECK(state.last_error[0] != '\0' && strcmp(state.state, "stale") == 0, "%s", state.state);
    MUST(put(db, "Item", "{\"$id\":\"d\",\"kind\":\"x\",\"n\":5}"));
    db_check_rows(db, "Sums", "{\"$id\":\"[\\\"x\\\"]@1\",\"kind\":\"x\",\"sum\":1}\n");
    db = db_reopen(db, with_store(disk));
    db_check_rows(db, "Sums", "{\"$id\":\"[\\\"x\\\"]@1\",\"kind\":\"x\",\"sum\":1}\n");
    MUST(pqdb_delete(db, "Item", "{ $id: 'b' }", NULL, NULL, &err));  // seq-4
    MUST(pqdb_view_refresh(db, "Sums", false, NULL, &err));
    for (int round = 0; round < 2; round++) {
        db_check_rows(db, "Sums", "{\"$id\":\"[\\\"x\\\"]@1\",\"kind\":\"x\",\"sum\":1}\n"
                               "{\"$id\":\"[\\\"x\\\"]@5\",\"kind\":\"x\",\"sum\":6}\n");
        db = db_reopen(db, with_store(disk));
    }
    MUST(pqdb_view_create(db, "Late", "{ $from: 'Item', $select: { n: '$n' },"
                                      " $refresh: { strategy: 'append' } }", NULL, NULL, &err));
    MUST(put(db, "Item", "{\"$id\":\"e\",\"kind\":\"x\",\"n\":7}"));
    db_check_rows(db, "Late", "{\"$id\":\"a@7\",\"n\":1}\n{\"$id\":\"c@7\",\"n\":1}\n"
                           "{\"$id\":\"d@7\",\"n\":5}\n{\"$id\":\"e@8\",\"n\":7}\n");
    CHECK(pqdb_view_create(db, "On", "{ $from: 'Sums', $refresh: { strategy: 'append' } }", NULL,
                           NULL, &err) == PQDB_INVALID, "a view on what is not created rows");
    db_end(db, disk);
}

static void what_was_created_while_it_lagged_is_appended_once_it_streams(void) {
    struct fault_store *disk = make(schema);
    pqdb_db *db = db_open(with_store(disk));
    MUST(put(db, "Item", "{\"$id\":\"a\",\"kind\":\"x\",\"n\":1}"));  // seq-1
    MUST(pqdb_view_alter(db, "Seen", "{ mode: 'manual' }", NULL, NULL, &err));  // seq-2
    MUST(put(db, "Item", "{\"$id\":\"b\",\"kind\":\"x\",\"n\":2}"));  // seq-3
    db_check_rows(db, "Seen", "{\"$id\":\"a@1\",\"n\":1,\"owner\":null}\n");
    MUST(pqdb_view_alter(db, "Seen", "{ mode: 'streaming' }", NULL, NULL, &err));  // seq-4, 5
    MUST(put(db, "Item", "{\"$id\":\"c\",\"kind\":\"x\",\"n\":3}"));  // seq-6
    for (int round = 0; round < 2; round++) {
        db_check_rows(db, "Seen", "{\"$id\":\"a@1\",\"n\":1,\"owner\":null}\n"
                                  "{\"$id\":\"b@5\",\"n\":2,\"owner\":null}\n"
                                  "{\"$id\":\"c@6\",\"n\":3,\"owner\":null}\n");
        db = db_reopen(db, with_store(disk));
    }
    db_end(db, disk);
}

/// Created among others, without a checkpoint before: replay makes its rows where it made them.
static void a_view_that_is_created_later_appends_from_there_on(void) {
    struct fault_store *disk = make("{ Item: { n: 'int!' } }");
    pqdb_db *db = db_open(with_store(disk));
    MUST(put(db, "Item", "{\"$id\":\"a\",\"n\":1}"));  // seq-1
    MUST(put(db, "Item", "{\"$id\":\"b\",\"n\":2}"));
    MUST(pqdb_view_create(db, "Sum", "{ $from: 'Item', $compute: { sum: { $sum: 'n' } }"
                          ", $refresh: { strategy: 'append' } }", NULL, NULL, &err));
    MUST(put(db, "Item", "{\"$id\":\"c\",\"n\":3}"));
    for (int round = 0; round < 3; round++) {
        db_check_rows(db, "Sum", "{\"$id\":\"[]@4\",\"sum\":3}\n"
                      "{\"$id\":\"[]@5\",\"sum\":3}\n");
        db = db_reopen(db, with_store(disk));
        if (round == 1) MUST(pqdb_checkpoint(db, &err));
    }
    db_end(db, disk);
}

int main(void) {
    RUN(what_is_created_is_appended_and_stays);
    RUN(restarts_add_nothing_and_lose_nothing);
    RUN(a_crash_takes_nothing_back);
    RUN(a_failure_is_made_good_by_the_next_refresh);
    RUN(what_was_created_while_it_lagged_is_appended_once_it_streams);
    RUN(a_view_that_is_created_later_appends_from_there_on);
    return test_done();
}
