/// `$unnest`: which columns go along with the elements.
#include "view/plan_internal.h"

enum { unnested_index = 2, unnested_element = 3, unnested_position = 4, unnested_columns = 5 };

static struct pq_text first_segment(struct pq_text path) {
    const char *dot = memchr(path.data, '.', path.length);
    return (struct pq_text){path.data, dot == NULL ? path.length : (size_t)(dot - path.data)};
}

static struct pq_text last_segment(struct pq_text path) {
    size_t start = path.length;
    while (start > 0 && path.data[start - 1] != '.') start--;
    return (struct pq_text){path.data + start, path.length - start};
}

int pq_stage_begin(const struct pq_stage *stage, struct pq_text path) {
    const int column = pq_type_find(stage->scope.type, first_segment(path));
    return column >= 0 ? column : stage->scope.extra_column;
}

int pq_stage_related(const struct pq_stage *stage, struct pq_text path) {
    const struct pq_text first = first_segment(path);
    const struct pq_type *type = stage->scope.type;
    for (uint32_t k = 0; k < type->field_count; k++) {
        const struct pq_text name = type->fields[k].name;
        if (name.length == first.length + 1 && name.data[first.length] == '>' &&
            pq_text_starts_with(name, first)) {
            return (int)k;
        }
    }
    return -1;
}

void pq_stage_mark(const struct pq_stage *stage, struct pq_text path, bool *columns) {
    const int column = pq_stage_begin(stage, path), beside = pq_stage_related(stage, path);
    if (column >= 0) columns[column] = true;
    if (beside >= 0) columns[beside] = true;
}

// ---- what goes along -------------------------------------------------------------------------

struct wanted {
    const struct pq_stage *stage;
    const struct pq_definition *definition;
    bool *columns;
};

struct pq_text pq_plan_element_name(const struct pq_definition *definition) {
    if (definition->unnest_as.length > 0) return definition->unnest_as;
    return last_segment(definition->unnest_path);
}

/// Is it a name that the definition makes itself: of the element, its index, a computed column?
static bool is_made(const struct pq_definition *definition, struct pq_text name) {
    if (definition->unnest != NULL && pq_text_equal(name, pq_plan_element_name(definition))) {
        return true;
    }
    if (pq_text_equal(name, definition->unnest_index)) return true;
    if (definition->compute == NULL) return false;
    const struct pq_json *alias = pq_json_first(definition->compute);
    for (size_t k = pq_json_count(definition->compute); k > 0; k--) {
        if (pq_text_equal(name, pq_json_text(alias))) return true;
        alias = pq_json_next(pq_json_next(alias));
    }
    return false;
}

static void want(void *ctx, const struct pq_mention *mention) {
    const struct wanted *wanted = ctx;
    const struct pq_text first = first_segment(mention->path);
    if (pq_type_find(wanted->stage->scope.type, first) < 0 &&
        is_made(wanted->definition, first)) {
        return;
    }
    pq_stage_mark(wanted->stage, mention->path, wanted->columns);
}

void pq_plan_mark_read(const struct pq_view_plan *plan, bool *columns) {
    const struct pq_definition *definition = plan->definition;
    if (definition->select == NULL && definition->group_by == NULL && !plan->view->grouped) {
        memset(columns, true, plan->source->scope.type->field_count);
        return;
    }
    struct wanted wanted = {
        .stage = plan->source,
        .definition = definition,
        .columns = columns,
    };
    const struct pq_mention_visitor visitor = {want, &wanted};
    if (definition->filter != NULL) pq_mentions_of_filter(definition->filter, &visitor);
    if (definition->select != NULL) pq_mentions_of_expr(definition->select, &visitor);
    if (definition->group_by != NULL) pq_mentions_of_expr(definition->group_by, &visitor);
    if (definition->compute != NULL) pq_mentions_of_expr(definition->compute, &visitor);
    pq_each_bare_key(definition, &visitor);
    pq_each_bare_argument(definition, &visitor);
    if (definition->unnest == NULL) return;
    pq_stage_mark(plan->source, definition->unnest_path, columns);
}

// ---- the list --------------------------------------------------------------------------------

/// What cannot be unnested, in words; NULL when it can.
static const char *why_no_list(const struct pq_path_meaning *meaning) {
    if (meaning->through_list) return "lies in another list";
    switch (meaning->type.kind) {
        case PQ_LIST:
        case PQ_VARIANT: return NULL;
        case PQ_NULL: return meaning->column < 0 ? "is not there" : "has no such part";
        default: return "is no list";
    }
}

