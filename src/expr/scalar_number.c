/// Arithmetic, one value at a time. An int that overflows, a decimal beyond 38 digits, a double
/// beyond its range and a division by zero are null.
#include <math.h>

#include "expr/scalar_internal.h"
#include "type/decimal.h"

static bool is_real(const struct pq_value *value) {
    return value->kind == PQ_FLOAT32 || value->kind == PQ_FLOAT64;
}

static struct pq_decimal decimal_of(const struct pq_value *value) {
    if (value->kind == PQ_INT64) return (struct pq_decimal){value->as.integer, 0};
    return (struct pq_decimal){value->as.decimal, value->scale};
}

static struct pq_value value_of(struct pq_decimal decimal) {
    struct pq_value value = {.kind = PQ_DECIMAL, .scale = decimal.scale};
    value.as.decimal = decimal.units;
    return value;
}

bool pq_value_index(const struct pq_value *number, int64_t *index) {
    const struct pq_value canonical = pq_number_canonical(number);
    *index = canonical.as.integer;
    return canonical.kind == PQ_INT64;
}

static bool is_finite_number(const struct pq_value *value) {
    return !is_real(value) || isfinite(value->as.real);
}

/// One of the four operators; null where it has no result.
static struct pq_value apply(char operator, const struct pq_value *a, const struct pq_value *b) {
    struct pq_value out = {.kind = PQ_NULL};
    if (is_real(a) || is_real(b)) {
        const double x = pq_number_real(a), y = pq_number_real(b);
        const double real = operator == '+' ? x + y : operator == '-' ? x - y : x * y;
        if (isinf(real) && is_finite_number(a) && is_finite_number(b)) return out;
        pq_give_real(&out, real);
        return out;
    }
    if (a->kind == PQ_INT64 && b->kind == PQ_INT64) {
        int64_t result;
        const int64_t x = a->as.integer, y = b->as.integer;
        const bool overflow = operator == '+'   ? __builtin_add_overflow(x, y, &result)
                              : operator == '-' ? __builtin_sub_overflow(x, y, &result)
                                                : __builtin_mul_overflow(x, y, &result);
        if (!overflow) pq_give_int(&out, result);
        return out;
    }
    struct pq_decimal result;
    const struct pq_decimal x = decimal_of(a), y = decimal_of(b);
    const bool fits = operator == '+'   ? pq_decimal_add(x, y, &result)
                      : operator == '-' ? pq_decimal_sub(x, y, &result)
                                        : pq_decimal_mul(x, y, &result);
    return fits ? value_of(result) : out;
}

static pqdb_code fold(char operator, const struct pq_node *node, const struct pq_value *args,
                      struct pq_value *out) {
    *out = args[0];
    for (size_t k = 1; k < node->arg_count && out->kind != PQ_NULL; k++) {
        *out = apply(operator, out, &args[k]);
    }
    return PQDB_OK;
}

SCALAR(add) { return fold('+', node, args, out); }
SCALAR(subtract) { return fold('-', node, args, out); }
SCALAR(multiply) { return fold('*', node, args, out); }

SCALAR(divide) {
    const double a = pq_number_real(&args[0]), b = pq_number_real(&args[1]);
    if (b == 0) return PQDB_OK;
    const double quotient = a / b;
    if (isinf(quotient) && is_finite_number(&args[0]) && is_finite_number(&args[1])) {
        return PQDB_OK;
    }
    return pq_give_real(out, quotient);
}

SCALAR(mod) {
    const struct pq_value *a = &args[0], *b = &args[1];
    if (is_real(a) || is_real(b)) {
        const double divisor = pq_number_real(b);
        if (divisor == 0) return PQDB_OK;
        return pq_give_real(out, fmod(pq_number_real(a), divisor));
    }
    if (a->kind == PQ_INT64 && b->kind == PQ_INT64) {
        if (b->as.integer == 0) return PQDB_OK;
        return pq_give_int(out, b->as.integer == -1 ? 0 : a->as.integer % b->as.integer);
    }
    struct pq_decimal remainder;
    if (pq_decimal_mod(decimal_of(a), decimal_of(b), &remainder)) *out = value_of(remainder);
    return PQDB_OK;
}

