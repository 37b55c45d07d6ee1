/// db/query.c: the public way to ask: a snapshot, a plan, rows.
#include <parquedb/query.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/answer_internal.h"
#include "db/as_of.h"
#include "db/catch_up.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "query/find.h"
#include "table/link_file.h"
#include "type/timestamp.h"

enum { window_rows = 65536 };  // of an answer by `$id`, which may be of any size

/// An answer out of a table.
struct table_answer {
    pqdb_db *db;
    struct pq_db_shown shown;
    struct pq_db_lookup linked;
    struct pq_lookup lookup;  // rows that links lead to, at the snapshot
    struct pq_db_as_of as_of; // zero: now
    struct pq_find *find;
};

// ---- what paths mean --------------------------------------------------------------------------

/// Columns that the schema marks with `#` or `##`.
static pqdb_code list_indexed(pqdb_db *db, const struct pq_db_table *table, const bool **indexed,
                              pqdb_error *err) {
    const struct pq_entry *entry = table->entry;
    bool *made = pq_arena_calloc(&db->arena, pq_entry_row_type(entry)->field_count + 1, 1);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a table");
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct pq_declared_field *field = &entry->fields[i];
        if (!field->indexed || field->column < 0) continue;
        made[field->column] = pq_type_can_link(&field->field.type);
    }
    *indexed = made;
    return PQDB_OK;
}

