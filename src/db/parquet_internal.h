/// db/parquet_internal.h: a Parquet file that stands alone, opened by its path.
#ifndef PQ_DB_PARQUET_INTERNAL_H
#define PQ_DB_PARQUET_INTERNAL_H

#include <parquedb/parquet.h>

#include "parquet/inspect.h"
#include "store/store.h"

struct pqdb_parquet {
    const struct pq_alloc *alloc;
    struct pq_store *store;  // owned; NULL: the file is in another one's
    struct pq_file *bytes;
    const char *path;  // as it was given, for errors; in `arena`
    uint64_t file_bytes;
    struct pq_parquet_file *file;
    struct pq_arena arena;        // texts, until close
    const char *created_by;
    const pqdb_parquet_field *fields;
    size_t field_count;
};

/// The file at `path` in a store, which is borrowed until close. Errors: as pqdb_parquet_open.
pqdb_code pq_db_parquet_open_in(struct pq_store *store, const char *path,
                                const struct pq_alloc *alloc, pqdb_parquet **file,
                                pqdb_error *err);

#endif
