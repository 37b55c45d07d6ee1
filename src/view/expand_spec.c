/// The tree of links as an operator's spec, and the stage of the rows that it puts out.
#include "view/expand_tree.h"

// ---- objects and parts ------------------------------------------------------------------------

pqdb_code pq_related_name(struct pq_arena *arena, struct pq_text name, struct pq_text *out,
                          pqdb_error *err) {
    char *data = pq_arena_alloc(arena, name.length + 2);
    if (data == NULL) return pq_plan_no_memory(err);
    memcpy(data, name.data, name.length);
    data[name.length] = '>';
    data[name.length + 1] = '\0';
    *out = (struct pq_text){data, name.length + 1};
    return PQDB_OK;
}

static pqdb_code list_of(struct pq_arena *arena, const struct pq_type *element,
                         const struct pq_type **out, pqdb_error *err) {
    struct pq_field *field = pq_arena_calloc(arena, 1, sizeof *field);
    struct pq_type *type = pq_arena_alloc(arena, sizeof *type);
    if (field == NULL || type == NULL) return pq_plan_no_memory(err);
    *field = (struct pq_field){.name = PQ_TEXT("element"), .type = *element};
    *type = (struct pq_type){.kind = PQ_LIST, .field_count = 1, .fields = field};
    *out = type;
    return PQDB_OK;
}

static bool has_variant(const struct pq_type *type) {
    if (type->kind == PQ_VARIANT) return true;
    for (uint32_t k = 0; k < type->field_count; k++) {
        if (has_variant(&type->fields[k].type)) return true;
    }
    return false;
}

static pqdb_code part_of(struct pq_expand_tree *tree, const struct pq_expand_node *node,
                         struct pq_expand_link *link, struct pq_expand_part *part,
                         pqdb_error *err);

/// `members` first, then a part for each link.
static pqdb_code object_of(struct pq_expand_tree *tree, struct pq_expand_node *node,
                           const struct pq_type *members, struct pq_expand_object *object,
                           pqdb_error *err) {
    size_t links = 0;
    for (const struct pq_expand_link *link = node->links; link != NULL; link = link->next) links++;
    const size_t room = members->field_count + 2 * links + 1;
    struct pq_field *fields = pq_arena_calloc(tree->arena, room, sizeof *fields);
    struct pq_expand_part *parts = pq_arena_calloc(tree->arena, links + 1, sizeof *parts);
    struct pq_type *type = pq_arena_calloc(tree->arena, 1, sizeof *type);
    if (fields == NULL || parts == NULL || type == NULL) return pq_plan_no_memory(err);
    uint32_t at = members->field_count;
    if (at > 0) memcpy(fields, members->fields, at * sizeof *fields);
    *object = (struct pq_expand_object){type, parts, links};
    for (struct pq_expand_link *link = node->links; link != NULL; link = link->next) {
        PQ_TRY(part_of(tree, node, link, parts, err));
        if (link->kind == PQ_EXPAND_FROM) {
            const struct pq_type *ids;
            PQ_TRY(list_of(tree->arena, &pq_type_text, &ids, err));
            fields[at++] = (struct pq_field){.name = link->name, .type = *ids};
        }
        link->at = at;
        fields[at].type = *parts->type;
        PQ_TRY(pq_related_name(tree->arena, link->name, &fields[at++].name, err));
        parts++;
    }
    *type = (struct pq_type){.kind = PQ_OBJECT, .field_count = at, .fields = fields};
    return PQDB_OK;
}

/// The columns of a linked table that are read, `$id` first.
static pqdb_code fetched(struct pq_expand_tree *tree, struct pq_expand_node *node,
                         struct pq_type *members, uint32_t **columns, pqdb_error *err) {
    const uint32_t count = node->type->field_count;
    struct pq_field *fields = pq_arena_calloc(tree->arena, count, sizeof *fields);
    uint32_t *read = pq_arena_calloc(tree->arena, count, sizeof *read);
    node->positions = pq_arena_calloc(tree->arena, count, sizeof *node->positions);
    if (fields == NULL || read == NULL || node->positions == NULL) return pq_plan_no_memory(err);
    uint32_t at = 0;
    for (uint32_t k = 0; k < count; k++) {
        if (k != PQ_COLUMN_ID && !node->reads[k]) continue;
        node->positions[k] = at;
        read[at] = k;
        fields[at] = node->type->fields[k];
        fields[at].required = false;
        if (pq_text_is(fields[at].name, "_extra")) fields[at].name = PQ_TEXT("_extra>");
        at++;
    }
    *members = (struct pq_type){.kind = PQ_OBJECT, .field_count = at, .fields = fields};
    *columns = read;
    return PQDB_OK;
}

