/// db/schema_apply.c: another schema for a database in use, in one commit.
///
/// Order: the rows are asked whether every step may be taken; no write is let in; a checkpoint
/// makes the last root one of the last commit; shapes and text go to disk (the text decides, as
/// always); the tables go over to it (reload.c); a SCHEMA record says so in the log. Then writers
/// go on, and views that changed are built beside them. A crash before the text leaves the old
/// schema, one after it finds the new one with nothing built.
#include <parquedb/schema.h>
#include <string.h>

#include "base/fail.h"
#include "db/checkpoint_internal.h"
#include "db/schema_steps.h"
#include "db/view_internal.h"

struct applying {
    pqdb_db *db;
    const pqdb_schema_options *options;
    struct pq_arena arena;
    struct pq_db_plan *plan;  // owned until it is the database's
    struct pq_db_steps steps;
    pqdb_schema_applied done;
};

static void tell_problems(const struct applying *apply, struct pq_problems *problems) {
    pq_problems_sort(problems);
    for (size_t i = 0; apply->options->on_problem != NULL && i < problems->count; i++) {
        const struct pq_problem *problem = &problems->items[i];
        const char *remedy = problem->remedy.data;
        const pqdb_problem shown = {.code = problem->code, .path = problem->path.data,
                                    .line = problem->line, .column = problem->column,
                                    .message = problem->message.data,
                                    .remedy = remedy == NULL ? "" : remedy,
                                    .is_warning = problem->warning};
        apply->options->on_problem(apply->options->ctx, &shown);
    }
}

static pqdb_code plan(struct applying *apply, struct pq_text text, pqdb_error *err) {
    struct pq_problems problems;
    pq_problems_init(&problems, &apply->arena);
    const pqdb_code code = pq_db_plan_text(apply->db, text, &problems, &apply->plan, err);
    tell_problems(apply, &problems);
    PQ_TRY(code);
    PQ_TRY(pq_problems_code(&problems, err));
    return pq_db_steps_between(apply->db->plans, apply->plan, &apply->arena, &apply->steps, err);
}

/// Are all steps allowed by the rows that are there?
static pqdb_code check(struct applying *apply, pqdb_error *err) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(apply->db);
    const pqdb_code code = pq_db_steps_check(apply->db, snapshot, apply->options, &apply->arena,
                                             &apply->steps, err);
    apply->done.version = snapshot->version;
    pq_db_snapshot_unref(snapshot);
    apply->done.steps = apply->steps.count;
    apply->done.refused = 0;
    for (size_t i = 0; i < apply->steps.count; i++) {
        apply->done.refused += apply->steps.items[i].told.is_refused;
    }
    return code;
}

static void tell_steps(const struct applying *apply) {
    const pqdb_schema_options *options = apply->options;
    for (size_t i = 0; options->on_step != NULL && i < apply->steps.count; i++) {
        options->on_step(options->ctx, &apply->steps.items[i].told);
    }
}

static pqdb_code fail_refused(const struct applying *apply, pqdb_error *err) {
    for (size_t i = 0; i < apply->steps.count; i++) {
        const pqdb_schema_step *step = &apply->steps.items[i].told;
        if (!step->is_refused) continue;
        const char *remedy = step->remedy == NULL ? "see the plan" : step->remedy;
        pq_fail(err, PQDB_INVALID, "%zu of %zu steps %s refused, so nothing was changed: %.64s "
                "(%.80s)", apply->done.refused, apply->done.steps,
                apply->done.refused == 1 ? "is" : "are", step->reason, remedy);
        return pq_fail_subject(err, PQDB_INVALID, pq_text_of(step->name));
    }
    return PQDB_OK;
}

// ---- the change ---------------------------------------------------------------------------------

/// Leader and `refreshing`, the gate closed.
static pqdb_code go_over(struct applying *apply, pqdb_error *err) {
    pqdb_db *db = apply->db;
    struct pq_db_plan *given = apply->plan;
    PQ_TRY(pq_db_check_open(db, err));
    if (db->root_version != db->version) {
        return pq_fail(err, PQDB_CONFLICT, "a view was refreshed meanwhile: try again");
    }
    PQ_TRY(pq_db_write_plan(db, given, err));
    pqdb_code code = pq_db_reload(db, given, err);
    if (db->plans == given) apply->plan = NULL;
    if (code == PQDB_OK) code = pq_db_log_schema(db, "apply", NULL, 0, err);
    if (code == PQDB_OK) code = pq_db_publish(db, db->version, pq_log_time_us(db->log), err);
    apply->done.version = db->version;
    return code == PQDB_OK ? code : pq_db_break(db, code, err);  // the schema has it already
}

