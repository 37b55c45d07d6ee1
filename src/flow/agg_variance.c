/// flow/agg_variance.c: `$variance $stddev` of all values and, `…Samp`, of a sample.
///
/// Beside the exact sum of `$sum` and `$avg`, which they share, a group keeps the exact sum of
/// squares: five limbs for int and decimal; for doubles the grid of 2^-2148, six limbs in the row
/// and all 68 in a blob once a square lies too far from them. The variance is (n Σx² - (Σx)²) / n²
/// computed without rounding, then rounded once; with an infinity among the values it is NaN.
#include <math.h>

#include "flow/sums.h"
#include "type/decimal.h"

struct wide_squares {
    uint64_t limbs[PQ_SQUARE_WIDE];
};

struct exact_squares {
    uint8_t where;  // enum sum_where
    uint8_t base;   // NEAR: grid limb of near[0]
    uint8_t unused[6];
    union {
        uint64_t near[PQ_SQUARE_NEAR];
        struct blob far;  // FAR: PQ_SQUARE_LIMBS limbs
    };
};

static pq_u128 magnitude(pq_i128 value) {
    return value < 0 ? (pq_u128)0 - (pq_u128)value : (pq_u128)value;
}

static uint64_t factor_of(int64_t weight) {
    return weight < 0 ? (uint64_t)0 - (uint64_t)weight : (uint64_t)weight;
}

static pqdb_code add_wide(const struct addition *addition, pqdb_error *err) {
    for (size_t i = 0; i < addition->count; i++) {
        struct numeric number;
        uint64_t words[PQ_SQUARE_WIDE];
        PQ_TRY(numeric_at(addition->argument, i, addition->arena, &number, err));
        if (number.form != NUMERIC_INTEGER) continue;
        uint8_t *state = addition->cells->rows[addition->cell_of[i]] + addition->offset;
        const int64_t weight = weight_at(addition->weights, i);
        pq_limbs_square(magnitude(number.integer), factor_of(weight), words);
        pq_limbs_add_words(((struct wide_squares *)(void *)state)->limbs, PQ_SQUARE_WIDE, 0, words,
                           weight < 0);
    }
    return PQDB_OK;
}

const struct pq_state_kind pq_state_wide_squares = {
    .name = "exact integer squares", .bytes = sizeof(struct wide_squares), .add = add_wide};

static struct exact_squares *squares_at(const struct addition *addition, uint32_t cell) {
    return (struct exact_squares *)(void *)(addition->cells->rows[cell] + addition->offset);
}

/// From six limbs to all of them.
static pqdb_code go_far(const struct addition *addition, uint32_t cell, pqdb_error *err) {
    struct exact_squares *squares = squares_at(addition, cell);
    uint64_t all[PQ_SQUARE_LIMBS] = {0};
    if (squares->where == SUM_NEAR) {
        const uint64_t sign = (uint64_t)((int64_t)squares->near[PQ_SQUARE_NEAR - 1] >> 63);
        for (unsigned i = squares->base; i < PQ_SQUARE_LIMBS; i++) {
            const unsigned inside = i - squares->base;
            all[i] = inside < PQ_SQUARE_NEAR ? squares->near[inside] : sign;
        }
    }
    memset(&squares->near, 0, sizeof squares->near);
    squares->where = SUM_FAR;
    PQ_TRY(addition->cells->grow(addition->cells, cell,
                                 addition->offset + offsetof(struct exact_squares, far),
                                 sizeof all, err));
    squares = squares_at(addition, cell);
    squares->far.length = sizeof all;
    memcpy(addition->cells->rows[cell] + squares->far.offset, all, sizeof all);
    return PQDB_OK;
}

