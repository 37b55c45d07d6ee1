/// Goal: four cases that a design may well get wrong, each by its name: a crash between the
/// publishing of two tables under a view on a view; a stale frame behind a cut tail; a sync that
/// failed, then a reopen; a replay of joined commits against one of single commits. And one that
/// once never ended.
#include <errno.h>
#include <string.h>

#include "db/check_internal.h"
#include "support/db_calls.h"

static pqdb_error err;

static struct pq_open_with with_store(struct pq_store *store) {
    return (struct pq_open_with){.store = store, .location = "file:///named",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc, .no_keeper = true,
                                 .log_segment_bytes = 1 << 14};
}

static struct fault_store *make(const char *schema) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = with_store(&disk->base);
    MUST(pq_db_init_with(&with, pq_text_of(schema), &err));
    return disk;
}

static pqdb_code put(pqdb_db *db, const char *into, const char *rows) {
    return pqdb_create(db, into, rows, strlen(rows), NULL, NULL, &err);
}

static uint64_t count(pqdb_db *db, const char *name, const char *filter) {
    uint64_t rows = UINT64_MAX;
    MUST(pqdb_count(db, name, filter, &rows, &err));
    return rows;
}

// ---- two tables, one published ----------------------------------------------------------------

static const char stacked[] =
    "{ T: { k: 'string!', n: 'int!' },\n"
    "  A: { $from: 'T', $groupBy: ['k'], $compute: { sum: { $sum: 'n' } } },\n"
    "  B: { $from: 'A', $compute: { all: { $sum: 'sum' }, groups: { $count: '*' } } } }";

struct between {
    long images, apart;  // looked at; with A published at the checkpoint and B not
};

static bool has(struct pq_store *store, const char *path) {
    struct pq_file *file = NULL;
    const bool is_there = pq_file_open(store, path, PQ_OPEN_READ, &file, NULL) == PQDB_OK;
    pq_file_close(file);
    return is_there;
}

static void check_stacked(struct pq_store *store) {
    const struct pq_open_with with = with_store(store);
    pqdb_db *db = db_open(with_store(store));
    pqdb_checked checked = {0};
    db_world_verify(db, "between two tables", 0);
    CHECK(count(db, "B", "{ all: 10, groups: 2 }") == 1, "B is not of A's version");
    MUST(put(db, "T", "[{\"k\":\"y\",\"n\":5}]"));
    CHECK(count(db, "B", "{ all: 15 }") == 1, "B did not follow");
    MUST(pqdb_checkpoint(db, &err));
    db_world_verify(db, "between two tables", 1);
    MUST(pqdb_close(db, &err));
    MUST(pq_db_check_with(&with, NULL, &checked, &err));
    CHECK(checked.damages == 0, "%d damages", (int)checked.damages);
}

static void look_between(void *ctx, struct fault_store *disk, const char *path) {
    struct between *between = ctx;
    if (strstr(path, "/metadata") == NULL) return;
    for (int mode = FAULT_ALL_LOST; mode <= FAULT_SOME_KEPT; mode++) {
        struct fault_store *next =
            fault_store_crash(disk, (enum fault_mode)mode, (uint64_t)between->images++);
        between->apart += has(&next->base, "_views/A/metadata/v2.metadata.json") &&
                          !has(&next->base, "_views/B/metadata/v2.metadata.json");
        check_stacked(&next->base);
        fault_store_destroy(next);
    }
}

static void a_crash_between_two_tables_under_a_view_on_a_view_keeps_them_at_one_version(void) {
    struct fault_store *disk = make(stacked);
    struct between between = {0};
    pqdb_db *db = db_open(with_store(&disk->base));
    MUST(put(db, "T", "[{\"$id\":\"1\",\"k\":\"x\",\"n\":1},{\"$id\":\"2\",\"k\":\"y\",\"n\":2}]"));
    MUST(pqdb_checkpoint(db, &err));
    MUST(put(db, "T", "[{\"$id\":\"3\",\"k\":\"x\",\"n\":7}]"));
    disk->on_call = look_between;
    disk->on_call_ctx = &between;
    MUST(pqdb_checkpoint(db, &err));
    disk->on_call = NULL;
    CHECK(between.apart > 3, "%ld of %ld crashes between the two", between.apart, between.images);
    fprintf(stderr, "    %ld crashes, %ld between the two\n", between.images, between.apart);
    MUST(pqdb_close(db, &err));
    fault_store_destroy(disk);
}

// ---- a stale frame ----------------------------------------------------------------------------

static const char plain[] = "{ T: { n: 'int!', text: 'string' } }";

