/// db/append.c: see append.h.
#include "db/append.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "batch/builder.h"
#include "db/catch_up.h"
#include "db/changed.h"
#include "db/commit.h"
#include "db/row_list.h"

// ---- the rows that are new --------------------------------------------------------------------

/// A source of which only new rows are shown: some batches, or all that is stored.
struct created {
    pqdb_db *db;
    const struct pq_batch *batches;
    size_t batch_count;
    struct pq_rows *stored;  // or NULL
    uint64_t mark;
    // Who takes them, while they are scanned.
    pqdb_code (*take)(void *taker, const struct pq_batch *batch, pqdb_error *err);
    void *taker;
    uint64_t rows;  // that were new
};

static pqdb_code take_created(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct created *created = ctx;
    const int64_t *seq = rows->columns[PQ_SEQ_COLUMN].values;
    struct pq_arena arena;
    struct pq_batch kept;
    size_t count = 0;
    pq_arena_init(&arena, created->db->alloc);
    pqdb_code code = PQDB_OK;
    uint32_t *fresh = pq_arena_alloc(&arena, (rows->count + 1) * sizeof *fresh);
    if (fresh == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "an append");
        goto done;
    }
    for (size_t row = 0; row < rows->count; row++) {
        const bool comes = rows->weights == NULL || rows->weights[row] > 0;
        if (comes && (uint64_t)seq[row] >= created->mark) fresh[count++] = (uint32_t)row;
    }
    if (count == 0) goto done;
    struct pq_batch all = *rows;
    all.weights = NULL;
    PQ_GO(pq_batch_gather(&all, fresh, count, &arena, &kept, err));
    created->rows += count;
    PQ_GO(created->take(created->taker, &kept, err));
done:
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code scan_stored(struct created *created, const struct pq_rows_wish *wish,
                             pqdb_error *err) {
    if (wish == NULL) {
        return created->stored->scan(created->stored->ctx, NULL, take_created, created, err);
    }
    const uint32_t *columns = wish->columns;
    const size_t column_count = wish->column_count;
    const struct pq_alloc *alloc = created->db->alloc;
    uint32_t *wanted = pq_resize(alloc, NULL, 0, column_count + 1, sizeof *wanted);
    if (wanted == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an append");
    size_t count = 0;
    bool has_seq = false;
    for (size_t k = 0; k < column_count; k++) {
        if (!has_seq && columns[k] > PQ_SEQ_COLUMN) wanted[count++] = PQ_SEQ_COLUMN;
        has_seq = has_seq || columns[k] >= PQ_SEQ_COLUMN;
        wanted[count++] = columns[k];
    }
    if (!has_seq) wanted[count++] = PQ_SEQ_COLUMN;
    const struct pq_rows_wish more = {wanted, count, wish->reads};
    const pqdb_code code =
        created->stored->scan(created->stored->ctx, &more, take_created, created, err);
    pq_free(alloc, wanted, column_count + 1, sizeof *wanted);
    return code;
}

static pqdb_code scan_created(void *ctx, const struct pq_rows_wish *wish,
                              pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                                pqdb_error *err),
                              void *taker, pqdb_error *err) {
    struct created *created = ctx;
    created->take = take;
    created->taker = taker;
    if (created->stored != NULL) return scan_stored(created, wish, err);
    for (size_t i = 0; i < created->batch_count; i++) {
        PQ_TRY(take_created(created, &created->batches[i], err));
    }
    return PQDB_OK;
}

// ---- what they come to ------------------------------------------------------------------------

/// Rows on their way into the list, under ids of their own.
struct named {
    struct pq_db_row_list *list;
    uint64_t version;
};

static pqdb_code name_rows(const struct named *named, const struct pq_batch *rows,
                           struct pq_arena *arena, struct pq_column *ids, pqdb_error *err) {
    const struct pq_type *type = &rows->type->fields[PQ_ID_COLUMN].type;
    struct pq_builder builder;
    struct pq_bytes id;
    pq_bytes_init(&id, &arena->alloc);
    PQ_TRY(pq_builder_init(&builder, type, &arena->alloc, err));
    for (size_t row = 0; row < rows->count; row++) {
        id.length = 0;
        PQ_TRY(pq_bytes_append_text(&id, pq_column_text(&rows->columns[PQ_ID_COLUMN], row), err));
        PQ_TRY(pq_bytes_printf(&id, err, "@%" PRIu64, named->version));
        PQ_TRY(pq_builder_append_bytes(&builder, id.data, id.length, err));
    }
    *ids = pq_builder_finish(&builder);
    return PQDB_OK;
}