/// Views that are to stream from now on are brought up to date by the log, so that they go on with
/// what they have. Where that is not possible they are built.
static void bring_up(struct applying *apply) {
    pqdb_db *db = apply->db;
    const struct pq_views *views = apply->plan->views;
    for (size_t i = 0; i < views->count; i++) {
        struct pq_db_table *table = pq_db_by_id(db, views->views[i].table);
        if (views->views[i].mode != PQ_VIEW_STREAMING || table == NULL || table->node == NULL) {
            continue;
        }
        pthread_mutex_lock(&db->leader);
        const struct pq_db_facts facts = table->facts;
        const bool is_by_log = !facts.failed && !facts.unbuilt && !table->view->append &&
                               pq_db_not_by_log(db, table, &facts) == PQ_WHY_NOT;
        pthread_mutex_unlock(&db->leader);
        pqdb_refreshed refreshed;
        const struct pq_db_refresh how = {.full = false};
        if (is_by_log) pq_db_refresh(db, table, &how, &refreshed, NULL);
    }
}

static pqdb_code change(struct applying *apply, pqdb_error *err) {
    pqdb_db *db = apply->db;
    bring_up(apply);
    PQ_TRY(pq_db_checkpoint(db, false, err));  // most of it while writers go on
    pq_db_gate_close(&db->gate);
    bring_up(apply);  // the last few changes
    pqdb_code code = check(apply, err);  // rows that came meanwhile
    if (code == PQDB_OK && apply->done.refused > 0) code = fail_refused(apply, err);
    if (code == PQDB_OK) code = pq_db_checkpoint(db, false, err);
    if (code == PQDB_OK) {
        pq_db_lock_contents(db);
        pthread_mutex_lock(&db->leader);
        code = go_over(apply, err);
        pthread_mutex_unlock(&db->leader);
        pq_db_unlock_contents(db);
    }
    pq_db_gate_open(&db->gate);
    return code;
}

/// The lowest first: those above it that stream are built with it.
static pqdb_code build(pqdb_db *db, pqdb_error *err) {
    const struct pq_views *views = db->views;
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; i < views->count; i++) {
        struct pq_db_table *table = pq_db_by_id(db, views->views[i].table);
        pthread_mutex_lock(&db->leader);
        const bool wants = pq_db_wants_build(table);
        pthread_mutex_unlock(&db->leader);
        if (!wants) continue;
        pqdb_error why;
        const pqdb_code built = pq_db_build(db, table, PQ_WHY_NOT, &why);
        if (built == PQDB_OK || code != PQDB_OK) continue;
        code = built;
        if (err != NULL) *err = why;
    }
    return code;
}

/// The last root names what was dropped, so another one comes first. Without one it stays until the
/// next opening finds it.
static void remove_dropped(pqdb_db *db) {
    struct pq_arena arena;
    if (pq_db_checkpoint(db, false, NULL) != PQDB_OK) return;
    pq_arena_init(&arena, db->alloc);
    pthread_mutex_lock(&db->refreshing);
    pq_db_remove_dropped(db, &arena, NULL);
    pthread_mutex_unlock(&db->refreshing);
    pq_arena_deinit(&arena);
}

static pqdb_code apply_all(struct applying *apply, struct pq_text text, pqdb_error *err) {
    pqdb_db *db = apply->db;
    pthread_mutex_lock(&db->leader);
    const pqdb_code open = apply->options->dry_run ? PQDB_OK : pq_db_check_open(db, err);
    pthread_mutex_unlock(&db->leader);
    PQ_TRY(open);
    PQ_TRY(plan(apply, text, err));
    PQ_TRY(check(apply, err));
    tell_steps(apply);
    if (apply->done.refused > 0) return fail_refused(apply, err);
    const bool is_same = pq_text_equal(text, db->plans->schema->source);
    if (apply->options->dry_run || is_same) return PQDB_OK;
    PQ_TRY(change(apply, err));
    const pqdb_code code = build(db, err);
    remove_dropped(db);
    // The schema is applied, and what fails here is tried again in the background.
    pq_db_shred_files(db, NULL);
    return code;
}

pqdb_code pq_db_apply_text(pqdb_db *db, struct pq_text text, const pqdb_schema_options *options,
                           pqdb_schema_applied *applied, pqdb_error *err) {
    struct applying apply = {.db = db, .options = options};
    pq_arena_init(&apply.arena, db->alloc);
    const pqdb_code code = apply_all(&apply, text, err);
    pq_db_plan_destroy(db->alloc, apply.plan);
    pq_arena_deinit(&apply.arena);
    if (applied != NULL) *applied = apply.done;
    return code;
}

pqdb_code pqdb_schema_apply(pqdb_db *db, const char *schema, size_t length,
                            const pqdb_schema_options *options, pqdb_schema_applied *applied,
                            pqdb_error *err) {
    static const pqdb_schema_options defaults;
    if (options == NULL) options = &defaults;
    pq_db_lock_schema(db);
    const pqdb_code code =
        pq_db_apply_text(db, (struct pq_text){schema, length}, options, applied, err);
    pq_db_unlock_schema(db);
    return code;
}
