/// view/stage.h: the rows between two operators: their type, what paths mean over them, and what
/// else is known of each column.
#ifndef PQ_VIEW_STAGE_H
#define PQ_VIEW_STAGE_H

#include <parquedb/error.h>

#include "expr/expr.h"
#include "flow/flow.h"
#include "type/schema.h"

struct pq_definition;
struct pq_place;

/// A column that is as long as a list, element by element; and what its elements are declared as.
struct pq_along {
    struct pq_text list;  // path; empty: it is none
    const struct pq_declared_field *declared;
};

/// Rows between two operators.
struct pq_stage {
    struct pq_scope scope;  // ready to compile against
    const struct pq_schema *schema;
    const uint32_t *table_ids;    // of its entries
    const struct pq_entry *root;  // the collection at the bottom: the rows' list of names
    const struct pq_declared_field **declared;  // per column: where it comes from, or NULL
    const struct pq_along *along;  // per column, or NULL
    const bool *hidden;            // per column: there for paths only; or NULL
    const struct pq_entry *entry;  // they are this collection's rows as they are, or NULL
    uint32_t index;                // column of `$index`, or PQ_NO_COLUMN
    bool by_id;                    // ordered by `$id`: rows of a grouped view below
};

/// Declared paths being put together: counted while `all` is NULL, then written.
struct pq_typed_paths {
    struct pq_arena *arena;
    struct pq_typed_path *all;
    size_t count;
    pqdb_error *err;
};
/// Those of the fields, and inside them, that are relations, with the way to them in front.
pqdb_code pq_typed_paths_links(struct pq_typed_paths *paths,
                               const struct pq_declared_field *fields, size_t count,
                               struct pq_text way);
/// "before.after"; data is NULL when memory is out.
struct pq_text pq_path_join(struct pq_arena *arena, struct pq_text before, struct pq_text after);

// stage.c
/// Without the schema, which the caller sets: links lead nowhere.
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
/// scope.relations by the declarations.
pqdb_code pq_stage_set_relations(struct pq_stage *stage, struct pq_arena *arena, pqdb_error *err);

pqdb_code pq_plan_no_memory(pqdb_error *err);

// plan_unnest.c
/// Column of a stage that a path begins in (where it is none by name: of the undeclared fields), or
/// -1.
int pq_stage_begin(const struct pq_stage *stage, struct pq_text path);
/// What stands beside that column for paths that go on behind a link; -1 when nothing does.
int pq_stage_related(const struct pq_stage *stage, struct pq_text path);
/// Mark both.
void pq_stage_mark(const struct pq_stage *stage, struct pq_text path, bool *columns);

// expand_tree.c
/// The declaration that a path ends at, through links; NULL when it is none.
const struct pq_declared_field *pq_stage_declared(const struct pq_stage *stage,
                                                  struct pq_text path);

// expand_spec.c
/// "items>": the name of what stands beside a column.
pqdb_code pq_related_name(struct pq_arena *arena, struct pq_text name, struct pq_text *out,
                          pqdb_error *err);

#endif
