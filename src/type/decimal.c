/// Units are at most 38 digits (below 2^127), products at most 76 (below 2^253): everything is done
/// exactly, in 128 bits where that holds it, else in two words of them.
#include "type/decimal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fail.h"

struct wide {
    pq_u128 high, low;
};

pq_u128 pq_decimal_power(unsigned exponent) {
    static const uint64_t small[] = {
        1u, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u, 1000000000u,
        UINT64_C(10000000000), UINT64_C(100000000000), UINT64_C(1000000000000),
        UINT64_C(10000000000000), UINT64_C(100000000000000), UINT64_C(1000000000000000),
        UINT64_C(10000000000000000), UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)};
    pq_assert(exponent <= PQ_DECIMAL_DIGITS_MAX);
    return exponent < 20 ? small[exponent] : (pq_u128)small[19] * small[exponent - 19];
}

static pq_u128 magnitude(pq_i128 value) { return value < 0 ? 0 - (pq_u128)value : (pq_u128)value; }

static pq_i128 with_sign(pq_u128 value, bool negative) {
    return negative ? -(pq_i128)value : (pq_i128)value;
}

bool pq_decimal_fits(pq_i128 units, uint8_t precision) {
    return magnitude(units) < pq_decimal_power(precision);
}

static bool fits(pq_u128 units) { return units < pq_decimal_power(PQ_DECIMAL_DIGITS_MAX); }

// ---- two words -----------------------------------------------------------------------------

static struct wide multiply(pq_u128 a, pq_u128 b) {
    const pq_u128 a1 = a >> 64, a0 = (uint64_t)a, b1 = b >> 64, b0 = (uint64_t)b;
    const pq_u128 middle = a1 * b0 + ((a0 * b0) >> 64);
    const pq_u128 crossed = a0 * b1 + (uint64_t)middle;
    return (struct wide){a1 * b1 + (middle >> 64) + (crossed >> 64), a * b};
}

/// `shift` at most 255; what leaves on the left is lost.
static struct wide shift_left(struct wide value, unsigned shift) {
    if (shift == 0) return value;
    if (shift >= 128) return (struct wide){value.low << (shift - 128), 0};
    return (struct wide){value.high << shift | value.low >> (128 - shift), value.low << shift};
}

static struct wide shift_right(struct wide value, unsigned shift) {
    if (shift == 0) return value;
    if (shift >= 128) return (struct wide){0, value.high >> (shift - 128)};
    return (struct wide){value.high >> shift, value.low >> shift | value.high << (128 - shift)};
}

static int compare_wide(struct wide a, struct wide b) {
    if (a.high != b.high) return a.high < b.high ? -1 : 1;
    return a.low < b.low ? -1 : a.low > b.low;
}

/// Bit by bit; the divisor is below 2^127, so the running remainder never overflows.
static pq_u128 divide(struct wide dividend, pq_u128 divisor, struct wide *quotient) {
    pq_assert(divisor != 0 && divisor >> 127 == 0);
    if (dividend.high == 0) {
        *quotient = (struct wide){0, dividend.low / divisor};
        return dividend.low % divisor;
    }
    pq_u128 remainder = 0;
    struct wide result = {0, 0};
    for (unsigned i = 0; i < 256; i++) {
        remainder = remainder << 1 | dividend.high >> 127;
        dividend = shift_left(dividend, 1);
        result = shift_left(result, 1);
        if (remainder >= divisor) {
            remainder -= divisor;
            result.low |= 1;
        }
    }
    *quotient = result;
    return remainder;
}

/// Is one more unit of magnitude due after dropping `remainder` of `divisor`?
static bool rounds_away(pq_u128 remainder, pq_u128 divisor, bool is_odd, bool negative,
                        enum pq_rounding rounding) {
    if (remainder == 0) return false;
    switch (rounding) {
    case PQ_ROUND_DOWN: return negative;
    case PQ_ROUND_UP: return !negative;
    case PQ_ROUND_TO_ZERO: return false;
    default: break;
    }
    const pq_u128 rest = divisor - remainder;
    return remainder > rest || (remainder == rest && is_odd);
}

