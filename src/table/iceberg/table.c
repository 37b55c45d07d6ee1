#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "codec/codec.h"
#include "table/iceberg/iceberg_internal.h"
#include "table/iceberg/schema_json.h"
#include "table/iceberg/seal.h"

enum { FILE_BYTES_MAX = 1 << 30, HINT_BYTES_MAX = 64 };

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "no memory for a table's metadata");
}

pqdb_code pq_iceberg_path(const struct pq_iceberg *table, struct pq_text name,
                          char path[PQ_ICEBERG_PATH_BYTES], pqdb_error *err) {
    const bool is_absolute = name.length > 0 && name.data[0] == '/';
    const int length =
        is_absolute ? snprintf(path, PQ_ICEBERG_PATH_BYTES, "%.*s", PQ_TEXT_ARG(name))
                    : snprintf(path, PQ_ICEBERG_PATH_BYTES, "%.*s/%.*s",
                               PQ_TEXT_ARG(table->directory), PQ_TEXT_ARG(name));
    if (length > 0 && length < PQ_ICEBERG_PATH_BYTES) return PQDB_OK;
    return pq_fail(err, PQDB_LIMIT, "path of a table's file is longer than %d bytes",
                   PQ_STORE_PATH_MAX);
}

/// A path as metadata of others may have it: "file:///a/b".
static struct pq_text local_path(struct pq_text name) {
    if (!pq_text_starts_with(name, PQ_TEXT("file:/"))) return name;
    size_t start = 5;
    while (start + 1 < name.length && name.data[start + 1] == '/') start++;
    return (struct pq_text){name.data + start, name.length - start};
}

pqdb_code pq_iceberg_read_file(const struct pq_iceberg *table, struct pq_text name,
                               struct pq_arena *arena, struct pq_text *bytes, pqdb_error *err) {
    char path[PQ_ICEBERG_PATH_BYTES];
    PQ_TRY(pq_iceberg_path(table, local_path(name), path, err));
    struct pq_bytes read;
    pq_bytes_init(&read, &arena->alloc);
    PQ_TRY(pq_store_read_file(table->store, path, FILE_BYTES_MAX, &read, err));
    *bytes = pq_bytes_text(&read);
    if (pq_seal_look(*bytes) == PQ_SEAL_BROKEN) {
        return pq_store_fail_at(err, PQDB_CORRUPT, path, 0, "its checksum is wrong");
    }
    return PQDB_OK;
}

/// A file that is damaged is named.
static pqdb_code blame(const struct pq_iceberg *table, struct pq_text name, pqdb_code code,
                       pqdb_error *err) {
    char path[PQ_ICEBERG_PATH_BYTES];
    if (code != PQDB_CORRUPT && code != PQDB_UNSUPPORTED) return code;
    if (pq_iceberg_path(table, local_path(name), path, NULL) != PQDB_OK) return code;
    return pq_fail_subject(err, code, pq_text_of(path));
}

pqdb_code pq_iceberg_read_list(const struct pq_iceberg *table,
                               const struct pq_iceberg_snapshot *snapshot, struct pq_arena *arena,
                               struct pq_iceberg_list *list, pqdb_error *err) {
    if (snapshot->manifest_list.data == NULL) {
        return pq_fail(err, PQDB_UNSUPPORTED, "snapshot %" PRId64 " has no manifest list",
                       snapshot->id);
    }
    const struct pq_text location = table->metadata.location;
    struct pq_text bytes;
    const struct pq_text name = pq_iceberg_relative(location, snapshot->manifest_list);
    PQ_TRY(pq_iceberg_read_file(table, name, arena, &bytes, err));
    return blame(table, name, pq_iceberg_list_read(bytes, location, arena, list, err), err);
}

pqdb_code pq_iceberg_read_entries(const struct pq_iceberg *table,
                                  const struct pq_iceberg_manifest *line, struct pq_arena *arena,
                                  struct pq_iceberg_entries *entries, pqdb_error *err) {
    struct pq_text bytes;
    PQ_TRY(pq_iceberg_read_file(table, line->path, arena, &bytes, err));
    const pqdb_code code =
        pq_iceberg_manifest_read(bytes, line, table->metadata.location, arena, entries, err);
    return blame(table, line->path, code, err);
}

