#include "base/fail.h"
#include "base/json.h"
#include "table/iceberg/avro.h"

enum { NODES_MAX = 1 << 16 };

static const struct {
    const char *name;
    enum pq_avro_kind kind;
} primitives[] = {
    {"null", PQ_AVRO_NULL},   {"boolean", PQ_AVRO_BOOL},  {"int", PQ_AVRO_INT},
    {"long", PQ_AVRO_LONG},   {"float", PQ_AVRO_FLOAT},   {"double", PQ_AVRO_DOUBLE},
    {"bytes", PQ_AVRO_BYTES}, {"string", PQ_AVRO_STRING},
};

struct named_type {
    struct pq_text space, name;  // the name without its namespace
    const struct pq_avro_node *node;
    const struct named_type *next;
};

struct parser {
    struct pq_arena *arena;
    const struct named_type *named;
    size_t node_count;
    unsigned depth;
    pqdb_error *err;
};

static pqdb_code parse_node(struct parser *parser, const struct pq_json *json,
                            struct pq_text space, const struct pq_avro_node **node);

static pqdb_code no_memory(const struct parser *parser) {
    return pq_fail(parser->err, PQDB_NO_MEMORY, "no memory for an Avro schema");
}

static pqdb_code new_node(struct parser *parser, enum pq_avro_kind kind,
                          struct pq_avro_node **node) {
    if (++parser->node_count > NODES_MAX) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has more than %d types", NODES_MAX);
    }
    *node = pq_arena_calloc(parser->arena, 1, sizeof **node);
    if (*node == NULL) return no_memory(parser);
    (*node)->kind = kind;
    return PQDB_OK;
}

static pqdb_code new_members(struct parser *parser, size_t count, struct pq_avro_node *node,
                             struct pq_avro_member **members) {
    *members = pq_arena_calloc(parser->arena, count, sizeof **members);
    if (*members == NULL) return no_memory(parser);
    for (size_t i = 0; i < count; i++) (*members)[i].id = -1;
    node->members = *members;
    node->member_count = count;
    return PQDB_OK;
}

static struct pq_text text_of(const struct pq_json *json) {
    if (json == NULL || pq_json_kind(json) != PQ_JSON_TEXT) return (struct pq_text){NULL, 0};
    return pq_json_text(json);
}

static int32_t id_of(const struct pq_json *object, const char *key) {
    const struct pq_json *id = pq_json_find(object, key);
    if (id == NULL || pq_json_kind(id) != PQ_JSON_INT) return -1;
    const int64_t value = pq_json_int(id);
    return value >= 0 && value <= INT32_MAX ? (int32_t)value : -1;
}

/// The document dies before the schema does.
static pqdb_code keep_name(struct parser *parser, struct pq_text name, struct pq_text *kept) {
    if (name.data == NULL) return PQDB_OK;
    *kept = pq_arena_copy(parser->arena, name);
    return kept->data == NULL ? no_memory(parser) : PQDB_OK;
}

/// "a.b.C" is C in a.b; a bare name is in the namespace around it.
static void split_name(struct pq_text full, struct pq_text *space, struct pq_text *name) {
    size_t dot = full.length;
    while (dot > 0 && full.data[dot - 1] != '.') dot--;
    *name = (struct pq_text){full.data + dot, full.length - dot};
    if (dot > 0) *space = (struct pq_text){full.data, dot - 1};
}

static const struct pq_avro_node *find_named(const struct parser *parser, struct pq_text full,
                                             struct pq_text space) {
    struct pq_text name;
    split_name(full, &space, &name);
    for (const struct named_type *named = parser->named; named != NULL; named = named->next) {
        if (pq_text_equal(named->name, name) && pq_text_equal(named->space, space)) {
            return named->node;
        }
    }
    return NULL;
}

