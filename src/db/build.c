/// db/build.c: views built from nothing while the database goes on: new ones, full refreshes,
/// changed definitions, those that failed.
///
/// From a snapshot on the caller's thread, then through the log in rounds that each should halve
/// what is left; where writers are too fast for that, in small steps between their commits. The
/// leader is needed for the last few rows and the swap, which is one commit.
#include <string.h>

#include "base/fail.h"
#include "db/append.h"
#include "db/kept.h"
#include "db/replica.h"

enum {
    rounds_max = 8,
    swap_rows = 4096,         // so few are left to the leader
    assist_rows = 1024,       // of the log in a step between two commits,
    assist_ns = 5000000,      // and for so long
    wait_ns = 50000,
    checkpoint_rows = 100000, // a result of or from so many rows is written soon
};

bool pq_db_is_views_own(pqdb_code code) {
    return code == PQDB_LIMIT || code == PQDB_INVALID || code == PQDB_UNSUPPORTED;
}

bool pq_db_follows(const struct pq_db_table *table, uint32_t source) {
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        if (view->source == source) return true;
        if (view->upstream != NULL && view->upstream->mode != PQ_VIEW_STREAMING) return false;
    }
    return false;
}

enum pq_root_pace pq_db_pace(const struct pq_db_table *table) {
    if (table->view == NULL) return PQ_ROOT_PACE_UNKNOWN;
    const enum pq_view_mode mode = table->view->mode;
    const bool follows = mode == PQ_VIEW_STREAMING || mode == PQ_VIEW_APPENDING;
    return follows ? PQ_ROOT_BY_COMMITS : PQ_ROOT_BY_REFRESHES;
}

bool pq_db_wants_build(const struct pq_db_table *table) {
    return table->view != NULL && table->view->mode != PQ_VIEW_MANUAL &&
           (table->facts.unbuilt || table->facts.failed) && !pq_db_is_kept(table, &table->facts);
}

/// Its node is half built, or what it read is gone.
void pq_db_note_failed(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why) {
    table->facts.failed = true;
    pq_db_set_failure(db, table, why);
    if (table->view->mode != PQ_VIEW_STREAMING) return;
    // What is shown of a view that was never built is as old as it was.
    if (!table->facts.unbuilt) pq_db_set_reflects(db, table, table->table->version);
    pq_circuit_detach(db->circuit, table->id, why);
}

/// A healthy view stays as it is: only the attempt has failed.
static void note_attempt(pqdb_db *db, struct pq_db_table *table, pqdb_code code,
                         const pqdb_error *why) {
    const bool streams = table->view->mode == PQ_VIEW_STREAMING;
    if (!pq_db_is_views_own(code)) return;
    if (streams && !table->facts.failed && !table->facts.unbuilt) return;
    pq_db_note_failed(db, table, why);
}

size_t pq_db_source_rows(const pqdb_db *db, const struct pq_db_snapshot *snapshot,
                         const struct pq_db_table *table) {
    const struct pq_db_table *source = pq_db_by_id(db, table->view->source);
    const struct pq_table_snapshot *rows = pq_db_snapshot_rows(snapshot, source);
    return rows == NULL ? 0 : rows->rows;
}

// ---- catching up ------------------------------------------------------------------------------

static pqdb_code assist(struct pq_db_replica *replica, bool *done, pqdb_error *err) {
    pqdb_db *db = replica->db;
    const uint64_t began = db->env->monotonic_ns(db->env->ctx);
    pqdb_code code = PQDB_OK;
    pthread_mutex_lock(&db->leader);
    do {
        code = pq_db_replica_assist(replica, assist_rows, done, err);
    } while (code == PQDB_OK && !*done &&
             db->env->monotonic_ns(db->env->ctx) - began < assist_ns);
    pthread_mutex_unlock(&db->leader);
    return code;
}

static uint64_t published_version(pqdb_db *db) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const uint64_t version = snapshot->version;
    pq_db_snapshot_unref(snapshot);
    return version;
}

