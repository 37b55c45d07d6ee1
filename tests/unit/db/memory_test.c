/// Goal: a database keeps to its budget where views hold far more than that: in a build, in steady
/// writing with checkpoints, and while a long log is replayed; all of it stays right, and files
/// that nobody needs in the end are gone.
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "db/db_internal.h"
#include "support/db_calls.h"

enum { ROWS = 36000, GROUPS = 24000, BATCH = 1000, LIMIT = 4 << 20 };

/// Writing a file takes some megabytes whatever the budget is; without one it is far more.
enum { MOST = 8 * LIMIT };

static const char schema[] =
    "{ Item: { k: 'string!', n: 'int!' } }";
static const char grouped[] =
    "{ $from: 'Item', $groupBy: ['k'], $compute: { rows: { $count: '*' }, sum: { $sum: 'n' },"
    "  low: { $min: 'n' }, half: { $median: 'n' } } }";

static pqdb_error err;

/// Counts what is held, and the most that ever was.
struct counting {
    struct pq_alloc alloc;
    atomic_size_t held, most;
};

static void *count_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    struct counting *counting = ctx;
    void *moved = pq_alloc_libc.resize(NULL, ptr, old_bytes, new_bytes);
    counting->held += new_bytes - (ptr == NULL ? 0 : old_bytes);
    if (counting->held > counting->most) counting->most = counting->held;
    return moved;
}

static struct counting counting;

static struct pq_open_with with_store(struct pq_store *store) {
    counting.alloc = (struct pq_alloc){.resize = count_resize, .ctx = &counting};
    return (struct pq_open_with){.store = store, .location = "file:///memory",
                                 .env = &db_world_env, .alloc = &counting.alloc,
                                 .no_keeper = true};
}

static pqdb_db *open_on(struct pq_store *store, size_t memory_bytes) {
    const struct pq_open_with with = with_store(store);
    const pqdb_options options = {.memory_bytes = memory_bytes};
    pqdb_db *db = NULL;
    counting.most = counting.held;
    MUST(pq_db_open_with(&with, &options, &db, &err));
    if (db == NULL) exit(test_done());
    return db;
}

/// Rows [first, first + count), each of a group drawn by its number.
static void put(pqdb_db *db, unsigned first, unsigned count) {
    static char text[BATCH * 80];
    size_t length = 0;
    for (unsigned i = first; i < first + count; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"$id\":\"%07u\",\"k\":\"user-%06u\",\"n\":%u}\n", i,
                                   (unsigned)(i * UINT64_C(2654435761) % GROUPS), i % 1000);
    }
    MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
}

static pqdb_memory memory_of(pqdb_db *db) {
    pqdb_status status = {0};
    MUST(pqdb_status_get(db, &status, &err));
    return status.memory;
}

static void verify(pqdb_db *db) {
    pqdb_verified verified = {0};
    uint64_t rows = 0;
    MUST(pqdb_view_verify(db, "By", NULL, NULL, &verified, &err));
    CHECK(verified.differences == 0, "%" PRIu64 " differences", verified.differences);
    MUST(pqdb_count(db, "By", NULL, &rows, &err));
    CHECK(rows > GROUPS / 2, "%" PRIu64 " groups", rows);
}

