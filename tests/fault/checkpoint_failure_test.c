/// Goal: a checkpoint that fails, wherever it does, leaves no file behind that nothing names, takes
/// nothing from the readers or from the next checkpoint, and is made up for by it.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  Sum: { $from: 'Item', $groupBy: ['kind'], $compute: { sum: { $sum: 'n' } } } }";

static pqdb_error err;

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

static size_t count_files(struct pq_store *store, const char *directory, const char *ending) {
    struct pq_arena arena;
    struct pq_store_list list = {0};
    size_t count = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    if (pq_store_list(store, directory, &arena, &list, NULL) == PQDB_OK) {
        for (size_t i = 0; i < list.count; i++) {
            count += strstr(list.entries[i].name.data, ending) != NULL;
        }
    }
    pq_arena_deinit(&arena);
    return count;
}

static void put(pqdb_db *db) {
    static const char rows[] = "{\"kind\":\"a\",\"n\":1}\n{\"kind\":\"b\",\"n\":2}\n";
    must(pqdb_create(db, "Item", rows, sizeof rows - 1, NULL, NULL, &err), "create");
}

static void check_rows(pqdb_db *db, uint64_t rows) {
    uint64_t count = 0;
    pqdb_verified verified = {0};
    must(pqdb_count(db, "Item", NULL, &count, &err), "count");
    CHECK(count == rows, "%" PRIu64 " rows", count);
    must(pqdb_view_verify(db, "Sum", NULL, NULL, &verified, &err), "verify");
    CHECK(verified.differences == 0, "%" PRIu64 " differences", verified.differences);
}

/// False when the checkpoint made fewer calls than that.
static bool fail_in_call(long call) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///full",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .log_segment_bytes = 1 << 16, .no_keeper = true};
    pqdb_db *db = NULL;
    must(pq_db_init_with(&with, pq_text_of(schema), &err), "init");
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    put(db);
    disk->fail_at = disk->calls + call;
    const pqdb_code code = pqdb_checkpoint(db, &err);
    const bool failed = code != PQDB_OK;
    if (failed && count_files(&disk->base, "_state", ".root") == 0) {
        CHECK(count_files(&disk->base, "Item/data", "") == 0, "call %ld leaves a file", call);
        CHECK(count_files(&disk->base, "_views/Sum/data", "") == 0, "call %ld: a file", call);
    }
    disk->fail_at = -1;
    check_rows(db, 2);
    must(pqdb_checkpoint(db, &err), "checkpoint");
    CHECK(count_files(&disk->base, "Item/metadata", "version-hint") == 1, "call %ld", call);
    CHECK(count_files(&disk->base, "_views/Sum/metadata", "version-hint") == 1, "call %ld", call);
    put(db);
    check_rows(db, 4);
    must(pqdb_close(db, &err), "close");
    must(pq_db_open_with(&with, NULL, &db, &err), "reopen");
    check_rows(db, 4);
    must(pqdb_close(db, &err), "close");
    fault_store_destroy(disk);
    return failed;
}

static void a_failed_checkpoint_leaves_nothing(void) {
    long call = 0, failures = 0, quiet = 0;
    for (; quiet < 40; call++) {  // some failures harm nothing: a bury, a recycled segment
        const bool failed = fail_in_call(call);
        failures += failed;
        quiet = failed ? 0 : quiet + 1;
    }
    CHECK(failures > 10, "%ld of %ld calls failed", failures, call);
}

int main(void) {
    RUN(a_failed_checkpoint_leaves_nothing);
    return test_done();
}
