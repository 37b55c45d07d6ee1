#include <inttypes.h>

#include "base/check.h"
#include "expr/compile_internal.h"
#include "expr/functions_internal.h"
#include "type/decimal.h"

/// A field with its operators: `{ $regex: …, $options: … }` must see each other.
struct field {
    struct pq_node *value;
    const struct pq_json *operators;
};

typedef struct pq_node *field_operator(struct pq_compiler *compiler, const struct field *field,
                                       const struct pq_json *operand);
typedef struct pq_node *logical_operator(struct pq_compiler *compiler,
                                         const struct pq_json *operand);

static struct pq_node *field_operators(struct pq_compiler *compiler, struct pq_node *value,
                                       const struct pq_json *operators);

static bool begins_with_dollar(const struct pq_json *key) {
    const struct pq_text text = pq_json_text(key);
    return text.length > 0 && text.data[0] == '$';
}

/// One key with a dollar makes an object operators: the others are then mistakes.
static bool is_operators(const struct pq_json *json) {
    if (pq_json_kind(json) != PQ_JSON_OBJECT) return false;
    const size_t count = pq_json_count(json);
    const struct pq_json *key = count == 0 ? NULL : pq_json_first(json);
    for (size_t i = 0; i < count; i++, key = pq_json_next(pq_json_next(key))) {
        if (begins_with_dollar(key)) return true;
    }
    return false;
}

static struct pq_node *compare(struct pq_compiler *compiler, const char *name,
                               const struct field *field, const struct pq_json *operand) {
    struct pq_literal literal;
    if (is_operators(operand)) {
        return pq_compile_mistake(compiler, operand, "use $expr to compare fields",
                                  "%s of a filter takes a literal", name);
    }
    if (!pq_literal_of(compiler, operand, &literal)) return pq_node_null(compiler);
    if (field->value->kind == PQ_NODE_PATH) {
        pq_literal_link(&literal, field->value->path.relation);
    }
    struct pq_node *right = pq_node_literal(compiler, &literal);
    return pq_node_call(compiler, name, operand, field->value, right);
}

static struct pq_node *field_eq(struct pq_compiler *compiler, const struct field *field,
                                const struct pq_json *operand) {
    return compare(compiler, "$eq", field, operand);
}
static struct pq_node *field_ne(struct pq_compiler *compiler, const struct field *field,
                                const struct pq_json *operand) {
    return compare(compiler, "$ne", field, operand);
}
static struct pq_node *field_gt(struct pq_compiler *compiler, const struct field *field,
                                const struct pq_json *operand) {
    return compare(compiler, "$gt", field, operand);
}
static struct pq_node *field_gte(struct pq_compiler *compiler, const struct field *field,
                                 const struct pq_json *operand) {
    return compare(compiler, "$gte", field, operand);
}
static struct pq_node *field_lt(struct pq_compiler *compiler, const struct field *field,
                                const struct pq_json *operand) {
    return compare(compiler, "$lt", field, operand);
}
static struct pq_node *field_lte(struct pq_compiler *compiler, const struct field *field,
                                 const struct pq_json *operand) {
    return compare(compiler, "$lte", field, operand);
}

static struct pq_node *negated(struct pq_compiler *compiler, const struct pq_json *json,
                               struct pq_node *node) {
    return node == NULL ? NULL : pq_node_call(compiler, "$not", json, node, NULL);
}

/// A call of one argument whose extra is already known.
static struct pq_node *call_with(struct pq_compiler *compiler, const char *name,
                                 struct pq_node *value, const void *extra) {
    struct pq_node *node = pq_node_bare_call(compiler, pq_function_get(name), 1);
    if (node == NULL) return NULL;
    node->args[0] = value;
    node->type = pq_type_bool;
    node->extra = extra;
    return node;
}

static struct pq_node *field_in(struct pq_compiler *compiler, const struct field *field,
                                const struct pq_json *operand) {
    if (pq_json_kind(operand) != PQ_JSON_LIST) {
        return pq_compile_mistake(compiler, operand, "write $in: [value, …]",
                                  "$in takes a list of literals");
    }
    const struct pq_node *value = field->value;
    const struct pq_set *set = pq_set_of(
        compiler, operand, value->kind == PQ_NODE_PATH ? value->path.relation : NULL);
    if (set == NULL) return NULL;
    struct pq_test *test = pq_arena_calloc(compiler->arena, 1, sizeof *test);
    if (test == NULL || !pq_test_prepare_set(test, &value->type, set, compiler->arena)) {
        return pq_compile_no_memory(compiler);
    }
    return call_with(compiler, "#in", field->value, test);
}