pqdb_code pq_db_prepare_queries(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    struct pq_scope scope;
    const struct pq_stage *stage;
    table->find = pq_arena_calloc(&db->arena, 1, sizeof *table->find);
    if (table->find == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a table");
    if (table->view != NULL) {
        table->catch_up = pq_arena_calloc(&db->arena, 1, sizeof *table->catch_up);
        if (table->catch_up == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a view");
        scope = table->view->scope;
        stage = table->view->stage;
    } else {
        PQ_TRY(pq_entry_scope(table->entry, &db->arena, &scope, err));
        PQ_TRY(pq_entry_stage(db->plans->schema, db->plans->ids, table->entry, &db->arena, &stage,
                              err));
    }
    *table->find = (struct pq_find_table){
        .name = table->entry->name, .paths = scope.paths, .path_count = scope.path_count,
        .relations = scope.relations, .extra_column = scope.extra_column,
        .closed = scope.closed, .strict = scope.strict, .stage = stage};
    return table->view == NULL ? list_indexed(db, table, &table->find->indexed, err) : PQDB_OK;
}

static struct pq_text text_or_empty(const char *text) {
    return text == NULL ? (struct pq_text){"", 0} : pq_text_of(text);
}

/// "3 min": a duration as people say it.
static void print_age(int64_t us, char room[32]) {
    static const struct {
        int64_t us;
        const char *unit;
    } units[] = {{INT64_C(86400000000), "d"}, {INT64_C(3600000000), "h"}, {60000000, "min"},
                 {1000000, "s"}, {1000, "ms"}};
    size_t unit = 0;
    while (unit < 4 && us < units[unit].us) unit++;
    snprintf(room, 32, "%lld %s", (long long)(us / units[unit].us), units[unit].unit);
}

static void add_note(pqdb_answered *shows, const char *sentence) {
    const size_t used = strlen(shows->note);
    snprintf(shows->note + used, sizeof shows->note - used, "%s%s", used == 0 ? "" : "; ",
             sentence);
}

/// A view that lags: how old it is, or what was done about that.
static void tell_staleness(const struct table_answer *answer, const pqdb_view_state *state,
                           pqdb_answered *shows) {
    const struct pq_db_shown *shown = &answer->shown;
    char age[32], note[480];
    print_age(shown->age_us, age);
    const bool is_known = shown->age_us != INT64_MAX;
    if (shown->is_caught_up) {
        snprintf(note, sizeof note,
                 "%s was brought up to seq-%llu for this answer; what is stored is %s%s",
                 state->name, (unsigned long long)shown->version,
                 is_known ? age : "of unknown age", is_known ? " old" : "");
    } else {
        shows->staleness_us = shown->age_us;
        snprintf(note, sizeof note, "%s is %s: %s%s%s%s", state->name, state->state,
                 state->reason, is_known && shown->age_us > 0 ? " (" : "",
                 is_known && shown->age_us > 0 ? age : "",
                 is_known && shown->age_us > 0 ? " old)" : "");
    }
    add_note(shows, note);
}

/// Of the very rows that the answer shows, whatever has been published since. `find` may be NULL.
static void tell_shown(const struct table_answer *answer, const struct pq_find *find,
                       pqdb_answered *shows) {
    const struct pq_db_shown *shown = &answer->shown;
    const struct pq_db_table *table = shown->table;
    *shows = (pqdb_answered){.version = shown->version, .is_caught_up = shown->is_caught_up};
    if (find != NULL && pq_find_note(find)[0] != '\0') add_note(shows, pq_find_note(find));
    if (answer->as_of.rows != NULL) {
        char note[160];
        shows->version = answer->as_of.version;
        shows->is_caught_up = false;
        snprintf(note, sizeof note, "%.*s as of seq-%llu", PQ_TEXT_ARG(table->entry->name),
                 (unsigned long long)shows->version);
        if (shows->note[0] == '\0') add_note(shows, note);
        return;
    }
    if (table->view == NULL || pq_db_is_fresh(shown->snapshot, table)) return;
    pqdb_view_state state;
    pq_db_view_state(answer->db, shown->snapshot, table, &state);
    tell_staleness(answer, &state, shows);
}

static size_t column_count(const void *ctx) {
    const struct table_answer *answer = ctx;
    size_t count;
    pq_find_columns(answer->find, &count);
    return count;
}

static const struct pq_find_column *column_of(const void *ctx, size_t column) {
    const struct table_answer *answer = ctx;
    size_t count;
    return &pq_find_columns(answer->find, &count)[column];
}

static const char *column_name(const void *ctx, size_t column) {
    return column_of(ctx, column)->name.data;
}

static enum pq_kind column_kind(const void *ctx, size_t column) {
    return column_of(ctx, column)->type.kind;
}

static pqdb_code next_row(void *ctx, bool *has_row, pqdb_error *err) {
    return pq_find_next(((struct table_answer *)ctx)->find, has_row, err);
}

static pqdb_code print_row(void *ctx, struct pq_bytes *out, pqdb_error *err) {
    return pq_find_json(((struct table_answer *)ctx)->find, out, err);
}

static pqdb_code print_cell(void *ctx, size_t column, struct pq_bytes *out, bool *is_null,
                            pqdb_error *err) {
    return pq_find_cell(((struct table_answer *)ctx)->find, column, out, is_null, err);
}

static const char *cursor_of(void *ctx) {
    struct pq_text cursor;
    const pqdb_code code = pq_find_cursor(((struct table_answer *)ctx)->find, &cursor, NULL);
    return code == PQDB_OK ? cursor.data : "";
}

static void close_answer(void *ctx) {
    struct table_answer *answer = ctx;
    pq_find_close(answer->find);
    pq_db_as_of_close(&answer->as_of);
    pq_db_shown_deinit(&answer->shown);
    pq_free(answer->db->alloc, answer, 1, sizeof *answer);
}

static const struct pq_answer_kind table_answer_kind = {
    .column_count = column_count, .column_name = column_name, .column_kind = column_kind,
    .next = next_row, .json = print_row, .cell = print_cell, .cursor = cursor_of,
    .close = close_answer};

/// Rows of an older definition follow no links: what those led to may have other columns by now.
static struct pq_find_table find_table_of(const struct pq_db_table *as,
                                          const struct pq_db_table *table,
                                          const struct pq_lookup *lookup, const pqdb_db *db) {
    struct pq_find_table find = *as->find;
    find.name = table->entry->name;
    find.lookup = lookup;
    find.ahead_rows = db->ahead_rows;
    find.window_rows = window_rows;
    find.bytes_max = pq_db_answer_max(db);
    if (as != table) find.stage = NULL;
    return find;
}

static pqdb_code read_staleness(const char *text, int64_t *us, pqdb_error *err) {
    *us = -1;
    if (text == NULL || pq_duration_parse(pq_text_of(text), us)) return PQDB_OK;
    pq_fail(err, PQDB_INVALID, "'%.60s' is no duration; write 0s, 30s, 5m, 2h or 1d", text);
    return pq_fail_subject(err, PQDB_INVALID, PQ_TEXT("maxStaleness"));
}

/// The rows to ask, of now or of before, and how.
static pqdb_code open_rows(struct table_answer *answer, const char *name,
                           const pqdb_find_options *options, struct pq_find_table *find,
                           struct pq_table_snapshot **rows, pqdb_error *err) {
    pqdb_db *db = answer->db;
    struct pq_db_shown *shown = &answer->shown;
    const char *as_of = options == NULL ? NULL : options->as_of;
    int64_t staleness_us;
    PQ_TRY(read_staleness(options == NULL ? NULL : options->max_staleness, &staleness_us, err));
    if (as_of == NULL) {
        PQ_TRY(pq_db_show(db, pq_text_of(name), staleness_us, shown, err));
        *rows = shown->rows;
    } else {
        shown->snapshot = pq_db_snapshot(db);
        PQ_TRY(pq_db_snapshot_find(db, shown->snapshot, pq_text_of(name), &shown->table, err));
        shown->as = shown->table;
        PQ_TRY(pq_db_as_of_open(db, shown->snapshot, shown->table, pq_text_of(as_of),
                                &answer->as_of, err));
        *rows = answer->as_of.rows->published;
    }
    answer->linked = (struct pq_db_lookup){.db = db, .snapshot = shown->snapshot,
                                           .overlay = answer->as_of.overlay};
    answer->lookup = pq_db_lookup_of(&answer->linked, shown->as, true);
    *find = find_table_of(shown->as, shown->table, &answer->lookup, db);
    find->is_past = as_of != NULL;
    return PQDB_OK;
}

static pqdb_code open_answer(pqdb_db *db, const char *name, const pqdb_find_options *options,
                             const struct pq_find_request *request, pqdb_rows **rows,
                             pqdb_error *err) {
    pqdb_rows *made;
    PQ_TRY(pq_answer_create(db->alloc, &made, err));
    struct table_answer *answer = pq_resize(db->alloc, NULL, 0, 1, sizeof *answer);
    if (answer == NULL) {
        pqdb_rows_close(made);
        return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    }
    *answer = (struct table_answer){.db = db};
    made->kind = &table_answer_kind;
    made->ctx = answer;
    struct pq_find_table find;
    struct pq_table_snapshot *asked;
    pqdb_code code = open_rows(answer, name, options, &find, &asked, err);
    if (code == PQDB_OK) {
        code = pq_find_open(&find, asked, request, db->alloc, &answer->find, err);
    }
    if (code != PQDB_OK) {
        pqdb_rows_close(made);
        return code;
    }
    tell_shown(answer, answer->find, &made->shows);
    *rows = made;
    return PQDB_OK;
}

static struct pq_find_request request_of(const pqdb_find_options *options) {
    static const pqdb_find_options defaults;
    const pqdb_find_options *o = options == NULL ? &defaults : options;
    return (struct pq_find_request){
        .filter = text_or_empty(o->filter), .sort = text_or_empty(o->sort),
        .select = text_or_empty(o->select), .limit = o->limit, .skip = o->skip,
        .system_columns = o->system_columns, .cursor = text_or_empty(o->cursor)};
}

pqdb_code pqdb_find(pqdb_db *db, const char *name, const pqdb_find_options *options,
                    pqdb_rows **rows, pqdb_error *err) {
    const struct pq_find_request request = request_of(options);
    return open_answer(db, name, options, &request, rows, err);
}

// ---- how it was found ---------------------------------------------------------------------------

/// Which version it is, how old that is, and whether it was made for the answer.
static pqdb_code write_shown(const pqdb_rows *rows, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, ",\"version\":\"seq-%llu\",\"caughtUp\":%s",
                           (unsigned long long)rows->shows.version,
                           rows->shows.is_caught_up ? "true" : "false"));
    if (rows->shows.staleness_us == INT64_MAX) {
        return pq_bytes_append_text(out, PQ_TEXT(",\"staleMs\":null"), err);
    }
    return pq_bytes_printf(out, err, ",\"staleMs\":%.3f", (double)rows->shows.staleness_us / 1e3);
}

