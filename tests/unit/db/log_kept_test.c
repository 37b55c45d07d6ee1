/// Goal: the log takes what is needed and no more: as far back as `$history` says, as a view that
/// lags or a process that reads needs it, and whole segments go once nobody does.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <string.h>

#include "db/open_with.h"
#include "support/moving_clock.h"
#include "support/test.h"

enum { BATCH = 200, SEGMENT = 64 << 10, LAG = 256 << 10 };

static pqdb_error err;

#define MUST(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

static pqdb_db *open_as(struct pq_store *store, bool read_only) {
    const struct pq_open_with with = {.store = store, .location = "file:///kept",
                                      .env = &moving_env, .alloc = &pq_alloc_libc,
                                      .log_segment_bytes = SEGMENT, .lag_bytes = LAG,
                                      .no_keeper = true};
    const pqdb_options options = {.read_only = read_only};
    pqdb_db *db = NULL;
    MUST(pq_db_open_with(&with, &options, &db, &err));
    if (db == NULL) exit(test_done());
    return db;
}

static pqdb_db *make(struct pq_store **store, const char *schema) {
    clock_us = march_2026;
    MUST(pq_store_open_memory(&pq_alloc_libc, store, &err));
    const struct pq_open_with with = {.store = *store, .location = "file:///kept",
                                      .env = &moving_env, .alloc = &pq_alloc_libc};
    MUST(pq_db_init_with(&with, pq_text_of(schema), &err));
    return open_as(*store, false);
}

/// The same rows, changed, ten minutes later: some 20 KiB of log.
static void go_on(pqdb_db *db, unsigned rounds) {
    for (unsigned round = 0; round < rounds; round++) {
        static char text[BATCH * 100];
        size_t length = 0;
        for (unsigned i = 0; i < BATCH; i++) {
            length += (size_t)snprintf(text + length, sizeof text - length,
                                       "{\"$id\":\"%04u\",\"k\":\"%016" PRIx64 "\",\"n\":%u}\n", i,
                                       pq_hash_word(++dice_thrown), i % 10);
        }
        const pqdb_write_options replace = {.on_conflict = "replace"};
        MUST(pqdb_create(db, "Item", text, length, &replace, NULL, &err));
        pass(10 * minute);
        MUST(pqdb_checkpoint(db, &err));
    }
}

static uint64_t log_bytes(struct pq_store *store) {
    struct pq_arena arena;
    struct pq_store_list list = {0};
    uint64_t bytes = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    MUST(pq_store_list(store, "log", &arena, &list, &err));
    for (size_t i = 0; i < list.count; i++) bytes += list.entries[i].bytes;
    pq_arena_deinit(&arena);
    return bytes;
}

static uint64_t version_of(pqdb_db *db) {
    pqdb_status status = {0};
    MUST(pqdb_status_get(db, &status, &err));
    return status.version;
}

static pqdb_code count_then(pqdb_db *db, uint64_t version, uint64_t *count) {
    char when[32];
    snprintf(when, sizeof when, "%" PRIu64, version);
    const pqdb_find_options options = {.as_of = when};
    return pqdb_count_with(db, "Item", &options, count, &err);
}

