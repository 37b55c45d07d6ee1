/// Each kind of test is asked twice: of the rows that are null, whose answer is known, and of the
/// others, which lie somewhere between the bounds.
#include "expr/judge.h"

#include <math.h>

#include "base/fail.h"
#include "expr/compare.h"
#include "expr/functions_internal.h"
#include "expr/print.h"
#include "expr/run_internal.h"

struct judging {
    const struct pq_facts *facts;
    pqdb_error *err;
};

/// A column, or a member of inline objects.
static bool is_column(const struct pq_node *node) {
    if (node->kind != PQ_NODE_PATH || node->path.inner_count > 0) return false;
    for (size_t k = 0; k < node->path.step_count; k++) {
        if (node->path.steps[k].is_index) return false;
    }
    return true;
}

static struct pq_known_at at_of(const struct pq_node *column) {
    return (struct pq_known_at){column->path.column, column->path.steps, column->path.step_count};
}

uint32_t pq_known_member(const struct pq_known_at *at, size_t step) {
    return (uint32_t)at->steps[step].at;
}

static unsigned verdict_of(bool may_be_true, bool may_be_false) {
    return (may_be_true ? PQ_MAY_BE_TRUE : 0u) | (may_be_false ? PQ_MAY_BE_FALSE : 0u);
}

static unsigned always(bool truth) { return truth ? PQ_MAY_BE_TRUE : PQ_MAY_BE_FALSE; }

static unsigned negated(unsigned verdict) {
    return verdict_of((verdict & PQ_MAY_BE_FALSE) != 0, (verdict & PQ_MAY_BE_TRUE) != 0);
}

static pqdb_code known_of(const struct judging *judging, const struct pq_node *column,
                          struct pq_known *known) {
    const struct pq_known_at at = at_of(column);
    return judging->facts->known(judging->facts->ctx, &at, known, judging->err);
}

/// The filters ask for a value that the bounds allow: is it there at all?
static pqdb_code may_hold(const struct judging *judging, const struct pq_node *column,
                          const struct pq_value *value, bool *may) {
    *may = true;
    if (judging->facts->may_hold == NULL) return PQDB_OK;
    const struct pq_known_at at = at_of(column);
    return judging->facts->may_hold(judging->facts->ctx, &at, value, may, judging->err);
}

// ---- whole numbers of some unit ---------------------------------------------------------------

static pq_i128 units_of(const struct pq_value *value) {
    if (value->kind == PQ_DECIMAL) return value->as.decimal;
    return value->kind == PQ_BOOL ? value->as.boolean : value->as.integer;
}

static struct pq_value unit_value(const struct pq_type *type, pq_i128 units) {
    struct pq_value value = {.kind = type->kind};
    if (type->kind == PQ_DECIMAL) {
        value.scale = type->scale;
        value.as.decimal = units;
    } else if (type->kind == PQ_BOOL) {
        value.as.boolean = units != 0;
    } else {
        value.as.integer = (int64_t)units;
    }
    return value;
}

/// Is it a value that the column can have?
static bool is_unit_of(const struct pq_type *type, pq_i128 units) {
    return type->kind == PQ_DECIMAL || (pq_i128)(int64_t)units == units;
}

static bool is_within(const struct pq_known *known, pq_i128 units) {
    return (!known->has_min || units_of(&known->min) <= units) &&
           (!known->has_max || units <= units_of(&known->max));
}

static pqdb_code judge_range(const struct judging *judging, const struct pq_node *call,
                             const struct pq_known *known, unsigned *verdict) {
    const struct pq_node *column = call->args[0];
    const struct pq_test *test = call->extra;
    const bool none = test->low > test->high ||
                      (known->has_max && units_of(&known->max) < test->low) ||
                      (known->has_min && units_of(&known->min) > test->high);
    const bool all = known->has_min && known->has_max && test->low <= units_of(&known->min) &&
                     units_of(&known->max) <= test->high;
    bool may = !none;
    if (may && !all && test->low == test->high && is_unit_of(&column->type, test->low)) {
        const struct pq_value value = unit_value(&column->type, test->low);
        PQ_TRY(may_hold(judging, column, &value, &may));
    }
    *verdict = verdict_of(may, !all);
    if (test->op == PQ_OP_NE) *verdict = negated(*verdict);
    return PQDB_OK;
}

