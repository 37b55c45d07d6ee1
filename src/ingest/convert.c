#include "ingest/convert_internal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/fail.h"
#include "type/decimal.h"
#include "type/timestamp.h"

enum { quoted_bytes_max = 40 };

const char *pq_json_kind_name(const struct pq_json *value) {
    switch (pq_json_kind(value)) {
    case PQ_JSON_NULL: return "null";
    case PQ_JSON_BOOL: return "a boolean";
    case PQ_JSON_INT:
    case PQ_JSON_REAL:
    case PQ_JSON_NUMBER: return "a number";
    case PQ_JSON_TEXT: return "text";
    case PQ_JSON_LIST: return "a list";
    case PQ_JSON_OBJECT: return "an object";
    }
    return "nothing";
}

static pqdb_code wrong_kind(const char *wanted, const struct pq_json *value, pqdb_error *err) {
    return pq_fail(err, PQDB_INVALID, "must be %s, not %s", wanted, pq_json_kind_name(value));
}

/// A text in a message: its first bytes, cut between code points.
static struct pq_text quoted(struct pq_text text) {
    if (text.length > quoted_bytes_max) {
        text.length = quoted_bytes_max;
        while (text.length > 0 && ((uint8_t)text.data[text.length] & 0xC0) == 0x80) text.length--;
    }
    return text;
}

static pqdb_code wrong_text(const char *wanted, struct pq_text text, pqdb_error *err) {
    return pq_fail(err, PQDB_INVALID, "must be %s, not '%.*s'", wanted, PQ_TEXT_ARG(quoted(text)));
}

// ---- numbers ----------------------------------------------------------------------------------

static bool is_number(const struct pq_json *value) {
    const enum pq_json_kind kind = pq_json_kind(value);
    return kind == PQ_JSON_INT || kind == PQ_JSON_REAL || kind == PQ_JSON_NUMBER;
}

static bool real_to_integer(double real, int64_t *integer) {
    if (!(real >= -0x1p63 && real < 0x1p63)) return false;
    *integer = (int64_t)real;
    return (double)*integer == real;
}

/// The number as an int64, if it is one: 5, 5.0 and 5e0 are.
static bool to_integer(const struct pq_json *number, int64_t *integer) {
    if (pq_json_kind(number) == PQ_JSON_INT) {
        *integer = pq_json_int(number);
        return true;
    }
    if (pq_json_kind(number) == PQ_JSON_REAL) {
        return real_to_integer(pq_json_real(number), integer);
    }
    struct pq_decimal exact;
    if (!pq_decimal_parse_exact(pq_json_text(number), &exact)) return false;
    const pq_i128 unit = (pq_i128)pq_decimal_power(exact.scale);
    const pq_i128 whole = exact.units / unit;
    *integer = (int64_t)whole;
    return whole * unit == exact.units && whole == *integer;
}

static bool to_real(const struct pq_json *number, double *real) {
    if (pq_json_kind(number) == PQ_JSON_INT) {
        *real = (double)pq_json_int(number);
    } else if (pq_json_kind(number) == PQ_JSON_REAL) {
        *real = pq_json_real(number);
    } else {
        return pq_json_number_real(number, real);
    }
    return isfinite(*real);
}

static pqdb_code convert_integer(const struct pq_json *value, struct pq_builder *builder,
                                 pqdb_error *err) {
    if (!is_number(value)) return wrong_kind("an integer", value, err);
    int64_t integer;
    if (!to_integer(value, &integer)) {
        double real = INFINITY;
        const bool beyond = !to_real(value, &real) || fabs(real) >= 0x1p63;
        return pq_fail(err, PQDB_INVALID, beyond ? "is beyond the range of a 64-bit integer"
                                                 : "must be an integer, not a fraction");
    }
    return pq_builder_append_fixed(builder, &integer, err);
}

