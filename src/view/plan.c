/// All views of a schema: read, put in order, and planned one after the other.
#include "flow/expand.h"
#include "view/plan_internal.h"

static struct pq_problem_at position(const void *ctx, const struct pq_json *value,
                                     struct pq_text path) {
    return pq_schema_at(ctx, value, path);
}

// ---- one view --------------------------------------------------------------------------------

/// What `$compute` over all rows, or over each row, cannot stand beside.
static void check_beside_compute(struct pq_view_plan *plan) {
    struct pq_definition *definition = plan->definition;
    const bool is_grouped = plan->view->grouped;
    if (is_grouped && definition->group_by == NULL && definition->select != NULL) {
        const struct pq_place place =
            pq_definition_place(definition, "INVALID_SELECT", "$select", definition->select);
        pq_definition_mistake(definition, &place, "leave $select out: $compute names the columns",
                              "$select cannot stand beside a $compute over all rows");
    }
    if (!is_grouped && definition->compute != NULL && definition->having != NULL) {
        const struct pq_place place =
            pq_definition_place(definition, "INVALID_HAVING", "$having", definition->having);
        pq_definition_mistake(definition, &place, "write a view on this one with $filter",
                              "$having needs groups, and this $compute gives one value per row");
    }
}

static pqdb_code plan_operators(struct pq_view_plan *plan, pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    const size_t mistakes = definition->mistakes;
    PQ_TRY(pq_plan_expand(plan, err));
    if (definition->mistakes == mistakes) PQ_TRY(pq_plan_unnest(plan, err));
    if (definition->mistakes != mistakes) return PQDB_OK;

    struct pq_aggregate_plans aggregates;
    PQ_TRY(pq_plan_aggregates(plan, &aggregates, err));
    const bool is_computed = definition->mistakes == mistakes;
    const bool has_lists = aggregates.count > 0 && aggregates.all[0].list.length > 0;
    plan->view->grouped =
        definition->group_by != NULL || (definition->compute != NULL && !has_lists);
    if (is_computed && plan->view->grouped && definition->unnest != NULL) {
        plan->stage = plan->source;
        PQ_TRY(pq_plan_unnest(plan, err));  // now it is known that few columns need to go along
    }
    PQ_TRY(pq_plan_row_filter(plan, err));
    if (!is_computed && definition->group_by == NULL) return PQDB_OK;
    const size_t before = definition->mistakes;
    check_beside_compute(plan);
    if (plan->view->grouped) return pq_plan_group(plan, &aggregates, err);
    if (has_lists) PQ_TRY(pq_plan_list_compute(plan, &aggregates, err));
    return definition->mistakes == before ? pq_plan_output(plan, &aggregates, err) : PQDB_OK;
}

static void settings_of(struct pq_view_plan *plan) {
    const struct pq_definition *definition = plan->definition;
    struct pq_view *view = plan->view;
    view->mode = definition->mode;
    view->schedule = definition->schedule;
    view->cron = definition->cron;
    view->zone = definition->zone;
    view->grace_us = definition->grace_us;
    view->append = definition->append;
    if (view->append && view->mode == PQ_VIEW_STREAMING) view->mode = PQ_VIEW_APPENDING;
    view->backend = definition->backend;
    if (view->backend == PQ_BACKEND_DEFAULT) {
        view->backend = view->upstream == NULL
                            ? plan->planner->schema->entries[view->source_entry].backend
                            : view->upstream->backend;
    }
    if (view->backend == PQ_BACKEND_DEFAULT) view->backend = PQ_BACKEND_NATIVE;
}

static void check_chain(struct pq_view_plan *plan) {
    struct pq_definition *definition = plan->definition;
    size_t below = 0;
    for (const struct pq_view *up = plan->view->upstream; up != NULL; up = up->upstream) below++;
    if (below <= PQ_VIEWS_BELOW_MAX) return;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_FROM", "$from", definition->from);
    pq_definition_mistake(definition, &place, "read one that is further below",
                          "%zu views are one below the other there, at most %d may be", below,
                          PQ_VIEWS_BELOW_MAX);
}

