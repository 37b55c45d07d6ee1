/// Paths and links: where a path ends among the declarations, and whether it leads to another row.
#include "view/plan_internal.h"

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

static bool is_position(struct pq_text segment) {
    for (size_t i = 0; i < segment.length; i++) {
        if (segment.data[i] < '0' || segment.data[i] > '9') return false;
    }
    return segment.length > 0;
}

static const struct pq_declared_field *member_of(const struct pq_declared_field *field,
                                                 struct pq_text name) {
    for (size_t k = 0; k < field->member_count; k++) {
        if (pq_text_equal(field->members[k].field.name, name)) return &field->members[k];
    }
    return NULL;
}

/// Where the path leads through declarations; `crossed`: it goes on behind a link.
static const struct pq_declared_field *walk(const struct pq_stage *stage, struct pq_text path,
                                            bool *crossed) {
    struct pq_text rest = path;
    const struct pq_text first = take_segment(&rest);
    const int column = pq_type_find(stage->scope.type, first);
    const struct pq_declared_field *field = NULL;
    *crossed = false;
    if (column >= 0) {
        field = stage->declared[column];
    } else if (stage->entry != NULL) {
        field = pq_entry_find(stage->entry, first);  // a computed inverse has no column
        *crossed = field != NULL && field->relation != NULL && field->relation->inverse;
    }
    while (field != NULL && rest.length > 0 && !*crossed) {
        const struct pq_text segment = take_segment(&rest);
        if (is_position(segment)) {
            if (rest.length == 0) return NULL;  // an element, not the list
        } else if (field->relation != NULL) {
            *crossed = true;
        } else {
            field = member_of(field, segment);
        }
    }
    return field;
}

bool pq_stage_crosses_relation(const struct pq_stage *stage, struct pq_text path) {
    bool crossed;
    walk(stage, path, &crossed);
    return crossed;
}

const struct pq_declared_field *pq_stage_declared(const struct pq_stage *stage,
                                                  struct pq_text path) {
    bool crossed;
    const struct pq_declared_field *field = walk(stage, path, &crossed);
    return crossed ? NULL : field;
}

// ---- what is not available yet ---------------------------------------------------------------

/// The declared field of a name: of a stage's columns, or of the entry that a link leads to.
static const struct pq_declared_field *field_of(const struct pq_stage *stage,
                                                const struct pq_entry *entry,
                                                struct pq_text name) {
    if (entry != NULL) return pq_entry_find(entry, name);
    const int column = pq_type_find(stage->scope.type, name);
    if (column >= 0) return stage->declared[column];
    return stage->entry == NULL ? NULL : pq_entry_find(stage->entry, name);
}

/// Steps are links, or inline objects and lists on the way to one.
static void check_expanded(struct pq_view_plan *plan, const struct pq_place *place,
                           struct pq_text path) {
    struct pq_text rest = path;
    const struct pq_entry *entry = NULL;
    const struct pq_declared_field *field = NULL;
    do {
        const struct pq_text name = take_segment(&rest);
        field = field == NULL || field->relation != NULL ? field_of(plan->source, entry, name)
                                                         : member_of(field, name);
        if (field != NULL && field->relation != NULL) {
            entry = pq_schema_find(plan->planner->schema, field->relation->target);
            if (entry == NULL && rest.length > 0) return;  // the schema's own mistake
        } else if (field == NULL || field->member_count == 0) {
            pq_definition_mistake(plan->definition, place,
                                  "a field is a relation when it is declared '-> Target'",
                                  "%.*s of %s is no relation", PQ_TEXT_ARG(name),
                                  entry == NULL ? plan->source->scope.owner_name
                                                : entry->name.data);
            return;
        }
    } while (rest.length > 0);
    if (field->relation != NULL) return;
    pq_definition_mistake(plan->definition, place, "name a relation below it",
                          "%.*s is no relation", PQ_TEXT_ARG(path));
}

