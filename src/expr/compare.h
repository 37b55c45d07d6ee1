/// expr/compare.h: when two values are equal, which comes first, and their canonical bytes.
///
/// Three notions, kept apart:
///  - pq_value_match and pq_value_relate: what `$eq` and `$gt` of filters and expressions mean.
///    Kinds do not mix, but a time and ISO 8601 text, and a time and a number, compare by instant.
///  - pq_value_compare: the total order of sort, `$min` and `$max`. Never converts.
///  - pq_key_encode: canonical bytes. memcmp orders them as pq_value_compare orders the values, so
///    they are equal exactly when the values are.
///
/// Key bytes are persisted (groups, distinct and unique values): the format below is final.
///
///     value   bytes
///     false   01
///     true    02
///     number  03, the greatest double not above it, then 00 if that is the number itself, else
///             01 and its decimal digits. The double: 8 bytes big-endian, top bit inverted, or all
///             bits below zero; 0 for -0, 7FF8000000000000 for NaN. Decimal digits: the number is
///             0.d1d2… * 100^e with base-100 digits, d1 not 0 and no 0 at the end: e + 80h, then
///             d + 1 for each digit, then 00; all these bytes complemented below zero.
///     time    04 00 and the instant, 04 01 and the time of day: microseconds since 1970 UTC or
///             since midnight, 9 bytes big-endian, top bit inverted. A date is its midnight.
///     text    05 bytes, each 00 as 00 FF, then 00 00
///     binary  06 as text
///     list    07 the elements, each as a value, then 00
///     object  08 the members that are not null by ascending name, each its name (as text, without
///             the 05) and its value; then 00 00 00
///     null    7F
///
/// So 1, 1.0 and 1.00 share bytes, and 0.1 (a double) differs from 0.10 (a decimal). Keys of
/// several values are the values' bytes one after the other: none is a prefix of another's.
#ifndef PQ_EXPR_COMPARE_H
#define PQ_EXPR_COMPARE_H

#include "base/arena.h"
#include "base/bytes.h"
#include "batch/column.h"

/// Are both null, or equal values of one kind (or of the two exceptions)?
bool pq_value_match(const struct pq_value *a, const struct pq_value *b);

/// Order of two values that may be compared: true and <0, 0, >0 in *order. False where one is
/// null or the kinds do not mix.
bool pq_value_relate(const struct pq_value *a, const struct pq_value *b, int *order);

/// boolean < number < time < text < binary < list < object; null after all of them. Numbers by
/// exact value, NaN above all, -0 = 0. Times by instant, times of day after them. Lists by
/// position; objects by their members in name order, those that are null left out.
int pq_value_compare(const struct pq_value *a, const struct pq_value *b);

/// Rows of two columns under pq_value_compare, without building values for the common kinds.
int pq_column_compare(const struct pq_column *a, size_t a_row, const struct pq_column *b,
                      size_t b_row);

/// Append the canonical bytes. Errors: PQDB_NO_MEMORY.
pqdb_code pq_key_encode(const struct pq_value *value, struct pq_bytes *out, pqdb_error *err);

/// The same for each row of a column: row i is data[offsets[i] .. offsets[i + 1]).
/// Errors: PQDB_NO_MEMORY; PQDB_LIMIT when they would pass 4 GiB.
struct pq_keys {
    const uint8_t *data;
    const uint32_t *offsets;  // count + 1
};
pqdb_code pq_keys_encode(const struct pq_column *columns, size_t column_count, size_t row_count,
                         struct pq_arena *arena, struct pq_keys *keys, pqdb_error *err);

#endif
