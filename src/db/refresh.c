/// db/refresh.c: bringing a view up to date: by the log where that is possible, else by building it
/// anew from its source. Logged when it is done, so that a crash before leaves what was there.
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"
#include "db/kept.h"
#include "db/append.h"
#include "db/catch_up.h"
#include "db/commit.h"
#include "db/replica.h"
#include "db/row_list.h"
#include "db/schedule.h"
#include "db/schema_change.h"

enum {
    checkpoint_rows = 100000,  // a refresh that changes so many is written soon
    cheap_rows = 1 << 14,      // so many in the log are never too many
    full_share = 6,            // a row through the log: 0.3 us; of a scan into groups: 0.05 us
    row_bytes_min = 16,        // of a row in the log
};

static uint64_t us_since(const pqdb_db *db, uint64_t began_ns) {
    return (db->env->monotonic_ns(db->env->ctx) - began_ns) / 1000;
}

static pqdb_code append_record(pqdb_db *db, enum pq_log_kind kind, const struct pq_bytes *payload,
                               uint64_t *version, pqdb_error *err) {
    struct pq_bytes part;
    pq_bytes_init(&part, db->alloc);
    pqdb_code code;
    PQ_GO(pq_log_encode_payload(pq_bytes_text(payload), &part, err));
    const struct pq_log_part parts[] = {{.bytes = pq_bytes_text(&part)}};
    const struct pq_log_commit commit = {.kind = kind, .parts = parts, .part_count = 1};
    *version = pq_log_position(db->log).version;
    PQ_GO(pq_log_append(db->log, &commit, 1, err));
    db->version = *version;
done:
    pq_bytes_deinit(&part);
    return code;
}

pqdb_code pq_db_log_refresh(pqdb_db *db, struct pq_db_table *table, enum pq_db_logged kind,
                            const struct pq_last_refresh *did, uint64_t *version,
                            pqdb_error *err) {
    const int64_t now_us = db->env->now_us(db->env->ctx);
    const int64_t slot_us = pq_db_slot_done(table->view, table->facts.slot_us, now_us);
    struct pq_bytes payload;
    pq_bytes_init(&payload, db->alloc);
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&payload, err, "{\"view\":"));
    PQ_GO(pq_json_write_text(&payload, table->entry->name, err));
    PQ_GO(pq_bytes_printf(&payload, err, ",\"from\":%llu,\"to\":%llu,\"slotUs\":%lld%s",
                          (unsigned long long)table->facts.reflects,
                          (unsigned long long)db->version, (long long)slot_us,
                          kind == PQ_DB_LOGGED_FRESH ? ",\"fresh\":true" : ""));
    if (did != NULL) {
        PQ_GO(pq_bytes_printf(&payload, err, ",\"refresh\":"));
        PQ_GO(pq_last_refresh_write(&payload, did, err));
    }
    PQ_GO(pq_bytes_append_byte(&payload, '}', err));
    PQ_GO(append_record(db, kind == PQ_DB_LOGGED_SWAP ? PQ_LOG_SWAP : PQ_LOG_REFRESH, &payload,
                        version, err));
    table->facts.slot_us = slot_us;
    table->facts.refresh_failed = false;
    table->failure_logged = 0;
done:
    pq_bytes_deinit(&payload);
    return code;
}

struct pq_text pq_db_failure_text(const pqdb_error *why) {
    const struct pq_text text = pq_text_of(why->message);
    return text.length == 0 || !pq_text_is_utf8(text) ? PQ_TEXT("its last step failed") : text;
}

static uint64_t hash_of_failure(const pqdb_error *why) {
    const struct pq_text text = pq_db_failure_text(why);
    return pq_hash(text.data, text.length);
}

void pq_db_recall_failure(pqdb_db *db, struct pq_db_table *table, struct pq_text message) {
    pqdb_error why = {.offset = -1};
    pq_fail(&why, PQDB_LIMIT, "%.*s", PQ_TEXT_ARG(message));
    pq_db_set_failure(db, table, &why);
    table->failure_logged = hash_of_failure(&why);
}

pqdb_code pq_db_log_failure(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why,
                            pqdb_error *err) {
    const uint64_t hash = hash_of_failure(why);
    struct pq_bytes payload;
    uint64_t version;
    if (table->failure_logged == hash) return PQDB_OK;
    pq_bytes_init(&payload, db->alloc);
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&payload, err, "{\"view\":"));
    PQ_GO(pq_json_write_text(&payload, table->entry->name, err));
    PQ_GO(pq_bytes_printf(&payload, err, ",\"failed\":"));
    PQ_GO(pq_json_write_text(&payload, pq_db_failure_text(why), err));
    PQ_GO(pq_bytes_append_byte(&payload, '}', err));
    PQ_GO(append_record(db, PQ_LOG_REFRESH, &payload, &version, err));
    table->failure_logged = hash;
