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

/// Unpack `count` values from bit `first_bit` on. The caller has checked that `length` bytes hold
/// them. `width` is at most 32 (u32) or 64 (u64).
void pq_bit_unpack_u32(const uint8_t *data, size_t length, uint64_t first_bit, unsigned width,
                       uint32_t *out, size_t count);
void pq_bit_unpack_u64(const uint8_t *data, size_t length, uint64_t first_bit, unsigned width,
                       uint64_t *out, size_t count);

#endif
