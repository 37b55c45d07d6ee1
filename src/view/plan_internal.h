/// view/plan_internal.h: a definition on its way to a circuit node.
///
/// Mistakes in the input do not stop planning: they are reported and counted
/// (`definition->mistakes`), and the rest is looked at as far as it makes sense, so that all of
/// them are found at once. Codes other than PQDB_OK mean that the whole plan ends (memory is out).
#ifndef PQ_VIEW_PLAN_INTERNAL_H
#define PQ_VIEW_PLAN_INTERNAL_H

#include "base/fail.h"
#include "view/definition.h"
#include "view/mentions.h"
#include "view/stage.h"

struct pq_planner {
    const struct pq_schema *schema;
    const uint32_t *table_ids;
    struct pq_views *views;
    struct pq_arena *arena;  // of the views
    struct pq_problems *problems;
    struct pq_definition *definitions;  // per entry; only of views
    const struct pq_stage **stages;     // per entry: its rows, NULL when they are not known
    struct pq_view **planned;           // per entry
};

/// One view.
struct pq_view_plan {
    struct pq_planner *planner;
    struct pq_arena *arena;
    struct pq_definition *definition;
    struct pq_view *view;
    const struct pq_stage *origin;  // the rows of `$from`
    const struct pq_stage *source;  // the same with what is read through links
    const struct pq_stage *stage;  // what the operators so far put out
    struct pq_expand_spec *expand;  // NULL: no link is followed
    const struct pq_expand_link *links;  // that it follows (view/expand_tree.h)
    struct pq_row_spec *rows;      // NULL until an operator needs it
    struct pq_text filters[3];  // JSON of `$filter` before the links, before `$unnest`, behind it
};

struct pq_aggregate_plans;

// compile.c
/// What to compile: a path where `is_path`, else the expression at place.json.
struct pq_argument {
    struct pq_place place;
    bool is_path;
    bool is_bucket;        // then it is the start of the bucket that the value lies in
    enum pq_bucket bucket;
    const struct pq_zone *zone;
    struct pq_text path;
    bool related;                      // a path: what stands beside its end (see pq_scope)
    const struct pq_rewrite *rewrite;  // of its paths, or NULL
};
/// After a mistake: PQDB_OK, and *out null. A path that is a column of the
/// stage is that column, without a program.
pqdb_code pq_plan_value(struct pq_view_plan *plan, const struct pq_stage *stage,
                        const struct pq_argument *argument, struct pq_column_plan *out,
                        pqdb_error *err);
/// *program is NULL after a mistake.
pqdb_code pq_plan_filter(struct pq_view_plan *plan, const struct pq_stage *stage,
                         const struct pq_place *place, const struct pq_program **program,
                         pqdb_error *err);
/// A filter out of JSON text of our own, that was compiled before as part of a larger one.
pqdb_code pq_plan_filter_text(struct pq_view_plan *plan, const struct pq_stage *stage,
                              struct pq_text json, const struct pq_program **program,
                              pqdb_error *err);

// plan_expand.c
/// `$expand`, and what paths read through relations: plan->source has it afterwards.
pqdb_code pq_plan_expand(struct pq_view_plan *plan, pqdb_error *err);

// mentions_all.c
/// Every path of the definition but those of `$expand`.
void pq_each_mention(const struct pq_definition *definition,
                     const struct pq_mention_visitor *visitor);
/// Paths without `$`: keys of `$groupBy`, arguments in `$compute`.
void pq_each_bare_key(const struct pq_definition *definition,
                      const struct pq_mention_visitor *visitor);
void pq_each_bare_argument(const struct pq_definition *definition,
                           const struct pq_mention_visitor *visitor);

