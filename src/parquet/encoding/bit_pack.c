#include "parquet/encoding/bit_pack.h"

#include "base/check.h"
#include "base/fail.h"

pqdb_code pq_bit_pack(const uint32_t *values, size_t count, unsigned width, struct pq_bytes *out,
                      pqdb_error *err) {
    pq_assert(width <= 32);
    const size_t bytes = (count + 7) / 8 * width;
    PQ_TRY(pq_bytes_reserve(out, bytes + 8, err));
    uint8_t *at = out->data + out->length;
    uint64_t pending = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < count; i++) {
        pending |= (uint64_t)values[i] << bits;
        bits += width;
        if (bits >= 32) {
            pq_store_u32(at, (uint32_t)pending);
            at += 4;
            pending >>= 32;
            bits -= 32;
        }
    }
    uint8_t *end = out->data + out->length + bytes;
    while (at < end) {
        *at++ = (uint8_t)pending;
        pending >>= 8;
    }
    out->length += bytes;
    return PQDB_OK;
}

/// Up to 9 bytes may hold one value; what lies beyond the data counts as zero.
static uint64_t unpack_at_tail(const struct pq_bit_packed *packed, uint64_t bit) {
    uint8_t room[16] = {0};
    const unsigned width = packed->width;
    const size_t length = packed->length, at = (size_t)(bit >> 3);
    const size_t left = at < length ? length - at : 0;
    if (left > 0) memcpy(room, packed->data + at, left < 9 ? left : 9);
    const unsigned shift = (unsigned)(bit & 7);
    uint64_t value = pq_load_u64(room) >> shift;
    if (shift != 0) value |= (uint64_t)room[8] << (64 - shift);
    return width == 64 ? value : value & ((UINT64_C(1) << width) - 1);
}

/// Whole groups of eight values that begin at `data`, while loads of 8 bytes stay within `length`:
/// one or two loads a group. Gives how many values were unpacked.
static size_t unpack_groups(const uint8_t *data, size_t length, unsigned width, uint32_t *out,
                            size_t count) {
    const uint32_t mask = (UINT32_C(1) << width) - 1;
    const unsigned half = width * 4;  // bits of four values
    const size_t second = width <= 8 ? 0 : half >> 3, need = second + 8;
    size_t i = 0, at = 0;
    for (; i + 8 <= count && at + need <= length; i += 8, at += width) {
        const uint64_t low = pq_load_u64(data + at);
        const uint64_t high =
            width <= 8 ? low >> half : pq_load_u64(data + at + second) >> (half & 7);
        for (unsigned k = 0; k < 4; k++) {
            out[i + k] = (uint32_t)(low >> (k * width)) & mask;
            out[i + 4 + k] = (uint32_t)(high >> (k * width)) & mask;
        }
    }
    return i;
}

void pq_bit_unpack_u32(const struct pq_bit_packed *packed, uint64_t first, uint32_t *out,
                       size_t count) {
    const uint8_t *data = packed->data;
    const size_t length = packed->length;
    const unsigned width = packed->width;
    pq_assert(width <= 32);
    const uint32_t mask = width == 32 ? UINT32_MAX : (UINT32_C(1) << width) - 1;
    uint64_t bit = first * width;
    size_t i = 0;
    if (width > 0 && width <= 15 && (bit & 7) == 0 && bit >> 3 <= length) {
        i = unpack_groups(data + (bit >> 3), length - (size_t)(bit >> 3), width, out, count);
        bit += i * width;
    }
    // A load of 8 bytes is safe while it ends within the data.
    const uint64_t safe_bits = length < 8 ? 0 : (uint64_t)(length - 8 + 1) * 8;
    for (; i < count && bit < safe_bits; i++, bit += width) {
        out[i] = (uint32_t)(pq_load_u64(data + (bit >> 3)) >> (bit & 7)) & mask;
    }
    for (; i < count; i++, bit += width) {
        out[i] = (uint32_t)unpack_at_tail(packed, bit);
    }
}

void pq_bit_unpack_u64(const struct pq_bit_packed *packed, uint64_t first, uint64_t *out,
                       size_t count) {
    const uint8_t *data = packed->data;
    const size_t length = packed->length;
    const unsigned width = packed->width;
    pq_assert(width <= 64);
    uint64_t bit = first * width;
    size_t i = 0;
    if (width <= 56) {
        const uint64_t mask = (UINT64_C(1) << width) - 1;
        const uint64_t safe_bits = length < 8 ? 0 : (uint64_t)(length - 8 + 1) * 8;
        for (; i < count && bit < safe_bits; i++, bit += width) {
            out[i] = pq_load_u64(data + (bit >> 3)) >> (bit & 7) & mask;
        }
    }
    for (; i < count; i++, bit += width) out[i] = unpack_at_tail(packed, bit);
}
