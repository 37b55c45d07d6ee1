/// Goal: a token of a write is known for seven days and among the newest ones, wherever it is kept:
/// in memory, in the log, in a checkpoint's runs. Then it can be used anew.
#include <parquedb/write.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "db/db_internal.h"
#include "db/open_with.h"
#include "support/fixed_env.h"
#include "support/test.h"

static const int64_t hour_us = INT64_C(3600) * 1000000, day_us = INT64_C(24) * 3600 * 1000000;

static pqdb_error err;
static int64_t now_us;

static int64_t tell_time(void *ctx) {
    (void)ctx;
    return now_us;
}

static uint64_t monotonic_ns;

static uint64_t count_time(void *ctx) {
    (void)ctx;
    return monotonic_ns += 1000000;
}

static void sleep_no_time(void *ctx, uint64_t ns) {
    (void)ctx;
    monotonic_ns += ns;
}

static void count_random(void *ctx, void *out, size_t length) {
    static uint64_t count;
    (void)ctx;
    for (size_t i = 0; i < length; i++) ((uint8_t *)out)[i] = (uint8_t)pq_hash_word(++count);
}

static const struct pq_env env = {.now_us = tell_time, .monotonic_ns = count_time,
                                  .random = count_random, .sleep_ns = sleep_no_time};

static uint64_t cut_run_bytes;  // 1: runs are merged beside checkpoints

struct world {
    struct pq_store *store;
    pqdb_db *db;
    uint64_t tokens_max;
};

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

static struct pq_open_with with_of(const struct world *world) {
    return (struct pq_open_with){.store = world->store, .location = "file:///world", .env = &env,
                                 .alloc = &pq_alloc_libc, .no_keeper = true,
                                 .tokens_max = world->tokens_max,
                                 .cut_run_bytes = cut_run_bytes};
}

static void reopen(struct world *world) {
    const struct pq_open_with with = with_of(world);
    if (world->db != NULL) must(pqdb_close(world->db, &err), "close");
    must(pq_db_open_with(&with, NULL, &world->db, &err), "open");
}

static void world_init(struct world *world, uint64_t tokens_max) {
    *world = (struct world){.tokens_max = tokens_max};
    now_us = FIXED_NOW_US;
    must(pq_store_open_memory(&pq_alloc_libc, &world->store, &err), "store");
    const struct pq_open_with with = with_of(world);
    must(pq_db_init_with(&with, PQ_TEXT("{ Item: { n: 'int!' } }"), &err), "init");
    reopen(world);
}

static void world_deinit(struct world *world) {
    must(pqdb_close(world->db, &err), "close");
    pq_store_destroy(world->store);
}

static pqdb_code put(struct world *world, int token, int n, bool *repeated) {
    char name[16], row[48];
    const int length = snprintf(row, sizeof row, "{\"$id\":\"%d-%lld\",\"n\":%d}", n,
                                (long long)(now_us / hour_us), n);
    snprintf(name, sizeof name, "t%d", token);
    const pqdb_write_options options = {.token = name, .on_conflict = "replace"};
    pqdb_written written = {0};
    const pqdb_code code = pqdb_create(world->db, "Item", row, (size_t)length, &options, &written,
                                       &err);
    *repeated = written.repeated;
    return code;
}

/// Used for other content a known token is a conflict; nothing is written then.
static bool is_known(struct world *world, int token) {
    bool repeated;
    const pqdb_code code = put(world, token, -1 - token, &repeated);
    CHECK(code == PQDB_OK || code == PQDB_CONFLICT, "%s", err.message);
    return code == PQDB_CONFLICT;
}

static void use(struct world *world, int token) {
    bool repeated;
    must(put(world, token, token, &repeated), "create");
    CHECK(!repeated, "t%d is known", token);
}

enum place { IN_MEMORY, IN_LOG, IN_RUN, IN_RUN_REOPENED };

static void a_token_is_known_for_seven_days(void) {
    for (enum place place = IN_MEMORY; place <= IN_RUN_REOPENED; place++) {
        struct world world;
        bool repeated;
        world_init(&world, 0);
        use(&world, 1);
        if (place >= IN_RUN) must(pqdb_checkpoint(world.db, &err), "checkpoint");
        now_us += 7 * day_us - hour_us;
        if (place == IN_LOG || place == IN_RUN_REOPENED) reopen(&world);
        CHECK(is_known(&world, 1), "place %d: forgotten after 6 days and 23 hours", place);
        now_us += 2 * hour_us;
        if (place == IN_LOG || place == IN_RUN_REOPENED) reopen(&world);
        must(put(&world, 1, 2, &repeated), "a token that is used anew");
        CHECK(!repeated, "place %d: known after 7 days and 1 hour", place);
        now_us += 7 * day_us - hour_us;
        must(put(&world, 2, 3, &repeated), "create");
        CHECK(is_known(&world, 1), "place %d: the second use begins seven days", place);
        world_deinit(&world);
    }
}

