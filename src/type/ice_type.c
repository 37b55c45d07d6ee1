/// A declaration is read from left to right:
///
///     base(params) index [] !|? = default        string#  enum(a,b)##!  decimal(10,2)[]  int = 0
///     -> Type | Type[] | Type.reverse  !|?       <- Type.field[]  !|?
///
/// Defaults are in ice_default.c, the forms of text in ice_form.c.
#include "type/ice_type.h"

#include <stdio.h>

#include "base/fail.h"
#include "type/decimal.h"
#include "type/ice_internal.h"

enum { length_limit = 1 << 24, vector_limit = 1 << 16, enum_limit = 1000 };

enum params { PARAMS_NONE, PARAMS_LENGTH, PARAMS_DECIMAL, PARAMS_ENUM, PARAMS_VECTOR };

struct base {
    const char *name;
    enum pq_kind kind;
    enum pq_text_form form;
    enum params params;
    const char *example;  // of the parameters, where it has some
};

static const struct base bases[] = {
    {"string", PQ_TEXT, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"text", PQ_TEXT, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"markdown", PQ_TEXT, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"varchar", PQ_TEXT, PQ_FORM_VARCHAR, PARAMS_LENGTH, "varchar(100)"},
    {"char", PQ_TEXT, PQ_FORM_CHAR, PARAMS_LENGTH, "char(2)"},
    {"email", PQ_TEXT, PQ_FORM_EMAIL, PARAMS_NONE, NULL},
    {"url", PQ_TEXT, PQ_FORM_URL, PARAMS_NONE, NULL},
    {"uuid", PQ_TEXT, PQ_FORM_UUID, PARAMS_NONE, NULL},
    {"enum", PQ_TEXT, PQ_FORM_ENUM, PARAMS_ENUM, "enum(new,open,done)"},
    {"int", PQ_INT64, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"long", PQ_INT64, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"bigint", PQ_INT64, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"integer", PQ_INT64, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"float", PQ_FLOAT32, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"double", PQ_FLOAT64, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"number", PQ_FLOAT64, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"decimal", PQ_DECIMAL, PQ_FORM_ANY, PARAMS_DECIMAL, "decimal(10,2)"},
    {"date", PQ_DATE, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"time", PQ_TIME, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"timestamp", PQ_TIMESTAMP, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"datetime", PQ_TIMESTAMP, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"boolean", PQ_BOOL, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"bool", PQ_BOOL, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"binary", PQ_BINARY, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"variant", PQ_VARIANT, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"json", PQ_VARIANT, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"any", PQ_VARIANT, PQ_FORM_ANY, PARAMS_NONE, NULL},
    {"vector", PQ_LIST, PQ_FORM_ANY, PARAMS_VECTOR, "vector(384)"},
};
enum { base_count = sizeof bases / sizeof *bases };

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "declaration of a field");
}

// ---- taking pieces off the front -----------------------------------------------------------

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_word(char c) {
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static struct pq_text trim(struct pq_text text) {
    while (text.length > 0 && is_space(*text.data)) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && is_space(text.data[text.length - 1])) text.length--;
    return text;
}

static void skip(struct pq_text *text, size_t length) {
    text->data += length;
    text->length -= length;
}

static bool take(struct pq_text *text, const char *token) {
    const struct pq_text wanted = pq_text_of(token);
    const struct pq_text rest = trim(*text);
    if (!pq_text_starts_with(rest, wanted)) return false;
    *text = rest;
    skip(text, wanted.length);
    return true;
}

static struct pq_text take_word(struct pq_text *text) {
    *text = trim(*text);
    size_t length = 0;
    while (length < text->length && is_word(text->data[length])) length++;
    const struct pq_text word = {text->data, length};
    skip(text, length);
    return word;
}

/// The next comma-separated parameter.
static struct pq_text take_param(struct pq_text *params) {
    size_t length = 0;
    while (length < params->length && params->data[length] != ',') length++;
    const struct pq_text param = {params->data, length};
    skip(params, length < params->length ? length + 1 : length);
    return trim(param);
}

static bool number_of(struct pq_text text, uint32_t max, uint32_t *number) {
    uint32_t value = 0;
    if (text.length == 0 || text.length > 9) return false;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') return false;
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *number = value;
    return value <= max;
}

// ---- parameters ----------------------------------------------------------------------------

