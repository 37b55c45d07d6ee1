#include "db/root.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"

static const char magic[8] = "PQROOT01";

enum { header_bytes = 24, check_bytes = 8, name_digits = 20 };

// ---- writing ----------------------------------------------------------------------------------

/// JSON and blobs as they grow; a blob is named in the JSON by offset and length.
struct writer {
    struct pq_bytes json, blobs;
};

static pqdb_code put_blob(struct writer *w, const char *key, struct pq_text blob,
                          pqdb_error *err) {
    if (blob.length == 0) return PQDB_OK;
    PQ_TRY(pq_bytes_printf(&w->json, err, ",\"%s\":[%zu,%zu]", key, w->blobs.length, blob.length));
    PQ_TRY(pq_bytes_append_text(&w->blobs, blob, err));
    static const uint8_t zeros[8];
    return pq_bytes_append(&w->blobs, zeros, (8 - blob.length % 8) % 8, err);
}

static pqdb_code put_text(struct writer *w, const char *key, struct pq_text text,
                          pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(&w->json, err, "\"%s\":", key));
    return pq_json_write_text(&w->json, text, err);
}

static pqdb_code put_position(struct writer *w, const char *key,
                              const struct pq_log_position *at, pqdb_error *err) {
    return pq_bytes_printf(&w->json, err,
                           ",\"%s\":[%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
                           ",\"%016" PRIx64 "\"]",
                           key, at->segment, at->offset, at->frame, at->version, at->check);
}

static pqdb_code put_runs(struct writer *w, const struct pq_run_name *runs, size_t count,
                          pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(&w->json, '[', err));
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(pq_bytes_printf(&w->json, err, "%s[%" PRIu64 ",%" PRIu64 ",%" PRIu64 "]",
                               i == 0 ? "" : ",", runs[i].id, runs[i].length, runs[i].rows));
    }
    return pq_bytes_append_byte(&w->json, ']', err);
}

/// "state": { "groups": runs, … }
static pqdb_code put_states(struct writer *w, const struct pq_root_table *table,
                            pqdb_error *err) {
    if (table->state_count == 0) return PQDB_OK;
    PQ_TRY(pq_bytes_printf(&w->json, err, ",\"state\":{"));
    for (size_t i = 0; i < table->state_count; i++) {
        const struct pq_root_state *state = &table->states[i];
        if (i > 0) PQ_TRY(pq_bytes_append_byte(&w->json, ',', err));
        PQ_TRY(pq_json_write_text(&w->json, state->name, err));
        PQ_TRY(pq_bytes_append_byte(&w->json, ':', err));
        PQ_TRY(put_runs(w, state->runs, state->run_count, err));
    }
    return pq_bytes_append_byte(&w->json, '}', err);
}

static pqdb_code put_files(struct writer *w, const struct pq_root_table *table, pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(&w->json, err, ",\"files\":["));
    for (size_t i = 0; i < table->file_count; i++) {
        const struct pq_root_file *file = &table->files[i];
        PQ_TRY(pq_bytes_append_text(&w->json, i == 0 ? PQ_TEXT("{") : PQ_TEXT(",{"), err));
        PQ_TRY(put_text(w, "path", file->path, err));
        PQ_TRY(pq_bytes_printf(&w->json, err, ",\"bytes\":%" PRIu64 ",\"rows\":%" PRIu64,
                               file->bytes, file->rows));
        PQ_TRY(put_blob(w, "dead", file->dead, err));
        PQ_TRY(pq_bytes_append_byte(&w->json, '}', err));
    }
    return pq_bytes_append_byte(&w->json, ']', err);
}