done:
    pq_bytes_deinit(&payload);
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

void pq_db_set_reflects(pqdb_db *db, struct pq_db_table *table, uint64_t version) {
    const struct pq_db_table *at = pq_db_by_id(db, table->view->source);
    const bool lags = table->view->mode != PQ_VIEW_STREAMING;
    uint64_t shows = version;
    for (; at->view != NULL && shows == version; at = pq_db_by_id(db, at->view->source)) {
        const bool is_behind = at->facts.failed || at->view->mode != PQ_VIEW_STREAMING;
        if (is_behind && at->facts.shows < shows) shows = at->facts.shows;
        if (is_behind) break;
    }
    table->facts.reflects = version;
    table->facts.shows = lags || table->facts.failed ? shows : version;
}

enum pq_refresh_why pq_db_not_as_it_is(const struct pq_db_facts *facts) {
    if (facts->failed) return pq_db_is_new(facts) ? PQ_WHY_FIRST : PQ_WHY_FAILED;
    return facts->unbuilt ? PQ_WHY_DEFINITION : PQ_WHY_NOT;
}

// ---- by the log -------------------------------------------------------------------------------

enum pq_refresh_why pq_db_never_by_log(const struct pq_db_table *table) {
    for (const struct pq_view *up = table->view->upstream; up != NULL; up = up->upstream) {
        if (up->entry->retention_keeps) return PQ_WHY_SOURCE_KEEPS;
        if (up->grouped || up->mode != PQ_VIEW_STREAMING) return PQ_WHY_SOURCE_STATE;
    }
    return PQ_WHY_NOT;
}

enum pq_refresh_why pq_db_not_by_log(const pqdb_db *db, const struct pq_db_table *table,
                                     const struct pq_db_facts *facts) {
    const enum pq_refresh_why never = pq_db_never_by_log(table);
    if (never != PQ_WHY_NOT) return never;
    if (pq_db_is_new(facts)) return PQ_WHY_FIRST;
    if (facts->shows != facts->reflects) return PQ_WHY_SOURCE_LAGGED;
    return facts->reflects + 1 < pq_log_first_version(db->log) ? PQ_WHY_LOG_GONE : PQ_WHY_NOT;
}

bool pq_db_is_up_to_date(pqdb_db *db, const struct pq_db_table *table) {
    const struct pq_db_facts *facts = &table->facts;
    if (facts->failed || facts->unbuilt || pq_db_is_new(facts)) return false;
    if (pq_db_source_version(db, table) > facts->reflects) return false;
    return table->view->append || pq_db_not_by_log(db, table, facts) == PQ_WHY_NOT;
}

/// Leader: the changes as the commit of `version`. Dependents step with it.
static pqdb_code apply_rows(pqdb_db *db, struct pq_db_table *table,
                            const struct pq_db_row_list *changes, uint64_t version,
                            int64_t time_us, pqdb_error *err) {
    for (const struct pq_db_row_batch *at = changes->first; at != NULL; at = at->next) {
        struct pq_db_delta step = {.table = table, .rows = at->rows, .hold = at->hold};
        if (table->entry->retention_keeps) {
            PQ_TRY(pq_db_complete_kept(table, table->table, &step.rows, &at->hold->arena, err));
        }
        PQ_TRY(pq_db_step(db, &step, 1, version, time_us, err));
    }
    table->facts.reflects_position = pq_db_position(db);
    return PQDB_OK;
}

/// Leader: what is durable, from the last commit but one on.
static pqdb_code apply_changes(pqdb_db *db, struct pq_db_table *table,
                               const struct pq_db_row_list *changes, uint64_t to,
                               pqdb_error *err) {
    const int64_t time_us = pq_log_time_us(db->log);
    pqdb_code code = apply_rows(db, table, changes, db->version, time_us, err);
    pq_db_set_reflects(db, table, to);
    table->facts.refreshed_us = time_us;
    if (code == PQDB_OK) code = pq_db_publish(db, db->version, time_us, err);
    return code == PQDB_OK ? code : pq_db_break(db, code, err);  // reopening repeats it
}

/// Leader: its node has gone on, or half way, and nothing of it is durable.
static void give_up(pqdb_db *db, struct pq_db_table *table, pqdb_code code, pqdb_error *err) {
    const bool ends = db->closes && pq_db_is_kept(table, &table->facts);
    if (ends || pq_db_dies_of(table, code)) {
        pq_db_break(db, code, err);
        return;
    }
    pq_db_note_failed(db, table, err);
    pq_db_publish(db, db->version, pq_log_time_us(db->log), NULL);
}