static pqdb_code read_enum(struct ice_parse *parse, struct pq_text params) {
    struct pq_declared_field *field = parse->target->field;
    size_t count = 1;
    for (size_t i = 0; i < params.length; i++) count += params.data[i] == ',';
    if (count > enum_limit) {
        return ice_problem(parse, "INVALID_TYPE", NULL, "an enum has at most %d values",
                           enum_limit);
    }
    struct pq_text *values = pq_arena_calloc(parse->target->arena, count, sizeof *values);
    if (values == NULL) return no_memory(parse->err);
    for (size_t i = 0; i < count; i++) {
        const struct pq_text value = take_param(&params);
        if (value.length == 0) {
            return ice_problem(parse, "INVALID_TYPE", "Name each value once: enum(new,open,done)",
                               "an enum value is empty");
        }
        for (size_t k = 0; k < i; k++) {
            if (pq_text_equal(values[k], value)) {
                return ice_problem(parse, "INVALID_TYPE", "Remove one of them",
                                   "the enum value '%.*s' stands twice", PQ_TEXT_ARG(value));
            }
        }
        values[i] = pq_arena_copy(parse->target->arena, value);
        if (values[i].data == NULL) return no_memory(parse->err);
    }
    field->enum_values = values;
    field->enum_count = count;
    return PQDB_OK;
}

static pqdb_code read_decimal(struct ice_parse *parse, struct pq_text params) {
    struct pq_declared_field *field = parse->target->field;
    const struct pq_text first = take_param(&params), second = take_param(&params);
    uint32_t precision, scale;
    if (!number_of(first, PQ_DECIMAL_DIGITS_MAX, &precision) || precision == 0 ||
        !number_of(second, precision, &scale) || params.length > 0) {
        return ice_problem(parse, "INVALID_TYPE", "Write decimal(10,2)",
                           "a decimal has a precision of 1 to 38 digits and a scale up to that");
    }
    field->field.type.precision = (uint8_t)precision;
    field->field.type.scale = (uint8_t)scale;
    return PQDB_OK;
}

static pqdb_code read_vector(struct ice_parse *parse, struct pq_text params) {
    struct pq_declared_field *field = parse->target->field;
    if (!number_of(trim(params), vector_limit, &field->vector_length) ||
        field->vector_length == 0) {
        return ice_problem(parse, "INVALID_TYPE", "Write vector(384)",
                           "a vector has a length of 1 to %d", vector_limit);
    }
    struct pq_field *element = pq_arena_calloc(parse->target->arena, 1, sizeof *element);
    if (element == NULL) return no_memory(parse->err);
    *element = (struct pq_field){
        .name = PQ_TEXT("element"), .type = {.kind = PQ_FLOAT32}, .required = true};
    field->field.type.field_count = 1;
    field->field.type.fields = element;
    return PQDB_OK;
}

static pqdb_code read_params(struct ice_parse *parse, const struct base *base,
                             struct pq_text *rest) {
    struct pq_declared_field *field = parse->target->field;
    const bool has_params = take(rest, "(");
    if (base->params == PARAMS_NONE) {
        if (!has_params) return PQDB_OK;
        return ice_problem(parse, "INVALID_TYPE", NULL, "%s takes no parameters", base->name);
    }
    size_t length = 0;
    while (length < rest->length && rest->data[length] != ')') length++;
    if (!has_params || length == rest->length) {
        return ice_problem(parse, "INVALID_TYPE", NULL,
                           "%s needs its parameters in parentheses, like %s", base->name,
                           base->example);
    }
    const struct pq_text params = {rest->data, length};
    skip(rest, length + 1);
    if (base->params == PARAMS_ENUM) return read_enum(parse, params);
    if (base->params == PARAMS_DECIMAL) return read_decimal(parse, params);
    if (base->params == PARAMS_VECTOR) return read_vector(parse, params);
    if (!number_of(trim(params), length_limit, &field->length_max) || field->length_max == 0) {
        return ice_problem(parse, "INVALID_TYPE", NULL, "%s needs a length of 1 to %d, like %s",
                           base->name, length_limit, base->example);
    }
    return PQDB_OK;
}

// ---- the whole -----------------------------------------------------------------------------

pqdb_code pq_ice_wrap_list(struct pq_arena *arena, struct pq_declared_field *field,
                           pqdb_error *err) {
    struct pq_field *element = pq_arena_calloc(arena, 1, sizeof *element);
    if (element == NULL) return no_memory(err);
    *element = (struct pq_field){.name = PQ_TEXT("element"), .type = field->field.type};
    field->field.type = (struct pq_type){.kind = PQ_LIST, .field_count = 1, .fields = element};
    return PQDB_OK;
}

/// `!` or `?`, and nothing after it but perhaps a default.
static pqdb_code read_end(struct ice_parse *parse, struct pq_text *rest) {
    struct pq_declared_field *field = parse->target->field;
    if (take(rest, "!")) {
        field->field.required = true;
    } else {
        take(rest, "?");
    }
    *rest = trim(*rest);
    if (rest->length == 0 || *rest->data == '=') return PQDB_OK;
    const bool is_mark = *rest->data == '#' || *rest->data == '[' || *rest->data == '!';
    return ice_problem(parse, "INVALID_TYPE",
                       is_mark ? "The order is: type, # or ##, [], ! or ?, = default"
                               : "Remove it",
                       "'%.*s' does not belong here", PQ_TEXT_ARG(*rest));
}

