#include <stdio.h>

#include "base/fail.h"
#include "expr/compile_internal.h"

enum { SEGMENTS_MAX = 64, STEPS_MAX = 2 * SEGMENTS_MAX };

struct segments {
    struct pq_text all[SEGMENTS_MAX];
    size_t count;
};

/// Splits at the dots; says what is wrong, or NULL.
static const char *split(struct pq_text text, struct segments *segments) {
    segments->count = 0;
    if (text.length == 0) return "an empty path names nothing";
    size_t start = 0;
    for (size_t i = 0; i <= text.length; i++) {
        if (i < text.length && text.data[i] != '.') continue;
        if (i == start) return "a path is names and positions with one dot between them";
        if (segments->count == SEGMENTS_MAX) return "a path has at most 64 parts";
        segments->all[segments->count++] = (struct pq_text){text.data + start, i - start};
        start = i + 1;
    }
    const struct pq_text first = segments->all[0];
    for (size_t k = 0; k < segments->count; k++) {
        const bool system = k == 0 && (pq_text_is(first, "$id") || pq_text_is(first, "$type"));
        if (segments->all[k].data[0] == '$' && !system) {
            return "only $id and $type may begin with $ in a path";
        }
    }
    return NULL;
}

static int64_t position_of(struct pq_text segment) {
    if (segment.length > 9) return -1;
    int64_t position = 0;
    for (size_t i = 0; i < segment.length; i++) {
        if (segment.data[i] < '0' || segment.data[i] > '9') return -1;
        position = position * 10 + (segment.data[i] - '0');
    }
    return position;
}

/// Does the declared path name what `segments` (below `prefix`) name, positions left out?
static bool is_declared_as(struct pq_text declared, struct pq_text prefix,
                           const struct segments *segments) {
    if (prefix.length > 0) {
        if (!pq_text_starts_with(declared, prefix) || declared.length <= prefix.length ||
            declared.data[prefix.length] != '.') {
            return false;
        }
        declared.data += prefix.length + 1;
        declared.length -= prefix.length + 1;
    }
    struct segments wanted;
    if (split(declared, &wanted) != NULL) return false;
    size_t at = 0;
    for (size_t k = 0; k < segments->count; k++) {
        if (at < wanted.count && pq_text_equal(wanted.all[at], segments->all[k])) {
            at++;
        } else if (position_of(segments->all[k]) < 0) {
            return false;
        }
    }
    return at == wanted.count;
}

static const struct pq_relation *declared_link(const struct pq_scope *scope,
                                               struct pq_text prefix,
                                               const struct segments *segments) {
    for (size_t i = 0; i < scope->path_count; i++) {
        const struct pq_typed_path *path = &scope->paths[i];
        if (path->relation != NULL && is_declared_as(path->path, prefix, segments)) {
            return path->relation;
        }
    }
    return NULL;
}

static const struct pq_typed_path *declared_path(const struct pq_scope *scope,
                                                 struct pq_text prefix,
                                                 const struct segments *segments) {
    for (size_t i = 0; i < scope->path_count; i++) {
        const struct pq_typed_path *path = &scope->paths[i];
        if (path->relation == NULL && is_declared_as(path->path, prefix, segments)) return path;
    }
    return NULL;
}

/// How far a path leads through declared types.
struct walk {
    const struct pq_type *type;  // where it stands
    size_t used;                 // segments
    size_t step_count;
    struct pq_static_step steps[STEPS_MAX];
    bool through_list;  // it stands before a list and the next segment is a name
    bool related;       // at its end the path means what the link there leads to
};

/// What stands behind a link is beside it: `x>` beside `x`. Nobody else's name ends so.
static bool is_related_name(struct pq_text name) {
    return name.length > 0 && name.data[name.length - 1] == '>';
}

/// Where a path goes on that does not end at the member: at `x>`, if there is one; else -1.
static int find_related(const struct pq_type *object, struct pq_text name) {
    for (uint32_t k = 0; k < object->field_count; k++) {
        const struct pq_text field = object->fields[k].name;
        if (field.length == name.length + 1 && is_related_name(field) &&
            memcmp(field.data, name.data, name.length) == 0) {
            return (int)k;
        }
    }
    return -1;
}

