/// db/vacuum.c: snapshots of a view's table that are no longer wanted, and the files that only they
/// need.
#include <parquedb/view.h>

#include "base/fail.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "type/timestamp.h"

/// Under `refreshing`: the keeper leaves the metadata alone.
static pqdb_code vacuum(pqdb_db *db, struct pq_db_table *table, int64_t keep_us,
                        pqdb_vacuumed *vacuumed, pqdb_error *err) {
    struct pq_arena arena;
    struct pq_iceberg_outcome outcome = {.is_new = false};
    size_t dropped = 0;
    pq_arena_init(&arena, db->alloc);
    pqdb_code code = PQDB_OK;
    if (table->iceberg == NULL) {
        code = pq_iceberg_open(db->store, pq_text_of(table->directory), db->env, db->alloc,
                               &table->iceberg, err);
    }
    const int64_t from_us = keep_us < 0 ? INT64_MAX : db->env->now_us(db->env->ctx) - keep_us;
    if (code == PQDB_OK) {
        code = pq_iceberg_vacuum(table->iceberg, from_us / 1000, &arena, &outcome, &dropped, err);
    }
    if (code == PQDB_OK) code = pq_db_release(db, table, &outcome, err);
    if (code == PQDB_OK) pq_db_bury_released(db);
    *vacuumed = (pqdb_vacuumed){.snapshots = dropped, .files = outcome.released_count};
    pq_arena_deinit(&arena);
    return code;
}

pqdb_code pqdb_view_vacuum(pqdb_db *db, const char *name, const char *keep,
                           pqdb_vacuumed *vacuumed, pqdb_error *err) {
    int64_t keep_us = -1;
    pqdb_vacuumed unused;
    struct pq_db_table *table;
    if (keep != NULL && !pq_duration_parse(pq_text_of(keep), &keep_us)) {
        return pq_fail(err, PQDB_INVALID, "'%.40s' is no duration: write 12h, 7d", keep);
    }
    pthread_mutex_lock(&db->refreshing);
    pqdb_code code = pq_db_find_view(db, pq_text_of(name), &table, err);
    if (code == PQDB_OK) {
        pthread_mutex_lock(&db->leader);
        code = pq_db_check_open(db, err);
        pthread_mutex_unlock(&db->leader);
    }
    if (code == PQDB_OK) {
        code = vacuum(db, table, keep_us, vacuumed == NULL ? &unused : vacuumed, err);
    }
    pthread_mutex_unlock(&db->refreshing);
    return code;
}