// ---- text ----------------------------------------------------------------------------------

/// A number as written: mantissa digits with perhaps a point among them, times 10^exponent.
struct written {
    const char *mantissa;
    size_t length;  // of the mantissa, with its point
    int64_t whole;  // digits before the point
    int64_t fraction;
    int64_t exponent;  // far beyond any use it stops growing
    bool negative;
};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool read_exponent(const char *at, const char *end, int64_t *exponent) {
    const bool negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    if (at == end) return false;
    int64_t value = 0;
    for (; at < end; at++) {
        if (!is_digit(*at)) return false;
        if (value < INT64_C(1) << 40) value = value * 10 + (*at - '0');
    }
    *exponent = negative ? -value : value;
    return true;
}

static bool read_written(struct pq_text text, struct written *number) {
    const char *at = text.data, *end = text.data + text.length;
    *number = (struct written){.negative = at < end && *at == '-'};
    if (at < end && (*at == '-' || *at == '+')) at++;
    number->mantissa = at;
    while (at < end && is_digit(*at)) at++;
    number->whole = at - number->mantissa;
    if (at < end && *at == '.') {
        const char *point = at++;
        while (at < end && is_digit(*at)) at++;
        number->fraction = at - point - 1;
    }
    number->length = (size_t)(at - number->mantissa);
    if (number->whole + number->fraction == 0) return false;
    if (at == end) return true;
    return (*at == 'e' || *at == 'E') && read_exponent(at + 1, end, &number->exponent);
}

/// What was left behind when a number was cut at a scale.
struct cut {
    int first;  // the first digit dropped
    bool rest;  // some digit after it is not 0
};

/// The magnitude in units of 10^-scale, cut off there. False at 10^38 and beyond.
static bool cut_at(const struct written *number, int64_t scale, pq_u128 *units, struct cut *cut) {
    const pq_u128 bound = pq_decimal_power(PQ_DECIMAL_DIGITS_MAX);
    const int64_t kept = number->whole + number->exponent + scale;  // digits, leading zeros too
    pq_u128 value = 0;
    int64_t index = 0;
    *cut = (struct cut){0};
    for (size_t i = 0; i < number->length; i++) {
        if (number->mantissa[i] == '.') continue;
        const uint64_t digit = (uint64_t)(number->mantissa[i] - '0');
        if (index < kept) {
            if (value >= bound / 10) return false;
            value = value * 10 + digit;
        } else if (index == kept) {
            cut->first = (int)digit;
        } else {
            cut->rest |= digit != 0;
        }
        index++;
    }
    for (; index < kept && value != 0; index++) {
        if (value >= bound / 10) return false;
        value *= 10;
    }
    *units = value;
    return true;
}

pqdb_code pq_decimal_parse(struct pq_text text, uint8_t precision, uint8_t scale, pq_i128 *units,
                           pqdb_error *err) {
    struct written number;
    if (!read_written(text, &number)) {
        return pq_fail(err, PQDB_INVALID, "'%.*s' is not a number",
                       (int)(text.length < 60 ? text.length : 60), text.data);
    }
    pq_u128 value;
    struct cut cut;
    bool is_in = cut_at(&number, scale, &value, &cut);
    if (is_in && (cut.first > 5 || (cut.first == 5 && (cut.rest || value % 2 == 1)))) value++;
    is_in = is_in && value < pq_decimal_power(precision);
    if (!is_in) {
        return pq_fail(err, PQDB_INVALID,
                       "'%.*s' does not fit decimal(%d,%d): at most %d digits before the point",
                       (int)(text.length < 60 ? text.length : 60), text.data, precision, scale,
                       precision - scale);
    }
    *units = with_sign(value, number.negative);
    return PQDB_OK;
}

