/// db/recover.c: from the last root and the log behind it to the state that was acknowledged.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "batch/builder.h"
#include "batch/id_slots.h"
#include "db/append.h"
#include "db/checkpoint_internal.h"
#include "db/commit.h"
#include "db/kept.h"
#include "db/schema_change.h"
#include "db/spill.h"
#include "db/tokens.h"
#include "db/view_internal.h"
#include "table/data_file.h"

enum {
    join_rows = 16384,
    join_share = 16,  // or rows of such a part of the budget of memory
};

// ---- the root ---------------------------------------------------------------------------------

/// Collections before views: a view's names are its collection's.
static pqdb_code load_root(pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    for (int views = 0; views < 2; views++) {
        for (size_t i = 0; i < root->table_count; i++) {
            const struct pq_db_table *table = pq_db_by_id(db, root->tables[i].id);
            if (table == NULL || (table->view != NULL) != (views == 1)) continue;
            PQ_TRY(pq_db_load_table(db, root, &root->tables[i], err));
        }
    }
    const struct pq_run_io io = pq_db_run_io(db);
    PQ_TRY(pq_trace_open(&db->tokens, &io, root->tokens.runs, root->tokens.run_count, err));
    db->has_root = true;
    db->root_version = root->version;
    db->root_position = root->position;
    db->replayed = root->position;
    db->version = root->version;
    db->run_id = root->run_id;
    return PQDB_OK;
}

// ---- views ------------------------------------------------------------------------------------

static const pqdb_error not_built = {.code = PQDB_INVALID, .message = "it is not built yet"};

static bool is_followed(const pqdb_db *db, const struct pq_db_table *source) {
    return pq_circuit_find(db->circuit, source->id) == NULL ||
           pq_circuit_failure(db->circuit, source->id) == NULL;
}

static const struct pq_root_state *state_named(const struct pq_root_table *table,
                                               const char *name) {
    for (size_t i = 0; i < table->state_count; i++) {
        if (pq_text_is(table->states[i].name, name)) return &table->states[i];
    }
    return NULL;
}

/// Does the root name all that the node needs?
static bool has_states(struct pq_node *node, const struct pq_root_table *named) {
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(node, &count);
    for (size_t i = 0; i < count; i++) {
        const bool is_needed = !parts[i].is_late || parts[i].is_there;
        if (is_needed && state_named(named, parts[i].name) == NULL) return false;
    }
    return true;
}

static pqdb_code open_states(pqdb_db *db, struct pq_node *node, const struct pq_root_table *named,
                             pqdb_error *err) {
    const struct pq_run_io io = pq_db_run_io(db);
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(node, &count);
    for (size_t i = 0; i < count; i++) {
        const struct pq_root_state *state = state_named(named, parts[i].name);
        if (state == NULL) continue;
        pq_node_use_part(node, i);
        PQ_TRY(pq_trace_open(parts[i].trace, &io, state->runs, state->run_count, err));
    }
    return PQDB_OK;
}

/// Its mode has changed since the root: what streamed shows the root's version; what lagged is
/// built to go on with commits, or appends what it lacks.
static void change_pace(pqdb_db *db, const struct pq_root *root,
                        const struct pq_root_table *named, struct pq_db_table *table) {
    if (named == NULL || !table->in_root || table->facts.failed) return;
    const enum pq_root_pace now = pq_db_pace(table);
    if (named->pace == PQ_ROOT_BY_COMMITS && now == PQ_ROOT_BY_REFRESHES) {
        pq_db_set_reflects(db, table, root->version);
        table->facts.reflects_position = root->position;
    } else if (named->pace == PQ_ROOT_BY_REFRESHES && now == PQ_ROOT_BY_COMMITS &&
               !pq_db_is_up_to_date(db, table)) {
        table->facts.failed = true;
        pq_fail(&table->failure, PQDB_INVALID, "it did not stream before, and is being built");
    }
}

