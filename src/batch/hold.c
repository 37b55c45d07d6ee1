#include "batch/hold.h"

#include "base/fail.h"
#include "batch/dictionary.h"

struct pq_hold_link {
    struct pq_hold_link *next;
    const struct pq_dictionary *dictionary;  // referenced
};

pqdb_code pq_hold_create(const struct pq_alloc *alloc, struct pq_hold **hold, pqdb_error *err) {
    struct pq_hold *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a batch's memory");
    made->alloc = alloc;
    made->links = NULL;
    atomic_init(&made->references, 1);
    pq_arena_init(&made->arena, alloc);
    *hold = made;
    return PQDB_OK;
}

struct pq_hold *pq_hold_ref(struct pq_hold *hold) {
    atomic_fetch_add_explicit(&hold->references, 1, memory_order_relaxed);
    return hold;
}

static void drop_links(struct pq_hold *hold) {
    for (struct pq_hold_link *link = hold->links; link != NULL; link = link->next) {
        pq_dictionary_unref(link->dictionary);
    }
    hold->links = NULL;
}

void pq_hold_unref(struct pq_hold *hold) {
    if (hold == NULL) return;
    if (atomic_fetch_sub_explicit(&hold->references, 1, memory_order_acq_rel) != 1) return;
    drop_links(hold);
    pq_arena_deinit(&hold->arena);
    pq_free(hold->alloc, hold, 1, sizeof *hold);
}

bool pq_hold_is_alone(const struct pq_hold *hold) {
    return atomic_load_explicit(&hold->references, memory_order_acquire) == 1;
}

void pq_hold_reset(struct pq_hold *hold) {
    drop_links(hold);
    pq_arena_reset(&hold->arena);
}

static pqdb_code add_link(struct pq_hold *hold, struct pq_hold_link link, pqdb_error *err) {
    struct pq_hold_link *made = pq_arena_alloc(&hold->arena, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a link between batches");
    *made = link;
    made->next = hold->links;
    hold->links = made;
    return PQDB_OK;
}

static bool keeps_dictionary(const struct pq_hold *hold, const struct pq_dictionary *dictionary) {
    for (const struct pq_hold_link *link = hold->links; link != NULL; link = link->next) {
        if (link->dictionary == dictionary) return true;
    }
    return false;
}

static pqdb_code keep_column(struct pq_hold *hold, const struct pq_column *column,
                             pqdb_error *err) {
    if (column->dictionary != NULL && !keeps_dictionary(hold, column->dictionary)) {
        PQ_TRY(add_link(hold, (struct pq_hold_link){.dictionary = column->dictionary}, err));
        pq_dictionary_ref(column->dictionary);
    }
    if (column->children == NULL) return PQDB_OK;
    const size_t count = column->layout == PQ_ROWS ? 1 : column->type->field_count;
    for (size_t k = 0; k < count; k++) PQ_TRY(keep_column(hold, &column->children[k], err));
    return PQDB_OK;
}

pqdb_code pq_hold_keep_dictionaries(struct pq_hold *hold, const struct pq_batch *batch,
                                    pqdb_error *err) {
    for (size_t k = 0; k < batch->type->field_count; k++) {
        PQ_TRY(keep_column(hold, &batch->columns[k], err));
    }
    return PQDB_OK;
}

/// A dictionary whose memory is somebody's arena (decoded from the log, say) cannot be kept by a
/// reference: it is copied, entry by entry under the same codes.
static pqdb_code own_dictionary(struct pq_hold *hold, struct pq_column *column, pqdb_error *err) {
    const struct pq_dictionary *from = column->dictionary;
    struct pq_dictionary *made;
    PQ_TRY(pq_dictionary_create(from->count, from->offsets[from->count], hold->alloc, &made, err));
    for (uint32_t code = 0; code < from->count; code++) {
        if (pq_dictionary_code(made, pq_dictionary_text(from, code)) == code) continue;
        pq_dictionary_unref(made);
        return pq_fail(err, PQDB_NO_MEMORY, "a dictionary of %u entries", from->count);
    }
    const pqdb_code code = add_link(hold, (struct pq_hold_link){.dictionary = made}, err);
    if (code != PQDB_OK) pq_dictionary_unref(made);
    if (code == PQDB_OK) column->dictionary = made;
    return code;
}

static pqdb_code own_dictionaries(struct pq_hold *hold, struct pq_column *columns, size_t count,
                                  pqdb_error *err) {
    for (size_t k = 0; k < count; k++) {
        struct pq_column *column = &columns[k];
        if (column->dictionary != NULL && column->dictionary->alloc != hold->alloc) {
            PQ_TRY(own_dictionary(hold, column, err));
        }
        if (column->children == NULL) continue;
        struct pq_column *children = (struct pq_column *)(uintptr_t)column->children;
        const size_t nested = column->layout == PQ_ROWS ? 1 : column->type->field_count;
        PQ_TRY(own_dictionaries(hold, children, nested, err));
    }
    return PQDB_OK;
}

pqdb_code pq_hold_copy(const struct pq_batch *batch, const struct pq_alloc *alloc,
                       struct pq_hold **hold, struct pq_batch *copy, pqdb_error *err) {
    struct pq_hold *made;
    PQ_TRY(pq_hold_create(alloc, &made, err));
    pqdb_code code = PQDB_OK;
    uint32_t *rows = pq_resize(alloc, NULL, 0, batch->count + 1, sizeof *rows);
    if (rows == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "a copy of %zu rows", batch->count);
        goto done;
    }
    for (size_t i = 0; i < batch->count; i++) rows[i] = (uint32_t)i;
    PQ_GO(pq_batch_gather(batch, rows, batch->count, &made->arena, copy, err));
    // The columns were made by the gathering, in our arena.
    PQ_GO(own_dictionaries(made, (struct pq_column *)(uintptr_t)copy->columns,
                           batch->type->field_count, err));
    PQ_GO(pq_hold_keep_dictionaries(made, copy, err));
    *hold = made;
done:
    pq_free(alloc, rows, rows == NULL ? 0 : batch->count + 1, sizeof *rows);
    if (code != PQDB_OK) pq_hold_unref(made);
    return code;
}