static pqdb_code parse_name(struct parser *parser, struct pq_text text, struct pq_text space,
                            const struct pq_avro_node **node) {
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) {
        if (!pq_text_is(text, primitives[i].name)) continue;
        struct pq_avro_node *made = NULL;
        PQ_TRY(new_node(parser, primitives[i].kind, &made));
        *node = made;
        return PQDB_OK;
    }
    *node = find_named(parser, text, space);
    if (*node != NULL) return PQDB_OK;
    return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema names the unknown type '%.*s'",
                   PQ_TEXT_ARG(text));
}

static pqdb_code parse_union(struct parser *parser, const struct pq_json *list,
                             struct pq_text space, const struct pq_avro_node **node) {
    struct pq_avro_node *made = NULL;
    struct pq_avro_member *members = NULL;
    PQ_TRY(new_node(parser, PQ_AVRO_UNION, &made));
    const size_t count = pq_json_count(list);
    if (count == 0) return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has an empty union");
    PQ_TRY(new_members(parser, count, made, &members));
    const struct pq_json *branch = pq_json_first(list);
    for (size_t i = 0; i < count; i++, branch = pq_json_next(branch)) {
        PQ_TRY(parse_node(parser, branch, space, &members[i].node));
        if (members[i].node->kind == PQ_AVRO_UNION) {
            return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has a union in a union");
        }
    }
    *node = made;
    return PQDB_OK;
}

/// Enter a named type before its fields are parsed: they may refer to it.
static pqdb_code add_named(struct parser *parser, const struct pq_json *object,
                           const struct pq_avro_node *node, struct pq_text *space) {
    struct named_type *named = pq_arena_calloc(parser->arena, 1, sizeof *named);
    if (named == NULL) return no_memory(parser);
    const struct pq_text full = text_of(pq_json_find(object, "name"));
    if (full.length == 0) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has a named type without a name");
    }
    const struct pq_json *own_space = pq_json_find(object, "namespace");
    if (own_space != NULL) *space = text_of(own_space);
    split_name(full, space, &named->name);
    named->space = *space;
    named->node = node;
    named->next = parser->named;
    parser->named = named;
    return PQDB_OK;
}

static pqdb_code parse_record(struct parser *parser, const struct pq_json *object,
                              struct pq_text space, const struct pq_avro_node **node) {
    struct pq_avro_node *made = NULL;
    struct pq_avro_member *members = NULL;
    PQ_TRY(new_node(parser, PQ_AVRO_RECORD, &made));
    PQ_TRY(add_named(parser, object, made, &space));
    const struct pq_json *fields = pq_json_find(object, "fields");
    if (fields == NULL || pq_json_kind(fields) != PQ_JSON_LIST) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has a record without fields");
    }
    const size_t count = pq_json_count(fields);
    // Complete but for its members' types until all are parsed: nothing decodes before that.
    PQ_TRY(new_members(parser, count, made, &members));
    const struct pq_json *field = pq_json_first(fields);
    for (size_t i = 0; i < count; i++, field = pq_json_next(field)) {
        const struct pq_json *type = pq_json_find(field, "type");
        if (type == NULL) {
            return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has a field without a type");
        }
        PQ_TRY(keep_name(parser, text_of(pq_json_find(field, "name")), &members[i].name));
        members[i].id = id_of(field, "field-id");
        PQ_TRY(parse_node(parser, type, space, &members[i].node));
    }
    *node = made;
    return PQDB_OK;
}

static pqdb_code parse_enum(struct parser *parser, const struct pq_json *object,
                            struct pq_text space, const struct pq_avro_node **node) {
    struct pq_avro_node *made = NULL;
    struct pq_avro_member *members = NULL;
    PQ_TRY(new_node(parser, PQ_AVRO_ENUM, &made));
    PQ_TRY(add_named(parser, object, made, &space));
    const struct pq_json *symbols = pq_json_find(object, "symbols");
    if (symbols == NULL || pq_json_kind(symbols) != PQ_JSON_LIST) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has an enum without symbols");
    }
    const size_t count = pq_json_count(symbols);
    PQ_TRY(new_members(parser, count, made, &members));
    const struct pq_json *symbol = pq_json_first(symbols);
    for (size_t i = 0; i < count; i++, symbol = pq_json_next(symbol)) {
        PQ_TRY(keep_name(parser, text_of(symbol), &members[i].name));
    }
    *node = made;
    return PQDB_OK;
}

