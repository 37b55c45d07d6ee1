#include "support/column_text.h"

#include <inttypes.h>

static void hex_text(struct pq_text text, struct pq_bytes *out) {
    for (size_t i = 0; i < text.length; i++) {
        pq_bytes_printf(out, NULL, "%02x", (unsigned)(uint8_t)text.data[i]);
    }
}

static void value_text(const struct pq_value *value, struct pq_bytes *out) {
    switch (value->kind) {
        case PQ_TEXT:
            pq_bytes_printf(out, NULL, "'%.*s'", PQ_TEXT_ARG(value->as.text));
            return;
        case PQ_BINARY:
            hex_text(value->as.text, out);
            return;
        case PQ_VARIANT:
            hex_text((struct pq_text){(const char *)value->as.variant.bytes,
                                      value->as.variant.length}, out);
            return;
        case PQ_BOOL:
            pq_bytes_printf(out, NULL, "%s", value->as.boolean ? "true" : "false");
            return;
        case PQ_FLOAT32:
        case PQ_FLOAT64:
            pq_bytes_printf(out, NULL, "%.17g", value->as.real);
            return;
        case PQ_DECIMAL:
            pq_bytes_printf(out, NULL, "%" PRIx64 ":%" PRIx64 "e-%d",
                            (uint64_t)((pq_u128)value->as.decimal >> 64),
                            (uint64_t)value->as.decimal, value->scale);
            return;
        default:
            pq_bytes_printf(out, NULL, "%" PRId64, value->as.integer);
    }
}

void column_text(const struct pq_column *column, size_t row, struct pq_bytes *out) {
    const struct pq_value value = pq_column_value(column, row);
    if (value.kind == PQ_NULL) {
        pq_bytes_append(out, "~", 1, NULL);
    } else if (value.kind == PQ_LIST) {
        pq_bytes_append(out, "[", 1, NULL);
        for (uint32_t at = column->offsets[row]; at < column->offsets[row + 1]; at++) {
            if (at > column->offsets[row]) pq_bytes_append(out, ", ", 2, NULL);
            column_text(&column->children[0], at, out);
        }
        pq_bytes_append(out, "]", 1, NULL);
    } else if (value.kind == PQ_OBJECT) {
        pq_bytes_append(out, "{", 1, NULL);
        for (size_t k = 0; k < column->type->field_count; k++) {
            if (k > 0) pq_bytes_append(out, ", ", 2, NULL);
            column_text(&column->children[k], row, out);
        }
        pq_bytes_append(out, "}", 1, NULL);
    } else {
        value_text(&value, out);
    }
}

void column_texts(const struct pq_column *column, struct pq_bytes *out) {
    for (size_t row = 0; row < column->count; row++) {
        column_text(column, row, out);
        pq_bytes_append(out, "\n", 1, NULL);
    }
}
