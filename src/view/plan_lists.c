/// `$compute` without `$groupBy` whose arguments go through lists: one value per row over its
/// elements, added to the row.
#include <stdio.h>

#include "base/check.h"
#include "view/plan_internal.h"

enum { element_name_max = 32 };

struct wanted {
    const struct pq_stage *stage;
    struct pq_text list;
    bool *columns;
};

static void want(void *ctx, const struct pq_mention *mention) {
    const struct wanted *wanted = ctx;
    const struct pq_text list = wanted->list;
    const struct pq_text path = mention->path;
    const bool is_element = pq_text_starts_with(path, list) &&
                            (path.length == list.length || path.data[list.length] == '.');
    if (!is_element) pq_stage_mark(wanted->stage, path, wanted->columns);
}

static void want_argument(struct wanted *wanted, const struct pq_argument *argument) {
    const struct pq_mention_visitor visitor = {want, wanted};
    if (argument->is_path) {
        want(wanted, &(struct pq_mention){argument->path, argument->place.json, false});
    } else {
        pq_mentions_of_expr(argument->place.json, &visitor);
    }
}

/// A name that no column of the stage has.
static pqdb_code element_name(const struct pq_stage *stage, struct pq_arena *arena,
                              struct pq_text *name, pqdb_error *err) {
    char text[element_name_max];
    for (unsigned k = 0;; k++) {
        const int length = snprintf(text, sizeof text, "element%u", k);
        *name = (struct pq_text){text, (size_t)length};
        if (pq_type_find(stage->scope.type, *name) < 0) break;
    }
    *name = pq_arena_copy(arena, *name);
    return name->data == NULL ? pq_plan_no_memory(err) : PQDB_OK;
}

/// Rows of the elements of one list: the element, and the row's columns that are read beside it.
static pqdb_code plan_elements(struct pq_view_plan *plan, const struct wanted *wanted,
                               struct pq_text name, struct pq_unnest_spec *spec,
                               struct pq_stage *stage, pqdb_error *err) {
    const struct pq_stage *input = plan->stage;
    const uint32_t input_count = input->scope.type->field_count;
    const struct pq_argument list_path = {
        .place = pq_definition_place(plan->definition, "INVALID_COMPUTE", "$compute",
                                     plan->definition->compute),
        .is_path = true,
        .path = wanted->list,
    };
    uint32_t *carry = pq_arena_calloc(plan->arena, input_count, sizeof *carry);
    struct pq_columns columns;
    struct pq_column_plan list;
    if (carry == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_columns_init(&columns, input_count + 2, plan->arena, err));
    PQ_TRY(pq_plan_value(plan, input, &list_path, &list, err));
    pq_assert(list.type.kind == PQ_LIST);  // or it would not have been found
    const struct pq_column_plan element = {
        .type = list.type.fields[0].type,
        .declared = pq_stage_declared(input, wanted->list),
        .path = wanted->list,
    };
    pq_columns_add(&columns, name, &element);
    if (plan->expand != NULL) {
        struct pq_operand *beside = pq_arena_calloc(plan->arena, 1, sizeof *beside);
        if (beside == NULL) return pq_plan_no_memory(err);
        bool has_related;
        PQ_TRY(pq_plan_beside(plan, &(struct pq_beside){wanted->list, name}, &columns, beside,
                              &has_related, err));
        spec->beside = beside;
        spec->beside_count = has_related;
    }
    for (uint32_t k = 0; k < input_count; k++) {
        if (!wanted->columns[k]) continue;
        const struct pq_column_plan column = pq_stage_column(input, k);
        carry[spec->carry_count++] = k;
        pq_columns_add(&columns, input->scope.type->fields[k].name, &column);
    }
    spec->list = list.operand;
    spec->parent_index = PQ_NO_COLUMN;
    spec->carry = carry;
    PQ_TRY(pq_columns_type(&columns, &spec->type, err));
    return pq_stage_of_columns(&columns, spec->type, input, stage, err);
}

