/// db/schedule.c: see schedule.h.
#include "db/schedule.h"

#include "base/hash.h"
#include "base/zone.h"
#include "db/view_internal.h"
#include "view/due.h"

static const int64_t second_us = 1000000, minute_us = 60 * second_us;
static const int64_t correction_us = 180 * minute_us;
enum { late_share = 20, late_seconds_max = 10 };

// ---- slots ------------------------------------------------------------------------------------

/// The plan found the zone; it stays known to the process.
static const struct pq_zone *zone_of(const struct pq_view *view) {
    const struct pq_zone *zone = NULL;
    if (view->zone.length > 0) pq_zone_find(view->zone, &zone, NULL);
    return zone;
}

int64_t pq_db_slot_due(const struct pq_view *view, int64_t done_us, int64_t now_us) {
    if (view->mode != PQ_VIEW_SCHEDULED) return PQ_DB_NO_SLOT;
    const int64_t last_us = pq_cron_last(&view->cron, zone_of(view), now_us);
    if (last_us > done_us) return last_us;
    const int64_t back_us = view->cron.follows_clock ? minute_us : correction_us;
    const bool was_set_back = done_us > now_us && done_us - now_us >= back_us;
    return was_set_back && last_us > 0 ? last_us : PQ_DB_NO_SLOT;
}

int64_t pq_db_slot_done(const struct pq_view *view, int64_t done_us, int64_t now_us) {
    const int64_t due_us = pq_db_slot_due(view, done_us, now_us);
    return due_us == PQ_DB_NO_SLOT ? done_us : due_us;
}

int64_t pq_db_slot_next(const struct pq_view *view, int64_t now_us) {
    const int64_t next_us = pq_cron_next(&view->cron, zone_of(view), now_us);
    return next_us == INT64_MAX ? PQ_DB_NO_SLOT : next_us;
}

// ---- the schedule -----------------------------------------------------------------------------

/// How late the view runs a slot.
static int64_t delay_of(const struct pq_db_table *table, int64_t slot_us) {
    const int64_t next_us = pq_db_slot_next(table->view, slot_us);
    int64_t most_us = late_seconds_max * second_us;
    if (next_us != PQ_DB_NO_SLOT && (next_us - slot_us) / late_share < most_us) {
        most_us = (next_us - slot_us) / late_share;
    }
    const struct pq_text name = table->entry->name;
    return (int64_t)(pq_hash(name.data, name.length) % (uint64_t)(most_us + 1));
}

static bool is_due(pqdb_db *db, struct pq_db_table *table, const struct pq_db_facts *facts) {
    const int64_t now_us = db->env->now_us(db->env->ctx);
    if (table->view == NULL || facts->failed || facts->unbuilt) return false;  // db/build.c's
    const int64_t slot_us = pq_db_slot_due(table->view, facts->slot_us, now_us);
    if (slot_us == PQ_DB_NO_SLOT || now_us < slot_us + delay_of(table, slot_us)) return false;
    return db->env->monotonic_ns(db->env->ctx) >= table->retry_ns;
}

bool pq_db_schedule_is_due(pqdb_db *db) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_db_tables *tables = snapshot->list;
    bool due = false;
    for (size_t i = 0; !due && i < tables->count; i++) {
        struct pq_db_table *table = tables->at[i];
        if (pq_db_snapshot_rows(snapshot, table) == NULL) continue;
        due = is_due(db, table, &snapshot->facts[table->position]);
    }
    pq_db_snapshot_unref(snapshot);
    return due;
}

static bool is_due_now(pqdb_db *db, struct pq_db_table *table) {
    pthread_mutex_lock(&db->leader);
    const bool due = is_due(db, table, &table->facts);
    pthread_mutex_unlock(&db->leader);
    return due;
}

void pq_db_schedule_run(pqdb_db *db) {
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count && !db->closes; i++) {
        pthread_mutex_lock(&db->building);
        struct pq_db_table *table = pq_db_by_id(db, views->views[i].table);
        if (table != NULL && is_due_now(db, table)) {
            const struct pq_db_refresh how = {.due = true};
            pqdb_refreshed refreshed;
            pqdb_error why = {0};
            const pqdb_code code = pq_db_refresh(db, table, &how, &refreshed, &why);
            pq_db_note_try(db, table, code, &why);
        }
        pthread_mutex_unlock(&db->building);
    }
}
