/// Goal: the power fails in any call of a checkpoint that takes a merge up, while no row of the
/// table changes: after an open, a commit to another table and a checkpoint every file that the
/// root names is there, no row is lost and nothing leaks.
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <stdlib.h>

#include "db/check_internal.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

enum { files = 8, rows_each = 3 };

static pqdb_error err;

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

static struct pq_open_with with_of(struct pq_store *store) {
    return (struct pq_open_with){.store = store, .location = "file:///world",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc,
                                 .no_keeper = true, .merge_rows = 1};
}

static void put(pqdb_db *db, const char *collection) {
    static const char rows[] = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
    must(pqdb_create(db, collection, rows, sizeof rows - 1, NULL, NULL, &err), "create");
}

/// Eight files of Item are merged, and wait for a checkpoint. Its code.
static pqdb_code checkpoint_merged(struct fault_store *disk, long down_after, long *calls) {
    const struct pq_open_with with = with_of(&disk->base);
    pqdb_db *db;
    bool merged;
    must(pq_db_init_with(&with, PQ_TEXT("{ Item: { n: 'int!' }, Other: { n: 'int!' } }"), &err),
         "init");
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    for (int i = 0; i < files; i++) {
        put(db, "Item");
        must(pq_db_checkpoint(db, true, &err), "checkpoint");
    }
    put(db, "Other");
    must(pq_db_merge_files(db, &merged, &err), "merge");
    CHECK(merged, "nothing was merged");
    const long before = disk->calls;
    if (down_after >= 0) disk->down_at = before + down_after;
    const pqdb_code code = pq_db_checkpoint(db, true, &err);
    *calls = disk->calls - before;
    pqdb_close(db, NULL);
    return code;
}

static void look_after(struct fault_store *disk, long k) {
    const struct pq_open_with with = with_of(&disk->base);
    pqdb_db *db;
    pqdb_checked checked = {0};
    uint64_t rows = 0;
    for (int i = 0; i < 2; i++) {
        must(pq_db_open_with(&with, NULL, &db, &err), "open");
        put(db, "Other");
        must(pqdb_checkpoint(db, &err), "checkpoint");
        const pqdb_code code = pqdb_count(db, "Item", "{ n: { $gt: 0 } }", &rows, &err);
        CHECK(code == PQDB_OK, "crash in call %ld: %s", k, err.message);
        CHECK(rows == files * rows_each, "crash in call %ld: %d rows", k, (int)rows);
        must(pqdb_close(db, &err), "close");
    }
    must(pq_db_check_with(&with, NULL, &checked, &err), "check");
    CHECK(checked.damages == 0, "crash in call %ld: %d damages", k, (int)checked.damages);
    CHECK(checked.unnamed_files == 0, "crash in call %ld: files leak", k);
}

static void a_merge_that_was_not_published_is_not_removed(void) {
    long calls, crashes = 0;
    struct fault_store *whole = fault_store_create();
    must(checkpoint_merged(whole, -1, &calls), "checkpoint");
    fault_store_destroy(whole);
    for (long k = 0; k < calls; k++) {
        struct fault_store *disk = fault_store_create();
        long made;
        checkpoint_merged(disk, k, &made);
        struct fault_store *next = fault_store_crash(disk, FAULT_ALL_KEPT, (uint64_t)k);
        fault_store_destroy(disk);
        look_after(next, k);
        fault_store_destroy(next);
        crashes++;
    }
    fprintf(stderr, "    %ld calls, %ld crashes\n", calls, crashes);
}

int main(void) {
    RUN(a_merge_that_was_not_published_is_not_removed);
    return test_done();
}
