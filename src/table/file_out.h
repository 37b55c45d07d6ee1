/// table/file_out.h: a new data file, row by row in ascending order of `$id`.
#ifndef PQ_TABLE_FILE_OUT_H
#define PQ_TABLE_FILE_OUT_H

#include "base/bytes.h"
#include "batch/builder.h"
#include "store/pace.h"

struct pq_parquet_writer;
struct pq_shred_layout;
struct pq_shreds;  // table/shred.h

/// What it is made of; the fields below `alloc` are its own.
struct pq_file_out {
    struct pq_store *store;
    struct pq_pace *pace;  // may be NULL
    const char *path;
    const struct pq_type *type;
    const struct pq_shreds *shreds;  // that it keeps as well; or NULL
    uint32_t page_rows, group_rows;  // at most; 0: as it reads best
    const struct pq_alloc *alloc;
    struct pq_file *file;
    struct pq_bytes buffer;
    uint64_t offset;
    struct pq_parquet_writer *writer;  // made with the first rows
    struct pq_shred_layout *layout;    // with shreds
    struct pq_builder *columns;  // rows that wait until they are worth encoding
    struct pq_arena arena;       // of `columns` and `layout`
    bool is_open;
};

/// Create or empty the file. Errors: PQDB_IO, PQDB_NO_MEMORY, PQDB_INVALID.
pqdb_code pq_file_out_open(struct pq_file_out *out, pqdb_error *err);

/// Rows [first, first + count) of a batch of the type; copied, or encoded where they are.
pqdb_code pq_file_out_append(struct pq_file_out *out, const struct pq_batch *batch, size_t first,
                             size_t count, pqdb_error *err);

/// The footer; everything is durable but the name.
pqdb_code pq_file_out_finish(struct pq_file_out *out, uint64_t *rows, uint64_t *bytes,
                             pqdb_error *err);

/// Close it, whatever became of it; nothing happens if it was never opened.
void pq_file_out_close(struct pq_file_out *out);

#endif
