/// Goal: under a steady load of updates the database takes at most twice what its live rows take,
/// whenever the keeper has nothing left to do, and no more than is said while it works; and a file
/// that somebody reads stays for as long.
///
/// What live rows take: the same rows in a database that wrote them once. The log is not counted.
#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "db/checkpoint_internal.h"
#include "support/db_calls.h"

enum { ROWS = 72000, BATCH = 4000, ROUNDS = 40, GROUPS = 500 };

static const char schema[] =
    "{ Item: { k: 'string!', n: 'int!', note: 'string' },\n"
    "  Low: { $from: 'Item', $filter: { n: { $lt: 300 } } },\n"
    "  By: { $from: 'Item', $groupBy: ['k'], $compute: { rows: { $count: '*' },\n"
    "    sum: { $sum: 'n' }, high: { $max: 'n' } } } }";

static pqdb_error err;
static uint64_t dice;
static struct pq_store *watched;  // its bytes are taken whenever a file is written
static uint64_t most;             // of them, since it was reset

static unsigned roll(unsigned sides) { return (unsigned)(pq_hash_word(++dice) % sides); }

static uint64_t bytes_below(struct pq_store *store, const char *directory);

/// Paced writing asks for the time before each step.
static uint64_t watch(void *ctx) {
    const uint64_t bytes = watched == NULL ? 0 : bytes_below(watched, "");
    if (bytes > most) most = bytes;
    return db_world_env.monotonic_ns(ctx);
}

static struct pq_env watching;

static struct pq_open_with with_store(struct pq_store *store) {
    watching = db_world_env;
    watching.monotonic_ns = watch;
    return (struct pq_open_with){.store = store, .location = "file:///disk", .env = &watching,
                                 .alloc = &pq_alloc_libc, .no_keeper = true};
}

static pqdb_db *make(struct pq_store **store) {
    MUST(pq_store_open_memory(&pq_alloc_libc, store, &err));
    const struct pq_open_with with = with_store(*store);
    MUST(pq_db_init_with(&with, pq_text_of(schema), &err));
    return db_open(with_store(*store));
}

// ---- bytes --------------------------------------------------------------------------------------

/// Of all files below `directory`.
static uint64_t bytes_below(struct pq_store *store, const char *directory) {
    struct pq_arena arena;
    struct pq_store_list list = {0};
    uint64_t bytes = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_store_list(store, directory, &arena, &list, NULL);
    for (size_t i = 0; i < list.count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s%s%.*s", directory, directory[0] == '\0' ? "" : "/",
                 PQ_TEXT_ARG(list.entries[i].name));
        if (strcmp(path, "log") == 0) continue;
        bytes += list.entries[i].is_directory ? bytes_below(store, path) : list.entries[i].bytes;
    }
    pq_arena_deinit(&arena);
    return bytes;
}

// ---- the load -----------------------------------------------------------------------------------

/// Rows of random numbers below ROWS, or all from `first` on.
static void write_rows(pqdb_db *db, bool all, unsigned first) {
    static char text[BATCH * 160];
    static bool seen[ROWS];
    size_t length = 0;
    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < BATCH; i++) {
        unsigned row = all ? first + i : roll(ROWS);
        while (seen[row]) row = roll(ROWS);
        seen[row] = true;
        const uint64_t a = pq_hash_word(++dice), b = pq_hash_word(++dice);
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"$id\":\"%06u\",\"k\":\"g%u\",\"n\":%u,\"note\":"
                                   "\"%016" PRIx64 "%016" PRIx64 "%016" PRIx64 "\"}\n",
                                   row, roll(GROUPS), roll(1000), a, b, a ^ (b << 7));
    }
    const pqdb_write_options replace = {.on_conflict = "replace"};
    MUST(pqdb_create(db, "Item", text, length, &replace, NULL, &err));
}

/// All that the keeper would do now.
static void settle(pqdb_db *db) {
    bool merged = true;
    MUST(pq_db_checkpoint(db, true, &err));
    while (merged) {
        MUST(pq_db_merge_files(db, &merged, &err));
        if (merged || db->files_wait) MUST(pq_db_checkpoint(db, true, &err));
    }
}

static void load(pqdb_db *db) {
    for (unsigned i = 0; i < ROWS; i += BATCH) write_rows(db, true, i);
    // A maximum goes, so that the view must know all values from then on.
    MUST(pqdb_delete(db, "Item", "{ n: 999 }", NULL, NULL, &err));
    settle(db);
}

