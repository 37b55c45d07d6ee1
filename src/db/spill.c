/// db/spill.c: see spill.h.
#include "db/spill.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "table/data_file.h"
#include "table/rewrite.h"

enum { spill_share = 4 };  // of its maximum: less is not worth a file or a run

// ---- states -----------------------------------------------------------------------------------

static uint64_t next_run(void *ctx) {
    pqdb_db *db = ctx;
    return ++db->run_id;
}

static bool is_due(void *ctx, size_t dirty_bytes) {
    const pqdb_db *db = ctx;
    const size_t most = pq_db_states_max(db);
    return dirty_bytes > most / spill_share && pq_account_used(&db->memory.states) > most;
}

const struct pq_spill *pq_db_spill_begin(pqdb_db *db, struct pq_db_spill *spill) {
    *spill = (struct pq_db_spill){.db = db};
    if (db->options.read_only) return NULL;
    spill->states = (struct pq_spill){
        .io = pq_db_run_io(db), .next_id = next_run, .is_due = is_due, .ctx = db};
    pthread_mutex_lock(&db->run_lock);
    spill->first_id = db->run_id + 1;
    spill->next = db->spills;
    db->spills = spill;
    pthread_mutex_unlock(&db->run_lock);
    return &spill->states;
}

void pq_db_spill_end(struct pq_db_spill *spill) {
    pqdb_db *db = spill->db;
    if (db == NULL) return;
    pthread_mutex_lock(&db->run_lock);
    for (struct pq_db_spill **link = &db->spills; *link != NULL; link = &(*link)->next) {
        if (*link != spill) continue;
        *link = spill->next;
        break;
    }
    pthread_mutex_unlock(&db->run_lock);
    spill->db = NULL;
}

bool pq_db_spills(pqdb_db *db) {
    pthread_mutex_lock(&db->run_lock);
    const bool any = db->spills != NULL;
    pthread_mutex_unlock(&db->run_lock);
    return any;
}

bool pq_db_spills_run(pqdb_db *db, uint64_t id) {
    bool may_be = false;
    pthread_mutex_lock(&db->run_lock);
    for (const struct pq_db_spill *spill = db->spills; spill != NULL; spill = spill->next) {
        may_be = may_be || id >= spill->first_id;
    }
    pthread_mutex_unlock(&db->run_lock);
    return may_be;
}

// ---- rows -------------------------------------------------------------------------------------

