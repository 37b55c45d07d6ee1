#include "table/table.h"

#include "base/check.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "table/data_file.h"
#include "table/table_internal.h"
#include "variant/variant.h"

enum { evacuate_rows = PQ_CHUNK_ROWS / 4, dying_rows = PQ_CHUNK_ROWS };

// ---- catalog and snapshot -----------------------------------------------------------------

enum { catalog_item_bytes = sizeof(struct pq_segment *) + sizeof(uint64_t) };

static struct pq_catalog *catalog_create(const struct pq_alloc *alloc, size_t count) {
    struct pq_catalog *catalog =
        pq_resize(alloc, NULL, 0, sizeof *catalog + count * catalog_item_bytes, 1);
    if (catalog == NULL) return NULL;
    atomic_init(&catalog->references, 1);
    catalog->alloc = alloc;
    catalog->count = catalog->file_count = 0;  // the caller fills and counts
    catalog->capacity = count;
    return catalog;
}

static void catalog_unref(struct pq_catalog *catalog) {
    if (catalog == NULL) return;
    if (atomic_fetch_sub_explicit(&catalog->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < catalog->count; i++) pq_segment_unref(catalog->segments[i]);
    pq_free(catalog->alloc, catalog,
            sizeof *catalog + catalog->capacity * catalog_item_bytes, 1);
}

static size_t snapshot_bytes(size_t columns, size_t indexes) {
    return sizeof(struct pq_table_snapshot) + columns * sizeof(struct pq_column) +
           indexes * sizeof(struct pq_index_view);
}

struct pq_table_snapshot *pq_table_snapshot_ref(struct pq_table_snapshot *snapshot) {
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    return snapshot;
}

void pq_table_snapshot_unref(struct pq_table_snapshot *snapshot) {
    if (snapshot == NULL) return;
    if (atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1) return;
    catalog_unref(snapshot->catalog);
    pq_segment_unref(snapshot->open);
    for (size_t i = 0; i < snapshot->index_count; i++) {
        pq_row_table_unref(snapshot->indexes[i].tables[0]);
        pq_row_table_unref(snapshot->indexes[i].tables[1]);
    }
    pq_link_wishes_unref(snapshot->wishes);
    pq_free(snapshot->alloc, snapshot,
            snapshot_bytes(snapshot->column_count, snapshot->index_room), 1);
}

static void show_indexes(const struct pq_table *table, struct pq_table_snapshot *made) {
    made->wishes = pq_link_wishes_ref(table->wishes);
    made->indexes = (struct pq_index_view *)(made->columns + table->column_count);
    made->index_room = table->index_count;
    for (size_t i = 0; i < table->index_count; i++) {
        const struct pq_memory_index *index = &table->indexes[i];
        if (i > 0 && !index->is_complete) continue;
        made->indexes[made->index_count++] = (struct pq_index_view){
            .column = index->column,
            .tables = {pq_row_table_ref(index->tables[0]), pq_row_table_ref(index->tables[1])}};
    }
}

pqdb_code pq_table_publish(struct pq_table *table, pqdb_error *err) {
    const struct pq_alloc *alloc = table->options.alloc;
    const struct pq_type *type = table->options.type;
    struct pq_table_snapshot *made =
        pq_resize(alloc, NULL, 0, snapshot_bytes(table->column_count, table->index_count), 1);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a snapshot");
    *made = (struct pq_table_snapshot){.alloc = alloc, .type = type,
                                       .shreds = table->options.shreds,
                                       .marks_ids = table->options.marks_ids,
                                       .names = table->options.names,
                                       .version = table->version, .rows = table->rows,
                                       .column_count = table->column_count};
    atomic_init(&made->references, 1);
    show_indexes(table, made);
    made->catalog = table->catalog;
    atomic_fetch_add_explicit(&made->catalog->references, 1, memory_order_relaxed);
    made->open_rows = (struct pq_batch){.type = type, .count = table->open_rows,
                                        .columns = made->columns};
    if (table->open != NULL) {
        made->open = pq_segment_ref(table->open);
        // Nested columns as well are the snapshot's own: the builders go on under its readers.
        struct pq_column *nested = made->columns + type->field_count;
        for (size_t k = 0; k < type->field_count; k++) {
            made->columns[k] = pq_builder_view(&table->open_columns[k], &nested);
        }
    }
    pq_table_snapshot_unref(table->published);
    table->published = made;
    return PQDB_OK;
}

// ---- life ---------------------------------------------------------------------------------

pqdb_code pq_table_create(const struct pq_table_options *options, struct pq_table **table,
                          pqdb_error *err) {
    const struct pq_alloc *alloc = options->alloc;
    struct pq_table *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "table %.*s",
                                     PQ_TEXT_ARG(options->name));
    *made = (struct pq_table){.options = *options,
                              .column_count = pq_builder_view_room(options->type)};
    made->options.names = pq_variant_names_ref(options->names);
    made->catalog = catalog_create(alloc, 0);
    made->wishes = pq_link_wishes_create(options->type->field_count, alloc);
    if (made->catalog == NULL || made->wishes == NULL ||
        pq_table_index_create(made, 0, err) != PQDB_OK || pq_table_publish(made, err) != PQDB_OK) {
        pq_table_destroy(made);
        return pq_fail(err, PQDB_NO_MEMORY, "table %.*s", PQ_TEXT_ARG(options->name));
    }
    *table = made;
    return PQDB_OK;
}

