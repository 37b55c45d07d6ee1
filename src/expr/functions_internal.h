/// expr/functions_internal.h: the functions that the rows of expr/functions.def name, and what
/// their rules prepare for them.
#ifndef PQ_EXPR_FUNCTIONS_INTERNAL_H
#define PQ_EXPR_FUNCTIONS_INTERNAL_H

#include "expr/program_internal.h"
#include "expr/regex.h"

#define PQ_FIELD(name, help)
#define PQ_LOGICAL(name, help)
#define PQ_FUNCTION(name, signature, args_min, args_max, keys, rule, scalar, kernel, help) \
    pq_scalar pq_scalar_##scalar;
#include "expr/functions.def"
#undef PQ_FUNCTION
#undef PQ_FIELD
#undef PQ_LOGICAL

pq_rule pq_rule_bool, pq_rule_int, pq_rule_double, pq_rule_text, pq_rule_timestamp, pq_rule_same,
    pq_rule_same_number, pq_rule_add, pq_rule_multiply, pq_rule_divide, pq_rule_choose,
    pq_rule_compare, pq_rule_in, pq_rule_text_test, pq_rule_regex, pq_rule_split,
    pq_rule_date_trunc, pq_rule_date_part, pq_rule_date_diff, pq_rule_to_decimal,
    pq_rule_array_elem;
pq_kernel pq_kernel_compare, pq_kernel_exists, pq_kernel_and, pq_kernel_or, pq_kernel_not,
    pq_kernel_cond, pq_kernel_arithmetic, pq_kernel_date_trunc, pq_kernel_elem_match;

/// A comparison with literals, brought to the kind of its operand: the extra of `$eq` … `$lte`,
/// `#in` and the tests of texts.
enum pq_test_kind {
    PQ_TEST_GENERAL,  ///< value by value
    PQ_TEST_NEVER,    ///< the kinds do not mix
    PQ_TEST_NULL,     ///< with null
    PQ_TEST_RANGE,    ///< low <= column <= high, in units of the column
    PQ_TEST_MEMBER,   ///< a column of the same kinds, one of a few
    PQ_TEST_REAL,     ///< of doubles and floats
    PQ_TEST_TEXT,
};
enum pq_test_op {
    PQ_OP_EQ,
    PQ_OP_NE,
    PQ_OP_GT,
    PQ_OP_GTE,
    PQ_OP_LT,
    PQ_OP_LTE,
    PQ_OP_IN,
    PQ_OP_STARTS,
    PQ_OP_ENDS,
    PQ_OP_CONTAINS,
    PQ_OP_REGEX,
};
struct pq_test {
    enum pq_test_kind kind;
    enum pq_test_op op;
    pq_i128 low, high;       // RANGE: empty when low > high; `$ne` is outside of it
    const pq_i128 *members;  // MEMBER: ascending
    size_t member_count;
    double real;                   // REAL
    struct pq_text text;           // TEXT; REGEX: what matching texts begin with
    const struct pq_set *set;      // IN
    const struct pq_regex *regex;  // REGEX
};

/// Make the test of `op` against the literal for an operand of the type.
void pq_test_prepare(struct pq_test *test, const struct pq_type *type,
                     const struct pq_literal *literal);
/// The same for a set; false when memory is out.
bool pq_test_prepare_set(struct pq_test *test, const struct pq_type *type,
                         const struct pq_set *set, struct pq_arena *arena);
/// TEXT tests only; not for regular expressions.
bool pq_test_text(const struct pq_test *test, struct pq_text text);

/// The extra of `#type`: a bit for each kind, 1 << enum pq_kind; PQ_VARIANT stands for nothing.
struct pq_kind_set {
    uint32_t kinds;
};

/// The extra of the functions of time.
enum pq_date_unit {
    PQ_UNIT_YEAR,
    PQ_UNIT_QUARTER,
    PQ_UNIT_MONTH,
    PQ_UNIT_WEEK,
    PQ_UNIT_DAY,
    PQ_UNIT_HOUR,
    PQ_UNIT_MINUTE,
    PQ_UNIT_SECOND,
    PQ_UNIT_MILLISECOND,
    PQ_UNIT_MICROSECOND,
    PQ_UNIT_DAY_OF_WEEK,
    PQ_UNIT_DAY_OF_YEAR,
};
struct pq_date_call {
    enum pq_bucket bucket;  // $dateTrunc
    enum pq_date_unit unit;
    const struct pq_zone *zone;  // NULL: UTC
};

#endif
