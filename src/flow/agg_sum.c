/// flow/agg_sum.c: `$sum` and `$avg`, exact until the one rounding at the end.
///
/// int and decimal arguments: 192 bits. Everything else (double, float, variant): the grid of
/// doubles; four limbs in the row, all 35 in a blob once a value lies too far from them. ±Infinity
/// is counted apart, in that blob; null, NaN and what is no number are skipped.
#include <inttypes.h>
#include <math.h>

#include "flow/sums.h"
#include "type/decimal.h"
#include "variant/variant.h"

static struct exact_sum *exact_at(uint8_t *row, uint32_t offset) {
    return (struct exact_sum *)(void *)(row + offset);
}
static struct far_sum *far_of(uint8_t *row, const struct exact_sum *exact) {
    return (struct far_sum *)(uintptr_t)far_sum_of(row, exact);
}

static pqdb_code add_wide(const struct addition *addition, pqdb_error *err) {
    (void)err;
    const struct pq_column *argument = addition->argument;
    const bool is_int = argument->type->kind == PQ_INT64;
    const int64_t *ints = argument->values;
    const uint8_t *decimals = argument->values;  // not necessarily 16-aligned
    for (size_t i = 0; i < addition->count; i++) {
        if (pq_column_is_null(argument, i)) continue;
        uint8_t *row = addition->cells->rows[addition->cell_of[i]];
        struct wide_sum *wide = (struct wide_sum *)(void *)(row + addition->offset);
        const int64_t weight = weight_at(addition->weights, i);
        wide->n += weight;
        if (is_int && weight == 1) {
            pq_wide_add_one(&wide->sum, ints[i]);
        } else {
            pq_i128 value;
            if (is_int) {
                value = ints[i];
            } else {
                memcpy(&value, decimals + i * sizeof value, sizeof value);
            }
            pq_wide_add(&wide->sum, value, weight);
        }
    }
    return PQDB_OK;
}

const struct pq_state_kind pq_state_wide = {
    .name = "exact integer sum", .bytes = sizeof(struct wide_sum), .add = add_wide};

/// From four limbs to all of them.
static pqdb_code go_far(const struct addition *addition, uint32_t cell, pqdb_error *err) {
    struct exact_sum *exact = exact_at(addition->cells->rows[cell], addition->offset);
    struct far_sum far = {0};
    if (exact->where == SUM_NEAR) {
        const uint64_t sign = (uint64_t)((int64_t)exact->near[PQ_GRID_NEAR - 1] >> 63);
        for (unsigned i = exact->base; i < PQ_GRID_LIMBS; i++) {
            const unsigned inside = i - exact->base;
            far.limbs[i] = inside < PQ_GRID_NEAR ? exact->near[inside] : sign;
        }
    }
    memset(&exact->near, 0, sizeof exact->near);
    exact->where = SUM_FAR;
    PQ_TRY(addition->cells->grow(addition->cells, cell,
                                 addition->offset + offsetof(struct exact_sum, far), sizeof far,
                                 err));
    uint8_t *row = addition->cells->rows[cell];
    exact = exact_at(row, addition->offset);
    exact->far.length = sizeof far;
    memcpy(row + exact->far.offset, &far, sizeof far);
    return PQDB_OK;
}

static bool add_near(struct exact_sum *exact, struct pq_grid_place place, int64_t weight) {
    if (exact->where == SUM_NOT_PLACED) {
        exact->where = SUM_NEAR;
        // One limb below for what is smaller, one above for the sum.
        exact->base = (uint8_t)(place.limb == 0 ? 0 : place.limb - 1);
        memset(&exact->near, 0, sizeof exact->near);
    }
    return pq_limbs_add(exact->near, exact->base, PQ_GRID_NEAR, place, weight);
}

