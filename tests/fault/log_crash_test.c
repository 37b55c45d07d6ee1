/// Goal: whatever call the power fails in, and whatever the disk kept, every acknowledged commit is
/// there after reopening, none is half there, and the log takes more; also when the power fails
/// again during recovery. And each call that fails without a crash leaves a log that can be
/// repeated or reopened.
#include <errno.h>
#include <inttypes.h>

#include "support/fault_store.h"
#include "support/log_world.h"
#include "support/test.h"

enum { seeds = 6, segment_bytes = 1 << 11 };

static pqdb_error err;
static long crashes;

/// What a workload had promised when it ended.
struct promise {
    uint64_t acknowledged;  // the last version whose append returned
    uint64_t attempted;     // the last one that was begun
    struct pq_log_position from;  // what a root would say
};

static pqdb_code append(struct log_world *world, struct promise *promise, size_t count) {
    const uint64_t version = promise->acknowledged + 1;
    promise->attempted = promise->acknowledged + count;
    const pqdb_code code = log_world_append(world, version, count, &err);
    if (code == PQDB_OK) promise->acknowledged = promise->attempted;
    return code;
}

#define STEP(call)                       \
    do {                                 \
        if ((call) != PQDB_OK) return;   \
    } while (0)

/// Appends that cross segments, preparation, trimming, closes and opens, until something fails.
static void work(struct log_world *world, struct promise *promise) {
    for (int round = 0; round < 3; round++) {
        world->from = promise->from;
        STEP(log_world_open(world, &err));
        for (int i = 0; i < 4; i++) STEP(append(world, promise, 1));
        STEP(append(world, promise, 3));
        for (int i = 0; i < 5; i++) {
            STEP(append(world, promise, 1));
            STEP(pq_log_prepare(world->log, &err));
        }
        const struct pq_log_position place = pq_log_position(world->log);
        for (int i = 0; i < 3; i++) STEP(append(world, promise, 1));
        promise->from = place;
        STEP(pq_log_trim(world->log, &place, &err));
        STEP(append(world, promise, 2));
        STEP(log_world_close(world, &err));
    }
}

static void abandon(struct log_world *world) {
    if (world->log != NULL) log_world_close(world, NULL);
}

static void check_promise(const struct log_world *world, const struct promise *promise,
                          const char *what, long call) {
    const uint64_t before = promise->from.version == 0 ? 0 : promise->from.version - 1;
    const uint64_t last = world->last == 0 ? before : world->last;
    CHECK(world->is_right, "%s, call %ld: wrong rows", what, call);
    CHECK(world->last == 0 || world->first == before + 1, "%s, call %ld: first %" PRIu64, what,
          call, world->first);
    CHECK(last >= promise->acknowledged && last <= promise->attempted,
          "%s, call %ld: last version %" PRIu64 ", acknowledged %" PRIu64 ", attempted %" PRIu64,
          what, call, last, promise->acknowledged, promise->attempted);
}

/// Reopen, check, write more, lose the power again, check again.
static void check_disk(struct fault_store *disk, struct promise promise, long call) {
    struct log_world world = {.store = &disk->base,
                              .segment_bytes = segment_bytes,
                              .from = promise.from,
                              .with_variants = true};
    crashes++;
    const pqdb_code code = log_world_open(&world, &err);
    CHECK(code == PQDB_OK, "call %ld: %s: %s", call, err.subject, err.message);
    if (code != PQDB_OK) return;
    check_promise(&world, &promise, "after the crash", call);
    promise.acknowledged = pq_log_position(world.log).version - 1;
    for (int i = 0; i < 4; i++) {
        CHECK(append(&world, &promise, 1) == PQDB_OK, "call %ld: %s", call, err.message);
    }
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 0);
    abandon(&world);
    world.store = &next->base;
    CHECK(log_world_open(&world, &err) == PQDB_OK, "call %ld: %s", call, err.message);
    check_promise(&world, &promise, "after the second crash", call);
    CHECK(log_world_close(&world, &err) == PQDB_OK, "call %ld: %s", call, err.message);
    fault_store_destroy(next);
}

/// The power fails in call k of the workload. The disk is the caller's.
static struct fault_store *run_until(long k, struct promise *promise) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {
        .store = &disk->base, .segment_bytes = segment_bytes, .with_variants = true};
    *promise = (struct promise){0};
    disk->down_at = k;
    work(&world, promise);
    abandon(&world);
    return disk;
}

static void every_call_may_be_the_last(void) {
    struct promise promise;
    struct fault_store *disk = run_until(-1, &promise);
    const long calls = disk->calls;
    CHECK(promise.acknowledged == 51, "%" PRIu64 " commits", promise.acknowledged);
    fault_store_destroy(disk);
    for (long k = 0; k < calls; k++) {
        disk = run_until(k, &promise);
        for (uint64_t seed = 0; seed < seeds + 2; seed++) {
            const enum fault_mode mode = seed == 0   ? FAULT_ALL_LOST
                                         : seed == 1 ? FAULT_ALL_KEPT
                                                     : FAULT_SOME_KEPT;
            struct fault_store *next = fault_store_crash(disk, mode, seed * 1000 + (uint64_t)k);
            check_disk(next, promise, k);
            fault_store_destroy(next);
        }
        fault_store_destroy(disk);
    }
    fprintf(stderr, "    %ld calls, %ld crashes\n", calls, crashes);
}

/// The power fails again in each call of the recovery.
static void recovery_may_be_cut_short_too(void) {
    struct promise promise;
    struct fault_store *disk = run_until(-1, &promise);
    const long calls = disk->calls;
    fault_store_destroy(disk);
    crashes = 0;
    for (long k = 0; k < calls; k += 3) {
        disk = run_until(k, &promise);
        struct fault_store *first = fault_store_crash(disk, FAULT_SOME_KEPT, (uint64_t)k);
        fault_store_destroy(disk);
        for (long j = 0;; j++) {
            // Every attempt starts from the same disk: what a crash without changes leaves.
            struct fault_store *again = fault_store_crash(first, FAULT_ALL_KEPT, 0);
            struct log_world world = {.store = &again->base,
                                      .segment_bytes = segment_bytes,
                                      .from = promise.from,
                                      .with_variants = true};
            again->down_at = j;
            const bool finished = log_world_open(&world, &err) == PQDB_OK;
            abandon(&world);
            struct fault_store *next =
                fault_store_crash(again, FAULT_SOME_KEPT, (uint64_t)(k * 100 + j));
            check_disk(next, promise, k);
            fault_store_destroy(next);
            fault_store_destroy(again);
            if (finished) break;
        }
        fault_store_destroy(first);
    }
    fprintf(stderr, "    %ld crashes in recovery\n", crashes);
}

/// Call k fails once, and the world goes on: close, reopen, go on where the log says.
static void every_call_may_fail_once(void) {
    struct promise promise;
    struct fault_store *disk = run_until(-1, &promise);
    const long calls = disk->calls;
    fault_store_destroy(disk);
    for (long k = 0; k < calls; k++) {
        disk = fault_store_create();
        disk->fail_at = k;
        disk->fail_errno = k % 2 == 0 ? EIO : ENOSPC;
        struct log_world world = {
            .store = &disk->base, .segment_bytes = segment_bytes, .with_variants = true};
        promise = (struct promise){0};
        work(&world, &promise);
        abandon(&world);
        check_disk(disk, promise, k);
        fault_store_destroy(disk);
    }
}

int main(void) {
    RUN(every_call_may_be_the_last);
    RUN(recovery_may_be_cut_short_too);
    RUN(every_call_may_fail_once);
    return test_done();
}
