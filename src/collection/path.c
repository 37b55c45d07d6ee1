/// collection/path.c: what the path of an update operator means, and where it is in a row.
#include <stdlib.h>

#include "base/fail.h"
#include "collection/update_internal.h"

static pqdb_code wrong(struct pq_text path, pqdb_error *err) {
    return pq_fail_subject(err, PQDB_INVALID, path);
}

/// "0" to "999999999" without leading zeros, else -1.
static int64_t index_of(struct pq_text name) {
    if (name.length == 0 || name.length > 9 || (name.length > 1 && name.data[0] == '0')) return -1;
    int64_t index = 0;
    for (size_t i = 0; i < name.length; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') return -1;
        index = index * 10 + (name.data[i] - '0');
    }
    return index;
}

static pqdb_code split(struct pq_text text, struct pq_arena *arena, struct pq_update_path *path,
                       pqdb_error *err) {
    size_t count = 1;
    for (size_t i = 0; i < text.length; i++) count += text.data[i] == '.';
    if (count > PQ_UPDATE_STEPS_MAX) {
        pq_fail(err, PQDB_LIMIT, "is a path of more than %d steps", PQ_UPDATE_STEPS_MAX);
        return pq_fail_subject(err, PQDB_LIMIT, text);
    }
    path->steps = pq_arena_calloc(arena, count, sizeof *path->steps);
    if (path->steps == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a path of an update");
    size_t begin = 0;
    for (size_t i = 0; i <= text.length; i++) {
        if (i < text.length && text.data[i] != '.') continue;
        const struct pq_text name = {text.data + begin, i - begin};
        if (name.length == 0) {
            pq_fail(err, PQDB_INVALID, "is no path: write names with one dot between them");
            return wrong(text, err);
        }
        path->steps[path->step_count++] =
            (struct pq_update_step){.name = name, .index = index_of(name)};
        begin = i + 1;
    }
    return PQDB_OK;
}

static bool is_system(const struct pq_entry *entry, struct pq_text name) {
    static const char *const names[] = {"$id", "$type", "$seq", "createdAt", "updatedAt",
                                        "version"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (pq_text_is(name, names[i])) return pq_entry_find(entry, name) == NULL;
    }
    return false;
}

static pqdb_code not_declared(const struct pq_declared_field *fields, size_t count,
                              struct pq_text name, struct pq_text path, pqdb_error *err) {
    const char *names[64];
    size_t known = 0;
    for (size_t i = 0; i < count && known < 64; i++) names[known++] = fields[i].field.name.data;
    const char *nearest = pq_text_nearest(name, names, known);
    pq_fail(err, PQDB_INVALID, "is not declared%s%s", nearest == NULL ? "" : ": did you mean ",
            nearest == NULL ? "" : nearest);
    return wrong(path, err);
}

/// The first step: a column, or a name in _extra.
static pqdb_code resolve_column(const struct pq_entry *entry, struct pq_update_path *path,
                                pqdb_error *err) {
    const struct pq_text name = path->steps[0].name;
    const struct pq_declared_field *field = pq_entry_find(entry, name);
    if (is_system(entry, name)) {
        pq_fail(err, PQDB_INVALID, "is set by the database and cannot be changed");
        return wrong(path->text, err);
    }
    if (field == NULL && name.data[0] == '$') {
        pq_fail(err, PQDB_INVALID, "is no field: names do not begin with '$'");
        return wrong(path->text, err);
    }
    if (field == NULL && entry->strict) {
        return not_declared(entry->fields, entry->field_count, name, path->text, err);
    }
    if (field == NULL) {
        path->column = pq_entry_row_type(entry)->field_count - 1;
        return PQDB_OK;
    }
    if (field->relation != NULL && field->relation->inverse) {
        pq_fail(err, PQDB_INVALID, "is computed from %.*s.%.*s and cannot be changed here",
                PQ_TEXT_ARG(field->relation->target), PQ_TEXT_ARG(field->relation->field));
        return wrong(path->text, err);
    }
    path->field = path->leaf = field;
    path->column = (uint32_t)field->column;
    path->steps++;
    path->step_count--;
    return PQDB_OK;
}

static const struct pq_type *leaf_type(const struct pq_update_path *path) {
    const struct pq_type *type = &path->leaf->field.type;
    return path->leaf_is_element ? &type->fields[0].type : type;
}

static pqdb_code resolve_step(struct pq_update_path *path, struct pq_update_step *step,
                              pqdb_error *err) {
    const struct pq_declared_field *leaf = path->leaf;
    const struct pq_type *type = leaf_type(path);
    if (type->kind == PQ_LIST) {
        if (step->index < 0) {
            pq_fail(err, PQDB_INVALID, "enters a list: name an element, like %.*s.0",
                    PQ_TEXT_ARG(leaf->field.name));
            return wrong(path->text, err);
        }
        step->is_element = path->leaf_is_element = true;
        return PQDB_OK;
    }
    if (type->kind == PQ_OBJECT) {
        for (size_t i = 0; i < leaf->member_count; i++) {
            if (!pq_text_equal(leaf->members[i].field.name, step->name)) continue;
            path->leaf = &leaf->members[i];
            path->leaf_is_element = false;
            return PQDB_OK;
        }
        return not_declared(leaf->members, leaf->member_count, step->name, path->text, err);
    }
    if (type->kind == PQ_VARIANT) {
        path->leaf = NULL;
        return PQDB_OK;
    }
    if (leaf->relation != NULL) {
        pq_fail(err, PQDB_INVALID, "goes through a link: update the row of %.*s instead",
                PQ_TEXT_ARG(leaf->relation->target));
    } else {
        pq_fail(err, PQDB_INVALID, "goes too deep: %.*s has no fields",
                PQ_TEXT_ARG(leaf->field.name));
    }
    return wrong(path->text, err);
}

pqdb_code pq_update_path_resolve(const struct pq_entry *entry, struct pq_text text,
                                 struct pq_arena *arena, struct pq_update_path *path,
                                 pqdb_error *err) {
    *path = (struct pq_update_path){.text = text};
    PQ_TRY(split(text, arena, path, err));
    PQ_TRY(resolve_column(entry, path, err));
    for (size_t i = 0; i < path->step_count && path->leaf != NULL; i++) {
        PQ_TRY(resolve_step(path, &path->steps[i], err));
    }
    return PQDB_OK;
}

bool pq_update_paths_meet(const struct pq_update_path *a, const struct pq_update_path *b) {
    if (a->column != b->column) return false;
    for (size_t i = 0; i < a->step_count && i < b->step_count; i++) {
        if (!pq_text_equal(a->steps[i].name, b->steps[i].name)) return false;
    }
    return true;
}

// ---- in a row ---------------------------------------------------------------------------------

static pqdb_code no_room(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "a value of an update");
}

