/// flow/flow.h: views as operators over weighted batches. An operator knows batches, traces and
/// arenas: no store, no table, no clock.
///
/// A view is one node of a circuit: rows (unnest, filter, per-row compute, select: linear, no
/// state), then perhaps groups (traces). A step gives each source's delta to all nodes in
/// topological order and takes each view's delta out; a node has a twin (`_full`) that computes its
/// view from all rows of its source, and both give the same rows bit for bit.
///
/// Every batch's columns begin with `$id` (text) and `$seq` (int64). Positions below are columns of
/// the batch in question. Specs are borrowed: they and what they point to outlive the node.
#ifndef PQ_FLOW_FLOW_H
#define PQ_FLOW_FLOW_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "batch/column.h"
#include "expr/expr.h"
#include "flow/aggregate.h"
#include "flow/lookup.h"
#include "state/trace.h"

#define PQ_NO_COLUMN UINT32_MAX
enum { PQ_ID_COLUMN = 0, PQ_SEQ_COLUMN = 1 };

/// A column as it is (`program` NULL), or what a program makes of a batch.
struct pq_operand {
    const struct pq_program *program;
    uint32_t column;
};

/// What becomes of a list: one row per element.
///
/// `$unnest` Rows: `type` is OBJECT { $id, $seq, $index, <element>, (n,) beside…, carried… }. `$id`
/// is `<id>#<n>` (`<id>#` for keepEmpty), `$index` is n; below an unnested source it is
/// parent index << 24 | n (PQDB_LIMIT where that leaves int64).
/// Per-row compute: `type` is OBJECT { <element>, beside…, carried… }.
///
/// `list` may be a LIST (elements of its type) or a VARIANT (its arrays; elements are variants);
/// everything else has no elements.
struct pq_unnest_spec {
    struct pq_operand list;
    bool keep_empty;         // a row without elements gives one row with a null element
    bool has_position;       // an int64 behind the element: n, null for keepEmpty
    uint32_t parent_index;   // `$index` of the input, or PQ_NO_COLUMN
    const struct pq_operand *beside;  // LISTs as long as `list`: their elements go with its own
    size_t beside_count;
    const uint32_t *carry;   // input columns that go along
    size_t carry_count;
    const struct pq_type *type;  // of the rows that come out
};

/// One aggregate of `$compute`.
struct pq_aggregate_spec {
    const struct pq_aggregate *kind;
    uint32_t argument;  // position in `arguments`, or PQ_NO_COLUMN for '*'
    uint32_t by;        // likewise: `$by`, or PQ_NO_COLUMN
    struct pq_aggregate_parameters given;
};

/// Aggregates over the rows of a group, or over the elements of one row.
struct pq_compute_spec {
    const struct pq_operand *arguments;  // each distinct expression once
    size_t argument_count;
    const struct pq_aggregate_spec *aggregates;
    size_t aggregate_count;
};

/// `$compute` without `$groupBy` through a list: its outputs are appended to the row.
struct pq_list_compute_spec {
    struct pq_unnest_spec elements;  // carry: from the filtered rows
    struct pq_compute_spec compute;  // over elements.type
};

/// The stateless half: input -> first filter -> unnest -> filter -> per-row compute -> columns.
/// `$type`, the undeclared rest and the like are ordinary columns of `input`.
struct pq_row_spec {
    const struct pq_type *input;      // OBJECT: $id, $seq, …
    const struct pq_program *filter_first;  // over `input`: what needs no element; or NULL
    const struct pq_unnest_spec *unnest;    // or NULL
    const struct pq_program *filter;  // over `input`, or unnest->type; or NULL
    const struct pq_list_compute_spec *lists;
    size_t list_count;
    const struct pq_type *computed;   // the rows with all computed columns behind; when list_count
    const struct pq_operand *columns;  // over the last of these; columns[0] is $id, [1] is $seq
    const struct pq_type *output;      // OBJECT with one field per column
};

/// `$groupBy` + `$compute` + `$having`. Without keys: one global row, `$id` "[]".
struct pq_group_spec {
    const struct pq_type *input;     // OBJECT: what the row half puts out, or the source's type
    const struct pq_operand *keys;
    size_t key_count;
    struct pq_compute_spec compute;
    uint32_t index;                  // `$index` of the input, or PQ_NO_COLUMN
    bool order_by_id;                // the source is a grouped view: $first and $last go by $id
    const struct pq_program *having;  // over `output`, or NULL
    const struct pq_type *output;    // OBJECT: $id, $seq (0), keys, aggregates
};

