/// table/id_filter.h: may a data file hold an id? A filter of 10 bits a row beside the file, so
/// that an id that is not there costs a look into memory and not a page of every file.
///
///     offset  what: `<data file>.ids`
///     0       "PQIDS001"
///     8       u64 rows | u64 lines
///     24      u64 check (pq_hash) of the lines | u64 check of the 32 bytes before
///     40      the lines of 64 bytes: as the filter of a run (state/run_format.h), of pq_hash(id)
///
/// Derived: without it every id may be there.
#ifndef PQ_TABLE_ID_FILTER_H
#define PQ_TABLE_ID_FILTER_H

#include "table/data_file.h"

struct pq_id_filter;
struct pq_pace;

/// Read it whole; *filter NULL when there is none, or when it is damaged.
/// Cost    10 bits of memory a row
/// Errors  PQDB_IO, PQDB_NO_MEMORY
pqdb_code pq_id_filter_read(struct pq_data_file *file, struct pq_id_filter **filter,
                            pqdb_error *err);
/// Is the file at `path` the sound filter of a data file with so many rows (PQ_ID_FILTER_ANY: any
/// number)? Errors: PQDB_CORRUPT (subject: the path, with the offset), PQDB_IO, PQDB_NO_MEMORY.
#define PQ_ID_FILTER_ANY UINT64_MAX
pqdb_code pq_id_filter_check(struct pq_store *store, const char *path, uint64_t rows,
                             const struct pq_alloc *alloc, pqdb_error *err);
void pq_id_filter_destroy(struct pq_id_filter *filter, const struct pq_alloc *alloc);

/// Write it, whole or not at all, from the ids of the data file; its name is not yet durable.
/// Errors  PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY
pqdb_code pq_id_filter_write(struct pq_data_file *file, struct pq_pace *pace, pqdb_error *err);

bool pq_id_filter_may_have(const struct pq_id_filter *filter, uint64_t hash);

#endif
