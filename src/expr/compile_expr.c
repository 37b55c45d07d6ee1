#include "base/check.h"
#include "expr/compile_internal.h"
#include "expr/functions_internal.h"

static bool begins_with_dollar(const struct pq_json *text) {
    const struct pq_text name = pq_json_text(text);
    return name.length > 0 && name.data[0] == '$';
}

/// Does a list or an object contain what would be an expression if it stood alone? What is too
/// deep for a variant is not looked at: making the literal will refuse it.
static bool hides_below(const struct pq_json *json, int depth) {
    const enum pq_json_kind kind = pq_json_kind(json);
    if (kind == PQ_JSON_TEXT) return begins_with_dollar(json);
    if (kind != PQ_JSON_LIST && kind != PQ_JSON_OBJECT) return false;
    if (depth > PQ_VARIANT_DEPTH_MAX) return false;
    const size_t count = pq_json_count(json);
    const struct pq_json *item = count == 0 ? NULL : pq_json_first(json);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        if (kind == PQ_JSON_OBJECT) {
            if (begins_with_dollar(item)) return true;
            item = pq_json_next(item);
        }
        if (hides_below(item, depth + 1)) return true;
    }
    return false;
}

static bool hides_expression(const struct pq_json *json) { return hides_below(json, 0); }

static struct pq_node *literal(struct pq_compiler *compiler, const struct pq_json *json) {
    struct pq_literal value;
    if (hides_expression(json)) {
        return pq_compile_mistake(compiler, json, "use $literal for a value that looks like one",
                                  "a list or object cannot contain expressions");
    }
    if (!pq_literal_of(compiler, json, &value)) return pq_node_null(compiler);
    return pq_node_literal(compiler, &value);
}

/// The arguments of one operator as they are found.
struct arguments {
    struct pq_node *nodes[PQ_ARGS_MAX];
    size_t count;
};

static bool add_argument(struct pq_compiler *compiler, struct arguments *arguments,
                         const struct pq_json *json) {
    if (arguments->count == PQ_ARGS_MAX) {
        pq_compile_mistake(compiler, json, NULL, "an operator takes at most %d arguments",
                           PQ_ARGS_MAX);
        return false;
    }
    struct pq_node *node = pq_compile_expr(compiler, json);
    arguments->nodes[arguments->count++] = node;
    return node != NULL;
}

static bool list_arguments(struct pq_compiler *compiler, struct arguments *arguments,
                           const struct pq_json *list) {
    const size_t count = pq_json_count(list);
    const struct pq_json *item = count == 0 ? NULL : pq_json_first(list);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        const size_t mark = pq_compile_enter_index(compiler, i);
        const bool going = add_argument(compiler, arguments, item);
        pq_compile_leave(compiler, mark);
        if (!going) return false;
    }
    return true;
}

/// The next of the names in `keys` ("input regex options?"); false at the end.
static bool next_key(const char **keys, struct pq_text *name, bool *optional) {
    while (**keys == ' ') (*keys)++;
    const char *start = *keys;
    while (**keys != '\0' && **keys != ' ') (*keys)++;
    *name = (struct pq_text){start, (size_t)(*keys - start)};
    *optional = name->length > 0 && start[name->length - 1] == '?';
    if (*optional) name->length--;
    return name->length > 0;
}

static const struct pq_json *member(const struct pq_json *object, struct pq_text name) {
    const size_t count = pq_json_count(object);
    const struct pq_json *key = count == 0 ? NULL : pq_json_first(object);
    for (size_t i = 0; i < count; i++, key = pq_json_next(pq_json_next(key))) {
        if (pq_text_equal(pq_json_text(key), name)) return pq_json_next(key);
    }
    return NULL;
}

/// `{ if: …, then: …, else: … }`. Optional ones may only be missing at the end of the row's keys.
static bool keyed_arguments(struct pq_compiler *compiler, const struct pq_function *function,
                            struct arguments *arguments, const struct pq_json *object) {
    const char *keys = function->keys;
    struct pq_text name;
    bool optional;
    size_t found = 0;
    while (next_key(&keys, &name, &optional)) {
        const struct pq_json *json = member(object, name);
        if (json == NULL && optional) continue;
        if (json == NULL) {
            pq_compile_mistake(compiler, object, NULL, "%s needs %.*s", function->name,
                               PQ_TEXT_ARG(name));
            return false;
        }
        const size_t mark = pq_compile_enter(compiler, name);
        const bool going = add_argument(compiler, arguments, json);
        pq_compile_leave(compiler, mark);
        if (!going) return false;
        found++;
    }
    if (found == pq_json_count(object)) return true;
    pq_compile_mistake(compiler, object, NULL, "%s takes only %s", function->name, function->keys);
    return false;
}