/// All of the change is computed before any of it is applied: a view that fails on the way keeps
/// what it had. Its node is of no more use then, so that the next refresh builds it anew.
static pqdb_code refresh_by_log(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    const uint64_t began = db->env->monotonic_ns(db->env->ctx);
    struct pq_db_row_list changes;
    const struct pq_sink sink = {.put = pq_db_row_list_put, .ctx = &changes};
    const struct pq_db_replica_options options = {.table = table, .borrow = true,
                                                  .on_rows = &sink};
    struct pq_db_replica *replica = NULL;
    pq_db_row_list_init(&changes, db->alloc);
    pq_db_lock_contents(db);  // no checkpoint while the node is ahead of its rows
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    pqdb_code code = pq_db_replica_create(db, &options, snapshot, &replica, err);
    pq_db_snapshot_unref(snapshot);
    if (code == PQDB_OK) code = pq_db_replica_catch_up(replica, err);
    pq_db_catch_up_drop(db, table);  // what readers were shown is no future any more
    pthread_mutex_lock(&db->leader);
    if (code == PQDB_OK) code = pq_db_replica_finish(replica, err);
    const bool is_large = changes.rows >= checkpoint_rows;
    const struct pq_last_refresh did = {.kind = PQ_REFRESH_INCREMENTAL, .rows = changes.rows,
                                        .took_us = (int64_t)us_since(db, began)};
    const uint64_t to = db->version;
    uint64_t version;
    pq_db_replica_destroy(replica);
    if (code == PQDB_OK) {
        code = pq_db_log_refresh(db, table, PQ_DB_LOGGED_ROWS, &did, &version, err);
    }
    if (code == PQDB_OK) {
        table->facts.last = did;
        code = apply_changes(db, table, &changes, to, err);
    } else {
        give_up(db, table, code, err);
    }
    pthread_mutex_unlock(&db->leader);
    pq_db_unlock_contents(db);
    pq_db_row_list_deinit(&changes);
    if (is_large && code == PQDB_OK) pq_db_keeper_want(db);  // its state is in memory until then
    return code;
}

/// What a view keeps would be lost with its state, were a step to fail. So the steps are taken on a
/// branch of it before; a state that does not fit into memory twice is not tried.
static pqdb_code try_by_log(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    const struct pq_db_replica_options options = {.table = table, .alone = true,
                                                  .branch = table, .on_rows = &pq_db_nowhere};
    struct pq_db_replica *replica = NULL;
    pthread_mutex_lock(&db->branching);
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    pqdb_code code = pq_db_replica_create(db, &options, snapshot, &replica, err);
    if (code == PQDB_OK) code = pq_db_replica_advance(replica, snapshot, err);
    pq_db_replica_destroy(replica);
    pq_db_snapshot_unref(snapshot);
    pthread_mutex_unlock(&db->branching);
    return code == PQDB_UNSUPPORTED ? PQDB_OK : code;
}

