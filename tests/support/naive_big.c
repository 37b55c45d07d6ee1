/// Whole numbers of 5632 bits: digits in base 2^32, sign apart, as on paper.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/naive.h"

struct naive_big naive_big_of(naive_i128 number) {
    struct naive_big big = {.negative = number < 0};
    for (int i = 0; i < 4; i++) {
        const naive_i128 rest = number % ((naive_i128)1 << 32);
        number /= (naive_i128)1 << 32;
        big.limbs[i] = (uint32_t)(rest < 0 ? -rest : rest);
    }
    return big;
}

static int compare_sizes(const struct naive_big *a, const struct naive_big *b) {
    for (int i = NAIVE_LIMBS - 1; i >= 0; i--) {
        if (a->limbs[i] != b->limbs[i]) return a->limbs[i] < b->limbs[i] ? -1 : 1;
    }
    return 0;
}

static bool is_zero(const struct naive_big *a) {
    static const struct naive_big zero;
    return compare_sizes(a, &zero) == 0;
}

int naive_big_compare(const struct naive_big *a, const struct naive_big *b) {
    const bool a_below = a->negative && !is_zero(a), b_below = b->negative && !is_zero(b);
    if (a_below != b_below) return a_below ? -1 : 1;
    return a_below ? -compare_sizes(a, b) : compare_sizes(a, b);
}

struct naive_big naive_big_add(const struct naive_big *a, const struct naive_big *b) {
    struct naive_big sum = {.negative = a->negative};
    if (a->negative == b->negative) {
        uint64_t carry = 0;
        for (int i = 0; i < NAIVE_LIMBS; i++) {
            carry += (uint64_t)a->limbs[i] + b->limbs[i];
            sum.limbs[i] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry != 0) abort();
        return sum;
    }
    const bool swap = compare_sizes(a, b) < 0;
    const struct naive_big *large = swap ? b : a, *small = swap ? a : b;
    int64_t borrow = 0;
    sum.negative = large->negative;
    for (int i = 0; i < NAIVE_LIMBS; i++) {
        int64_t digit = (int64_t)large->limbs[i] - small->limbs[i] - borrow;
        borrow = digit < 0;
        if (borrow) digit += INT64_C(1) << 32;
        sum.limbs[i] = (uint32_t)digit;
    }
    return sum;
}

struct naive_big naive_big_subtract(const struct naive_big *a, const struct naive_big *b) {
    struct naive_big minus = *b;
    minus.negative = !b->negative;
    return naive_big_add(a, &minus);
}

static int used(const struct naive_big *a) {
    int count = NAIVE_LIMBS;
    while (count > 0 && a->limbs[count - 1] == 0) count--;
    return count;
}

struct naive_big naive_big_multiply(const struct naive_big *a, const struct naive_big *b) {
    struct naive_big product = {.negative = a->negative != b->negative};
    const int a_used = used(a), b_used = used(b);
    if (a_used + b_used > NAIVE_LIMBS) abort();
    for (int i = 0; i < a_used; i++) {
        uint64_t carry = 0;
        for (int k = 0; k < b_used || carry != 0; k++) {
            carry += product.limbs[i + k] + (uint64_t)a->limbs[i] * (k < b_used ? b->limbs[k] : 0);
            product.limbs[i + k] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    return product;
}

struct naive_big naive_big_shift(const struct naive_big *a, int bits) {
    struct naive_big shifted = {.negative = a->negative};
    const int whole = bits / 32, part = bits % 32;
    if (used(a) + whole + 1 > NAIVE_LIMBS) abort();
    for (int i = used(a) - 1; i >= 0; i--) {
        const uint64_t two = (uint64_t)a->limbs[i] << part;
        shifted.limbs[i + whole] |= (uint32_t)two;
        shifted.limbs[i + whole + 1] |= (uint32_t)(two >> 32);
    }
    return shifted;
}

struct naive_big naive_big_of_real(double real) {
    int exponent;
    const double part = frexp(fabs(real), &exponent);  // real = part * 2^exponent, part < 1
    // The smallest doubles have fewer digits; then the lowest of the 53 are zero.
    struct naive_big big = naive_big_of((naive_i128)ldexp(part, 53));
    int up = exponent - 53 + 1074;
    if (up < 0) {
        big = naive_big_of((naive_i128)ldexp(part, 53 + up));
        up = 0;
    }
    big = naive_big_shift(&big, up);
    big.negative = real < 0;
    return big;
}

/// Divides in place; was there a rest?
static bool divide(struct naive_big *big, uint64_t divisor) {
    naive_i128 rest = 0;
    for (int i = NAIVE_LIMBS - 1; i >= 0; i--) {
        rest = (rest << 32) + big->limbs[i];
        big->limbs[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return rest != 0;
}

static bool bit(const struct naive_big *big, int at) {
    return at >= 0 && (big->limbs[at / 32] >> at % 32 & 1) != 0;
}

/// sqrt(mantissa * 2^exponent)
static double root(double mantissa, int exponent) {
    if (exponent % 2 != 0) {
        mantissa *= 2;
        exponent--;
    }
    return ldexp(sqrt(mantissa), exponent / 2);
}

double naive_big_quotient(const struct naive_big *big, struct naive_ratio ratio) {
    struct naive_big whole = *big;
    bool has_rest = false;
    int exponent = ratio.exponent;
    if (ratio.scale > 0 || ratio.divisor > 1) {
        whole = naive_big_shift(big, 320);
        exponent -= 320;
    }
    for (int i = 0; i < ratio.scale; i++) has_rest |= divide(&whole, 10);
    has_rest |= divide(&whole, ratio.divisor);
    int top = NAIVE_LIMBS * 32 - 1;
    while (top >= 0 && !bit(&whole, top)) top--;
    if (top < 0) return 0;
    // The lowest digit that a double keeps: 53 digits, and none below 2^-1074.
    int lowest = top - 52;
    if (lowest + exponent < -1074 && !ratio.is_root) lowest = -1074 - exponent;
    double mantissa = 0;
    for (int at = top; at >= lowest; at--) mantissa = mantissa * 2 + bit(&whole, at);
    for (int at = 0; at < lowest - 1; at++) has_rest |= bit(&whole, at);
    const bool half = bit(&whole, lowest - 1), is_odd = bit(&whole, lowest);
    if (half && (has_rest || is_odd)) mantissa += 1;
    if (ratio.is_root) return root(mantissa, lowest + exponent);
    const double size = ldexp(mantissa, lowest + exponent);
    return big->negative ? -size : size;
}

double naive_big_round(const struct naive_big *big, int exponent, int scale) {
    return naive_big_quotient(big, (struct naive_ratio){exponent, scale, 1, false});
}

bool naive_big_fits(const struct naive_big *big, naive_i128 *number) {
    if (used(big) > 4 || (used(big) == 4 && big->limbs[3] > INT32_MAX)) return false;
    naive_i128 value = 0;
    for (int i = 3; i >= 0; i--) value = (value << 32) + big->limbs[i];
    *number = big->negative ? -value : value;
    return true;
}
