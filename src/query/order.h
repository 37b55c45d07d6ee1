/// query/order.h: rows in the order that is asked for; of many the first ones only.
///
/// With `keep` a heap holds the best rows so far: a row that cannot be among them is not copied,
/// and rows that fell out of it are left behind when they outnumber the others, so that memory
/// goes with `keep` and not with what was looked at.
#ifndef PQ_QUERY_ORDER_H
#define PQ_QUERY_ORDER_H

#include "batch/hold.h"
#include "expr/expr.h"
#include "table/fetch.h"
#include "table/scan.h"

struct pq_order_key {
    struct pq_program *program;  // borrowed
    bool descending;
};

struct pq_order_piece;
struct pq_order_ref {
    uint32_t piece, row;
};

/// Nulls are last in both directions; ties go by the first column, `$id`.
struct pq_order {
    const struct pq_alloc *alloc;
    const struct pq_order_key *keys;  // borrowed
    size_t key_count;
    uint64_t keep;  // rows; 0: all
    struct pq_hold *holds[2];  // owned, made with `keep`; one has what is in pieces
    unsigned hold;             // which
    struct pq_hold **held_with;  // referenced, without `keep`
    size_t held_count, held_capacity;
    struct pq_order_piece *pieces;
    size_t piece_count, piece_capacity;
    struct pq_order_ref *refs;  // a heap, the last row on top, when there are `keep`
    size_t ref_count, ref_capacity;
    uint64_t held;  // rows in the pieces
};

void pq_order_init(struct pq_order *order, const struct pq_alloc *alloc);
void pq_order_deinit(struct pq_order *order);

/// Consider rows; where they are (`rows->rows`, may be NULL) is kept with them. Keys are computed
/// in `arena`. With `keep` the batch may go afterwards; without, batch and `arena` must live as
/// long as `order`.
/// Cost with `keep`: a comparison for a row that is not among the first, log(keep) for one that is.
pqdb_code pq_order_add(struct pq_order *order, const struct pq_scan_rows *rows,
                       struct pq_arena *arena, pqdb_error *err);

/// Without `keep`: the memory of rows that were added, or will be, stays as long as `order` does.
/// Errors: PQDB_NO_MEMORY.
pqdb_code pq_order_hold(struct pq_order *order, struct pq_hold *hold, pqdb_error *err);

/// With `keep`, once there are as many: the row behind which nothing more is kept; else NULL. Its
/// value of the first key, or its `$id` where there is no key, is in *first.
const struct pq_batch *pq_order_last(const struct pq_order *order, struct pq_value *first);

/// There are rows. From here on `keep` of them: the first of those so far, copied, so that what was
/// added or held before, and what has fallen out, may go. On an error `order` is fit for deinit
/// only.
pqdb_code pq_order_narrow(struct pq_order *order, uint64_t keep, pqdb_error *err);

/// All rows have come. From here on row 0 is the first.
void pq_order_finish(struct pq_order *order);
/// Rows equal in keys and `$id` to the one before them go. After finish.
void pq_order_drop_repeats(struct pq_order *order);

/// Where row `index` is, if that was given. After finish.
struct pq_row_place pq_order_place(const struct pq_order *order, size_t index);

/// Row `index` is row `*row` of the batch that is given back.
const struct pq_batch *pq_order_row(const struct pq_order *order, size_t index, size_t *row);

#endif
