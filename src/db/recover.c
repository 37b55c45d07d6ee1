/// db/recover.c: from the last root and the log behind it to the state that was acknowledged.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "batch/builder.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "table/data_file.h"

enum { join_rows = 65536, wait_for_rows = 200000 };

// ---- the root ---------------------------------------------------------------------------------

/// Ids of names are positions, so they are added in the order in which they were written.
static pqdb_code load_names(pqdb_db *db, struct pq_db_table *table, struct pq_text metadata,
                            pqdb_error *err) {
    if (metadata.length == 0) return PQDB_OK;
    struct pq_variant_names *stored;
    size_t used;
    PQ_TRY(pq_variant_names_from_metadata((const uint8_t *)metadata.data, metadata.length,
                                          db->alloc, &stored, &used, err));
    const uint32_t count = pq_variant_names_count(stored);
    bool same = true;
    for (uint32_t id = 0; id < count; id++) {
        same = same &&
               pq_variant_names_add(table->names, pq_variant_names_text(stored, id)) == id;
    }
    pq_variant_names_unref(stored);
    return same ? PQDB_OK : pq_fail(err, PQDB_CORRUPT, "the root's list of names has doubles");
}

static pqdb_code load_file(pqdb_db *db, struct pq_db_table *table,
                           const struct pq_root_file *named, uint64_t version, pqdb_error *err) {
    const struct pq_data_file_options options = {
        .store = db->store, .path = named->path, .bytes = named->bytes, .rows = named->rows,
        .type = table->table->options.type, .pages = db->pages, .alloc = db->alloc};
    struct pq_data_file *file;
    PQ_TRY(pq_data_file_create(&options, &file, err));
    const size_t words = (named->rows + 63) / 64;
    const bool has_dead = named->dead.length > 0;
    if (has_dead && named->dead.length != words * sizeof(uint64_t)) {
        pq_data_file_destroy(file);
        return pq_store_fail(err, PQDB_CORRUPT, named->path.data,
                             "the root's deletions do not fit the file");
    }
    const struct pq_segment_file given = {
        .file = file, .rows = named->rows, .version = version,
        .dead = has_dead ? (const uint64_t *)(const void *)named->dead.data : NULL};
    struct pq_segment *segment;
    const pqdb_code code = pq_segment_create_file(&given, db->alloc, &segment, err);
    if (code != PQDB_OK) {
        pq_data_file_destroy(file);
        return code;
    }
    const struct pq_table_swap swap = {.fresh = segment};
    const pqdb_code swapped = pq_table_swap(table->table, &swap, err);
    if (swapped != PQDB_OK) pq_segment_unref(segment);
    return swapped;
}

static pqdb_code load_carried(pqdb_db *db, struct pq_db_table *table, struct pq_text part,
                              uint64_t version, pqdb_error *err) {
    if (part.length == 0) return PQDB_OK;
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(db->alloc, &hold, err));
    const struct pq_log_schemas schemas = pq_db_log_schemas(db);
    struct pq_log_rows rows;
    pqdb_code code;
    const struct pq_text copy = pq_arena_copy(&hold->arena, part);  // columns are views into it
    if (copy.data == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "carried rows");
        goto done;
    }
    PQ_GO(pq_log_decode_rows(copy, &schemas, &hold->arena, &rows, err));
    PQ_GO(pq_table_apply(table->table, &rows.batch, hold, version, err));
done:
    pq_hold_unref(hold);
    return code;
}

/// A view's contents are of use only if its definition is still the one that made them.
static bool is_of_use(const struct pq_db_table *table, const struct pq_root_table *named) {
    return table->view == NULL || table->view->refresh_version == named->refresh_version;
}