static pqdb_code convert_real(const struct pq_json *value, struct pq_builder *builder,
                              pqdb_error *err) {
    if (!is_number(value)) return wrong_kind("a number", value, err);
    double real;
    if (!to_real(value, &real)) {
        return pq_fail(err, PQDB_INVALID, "is beyond the range of a double");
    }
    if (builder->type->kind == PQ_FLOAT64) return pq_builder_append_fixed(builder, &real, err);
    const float narrow = (float)real;
    if (!isfinite(narrow)) return pq_fail(err, PQDB_INVALID, "is beyond the range of a float");
    return pq_builder_append_fixed(builder, &narrow, err);
}

static pqdb_code convert_decimal(struct pq_converter *converter, const struct pq_json *value,
                                 struct pq_builder *builder, pqdb_error *err) {
    struct pq_text digits;
    const enum pq_json_kind kind = pq_json_kind(value);
    if (kind == PQ_JSON_NUMBER || kind == PQ_JSON_TEXT) {
        digits = pq_json_text(value);  // text, because JSON's own writers round to doubles
    } else if (kind == PQ_JSON_INT || kind == PQ_JSON_REAL) {
        converter->scratch.length = 0;
        PQ_TRY(pq_json_write(&converter->scratch, value, err));
        digits = pq_bytes_text(&converter->scratch);
    } else {
        return wrong_kind("a number", value, err);
    }
    pq_i128 units;
    const struct pq_type *type = builder->type;
    PQ_TRY(pq_decimal_parse(digits, type->precision, type->scale, &units, err));
    return pq_builder_append_fixed(builder, &units, err);
}

// ---- times ------------------------------------------------------------------------------------

/// ISO 8601 text, or milliseconds since 1970 (a fraction gives microseconds).
static pqdb_code convert_timestamp(const struct pq_json *value, struct pq_builder *builder,
                                   pqdb_error *err) {
    int64_t timestamp_us;
    if (is_number(value)) {
        int64_t ms;
        double real;
        if (to_integer(value, &ms)) {
            if (__builtin_mul_overflow(ms, PQ_US_PER_MS, &timestamp_us)) {
                return pq_fail(err, PQDB_INVALID, "is beyond the range of a timestamp");
            }
        } else if (!to_real(value, &real) || !(fabs(real * 1000) < 0x1p63)) {
            return pq_fail(err, PQDB_INVALID, "is beyond the range of a timestamp");
        } else {
            timestamp_us = (int64_t)nearbyint(real * 1000);
        }
    } else if (pq_json_kind(value) == PQ_JSON_TEXT) {
        if (!pq_timestamp_parse(pq_json_text(value), &timestamp_us)) {
            return wrong_text("a time like 2026-01-15T10:00:00Z or milliseconds since 1970",
                              pq_json_text(value), err);
        }
    } else {
        return wrong_kind("a time as text or milliseconds since 1970", value, err);
    }
    return pq_builder_append_fixed(builder, &timestamp_us, err);
}

/// A date, or the midnight (UTC) at which it begins.
static pqdb_code convert_date(const struct pq_json *value, struct pq_builder *builder,
                              pqdb_error *err) {
    static const char wanted[] = "a date like 2026-01-15";
    if (pq_json_kind(value) != PQ_JSON_TEXT) return wrong_kind(wanted, value, err);
    const struct pq_text text = pq_json_text(value);
    int32_t days;
    int64_t timestamp_us;
    if (!pq_date_parse(text, &days)) {
        if (!pq_timestamp_parse(text, &timestamp_us) || timestamp_us % PQ_US_PER_DAY != 0) {
            return wrong_text(wanted, text, err);
        }
        days = (int32_t)(timestamp_us / PQ_US_PER_DAY);
    }
    return pq_builder_append_fixed(builder, &days, err);
}

