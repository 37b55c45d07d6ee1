/// Rows between operators: types, scopes, and what follows a column from one to the next.
#include "base/check.h"
#include "view/plan_internal.h"

pqdb_code pq_plan_no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "planning views");
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool pq_names_clash(struct pq_text a, struct pq_text b) {
    if (a.length != b.length) return false;
    for (size_t i = 0; i < a.length; i++) {
        if (lower(a.data[i]) != lower(b.data[i])) return false;
    }
    return true;
}

// ---- columns ---------------------------------------------------------------------------------

pqdb_code pq_columns_init(struct pq_columns *columns, size_t capacity, struct pq_arena *arena,
                          pqdb_error *err) {
    *columns = (struct pq_columns){.arena = arena, .capacity = capacity};
    columns->fields = pq_arena_calloc(arena, capacity, sizeof *columns->fields);
    columns->declared = pq_arena_calloc(arena, capacity, sizeof *columns->declared);
    columns->operands = pq_arena_calloc(arena, capacity, sizeof *columns->operands);
    columns->paths = pq_arena_calloc(arena, capacity, sizeof *columns->paths);
    if (columns->fields == NULL || columns->declared == NULL || columns->operands == NULL ||
        columns->paths == NULL) {
        return pq_plan_no_memory(err);
    }
    return PQDB_OK;
}

void pq_columns_add(struct pq_columns *columns, struct pq_text name,
                    const struct pq_column_plan *column) {
    pq_assert(columns->count < columns->capacity);
    const size_t at = columns->count++;
    columns->fields[at] =
        (struct pq_field){.name = name, .type = column->type, .required = column->required};
    // "A program of type PQ_NULL gives a variant column of nulls."
    if (column->type.kind == PQ_NULL) columns->fields[at].type = pq_type_variant;
    columns->declared[at] = column->declared;
    columns->operands[at] = column->operand;
    columns->paths[at] = column->path;
}

bool pq_columns_check_new(const struct pq_columns *columns, struct pq_definition *definition,
                          const struct pq_place *place, struct pq_text name) {
    for (size_t k = 0; k < columns->count; k++) {
        if (!pq_names_clash(columns->fields[k].name, name)) continue;
        const struct pq_place at = {"DUPLICATE_COLUMN", place->json, place->path};
        pq_definition_mistake(definition, &at, "give it another name",
                              "there is a column %.*s already (case does not count)",
                              PQ_TEXT_ARG(columns->fields[k].name));
        return false;
    }
    return true;
}

pqdb_code pq_columns_type(const struct pq_columns *columns, const struct pq_type **type,
                          pqdb_error *err) {
    struct pq_type *object = pq_arena_alloc(columns->arena, sizeof *object);
    if (object == NULL) return pq_plan_no_memory(err);
    *object = (struct pq_type){
        .kind = PQ_OBJECT, .field_count = (uint32_t)columns->count, .fields = columns->fields};
    *type = object;
    return PQDB_OK;
}

struct pq_column_plan pq_stage_column(const struct pq_stage *stage, uint32_t column) {
    const struct pq_field *field = &stage->scope.type->fields[column];
    return (struct pq_column_plan){
        .operand = {NULL, column},
        .type = field->type,
        .required = field->required,
        .declared = stage->declared[column],
        .path = field->name,
    };
}

// ---- stages ----------------------------------------------------------------------------------

pqdb_code pq_stage_set_relations(struct pq_stage *stage, struct pq_arena *arena,
                                 pqdb_error *err) {
    const size_t count = stage->scope.type->field_count;
    const struct pq_relation **relations = pq_arena_calloc(arena, count, sizeof *relations);
    if (relations == NULL) return pq_plan_no_memory(err);
    for (size_t k = 0; k < count; k++) {
        if (stage->declared[k] != NULL) relations[k] = stage->declared[k]->relation;
    }
    stage->scope.relations = relations;
    return PQDB_OK;
}

