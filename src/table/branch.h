/// table/branch.h: another future of a table: its rows as a snapshot has them, under a writer of
/// their own.
#ifndef PQ_TABLE_BRANCH_H
#define PQ_TABLE_BRANCH_H

#include "table/table.h"

/// A table that begins with the rows of `snapshot`. Files are shared, their deaths its own; rows in
/// memory are copied. Neither sees what the other does from now on; dropped, it leaves no trace.
///
/// Cost    a bit per row in files, the rows in memory
/// Owns    *table is the caller's (pq_table_destroy); the files stay while it lives
/// Errors  PQDB_NO_MEMORY
pqdb_code pq_table_branch(const struct pq_table_snapshot *snapshot,
                          const struct pq_table_options *options, struct pq_table **table,
                          pqdb_error *err);

#endif
