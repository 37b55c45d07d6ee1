/// db/run_files.c: the runs of traces as files, `_state/<id, 20 digits>.run`.
#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "db/checkpoint_internal.h"

/// An open run. Few: each state has at most a handful.
struct pq_db_run_file {
    struct pq_db_run_file *next;
    uint64_t id;
    struct pq_file *file;
    struct pq_bytes unwritten;  // while it is made: each write is followed by a sync
    uint64_t written;
};

void pq_db_run_path(uint64_t id, char path[static 64]) {
    snprintf(path, 64, PQ_STATE_DIRECTORY "/%020" PRIu64 ".run", id);
}

/// The open file, under the lock; NULL with the error set when it cannot be opened.
static struct pq_db_run_file *get(pqdb_db *db, uint64_t id, enum pq_open_mode mode,
                                  pqdb_code *code, pqdb_error *err) {
    *code = PQDB_OK;
    for (struct pq_db_run_file *run = db->run_files; run != NULL; run = run->next) {
        if (run->id == id) return run;
    }
    struct pq_db_run_file *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) {
        *code = pq_fail(err, PQDB_NO_MEMORY, "a run of a state");
        return NULL;
    }
    *made = (struct pq_db_run_file){.id = id};
    pq_bytes_init(&made->unwritten, db->alloc);
    char path[64];
    pq_db_run_path(id, path);
    *code = pq_file_open(db->store, path, mode, &made->file, err);
    if (*code == PQDB_OK && mode == PQ_OPEN_WRITE) *code = pq_file_truncate(made->file, 0, err);
    if (*code != PQDB_OK) {
        pq_file_close(made->file);
        pq_free(db->alloc, made, 1, sizeof *made);
        return NULL;
    }
    made->next = db->run_files;
    db->run_files = made;
    return made;
}

static pqdb_code write_out(pqdb_db *db, struct pq_db_run_file *run, pqdb_error *err) {
    PQ_TRY(pq_pace_write(db->pace, run->file, run->written, pq_bytes_text(&run->unwritten), err));
    run->written += run->unwritten.length;
    run->unwritten.length = 0;
    return PQDB_OK;
}

static pqdb_code run_append(void *ctx, uint64_t id, const void *data, size_t length,
                            pqdb_error *err) {
    pqdb_db *db = ctx;
    pqdb_code code;
    pthread_mutex_lock(&db->run_lock);
    struct pq_db_run_file *run = get(db, id, PQ_OPEN_WRITE, &code, err);
    pthread_mutex_unlock(&db->run_lock);
    if (run == NULL) return code;
    if (length >= PQ_PACE_STEP_BYTES) {  // an index, a filter
        PQ_TRY(write_out(db, run, err));
        PQ_TRY(pq_pace_write(db->pace, run->file, run->written,
                             (struct pq_text){data, length}, err));
        run->written += length;
        return PQDB_OK;
    }
    if (run->unwritten.length + length > PQ_PACE_STEP_BYTES) PQ_TRY(write_out(db, run, err));
    return pq_bytes_append(&run->unwritten, data, length, err);
}

static pqdb_code run_finish(void *ctx, uint64_t id, pqdb_error *err) {
    pqdb_db *db = ctx;
    pqdb_code code;
    pthread_mutex_lock(&db->run_lock);
    struct pq_db_run_file *run = get(db, id, PQ_OPEN_READ, &code, err);
    pthread_mutex_unlock(&db->run_lock);
    if (run == NULL) return code;
    PQ_TRY(write_out(db, run, err));
    pq_bytes_deinit(&run->unwritten);
    PQ_TRY(pq_file_sync(run->file, err));
    return pq_store_sync_directory(db->store, PQ_STATE_DIRECTORY, err);
}

static pqdb_code run_read(void *ctx, uint64_t id, uint64_t offset, void *out, size_t length,
                          pqdb_error *err) {
    pqdb_db *db = ctx;
    pqdb_code code;
    pthread_mutex_lock(&db->run_lock);
    struct pq_db_run_file *run = get(db, id, PQ_OPEN_READ, &code, err);
    pthread_mutex_unlock(&db->run_lock);
    return run == NULL ? code : pq_file_read_all(run->file, offset, out, length, err);
}

static void run_blame(void *ctx, uint64_t id, pqdb_error *err) {
    (void)ctx;
    char path[64];
    pq_db_run_path(id, path);
    pq_fail_subject(err, PQDB_OK, pq_text_of(path));
}

struct pq_run_io pq_db_run_io(pqdb_db *db) {
    return (struct pq_run_io){.append = run_append, .finish = run_finish, .read = run_read,
                              .blame = run_blame, .ctx = db};
}

static void close_run(pqdb_db *db, struct pq_db_run_file **link) {
    struct pq_db_run_file *run = *link;
    *link = run->next;
    pq_file_close(run->file);
    pq_bytes_deinit(&run->unwritten);
    pq_free(db->alloc, run, 1, sizeof *run);
}

void pq_db_run_remove(pqdb_db *db, uint64_t id) {
    pthread_mutex_lock(&db->run_lock);
    for (struct pq_db_run_file **link = &db->run_files; *link != NULL; link = &(*link)->next) {
        if ((*link)->id != id) continue;
        close_run(db, link);
        break;
    }
    pthread_mutex_unlock(&db->run_lock);
    char path[64];
    pq_db_run_path(id, path);
    pq_pace_bury(db->pace, path, NULL);  // what stays is removed as garbage at the next open
}

void pq_db_runs_close(pqdb_db *db) {
    while (db->run_files != NULL) close_run(db, &db->run_files);
}