static pqdb_code judge_members(const struct judging *judging, const struct pq_node *call,
                               const struct pq_known *known, unsigned *verdict) {
    const struct pq_node *column = call->args[0];
    const struct pq_test *test = call->extra;
    const bool single = known->has_min && known->has_max &&
                        units_of(&known->min) == units_of(&known->max);
    bool may = false, all = false;
    for (size_t i = 0; i < test->member_count && !may; i++) {
        if (!is_within(known, test->members[i]) || !is_unit_of(&column->type, test->members[i])) {
            continue;
        }
        const struct pq_value value = unit_value(&column->type, test->members[i]);
        all = single;
        PQ_TRY(all ? PQDB_OK : may_hold(judging, column, &value, &may));
        may = may || all;
    }
    *verdict = verdict_of(may, !all);
    return PQDB_OK;
}

// ---- reals ------------------------------------------------------------------------------------

/// What NaN gives.
static bool of_nan(const struct pq_test *test) {
    const bool both = isnan(test->real);
    switch (test->op) {
        case PQ_OP_EQ: return both;
        case PQ_OP_NE: return !both;
        case PQ_OP_GT: return !both;
        case PQ_OP_GTE: return true;
        case PQ_OP_LT: return false;
        default: return both;
    }
}

/// Of values that are numbers, against NaN.
static unsigned judge_beside_nan(const struct pq_test *test) {
    return always(test->op == PQ_OP_NE || test->op == PQ_OP_LT || test->op == PQ_OP_LTE);
}

static unsigned judge_numbers(const struct pq_test *test, const struct pq_known *known) {
    if (isnan(test->real)) return judge_beside_nan(test);
    const double real = test->real;
    const double min = known->has_min ? known->min.as.real : -(double)INFINITY;
    const double max = known->has_max ? known->max.as.real : (double)INFINITY;
    const bool within = min <= real && real <= max;
    const bool only = min >= real && max <= real;
    switch (test->op) {
        case PQ_OP_EQ: return verdict_of(within, !only);
        case PQ_OP_NE: return verdict_of(!only, within);
        case PQ_OP_GT: return verdict_of(max > real, min <= real);
        case PQ_OP_GTE: return verdict_of(max >= real, min < real);
        case PQ_OP_LT: return verdict_of(min < real, max >= real);
        case PQ_OP_LTE: return verdict_of(min <= real, max > real);
        default: return PQ_MAY_BE_BOTH;
    }
}

static pqdb_code judge_reals(const struct judging *judging, const struct pq_node *call,
                             const struct pq_known *known, unsigned *verdict) {
    const struct pq_test *test = call->extra;
    *verdict = judge_numbers(test, known);
    if (test->op == PQ_OP_EQ && *verdict == PQ_MAY_BE_BOTH) {
        const struct pq_value value = {.kind = call->args[0]->type.kind, .as.real = test->real};
        bool may;
        PQ_TRY(may_hold(judging, call->args[0], &value, &may));
        *verdict = verdict_of(may, true);
    }
    if (known->may_nan) *verdict |= always(of_nan(test));
    return PQDB_OK;
}

// ---- texts ------------------------------------------------------------------------------------

/// Where a text lies: below all values, above them, or between the bounds.
static bool is_below(const struct pq_known *known, struct pq_text text) {
    return known->has_min && pq_text_compare(text, known->min.as.text) < 0;
}
static bool is_above(const struct pq_known *known, struct pq_text text) {
    return known->has_max && pq_text_compare(text, known->max.as.text) > 0;
}

static bool is_only(const struct pq_known *known, struct pq_text text) {
    return known->has_min && known->has_max && pq_text_equal(known->min.as.text, text) &&
           pq_text_equal(known->max.as.text, text);
}

static pqdb_code judge_equal(const struct judging *judging, const struct pq_node *column,
                             const struct pq_known *known, struct pq_text text,
                             unsigned *verdict) {
    const bool only = is_only(known, text);
    bool may = !is_below(known, text) && !is_above(known, text);
    if (may && !only) {
        const struct pq_value value = {.kind = PQ_TEXT, .as.text = text};
        PQ_TRY(may_hold(judging, column, &value, &may));
    }
    *verdict = verdict_of(may, !only);
    return PQDB_OK;
}