/// One step between every two commits: each takes more out of what is left than a commit brings.
static pqdb_code catch_up_beside(struct pq_db_replica *replica, pqdb_error *err) {
    pqdb_db *db = replica->db;
    bool done = false;
    while (!done) {
        const uint64_t version = published_version(db);
        PQ_TRY(assist(replica, &done, err));
        for (int i = 0; !done && i < 20 && published_version(db) == version; i++) {
            db->env->sleep_ns(db->env->ctx, wait_ns);
        }
    }
    return PQDB_OK;
}

pqdb_code pq_db_replica_catch_up(struct pq_db_replica *replica, pqdb_error *err) {
    uint64_t before = UINT64_MAX;
    for (int round = 0; round < rounds_max; round++) {
        const uint64_t rows_before = replica->steps_rows;
        struct pq_db_snapshot *snapshot = pq_db_snapshot(replica->db);
        const pqdb_code code = pq_db_replica_advance(replica, snapshot, err);
        pq_db_snapshot_unref(snapshot);
        PQ_TRY(code);
        const uint64_t rows = replica->steps_rows - rows_before;
        if (rows <= swap_rows) return PQDB_OK;
        if (rows > before / 2) break;
        before = rows;
    }
    return catch_up_beside(replica, err);
}

pqdb_code pq_db_replica_finish(struct pq_db_replica *replica, pqdb_error *err) {
    pqdb_db *db = replica->db;
    struct pq_db_snapshot *snapshot;
    PQ_TRY(pq_db_check_open(db, err));
    PQ_TRY(pq_db_collect(db, db->version, pq_log_time_us(db->log), &snapshot, err));
    const pqdb_code code = pq_db_replica_advance(replica, snapshot, err);
    pq_db_snapshot_unref(snapshot);
    return code;
}

// ---- the swap ---------------------------------------------------------------------------------

/// A build, when it began.
struct begun {
    uint64_t at_ns;
    enum pq_refresh_why why;
};

static uint64_t rows_of_top(const struct pq_db_replica *replica) {
    for (size_t i = 0; i < replica->count; i++) {
        const struct pq_db_member *member = &replica->members[i];
        if (member->table == replica->top && member->rows != NULL) return member->rows->rows;
    }
    return 0;
}

/// What views that keep have kept since the build began would go with the swap.
static pqdb_code check_kept(const struct pq_db_replica *replica, pqdb_error *err) {
    bool is_below = true;
    for (size_t i = 0; i < replica->count && !replica->discards; i++) {
        const struct pq_db_table *table = replica->members[i].table;
        is_below = is_below && table != replica->top;
        if (is_below || !pq_db_is_kept(table, &table->facts)) continue;
        return pq_db_refuse_loss(table, "rows went meanwhile", err);
    }
    return PQDB_OK;
}

/// A view that failed meanwhile was not heard any more.
static pqdb_code check_heard(const pqdb_db *db, const struct pq_db_table *table, pqdb_error *err) {
    const struct pq_db_table *source = pq_db_by_id(db, table->view->source);
    if (!source->facts.failed) return PQDB_OK;
    return pq_fail(err, PQDB_INVALID, "%.*s, which it reads, has failed",
                   PQ_TEXT_ARG(source->entry->name));
}

/// Leader and `refreshing`.
static pqdb_code swap(struct pq_db_replica *replica, const struct begun *begun, pqdb_error *err) {
    pqdb_db *db = replica->db;
    struct pq_db_table *table = replica->top;
    PQ_TRY(check_kept(replica, err));
    if (replica->hears) PQ_TRY(check_heard(db, table, err));
    PQ_TRY(pq_db_replica_finish(replica, err));
    const struct pq_last_refresh did = {
        .kind = PQ_REFRESH_FULL,
        .why = begun->why == PQ_WHY_NOT ? pq_db_not_as_it_is(&table->facts) : begun->why,
        .rows = rows_of_top(replica),
        .took_us = (int64_t)((db->env->monotonic_ns(db->env->ctx) - begun->at_ns) / 1000)};
    uint64_t version;
    PQ_TRY(pq_db_log_refresh(db, table, PQ_DB_LOGGED_SWAP, &did, &version, err));
    const int64_t time_us = pq_log_time_us(db->log);
    pqdb_code code = pq_db_replica_install(replica, version, time_us, err);
    table->facts.last = did;
    if (code == PQDB_OK) code = pq_db_publish(db, version, time_us, err);
    if (code != PQDB_OK) return pq_db_break(db, code, err);  // reopening repeats it from the log
    return PQDB_OK;
}

