/// `$expand`, `$flatten`, and every path that leads through a relation: one tree of links, one
/// operator in front of all others.
#include <stdio.h>

#include "view/expand_tree.h"

// ---- $expand ----------------------------------------------------------------------------------

struct columns {
    struct pq_view_plan *plan;
    struct pq_expand_tree tree;
    struct pq_expand_column *all;
    size_t count, capacity;
};

static pqdb_code add_column(struct columns *columns, const struct pq_expand_column *column,
                            pqdb_error *err) {
    struct pq_arena *arena = columns->plan->arena;
    if (columns->count == columns->capacity) {
        const size_t capacity = columns->capacity == 0 ? 32 : 2 * columns->capacity;
        struct pq_expand_column *all = pq_arena_calloc(arena, capacity, sizeof *all);
        if (all == NULL) return pq_plan_no_memory(err);
        if (columns->count > 0) memcpy(all, columns->all, columns->count * sizeof *all);
        columns->all = all;
        columns->capacity = capacity;
    }
    columns->all[columns->count++] = *column;
    return PQDB_OK;
}

static bool is_path_prefix(struct pq_text prefix, struct pq_text path) {
    return pq_text_starts_with(path, prefix) &&
           (path.length == prefix.length || path.data[prefix.length] == '.');
}

/// What columns of an expanded path begin with: the path, or what `$flatten` puts in the place of
/// its longest prefix; joined by `_`.
static pqdb_code prefix_of(const struct pq_view_plan *plan, struct pq_text path,
                           struct pq_text *prefix, pqdb_error *err) {
    const struct pq_json *flatten = plan->definition->flatten;
    struct pq_text longest = PQ_TEXT(""), given = PQ_TEXT("");
    const struct pq_json *key = flatten == NULL ? NULL : pq_json_first(flatten);
    for (size_t k = flatten == NULL ? 0 : pq_json_count(flatten); k > 0; k--) {
        const struct pq_json *value = pq_json_next(key);
        const struct pq_text name = pq_json_text(key);
        if (is_path_prefix(name, path) && name.length > longest.length) {
            longest = name;
            given = pq_json_text_or_empty(value);
        }
        key = pq_json_next(value);
    }
    const size_t tail = path.length - longest.length;
    char *data = pq_arena_alloc(plan->arena, given.length + tail + 1);
    if (data == NULL) return pq_plan_no_memory(err);
    if (given.length > 0) memcpy(data, given.data, given.length);
    for (size_t i = 0; i < tail; i++) {
        const char c = path.data[longest.length + i];
        data[given.length + i] = c == '.' ? '_' : c;
    }
    *prefix = (struct pq_text){data, given.length + tail};
    return PQDB_OK;
}

static pqdb_code join(struct pq_arena *arena, struct pq_text a, char between, struct pq_text b,
                      struct pq_text *out, pqdb_error *err) {
    char *data = pq_arena_alloc(arena, a.length + b.length + 2);
    if (data == NULL) return pq_plan_no_memory(err);
    memcpy(data, a.data, a.length);
    data[a.length] = between;
    memcpy(data + a.length + 1, b.data, b.length);
    data[a.length + 1 + b.length] = '\0';
    *out = (struct pq_text){data, a.length + 1 + b.length};
    return PQDB_OK;
}

/// A field as it is declared below `lists` lists: links in one list are a list of links, inline
/// objects a list of those.
static pqdb_code declared_below(struct pq_arena *arena, const struct pq_declared_field *field,
                                size_t lists, const struct pq_declared_field **out,
                                pqdb_error *err) {
    *out = lists == 0 ? field : NULL;
    if (lists != 1 || field == NULL || field->field.type.kind == PQ_LIST) return PQDB_OK;
    if (field->relation == NULL && field->member_count == 0) return PQDB_OK;
    struct pq_declared_field *made = pq_arena_alloc(arena, sizeof *made);
    struct pq_relation *relation = pq_arena_alloc(arena, sizeof *relation);
    struct pq_field *element = pq_arena_calloc(arena, 1, sizeof *element);
    if (made == NULL || relation == NULL || element == NULL) return pq_plan_no_memory(err);
    *made = *field;
    *element = field->field;
    made->field.type = (struct pq_type){.kind = PQ_LIST, .field_count = 1, .fields = element};
    if (field->relation != NULL) {
        *relation = *field->relation;
        relation->many = true;
        made->relation = relation;
    }
    *out = made;
    return PQDB_OK;
}