static pqdb_code write_explanation(pqdb_db *db, const char *name, uint64_t began, pqdb_rows *rows,
                                   struct pq_bytes *out, pqdb_error *err) {
    const struct table_answer *answer = rows->ctx;
    bool has_row = true;
    while (has_row) PQ_TRY(pqdb_rows_next(rows, &has_row, err));
    const uint64_t took = db->env->monotonic_ns(db->env->ctx) - began;
    PQ_TRY(pq_bytes_append_text(out, PQ_TEXT("{\"name\":"), err));
    PQ_TRY(pq_json_write_text(out, pq_text_of(name), err));
    PQ_TRY(write_shown(rows, out, err));
    PQ_TRY(pq_bytes_printf(out, err, ",\"ms\":%.3f", (double)took / 1e6));
    PQ_TRY(pq_find_explain(answer->find, out, err));
    return pq_bytes_append_text(out, (struct pq_text){"}", 2}, err);  // with its NUL
}

pqdb_code pqdb_explain(pqdb_db *db, const char *name, const pqdb_find_options *options,
                       char **json, size_t *length, pqdb_error *err) {
    struct pq_find_request request = request_of(options);
    const uint64_t began = db->env->monotonic_ns(db->env->ctx);
    pqdb_rows *rows;
    request.explains = true;
    PQ_TRY(open_answer(db, name, options, &request, &rows, err));
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    const pqdb_code code = write_explanation(db, name, began, rows, &out, err);
    pqdb_rows_close(rows);
    if (code != PQDB_OK) {
        pq_bytes_deinit(&out);
        return code;
    }
    *json = (char *)out.data;  // pqdb_free gives it back
    if (length != NULL) *length = out.length - 1;
    return PQDB_OK;
}

