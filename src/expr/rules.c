/// What each operator's result is: the rules that expr/functions.def names.
#include <ctype.h>
#include <inttypes.h>

#include "base/fail.h"
#include "base/zone.h"
#include "expr/compile_internal.h"
#include "expr/functions_internal.h"
#include "type/decimal.h"

static bool is_number(enum pq_kind kind) {
    return kind == PQ_INT64 || kind == PQ_FLOAT32 || kind == PQ_FLOAT64 || kind == PQ_DECIMAL;
}

/// Can a value of this static kind ever be what the signature's letter wants?
static bool may_be(char letter, enum pq_kind kind) {
    if (kind == PQ_NULL || kind == PQ_VARIANT || letter == '*') return true;
    if (letter == 't') return kind == PQ_TEXT;
    if (letter == 'n') return is_number(kind);
    return kind == PQ_DATE || kind == PQ_TIMESTAMP || kind == PQ_TEXT || is_number(kind);
}

static void warn_of_kinds(struct pq_compiler *compiler, const struct pq_node *node,
                          const struct pq_json *json) {
    const char *letter = node->function->signature;
    if (*letter == '?') letter++;
    for (size_t k = 0; k < node->arg_count; k++) {
        if (!may_be(*letter, node->args[k]->type.kind)) {
            pq_compile_warn(compiler, json, "WRONG_KIND",
                            "argument %zu of %s is never %s: the result is always null", k + 1,
                            node->function->name,
                            *letter == 't' ? "a text" : (*letter == 'n' ? "a number" : "a time"));
        }
        if (letter[1] != '\0') letter++;
    }
}

static bool set_type(struct pq_compiler *compiler, struct pq_node *node,
                     const struct pq_json *json, const struct pq_type *type) {
    warn_of_kinds(compiler, node, json);
    node->type = *type;
    return true;
}

bool pq_rule_bool(struct pq_compiler *compiler, struct pq_node *node, const struct pq_json *json) {
    return set_type(compiler, node, json, &pq_type_bool);
}
bool pq_rule_int(struct pq_compiler *compiler, struct pq_node *node, const struct pq_json *json) {
    return set_type(compiler, node, json, &pq_type_int64);
}
bool pq_rule_double(struct pq_compiler *compiler, struct pq_node *node,
                    const struct pq_json *json) {
    return set_type(compiler, node, json, &pq_type_float64);
}
bool pq_rule_text(struct pq_compiler *compiler, struct pq_node *node, const struct pq_json *json) {
    return set_type(compiler, node, json, &pq_type_text);
}
bool pq_rule_timestamp(struct pq_compiler *compiler, struct pq_node *node,
                       const struct pq_json *json) {
    return set_type(compiler, node, json, &pq_type_timestamp);
}
bool pq_rule_same(struct pq_compiler *compiler, struct pq_node *node, const struct pq_json *json) {
    return set_type(compiler, node, json, &node->args[0]->type);
}

static struct pq_type decimal_of(unsigned scale) {
    const uint8_t limit = PQ_DECIMAL_DIGITS_MAX;
    return (struct pq_type){.kind = PQ_DECIMAL,
                            .precision = limit,
                            .scale = scale > limit ? limit : (uint8_t)scale};
}

/// The type an argument takes part with: a literal beside decimals is the decimal as written.
static struct pq_type number_type(const struct pq_node *arg) {
    if (arg->kind != PQ_NODE_CONST || !arg->literal.is_number) return arg->type;
    if (arg->literal.exact.kind != PQ_DECIMAL) {
        return (struct pq_type){.kind = arg->literal.exact.kind};
    }
    return decimal_of(arg->literal.exact.scale);
}

struct pq_type pq_type_of_numbers(const struct pq_node *node) {
    bool real = false, decimal = false, integer = false, dynamic = false;
    uint8_t scale = 0;
    for (size_t k = 0; k < node->arg_count; k++) {
        const struct pq_type type = number_type(node->args[k]);
        real |= type.kind == PQ_FLOAT64 || type.kind == PQ_FLOAT32;
        integer |= type.kind == PQ_INT64;
        dynamic |= type.kind == PQ_VARIANT;
        if (type.kind != PQ_DECIMAL) continue;
        decimal = true;
        if (type.scale > scale) scale = type.scale;
    }
    if (dynamic) return pq_type_variant;
    if (real) return pq_type_float64;
    if (decimal) return decimal_of(scale);
    return integer ? pq_type_int64 : pq_type_null;
}