pqdb_code pq_db_refresh_here(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                             int64_t time_us, pqdb_error *err) {
    struct pq_db_row_list changes;
    const struct pq_sink sink = {.put = pq_db_row_list_put, .ctx = &changes};
    const struct pq_db_replica_options options = {.table = table, .borrow = true,
                                                  .on_rows = &sink};
    struct pq_db_replica *replica = NULL;
    struct pq_db_snapshot *snapshot = NULL;
    const uint64_t to = db->version;
    pqdb_error why = {.offset = -1};
    pq_db_row_list_init(&changes, db->alloc);
    pqdb_code code;
    PQ_GO(pq_db_collect(db, to, time_us, &snapshot, &why));
    PQ_GO(pq_db_replica_create(db, &options, snapshot, &replica, &why));
    PQ_GO(pq_db_replica_advance(replica, snapshot, &why));
done:
    pq_db_replica_destroy(replica);
    if (snapshot != NULL) pq_db_snapshot_unref(snapshot);
    if (code == PQDB_OK) {
        code = apply_rows(db, table, &changes, version, time_us, &why);
        pq_db_set_reflects(db, table, to);
        table->facts.refreshed_us = time_us;
        table->facts.last = (struct pq_last_refresh){.kind = PQ_REFRESH_INCREMENTAL,
                                                     .rows = changes.rows};
    } else if (pq_db_is_kept(table, &table->facts) && pq_db_is_views_own(code)) {
        pq_db_note_failed(db, table, &why);
        code = PQDB_OK;
    } else if (pq_db_is_views_own(code) || code == PQDB_NOT_FOUND) {
        code = pq_db_build_here(db, table, version, time_us, &why);
    }
    pq_db_row_list_deinit(&changes);
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

// ---- the refresh ------------------------------------------------------------------------------

/// Leader: is there nothing to do? If there is, why it has to be built anew.
static bool is_done(pqdb_db *db, const struct pq_db_table *table, const struct pq_db_refresh *how,
                    enum pq_refresh_why *why) {
    const bool lags = table->node != NULL;
    const struct pq_db_facts *facts = &table->facts;
    *why = how->discard ? PQ_WHY_DISCARD
           : how->full  ? PQ_WHY_ASKED
                        : pq_db_not_as_it_is(facts);
    if (*why != PQ_WHY_NOT) return false;
    if (lags) *why = pq_db_not_by_log(db, table, facts);
    return !lags ||
           (!pq_db_is_new(facts) && pq_db_source_version(db, table) <= facts->reflects);
}

/// Leader: a slot that found the view fresh, durable as well.
static pqdb_code complete_slot(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    uint64_t version;
    PQ_TRY(pq_db_log_refresh(db, table, PQ_DB_LOGGED_FRESH, NULL, &version, err));
    pq_db_set_reflects(db, table, version);
    table->facts.reflects_position = pq_db_position(db);
    const pqdb_code code = pq_db_publish(db, version, pq_log_time_us(db->log), err);
    return code == PQDB_OK ? code : pq_db_break(db, code, err);
}

/// What a refresh has to do, and why anew.
struct left {
    bool is_any;
    enum pq_refresh_why why;
};

/// Leader: what is at hand without a computation.
static pqdb_code begin(pqdb_db *db, struct pq_db_table *table, const struct pq_db_refresh *how,
                       pqdb_refreshed *refreshed, struct left *left, pqdb_error *err) {
    const int64_t now_us = db->env->now_us(db->env->ctx);
    const int64_t slot_us = pq_db_slot_due(table->view, table->facts.slot_us, now_us);
    *left = (struct left){0};
    PQ_TRY(pq_db_check_open(db, err));
    *refreshed = (pqdb_refreshed){.kind = "none", .reason = "", .version = db->version,
                                  .slot_us = slot_us};
    if (how->due && slot_us == PQ_DB_NO_SLOT) {
        refreshed->reason = "it is not due";
    } else if (is_done(db, table, how, &left->why)) {
        refreshed->reason = "it is fresh";
        if (slot_us != PQ_DB_NO_SLOT) PQ_TRY(complete_slot(db, table, err));
        refreshed->version = db->version;
    } else {
        left->is_any = true;
    }
    return PQDB_OK;
}

/// Does the way through the log cost more than to compute the view anew? A row that changed is two
/// rows in the log, each of which costs about as much as full_share rows of a scan.
static bool is_dear(pqdb_db *db, const struct pq_db_table *table) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_table_snapshot *source = pq_db_snapshot_rows(snapshot, table->root);
    const uint64_t limit = source == NULL ? 0 : source->rows / full_share;
    pq_db_snapshot_unref(snapshot);
    pthread_mutex_lock(&db->leader);
    const uint64_t bytes = pq_log_bytes_since(db->log, &table->facts.reflects_position);
    const uint64_t from = table->facts.reflects + 1;
    pthread_mutex_unlock(&db->leader);
    const uint64_t rows_most = bytes / row_bytes_min;
    if (rows_most < cheap_rows || rows_most <= limit) return false;
    const uint64_t rows_max = limit > cheap_rows ? limit : cheap_rows;
    return pq_db_lack_of(db, table, from - 1, rows_max).rows > rows_max;
}

/// What was appended nothing could make again.
static pqdb_code check_strategy(const struct pq_db_table *table, const struct pq_db_refresh *how,
                                pqdb_error *err) {
    const bool appends = table->view->append;
    if (how->full && !how->discard && pq_db_is_kept(table, &table->facts)) {
        return pq_db_refuse_loss(table, pq_refresh_why_text(PQ_WHY_ASKED), err);
    }
    if (table->entry->retention_keeps && !appends) return PQDB_OK;
    if (appends ? !how->full || how->discard : !how->discard) return PQDB_OK;
    pq_fail(err, PQDB_INVALID, appends ? "it appends: computing it anew would lose what it has, "
                                         "so that takes --discard"
                                       : "it does not append: there is nothing to discard");
    return pq_fail_subject(err, PQDB_INVALID, table->entry->name);
}