// ---- live manifests

static pqdb_code fill_live(struct pq_iceberg_live *live, const struct pq_iceberg_manifest *line,
                           const struct pq_iceberg_entries *entries, pqdb_error *err) {
    live->line = *line;
    live->line.path = pq_arena_copy(&live->arena, line->path);
    struct pq_text *paths = pq_arena_calloc(&live->arena, entries->count, sizeof *paths);
    if (live->line.path.data == NULL || paths == NULL) return no_memory(err);
    live->paths = paths;
    for (size_t i = 0; i < entries->count; i++) {
        const struct pq_iceberg_entry *entry = &entries->items[i];
        if (!pq_iceberg_is_live(entry)) continue;
        paths[live->path_count] = pq_arena_copy(&live->arena, entry->file.path);
        if (paths[live->path_count++].data == NULL) return no_memory(err);
        live->file_bytes += entry->file.file_bytes;
    }
    return PQDB_OK;
}

pqdb_code pq_iceberg_live_create(const struct pq_alloc *alloc,
                                 const struct pq_iceberg_manifest *line,
                                 const struct pq_iceberg_entries *entries,
                                 struct pq_iceberg_live **live, pqdb_error *err) {
    struct pq_iceberg_live *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return no_memory(err);
    *made = (struct pq_iceberg_live){0};
    pq_arena_init(&made->arena, alloc);
    const pqdb_code code = fill_live(made, line, entries, err);
    if (code != PQDB_OK) {
        pq_iceberg_live_destroy(alloc, made);
        return code;
    }
    *live = made;
    return PQDB_OK;
}

void pq_iceberg_live_destroy(const struct pq_alloc *alloc, struct pq_iceberg_live *live) {
    if (live == NULL) return;
    pq_arena_deinit(&live->arena);
    pq_free(alloc, live, 1, sizeof *live);
}

static void drop_manifests(struct pq_iceberg *table) {
    for (size_t i = 0; i < table->manifest_count; i++) {
        pq_iceberg_live_destroy(table->alloc, table->manifests[i]);
    }
    pq_free(table->alloc, table->manifests, table->manifest_capacity, sizeof *table->manifests);
    table->manifests = NULL;
    table->manifest_count = table->manifest_capacity = 0;
    table->has_manifests = false;
}

static pqdb_code read_manifests(struct pq_iceberg *table, struct pq_arena *list_arena,
                                struct pq_arena *entry_arena, pqdb_error *err) {
    const struct pq_iceberg_snapshot *current = pq_iceberg_current(&table->metadata);
    struct pq_iceberg_list list = {NULL, 0};
    if (current != NULL) PQ_TRY(pq_iceberg_read_list(table, current, list_arena, &list, err));
    if (list.count == 0) return PQDB_OK;
    table->manifests =
        pq_resize(table->alloc, NULL, 0, list.count, sizeof *table->manifests);
    if (table->manifests == NULL) return no_memory(err);
    table->manifest_count = table->manifest_capacity = list.count;
    for (size_t i = 0; i < list.count; i++) table->manifests[i] = NULL;
    for (size_t i = 0; i < list.count; i++) {
        struct pq_iceberg_entries entries = {NULL, 0};
        pq_arena_reset(entry_arena);
        PQ_TRY(pq_iceberg_read_entries(table, &list.items[i], entry_arena, &entries, err));
        PQ_TRY(pq_iceberg_live_create(table->alloc, &list.items[i], &entries,
                                      &table->manifests[i], err));
    }
    return PQDB_OK;
}

pqdb_code pq_iceberg_read_manifests(struct pq_iceberg *table, pqdb_error *err) {
    if (table->has_manifests) return PQDB_OK;
    struct pq_arena list_arena, entry_arena;
    pq_arena_init(&list_arena, table->alloc);
    pq_arena_init(&entry_arena, table->alloc);
    const pqdb_code code = read_manifests(table, &list_arena, &entry_arena, err);
    pq_arena_deinit(&list_arena);
    pq_arena_deinit(&entry_arena);
    if (code != PQDB_OK) drop_manifests(table);
    table->has_manifests = code == PQDB_OK;
    return code;
}

