/// db/schema_steps.c: two schemas beside each other.
#include "db/schema_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

struct comparison {
    const struct pq_db_plan *before, *now;
    struct pq_arena *arena;
    struct pq_db_steps *steps;
    pqdb_error *err;
};

static const char *const kind_names[] = {"collection", "stream", "view", "external"};

static pqdb_code no_room(const struct comparison *c) {
    return pq_fail(c->err, PQDB_NO_MEMORY, "the steps of a schema");
}

static pqdb_code add_step(struct comparison *c, const struct pq_db_step *step) {
    struct pq_db_steps *steps = c->steps;
    if (steps->count == steps->room) {
        const size_t room = steps->room == 0 ? 32 : steps->room * 2;
        struct pq_db_step *grown = pq_arena_alloc(c->arena, room * sizeof *grown);
        if (grown == NULL) return no_room(c);
        if (steps->count > 0) memcpy(grown, steps->items, steps->count * sizeof *grown);
        steps->items = grown;
        steps->room = room;
    }
    struct pq_db_step *made = &steps->items[steps->count++];
    *made = *step;
    if (made->told.detail == NULL) made->told.detail = "";
    made->told.reason = made->told.remedy = "";
    return PQDB_OK;
}

static pqdb_code simple_step(struct comparison *c, const char *action, const struct pq_entry *entry,
                             const char *detail) {
    const struct pq_db_step step = {.told = {.action = action, .kind = kind_names[entry->kind],
                                             .name = entry->name.data, .detail = detail}};
    return add_step(c, &step);
}

__attribute__((format(printf, 3, 4))) static pqdb_code print(const struct comparison *c,
                                                             const char **out,
                                                             const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : pq_arena_alloc(c->arena, (size_t)length + 1);
    if (text == NULL) return no_room(c);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    *out = text;
    return PQDB_OK;
}

// ---- a definition's members ---------------------------------------------------------------------

/// A member as people would write it: text without its quotes; "" for none.
static pqdb_code show(const struct comparison *c, const struct pq_json *value,
                      struct pq_text *text) {
    *text = PQ_TEXT("");
    if (value == NULL) return PQDB_OK;
    if (pq_json_kind(value) == PQ_JSON_TEXT) {
        *text = pq_json_text(value);
        return PQDB_OK;
    }
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &c->arena->alloc);
    PQ_TRY(pq_json_write(&bytes, value, c->err));
    *text = pq_bytes_text(&bytes);
    return PQDB_OK;
}

static pqdb_code is_equal(const struct comparison *c, const struct pq_json *a,
                          const struct pq_json *b, bool *equal) {
    struct pq_text x, y;
    PQ_TRY(show(c, a, &x));
    PQ_TRY(show(c, b, &y));
    *equal = (a == NULL) == (b == NULL) && pq_text_equal(x, y);
    return PQDB_OK;
}

static pqdb_code show_change(const struct comparison *c, const struct pq_json *a,
                             const struct pq_json *b, const char **detail) {
    struct pq_text was, is;
    PQ_TRY(show(c, a, &was));
    PQ_TRY(show(c, b, &is));
    enum { shown_max = 60 };
    const int was_bytes = (int)(was.length < shown_max ? was.length : shown_max);
    const int is_bytes = (int)(is.length < shown_max ? is.length : shown_max);
    if (a == NULL) return print(c, detail, "%.*s", is_bytes, is.data);
    if (b == NULL) return print(c, detail, "was %.*s", was_bytes, was.data);
    return print(c, detail, "%.*s to %.*s", was_bytes, was.data, is_bytes, is.data);
}

// ---- columns ------------------------------------------------------------------------------------

struct pair {
    const struct pq_entry *before, *now;
    const struct pq_db_follow *follow;
};

static struct pq_text first_name(struct pq_text path) {
    const char *dot = memchr(path.data, '.', path.length);
    return (struct pq_text){path.data, dot == NULL ? path.length : (size_t)(dot - path.data)};
}

