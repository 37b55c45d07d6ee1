/// db/shapes.c: see shapes.h.
#include "db/shapes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "view/view.h"

enum {
    file_bytes_max = 1 << 30,
    check_bytes = 17,  // the first line: a hash of what follows, in hexadecimal
};

const struct pq_db_shape *pq_db_shape_find(const struct pq_db_shapes *shapes, uint32_t id) {
    for (size_t i = 0; i < shapes->count; i++) {
        if (shapes->tables[i].id == id) return &shapes->tables[i];
    }
    return NULL;
}

static pqdb_code no_room(pqdb_error *err) { return pq_fail(err, PQDB_NO_MEMORY, "a schema"); }

// ---- following ----------------------------------------------------------------------------------

struct follower {
    const struct pq_db_shapes *before;
    struct pq_schema *schema;
    struct pq_db_shapes *now;
    struct pq_arena *arena;
    pqdb_error *err;
};

static const struct pq_db_shape *find_named(const struct pq_db_shapes *shapes,
                                            struct pq_text name, bool is_view) {
    for (size_t i = 0; shapes != NULL && name.length > 0 && i < shapes->count; i++) {
        const struct pq_db_shape *shape = &shapes->tables[i];
        if (shape->is_dropped || shape->is_view != is_view) continue;
        if (pq_text_equal(shape->name, name)) return shape;
    }
    return NULL;
}

/// An id that follows from the name, so that a schema edited before anything was written still
/// finds its rows in the log; the next free one where two names fall together.
static uint32_t new_id(const struct follower *follower, struct pq_text name) {
    if (follower->before != NULL) return follower->now->next_id++;
    uint32_t id = (uint32_t)pq_hash(name.data, name.length) >> 1 | 1;
    for (size_t i = 0; i < follower->now->count; i++) {
        if (follower->now->tables[i].id != id) continue;
        id += 2;
        i = SIZE_MAX;  // from the start again
    }
    return id;
}

static bool is_taken(const struct follower *follower, struct pq_text directory) {
    const struct pq_db_shapes *before = follower->before, *now = follower->now;
    for (size_t i = 0; i < now->count; i++) {
        if (pq_text_equal(now->tables[i].directory, directory)) return true;
    }
    for (size_t i = 0; before != NULL && i < before->count; i++) {
        const struct pq_db_shape *shape = &before->tables[i];
        if (!shape->is_dropped && pq_text_equal(shape->directory, directory)) return true;
    }
    return false;
}

/// Named after the entry, and numbered where one of that name lives there under another.
static pqdb_code choose_directory(const struct follower *follower, struct pq_db_shape *shape) {
    for (unsigned number = 1; number < 1000000; number++) {
        struct pq_bytes bytes;
        pq_bytes_init(&bytes, &follower->arena->alloc);
        PQ_TRY(pq_bytes_printf(&bytes, follower->err, "%s%.*s", shape->is_view ? "_views/" : "",
                               PQ_TEXT_ARG(shape->name)));
        if (number > 1) PQ_TRY(pq_bytes_printf(&bytes, follower->err, "~%u", number));
        shape->directory = pq_bytes_text(&bytes);  // printf leaves a NUL behind
        if (!is_taken(follower, shape->directory)) return PQDB_OK;
    }
    return pq_fail(follower->err, PQDB_LIMIT, "there is no directory left for %.*s",
                   PQ_TEXT_ARG(shape->name));
}

/// Its types with one more, or as they are.
static pqdb_code add_type(const struct follower *follower, struct pq_db_shape *shape,
                          const struct pq_type *type) {
    const size_t kept = shape->is_view ? 0 : shape->type_count;
    struct pq_type *types = pq_arena_alloc(follower->arena, (kept + 1) * sizeof *types);
    if (types == NULL) return no_room(follower->err);
    for (size_t i = 0; i < kept; i++) types[i] = shape->types[i];
    types[kept] = *type;
    shape->types = types;
    shape->type_count = kept + 1;
    return PQDB_OK;
}

