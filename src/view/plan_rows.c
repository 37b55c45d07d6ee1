/// The stateless half of a view: from its stages to the columns that it puts out.
#include <stdio.h>

#include "view/plan_internal.h"

pqdb_code pq_plan_need_rows(struct pq_view_plan *plan, pqdb_error *err) {
    if (plan->rows != NULL) return PQDB_OK;
    plan->rows = pq_arena_calloc(plan->arena, 1, sizeof *plan->rows);
    if (plan->rows == NULL) return pq_plan_no_memory(err);
    plan->rows->input = plan->source->scope.type;
    return PQDB_OK;
}

struct grouped_by {
    const struct pq_stage *stage;
    bool *columns;
};

static void mark_grouped_by(void *ctx, const struct pq_mention *mention) {
    const struct grouped_by *marks = ctx;
    pq_stage_mark(marks->stage, mention->path, marks->columns);
}

pqdb_code pq_plan_project(struct pq_view_plan *plan, pqdb_error *err) {
    if (plan->rows == NULL) return PQDB_OK;
    const struct pq_definition *definition = plan->definition;
    const struct pq_stage *from = plan->stage;
    const uint32_t count = from->scope.type->field_count;
    struct grouped_by marks = {from, pq_arena_calloc(plan->arena, count, 1)};
    struct pq_stage *stage = pq_arena_alloc(plan->arena, sizeof *stage);
    if (marks.columns == NULL || stage == NULL) return pq_plan_no_memory(err);
    const struct pq_mention_visitor visitor = {mark_grouped_by, &marks};
    if (definition->group_by != NULL) pq_mentions_of_expr(definition->group_by, &visitor);
    if (definition->compute != NULL) pq_mentions_of_expr(definition->compute, &visitor);
    pq_each_bare_key(definition, &visitor);
    pq_each_bare_argument(definition, &visitor);
    marks.columns[PQ_ID_COLUMN] = marks.columns[PQ_SEQ_COLUMN] = true;
    if (from->index != PQ_NO_COLUMN) marks.columns[from->index] = true;

    struct pq_columns columns;
    uint32_t index = PQ_NO_COLUMN;
    PQ_TRY(pq_columns_init(&columns, count, plan->arena, err));
    for (uint32_t k = 0; k < count; k++) {
        if (!marks.columns[k]) continue;
        if (k == from->index) index = (uint32_t)columns.count;
        const struct pq_column_plan column = pq_stage_column(from, k);
        pq_columns_add(&columns, from->scope.type->fields[k].name, &column);
    }
    PQ_TRY(pq_columns_type(&columns, &plan->rows->output, err));
    PQ_TRY(pq_stage_of_columns(&columns, plan->rows->output, from, stage, err));
    stage->index = index;
    plan->rows->columns = columns.operands;
    plan->stage = stage;
    return PQDB_OK;
}

pqdb_code pq_plan_finish(struct pq_view_plan *plan, const struct pq_columns *columns,
                         uint32_t index, pqdb_error *err) {
    struct pq_type *type = pq_arena_alloc(plan->arena, sizeof *type);
    struct pq_stage *stage = pq_arena_alloc(plan->arena, sizeof *stage);
    const struct pq_type *without_ids;
    int32_t next_id;
    if (type == NULL || stage == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_columns_type(columns, &without_ids, err));
    PQ_TRY(pq_type_assign_ids(without_ids, 1, plan->arena, type, &next_id, err));
    PQ_TRY(pq_stage_of_columns(columns, type, plan->stage, stage, err));
    const bool open = stage->scope.extra_column >= 0 && !plan->stage->scope.closed &&
                      !plan->stage->scope.strict;
    stage->scope.closed = !open;
    stage->scope.strict = false;
    stage->scope.owner_name = plan->view->name.data;
    stage->index = index;
    stage->by_id = plan->stage->by_id || plan->view->grouped;
    plan->view->type = type;
    plan->view->scope = stage->scope;
    plan->view->scope.problems = NULL;
    plan->view->scope.position = NULL;
    plan->stage = stage;
    return PQDB_OK;
}

// ---- columns of a view that is not grouped ----------------------------------------------------

/// Fields that stand in JSON as texts without a `$`, and are probably meant as paths.
static void warn_literal(struct pq_view_plan *plan, const struct pq_place *place) {
    const struct pq_text text = pq_json_text_or_empty(place->json);
    if (text.length == 0 || text.data[0] == '$') return;
    if (pq_type_find(plan->stage->scope.type, text) < 0) return;
    struct pq_view_remedy remedy;
    snprintf(remedy.text, sizeof remedy.text, "write '$%.*s' for the field", PQ_TEXT_ARG(text));
    pq_problem_warn(plan->planner->problems, "LITERAL_COLUMN",
                    pq_schema_at(plan->planner->schema, place->json, place->path), remedy.text,
                    "the column is the text '%.*s' in every row", PQ_TEXT_ARG(text));
}