/// Which rows of its source are new only creation numbers tell.
static void check_append(struct pq_view_plan *plan) {
    struct pq_definition *definition = plan->definition;
    for (const struct pq_view *up = plan->view->upstream; definition->append && up != NULL;
         up = up->upstream) {
        if (!up->grouped && up->mode == PQ_VIEW_STREAMING) continue;
        const struct pq_place place =
            pq_definition_place(definition, "INVALID_STRATEGY", "$refresh", definition->refresh);
        pq_definition_mistake(definition, &place, "append from the collection below it",
                              "a view appends what is created in a collection, or in a streaming "
                              "view of its rows; %s is %s", up->name.data,
                              up->append    ? "one that appends"
                              : up->grouped ? "grouped"
                                            : "not streaming");
        return;
    }
}

static void refuse_keep(struct pq_view_plan *plan, const char *hint, const char *what,
                        struct pq_text name, const char *is) {
    struct pq_definition *definition = plan->definition;
    const struct pq_place place = pq_definition_place(
        definition, "INVALID_RETENTION", "$onRetention",
        pq_json_find(definition->entry->definition, "$onRetention"));
    pq_definition_mistake(definition, &place, hint, "%s; %s %s", what, name.data, is);
}

/// What rows gave that are gone can be kept where each change of the view's rows is one of the
/// collection's, and where nothing else leads to the rows that go.
static void check_keep(struct pq_view_plan *plan) {
    const struct pq_view *view = plan->view, *up = view->upstream;
    if (!plan->definition->entry->retention_keeps) return;
    uint32_t root = view->source_entry, root_table = view->source;
    for (; up != NULL; up = up->upstream) {
        if (up->grouped || up->mode != PQ_VIEW_STREAMING) {
            refuse_keep(plan, "keep in a view of the collection below it",
                        "a view keeps what came of rows of a collection, or of a streaming view of "
                        "its rows", up->name, up->grouped ? "is grouped" : "is not streaming");
            return;
        }
        root = up->source_entry;
        root_table = up->source;
    }
    const struct pq_entry *entry = &plan->planner->schema->entries[root];
    for (up = view; entry->retention_us > 0 && up != NULL; up = up->upstream) {
        for (size_t i = 0; i < up->linked_count; i++) {
            if (up->linked[i] != root_table) continue;
            refuse_keep(plan, "leave out the path that leads back, or $onRetention",
                        "it keeps what came of rows that are gone, and reads them through links",
                        entry->name, "links to itself");
            return;
        }
    }
}

/// The rows of an entry that is no view, or of a view that was planned; NULL: none.
static pqdb_code stage_of(struct pq_planner *planner, uint32_t index,
                          const struct pq_stage **stage, pqdb_error *err) {
    const struct pq_entry *entry = &planner->schema->entries[index];
    *stage = planner->stages[index];
    if (*stage != NULL || entry->kind == PQ_ENTRY_VIEW || entry->broken) return PQDB_OK;
    struct pq_stage *made = pq_arena_alloc(planner->arena, sizeof *made);
    if (made == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_stage_of_entry(entry, planner->arena, made, err));
    made->schema = planner->schema;
    made->table_ids = planner->table_ids;
    made->scope.problems = planner->problems;
    made->scope.position = position;
    made->scope.position_ctx = planner->schema;
    planner->stages[index] = made;
    *stage = made;
    return PQDB_OK;
}