static size_t collect_renames(const struct pq_entry *entry, struct pq_shape_rename *renames) {
    for (size_t i = 0; i < entry->former_count; i++) {
        renames[i] = (struct pq_shape_rename){.now = entry->former[i].now,
                                              .was = entry->former[i].was};
    }
    return entry->former_count;
}

static pqdb_code follow_columns(const struct follower *follower, struct pq_db_follow *follow,
                                struct pq_db_shape *shape, const struct pq_entry *entry) {
    const struct pq_type *type = pq_entry_row_type(entry);
    if (shape->type_count == 0) {
        shape->next_field = pq_shape_highest_id(type) + 1;
        return add_type(follower, shape, type);
    }
    struct pq_shape_rename *renames =
        pq_arena_alloc(follower->arena, (entry->former_count + 1) * sizeof *renames);
    if (renames == NULL) return no_room(follower->err);
    const struct pq_type *before = &shape->types[shape->type_count - 1];
    const struct pq_shape_follow asked = {.type = type, .before = before, .renames = renames,
                                          .rename_count = collect_renames(entry, renames)};
    struct pq_type with_ids;
    PQ_TRY(pq_shape_follow(&asked, &shape->next_field, follower->arena, &with_ids,
                           &follow->changes, follower->err));
    pq_entry_use_ids((struct pq_entry *)(uintptr_t)entry, &with_ids);
    follow->is_reshaped = !pq_shape_is_same(before, &with_ids);
    const bool is_new = follow->is_reshaped || follow->changes.count > 0;
    return is_new ? add_type(follower, shape, &with_ids) : PQDB_OK;
}

static pqdb_code follow_entry(const struct follower *follower, const struct pq_entry *entry,
                              struct pq_db_follow *follow) {
    const bool is_view = entry->kind == PQ_ENTRY_VIEW;
    struct pq_db_shape *shape = &follower->now->tables[follower->now->count];
    follow->before = find_named(follower->before, entry->name, is_view);
    if (follow->before == NULL) follow->before = find_named(follower->before, entry->was, is_view);
    if (follow->before != NULL) {
        *shape = *follow->before;
    } else {
        *shape = (struct pq_db_shape){.id = new_id(follower, entry->name), .is_view = is_view};
    }
    shape->name = entry->name;
    if (follow->before == NULL) PQ_TRY(choose_directory(follower, shape));
    follow->now = shape;
    follower->now->count++;
    return is_view || entry->broken ? PQDB_OK : follow_columns(follower, follow, shape, entry);
}

/// What is gone of the collections, until its files are.
static void keep_dropped(const struct follower *follower) {
    const struct pq_db_shapes *before = follower->before;
    struct pq_db_shapes *now = follower->now;
    for (size_t i = 0; before != NULL && i < before->count; i++) {
        const struct pq_db_shape *shape = &before->tables[i];
        bool is_there = shape->is_view;
        for (size_t k = 0; k < now->count; k++) {
            is_there = is_there || now->tables[k].id == shape->id ||
                       pq_text_equal(now->tables[k].directory, shape->directory);
        }
        if (is_there) continue;
        now->tables[now->count] = *shape;
        now->tables[now->count++].is_dropped = true;
    }
}

