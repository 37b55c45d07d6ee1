/// Goal: check names the file and byte of a damage, and what follows from it; a repair brings back
/// what the rest of the database tells, moves the damaged file aside, and leaves exact views; what
/// cannot be brought back is said to be lost.
#include <inttypes.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdlib.h>
#include <string.h>

#include "db/check_internal.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/rich_db.h"
#include "support/test.h"

static pqdb_error err;
static struct pq_store *sound;   // the database as it was made
static struct pq_bytes expected;  // and what it holds

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

/// A copy of all files of a store.
static struct pq_store *copy_of(struct pq_store *from) {
    struct pq_store *to;
    struct pq_arena arena;
    struct rich_files files;
    must(pq_store_open_memory(&pq_alloc_libc, &to, &err), "store");
    pq_arena_init(&arena, &pq_alloc_libc);
    rich_db_files(from, &arena, &files);
    for (size_t i = 0; i < files.count; i++) {
        struct pq_bytes bytes;
        char parent[PQ_STORE_PATH_MAX];
        const char *slash = strrchr(files.paths[i], '/');
        pq_bytes_init(&bytes, &pq_alloc_libc);
        must(pq_store_read_file(from, files.paths[i], 1 << 24, &bytes, &err), "read");
        if (slash != NULL) {
            snprintf(parent, sizeof parent, "%.*s", (int)(slash - files.paths[i]),
                     files.paths[i]);
            must(pq_store_make_directory(to, parent, &err), "directory");
        }
        must(pq_store_write_file(to, files.paths[i], pq_bytes_text(&bytes), &err), "write");
        pq_bytes_deinit(&bytes);
    }
    pq_arena_deinit(&arena);
    return to;
}

/// The first damage, and how many.
struct heard {
    size_t count;
    char file[256], part[16], message[256], remedy[256];
    int64_t offset;
    bool is_lost, is_repaired;
};

static void hear(void *ctx, const pqdb_damage *damage) {
    struct heard *heard = ctx;
    if (heard->count++ > 0) return;
    snprintf(heard->file, sizeof heard->file, "%s", damage->file);
    snprintf(heard->part, sizeof heard->part, "%s", damage->part);
    snprintf(heard->message, sizeof heard->message, "%s", damage->message);
    snprintf(heard->remedy, sizeof heard->remedy, "%s", damage->remedy);
    heard->offset = damage->offset;
    heard->is_lost = damage->is_lost;
    heard->is_repaired = damage->is_repaired;
}

static struct heard look(struct pq_store *store, bool repair, pqdb_checked *checked) {
    struct heard heard = {0};
    const struct pq_open_with with = rich_db_with(store);
    const pqdb_check_options options = {.repair = repair, .on_damage = hear, .ctx = &heard};
    const pqdb_code code = pq_db_check_with(&with, &options, checked, &err);
    CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message);
    return heard;
}

static void check_answers(struct pq_store *store, const char *what) {
    const struct pq_open_with with = rich_db_with(store);
    struct pq_bytes now;
    pqdb_db *db;
    pq_bytes_init(&now, &pq_alloc_libc);
    must(pq_db_open_with(&with, NULL, &db, &err), what);
    must(rich_db_dump(db, &now, &err), what);
    CHECK(strcmp((char *)now.data, (char *)expected.data) == 0, "%s: other rows", what);
    db_world_verify(db, what, 0);
    must(pqdb_close(db, &err), what);
    pq_bytes_deinit(&now);
}