static pqdb_code swap_locked(struct pq_db_replica *replica, const struct begun *begun,
                             pqdb_error *err) {
    pqdb_db *db = replica->db;
    pq_db_lock_contents(db);
    pthread_mutex_lock(&db->leader);
    const pqdb_code code = swap(replica, begun, err);
    const bool is_large = code == PQDB_OK && (replica->top->table->rows >= checkpoint_rows ||
                                              replica->top->built_rows >= checkpoint_rows);
    pthread_mutex_unlock(&db->leader);
    pq_db_unlock_contents(db);
    if (is_large) pq_db_keeper_want(db);  // recovery would compute it again until it is in a root
    return code;
}

pqdb_code pq_db_build_begin(pqdb_db *db, struct pq_db_table *table,
                            struct pq_db_snapshot **snapshot, pqdb_error *err) {
    pthread_mutex_lock(&db->leader);
    const pqdb_code code = pq_db_check_open(db, err);
    if (code == PQDB_OK) {
        db->pinned = pq_log_position(db->log);
        *snapshot = pq_db_snapshot(db);
        if (pq_db_reads_kept(db, table)) pq_db_listen(db, pq_db_by_id(db, table->view->source));
        table->built_rows = 0;
        table->build_rows = pq_db_source_rows(db, *snapshot, table);
    }
    pthread_mutex_unlock(&db->leader);
    return code;
}

void pq_db_build_end(pqdb_db *db, struct pq_db_table *table, pqdb_code code,
                     const pqdb_error *why) {
    pthread_mutex_lock(&db->leader);
    db->pinned = (struct pq_log_position){0};
    pq_db_listen_end(db);
    table->build_rows = 0;
    if (code != PQDB_OK) {
        note_attempt(db, table, code, why);
        pq_db_publish(db, db->version, pq_log_time_us(db->log), NULL);  // the view's state
    }
    pthread_mutex_unlock(&db->leader);
}

/// From a snapshot, through the log, and swapped.
static pqdb_code build_beside(pqdb_db *db, const struct pq_db_replica_options *options,
                              const struct begun *begun, struct pq_db_snapshot *snapshot,
                              struct pq_db_replica **replica, pqdb_error *err) {
    pthread_mutex_lock(&db->leader);  // pieces of state may be given to the view
    const pqdb_code code = pq_db_replica_create(db, options, snapshot, replica, err);
    pthread_mutex_unlock(&db->leader);
    PQ_TRY(code);
    PQ_TRY(pq_db_replica_build(*replica, err));
    PQ_TRY(pq_db_replica_catch_up(*replica, err));
    return swap_locked(*replica, begun, err);
}

/// What a view below keeps or appends the log cannot tell, and what it put out meanwhile was too
/// much to be held: computed from what is stored, while writers wait, and swapped.
static pqdb_code build_at_once(pqdb_db *db, const struct pq_db_replica_options *options,
                               const struct begun *begun, struct pq_db_replica **replica,
                               pqdb_error *err) {
    struct pq_db_replica_options stored = *options;
    struct pq_db_snapshot *snapshot;
    stored.hears = false;
    pq_db_lock_contents(db);
    pthread_mutex_lock(&db->leader);
    pqdb_code code = pq_db_collect(db, db->version, pq_log_time_us(db->log), &snapshot, err);
    if (code == PQDB_OK) {
        code = pq_db_replica_create(db, &stored, snapshot, replica, err);
        pq_db_snapshot_unref(snapshot);
    }
    if (code == PQDB_OK) code = pq_db_replica_build(*replica, err);
    if (code == PQDB_OK) code = swap(*replica, begun, err);
    pthread_mutex_unlock(&db->leader);
    pq_db_unlock_contents(db);
    return code;
}

