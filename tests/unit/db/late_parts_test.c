/// Goal: what $min and $max need when their value is taken back is made beside the writers, before
/// it is missed: the commit that takes the value back reads no more than another, and nothing that
/// anybody reads changes. Of a view that lags it is made as of its last refresh, once that missed
/// it.
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "db/view_internal.h"
#include "support/db_calls.h"
#include "support/temp.h"

enum { few_rows = 20000, many_rows = 100000, rows_at_once = 1000 };

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!', note: 'string' },\n"
    "  Feed: { $ingest: 'custom:feed', n: 'int!' },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'],\n"
    "    $compute: { rows: { $count: '*' }, least: { $min: 'n' }, most: { $max: 'n' } } },\n"
    "  All: { $from: 'ByKind', $compute: { least: { $min: 'least' }, most: { $max: 'most' } } },\n"
    "  Grown: { $from: 'Feed', $compute: { most: { $max: 'n' } } } }";

static pqdb_error err;

static void put(pqdb_db *db, unsigned first, unsigned count) {
    static char text[rows_at_once * 96];
    size_t length = 0;
    for (unsigned i = first; i < first + count; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"$id\":\"i%06u\",\"n\":%u,\"kind\":\"k%u\","
                                   "\"note\":\"%08x\"}\n", i, i, i % 4, i * 2654435761u);
    }
    MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
}

static void put_all(pqdb_db *db, unsigned rows) {
    for (unsigned i = 0; i < rows; i += rows_at_once) put(db, i, rows_at_once);
    for (unsigned i = 0; i < few_rows; i += rows_at_once) {
        static char text[rows_at_once * 16];
        size_t length = 0;
        for (unsigned k = i; k < i + rows_at_once; k++) {
            length += (size_t)snprintf(text + length, sizeof text - length, "{\"n\":%u}\n", k);
        }
        MUST(pqdb_create(db, "Feed", text, length, NULL, NULL, &err));
    }
}

/// Is every late piece of the view's state there?
static bool has_parts(pqdb_db *db, const char *view) {
    struct pq_db_table *table = pq_db_find(db, pq_text_of(view));
    struct pq_node *node = pq_circuit_find(db->circuit, table->id);
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(node, &count);
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].is_there) return false;
    }
    return true;
}

/// Calls of the store while the largest row of a group goes, all being in files.
static long calls_of_delete(bool ahead) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put_all(db, many_rows);
    MUST(pqdb_checkpoint(db, &err));
    CHECK(!has_parts(db, "ByKind"), "a source that only grew has made it");
    pq_db_build_due(db);
    CHECK(!has_parts(db, "ByKind"), "it was made for a source that only grew");
    MUST(pqdb_delete(db, "Item", "i050001", NULL, NULL, &err));
    const uint64_t version = db->version;
    if (ahead) {
        pq_db_build_due(db);
        CHECK(has_parts(db, "ByKind"), "it was not made ahead");
        CHECK(!has_parts(db, "Grown"), "it was made for a stream");
        CHECK(db->version == version, "a commit was made for it");
    }
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, db_with(disk));
    CHECK(has_parts(db, "ByKind") == ahead, "after opening again");
    MUST(pqdb_delete(db, "Item", "i050000", NULL, NULL, &err));  // opens files, reads no window
    disk->counts_reads = true;
    const long before = disk->calls;
    MUST(pqdb_delete(db, "Item", "i099999", NULL, NULL, &err));
    const long calls = disk->calls - before;
    disk->counts_reads = false;
    db_verify(db, "ByKind");
    db_verify(db, "All");
    db_end(db, disk);
    return calls;
}

static void the_commit_that_takes_the_largest_back_reads_little(void) {
    const long with = calls_of_delete(true), without = calls_of_delete(false);
    CHECK(with < 40 && with + 10 < without, "%ld calls of the store, without it %ld", with,
          without);
}

// ---- beside writers ---------------------------------------------------------------------------

struct writer {
    pqdb_db *db;
    atomic_bool stops;
};

/// The largest of all goes and comes, again and again.
static void *change(void *ctx) {
    struct writer *writer = ctx;
    for (unsigned i = few_rows; !writer->stops; i++) {
        char id[16];
        put(writer->db, i, 1);
        snprintf(id, sizeof id, "i%06u", i - 1);
        MUST(pqdb_delete(writer->db, "Item", id, NULL, NULL, &err));
    }
    return NULL;
}

