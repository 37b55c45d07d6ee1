#include "support/story_internal.h"

#include <parquedb/exchange.h>
#include <parquedb/query.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "db/schema_change.h"

static const int64_t began_us = INT64_C(1772323200) * 1000000;  // 2026-03-01T00:00:00Z
static const int64_t hour_us = INT64_C(3600) * 1000000;

int64_t story_clock_us;
uint64_t story_dice;

static int64_t story_now(void *ctx) { (void)ctx; return story_clock_us += 10; }
static uint64_t story_monotonic(void *ctx) { return (uint64_t)story_now(ctx) * 1000; }
static void story_random(void *ctx, void *out, size_t length) {
    (void)ctx;
    for (size_t i = 0; i < length; i++) ((uint8_t *)out)[i] = (uint8_t)pq_hash_word(++story_dice);
}
static void story_sleep(void *ctx, uint64_t ns) { (void)ctx, (void)ns; }

static const struct pq_env story_env = {.now_us = story_now, .monotonic_ns = story_monotonic,
                                        .random = story_random, .sleep_ns = story_sleep};

static pqdb_error *err_of(struct life *life) { return life->is_deaf ? NULL : &life->err; }

struct pq_open_with life_with(const struct life *life) {
    const struct story *story = life->story;
    return (struct pq_open_with){
        .store = life->store, .location = "file:///story", .env = &story_env,
        .alloc = life->alloc, .no_keeper = true, .merge_rows = story->merge_rows,
        .tokens_max = story->tokens_max, .log_segment_bytes = story->log_segment_bytes,
        .cut_run_bytes = story->cut_run_bytes};
}

pqdb_code life_open(struct life *life) {
    const struct pq_open_with with = life_with(life);
    return pq_db_open_with(&with, NULL, &life->db, err_of(life));
}

pqdb_code life_close(struct life *life) {
    if (life->db == NULL) return PQDB_OK;
    const pqdb_code code = pqdb_close(life->db, err_of(life));
    life->db = NULL;
    return code;
}

pqdb_code life_make(struct life *life) {
    const struct pq_open_with with = life_with(life);
    return pq_db_init_with(&with, pq_text_of(life->story->schema), err_of(life));
}

// ---- what a reader can ask --------------------------------------------------------------------

static pqdb_code append_rows(struct life *life, const char *name,
                             const pqdb_find_options *options, struct pq_bytes *out) {
    pqdb_rows *rows;
    pqdb_error *err = err_of(life);
    PQ_TRY(pqdb_find(life->db, name, options, &rows, err));
    bool has_row = true;
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && has_row) {
        size_t length;
        code = pqdb_rows_next(rows, &has_row, err);
        if (code != PQDB_OK || !has_row) break;
        const char *json = pqdb_rows_json(rows, &length);
        if (json == NULL) code = pq_fail(err, PQDB_NO_MEMORY, "a row");
        if (json != NULL) pq_bytes_printf(out, NULL, "  %.*s\n", (int)length, json);
    }
    pqdb_rows_close(rows);
    return code;
}

/// Ids of rows that were appended end with the commit, which is another one after a failure.
static void forget_commits(struct pq_bytes *out) {
    size_t to = 0;
    for (size_t from = 0; from < out->length; from++) {
        out->data[to++] = out->data[from];
        if (out->data[from] != '@') continue;
        while (from + 1 < out->length && out->data[from + 1] >= '0' &&
               out->data[from + 1] <= '9') {
            from++;
        }
    }
    out->length = to;
}

pqdb_code life_dump(struct life *life, bool with_views, struct pq_bytes *out) {
    out->length = 0;
    if (with_views) pq_bytes_printf(out, NULL, "%s\n", pqdb_schema_text(life->db, NULL));
    for (size_t i = 0; i < pqdb_entry_count(life->db); i++) {
        pqdb_entry entry;
        PQ_TRY(pqdb_entry_at(life->db, i, &entry, err_of(life)));
        const bool is_view = strcmp(entry.kind, "view") == 0;
        if (is_view && !with_views) continue;
        pq_bytes_printf(out, NULL, "%s %s\n", entry.kind, entry.name);
        PQ_TRY(append_rows(life, entry.name, NULL, out));
    }
    forget_commits(out);
    return pq_bytes_append_byte(out, '\0', err_of(life));
}

