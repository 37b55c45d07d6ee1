/// db/ingest.c: JSON text in, commits out. A long run is a pipeline: the caller's thread parses one
/// batch while a worker encodes and commits the one before.
#include <parquedb/write.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "db/ingest_internal.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "db/write_internal.h"

enum { jobs_max = 2 };

// ---- one batch --------------------------------------------------------------------------------

struct job {
    struct pq_row_batch rows;
    struct pq_bytes token;
    bool ids_are_new;
    uint64_t number;
    size_t told;  // refusals that the caller knows
};

static pqdb_code finish_rows(pqdb_db *db, const struct pq_db_table *table,
                             struct pq_ulids *ulids, struct job *job, pqdb_error *err) {
    job->ids_are_new = job->rows.missing_ids == job->rows.batch.count;
    job->told = job->rows.refusal_count;
    if (job->rows.missing_ids > 0) PQ_TRY(pq_rows_fill_ids(&job->rows, ulids, err));
    pq_rows_stamp(&job->rows, table->entry, 0, db->env->now_us(db->env->ctx));
    return PQDB_OK;
}

/// Commit the batch; what a stream cannot take of it is set aside, and the rest tried again.
static pqdb_code commit_job(struct pq_db_change *change, struct job *job, pqdb_error *err) {
    pqdb_db *db = change->db;
    struct pq_db_table *table = change->write.table;
    size_t kept = 0;
    change->rows = &job->rows;
    change->ids_are_new = job->ids_are_new;
    change->write.token = pq_bytes_text(&job->token);
    for (;;) {
        PQ_TRY(pq_db_keep_refusals(db, table, job->rows.refusals + kept,
                                   job->rows.refusal_count - kept, err));
        kept = job->rows.refusal_count;
        const pqdb_code code = pq_db_create_rows(change, err);
        if (change->set_aside_count == 0) return code;
        PQ_TRY(pq_db_set_aside(change, err));
    }
}

static void job_deinit(struct job *job) {
    pq_rows_deinit(&job->rows);
    pq_bytes_deinit(&job->token);
}

// ---- the target -------------------------------------------------------------------------------

pqdb_code pq_db_find_writable(pqdb_db *db, const char *name, struct pq_db_table **table,
                          pqdb_error *err) {
    PQ_TRY(pq_db_find_table(db, pq_text_of(name), table, err));
    if ((*table)->view == NULL) return PQDB_OK;
    pq_fail(err, PQDB_INVALID, "%s is a view: write to %.*s instead", name,
            PQ_TEXT_ARG((*table)->root->entry->name));
    return pq_fail_subject(err, PQDB_INVALID, pq_text_of(name));
}

/// A collection by name, or the one that a source feeds ("tail").
static pqdb_code find_target(pqdb_db *db, const char *target, struct pq_db_table **table,
                             pqdb_error *err) {
    if (pq_db_find(db, pq_text_of(target)) != NULL) {
        return pq_db_find_writable(db, target, table, err);
    }
    *table = NULL;
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        if (!pq_text_is(tables->at[i]->entry->ingest, target)) continue;
        if (*table != NULL) {
            pq_fail(err, PQDB_INVALID, "%s feeds %.*s and %.*s: name one of them", target,
                    PQ_TEXT_ARG((*table)->entry->name), PQ_TEXT_ARG(tables->at[i]->entry->name));
            return pq_fail_subject(err, PQDB_INVALID, pq_text_of(target));
        }
        *table = tables->at[i];
    }
    return *table != NULL ? PQDB_OK : pq_db_find_writable(db, target, table, err);
}

static bool is_stream(const struct pq_db_table *table) {
    return table->entry->kind == PQ_ENTRY_STREAM;
}

pqdb_code pq_db_make_reader(pqdb_db *db, const struct pq_db_table *table, bool set_aside,
                            struct pq_row_reader **reader, pqdb_error *err) {
    const struct pq_row_options options = {.entry = table->entry, .names = table->names,
                                           .env = db->env, .rows_max = PQDB_INGEST_ROWS,
                                           .set_aside = set_aside};
    return pq_row_reader_create(&options, db->alloc, reader, err);
}