static pqdb_code find_member(struct pq_tree *object, struct pq_text name, bool make_way,
                             struct pq_arena *arena, struct pq_update_place *place,
                             pqdb_error *err) {
    struct pq_tree *member = pq_tree_find(object, name);
    if (member == NULL && make_way) {
        member = pq_tree_insert(object, object->count, arena);
        if (member == NULL) return no_room(err);
        member->name = name;
    }
    *place = (struct pq_update_place){.slot = member, .container = object};
    if (member != NULL) place->index = (size_t)(member - object->items);
    return PQDB_OK;
}

/// The slot below the list that `place` has been found to be.
static pqdb_code find_element(const struct pq_update_path *path, const struct pq_update_step *step,
                              bool make_way, struct pq_arena *arena,
                              struct pq_update_place *place, pqdb_error *err) {
    struct pq_tree *list = place->slot;
    *place = (struct pq_update_place){.container = list};
    if (step->index >= 0 && (size_t)step->index < list->count) {
        place->index = (size_t)step->index;
        place->slot = &list->items[place->index];
        return PQDB_OK;
    }
    if (!make_way) return PQDB_OK;
    if (step->index < 0) {
        pq_fail(err, PQDB_INVALID, "enters a list: name an element by its number");
        return wrong(path->text, err);
    }
    if ((size_t)step->index > list->count) {
        pq_fail(err, PQDB_INVALID, "is beyond the end of a list of %zu: use $push", list->count);
        return wrong(path->text, err);
    }
    place->index = list->count;
    place->slot = pq_tree_insert(list, list->count, arena);
    return place->slot == NULL ? no_room(err) : PQDB_OK;
}

pqdb_code pq_update_path_find(const struct pq_update_path *path, struct pq_tree *column,
                              bool make_way, struct pq_arena *arena,
                              struct pq_update_place *place, pqdb_error *err) {
    *place = (struct pq_update_place){.slot = column};
    for (size_t i = 0; i < path->step_count && place->slot != NULL; i++) {
        const struct pq_update_step *step = &path->steps[i];
        struct pq_tree *at = place->slot;
        if (pq_tree_is_null(at) && make_way) {
            *at = (struct pq_tree){.value.kind = step->is_element ? PQ_LIST : PQ_OBJECT,
                                   .name = at->name};
        }
        if (at->value.kind == PQ_OBJECT) {
            PQ_TRY(find_member(at, step->name, make_way, arena, place, err));
        } else if (at->value.kind == PQ_LIST) {
            PQ_TRY(find_element(path, step, make_way, arena, place, err));
        } else if (make_way) {
            pq_fail(err, PQDB_INVALID, "goes through %s, which has no fields",
                    pq_tree_kind_name(at));
            return wrong(path->text, err);
        } else {
            place->slot = NULL;
        }
    }
    return PQDB_OK;
}