struct pq_text pq_path_join(struct pq_arena *arena, struct pq_text before, struct pq_text after) {
    if (before.length == 0) return after;
    char *data = pq_arena_alloc(arena, before.length + after.length + 2);
    if (data == NULL) return (struct pq_text){NULL, 0};
    memcpy(data, before.data, before.length);
    data[before.length] = '.';
    memcpy(data + before.length + 1, after.data, after.length);
    data[before.length + after.length + 1] = '\0';
    return (struct pq_text){data, before.length + after.length + 1};
}

pqdb_code pq_typed_paths_links(struct pq_typed_paths *paths,
                               const struct pq_declared_field *fields, size_t count,
                               struct pq_text way) {
    for (size_t k = 0; k < count; k++) {
        const struct pq_declared_field *field = &fields[k];
        const bool is_link = field->relation != NULL && !field->relation->inverse;
        if (!is_link && field->member_count == 0) continue;
        const struct pq_text path = pq_path_join(paths->arena, way, field->field.name);
        if (path.data == NULL) return pq_plan_no_memory(paths->err);
        if (is_link) {
            if (paths->all != NULL) {
                paths->all[paths->count] =
                    (struct pq_typed_path){path, field->field.type, field->relation};
            }
            paths->count++;
        }
        PQ_TRY(pq_typed_paths_links(paths, field->members, field->member_count, path));
    }
    return PQDB_OK;
}

/// Of inline objects: what columns link to, scope.relations says.
static pqdb_code links_inside(struct pq_typed_paths *paths, const struct pq_entry *entry) {
    for (size_t k = 0; k < entry->field_count; k++) {
        const struct pq_declared_field *field = &entry->fields[k];
        PQ_TRY(pq_typed_paths_links(paths, field->members, field->member_count,
                                    field->field.name));
    }
    return PQDB_OK;
}

pqdb_code pq_stage_of_entry(const struct pq_entry *entry, struct pq_arena *arena,
                            struct pq_stage *stage, pqdb_error *err) {
    const struct pq_type *type = pq_entry_row_type(entry);
    struct pq_typed_paths links = {.arena = arena, .err = err};
    PQ_TRY(links_inside(&links, entry));
    const size_t room = entry->path_count + links.count;
    struct pq_typed_path *paths = pq_arena_calloc(arena, room + 1, sizeof *paths);
    *stage = (struct pq_stage){.entry = entry, .root = entry, .index = PQ_NO_COLUMN};
    stage->declared = pq_arena_calloc(arena, type->field_count, sizeof *stage->declared);
    if (paths == NULL || stage->declared == NULL) return pq_plan_no_memory(err);
    for (size_t k = 0; k < entry->path_count; k++) {
        paths[k] = (struct pq_typed_path){entry->paths[k].path,
                                          entry->paths[k].declared.field.type, NULL};
    }
    links.all = paths;
    links.count = entry->path_count;
    PQ_TRY(links_inside(&links, entry));
    for (size_t k = 0; k < entry->field_count; k++) {
        const struct pq_declared_field *field = &entry->fields[k];
        if (field->column >= 0) stage->declared[field->column] = field;
    }
    stage->scope = (struct pq_scope){
        .type = type,
        .paths = paths,
        .path_count = links.count,
        .extra_column = pq_type_find(type, PQ_TEXT("_extra")),
        .closed = entry->kind == PQ_ENTRY_EXTERNAL,
        .strict = entry->strict,
        .owner_name = entry->name.data,
    };
    return pq_stage_set_relations(stage, arena, err);
}

pqdb_code pq_entry_scope(const struct pq_entry *entry, struct pq_arena *arena,
                         struct pq_scope *scope, pqdb_error *err) {
    struct pq_stage stage;
    PQ_TRY(pq_stage_of_entry(entry, arena, &stage, err));
    *scope = stage.scope;
    return PQDB_OK;
}

