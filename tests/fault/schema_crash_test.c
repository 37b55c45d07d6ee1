/// Goal: whatever store call the power fails in, or fails, while the schema of a database changes:
/// it opens with the old schema or the new one, whole, has every acknowledged commit, exact views,
/// and takes more, another schema too. PQ_TEST_STRIDE=1 tries every call in every way.
#include <errno.h>
#include <parquedb/schema.h>
#include <string.h>

#include "base/bytes.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

enum { ways = 3, stride_default = 5, schema_count = 4 };

static pqdb_error err;
static long stride = stride_default;
static struct pq_bytes schemas[schema_count];

struct promise {
    bool made;
    unsigned acknowledged, attempted;
    int schema, next;  // that is applied, and perhaps
};

/// The text with one piece of it replaced.
static void derive(int to, int from, const char *piece, const char *by) {
    const char *text = (const char *)schemas[from].data, *at = strstr(text, piece);
    pq_bytes_init(&schemas[to], &pq_alloc_libc);
    CHECK(at != NULL, "no '%s'", piece);
    CHECK(pq_bytes_printf(&schemas[to], &err, "%.*s%s%s", (int)(at - text), text, by,
                          at + strlen(piece)) == PQDB_OK, "%s", err.message);
}

static void make_schemas(void) {
    pq_bytes_init(&schemas[0], &pq_alloc_libc);
    CHECK(pq_bytes_printf(&schemas[0], &err, "%s", db_world_schema) == PQDB_OK, "memory");
    derive(1, 0, "kind: 'string!', n: 'int'", "kind: 'string', fresh: 'int', n: 'int'");
    derive(2, 1, "{ n: { $lt: 5 } }", "{ n: { $lt: 6 } }");
    derive(3, 2, "  Total:", "  Extra: { $from: 'Item', $select: { f: '$fresh' } },\n  Total:");
}

static pqdb_code commits(pqdb_db *db, struct promise *promise, int count) {
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && count-- > 0) {
        promise->attempted = promise->acknowledged + 1;
        code = db_world_commit(db, promise->attempted, &err);
        if (code == PQDB_OK) promise->acknowledged = promise->attempted;
    }
    return code;
}

static pqdb_code change(pqdb_db *db, struct promise *promise, int to) {
    promise->next = to;
    const pqdb_code code = pqdb_schema_apply(db, (const char *)schemas[to].data,
                                             schemas[to].length, NULL, NULL, &err);
    if (code == PQDB_OK) promise->schema = to;
    return code;
}

static pqdb_code live(pqdb_db *db, struct promise *promise, bool first) {
    pqdb_code code = commits(db, promise, 3);
    if (code == PQDB_OK) code = change(db, promise, first ? 1 : 3);
    if (code == PQDB_OK) code = commits(db, promise, 2);
    if (code == PQDB_OK) code = pqdb_view_refresh(db, "Later", false, NULL, &err);
    if (code == PQDB_OK && first) code = change(db, promise, 2);
    if (code == PQDB_OK) code = commits(db, promise, 1);
    return code;
}

static pqdb_code work(struct pq_store *store, struct promise *promise) {
    *promise = (struct promise){.made = false};
    pqdb_code code = db_world_init(store, &pq_alloc_libc, &err);
    if (code != PQDB_OK) return code;
    promise->made = true;
    for (int round = 0; code == PQDB_OK && round < 2; round++) {
        pqdb_db *db;
        code = db_world_open(store, &pq_alloc_libc, &db, &err);
        if (code != PQDB_OK) break;
        code = live(db, promise, round == 0);
        pqdb_error late;
        const pqdb_code closed = pqdb_close(db, &late);
        if (code != PQDB_OK || closed == PQDB_OK) continue;
        err = late;
        code = closed;
    }
    return code;
}

static void check_schema(pqdb_db *db, struct promise *promise, const char *what, long k) {
    const char *text = pqdb_schema_text(db, NULL);
    const bool is_next = strcmp(text, (const char *)schemas[promise->next].data) == 0;
    const bool is_old = strcmp(text, (const char *)schemas[promise->schema].data) == 0;
    CHECK(is_next || is_old, "%s %ld: neither schema", what, k);
    if (is_next) promise->schema = promise->next;
}

static void check_disk(struct pq_store *store, struct promise promise, const char *what, long k) {
    pqdb_db *db;
    pqdb_code code = db_world_open(store, &pq_alloc_libc, &db, &err);
    if (code == PQDB_NOT_FOUND && !promise.made) return;
    CHECK(code == PQDB_OK, "%s %ld: %s: %s", what, k, err.subject, err.message);
    if (code != PQDB_OK) return;
    check_schema(db, &promise, what, k);
    promise.acknowledged = db_world_check(db, promise.acknowledged, promise.attempted, what, k);
    CHECK(change(db, &promise, promise.schema == 3 ? 2 : promise.schema + 1) == PQDB_OK,
          "%s %ld: %s: %s", what, k, err.subject, err.message);
    CHECK(commits(db, &promise, 2) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    code = db_world_open(store, &pq_alloc_libc, &db, &err);
    CHECK(code == PQDB_OK, "%s %ld again: %s: %s", what, k, err.subject, err.message);
    if (code != PQDB_OK) return;
    check_schema(db, &promise, what, k);
    db_world_check(db, promise.acknowledged, promise.attempted, what, k);
    pqdb_close(db, NULL);
}

static long count_calls(void) {
    struct fault_store *disk = fault_store_create();
    struct promise promise;
    CHECK(work(&disk->base, &promise) == PQDB_OK, "%s: %s", err.subject, err.message);
    CHECK(promise.acknowledged == 12 && promise.schema == 3, "%u commits", promise.acknowledged);
    const long calls = disk->calls;
    fault_store_destroy(disk);
    return calls;
}

static void every_call_may_be_the_last(void) {
    const long calls = count_calls();
    for (long k = 0; k < calls; k += stride) {
        struct fault_store *disk = fault_store_create();
        struct promise promise;
        disk->down_at = k;
        work(&disk->base, &promise);
        for (long way = 0; way < ways; way++) {
            if (stride > 1 && way != k / stride % ways) continue;
            static const enum fault_mode modes[] = {FAULT_ALL_LOST, FAULT_ALL_KEPT,
                                                    FAULT_SOME_KEPT};
            struct fault_store *next =
                fault_store_crash(disk, modes[way], (uint64_t)(way * 10000 + k));
            check_disk(&next->base, promise, "crash in call", k);
            fault_store_destroy(next);
        }
        fault_store_destroy(disk);
    }
}

static void every_call_may_fail_once(void) {
    const long calls = count_calls();
    for (long k = 0; k < calls; k += stride) {
        struct fault_store *disk = fault_store_create();
        struct promise promise;
        disk->fail_at = k;
        disk->fail_errno = k % 2 == 0 ? EIO : ENOSPC;
        const pqdb_code code = work(&disk->base, &promise);
        CHECK(code == PQDB_OK || code == PQDB_IO || code == PQDB_LIMIT, "call %ld: code %d: %s: %s",
              k, (int)code, err.subject, err.message);
        check_disk(&disk->base, promise, "error in call", k);
        fault_store_destroy(disk);
    }
}

int main(void) {
    const char *asked = getenv("PQ_TEST_STRIDE");
    if (asked != NULL) stride = strtol(asked, NULL, 10);
    make_schemas();
    RUN(every_call_may_be_the_last);
    RUN(every_call_may_fail_once);
    for (int i = 0; i < schema_count; i++) pq_bytes_deinit(&schemas[i]);
    return test_done();
}