/// The view's node with the state the root names; without one it waits to be built.
pqdb_code pq_db_open_view(pqdb_db *db, const struct pq_root *root, const struct pq_view *view,
                          pqdb_error *err) {
    struct pq_db_table *table = pq_db_by_id(db, view->table);
    PQ_TRY(pq_db_join_circuit(db, table, err));
    struct pq_node *node =
        table->node != NULL ? table->node : pq_circuit_find(db->circuit, table->id);
    const struct pq_root_table *named = pq_db_named_in(root, table->id);
    const struct pq_db_table *source = pq_db_by_id(db, view->source);
    const bool lags = view->mode != PQ_VIEW_STREAMING;
    change_pace(db, root, named, table);
    if (lags && table->in_root && source->facts.unbuilt) {
        table->facts.reflects = table->facts.shows = 0;
        table->facts.last = (struct pq_last_refresh){.kind = PQ_REFRESH_NONE};
    }
    // It was manual before; a scheduled one is built when it is made.
    const bool begins = view->mode == PQ_VIEW_SCHEDULED && pq_db_is_new(&table->facts);
    if (table->in_root && !table->facts.failed && !begins && (lags || is_followed(db, source)) &&
        has_states(node, named)) {
        pqdb_error why = {.offset = -1};
        const pqdb_code code = open_states(db, node, named, &why);
        if (code == PQDB_CORRUPT || code == PQDB_NOT_FOUND) {
            pq_db_note_failed(db, table, &why);  // its rows are there; it is built again from its
            return PQDB_OK;                      // source
        }
        if (code != PQDB_OK && err != NULL) *err = why;
        return code;
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
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count; i++) {
        struct pq_db_table *table = pq_db_by_id(db, views->views[i].table);
        const size_t rows = table->root->table->rows;  // what is below it may wait as well
        if (!pq_db_wants_build(table)) continue;
        // A reader has the old contents where there are some, until a writer builds the new ones.
        const bool waits = keeper_follows || (db->options.read_only && table->shown != NULL);
        if (waits && rows > db->wait_rows) continue;
        pqdb_code code;
        pqdb_error why = {.offset = -1};
        if (db->options.read_only || db->version == 0) {
            code = build_here(db, table, db->version, db->replay_time_us, &why);
        } else {
            code = pq_db_build(db, table, PQ_WHY_NOT, &why);
        }
        // Where its source is damaged, the rest of the database can be used all the same.
        if (code == PQDB_CORRUPT) pq_db_note_failed(db, table, &why);
        if (code == PQDB_OK || code == PQDB_CORRUPT || pq_db_is_views_own(code)) continue;
        if (err != NULL) *err = why;
        return code;
    }
    return PQDB_OK;
}

// ---- the log ----------------------------------------------------------------------------------

/// Rows of one collection from several commits, stepped together. What comes and goes again within
/// them is dropped: of each id at most one old and one new row are left.
struct pending {
    struct pq_db_table *table;
    struct pq_hold *hold;  // NULL: nothing waits
    struct pq_builder *columns;
    size_t rows;
    int8_t *weights;       // of each row; 0: dropped. In the hold, as what follows
    size_t weight_capacity;
    uint32_t *slots;       // by id: the row that came last, + 1; NULL before a row goes
    size_t slot_count, slots_used;
    uint64_t version;      // of the last commit in it
    int64_t time_us;
};

struct replay {
    pqdb_db *db;
    struct pending *pending;  // one per table, by its position
    size_t count;
    size_t rows;
    bool by_frame;  // each frame is a step of its own, as it was: some view appends
};

static pqdb_code no_room(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "replayed rows");
}

static pqdb_code begin(pqdb_db *db, struct pending *pending, struct pq_db_table *table,
                       pqdb_error *err) {
    const struct pq_type *type = table->table->options.type;
    *pending = (struct pending){.table = table};
    PQ_TRY(pq_hold_create(db->alloc, &pending->hold, err));
    struct pq_arena *arena = &pending->hold->arena;
    pending->columns = pq_arena_calloc(arena, type->field_count, sizeof *pending->columns);
    if (pending->columns == NULL) return no_room(err);
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&pending->columns[k], &type->fields[k].type, &arena->alloc, err));
    }
    return PQDB_OK;
}

