/// table/iceberg/seal.h: the checksum of a metadata file, inside itself.
///
/// Manifests and lists have an entry `parquedb.check` in their Avro header, the metadata JSON has
/// it as its second key: 16 hexadecimal digits, pq_hash of two u64: pq_hash of the bytes before the
/// digits, and of those behind them. Other readers pass over it.
#ifndef PQ_TABLE_ICEBERG_SEAL_H
#define PQ_TABLE_ICEBERG_SEAL_H

#include "base/bytes.h"

#define PQ_SEAL_KEY "parquedb.check"
#define PQ_SEAL_DIGITS "0000000000000000"  // until it is sealed

/// Put the check in place of the digits, once the file is complete; it begins at `start` of `out`.
void pq_seal(struct pq_bytes *out, size_t start);

enum pq_seal_state { PQ_SEAL_NONE, PQ_SEAL_BROKEN, PQ_SEAL_WHOLE };

/// NONE: it was written by somebody else.
enum pq_seal_state pq_seal_look(struct pq_text file);

#endif
