/// Goal: views that append are refreshed while writers create, change and delete the rows that are
/// new to them: not a row is left out or taken twice, and what was added is what the tables make of
/// it at the commit of the refresh, which is what replay computes.
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "db/db_internal.h"
#include "support/db_calls.h"
#include "support/temp.h"

#define APPEND ", $refresh: { mode: 'manual', strategy: 'append' } },\n"

static const char schema[] =
    "{ Owner: { name: 'string!' },\n"
    "  Item: { k: 'string!', n: 'int!', owner: '-> Owner' },\n"
    "  Small: { $from: 'Item', $filter: { n: { $lt: 50 } } },\n"
    "  Seen: { $from: 'Item', $select: { n: '$n' }" APPEND
    "  Rolled: { $from: 'Item', $groupBy: ['k'], $compute: { rows: { $count: '*' },\n"
    "            high: { $max: 'n' }, low: { $min: 'n' } }" APPEND
    "  All: { $from: 'Item', $compute: { rows: { $count: '*' }, sum: { $sum: 'n' } }" APPEND
    "  AllSmall: { $from: 'Small', $compute: { rows: { $count: '*' } }" APPEND
    "  Owned: { $from: 'Item', $select: { n: '$n', owner: '$owner.name' }" APPEND
    "  Plain: { $from: 'Item', $select: { n: '$n' }" APPEND
    "  ByValue: { $from: 'Item', $groupBy: ['k', 'n'], $compute: { rows: { $count: '*' } }" APPEND
    "  Above: { $from: 'Seen', $compute: { rows: { $count: '*' } } } }";

static const char *const views[] = {"Seen",  "Rolled", "All",     "AllSmall",
                                    "Owned", "Plain",  "ByValue", "Above"};
enum { view_count = sizeof views / sizeof *views, rounds = 4, rows_at_once = 200 };

static pqdb_error err;

struct writer {
    pqdb_db *db;
    atomic_bool stops;
    atomic_uint batches;
    unsigned created;
    bool deletes;
    _Atomic(pqdb_code) code;
    pqdb_error error;
};

static pqdb_code create_some(struct writer *writer) {
    static const char row[] = "{\"$id\":\"i%08u\",\"k\":\"k%u\",\"n\":%u,\"owner\":\"o%u\"}\n";
    char text[rows_at_once * 80];
    size_t length = 0;
    for (unsigned i = 0; i < rows_at_once; i++) {
        const unsigned at = writer->created++;
        length += (size_t)snprintf(text + length, sizeof text - length, row, at, at % 7,
                                   at * 37 % 100, at % 3);
    }
    return pqdb_create(writer->db, "Item", text, length, NULL, NULL, &writer->error);
}

/// Rows of now and of long ago change, a few go, owners get other names.
static pqdb_code change_some(struct writer *writer) {
    char filter[100], name[60];
    const unsigned first = writer->batches % 2 == 0 ? writer->created - rows_at_once : 0;
    snprintf(filter, sizeof filter, "{ $id: { $gte: 'i%08u', $lt: 'i%08u' }, k: 'k%u' }", first,
             first + rows_at_once, writer->batches % 7);
    const pqdb_edit edit = {filter, "{ $inc: { n: 7 } }"};
    pqdb_code code =
        pqdb_update(writer->db, "Item", &edit, NULL, NULL, &writer->error);
    snprintf(filter, sizeof filter, "{ $id: 'i%08u' }", writer->created - 5);
    if (code == PQDB_OK && writer->deletes) {
        code = pqdb_delete(writer->db, "Item", filter, NULL, NULL, &writer->error);
    }
    snprintf(name, sizeof name, "{ $set: { name: 'n%u' } }", writer->created);
    const pqdb_edit rename = {"{ $id: 'o1' }", name};
    if (code == PQDB_OK && writer->batches % 3 == 0) {
        code = pqdb_update(writer->db, "Owner", &rename, NULL, NULL, &writer->error);
    }
    return code;
}

static void *write_rows(void *ctx) {
    struct writer *writer = ctx;
    while (!writer->stops && writer->code == PQDB_OK) {
        writer->code = create_some(writer);
        if (writer->code == PQDB_OK) writer->code = change_some(writer);
        writer->batches++;
    }
    return NULL;
}

static uint64_t rows_of_all(pqdb_db *db, const char *view) {
    uint64_t sum = 0;
    struct pq_bytes rows = db_rows(db, view, NULL);
    for (const char *at = (char *)rows.data; (at = strstr(at, "\"rows\":")) != NULL; at++) {
        sum += strtoull(at + 7, NULL, 10);
    }
    pq_bytes_deinit(&rows);
    return sum;
}

static void refresh_all(pqdb_db *db, bool discards) {
    for (size_t i = 0; i + 1 < view_count; i++) {
        MUST(discards ? pqdb_view_discard(db, views[i], NULL, &err)
                      : pqdb_view_refresh(db, views[i], false, NULL, &err));
    }
}

