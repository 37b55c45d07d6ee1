/// Goal: a view whose definition has changed shows its old contents, with their columns and their
/// version, until the new ones are there: also when the database is opened in between, from
/// whatever root, and whatever became of what they were made from.
#include <inttypes.h>
#include <parquedb/check.h>
#include <parquedb/schema.h>
#include <string.h>

#include "db/check_internal.h"
#include "support/db_calls.h"

static pqdb_error err;

#define COLLECTIONS " Item: { k: 'string!', n: 'int!' }, Other: { n: 'int!' },\n"
#define OLD " V: { $from: 'Item', $select: { k: '$k', more: '$more' } },\n"
/// Does not fit.
#define BAD " V: { $from: 'Item', $compute: { sum: { $sum: 'n' } } },\n"
#define GOOD " V: { $from: 'Item', $compute: { rows: { $count: '*' } } },\n"
#define ABOVE " Above: { $from: 'V' },\n"

static const char with_old[] = "{" COLLECTIONS OLD ABOVE "}";
static const char with_bad[] = "{" COLLECTIONS BAD ABOVE "}";
static const char with_good[] = "{" COLLECTIONS GOOD ABOVE "}";
static const char old_rows[] = "{\"$id\":\"a\",\"k\":\"x\",\"more\":{\"of\":[1,\"x\"]}}\n"
                               "{\"$id\":\"b\",\"k\":\"y\",\"more\":null}\n";

static pqdb_code apply(pqdb_db *db, const char *schema, const char *may_drop) {
    const pqdb_schema_options options = {.allow_drop = &may_drop,
                                         .allow_drop_count = may_drop != NULL};
    return pqdb_schema_apply(db, schema, strlen(schema), &options, NULL, &err);
}

/// A database at version 2, in which V shows version 1.
static pqdb_db *make(struct fault_store *disk) {
    pqdb_db *db = db_make(db_with(disk), with_old);
    db_put(db, "Item", "[{\"$id\":\"a\",\"k\":\"x\",\"n\":9223372036854775807,"
                       "\"more\":{\"of\":[1,\"x\"]}},{\"$id\":\"b\",\"k\":\"y\",\"n\":1}]");
    return db;
}

static void check_old(pqdb_db *db, const char *view, uint64_t version) {
    pqdb_view_state state = {0};
    pqdb_rows *rows = NULL;
    db_check_rows(db, view, old_rows);
    MUST(pqdb_view_state_get(db, view, &state, &err));
    CHECK(strcmp(state.state, "stale") == 0 && state.version == version && state.rows == 2,
          "%s is %s at %" PRIu64 " with %" PRIu64 " rows (%s)", view, state.state, state.version,
          state.rows, state.reason);
    CHECK(strstr(state.reason, "its definition changed") != NULL, "%s", state.reason);
    MUST(pqdb_find(db, view, NULL, &rows, &err));
    CHECK(pqdb_rows_version(rows) == version && strstr(pqdb_rows_note(rows), "stale") != NULL,
          "at %" PRIu64 ": %s", pqdb_rows_version(rows), pqdb_rows_note(rows));
    pqdb_rows_close(rows);
    CHECK(db_count(db, view, "{ k: 'y' }") == 1, "a filter");
    CHECK(db_count(db, view, "{ 'more.of': { $size: 2 } }") == 1, "a path");
}

static void count_unnamed(void *ctx, const char *file, uint64_t bytes) {
    (void)bytes;
    fprintf(stderr, "    nothing names %s\n", file);
    ++*(int *)ctx;
}

static void check_files(struct fault_store *disk) {
    int unnamed = 0;
    const struct pq_open_with with = db_with(disk);
    const pqdb_check_options options = {.on_unnamed = count_unnamed, .ctx = &unnamed};
    pqdb_checked checked = {0};
    MUST(pq_db_check_with(&with, &options, &checked, &err));
    CHECK(checked.damages == 0 && unnamed == 0, "%" PRIu64 " damages", (uint64_t)checked.damages);
}

static pqdb_db *reopen(pqdb_db *db, struct fault_store *disk) {
    MUST(pqdb_close(db, &err));
    check_files(disk);
    return db_open(db_with(disk));
}

