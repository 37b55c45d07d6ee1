/// type/decimal.h: exact decimals of up to 38 digits, and exact comparison of numbers of all kinds.
///
/// A decimal is units / 10^scale. Nothing here rounds unless its name or comment says so; what
/// rounds goes half to even. A failed function leaves its output alone.
#ifndef PQ_TYPE_DECIMAL_H
#define PQ_TYPE_DECIMAL_H

#include <parquedb/error.h>

#include "type/value.h"

enum {
    PQ_DECIMAL_DIGITS_MAX = 38,
    PQ_DECIMAL_TEXT_MAX = 48,  // sign, digits, point, leading zero, NUL
};

struct pq_decimal {
    pq_i128 units;
    uint8_t scale;  // 0 to 38
};

enum pq_rounding { PQ_ROUND_HALF_EVEN, PQ_ROUND_DOWN, PQ_ROUND_UP, PQ_ROUND_TO_ZERO };

/// 10^exponent, exponent at most 38.
pq_u128 pq_decimal_power(unsigned exponent);

/// Do the units have at most `precision` digits?
bool pq_decimal_fits(pq_i128 units, uint8_t precision);

/// A number as JSON writes it ("-12.50", "1e-3", "+" and a leading or trailing point allowed), to a
/// column's precision and scale: excess digits are rounded half to even, excess precision is
/// refused. Errors: PQDB_INVALID.
pqdb_code pq_decimal_parse(struct pq_text text, uint8_t precision, uint8_t scale, pq_i128 *units,
                           pqdb_error *err);

/// The number exactly as written, with the scale it is written with (1.50 has scale 2, 1e3 has 0).
/// False when it is no number or needs more than 38 digits.
bool pq_decimal_parse_exact(struct pq_text text, struct pq_decimal *decimal);

/// Exactly `scale` digits after the point: "-0.05", "12". NUL-terminated; returns the length.
size_t pq_decimal_format(struct pq_decimal decimal, char out[PQ_DECIMAL_TEXT_MAX]);

/// The same number with another scale. False when it would need more than 38 digits.
bool pq_decimal_rescale(struct pq_decimal decimal, uint8_t scale, enum pq_rounding rounding,
                        struct pq_decimal *out);

/// Exact; the result's scale is the larger one. False when it needs more than 38 digits.
bool pq_decimal_add(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *sum);
bool pq_decimal_sub(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *difference);

/// The result's scale is a.scale + b.scale; beyond 38 it is 38 and the product is rounded once.
bool pq_decimal_mul(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *product);

/// The remainder with the sign of `a` and the larger scale. False when b is 0.
bool pq_decimal_mod(struct pq_decimal a, struct pq_decimal b, struct pq_decimal *remainder);

/// The nearest double, ties to even.
double pq_decimal_to_real(struct pq_decimal decimal);
/// The largest double that is not above; `*exact`: it is equal.
double pq_decimal_floor(struct pq_decimal decimal, bool *exact);

/// The exact value of the double, rounded once to `scale`. False for NaN, infinities and more than
/// 38 digits. (0.1 is not 1/10: give JSON numbers to pq_decimal_parse as text instead.)
bool pq_decimal_from_real(double real, uint8_t scale, pq_i128 *units);

/// <0, 0, >0 by exact value.
int pq_decimal_compare(struct pq_decimal a, struct pq_decimal b);

/// INT64, FLOAT32, FLOAT64 and DECIMAL in any mix, by exact value: 0.1 (double) is above 0.10
/// (decimal). NaN is equal to itself and above all other numbers; -0 equals 0.
int pq_number_compare(const struct pq_value *a, const struct pq_value *b);

/// One form for equal numbers, so that bytes can be hashed and compared: INT64 where the value is
/// one, else DECIMAL with the smallest scale where it is one of at most 38 digits, else FLOAT64
/// (one NaN).
struct pq_value pq_number_canonical(const struct pq_value *number);

/// Of a number's value: the nearest double.
double pq_number_real(const struct pq_value *number);

#endif
