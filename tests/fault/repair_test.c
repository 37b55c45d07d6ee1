/// Goal: a repair that is cut short, by the power, an error or want of memory, in whichever call,
/// is made good by the next one: nothing more is lost than without it, that rows were lost stays
/// known, and nothing leaks. An open that comes before it leaves every table its metadata.
/// The calls that move and save, before the database is opened, are tried more closely where rows
/// may be lost; PQ_TEST_STRIDE=1 tries every call and allocation.
#include <errno.h>
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <stdlib.h>
#include <string.h>

#include "db/check_internal.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/rich_db.h"
#include "support/test.h"

enum { stride_default = 71, mending_calls = 64, mending_stride = 8 };

static pqdb_error err;
static struct fault_store *sound;
static struct pq_bytes expected;  // what it holds

/// A damage: the last file whose path begins and ends so.
static const struct damage {
    const char *name, *start, *end;
    int at;           // per cent of the file
    bool has_lost;    // rows of Many, and of views over it
    bool has_tables;  // the list of tables is damaged as well
} damages[] = {
    {"rows", "Many/data/", ".parquet", 30, true, false},
    {"rows and tables", "Many/data/", ".parquet", 30, true, true},
    {"rows that the log still has", "Item/data/", ".parquet", 30, false, false},
    {"a view's rows", "_views/ByKind/data/", ".parquet", 30, false, false},
    {"a root", "_state/", ".root", 50, false, false},
    {"a list of ids", "Many/data/", ".ids", 50, false, false},
    {"metadata", "Item/metadata/", ".metadata.json", 20, false, false},
    {"a list of manifests", "C/metadata/", ".avro", 60, false, false},
    {"a state", "_state/", ".run", 50, false, false},
    {"links", "Item/data/", ".links", 50, false, false},
};

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

static struct fault_store *make_damaged(const struct damage *damage) {
    struct pq_arena arena;
    struct rich_files files;
    struct fault_store *disk = fault_store_crash(sound, FAULT_ALL_KEPT, 0);
    bool found = false;
    pq_arena_init(&arena, &pq_alloc_libc);
    rich_db_files(&disk->base, &arena, &files);
    for (size_t i = files.count; i-- > 0 && !found;) {
        const size_t length = strlen(files.paths[i]), end = strlen(damage->end);
        found = strncmp(files.paths[i], damage->start, strlen(damage->start)) == 0 &&
                length >= end && strcmp(files.paths[i] + length - end, damage->end) == 0;
        if (!found) continue;
        found = fault_store_flip(&disk->base, files.paths[i],
                                 files.bytes[i] * (unsigned)damage->at / 100, 0x10);
    }
    CHECK(found, "no file %s…%s", damage->start, damage->end);
    if (damage->has_tables) {
        CHECK(fault_store_flip(&disk->base, "_state/tables.json", 40, 1), "no list of tables");
    }
    pq_arena_deinit(&arena);
    return disk;
}

static pqdb_code repair(struct pq_store *store, const struct pq_alloc *alloc,
                        pqdb_checked *checked) {
    struct pq_open_with with = rich_db_with(store);
    const pqdb_check_options options = {.repair = true};
    with.alloc = alloc;
    return pq_db_check_with(&with, &options, checked, &err);
}

static uint64_t rows_of_many(struct pq_store *store) {
    const struct pq_open_with with = rich_db_with(store);
    uint64_t rows = 0;
    pqdb_db *db;
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    must(pqdb_count(db, "Many", NULL, &rows, &err), "count");
    must(pqdb_close(db, &err), "close");
    return rows;
}

/// That rows of Many were lost, so that what it was before is not answered.
static void check_noted(struct pq_store *store, const struct damage *damage, const char *what,
                        long k) {
    struct pq_arena arena;
    struct pq_root root;
    bool found, is_noted = false;
    pq_arena_init(&arena, &pq_alloc_libc);
    must(pq_root_read_newest(store, &arena, &root, &found, &err), "root");
    for (size_t i = 0; i < root.table_count; i++) {
        if (pq_text_is(root.tables[i].name, "Many")) is_noted = root.tables[i].lost_before > 0;
    }
    CHECK(is_noted == damage->has_lost, "%s, %s %ld: that rows were lost is not known",
          damage->name, what, k);
    pq_arena_deinit(&arena);
}

static void hear_missing(void *ctx, const pqdb_damage *damage) {
    bool *missing = ctx;
    *missing = *missing || strstr(damage->message, "has no metadata") != NULL;
}

/// Somebody opens the database before it is repaired again.
static void check_metadata(struct fault_store *disk, const struct damage *damage, long k) {
    struct fault_store *copy = fault_store_crash(disk, FAULT_ALL_KEPT, 0);
    const struct pq_open_with with = rich_db_with(&copy->base);
    bool missing = false;
    const pqdb_check_options options = {.on_damage = hear_missing, .ctx = &missing};
    pqdb_checked checked;
    pqdb_db *db;
    if (pq_db_open_with(&with, NULL, &db, &err) == PQDB_OK) {
        must(pqdb_checkpoint(db, &err), "checkpoint");
        must(pqdb_close(db, &err), "close");
        must(pq_db_check_with(&with, &options, &checked, &err), "check");
        CHECK(!missing, "%s, crash in call %ld: a table has lost its metadata", damage->name, k);
    }
    fault_store_destroy(copy);
}