/// What is put beside a link: all that was fetched, `$id` only where it is wanted.
static pqdb_code show(struct pq_expand_tree *tree, const struct pq_expand_link *link,
                      struct pq_expand_part *part, pqdb_error *err) {
    const struct pq_type *all = part->below.type;
    const uint32_t first = link->shows_id ? 0 : 1;
    uint32_t *shown = pq_arena_calloc(tree->arena, all->field_count, sizeof *shown);
    struct pq_type *type = pq_arena_calloc(tree->arena, 1, sizeof *type);
    if (shown == NULL || type == NULL) return pq_plan_no_memory(err);
    *type = (struct pq_type){.kind = PQ_OBJECT, .field_count = all->field_count - first,
                             .fields = all->fields + first};
    for (uint32_t k = 0; k < type->field_count; k++) shown[k] = first + k;
    part->shown = shown;
    part->type = type;
    const bool is_list = link->kind == PQ_EXPAND_FROM || link->field->field.type.kind == PQ_LIST;
    return is_list ? list_of(tree->arena, type, &part->type, err) : PQDB_OK;
}

static pqdb_code part_of(struct pq_expand_tree *tree, const struct pq_expand_node *node,
                         struct pq_expand_link *link, struct pq_expand_part *part,
                         pqdb_error *err) {
    struct pq_expand_node *below = link->below;
    const uint32_t member =
        node->positions == NULL ? link->member : node->positions[link->member];
    *part = (struct pq_expand_part){.kind = link->kind, .member = member};
    if (link->kind == PQ_EXPAND_INSIDE) {
        PQ_TRY(object_of(tree, below, below->type, &part->below, err));
        part->type = part->below.type;
        const bool is_list = link->field->field.type.kind == PQ_LIST;
        return is_list ? list_of(tree->arena, part->below.type, &part->type, err) : PQDB_OK;
    }
    struct pq_type members;
    uint32_t *columns;
    PQ_TRY(fetched(tree, below, &members, &columns, err));
    part->columns = columns;
    part->column_count = members.field_count;
    part->table = tree->table_ids[below->entry - tree->schema->entries];
    if (link->kind == PQ_EXPAND_FROM) part->link = (uint32_t)link->field->column;
    part->other_names = below->entry != tree->root && has_variant(&members);
    PQ_TRY(object_of(tree, below, &members, &part->below, err));
    return show(tree, link, part, err);
}

// ---- tables -----------------------------------------------------------------------------------

static size_t count_links(const struct pq_expand_node *node) {
    size_t count = 0;
    for (const struct pq_expand_link *link = node->links; link != NULL; link = link->next) {
        count += 1 + count_links(link->below);
    }
    return count;
}

static void add_tables(const struct pq_expand_object *object, uint32_t *tables, size_t *count) {
    for (size_t k = 0; k < object->part_count; k++) {
        const struct pq_expand_part *part = &object->parts[k];
        bool is_new = part->kind != PQ_EXPAND_INSIDE;
        for (size_t i = 0; i < *count; i++) is_new = is_new && tables[i] != part->table;
        if (is_new) tables[(*count)++] = part->table;
        add_tables(&part->below, tables, count);
    }
}

// ---- outputs ----------------------------------------------------------------------------------

/// Columns that come out, as fields and as paths below the source's object.
struct outputs {
    struct pq_expand_tree *tree;
    struct pq_expand_output *all;
    struct pq_field *fields;
    struct pq_stage *stage;
    const struct pq_declared_field **declared;
    struct pq_along *along;
    bool *hidden;
    uint32_t count;
};

static pqdb_code type_at(struct pq_arena *arena, const struct pq_type *type, const uint32_t *path,
                         size_t length, const struct pq_type **out, pqdb_error *err) {
    while (length > 0 && type->kind == PQ_OBJECT) {
        type = &type->fields[*path++].type;
        length--;
    }
    *out = type;
    if (length == 0) return PQDB_OK;
    const struct pq_type *element;
    PQ_TRY(type_at(arena, &type->fields[0].type, path, length, &element, err));
    return list_of(arena, element, out, err);
}

static pqdb_code add_output(struct outputs *outputs, const struct pq_type *object,
                            struct pq_text name, const uint32_t *path, size_t length,
                            pqdb_error *err) {
    const struct pq_type *type;
    PQ_TRY(type_at(outputs->tree->arena, object, path, length, &type, err));
    outputs->all[outputs->count] = (struct pq_expand_output){path, length};
    outputs->fields[outputs->count++] = (struct pq_field){.name = name, .type = *type};
    return PQDB_OK;
}

