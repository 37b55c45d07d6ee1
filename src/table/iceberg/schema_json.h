/// table/iceberg/schema_json.h: a table's schema as Iceberg's JSON.
///
/// Written: boolean long float double decimal date time timestamptz string binary list struct; text
/// and variants are `string`. Read besides: int (INT64), timestamp (TIMESTAMP), uuid (TEXT), fixed
/// (BINARY) and map (a LIST of OBJECT key, value), as the Parquet reader sees their columns.
#ifndef PQ_TABLE_ICEBERG_SCHEMA_JSON_H
#define PQ_TABLE_ICEBERG_SCHEMA_JSON_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/json.h"
#include "type/type.h"

enum { PQ_ICEBERG_ID_MAX = 2147483447, PQ_ICEBERG_DEPTH_MAX = 64 };

/// Append the list of an OBJECT's fields, "[{...},{...}]".
/// Errors: PQDB_INVALID: a field without an id, or an object without members.
pqdb_code pq_iceberg_fields_write(const struct pq_type *object, struct pq_bytes *out,
                                  pqdb_error *err);

/// The OBJECT that a schema or struct ({"type":"struct","fields":[...]}) describes, in `arena`.
/// Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED (a type that is not read here), PQDB_NO_MEMORY.
pqdb_code pq_iceberg_schema_parse(const struct pq_json *schema, struct pq_arena *arena,
                                  struct pq_type *object, pqdb_error *err);

/// The highest id of the type, its elements and members. Errors: PQDB_INVALID: an id that is
/// missing or stands twice.
pqdb_code pq_iceberg_check_ids(const struct pq_type *object, struct pq_arena *arena,
                               int32_t *highest, pqdb_error *err);

/// The field with this id at any depth, or NULL.
const struct pq_field *pq_iceberg_find_field(const struct pq_type *type, int32_t id);

#endif