/// An expanded path.
struct expanded {
    struct pq_place place;
    struct pq_text path, prefix;
    const struct pq_expand_end *end;
};

static pqdb_code add_field(struct columns *columns, const struct expanded *expanded,
                           struct pq_text name, uint32_t member,
                           const struct pq_declared_field *field, pqdb_error *err) {
    struct pq_view_plan *plan = columns->plan;
    const struct pq_expand_end *end = expanded->end;
    struct pq_expand_column column = {.end = end, .member = member, .path = PQ_TEXT("")};
    PQ_TRY(join(plan->arena, expanded->prefix, '_', name, &column.name, err));
    if (field != NULL) {
        PQ_TRY(join(plan->arena, expanded->path, '.', name, &column.path, err));
    }
    PQ_TRY(declared_below(plan->arena, field, end->lists, &column.declared, err));
    if (end->lists > 0) {
        column.along.list = end->list;
        PQ_TRY(declared_below(plan->arena, field, end->lists - 1, &column.along.declared, err));
    }
    struct pq_definition *definition = plan->definition;
    const struct pq_place at = {"DUPLICATE_COLUMN", expanded->place.json, expanded->place.path};
    const struct pq_type *source = plan->source->scope.type;
    struct pq_text clash = PQ_TEXT("");
    for (uint32_t k = 0; k < source->field_count; k++) {
        if (pq_names_clash(source->fields[k].name, column.name)) clash = source->fields[k].name;
    }
    for (size_t k = 0; k < columns->count; k++) {
        if (pq_names_clash(columns->all[k].name, column.name)) clash = columns->all[k].name;
    }
    if (clash.length > 0) {
        pq_definition_mistake(definition, &at, "give the expanded path another prefix in $flatten",
                              "%.*s makes a column %.*s, but there is one already (case does not "
                              "count)",
                              PQ_TEXT_ARG(expanded->path), PQ_TEXT_ARG(clash));
    }
    return add_column(columns, &column, err);
}

/// A column for each declared field of the rows, or inline objects, that the path ends at.
static pqdb_code add_fields(struct columns *columns, const struct expanded *expanded,
                            pqdb_error *err) {
    struct pq_expand_node *node = expanded->end->node;
    if (node->objects != NULL) {
        for (uint32_t k = 0; k < node->objects->member_count; k++) {
            const struct pq_declared_field *member = &node->objects->members[k];
            PQ_TRY(add_field(columns, expanded, member->field.name, k, member, err));
        }
        return PQDB_OK;
    }
    const struct pq_entry *entry = node->entry;
    if (pq_entry_find(entry, PQ_TEXT("id")) == NULL) {
        expanded->end->links[expanded->end->link_count - 1]->shows_id = true;
        PQ_TRY(add_field(columns, expanded, PQ_TEXT("id"), PQ_COLUMN_ID, NULL, err));
    }
    for (size_t k = 0; k < entry->field_count; k++) {
        const struct pq_declared_field *field = &entry->fields[k];
        if (field->column < 0) continue;  // a computed inverse
        node->reads[field->column] = true;
        PQ_TRY(add_field(columns, expanded, field->field.name, (uint32_t)field->column, field,
                         err));
    }
    return PQDB_OK;
}

static struct pq_text last_segment(struct pq_text path) {
    size_t start = path.length;
    while (start > 0 && path.data[start - 1] != '.') start--;
    return (struct pq_text){path.data + start, path.length - start};
}