/// Multisets are most of the work. Where it is repeated for its cost it would pay for each more
/// than they save. Of a view that lags they are made behind it, if there were some or one was
/// missed; not where the source is small, nor where links are followed: look-ups show only what is
/// after a step. Who misses one again while nobody has made it, nor does, makes it himself. Leader.
static bool is_lean(pqdb_db *db, struct pq_db_table *table, const struct pq_db_snapshot *snapshot,
                    enum pq_refresh_why reason) {
    if (reason == PQ_WHY_COST) return true;
    if (table->node == NULL || !table->view->grouped || table->entry->retention_keeps) return false;
    if (pq_db_source_rows(db, snapshot, table) < db->late_rows || pq_db_reads_kept(db, table)) {
        return false;
    }
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        if (view->linked_count > 0) return false;
    }
    const bool is_missed = reason == PQ_WHY_TAKEN_BACK;
    const bool was_missed = table->facts.last.why == PQ_WHY_TAKEN_BACK;
    if (is_missed && was_missed && !table->makes_parts) return false;
    table->wants_parts = is_missed || table->wants_parts || pq_db_has_late_part(table->node, true);
    return true;
}

pqdb_code pq_db_build(pqdb_db *db, struct pq_db_table *table, enum pq_refresh_why reason,
                      pqdb_error *err) {
    if (table->view->append) return pq_db_append_refresh(db, table, false, err);
    const struct begun begun = {.at_ns = db->env->monotonic_ns(db->env->ctx), .why = reason};
    struct pq_db_replica_options options = {.table = table,
                                            .discards = reason == PQ_WHY_DISCARD};
    struct pq_db_replica *replica = NULL;
    struct pq_db_snapshot *snapshot = NULL;
    pqdb_error why = {0};
    pqdb_code code;
    PQ_TRY(pq_db_build_begin(db, table, &snapshot, err));
    pthread_mutex_lock(&db->leader);
    options.is_lean = is_lean(db, table, snapshot, reason);
    pthread_mutex_unlock(&db->leader);
    options.stored = options.hears = pq_db_reads_kept(db, table);
    code = build_beside(db, &options, &begun, snapshot, &replica, &why);
    if (code == PQDB_UNSUPPORTED) {  // a step missed a late piece of state: with all of them
        pq_db_replica_destroy(replica);
        replica = NULL;
        options.all_parts = true;
        options.is_lean = false;
        code = build_beside(db, &options, &begun, snapshot, &replica, &why);
    }
    if (code == PQDB_LIMIT && db->listener.code == PQDB_LIMIT) {
        pq_db_replica_destroy(replica);
        replica = NULL;
        code = build_at_once(db, &options, &begun, &replica, &why);
    }
    pq_db_snapshot_unref(snapshot);
    pq_db_build_end(db, table, code, &why);
    pq_db_replica_destroy(replica);
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

pqdb_code pq_db_build_here(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                           int64_t time_us, pqdb_error *err) {
    const struct pq_db_append_at at = {.version = version, .time_us = time_us};
    if (table->view->append) return pq_db_append_here(db, table, &at, err);
    const struct pq_db_replica_options options = {.table = table, .stored = true,
                                                  .discards = db->is_replaying};
    struct pq_db_replica *replica = NULL;
    struct pq_db_snapshot *snapshot;
    pqdb_error why = {0};
    PQ_TRY(pq_db_collect(db, version, time_us, &snapshot, err));
    pqdb_code code = pq_db_replica_create(db, &options, snapshot, &replica, &why);
    pq_db_snapshot_unref(snapshot);
    if (code == PQDB_OK) code = pq_db_replica_build(replica, &why);
    if (code == PQDB_OK) code = pq_db_replica_install(replica, version, time_us, &why);
    pq_db_replica_destroy(replica);
    if (code != PQDB_OK && pq_db_is_views_own(code)) pq_db_note_failed(db, table, &why);
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

// ---- in the background ------------------------------------------------------------------------

enum { retry_first_s = 1, retry_last_s = 300 };

static bool is_due(pqdb_db *db, struct pq_db_table *table) {
    pthread_mutex_lock(&db->leader);
    const bool wants = pq_db_wants_build(table);
    pthread_mutex_unlock(&db->leader);
    return wants && db->env->monotonic_ns(db->env->ctx) >= table->retry_ns;
}

bool pq_db_build_is_due(pqdb_db *db) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_db_tables *tables = snapshot->list;
    const uint64_t now = db->env->monotonic_ns(db->env->ctx);
    bool due = false;
    for (size_t i = 0; i < tables->count; i++) {
        struct pq_db_table *table = tables->at[i];
        if (table->view == NULL || pq_db_snapshot_rows(snapshot, table) == NULL) continue;
        due = due || table->wants_parts;
        if (table->view->mode == PQ_VIEW_MANUAL) continue;
        const struct pq_db_facts *facts = &snapshot->facts[table->position];
        const bool can_build = !pq_db_is_kept(table, facts);
        const bool wants = (can_build && (facts->unbuilt || facts->failed)) ||
                           pq_db_may_lack_parts(db, snapshot, table);
        due = due || (wants && now >= table->retry_ns);
    }
    pq_db_snapshot_unref(snapshot);
    return due;
}

/// NULL: the last refresh has not failed any more. Of a view that lags, replay cannot find out: its
/// own failures are logged. What is built again at the next opening fails again.
static void note_failure_of_try(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why) {
    pthread_mutex_lock(&db->leader);
    struct pq_db_facts *facts = &table->facts;
    const bool is_open = pq_db_check_open(db, NULL) == PQDB_OK;
    const bool is_news = why != NULL || facts->refresh_failed;
    const bool is_its_own = why != NULL && pq_db_is_views_own(why->code);
    if (is_open && is_its_own && table->node != NULL && !facts->unbuilt) {
        pq_db_log_failure(db, table, why, NULL);
    }
    if (is_news && !facts->failed && is_open) {
        facts->refresh_failed = why != NULL;
        if (why != NULL) pq_db_set_failure(db, table, why);
    }
    if (is_news && is_open) pq_db_publish(db, db->version, pq_log_time_us(db->log), NULL);
    pthread_mutex_unlock(&db->leader);
}

void pq_db_note_try(pqdb_db *db, struct pq_db_table *table, pqdb_code code,
                    const pqdb_error *why) {
    const uint64_t second = 1000 * 1000 * 1000;
    note_failure_of_try(db, table, code == PQDB_OK ? NULL : why);
    if (code == PQDB_OK) {
        table->retry_after_ns = 0;
        table->retry_ns = 0;
        return;
    }
    table->retry_after_ns = table->retry_after_ns == 0 ? retry_first_s * second
                                                       : table->retry_after_ns * 2;
    if (table->retry_after_ns > retry_last_s * second) {
        table->retry_after_ns = retry_last_s * second;
    }
    table->retry_ns = db->env->monotonic_ns(db->env->ctx) + table->retry_after_ns;
}

/// `building` is held.
static void try_build(pqdb_db *db, struct pq_db_table *table) {
    pqdb_error why = {0};
    if (!is_due(db, table)) return;
    const pqdb_code code = pq_db_build(db, table, PQ_WHY_NOT, &why);
    pq_db_note_try(db, table, code, &why);
}

void pq_db_build_due(pqdb_db *db) {
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count && !db->closes; i++) {
        pthread_mutex_lock(&db->building);
        struct pq_db_table *table = pq_db_by_id(db, views->views[i].table);
        if (table != NULL) try_build(db, table);
        pthread_mutex_unlock(&db->building);
        if (!db->closes) pq_db_make_parts(db, views->views[i].table);
    }
}

pqdb_code pq_db_join_circuit(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    const size_t count = pq_circuit_count(db->circuit);
    if (count == db->outputs_room) {
        const size_t room = count == 0 ? 16 : count * 2;
        struct pq_output *outputs = pq_arena_calloc(&db->arena, room, sizeof *outputs);
        if (outputs == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of views");
        db->outputs = outputs;
        db->outputs_room = room;
    }
    PQ_TRY(pq_db_part_create(db, table, &table->part, err));
    if (table->view->mode == PQ_VIEW_STREAMING) {
        PQ_TRY(pq_circuit_add(db->circuit, table->part->node, err));
        const struct pq_circuit_keeper keeper = {pq_db_complete_streaming, table};
        if (table->entry->retention_keeps) pq_circuit_keep(db->circuit, table->id, &keeper);
    } else {
        table->node = table->part->node;
    }
    table->part->node = NULL;
    return PQDB_OK;
}
