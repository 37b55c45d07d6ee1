/// parquet/statistics.h: the bounds of a page's values, and what of them may be written.
///
/// Bounds are PLAIN values without length prefix. NaN never becomes a bound, a zero lower bound of
/// floats is written as -0 and an upper one as +0. Long texts are cut: a lower bound to a prefix,
/// an upper one to a prefix whose last character is then raised.
#ifndef PQ_PARQUET_STATISTICS_H
#define PQ_PARQUET_STATISTICS_H

#include "base/arena.h"
#include "parquet/schema.h"

enum { PQ_BOUND_BYTES_MAX = 64 };

struct pq_value_bounds {
    bool has_bounds;
    struct pq_text min, max;
    uint8_t room[2][8];  // min and max of numbers, so do not copy the struct
    uint64_t nan_count;
};

/// Bounds of `count` PLAIN values: fixed-width ones, or length-prefixed byte arrays. Booleans are a
/// byte each here. Of byte arrays, fixed ones too, the bounds are views into `plain`.
void pq_bounds_of_plain(const struct pq_leaf *leaf, const uint8_t *plain, size_t count,
                        struct pq_value_bounds *bounds);

/// Order of two bounds of this leaf: <0, 0, >0.
int pq_bounds_compare(const struct pq_leaf *leaf, struct pq_text a, struct pq_text b);

struct pq_bound_limit {
    bool is_text;  // whole characters of UTF-8
    bool is_upper;
    size_t bytes_max;
    size_t characters_max;  // SIZE_MAX: no limit
};

/// Cut a bound of a byte array; `room` holds `bytes_max`. False when no upper bound that short
/// exists. `*is_exact` tells that nothing was cut.
bool pq_bound_cut(const struct pq_bound_limit *limit, struct pq_text bound, char *room,
                  struct pq_text *cut, bool *is_exact);

#endif
