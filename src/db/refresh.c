/// db/refresh.c: bringing a view up to date: by the log where that is possible, else by building it
/// anew from its source. Logged when it is done, so that a crash before leaves what was there.
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/replica.h"

pqdb_code pq_db_log_refresh(pqdb_db *db, const struct pq_db_table *table, enum pq_log_kind kind,
                            uint64_t *version, pqdb_error *err) {
    struct pq_bytes payload, part;
    pq_bytes_init(&payload, db->alloc);
    pq_bytes_init(&part, db->alloc);
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&payload, err, "{\"view\":"));
    PQ_GO(pq_json_write_text(&payload, table->entry->name, err));
    PQ_GO(pq_bytes_printf(&payload, err, ",\"from\":%llu,\"to\":%llu}",
                          (unsigned long long)table->facts.reflects,
                          (unsigned long long)db->version));
    PQ_GO(pq_log_encode_payload(pq_bytes_text(&payload), &part, err));
    const struct pq_log_part parts[] = {{.bytes = pq_bytes_text(&part)}};
    const struct pq_log_commit commit = {.kind = kind, .parts = parts, .part_count = 1};
    *version = pq_log_position(db->log).version;
    PQ_GO(pq_log_append(db->log, &commit, 1, err));
    db->version = *version;
done:
    pq_bytes_deinit(&payload);
    pq_bytes_deinit(&part);
    return code;
}

uint64_t pq_db_source_version(pqdb_db *db, const struct pq_db_table *table) {
    const struct pq_view *view = table->view;
    uint64_t version = pq_db_by_id(db, view->source)->table->version;
    for (size_t i = 0; i < view->linked_count; i++) {
        const uint64_t linked = pq_db_by_id(db, view->linked[i])->table->version;
        if (linked > version) version = linked;
    }
    return version;
}

// ---- by the log -------------------------------------------------------------------------------

/// NULL, or why the view cannot follow the log.
static const char *not_by_log(const pqdb_db *db, const struct pq_db_table *table) {
    for (const struct pq_view *up = table->view->upstream; up != NULL; up = up->upstream) {
        if (up->grouped || up->mode != PQ_VIEW_STREAMING) {
            return "what it reads keeps state of its own, whose changes are not in the log";
        }
    }
    if (table->facts.reflects == 0) return "it was never refreshed";
    if (table->facts.reflects + 1 < pq_log_first_version(db->log)) {
        return "the log no longer reaches back to its last refresh";
    }
    return NULL;
}

/// What a refresh adds and takes away, kept until all of it is known.
struct change {
    struct change *next;
    struct pq_hold *hold;  // owned
    struct pq_batch rows;
};

struct changes {
    pqdb_db *db;
    struct pq_arena arena;  // of the list
    struct change *first, **end;
    uint64_t rows;
};

static void changes_deinit(struct changes *changes) {
    for (struct change *at = changes->first; at != NULL; at = at->next) pq_hold_unref(at->hold);
    pq_arena_deinit(&changes->arena);
}