/// Where a member stands in what is shown behind a link.
static uint32_t shown_at(const struct pq_expand_link *link, uint32_t at) {
    return link->kind == PQ_EXPAND_INSIDE || link->shows_id ? at : at - 1;
}

/// An output behind the links of `end`, at `at` in the object there.
static pqdb_code add_behind(struct outputs *outputs, const struct pq_type *object,
                            struct pq_text name, const struct pq_expand_end *end, uint32_t at,
                            pqdb_error *err) {
    uint32_t *path =
        pq_arena_calloc(outputs->tree->arena, end->link_count + 1, sizeof *path);
    if (path == NULL) return pq_plan_no_memory(err);
    for (size_t k = 0; k <= end->link_count; k++) {
        const uint32_t next = k == end->link_count ? at : end->links[k]->at;
        path[k] = k == 0 ? next : shown_at(end->links[k - 1], next);
    }
    return add_output(outputs, object, name, path, end->link_count + 1, err);
}

static pqdb_code add_column(struct outputs *outputs, const struct pq_type *object,
                            const struct pq_expand_column *column, pqdb_error *err) {
    const uint32_t *positions = column->end->node->positions;
    const uint32_t at = positions == NULL ? column->member : positions[column->member];
    outputs->declared[outputs->count] = column->declared;
    outputs->along[outputs->count] = column->along;
    return add_behind(outputs, object, column->name, column->end, at, err);
}

/// Beside a column of `$expand` that paths go on behind, what stands beside the member.
static pqdb_code add_beside(struct outputs *outputs, const struct pq_type *object,
                            const struct pq_expand_column *column, pqdb_error *err) {
    const struct pq_expand_link *link = column->leads_on ? column->end->node->links : NULL;
    while (link != NULL && (link->kind == PQ_EXPAND_FROM || link->member != column->member)) {
        link = link->next;
    }
    if (link == NULL) return PQDB_OK;
    struct pq_text name;
    PQ_TRY(pq_related_name(outputs->tree->arena, column->name, &name, err));
    outputs->hidden[outputs->count] = true;
    outputs->along[outputs->count].list = column->along.list;
    return add_behind(outputs, object, name, column->end, link->at, err);
}

static pqdb_code add_plain(struct outputs *outputs, const struct pq_type *object, uint32_t column,
                           pqdb_error *err) {
    uint32_t *path = pq_arena_alloc(outputs->tree->arena, sizeof *path);
    if (path == NULL) return pq_plan_no_memory(err);
    *path = column;
    const uint32_t at = outputs->count;
    PQ_TRY(add_output(outputs, object, object->fields[column].name, path, 1, err));
    outputs->fields[at].required = object->fields[column].required;
    return PQDB_OK;
}

static pqdb_code fill_outputs(struct outputs *outputs, const struct pq_type *object,
                              const struct pq_expand_column *columns, size_t count,
                              pqdb_error *err) {
    const struct pq_stage *source = outputs->tree->source.stage;
    const uint32_t source_count = source->scope.type->field_count;
    for (uint32_t k = 0; k < source_count; k++) {
        outputs->declared[k] = source->declared[k];
        if (source->along != NULL) outputs->along[k] = source->along[k];
        PQ_TRY(add_plain(outputs, object, k, err));
    }
    for (size_t k = 0; k < count; k++) {
        PQ_TRY(add_column(outputs, object, &columns[k], err));
    }
    for (size_t k = 0; k < count; k++) {
        PQ_TRY(add_beside(outputs, object, &columns[k], err));
    }
    for (uint32_t k = source_count; k < object->field_count; k++) {
        outputs->hidden[outputs->count] = true;
        PQ_TRY(add_plain(outputs, object, k, err));
    }
    return PQDB_OK;
}

// ---- declared paths ---------------------------------------------------------------------------

/// Declared paths of the linked entries, with the way to them in front.
static pqdb_code linked_paths(struct pq_typed_paths *paths, const struct pq_expand_node *node,
                              struct pq_text way) {
    for (const struct pq_expand_link *link = node->links; link != NULL; link = link->next) {
        const struct pq_text prefix = pq_path_join(paths->arena, way, link->name);
        if (prefix.data == NULL) return pq_plan_no_memory(paths->err);
        const struct pq_entry *entry = link->below->entry;
        for (size_t k = 0; entry != NULL && k < entry->path_count; k++) {
            if (paths->all != NULL) {
                paths->all[paths->count] =
                    (struct pq_typed_path){pq_path_join(paths->arena, prefix, entry->paths[k].path),
                                           entry->paths[k].declared.field.type, NULL};
                if (paths->all[paths->count].path.data == NULL) {
                    return pq_plan_no_memory(paths->err);
                }
            }
            paths->count++;
        }
        if (entry != NULL) {
            PQ_TRY(pq_typed_paths_links(paths, entry->fields, entry->field_count, prefix));
        }
        PQ_TRY(linked_paths(paths, link->below, prefix));
    }
    return PQDB_OK;
}

