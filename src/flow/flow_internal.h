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

/// A piece of variable length in a group row.
struct blob {
    uint32_t offset;  // from the row's start
    uint32_t room;    // 0: none
    uint32_t length;
    uint32_t unused;
};

struct group_head {
    int64_t rows;      // sum of weights
    uint32_t touched;  // while a step runs: its cell + 1; else 0
    uint32_t layout;   // layout.check of whoever made it
    struct blob id;    // `$id`
};

enum { NO_CELL = UINT32_MAX };

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
    struct pq_arena *arena;
};

static inline int64_t weight_at(const int64_t *weights, size_t i) {
    return weights == NULL ? 1 : weights[i];
}

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
    enum settled (*settle)(uint8_t *row, uint32_t offset);
    /// Forget the window, keep more values from now on.
    void (*restart)(uint8_t *row, uint32_t offset);
};

extern const struct pq_state_kind pq_state_count;       // agg_count.c: values that are not null
extern const struct pq_state_kind pq_state_wide;        // agg_sum.c: int and decimal
extern const struct pq_state_kind pq_state_exact;       // agg_sum.c: numbers, as doubles
extern const struct pq_state_kind pq_state_wide_squares;   // agg_variance.c: likewise, squared
extern const struct pq_state_kind pq_state_exact_squares;
extern const struct pq_state_kind pq_state_min_word;    // window_word.c: kinds of one word
extern const struct pq_state_kind pq_state_max_word;
extern const struct pq_state_kind pq_state_min_bytes;   // window_bytes.c: by canonical key
extern const struct pq_state_kind pq_state_max_bytes;
extern const struct pq_state_kind pq_state_first;       // window_bytes.c: by creation order
extern const struct pq_state_kind pq_state_last;

extern const struct pq_aggregate pq_aggregate_count, pq_aggregate_sum, pq_aggregate_avg,
    pq_aggregate_min, pq_aggregate_max, pq_aggregate_first, pq_aggregate_last,
    pq_aggregate_stddev, pq_aggregate_stddev_samp, pq_aggregate_variance,
    pq_aggregate_variance_samp;

/// Group rows to be read.
struct pq_finish {
    uint8_t *const *rows;
    size_t count;
    uint32_t offset;  // of the state; PQ_NO_COLUMN: the row count serves
    uint32_t second;  // of the second state, where there is one
    const struct pq_state_kind *state;
    const struct pq_type *argument;  // NULL for '*'
    struct pq_text name;             // of the output column, for messages
    struct pq_arena *arena;
    struct emit *out;
};

static inline const struct group_head *group_head(const uint8_t *row) {
    return (const struct group_head *)(const void *)row;
}

/// A window onto the multiset of a group's values: the first K of them in the aggregate's order,
/// with
/// counts, and the number of rows behind its edge. K is 1 until a value is taken back out of it,
/// then
/// WINDOW_ENTRIES.
///
/// Invariant: when `bounded`, the last entry is the edge, whatever its count: a value is inside
/// exactly when it is not behind the edge. When not, every value is inside.
struct window {
    int64_t outside;  // rows behind the edge
    uint32_t count;   // entries
    bool wide;        // K is WINDOW_ENTRIES
    bool bounded;
    bool listed;      // entries are in the blob
    uint8_t unused;
    union {
        struct {
            uint64_t word;
            int64_t weight;
        } one;  // of a word window not `listed`
        struct blob entries;
    };
};
enum { WINDOW_ENTRIES = 16 };

/// The first entry there is a row of; false for none.
bool window_word_head(const uint8_t *row, uint32_t offset, uint64_t *word);
bool window_bytes_head(const uint8_t *row, uint32_t offset, struct pq_text *key,
                       struct pq_text *value);

/// Words that sort as the values of a column of one of these kinds; and back.
bool word_kind(enum pq_kind kind);
uint64_t word_of(const struct pq_column *column, size_t row);
void emit_word(struct emit *out, uint64_t word);

/// A column's row as bytes of its own (cell.c), nested values too; and back into an output.
pqdb_code cell_write(const struct pq_column *column, size_t row, struct pq_bytes *out,
                     pqdb_error *err);
pqdb_code cell_emit(struct pq_text cell, struct emit *out, pqdb_error *err);

/// The value whose canonical key begins at the cursor (key_decode.c), as a row of the output's
/// type.
pqdb_code key_emit(struct pq_cursor *key, struct emit *out, pqdb_error *err);

/// The states that a list of aggregates needs, and where they lie.
struct state_place {
    const struct pq_state_kind *kind;
    uint32_t argument;  // or PQ_NO_COLUMN
    uint32_t by;
    struct pq_aggregate_parameters given;
    uint32_t offset;
};
struct layout {
    struct state_place *states;  // owned
    size_t state_count;
    uint32_t *state_of;   // owned: per aggregate
    uint32_t *second_of;  // owned: likewise, or PQ_NO_COLUMN
    size_t aggregate_count;
    uint32_t fixed_bytes;  // where blobs begin
    uint32_t check;        // differs where rows would be read wrongly
};
pqdb_code layout_init(struct layout *layout, const struct pq_compute_spec *compute,
                      const struct pq_type *input, const struct pq_alloc *alloc, pqdb_error *err);
void layout_deinit(struct layout *layout, const struct pq_alloc *alloc);

/// Bytes a row needs when `blob_offset` (0: none) gets `bytes` of room.
size_t layout_bytes(const struct layout *layout, const uint8_t *row, size_t blob_offset,
                    size_t bytes);
/// Move the blobs of `row` (as they lie in `old`, a copy of the row) to their new places.
void layout_move(const struct layout *layout, uint8_t *row, const uint8_t *old, size_t blob_offset,
                 size_t bytes);

/// Is row i of the column bit for bit row j? (group_emit.c)
bool column_rows_equal(const struct pq_column *column, size_t i, size_t j);

/// The type of an operand over a batch type.
const struct pq_type *operand_type(const struct pq_operand *operand, const struct pq_type *input);
pqdb_code operand_run(const struct pq_operand *operand, const struct pq_batch *batch,
                      struct pq_arena *arena, struct pq_column *out, pqdb_error *err);

#endif
