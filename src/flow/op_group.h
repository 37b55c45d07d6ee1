/// flow/op_group.h: `$groupBy`, `$compute`, `$having`: one trace row per group.
#ifndef PQ_FLOW_OP_GROUP_H
#define PQ_FLOW_OP_GROUP_H

#include "flow/flow_internal.h"
#include "flow/group_keys.h"

struct group_op {
    const struct pq_group_spec *spec;  // borrowed
    struct pq_text name;               // of the view, for messages
    const struct pq_alloc *alloc;
    struct layout layout;
    struct pq_trace trace;
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
    struct pq_arena *arena;
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
pqdb_code group_apply(struct touch *touch, const struct pq_rows *refill, pqdb_error *err);
/// The global row is there over no rows too.
pqdb_code group_make_global(struct group_op *op, pqdb_error *err);
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
