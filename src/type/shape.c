/// type/shape.c: see shape.h.
#include "type/shape.h"

#include <string.h>

#include "base/fail.h"

// ---- comparing --------------------------------------------------------------------------------

/// Can the values of a column be taken over, members and elements aside?
static bool takes_over(const struct pq_type *before, const struct pq_type *now) {
    if (before->kind == PQ_FLOAT32 && now->kind == PQ_FLOAT64) return true;
    if (before->kind != now->kind) return false;
    if (now->kind == PQ_DECIMAL) {
        return before->scale == now->scale && before->precision <= now->precision;
    }
    if (now->kind == PQ_LIST) return takes_over(&before->fields[0].type, &now->fields[0].type);
    return true;
}

static bool is_same_leaf(const struct pq_type *a, const struct pq_type *b) {
    return a->kind == b->kind && a->precision == b->precision && a->scale == b->scale;
}

/// The member with this id; where ids are missing, the one with this name.
static const struct pq_field *member_of(const struct pq_type *object,
                                        const struct pq_field *wanted) {
    for (uint32_t i = 0; i < object->field_count; i++) {
        const struct pq_field *field = &object->fields[i];
        const bool by_id = field->id != 0 && wanted->id != 0;
        if (by_id ? field->id == wanted->id : pq_text_equal(field->name, wanted->name)) {
            return field;
        }
    }
    return NULL;
}

bool pq_shape_reads_as(const struct pq_type *stored, const struct pq_type *wanted) {
    if (!takes_over(stored, wanted)) return false;
    if (wanted->kind == PQ_LIST) {
        return pq_shape_reads_as(&stored->fields[0].type, &wanted->fields[0].type);
    }
    for (uint32_t i = 0; wanted->kind == PQ_OBJECT && i < wanted->field_count; i++) {
        const struct pq_field *member = member_of(stored, &wanted->fields[i]);
        if (member != NULL && !pq_shape_reads_as(&member->type, &wanted->fields[i].type)) {
            return false;
        }
    }
    return true;
}

bool pq_shape_is_same(const struct pq_type *a, const struct pq_type *b) {
    if (!is_same_leaf(a, b) || a->field_count != b->field_count) return false;
    for (uint32_t i = 0; i < a->field_count; i++) {
        const struct pq_field *x = &a->fields[i], *y = &b->fields[i];
        const bool counts = a->kind == PQ_OBJECT;  // an element's id says nothing
        if (counts && (x->id != y->id || !pq_text_equal(x->name, y->name))) return false;
        if (!pq_shape_is_same(&x->type, &y->type)) return false;
    }
    return true;
}

void pq_shape_copy_ids(struct pq_type *to, const struct pq_type *from) {
    struct pq_field *fields = (struct pq_field *)(uintptr_t)to->fields;
    for (uint32_t i = 0; i < to->field_count; i++) {
        fields[i].id = from->fields[i].id;
        pq_shape_copy_ids(&fields[i].type, &from->fields[i].type);
    }
}

int32_t pq_shape_highest_id(const struct pq_type *type) {
    int32_t highest = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const int32_t below = pq_shape_highest_id(&type->fields[i].type);
        if (type->fields[i].id > highest) highest = type->fields[i].id;
        if (below > highest) highest = below;
    }
    return highest;
}

// ---- following --------------------------------------------------------------------------------

struct walk {
    const struct pq_shape_follow *asked;
    int32_t *next_id;
    struct pq_arena *arena;
    struct pq_shape_change *changes;
    size_t count, room;
    uint32_t column;  // at the top, that the walk is below
    pqdb_error *err;
};

static pqdb_code no_room(const struct walk *walk) {
    return pq_fail(walk->err, PQDB_NO_MEMORY, "a schema");
}

static pqdb_code note(struct walk *walk, const struct pq_shape_change *change) {
    if (walk->count == walk->room) {
        const size_t room = walk->room == 0 ? 16 : walk->room * 2;
        struct pq_shape_change *grown = pq_arena_alloc(walk->arena, room * sizeof *grown);
        if (grown == NULL) return no_room(walk);
        if (walk->count > 0) memcpy(grown, walk->changes, walk->count * sizeof *grown);
        walk->changes = grown;
        walk->room = room;
    }
    walk->changes[walk->count] = *change;
    walk->changes[walk->count++].column = walk->column;
    return PQDB_OK;
}