static pqdb_code put_table(struct writer *w, const struct pq_root_table *table, pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(&w->json, '{', err));
    PQ_TRY(put_text(w, "name", table->name, err));
    PQ_TRY(pq_bytes_printf(&w->json, err,
                           ",\"id\":%u,\"version\":%" PRIu64 ",\"nextSeq\":%" PRIu64
                           ",\"published\":%" PRIu64 ",\"refreshedUs\":%" PRId64
                           ",\"refreshVersion\":\"%016" PRIx64 "\",\"reflects\":%" PRIu64
                           ",\"shows\":%" PRIu64 ",\"mark\":%" PRIu64
                           ",\"slotUs\":%" PRId64,
                           table->id, table->version, table->next_seq, table->published,
                           table->refreshed_us, table->refresh_version, table->reflects,
                           table->shows, table->mark, table->slot_us));
    PQ_TRY(put_position(w, "reflectsPosition", &table->reflects_position, err));
    if (table->pace != PQ_ROOT_PACE_UNKNOWN) {
        PQ_TRY(pq_bytes_printf(&w->json, err, ",\"pace\":%d", (int)table->pace));
    }
    if (table->lost_before > 0) {
        PQ_TRY(pq_bytes_printf(&w->json, err, ",\"lostBefore\":%" PRIu64, table->lost_before));
    }
    if (table->kept) PQ_TRY(pq_bytes_printf(&w->json, err, ",\"kept\":1"));
    if (table->is_old) PQ_TRY(pq_bytes_printf(&w->json, err, ",\"old\":1"));
    if (table->columns.length > 0) {
        PQ_TRY(pq_bytes_printf(&w->json, err, ",\"namesOf\":%u,\"columns\":%.*s",
                               table->names_of, PQ_TEXT_ARG(table->columns)));
    }
    if (table->last.kind != PQ_REFRESH_NONE) {
        PQ_TRY(pq_bytes_printf(&w->json, err, ",\"refresh\":"));
        PQ_TRY(pq_last_refresh_write(&w->json, &table->last, err));
    }
    if (table->failure.length > 0) {
        PQ_TRY(pq_bytes_append_byte(&w->json, ',', err));
        PQ_TRY(put_text(w, "failure", table->failure, err));
    }
    if (table->tried.length > 0) {
        PQ_TRY(pq_bytes_append_byte(&w->json, ',', err));
        PQ_TRY(put_text(w, "tried", table->tried, err));
    }
    PQ_TRY(put_files(w, table, err));
    PQ_TRY(put_states(w, table, err));
    PQ_TRY(put_blob(w, "carried", table->carried, err));
    PQ_TRY(put_blob(w, "names", table->names, err));
    return pq_bytes_append_byte(&w->json, '}', err);
}

static pqdb_code put_root(struct writer *w, const struct pq_root *root, pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(&w->json, err,
                           "{\"version\":%" PRIu64 ",\"timeUs\":%" PRId64 ",\"runId\":%" PRIu64,
                           root->version, root->time_us, root->run_id));
    PQ_TRY(put_position(w, "position", &root->position, err));
    PQ_TRY(pq_bytes_printf(&w->json, err, ",\"tokens\":"));
    PQ_TRY(put_runs(w, root->tokens.runs, root->tokens.run_count, err));
    PQ_TRY(pq_bytes_printf(&w->json, err, ",\"tables\":["));
    for (size_t i = 0; i < root->table_count; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(&w->json, ',', err));
        PQ_TRY(put_table(w, &root->tables[i], err));
    }
    PQ_TRY(pq_bytes_printf(&w->json, err, "]}"));
    while (w->json.length % 8 != 0) PQ_TRY(pq_bytes_append_byte(&w->json, ' ', err));
    return PQDB_OK;
}

void pq_root_path(uint64_t version, char path[static 64]) {
    snprintf(path, 64, PQ_STATE_DIRECTORY "/%020" PRIu64 ".root", version);
}

