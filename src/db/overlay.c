/// db/overlay.c: see overlay.h.
#include "db/overlay.h"

#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "db/schema_change.h"

/// A row that changes somewhere between: what it is at the moment.
struct image {
    struct pq_text id;
    const struct pq_batch *batch;  // NULL: there is no such row
    uint32_t row;
};

struct seen {
    struct seen *next;
    const struct pq_db_table *table;
    struct image *images;
    uint32_t *slots;  // image + 1
    size_t count, capacity, slot_count;
};

struct commit {
    struct commit *next;
    struct pq_hold *hold;  // owned: the memory of its rows
    struct pq_db_overlay_commit shown;
};

struct pq_db_overlay {
    pqdb_db *db;
    const struct pq_db_overlay_range *range;  // while it is made
    struct pq_arena arena;
    struct commit *first, **end, *at;
    struct seen *tables;
};

static struct seen *find_table(const struct pq_db_overlay *overlay,
                               const struct pq_db_table *table) {
    for (struct seen *at = overlay->tables; at != NULL; at = at->next) {
        if (at->table == table) return at;
    }
    return NULL;
}

static uint32_t *slot_of(const struct seen *seen, struct pq_text id) {
    size_t at = (size_t)pq_hash(id.data, id.length) & (seen->slot_count - 1);
    while (seen->slots[at] != 0 && !pq_text_equal(seen->images[seen->slots[at] - 1].id, id)) {
        at = (at + 1) & (seen->slot_count - 1);
    }
    return &seen->slots[at];
}

static struct image *find_image(const struct seen *seen, struct pq_text id) {
    if (seen->slot_count == 0) return NULL;
    const uint32_t slot = *slot_of(seen, id);
    return slot == 0 ? NULL : &seen->images[slot - 1];
}

// ---- made of ----------------------------------------------------------------------------------

static pqdb_code grow(struct pq_db_overlay *overlay, struct seen *seen, pqdb_error *err) {
    const size_t capacity = seen->capacity == 0 ? 64 : seen->capacity * 2;
    struct image *images = pq_arena_alloc(&overlay->arena, capacity * sizeof *images);
    uint32_t *slots = pq_arena_calloc(&overlay->arena, capacity * 2, sizeof *slots);
    if (images == NULL || slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    for (size_t i = 0; i < seen->count; i++) images[i] = seen->images[i];
    seen->images = images;
    seen->slots = slots;
    seen->capacity = capacity;
    seen->slot_count = capacity * 2;
    for (size_t i = 0; i < seen->count; i++) {
        *slot_of(seen, images[i].id) = (uint32_t)i + 1;
    }
    return PQDB_OK;
}

/// The first time that a row is met tells what it was before: the row that is taken back, or none.
static pqdb_code meet_rows(struct pq_db_overlay *overlay, const struct pq_db_part_rows *part,
                           pqdb_error *err) {
    struct seen *seen = find_table(overlay, part->table);
    if (seen == NULL) {
        seen = pq_arena_calloc(&overlay->arena, 1, sizeof *seen);
        if (seen == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
        *seen = (struct seen){.next = overlay->tables, .table = part->table};
        overlay->tables = seen;
    }
    const struct pq_batch *rows = &part->rows;
    for (uint32_t row = 0; row < rows->count; row++) {
        const struct pq_text id = pq_column_text(&rows->columns[PQ_COLUMN_ID], row);
        if (find_image(seen, id) != NULL) continue;
        if (seen->count == seen->capacity) PQ_TRY(grow(overlay, seen, err));
        const bool goes = rows->weights != NULL && rows->weights[row] < 0;
        uint32_t *slot = slot_of(seen, id);
        seen->images[seen->count] =
            (struct image){.id = id, .batch = goes ? rows : NULL, .row = row};
        *slot = (uint32_t)++seen->count;
    }
    return PQDB_OK;
}

/// A copy without dictionaries: those of a record are the reader's.
static pqdb_code keep_part(struct commit *commit, const struct pq_log_rows *rows,
                           struct pq_db_part_rows *part, pqdb_error *err) {
    struct pq_arena *arena = &commit->hold->arena;
    const struct pq_type *type = rows->batch.type;
    const size_t count = rows->batch.count;
    struct pq_builder *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    int64_t *weights = pq_arena_alloc(arena, (count + 1) * sizeof *weights);
    if (columns == NULL || weights == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &arena->alloc, err));
        PQ_TRY(pq_builder_append_rows(&columns[k], &rows->batch.columns[k], 0, count, err));
    }
    PQ_TRY(pq_builder_finish_batch(columns, type, arena, &part->rows, err));
    for (size_t row = 0; row < count && rows->batch.weights != NULL; row++) {
        weights[row] = rows->batch.weights[row];
    }
    part->rows.weights = rows->batch.weights == NULL ? NULL : weights;
    return PQDB_OK;
}