/// List positions do not count in declared paths.
static pqdb_code without_positions(struct pq_text path, struct pq_arena *arena,
                                   struct pq_text *out, pqdb_error *err) {
    char *data = pq_arena_alloc(arena, path.length + 1);
    if (data == NULL) return pq_plan_no_memory(err);
    size_t length = 0;
    for (size_t start = 0; start <= path.length;) {
        size_t end = start;
        bool is_position = true;
        for (; end < path.length && path.data[end] != '.'; end++) {
            is_position = is_position && path.data[end] >= '0' && path.data[end] <= '9';
        }
        if (!is_position || start == 0) {
            if (length > 0) data[length++] = '.';
            memcpy(data + length, path.data + start, end - start);
            length += end - start;
        }
        start = end + 1;
    }
    data[length] = '\0';
    *out = (struct pq_text){data, length};
    return PQDB_OK;
}

static bool is_below(struct pq_text path, struct pq_text prefix) {
    return path.length > prefix.length && path.data[prefix.length] == '.' &&
           pq_text_starts_with(path, prefix);
}

/// Does the path begin in a column, rather than among the undeclared fields?
static bool begins_in_column(const struct pq_type *type, struct pq_text path) {
    const char *dot = memchr(path.data, '.', path.length);
    const struct pq_text first = {path.data,
                                  dot == NULL ? path.length : (size_t)(dot - path.data)};
    return pq_type_find(type, first) >= 0;
}

/// The declared paths of `from` as they read from the new columns; NULL: only count them.
static pqdb_code follow_paths(const struct pq_columns *columns, const struct pq_stage *from,
                              struct pq_stage *stage, struct pq_typed_path *out,
                              pqdb_error *err) {
    const struct pq_scope *scope = &from->scope;
    size_t count = 0;
    for (size_t k = 0; k < columns->count; k++) {
        struct pq_text prefix;
        if (columns->paths[k].length == 0) continue;
        PQ_TRY(without_positions(columns->paths[k], columns->arena, &prefix, err));
        const struct pq_rewrite rewrite = {prefix, columns->fields[k].name};
        for (size_t p = 0; p < scope->path_count; p++) {
            if (!is_below(scope->paths[p].path, prefix)) continue;
            if (out != NULL) {
                out[count] = scope->paths[p];
                pq_rewrite_path(&rewrite, scope->paths[p].path, columns->arena,
                                &out[count].path);
                if (out[count].path.data == NULL) return pq_plan_no_memory(err);
            }
            count++;
        }
    }
    for (size_t p = 0; p < scope->path_count && stage->scope.extra_column >= 0; p++) {
        if (begins_in_column(scope->type, scope->paths[p].path)) continue;
        if (out != NULL) out[count] = scope->paths[p];
        count++;
    }
    stage->scope.path_count = count;
    return PQDB_OK;
}

pqdb_code pq_stage_of_columns(const struct pq_columns *columns, const struct pq_type *type,
                              const struct pq_stage *from, struct pq_stage *stage,
                              pqdb_error *err) {
    *stage = (struct pq_stage){
        .scope = from->scope,
        .schema = from->schema,
        .table_ids = from->table_ids,
        .root = from->root,
        .declared = columns->declared,
        .index = PQ_NO_COLUMN,
        .by_id = from->by_id,
    };
    stage->scope.type = type;
    stage->scope.extra_column = pq_type_find(type, PQ_TEXT("_extra"));
    PQ_TRY(follow_paths(columns, from, stage, NULL, err));
    struct pq_typed_path *paths =
        pq_arena_calloc(columns->arena, stage->scope.path_count, sizeof *paths);
    if (paths == NULL) return pq_plan_no_memory(err);
    PQ_TRY(follow_paths(columns, from, stage, paths, err));
    stage->scope.paths = paths;
    return pq_stage_set_relations(stage, columns->arena, err);
}
