/// Links that paths follow: found among the declarations, kept as a tree.
#include "view/expand_tree.h"

static bool is_position(struct pq_text segment) {
    for (size_t i = 0; i < segment.length; i++) {
        if (segment.data[i] < '0' || segment.data[i] > '9') return false;
    }
    return segment.length > 0;
}

/// What stands before the next dot; `rest` is what follows it.
static struct pq_text take_segment(struct pq_text *rest) {
    const char *dot = rest->length == 0 ? NULL : memchr(rest->data, '.', rest->length);
    const size_t length = dot == NULL ? rest->length : (size_t)(dot - rest->data);
    const struct pq_text segment = {rest->data, length};
    const size_t used = dot == NULL ? length : length + 1;
    rest->data += used;
    rest->length -= used;
    return segment;
}

/// Positions in a list; true when there was one.
static bool skip_positions(struct pq_text *rest) {
    bool any = false;
    for (;;) {
        struct pq_text after = *rest;
        const struct pq_text segment = take_segment(&after);
        if (!is_position(segment)) return any;
        *rest = after;
        any = true;
    }
}

// ---- declarations -----------------------------------------------------------------------------

static const struct pq_declared_field *declared_at(const struct pq_entry *entry, int column) {
    for (size_t k = 0; k < entry->field_count; k++) {
        if (entry->fields[k].column == column) return &entry->fields[k];
    }
    return NULL;
}

/// A way back to the rows that link to the entry's: a computed inverse, or what a relation there
/// names so. `*from` is the entry that links; NULL when it is none.
static const struct pq_declared_field *way_back(const struct pq_schema *schema,
                                                const struct pq_entry *entry, struct pq_text name,
                                                const struct pq_entry **from) {
    const struct pq_declared_field *own = pq_entry_find(entry, name);
    if (own != NULL && own->relation != NULL && own->relation->inverse) {
        *from = pq_schema_find(schema, own->relation->target);
        return *from == NULL ? NULL : pq_entry_find(*from, own->relation->field);
    }
    for (size_t e = 0; own == NULL && e < schema->entry_count; e++) {
        *from = &schema->entries[e];
        for (size_t k = 0; k < (*from)->field_count; k++) {
            const struct pq_declared_field *field = &(*from)->fields[k];
            const struct pq_relation *relation = field->relation;
            if (relation != NULL && !relation->inverse && field->column >= 0 &&
                pq_text_equal(relation->reverse, name) &&
                pq_text_equal(relation->target, entry->name)) {
                return field;
            }
        }
    }
    return NULL;
}

static bool is_link(const struct pq_declared_field *field) {
    return field != NULL && field->relation != NULL && !field->relation->inverse;
}

/// Where a name leads from rows or inline objects.
struct found {
    int member;  // -1: none
    const struct pq_declared_field *field;
    const struct pq_entry *back;  // a way back, from here
};

static struct found look_up(const struct pq_expand_node *node, const struct pq_schema *schema,
                            const struct pq_declared_field *objects, struct pq_text name) {
    struct found found = {.member = -1};
    if (objects != NULL) {
        for (size_t k = 0; k < objects->member_count; k++) {
            if (!pq_text_equal(objects->members[k].field.name, name)) continue;
            found.member = (int)k;
            found.field = &objects->members[k];
        }
        return found;
    }
    found.member = pq_type_find(node->type, name);
    if (found.member >= 0) {
        found.field = node->stage != NULL ? node->stage->declared[found.member]
                                          : declared_at(node->entry, found.member);
        return found;
    }
    const struct pq_entry *entry = node->stage != NULL ? node->stage->entry : node->entry;
    if (entry != NULL) found.field = way_back(schema, entry, name, &found.back);
    if (found.field == NULL) found.back = NULL;
    return found;
}

// ---- growing ----------------------------------------------------------------------------------

static pqdb_code add_link(struct pq_expand_tree *tree, struct pq_expand_node *node,
                          const struct pq_expand_link *wanted, struct pq_expand_link **link,
                          pqdb_error *err) {
    for (*link = node->links; *link != NULL; *link = (*link)->next) {
        if ((*link)->kind == wanted->kind && pq_text_equal((*link)->name, wanted->name)) {
            return PQDB_OK;
        }
    }
    *link = pq_arena_alloc(tree->arena, sizeof **link);
    struct pq_expand_node *below = pq_arena_calloc(tree->arena, 1, sizeof *below);
    if (*link == NULL || below == NULL) return pq_plan_no_memory(err);
    **link = *wanted;
    (*link)->name = pq_arena_copy(tree->arena, wanted->name);
    if ((*link)->name.data == NULL) return pq_plan_no_memory(err);
    (*link)->next = NULL;
    (*link)->below = below;
    *node->links_end = *link;
    node->links_end = &(*link)->next;
    below->links_end = &below->links;
    return PQDB_OK;
}

