/// Goal: whichever allocation fails, the log says NO_MEMORY, leaks nothing, and the same call works
/// when it is repeated (an open: when it is begun anew).
#include <inttypes.h>

#include "support/fault_store.h"
#include "support/log_world.h"
#include "support/test.h"

static pqdb_error err;
static long refusals;

/// Once more after NO_MEMORY: the allocator refuses one request only.
#define TWICE(call)                                                              \
    do {                                                                         \
        pqdb_code code_ = (call);                                                \
        if (code_ == PQDB_NO_MEMORY && refusals++ >= 0) code_ = (call);          \
        CHECK(code_ == PQDB_OK, "fail_at %ld: %s", fail_at, err.message);        \
    } while (0)

static void read_all(struct log_world *world, uint64_t versions, long fail_at) {
    struct pq_log_reader *reader = NULL;
    const struct pq_log_record *record;
    TWICE(pq_log_reader_open(world->log, 1, &log_world_schemas, &reader, &err));
    for (uint64_t version = 1; version <= versions; version++) {
        const pqdb_code code = pq_log_reader_next(reader, &record, &err);
        if (code == PQDB_NO_MEMORY) {  // a reader that failed is begun anew
            refusals++;
            pq_log_reader_close(reader);
            TWICE(pq_log_reader_open(world->log, version, &log_world_schemas, &reader, &err));
            CHECK(pq_log_reader_next(reader, &record, &err) == PQDB_OK, "%s", err.message);
        }
        CHECK(record != NULL && record->version == version, "version %" PRIu64, version);
        if (record == NULL) break;
    }
    pq_log_reader_close(reader);
}

/// Returns whether an allocation was refused.
static bool work(long fail_at) {
    struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
    failing.alloc.ctx = &failing;
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base,
                              .alloc = &failing.alloc,
                              .segment_bytes = 1 << 11,
                              .with_variants = true,
                              .rows = 20};
    refusals = 0;
    for (uint64_t round = 0; round < 2; round++) {
        TWICE(log_world_open(&world, &err));
        CHECK(world.last == round * 25 && world.is_right, "replayed %" PRIu64, world.last);
        for (uint64_t i = 1; i <= 24; i++) {
            TWICE(log_world_append(&world, round * 25 + i, 1, &err));
            TWICE(pq_log_prepare(world.log, &err));
        }
        TWICE(log_world_append(&world, round * 25 + 25, 1, &err));
        read_all(&world, round * 25 + 25, fail_at);
        const pqdb_code code = log_world_close(&world, &err);
        CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "%s", err.message);
    }
    CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
    fault_store_destroy(disk);
    return failing.left < 0;
}

static void every_allocation_may_fail(void) {
    long fail_at = 0;
    while (work(fail_at)) fail_at++;
    CHECK(fail_at > 30, "only %ld allocations", fail_at);
    fprintf(stderr, "    %ld allocations\n", fail_at);
}

int main(void) {
    RUN(every_allocation_may_fail);
    return test_done();
}