/// The one of a table, begun.
static pqdb_code pending_of(struct replay *replay, struct pq_db_table *table,
                            struct pending **pending, pqdb_error *err) {
    if (table->position >= replay->count) {
        const size_t count = table->position + 8;
        struct pending *grown = pq_resize(replay->db->alloc, replay->pending, replay->count, count,
                                          sizeof *grown);
        if (grown == NULL) return no_room(err);
        memset(grown + replay->count, 0, (count - replay->count) * sizeof *grown);
        replay->pending = grown;
        replay->count = count;
    }
    *pending = &replay->pending[table->position];
    return (*pending)->hold != NULL ? PQDB_OK : begin(replay->db, *pending, table, err);
}

/// What is left of the rows, as one delta.
static pqdb_code finish_rows(struct pending *pending, struct pq_batch *rows, pqdb_error *err) {
    struct pq_arena *arena = &pending->hold->arena;
    PQ_TRY(pq_builder_finish_batch(pending->columns, pending->table->table->options.type, arena,
                                   rows, err));
    if (pending->slots == NULL) return PQDB_OK;
    uint32_t *kept = pq_arena_alloc(arena, pending->rows * sizeof *kept);
    int64_t *weights = pq_arena_alloc(arena, pending->rows * sizeof *weights);
    if (kept == NULL || weights == NULL) return no_room(err);
    size_t count = 0;
    for (int8_t weight = -1; weight <= 1; weight += 2) {
        for (size_t row = 0; row < pending->rows; row++) {
            if (pending->weights[row] != weight) continue;
            weights[count] = weight;
            kept[count++] = (uint32_t)row;
        }
    }
    const struct pq_batch all = *rows;
    PQ_TRY(pq_batch_gather(&all, kept, count, arena, rows, err));
    rows->weights = weights;
    return PQDB_OK;
}

static pqdb_code flush_one(struct replay *replay, struct pending *pending, pqdb_error *err) {
    struct pq_db_delta delta = {.table = pending->table, .hold = pending->hold};
    pqdb_code code;
    if (replay->db->forgives_lost && pending->slots != NULL) {
        const struct pq_column ids = pq_builder_finish(&pending->columns[PQ_COLUMN_ID]);
        PQ_GO(pq_db_forgive_lost(pending->table, &ids, pending->weights, pending->rows, err));
    }
    PQ_GO(finish_rows(pending, &delta.rows, err));
    if (delta.rows.count > 0) {
        PQ_GO(pq_db_step(replay->db, &delta, 1, pending->version, pending->time_us, err));
    } else {  // what came went again, but its commits changed the table
        pending->table->table->version = pending->version;
        PQ_GO(pq_table_publish(pending->table->table, err));
    }
done:
    replay->rows -= pending->rows;
    pq_hold_unref(pending->hold);
    pending->hold = NULL;
    return code == PQDB_OK ? pq_db_spill_replay(replay->db, err) : code;
}

/// Step what waits, tables in the order of their last commits, so that versions rise everywhere.
static pqdb_code flush(struct replay *replay, pqdb_error *err) {
    for (;;) {
        struct pending *next = NULL;
        for (size_t i = 0; i < replay->count; i++) {
            struct pending *pending = &replay->pending[i];
            if (pending->hold == NULL) continue;
            if (next == NULL || pending->version < next->version) next = pending;
        }
        if (next == NULL) return PQDB_OK;
        PQ_TRY(flush_one(replay, next, err));
    }
}

/// All of a frame was one step, at its last version.
static pqdb_code flush_frame(struct replay *replay, const struct pq_log_record *record,
                             pqdb_error *err) {
    for (size_t i = 0; i < replay->count; i++) replay->pending[i].version = record->version;
    return flush(replay, err);
}