pqdb_code pq_db_shapes_follow(const struct pq_db_shapes *before, struct pq_schema *schema,
                              struct pq_db_shapes **shapes, struct pq_db_follow **follows,
                              pqdb_error *err) {
    struct pq_arena *arena = &schema->arena;
    struct pq_db_shapes *now = pq_arena_calloc(arena, 1, sizeof *now);
    struct pq_db_follow *follow = pq_arena_calloc(arena, schema->entry_count + 1, sizeof *follow);
    const size_t most = schema->entry_count + (before == NULL ? 0 : before->count);
    if (now == NULL || follow == NULL) return no_room(err);
    now->tables = pq_arena_calloc(arena, most + 1, sizeof *now->tables);
    if (now->tables == NULL) return no_room(err);
    now->schema_hash = pq_hash(schema->source.data, schema->source.length);
    now->next_id = before == NULL ? 1 : before->next_id;
    const struct follower follower = {.before = before, .schema = schema, .now = now,
                                      .arena = arena, .err = err};
    for (size_t i = 0; i < schema->entry_count; i++) {
        if (schema->entries[i].kind == PQ_ENTRY_EXTERNAL) continue;
        PQ_TRY(follow_entry(&follower, &schema->entries[i], &follow[i]));
    }
    keep_dropped(&follower);
    for (size_t i = 0; i < now->count; i++) {
        if (now->tables[i].id >= now->next_id) now->next_id = now->tables[i].id + 1;
    }
    *shapes = now;
    *follows = follow;
    return PQDB_OK;
}

pqdb_code pq_db_shapes_follow_view(struct pq_schema *schema, struct pq_db_follow *follow,
                                   const struct pq_view *view, pqdb_error *err) {
    const struct follower follower = {.arena = &schema->arena, .err = err};
    struct pq_db_shape *shape = (struct pq_db_shape *)(uintptr_t)follow->now;
    struct pq_type *type = (struct pq_type *)(uintptr_t)view->type;  // just planned: nobody has it
    if (shape->type_count == 0) {
        shape->next_field = pq_shape_highest_id(type) + 1;
        return add_type(&follower, shape, type);
    }
    const struct pq_shape_follow asked = {.type = type, .before = &shape->types[0]};
    struct pq_type with_ids;
    PQ_TRY(pq_shape_follow(&asked, &shape->next_field, follower.arena, &with_ids,
                           &follow->changes, err));
    pq_shape_copy_ids(type, &with_ids);
    follow->is_reshaped = !pq_shape_is_same(&shape->types[0], &with_ids);
    return add_type(&follower, shape, &with_ids);
}

// ---- on disk ------------------------------------------------------------------------------------

static pqdb_code write_table(const struct pq_db_shape *shape, struct pq_bytes *out,
                             pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, "{\"id\":%" PRIu32 ",\"name\":", shape->id));
    PQ_TRY(pq_json_write_text(out, shape->name, err));
    PQ_TRY(pq_bytes_printf(out, err, ",\"directory\":"));
    PQ_TRY(pq_json_write_text(out, shape->directory, err));
    if (shape->is_view) PQ_TRY(pq_bytes_printf(out, err, ",\"view\":true"));
    if (shape->is_dropped) PQ_TRY(pq_bytes_printf(out, err, ",\"dropped\":true"));
    PQ_TRY(pq_bytes_printf(out, err, ",\"nextField\":%" PRId32 ",\"shapes\":[",
                           shape->next_field));
    for (size_t i = 0; i < shape->type_count; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_shape_write(&shape->types[i], out, err));
    }
    return pq_bytes_printf(out, err, "]}");
}

static pqdb_code write_generation(const struct pq_db_shapes *shapes, struct pq_bytes *out,
                                  pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, "{\"schema\":\"%016" PRIx64 "\",\"nextId\":%" PRIu32
                                     ",\"tables\":[", shapes->schema_hash, shapes->next_id));
    for (size_t i = 0; i < shapes->count; i++) {
        PQ_TRY(pq_bytes_printf(out, err, i == 0 ? "\n" : ",\n"));
        PQ_TRY(write_table(&shapes->tables[i], out, err));
    }
    return pq_bytes_printf(out, err, "]}");
}

