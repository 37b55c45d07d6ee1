/// db/schema_change.c: `view create` and `view drop` on a running database.
///
/// The schema's text decides: it is replaced durably first, then a SCHEMA record says so in the
/// log. After a crash in between the view is in the schema without contents and is built, or it is
/// in no schema any more and its files go: both as if the call had been made whole.
#include "db/schema_change.h"

#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/catch_up.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "type/schema_edit.h"

// ---- plans ------------------------------------------------------------------------------------

void pq_db_plan_destroy(const struct pq_alloc *alloc, struct pq_db_plan *plan) {
    if (plan == NULL) return;
    if (plan->views != NULL) pq_views_destroy(plan->views);
    if (plan->schema != NULL) pq_schema_unref(plan->schema);
    pq_free(alloc, plan, 1, sizeof *plan);
}

static pqdb_code plan_tables(const struct pq_db_shapes *before, const struct pq_alloc *alloc,
                             struct pq_problems *problems, struct pq_db_plan *plan,
                             pqdb_error *err) {
    struct pq_schema *schema = plan->schema;
    struct pq_db_shapes *shapes;
    PQ_TRY(pq_db_shapes_follow(before, schema, &shapes, &plan->follows, err));
    plan->shapes = shapes;
    uint32_t *ids = pq_arena_calloc(&schema->arena, schema->entry_count + 1, sizeof *ids);
    if (ids == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a schema");
    for (size_t i = 0; i < schema->entry_count; i++) {
        const struct pq_db_shape *shape = plan->follows[i].now;
        ids[i] = shape == NULL ? shapes->next_id++ : shape->id;  // external ones have no table
    }
    plan->ids = ids;
    PQ_TRY(pq_views_plan(schema, ids, alloc, &plan->views, problems, err));
    for (size_t i = 0; i < plan->views->count; i++) {
        const struct pq_view *view = &plan->views->views[i];
        struct pq_db_follow *follow = &plan->follows[view->entry_index];
        if (view->type == NULL) continue;
        PQ_TRY(pq_db_shapes_follow_view(schema, follow, view, err));
    }
    return PQDB_OK;
}

pqdb_code pq_db_plan_from(const struct pq_db_shapes *before, struct pq_text text,
                          const struct pq_alloc *alloc, struct pq_problems *problems,
                          struct pq_db_plan **plan, pqdb_error *err) {
    struct pq_db_plan *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a schema");
    *made = (struct pq_db_plan){0};
    pqdb_code code = pq_schema_parse(text, alloc, &made->schema, problems, err);
    if (code == PQDB_OK) code = plan_tables(before, alloc, problems, made, err);
    if (code == PQDB_OK) *plan = made;
    if (code != PQDB_OK) pq_db_plan_destroy(alloc, made);
    return code;
}

pqdb_code pq_db_plan_text(pqdb_db *db, struct pq_text text, struct pq_problems *problems,
                          struct pq_db_plan **plan, pqdb_error *err) {
    return pq_db_plan_from(db->plans->shapes, text, db->alloc, problems, plan, err);
}

void pq_db_use_plan(pqdb_db *db, struct pq_db_plan *plan) {
    plan->older = db->plans;
    db->plans = plan;
    db->schema = plan->schema;
    db->views = plan->views;
}

// ---- a schema with one view more --------------------------------------------------------------

/// Who is told of problems, and where the definition stands in the whole text.
struct listener {
    pqdb_on_problem on_problem;
    void *ctx;
    struct pq_text name;
    struct pq_schema_place place;
};

/// Lines and columns count from the definition's beginning; what others' entries have to say was
/// said when they were made.
static void report(const struct listener *to, struct pq_problems *problems) {
    pq_problems_sort(problems);
    for (size_t i = 0; to->on_problem != NULL && i < problems->count; i++) {
        const struct pq_problem *problem = &problems->items[i];
        const struct pq_text path = problem->path;
        const bool is_ours = path.length >= to->name.length &&
                             memcmp(path.data, to->name.data, to->name.length) == 0;
        if (!is_ours && problem->warning) continue;
        const bool inside = is_ours && problem->line >= to->place.line;
        const bool on_first = inside && problem->line == to->place.line;
        const bool on_key = on_first && problem->column < to->place.column;
        const pqdb_problem shown = {
            .code = problem->code, .path = path.data, .message = problem->message.data,
            .line = on_key ? 1 : inside ? problem->line - to->place.line + 1 : 0,
            .column = on_key     ? 1
                      : on_first ? problem->column - to->place.column + 1
                      : inside   ? problem->column
                                 : 0,
            .remedy = problem->remedy.data == NULL ? "" : problem->remedy.data,
            .is_warning = problem->warning};
        to->on_problem(to->ctx, &shown);
    }
}

static pqdb_code no_from(const struct listener *to, pqdb_error *err) {
    const pqdb_problem problem = {.code = "MISSING_FROM", .path = to->name.data, .line = 1,
                                  .column = 1, .message = "a view reads something",
                                  .remedy = "Add $from with the name of a collection or view"};
    if (to->on_problem != NULL) to->on_problem(to->ctx, &problem);
    return pq_fail(err, PQDB_INVALID, "the definition has no $from");
}

static pqdb_code plan_with(pqdb_db *db, struct pq_text text, const struct listener *to,
                           struct pq_db_plan **plan, pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_db_plan *made = NULL;
    pqdb_code code;
    PQ_GO(pq_db_plan_text(db, text, &problems, &made, err));
    report(to, &problems);
    PQ_GO(pq_problems_code(&problems, err));
    const struct pq_entry *entry = pq_schema_find(made->schema, to->name);
    if (entry == NULL || entry->kind != PQ_ENTRY_VIEW) PQ_GO(no_from(to, err));
    *plan = made;
    made = NULL;
done:
    pq_db_plan_destroy(db->alloc, made);
    pq_arena_deinit(&arena);
    return code;
}

pqdb_code pq_db_log_schema(pqdb_db *db, const char *verb, const struct pq_text *names,
                           size_t count, pqdb_error *err) {
    struct pq_bytes payload, part;
    pq_bytes_init(&payload, db->alloc);
    pq_bytes_init(&part, db->alloc);
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&payload, err, "{\"%s\":[", verb));
    for (size_t i = 0; i < count; i++) {
        if (i > 0) PQ_GO(pq_bytes_append_byte(&payload, ',', err));
        PQ_GO(pq_json_write_text(&payload, names[i], err));
    }
    PQ_GO(pq_bytes_printf(&payload, err, "]}"));
    PQ_GO(pq_log_encode_payload(pq_bytes_text(&payload), &part, err));
    const struct pq_log_part parts[] = {{.bytes = pq_bytes_text(&part)}};
    const struct pq_log_commit commit = {.kind = PQ_LOG_SCHEMA, .parts = parts, .part_count = 1};
    const uint64_t version = pq_log_position(db->log).version;
    PQ_GO(pq_log_append(db->log, &commit, 1, err));
    db->version = version;
