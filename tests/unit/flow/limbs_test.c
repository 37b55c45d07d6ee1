/// Goal: exact sums agree with long arithmetic done naively, one bit at a time, and round as the
/// machine rounds a single operation.
#include "flow/limbs.h"

#include <math.h>

#include "base/hash.h"
#include "support/test.h"

static uint64_t random_state = 7;
static uint64_t random_word(void) {
    random_state += UINT64_C(0x9E3779B97F4A7C15);
    return pq_hash_word(random_state);
}

static double random_double(void) {
    uint64_t image = random_word();
    if (random_word() % 3 == 0) image = (image & ~(UINT64_C(2047) << 52)) | UINT64_C(1020) << 52;
    if (random_word() % 9 == 0) image &= ~(UINT64_C(2047) << 52);  // subnormal
    double value;
    memcpy(&value, &image, sizeof value);
    return isfinite(value) ? value : 1.5;
}

/// The oracle: sign and 2240 single bits, schoolbook.
enum { BITS = 2240 };
struct bits {
    int8_t bit[BITS];
};

static void bits_add(struct bits *sum, double value, int times) {
    int exponent;
    const double fraction = frexp(fabs(value), &exponent);
    uint64_t mantissa = (uint64_t)ldexp(fraction, 53);
    int at = exponent - 53 + 1074;
    for (; at < 0; at++) mantissa /= 2;  // a subnormal's lowest bits are zeros
    const int sign = (value < 0) != (times < 0) ? -1 : 1;
    for (int t = 0; t < abs(times); t++) {
        int carry = 0;
        for (int i = at; i < BITS; i++) {
            const int one = i - at < 53 ? (int)(mantissa >> (i - at) & 1) : 0;
            const int total = sum->bit[i] + sign * one + carry;
            sum->bit[i] = (int8_t)(((total % 2) + 2) % 2);
            carry = (total - sum->bit[i]) / 2;
        }
    }
}

static bool bits_equal(const struct bits *want, const uint64_t *limbs) {
    for (int i = 0; i < BITS; i++) {
        if ((int)(limbs[i / 64] >> (i % 64) & 1) != want->bit[i]) return false;
    }
    return true;
}

static void grid_sums_agree_bit_by_bit(void) {
    for (int round = 0; round < 60; round++) {
        uint64_t limbs[PQ_GRID_LIMBS] = {0};
        struct bits *want = calloc(1, sizeof *want);
        for (int i = 0; i < 25; i++) {
            const double value = random_double();
            const int times = (int)(random_word() % 7) - 3;
            CHECK(pq_limbs_add(limbs, 0, PQ_GRID_LIMBS, pq_grid_place(value), times), "fits");
            bits_add(want, value, times);
        }
        CHECK(bits_equal(want, limbs), "round %d", round);
        free(want);
    }
}

static void large_weights_are_as_good_as_many_small_ones(void) {
    for (int round = 0; round < 200; round++) {
        uint64_t a[PQ_GRID_LIMBS] = {0}, b[PQ_GRID_LIMBS] = {0};
        const double value = random_double();
        const int64_t weight = (int64_t)(random_word() >> (random_word() % 64));
        pq_limbs_add(a, 0, PQ_GRID_LIMBS, pq_grid_place(value), weight);
        pq_limbs_add(b, 0, PQ_GRID_LIMBS, pq_grid_place(value), weight / 3);
        pq_limbs_add(b, 0, PQ_GRID_LIMBS, pq_grid_place(value), weight - weight / 3);
        CHECK(memcmp(a, b, sizeof a) == 0, "%g times %lld", value, (long long)weight);
        pq_limbs_add(a, 0, PQ_GRID_LIMBS, pq_grid_place(-value), weight);
        for (int i = 0; i < PQ_GRID_LIMBS; i++) CHECK(a[i] == 0, "limb %d", i);
    }
}

static void two_doubles_round_as_the_machine_does(void) {
    for (int round = 0; round < 20000; round++) {
        uint64_t limbs[PQ_GRID_LIMBS] = {0};
        const double a = random_double();
        double b = random_word() % 2 == 0 ? random_double() : a * 0x1p-53 * (double)(round % 5);
        if (random_word() % 4 == 0) b = -a + b * 0x1p-30;
        if (!isfinite(b)) continue;
        pq_limbs_add(limbs, 0, PQ_GRID_LIMBS, pq_grid_place(a), 1);
        pq_limbs_add(limbs, 0, PQ_GRID_LIMBS, pq_grid_place(b), 1);
        const double got =
            pq_rounded_real(pq_limbs_round(limbs, PQ_GRID_LIMBS, PQ_GRID_LOWEST));
        CHECK(got == a + b, "%a + %a = %a, got %a", a, b, a + b, got);
    }
}