static bool is_whole(struct cut cut) { return cut.first == 0 && !cut.rest; }

/// Trailing zeros of the mantissa's digits.
static int64_t trailing_zeros(const struct written *number) {
    int64_t zeros = 0;
    for (size_t i = number->length; i-- > 0;) {
        if (number->mantissa[i] == '.') continue;
        if (number->mantissa[i] != '0') break;
        zeros++;
    }
    return zeros;
}

bool pq_decimal_parse_exact(struct pq_text text, struct pq_decimal *decimal) {
    struct written number;
    if (!read_written(text, &number)) return false;
    const int64_t written_scale = number.fraction - number.exponent;
    int64_t scale = written_scale < 0 ? 0 : written_scale;
    pq_u128 value;
    struct cut cut;
    bool is_in = scale <= PQ_DECIMAL_DIGITS_MAX && cut_at(&number, scale, &value, &cut);
    if (!is_in) {  // without the zeros at its end it may still fit
        scale = written_scale - trailing_zeros(&number);
        if (scale < 0) scale = 0;
        if (scale > PQ_DECIMAL_DIGITS_MAX) scale = PQ_DECIMAL_DIGITS_MAX;
        is_in = cut_at(&number, scale, &value, &cut);
    }
    if (!is_in || !is_whole(cut)) return false;
    *decimal = (struct pq_decimal){with_sign(value, number.negative), (uint8_t)scale};
    return true;
}

