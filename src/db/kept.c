/// db/kept.c: see kept.h.
#include "db/kept.h"

#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "table/fetch.h"

bool pq_db_is_kept(const struct pq_db_table *table, const struct pq_db_facts *facts) {
    return table->view != NULL && table->entry->retention_keeps && facts->kept;
}

bool pq_db_dies_of(const struct pq_db_table *table, pqdb_code code) {
    return (code == PQDB_IO || code == PQDB_NO_MEMORY) && pq_db_is_kept(table, &table->facts);
}

bool pq_db_reads_kept(const pqdb_db *db, const struct pq_db_table *table) {
    for (const struct pq_view *up = table->view->upstream; up != NULL; up = up->upstream) {
        const struct pq_db_table *below = pq_db_by_id(db, up->table);
        if (below->entry->retention_keeps || up->mode == PQ_VIEW_APPENDING) return true;
    }
    return false;
}

pqdb_code pq_db_refuse_loss(const struct pq_db_table *table, const char *why, pqdb_error *err) {
    pq_fail(err, PQDB_INVALID, "it keeps what came of rows that are gone by $retention; to compute "
            "it anew (%s) would lose that, so it takes --full --discard", why);
    return pq_fail_subject(err, PQDB_INVALID, table->entry->name);
}

void pq_db_note_forgotten(pqdb_db *db, const struct pq_db_table *collection) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        struct pq_db_table *table = tables->at[i];
        if (table->view == NULL || table->root != collection) continue;
        const bool has_contents = !table->facts.unbuilt &&
                                  (pq_db_pace(table) == PQ_ROOT_BY_COMMITS ||
                                   !pq_db_is_new(&table->facts));
        if (table->entry->retention_keeps && has_contents) table->facts.kept = true;
    }
}

// ---- ids that come again ----------------------------------------------------------------------

/// What a batch does to one id.
struct change {
    uint32_t row;   // the last that comes
    bool comes, goes;
};

struct changes {
    const struct pq_batch *rows;
    uint32_t *slots;  // row + 1 of the first with the id
    size_t slot_count;
    struct change *of;  // by that row
};

static uint32_t *slot_of(const struct changes *changes, uint32_t row) {
    const struct pq_column *ids = &changes->rows->columns[PQ_ID_COLUMN];
    const struct pq_text id = pq_column_text(ids, row);
    size_t at = (size_t)pq_hash(id.data, id.length) & (changes->slot_count - 1);
    for (; changes->slots[at] != 0; at = (at + 1) & (changes->slot_count - 1)) {
        if (pq_text_equal(pq_column_text(ids, changes->slots[at] - 1), id)) break;
    }
    return &changes->slots[at];
}

static pqdb_code find_changes(const struct pq_batch *rows, struct pq_arena *arena,
                              struct changes *changes, pqdb_error *err) {
    changes->rows = rows;
    changes->slot_count = 16;
    while (changes->slot_count < rows->count * 2) changes->slot_count *= 2;
    changes->slots = pq_arena_calloc(arena, changes->slot_count, sizeof *changes->slots);
    changes->of = pq_arena_calloc(arena, rows->count + 1, sizeof *changes->of);
    if (changes->slots == NULL || changes->of == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a step");
    }
    for (uint32_t row = 0; row < rows->count; row++) {
        uint32_t *slot = slot_of(changes, row);
        if (*slot == 0) *slot = row + 1;
        struct change *change = &changes->of[*slot - 1];
        if (rows->weights != NULL && rows->weights[row] < 0) {
            change->goes = true;
        } else {
            change->comes = true;
            change->row = row;
        }
    }
    return PQDB_OK;
}

/// The stored rows under ids that come without going; `*stays` says which rows of the batch do.
static pqdb_code find_again(struct pq_table *table, const struct changes *changes, bool *stays,
                            struct pq_arena *arena, struct pq_batch *again, pqdb_error *err) {
    const struct pq_batch *rows = changes->rows;
    struct pq_text *ids = pq_arena_calloc(arena, rows->count + 1, sizeof *ids);
    struct pq_row_place *places = pq_arena_calloc(arena, rows->count + 1, sizeof *places);
    if (ids == NULL || places == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a step");
    size_t count = 0, found = 0;
    for (uint32_t row = 0; row < rows->count; row++) {
        const struct change *change = &changes->of[*slot_of(changes, row) - 1];
        const bool goes = rows->weights != NULL && rows->weights[row] < 0;
        stays[row] = goes || change->row == row;
        if (!goes && stays[row] && !change->goes) {
            ids[count++] = pq_column_text(&rows->columns[PQ_ID_COLUMN], row);
        }
    }
    *again = (struct pq_batch){.count = 0};
    PQ_TRY(pq_table_locate(table->published, ids, count, places, err));
    for (size_t i = 0; i < count; i++) {
        if (places[i].segment != NULL) places[found++] = places[i];
    }
    if (found == 0) return PQDB_OK;
    const struct pq_fetch fetch = {.snapshot = table->published, .places = places,
                                   .count = found, .alloc = table->options.alloc};
    return pq_table_fetch(&fetch, arena, again, err);
}

/// `again` goes, then the rows that stay.
static pqdb_code join(const struct pq_batch *again, const bool *stays, struct pq_arena *arena,
                      struct pq_batch *rows, pqdb_error *err) {
    const struct pq_type *type = rows->type;
    struct pq_builder *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    int64_t *weights = pq_arena_alloc(arena, (again->count + rows->count + 1) * sizeof *weights);
    if (columns == NULL || weights == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a step");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &arena->alloc, err));
        if (again->count == 0) continue;
        PQ_TRY(pq_builder_append_rows(&columns[k], &again->columns[k], 0, again->count, err));
    }
    size_t count = 0;
    while (count < again->count) weights[count++] = -1;
    for (size_t row = 0; row < rows->count; row++) {
        if (!stays[row]) continue;
        for (size_t k = 0; k < type->field_count; k++) {
            PQ_TRY(pq_builder_append_rows(&columns[k], &rows->columns[k], row, 1, err));
        }
        weights[count++] = rows->weights == NULL ? 1 : rows->weights[row];
    }
    PQ_TRY(pq_builder_finish_batch(columns, type, arena, rows, err));
    rows->weights = weights;
    return PQDB_OK;
}

pqdb_code pq_db_complete_kept(const struct pq_db_table *view, struct pq_table *table,
                              struct pq_batch *rows, struct pq_arena *arena, pqdb_error *err) {
    struct changes changes;
    struct pq_batch again;
    if (view->view->grouped || rows->count == 0) return PQDB_OK;
    PQ_TRY(find_changes(rows, arena, &changes, err));
    bool *stays = pq_arena_calloc(arena, rows->count, sizeof *stays);
    if (stays == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a step");
    PQ_TRY(find_again(table, &changes, stays, arena, &again, err));
    bool all_stay = again.count == 0;
    for (size_t row = 0; all_stay && row < rows->count; row++) all_stay = stays[row];
    return all_stay ? PQDB_OK : join(&again, stays, arena, rows, err);
}

pqdb_code pq_db_complete_streaming(void *view, struct pq_batch *rows, struct pq_arena *arena,
                                   pqdb_error *err) {
    const struct pq_db_table *table = view;
    return pq_db_complete_kept(table, table->table, rows, arena, err);
}