bool pq_rule_add(struct pq_compiler *compiler, struct pq_node *node, const struct pq_json *json) {
    const struct pq_type type = pq_type_of_numbers(node);
    node->reading = PQ_READ_ADAPTED;
    return set_type(compiler, node, json, &type);
}

bool pq_rule_multiply(struct pq_compiler *compiler, struct pq_node *node,
                      const struct pq_json *json) {
    struct pq_type type = pq_type_of_numbers(node);
    unsigned scale = 0;
    for (size_t k = 0; k < node->arg_count; k++) {
        const struct pq_type of_arg = number_type(node->args[k]);
        if (of_arg.kind == PQ_DECIMAL) scale += of_arg.scale;
    }
    if (type.kind == PQ_DECIMAL) type = decimal_of(scale);
    node->reading = PQ_READ_ADAPTED;
    return set_type(compiler, node, json, &type);
}

bool pq_rule_divide(struct pq_compiler *compiler, struct pq_node *node,
                    const struct pq_json *json) {
    node->reading = PQ_READ_ADAPTED;
    return set_type(compiler, node, json, &pq_type_float64);
}

bool pq_rule_same_number(struct pq_compiler *compiler, struct pq_node *node,
                         const struct pq_json *json) {
    struct pq_type type = node->args[0]->type;
    if (!is_number(type.kind) && type.kind != PQ_VARIANT) type = pq_type_null;
    if (type.kind == PQ_FLOAT32) type = pq_type_float64;
    if (type.kind == PQ_DECIMAL) type = decimal_of(type.scale);
    return set_type(compiler, node, json, &type);
}

/// Two types, neither null, to one that holds both.
static struct pq_type unify_two(const struct pq_type *a, const struct pq_type *b) {
    if (pq_type_equal(a, b)) return *a;
    if (!is_number(a->kind) || !is_number(b->kind)) return pq_type_variant;
    if (a->kind == PQ_DECIMAL || b->kind == PQ_DECIMAL) {
        if (a->kind == PQ_FLOAT32 || a->kind == PQ_FLOAT64) return pq_type_float64;
        if (b->kind == PQ_FLOAT32 || b->kind == PQ_FLOAT64) return pq_type_float64;
        return decimal_of(a->scale > b->scale ? a->scale : b->scale);
    }
    return pq_type_float64;  // two of int, float and double
}

static bool is_number_literal(const struct pq_node *node) {
    return node->kind == PQ_NODE_CONST && node->literal.is_number;
}

struct pq_type pq_type_unify(const struct pq_node *const *nodes, size_t count) {
    struct pq_type all = pq_type_null;
    for (size_t k = 0; k < count; k++) {
        const struct pq_type *type = &nodes[k]->type;
        if (is_number_literal(nodes[k]) || type->kind == PQ_NULL) continue;
        all = all.kind == PQ_NULL ? *type : unify_two(&all, type);
    }
    const bool as_decimal = all.kind == PQ_DECIMAL;
    for (size_t k = 0; k < count; k++) {
        if (!is_number_literal(nodes[k])) continue;
        const struct pq_type type = as_decimal ? number_type(nodes[k]) : nodes[k]->type;
        all = all.kind == PQ_NULL ? type : unify_two(&all, &type);
    }
    return all;
}

/// Which arguments a choice can give: the others are conditions.
static bool is_chosen(const struct pq_node *node, size_t k) {
    if (pq_text_is(pq_text_of(node->function->name), "$cond")) return k > 0;
    if (!pq_text_is(pq_text_of(node->function->name), "$switch")) return true;
    return k % 2 == 1 || k + 1 == node->arg_count;
}

bool pq_rule_choose(struct pq_compiler *compiler, struct pq_node *node,
                    const struct pq_json *json) {
    const struct pq_node *chosen[PQ_ARGS_MAX];
    size_t count = 0;
    for (size_t k = 0; k < node->arg_count; k++) {
        if (is_chosen(node, k)) chosen[count++] = node->args[k];
    }
    const struct pq_type type = pq_type_unify(chosen, count);
    if (type.kind == PQ_DECIMAL) node->reading = PQ_READ_ADAPTED;
    return set_type(compiler, node, json, &type);
}