/// Digits into the end of `room`; returns where they begin. At least one digit.
static char *put_digits(pq_u128 value, char *end) {
    while (value > UINT64_MAX) {
        const pq_u128 next = value / 10;
        *--end = (char)('0' + (int)(value - next * 10));
        value = next;
    }
    uint64_t rest = (uint64_t)value;
    do {
        *--end = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    return end;
}

size_t pq_decimal_format(struct pq_decimal decimal, char out[PQ_DECIMAL_TEXT_MAX]) {
    char room[PQ_DECIMAL_TEXT_MAX];
    char *const end = room + sizeof room;
    char *digits = put_digits(magnitude(decimal.units), end);
    while (end - digits <= decimal.scale) *--digits = '0';
    char *to = out;
    if (decimal.units < 0) *to++ = '-';
    const size_t whole = (size_t)(end - digits) - decimal.scale;
    memcpy(to, digits, whole);
    to += whole;
    if (decimal.scale > 0) {
        *to++ = '.';
        memcpy(to, digits + whole, decimal.scale);
        to += decimal.scale;
    }
    *to = '\0';
    return (size_t)(to - out);
}

// ---- arithmetic ----------------------------------------------------------------------------

bool pq_decimal_rescale(struct pq_decimal decimal, uint8_t scale, enum pq_rounding rounding,
                        struct pq_decimal *out) {
    pq_u128 units = magnitude(decimal.units);
    if (scale >= decimal.scale) {
        const pq_u128 power = pq_decimal_power(scale - decimal.scale);
        if (__builtin_mul_overflow(units, power, &units) || !fits(units)) return false;
    } else {
        const pq_u128 power = pq_decimal_power(decimal.scale - scale);
        const pq_u128 remainder = units % power;
        units /= power;
        units += rounds_away(remainder, power, units % 2 == 1, decimal.units < 0, rounding);
    }
    *out = (struct pq_decimal){with_sign(units, decimal.units < 0), scale};
    return true;
}

static struct wide scaled(pq_i128 units, unsigned up) {
    return multiply(magnitude(units), pq_decimal_power(up));
}

bool pq_decimal_add(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *sum) {
    const uint8_t scale = a.scale > b.scale ? a.scale : b.scale;
    const struct wide x = scaled(a.units, (unsigned)(scale - a.scale));
    const struct wide y = scaled(b.units, (unsigned)(scale - b.scale));
    const bool a_negative = a.units < 0, b_negative = b.units < 0;
    bool negative = a_negative;
    struct wide total;
    if (a_negative == b_negative) {
        total.low = x.low + y.low;
        total.high = x.high + y.high + (total.low < x.low);
    } else {
        const bool swap = compare_wide(x, y) < 0;
        const struct wide large = swap ? y : x, small = swap ? x : y;
        if (swap) negative = b_negative;
        total.low = large.low - small.low;
        total.high = large.high - small.high - (large.low < small.low);
    }
    if (total.high != 0 || !fits(total.low)) return false;
    *sum = (struct pq_decimal){with_sign(total.low, negative), scale};
    return true;
}

bool pq_decimal_sub(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *difference) {
    b.units = -b.units;
    return pq_decimal_add(a, b, difference);
}

bool pq_decimal_mul(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *product) {
    struct wide units = multiply(magnitude(a.units), magnitude(b.units));
    const bool negative = (a.units < 0) != (b.units < 0);
    unsigned scale = (unsigned)a.scale + b.scale;
    if (scale > PQ_DECIMAL_DIGITS_MAX) {
        const pq_u128 power = pq_decimal_power(scale - PQ_DECIMAL_DIGITS_MAX);
        const pq_u128 rest = divide(units, power, &units);
        scale = PQ_DECIMAL_DIGITS_MAX;
        if (units.high != 0) return false;
        units.low += rounds_away(rest, power, units.low % 2 == 1, negative, PQ_ROUND_HALF_EVEN);
    }
    if (units.high != 0 || !fits(units.low)) return false;
    *product = (struct pq_decimal){with_sign(units.low, negative), (uint8_t)scale};
    return true;
}

bool pq_decimal_mod(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *remainder) {
    if (b.units == 0) return false;
    const uint8_t scale = a.scale > b.scale ? a.scale : b.scale;
    pq_u128 rest;
    if (a.scale >= b.scale) {
        const struct wide divisor = scaled(b.units, (unsigned)(scale - b.scale));
        rest = magnitude(a.units);
        if (divisor.high == 0) rest %= divisor.low;
    } else {
        struct wide quotient;
        rest = divide(scaled(a.units, (unsigned)(scale - a.scale)), magnitude(b.units), &quotient);
    }
    *remainder = (struct pq_decimal){with_sign(rest, a.units < 0), scale};
    return true;
}

// ---- doubles -------------------------------------------------------------------------------

/// |real| = mantissa × 2^exponent exactly; finite only.
struct binary {
    uint64_t mantissa;
    int exponent;
};

static struct binary binary_of(double real) {
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7FF);
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0) return (struct binary){fraction, -1074};
    return (struct binary){fraction | UINT64_C(1) << 52, exponent - 1075};
}

/// The powers of ten that doubles have exactly.
static const double real_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/// Are units and the power of ten both doubles?
static bool is_small(struct pq_decimal decimal) {
    return magnitude(decimal.units) <= UINT64_C(1) << 53 && decimal.scale <= 22;
}

static int compare_decimal_real(struct pq_decimal a, double b);

double pq_decimal_to_real(struct pq_decimal decimal) {
    if (is_small(decimal)) {  // rounded once
        return (double)(int64_t)decimal.units / real_powers[decimal.scale];
    }
    // Without a point, so that the locale has no say.
    char text[PQ_DECIMAL_TEXT_MAX + 8];
    const size_t length = pq_decimal_format((struct pq_decimal){decimal.units, 0}, text);
    memcpy(text + length, "e-", 2);
    text[length + 2] = (char)('0' + decimal.scale / 10);
    text[length + 3] = (char)('0' + decimal.scale % 10);
    text[length + 4] = '\0';
    return strtod(text, NULL);
}

/// The next double below.
static double below(double real) {
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    if (real == 0) bits = UINT64_C(1) << 63 | 1;
    else bits += real > 0 ? UINT64_MAX : 1;
    memcpy(&real, &bits, sizeof real);
    return real;
}

