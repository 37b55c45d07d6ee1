/// Goal: a view over one that keeps what came of rows that are gone is built while writers go on:
/// no log tells how its source came to be, so the build hears what that puts out meanwhile. Not a
/// change is missed or taken twice, a restart comes to the same, and where it is too much to be
/// held, or the source fails, that is noticed.
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "db/schema_change.h"
#include "support/db_calls.h"

static const char schema[] =
    "{ Event: { $ingest: 'custom:event', at: 'timestamp', k: 'string!', n: 'int!',\n"
    "           shop: '-> Shop', $retention: { after: '1h', by: 'at' } },\n"
    "  Shop: { name: 'string!' },\n"
    "  Kept: { $from: 'Event', $filter: { n: { $lt: 90 } }, $onRetention: 'keep' },\n"
    "  Odd: { $from: 'Kept', $filter: { k: 'k1' } } }";

/// Each is computed anew while `live` writes.
static const struct {
    const char *name, *definition;
} views[] = {
    {"Rows", "{ $from: 'Kept', $select: { n: '$n' } }"},
    {"Kinds", "{ $from: 'Kept', $groupBy: ['k'], $compute: { c: { $count: '*' },\n"
              "  s: { $sum: 'n' }, low: { $min: 'n' }, high: { $max: 'n' },\n"
              "  mid: { $median: 'n' } } }"},
    {"OddRows", "{ $from: 'Odd', $groupBy: ['n'], $compute: { c: { $count: '*' } } }"},
    {"Names", "{ $from: 'Kept', $groupBy: ['shop.name'], $compute: { c: { $count: '*' } } }"},
    {"All", "{ $from: 'Kept', $compute: { c: { $count: '*' }, last: { $last: 'n' } } }"},
};
enum { view_count = sizeof views / sizeof *views };

static pqdb_error err;

static void put(pqdb_db *db, int hour, unsigned first, unsigned count) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = first; i < first + count; i++) {
        MUST(pq_bytes_printf(&text, &err, "{\"$id\":\"e%05u\",\"k\":\"k%u\",\"n\":%u,"
                             "\"shop\":\"s%u\",\"at\":\"2026-01-15T%02d:30:00Z\"}\n", i, i % 3,
                             i * 7 % 100, i % 4, hour));
    }
    MUST(pqdb_create(db, "Event", (const char *)text.data, text.length, NULL, NULL, &err));
    pq_bytes_deinit(&text);
}

/// Rows come, change, go, come again, and go by their age; names of shops change.
static void live(pqdb_db *db) {
    static const pqdb_edit more = {"{ k: 'k1', n: { $lt: 40 } }", "{ $inc: { n: 45 } }"};
    static const pqdb_edit named = {"{ $id: 's1' }", "{ $set: { name: 'N1' } }"};
    put(db, 10, 10000, 300);
    MUST(pqdb_update(db, "Event", &more, NULL, NULL, &err));
    MUST(pqdb_delete(db, "Event", "{ n: { $gte: 85 } }", NULL, NULL, &err));
    put(db, 7, 20000, 200);
    MUST(pqdb_update(db, "Shop", &named, NULL, NULL, &err));
    MUST(pq_db_retain(db, &err));
    put(db, 10, 20000, 50);
    MUST(pqdb_delete(db, "Event", "{ $id: { $lt: 'e00020' } }", NULL, NULL, &err));
}

struct meanwhile {
    pqdb_db *db;
    void (*lives)(pqdb_db *db);
    bool waits;
};

/// In the middle of a build: when it first reads rows of a file.
static void live_beside(void *ctx, struct fault_store *disk, const char *path) {
    struct meanwhile *meanwhile = ctx;
    if (!meanwhile->waits || strstr(path, ".parquet") == NULL) return;
    meanwhile->waits = false;
    disk->counts_reads = false;
    meanwhile->lives(meanwhile->db);
}

static void wait_for_read(struct meanwhile *meanwhile, struct fault_store *disk) {
    meanwhile->waits = true;
    disk->on_call = live_beside;
    disk->on_call_ctx = meanwhile;
    disk->counts_reads = true;
}