static struct pq_row_reader *take_idle_reader(struct pq_db_table *table) {
    return __atomic_exchange_n(&table->idle_reader, NULL, __ATOMIC_ACQ_REL);
}

static void give_idle_reader(struct pq_db_table *table, struct pq_row_reader *reader) {
    pq_row_reader_destroy(__atomic_exchange_n(&table->idle_reader, reader, __ATOMIC_ACQ_REL));
}

void pq_db_reader_destroy(struct pq_db_table *table) {
    pq_row_reader_destroy(take_idle_reader(table));
}

static pqdb_code on_conflict_of(const struct pq_db_table *table, const char *given,
                                enum pq_on_conflict *on_conflict, pqdb_error *err) {
    const bool sets_aside = table->entry->kind == PQ_ENTRY_STREAM;
    *on_conflict = sets_aside ? PQ_CONFLICT_SET_ASIDE : PQ_CONFLICT_REFUSE;
    if (given == NULL) return PQDB_OK;
    if (strcmp(given, "ignore") == 0) *on_conflict = PQ_CONFLICT_IGNORE;
    if (strcmp(given, "replace") == 0) *on_conflict = PQ_CONFLICT_REPLACE;
    if (*on_conflict == PQ_CONFLICT_IGNORE || *on_conflict == PQ_CONFLICT_REPLACE) return PQDB_OK;
    return pq_fail(err, PQDB_INVALID, "on conflict is 'ignore' or 'replace', not '%.40s'", given);
}

/// A reader keeps dictionaries and memory from one call to the next.
static pqdb_code begin_create(pqdb_db *db, const char *collection,
                              const pqdb_write_options *options, struct pq_db_change *change,
                              struct pq_row_reader **reader, pqdb_error *err) {
    struct pq_db_table *table;
    enum pq_on_conflict on_conflict;
    PQ_TRY(pq_db_find_writable(db, collection, &table, err));
    PQ_TRY(on_conflict_of(table, options->on_conflict, &on_conflict, err));
    *reader = take_idle_reader(table);
    if (*reader == NULL) PQ_TRY(pq_db_make_reader(db, table, is_stream(table), reader, err));
    pq_db_change_init(change, db, table);
    change->on_conflict = on_conflict;
    return PQDB_OK;
}

static pqdb_code read_and_commit(struct pq_db_change *change, struct pq_row_reader *reader,
                                 struct pq_text json, const char *token, struct job *job,
                                 pqdb_error *err) {
    pqdb_db *db = change->db;
    struct pq_ulids ulids;
    pq_ulids_init(&ulids, db->env);
    // What happens on conflict belongs to what a token stands for.
    const uint64_t content =
        pq_hash_word(pq_hash(json.data, json.length) + (uint64_t)change->on_conflict % 3);
    PQ_TRY(pq_db_make_token(token, UINT64_MAX, content, &job->token, err));
    PQ_TRY(pq_row_reader_read(reader, json, &job->rows, err));
    PQ_TRY(finish_rows(db, change->write.table, &ulids, job, err));
    return commit_job(change, job, err);
}

pqdb_code pqdb_create(pqdb_db *db, const char *collection, const char *json, size_t length,
                      const pqdb_write_options *options, pqdb_written *written, pqdb_error *err) {
    static const pqdb_write_options defaults;
    if (options == NULL) options = &defaults;
    struct pq_db_change change;
    struct pq_row_reader *reader;
    struct job job = {0};
    pq_bytes_init(&job.token, db->alloc);
    pq_db_gate_enter(&db->gate);
    pqdb_code code = begin_create(db, collection, options, &change, &reader, err);
    if (code == PQDB_OK) {
        code = read_and_commit(&change, reader, (struct pq_text){json, length}, options->token,
                               &job, err);
        give_idle_reader(change.write.table, reader);
        if (code == PQDB_OK) pq_db_written(&change, written);
        pq_db_change_deinit(&change);
    }
    pq_db_gate_leave(&db->gate);
    if (code == PQDB_OK) {
        pq_db_sort_refusals(&job.rows);
        pq_db_tell_refusals(options, job.rows.refusals, job.rows.refusal_count);
        if (written != NULL) written->refused = job.rows.refusal_count;
    }
    job_deinit(&job);
    return code;
}

