/// db/open.c: making, opening and closing a database.
#include <errno.h>
#include <limits.h>
#include <parquedb/db.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/wait.h"
#include "db/catch_up.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "db/open_with.h"
#include "db/readers.h"
#include "db/schema_change.h"
#include "query/find.h"
#include "table/scan_ahead.h"
#include "table/shred.h"

enum {
    close_log_bytes = 4 << 20,
    reader_tries = 4,
    reader_pause_ns = 5000000,
};

const char *pqdb_version(void) { return "0.1.0"; }

// ---- look-up ----------------------------------------------------------------------------------

void pq_db_lock_contents(pqdb_db *db) {
    pthread_mutex_lock(&db->refreshing);
    pthread_mutex_lock(&db->branching);
}

void pq_db_unlock_contents(pqdb_db *db) {
    pthread_mutex_unlock(&db->branching);
    pthread_mutex_unlock(&db->refreshing);
}

struct pq_db_table *pq_db_by_id(const pqdb_db *db, uint32_t id) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->at[i]->id == id) return tables->at[i];
    }
    return NULL;
}

struct pq_db_table *pq_db_find(const pqdb_db *db, struct pq_text name) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        if (pq_text_equal(tables->at[i]->entry->name, name)) return tables->at[i];
    }
    return NULL;
}

pqdb_code pq_db_find_table(const pqdb_db *db, struct pq_text name, struct pq_db_table **table,
                           pqdb_error *err) {
    *table = pq_db_find(db, name);
    if (*table != NULL) return PQDB_OK;
    const char *near = pq_schema_nearest(db->schema, name);
    pq_fail(err, PQDB_NOT_FOUND, near == NULL ? "there is no collection or view %.*s%s"
                                              : "there is no collection or view %.*s; did you "
                                                "mean %s?",
            PQ_TEXT_ARG(name), near == NULL ? "" : near);
    return pq_fail_subject(err, PQDB_NOT_FOUND, name);
}

bool pq_db_is_same_entry(const struct pq_entry *a, const struct pq_entry *b) {
    struct pq_bytes x, y;
    pq_bytes_init(&x, &pq_alloc_libc);
    pq_bytes_init(&y, &pq_alloc_libc);
    const bool same = pq_shape_is_same(pq_entry_row_type(a), pq_entry_row_type(b)) &&
                      pq_json_write(&x, a->definition, NULL) == PQDB_OK &&
                      pq_json_write(&y, b->definition, NULL) == PQDB_OK &&
                      pq_text_equal(pq_bytes_text(&x), pq_bytes_text(&y));
    pq_bytes_deinit(&x);
    pq_bytes_deinit(&y);
    return same;
}

static pqdb_code check_view(const struct pq_db_table *table, pqdb_error *err) {
    if (table->view != NULL) return PQDB_OK;
    const struct pq_text name = table->entry->name;
    pq_fail(err, PQDB_INVALID, "%.*s is a collection, not a view", PQ_TEXT_ARG(name));
    return pq_fail_subject(err, PQDB_INVALID, name);
}

pqdb_code pq_db_find_view(const pqdb_db *db, struct pq_text name, struct pq_db_table **table,
                          pqdb_error *err) {
    PQ_TRY(pq_db_find_table(db, name, table, err));
    return check_view(*table, err);
}

pqdb_code pq_db_snapshot_find_view(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                                   struct pq_text name, struct pq_db_table **table,
                                   pqdb_error *err) {
    PQ_TRY(pq_db_snapshot_find(db, snapshot, name, table, err));
    return check_view(*table, err);
}

pqdb_code pq_db_check_open(pqdb_db *db, pqdb_error *err) {
    if (db->options.read_only) {
        return pq_fail(err, PQDB_INVALID, "the database was opened for reading only");
    }
    if (!db->broken) return PQDB_OK;
    if (err != NULL) *err = db->broken_by;
    return db->broken_by.code;
}

struct pq_log_position pq_db_position(const pqdb_db *db) {
    return db->is_replaying ? db->replayed : pq_log_position(db->log);
}

const struct pq_type *pq_db_rows_type(const struct pq_db_table *table) {
    return table->view == NULL ? pq_entry_row_type(table->entry) : table->view->type;
}