static void views_stay_exact_while_it_is_made(void) {
    const struct temp_directory place = temp_directory_make();
    const pqdb_options options = {.checkpoint_ms = 20};
    MUST(pqdb_init(place.path, schema, sizeof schema - 1, NULL, NULL, &err));
    struct writer writer = {0};
    MUST(pqdb_open(place.path, &options, &writer.db, &err));
    put_all(writer.db, few_rows);
    pthread_t thread;
    pthread_create(&thread, NULL, change, &writer);
    for (int i = 0; i < 8; i++) {
        MUST(pqdb_view_refresh(writer.db, "ByKind", true, NULL, &err));  // then it is missing again
        struct pq_db_table *table = pq_db_find(writer.db, PQ_TEXT("ByKind"));
        for (int k = 0; k < 200 && !table->has_late_parts; k++) {
            nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        }
        pqdb_error why;
        pqdb_verified verified = {0};
        CHECK(pqdb_view_verify(writer.db, "ByKind", NULL, NULL, &verified, &why) == PQDB_OK, "%s",
              why.message);
        CHECK(verified.differences == 0, "%" PRIu64 " differences", verified.differences);
    }
    writer.stops = true;
    pthread_join(thread, NULL);
    db_verify(writer.db, "All");
    MUST(pqdb_close(writer.db, &err));
    MUST(pqdb_open(place.path, &options, &writer.db, &err));
    db_verify(writer.db, "ByKind");
    MUST(pqdb_close(writer.db, &err));
    temp_directory_remove(&place);
}

// ---- of a view that lags ----------------------------------------------------------------------

static const char lagging[] =
    "{ Item: { kind: 'string!', n: 'int!', note: 'string' },\n"
    "  Some: { $from: 'Item', $filter: { n: { $gte: 0 } } },\n"
    "  ByKind: { $from: 'Some', $groupBy: ['kind'], $refresh: { mode: 'manual' },\n"
    "    $compute: { rows: { $count: '*' }, least: { $min: 'n' }, most: { $max: 'n' } } } }";

static void check_refresh(pqdb_db *db, const char *kind, const char *reason) {
    pqdb_refreshed refreshed;
    MUST(pqdb_view_refresh(db, "ByKind", false, &refreshed, &err));
    CHECK(strcmp(refreshed.kind, kind) == 0, "%s, not %s", refreshed.kind, kind);
    CHECK(strcmp(refreshed.reason, reason) == 0, "because %s", refreshed.reason);
}

static bool lags_with_parts(pqdb_db *db) {
    size_t count;
    const struct pq_node_part *parts =
        pq_node_parts(pq_db_find(db, PQ_TEXT("ByKind"))->node, &count);
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].is_there) return false;
    }
    return true;
}

/// The largest rows of all groups go.
static void take_largest(pqdb_db *db, unsigned below) {
    char where[64];
    snprintf(where, sizeof where, "{ n: { $gte: %u } }", below);
    MUST(pqdb_delete(db, "Item", where, NULL, NULL, &err));
}

static pqdb_db *make_lagging(struct fault_store *disk) {
    pqdb_db *db = db_make(db_with(disk), lagging);
    for (unsigned i = 0; i < few_rows; i += rows_at_once) put(db, i, rows_at_once);
    check_refresh(db, "full", "it was never refreshed");
    take_largest(db, few_rows - 100);
    check_refresh(db, "full", "more was taken back than its state can tell");
    CHECK(!lags_with_parts(db), "a refresh that missed them waited until they were made");
    return db;
}

static void what_a_refresh_has_missed_is_made_behind_it(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make_lagging(disk);
    // It is made as of that refresh, whatever has come since.
    take_largest(db, few_rows - 200);
    put(db, few_rows, rows_at_once);
    const pqdb_edit edit = {.where = "{ n: { $lt: 1000 } }",
                            .operators = "{ $inc: { n: 7 }, $set: { kind: 'k1' } }"};
    MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    pq_db_build_due(db);
    CHECK(lags_with_parts(db), "it was not made");
    check_refresh(db, "incremental", "");
    db_verify(db, "ByKind");
    take_largest(db, few_rows - 3000);
    check_refresh(db, "incremental", "");
    db_verify(db, "ByKind");
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, db_with(disk));
    take_largest(db, few_rows - 9000);
    check_refresh(db, "incremental", "");
    db_verify(db, "ByKind");
    db_end(db, disk);
}

static void a_full_refresh_is_done_before_they_are_made_again(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make_lagging(disk);
    pq_db_build_due(db);
    CHECK(lags_with_parts(db), "it was not made");
    MUST(pqdb_view_refresh(db, "ByKind", true, NULL, &err));
    CHECK(!lags_with_parts(db), "a full refresh has made them");
    take_largest(db, few_rows - 1000);
    pq_db_build_due(db);
    CHECK(lags_with_parts(db), "it was not made again");
    take_largest(db, few_rows - 2000);
    check_refresh(db, "incremental", "");
    db_verify(db, "ByKind");
    db_end(db, disk);
}

static void what_nobody_has_made_behind_it_the_next_refresh_makes(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = make_lagging(disk);
    take_largest(db, few_rows - 200);
    check_refresh(db, "full", "more was taken back than its state can tell");
    CHECK(lags_with_parts(db), "it was missed twice");
    pq_db_build_due(db);
    take_largest(db, few_rows - 3000);
    check_refresh(db, "incremental", "");
    db_verify(db, "ByKind");
    db_end(db, disk);
}

int main(void) {
    RUN(the_commit_that_takes_the_largest_back_reads_little);
    RUN(views_stay_exact_while_it_is_made);
    RUN(what_a_refresh_has_missed_is_made_behind_it);
    RUN(a_full_refresh_is_done_before_they_are_made_again);
    RUN(what_nobody_has_made_behind_it_the_next_refresh_makes);
    return test_done();
}