static pqdb_code enter_rows(struct pq_expand_tree *tree, struct pq_expand_node *node,
                            const struct pq_entry *entry, pqdb_error *err) {
    if (node->entry != NULL) return PQDB_OK;
    node->entry = entry;
    if (entry->kind == PQ_ENTRY_EXTERNAL) tree->external = entry;
    if (entry->broken) tree->is_broken = true;
    node->type = pq_entry_row_type(entry);
    node->reads = pq_arena_calloc(tree->arena, node->type->field_count + 1, sizeof *node->reads);
    return node->reads == NULL ? pq_plan_no_memory(err) : PQDB_OK;
}

/// A path on its way.
struct walk {
    struct pq_expand_tree *tree;
    struct pq_expand_end *end;
    struct pq_text path, rest;
    const struct pq_declared_field *objects;  // inline objects that it is in
    // From `end->node` to where it stands, as links that are added when there is one behind them.
    struct pq_expand_link pending[PQ_EXPAND_LINKS_MAX];
    size_t pending_count;
    uint32_t member;  // of the node's rows, on the way
};

static pqdb_code push(struct walk *walk, const struct pq_expand_link *wanted, pqdb_error *err) {
    struct pq_expand_end *end = walk->end;
    if (end->link_count == PQ_EXPAND_LINKS_MAX) {
        pq_fail(err, PQDB_LIMIT, "a path follows at most %d links", PQ_EXPAND_LINKS_MAX);
        return pq_fail_subject(err, PQDB_LIMIT, walk->path);
    }
    struct pq_expand_link *link;
    PQ_TRY(add_link(walk->tree, end->node, wanted, &link, err));
    if (wanted->kind == PQ_EXPAND_INSIDE) {
        const struct pq_type *type = &wanted->field->field.type;
        link->below->type = type->kind == PQ_LIST ? &type->fields[0].type : type;
        link->below->objects = wanted->field;
    }
    end->links[end->link_count++] = link;
    end->node = link->below;
    return PQDB_OK;
}

static void mark_read(struct walk *walk, uint32_t member) {
    if (walk->end->node->reads != NULL) walk->end->node->reads[member] = true;
}

static pqdb_code add_pending(struct walk *walk, pqdb_error *err) {
    if (walk->pending_count > 0) mark_read(walk, walk->pending[0].member);
    for (size_t k = 0; k < walk->pending_count; k++) {
        PQ_TRY(push(walk, &walk->pending[k], err));
    }
    walk->pending_count = 0;
    return PQDB_OK;
}

static void note_list(struct walk *walk) {
    struct pq_expand_end *end = walk->end;
    if (end->lists++ > 0) return;
    const size_t used = (size_t)(walk->rest.data - walk->path.data);
    end->list = (struct pq_text){walk->path.data, used};
    if (walk->rest.length > 0) end->list.length--;  // the dot
}

static pqdb_code cross(struct walk *walk, const struct found *found, struct pq_text name,
                       pqdb_error *err) {
    struct pq_expand_tree *tree = walk->tree;
    const bool is_back = found->back != NULL;
    const struct pq_entry *target =
        is_back ? found->back : pq_schema_find(tree->schema, found->field->relation->target);
    const struct pq_expand_link wanted = {
        .kind = is_back ? PQ_EXPAND_FROM : PQ_EXPAND_TO,
        .name = name,
        .member = is_back ? 0 : (uint32_t)found->member,
        .field = found->field,
    };
    if (target == NULL) {
        tree->is_broken = true;  // reported with the schema
        return PQDB_OK;
    }
    PQ_TRY(add_pending(walk, err));
    if (!is_back && walk->end->node->objects == NULL) mark_read(walk, wanted.member);
    PQ_TRY(push(walk, &wanted, err));
    PQ_TRY(enter_rows(tree, walk->end->node, target, err));
    if (is_back) mark_read(walk, (uint32_t)found->field->column);
    walk->objects = NULL;
    walk->end->crosses = true;
    return PQDB_OK;
}