static struct pq_node *field_nin(struct pq_compiler *compiler, const struct field *field,
                                 const struct pq_json *operand) {
    if (pq_json_kind(operand) != PQ_JSON_LIST) {
        return pq_compile_mistake(compiler, operand, "write $nin: [value, …]",
                                  "$nin takes a list of literals");
    }
    return negated(compiler, operand, field_in(compiler, field, operand));
}

static struct pq_node *field_exists(struct pq_compiler *compiler, const struct field *field,
                                    const struct pq_json *operand) {
    if (pq_json_kind(operand) != PQ_JSON_BOOL) {
        return pq_compile_mistake(compiler, operand, NULL, "$exists takes true or false");
    }
    struct pq_node *node = pq_node_call(compiler, "$exists", operand, field->value, NULL);
    return pq_json_bool(operand) ? node : negated(compiler, operand, node);
}

/// Names of types as a schema and as Mongo say them.
static const struct {
    const char *name;
    uint32_t kinds;
} type_names[] = {
#define KIND(kind) (UINT32_C(1) << (kind))
    {"boolean", KIND(PQ_BOOL)},
    {"bool", KIND(PQ_BOOL)},
    {"number", KIND(PQ_INT64) | KIND(PQ_FLOAT32) | KIND(PQ_FLOAT64) | KIND(PQ_DECIMAL)},
    {"int", KIND(PQ_INT64)},
    {"integer", KIND(PQ_INT64)},
    {"long", KIND(PQ_INT64)},
    {"bigint", KIND(PQ_INT64)},
    {"float", KIND(PQ_FLOAT32) | KIND(PQ_FLOAT64)},
    {"double", KIND(PQ_FLOAT32) | KIND(PQ_FLOAT64)},
    {"decimal", KIND(PQ_DECIMAL)},
    {"date", KIND(PQ_DATE)},
    {"time", KIND(PQ_TIME)},
    {"timestamp", KIND(PQ_TIMESTAMP)},
    {"datetime", KIND(PQ_TIMESTAMP)},
    {"string", KIND(PQ_TEXT)},
    {"text", KIND(PQ_TEXT)},
    {"binary", KIND(PQ_BINARY)},
    {"list", KIND(PQ_LIST)},
    {"array", KIND(PQ_LIST)},
    {"object", KIND(PQ_OBJECT)},
    {"null", KIND(PQ_NULL)},
#undef KIND
};
enum { TYPE_NAME_COUNT = sizeof type_names / sizeof *type_names };

static void add_type(struct pq_compiler *compiler, const struct pq_json *json, uint32_t *kinds) {
    const char *names[TYPE_NAME_COUNT];
    struct pq_remedy remedy;
    if (pq_json_kind(json) != PQ_JSON_TEXT) {
        pq_compile_mistake(compiler, json, NULL, "$type takes a name or a list of names");
        return;
    }
    const struct pq_text given = pq_json_text(json);
    for (size_t i = 0; i < TYPE_NAME_COUNT; i++) {
        names[i] = type_names[i].name;
        if (!pq_text_is(given, names[i])) continue;
        *kinds |= type_names[i].kinds;
        return;
    }
    const char *nearest = pq_remedy_nearest(given, names, TYPE_NAME_COUNT, &remedy);
    pq_compile_mistake(compiler, json, nearest, "$type knows no '%.*s'", PQ_TEXT_ARG(given));
}

static struct pq_node *field_type(struct pq_compiler *compiler, const struct field *field,
                                  const struct pq_json *operand) {
    struct pq_kind_set *set = pq_arena_calloc(compiler->arena, 1, sizeof *set);
    if (set == NULL) return pq_compile_no_memory(compiler);
    if (pq_json_kind(operand) == PQ_JSON_LIST) {
        const size_t count = pq_json_count(operand);
        const struct pq_json *item = count == 0 ? NULL : pq_json_first(operand);
        for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
            add_type(compiler, item, &set->kinds);
        }
    } else {
        add_type(compiler, operand, &set->kinds);
    }
    return call_with(compiler, "#type", field->value, set);
}

