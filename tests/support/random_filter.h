/// Random rows for the table of expr_fixture.h, and random filters and expressions over it, as
/// text, from a seed. Values are few, so that filters hit, and those at which orders break.
#ifndef PQ_TEST_RANDOM_FILTER_H
#define PQ_TEST_RANDOM_FILTER_H

#include "base/bytes.h"

void random_seed(uint64_t seed);
/// Below `below`, which is not 0.
size_t random_draw(size_t below);

/// A JSON5 list of rows; `prefix` (or NULL) begins their `$id`s, a number ends them.
void random_rows(struct pq_bytes *out, const char *prefix, size_t count);
void random_filter(struct pq_bytes *out, int depth);
void random_expr(struct pq_bytes *out, int depth);

#endif
