/// Goal: a leader, a keeper and readers share a log without a data race (run it under the tsan
/// preset), and readers see every version in order.
#include <inttypes.h>
#include <pthread.h>

#include "support/log_world.h"
#include "support/test.h"

enum { versions = 1500, readers = 2 };

static struct log_world world;
static _Atomic bool is_done;
static _Atomic uint64_t seen[readers];

static void *keep(void *ctx) {
    (void)ctx;
    pqdb_error err;
    while (!is_done) {
        CHECK(pq_log_prepare(world.log, &err) == PQDB_OK, "%s", err.message);
        // Keep what the slowest reader needs.
        uint64_t least = seen[0];
        for (size_t i = 1; i < readers; i++) least = seen[i] < least ? seen[i] : least;
        if (least < 200) continue;
        struct pq_log_reader *reader;
        const struct pq_log_record *record;
        if (pq_log_reader_open(world.log, least, NULL, &reader, &err) != PQDB_OK) continue;
        CHECK(pq_log_reader_next(reader, &record, &err) == PQDB_OK, "%s", err.message);
        const struct pq_log_position place = record == NULL ? (struct pq_log_position){0}
                                                            : record->next;
        pq_log_reader_close(reader);
        CHECK(pq_log_trim(world.log, &place, &err) == PQDB_OK, "%s", err.message);
    }
    return NULL;
}

static void *follow(void *ctx) {
    _Atomic uint64_t *mine = ctx;
    struct pq_log_reader *reader;
    const struct pq_log_record *record;
    pqdb_error err;
    CHECK(pq_log_reader_open(world.log, 1, &log_world_schemas, &reader, &err) == PQDB_OK, "%s",
          err.message);
    while (*mine < versions) {
        const pqdb_code code = pq_log_reader_next(reader, &record, &err);
        CHECK(code == PQDB_OK, "after %" PRIu64 ": %s", *mine, err.message);
        if (code != PQDB_OK) break;
        if (record == NULL) continue;
        CHECK(record->version == *mine + 1 && log_world_is_right(&world, record), "%" PRIu64,
              record->version);
        *mine = record->version;
    }
    pq_log_reader_close(reader);
    return NULL;
}

static void everybody_works_at_once(void) {
    pqdb_error err;
    pthread_t keeper, followers[readers];
    CHECK(pq_store_open_memory(&pq_alloc_libc, &world.store, &err) == PQDB_OK, "memory");
    world.segment_bytes = 1 << 14;
    CHECK(log_world_open(&world, &err) == PQDB_OK, "%s", err.message);
    pthread_create(&keeper, NULL, keep, NULL);
    for (size_t i = 0; i < readers; i++) {
        pthread_create(&followers[i], NULL, follow, (void *)&seen[i]);
    }
    for (uint64_t version = 1; version <= versions; version++) {
        CHECK(log_world_append(&world, version, 1, &err) == PQDB_OK, "%s", err.message);
    }
    for (size_t i = 0; i < readers; i++) pthread_join(followers[i], NULL);
    is_done = true;
    pthread_join(keeper, NULL);
    CHECK(pq_log_first_version(world.log) > 1, "nothing was trimmed");
    CHECK(log_world_close(&world, &err) == PQDB_OK, "%s", err.message);
    pq_store_destroy(world.store);
}

int main(void) {
    RUN(everybody_works_at_once);
    return test_done();
}
