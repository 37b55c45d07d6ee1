/// state/multiset.c: the pieces in memory: appended, sorted, merged, frozen, written.
#include "base/check.h"
#include "base/fail.h"
#include "state/multiset_internal.h"

enum {
    open_rows_max = 1024,         // then a piece is sorted: it is still in the nearest cache
    open_bytes_max = 128 << 10,
    merge_pieces = 8,
    tier_bits = 3,
    first_tier_rows = 128,
    merged_bytes_max = 1 << 30,  // of keys in one piece
};

pqdb_code multiset_create(const struct pq_alloc *alloc, struct pq_multiset **multiset,
                          pqdb_error *err) {
    struct pq_multiset *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a multiset");
    *made = (struct pq_multiset){.alloc = alloc};
    pq_bytes_init(&made->room, alloc);
    pq_bytes_init(&made->key, alloc);
    *multiset = made;
    return PQDB_OK;
}

static void destroy_piece(struct pq_multiset *multiset, struct pq_multiset_piece *piece) {
    weighted_deinit(&piece->rows);
    pq_free(multiset->alloc, piece, 1, sizeof *piece);
}

void multiset_destroy(struct pq_multiset *multiset) {
    if (multiset == NULL) return;
    while (multiset->pieces != NULL) {
        struct pq_multiset_piece *piece = multiset->pieces;
        multiset->pieces = piece->older;
        destroy_piece(multiset, piece);
    }
    for (size_t i = 0; i < multiset->source_count; i++) {
        weighted_deinit(&multiset->sources[i].block_rows);
    }
    pq_free(multiset->alloc, multiset->sources, multiset->source_count,
            sizeof *multiset->sources);
    pq_bytes_deinit(&multiset->room);
    pq_bytes_deinit(&multiset->key);
    pq_free(multiset->alloc, multiset, 1, sizeof *multiset);
}

size_t multiset_bytes(const struct pq_multiset *multiset) {
    if (multiset == NULL) return 0;
    size_t bytes = sizeof *multiset + multiset->room.capacity + multiset->key.capacity;
    for (const struct pq_multiset_piece *piece = multiset->pieces; piece != NULL;
         piece = piece->older) {
        bytes += sizeof *piece + weighted_bytes(&piece->rows);
    }
    for (size_t i = 0; i < multiset->source_count; i++) {
        bytes += sizeof *multiset->sources + weighted_bytes(&multiset->sources[i].block_rows);
    }
    return bytes;
}

// ---- merging ----------------------------------------------------------------------------------

static unsigned tier_of(const struct pq_multiset_piece *piece) {
    unsigned tier = 0;
    for (size_t rows = first_tier_rows; piece->rows.count > rows; rows <<= tier_bits) tier++;
    return tier;
}

static pqdb_code push_row(void *ctx, const struct pq_run_row *row, pqdb_error *err) {
    struct weighted_rows *rows = ctx;
    const size_t start = rows->keys.length;
    PQ_TRY(pq_bytes_append_text(&rows->keys, row->key, err));
    return weighted_push(rows, row->hash, start, row->weight, err);
}