static struct pq_node *field_mod(struct pq_compiler *compiler, const struct field *field,
                                 const struct pq_json *operand) {
    struct pq_literal divisor, remainder;
    if (pq_json_kind(operand) != PQ_JSON_LIST || pq_json_count(operand) != 2 ||
        !pq_literal_of(compiler, pq_json_first(operand), &divisor) || !divisor.is_number ||
        !pq_literal_of(compiler, pq_json_next(pq_json_first(operand)), &remainder) ||
        !remainder.is_number) {
        return pq_compile_mistake(compiler, operand, NULL,
                                  "$mod takes [divisor, remainder], two numbers");
    }
    if (divisor.real.as.real == 0) {
        return pq_compile_mistake(compiler, operand, NULL, "$mod cannot divide by 0");
    }
    struct pq_node *left = pq_node_call(compiler, "$mod", operand, field->value,
                                        pq_node_literal(compiler, &divisor));
    return pq_node_call(compiler, "$eq", operand, left, pq_node_literal(compiler, &remainder));
}

static struct pq_node *text_operator(struct pq_compiler *compiler, const char *name,
                                     const struct field *field, const struct pq_json *operand) {
    struct pq_literal literal;
    if (pq_json_kind(operand) != PQ_JSON_TEXT) {
        return pq_compile_mistake(compiler, operand, NULL, "$%s takes a text", name + 1);
    }
    if (!pq_literal_of(compiler, operand, &literal)) return pq_node_null(compiler);
    return pq_node_call(compiler, name, operand, field->value,
                        pq_node_literal(compiler, &literal));
}

static struct pq_node *field_startsWith(struct pq_compiler *compiler, const struct field *field,
                                        const struct pq_json *operand) {
    return text_operator(compiler, "#startsWith", field, operand);
}
static struct pq_node *field_endsWith(struct pq_compiler *compiler, const struct field *field,
                                      const struct pq_json *operand) {
    return text_operator(compiler, "#endsWith", field, operand);
}
static struct pq_node *field_contains(struct pq_compiler *compiler, const struct field *field,
                                      const struct pq_json *operand) {
    return text_operator(compiler, "#contains", field, operand);
}

static struct pq_node *field_regex(struct pq_compiler *compiler, const struct field *field,
                                   const struct pq_json *operand) {
    const struct pq_json *options = pq_json_find(field->operators, "$options");
    struct pq_node *args[3] = {field->value, NULL, NULL};
    struct pq_literal literal;
    if (pq_json_kind(operand) != PQ_JSON_TEXT ||
        (options != NULL && pq_json_kind(options) != PQ_JSON_TEXT)) {
        return pq_compile_mistake(compiler, operand, NULL,
                                  "$regex and its $options each take a text");
    }
    if (!pq_literal_of(compiler, operand, &literal)) return pq_node_null(compiler);
    args[1] = pq_node_literal(compiler, &literal);
    if (options != NULL) {
        if (!pq_literal_of(compiler, options, &literal)) return pq_node_null(compiler);
        args[2] = pq_node_literal(compiler, &literal);
    }
    return pq_node_calls(compiler, pq_function_get("$regexMatch"), operand, args,
                         options == NULL ? 2 : 3);
}

static struct pq_node *field_options(struct pq_compiler *compiler, const struct field *field,
                                     const struct pq_json *operand) {
    if (pq_json_find(field->operators, "$regex") != NULL) return pq_node_bool(compiler, true);
    return pq_compile_mistake(compiler, operand, "write $regex beside it",
                              "$options without $regex");
}

/// An `$and` whose arguments are to be filled in.
static struct pq_node *conjunction(struct pq_compiler *compiler, size_t count) {
    struct pq_node *node = pq_node_bare_call(compiler, pq_function_get("$and"), count);
    if (node != NULL) node->type = pq_type_bool;
    return node;
}

/// The conjunction itself, or its only argument.
static struct pq_node *simplest(struct pq_node *all) {
    return all->arg_count == 1 && all->args[0]->type.kind == PQ_BOOL ? all->args[0] : all;
}

static bool is_elem_match(const struct pq_json *json) {
    return pq_json_kind(json) == PQ_JSON_OBJECT && pq_json_count(json) == 1 &&
           pq_text_is(pq_json_text(pq_json_first(json)), "$elemMatch");
}

