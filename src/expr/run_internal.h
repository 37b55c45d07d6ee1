/// expr/run_internal.h: one run of a program over a batch.
#ifndef PQ_EXPR_RUN_INTERNAL_H
#define PQ_EXPR_RUN_INTERNAL_H

#include "batch/builder.h"
#include "expr/program_internal.h"

/// What a node yields for the rows of a run: one of a constant, a column, or values (always plain,
/// see expr/nested.h); a column of variants gets its values beside it when somebody asks.
struct pq_vector {
    bool ready;
    bool has_column;
    struct pq_column column;
    const struct pq_value *values;    // one for each row, or NULL
    const struct pq_value *constant;  // for all rows, or NULL
    void *scratch;                    // of the node's function, for this run
};

struct pq_run {
    const struct pq_program *program;
    const struct pq_batch *batch;     // NULL inside $elemMatch
    const struct pq_vector *element;  // inside $elemMatch
    const struct pq_type *element_type;
    size_t count;
    struct pq_arena *arena;
    struct pq_vector *slots;
    bool scalar_only;  // no kernels: for the law that they change nothing
};

/// A row of a column of variants that is not null. Values are wide: loops over many rows do
/// without.
static inline struct pq_variant pq_run_variant(const struct pq_column *column, size_t row) {
    const uint32_t start = column->offsets[row];
    if (column->valid != NULL && column->valid[row] == PQ_ROW_OWN_NAMES) {
        return pq_variant_of_own(pq_column_text(column, row));
    }
    return (struct pq_variant){.bytes = column->data + start,
                               .length = column->offsets[row + 1] - start,
                               .names = column->names};
}

/// The vector of a node, computed once a run.
pqdb_code pq_run_node(struct pq_run *run, const struct pq_node *node, struct pq_vector **vector,
                      pqdb_error *err);

/// The same, fit for pq_vector_at.
pqdb_code pq_run_values(struct pq_run *run, const struct pq_node *node, struct pq_vector **vector,
                        pqdb_error *err);
struct pq_value pq_vector_at(const struct pq_vector *vector, size_t row);

/// One byte 0 or 1 for each row: is the node true there?
pqdb_code pq_run_mask(struct pq_run *run, const struct pq_node *node, const uint8_t **mask,
                      pqdb_error *err);
bool pq_value_is_true(const struct pq_value *plain);

/// Without kernels all the way, for tests.
pqdb_code pq_program_run_scalar(const struct pq_program *program, const struct pq_batch *batch,
                                struct pq_arena *arena, struct pq_column *out, pqdb_error *err);

/// Bytes for the run's rows; NULL (and err filled) when memory is out.
void *pq_run_alloc(struct pq_run *run, size_t bytes, pqdb_error *err);

/// A BOOL vector without nulls over a mask in the arena.
void pq_vector_of_mask(struct pq_run *run, const uint8_t *mask, struct pq_vector *out);
/// A FIXED vector; `valid` NULL when nothing is null.
void pq_vector_of_fixed(struct pq_run *run, const struct pq_type *type, const void *values,
                        const uint8_t *valid, struct pq_vector *out);

pqdb_code pq_run_path(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                      pqdb_error *err);

/// Run an element condition over `count` elements, a mask out.
pqdb_code pq_run_elements(struct pq_run *run, const struct pq_element_match *match,
                          const struct pq_vector *elements, size_t count, const uint8_t **mask,
                          pqdb_error *err);

/// Append `plain` to a builder of another type than its own: numbers to numbers where they fit,
/// ISO 8601 text and milliseconds to times, lists and objects member by member. A value of another
/// kind becomes null and *mismatch true.
pqdb_code pq_append_converted(struct pq_builder *builder, const struct pq_value *plain,
                              bool *mismatch, pqdb_error *err);
/// A scalar as a value of `type`; false when it is none and cannot be one.
bool pq_value_convert(const struct pq_value *plain, const struct pq_type *type,
                      struct pq_value *out);
/// Numbers only: a value a function gave, as the type that was promised.
bool pq_value_widen(const struct pq_value *plain, const struct pq_type *type,
                    struct pq_value *out);

/// For a column of variants whose values brought no names: those of the rows that are read, so that
/// whoever adds an object to it adds to the collection's list. Never NULL for a variant program.
const struct pq_variant_names *pq_run_names(const struct pq_run *run);

/// The values as a variant column: bytes copied where the names are shared.
pqdb_code pq_run_encode(struct pq_run *run, const struct pq_vector *vector, struct pq_column *out,
                        pqdb_error *err);

#endif
