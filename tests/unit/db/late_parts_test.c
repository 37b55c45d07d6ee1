/// Goal: what $min and $max need when their value is taken back is made beside the writers, before
/// it is missed: the commit that takes the value back reads no more than another, and nothing that
/// anybody reads changes. Of a view that lags it is made as of its last refresh, once that missed
/// it.
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "db/schema_change.h"
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

// ---- nobody waits for it ------------------------------------------------------------------------

#define MANUAL " $refresh: { mode: 'manual' }"

static const char shared[] =
    "{ Item: { kind: 'string!', n: 'int!', note: 'string' },\n"
    "  Gone: { $from: 'Item', $filter: { n: { $lt: 0 } } },\n"
    "  Rows: { $from: 'Item', $compute: { rows: { $count: '*' } }," MANUAL " },\n"
    "  Some: { $from: 'Item', $select: { kind: '$kind', n: '$n' }," MANUAL " },\n"
    "  Above: { $from: 'Some', $groupBy: ['kind'], $compute: { most: { $max: 'n' } } },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind']," MANUAL ",\n"
    "    $compute: { rows: { $count: '*' }, least: { $min: 'n' }, most: { $max: 'n' } } } }";

/// What somebody does in the middle of a making, when it first reads a file of the table.
struct meanwhile {
    pqdb_db *db;
    const char *directory;
    void (*run)(struct meanwhile *meanwhile);
    int runs;
    pthread_t thread;
    bool is_awaited;  // by whom it waits for: a change of the schema
};

static void *run_meanwhile(void *ctx) {
    struct meanwhile *meanwhile = ctx;
    meanwhile->run(meanwhile);
    return NULL;
}

static void on_read(void *ctx, struct fault_store *disk, const char *path) {
    struct meanwhile *meanwhile = ctx;
    if (meanwhile->runs > 0 || strstr(path, meanwhile->directory) == NULL) return;
    disk->counts_reads = false;
    meanwhile->runs++;
    const bool is_free = pthread_mutex_trylock(&meanwhile->db->building) == 0;
    CHECK(is_free, "who refreshes would wait for the making");
    if (!is_free) return;
    pthread_mutex_unlock(&meanwhile->db->building);
    pthread_create(&meanwhile->thread, NULL, run_meanwhile, meanwhile);
    if (!meanwhile->is_awaited) pthread_join(meanwhile->thread, NULL);
    while (meanwhile->is_awaited && !meanwhile->db->making_stops) sched_yield();
}

static pqdb_db *make_shared(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    pqdb_db *db = db_make(with, shared);
    for (unsigned i = 0; i < few_rows; i += rows_at_once) put(db, i, rows_at_once);
    MUST(pqdb_view_refresh(db, "Rows", false, NULL, &err));
    MUST(pqdb_view_refresh(db, "Some", false, NULL, &err));
    check_refresh(db, "full", "it was never refreshed");
    take_largest(db, few_rows - 100);
    check_refresh(db, "full", "more was taken back than its state can tell");
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, with);  // what is read is read from files,
    CHECK(db_count(db, "Item", "{ note: 'none' }") == 0, "there is one");  // which are open
    pq_db_find(db, PQ_TEXT("ByKind"))->wants_parts = true;
    return db;
}

static void make_with(struct meanwhile *meanwhile, struct fault_store *disk) {
    disk->on_call = on_read;
    disk->on_call_ctx = meanwhile;
    disk->counts_reads = true;
    pq_db_build_due(meanwhile->db);
    CHECK(meanwhile->runs == 1, "%d times in the middle of it", meanwhile->runs);
    if (meanwhile->is_awaited) pthread_join(meanwhile->thread, NULL);
    disk->on_call = NULL;
    disk->counts_reads = false;
}