static uint64_t rows_in_runs(const pqdb_db *db) {
    uint64_t rows = 0;
    for (size_t i = 0; i < db->tokens.run_count; i++) {
        rows += pq_run_name(db->tokens.runs[i])->rows;
    }
    return rows;
}

static void old_tokens_leave_the_runs(void) {
    struct world world;
    world_init(&world, 0);
    for (int i = 0; i < 30; i++) {
        use(&world, i);
        must(pqdb_checkpoint(world.db, &err), "checkpoint");
        now_us += day_us;
    }
    const uint64_t rows = rows_in_runs(world.db);
    CHECK(rows >= 7 && rows <= 16, "%llu rows after 30 tokens", (unsigned long long)rows);
    reopen(&world);
    for (int i = 0; i < 23; i++) CHECK(!is_known(&world, i), "t%d of day %d", i, i);
    for (int i = 23; i < 30; i++) CHECK(is_known(&world, i), "t%d of day %d", i, i);
    world_deinit(&world);
}

static void the_newest_tokens_are_kept(void) {
    for (int reopens = 0; reopens < 2; reopens++) {
        struct world world;
        world_init(&world, 8);
        for (int i = 0; i < 20; i++) {
            use(&world, i);
            if (i % 5 == 0) must(pqdb_checkpoint(world.db, &err), "checkpoint");
        }
        must(pqdb_checkpoint(world.db, &err), "checkpoint");
        CHECK(rows_in_runs(world.db) == 8, "%llu rows",
              (unsigned long long)rows_in_runs(world.db));
        if (reopens) reopen(&world);
        for (int i = 12; i < 20; i++) CHECK(is_known(&world, i), "t%d is forgotten", i);
        for (int i = 0; i < 12; i++) CHECK(!is_known(&world, i), "t%d is known", i);
        world_deinit(&world);
    }
}

static void what_a_checkpoint_forgets_can_be_used_again(void) {
    struct world world;
    bool repeated;
    world_init(&world, 4);
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 8; i++) {
            must(put(&world, i, round * 8 + i, &repeated), "create");
            CHECK(!repeated, "round %d: t%d is known", round, i);
            if (i % 4 == 3) must(pqdb_checkpoint(world.db, &err), "checkpoint");
        }
        CHECK(is_known(&world, 7) && is_known(&world, 4), "round %d", round);
        if (round == 3) reopen(&world);
    }
    world_deinit(&world);
}

/// As it was written before tokens had a time.
static void a_token_without_a_time_stays_until_there_are_newer_ones(void) {
    struct world world;
    world_init(&world, 4);
    use(&world, 0);
    struct pq_trace_row *row;
    bool created;
    const struct pq_hashed_key key = {pq_hash("t0", 2), PQ_TEXT("t0")};
    must(pq_trace_touch(&world.db->tokens, &key, 24, &row, &created, &err), "touch");
    CHECK(!created && row->payload_bytes == 24, "%u bytes", row->payload_bytes);
    must(pq_trace_resize(&world.db->tokens, &row, 16, &err), "shorten");
    must(pqdb_checkpoint(world.db, &err), "checkpoint");
    now_us += 400 * day_us;
    reopen(&world);
    CHECK(is_known(&world, 0), "it has no time that could be over");
    for (int i = 1; i < 8; i++) use(&world, i);
    must(pqdb_checkpoint(world.db, &err), "checkpoint");
    bool repeated;
    must(put(&world, 0, 9, &repeated), "used anew");
    now_us += day_us;
    must(pqdb_checkpoint(world.db, &err), "checkpoint");
    reopen(&world);
    CHECK(is_known(&world, 0), "forgotten after a day");
    world_deinit(&world);
}

int main(void) {
    for (cut_run_bytes = 0; cut_run_bytes < 2; cut_run_bytes++) {
        RUN(a_token_is_known_for_seven_days);
        RUN(old_tokens_leave_the_runs);
        RUN(the_newest_tokens_are_kept);
        RUN(what_a_checkpoint_forgets_can_be_used_again);
        RUN(a_token_without_a_time_stays_until_there_are_newer_ones);
    }
    return test_done();
}
