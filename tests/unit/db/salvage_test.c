/// Goal: of a damaged data file whose rows nothing else has, a repair saves every row that can be
/// read, says which are lost before it does anything, and leaves exact views over those that are
/// left; also where the log goes on to change what is lost.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdlib.h>
#include <string.h>

#include "db/check_internal.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/rich_db.h"
#include "support/test.h"

enum { places = 12, many_rows = 4200 };

static pqdb_error err;
static struct fault_store *sound;  // a rich database

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

/// What was said of the first damage of data.
struct heard {
    char remedy[512];
    bool is_lost, is_repaired;
};

static void hear(void *ctx, const pqdb_damage *damage) {
    struct heard *heard = ctx;
    if (strcmp(damage->part, "data") != 0 || heard->remedy[0] != '\0') return;
    snprintf(heard->remedy, sizeof heard->remedy, "%s", damage->remedy);
    heard->is_lost = damage->is_lost;
    heard->is_repaired = damage->is_repaired;
}

static struct heard look(struct pq_store *store, bool repair, pqdb_checked *checked) {
    struct heard heard = {0};
    const struct pq_open_with with = rich_db_with(store);
    const pqdb_check_options options = {.repair = repair, .on_damage = hear, .ctx = &heard};
    must(pq_db_check_with(&with, &options, checked, &err), "check");
    return heard;
}

/// With segments of a log so short that what no root needs of it goes soon.
static pqdb_db *open_on(struct pq_store *store) {
    struct pq_open_with with = rich_db_with(store);
    with.log_segment_bytes = 4096;
    pqdb_db *db = NULL;
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    return db;
}

static pqdb_db *make_on(struct pq_store *store, const char *schema) {
    const struct pq_open_with with = rich_db_with(store);
    must(pq_db_init_with(&with, pq_text_of(schema), &err), "init");
    return open_on(store);
}

/// The largest data file of a table.
static void find_file(struct pq_store *store, const char *directory,
                      char path[PQ_STORE_PATH_MAX], uint64_t *bytes) {
    struct pq_arena arena;
    struct pq_store_list list;
    pq_arena_init(&arena, &pq_alloc_libc);
    must(pq_store_list(store, directory, &arena, &list, &err), "list");
    *bytes = 0;
    for (size_t i = 0; i < list.count; i++) {
        const struct pq_text name = list.entries[i].name;
        if (strcmp(name.data + name.length - 8, ".parquet") != 0) continue;
        if (strstr(name.data, "deletes") != NULL || list.entries[i].bytes < *bytes) continue;
        snprintf(path, PQ_STORE_PATH_MAX, "%s/%s", directory, name.data);
        *bytes = list.entries[i].bytes;
    }
    pq_arena_deinit(&arena);
    CHECK(*bytes > 0, "no file in %s", directory);
}

static uint64_t count(pqdb_db *db, const char *name, const char *filter) {
    uint64_t rows = UINT64_MAX;
    must(pqdb_count(db, name, filter, &rows, &err), name);
    return rows;
}

/// "A of B rows are saved; lost are C with $id behind 'm…' and before 'm…'" and the like.
struct told {
    uint64_t saved, rows;
    char behind[32], before[32];
};

static struct told read_remedy(const char *remedy) {
    struct told told = {0};
    const char *at = strstr(remedy, " of ");
    told.saved = strtoull(remedy, NULL, 10);
    told.rows = at == NULL ? 0 : strtoull(at + 4, NULL, 10);
    at = strstr(remedy, "behind '");
    if (at != NULL) snprintf(told.behind, sizeof told.behind, "%.6s", at + 8);
    at = strstr(remedy, "before '");
    if (at != NULL) snprintf(told.before, sizeof told.before, "%.6s", at + 8);
    return told;
}

