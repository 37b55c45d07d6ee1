/// Defaults: `= 0`, `= open`, `= 'two words'`, `= 2026-01-15`, `= []`. Words need quotes only where
/// they would be read as something else; every default is checked like a value that is written.
#include <math.h>

#include "base/fail.h"
#include "base/json.h"
#include "type/decimal.h"
#include "type/ice_internal.h"
#include "type/timestamp.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "default of a field");
}

/// Kinds whose default may stand without quotes.
static bool is_wordy(enum pq_kind kind) {
    return kind == PQ_TEXT || kind == PQ_DATE || kind == PQ_TIME || kind == PQ_TIMESTAMP;
}

static bool time_of(enum pq_kind kind, struct pq_text text, struct pq_value *value) {
    int32_t days;
    if (kind == PQ_TIME) return pq_time_parse(text, &value->as.integer);
    if (kind == PQ_TIMESTAMP) return pq_timestamp_parse(text, &value->as.integer);
    if (!pq_date_parse(text, &days)) return false;
    value->as.integer = days;
    return true;
}

static pqdb_code text_value(struct ice_parse *parse, enum pq_kind kind, struct pq_text text,
                            struct pq_value *value) {
    if (kind != PQ_TEXT) {
        if (time_of(kind, text, value)) return PQDB_OK;
        return ice_problem(parse, "INVALID_DEFAULT", "Write it as ISO 8601, like 2026-01-15",
                           "the default '%.*s' is not of the field's type", PQ_TEXT_ARG(text));
    }
    struct pq_rule_text why;
    if (!pq_declared_accepts(parse->target->field, text, &why)) {
        return ice_problem(parse, "INVALID_DEFAULT", NULL, "the default '%.*s' is not %s",
                           PQ_TEXT_ARG(text), why.text);
    }
    value->as.text = pq_arena_copy(parse->target->arena, text);
    return value->as.text.data == NULL ? no_memory(parse->err) : PQDB_OK;
}

/// A number as it is written, for a field of a numeric type or a timestamp in milliseconds.
static bool number_value(const struct pq_type *type, struct pq_text text, struct pq_value *value) {
    if (type->kind == PQ_DECIMAL) {
        value->scale = type->scale;
        return pq_decimal_parse(text, type->precision, type->scale, &value->as.decimal, NULL) ==
               PQDB_OK;
    }
    if (type->kind == PQ_FLOAT64 || type->kind == PQ_FLOAT32) {
        const bool is_read = pq_json_read_real(text, &value->as.real);
        if (type->kind == PQ_FLOAT32) value->as.real = (double)(float)value->as.real;
        return is_read && isfinite(value->as.real);
    }
    struct pq_decimal decimal;
    if (!pq_decimal_parse_exact(text, &decimal)) return false;
    const struct pq_value number = {
        .kind = PQ_DECIMAL, .scale = decimal.scale, .as.decimal = decimal.units};
    const struct pq_value whole = pq_number_canonical(&number);
    if (whole.kind != PQ_INT64) return false;
    value->as.integer = whole.as.integer;
    if (type->kind == PQ_INT64) return true;
    return type->kind == PQ_TIMESTAMP &&
           !__builtin_mul_overflow(whole.as.integer, PQ_US_PER_MS, &value->as.integer);
}

static pqdb_code json_value(struct ice_parse *parse, const struct pq_type *type,
                            const struct pq_json *json, struct pq_value *value);

static pqdb_code list_value(struct ice_parse *parse, const struct pq_type *type,
                            const struct pq_json *json) {
    const struct pq_type *element = &type->fields[0].type;
    const uint32_t length = parse->target->field->vector_length;
    const size_t count = pq_json_count(json);
    if (element->kind == PQ_FLOAT32 && length > 0 && count != length) {
        return ice_problem(parse, "INVALID_DEFAULT", NULL,
                           "the default has %zu numbers, the vector %u", count, length);
    }
    const struct pq_json *item = pq_json_first(json);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        struct pq_value ignored;
        PQ_TRY(json_value(parse, element, item, &ignored));
    }
    return PQDB_OK;
}

/// Check one JSON value against a type; scalars are also given back.
static pqdb_code json_value(struct ice_parse *parse, const struct pq_type *type,
                            const struct pq_json *json, struct pq_value *value) {
    const enum pq_json_kind kind = pq_json_kind(json);
    *value = (struct pq_value){.kind = type->kind};
    if (type->kind == PQ_VARIANT) {
        *value = (struct pq_value){.kind = PQ_NULL};
        return PQDB_OK;
    }
    if (kind == PQ_JSON_LIST && type->kind == PQ_LIST) {
        *value = (struct pq_value){.kind = PQ_NULL};
        return list_value(parse, type, json);
    }
    if (kind == PQ_JSON_TEXT && is_wordy(type->kind)) {
        return text_value(parse, type->kind, pq_json_text(json), value);
    }
    if (kind == PQ_JSON_BOOL && type->kind == PQ_BOOL) {
        value->as.boolean = pq_json_bool(json);
        return PQDB_OK;
    }
    if (kind == PQ_JSON_NUMBER && number_value(type, pq_json_text(json), value)) return PQDB_OK;
    const struct pq_text wanted = pq_type_format(type, parse->target->arena);
    return ice_problem(parse, "INVALID_DEFAULT", NULL, "the default is no %.*s",
                       PQ_TEXT_ARG(wanted));
}

static pqdb_code keep_json(struct ice_parse *parse, const struct pq_json *json,
                           struct pq_text word) {
    struct pq_bytes out;
    pq_bytes_init(&out, &parse->target->arena->alloc);
    PQ_TRY(json != NULL ? pq_json_write(&out, json, parse->err)
                        : pq_json_write_text(&out, word, parse->err));
    struct pq_text *kept = &parse->target->field->default_json;
    *kept = pq_arena_copy(parse->target->arena, pq_bytes_text(&out));
    return kept->data == NULL ? no_memory(parse->err) : PQDB_OK;
}

pqdb_code ice_read_default(struct ice_parse *parse, struct pq_text text) {
    struct pq_declared_field *field = parse->target->field;
    const enum pq_kind kind = field->field.type.kind;
    if (text.length == 0 || kind == PQ_BINARY) {
        return ice_problem(parse, "INVALID_DEFAULT", "Remove the =",
                           text.length == 0 ? "there is no value after the ="
                                            : "a binary field has no default");
    }
    field->has_default = true;
    struct pq_decimal ignored;
    const bool is_number = kind == PQ_TIMESTAMP && pq_decimal_parse_exact(text, &ignored);
    if (is_wordy(kind) && !is_number && *text.data != '\'' && *text.data != '"') {
        if (pq_text_is(text, "null")) {
            return ice_problem(parse, "INVALID_DEFAULT", "Leave the default out",
                               "null is what a field without default is");
        }
        PQ_TRY(keep_json(parse, NULL, text));
        field->default_value = (struct pq_value){.kind = kind};
        return text_value(parse, kind, text, &field->default_value);
    }
    struct pq_json_document *document;
    pqdb_error fault;
    const pqdb_code code = pq_json_parse(text, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS,
                                         &parse->target->arena->alloc, &document, &fault);
    if (code == PQDB_NO_MEMORY) return no_memory(parse->err);
    if (code != PQDB_OK) {
        return ice_problem(parse, "INVALID_DEFAULT", NULL, "the default '%.*s' does not parse: %s",
                           PQ_TEXT_ARG(text), fault.message);
    }
    PQ_TRY(keep_json(parse, pq_json_root(document), text));
    return json_value(parse, &field->field.type, pq_json_root(document), &field->default_value);
}
