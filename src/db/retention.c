/// db/retention.c: rows older than the `$retention` of their collection go, by event time and in
/// commits of their own (RETENTION in the log), so that a view can tell them from what users delete
/// and keep what came of them (`$onRetention: 'keep'`).
#include <stdio.h>

#include "base/fail.h"
#include "db/schema_change.h"
#include "db/write_internal.h"
#include "type/timestamp.h"

enum {
    rows_once = 16384,  // in one commit
    part = 50,          // of the time that rows are kept: so often it is looked
    pause_min_s = 1, pause_max_s = 60,
};

static pqdb_code retain_table(pqdb_db *db, const struct pq_entry *entry, pqdb_error *err) {
    const int64_t cut_us = db->env->now_us(db->env->ctx) - entry->retention_us;
    char time[PQ_TIME_TEXT_MAX];
    struct pq_bytes where;
    pq_bytes_init(&where, db->alloc);
    pq_timestamp_format(cut_us, time);
    pqdb_code code = pq_bytes_append_byte(&where, '{', err);
    if (code == PQDB_OK) code = pq_json_write_text(&where, entry->retention_by, err);
    if (code == PQDB_OK) code = pq_bytes_printf(&where, err, ":{\"$lt\":\"%s\"}}", time);
    uint64_t removed = rows_once;
    while (code == PQDB_OK && removed == rows_once && !db->closes) {
        code = pq_db_delete_old(db, entry->name.data, (const char *)where.data, rows_once,
                                &removed, err);
    }
    pq_bytes_deinit(&where);
    return code;
}

pqdb_code pq_db_retain(pqdb_db *db, pqdb_error *err) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_db_tables *tables = snapshot->list;
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < tables->count; i++) {
        const struct pq_db_table *table = tables->at[i];
        const struct pq_table_snapshot *rows = pq_db_snapshot_rows(snapshot, table);
        if (table->view != NULL || table->entry->retention_us == 0) continue;
        if (rows == NULL || rows->rows == 0) continue;
        code = retain_table(db, table->entry, err);
        if (code == PQDB_NOT_FOUND) code = PQDB_OK;  // dropped meanwhile
    }
    pq_db_snapshot_unref(snapshot);
    return code;
}

uint64_t pq_db_retention_pause(pqdb_db *db) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    int64_t shortest = 0;
    for (size_t i = 0; i < snapshot->list->count; i++) {
        const struct pq_entry *entry = snapshot->list->at[i]->entry;
        const int64_t kept = entry->kind == PQ_ENTRY_VIEW ? 0 : entry->retention_us;
        if (kept > 0 && (shortest == 0 || kept < shortest)) shortest = kept;
    }
    pq_db_snapshot_unref(snapshot);
    if (shortest == 0) return UINT64_MAX;
    int64_t pause_us = shortest / part;
    if (pause_us < pause_min_s * PQ_US_PER_SECOND) pause_us = pause_min_s * PQ_US_PER_SECOND;
    if (pause_us > pause_max_s * PQ_US_PER_SECOND) pause_us = pause_max_s * PQ_US_PER_SECOND;
    return (uint64_t)pause_us * 1000;
}

bool pq_db_keeps_dropped(const struct pq_db_table *table) {
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        if (view->entry->retention_keeps) return true;
    }
    return false;
}