/// After a reopen from the root of the old definition, and from those that name the old contents.
static void old_contents_stay_until_the_new_ones_are_there(void) {
    for (int in_files = 0; in_files < 2; in_files++) {
        struct fault_store *disk = fault_store_create();
        pqdb_db *db = make(disk);
        if (in_files) MUST(pqdb_checkpoint(db, &err));
        CHECK(apply(db, with_bad, NULL) == PQDB_LIMIT, "%s", err.message);
        for (int round = 0; round < 5; round++) {
            check_old(db, "V", 1);
            check_old(db, "Above", 1);
            if (round > 0) db_put(db, "Item", "{\"k\":\"z\",\"n\":1}");
            if (round > 1) MUST(pqdb_checkpoint(db, &err));
            check_old(db, "V", 1);
            db = reopen(db, disk);
        }
        MUST(apply(db, with_good, NULL));
        for (int round = 0; round < 3; round++) {
            db_check_rows(db, "Above", "{\"$id\":\"[]\",\"rows\":6}\n");
            db_verify(db, "V");
            MUST(pqdb_checkpoint(db, &err));
            db = reopen(db, disk);
        }
        CHECK(db_files(&disk->base, "_views/V/data") <= 2, "%zu files",
              db_files(&disk->base, "_views/V/data"));
        db_end(db, disk);
    }
}

/// Taken back, what is shown is of the right definition but of an old version.
static void old_contents_are_never_taken_for_those_of_the_definition(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk);
    CHECK(apply(db, with_bad, NULL) == PQDB_LIMIT, "%s", err.message);
    MUST(pqdb_checkpoint(db, &err));
    db_put(db, "Item", "{\"$id\":\"c\",\"k\":\"z\",\"n\":1}");
    MUST(pqdb_close(db, &err));
    MUST(pq_store_write_file(&disk->base, "schema.json5", pq_text_of(with_old), &err));
    db = db_open(db_with(disk));
    CHECK(db_count(db, "V", NULL) == 3 && db_count(db, "Above", NULL) == 3, "rows");
    db_verify(db, "V");
    db = reopen(db, disk);
    CHECK(db_count(db, "V", NULL) == 3, "rows");
    db_end(db, disk);
}

/// Variants of the old rows have the names of a collection that is gone.
static void old_contents_outlive_the_collection_they_came_from(void) {
    static const char without[] =
        "{ Other: { n: 'int!' },\n"
        "  V: { $from: 'Other', $compute: { sum: { $sum: 'n' } } }, " ABOVE "}";
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk);
    db_put(db, "Other", "[{\"n\":9223372036854775807},{\"n\":1}]");
    CHECK(apply(db, without, "Item") == PQDB_LIMIT, "%s", err.message);
    for (int round = 0; round < 4; round++) {
        check_old(db, "V", 2);
        check_old(db, "Above", 2);
        if (round > 0) MUST(pqdb_checkpoint(db, &err));
        db = reopen(db, disk);
    }
    MUST(pqdb_delete(db, "Other", "{ n: 1 }", NULL, NULL, &err));
    MUST(pqdb_view_refresh(db, "V", false, NULL, &err));
    db_verify(db, "V");
    MUST(pqdb_view_drop(db, "V", true, &err));
    MUST(pqdb_checkpoint(db, &err));
    db = reopen(db, disk);
    db_end(db, disk);
}

static void a_reader_shows_them_where_a_build_would_take_long(void) {
    struct fault_store *disk = fault_store_create();
    struct pq_open_with with = db_with(disk);
    const pqdb_options options = {.read_only = true};
    pqdb_db *db = make(disk), *reader = NULL;
    MUST(pqdb_checkpoint(db, &err));
    MUST(pqdb_close(db, &err));
    MUST(pq_store_write_file(&disk->base, "schema.json5", pq_text_of(with_good), &err));
    with.wait_rows = 1;
    MUST(pq_db_open_with(&with, &options, &reader, &err));
    check_old(reader, "V", 1);
    check_old(reader, "Above", 1);
    MUST(pqdb_close(reader, &err));
    with.wait_rows = 0;
    MUST(pq_db_open_with(&with, &options, &reader, &err));
    db_check_rows(reader, "V", "{\"$id\":\"[]\",\"rows\":2}\n");
    MUST(pqdb_close(reader, &err));
    db = db_open(db_with(disk));
    db_check_rows(db, "V", "{\"$id\":\"[]\",\"rows\":2}\n");
    db_end(db, disk);
}