static pqdb_code load_table(pqdb_db *db, const struct pq_root *root,
                            const struct pq_root_table *named, pqdb_error *err) {
    struct pq_db_table *table = pq_db_by_id(db, named->id);
    if (table == NULL || !is_of_use(table, named)) return PQDB_OK;
    table->in_root = true;
    table->next_seq = named->next_seq;
    table->published_version = named->published;
    table->facts.reflects = named->reflects;
    table->reflects_position = named->reflects_position;
    table->facts.refreshed_us = named->refreshed_us;
    if (named->failure.length > 0) {
        table->facts.failed = true;
        pq_fail(&table->failure, PQDB_LIMIT, "%.*s", PQ_TEXT_ARG(named->failure));
    }
    if (named->published < named->version) db->unpublished = true;
    if (table->view == NULL) PQ_TRY(load_names(db, table, named->names, err));
    for (size_t i = 0; i < named->file_count; i++) {
        PQ_TRY(load_file(db, table, &named->files[i], root->version, err));
    }
    PQ_TRY(load_carried(db, table, named->carried, root->version, err));
    table->table->version = named->version;
    return pq_table_publish(table->table, err);
}

/// Collections before views: a view's names are its collection's.
static pqdb_code load_root(pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    for (int views = 0; views < 2; views++) {
        for (size_t i = 0; i < root->table_count; i++) {
            const struct pq_db_table *table = pq_db_by_id(db, root->tables[i].id);
            if (table == NULL || (table->view != NULL) != (views == 1)) continue;
            PQ_TRY(load_table(db, root, &root->tables[i], err));
        }
    }
    const struct pq_run_io io = pq_db_run_io(db);
    PQ_TRY(pq_trace_open(&db->tokens, &io, root->token_runs, root->token_run_count, err));
    db->has_root = true;
    db->root_version = root->version;
    db->root_position = root->position;
    db->replayed = root->position;
    db->version = root->version;
    db->run_id = root->run_id;
    return PQDB_OK;
}

// ---- views ------------------------------------------------------------------------------------

static const struct pq_root_table *named_in(const struct pq_root *root, uint32_t id) {
    for (size_t i = 0; i < root->table_count; i++) {
        if (root->tables[i].id == id) return &root->tables[i];
    }
    return NULL;
}

static const pqdb_error not_built = {.code = PQDB_INVALID, .message = "it is not built yet"};

static bool is_followed(const pqdb_db *db, const struct pq_db_table *source) {
    return pq_circuit_find(db->circuit, source->id) == NULL ||
           pq_circuit_failure(db->circuit, source->id) == NULL;
}

/// The view's node with the state the root names; without one it waits to be built.
static pqdb_code open_view(pqdb_db *db, const struct pq_root *root, const struct pq_view *view,
                           pqdb_error *err) {
    struct pq_db_table *table = pq_db_by_id(db, view->table);
    PQ_TRY(pq_db_join_circuit(db, table, err));
    struct pq_node *node =
        table->node != NULL ? table->node : pq_circuit_find(db->circuit, table->id);
    struct pq_trace *state = pq_node_state(node);
    const struct pq_root_table *named = named_in(root, table->id);
    const struct pq_db_table *source = pq_db_by_id(db, view->source);
    const bool lags = view->mode != PQ_VIEW_STREAMING;
    if (lags && source->facts.unbuilt) table->facts.reflects = 0;
    if (table->in_root && !table->facts.failed && (lags || is_followed(db, source)) &&
        (state == NULL || named->has_state)) {
        if (state == NULL) return PQDB_OK;
        const struct pq_run_io io = pq_db_run_io(db);
        return pq_trace_open(state, &io, named->runs, named->run_count, err);
    }
    const bool is_new = named == NULL;
    if (view->mode == PQ_VIEW_MANUAL && (is_new || table->in_root)) return PQDB_OK;
    if (!table->facts.failed) table->facts.unbuilt = true;
    if (!lags) pq_circuit_detach(db->circuit, table->id, &not_built);
    return PQDB_OK;
}

/// What the view reads may wait to be built as well.
static pqdb_code build_here(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                            int64_t time_us, pqdb_error *err) {
    for (;;) {
        struct pq_db_table *lowest = table;
        for (const struct pq_view *up = table->view->upstream; up != NULL; up = up->upstream) {
            struct pq_db_table *below = pq_db_by_id(db, up->table);
            if (below->facts.unbuilt && pq_db_wants_build(below)) lowest = below;
        }
        const pqdb_code code = pq_db_build_here(db, lowest, version, time_us, err);
        if (code != PQDB_OK && !pq_db_is_views_own(code)) return code;
        if (lowest == table || code != PQDB_OK) return PQDB_OK;
    }
}

