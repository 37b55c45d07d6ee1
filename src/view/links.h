/// view/links.h: links that a query follows: paths of its filter, sort and columns that lead
/// through relations, without a view.
#ifndef PQ_VIEW_LINKS_H
#define PQ_VIEW_LINKS_H

#include <parquedb/error.h>

#include "expr/expr.h"
#include "flow/expand.h"
#include "type/schema.h"

/// What a table's rows are, for following links from them. Immutable.
struct pq_stage;

/// Of a collection, stream or external table; `table_ids[i]` is the table of the schema's entry i.
/// It borrows all of them. A view has its own (pq_view.stage). Errors: PQDB_NO_MEMORY.
pqdb_code pq_entry_stage(const struct pq_schema *schema, const uint32_t *table_ids,
                         const struct pq_entry *entry, struct pq_arena *arena,
                         const struct pq_stage **stage, pqdb_error *err);

/// The paths that a query names.
struct pq_query_paths {
    const struct pq_json *const *filters;  // any may be NULL
    size_t filter_count;
    const struct pq_text *paths;
    size_t path_count;
};

/// What to put between the table's rows and the query's programs, and what these are compiled
/// against then: the table's columns come first and stay where they are.
struct pq_query_links {
    struct pq_expand_spec spec;
    struct pq_scope scope;  // without problems
    bool any;               // false: no path leads through a link, and there is nothing to do
};

/// Errors: PQDB_NO_MEMORY, PQDB_UNSUPPORTED (a link to an external table), PQDB_LIMIT.
pqdb_code pq_query_links_plan(const struct pq_stage *stage, const struct pq_query_paths *paths,
                              struct pq_arena *arena, struct pq_query_links *links,
                              pqdb_error *err);

#endif
