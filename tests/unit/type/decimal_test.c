/// Goal: hold decimals and mixed comparison to exact arithmetic.
#include "type/decimal.h"

#include <math.h>
#include <string.h>

#include "support/cases.h"
#include "support/test.h"

/// "12.50" decimal, "5i" int, "0.1d" double: the operands of the tables.
static struct pq_value value_of(const char *text) {
    const size_t length = strlen(text);
    if (length > 0 && text[length - 1] == 'i') {
        return (struct pq_value){.kind = PQ_INT64, .as.integer = strtoll(text, NULL, 10)};
    }
    if (length > 0 && text[length - 1] == 'd') {
        return (struct pq_value){.kind = PQ_FLOAT64, .as.real = strtod(text, NULL)};
    }
    struct pq_decimal decimal = {0};
    CHECK(pq_decimal_parse_exact(pq_text_of(text), &decimal), "%s", text);
    return (struct pq_value){
        .kind = PQ_DECIMAL, .scale = decimal.scale, .as.decimal = decimal.units};
}

static struct pq_decimal decimal_of(const char *text) {
    const struct pq_value value = value_of(text);
    return (struct pq_decimal){value.as.decimal, value.scale};
}

static void print_decimal(struct pq_decimal decimal, char out[static 64]) {
    char text[PQ_DECIMAL_TEXT_MAX];
    const size_t length = pq_decimal_format(decimal, text);
    CHECK(length == strlen(text), "%s", text);
    snprintf(out, 64, "%s", text);
}

static void check_arithmetic(const struct test_case *test) {
    char op[16], a[128], b[128], got[64] = "none";
    const int count = sscanf(test->input, "%15s %127s %127s", op, a, b);
    struct pq_decimal x = decimal_of(a), result = {0};
    const long scale = count == 3 ? strtol(b, NULL, 10) : 0;
    bool done = false;
    if (strcmp(op, "add") == 0) done = pq_decimal_add(x, decimal_of(b), &result);
    if (strcmp(op, "sub") == 0) done = pq_decimal_sub(x, decimal_of(b), &result);
    if (strcmp(op, "mul") == 0) done = pq_decimal_mul(x, decimal_of(b), &result);
    if (strcmp(op, "mod") == 0) done = pq_decimal_mod(x, decimal_of(b), &result);
    static const char *const roundings[] = {"even", "down", "up", "zero"};
    for (int r = 0; r < 4; r++) {
        if (strcmp(op, roundings[r]) != 0) continue;
        done = pq_decimal_rescale(x, (uint8_t)scale, (enum pq_rounding)r, &result);
    }
    if (done) print_decimal(result, got);
    case_expect(test, got);
}

static void check_parse(const struct test_case *test) {
    int precision, scale;
    char text[256], got[400];
    CHECK(sscanf(test->input, "%d %d %255s", &precision, &scale, text) == 3, "%s", test->input);
    struct pq_decimal decimal = {.scale = (uint8_t)scale};
    pqdb_error err;
    if (pq_decimal_parse(pq_text_of(text), (uint8_t)precision, (uint8_t)scale, &decimal.units,
                         &err) == PQDB_OK) {
        print_decimal(decimal, got);
    } else {
        snprintf(got, sizeof got, "error: %s", err.message);
    }
    case_expect(test, got);
}

static void check_compare(const struct test_case *test) {
    char a[128], b[128];
    CHECK(sscanf(test->input, "%127s %127s", a, b) == 2, "%s", test->input);
    const struct pq_value x = value_of(a), y = value_of(b);
    const int order = pq_number_compare(&x, &y);
    CHECK(pq_number_compare(&y, &x) == -order, "%s and %s have two orders", a, b);
    case_expect(test, order < 0 ? "<" : order > 0 ? ">" : "=");
    const struct pq_value cx = pq_number_canonical(&x), cy = pq_number_canonical(&y);
    CHECK(pq_number_compare(&x, &cx) == 0, "%s is not its own canonical form", a);
    const bool same_form =
        cx.kind == cy.kind && cx.scale == cy.scale &&
        (cx.kind == PQ_INT64     ? cx.as.integer == cy.as.integer
         : cx.kind == PQ_DECIMAL ? cx.as.decimal == cy.as.decimal
                                 : memcmp(&cx.as.real, &cy.as.real, sizeof(double)) == 0);
    CHECK(same_form == (order == 0), "%s and %s: canonical forms disagree with the order", a, b);
}

static void arithmetic_follows_the_table(void) {
    cases_run("type/decimal.cases", check_arithmetic);
}
static void texts_parse_as_the_table_says(void) {
    cases_run("type/decimal_parse.cases", check_parse);
}
static void numbers_of_all_kinds_compare_by_exact_value(void) {
    cases_run("type/number_compare.cases", check_compare);
}

static void expect_exact(const char *text, const char *expected) {
    struct pq_decimal decimal;
    char got[64] = "none";
    if (pq_decimal_parse_exact(pq_text_of(text), &decimal)) print_decimal(decimal, got);
    CHECK(strcmp(got, expected) == 0, "%s gave %s, not %s", text, got, expected);
}

static void literals_keep_the_scale_they_are_written_with(void) {
    expect_exact("1.50", "1.50");
    expect_exact("-0.0", "0.0");
    expect_exact("1e3", "1000");
    expect_exact("1.5e3", "1500");
    expect_exact("15e-3", "0.015");
    expect_exact(".5", "0.5");
    expect_exact("5.", "5");
    expect_exact("+7", "7");
    expect_exact("99999999999999999999999999999999999999",
                 "99999999999999999999999999999999999999");
    expect_exact("100000000000000000000000000000000000000", "none");
    expect_exact("10000000000000000000000000000000000000.000",
                 "10000000000000000000000000000000000000");
    expect_exact("1e-38", "0.00000000000000000000000000000000000001");
    expect_exact("1e-39", "none");
    expect_exact("10e-39", "0.00000000000000000000000000000000000001");
    expect_exact("0e-999999999999999999999999", "0.00000000000000000000000000000000000000");
    expect_exact("1e999999999999999999999999", "none");
    for (const char *const *text = (const char *const[]){"", "-", ".", "1e", "1e+", "1x", "e5",
                                                         "1..2", "0x10", " 1", "1 ", "--1", NULL};
         *text != NULL; text++) {
        expect_exact(*text, "none");
    }
}

