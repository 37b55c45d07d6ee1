/// expr/compile_internal.h: from JSON to a graph of nodes. Every function that gives a node gives
/// NULL when compilation has to stop (compiler->code says why); after a mistake in the input it
/// goes on with a null, so that all mistakes are found at once.
#ifndef PQ_EXPR_COMPILE_INTERNAL_H
#define PQ_EXPR_COMPILE_INTERNAL_H

#include "expr/program_internal.h"

struct pq_compiler {
    const struct pq_scope *scope;
    const struct pq_source *source;
    const struct pq_alloc *alloc;
    struct pq_program *program;
    struct pq_arena *arena;             // the program's
    struct pq_bytes path;               // of the value at hand, in its document
    const struct pq_type *element;      // inside $elemMatch: what paths begin at, else NULL
    struct pq_text element_path;        // the list's own path
    struct pq_node *paths;              // so far, to share them
    struct pq_variant_encoder *encoder;  // of list and object literals, or NULL
    size_t slot_count;
    size_t node_count;
    size_t depth;
    size_t mistakes;
    pqdb_code code;
    pqdb_error *err;
};

/// Report; both return a null node, or NULL when that fails. `json` may be NULL.
__attribute__((format(printf, 4, 5))) struct pq_node *pq_compile_mistake(
    struct pq_compiler *compiler, const struct pq_json *json, const char *remedy,
    const char *format, ...);
/// The program still works.
__attribute__((format(printf, 4, 5))) void pq_compile_warn(struct pq_compiler *compiler,
                                                           const struct pq_json *json,
                                                           const char *code, const char *format,
                                                           ...);
/// Stop with `code` for all.
struct pq_node *pq_compile_no_memory(struct pq_compiler *compiler);

/// The path of messages grows by a key or an index; leave restores it.
size_t pq_compile_enter(struct pq_compiler *compiler, struct pq_text key);
size_t pq_compile_enter_index(struct pq_compiler *compiler, size_t index);
void pq_compile_leave(struct pq_compiler *compiler, size_t mark);

/// Nesting: false (and stopped) beyond PQ_EXPR_DEPTH_MAX.
bool pq_compile_deeper(struct pq_compiler *compiler);

struct pq_node *pq_node_null(struct pq_compiler *compiler);
struct pq_node *pq_node_bool(struct pq_compiler *compiler, bool value);
struct pq_node *pq_node_literal(struct pq_compiler *compiler, const struct pq_literal *literal);

/// A call of one or two arguments, its rule applied. NULL in, after a stop, is NULL out.
struct pq_node *pq_node_call(struct pq_compiler *compiler, const char *name,
                             const struct pq_json *json, struct pq_node *a, struct pq_node *b);
struct pq_node *pq_node_calls(struct pq_compiler *compiler, const struct pq_function *function,
                              const struct pq_json *json, struct pq_node **args, size_t count);

/// A call node without its rule applied, for rules that were given more than arguments.
struct pq_node *pq_node_bare_call(struct pq_compiler *compiler,
                                  const struct pq_function *function, size_t arg_count);

struct pq_node *pq_node_bucket(struct pq_compiler *compiler, struct pq_node *source,
                               enum pq_bucket bucket, const struct pq_zone *zone);

/// Any JSON value as a literal. False on a mistake or stop.
bool pq_literal_of(struct pq_compiler *compiler, const struct pq_json *json,
                   struct pq_literal *literal);
/// A text literal that names a linked row loses its "type/".
void pq_literal_link(struct pq_literal *literal, const struct pq_relation *relation);
const struct pq_set *pq_set_of(struct pq_compiler *compiler, const struct pq_json *list,
                               const struct pq_relation *relation);

struct pq_node *pq_compile_filter(struct pq_compiler *compiler, const struct pq_json *json);
struct pq_node *pq_compile_expr(struct pq_compiler *compiler, const struct pq_json *json);

/// `text` as at field position: `a.b.0`, `$id`.
struct pq_node *pq_compile_path(struct pq_compiler *compiler, struct pq_text text,
                                const struct pq_json *json);

/// What stands beside the end of a path of the batch (see pq_scope); the path itself where nothing
/// does. NULL when it has no such end, or after a stop.
struct pq_node *pq_compile_related(struct pq_compiler *compiler, const struct pq_node *path);

/// "did you mean $ne": in `room`, or NULL when nothing is near.
struct pq_remedy {
    char text[160];
};
const char *pq_remedy_nearest(struct pq_text given, const char *const *names, size_t count,
                              struct pq_remedy *room);

/// Of the numbers among the arguments' types: what arithmetic on them gives. `scale` is the
/// largest of the decimals. PQ_NULL without any number.
struct pq_type pq_type_of_numbers(const struct pq_node *node);
/// What a value taken from any of the nodes may be.
struct pq_type pq_type_unify(const struct pq_node *const *nodes, size_t count);

/// Fill program->columns and program->bounds from the graph.
bool pq_compile_finish(struct pq_compiler *compiler);

#endif