static bool check_list(struct pq_view_plan *plan, const struct pq_place *place) {
    const struct pq_scope *scope = &plan->stage->scope;
    struct pq_definition *definition = plan->definition;
    struct pq_path_meaning meaning;
    pqdb_error why = {0};
    if (pq_path_resolve(scope, definition->unnest_path, &meaning, &why) != PQDB_OK) {
        pq_definition_mistake(definition, place, NULL, "%s", why.message);
        return false;
    }
    const char *fault = why_no_list(&meaning);
    if (fault == NULL) return true;
    const char *names[64];
    size_t count = 0;
    for (uint32_t k = 0; k < scope->type->field_count && count < 64; k++) {
        const struct pq_field *field = &scope->type->fields[k];
        if (field->type.kind != PQ_LIST && field->type.kind != PQ_VARIANT) continue;
        names[count++] = field->name.data;
    }
    struct pq_view_remedy remedy;
    const char *nearest = pq_view_nearest(definition->unnest_path, names, count, &remedy);
    if (meaning.through_list) nearest = "unnest the outer list in a view of its own first";
    pq_definition_mistake(definition, place, nearest, "%.*s of %s %s",
                          PQ_TEXT_ARG(definition->unnest_path), scope->owner_name, fault);
    return false;
}

pqdb_code pq_plan_beside(struct pq_view_plan *plan, const struct pq_beside *elements,
                         struct pq_columns *columns, struct pq_operand *operand, bool *any,
                         pqdb_error *err) {
    struct pq_argument argument = {
        .place = pq_definition_place(plan->definition, "INVALID_UNNEST", "$unnest",
                                     plan->definition->unnest),
        .is_path = true, .path = elements->list};
    struct pq_column_plan list, beside;
    struct pq_text name;
    PQ_TRY(pq_plan_value(plan, plan->stage, &argument, &list, err));
    argument.related = true;
    PQ_TRY(pq_plan_value(plan, plan->stage, &argument, &beside, err));
    *any = beside.type.kind == PQ_LIST && !pq_type_equal(&beside.type, &list.type);
    if (!*any) return PQDB_OK;
    *operand = beside.operand;
    PQ_TRY(pq_related_name(plan->arena, elements->name, &name, err));
    pq_columns_add(columns, name,
                   &(struct pq_column_plan){.type = beside.type.fields[0].type,
                                            .path = PQ_TEXT("")});
    return PQDB_OK;
}

/// Is the column as long as the list that is unnested, element by element?
static bool is_along(const struct pq_stage *stage, uint32_t column, struct pq_text list) {
    return stage->along != NULL && pq_text_equal(stage->along[column].list, list);
}

/// What goes element by element with the list: the rows that links in it lead to, and columns that
/// `$expand` made through it.
static pqdb_code add_beside(struct pq_view_plan *plan, const struct pq_column_plan *list,
                            const bool *wanted, struct pq_unnest_spec *spec,
                            struct pq_columns *columns, pqdb_error *err) {
    const struct pq_definition *definition = plan->definition;
    const struct pq_stage *input = plan->stage;
    const uint32_t count = input->scope.type->field_count;
    if (plan->expand == NULL || list->type.kind != PQ_LIST) return PQDB_OK;
    struct pq_operand *beside = pq_arena_calloc(plan->arena, count + 1, sizeof *beside);
    bool has_related;
    if (beside == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_plan_beside(plan, &(struct pq_beside){definition->unnest_path,
                                                    pq_plan_element_name(definition)},
                          columns, &beside[0], &has_related, err));
    spec->beside_count = has_related;
    for (uint32_t k = 0; k < count; k++) {
        if (!is_along(input, k, definition->unnest_path) || !wanted[k]) continue;
        const struct pq_field *field = &input->scope.type->fields[k];
        beside[spec->beside_count++] = (struct pq_operand){NULL, k};
        pq_columns_add(columns, field->name,
                       &(struct pq_column_plan){.type = field->type.fields[0].type,
                                                .declared = input->along[k].declared,
                                                .path = field->name});
    }
    spec->beside = beside;
    return PQDB_OK;
}

/// The list as it is declared, as one element of it is: a link out of a list of links is one link.
static pqdb_code declared_element(const struct pq_view_plan *plan,
                                  const struct pq_declared_field **out, pqdb_error *err) {
    const struct pq_declared_field *list =
        pq_stage_declared(plan->stage, plan->definition->unnest_path);
    *out = list;
    if (list == NULL || list->field.type.kind != PQ_LIST) return PQDB_OK;
    struct pq_declared_field *element = pq_arena_alloc(plan->arena, sizeof *element);
    if (element == NULL) return pq_plan_no_memory(err);
    *element = *list;
    element->field.type = list->field.type.fields[0].type;
    *out = element;
    if (list->relation == NULL) return PQDB_OK;
    struct pq_relation *relation = pq_arena_alloc(plan->arena, sizeof *relation);
    if (relation == NULL) return pq_plan_no_memory(err);
    *relation = *list->relation;
    relation->many = false;
    element->relation = relation;
    return PQDB_OK;
}