double pq_decimal_floor(struct pq_decimal decimal, bool *exact) {
    double real = pq_decimal_to_real(decimal);
    int order;
    if (is_small(decimal)) {  // rounded once, which leaves the sign
        const double units = (double)(int64_t)decimal.units;
        const double above = fma(real, real_powers[decimal.scale], -units);
        order = above > 0 ? 1 : above < 0 ? -1 : 0;
    } else {
        order = -compare_decimal_real(decimal, real);
    }
    *exact = order == 0;
    return order > 0 ? below(real) : real;
}

bool pq_decimal_from_real(double real, uint8_t scale, pq_i128 *units) {
    if (!isfinite(real)) return false;
    const struct binary binary = binary_of(real);
    struct wide value = multiply(binary.mantissa, pq_decimal_power(scale));  // below 2^180
    if (binary.exponent >= 0) {
        if (binary.exponent > 75 && binary.mantissa != 0) return false;
        value = shift_left(value, (unsigned)binary.exponent);
    } else {
        const unsigned shift = binary.exponent < -254 ? 254 : (unsigned)-binary.exponent;
        const struct wide cut = shift_left(shift_right(value, shift), shift);
        const struct wide half = shift_left((struct wide){0, 1}, shift - 1);
        const struct wide rest = {value.high - cut.high, value.low - cut.low};
        value = shift_right(value, shift);
        const int order = compare_wide(rest, half);
        if (order > 0 || (order == 0 && value.low % 2 == 1)) {
            value.low++;
            value.high += value.low == 0;
        }
    }
    if (value.high != 0 || !fits(value.low)) return false;
    *units = with_sign(value.low, signbit(real) != 0);
    return true;
}

// ---- comparison ----------------------------------------------------------------------------

static int sign_of(pq_i128 value) { return value < 0 ? -1 : value > 0; }

int pq_decimal_compare(struct pq_decimal a, struct pq_decimal b) {
    if (a.scale == b.scale) return a.units < b.units ? -1 : a.units > b.units;
    const int sign = sign_of(a.units);
    if (sign != sign_of(b.units)) return sign < sign_of(b.units) ? -1 : 1;
    const uint8_t scale = a.scale > b.scale ? a.scale : b.scale;
    return sign * compare_wide(scaled(a.units, (unsigned)(scale - a.scale)),
                               scaled(b.units, (unsigned)(scale - b.scale)));
}

static int bit_length(pq_u128 value) {
    const uint64_t high = (uint64_t)(value >> 64), low = (uint64_t)value;
    if (high != 0) return 128 - __builtin_clzll(high);
    return low == 0 ? 0 : 64 - __builtin_clzll(low);
}

/// units / 10^scale against mantissa × 2^exponent, both above 0: multiply by 10^scale, and by the
/// power of two where it is below one.
static int compare_magnitudes(pq_u128 units, uint8_t scale, struct binary real) {
    const struct wide right = multiply(real.mantissa, pq_decimal_power(scale));
    if (real.exponent >= 0) {
        if (real.exponent > 75) return -1;  // 2^52 × 2^76 is beyond 38 digits
        return compare_wide((struct wide){0, units}, shift_left(right, (unsigned)real.exponent));
    }
    if (bit_length(units) - real.exponent > 200) return 1;  // right is below 2^180
    return compare_wide(shift_left((struct wide){0, units}, (unsigned)-real.exponent), right);
}

static int compare_decimal_real(struct pq_decimal a, double b) {
    if (isnan(b)) return -1;
    if (isinf(b)) return b > 0 ? -1 : 1;
    const int sign = sign_of(a.units), other = b < 0 ? -1 : b > 0;
    if (sign != other) return sign < other ? -1 : 1;
    if (sign == 0) return 0;
    if (is_small(a)) {  // rounded once, which leaves the sign
        const double above = fma(b, real_powers[a.scale], -(double)(int64_t)a.units);
        return above > 0 ? -1 : above < 0;
    }
    return sign * compare_magnitudes(magnitude(a.units), a.scale, binary_of(b));
}

