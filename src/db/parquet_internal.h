/// db/parquet_internal.h: a Parquet file that stands alone, opened by its path.
#ifndef PQ_DB_PARQUET_INTERNAL_H
#define PQ_DB_PARQUET_INTERNAL_H

#include <parquedb/parquet.h>

#include "parquet/inspect.h"
#include "store/store.h"

struct pqdb_parquet {
    const struct pq_alloc *alloc;
    struct pq_store *store;
    struct pq_file *bytes;
    uint64_t file_bytes;
    struct pq_parquet_file *file;
    struct pq_arena arena;        // texts, until close
    const char *created_by;
    const pqdb_parquet_field *fields;
    size_t field_count;
};

#endif
