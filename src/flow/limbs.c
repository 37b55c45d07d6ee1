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

/// `start_min`: the lowest bit that may be part of the mantissa.
static struct pq_rounded round_from(const uint64_t *limbs, unsigned count, int lowest,
                                    unsigned start_min) {
    pq_assert(count <= PQ_LIMBS_MAX);
    uint64_t positive[PQ_LIMBS_MAX];
    const bool negative = limbs[count - 1] >> 63 != 0;
    uint64_t carry = negative;
    for (unsigned i = 0; i < count; i++) {
        const uint64_t word = negative ? ~limbs[i] : limbs[i];
        positive[i] = word + carry;
        carry = carry != 0 && positive[i] == 0;
    }
    const unsigned top = top_bit(positive, count);
    unsigned start = top >= 53 ? top - 52 : 0;  // the mantissa's lowest bit
    if (start < start_min) start = start_min;
    if (start > top + 1) return (struct pq_rounded){0};
    uint64_t mantissa = 0;
    if (start / 64 < count) mantissa = positive[start / 64] >> (start % 64);
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

struct pq_rounded pq_limbs_round(const uint64_t *limbs, unsigned count, int lowest) {
    return round_from(limbs, count, lowest, 0);
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

// ---- squares ----------------------------------------------------------------------------------

void pq_limbs_square(pq_u128 magnitude, uint64_t factor, uint64_t words[PQ_SQUARE_WIDE]) {
    const uint64_t low = (uint64_t)magnitude, high = (uint64_t)(magnitude >> 64);
    uint64_t square[PQ_SQUARE_WIDE] = {0};
    const pq_u128 ll = (pq_u128)low * low, lh = (pq_u128)low * high, hh = (pq_u128)high * high;
    square[0] = (uint64_t)ll;
    pq_u128 sum = (ll >> 64) + (uint64_t)lh + (uint64_t)lh;
    square[1] = (uint64_t)sum;
    sum = (sum >> 64) + (lh >> 64) + (lh >> 64) + (uint64_t)hh;
    square[2] = (uint64_t)sum;
    square[3] = (uint64_t)((sum >> 64) + (hh >> 64));
    pq_u128 carry = 0;
    for (unsigned i = 0; i < PQ_SQUARE_WIDE; i++) {
        carry += (pq_u128)square[i] * factor;
        words[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

void pq_limbs_add_words(uint64_t *limbs, unsigned count, unsigned bit,
                        const uint64_t words[PQ_SQUARE_WIDE], bool negative) {
    const unsigned shift = bit % 64;
    uint64_t carry = negative, before = 0;
    unsigned used = PQ_SQUARE_WIDE;
    while (used > 0 && words[used - 1] == 0) used--;
    for (unsigned i = bit / 64, k = 0; i < count; i++, k++) {
        if (k > used && carry == (negative ? 1 : 0)) return;  // nothing moves any more
        const uint64_t word = k < used ? words[k] : 0;
        const uint64_t shifted = word << shift | (shift == 0 ? 0 : before >> (64 - shift));
        before = word;
        const pq_u128 sum = (pq_u128)limbs[i] + (negative ? ~shifted : shifted) + carry;
        limbs[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
}

/// A number that is not negative, without zeros at its ends.
struct big {
    uint64_t limbs[PQ_LIMBS_MAX];
    unsigned count;
    int lowest;
};

static void big_magnitude(const struct pq_limbs *from, struct big *to) {
    const bool negative = from->limbs[from->count - 1] >> 63 != 0;
    unsigned first = 0, end = from->count;
    while (first < end && from->limbs[first] == 0) first++;
    uint64_t carry = negative;
    to->count = end - first;
    to->lowest = from->lowest + 64 * (int)first;
    for (unsigned i = first; i < end; i++) {
        const uint64_t word = negative ? ~from->limbs[i] : from->limbs[i];
        to->limbs[i - first] = word + carry;
        carry = carry != 0 && word + carry == 0;
    }
    while (to->count > 0 && to->limbs[to->count - 1] == 0) to->count--;
}

/// to = a * b; the limbs of both fit into one.
static void big_multiply(const struct big *a, const struct big *b, struct big *to) {
    memset(to->limbs, 0, (a->count + b->count) * sizeof *to->limbs);
    for (unsigned i = 0; i < a->count; i++) {
        uint64_t carry = 0;
        for (unsigned k = 0; k < b->count; k++) {
            const pq_u128 sum =
                (pq_u128)a->limbs[i] * b->limbs[k] + to->limbs[i + k] + carry;
            to->limbs[i + k] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        to->limbs[i + b->count] = carry;
    }
    to->count = a->count + b->count;
    to->lowest = a->lowest + b->lowest;
}

/// a -= b, which is not larger. Their ends lie whole limbs apart.
static void big_subtract(struct big *a, const struct big *b) {
    if (b->count == 0) return;
    if (b->lowest < a->lowest) {
        const unsigned more = (unsigned)(a->lowest - b->lowest) / 64;
        memmove(a->limbs + more, a->limbs, a->count * sizeof *a->limbs);
        memset(a->limbs, 0, more * sizeof *a->limbs);
        a->count += more;
        a->lowest = b->lowest;
    }
    const unsigned at = (unsigned)(b->lowest - a->lowest) / 64;
    uint64_t borrow = 0;
    for (unsigned i = at; i < a->count; i++) {
        const uint64_t word = i - at < b->count ? b->limbs[i - at] : 0;
        const pq_u128 difference = (pq_u128)a->limbs[i] - word - borrow;
        a->limbs[i] = (uint64_t)difference;
        borrow = (uint64_t)(difference >> 64) != 0;
    }
}

/// a / divisor, rounded down; is something left?
static bool big_divide(struct big *a, uint64_t divisor) {
    pq_u128 rest = 0;
    if (divisor == 1) return false;
    for (unsigned i = a->count; i-- > 0;) {
        const pq_u128 dividend = rest << 64 | a->limbs[i];
        a->limbs[i] = (uint64_t)(dividend / divisor);
        rest = dividend % divisor;
    }
    return rest != 0;
}

struct pq_rounded pq_limbs_spread(const struct pq_spread *spread) {
    struct big sum, squares, product, result;
    const struct big n = {.limbs = {spread->n}, .count = 1};
    big_magnitude(&spread->sum, &sum);
    big_magnitude(&spread->squares, &squares);
    big_multiply(&squares, &n, &product);
    big_multiply(&sum, &sum, &squares);
    big_subtract(&product, &squares);
    while (product.count > 0 && product.limbs[product.count - 1] == 0) product.count--;
    if (product.count == 0) return (struct pq_rounded){0};
    // So many limbs below that the quotient has 128 bits at least: what is left over beyond them
    // is one bit that tells a tie from more than one.
    const unsigned below = spread->divisor_count + 2;
    result.count = product.count + below + 1;
    result.lowest = product.lowest - 64 * (int)below;
    memset(result.limbs, 0, below * sizeof *result.limbs);
    memcpy(result.limbs + below, product.limbs, product.count * sizeof *product.limbs);
    result.limbs[result.count - 1] = 0;  // no sign
    bool more = false;
    for (unsigned i = 0; i < spread->divisor_count; i++) {
        more |= big_divide(&result, spread->divisors[i]);
    }
    result.limbs[0] |= more;
    const int grid = PQ_GRID_LOWEST - result.lowest;
    return round_from(result.limbs, result.count, result.lowest,
                      spread->is_last && grid > 0 ? (unsigned)grid : 0);
}
