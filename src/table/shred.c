#include "table/shred.h"

#include "base/bytes.h"
#include "base/fail.h"
#include "variant/variant.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "shredded paths");
}

// ---- which --------------------------------------------------------------------------------------

static bool is_known(const struct pq_shreds *shreds, struct pq_text path) {
    for (size_t i = 0; i < shreds->count; i++) {
        if (pq_text_equal(shreds->items[i].path, path)) return true;
    }
    return false;
}

/// `$paths` may declare any type; what is no scalar stays a variant.
static bool is_column_type(const struct pq_type *type) {
    return type->kind != PQ_LIST && type->kind != PQ_OBJECT && type->kind != PQ_NULL;
}

static pqdb_code add(struct pq_shreds *shreds, const struct pq_scope *scope, struct pq_text path,
                     pqdb_error *err) {
    struct pq_shred *made = &shreds->items[shreds->count];
    const struct pq_source source = {.field = path, .path = path, .code = "INVALID_SHRED"};
    if (is_known(shreds, path)) return PQDB_OK;
    *made = (struct pq_shred){.path = pq_arena_copy(&shreds->arena, path)};
    if (made->path.data == NULL) return no_memory(err);
    PQ_TRY(pq_expr_compile(&source, scope, shreds->alloc, &made->program, err));
    made->type = *pq_program_type(made->program);
    if (pq_program_inner_path(made->program, &made->inner) && !made->inner.is_nested &&
        is_column_type(&made->type)) {
        shreds->count++;
    } else {
        pq_program_destroy(made->program);
    }
    return PQDB_OK;
}

/// The table's columns and one for each path.
static pqdb_code make_type(struct pq_shreds *shreds, const struct pq_type *table,
                           pqdb_error *err) {
    struct pq_arena *arena = &shreds->arena;
    struct pq_type *type = pq_arena_alloc(arena, sizeof *type);
    struct pq_field *fields =
        pq_arena_calloc(arena, table->field_count + shreds->count, sizeof *fields);
    if (type == NULL || fields == NULL) return no_memory(err);
    memcpy(fields, table->fields, table->field_count * sizeof *fields);
    for (size_t i = 0; i < shreds->count; i++) {
        fields[table->field_count + i] =
            (struct pq_field){.name = shreds->items[i].path, .type = shreds->items[i].type};
    }
    *type = (struct pq_type){.kind = PQ_OBJECT, .fields = fields,
                             .field_count = table->field_count + (uint32_t)shreds->count};
    shreds->type = type;
    shreds->first = table->field_count;
    return PQDB_OK;
}

static pqdb_code fill(struct pq_shreds *shreds, const struct pq_scope *scope,
                      const struct pq_text *paths, size_t count, pqdb_error *err) {
    shreds->items = pq_arena_calloc(&shreds->arena, count + 1, sizeof *shreds->items);
    if (shreds->items == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(add(shreds, scope, paths[i], err));
        if (shreds->count <= PQ_SHREDS_MAX) continue;
        return pq_fail(err, PQDB_LIMIT, "%s has more than %d shredded paths", scope->owner_name,
                       PQ_SHREDS_MAX);
    }
    return make_type(shreds, scope->type, err);
}

pqdb_code pq_shreds_create(const struct pq_scope *scope, const struct pq_text *paths, size_t count,
                           const struct pq_alloc *alloc, struct pq_shreds **shreds,
                           pqdb_error *err) {
    struct pq_scope quiet = *scope;
    quiet.problems = NULL;
    *shreds = NULL;
    struct pq_shreds *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return no_memory(err);
    *made = (struct pq_shreds){.alloc = alloc};
    pq_arena_init(&made->arena, alloc);
    const pqdb_code code = fill(made, &quiet, paths, count, err);
    if (code == PQDB_OK && made->count > 0) {
        *shreds = made;
    } else {
        pq_shreds_destroy(made);
    }
    return code;
}

void pq_shreds_destroy(struct pq_shreds *shreds) {
    if (shreds == NULL) return;
    for (size_t i = 0; i < shreds->count; i++) pq_program_destroy(shreds->items[i].program);
    pq_arena_deinit(&shreds->arena);
    pq_free(shreds->alloc, shreds, 1, sizeof *shreds);
}

// ---- where --------------------------------------------------------------------------------------

static bool take(struct pq_text *rest, struct pq_text part) {
    if (!pq_text_starts_with(*rest, part)) return false;
    rest->data += part.length;
    rest->length -= part.length;
    return true;
}

/// Is it `<column>.<steps>:<what>`?
static bool is_named(struct pq_text name, const struct pq_shred *shred, struct pq_text column,
                     struct pq_text what) {
    if (!take(&name, column)) return false;
    for (size_t i = 0; i < shred->inner.step_count; i++) {
        if (!take(&name, PQ_TEXT("."))) return false;
        if (!take(&name, shred->inner.steps[i].name)) return false;
    }
    return take(&name, PQ_TEXT(":")) && pq_text_equal(name, what);
}

static uint32_t find(const struct pq_shred *shred, struct pq_text column,
                     const struct pq_type *file, struct pq_text what) {
    for (uint32_t k = file->field_count; k-- > 0;) {  // they are the last ones
        const struct pq_field *field = &file->fields[k];
        if (field->id < PQ_SHRED_FIELD_ID) break;
        if (is_named(field->name, shred, column, what)) return k;
    }
    return UINT32_MAX;
}

bool pq_shred_find(const struct pq_shred *shred, struct pq_text column,
                   const struct pq_type *file, struct pq_shred_place *place) {
    *place = (struct pq_shred_place){UINT32_MAX, UINT32_MAX};
    if (shred->type.kind != PQ_VARIANT) {
        place->typed = find(shred, column, file, PQ_TEXT("typed"));
        return place->typed != UINT32_MAX &&
               pq_type_equal(&file->fields[place->typed].type, &shred->type);
    }
    place->typed = find(shred, column, file, PQ_TEXT("any"));
    place->rest = find(shred, column, file, PQ_TEXT("rest"));
    return place->typed != UINT32_MAX && place->rest != UINT32_MAX;
}