static pqdb_code swallow(void *ctx, const void *data, size_t length, pqdb_error *err) {
    (void)data, (void)err;
    *(size_t *)ctx += length;
    return PQDB_OK;
}

static pqdb_code export_all(struct life *life, const char *name) {
    static const pqdb_file_format formats[] = {PQDB_FILE_NDJSON, PQDB_FILE_CSV, PQDB_FILE_PARQUET};
    for (size_t i = 0; i < 3; i++) {
        size_t bytes = 0;
        const pqdb_export_target target = {.write = swallow, .ctx = &bytes};
        const pqdb_export_options options = {.format = formats[i]};
        PQ_TRY(pqdb_export_to(life->db, name, &target, &options, NULL, err_of(life)));
    }
    return PQDB_OK;
}

static pqdb_code ignore_change(void *ctx, const pqdb_change *change) {
    (void)ctx, (void)change;
    return PQDB_OK;
}

static void ignore_line(void *ctx, const char *line) { (void)ctx, (void)line; }

static bool can_be_verified(const pqdb_view_state *state) {
    return !state->keeps_dropped && strcmp(state->strategy, "append") != 0 &&
           strcmp(state->state, "fresh") == 0;
}

static pqdb_code ask_view(struct life *life, const char *name) {
    pqdb_view_state state;
    PQ_TRY(pqdb_view_state_get(life->db, name, &state, err_of(life)));
    PQ_TRY(pqdb_view_explain(life->db, name, ignore_line, NULL, err_of(life)));
    if (!can_be_verified(&state)) return PQDB_OK;
    return pqdb_view_verify(life->db, name, NULL, NULL, NULL, err_of(life));
}

static pqdb_code ask_entry(struct life *life, const pqdb_entry *entry, struct pq_bytes *out) {
    static const pqdb_find_options sorted = {.filter = "{ $id: { $ne: 'nobody' } }",
                                             .sort = "{ $id: -1 }", .limit = 3};
    pqdb_error *err = err_of(life);
    char *text;
    size_t length;
    uint64_t count;
    PQ_TRY(append_rows(life, entry->name, &sorted, out));
    PQ_TRY(pqdb_explain(life->db, entry->name, &sorted, &text, &length, err));
    pqdb_free(text);
    PQ_TRY(pqdb_count(life->db, entry->name, NULL, &count, err));
    PQ_TRY(export_all(life, entry->name));
    if (strcmp(entry->kind, "view") == 0) return ask_view(life, entry->name);
    char version[24];
    snprintf(version, sizeof version, "%llu", (unsigned long long)entry->version);
    const pqdb_find_options then = {.as_of = version};
    const pqdb_code code = append_rows(life, entry->name, &then, out);
    return code == PQDB_NOT_FOUND ? PQDB_OK : code;  // older than what is kept
}

/// Everything, once; what cannot be had is an error.
static pqdb_code ask(struct life *life) {
    struct pq_bytes out;
    pqdb_status status;
    pqdb_code code = PQDB_OK;
    char *text;
    size_t length;
    pq_bytes_init(&out, &pq_alloc_libc);
    for (size_t i = 0; code == PQDB_OK && i < pqdb_entry_count(life->db); i++) {
        pqdb_entry entry;
        code = pqdb_entry_at(life->db, i, &entry, err_of(life));
        if (code == PQDB_OK) code = ask_entry(life, &entry, &out);
    }
    pq_bytes_deinit(&out);
    PQ_TRY(code);
    PQ_TRY(pqdb_status_get(life->db, &status, err_of(life)));
    PQ_TRY(pqdb_metrics(life->db, &text, &length, err_of(life)));
    pqdb_free(text);
    return pqdb_log_read(life->db, pqdb_log_first(life->db) - 1, ignore_change, NULL, err_of(life));
}

// ---- steps ------------------------------------------------------------------------------------

static pqdb_code run_write(struct life *life, const struct story_step *step,
                           const pqdb_write_options *options) {
    const pqdb_edit edit = {.where = step->where, .operators = step->text};
    switch (step->verb[0]) {
        case 'u':
            return (step->verb[2] == 'd' ? pqdb_update : pqdb_upsert)(
                life->db, step->name, &edit, options, NULL, err_of(life));
        case 'd':
            return pqdb_delete(life->db, step->name, step->where, options, NULL, err_of(life));
        default:
            return pqdb_create(life->db, step->name, step->text, strlen(step->text), options, NULL,
                               err_of(life));
    }
}