static const struct pq_json *declared(const struct pq_entry *entry, struct pq_text name) {
    const struct pq_json *key = pq_json_first(entry->definition);
    for (size_t i = pq_json_count(entry->definition); i > 0; i--) {
        const struct pq_json *value = pq_json_next(key);
        if (pq_text_equal(pq_json_text(key), name)) return value;
        key = pq_json_next(value);
    }
    return NULL;
}

static struct pq_text former_of(const struct pq_entry *entry, struct pq_text name) {
    for (size_t i = 0; i < entry->former_count; i++) {
        if (pq_text_equal(entry->former[i].now, name)) return entry->former[i].was;
    }
    return name;
}

/// The column of the rows that are there.
static uint32_t column_before(const struct pair *pair, const struct pq_shape_change *change) {
    const struct pq_db_shape *shape = pair->follow->before;
    const struct pq_type *type = &shape->types[shape->type_count - 1];
    struct pq_text top = first_name(change->path);
    if (pq_type_find(type, top) < 0) top = former_of(pair->now, top);
    const int at = pq_type_find(type, top);
    return at < 0 ? 0 : (uint32_t)at;
}

static enum pq_db_need need_of(const struct pq_shape_change *change, bool is_nested) {
    switch (change->kind) {
        case PQ_SHAPE_RETYPED:
        case PQ_SHAPE_DROPPED: return PQ_DB_NEED_EMPTY;
        case PQ_SHAPE_REQUIRED: return PQ_DB_NEED_FILLED;
        case PQ_SHAPE_ADDED:
            if (change->now->required) return PQ_DB_NEED_FILLED;
            return is_nested ? PQ_DB_NEED_NOTHING : PQ_DB_NEED_UNUSED;
        default: return PQ_DB_NEED_NOTHING;
    }
}

static pqdb_code column_step(struct comparison *c, const struct pair *pair,
                             const struct pq_shape_change *change) {
    static const char *const actions[] = {"add", "rename", "change", "change", "drop", "change",
                                          "change"};
    const struct pq_text top = first_name(change->path);
    const bool is_nested = top.length < change->path.length;
    const struct pq_json *was = declared(pair->before, former_of(pair->now, top));
    const struct pq_json *is = declared(pair->now, top);
    struct pq_db_step step = {
        .told = {.action = actions[change->kind], .kind = "field"},
        .need = need_of(change, is_nested), .shape = pair->follow->before,
        .column = column_before(pair, change), .is_nested = is_nested, .entry = pair->now,
        .field = change->path};
    PQ_TRY(print(c, &step.told.name, "%.*s.%.*s", PQ_TEXT_ARG(pair->now->name),
                 PQ_TEXT_ARG(change->path)));
    if (change->kind == PQ_SHAPE_RENAMED) {
        PQ_TRY(print(c, &step.told.detail, "was %.*s", PQ_TEXT_ARG(change->before->name)));
    } else if (!is_nested) {
        PQ_TRY(show_change(c, was, is, &step.told.detail));
    } else {
        const struct pq_field *a = change->before, *b = change->now;
        const struct pq_text x = a == NULL ? PQ_TEXT("") : pq_type_format(&a->type, c->arena);
        const struct pq_text y = b == NULL ? PQ_TEXT("") : pq_type_format(&b->type, c->arena);
        PQ_TRY(print(c, &step.told.detail, "%s%.*s%s%s%.*s%s", b == NULL ? "was " : "",
                     PQ_TEXT_ARG(x), a != NULL && a->required ? "!" : "",
                     a != NULL && b != NULL ? " to " : "", PQ_TEXT_ARG(y),
                     b != NULL && b->required ? "!" : ""));
    }
    return add_step(c, &step);
}

static bool has_change(const struct pq_shape_changes *changes, struct pq_text name) {
    for (size_t i = 0; i < changes->count; i++) {
        const struct pq_shape_change *change = &changes->items[i];
        if (change->kind == PQ_SHAPE_RENAMED) continue;
        if (pq_text_equal(first_name(change->path), name)) return true;
    }
    return false;
}