static pqdb_code keep_change(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct changes *changes = ctx;
    struct change *made = pq_arena_calloc(&changes->arena, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a refresh");
    PQ_TRY(pq_hold_copy(rows, changes->db->alloc, &made->hold, &made->rows, err));
    *changes->end = made;
    changes->end = &made->next;
    changes->rows += rows->count;
    return PQDB_OK;
}

/// Leader: durable, then applied. Dependents step with it.
static pqdb_code apply_changes(pqdb_db *db, struct pq_db_table *table,
                               const struct changes *changes, uint64_t began_ns,
                               pqdb_error *err) {
    const uint64_t to = db->version;
    uint64_t version;
    PQ_TRY(pq_db_log_refresh(db, table, PQ_LOG_REFRESH, &version, err));
    const int64_t time_us = pq_log_time_us(db->log);
    pqdb_code code = PQDB_OK;
    for (struct change *at = changes->first; code == PQDB_OK && at != NULL; at = at->next) {
        const struct pq_db_delta step = {.table = table, .rows = at->rows, .hold = at->hold};
        code = pq_db_step(db, &step, 1, version, time_us, err);
    }
    table->facts.reflects = to;
    table->facts.last_refresh_rows = changes->rows;
    table->reflects_position = pq_db_position(db);
    table->facts.refreshed_us = time_us;
    table->facts.last_refresh = "incremental";
    table->facts.last_refresh_took_us =
        (int64_t)((db->env->monotonic_ns(db->env->ctx) - began_ns) / 1000);
    if (code == PQDB_OK) code = pq_db_publish(db, version, time_us, err);
    return code == PQDB_OK ? code : pq_db_break(db, code, err);  // reopening repeats it
}

/// All of the change is computed before any of it is applied: a view that fails on the way keeps
/// what it had. Its node is of no more use then, so that the next refresh builds it anew.
static pqdb_code refresh_by_log(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    const uint64_t began = db->env->monotonic_ns(db->env->ctx);
    struct changes changes = {.db = db, .end = &changes.first};
    const struct pq_sink sink = {.put = keep_change, .ctx = &changes};
    const struct pq_db_replica_options options = {.table = table, .borrow = true,
                                                  .on_rows = &sink};
    struct pq_db_replica *replica = NULL;
    pq_arena_init(&changes.arena, db->alloc);
    pthread_mutex_lock(&db->refreshing);  // no checkpoint while the node is ahead of its rows
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    pqdb_code code = pq_db_replica_create(db, &options, snapshot, &replica, err);
    pq_db_snapshot_unref(snapshot);
    if (code == PQDB_OK) code = pq_db_replica_catch_up(replica, err);
    pthread_mutex_lock(&db->leader);
    if (code == PQDB_OK) code = pq_db_replica_finish(replica, err);
    pq_db_replica_destroy(replica);
    if (code == PQDB_OK) {
        code = apply_changes(db, table, &changes, began, err);
    } else {
        pq_db_note_failed(db, table, err);
        pq_db_publish(db, db->version, pq_log_time_us(db->log), NULL);
    }
    pthread_mutex_unlock(&db->leader);
    pthread_mutex_unlock(&db->refreshing);
    changes_deinit(&changes);
    return code;
}

// ---- the refresh ------------------------------------------------------------------------------

/// Leader: is there nothing to do? If there is, why it has to be built anew, or NULL.
static bool is_done(pqdb_db *db, const struct pq_db_table *table, bool full, const char **why) {
    const bool lags = table->node != NULL;
    const struct pq_db_facts *facts = &table->facts;
    *why = full               ? "asked for"
           : facts->failed    ? "its last step failed"
           : facts->unbuilt   ? "its definition changed"
           : lags             ? not_by_log(db, table)
                              : NULL;
    if (full || facts->failed || facts->unbuilt) return false;
    return !lags ||
           (facts->reflects > 0 && pq_db_source_version(db, table) <= facts->reflects);
}

static pqdb_code refresh(pqdb_db *db, struct pq_db_table *table, bool full,
                         pqdb_refreshed *refreshed, pqdb_error *err) {
    const char *why;
    pthread_mutex_lock(&db->leader);
    const pqdb_code open = pq_db_check_open(db, err);
    const bool done = open == PQDB_OK && is_done(db, table, full, &why);
    *refreshed = (pqdb_refreshed){.kind = "none", .reason = "", .version = db->version};
    pthread_mutex_unlock(&db->leader);
    PQ_TRY(open);
    if (done) return PQDB_OK;
    if (why == NULL) {
        pqdb_error failure = {0};
        const pqdb_code code = refresh_by_log(db, table, &failure);
        if (code == PQDB_UNSUPPORTED) why = "more was taken back than its state can tell";
        if (code != PQDB_OK && code != PQDB_UNSUPPORTED) {
            if (err != NULL) *err = failure;
            return code;
        }
    }
    if (why != NULL) PQ_TRY(pq_db_build(db, table, err));
    pthread_mutex_lock(&db->leader);
    const struct pq_db_facts facts = table->facts;
    refreshed->version = db->version;
    pthread_mutex_unlock(&db->leader);
    refreshed->kind = facts.last_refresh;
    refreshed->reason = why == NULL ? "" : why;
    refreshed->rows = facts.last_refresh_rows;
    refreshed->us = facts.last_refresh_took_us;
    return PQDB_OK;
}

pqdb_code pqdb_view_refresh(pqdb_db *db, const char *name, bool full, pqdb_refreshed *refreshed,
                            pqdb_error *err) {
    pqdb_refreshed unused;
    struct pq_db_table *table;
    pthread_mutex_lock(&db->building);
    pqdb_code code = pq_db_find_view(db, pq_text_of(name), &table, err);
    if (code == PQDB_OK) {
        code = refresh(db, table, full, refreshed == NULL ? &unused : refreshed, err);
    }
    pthread_mutex_unlock(&db->building);
    return code;
}