static void drop_open(struct pq_table *table) {
    pq_segment_unref(table->open);
    pq_hold_unref(table->open_hold);
    table->open = NULL;
    table->open_hold = NULL;
    table->open_columns = NULL;
    table->open_rows = 0;
}

void pq_table_destroy(struct pq_table *table) {
    if (table == NULL) return;
    pq_table_snapshot_unref(table->published);
    drop_open(table);
    catalog_unref(table->catalog);
    pq_table_indexes_deinit(table);
    pq_link_wishes_unref(table->wishes);
    pq_variant_names_unref(table->options.names);
    pq_free(table->options.alloc, table, 1, sizeof *table);
}

// ---- the catalog changes --------------------------------------------------------------------

/// The catalog without `old` (any may be NULL) and with `fresh` in its place among its kind.
static pqdb_code change_catalog(struct pq_table *table, struct pq_segment *const *old,
                                size_t old_count, struct pq_segment *fresh, pqdb_error *err) {
    const struct pq_catalog *from = table->catalog;
    size_t kept = 0;
    struct pq_catalog *to = catalog_create(table->options.alloc,
                                           from->count + (fresh != NULL ? 1 : 0));
    if (to == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a catalog of %zu", from->count + 1);
    bool placed = fresh == NULL;
    for (size_t i = 0; i < from->count; i++) {
        struct pq_segment *segment = from->segments[i];
        bool leaves = false;
        for (size_t k = 0; k < old_count; k++) leaves = leaves || old[k] == segment;
        if (leaves) continue;
        if (!placed && fresh->kind == PQ_SEGMENT_FILE && segment->kind == PQ_SEGMENT_CHUNK) {
            to->segments[kept++] = fresh;
            placed = true;
        }
        to->segments[kept++] = pq_segment_ref(segment);
    }
    if (!placed) to->segments[kept++] = fresh;
    to->count = kept;
    for (size_t i = 0; i < kept; i++) {
        pq_catalog_first_rows(to)[i] = to->segments[i]->first_row;
        to->file_count += to->segments[i]->kind == PQ_SEGMENT_FILE;
    }
    catalog_unref(table->catalog);
    table->catalog = to;
    return PQDB_OK;
}

pqdb_code pq_table_seal(struct pq_table *table, pqdb_error *err) {
    if (table->open == NULL) return PQDB_OK;
    if (table->open_rows == 0) {
        drop_open(table);
        return PQDB_OK;
    }
    struct pq_arena *arena = &table->open_hold->arena;
    struct pq_batch rows;
    PQ_TRY(pq_builder_finish_batch(table->open_columns, table->options.type, arena, &rows, err));
    PQ_TRY(pq_hold_keep_dictionaries(table->open_hold, &rows, err));
    const pqdb_code code = change_catalog(table, NULL, 0, pq_segment_ref(table->open), err);
    if (code != PQDB_OK) {
        pq_segment_unref(table->open);
        return code;
    }
    pq_segment_seal(table->open, &rows);
    table->memory_bytes += pq_segment_bytes(table->open) - pq_batch_bytes(&rows);
    drop_open(table);
    return PQDB_OK;
}

/// Of one block: deaths of versions [from, to].
static pqdb_code carry_block(const struct pq_segment *old, size_t first,
                             const struct pq_table_carry *carry, pqdb_error *err) {
    const struct pq_deaths *deaths = pq_segment_deaths(old, first);
    if (deaths == NULL) return PQDB_OK;
    // Readers' copies are not asked: the newest one is enough, whoever puts more meanwhile.
    const uint32_t newest = atomic_load_explicit(&deaths->newest, memory_order_relaxed);
    if (old->base_version + newest - 1 < carry->from) return PQDB_OK;
    size_t at = 0, row;
    uint32_t when;
    while (pq_deaths_next(deaths, &at, &row, &when)) {
        const uint64_t version = old->base_version + when - 1;
        if (version < carry->from || version > carry->to) continue;
        const size_t to = carry->moved == NULL ? first + row : carry->moved[first + row];
        if (to == UINT32_MAX || pq_segment_is_dead(carry->fresh, to, UINT64_MAX)) continue;
        PQ_TRY(pq_segment_kill(carry->fresh, to, version, err));
    }
    return PQDB_OK;
}

pqdb_code pq_table_carry_deaths(const struct pq_segment *old, const struct pq_table_carry *carry,
                                pqdb_error *err) {
    for (size_t first = 0; first < old->rows; first += PQ_DEATH_BLOCK_ROWS) {
        PQ_TRY(carry_block(old, first, carry, err));
    }
    return PQDB_OK;
}

pqdb_code pq_table_swap(struct pq_table *table, const struct pq_table_swap *swap,
                        pqdb_error *err) {
    for (size_t k = 0; k < swap->old_count && swap->moved != NULL && swap->fresh != NULL; k++) {
        const struct pq_table_carry carry = {.moved = swap->moved[k], .fresh = swap->fresh,
                                             .from = swap->carried, .to = UINT64_MAX};
        PQ_TRY(pq_table_carry_deaths(swap->old[k], &carry, err));
    }
    size_t live_before = 0;
    for (size_t k = 0; k < swap->old_count; k++) {
        live_before += swap->old[k]->rows - swap->old[k]->dead;
    }
    const size_t live_after = swap->fresh == NULL ? 0 : swap->fresh->rows - swap->fresh->dead;
    PQ_TRY(change_catalog(table, swap->old, swap->old_count, swap->fresh, err));
    table->rows = table->rows - live_before + live_after;
    table->memory_bytes = 0;
    for (size_t i = 0; i < table->catalog->count; i++) {
        const struct pq_segment *segment = table->catalog->segments[i];
        if (segment->kind != PQ_SEGMENT_CHUNK) continue;
        table->memory_bytes += pq_segment_bytes(segment);
    }
    return pq_table_index_shrink(table, err);
}

pqdb_code pq_table_fold(struct pq_table *table, const struct pq_segment *old,
                        struct pq_segment *folded, pqdb_error *err) {
    const struct pq_table_carry carry = {.fresh = folded, .from = folded->base_version,
                                         .to = UINT64_MAX};
    PQ_TRY(pq_table_carry_deaths(old, &carry, err));
    struct pq_catalog *from = table->catalog;
    struct pq_catalog *to = catalog_create(table->options.alloc, from->count);
    if (to == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a catalog of %zu", from->count);
    for (size_t i = 0; i < from->count; i++) {
        struct pq_segment *segment = from->segments[i];
        to->segments[i] = pq_segment_ref(segment == old ? folded : segment);
        pq_catalog_first_rows(to)[i] = to->segments[i]->first_row;
    }
    to->count = from->count;
    to->file_count = from->file_count;
    catalog_unref(from);
    table->catalog = to;
    return PQDB_OK;
}

// ---- adding rows ----------------------------------------------------------------------------

static pqdb_code open_chunk(struct pq_table *table, uint64_t version, pqdb_error *err) {
    const struct pq_alloc *alloc = table->options.alloc;
    const struct pq_type *type = table->options.type;
    PQ_TRY(pq_hold_create(alloc, &table->open_hold, err));
    struct pq_arena *arena = &table->open_hold->arena;
    table->open_columns = pq_arena_calloc(arena, type->field_count, sizeof *table->open_columns);
    if (table->open_columns == NULL) {
        drop_open(table);
        return pq_fail(err, PQDB_NO_MEMORY, "an open chunk");
    }
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&table->open_columns[k], &type->fields[k].type, &arena->alloc, err));
    }
    table->open_rows = 0;
    PQ_TRY(pq_segment_create_open(PQ_CHUNK_ROWS, table->open_hold, version, alloc, &table->open,
                                  err));
    table->open->first_row = table->next_row;
    return PQDB_OK;
}

