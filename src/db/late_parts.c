/// db/late_parts.c: late pieces of state, what order windows are filled from again, made in the
/// background before anybody asks for them.
///
/// A replica of the view is computed from a snapshot, gives its pieces to the view, and is thrown
/// away. Nothing that anybody reads changes, so nobody waits for it: refreshes and builds go on
/// meanwhile, and what they leave it nothing to give to, or have changed below it without the log,
/// makes it begin again. Only a change of the schema stops it and waits until it has stopped.
#include "base/fail.h"
#include "db/kept.h"
#include "db/replica.h"

bool pq_db_has_late_part(struct pq_node *node, bool is_there) {
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(node, &count);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].is_late && parts[i].is_there == is_there) return true;
    }
    return false;
}

/// Will rows be taken back from it? Groups change, and what links lead to does; a view that appends
/// only grows, and a collection has to have lost or changed a row. One that grows pays nothing.
static bool may_shrink(const struct pq_db_table *table) {
    const struct pq_view *view = table->view;
    for (; view->linked_count == 0 && view->upstream != NULL; view = view->upstream) {
        if (view->upstream->append) return false;
        if (view->upstream->grouped) return true;
    }
    return view->linked_count > 0 || table->root->rows_go;
}

bool pq_db_may_lack_parts(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                          const struct pq_db_table *table) {
    const struct pq_view *view = table->view;
    if (table->has_late_parts || view->mode != PQ_VIEW_STREAMING || !view->grouped) return false;
    if (pq_db_snapshot_rows(snapshot, table) == NULL) return false;
    const struct pq_db_facts *facts = &snapshot->facts[table->position];
    if (facts->unbuilt || facts->failed || pq_db_reads_kept(db, table)) return false;
    return pq_db_source_rows(db, snapshot, table) >= db->late_rows && may_shrink(table);
}

/// Leader: the node of a view that did not fail, or NULL.
static struct pq_node *whole_node(const pqdb_db *db, const struct pq_db_table *table) {
    if (table->node != NULL) return table->facts.failed ? NULL : table->node;
    struct pq_node *node = pq_circuit_find(db->circuit, table->id);
    return node == NULL || pq_circuit_failure(db->circuit, table->id) != NULL ? NULL : node;
}

/// Leader.
static bool lacks_parts(pqdb_db *db, const struct pq_db_table *table) {
    struct pq_node *node = whole_node(db, table);
    return node != NULL && pq_db_has_late_part(node, false);
}

// ---- one making -------------------------------------------------------------------------------

struct making {
    pqdb_db *db;
    struct pq_db_table *table;
    bool lags;                        // the view stands outside the circuit
    struct pq_db_snapshot *snapshot;  // owned; NULL: nothing is lacking
    struct pq_db_replica *replica;    // owned
};

/// `building`, `making`: from a snapshot, and from there on the log is held.
static pqdb_code begin(struct making *making, pqdb_error *err) {
    pqdb_db *db = making->db;
    const struct pq_db_replica_options options = {
        .table = making->table, .alone = true, .all_parts = true, .on_rows = &pq_db_nowhere,
        .stops = &db->making_stops};
    pthread_mutex_lock(&db->leader);
    pqdb_code code = pq_db_check_open(db, err);
    if (code == PQDB_OK && lacks_parts(db, making->table)) {
        making->snapshot = pq_db_snapshot(db);
        db->making_pinned = pq_log_position(db->log);
        code = pq_db_replica_create(db, &options, making->snapshot, &making->replica, err);
    }
    pthread_mutex_unlock(&db->leader);
    return code;
}

/// To where the view was when it was refreshed last, forward or back.
static pqdb_code go_to_refresh(struct making *making, pqdb_error *err) {
    pqdb_db *db = making->db;
    struct pq_db_replica *replica = making->replica;
    pthread_mutex_lock(&db->leader);
    const uint64_t reflects = making->table->facts.reflects;
    pthread_mutex_unlock(&db->leader);
    if (reflects >= replica->version) return pq_db_replica_advance_to(replica, reflects, err);
    return pq_db_replica_rewind(replica, reflects, err);
}

/// Beside everybody.
static pqdb_code compute(struct making *making, pqdb_error *err) {
    PQ_TRY(pq_db_replica_build(making->replica, err));
    return making->lags ? go_to_refresh(making, err)
                        : pq_db_replica_catch_up(making->replica, err);
}

