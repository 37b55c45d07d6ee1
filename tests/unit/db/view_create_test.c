/// Goal: views are made and dropped while writers go on: nothing missed, nothing twice; what was
/// wrong leaves nothing behind; both survive reopening.
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "support/db_calls.h"
#include "support/temp.h"

static const char schema[] =
    "{\n"
    "  Item: { kind: 'string!', n: 'int!' },\n"
    "  Feed: { $ingest: 'custom:feed', n: 'int!' },\n"
    "  // kept\n"
    "  Small: { $from: 'Item', $filter: { n: { $lt: 50 } } },\n"
    "}\n";

static pqdb_error err;

static void put(pqdb_db *db, const char *into, unsigned first, unsigned count) {
    char text[8192];
    size_t length = 0;
    for (unsigned i = first; i < first + count; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   strcmp(into, "Feed") == 0 ? "{\"n\":%u}\n"
                                                             : "{\"n\":%u,\"kind\":\"k%u\"}\n",
                                   i % 100, i % 7);
    }
    MUST(pqdb_create(db, into, text, length, NULL, NULL, &err));
}

static void create(pqdb_db *db, const char *name, const char *definition) {
    MUST(pqdb_view_create(db, name, definition, NULL, NULL, &err));
}

static const char by_kind[] = "{ $from: 'Item', $groupBy: ['kind'],\n"
                              "  $compute: { rows: { $count: '*' }, most: { $max: 'n' } } }";

static void a_view_is_made_from_what_is_there_and_goes_on(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, "Item", 0, 100);
    create(db, "ByKind", by_kind);
    create(db, "OfSmall", "{ $from: 'Small', $groupBy: ['kind'], $compute: { n: { $sum: 'n' } } }");
    create(db, "Above", "{ $from: 'ByKind', $filter: { rows: { $gt: 1 } } }");
    create(db, "Later", "{ $from: 'Above', $refresh: { mode: 'manual' } }");
    CHECK(db_count(db, "ByKind", NULL) == 7 && db_count(db, "Above", NULL) == 7 &&
              db_count(db, "Later", NULL) == 0, "rows");
    put(db, "Item", 100, 33);
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
    for (int round = 0; round < 4; round++) {
        static const char *const views[] = {"Small", "ByKind", "OfSmall", "Above", "Later"};
        for (size_t i = 0; i < 5; i++) db_verify(db, views[i]);
        CHECK(pqdb_view_count(db) == 5 && pqdb_entry_count(db) == 7, "entries");
        if (round == 1) MUST(pqdb_checkpoint(db, &err));
        db = db_reopen(db, db_with(disk));
        put(db, "Item", 200, 5);
        MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
    }
    CHECK(strstr(pqdb_schema_text(db, NULL), "// kept") != NULL, "%s", pqdb_schema_text(db, NULL));
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

struct problems {
    int count;
    char first[200];
};

static void note(void *ctx, const pqdb_problem *problem) {
    struct problems *problems = ctx;
    if (problems->count++ > 0) return;
    snprintf(problems->first, sizeof problems->first, "%s %s %zu:%zu", problem->code,
             problem->path, problem->line, problem->column);
}

static void mistakes_are_told_from_the_definitions_first_line(void) {
    static const struct {
        const char *name, *definition;
        pqdb_code code;
        const char *problem;
    } cases[] = {
        {"V", "{ $from: 'Nothing' }", PQDB_INVALID, "UNKNOWN_SOURCE V.$from 1:10"},
        {"V", "{\n $from: 'Item',\n $fliter: {} }", PQDB_INVALID,
         "UNKNOWN_DIRECTIVE V.$fliter 3:2"},
        {"V", "{ $from: 'V' }", PQDB_INVALID, "CIRCULAR_DEPENDENCY V.$from 1:10"},
        {"V", "{ x: 'int' }", PQDB_INVALID, "MISSING_FROM V 1:1"},
        {"V", "{ $from: 'Item' }, W: { $from: 'Item' }", PQDB_INVALID, ""},
        {"V", "", PQDB_INVALID, ""},
        {"small", "{ $from: 'Item' }", PQDB_INVALID, "DUPLICATE_NAME small 1:1"},
        {"a/b", "{ $from: 'Item' }", PQDB_INVALID, "INVALID_NAME a/b 1:1"},
        {"Small", "{ $from: 'Item' }", PQDB_CONFLICT, ""},
        {"Item", "{ $from: 'Item' }", PQDB_CONFLICT, ""},
    };
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct problems problems = {0};
        const pqdb_code code = pqdb_view_create(db, cases[i].name, cases[i].definition, note,
                                                &problems, &err);
        CHECK(code == cases[i].code, "%s: %d: %s", cases[i].definition, code, err.message);
        CHECK(strcmp(problems.first, cases[i].problem) == 0, "%s: %s", cases[i].definition,
              problems.first);
    }
    CHECK(strcmp(pqdb_schema_text(db, NULL), schema) == 0, "%s", pqdb_schema_text(db, NULL));
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