/// The repair again, and then everything is as after one that nothing disturbed.
static void check_disk(struct fault_store *disk, const struct damage *damage, uint64_t left,
                       const char *what, long k) {
    const struct pq_open_with with = rich_db_with(&disk->base);
    pqdb_checked checked = {0};
    pqdb_db *db;
    struct pq_bytes now;
    const pqdb_code code = repair(&disk->base, &pq_alloc_libc, &checked);
    CHECK(code == PQDB_OK, "%s, %s %ld: %s: %s", damage->name, what, k, err.subject, err.message);
    if (code != PQDB_OK) return;
    must(pq_db_check_with(&with, NULL, &checked, &err), "check");
    CHECK(checked.damages == 0, "%s, %s %ld: damage is left", damage->name, what, k);
    CHECK(rows_of_many(&disk->base) == left, "%s, %s %ld: %" PRIu64 " rows, not %" PRIu64,
          damage->name, what, k, rows_of_many(&disk->base), left);
    check_noted(&disk->base, damage, what, k);
    pq_bytes_init(&now, &pq_alloc_libc);
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    must(rich_db_dump(db, &now, &err), "dump");
    db_world_verify(db, what, k);
    CHECK(damage->has_lost || strcmp((char *)now.data, (char *)expected.data) == 0,
          "%s, %s %ld: other rows", damage->name, what, k);
    // What a repair that was cut short has left goes with the next checkpoint.
    must(pqdb_create(db, "C", "{\"name\":\"Flo\"}", 14, NULL, NULL, &err), "create");
    must(pqdb_update(db, "Item", &(pqdb_edit){"{}", "{ $inc: { n: 1 } }"}, NULL, NULL, &err),
         "update");
    must(pqdb_checkpoint(db, &err), "checkpoint");
    must(pqdb_close(db, &err), "close");
    must(pq_db_check_with(&with, NULL, &checked, &err), "check");
    CHECK(checked.unnamed_files == 0 && checked.damages == 0, "%s, %s %ld: %" PRIu64 " files leak",
          damage->name, what, k, checked.unnamed_files);
    pq_bytes_deinit(&now);
}

/// How many calls it makes, and what it leaves of Many.
static long count_calls(const struct damage *damage, uint64_t *left) {
    struct fault_store *disk = make_damaged(damage);
    pqdb_checked checked;
    must(repair(&disk->base, &pq_alloc_libc, &checked), damage->name);
    const long calls = disk->calls;
    *left = rows_of_many(&disk->base);
    check_disk(disk, damage, *left, "no fault", 0);
    fault_store_destroy(disk);
    return calls;
}

static void disturb(const struct damage *damage, long stride) {
    uint64_t left;
    const long calls = count_calls(damage, &left);
    long crashes = 0, errors = 0, starved = 0;
    pqdb_checked checked;
    // What the list of tables adds is in the first calls.
    const bool is_whole = !damage->has_tables || stride == 1;
    const long last = is_whole ? calls : mending_calls;
    const long close = stride < mending_stride ? stride : mending_stride;
    for (long k = 0; k < last; k += damage->has_lost && k < mending_calls ? close : stride) {
        struct fault_store *disk = make_damaged(damage);
        disk->down_at = k;
        repair(&disk->base, &pq_alloc_libc, &checked);
        struct fault_store *next =
            fault_store_crash(disk, (enum fault_mode)(k / stride % 3), (uint64_t)k);
        if (k < mending_calls || stride == 1) check_metadata(next, damage, k);
        check_disk(next, damage, left, "crash in call", k);
        fault_store_destroy(next);
        fault_store_destroy(disk);
        crashes++;
        if (!is_whole) continue;
        disk = make_damaged(damage);
        disk->fail_at = k;
        disk->fail_errno = k % 2 == 0 ? EIO : ENOSPC;
        const pqdb_code code = repair(&disk->base, &pq_alloc_libc, &checked);
        CHECK(code == PQDB_OK || code == PQDB_IO, "%s, error in call %ld: code %d", damage->name, k,
              (int)code);
        check_disk(disk, damage, left, "error in call", k);
        fault_store_destroy(disk);
        errors += code != PQDB_OK;
    }
    for (long n = 0, was_felt = is_whole; was_felt; n += 97 * stride - 96) {
        struct fault_store *disk = make_damaged(damage);
        struct failing_alloc failing = {.left = n};
        failing.alloc = (struct pq_alloc){failing_resize, &failing};
        const pqdb_code code = repair(&disk->base, &failing.alloc, &checked);
        was_felt = failing.left < 0;
        CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "%s, allocation %ld: code %d: %s",
              damage->name, n, (int)code, err.message);
        CHECK(failing.live_bytes == 0, "%s, allocation %ld: %ld bytes leak", damage->name, n,
              failing.live_bytes);
        check_disk(disk, damage, left, "allocation", n);
        fault_store_destroy(disk);
        starved++;
    }
    fprintf(stderr, "    %s: %ld calls, %ld crashes, %ld errors, %ld allocations\n", damage->name,
            calls, crashes, errors, starved);
}

static void a_repair_may_be_cut_short(void) {
    const char *asked = getenv("PQ_TEST_STRIDE");
    const long stride = asked == NULL ? stride_default : strtol(asked, NULL, 10);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) disturb(&damages[i], stride);
}

int main(void) {
    pqdb_db *db;
    sound = fault_store_create();
    rich_db_make(&sound->base);
    struct fault_store *asked = fault_store_crash(sound, FAULT_ALL_KEPT, 0);
    const struct pq_open_with with = rich_db_with(&asked->base);
    pq_bytes_init(&expected, &pq_alloc_libc);
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    must(rich_db_dump(db, &expected, &err), "dump");
    must(pqdb_close(db, &err), "close");
    fault_store_destroy(asked);
    RUN(a_repair_may_be_cut_short);
    pq_bytes_deinit(&expected);
    fault_store_destroy(sound);
    return test_done();
}
