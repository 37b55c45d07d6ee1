/// Goal: a table that a second thread reads ahead gives the same pieces as one that is read by the
/// caller, ends whenever the caller does, and fails with what would have come; views built from it
/// keep what they had when anything goes wrong.
#include "table/scan_ahead.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "db/db_internal.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!', more: 'json' },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'],\n"
    "    $compute: { rows: { $count: '*' }, sum: { $sum: 'n' }, most: { $max: 'n' } } } }";

enum { NEVER = 1 << 30, KINDS = 7 };

static pqdb_error err;

static void must(pqdb_code code) {
    CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

// ---- an allocator that any thread may use -----------------------------------------------------

struct shared_alloc {
    struct pq_alloc alloc;
    atomic_long left;  // until one fails; those after it succeed
    atomic_long live_bytes;
};

static void *shared_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    struct shared_alloc *shared = ctx;
    if (new_bytes > old_bytes && atomic_fetch_sub(&shared->left, 1) == 0) return NULL;
    void *made = pq_alloc_libc.resize(pq_alloc_libc.ctx, ptr, old_bytes, new_bytes);
    if (made != NULL || new_bytes == 0) {
        atomic_fetch_add(&shared->live_bytes, (long)new_bytes - (long)old_bytes);
    }
    return made;
}

static struct shared_alloc shared = {.alloc = {shared_resize, &shared}, .left = NEVER};

// ---- a database -------------------------------------------------------------------------------

static pqdb_db *open_on(struct fault_store *disk, uint64_t ahead_rows) {
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///ahead",
                                      .env = &db_world_env, .alloc = &shared.alloc,
                                      .ahead_rows = ahead_rows, .no_keeper = true};
    pqdb_db *db = NULL;
    must(pq_db_open_with(&with, NULL, &db, &err));
    return db;
}

