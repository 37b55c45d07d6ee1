/// db/keeper.c: the background thread: checkpoints, log segments ahead, buried files; it starts
/// threads for builds, merges and the schedule.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/wait.h"
#include "db/backlog.h"
#include "db/checkpoint_internal.h"
#include "db/schedule.h"
#include "db/schema_change.h"
#include "db/view_internal.h"

enum {
    log_bytes_default = 256 << 20,
    checkpoint_ms_default = 60 * 1000,
    tick_ms = 200,
    keeper_nice = 10,
    retry_ns = 1000 * 1000 * 1000,
    retention_look_ns = 1000 * 1000 * 1000,  // for a schema that has begun to ask for it
};

void pq_db_keeper_look(pqdb_db *db) {
    const uint64_t log_max = db->options.checkpoint_log_bytes != 0
                                 ? db->options.checkpoint_log_bytes
                                 : log_bytes_default;
    uint32_t backlog;
    const enum pq_db_pressure pressure = pq_db_pressure(db, &backlog);
    atomic_store_explicit(&db->memory_backlog, backlog, memory_order_relaxed);
    const bool wants = pressure != PQ_DB_AT_EASE ||
                       pq_log_bytes_since(db->log, &db->root_position) > log_max;
    if ((!wants && !pq_log_is_short(db->log)) || !db->keeper_runs) return;
    pthread_mutex_lock(&db->keeper_lock);
    db->checkpoint_wanted = db->checkpoint_wanted || wants;
    db->writers_wait = pressure == PQ_DB_MUST_WAIT;
    pthread_cond_signal(&db->keeper_wake);
    pthread_mutex_unlock(&db->keeper_lock);
}

void pq_db_keeper_want(pqdb_db *db) {
    pthread_mutex_lock(&db->keeper_lock);
    db->checkpoint_wanted = db->keeper_runs;
    pthread_cond_signal(&db->keeper_wake);
    pthread_mutex_unlock(&db->keeper_lock);
}

static void note_checkpoint(pqdb_db *db, pqdb_code code, const pqdb_error *err) {
    if (code == PQDB_OK) atomic_store_explicit(&db->memory_backlog, 0, memory_order_relaxed);
    pthread_mutex_lock(&db->keeper_lock);
    db->writers_wait = false;
    db->background_error[0] = '\0';
    if (code != PQDB_OK) {
        snprintf(db->background_error, sizeof db->background_error, "%.120s%s%.120s", err->subject,
                 err->subject[0] == '\0' ? "" : ": ", err->message);
    }
    pthread_cond_broadcast(&db->keeper_done);
    pthread_mutex_unlock(&db->keeper_lock);
}

static void wait_tick(pqdb_db *db, uint64_t shrink_ns) {
    uint64_t wait_ns = (uint64_t)tick_ms * 1000000;
    if (shrink_ns < wait_ns) wait_ns = shrink_ns;
    pq_wait_until(&db->keeper_wake, &db->keeper_lock, pq_wait_end(wait_ns));
}

static bool is_old_news(pqdb_db *db, uint64_t last_ns) {
    const int64_t every_ms =
        db->options.checkpoint_ms != 0 ? db->options.checkpoint_ms : checkpoint_ms_default;
    if (every_ms < 0) return false;
    const uint64_t now = db->env->monotonic_ns(db->env->ctx);
    return now - last_ns >= (uint64_t)every_ms * 1000000;
}

void pq_db_in_background(void) {
    // Of this thread only; writers and readers keep their priority.
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), keeper_nice);
}

// ---- work with a thread of its own ------------------------------------------------------------

static void *run_worker(void *ctx) {
    struct pq_db_worker *worker = ctx;
    pq_db_in_background();
    worker->work(worker->db);
    worker->ends = true;
    return NULL;
}

static void join_worker(struct pq_db_worker *worker) {
    if (worker->runs) pthread_join(worker->thread, NULL);
    worker->runs = false;
}

/// Is no thread at it? One that has done its work is joined.
static bool is_idle(struct pq_db_worker *worker) {
    if (worker->ends) join_worker(worker);
    return !worker->runs;
}

/// It is idle.
static void start_worker(pqdb_db *db, struct pq_db_worker *worker, void (*work)(pqdb_db *db)) {
    worker->db = db;
    worker->work = work;
    worker->ends = false;
    worker->runs = pthread_create(&worker->thread, NULL, run_worker, worker) == 0;
}

/// A checkpoint does not wait for builds.
static void look_after_builds(pqdb_db *db) {
    if (!is_idle(&db->builder) || !pq_db_build_is_due(db)) return;
    start_worker(db, &db->builder, pq_db_build_due);
}

static void look_after_schedule(pqdb_db *db) {
    if (!db->options.schedule || !is_idle(&db->scheduler) || !pq_db_schedule_is_due(db)) return;
    start_worker(db, &db->scheduler, pq_db_schedule_run);
}

