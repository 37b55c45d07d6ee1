/// Rows with names and readable values: "s='a' i=5 v={"a":1}", nulls left out. Of system columns
/// only $id and createdAt are shown, and own fields in the place of others.
#ifndef PQ_TEST_ROW_TEXT_H
#define PQ_TEST_ROW_TEXT_H

#include "base/bytes.h"
#include "batch/column.h"
#include "ingest/rows.h"

void row_text(const struct pq_batch *batch, size_t row, struct pq_bytes *out);

/// A line for each row, its item before it, then one for each refusal.
void row_batch_text(const struct pq_row_batch *rows, struct pq_bytes *out);

#endif
