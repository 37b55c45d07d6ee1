/// type/value.h: one value of any kind, for literals, rows in and out, and the slow path of
/// expressions. Text, binary, variants and nested values are views into their owner.
#ifndef PQ_TYPE_VALUE_H
#define PQ_TYPE_VALUE_H

#include "type/type.h"

struct pq_variant_names;  // variant/variant.h
struct pq_column;         // batch/column.h

/// A variant's value bytes and the names its object ids refer to: a list, or metadata of its own.
struct pq_variant {
    const uint8_t *bytes;
    size_t length;
    const struct pq_variant_names *names;
    const uint8_t *metadata;  // Parquet's, checked; NULL when `names` is the list
};

/// null is missing, everywhere: kind PQ_NULL.
struct pq_value {
    enum pq_kind kind;
    uint8_t scale;  // DECIMAL
    union {
        bool boolean;
        int64_t integer;  // INT64, TIME, TIMESTAMP, and DATE (days)
        double real;      // FLOAT32, FLOAT64
        pq_i128 decimal;
        struct pq_text text;  // TEXT, BINARY
        struct pq_variant variant;
        struct {  // LIST, OBJECT: a row of a nested column
            const struct pq_column *column;
            size_t row;
        } nested;
    } as;
};

#endif