/// The unnested rows' columns; the carried ones are listed in `carry`.
static pqdb_code make_columns(struct pq_view_plan *plan, const struct pq_column_plan *list,
                              struct pq_unnest_spec *spec, struct pq_columns *columns,
                              pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    const struct pq_stage *input = plan->stage;
    const size_t input_count = input->scope.type->field_count;
    uint32_t *carry = pq_arena_calloc(plan->arena, input_count, sizeof *carry);
    bool *wanted = pq_arena_calloc(plan->arena, input_count, sizeof *wanted);
    if (carry == NULL || wanted == NULL) return pq_plan_no_memory(err);
    pq_plan_mark_read(plan, wanted);
    PQ_TRY(pq_columns_init(columns, input_count + unnested_columns + 1, plan->arena, err));
    const struct pq_declared_field *declared;
    PQ_TRY(declared_element(plan, &declared, err));
    const struct pq_column_plan id = pq_stage_column(input, PQ_ID_COLUMN);
    const struct pq_column_plan seq = pq_stage_column(input, PQ_SEQ_COLUMN);
    pq_columns_add(columns, PQ_TEXT("$id"), &id);
    pq_columns_add(columns, PQ_TEXT("$seq"), &seq);
    pq_columns_add(columns, PQ_TEXT("$index"),
                   &(struct pq_column_plan){
                       .type = pq_type_int64, .required = true, .path = PQ_TEXT("")});
    pq_columns_add(columns, pq_plan_element_name(definition),
                   &(struct pq_column_plan){
                       .type = list->type.kind == PQ_LIST ? list->type.fields[0].type
                                                          : pq_type_variant,
                       .declared = declared,
                       .path = definition->unnest_path,
                   });
    spec->has_position = definition->unnest_index.length > 0;
    if (spec->has_position) {
        pq_columns_add(columns, definition->unnest_index,
                       &(struct pq_column_plan){.type = pq_type_int64,
                                                .required = !definition->keep_empty,
                                                .path = PQ_TEXT("")});
    }
    PQ_TRY(add_beside(plan, list, wanted, spec, columns, err));
    const int related = memchr(definition->unnest_path.data, '.', definition->unnest_path.length)
                            ? -1
                            : pq_stage_related(input, definition->unnest_path);
    for (uint32_t k = PQ_SEQ_COLUMN + 1; k < input_count; k++) {
        if (k == list->operand.column || k == input->index || !wanted[k]) continue;
        if ((int)k == related || is_along(input, k, definition->unnest_path)) continue;
        const struct pq_column_plan column = pq_stage_column(input, k);
        carry[spec->carry_count++] = k;
        pq_columns_add(columns, input->scope.type->fields[k].name, &column);
    }
    spec->carry = carry;
    return PQDB_OK;
}

/// Element and index against all columns of the source, carried or not: a name must not change its
/// meaning with what else is mentioned.
static void check_names(struct pq_view_plan *plan, const struct pq_place *place,
                        struct pq_text element, uint32_t replaced) {
    struct pq_definition *definition = plan->definition;
    const struct pq_type *type = plan->stage->scope.type;
    const struct pq_text names[2] = {element, definition->unnest_index};
    if (!pq_is_column_name(element)) {
        pq_definition_mistake(definition, place, "name the element with as: { path, as: 'item' }",
                              "'%.*s' is no name for a column", PQ_TEXT_ARG(element));
    }
    struct pq_place at = *place;
    at.code = "DUPLICATE_COLUMN";
    if (pq_names_clash(names[0], names[1])) {
        pq_definition_mistake(definition, &at, "give one of them another name",
                              "element and index are both called %.*s", PQ_TEXT_ARG(element));
    }
    for (uint32_t k = 0; k < type->field_count; k++) {
        for (size_t n = 0; n < 2 && k != replaced; n++) {
            if (!pq_names_clash(type->fields[k].name, names[n])) continue;
            pq_definition_mistake(definition, &at, "choose another name with as or index",
                                  "there is a column %.*s already (case does not count)",
                                  PQ_TEXT_ARG(type->fields[k].name));
        }
    }
}

pqdb_code pq_plan_unnest(struct pq_view_plan *plan, pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    if (definition->unnest == NULL) return PQDB_OK;
    const struct pq_stage *input = plan->stage;
    const size_t mistakes = definition->mistakes;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_UNNEST", "$unnest", definition->unnest);
    if (!check_list(plan, &place)) return PQDB_OK;
    const struct pq_argument argument = {
        .place = place, .is_path = true, .path = definition->unnest_path};
    struct pq_column_plan list;
    PQ_TRY(pq_plan_value(plan, input, &argument, &list, err));
    check_names(plan, &place, pq_plan_element_name(definition), list.operand.column);
    if (definition->mistakes != mistakes) return PQDB_OK;
    PQ_TRY(pq_plan_need_rows(plan, err));

    struct pq_unnest_spec *spec = pq_arena_calloc(plan->arena, 1, sizeof *spec);
    struct pq_stage *stage = pq_arena_alloc(plan->arena, sizeof *stage);
    if (spec == NULL || stage == NULL) return pq_plan_no_memory(err);
    struct pq_columns columns;
    PQ_TRY(make_columns(plan, &list, spec, &columns, err));
    spec->list = list.operand;
    spec->keep_empty = definition->keep_empty;
    spec->parent_index = input->index;
    PQ_TRY(pq_columns_type(&columns, &spec->type, err));
    PQ_TRY(pq_stage_of_columns(&columns, spec->type, input, stage, err));
    stage->index = unnested_index;
    plan->rows->unnest = spec;
    plan->stage = stage;
    return PQDB_OK;
}
