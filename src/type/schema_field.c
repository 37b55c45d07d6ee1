/// Columns: declarations as text, inline objects and lists of them; then the relations between
/// entries, once all of them are known.
#include <stdio.h>

#include "base/fail.h"
#include "type/ice_internal.h"
#include "type/schema_internal.h"

static bool is_text(const struct pq_json *value) { return pq_json_kind(value) == PQ_JSON_TEXT; }

/// The system column that a top-level name collides with without taking its place, or NULL.
static const char *taken_by(const struct schema_parse *parse, struct pq_text name) {
    static const char *const names[] = {"createdAt", "updatedAt", "version", "_extra"};
    if (parse->entry->kind == PQ_ENTRY_EXTERNAL) return NULL;
    for (size_t i = 0; i < 4; i++) {
        const bool takes_place = i < 3 && pq_text_is(name, names[i]);
        if (!takes_place && pq_text_equal_any_case(name, pq_text_of(names[i]))) return names[i];
    }
    return NULL;
}

/// Note a column's name; false when there is something wrong with it.
static bool add_name(struct schema_parse *parse, const struct place *place,
                     struct pq_name_set *names, size_t depth) {
    const struct pq_text name = place->name;
    if (!pq_is_column_name(name)) {
        schema_problem(parse, place, "INVALID_NAME",
                       "Use letters, digits and _, not beginning with a digit",
                       "'%.*s' is no column name", PQ_TEXT_ARG(name));
        return false;
    }
    if (pq_name_set_find(names, name) != UINT32_MAX) return false;  // reported as DUPLICATE_KEY
    if (pq_name_set_add(names, name, 0) != UINT32_MAX) {
        schema_problem(parse, place, "DUPLICATE_COLUMN", "Rename one of them",
                       "another column differs from '%.*s' only in case", PQ_TEXT_ARG(name));
        return false;
    }
    const char *taken = depth == 0 ? taken_by(parse, name) : NULL;
    if (taken == NULL) return true;
    schema_problem(parse, place, "DUPLICATE_COLUMN", "Rename it",
                   "'%.*s' is taken by the system column %s", PQ_TEXT_ARG(name), taken);
    return false;
}

static pqdb_code read_declaration(struct schema_parse *parse, const struct place *place,
                                  const struct pq_json *value, size_t depth,
                                  struct pq_declared_field *field) {
    struct pq_ice_target target = {&parse->schema->arena, parse->problems, field};
    const pqdb_code code = pq_ice_type_parse(place->name, pq_json_text(value),
                                             schema_at(parse, place), &target, parse->err);
    if (code != PQDB_OK) {
        parse->entry->broken = true;
        return code;
    }
    if (depth == 0) return PQDB_OK;
    const bool is_inverse = field->relation != NULL && field->relation->inverse;
    if (is_inverse || field->unique) {
        schema_problem(parse, place, "INVALID_TYPE", "Declare it beside the object",
                       "%s only at the top level of an entry",
                       is_inverse ? "a computed inverse stands" : "## is possible");
        return PQDB_INVALID;
    }
    return PQDB_OK;
}

static pqdb_code read_object(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *object, size_t depth,
                             struct pq_declared_field *field) {
    struct pq_arena *arena = &parse->schema->arena;
    if (depth >= PQ_FIELD_DEPTH_MAX || pq_json_count(object) == 0) {
        schema_problem(parse, place, "INVALID_TYPE", "Use variant for objects of any shape",
                       depth >= PQ_FIELD_DEPTH_MAX ? "objects are nested too deeply"
                                                   : "the object declares no fields");
        return PQDB_INVALID;
    }
    struct field_list list;
    PQ_TRY(schema_read_fields(parse, place, object, depth + 1, &list));
    const struct pq_problem_at at = schema_at(parse, place);
    *field = (struct pq_declared_field){
        .column = -1,
        .members = list.items,
        .member_count = list.count,
        .declaration = PQ_TEXT(""),
        .line = at.line,
        .column_in_line = at.column,
    };
    field->field.name = pq_arena_copy(arena, place->name);
    struct pq_field *members = pq_arena_calloc(arena, list.count, sizeof *members);
    if (field->field.name.data == NULL || members == NULL) return schema_no_memory(parse);
    for (size_t i = 0; i < list.count; i++) members[i] = list.items[i].field;
    field->field.type = (struct pq_type){
        .kind = PQ_OBJECT, .field_count = (uint32_t)list.count, .fields = members};
    return PQDB_OK;
}

/// `[{ … }]`
static pqdb_code read_list(struct schema_parse *parse, const struct place *place,
                           const struct pq_json *list, size_t depth,
                           struct pq_declared_field *field) {
    const struct pq_json *element = pq_json_count(list) == 1 ? pq_json_first(list) : NULL;
    if (element == NULL || pq_json_kind(element) != PQ_JSON_OBJECT) {
        const bool has_text = element != NULL && is_text(element);
        schema_problem(parse, place, "INVALID_TYPE",
                       has_text ? "Write the list as text, like 'string[]'"
                                : "Write [{ product: 'string', qty: 'int' }]",
                       "a list is declared by one object in brackets");
        return PQDB_INVALID;
    }
    PQ_TRY(read_object(parse, place, element, depth, field));
    return pq_ice_wrap_list(&parse->schema->arena, field, parse->err);
}

