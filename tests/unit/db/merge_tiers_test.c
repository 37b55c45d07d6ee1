/// Goal: data files are merged by tiers, and what nothing names any more goes.
#include <string.h>

#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

enum { ROUNDS = 10, COMMITS = 3 };

static pqdb_error err;

static pqdb_code open_world(struct pq_store *store, pqdb_db **db) {
    const struct pq_open_with with = {.store = store, .location = "file:///world",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .no_keeper = true, .merge_rows = 1,
                                      .log_segment_bytes = 1 << 13};
    return pq_db_open_with(&with, NULL, db, &err);
}

/// Each checkpoint writes one more file of Item, until eight of them are one.
static pqdb_code work(struct pq_store *store, unsigned *acknowledged) {
    pqdb_db *db;
    *acknowledged = 0;
    pqdb_code code = db_world_init(store, &pq_alloc_libc, &err);
    if (code == PQDB_OK) code = open_world(store, &db);
    if (code != PQDB_OK) return code;
    for (int round = 0; code == PQDB_OK && round < ROUNDS; round++) {
        for (int i = 0; code == PQDB_OK && i < COMMITS; i++) {
            code = db_world_commit(db, *acknowledged + 1, &err);
            if (code == PQDB_OK) ++*acknowledged;
        }
        if (code == PQDB_OK) code = pqdb_checkpoint(db, &err);
    }
    pqdb_close(db, NULL);
    return code;
}

static size_t count_files(struct pq_store *store, const char *beginning) {
    struct pq_arena arena;
    struct pq_store_list list;
    size_t count = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    const pqdb_code code = pq_store_list(store, "Item/data", &arena, &list, &err);
    CHECK(code == PQDB_OK || code == PQDB_NOT_FOUND, "%s", err.message);
    for (size_t i = 0; code == PQDB_OK && i < list.count; i++) {
        const struct pq_text name = list.entries[i].name;
        const size_t length = strlen(beginning);
        if (memmem(name.data, name.length, "delete", 6) != NULL) continue;
        count += name.length > length && memcmp(name.data, beginning, length) == 0;
    }
    pq_arena_deinit(&arena);
    return count;
}

static void eight_files_become_one(void) {
    struct fault_store *disk = fault_store_create();
    unsigned acknowledged;
    pqdb_db *db;
    CHECK(work(&disk->base, &acknowledged) == PQDB_OK, "%s: %s", err.subject, err.message);
    CHECK(open_world(&disk->base, &db) == PQDB_OK, "%s: %s", err.subject, err.message);
    db_world_check(db, acknowledged, acknowledged, "merged", 0);
    // Old ones stay until no kept snapshot of the table's metadata names them.
    for (unsigned i = 0; i < 8; i++) {
        CHECK(db_world_commit(db, ++acknowledged, &err) == PQDB_OK, "%s", err.message);
        CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s: %s", err.subject, err.message);
    }
    const size_t files = count_files(&disk->base, "0");
    CHECK(files > 0 && files < ROUNDS + 2, "%zu files after 18 checkpoints", files);
    CHECK(count_files(&disk->base, "1844") == 0, "a merged file without a name");
    db_world_check(db, acknowledged, acknowledged, "merged", 1);
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

int main(void) {
    RUN(eight_files_become_one);
    return test_done();
}
