/// query/find_print.c: the current row as text.
#include "base/fail.h"
#include "base/json.h"
#include "expr/print.h"
#include "query/find_internal.h"
#include "variant/variant.h"

/// The undeclared members of the row. *count 0: it has none.
static pqdb_code extra_of(struct pq_find *find, struct pq_variant *variant, size_t *count,
                          pqdb_error *err) {
    const struct pq_column *extra = &find->batch.columns[find->table.extra_column];
    *count = 0;
    if (pq_column_is_null(extra, find->row)) return PQDB_OK;
    const uint8_t mark = extra->valid == NULL ? PQ_ROW_VALID : extra->valid[find->row];
    PQ_TRY(pq_variant_of_row(pq_column_text(extra, find->row), mark, extra->names,
                             &find->computed_arena, variant, err));
    *count = pq_variant_count(variant);
    return PQDB_OK;
}

static pqdb_code print_extra(struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    struct pq_variant variant;
    size_t count;
    PQ_TRY(extra_of(find, &variant, &count, err));
    for (size_t k = 0; k < count; k++) {
        struct pq_text name;
        const struct pq_variant value = pq_variant_at(&variant, k, &name);
        PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_variant_write_json(&value, out, err));
    }
    return PQDB_OK;
}

/// A row of before that kept undeclared what is declared by now: there the value stands.
static pqdb_code is_kept(struct pq_find *find, size_t column, bool *kept, pqdb_error *err) {
    struct pq_variant variant;
    size_t count;
    *kept = false;
    if (!find->table.is_past || !pq_column_is_null(&find->computed[column], find->row)) {
        return PQDB_OK;
    }
    PQ_TRY(extra_of(find, &variant, &count, err));
    for (size_t k = 0; k < count && !*kept; k++) {
        struct pq_text name;
        pq_variant_at(&variant, k, &name);
        *kept = pq_text_equal(name, find->columns[column].name);
    }
    return PQDB_OK;
}

pqdb_code pq_find_json(struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    bool extra_due = find->all_columns && find->table.extra_column >= 0;
    const bool may_keep = extra_due;
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    for (size_t k = 0; k < find->column_count; k++) {
        bool kept = false;
        if (extra_due && pq_find_is_system(find, find->columns[k].name)) {
            PQ_TRY(print_extra(find, out, err));
            extra_due = false;
        }
        if (may_keep) PQ_TRY(is_kept(find, k, &kept, err));
        if (kept) continue;
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, find->columns[k].name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_print_row(out, &find->computed[k], find->row, err));
    }
    if (extra_due) PQ_TRY(print_extra(find, out, err));
    return pq_bytes_append_byte(out, '}', err);
}

pqdb_code pq_find_cell(struct pq_find *find, size_t column, struct pq_bytes *out, bool *is_null,
                       pqdb_error *err) {
    const struct pq_column *cells = &find->computed[column];
    *is_null = pq_column_is_null(cells, find->row);
    if (*is_null) return PQDB_OK;
    struct pq_value value = pq_column_value(cells, find->row);
    if (value.kind == PQ_VARIANT) value = pq_variant_unwrap(&value.as.variant);
    return pq_print_text(out, &value, err);
}