static void doubles_convert_with_one_rounding(void) {
    pq_i128 units = 0;
    CHECK(pq_decimal_from_real(0.1, 2, &units) && units == 10, "0.1");
    CHECK(pq_decimal_from_real(0.125, 2, &units) && units == 12, "a tie goes to even");
    CHECK(pq_decimal_from_real(0.375, 2, &units) && units == 38, "a tie goes to even");
    CHECK(pq_decimal_from_real(-2.5, 0, &units) && units == -2, "a tie goes to even");
    CHECK(pq_decimal_from_real(1.005, 2, &units) && units == 100, "1.005 is below its text");
    CHECK(pq_decimal_from_real(5e-324, 38, &units) && units == 0, "the smallest");
    CHECK(pq_decimal_from_real(1e37, 0, &units) && pq_decimal_fits(units, 38), "1e37");
    CHECK(!pq_decimal_from_real(1e39, 0, &units), "1e39");
    CHECK(!pq_decimal_from_real(1.0, 38, &units), "1 has no room for 38 digits");
    CHECK(!pq_decimal_from_real((double)NAN, 0, &units), "NaN");
    CHECK(!pq_decimal_from_real(-(double)INFINITY, 0, &units), "infinity");
    CHECK(pq_decimal_to_real(decimal_of("0.1")) == 0.1, "0.1");
    CHECK(pq_decimal_to_real(decimal_of("123456789012345678901234567890.12345678")) ==
              123456789012345678901234567890.12345678,
          "30 digits");
}

/// Of random decimals: to_real is nearest (strtod of the printed text), and a double in between
/// compares on the right side of its neighbours; floor is the one that is not above.
static void random_decimals_agree_with_their_text(void) {
    uint64_t seed = 7;
    for (int i = 0; i < 20000; i++) {
        pq_u128 bits = 0;
        for (int k = 0; k < 2; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            bits = bits << 64 | (seed ^ seed >> 31);
        }
        const unsigned keep = (unsigned)(seed >> 40) % 127;
        struct pq_decimal decimal = {(pq_i128)(bits >> (128 - keep - (keep == 0))),
                                     (uint8_t)((seed >> 20) % 39)};
        if (!pq_decimal_fits(decimal.units, 38)) continue;
        if (seed & 1) decimal.units = -decimal.units;
        char text[64];
        print_decimal(decimal, text);
        const double real = strtod(text, NULL);
        CHECK(pq_decimal_to_real(decimal) == real, "%s", text);
        struct pq_decimal back;
        CHECK(pq_decimal_parse_exact(pq_text_of(text), &back) && back.units == decimal.units &&
                  back.scale == decimal.scale,
              "%s", text);
        const struct pq_value x = {
            .kind = PQ_DECIMAL, .scale = decimal.scale, .as.decimal = decimal.units};
        const struct pq_value up = {.kind = PQ_FLOAT64,
                                    .as.real = nextafter(real, (double)INFINITY)};
        const struct pq_value down = {.kind = PQ_FLOAT64,
                                      .as.real = nextafter(real, -(double)INFINITY)};
        CHECK(pq_number_compare(&x, &up) < 0 && pq_number_compare(&x, &down) > 0, "%s", text);
        const struct pq_value nearest = {.kind = PQ_FLOAT64, .as.real = real};
        const int order = pq_number_compare(&nearest, &x);
        bool exact;
        CHECK(pq_decimal_floor(decimal, &exact) == (order > 0 ? down.as.real : real) &&
                  exact == (order == 0),
              "%s", text);
    }
}

/// (a + b) - b == a, a * 1 == a, and (a mod b) + b * n == a.
static void random_sums_and_remainders_close(void) {
    uint64_t seed = 99;
    for (int i = 0; i < 20000; i++) {
        struct pq_decimal v[2], sum, back, rest;
        for (int k = 0; k < 2; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            const int64_t units = (int64_t)(seed ^ seed >> 29) >> (seed >> 58);
            v[k] = (struct pq_decimal){(pq_i128)units * 1000003, (uint8_t)((seed >> 12) % 9)};
        }
        CHECK(pq_decimal_add(v[0], v[1], &sum) && pq_decimal_sub(sum, v[1], &back) &&
                  pq_decimal_compare(back, v[0]) == 0,
              "sum %d", i);
        if (!pq_decimal_mod(v[0], v[1], &rest)) continue;
        struct pq_decimal whole, again;
        CHECK(pq_decimal_sub(v[0], rest, &whole), "remainder %d", i);
        CHECK(pq_decimal_mod(whole, v[1], &again) && again.units == 0, "remainder %d", i);
        CHECK(rest.units == 0 || (rest.units < 0) == (v[0].units < 0), "sign %d", i);
    }
}

int main(void) {
    RUN(arithmetic_follows_the_table);
    RUN(texts_parse_as_the_table_says);
    RUN(numbers_of_all_kinds_compare_by_exact_value);
    RUN(literals_keep_the_scale_they_are_written_with);
    RUN(doubles_convert_with_one_rounding);
    RUN(random_decimals_agree_with_their_text);
    RUN(random_sums_and_remainders_close);
    return test_done();
}
