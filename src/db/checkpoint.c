/// db/checkpoint.c: one consistent cut of the whole database on disk (ENGINE R1).
///
/// Frozen by the leader between two frames (O(tables)), written beside it, named by a root,
/// installed by the leader again, then published table by table. Until the root is renamed into
/// place nothing that exists has changed; after it, publishing can be repeated.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "batch/builder.h"
#include "db/cut_internal.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "table/data_file.h"

// ---- freeze (leader) --------------------------------------------------------------------------

struct pq_node *pq_db_node(const pqdb_db *db, const struct pq_db_table *table) {
    if (table->view == NULL) return NULL;
    return table->node != NULL ? table->node : pq_circuit_find(db->circuit, table->id);
}

static pqdb_code freeze_states(struct cut *cut, struct cut_table *out, struct pq_node *node,
                               pqdb_error *err) {
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(node, &count);
    out->states = pq_arena_calloc(&cut->arena, count + 1, sizeof *out->states);
    if (out->states == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].is_there) continue;
        pq_db_cut_freeze(&out->states[out->state_count++], parts[i].name, parts[i].trace);
    }
    return PQDB_OK;
}

/// Its rows, or those that are shown in their place until they are there.
static pqdb_code freeze_rows(struct cut_table *out, struct pq_db_table *table, pqdb_error *err) {
    const bool shows_old = table->facts.unbuilt && table->shown != NULL;
    struct pq_db_table *own = shows_old ? table->shown : table;
    PQ_TRY(pq_table_seal(own->table, err));
    PQ_TRY(pq_table_publish(own->table, err));
    out->table = own;
    out->is_old = shows_old;
    out->is_unbuilt = table->facts.unbuilt;
    out->snapshot = pq_table_snapshot_ref(own->table->published);
    out->version = own->table->version;
    out->held = own->table->memory_bytes;
    return PQDB_OK;
}