static pqdb_code plan_view(struct pq_planner *planner, uint32_t index, pqdb_error *err) {
    struct pq_definition *definition = &planner->definitions[index];
    const struct pq_entry *source = pq_schema_find(planner->schema, definition->source);
    const uint32_t source_index = (uint32_t)(source - planner->schema->entries);
    struct pq_view_plan plan = {
        .planner = planner,
        .arena = planner->arena,
        .definition = definition,
        .view = &planner->views->views[planner->views->count],
    };
    PQ_TRY(stage_of(planner, source_index, &plan.source, err));
    if (plan.source == NULL || definition->is_unclear) return PQDB_OK;  // reported already
    if (source->kind == PQ_ENTRY_EXTERNAL) {
        const struct pq_place place =
            pq_definition_place(definition, "UNSUPPORTED", "$from", definition->from);
        pq_definition_mistake(definition, &place, "copy its rows into a collection",
                              "%s is an external table: no view can read it", source->name.data);
        return PQDB_OK;
    }
    plan.origin = plan.stage = plan.source;
    struct pq_view *view = plan.view;
    *view = (struct pq_view){
        .entry = definition->entry,
        .name = definition->entry->name,
        .entry_index = index,
        .source_entry = source_index,
        .table = planner->table_ids[index],
        .source = planner->table_ids[source_index],
        .upstream = planner->planned[source_index],
    };
    view->spec = (struct pq_node_spec){
        .name = view->name, .table = view->table, .source = view->source};
    settings_of(&plan);
    check_chain(&plan);
    check_append(&plan);
    PQ_TRY(plan_operators(&plan, err));
    if (definition->no_memory) return pq_plan_no_memory(err);
    if (definition->mistakes > 0 || definition->entry->broken) return PQDB_OK;
    view->spec.rows = plan.rows;
    if (plan.expand != NULL) {
        view->spec.source_type = plan.origin->scope.type;
        view->spec.expand = plan.expand;
        plan.view->linked = plan.expand->tables;
        plan.view->linked_count = plan.expand->table_count;
    }
    check_keep(&plan);
    if (definition->mistakes > 0) return PQDB_OK;
    PQ_TRY(pq_plan_describe(&plan, err));
    planner->stages[index] = plan.stage;
    view->stage = plan.stage;
    planner->planned[index] = view;
    planner->views->count++;
    return PQDB_OK;
}

// ---- all of them -----------------------------------------------------------------------------

static pqdb_code plan_all(struct pq_planner *planner, pqdb_error *err) {
    const struct pq_schema *schema = planner->schema;
    const size_t count = schema->entry_count;
    struct pq_arena *arena = planner->arena;
    planner->definitions = pq_arena_calloc(arena, count, sizeof *planner->definitions);
    planner->stages = pq_arena_calloc(arena, count, sizeof *planner->stages);
    planner->planned = pq_arena_calloc(arena, count, sizeof *planner->planned);
    planner->views->views = pq_arena_calloc(arena, count, sizeof *planner->views->views);
    if (planner->definitions == NULL || planner->stages == NULL || planner->planned == NULL ||
        planner->views->views == NULL) {
        return pq_plan_no_memory(err);
    }
    for (size_t k = 0; k < count; k++) {
        const struct pq_entry *entry = &schema->entries[k];
        if (entry->kind != PQ_ENTRY_VIEW) continue;
        PQ_TRY(pq_definition_read(schema, entry, arena, planner->problems,
                                  &planner->definitions[k], err));
    }
    struct pq_order order;
    PQ_TRY(pq_plan_order(planner, &order, err));
    for (size_t k = 0; k < order.count; k++) PQ_TRY(plan_view(planner, order.entries[k], err));
    return PQDB_OK;
}

pqdb_code pq_views_plan(const struct pq_schema *schema, const uint32_t *table_ids,
                        const struct pq_alloc *alloc, struct pq_views **views,
                        struct pq_problems *problems, pqdb_error *err) {
    struct pq_views *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_plan_no_memory(err);
    *made = (struct pq_views){.alloc = alloc};
    pq_arena_init(&made->arena, alloc);
    struct pq_planner planner = {
        .schema = schema,
        .table_ids = table_ids,
        .views = made,
        .arena = &made->arena,
        .problems = problems,
    };
    const pqdb_code code = plan_all(&planner, err);
    if (code == PQDB_OK) {
        *views = made;
    } else {
        pq_views_destroy(made);
    }
    return code;
}

const struct pq_view *pq_views_find(const struct pq_views *views, struct pq_text name) {
    for (size_t k = 0; k < views->count; k++) {
        if (pq_text_equal(views->views[k].name, name)) return &views->views[k];
    }
    return NULL;
}