static const struct {
    const char *name, *swapped;
    enum pq_test_op op;
} comparisons[] = {
    {"$eq", "$eq", PQ_OP_EQ},   {"$ne", "$ne", PQ_OP_NE},   {"$gt", "$lt", PQ_OP_GT},
    {"$gte", "$lte", PQ_OP_GTE}, {"$lt", "$gt", PQ_OP_LT}, {"$lte", "$gte", PQ_OP_LTE},
};

static enum pq_test_op op_of(const struct pq_node *node, const char **swapped) {
    size_t i = 0;
    while (!pq_text_is(pq_text_of(node->function->name), comparisons[i].name)) i++;
    *swapped = comparisons[i].swapped;
    return comparisons[i].op;
}

bool pq_rule_compare(struct pq_compiler *compiler, struct pq_node *node,
                     const struct pq_json *json) {
    const char *swapped;
    op_of(node, &swapped);
    if (node->args[0]->kind == PQ_NODE_CONST && node->args[1]->kind != PQ_NODE_CONST) {
        struct pq_node *literal = node->args[0];
        node->args[0] = node->args[1];
        node->args[1] = literal;
        node->function = pq_function_get(swapped);
    }
    struct pq_test *test = pq_arena_calloc(compiler->arena, 1, sizeof *test);
    if (test == NULL) return pq_compile_no_memory(compiler) != NULL;
    test->op = op_of(node, &swapped);
    if (node->args[1]->kind == PQ_NODE_CONST) {
        pq_test_prepare(test, &node->args[0]->type, &node->args[1]->literal);
    }
    node->extra = test;
    node->reading = PQ_READ_COMPARED;
    return set_type(compiler, node, json, &pq_type_bool);
}

bool pq_rule_in(struct pq_compiler *compiler, struct pq_node *node, const struct pq_json *json) {
    const enum pq_kind kind = node->args[1]->type.kind;
    if (kind != PQ_LIST && kind != PQ_VARIANT && kind != PQ_NULL) {
        pq_compile_mistake(compiler, json, "write $in: [value, [a, b]]",
                           "the second argument of $in is a list");
        return false;
    }
    return set_type(compiler, node, json, &pq_type_bool);
}

/// A text literal of an argument that has to be one.
static bool constant_text(struct pq_compiler *compiler, const struct pq_node *node, size_t k,
                          const struct pq_json *json, struct pq_text *text) {
    const struct pq_node *arg = node->args[k];
    if (arg->kind == PQ_NODE_CONST && arg->literal.own.kind == PQ_TEXT) {
        *text = arg->literal.own.as.text;
        return true;
    }
    pq_compile_mistake(compiler, json, NULL, "argument %zu of %s is a text that stands there",
                       k + 1, node->function->name);
    return false;
}

bool pq_rule_text_test(struct pq_compiler *compiler, struct pq_node *node,
                       const struct pq_json *json) {
    struct pq_test *test = pq_arena_calloc(compiler->arena, 1, sizeof *test);
    if (test == NULL) return pq_compile_no_memory(compiler) != NULL;
    if (!constant_text(compiler, node, 1, json, &test->text)) return false;
    const char third = node->function->name[1];  // #startsWith, #endsWith, #contains
    test->op = third == 's' ? PQ_OP_STARTS : (third == 'e' ? PQ_OP_ENDS : PQ_OP_CONTAINS);
    test->kind = node->args[0]->type.kind == PQ_TEXT ? PQ_TEST_TEXT : PQ_TEST_GENERAL;
    node->extra = test;
    return pq_rule_bool(compiler, node, json);
}

/// What every text begins with that `^…` can match; empty when that is nothing. Anything but
/// letters that stand for themselves ends it, and takes the one before with it where it may repeat
/// that.
static bool prefix_of(struct pq_compiler *compiler, struct pq_text pattern, struct pq_text options,
                      struct pq_text *prefix) {
    static const char special[] = ".^$*+?()[]{}|\\", repeats[] = "*+?{", other_sense[] = "imx";
    *prefix = (struct pq_text){"", 0};
    if (pattern.length < 2 || pattern.data[0] != '^') return true;
    for (size_t i = 0; i < options.length; i++) {
        if (memchr(other_sense, options.data[i], 3) != NULL) return true;
    }
    if (memchr(pattern.data, '|', pattern.length) != NULL) return true;
    char *room = pq_arena_alloc(compiler->arena, pattern.length);
    if (room == NULL) return pq_compile_no_memory(compiler) != NULL;
    size_t length = 0, at = 1;
    for (; at < pattern.length; at++) {
        char c = pattern.data[at];
        const bool is_escape = c == '\\' && at + 1 < pattern.length;
        if (is_escape && ispunct((unsigned char)pattern.data[at + 1])) {
            c = pattern.data[++at];
        } else if (c == '\0' || strchr(special, c) != NULL) {
            break;
        }
        room[length++] = c;
    }
    if (at < pattern.length && strchr(repeats, pattern.data[at]) != NULL) {
        while (length > 0 && ((uint8_t)room[length - 1] & 0xC0) == 0x80) length--;
        if (length > 0) length--;
    }
    *prefix = (struct pq_text){room, length};
    return true;
}