static struct pq_node *field_elemMatch(struct pq_compiler *compiler, const struct field *field,
                                       const struct pq_json *operand);

static struct pq_node *field_all(struct pq_compiler *compiler, const struct field *field,
                                 const struct pq_json *operand) {
    if (pq_json_kind(operand) != PQ_JSON_LIST) {
        return pq_compile_mistake(compiler, operand, "write $all: [value, …]",
                                  "$all takes a list");
    }
    const size_t count = pq_json_count(operand);
    if (count == 0) return pq_node_bool(compiler, false);
    const struct pq_json *item = pq_json_first(operand);
    if (!is_elem_match(item)) {
        const struct pq_set *set = pq_set_of(
            compiler, operand,
            field->value->kind == PQ_NODE_PATH ? field->value->path.relation : NULL);
        return set == NULL ? NULL : call_with(compiler, "#all", field->value, set);
    }
    struct pq_node *all = conjunction(compiler, count);
    for (size_t i = 0; i < count && all != NULL; i++, item = pq_json_next(item)) {
        if (!is_elem_match(item)) {
            return pq_compile_mistake(compiler, item, NULL,
                                      "$all takes either values or $elemMatch, not both");
        }
        all->args[i] = field_elemMatch(compiler, field, pq_json_next(pq_json_first(item)));
        if (all->args[i] == NULL) return NULL;
    }
    return all;
}

/// An operator of fields, which applies to the element itself, or a filter over its fields?
static bool is_element_operators(const struct pq_json *condition) {
    if (!is_operators(condition)) return false;
    const struct pq_text first = pq_json_text(pq_json_first(condition));
    return !pq_text_is(first, "$and") && !pq_text_is(first, "$or") && !pq_text_is(first, "$nor") &&
           !pq_text_is(first, "$id") && !pq_text_is(first, "$expr");
}

static struct pq_node *element_condition(struct pq_compiler *compiler,
                                         const struct pq_json *condition) {
    static const struct pq_text nothing = {"", 0};
    if (!is_element_operators(condition)) return pq_compile_filter(compiler, condition);
    struct pq_node *element = pq_compile_path(compiler, nothing, condition);
    return element == NULL ? NULL : field_operators(compiler, element, condition);
}

static struct pq_node *field_elemMatch(struct pq_compiler *compiler, const struct field *field,
                                       const struct pq_json *operand) {
    if (pq_json_kind(operand) != PQ_JSON_OBJECT) {
        return pq_compile_mistake(compiler, operand, NULL, "$elemMatch takes a filter");
    }
    // Conditions on fields of the element may go on behind a link in it.
    struct pq_node *list =
        is_operators(operand) ? NULL : pq_compile_related(compiler, field->value);
    if (compiler->code != PQDB_OK) return NULL;
    if (list == NULL) list = field->value;
    const struct pq_type *type = &list->type;
    if (type->kind != PQ_LIST && type->kind != PQ_VARIANT) {
        if (type->kind != PQ_NULL) {
            pq_compile_warn(compiler, operand, "NO_LIST",
                            "$elemMatch never matches: it is no list");
        }
        return pq_node_bool(compiler, false);
    }
    struct pq_element_match *match = pq_arena_calloc(compiler->arena, 1, sizeof *match);
    if (match == NULL) return pq_compile_no_memory(compiler);
    if (!pq_compile_deeper(compiler)) return NULL;
    match->type = type->kind == PQ_LIST ? type->fields[0].type : pq_type_variant;

    const struct pq_compiler outer = *compiler;
    compiler->element = &match->type;
    compiler->element_path = field->value->kind == PQ_NODE_PATH ? field->value->path.text
                                                                : (struct pq_text){"", 0};
    compiler->paths = NULL;
    compiler->slot_count = 0;
    match->root = element_condition(compiler, operand);
    match->slot_count = compiler->slot_count;
    compiler->element = outer.element;
    compiler->element_path = outer.element_path;
    compiler->paths = outer.paths;
    compiler->slot_count = outer.slot_count;
    compiler->depth--;
    return match->root == NULL ? NULL : call_with(compiler, "#elemMatch", list, match);
}