/// magnitude^2 * weight at a bit of the grid.
static pqdb_code add_square(const struct addition *addition, uint32_t cell, pq_u128 bits,
                            unsigned bit, int64_t weight, pqdb_error *err) {
    struct exact_squares *squares = squares_at(addition, cell);
    uint64_t words[PQ_SQUARE_WIDE];
    unsigned used = PQ_SQUARE_WIDE;
    const unsigned limb = bit / 64;
    pq_limbs_square(bits, factor_of(weight), words);
    while (used > 0 && words[used - 1] == 0) used--;
    if (used == 0) return PQDB_OK;
    if (squares->where == SUM_NOT_PLACED) {
        squares->where = SUM_NEAR;
        squares->base = (uint8_t)(limb == 0 ? 0 : limb - 1);
        memset(&squares->near, 0, sizeof squares->near);
    }
    if (squares->where == SUM_NEAR) {
        // One limb more for the shift, and the top one for the sum.
        if (limb >= squares->base && limb + used + 2 <= squares->base + 0u + PQ_SQUARE_NEAR) {
            pq_limbs_add_words(squares->near, PQ_SQUARE_NEAR, bit - 64u * squares->base, words,
                               weight < 0);
            const uint64_t top = squares->near[PQ_SQUARE_NEAR - 1];
            return (int64_t)(top ^ top << 1) < 0 ? go_far(addition, cell, err) : PQDB_OK;
        }
        PQ_TRY(go_far(addition, cell, err));
        squares = squares_at(addition, cell);
    }
    uint64_t *limbs =
        (uint64_t *)(void *)(addition->cells->rows[cell] + squares->far.offset);
    pq_limbs_add_words(limbs, PQ_SQUARE_LIMBS, bit, words, weight < 0);
    return PQDB_OK;
}

static pqdb_code add_exact(const struct addition *addition, pqdb_error *err) {
    for (size_t i = 0; i < addition->count; i++) {
        struct numeric number;
        PQ_TRY(numeric_at(addition->argument, i, addition->arena, &number, err));
        const uint32_t cell = addition->cell_of[i];
        const int64_t weight = weight_at(addition->weights, i);
        if (number.form == NUMERIC_INTEGER) {
            PQ_TRY(add_square(addition, cell, magnitude(number.integer), -PQ_SQUARE_LOWEST, weight,
                              err));
        } else if (number.form == NUMERIC_REAL && isfinite(number.real)) {
            const struct pq_grid_place place = pq_grid_place(number.real);
            PQ_TRY(add_square(addition, cell, place.bits, 2 * (64 * place.limb + place.shift),
                              weight, err));
        }
    }
    return PQDB_OK;
}

static int exact_blob(const uint8_t *state) {
    const struct exact_squares *squares = (const struct exact_squares *)(const void *)state;
    return squares->where == SUM_FAR ? (int)offsetof(struct exact_squares, far) : -1;
}

const struct pq_state_kind pq_state_exact_squares = {.name = "exact squares",
                                                     .bytes = sizeof(struct exact_squares),
                                                     .add = add_exact,
                                                     .blob = exact_blob};

static const struct pq_state_kind *squares_state(const struct pq_type *argument) {
    return sum_state(argument) == &pq_state_wide ? &pq_state_wide_squares
                                                 : &pq_state_exact_squares;
}

/// What a group says: its sums, how many values, and whether an infinity is among them.
struct moments {
    struct pq_limbs sum, squares;
    int64_t n;
    bool infinite;
};

static void read_wide(const uint8_t *row, const struct pq_finish *finish,
                      struct moments *moments) {
    const struct wide_sum *sum = (const struct wide_sum *)(const void *)(row + finish->offset);
    const struct wide_squares *squares =
        (const struct wide_squares *)(const void *)(row + finish->second);
    *moments = (struct moments){.sum = {sum->sum.limbs, 3, 0},
                                .squares = {squares->limbs, PQ_SQUARE_WIDE, 0},
                                .n = sum->n};
}

static const uint64_t zero_limb[1];