static pqdb_code judge_set(const struct judging *judging, const struct pq_node *call,
                           const struct pq_known *known, unsigned *verdict) {
    const struct pq_set *set = ((const struct pq_test *)call->extra)->set;
    *verdict = PQ_MAY_BE_FALSE;
    for (size_t i = 0; i < set->count; i++) {
        unsigned one;
        if (set->items[i].own.kind != PQ_TEXT) continue;
        PQ_TRY(judge_equal(judging, call->args[0], known, set->items[i].own.as.text, &one));
        if (one == PQ_MAY_BE_TRUE) *verdict = PQ_MAY_BE_TRUE;
        if ((one & PQ_MAY_BE_TRUE) == 0) continue;
        *verdict |= PQ_MAY_BE_TRUE;
        break;
    }
    return PQDB_OK;
}

static unsigned judge_prefix(const struct pq_known *known, struct pq_text prefix) {
    const bool min_has = known->has_min && pq_text_starts_with(known->min.as.text, prefix);
    const bool max_has = known->has_max && pq_text_starts_with(known->max.as.text, prefix);
    const bool above = known->has_min && !min_has &&
                       pq_text_compare(known->min.as.text, prefix) > 0;
    return verdict_of(!above && !is_above(known, prefix), !(min_has && max_has));
}

/// A text that begins as it has to may match.
static unsigned judge_regex(const struct pq_known *known, const struct pq_test *test) {
    return judge_prefix(known, test->text) | PQ_MAY_BE_FALSE;
}

/// Are all values at or above the text, or below it? And so on.
static unsigned judge_order(const struct pq_test *test, const struct pq_known *known) {
    const struct pq_text text = test->text;
    const bool min_above = is_below(known, text), max_below = is_above(known, text);
    const bool min_at = known->has_min && pq_text_equal(known->min.as.text, text);
    const bool max_at = known->has_max && pq_text_equal(known->max.as.text, text);
    switch (test->op) {
        case PQ_OP_GT: return verdict_of(!max_below && !max_at, !min_above);
        case PQ_OP_GTE: return verdict_of(!max_below, !min_above && !min_at);
        case PQ_OP_LT: return verdict_of(!min_above && !min_at, !max_below);
        default: return verdict_of(!min_above, !max_below && !max_at);
    }
}

static pqdb_code judge_texts(const struct judging *judging, const struct pq_node *call,
                             const struct pq_known *known, unsigned *verdict) {
    const struct pq_test *test = call->extra;
    *verdict = PQ_MAY_BE_BOTH;
    switch (test->op) {
        case PQ_OP_EQ:
        case PQ_OP_NE: {
            const pqdb_code code = judge_equal(judging, call->args[0], known, test->text, verdict);
            if (code == PQDB_OK && test->op == PQ_OP_NE) *verdict = negated(*verdict);
            return code;
        }
        case PQ_OP_IN: return judge_set(judging, call, known, verdict);
        case PQ_OP_STARTS: *verdict = judge_prefix(known, test->text); return PQDB_OK;
        case PQ_OP_REGEX: *verdict = judge_regex(known, test); return PQDB_OK;
        case PQ_OP_GT:
        case PQ_OP_GTE:
        case PQ_OP_LT:
        case PQ_OP_LTE: *verdict = judge_order(test, known); return PQDB_OK;
        default: return PQDB_OK;
    }
}

// ---- variants whose values are of one kind ----------------------------------------------------

static bool is_number(enum pq_kind kind) { return kind == PQ_INT64 || kind == PQ_FLOAT64; }

/// May values of two such kinds be told apart by their kinds alone, or compared? Times are compared
/// with other kinds as well.
static bool is_simple(enum pq_kind kind) {
    return is_number(kind) || kind == PQ_DECIMAL || kind == PQ_TEXT || kind == PQ_BOOL;
}

/// Values between the bounds, against one: `below`, `above`: all of them lie there.
struct standing {
    bool is_known, mixes;
    bool below, above, only;
    bool min_at, max_at;
};