/// The last file whose path begins and ends so, and its size.
static bool find_file(const char *start, const char *end, char path[PQ_STORE_PATH_MAX],
                      uint64_t *bytes) {
    struct pq_arena arena;
    struct rich_files files;
    bool found = false;
    pq_arena_init(&arena, &pq_alloc_libc);
    rich_db_files(sound, &arena, &files);
    for (size_t i = files.count; i-- > 0 && !found;) {
        const size_t length = strlen(files.paths[i]);
        found = strncmp(files.paths[i], start, strlen(start)) == 0 && length >= strlen(end) &&
                strcmp(files.paths[i] + length - strlen(end), end) == 0;
        if (!found) continue;
        snprintf(path, PQ_STORE_PATH_MAX, "%s", files.paths[i]);
        *bytes = files.bytes[i];
    }
    pq_arena_deinit(&arena);
    CHECK(found, "no file %s…%s", start, end);
    return found;
}

static void a_sound_database_is_sound(void) {
    pqdb_checked checked;
    const struct heard heard = look(sound, false, &checked);
    CHECK(heard.count == 0, "%s at %lld: %s", heard.file, (long long)heard.offset, heard.message);
    CHECK(checked.roots == 2 && checked.frames > 5 && checked.segments > 1, "log and roots");
    CHECK(checked.data_files > 8 && checked.pages > 50 && checked.values > 9000, "data files");
    CHECK(checked.side_files >= 2 && checked.runs > 5 && checked.metadata_files > 30, "the rest");
    CHECK(checked.unnamed_files == 0, "%" PRIu64 " files that nothing names",
          checked.unnamed_files);
}

struct damage {
    const char *start, *end;  // of the path
    int at;                   // per cent of the file
    const char *part, *remedy;
    bool is_lost;
};

static void check_damage(const struct damage *damage) {
    char path[PQ_STORE_PATH_MAX], aside[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    pqdb_checked checked;
    if (!find_file(damage->start, damage->end, path, &bytes)) return;
    struct pq_store *store = copy_of(sound);
    CHECK(fault_store_flip(store, path, bytes * (unsigned)damage->at / 100, 0x10), "%s", path);
    struct heard heard = look(store, false, &checked);
    CHECK(heard.count > 0, "%s: the damage is not seen", path);
    CHECK(strcmp(heard.part, damage->part) == 0, "%s is said to be of %s", path, heard.part);
    CHECK(strcmp(heard.file, path) == 0 || strcmp(damage->part, "metadata") == 0, "%s for %s",
          heard.file, path);
    CHECK(strstr(heard.remedy, damage->remedy) != NULL, "%s: %s", path, heard.remedy);
    CHECK(heard.is_lost == damage->is_lost, "%s: lost %d", path, heard.is_lost);
    heard = look(store, true, &checked);
    CHECK(heard.is_repaired && checked.repaired == checked.damages, "%s: not repaired: %s", path,
          heard.message);
    heard = look(store, false, &checked);
    CHECK(heard.count == 0, "%s: after the repair %s: %s", path, heard.file, heard.message);
    snprintf(aside, sizeof aside, "damaged/%.900s", path);
    struct pq_file *file = NULL;
    const bool is_aside = pq_file_open(store, aside, PQ_OPEN_READ, &file, NULL) == PQDB_OK;
    pq_file_close(file);
    CHECK(is_aside || strstr(path, "hint") != NULL, "%s is not there", aside);
    if (!damage->is_lost) check_answers(store, path);
    pq_store_destroy(store);
}

static void each_kind_of_file_is_repaired(void) {
    static const struct damage damages[] = {
        {"_views/Low/data/", ".parquet", 30, "data", "built again from Item", false},
        {"_views/ByKind/data/", ".parquet", 30, "data", "built again from Item", false},
        {"Many/data/", ".ids", 50, "ids", "from its data file", false},
        {"Item/data/", ".links", 30, "links", "from its data file", false},
        {"_state/", "0004.run", 30, "state", "built again from", false},
        {"Item/metadata/", ".metadata.json", 1, "metadata", "published again", false},
        {"Item/metadata/snap-2", ".avro", 60, "metadata", "published again", false},
        {"Item/metadata/version-hint", ".text", 0, "metadata", "follows", false},
        {"log/", ".log", 0, "log", "first frame", false},
        {"_state/tables", ".json", 60, "tables", "was never changed", false},
    };
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) check_damage(&damages[i]);
}

