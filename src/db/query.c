/// db/query.c: the public way to ask: a snapshot, a plan, rows.
#include <parquedb/query.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/view_internal.h"
#include "query/find.h"

struct pqdb_rows {
    pqdb_db *db;
    struct pq_db_snapshot *snapshot;
    struct pq_find *find;
    struct pq_bytes text;  // of the current row or cell
    uint64_t version;
    char note[600];
};

// ---- what paths mean --------------------------------------------------------------------------

pqdb_code pq_db_prepare_queries(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    struct pq_scope scope;
    table->find = pq_arena_calloc(&db->arena, 1, sizeof *table->find);
    if (table->find == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a table");
    if (table->view != NULL) {
        scope = table->view->scope;
    } else {
        PQ_TRY(pq_entry_scope(table->entry, &db->arena, &scope, err));
    }
    *table->find = (struct pq_find_table){
        .name = table->entry->name, .paths = scope.paths, .path_count = scope.path_count,
        .relations = scope.relations, .extra_column = scope.extra_column,
        .closed = scope.closed, .strict = scope.strict};
    return PQDB_OK;
}

static struct pq_text text_or_empty(const char *text) {
    return text == NULL ? (struct pq_text){"", 0} : pq_text_of(text);
}

/// Of the very rows that the answer shows, whatever has been published since.
static void note_staleness(struct pqdb_rows *rows, const struct pq_db_table *table) {
    const char *note = pq_find_note(rows->find);
    if (note[0] != '\0') snprintf(rows->note, sizeof rows->note, "%s", note);
    if (table->view == NULL) return;
    pqdb_view_state state;
    pq_db_view_state(rows->db, rows->snapshot, table, &state);
    if (strcmp(state.state, "fresh") == 0) return;
    snprintf(rows->note, sizeof rows->note, "%s is %s: %s", state.name, state.state, state.reason);
    rows->version = state.version;
}

pqdb_code pqdb_find(pqdb_db *db, const char *name, const pqdb_find_options *options,
                    pqdb_rows **rows, pqdb_error *err) {
    static const pqdb_find_options defaults;
    const pqdb_find_options *o = options == NULL ? &defaults : options;
    struct pq_db_table *table;
    PQ_TRY(pq_db_find_table(db, pq_text_of(name), &table, err));
    pqdb_rows *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    *made = (struct pqdb_rows){.db = db, .snapshot = pq_db_snapshot(db)};
    pq_bytes_init(&made->text, db->alloc);
    made->version = made->snapshot->version;
    const struct pq_find_request request = {
        .filter = text_or_empty(o->filter), .sort = text_or_empty(o->sort),
        .select = text_or_empty(o->select), .limit = o->limit, .skip = o->skip,
        .system_columns = o->system_columns};
    const pqdb_code code = pq_find_open(table->find, pq_db_snapshot_rows(made->snapshot, table),
                                        &request, db->alloc, &made->find, err);
    if (code != PQDB_OK) {
        pqdb_rows_close(made);
        return code;
    }
    note_staleness(made, table);
    *rows = made;
    return PQDB_OK;
}

void pqdb_rows_close(pqdb_rows *rows) {
    if (rows == NULL) return;
    pq_find_close(rows->find);
    pq_db_snapshot_unref(rows->snapshot);
    pq_bytes_deinit(&rows->text);
    pq_free(rows->db->alloc, rows, 1, sizeof *rows);
}

pqdb_code pqdb_rows_next(pqdb_rows *rows, bool *has_row, pqdb_error *err) {
    return pq_find_next(rows->find, has_row, err);
}

size_t pqdb_rows_column_count(const pqdb_rows *rows) {
    size_t count;
    pq_find_columns(rows->find, &count);
    return count;
}

const char *pqdb_rows_column_name(const pqdb_rows *rows, size_t column) {
    size_t count;
    return pq_find_columns(rows->find, &count)[column].name.data;
}

const char *pqdb_rows_column_kind(const pqdb_rows *rows, size_t column) {
    size_t count;
    switch (pq_find_columns(rows->find, &count)[column].type.kind) {
    case PQ_INT64:
    case PQ_FLOAT32:
    case PQ_FLOAT64:
    case PQ_DECIMAL: return "number";
    case PQ_BOOL: return "boolean";
    case PQ_DATE:
    case PQ_TIME:
    case PQ_TIMESTAMP: return "time";
    case PQ_TEXT: return "text";
    default: return "other";
    }
}

const char *pqdb_rows_json(pqdb_rows *rows, size_t *length) {
    rows->text.length = 0;
    if (pq_find_json(rows->find, &rows->text, NULL) != PQDB_OK ||
        pq_bytes_append_byte(&rows->text, '\0', NULL) != PQDB_OK) {
        *length = 0;
        return NULL;
    }
    *length = rows->text.length - 1;
    return (const char *)rows->text.data;
}

const char *pqdb_rows_cell(pqdb_rows *rows, size_t column, size_t *length, bool *is_null) {
    rows->text.length = 0;
    if (pq_find_cell(rows->find, column, &rows->text, is_null, NULL) != PQDB_OK ||
        pq_bytes_append_byte(&rows->text, '\0', NULL) != PQDB_OK) {
        *length = 0;
        return NULL;
    }
    *length = rows->text.length - 1;
    return (const char *)rows->text.data;
}

uint64_t pqdb_rows_version(const pqdb_rows *rows) { return rows->version; }

const char *pqdb_rows_note(const pqdb_rows *rows) { return rows->note; }

// ---- one row, how many ------------------------------------------------------------------------

pqdb_code pqdb_get(pqdb_db *db, const char *name, const char *id, char **json, size_t *length,
                   pqdb_error *err) {
    struct pq_bytes filter;
    pq_bytes_init(&filter, db->alloc);
    pqdb_rows *rows = NULL;
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&filter, err, "{\"$id\":"));
    PQ_GO(pq_json_write_text(&filter, pq_text_of(id), err));
    PQ_GO(pq_bytes_append_text(&filter, (struct pq_text){"}", 2}, err));  // with its NUL
    const pqdb_find_options options = {.filter = (const char *)filter.data,
                                       .system_columns = true};
    PQ_GO(pqdb_find(db, name, &options, &rows, err));
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

pqdb_code pqdb_count(pqdb_db *db, const char *name, const char *filter, uint64_t *count,
                     pqdb_error *err) {
    struct pq_db_table *table;
    PQ_TRY(pq_db_find_table(db, pq_text_of(name), &table, err));
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const pqdb_code code =
        pq_find_count(table->find, pq_db_snapshot_rows(snapshot, table), text_or_empty(filter),
                      db->alloc, count, err);
    pq_db_snapshot_unref(snapshot);
    return code;
}