static void a_near_window_gives_the_same_or_refuses(void) {
    for (int round = 0; round < 5000; round++) {
        uint64_t all[PQ_GRID_LIMBS] = {0}, near[4] = {0};
        const unsigned base = 14;
        for (int i = 0; i < 6; i++) {
            const int exponent = (int)(random_word() % 80) - 90;
            const double value = ldexp((double)(int64_t)random_word(), exponent);
            const int64_t weight = (int64_t)(random_word() % 3) - 1;
            if (!pq_limbs_add(near, base, 4, pq_grid_place(value), weight)) continue;
            pq_limbs_add(all, 0, PQ_GRID_LIMBS, pq_grid_place(value), weight);
        }
        const double want = pq_rounded_real(pq_limbs_round(all, PQ_GRID_LIMBS, PQ_GRID_LOWEST));
        const double got =
            pq_rounded_real(pq_limbs_round(near, 4, PQ_GRID_LOWEST + 64 * (int)base));
        CHECK(want == got, "round %d: %a, not %a", round, got, want);
    }
}

static void a_quotient_is_finite_though_the_sum_is_not(void) {
    uint64_t limbs[PQ_GRID_LIMBS] = {0};
    pq_limbs_add(limbs, 0, PQ_GRID_LIMBS, pq_grid_place(1e308), 4);
    const struct pq_rounded sum = pq_limbs_round(limbs, PQ_GRID_LIMBS, PQ_GRID_LOWEST);
    CHECK(isinf(pq_rounded_real(sum)), "sum");
    CHECK(pq_rounded_divide(sum, 4) == 1e308, "got %a", pq_rounded_divide(sum, 4));
    CHECK(pq_rounded_divide((struct pq_rounded){7, 0}, 2) == 3.5, "plain");
}

static void wide_sums_agree_with_128_bits(void) {
    for (int round = 0; round < 5000; round++) {
        struct pq_wide sum = {{0}};
        pq_i128 want = 0;
        for (int i = 0; i < 20; i++) {
            const pq_i128 value = (pq_i128)(int64_t)random_word() * (int64_t)(random_word() >> 20);
            const int64_t weight = (int64_t)(random_word() % 2001) - 1000;
            pq_wide_add(&sum, value, weight);
            want += value * weight;
            const int64_t one = (int64_t)random_word();
            pq_wide_add_one(&sum, one);
            want += one;
        }
        pq_i128 got;
        CHECK(pq_wide_fits(&sum, &got) && got == want, "round %d", round);
        const double real = pq_rounded_real(pq_limbs_round(sum.limbs, 3, 0));
        CHECK(real == (double)want, "round %d: %a, not %a", round, real, (double)want);
    }
}

static void wide_sums_know_what_does_not_fit(void) {
    const pq_i128 largest = (pq_i128)(~(pq_u128)0 >> 1);
    struct pq_wide sum = {{0}};
    pq_i128 got;
    pq_wide_add(&sum, largest, 1);
    CHECK(pq_wide_fits(&sum, &got) && got == largest, "largest");
    pq_wide_add_one(&sum, 1);
    CHECK(!pq_wide_fits(&sum, &got), "one more");
    pq_wide_add(&sum, largest, INT64_MAX);
    pq_wide_add(&sum, largest, -INT64_MAX);
    pq_wide_add_one(&sum, -1);
    CHECK(pq_wide_fits(&sum, &got) && got == largest, "taken back");
    pq_wide_add(&sum, -largest - 1, 1);
    CHECK(pq_wide_fits(&sum, &got) && got == -1, "below zero");
    pq_wide_add(&sum, -largest - 1, 1);
    CHECK(!pq_wide_fits(&sum, &got), "below the smallest");
}

