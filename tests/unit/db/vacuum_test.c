/// Goal: vacuum drops what nobody wants any more, and nothing that somebody reads: not an open
/// answer, not the current snapshot, not the database itself.
#include <inttypes.h>
#include <string.h>

#include "db/open_with.h"
#include "support/db_calls.h"

static const char schema[] =
    "{ Item: { k: 'string!', n: 'int!' }, Low: { $from: 'Item', $filter: { n: { $lt: 90 } } } }";

static pqdb_error err;

static struct pq_open_with with_store(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.merge_rows = 1;
    return with;
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

static uint64_t read_all(pqdb_rows *rows) {
    uint64_t count = 0;
    for (bool has_row = true;; count++) {
        MUST(pqdb_rows_next(rows, &has_row, &err));
        if (!has_row) return count;
    }
}

static void what_nobody_wants_goes_and_what_is_read_stays(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    for (unsigned i = 0; i < 3; i++) go_on(db, i);
    pqdb_rows *rows;
    MUST(pqdb_find(db, "Low", NULL, &rows, &err));
    for (unsigned i = 3; i < 6; i++) go_on(db, i);
    const size_t before = db_files(&disk->base, "_views/Low/data");
    pqdb_vacuumed vacuumed;
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 3 && vacuumed.files > 0, "%" PRIu64 " snapshots, %" PRIu64 " files",
          vacuumed.snapshots, vacuumed.files);
    CHECK(read_all(rows) == 120, "an open answer");
    pqdb_rows_close(rows);
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 0 && vacuumed.files == 0, "again");
    db_verify(db, "Low");
    go_on(db, 6);
    CHECK(db_files(&disk->base, "_views/Low/data") < before, "%zu files of %zu",
          db_files(&disk->base, "_views/Low/data"), before);
    db_verify(db, "Low");
    db = db_reopen(db, with_store(disk));
    db_verify(db, "Low");
    go_on(db, 7);
    db_verify(db, "Low");
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 2, "%" PRIu64 " snapshots", vacuumed.snapshots);
    db_end(db, disk);
}

static void the_young_ones_are_kept(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    for (unsigned i = 0; i < 4; i++) go_on(db, i);
    pqdb_vacuumed vacuumed;
    MUST(pqdb_view_vacuum(db, "Low", "1h", &vacuumed, &err));
    CHECK(vacuumed.snapshots == 0 && vacuumed.files == 0, "the young ones went");
    CHECK(pqdb_view_vacuum(db, "Low", "soon", &vacuumed, &err) == PQDB_INVALID, "no duration");
    CHECK(pqdb_view_vacuum(db, "Nobody", NULL, &vacuumed, &err) == PQDB_NOT_FOUND, "no view");
    CHECK(pqdb_view_vacuum(db, "Item", NULL, &vacuumed, &err) == PQDB_INVALID, "a collection");
    db_end(db, disk);
}

static void a_view_that_was_never_published_has_nothing_to_drop(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with_store(disk), schema);
    pqdb_vacuumed vacuumed;
    MUST(pqdb_view_vacuum(db, "Low", NULL, &vacuumed, &err));
    CHECK(vacuumed.snapshots == 0 && vacuumed.files == 0, "something went");
    db_end(db, disk);
}

/// Every call of a vacuum fails once, or the power with it: the database opens and is what it was.
static void a_vacuum_that_fails_does_no_harm(void) {
    for (long k = 0; k < 40; k++) {
        struct fault_store *disk = fault_store_create();
        pqdb_db *db = db_make(with_store(disk), schema);
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
        db = db_open(with_store(next));
        db_verify(db, "Low");
        go_on(db, 9);
        db_verify(db, "Low");
        MUST(pqdb_view_vacuum(db, "Low", NULL, NULL, &err));
        db_verify(db, "Low");
        db_end(db, next);
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
