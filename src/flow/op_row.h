/// flow/op_row.h: the stateless half of a view: filter, unnest, per-row compute, select.
#ifndef PQ_FLOW_OP_ROW_H
#define PQ_FLOW_OP_ROW_H

#include "flow/layout.h"

/// Which columns of a batch somebody reads.
struct column_set {
    bool *has;  // owned
    size_t count;
};

struct row_op {
    const struct pq_row_spec *spec;  // borrowed
    const struct pq_alloc *alloc;
    struct layout *layouts;         // owned: of each list
    struct column_set of_input;     // read behind the first filter
    struct column_set of_rows;      // read behind the filter, of the unnested rows or the input
    struct column_set of_computed;  // read by the columns; when there are lists
};

pqdb_code row_op_init(struct row_op *op, const struct pq_row_spec *spec,
                      const struct pq_alloc *alloc, pqdb_error *err);
void row_op_deinit(struct row_op *op);

/// Linear in weights: each row gives rows of its weight. `out` lives in `arena` and in `batch`.
pqdb_code row_op_run(const struct row_op *op, const struct pq_batch *batch, struct pq_arena *arena,
                     struct pq_batch *out, pqdb_error *err);

pqdb_code column_set_init(struct column_set *set, size_t count, const struct pq_alloc *alloc,
                          pqdb_error *err);
void column_set_deinit(struct column_set *set, const struct pq_alloc *alloc);
void column_set_add_operand(struct column_set *set, const struct pq_operand *operand);
void column_set_add_program(struct column_set *set, const struct pq_program *program);

/// cancel.c: drop each row taken back together with the equal one that is put there again.
/// Cost: a batch without rows taken back is only looked at.
pqdb_code cancel_pairs(struct pq_batch *batch, struct pq_arena *arena, pqdb_error *err);

/// unnest.c: which element of which row each new row is.
struct elements {
    size_t count;
    const uint32_t *parents;  // row of the batch
    const int64_t *indices;   // from 0
    const bool *empty;        // a keepEmpty row; NULL: none is
    struct pq_column column;  // the elements
};
pqdb_code elements_of(const struct pq_unnest_spec *spec, const struct pq_type *element,
                      const struct pq_batch *batch, struct pq_arena *arena, struct elements *out,
                      pqdb_error *err);
/// The elements of the lists beside it, spec->beside_count columns.
pqdb_code elements_beside(const struct pq_unnest_spec *spec, const struct pq_batch *batch,
                          const struct elements *elements, struct pq_arena *arena,
                          struct pq_column *columns, pqdb_error *err);
pqdb_code unnest_rows(const struct pq_unnest_spec *spec, const struct pq_batch *batch,
                      struct pq_arena *arena, struct pq_batch *out, pqdb_error *err);

/// list_compute.c: the outputs of one list, as many columns as aggregates.
struct list_run {
    const struct pq_list_compute_spec *spec;
    const struct layout *layout;
    const struct pq_field *fields;  // of the columns that come out
};
pqdb_code list_compute(const struct list_run *run, const struct pq_batch *batch,
                       struct pq_arena *arena, struct pq_column *columns, pqdb_error *err);

#endif