/// Views that nothing readable exists of, or that failed. Over much data they are left to the
/// background, which begins at once.
static pqdb_code build_waiting(pqdb_db *db, bool keeper_follows, pqdb_error *err) {
    for (size_t i = 0; i < db->views->count; i++) {
        struct pq_db_table *table = pq_db_by_id(db, db->views->views[i].table);
        const size_t rows = pq_db_by_id(db, table->view->source)->table->rows;
        if (!pq_db_wants_build(table)) continue;
        if (keeper_follows && rows > wait_for_rows) continue;
        pqdb_code code;
        if (db->options.read_only || db->version == 0) {
            code = build_here(db, table, db->version, db->replay_time_us, err);
        } else {
            code = pq_db_build(db, table, err);
        }
        if (code != PQDB_OK && !pq_db_is_views_own(code)) return code;
    }
    return PQDB_OK;
}

// ---- the log ----------------------------------------------------------------------------------

/// Rows of one collection from several commits, stepped together.
struct pending {
    pqdb_db *db;
    struct pq_db_table *table;  // NULL: nothing waits
    struct pq_hold *hold;
    struct pq_builder *columns;
    size_t rows;
    uint64_t version;  // of the last commit in it
    int64_t time_us;
};

static pqdb_code step_batch(pqdb_db *db, struct pq_db_table *table, const struct pq_batch *rows,
                            struct pq_hold *hold, const struct pending *at, pqdb_error *err) {
    const struct pq_db_delta delta = {.table = table, .rows = *rows, .hold = hold};
    return pq_db_step(db, &delta, 1, at->version, at->time_us, err);
}

static pqdb_code flush(struct pending *pending, pqdb_error *err) {
    if (pending->table == NULL) return PQDB_OK;
    struct pq_batch rows;
    pqdb_code code;
    PQ_GO(pq_builder_finish_batch(pending->columns, pending->table->table->options.type,
                                  &pending->hold->arena, &rows, err));
    PQ_GO(step_batch(pending->db, pending->table, &rows, pending->hold, pending, err));
done:
    pq_hold_unref(pending->hold);
    pending->hold = NULL;
    pending->table = NULL;
    return code;
}

static pqdb_code begin(struct pending *pending, struct pq_db_table *table, pqdb_error *err) {
    const struct pq_type *type = table->table->options.type;
    PQ_TRY(pq_hold_create(pending->db->alloc, &pending->hold, err));
    pending->table = table;
    pending->rows = 0;
    struct pq_arena *arena = &pending->hold->arena;
    pending->columns = pq_arena_calloc(arena, type->field_count, sizeof *pending->columns);
    if (pending->columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "replayed rows");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&pending->columns[k], &type->fields[k].type, &arena->alloc, err));
    }
    return PQDB_OK;
}

static pqdb_code replay_rows(struct pending *pending, const struct pq_log_record *record,
                             const struct pq_log_rows *rows, pqdb_error *err) {
    struct pq_db_table *table = pq_db_by_id(pending->db, rows->collection);
    if (table == NULL || rows->batch.type == NULL) return PQDB_OK;  // dropped since
    if (rows->rows_minus == 0) table->next_seq = rows->first_seq + rows->rows_plus;
    if (pending->table != table || rows->rows_minus > 0) PQ_TRY(flush(pending, err));
    if (pending->table == NULL) PQ_TRY(begin(pending, table, err));
    pending->version = record->version;
    pending->time_us = record->time_us;
    for (size_t k = 0; k < rows->batch.type->field_count; k++) {
        PQ_TRY(pq_builder_append_rows(&pending->columns[k], &rows->batch.columns[k], 0,
                                      rows->batch.count, err));
    }
    pending->rows += rows->batch.count;
    if (rows->rows_minus > 0) {
        struct pq_batch copy;
        PQ_TRY(pq_builder_finish_batch(pending->columns, table->table->options.type,
                                       &pending->hold->arena, &copy, err));
        copy.weights = rows->batch.weights;
        const pqdb_code code = step_batch(pending->db, table, &copy, pending->hold, pending, err);
        pq_hold_unref(pending->hold);
        pending->hold = NULL;
        pending->table = NULL;
        return code;
    }
    return pending->rows >= join_rows ? flush(pending, err) : PQDB_OK;
}

