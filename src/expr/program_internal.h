/// expr/program_internal.h: what a compiled filter or expression is: a graph of nodes, each with
/// one static type, evaluated vector by vector. A column that is used twice is one node.
#ifndef PQ_EXPR_PROGRAM_INTERNAL_H
#define PQ_EXPR_PROGRAM_INTERNAL_H

#include <stdatomic.h>

#include "expr/expr.h"
#include "variant/variant.h"

struct pq_compiler;
struct pq_node;
struct pq_regex;
struct pq_run;
struct pq_vector;

/// A literal and, for a number, what it counts as against other numbers.
struct pq_literal {
    struct pq_value own;     // alone: as a variant would keep it
    struct pq_value exact;   // against int and decimal: the decimal as written
    struct pq_value real;    // against a double
    struct pq_value single;  // against a float
    bool is_number;          // otherwise all four are the same
};

enum pq_node_kind { PQ_NODE_CONST, PQ_NODE_PATH, PQ_NODE_CALL };

/// Into a member or, for lists, to a position.
struct pq_static_step {
    bool is_index;
    size_t at;
};

/// A path: first through declared objects and lists, then inside a variant.
struct pq_path {
    struct pq_text text;
    uint32_t column;
    const struct pq_static_step *steps;
    size_t step_count;
    const struct pq_variant_step *inner;
    size_t inner_count;
    bool declared;                      // $paths gives the type: other kinds are null and counted
    const struct pq_relation *relation;  // what the texts link to, or NULL
};

/// Which reading of its number literals a call wants.
enum pq_reading {
    PQ_READ_OWN,
    PQ_READ_ADAPTED,  ///< exact, or real beside a double
    PQ_READ_COMPARED  ///< the same, and single beside a float
};

struct pq_node {
    enum pq_node_kind kind;
    struct pq_type type;  // PQ_NULL: only ever null; PQ_VARIANT: known per row
    uint32_t slot;        // of its vector in a run
    struct pq_literal literal;
    struct pq_path path;
    const struct pq_function *function;
    struct pq_node **args;
    size_t arg_count;
    enum pq_reading reading;
    const void *extra;  // what the function's rule prepared
    struct pq_node *next_path;
};

/// One operator of SPEC 4: a row of expr/functions.def.
///
/// `signature` has a letter for each argument, the last one repeated: t text, n number, d a date or
/// what converts to one, * anything. A null or another kind makes the result null without a call;
/// unless the signature begins with '?': then the function sees everything.
typedef pqdb_code pq_scalar(struct pq_run *run, const struct pq_node *node,
                            const struct pq_value *args, struct pq_value *out, pqdb_error *err);
/// The vector form, tried first; *done stays false where it has none for these operands.
typedef pqdb_code pq_kernel(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                            bool *done, pqdb_error *err);
/// Sets node->type and node->extra. False on a mistake or when compilation has to stop.
typedef bool pq_rule(struct pq_compiler *compiler, struct pq_node *node,
                     const struct pq_json *json);

enum { PQ_ARGS_MAX = 255 };

struct pq_function {
    const char *name;
    const char *signature;
    uint8_t args_min, args_max;
    const char *keys;  // names of arguments given as an object, '?' after optional ones; or NULL
    pq_rule *rule;
    pq_scalar *scalar;
    pq_kernel *kernel;  // or NULL
    const char *help;
};

/// The operators by name; those that only filters have begin with '#' instead of '$'.
extern const struct pq_function pq_functions[];
extern const size_t pq_function_count;
const struct pq_function *pq_function_find(struct pq_text name);
const struct pq_function *pq_function_get(const char *name);

struct pq_program {
    struct pq_arena arena;
    const struct pq_alloc *alloc;
    const struct pq_type *scope_type;
    struct pq_node *root;
    size_t slot_count;
    const uint32_t *columns;
    size_t column_count;
    const struct pq_node *paths;  // all, chained by next_path
    const struct pq_bound *bounds;
    size_t bound_count;
    const struct pq_node **conditions;  // that all have to hold
    size_t condition_count;
    atomic_uint_fast64_t mismatches;
    struct pq_variant_names *names;  // of list and object literals, or NULL
    struct pq_regex *regexes;        // owned, chained
};

/// The condition of an `$elemMatch`: a graph of its own whose column 0 is the element.
struct pq_element_match {
    struct pq_type type;  // of an element
    struct pq_node *root;
    size_t slot_count;
};

/// A set of literals for `$in`.
struct pq_set {
    const struct pq_literal *items;
    size_t count;
    bool has_null;
    const uint32_t *slots;  // texts by hash: index + 1, 0 empty
    size_t slot_count;      // a power of two
};
bool pq_set_has(const struct pq_set *set, const struct pq_value *value);
bool pq_set_has_text(const struct pq_set *set, struct pq_text text);

/// The reading that counts beside a value of the given kind.
static inline const struct pq_value *pq_literal_beside(const struct pq_literal *literal,
                                                       enum pq_kind kind) {
    if (kind == PQ_FLOAT64) return &literal->real;
    return kind == PQ_FLOAT32 ? &literal->single : &literal->exact;
}

#endif