static pqdb_code freeze_table(struct cut *cut, struct cut_table *out, struct pq_db_table *table,
                              pqdb_error *err) {
    PQ_TRY(freeze_rows(out, table, err));
    out->next_seq = table->next_seq;
    const struct pq_catalog *catalog = out->snapshot->catalog;
    for (size_t i = 0; i < catalog->count; i++) catalog->segments[i]->is_frozen = true;
    if (table->node != NULL && pq_db_is_up_to_date(cut->db, table)) {
        // It shows this version as well, and holds no log for what concerns others.
        pq_db_set_reflects(cut->db, table, cut->db->version);
        table->facts.reflects_position = pq_log_position(cut->db->log);
    }
    struct pq_node *node = pq_db_node(cut->db, table);
    const bool is_whole = !table->facts.failed && !table->facts.unbuilt;
    if (node != NULL && is_whole) PQ_TRY(freeze_states(cut, out, node, err));
    out->root = (struct pq_root_table){
        .name = table->entry->name, .id = table->id, .version = out->version,
        .next_seq = out->next_seq, .lost_before = table->lost_before,
        .reflects = table->facts.reflects, .shows = table->facts.shows, .mark = table->facts.mark,
        .reflects_position = table->facts.reflects_position,
        .refreshed_us = table->facts.refreshed_us,
        .slot_us = table->facts.slot_us, .last = table->facts.last, .pace = pq_db_pace(table),
        .kept = table->facts.kept, .is_old = out->is_old,
        // 0: the next open begins its build again.
        .refresh_version = table->view == NULL || table->facts.unbuilt
                               ? 0 : table->view->refresh_version};
    const bool is_tried = table->facts.refresh_failed && table->node != NULL;
    if (!table->facts.failed && !is_tried) return PQDB_OK;
    const struct pq_text why = pq_arena_copy(&cut->arena, pq_db_failure_text(&table->failure));
    if (why.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    // What failed keeps its last good rows and is built anew at the next open, if that works.
    if (table->facts.failed) out->root.failure = why;
    else out->root.tried = why;
    return PQDB_OK;
}

static pqdb_code freeze(struct cut *cut, bool *nothing, pqdb_error *err) {
    pqdb_db *db = cut->db;
    const struct pq_db_tables *tables = db->tables;  // `refreshing` is held: they stay
    cut->tables = pq_arena_calloc(&cut->arena, tables->count, sizeof *cut->tables);
    if (cut->tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    cut->table_count = tables->count;
    pthread_mutex_lock(&db->branching);
    pthread_mutex_lock(&db->leader);
    pqdb_code code = pq_db_check_open(db, err);
    size_t in_memory = 0;
    for (size_t i = 0; i < tables->count; i++) in_memory += tables->at[i]->table->memory_bytes;
    *nothing = db->has_root && db->root_version == db->version && !db->unpublished &&
               !db->state_is_newer && (!cut->write_all || in_memory == 0) &&
               !pq_db_merge_waits(db) && !pq_db_run_merge_waits(db) && !db->files_wait;
    for (size_t i = 0; code == PQDB_OK && !*nothing && i < tables->count; i++) {
        code = freeze_table(cut, &cut->tables[i], tables->at[i], err);
    }
    if (code == PQDB_OK && !*nothing) {
        pq_db_cut_freeze(&cut->tokens, "tokens", &db->tokens);
        cut->root = (struct pq_root){.version = db->version,
                                     .time_us = pq_log_time_us(db->log),
                                     .position = pq_log_position(db->log)};
        cut->token_bound = (struct pq_db_token_bound){
            .tokens_max = db->tokens_max, .now_us = cut->root.time_us, .end = db->version};
        cut->tokens.tokens = &cut->token_bound;
        db->cut_run_bytes_left = db->cut_run_bytes;
        db->state_is_newer = db->files_wait = false;
        code = pq_db_publish(db, db->version, cut->root.time_us, err);
    }
    pthread_mutex_unlock(&db->leader);
    pthread_mutex_unlock(&db->branching);
    return code;
}

// ---- write (beside the leader) ----------------------------------------------------------------

/// Ids begin anew with each opening, and a version may be written more than once: a file of an
/// earlier time may be in the root, or in a snapshot that is still kept.
pqdb_code pq_db_name_file(pqdb_db *db, const struct pq_db_table *table, uint64_t version,
                          char path[PQ_STORE_PATH_MAX], pqdb_error *err) {
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK) {
        struct pq_file *file = NULL;
        const uint64_t id = ++db->file_id;
        snprintf(path, PQ_STORE_PATH_MAX, "%s/data/%020" PRIu64 "-%08" PRIx64 ".parquet",
                 table->directory, version, id);
        code = pq_file_open(db->store, path, PQ_OPEN_READ, &file, err);
        pq_file_close(file);
    }
    return code == PQDB_NOT_FOUND ? PQDB_OK : code;
}

/// Touches nothing of the cut but its piece.
static pqdb_code rewrite_piece(struct cut_piece *piece, pqdb_error *err) {
    pqdb_db *db = piece->db;
    const struct pq_rewrite rewrite = {.snapshot = piece->snapshot, .segments = piece->old,
                                       .count = piece->old_count, .store = db->store,
                                       .pace = db->pace, .path = piece->path,
                                       .alloc = db->alloc};
    if (!piece->is_merged) PQ_TRY(pq_table_rewrite(&rewrite, &piece->rewritten, err));
    if (piece->rewritten.rows == 0) return PQDB_OK;
    const struct pq_data_file_options options = {
        .store = db->store, .path = pq_text_of(piece->path), .bytes = piece->rewritten.bytes,
        .rows = piece->rewritten.rows, .type = piece->snapshot->type, .pages = db->pages,
        .alloc = &db->memory.files.alloc};
    struct pq_data_file *file;
    PQ_TRY(pq_data_file_create(&options, &file, err));
    const struct pq_segment_file given = {.file = file, .rows = piece->rewritten.rows,
                                          .version = piece->is_merged
                                                         ? piece->merged_at
                                                         : piece->snapshot->version};
    const pqdb_code code = pq_segment_create_file(&given, db->alloc, &piece->fresh, err);
    if (code != PQDB_OK) {
        pq_data_file_unref(file);
        return code;
    }
    for (size_t i = 0; i < piece->old_count && piece->is_merged; i++) {
        const struct pq_table_carry carry = {.moved = piece->rewritten.moved[i],
                                             .fresh = piece->fresh, .from = piece->merged_at,
                                             .to = piece->snapshot->version};
        PQ_TRY(pq_table_carry_deaths(piece->old[i], &carry, err));
    }
    return pq_table_write_beside(piece->snapshot, file, db->pace, err);
}

static pqdb_code name_piece(struct cut *cut, const struct cut_table *table,
                            struct cut_piece *piece, pqdb_error *err) {
    char path[PQ_STORE_PATH_MAX];
    PQ_TRY(pq_db_name_file(cut->db, table->table, cut->root.version, path, err));
    const struct pq_text kept = pq_arena_copy(&cut->arena, pq_text_of(path));
    if (kept.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    piece->path = (char *)(uintptr_t)kept.data;
    return PQDB_OK;
}

static pqdb_code name_pieces(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    if (!table->writes) return PQDB_OK;
    char path[PQ_STORE_PATH_MAX];
    snprintf(path, sizeof path, "%s/data", table->table->directory);
    PQ_TRY(pq_store_make_directory(cut->db->store, path, err));
    for (size_t i = 0; i < table->piece_count; i++) {
        if (table->pieces[i].is_merged) continue;
        PQ_TRY(name_piece(cut, table, &table->pieces[i], err));
    }
    return PQDB_OK;
}

/// Pieces of all tables, taken one after the other by whoever is free.
struct work {
    struct cut_piece **pieces;
    size_t count;
    atomic_size_t next;
};

static void rewrite_pieces(struct work *work) {
    for (;;) {
        const size_t index = atomic_fetch_add(&work->next, 1);
        if (index >= work->count) return;
        struct cut_piece *piece = work->pieces[index];
        piece->code = rewrite_piece(piece, &piece->error);
    }
}

static void *rewrite_beside(void *ctx) {
    pq_db_in_background();
    rewrite_pieces(ctx);
    return NULL;
}

/// Write the files of all tables: by two threads, where the database has threads of its own.
static pqdb_code write_files(struct cut *cut, pqdb_error *err) {
    const size_t table_count = cut->table_count;
    struct work work = {
        .pieces = pq_arena_calloc(&cut->arena, table_count * PQ_CUT_PIECES_MAX + 1,
                                  sizeof(struct cut_piece *))};
    if (work.pieces == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    atomic_init(&work.next, 0);
    for (size_t i = 0; i < table_count; i++) {
        for (size_t k = 0; k < cut->tables[i].piece_count; k++) {
            work.pieces[work.count++] = &cut->tables[i].pieces[k];
        }
    }
    pthread_t thread;
    const bool beside = cut->db->keeper_runs && work.count > 1 &&
                        pthread_create(&thread, NULL, rewrite_beside, &work) == 0;
    rewrite_pieces(&work);
    if (beside) pthread_join(thread, NULL);
    for (size_t i = 0; i < work.count; i++) {
        if (work.pieces[i]->code == PQDB_OK) continue;
        if (err != NULL) *err = work.pieces[i]->error;
        return work.pieces[i]->code;
    }
    return PQDB_OK;
}

/// Live rows of the chunks that are not written, as one log part.
static pqdb_code carry(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    const struct pq_catalog *catalog = table->snapshot->catalog;
    const struct pq_type *type = table->snapshot->type;
    struct pq_builder *columns = pq_arena_calloc(&cut->arena, type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "carried rows");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &cut->arena.alloc, err));
    }
    size_t count = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct pq_segment *segment = catalog->segments[i];
        if (segment->kind != PQ_SEGMENT_CHUNK) continue;
        for (size_t row = 0; row < segment->rows;) {
            size_t end = row;
            while (end < segment->rows &&
                   !pq_segment_is_dead(segment, end, table->snapshot->version)) {
                end++;
            }
            for (size_t k = 0; k < type->field_count && end > row; k++) {
                PQ_TRY(pq_builder_append_rows(&columns[k], &segment->batch.columns[k], row,
                                              end - row, err));
            }
            count += end - row;
            row = end + 1;
        }
    }
    if (count == 0) return PQDB_OK;
    struct pq_log_rows rows = {.collection = table->table->id,
                               .schema_id = pq_db_schema_id(table->table),
                               .rows_plus = (uint32_t)count};
    PQ_TRY(pq_builder_finish_batch(columns, type, &cut->arena, &rows.batch, err));
    const int64_t *seq = rows.batch.columns[PQ_COLUMN_SEQ].values;
    rows.first_seq = (uint64_t)seq[0];
    struct pq_bytes part;
    pq_bytes_init(&part, &cut->arena.alloc);
    PQ_TRY(pq_log_encode_rows(&rows, &part, err));
    table->root.carried = pq_bytes_text(&part);
    return PQDB_OK;
}

