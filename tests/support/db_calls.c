#include "support/db_calls.h"

#include <inttypes.h>
#include <string.h>

static _Thread_local pqdb_error err;

struct pq_open_with db_with(struct fault_store *disk) {
    return (struct pq_open_with){.store = &disk->base, .location = "file:///world",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc,
                                 .log_segment_bytes = 1 << 16, .no_keeper = true};
}

pqdb_db *db_open(struct pq_open_with with) {
    pqdb_db *db = NULL;
    MUST(pq_db_open_with(&with, NULL, &db, &err));
    if (db == NULL) exit(test_done());
    return db;
}

pqdb_db *db_make(struct pq_open_with with, const char *schema) {
    MUST(pq_db_init_with(&with, pq_text_of(schema), &err));
    return db_open(with);
}

pqdb_db *db_reopen(pqdb_db *db, struct pq_open_with with) {
    MUST(pqdb_close(db, &err));
    return db_open(with);
}

void db_end(pqdb_db *db, struct fault_store *disk) {
    MUST(pqdb_close(db, &err));
    fault_store_destroy(disk);
}

void db_put(pqdb_db *db, const char *collection, const char *rows) {
    CHECK(pqdb_create(db, collection, rows, strlen(rows), NULL, NULL, &err) == PQDB_OK,
          "%.200s: %s: %s", rows, err.subject, err.message);
}

uint64_t db_count(pqdb_db *db, const char *name, const char *filter) {
    uint64_t rows = UINT64_MAX;
    MUST(pqdb_count(db, name, filter, &rows, &err));
    return rows;
}

struct pq_bytes db_rows(pqdb_db *db, const char *name, const pqdb_find_options *options) {
    struct pq_bytes out;
    pqdb_rows *rows = NULL;
    pq_bytes_init(&out, &pq_alloc_libc);
    MUST(pqdb_find(db, name, options, &rows, &err));
    for (bool has_row = rows != NULL; has_row;) {
        const pqdb_code code = pqdb_rows_next(rows, &has_row, &err);
        CHECK(code == PQDB_OK, "%s: %s: %s", name, err.subject, err.message);
        if (code != PQDB_OK || !has_row) break;
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        MUST(pq_bytes_append(&out, json, length, &err));
        MUST(pq_bytes_append_byte(&out, '\n', &err));
    }
    MUST(pq_bytes_append_byte(&out, '\0', &err));
    pqdb_rows_close(rows);
    return out;
}

void db_check_rows(pqdb_db *db, const char *name, const char *expected) {
    struct pq_bytes rows = db_rows(db, name, NULL);
    CHECK(strcmp((char *)rows.data, expected) == 0, "%s:\n%s---- expected\n%s", name,
          (char *)rows.data, expected);
    pq_bytes_deinit(&rows);
}

void db_verify(pqdb_db *db, const char *view) {
    pqdb_verified verified = {0};
    const pqdb_code code = pqdb_view_verify(db, view, NULL, NULL, &verified, &err);
    CHECK(code == PQDB_OK, "%s: %s", view, err.message);
    CHECK(code != PQDB_OK || verified.differences == 0, "%s: %" PRIu64 " differences", view,
          verified.differences);
}

size_t db_files(struct pq_store *store, const char *directory) {
    struct pq_arena arena;
    struct pq_store_list list = {0};
    pq_arena_init(&arena, &pq_alloc_libc);
    const pqdb_code code = pq_store_list(store, directory, &arena, &list, &err);
    CHECK(code == PQDB_OK || code == PQDB_NOT_FOUND, "%s: %s", directory, err.message);
    pq_arena_deinit(&arena);
    return list.count;
}