static int compare_reals(double a, double b) {
    if (isnan(a) || isnan(b)) return (isnan(a) != 0) - (isnan(b) != 0);
    return a < b ? -1 : a > b;
}

static bool is_real(const struct pq_value *number) {
    return number->kind == PQ_FLOAT64 || number->kind == PQ_FLOAT32;
}

static struct pq_decimal decimal_of(const struct pq_value *number) {
    if (number->kind == PQ_INT64) return (struct pq_decimal){number->as.integer, 0};
    pq_assert(number->kind == PQ_DECIMAL);
    return (struct pq_decimal){number->as.decimal, number->scale};
}

int pq_number_compare(const struct pq_value *a, const struct pq_value *b) {
    if (a->kind == PQ_INT64 && b->kind == PQ_INT64) {
        return a->as.integer < b->as.integer ? -1 : a->as.integer > b->as.integer;
    }
    if (is_real(a) && is_real(b)) return compare_reals(a->as.real, b->as.real);
    if (is_real(b)) return compare_decimal_real(decimal_of(a), b->as.real);
    if (is_real(a)) return -compare_decimal_real(decimal_of(b), a->as.real);
    return pq_decimal_compare(decimal_of(a), decimal_of(b));
}

static struct pq_value canonical_decimal(struct pq_decimal decimal) {
    while (decimal.scale > 0 && decimal.units % 10 == 0) {
        decimal.units /= 10;
        decimal.scale--;
    }
    if (decimal.scale == 0 && decimal.units >= INT64_MIN && decimal.units <= INT64_MAX) {
        return (struct pq_value){.kind = PQ_INT64, .as.integer = (int64_t)decimal.units};
    }
    return (struct pq_value){
        .kind = PQ_DECIMAL, .scale = decimal.scale, .as.decimal = decimal.units};
}

/// An odd mantissa times 2^-k is mantissa × 5^k / 10^k, and no smaller scale will do.
static bool decimal_of_real(double real, struct pq_decimal *decimal) {
    struct binary binary = binary_of(real);
    if (binary.mantissa == 0) return *decimal = (struct pq_decimal){0}, true;
    const int zeros = __builtin_ctzll(binary.mantissa);
    binary.mantissa >>= zeros;
    binary.exponent += zeros;
    pq_u128 units = binary.mantissa;
    if (binary.exponent > 127 || binary.exponent < -PQ_DECIMAL_DIGITS_MAX) return false;
    if (binary.exponent > 0) {
        if (bit_length(units) + binary.exponent > 127) return false;
        units <<= binary.exponent;
    }
    for (int k = binary.exponent; k < 0; k++) {
        if (__builtin_mul_overflow(units, (pq_u128)5, &units)) return false;
    }
    if (!fits(units)) return false;
    decimal->units = with_sign(units, real < 0);
    decimal->scale = binary.exponent < 0 ? (uint8_t)-binary.exponent : 0;
    return true;
}

struct pq_value pq_number_canonical(const struct pq_value *number) {
    if (number->kind == PQ_INT64) return *number;
    if (number->kind == PQ_DECIMAL) return canonical_decimal(decimal_of(number));
    const double real = number->as.real;
    struct pq_value result = {.kind = PQ_FLOAT64, .as.real = real};
    struct pq_decimal decimal;
    if (isnan(real)) {
        result.as.real = (double)NAN;
    } else if (isfinite(real) && decimal_of_real(real, &decimal)) {
        return canonical_decimal(decimal);
    }
    return result;
}

double pq_number_real(const struct pq_value *number) {
    if (is_real(number)) return number->as.real;
    if (number->kind == PQ_INT64) return (double)number->as.integer;
    return pq_decimal_to_real(decimal_of(number));
}
