/// db/ingest_internal.h: what the readers of files need of an ingest run.
#ifndef PQ_DB_INGEST_INTERNAL_H
#define PQ_DB_INGEST_INTERNAL_H

#include <parquedb/write.h>

#include "ingest/rows.h"

const struct pq_alloc *pq_ingest_alloc(const pqdb_ingest *ingest);
const struct pq_entry *pq_ingest_entry(const pqdb_ingest *ingest);

/// One item that was taken apart elsewhere; `ctx` is the run. A full batch goes its way.
pqdb_code pq_ingest_item(void *ctx, const struct pq_row_item *item, pqdb_error *err);

#endif
