/// batch/column.h: typed columns, the form in which rows travel through the whole database.
///
/// A column is an immutable view: its memory belongs to the arena, chunk or page that made it.
/// Validity is one byte per row (as in ClickHouse: loops over it vectorise without bit tricks);
/// null values have defined but meaningless bytes in `values`, and empty ranges in `offsets`.
#ifndef PQ_BATCH_COLUMN_H
#define PQ_BATCH_COLUMN_H

#include <parquedb/error.h>

#include "type/type.h"
#include "type/value.h"

enum pq_layout {
    PQ_FIXED,       ///< values[count] of pq_kind_width(kind)
    PQ_BYTES,       ///< TEXT, BINARY, VARIANT: row i is data[offsets[i] .. offsets[i + 1])
    PQ_DICTIONARY,  ///< TEXT: values are uint32_t codes into `dictionary`
    PQ_ROWS,        ///< LIST: row i is elements [offsets[i], offsets[i + 1]) of children[0]
    PQ_MEMBERS,     ///< OBJECT: children[k] is member k, each `count` long
};

/// What valid[i] may be. A variant row marked OWN_NAMES carries its own Parquet variant metadata
/// in front of its value (see variant/variant.h); every other row uses the column's `names`.
enum { PQ_ROW_NULL = 0, PQ_ROW_VALID = 1, PQ_ROW_OWN_NAMES = 2 };

struct pq_dictionary;

struct pq_column {
    const struct pq_type *type;
    enum pq_layout layout;
    size_t count;
    const uint8_t *valid;     // NULL: every row is PQ_ROW_VALID
    const void *values;       // FIXED, DICTIONARY
    const uint32_t *offsets;  // BYTES, ROWS: count + 1, not necessarily from 0
    const uint8_t *data;      // BYTES
    const struct pq_column *children;            // ROWS: 1, MEMBERS: type->field_count
    const struct pq_dictionary *dictionary;      // DICTIONARY
    const struct pq_variant_names *names;        // VARIANT
};

/// Rows of one table or operator. `weights` NULL means +1 each; an update is -old +new.
struct pq_batch {
    const struct pq_type *type;  // OBJECT: field k describes columns[k]
    size_t count;
    const struct pq_column *columns;  // type->field_count
    const int64_t *weights;
};

static inline bool pq_column_is_null(const struct pq_column *column, size_t row) {
    return column->valid != NULL && column->valid[row] == PQ_ROW_NULL;
}

/// TEXT, BINARY or VARIANT bytes of a row that is not null, through the dictionary if there is one.
struct pq_text pq_column_text(const struct pq_column *column, size_t row);

/// The row as a value (a view). A variant row is given as PQ_VARIANT, never unwrapped.
struct pq_value pq_column_value(const struct pq_column *column, size_t row);

/// Rows [start, start + count) without copying; LIST offsets and MEMBERS children are sliced too.
/// `arena` holds the sliced children arrays.
struct pq_arena;
pqdb_code pq_column_slice(const struct pq_column *column, size_t start, size_t count,
                          struct pq_arena *arena, struct pq_column *slice, pqdb_error *err);
pqdb_code pq_batch_slice(const struct pq_batch *batch, size_t start, size_t count,
                         struct pq_arena *arena, struct pq_batch *slice, pqdb_error *err);

/// The rows named, in that order (any may repeat). Everything is copied into `arena` except
/// dictionaries and names, which are shared. An index of UINT32_MAX gives a null row. A column of a
/// batch that nobody filled (its count is not the batch's) stays so.
pqdb_code pq_column_gather(const struct pq_column *column, const uint32_t *rows, size_t count,
                           struct pq_arena *arena, struct pq_column *out, pqdb_error *err);
pqdb_code pq_batch_gather(const struct pq_batch *batch, const uint32_t *rows, size_t count,
                          struct pq_arena *arena, struct pq_batch *out, pqdb_error *err);

/// `count` nulls. Their bytes are shared by all, beyond 16,384 in `arena`. Errors: PQDB_NO_MEMORY.
pqdb_code pq_column_of_nulls(const struct pq_type *type, size_t count, struct pq_arena *arena,
                             struct pq_column *out, pqdb_error *err);

/// Bytes the rows would take if copied: the unit of budgets.
size_t pq_batch_bytes(const struct pq_batch *batch);

/// Slow check of every invariant above; false and a message in err. For pq_assert_slow and fuzzers.
bool pq_column_is_sound(const struct pq_column *column, pqdb_error *err);

#endif
