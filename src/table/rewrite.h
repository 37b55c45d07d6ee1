/// table/rewrite.h: live rows of some segments into one new file, sorted by `$id`: how a checkpoint
/// writes memtables, and how small or half-dead files are merged.
#ifndef PQ_TABLE_REWRITE_H
#define PQ_TABLE_REWRITE_H

#include "store/pace.h"
#include "table/table.h"

struct pq_rewrite {
    const struct pq_table_snapshot *snapshot;  // rows dead at its version are left out
    struct pq_segment *const *segments;        // sealed; files are read into memory: small ones
    size_t count;
    struct pq_store *store;
    struct pq_pace *pace;  // may be NULL
    const char *path;      // of the new file, in an existing directory
    uint32_t page_rows, group_rows;  // see table/file_out.h
    const struct pq_alloc *alloc;  // thread-safe
};

/// What came of it. `moved[i]` has one entry per row of segments[i]: its row in the file, or
/// UINT32_MAX. All of it belongs to the caller: pq_rewritten_deinit.
struct pq_rewritten {
    uint64_t rows;  // 0: every row was dead, and no file was made
    uint64_t bytes;
    uint32_t **moved;
    size_t count;
    const struct pq_alloc *alloc;
    struct pq_segment *const *segments;
};

/// Write the file; durable afterwards but for its name (sync the directory). Any thread.
/// Cost    memory: 16 bytes a row, one row group, and the rows of files among the segments
/// Errors  PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY; a part of the file may be left behind
pqdb_code pq_table_rewrite(const struct pq_rewrite *rewrite, struct pq_rewritten *out,
                           pqdb_error *err);
void pq_rewritten_deinit(struct pq_rewritten *rewritten);

/// Write what belongs beside a new file: the filter of its ids, and the links of the columns that
/// somebody has looked up in this table. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY, PQDB_LIMIT.
pqdb_code pq_table_write_beside(const struct pq_table_snapshot *snapshot,
                                struct pq_data_file *file, struct pq_pace *pace, pqdb_error *err);

#endif
