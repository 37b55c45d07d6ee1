#include <math.h>

#include "expr/nested.h"
#include "expr/run_internal.h"
#include "type/decimal.h"
#include "type/timestamp.h"

static bool is_number(enum pq_kind kind) {
    return kind == PQ_INT64 || kind == PQ_FLOAT32 || kind == PQ_FLOAT64 || kind == PQ_DECIMAL;
}

static bool to_decimal(const struct pq_value *number, const struct pq_type *type,
                       struct pq_value *out) {
    struct pq_decimal decimal = {number->as.integer, 0};
    pq_i128 units;
    if (number->kind == PQ_FLOAT64 || number->kind == PQ_FLOAT32) {
        if (!pq_decimal_from_real(number->as.real, type->scale, &units)) return false;
    } else {
        if (number->kind == PQ_DECIMAL) {
            decimal = (struct pq_decimal){number->as.decimal, number->scale};
        }
        if (!pq_decimal_rescale(decimal, type->scale, PQ_ROUND_HALF_EVEN, &decimal)) return false;
        units = decimal.units;
    }
    if (!pq_decimal_fits(units, type->precision)) return false;
    *out = (struct pq_value){.kind = PQ_DECIMAL, .scale = type->scale};
    out->as.decimal = units;
    return true;
}

bool pq_value_widen(const struct pq_value *plain, const struct pq_type *type,
                    struct pq_value *out) {
    *out = *plain;
    if (is_number(type->kind) && is_number(plain->kind)) {
        if (type->kind == PQ_DECIMAL) return to_decimal(plain, type, out);
        if (type->kind == plain->kind) return true;
        if (type->kind == PQ_INT64) return false;
        *out = (struct pq_value){.kind = type->kind};
        out->as.real = pq_number_real(plain);
        if (type->kind == PQ_FLOAT32) out->as.real = (double)(float)out->as.real;
        return true;
    }
    return type->kind == plain->kind;
}

/// A whole number is an int however it was written.
static bool to_int(const struct pq_value *number, struct pq_value *out) {
    const struct pq_value canonical = pq_number_canonical(number);
    *out = canonical;
    return canonical.kind == PQ_INT64;
}

static bool to_time(const struct pq_value *plain, enum pq_kind kind, struct pq_value *out) {
    struct pq_value ms = {.kind = PQ_NULL};
    const struct pq_type microseconds = {.kind = PQ_DECIMAL, .precision = 38, .scale = 3};
    *out = (struct pq_value){.kind = kind};
    int32_t days;
    if (plain->kind == PQ_TEXT) {
        if (kind == PQ_TIME) return pq_time_parse(plain->as.text, &out->as.integer);
        if (kind == PQ_TIMESTAMP) return pq_timestamp_parse(plain->as.text, &out->as.integer);
        if (!pq_date_parse(plain->as.text, &days)) return false;
        out->as.integer = days;
        return true;
    }
    if (kind == PQ_TIMESTAMP && plain->kind == PQ_DATE) {
        return !__builtin_mul_overflow(plain->as.integer, PQ_US_PER_DAY, &out->as.integer);
    }
    if (kind != PQ_TIMESTAMP || !is_number(plain->kind)) return false;
    if (!to_decimal(plain, &microseconds, &ms)) return false;
    if (ms.as.decimal > INT64_MAX || ms.as.decimal < INT64_MIN) return false;
    out->as.integer = (int64_t)ms.as.decimal;
    return true;
}

bool pq_value_convert(const struct pq_value *plain, const struct pq_type *type,
                      struct pq_value *out) {
    if (plain->kind == type->kind && type->kind != PQ_DECIMAL) {
        *out = *plain;
        return true;
    }
    switch (type->kind) {
        case PQ_INT64: return is_number(plain->kind) && to_int(plain, out);
        case PQ_FLOAT32:
        case PQ_FLOAT64:
        case PQ_DECIMAL: return is_number(plain->kind) && pq_value_widen(plain, type, out);
        case PQ_DATE:
        case PQ_TIME:
        case PQ_TIMESTAMP: return to_time(plain, type->kind, out);
        default: return false;
    }
}

static pqdb_code append_list(struct pq_builder *builder, const struct pq_value *list,
                             bool *mismatch, pqdb_error *err) {
    const size_t count = pq_nested_count(list);
    for (size_t k = 0; k < count; k++) {
        const struct pq_value element = pq_nested_at(list, k, NULL);
        const pqdb_code code =
            pq_append_converted(&builder->children[0], &element, mismatch, err);
        if (code != PQDB_OK) return code;
    }
    return pq_builder_end_list(builder, err);
}

static struct pq_value member_of(const struct pq_value *object, struct pq_text wanted) {
    struct pq_members members = pq_members_of(object);
    struct pq_text name;
    struct pq_value value;
    while (pq_members_next(&members, &name, &value)) {
        if (pq_text_equal(name, wanted)) return value;
    }
    return (struct pq_value){.kind = PQ_NULL};
}

static pqdb_code append_object(struct pq_builder *builder, const struct pq_value *object,
                               bool *mismatch, pqdb_error *err) {
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        const struct pq_value member = member_of(object, builder->type->fields[k].name);
        const pqdb_code code =
            pq_append_converted(&builder->children[k], &member, mismatch, err);
        if (code != PQDB_OK) return code;
    }
    return pq_builder_end_object(builder, err);
}

pqdb_code pq_append_converted(struct pq_builder *builder, const struct pq_value *plain,
                              bool *mismatch, pqdb_error *err) {
    const enum pq_kind kind = builder->type->kind;
    struct pq_value converted;
    if (plain->kind == PQ_NULL) return pq_builder_append_null(builder, err);
    if (plain->kind == PQ_TEXT && kind == PQ_TEXT) {
        return pq_builder_append_bytes(builder, plain->as.text.data, plain->as.text.length, err);
    }
    if (plain->kind == PQ_INT64 && kind == PQ_INT64) {
        return pq_builder_append_fixed(builder, &plain->as.integer, err);
    }
    if (kind == PQ_LIST && pq_value_is_list(plain)) {
        return append_list(builder, plain, mismatch, err);
    }
    if (kind == PQ_OBJECT && pq_value_is_object(plain)) {
        return append_object(builder, plain, mismatch, err);
    }
    const bool scalar = kind != PQ_LIST && kind != PQ_OBJECT;
    if (scalar && pq_value_convert(plain, builder->type, &converted)) {
        return pq_builder_append_value(builder, &converted, err);
    }
    *mismatch = true;
    return pq_builder_append_null(builder, err);
}