static void drop_pending(struct replay *replay) {
    for (size_t i = 0; i < replay->count; i++) pq_hold_unref(replay->pending[i].hold);
    pq_free(replay->db->alloc, replay->pending, replay->count, sizeof *replay->pending);
}

/// The slot of the row that came last with this id, or the free one for it.
static uint32_t *find_slot(const struct pending *pending, struct pq_text id) {
    return pq_id_slot(pending->slots, pending->slot_count, &pending->columns[PQ_COLUMN_ID], id);
}

static pqdb_code grow_slots(struct pending *pending, size_t more, pqdb_error *err) {
    if (pending->slots != NULL && (pending->slots_used + more) * 2 <= pending->slot_count) {
        return PQDB_OK;
    }
    size_t slot_count = 1024;
    while (slot_count < (pending->rows + more) * 2) slot_count *= 2;  // rows before had no index
    pending->slots = pq_arena_calloc(&pending->hold->arena, slot_count, sizeof(uint32_t));
    if (pending->slots == NULL) return no_room(err);
    pending->slot_count = slot_count;
    pending->slots_used = 0;
    for (size_t row = 0; row < pending->rows; row++) {
        if (pending->weights[row] <= 0) continue;
        *find_slot(pending, pq_built_id(&pending->columns[PQ_COLUMN_ID], row)) = (uint32_t)row + 1;
        pending->slots_used++;
    }
    return PQDB_OK;
}

/// The rows from `first` on have been appended: cancel those that go with those that came.
static pqdb_code cancel(struct pending *pending, size_t first, size_t minus, pqdb_error *err) {
    const size_t count = pending->columns[PQ_COLUMN_ID].count;
    PQ_TRY(grow_slots(pending, count - first, err));
    pending->rows = count;
    for (size_t row = first; row < count; row++) {
        uint32_t *slot = find_slot(pending, pq_built_id(&pending->columns[PQ_COLUMN_ID], row));
        if (row >= first + minus) {
            pending->slots_used += *slot == 0;
            *slot = (uint32_t)row + 1;
        } else if (*slot != 0 && pending->weights[*slot - 1] > 0) {
            pending->weights[*slot - 1] = pending->weights[row] = 0;
        }
    }
    return PQDB_OK;
}

static pqdb_code weigh(struct pending *pending, size_t first, const struct pq_log_rows *rows,
                       pqdb_error *err) {
    const size_t count = first + rows->batch.count;
    if (count > pending->weight_capacity) {
        const size_t capacity = count < 1024 ? 2048 : count * 2;
        int8_t *grown = pq_resize(&pending->hold->arena.alloc, pending->weights,
                                  pending->weight_capacity, capacity, 1);
        if (grown == NULL) return no_room(err);
        pending->weights = grown;
        pending->weight_capacity = capacity;
    }
    for (size_t i = 0; i < rows->batch.count; i++) {
        pending->weights[first + i] = i < rows->rows_minus ? -1 : 1;
    }
    // An index is not needed as long as rows only come.
    if (pending->slots == NULL && rows->rows_minus == 0) {
        pending->rows = count;
        return PQDB_OK;
    }
    return cancel(pending, first, rows->rows_minus, err);
}

/// Creation numbers go on behind the highest one.
static void follow_seq(struct pq_db_table *table, const struct pq_log_rows *rows) {
    const int64_t *seq = rows->batch.columns[PQ_COLUMN_SEQ].values;
    for (size_t row = rows->rows_minus; row < rows->batch.count; row++) {
        if ((uint64_t)seq[row] >= table->next_seq) table->next_seq = (uint64_t)seq[row] + 1;
    }
}

