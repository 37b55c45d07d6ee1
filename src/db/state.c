/// db/state.c: what a database and its views can tell of themselves. Everything is computed from
/// facts of one snapshot; nothing waits for writers.
#include <inttypes.h>
#include <parquedb/view.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "db/catch_up.h"
#include "db/checkpoint_internal.h"
#include "db/schedule.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "table/data_file.h"

enum { merges_max = 16 };  // that one call of pqdb_checkpoint does

static const char *const mode_names[] = {"streaming", "scheduled", "manual", "streaming"};

static uint64_t file_bytes(const struct pq_table_snapshot *snapshot, size_t *count) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < snapshot->catalog->count; i++) {
        const struct pq_segment *segment = snapshot->catalog->segments[i];
        if (segment->kind != PQ_SEGMENT_FILE) continue;
        bytes += pq_data_file_bytes(segment->file);
        if (count != NULL) ++*count;
    }
    return bytes;
}

// ---- views ------------------------------------------------------------------------------------

const struct pq_db_table *pq_db_moved_on(const struct pq_db_snapshot *snapshot,
                                         const struct pq_view *view, uint64_t version) {
    const struct pq_db_table *table = pq_db_snapshot_by_id(snapshot, view->source);
    if (pq_db_snapshot_rows(snapshot, table)->version > version) return table;
    for (size_t i = 0; i < view->linked_count; i++) {
        table = pq_db_snapshot_by_id(snapshot, view->linked[i]);
        if (pq_db_snapshot_rows(snapshot, table)->version > version) return table;
    }
    return NULL;
}

/// How far its build is, 0 to 100; -1: none runs.
static int built_percent(const struct pq_db_table *table) {
    const uint64_t all = table->build_rows, built = table->built_rows;
    if (all == 0) return -1;
    return built >= all ? 100 : (int)(built * 100 / all);
}

/// Nothing readable exists: why not.
static void print_unbuilt(const struct pq_db_table *table, const struct pq_db_facts *facts,
                          char *reason, size_t reason_bytes) {
    const int percent = built_percent(table);
    if (facts->shows_old) {
        const bool runs = percent >= 0;
        snprintf(reason, reason_bytes, "its definition changed, and the new contents %s",
                 facts->failed ? "could not be built" : runs ? "are being built" : "are not built "
                                                                                    "yet");
    } else if (percent >= 0) {
        snprintf(reason, reason_bytes, "being built, %d %%", percent);
    } else if (facts->failed) {
        snprintf(reason, reason_bytes, "its build failed");
    } else if (table->view->mode == PQ_VIEW_MANUAL) {
        snprintf(reason, reason_bytes, "its definition changed: refresh it");
    } else {
        snprintf(reason, reason_bytes, "being built, 0 %%");
    }
}

/// Is the view at the version of its sources, and so on down? The first that is not is named.
static bool is_fresh(const struct pq_db_snapshot *snapshot, const struct pq_db_table *table,
                     char *reason, size_t reason_bytes) {
    const struct pq_db_facts *facts = &snapshot->facts[table->position];
    const struct pq_db_table *source = pq_db_snapshot_by_id(snapshot, table->view->source);
    if (facts->unbuilt) {  // what is shown is of another definition
        print_unbuilt(table, facts, reason, reason_bytes);
        return false;
    }
    if (facts->failed) {
        snprintf(reason, reason_bytes, "its last step failed");
        return false;
    }
    if (table->view->mode != PQ_VIEW_STREAMING) {
        if (pq_db_is_new(facts)) {
            snprintf(reason, reason_bytes, "never refreshed");
            return false;
        }
        const struct pq_db_table *moved = pq_db_moved_on(snapshot, table->view, facts->reflects);
        if (moved != NULL) {
            const uint64_t version = pq_db_snapshot_rows(snapshot, moved)->version;
            snprintf(reason, reason_bytes, "%.*s is at seq-%" PRIu64 ", this view reflects seq-%"
                     PRIu64, PQ_TEXT_ARG(moved->entry->name), version, facts->reflects);
            return false;
        }
    }
    if (source->view == NULL) return true;
    char below[160];
    if (is_fresh(snapshot, source, below, sizeof below)) return true;
    snprintf(reason, reason_bytes, "%.*s is not fresh: %s", PQ_TEXT_ARG(source->entry->name),
             below);
    return false;
}

