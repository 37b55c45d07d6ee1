/// parquet/encoding/delta_encode.h: writing DELTA_BINARY_PACKED and what is made of it: blocks of
/// 128 values in four miniblocks. The layout is in delta.h.
#ifndef PQ_PARQUET_DELTA_ENCODE_H
#define PQ_PARQUET_DELTA_ENCODE_H

#include "base/bytes.h"

/// Append `count` values of `width` bytes (4 or 8), little-endian, of any alignment.
pqdb_code pq_delta_encode(const void *values, size_t count, size_t width, struct pq_bytes *out,
                          pqdb_error *err);

/// Append PLAIN byte arrays (u32 length, bytes) as DELTA_LENGTH_BYTE_ARRAY, or where neighbours
/// share enough as DELTA_BYTE_ARRAY. `*has_prefixes` tells which. `scratch` holds lengths.
pqdb_code pq_delta_encode_texts(const uint8_t *plain, size_t count, struct pq_bytes *scratch,
                                struct pq_bytes *out, bool *has_prefixes, pqdb_error *err);

/// Append `count` values of `width` bytes as BYTE_STREAM_SPLIT.
pqdb_code pq_split_bytes(const uint8_t *values, size_t count, size_t width, struct pq_bytes *out,
                         pqdb_error *err);

#endif