static pqdb_code join(struct walk *walk, struct pq_text above, struct pq_text name,
                      struct pq_text *path) {
    *path = name;
    if (above.length == 0) return PQDB_OK;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &walk->arena->alloc);
    PQ_TRY(pq_bytes_printf(&bytes, walk->err, "%.*s.%.*s", PQ_TEXT_ARG(above), PQ_TEXT_ARG(name)));
    *path = pq_bytes_text(&bytes);
    return PQDB_OK;
}

static struct pq_text former_name(const struct walk *walk, struct pq_text name, bool at_top) {
    const struct pq_shape_follow *asked = walk->asked;
    for (size_t i = 0; at_top && i < asked->rename_count; i++) {
        if (pq_text_equal(asked->renames[i].now, name)) return asked->renames[i].was;
    }
    return (struct pq_text){NULL, 0};
}

static const struct pq_field *find_by_name(const struct pq_type *object, struct pq_text name) {
    const int at = object == NULL || name.length == 0 ? -1 : pq_type_find(object, name);
    return at < 0 ? NULL : &object->fields[at];
}

/// The column of old that this one is or takes the name of.
static const struct pq_field *find_before(const struct walk *walk, const struct pq_type *before,
                                          const struct pq_field *field, bool at_top,
                                          bool *is_renamed) {
    *is_renamed = false;
    const struct pq_field *same = find_by_name(before, field->name);
    if (same != NULL) return same;
    const struct pq_field *was =
        find_by_name(before, former_name(walk, field->name, at_top));
    *is_renamed = was != NULL;
    return was;
}

static pqdb_code follow_members(struct walk *walk, struct pq_type *type,
                                const struct pq_type *before, struct pq_text path);

static bool is_element(const struct pq_type *type) { return type->kind == PQ_LIST; }

/// What is not the same of a column that is: its own type, and whether it may be null.
static pqdb_code compare(struct walk *walk, const struct pq_field *before,
                         const struct pq_field *now, struct pq_text path, bool is_renamed) {
    const struct pq_type *a = &before->type, *b = &now->type;
    struct pq_shape_change change = {.path = path, .before = before, .now = now};
    while (a->kind == PQ_LIST && b->kind == PQ_LIST) {
        a = &a->fields[0].type;
        b = &b->fields[0].type;
    }
    if (is_renamed) {
        change.kind = PQ_SHAPE_RENAMED;
        PQ_TRY(note(walk, &change));
    }
    if (!is_same_leaf(a, b)) {
        change.kind = PQ_SHAPE_WIDENED;
        PQ_TRY(note(walk, &change));
    }
    if (before->required == now->required) return PQDB_OK;
    change.kind = now->required ? PQ_SHAPE_REQUIRED : PQ_SHAPE_OPTIONAL;
    return note(walk, &change);
}

static pqdb_code follow_field(struct walk *walk, struct pq_field *field,
                              const struct pq_type *before, struct pq_text above, bool listed) {
    const bool at_top = before == walk->asked->before;
    bool is_renamed = false;
    struct pq_text path = above;
    if (!listed) PQ_TRY(join(walk, above, field->name, &path));
    const struct pq_field *old = listed ? (before == NULL ? NULL : &before->fields[0])
                                        : find_before(walk, before, field, at_top, &is_renamed);
    const bool keeps = old != NULL && takes_over(&old->type, &field->type);
    field->id = keeps ? old->id : (*walk->next_id)++;
    if (before != NULL && !listed) {
        const struct pq_shape_change change = {
            .kind = old == NULL ? PQ_SHAPE_ADDED : PQ_SHAPE_RETYPED, .path = path,
            .before = old, .now = field};
        PQ_TRY(keeps ? compare(walk, old, field, path, is_renamed) : note(walk, &change));
    }
    return follow_members(walk, &field->type, keeps ? &old->type : NULL, path);
}