/// Small integers at a power of two: numerator and denominator are exact doubles, so the machine's
/// one division is the answer.
static void a_variance_is_rounded_once(void) {
    for (int round = 0; round < 3000; round++) {
        uint64_t sum[PQ_GRID_LIMBS] = {0}, squares[PQ_SQUARE_LIMBS] = {0};
        struct pq_wide wide = {{0}};
        uint64_t wide_squares[PQ_SQUARE_WIDE] = {0};
        const int exponent = (int)(random_word() % 1000) - 500, n = 2 + (int)(random_word() % 40);
        int64_t total = 0, total_squares = 0;
        for (int i = 0; i < n + 3; i++) {
            const int64_t value = (int64_t)(random_word() % 20001) - 10000;
            uint64_t words[PQ_SQUARE_WIDE];
            // Three more come, and go again before the last of the others.
            for (int times = i < 3 ? 2 : 1; times > 0; times--) {
                const int64_t weight = i < 3 && times == 1 ? -1 : 1;
                const struct pq_grid_place place = pq_grid_place(ldexp((double)value, exponent));
                pq_limbs_add(sum, 0, PQ_GRID_LIMBS, place, weight);
                pq_limbs_square(place.bits, 1, words);
                pq_limbs_add_words(squares, PQ_SQUARE_LIMBS,
                                   2 * (64 * place.limb + place.shift), words, weight < 0);
                pq_wide_add(&wide, value, weight);
                pq_limbs_square((pq_u128)(value < 0 ? -value : value), 1, words);
                pq_limbs_add_words(wide_squares, PQ_SQUARE_WIDE, 0, words, weight < 0);
            }
            total += i < 3 ? 0 : value;
            total_squares += i < 3 ? 0 : value * value;
        }
        const uint64_t divisors[] = {(uint64_t)n, (uint64_t)n - 1};
        struct pq_spread spread = {.sum = {sum, PQ_GRID_LIMBS, PQ_GRID_LOWEST},
                                   .squares = {squares, PQ_SQUARE_LIMBS, PQ_SQUARE_LOWEST},
                                   .n = (uint64_t)n,
                                   .divisors = divisors,
                                   .divisor_count = 2};
        const double want = (double)(n * total_squares - total * total) / (n * (n - 1.0));
        const double got = pq_rounded_real(pq_limbs_spread(&spread));
        CHECK(got == ldexp(want, 2 * exponent), "at 2^%d: %a, not %a", exponent, got, want);
        spread.sum = (struct pq_limbs){wide.limbs, 3, 0};
        spread.squares = (struct pq_limbs){wide_squares, PQ_SQUARE_WIDE, 0};
        const double of_ints = pq_rounded_real(pq_limbs_spread(&spread));
        CHECK(of_ints == want, "ints: %a, not %a", of_ints, want);
    }
}

/// The smallest doubles: a quotient below 2^-1074 is rounded there, not twice.
static void a_tiny_variance_is_rounded_on_the_grid(void) {
    const struct {
        uint64_t sum_at, squares, n, divisor;
        double want;
    } cases[] = {
        {0, 3, 1, 2, 0x1p-1074 * 2},  // 1.5 units: a tie to even
        {0, 5, 1, 2, 0x1p-1074 * 2},  // 2.5 units
        {0, 1, 1, 2, 0},              // half a unit
        {0, 1, 1, 3, 0},
        {0, 2, 1, 3, 0x1p-1074},
        {0, 0, 1, 3, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const uint64_t sum[1] = {cases[i].sum_at}, squares[2] = {cases[i].squares, 0};
        const struct pq_spread spread = {.sum = {sum, 1, -537},
                                         .squares = {squares, 2, PQ_GRID_LOWEST},
                                         .n = cases[i].n,
                                         .divisors = &cases[i].divisor,
                                         .divisor_count = 1,
                                         .is_last = true};
        const double got = pq_rounded_real(pq_limbs_spread(&spread));
        CHECK(got == cases[i].want, "case %zu: %a", i, got);
    }
}

static void squares_of_128_bits_are_exact(void) {
    // (2^127 - 1)^2 * (2^64 - 1), by its parts.
    uint64_t words[PQ_SQUARE_WIDE], sum[PQ_SQUARE_WIDE] = {0}, one[PQ_SQUARE_WIDE];
    const pq_u128 largest = ~(pq_u128)0 >> 1;
    pq_limbs_square(largest, UINT64_MAX, words);
    pq_limbs_square(largest, 1, one);
    CHECK(one[0] == 1 && one[1] == 0 && one[2] == UINT64_MAX &&
              one[3] == UINT64_MAX >> 2 && one[4] == 0,
          "the square");
    pq_limbs_add_words(sum, PQ_SQUARE_WIDE, 64, one, false);
    pq_limbs_add_words(sum, PQ_SQUARE_WIDE, 0, one, true);
    CHECK(memcmp(sum, words, sizeof sum) == 0, "times 2^64 - 1");
    pq_limbs_add_words(sum, PQ_SQUARE_WIDE, 0, words, true);
    for (int i = 0; i < PQ_SQUARE_WIDE; i++) CHECK(sum[i] == 0, "limb %d", i);
}

int main(void) {
    RUN(grid_sums_agree_bit_by_bit);
    RUN(large_weights_are_as_good_as_many_small_ones);
    RUN(two_doubles_round_as_the_machine_does);
    RUN(a_near_window_gives_the_same_or_refuses);
    RUN(a_quotient_is_finite_though_the_sum_is_not);
    RUN(wide_sums_agree_with_128_bits);
    RUN(wide_sums_know_what_does_not_fit);
    RUN(a_variance_is_rounded_once);
    RUN(a_tiny_variance_is_rounded_on_the_grid);
    RUN(squares_of_128_bits_are_exact);
    return test_done();
}