bool pq_db_is_fresh(const struct pq_db_snapshot *snapshot, const struct pq_db_table *table) {
    char reason[200];
    return is_fresh(snapshot, table, reason, sizeof reason);
}

uint64_t pq_db_version_of(const struct pq_db_snapshot *snapshot,
                          const struct pq_db_table *table) {
    for (; table->view != NULL; table = pq_db_snapshot_by_id(snapshot, table->view->source)) {
        const struct pq_db_facts *facts = &snapshot->facts[table->position];
        const bool follows = table->view->mode == PQ_VIEW_STREAMING && !facts->shows_old;
        if (facts->shows_old) return facts->reflects;
        if (facts->failed || !follows) return facts->shows;
    }
    return snapshot->version;
}

static pqdb_code check_there(const struct pq_db_snapshot *snapshot,
                             const struct pq_db_table *table, pqdb_error *err) {
    if (pq_db_snapshot_rows(snapshot, table) != NULL) return PQDB_OK;
    const struct pq_text name = table->entry->name;
    pq_fail(err, PQDB_NOT_FOUND, "there is no view %.*s at this version", PQ_TEXT_ARG(name));
    return pq_fail_subject(err, PQDB_NOT_FOUND, name);
}

pqdb_code pq_db_readable(const struct pq_db_snapshot *snapshot, const struct pq_db_table *table,
                         pqdb_error *err) {
    PQ_TRY(check_there(snapshot, table, err));
    const struct pq_db_facts *facts = &snapshot->facts[table->position];
    if (!facts->unbuilt) return PQDB_OK;
    char reason[120];
    print_unbuilt(table, facts, reason, sizeof reason);
    pq_fail(err, PQDB_INVALID, "the view is invalid: %s", reason);
    return pq_fail_subject(err, PQDB_INVALID, table->entry->name);
}

pqdb_code pq_db_showable(const struct pq_db_snapshot *snapshot, const struct pq_db_table *table,
                         const struct pq_db_table **as, pqdb_error *err) {
    *as = table;
    PQ_TRY(check_there(snapshot, table, err));
    if (!snapshot->facts[table->position].shows_old) return pq_db_readable(snapshot, table, err);
    *as = table->shown;
    return PQDB_OK;
}

/// The last commit that changed what the view, or one below it, reads.
static uint64_t newest_below(const struct pq_db_snapshot *snapshot,
                             const struct pq_db_table *table) {
    uint64_t newest = pq_db_snapshot_rows(snapshot, table->root)->version;
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        for (size_t i = 0; i < view->linked_count; i++) {
            const struct pq_db_table *linked = pq_db_snapshot_by_id(snapshot, view->linked[i]);
            const uint64_t version = pq_db_snapshot_rows(snapshot, linked)->version;
            if (version > newest) newest = version;
        }
    }
    return newest;
}

static void print_schedule(pqdb_db *db, const struct pq_view *view, int64_t slot_us,
                           pqdb_view_state *state) {
    state->schedule = state->timezone = "";
    if (view->mode != PQ_VIEW_SCHEDULED) return;
    state->schedule = view->schedule.data;
    state->timezone = view->zone.length == 0 ? "UTC" : view->zone.data;
    state->last_slot_us = slot_us;
    state->next_refresh_us = pq_db_slot_next(view, db->env->now_us(db->env->ctx));
}

