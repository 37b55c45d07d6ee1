/// db/changed.c: see changed.h.
#include "db/changed.h"

#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "batch/id_slots.h"
#include "db/schema_change.h"

/// One collection while the log is read: every row of its commits, in order.
struct gathered {
    struct gathered *next;
    struct pq_db_table *table;
    bool *reads;  // of its columns
    struct pq_builder *columns;  // of those
    int8_t *signs;  // of the rows; 0: it goes, and is not seen to
    size_t count, capacity;
    size_t parts;  // of the log
    uint32_t *came;  // where rows come apart: those that did, + 1, by their ids
    size_t came_room;
    bool takes_back, forgets;
};

struct gather {
    pqdb_db *db;
    const struct pq_db_changed_options *options;
    struct pq_arena *arena;  // of the hold
    struct gathered *first;
    size_t rows;
};

static pqdb_code begin(struct gather *gather, struct pq_db_table *table, struct gathered **out,
                       pqdb_error *err) {
    const struct pq_db_changed_options *options = gather->options;
    for (struct gathered *at = gather->first; at != NULL; at = at->next) {
        if (at->table == table) *out = at;
        if (at->table == table) return PQDB_OK;
    }
    const struct pq_type *type = pq_db_rows_type(table);
    struct gathered *made = pq_arena_calloc(gather->arena, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    made->table = table;
    made->reads = pq_arena_calloc(gather->arena, type->field_count, sizeof *made->reads);
    made->columns = pq_arena_calloc(gather->arena, type->field_count, sizeof *made->columns);
    if (made->reads == NULL || made->columns == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "changes");
    }
    const bool *reads = options->reads == NULL ? NULL : options->reads(options->ctx, table);
    for (size_t k = 0; k < type->field_count; k++) {
        made->reads[k] = reads == NULL || reads[k] || k == PQ_COLUMN_ID;
        if (!made->reads[k]) continue;
        PQ_TRY(pq_builder_init(&made->columns[k], &type->fields[k].type, &gather->arena->alloc,
                               err));
    }
    made->next = gather->first;
    gather->first = made;
    *out = made;
    return PQDB_OK;
}

static pqdb_code add_signs(struct gather *gather, struct gathered *to,
                           const struct pq_batch *batch, bool is_kept, pqdb_error *err) {
    if (to->count + batch->count > to->capacity) {
        size_t capacity = to->capacity == 0 ? 1024 : to->capacity;
        while (capacity < to->count + batch->count) capacity *= 2;
        int8_t *grown = pq_arena_alloc(gather->arena, capacity);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
        if (to->count > 0) memcpy(grown, to->signs, to->count);
        to->signs = grown;
        to->capacity = capacity;
    }
    for (size_t row = 0; row < batch->count; row++) {
        const bool goes = batch->weights != NULL && batch->weights[row] < 0;
        to->signs[to->count++] = is_kept ? 0 : goes ? -1 : 1;
        to->takes_back = to->takes_back || goes;
    }
    to->parts++;
    to->forgets = to->forgets || is_kept;
    return PQDB_OK;
}

// ---- apart ------------------------------------------------------------------------------------

/// The slot of a row that came with this id, or the free one.
static uint32_t *came_slot(const struct gathered *from, struct pq_text id) {
    return pq_id_slot(from->came, from->came_room, &from->columns[PQ_COLUMN_ID], id);
}

