/// Goal: whatever store call the power fails in, and whatever the disk kept, a database opens, has
/// every acknowledged commit whole, exact views, and takes more. And each call that fails without a
/// crash, and each allocation, is a clean error from which a retry or a reopen leads back.
/// PQ_TEST_STRIDE=1 tries every call in every way; without it each call has its turn in one way or
/// another, some calls apart.
#include <errno.h>
#include <inttypes.h>

#include "db/check_internal.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

enum { ways = 4, stride_default = 9 };

static pqdb_error err;
static long stride = stride_default;
static long recoveries;

/// What a workload had promised when it ended.
struct promise {
    bool made;  // pqdb_init returned
    unsigned acknowledged, attempted;
    enum { MAY_BE, IS, IS_NOT } view;  // "Made", by the last call that returned
};

static pqdb_code commit(pqdb_db *db, struct promise *promise) {
    promise->attempted = promise->acknowledged + 1;
    const pqdb_code code = db_world_commit(db, promise->attempted, &err);
    if (code == PQDB_OK) promise->acknowledged = promise->attempted;
    return code;
}

static pqdb_code commits(pqdb_db *db, struct promise *promise, int count) {
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && count-- > 0) code = commit(db, promise);
    return code;
}

static pqdb_code make_view(pqdb_db *db, struct promise *promise) {
    promise->view = MAY_BE;
    const pqdb_code code = pqdb_view_create(
        db, "Made", "{ $from: 'ByKind', $groupBy: ['rows'], $compute: { n: { $sum: 'sum' } } }",
        NULL, NULL, &err);
    if (code == PQDB_OK) promise->view = IS;
    return code;
}

static pqdb_code drop_view(pqdb_db *db, struct promise *promise) {
    promise->view = MAY_BE;
    const pqdb_code code = pqdb_view_drop(db, "Made", true, &err);
    if (code == PQDB_OK) promise->view = IS_NOT;
    return code;
}

static void check_view(pqdb_db *db, const struct promise *promise, const char *what, long k) {
    uint64_t rows;
    const pqdb_code code = pqdb_count(db, "Made", NULL, &rows, &err);
    CHECK(code == PQDB_OK ? promise->view != IS_NOT
                          : code == PQDB_NOT_FOUND && promise->view != IS,
          "%s %ld: the view is %s", what, k, code == PQDB_OK ? "there" : err.message);
}

/// Everything a database does, in two lives.
static pqdb_code live(pqdb_db *db, struct promise *promise, bool first) {
    pqdb_code code = commits(db, promise, 4);
    if (code == PQDB_OK) code = pqdb_view_refresh(db, "Later", false, NULL, &err);
    if (code == PQDB_OK && !first) code = drop_view(db, promise);
    if (code == PQDB_OK) code = pqdb_checkpoint(db, &err);
    if (code == PQDB_OK) code = commits(db, promise, first ? 3 : 1);
    if (code == PQDB_OK) code = make_view(db, promise);
    if (code == PQDB_OK) code = pqdb_view_refresh(db, "ByKind", true, NULL, &err);
    if (code == PQDB_OK) code = commits(db, promise, 1);
    if (code == PQDB_OK) code = pqdb_checkpoint(db, &err);
    if (code == PQDB_OK && first) code = drop_view(db, promise);
    if (code == PQDB_OK && first) code = make_view(db, promise);
    if (code == PQDB_OK) code = pqdb_view_refresh(db, "Later", false, NULL, &err);
    if (code == PQDB_OK) code = commits(db, promise, 1);
    return code;
}