pqdb_code pq_root_write(struct pq_store *store, const struct pq_root *root,
                        const struct pq_alloc *alloc, pqdb_error *err) {
    struct writer w;
    struct pq_bytes file;
    pq_bytes_init(&w.json, alloc);
    pq_bytes_init(&w.blobs, alloc);
    pq_bytes_init(&file, alloc);
    pqdb_code code;
    PQ_GO(put_root(&w, root, err));
    uint8_t header[header_bytes];
    memcpy(header, magic, sizeof magic);
    pq_store_u32(header + 8, PQ_ROOT_FORMAT);
    pq_store_u32(header + 12, (uint32_t)w.json.length);
    pq_store_u64(header + 16, w.blobs.length);
    if (w.json.length + w.blobs.length > PQ_ROOT_BYTES_MAX) {
        code = pq_fail(err, PQDB_LIMIT, "a checkpoint root of more than 1 GiB");
        goto done;
    }
    PQ_GO(pq_bytes_append(&file, header, sizeof header, err));
    PQ_GO(pq_bytes_append_text(&file, pq_bytes_text(&w.json), err));
    PQ_GO(pq_bytes_append_text(&file, pq_bytes_text(&w.blobs), err));
    uint8_t check[check_bytes];
    pq_store_u64(check, pq_hash(file.data, file.length));
    PQ_GO(pq_bytes_append(&file, check, sizeof check, err));
    char path[64];
    pq_root_path(root->version, path);
    PQ_GO(pq_store_write_file(store, path, pq_bytes_text(&file), err));
done:
    pq_bytes_deinit(&w.json);
    pq_bytes_deinit(&w.blobs);
    pq_bytes_deinit(&file);
    return code;
}

bool pq_root_may_exist(struct pq_store *store, uint64_t version) {
    char path[64];
    struct pq_file *file = NULL;
    pq_root_path(version, path);
    const pqdb_code code = pq_file_open(store, path, PQ_OPEN_READ, &file, NULL);
    pq_file_close(file);
    return code != PQDB_NOT_FOUND;
}

// ---- reading ----------------------------------------------------------------------------------

/// The check has vouched for the bytes, so a missing key means another writer's idea of the format:
/// `damaged` collects that, and zero values go on.
struct reader {
    struct pq_arena *arena;
    struct pq_text blobs;
    bool damaged;
    bool no_memory;
};

static int64_t get_int(struct reader *r, const struct pq_json *object, const char *key) {
    const struct pq_json *value = pq_json_find(object, key);
    if (value == NULL || pq_json_kind(value) != PQ_JSON_INT) {
        r->damaged = true;
        return 0;
    }
    return pq_json_int(value);
}

static int64_t get_at_most(struct reader *r, const struct pq_json *object, const char *key,
                           int64_t most) {
    const int64_t value = get_int(r, object, key);
    r->damaged = r->damaged || value < 0 || value > most;
    return value;
}

static uint64_t get_count(struct reader *r, const struct pq_json *object, const char *key) {
    return (uint64_t)get_at_most(r, object, key, INT64_MAX);
}

static uint32_t get_id(struct reader *r, const struct pq_json *object, const char *key) {
    return (uint32_t)get_at_most(r, object, key, UINT32_MAX);
}

/// 0 where there is none.
static int64_t get_choice(struct reader *r, const struct pq_json *object, const char *key,
                          int64_t most) {
    return pq_json_find(object, key) == NULL ? 0 : get_at_most(r, object, key, most);
}

static struct pq_text copy_text(struct reader *r, struct pq_text text) {
    const struct pq_text copy = pq_arena_copy(r->arena, text);
    if (copy.data == NULL) r->no_memory = true;
    return copy;
}

static struct pq_text get_text(struct reader *r, const struct pq_json *object, const char *key) {
    const struct pq_json *value = pq_json_find(object, key);
    if (value == NULL || pq_json_kind(value) != PQ_JSON_TEXT) {
        r->damaged = true;
        return (struct pq_text){"", 0};
    }
    return copy_text(r, pq_json_text(value));
}

static uint64_t hex_of(struct pq_text text) { return strtoull(text.data, NULL, 16); }

