/// changelog/part_internal.h: parts as the log itself sees them.
#ifndef PQ_CHANGELOG_PART_INTERNAL_H
#define PQ_CHANGELOG_PART_INTERNAL_H

#include "changelog/part.h"

/// An empty column of a type with the layout of its kind.
struct pq_column pq_log_column_of(const struct pq_type *type,
                                  const struct pq_variant_names *names);

/// Bytes of the part at the front of `bytes`, 0 when there is none whole.
size_t pq_log_part_length(struct pq_text bytes);

/// Bytes that a column of nulls makes when it is decoded.
uint64_t pq_log_nulls_bytes(const struct pq_type *type, uint64_t count);

/// Can this part of rows of a type be read, and makes no more than that? Of large parts that is
/// not looked at: it is for slow checks.
bool pq_log_part_is_within(struct pq_text part, const struct pq_type *type, uint64_t bytes);

/// `bytes` is a whole part of its form.
pqdb_code pq_log_decode_payload(struct pq_text bytes, struct pq_arena *arena,
                                struct pq_text *payload, pqdb_error *err);

/// Names [first, first + count) of a collection. Errors: NO_MEMORY.
pqdb_code pq_log_encode_names(uint32_t collection, const struct pq_variant_names *names,
                              uint32_t first, uint32_t count, struct pq_bytes *out);
/// Add them to schemas->names; they must get the ids they had.
pqdb_code pq_log_decode_names(struct pq_text bytes, const struct pq_log_schemas *schemas,
                              pqdb_error *err);

#endif
