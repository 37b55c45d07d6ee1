/// db/ingest.c: JSON text in, commits out. A long run is a pipeline: the caller's thread parses one
/// batch while a worker encodes and commits the one before.
#include "ingest/rows.h"

#include <inttypes.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"
#include "db/ingest_internal.h"
#include "db/view_internal.h"

enum { jobs_max = 2, path_max = 512 };

static const char *code_name(pqdb_code code) {
    return code == PQDB_LIMIT ? "LIMIT" : code == PQDB_CONFLICT ? "CONFLICT" : "INVALID";
}

// ---- what is set aside ------------------------------------------------------------------------

static pqdb_code print_refusal(const struct pq_refusal *refusal, struct pq_bytes *out,
                               pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, "{\"index\":%" PRIu64 ",\"line\":%" PRIu64 ",\"code\":\"%s\"",
                           refusal->index, refusal->line, code_name(refusal->code)));
    PQ_TRY(pq_bytes_printf(out, err, ",\"field\":"));
    PQ_TRY(pq_json_write_text(out, refusal->field, err));
    PQ_TRY(pq_bytes_printf(out, err, ",\"message\":"));
    PQ_TRY(pq_json_write_text(out, refusal->message, err));
    if (refusal->is_cut) PQ_TRY(pq_bytes_printf(out, err, ",\"cut\":true"));
    // What is no UTF-8 could not be written as a JSON text.
    const bool is_text = pq_text_is_utf8(refusal->text);
    PQ_TRY(pq_bytes_printf(out, err, is_text ? ",\"item\":" : ",\"itemBase64\":"));
    if (is_text) {
        PQ_TRY(pq_json_write_text(out, refusal->text, err));
    } else {
        PQ_TRY(pq_bytes_append_byte(out, '"', err));
        PQ_TRY(pq_base64_write(out, refusal->text, err));
        PQ_TRY(pq_bytes_append_byte(out, '"', err));
    }
    return pq_bytes_append_text(out, PQ_TEXT("}\n"), err);
}

static pqdb_code append_refusals(pqdb_db *db, const char *path, struct pq_text lines,
                                 pqdb_error *err) {
    struct pq_file *file = NULL;
    uint64_t end;
    pqdb_code code;
    PQ_GO(pq_store_make_directory(db->store, "rejected", err));
    PQ_GO(pq_file_open(db->store, path, PQ_OPEN_WRITE, &file, err));
    PQ_GO(pq_file_size(file, &end, err));
    PQ_GO(pq_file_write(file, end, &lines, 1, err));
    PQ_GO(pq_file_sync(file, err));
    PQ_GO(pq_store_sync_directory(db->store, "rejected", err));
done:
    pq_file_close(file);
    return code;
}

/// Append them to rejected/<collection>.ndjson, durably, before the batch is acknowledged.
static pqdb_code keep_refusals(pqdb_db *db, const struct pq_db_table *table,
                               const struct pq_row_batch *rows, pqdb_error *err) {
    if (rows->refusal_count == 0) return PQDB_OK;
    char path[path_max];
    snprintf(path, sizeof path, "rejected/%.*s.ndjson", PQ_TEXT_ARG(table->entry->name));
    struct pq_bytes lines;
    pq_bytes_init(&lines, db->alloc);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < rows->refusal_count; i++) {
        code = print_refusal(&rows->refusals[i], &lines, err);
    }
    if (code == PQDB_OK) {
        pthread_mutex_lock(&db->refusals);
        code = append_refusals(db, path, pq_bytes_text(&lines), err);
        pthread_mutex_unlock(&db->refusals);
    }
    pq_bytes_deinit(&lines);
    return code;
}

static void tell_refusals(const struct pqdb_write_options *options,
                          const struct pq_row_batch *rows) {
    if (options == NULL || options->on_refusal == NULL) return;
    for (size_t i = 0; i < rows->refusal_count; i++) {
        const struct pq_refusal *refusal = &rows->refusals[i];
        char field[256], message[512];
        snprintf(field, sizeof field, "%.*s", PQ_TEXT_ARG(refusal->field));
        snprintf(message, sizeof message, "%.*s", PQ_TEXT_ARG(refusal->message));
        const pqdb_refusal told = {.index = refusal->index, .line = refusal->line, .field = field,
                                   .code = code_name(refusal->code), .message = message};
        options->on_refusal(options->ctx, &told);
    }
}

// ---- one batch --------------------------------------------------------------------------------

/// `out`: the token, NUL, eight bytes that stand for the content.
static pqdb_code make_token(const char *token, uint64_t number, uint64_t content,
                            struct pq_bytes *out, pqdb_error *err) {
    out->length = 0;
    if (token == NULL || token[0] == '\0') return PQDB_OK;
    PQ_TRY(pq_bytes_append_text(out, pq_text_of(token), err));
    if (number != UINT64_MAX) PQ_TRY(pq_bytes_printf(out, err, "#%" PRIu64, number));
    if (out->length + 9 > PQ_LOG_TOKEN_BYTES_MAX) {
        return pq_fail(err, PQDB_INVALID, "a token has at most %d bytes",
                       PQ_LOG_TOKEN_BYTES_MAX - 30);
    }
    uint8_t tail[9] = {0};
    pq_store_u64(tail + 1, content);
    return pq_bytes_append(out, tail, sizeof tail, err);
}

struct job {
    struct pq_row_batch rows;
    struct pq_bytes part;
    struct pq_bytes token;
    bool ids_are_new;
    uint64_t number;
};