const struct pq_type *pq_db_log_type(const struct pq_db_table *table, uint32_t schema_id) {
    const struct pq_db_shape *shape = table->shape;
    if (shape->is_view || schema_id + 1 == shape->type_count) return pq_db_rows_type(table);
    return schema_id < shape->type_count ? &shape->types[schema_id] : NULL;
}

uint32_t pq_db_schema_id(const struct pq_db_table *table) {
    return table->shape->is_view ? 0 : (uint32_t)table->shape->type_count - 1;
}

static const struct pq_type *log_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    const struct pq_db_table *table = pq_db_by_id(ctx, collection);
    return table == NULL ? NULL : pq_db_log_type(table, schema_id);
}

static const struct pq_type *type_now(void *ctx, uint32_t collection) {
    const struct pq_db_table *table = pq_db_by_id(ctx, collection);
    return table == NULL ? NULL : pq_db_rows_type(table);
}

static struct pq_variant_names *log_names(void *ctx, uint32_t collection) {
    const struct pq_db_table *table = pq_db_by_id(ctx, collection);
    return table == NULL ? NULL : table->names;
}

struct pq_log_schemas pq_db_log_schemas(pqdb_db *db) {
    return (struct pq_log_schemas){.type = log_type, .wanted = type_now, .names = log_names,
                                   .ctx = db};
}

static const struct pq_type *no_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)ctx, (void)collection, (void)schema_id;
    return NULL;
}

static struct pq_variant_names *no_names(void *ctx, uint32_t collection) {
    (void)ctx, (void)collection;
    return NULL;
}

struct pq_log_schemas pq_db_log_counts(void) {
    return (struct pq_log_schemas){.type = no_type, .names = no_names};
}

// ---- the schema -------------------------------------------------------------------------------

static void report(struct pq_problems *problems, pqdb_on_problem on_problem, void *ctx) {
    pq_problems_sort(problems);
    for (size_t i = 0; on_problem != NULL && i < problems->count; i++) {
        const struct pq_problem *problem = &problems->items[i];
        const pqdb_problem shown = {.code = problem->code, .path = problem->path.data,
                                    .line = problem->line, .column = problem->column,
                                    .message = problem->message.data,
                                    .remedy = problem->remedy.data == NULL ? ""
                                                                           : problem->remedy.data,
                                    .is_warning = problem->warning};
        on_problem(ctx, &shown);
    }
}