/// The file is damaged there. Returns the rows that were lost.
static uint64_t damage_many(uint64_t place) {
    char path[PQ_STORE_PATH_MAX], filter[128];
    uint64_t bytes;
    pqdb_checked checked;
    struct fault_store *disk = fault_store_crash(sound, FAULT_ALL_KEPT, 0);
    find_file(&disk->base, "Many/data", path, &bytes);
    CHECK(fault_store_flip(&disk->base, path, bytes * place / places + 7, 0x20), "flip");
    struct heard heard = look(&disk->base, false, &checked);
    CHECK(checked.damages > 0, "place %d: unseen", (int)place);
    const struct told told = read_remedy(heard.remedy);
    if (told.rows == 0) {  // of no row, or of all
        fault_store_destroy(disk);
        return heard.is_lost ? many_rows : 0;
    }
    CHECK(told.rows == many_rows && told.saved < many_rows && heard.is_lost, "%s", heard.remedy);
    heard = look(&disk->base, true, &checked);
    CHECK(heard.is_repaired && checked.repaired == checked.damages, "place %d: not repaired",
          (int)place);
    heard = look(&disk->base, false, &checked);
    CHECK(checked.damages == 0 && checked.unnamed_files == 0, "place %d: left: %s", (int)place,
          heard.remedy);
    pqdb_db *db = open_on(&disk->base);
    CHECK(count(db, "Many", NULL) == told.saved, "%" PRIu64 " rows, %" PRIu64 " told",
          count(db, "Many", NULL), told.saved);
    const char *end = told.before[0] == '\0' ? "n" : told.before;
    snprintf(filter, sizeof filter, "{ $id: { $gt: '%s', $lt: '%s' } }", told.behind, end);
    CHECK(count(db, "Many", filter) == 0, "some of %s are there", filter);
    db_world_verify(db, "salvaged", (long)place);
    must(pqdb_create(db, "Many", "{\"$id\":\"m00001x\",\"x\":1}", 22, NULL, NULL, &err), "create");
    db_world_verify(db, "and written to", (long)place);
    must(pqdb_close(db, &err), "close");
    fault_store_destroy(disk);
    return told.rows - told.saved;
}

static void rows_that_can_be_read_are_saved_and_the_others_are_named(void) {
    uint64_t some = 0, least = many_rows;
    for (uint64_t place = 0; place < places; place++) {
        const uint64_t lost = damage_many(place);
        some += lost > 0 && lost < many_rows;
        if (lost > 0 && lost < least) least = lost;
    }
    CHECK(some > places / 4 && least <= 2048, "%d places, %d rows", (int)some, (int)least);
    fprintf(stderr, "    %d of %d places lost some rows, at least %d\n", (int)some, places,
            (int)least);
}

