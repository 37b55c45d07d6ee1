/// table/scan_internal.h: what the files of a scan share.
#ifndef PQ_TABLE_SCAN_INTERNAL_H
#define PQ_TABLE_SCAN_INTERNAL_H

#include "table/data_file_internal.h"
#include "table/scan.h"
#include "table/shred.h"

/// Set `ranges` of the group that `current` names to what the filter leaves of it, and
/// `current.is_certain`. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_scan_choose_ranges(struct pq_scan *scan, const struct pq_parquet_file *file,
                                pqdb_error *err);

/// Are these rows beyond the cut by now?
bool pq_scan_is_cut(const struct pq_scan *scan, const struct pq_scan_task *task);

/// Rows of a task that are read from its file, into whose memory.
struct pq_scan_span {
    const struct pq_scan *scan;
    struct pq_scan_reader *reader;
    const struct pq_scan_task *task;
    uint64_t first, count;  // of the task
    struct pq_arena *arena;
    struct pq_hold *hold;
    struct pq_parquet_counts *counts;
};
/// Members of the file's type. Errors: as pq_parquet_read.
pqdb_code pq_scan_read_fields(const struct pq_scan_span *span, const uint32_t *fields,
                              size_t count, struct pq_batch *found, pqdb_error *err);

/// Where a file has a shredded path.
enum pq_shred_presence {
    PQ_SHRED_MISSING,  ///< the file has not even the column that the path leads into: null
    PQ_SHRED_INSIDE,   ///< in that column only
    PQ_SHRED_KEPT,     ///< in a column of its own: `place`
};
enum pq_shred_presence pq_scan_find_shred(const struct pq_data_file *file,
                                          const struct pq_parquet_file *reader,
                                          const struct pq_shred *shred,
                                          struct pq_shred_place *place);

/// scan_paths.c: set scan->paths by what the options say is read. Errors: PQDB_NO_MEMORY.
pqdb_code pq_scan_choose_paths(struct pq_scan *scan, pqdb_error *err);

/// The paths of column k, where the span's file keeps all of them; else NULL.
const struct pq_scan_paths *pq_scan_kept_paths(const struct pq_scan_span *span, uint32_t column);
/// Their members of the file's type are appended to `fields`. Returns how many.
size_t pq_scan_path_fields(const struct pq_scan_span *span, const struct pq_scan_paths *paths,
                           uint32_t *fields);
/// The variants that have these paths; *found moves over the columns of their fields. `*done`
/// false: the variants themselves have to be read.
pqdb_code pq_scan_assemble_paths(const struct pq_scan_span *span,
                                 const struct pq_scan_paths *paths,
                                 const struct pq_column **found, struct pq_column *out,
                                 bool *done, pqdb_error *err);

/// The columns of paths that a filter reads (`columns`, of the shreds' type) of a file, or of the
/// rows of a chunk: `out` has one for each path.
pqdb_code pq_scan_read_paths(const struct pq_scan_span *span, const bool *columns,
                             const struct pq_batch *chunk, struct pq_column *out,
                             pqdb_error *err);

static inline bool pq_scan_wants(const bool *columns, size_t column) {
    return columns == NULL || columns[column];
}

#endif
