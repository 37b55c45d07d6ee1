/// Print rows of any column as text, so that tests compare what is seen and not how it is stored.
/// Texts 'x', binary and variants in hex, lists [a, b], objects {a, b}, null ~.
#ifndef PQ_TEST_COLUMN_TEXT_H
#define PQ_TEST_COLUMN_TEXT_H

#include "base/bytes.h"
#include "batch/column.h"

/// Append row `row` to `out`; memory comes from out->alloc and is there.
void column_text(const struct pq_column *column, size_t row, struct pq_bytes *out);

/// The same for all rows, one a line.
void column_texts(const struct pq_column *column, struct pq_bytes *out);

#endif
