#include "query/order.h"

#include <stdlib.h>

#include "base/fail.h"
#include "expr/compare.h"

enum { spare_rows = 8192 };  // that have fallen out and may stay a while

struct pq_order_piece {
    struct pq_batch rows;
    const struct pq_column *keys;
    struct pq_segment *segment;
    const uint32_t *places;  // of the rows in the segment, or NULL
};

void pq_order_init(struct pq_order *order, const struct pq_alloc *alloc) {
    *order = (struct pq_order){.alloc = alloc};
}

static void let_go(struct pq_order *order) {
    for (size_t i = 0; i < order->held_count; i++) pq_hold_unref(order->held_with[i]);
    order->held_count = 0;
}

void pq_order_deinit(struct pq_order *order) {
    pq_free(order->alloc, order->pieces, order->piece_capacity, sizeof *order->pieces);
    pq_free(order->alloc, order->refs, order->ref_capacity, sizeof *order->refs);
    for (int i = 0; i < 2; i++) pq_hold_unref(order->holds[i]);
    let_go(order);
    pq_free(order->alloc, order->held_with, order->held_capacity, sizeof *order->held_with);
}

// ---- comparing --------------------------------------------------------------------------------

static int compare(const struct pq_order *order, const struct pq_order_piece *a, size_t a_row,
                   const struct pq_order_piece *b, size_t b_row) {
    for (size_t k = 0; k < order->key_count; k++) {
        const struct pq_column *left = &a->keys[k], *right = &b->keys[k];
        const bool left_null = pq_column_is_null(left, a_row);
        const bool right_null = pq_column_is_null(right, b_row);
        if (left_null && right_null) continue;
        if (left_null || right_null) return left_null ? 1 : -1;
        const int found = pq_column_compare(left, a_row, right, b_row);
        if (found != 0) return order->keys[k].descending ? -found : found;
    }
    return pq_text_compare(pq_column_text(&a->rows.columns[0], a_row),
                           pq_column_text(&b->rows.columns[0], b_row));
}

static int compare_refs(const void *left, const void *right, void *ctx) {
    const struct pq_order *order = ctx;
    const struct pq_order_ref a = *(const struct pq_order_ref *)left;
    const struct pq_order_ref b = *(const struct pq_order_ref *)right;
    return compare(order, &order->pieces[a.piece], a.row, &order->pieces[b.piece], b.row);
}

// ---- the heap ---------------------------------------------------------------------------------

static void sink(struct pq_order *order, size_t at) {
    struct pq_order_ref *refs = order->refs;
    const struct pq_order_ref sinking = refs[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= order->ref_count) break;
        if (child + 1 < order->ref_count &&
            compare_refs(&refs[child + 1], &refs[child], order) > 0) {
            child++;
        }
        if (compare_refs(&sinking, &refs[child], order) >= 0) break;
        refs[at] = refs[child];
        at = child;
    }
    refs[at] = sinking;
}

static void make_heap(struct pq_order *order) {
    for (size_t at = order->ref_count / 2; at-- > 0;) sink(order, at);
}

static bool is_full(const struct pq_order *order) {
    return order->keep != 0 && order->ref_count >= order->keep;
}

/// Row `ref` is in a piece already. It may not be among the first any more.
static void take(struct pq_order *order, struct pq_order_ref ref) {
    if (!is_full(order)) {
        order->refs[order->ref_count++] = ref;
        if (is_full(order)) make_heap(order);
    } else if (compare_refs(&ref, &order->refs[0], order) < 0) {
        order->refs[0] = ref;
        sink(order, 0);
    }
}

// ---- pieces -----------------------------------------------------------------------------------

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "rows of an answer");
}

static pqdb_code reserve(struct pq_order *order, size_t rows, pqdb_error *err) {
    if (order->piece_count == order->piece_capacity) {
        const size_t capacity = order->piece_capacity == 0 ? 16 : order->piece_capacity * 2;
        void *grown = pq_resize(order->alloc, order->pieces, order->piece_capacity, capacity,
                                sizeof *order->pieces);
        if (grown == NULL) return no_memory(err);
        order->pieces = grown;
        order->piece_capacity = capacity;
    }
    size_t most = order->ref_count + rows;
    if (order->keep != 0 && most > order->keep) most = (size_t)order->keep;
    if (most > order->ref_capacity) {
        const size_t capacity = most * 2;
        void *grown = pq_resize(order->alloc, order->refs, order->ref_capacity, capacity,
                                sizeof *order->refs);
        if (grown == NULL) return no_memory(err);
        order->refs = grown;
        order->ref_capacity = capacity;
    }
    return PQDB_OK;
}

