#include "collection/create.h"

#include "base/fail.h"
#include "base/hash.h"

enum row_fate { ROW_COMES, ROW_DROPPED, ROW_SET_ASIDE };

struct forming {
    const struct pq_create *create;
    struct pq_arena *arena;
    struct pq_text *ids;
    uint8_t *fates;               // enum row_fate, per row
    struct pq_row_place *places;  // of the live row with its id
    size_t count;
};

static pqdb_code no_memory(const struct forming *forming, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "an index of %zu ids", forming->count);
}

static pqdb_code conflict(struct pq_text id, const char *what, pqdb_error *err) {
    pq_fail(err, PQDB_CONFLICT, "a row with $id '%.*s' %s",
            (int)(id.length < 80 ? id.length : 80), id.data, what);
    return pq_fail_subject(err, PQDB_CONFLICT, PQ_TEXT("$id"));
}

/// Ids that are in the batch twice.
static pqdb_code find_twins(struct forming *forming, pqdb_error *err) {
    size_t slot_count = 16;
    while (slot_count < forming->count * 2) slot_count *= 2;
    uint32_t *slots = pq_arena_calloc(forming->arena, slot_count, sizeof *slots);
    if (slots == NULL) return no_memory(forming, err);
    for (size_t row = 0; row < forming->count; row++) {
        const struct pq_text id = forming->ids[row];
        size_t at = (size_t)pq_hash(id.data, id.length) & (slot_count - 1);
        while (slots[at] != 0 && !pq_text_equal(forming->ids[slots[at] - 1], id)) {
            at = (at + 1) & (slot_count - 1);
        }
        if (slots[at] == 0) {
            slots[at] = (uint32_t)row + 1;
            continue;
        }
        switch (forming->create->on_conflict) {
        case PQ_CONFLICT_REFUSE: return conflict(id, "is in the batch twice", err);
        case PQ_CONFLICT_IGNORE: forming->fates[row] = ROW_DROPPED; break;
        case PQ_CONFLICT_SET_ASIDE: forming->fates[row] = ROW_SET_ASIDE; break;
        case PQ_CONFLICT_REPLACE:
            forming->fates[slots[at] - 1] = ROW_DROPPED;
            slots[at] = (uint32_t)row + 1;
            break;
        }
    }
    return PQDB_OK;
}

/// Ids that are live.
static pqdb_code find_live(struct forming *forming, pqdb_error *err) {
    PQ_TRY(pq_table_locate(forming->create->snapshot, forming->ids, forming->count,
                           forming->places, err));
    for (size_t row = 0; row < forming->count; row++) {
        if (forming->places[row].segment == NULL || forming->fates[row] != ROW_COMES) continue;
        switch (forming->create->on_conflict) {
        case PQ_CONFLICT_REFUSE:
            return conflict(forming->ids[row],
                            "is there already: update it, give another id, or choose what "
                            "happens on conflict", err);
        case PQ_CONFLICT_IGNORE: forming->fates[row] = ROW_DROPPED; break;
        case PQ_CONFLICT_SET_ASIDE: forming->fates[row] = ROW_SET_ASIDE; break;
        case PQ_CONFLICT_REPLACE: break;
        }
    }
    return PQDB_OK;
}

/// The rows of one fate, and of those that come whether they replace one.
static uint32_t *rows_of(const struct forming *forming, enum row_fate fate, size_t *count) {
    uint32_t *rows = pq_arena_alloc(forming->arena, forming->count * sizeof *rows);
    *count = 0;
    for (size_t row = 0; rows != NULL && row < forming->count; row++) {
        if (forming->fates[row] == fate) rows[(*count)++] = (uint32_t)row;
    }
    return rows;
}

static pqdb_code fetch_replaced(const struct forming *forming, const uint32_t *comes, size_t count,
                                struct pq_batch *old, pqdb_error *err) {
    struct pq_row_place *places = pq_arena_alloc(forming->arena, count * sizeof *places);
    if (places == NULL) return no_memory(forming, err);
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (forming->places[comes[i]].segment != NULL) {
            places[found++] = forming->places[comes[i]];
        }
    }
    *old = (struct pq_batch){.type = forming->create->rows->type};
    if (found == 0) return PQDB_OK;
    const struct pq_fetch asked = {.snapshot = forming->create->snapshot, .places = places,
                                   .count = found, .alloc = forming->create->alloc};
    return pq_table_fetch(&asked, forming->arena, old, err);
}

