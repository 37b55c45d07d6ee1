/// db/open.c: making, opening and closing a database.
#include <errno.h>
#include <limits.h>
#include <parquedb/db.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "db/open_with.h"
#include "db/schema_change.h"
#include "table/scan_ahead.h"

enum {
    schema_bytes_max = PQ_SCHEMA_BYTES_MAX,
    close_log_bytes = 4 << 20,
    pages_share = 2,  // the part of the budget of memory that decoded pages may take besides
};

const char *pqdb_version(void) { return "0.1.0"; }

// ---- look-up ----------------------------------------------------------------------------------

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

pqdb_code pq_db_find_view(const pqdb_db *db, struct pq_text name, struct pq_db_table **table,
                          pqdb_error *err) {
    PQ_TRY(pq_db_find_table(db, name, table, err));
    if ((*table)->view != NULL) return PQDB_OK;
    pq_fail(err, PQDB_INVALID, "%.*s is a collection, not a view", PQ_TEXT_ARG(name));
    return pq_fail_subject(err, PQDB_INVALID, name);
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

static const struct pq_type *log_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)schema_id;
    const struct pq_db_table *table = pq_db_by_id(ctx, collection);
    return table == NULL ? NULL : table->table->options.type;
}

static struct pq_variant_names *log_names(void *ctx, uint32_t collection) {
    const struct pq_db_table *table = pq_db_by_id(ctx, collection);
    return table == NULL ? NULL : table->names;
}