static pqdb_code keep_commit(struct pq_db_overlay *overlay, const struct pq_log_record *record,
                             pqdb_error *err) {
    struct commit *commit = pq_arena_calloc(&overlay->arena, 1, sizeof *commit);
    if (commit == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    PQ_TRY(pq_hold_create(overlay->db->alloc, &commit->hold, err));
    *overlay->end = commit;
    overlay->end = &commit->next;
    struct pq_db_part_rows *parts =
        pq_arena_calloc(&commit->hold->arena, record->rows_count + 1, sizeof *parts);
    if (parts == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    commit->shown = (struct pq_db_overlay_commit){
        .version = record->version, .time_us = record->time_us, .parts = parts,
        .forgets = record->kind == PQ_LOG_RETENTION};
    for (size_t i = 0; i < record->rows_count; i++) {
        const struct pq_log_rows *rows = &record->rows[i];
        const struct pq_db_table *table =
            pq_db_snapshot_by_id(overlay->range->snapshot, rows->collection);
        if (table == NULL || rows->batch.type == NULL || rows->batch.count == 0) continue;
        struct pq_db_part_rows *part = &parts[commit->shown.part_count];
        part->table = table;
        PQ_TRY(keep_part(commit, rows, part, err));
        PQ_TRY(meet_rows(overlay, part, err));
        commit->shown.part_count++;
    }
    return PQDB_OK;
}

static const struct pq_type *wanted_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    const struct pq_db_overlay *overlay = ctx;
    const struct pq_db_table *table = pq_db_snapshot_by_id(overlay->range->snapshot, collection);
    if (table == NULL || !overlay->range->wants(overlay->range->ctx, table)) return NULL;
    return pq_db_log_type(table, schema_id);
}

static const struct pq_type *type_now(void *ctx, uint32_t collection) {
    const struct pq_db_overlay *overlay = ctx;
    const struct pq_db_table *table = pq_db_snapshot_by_id(overlay->range->snapshot, collection);
    return table == NULL ? NULL : pq_db_rows_type(table);
}

static struct pq_variant_names *names(void *ctx, uint32_t collection) {
    const struct pq_db_overlay *overlay = ctx;
    const struct pq_db_table *table = pq_db_snapshot_by_id(overlay->range->snapshot, collection);
    return table == NULL ? NULL : table->names;
}

static pqdb_code read_log(struct pq_db_overlay *overlay, pqdb_error *err) {
    const struct pq_db_overlay_range *range = overlay->range;
    const struct pq_log_schemas schemas = {.type = wanted_type, .wanted = type_now,
                                           .names = names, .ctx = overlay};
    struct pq_log_reader *reader;
    PQ_TRY(pq_log_reader_open(overlay->db->log, range->from + 1, &schemas, &reader, err));
    pqdb_code code;
    for (;;) {
        const struct pq_log_record *record;
        PQ_GO(pq_log_reader_next(reader, &record, err));
        if (record == NULL || record->version > range->to) break;
        PQ_GO(keep_commit(overlay, record, err));
    }
done:
    pq_log_reader_close(reader);
    return code;
}

pqdb_code pq_db_overlay_create(pqdb_db *db, const struct pq_db_overlay_range *range,
                               struct pq_db_overlay **overlay, pqdb_error *err) {
    struct pq_db_overlay *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    *made = (struct pq_db_overlay){.db = db, .range = range};
    made->end = &made->first;
    pq_arena_init(&made->arena, db->alloc);
    const pqdb_code code = range->to > range->from ? read_log(made, err) : PQDB_OK;
    made->range = NULL;
    made->at = made->first;
    if (code == PQDB_OK) *overlay = made;
    if (code != PQDB_OK) pq_db_overlay_destroy(made);
    return code;
}

void pq_db_overlay_destroy(struct pq_db_overlay *overlay) {
    if (overlay == NULL) return;
    for (struct commit *at = overlay->first; at != NULL; at = at->next) pq_hold_unref(at->hold);
    pq_arena_deinit(&overlay->arena);
    pq_free(overlay->db->alloc, overlay, 1, sizeof *overlay);
}

// ---- as it is now -----------------------------------------------------------------------------

const struct pq_db_overlay_commit *pq_db_overlay_next(const struct pq_db_overlay *overlay) {
    return overlay->at == NULL ? NULL : &overlay->at->shown;
}

static void apply_part(struct pq_db_overlay *overlay, const struct pq_db_part_rows *part) {
    const struct seen *seen = find_table(overlay, part->table);
    const struct pq_batch *rows = &part->rows;
    for (uint32_t row = 0; row < rows->count; row++) {
        struct image *image = find_image(seen, pq_column_text(&rows->columns[PQ_COLUMN_ID], row));
        const bool goes = rows->weights != NULL && rows->weights[row] < 0;
        image->batch = goes ? NULL : rows;
        image->row = row;
    }
}

void pq_db_overlay_apply(struct pq_db_overlay *overlay) {
    const struct pq_db_overlay_commit *commit = &overlay->at->shown;
    for (size_t i = 0; i < commit->part_count; i++) apply_part(overlay, &commit->parts[i]);
    overlay->at = overlay->at->next;
}

bool pq_db_overlay_touches(const struct pq_db_overlay *overlay, const struct pq_db_table *table) {
    return overlay != NULL && find_table(overlay, table) != NULL;
}

pqdb_code pq_db_overlay_filter(const struct pq_db_overlay *overlay,
                               const struct pq_db_table *table, const struct pq_batch *rows,
                               struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    const struct seen *seen = find_table(overlay, table);
    uint32_t *kept = pq_arena_alloc(arena, (rows->count + 1) * sizeof *kept);
    if (kept == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    size_t count = 0;
    for (uint32_t row = 0; row < rows->count; row++) {
        const struct pq_text id = pq_column_text(&rows->columns[PQ_COLUMN_ID], row);
        if (find_image(seen, id) == NULL) kept[count++] = row;
    }
    if (count < rows->count) return pq_batch_gather(rows, kept, count, arena, out, err);
    *out = *rows;
    return PQDB_OK;
}

/// Images come in the order in which their rows were met, so those of one batch stand together.
pqdb_code pq_db_overlay_each(const struct pq_db_overlay *overlay,
                             const struct pq_db_table *table,
                             pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                               pqdb_error *err),
                             void *taker, pqdb_error *err) {
    const struct seen *seen = find_table(overlay, table);
    struct pq_arena arena;
    pq_arena_init(&arena, overlay->db->alloc);
    pqdb_code code = PQDB_OK;
    uint32_t *rows = pq_resize(overlay->db->alloc, NULL, 0, seen->count + 1, sizeof *rows);
    if (rows == NULL) PQ_GO(pq_fail(err, PQDB_NO_MEMORY, "a scan"));
    for (size_t i = 0; i < seen->count;) {
        const struct pq_batch *batch = seen->images[i].batch;
        size_t count = 0;
        for (; i < seen->count && seen->images[i].batch == batch; i++) {
            rows[count++] = seen->images[i].row;
        }
        if (batch == NULL) continue;
        struct pq_batch out;
        pq_arena_reset(&arena);
        PQ_GO(pq_batch_gather(batch, rows, count, &arena, &out, err));
        out.weights = NULL;
        PQ_GO(take(taker, &out, err));
    }
done:
    pq_free(overlay->db->alloc, rows, seen->count + 1, sizeof *rows);
    pq_arena_deinit(&arena);
    return code;
}

// ---- look-ups ---------------------------------------------------------------------------------

static bool is_key(const struct pq_lookup_want *want, struct pq_text text) {
    for (size_t i = 0; i < want->key_count; i++) {
        if (pq_text_equal(want->keys[i], text)) return true;
    }
    return false;
}

/// Does a link at `path` below this cell hold one of the keys? Lists are passed through.
static bool links_to(const struct pq_column *column, size_t row, const struct pq_link_path *path,
                     const struct pq_lookup_want *want) {
    if (pq_column_is_null(column, row)) return false;
    if (column->type->kind == PQ_LIST) {
        for (uint32_t at = column->offsets[row]; at < column->offsets[row + 1]; at++) {
            if (links_to(&column->children[0], at, path, want)) return true;
        }
        return false;
    }
    if (column->type->kind == PQ_OBJECT && path->length > 0) {
        const struct pq_link_path rest = {path->path + 1, path->length - 1};
        return links_to(&column->children[path->path[0]], row, &rest, want);
    }
    return column->type->kind == PQ_TEXT && is_key(want, pq_column_text(column, row));
}

static bool is_wanted(const struct image *image, const struct pq_lookup_want *want) {
    if (image->batch == NULL) return false;
    if (want->link == NULL) return is_key(want, image->id);
    const struct pq_link_path rest = {want->link->path + 1, want->link->length - 1};
    return links_to(&image->batch->columns[want->link->path[0]], image->row, &rest, want);
}

/// A wanted column: what was found in the snapshot, then the images.
static pqdb_code join_column(const struct seen *seen, const struct pq_lookup_want *want,
                             const struct pq_column *found, struct pq_builder *builder,
                             uint32_t k, pqdb_error *err) {
    if (found != NULL) PQ_TRY(pq_builder_append_rows(builder, found, 0, found->count, err));
    for (size_t i = 0; i < seen->count; i++) {
        const struct image *image = &seen->images[i];
        if (!is_wanted(image, want)) continue;
        PQ_TRY(pq_builder_append_rows(builder, &image->batch->columns[k], image->row, 1, err));
    }
    return PQDB_OK;
}

pqdb_code pq_db_overlay_look_up(const struct pq_db_overlay *overlay,
                                const struct pq_db_table *table,
                                const struct pq_lookup_want *want, struct pq_arena *arena,
                                struct pq_batch *rows, pqdb_error *err) {
    const struct seen *seen = find_table(overlay, table);
    const struct pq_type *type = pq_entry_row_type(table->entry);
    const struct pq_batch found = *rows;
    struct pq_column *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a look-up");
    for (size_t k = 0; k < type->field_count; k++) columns[k].type = &type->fields[k].type;
    *rows = (struct pq_batch){.type = type, .columns = columns};
    for (size_t i = 0; i < want->column_count; i++) {
        const uint32_t k = want->columns[i];
        struct pq_builder builder;
        PQ_TRY(pq_builder_init(&builder, columns[k].type, &arena->alloc, err));
        PQ_TRY(join_column(seen, want, found.count == 0 ? NULL : &found.columns[k], &builder, k,
                           err));
        columns[k] = pq_builder_finish(&builder);
        rows->count = columns[k].count;
    }
    return PQDB_OK;
}