/// Do values that the old rules let in break the new ones perhaps?
static bool is_stricter(const struct pq_declared_field *a, const struct pq_declared_field *b) {
    bool stricter = false;
    if (b->form == PQ_FORM_ENUM) {
        for (size_t i = 0; a->form == PQ_FORM_ENUM && i < a->enum_count && !stricter; i++) {
            bool found = false;
            for (size_t k = 0; k < b->enum_count; k++) {
                found = found || pq_text_equal(a->enum_values[i], b->enum_values[k]);
            }
            stricter = !found;
        }
        stricter = stricter || a->form != PQ_FORM_ENUM;
    } else if (b->form == PQ_FORM_VARCHAR) {
        const bool bounded = a->form == PQ_FORM_VARCHAR || a->form == PQ_FORM_CHAR;
        stricter = !bounded || a->length_max > b->length_max;
    } else if (b->form != PQ_FORM_ANY) {
        stricter = a->form != b->form || a->length_max != b->length_max;
    }
    stricter = stricter || (b->vector_length != 0 && a->vector_length != b->vector_length);
    for (size_t i = 0; i < b->member_count && !stricter; i++) {
        for (size_t k = 0; k < a->member_count; k++) {
            if (!pq_text_equal(a->members[k].field.name, b->members[i].field.name)) continue;
            stricter = is_stricter(&a->members[k], &b->members[i]);
        }
    }
    return stricter;
}

/// Rules of one field, whatever its column does.
static pqdb_code rule_steps(struct comparison *c, const struct pair *pair,
                            const struct pq_declared_field *field) {
    const struct pq_text name = field->field.name, was = former_of(pair->now, name);
    const struct pq_declared_field *old = pq_entry_find(pair->before, name);
    if (old == NULL) old = pq_entry_find(pair->before, was);
    if (old == NULL || old->column < 0 || field->column < 0) return PQDB_OK;
    const struct pq_json *a = declared(pair->before, old->field.name);
    const struct pq_json *b = declared(pair->now, name);
    bool equal;
    PQ_TRY(is_equal(c, a, b, &equal));
    if (equal) return PQDB_OK;
    const bool stricter = is_stricter(old, field), unique = field->unique && !old->unique;
    if (!stricter && !unique && has_change(&pair->follow->changes, name)) return PQDB_OK;
    struct pq_db_step step = {
        .told = {.action = "change", .kind = "field"}, .shape = pair->follow->before,
        .column = (uint32_t)old->column, .entry = pair->now, .field = name,
        .is_nested = field->member_count > 0,
        .need = stricter ? PQ_DB_NEED_FITTING : PQ_DB_NEED_NOTHING};
    PQ_TRY(print(c, &step.told.name, "%.*s.%.*s", PQ_TEXT_ARG(pair->now->name),
                 PQ_TEXT_ARG(name)));
    PQ_TRY(show_change(c, a, b, &step.told.detail));
    if (stricter || !unique) PQ_TRY(add_step(c, &step));
    step.need = PQ_DB_NEED_UNIQUE;
    return unique ? add_step(c, &step) : PQDB_OK;
}

/// The `$` keys of an entry that is no view, but for $was.
static pqdb_code key_steps(struct comparison *c, const struct pair *pair) {
    const struct pq_json *sides[] = {pair->before->definition, pair->now->definition};
    for (int side = 0; side < 2; side++) {
        const struct pq_json *key = pq_json_first(sides[side]);
        for (size_t i = pq_json_count(sides[side]); i > 0; i--) {
            const struct pq_text name = pq_json_text(key);
            const struct pq_json *value = pq_json_next(key);
            key = pq_json_next(value);
            const struct pq_json *other = pq_json_find(sides[1 - side], name.data);
            if (name.data[0] != '$' || pq_text_is(name, "$was")) continue;
            if (side == 1 && other != NULL) continue;  // told from the other side
            const struct pq_json *a = side == 0 ? value : NULL, *b = side == 0 ? other : value;
            bool equal;
            PQ_TRY(is_equal(c, a, b, &equal));
            if (equal) continue;
            const char *change, *detail;
            PQ_TRY(show_change(c, a, b, &change));
            PQ_TRY(print(c, &detail, "%.*s: %s", PQ_TEXT_ARG(name), change));
            PQ_TRY(simple_step(c, "change", pair->now, detail));
        }
    }
    return PQDB_OK;
}