/// Leader: has a view that lags, on which this one stands, got other rows? The log has none of
/// them.
static bool is_overtaken(const struct making *making) {
    const pqdb_db *db = making->db;
    const struct pq_db_table *source = making->table;
    do {
        source = pq_db_by_id(db, source->view->source);
    } while (source->view != NULL && source->view->mode == PQ_VIEW_STREAMING);
    return source->view != NULL && source->table->version > making->snapshot->version;
}

/// Leader, and for a view that lags `refreshing` and `branching`: the view is given what it lacks,
/// if it still does. CONFLICT: it is not where the replica is.
static pqdb_code give(struct making *making, pqdb_error *err) {
    pqdb_db *db = making->db;
    struct pq_db_table *table = making->table;
    PQ_TRY(pq_db_check_open(db, err));
    if (!lacks_parts(db, table)) return PQDB_OK;  // made, failed or built again meanwhile
    bool is_there = !is_overtaken(making);
    if (making->lags) is_there = table->facts.reflects == making->replica->version;
    if (!is_there) return pq_fail(err, PQDB_CONFLICT, "the view has been refreshed");
    if (!making->lags) PQ_TRY(pq_db_replica_finish(making->replica, err));
    pq_node_take_parts(whole_node(db, table), pq_circuit_find(making->replica->circuit, table->id));
    db->state_is_newer = true;
    return PQDB_OK;
}

static pqdb_code give_locked(struct making *making, pqdb_error *err) {
    pqdb_db *db = making->db;
    if (making->lags) pq_db_lock_contents(db);
    pthread_mutex_lock(&db->leader);
    const pqdb_code code = give(making, err);
    pthread_mutex_unlock(&db->leader);
    if (making->lags) pq_db_unlock_contents(db);
    return code;
}

/// What was overtaken is due again.
static void end(struct making *making, pqdb_code code) {
    pqdb_db *db = making->db;
    struct pq_db_table *table = making->table;
    pthread_mutex_lock(&db->leader);
    db->making_pinned = (struct pq_log_position){0};
    pthread_mutex_unlock(&db->leader);
    pq_db_replica_destroy(making->replica);
    pq_db_snapshot_unref(making->snapshot);
    if (table == NULL) return;
    table->makes_parts = false;
    if (code == PQDB_CONFLICT && making->lags) table->wants_parts = true;
    if (code == PQDB_CONFLICT && !making->lags) table->has_late_parts = false;
}

/// `building`: is one of the view due? If so it is not any more: what fails is not tried again, for
/// a step that needs a piece makes it.
static bool take_up(struct making *making) {
    pqdb_db *db = making->db;
    struct pq_db_table *table = making->table;
    if (table == NULL) return false;
    making->lags = table->wants_parts;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const bool is_due = making->lags || pq_db_may_lack_parts(db, snapshot, table);
    pq_db_snapshot_unref(snapshot);
    if (!is_due) return false;
    table->wants_parts = false;
    table->makes_parts = true;
    if (!making->lags) table->has_late_parts = true;
    return true;
}

static pqdb_code take_up_and_begin(struct making *making, uint32_t view, pqdb_error *err) {
    pqdb_db *db = making->db;
    pthread_mutex_lock(&db->building);
    pthread_mutex_lock(&db->making);
    making->table = pq_db_by_id(db, view);
    const pqdb_code code = take_up(making) ? begin(making, err) : PQDB_OK;
    pthread_mutex_unlock(&db->building);
    return code;
}

void pq_db_make_parts(pqdb_db *db, uint32_t view) {
    struct making making = {.db = db};
    pqdb_code code = take_up_and_begin(&making, view, NULL);
    const bool is_begun = code == PQDB_OK && making.replica != NULL;
    if (is_begun) code = compute(&making, NULL);
    if (is_begun && code == PQDB_OK) code = give_locked(&making, NULL);
    end(&making, code);
    pthread_mutex_unlock(&db->making);
    if (is_begun && code == PQDB_OK) pq_db_keeper_want(db);  // they are large, and in memory
}

// ---- those that stop it -----------------------------------------------------------------------

void pq_db_lock_schema(pqdb_db *db) {
    pthread_mutex_lock(&db->building);
    db->making_stops = true;
    pthread_mutex_lock(&db->making);
    db->making_stops = false;
}

void pq_db_unlock_schema(pqdb_db *db) {
    pthread_mutex_unlock(&db->making);
    pthread_mutex_unlock(&db->building);
}