static void as_far_back_as_history_says(void) {
    struct pq_store *store;
    pqdb_db *db = make(&store, "{ Item: { k: 'string', n: 'int', $history: '5h' } }");
    uint64_t count = 0, most = 0;
    go_on(db, 60);
    const uint64_t settled = log_bytes(store);
    for (unsigned i = 0; i < 12; i++) {
        const uint64_t then = version_of(db);
        go_on(db, 28);  // 4 h 40 min
        MUST(count_then(db, then, &count));
        CHECK(count == BATCH, "%" PRIu64 " rows as of seq-%" PRIu64, count, then);
        if (log_bytes(store) > most) most = log_bytes(store);
    }
    CHECK(most < settled + 4 * SEGMENT, "%" PRIu64 " bytes of log, %" PRIu64 " before", most,
          settled);
    CHECK(count_then(db, 2, &count) == PQDB_NOT_FOUND, "seq-2 is 60 hours old");
    CHECK(strstr(err.message, "back to seq-") != NULL, "%s", err.message);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static const char lagging[] =
    "{ Item: { k: 'string', n: 'int', $history: '0s' },\n"
    "  ByN: { $from: 'Item', $groupBy: ['n'], $compute: { rows: { $count: '*' } },\n"
    "         $refresh: { mode: 'manual' } } }";

static void refresh(pqdb_db *db, const char *kind, const char *reason) {
    pqdb_refreshed refreshed = {0};
    MUST(pqdb_view_refresh(db, "ByN", false, &refreshed, &err));
    CHECK(strcmp(refreshed.kind, kind) == 0, "refreshed: %s, not %s", refreshed.kind, kind);
    CHECK(strstr(refreshed.reason, reason) != NULL, "because: %s", refreshed.reason);
    pqdb_verified verified = {0};
    MUST(pqdb_view_verify(db, "ByN", NULL, NULL, &verified, &err));
    CHECK(verified.differences == 0, "%" PRIu64 " differences", verified.differences);
}

static void as_a_view_that_lags_needs_it_and_no_more_than_a_full_computation_costs(void) {
    struct pq_store *store;
    pqdb_db *db = make(&store, lagging);
    go_on(db, 4);
    refresh(db, "full", "never");
    go_on(db, 9);  // less than LAG
    refresh(db, "incremental", "");
    go_on(db, 3);
    const uint64_t short_log = log_bytes(store);
    for (unsigned i = 0; i < 10; i++) {
        go_on(db, 10);
        CHECK(log_bytes(store) < LAG + 5 * SEGMENT, "%" PRIu64 " bytes of log", log_bytes(store));
    }
    CHECK(log_bytes(store) <= short_log, "%" PRIu64 " bytes are held for a view that is too old",
          log_bytes(store));
    refresh(db, "full", "no longer reaches back");
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void as_a_process_that_reads_needs_it(void) {
    struct pq_store *store;
    pqdb_db *db = make(&store, "{ Item: { k: 'string', n: 'int', $history: '0s' } }");
    go_on(db, 10);
    pqdb_db *reader = open_as(store, true);
    const uint64_t then = version_of(reader);
    const uint64_t before = log_bytes(store);
    go_on(db, 30);
    CHECK(log_bytes(store) > before + 4 * SEGMENT, "%" PRIu64 " bytes of log, %" PRIu64 " before",
          log_bytes(store), before);
    uint64_t count = 0;
    MUST(count_then(reader, then, &count));
    CHECK(count == BATCH && version_of(reader) == then, "%" PRIu64 " rows", count);
    MUST(pqdb_close(reader, &err));
    go_on(db, 3);
    CHECK(log_bytes(store) <= before + 2 * SEGMENT, "%" PRIu64 " bytes of log", log_bytes(store));
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void find_holder(void *ctx, const pqdb_log_holder *holder) {
    pqdb_log_holder *asked = ctx;
    if (strcmp(holder->name, "ByN") == 0) *asked = *holder;
}

static void the_state_says_who_holds_it_from_where_on_and_when_it_is_let_go(void) {
    struct pq_store *store;
    pqdb_db *db = make(&store, lagging);
    pqdb_view_state state;
    pqdb_log_holder holder = {0};
    go_on(db, 2);
    refresh(db, "full", "never");
    MUST(pqdb_view_state_get(db, "ByN", &state, &err));
    MUST(pqdb_log_holders(db, find_holder, &holder, &err));
    CHECK(state.log_version == 0 && holder.reason == NULL, "it is fresh");
    const uint64_t refreshed_at = version_of(db);
    go_on(db, 2);
    MUST(pqdb_view_state_get(db, "ByN", &state, &err));
    MUST(pqdb_log_holders(db, find_holder, &holder, &err));
    CHECK(state.log_version == refreshed_at + 1 && !state.log_let_go && state.log_bytes > 1000,
          "from %" PRIu64 ", %" PRIu64 " bytes", state.log_version, state.log_bytes);
    CHECK(holder.reason != NULL && holder.version == state.log_version &&
              holder.bytes == state.log_bytes, "from %" PRIu64, holder.version);
    for (int i = 0; i < 30 && !state.log_let_go; i++) {
        go_on(db, 1);
        MUST(pqdb_view_state_get(db, "ByN", &state, &err));
    }
    CHECK(state.log_let_go, "%" PRIu64 " bytes", state.log_bytes);
    go_on(db, 3);
    refresh(db, "full", "no longer reaches back");
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void what_a_view_does_not_read_it_holds_no_log_for(void) {
    struct pq_store *store;
    pqdb_db *db = make(&store, "{ Item: { k: 'string', n: 'int', $history: '0s' },\n"
                               "  Quiet: { n: 'int', $history: '0s' },\n"
                               "  ByN: { $from: 'Quiet', $groupBy: ['n'],\n"
                               "         $compute: { rows: { $count: '*' } },\n"
                               "         $refresh: { mode: 'manual' } } }");
    MUST(pqdb_create(db, "Quiet", "{\"n\":1}", 7, NULL, NULL, &err));
    refresh(db, "full", "never");
    go_on(db, 40);
    CHECK(log_bytes(store) < 5 * SEGMENT, "%" PRIu64 " bytes of log", log_bytes(store));
    MUST(pqdb_create(db, "Quiet", "{\"n\":1}", 7, NULL, NULL, &err));
    refresh(db, "incremental", "");
    MUST(pqdb_close(db, &err));
    db = open_as(store, false);
    MUST(pqdb_create(db, "Quiet", "{\"n\":2}", 7, NULL, NULL, &err));
    refresh(db, "incremental", "");
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

int main(void) {
    RUN(as_far_back_as_history_says);
    RUN(as_a_view_that_lags_needs_it_and_no_more_than_a_full_computation_costs);
    RUN(as_a_process_that_reads_needs_it);
    RUN(the_state_says_who_holds_it_from_where_on_and_when_it_is_let_go);
    RUN(what_a_view_does_not_read_it_holds_no_log_for);
    return test_done();
}