done:
    pq_bytes_deinit(&payload);
    pq_bytes_deinit(&part);
    return code;
}

/// The list with one table more; it is seen by readers once it is the database's.
static struct pq_db_tables *with_table(pqdb_db *db, struct pq_db_table *table) {
    const struct pq_db_tables *old = db->tables;
    const size_t bytes = sizeof *old + (old->count + 1) * sizeof(struct pq_db_table *);
    struct pq_db_tables *tables = pq_arena_calloc(&db->arena, 1, bytes);
    if (tables == NULL) return NULL;
    for (size_t i = 0; i < old->count; i++) tables->at[i] = old->at[i];
    table->position = old->positions;
    table->generation = tables->generation = old->generation;
    tables->older = old->older;
    tables->at[old->count] = table;
    tables->count = old->count + 1;
    tables->positions = old->positions + 1;
    return tables;
}

/// Leader: a table without contents, whose node waits.
static pqdb_code add_view(pqdb_db *db, struct pq_db_plan *plan, struct pq_text name,
                          struct pq_db_table **out, pqdb_error *err) {
    static const pqdb_error not_built = {.code = PQDB_INVALID, .message = "it is not built yet"};
    struct pq_db_table *table = pq_arena_calloc(&db->arena, 1, sizeof *table);
    if (table == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a view");
    table->entry = pq_schema_find(plan->schema, name);
    table->view = pq_views_find(plan->views, name);
    table->id = table->view->table;
    table->shape = pq_db_shape_find(plan->shapes, table->id);
    table->directory = table->shape->directory.data;
    table->facts.unbuilt = table->view->mode != PQ_VIEW_MANUAL;
    struct pq_db_tables *tables = with_table(db, table);
    if (tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
    pqdb_code code = pq_db_make_table(db, table, err);
    if (code == PQDB_OK) code = pq_db_join_circuit(db, table, err);
    if (code != PQDB_OK) {
        pq_table_destroy(table->table);
        pq_variant_names_unref(table->names);
        return code;
    }
    if (table->node == NULL) pq_circuit_detach(db->circuit, table->id, &not_built);
    db->tables = tables;
    pq_db_use_plan(db, plan);
    *out = table;
    return PQDB_OK;
}

static pqdb_code register_view(pqdb_db *db, struct pq_db_plan *plan, struct pq_text name,
                               struct pq_db_table **table, pqdb_error *err) {
    pq_db_lock_contents(db);  // a checkpoint counts on its tables
    pthread_mutex_lock(&db->leader);
    pqdb_code code = pq_db_check_open(db, err);
    if (code == PQDB_OK) code = add_view(db, plan, name, table, err);
    if (code == PQDB_OK) {
        code = pq_db_log_schema(db, "create", &name, 1, err);
        if (code == PQDB_OK) code = pq_db_publish(db, db->version, pq_log_time_us(db->log), err);
        if (code != PQDB_OK) code = pq_db_break(db, code, err);  // the schema has it already
    }
    pthread_mutex_unlock(&db->leader);
    pq_db_unlock_contents(db);
    return code;
}

pqdb_code pq_db_write_plan(pqdb_db *db, const struct pq_db_plan *plan, pqdb_error *err) {
    const struct pq_text before = db->plans->schema->source;
    PQ_TRY(pq_db_shapes_write(db->store, db->plans->shapes, plan->shapes, db->alloc, err));
    const pqdb_code code = pq_schema_file_write(db->store, plan->schema->source, err);
    if (code != PQDB_OK) pq_schema_file_write(db->store, before, NULL);
    return code;
}

/// The plan is the database's, or gone.
static pqdb_code apply_create(pqdb_db *db, struct pq_db_plan *plan, struct pq_text name,
                              struct pq_db_table **table, pqdb_error *err) {
    const struct pq_text before = db->plans->schema->source;
    struct pq_db_plan *const newest = db->plans;
    pqdb_code code = pq_db_write_plan(db, plan, err);
    if (code == PQDB_OK) {
        code = register_view(db, plan, name, table, err);
        if (db->plans != newest) return code;
        pq_schema_file_write(db->store, before, NULL);
    }
    pq_db_plan_destroy(db->alloc, plan);
    return code;
}

static pqdb_code check_new(pqdb_db *db, struct pq_text name, pqdb_error *err) {
    pthread_mutex_lock(&db->leader);
    pqdb_code code = pq_db_check_open(db, err);
    pthread_mutex_unlock(&db->leader);
    if (code == PQDB_OK && pq_db_find(db, name) != NULL) {
        pq_fail(err, PQDB_CONFLICT, "there is a %.*s already; drop it first, or take another name",
                PQ_TEXT_ARG(name));
        code = pq_fail_subject(err, PQDB_CONFLICT, name);
    }
    return code;
}

/// Without a root the log is replayed from its beginning into every view that there is. What one
/// appends or keeps depends on when it began, so that it begins behind a root.
static pqdb_code begin_behind_root(pqdb_db *db, const struct pq_db_plan *plan, struct pq_text name,
                                   pqdb_error *err) {
    const struct pq_view *view = pq_views_find(plan->views, name);
    if (!view->append && !view->entry->retention_keeps) return PQDB_OK;
    pthread_mutex_lock(&db->leader);
    const bool has_root = db->has_root;
    pthread_mutex_unlock(&db->leader);
    return has_root ? PQDB_OK : pq_db_checkpoint(db, false, err);
}

static pqdb_code create(pqdb_db *db, const struct listener *given, struct pq_text definition,
                        struct pq_db_table **table, pqdb_error *err) {
    struct listener to = *given;
    struct pq_bytes text;
    pq_bytes_init(&text, db->alloc);
    struct pq_db_plan *plan;
    pqdb_code code;
    PQ_GO(check_new(db, to.name, err));
    const struct pq_schema *schema = db->schema;
    PQ_GO(pq_schema_text_add(schema->source, to.name, definition, &text, &to.place, err));
    PQ_GO(plan_with(db, pq_bytes_text(&text), &to, &plan, err));
    code = begin_behind_root(db, plan, to.name, err);
    if (code != PQDB_OK) pq_db_plan_destroy(db->alloc, plan);
    if (code == PQDB_OK) code = apply_create(db, plan, to.name, table, err);
done:
    pq_bytes_deinit(&text);
    return code;
}

pqdb_code pqdb_view_create(pqdb_db *db, const char *name, const char *definition,
                           pqdb_on_problem on_problem, void *ctx, pqdb_error *err) {
    const struct listener to = {.on_problem = on_problem, .ctx = ctx, .name = pq_text_of(name)};
    struct pq_db_table *table = NULL;
    pq_db_lock_schema(db);
    pqdb_code code = create(db, &to, pq_text_of(definition), &table, err);
    if (code == PQDB_OK && table->view->mode != PQ_VIEW_MANUAL) {
        code = pq_db_build(db, table, PQ_WHY_NOT, err);
    }
    pq_db_unlock_schema(db);
    return code;
}

// ---- one less ---------------------------------------------------------------------------------

/// The view, then all that reads it, what is above behind what is below.
struct dropped {
    struct pq_db_table **tables;
    struct pq_text *names;
    size_t count;
};

static bool is_dropped(const struct dropped *dropped, uint32_t id) {
    for (size_t i = 0; i < dropped->count; i++) {
        if (dropped->tables[i]->id == id) return true;
    }
    return false;
}

static pqdb_code collect(pqdb_db *db, struct pq_db_table *table, struct pq_arena *arena,
                         struct dropped *dropped, pqdb_error *err) {
    const struct pq_views *views = db->views;
    dropped->tables = pq_arena_calloc(arena, views->count, sizeof(struct pq_db_table *));
    dropped->names = pq_arena_calloc(arena, views->count, sizeof *dropped->names);
    if (dropped->tables == NULL || dropped->names == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a list of views");
    }
    for (size_t i = 0; i < views->count; i++) {  // topological
        struct pq_db_table *at = pq_db_by_id(db, views->views[i].table);
        if (at == NULL) continue;  // another one is being dropped
        if (at != table && !is_dropped(dropped, at->view->source)) continue;
        dropped->names[dropped->count] = at->entry->name;
        dropped->tables[dropped->count++] = at;
    }
    return PQDB_OK;
}

static pqdb_code check_dependents(const struct dropped *dropped, bool cascade, pqdb_error *err) {
    if (cascade || dropped->count == 1) return PQDB_OK;
    pq_fail(err, PQDB_CONFLICT, "%.*s reads it%s; drop that first, or all of them with --cascade",
            PQ_TEXT_ARG(dropped->names[1]), dropped->count > 2 ? ", and others" : "");
    return pq_fail_subject(err, PQDB_CONFLICT, dropped->names[0]);
}

static struct pq_db_tables *without(pqdb_db *db, const struct dropped *dropped) {
    const struct pq_db_tables *old = db->tables;
    const size_t bytes = sizeof *old + old->count * sizeof(struct pq_db_table *);
    struct pq_db_tables *tables = pq_arena_calloc(&db->arena, 1, bytes);
    if (tables == NULL) return NULL;
    tables->positions = old->positions;
    tables->generation = old->generation;
    tables->older = old->older;
    for (size_t i = 0; i < old->count; i++) {
        if (!is_dropped(dropped, old->at[i]->id)) tables->at[tables->count++] = old->at[i];
    }
    return tables;
}

/// Leader: its files wait until nobody reads them, its memory goes.
static void take_apart(pqdb_db *db, struct pq_db_table *table) {
    pq_db_catch_up_drop(db, table);
    pq_db_retire_files(db, table->table);
    pq_db_hide_shown(db, table);
    if (table->node == NULL) pq_circuit_remove(db->circuit, table->id);
    pq_node_destroy(table->node);
    pq_db_part_destroy(db, table->part);
    pq_iceberg_close(table->iceberg);
    pq_table_destroy(table->table);
    pq_variant_names_unref(table->names);
    table->node = NULL;
    table->part = NULL;
    table->iceberg = NULL;
    table->table = NULL;
    table->names = NULL;
}

static pqdb_code apply_drop(pqdb_db *db, const struct dropped *dropped, struct pq_db_plan *plan,
                            pqdb_error *err) {
    struct pq_db_tables *tables = without(db, dropped);
    if (tables == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
    PQ_TRY(pq_db_check_open(db, err));
    PQ_TRY(pq_db_write_plan(db, plan, err));
    pq_db_use_plan(db, plan);
    db->tables = tables;
    pqdb_code code = pq_db_log_schema(db, "drop", dropped->names, dropped->count, err);
    if (code == PQDB_OK) code = pq_db_publish(db, db->version, pq_log_time_us(db->log), err);
    if (code != PQDB_OK) pq_db_break(db, code, err);  // the schema lacks it already
    for (size_t i = dropped->count; i-- > 0;) take_apart(db, dropped->tables[i]);
    return code;
}

/// The last root names them still, so another one comes first. Without one they stay until the next
/// opening finds them.
static void remove_files(pqdb_db *db, const struct dropped *dropped) {
    if (pq_db_checkpoint(db, false, NULL) != PQDB_OK) return;
    pthread_mutex_lock(&db->refreshing);
    for (size_t i = 0; i < dropped->count; i++) {
        pq_db_remove_files(db, dropped->tables[i]->directory);
    }
    pthread_mutex_unlock(&db->refreshing);
}

static pqdb_code drop(pqdb_db *db, struct pq_db_table *table, bool cascade, pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_bytes text;
    pq_bytes_init(&text, db->alloc);
    struct dropped dropped = {0};
    struct pq_db_plan *plan = NULL;
    pqdb_code code;
    PQ_GO(collect(db, table, &arena, &dropped, err));
    PQ_GO(check_dependents(&dropped, cascade, err));
    const struct pq_schema *schema = db->schema;
    PQ_GO(pq_schema_text_remove(schema->source, dropped.names, dropped.count, &text, err));
    PQ_GO(pq_db_plan_text(db, pq_bytes_text(&text), &problems, &plan, err));
    PQ_GO(pq_problems_code(&problems, err));
    struct pq_db_plan *const newest = db->plans;
    pq_db_lock_contents(db);
    pthread_mutex_lock(&db->leader);
    code = apply_drop(db, &dropped, plan, err);
    pthread_mutex_unlock(&db->leader);
    pq_db_unlock_contents(db);
    if (db->plans != newest) plan = NULL;
    if (code == PQDB_OK) remove_files(db, &dropped);
done:
    pq_db_plan_destroy(db->alloc, plan);
    pq_bytes_deinit(&text);
    pq_arena_deinit(&arena);
    return code;
}

/// A build of the view ends first, if it could be dropped.
static pqdb_code stop_build(pqdb_db *db, struct pq_db_table *table, bool cascade,
                            pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    struct dropped dropped = {0};
    pqdb_code code = collect(db, table, &arena, &dropped, err);
    if (code == PQDB_OK) code = check_dependents(&dropped, cascade, err);
    for (size_t i = 0; code == PQDB_OK && i < dropped.count; i++) {
        dropped.tables[i]->build_stops = true;
    }
    pq_arena_deinit(&arena);
    return code;
}

pqdb_code pqdb_view_drop(pqdb_db *db, const char *name, bool cascade, pqdb_error *err) {
    struct pq_db_table *table;
    PQ_TRY(pq_db_find_view(db, pq_text_of(name), &table, err));
    PQ_TRY(stop_build(db, table, cascade, err));
    pq_db_lock_schema(db);
    pqdb_code code = pq_db_find_view(db, pq_text_of(name), &table, err);
    if (code == PQDB_OK) code = drop(db, table, cascade, err);
    if (code != PQDB_OK) table->build_stops = false;
    pq_db_unlock_schema(db);
    return code;
}