// ---- metadata

/// N of "v<N>.metadata.json" or "v<N>.gz.metadata.json", or false.
static bool parse_number(struct pq_text name, uint64_t *number, bool *is_gzip) {
    if (name.length < 2 || name.data[0] != 'v') return false;
    size_t at = 1;
    *number = 0;
    for (; at < name.length && name.data[at] >= '0' && name.data[at] <= '9'; at++) {
        if (at > 18) return false;
        *number = *number * 10 + (uint64_t)(name.data[at] - '0');
    }
    const struct pq_text rest = {name.data + at, name.length - at};
    *is_gzip = pq_text_is(rest, ".gz.metadata.json") || pq_text_is(rest, ".metadata.json.gz");
    return at > 1 && (*is_gzip || pq_text_is(rest, ".metadata.json"));
}

/// The newest metadata file: the hint may lag behind it, so it is looked for by name.
static pqdb_code find_newest(struct pq_iceberg *table, struct pq_arena *arena,
                             struct pq_text *name, bool *is_gzip, pqdb_error *err) {
    char path[PQ_ICEBERG_PATH_BYTES];
    struct pq_store_list list = {NULL, 0};
    name->data = NULL;
    table->number = 0;
    PQ_TRY(pq_iceberg_path(table, PQ_TEXT("metadata"), path, err));
    const pqdb_code code = pq_store_list(table->store, path, arena, &list, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    if (code != PQDB_OK) return code;
    for (size_t i = 0; i < list.count; i++) {
        uint64_t number = 0;
        bool gzip = false;
        if (!parse_number(list.entries[i].name, &number, &gzip)) continue;
        if (name->data != NULL && number < table->number) continue;
        *name = list.entries[i].name;
        *is_gzip = gzip;
        table->number = number;
    }
    return PQDB_OK;
}

static pqdb_code read_hint(struct pq_iceberg *table, struct pq_arena *arena, pqdb_error *err) {
    char path[PQ_ICEBERG_PATH_BYTES], wanted[24];
    struct pq_bytes hint;
    PQ_TRY(pq_iceberg_path(table, PQ_TEXT(PQ_ICEBERG_HINT), path, err));
    pq_bytes_init(&hint, &arena->alloc);
    const pqdb_code code = pq_store_read_file(table->store, path, HINT_BYTES_MAX, &hint, err);
    if (code == PQDB_NO_MEMORY || code == PQDB_IO) return code;
    snprintf(wanted, sizeof wanted, "%" PRIu64, table->number);
    table->is_hinted = code == PQDB_OK && pq_text_is(pq_bytes_text(&hint), wanted);
    return PQDB_OK;
}

static pqdb_code read_metadata(struct pq_iceberg *table, struct pq_arena *arena,
                               pqdb_error *err) {
    struct pq_text name, json;
    bool is_gzip = false;
    char relative[80];
    PQ_TRY(find_newest(table, arena, &name, &is_gzip, err));
    table->exists = name.data != NULL && !table->is_anew;
    table->is_hinted = false;
    table->metadata =
        (struct pq_iceberg_metadata){.current_snapshot_id = PQ_ICEBERG_NO_SNAPSHOT};
    if (!table->exists) return PQDB_OK;
    snprintf(table->file_name, sizeof table->file_name, "%.*s", PQ_TEXT_ARG(name));
    snprintf(relative, sizeof relative, "metadata/%s", table->file_name);
    PQ_TRY(pq_iceberg_read_file(table, pq_text_of(relative), arena, &json, err));
    if (is_gzip) {
        struct pq_bytes expanded;
        pq_bytes_init(&expanded, &arena->alloc);
        PQ_TRY(pq_codec_expand(&pq_codec_gzip, json, FILE_BYTES_MAX, &expanded, err));
        json = pq_bytes_text(&expanded);
    }
    const pqdb_code parsed =
        pq_iceberg_metadata_parse(json, &table->arena, &table->metadata, err);
    PQ_TRY(blame(table, pq_text_of(relative), parsed, err));
    return read_hint(table, arena, err);
}

pqdb_code pq_iceberg_read(struct pq_iceberg *table, pqdb_error *err) {
    if (table->is_read) return PQDB_OK;
    struct pq_arena arena;
    pq_arena_init(&arena, table->alloc);
    const pqdb_code code = read_metadata(table, &arena, err);
    pq_arena_deinit(&arena);
    table->is_read = code == PQDB_OK;
    if (code != PQDB_OK) pq_iceberg_forget(table);
    return code;
}

void pq_iceberg_forget(struct pq_iceberg *table) {
    drop_manifests(table);
    pq_arena_reset(&table->arena);
    table->metadata =
        (struct pq_iceberg_metadata){.current_snapshot_id = PQ_ICEBERG_NO_SNAPSHOT};
    table->is_read = false;
    table->exists = false;
}

static pqdb_code open_table(const struct pq_iceberg *given, struct pq_text directory,
                            struct pq_iceberg **table, pqdb_error *err) {
    const struct pq_alloc *alloc = given->alloc;
    struct pq_iceberg *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return no_memory(err);
    *made = *given;
    pq_arena_init(&made->arena, alloc);
    char *copy = pq_resize(alloc, NULL, 0, directory.length + 1, 1);
    pqdb_code code = copy == NULL ? no_memory(err) : PQDB_OK;
    if (copy != NULL) {
        memcpy(copy, directory.data, directory.length);
        copy[directory.length] = '\0';
        made->directory = (struct pq_text){copy, directory.length};
        code = pq_iceberg_read(made, err);
    }
    if (code != PQDB_OK) {
        pq_iceberg_close(made);
        return code;
    }
    *table = made;
    return PQDB_OK;
}

pqdb_code pq_iceberg_open(struct pq_store *store, struct pq_text directory,
                          const struct pq_env *env, const struct pq_alloc *alloc,
                          struct pq_iceberg **table, pqdb_error *err) {
    const struct pq_iceberg given = {.store = store, .env = env, .alloc = alloc};
    return open_table(&given, directory, table, err);
}

pqdb_code pq_iceberg_open_anew(struct pq_store *store, struct pq_text directory,
                               const struct pq_env *env, const struct pq_alloc *alloc,
                               struct pq_iceberg **table, pqdb_error *err) {
    const struct pq_iceberg given = {.store = store, .env = env, .alloc = alloc,
                                     .is_anew = true};
    return open_table(&given, directory, table, err);
}

void pq_iceberg_close(struct pq_iceberg *table) {
    if (table == NULL) return;
    drop_manifests(table);
    pq_arena_deinit(&table->arena);
    if (table->directory.data != NULL) {
        pq_free(table->alloc, (char *)table->directory.data, table->directory.length + 1, 1);
    }
    pq_free(table->alloc, table, 1, sizeof *table);
}

pqdb_code pq_iceberg_has_property(struct pq_iceberg *table, const char *key,
                                  struct pq_text value, bool *has, pqdb_error *err) {
    PQ_TRY(pq_iceberg_read(table, err));
    const struct pq_text found = pq_iceberg_pair_find(
        table->metadata.properties, table->metadata.property_count, key);
    *has = table->exists && found.data != NULL && pq_text_equal(found, value);
    return PQDB_OK;
}

bool pq_iceberg_version(const struct pq_iceberg *table, uint64_t *version) {
    const struct pq_text text = pq_iceberg_pair_find(
        table->metadata.summary, table->metadata.summary_count, PQ_ICEBERG_VERSION_KEY);
    if (text.length == 0 || text.length > 20) return false;
    uint64_t value = 0;
    for (size_t i = 0; i < text.length; i++) {
        const char digit = text.data[i];
        if (digit < '0' || digit > '9') return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(digit - '0'), &value)) return false;
    }
    *version = value;
    return true;
}