void pq_db_view_state(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                      const struct pq_db_table *table, pqdb_view_state *state) {
    const struct pq_view *view = table->view;
    const struct pq_db_facts *facts = &snapshot->facts[table->position];
    const struct pq_db_table *source = pq_db_snapshot_by_id(snapshot, view->source);
    const struct pq_table_snapshot *rows = pq_db_snapshot_rows(snapshot, table);
    *state = (pqdb_view_state){
        .name = table->entry->name.data, .from = source->entry->name.data,
        .mode = mode_names[view->mode], .strategy = view->append ? "append" : "replace",
        .is_incremental = view->not_incremental.length == 0,
        .not_incremental = view->not_incremental.length == 0 ? "" : view->not_incremental.data,
        .source_version = pq_db_snapshot_rows(snapshot, source)->version,
        .refreshed_us = facts->refreshed_us, .last_refresh = pq_refresh_kind_text(facts->last.kind),
        .last_refresh_reason = pq_refresh_why_text(facts->last.why),
        .last_refresh_rows = facts->last.rows,
        .last_refresh_us = facts->last.took_us, .grace_us = view->grace_us,
        .rows = rows->rows,
        .bytes = file_bytes(rows, NULL)};
    state->keeps_dropped = pq_db_keeps_dropped(table);
    print_schedule(db, view, facts->slot_us, state);
    snprintf(state->refresh_version_id, sizeof state->refresh_version_id, "%016" PRIx64,
             view->refresh_version);
    const bool fresh = is_fresh(snapshot, table, state->reason, sizeof state->reason);
    state->state = facts->unbuilt && !facts->shows_old ? "invalid" : fresh ? "fresh" : "stale";
    state->build_percent = built_percent(table);
    const uint64_t now = db->env->monotonic_ns(db->env->ctx), due = table->retry_ns;
    const bool has_error = facts->failed || facts->refresh_failed;
    if (has_error && due > now) state->next_try_us = (int64_t)((due - now) / 1000);
    state->version = pq_db_version_of(snapshot, table);
    const uint64_t newest = newest_below(snapshot, table);
    if (!fresh && newest > state->version) state->lag_versions = newest - state->version;
    if (!has_error) return;
    pthread_mutex_lock(&db->published_lock);
    const pqdb_error why = table->failure;
    pthread_mutex_unlock(&db->published_lock);
    char at[40] = "";
    if (why.code == PQDB_CORRUPT && why.offset >= 0) {
        snprintf(at, sizeof at, " at byte %lld", (long long)why.offset);
    }
    const bool is_named = why.subject[0] != '\0' && strcmp(why.subject, state->name) != 0;
    snprintf(state->last_error, sizeof state->last_error, "%.110s%s%s%.100s",
             is_named ? why.subject : "", at, is_named || at[0] != '\0' ? ": " : "", why.message);
}

void pq_db_set_failure(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why) {
    pthread_mutex_lock(&db->published_lock);
    table->failure = *why;
    pthread_mutex_unlock(&db->published_lock);
}

pqdb_code pqdb_view_state_get(pqdb_db *db, const char *name, pqdb_view_state *state,
                              pqdb_error *err) {
    struct pq_db_table *table;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    pqdb_code code = pq_db_snapshot_find_view(db, snapshot, pq_text_of(name), &table, err);
    if (code == PQDB_OK) pq_db_view_state(db, snapshot, table, state);
    struct pqdb_log_holder holder;
    if (code == PQDB_OK && pq_db_log_hold(db, snapshot, table, &holder)) {
        state->log_version = holder.version;
        state->log_bytes = holder.bytes;
        state->log_let_go = holder.is_let_go;
    }
    if (code == PQDB_OK && state->lag_versions > 0) {
        state->stale_since_us = pq_db_lacks_since(db, table, state->version);
    }
    pq_db_snapshot_unref(snapshot);
    return code;
}

pqdb_code pqdb_view_lag_changes(pqdb_db *db, const char *name, uint64_t *rows, pqdb_error *err) {
    struct pq_db_table *table;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const pqdb_code code = pq_db_snapshot_find_view(db, snapshot, pq_text_of(name), &table, err);
    if (code == PQDB_OK) {
        pqdb_view_state state;
        pq_db_view_state(db, snapshot, table, &state);
        *rows = state.lag_versions == 0
                    ? 0 : pq_db_lack_of(db, table, state.version, UINT64_MAX).rows;
    }
    pq_db_snapshot_unref(snapshot);
    return code;
}

/// What the view shows of a source is the source's last commit up to the view's version. When that
/// was is no longer known once the source has moved on: the view's version stands for it.
pqdb_code pqdb_view_sources(pqdb_db *db, const char *name, pqdb_on_source on_source, void *ctx,
                            pqdb_error *err) {
    struct pq_db_table *table;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const pqdb_code code = pq_db_snapshot_find_view(db, snapshot, pq_text_of(name), &table, err);
    const struct pq_view *view = code == PQDB_OK ? table->view : NULL;
    const uint64_t shown = code == PQDB_OK ? pq_db_version_of(snapshot, table) : 0;
    for (size_t i = 0; code == PQDB_OK && i <= view->linked_count; i++) {
        const struct pq_db_table *source =
            pq_db_snapshot_by_id(snapshot, i == 0 ? view->source : view->linked[i - 1]);
        if (i > 0 && source->id == view->source) continue;
        const uint64_t newest = source->view == NULL
                                    ? pq_db_snapshot_rows(snapshot, source)->version
                                    : pq_db_version_of(snapshot, source);
        const pqdb_view_source told = {.name = source->entry->name.data, .newest = newest,
                                       .version = newest < shown ? newest : shown};
        on_source(ctx, &told);
    }
    pq_db_snapshot_unref(snapshot);
    return code;
}

