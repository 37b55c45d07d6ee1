/// Goal: pqdb_compact leaves each collection and view one file without dead rows, whatever was
/// there, with the same rows; it says what it did, and where there was nothing to do.
#include <inttypes.h>
#include <string.h>

#include "db/checkpoint_internal.h"
#include "support/db_calls.h"

enum { FILES = 21, ROWS = 40, LEFT = FILES * ROWS - 3 };

static const char schema[] =
    "{ T: { k: 'string!', n: 'int!' }, Other: { n: 'int!' },\n"
    "  Low: { $from: 'T', $filter: { n: { $lt: 500 } }, $select: { n: '$n' } },\n"
    "  ByK: { $from: 'T', $groupBy: ['k'], $compute: { sum: { $sum: 'n' } } } }";

static pqdb_error err;

static void put(pqdb_db *db, unsigned first) {
    static char text[ROWS * 80];
    const pqdb_write_options replace = {.on_conflict = "replace"};
    size_t length = 0;
    for (unsigned i = first; i < first + ROWS; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"$id\":\"%05u\",\"k\":\"k%u\",\"n\":%u}\n", i * 7919 % 10007,
                                   i % 9, i);
    }
    MUST(pqdb_create(db, "T", text, length, &replace, NULL, &err));
}

/// Of the last call.
struct done {
    char names[128];
    pqdb_compacted t, by_k;
    size_t changed;
};

static void note(void *ctx, const pqdb_compacted *compacted) {
    struct done *done = ctx;
    const size_t used = strlen(done->names);
    snprintf(done->names + used, sizeof done->names - used, "%s ", compacted->name);
    if (strcmp(compacted->name, "T") == 0) done->t = *compacted;
    if (strcmp(compacted->name, "ByK") == 0) done->by_k = *compacted;
    done->changed += compacted->files_before != compacted->files_after ||
                     compacted->bytes_before != compacted->bytes_after;
}

static struct done compact(pqdb_db *db, const char *name) {
    struct done done = {0};
    MUST(pqdb_compact(db, name, note, &done, &err));
    return done;
}

static size_t dead_rows(pqdb_db *db, const char *name) {
    const struct pq_catalog *catalog = pq_db_find(db, pq_text_of(name))->table->published->catalog;
    size_t dead = 0;
    for (size_t i = 0; i < catalog->file_count; i++) dead += catalog->segments[i]->dead;
    return dead;
}

static void check(pqdb_db *db, uint64_t rows) {
    CHECK(db_count(db, "T", NULL) == rows, "%" PRIu64 " rows", db_count(db, "T", NULL));
    db_verify(db, "Low");
    db_verify(db, "ByK");
}

/// So that each checkpoint writes a file that only merges of whole tiers would take.
static struct pq_open_with with(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.merge_rows = 1;
    return with;
}

static void files_become_one_without_dead_rows(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with(disk), schema);
    for (unsigned i = 0; i < FILES; i++) {
        put(db, i * ROWS);
        MUST(pq_db_checkpoint(db, true, &err));
    }
    MUST(pqdb_delete(db, "T", "{ n: { $gte: 100, $lt: 103 } }", NULL, NULL, &err));
    put(db, 3);
    CHECK(dead_rows(db, "T") >= 40, "%zu dead rows", dead_rows(db, "T"));
    struct done done = compact(db, "ByK");
    CHECK(strcmp(done.names, "ByK ") == 0 && done.by_k.files_after == 1, "%s: %" PRIu64 " files",
          done.names, done.by_k.files_after);
    done = compact(db, NULL);
    CHECK(strcmp(done.names, "T Other Low ByK ") == 0, "%s", done.names);
    CHECK(done.t.files_before > 8 && done.t.files_after == 1 &&
              done.t.bytes_after < done.t.bytes_before,
          "%" PRIu64 " files of %" PRIu64, done.t.files_after, done.t.files_before);
    CHECK(dead_rows(db, "T") + dead_rows(db, "Low") + dead_rows(db, "ByK") == 0, "dead rows");
    check(db, LEFT);
    CHECK(compact(db, NULL).changed == 0, "there was something to do");
    db = db_reopen(db, with(disk));
    check(db, LEFT);
    // One dead row is enough.
    MUST(pqdb_delete(db, "T", "{ n: 7 }", NULL, NULL, &err));
    done = compact(db, "T");
    CHECK(done.changed == 1 && dead_rows(db, "T") == 0, "%zu dead rows", dead_rows(db, "T"));
    check(db, LEFT - 1);
    db_end(db, disk);
}

static void what_is_not_there_is_said(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with(disk), schema);
    struct done done = compact(db, NULL);
    CHECK(done.changed == 0, "an empty database");
    CHECK(pqdb_compact(db, "Nope", note, &done, &err) == PQDB_NOT_FOUND, "%s", err.message);
    db_end(db, disk);
}

int main(void) {
    RUN(files_become_one_without_dead_rows);
    RUN(what_is_not_there_is_said);
    return test_done();
}