/// Most is in files, which nobody has read yet, and much of it is kept.
static pqdb_db *begin(struct pq_open_with with, const char *more) {
    char text[2048];
    snprintf(text, sizeof text, "%.*s%s }", (int)strlen(schema) - 1, schema, more);
    pqdb_db *db = db_make(with, text);
    db_put(db, "Shop", "[{\"$id\":\"s0\",\"name\":\"A\"},{\"$id\":\"s1\",\"name\":\"B\"},"
                       "{\"$id\":\"s2\",\"name\":\"A\"}]");
    put(db, 10, 0, 9000);
    put(db, 7, 30000, 2000);
    MUST(pq_db_retain(db, &err));
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, with);
    static const char *const opened[] = {"Event", "Kept", "Odd"};  // but not read
    for (size_t i = 0; i < 3; i++) {
        CHECK(db_count(db, opened[i], "{ at: { $lt: '2020-01-01' } }") == 0, "rows of long ago");
    }
    return db;
}

static pqdb_db *crash(struct fault_store **disk, pqdb_db *db) {
    struct fault_store *next = fault_store_crash(*disk, FAULT_ALL_LOST, 1);
    pqdb_close(db, NULL);
    fault_store_destroy(*disk);
    *disk = next;
    return db_open(db_with(next));
}

/// What the view shows is what another one of the same definition shows that is built in peace.
static void check_view(pqdb_db *db, size_t i, const char *when) {
    MUST(pqdb_view_create(db, "Peace", views[i].definition, NULL, NULL, &err));
    struct pq_bytes is = db_rows(db, views[i].name, NULL), ought = db_rows(db, "Peace", NULL);
    const char *rows = (const char *)is.data, *expected = (const char *)ought.data;
    CHECK(strcmp(rows, expected) == 0, "%s %s:\n%.300s\nnot\n%.300s", views[i].name, when, rows,
          expected);
    pq_bytes_deinit(&is);
    pq_bytes_deinit(&ought);
    MUST(pqdb_view_drop(db, "Peace", false, &err));
}

static void check_build(struct pq_open_with with, struct fault_store *disk, size_t i) {
    char more[400];
    snprintf(more, sizeof more, ", %s: %s", views[i].name, views[i].definition);
    struct meanwhile meanwhile = {.db = begin(with, more), .lives = live};
    wait_for_read(&meanwhile, disk);
    MUST(pqdb_view_refresh(meanwhile.db, views[i].name, true, NULL, &err));
    CHECK(!meanwhile.waits, "%s: nothing was written meanwhile", views[i].name);
    check_view(meanwhile.db, i, "at once");
    put(meanwhile.db, 10, 40000, 5);
    check_view(meanwhile.db, i, "behind it");
    pqdb_db *db = crash(&disk, meanwhile.db);
    check_view(db, i, "after a restart");
    db_end(db, disk);
}

static void a_view_is_built_over_one_that_keeps_while_writers_go_on(void) {
    for (size_t i = 0; i < view_count; i++) {
        for (uint64_t pieces = 0; pieces < 2; pieces++) {
            struct fault_store *disk = fault_store_create();
            struct pq_open_with with = db_with(disk);
            with.piece_rows = pieces;  // 1: each commit by itself
            check_build(with, disk, i);
        }
    }
}

struct writer {
    pqdb_db *db;
    atomic_bool stops;
    atomic_uint commits;
};

static void *write_on(void *ctx) {
    struct writer *writer = ctx;
    for (unsigned i = 0; !writer->stops; i++) {
        static const pqdb_edit more = {"{ k: 'k2', n: { $lt: 20 } }", "{ $inc: { n: 1 } }"};
        char gone[60];
        snprintf(gone, sizeof gone, "{ $id: { $gt: 'e%05u', $lt: 'e%05u' } }", 60000 + i * 40,
                 60000 + i * 40 + 9);
        put(writer->db, i % 3 == 0 ? 7 : 10, 60000 + i * 40, 40);
        MUST(pqdb_update(writer->db, "Event", &more, NULL, NULL, &err));
        MUST(pqdb_delete(writer->db, "Event", gone, NULL, NULL, &err));
        if (i % 2 == 0) MUST(pq_db_retain(writer->db, &err));
        writer->commits++;
    }
    return NULL;
}

