/// parquet/bloom.h: split-block bloom filters: blocks of 256 bits, XXH64 of the PLAIN bytes (byte
/// arrays without their length). Source: parquet-format, BloomFilter.md.
///
///     thrift BloomFilterHeader | bitset, a power of two of bytes when written here
#ifndef PQ_PARQUET_BLOOM_H
#define PQ_PARQUET_BLOOM_H

#include "base/arena.h"
#include "base/bytes.h"

enum { PQ_BLOOM_BLOCK_BYTES = 32, PQ_BLOOM_BYTES_MAX = 128 << 20 };

/// Append header and bitset of a filter that holds these hashes; about one in a hundred others is
/// held by mistake. Errors: PQDB_NO_MEMORY.
pqdb_code pq_bloom_write(const uint64_t *hashes, size_t count, struct pq_bytes *out,
                         pqdb_error *err);

/// The bitset behind a stored header: a view. False when it is no filter of this kind.
bool pq_bloom_open(struct pq_text stored, struct pq_arena *arena, struct pq_text *bitset);

bool pq_bloom_has(struct pq_text bitset, uint64_t hash);

#endif