// plan_unnest.c
pqdb_code pq_plan_unnest(struct pq_view_plan *plan, pqdb_error *err);
/// Mark the columns of the source that the definition reads; `columns` has one flag for each.
void pq_plan_mark_read(const struct pq_view_plan *plan, bool *columns);
/// What the element of `$unnest` is called.
struct pq_text pq_plan_element_name(const struct pq_definition *definition);
/// For elements of a list of plan->stage that get a name: a column "name>" and its operand, where
/// related rows, or objects with such, stand beside the list.
struct pq_beside {
    struct pq_text list, name;
};
pqdb_code pq_plan_beside(struct pq_view_plan *plan, const struct pq_beside *elements,
                         struct pq_columns *columns, struct pq_operand *operand, bool *any,
                         pqdb_error *err);

// plan_filter.c
pqdb_code pq_plan_row_filter(struct pq_view_plan *plan, pqdb_error *err);

// plan_rows.c
/// plan->rows is there afterwards.
pqdb_code pq_plan_need_rows(struct pq_view_plan *plan, pqdb_error *err);
/// The columns of a view that is not grouped.
pqdb_code pq_plan_output(struct pq_view_plan *plan, const struct pq_aggregate_plans *computed,
                         pqdb_error *err);
/// The row half, if there is one, cut down to the columns that `$groupBy` and `$compute` read.
pqdb_code pq_plan_project(struct pq_view_plan *plan, pqdb_error *err);
/// The view's type, with ids, and its stage as a source of others; `$index` is column `index`.
pqdb_code pq_plan_finish(struct pq_view_plan *plan, const struct pq_columns *columns,
                         uint32_t index, pqdb_error *err);

// plan_compute.c
struct pq_aggregate_plan {
    struct pq_text alias;
    struct pq_place place;
    const struct pq_aggregate *kind;
    struct pq_aggregate_parameters given;
    bool is_star, has_by;
    struct pq_argument argument, by;
    struct pq_text list;  // the list that its argument goes through, or empty
    struct pq_type type;  // of its column, after pq_plan_compute_spec
};
struct pq_aggregate_plans {
    struct pq_aggregate_plan *all;
    size_t count;
};
/// Read `$compute`. After a mistake some may have no kind.
pqdb_code pq_plan_aggregates(struct pq_view_plan *plan, struct pq_aggregate_plans *aggregates,
                             pqdb_error *err);
/// The specs of the aggregates whose list is `list`, over the rows of `stage`.
pqdb_code pq_plan_compute_spec(struct pq_view_plan *plan, const struct pq_stage *stage,
                               struct pq_aggregate_plans *aggregates, struct pq_text list,
                               struct pq_compute_spec *spec, pqdb_error *err);

// plan_lists.c
/// `$compute` without `$groupBy`, through lists.
pqdb_code pq_plan_list_compute(struct pq_view_plan *plan, struct pq_aggregate_plans *aggregates,
                               pqdb_error *err);

// plan_group.c
pqdb_code pq_plan_group(struct pq_view_plan *plan, struct pq_aggregate_plans *aggregates,
                        pqdb_error *err);

// order.c
/// Entry indexes of the views, each after its source. Views in a cycle, without a source, or above
/// such a view are left out; cycles and sources that are not there are reported.
struct pq_order {
    uint32_t *entries;
    size_t count;
};
pqdb_code pq_plan_order(struct pq_planner *planner, struct pq_order *order, pqdb_error *err);

// explain_links.c
/// "customer -> Customer (name): …", a line for each link, level by level below `way`.
struct pq_line_sink {
    pqdb_code (*put)(void *ctx, struct pq_text line, pqdb_error *err);
    void *ctx;
};
pqdb_code pq_plan_each_link(const struct pq_expand_link *links, struct pq_text way,
                            struct pq_arena *arena, const struct pq_line_sink *sink,
                            pqdb_error *err);

// explain.c
pqdb_code pq_plan_describe(struct pq_view_plan *plan, pqdb_error *err);

/// Keep a program until the views go; destroys it when that fails.
pqdb_code pq_views_keep(struct pq_views *views, struct pq_program *program, pqdb_error *err);

#endif
