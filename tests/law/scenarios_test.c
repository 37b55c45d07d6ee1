/// The scenarios, played by the database: after each step shown, and at the end, every view also
/// equals its recomputation. Each is played three times: as it is, with a restart after every
/// step, and with a checkpoint after every step.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <string.h>

#include "base/json.h"
#include "db/open_with.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/scenario.h"
#include "support/test.h"

enum rhythm { AS_IT_IS, RESTARTS, CHECKPOINTS };

struct stage {
    enum rhythm rhythm;
    struct fault_store *disk;
    pqdb_db *db;
};

static pqdb_error err;

static bool is(const char *name, const char *other) { return strcmp(name, other) == 0; }

static struct pq_open_with options_of(const struct stage *stage) {
    return (struct pq_open_with){.store = &stage->disk->base, .location = "file:///scenario",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc,
                                 .log_segment_bytes = 1 << 16, .no_keeper = true};
}

static void open_stage(struct stage *stage) {
    const struct pq_open_with with = options_of(stage);
    const pqdb_code code = pq_db_open_with(&with, NULL, &stage->db, &err);
    CHECK(code == PQDB_OK, "open: %s", err.message);
    if (code != PQDB_OK) exit(test_done());
}

static void begin(void *ctx, const char *schema) {
    struct stage *stage = ctx;
    stage->disk = fault_store_create();
    const struct pq_open_with with = options_of(stage);
    const pqdb_code code = pq_db_init_with(&with, pq_text_of(schema), &err);
    CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message);
    open_stage(stage);
}

static void show_difference(void *ctx, const pqdb_difference *difference) {
    CHECK(false, "%s: %s is stored %s, recomputed %s", (const char *)ctx, difference->id,
          difference->stored == NULL ? "not" : difference->stored,
          difference->recomputed == NULL ? "not" : difference->recomputed);
}

static void verify(pqdb_db *db) {
    pqdb_verified verified;
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        const char *view = pqdb_view_name(db, i);
        const pqdb_code code = pqdb_view_verify(db, view, show_difference,
                                                (void *)(uintptr_t)view, &verified, &err);
        CHECK(code == PQDB_OK, "verify %s: %s", view, err.message);
    }
}

static void reopen(struct stage *stage) {
    CHECK(pqdb_close(stage->db, &err) == PQDB_OK, "close: %s", err.message);
    open_stage(stage);
}

static void end(void *ctx) {
    struct stage *stage = ctx;
    verify(stage->db);
    reopen(stage);
    verify(stage->db);
    CHECK(pqdb_close(stage->db, &err) == PQDB_OK, "close: %s", err.message);
    fault_store_destroy(stage->disk);
}

static void show(pqdb_db *db, const char *name, struct pq_bytes *out) {
    pqdb_rows *rows;
    bool has_row;
    const pqdb_code code = pqdb_find(db, name, NULL, &rows, &err);
    CHECK(code == PQDB_OK, "find %s: %s", name, err.message);
    if (code != PQDB_OK) return;
    pq_bytes_printf(out, NULL, "%s\n", name);
    while (pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        pq_bytes_printf(out, NULL, "  %s\n", json);
    }
    pqdb_rows_close(rows);
    verify(db);
}

static const char *code_name(pqdb_code code) {
    if (code == PQDB_CONFLICT) return "CONFLICT";
    return code == PQDB_INVALID ? "INVALID" : "another error";
}

/// Rows are JSON, where a scenario writes JSON5.
static pqdb_code create(pqdb_db *db, const struct scenario_step *step) {
    struct pq_json_document *document;
    struct pq_bytes rows;
    const pqdb_write_options options = {
        .on_conflict = is(step->verb, "create") ? NULL : step->verb};
    pqdb_code code = pq_json_parse(pq_text_of(step->first), PQ_JSON_5 | PQ_JSON_RAW_NUMBERS,
                                   &pq_alloc_libc, &document, &err);
    CHECK(code == PQDB_OK, "%s: %s", err.message, step->first);
    if (code != PQDB_OK) return code;
    pq_bytes_init(&rows, &pq_alloc_libc);
    pq_json_write(&rows, pq_json_root(document), NULL);
    code = pqdb_create(db, step->table, (const char *)rows.data, rows.length, &options, NULL, &err);
    pq_bytes_deinit(&rows);
    pq_json_destroy(document);
    return code;
}

static void play(void *ctx, const struct scenario_step *step, struct pq_bytes *out) {
    struct stage *stage = ctx;
    pqdb_db *db = stage->db;
    pqdb_code code = PQDB_OK;
    const pqdb_edit edit = {step->first, step->second};
    if (is(step->verb, "create") || is(step->verb, "ignore") || is(step->verb, "replace")) {
        code = create(db, step);
    } else if (is(step->verb, "update")) {
        code = pqdb_update(db, step->table, &edit, NULL, NULL, &err);
    } else if (is(step->verb, "upsert")) {
        code = pqdb_upsert(db, step->table, &edit, NULL, NULL, &err);
    } else if (is(step->verb, "delete")) {
        code = pqdb_delete(db, step->table, step->first, NULL, NULL, &err);
    } else if (is(step->verb, "refresh")) {
        code = pqdb_view_refresh(db, step->table, false, NULL, &err);
    } else if (is(step->verb, "checkpoint")) {
        code = pqdb_checkpoint(db, &err);
    } else if (is(step->verb, "reopen")) {
        reopen(stage);
    } else {
        show(db, step->table, out);
    }
    if (code != PQDB_OK) {
        pq_bytes_printf(out, NULL, "%s %s: %s\n", step->verb, step->table, code_name(code));
        fprintf(stderr, "    refused: %s: %s\n", err.subject, err.message);
    }
    if (stage->rhythm == RESTARTS) reopen(stage);
    if (stage->rhythm == CHECKPOINTS) {
        CHECK(pqdb_checkpoint(stage->db, &err) == PQDB_OK, "checkpoint: %s", err.message);
    }
}

static void play_all(const struct test_case *test) {
    for (enum rhythm rhythm = AS_IT_IS; rhythm <= CHECKPOINTS; rhythm++) {
        struct stage stage = {.rhythm = rhythm};
        const struct scenario_player player = {&stage, begin, play, end};
        scenario_run(test, &player);
    }
}

static void writes_and_what_follows_from_them(void) {
    cases_run("scenario/writes.cases", play_all);
}
static void views_on_views(void) { cases_run("scenario/views.cases", play_all); }
static void aggregates_take_back_what_they_took(void) {
    cases_run("scenario/aggregates.cases", play_all);
}
static void links_are_followed_both_ways(void) { cases_run("scenario/expand.cases", play_all); }

int main(void) {
    RUN(writes_and_what_follows_from_them);
    RUN(views_on_views);
    RUN(aggregates_take_back_what_they_took);
    RUN(links_are_followed_both_ways);
    return test_done();
}