static bool switch_branch(struct pq_compiler *compiler, struct arguments *arguments,
                          const struct pq_json *branch) {
    const bool is_object = pq_json_kind(branch) == PQ_JSON_OBJECT;
    const struct pq_json *condition = is_object ? pq_json_find(branch, "case") : NULL;
    const struct pq_json *then = is_object ? pq_json_find(branch, "then") : NULL;
    if (condition == NULL || then == NULL || pq_json_count(branch) != 2) {
        pq_compile_mistake(compiler, branch, NULL, "a branch of $switch is { case: …, then: … }");
        return false;
    }
    return add_argument(compiler, arguments, condition) && add_argument(compiler, arguments, then);
}

/// Flattened: case, then, case, then, …, and the default (null without one) at the end.
static bool switch_arguments(struct pq_compiler *compiler, struct arguments *arguments,
                             const struct pq_json *json) {
    const bool is_object = pq_json_kind(json) == PQ_JSON_OBJECT;
    const struct pq_json *branches = is_object ? pq_json_find(json, "branches") : NULL;
    const struct pq_json *otherwise = is_object ? pq_json_find(json, "default") : NULL;
    if (branches == NULL || pq_json_kind(branches) != PQ_JSON_LIST ||
        pq_json_count(branches) == 0 || pq_json_count(json) != (otherwise == NULL ? 1u : 2u)) {
        pq_compile_mistake(compiler, json, NULL,
                           "$switch takes { branches: [{ case: …, then: … }, …], default: … }");
        return false;
    }
    const size_t count = pq_json_count(branches);
    const struct pq_json *branch = pq_json_first(branches);
    for (size_t i = 0; i < count; i++, branch = pq_json_next(branch)) {
        const size_t mark = pq_compile_enter_index(compiler, i);
        const bool going = switch_branch(compiler, arguments, branch);
        pq_compile_leave(compiler, mark);
        if (!going) return false;
    }
    if (otherwise != NULL) return add_argument(compiler, arguments, otherwise);
    if (arguments->count == PQ_ARGS_MAX) return true;
    struct pq_node *none = pq_node_null(compiler);
    arguments->nodes[arguments->count++] = none;
    return none != NULL;
}

/// `$in: [x, [a, b, …]]`: the elements of a list in the text are expressions themselves.
static struct pq_node *in_list(struct pq_compiler *compiler, const struct pq_json *json) {
    const struct pq_json *left = pq_json_first(json), *list = pq_json_next(left);
    const size_t count = pq_json_count(list);
    struct pq_node *value = pq_compile_expr(compiler, left);
    if (value == NULL) return NULL;
    if (!hides_expression(list)) {
        const struct pq_set *set = pq_set_of(compiler, list, NULL);
        struct pq_test *test = pq_arena_calloc(compiler->arena, 1, sizeof *test);
        if (set == NULL) return NULL;
        if (test == NULL || !pq_test_prepare_set(test, &value->type, set, compiler->arena)) {
            return pq_compile_no_memory(compiler);
        }
        struct pq_node *node = pq_node_bare_call(compiler, pq_function_get("#in"), 1);
        if (node == NULL) return NULL;
        node->args[0] = value;
        node->type = pq_type_bool;
        node->extra = test;
        return node;
    }
    struct pq_node *any = pq_node_bare_call(compiler, pq_function_get("$or"), count);
    if (any == NULL) return NULL;
    const struct pq_json *item = pq_json_first(list);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        struct pq_node *element = pq_compile_expr(compiler, item);
        if (element == NULL) return NULL;
        any->args[i] = pq_node_call(compiler, "$eq", item, value, element);
        if (any->args[i] == NULL) return NULL;
    }
    any->type = pq_type_bool;
    return any;
}

