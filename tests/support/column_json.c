#include "support/column_json.h"

#include <inttypes.h>
#include <math.h>

#include "base/arena.h"
#include "base/json.h"
#include "support/test.h"
#include "variant/variant.h"

static void print_decimal(pq_i128 value, struct pq_bytes *out) {
    char digits[48];
    size_t at = sizeof digits;
    pq_u128 rest = value < 0 ? -(pq_u128)value : (pq_u128)value;
    do {
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0);
    pq_bytes_printf(out, NULL, "\"%s%.*s\"", value < 0 ? "-" : "", (int)(sizeof digits - at),
                    digits + at);
}

static void print_real(double value, struct pq_bytes *out) {
    if (isnan(value)) {
        pq_bytes_printf(out, NULL, "\"nan\"");
    } else {
        pq_bytes_printf(out, NULL, "\"%a\"", value);
    }
}

static void print_binary(struct pq_text bytes, struct pq_bytes *out) {
    pq_bytes_printf(out, NULL, "\"x");
    for (size_t i = 0; i < bytes.length; i++) {
        pq_bytes_printf(out, NULL, "%02x", (unsigned)(uint8_t)bytes.data[i]);
    }
    pq_bytes_printf(out, NULL, "\"");
}

static void print_variant(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    const uint8_t mark = column->valid == NULL ? PQ_ROW_VALID : column->valid[row];
    struct pq_variant variant;
    pqdb_error err = {0};
    pqdb_code code = pq_variant_of_row(pq_column_text(column, row), mark, column->names, &arena,
                                       &variant, &err);
    if (code == PQDB_OK) code = pq_variant_check(&variant, &err);
    if (code == PQDB_OK) code = pq_variant_write_json(&variant, out, &err);
    CHECK(code == PQDB_OK, "a variant cannot be printed: %s", err.message);
    pq_arena_deinit(&arena);
}

static void print_list(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    pq_bytes_printf(out, NULL, "[");
    for (uint32_t i = column->offsets[row]; i < column->offsets[row + 1]; i++) {
        if (i > column->offsets[row]) pq_bytes_printf(out, NULL, ",");
        column_json(column->children, i, out);
    }
    pq_bytes_printf(out, NULL, "]");
}

static void print_object(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    pq_bytes_printf(out, NULL, "{");
    for (uint32_t k = 0; k < column->type->field_count; k++) {
        if (k > 0) pq_bytes_printf(out, NULL, ",");
        pq_json_write_text(out, column->type->fields[k].name, NULL);
        pq_bytes_printf(out, NULL, ":");
        column_json(&column->children[k], row, out);
    }
    pq_bytes_printf(out, NULL, "}");
}

void column_json(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    if (column->type->kind == PQ_NULL || pq_column_is_null(column, row)) {
        pq_bytes_printf(out, NULL, "null");
        return;
    }
    const struct pq_value value = pq_column_value(column, row);
    switch (column->type->kind) {
        case PQ_LIST: print_list(column, row, out); return;
        case PQ_OBJECT: print_object(column, row, out); return;
        case PQ_VARIANT: print_variant(column, row, out); return;
        case PQ_BOOL: pq_bytes_printf(out, NULL, "%s", value.as.boolean ? "true" : "false"); return;
        case PQ_FLOAT32:
        case PQ_FLOAT64: print_real(value.as.real, out); return;
        case PQ_DECIMAL: print_decimal(value.as.decimal, out); return;
        case PQ_TEXT: pq_json_write_text(out, value.as.text, NULL); return;
        case PQ_BINARY: print_binary(value.as.text, out); return;
        default: pq_bytes_printf(out, NULL, "%" PRId64, value.as.integer);
    }
}
