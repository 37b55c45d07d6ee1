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

int main(void) {
    RUN(grid_sums_agree_bit_by_bit);
    RUN(large_weights_are_as_good_as_many_small_ones);
    RUN(two_doubles_round_as_the_machine_does);
    RUN(a_near_window_gives_the_same_or_refuses);
    RUN(a_quotient_is_finite_though_the_sum_is_not);
    RUN(wide_sums_agree_with_128_bits);
    RUN(wide_sums_know_what_does_not_fit);
    return test_done();
}
