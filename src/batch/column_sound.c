/// pq_column_is_sound: the invariants of batch/column.h, one by one, in the order of the header.

#include "base/fail.h"
#include "batch/column.h"
#include "batch/dictionary.h"

static bool unsound(pqdb_error *err, const char *what, size_t row) {
    pq_fail(err, PQDB_CORRUPT, "column breaks its invariant at row %zu: %s", row, what);
    return false;
}

static bool layout_fits(const struct pq_column *column) {
    switch (column->type->kind) {
        case PQ_TEXT:
            return column->layout == PQ_BYTES || column->layout == PQ_DICTIONARY;
        case PQ_BINARY:
        case PQ_VARIANT:
            return column->layout == PQ_BYTES;
        case PQ_LIST:
            return column->layout == PQ_ROWS;
        case PQ_OBJECT:
            return column->layout == PQ_MEMBERS;
        default:
            return column->layout == PQ_FIXED;
    }
}

static bool marks_are_sound(const struct pq_column *column, pqdb_error *err) {
    const bool is_variant = column->type->kind == PQ_VARIANT;
    if (column->valid == NULL) {
        return column->count == 0 || column->type->kind != PQ_NULL ||
               unsound(err, "a null column has a value", 0);
    }
    for (size_t i = 0; i < column->count; i++) {
        const uint8_t mark = column->valid[i];
        if (mark > PQ_ROW_OWN_NAMES) return unsound(err, "the valid byte has no meaning", i);
        if (mark == PQ_ROW_OWN_NAMES && !is_variant) {
            return unsound(err, "own names outside a variant", i);
        }
        if (mark != PQ_ROW_NULL && column->type->kind == PQ_NULL) {
            return unsound(err, "a null column has a value", i);
        }
    }
    return true;
}

static bool offsets_are_sound(const struct pq_column *column, pqdb_error *err) {
    if (column->offsets == NULL) return unsound(err, "offsets are missing", 0);
    for (size_t i = 0; i < column->count; i++) {
        if (column->offsets[i + 1] < column->offsets[i]) return unsound(err, "offsets fall", i);
        if (column->offsets[i + 1] != column->offsets[i] && pq_column_is_null(column, i)) {
            return unsound(err, "a null row has bytes or elements", i);
        }
    }
    return true;
}

static bool bytes_are_sound(const struct pq_column *column, pqdb_error *err) {
    const enum pq_kind kind = column->type->kind;
    for (size_t i = 0; i < column->count; i++) {
        if (pq_column_is_null(column, i)) continue;
        const struct pq_text text = pq_column_text(column, i);
        if (text.length > 0 && column->data == NULL) return unsound(err, "data is missing", i);
        if (kind == PQ_TEXT && !pq_text_is_utf8(text)) return unsound(err, "not UTF-8", i);
        if (kind == PQ_VARIANT && text.length == 0) return unsound(err, "an empty variant", i);
    }
    return true;
}

static bool codes_are_sound(const struct pq_column *column, pqdb_error *err) {
    if (column->count > 0 && column->values == NULL) return unsound(err, "no codes", 0);
    if (column->dictionary == NULL) return unsound(err, "no dictionary", 0);
    const uint32_t *codes = column->values;
    const uint32_t entries = __atomic_load_n(&column->dictionary->count, __ATOMIC_ACQUIRE);
    for (size_t i = 0; i < column->count; i++) {
        if (!pq_column_is_null(column, i) && codes[i] >= entries) {
            return unsound(err, "a code without an entry", i);
        }
    }
    return true;
}

static bool fixed_is_sound(const struct pq_column *column, pqdb_error *err) {
    const size_t width = pq_kind_width(column->type->kind);
    if (column->count > 0 && width > 0 && column->values == NULL) {
        return unsound(err, "values are missing", 0);
    }
    if (width > 0 && (uintptr_t)column->values % width != 0) {
        return unsound(err, "values are not aligned", 0);
    }
    if (column->type->kind != PQ_BOOL) return true;
    for (size_t i = 0; i < column->count; i++) {
        if (!pq_column_is_null(column, i) && ((const uint8_t *)column->values)[i] > 1) {
            return unsound(err, "a boolean beyond 1", i);
        }
    }
    return true;
}

bool pq_column_is_sound(const struct pq_column *column, pqdb_error *err) {
    if (!layout_fits(column)) return unsound(err, "the layout does not fit the type", 0);
    if (!marks_are_sound(column, err)) return false;
    switch (column->layout) {
        case PQ_FIXED:
            return fixed_is_sound(column, err);
        case PQ_DICTIONARY:
            return codes_are_sound(column, err);
        case PQ_BYTES:
            return offsets_are_sound(column, err) && bytes_are_sound(column, err);
        case PQ_ROWS:
            if (!offsets_are_sound(column, err)) return false;
            if (column->children == NULL) return unsound(err, "elements are missing", 0);
            if (column->offsets[column->count] > column->children[0].count) {
                return unsound(err, "a list ends behind the last element", column->count);
            }
            return pq_column_is_sound(&column->children[0], err);
        case PQ_MEMBERS:
            for (size_t k = 0; k < column->type->field_count; k++) {
                if (column->children[k].count != column->count) {
                    return unsound(err, "a member has another length", column->count);
                }
                if (!pq_column_is_sound(&column->children[k], err)) return false;
            }
            return true;
    }
    return unsound(err, "no such layout", 0);
}
