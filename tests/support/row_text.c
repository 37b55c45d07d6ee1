#include "support/row_text.h"

#include <inttypes.h>

#include "base/arena.h"
#include "support/column_text.h"
#include "type/decimal.h"
#include "type/timestamp.h"
#include "variant/variant.h"

static void variant_text(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    struct pq_arena arena;
    struct pq_variant variant;
    pqdb_error err = {0};
    pq_arena_init(&arena, &pq_alloc_libc);
    const uint8_t mark = column->valid == NULL ? PQ_ROW_VALID : column->valid[row];
    pqdb_code code = pq_variant_of_row(pq_column_text(column, row), mark, column->names, &arena,
                                       &variant, &err);
    if (code == PQDB_OK) code = pq_variant_check(&variant, &err);
    if (code == PQDB_OK) code = pq_variant_write_json(&variant, out, &err);
    if (code != PQDB_OK) pq_bytes_printf(out, NULL, "<%s>", err.message);
    pq_arena_deinit(&arena);
}

static void value_text(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    char text[64];
    const struct pq_value value = pq_column_value(column, row);
    switch (value.kind) {
    case PQ_DECIMAL:
        pq_decimal_format((struct pq_decimal){value.as.decimal, value.scale}, text);
        break;
    case PQ_DATE: pq_date_format(value.as.integer, text); break;
    case PQ_TIME: pq_time_format(value.as.integer, text); break;
    case PQ_TIMESTAMP: pq_timestamp_format(value.as.integer, text); break;
    case PQ_FLOAT32:
    case PQ_FLOAT64: pq_json_write_real(out, value.as.real, NULL); return;
    case PQ_VARIANT: variant_text(column, row, out); return;
    default: column_text(column, row, out); return;
    }
    pq_bytes_append_text(out, pq_text_of(text), NULL);
}

static void nested_text(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    if (pq_column_is_null(column, row)) {
        pq_bytes_append_byte(out, '~', NULL);
    } else if (column->layout == PQ_ROWS) {
        pq_bytes_append_byte(out, '[', NULL);
        for (uint32_t at = column->offsets[row]; at < column->offsets[row + 1]; at++) {
            if (at > column->offsets[row]) pq_bytes_append(out, ", ", 2, NULL);
            nested_text(&column->children[0], at, out);
        }
        pq_bytes_append_byte(out, ']', NULL);
    } else if (column->layout == PQ_MEMBERS) {
        pq_bytes_append_byte(out, '{', NULL);
        for (size_t k = 0; k < column->type->field_count; k++) {
            if (k > 0) pq_bytes_append(out, ", ", 2, NULL);
            nested_text(&column->children[k], row, out);
        }
        pq_bytes_append_byte(out, '}', NULL);
    } else {
        value_text(column, row, out);
    }
}

void row_text(const struct pq_batch *batch, size_t row, struct pq_bytes *out) {
    for (size_t k = 0; k < batch->type->field_count; k++) {
        const struct pq_text name = batch->type->fields[k].name;
        if (pq_column_is_null(&batch->columns[k], row) || pq_text_is(name, "$type")) continue;
        pq_bytes_printf(out, NULL, " %.*s=", PQ_TEXT_ARG(name));
        nested_text(&batch->columns[k], row, out);
    }
}

void row_batch_text(const struct pq_row_batch *rows, struct pq_bytes *out) {
    for (size_t row = 0; row < rows->batch.count; row++) {
        pq_bytes_printf(out, NULL, "%" PRIu64, rows->first_item + rows->items[row]);
        row_text(&rows->batch, row, out);
        pq_bytes_append_byte(out, '\n', NULL);
    }
    for (size_t i = 0; i < rows->refusal_count; i++) {
        const struct pq_refusal *refusal = &rows->refusals[i];
        pq_bytes_printf(out, NULL, "refused %" PRIu64 " line %" PRIu64 " %.*s: %.*s\n",
                        refusal->index, refusal->line, PQ_TEXT_ARG(refusal->field),
                        PQ_TEXT_ARG(refusal->message));
    }
}