static void refresh_and_read(struct meanwhile *meanwhile) {
    pqdb_refreshed refreshed;
    take_largest(meanwhile->db, few_rows - 300);
    MUST(pqdb_view_refresh(meanwhile->db, "Rows", false, &refreshed, &err));
    CHECK(strcmp(refreshed.kind, "incremental") == 0, "%s", refreshed.kind);
    take_largest(meanwhile->db, few_rows - 400);
    const pqdb_find_options now = {.max_staleness = "0s"};
    struct pq_bytes rows = db_rows(meanwhile->db, "Rows", &now);
    CHECK(strstr((char *)rows.data, "\"rows\":19600") != NULL, "%s", (char *)rows.data);
    pq_bytes_deinit(&rows);
}

static void other_views_are_refreshed_and_read_while_it_is_made(void) {
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile = {make_shared(disk), "Item/", .run = refresh_and_read};
    make_with(&meanwhile, disk);
    CHECK(lags_with_parts(meanwhile.db), "it was not made");
    check_refresh(meanwhile.db, "incremental", "");
    db_verify(meanwhile.db, "ByKind");
    db_end(meanwhile.db, disk);
}

static void refresh_itself(struct meanwhile *meanwhile) {
    take_largest(meanwhile->db, few_rows - 300);
    check_refresh(meanwhile->db, "full", "more was taken back than its state can tell");
    CHECK(!lags_with_parts(meanwhile->db), "it made itself what is being made");
}

static void the_view_itself_is_refreshed_while_it_is_made(void) {
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile = {make_shared(disk), "Item/", .run = refresh_itself};
    make_with(&meanwhile, disk);
    CHECK(lags_with_parts(meanwhile.db), "it was not made as of the newer refresh");
    for (unsigned below = few_rows - 2000; below > 4000; below -= 7000) {
        take_largest(meanwhile.db, below);
        check_refresh(meanwhile.db, "incremental", "");
        db_verify(meanwhile.db, "ByKind");
    }
    db_end(meanwhile.db, disk);
}

/// All but the largest, which a window shows.
static void refresh_below(struct meanwhile *meanwhile) {
    char where[96];
    snprintf(where, sizeof where, "{ n: { $gte: 1000, $lt: %u } }", few_rows - 150);
    MUST(pqdb_delete(meanwhile->db, "Item", where, NULL, NULL, &err));
    MUST(pqdb_view_refresh(meanwhile->db, "Some", false, NULL, &err));
}

static void what_changes_below_it_without_the_log_makes_it_begin_again(void) {
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile = {make_shared(disk), "Some/", .run = refresh_below};
    pq_db_find(meanwhile.db, PQ_TEXT("ByKind"))->wants_parts = false;
    MUST(pqdb_delete(meanwhile.db, "Item", "i000500", NULL, NULL, &err));
    CHECK(db_count(meanwhile.db, "Some", "{ kind: 'none' }") == 0, "there is one");  // opens files
    struct pq_db_table *above = pq_db_find(meanwhile.db, PQ_TEXT("Above"));
    CHECK(!has_parts(meanwhile.db, "Above") && !above->has_late_parts, "there is nothing to make");
    make_with(&meanwhile, disk);
    CHECK(!above->has_late_parts, "it is not due again");
    take_largest(meanwhile.db, 500);
    MUST(pqdb_view_refresh(meanwhile.db, "Some", false, NULL, &err));
    db_verify(meanwhile.db, "Above");
    db_end(meanwhile.db, disk);
}

static void drop_other(struct meanwhile *meanwhile) {
    pqdb_error why;
    CHECK(pqdb_view_drop(meanwhile->db, "Gone", false, &why) == PQDB_OK, "%s", why.message);
}

static void a_change_of_the_schema_stops_it(void) {
    struct fault_store *disk = fault_store_create();
    struct meanwhile meanwhile = {make_shared(disk), "Item/", drop_other, .is_awaited = true};
    make_with(&meanwhile, disk);
    CHECK(!lags_with_parts(meanwhile.db), "it was made all the same");
    pq_db_build_due(meanwhile.db);
    CHECK(lags_with_parts(meanwhile.db), "it was not taken up again");
    take_largest(meanwhile.db, few_rows - 2000);
    check_refresh(meanwhile.db, "incremental", "");
    db_verify(meanwhile.db, "ByKind");
    db_end(meanwhile.db, disk);
}