bool pq_rule_regex(struct pq_compiler *compiler, struct pq_node *node,
                   const struct pq_json *json) {
    struct pq_text pattern, options = {"", 0};
    pqdb_error why;
    struct pq_test *test = pq_arena_calloc(compiler->arena, 1, sizeof *test);
    if (test == NULL) return pq_compile_no_memory(compiler) != NULL;
    if (!constant_text(compiler, node, 1, json, &pattern)) return false;
    if (node->arg_count > 2 && !constant_text(compiler, node, 2, json, &options)) return false;
    const pqdb_code code = pq_regex_create(pattern, options, compiler->program->alloc,
                                           &compiler->program->regexes, &why);
    if (code == PQDB_NO_MEMORY) return pq_compile_no_memory(compiler) != NULL;
    if (code != PQDB_OK) {
        pq_compile_mistake(compiler, json, NULL, "the regular expression is wrong: %s",
                           why.message);
        return false;
    }
    if (!prefix_of(compiler, pattern, options, &test->text)) return false;
    test->op = PQ_OP_REGEX;
    test->kind = node->args[0]->type.kind == PQ_TEXT ? PQ_TEST_TEXT : PQ_TEST_GENERAL;
    test->regex = compiler->program->regexes;
    node->extra = test;
    return pq_rule_bool(compiler, node, json);
}

static const struct pq_field text_element = {.name = {"element", 7}, .type = {.kind = PQ_TEXT}};
static const struct pq_type text_list = {
    .kind = PQ_LIST, .field_count = 1, .fields = &text_element};

bool pq_rule_split(struct pq_compiler *compiler, struct pq_node *node,
                   const struct pq_json *json) {
    return set_type(compiler, node, json, &text_list);
}

bool pq_rule_array_elem(struct pq_compiler *compiler, struct pq_node *node,
                        const struct pq_json *json) {
    const struct pq_type *list = &node->args[0]->type;
    if (list->kind == PQ_LIST) return set_type(compiler, node, json, &list->fields[0].type);
    if (list->kind == PQ_VARIANT) return set_type(compiler, node, json, &pq_type_variant);
    return set_type(compiler, node, json, &pq_type_null);
}

enum { SCALE_WITHOUT_A_SOURCE = 9 };

bool pq_rule_to_decimal(struct pq_compiler *compiler, struct pq_node *node,
                        const struct pq_json *json) {
    const struct pq_type *from = &node->args[0]->type;
    unsigned scale = from->kind == PQ_DECIMAL ? from->scale
                     : from->kind == PQ_INT64 ? 0
                                              : SCALE_WITHOUT_A_SOURCE;
    if (node->arg_count > 1) {
        const struct pq_node *given = node->args[1];
        const struct pq_value *value = &given->literal.exact;
        if (given->kind != PQ_NODE_CONST || value->kind != PQ_INT64 || value->as.integer < 0 ||
            value->as.integer > PQ_DECIMAL_DIGITS_MAX) {
            pq_compile_mistake(compiler, json, NULL, "the scale of $toDecimal is 0 to %d",
                               PQ_DECIMAL_DIGITS_MAX);
            return false;
        }
        scale = (unsigned)value->as.integer;
    }
    const struct pq_type type = decimal_of(scale);
    return set_type(compiler, node, json, &type);
}

/// The time zone, if argument k is there.
static bool zone_argument(struct pq_compiler *compiler, const struct pq_node *node, size_t k,
                          const struct pq_json *json, const struct pq_zone **zone) {
    struct pq_text name;
    pqdb_error why;
    *zone = NULL;
    if (k >= node->arg_count) return true;
    if (!constant_text(compiler, node, k, json, &name)) return false;
    const pqdb_code code = pq_zone_find(name, zone, &why);
    if (code == PQDB_OK) return true;
    if (code == PQDB_NO_MEMORY) return pq_compile_no_memory(compiler) != NULL;
    pq_compile_mistake(compiler, json, NULL, "%s", why.message);
    return false;
}

