#include "db/lookup.h"

#include "base/fail.h"
#include "db/overlay.h"
#include "flow/lookup.h"
#include "table/fetch.h"
#include "table/scan.h"

static struct pq_db_table *table_of(const struct pq_db_lookup *source, uint32_t id) {
    return source->snapshot == NULL ? pq_db_by_id(source->db, id)
                                    : pq_db_snapshot_by_id(source->snapshot, id);
}

static struct pq_table_snapshot *rows_of(const struct pq_db_lookup *source, uint32_t id) {
    struct pq_db_table *table = table_of(source, id);
    if (table == NULL) return NULL;
    if (source->held != NULL && source->held_id == id) return source->held->published;
    return source->snapshot == NULL ? table->table->published
                                    : pq_db_snapshot_rows(source->snapshot, table);
}

static bool *wanted_columns(const struct pq_lookup_want *want, const struct pq_type *type,
                            struct pq_arena *arena) {
    bool *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    for (size_t k = 0; columns != NULL && k < want->column_count; k++) {
        columns[want->columns[k]] = true;
    }
    return columns;
}

static pqdb_code fetch(const struct pq_db_lookup *source, const struct pq_lookup_want *want,
                       struct pq_fetch *places, struct pq_arena *arena, struct pq_batch *rows,
                       pqdb_error *err) {
    places->columns = wanted_columns(want, places->snapshot->type, arena);
    places->alloc = source->db->alloc;
    if (places->columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a look-up");
    return pq_table_fetch(places, arena, rows, err);
}

static pqdb_code by_id(const struct pq_db_lookup *source, struct pq_table_snapshot *snapshot,
                       const struct pq_lookup_want *want, struct pq_arena *arena,
                       struct pq_batch *rows, pqdb_error *err) {
    struct pq_row_place *places = pq_arena_alloc(arena, want->key_count * sizeof *places);
    if (places == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu look-ups", want->key_count);
    PQ_TRY(pq_table_locate(snapshot, want->keys, want->key_count, places, err));
    size_t count = 0;
    for (size_t i = 0; i < want->key_count; i++) {
        if (places[i].segment != NULL) places[count++] = places[i];
    }
    struct pq_fetch found = {.snapshot = snapshot, .places = places, .count = count};
    return fetch(source, want, &found, arena, rows, err);
}

static pqdb_code by_link(const struct pq_db_lookup *source, struct pq_table_snapshot *snapshot,
                         const struct pq_lookup_want *want, struct pq_arena *arena,
                         struct pq_batch *rows, pqdb_error *err) {
    const struct pq_linked asked = {.snapshot = snapshot, .column = want->link->path[0],
                                    .path = want->link->path + 1,
                                    .path_length = want->link->length - 1,
                                    .targets = want->keys, .count = want->key_count,
                                    .alloc = source->db->alloc};
    struct pq_row_place *places;
    size_t count;
    PQ_TRY(pq_table_linked(&asked, arena, &places, &count, err));
    struct pq_fetch found = {.snapshot = snapshot, .places = places, .count = count};
    return fetch(source, want, &found, arena, rows, err);
}

static pqdb_code rows_at(void *ctx, const struct pq_lookup_want *want, struct pq_arena *arena,
                         struct pq_batch *rows, pqdb_error *err) {
    const struct pq_db_lookup *source = ctx;
    struct pq_table_snapshot *snapshot = rows_of(source, want->table);
    *rows = (struct pq_batch){.count = 0};
    if (snapshot == NULL || want->key_count == 0) return PQDB_OK;
    PQ_TRY(want->link == NULL ? by_id(source, snapshot, want, arena, rows, err)
                              : by_link(source, snapshot, want, arena, rows, err));
    const struct pq_db_table *table = table_of(source, want->table);
    if (!pq_db_overlay_touches(source->overlay, table)) return PQDB_OK;
    const struct pq_batch found = *rows;
    if (found.count > 0) {
        PQ_TRY(pq_db_overlay_filter(source->overlay, table, &found, arena, rows, err));
    }
    return pq_db_overlay_look_up(source->overlay, table, want, arena, rows, err);
}

struct pq_lookup pq_db_lookup_of(struct pq_db_lookup *source, const struct pq_db_table *view,
                                 bool is_after) {
    return (struct pq_lookup){
        .rows_at = rows_at,
        .ctx = source,
        .names = view->root->names,  // the view's own: it may be dropped while it is asked
        .is_after = is_after,
    };
}
