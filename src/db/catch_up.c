/// db/catch_up.c: see catch_up.h.
#include "db/catch_up.h"

#include "base/fail.h"
#include "db/kept.h"
#include "db/memory.h"
#include "db/replica.h"
#include "db/schema_change.h"

enum { memory_floor = 16 << 20 };  // a branch may hold so much, and the share of all states

// ---- how old ----------------------------------------------------------------------------------

static bool reads_table(const struct pq_db_table *table, uint32_t id) {
    if (table->root->id == id) return true;
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        for (size_t i = 0; i < view->linked_count; i++) {
            if (view->linked[i] == id) return true;
        }
    }
    return false;
}

struct pq_db_lack pq_db_lack_of(pqdb_db *db, const struct pq_db_table *table, uint64_t version,
                                uint64_t rows_max) {
    const struct pq_log_schemas none = pq_db_log_counts();
    struct pq_log_reader *reader;
    struct pq_db_lack lack = {0};
    const struct pq_log_record *record;
    if (version + 1 < pq_log_first_version(db->log)) return lack;
    if (pq_log_reader_open(db->log, version + 1, &none, &reader, NULL) != PQDB_OK) return lack;
    while (lack.rows <= rows_max && pq_log_reader_next(reader, &record, NULL) == PQDB_OK &&
           record != NULL) {
        for (size_t i = 0; i < record->rows_count; i++) {
            const struct pq_log_rows *part = &record->rows[i];
            if (!reads_table(table, part->collection)) continue;
            if (lack.first_us == 0) lack.first_us = record->time_us;
            lack.rows += part->rows_plus + part->rows_minus;
        }
    }
    pq_log_reader_close(reader);
    return lack;
}

int64_t pq_db_lacks_since(pqdb_db *db, struct pq_db_table *table, uint64_t version) {
    struct pq_db_catch_up *own = table->catch_up;
    pthread_mutex_lock(&db->published_lock);
    const bool is_known = own->lacks_us != 0 && own->lacks_version == version;
    int64_t lacks_us = own->lacks_us;
    pthread_mutex_unlock(&db->published_lock);
    if (is_known) return lacks_us;
    lacks_us = pq_db_lack_of(db, table, version, 0).first_us;
    pthread_mutex_lock(&db->published_lock);
    own->lacks_us = lacks_us;
    own->lacks_version = version;
    pthread_mutex_unlock(&db->published_lock);
    return lacks_us;
}

/// INT64_MAX: nobody knows.
static int64_t age_of(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                      struct pq_db_table *table, uint64_t version) {
    int64_t lacks_us = pq_db_lacks_since(db, table, version);
    // Where the log does not tell, what was made then is at most as old as that.
    if (lacks_us == 0) lacks_us = snapshot->facts[table->position].refreshed_us;
    if (lacks_us == 0) return INT64_MAX;
    const int64_t now_us = db->env->now_us(db->env->ctx);
    return now_us > lacks_us ? now_us - lacks_us : 0;
}

// ---- brought up -------------------------------------------------------------------------------

static void drop(struct pq_db_catch_up *own) {
    pq_db_replica_destroy(own->replica);
    own->replica = NULL;
    own->base = NULL;
}

void pq_db_catch_up_drop(pqdb_db *db, const struct pq_db_table *table) {
    const struct pq_db_tables *tables = db->tables;
    if (table->catch_up != NULL) drop(table->catch_up);
    for (size_t i = 0; i < tables->count; i++) {
        struct pq_db_catch_up *own = tables->at[i]->catch_up;
        if (own != NULL && own->base == table) drop(own);
    }
}

static bool is_whole(const struct pq_db_facts *facts) { return !facts->failed && !facts->unbuilt; }

/// The lagging view whose stored contents the view's follow, where both can be continued through
/// the log: the view itself, or one below it that it follows in the same commits. NULL: none.
static const struct pq_db_table *find_base(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                                           const struct pq_db_table *table) {
    const struct pq_db_table *at = table;
    for (; at->view != NULL; at = pq_db_by_id(db, at->view->source)) {
        if (!is_whole(&snapshot->facts[at->position])) return NULL;
        if (at->view->mode != PQ_VIEW_STREAMING) break;
        // It followed those it links to, but not the base; and its state is the leader's.
        if (at->view->linked_count > 0 || at->view->grouped) return NULL;
    }
    if (at->view == NULL) return NULL;
    for (const struct pq_view *up = at->view->upstream; up != NULL; up = up->upstream) {
        const struct pq_db_table *below = pq_db_by_id(db, up->table);
        if (!is_whole(&snapshot->facts[below->position])) return NULL;
    }
    return pq_db_not_by_log(db, at, &snapshot->facts[at->position]) == PQ_WHY_NOT ? at : NULL;
}

/// From nothing the view, and what lags below it, would lack what it keeps.
static pqdb_code check_loss(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                            const struct pq_db_table *table, pqdb_error *err) {
    for (const struct pq_db_table *at = table; at->view != NULL;
         at = pq_db_by_id(db, at->view->source)) {
        const struct pq_db_facts *facts = &snapshot->facts[at->position];
        const bool is_stored =
            at != table && at->view->mode == PQ_VIEW_STREAMING && is_whole(facts);
        if (!is_stored && pq_db_is_kept(at, facts)) {
            return pq_db_refuse_loss(at, "for this answer", err);
        }
    }
    return PQDB_OK;
}