/// What the keys' texts are codes of stays.
static pqdb_code keep_dictionaries(struct pq_hold *hold, const struct pq_order_piece *piece,
                                   size_t key_count, pqdb_error *err) {
    for (size_t k = 0; k < key_count; k++) {
        const struct pq_field field = {.type = *piece->keys[k].type};
        const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 1, .fields = &field};
        const struct pq_batch key = {.type = &type, .columns = &piece->keys[k]};
        PQ_TRY(pq_hold_keep_dictionaries(hold, &key, err));
    }
    return pq_hold_keep_dictionaries(hold, &piece->rows, err);
}

/// The rows named of a piece, copied into `hold`.
static pqdb_code copy_rows(size_t key_count, const struct pq_order_piece *from,
                           struct pq_selection chosen, struct pq_hold *hold,
                           struct pq_order_piece *out, pqdb_error *err) {
    struct pq_arena *arena = &hold->arena;
    struct pq_order_piece copy = {.segment = from->segment};
    struct pq_column *keys = pq_arena_alloc(arena, key_count * sizeof *keys);
    if (keys == NULL) return no_memory(err);
    PQ_TRY(pq_batch_gather(&from->rows, chosen.rows, chosen.count, arena, &copy.rows, err));
    for (size_t k = 0; k < key_count; k++) {
        PQ_TRY(pq_column_gather(&from->keys[k], chosen.rows, chosen.count, arena, &keys[k], err));
    }
    copy.keys = keys;
    if (from->places != NULL) {
        uint32_t *places = pq_arena_alloc(arena, (chosen.count + 1) * sizeof *places);
        if (places == NULL) return no_memory(err);
        for (size_t i = 0; i < chosen.count; i++) places[i] = from->places[chosen.rows[i]];
        copy.places = places;
    }
    *out = copy;
    return keep_dictionaries(hold, &copy, key_count, err);
}