/// The power fails while a long commit is being synced; what is left of it, if it is not all, must
/// not come back behind a shorter one that was acknowledged in its place.
static bool revive(uint64_t seed) {
    struct fault_store *disk = make(plain);
    pqdb_db *db = db_open(with_store(&disk->base));
    char row[3200];
    MUST(put(db, "T", "[{\"n\":1}]"));
    snprintf(row, sizeof row, "[{\"n\":2,\"text\":\"%03000d\"}]", 7);
    disk->down_at = disk->calls + 1;  // written, not synced
    CHECK(put(db, "T", row) != PQDB_OK, "acknowledged");
    pqdb_close(db, NULL);
    struct fault_store *torn = fault_store_crash(disk, FAULT_SOME_KEPT, seed);
    db = db_open(with_store(&torn->base));
    const bool was_cut = count(db, "T", "{ n: 2 }") == 0;
    MUST(put(db, "T", "[{\"n\":3}]"));
    struct fault_store *after = fault_store_crash(torn, seed % 2 == 0 ? FAULT_ALL_LOST
                                                                      : FAULT_ALL_KEPT, seed);
    pqdb_close(db, NULL);
    for (int i = 0; i < 2; i++) {
        db = db_open(with_store(&after->base));
        CHECK(count(db, "T", "{ n: 3 }") == 1 && count(db, "T", "{ n: 1 }") == 1,
              "seed %d: an acknowledged commit is gone", (int)seed);
        CHECK((count(db, "T", "{ n: 2 }") == 0) == was_cut, "seed %d: it came back", (int)seed);
        MUST(pqdb_close(db, &err));
    }
    fault_store_destroy(after);
    fault_store_destroy(torn);
    fault_store_destroy(disk);
    return was_cut;
}

static void a_stale_frame_behind_a_cut_tail_does_not_come_back(void) {
    int cut = 0;
    for (uint64_t seed = 0; seed < 40; seed++) cut += revive(seed);
    CHECK(cut > 10, "%d tails were cut", cut);
}

// ---- a failed sync ----------------------------------------------------------------------------

/// Call `offset` of a commit fails. True when it was its sync, so that the writer must stop.
static bool fail_sync(long offset, int number) {
    struct fault_store *disk = make(plain);
    pqdb_db *db = db_open(with_store(&disk->base));
    MUST(put(db, "T", "[{\"n\":1}]"));
    disk->fail_at = disk->calls + offset;
    disk->fail_errno = number;
    const pqdb_code code = put(db, "T", "[{\"n\":2}]");
    const long calls = disk->calls;
    const size_t syncs = disk->syncs;
    CHECK(code == PQDB_OK || code == PQDB_IO, "code %d", (int)code);
    const bool stops = code != PQDB_OK && put(db, "T", "[{\"n\":3}]") != PQDB_OK;
    if (stops) {
        CHECK(err.code == PQDB_IO && strstr(err.message, "open") != NULL, "%s", err.message);
        CHECK(disk->calls == calls && disk->syncs == syncs, "it was tried again");
        CHECK(count(db, "T", NULL) == 1, "readers see what may never have been");
    }
    pqdb_close(db, NULL);
    // The system shows what was written; what a reader sees of it must stay.
    db = db_open(with_store(&disk->base));
    const uint64_t seen = count(db, "T", NULL);
    CHECK(count(db, "T", "{ n: 1 }") == 1, "the first commit is gone");
    CHECK(code != PQDB_OK || count(db, "T", "{ n: 2 }") == 1, "the second is gone");
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
    pqdb_close(db, NULL);
    db = db_open(with_store(&next->base));
    CHECK(count(db, "T", NULL) == seen, "%d rows, a reader has seen %d", (int)count(db, "T", NULL),
          (int)seen);
    MUST(put(db, "T", "[{\"n\":4}]"));
    MUST(pqdb_close(db, &err));
    fault_store_destroy(next);
    fault_store_destroy(disk);
    return stops;
}

static void a_failed_sync_stops_the_writer_until_it_is_opened_again(void) {
    int stopped = 0;
    for (long offset = 0; offset < 4; offset++) {
        stopped += fail_sync(offset, EIO);
        stopped += fail_sync(offset, ENOSPC);
    }
    CHECK(stopped > 0, "no call was a sync");
}

// ---- replay -----------------------------------------------------------------------------------

#define REPLAYED                                                                               \
    "  T: { k: 'string!', n: 'int!', p: '-> P', l: 'string[]' }, P: { name: 'string' },\n"      \
    "  Low: { $from: 'T', $filter: { n: { $lt: 50 } } },\n"                                    \
    "  Tags: { $from: 'T', $unnest: 'l' },\n"                                                  \
    "  Named: { $from: 'T', $select: { n: '$n', who: '$p.name' } },\n"                         \
    "  ByK: { $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' },\n"             \
    "    sum: { $sum: 'n' }, low: { $min: 'n' }, first: { $first: 'n' }, last: { $last: 'n' },\n" \
    "    mid: { $median: 'n' }, kinds: { $countDistinct: 'p' } } },\n"                         \
    "  OnByK: { $from: 'ByK', $filter: { rows: { $gt: 1 } } }"

/// With a view that appends each commit is stepped by itself.
static const char joined[] = "{ Z: { n: 'int' },\n" REPLAYED " }";
static const char single[] =
    "{ Z: { n: 'int' },\n" REPLAYED ",\n"
    "  Seen: { $from: 'Z', $select: { n: '$n' }, $refresh: { strategy: 'append' } } }";

