/// A file in memory, to write with a Parquet writer and to read back.
#ifndef PQ_TEST_MEMORY_FILE_H
#define PQ_TEST_MEMORY_FILE_H

#include <string.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "parquet/reader.h"

static inline pqdb_code memory_file_append(void *ctx, const void *data, size_t length,
                                           pqdb_error *err) {
    return pq_bytes_append(ctx, data, length, err);
}

static inline pqdb_code memory_file_read(void *ctx, uint64_t offset, void *out, size_t length,
                                         pqdb_error *err) {
    const struct pq_bytes *file = ctx;
    if (offset > file->length || length > file->length - offset) {
        return pq_fail(err, PQDB_IO, "read beyond the end");
    }
    if (length > 0) memcpy(out, file->data + offset, length);
    return PQDB_OK;
}

static inline struct pq_parquet_source memory_file_source(struct pq_bytes *file) {
    return (struct pq_parquet_source){memory_file_read, file};
}

#endif