pqdb_code pq_db_refresh(pqdb_db *db, struct pq_db_table *table, const struct pq_db_refresh *how,
                        pqdb_refreshed *refreshed, pqdb_error *err) {
    const uint64_t began_ns = db->env->monotonic_ns(db->env->ctx);
    struct left left = {0};
    pthread_mutex_lock(&db->leader);
    const pqdb_code begun = begin(db, table, how, refreshed, &left, err);
    pthread_mutex_unlock(&db->leader);
    refreshed->us = (int64_t)us_since(db, began_ns);
    if (begun != PQDB_OK || !left.is_any) return begun;
    enum pq_refresh_why why = left.why;
    pthread_mutex_lock(&db->leader);
    const bool is_kept = pq_db_is_kept(table, &table->facts) && !how->discard;
    pthread_mutex_unlock(&db->leader);
    const bool appends = table->view->append;
    if (why == PQ_WHY_NOT && !appends && !is_kept && is_dear(db, table)) why = PQ_WHY_COST;
    if (appends) {
        PQ_TRY(pq_db_append_refresh(db, table, how->discard, err));
    } else if (why == PQ_WHY_NOT) {
        pqdb_error failure = {0};
        pqdb_code code = is_kept ? try_by_log(db, table, &failure) : PQDB_OK;
        if (code == PQDB_OK) code = refresh_by_log(db, table, &failure);
        if (code == PQDB_UNSUPPORTED) why = PQ_WHY_TAKEN_BACK;
        if (code != PQDB_OK && code != PQDB_UNSUPPORTED) {
            if (err != NULL) *err = failure;
            return code;
        }
    }
    if (why != PQ_WHY_NOT && is_kept) {
        return pq_db_refuse_loss(table, pq_refresh_why_text(why), err);
    }
    if (why != PQ_WHY_NOT && !appends) PQ_TRY(pq_db_build(db, table, why, err));
    pthread_mutex_lock(&db->leader);
    const struct pq_last_refresh last = table->facts.last;
    refreshed->version = db->version;
    pthread_mutex_unlock(&db->leader);
    refreshed->kind = pq_refresh_kind_text(last.kind);
    refreshed->reason = pq_refresh_why_text(last.why);
    refreshed->rows = last.rows;
    refreshed->us = (int64_t)us_since(db, began_ns);
    return PQDB_OK;
}

static pqdb_code refresh_named(pqdb_db *db, const char *name, const struct pq_db_refresh *how,
                               pqdb_refreshed *refreshed, pqdb_error *err) {
    pqdb_refreshed unused;
    struct pq_db_table *table;
    pqdb_error why = {0};
    pthread_mutex_lock(&db->building);
    pqdb_code code = pq_db_find_view(db, pq_text_of(name), &table, &why);
    if (code == PQDB_OK && how->due && table->view->mode != PQ_VIEW_SCHEDULED) {
        code = pq_fail(&why, PQDB_INVALID,
                       "only a scheduled view is ever due: refresh it without --due");
        pq_fail_subject(&why, code, table->entry->name);
    } else if (code == PQDB_OK) {
        pthread_mutex_lock(&db->leader);
        code = check_strategy(table, how, &why);  // what is refused is no try
        pthread_mutex_unlock(&db->leader);
        if (refreshed == NULL) refreshed = &unused;
        const bool is_tried = code == PQDB_OK;
        if (is_tried) code = pq_db_refresh(db, table, how, refreshed, &why);
        const bool is_done = code == PQDB_OK && strcmp(refreshed->kind, "none") != 0;
        if (is_tried && (is_done || code != PQDB_OK)) pq_db_note_try(db, table, code, &why);
        if (code != PQDB_OK && why.subject[0] == '\0') {
            pq_fail_subject(&why, code, table->entry->name);
        }
    }
    pthread_mutex_unlock(&db->building);
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

pqdb_code pqdb_view_refresh(pqdb_db *db, const char *name, bool full, pqdb_refreshed *refreshed,
                            pqdb_error *err) {
    return refresh_named(db, name, &(struct pq_db_refresh){.full = full}, refreshed, err);
}

pqdb_code pqdb_view_refresh_due(pqdb_db *db, const char *name, pqdb_refreshed *refreshed,
                                pqdb_error *err) {
    return refresh_named(db, name, &(struct pq_db_refresh){.due = true}, refreshed, err);
}

pqdb_code pqdb_view_discard(pqdb_db *db, const char *name, pqdb_refreshed *refreshed,
                            pqdb_error *err) {
    return refresh_named(db, name, &(struct pq_db_refresh){.discard = true}, refreshed, err);
}