/// The member, or what stands beside it when the path goes on; -1 when it has none of that name.
/// `_extra>` of a related row takes the names that nobody declared, and the segment stays.
static int member_of(const struct walk *walk, const struct segments *segments, bool *stays) {
    const struct pq_text name = segments->all[walk->used];
    const bool ends = walk->used + 1 == segments->count && !walk->related;
    *stays = false;
    int member = is_related_name(name) ? -1 : pq_type_find(walk->type, name);
    if (member < 0) {
        member = find_related(walk->type, PQ_TEXT("_extra"));
        *stays = member >= 0;
        return member;
    }
    const int beside = ends ? -1 : find_related(walk->type, name);
    return beside < 0 ? member : beside;
}

static void walk_on(struct walk *walk, const struct segments *segments) {
    while (walk->used < segments->count) {
        const struct pq_text segment = segments->all[walk->used];
        if (walk->type->kind == PQ_OBJECT) {
            bool stays;
            const int member = member_of(walk, segments, &stays);
            if (member < 0) return;
            walk->steps[walk->step_count++] = (struct pq_static_step){false, (size_t)member};
            walk->type = &walk->type->fields[member].type;
            if (stays) return;
        } else if (walk->type->kind == PQ_LIST) {
            const int64_t position = position_of(segment);
            walk->through_list = position < 0;
            if (position < 0) return;
            walk->steps[walk->step_count++] = (struct pq_static_step){true, (size_t)position};
            walk->type = &walk->type->fields[0].type;
        } else {
            return;
        }
        walk->used++;
    }
}

static bool is_hidden(const struct pq_scope *scope, int column, struct pq_text name) {
    if (column == scope->extra_column || is_related_name(name)) return true;
    return name.data[0] == '$' && !pq_text_is(name, "$id") && !pq_text_is(name, "$type");
}

/// Where the path begins: the column, and how much of the path it takes. -1: nowhere. `walk` is
/// empty but for `related`.
static int begin(const struct pq_scope *scope, const struct segments *segments,
                 struct walk *walk) {
    int column = pq_type_find(scope->type, segments->all[0]);
    if (column >= 0 && !is_hidden(scope, column, segments->all[0])) {
        walk->used = 1;
        if (segments->count > 1 || walk->related) {
            const int beside = find_related(scope->type, segments->all[0]);
            if (beside >= 0) column = beside;
        }
    } else if (!scope->closed && !scope->strict && scope->extra_column >= 0) {
        column = scope->extra_column;
    } else {
        return -1;
    }
    walk->type = &scope->type->fields[column].type;
    walk_on(walk, segments);
    return column;
}

static const struct pq_variant_step *inner_steps(struct pq_compiler *compiler,
                                                 const struct segments *segments, size_t from) {
    struct pq_variant_step *steps =
        pq_arena_calloc(compiler->arena, segments->count - from + 1, sizeof *steps);
    if (steps == NULL) return NULL;
    for (size_t k = from; k < segments->count; k++) {
        steps[k - from].name = pq_arena_copy(compiler->arena, segments->all[k]);
        steps[k - from].index = position_of(segments->all[k]);
        if (steps[k - from].name.data == NULL) return NULL;
    }
    return steps;
}

static struct pq_node *find_shared(struct pq_compiler *compiler, struct pq_text text) {
    struct pq_node *node = compiler->paths;
    while (node != NULL && !pq_text_equal(node->path.text, text)) node = node->next_path;
    return node;
}

