/// Goal: a build that goes through the log in pieces is exact where $max loses its value in a later
/// one: what fills the window again must be the rows as of then, which no snapshot has.
#include <string.h>

#include "support/db_calls.h"

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'],\n"
    "    $compute: { rows: { $count: '*' }, least: { $min: 'n' }, most: { $max: 'n' } } },\n"
    "  Wide: { $from: 'ByKind', $compute: { most: { $max: 'most' }, of: { $count: '*' } } },\n"
    "  Later: { $from: 'Item', $groupBy: ['kind'], $compute: { most: { $max: 'n' } },\n"
    "    $refresh: { mode: 'manual' } },\n"
    "  Grown: { $from: 'Item', $groupBy: ['kind'], $compute: { most: { $max: 'n' } },\n"
    "    $refresh: { mode: 'manual', strategy: 'append' } } }";

static pqdb_error err;

static void put(pqdb_db *db, unsigned first, unsigned count) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = first; i < first + count; i++) {
        MUST(pq_bytes_printf(&text, &err, "{\"$id\":\"i%06u\",\"n\":%u,\"kind\":\"k%u\"}\n", i, i,
                             i % 4));
    }
    MUST(pq_bytes_append_byte(&text, 0, &err));
    db_put(db, "Item", (const char *)text.data);
    pq_bytes_deinit(&text);
}

/// Writes in the middle of a build: when it first reads rows of a file.
struct writer {
    pqdb_db *db;
    bool waits;
};

static void write_beside(void *ctx, struct fault_store *disk, const char *path) {
    struct writer *writer = ctx;
    if (!writer->waits || strstr(path, ".parquet") == NULL) return;
    writer->waits = false;
    disk->counts_reads = false;
    put(writer->db, 10000, 2000);
    put(writer->db, 20000, 6000);
    MUST(pqdb_delete(writer->db, "Item", "{ n: { $gte: 11000 } }", NULL, NULL, &err));
    MUST(pqdb_delete(writer->db, "Item", "{ n: { $lt: 40 } }", NULL, NULL, &err));
}

/// `view` is refreshed while that is written.
static pqdb_db *refresh_beside(struct fault_store *disk, const char *view) {
    struct pq_open_with with = db_with(disk);
    with.piece_rows = 1;  // each commit by itself
    struct writer writer = {.db = db_make(with, schema)};
    put(writer.db, 0, 3000);
    MUST(pqdb_checkpoint(writer.db, &err));
    writer.db = db_reopen(writer.db, with);
    CHECK(db_count(writer.db, "Item", "{ n: 1 }") == 1, "the file is not open");
    writer.waits = true;
    disk->on_call = write_beside;
    disk->on_call_ctx = &writer;
    disk->counts_reads = true;
    MUST(pqdb_view_refresh(writer.db, view, strcmp(view, "Grown") != 0, NULL, &err));
    CHECK(!writer.waits, "%s: nothing was written meanwhile", view);
    disk->on_call = NULL;
    disk->counts_reads = false;
    return writer.db;
}

static void a_view_that_is_built_beside_writers_is_exact(void) {
    static const char *const views[] = {"ByKind", "Wide", "Later"};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        struct fault_store *disk = fault_store_create();
        pqdb_db *db = refresh_beside(disk, views[i]);
        db_verify(db, "ByKind");
        db_verify(db, "Wide");
        if (i == 2) db_verify(db, "Later");
        db_end(db, disk);
    }
}

/// New rows alone, of which some change and go before they are appended.
static void a_view_that_appends_is_exact(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = refresh_beside(disk, "Grown");
    CHECK(db_count(db, "Grown", "{ most: { $gte: 10996, $lt: 11000 } }") == 4, "other values");
    db_end(db, disk);
}

int main(void) {
    RUN(a_view_that_is_built_beside_writers_is_exact);
    RUN(a_view_that_appends_is_exact);
    return test_done();
}