static void go_on(pqdb_db *db) {
    MUST(put(db, "P", "[{\"$id\":\"a\",\"name\":\"Ann\"},{\"$id\":\"b\",\"name\":\"Bo\"}]"));
    for (int i = 0; i < 60; i++) {
        char text[256], operators[96];
        snprintf(text, sizeof text,
                 "[{\"$id\":\"%02d\",\"k\":\"k%d\",\"n\":%d,\"p\":\"%s\",\"l\":[\"x\",\"y%d\"]}]",
                 i, i % 4, i * 37 % 90, i % 3 == 0 ? "a" : "b", i % 5);
        MUST(put(db, "T", text));
        snprintf(text, sizeof text, "{ k: 'k%d' }", i % 4);
        snprintf(operators, sizeof operators, "{ $inc: { n: %d }, $addToSet: { l: 'z' } }",
                 i % 7 - 3);
        const pqdb_edit edit = {.where = text, .operators = operators};
        if (i % 2 == 0) MUST(pqdb_update(db, "T", &edit, NULL, NULL, &err));
        snprintf(text, sizeof text, "{ n: %d }", i * 37 % 90);
        if (i % 5 == 0) MUST(pqdb_delete(db, "T", text, NULL, NULL, &err));
        const pqdb_edit name = {.where = "a", .operators = "{ $set: { name: 'Anna' } }"};
        if (i == 40) MUST(pqdb_update(db, "P", &name, NULL, NULL, &err));
        if (i == 20) MUST(pqdb_checkpoint(db, &err));
    }
}

/// What both have, the collection first.
static const char *const shared[] = {"T", "Low", "Tags", "Named", "ByK", "OnByK"};

static struct pq_bytes dump(pqdb_db *db) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        pqdb_rows *rows = NULL;
        bool has_row = true;
        MUST(pqdb_find(db, shared[i], NULL, &rows, &err));
        while (rows != NULL && pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
            size_t length;
            pq_bytes_printf(&out, NULL, "%s %s\n", shared[i], pqdb_rows_json(rows, &length));
        }
        pqdb_rows_close(rows);
    }
    pq_bytes_append_byte(&out, '\0', NULL);
    return out;
}

/// What there is when it was written, and after its log was replayed.
static void live(const char *schema, struct pq_bytes *written, struct pq_bytes *replayed) {
    struct fault_store *disk = make(schema);
    pqdb_db *db = db_open(with_store(&disk->base));
    go_on(db);
    *written = dump(db);
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 0);
    pqdb_close(db, NULL);
    db = db_open(with_store(&next->base));
    *replayed = dump(db);
    for (size_t i = 1; i < sizeof shared / sizeof *shared; i++) {
        pqdb_verified verified = {.differences = 1};
        MUST(pqdb_view_verify(db, shared[i], NULL, NULL, &verified, &err));
        CHECK(verified.differences == 0, "%s differs", shared[i]);
    }
    MUST(pqdb_close(db, &err));
    fault_store_destroy(next);
    fault_store_destroy(disk);
}

static void replay_joined_and_one_by_one_agree(void) {
    struct pq_bytes texts[4];
    live(joined, &texts[0], &texts[1]);
    live(single, &texts[2], &texts[3]);
    CHECK(texts[0].length > 2000, "%zu bytes", texts[0].length);
    for (int i = 1; i < 4; i++) {
        CHECK(strcmp((char *)texts[0].data, (char *)texts[i].data) == 0, "%d: other rows", i);
    }
    for (int i = 0; i < 4; i++) pq_bytes_deinit(&texts[i]);
}

/// Rows that come have no index in replay, until one goes.
static void many_rows_that_came_and_one_that_changes_are_replayed(void) {
    struct fault_store *disk = make(plain);
    struct pq_bytes rows;
    pqdb_db *db = db_open(with_store(&disk->base));
    pq_bytes_init(&rows, &pq_alloc_libc);
    for (int i = 0; i < 5000; i++) {
        pq_bytes_printf(&rows, NULL, "{\"$id\":\"%04d\",\"n\":%d}\n", i, i);
    }
    pq_bytes_append_byte(&rows, '\0', NULL);
    MUST(put(db, "T", (const char *)rows.data));
    const pqdb_edit edit = {.where = "{ n: { $lt: 700 } }", .operators = "{ $inc: { n: 10000 } }"};
    MUST(pqdb_update(db, "T", &edit, NULL, NULL, &err));
    MUST(pqdb_close(db, &err));
    db = db_open(with_store(&disk->base));
    CHECK(count(db, "T", NULL) == 5000 && count(db, "T", "{ n: { $gte: 10000 } }") == 700,
          "%d rows", (int)count(db, "T", NULL));
    MUST(pqdb_close(db, &err));
    pq_bytes_deinit(&rows);
    fault_store_destroy(disk);
}

int main(void) {
    RUN(a_crash_between_two_tables_under_a_view_on_a_view_keeps_them_at_one_version);
    RUN(a_stale_frame_behind_a_cut_tail_does_not_come_back);
    RUN(a_failed_sync_stops_the_writer_until_it_is_opened_again);
    RUN(replay_joined_and_one_by_one_agree);
    RUN(many_rows_that_came_and_one_that_changes_are_replayed);
    return test_done();
}