static pqdb_code read_relation(struct ice_parse *parse, struct pq_text rest, bool inverse) {
    struct pq_declared_field *field = parse->target->field;
    struct pq_relation *relation = pq_arena_calloc(parse->target->arena, 1, sizeof *relation);
    if (relation == NULL) return no_memory(parse->err);
    relation->inverse = inverse;
    const struct pq_text target = take_word(&rest);
    const bool has_end = take(&rest, ".");
    const struct pq_text end = has_end ? take_word(&rest) : PQ_TEXT("");
    relation->many = take(&rest, "[]");
    if (target.length == 0 || (has_end && end.length == 0)) {
        return ice_problem(parse, "INVALID_TYPE", NULL,
                           "expected %s", inverse ? "<- Type.field[]" : "-> Type or -> Type[]");
    }
    if (inverse && (end.length == 0 || !relation->many)) {
        return ice_problem(parse, "INVALID_TYPE", "Write <- Type.field[]",
                           "a computed inverse names the field that points here, and is a list");
    }
    relation->target = pq_arena_copy(parse->target->arena, target);
    *(inverse ? &relation->field : &relation->reverse) =
        pq_arena_copy(parse->target->arena, end);
    if (relation->target.data == NULL) return no_memory(parse->err);
    field->relation = relation;
    field->field.type = pq_type_text;
    PQ_TRY(read_end(parse, &rest));
    if (rest.length > 0) {
        return ice_problem(parse, "INVALID_DEFAULT", "Remove the default",
                           "a relation has no default");
    }
    return relation->many ? pq_ice_wrap_list(parse->target->arena, field, parse->err) : PQDB_OK;
}

static pqdb_code fail_unknown(struct ice_parse *parse, struct pq_text name, struct pq_text whole) {
    const char *names[base_count];
    for (size_t i = 0; i < base_count; i++) names[i] = bases[i].name;
    const char *nearest = pq_text_nearest(name, names, base_count);
    char remedy[64];
    snprintf(remedy, sizeof remedy, "Did you mean %s?", nearest == NULL ? "" : nearest);
    if (name.length == 0) {
        return ice_problem(parse, "INVALID_TYPE", "Write a type like string! or -> Customer",
                           "'%.*s' does not begin with a type", PQ_TEXT_ARG(whole));
    }
    return ice_problem(parse, "INVALID_TYPE",
                       nearest == NULL ? "Use string, int, double, decimal(p,s), boolean, date, "
                                         "timestamp, variant … (see the list of types)"
                                       : remedy,
                       "unknown type '%.*s'", PQ_TEXT_ARG(name));
}

static pqdb_code read_scalar(struct ice_parse *parse, struct pq_text rest) {
    struct pq_declared_field *field = parse->target->field;
    const struct pq_text whole = rest, name = take_word(&rest);
    const struct base *base = NULL;
    for (size_t i = 0; i < base_count && base == NULL; i++) {
        if (pq_text_is(name, bases[i].name)) base = &bases[i];
    }
    if (base == NULL) return fail_unknown(parse, name, whole);
    field->field.type.kind = base->kind;
    field->form = base->form;
    PQ_TRY(read_params(parse, base, &rest));
    field->unique = take(&rest, "##");
    field->indexed = field->unique || take(&rest, "#");
    const bool is_list = take(&rest, "[]");
    const bool has_keys = base->kind != PQ_VARIANT && base->kind != PQ_LIST && !is_list;
    if (field->unique && !has_keys) {
        return ice_problem(parse, "INVALID_TYPE", "Use # for an index",
                           "## needs values that can be compared as a whole");
    }
    if (is_list) PQ_TRY(pq_ice_wrap_list(parse->target->arena, field, parse->err));
    PQ_TRY(read_end(parse, &rest));
    if (rest.length == 0) return PQDB_OK;
    skip(&rest, 1);
    return ice_read_default(parse, trim(rest));
}

pqdb_code pq_ice_type_parse(struct pq_text name, struct pq_text declaration,
                            struct pq_problem_at at, struct pq_ice_target *target,
                            pqdb_error *err) {
    struct pq_declared_field *field = target->field;
    *field = (struct pq_declared_field){
        .column = -1, .line = at.line, .column_in_line = at.column};
    field->field.name = pq_arena_copy(target->arena, name);
    field->declaration = pq_arena_copy(target->arena, declaration);
    if (field->field.name.data == NULL || field->declaration.data == NULL) return no_memory(err);
    struct ice_parse parse = {target, at, err};
    struct pq_text rest = trim(declaration);
    if (take(&rest, "->")) return read_relation(&parse, rest, false);
    if (take(&rest, "<-")) return read_relation(&parse, rest, true);
    return read_scalar(&parse, rest);
}

struct pq_text pq_relation_id(const struct pq_relation *relation, struct pq_text link) {
    const struct pq_text target = relation->target;
    if (link.length <= target.length || link.data[target.length] != '/') return link;
    const struct pq_text before = {link.data, target.length};
    if (!pq_text_equal_any_case(before, target)) return link;
    skip(&link, target.length + 1);
    return link;
}