/// Are there `count` numbers, none below 0, at the head of a list?
static bool list_ints(const struct pq_json *list, size_t count, uint64_t *out) {
    if (list == NULL || pq_json_kind(list) != PQ_JSON_LIST || pq_json_count(list) < count) {
        return false;
    }
    const struct pq_json *item = pq_json_first(list);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        if (pq_json_kind(item) != PQ_JSON_INT || pq_json_int(item) < 0) return false;
        out[i] = (uint64_t)pq_json_int(item);
    }
    return true;
}

/// `[offset, length]` among the bytes before the text; nothing where the key is not there.
static struct pq_text get_blob(struct reader *r, const struct pq_json *object, const char *key) {
    const struct pq_json *pair = pq_json_find(object, key);
    uint64_t at[2];
    if (pair == NULL) return (struct pq_text){"", 0};
    if (!list_ints(pair, 2, at) || at[0] > r->blobs.length ||
        at[1] > r->blobs.length - at[0]) {
        r->damaged = true;
        return (struct pq_text){"", 0};
    }
    return copy_text(r, (struct pq_text){r->blobs.data + at[0], at[1]});
}

/// Elements of a list that every root has.
static size_t list_count(struct reader *r, const struct pq_json *list) {
    const bool is_list = list != NULL && pq_json_kind(list) == PQ_JSON_LIST;
    r->damaged = r->damaged || !is_list;
    return is_list ? pq_json_count(list) : 0;
}

static struct pq_log_position get_position(struct reader *r, const struct pq_json *object,
                                           const char *key) {
    const struct pq_json *list = pq_json_find(object, key);
    uint64_t at[4];
    struct pq_log_position position = {0};
    if (!list_ints(list, 4, at) || pq_json_count(list) != 5) {
        r->damaged = true;
        return position;
    }
    const struct pq_json *item = pq_json_first(list);
    for (size_t i = 0; i < 4; i++) item = pq_json_next(item);
    position = (struct pq_log_position){.segment = at[0], .offset = at[1], .frame = at[2],
                                        .version = at[3]};
    if (pq_json_kind(item) == PQ_JSON_TEXT) position.check = hex_of(pq_json_text(item));
    return position;
}

static const struct pq_run_name *get_runs(struct reader *r, const struct pq_json *list,
                                          size_t *count) {
    *count = list != NULL && pq_json_kind(list) == PQ_JSON_LIST ? pq_json_count(list) : 0;
    struct pq_run_name *runs = pq_arena_calloc(r->arena, *count + 1, sizeof *runs);
    if (runs == NULL) {
        r->no_memory = true;
        *count = 0;
        return NULL;
    }
    const struct pq_json *item = *count > 0 ? pq_json_first(list) : NULL;
    for (size_t i = 0; i < *count; i++, item = pq_json_next(item)) {
        uint64_t at[3];
        if (!list_ints(item, 3, at)) {
            r->damaged = true;
            continue;
        }
        runs[i] = (struct pq_run_name){.id = at[0], .length = at[1], .rows = at[2]};
    }
    return runs;
}

static void get_states(struct reader *r, const struct pq_json *object,
                       struct pq_root_table *table) {
    if (object == NULL || pq_json_kind(object) != PQ_JSON_OBJECT) return;  // then it is built anew
    const size_t count = pq_json_count(object);
    struct pq_root_state *states = pq_arena_calloc(r->arena, count + 1, sizeof *states);
    if (states == NULL) {
        r->no_memory = true;
        return;
    }
    const struct pq_json *key = count > 0 ? pq_json_first(object) : NULL;
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *runs = pq_json_next(key);
        states[i].name = copy_text(r, pq_json_text(key));
        states[i].runs = get_runs(r, runs, &states[i].run_count);
        key = pq_json_next(runs);
    }
    table->states = states;
    table->state_count = count;
}

