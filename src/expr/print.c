#include "expr/print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/fail.h"
#include "base/json.h"
#include "expr/nested.h"
#include "type/decimal.h"
#include "type/timestamp.h"
#include "variant/variant.h"

/// The double with the fewest digits that reads back as this float: 0.1f prints as 0.1.
static double shortest_of_float(double real) {
    for (int digits = 6; digits < 9 && isfinite(real); digits++) {
        char text[32];
        snprintf(text, sizeof text, "%.*g", digits, real);
        const double shorter = strtod(text, NULL);
        if ((double)(float)shorter == real) return shorter;
    }
    return real;
}

static pqdb_code append_real(struct pq_bytes *out, const struct pq_value *value, pqdb_error *err) {
    const double real = value->as.real;
    return pq_json_write_real(out, value->kind == PQ_FLOAT32 ? shortest_of_float(real) : real,
                              err);
}

/// Scalars that need no quotes in JSON; *done tells whether it was one.
static pqdb_code append_bare(struct pq_bytes *out, const struct pq_value *value, bool *done,
                             pqdb_error *err) {
    *done = true;
    switch (value->kind) {
        case PQ_BOOL:
            return pq_bytes_append_text(out, value->as.boolean ? PQ_TEXT("true") : PQ_TEXT("false"),
                                        err);
        case PQ_INT64: return pq_json_write_int(out, value->as.integer, err);
        case PQ_FLOAT32:
        case PQ_FLOAT64: return append_real(out, value, err);
        case PQ_DECIMAL: {
            char text[PQ_DECIMAL_TEXT_MAX];
            const struct pq_decimal decimal = {value->as.decimal, value->scale};
            return pq_bytes_append(out, text, pq_decimal_format(decimal, text), err);
        }
        default: *done = false; return PQDB_OK;
    }
}

/// What stands between quotes in JSON, save text.
static pqdb_code append_quotable(struct pq_bytes *out, const struct pq_value *value,
                                 pqdb_error *err) {
    char text[PQ_TIME_TEXT_MAX];
    size_t length = 0;
    switch (value->kind) {
        case PQ_DATE: length = pq_date_format(value->as.integer, text); break;
        case PQ_TIME: length = pq_time_format(value->as.integer, text); break;
        case PQ_TIMESTAMP: length = pq_timestamp_format(value->as.integer, text); break;
        case PQ_BINARY: return pq_base64_write(out, value->as.text, err);
        default: break;
    }
    return pq_bytes_append(out, text, length, err);
}

static pqdb_code print_nested(struct pq_bytes *out, const struct pq_value *nested,
                              pqdb_error *err) {
    const size_t count = pq_nested_count(nested);
    const bool object = nested->kind == PQ_OBJECT;
    PQ_TRY(pq_bytes_append_byte(out, object ? '{' : '[', err));
    for (size_t k = 0; k < count; k++) {
        struct pq_text name;
        const struct pq_value value = pq_nested_at(nested, k, &name);
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        if (object) {
            PQ_TRY(pq_json_write_text(out, name, err));
            PQ_TRY(pq_bytes_append_byte(out, ':', err));
        }
        PQ_TRY(pq_print_json(out, &value, err));
    }
    return pq_bytes_append_byte(out, object ? '}' : ']', err);
}

pqdb_code pq_print_json(struct pq_bytes *out, const struct pq_value *value, pqdb_error *err) {
    bool done;
    PQ_TRY(append_bare(out, value, &done, err));
    if (done) return PQDB_OK;
    switch (value->kind) {
        case PQ_NULL: return pq_bytes_append_text(out, PQ_TEXT("null"), err);
        case PQ_TEXT: return pq_json_write_text(out, value->as.text, err);
        case PQ_LIST:
        case PQ_OBJECT: return print_nested(out, value, err);
        case PQ_VARIANT: return pq_variant_write_json(&value->as.variant, out, err);
        default:
            PQ_TRY(pq_bytes_append_byte(out, '"', err));
            PQ_TRY(append_quotable(out, value, err));
            return pq_bytes_append_byte(out, '"', err);
    }
}

pqdb_code pq_print_row(struct pq_bytes *out, const struct pq_column *column, size_t row,
                       pqdb_error *err) {
    const struct pq_value value = pq_column_value(column, row);
    return pq_print_json(out, &value, err);
}

pqdb_code pq_print_text(struct pq_bytes *out, const struct pq_value *value, pqdb_error *err) {
    const struct pq_value plain = pq_value_plain(value);
    switch (plain.kind) {
        case PQ_NULL: return PQDB_OK;
        case PQ_TEXT: return pq_bytes_append_text(out, plain.as.text, err);
        case PQ_FLOAT32:
        case PQ_FLOAT64:
            if (isnan(plain.as.real)) return pq_bytes_append_text(out, PQ_TEXT("NaN"), err);
            if (isinf(plain.as.real)) {
                return pq_bytes_append_text(
                    out, plain.as.real > 0 ? PQ_TEXT("Infinity") : PQ_TEXT("-Infinity"), err);
            }
            return append_real(out, &plain, err);
        case PQ_DATE:
        case PQ_TIME:
        case PQ_TIMESTAMP:
        case PQ_BINARY: return append_quotable(out, &plain, err);
        default: return pq_print_json(out, &plain, err);
    }
}