static void a_dropped_view_leaves_no_file(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), schema);
    put(db, "Item", 0, 100);
    create(db, "Above", "{ $from: 'Small', $groupBy: ['kind'], $compute: { n: { $sum: 'n' } } }");
    MUST(pqdb_checkpoint(db, &err));
    CHECK(db_files(&disk->base, "_views/Small/data") > 0, "a file");
    CHECK(pqdb_view_drop(db, "Small", false, &err) == PQDB_CONFLICT, "%s", err.message);
    CHECK(strstr(err.message, "Above") != NULL, "%s", err.message);
    CHECK(pqdb_view_drop(db, "Item", false, &err) == PQDB_INVALID, "%s", err.message);
    CHECK(pqdb_view_drop(db, "None", false, &err) == PQDB_NOT_FOUND, "%s", err.message);
    pqdb_rows *rows = NULL;  // a reader goes on
    MUST(pqdb_find(db, "Small", NULL, &rows, &err));
    MUST(pqdb_view_drop(db, "Small", true, &err));
    size_t seen = 0;
    for (bool has_row = true; has_row;) {
        MUST(pqdb_rows_next(rows, &has_row, &err));
        seen += has_row;
    }
    CHECK(seen == 50, "%zu rows", seen);
    pqdb_rows_close(rows);
    CHECK(pqdb_count(db, "Small", NULL, &(uint64_t){0}, &err) == PQDB_NOT_FOUND, "it is gone");
    CHECK(strstr(pqdb_schema_text(db, NULL), "Small") == NULL, "%s", pqdb_schema_text(db, NULL));
    put(db, "Item", 100, 10);
    MUST(pqdb_checkpoint(db, &err));
    for (int round = 0; round < 2; round++) {
        CHECK(pqdb_view_count(db) == 0 && pqdb_entry_count(db) == 2, "entries");
        CHECK(db_files(&disk->base, "_views/Small/data") == 0 &&
                  db_files(&disk->base, "_views/Small/metadata") == 0 &&
                  db_files(&disk->base, "_views/Above/metadata") == 0, "files are left");
        db = db_reopen(db, db_with(disk));
    }
    create(db, "Small", "{ $from: 'Item', $groupBy: ['kind'] }");
    CHECK(db_count(db, "Small", NULL) == 7, "made anew");
    db_verify(db, "Small");
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

// ---- with writers -----------------------------------------------------------------------------

enum { rows_max = 5000 };

struct writers {
    pqdb_db *db;
    atomic_bool stop;
    atomic_uint at;
};

static void *write_rows(void *ctx) {
    struct writers *writers = ctx;
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!writers->stop) {
        // What there is to verify must not grow without end: later writes change rows.
        if (writers->at < rows_max) {
            put(writers->db, "Item", atomic_fetch_add(&writers->at, 50), 50);
        } else {
            static const pqdb_edit up = {"{ n: 7, kind: 'k0' }", "{ $inc: { n: 1 } }"};
            static const pqdb_edit down = {"{ n: 8, kind: 'k0' }", "{ $inc: { n: -1 } }"};
            CHECK(pqdb_update(writers->db, "Item", &up, NULL, NULL, NULL) == PQDB_OK, "up");
            CHECK(pqdb_update(writers->db, "Item", &down, NULL, NULL, NULL) == PQDB_OK, "down");
        }
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void *read_rows(void *ctx) {
    struct writers *writers = ctx;
    while (!writers->stop) {
        static const char *const names[] = {"New", "ByKind", "Small", "Manual"};
        for (size_t i = 0; i < 4; i++) {
            uint64_t rows;
            pqdb_error why;
            pqdb_view_state state;
            const pqdb_code code = pqdb_count(writers->db, names[i], NULL, &rows, &why);
            CHECK(code == PQDB_OK || code == PQDB_NOT_FOUND ||
                      (code == PQDB_INVALID && strstr(why.message, "being built") != NULL),
                  "%s", why.message);
            pqdb_view_state_get(writers->db, names[i], &state, &why);
        }
    }
    return NULL;
}

static void views_come_and_go_beside_writers_and_readers(void) {
    const struct temp_directory place = temp_directory_make();
    const pqdb_options options = {.checkpoint_ms = 20};
    MUST(pqdb_init(place.path, schema, sizeof schema - 1, NULL, NULL, &err));
    struct writers writers = {0};
    MUST(pqdb_open(place.path, &options, &writers.db, &err));
    pqdb_db *db = writers.db;
    put(db, "Item", 0, 100);
    create(db, "ByKind", by_kind);
    create(db, "Manual", "{ $from: 'ByKind', $refresh: { mode: 'manual' } }");
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, write_rows, &writers);
    pthread_create(&threads[1], NULL, write_rows, &writers);
    pthread_create(&threads[2], NULL, read_rows, &writers);
    for (int round = 0; round < 6; round++) {
        create(db, "New", round % 2 == 0 ? by_kind : "{ $from: 'Small', $select: { n: '$n' } }");
        create(db, "Top", "{ $from: 'New', $compute: { rows: { $count: '*' } } }");
        db_verify(db, "New");
        db_verify(db, "Top");
        MUST(pqdb_view_refresh(db, "ByKind", true, NULL, &err));
        MUST(pqdb_view_refresh(db, "New", true, NULL, &err));
        MUST(pqdb_view_refresh(db, "Manual", round % 3 == 0, NULL, &err));
        db_verify(db, "ByKind");
        db_verify(db, "Top");
        MUST(pqdb_view_drop(db, "New", true, &err));
    }
    writers.stop = true;
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    db_verify(db, "ByKind");
    MUST(pqdb_close(db, &err));
    MUST(pqdb_open(place.path, &options, &db, &err));
    CHECK(db_count(db, "Item", NULL) == writers.at + 100, "%u rows", writers.at);
    db_verify(db, "ByKind");
    db_verify(db, "Small");
    pqdb_close(db, NULL);
    temp_directory_remove(&place);
}

int main(void) {
    RUN(a_view_is_made_from_what_is_there_and_goes_on);
    RUN(mistakes_are_told_from_the_definitions_first_line);
    RUN(a_dropped_view_leaves_no_file);
    RUN(views_come_and_go_beside_writers_and_readers);
    return test_done();
}