static struct standing stand(const struct pq_known *known, enum pq_kind kind,
                             const struct pq_value *other) {
    struct standing at = {.is_known = is_simple(other->kind)};
    const bool numbers = is_number(kind) && (is_number(other->kind) || other->kind == PQ_DECIMAL);
    at.mixes = kind == other->kind || numbers;
    if (!at.is_known || !at.mixes) return at;
    int order;
    if (known->has_min) {
        at.is_known = pq_value_relate(&known->min, other, &order);
        at.above = order > 0;
        at.min_at = order == 0;
    }
    if (known->has_max && at.is_known) {
        at.is_known = pq_value_relate(&known->max, other, &order);
        at.below = order < 0;
        at.max_at = order == 0;
    }
    at.only = at.min_at && at.max_at;
    return at;
}

static unsigned judge_standing(enum pq_test_op op, const struct standing *at) {
    if (!at->is_known) return PQ_MAY_BE_BOTH;
    if (!at->mixes) return always(op == PQ_OP_NE);
    switch (op) {
    case PQ_OP_EQ: return verdict_of(!at->below && !at->above, !at->only);
    case PQ_OP_NE: return verdict_of(!at->only, !at->below && !at->above);
    case PQ_OP_GT: return verdict_of(!at->below && !at->max_at, !at->above);
    case PQ_OP_GTE: return verdict_of(!at->below, !at->above && !at->min_at);
    case PQ_OP_LT: return verdict_of(!at->above && !at->min_at, !at->below);
    case PQ_OP_LTE: return verdict_of(!at->above, !at->below && !at->max_at);
    default: return PQ_MAY_BE_BOTH;
    }
}

/// A test of a column of which this is known.
struct variant_test {
    const struct pq_node *column;
    const struct pq_known *known;
    enum pq_test_op op;
};

static pqdb_code judge_literal(const struct judging *judging, const struct variant_test *test,
                               const struct pq_literal *literal, unsigned *verdict) {
    const struct pq_known *known = test->known;
    const enum pq_test_op op = test->op;
    const enum pq_kind kind = known->has_min ? known->min.kind : known->max.kind;
    const struct pq_value *other =
        literal->is_number ? pq_literal_beside(literal, kind) : &literal->own;
    const struct standing at = stand(known, kind, other);
    *verdict = judge_standing(op, &at);
    const bool is_equality = op == PQ_OP_EQ || op == PQ_OP_NE;
    if (*verdict != PQ_MAY_BE_BOTH || !is_equality || other->kind != kind) return PQDB_OK;
    bool may;
    PQ_TRY(may_hold(judging, test->column, other, &may));
    if (!may) *verdict = always(op == PQ_OP_NE);
    return PQDB_OK;
}

static pqdb_code judge_any_of(const struct judging *judging, const struct pq_node *call,
                              const struct pq_known *known, unsigned *verdict) {
    const struct pq_set *set = ((const struct pq_test *)call->extra)->set;
    const struct variant_test equal = {call->args[0], known, PQ_OP_EQ};
    *verdict = PQ_MAY_BE_FALSE;
    for (size_t i = 0; i < set->count; i++) {
        unsigned one;
        PQ_TRY(judge_literal(judging, &equal, &set->items[i], &one));
        if (one == PQ_MAY_BE_TRUE) *verdict = PQ_MAY_BE_TRUE;
        if ((one & PQ_MAY_BE_TRUE) == 0) continue;
        *verdict |= PQ_MAY_BE_TRUE;
        break;
    }
    return PQDB_OK;
}

/// A test that is made value by value, of a variant.
static pqdb_code judge_variants(const struct judging *judging, const struct pq_node *call,
                                const struct pq_known *known, unsigned *verdict) {
    const struct pq_test *test = call->extra;
    *verdict = PQ_MAY_BE_BOTH;
    const bool has_kind = known->has_min || known->has_max;
    if (known->may_other || known->may_nan || !has_kind) return PQDB_OK;
    const bool are_texts = (known->has_min ? known->min.kind : known->max.kind) == PQ_TEXT;
    if (test->op == PQ_OP_IN) return judge_any_of(judging, call, known, verdict);
    if (test->op <= PQ_OP_LTE) {
        const struct variant_test against = {call->args[0], known, test->op};
        return judge_literal(judging, &against, &call->args[1]->literal, verdict);
    }
    if (!are_texts) *verdict = PQ_MAY_BE_FALSE;
    if (are_texts && test->op == PQ_OP_STARTS) *verdict = judge_prefix(known, test->text);
    if (are_texts && test->op == PQ_OP_REGEX) *verdict = judge_regex(known, test);
    return PQDB_OK;
}

