#include "support/db_world.h"

#include <stdatomic.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "support/test.h"

const char db_world_schema[] =
    "{\n"
    "  Item: { commit: 'int!', kind: 'string!', n: 'int', price: 'decimal(10,2)',\n"
    "          at: 'timestamp', tags: 'string[]' },\n"
    "  Feed: { $ingest: 'custom:feed', commit: 'int!', x: 'int!' },\n"
    "  Cheap: { $from: 'Item', $filter: { n: { $lt: 5 } }, $select: { kind: '$kind', n: '$n' } },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'],\n"
    "    $compute: { rows: { $count: '*' }, sum: { $sum: 'n' }, low: { $min: 'n' },\n"
    "      high: { $max: 'price' }, first: { $first: 'n' }, last: { $last: 'more' },\n"
    "      mean: { $avg: 'price' } } },\n"
    "  Tags: { $from: 'Item', $unnest: 'tags' },\n"
    "  PerTag: { $from: 'Tags', $groupBy: ['tags', { hour: '$at' }],\n"
    "    $compute: { rows: { $count: '*' } } },\n"
    "  Total: { $from: 'Feed', $compute: { rows: { $count: '*' }, sum: { $sum: 'x' } } },\n"
    "  Later: { $from: 'Cheap', $groupBy: ['kind'], $compute: { rows: { $count: '*' } },\n"
    "    $refresh: { mode: 'manual' } },\n"
    "  Above: { $from: 'Later', $filter: { rows: { $gt: 1 } } },\n"
    "}\n";

static _Atomic int64_t clock_us = INT64_C(1768471200000000);
static _Atomic uint64_t dice = 99;

static int64_t world_now(void *ctx) {
    (void)ctx;
    return atomic_fetch_add(&clock_us, 10) + 10;
}
static uint64_t world_monotonic(void *ctx) { return (uint64_t)world_now(ctx) * 1000; }
static void world_random(void *ctx, void *out, size_t length) {
    (void)ctx;
    for (size_t i = 0; i < length; i++) {
        const uint64_t throw = atomic_fetch_add(&dice, 1) + 1;
        ((uint8_t *)out)[i] = (uint8_t)pq_hash_word(throw);
    }
}
static void world_sleep(void *ctx, uint64_t ns) { (void)ctx, (void)ns; }

const struct pq_env db_world_env = {.now_us = world_now, .monotonic_ns = world_monotonic,
                                    .random = world_random, .sleep_ns = world_sleep};

static struct pq_open_with open_with(struct pq_store *store, const struct pq_alloc *alloc) {
    return (struct pq_open_with){.store = store, .location = "file:///world",
                                 .env = &db_world_env, .alloc = alloc, .no_keeper = true,
                                 .log_segment_bytes = 1 << 13};
}

size_t db_world_rows(unsigned commit) { return 1 + commit * 7 % 5; }

static bool is_feed(unsigned commit) { return commit % 3 == 0; }

pqdb_code db_world_init(struct pq_store *store, const struct pq_alloc *alloc, pqdb_error *err) {
    const struct pq_open_with with = open_with(store, alloc);
    return pq_db_init_with(&with, pq_text_of(db_world_schema), err);
}

pqdb_code db_world_open(struct pq_store *store, const struct pq_alloc *alloc, pqdb_db **db,
                        pqdb_error *err) {
    const struct pq_open_with with = open_with(store, alloc);
    return pq_db_open_with(&with, NULL, db, err);
}

pqdb_code db_world_commit(pqdb_db *db, unsigned commit, pqdb_error *err) {
    char text[4096], token[16];
    size_t length = 0;
    for (size_t row = 0; row < db_world_rows(commit); row++) {
        const size_t n = (commit * 11 + row * 5) % 10;
        length += (size_t)snprintf(
            text + length, sizeof text - length,
            is_feed(commit)
                ? "{\"commit\":%u,\"$id\":\"%u-%zu\",\"x\":%zu,\"name%u\":[%zu]}\n"
                : "{\"commit\":%u,\"$id\":\"%u-%zu\",\"n\":%zu,\"more\":{\"k%u\":%zu},"
                  "\"kind\":\"k%zu\",\"price\":\"%zu.25\",\"tags\":[\"a\",\"b%zu\"],"
                  "\"at\":\"2026-01-15T10:%02zu:00Z\"}\n",
            commit, commit, row, n, commit, row, n % 3, n, row, n);
    }
    snprintf(token, sizeof token, "t%u", commit);
    const pqdb_write_options options = {.token = token};
    return pqdb_create(db, is_feed(commit) ? "Feed" : "Item", text, length, &options, NULL, err);
}

void db_world_verify(pqdb_db *db, const char *what, long number) {
    pqdb_error err = {0};
    pqdb_verified verified;
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        const char *view = pqdb_view_name(db, i);
        CHECK(pqdb_view_refresh(db, view, false, NULL, &err) == PQDB_OK, "%s %ld: %s: %s", what,
              number, view, err.message);
        const pqdb_code code = pqdb_view_verify(db, view, NULL, NULL, &verified, &err);
        CHECK(code == PQDB_OK, "%s %ld: %s: %s", what, number, view, err.message);
        CHECK(code != PQDB_OK || verified.differences == 0, "%s %ld: %s: %" PRIu64 " differences",
              what, number, view, verified.differences);
    }
}

unsigned db_world_check_rows(pqdb_db *db, unsigned acknowledged, unsigned attempted,
                             const char *what, long number) {
    pqdb_error err = {0};
    unsigned last = 0;
    uint64_t all = 0;
    for (unsigned commit = 1; commit <= attempted; commit++) {
        char filter[64];
        uint64_t count = 0;
        snprintf(filter, sizeof filter, "{ commit: %u }", commit);
        CHECK(pqdb_count(db, is_feed(commit) ? "Feed" : "Item", filter, &count, &err) == PQDB_OK,
              "%s %ld: %s", what, number, err.message);
        all += count;
        if (count > 0 && last == commit - 1) last = commit;
        CHECK(count == db_world_rows(commit) || (count == 0 && commit > acknowledged),
              "%s %ld: commit %u of %u has %" PRIu64 " rows", what, number, commit, acknowledged,
              count);
    }
    uint64_t items = 0, feed = 0;
    CHECK(pqdb_count(db, "Item", NULL, &items, &err) == PQDB_OK &&
              pqdb_count(db, "Feed", NULL, &feed, &err) == PQDB_OK && items + feed == all,
          "%s %ld: %" PRIu64 " rows, not %" PRIu64, what, number, items + feed, all);
    return last;
}

unsigned db_world_check(pqdb_db *db, unsigned acknowledged, unsigned attempted, const char *what,
                        long number) {
    const unsigned last = db_world_check_rows(db, acknowledged, attempted, what, number);
    db_world_verify(db, what, number);
    return last;
}
