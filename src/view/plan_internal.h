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

/// Rows between two operators: their type and what else is known of the columns.
struct pq_stage {
    struct pq_scope scope;  // ready to compile against
    const struct pq_declared_field **declared;  // per column: where it comes from, or NULL
    const struct pq_entry *entry;  // they are this collection's rows as they are, or NULL
    uint32_t index;                // column of `$index`, or PQ_NO_COLUMN
    bool by_id;                    // ordered by `$id`: rows of a grouped view below
};

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
    const struct pq_stage *source;
    const struct pq_stage *stage;  // what the operators so far put out
    struct pq_row_spec *rows;      // NULL until an operator needs it
    struct pq_text filters[2];     // JSON of `$filter` before and after `$unnest`, or empty
};

struct pq_aggregate_plans;

// stage.c
pqdb_code pq_stage_of_entry(const struct pq_entry *entry, struct pq_arena *arena,
                            struct pq_stage *stage, pqdb_error *err);

/// Columns being put together.
struct pq_columns {
    struct pq_arena *arena;
    struct pq_field *fields;
    const struct pq_declared_field **declared;
    struct pq_operand *operands;
    struct pq_text *paths;  // where a column is a path as it is: that path, else empty
    size_t count, capacity;
};
pqdb_code pq_columns_init(struct pq_columns *columns, size_t capacity, struct pq_arena *arena,
                          pqdb_error *err);

/// A value that became a column.
struct pq_column_plan {
    struct pq_operand operand;
    struct pq_type type;
    bool required;
    const struct pq_declared_field *declared;
    struct pq_text path;
};
void pq_columns_add(struct pq_columns *columns, struct pq_text name,
                    const struct pq_column_plan *column);
/// DUPLICATE_COLUMN when a column of that name, ignoring case, is there.
bool pq_columns_check_new(const struct pq_columns *columns, struct pq_definition *definition,
                          const struct pq_place *place, struct pq_text name);
/// Column `column` of a stage as it is.
struct pq_column_plan pq_stage_column(const struct pq_stage *stage, uint32_t column);
/// An OBJECT of the columns. Errors: PQDB_NO_MEMORY.
pqdb_code pq_columns_type(const struct pq_columns *columns, const struct pq_type **type,
                          pqdb_error *err);
/// The stage of rows with these columns of `from`: declared paths and relations follow them.
pqdb_code pq_stage_of_columns(const struct pq_columns *columns, const struct pq_type *type,
                              const struct pq_stage *from, struct pq_stage *stage,
                              pqdb_error *err);
bool pq_names_clash(struct pq_text a, struct pq_text b);  // ignoring case

// compile.c
/// What to compile: a path where `is_path`, else the expression at place.json.
struct pq_argument {
    struct pq_place place;
    bool is_path;
    bool is_bucket;        // then it is the start of the bucket that the value lies in
    enum pq_bucket bucket;
    const struct pq_zone *zone;
    struct pq_text path;
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
pqdb_code pq_plan_no_memory(pqdb_error *err);

// relations.c
/// Does the path lead through a link to another row? Then there is no such view yet.
bool pq_stage_crosses_relation(const struct pq_stage *stage, struct pq_text path);
/// The declaration that a path ends at, or NULL.
const struct pq_declared_field *pq_stage_declared(const struct pq_stage *stage,
                                                  struct pq_text path);
/// Report UNSUPPORTED for `$expand` (INVALID_EXPAND where it names no relation) and for `$unnest`.
void pq_plan_check_expand(struct pq_view_plan *plan);
/// The same for every other path, read at the current stage.
void pq_plan_check_relations(struct pq_view_plan *plan);
/// Paths without `$`: keys of `$groupBy`, arguments in `$compute`.
void pq_each_bare_key(const struct pq_definition *definition,
                      const struct pq_mention_visitor *visitor);
void pq_each_bare_argument(const struct pq_definition *definition,
                           const struct pq_mention_visitor *visitor);

// plan_unnest.c
pqdb_code pq_plan_unnest(struct pq_view_plan *plan, pqdb_error *err);
pqdb_code pq_plan_row_filter(struct pq_view_plan *plan, pqdb_error *err);
/// Mark the columns of the source that the definition reads; `columns` has one flag for each.
void pq_plan_mark_read(const struct pq_view_plan *plan, bool *columns);
/// Column of a stage that a path begins in (where it is none by name: of the undeclared fields), or
/// -1.
int pq_stage_begin(const struct pq_stage *stage, struct pq_text path);

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

// explain.c
pqdb_code pq_plan_describe(struct pq_view_plan *plan, pqdb_error *err);

/// Keep a program until the views go; destroys it when that fails.
pqdb_code pq_views_keep(struct pq_views *views, struct pq_program *program, pqdb_error *err);

#endif