static struct pq_date_call *date_call(struct pq_compiler *compiler) {
    struct pq_date_call *call = pq_arena_calloc(compiler->arena, 1, sizeof *call);
    if (call == NULL) pq_compile_no_memory(compiler);
    return call;
}

static void set_bucket(struct pq_node *node, const struct pq_date_call *call) {
    node->extra = call;
    node->type = pq_bucket_is_date(call->bucket) ? pq_type_date : pq_type_timestamp;
}

bool pq_rule_date_trunc(struct pq_compiler *compiler, struct pq_node *node,
                        const struct pq_json *json) {
    struct pq_text unit;
    struct pq_remedy remedy;
    struct pq_date_call *call = date_call(compiler);
    if (call == NULL || !constant_text(compiler, node, 1, json, &unit) ||
        !zone_argument(compiler, node, 2, json, &call->zone)) {
        return false;
    }
    if (!pq_bucket_find(unit, &call->bucket)) {
        pq_compile_mistake(compiler, json,
                           pq_remedy_nearest(unit, pq_bucket_names, PQ_BUCKET_COUNT, &remedy),
                           "$dateTrunc knows no unit '%.*s'", PQ_TEXT_ARG(unit));
        return false;
    }
    warn_of_kinds(compiler, node, json);
    set_bucket(node, call);
    return true;
}

struct pq_node *pq_node_bucket(struct pq_compiler *compiler, struct pq_node *source,
                               enum pq_bucket bucket, const struct pq_zone *zone) {
    struct pq_node *node = pq_node_bare_call(compiler, pq_function_get("$dateTrunc"), 1);
    struct pq_date_call *call = node == NULL ? NULL : date_call(compiler);
    if (call == NULL) return NULL;
    *call = (struct pq_date_call){.bucket = bucket, .zone = zone};
    node->args[0] = source;
    warn_of_kinds(compiler, node, compiler->source->json);
    set_bucket(node, call);
    return node;
}

static const char *const unit_names[] = {
    [PQ_UNIT_YEAR] = "year",
    [PQ_UNIT_QUARTER] = "quarter",
    [PQ_UNIT_MONTH] = "month",
    [PQ_UNIT_WEEK] = "week",
    [PQ_UNIT_DAY] = "day",
    [PQ_UNIT_HOUR] = "hour",
    [PQ_UNIT_MINUTE] = "minute",
    [PQ_UNIT_SECOND] = "second",
    [PQ_UNIT_MILLISECOND] = "millisecond",
    [PQ_UNIT_MICROSECOND] = "microsecond",
    [PQ_UNIT_DAY_OF_WEEK] = "dayOfWeek",
    [PQ_UNIT_DAY_OF_YEAR] = "dayOfYear",
};

static bool date_units(struct pq_compiler *compiler, struct pq_node *node,
                       const struct pq_json *json, size_t unit_at, size_t unit_count) {
    struct pq_text unit;
    struct pq_remedy remedy;
    struct pq_date_call *call = date_call(compiler);
    if (call == NULL || !constant_text(compiler, node, unit_at, json, &unit) ||
        !zone_argument(compiler, node, unit_at + 1, json, &call->zone)) {
        return false;
    }
    node->extra = call;
    for (size_t i = 0; i < unit_count; i++) {
        call->unit = (enum pq_date_unit)i;
        if (pq_text_is(unit, unit_names[i])) return pq_rule_int(compiler, node, json);
    }
    pq_compile_mistake(compiler, json, pq_remedy_nearest(unit, unit_names, unit_count, &remedy),
                       "%s knows no unit '%.*s'", node->function->name, PQ_TEXT_ARG(unit));
    return false;
}

bool pq_rule_date_part(struct pq_compiler *compiler, struct pq_node *node,
                       const struct pq_json *json) {
    return date_units(compiler, node, json, 1, PQ_UNIT_DAY_OF_YEAR + 1);
}

bool pq_rule_date_diff(struct pq_compiler *compiler, struct pq_node *node,
                       const struct pq_json *json) {
    return date_units(compiler, node, json, 2, PQ_UNIT_MICROSECOND + 1);
}