static void check_expand(struct pq_view_plan *plan) {
    struct pq_definition *definition = plan->definition;
    if (definition->expand == NULL) return;
    struct pq_place place =
        pq_definition_place(definition, "INVALID_EXPAND", "$expand", definition->expand);
    const size_t mistakes = definition->mistakes;
    const struct pq_json *item = pq_json_first(definition->expand);
    const size_t count = pq_json_count(definition->expand);
    for (size_t k = 0; k < count; k++) {
        const struct pq_place at = pq_place_index(definition, &place, k, item);
        check_expanded(plan, &at, pq_json_text(item));
        item = pq_json_next(item);
    }
    if (definition->mistakes != mistakes) return;
    place.code = "UNSUPPORTED";
    pq_definition_mistake(definition, &place, "leave $expand out for now",
                          "%s uses $expand, which is not available yet",
                          definition->entry->name.data);
}

struct crossing {
    struct pq_view_plan *plan;
    const char *directive;
};

static void check_crossing(void *ctx, const struct pq_mention *mention) {
    const struct crossing *crossing = ctx;
    struct pq_definition *definition = crossing->plan->definition;
    if (!pq_stage_crosses_relation(crossing->plan->stage, mention->path)) return;
    const struct pq_place place =
        pq_definition_place(definition, "UNSUPPORTED", crossing->directive, mention->json);
    pq_definition_mistake(definition, &place, "leave the path out for now",
                          "%s reads %.*s through a relation: that needs $expand, which is not "
                          "available yet",
                          definition->entry->name.data, PQ_TEXT_ARG(mention->path));
}

static void visit_bare(const struct pq_mention_visitor *visitor, const struct pq_json *value) {
    const struct pq_text text = pq_json_text_or_empty(value);
    if (text.length == 0 || text.data[0] == '$' || pq_text_is(text, "*")) return;
    visitor->visit(visitor->ctx, &(struct pq_mention){text, value, false});
}

void pq_each_bare_key(const struct pq_definition *definition,
                      const struct pq_mention_visitor *visitor) {
    if (definition->group_by == NULL) return;
    const struct pq_json *item = pq_json_first(definition->group_by);
    for (size_t k = pq_json_count(definition->group_by); k > 0; k--) {
        visit_bare(visitor, item);
        item = pq_json_next(item);
    }
}

void pq_each_bare_argument(const struct pq_definition *definition,
                           const struct pq_mention_visitor *visitor) {
    if (definition->compute == NULL) return;
    const struct pq_json *alias = pq_json_first(definition->compute);
    for (size_t k = pq_json_count(definition->compute); k > 0; k--) {
        const struct pq_json *aggregate = pq_json_next(alias);
        alias = pq_json_next(aggregate);
        if (pq_json_kind(aggregate) != PQ_JSON_OBJECT) continue;
        const struct pq_json *name = pq_json_first(aggregate);
        for (size_t n = pq_json_count(aggregate); n > 0; n--) {
            const struct pq_json *argument = pq_json_next(name);
            visit_bare(visitor, argument);
            if (pq_json_kind(argument) == PQ_JSON_LIST && pq_json_count(argument) > 0) {
                visit_bare(visitor, pq_json_first(argument));  // [path, k]
            }
            name = pq_json_next(argument);
        }
    }
}

void pq_plan_check_expand(struct pq_view_plan *plan) {
    const struct pq_definition *definition = plan->definition;
    const size_t mistakes = definition->mistakes;
    check_expand(plan);
    if (definition->mistakes != mistakes || definition->unnest == NULL) return;
    struct crossing crossing = {plan, "$unnest"};
    check_crossing(&crossing, &(struct pq_mention){definition->unnest_path,
                                                   definition->unnest, false});
}

void pq_plan_check_relations(struct pq_view_plan *plan) {
    const struct pq_definition *definition = plan->definition;
    struct crossing crossing = {plan, "$filter"};
    const struct pq_mention_visitor visitor = {check_crossing, &crossing};
    if (definition->filter != NULL) pq_mentions_of_filter(definition->filter, &visitor);
    crossing.directive = "$select";
    if (definition->select != NULL) pq_mentions_of_expr(definition->select, &visitor);
    crossing.directive = "$groupBy";
    if (definition->group_by != NULL) pq_mentions_of_expr(definition->group_by, &visitor);
    pq_each_bare_key(definition, &visitor);
    crossing.directive = "$compute";
    if (definition->compute != NULL) pq_mentions_of_expr(definition->compute, &visitor);
    pq_each_bare_argument(definition, &visitor);
}