/// A refresh is repeated as a full one: all its sources are exactly where they were.
static pqdb_code replay_refresh(struct pending *pending, const struct pq_log_record *record,
                                pqdb_error *err) {
    pqdb_db *db = pending->db;
    PQ_TRY(flush(pending, err));
    struct pq_json_document *document;
    PQ_TRY(pq_json_parse(record->payload, PQ_JSON_STRICT, db->alloc, &document, err));
    const struct pq_json *name = pq_json_kind(pq_json_root(document)) == PQ_JSON_OBJECT
                                     ? pq_json_find(pq_json_root(document), "view")
                                     : NULL;
    struct pq_db_table *table = NULL;
    if (name != NULL && pq_json_kind(name) == PQ_JSON_TEXT) {
        table = pq_db_find(db, pq_json_text(name));
    }
    pq_json_destroy(document);
    if (table == NULL || table->view == NULL) return PQDB_OK;  // dropped since
    return build_here(db, table, record->version, record->time_us, err);
}

static pqdb_code visit(void *ctx, const struct pq_log_record *record, pqdb_error *err) {
    struct pending *pending = ctx;
    pqdb_db *db = pending->db;
    db->replayed = record->next;
    db->replay_time_us = record->time_us;
    PQ_TRY(pq_db_token_add(db, record->token, record->version, err));
    for (size_t i = 0; i < record->rows_count; i++) {
        PQ_TRY(replay_rows(pending, record, &record->rows[i], err));
    }
    if (record->kind == PQ_LOG_REFRESH || record->kind == PQ_LOG_SWAP) {
        PQ_TRY(replay_refresh(pending, record, err));
    }
    db->version = record->version;
    return PQDB_OK;
}

static pqdb_code replay(pqdb_db *db, pqdb_error *err) {
    struct pending pending = {.db = db};
    const struct pq_log_visitor visitor = {.schemas = pq_db_log_schemas(db), .visit = visit,
                                           .ctx = &pending};
    db->is_replaying = true;
    pqdb_code code = pq_log_replay(db->log, &visitor, err);
    if (code == PQDB_OK) code = flush(&pending, err);
    pq_hold_unref(pending.hold);
    db->is_replaying = false;
    return code;
}

// ---- leftovers --------------------------------------------------------------------------------

/// Files of a checkpoint that did not get as far as its root.
static pqdb_code remove_leftovers(pqdb_db *db, struct pq_arena *arena, pqdb_error *err) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        char path[PQ_STORE_PATH_MAX];
        const int directory_bytes =
            snprintf(path, sizeof path, "%s/data", tables->at[i]->directory);
        struct pq_store_list list;
        const pqdb_code listed = pq_store_list(db->store, path, arena, &list, err);
        if (listed == PQDB_NOT_FOUND) continue;
        PQ_TRY(listed);
        for (size_t k = 0; k < list.count; k++) {
            const struct pq_text name = list.entries[k].name;
            if (strtoull(name.data, NULL, 10) <= db->root_version) continue;
            snprintf(path + directory_bytes, sizeof path - (size_t)directory_bytes, "/%.*s",
                     PQ_TEXT_ARG(name));
            PQ_TRY(pq_store_unlink(db->store, path, err));
        }
    }
    return PQDB_OK;
}

pqdb_code pq_db_recover(pqdb_db *db, const struct pq_root *root, bool keeper_follows,
                        struct pq_arena *arena, pqdb_error *err) {
    if (root->version > 0 || root->table_count > 0) PQ_TRY(load_root(db, root, err));
    db->replay_time_us = root->time_us;
    for (size_t i = 0; i < db->views->count; i++) {
        PQ_TRY(open_view(db, root, &db->views->views[i], err));
    }
    if (!db->has_root) PQ_TRY(build_waiting(db, false, err));  // from nothing: the log has it all
    PQ_TRY(replay(db, err));
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; !db->options.read_only && i < tables->count; i++) {
        const struct pq_db_table *table = tables->at[i];
        if (table->view == NULL) PQ_TRY(pq_log_use_names(db->log, table->id, table->names, err));
    }
    if (!db->options.read_only) PQ_TRY(remove_leftovers(db, arena, err));
    PQ_TRY(pq_db_publish(db, db->version, db->replay_time_us, err));
    return build_waiting(db, keeper_follows, err);
}