// ---- tests ------------------------------------------------------------------------------------

static pqdb_code judge_values(const struct judging *judging, const struct pq_node *call,
                              const struct pq_known *known, unsigned *verdict) {
    const struct pq_test *test = call->extra;
    switch (test->kind) {
        case PQ_TEST_GENERAL: return judge_variants(judging, call, known, verdict);
        case PQ_TEST_NEVER: *verdict = always(test->op == PQ_OP_NE); return PQDB_OK;
        case PQ_TEST_NULL: *verdict = always(test->op == PQ_OP_NE); return PQDB_OK;
        case PQ_TEST_RANGE: return judge_range(judging, call, known, verdict);
        case PQ_TEST_MEMBER: return judge_members(judging, call, known, verdict);
        case PQ_TEST_REAL: return judge_reals(judging, call, known, verdict);
        case PQ_TEST_TEXT: return judge_texts(judging, call, known, verdict);
        default: *verdict = PQ_MAY_BE_BOTH; return PQDB_OK;
    }
}

static bool of_null(const struct pq_test *test) {
    if (test->kind == PQ_TEST_NULL) return test->op == PQ_OP_EQ;
    return test->op == PQ_OP_NE || (test->op == PQ_OP_IN && test->set->has_null);
}

/// Of a variant, against nothing but literals.
static bool is_of_literals(const struct pq_node *call) {
    const struct pq_test *test = call->extra;
    if (call->args[0]->type.kind != PQ_VARIANT) return false;
    return test->op > PQ_OP_LTE || (call->arg_count == 2 && call->args[1]->kind == PQ_NODE_CONST);
}

static pqdb_code judge_test(const struct judging *judging, const struct pq_node *call,
                            unsigned *verdict) {
    const struct pq_test *test = call->extra;
    struct pq_known known;
    *verdict = PQ_MAY_BE_BOTH;
    if (!is_column(call->args[0])) return PQDB_OK;
    if (test->kind == PQ_TEST_GENERAL && !is_of_literals(call)) return PQDB_OK;
    PQ_TRY(known_of(judging, call->args[0], &known));
    *verdict = 0;
    if (known.may_value) PQ_TRY(judge_values(judging, call, &known, verdict));
    if (known.may_null) *verdict |= always(of_null(test));
    return PQDB_OK;
}

static pqdb_code judge_exists(const struct judging *judging, const struct pq_node *call,
                              unsigned *verdict) {
    struct pq_known known;
    *verdict = PQ_MAY_BE_BOTH;
    if (!is_column(call->args[0])) return PQDB_OK;
    PQ_TRY(known_of(judging, call->args[0], &known));
    *verdict = verdict_of(known.may_value, known.may_null);
    return PQDB_OK;
}

static pqdb_code judge(const struct judging *judging, const struct pq_node *node,
                       unsigned *verdict);

/// One argument that is false decides `$and`, one that is true `$or`.
static pqdb_code judge_all(const struct judging *judging, const struct pq_node *node,
                           unsigned deciding, unsigned *verdict) {
    *verdict = negated(deciding);
    for (size_t k = 0; k < node->arg_count; k++) {
        unsigned one;
        PQ_TRY(judge(judging, node->args[k], &one));
        if ((one & deciding) != 0) *verdict |= deciding;
        if (one == deciding) {
            *verdict = deciding;
            break;
        }
    }
    return PQDB_OK;
}

