/// expr/print.h: values as text, exactly as SPEC 4 "Printing" says.
///
/// A timestamp `2026-01-15T10:00:00.000Z` (six digits where there are microseconds), a date
/// `2026-01-15`, a time of day `10:00:00`, a decimal as a number with its scale's digits, a
/// double as the shortest text that reads back the same, binary as base64.
#ifndef PQ_EXPR_PRINT_H
#define PQ_EXPR_PRINT_H

#include "base/bytes.h"
#include "batch/column.h"

/// Append the value as JSON: null for a missing value, NaN and infinities. Objects of a typed
/// column print in declared order, their missing members as null; a variant's keys in byte order.
pqdb_code pq_print_json(struct pq_bytes *out, const struct pq_value *value, pqdb_error *err);

/// Row `row` of the column as JSON.
pqdb_code pq_print_row(struct pq_bytes *out, const struct pq_column *column, size_t row,
                       pqdb_error *err);

/// Append the value as plain text (`$toString`, CSV before quoting): text as it is, nothing for
/// null, NaN and Infinity by name, everything else as its JSON without quotes.
pqdb_code pq_print_text(struct pq_bytes *out, const struct pq_value *value, pqdb_error *err);

#endif