size_t pqdb_view_count(const pqdb_db *db) {
    const struct pq_views *views = db->views;
    return views->count;
}

const char *pqdb_view_name(const pqdb_db *db, size_t index) {
    const struct pq_views *views = db->views;
    return index < views->count ? views->views[index].name.data : "";
}

pqdb_code pqdb_view_definition(pqdb_db *db, const char *name, const char **json,
                               pqdb_error *err) {
    struct pq_db_table *table;
    PQ_TRY(pq_db_find_view(db, pq_text_of(name), &table, err));
    *json = table->view->definition.data;
    return PQDB_OK;
}

/// A line for each piece of the view's state.
static pqdb_code explain_state(pqdb_db *db, const struct pq_db_table *table, pqdb_on_line on_line,
                               void *ctx, pqdb_error *err) {
    struct pq_bytes lines;
    pq_bytes_init(&lines, db->alloc);
    size_t count = 0;
    pqdb_code code = PQDB_OK;
    pthread_mutex_lock(&db->leader);
    struct pq_node *node =
        table->node != NULL ? table->node : pq_circuit_find(db->circuit, table->id);
    const struct pq_node_part *parts = node == NULL ? NULL : pq_node_parts(node, &count);
    for (size_t i = 0; code == PQDB_OK && i < count; i++) {
        if (!parts[i].is_there) continue;
        const struct pq_trace *trace = parts[i].trace;
        uint64_t rows = 0;
        for (size_t k = 0; k < trace->run_count; k++) rows += pq_run_name(trace->runs[k])->rows;
        code = pq_bytes_printf(&lines, err,
                               "state: %s, %zu row%s in memory in %zu bytes, %" PRIu64
                               " on disk in %zu run%s%c",
                               parts[i].what, trace->live_rows, trace->live_rows == 1 ? "" : "s",
                               pq_trace_bytes(trace), rows, trace->run_count,
                               trace->run_count == 1 ? "" : "s", '\0');
    }
    pthread_mutex_unlock(&db->leader);
    const char *line = (const char *)lines.data;
    for (size_t at = 0; code == PQDB_OK && at < lines.length; at += strlen(line + at) + 1) {
        on_line(ctx, line + at);
    }
    if (code == PQDB_OK && count == 0) {
        on_line(ctx, "state: none, each change maps to its own rows");
    }
    pq_bytes_deinit(&lines);
    return code;
}

/// What its last steps took; of a view that lags, its last refresh.
static void print_cost(pqdb_db *db, const struct pq_db_table *table, char *line, size_t bytes) {
    pthread_mutex_lock(&db->leader);
    const struct pq_circuit_cost *kept = pq_circuit_cost(db->circuit, table->id);
    const struct pq_circuit_cost cost = kept == NULL ? (struct pq_circuit_cost){0} : *kept;
    const struct pq_db_facts facts = table->facts;
    pthread_mutex_unlock(&db->leader);
    if (table->view->mode != PQ_VIEW_STREAMING && facts.last.kind == PQ_REFRESH_NONE) {
        snprintf(line, bytes, "cost: it was never refreshed");
    } else if (table->view->mode != PQ_VIEW_STREAMING) {
        snprintf(line, bytes, "cost: the last refresh (%s) changed %" PRIu64 " rows in %.3f ms",
                 pq_refresh_kind_text(facts.last.kind), facts.last.rows,
                 (double)facts.last.took_us / 1e3);
    } else if (cost.steps == 0) {
        snprintf(line, bytes, "cost: no step since the database was opened");
    } else {
        snprintf(line, bytes,
                 "cost: %" PRIu64 " steps since it was opened; the last ones took %.1f rows in, "
                 "%.1f out, %.1f us on average", cost.steps, cost.rows_in, cost.rows_out,
                 cost.ns / 1e3);
    }
}