/// The writer's thread shares `err` with nobody: what is refreshed meanwhile has its own.
static void a_writer_that_never_rests_is_followed(void) {
    struct fault_store *disk = fault_store_create();
    char more[800];
    snprintf(more, sizeof more, ", %s: %s, %s: %s", views[1].name, views[1].definition,
             views[3].name, views[3].definition);
    struct writer writer = {.db = begin(db_with(disk), more)};
    pthread_t thread;
    pthread_create(&thread, NULL, write_on, &writer);
    for (int round = 0; round < 4; round++) {
        pqdb_error why;
        const unsigned before = writer.commits;
        while (writer.commits == before) sched_yield();
        for (size_t i = 1; i < 4; i += 2) {
            const pqdb_code code = pqdb_view_refresh(writer.db, views[i].name, true, NULL, &why);
            CHECK(code == PQDB_OK, "%s: %s", views[i].name, why.message);
        }
    }
    writer.stops = true;
    pthread_join(thread, NULL);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 1; i < 4; i += 2) check_view(writer.db, i, round == 0 ? "" : "behind");
        writer.db = crash(&disk, writer.db);
    }
    db_end(writer.db, disk);
}

/// A manual view over it is computed anew with each refresh.
static void so_it_is_refreshed(void) {
    static const char later[] = ", Later: { $from: 'Kept', $groupBy: ['k'], "
                                "$compute: { c: { $count: '*' } }, $refresh: { mode: 'manual' } }, "
                                "Over: { $from: 'Later', $compute: { s: { $sum: 'c' } } }";
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile = {.db = begin(db_with(disk), later), .lives = live};
    for (int round = 0; round < 2; round++) {
        if (round == 0) wait_for_read(&meanwhile, disk);
        MUST(pqdb_view_refresh(meanwhile.db, "Later", false, NULL, &err));
        CHECK(!meanwhile.waits, "nothing was written meanwhile");
        char sum[64];
        snprintf(sum, sizeof sum, "{ s: %" PRIu64 " }", db_count(meanwhile.db, "Kept", NULL));
        CHECK(db_count(meanwhile.db, "Over", sum) == 1, "%s", sum);
        meanwhile.db = crash(&disk, meanwhile.db);
        CHECK(db_count(meanwhile.db, "Over", sum) == 1, "%s after a restart", sum);
        put(meanwhile.db, 10, 50000, 7);
    }
    db_end(meanwhile.db, disk);
}

/// What cannot be held is computed once more, while writers wait.
static void what_is_too_much_to_be_held_is_computed_again(void) {
    struct fault_store *disk = fault_store_create();
    struct pq_open_with with = db_with(disk);
    with.listen_bytes = 4096;
    check_build(with, disk, 1);
}

static void fail_source(pqdb_db *db) {
    db_put(db, "Event", "[{\"k\":\"k\",\"n\":9223372036854775807,\"at\":\"2026-01-15T10:30:00Z\"},"
                        "{\"k\":\"k\",\"n\":9223372036854775807,\"at\":\"2026-01-15T10:30:00Z\"}]");
}

static void a_source_that_fails_meanwhile_is_noticed(void) {
    static const char sums[] = ", Wide: { $from: 'Event', $onRetention: 'keep' }, "
                               "Sums: { $from: 'Wide', $groupBy: ['n'], "
                               "$compute: { s: { $sum: 'n' } } }, "
                               "OfSums: { $from: 'Sums', $refresh: { mode: 'manual' } }";
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile = {.db = begin(db_with(disk), sums), .lives = fail_source};
    CHECK(db_count(meanwhile.db, "Sums", "{ n: { $lt: 0 } }") == 0, "rows");
    wait_for_read(&meanwhile, disk);
    CHECK(pqdb_view_refresh(meanwhile.db, "OfSums", false, NULL, &err) == PQDB_INVALID &&
              strstr(err.message, "Sums, which it reads, has failed") != NULL, "%s", err.message);
    CHECK(!meanwhile.waits, "nothing was written meanwhile");
    MUST(pqdb_delete(meanwhile.db, "Event", "{ k: 'k' }", NULL, NULL, &err));
    MUST(pqdb_view_refresh(meanwhile.db, "Sums", false, NULL, &err));
    MUST(pqdb_view_refresh(meanwhile.db, "OfSums", false, NULL, &err));
    CHECK(db_count(meanwhile.db, "OfSums", NULL) == db_count(meanwhile.db, "Sums", NULL) &&
              db_count(meanwhile.db, "OfSums", NULL) > 0, "rows");
    db_end(meanwhile.db, disk);
}

int main(void) {
    RUN(a_view_is_built_over_one_that_keeps_while_writers_go_on);
    RUN(a_writer_that_never_rests_is_followed);
    RUN(so_it_is_refreshed);
    RUN(what_is_too_much_to_be_held_is_computed_again);
    RUN(a_source_that_fails_meanwhile_is_noticed);
    return test_done();
}