/// Once the writer rests, what it has created is there once.
static void check_complete(pqdb_db *db) {
    const uint64_t all = db_count(db, "Item", NULL);
    CHECK(db_count(db, "Seen", NULL) == all && db_count(db, "Owned", NULL) == all &&
              rows_of_all(db, "Rolled") == all && rows_of_all(db, "All") == all &&
              db_count(db, "Plain", NULL) == all && rows_of_all(db, "ByValue") == all &&
              rows_of_all(db, "Above") == all,
          "%" PRIu64 " items, %" PRIu64 " seen, %" PRIu64 " owned, %" PRIu64 " rolled, %" PRIu64,
          all, db_count(db, "Seen", NULL), db_count(db, "Owned", NULL), rows_of_all(db, "Rolled"),
          rows_of_all(db, "All"));
}

/// Opened again the log is replayed: refreshes are computed from the tables at their place in it.
static pqdb_db *check_replay(pqdb_db *db, const char *path) {
    struct pq_bytes before[view_count];
    for (size_t i = 0; i < view_count; i++) before[i] = db_rows(db, views[i], NULL);
    MUST(pqdb_close(db, &err));
    MUST(pqdb_open(path, NULL, &db, &err));
    for (size_t i = 0; i < view_count; i++) {
        struct pq_bytes after = db_rows(db, views[i], NULL);
        CHECK(strcmp((char *)before[i].data, (char *)after.data) == 0,
              "%s: other rows after a replay", views[i]);
        pq_bytes_deinit(&before[i]);
        pq_bytes_deinit(&after);
    }
    return db;
}

static void refreshes_beside_a_writer(bool deletes, uint64_t led_rows) {
    static const char owners[] = "[{\"$id\":\"o0\",\"name\":\"a\"},{\"$id\":\"o1\",\"name\":\"b\"},"
                                 "{\"$id\":\"o2\",\"name\":\"c\"}]";
    const struct temp_directory directory = temp_directory_make();
    MUST(pqdb_init(directory.path, schema, strlen(schema), NULL, NULL, &err));
    pqdb_db *db;
    MUST(pqdb_open(directory.path, NULL, &db, &err));
    db_put(db, "Owner", owners);
    struct writer writer = {.db = db, .deletes = deletes};
    for (int round = 0; round < rounds; round++) {
        const unsigned until = writer.batches + 6;
        pthread_t thread;
        writer.db = db;
        db->led_rows = led_rows;
        writer.stops = false;
        pthread_create(&thread, NULL, write_rows, &writer);
        while (writer.batches < until && writer.code == PQDB_OK) sched_yield();
        refresh_all(db, round == 2);
        writer.stops = true;
        pthread_join(thread, NULL);
        CHECK(writer.code == PQDB_OK, "%s: %s", writer.error.subject, writer.error.message);
        refresh_all(db, false);
        if (!deletes) check_complete(db);
        db = check_replay(db, directory.path);
    }
    MUST(pqdb_close(db, &err));
    temp_directory_remove(&directory);
}

static void what_is_created_meanwhile_is_added_once(void) {
    refreshes_beside_a_writer(false, 1 << 20);
}

static void what_goes_meanwhile_is_not_added(void) { refreshes_beside_a_writer(true, 1 << 20); }

/// With rows that are in files before they are the view's.
static void what_is_created_meanwhile_is_added_once_in_files(void) {
    refreshes_beside_a_writer(false, 20);
}

static void what_goes_meanwhile_is_not_added_in_files(void) { refreshes_beside_a_writer(true, 20); }

// ---- what is left to the leader ----------------------------------------------------------------

static const char many[] =
    "{ Item: { k: 'string!', n: 'int!' },\n"
    "  Plain: { $from: 'Item', $select: { n: '$n' }" APPEND
    "  ByValue: { $from: 'Item', $groupBy: ['n'], $compute: { rows: { $count: '*' } }" APPEND "}";

static void put_many(pqdb_db *db, unsigned first, unsigned count) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = first; i < first + count; i++) {
        MUST(pq_bytes_printf(&text, &err, "{\"$id\":\"i%u\",\"k\":\"k\",\"n\":%u}\n", i, i));
    }
    MUST(pqdb_create(db, "Item", (const char *)text.data, text.length, NULL, NULL, &err));
    pq_bytes_deinit(&text);
}

/// Rows of the view that no file has: those that the leader has added since the last checkpoint.
static uint64_t rows_led(pqdb_db *db, const char *view) {
    const struct pq_table *table = pq_db_find(db, pq_text_of(view))->table;
    uint64_t rows = table->rows;
    for (size_t i = 0; i < table->catalog->file_count; i++) {
        rows -= table->catalog->segments[i]->rows - table->catalog->segments[i]->dead;
    }
    return rows;
}

