/// The naive evaluator against the scenarios, and its whole numbers and sums against what is known.
#include <math.h>
#include <string.h>

#include "support/naive.h"
#include "support/scenario.h"
#include "support/test.h"

static void play(const struct test_case *test) { scenario_run(test, &scenario_naive); }

static void scenarios_end_as_the_tables_say(void) {
    cases_run("scenario/expand.cases", play);
    cases_run("scenario/aggregates.cases", play);
    cases_run("scenario/writes.cases", play);
    cases_run("scenario/views.cases", play);
}

static double sum_of(const double *reals, int count) {
    struct naive_big sum = naive_big_of(0);
    for (int i = 0; i < count; i++) {
        const struct naive_big one = naive_big_of_real(reals[i]);
        sum = naive_big_add(&sum, &one);
    }
    return naive_big_round(&sum, -1074, 0);
}

static void sums_are_exact_and_rounded_once(void) {
    const double far[] = {1e308, 1, -1e308, 1e-300}, tenths[] = {0.1, 0.2, 0.3};
    const double ties[] = {9007199254740992.0, 1.0}, above[] = {9007199254740992.0, 1.0, 1e-300};
    CHECK(sum_of(far, 4) == 1, "1e308 + 1 - 1e308 is %g", sum_of(far, 4));
    CHECK(sum_of(tenths, 3) == 0.6, "tenths: %.17g", sum_of(tenths, 3));
    CHECK(sum_of(ties, 2) == 9007199254740992.0, "a tie goes to even: %.17g", sum_of(ties, 2));
    CHECK(sum_of(above, 3) == 9007199254740994.0, "just above it: %.17g", sum_of(above, 3));
}

static void every_double_is_read_and_rounded_back(void) {
    const double reals[] = {0, 1, -1, 0.1, -2.5, 5e-324, 2.2250738585072014e-308, 1e-310,
                            1.7976931348623157e308, 3.14159, 4503599627370497.5};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        CHECK(sum_of(&reals[i], 1) == reals[i], "%.17g became %.17g", reals[i],
              sum_of(&reals[i], 1));
    }
}

static void decimals_round_to_the_nearest_double(void) {
    const struct naive_big tenth = naive_big_of(1), large = naive_big_of(123456789012345678);
    CHECK(naive_big_round(&tenth, 0, 1) == 0.1, "0.1");
    CHECK(naive_big_round(&large, 0, 5) == 1234567890123.45678, "large");
    CHECK(naive_big_round(&large, 0, 0) == 123456789012345678.0, "whole");
}

static void numbers_of_all_kinds_compare_by_exact_value(void) {
    const struct naive tenth = {.kind = NAIVE_REAL, .real = 0.1};
    const struct naive decimal = {.kind = NAIVE_DECIMAL, .number = 10, .scale = 2};
    const struct naive written = {.kind = NAIVE_DECIMAL, .number = 1, .scale = 1,
                                  .is_literal = true};
    const struct naive big = naive_int(9007199254740993);
    const struct naive real = {.kind = NAIVE_REAL, .real = 9007199254740992.0};
    CHECK(!naive_equal(&tenth, &decimal), "0.1 as a double is not 0.10");
    CHECK(naive_compare(&tenth, &decimal) > 0, "it is a little more");
    CHECK(naive_equal(&tenth, &written), "a literal is first rounded to a double");
    CHECK(naive_compare(&big, &real) > 0, "2^53 + 1 is more than 2^53");
}

int main(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    naive_use(&arena);
    RUN(sums_are_exact_and_rounded_once);
    RUN(every_double_is_read_and_rounded_back);
    RUN(decimals_round_to_the_nearest_double);
    RUN(numbers_of_all_kinds_compare_by_exact_value);
    RUN(scenarios_end_as_the_tables_say);
    pq_arena_deinit(&arena);
    return test_done();
}
