/// table/iceberg/measure.h: a file's metrics out of what Parquet knows of it.
#ifndef PQ_TABLE_ICEBERG_MEASURE_H
#define PQ_TABLE_ICEBERG_MEASURE_H

#include <parquedb/error.h>

#include "parquet/reader.h"
#include "parquet/writer.h"
#include "table/iceberg/iceberg.h"

/// Rows, bytes, splits and all metrics of a file just written with `type`; content and path stay.
/// Everything is copied into `arena`: `info` may die.
pqdb_code pq_iceberg_measure_written(const struct pq_parquet_file_info *info,
                                     const struct pq_type *type, struct pq_arena *arena,
                                     struct pq_iceberg_file *file, pqdb_error *err);

/// The same from the footer of a file opened later: rows, splits unknown, and of plain members
/// counts and bounds; nothing of what lies in lists and objects. `file_bytes` stays as well.
pqdb_code pq_iceberg_measure_footer(const struct pq_parquet_file *reader, struct pq_arena *arena,
                                    struct pq_iceberg_file *file, pqdb_error *err);

/// A bound in single-value form, in `arena`; text and binary cut to 16. Data is NULL where there is
/// no bound: for null, NaN, nested values and variants, and above a text that cannot be raised.
pqdb_code pq_iceberg_bound(const struct pq_value *value, bool is_upper, struct pq_arena *arena,
                           struct pq_text *bound, pqdb_error *err);

#endif