static pqdb_code finish_rows(pqdb_db *db, const struct pq_db_table *table,
                             struct pq_ulids *ulids, struct job *job, pqdb_error *err) {
    job->ids_are_new = job->rows.missing_ids == job->rows.batch.count;
    if (job->rows.missing_ids > 0) PQ_TRY(pq_rows_fill_ids(&job->rows, ulids, err));
    pq_rows_stamp(&job->rows, table->entry, 0, db->env->now_us(db->env->ctx));
    return PQDB_OK;
}

static pqdb_code commit_job(pqdb_db *db, struct pq_db_table *table, struct job *job,
                            struct pq_db_write *write, pqdb_error *err) {
    *write = (struct pq_db_write){.table = table, .batch = job->rows.batch, .hold = job->rows.hold,
                                  .ids_are_new = job->ids_are_new,
                                  .token = pq_bytes_text(&job->token)};
    PQ_TRY(keep_refusals(db, table, &job->rows, err));
    if (job->rows.batch.count == 0 && job->token.length == 0) {
        struct pq_db_snapshot *now = pq_db_snapshot(db);
        write->version = now->version;
        pq_db_snapshot_unref(now);
        return PQDB_OK;
    }
    job->part.length = 0;
    const struct pq_log_rows rows = {.collection = table->id,
                                     .rows_plus = (uint32_t)job->rows.batch.count,
                                     .batch = job->rows.batch};
    PQ_TRY(pq_log_encode_rows(&rows, &job->part, err));
    write->part = pq_bytes_text(&job->part);
    pq_db_wait_for_memory(db);
    const pqdb_code code = pq_db_commit(db, write);
    if (code != PQDB_OK && err != NULL) *err = write->error;
    return code;
}

static void job_deinit(struct job *job) {
    pq_rows_deinit(&job->rows);
    pq_bytes_deinit(&job->part);
    pq_bytes_deinit(&job->token);
}

// ---- the target -------------------------------------------------------------------------------

static pqdb_code writable(pqdb_db *db, const char *name, struct pq_db_table **table,
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
    if (pq_db_find(db, pq_text_of(target)) != NULL) return writable(db, target, table, err);
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
    return *table != NULL ? PQDB_OK : writable(db, target, table, err);
}

static bool is_stream(const struct pq_db_table *table) {
    return table->entry->kind == PQ_ENTRY_STREAM;
}

static pqdb_code make_reader(pqdb_db *db, const struct pq_db_table *table, bool set_aside,
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

pqdb_code pqdb_create(pqdb_db *db, const char *collection, const char *json, size_t length,
                      const pqdb_write_options *options, pqdb_written *written, pqdb_error *err) {
    struct pq_db_table *table;
    PQ_TRY(writable(db, collection, &table, err));
    // A reader keeps dictionaries and memory from one call to the next.
    struct pq_row_reader *reader = take_idle_reader(table);
    if (reader == NULL) PQ_TRY(make_reader(db, table, is_stream(table), &reader, err));
    struct job job = {0};
    pq_bytes_init(&job.part, db->alloc);
    pq_bytes_init(&job.token, db->alloc);
    struct pq_ulids ulids;
    pq_ulids_init(&ulids, db->env);
    struct pq_db_write write = {0};
    pqdb_code code;
    PQ_GO(make_token(options == NULL ? NULL : options->token, UINT64_MAX, pq_hash(json, length),
                     &job.token, err));
    PQ_GO(pq_row_reader_read(reader, (struct pq_text){json, length}, &job.rows, err));
    PQ_GO(finish_rows(db, table, &ulids, &job, err));
    PQ_GO(commit_job(db, table, &job, &write, err));
    tell_refusals(options, &job.rows);
    if (written != NULL) {
        *written = (pqdb_written){.version = write.version, .repeated = write.repeated,
                                  .accepted = write.repeated ? 0 : job.rows.batch.count,
                                  .refused = job.rows.refusal_count};
    }
done:
    give_idle_reader(table, reader);
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
};

static void run_job(pqdb_ingest *ingest, struct job *job) {
    struct pq_db_write write;
    pqdb_error err = {0};
    pqdb_code code = commit_job(ingest->db, ingest->table, job, &write, &err);
    pthread_mutex_lock(&ingest->lock);
    if (code != PQDB_OK && ingest->code == PQDB_OK) {
        ingest->code = code;
        ingest->error = err;
    }
    if (code == PQDB_OK) {
        ingest->written.version = write.version;
        if (!write.repeated) ingest->written.accepted += job->rows.batch.count;
        ingest->written.refused += job->rows.refusal_count;
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
    pqdb_code code = make_token(ingest->token, job->number, pq_hash(content, sizeof content),
                                &job->token, err);
    if (code == PQDB_OK) code = finish_rows(ingest->db, ingest->table, &ingest->ulids, job, err);
    if (code != PQDB_OK) {
        pq_rows_deinit(&job->rows);
        return code;
    }
    tell_refusals(&ingest->options, &job->rows);
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
    if (options != NULL) made->options = *options;
    for (size_t i = 0; i < jobs_max; i++) {
        pq_bytes_init(&made->jobs[i].part, db->alloc);
        pq_bytes_init(&made->jobs[i].token, db->alloc);
    }
    pq_ulids_init(&made->ulids, db->env);
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->changed, NULL);
    const bool set_aside = made->options.set_aside || is_stream(table);
    pqdb_code code = make_reader(db, table, set_aside, &made->reader, err);
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
    const struct pq_alloc *alloc = ingest->db->alloc;
    for (size_t i = 0; i < jobs_max; i++) job_deinit(&ingest->jobs[i]);
    pq_row_reader_destroy(ingest->reader);
    if (ingest->token != NULL) pq_free(alloc, ingest->token, strlen(ingest->token) + 1, 1);
    pthread_mutex_destroy(&ingest->lock);
    pthread_cond_destroy(&ingest->changed);
    pq_free(alloc, ingest, 1, sizeof *ingest);
}