static pqdb_code copy_rows(struct pq_table *table, const struct pq_batch *rows, size_t start,
                           size_t count, uint64_t version, pqdb_error *err) {
    while (count > 0) {
        if (table->open != NULL && table->open_rows == PQ_CHUNK_ROWS) {
            PQ_TRY(pq_table_seal(table, err));
        }
        if (table->open == NULL) PQ_TRY(open_chunk(table, version, err));
        size_t take = PQ_CHUNK_ROWS - table->open_rows;
        if (take > count) take = count;
        for (size_t k = 0; k < rows->type->field_count; k++) {
            PQ_TRY(pq_builder_append_rows(&table->open_columns[k], &rows->columns[k], start, take,
                                          err));
        }
        const struct pq_index_rows fresh = {.columns = rows->columns, .start = start,
                                            .count = take, .number = table->next_row};
        PQ_TRY(pq_table_index_rows(table, &fresh, err));
        table->open_rows += take;
        table->next_row += take;
        start += take;
        count -= take;
    }
    return PQDB_OK;
}

static pqdb_code adopt_rows(struct pq_table *table, const struct pq_batch *rows,
                            struct pq_hold *hold, uint64_t version, pqdb_error *err) {
    struct pq_batch plain = *rows;
    plain.weights = NULL;
    plain.type = table->options.type;
    PQ_TRY(pq_table_seal(table, err));
    PQ_TRY(pq_hold_keep_dictionaries(hold, &plain, err));
    struct pq_segment *segment = NULL;
    PQ_TRY(pq_segment_create_chunk(&plain, hold, version, table->options.alloc, &segment, err));
    segment->first_row = table->next_row;
    const struct pq_index_rows fresh = {.columns = plain.columns, .count = plain.count,
                                        .number = table->next_row};
    pqdb_code code = pq_table_index_rows(table, &fresh, err);
    if (code == PQDB_OK) code = change_catalog(table, NULL, 0, segment, err);
    if (code != PQDB_OK) {
        pq_segment_unref(segment);
        return code;
    }
    table->next_row += plain.count;
    table->memory_bytes += pq_segment_bytes(segment);
    return PQDB_OK;
}