SCALAR(abs) {
    *out = args[0];
    if (is_real(out)) {
        out->as.real = fabs(out->as.real);
    } else if (out->kind == PQ_DECIMAL) {
        if (out->as.decimal < 0) out->as.decimal = -out->as.decimal;
    } else if (out->as.integer == INT64_MIN) {
        out->kind = PQ_NULL;
    } else if (out->as.integer < 0) {
        out->as.integer = -out->as.integer;
    }
    return PQDB_OK;
}

/// A decimal to so many digits and back to its own scale.
static pqdb_code round_decimal(const struct pq_value *value, int64_t digits,
                               enum pq_rounding rounding, struct pq_value *out) {
    struct pq_decimal decimal = decimal_of(value);
    const uint8_t scale = decimal.scale;
    if (digits >= scale) {
        *out = *value;
        return PQDB_OK;
    }
    int64_t left = digits;  // to the left of the point: as if the point stood there
    if (digits < 0) {
        if (digits < -PQ_DECIMAL_DIGITS_MAX || scale - digits > PQ_DECIMAL_DIGITS_MAX) {
            left = 0;
            decimal.units = 0;
        } else {
            decimal.scale = (uint8_t)(scale - digits);
            left = 0;
        }
    }
    if (!pq_decimal_rescale(decimal, (uint8_t)left, rounding, &decimal)) return PQDB_OK;
    if (digits < 0) {
        const pq_i128 power =
            digits < -PQ_DECIMAL_DIGITS_MAX ? 0 : (pq_i128)pq_decimal_power((unsigned)-digits);
        if (__builtin_mul_overflow(decimal.units, power, &decimal.units)) return PQDB_OK;
        decimal.scale = 0;
    }
    if (pq_decimal_rescale(decimal, scale, PQ_ROUND_HALF_EVEN, &decimal)) *out = value_of(decimal);
    return PQDB_OK;
}

/// As the decimal that the double exactly is, so that 2.675 (which is below it) becomes 2.67.
static double round_real(double real, int64_t digits) {
    if (!isfinite(real) || digits > 38) return real;
    if (digits == 0) return nearbyint(real);  // half to even
    if (digits < 0) {
        if (digits < -308) return copysign(0, real);
        const double power = pow(10, (double)-digits);
        return nearbyint(real / power) * power;
    }
    struct pq_decimal decimal = {.scale = (uint8_t)digits};
    if (!pq_decimal_from_real(real, decimal.scale, &decimal.units)) return real;
    return pq_decimal_to_real(decimal);
}

SCALAR(round) {
    int64_t digits = 0;
    if (node->arg_count > 1 && !pq_value_index(&args[1], &digits)) return PQDB_OK;
    if (is_real(&args[0])) return pq_give_real(out, round_real(args[0].as.real, digits));
    if (args[0].kind == PQ_DECIMAL) {
        return round_decimal(&args[0], digits, PQ_ROUND_HALF_EVEN, out);
    }
    struct pq_value whole = {.kind = PQ_DECIMAL, .scale = 0};
    whole.as.decimal = args[0].as.integer;
    PQ_TRY(round_decimal(&whole, digits, PQ_ROUND_HALF_EVEN, out));
    if (out->kind == PQ_NULL) return PQDB_OK;
    const pq_i128 units = out->as.decimal;
    out->kind = PQ_NULL;
    return units > INT64_MAX || units < INT64_MIN ? PQDB_OK : pq_give_int(out, (int64_t)units);
}

SCALAR(floor) {
    if (is_real(&args[0])) return pq_give_real(out, floor(args[0].as.real));
    if (args[0].kind == PQ_DECIMAL) return round_decimal(&args[0], 0, PQ_ROUND_DOWN, out);
    *out = args[0];
    return PQDB_OK;
}

SCALAR(ceil) {
    if (is_real(&args[0])) return pq_give_real(out, ceil(args[0].as.real));
    if (args[0].kind == PQ_DECIMAL) return round_decimal(&args[0], 0, PQ_ROUND_UP, out);
    *out = args[0];
    return PQDB_OK;
}