/// Is it in the new type, by its name or as one that was renamed?
static bool is_taken(const struct walk *walk, const struct pq_type *type,
                     const struct pq_field *old, bool at_top) {
    if (pq_type_find(type, old->name) >= 0) return true;
    const struct pq_shape_follow *asked = walk->asked;
    for (size_t i = 0; at_top && i < asked->rename_count; i++) {
        const bool is_it = pq_text_equal(asked->renames[i].was, old->name);
        if (is_it && pq_type_find(type, asked->renames[i].now) >= 0) return true;
    }
    return false;
}

static pqdb_code note_dropped(struct walk *walk, const struct pq_type *type,
                              const struct pq_type *before, struct pq_text above) {
    const bool at_top = before == walk->asked->before;
    for (uint32_t i = 0; before != NULL && i < before->field_count; i++) {
        const struct pq_field *old = &before->fields[i];
        if (is_taken(walk, type, old, at_top)) continue;
        struct pq_shape_change change = {.kind = PQ_SHAPE_DROPPED, .before = old};
        PQ_TRY(join(walk, above, old->name, &change.path));
        if (at_top) walk->column = i;
        PQ_TRY(note(walk, &change));
    }
    return PQDB_OK;
}

static pqdb_code follow_members(struct walk *walk, struct pq_type *type,
                                const struct pq_type *before, struct pq_text path) {
    if (type->field_count == 0) return PQDB_OK;
    const bool at_top = before == walk->asked->before;
    struct pq_field *fields = pq_arena_alloc(walk->arena, type->field_count * sizeof *fields);
    if (fields == NULL) return no_room(walk);
    memcpy(fields, type->fields, type->field_count * sizeof *fields);
    type->fields = fields;
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (at_top) walk->column = i;
        PQ_TRY(follow_field(walk, &fields[i], before, path, is_element(type)));
    }
    return is_element(type) ? PQDB_OK : note_dropped(walk, type, before, path);
}

pqdb_code pq_shape_follow(const struct pq_shape_follow *asked, int32_t *next_id,
                          struct pq_arena *arena, struct pq_type *out,
                          struct pq_shape_changes *changes, pqdb_error *err) {
    struct walk walk = {.asked = asked, .next_id = next_id, .arena = arena, .err = err};
    struct pq_type type = *asked->type;
    PQ_TRY(follow_members(&walk, &type, asked->before, (struct pq_text){NULL, 0}));
    *out = type;
    if (changes != NULL) *changes = (struct pq_shape_changes){walk.changes, walk.count};
    return PQDB_OK;
}

// ---- as JSON ----------------------------------------------------------------------------------

static const char *const kind_names[] = {
    [PQ_NULL] = "null", [PQ_BOOL] = "boolean", [PQ_INT64] = "int", [PQ_FLOAT32] = "float",
    [PQ_FLOAT64] = "double", [PQ_DECIMAL] = "decimal", [PQ_DATE] = "date", [PQ_TIME] = "time",
    [PQ_TIMESTAMP] = "timestamp", [PQ_TEXT] = "string", [PQ_BINARY] = "binary",
    [PQ_LIST] = "list", [PQ_OBJECT] = "object", [PQ_VARIANT] = "variant"};
enum { kind_count = sizeof kind_names / sizeof *kind_names, depth_max = 64 };

pqdb_code pq_shape_write(const struct pq_type *object, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(out, '[', err));
    for (uint32_t i = 0; i < object->field_count; i++) {
        const struct pq_field *field = &object->fields[i];
        const struct pq_type *type = &field->type;
        PQ_TRY(pq_bytes_printf(out, err, "%s{\"id\":%d,\"name\":", i == 0 ? "" : ",",
                               (int)field->id));
        PQ_TRY(pq_json_write_text(out, field->name, err));
        PQ_TRY(pq_bytes_printf(out, err, ",\"type\":\"%s\"", kind_names[type->kind]));
        if (type->kind == PQ_DECIMAL) {
            PQ_TRY(pq_bytes_printf(out, err, ",\"precision\":%u,\"scale\":%u",
                                   (unsigned)type->precision, (unsigned)type->scale));
        }
        if (field->required) PQ_TRY(pq_bytes_printf(out, err, ",\"required\":true"));
        if (type->field_count > 0) {
            PQ_TRY(pq_bytes_printf(out, err, ",\"fields\":"));
            PQ_TRY(pq_shape_write(type, out, err));
        }
        PQ_TRY(pq_bytes_append_byte(out, '}', err));
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code no_shape(pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "a list of columns that is none");
}