pqdb_code pqdb_view_explain(pqdb_db *db, const char *name, pqdb_on_line on_line, void *ctx,
                            pqdb_error *err) {
    struct pq_db_table *table;
    char line[256];
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const pqdb_code there = pq_db_snapshot_find_view(db, snapshot, pq_text_of(name), &table, err);
    if (there != PQDB_OK) {
        pq_db_snapshot_unref(snapshot);
        return there;
    }
    const struct pq_view *view = table->view;
    for (size_t i = 0; i < view->explain_count; i++) on_line(ctx, view->explain[i].data);
    const struct pq_table_snapshot *rows = pq_db_snapshot_rows(snapshot, table);
    size_t files = 0;
    const uint64_t bytes = file_bytes(rows, &files);
    snprintf(line, sizeof line,
             "table: %s, %zu row%s, %zu file%s of %" PRIu64 " bytes, the rest in memory and log",
             table->directory, rows->rows, rows->rows == 1 ? "" : "s", files,
             files == 1 ? "" : "s", bytes);
    pq_db_snapshot_unref(snapshot);
    on_line(ctx, line);
    PQ_TRY(explain_state(db, table, on_line, ctx, err));
    snprintf(line, sizeof line, "refresh: %s",
             view->not_incremental.length == 0 ? "incremental" : view->not_incremental.data);
    on_line(ctx, line);
    print_cost(db, table, line, sizeof line);
    on_line(ctx, line);
    return PQDB_OK;
}

// ---- the database -----------------------------------------------------------------------------

const char *pqdb_schema_text(const pqdb_db *db, size_t *length) {
    const struct pq_schema *schema = db->schema;
    if (length != NULL) *length = schema->source.length;
    return schema->source.data;
}

size_t pqdb_entry_count(const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    return tables->count;
}

pqdb_code pqdb_entry_at(pqdb_db *db, size_t index, pqdb_entry *entry, pqdb_error *err) {
    static const char *const kinds[] = {"collection", "stream", "view", "external"};
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_db_tables *tables = snapshot->list;
    const pqdb_code code = index < tables->count ? PQDB_OK
                                                 : pq_fail(err, PQDB_NOT_FOUND,
                                                           "the schema has %zu entries",
                                                           tables->count);
    if (code == PQDB_OK) {
        const struct pq_db_table *table = tables->at[index];
        const struct pq_table_snapshot *rows = pq_db_snapshot_rows(snapshot, table);
        const struct pq_db_table *source =
            table->view == NULL ? NULL : pq_db_snapshot_by_id(snapshot, table->view->source);
        *entry = (pqdb_entry){
            .name = table->entry->name.data, .kind = kinds[table->entry->kind],
            .ingest = table->entry->ingest.length == 0 ? "" : table->entry->ingest.data,
            .from = source == NULL ? "" : source->entry->name.data,
            .rows = rows == NULL ? 0 : rows->rows, .version = rows == NULL ? 0 : rows->version};
    }
    pq_db_snapshot_unref(snapshot);
    return code;
}

pqdb_code pqdb_columns(pqdb_db *db, const char *name, pqdb_on_column on_column, void *ctx,
                       pqdb_error *err) {
    struct pq_db_table *table;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const pqdb_code code = pq_db_snapshot_find(db, snapshot, pq_text_of(name), &table, err);
    const struct pq_db_table *as = table;
    if (code == PQDB_OK && snapshot->facts[table->position].shows_old) as = table->shown;
    pq_db_snapshot_unref(snapshot);
    PQ_TRY(code);
    // A refresh may replace the rows meanwhile; their type stays.
    const struct pq_type *type = pq_db_rows_type(as);
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    for (uint32_t k = 0; k < type->field_count; k++) {
        const struct pq_text shown = pq_type_format(&type->fields[k].type, &arena);
        const bool is_system =
            table->view == NULL ? k < PQ_COLUMN_DECLARED || k + 1 == type->field_count : k < 2;
        on_column(ctx, type->fields[k].name.data, shown.data == NULL ? "" : shown.data,
                  is_system);
    }
    pq_arena_deinit(&arena);
    return PQDB_OK;
}