/// The numbers of a column that the gathered rows own.
static int64_t *numbers(const struct pq_batch *rows, size_t column) {
    return (int64_t *)(uintptr_t)rows->columns[column].values;
}

/// What a row that replaces another has of it, and the numbers of those that are new.
static void take_over(const struct forming *forming, const uint32_t *comes,
                      const struct pq_batch *rows, const struct pq_batch *old) {
    const struct pq_entry *entry = forming->create->entry;
    const bool has_created = !pq_entry_owns_column(entry, PQ_COLUMN_CREATED_AT);
    const bool has_version = !pq_entry_owns_column(entry, PQ_COLUMN_VERSION);
    uint64_t seq = forming->create->first_seq;
    size_t next = 0;
    for (size_t i = 0; i < rows->count; i++) {
        if (forming->places[comes[i]].segment == NULL) {
            numbers(rows, PQ_COLUMN_SEQ)[i] = (int64_t)seq++;
            continue;
        }
        numbers(rows, PQ_COLUMN_SEQ)[i] = numbers(old, PQ_COLUMN_SEQ)[next];
        if (has_created) {
            numbers(rows, PQ_COLUMN_CREATED_AT)[i] = numbers(old, PQ_COLUMN_CREATED_AT)[next];
        }
        if (has_version) {
            numbers(rows, PQ_COLUMN_VERSION)[i] = numbers(old, PQ_COLUMN_VERSION)[next] + 1;
        }
        next++;
    }
}

/// Rows that replace others first, as a log part wants them; each kind in the order of the batch.
static pqdb_code put_replacing_first(const struct forming *forming, uint32_t *comes, size_t count,
                                     pqdb_error *err) {
    uint32_t *fresh = pq_arena_alloc(forming->arena, count * sizeof *fresh);
    if (fresh == NULL) return no_memory(forming, err);
    size_t replacing = 0, left = 0;
    for (size_t i = 0; i < count; i++) {
        if (forming->places[comes[i]].segment == NULL) {
            fresh[left++] = comes[i];
        } else {
            comes[replacing++] = comes[i];
        }
    }
    if (left > 0) memcpy(comes + replacing, fresh, left * sizeof *fresh);
    return PQDB_OK;
}

static pqdb_code form_delta(const struct forming *forming, struct pq_created *created,
                            pqdb_error *err) {
    size_t count;
    uint32_t *comes = rows_of(forming, ROW_COMES, &count);
    if (comes == NULL) return no_memory(forming, err);
    if (forming->create->on_conflict == PQ_CONFLICT_REPLACE) {
        PQ_TRY(put_replacing_first(forming, comes, count, err));
    }
    struct pq_batch old, rows = *forming->create->rows;
    PQ_TRY(fetch_replaced(forming, comes, count, &old, err));
    if (count < forming->count || old.count > 0) {
        PQ_TRY(pq_batch_gather(forming->create->rows, comes, count, forming->arena, &rows, err));
    }
    if (old.count > 0) take_over(forming, comes, &rows, &old);
    created->replaced = old.count;
    created->new_rows = count - old.count;
    return pq_delta_make(&old, &rows, forming->arena, &created->delta, err);
}

pqdb_code pq_create_form(const struct pq_create *create, struct pq_arena *arena,
                         struct pq_created *created, pqdb_error *err) {
    const struct pq_column *column = &create->rows->columns[PQ_COLUMN_ID];
    struct forming forming = {.create = create, .arena = arena, .count = create->rows->count};
    forming.ids = pq_arena_alloc(arena, forming.count * sizeof *forming.ids);
    forming.fates = pq_arena_calloc(arena, forming.count, sizeof *forming.fates);
    forming.places = pq_arena_alloc(arena, forming.count * sizeof *forming.places);
    if (forming.ids == NULL || forming.fates == NULL || forming.places == NULL) {
        return no_memory(&forming, err);
    }
    for (size_t row = 0; row < forming.count; row++) {
        forming.ids[row] = pq_column_text(column, row);
    }
    *created = (struct pq_created){0};
    PQ_TRY(find_twins(&forming, err));
    PQ_TRY(find_live(&forming, err));
    created->set_aside = rows_of(&forming, ROW_SET_ASIDE, &created->set_aside_count);
    if (created->set_aside == NULL) return no_memory(&forming, err);
    return form_delta(&forming, created, err);
}