/// The chunks of a sealed table, in `arena`.
static pqdb_code list_chunks(const struct pq_catalog *catalog, struct pq_arena *arena,
                             struct pq_segment ***chunks, size_t *count, pqdb_error *err) {
    *chunks = pq_arena_calloc(arena, catalog->count + 1, sizeof(struct pq_segment *));
    if (*chunks == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows to write");
    *count = 0;
    for (size_t i = catalog->file_count; i < catalog->count; i++) {
        (*chunks)[(*count)++] = catalog->segments[i];
    }
    return PQDB_OK;
}

/// The written file as a segment, with what belongs beside it; NULL where no row was alive.
static pqdb_code open_file(pqdb_db *db, const struct pq_rewrite *rewrite,
                           const struct pq_rewritten *written, struct pq_segment **fresh,
                           pqdb_error *err) {
    *fresh = NULL;
    if (written->rows == 0) return PQDB_OK;
    const struct pq_table_snapshot *snapshot = rewrite->snapshot;
    const struct pq_data_file_options options = {
        .store = db->store, .path = pq_text_of(rewrite->path), .bytes = written->bytes,
        .rows = written->rows, .type = snapshot->type, .pages = db->pages,
        .alloc = &db->memory.files.alloc};
    struct pq_data_file *file;
    PQ_TRY(pq_data_file_create(&options, &file, err));
    const struct pq_segment_file given = {
        .file = file, .rows = written->rows, .version = snapshot->version};
    const pqdb_code code = pq_segment_create_file(&given, db->alloc, fresh, err);
    if (code != PQDB_OK) {
        pq_data_file_unref(file);
        return code;
    }
    return pq_table_write_beside(snapshot, file, db->pace, err);
}

static pqdb_code write_chunks(pqdb_db *db, struct pq_table *rows, const char *path,
                              struct pq_arena *arena, pqdb_error *err) {
    struct pq_table_snapshot *snapshot = pq_table_snapshot_ref(rows->published);
    struct pq_rewrite rewrite = {.snapshot = snapshot, .store = db->store, .pace = db->pace,
                                 .path = path, .alloc = db->alloc};
    struct pq_segment **chunks, *fresh = NULL;
    struct pq_rewritten written = {0};
    pqdb_code code;
    PQ_GO(list_chunks(snapshot->catalog, arena, &chunks, &rewrite.count, err));
    rewrite.segments = chunks;
    PQ_GO(pq_table_rewrite(&rewrite, &written, err));
    PQ_GO(open_file(db, &rewrite, &written, &fresh, err));
    const struct pq_table_swap swap = {
        .old = chunks, .moved = (const uint32_t *const *)written.moved,
        .old_count = rewrite.count, .fresh = fresh, .carried = snapshot->version};
    PQ_GO(pq_table_swap(rows, &swap, err));
    fresh = NULL;  // the table took it
    PQ_GO(pq_table_publish(rows, err));
done:
    pq_segment_unref(fresh);
    pq_rewritten_deinit(&written);
    pq_table_snapshot_unref(snapshot);  // the last: it holds the chunks
    return code;
}

pqdb_code pq_db_spill_rows(pqdb_db *db, const struct pq_db_table *table, struct pq_table *rows,
                           uint64_t version, pqdb_error *err) {
    const bool is_much = rows->memory_bytes > db->memory.rows_max / spill_share;
    if (db->options.read_only || !is_much) return PQDB_OK;
    return pq_db_write_rows(db, table, rows, version, err);
}

pqdb_code pq_db_write_rows(pqdb_db *db, const struct pq_db_table *table, struct pq_table *rows,
                           uint64_t version, pqdb_error *err) {
    char path[PQ_STORE_PATH_MAX], directory[PQ_STORE_PATH_MAX];
    struct pq_arena arena;
    pqdb_code code;
    snprintf(directory, sizeof directory, "%s/data", table->directory);
    pq_arena_init(&arena, db->alloc);
    PQ_GO(pq_table_seal(rows, err));
    PQ_GO(pq_table_publish(rows, err));
    PQ_GO(pq_store_make_directory(db->store, directory, err));
    PQ_GO(pq_db_name_file(db, table, version, path, err));
    code = write_chunks(db, rows, path, &arena, err);
    if (code == PQDB_OK) code = pq_store_sync_directory(db->store, directory, err);
    if (code != PQDB_OK) {
        pq_data_file_bury(db->pace, pq_text_of(path), rows->options.type);
    }
done:
    pq_arena_deinit(&arena);
    return code;
}

void pq_db_spill_bury(pqdb_db *db, const struct pq_table *rows) {
    const struct pq_catalog *catalog = rows->published->catalog;
    for (size_t i = 0; i < catalog->file_count; i++) {
        if (catalog->segments[i]->origin != NULL) continue;  // of what it branched from
        pq_data_file_bury(db->pace, pq_data_file_path(catalog->segments[i]->file),
                          rows->options.type);
    }
}

// ---- the log ----------------------------------------------------------------------------------

pqdb_code pq_db_spill_replay(pqdb_db *db, pqdb_error *err) {
    if (db->options.read_only) return PQDB_OK;
    const struct pq_db_tables *tables = db->tables;
    size_t held = 0;
    for (size_t i = 0; i < tables->count; i++) held += tables->at[i]->table->memory_bytes;
    const bool is_full = held > db->memory.rows_max / 2;  // the rest is for the step to come
    struct pq_db_spill spill;
    const struct pq_spill *states = pq_db_spill_begin(db, &spill);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < tables->count; i++) {
        const struct pq_db_table *table = tables->at[i];
        struct pq_node *node = pq_db_node(db, table);
        // Above every version of the root: what is left of it after a crash is known by that.
        if (is_full) {
            code = pq_db_spill_rows(db, table, table->table, db->root_version + 1, err);
        }
        if (code != PQDB_OK || node == NULL) continue;
        pq_node_use_spill(node, states);
        code = pq_node_spill(node, err);
        pq_node_use_spill(node, NULL);
    }
    pq_db_spill_end(&spill);
    return code;
}
