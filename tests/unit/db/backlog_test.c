/// Goal: writers that are faster than the keeper are slowed down in proportion, a millisecond at
/// most for a small commit, so that they do not have to stop; and not at all while it keeps up.
///
/// The keeper is held in the middle of writing a file; sleeping is counted and takes no time.
#include <inttypes.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "db/backlog.h"
#include "db/checkpoint_internal.h"
#include "db/open_with.h"
#include "support/test.h"

enum { MEMORY = 256 << 20, ROW = 300, SMALL = 100, LARGE = 1000 };

static pqdb_error err;

#define MUST(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

// ---- how long -----------------------------------------------------------------------------------

static void a_commit_waits_in_proportion_to_backlog_and_size(void) {
    CHECK(pq_db_delay_ns(0, 1 << 20) == 0 && pq_db_delay_ns(PQ_DB_BACKLOG_EASY, 1 << 20) == 0,
          "a wait while the keeper keeps up");
    uint64_t before = 0;
    for (uint32_t backlog = PQ_DB_BACKLOG_EASY + 1; backlog <= PQ_DB_BACKLOG_FULL; backlog++) {
        const uint64_t small = pq_db_delay_ns(backlog, 0);
        const uint64_t large = pq_db_delay_ns(backlog, 9 * PQ_DB_DELAY_BYTES);
        CHECK(small > before && small <= 1000000, "%" PRIu64 " ns at %u", small, backlog);
        CHECK(large >= 9 * small && large <= 11 * small, "%" PRIu64 " ns of %" PRIu64, large,
              small);
        before = small;
    }
    CHECK(pq_db_delay_ns(UINT32_MAX, 0) == pq_db_delay_ns(PQ_DB_BACKLOG_FULL, 0), "no more");
}

/// A writer that could fill memory at 200 MB/s, and a keeper that writes so many, for a second of
/// simulated time: the backlog settles below full.
static uint32_t settles_at(double keeper_bytes_per_ns, uint64_t commit_bytes) {
    const double full = 64 << 20, writer_bytes_per_ns = 0.2;
    double held = full / 2;
    for (double now_ns = 0; now_ns < 2e9;) {
        const uint32_t backlog = (uint32_t)(held / full * PQ_DB_BACKLOG_FULL);
        CHECK(backlog < PQ_DB_BACKLOG_FULL, "full after %.0f ms", now_ns / 1e6);
        const double took = (double)commit_bytes / writer_bytes_per_ns +
                            (double)pq_db_delay_ns(backlog, commit_bytes);
        held += (double)commit_bytes - took * keeper_bytes_per_ns;
        if (held < 0) held = 0;
        now_ns += took;
    }
    return (uint32_t)(held / full * PQ_DB_BACKLOG_FULL);
}

static void a_keeper_that_is_slower_is_met_before_memory_is_full(void) {
    static const uint64_t sizes[] = {300, 4096, 65536, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int rate = 20; rate <= 180; rate += 40) {
            const uint32_t backlog = settles_at(rate / 1000.0, sizes[i]);
            CHECK(backlog > PQ_DB_BACKLOG_EASY - 64, "%u of 1024 at %d MB/s", backlog, rate);
        }
        CHECK(settles_at(0.25, sizes[i]) == 0, "a keeper that is faster has no backlog");
    }
}

// ---- in a database ------------------------------------------------------------------------------

static pthread_t writer;
static atomic_size_t sleeps;       // of the writer
static _Atomic uint64_t slept_ns;  // the last time

static void count_sleep(void *ctx, uint64_t ns) {
    (void)ctx;
    if (!pthread_equal(pthread_self(), writer)) return;
    sleeps++;
    slept_ns = ns;
}

static struct pq_store_ops held_ops;
static pqdb_code (*write_through)(struct pq_file *file, uint64_t offset,
                                  const struct pq_text *pieces, size_t count, pqdb_error *error);
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;  // the keeper waits while it is taken