static pqdb_code replay_rows(struct replay *replay, const struct pq_log_record *record,
                             const struct pq_log_rows *rows, pqdb_error *err) {
    struct pq_db_table *table = pq_db_by_id(replay->db, rows->collection);
    if (table == NULL || rows->batch.type == NULL) return PQDB_OK;  // dropped since
    follow_seq(table, rows);
    struct pending *pending;
    PQ_TRY(pending_of(replay, table, &pending, err));
    const size_t first = pending->columns[PQ_COLUMN_ID].count;
    for (size_t k = 0; k < rows->batch.type->field_count; k++) {
        PQ_TRY(pq_builder_append_rows(&pending->columns[k], &rows->batch.columns[k], 0,
                                      rows->batch.count, err));
    }
    pending->version = record->version;
    pending->time_us = record->time_us;
    PQ_TRY(weigh(pending, first, rows, err));
    replay->rows += rows->batch.count;
    const bool is_large =
        pending->hold->arena.bytes_held > replay->db->memory.limit / join_share;
    const bool is_full = (replay->rows >= join_rows || is_large) && !replay->by_frame;
    return is_full ? flush(replay, err) : PQDB_OK;
}

static const struct pq_json *member(const struct pq_json *object, const char *name,
                                    enum pq_json_kind kind) {
    const struct pq_json *value = pq_json_find(object, name);
    return value != NULL && pq_json_kind(value) == kind ? value : NULL;
}

/// Can its contents go on through the log? Then that costs what the refresh did.
static bool is_whole(const pqdb_db *db, const struct pq_db_table *table) {
    const struct pq_db_facts *facts = &table->facts;
    return table->node != NULL && !facts->failed && !facts->unbuilt &&
           pq_db_not_by_log(db, table, facts) == PQ_WHY_NOT;
}

/// All that a refresh did, again. Its sources are where they were: what a refresh by the log
/// came to then, one by the log or a full one comes to now.
static pqdb_code repeat(pqdb_db *db, const struct pq_log_record *record, uint64_t names,
                        struct pq_db_table *table, pqdb_error *err) {
    if (table->view->append) {
        const struct pq_db_append_at at = {.discard = record->kind == PQ_LOG_SWAP,
                                           .version = record->version, .names = names,
                                           .time_us = record->time_us};
        const pqdb_code code = pq_db_append_here(db, table, &at, err);
        return code != PQDB_OK && pq_db_is_views_own(code) ? PQDB_OK : code;
    }
    if (record->kind == PQ_LOG_REFRESH && is_whole(db, table)) {
        return pq_db_refresh_here(db, table, record->version, record->time_us, err);
    }
    return build_here(db, table, record->version, record->time_us, err);
}

static pqdb_code replay_refresh(struct replay *replay, const struct pq_log_record *record,
                                pqdb_error *err) {
    pqdb_db *db = replay->db;
    PQ_TRY(flush(replay, err));
    struct pq_json_document *document;
    PQ_TRY(pq_json_parse(record->payload, PQ_JSON_STRICT, db->alloc, &document, err));
    const struct pq_json *said = pq_json_root(document);
    const struct pq_json *name = member(said, "view", PQ_JSON_TEXT);
    const struct pq_json *slot = member(said, "slotUs", PQ_JSON_INT);
    const struct pq_json *failed = member(said, "failed", PQ_JSON_TEXT);
    const bool is_fresh = member(said, "fresh", PQ_JSON_BOOL) != NULL;
    const struct pq_last_refresh did = pq_last_refresh_read(member(said, "refresh",
                                                                   PQ_JSON_OBJECT));
    struct pq_db_table *table = name == NULL ? NULL : pq_db_find(db, pq_json_text(name));
    const bool is_there = table != NULL && table->view != NULL;  // else it was dropped since
    const bool is_try = failed != NULL;
    if (is_there && slot != NULL) table->facts.slot_us = pq_json_int(slot);
    if (is_there) table->facts.refresh_failed = is_try;
    if (is_there && is_try) pq_db_recall_failure(db, table, pq_json_text(failed));
    pq_json_destroy(document);
    if (!is_there || is_try) return PQDB_OK;
    table->failure_logged = 0;
    if (!is_fresh) {
        PQ_TRY(repeat(db, record, did.names, table, err));
        if (did.kind != PQ_REFRESH_NONE && !table->facts.failed) table->facts.last = did;
        return PQDB_OK;
    }
    if (table->node == NULL) return PQDB_OK;
    pq_db_set_reflects(db, table, record->version);
    table->facts.reflects_position = record->next;
    return PQDB_OK;
}