static pqdb_code add_piece(struct pq_multiset *multiset, uint32_t epoch,
                           struct pq_multiset_piece **piece, pqdb_error *err) {
    struct pq_multiset_piece *made = pq_resize(multiset->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a piece of a multiset");
    *made = (struct pq_multiset_piece){.older = multiset->pieces, .epoch = epoch};
    weighted_init(&made->rows, multiset->alloc);
    multiset->pieces = made;
    *piece = made;
    return PQDB_OK;
}

/// Pieces of this epoch in the tier, newest first, at most `merge_pieces`.
static size_t pieces_of_tier(const struct pq_multiset *multiset, uint32_t epoch, unsigned tier,
                             const struct weighted_rows *found[merge_pieces]) {
    size_t count = 0, bytes = 0;
    for (const struct pq_multiset_piece *piece = multiset->pieces;
         piece != NULL && piece->epoch == epoch && count < merge_pieces; piece = piece->older) {
        if (!piece->rows.is_sorted || tier_of(piece) != tier) continue;
        bytes += piece->rows.keys.length;
        found[count++] = &piece->rows;
    }
    return bytes > merged_bytes_max ? 0 : count;
}

static void drop_pieces(struct pq_multiset *multiset, const struct weighted_rows *const *gone,
                        size_t count) {
    struct pq_multiset_piece **link = &multiset->pieces;
    while (*link != NULL) {
        struct pq_multiset_piece *piece = *link;
        bool is_gone = false;
        for (size_t i = 0; i < count; i++) is_gone |= gone[i] == &piece->rows;
        if (is_gone) {
            *link = piece->older;
            destroy_piece(multiset, piece);
        } else {
            link = &piece->older;
        }
    }
}

/// While a tier has eight pieces of this epoch, they become one.
static pqdb_code merge_tiers(struct pq_multiset *multiset, uint32_t epoch, unsigned tier,
                             pqdb_error *err) {
    const struct weighted_rows *found[merge_pieces];
    while (pieces_of_tier(multiset, epoch, tier, found) == merge_pieces) {
        struct pq_multiset_piece *merged;
        PQ_TRY(add_piece(multiset, epoch, &merged, err));
        const pqdb_code code = weighted_merge_each(found, merge_pieces, multiset->alloc, push_row,
                                                   &merged->rows, err);
        if (code != PQDB_OK) {
            multiset->pieces = merged->older;
            destroy_piece(multiset, merged);
            return code;
        }
        drop_pieces(multiset, found, merge_pieces);
        const unsigned next = tier_of(merged);
        if (merged->rows.count == 0) {
            multiset->pieces = merged->older;
            destroy_piece(multiset, merged);
        }
        tier = next;
    }
    return PQDB_OK;
}

pqdb_code multiset_sort(struct pq_multiset *multiset, uint32_t epoch, pqdb_error *err) {
    struct pq_multiset_piece *open = multiset->pieces;
    if (open == NULL || open->rows.is_sorted) return PQDB_OK;
    weighted_sort(&open->rows);
    weighted_shrink(&open->rows);
    const unsigned tier = tier_of(open);
    if (open->rows.count == 0) {
        multiset->pieces = open->older;
        destroy_piece(multiset, open);
        return PQDB_OK;
    }
    return merge_tiers(multiset, epoch, tier, err);
}

pqdb_code multiset_take(struct pq_multiset *multiset, uint32_t epoch, struct weighted_rows *rows,
                        pqdb_error *err) {
    struct pq_multiset_piece *piece;
    if (rows->count == 0) return PQDB_OK;
    PQ_TRY(add_piece(multiset, epoch, &piece, err));
    piece->rows = *rows;
    weighted_init(rows, multiset->alloc);
    return merge_tiers(multiset, epoch, tier_of(piece), err);
}

// ---- adding -----------------------------------------------------------------------------------

pqdb_code pq_multiset_add(struct pq_trace *trace, const struct pq_multiset_place *place,
                          int64_t weight, pqdb_error *err) {
    pq_assert(trace->kind == PQ_TRACE_WEIGHTS_ADD);
    if (trace->multiset == NULL) PQ_TRY(multiset_create(trace->alloc, &trace->multiset, err));
    struct pq_multiset *multiset = trace->multiset;
    struct pq_multiset_piece *open = multiset->pieces;
    if (open == NULL || open->rows.is_sorted) {
        PQ_TRY(add_piece(multiset, trace->epoch, &open, err));
        open->rows.is_sorted = false;
    }
    struct weighted_rows *rows = &open->rows;
    const size_t start = rows->keys.length;
    PQ_TRY(pq_bytes_append_text(&rows->keys, place->group, err));
    PQ_TRY(pq_bytes_append_text(&rows->keys, place->value, err));
    PQ_TRY(weighted_push(rows, place->hash, start, weight, err));
    if (rows->count < open_rows_max && rows->keys.length < open_bytes_max) return PQDB_OK;
    return multiset_sort(multiset, trace->epoch, err);
}

// ---- checkpoints ------------------------------------------------------------------------------

struct piece_list {
    const struct weighted_rows **rows;
    size_t count, total;
};

static pqdb_code list_pieces(const struct pq_trace_frozen *frozen, const struct pq_alloc *alloc,
                             struct piece_list *list, pqdb_error *err) {
    *list = (struct piece_list){NULL, 0, 0};
    for (const struct pq_multiset_piece *piece = frozen->pieces; piece != NULL;
         piece = piece->older) {
        list->count++;
        list->total += piece->rows.count;
    }
    list->rows = pq_resize(alloc, NULL, 0, list->count + 1, sizeof(struct weighted_rows *));
    if (list->rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu pieces", list->count);
    size_t i = 0;
    for (const struct pq_multiset_piece *piece = frozen->pieces; piece != NULL;
         piece = piece->older) {
        list->rows[i++] = &piece->rows;
    }
    return PQDB_OK;
}

struct writing {
    struct pq_run_writer *writer;
    const struct pq_run_place *place;
    uint64_t rows_max;
};

static pqdb_code write_row(void *ctx, const struct pq_run_row *row, pqdb_error *err) {
    struct writing *writing = ctx;
    if (writing->writer == NULL) {
        PQ_TRY(pq_run_writer_create(writing->place, PQ_TRACE_WEIGHTS_ADD, writing->rows_max,
                                    &writing->writer, err));
    }
    return pq_run_writer_append(writing->writer, row, err);
}

pqdb_code multiset_write(const struct pq_trace_frozen *frozen, const struct pq_run_place *place,
                         struct pq_run_name *name, pqdb_error *err) {
    struct piece_list list;
    struct writing writing = {.place = place};
    pqdb_code code;
    PQ_TRY(list_pieces(frozen, place->alloc, &list, err));
    writing.rows_max = list.total;
    PQ_GO(weighted_merge_each(list.rows, list.count, place->alloc, write_row, &writing, err));
    if (writing.writer != NULL) PQ_GO(pq_run_writer_finish(writing.writer, name, err));
done:
    pq_run_writer_destroy(writing.writer);
    pq_free(place->alloc, list.rows, list.count + 1, sizeof(struct weighted_rows *));
    return code;
}

void multiset_drop(struct pq_multiset *multiset, uint32_t epoch) {
    struct pq_multiset_piece **link = &multiset->pieces;
    while (*link != NULL && (*link)->epoch > epoch) link = &(*link)->older;
    struct pq_multiset_piece *gone = *link;
    *link = NULL;
    while (gone != NULL) {
        struct pq_multiset_piece *older = gone->older;
        destroy_piece(multiset, gone);
        gone = older;
    }
}