bool pq_db_cut_has(const struct cut_table *table, const struct pq_segment *segment) {
    for (size_t i = 0; i < table->old_count; i++) {
        if (table->old[i] == segment) return true;
    }
    return false;
}

static pqdb_code name_file(struct cut *cut, const struct cut_table *table,
                           struct pq_segment *segment, struct pq_root_file *out,
                           pqdb_error *err) {
    *out = (struct pq_root_file){.path = pq_data_file_path(segment->file),
                                 .bytes = pq_data_file_bytes(segment->file),
                                 .rows = segment->rows};
    const uint64_t version = table->snapshot->version;
    if (!pq_segment_has_dead(segment, 0, segment->rows, version)) return PQDB_OK;
    const size_t words = (segment->rows + 63) / 64;
    uint64_t *dead = pq_arena_alloc(&cut->arena, words * sizeof *dead);
    if (dead == NULL) return pq_fail(err, PQDB_NO_MEMORY, "deletions");
    pq_segment_dead_bits(segment, version, dead);
    out->dead = (struct pq_text){(const char *)dead, words * sizeof *dead};
    return PQDB_OK;
}

/// Deaths that the root knows of take more than twice a bit a row: from the installation on they
/// take that, as in the root.
static pqdb_code fold(struct cut_table *table, struct pq_segment *segment,
                      const struct pq_root_file *named, pqdb_error *err) {
    const size_t bytes = atomic_load_explicit(&segment->died_bytes, memory_order_relaxed);
    if (bytes <= segment->rows / 4) return PQDB_OK;
    if (segment->is_merging || segment->origin != NULL) return PQDB_OK;
    if (segment->base_version > table->snapshot->version) return PQDB_OK;  // none is of before
    struct cut_fold *made = &table->folds[table->fold_count];
    const uint64_t *dead = (const void *)named->dead.data;  // NULL: none
    PQ_TRY(pq_segment_fold(segment, table->snapshot->version, dead, &made->folded, err));
    made->segment = segment;
    table->fold_count++;
    return PQDB_OK;
}