/// With the schema changed, ids and columns are written nowhere else: nothing is guessed.
static void a_list_of_tables_is_not_guessed(void) {
    static const char *const schemas[] = {
        "{ A: { x: 'int', y: 'string' } }",
        "{ A: { y: 'string', x: 'int' } }",  // would give the columns other ids
        "{ A: { x: 'int', y: 'string', z: 'int' } }",
    };
    for (int i = 1; i < 3; i++) {
        struct pq_store *store;
        must(pq_store_open_memory(&pq_alloc_libc, &store, &err), "store");
        const struct pq_open_with with = rich_db_with(store);
        pqdb_checked checked;
        pqdb_db *db;
        must(pq_db_init_with(&with, pq_text_of(schemas[0]), &err), "init");
        must(pq_db_open_with(&with, NULL, &db, &err), "open");
        must(pqdb_create(db, "A", "{\"x\":1,\"y\":\"a\"}", 15, NULL, NULL, &err), "create");
        must(pqdb_checkpoint(db, &err), "checkpoint");
        must(pqdb_schema_apply(db, schemas[i], strlen(schemas[i]), NULL, NULL, &err), "apply");
        must(pqdb_create(db, "A", "{\"x\":2,\"y\":\"b\"}", 15, NULL, NULL, &err), "create");
        must(pqdb_close(db, &err), "close");
        CHECK(fault_store_flip(store, "_state/tables.json", 40, 1), "flip");
        const struct heard heard = look(store, false, &checked);
        CHECK(strcmp(heard.part, "tables") == 0 && strstr(heard.remedy, "copy") != NULL, "%d: %s",
              i, heard.remedy);
        pq_store_destroy(store);
    }
}