static int64_t int_of(const struct pq_json *object, const char *key) {
    const struct pq_json *value = pq_json_find(object, key);
    return value != NULL && pq_json_kind(value) == PQ_JSON_INT ? pq_json_int(value) : 0;
}

static bool kind_of(const struct pq_json *object, enum pq_kind *kind) {
    const struct pq_json *value = pq_json_find(object, "type");
    if (value == NULL || pq_json_kind(value) != PQ_JSON_TEXT) return false;
    for (size_t i = 0; i < kind_count; i++) {
        if (!pq_text_is(pq_json_text(value), kind_names[i])) continue;
        *kind = (enum pq_kind)i;
        return true;
    }
    return false;
}

static pqdb_code parse_members(const struct pq_json *json, int depth, struct pq_arena *arena,
                               struct pq_type *type, pqdb_error *err);

static pqdb_code parse_field(const struct pq_json *json, int depth, struct pq_arena *arena,
                             struct pq_field *field, pqdb_error *err) {
    if (pq_json_kind(json) != PQ_JSON_OBJECT) return no_shape(err);
    const struct pq_json *name = pq_json_find(json, "name");
    const struct pq_json *required = pq_json_find(json, "required");
    const struct pq_json *members = pq_json_find(json, "fields");
    const int64_t id = int_of(json, "id");
    const int64_t precision = int_of(json, "precision"), scale = int_of(json, "scale");
    if (name == NULL || pq_json_kind(name) != PQ_JSON_TEXT || id <= 0 || id > INT32_MAX ||
        precision < 0 || precision > 38 || scale < 0 || scale > precision ||
        !kind_of(json, &field->type.kind)) {
        return no_shape(err);
    }
    field->name = pq_arena_copy(arena, pq_json_text(name));
    if (field->name.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of columns");
    field->id = (int32_t)id;
    field->type.precision = (uint8_t)precision;
    field->type.scale = (uint8_t)scale;
    field->required = required != NULL && pq_json_kind(required) == PQ_JSON_BOOL &&
                      pq_json_bool(required);
    const enum pq_kind kind = field->type.kind;
    if (members != NULL) PQ_TRY(parse_members(members, depth + 1, arena, &field->type, err));
    const bool nests = kind == PQ_OBJECT || kind == PQ_LIST;
    if (nests ? members == NULL : members != NULL) return no_shape(err);
    if ((kind == PQ_DECIMAL) != (precision > 0)) return no_shape(err);
    return kind == PQ_LIST && field->type.field_count != 1 ? no_shape(err) : PQDB_OK;
}

static pqdb_code parse_members(const struct pq_json *json, int depth, struct pq_arena *arena,
                               struct pq_type *type, pqdb_error *err) {
    if (pq_json_kind(json) != PQ_JSON_LIST || depth > depth_max) return no_shape(err);
    const size_t count = pq_json_count(json);
    struct pq_field *fields = pq_arena_calloc(arena, count + 1, sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of columns");
    const struct pq_json *item = pq_json_first(json);
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(parse_field(item, depth, arena, &fields[i], err));
        item = pq_json_next(item);
    }
    type->fields = fields;
    type->field_count = (uint32_t)count;
    return PQDB_OK;
}

pqdb_code pq_shape_parse(const struct pq_json *json, struct pq_arena *arena, struct pq_type *out,
                         pqdb_error *err) {
    struct pq_type type = {.kind = PQ_OBJECT};
    PQ_TRY(parse_members(json, 0, arena, &type, err));
    *out = type;
    return PQDB_OK;
}
