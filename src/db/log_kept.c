/// db/log_kept.c: who needs the log, and from where on. This tells it of now; the next checkpoint
/// acts on it (trim_log in db/garbage.c).
#include <inttypes.h>
#include <stdio.h>

#include "db/checkpoint_internal.h"
#include "db/kept.h"
#include "db/readers.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "table/data_file.h"

struct asked {
    pqdb_db *db;
    const struct pq_db_snapshot *snapshot;
    pqdb_on_log_holder on_holder;
    void *ctx;
};

static uint64_t file_bytes(const struct pq_db_snapshot *snapshot, uint32_t id) {
    const struct pq_db_table *table = pq_db_snapshot_by_id(snapshot, id);
    const struct pq_table_snapshot *rows =
        table == NULL ? NULL : pq_db_snapshot_rows(snapshot, table);
    uint64_t bytes = 0;
    for (size_t i = 0; rows != NULL && i < rows->catalog->count; i++) {
        const struct pq_segment *segment = rows->catalog->segments[i];
        if (segment->kind == PQ_SEGMENT_FILE) bytes += pq_data_file_bytes(segment->file);
    }
    return bytes;
}

static uint64_t sources_bytes(const struct asked *asked, const struct pq_view *view) {
    uint64_t bytes = file_bytes(asked->snapshot, view->source);
    for (size_t i = 0; i < view->linked_count; i++) {
        bytes += file_bytes(asked->snapshot, view->linked[i]);
    }
    return bytes;
}

uint64_t pq_db_log_most(const pqdb_db *db, const struct pq_db_table *table,
                        uint64_t sources_bytes) {
    if (table->view->append || table->entry->retention_keeps) return UINT64_MAX;
    if (pq_db_never_by_log(table) != PQ_WHY_NOT) return 0;
    return sources_bytes < db->lag_bytes ? db->lag_bytes : sources_bytes;
}

/// Of a view that lags; false: it needs nothing of the log.
static bool hold_of(const struct asked *asked, const struct pq_db_table *table,
                    struct pqdb_log_holder *holder) {
    pqdb_db *db = asked->db;
    const struct pq_db_facts *facts = &asked->snapshot->facts[table->position];
    struct pq_log_position position = facts->reflects_position;
    if (facts->reflects == 0) position.version = 1;  // it lacks the first commit
    const bool has_contents = !pq_db_is_new(facts) && !facts->unbuilt;
    const bool lags = table->view->mode != PQ_VIEW_STREAMING && has_contents &&
                      pq_db_moved_on(asked->snapshot, table->view, facts->reflects) != NULL;
    const uint64_t most =
        lags ? pq_db_log_most(db, table, sources_bytes(asked, table->view)) : 0;
    if (most == 0) return false;
    const uint64_t bytes = pq_log_bytes_since(db->log, &position);
    const uint64_t first = pq_log_first_version(db->log);
    *holder = (struct pqdb_log_holder){
        .name = table->entry->name.data, .version = position.version, .bytes = bytes,
        .reason = "since its last refresh"};
    if (position.version < first) {
        holder->is_let_go = true;
        holder->version = first;
        holder->reason = table->view->append
                             ? "the log does not reach its last refresh: the next one looks for "
                               "new rows in all of its source"
                         : pq_db_is_kept(table, facts)
                             ? "the log does not reach its last refresh: only --full --discard "
                               "brings it forward, without what it keeps"
                             : "the log is trimmed past its last refresh: the next one computes "
                               "it anew";
    } else if (bytes > most) {
        holder->is_let_go = true;
        holder->reason = "more than its sources hold: the next refresh computes it anew";
    }
    return true;
}

bool pq_db_log_hold(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                    const struct pq_db_table *table, struct pqdb_log_holder *holder) {
    const struct asked asked = {.db = db, .snapshot = snapshot};
    return hold_of(&asked, table, holder);
}

static void tell(const struct asked *asked, const char *name, const char *reason,
                 const struct pq_log_position *position) {
    const struct pqdb_log_holder holder = {
        .name = name, .reason = reason, .version = position->version,
        .bytes = pq_log_bytes_since(asked->db->log, position)};
    asked->on_holder(asked->ctx, &holder);
}

/// The collection, or view with changes, whose history is longest.
static void tell_history(const struct asked *asked) {
    const struct pq_db_tables *tables = asked->snapshot->list;
    const struct pq_entry *longest = NULL;
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_entry *entry = tables->at[i]->entry;
        const bool keeps = tables->at[i]->view == NULL || entry->has_history;
        if (!keeps || pq_db_snapshot_rows(asked->snapshot, tables->at[i]) == NULL) continue;
        if (longest == NULL || entry->history_us > longest->history_us) longest = entry;
    }
    if (longest == NULL || longest->history_us == 0) return;
    pqdb_db *db = asked->db;
    const int64_t from_us = db->env->now_us(db->env->ctx) - longest->history_us;
    const struct pq_log_position position =
        pq_log_segment_of(db->log, pq_log_version_near(db->log, from_us));
    tell(asked, longest->name.data, "its $history", &position);
}

pqdb_code pqdb_log_holders(pqdb_db *db, pqdb_on_log_holder on_holder, void *ctx,
                           pqdb_error *err) {
    (void)err;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct asked asked = {db, snapshot, on_holder, ctx};
    pthread_mutex_lock(&db->leader);
    const struct pq_log_position root = db->root_position, pinned = db->pinned;
    const struct pq_log_position making = db->making_pinned;
    const uint64_t root_version = db->root_version;
    pthread_mutex_unlock(&db->leader);
    tell_history(&asked);
    for (size_t i = 0; i < snapshot->list->count; i++) {
        const struct pq_db_table *table = snapshot->list->at[i];
        struct pqdb_log_holder holder;
        if (table->view == NULL || pq_db_snapshot_rows(snapshot, table) == NULL) continue;
        if (hold_of(&asked, table, &holder)) on_holder(ctx, &holder);
    }
    if (pinned.version > 0) tell(&asked, "", "a build that runs", &pinned);
    if (making.version > 0) tell(&asked, "", "state made in the background", &making);
    if (root_version > 0 && pq_db_is_read(db, root_version)) {
        const struct pq_log_position first =
            pq_log_segment_of(db->log, pq_log_first_version(db->log));
        tell(&asked, "", "a process that reads an earlier checkpoint", &first);
    }
    if (root.version > 0) tell(&asked, "", "the last checkpoint", &root);
    pq_db_snapshot_unref(snapshot);
    return PQDB_OK;
}