static void refresh_many(pqdb_db *db, bool discards, uint64_t rows, uint64_t in_memory) {
    static const char *const both[] = {"Plain", "ByValue"};
    for (size_t i = 0; i < 2; i++) {
        pqdb_refreshed refreshed;
        MUST(discards ? pqdb_view_discard(db, both[i], &refreshed, &err)
                      : pqdb_view_refresh(db, both[i], false, &refreshed, &err));
        CHECK(db_count(db, both[i], NULL) == rows, "%s: %" PRIu64 " rows", both[i],
              db_count(db, both[i], NULL));
        CHECK(rows_led(db, both[i]) == in_memory, "%s: the leader has added %" PRIu64 " rows",
              both[i], rows_led(db, both[i]));
        char own[48];  // nobody writes meanwhile
        snprintf(own, sizeof own, "{ $id: { $regex: '@%" PRIu64 "$' } }", refreshed.version);
        CHECK(db_count(db, both[i], own) == (discards ? rows : refreshed.rows),
              "%s: %" PRIu64 " rows of seq-%" PRIu64, both[i], db_count(db, both[i], own),
              refreshed.version);
    }
}

static struct pq_bytes all_of(pqdb_db *db) {
    struct pq_bytes rows = db_rows(db, "Plain", NULL), more = db_rows(db, "ByValue", NULL);
    rows.length--;  // the zero
    MUST(pq_bytes_append_text(&rows, pq_bytes_text(&more), &err));
    pq_bytes_deinit(&more);
    return rows;
}

/// Opened after a crash it has the same rows under the same ids.
static struct fault_store *crash(pqdb_db **db, struct fault_store *disk, struct pq_open_with with) {
    struct pq_bytes before = all_of(*db);
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 1);
    MUST(pqdb_close(*db, &err));
    fault_store_destroy(disk);
    with.store = &next->base;
    *db = db_open(with);
    struct pq_bytes after = all_of(*db);
    CHECK(strcmp((char *)before.data, (char *)after.data) == 0, "other rows after a crash");
    pq_bytes_deinit(&before);
    pq_bytes_deinit(&after);
    return next;
}

static void few_of_many_rows_are_added_by_the_leader(void) {
    struct fault_store *disk = fault_store_create();
    struct pq_open_with with = db_with(disk);
    with.led_rows = 100;
    pqdb_db *db = db_make(with, many);
    put_many(db, 0, 3000);
    refresh_many(db, false, 3000, 0);
    put_many(db, 3000, 90);
    refresh_many(db, false, 3090, 90);
    put_many(db, 4000, 500);
    refresh_many(db, false, 3590, 90);
    disk = crash(&db, disk, with);
    MUST(pqdb_checkpoint(db, &err));
    put_many(db, 5000, 500);
    refresh_many(db, false, 4090, 0);
    disk = crash(&db, disk, with);
    refresh_many(db, true, 4090, 0);
    disk = crash(&db, disk, with);
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, (with.store = &disk->base, with));
    CHECK(db_count(db, "Plain", NULL) == 4090, "%" PRIu64 " rows", db_count(db, "Plain", NULL));
    db_end(db, disk);
}

// ---- what stands on it -------------------------------------------------------------------------

static void *put_one(void *ctx) {
    db_put(ctx, "Item", "[{\"n\":1}]");
    return NULL;
}

/// In the middle of a build, if writers need not wait for it.
static void on_read(void *ctx, struct fault_store *disk, const char *path) {
    pqdb_db *db = ctx;
    pthread_t thread;
    if (strstr(path, "Seen/") == NULL) return;
    disk->counts_reads = false;
    if (pthread_mutex_trylock(&db->leader) != 0) return;
    pthread_mutex_unlock(&db->leader);
    pthread_create(&thread, NULL, put_one, db);
    pthread_join(thread, NULL);
}

static void what_is_built_over_it_misses_nothing_that_is_appended_meanwhile(void) {
    static const char streams[] =
        "{ Item: { n: 'int!' },\n"
        "  Seen: { $from: 'Item', $select: { n: '$n' }, $refresh: { strategy: 'append' } },\n"
        "  Count: { $from: 'Seen', $compute: { rows: { $count: '*' } } } }";
    char text[rows_at_once * 16];
    size_t length = 0;
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), streams);
    for (unsigned i = 0; i < rows_at_once; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length, "{\"n\":%u}\n", i);
    }
    db_put(db, "Item", text);
    MUST(pqdb_checkpoint(db, &err));
    db = db_reopen(db, db_with(disk));
    CHECK(db_count(db, "Seen", "{ n: -1 }") == 0, "there is one");  // opens the file
    disk->on_call = on_read;
    disk->on_call_ctx = db;
    disk->counts_reads = true;
    MUST(pqdb_view_refresh(db, "Count", true, NULL, &err));
    CHECK(!disk->counts_reads, "no file was read");
    disk->counts_reads = false;
    disk->on_call = NULL;
    db_verify(db, "Count");
    CHECK(rows_of_all(db, "Count") == db_count(db, "Seen", NULL), "%" PRIu64 " of %" PRIu64,
          rows_of_all(db, "Count"), db_count(db, "Seen", NULL));
    db_end(db, disk);
}

int main(void) {
    RUN(what_is_created_meanwhile_is_added_once);
    RUN(what_goes_meanwhile_is_not_added);
    RUN(what_is_created_meanwhile_is_added_once_in_files);
    RUN(what_goes_meanwhile_is_not_added_in_files);
    RUN(few_of_many_rows_are_added_by_the_leader);
    RUN(what_is_built_over_it_misses_nothing_that_is_appended_meanwhile);
    return test_done();
}