// ---- one row, how many ------------------------------------------------------------------------

pqdb_code pqdb_get(pqdb_db *db, const char *name, const char *id, char **json, size_t *length,
                   pqdb_error *err) {
    const pqdb_row_name row = {.table = name, .id = id};
    return pqdb_get_row(db, &row, json, length, err);
}

pqdb_code pqdb_get_row(pqdb_db *db, const pqdb_row_name *row, char **json, size_t *length,
                       pqdb_error *err) {
    const char *name = row->table, *id = row->id;
    struct pq_bytes filter;
    pq_bytes_init(&filter, db->alloc);
    pqdb_rows *rows = NULL;
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&filter, err, "{\"$id\":"));
    PQ_GO(pq_json_write_text(&filter, pq_text_of(id), err));
    PQ_GO(pq_bytes_append_text(&filter, (struct pq_text){"}", 2}, err));  // with its NUL
    const pqdb_find_options options = {.filter = (const char *)filter.data,
                                       .system_columns = true, .as_of = row->as_of,
                                       .max_staleness = row->max_staleness};
    PQ_GO(pqdb_find(db, name, &options, &rows, err));
    if (row->answered != NULL) *row->answered = rows->shows;
    bool has_row;
    PQ_GO(pqdb_rows_next(rows, &has_row, err));
    if (!has_row) {
        code = pq_fail(err, PQDB_NOT_FOUND, "%s has no row with $id '%s'", name, id);
        goto done;
    }
    size_t bytes;
    const char *text = pqdb_rows_json(rows, &bytes);
    char *copy = text == NULL ? NULL : pq_resize(db->alloc, NULL, 0, bytes + 1, 1);
    if (copy == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "a row");
        goto done;
    }
    memcpy(copy, text, bytes + 1);
    *json = copy;
    if (length != NULL) *length = bytes;
done:
    pqdb_rows_close(rows);
    pq_bytes_deinit(&filter);
    return code;
}

void pqdb_free(char *text) { pq_free(&pq_alloc_libc, text, text == NULL ? 0 : 1, 1); }

pqdb_code pqdb_count_with(pqdb_db *db, const char *name, const pqdb_find_options *options,
                          uint64_t *count, pqdb_error *err) {
    struct table_answer answer = {.db = db};
    struct pq_find_table find;
    struct pq_table_snapshot *rows;
    pqdb_code code = open_rows(&answer, name, options, &find, &rows, err);
    if (code == PQDB_OK) {
        const char *filter = options == NULL ? NULL : options->filter;
        code = pq_find_count(&find, rows, text_or_empty(filter), db->alloc, count, err);
    }
    const bool is_asked = options != NULL && options->answered != NULL;
    if (code == PQDB_OK && is_asked) tell_shown(&answer, NULL, options->answered);
    pq_db_as_of_close(&answer.as_of);
    pq_db_shown_deinit(&answer.shown);
    return code;
}

pqdb_code pqdb_count(pqdb_db *db, const char *name, const char *filter, uint64_t *count,
                     pqdb_error *err) {
    const pqdb_find_options options = {.filter = filter};
    return pqdb_count_with(db, name, &options, count, err);
}