/// The rows of a source, for what cannot be known from the delta and the state alone: first build,
/// recompute, and a multiset that is asked for late. Filled by room view. Calls `take` with batches
/// of rows of the source *as of before the running step* (the circuit adds the step's delta),
/// weights as they are. `wish` NULL: all columns are read.
struct pq_rows_wish {
    const uint32_t *columns;  // that are read, ascending; others may be anything of their type
    size_t column_count;
    const struct pq_reads *reads;  // and which paths inside variants; NULL: whole ones
};
typedef pqdb_code pq_take_rows(void *taker, const struct pq_batch *batch, pqdb_error *err);
struct pq_rows {
    pqdb_code (*scan)(void *ctx, const struct pq_rows_wish *wish, pq_take_rows *take, void *taker,
                      pqdb_error *err);
    void *ctx;
};

/// A view. Table ids are the caller's: collections and views in one number space.
struct pq_node_spec {
    struct pq_text name;  // for messages
    uint32_t table;       // what it puts out
    uint32_t source;      // what it reads
    const struct pq_type *source_type;     // OBJECT, with `expand`
    const struct pq_expand_spec *expand;   // what it reads through links (flow/expand.h), or NULL
    const struct pq_lookup *lookup;        // with `expand`: the linked rows
    const struct pq_row_spec *rows;     // over the expanded rows; or NULL: as they are
    const struct pq_group_spec *group;  // or NULL
    const struct pq_rows *refill;  // NULL: the source only grows; taking a row back out of a full
                                   // window is then PQDB_UNSUPPORTED
};

/// A step's rows of one table. Several images of one row come in the order of the commits.
struct pq_delta {
    uint32_t table;
    const struct pq_batch *rows;
};

struct pq_node;
struct pq_reads;  // expr/reads.h

/// Errors: PQDB_NO_MEMORY, PQDB_INVALID (an argument that an aggregate does not take).
pqdb_code pq_node_create(const struct pq_node_spec *spec, const struct pq_alloc *alloc,
                         struct pq_node **node, pqdb_error *err);
void pq_node_destroy(struct pq_node *node);
const struct pq_node_spec *pq_node_spec(const struct pq_node *node);

/// Memory held: state and caches, without what steps take from their arena.
size_t pq_node_bytes(const struct pq_node *node);

/// The state of a grouped node in pieces, for checkpoints and for opening (pq_trace_…): first the
/// groups, then counts and multisets. The names are the same for every node of an equal spec.
struct pq_node_part {
    const char *name;        // in the node's memory
    const char *what;        // for people
    struct pq_trace *trace;
    bool is_late;            // it may be missing where a state is opened
    bool is_there;           // false: late, and not made yet; it holds nothing
};
/// Views into the node, valid until it is stepped or built. `*count` 0: a node without state.
const struct pq_node_part *pq_node_parts(struct pq_node *node, size_t *count);
/// Before opening or building it: a late piece is there; or all that another node of the spec has.
void pq_node_use_part(struct pq_node *node, size_t part);
void pq_node_use_parts_of(struct pq_node *node, const struct pq_node *other);
/// Late pieces that only `from` has become those of `to`: nodes of one spec, over the same rows.
void pq_node_take_parts(struct pq_node *to, struct pq_node *from);

/// Apply a delta of the source; `out` is the view's delta: −old +new for each row that changed.
///
/// Shape   out's rows live in `arena` and in `delta`; count 0 when nothing changed
/// Cost    the delta and the groups it touches; nothing allocated but from `arena` in steady state
/// Errors  PQDB_LIMIT (a result that does not fit its type), PQDB_CORRUPT (more taken back than was
///         there, or a damaged run), PQDB_NO_MEMORY, PQDB_IO, PQDB_UNSUPPORTED. The state may be
///         half stepped then and is of no more use: build the node again.
pqdb_code pq_node_step(struct pq_node *node, const struct pq_batch *delta, struct pq_arena *arena,
                       struct pq_batch *out, pqdb_error *err);

/// The same with what changed in every table that the view reads: its source and those reached by
/// links. A table that is not among the deltas has not changed.
pqdb_code pq_node_step_all(struct pq_node *node, const struct pq_delta *deltas, size_t count,
                           struct pq_arena *arena, struct pq_batch *out, pqdb_error *err);

/// Does a change of the table concern the node?
bool pq_node_reads(const struct pq_node *node, uint32_t table);

/// Where results go. Batches are valid during the call.
struct pq_sink {
    pqdb_code (*put)(void *ctx, const struct pq_batch *rows, pqdb_error *err);
    void *ctx;
};

/// The twin: forget the state, compute the view from all rows of its source, give the rows to
/// `sink` (may be NULL: only the state is wanted). Afterwards the node goes on by steps. A grouped
/// view must be built so before its first step, from no rows if its source is empty: that makes
/// the global row.
///
/// Cost    one pass over the source; memory: the state, and one batch at a time
/// Errors  as pq_node_step, and those of `rows` and `sink`
pqdb_code pq_node_full(struct pq_node *node, const struct pq_rows *rows,
                       const struct pq_sink *sink, pqdb_error *err);

#endif