static struct pq_node *path_node(struct pq_compiler *compiler, struct pq_text text, int column,
                                 const struct walk *walk, const struct segments *segments) {
    struct pq_node *node = pq_node_null(compiler);
    if (node == NULL) return NULL;
    struct pq_static_step *steps =
        pq_arena_calloc(compiler->arena, walk->step_count + 1, sizeof *steps);
    node->kind = PQ_NODE_PATH;
    node->path = (struct pq_path){
        .text = pq_arena_copy(compiler->arena, text),
        .column = (uint32_t)column,
        .steps = steps,
        .step_count = walk->step_count,
        .inner = inner_steps(compiler, segments, walk->used),
        .inner_count = segments->count - walk->used,
    };
    if (steps == NULL || node->path.text.data == NULL || node->path.inner == NULL) {
        return pq_compile_no_memory(compiler);
    }
    memcpy(steps, walk->steps, walk->step_count * sizeof *steps);
    node->type = *walk->type;
    node->next_path = compiler->paths;
    compiler->paths = node;
    return node;
}

static const char *nearest_member(const struct pq_type *object, struct pq_text name) {
    const char *names[64];
    size_t count = 0;
    for (uint32_t k = 0; k < object->field_count && count < 64; k++) {
        if (is_related_name(object->fields[k].name)) continue;
        names[count++] = object->fields[k].name.data;
    }
    return pq_text_nearest(name, names, count);
}

/// A field that nobody declared where everything is declared.
static struct pq_node *unknown_field(struct pq_compiler *compiler, const struct pq_json *json,
                                     const struct pq_type *object, struct pq_text name) {
    const struct pq_scope *scope = compiler->scope;
    const char *owner = scope->owner_name == NULL ? "the row" : scope->owner_name;
    struct pq_remedy remedy;
    const char *nearest = nearest_member(object, name);
    if (nearest != NULL) {
        snprintf(remedy.text, sizeof remedy.text, "did you mean %s", nearest);
    }
    if (scope->strict) {
        return pq_compile_mistake(compiler, json, nearest == NULL ? NULL : remedy.text,
                                  "%s has no field %.*s", owner, PQ_TEXT_ARG(name));
    }
    pq_compile_warn(compiler, json, "UNKNOWN_FIELD", "%s has no field %.*s: it reads as null%s%s",
                    owner, PQ_TEXT_ARG(name), nearest == NULL ? "" : "; ",
                    nearest == NULL ? "" : remedy.text);
    return pq_node_null(compiler);
}

/// The path ends before its text does: nothing is there.
static struct pq_node *dead_end(struct pq_compiler *compiler, const struct pq_json *json,
                                const struct walk *walk, const struct segments *segments) {
    const struct pq_text name = segments->all[walk->used];
    if (walk->type->kind == PQ_OBJECT) return unknown_field(compiler, json, walk->type, name);
    if (walk->through_list) {
        pq_compile_warn(compiler, json, "PATH_THROUGH_LIST",
                        "a path does not fan out over a list, so .%.*s reads as null: name a "
                        "position, or use $unnest or $elemMatch",
                        PQ_TEXT_ARG(name));
    } else {
        pq_compile_warn(compiler, json, "PATH_THROUGH_SCALAR",
                        "what stands before .%.*s has no fields: it reads as null",
                        PQ_TEXT_ARG(name));
    }
    return pq_node_null(compiler);
}

static struct pq_node *finish_path(struct pq_compiler *compiler, struct pq_node *node,
                                   struct pq_text prefix, const struct segments *segments) {
    if (node == NULL) return node;
    if (node->path.relation == NULL) {
        node->path.relation = declared_link(compiler->scope, prefix, segments);
    }
    if (node->path.inner_count == 0) return node;
    const struct pq_typed_path *typed = declared_path(compiler->scope, prefix, segments);
    if (typed == NULL) return node;
    node->path.declared = true;
    node->type = typed->type;
    return node;
}

/// Inside $elemMatch paths begin at the element, which is column 0.
static struct pq_node *element_path(struct pq_compiler *compiler, struct pq_text text,
                                    const struct segments *segments, const struct pq_json *json) {
    struct walk walk = {.type = compiler->element};
    walk_on(&walk, segments);
    if (walk.used < segments->count && walk.type->kind != PQ_VARIANT) {
        return dead_end(compiler, json, &walk, segments);
    }
    struct pq_node *node = path_node(compiler, text, 0, &walk, segments);
    return finish_path(compiler, node, compiler->element_path, segments);
}