static pqdb_code work(struct pq_store *store, const struct pq_alloc *alloc,
                      struct promise *promise) {
    *promise = (struct promise){.view = IS_NOT};
    pqdb_code code = db_world_init(store, alloc, &err);
    if (code != PQDB_OK) return code;
    promise->made = true;
    for (int round = 0; code == PQDB_OK && round < 2; round++) {
        pqdb_db *db;
        code = db_world_open(store, alloc, &db, &err);
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

static void tell_damage(void *ctx, const pqdb_damage *damage) {
    (void)ctx;
    fprintf(stderr, "    %s at %lld: %s\n", damage->file, (long long)damage->offset,
            damage->message);
}

static void tell_unnamed(void *ctx, const char *file, uint64_t bytes) {
    (void)ctx;
    fprintf(stderr, "    %s, %" PRIu64 " bytes, is named by nothing\n", file, bytes);
}

/// After a checkpoint every byte is sound, and there is no file that nothing names.
static void check_files(struct pq_store *store, const char *what, long k) {
    const struct pq_open_with with = {.store = store, .location = "file:///world",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc};
    const pqdb_check_options options = {.on_damage = tell_damage, .on_unnamed = tell_unnamed};
    pqdb_checked checked = {0};
    const pqdb_code code = pq_db_check_with(&with, &options, &checked, &err);
    CHECK(code == PQDB_OK && checked.damages == 0, "%s %ld: %" PRIu64 " damages: %s", what, k,
          checked.damages, err.message);
    CHECK(checked.unnamed_files == 0, "%s %ld: %" PRIu64 " files leak", what, k,
          checked.unnamed_files);
}

/// Reopen, look, write more, and look again after another open.
static void check_disk(struct pq_store *store, struct promise promise, const char *what, long k) {
    pqdb_db *db;
    pqdb_code code = db_world_open(store, &pq_alloc_libc, &db, &err);
    if (code == PQDB_NOT_FOUND && !promise.made) {
        code = db_world_init(store, &pq_alloc_libc, &err);
        CHECK(code == PQDB_OK, "%s %ld: init again: %s: %s", what, k, err.subject, err.message);
        if (code == PQDB_OK) code = db_world_open(store, &pq_alloc_libc, &db, &err);
    }
    CHECK(code == PQDB_OK, "%s %ld: %s: %s", what, k, err.subject, err.message);
    if (code != PQDB_OK) return;
    check_view(db, &promise, what, k);
    promise.acknowledged = db_world_check(db, promise.acknowledged, promise.attempted, what, k);
    if (promise.acknowledged < promise.attempted) {
        CHECK(commit(db, &promise) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    }
    CHECK(commits(db, &promise, 2) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    if (k % 4 == 0) CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    code = db_world_open(store, &pq_alloc_libc, &db, &err);
    CHECK(code == PQDB_OK, "%s %ld again: %s: %s", what, k, err.subject, err.message);
    if (code != PQDB_OK) return;
    check_view(db, &promise, what, k);
    db_world_check(db, promise.acknowledged, promise.attempted, what, k);
    CHECK(commit(db, &promise) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s %ld: %s", what, k, err.message);
    pqdb_close(db, NULL);
    check_files(store, what, k);
}

static long count_calls(void) {
    struct fault_store *disk = fault_store_create();
    struct promise promise;
    CHECK(work(&disk->base, &pq_alloc_libc, &promise) == PQDB_OK, "%s: %s", err.subject,
          err.message);
    CHECK(promise.acknowledged == 16, "%u commits", promise.acknowledged);
    const long calls = disk->calls;
    fault_store_destroy(disk);
    return calls;
}

/// What the disk kept of what was not synced: nothing, all, or some.
static void check_crash(struct fault_store *disk, struct promise promise, long k, long way) {
    const enum fault_mode mode = way == 0   ? FAULT_ALL_LOST
                                 : way == 1 ? FAULT_ALL_KEPT
                                            : FAULT_SOME_KEPT;
    struct fault_store *next = fault_store_crash(disk, mode, (uint64_t)(way * 10000 + k));
    check_disk(&next->base, promise, "crash in call", k);
    fault_store_destroy(next);
}

static void every_call_may_be_the_last(void) {
    const long calls = count_calls();
    long crashes = 0;
    for (long k = 0; k < calls; k += stride) {
        struct fault_store *disk = fault_store_create();
        struct promise promise;
        disk->down_at = k;
        work(&disk->base, &pq_alloc_libc, &promise);
        for (long way = 0; way < ways; way++) {
            if (stride > 1 && way != k / stride % ways) continue;
            check_crash(disk, promise, k, way);
            crashes++;
        }
        fault_store_destroy(disk);
    }
    fprintf(stderr, "    %ld calls, %ld crashes\n", calls, crashes);
}

/// The power fails in call `first`, and then again and again while the database is being opened.
static void fail_in_recovery(long first, long way) {
    struct fault_store *disk = fault_store_create();
    struct promise promise;
    disk->down_at = first;
    work(&disk->base, &pq_alloc_libc, &promise);
    for (long step = 0;; step++) {
        const enum fault_mode mode = (step + way) % 3 == 0   ? FAULT_ALL_LOST
                                     : (step + way) % 3 == 1 ? FAULT_SOME_KEPT
                                                             : FAULT_ALL_KEPT;
        struct fault_store *next = fault_store_crash(disk, mode, (uint64_t)(first + step));
        fault_store_destroy(disk);
        disk = next;
        disk->down_at = 1 + 3 * step;
        pqdb_db *db;
        const pqdb_code code = db_world_open(&disk->base, &pq_alloc_libc, &db, &err);
        if (code == PQDB_OK) pqdb_close(db, NULL);
        recoveries++;
        if (!disk->is_down) break;
    }
    disk->down_at = -1;
    check_disk(&disk->base, promise, "crash in recovery after", first);
    fault_store_destroy(disk);
}

static void recovery_may_be_cut_short_again_and_again(void) {
    const long calls = count_calls();
    for (long k = 20; k < calls; k += 17 * stride) fail_in_recovery(k, k / stride);
    fprintf(stderr, "    %ld recoveries cut short\n", recoveries);
}

/// Call k fails once; the world ends in order and is opened again.
static void every_call_may_fail_once(void) {
    const long calls = count_calls();
    for (long k = 0; k < calls; k += stride) {
        struct fault_store *disk = fault_store_create();
        struct promise promise;
        disk->fail_at = k;
        disk->fail_errno = k % 2 == 0 ? EIO : ENOSPC;
        const pqdb_code code = work(&disk->base, &pq_alloc_libc, &promise);
        CHECK(code == PQDB_OK || code == PQDB_IO || code == PQDB_LIMIT, "call %ld: code %d: %s: %s",
              k, (int)code, err.subject, err.message);
        CHECK(code == PQDB_OK || err.message[0] != '\0', "call %ld: no message", k);
        check_disk(&disk->base, promise, "error in call", k);
        fault_store_destroy(disk);
    }
}

/// The disk fails from call k on until it is mended, and the same open database goes on.
static void a_disk_that_was_full_is_written_to_again(void) {
    const long calls = count_calls();
    long broken = 0;
    for (long k = 0; k < calls; k += 2 * stride) {
        struct fault_store *disk = fault_store_create();
        struct promise promise = {.view = IS_NOT};
        pqdb_db *db;
        if (db_world_init(&disk->base, &pq_alloc_libc, &err) != PQDB_OK ||
            db_world_open(&disk->base, &pq_alloc_libc, &db, &err) != PQDB_OK) {
            CHECK(false, "%s", err.message);
            break;
        }
        promise.made = true;
        disk->fail_at = disk->calls + k;
        disk->fail_count = 1000000;
        disk->fail_errno = ENOSPC;
        const pqdb_code code = live(db, &promise, true);
        disk->fail_at = -1;
        if (code != PQDB_OK) {
            // The state is unchanged, or the database says that it must be reopened.
            db_world_check_rows(db, promise.acknowledged, promise.acknowledged, "full at call", k);
            const pqdb_code again = commit(db, &promise);
            broken += again != PQDB_OK;
        }
        pqdb_close(db, NULL);
        check_disk(&disk->base, promise, "full at call", k);
        fault_store_destroy(disk);
        if (code == PQDB_OK) break;
    }
    fprintf(stderr, "    %ld had to be reopened\n", broken);
}

/// Everything a user asks, once; what cannot be had is an error.
static pqdb_code ask(pqdb_db *db) {
    pqdb_rows *rows;
    const pqdb_find_options options = {.filter = "{ n: { $gt: 2 } }", .sort = "{ n: 1 }"};
    pqdb_code code = pqdb_find(db, "Item", &options, &rows, &err);
    if (code != PQDB_OK) return code;
    bool has_row = true;
    while (code == PQDB_OK && has_row) {
        size_t length;
        code = pqdb_rows_next(rows, &has_row, &err);
        if (code == PQDB_OK && has_row && pqdb_rows_json(rows, &length) == NULL) break;
    }
    pqdb_rows_close(rows);
    if (code != PQDB_OK) return code;
    pqdb_view_state state;
    code = pqdb_view_state_get(db, "ByKind", &state, &err);
    // A view that could not be stepped is behind and says so; its commit stands.
    if (code == PQDB_OK && state.last_error[0] != '\0') return PQDB_NO_MEMORY;
    return code != PQDB_OK ? code : pqdb_view_verify(db, "ByKind", NULL, NULL, NULL, &err);
}

/// One life of a database that has files, carried rows and a tail of the log.
static pqdb_code live_shortly(struct pq_store *store, const struct pq_alloc *alloc,
                              struct promise *promise) {
    pqdb_db *db;
    pqdb_code code = db_world_open(store, alloc, &db, &err);
    if (code != PQDB_OK) return code;
    code = commits(db, promise, 2);
    if (code == PQDB_OK) code = pqdb_view_refresh(db, "Later", false, NULL, &err);
    if (code == PQDB_OK) code = ask(db);
    if (code == PQDB_OK) code = pqdb_checkpoint(db, &err);
    // After a refresh that failed the view is left behind, and commits go on.
    if (code == PQDB_OK) pqdb_view_refresh(db, "ByKind", true, NULL, &err);
    if (code == PQDB_OK) code = commits(db, promise, 1);
    if (code == PQDB_OK) code = ask(db);
    const pqdb_code closed = pqdb_close(db, NULL);
    return code != PQDB_OK ? code : closed;
}

static void every_allocation_may_fail(void) {
    struct promise made;
    struct fault_store *disk = fault_store_create();
    CHECK(work(&disk->base, &pq_alloc_libc, &made) == PQDB_OK, "%s", err.message);
    long n = 0, failed = 0;
    for (bool finished = false; !finished; n += 4 * stride - 3) {
        struct fault_store *copy = fault_store_crash(disk, FAULT_ALL_KEPT, 0);
        struct failing_alloc failing = {.left = n};
        failing.alloc = (struct pq_alloc){failing_resize, &failing};
        struct promise promise = made;
        const pqdb_code code = live_shortly(&copy->base, &failing.alloc, &promise);
        finished = failing.left >= 0;
        failed += code != PQDB_OK;
        CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "allocation %ld: code %d: %s: %s", n,
              (int)code, err.subject, err.message);
        CHECK(failing.live_bytes == 0, "allocation %ld: %ld bytes leaked", n, failing.live_bytes);
        check_disk(&copy->base, promise, "allocation", n);
        fault_store_destroy(copy);
    }
    fprintf(stderr, "    %ld allocations, %ld errors\n", n, failed);
    fault_store_destroy(disk);
}

int main(void) {
    const char *asked = getenv("PQ_TEST_STRIDE");
    if (asked != NULL) stride = strtol(asked, NULL, 10);
    RUN(every_call_may_be_the_last);
    RUN(recovery_may_be_cut_short_again_and_again);
    RUN(every_call_may_fail_once);
    RUN(a_disk_that_was_full_is_written_to_again);
    RUN(every_allocation_may_fail);
    return test_done();
}
