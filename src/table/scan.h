/// table/scan.h: the live rows of a snapshot, piece by piece, in storage order.
#ifndef PQ_TABLE_SCAN_H
#define PQ_TABLE_SCAN_H

#include "table/table.h"

struct pq_variant_encoder;

enum { PQ_SCAN_ROWS = 16384 };

struct pq_scan_options {
    const bool *columns;  // wanted; NULL: all. Others come as columns of nulls
};

/// One thread. Holds a reference on the snapshot until closed.
struct pq_scan {
    struct pq_table_snapshot *snapshot;
    struct pq_scan_options options;
    const struct pq_alloc *alloc;
    struct pq_variant_encoder *encoder;  // owned; made when a file with variants is met
    size_t segment;                      // catalog->count means the open chunk
    uint64_t row;                        // next in the segment
};

void pq_scan_open(struct pq_scan *scan, struct pq_table_snapshot *snapshot,
                  const struct pq_scan_options *options, const struct pq_alloc *alloc);
void pq_scan_close(struct pq_scan *scan);

/// The next rows; `batch->count` 0 is the end.
///
/// Shape   at most PQ_SCAN_ROWS rows, all live at the snapshot's version
/// Owns    chunks are views kept by the snapshot; what comes from a file is in `arena`
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the file), PQDB_NO_MEMORY
pqdb_code pq_scan_next(struct pq_scan *scan, struct pq_arena *arena, struct pq_batch *batch,
                       pqdb_error *err);

#endif
