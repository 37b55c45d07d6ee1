/// table/merge.h: live rows of data files into one new file, a piece of each at a time: how small
/// and half-dead files of any size become one, beside everything else.
#ifndef PQ_TABLE_MERGE_H
#define PQ_TABLE_MERGE_H

#include "table/rewrite.h"

enum { PQ_MERGE_FILES_MAX = 16 };

struct pq_merge {
    struct pq_rewrite rewrite;  // its segments are files, at most PQ_MERGE_FILES_MAX
    /// Called after each piece, may be NULL: an error of it ends the merge.
    pqdb_code (*pause)(void *ctx, pqdb_error *err);
    void *ctx;
};

/// As pq_table_rewrite.
/// Cost    memory: 4 bytes a row, a piece of 4096 rows of each file, one row group
pqdb_code pq_table_merge(const struct pq_merge *merge, struct pq_rewritten *out, pqdb_error *err);

#endif