pqdb_code pqdb_checkpoint(pqdb_db *db, pqdb_error *err) {
    pthread_mutex_lock(&db->leader);
    const pqdb_code code = pq_db_check_open(db, err);
    pthread_mutex_unlock(&db->leader);
    if (code != PQDB_OK) return code;
    bool merged = false, merged_runs = false;
    PQ_TRY(pq_db_retain(db, err));
    PQ_TRY(pq_db_checkpoint(db, true, err));
    for (int round = 0; round < merges_max; round++) {
        PQ_TRY(pq_db_merge_files(db, &merged, err));
        PQ_TRY(pq_db_merge_runs(db, &merged_runs, err));
        if (!merged && !merged_runs) break;
        PQ_TRY(pq_db_checkpoint(db, true, err));
    }
    return PQDB_OK;
}

pqdb_code pqdb_status_get(pqdb_db *db, pqdb_status *status, pqdb_error *err) {
    (void)err;
    // A newer list may just be made while the schema changes.
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_db_tables *tables = snapshot->list;
    *status = (pqdb_status){0};
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->at[i]->view != NULL) status->views++;
    }
    status->collections = tables->count - status->views;
    status->version = snapshot->version;
    status->time_us = snapshot->time_us;
    for (size_t i = 0; i < snapshot->count; i++) {
        if (snapshot->tables[i] == NULL) continue;
        status->file_bytes += file_bytes(snapshot->tables[i], &status->file_count);
    }
    pq_db_snapshot_unref(snapshot);
    pthread_mutex_lock(&db->leader);
    status->checkpoint_version = db->root_version;
    status->log_bytes = pq_log_bytes_since(db->log, &db->root_position);
    pq_db_memory_status(db, status);
    pthread_mutex_unlock(&db->leader);
    pthread_mutex_lock(&db->keeper_lock);
    memcpy(status->background_error, db->background_error, sizeof status->background_error);
    pthread_mutex_unlock(&db->keeper_lock);
    return PQDB_OK;
}

// ---- the change feed --------------------------------------------------------------------------

static const char *kind_name(enum pq_log_kind kind) {
    switch (kind) {
    case PQ_LOG_COMMIT: return "commit";
    case PQ_LOG_REFRESH: return "refresh";
    case PQ_LOG_SWAP: return "rebuild";
    case PQ_LOG_SCHEMA: return "schema";
    case PQ_LOG_RETENTION: return "retention";
    default: return "attach";
    }
}

/// The token without what stands for its content.
static void show_token(struct pq_text token, char out[PQ_LOG_TOKEN_BYTES_MAX + 1]) {
    const size_t length = token.length > 9 ? token.length - 9 : 0;
    memcpy(out, token.data, length);
    out[length] = '\0';
}

static pqdb_code show_record(pqdb_db *db, const struct pq_log_record *record,
                             pqdb_on_change on_change, void *ctx) {
    char token[PQ_LOG_TOKEN_BYTES_MAX + 1];
    show_token(record->token, token);
    pqdb_change change = {.version = record->version, .time_us = record->time_us,
                          .kind = kind_name(record->kind), .collection = "", .token = token};
    if (record->rows_count == 0) return on_change(ctx, &change);
    for (size_t i = 0; i < record->rows_count; i++) {
        const struct pq_db_table *table = pq_db_by_id(db, record->rows[i].collection);
        change.collection = table == NULL ? "(dropped)" : table->entry->name.data;
        change.rows_added = record->rows[i].rows_plus;
        change.rows_removed = record->rows[i].rows_minus;
        PQ_TRY(on_change(ctx, &change));
    }
    return PQDB_OK;
}

pqdb_code pqdb_log_read(pqdb_db *db, uint64_t since, pqdb_on_change on_change, void *ctx,
                        pqdb_error *err) {
    const struct pq_log_schemas none = pq_db_log_counts();
    struct pq_log_reader *reader;
    PQ_TRY(pq_log_reader_open(db->log, since + 1, &none, &reader, err));
    pqdb_code code;
    for (;;) {
        const struct pq_log_record *record;
        code = pq_log_reader_next(reader, &record, err);
        if (code != PQDB_OK || record == NULL) break;
        code = show_record(db, record, on_change, ctx);
        if (code != PQDB_OK) break;
    }
    pq_log_reader_close(reader);
    return code;
}

uint64_t pqdb_log_first(pqdb_db *db) { return pq_log_first_version(db->log); }