static pqdb_code judge(const struct judging *judging, const struct pq_node *node,
                       unsigned *verdict) {
    *verdict = PQ_MAY_BE_BOTH;
    if (node->kind == PQ_NODE_CONST) {
        *verdict = always(pq_value_is_true(&node->literal.own));
        return PQDB_OK;
    }
    if (node->kind != PQ_NODE_CALL) return PQDB_OK;
    if (node->function->scalar == pq_scalar_and) {
        return judge_all(judging, node, PQ_MAY_BE_FALSE, verdict);
    }
    if (node->function->scalar == pq_scalar_or) {
        return judge_all(judging, node, PQ_MAY_BE_TRUE, verdict);
    }
    if (node->function->scalar == pq_scalar_not) {
        PQ_TRY(judge(judging, node->args[0], verdict));
        *verdict = negated(*verdict);
        return PQDB_OK;
    }
    if (node->function->scalar == pq_scalar_exists) return judge_exists(judging, node, verdict);
    if (node->function->kernel == pq_kernel_compare) return judge_test(judging, node, verdict);
    return PQDB_OK;
}

// ---- conditions -------------------------------------------------------------------------------

size_t pq_program_condition_count(const struct pq_program *program) {
    return program->condition_count;
}

static const struct pq_node *condition_of(const struct pq_program *program, uint32_t condition) {
    return condition == PQ_WHOLE_FILTER ? program->root : program->conditions[condition];
}

pqdb_code pq_program_judge(const struct pq_program *program, uint32_t condition,
                           const struct pq_facts *facts, enum pq_verdict *verdict,
                           pqdb_error *err) {
    const struct judging judging = {facts, err};
    unsigned found;
    const pqdb_code code = judge(&judging, condition_of(program, condition), &found);
    if (code == PQDB_OK) *verdict = (enum pq_verdict)found;
    return code;
}

static pqdb_code print(const struct pq_node *node, struct pq_bytes *out, pqdb_error *err);

static pqdb_code print_list(const struct pq_node *node, struct pq_bytes *out, pqdb_error *err) {
    for (size_t k = 0; k < node->arg_count; k++) {
        if (k > 0) PQ_TRY(pq_bytes_append_text(out, PQ_TEXT(", "), err));
        PQ_TRY(print(node->args[k], out, err));
    }
    return PQDB_OK;
}

static pqdb_code print_set(const struct pq_set *set, struct pq_bytes *out, pqdb_error *err) {
    enum { shown_max = 3 };
    PQ_TRY(pq_bytes_append_text(out, PQ_TEXT(" $in ["), err));
    for (size_t i = 0; i < set->count && i < shown_max; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_text(out, PQ_TEXT(", "), err));
        PQ_TRY(pq_print_json(out, &set->items[i].own, err));
    }
    if (set->count > shown_max) PQ_TRY(pq_bytes_printf(out, err, ", … %zu in all", set->count));
    return pq_bytes_append_byte(out, ']', err);
}

/// Names lose their first letter: what only filters have begins with another one than `$`.
static pqdb_code print_call(const struct pq_node *node, struct pq_bytes *out, pqdb_error *err) {
    const bool is_regex = node->function->scalar == pq_scalar_regex_match;
    const char *name = is_regex ? "regex" : node->function->name + 1;
    if (node->function->scalar == pq_scalar_in_set) {
        PQ_TRY(print(node->args[0], out, err));
        return print_set(((const struct pq_test *)node->extra)->set, out, err);
    }
    if (node->function->kernel == pq_kernel_compare && node->arg_count == 2) {
        PQ_TRY(print(node->args[0], out, err));
        PQ_TRY(pq_bytes_printf(out, err, " $%s ", name));
        return print(node->args[1], out, err);
    }
    PQ_TRY(pq_bytes_printf(out, err, "$%s(", name));
    PQ_TRY(print_list(node, out, err));
    return pq_bytes_append_byte(out, ')', err);
}

static pqdb_code print(const struct pq_node *node, struct pq_bytes *out, pqdb_error *err) {
    switch (node->kind) {
    case PQ_NODE_PATH: return pq_bytes_append_text(out, node->path.text, err);
    case PQ_NODE_CONST: return pq_print_json(out, &node->literal.own, err);
    default: return print_call(node, out, err);
    }
}

pqdb_code pq_program_print_condition(const struct pq_program *program, uint32_t condition,
                                     struct pq_bytes *out, pqdb_error *err) {
    return print(condition_of(program, condition), out, err);
}