static void put(pqdb_db *db, unsigned first, unsigned count) {
    char *text = malloc(count * 96);
    size_t length = 0;
    for (unsigned i = first; text != NULL && i < first + count; i++) {
        length += (size_t)snprintf(text + length, 96,
                                   "{\"$id\":\"i%07u\",\"n\":%u,\"kind\":\"k%u\","
                                   "\"more\":{\"a%u\":[%u,\"x\"]}}\n", i, i, i % KINDS, i % 3, i);
    }
    must(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
    free(text);
}

/// Files of `small`, `large` and a few rows, some of them dead, and rows in memory.
static pqdb_db *make(struct fault_store *disk, unsigned small, unsigned large) {
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///ahead",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc};
    const pqdb_edit edit = {.where = "{ n: { $lt: 5 } }", .operators = "{ $inc: { n: 1000 } }"};
    must(pq_db_init_with(&with, pq_text_of(schema), &err));
    pqdb_db *db = open_on(disk, 1);
    put(db, 0, small);
    must(pqdb_checkpoint(db, &err));
    put(db, 10000, large);
    must(pqdb_checkpoint(db, &err));
    put(db, 90000, 20);
    must(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    must(pqdb_delete(db, "Item", "{ $id: { $in: ['i0010003', 'i0000009'] } }", NULL, NULL, &err));
    must(pqdb_checkpoint(db, &err));
    must(pqdb_delete(db, "Item", "{ $id: { $in: ['i0010004', 'i0090000'] } }", NULL, NULL, &err));
    put(db, 95000, 9);
    return db;
}

static void check_view(pqdb_db *db, const char *what, long number) {
    uint64_t rows = 0;
    pqdb_verified verified = {0};
    must(pqdb_count(db, "ByKind", NULL, &rows, &err));
    must(pqdb_view_verify(db, "ByKind", NULL, NULL, &verified, &err));
    CHECK(rows == KINDS && verified.differences == 0, "%s %ld: %" PRIu64 " rows, %" PRIu64
          " differences", what, number, rows, verified.differences);
}

static struct pq_table_snapshot *items(pqdb_db *db) {
    return pq_db_find(db, pq_text_of("Item"))->table->published;
}

// ---- the scan ---------------------------------------------------------------------------------

static void same_rows(const struct pq_batch *a, const struct pq_batch *b) {
    CHECK(a->count == b->count, "%zu and %zu rows", a->count, b->count);
    for (size_t row = 0; row < a->count && a->count == b->count; row++) {
        const struct pq_text x = pq_column_text(&a->columns[PQ_ID_COLUMN], row);
        const struct pq_text y = pq_column_text(&b->columns[PQ_ID_COLUMN], row);
        if (pq_text_equal(x, y)) continue;
        CHECK(false, "row %zu: %.*s and %.*s", row, PQ_TEXT_ARG(x), PQ_TEXT_ARG(y));
        break;
    }
}

static void the_pieces_are_those_of_a_scan(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk, 300, 50000);
    for (uint64_t rows_min = 0; rows_min <= 100000; rows_min += 50000) {
        struct pq_scan scan;
        struct pq_scan_ahead ahead;
        struct pq_arena arena;
        struct pq_batch mine, theirs;
        size_t pieces = 0;
        pq_arena_init(&arena, &pq_alloc_libc);
        pq_scan_open(&scan, items(db), NULL, &pq_alloc_libc);
        pq_scan_ahead_open(&ahead, items(db), NULL, rows_min, &pq_alloc_libc);
        do {
            pq_arena_reset(&arena);
            must(pq_scan_next(&scan, &arena, &mine, &err));
            must(pq_scan_ahead_next(&ahead, &theirs, &err));
            same_rows(&mine, &theirs);
        } while (++pieces < 100 && mine.count > 0);
        CHECK(pieces > 5 && pieces < 100, "%zu pieces", pieces);
        CHECK(ahead.runs == (rows_min <= 50000), "a thread from %" PRIu64 " rows", rows_min);
        must(pq_scan_ahead_next(&ahead, &theirs, &err));
        CHECK(theirs.count == 0, "%zu rows after the end", theirs.count);
        pq_scan_ahead_close(&ahead);
        pq_scan_close(&scan);
        pq_arena_deinit(&arena);
    }
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

static void it_ends_wherever_the_caller_does(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk, 300, 80000);
    for (size_t taken = 0; taken < 12; taken++) {
        struct pq_scan_ahead ahead;
        struct pq_batch batch;
        pq_scan_ahead_open(&ahead, items(db), NULL, 0, &pq_alloc_libc);
        for (size_t i = 0; i < taken; i++) must(pq_scan_ahead_next(&ahead, &batch, &err));
        pq_scan_ahead_close(&ahead);
    }
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

/// Rows read until read `call` of the store fails; UINT64_MAX when there are fewer reads.
static uint64_t rows_until(struct fault_store *disk, pqdb_db *db, long call, uint64_t rows_min) {
    struct pq_scan_ahead ahead;
    struct pq_batch batch;
    pqdb_error why = {0};
    pqdb_code code;
    uint64_t rows = 0;
    disk->counts_reads = true;
    disk->fail_at = disk->calls + call;
    pq_scan_ahead_open(&ahead, items(db), NULL, rows_min, &pq_alloc_libc);
    while ((code = pq_scan_ahead_next(&ahead, &batch, &why)) == PQDB_OK && batch.count > 0) {
        rows += batch.count;
    }
    CHECK(pq_scan_ahead_next(&ahead, &batch, NULL) == code, "%d is forgotten", (int)code);
    pq_scan_ahead_close(&ahead);
    disk->fail_at = -1;
    if (code == PQDB_OK) return UINT64_MAX;
    CHECK(code == PQDB_IO && strstr(why.subject, ".parquet") != NULL, "%d: %s: %s", (int)code,
          why.subject, why.message);
    return rows;
}

/// Does a scan come to so many rows at the end of a piece?
static bool ends_a_piece(pqdb_db *db, uint64_t rows) {
    struct pq_scan_ahead scan;
    struct pq_batch batch;
    uint64_t before = 0;
    pq_scan_ahead_open(&scan, items(db), NULL, UINT64_MAX, &pq_alloc_libc);
    while (before < rows) {
        must(pq_scan_ahead_next(&scan, &batch, &err));
        if (batch.count == 0) break;
        before += batch.count;
    }
    pq_scan_ahead_close(&scan);
    return before == rows;
}

/// Which piece the failing read belongs to depends on who reads what; what comes before is whole.
static void an_error_comes_behind_whole_pieces(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk, 300, 50000);
    uint64_t alone = 0, both = 0, most = 0;
    for (long call = 0; alone != UINT64_MAX || both != UINT64_MAX; call += 3) {
        alone = rows_until(disk, db, call, UINT64_MAX);
        both = rows_until(disk, db, call, 0);
        if (both != UINT64_MAX && both > most) most = both;
        CHECK(alone == UINT64_MAX || ends_a_piece(db, alone), "call %ld: %" PRIu64, call, alone);
        CHECK(both == UINT64_MAX || ends_a_piece(db, both), "call %ld: %" PRIu64, call, both);
    }
    CHECK(most > 20000, "%" PRIu64 " rows", most);
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

// ---- views built so ---------------------------------------------------------------------------

static void views_are_built_and_verified(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk, 300, 50000);
    pqdb_refreshed refreshed;
    for (long round = 0; round < 3; round++) {
        must(pqdb_view_refresh(db, "ByKind", true, &refreshed, &err));
        must(pqdb_view_create(db, "Low", "{ $from: 'Item', $filter: { n: { $lt: 100 } } }", NULL,
                              NULL, &err));
        must(pqdb_view_create(db, "Sum", "{ $from: 'Low', $compute: { n: { $sum: 'n' } } }", NULL,
                              NULL, &err));
        pqdb_verified verified = {0};
        must(pqdb_view_verify(db, "Low", NULL, NULL, &verified, &err));
        CHECK(verified.differences == 0, "%" PRIu64 " differences", verified.differences);
        must(pqdb_view_verify(db, "Sum", NULL, NULL, &verified, &err));
        CHECK(verified.differences == 0, "%" PRIu64 " differences", verified.differences);
        check_view(db, "round", round);
        must(pqdb_view_drop(db, "Sum", false, &err));
        must(pqdb_view_drop(db, "Low", false, &err));
        must(pqdb_close(db, &err));
        db = open_on(disk, round == 0 ? NEVER : 1);  // replays the refresh
        check_view(db, "reopened", round);
    }
    must(pqdb_close(db, &err));
    CHECK(shared.live_bytes == 0, "%ld bytes leaked", shared.live_bytes);
    fault_store_destroy(disk);
}

static void a_build_may_fail_in_every_read_of_the_store(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk, 300, 40000);
    long failed = 0, call = 0;
    for (bool finished = false; !finished; call++) {
        disk->counts_reads = true;
        disk->fail_at = disk->calls + call;
        const pqdb_code code = pqdb_view_verify(db, "ByKind", NULL, NULL, NULL, &err);
        finished = disk->calls <= disk->fail_at;
        disk->fail_at = -1;
        CHECK(code == PQDB_OK || code == PQDB_IO, "call %ld: %d: %s", call, code, err.message);
        failed += code != PQDB_OK;
        check_view(db, "call", call);
    }
    CHECK(failed > 5, "%ld of %ld calls failed", failed, call);
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

static void a_build_may_fail_in_every_allocation(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make(disk, 100, 300);
    long n = 0, failed = 0;
    for (bool finished = false; !finished; n++) {
        atomic_store(&shared.left, n);
        const pqdb_code code = pqdb_view_refresh(db, "ByKind", true, NULL, &err);
        finished = atomic_load(&shared.left) >= 0;
        atomic_store(&shared.left, NEVER);
        CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "allocation %ld: %d: %s", n, (int)code,
              err.message);
        failed += code != PQDB_OK;
        if (code != PQDB_OK && db->broken) {  // the swap was logged: reopening repeats it
            pqdb_close(db, NULL);
            CHECK(shared.live_bytes == 0, "allocation %ld: %ld bytes", n, shared.live_bytes);
            db = open_on(disk, 1);
        }
        check_view(db, "allocation", n);
    }
    CHECK(failed > 50, "%ld of %ld allocations failed", failed, n);
    must(pqdb_close(db, &err));
    CHECK(shared.live_bytes == 0, "%ld bytes leaked", shared.live_bytes);
    fault_store_destroy(disk);
}

int main(void) {
    RUN(the_pieces_are_those_of_a_scan);
    RUN(it_ends_wherever_the_caller_does);
    RUN(an_error_comes_behind_whole_pieces);
    RUN(views_are_built_and_verified);
    RUN(a_build_may_fail_in_every_read_of_the_store);
    RUN(a_build_may_fail_in_every_allocation);
    return test_done();
}
