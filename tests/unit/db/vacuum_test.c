/// Goal: vacuum drops what nobody wants any more, and nothing that somebody reads: not an open
/// answer, not the current snapshot, not the database itself.
#include <inttypes.h>
#include <string.h>

#include "db/open_with.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

static const char schema[] =
    "{ Item: { k: 'string!', n: 'int!' }, Low: { $from: 'Item', $filter: { n: { $lt: 90 } } } }";

static pqdb_error err;

#define MUST(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

static pqdb_db *open_on(struct fault_store *disk) {
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///vacuum",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .merge_rows = 1, .no_keeper = true};
    pqdb_db *db = NULL;
    MUST(pq_db_open_with(&with, NULL, &db, &err));
    if (db == NULL) exit(test_done());
    return db;
}

static pqdb_db *make(struct fault_store *disk) {
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///vacuum",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .no_keeper = true};
    MUST(pq_db_init_with(&with, pq_text_of(schema), &err));
    return open_on(disk);
}

/// A snapshot more, in which most files of before are written anew.
static void go_on(pqdb_db *db, unsigned round) {
    char text[4096];
    size_t length = 0;
    for (unsigned i = 0; i < 40; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"$id\":\"i%u.%02u\",\"k\":\"a\",\"n\":%u}\n", round, i, i);
    }
    MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
    const pqdb_edit edit = {.where = "{ n: { $lt: 30 } }", .operators = "{ $inc: { n: 1 } }"};
    MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    MUST(pqdb_checkpoint(db, &err));
}

static size_t count_files(struct fault_store *disk, const char *directory) {
    struct pq_arena arena;
    struct pq_store_list list = {0};
    pq_arena_init(&arena, &pq_alloc_libc);
    MUST(pq_store_list(&disk->base, directory, &arena, &list, &err));
    const size_t count = list.count;
    pq_arena_deinit(&arena);
    return count;
}

static uint64_t read_all(pqdb_rows *rows) {
    uint64_t count = 0;
    for (bool has_row = true;; count++) {
        MUST(pqdb_rows_next(rows, &has_row, &err));
        if (!has_row) return count;
    }
}

static void verify(pqdb_db *db) {
    pqdb_verified verified = {0};
    MUST(pqdb_view_verify(db, "Low", NULL, NULL, &verified, &err));
    CHECK(verified.differences == 0, "%" PRIu64 " differences", verified.differences);
}

static void what_nobody_wants_goes_and_what_is_read_stays(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk);
    for (unsigned i = 0; i < 3; i++) go_on(db, i);
    pqdb_rows *rows;
    MUST(pqdb_find(db, "Low", NULL, &rows, &err));
    for (unsigned i = 3; i < 6; i++) go_on(db, i);
    const size_t before = count_files(disk, "_views/Low/data");
    pqdb_vacuumed vacuumed;
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 3 && vacuumed.files > 0, "%" PRIu64 " snapshots, %" PRIu64 " files",
          vacuumed.snapshots, vacuumed.files);
    CHECK(read_all(rows) == 120, "an open answer");
    pqdb_rows_close(rows);
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 0 && vacuumed.files == 0, "again");
    verify(db);
    go_on(db, 6);
    CHECK(count_files(disk, "_views/Low/data") < before, "%zu files of %zu",
          count_files(disk, "_views/Low/data"), before);
    verify(db);
    MUST(pqdb_close(db, &err));
    db = open_on(disk);
    verify(db);
    go_on(db, 7);
    verify(db);
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 2, "%" PRIu64 " snapshots", vacuumed.snapshots);
    MUST(pqdb_close(db, &err));
    fault_store_destroy(disk);
}

static void the_young_ones_are_kept(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk);
    for (unsigned i = 0; i < 4; i++) go_on(db, i);
    pqdb_vacuumed vacuumed;
    MUST(pqdb_view_vacuum(db, "Low", "1h", &vacuumed, &err));
    CHECK(vacuumed.snapshots == 0 && vacuumed.files == 0, "the young ones went");
    CHECK(pqdb_view_vacuum(db, "Low", "soon", &vacuumed, &err) == PQDB_INVALID, "no duration");
    CHECK(pqdb_view_vacuum(db, "Nobody", NULL, &vacuumed, &err) == PQDB_NOT_FOUND, "no view");
    CHECK(pqdb_view_vacuum(db, "Item", NULL, &vacuumed, &err) == PQDB_INVALID, "a collection");
    MUST(pqdb_close(db, &err));
    fault_store_destroy(disk);
}

static void a_view_that_was_never_published_has_nothing_to_drop(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk);
    pqdb_vacuumed vacuumed;
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 0 && vacuumed.files == 0, "something went");
    MUST(pqdb_close(db, &err));
    fault_store_destroy(disk);
}

/// Every call of a vacuum fails once, or the power with it: the database opens and is what it was.
static void a_vacuum_that_fails_does_no_harm(void) {
    for (long k = 0; k < 40; k++) {
        struct fault_store *disk = fault_store_create();
        pqdb_db *db = make(disk);
        for (unsigned i = 0; i < 4; i++) go_on(db, i);
        const long began = disk->calls;
        if (k % 2 == 0) {
            disk->fail_at = began + k / 2;
        } else {
            disk->down_at = began + k / 2;
        }
        const pqdb_code code = pqdb_view_vacuum(db, "Low", NULL, NULL, &err);
        CHECK(code == PQDB_OK || code == PQDB_IO, "call %ld: code %d", k / 2, (int)code);
        const bool finished = disk->calls <= began + k / 2;
        pqdb_close(db, NULL);
        struct fault_store *next =
            fault_store_crash(disk, k % 3 == 0 ? FAULT_ALL_LOST : FAULT_SOME_KEPT, (uint64_t)k);
        db = open_on(next);
        verify(db);
        go_on(db, 9);
        verify(db);
        MUST(pqdb_view_vacuum(db, "Low", NULL, NULL, &err));
        verify(db);
        MUST(pqdb_close(db, &err));
        fault_store_destroy(next);
        fault_store_destroy(disk);
        if (finished && k % 2 == 1) break;
    }
}

int main(void) {
    RUN(what_nobody_wants_goes_and_what_is_read_stays);
    RUN(the_young_ones_are_kept);
    RUN(a_view_that_was_never_published_has_nothing_to_drop);
    RUN(a_vacuum_that_fails_does_no_harm);
    return test_done();
}
