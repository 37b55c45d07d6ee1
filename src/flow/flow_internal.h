/// flow/flow_internal.h: what the files of room flow share: group rows, state kinds, outputs.
///
/// A group row (a trace's payload, or a piece of an arena for per-row compute):
///
///     0      struct group_head
///     32     states, each 8-aligned, at the offsets of the plan
///     ...    rooms of blobs: the printed id, grown sums, windows; 8-aligned, in no order
///
/// A blob says where its room lies; when one grows, the row is laid out anew (group_row.c).
#ifndef PQ_FLOW_FLOW_INTERNAL_H
#define PQ_FLOW_FLOW_INTERNAL_H

#include "base/check.h"
#include "base/fail.h"
#include "flow/emit.h"
#include "flow/flow.h"
#include "state/multiset.h"

/// A piece of variable length in a group row.
struct blob {
    uint32_t offset;  // from the row's start
    uint32_t room;    // 0: none
    uint32_t length;
    uint32_t mark;  // the owner's
};

struct group_head {
    int64_t rows;      // sum of weights
    uint32_t touched;  // while a step runs: its cell + 1; else 0
    uint32_t layout;   // layout.check of whoever made it
    struct blob id;    // `$id`
};

#define NO_CELL UINT32_MAX

/// The group rows that a batch touches, one cell each.
struct cells {
    uint8_t **rows;  // [count]
    uint32_t count;
    /// Give the blob (inside rows[cell]) room for `bytes`; its content stays. The row may move.
    pqdb_code (*grow)(struct cells *cells, uint32_t cell, size_t blob_offset, size_t bytes,
                      pqdb_error *err);
};

/// Rows on their way into states.
struct addition {
    struct cells *cells;
    const uint32_t *cell_of;  // [count]
    const int64_t *weights;   // NULL: 1 each
    size_t count;
    uint32_t offset;                   // of the state in a group row
    const struct pq_column *argument;  // NULL for '*'
    const struct pq_column *by;        // `$by`, or NULL
    const struct pq_column *seq;       // creation order, or NULL: all the same
    const struct pq_column *index;     // element index, or NULL
    const struct pq_column *id;        // when rows go by `$id`, else NULL
    struct pq_aggregate_parameters given;
    const struct value_changes *changes;  // for states that need counts
    struct pq_arena *arena;
};

/// What a batch did to the counts of the values of its groups (group_traces.c): each value of each
/// group once, only those whose count is another one.
struct value_change {
    uint32_t cell;
    struct pq_text value;  // canonical bytes
    int64_t before, now;
};
struct value_changes {
    struct value_change *all;
    size_t count;
};

/// What a state needs beside the group row, in traces of the view.
enum trace_of {
    TRACE_NONE,
    TRACE_COUNTS,    // how often each value occurs, by hash
    TRACE_NUMBERS,   // multisets: numbers as doubles,
    TRACE_VALUES,    //   values that are not null, by canonical bytes,
    TRACE_CREATION,  //   values in the order of `$by` and creation,
    TRACE_RANKED,    //   values by count, the most frequent first
};

/// Look for a group's values beyond what its window knows.
struct refill {
    struct cells *cells;
    uint32_t cell;
    const struct state_place *place;
    struct pq_trace *trace;  // its multiset
    struct pq_multiset_place group;  // without a value
    const struct pq_type *argument;
    struct pq_arena *arena;
};

static inline int64_t weight_at(const int64_t *weights, size_t i) {
    return weights == NULL ? 1 : weights[i];
}

struct state_place;  // layout.h

/// What `settle` found.
enum settled { STATE_WHOLE, STATE_EXHAUSTED, STATE_BROKEN };

/// What a group keeps for one or several aggregates. Zeroed bytes are the state of no rows, and a
/// state whose rows were all taken back finishes like one of no rows.
struct pq_state_kind {
    const char *name;
    uint32_t bytes;
    pqdb_code (*add)(const struct addition *addition, pqdb_error *err);
    /// The blob's offset in the state, or -1 when this state has none (now). NULL: never.
    int (*blob)(const uint8_t *state);
    /// After a step that took rows back: is the window still good? NULL: there is none.
    enum settled (*settle)(uint8_t *row, const struct state_place *place);
    bool always_settles;  // and after one that did not
    bool needs_counts;
    enum trace_of multiset;  // that `refill` reads
    bool multiset_is_late;   // it is made when it is asked for the first time
    /// Fill an exhausted window, or move it to where it should be.
    pqdb_code (*refill)(const struct refill *refill, pqdb_error *err);
};

/// Group rows to be read.
struct pq_finish {
    uint8_t *const *rows;
    size_t count;
    uint32_t offset;  // of the state; PQ_NO_COLUMN: the row count serves
    uint32_t second;  // of the second state, where there is one
    struct pq_aggregate_parameters given;  // of the state
    const struct pq_state_kind *state;
    const struct pq_type *argument;  // NULL for '*'
    struct pq_text name;             // of the output column, for messages
    struct pq_arena *arena;
    struct emit *out;
};

static inline const struct group_head *group_head(const uint8_t *row) {
    return (const struct group_head *)(const void *)row;
}

/// Is row i of the column bit for bit row j? (group_emit.c)
bool column_rows_equal(const struct pq_column *column, size_t i, size_t j);

/// The type of an operand over a batch type.
const struct pq_type *operand_type(const struct pq_operand *operand, const struct pq_type *input);
pqdb_code operand_run(const struct pq_operand *operand, const struct pq_batch *batch,
                      struct pq_arena *arena, struct pq_column *out, pqdb_error *err);

#endif
