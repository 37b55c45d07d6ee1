/// flow/sums.h: exact sums as group rows keep them (agg_sum.c), for what is computed from them too.
#ifndef PQ_FLOW_SUMS_H
#define PQ_FLOW_SUMS_H

#include "flow/limbs.h"
#include "flow/states.h"

/// pq_state_wide: int and decimal arguments.
struct wide_sum {
    struct pq_wide sum;
    int64_t n;
};

/// pq_state_exact: doubles; four limbs in the row, all 35 in a blob once a value lies too far away.
enum sum_where { SUM_NOT_PLACED, SUM_NEAR, SUM_FAR };
struct exact_sum {
    int64_t n;
    uint8_t where;  // enum sum_where
    uint8_t base;   // NEAR: grid limb of near[0]
    uint8_t unused[6];
    union {
        uint64_t near[PQ_GRID_NEAR];
        struct blob far;  // FAR: a struct far_sum
    };
};
struct far_sum {
    int64_t above, below;  // counts of +Infinity and -Infinity
    uint64_t limbs[PQ_GRID_LIMBS];
};

static inline const struct far_sum *far_sum_of(const uint8_t *row, const struct exact_sum *exact) {
    return (const struct far_sum *)(const void *)(row + exact->far.offset);
}

/// wide_sum for int and decimal arguments, exact_sum for all others.
const struct pq_state_kind *sum_state(const struct pq_type *argument);

/// A value as numeric aggregates see it.
struct numeric {
    enum { NOT_NUMERIC, NUMERIC_INTEGER, NUMERIC_REAL } form;  // null, NaN and the rest: NOT
    uint8_t scale;     // INTEGER: of a decimal column's units; 0 in a variant
    pq_i128 integer;
    double real;
};
/// Errors: PQDB_NO_MEMORY, PQDB_CORRUPT (a damaged variant).
pqdb_code numeric_at(const struct pq_column *column, size_t row, struct pq_arena *arena,
                     struct numeric *number, pqdb_error *err);

/// Its double, rounded.
double numeric_real(const struct numeric *number);

/// "column … of group …: the `what` does not fit into `type`". Errors: PQDB_LIMIT.
pqdb_code does_not_fit(const struct pq_finish *finish, const uint8_t *row, const char *what,
                       const char *type, pqdb_error *err);

#endif
