/// Goal: a file that a later version wrote is refused, and the message names its format and the one
/// that is read here; nothing is changed, and check says the same.
#include <inttypes.h>
#include <parquedb/check.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "db/check_internal.h"
#include "support/rich_db.h"
#include "support/test.h"

static pqdb_error err;
static struct pq_store *store;

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

/// The last file whose path begins and ends so.
static void find_file(const char *start, const char *end, char path[PQ_STORE_PATH_MAX]) {
    struct pq_arena arena;
    struct rich_files files;
    pq_arena_init(&arena, &pq_alloc_libc);
    rich_db_files(store, &arena, &files);
    path[0] = '\0';
    for (size_t i = 0; i < files.count; i++) {
        const size_t length = strlen(files.paths[i]);
        if (strncmp(files.paths[i], start, strlen(start)) == 0 && length >= strlen(end) &&
            strcmp(files.paths[i] + length - strlen(end), end) == 0) {
            snprintf(path, PQ_STORE_PATH_MAX, "%s", files.paths[i]);
        }
    }
    pq_arena_deinit(&arena);
    CHECK(path[0] != '\0', "no file %s…%s", start, end);
}

static void raise_root(struct pq_bytes *file) {
    pq_store_u32(file->data + 8, 2);
    const size_t body = file->length - 8;
    pq_store_u64(file->data + body, pq_hash(file->data, body));
}

static void raise_segment(struct pq_bytes *file) {
    pq_store_u32(file->data + 12, 2);
    pq_store_u64(file->data, pq_hash(file->data + 8, 56));
}

static void raise_tables(struct pq_bytes *file) {
    char check[18];
    char *format = memmem(file->data, file->length, "\"format\":1", 10);
    CHECK(format != NULL, "no format");
    if (format != NULL) format[9] = '2';
    snprintf(check, sizeof check, "%016" PRIx64 "\n", pq_hash(file->data + 17, file->length - 17));
    memcpy(file->data, check, 17);
}

static void raise_run(struct pq_bytes *file) {
    uint8_t *tail = file->data + file->length - 72;
    tail[7] = '3';
    pq_store_u64(tail + 64, pq_hash(tail, 64));
}

static void each_newer_file_is_refused_by_name(void) {
    static const struct {
        const char *start, *end;
        void (*raise)(struct pq_bytes *file);
        const char *format, *read_here;
    } files[] = {
        {"_state/", ".root", raise_root, "format 2", "up to 1"},
        {"log/", ".log", raise_segment, "format 2", "up to 1"},
        {"_state/tables.json", "", raise_tables, "format 2", "up to 1"},
        {"_state/", ".run", raise_run, "format 3", "up to 2"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PQ_STORE_PATH_MAX];
        struct pq_bytes before, after;
        pqdb_db *db;
        pqdb_checked checked;
        const struct pq_open_with with = rich_db_with(store);
        find_file(files[i].start, files[i].end, path);
        pq_bytes_init(&before, &pq_alloc_libc);
        pq_bytes_init(&after, &pq_alloc_libc);
        must(pq_store_read_file(store, path, 1 << 24, &before, &err), "read");
        pq_bytes_append_text(&after, pq_bytes_text(&before), NULL);
        files[i].raise(&after);
        must(pq_store_write_file(store, path, pq_bytes_text(&after), &err), "write");
        CHECK(pq_db_open_with(&with, NULL, &db, &err) == PQDB_UNSUPPORTED, "%s: %s", path,
              err.message);
        CHECK(strstr(err.message, files[i].format) != NULL &&
                  strstr(err.message, files[i].read_here) != NULL &&
                  strstr(err.message, "newer") != NULL,
              "%s: %s", path, err.message);
        CHECK(strcmp(err.subject, path) == 0, "%s for %s", err.subject, path);
        CHECK(pq_db_check_with(&with, NULL, &checked, &err) == PQDB_UNSUPPORTED, "%s: check", path);
        must(pq_store_write_file(store, path, pq_bytes_text(&before), &err), "write");
        pq_bytes_deinit(&before);
        pq_bytes_deinit(&after);
    }
    pqdb_db *db;
    const struct pq_open_with with = rich_db_with(store);
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    must(pqdb_close(db, &err), "close");
}

int main(void) {
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err), "store");
    rich_db_make(store);
    RUN(each_newer_file_is_refused_by_name);
    pq_store_destroy(store);
    return test_done();
}