// ---- rows that die ----------------------------------------------------------------------------

pqdb_code pq_table_has(struct pq_table *table, struct pq_text id, bool *has, pqdb_error *err) {
    struct pq_row_place place;
    PQ_TRY(pq_table_locate_now(table, &id, 1, &place, err));
    *has = place.segment != NULL;
    return PQDB_OK;
}

/// A chunk that is mostly dead gives its last rows to the open chunk and leaves the catalog; a
/// large one in several commits, so that none of them takes long.
static pqdb_code evacuate(struct pq_table *table, struct pq_segment *segment, uint64_t version,
                          pqdb_error *err) {
    size_t moved = 0;
    for (size_t row = segment->evacuated; segment->dead < segment->rows; row++) {
        segment->evacuated = row;
        if (moved == evacuate_rows) break;
        if (pq_segment_is_dead(segment, row, UINT64_MAX)) continue;
        PQ_TRY(copy_rows(table, &segment->batch, row, 1, version, err));
        PQ_TRY(pq_segment_kill(segment, row, version, err));
        moved++;
    }
    const size_t bytes = pq_segment_bytes(segment);
    table->memory_bytes += bytes / segment->rows * moved;
    if (segment->dead < segment->rows) return PQDB_OK;
    table->memory_bytes -= bytes < table->memory_bytes ? bytes : table->memory_bytes;
    return change_catalog(table, &segment, 1, NULL, err);
}

static pqdb_code kill_rows(struct pq_table *table, const struct pq_dying *dying,
                           const struct pq_batch *delta, uint64_t version, pqdb_error *err) {
    PQ_TRY(pq_table_locate_dying(table, dying, err));
    for (size_t i = 0, row = dying->first; i < dying->count; i++, row++) {
        while (delta->weights[row] > 0) row++;
        const struct pq_row_place place = dying->places[i];
        if (place.segment == NULL || pq_segment_is_dead(place.segment, place.row, UINT64_MAX)) {
            const struct pq_text id = pq_column_text(&delta->columns[0], row);
            const pqdb_code code = pq_fail(err, PQDB_CORRUPT, "row '%.*s' should be there to go",
                                           PQ_TEXT_ARG(id));
            return pq_fail_subject(err, code, table->options.name);
        }
        PQ_TRY(pq_segment_kill(place.segment, place.row, version, err));
        table->rows--;
    }
    return PQDB_OK;
}