/// A view that lags shows what it was refreshed to.
static void a_scheduled_view_shows_the_version_of_its_last_refresh(void) {
#define SCHEDULED(definition) "{ Item: { k: 'string!', n: 'int!' },\n V: { $from: 'Item', "        \
    definition ", $refresh: { mode: 'scheduled', schedule: '@daily' } } }"
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), SCHEDULED("$select: { k: '$k', more: '$more' }"));
    db_put(db, "Item", "[{\"$id\":\"a\",\"k\":\"x\",\"n\":9223372036854775807,"
                       "\"more\":{\"of\":[1,\"x\"]}},{\"$id\":\"b\",\"k\":\"y\",\"n\":1}]");
    MUST(pqdb_view_refresh(db, "V", true, NULL, &err));
    db_put(db, "Item", "{\"$id\":\"c\",\"k\":\"z\",\"n\":1}");
    CHECK(apply(db, SCHEDULED("$compute: { sum: { $sum: 'n' } }"), NULL) == PQDB_LIMIT, "%s",
          err.message);
    for (int round = 0; round < 4; round++) {
        check_old(db, "V", 2);
        if (round > 0) MUST(pqdb_checkpoint(db, &err));
        db = reopen(db, disk);
    }
    db_end(db, disk);
}

// ---- what nothing could make again ------------------------------------------------------------

#define APPENDS(definition) "{ Item: { k: 'string!', n: 'int!' },\n V: { $from: 'Item', "          \
    definition ", $refresh: { strategy: 'append' } } }"

static void an_edit_that_would_discard_is_refused_each_time(void) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = db_with(disk);
    pqdb_db *db = db_make(with, APPENDS("$select: { k: '$k' }"));
    db_put(db, "Item", "{\"$id\":\"a\",\"k\":\"x\",\"n\":1}");
    MUST(pqdb_checkpoint(db, &err));
    MUST(pqdb_close(db, &err));
    const char edited[] = APPENDS("$select: { n: '$n' }");
    MUST(pq_store_write_file(&disk->base, "schema.json5", pq_text_of(edited), &err));
    for (int i = 0; i < 3; i++) {
        CHECK(pq_db_open_with(&with, NULL, &db, &err) == PQDB_INVALID, "opened");
        CHECK(strstr(err.message, "appended") != NULL, "%s", err.message);
    }
    MUST(pq_store_write_file(&disk->base, "schema.json5",
                             pq_text_of(APPENDS("$select: { k: '$k' }")), &err));
    db = db_open(with);
    db_check_rows(db, "V", "{\"$id\":\"a@1\",\"k\":\"x\"}\n");
    db_end(db, disk);
}

/// The power fails in each call of a change that was allowed to discard.
static void a_change_that_may_discard_is_whole_after_a_crash(void) {
    const char edited[] = APPENDS("$select: { n: '$n' }");
    for (long down_at = 0, is_down = 1; is_down; down_at++) {
        struct fault_store *disk = fault_store_create();
        pqdb_db *db = db_make(db_with(disk), APPENDS("$select: { k: '$k' }"));
        db_put(db, "Item", "{\"$id\":\"a\",\"k\":\"x\",\"n\":1}");
        MUST(pqdb_checkpoint(db, &err));
        disk->down_at = disk->calls + down_at;
        apply(db, edited, "V");
        is_down = disk->is_down;
        pqdb_close(db, NULL);
        struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
        fault_store_destroy(disk);
        db = db_open(db_with(next));
        struct pq_bytes rows = db_rows(db, "V", NULL);
        const bool is_old = strstr((char *)rows.data, "\"k\":\"x\"") != NULL;
        CHECK(is_old || strstr((char *)rows.data, "\"n\":1") != NULL, "call %ld: %s", down_at,
              (char *)rows.data);
        pq_bytes_deinit(&rows);
        db_end(db, next);
    }
}

int main(void) {
    RUN(old_contents_stay_until_the_new_ones_are_there);
    RUN(old_contents_are_never_taken_for_those_of_the_definition);
    RUN(old_contents_outlive_the_collection_they_came_from);
    RUN(a_reader_shows_them_where_a_build_would_take_long);
    RUN(a_scheduled_view_shows_the_version_of_its_last_refresh);
    RUN(an_edit_that_would_discard_is_refused_each_time);
    RUN(a_change_that_may_discard_is_whole_after_a_crash);
    return test_done();
}