static pqdb_code read_field(struct schema_parse *parse, const struct place *place,
                            const struct pq_json *value, size_t depth,
                            struct pq_declared_field *field) {
    switch (pq_json_kind(value)) {
    case PQ_JSON_TEXT: return read_declaration(parse, place, value, depth, field);
    case PQ_JSON_OBJECT: return read_object(parse, place, value, depth, field);
    case PQ_JSON_LIST: return read_list(parse, place, value, depth, field);
    default: break;
    }
    schema_problem(parse, place, "INVALID_TYPE", "Write a type as text, like 'string!'",
                   "a field is declared by text, an object or a list");
    return PQDB_INVALID;
}

static bool is_key(struct pq_text name) { return name.length > 0 && name.data[0] == '$'; }

pqdb_code schema_read_fields(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *object, size_t depth, struct field_list *list) {
    const size_t count = pq_json_count(object);
    *list = (struct field_list){0};
    if (count > PQ_ENTRY_FIELDS_MAX) {
        schema_problem(parse, place, "TOO_MANY", "Use a variant", "more than %d fields",
                       PQ_ENTRY_FIELDS_MAX);
        return PQDB_INVALID;
    }
    struct pq_name_set names;
    list->items = pq_arena_calloc(&parse->schema->arena, count, sizeof *list->items);
    if (list->items == NULL ||
        !pq_name_set_init(&names, (uint32_t)count, &parse->schema->arena)) {
        return schema_no_memory(parse);
    }
    bool is_sound = true;
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *value = pq_json_next(key);
        const struct place field = {place, pq_json_text(key), key};
        key = pq_json_next(value);
        if (depth == 0 && is_key(field.name)) continue;
        if (!add_name(parse, &field, &names, depth)) {
            is_sound = false;
            continue;
        }
        const pqdb_code code = read_field(parse, &field, value, depth, &list->items[list->count]);
        if (code != PQDB_OK && code != PQDB_INVALID) return code;
        if (code == PQDB_OK) {
            list->count++;
        } else {
            is_sound = false;
        }
    }
    return is_sound || depth == 0 ? PQDB_OK : PQDB_INVALID;
}

// ---- relations --------------------------------------------------------------------------------

/// A field that has been read, on the way down from its entry.
struct step {
    const struct step *up;
    const struct pq_declared_field *field;
};

static void relation_problem(struct schema_parse *parse, const struct step *step,
                             const char *remedy, const char *message) {
    char path[PQ_SCHEMA_PATH_MAX], longer[PQ_SCHEMA_PATH_MAX] = "";
    for (const struct step *at = step; at != NULL; at = at->up) {
        snprintf(path, sizeof path, "%s%s%.60s", at->field->field.name.data,
                 *longer == '\0' ? "" : ".", longer);
        snprintf(longer, sizeof longer, "%s", path);
    }
    snprintf(path, sizeof path, "%.50s.%.60s", parse->entry->name.data, longer);
    const struct pq_problem_at at = {pq_text_of(path), step->field->line,
                                     step->field->column_in_line};
    parse->entry->broken = true;
    pq_problem_add(parse->problems, "INVALID_RELATION", at, remedy, "%s", message);
}

static bool points_at(const struct pq_declared_field *field, const struct pq_entry *entry) {
    return field != NULL && field->relation != NULL && !field->relation->inverse &&
           pq_text_equal(field->relation->target, entry->name);
}

static void check_relation(struct schema_parse *parse, const struct step *step) {
    const struct pq_relation *relation = step->field->relation;
    const struct pq_entry *target = pq_schema_find(parse->schema, relation->target);
    char message[256], remedy[100] = "";
    if (target == NULL || target->kind == PQ_ENTRY_VIEW) {
        const bool is_kept = parse->problems->count < PQ_PROBLEMS_MAX;  // a search is not cheap
        const char *nearest =
            is_kept ? pq_schema_nearest(parse->schema, relation->target) : NULL;
        if (target == NULL && nearest != NULL) {
            snprintf(remedy, sizeof remedy, "Did you mean %.60s?", nearest);
        }
        snprintf(message, sizeof message, "'%.60s' is %s", relation->target.data,
                 target == NULL ? "not declared" : "a view; a relation names a collection");
        relation_problem(parse, step, remedy, message);
        return;
    }
    if (relation->inverse) {
        const struct pq_declared_field *back = pq_entry_find(target, relation->field);
        if (points_at(back, parse->entry) || target->broken) return;
        snprintf(message, sizeof message, "%.60s.%.60s is no relation to %.60s",
                 target->name.data, relation->field.data, parse->entry->name.data);
        snprintf(remedy, sizeof remedy, "Declare it there as '-> %.60s'", parse->entry->name.data);
        relation_problem(parse, step, remedy, message);
        return;
    }
    if (relation->reverse.length == 0) return;
    const struct pq_declared_field *back = pq_entry_find(target, relation->reverse);
    const bool is_back = back == NULL || (back->relation != NULL && back->relation->inverse &&
                                          pq_text_equal(back->relation->target,
                                                        parse->entry->name) &&
                                          pq_text_equal(back->relation->field,
                                                        step->field->field.name));
    if (is_back) return;
    snprintf(message, sizeof message, "%.60s declares '%.60s' as something else",
             target->name.data, relation->reverse.data);
    relation_problem(parse, step, "Choose another name for the way back", message);
}

static void check_fields(struct schema_parse *parse, const struct step *up,
                         const struct pq_declared_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct step step = {up, &fields[i]};
        if (fields[i].relation != NULL) check_relation(parse, &step);
        check_fields(parse, &step, fields[i].members, fields[i].member_count);
    }
}

void schema_check_relations(struct schema_parse *parse) {
    for (size_t i = 0; i < parse->schema->entry_count; i++) {
        parse->entry = &parse->schema->entries[i];
        check_fields(parse, NULL, parse->entry->fields, parse->entry->field_count);
    }
    parse->entry = NULL;
}