// ---- the pipeline -----------------------------------------------------------------------------

struct pqdb_ingest {
    pqdb_db *db;
    struct pq_db_table *table;
    pqdb_write_options options;
    char *token;  // owned copy, or NULL
    struct pq_row_reader *reader;
    struct pq_ulids ulids;
    uint64_t batches;
    pqdb_written written;
    _Atomic uint64_t rows_committed;

    pthread_t worker;
    bool worker_runs;
    pthread_mutex_t lock;  // guards what follows
    pthread_cond_t changed;
    struct job jobs[jobs_max];
    size_t first, waiting;  // a ring
    bool stops;
    pqdb_code code;  // of the first failed commit
    pqdb_error error;
    struct late_refusals *late, **late_end;
};

/// Items that a commit set aside; in their own hold.
struct late_refusals {
    struct late_refusals *next;
    struct pq_hold *hold;
    const struct pq_refusal *refusals;
    size_t count;
};

/// What the caller is still to be told, from its own thread.
static void tell_later(pqdb_ingest *ingest, const struct job *job) {
    if (job->rows.refusal_count == job->told || ingest->options.on_refusal == NULL) return;
    struct late_refusals *late = pq_arena_alloc(&job->rows.hold->arena, sizeof *late);
    if (late == NULL) return;  // they are kept and counted
    *late = (struct late_refusals){.hold = pq_hold_ref(job->rows.hold),
                                   .refusals = job->rows.refusals + job->told,
                                   .count = job->rows.refusal_count - job->told};
    *ingest->late_end = late;
    ingest->late_end = &late->next;
}

static void tell_late(pqdb_ingest *ingest, bool is_told) {
    pthread_mutex_lock(&ingest->lock);
    struct late_refusals *late = ingest->late;
    ingest->late = NULL;
    ingest->late_end = &ingest->late;
    pthread_mutex_unlock(&ingest->lock);
    while (late != NULL) {
        struct late_refusals *next = late->next;
        if (is_told) pq_db_tell_refusals(&ingest->options, late->refusals, late->count);
        pq_hold_unref(late->hold);
        late = next;
    }
}

/// The rows were read by the schema that held when the run began.
static pqdb_code table_of(const pqdb_ingest *ingest, struct pq_db_table **table,
                          pqdb_error *err) {
    struct pq_db_table *before = ingest->table;
    *table = pq_db_by_id(ingest->db, before->id);
    if (*table == before) return PQDB_OK;
    if (*table != NULL && pq_db_is_same_entry(before->entry, (*table)->entry)) return PQDB_OK;
    pq_fail(err, PQDB_CONFLICT, "the schema of %.*s changed while it was read: start again, with "
            "the same --token if there was one", PQ_TEXT_ARG(before->entry->name));
    return pq_fail_subject(err, PQDB_CONFLICT, before->entry->name);
}

static pqdb_code commit_inside(pqdb_ingest *ingest, struct job *job, struct pq_db_write *write,
                               pqdb_error *err) {
    struct pq_db_table *table;
    struct pq_db_change change;
    PQ_TRY(table_of(ingest, &table, err));
    pq_db_change_init(&change, ingest->db, table);
    if (ingest->options.set_aside || is_stream(table)) {
        change.on_conflict = PQ_CONFLICT_SET_ASIDE;
    }
    const pqdb_code code = commit_job(&change, job, err);
    *write = change.write;
    pq_db_change_deinit(&change);
    return code;
}

