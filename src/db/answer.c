#include "db/answer_internal.h"

#include "base/fail.h"

pqdb_code pq_answer_create(const struct pq_alloc *alloc, pqdb_rows **rows, pqdb_error *err) {
    pqdb_rows *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    *made = (struct pqdb_rows){.alloc = alloc};
    pq_bytes_init(&made->text, alloc);
    *rows = made;
    return PQDB_OK;
}

void pqdb_rows_close(pqdb_rows *rows) {
    if (rows == NULL) return;
    if (rows->kind != NULL) rows->kind->close(rows->ctx);
    pq_bytes_deinit(&rows->text);
    pq_free(rows->alloc, rows, 1, sizeof *rows);
}

pqdb_code pqdb_rows_next(pqdb_rows *rows, bool *has_row, pqdb_error *err) {
    return rows->kind->next(rows->ctx, has_row, err);
}

size_t pqdb_rows_column_count(const pqdb_rows *rows) {
    return rows->kind->column_count(rows->ctx);
}

const char *pqdb_rows_column_name(const pqdb_rows *rows, size_t column) {
    return rows->kind->column_name(rows->ctx, column);
}

const char *pqdb_rows_column_kind(const pqdb_rows *rows, size_t column) {
    switch (rows->kind->column_kind(rows->ctx, column)) {
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

/// The text with its NUL, or NULL.
static const char *finish_text(pqdb_rows *rows, pqdb_code code, size_t *length) {
    if (code != PQDB_OK || pq_bytes_append_byte(&rows->text, '\0', NULL) != PQDB_OK) {
        *length = 0;
        return NULL;
    }
    *length = rows->text.length - 1;
    return (const char *)rows->text.data;
}

const char *pqdb_rows_json(pqdb_rows *rows, size_t *length) {
    rows->text.length = 0;
    return finish_text(rows, rows->kind->json(rows->ctx, &rows->text, NULL), length);
}

const char *pqdb_rows_cell(pqdb_rows *rows, size_t column, size_t *length, bool *is_null) {
    rows->text.length = 0;
    return finish_text(rows, rows->kind->cell(rows->ctx, column, &rows->text, is_null, NULL),
                       length);
}

const char *pqdb_rows_cursor(pqdb_rows *rows) {
    return rows->kind->cursor == NULL ? "" : rows->kind->cursor(rows->ctx);
}

uint64_t pqdb_rows_version(const pqdb_rows *rows) { return rows->shows.version; }

const char *pqdb_rows_note(const pqdb_rows *rows) { return rows->shows.note; }

int64_t pqdb_rows_staleness_us(const pqdb_rows *rows) { return rows->shows.staleness_us; }

bool pqdb_rows_is_caught_up(const pqdb_rows *rows) { return rows->shows.is_caught_up; }