static pqdb_code visit(void *ctx, const struct pq_log_record *record, pqdb_error *err) {
    struct replay *replay = ctx;
    pqdb_db *db = replay->db;
    db->replayed = record->next;
    db->replay_time_us = record->time_us;
    PQ_TRY(pq_db_token_add(db, record->token, record->version, record->time_us, err));
    const bool forgets = record->kind == PQ_LOG_RETENTION;
    if (forgets) PQ_TRY(flush(replay, err));
    pq_circuit_forget(db->circuit, forgets);
    for (size_t i = 0; i < record->rows_count; i++) {
        PQ_TRY(replay_rows(replay, record, &record->rows[i], err));
    }
    if (replay->by_frame && record->last_in_frame) PQ_TRY(flush_frame(replay, record, err));
    if (forgets) PQ_TRY(flush(replay, err));
    pq_circuit_forget(db->circuit, false);
    for (size_t i = 0; forgets && i < record->rows_count; i++) {
        const struct pq_db_table *table = pq_db_by_id(db, record->rows[i].collection);
        if (table != NULL) pq_db_note_forgotten(db, table);
    }
    if (record->kind == PQ_LOG_REFRESH || record->kind == PQ_LOG_SWAP) {
        PQ_TRY(replay_refresh(replay, record, err));
    }
    db->version = record->version;
    return PQDB_OK;
}

/// A row that came and went again has taken the place of one that was kept, if there was one.
static bool keeps_rows(const pqdb_db *db) {
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count; i++) {
        if (views->views[i].entry->retention_keeps && !views->views[i].grouped) return true;
    }
    return false;
}

static pqdb_code replay_log(pqdb_db *db, pqdb_error *err) {
    struct replay replay = {.db = db, .by_frame = pq_db_has_appending(db) || keeps_rows(db)};
    const struct pq_log_visitor visitor = {.schemas = pq_db_log_schemas(db), .visit = visit,
                                           .ctx = &replay};
    db->is_replaying = true;
    pqdb_code code = pq_log_replay(db->log, &visitor, err);
    if (code == PQDB_OK) code = flush(&replay, err);
    drop_pending(&replay);
    db->is_replaying = false;
    return code;
}

// ---- leftovers --------------------------------------------------------------------------------

/// Files of a checkpoint that did not get as far as its root, and such as lie beside nothing.
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
            const bool is_unfinished =  // what was being made beside a data file
                name.length > 4 && memcmp(name.data + name.length - 4, ".new", 4) == 0;
            if (!is_unfinished && !pq_db_is_left_beside(tables->at[i], &list, name) &&
                strtoull(name.data, NULL, 10) <= db->root_version) {
                continue;
            }
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
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count; i++) {
        PQ_TRY(pq_db_open_view(db, root, &views->views[i], err));
    }
    if (!db->has_root) PQ_TRY(build_waiting(db, false, err));  // from nothing: the log has it all
    if (!db->options.read_only) {
        PQ_TRY(remove_leftovers(db, arena, err));
        PQ_TRY(pq_db_remove_unfinished(db, arena, err));
        PQ_TRY(pq_db_remove_dropped(db, arena, err));
    }
    PQ_TRY(replay_log(db, err));
    pq_db_announce_published(db, root);
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; !db->options.read_only && i < tables->count; i++) {
        const struct pq_db_table *table = tables->at[i];
        if (table->view == NULL) PQ_TRY(pq_log_use_names(db->log, table->id, table->names, err));
    }
    PQ_TRY(pq_db_publish(db, db->version, db->replay_time_us, err));
    PQ_TRY(build_waiting(db, keeper_follows, err));
    // What was built without a commit is not shown yet.
    const bool builds_here = db->options.read_only || db->version == 0;
    return builds_here ? pq_db_publish(db, db->version, db->replay_time_us, err) : PQDB_OK;
}
