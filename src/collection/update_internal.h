/// collection/update_internal.h: paths, operations and the descriptors of operators.
#ifndef PQ_COLLECTION_UPDATE_INTERNAL_H
#define PQ_COLLECTION_UPDATE_INTERNAL_H

#include "collection/tree_internal.h"
#include "collection/update.h"
#include "expr/expr.h"

/// A step below a column.
struct pq_update_step {
    struct pq_text name;
    int64_t index;    // what the name is as a list index, or -1
    bool is_element;  // of a typed list
};

/// Where an operator works: a column of the row and steps below it. A path of undeclared fields
/// begins in _extra, with its first name as a step.
struct pq_update_path {
    struct pq_text text;
    uint32_t column;
    const struct pq_declared_field *field;  // of the column; NULL: _extra
    const struct pq_declared_field *leaf;   // at the path's end; NULL: inside a variant
    bool leaf_is_element;                   // the leaf's type is that of its list's elements
    struct pq_update_step *steps;
    size_t step_count;
};

struct pq_pull;  // the condition of a $pull

struct pq_operation {
    const struct pq_operator *kind;
    struct pq_update_path path;
    struct pq_tree operand;
    struct pq_update_path to;       // $rename
    struct pq_tree items;           // $push, $addToSet: a list of what comes
    int64_t position, slice;        // $push
    bool has_position, has_slice;
    struct pq_pull *pull;           // owned
};

/// What compiling an operand and running an operation need.
struct pq_update_context {
    const struct pq_entry *entry;
    const struct pq_alloc *alloc;
    struct pq_arena *arena;  // of the update, or of the running row
    int64_t now_us;
    struct pq_variant_encoder *encoder;
    const struct pq_variant_names *names;
};

struct pq_operator {
    const char *name;
    bool makes_way;   // what is missing on the way to its path is made
    bool removes;     // a member that it leaves null goes
    bool on_insert;   // works only where an upsert creates
    bool renames;     // its operand is a path
    bool for_lists, for_numbers;  // a declared field of another kind is refused at once
    /// May be NULL. Messages complete "<path> ...".
    pqdb_code (*check)(const struct pq_update_context *context, struct pq_operation *operation,
                       const struct pq_json *operand, pqdb_error *err);
    /// `slot` is null where nothing is there. Messages complete "<path> ...".
    pqdb_code (*apply)(const struct pq_update_context *context,
                       const struct pq_operation *operation, struct pq_tree *slot,
                       pqdb_error *err);
};

/// Every operator, ended by NULL.
extern const struct pq_operator *const pq_operators[];
extern const struct pq_operator pq_operator_push, pq_operator_pull, pq_operator_add_to_set,
    pq_operator_pop;

/// Errors: PQDB_INVALID, PQDB_LIMIT, PQDB_NO_MEMORY; err->subject is the path.
pqdb_code pq_update_path_resolve(const struct pq_entry *entry, struct pq_text text,
                                 struct pq_arena *arena, struct pq_update_path *path,
                                 pqdb_error *err);

/// Is one of the two paths the other one, or on the way to it?
bool pq_update_paths_meet(const struct pq_update_path *a, const struct pq_update_path *b);

/// The place of a path below the tree of its column; `*slot` NULL: there is none. With `make_way`
/// it is made, as a null. Valid until the tree changes.
struct pq_update_place {
    struct pq_tree *slot;
    struct pq_tree *container;  // NULL: the slot is the whole column
    size_t index;               // in it
};
pqdb_code pq_update_path_find(const struct pq_update_path *path, struct pq_tree *column,
                              bool make_way, struct pq_arena *arena,
                              struct pq_update_place *place, pqdb_error *err);

/// One operation on the trees of the columns it names (`to`: of $rename).
pqdb_code pq_operation_apply(const struct pq_update_context *context,
                             const struct pq_operation *operation, struct pq_tree *column,
                             struct pq_tree *to, pqdb_error *err);

/// pull.c: which elements go.
pqdb_code pq_pull_create(const struct pq_update_context *context,
                         const struct pq_operation *operation, const struct pq_json *operand,
                         struct pq_pull **pull, pqdb_error *err);
void pq_pull_destroy(struct pq_pull *pull);  // NULL is fine
/// `goes[i]` for each item of the list.
pqdb_code pq_pull_run(const struct pq_update_context *context, const struct pq_pull *pull,
                      const struct pq_operation *operation, const struct pq_tree *list,
                      bool *goes, pqdb_error *err);

#endif
