/// expr/expr.h: filters and expressions (SPEC 4), compiled once against the columns of a scope and
/// run over batches.
///
/// A program is immutable: any number of threads may run it at once, scratch comes from the arena
/// of each run. Everything is statically typed; what comes from a variant is typed per row.
/// The operators are the rows of expr/functions.def.
#ifndef PQ_EXPR_EXPR_H
#define PQ_EXPR_EXPR_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/json.h"
#include "batch/column.h"
#include "type/ice_type.h"
#include "type/problem.h"
#include "type/timestamp.h"

/// The declared type of a path inside a variant (`$paths`). List positions do not count: a
/// declared "exceptions.name" also types `exceptions.0.name`.
struct pq_typed_path {
    struct pq_text path;  // "event.request.url"
    struct pq_type type;
    const struct pq_relation *relation;  // it holds such links: literals lose the "type/"
};

/// What the paths of an expression may mean. Borrowed while compiling, save that `type` and the
/// types of `paths` must outlive the program.
///
/// Where a column or member `x>` stands beside `x`, a path that goes on behind `x` goes on there:
/// it holds the row that the link x leads to (an OBJECT; a LIST of them), or the same inline
/// objects with more members. `_extra>` in such a row takes the names that are none of its members.
struct pq_scope {
    const struct pq_type *type;  // OBJECT: the columns of the batches to come
    const struct pq_typed_path *paths;
    size_t path_count;
    const struct pq_relation *const *relations;  // per column, NULL where it is none; or NULL:
                                                 // literals lose the "type/" of an id
    uint32_t path_columns;   // from this column on (0: none) a column is named by a whole path, and
                             // holds what is there
    int extra_column;        // index of the variant with the undeclared fields, or -1
    bool closed;             // a view: an unknown field is null, with a warning
    bool strict;             // an unknown field is an error
    const char *owner_name;  // of the view or collection, for messages
    struct pq_problems *problems;  // NULL: the first mistake is the error
    /// Where a value stands in its text; NULL when there is no text to point at.
    struct pq_problem_at (*position)(const void *ctx, const struct pq_json *value,
                                     struct pq_text path);
    const void *position_ctx;
};

/// What to compile: `json`, parsed with PQ_JSON_RAW_NUMBERS (a number literal counts as the decimal
/// as written), or, where json is NULL, the path `field` written without `$`.
struct pq_source {
    const struct pq_json *json;
    struct pq_text field;
    struct pq_text path;  // of the value in its document, for messages: "WorkerErrors.$filter"
    const char *code;     // of problems found in it: "INVALID_FILTER"
    bool related;         // `field` ends at what stands beside its last name: see pq_scope
};

struct pq_program;

/// A filter: two-valued, its programs give BOOL without nulls. An expression: any type.
///
/// Owns    *program is the caller's, on success only; memory from `alloc`, which outlives it
/// Errors  PQDB_INVALID: every mistake is in scope->problems, or the first in err (subject = path);
///         PQDB_LIMIT: deeper than PQ_EXPR_DEPTH_MAX or larger than PQ_EXPR_NODES_MAX;
///         PQDB_NO_MEMORY
pqdb_code pq_filter_compile(const struct pq_source *source, const struct pq_scope *scope,
                            const struct pq_alloc *alloc, struct pq_program **program,
                            pqdb_error *err);
pqdb_code pq_expr_compile(const struct pq_source *source, const struct pq_scope *scope,
                          const struct pq_alloc *alloc, struct pq_program **program,
                          pqdb_error *err);
void pq_program_destroy(struct pq_program *program);  // NULL is fine

enum { PQ_EXPR_DEPTH_MAX = 64, PQ_EXPR_NODES_MAX = 4096 };

/// A `$groupBy` date bucket: `minute hour` give the TIMESTAMP of its start, `date day week month
/// quarter year` a DATE (weeks begin on Monday). Repeated hours of a zone stay two; a DATE source
/// is never shifted.
struct pq_bucket_key {
    struct pq_source source;
    enum pq_bucket bucket;
    const struct pq_zone *zone;  // NULL is UTC
};
pqdb_code pq_bucket_compile(const struct pq_bucket_key *key, const struct pq_scope *scope,
                            const struct pq_alloc *alloc, struct pq_program **program,
                            pqdb_error *err);

/// What the program yields; PQ_NULL when it can only be null.
const struct pq_type *pq_program_type(const struct pq_program *program);

/// Positions, ascending, of the batch columns that are read: everything else may be left out of a
/// scan (as any column of its type).
const uint32_t *pq_program_columns(const struct pq_program *program, size_t *count);

/// The column that the program is, or -1 when it is more than that.
int pq_program_column(const struct pq_program *program);

/// Is the program a path that leads into a variant? Then where: the variant is the column itself,
/// or (`is_nested`) a member or element inside it. The steps live as long as the program.
struct pq_variant_step;
struct pq_inner_path {
    uint32_t column;
    bool is_nested;
    const struct pq_variant_step *steps;
    size_t step_count;
};
bool pq_program_inner_path(const struct pq_program *program, struct pq_inner_path *path);

/// One row out for each row in, in order. A program that is a plain column costs nothing: `out` is
/// the column itself. A program of type PQ_NULL gives a variant column of nulls.
///
/// Owns    out is a view into `batch`, `program` and `arena`: valid while all three are
/// Errors  PQDB_LIMIT (a regular expression passed its match limit), PQDB_NO_MEMORY, PQDB_CORRUPT
pqdb_code pq_program_run(const struct pq_program *program, const struct pq_batch *batch,
                         struct pq_arena *arena, struct pq_column *out, pqdb_error *err);

/// The rows for which a program is true (any expression: false, null, 0 and '' are false).
struct pq_selection {
    const uint32_t *rows;  // ascending, in the arena; NULL when all rows are selected
    size_t count;
};
pqdb_code pq_program_select(const struct pq_program *program, const struct pq_batch *batch,
                            struct pq_arena *arena, struct pq_selection *selection,
                            pqdb_error *err);

/// A conjunct that must hold for every row a filter selects, for pruning files and for look-ups:
/// column <op> literal. `values` are already of the column's kind (and scale); TEXT, INT64, BOOL,
/// DATE, TIME, TIMESTAMP and FLOAT64 columns have bounds, DECIMAL ones only PQ_BOUND_IN. NaN counts
/// as above all numbers, so a chunk that may hold NaN is not excluded by a lower bound.
enum pq_bound_op {
    PQ_BOUND_LT,
    PQ_BOUND_LTE,
    PQ_BOUND_GT,
    PQ_BOUND_GTE,
    PQ_BOUND_IN,  ///< equal to one of the values ($eq has one); no value: no row at all
};
struct pq_bound {
    uint32_t column;
    enum pq_bound_op op;
    const struct pq_value *values;
    size_t value_count;
};
const struct pq_bound *pq_program_bounds(const struct pq_program *program, size_t *count);

/// Values found at a typed path that were of another kind and read as null, since compilation.
uint64_t pq_program_mismatches(const struct pq_program *program);

/// What a path would mean, for the checks of view definitions.
struct pq_path_meaning {
    struct pq_type type;  // PQ_NULL when unknown
    int column;           // the batch column it begins in, or -1
    bool through_list;    // some list on the way is entered without a position: never a value
};
/// Errors: PQDB_INVALID when the text is no path ('' or 'a..b').
pqdb_code pq_path_resolve(const struct pq_scope *scope, struct pq_text path,
                          struct pq_path_meaning *meaning, pqdb_error *err);

#endif
