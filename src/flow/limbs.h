/// flow/limbs.h: sums that never round, so that adding and taking back leaves nothing behind.
///
/// Numbers are two's complement in 64-bit limbs, lowest first. int and decimal sums have three
/// limbs
/// (192 bits hold 2^64 of any 128-bit value). Doubles are integers on the grid of 2^-1074, of
/// which a
/// sum keeps four limbs near its values and, when one falls outside, all 35. One rounding at the
/// end,
/// ties to even.
#ifndef PQ_FLOW_LIMBS_H
#define PQ_FLOW_LIMBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "type/type.h"

/// A sum of 128-bit integers.
struct pq_wide {
    uint64_t limbs[3];
};

/// sum += value * weight.
void pq_wide_add(struct pq_wide *sum, pq_i128 value, int64_t weight);
bool pq_wide_fits(const struct pq_wide *sum, pq_i128 *value);

/// The usual case, inlined: an int64 once.
static inline void pq_wide_add_one(struct pq_wide *sum, int64_t value) {
    const pq_u128 low = (pq_u128)sum->limbs[0] | (pq_u128)sum->limbs[1] << 64;
    const pq_u128 addend = (pq_u128)(pq_i128)value;
    const pq_u128 added = low + addend;
    const uint64_t carry = added < low;
    sum->limbs[0] = (uint64_t)added;
    sum->limbs[1] = (uint64_t)(added >> 64);
    sum->limbs[2] += carry + (uint64_t)(value >> 63);
}

enum { PQ_GRID_LIMBS = 35, PQ_GRID_NEAR = 4, PQ_GRID_LOWEST = -1074 };

/// Where a finite double lies on the grid: bits << shift at limb `limb`.
struct pq_grid_place {
    uint64_t bits;  // 53
    unsigned limb, shift;
    bool negative;
};
static inline struct pq_grid_place pq_grid_place(double value) {
    uint64_t image;
    memcpy(&image, &value, sizeof image);
    const unsigned exponent = (unsigned)(image >> 52 & 2047);
    const uint64_t fraction = image & ((UINT64_C(1) << 52) - 1);
    const unsigned bit = exponent == 0 ? 0 : exponent - 1;
    return (struct pq_grid_place){
        .bits = exponent == 0 ? fraction : fraction | UINT64_C(1) << 52,
        .limb = bit / 64,
        .shift = bit % 64,
        .negative = image >> 63 != 0,
    };
}

/// Add ±bits at limb `at` of `count` limbs, at + 2 of them at least; wraps at the top.
static inline void pq_limbs_add_at(uint64_t *limbs, unsigned count, unsigned at, pq_u128 bits,
                                   bool negative) {
    const uint64_t sign = negative ? UINT64_MAX : 0;
    const pq_u128 signed_bits = negative ? (pq_u128)0 - bits : bits;
    // A negative 0 has no sign to extend.
    const uint64_t extend = bits == 0 ? 0 : sign;
    pq_u128 sum = (pq_u128)limbs[at] + (uint64_t)signed_bits;
    limbs[at] = (uint64_t)sum;
    sum = (pq_u128)limbs[at + 1] + (uint64_t)(signed_bits >> 64) + (uint64_t)(sum >> 64);
    limbs[at + 1] = (uint64_t)sum;
    for (unsigned i = at + 2; i < count; i++) {
        sum = (pq_u128)limbs[i] + extend + (uint64_t)(sum >> 64);
        limbs[i] = (uint64_t)sum;
    }
}

/// Add a double, `weight` times, to `count` limbs that begin at limb `base` of the grid. False,
/// with
/// nothing changed, when it does not lie inside with room to spare at the top. All 35 limbs have
/// room
/// for any double.
bool pq_limbs_add(uint64_t *limbs, unsigned base, unsigned count, struct pq_grid_place place,
                  int64_t weight);

/// Squares of doubles: the grid of 2^-2148. 128-bit integers: five limbs hold 2^64 squares.
enum {
    PQ_SQUARE_LIMBS = 68,
    PQ_SQUARE_NEAR = 6,
    PQ_SQUARE_LOWEST = 2 * PQ_GRID_LOWEST,
    PQ_SQUARE_WIDE = 5,
    PQ_LIMBS_MAX = 96,
};

/// magnitude^2 * factor; a magnitude below 2^127.
void pq_limbs_square(pq_u128 magnitude, uint64_t factor, uint64_t words[PQ_SQUARE_WIDE]);

/// limbs ± words * 2^bit; wraps at the top.
void pq_limbs_add_words(uint64_t *limbs, unsigned count, unsigned bit,
                        const uint64_t words[PQ_SQUARE_WIDE], bool negative);

/// A sum that lies at 2^lowest, in `count` limbs.
struct pq_limbs {
    const uint64_t *limbs;
    unsigned count;
    int lowest;
};

struct pq_rounded {
    double mantissa;
    int exponent;
};

/// n * squares - sum^2, divided by `divisors`: rounded once, ties to even, to 53 bits or, when
/// `is_last`, to a double. `squares` is not negative, and lowest differs from the double of the
/// sum's by whole limbs.
struct pq_spread {
    struct pq_limbs sum, squares;
    uint64_t n;
    const uint64_t *divisors;  // none is 0
    unsigned divisor_count;    // at most 6
    bool is_last;
};
struct pq_rounded pq_limbs_spread(const struct pq_spread *spread);

/// What limbs are worth when read as a double: mantissa * 2^exponent, |mantissa| < 2^53 + 1,
/// rounded
/// once. `lowest` is the power of two that bit 0 stands for.
struct pq_rounded pq_limbs_round(const uint64_t *limbs, unsigned count, int lowest);

/// mantissa * 2^exponent; infinite when beyond the doubles.
double pq_rounded_real(struct pq_rounded rounded);

/// The rounded value divided by `n`: finite wherever the quotient is, even if the dividend is not.
double pq_rounded_divide(struct pq_rounded rounded, double n);

#endif