static pqdb_code held_write(struct pq_file *file, uint64_t offset, const struct pq_text *pieces,
                            size_t count, pqdb_error *error) {
    if (strstr(file->path, "/data/") != NULL) {
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    return write_through(file, offset, pieces, count, error);
}

static void put(pqdb_db *db, unsigned rows) {
    static char text[LARGE * (ROW + 40)];
    static const char note[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t length = 0;
    for (unsigned i = 0; i < rows; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"n\":%u,\"note\":\"%s%s%s%s\"}\n", i, note, note, note, note);
    }
    MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
}

static uint32_t backlog_of(pqdb_db *db) {
    pqdb_status status = {0};
    MUST(pqdb_status_get(db, &status, &err));
    return (uint32_t)(status.memory.rows * 1024 / status.memory.rows_max);
}

/// Commits until so much of memory is full; how many of them slept.
static size_t fill_to(pqdb_db *db, uint32_t backlog) {
    const size_t before = sleeps;
    while (backlog_of(db) < backlog) put(db, SMALL);
    return sleeps - before;
}

static void writers_slow_down_while_the_keeper_is_behind(void) {
    struct pq_store *store;
    struct pq_env env = pq_env_system;
    pqdb_db *db = NULL;
    writer = pthread_self();
    env.sleep_ns = count_sleep;
    MUST(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    held_ops = *store->ops;
    write_through = held_ops.write;
    held_ops.write = held_write;
    store->ops = &held_ops;
    const struct pq_open_with with = {.store = store, .location = "file:///backlog", .env = &env,
                                      .alloc = &pq_alloc_libc};
    const pqdb_options options = {.memory_bytes = MEMORY, .checkpoint_ms = -1};
    MUST(pq_db_init_with(&with, PQ_TEXT("{ Item: { n: 'int', note: 'string' } }"), &err));
    MUST(pq_db_open_with(&with, &options, &db, &err));
    pthread_mutex_lock(&gate);
    CHECK(fill_to(db, 740) == 0, "%zu commits were delayed already", (size_t)sleeps);
    fill_to(db, 800);
    put(db, SMALL);
    const uint64_t early = slept_ns;
    CHECK(sleeps > 0 && early > 0, "%" PRIu64 " ns", early);
    CHECK(fill_to(db, 940) > 0, "no commit was delayed");
    put(db, SMALL);
    const uint64_t late = slept_ns;
    const uint64_t most = pq_db_delay_ns(PQ_DB_BACKLOG_FULL, SMALL * ROW);
    CHECK(late > early && late <= most, "%" PRIu64 " ns, before %" PRIu64, late, early);
    put(db, LARGE / 2);
    CHECK(slept_ns > late, "a larger one waits longer: %" PRIu64 " ns", (uint64_t)slept_ns);
    pthread_mutex_unlock(&gate);
    MUST(pqdb_checkpoint(db, &err));
    put(db, SMALL);  // tells how much is left
    const size_t before = sleeps;
    for (int i = 0; i < 20; i++) put(db, SMALL);
    CHECK(sleeps == before, "commits are delayed with nothing left to write");
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

// ---- dead rows ----------------------------------------------------------------------------------

static pqdb_db *open_counting(struct pq_store **store, struct pq_env *env, size_t memory,
                              bool no_keeper) {
    pqdb_db *db = NULL;
    writer = pthread_self();
    *env = pq_env_system;
    env->sleep_ns = count_sleep;
    MUST(pq_store_open_memory(&pq_alloc_libc, store, &err));
    const struct pq_open_with with = {.store = *store, .location = "file:///dead", .env = env,
                                      .alloc = &pq_alloc_libc, .dead_bytes = 1,
                                      .no_keeper = no_keeper};
    const pqdb_options options = {.memory_bytes = memory, .checkpoint_ms = -1};
    MUST(pq_db_init_with(&with, PQ_TEXT("{ Order: { n: 'int' } }"), &err));
    MUST(pq_db_open_with(&with, &options, &db, &err));
    return db;
}

/// The same `rows` orders again, each a little different.
static void replace(pqdb_db *db, unsigned rows, unsigned round) {
    static char text[LARGE * 64];
    const pqdb_write_options options = {.on_conflict = "replace"};
    for (unsigned first = 0; first < rows; first += LARGE) {
        size_t length = 0;
        for (unsigned i = first; i < first + LARGE && i < rows; i++) {
            length += (size_t)snprintf(text + length, sizeof text - length,
                                       "{\"$id\":\"o%06u\",\"n\":%u}\n", i, round * i);
        }
        MUST(pqdb_create(db, "Order", text, length, &options, NULL, &err));
    }
}

static uint32_t dead_backlog(pqdb_db *db) {
    pthread_mutex_lock(&db->leader);
    const uint32_t backlog = pq_db_dead_backlog(db);
    pthread_mutex_unlock(&db->leader);
    return backlog;
}

/// No thread works in the background: files are what this one makes of them.
static void dead_rows_are_a_backlog_until_they_are_merged(void) {
    enum { ORDERS = 20000, LITTLE = 32 << 20 };  // so a file of all is no checkpoint's to rewrite
    struct pq_store *store;
    struct pq_env env;
    bool merged = false;
    pqdb_db *db = open_counting(&store, &env, LITTLE, true);
    replace(db, ORDERS, 1);
    MUST(pqdb_checkpoint(db, &err));
    CHECK(dead_backlog(db) == 0, "%u of 1024 with all rows alive", dead_backlog(db));
    uint32_t before = 0;
    for (unsigned round = 1; round <= 3; round++) {
        replace(db, round * ORDERS / 4 + ORDERS / 20, round + 1);
        MUST(pq_db_checkpoint(db, true, &err));
        const uint32_t backlog = dead_backlog(db);
        CHECK(backlog > before, "%u of 1024, before %u", backlog, before);
        before = backlog;
    }
    CHECK(before > PQ_DB_BACKLOG_EASY, "%u of 1024: commits would not wait", before);
    for (int i = 0; i < 8; i++) {
        MUST(pq_db_merge_files(db, &merged, &err));
        MUST(pq_db_checkpoint(db, true, &err));
    }
    CHECK(dead_backlog(db) < PQ_DB_BACKLOG_EASY / 2, "%u of 1024 after merges", dead_backlog(db));
    db->dead_bytes = 1 << 30;
    replace(db, ORDERS / 2, 9);
    MUST(pq_db_checkpoint(db, true, &err));
    CHECK(dead_backlog(db) == 0, "%u of 1024 of little", dead_backlog(db));
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void commits_wait_for_merges_too(void) {
    struct pq_store *store;
    struct pq_env env;
    pqdb_db *db = open_counting(&store, &env, MEMORY, false);
    replace(db, 10, 1);
    const size_t before = sleeps;
    replace(db, 10, 2);
    CHECK(sleeps == before, "a commit was delayed with all rows alive");
    for (unsigned i = 0; i < 100 && sleeps == before; i++) {  // the keeper looks too, now and then
        atomic_store(&db->dead_backlog, PQ_DB_BACKLOG_FULL);
        replace(db, 10, i);
    }
    CHECK(sleeps > before && slept_ns >= PQ_DB_DELAY_NS_MAX, "%zu sleeps", sleeps - before);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

int main(void) {
    RUN(a_commit_waits_in_proportion_to_backlog_and_size);
    RUN(a_keeper_that_is_slower_is_met_before_memory_is_full);
    RUN(writers_slow_down_while_the_keeper_is_behind);
    RUN(dead_rows_are_a_backlog_until_they_are_merged);
    RUN(commits_wait_for_merges_too);
    return test_done();
}