static void read_exact(const uint8_t *row, const struct pq_finish *finish,
                       struct moments *moments) {
    const struct exact_sum *sum = (const struct exact_sum *)(const void *)(row + finish->offset);
    const struct exact_squares *squares =
        (const struct exact_squares *)(const void *)(row + finish->second);
    *moments = (struct moments){.sum = {zero_limb, 1, PQ_GRID_LOWEST},
                                .squares = {zero_limb, 1, PQ_SQUARE_LOWEST},
                                .n = sum->n};
    if (sum->where == SUM_NEAR) {
        moments->sum =
            (struct pq_limbs){sum->near, PQ_GRID_NEAR, PQ_GRID_LOWEST + 64 * sum->base};
    } else if (sum->where == SUM_FAR) {
        const struct far_sum *far = far_sum_of(row, sum);
        moments->sum = (struct pq_limbs){far->limbs, PQ_GRID_LIMBS, PQ_GRID_LOWEST};
        moments->infinite = far->above != 0 || far->below != 0;
    }
    if (squares->where == SUM_NEAR) {
        moments->squares = (struct pq_limbs){squares->near, PQ_SQUARE_NEAR,
                                             PQ_SQUARE_LOWEST + 64 * squares->base};
    } else if (squares->where == SUM_FAR) {
        moments->squares = (struct pq_limbs){
            (const uint64_t *)(const void *)(row + squares->far.offset), PQ_SQUARE_LIMBS,
            PQ_SQUARE_LOWEST};
    }
}

/// sqrt(mantissa * 2^exponent), rounded as one operation.
static double root_of(struct pq_rounded square) {
    const bool is_odd = square.exponent % 2 != 0;
    return ldexp(sqrt(is_odd ? square.mantissa * 2 : square.mantissa),
                 (square.exponent - is_odd) / 2);
}

/// A variance, or with `is_root` a standard deviation; `is_sample`: by n - 1, of one value null.
static pqdb_code spread_finish(const struct pq_finish *finish, bool is_sample, bool is_root,
                               pqdb_error *err) {
    const bool is_wide = finish->state == &pq_state_wide;
    const uint8_t scale = is_wide ? finish->argument->scale : 0;
    const uint64_t low = (uint64_t)pq_decimal_power(scale < 19 ? scale : 19);
    const uint64_t high = (uint64_t)pq_decimal_power(scale < 19 ? 0 : scale - 19u);
    for (size_t i = 0; i < finish->count; i++) {
        const uint8_t *row = finish->rows[i];
        struct moments moments;
        (is_wide ? read_wide : read_exact)(row, finish, &moments);
        if (moments.n < 1 + is_sample) {
            emit_fixed_null(finish->out);
            continue;
        }
        if (moments.infinite) {
            emit_real(finish->out, (double)NAN);
            continue;
        }
        const uint64_t n = (uint64_t)moments.n;
        const uint64_t divisors[] = {n, n - is_sample, low, low, high, high};
        const struct pq_spread spread = {.sum = moments.sum,
                                         .squares = moments.squares,
                                         .n = n,
                                         .divisors = divisors,
                                         .divisor_count = scale == 0 ? 2 : 6,
                                         .is_last = !is_root};
        const struct pq_rounded rounded = pq_limbs_spread(&spread);
        const double real = is_root ? root_of(rounded) : pq_rounded_real(rounded);
        if (isinf(real)) return does_not_fit(finish, row, "variance", "a double", err);
        emit_real(finish->out, real);
    }
    return PQDB_OK;
}

static pqdb_code stddev_finish(const struct pq_finish *finish, pqdb_error *err) {
    return spread_finish(finish, false, true, err);
}
static pqdb_code stddev_samp_finish(const struct pq_finish *finish, pqdb_error *err) {
    return spread_finish(finish, true, true, err);
}
static pqdb_code variance_finish(const struct pq_finish *finish, pqdb_error *err) {
    return spread_finish(finish, false, false, err);
}
static pqdb_code variance_samp_finish(const struct pq_finish *finish, pqdb_error *err) {
    return spread_finish(finish, true, false, err);
}

#define SPREAD(aggregate_name, says, finishes)                                          \
    {                                                                                   \
        .name = aggregate_name, .help = says, .type = type_of_double, .state = sum_state,  \
        .second = squares_state, .finish = finishes,                                    \
    }
const struct pq_aggregate pq_aggregate_stddev =
    SPREAD("$stddev", "standard deviation of the numbers; of none: null", stddev_finish);
const struct pq_aggregate pq_aggregate_stddev_samp = SPREAD(
    "$stddevSamp", "standard deviation of a sample; of one number: null", stddev_samp_finish);
const struct pq_aggregate pq_aggregate_variance =
    SPREAD("$variance", "variance of the numbers; of none: null", variance_finish);
const struct pq_aggregate pq_aggregate_variance_samp =
    SPREAD("$varianceSamp", "variance of a sample; of one number: null", variance_samp_finish);