static pqdb_code end_at(struct walk *walk, bool inside, const struct found *found,
                        struct pq_text name, pqdb_error *err) {
    walk->end->field = found->field;
    if (found->back != NULL) return cross(walk, found, name, err);
    if (inside && is_link(found->field)) return cross(walk, found, name, err);
    const uint32_t member = (uint32_t)found->member;
    mark_read(walk, walk->pending_count > 0 ? walk->pending[0].member : member);
    if (!inside || found->field == NULL || found->field->member_count == 0) return PQDB_OK;
    walk->pending[walk->pending_count++] = (struct pq_expand_link){
        .kind = PQ_EXPAND_INSIDE, .name = name, .member = member, .field = found->field};
    return add_pending(walk, err);
}

static pqdb_code miss(struct walk *walk, struct pq_text name) {
    struct pq_expand_end *end = walk->end;
    end->missing = name;
    end->field = NULL;
    end->missing_in = walk->objects != NULL ? walk->objects->field.name.data
                      : end->node->entry != NULL ? end->node->entry->name.data
                                                 : end->node->stage->scope.owner_name;
    if (walk->objects != NULL || end->node->reads == NULL) return PQDB_OK;
    const int extra = pq_type_find(end->node->type, PQ_TEXT("_extra"));
    if (extra >= 0) end->node->reads[extra] = true;
    return PQDB_OK;
}

pqdb_code pq_expand_tree_add(struct pq_expand_tree *tree, struct pq_text path, bool inside,
                             struct pq_expand_end *end, pqdb_error *err) {
    *end = (struct pq_expand_end){.node = &tree->source, .missing = PQ_TEXT("")};
    struct walk walk = {.tree = tree, .end = end, .path = path, .rest = path};
    while (walk.rest.length > 0) {
        const struct pq_text name = take_segment(&walk.rest);
        const struct found found = look_up(end->node, tree->schema, walk.objects, name);
        if (found.field == NULL && (found.member < 0 || inside)) return miss(&walk, name);
        const bool is_list = found.back != NULL ||
                             (found.field != NULL && found.field->field.type.kind == PQ_LIST);
        if (is_list) note_list(&walk);
        if (is_list && skip_positions(&walk.rest) && inside) return miss(&walk, name);
        if (walk.rest.length == 0) return end_at(&walk, inside, &found, name, err);
        if (found.back != NULL || is_link(found.field)) {
            PQ_TRY(cross(&walk, &found, name, err));
            if (tree->is_broken) return PQDB_OK;
        } else if (found.field != NULL && found.field->member_count > 0 &&
                   walk.pending_count < PQ_EXPAND_LINKS_MAX) {
            walk.pending[walk.pending_count++] =
                (struct pq_expand_link){.kind = PQ_EXPAND_INSIDE, .name = name,
                                        .member = (uint32_t)found.member, .field = found.field};
            walk.objects = found.field;
        } else {
            walk.rest = (struct pq_text){0};  // the rest lies inside a value
            PQ_TRY(end_at(&walk, false, &found, name, err));
            end->field = NULL;
        }
    }
    return PQDB_OK;
}

void pq_expand_tree_init(struct pq_expand_tree *tree, const struct pq_stage *source,
                         struct pq_arena *arena) {
    *tree = (struct pq_expand_tree){.schema = source->schema, .table_ids = source->table_ids,
                                    .arena = arena, .root = source->root};
    tree->source = (struct pq_expand_node){.type = source->scope.type, .stage = source};
    tree->source.links_end = &tree->source.links;
}

const struct pq_declared_field *pq_stage_declared(const struct pq_stage *stage,
                                                  struct pq_text path) {
    struct pq_text rest = path;
    struct pq_expand_node node = {.type = stage->scope.type, .stage = stage};
    const struct pq_declared_field *field = NULL;
    const struct pq_declared_field *objects = NULL;
    while (rest.length > 0) {
        const struct pq_text name = take_segment(&rest);
        const struct found found = look_up(&node, stage->schema, objects, name);
        if (found.field == NULL) return NULL;
        field = found.field;
        if (skip_positions(&rest) && rest.length == 0) return NULL;  // an element, not the list
        if (rest.length == 0) return found.back != NULL ? NULL : field;
        objects = found.back == NULL && field->relation == NULL ? field : NULL;
        if (objects != NULL) continue;
        node.entry = found.back != NULL ? found.back
                                        : pq_schema_find(stage->schema, field->relation->target);
        if (node.entry == NULL) return NULL;
        node.type = pq_entry_row_type(node.entry);
        node.stage = NULL;
    }
    return field;
}