/// Rows from `first` on.
static pqdb_code note_came(struct gather *gather, struct gathered *to, size_t first,
                           pqdb_error *err) {
    if (to->count * 2 > to->came_room) {
        to->came_room = to->came_room == 0 ? 1024 : to->came_room;
        while (to->came_room < to->count * 2) to->came_room *= 2;
        to->came = pq_arena_calloc(gather->arena, to->came_room, sizeof *to->came);
        if (to->came == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
        first = 0;
    }
    for (size_t row = first; row < to->count; row++) {
        if (to->signs[row] <= 0) continue;
        *came_slot(to, pq_built_id(&to->columns[PQ_COLUMN_ID], row)) = (uint32_t)row + 1;
    }
    return PQDB_OK;
}

/// Does the commit take back a row that came in this part of the log?
static bool takes_what_came(const struct gather *gather, const struct pq_log_record *record) {
    if (!gather->options->apart || record->kind == PQ_LOG_RETENTION) return false;
    for (const struct gathered *at = gather->first; at != NULL; at = at->next) {
        if (at->table != gather->options->keeps || at->came_room == 0) continue;
        for (size_t i = 0; i < record->rows_count; i++) {
            const struct pq_batch *batch = &record->rows[i].batch;
            const bool is_of_it = record->rows[i].collection == at->table->id;
            if (!is_of_it || batch->type == NULL || batch->weights == NULL) continue;
            for (size_t row = 0; row < batch->count; row++) {
                const struct pq_text id = pq_column_text(&batch->columns[PQ_COLUMN_ID], row);
                if (batch->weights[row] < 0 && *came_slot(at, id) != 0) return true;
            }
        }
    }
    return false;
}

static struct pq_db_table *table_of(const struct gather *gather, uint32_t id) {
    const struct pq_db_snapshot *snapshot = gather->options->snapshot;
    return snapshot == NULL ? pq_db_by_id(gather->db, id) : pq_db_snapshot_by_id(snapshot, id);
}

static pqdb_code add(struct gather *gather, struct pq_db_table *table, const struct pq_batch *rows,
                     bool forgets, pqdb_error *err) {
    if (table == NULL || rows->type == NULL || rows->count == 0) return PQDB_OK;
    struct gathered *to;
    PQ_TRY(begin(gather, table, &to, err));
    for (size_t k = 0; k < rows->type->field_count; k++) {
        if (!to->reads[k]) continue;
        PQ_TRY(pq_builder_append_rows(&to->columns[k], &rows->columns[k], 0, rows->count, err));
    }
    const size_t first = to->count;
    const bool is_kept_of = gather->options->keeps == table;
    gather->rows += rows->count;
    PQ_TRY(add_signs(gather, to, rows, forgets && is_kept_of, err));
    const bool is_apart = is_kept_of && gather->options->apart;
    return is_apart ? note_came(gather, to, first, err) : PQDB_OK;
}

// ---- net --------------------------------------------------------------------------------------

/// An id's rows: the one it had before the first change, and the one behind the last.
struct image {
    uint32_t row;  // any one with this id
    uint32_t before, after;  // or NO_ROW
    bool is_kept;            // its last row went unseen
};
#define NO_ROW UINT32_MAX

struct images {
    struct image *all;
    uint32_t *slots;  // index + 1
    size_t slot_count, count;
};

static struct image *image_of(struct images *images, const struct pq_column *ids, uint32_t row,
                              bool *is_new) {
    const struct pq_text id = pq_column_text(ids, row);
    size_t at = (size_t)pq_hash(id.data, id.length) & (images->slot_count - 1);
    for (; images->slots[at] != 0; at = (at + 1) & (images->slot_count - 1)) {
        struct image *image = &images->all[images->slots[at] - 1];
        if (image->is_kept || !pq_text_equal(pq_column_text(ids, image->row), id)) continue;
        *is_new = false;
        return image;
    }
    *is_new = true;
    struct image *image = &images->all[images->count++];
    images->slots[at] = (uint32_t)images->count;
    *image = (struct image){.row = row, .before = NO_ROW, .after = NO_ROW};
    return image;
}

static pqdb_code find_images(const struct gathered *from, const struct pq_column *ids,
                             struct pq_arena *scratch, struct images *images, pqdb_error *err) {
    images->slot_count = 16;
    while (images->slot_count < from->count * 2) images->slot_count *= 2;
    images->all = pq_arena_alloc(scratch, from->count * sizeof *images->all);
    images->slots = pq_arena_calloc(scratch, images->slot_count, sizeof *images->slots);
    if (images->all == NULL || images->slots == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "changes");
    }
    for (uint32_t row = 0; row < from->count; row++) {
        bool is_new;
        struct image *image = image_of(images, ids, row, &is_new);
        if (from->signs[row] > 0) image->after = row;
        if (from->signs[row] == 0) image->is_kept = true;
        if (from->signs[row] >= 0) continue;
        if (is_new) image->before = row;
        image->after = NO_ROW;
    }
    return PQDB_OK;
}

