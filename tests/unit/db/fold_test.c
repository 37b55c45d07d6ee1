/// Goal: rows of a file that die while a checkpoint is written are none that its root knows of,
/// also where the table stood still since before the file was opened.
#include <pthread.h>
#include <string.h>

#include "support/db_calls.h"

static _Thread_local pqdb_error err;

enum { rows_all = 20000 };

struct meanwhile {
    pqdb_db *db;
    bool is_done;
};

static void *delete_rows(void *ctx) {
    const pqdb_code code = pqdb_delete(ctx, "T", "{ n: { $gte: 1000 } }", NULL, NULL, &err);
    CHECK(code == PQDB_OK, "%s", err.message);
    return NULL;
}

/// Once, when the cut has been made and the files of the other collection are written.
static void on_call(void *ctx, struct fault_store *disk, const char *path) {
    struct meanwhile *meanwhile = ctx;
    pthread_t thread;
    (void)disk;
    if (meanwhile->is_done || strstr(path, "Other/data/") == NULL) return;
    meanwhile->is_done = true;
    pthread_create(&thread, NULL, delete_rows, meanwhile->db);
    pthread_join(thread, NULL);
}

static void put_many(pqdb_db *db) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (int i = 0; i < rows_all; i++) {
        MUST(pq_bytes_printf(&text, &err, "{\"$id\":\"t%05d\",\"n\":%d}\n", i, i));
    }
    MUST(pqdb_create(db, "T", (const char *)text.data, text.length, NULL, NULL, &err));
    pq_bytes_deinit(&text);
}

static void rows_may_die_while_a_checkpoint_is_written(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), "{ Other: { n: 'int!' }, T: { n: 'int!' },\n"
                                         "  V: { $from: 'T', $compute: { rows: { $count: '*' } } "
                                         "} }");
    put_many(db);
    db_put(db, "Other", "{\"n\":1}");
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, db_with(disk));  // T's file has a segment of the root's version, behind T's
    db_put(db, "Other", "{\"n\":2}");
    struct meanwhile meanwhile = {.db = db};
    disk->on_call_ctx = &meanwhile;
    disk->on_call = on_call;
    MUST(pqdb_checkpoint(db, &err));
    disk->on_call = NULL;
    CHECK(meanwhile.is_done, "nothing was deleted");
    for (int round = 0; round < 3; round++) {
        CHECK(db_count(db, "T", NULL) == 1000, "%d rows", (int)db_count(db, "T", NULL));
        db_verify(db, "V");
        if (round == 0) MUST(pqdb_checkpoint(db, &err));
        if (round == 1) db = db_reopen(db, db_with(disk));
    }
    db_end(db, disk);
}

int main(void) {
    RUN(rows_may_die_while_a_checkpoint_is_written);
    return test_done();
}
