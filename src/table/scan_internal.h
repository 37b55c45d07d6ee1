/// table/scan_internal.h: what the files of a scan share.
#ifndef PQ_TABLE_SCAN_INTERNAL_H
#define PQ_TABLE_SCAN_INTERNAL_H

#include "table/scan.h"

/// Set `ranges` of the group that `current` names to what the filter leaves of it, and
/// `current.is_certain`. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_scan_choose_ranges(struct pq_scan *scan, const struct pq_parquet_file *file,
                                pqdb_error *err);

/// Are these rows beyond the cut by now?
bool pq_scan_is_cut(const struct pq_scan *scan, const struct pq_scan_task *task);

static inline bool pq_scan_wants(const bool *columns, size_t column) {
    return columns == NULL || columns[column];
}

#endif
