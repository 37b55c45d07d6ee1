#include "table/iceberg/schema_json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"

static pqdb_code write_type(const struct pq_type *type, struct pq_bytes *out, pqdb_error *err);

static pqdb_code write_field(const struct pq_field *field, struct pq_bytes *out,
                             pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, "{\"id\":%" PRId32 ",\"name\":", field->id));
    PQ_TRY(pq_json_write_text(out, field->name, err));
    PQ_TRY(pq_bytes_printf(out, err, ",\"required\":%s,\"type\":",
                           field->required ? "true" : "false"));
    PQ_TRY(write_type(&field->type, out, err));
    return pq_bytes_append_byte(out, '}', err);
}

static pqdb_code need_id(const struct pq_field *field, pqdb_error *err) {
    if (field->id > 0 && field->id <= PQ_ICEBERG_ID_MAX) return PQDB_OK;
    return pq_fail(err, PQDB_INVALID, "column '%.*s' has no Iceberg field id",
                   PQ_TEXT_ARG(field->name));
}

pqdb_code pq_iceberg_fields_write(const struct pq_type *object, struct pq_bytes *out,
                                  pqdb_error *err) {
    if (object->kind != PQ_OBJECT || object->field_count == 0) {
        return pq_fail(err, PQDB_INVALID, "an object without members cannot be an Iceberg struct");
    }
    PQ_TRY(pq_bytes_append_byte(out, '[', err));
    for (uint32_t i = 0; i < object->field_count; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(need_id(&object->fields[i], err));
        PQ_TRY(write_field(&object->fields[i], out, err));
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code write_list(const struct pq_type *list, struct pq_bytes *out, pqdb_error *err) {
    const struct pq_field *element = &list->fields[0];
    PQ_TRY(need_id(element, err));
    PQ_TRY(pq_bytes_printf(out, err, "{\"type\":\"list\",\"element-id\":%" PRId32
                           ",\"element-required\":%s,\"element\":",
                           element->id, element->required ? "true" : "false"));
    PQ_TRY(write_type(&element->type, out, err));
    return pq_bytes_append_byte(out, '}', err);
}

static pqdb_code write_type(const struct pq_type *type, struct pq_bytes *out, pqdb_error *err) {
    const char *name = NULL;
    switch (type->kind) {
        case PQ_BOOL: name = "\"boolean\""; break;
        case PQ_INT64: name = "\"long\""; break;
        case PQ_FLOAT32: name = "\"float\""; break;
        case PQ_FLOAT64: name = "\"double\""; break;
        case PQ_DECIMAL:
            return pq_bytes_printf(out, err, "\"decimal(%d, %d)\"", type->precision, type->scale);
        case PQ_DATE: name = "\"date\""; break;
        case PQ_TIME: name = "\"time\""; break;
        case PQ_TIMESTAMP: name = "\"timestamptz\""; break;
        case PQ_NULL:  // a column that is always null; v2 has no type for it
        case PQ_VARIANT:
        case PQ_TEXT: name = "\"string\""; break;
        case PQ_BINARY: name = "\"binary\""; break;
        case PQ_LIST: return write_list(type, out, err);
        case PQ_OBJECT:
            PQ_TRY(pq_bytes_append_text(out, PQ_TEXT("{\"type\":\"struct\",\"fields\":"), err));
            PQ_TRY(pq_iceberg_fields_write(type, out, err));
            return pq_bytes_append_byte(out, '}', err);
    }
    return pq_bytes_append_text(out, pq_text_of(name), err);
}

// ---- reading

static const struct {
    const char *name;
    enum pq_kind kind;
} primitives[] = {
    {"boolean", PQ_BOOL},        {"int", PQ_INT64},       {"long", PQ_INT64},
    {"float", PQ_FLOAT32},       {"double", PQ_FLOAT64},  {"date", PQ_DATE},
    {"time", PQ_TIME},           {"string", PQ_TEXT},     {"timestamp", PQ_TIMESTAMP},
    {"uuid", PQ_TEXT},           {"binary", PQ_BINARY},   {"timestamptz", PQ_TIMESTAMP},
};

struct reader {
    struct pq_arena *arena;
    unsigned depth;
    pqdb_error *err;
};

static pqdb_code corrupt(const struct reader *reader, const char *what) {
    return pq_fail(reader->err, PQDB_CORRUPT, "Iceberg schema: %s", what);
}

static pqdb_code parse_type(struct reader *reader, const struct pq_json *json,
                            struct pq_type *type);

/// "decimal(10,2)" with or without blanks. False if it is something else.
static bool parse_decimal(struct pq_text text, struct pq_type *type) {
    unsigned precision = 0, scale = 0;
    int used = 0;
    char copy[32];
    if (text.length >= sizeof copy) return false;
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    if (sscanf(copy, "decimal ( %2u , %2u )%n", &precision, &scale, &used) != 2) return false;
    if ((size_t)used != text.length || precision < 1 || precision > 38 || scale > precision) {
        return false;
    }
    *type = (struct pq_type){
        .kind = PQ_DECIMAL, .precision = (uint8_t)precision, .scale = (uint8_t)scale};
    return true;
}

static pqdb_code parse_primitive(struct reader *reader, struct pq_text text,
                                 struct pq_type *type) {
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) {
        if (!pq_text_is(text, primitives[i].name)) continue;
        *type = (struct pq_type){.kind = primitives[i].kind};
        return PQDB_OK;
    }
    if (parse_decimal(text, type)) return PQDB_OK;
    if (pq_text_starts_with(text, PQ_TEXT("fixed["))) {
        *type = (struct pq_type){.kind = PQ_BINARY};
        return PQDB_OK;
    }
    return pq_fail(reader->err, PQDB_UNSUPPORTED, "Iceberg type '%.*s' is not read here",
                   PQ_TEXT_ARG(text));
}

static pqdb_code parse_id(struct reader *reader, const struct pq_json *object, const char *key,
                          int32_t *id) {
    const struct pq_json *value = pq_json_find(object, key);
    if (value == NULL || pq_json_kind(value) != PQ_JSON_INT || pq_json_int(value) < 0 ||
        pq_json_int(value) > INT32_MAX) {
        return corrupt(reader, "a field without id");
    }
    *id = (int32_t)pq_json_int(value);
    return PQDB_OK;
}

static bool is_true(const struct pq_json *object, const char *key) {
    const struct pq_json *value = pq_json_find(object, key);
    return value != NULL && pq_json_kind(value) == PQ_JSON_BOOL && pq_json_bool(value);
}

static struct pq_field *new_fields(struct reader *reader, struct pq_type *type, size_t count) {
    struct pq_field *fields = pq_arena_calloc(reader->arena, count, sizeof *fields);
    if (fields == NULL) {
        pq_fail(reader->err, PQDB_NO_MEMORY, "no memory for a schema");
        return NULL;
    }
    type->fields = fields;
    type->field_count = (uint32_t)count;
    return fields;
}

static pqdb_code parse_list(struct reader *reader, const struct pq_json *json,
                            struct pq_type *type) {
    *type = (struct pq_type){.kind = PQ_LIST};
    struct pq_field *element = new_fields(reader, type, 1);
    if (element == NULL) return PQDB_NO_MEMORY;
    const struct pq_json *element_type = pq_json_find(json, "element");
    if (element_type == NULL) return corrupt(reader, "a list without element");
    element->name = PQ_TEXT("element");
    element->required = is_true(json, "element-required");
    PQ_TRY(parse_id(reader, json, "element-id", &element->id));
    return parse_type(reader, element_type, &element->type);
}

/// A LIST of OBJECT { key, value }; the pair itself has no id.
static pqdb_code parse_map(struct reader *reader, const struct pq_json *json,
                           struct pq_type *type) {
    *type = (struct pq_type){.kind = PQ_LIST};
    struct pq_field *element = new_fields(reader, type, 1);
    if (element == NULL) return PQDB_NO_MEMORY;
    *element = (struct pq_field){.name = PQ_TEXT("element"), .required = true};
    element->type.kind = PQ_OBJECT;
    struct pq_field *pair = new_fields(reader, &element->type, 2);
    if (pair == NULL) return PQDB_NO_MEMORY;
    const struct pq_json *key = pq_json_find(json, "key"), *value = pq_json_find(json, "value");
    if (key == NULL || value == NULL) return corrupt(reader, "a map without key or value");
    pair[0].name = PQ_TEXT("key");
    pair[0].required = true;
    PQ_TRY(parse_id(reader, json, "key-id", &pair[0].id));
    PQ_TRY(parse_type(reader, key, &pair[0].type));
    pair[1].name = PQ_TEXT("value");
    pair[1].required = is_true(json, "value-required");
    PQ_TRY(parse_id(reader, json, "value-id", &pair[1].id));
    return parse_type(reader, value, &pair[1].type);
}

static pqdb_code parse_struct(struct reader *reader, const struct pq_json *json,
                              struct pq_type *type) {
    const struct pq_json *list = pq_json_find(json, "fields");
    if (list == NULL || pq_json_kind(list) != PQ_JSON_LIST) {
        return corrupt(reader, "a struct without fields");
    }
    *type = (struct pq_type){.kind = PQ_OBJECT};
    const size_t count = pq_json_count(list);
    struct pq_field *fields = new_fields(reader, type, count);
    if (fields == NULL) return PQDB_NO_MEMORY;
    const struct pq_json *json_field = pq_json_first(list);
    for (size_t i = 0; i < count; i++, json_field = pq_json_next(json_field)) {
        const bool is_object = pq_json_kind(json_field) == PQ_JSON_OBJECT;
        const struct pq_json *name = is_object ? pq_json_find(json_field, "name") : NULL;
        const struct pq_json *field_type = is_object ? pq_json_find(json_field, "type") : NULL;
        if (name == NULL || pq_json_kind(name) != PQ_JSON_TEXT || field_type == NULL) {
            return corrupt(reader, "a field without name or type");
        }
        fields[i].name = pq_arena_copy(reader->arena, pq_json_text(name));
        if (fields[i].name.data == NULL) {
            return pq_fail(reader->err, PQDB_NO_MEMORY, "no memory for a schema");
        }
        fields[i].required = is_true(json_field, "required");
        PQ_TRY(parse_id(reader, json_field, "id", &fields[i].id));
        PQ_TRY(parse_type(reader, field_type, &fields[i].type));
    }
    return PQDB_OK;
}

static pqdb_code parse_type(struct reader *reader, const struct pq_json *json,
                            struct pq_type *type) {
    if (pq_json_kind(json) == PQ_JSON_TEXT) {
        return parse_primitive(reader, pq_json_text(json), type);
    }
    const struct pq_json *kind = pq_json_find(json, "type");
    if (kind == NULL || pq_json_kind(kind) != PQ_JSON_TEXT) {
        return corrupt(reader, "a type that is none");
    }
    if (reader->depth >= PQ_ICEBERG_DEPTH_MAX) return corrupt(reader, "nested too deep");
    reader->depth++;
    pqdb_code code = PQDB_OK;
    const struct pq_text name = pq_json_text(kind);
    if (pq_text_is(name, "struct")) {
        code = parse_struct(reader, json, type);
    } else if (pq_text_is(name, "list")) {
        code = parse_list(reader, json, type);
    } else if (pq_text_is(name, "map")) {
        code = parse_map(reader, json, type);
    } else {
        code = corrupt(reader, "a type that is none");
    }
    reader->depth--;
    return code;
}

pqdb_code pq_iceberg_schema_parse(const struct pq_json *schema, struct pq_arena *arena,
                                  struct pq_type *object, pqdb_error *err) {
    struct reader reader = {.arena = arena, .err = err};
    if (pq_json_kind(schema) != PQ_JSON_OBJECT) return corrupt(&reader, "not an object");
    return parse_struct(&reader, schema, object);
}