/// Any number, any weight: the long way.
static pqdb_code add_number(const struct addition *addition, uint32_t cell, double value,
                            int64_t weight, pqdb_error *err) {
    struct exact_sum *exact = exact_at(addition->cells->rows[cell], addition->offset);
    const struct pq_grid_place place = pq_grid_place(value);
    if (exact->where != SUM_FAR) {
        if (isfinite(value) && add_near(exact, place, weight)) {
            // The top two bits differ: the next one might not fit.
            const uint64_t top = exact->near[PQ_GRID_NEAR - 1];
            return (int64_t)(top ^ top << 1) < 0 ? go_far(addition, cell, err) : PQDB_OK;
        }
        PQ_TRY(go_far(addition, cell, err));
    }
    uint8_t *row = addition->cells->rows[cell];
    struct far_sum *far = far_of(row, exact_at(row, addition->offset));
    if (isinf(value)) {
        *(value > 0 ? &far->above : &far->below) += weight;
        return PQDB_OK;
    }
    const bool added = pq_limbs_add(far->limbs, 0, PQ_GRID_LIMBS, place, weight);
    pq_assert(added);
    return PQDB_OK;
}

static pqdb_code add_real(const struct addition *addition, uint32_t cell, double value,
                          int64_t weight, pqdb_error *err) {
    if (isnan(value)) return PQDB_OK;
    struct exact_sum *exact = exact_at(addition->cells->rows[cell], addition->offset);
    exact->n += weight;
    const struct pq_grid_place place = pq_grid_place(value);
    const unsigned at = place.limb - exact->base;
    // The usual case: once, finite, with limbs above to spare.
    if (weight == 1 && exact->where == SUM_NEAR && at < PQ_GRID_NEAR - 2 && isfinite(value)) {
        pq_limbs_add_at(exact->near, PQ_GRID_NEAR, at, (pq_u128)place.bits << place.shift,
                        place.negative);
        return PQDB_OK;  // the top limb moved by a carry at most: 2^62 rows away from its end
    }
    return add_number(addition, cell, value, weight, err);
}

/// An integer of up to 128 bits as the doubles it is made of: each piece is exact.
static pqdb_code add_integer(const struct addition *addition, uint32_t cell, pq_i128 value,
                             int64_t weight, pqdb_error *err) {
    exact_at(addition->cells->rows[cell], addition->offset)->n += weight;
    const bool negative = value < 0;
    pq_u128 left = negative ? (pq_u128)0 - (pq_u128)value : (pq_u128)value;
    for (int shift = 0; left != 0; shift += 48, left >>= 48) {
        const double piece = ldexp((double)(uint64_t)(left & ((UINT64_C(1) << 48) - 1)), shift);
        if (piece == 0) continue;
        PQ_TRY(add_number(addition, cell, negative ? -piece : piece, weight, err));
    }
    return PQDB_OK;
}

static pqdb_code variant_number(const struct pq_column *column, size_t row, struct pq_arena *arena,
                                struct numeric *number, pqdb_error *err) {
    struct pq_variant variant;
    const uint8_t mark = column->valid == NULL ? PQ_ROW_VALID : column->valid[row];
    PQ_TRY(pq_variant_of_row(pq_column_text(column, row), mark, column->names, arena, &variant,
                             err));
    const struct pq_value value = pq_variant_unwrap(&variant);
    switch (value.kind) {
        case PQ_INT64:
            *number = (struct numeric){.form = NUMERIC_INTEGER, .integer = value.as.integer};
            break;
        case PQ_DECIMAL:
            *number = (struct numeric){.form = NUMERIC_INTEGER, .integer = value.as.decimal};
            if (value.scale == 0) break;
            number->form = NUMERIC_REAL;
            number->real = pq_decimal_to_real((struct pq_decimal){value.as.decimal, value.scale});
            break;
        case PQ_FLOAT32:
        case PQ_FLOAT64:
            *number = (struct numeric){.form = NUMERIC_REAL, .real = value.as.real};
            break;
        default: *number = (struct numeric){.form = NOT_NUMERIC}; break;
    }
    return PQDB_OK;
}