/// Behind the last checkpoint rows are updated and deleted, some of them lost by now.
static void what_the_log_goes_on_to_say_of_lost_rows_is_forgiven(void) {
    char path[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    int repaired = 0;
    for (uint64_t place = 0; place < places; place++) {
        pqdb_checked checked;
        struct fault_store *disk = fault_store_crash(sound, FAULT_ALL_KEPT, 0);
        find_file(&disk->base, "Item/data", path, &bytes);
        CHECK(fault_store_flip(&disk->base, path, bytes * place / places + 3, 0x11), "flip");
        struct heard heard = look(&disk->base, true, &checked);
        if (strstr(heard.remedy, "saved") != NULL || strstr(heard.remedy, "new file") != NULL) {
            CHECK(heard.is_repaired, "%s", heard.remedy);
            pqdb_db *db = open_on(&disk->base);
            db_world_verify(db, "salvaged", (long)place);
            CHECK(count(db, "Item", "{ $id: 'i0105' }") == 1, "a row of the log is gone");
            must(pqdb_close(db, &err), "close");
            look(&disk->base, false, &checked);
            CHECK(checked.damages == 0, "place %d: damage is left", (int)place);
            repaired++;
        }
        fault_store_destroy(disk);
    }
    CHECK(repaired > 0, "nothing was saved");
    fprintf(stderr, "    %d of %d places\n", repaired, places);
}

/// What it has appended does not follow from its source: it is saved, not made again.
static void a_manual_view_that_appends_keeps_what_can_be_read(void) {
    static const char schema[] =
        "{ T: { n: 'int!' },\n"
        "  Kept: { $from: 'T', $select: { n: '$n' },\n"
        "          $refresh: { mode: 'manual', strategy: 'append' } } }";
    struct fault_store *disk = fault_store_create();
    char path[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    pqdb_checked checked;
    pqdb_db *db = make_on(&disk->base, schema);
    struct pq_bytes rows;
    pq_bytes_init(&rows, &pq_alloc_libc);
    for (int i = 0; i < 6000; i++) {
        pq_bytes_printf(&rows, NULL, "{\"$id\":\"t%04d\",\"n\":%d}\n", i, i * 7919 % 6007);
    }
    must(pqdb_create(db, "T", (char *)rows.data, rows.length, NULL, NULL, &err), "create");
    must(pqdb_view_refresh(db, "Kept", false, NULL, &err), "refresh");
    must(pqdb_delete(db, "T", "{ n: { $gt: 10 } }", NULL, NULL, &err), "delete");
    must(pqdb_checkpoint(db, &err), "checkpoint");
    must(pqdb_close(db, &err), "close");
    find_file(&disk->base, "_views/Kept/data", path, &bytes);
    CHECK(fault_store_flip(&disk->base, path, bytes / 3, 0x20), "flip");
    const struct heard heard = look(&disk->base, true, &checked);
    const struct told told = read_remedy(heard.remedy);
    CHECK(heard.is_repaired && told.rows == 6000 && told.saved > 1000, "%s", heard.remedy);
    db = open_on(&disk->base);
    CHECK(count(db, "Kept", NULL) == told.saved, "%" PRIu64 " rows", count(db, "Kept", NULL));
    must(pqdb_view_refresh(db, "Kept", false, NULL, &err), "refresh");
    CHECK(count(db, "Kept", NULL) == told.saved, "it appended twice");
    must(pqdb_close(db, &err), "close");
    look(&disk->base, false, &checked);
    CHECK(checked.damages == 0, "damage is left");
    pq_bytes_deinit(&rows);
    fault_store_destroy(disk);
}

// ---- versions before --------------------------------------------------------------------------

/// How many rows there were as of a version; -1: that is refused, with a reason.
static long count_as_of(pqdb_db *db, const char *name, uint64_t version) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, version);
    const pqdb_find_options options = {.as_of = text};
    pqdb_rows *rows;
    const pqdb_code code = pqdb_find(db, name, &options, &rows, &err);
    if (code == PQDB_NOT_FOUND && strstr(err.message, "a repair lost rows of T") != NULL) return -1;
    must(code, name);
    bool has_row = true;
    long count = -1;
    for (; has_row; count++) must(pqdb_rows_next(rows, &has_row, &err), "next");
    pqdb_rows_close(rows);
    return count;
}

static void put_rows(pqdb_db *db, const char *name, int first, int count) {
    struct pq_bytes rows;
    pq_bytes_init(&rows, &pq_alloc_libc);
    for (int i = first; i < first + count; i++) {
        pq_bytes_printf(&rows, NULL, "{\"$id\":\"t%04d\",\"n\":%d}\n", i, i * 7919 % 6007);
    }
    must(pqdb_create(db, name, (char *)rows.data, rows.length, NULL, NULL, &err), "create");
    pq_bytes_deinit(&rows);
}

static uint64_t newest(pqdb_db *db) {
    pqdb_status status;
    must(pqdb_status_get(db, &status, &err), "status");
    return status.version;
}