static void a_manual_view_is_refreshed_where_its_rows_are_damaged(void) {
    char path[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    pqdb_checked checked;
    pqdb_db *db;
    pqdb_view_state state;
    if (!find_file("_views/Later/data/", ".parquet", path, &bytes)) return;
    struct pq_store *store = copy_of(sound);
    const struct pq_open_with with = rich_db_with(store);
    CHECK(fault_store_flip(store, path, bytes / 3, 0x10), "%s", path);
    const struct heard heard = look(store, true, &checked);
    CHECK(heard.is_repaired, "%s", heard.message);
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    must(pqdb_view_state_get(db, "Later", &state, &err), "state");
    CHECK(strcmp(state.state, "fresh") == 0 && state.rows == 5, "%s, %" PRIu64 " rows",
          state.state, state.rows);
    must(pqdb_close(db, &err), "close");
    pq_store_destroy(store);
}

static void the_root_before_takes_the_place_of_a_damaged_one(void) {
    struct pq_arena arena;
    struct pq_roots roots;
    char path[64];
    pqdb_checked checked;
    pqdb_db *db;
    struct pq_store *store = copy_of(sound);
    const struct pq_open_with with = rich_db_with(store);
    pq_arena_init(&arena, &pq_alloc_libc);
    must(pq_root_list(store, &arena, &roots, &err), "roots");
    pq_root_path(roots.versions[0], path);
    CHECK(fault_store_flip(store, path, 500, 1), "flip");
    CHECK(pq_db_open_with(&with, NULL, &db, &err) == PQDB_CORRUPT, "it opens");
    CHECK(strcmp(err.subject, path) == 0 && strstr(err.message, "checksum") != NULL, "%s: %s",
          err.subject, err.message);
    struct heard heard = look(store, true, &checked);
    CHECK(heard.is_repaired && !heard.is_lost, "%s: %s", heard.file, heard.remedy);
    check_answers(store, "after the root before");
    pq_arena_deinit(&arena);
    pq_store_destroy(store);
}

static void a_view_whose_state_is_damaged_is_built_again_when_it_is_opened(void) {
    char path[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    if (!find_file("_state/", "0004.run", path, &bytes)) return;
    struct pq_store *store = copy_of(sound);
    CHECK(fault_store_flip(store, path, bytes - 20, 0x10), "%s", path);  // its tail
    check_answers(store, "a damaged state");
    pq_store_destroy(store);
}

static void metadata_that_cannot_be_read_is_written_anew_by_a_checkpoint(void) {
    char path[PQ_STORE_PATH_MAX];
    uint64_t bytes;
    pqdb_db *db;
    pqdb_checked checked;
    if (!find_file("C/metadata/", ".metadata.json", path, &bytes)) return;
    struct pq_store *store = copy_of(sound);
    const struct pq_open_with with = rich_db_with(store);
    CHECK(fault_store_flip(store, path, bytes / 2, 1), "%s", path);
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    must(pqdb_create(db, "C", "{\"name\":\"Flo\"}", 14, NULL, NULL, &err), "create");
    must(pqdb_checkpoint(db, &err), "checkpoint");
    must(pqdb_close(db, &err), "close");
    const struct heard heard = look(store, false, &checked);
    CHECK(heard.count == 0 && checked.unnamed_files == 0, "%s: %s", heard.file, heard.message);
    pq_store_destroy(store);
}

static void commits_behind_a_damaged_frame_are_lost_and_no_others(void) {
    struct pq_store *store = copy_of(sound);
    pqdb_checked before, checked;
    char path[PQ_STORE_PATH_MAX];
    look(sound, false, &before);
    struct pq_arena arena;
    struct rich_files files;
    pq_arena_init(&arena, &pq_alloc_libc);
    rich_db_files(store, &arena, &files);
    for (size_t i = 0; i < files.count; i++) {
        if (strncmp(files.paths[i], "log/", 4) == 0) {
            snprintf(path, sizeof path, "%s", files.paths[i]);
        }
    }
    CHECK(fault_store_flip(store, path, 200, 1), "%s", path);
    struct heard heard = look(store, false, &checked);
    CHECK(heard.is_lost && strstr(heard.remedy, "are lost") != NULL, "%s", heard.remedy);
    heard = look(store, true, &checked);
    CHECK(heard.is_repaired, "%s", heard.message);
    heard = look(store, false, &checked);
    CHECK(heard.count == 0 && checked.version < before.version, "%" PRIu64, checked.version);
    pqdb_db *db;
    const struct pq_open_with with = rich_db_with(store);
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    db_world_verify(db, "a cut log", 0);
    must(pqdb_create(db, "C", "{\"name\":\"Flo\"}", 14, NULL, NULL, &err), "create");
    must(pqdb_close(db, &err), "close");
    pq_arena_deinit(&arena);
    pq_store_destroy(store);
}

int main(void) {
    pqdb_db *db;
    must(pq_store_open_memory(&pq_alloc_libc, &sound, &err), "store");
    rich_db_make(sound);
    struct pq_store *asked = copy_of(sound);
    const struct pq_open_with with = rich_db_with(asked);
    pq_bytes_init(&expected, &pq_alloc_libc);
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    must(rich_db_dump(db, &expected, &err), "dump");
    must(pqdb_close(db, &err), "close");
    pq_store_destroy(asked);
    RUN(a_sound_database_is_sound);
    RUN(each_kind_of_file_is_repaired);
    RUN(a_list_of_tables_is_not_guessed);
    RUN(a_manual_view_is_refreshed_where_its_rows_are_damaged);
    RUN(the_root_before_takes_the_place_of_a_damaged_one);
    RUN(a_view_whose_state_is_damaged_is_built_again_when_it_is_opened);
    RUN(metadata_that_cannot_be_read_is_written_anew_by_a_checkpoint);
    RUN(commits_behind_a_damaged_frame_are_lost_and_no_others);
    pq_bytes_deinit(&expected);
    pq_store_destroy(sound);
    return test_done();
}
