/// Tests of a column against literals: loops over fixed values, and one look at each distinct text.
#include <math.h>

#include "batch/dictionary.h"
#include "expr/compare.h"
#include "expr/functions_internal.h"
#include "expr/run_internal.h"

/// mask[i] for each row of `type`: its condition over values[i].
#define EACH_ROW(type, condition)                                          \
    do {                                                                   \
        const type *values = column->values;                               \
        for (size_t i = 0; i < count; i++) mask[i] = (uint8_t)(condition); \
    } while (0)

static int64_t clamp(pq_i128 value) {
    return value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : (int64_t)value;
}

/// low <= value <= high.
static void test_range(const struct pq_column *column, const struct pq_test *test, size_t count,
                       uint8_t *mask) {
    const int64_t low = clamp(test->low), high = clamp(test->high);
    if (test->low > test->high || test->low > INT64_MAX || test->high < INT64_MIN) {
        if (column->type->kind != PQ_DECIMAL || test->low > test->high) {
            memset(mask, 0, count);
            return;
        }
    }
    switch (column->type->kind) {
        case PQ_BOOL: EACH_ROW(uint8_t, values[i] >= low && values[i] <= high); break;
        case PQ_DATE: EACH_ROW(int32_t, values[i] >= low && values[i] <= high); break;
        case PQ_DECIMAL:
            EACH_ROW(pq_i128, values[i] >= test->low && values[i] <= test->high);
            break;
        default:  // one unsigned comparison, which vectorises
            EACH_ROW(int64_t,
                     (uint64_t)values[i] - (uint64_t)low <= (uint64_t)high - (uint64_t)low);
    }
}

