/// flow/op_group.h: `$groupBy`, `$compute`, `$having`: one trace row per group.
#ifndef PQ_FLOW_OP_GROUP_H
#define PQ_FLOW_OP_GROUP_H

#include "flow/group_keys.h"
#include "flow/layout.h"

/// A piece of state beside the group rows; see layout.h.
struct group_trace {
    struct pq_trace trace;
    bool is_made;   // false: late, and not asked for yet; it holds nothing
    char name[40];  // the same for the same definition
    const char *what;
};

struct group_op {
    const struct pq_group_spec *spec;  // borrowed
    struct pq_text name;               // of the view, for messages
    const struct pq_alloc *alloc;
    struct layout layout;
    struct pq_trace trace;
    struct group_trace *traces;  // owned, as layout.traces
    struct group_keys keys;
    const struct pq_variant_names **names;  // owned: of keys, then arguments, as last seen
    uint32_t *names_at;                     // owned: where each one's begin; one more at the end
    struct pq_bytes scratch;
    bool keys_exact;  // equal keys are equal bytes: output keys may be copied from the input
};

/// The groups a batch touches.
struct touch {
    struct cells cells;  // first: `grow` gets from here to the rest
    struct group_op *op;
    struct pq_trace_row **trace_rows;  // [cell]
    uint32_t *first_row;               // [cell] a row of the batch that belongs to it
    bool *existed;                     // [cell] it had an output row before
    const uint32_t *cell_of;           // [batch->count]
    const struct pq_batch *batch;
    const struct pq_column *keys;       // columns, [key_count]
    const struct pq_column *arguments;  // columns, [argument_count]
    bool takes_back;                    // some weight is negative
    struct value_changes *changes;      // of each of layout.traces that counts
    struct pq_arena *arena;
};

/// Rows of the batch, or of another one with the same columns, on their way into states.
struct feed {
    const struct pq_batch *batch;
    const struct pq_column *arguments;
    const uint32_t *cell_of;
};

pqdb_code group_op_init(struct group_op *op, const struct pq_node_spec *spec,
                        const struct pq_alloc *alloc, pqdb_error *err);
void group_op_deinit(struct group_op *op);
void group_op_clear(struct group_op *op);

/// A step: see pq_node_step. `refill` gives rows as the operator reads them; or NULL.
pqdb_code group_op_step(struct group_op *op, const struct pq_batch *batch,
                        const struct pq_rows *refill, struct pq_arena *arena,
                        struct pq_batch *out, pqdb_error *err);

/// The twin: add batches of rows, then put all groups.
pqdb_code group_op_add(struct group_op *op, const struct pq_batch *batch, struct pq_arena *arena,
                       pqdb_error *err);
pqdb_code group_op_put(struct group_op *op, const struct pq_sink *sink, pqdb_error *err);

/// group_apply.c: find the groups of the batch, add its rows, look after exhausted windows.
pqdb_code group_touch(struct group_op *op, const struct pq_batch *batch, struct pq_arena *arena,
                      struct touch *touch, pqdb_error *err);
pqdb_code group_apply(struct touch *touch, const struct pq_rows *source, pqdb_error *err);
/// Columns of a batch, in `arena`.
pqdb_code group_operands(const struct pq_operand *operands, size_t count,
                         const struct pq_batch *batch, struct pq_arena *arena,
                         const struct pq_column **columns, pqdb_error *err);
/// The global row is there over no rows too.
pqdb_code group_make_global(struct group_op *op, pqdb_error *err);
/// The rows as additions of these arguments.
struct addition group_addition(struct touch *touch, const struct feed *feed, uint32_t argument,
                               uint32_t by);
/// "more … are taken back than were there". Errors: PQDB_CORRUPT.
pqdb_code group_broken(const struct touch *touch, uint32_t cell, pqdb_error *err);

/// group_traces.c: counts and multisets.
pqdb_code group_traces_init(struct group_op *op, pqdb_error *err);
void group_traces_deinit(struct group_op *op);
void group_traces_clear(struct group_op *op);
/// Add the batch to all that are made; `touch->changes` says what it did to the counts.
pqdb_code group_traces_add(struct touch *touch, pqdb_error *err);
/// Make those that are `wanted` (of layout.traces) and late: from all rows of the source as of
/// before the step, and then the step's. From then on they are kept.
pqdb_code group_traces_make(struct touch *touch, const bool *wanted, const struct pq_rows *source,
                            pqdb_error *err);
/// Where a cell's values lie.
struct pq_multiset_place group_place(const struct touch *touch, uint32_t cell);

/// Forget the cells; groups without rows go.
void group_release(struct touch *touch);

/// group_emit.c: the output row of each group row, all columns but $id, $seq and keys.
pqdb_code group_emits_init(const struct group_op *op, size_t capacity, struct pq_arena *arena,
                           struct emit **emits, pqdb_error *err);
pqdb_code group_emit(const struct group_op *op, uint8_t *const *rows, size_t count,
                     struct emit *emits, pqdb_error *err);
/// Put a batch together: `rows` are the group rows in output order, `keys` their key columns.
struct output {
    uint8_t *const *rows;
    size_t count;
    const struct pq_column *keys;
    struct emit *emits;  // ended by this
};
pqdb_code group_output(const struct group_op *op, const struct output *output,
                       struct pq_arena *arena, struct pq_batch *batch, pqdb_error *err);
/// Key columns out of key bytes.
pqdb_code group_decode_keys(const struct group_op *op, const struct pq_text *keys, size_t count,
                            struct pq_arena *arena, struct pq_column *columns, pqdb_error *err);
/// Keep what `$having` lets through.
pqdb_code group_having(const struct group_op *op, struct pq_batch *batch, struct pq_arena *arena,
                       pqdb_error *err);

#endif