static pqdb_code plan_list(struct pq_view_plan *plan, struct pq_aggregate_plans *aggregates,
                           struct pq_text list, struct pq_list_compute_spec *spec,
                           pqdb_error *err) {
    struct pq_rewrite *rewrite = pq_arena_calloc(plan->arena, 1, sizeof *rewrite);
    struct wanted wanted = {plan->stage, list, NULL};
    struct pq_stage stage;
    wanted.columns = pq_arena_calloc(plan->arena, plan->stage->scope.type->field_count, 1);
    if (rewrite == NULL || wanted.columns == NULL) return pq_plan_no_memory(err);
    rewrite->from = list;
    PQ_TRY(element_name(plan->stage, plan->arena, &rewrite->to, err));
    for (size_t k = 0; k < aggregates->count; k++) {
        struct pq_aggregate_plan *aggregate = &aggregates->all[k];
        if (!pq_text_equal(aggregate->list, list)) continue;
        aggregate->argument.rewrite = rewrite;
        aggregate->by.rewrite = rewrite;
        want_argument(&wanted, &aggregate->argument);
        if (aggregate->has_by) want_argument(&wanted, &aggregate->by);
    }
    PQ_TRY(plan_elements(plan, &wanted, rewrite->to, &spec->elements, &stage, err));
    return pq_plan_compute_spec(plan, &stage, aggregates, list, &spec->compute, err);
}

/// The rows with all computed columns behind: list by list, as flow appends them.
static pqdb_code computed_stage(struct pq_view_plan *plan,
                                const struct pq_aggregate_plans *aggregates,
                                const struct pq_text *lists, pqdb_error *err) {
    struct pq_row_spec *rows = plan->rows;
    const struct pq_type *input = plan->stage->scope.type;
    struct pq_stage *stage = pq_arena_alloc(plan->arena, sizeof *stage);
    struct pq_columns columns;
    if (stage == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_columns_init(&columns, input->field_count + aggregates->count, plan->arena, err));
    for (uint32_t k = 0; k < input->field_count; k++) {
        const struct pq_column_plan column = pq_stage_column(plan->stage, k);
        pq_columns_add(&columns, input->fields[k].name, &column);
    }
    for (size_t l = 0; l < rows->list_count; l++) {
        for (size_t k = 0; k < aggregates->count; k++) {
            const struct pq_aggregate_plan *aggregate = &aggregates->all[k];
            if (!pq_text_equal(aggregate->list, lists[l])) continue;
            const struct pq_column_plan column = {.type = aggregate->type, .path = PQ_TEXT("")};
            pq_columns_check_new(&columns, plan->definition, &aggregate->place,
                                 aggregate->alias);
            pq_columns_add(&columns, aggregate->alias, &column);
        }
    }
    PQ_TRY(pq_columns_type(&columns, &rows->computed, err));
    PQ_TRY(pq_stage_of_columns(&columns, rows->computed, plan->stage, stage, err));
    stage->index = plan->stage->index;
    plan->stage = stage;
    return PQDB_OK;
}

pqdb_code pq_plan_list_compute(struct pq_view_plan *plan, struct pq_aggregate_plans *aggregates,
                               pqdb_error *err) {
    struct pq_list_compute_spec *specs =
        pq_arena_calloc(plan->arena, aggregates->count, sizeof *specs);
    struct pq_text *lists = pq_arena_calloc(plan->arena, aggregates->count, sizeof *lists);
    if (specs == NULL || lists == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_plan_need_rows(plan, err));
    const size_t mistakes = plan->definition->mistakes;
    size_t count = 0;
    for (size_t k = 0; k < aggregates->count; k++) {
        const struct pq_text list = aggregates->all[k].list;
        bool is_known = false;
        for (size_t l = 0; l < count; l++) is_known = is_known || pq_text_equal(lists[l], list);
        if (is_known) continue;
        lists[count] = list;
        PQ_TRY(plan_list(plan, aggregates, list, &specs[count], err));
        count++;
    }
    if (plan->definition->mistakes != mistakes) return PQDB_OK;
    plan->rows->lists = specs;
    plan->rows->list_count = count;
    return computed_stage(plan, aggregates, lists, err);
}