static pqdb_code select_columns(struct pq_view_plan *plan, struct pq_columns *columns,
                                pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_SELECT", "$select", definition->select);
    const struct pq_json *key = pq_json_first(definition->select);
    for (size_t k = pq_json_count(definition->select); k > 0; k--) {
        const struct pq_text name = pq_json_text(key);
        const struct pq_json *value = pq_json_next(key);
        const struct pq_place named = pq_place_key(definition, &place, name, key);
        const struct pq_argument argument = {
            .place = pq_place_key(definition, &place, name, value)};
        struct pq_column_plan column;
        warn_literal(plan, &argument.place);
        PQ_TRY(pq_plan_value(plan, plan->stage, &argument, &column, err));
        if (pq_is_column_name(name)) pq_columns_check_new(columns, definition, &named, name);
        pq_columns_add(columns, name, &column);
        key = pq_json_next(value);
    }
    return PQDB_OK;
}

static void pass_column(const struct pq_view_plan *plan, struct pq_columns *columns,
                        struct pq_text name) {
    const int at = pq_type_find(plan->stage->scope.type, name);
    if (at < 0) return;
    const struct pq_column_plan column = pq_stage_column(plan->stage, (uint32_t)at);
    pq_columns_add(columns, name, &column);
}

static void pass_element(const struct pq_view_plan *plan, struct pq_columns *columns) {
    const struct pq_unnest_spec *unnest = plan->rows->unnest;
    pass_column(plan, columns, unnest->type->fields[3].name);
    if (plan->definition->unnest_index.length > 0) {
        pass_column(plan, columns, plan->definition->unnest_index);
    }
}

/// All columns of the source in their order, an unnested list replaced by its element; then what
/// was computed; the undeclared fields last.
static void pass_columns(struct pq_view_plan *plan, const struct pq_aggregate_plans *computed,
                         struct pq_columns *columns) {
    const struct pq_type *source = plan->source->scope.type;
    const struct pq_unnest_spec *unnest = plan->rows == NULL ? NULL : plan->rows->unnest;
    const uint32_t replaced = unnest == NULL || unnest->list.program != NULL
                                  ? PQ_NO_COLUMN
                                  : unnest->list.column;
    for (uint32_t k = PQ_SEQ_COLUMN + 1; k < source->field_count; k++) {
        if (k == plan->source->index || (int)k == plan->source->scope.extra_column) continue;
        if (k == replaced) {
            pass_element(plan, columns);
        } else if (plan->source->hidden == NULL || !plan->source->hidden[k]) {
            pass_column(plan, columns, source->fields[k].name);
        }
    }
    if (unnest != NULL && replaced == PQ_NO_COLUMN) pass_element(plan, columns);
    for (size_t k = 0; k < computed->count; k++) {
        pass_column(plan, columns, computed->all[k].alias);
    }
    if (plan->source->scope.extra_column >= 0) pass_column(plan, columns, PQ_TEXT("_extra"));
}

pqdb_code pq_plan_output(struct pq_view_plan *plan, const struct pq_aggregate_plans *computed,
                         pqdb_error *err) {
    const struct pq_definition *definition = plan->definition;
    PQ_TRY(pq_plan_need_rows(plan, err));
    const size_t mistakes = definition->mistakes;
    const struct pq_stage *stage = plan->stage;
    const size_t selected = definition->select == NULL ? 0 : pq_json_count(definition->select);
    struct pq_columns columns;
    PQ_TRY(pq_columns_init(&columns, 8 + selected + stage->scope.type->field_count, plan->arena,
                           err));
    const struct pq_column_plan id = pq_stage_column(stage, PQ_ID_COLUMN);
    const struct pq_column_plan seq = pq_stage_column(stage, PQ_SEQ_COLUMN);
    pq_columns_add(&columns, PQ_TEXT("$id"), &id);
    pq_columns_add(&columns, PQ_TEXT("$seq"), &seq);
    if (stage->index != PQ_NO_COLUMN) {
        const struct pq_column_plan index = pq_stage_column(stage, stage->index);
        pq_columns_add(&columns, PQ_TEXT("$index"), &index);
    }
    if (definition->select != NULL) {
        PQ_TRY(select_columns(plan, &columns, err));
    } else {
        pass_columns(plan, computed, &columns);
    }
    if (definition->mistakes != mistakes) return PQDB_OK;
    const uint32_t index = stage->index == PQ_NO_COLUMN ? PQ_NO_COLUMN : PQ_SEQ_COLUMN + 1;
    PQ_TRY(pq_plan_finish(plan, &columns, index, err));
    plan->rows->columns = columns.operands;
    plan->rows->output = plan->view->type;
    return PQDB_OK;
}