/// As many rows of negative weight as `dying` has room for, from its `first` on.
static size_t take_dying(const struct pq_batch *delta, size_t row, size_t room,
                         struct pq_dying *dying) {
    dying->first = row;
    dying->count = 0;
    for (; row < delta->count && dying->count < room; row++) {
        if (delta->weights[row] > 0) continue;
        dying->ids[dying->count] = (struct pq_hashed_id){
            .id = pq_column_text(&delta->columns[0], row), .index = (uint32_t)dying->count};
        dying->count++;
    }
    return row;
}

/// The rows of negative weight, some at a time.
static pqdb_code kill_dying(struct pq_table *table, const struct pq_batch *delta,
                            uint64_t version, size_t *died, pqdb_error *err) {
    enum { few = 32, item_bytes = sizeof(struct pq_hashed_id) + sizeof(struct pq_row_place) + 1 };
    const struct pq_alloc *alloc = table->options.alloc;
    *died = 0;
    for (size_t row = 0; delta->weights != NULL && row < delta->count; row++) {
        *died += delta->weights[row] <= 0;
    }
    struct pq_hashed_id ids[few];
    struct pq_row_place places[few];
    uint8_t found[few];
    struct pq_dying dying = {.ids = ids, .places = places, .found = found};
    const size_t most = *died < dying_rows ? *died : dying_rows, room = most < few ? few : most;
    if (room > few) {
        dying.ids = pq_resize(alloc, NULL, 0, room, item_bytes);
        if (dying.ids == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu rows that go", room);
        dying.places = (struct pq_row_place *)(void *)(dying.ids + room);
        dying.found = (uint8_t *)(dying.places + room);
    }
    pqdb_code code = PQDB_OK;
    for (size_t row = 0, done = 0; code == PQDB_OK && done < *died; done += dying.count) {
        row = take_dying(delta, row, room, &dying);
        code = kill_rows(table, &dying, delta, version, err);
    }
    if (room > few) pq_free(alloc, dying.ids, room, item_bytes);
    return code;
}

/// One per commit is enough to keep up: each commit can only make so many rows die.
static pqdb_code evacuate_one(struct pq_table *table, uint64_t version, pqdb_error *err) {
    for (size_t i = 0; i < table->catalog->count; i++) {
        struct pq_segment *segment = table->catalog->segments[i];
        if (segment->kind != PQ_SEGMENT_CHUNK || segment->is_frozen) continue;
        if (segment->dead * 4 < segment->rows * 3) continue;
        return evacuate(table, segment, version, err);
    }
    return PQDB_OK;
}

// ---- a delta ----------------------------------------------------------------------------------

static pqdb_code add_runs(struct pq_table *table, const struct pq_batch *delta, uint64_t version,
                          pqdb_error *err) {
    for (size_t row = 0; row < delta->count;) {
        size_t end = row;
        while (end < delta->count && (delta->weights == NULL || delta->weights[end] > 0)) end++;
        PQ_TRY(copy_rows(table, delta, row, end - row, version, err));
        row = end + 1;
    }
    return PQDB_OK;
}

pqdb_code pq_table_apply(struct pq_table *table, const struct pq_batch *delta,
                         struct pq_hold *hold, uint64_t version, pqdb_error *err) {
    pq_assert(version >= table->version);
    if (delta->count == 0) return PQDB_OK;
    size_t died;
    PQ_TRY(kill_dying(table, delta, version, &died, err));
    const size_t added = delta->count - died;
    if (died == 0 && added >= PQ_ADOPT_ROWS) {
        PQ_TRY(adopt_rows(table, delta, hold, version, err));
    } else {
        PQ_TRY(add_runs(table, delta, version, err));
        table->memory_bytes += pq_batch_bytes(delta) / delta->count * added;
    }
    table->rows += added;
    table->version = version;
    if (died > 0) PQ_TRY(evacuate_one(table, version, err));
    return pq_table_index_advance(table, added, err);
}