pqdb_code pqdb_schema_check(const char *schema_text, size_t length, pqdb_on_problem on_problem,
                            void *ctx, pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_db_plan *plan = NULL;
    pqdb_code code = pq_db_plan_from(NULL, (struct pq_text){schema_text, length},
                                     &pq_alloc_libc, &problems, &plan, err);
    report(&problems, on_problem, ctx);
    if (code == PQDB_OK) code = pq_problems_code(&problems, err);
    pq_db_plan_destroy(&pq_alloc_libc, plan);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code write_schema(struct pq_store *store, struct pq_text schema, pqdb_error *err) {
    const pqdb_code code = pq_schema_file_create(store, schema, err);
    if (code != PQDB_CONFLICT) return code;
    return pq_fail(err, code, "there is a database here already; choose another directory");
}

pqdb_code pqdb_init(const char *directory, const char *schema, size_t length,
                    pqdb_on_problem on_problem, void *ctx, pqdb_error *err) {
    PQ_TRY(pqdb_schema_check(schema, length, on_problem, ctx, err));
    struct pq_store *store;
    PQ_TRY(pq_store_open_fs(directory, true, &pq_alloc_libc, &store, err));
    const pqdb_code code = write_schema(store, (struct pq_text){schema, length}, err);
    pq_store_destroy(store);
    if (code == PQDB_CONFLICT) return pq_fail_subject(err, code, pq_text_of(directory));
    PQ_TRY(code);
    pqdb_db *db;  // begins the log, and finds out now what would go wrong later
    PQ_TRY(pqdb_open(directory, NULL, &db, err));
    return pqdb_close(db, err);
}

pqdb_code pq_db_init_with(const struct pq_open_with *with, struct pq_text schema,
                          pqdb_error *err) {
    PQ_TRY(pqdb_schema_check(schema.data, schema.length, NULL, NULL, err));
    PQ_TRY(write_schema(with->store, schema, err));
    pqdb_db *db;
    PQ_TRY(pq_db_open_with(with, NULL, &db, err));
    return pqdb_close(db, err);
}

/// What a root of before there was a list of tables tells of them: names and ids.
static pqdb_code shapes_of_root(pqdb_db *db, const struct pq_root *root,
                                struct pq_db_shapes *shapes, pqdb_error *err) {
    shapes->tables = pq_arena_calloc(&db->arena, root->table_count, sizeof *shapes->tables);
    if (shapes->tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
    for (size_t i = 0; i < root->table_count; i++) {
        const struct pq_root_table *table = &root->tables[i];
        struct pq_db_shape *shape = &shapes->tables[shapes->count++];
        *shape = (struct pq_db_shape){.id = table->id, .is_view = table->refresh_version != 0};
        shape->name = pq_arena_copy(&db->arena, table->name);
        struct pq_bytes directory;
        pq_bytes_init(&directory, &db->arena.alloc);
        PQ_TRY(pq_bytes_printf(&directory, err, "%s%.*s", shape->is_view ? "_views/" : "",
                               PQ_TEXT_ARG(table->name)));
        shape->directory = pq_bytes_text(&directory);
        if (shape->name.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
        if (shape->id >= shapes->next_id) shapes->next_id = shape->id + 1;
    }
    return PQDB_OK;
}

/// Of the text that is there; `*is_new`: not yet on disk.
static pqdb_code read_shapes(pqdb_db *db, const struct pq_root *root, struct pq_text text,
                             struct pq_db_shapes *shapes, bool *is_new, pqdb_error *err) {
    bool is_exact = false;
    *shapes = (struct pq_db_shapes){0};
    const pqdb_code code =
        pq_db_shapes_read(db->store, text, &db->arena, shapes, &is_exact, err);
    *is_new = !is_exact;
    if (code != PQDB_NOT_FOUND) return code;
    return root->table_count == 0 ? PQDB_OK : shapes_of_root(db, root, shapes, err);
}

pqdb_code pq_db_list_tables(pqdb_db *db, const struct pq_db_plan *plan, uint32_t generation,
                            struct pq_db_tables **out, pqdb_error *err) {
    const size_t entries = plan->schema->entry_count;
    struct pq_db_tables *tables = pq_arena_calloc(
        &db->arena, 1, sizeof *tables + entries * sizeof(struct pq_db_table *));
    if (tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
    tables->generation = generation;
    for (size_t i = 0; i < entries; i++) {
        if (plan->schema->entries[i].kind == PQ_ENTRY_EXTERNAL) continue;
        struct pq_db_table *table = pq_arena_calloc(&db->arena, 1, sizeof *table);
        if (table == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
        *table = (struct pq_db_table){.position = tables->positions++, .generation = generation,
                                      .entry = &plan->schema->entries[i], .id = plan->ids[i],
                                      .shape = plan->follows[i].now};
        table->directory = table->shape->directory.data;
        tables->at[tables->count++] = table;
    }
    *out = tables;
    return PQDB_OK;
}

static pqdb_code load_schema(pqdb_db *db, const struct pq_root *root, bool *is_new,
                             pqdb_error *err) {
    struct pq_bytes text;
    pq_bytes_init(&text, &db->arena.alloc);
    PQ_TRY(pq_schema_file_read(db->store, &text, err));
    struct pq_db_shapes before;
    PQ_TRY(read_shapes(db, root, pq_bytes_text(&text), &before, is_new, err));
    struct pq_problems problems;
    pq_problems_init(&problems, &db->arena);
    struct pq_db_plan *plan;
    PQ_TRY(pq_db_plan_from(before.next_id == 0 ? NULL : &before, pq_bytes_text(&text), db->alloc,
                           &problems, &plan, err));
    pq_db_use_plan(db, plan);
    PQ_TRY(pq_problems_code(&problems, err));
    if (*is_new) PQ_TRY(pq_db_check_lossless(&before, plan, err));
    struct pq_db_tables *tables;
    PQ_TRY(pq_db_list_tables(db, plan, 0, &tables, err));
    db->tables = tables;
    return PQDB_OK;
}

// ---- tables -----------------------------------------------------------------------------------

bool pq_db_marks_ids(const struct pq_db_table *table) {
    if (table->view == NULL) return false;
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        if (view->grouped || view->linked_count > 0) return true;
    }
    return table->root->entry->kind != PQ_ENTRY_STREAM;
}

pqdb_code pq_db_make_table(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    for (size_t i = 0; i < db->views->count; i++) {
        if (db->views->views[i].table == table->id) table->view = &db->views->views[i];
    }
    if (table->view == NULL) {
        table->root = table;
        if (pq_entry_has_unique(table->entry)) {
            pq_unique_init(&table->unique, table->entry, db->alloc);
        }
        if (table->names == NULL) PQ_TRY(pq_variant_names_create(db->alloc, &table->names, err));
        PQ_TRY(pq_db_make_shreds(db, table, err));
    } else {
        const struct pq_view *lowest = table->view;
        while (lowest->upstream != NULL) lowest = lowest->upstream;
        table->root = pq_db_by_id(db, lowest->source);
        table->names = pq_variant_names_ref(table->root->names);
    }
    const struct pq_table_options options = {
        .name = table->entry->name, .names = table->names, .alloc = db->alloc,
        .type = pq_db_rows_type(table), .shreds = table->shreds,
        .marks_ids = pq_db_marks_ids(table)};
    PQ_TRY(pq_table_create(&options, &table->table, err));
    PQ_TRY(pq_db_prepare_queries(db, table, err));
    for (uint32_t k = 1; table->find->indexed != NULL && k < options.type->field_count; k++) {
        if (table->find->indexed[k]) pq_table_want_index(table->table, k);
    }
    return PQDB_OK;
}

/// Collections first: a view shares the names of the one at its bottom.
pqdb_code pq_db_make_tables(pqdb_db *db, pqdb_error *err) {
    const struct pq_db_tables *tables = db->tables;
    for (int views = 0; views < 2; views++) {
        for (size_t i = 0; i < tables->count; i++) {
            const bool is_view = tables->at[i]->entry->kind == PQ_ENTRY_VIEW;
            if (is_view == (views == 1)) PQ_TRY(pq_db_make_table(db, tables->at[i], err));
        }
    }
    PQ_TRY(pq_circuit_create(db->alloc, &db->circuit, err));
    pq_circuit_use_clock(db->circuit, db->env->monotonic_ns, db->env->ctx);
    return PQDB_OK;
}

// ---- open -------------------------------------------------------------------------------------

static pqdb_code find_directory(pqdb_db *db, const char *directory, pqdb_error *err) {
    char path[PATH_MAX], schema[PATH_MAX + sizeof PQ_DB_SCHEMA_FILE];
    const char *found = realpath(directory, path);
    if (found != NULL) {
        PQ_TRY(pq_store_open_fs(path, false, db->alloc, &db->store, err));
        struct pq_file *file;
        const pqdb_code code = pq_file_open(db->store, PQ_DB_SCHEMA_FILE, PQ_OPEN_READ, &file, err);
        if (code == PQDB_OK) pq_file_close(file);
        if (code != PQDB_OK && code != PQDB_NOT_FOUND) return code;
        if (code == PQDB_NOT_FOUND) found = NULL;
    }
    if (found == NULL) {
        pq_fail(err, PQDB_NOT_FOUND, "there is no database here; make one with init");
        return pq_fail_subject(err, PQDB_NOT_FOUND, pq_text_of(directory));
    }
    const int length = snprintf(schema, sizeof schema, "file://%s", path);
    const struct pq_text location =
        pq_arena_copy(&db->arena, (struct pq_text){schema, (size_t)length});
    if (location.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a path");
    db->location = (char *)(uintptr_t)location.data;
    return PQDB_OK;
}

static pqdb_code open_log(pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    const struct pq_log_options options = {
        .store = db->store, .directory = "log", .env = db->env, .alloc = db->alloc,
        .pace = db->pace, .from = root->position, .from_time_us = root->time_us,
        .segment_bytes = db->log_segment_bytes, .read_only = db->options.read_only};
    return pq_log_open(&options, &db->log, err);
}

static pqdb_code open_all(pqdb_db *db, bool no_keeper, pqdb_error *err) {
    if (!db->options.read_only) PQ_TRY(pq_store_lock(db->store, "lock", &db->lock, err));
    if (!db->options.read_only) {
        PQ_TRY(pq_store_make_directory(db->store, PQ_STATE_DIRECTORY, err));
    }
    PQ_TRY(pq_pace_create(db->store, db->env, &db->pace, err));
    struct pq_arena arena;  // of the root as read, and other scratch
    pq_arena_init(&arena, db->alloc);
    struct pq_root root = {0};
    bool found, is_new;
    pqdb_code code;
    PQ_GO(pq_db_open_root(db, &arena, &root, &found, err));
    PQ_GO(load_schema(db, &root, &is_new, err));
    PQ_GO(pq_db_make_tables(db, err));
    if (is_new) PQ_GO(pq_db_check_discards(db, &root, err));
    if (is_new && !db->options.read_only) {
        PQ_GO(pq_db_shapes_write(db->store, NULL, db->plans->shapes, db->alloc, err));
    }
    PQ_GO(open_log(db, &root, err));
    const bool keeper_follows = !db->options.read_only && !no_keeper;
    PQ_GO(pq_db_recover(db, &root, keeper_follows, &arena, err));
    if (keeper_follows) PQ_GO(pq_db_keeper_start(db, err));
done:
    pq_arena_deinit(&arena);
    return code;
}

static void init_locks(pqdb_db *db) {
    pthread_mutex_init(&db->leader, NULL);
    pthread_mutex_init(&db->queue_lock, NULL);
    pthread_mutex_init(&db->refusals, NULL);
    pthread_mutex_init(&db->published_lock, NULL);
    pthread_mutex_init(&db->refreshing, NULL);
    pthread_mutex_init(&db->branching, NULL);
    pthread_mutex_init(&db->building, NULL);
    pthread_mutex_init(&db->making, NULL);
    pthread_mutex_init(&db->keeper_lock, NULL);
    pthread_mutex_init(&db->run_lock, NULL);
    pq_wait_init(&db->keeper_wake);
    pthread_cond_init(&db->keeper_done, NULL);
    pq_db_gate_init(&db->gate);
}

static void free_tables(pqdb_db *db, const struct pq_db_tables *tables) {
    for (size_t i = 0; i < tables->count; i++) {
        pq_db_catch_up_drop(db, tables->at[i]);
        struct pq_db_table *table = tables->at[i];
        pq_node_destroy(table->node);
        pq_db_part_destroy(db, table->part);
        pq_iceberg_close(table->iceberg);
        pq_db_reader_destroy(table);
        pq_unique_deinit(&table->unique);
        pq_table_destroy(table->table);
        pq_shreds_destroy(table->shreds);
        pq_variant_names_unref(table->names);
    }
}

static pqdb_code free_all(pqdb_db *db, pqdb_error *err) {
    const struct pq_alloc *alloc = db->memory.total.source;
    pq_db_snapshot_unref(db->published);
    if (db->circuit != NULL) pq_circuit_destroy(db->circuit);
    const struct pq_db_tables *tables = db->tables;
    for (; tables != NULL; tables = tables->older) free_tables(db, tables);
    pq_db_free_shown(db);
    pq_trace_deinit(&db->tokens);
    pq_hold_unref(db->step_hold);
    pq_db_retired_close(db);
    pq_db_merge_close(db);
    pq_db_run_merges_close(db);
    pq_db_runs_close(db);
    const pqdb_code code = pq_log_close(db->log, err);
    pq_pace_destroy(db->pace);
    while (db->plans != NULL) {
        struct pq_db_plan *plan = db->plans;
        db->plans = plan->older;
        pq_db_plan_destroy(db->alloc, plan);
    }
    pq_store_unlock(db->lock);
    if (!db->store_is_borrowed) pq_store_destroy(db->store);
    pq_arena_deinit(&db->arena);
    pq_page_cache_destroy(db->pages);
    pq_block_cache_deinit(&db->blocks);
    pq_free(alloc, db, 1, sizeof *db);
    return code;
}

static pqdb_code create(const struct pq_env *env, const struct pq_alloc *alloc,
                        const pqdb_options *options, pqdb_db **db, pqdb_error *err) {
    struct pqdb_db *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a database");
    *made = (struct pqdb_db){.env = env};
    if (options != NULL) made->options = *options;
    pq_db_memory_init(made, alloc);
    made->merge_rows = PQ_DB_MERGE_ROWS;
    made->tokens_max = PQ_DB_TOKENS_MAX;
    made->ahead_rows = PQ_AHEAD_ROWS_MIN;
    made->late_rows = PQ_DB_LATE_ROWS;
    made->piece_rows = PQ_DB_PIECE_ROWS;
    made->led_rows = PQ_DB_LED_ROWS;
    made->wait_rows = PQ_DB_WAIT_ROWS;
    made->lag_bytes = PQ_DB_LAG_BYTES;
    made->dead_bytes = PQ_DB_DEAD_BYTES;
    made->cut_run_bytes = PQ_DB_CUT_RUN_BYTES;
    made->queue_end = &made->queue;
    pq_arena_init(&made->arena, made->alloc);
    pq_trace_init(&made->tokens, PQ_TRACE_NEWEST_WINS, &made->memory.states.alloc);
    init_locks(made);
    const pqdb_code code = pq_page_cache_create(made->memory.limit, &made->memory.files.alloc,
                                                &made->pages, err);
    if (code != PQDB_OK) {
        free_all(made, NULL);
        return code;
    }
    *db = made;
    return PQDB_OK;
}

static pqdb_code open_directory(const char *directory, const pqdb_options *options, pqdb_db **db,
                                pqdb_error *err) {
    pqdb_db *made;
    PQ_TRY(create(&pq_env_system, &pq_alloc_libc, options, &made, err));
    pqdb_code code = find_directory(made, directory, err);
    if (code == PQDB_OK) code = open_all(made, false, err);
    if (code == PQDB_OK) *db = made;
    if (code != PQDB_OK) free_all(made, NULL);
    return code;
}

/// A reader may come upon what another process is just writing or taking away: that is not there,
/// or not whole, only for a moment.
pqdb_code pqdb_open(const char *directory, const pqdb_options *options, pqdb_db **db,
                    pqdb_error *err) {
    const bool read_only = options != NULL && options->read_only;
    for (int left = read_only ? reader_tries : 1;;) {
        const pqdb_code code = open_directory(directory, options, db, err);
        const bool may_pass = code == PQDB_CORRUPT || code == PQDB_NOT_FOUND;
        if (!may_pass || --left == 0) return code;
        pq_env_system.sleep_ns(pq_env_system.ctx, reader_pause_ns);
    }
}

pqdb_code pq_db_open_with(const struct pq_open_with *with, const pqdb_options *options,
                          pqdb_db **db, pqdb_error *err) {
    pqdb_db *made;
    PQ_TRY(create(with->env, with->alloc, options, &made, err));
    made->store = with->store;
    made->store_is_borrowed = true;
    made->log_segment_bytes = with->log_segment_bytes;
    made->forgives_lost = with->forgives_lost;
    if (with->merge_rows != 0) made->merge_rows = with->merge_rows;
    if (with->tokens_max != 0) made->tokens_max = with->tokens_max;
    if (with->ahead_rows != 0) made->ahead_rows = with->ahead_rows;
    if (with->late_rows != 0) made->late_rows = with->late_rows;
    if (with->piece_rows != 0) made->piece_rows = with->piece_rows;
    if (with->led_rows != 0) made->led_rows = with->led_rows;
    if (with->wait_rows != 0) made->wait_rows = with->wait_rows;
    if (with->lag_bytes != 0) made->lag_bytes = with->lag_bytes;
    if (with->dead_bytes != 0) made->dead_bytes = with->dead_bytes;
    made->listen_bytes = with->listen_bytes;
    if (with->cut_run_bytes != 0) made->cut_run_bytes = with->cut_run_bytes;
    const struct pq_text location = pq_arena_copy(&made->arena, pq_text_of(with->location));
    made->location = (char *)(uintptr_t)location.data;
    const pqdb_code code = location.data == NULL ? pq_fail(err, PQDB_NO_MEMORY, "a path")
                                                 : open_all(made, with->no_keeper, err);
    if (code == PQDB_OK) *db = made;
    if (code != PQDB_OK) free_all(made, NULL);
    return code;
}

pqdb_code pqdb_close(pqdb_db *db, pqdb_error *err) {
    if (db == NULL) return PQDB_OK;
    db->closes = true;  // a build in the background ends; the next opening begins it again
    pq_db_keeper_stop(db);
    pqdb_code code = PQDB_OK;
    if (!db->options.read_only && !db->broken &&
        pq_log_bytes_since(db->log, &db->root_position) > close_log_bytes) {
        code = pq_db_checkpoint(db, false, err);
    }
    pqdb_error late;
    const pqdb_code closed = free_all(db, &late);
    if (code != PQDB_OK || closed == PQDB_OK) return code;
    if (err != NULL) *err = late;
    return closed;
}