/// The same as they read from the columns of `$expand`.
static pqdb_code column_paths(struct pq_typed_paths *paths, const struct pq_typed_path *known,
                              size_t known_count, const struct pq_expand_column *column) {
    const struct pq_rewrite rewrite = {column->path, column->name};
    for (size_t k = 0; k < known_count; k++) {
        struct pq_text moved;
        if (!pq_rewrite_path(&rewrite, known[k].path, paths->arena, &moved)) continue;
        if (moved.data == NULL) return pq_plan_no_memory(paths->err);
        if (paths->all != NULL) {
            paths->all[paths->count] = (struct pq_typed_path){moved, known[k].type,
                                                              known[k].relation};
        }
        paths->count++;
    }
    return PQDB_OK;
}

static pqdb_code fill_paths(struct pq_typed_paths *paths, const struct pq_expand_tree *tree,
                            const struct pq_expand_column *columns, size_t count) {
    const struct pq_scope *scope = &tree->source.stage->scope;
    if (paths->all != NULL && scope->path_count > 0) {
        memcpy(paths->all, scope->paths, scope->path_count * sizeof *paths->all);
    }
    paths->count = scope->path_count;
    PQ_TRY(linked_paths(paths, &tree->source, PQ_TEXT("")));
    const size_t known = paths->count;
    for (size_t k = 0; paths->all != NULL && k < count; k++) {
        PQ_TRY(column_paths(paths, paths->all, known, &columns[k]));
    }
    return PQDB_OK;
}

static pqdb_code paths_of(const struct pq_expand_tree *tree,
                          const struct pq_expand_column *columns, size_t count,
                          struct pq_scope *scope, pqdb_error *err) {
    struct pq_typed_paths paths = {.arena = tree->arena, .err = err};
    PQ_TRY(fill_paths(&paths, tree, columns, count));
    const size_t room = paths.count * (count + 1) + 1;
    paths.all = pq_arena_calloc(tree->arena, room, sizeof *paths.all);
    if (paths.all == NULL) return pq_plan_no_memory(err);
    PQ_TRY(fill_paths(&paths, tree, columns, count));
    scope->paths = paths.all;
    scope->path_count = paths.count;
    return PQDB_OK;
}

// ---- all of it --------------------------------------------------------------------------------

pqdb_code pq_expand_tree_spec(struct pq_expand_tree *tree, const struct pq_expand_column *columns,
                              size_t column_count, struct pq_expand_spec *spec,
                              struct pq_stage *stage, pqdb_error *err) {
    const struct pq_stage *source = tree->source.stage;
    struct pq_arena *arena = tree->arena;
    uint32_t *tables = pq_arena_calloc(arena, count_links(&tree->source) + 1, sizeof *tables);
    *spec = (struct pq_expand_spec){.tables = tables};
    PQ_TRY(object_of(tree, &tree->source, source->scope.type, &spec->object, err));
    const size_t room = spec->object.type->field_count + 2 * column_count;
    struct pq_type *type = pq_arena_alloc(arena, sizeof *type);
    struct outputs outputs = {
        .tree = tree,
        .all = pq_arena_calloc(arena, room, sizeof *outputs.all),
        .fields = pq_arena_calloc(arena, room, sizeof *outputs.fields),
        .declared = pq_arena_calloc(arena, room, sizeof *outputs.declared),
        .along = pq_arena_calloc(arena, room, sizeof *outputs.along),
        .hidden = pq_arena_calloc(arena, room, sizeof *outputs.hidden),
    };
    if (tables == NULL || type == NULL || outputs.all == NULL || outputs.fields == NULL ||
        outputs.declared == NULL || outputs.along == NULL || outputs.hidden == NULL) {
        return pq_plan_no_memory(err);
    }
    add_tables(&spec->object, tables, &spec->table_count);
    PQ_TRY(fill_outputs(&outputs, spec->object.type, columns, column_count, err));
    *type = (struct pq_type){
        .kind = PQ_OBJECT, .field_count = outputs.count, .fields = outputs.fields};
    spec->outputs = outputs.all;
    spec->output = type;
    *stage = *source;
    stage->entry = NULL;
    stage->declared = outputs.declared;
    stage->along = outputs.along;
    stage->hidden = outputs.hidden;
    stage->scope.type = type;
    PQ_TRY(paths_of(tree, columns, column_count, &stage->scope, err));
    return pq_stage_set_relations(stage, arena, err);
}
