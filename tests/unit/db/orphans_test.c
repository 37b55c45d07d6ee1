/// Goal: files of a table that a crash kept from being removed go with the first publish of the
/// next opening, and nothing that a kept snapshot needs, nor what somebody else wrote, goes with
/// them.

#include <parquedb/write.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/db_world.h"
#include "support/test.h"

enum { PUBLISHES = 12, FILES_MAX = 200 };

static const char foreign[] = "Item/metadata/0-of-another-writer.avro";

static pqdb_error err;

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

/// Whole files of the table as they were some time.
struct memory {
    struct pq_arena arena;
    struct pq_text paths[FILES_MAX], contents[FILES_MAX];
    size_t count;
};

static bool is_there(struct pq_store *store, const char *path) {
    struct pq_file *file = NULL;
    const bool is = pq_file_open(store, path, PQ_OPEN_READ, &file, NULL) == PQDB_OK;
    pq_file_close(file);
    return is;
}

static bool is_of_publish(const char *path) {
    const char *ending = strrchr(path, '.');
    return ending != NULL && (strcmp(ending, ".avro") == 0 || strcmp(ending, ".json") == 0 ||
                              strcmp(ending, ".parquet") == 0);
}

static void remember_file(struct pq_store *store, struct memory *memory, const char *path) {
    bool is_known = !is_of_publish(path) || memory->count == FILES_MAX;
    for (size_t k = 0; k < memory->count; k++) {
        is_known = is_known || pq_text_is(memory->paths[k], path);
    }
    if (is_known) return;
    struct pq_bytes content;
    pq_bytes_init(&content, &pq_alloc_libc);
    must(pq_store_read_file(store, path, 1 << 20, &content, &err), "read");
    memory->paths[memory->count] = pq_arena_copy(&memory->arena, pq_text_of(path));
    memory->contents[memory->count++] = pq_arena_copy(&memory->arena, pq_bytes_text(&content));
    pq_bytes_deinit(&content);
}

static void remember(struct pq_store *store, struct memory *memory) {
    static const char *const directories[] = {"Item/metadata", "Item/data"};
    for (size_t d = 0; d < 2; d++) {
        struct pq_store_list list = {0};
        must(pq_store_list(store, directories[d], &memory->arena, &list, &err), "list");
        for (size_t i = 0; i < list.count; i++) {
            char path[PQ_STORE_PATH_MAX];
            snprintf(path, sizeof path, "%s/%.*s", directories[d],
                     PQ_TEXT_ARG(list.entries[i].name));
            remember_file(store, memory, path);
        }
    }
}

/// As if the removals of the last opening had not come about.
static size_t put_back(struct pq_store *store, const struct memory *memory, bool *was_gone) {
    size_t count = 0;
    for (size_t i = 0; i < memory->count; i++) {
        was_gone[i] = !is_there(store, memory->paths[i].data);
        if (!was_gone[i]) continue;
        must(pq_store_write_file(store, memory->paths[i].data, memory->contents[i], &err), "write");
        count++;
    }
    return count;
}

static void put(pqdb_db *db) {
    static const char rows[] = "{\"n\":1}\n{\"n\":2}\n";
    must(pqdb_create(db, "Item", rows, sizeof rows - 1, NULL, NULL, &err), "create");
    must(pqdb_checkpoint(db, &err), "checkpoint");
}

static void leftovers_of_a_publish_go_with_the_next_opening(void) {
    struct pq_store *store;
    pqdb_db *db;
    static struct memory memory;
    static bool was_gone[FILES_MAX];
    pq_arena_init(&memory.arena, &pq_alloc_libc);
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err), "store");
    const struct pq_open_with with = {.store = store, .location = "file:///world",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .no_keeper = true};
    must(pq_db_init_with(&with, PQ_TEXT("{ Item: { n: 'int!' } }"), &err), "init");
    must(pq_db_open_with(&with, NULL, &db, &err), "open");
    for (int i = 0; i < PUBLISHES; i++) {
        put(db);
        remember(store, &memory);
    }
    must(pqdb_close(db, &err), "close");
    const size_t left = put_back(store, &memory, was_gone);
    size_t data = 0;
    for (size_t i = 0; i < memory.count; i++) {
        data += was_gone[i] && strncmp(memory.paths[i].data, "Item/data", 9) == 0;
    }
    CHECK(left > 10 && data > 2, "%zu files are left over, %zu of them data", left, data);
    must(pq_store_write_file(store, foreign, PQ_TEXT("not ours"), &err), "write");
    must(pq_db_open_with(&with, NULL, &db, &err), "reopen");
    put(db);
    must(pqdb_close(db, &err), "close");
    for (size_t i = 0; i < memory.count; i++) {
        if (!was_gone[i]) continue;
        CHECK(!is_there(store, memory.paths[i].data), "%s stays", memory.paths[i].data);
    }
    CHECK(is_there(store, foreign), "what another writer wrote is gone");
    char path[64];
    for (int i = PUBLISHES + 1; i > PUBLISHES - 2; i--) {
        snprintf(path, sizeof path, "Item/metadata/snap-%d.avro", i);
        CHECK(is_there(store, path), "%s of a kept snapshot is gone", path);
    }
    uint64_t rows = 0;
    must(pq_db_open_with(&with, NULL, &db, &err), "reopen");
    put(db);
    must(pqdb_count(db, "Item", NULL, &rows, &err), "count");
    CHECK(rows == 2 * (PUBLISHES + 2), "%llu rows", (unsigned long long)rows);
    must(pqdb_close(db, &err), "close");
    pq_arena_deinit(&memory.arena);
    pq_store_destroy(store);
}

int main(void) {
    RUN(leftovers_of_a_publish_go_with_the_next_opening);
    return test_done();
}