/// Of a view that lags, while it and others are refreshed and read as of now, and a writer changes.
static void refreshes_reads_and_writers_go_on_beside_it(void) {
    const struct temp_directory place = temp_directory_make();
    const pqdb_options options = {.checkpoint_ms = 20};
    const pqdb_find_options now = {.max_staleness = "0s"};
    MUST(pqdb_init(place.path, shared, sizeof shared - 1, NULL, NULL, &err));
    struct writer writer = {0};
    MUST(pqdb_open(place.path, &options, &writer.db, &err));
    for (unsigned i = 0; i < few_rows; i += rows_at_once) put(writer.db, i, rows_at_once);
    pthread_t thread;
    pthread_create(&thread, NULL, change, &writer);
    pqdb_error why;
    for (int i = 0; i < 12; i++) {
        const bool anew = i % 4 == 0;
        CHECK(pqdb_view_refresh(writer.db, "ByKind", anew, NULL, &why) == PQDB_OK &&
                  pqdb_view_refresh(writer.db, "Rows", false, NULL, &why) == PQDB_OK &&
                  pqdb_view_refresh(writer.db, "Some", anew, NULL, &why) == PQDB_OK,
              "%s: %s", why.subject, why.message);
        pq_db_find(writer.db, PQ_TEXT("ByKind"))->wants_parts = true;
        struct pq_bytes rows = db_rows(writer.db, "ByKind", &now);
        CHECK(rows.length > 0, "no rows");
        pq_bytes_deinit(&rows);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    writer.stops = true;
    pthread_join(thread, NULL);
    MUST(pqdb_view_refresh(writer.db, "ByKind", false, NULL, &err));
    MUST(pqdb_view_refresh(writer.db, "Some", false, NULL, &err));
    db_verify(writer.db, "ByKind");
    db_verify(writer.db, "Above");
    MUST(pqdb_close(writer.db, &err));
    temp_directory_remove(&place);
}

/// The collection does not have the rows any more that the view below has kept.
static void over_rows_that_are_kept_it_is_not_made_of_what_is_left(void) {
    static const char kept[] =
        "{ Event: { $ingest: 'custom:event', at: 'timestamp', n: 'int!',\n"
        "           $retention: { after: '1h', by: 'at' } },\n"
        "  All: { $from: 'Event', $select: { n: '$n' }, $onRetention: 'keep' },\n"
        "  Most: { $from: 'All', $compute: { most: { $max: 'n' } } } }";
    struct fault_store *disk = fault_store_create();
    struct pq_open_with with = db_with(disk);
    with.late_rows = 1;
    pqdb_db *db = db_make(with, kept);  // the clock begins at ten
    db_put(db, "Event", "[{\"$id\":\"a\",\"n\":1,\"at\":\"2026-01-15T07:30:00Z\"},"
                        " {\"$id\":\"b\",\"n\":2,\"at\":\"2026-01-15T07:30:00Z\"},"
                        " {\"$id\":\"c\",\"n\":3,\"at\":\"2026-01-15T10:30:00Z\"}]");
    MUST(pq_db_retain(db, &err));
    pq_db_build_due(db);
    MUST(pqdb_delete(db, "Event", "c", NULL, NULL, &err));
    db_check_rows(db, "Most", "{\"$id\":\"[]\",\"most\":2}\n");
    db_end(db, disk);
}

int main(void) {
    RUN(the_commit_that_takes_the_largest_back_reads_little);
    RUN(views_stay_exact_while_it_is_made);
    RUN(what_a_refresh_has_missed_is_made_behind_it);
    RUN(a_full_refresh_is_done_before_they_are_made_again);
    RUN(what_nobody_has_made_behind_it_the_next_refresh_makes);
    RUN(other_views_are_refreshed_and_read_while_it_is_made);
    RUN(the_view_itself_is_refreshed_while_it_is_made);
    RUN(what_changes_below_it_without_the_log_makes_it_begin_again);
    RUN(a_change_of_the_schema_stops_it);
    RUN(refreshes_reads_and_writers_go_on_beside_it);
    RUN(over_rows_that_are_kept_it_is_not_made_of_what_is_left);
    return test_done();
}