static struct pq_node *field_size(struct pq_compiler *compiler, const struct field *field,
                                  const struct pq_json *operand) {
    struct pq_literal literal;
    if (!pq_literal_of(compiler, operand, &literal)) return pq_node_null(compiler);
    if (literal.exact.kind != PQ_INT64 || literal.exact.as.integer < 0) {
        return pq_compile_mistake(compiler, operand, NULL,
                                  "$size takes a whole number from 0 on");
    }
    struct pq_node *size = pq_node_call(compiler, "$size", operand, field->value, NULL);
    return pq_node_call(compiler, "$eq", operand, size, pq_node_literal(compiler, &literal));
}

static struct pq_node *field_not(struct pq_compiler *compiler, const struct field *field,
                                 const struct pq_json *operand) {
    if (!is_operators(operand)) {
        return pq_compile_mistake(compiler, operand, "use $ne for a value",
                                  "$not takes operators, like { $gt: 5 }");
    }
    return negated(compiler, operand, field_operators(compiler, field->value, operand));
}

static const struct {
    const char *name;
    field_operator *compile;
} field_table[] = {
#define PQ_FUNCTION(name, signature, args_min, args_max, keys, rule, scalar, kernel, help)
#define PQ_LOGICAL(name, help)
#define PQ_FIELD(name, help) {"$" #name, field_##name},
#include "expr/functions.def"
#undef PQ_FIELD
#undef PQ_LOGICAL
#undef PQ_FUNCTION
};
enum { FIELD_COUNT = sizeof field_table / sizeof *field_table };

static struct pq_node *unknown_operator(struct pq_compiler *compiler, const struct pq_json *key) {
    const char *names[FIELD_COUNT];
    struct pq_remedy remedy;
    for (size_t i = 0; i < FIELD_COUNT; i++) names[i] = field_table[i].name;
    const struct pq_text given = pq_json_text(key);
    if (!begins_with_dollar(key)) {
        return pq_compile_mistake(compiler, key, "write $eq: { … } for an object with such a key",
                                  "'%.*s' stands beside operators and is none",
                                  PQ_TEXT_ARG(given));
    }
    const char *nearest = pq_remedy_nearest(given, names, FIELD_COUNT, &remedy);
    return pq_compile_mistake(compiler, key, nearest, "%.*s is no operator of a filter's field",
                              PQ_TEXT_ARG(given));
}

static struct pq_node *one_operator(struct pq_compiler *compiler, const struct field *field,
                                    const struct pq_json *key) {
    const struct pq_text name = pq_json_text(key);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!pq_text_is(name, field_table[i].name)) continue;
        const size_t mark = pq_compile_enter(compiler, name);
        struct pq_node *node = field_table[i].compile(compiler, field, pq_json_next(key));
        pq_compile_leave(compiler, mark);
        return node;
    }
    return unknown_operator(compiler, key);
}

static struct pq_node *field_operators(struct pq_compiler *compiler, struct pq_node *value,
                                       const struct pq_json *operators) {
    if (!pq_compile_deeper(compiler)) return NULL;
    const struct field field = {.value = value, .operators = operators};
    const size_t count = pq_json_count(operators);
    const struct pq_json *key = pq_json_first(operators);
    struct pq_node *all = conjunction(compiler, count);
    if (all == NULL) return NULL;
    for (size_t i = 0; i < count; i++, key = pq_json_next(pq_json_next(key))) {
        all->args[i] = one_operator(compiler, &field, key);
        if (all->args[i] == NULL) return NULL;
    }
    compiler->depth--;
    return simplest(all);
}

static struct pq_node *filters(struct pq_compiler *compiler, const char *function,
                               const struct pq_json *operand) {
    if (pq_json_kind(operand) != PQ_JSON_LIST) {
        return pq_compile_mistake(compiler, operand, NULL, "%s takes a list of filters", function);
    }
    const size_t count = pq_json_count(operand);
    struct pq_node *node = pq_node_bare_call(compiler, pq_function_get(function), count);
    if (node == NULL) return NULL;
    const struct pq_json *item = count == 0 ? NULL : pq_json_first(operand);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        const size_t mark = pq_compile_enter_index(compiler, i);
        node->args[i] = pq_compile_filter(compiler, item);
        pq_compile_leave(compiler, mark);
        if (node->args[i] == NULL) return NULL;
    }
    node->type = pq_type_bool;
    return node;
}