static void get_files(struct reader *r, const struct pq_json *list, struct pq_root_table *table) {
    const size_t count = list_count(r, list);
    struct pq_root_file *files = pq_arena_calloc(r->arena, count + 1, sizeof *files);
    if (files == NULL) {
        r->no_memory = true;
        return;
    }
    const struct pq_json *item = count > 0 ? pq_json_first(list) : NULL;
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        files[i] = (struct pq_root_file){.path = get_text(r, item, "path"),
                                         .bytes = get_count(r, item, "bytes"),
                                         .rows = get_count(r, item, "rows"),
                                         .dead = get_blob(r, item, "dead")};
    }
    table->files = files;
    table->file_count = count;
}

/// The columns of a view's contents, as text again.
static void get_columns(struct reader *r, const struct pq_json *object,
                        struct pq_root_table *table) {
    const struct pq_json *columns = pq_json_find(object, "columns");
    if (columns == NULL) return;  // then they are of use only if the definition is the same
    struct pq_bytes text;
    pq_bytes_init(&text, &r->arena->alloc);
    r->no_memory = r->no_memory || pq_json_write(&text, columns, NULL) != PQDB_OK;
    table->columns = pq_bytes_text(&text);
    table->names_of = get_id(r, object, "namesOf");
}

static void get_table(struct reader *r, const struct pq_json *object,
                      struct pq_root_table *table) {
    *table = (struct pq_root_table){
        .name = get_text(r, object, "name"),
        .id = get_id(r, object, "id"),
        .version = get_count(r, object, "version"),
        .next_seq = get_count(r, object, "nextSeq"),
        .published = get_count(r, object, "published"),
        .lost_before = (uint64_t)get_choice(r, object, "lostBefore", INT64_MAX),
        .refreshed_us = get_int(r, object, "refreshedUs"),
        .refresh_version = hex_of(get_text(r, object, "refreshVersion")),
        .reflects = get_count(r, object, "reflects"),
        .shows = get_count(r, object, "shows"),
        .mark = get_count(r, object, "mark"),
        .slot_us = get_int(r, object, "slotUs"),
        .pace = (enum pq_root_pace)get_choice(r, object, "pace", PQ_ROOT_BY_REFRESHES),
        .kept = get_choice(r, object, "kept", 1) == 1,
        .is_old = get_choice(r, object, "old", 1) == 1,
        .last = pq_last_refresh_read(pq_json_find(object, "refresh")),
        .reflects_position = get_position(r, object, "reflectsPosition"),
        .carried = get_blob(r, object, "carried"),
        .names = get_blob(r, object, "names"),
    };
    get_columns(r, object, table);
    get_files(r, pq_json_find(object, "files"), table);
    if (pq_json_find(object, "failure") != NULL) table->failure = get_text(r, object, "failure");
    if (pq_json_find(object, "tried") != NULL) table->tried = get_text(r, object, "tried");
    get_states(r, pq_json_find(object, "state"), table);
}

static void get_root(struct reader *r, const struct pq_json *json, struct pq_root *root) {
    const struct pq_json *list = pq_json_find(json, "tables");
    const size_t count = list_count(r, list);
    struct pq_root_table *tables = pq_arena_calloc(r->arena, count + 1, sizeof *tables);
    if (tables == NULL) {
        r->no_memory = true;
        return;
    }
    const struct pq_json *item = count > 0 ? pq_json_first(list) : NULL;
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) get_table(r, item, &tables[i]);
    *root = (struct pq_root){.version = get_count(r, json, "version"),
                             .time_us = get_int(r, json, "timeUs"),
                             .run_id = get_count(r, json, "runId"),
                             .position = get_position(r, json, "position"),
                             .tables = tables,
                             .table_count = count};
    root->tokens.runs = get_runs(r, pq_json_find(json, "tokens"), &root->tokens.run_count);
}