static pqdb_code begin(pqdb_db *db, struct pq_db_snapshot *snapshot, struct pq_db_table *table,
                       const struct pq_db_table *base, pqdb_error *err) {
    struct pq_db_catch_up *own = table->catch_up;
    const struct pq_db_replica_options options = {.table = table, .alone = true, .branch = base,
                                                  .whole = base == NULL};
    drop(own);
    if (base == NULL) PQ_TRY(check_loss(db, snapshot, table, err));
    pthread_mutex_lock(&db->leader);
    const pqdb_code code = pq_db_replica_create(db, &options, snapshot, &own->replica, err);
    pthread_mutex_unlock(&db->leader);
    PQ_TRY(code);
    own->base = base;
    own->reflects = base == NULL ? 0 : snapshot->facts[base->position].reflects;
    return base == NULL ? pq_db_replica_build(own->replica, err) : PQDB_OK;
}

static size_t memory_of(const struct pq_db_replica *replica) {
    size_t bytes = 0;
    for (size_t i = 0; i < replica->count; i++) {
        const struct pq_db_member *member = &replica->members[i];
        if (member->rows != NULL) bytes += member->rows->memory_bytes;
        bytes += pq_node_bytes(pq_circuit_find(replica->circuit, member->table->id));
    }
    return bytes;
}

/// Go on with what is kept, or begin; `branching` is held, so that the base stays as it is.
static pqdb_code continue_to(pqdb_db *db, struct pq_db_snapshot *snapshot,
                             struct pq_db_table *table, const struct pq_db_table *base,
                             pqdb_error *err) {
    struct pq_db_catch_up *own = table->catch_up;
    const bool is_valid =  // what began from nothing does not depend on what is stored
        own->base == NULL || (own->base == base &&
                              own->reflects == snapshot->facts[own->base->position].reflects);
    const bool goes_on = own->replica != NULL && is_valid && !pq_db_reads_kept(db, table) &&
                         own->replica->version + 1 >= pq_log_first_version(db->log);
    pqdb_code code = goes_on ? PQDB_OK : begin(db, snapshot, table, base, err);
    if (code == PQDB_OK) code = pq_db_replica_advance(own->replica, snapshot, err);
    if (code != PQDB_OK) {
        drop(own);
        return code;
    }
    const size_t held = own->base == NULL ? 0 : memory_of(own->replica);
    if (held <= memory_floor || held <= pq_db_states_max(db)) return PQDB_OK;
    drop(own);
    return pq_fail(err, PQDB_UNSUPPORTED, "a branch of its state does not fit into memory");
}

static pqdb_code catch_up(pqdb_db *db, struct pq_text name, struct pq_db_shown *shown,
                          pqdb_error *err) {
    pthread_mutex_lock(&db->branching);
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_db_table *base = NULL;
    struct pq_db_table *table;  // the schema may have changed meanwhile
    pqdb_code code = pq_db_snapshot_find_view(db, snapshot, name, &table, err);
    if (code == PQDB_OK) code = pq_db_readable(snapshot, table, err);
    if (code == PQDB_OK) base = find_base(db, snapshot, table);
    if (code == PQDB_OK) code = continue_to(db, snapshot, table, base, err);
    if (code == PQDB_UNSUPPORTED) {  // from nothing, which may go to disk and lacks no rows
        code = continue_to(db, snapshot, table, NULL, err);
    }
    if (code == PQDB_OK) {
        const struct pq_db_replica *replica = table->catch_up->replica;
        pq_table_snapshot_unref(shown->rows);
        pq_db_snapshot_unref(shown->snapshot);
        shown->snapshot = snapshot;
        shown->table = table;
        shown->as = table;
        shown->rows =
            pq_table_snapshot_ref(replica->members[replica->count - 1].rows->published);
        shown->version = snapshot->version;
        shown->is_caught_up = true;
    } else {
        pq_db_snapshot_unref(snapshot);
    }
    pthread_mutex_unlock(&db->branching);
    return code;
}

// ---- shown ------------------------------------------------------------------------------------

/// What an append view has cannot be computed again, nor what stands on it.
static bool appends(const struct pq_view *view) {
    for (; view != NULL; view = view->upstream) {
        if (view->append) return true;
    }
    return false;
}

static int64_t limit_of(const struct pq_view *view, int64_t staleness_us) {
    if (staleness_us < 0 || view->grace_us < 0) {
        return staleness_us > view->grace_us ? staleness_us : view->grace_us;
    }
    return staleness_us < view->grace_us ? staleness_us : view->grace_us;
}

pqdb_code pq_db_show(pqdb_db *db, struct pq_text name, int64_t staleness_us,
                     struct pq_db_shown *shown, pqdb_error *err) {
    *shown = (struct pq_db_shown){.snapshot = pq_db_snapshot(db)};
    struct pq_db_table *table;
    pqdb_code code = pq_db_snapshot_find(db, shown->snapshot, name, &table, err);
    if (code == PQDB_OK) code = pq_db_showable(shown->snapshot, table, &shown->as, err);
    if (code != PQDB_OK) goto done;
    shown->table = table;
    shown->rows = pq_table_snapshot_ref(pq_db_snapshot_rows(shown->snapshot, table));
    shown->version = shown->snapshot->version;
    if (table->view == NULL || pq_db_is_fresh(shown->snapshot, table)) return PQDB_OK;
    shown->version = pq_db_version_of(shown->snapshot, table);
    shown->age_us = age_of(db, shown->snapshot, table, shown->version);
    const int64_t limit_us = limit_of(table->view, staleness_us);
    const bool is_too_old = limit_us == 0 || (limit_us > 0 && shown->age_us > limit_us);
    if (is_too_old && shown->as == table && !appends(table->view)) {
        code = catch_up(db, name, shown, err);
    }
done:
    if (code != PQDB_OK) pq_db_shown_deinit(shown);
    return code;
}

void pq_db_shown_deinit(struct pq_db_shown *shown) {
    pq_table_snapshot_unref(shown->rows);
    pq_db_snapshot_unref(shown->snapshot);
    *shown = (struct pq_db_shown){0};
}
