/// type/type.h: what a column holds. Rules a write must satisfy (enum, varchar, unique, relation)
/// are declarations and live in type/schema.h; here is only the shape of the values.
#ifndef PQ_TYPE_TYPE_H
#define PQ_TYPE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

__extension__ typedef __int128 pq_i128;
__extension__ typedef unsigned __int128 pq_u128;

/// The order is the order of kinds in sort, $min and $max (SPEC 4), numbers together, times
/// together.
enum pq_kind {
    PQ_NULL,       ///< no value; the type of a literal null
    PQ_BOOL,       ///< in columns: uint8_t 0 or 1
    PQ_INT64,      ///< int64_t
    PQ_FLOAT32,    ///< float
    PQ_FLOAT64,    ///< double
    PQ_DECIMAL,    ///< pq_i128 unscaled, scale in the type
    PQ_DATE,       ///< int32_t days since 1970-01-01
    PQ_TIME,       ///< int64_t microseconds since midnight
    PQ_TIMESTAMP,  ///< int64_t microseconds since 1970, UTC
    PQ_TEXT,       ///< UTF-8
    PQ_BINARY,
    PQ_LIST,     ///< fields[0] is the element
    PQ_OBJECT,   ///< fields are the members, in declared order
    PQ_VARIANT,  ///< any JSON-like value, self-described
};

struct pq_field;

/// Immutable once built; belongs to the arena of its schema, plan or batch.
struct pq_type {
    enum pq_kind kind;
    uint8_t precision;              // DECIMAL: 1 to 38
    uint8_t scale;                  // DECIMAL: 0 to precision
    uint32_t field_count;           // LIST: 1
    const struct pq_field *fields;  // LIST, OBJECT
};

struct pq_field {
    struct pq_text name;  // NUL-terminated
    struct pq_type type;
    bool required;  // never null
    int32_t id;     // Iceberg and Parquet field id, 0 when not assigned
};

/// The same shape of values: kinds, decimal parameters, member names in order. `required` and ids
/// do not count.
bool pq_type_equal(const struct pq_type *a, const struct pq_type *b);

/// Bytes of one value in a FIXED column: 1, 4, 8 or 16; 0 for the kinds that have no fixed width.
size_t pq_kind_width(enum pq_kind kind);

/// "decimal(10,2)", "variant[]", "{ a: int, b: string[] }": as a schema would say it, for people.
struct pq_arena;
struct pq_text pq_type_format(const struct pq_type *type, struct pq_arena *arena);

/// Position of a member by exact name, or -1.
int pq_type_find(const struct pq_type *object, struct pq_text name);

extern const struct pq_type pq_type_null, pq_type_bool, pq_type_int64, pq_type_float64,
    pq_type_date, pq_type_time, pq_type_timestamp, pq_type_text, pq_type_binary, pq_type_variant;

#endif