/// `name`: what the check is asked to look at; behind the last checkpoint there is a commit more.
static void check_versions_before(const char *name) {
    static const char schema[] = "{ T: { n: 'int!' }, Other: { n: 'int!', t: '-> T' },\n"
                                 "  Alone: { n: 'int!' },\n"
                                 "  K: { $from: 'Alone', $refresh: { mode: 'manual', strategy: "
                                 "'append' } },\n"
                                 "  V: { $from: 'T', $compute: { rows: { $count: '*' } } } }";
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = rich_db_with(&disk->base);
    char path[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    pqdb_checked checked;
    pqdb_db *db = make_on(&disk->base, schema);
    put_rows(db, "T", 0, 6000);
    put_rows(db, "Other", 0, 10);
    put_rows(db, "Alone", 0, 10);
    must(pqdb_checkpoint(db, &err), "checkpoint");
    put_rows(db, "Other", 10, 1);
    must(pqdb_checkpoint(db, &err), "checkpoint");  // which names the same files of T
    const uint64_t before = newest(db);
    put_rows(db, "T", 6000, 1);
    put_rows(db, "Alone", 10, 1);
    const uint64_t found = newest(db);
    must(pqdb_close(db, &err), "close");
    find_file(&disk->base, "T/data", path, &bytes);
    CHECK(fault_store_flip(&disk->base, path, bytes / 3, 0x20), "flip");
    const pqdb_check_options options = {.repair = true, .name = name};
    must(pq_db_check_with(&with, &options, &checked, &err), "repair");
    db = open_on(&disk->base);
    const long left = (long)count(db, "T", NULL);
    CHECK(checked.repaired > 0 && left > 1000 && left < 6001, "%ld rows", left);
    for (uint64_t version = before; version < found; version++) {
        CHECK(count_as_of(db, "T", version) == -1, "T lacks rows, and nothing is said");
        CHECK(count_as_of(db, "V", version) == -1, "V lacks rows, and nothing is said");
        CHECK(count_as_of(db, "Other", version) == -1, "its links may lead to what is lost");
        CHECK(count_as_of(db, "Alone", version) == 10, "%s", err.message);
    }
    const uint64_t repaired = newest(db);
    put_rows(db, "T", 7000, 3);
    CHECK(count_as_of(db, "T", repaired) == left, "%s", err.message);
    CHECK(count_as_of(db, "V", repaired) == 1 && count_as_of(db, "Other", repaired) == 11, "%s",
          err.message);
    must(pqdb_checkpoint(db, &err), "checkpoint");
    must(pqdb_close(db, &err), "close");
    db = open_on(&disk->base);
    CHECK(count_as_of(db, "T", before) == -1, "forgotten by the next opening");
    CHECK(count_as_of(db, "T", repaired) == left, "%s", err.message);
    must(pqdb_close(db, &err), "close");
    CHECK(fault_store_flip(&disk->base, "_state/tables.json", 40, 1), "flip");
    look(&disk->base, true, &checked);
    CHECK(checked.damages == 1 && checked.repaired == 1, "the list of tables is not repaired");
    db = open_on(&disk->base);
    CHECK(count_as_of(db, "T", before) == -1, "forgotten with the list of tables");
    CHECK(count_as_of(db, "Alone", before) == 10, "%s", err.message);
    must(pqdb_close(db, &err), "close");
    fault_store_destroy(disk);
}

static void versions_before_the_loss_are_refused_those_since_are_not(void) {
    check_versions_before(NULL);
    check_versions_before("T");
}

// ---- beside a writer ----------------------------------------------------------------------------

struct away {
    char path[PQ_STORE_PATH_MAX];
    bool saw_log, is_back;
};

/// The file is there again when the check looks for the second time.
static void put_back(void *ctx, struct fault_store *disk, const char *path) {
    struct away *away = ctx;
    away->saw_log = away->saw_log || strncmp(path, "log/", 4) == 0;
    if (!away->saw_log || away->is_back || strstr(path, ".root") == NULL) return;
    away->is_back = true;
    must(pq_store_rename(&disk->base, "away", away->path, &err), "rename");
}

static void a_file_that_goes_while_it_is_looked_for_is_no_damage(void) {
    uint64_t bytes;
    pqdb_checked checked;
    struct fault_store *disk = fault_store_crash(sound, FAULT_ALL_KEPT, 0);
    struct away away = {0};
    find_file(&disk->base, "_views/ByKind/data", away.path, &bytes);
    must(pq_store_rename(&disk->base, away.path, "away", &err), "rename");
    disk->on_call = put_back;
    disk->on_call_ctx = &away;
    disk->counts_reads = true;
    look(&disk->base, false, &checked);
    CHECK(away.is_back && checked.damages == 0, "%" PRIu64 " damages", checked.damages);
    fault_store_destroy(disk);
}

// ---- what the log still has ---------------------------------------------------------------------

/// T's newest file is damaged, or gone. Returns what the check says, mended, of the most rows.
static struct heard lose_file(struct pq_store *store, bool is_gone, const char *name) {
    char path[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    pqdb_checked checked;
    struct heard heard = {0};
    const struct pq_open_with with = rich_db_with(store);
    const pqdb_check_options options = {.repair = true, .name = name, .on_damage = hear,
                                        .ctx = &heard};
    find_file(store, "T/data", path, &bytes);
    if (is_gone) must(pq_store_unlink(store, path, &err), "unlink");
    if (!is_gone) CHECK(fault_store_flip(store, path, bytes / 3, 0x20), "flip");
    must(pq_db_check_with(&with, &options, &checked, &err), "repair");
    CHECK(checked.damages > 0, "unseen");
    CHECK(checked.repaired == checked.damages || heard.is_lost, "%s", heard.remedy);
    return heard;
}

static void check_rows(struct pq_store *store, uint64_t rows, uint64_t version) {
    pqdb_verified verified = {0};
    const struct heard heard = look(store, false, &(pqdb_checked){0});
    CHECK(heard.remedy[0] == '\0', "left: %s", heard.remedy);
    pqdb_db *db = open_on(store);
    CHECK(count(db, "T", NULL) == rows, "%" PRIu64 " rows of %" PRIu64, count(db, "T", NULL), rows);
    CHECK(newest(db) >= version, "seq-%" PRIu64, newest(db));
    CHECK(count_as_of(db, "T", version) == (long)rows, "%s", err.message);
    put_rows(db, "T", 9000, 1);
    must(pqdb_view_verify(db, "V", NULL, NULL, &verified, &err), "verify");
    CHECK(verified.differences == 0 && verified.rows_stored == 1, "V is not exact");
    must(pqdb_close(db, &err), "close");
}

static void what_the_log_has_from_the_first_commit_on_is_not_lost(void) {
    static const char schema[] = "{ T: { n: 'int!' },\n"
                                 "  V: { $from: 'T', $compute: { rows: { $count: '*' } } } }";
    for (int turn = 0; turn < 4; turn++) {
        struct fault_store *disk = fault_store_create();
        pqdb_db *db = make_on(&disk->base, schema);
        put_rows(db, "T", 0, 100);
        must(pqdb_checkpoint(db, &err), "checkpoint");
        put_rows(db, "T", 100, 20);
        must(pqdb_close(db, &err), "close");
        const struct heard heard = lose_file(&disk->base, turn % 2 == 1, turn < 2 ? NULL : "T");
        CHECK(!heard.is_lost && strstr(heard.remedy, "the first commit") != NULL, "%s",
              heard.remedy);
        check_rows(&disk->base, 120, 2);
        fault_store_destroy(disk);
    }
}

/// The log begins behind the first commits; the root before the newest names the damaged file, or
/// does not.
static void what_the_newest_checkpoint_wrote_is_not_lost(void) {
    static const char schema[] = "{ T: { n: 'int!' }, Other: { n: 'int!' },\n"
                                 "  K: { $from: 'T', $refresh: { mode: 'manual', strategy: "
                                 "'append' } },\n"
                                 "  V: { $from: 'T', $compute: { rows: { $count: '*' } } } }";
    for (int is_named = 0; is_named < 2; is_named++) {
        struct fault_store *disk = fault_store_create();
        pqdb_db *db = make_on(&disk->base, schema);
        put_rows(db, "T", 0, 1000);
        must(pqdb_checkpoint(db, &err), "checkpoint");
        put_rows(db, "T", 1000, 1000);
        must(pqdb_view_refresh(db, "K", false, NULL, &err), "refresh");
        must(pqdb_checkpoint(db, &err), "checkpoint");
        put_rows(db, "T", 2000, 3000);
        must(pqdb_checkpoint(db, &err), "checkpoint");
        if (is_named) put_rows(db, "Other", 0, 1);
        if (is_named) must(pqdb_checkpoint(db, &err), "checkpoint");
        const uint64_t version = newest(db), rows = count(db, "T", NULL);
        must(pqdb_close(db, &err), "close");
        const struct heard heard = lose_file(&disk->base, false, NULL);
        const bool steps_back = strstr(heard.remedy, "the root before") != NULL;
        CHECK(steps_back == !is_named && heard.is_lost == is_named, "%s", heard.remedy);
        if (steps_back) check_rows(&disk->base, rows, version);
        fault_store_destroy(disk);
    }
}

int main(void) {
    sound = fault_store_create();
    rich_db_make(&sound->base);
    RUN(rows_that_can_be_read_are_saved_and_the_others_are_named);
    RUN(what_the_log_goes_on_to_say_of_lost_rows_is_forgiven);
    RUN(a_manual_view_that_appends_keeps_what_can_be_read);
    RUN(versions_before_the_loss_are_refused_those_since_are_not);
    RUN(a_file_that_goes_while_it_is_looked_for_is_no_damage);
    RUN(what_the_log_has_from_the_first_commit_on_is_not_lost);
    RUN(what_the_newest_checkpoint_wrote_is_not_lost);
    fault_store_destroy(sound);
    return test_done();
}