static void run_job(pqdb_ingest *ingest, struct job *job) {
    pqdb_error err = {0};
    struct pq_db_write write = {0};
    pq_db_gate_enter(&ingest->db->gate);
    const pqdb_code code = commit_inside(ingest, job, &write, &err);
    pq_db_gate_leave(&ingest->db->gate);
    pthread_mutex_lock(&ingest->lock);
    if (code != PQDB_OK && ingest->code == PQDB_OK) {
        ingest->code = code;
        ingest->error = err;
    }
    if (code == PQDB_OK) {
        ingest->written.version = write.version;
        if (!write.repeated) ingest->written.accepted += job->rows.batch.count;
        ingest->written.refused += job->rows.refusal_count;
        tell_later(ingest, job);
        ingest->written.repeated = write.repeated;
        atomic_fetch_add(&ingest->rows_committed, job->rows.batch.count);
    }
    pthread_mutex_unlock(&ingest->lock);
    pq_rows_deinit(&job->rows);
}

static void *work(void *ctx) {
    pqdb_ingest *ingest = ctx;
    pthread_mutex_lock(&ingest->lock);
    for (;;) {
        while (ingest->waiting == 0 && !ingest->stops) {
            pthread_cond_wait(&ingest->changed, &ingest->lock);
        }
        if (ingest->waiting == 0) break;
        struct job *job = &ingest->jobs[ingest->first];
        const bool failed = ingest->code != PQDB_OK;
        pthread_mutex_unlock(&ingest->lock);
        if (failed) {
            pq_rows_deinit(&job->rows);
        } else {
            run_job(ingest, job);
        }
        pthread_mutex_lock(&ingest->lock);
        ingest->first = (ingest->first + 1) % jobs_max;
        ingest->waiting--;
        pthread_cond_broadcast(&ingest->changed);
    }
    pthread_mutex_unlock(&ingest->lock);
    return NULL;
}

/// A free place in the ring, or the error of an earlier batch.
static pqdb_code next_job(pqdb_ingest *ingest, struct job **job, pqdb_error *err) {
    pthread_mutex_lock(&ingest->lock);
    while (ingest->waiting == jobs_max && ingest->code == PQDB_OK) {
        pthread_cond_wait(&ingest->changed, &ingest->lock);
    }
    const pqdb_code code = ingest->code;
    if (code != PQDB_OK && err != NULL) *err = ingest->error;
    *job = &ingest->jobs[(ingest->first + ingest->waiting) % jobs_max];
    pthread_mutex_unlock(&ingest->lock);
    return code;
}

static pqdb_code submit(pqdb_ingest *ingest, pqdb_error *err) {
    struct job *job;
    PQ_TRY(next_job(ingest, &job, err));
    PQ_TRY(pq_row_reader_take(ingest->reader, &job->rows, err));
    job->number = ingest->batches++;
    const uint64_t content[] = {job->rows.text_hash, job->rows.text_bytes};
    pqdb_code code = pq_db_make_token(ingest->token, job->number, pq_hash(content, sizeof content),
                                &job->token, err);
    if (code == PQDB_OK) code = finish_rows(ingest->db, ingest->table, &ingest->ulids, job, err);
    if (code != PQDB_OK) {
        pq_rows_deinit(&job->rows);
        return code;
    }
    pq_db_tell_refusals(&ingest->options, job->rows.refusals, job->rows.refusal_count);
    tell_late(ingest, true);
    if (!ingest->worker_runs) {
        if (pthread_create(&ingest->worker, NULL, work, ingest) != 0) {
            pq_rows_deinit(&job->rows);
            return pq_fail(err, PQDB_NO_MEMORY, "no thread for commits can be started");
        }
        ingest->worker_runs = true;
    }
    pthread_mutex_lock(&ingest->lock);
    ingest->waiting++;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
    return PQDB_OK;
}

static pqdb_code push_text(pqdb_ingest *ingest, struct pq_text text, pqdb_error *err) {
    while (text.length > 0) {
        size_t used;
        PQ_TRY(pq_row_reader_push(ingest->reader, text, &used, err));
        text.data += used;
        text.length -= used;
        if (pq_row_reader_is_full(ingest->reader)) PQ_TRY(submit(ingest, err));
    }
    return PQDB_OK;
}