static uint64_t bytes_of_rows_written_once(void) {
    struct pq_store *store;
    pqdb_db *db = make(&store);
    load(db);
    const uint64_t bytes = bytes_below(store, "");
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
    return bytes;
}

static void updates_keep_to_twice_the_live_rows(void) {
    const uint64_t live = bytes_of_rows_written_once();
    struct pq_store *store;
    pqdb_db *db = make(&store);
    uint64_t worst = 0, worst_step = 0;
    load(db);
    watched = store;
    for (unsigned i = 0; i < ROUNDS; i++) {
        write_rows(db, false, 0);
        most = 0;
        settle(db);
        const uint64_t settled = bytes_below(store, "");
        if (settled > worst) worst = settled;
        if (most > worst_step) worst_step = most;
        CHECK(settled <= 2 * live, "round %u: %" PRIu64 " bytes, %" PRIu64 " live", i, settled,
              live);
        CHECK(most <= 3 * live, "round %u: %" PRIu64 " at most, %" PRIu64 " live", i, most, live);
    }
    watched = NULL;
    printf("  %" PRIu64 " live, %.2f times as much settled, %.2f in a step\n", live,
           (double)worst / (double)live, (double)worst_step / (double)live);
    CHECK(worst_step > worst, "steps were not watched");
    MUST(pqdb_close(db, &err));
    db = db_open(with_store(store));
    settle(db);
    CHECK(bytes_below(store, "") <= 2 * live, "after a restart");
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

// ---- readers ------------------------------------------------------------------------------------

struct seen {
    uint64_t rows, hash;
};

static struct seen read_all(pqdb_rows *rows) {
    struct seen seen = {0};
    for (bool has_row = true;;) {
        size_t length;
        MUST(pqdb_rows_next(rows, &has_row, &err));
        if (!has_row) return seen;
        const char *json = pqdb_rows_json(rows, &length);
        seen.rows++;
        seen.hash += pq_hash(json, length);
    }
}

static pqdb_rows *ask(pqdb_db *db, const char *as_of) {
    const pqdb_find_options options = {.as_of = as_of, .sort = "none"};
    pqdb_rows *rows = NULL;
    MUST(pqdb_find(db, "Item", &options, &rows, &err));
    return rows;
}

static void what_is_read_stays_until_it_is_closed(void) {
    const uint64_t live = bytes_of_rows_written_once();
    struct pq_store *store;
    pqdb_db *db = make(&store);
    load(db);
    pqdb_rows *rows = ask(db, NULL);
    const struct seen before = read_all(rows);
    char version[32];
    snprintf(version, sizeof version, "%" PRIu64, pqdb_rows_version(rows));
    pqdb_rows_close(rows);
    rows = ask(db, NULL);
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        write_rows(db, false, 0);
        settle(db);
    }
    pqdb_rows *past = ask(db, version);  // put together from the files of now
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        write_rows(db, false, 0);
        settle(db);
    }
    CHECK(bytes_below(store, "Item/data") > live, "the files of an open answer have gone");
    const struct seen now = read_all(rows), then = read_all(past);
    CHECK(now.rows == before.rows && now.hash == before.hash, "an answer that was open");
    CHECK(then.rows == before.rows && then.hash == before.hash, "as of seq-%s", version);
    pqdb_rows_close(rows);
    pqdb_rows_close(past);
    write_rows(db, false, 0);
    settle(db);
    CHECK(bytes_below(store, "") <= 2 * live, "%" PRIu64 " bytes, %" PRIu64 " live",
          bytes_below(store, ""), live);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void a_table_that_loses_all_rows_gives_its_bytes_back(void) {
    struct pq_store *store;
    pqdb_db *db = make(&store);
    load(db);
    const uint64_t before = bytes_below(store, "");
    MUST(pqdb_delete(db, "Item", "{}", NULL, NULL, &err));
    settle(db);
    CHECK(bytes_below(store, "") * 10 < before, "%" PRIu64 " of %" PRIu64 " bytes are left",
          bytes_below(store, ""), before);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

int main(void) {
    RUN(updates_keep_to_twice_the_live_rows);
    RUN(what_is_read_stays_until_it_is_closed);
    RUN(a_table_that_loses_all_rows_gives_its_bytes_back);
    return test_done();
}