static pqdb_code parse_fixed(struct parser *parser, const struct pq_json *object,
                             struct pq_text space, const struct pq_avro_node **node) {
    struct pq_avro_node *made = NULL;
    PQ_TRY(new_node(parser, PQ_AVRO_FIXED, &made));
    PQ_TRY(add_named(parser, object, made, &space));
    const int32_t size = id_of(object, "size");
    if (size < 0) return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has a fixed without size");
    made->fixed_bytes = (uint32_t)size;
    *node = made;
    return PQDB_OK;
}

static pqdb_code parse_container(struct parser *parser, const struct pq_json *object,
                                 struct pq_text space, bool is_map,
                                 const struct pq_avro_node **node) {
    struct pq_avro_node *made = NULL;
    struct pq_avro_member *members = NULL;
    PQ_TRY(new_node(parser, is_map ? PQ_AVRO_MAP : PQ_AVRO_ARRAY, &made));
    PQ_TRY(new_members(parser, 1, made, &members));
    const struct pq_json *items = pq_json_find(object, is_map ? "values" : "items");
    if (items == NULL) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has an array or map of nothing");
    }
    members[0].id = id_of(object, is_map ? "value-id" : "element-id");
    PQ_TRY(parse_node(parser, items, space, &members[0].node));
    *node = made;
    return PQDB_OK;
}

static pqdb_code parse_object(struct parser *parser, const struct pq_json *object,
                              struct pq_text space, const struct pq_avro_node **node) {
    const struct pq_json *type = pq_json_find(object, "type");
    if (type == NULL) return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has a typeless type");
    const struct pq_text name = text_of(type);
    if (name.data == NULL) return parse_node(parser, type, space, node);
    if (pq_text_is(name, "record")) return parse_record(parser, object, space, node);
    if (pq_text_is(name, "enum")) return parse_enum(parser, object, space, node);
    if (pq_text_is(name, "fixed")) return parse_fixed(parser, object, space, node);
    if (pq_text_is(name, "array")) return parse_container(parser, object, space, false, node);
    if (pq_text_is(name, "map")) return parse_container(parser, object, space, true, node);
    return parse_name(parser, name, space, node);
}

static pqdb_code parse_node(struct parser *parser, const struct pq_json *json,
                            struct pq_text space, const struct pq_avro_node **node) {
    if (parser->depth >= PQ_AVRO_DEPTH_MAX) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Avro schema is nested deeper than %d",
                       PQ_AVRO_DEPTH_MAX);
    }
    parser->depth++;
    pqdb_code code = PQDB_OK;
    switch (pq_json_kind(json)) {
        case PQ_JSON_TEXT: code = parse_name(parser, pq_json_text(json), space, node); break;
        case PQ_JSON_LIST: code = parse_union(parser, json, space, node); break;
        case PQ_JSON_OBJECT: code = parse_object(parser, json, space, node); break;
        default:
            code = pq_fail(parser->err, PQDB_CORRUPT, "Avro schema has a type that is no type");
    }
    parser->depth--;
    return code;
}

pqdb_code pq_avro_schema_parse(struct pq_text json, struct pq_arena *arena,
                               const struct pq_avro_node **schema, pqdb_error *err) {
    struct pq_json_document *document = NULL;
    pqdb_code code = pq_json_parse(json, PQ_JSON_STRICT, arena->source, &document, err);
    if (code == PQDB_INVALID) code = pq_fail(err, PQDB_CORRUPT, "Avro schema is not JSON");
    if (code != PQDB_OK) return code;
    struct parser parser = {.arena = arena, .err = err};
    code = parse_node(&parser, pq_json_root(document), PQ_TEXT(""), schema);
    pq_json_destroy(document);
    return code;
}