static pqdb_code decode(struct pq_text file, const char *path, struct pq_arena *arena,
                        struct pq_root *root, pqdb_error *err) {
    if (file.length < header_bytes + check_bytes || memcmp(file.data, magic, 8) != 0) {
        return pq_store_fail_at(err, PQDB_CORRUPT, path, 0, "this is not a checkpoint root");
    }
    const size_t body = file.length - check_bytes;
    if (pq_load_u64(file.data + body) != pq_hash(file.data, body)) {
        return pq_store_fail_at(err, PQDB_CORRUPT, path, body,
                                "the root does not match its checksum");
    }
    const uint32_t format = pq_load_u32(file.data + 8);
    if (format > PQ_ROOT_FORMAT) {
        return pq_store_fail(err, PQDB_UNSUPPORTED, path,
                             "a root of format %u: this version reads up to %d, open it with a "
                             "newer one",
                             format, PQ_ROOT_FORMAT);
    }
    const size_t json_bytes = pq_load_u32(file.data + 12);
    const uint64_t blob_bytes = pq_load_u64(file.data + 16);
    if (json_bytes > body - header_bytes || blob_bytes != body - header_bytes - json_bytes) {
        return pq_store_fail(err, PQDB_CORRUPT, path, "the root's lengths do not add up");
    }
    struct reader r = {.arena = arena,
                       .blobs = {file.data + header_bytes + json_bytes, blob_bytes}};
    struct pq_json_document *document;
    const pqdb_code parsed = pq_json_parse((struct pq_text){file.data + header_bytes, json_bytes},
                                           PQ_JSON_STRICT, arena->source, &document, err);
    if (parsed == PQDB_INVALID) {
        return pq_store_fail(err, PQDB_CORRUPT, path, "the root is not JSON");
    }
    PQ_TRY(parsed);
    get_root(&r, pq_json_root(document), root);
    pq_json_destroy(document);
    if (r.no_memory) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint root");
    if (r.damaged) return pq_store_fail(err, PQDB_CORRUPT, path, "the root lacks something");
    return PQDB_OK;
}

pqdb_code pq_root_list(struct pq_store *store, struct pq_arena *arena, struct pq_roots *roots,
                       pqdb_error *err) {
    struct pq_store_list list;
    *roots = (struct pq_roots){0};
    const pqdb_code listed = pq_store_list(store, PQ_STATE_DIRECTORY, arena, &list, err);
    if (listed == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(listed);
    uint64_t *versions = pq_arena_alloc(arena, (list.count + 1) * sizeof *versions);
    if (versions == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of roots");
    for (size_t i = list.count; i-- > 0;) {  // the list ascends
        const struct pq_text name = list.entries[i].name;
        if (name.length != name_digits + 5) continue;
        if (!pq_text_is((struct pq_text){name.data + name_digits, 5}, ".root")) continue;
        versions[roots->count++] = strtoull(name.data, NULL, 10);
    }
    roots->versions = versions;
    return PQDB_OK;
}

pqdb_code pq_root_read(struct pq_store *store, uint64_t version, struct pq_arena *arena,
                       struct pq_root *root, pqdb_error *err) {
    char path[64];
    pq_root_path(version, path);
    struct pq_bytes file;
    pq_bytes_init(&file, arena->source);
    pqdb_code code = pq_store_read_file(store, path, PQ_ROOT_BYTES_MAX, &file, err);
    if (code == PQDB_OK) code = decode(pq_bytes_text(&file), path, arena, root, err);
    pq_bytes_deinit(&file);
    return code;
}

pqdb_code pq_root_read_newest(struct pq_store *store, struct pq_arena *arena,
                              struct pq_root *root, bool *found, pqdb_error *err) {
    struct pq_roots roots;
    *found = false;
    PQ_TRY(pq_root_list(store, arena, &roots, err));
    if (roots.count == 0) return PQDB_OK;
    PQ_TRY(pq_root_read(store, roots.versions[0], arena, root, err));
    *found = true;
    return PQDB_OK;
}