pqdb_code numeric_at(const struct pq_column *column, size_t row, struct pq_arena *arena,
                     struct numeric *number, pqdb_error *err) {
    *number = (struct numeric){.form = NOT_NUMERIC};
    if (pq_column_is_null(column, row)) return PQDB_OK;
    switch (column->type->kind) {
        case PQ_INT64:
            number->form = NUMERIC_INTEGER;
            number->integer = ((const int64_t *)column->values)[row];
            break;
        case PQ_DECIMAL:
            number->form = NUMERIC_INTEGER;
            number->scale = column->type->scale;
            memcpy(&number->integer, (const uint8_t *)column->values + row * sizeof(pq_i128),
                   sizeof(pq_i128));  // not necessarily 16-aligned
            break;
        case PQ_FLOAT32:
            number->form = NUMERIC_REAL;
            number->real = (double)((const float *)column->values)[row];
            break;
        case PQ_FLOAT64:
            number->form = NUMERIC_REAL;
            number->real = ((const double *)column->values)[row];
            break;
        case PQ_VARIANT: PQ_TRY(variant_number(column, row, arena, number, err)); break;
        default: break;
    }
    if (number->form == NUMERIC_REAL && isnan(number->real)) number->form = NOT_NUMERIC;
    return PQDB_OK;
}

double numeric_real(const struct numeric *number) {
    if (number->form == NUMERIC_REAL) return number->real;
    return number->scale == 0
               ? (double)number->integer
               : pq_decimal_to_real((struct pq_decimal){number->integer, number->scale});
}

static pqdb_code add_exact(const struct addition *addition, pqdb_error *err) {
    const struct pq_column *argument = addition->argument;
    const enum pq_kind kind = argument->type->kind;
    const double *reals = argument->values;
    if (kind != PQ_FLOAT64 && kind != PQ_FLOAT32 && kind != PQ_VARIANT) return PQDB_OK;
    for (size_t i = 0; i < addition->count; i++) {
        if (pq_column_is_null(argument, i)) continue;
        const uint32_t cell = addition->cell_of[i];
        const int64_t weight = weight_at(addition->weights, i);
        if (kind == PQ_FLOAT64) {
            PQ_TRY(add_real(addition, cell, reals[i], weight, err));
            continue;
        }
        struct numeric number;
        PQ_TRY(numeric_at(argument, i, addition->arena, &number, err));
        if (number.form == NUMERIC_INTEGER) {
            PQ_TRY(add_integer(addition, cell, number.integer, weight, err));
        } else if (number.form == NUMERIC_REAL) {
            PQ_TRY(add_real(addition, cell, number.real, weight, err));
        }
    }
    return PQDB_OK;
}

static int exact_blob(const uint8_t *state) {
    const struct exact_sum *exact = (const struct exact_sum *)(const void *)state;
    return exact->where == SUM_FAR ? (int)offsetof(struct exact_sum, far) : -1;
}

const struct pq_state_kind pq_state_exact = {
    .name = "exact sum", .bytes = sizeof(struct exact_sum), .add = add_exact, .blob = exact_blob};

const struct pq_state_kind *sum_state(const struct pq_type *argument) {
    const enum pq_kind kind = argument->kind;
    return kind == PQ_INT64 || kind == PQ_DECIMAL ? &pq_state_wide : &pq_state_exact;
}

static pqdb_code sum_type(const struct pq_type *argument, struct pq_arena *arena,
                          struct pq_type *type, pqdb_error *err) {
    (void)arena;
    (void)err;
    *type = pq_type_float64;
    if (argument->kind == PQ_INT64) *type = pq_type_int64;
    if (argument->kind == PQ_DECIMAL) {
        *type = (struct pq_type){
            .kind = PQ_DECIMAL, .precision = PQ_DECIMAL_DIGITS_MAX, .scale = argument->scale};
    }
    return PQDB_OK;
}

pqdb_code does_not_fit(const struct pq_finish *finish, const uint8_t *row, const char *what,
                       const char *type, pqdb_error *err) {
    const struct blob id = group_head(row)->id;
    return pq_fail(err, PQDB_LIMIT, "column '%.*s' of group %.*s: the %s does not fit into %s",
                   PQ_TEXT_ARG(finish->name), (int)id.length, (const char *)row + id.offset, what,
                   type);
}

