/// collection/tree_internal.h: one value of any kind as a tree that can be changed: what update
/// operators work on.
///
/// A tree lives in an arena; texts are views into what it was made from (a JSON document, a batch)
/// or into the arena. Items are an array that moves when it grows: no pointer into it is kept
/// across a change.
#ifndef PQ_COLLECTION_TREE_INTERNAL_H
#define PQ_COLLECTION_TREE_INTERNAL_H

#include "base/arena.h"
#include "base/json.h"
#include "batch/column.h"
#include "variant/variant.h"

struct pq_tree {
    struct pq_value value;  // kind, and what a scalar is; LIST and OBJECT have `items`
    struct pq_text name;    // of a member
    bool as_written;        // a number from JSON text: in a variant its fraction makes it a double
    struct pq_tree *items;
    size_t count, capacity;
};

/// From JSON parsed with PQ_JSON_RAW_NUMBERS. A key that is there twice is refused when the
/// value is written. Errors: PQDB_INVALID (a number beyond all doubles), PQDB_LIMIT (nested deeper
/// than a variant may be), PQDB_NO_MEMORY.
pqdb_code pq_tree_of_json(const struct pq_json *json, struct pq_arena *arena, struct pq_tree *tree,
                          pqdb_error *err);

/// From a row: null members of typed objects are left out. Errors: PQDB_NO_MEMORY.
pqdb_code pq_tree_of_row(const struct pq_column *column, size_t row, struct pq_arena *arena,
                         struct pq_tree *tree, pqdb_error *err);

/// A copy that shares nothing but texts, so that it may be changed. Errors: PQDB_NO_MEMORY.
pqdb_code pq_tree_copy(const struct pq_tree *tree, struct pq_arena *arena, struct pq_tree *copy,
                       pqdb_error *err);

static inline bool pq_tree_is_null(const struct pq_tree *tree) {
    return tree->value.kind == PQ_NULL;
}

/// The member with this name, or NULL.
struct pq_tree *pq_tree_find(const struct pq_tree *object, struct pq_text name);

/// A null item more, at `index` (a list, or an object's end with a name); NULL: memory is out.
struct pq_tree *pq_tree_insert(struct pq_tree *container, size_t index, struct pq_arena *arena);
void pq_tree_remove(struct pq_tree *container, size_t index);

/// Append it as a variant, by the rules of JSON: see pq_variant_encode_json for `own`.
pqdb_code pq_tree_encode(const struct pq_tree *tree, struct pq_variant_encoder *encoder,
                         struct pq_bytes *out, bool *own, pqdb_error *err);

/// Append it as JSON that a reader of rows takes, numbers exact. Errors: PQDB_INVALID when there is
/// a NaN or an infinity in it, which JSON cannot say.
pqdb_code pq_tree_print(const struct pq_tree *tree, struct pq_bytes *out, pqdb_error *err);

/// What a value of a typed column becomes where it has no declared type: times, binary and
/// fractions as JSON has them.
pqdb_code pq_tree_untype(struct pq_tree *tree, struct pq_arena *arena, pqdb_error *err);

/// Equality of SPEC 4, by exact value at every depth; a time and its text are equal.
bool pq_tree_equal(const struct pq_tree *a, const struct pq_tree *b);

/// The total order of `$min` and `$max`; a time and its text, or its milliseconds, by instant.
int pq_tree_compare(const struct pq_tree *a, const struct pq_tree *b);

/// "a number", "text", "nothing" …
const char *pq_tree_kind_name(const struct pq_tree *tree);

#endif