/// The column that is named by the whole path, or -1.
static int path_column(const struct pq_scope *scope, struct pq_text text) {
    const uint32_t first = scope->path_columns;
    for (uint32_t k = first; first > 0 && k < scope->type->field_count; k++) {
        if (pq_text_equal(scope->type->fields[k].name, text)) return (int)k;
    }
    return -1;
}

/// Of the batch, not of an element.
static struct pq_node *batch_path(struct pq_compiler *compiler, struct pq_text text,
                                  const struct segments *segments, bool related,
                                  const struct pq_json *json) {
    static const struct pq_text nothing = {"", 0};
    struct walk walk = {.related = related};
    const struct pq_scope *scope = compiler->scope;
    int column = path_column(scope, text);
    if (column >= 0) {
        walk.type = &scope->type->fields[column].type;
        walk.used = segments->count;
        return finish_path(compiler, path_node(compiler, text, column, &walk, segments), nothing,
                           segments);
    }
    column = begin(scope, segments, &walk);
    if (column < 0) {
        if (scope->closed || scope->strict) {
            return unknown_field(compiler, json, scope->type, segments->all[0]);
        }
        return pq_node_null(compiler);
    }
    if (walk.used < segments->count && walk.type->kind != PQ_VARIANT) {
        return dead_end(compiler, json, &walk, segments);
    }
    struct pq_node *node = path_node(compiler, text, column, &walk, segments);
    if (node != NULL && scope->relations != NULL) node->path.relation = scope->relations[column];
    return finish_path(compiler, node, nothing, segments);
}

struct pq_node *pq_compile_path(struct pq_compiler *compiler, struct pq_text text,
                                const struct pq_json *json) {
    struct segments segments = {.count = 0};
    const bool is_element = compiler->element != NULL && text.length == 0;
    const char *fault = is_element ? NULL : split(text, &segments);
    if (fault != NULL) return pq_compile_mistake(compiler, json, NULL, "%s", fault);
    struct pq_node *shared = find_shared(compiler, text);
    if (shared != NULL) return shared;
    if (compiler->element != NULL) return element_path(compiler, text, &segments, json);
    return batch_path(compiler, text, &segments, compiler->source->related, json);
}

struct pq_node *pq_compile_related(struct pq_compiler *compiler, const struct pq_node *path) {
    struct segments segments;
    if (path->kind != PQ_NODE_PATH || compiler->element != NULL) return NULL;
    if (split(path->path.text, &segments) != NULL) return NULL;
    struct walk walk = {.related = true};
    const int column = begin(compiler->scope, &segments, &walk);
    if (column < 0 || walk.used < segments.count || walk.type->kind == PQ_VARIANT) return NULL;
    struct pq_node *shared = compiler->paths;
    struct pq_node *node = path_node(compiler, path->path.text, column, &walk, &segments);
    compiler->paths = shared;  // its text means the link elsewhere
    return node;
}

pqdb_code pq_path_resolve(const struct pq_scope *scope, struct pq_text path,
                          struct pq_path_meaning *meaning, pqdb_error *err) {
    static const struct pq_text nothing = {"", 0};
    struct segments segments;
    struct walk walk = {0};
    const char *fault = split(path, &segments);
    if (fault != NULL) return pq_fail(err, PQDB_INVALID, "%s", fault);
    *meaning = (struct pq_path_meaning){.type = pq_type_null, .column = -1};
    meaning->column = begin(scope, &segments, &walk);
    if (meaning->column < 0) return PQDB_OK;
    meaning->through_list = walk.through_list;
    if (walk.used == segments.count) {
        meaning->type = *walk.type;
    } else if (walk.type->kind == PQ_VARIANT) {
        const struct pq_typed_path *typed = declared_path(scope, nothing, &segments);
        meaning->type = typed == NULL ? pq_type_variant : typed->type;
    }
    return PQDB_OK;
}