static bool has_member(const struct pq_test *test, pq_i128 value) {
    size_t low = 0, high = test->member_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (test->members[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < test->member_count && test->members[low] == value;
}

static void test_member(const struct pq_column *column, const struct pq_test *test, size_t count,
                        uint8_t *mask) {
    switch (column->type->kind) {
        case PQ_BOOL: EACH_ROW(uint8_t, has_member(test, values[i])); break;
        case PQ_DATE: EACH_ROW(int32_t, has_member(test, values[i])); break;
        case PQ_DECIMAL: EACH_ROW(pq_i128, has_member(test, values[i])); break;
        default: EACH_ROW(int64_t, has_member(test, values[i])); break;
    }
}

/// NaN is equal to itself and above all other numbers.
#define TEST_REALS(type)                                                              \
    switch (test->op) {                                                               \
        case PQ_OP_EQ:                                                                \
            if (is_nan) EACH_ROW(type, isnan(values[i]));                             \
            else EACH_ROW(type, values[i] == real);                                   \
            break;                                                                    \
        case PQ_OP_NE:                                                                \
            if (is_nan) EACH_ROW(type, !isnan(values[i]));                            \
            else EACH_ROW(type, values[i] != real);                                   \
            break;                                                                    \
        case PQ_OP_GT: EACH_ROW(type, !is_nan && !(values[i] <= real)); break;        \
        case PQ_OP_GTE: EACH_ROW(type, is_nan ? isnan(values[i]) : !(values[i] < real)); break; \
        case PQ_OP_LT: EACH_ROW(type, is_nan ? !isnan(values[i]) : values[i] < real); break;    \
        default: EACH_ROW(type, is_nan || values[i] <= real); break;                  \
    }

static void test_doubles(const struct pq_column *column, const struct pq_test *test, size_t count,
                         uint8_t *mask) {
    const double real = test->real;
    const bool is_nan = isnan(real);
    TEST_REALS(double)
}

static void test_floats(const struct pq_column *column, const struct pq_test *test, size_t count,
                        uint8_t *mask) {
    const double real = test->real;
    const bool is_nan = isnan(real);
    TEST_REALS(float)
}

/// One text; regular expressions need the scratch that their node keeps for the run.
static pqdb_code test_one(const struct pq_test *test, struct pq_regex_match *match,
                          struct pq_text text, uint8_t *result, pqdb_error *err) {
    bool matches = false;
    if (test->op != PQ_OP_REGEX) {
        *result = pq_test_text(test, text);
        return PQDB_OK;
    }
    const pqdb_code code = pq_regex_matches(match, text, &matches, err);
    *result = matches;
    return code;
}

enum { UNKNOWN = 2 };

/// How far the codes reach, when looking at each distinct text once is worth the memory for it.
static uint32_t codes_below(const struct pq_column *column, size_t count) {
    const uint32_t *codes = column->values;
    uint32_t highest = 0;
    for (size_t i = 0; i < count; i++) {
        if (codes[i] > highest && !pq_column_is_null(column, i)) highest = codes[i];
    }
    return highest / 8 < count ? highest + 1 : 0;
}

static pqdb_code test_texts(struct pq_run *run, const struct pq_column *column,
                            const struct pq_test *test, uint8_t *mask, pqdb_error *err) {
    struct pq_regex_match *match = NULL;
    uint8_t *known = NULL;
    const uint32_t *codes = column->values;
    pqdb_code code = PQDB_OK;
    if (test->op == PQ_OP_REGEX) {
        code = pq_regex_match_create(test->regex, run->arena, &match, err);
    }
    if (code == PQDB_OK && column->layout == PQ_DICTIONARY && run->count > 1) {
        const uint32_t below = codes_below(column, run->count);
        known = pq_run_alloc(run, below, err);
        if (known == NULL) return PQDB_NO_MEMORY;
        memset(known, UNKNOWN, below);
        if (below == 0) known = NULL;
    }
    for (size_t row = 0; row < run->count && code == PQDB_OK; row++) {
        mask[row] = 0;
        if (pq_column_is_null(column, row)) continue;
        if (known == NULL) {
            code = test_one(test, match, pq_column_text(column, row), &mask[row], err);
            continue;
        }
        uint8_t *result = &known[codes[row]];
        if (*result == UNKNOWN) {
            code = test_one(test, match, pq_dictionary_text(column->dictionary, codes[row]),
                            result, err);
        }
        mask[row] = *result;
    }
    return code;
}

static void test_nulls(const struct pq_column *column, const struct pq_test *test, size_t count,
                       uint8_t *mask) {
    const bool ordered = test->op != PQ_OP_EQ && test->op != PQ_OP_NE;
    for (size_t i = 0; i < count; i++) {
        mask[i] = !ordered && pq_column_is_null(column, i) == (test->op == PQ_OP_EQ);
    }
}

/// What a null row gives: `$ne` of anything, and `$in` with a null among its literals.
static bool of_null(const struct pq_test *test) {
    return test->op == PQ_OP_NE || (test->op == PQ_OP_IN && test->set->has_null);
}

static pqdb_code run_test(struct pq_run *run, const struct pq_column *column,
                          const struct pq_test *test, uint8_t *mask, pqdb_error *err) {
    const size_t count = run->count;
    bool negate = test->op == PQ_OP_NE;
    switch (test->kind) {
        case PQ_TEST_NULL: test_nulls(column, test, count, mask); return PQDB_OK;
        case PQ_TEST_RANGE: test_range(column, test, count, mask); break;
        case PQ_TEST_MEMBER: test_member(column, test, count, mask); break;
        case PQ_TEST_REAL:
            if (column->type->kind == PQ_FLOAT64) {
                test_doubles(column, test, count, mask);
            } else {
                test_floats(column, test, count, mask);
            }
            negate = false;
            break;
        case PQ_TEST_TEXT: {
            const pqdb_code code = test_texts(run, column, test, mask, err);
            if (code != PQDB_OK) return code;
            negate = false;
            break;
        }
        default: memset(mask, 0, count);
    }
    if (negate) {
        for (size_t i = 0; i < count; i++) mask[i] ^= 1;
    }
    if (column->valid == NULL) return PQDB_OK;
    const uint8_t null = of_null(test);
    for (size_t i = 0; i < count; i++) mask[i] = column->valid[i] == PQ_ROW_NULL ? null : mask[i];
    return PQDB_OK;
}

/// Both sides columns of the same fixed kind.
static bool compare_columns(const struct pq_column *a, const struct pq_column *b,
                            enum pq_test_op op, size_t count, uint8_t *mask) {
#define EACH_PAIR(operator)                                                          \
    do {                                                                             \
        const int64_t *x = a->values, *y = b->values;                                \
        for (size_t i = 0; i < count; i++) mask[i] = (uint8_t)(x[i] operator y[i]); \
    } while (0)
    switch (op) {
        case PQ_OP_EQ: EACH_PAIR(==); break;
        case PQ_OP_NE: EACH_PAIR(!=); break;
        case PQ_OP_GT: EACH_PAIR(>); break;
        case PQ_OP_GTE: EACH_PAIR(>=); break;
        case PQ_OP_LT: EACH_PAIR(<); break;
        case PQ_OP_LTE: EACH_PAIR(<=); break;
        default: return false;
    }
#undef EACH_PAIR
    return true;
}

static bool is_word(const struct pq_vector *vector) {
    if (!vector->has_column) return false;
    const enum pq_kind kind = vector->column.type->kind;
    return kind == PQ_INT64 || kind == PQ_TIMESTAMP || kind == PQ_TIME;
}

static pqdb_code run_columns(struct pq_run *run, const struct pq_node *node,
                             struct pq_vector *out, bool *done, pqdb_error *err) {
    const struct pq_test *test = node->extra;
    struct pq_vector *left, *right;
    pqdb_code code = pq_run_node(run, node->args[0], &left, err);
    if (code == PQDB_OK) code = pq_run_node(run, node->args[1], &right, err);
    if (code != PQDB_OK || !is_word(left) || !is_word(right)) return code;
    const struct pq_column *a = &left->column, *b = &right->column;
    if (a->type->kind != b->type->kind || a->valid != NULL || b->valid != NULL) return code;
    uint8_t *mask = pq_run_alloc(run, run->count, err);
    if (mask == NULL) return PQDB_NO_MEMORY;
    *done = compare_columns(a, b, test->op, run->count, mask);
    if (*done) pq_vector_of_mask(run, mask, out);
    return PQDB_OK;
}

/// A value against the literal that counts beside it.
static bool compare_value(const struct pq_value *value, const struct pq_literal *literal,
                          enum pq_test_op op) {
    const struct pq_value *other =
        literal->is_number ? pq_literal_beside(literal, value->kind) : &literal->own;
    int order;
    if (op == PQ_OP_EQ || op == PQ_OP_NE) {
        return pq_value_match(value, other) == (op == PQ_OP_EQ);
    }
    if (!pq_value_relate(value, other, &order)) return false;
    switch (op) {
        case PQ_OP_GT: return order > 0;
        case PQ_OP_GTE: return order >= 0;
        case PQ_OP_LT: return order < 0;
        default: return order <= 0;
    }
}

static pqdb_code test_values(struct pq_run *run, const struct pq_node *node,
                             const struct pq_value *values, uint8_t *mask, pqdb_error *err) {
    const struct pq_test *test = node->extra;
    struct pq_regex_match *match = NULL;
    pqdb_code code = PQDB_OK;
    if (test->op == PQ_OP_REGEX) {
        code = pq_regex_match_create(test->regex, run->arena, &match, err);
    }
    for (size_t row = 0; row < run->count && code == PQDB_OK; row++) {
        const struct pq_value *value = &values[row];
        if (test->op == PQ_OP_IN) {
            mask[row] = pq_set_has(test->set, value);
        } else if (test->op <= PQ_OP_LTE) {
            mask[row] = compare_value(value, &node->args[1]->literal, test->op);
        } else {
            mask[row] = 0;
            if (value->kind != PQ_TEXT) continue;
            code = test_one(test, match, value->as.text, &mask[row], err);
        }
    }
    return code;
}

/// What comes from a variant, against literals.
static pqdb_code run_values(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                            bool *done, pqdb_error *err) {
    struct pq_vector *operand;
    pqdb_code code = pq_run_values(run, node->args[0], &operand, err);
    if (code != PQDB_OK || operand->values == NULL) return code;
    uint8_t *mask = pq_run_alloc(run, run->count, err);
    if (mask == NULL) return PQDB_NO_MEMORY;
    code = test_values(run, node, operand->values, mask, err);
    if (code != PQDB_OK) return code;
    *done = true;
    pq_vector_of_mask(run, mask, out);
    return PQDB_OK;
}

pqdb_code pq_kernel_compare(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                            bool *done, pqdb_error *err) {
    const struct pq_test *test = node->extra;
    struct pq_vector *operand;
    if (test->kind == PQ_TEST_GENERAL) {
        const bool literal = node->arg_count != 2 || node->args[1]->kind == PQ_NODE_CONST;
        return literal ? run_values(run, node, out, done, err)
                       : run_columns(run, node, out, done, err);
    }
    pqdb_code code = pq_run_node(run, node->args[0], &operand, err);
    if (code != PQDB_OK || !operand->has_column) return code;
    uint8_t *mask = pq_run_alloc(run, run->count, err);
    if (mask == NULL) return PQDB_NO_MEMORY;
    code = run_test(run, &operand->column, test, mask, err);
    if (code != PQDB_OK) return code;
    *done = true;
    pq_vector_of_mask(run, mask, out);
    return PQDB_OK;
}
