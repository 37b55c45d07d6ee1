/// db/snapshot.c: the published state: one pointer behind a mutex of two instructions.
#include "db/snapshot.h"

#include "base/fail.h"
#include "db/db_internal.h"

struct pq_db_snapshot *pq_db_snapshot(pqdb_db *db) {
    pthread_mutex_lock(&db->published_lock);
    struct pq_db_snapshot *snapshot = db->published;
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    pthread_mutex_unlock(&db->published_lock);
    return snapshot;
}

static size_t snapshot_bytes(size_t tables) {
    return sizeof(struct pq_db_snapshot) +
           tables * (sizeof(struct pq_table_snapshot *) + sizeof(struct pq_db_facts));
}

void pq_db_snapshot_unref(struct pq_db_snapshot *snapshot) {
    if (snapshot == NULL) return;
    if (atomic_fetch_sub_explicit(&snapshot->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < snapshot->count; i++) pq_table_snapshot_unref(snapshot->tables[i]);
    pq_free(snapshot->alloc, snapshot, snapshot_bytes(snapshot->count), 1);
}

struct pq_table_snapshot *pq_db_snapshot_rows(const struct pq_db_snapshot *snapshot,
                                              const struct pq_db_table *table) {
    if (table->generation != snapshot->list->generation) return NULL;
    return table->position < snapshot->count ? snapshot->tables[table->position] : NULL;
}

struct pq_db_table *pq_db_snapshot_by_id(const struct pq_db_snapshot *snapshot, uint32_t id) {
    const struct pq_db_tables *list = snapshot->list;
    for (size_t i = 0; i < list->count; i++) {
        if (list->at[i]->id == id) return list->at[i];
    }
    return NULL;
}

pqdb_code pq_db_snapshot_find(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                              struct pq_text name, struct pq_db_table **table, pqdb_error *err) {
    const struct pq_db_tables *list = snapshot->list;
    for (size_t i = 0; i < list->count; i++) {
        if (!pq_text_equal(list->at[i]->entry->name, name)) continue;
        *table = list->at[i];
        return PQDB_OK;
    }
    const pqdb_code code = pq_db_find_table(db, name, table, err);  // says what is near
    return code != PQDB_OK ? code : pq_fail(err, PQDB_NOT_FOUND, "there is no %.*s at this version",
                                            PQ_TEXT_ARG(name));
}

pqdb_code pq_db_collect(pqdb_db *db, uint64_t version, int64_t time_us,
                        struct pq_db_snapshot **snapshot, pqdb_error *err) {
    const struct pq_db_tables *tables = db->tables;
    const size_t positions = tables->positions;
    struct pq_db_snapshot *made = pq_resize(db->alloc, NULL, 0, snapshot_bytes(positions), 1);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a snapshot");
    *made = (struct pq_db_snapshot){.alloc = db->alloc, .version = version, .time_us = time_us,
                                    .list = tables, .count = positions};
    atomic_init(&made->references, 1);
    made->facts = (struct pq_db_facts *)(void *)&made->tables[positions];
    for (size_t i = 0; i < positions; i++) made->tables[i] = NULL;
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_db_table *table = tables->at[i];
        const bool shows_old = table->facts.unbuilt && table->shown != NULL;
        made->tables[table->position] = pq_table_snapshot_ref(
            shows_old ? table->shown->table->published : table->table->published);
        made->facts[table->position] = table->facts;
        made->facts[table->position].shows_old = shows_old;
    }
    *snapshot = made;
    return PQDB_OK;
}

pqdb_code pq_db_publish(pqdb_db *db, uint64_t version, int64_t time_us, pqdb_error *err) {
    struct pq_db_snapshot *made;
    PQ_TRY(pq_db_collect(db, version, time_us, &made, err));
    pthread_mutex_lock(&db->published_lock);
    struct pq_db_snapshot *before = db->published;
    db->published = made;
    pthread_mutex_unlock(&db->published_lock);
    pq_db_snapshot_unref(before);
    return PQDB_OK;
}