pqdb_code pq_db_shapes_write(struct pq_store *store, const struct pq_db_shapes *before,
                             const struct pq_db_shapes *now, const struct pq_alloc *alloc,
                             pqdb_error *err) {
    struct pq_bytes out;
    char check[check_bytes + 1];
    pq_bytes_init(&out, alloc);
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&out, err, "%*s", check_bytes, ""));
    PQ_GO(pq_bytes_printf(&out, err, "{\"format\":1,\"generations\":["));
    if (before != NULL) {
        PQ_GO(write_generation(before, &out, err));
        PQ_GO(pq_bytes_append_byte(&out, ',', err));
    }
    PQ_GO(write_generation(now, &out, err));
    PQ_GO(pq_bytes_printf(&out, err, "]}\n"));
    if (out.length > file_bytes_max) {
        PQ_GO(pq_fail(err, PQDB_LIMIT, "the columns that its collections ever had take more than "
                      "%d MiB: import them into a new database", file_bytes_max >> 20));
    }
    snprintf(check, sizeof check, "%016" PRIx64 "\n",
             pq_hash(out.data + check_bytes, out.length - check_bytes));
    memcpy(out.data, check, check_bytes);
    PQ_GO(pq_store_write_file(store, PQ_DB_SHAPES_FILE, pq_bytes_text(&out), err));
done:
    pq_bytes_deinit(&out);
    return code;
}

static pqdb_code damaged(pqdb_error *err) {
    return pq_store_fail_at(err, PQDB_CORRUPT, PQ_DB_SHAPES_FILE, 0,
                            "it is not what a database writes");
}

static bool is_whole(const struct pq_bytes *file) {
    char check[check_bytes + 1];
    if (file->length < check_bytes) return false;
    snprintf(check, sizeof check, "%016" PRIx64 "\n",
             pq_hash(file->data + check_bytes, file->length - check_bytes));
    return memcmp(check, file->data, check_bytes) == 0;
}

static const struct pq_json *member(const struct pq_json *object, const char *name,
                                    enum pq_json_kind kind) {
    const struct pq_json *value = pq_json_find(object, name);
    return value != NULL && pq_json_kind(value) == kind ? value : NULL;
}

static bool flag(const struct pq_json *object, const char *name) {
    const struct pq_json *value = member(object, name, PQ_JSON_BOOL);
    return value != NULL && pq_json_bool(value);
}

static pqdb_code parse_types(const struct pq_json *json, struct pq_arena *arena,
                             struct pq_db_shape *shape, pqdb_error *err) {
    shape->type_count = pq_json_count(json);
    struct pq_type *types = pq_arena_calloc(arena, shape->type_count + 1, sizeof *types);
    if (types == NULL) return no_room(err);
    const struct pq_json *item = pq_json_first(json);
    for (size_t i = 0; i < shape->type_count; i++) {
        const pqdb_code code = pq_shape_parse(item, arena, &types[i], err);
        if (code != PQDB_OK) return code == PQDB_CORRUPT ? damaged(err) : code;
        item = pq_json_next(item);
    }
    shape->types = types;
    return PQDB_OK;
}

static pqdb_code parse_table(const struct pq_json *json, struct pq_arena *arena,
                             struct pq_db_shape *shape, pqdb_error *err) {
    const struct pq_json *id = member(json, "id", PQ_JSON_INT);
    const struct pq_json *name = member(json, "name", PQ_JSON_TEXT);
    const struct pq_json *directory = member(json, "directory", PQ_JSON_TEXT);
    const struct pq_json *next = member(json, "nextField", PQ_JSON_INT);
    const struct pq_json *shapes = member(json, "shapes", PQ_JSON_LIST);
    if (id == NULL || name == NULL || directory == NULL || next == NULL || shapes == NULL ||
        pq_json_int(id) <= 0 || pq_json_int(id) > UINT32_MAX || pq_json_int(next) < 0 ||
        pq_json_int(next) > INT32_MAX) {
        return damaged(err);
    }
    *shape = (struct pq_db_shape){.id = (uint32_t)pq_json_int(id),
                                  .next_field = (int32_t)pq_json_int(next),
                                  .name = pq_arena_copy(arena, pq_json_text(name)),
                                  .directory = pq_arena_copy(arena, pq_json_text(directory)),
                                  .is_view = flag(json, "view"),
                                  .is_dropped = flag(json, "dropped")};
    if (shape->name.data == NULL || shape->directory.data == NULL) return no_room(err);
    return parse_types(shapes, arena, shape, err);
}