struct pq_log_schemas pq_db_log_schemas(pqdb_db *db) {
    return (struct pq_log_schemas){.type = log_type, .names = log_names, .ctx = db};
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

/// An id that follows from the name, so that a schema edited before the first root still finds its
/// rows in the log; the next free one where two names fall together.
static uint32_t *default_ids(const struct pq_schema *schema, struct pq_arena *arena) {
    uint32_t *ids = pq_arena_alloc(arena, (schema->entry_count + 1) * sizeof *ids);
    for (size_t i = 0; ids != NULL && i < schema->entry_count; i++) {
        const struct pq_text name = schema->entries[i].name;
        ids[i] = (uint32_t)pq_hash(name.data, name.length) >> 1 | 1;
        for (size_t k = 0; k < i; k++) {
            if (ids[k] != ids[i]) continue;
            ids[i] += 2;
            k = SIZE_MAX;  // from the start again
        }
    }
    return ids;
}

pqdb_code pqdb_schema_check(const char *schema_text, size_t length, pqdb_on_problem on_problem,
                            void *ctx, pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_schema *schema = NULL;
    struct pq_views *views = NULL;
    pqdb_code code = pq_schema_parse((struct pq_text){schema_text, length}, &pq_alloc_libc,
                                     &schema, &problems, err);
    if (code == PQDB_OK) {
        const uint32_t *ids = default_ids(schema, &arena);
        code = ids == NULL ? pq_fail(err, PQDB_NO_MEMORY, "a schema")
                           : pq_views_plan(schema, ids, &pq_alloc_libc, &views, &problems, err);
    }
    report(&problems, on_problem, ctx);
    if (code == PQDB_OK) code = pq_problems_code(&problems, err);
    if (views != NULL) pq_views_destroy(views);
    if (schema != NULL) pq_schema_unref(schema);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code write_schema(struct pq_store *store, struct pq_text schema, pqdb_error *err) {
    const pqdb_code code = pq_store_create_file(store, PQ_DB_SCHEMA_FILE, schema, err);
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

/// Tables keep the ids that the root gave them; new ones get the next free.
static pqdb_code choose_ids(pqdb_db *db, const struct pq_root *root, uint32_t **out,
                            pqdb_error *err) {
    uint32_t *ids = default_ids(db->schema, &db->arena);
    if (ids == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a schema");
    *out = ids;
    if (root->table_count == 0) return PQDB_OK;
    uint32_t next = 1;
    for (size_t i = 0; i < root->table_count; i++) {
        if (root->tables[i].id >= next) next = root->tables[i].id + 1;
    }
    for (size_t i = 0; i < db->schema->entry_count; i++) {
        ids[i] = 0;
        for (size_t k = 0; k < root->table_count; k++) {
            if (pq_text_equal(root->tables[k].name, db->schema->entries[i].name)) {
                ids[i] = root->tables[k].id;
            }
        }
        if (ids[i] == 0) ids[i] = next++;
    }
    return PQDB_OK;
}

static pqdb_code list_tables(pqdb_db *db, const uint32_t *ids, pqdb_error *err) {
    const size_t entries = db->schema->entry_count;
    struct pq_db_tables *tables = pq_arena_calloc(
        &db->arena, 1, sizeof *tables + entries * sizeof(struct pq_db_table *));
    if (tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
    for (size_t i = 0; i < entries; i++) {
        if (db->schema->entries[i].kind == PQ_ENTRY_EXTERNAL) continue;
        struct pq_db_table *table = pq_arena_calloc(&db->arena, 1, sizeof *table);
        if (table == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
        *table = (struct pq_db_table){.position = tables->positions++,
                                      .entry = &db->schema->entries[i], .id = ids[i],
                                      .facts = {.last_refresh = "none"}};
        tables->at[tables->count++] = table;
        if (ids[i] >= db->next_id) db->next_id = ids[i] + 1;
    }
    db->tables = tables;
    return PQDB_OK;
}

static pqdb_code load_schema(pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    struct pq_bytes text;
    pq_bytes_init(&text, &db->arena.alloc);
    PQ_TRY(pq_store_read_file(db->store, PQ_DB_SCHEMA_FILE, schema_bytes_max, &text, err));
    struct pq_problems problems;
    pq_problems_init(&problems, &db->arena);
    struct pq_db_plan *plan = pq_resize(db->alloc, NULL, 0, 1, sizeof *plan);
    if (plan == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a schema");
    *plan = (struct pq_db_plan){0};
    pq_db_use_plan(db, plan);
    PQ_TRY(pq_schema_parse(pq_bytes_text(&text), db->alloc, &plan->schema, &problems, err));
    db->schema = plan->schema;
    uint32_t *ids;
    PQ_TRY(choose_ids(db, root, &ids, err));
    plan->ids = ids;
    PQ_TRY(pq_views_plan(db->schema, ids, db->alloc, &plan->views, &problems, err));
    db->views = plan->views;
    PQ_TRY(pq_problems_code(&problems, err));
    return list_tables(db, ids, err);
}

// ---- tables -----------------------------------------------------------------------------------

static pqdb_code name_directory(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    struct pq_bytes name;
    pq_bytes_init(&name, &db->arena.alloc);
    PQ_TRY(pq_bytes_printf(&name, err, "%s%.*s", table->view == NULL ? "" : "_views/",
                           PQ_TEXT_ARG(table->entry->name)));
    table->directory = (char *)name.data;  // printf leaves a NUL behind
    return PQDB_OK;
}

pqdb_code pq_db_make_table(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    for (size_t i = 0; i < db->views->count; i++) {
        if (db->views->views[i].table == table->id) table->view = &db->views->views[i];
    }
    PQ_TRY(name_directory(db, table, err));
    if (table->view == NULL) {
        table->root = table;
        if (pq_entry_has_unique(table->entry)) {
            pq_unique_init(&table->unique, table->entry, db->alloc);
        }
        PQ_TRY(pq_variant_names_create(db->alloc, &table->names, err));
    } else {
        const struct pq_view *lowest = table->view;
        while (lowest->upstream != NULL) lowest = lowest->upstream;
        table->root = pq_db_by_id(db, lowest->source);
        table->names = pq_variant_names_ref(table->root->names);
    }
    const struct pq_table_options options = {
        .name = table->entry->name, .names = table->names, .alloc = db->alloc,
        .type = table->view == NULL ? pq_entry_row_type(table->entry) : table->view->type};
    PQ_TRY(pq_table_create(&options, &table->table, err));
    return pq_db_prepare_queries(db, table, err);
}

/// Collections first: a view shares the names of the one at its bottom.
static pqdb_code make_tables(pqdb_db *db, pqdb_error *err) {
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
        .pace = db->pace, .from = root->position, .segment_bytes = db->log_segment_bytes,
        .read_only = db->options.read_only};
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
    bool found;
    pqdb_code code;
    PQ_GO(pq_root_read_newest(db->store, &arena, &root, &found, err));
    PQ_GO(load_schema(db, &root, err));
    PQ_GO(make_tables(db, err));
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
    pthread_mutex_init(&db->building, NULL);
    pthread_mutex_init(&db->keeper_lock, NULL);
    pthread_mutex_init(&db->run_lock, NULL);
    pthread_cond_init(&db->keeper_wake, NULL);
    pthread_cond_init(&db->keeper_done, NULL);
}

static pqdb_code free_all(pqdb_db *db, pqdb_error *err) {
    const struct pq_alloc *alloc = db->blocks.source;
    pq_db_snapshot_unref(db->published);
    if (db->circuit != NULL) pq_circuit_destroy(db->circuit);
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; tables != NULL && i < tables->count; i++) {
        struct pq_db_table *table = tables->at[i];
        pq_node_destroy(table->node);
        pq_db_part_destroy(db, table->part);
        pq_iceberg_close(table->iceberg);
        pq_db_reader_destroy(table);
        pq_unique_deinit(&table->unique);
        pq_table_destroy(table->table);
        pq_variant_names_unref(table->names);
    }
    pq_trace_deinit(&db->tokens);
    pq_hold_unref(db->step_hold);
    pq_db_retired_close(db);
    pq_db_merge_close(db);
    pq_db_runs_close(db);
    const pqdb_code code = pq_log_close(db->log, err);
    pq_pace_destroy(db->pace);
    while (db->plans != NULL) {
        struct pq_db_plan *plan = db->plans;
        db->plans = plan->older;
        pq_db_plan_destroy(db, plan);
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
    pq_block_cache_init(&made->blocks, alloc);
    made->alloc = &made->blocks.alloc;
    if (options != NULL) made->options = *options;
    if (made->options.memory_bytes == 0) made->options.memory_bytes = PQ_DB_MEMORY_DEFAULT;
    made->merge_rows = PQ_DB_MERGE_ROWS;
    made->tokens_max = PQ_DB_TOKENS_MAX;
    made->ahead_rows = PQ_AHEAD_ROWS_MIN;
    made->queue_end = &made->queue;
    pq_arena_init(&made->arena, made->alloc);
    pq_trace_init(&made->tokens, PQ_TRACE_NEWEST_WINS, made->alloc);
    init_locks(made);
    const pqdb_code code = pq_page_cache_create(made->options.memory_bytes / pages_share,
                                                made->alloc, &made->pages, err);
    if (code != PQDB_OK) {
        free_all(made, NULL);
        return code;
    }
    *db = made;
    return PQDB_OK;
}

pqdb_code pqdb_open(const char *directory, const pqdb_options *options, pqdb_db **db,
                    pqdb_error *err) {
    pqdb_db *made;
    PQ_TRY(create(&pq_env_system, &pq_alloc_libc, options, &made, err));
    pqdb_code code = find_directory(made, directory, err);
    if (code == PQDB_OK) code = open_all(made, false, err);
    if (code == PQDB_OK) *db = made;
    if (code != PQDB_OK) free_all(made, NULL);
    return code;
}

pqdb_code pq_db_open_with(const struct pq_open_with *with, const pqdb_options *options,
                          pqdb_db **db, pqdb_error *err) {
    pqdb_db *made;
    PQ_TRY(create(with->env, with->alloc, options, &made, err));
    made->store = with->store;
    made->store_is_borrowed = true;
    made->log_segment_bytes = with->log_segment_bytes;
    if (with->merge_rows != 0) made->merge_rows = with->merge_rows;
    if (with->tokens_max != 0) made->tokens_max = with->tokens_max;
    if (with->ahead_rows != 0) made->ahead_rows = with->ahead_rows;
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