static const char *owner_of(const struct pq_expand_node *node) {
    if (node->stage != NULL) return node->stage->scope.owner_name;
    return node->entry != NULL ? node->entry->name.data : node->objects->field.name.data;
}

/// Does the path end at a relation, or at inline objects behind one?
static bool check_end(struct columns *columns, const struct expanded *expanded) {
    const struct pq_expand_end *end = expanded->end;
    struct pq_definition *definition = columns->plan->definition;
    const bool is_object = end->node->objects != NULL;
    const bool ends_inside =
        end->link_count > 0 && end->missing.length == 0 && end->field != NULL &&
        (end->links[end->link_count - 1]->field == end->field);
    if (ends_inside && end->crosses) return true;
    if (columns->tree.is_broken) return false;
    if (ends_inside && is_object) {
        pq_definition_mistake(definition, &expanded->place, "name a relation below it",
                              "%.*s is no relation", PQ_TEXT_ARG(expanded->path));
        return false;
    }
    const struct pq_text name =
        end->missing.length > 0 ? end->missing : last_segment(expanded->path);
    pq_definition_mistake(definition, &expanded->place,
                          "a field is a relation when it is declared '-> Target'",
                          "%.*s of %s is no relation", PQ_TEXT_ARG(name),
                          end->missing.length > 0 ? end->missing_in : owner_of(end->node));
    return false;
}

static pqdb_code add_expanded(struct columns *columns, pqdb_error *err) {
    struct pq_view_plan *plan = columns->plan;
    struct pq_definition *definition = plan->definition;
    if (definition->expand == NULL) return PQDB_OK;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_EXPAND", "$expand", definition->expand);
    const struct pq_json *item = pq_json_first(definition->expand);
    const size_t count = pq_json_count(definition->expand);
    for (size_t k = 0; k < count; k++, item = pq_json_next(item)) {
        struct pq_expand_end *end = pq_arena_alloc(plan->arena, sizeof *end);
        if (end == NULL) return pq_plan_no_memory(err);
        struct expanded expanded = {.place = pq_place_index(definition, &place, k, item),
                                    .path = pq_json_text_or_empty(item), .end = end};
        PQ_TRY(pq_expand_tree_add(&columns->tree, expanded.path, true, end, err));
        if (!check_end(columns, &expanded)) continue;
        PQ_TRY(prefix_of(plan, expanded.path, &expanded.prefix, err));
        PQ_TRY(add_fields(columns, &expanded, err));
    }
    return PQDB_OK;
}

// ---- paths ------------------------------------------------------------------------------------

struct mentions {
    struct columns *columns;
    pqdb_code code;
    pqdb_error *err;
};

/// An element has the list's place before there are elements.
static pqdb_code before_unnest(const struct pq_view_plan *plan, struct pq_text path,
                               struct pq_text *out, pqdb_error *err) {
    const struct pq_definition *definition = plan->definition;
    *out = path;
    if (definition->unnest == NULL) return PQDB_OK;
    const struct pq_text element = pq_plan_element_name(definition);
    const struct pq_rewrite rewrite = {element, definition->unnest_path};
    if (!pq_rewrite_path(&rewrite, path, plan->arena, out)) {
        *out = path;
        return PQDB_OK;
    }
    return out->data == NULL ? pq_plan_no_memory(err) : PQDB_OK;
}

/// What stands behind the positions that a path begins with: "0.name" is "name".
static struct pq_text behind_positions(struct pq_text path) {
    size_t used = 0;
    while (used < path.length && path.data[used] >= '0' && path.data[used] <= '9') {
        while (used < path.length && path.data[used] != '.') used++;
        if (used < path.length) used++;
    }
    return (struct pq_text){path.data + used, path.length - used};
}