static pqdb_code parse_generation(const struct pq_json *json, struct pq_arena *arena,
                                  struct pq_db_shapes *shapes, pqdb_error *err) {
    const struct pq_json *tables = member(json, "tables", PQ_JSON_LIST);
    const struct pq_json *next = member(json, "nextId", PQ_JSON_INT);
    if (tables == NULL || next == NULL || pq_json_int(next) < 1 ||
        pq_json_int(next) > UINT32_MAX) {
        return damaged(err);
    }
    *shapes = (struct pq_db_shapes){.next_id = (uint32_t)pq_json_int(next)};
    shapes->tables = pq_arena_calloc(arena, pq_json_count(tables) + 1, sizeof *shapes->tables);
    if (shapes->tables == NULL) return no_room(err);
    const struct pq_json *item = pq_json_first(tables);
    for (size_t i = pq_json_count(tables); i > 0; i--) {
        PQ_TRY(parse_table(item, arena, &shapes->tables[shapes->count++], err));
        item = pq_json_next(item);
    }
    return PQDB_OK;
}

static pqdb_code choose(const struct pq_json *root, struct pq_text schema, struct pq_arena *arena,
                        struct pq_db_shapes *shapes, bool *is_exact, pqdb_error *err) {
    const struct pq_json *list = member(root, "generations", PQ_JSON_LIST);
    const struct pq_json *format = member(root, "format", PQ_JSON_INT);
    if (format != NULL && pq_json_int(format) > 1) {
        return pq_store_fail(err, PQDB_UNSUPPORTED, PQ_DB_SHAPES_FILE,
                             "tables of format %lld: this version reads up to 1, open it with a "
                             "newer one", (long long)pq_json_int(format));
    }
    if (format == NULL || list == NULL || pq_json_count(list) == 0) return damaged(err);
    const uint64_t hash = pq_hash(schema.data, schema.length);
    char wanted[17];
    snprintf(wanted, sizeof wanted, "%016" PRIx64, hash);
    const struct pq_json *item = pq_json_first(list), *chosen = NULL;
    *is_exact = false;
    for (size_t i = pq_json_count(list); i > 0; i--) {
        const struct pq_json *text = member(item, "schema", PQ_JSON_TEXT);
        if (text == NULL) return damaged(err);
        if (!*is_exact) chosen = item;
        *is_exact = *is_exact || pq_text_is(pq_json_text(text), wanted);
        item = pq_json_next(item);
    }
    PQ_TRY(parse_generation(chosen, arena, shapes, err));
    shapes->schema_hash = hash;
    return PQDB_OK;
}

pqdb_code pq_db_shapes_read(struct pq_store *store, struct pq_text schema,
                            struct pq_arena *arena, struct pq_db_shapes *shapes, bool *is_exact,
                            pqdb_error *err) {
    struct pq_bytes text;
    pq_bytes_init(&text, arena->source);
    struct pq_json_document *document = NULL;
    pqdb_code code;
    PQ_GO(pq_store_read_file(store, PQ_DB_SHAPES_FILE, file_bytes_max, &text, err));
    if (!is_whole(&text)) PQ_GO(damaged(err));
    const struct pq_text json = {(const char *)text.data + check_bytes, text.length - check_bytes};
    code = pq_json_parse(json, PQ_JSON_STRICT, arena->source, &document, err);
    if (code == PQDB_INVALID) code = damaged(err);
    if (code == PQDB_OK) code = choose(pq_json_root(document), schema, arena, shapes, is_exact,
                                       err);
done:
    if (document != NULL) pq_json_destroy(document);
    pq_bytes_deinit(&text);
    return code;
}