bool story_is_write(const struct story_step *step) {
    static const char *const verbs[] = {"create", "replace", "update", "upsert", "delete"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        if (strcmp(step->verb, verbs[i]) == 0) return true;
    }
    return false;
}

static pqdb_code run_view(struct life *life, const struct story_step *step) {
    pqdb_db *db = life->db;
    pqdb_error *err = err_of(life);
    const char *verb = step->verb, *name = step->name;
    if (strcmp(verb, "view") == 0) return pqdb_view_create(db, name, step->text, NULL, NULL, err);
    if (strcmp(verb, "alter") == 0 || strcmp(verb, "breaks") == 0) {
        return pqdb_view_alter(db, name, step->text, NULL, NULL, err);
    }
    if (strcmp(verb, "drop") == 0) return pqdb_view_drop(db, name, true, err);
    if (strcmp(verb, "refresh") == 0) return pqdb_view_refresh(db, name, false, NULL, err);
    if (strcmp(verb, "full") == 0) return pqdb_view_refresh(db, name, true, NULL, err);
    if (strcmp(verb, "discard") == 0) return pqdb_view_discard(db, name, NULL, err);
    if (strcmp(verb, "due") == 0) return pqdb_view_refresh_due(db, name, NULL, err);
    if (strcmp(verb, "vacuum") == 0) return pqdb_view_vacuum(db, name, NULL, NULL, err);
    return pq_fail(err, PQDB_INVALID, "no verb '%s'", verb);
}

static pqdb_code run_apply(struct life *life, const struct story_step *step) {
    const pqdb_schema_options dropping = {.allow_drop = &step->where,
                                          .allow_drop_count = step->where[0] != '\0'};
    return pqdb_schema_apply(life->db, step->text, strlen(step->text), &dropping, NULL,
                             err_of(life));
}

pqdb_code life_step(struct life *life, const struct story_step *step, size_t number) {
    char token[24];
    snprintf(token, sizeof token, "step %zu", number);
    const pqdb_write_options options = {
        .token = token, .on_conflict = strcmp(step->verb, "replace") == 0 ? "replace" : NULL};
    if (story_is_write(step)) return run_write(life, step, &options);
    if (strcmp(step->verb, "checkpoint") == 0) return pqdb_checkpoint(life->db, err_of(life));
    if (strcmp(step->verb, "retain") == 0) return pq_db_retain(life->db, err_of(life));
    if (strcmp(step->verb, "ask") == 0) return ask(life);
    if (strcmp(step->verb, "at") == 0) {
        const int64_t then = began_us + hour_us * strtol(step->text, NULL, 10);
        if (story_clock_us < then) story_clock_us = then;
        return PQDB_OK;
    }
    if (strcmp(step->verb, "close") == 0) {
        PQ_TRY(life_close(life));
        return life_open(life);
    }
    if (strcmp(step->verb, "breaks") == 0) {
        const pqdb_code code = step->name[0] == '\0' ? run_apply(life, step)
                                                     : run_view(life, step);
        return code == PQDB_LIMIT ? PQDB_OK : code;
    }
    if (strcmp(step->verb, "apply") == 0) return run_apply(life, step);
    return run_view(life, step);
}

const struct story_step *story_step_at(const struct story *story, size_t number) {
    return number < story->step_count ? &story->steps[number] : &story->more;
}

pqdb_code life_go_on(struct life *life, size_t end) {
    pqdb_code code = PQDB_OK;
    while (life->done < end) {
        code = life_step(life, story_step_at(life->story, life->done), life->done);
        if (code != PQDB_OK) break;
        life->done++;
    }
    return code;
}

struct life life_begin(const struct story *story, struct pq_store *store,
                         const struct pq_alloc *alloc) {
    story_clock_us = began_us;
    story_dice = 99;
    return (struct life){.story = story, .store = store, .alloc = alloc};
}

pqdb_code life_live(struct life *life) {
    if (!life->made) PQ_TRY(life_make(life));
    life->made = true;
    pqdb_code code = life_open(life);
    if (code == PQDB_OK) code = life_go_on(life, life->story->step_count);
    const pqdb_error why = life->err;
    const pqdb_code closed = life_close(life);
    if (code == PQDB_OK) return closed;
    life->err = why;
    return code;
}