/// A path that goes on behind a column of `$expand`, as the way that the column came by. Which
/// elements it means says the path itself: the way only leads to the links.
static pqdb_code behind_column(struct columns *columns, struct pq_text *path, pqdb_error *err) {
    const struct pq_definition *definition = columns->plan->definition;
    for (size_t k = 0; k < columns->count; k++) {
        struct pq_expand_column *column = &columns->all[k];
        const bool is_element = pq_text_equal(column->along.list, definition->unnest_path);
        const bool is_declared =
            column->declared != NULL || (column->along.declared != NULL && is_element);
        const size_t used = column->name.length + 1;
        if (!is_declared || path->length <= used) continue;
        if (!is_path_prefix(column->name, *path)) continue;
        const struct pq_text rest =
            behind_positions((struct pq_text){path->data + used, path->length - used});
        column->leads_on = true;
        return join(columns->plan->arena, column->path, '.', rest, path, err);
    }
    return PQDB_OK;
}

static pqdb_code add_mention(struct columns *columns, const struct pq_mention *mention,
                             pqdb_error *err) {
    struct pq_view_plan *plan = columns->plan;
    struct pq_expand_end end;
    struct pq_text path;
    PQ_TRY(before_unnest(plan, mention->path, &path, err));
    PQ_TRY(behind_column(columns, &path, err));
    PQ_TRY(pq_expand_tree_add(&columns->tree, path, false, &end, err));
    if (!end.crosses || end.missing.length == 0 || end.node->entry == NULL) return PQDB_OK;
    if (!end.node->entry->strict) return PQDB_OK;
    const struct pq_text shown = pq_arena_copy(plan->arena, mention->path);
    if (shown.data == NULL) return pq_plan_no_memory(err);
    const struct pq_place place =
        pq_definition_place(plan->definition, "UNKNOWN_FIELD", shown.data, mention->json);
    pq_definition_mistake(plan->definition, &place, NULL, "%s has no field %.*s", end.missing_in,
                          PQ_TEXT_ARG(end.missing));
    return PQDB_OK;
}

static void visit(void *ctx, const struct pq_mention *mention) {
    struct mentions *mentions = ctx;
    if (mentions->code != PQDB_OK) return;
    mentions->code = add_mention(mentions->columns, mention, mentions->err);
}

// ---- the operator -----------------------------------------------------------------------------

static void check_targets(struct columns *columns) {
    struct pq_definition *definition = columns->plan->definition;
    if (columns->tree.is_broken) definition->mistakes++;  // reported with the schema
    if (columns->tree.external == NULL) return;
    const struct pq_place place =
        pq_definition_place(definition, "UNSUPPORTED", "$from", definition->from);
    pq_definition_mistake(definition, &place, "copy its rows into a collection",
                          "%s is an external table: its rows cannot be reached through a link",
                          columns->tree.external->name.data);
}

pqdb_code pq_plan_expand(struct pq_view_plan *plan, pqdb_error *err) {
    const size_t mistakes = plan->definition->mistakes;
    struct columns columns = {.plan = plan};
    pq_expand_tree_init(&columns.tree, plan->source, plan->arena);
    PQ_TRY(add_expanded(&columns, err));
    struct mentions mentions = {&columns, PQDB_OK, err};
    const struct pq_mention_visitor visitor = {visit, &mentions};
    pq_each_mention(plan->definition, &visitor);
    PQ_TRY(mentions.code);
    if (columns.tree.source.links == NULL) return PQDB_OK;
    check_targets(&columns);
    if (plan->definition->mistakes != mistakes) return PQDB_OK;
    struct pq_expand_spec *spec = pq_arena_calloc(plan->arena, 1, sizeof *spec);
    struct pq_stage *stage = pq_arena_alloc(plan->arena, sizeof *stage);
    if (spec == NULL || stage == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_expand_tree_spec(&columns.tree, columns.all, columns.count, spec, stage, err));
    plan->expand = spec;
    plan->source = stage;
    plan->stage = stage;
    plan->links = columns.tree.source.links;
    return PQDB_OK;
}