static int by_place(const void *left, const void *right) {
    const struct pq_order_ref *a = left, *b = right;
    if (a->piece != b->piece) return a->piece < b->piece ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/// Everything in pieces that no reference names goes: what is left moves to the other arena. On an
/// error `order` is fit for deinit only.
static pqdb_code leave_behind(struct pq_order *order, pqdb_error *err) {
    struct pq_hold *fresh = order->holds[1 - order->hold];
    pqdb_code code = PQDB_OK;
    size_t pieces = 0;
    uint32_t *rows = pq_resize(order->alloc, NULL, 0, order->ref_count, sizeof *rows);
    if (rows == NULL) return no_memory(err);
    qsort(order->refs, order->ref_count, sizeof *order->refs, by_place);
    for (size_t first = 0, end; first < order->ref_count; first = end) {
        const uint32_t piece = order->refs[first].piece;
        for (end = first; end < order->ref_count && order->refs[end].piece == piece; end++) {
            rows[end - first] = order->refs[end].row;
            order->refs[end] = (struct pq_order_ref){(uint32_t)pieces, (uint32_t)(end - first)};
        }
        const struct pq_selection chosen = {.rows = rows, .count = end - first};
        PQ_GO(copy_rows(order->key_count, &order->pieces[piece], chosen, fresh,
                        &order->pieces[pieces], err));
        pieces++;
    }
    order->piece_count = pieces;
    order->held = order->ref_count;
    make_heap(order);
done:
    pq_free(order->alloc, rows, order->ref_count, sizeof *rows);
    pq_hold_reset(order->holds[order->hold]);
    order->hold = 1 - order->hold;
    return code;
}

/// The rows that come before the last one of those kept; all while there are too few.
static size_t choose(struct pq_order *order, const struct pq_order_piece *incoming,
                     uint32_t *rows) {
    size_t count = 0;
    for (size_t row = 0; row < incoming->rows.count; row++) {
        if (is_full(order)) {
            const struct pq_order_ref last = order->refs[0];
            if (compare(order, incoming, row, &order->pieces[last.piece], last.row) >= 0) continue;
        }
        rows[count++] = (uint32_t)row;
    }
    return count;
}

static pqdb_code make_holds(struct pq_order *order, pqdb_error *err) {
    for (int i = 0; i < 2; i++) {
        if (order->holds[i] == NULL) PQ_TRY(pq_hold_create(order->alloc, &order->holds[i], err));
    }
    return PQDB_OK;
}

pqdb_code pq_order_narrow(struct pq_order *order, uint64_t keep, pqdb_error *err) {
    PQ_TRY(make_holds(order, err));
    order->keep = keep;
    if (order->ref_count > keep) {
        pq_order_finish(order);
        order->ref_count = (size_t)keep;
    }
    PQ_TRY(leave_behind(order, err));
    let_go(order);
    return PQDB_OK;
}

/// With `keep`: what may be among the first is copied.
static pqdb_code keep_some(struct pq_order *order, struct pq_order_piece *piece,
                           struct pq_arena *arena, pqdb_error *err) {
    uint32_t *rows = pq_arena_alloc(arena, piece->rows.count * sizeof *rows);
    if (rows == NULL) return no_memory(err);
    const struct pq_selection chosen = {.rows = rows, .count = choose(order, piece, rows)};
    if (chosen.count == 0) {
        piece->rows.count = 0;
        return PQDB_OK;
    }
    PQ_TRY(make_holds(order, err));
    return copy_rows(order->key_count, piece, chosen, order->holds[order->hold], piece, err);
}

pqdb_code pq_order_add(struct pq_order *order, const struct pq_scan_rows *rows,
                       struct pq_arena *arena, pqdb_error *err) {
    const struct pq_batch *batch = &rows->batch;
    struct pq_order_piece piece = {
        .rows = *batch, .segment = rows->segment, .places = rows->rows};
    struct pq_column *keys = pq_arena_alloc(arena, order->key_count * sizeof *keys);
    if (keys == NULL) return no_memory(err);
    PQ_TRY(reserve(order, batch->count, err));
    for (size_t k = 0; k < order->key_count; k++) {
        PQ_TRY(pq_program_run(order->keys[k].program, batch, arena, &keys[k], err));
    }
    piece.keys = keys;
    if (order->keep != 0) PQ_TRY(keep_some(order, &piece, arena, err));
    if (piece.rows.count == 0) return PQDB_OK;
    order->pieces[order->piece_count++] = piece;
    for (size_t row = 0; row < piece.rows.count; row++) {
        take(order, (struct pq_order_ref){(uint32_t)(order->piece_count - 1), (uint32_t)row});
    }
    order->held += piece.rows.count;
    if (order->keep != 0 && order->held > 2 * (uint64_t)order->ref_count + spare_rows) {
        return leave_behind(order, err);
    }
    return PQDB_OK;
}

// ---- the rows ---------------------------------------------------------------------------------

void pq_order_finish(struct pq_order *order) {
    if (order->ref_count == 0) return;  // refs may be NULL
    qsort_r(order->refs, order->ref_count, sizeof *order->refs, compare_refs, order);
}

void pq_order_drop_repeats(struct pq_order *order) {
    size_t kept = 0;
    for (size_t i = 0; i < order->ref_count; i++) {
        if (kept == 0 || compare_refs(&order->refs[kept - 1], &order->refs[i], order) != 0) {
            order->refs[kept++] = order->refs[i];
        }
    }
    order->ref_count = kept;
}

pqdb_code pq_order_hold(struct pq_order *order, struct pq_hold *hold, pqdb_error *err) {
    if (order->held_count == order->held_capacity) {
        const size_t capacity = order->held_capacity == 0 ? 16 : order->held_capacity * 2;
        struct pq_hold **grown = pq_resize(order->alloc, order->held_with, order->held_capacity,
                                           capacity, sizeof(struct pq_hold *));
        if (grown == NULL) return no_memory(err);
        order->held_with = grown;
        order->held_capacity = capacity;
    }
    order->held_with[order->held_count++] = pq_hold_ref(hold);
    return PQDB_OK;
}

const struct pq_batch *pq_order_last(const struct pq_order *order, struct pq_value *first) {
    if (order->keep == 0 || !is_full(order)) return NULL;
    const struct pq_order_ref last = order->refs[0];
    const struct pq_order_piece *piece = &order->pieces[last.piece];
    const struct pq_column *key =
        order->key_count > 0 ? &piece->keys[0] : &piece->rows.columns[0];
    *first = pq_column_value(key, last.row);
    return &piece->rows;
}

struct pq_row_place pq_order_place(const struct pq_order *order, size_t index) {
    const struct pq_order_ref ref = order->refs[index];
    const struct pq_order_piece *piece = &order->pieces[ref.piece];
    return (struct pq_row_place){piece->segment, piece->places[ref.row]};
}

const struct pq_batch *pq_order_row(const struct pq_order *order, size_t index, size_t *row) {
    const struct pq_order_ref ref = order->refs[index];
    *row = ref.row;
    return &order->pieces[ref.piece].rows;
}
