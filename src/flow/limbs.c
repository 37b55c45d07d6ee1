/// flow/limbs.c: the long way of the additions, and the one rounding.
#include "flow/limbs.h"

#include <math.h>

#include "base/check.h"

static pq_u128 magnitude(pq_i128 value) {
    return value < 0 ? (pq_u128)0 - (pq_u128)value : (pq_u128)value;
}

void pq_wide_add(struct pq_wide *sum, pq_i128 value, int64_t weight) {
    const bool negative = (value < 0) != (weight < 0);
    const pq_u128 a = magnitude(value);
    const uint64_t b = weight < 0 ? (uint64_t)0 - (uint64_t)weight : (uint64_t)weight;
    const pq_u128 low = (pq_u128)(uint64_t)a * b;
    const pq_u128 high = (pq_u128)(uint64_t)(a >> 64) * b + (uint64_t)(low >> 64);
    uint64_t product[3] = {(uint64_t)low, (uint64_t)high, (uint64_t)(high >> 64)};
    uint64_t carry = negative;
    for (int i = 0; i < 3; i++) {
        const uint64_t word = negative ? ~product[i] : product[i];
        const pq_u128 added = (pq_u128)sum->limbs[i] + word + carry;
        sum->limbs[i] = (uint64_t)added;
        carry = (uint64_t)(added >> 64);
    }
}

bool pq_wide_fits(const struct pq_wide *sum, pq_i128 *value) {
    const uint64_t sign = (uint64_t)((int64_t)sum->limbs[1] >> 63);
    if (sum->limbs[2] != sign) return false;
    *value = (pq_i128)((pq_u128)sum->limbs[1] << 64 | sum->limbs[0]);
    return true;
}

bool pq_limbs_add(uint64_t *limbs, unsigned base, unsigned count, struct pq_grid_place place,
                  int64_t weight) {
    const uint64_t factor = weight < 0 ? (uint64_t)0 - (uint64_t)weight : (uint64_t)weight;
    const bool negative = place.negative != (weight < 0);
    const pq_u128 product = (pq_u128)place.bits * factor;
    // Once, a double shifted has 116 bits: two limbs, the upper one mostly free. Else two or three
    // limbs, and one of room above.
    const unsigned needed = factor <= 1 ? 2 : product >> 64 == 0 ? 3 : 4;
    if (place.limb < base || place.limb + needed > base + count) return false;
    const unsigned at = place.limb - base;
    pq_limbs_add_at(limbs, count, at, (pq_u128)(uint64_t)product << place.shift, negative);
    if (needed < 4) return true;
    pq_limbs_add_at(limbs, count, at + 1, (pq_u128)(uint64_t)(product >> 64) << place.shift,
                    negative);
    return true;
}

static unsigned top_bit(const uint64_t *limbs, unsigned count) {
    for (unsigned i = count; i-- > 0;) {
        if (limbs[i] != 0) return i * 64 + 63 - (unsigned)__builtin_clzll(limbs[i]);
    }
    return 0;
}

static bool bit_at(const uint64_t *limbs, unsigned bit) {
    return (limbs[bit / 64] >> (bit % 64) & 1) != 0;
}

static bool any_below(const uint64_t *limbs, unsigned bit) {
    for (unsigned i = 0; i < bit / 64; i++) {
        if (limbs[i] != 0) return true;
    }
    return bit % 64 != 0 && limbs[bit / 64] << (64 - bit % 64) != 0;
}

struct pq_rounded pq_limbs_round(const uint64_t *limbs, unsigned count, int lowest) {
    pq_assert(count <= PQ_GRID_LIMBS);
    uint64_t positive[PQ_GRID_LIMBS];
    const bool negative = limbs[count - 1] >> 63 != 0;
    uint64_t carry = negative;
    for (unsigned i = 0; i < count; i++) {
        const uint64_t word = negative ? ~limbs[i] : limbs[i];
        positive[i] = word + carry;
        carry = carry != 0 && positive[i] == 0;
    }
    const unsigned top = top_bit(positive, count);
    const unsigned start = top >= 53 ? top - 52 : 0;  // the mantissa's lowest bit
    uint64_t mantissa = positive[start / 64] >> (start % 64);
    if (start % 64 != 0 && start / 64 + 1 < count) {
        mantissa |= positive[start / 64 + 1] << (64 - start % 64);
    }
    mantissa &= (UINT64_C(1) << 53) - 1;
    if (start > 0 && bit_at(positive, start - 1) &&
        ((mantissa & 1) != 0 || any_below(positive, start - 1))) {
        mantissa++;
    }
    const double real = (double)mantissa;
    return (struct pq_rounded){negative ? -real : real, lowest + (int)start};
}

double pq_rounded_real(struct pq_rounded rounded) {
    // A power of two that is a normal double multiplies exactly, as long as the product is normal.
    if (rounded.exponent > -900 && rounded.exponent < 900) {
        const uint64_t image = (uint64_t)(rounded.exponent + 1023) << 52;
        double power;
        memcpy(&power, &image, sizeof power);
        return rounded.mantissa * power;
    }
    return ldexp(rounded.mantissa, rounded.exponent);
}

double pq_rounded_divide(struct pq_rounded rounded, double n) {
    const double whole = pq_rounded_real(rounded);
    if (isfinite(whole)) return whole / n;
    return ldexp(rounded.mantissa / n, rounded.exponent);
}