static pqdb_code convert_time(const struct pq_json *value, struct pq_builder *builder,
                              pqdb_error *err) {
    static const char wanted[] = "a time of day like 10:00:00";
    if (pq_json_kind(value) != PQ_JSON_TEXT) return wrong_kind(wanted, value, err);
    int64_t time_us;
    if (!pq_time_parse(pq_json_text(value), &time_us)) {
        return wrong_text(wanted, pq_json_text(value), err);
    }
    return pq_builder_append_fixed(builder, &time_us, err);
}

// ---- the rest ---------------------------------------------------------------------------------

static pqdb_code convert_text(const struct pq_declared_field *field, const struct pq_json *value,
                              struct pq_builder *builder, pqdb_error *err) {
    if (pq_json_kind(value) != PQ_JSON_TEXT) {
        return wrong_kind(field->relation != NULL ? "an id as text" : "text", value, err);
    }
    struct pq_text text = pq_json_text(value);
    if (field->relation != NULL) {
        text = pq_relation_id(field->relation, text);
        if (memchr(text.data, '/', text.length) != NULL) {
            return pq_fail(err, PQDB_INVALID, "must be an id of %.*s, not '%.*s'",
                           PQ_TEXT_ARG(field->relation->target), PQ_TEXT_ARG(quoted(text)));
        }
    } else if (field->form != PQ_FORM_ANY) {
        struct pq_rule_text why;
        if (!pq_declared_accepts(field, text, &why)) return wrong_text(why.text, text, err);
    }
    return pq_builder_append_bytes(builder, text.data, text.length, err);
}

static pqdb_code convert_binary(struct pq_converter *converter, const struct pq_json *value,
                                struct pq_builder *builder, pqdb_error *err) {
    if (pq_json_kind(value) != PQ_JSON_TEXT) return wrong_kind("base64 text", value, err);
    converter->scratch.length = 0;
    const pqdb_code code = pq_base64_read(&converter->scratch, pq_json_text(value), err);
    if (code == PQDB_INVALID) return wrong_text("base64 text", pq_json_text(value), err);
    PQ_TRY(code);
    return pq_builder_append_bytes(builder, converter->scratch.data, converter->scratch.length,
                                   err);
}

static pqdb_code convert_variant(struct pq_converter *converter, const struct pq_json *value,
                                 struct pq_builder *builder, pqdb_error *err) {
    bool own;
    struct pq_bytes *scratch = &converter->scratch;
    scratch->length = 0;
    PQ_TRY(pq_variant_encode_json(converter->encoder, value, scratch, &own, err));
    if (own) return pq_builder_append_own_names(builder, scratch->data, scratch->length, err);
    return pq_builder_append_bytes(builder, scratch->data, scratch->length, err);
}

static pqdb_code convert_bool(const struct pq_json *value, struct pq_builder *builder,
                              pqdb_error *err) {
    if (pq_json_kind(value) != PQ_JSON_BOOL) return wrong_kind("true or false", value, err);
    const uint8_t truth = pq_json_bool(value);
    return pq_builder_append_fixed(builder, &truth, err);
}

pqdb_code pq_convert(struct pq_converter *converter, const struct pq_declared_field *field,
                     const struct pq_json *value, struct pq_builder *builder, pqdb_error *err) {
    switch (builder->type->kind) {
    case PQ_BOOL: return convert_bool(value, builder, err);
    case PQ_INT64: return convert_integer(value, builder, err);
    case PQ_FLOAT32:
    case PQ_FLOAT64: return convert_real(value, builder, err);
    case PQ_DECIMAL: return convert_decimal(converter, value, builder, err);
    case PQ_DATE: return convert_date(value, builder, err);
    case PQ_TIME: return convert_time(value, builder, err);
    case PQ_TIMESTAMP: return convert_timestamp(value, builder, err);
    case PQ_TEXT: return convert_text(field, value, builder, err);
    case PQ_BINARY: return convert_binary(converter, value, builder, err);
    case PQ_VARIANT: return convert_variant(converter, value, builder, err);
    default: return pq_fail(err, PQDB_INVALID, "has a type that no JSON can fill");
    }
}
