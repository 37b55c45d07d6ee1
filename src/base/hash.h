/// base/hash.h: the doorway to xxHash. Neither hash is keyed: never expose a table to an
/// adversary without a bound on its probe length.
#ifndef PQ_BASE_HASH_H
#define PQ_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/// XXH3 64 bit, seed 0: hash tables, checksums of our own files.
uint64_t pq_hash(const void *data, size_t length);

/// XXH64, seed 0: Parquet bloom filters and `$hash`.
uint64_t pq_hash_xxh64(const void *data, size_t length);

/// A cheap mix of one word (splitmix64's finalizer), for integer keys.
static inline uint64_t pq_hash_word(uint64_t x) {
    x ^= x >> 30;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 27;
    x *= UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

#endif