/// A part of the log has each id at most once among the rows that go, and those that come.
static pqdb_code weigh(const struct gathered *from, struct pq_arena *arena, struct pq_batch *rows,
                       pqdb_error *err) {
    int64_t *weights = pq_arena_alloc(arena, from->count * sizeof *weights);
    if (weights == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    for (size_t row = 0; row < from->count; row++) weights[row] = from->signs[row];
    rows->weights = weights;
    return PQDB_OK;
}

/// Does every row stay: has no id two changes of which one undoes the other?
static bool all_stay(const struct gathered *from, const struct images *images) {
    size_t rows = 0;
    for (size_t i = 0; i < images->count; i++) {
        rows += images->all[i].before != NO_ROW;
        rows += images->all[i].after != NO_ROW;
    }
    return rows == from->count;
}

/// The first and the last image of each id, with weights; those of one commit as they are, and
/// those of more where there are no others.
static pqdb_code net(const struct gathered *from, const struct pq_batch *all,
                     struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    if (!from->takes_back || (from->parts == 1 && !from->forgets)) {
        *out = *all;
        return from->takes_back ? weigh(from, arena, out, err) : PQDB_OK;
    }
    struct images images = {0};
    struct pq_arena scratch;
    pq_arena_init(&scratch, arena->source);
    uint32_t *rows = NULL;
    int64_t *weights = NULL;
    size_t count = 0;
    pqdb_code code;
    PQ_GO(find_images(from, &all->columns[PQ_COLUMN_ID], &scratch, &images, err));
    if (all_stay(from, &images)) {
        *out = *all;
        PQ_GO(weigh(from, arena, out, err));
        goto done;
    }
    rows = pq_arena_alloc(arena, (images.count * 2 + 1) * sizeof *rows);
    weights = pq_arena_alloc(arena, (images.count * 2 + 1) * sizeof *weights);
    if (rows == NULL || weights == NULL) PQ_GO(pq_fail(err, PQDB_NO_MEMORY, "changes"));
    for (int after = 0; after < 2; after++) {
        for (size_t i = 0; i < images.count; i++) {
            const uint32_t row = after ? images.all[i].after : images.all[i].before;
            if (row == NO_ROW) continue;
            rows[count] = row;
            weights[count++] = after ? 1 : -1;
        }
    }
    PQ_GO(pq_batch_gather(all, rows, count, arena, out, err));
    out->weights = weights;
done:
    pq_arena_deinit(&scratch);
    return code;
}

static pqdb_code finish_columns(struct gather *gather, const struct gathered *from,
                                struct pq_batch *all, pqdb_error *err) {
    const struct pq_type *type = pq_db_rows_type(from->table);
    struct pq_column *columns = pq_arena_alloc(gather->arena, type->field_count * sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    for (size_t k = 0; k < type->field_count; k++) {
        columns[k] = from->reads[k] ? pq_builder_finish(&from->columns[k])
                                    : (struct pq_column){.type = &type->fields[k].type};
    }
    *all = (struct pq_batch){.type = type, .count = from->count, .columns = columns};
    return PQDB_OK;
}

static pqdb_code finish(struct gather *gather, struct pq_db_changed *changed, pqdb_error *err) {
    size_t count = 0;
    for (struct gathered *at = gather->first; at != NULL; at = at->next) count++;
    changed->tables = pq_arena_calloc(gather->arena, count + 1, sizeof *changed->tables);
    if (changed->tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "changes");
    for (struct gathered *at = gather->first; at != NULL; at = at->next) {
        struct pq_db_changed_rows *to = &changed->tables[changed->count];
        struct pq_batch all;
        to->table = at->table;
        PQ_TRY(finish_columns(gather, at, &all, err));
        PQ_TRY(net(at, &all, gather->arena, &to->rows, err));
        if (to->rows.count > 0) changed->count++;
    }
    return PQDB_OK;
}

// ---- the log ----------------------------------------------------------------------------------

static const struct pq_type *wanted_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    const struct gather *gather = ctx;
    const struct pq_db_table *table = table_of(gather, collection);
    const struct pq_db_changed_options *options = gather->options;
    if (table == NULL) return NULL;
    if (options->wants != NULL && !options->wants(options->ctx, table)) return NULL;
    return pq_db_log_type(table, schema_id);
}

static const struct pq_type *type_now(void *ctx, uint32_t collection) {
    const struct gather *gather = ctx;
    const struct pq_db_table *table = table_of(gather, collection);
    return table == NULL ? NULL : pq_db_rows_type(table);
}

/// Of the rows it has now.
static const bool *columns_read(void *ctx, uint32_t collection) {
    struct gather *gather = ctx;
    struct gathered *to;
    struct pq_db_table *table = table_of(gather, collection);
    if (table == NULL || begin(gather, table, &to, NULL) != PQDB_OK) return NULL;
    return to->reads;
}

static struct pq_variant_names *names(void *ctx, uint32_t collection) {
    const struct gather *gather = ctx;
    const struct pq_db_table *table = table_of(gather, collection);
    return table == NULL ? NULL : table->names;
}

static pqdb_code read(struct gather *gather, struct pq_db_changed *changed, pqdb_error *err) {
    const struct pq_db_changed_options *options = gather->options;
    const struct pq_log_schemas schemas = {.type = wanted_type, .wanted = type_now,
                                           .names = names, .reads = columns_read,
                                           .ctx = gather};
    struct pq_log_reader *reader;
    PQ_TRY(pq_log_reader_open(gather->db->log, options->from + 1, &schemas, &reader, err));
    pqdb_code code = PQDB_OK;
    while (options->rows_max == 0 || gather->rows < options->rows_max) {
        const struct pq_log_record *record;
        if (changed->to >= options->to) break;
        PQ_GO(pq_log_reader_next(reader, &record, err));
        if (record == NULL || record->version > options->to) {
            changed->to = options->to;
            break;
        }
        if (takes_what_came(gather, record)) break;
        for (size_t i = 0; i < record->rows_count; i++) {
            PQ_GO(add(gather, table_of(gather, record->rows[i].collection),
                      &record->rows[i].batch, record->kind == PQ_LOG_RETENTION, err));
        }
        changed->to = record->version;
        changed->time_us = record->time_us;
    }
done:
    pq_log_reader_close(reader);
    return code;
}

/// Of the versions that were read.
static pqdb_code add_heard(struct gather *gather, uint64_t to, pqdb_error *err) {
    const struct pq_db_listener *listener = gather->options->heard;
    if (listener == NULL) return PQDB_OK;
    const pqdb_code code = listener->code;
    if (code != PQDB_OK) {
        return pq_fail(err, code, "what %.*s puts out meanwhile does not fit into memory",
                       PQ_TEXT_ARG(listener->to->entry->name));
    }
    for (const struct pq_db_heard *at = listener->first; at != NULL && at->version <= to;
         at = at->next) {
        if (at->version <= gather->options->from) continue;
        PQ_TRY(add(gather, listener->to, &at->rows, false, err));
    }
    return PQDB_OK;
}

pqdb_code pq_db_changed_read(pqdb_db *db, const struct pq_db_changed_options *options,
                             struct pq_db_changed *changed, pqdb_error *err) {
    struct pq_db_changed made = {.to = options->from};
    PQ_TRY(pq_hold_create(db->alloc, &made.hold, err));
    struct gather gather = {.db = db, .options = options, .arena = &made.hold->arena};
    pqdb_code code = PQDB_OK;
    if (options->to > options->from) code = read(&gather, &made, err);
    if (code == PQDB_OK) code = add_heard(&gather, made.to, err);
    if (code == PQDB_OK) code = finish(&gather, &made, err);
    if (code == PQDB_OK) *changed = made;
    if (code != PQDB_OK) pq_hold_unref(made.hold);
    return code;
}

void pq_db_changed_deinit(struct pq_db_changed *changed) {
    pq_hold_unref(changed->hold);
    *changed = (struct pq_db_changed){0};
}