static pqdb_code collection_steps(struct comparison *c, const struct pair *pair) {
    const struct pq_shape_changes *changes = &pair->follow->changes;
    for (size_t i = 0; i < changes->count; i++) {
        PQ_TRY(column_step(c, pair, &changes->items[i]));
    }
    for (size_t i = 0; i < pair->now->field_count; i++) {
        PQ_TRY(rule_steps(c, pair, &pair->now->fields[i]));
    }
    return key_steps(c, pair);
}

// ---- views --------------------------------------------------------------------------------------

static pqdb_code view_steps(struct comparison *c, const struct pair *pair) {
    const struct pq_view *was = pq_views_find(c->before->views, pair->before->name);
    const struct pq_view *is = pq_views_find(c->now->views, pair->now->name);
    if (was == NULL || is == NULL) return PQDB_OK;
    bool equal;
    PQ_TRY(is_equal(c, pair->before->definition, pair->now->definition, &equal));
    const bool keeps = pair->before->retention_keeps;
    if (was->refresh_version != is->refresh_version && (was->append || keeps)) {
        const struct pq_db_step step = {
            .told = {.action = "rebuild", .kind = kind_names[pair->now->kind],
                     .name = pair->now->name.data,
                     .detail = was->append ? "its definition changed: what it has appended goes"
                                           : "its definition changed: what it has kept goes"},
            .need = was->append ? PQ_DB_NEED_EMPTY : PQ_DB_NEED_NOTHING_KEPT,
            .shape = pair->follow->before};
        return add_step(c, &step);
    }
    if (was->refresh_version != is->refresh_version) {
        return simple_step(c, "rebuild", pair->now,
                           equal ? "what it reads changed" : "its definition changed");
    }
    return equal ? PQDB_OK : simple_step(c, "change", pair->now, "settings");
}

// ---- entries ------------------------------------------------------------------------------------

static pqdb_code entry_steps(struct comparison *c, size_t index) {
    const struct pq_entry *now = &c->now->schema->entries[index];
    const struct pq_db_follow *follow = &c->now->follows[index];
    const bool is_external = now->kind == PQ_ENTRY_EXTERNAL;
    const struct pq_text former = is_external || follow->before == NULL ? now->name
                                                                        : follow->before->name;
    const struct pq_entry *before = pq_schema_find(c->before->schema, former);
    const bool is_new = is_external ? before == NULL || before->kind != now->kind
                                    : follow->before == NULL || before == NULL;
    if (is_new) return simple_step(c, "add", now, "");
    const struct pair pair = {.before = before, .now = now, .follow = follow};
    if (!pq_text_equal(before->name, now->name)) {
        const char *detail;
        PQ_TRY(print(c, &detail, "was %.*s", PQ_TEXT_ARG(before->name)));
        PQ_TRY(simple_step(c, "rename", now, detail));
    }
    if (now->kind == PQ_ENTRY_VIEW) return view_steps(c, &pair);
    if (is_external) return key_steps(c, &pair);
    return collection_steps(c, &pair);
}

static bool is_followed(const struct comparison *c, const struct pq_db_shape *shape) {
    for (size_t i = 0; i < c->now->schema->entry_count; i++) {
        const struct pq_db_shape *before = c->now->follows[i].before;
        if (before != NULL && before->id == shape->id) return true;
    }
    return false;
}

