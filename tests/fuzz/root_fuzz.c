/// Any bytes as a checkpoint root, as the list of tables, or as the schema's text with the line of
/// its checksum: refused, or what is read can be written and is read as the same. Mutations
/// would all die at the checksums, so those of the first two are made right first.
#include <string.h>

#include "base/check.h"
#include "base/hash.h"
#include "db/root.h"
#include "db/schema_file.h"
#include "db/shapes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { check_bytes = 8, line_bytes = 17, input_max = 1 << 18, version = 2 };

static struct pq_store *make_store(const char *path, const void *data, size_t size) {
    struct pq_store *store;
    if (pq_store_open_memory(&pq_alloc_libc, &store, NULL) != PQDB_OK) __builtin_trap();
    const struct pq_text text = {data, size};
    if (pq_store_make_directory(store, "_state", NULL) != PQDB_OK ||
        pq_store_write_file(store, path, text, NULL) != PQDB_OK) {
        __builtin_trap();
    }
    return store;
}

static void read_root(uint8_t *bytes, size_t size, struct pq_arena *arena) {
    struct pq_root root, again;
    char path[64];
    if (size < check_bytes) return;
    pq_store_u64(bytes + size - check_bytes, pq_hash(bytes, size - check_bytes));
    pq_root_path(version, path);
    struct pq_store *store = make_store(path, bytes, size);
    if (pq_root_read(store, version, arena, &root, NULL) == PQDB_OK && root.version == version) {
        pq_assert(pq_root_write(store, &root, &pq_alloc_libc, NULL) == PQDB_OK);
        pq_assert(pq_root_read(store, version, arena, &again, NULL) == PQDB_OK);
        pq_assert(again.table_count == root.table_count && again.time_us == root.time_us);
    }
    pq_store_destroy(store);
}

static void read_shapes(uint8_t *bytes, size_t size, struct pq_arena *arena) {
    struct pq_db_shapes shapes;
    char line[line_bytes + 1];
    bool is_exact;
    if (size < line_bytes) return;
    snprintf(line, sizeof line, "%016llx\n",
             (unsigned long long)pq_hash(bytes + line_bytes, size - line_bytes));
    memcpy(bytes, line, line_bytes);
    struct pq_store *store = make_store(PQ_DB_SHAPES_FILE, bytes, size);
    if (pq_db_shapes_read(store, PQ_TEXT("{}"), arena, &shapes, &is_exact, NULL) == PQDB_OK) {
        pq_assert(pq_db_shapes_write(store, NULL, &shapes, &pq_alloc_libc, NULL) == PQDB_OK);
        pq_assert(pq_db_shapes_read(store, PQ_TEXT("{}"), arena, &shapes, &is_exact, NULL) ==
                 PQDB_OK);
        pq_assert(is_exact);
    }
    pq_store_destroy(store);
}

/// Nothing is parsed here: that is schema_fuzz's.
static void read_schema(const uint8_t *bytes, size_t size, struct pq_arena *arena) {
    struct pq_store *store = make_store(PQ_DB_SCHEMA_FILE, bytes, size);
    struct pq_bytes text, again;
    pq_bytes_init(&text, &arena->alloc);
    pq_bytes_init(&again, &arena->alloc);
    if (pq_schema_file_read(store, &text, NULL) == PQDB_OK) {
        pq_assert(text.length <= size);
        pq_assert(pq_schema_file_write(store, pq_bytes_text(&text), NULL) == PQDB_OK);
        pq_assert(pq_schema_file_read(store, &again, NULL) == PQDB_OK);
        pq_assert(pq_text_equal(pq_bytes_text(&text), pq_bytes_text(&again)));
    }
    pq_store_destroy(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pq_arena arena;
    if (size < 2 || size > input_max) return 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    uint8_t *bytes = pq_arena_alloc(&arena, size);
    if (bytes == NULL) __builtin_trap();
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 3 == 0) read_root(bytes, size - 1, &arena);
    if (data[0] % 3 == 1) read_shapes(bytes, size - 1, &arena);
    if (data[0] % 3 == 2) read_schema(bytes, size - 1, &arena);
    pq_arena_deinit(&arena);
    return 0;
}
