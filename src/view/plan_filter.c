/// `$filter`: what can be asked before links are followed, what before there are elements, and the
/// rest.
#include "flow/expand.h"
#include "view/plan_internal.h"

enum { unnested_element = 3 };
enum part { BEFORE_LINKS, BEFORE_ELEMENTS, BEHIND, part_count };

/// A filter in parts, each as the members of an `$and`.
struct split {
    const struct pq_view_plan *plan;
    struct pq_bytes parts[part_count];
    size_t counts[part_count];
    enum part part;  // that the condition at hand belongs to
};

/// Does the path need what `$expand` or a link behind it brings?
static bool needs_links(const struct pq_view_plan *plan, struct pq_text path) {
    const int column = pq_stage_begin(plan->source, path);
    if (column >= (int)plan->origin->scope.type->field_count) return true;
    if (column < 0 || pq_stage_related(plan->source, path) < 0) return false;
    return plan->source->scope.type->fields[column].type.kind == PQ_LIST ||
           memchr(path.data, '.', path.length) != NULL;
}

/// Is it the element, its position, or what goes along with it?
static bool needs_element(const struct pq_view_plan *plan, struct pq_text path) {
    const struct pq_unnest_spec *unnest = plan->rows->unnest;
    if (unnest == NULL) return false;
    const int column = pq_stage_begin(plan->stage, path);
    const int end = unnested_element + 1 + unnest->has_position + (int)unnest->beside_count;
    return column == PQ_ID_COLUMN || (column >= unnested_element && column < end);
}

static void look_at(void *ctx, const struct pq_mention *mention) {
    struct split *split = ctx;
    const struct pq_view_plan *plan = split->plan;
    enum part part = BEFORE_LINKS;
    if (plan->expand == NULL || needs_links(plan, mention->path)) part = BEFORE_ELEMENTS;
    if (part == BEFORE_ELEMENTS && plan->rows->unnest == NULL) part = BEHIND;
    if (needs_element(plan, mention->path)) part = BEHIND;
    if (part > split->part) split->part = part;
}

static pqdb_code split_condition(struct split *split, const struct pq_json *key, pqdb_error *err) {
    const struct pq_mention_visitor visitor = {look_at, split};
    split->part = split->plan->expand != NULL ? BEFORE_LINKS : BEFORE_ELEMENTS;
    pq_mentions_of_condition(key, &visitor);
    struct pq_bytes *part = &split->parts[split->part];
    const bool is_first = split->counts[split->part]++ == 0;
    PQ_TRY(pq_bytes_append_text(part, is_first ? PQ_TEXT("{\"$and\":[{") : PQ_TEXT(",{"), err));
    PQ_TRY(pq_json_write_text(part, pq_json_text(key), err));
    PQ_TRY(pq_bytes_append_byte(part, ':', err));
    PQ_TRY(pq_json_copy(part, pq_json_next(key), NULL, err));
    return pq_bytes_append_byte(part, '}', err);
}

static pqdb_code split_filter(struct split *split, const struct pq_json *filter,
                              pqdb_error *err) {
    const struct pq_json *key = pq_json_first(filter);
    for (size_t k = pq_json_count(filter); k > 0; k--) {
        const struct pq_json *value = pq_json_next(key);
        if (pq_text_is(pq_json_text(key), "$and")) {
            const struct pq_json *item = pq_json_first(value);
            for (size_t n = pq_json_count(value); n > 0; n--) {
                PQ_TRY(split_filter(split, item, err));
                item = pq_json_next(item);
            }
        } else {
            PQ_TRY(split_condition(split, key, err));
        }
        key = pq_json_next(value);
    }
    return PQDB_OK;
}

/// Each part is asked as early as it can be: for fewer rows links are followed, and lists unnested.
static pqdb_code push_down(struct pq_view_plan *plan, pqdb_error *err) {
    const struct pq_alloc *alloc = plan->planner->views->alloc;
    const struct pq_stage *const stages[part_count] = {plan->origin, plan->source, plan->stage};
    const struct pq_program *programs[part_count] = {NULL};
    struct split split = {.plan = plan};
    for (int k = 0; k < part_count; k++) pq_bytes_init(&split.parts[k], alloc);
    pqdb_code code;
    PQ_GO(split_filter(&split, plan->definition->filter, err));
    if (split.counts[BEFORE_LINKS] + split.counts[BEFORE_ELEMENTS] == 0) goto done;
    for (int k = 0; k < part_count; k++) {
        if (split.counts[k] == 0) continue;
        PQ_GO(pq_bytes_append_text(&split.parts[k], PQ_TEXT("]}"), err));
        const struct pq_text text = pq_bytes_text(&split.parts[k]);
        PQ_GO(pq_plan_filter_text(plan, stages[k], text, &programs[k], err));
        plan->filters[k] = pq_arena_copy(plan->arena, text);
    }
    if (plan->expand != NULL) plan->expand->filter = programs[BEFORE_LINKS];
    plan->rows->filter_first = programs[BEFORE_ELEMENTS];
    plan->rows->filter = programs[BEHIND];
done:
    for (int k = 0; k < part_count; k++) pq_bytes_deinit(&split.parts[k]);
    return code;
}

pqdb_code pq_plan_row_filter(struct pq_view_plan *plan, pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    if (definition->filter == NULL) return PQDB_OK;
    PQ_TRY(pq_plan_need_rows(plan, err));
    const size_t mistakes = definition->mistakes;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_FILTER", "$filter", definition->filter);
    PQ_TRY(pq_plan_filter(plan, plan->stage, &place, &plan->rows->filter, err));
    if (definition->mistakes != mistakes) return PQDB_OK;
    if (plan->rows->unnest == NULL && plan->expand == NULL) return PQDB_OK;
    return push_down(plan, err);
}
