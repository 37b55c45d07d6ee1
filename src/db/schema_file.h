/// db/schema_file.h: the schema as it was applied, `schema.json5`: the text as given, and behind it
/// a line feed and one line of ours, a comment that holds its checksum:
///
///     // parquedb check 0123456789abcdef: made by parquedb, change a copy
///
/// Without that line the text is taken as it is: somebody has put it there.
#ifndef PQ_DB_SCHEMA_FILE_H
#define PQ_DB_SCHEMA_FILE_H

#include "base/bytes.h"
#include "store/store.h"

#define PQ_DB_SCHEMA_FILE "schema.json5"

/// Append the text to `out`, without our line.
/// Errors: PQDB_CORRUPT when it does not match its checksum; as pq_store_read_file.
pqdb_code pq_schema_file_read(struct pq_store *store, struct pq_bytes *out, pqdb_error *err);

/// As pq_store_write_file and pq_store_create_file, with our line.
pqdb_code pq_schema_file_write(struct pq_store *store, struct pq_text text, pqdb_error *err);
pqdb_code pq_schema_file_create(struct pq_store *store, struct pq_text text, pqdb_error *err);

#endif