static struct pq_node *logical_and(struct pq_compiler *compiler, const struct pq_json *operand) {
    return filters(compiler, "$and", operand);
}
static struct pq_node *logical_or(struct pq_compiler *compiler, const struct pq_json *operand) {
    return filters(compiler, "$or", operand);
}
static struct pq_node *logical_nor(struct pq_compiler *compiler, const struct pq_json *operand) {
    return negated(compiler, operand, filters(compiler, "$or", operand));
}
static struct pq_node *logical_not(struct pq_compiler *compiler, const struct pq_json *operand) {
    return negated(compiler, operand, pq_compile_filter(compiler, operand));
}
static struct pq_node *logical_expr(struct pq_compiler *compiler, const struct pq_json *operand) {
    if (compiler->element != NULL) {
        return pq_compile_mistake(compiler, operand, NULL, "$expr cannot stand in $elemMatch");
    }
    struct pq_node *node = pq_compile_expr(compiler, operand);
    if (node == NULL) return NULL;
    struct pq_node *args[1] = {node};
    return pq_node_calls(compiler, pq_function_get("$and"), operand, args, 1);
}

static const struct {
    const char *name;
    logical_operator *compile;
} logical_table[] = {
#define PQ_FUNCTION(name, signature, args_min, args_max, keys, rule, scalar, kernel, help)
#define PQ_FIELD(name, help)
#define PQ_LOGICAL(name, help) {"$" #name, logical_##name},
#include "expr/functions.def"
#undef PQ_LOGICAL
#undef PQ_FIELD
#undef PQ_FUNCTION
};
enum { LOGICAL_COUNT = sizeof logical_table / sizeof *logical_table };

static struct pq_node *unknown_logical(struct pq_compiler *compiler, const struct pq_json *key) {
    const char *names[LOGICAL_COUNT + 2] = {"$id", "$type"};
    struct pq_remedy remedy;
    const struct pq_text given = pq_json_text(key);
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!pq_text_is(given, field_table[i].name)) continue;
        return pq_compile_mistake(compiler, key, "write field: { operator: value }",
                                  "%.*s needs a field before it", PQ_TEXT_ARG(given));
    }
    for (size_t i = 0; i < LOGICAL_COUNT; i++) names[i + 2] = logical_table[i].name;
    const char *nearest = pq_remedy_nearest(given, names, LOGICAL_COUNT + 2, &remedy);
    return pq_compile_mistake(compiler, key, nearest, "%.*s is no operator of a filter",
                              PQ_TEXT_ARG(given));
}

static struct pq_node *one_condition(struct pq_compiler *compiler, const struct pq_json *key) {
    const struct pq_text name = pq_json_text(key);
    const struct pq_json *operand = pq_json_next(key);
    for (size_t i = 0; i < LOGICAL_COUNT; i++) {
        if (pq_text_is(name, logical_table[i].name)) {
            return logical_table[i].compile(compiler, operand);
        }
    }
    const bool is_field = pq_text_is(name, "$id") || pq_text_is(name, "$type");
    if (begins_with_dollar(key) && !is_field) return unknown_logical(compiler, key);
    struct pq_node *value = name.length == 0
                                ? pq_compile_mistake(compiler, key, NULL,
                                                     "an empty path names nothing")
                                : pq_compile_path(compiler, name, key);
    if (value == NULL) return NULL;
    if (is_operators(operand)) return field_operators(compiler, value, operand);
    const struct field field = {.value = value};
    return field_eq(compiler, &field, operand);
}

struct pq_node *pq_compile_filter(struct pq_compiler *compiler, const struct pq_json *json) {
    if (pq_json_kind(json) != PQ_JSON_OBJECT) {
        return pq_compile_mistake(compiler, json, "write { field: value }",
                                  "a filter is an object");
    }
    if (!pq_compile_deeper(compiler)) return NULL;
    const size_t count = pq_json_count(json);
    struct pq_node *all = conjunction(compiler, count);
    if (all == NULL) return NULL;
    const struct pq_json *key = count == 0 ? NULL : pq_json_first(json);
    for (size_t i = 0; i < count; i++, key = pq_json_next(pq_json_next(key))) {
        const size_t mark = pq_compile_enter(compiler, pq_json_text(key));
        all->args[i] = one_condition(compiler, key);
        pq_compile_leave(compiler, mark);
        if (all->args[i] == NULL) return NULL;
    }
    compiler->depth--;
    return simplest(all);
}