static pqdb_code dropped_steps(struct comparison *c) {
    const struct pq_db_shapes *shapes = c->before->shapes;
    for (size_t i = 0; i < shapes->count; i++) {
        const struct pq_db_shape *shape = &shapes->tables[i];
        const struct pq_entry *entry = pq_schema_find(c->before->schema, shape->name);
        if (shape->is_dropped || entry == NULL || is_followed(c, shape)) continue;
        const struct pq_view *view =
            shape->is_view ? pq_views_find(c->before->views, shape->name) : NULL;
        const bool keeps = shape->is_view ? view != NULL && (view->append || entry->retention_keeps)
                                          : true;
        const struct pq_db_step step = {
            .told = {.action = "drop", .kind = kind_names[entry->kind],
                     .name = entry->name.data},
            .need = keeps ? PQ_DB_NEED_EMPTY : PQ_DB_NEED_NOTHING, .shape = shape};
        PQ_TRY(add_step(c, &step));
    }
    for (size_t i = 0; i < c->before->schema->entry_count; i++) {
        const struct pq_entry *entry = &c->before->schema->entries[i];
        if (entry->kind != PQ_ENTRY_EXTERNAL) continue;
        const struct pq_entry *now = pq_schema_find(c->now->schema, entry->name);
        if (now != NULL && now->kind == entry->kind) continue;
        PQ_TRY(simple_step(c, "drop", entry, ""));
    }
    return PQDB_OK;
}

pqdb_code pq_db_steps_between(const struct pq_db_plan *before, const struct pq_db_plan *now,
                              struct pq_arena *arena, struct pq_db_steps *steps,
                              pqdb_error *err) {
    struct comparison c = {.before = before, .now = now, .arena = arena, .steps = steps,
                           .err = err};
    *steps = (struct pq_db_steps){0};
    for (size_t i = 0; i < now->schema->entry_count; i++) PQ_TRY(entry_steps(&c, i));
    return dropped_steps(&c);
}

// ---- a text that was edited by hand -------------------------------------------------------------

static pqdb_code refuse_edit(const struct pq_text entry, struct pq_text field, pqdb_error *err) {
    pq_fail(err, PQDB_INVALID, "it was edited so that rows of %.*s%s%.*s might be lost; put that "
            "back, then change it with 'parquedb schema apply FILE'", PQ_TEXT_ARG(entry),
            field.length == 0 ? "" : ".", PQ_TEXT_ARG(field));
    return pq_fail_subject(err, PQDB_INVALID, PQ_TEXT(PQ_DB_SCHEMA_FILE));
}

pqdb_code pq_db_check_lossless(const struct pq_db_shapes *before, const struct pq_db_plan *plan,
                               pqdb_error *err) {
    for (size_t i = 0; i < plan->schema->entry_count; i++) {
        const struct pq_shape_changes *changes = &plan->follows[i].changes;
        const struct pq_entry *entry = &plan->schema->entries[i];
        for (size_t k = 0; entry->kind != PQ_ENTRY_VIEW && k < changes->count; k++) {
            const struct pq_shape_change *change = &changes->items[k];
            const bool adds = change->kind == PQ_SHAPE_ADDED && !change->now->required;
            if (adds || change->kind == PQ_SHAPE_RENAMED || change->kind == PQ_SHAPE_WIDENED ||
                change->kind == PQ_SHAPE_OPTIONAL) {
                continue;
            }
            return refuse_edit(entry->name, change->path, err);
        }
    }
    for (size_t i = 0; i < plan->shapes->count; i++) {
        const struct pq_db_shape *shape = &plan->shapes->tables[i];
        const struct pq_db_shape *was = pq_db_shape_find(before, shape->id);
        if (!shape->is_dropped || was == NULL || was->is_dropped || was->type_count == 0) continue;
        return refuse_edit(shape->name, (struct pq_text){"", 0}, err);
    }
    return PQDB_OK;
}