static struct pq_store *make_store(void) {
    struct pq_store *store = NULL;
    MUST(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const struct pq_open_with with = with_store(store);
    MUST(pq_db_init_with(&with, (struct pq_text){schema, sizeof schema - 1}, &err));
    return store;
}

static void fill(pqdb_db *db) {
    for (unsigned i = 0; i < ROWS; i += BATCH) {
        put(db, i, BATCH);
        if (i % (4 * BATCH) == 0) MUST(pqdb_checkpoint(db, &err));
    }
    MUST(pqdb_checkpoint(db, &err));
}

static void a_build_of_many_groups_spills(void) {
    struct pq_store *store = make_store();
    pqdb_db *db = open_on(store, LIMIT);
    fill(db);
    counting.most = counting.held;
    MUST(pqdb_view_create(db, "By", grouped, NULL, NULL, &err));
    MUST(pqdb_view_refresh(db, "By", true, NULL, &err));
    CHECK(counting.most < MOST, "%zu bytes at most", (size_t)counting.most);
    CHECK(db_files(store, "_state") > 3, "the state is not in runs");
    CHECK(db_files(store, "_views/By/data") > 2, "the rows are not in files");
    verify(db);
    MUST(pqdb_checkpoint(db, &err));
    MUST(pqdb_checkpoint(db, &err));
    const size_t states = db_files(store, "_state");
    CHECK(states < 60, "%zu files of states", states);
    MUST(pqdb_close(db, &err));
    db = open_on(store, LIMIT);
    put(db, ROWS, BATCH);  // steps find their groups in the runs
    verify(db);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void steps_keep_states_within_their_share(void) {
    struct pq_store *store = make_store();
    pqdb_db *db = open_on(store, LIMIT);
    MUST(pqdb_view_create(db, "By", grouped, NULL, NULL, &err));
    for (unsigned i = 0; i < ROWS; i += BATCH) {
        put(db, i, BATCH);
        if (i % (4 * BATCH) != 0) continue;
        MUST(pqdb_checkpoint(db, &err));
        const pqdb_memory memory = memory_of(db);
        // What runs need for being read goes on top.
        CHECK(memory.states <= memory.states_max * 3 / 2, "%" PRIu64 " of states, of %" PRIu64,
              memory.states, memory.states_max);
        CHECK(memory.limit == LIMIT && memory.used >= memory.states + memory.pages,
              "%" PRIu64 " used", memory.used);
    }
    verify(db);
    CHECK(counting.most < MOST, "%zu bytes at most", (size_t)counting.most);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void a_long_log_is_replayed_within_the_budget(void) {
    struct pq_store *store = make_store();
    pqdb_db *db = open_on(store, (size_t)1 << 30);
    MUST(pqdb_view_create(db, "By", grouped, NULL, NULL, &err));
    for (unsigned i = 0; i < ROWS; i += BATCH) put(db, i, BATCH);
    MUST(pqdb_close(db, &err));
    db = open_on(store, LIMIT);
    CHECK(counting.most < MOST, "%zu bytes at most", (size_t)counting.most);
    const pqdb_memory memory = memory_of(db);
    CHECK(memory.rows <= memory.rows_max, "%" PRIu64 " bytes of rows", memory.rows);
    verify(db);
    MUST(pqdb_close(db, &err));
    db = open_on(store, LIMIT);  // nothing was named by a root: all of it once more
    verify(db);
    MUST(pqdb_checkpoint(db, &err));
    verify(db);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

/// Keys as long as this make a state several times the budget; what is tracked stays below twice.
static void far_more_groups_than_fit_keep_to_the_budget_and_are_exact(void) {
    enum { BUDGET = 16 << 20, MANY = 60000 };
    static const char pad[] = "of-a-tenant-with-a-rather-long-name-in-the-second-region-of-all";
    static char text[BATCH * 200];
    struct pq_store *store = make_store();
    pqdb_db *db = open_on(store, BUDGET);
    MUST(pqdb_view_create(db, "By", grouped, NULL, NULL, &err));
    counting.most = counting.held;
    for (unsigned first = 0; first < MANY; first += BATCH) {
        size_t length = 0;
        for (unsigned i = first; i < first + BATCH; i++) {
            const unsigned group = i % 8 == 7 ? i / 2 : i;
            length += (size_t)snprintf(text + length, sizeof text - length,
                                       "{\"$id\":\"%07u\",\"k\":\"user-%06u-%s%s\",\"n\":%u}\n", i,
                                       group, pad, pad, i % 1000);
        }
        MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
        if (first % (4 * BATCH) == 0) MUST(pqdb_checkpoint(db, &err));
    }
    CHECK(counting.most < 2 * BUDGET, "%zu bytes at most", (size_t)counting.most);
    struct pq_arena arena;
    struct pq_store_list list = {0};
    uint64_t states = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    MUST(pq_store_list(store, "_state", &arena, &list, &err));
    for (size_t i = 0; i < list.count; i++) states += list.entries[i].bytes;
    pq_arena_deinit(&arena);
    CHECK(states > BUDGET, "only %" PRIu64 " bytes of states", states);
    verify(db);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

/// Bytes of deaths that readers find row by row, in all files.
static size_t death_bytes(const pqdb_db *db, uint64_t *rows) {
    const struct pq_db_tables *tables = db->tables;
    size_t bytes = 0;
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_catalog *catalog = tables->at[i]->table->published->catalog;
        for (size_t k = 0; k < catalog->file_count; k++) {
            bytes += catalog->segments[k]->died_bytes;
            *rows += catalog->segments[k]->rows;
        }
    }
    return bytes;
}

static void dead_rows_of_files_take_bits_behind_a_checkpoint(void) {
    struct pq_store *store = make_store();
    pqdb_db *db = open_on(store, (size_t)1 << 30);
    MUST(pqdb_view_create(db, "By", grouped, NULL, NULL, &err));
    for (unsigned i = 0; i < ROWS; i += BATCH) put(db, i, BATCH);
    MUST(pqdb_checkpoint(db, &err));
    for (unsigned round = 0; round < 4; round++) {
        uint64_t rows = 0;
        put(db, ROWS + round * BATCH, BATCH);  // rows of the view die all over its files
        const size_t before = death_bytes(db, &rows);
        CHECK(rows > ROWS && before > 2000 && before < 16000, "%zu bytes of deaths", before);
        verify(db);
        MUST(pq_db_checkpoint(db, true, &err));
        const size_t after = death_bytes(db, &rows);
        CHECK(after < GROUPS / 4, "%zu bytes of deaths behind a checkpoint", after);
        verify(db);
    }
    MUST(pqdb_close(db, &err));
    db = open_on(store, (size_t)1 << 30);
    verify(db);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void states_do_not_get_what_others_hold(void) {
    enum { BUDGET = 64 << 20 };
    struct pq_store *store = make_store();
    pqdb_db *db = open_on(store, BUDGET);
    const uint64_t before = memory_of(db).states_max;
    void *block = pq_resize(db->alloc, NULL, 0, BUDGET / 2, 1);
    const pqdb_memory during = memory_of(db);
    CHECK(during.used > BUDGET / 2 && during.used + during.states_max <= BUDGET + during.states,
          "%" PRIu64 " for states", during.states_max);
    pq_free(db->alloc, block, BUDGET / 2, 1);
    CHECK(memory_of(db).states_max >= before, "%" PRIu64 " for states", memory_of(db).states_max);
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

/// The least that was held while metadata was written.
static void note_publishing(void *ctx, struct fault_store *disk, const char *path) {
    size_t *least = ctx;
    (void)disk;
    if (strstr(path, "/metadata/") != NULL && counting.held < *least) *least = counting.held;
}

/// Writers fill their share again while metadata is written.
static void rows_that_are_written_are_let_go_before_metadata_is(void) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = with_store(&disk->base);
    MUST(pq_db_init_with(&with, (struct pq_text){schema, sizeof schema - 1}, &err));
    pqdb_db *db = open_on(&disk->base, (size_t)1 << 30);
    for (unsigned i = 0; i < ROWS; i += BATCH) put(db, i, BATCH);
    const size_t rows = memory_of(db).rows, before = counting.held;
    size_t least = SIZE_MAX;
    disk->on_call = note_publishing;
    disk->on_call_ctx = &least;
    MUST(pq_db_checkpoint(db, true, &err));
    disk->on_call = NULL;
    CHECK(rows > 1 << 20 && least < before - rows / 2,
          "%zu bytes are held, %zu were before %zu of rows were written", least, before, rows);
    db_end(db, disk);
}

static void what_a_failed_build_wrote_is_removed(void) {
    static const char failing[] =
        "{ $from: 'Item', $groupBy: ['k'], $compute: { sum: { $sum: 'n' },"
        "  all: { $collect: 'k' } } }";
    struct pq_store *store = make_store();
    pqdb_db *db = open_on(store, LIMIT);
    fill(db);
    // A group of more than a megabyte of output is refused, late in the build.
    static char text[1 << 20];
    const size_t word = (1 << 20) - 100;
    int length = snprintf(text, 64, "{\"$id\":\"big\",\"n\":1,\"k\":\"");
    memset(text + length, 'x', word - 64);
    length += (int)word - 64;
    length += snprintf(text + length, 8, "\"}");
    for (int i = 0; i < 2; i++) {
        text[9] = (char)('a' + i);
        MUST(pqdb_create(db, "Item", text, (size_t)length, NULL, NULL, &err));
    }
    const pqdb_code code = pqdb_view_create(db, "By", failing, NULL, NULL, &err);
    const pqdb_code built = code != PQDB_OK ? code : pqdb_view_refresh(db, "By", true, NULL, &err);
    CHECK(built == PQDB_LIMIT, "%d: %s", (int)built, err.message);
    put(db, ROWS, BATCH);
    MUST(pqdb_checkpoint(db, &err));
    CHECK(db_files(store, "_views/By/data") == 0, "%zu files",
          db_files(store, "_views/By/data"));
    CHECK(db_files(store, "_state") <= 3, "%zu files of states", db_files(store, "_state"));
    MUST(pqdb_close(db, &err));
    pq_store_destroy(store);
}

int main(void) {
    RUN(a_build_of_many_groups_spills);
    RUN(steps_keep_states_within_their_share);
    RUN(a_long_log_is_replayed_within_the_budget);
    RUN(far_more_groups_than_fit_keep_to_the_budget_and_are_exact);
    RUN(dead_rows_of_files_take_bits_behind_a_checkpoint);
    RUN(states_do_not_get_what_others_hold);
    RUN(rows_that_are_written_are_let_go_before_metadata_is);
    RUN(what_a_failed_build_wrote_is_removed);
    return test_done();
}
