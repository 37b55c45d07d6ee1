/// Print a row of any column as JSON that another program can compare: integers, dates and times as
/// numbers, reals as "%a", decimals as their unscaled digits in quotes, binary as "x" and hex,
/// variants as the JSON they are.
#ifndef PQ_TEST_COLUMN_JSON_H
#define PQ_TEST_COLUMN_JSON_H

#include "base/bytes.h"
#include "batch/column.h"

/// Append row `row` to `out`; memory is there, and the column is sound.
void column_json(const struct pq_column *column, size_t row, struct pq_bytes *out);

#endif
