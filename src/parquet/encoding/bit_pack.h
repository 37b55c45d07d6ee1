/// parquet/encoding/bit_pack.h: integers of `width` bits, least significant bit first.
#ifndef PQ_PARQUET_BIT_PACK_H
#define PQ_PARQUET_BIT_PACK_H

#include "base/bytes.h"

/// Bits that the largest value needs: 0 for 0.
static inline unsigned pq_bits_needed(uint64_t largest) {
    return largest == 0 ? 0 : 64u - (unsigned)__builtin_clzll(largest);
}

/// Append `count` values, padded with zeros to a multiple of 8 values. `width` is at most 32.
pqdb_code pq_bit_pack(const uint32_t *values, size_t count, unsigned width, struct pq_bytes *out,
                      pqdb_error *err);

struct pq_bit_packed {
    const uint8_t *data;
    size_t length;
    unsigned width;  // at most 32 (u32) or 64 (u64)
};

/// Unpack `count` values, the first one being value `first`. The caller has checked that they are
/// there.
void pq_bit_unpack_u32(const struct pq_bit_packed *packed, uint64_t first, uint32_t *out,
                       size_t count);
void pq_bit_unpack_u64(const struct pq_bit_packed *packed, uint64_t first, uint64_t *out,
                       size_t count);

#endif