static pqdb_code sum_wide(const struct pq_finish *finish, pqdb_error *err) {
    const bool is_int = finish->out->type->kind == PQ_INT64;
    for (size_t i = 0; i < finish->count; i++) {
        const uint8_t *row = finish->rows[i];
        const struct wide_sum *wide = (const struct wide_sum *)(const void *)(row + finish->offset);
        pq_i128 sum;
        const bool fits = pq_wide_fits(&wide->sum, &sum);
        if (is_int) {
            if (!fits || sum != (int64_t)sum) {
                return does_not_fit(finish, row, "sum", "an int", err);
            }
            emit_int64(finish->out, (int64_t)sum);
        } else {
            if (!fits || !pq_decimal_fits(sum, PQ_DECIMAL_DIGITS_MAX)) {
                return does_not_fit(finish, row, "sum", "38 digits", err);
            }
            emit_fixed(finish->out, &sum, sizeof sum);
        }
    }
    return PQDB_OK;
}

/// The exact sum, still unrounded infinities apart. True when it is `*special` instead.
static bool round_sum(uint8_t *row, uint32_t offset, struct pq_rounded *sum, double *special) {
    const struct exact_sum *exact = exact_at(row, offset);
    *sum = (struct pq_rounded){0};
    if (exact->where == SUM_NEAR) {
        *sum = pq_limbs_round(exact->near, PQ_GRID_NEAR, PQ_GRID_LOWEST + 64 * exact->base);
    } else if (exact->where == SUM_FAR) {
        const struct far_sum *far = far_of(row, exact);
        if (far->above != 0 || far->below != 0) {
            *special = far->above == 0 ? -INFINITY : far->below == 0 ? INFINITY : (double)NAN;
            return true;
        }
        *sum = pq_limbs_round(far->limbs, PQ_GRID_LIMBS, PQ_GRID_LOWEST);
    }
    return false;
}

static pqdb_code sum_finish(const struct pq_finish *finish, pqdb_error *err) {
    if (finish->out->type->kind != PQ_FLOAT64) return sum_wide(finish, err);
    for (size_t i = 0; i < finish->count; i++) {
        uint8_t *row = finish->rows[i];
        struct pq_rounded sum;
        double real;
        if (!round_sum(row, finish->offset, &sum, &real)) {
            real = pq_rounded_real(sum);
            if (isinf(real)) return does_not_fit(finish, row, "sum", "a double", err);
        }
        emit_real(finish->out, real);
    }
    return PQDB_OK;
}

static double wide_avg(const struct wide_sum *wide, uint8_t scale) {
    const struct pq_rounded rounded = pq_limbs_round(wide->sum.limbs, 3, 0);
    if (scale == 0) return pq_rounded_divide(rounded, (double)wide->n);
    pq_i128 sum;
    if (pq_wide_fits(&wide->sum, &sum) && pq_decimal_fits(sum, PQ_DECIMAL_DIGITS_MAX)) {
        return pq_decimal_to_real((struct pq_decimal){sum, scale}) / (double)wide->n;
    }
    return pq_rounded_real(rounded) / (double)pq_decimal_power(scale) / (double)wide->n;
}

static pqdb_code avg_finish(const struct pq_finish *finish, pqdb_error *err) {
    (void)err;
    const bool is_wide = finish->state == &pq_state_wide;
    for (size_t i = 0; i < finish->count; i++) {
        uint8_t *row = finish->rows[i];
        const struct wide_sum *wide = (const struct wide_sum *)(const void *)(row + finish->offset);
        const struct exact_sum *exact = exact_at(row, finish->offset);
        if ((is_wide ? wide->n : exact->n) == 0) {
            emit_fixed_null(finish->out);
        } else if (is_wide) {
            emit_real(finish->out, wide_avg(wide, finish->argument->scale));
        } else {
            struct pq_rounded sum;
            double real;
            if (!round_sum(row, finish->offset, &sum, &real)) {
                real = pq_rounded_divide(sum, (double)exact->n);
            }
            emit_real(finish->out, real);
        }
    }
    return PQDB_OK;
}

const struct pq_aggregate pq_aggregate_sum = {
    .name = "$sum",
    .help = "sum of the numbers; of none: 0",
    .type = sum_type,
    .state = sum_state,
    .finish = sum_finish,
};

const struct pq_aggregate pq_aggregate_avg = {
    .name = "$avg",
    .help = "mean of the numbers; of none: null",
    .type = type_of_double,
    .state = sum_state,
    .finish = avg_finish,
};