static pqdb_code put_named(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    const struct named *named = ctx;
    const size_t columns = rows->type->field_count;
    struct pq_arena arena;
    pq_arena_init(&arena, named->list->alloc);
    pqdb_code code = PQDB_OK;
    struct pq_batch renamed = *rows;
    struct pq_column *copy = pq_arena_calloc(&arena, columns, sizeof *copy);
    if (copy == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "an append");
        goto done;
    }
    for (size_t k = 0; k < columns; k++) copy[k] = rows->columns[k];
    PQ_GO(name_rows(named, rows, &arena, &copy[PQ_ID_COLUMN], err));
    renamed.columns = copy;
    PQ_GO(pq_db_row_list_put(named->list, &renamed, err));
done:
    pq_arena_deinit(&arena);
    return code;
}

/// The definition over the new rows alone; of none nothing comes, not even a global row.
static pqdb_code compute(struct created *created, struct pq_db_table *table, uint64_t version,
                         struct pq_db_row_list *list, pqdb_error *err) {
    struct named named = {.list = list, .version = version};
    const struct pq_sink sink = {.put = put_named, .ctx = &named};
    const struct pq_rows rows = {.scan = scan_created, .ctx = created};
    struct pq_db_row_list made;
    const struct pq_sink keep = {.put = pq_db_row_list_put, .ctx = &made};
    struct pq_db_part *part;
    PQ_TRY(pq_db_part_create(created->db, table, &part, err));
    part->lookup.is_after = true;
    pq_db_row_list_init(&made, created->db->alloc);
    pqdb_code code = pq_node_full(part->node, &rows, &keep, err);
    for (struct pq_db_row_batch *at = made.first;
         code == PQDB_OK && created->rows > 0 && at != NULL; at = at->next) {
        code = sink.put(sink.ctx, &at->rows, err);
    }
    pq_db_row_list_deinit(&made);
    pq_db_part_destroy(created->db, part);
    return code;
}

static bool is_root(void *ctx, const struct pq_db_table *table) {
    return ((const struct pq_db_table *)ctx)->root == table;
}

/// Leader: all that is new, out of the log where the view reads the collection itself, else out of
/// what is stored.
static pqdb_code compute_new(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                             struct pq_db_row_list *list, pqdb_error *err) {
    struct pq_db_rows source = {.db = db, .table = pq_db_by_id(db, table->view->source)};
    struct pq_rows stored = pq_db_rows_of(&source);
    struct created created = {.db = db, .mark = table->facts.mark};
    const uint64_t from = table->facts.reflects;
    if (!db->is_replaying && created.mark > 0 && source.table == table->root &&
        from + 1 >= pq_log_first_version(db->log)) {
        struct pq_db_changed changed;
        const struct pq_db_changed_options options = {
            .from = from, .to = db->version, .wants = is_root, .ctx = table};
        PQ_TRY(pq_db_changed_read(db, &options, &changed, err));
        created.batches = changed.count > 0 ? &changed.tables[0].rows : NULL;
        created.batch_count = changed.count > 0 ? 1 : 0;
        const pqdb_code code = compute(&created, table, version, list, err);
        pq_db_changed_deinit(&changed);
        return code;
    }
    created.stored = &stored;
    return compute(&created, table, version, list, err);
}

// ---- a refresh --------------------------------------------------------------------------------