static bool collect_arguments(struct pq_compiler *compiler, const struct pq_function *function,
                              struct arguments *arguments, const struct pq_json *json) {
    const bool is_object = pq_json_kind(json) == PQ_JSON_OBJECT;
    if (pq_text_is(pq_text_of(function->name), "$switch")) {
        return switch_arguments(compiler, arguments, json);
    }
    if (function->keys != NULL && is_object && pq_json_count(json) > 0 &&
        !begins_with_dollar(pq_json_first(json))) {
        return keyed_arguments(compiler, function, arguments, json);
    }
    if (pq_json_kind(json) == PQ_JSON_LIST) return list_arguments(compiler, arguments, json);
    return add_argument(compiler, arguments, json);
}

static struct pq_node *call(struct pq_compiler *compiler, const struct pq_function *function,
                            const struct pq_json *json) {
    struct pq_literal value;
    if (pq_text_is(pq_text_of(function->name), "$literal")) {
        if (!pq_literal_of(compiler, json, &value)) return pq_node_null(compiler);
        return pq_node_literal(compiler, &value);
    }
    if (pq_text_is(pq_text_of(function->name), "$in") && pq_json_kind(json) == PQ_JSON_LIST &&
        pq_json_count(json) == 2 &&
        pq_json_kind(pq_json_next(pq_json_first(json))) == PQ_JSON_LIST) {
        return in_list(compiler, json);
    }
    struct arguments arguments = {.count = 0};
    const size_t mistakes = compiler->mistakes;
    const bool collected = collect_arguments(compiler, function, &arguments, json);
    if (!collected || compiler->mistakes > mistakes) {  // one report is enough
        return pq_node_null(compiler);
    }
    if (arguments.count < function->args_min || arguments.count > function->args_max) {
        return function->args_min == function->args_max
                   ? pq_compile_mistake(compiler, json, NULL, "%s takes %d argument%s, not %zu",
                                        function->name, function->args_min,
                                        function->args_min == 1 ? "" : "s", arguments.count)
                   : pq_compile_mistake(compiler, json, NULL,
                                        "%s takes %d to %d arguments, not %zu", function->name,
                                        function->args_min, function->args_max, arguments.count);
    }
    return pq_node_calls(compiler, function, json, arguments.nodes, arguments.count);
}

static struct pq_node *unknown_function(struct pq_compiler *compiler, const struct pq_json *key) {
    const char *names[128];
    struct pq_remedy remedy;
    size_t count = 0;
    for (size_t i = 0; i < pq_function_count && count < 128; i++) {
        if (pq_functions[i].name[0] == '$') names[count++] = pq_functions[i].name;
    }
    const struct pq_text given = pq_json_text(key);
    return pq_compile_mistake(compiler, key, pq_remedy_nearest(given, names, count, &remedy),
                              "%.*s is no operator of an expression", PQ_TEXT_ARG(given));
}

static struct pq_node *object(struct pq_compiler *compiler, const struct pq_json *json) {
    const size_t count = pq_json_count(json);
    if (count == 0 || !begins_with_dollar(pq_json_first(json))) return literal(compiler, json);
    const struct pq_json *key = pq_json_first(json);
    if (count > 1) {
        return pq_compile_mistake(compiler, json, "nest them",
                                  "an expression has one operator, this one has %zu keys", count);
    }
    const struct pq_text name = pq_json_text(key);
    const struct pq_function *function = pq_function_find(name);
    if (function == NULL) return unknown_function(compiler, key);
    const size_t mark = pq_compile_enter(compiler, name);
    struct pq_node *node = call(compiler, function, pq_json_next(key));
    pq_compile_leave(compiler, mark);
    return node;
}

static struct pq_node *text(struct pq_compiler *compiler, const struct pq_json *json) {
    const struct pq_text given = pq_json_text(json);
    if (!begins_with_dollar(json)) return literal(compiler, json);
    if (given.length == 1) {
        return pq_compile_mistake(compiler, json, "write { $literal: '$' } for the sign itself",
                                  "'$' names no field");
    }
    return pq_compile_path(compiler, (struct pq_text){given.data + 1, given.length - 1}, json);
}

struct pq_node *pq_compile_expr(struct pq_compiler *compiler, const struct pq_json *json) {
    if (!pq_compile_deeper(compiler)) return NULL;
    struct pq_node *node;
    switch (pq_json_kind(json)) {
        case PQ_JSON_OBJECT: node = object(compiler, json); break;
        case PQ_JSON_TEXT: node = text(compiler, json); break;
        default: node = literal(compiler, json); break;
    }
    compiler->depth--;
    return node;
}
