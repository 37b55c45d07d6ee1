/// ingest/fields.h: one declared field at a time, for writes that change some fields of a row: the
/// same rules, defaults and messages as for a row that is read whole.
#ifndef PQ_INGEST_FIELDS_H
#define PQ_INGEST_FIELDS_H

#include "batch/builder.h"
#include "type/schema.h"
#include "variant/variant.h"

/// One thread.
struct pq_field_reader;

/// `entry` outlives the reader, which takes a reference on `names`. Errors: PQDB_NO_MEMORY,
/// PQDB_UNSUPPORTED.
pqdb_code pq_field_reader_create(const struct pq_entry *entry, struct pq_variant_names *names,
                                 const struct pq_alloc *alloc, struct pq_field_reader **reader,
                                 pqdb_error *err);
void pq_field_reader_destroy(struct pq_field_reader *reader);

/// Append the value of entry->fields[field] to a builder of its column: from JSON text, or, where
/// `json` is empty, what stands in for a missing one. `received_us` is the time of the write.
/// Errors: PQDB_INVALID and PQDB_LIMIT, err->subject the path and the message completing
/// "<path> ..."; the builder is to be truncated then. PQDB_NO_MEMORY.
pqdb_code pq_field_read(struct pq_field_reader *reader, size_t field, struct pq_text json,
                        int64_t received_us, struct pq_builder *builder, pqdb_error *err);

/// Of the names it was made with.
struct pq_variant_encoder *pq_field_encoder(struct pq_field_reader *reader);

#endif