pqdb_code pqdb_ingest_open(pqdb_db *db, const char *target, const pqdb_write_options *options,
                           pqdb_ingest **ingest, pqdb_error *err) {
    struct pq_db_table *table;
    PQ_TRY(find_target(db, target, &table, err));
    pqdb_ingest *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an ingest run");
    *made = (pqdb_ingest){.db = db, .table = table};
    made->late_end = &made->late;
    if (options != NULL) made->options = *options;
    for (size_t i = 0; i < jobs_max; i++) {
        pq_bytes_init(&made->jobs[i].token, db->alloc);
    }
    pq_ulids_init(&made->ulids, db->env);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    const bool set_aside = made->options.set_aside || is_stream(table);
    pqdb_code code = pq_db_make_reader(db, table, set_aside, &made->reader, err);
    if (code == PQDB_OK && made->options.token != NULL) {
        const size_t bytes = strlen(made->options.token) + 1;
        made->token = pq_resize(db->alloc, NULL, 0, bytes, 1);
        if (made->token == NULL) code = pq_fail(err, PQDB_NO_MEMORY, "a token");
        if (made->token != NULL) memcpy(made->token, made->options.token, bytes);
    }
    if (code != PQDB_OK) {
        pqdb_ingest_close(made);
        return code;
    }
    *ingest = made;
    return PQDB_OK;
}

const struct pq_alloc *pq_ingest_alloc(const pqdb_ingest *ingest) { return ingest->db->alloc; }

const struct pq_entry *pq_ingest_entry(const pqdb_ingest *ingest) { return ingest->table->entry; }

pqdb_code pq_ingest_item(void *ctx, const struct pq_row_item *item, pqdb_error *err) {
    pqdb_ingest *ingest = ctx;
    PQ_TRY(pq_row_reader_add(ingest->reader, item, err));
    return pq_row_reader_is_full(ingest->reader) ? submit(ingest, err) : PQDB_OK;
}

pqdb_code pqdb_ingest_feed(pqdb_ingest *ingest, const char *bytes, size_t length,
                           pqdb_error *err) {
    return push_text(ingest, (struct pq_text){bytes, length}, err);
}

static void stop_worker(pqdb_ingest *ingest) {
    if (!ingest->worker_runs) return;
    pthread_mutex_lock(&ingest->lock);
    ingest->stops = true;
    pthread_cond_broadcast(&ingest->changed);
    pthread_mutex_unlock(&ingest->lock);
    pthread_join(ingest->worker, NULL);
    ingest->worker_runs = false;
}

pqdb_code pqdb_ingest_finish(pqdb_ingest *ingest, pqdb_written *written, pqdb_error *err) {
    PQ_TRY(pq_row_reader_end(ingest->reader, err));
    if (pq_row_reader_count(ingest->reader) > 0) PQ_TRY(submit(ingest, err));
    stop_worker(ingest);
    tell_late(ingest, true);
    if (ingest->code != PQDB_OK) {
        if (err != NULL) *err = ingest->error;
        return ingest->code;
    }
    if (written != NULL) *written = ingest->written;
    return PQDB_OK;
}

uint64_t pqdb_ingest_rows(const pqdb_ingest *ingest) {
    return atomic_load(&ingest->rows_committed);
}

void pqdb_ingest_close(pqdb_ingest *ingest) {
    if (ingest == NULL) return;
    stop_worker(ingest);  // batches already handed over are still committed
    tell_late(ingest, false);
    const struct pq_alloc *alloc = ingest->db->alloc;
    for (size_t i = 0; i < jobs_max; i++) job_deinit(&ingest->jobs[i]);
    pq_row_reader_destroy(ingest->reader);
    if (ingest->token != NULL) pq_free(alloc, ingest->token, strlen(ingest->token) + 1, 1);
    pthread_mutex_destroy(&ingest->lock);
    pthread_cond_destroy(&ingest->changed);
    pq_free(alloc, ingest, 1, sizeof *ingest);
}