static void merge(pqdb_db *db) {
    bool merged = false;
    pqdb_error err = {0};
    pq_db_merge_files(db, &merged, &err);  // what fails is tried again after the next checkpoint
    if (merged) pq_db_keeper_want(db);
}

static void merge_runs(pqdb_db *db) {
    bool merged = false;
    pqdb_error err = {0};
    pq_db_merge_runs(db, &merged, &err);
    if (merged) pq_db_keeper_want(db);
}

/// The checkpoint after a merge takes it up and looks for the next.
static void look_after_merges(pqdb_db *db) {
    if (is_idle(&db->merger) && db->merge_due) {
        db->merge_due = false;
        start_worker(db, &db->merger, merge);
    }
    if (is_idle(&db->run_merger) && db->runs_wait) start_worker(db, &db->run_merger, merge_runs);
}

/// Where merges cannot keep up commits wait for them; where none runs that would help one is due.
static void look_after_dead_rows(pqdb_db *db) {
    pthread_mutex_lock(&db->leader);
    const uint32_t backlog = db->broken ? 0 : pq_db_dead_backlog(db);
    pthread_mutex_unlock(&db->leader);
    atomic_store_explicit(&db->dead_backlog, backlog, memory_order_relaxed);
    if (backlog > PQ_DB_BACKLOG_EASY && !db->merger.runs) pq_db_keeper_want(db);
}

static void retain(pqdb_db *db) {
    pqdb_error err = {0};
    pq_db_retain(db, &err);  // what fails is tried again with the next look
}

/// Rows that have become too old; the thread may wait as every writer does.
static void look_after_retention(pqdb_db *db, uint64_t *due_ns) {
    const uint64_t now = db->env->monotonic_ns(db->env->ctx);
    if (!is_idle(&db->retainer) || now < *due_ns) return;
    const uint64_t pause = pq_db_retention_pause(db);
    *due_ns = now + (pause == UINT64_MAX ? retention_look_ns : pause);
    if (pause != UINT64_MAX) start_worker(db, &db->retainer, retain);
}

static void *keep(void *ctx) {
    pqdb_db *db = ctx;
    pq_db_in_background();
    uint64_t last_ns = db->env->monotonic_ns(db->env->ctx), shrink_ns = UINT64_MAX;
    uint64_t retention_ns = 0;
    bool failed = false, log_is_short = false;
    pthread_mutex_lock(&db->keeper_lock);
    while (!db->keeper_stops) {
        if (!db->checkpoint_wanted && !log_is_short) wait_tick(db, shrink_ns);
        const bool wanted = db->checkpoint_wanted;
        db->checkpoint_wanted = false;
        pthread_mutex_unlock(&db->keeper_lock);
        pqdb_error err = {0};
        // The log does without when that fails.
        log_is_short = pq_log_is_short(db->log) && pq_log_prepare(db->log, NULL) == PQDB_OK &&
                       pq_log_is_short(db->log);
        const bool is_old = is_old_news(db, last_ns);  // then other engines see it too
        // After a failure the next try waits, however often writers ask.
        const uint64_t since_ns = db->env->monotonic_ns(db->env->ctx) - last_ns;
        if ((wanted || is_old) && !(failed && since_ns < retry_ns)) {
            const pqdb_code code = pq_db_checkpoint(db, is_old, &err);
            note_checkpoint(db, code, &err);
            failed = code != PQDB_OK;
            db->merge_due = code == PQDB_OK;
            last_ns = db->env->monotonic_ns(db->env->ctx);
        }
        look_after_builds(db);
        look_after_merges(db);
        look_after_dead_rows(db);
        look_after_retention(db, &retention_ns);
        look_after_schedule(db);
        shrink_ns = pq_pace_shrink(db->pace);
        pthread_mutex_lock(&db->keeper_lock);
    }
    pthread_mutex_unlock(&db->keeper_lock);
    return NULL;
}

pqdb_code pq_db_keeper_start(pqdb_db *db, pqdb_error *err) {
    db->keeper_runs = true;  // before it runs: it reads this too
    if (pthread_create(&db->keeper, NULL, keep, db) == 0) return PQDB_OK;
    db->keeper_runs = false;
    return pq_fail(err, PQDB_NO_MEMORY, "no thread for checkpoints can be started");
}

void pq_db_keeper_stop(pqdb_db *db) {
    if (!db->keeper_runs) return;
    pthread_mutex_lock(&db->keeper_lock);
    db->keeper_stops = true;
    pthread_cond_signal(&db->keeper_wake);
    pthread_mutex_unlock(&db->keeper_lock);
    pthread_join(db->keeper, NULL);
    join_worker(&db->builder);
    join_worker(&db->merger);
    join_worker(&db->run_merger);
    join_worker(&db->retainer);
    join_worker(&db->scheduler);
    db->keeper_runs = false;
}