static pqdb_code name_files(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    const struct pq_catalog *catalog = table->snapshot->catalog;
    struct pq_root_file *files =
        pq_arena_calloc(&cut->arena, catalog->count + PQ_CUT_PIECES_MAX, sizeof *files);
    if (files == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of files");
    table->root.files = files;
    table->folds = pq_arena_calloc(&cut->arena, catalog->file_count + 1, sizeof *table->folds);
    if (table->folds == NULL) return pq_fail(err, PQDB_NO_MEMORY, "deletions");
    for (size_t i = 0; i < catalog->count; i++) {
        struct pq_segment *segment = catalog->segments[i];
        if (segment->kind != PQ_SEGMENT_FILE || pq_db_cut_has(table, segment)) continue;
        struct pq_root_file *file = &files[table->root.file_count++];
        PQ_TRY(name_file(cut, table, segment, file, err));
        PQ_TRY(fold(table, segment, file, err));
    }
    for (size_t i = 0; i < table->piece_count; i++) {
        struct pq_segment *fresh = table->pieces[i].fresh;
        if (fresh == NULL) continue;
        PQ_TRY(name_file(cut, table, fresh, &files[table->root.file_count++], err));
    }
    return PQDB_OK;
}

/// Which columns a view's contents have.
static pqdb_code name_columns(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    const bool is_view = table->table->shape->is_view;
    if (!is_view || (table->is_unbuilt && !table->is_old)) return PQDB_OK;
    struct pq_bytes columns;
    pq_bytes_init(&columns, &cut->arena.alloc);
    PQ_TRY(pq_shape_write(table->snapshot->type, &columns, err));
    table->root.columns = pq_bytes_text(&columns);
    table->root.names_of = table->table->root->id;
    return PQDB_OK;
}

/// A collection's are those of its views too; but contents of before may be of another one.
static pqdb_code name_names(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    if (table->table->shape->is_view && !table->is_old) return PQDB_OK;
    struct pq_bytes names;
    pq_bytes_init(&names, &cut->arena.alloc);
    const uint32_t count = pq_variant_names_count(table->table->names);
    PQ_TRY(pq_variant_names_write(table->table->names, count, &names, err));
    table->root.names = pq_bytes_text(&names);
    return PQDB_OK;
}

static pqdb_code write_states(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    if (table->state_count == 0) return PQDB_OK;
    struct pq_root_state *states =
        pq_arena_calloc(&cut->arena, table->state_count, sizeof *states);
    if (states == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    for (size_t i = 0; i < table->state_count; i++) {
        PQ_TRY(pq_db_cut_write(cut->db, &table->states[i], &cut->arena, &states[i], err));
    }
    table->root.states = states;
    table->root.state_count = table->state_count;
    return PQDB_OK;
}

/// What the root says of a table whose files are written.
static pqdb_code describe_table(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    if (table->writes) {
        char path[PQ_STORE_PATH_MAX];
        snprintf(path, sizeof path, "%s/data", table->table->directory);
        PQ_TRY(pq_store_sync_directory(cut->db->store, path, err));
    }
    bool takes_memory = false;
    for (size_t i = 0; i < table->old_count; i++) {
        takes_memory = takes_memory || table->old[i]->kind == PQ_SEGMENT_CHUNK;
    }
    if (!takes_memory) PQ_TRY(carry(cut, table, err));
    PQ_TRY(name_files(cut, table, err));
    PQ_TRY(name_columns(cut, table, err));
    PQ_TRY(name_names(cut, table, err));
    table->root.published = table->table->published_version;
    return write_states(cut, table, err);
}

static pqdb_code write_root(struct cut *cut, pqdb_error *err) {
    pqdb_db *db = cut->db;
    struct pq_root_table *tables =
        pq_arena_calloc(&cut->arena, cut->table_count + 1, sizeof *tables);
    if (tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    PQ_TRY(pq_db_cut_write(db, &cut->tokens, &cut->arena, &cut->root.tokens, err));
    for (size_t i = 0; i < cut->table_count; i++) tables[i] = cut->tables[i].root;
    cut->root.tables = tables;
    cut->root.table_count = cut->table_count;
    cut->root.run_id = db->run_id;
    return pq_root_write(db->store, &cut->root, db->alloc, err);
}

// ---- install (leader), publish ----------------------------------------------------------------

static pqdb_code install_table(pqdb_db *db, struct cut_table *table, pqdb_error *err) {
    for (size_t i = 0; i < table->state_count; i++) {
        PQ_TRY(pq_db_cut_install(&table->states[i], err));
    }
    for (size_t i = 0; i < table->fold_count; i++) {
        const struct cut_fold *fold = &table->folds[i];
        PQ_TRY(pq_table_fold(table->table->table, fold->segment, fold->folded, err));
        pq_db_share(db, fold->segment);
    }
    if (!table->writes) {
        // The table counts roughly, and would call for checkpoints over what is long gone.
        const size_t now = table->table->table->memory_bytes;
        table->table->table->memory_bytes =
            table->memory + (now > table->held ? now - table->held : 0);
        return table->fold_count > 0 ? pq_table_publish(table->table->table, err) : PQDB_OK;
    }
    for (size_t i = 0; i < table->piece_count; i++) {
        struct cut_piece *piece = &table->pieces[i];
        const struct pq_table_swap swap = {
            .old = piece->old, .moved = (const uint32_t *const *)piece->rewritten.moved,
            .old_count = piece->old_count, .fresh = piece->fresh,
            .carried = table->snapshot->version};
        PQ_TRY(pq_table_swap(table->table->table, &swap, err));
        if (piece->fresh != NULL) pq_segment_ref(piece->fresh);  // the table took ours
    }
    for (size_t i = 0; i < table->old_count; i++) {
        if (table->old[i]->kind == PQ_SEGMENT_FILE) pq_db_retire(db, table->old[i]);
    }
    return pq_table_publish(table->table->table, err);
}

static void thaw(struct cut *cut) {
    for (size_t i = 0; cut->tables != NULL && i < cut->table_count; i++) {
        struct cut_table *table = &cut->tables[i];
        if (table->snapshot == NULL) continue;
        const struct pq_catalog *catalog = table->snapshot->catalog;
        for (size_t k = 0; k < catalog->count; k++) catalog->segments[k]->is_frozen = false;
    }
}

/// From now on the cut holds what is installed, with the files that it wrote, and no rows that
/// others have let go: while metadata is published writers fill the same share of memory again.
static void hold_installed(struct cut *cut) {
    for (size_t i = 0; i < cut->table_count; i++) {
        struct cut_table *table = &cut->tables[i];
        for (size_t k = 0; k < table->piece_count; k++) {
            pq_rewritten_deinit(&table->pieces[k].rewritten);
        }
        table->replaced = table->snapshot;
        table->snapshot = pq_table_snapshot_ref(table->table->table->published);
    }
}

/// No lock held: giving much memory back takes a while.
static void let_go(struct cut *cut) {
    for (size_t i = 0; i < cut->table_count; i++) {
        pq_table_snapshot_unref(cut->tables[i].replaced);
        cut->tables[i].replaced = NULL;
    }
}

static pqdb_code install(struct cut *cut, pqdb_error *err) {
    pqdb_db *db = cut->db;
    pqdb_code code = PQDB_OK;
    pthread_mutex_lock(&db->branching);
    pthread_mutex_lock(&db->leader);
    thaw(cut);
    for (size_t i = 0; code == PQDB_OK && i < cut->table_count; i++) {
        code = install_table(db, &cut->tables[i], err);
    }
    if (code == PQDB_OK) {
        code = pq_db_cut_install(&cut->tokens, err);
    }
    if (code == PQDB_OK) pq_db_tokens_forget(db, &cut->token_bound);
    if (code == PQDB_OK) code = pq_db_publish(db, db->version, pq_log_time_us(db->log), err);
    if (code == PQDB_OK) {
        db->has_root = true;
        db->root_version = cut->root.version;
        db->root_position = cut->root.position;
        hold_installed(cut);
        pq_db_run_merges_end(db);
        atomic_store_explicit(&db->runs_backlog, pq_db_run_backlog(db), memory_order_relaxed);
    } else {
        pq_db_break(db, code, err);  // memory half shows the root; reopening shows it all
    }
    pthread_mutex_unlock(&db->leader);
    pthread_mutex_unlock(&db->branching);
    let_go(cut);
    return code;
}

// ---- the whole --------------------------------------------------------------------------------

static void cut_deinit(struct cut *cut) {
    for (size_t i = 0; cut->tables != NULL && i < cut->table_count; i++) {
        struct cut_table *table = &cut->tables[i];
        if (table->table == NULL) continue;
        for (size_t k = 0; k < table->piece_count; k++) {
            pq_rewritten_deinit(&table->pieces[k].rewritten);
            pq_segment_unref(table->pieces[k].fresh);
        }
        for (size_t k = 0; k < table->fold_count; k++) pq_segment_unref(table->folds[k].folded);
        for (size_t k = 0; k < table->state_count; k++) pq_db_cut_deinit(&table->states[k]);
        pq_table_snapshot_unref(table->snapshot);
    }
    pq_db_cut_deinit(&cut->tokens);
    pq_arena_deinit(&cut->arena);
}

/// Nothing names what was written: it goes now, or a full disk would fill with each attempt.
static void abandon(struct cut *cut) {
    for (size_t i = 0; i < cut->table_count; i++) {
        for (size_t k = 0; k < cut->tables[i].piece_count; k++) {
            const struct cut_piece *piece = &cut->tables[i].pieces[k];
            if (piece->path == NULL) continue;
            pq_data_file_bury(cut->db->pace, pq_text_of(piece->path), piece->snapshot->type);
        }
    }
}

static pqdb_code write_tables(struct cut *cut, pqdb_error *err) {
    for (size_t i = 0; i < cut->table_count; i++) {
        PQ_TRY(pq_db_cut_choose(cut, &cut->tables[i], err));
        PQ_TRY(name_pieces(cut, &cut->tables[i], err));
    }
    PQ_TRY(write_files(cut, err));
    for (size_t i = 0; i < cut->table_count; i++) {
        PQ_TRY(describe_table(cut, &cut->tables[i], err));
    }
    return PQDB_OK;
}

static pqdb_code write_cut(struct cut *cut, pqdb_error *err) {
    pqdb_code code = write_tables(cut, err);
    if (code != PQDB_OK) {
        abandon(cut);
        return code;
    }
    code = write_root(cut, err);
    if (code != PQDB_OK && !pq_root_may_exist(cut->db->store, cut->root.version)) abandon(cut);
    return code;
}

static pqdb_code checkpoint_locked(struct cut *cut, pqdb_error *err) {
    pqdb_db *db = cut->db;
    bool nothing = false;
    pqdb_code code = freeze(cut, &nothing, err);
    if (code == PQDB_OK && nothing) return PQDB_OK;
    if (code == PQDB_OK) code = write_cut(cut, err);
    if (code != PQDB_OK) {
        pthread_mutex_lock(&db->branching);
        pthread_mutex_lock(&db->leader);
        thaw(cut);
        pthread_mutex_unlock(&db->leader);
        pthread_mutex_unlock(&db->branching);
        return code;
    }
    PQ_TRY(install(cut, err));
    code = pq_db_publish_metadata(cut, err);
    db->unpublished = code != PQDB_OK;  // then the next checkpoint tries again
    pqdb_error late;
    const pqdb_code collected = pq_db_collect_garbage(db, &cut->root, &late);
    if (code != PQDB_OK || collected == PQDB_OK) return code;
    if (err != NULL) *err = late;
    return collected;
}

pqdb_code pq_db_checkpoint(pqdb_db *db, bool write_all, pqdb_error *err) {
    pthread_mutex_lock(&db->refreshing);
    struct cut cut = {.db = db, .write_all = write_all};
    pq_arena_init(&cut.arena, db->alloc);
    const pqdb_code code = checkpoint_locked(&cut, err);
    cut_deinit(&cut);
    pq_db_merge_end(db);
    pq_db_bury_released(db);  // what it replaced, now that it holds none of it
    const bool waits = db->files_wait || pq_db_run_merge_waits(db);
    if (code == PQDB_OK) pq_db_tidy_states(db);
    pthread_mutex_unlock(&db->refreshing);
    if (code == PQDB_OK && waits) pq_db_keeper_want(db);
    if (code == PQDB_OK) pq_db_memory_fit_all(db);
    return code;
}