/// Takes every row of the view back.
static pqdb_code take_back(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct pq_db_row_list *list = ctx;
    struct pq_arena arena;
    pq_arena_init(&arena, list->alloc);
    struct pq_batch minus = *rows;
    int64_t *weights = pq_arena_alloc(&arena, (rows->count + 1) * sizeof *weights);
    pqdb_code code = weights == NULL ? pq_fail(err, PQDB_NO_MEMORY, "an append") : PQDB_OK;
    for (size_t i = 0; weights != NULL && i < rows->count; i++) weights[i] = -1;
    minus.weights = weights;
    if (code == PQDB_OK && rows->count > 0) code = pq_db_row_list_put(list, &minus, err);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code collect(pqdb_db *db, struct pq_db_table *table, bool discard, uint64_t version,
                         struct pq_db_row_list *list, pqdb_error *err) {
    const uint64_t mark = table->facts.mark;
    pqdb_code code = PQDB_OK;
    if (discard) {
        struct pq_db_rows own = {.db = db, .table = table};
        const struct pq_rows stored = pq_db_rows_of(&own);
        table->facts.mark = 0;
        code = stored.scan(stored.ctx, NULL, take_back, list, err);
    }
    if (code == PQDB_OK) code = compute_new(db, table, version, list, err);
    if (code != PQDB_OK) table->facts.mark = mark;
    return code;
}

static pqdb_code apply(pqdb_db *db, struct pq_db_table *table, const struct pq_db_row_list *list,
                       uint64_t version, int64_t time_us, pqdb_error *err) {
    for (struct pq_db_row_batch *at = list->first; at != NULL; at = at->next) {
        const struct pq_db_delta step = {.table = table, .rows = at->rows, .hold = at->hold};
        PQ_TRY(pq_db_step(db, &step, 1, version, time_us, err));
    }
    pq_db_hide_shown(db, table);
    struct pq_db_facts *facts = &table->facts;
    facts->mark = table->root->next_seq;
    facts->failed = facts->unbuilt = facts->refresh_failed = false;
    pq_db_set_reflects(db, table, version);
    table->facts.reflects_position = pq_db_position(db);
    if (list->rows == 0) return PQDB_OK;
    facts->refreshed_us = time_us;
    facts->last = (struct pq_last_refresh){.kind = PQ_REFRESH_APPEND, .rows = list->rows};
    return PQDB_OK;
}

static pqdb_code refresh(pqdb_db *db, struct pq_db_table *table, bool discard, pqdb_error *err) {
    const uint64_t began_ns = db->env->monotonic_ns(db->env->ctx);
    struct pq_db_row_list list;
    uint64_t version = pq_log_position(db->log).version;
    pq_db_row_list_init(&list, db->alloc);
    pqdb_code code;
    pqdb_error why = {0};
    PQ_GO(pq_db_check_open(db, &why));
    code = collect(db, table, discard, version, &list, &why);
    if (code != PQDB_OK && pq_db_is_views_own(code)) {
        pq_db_note_failed(db, table, &why);
        pq_db_publish(db, db->version, pq_log_time_us(db->log), NULL);
    }
    if (code != PQDB_OK) goto done;
    const struct pq_last_refresh did = {
        .kind = PQ_REFRESH_APPEND, .why = discard ? PQ_WHY_DISCARD : PQ_WHY_NOT, .rows = list.rows,
        .took_us = (int64_t)((db->env->monotonic_ns(db->env->ctx) - began_ns) / 1000)};
    PQ_GO(pq_db_log_refresh(db, table, discard ? PQ_DB_LOGGED_SWAP : PQ_DB_LOGGED_ROWS, &did,
                            &version, &why));
    const int64_t time_us = pq_log_time_us(db->log);
    code = apply(db, table, &list, version, time_us, &why);
    table->facts.refreshed_us = time_us;
    table->facts.last = did;
    if (code == PQDB_OK) code = pq_db_publish(db, version, time_us, &why);
    if (code != PQDB_OK) pq_db_break(db, code, &why);  // reopening repeats it
done:
    pq_db_row_list_deinit(&list);
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

pqdb_code pq_db_append_refresh(pqdb_db *db, struct pq_db_table *table, bool discard,
                               pqdb_error *err) {
    pq_db_lock_contents(db);
    pq_db_catch_up_drop(db, table);
    pthread_mutex_lock(&db->leader);
    const pqdb_code code = refresh(db, table, discard, err);
    pthread_mutex_unlock(&db->leader);
    pq_db_unlock_contents(db);
    return code;
}

pqdb_code pq_db_append_here(pqdb_db *db, struct pq_db_table *table, bool discard,
                            uint64_t version, int64_t time_us, pqdb_error *err) {
    struct pq_db_row_list list;
    pqdb_error why = {0};
    pq_db_row_list_init(&list, db->alloc);
    pqdb_code code = collect(db, table, discard, version, &list, &why);
    if (code == PQDB_OK) code = apply(db, table, &list, version, time_us, &why);
    if (code != PQDB_OK && pq_db_is_views_own(code)) pq_db_note_failed(db, table, &why);
    pq_db_row_list_deinit(&list);
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

// ---- with every commit ------------------------------------------------------------------------

bool pq_db_has_appending(const pqdb_db *db) {
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count; i++) {
        if (views->views[i].mode == PQ_VIEW_APPENDING) return true;
    }
    return false;
}

/// What the step has brought into the table, or NULL.
static const struct pq_batch *brought(const struct pq_db_stepped *stepped, uint32_t table) {
    for (size_t i = 0; i < stepped->input_count; i++) {
        if (stepped->inputs[i].table == table) return stepped->inputs[i].rows;
    }
    for (size_t i = 0; i < stepped->output_count; i++) {
        const struct pq_output *output = &stepped->outputs[i];
        if (output->table == table && output->rows.count > 0) return &output->rows;
    }
    return NULL;
}

static bool follows(const struct pq_db_stepped *stepped, const struct pq_db_table *table) {
    if (table == NULL || table->view->mode != PQ_VIEW_APPENDING) return false;
    if (table->facts.failed || table->facts.unbuilt) return false;
    return brought(stepped, table->root->id) != NULL;
}

/// A view's part of the step, until all are known: then the step's memory is needed again.
struct part {
    struct pq_db_table *table;
    struct pq_db_row_list list;
};

static pqdb_code compute_part(pqdb_db *db, const struct pq_db_stepped *stepped,
                              struct part *part, pqdb_error *err) {
    const struct pq_batch *rows = brought(stepped, part->table->view->source);
    struct created created = {.db = db, .mark = part->table->facts.mark, .batches = rows,
                              .batch_count = rows == NULL ? 0 : 1};
    pqdb_error why = {0};
    if (rows == NULL) return PQDB_OK;
    const pqdb_code code = compute(&created, part->table, stepped->version, &part->list, &why);
    if (code != PQDB_OK && pq_db_is_views_own(code)) {
        pq_db_note_failed(db, part->table, &why);
        part->table = NULL;
        return PQDB_OK;
    }
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

pqdb_code pq_db_append_step(pqdb_db *db, const struct pq_db_stepped *stepped, pqdb_error *err) {
    const struct pq_views *views = db->views;
    struct part *parts = NULL;
    size_t count = 0, following = 0;
    for (size_t i = 0; i < views->count; i++) {
        following += views->views[i].mode == PQ_VIEW_APPENDING;
    }
    if (following == 0) return PQDB_OK;
    parts = pq_resize(db->alloc, NULL, 0, following, sizeof *parts);
    if (parts == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an append");
    for (size_t i = 0; i < views->count; i++) {
        if (views->views[i].mode != PQ_VIEW_APPENDING) continue;
        struct pq_db_table *table = pq_db_by_id(db, views->views[i].table);
        if (!follows(stepped, table)) continue;
        parts[count].table = table;
        pq_db_row_list_init(&parts[count++].list, db->alloc);
    }
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < count; i++) {
        code = compute_part(db, stepped, &parts[i], err);
    }
    const struct pq_db_stepped done = *stepped;  // what it points to goes with the next step
    for (size_t i = 0; code == PQDB_OK && i < count; i++) {
        if (parts[i].table == NULL) continue;
        code = apply(db, parts[i].table, &parts[i].list, done.version, done.time_us, err);
    }
    for (size_t i = 0; i < count; i++) pq_db_row_list_deinit(&parts[i].list);
    pq_free(db->alloc, parts, following, sizeof *parts);
    return code;
}
