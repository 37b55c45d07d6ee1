#include "parquet/encoding/delta_encode.h"

#include "base/check.h"
#include "base/fail.h"

enum {
    block_values = 128,
    miniblocks = 4,
    miniblock_values = block_values / miniblocks,
    block_bytes_max = 10 + miniblocks + block_values * 8,
    share_min = 4,  // prefixes pay when they are a fourth of the bytes
};

static unsigned bits_of(uint64_t value) {
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

/// 32 values, least significant bit first; 4 * width bytes.
static uint8_t *pack(const uint64_t *values, unsigned width, uint8_t *at) {
    uint64_t pending = 0;
    unsigned bits = 0;
    if (width == 0) return at;
    for (size_t i = 0; i < miniblock_values; i++) {
        pending |= values[i] << bits;
        bits += width;
        if (bits < 64) continue;
        pq_store_u64(at, pending);
        at += 8;
        bits -= 64;
        pending = bits == 0 ? 0 : values[i] >> (width - bits);
    }
    if (bits == 0) return at;
    pq_assert(bits == 32);
    pq_store_u32(at, (uint32_t)pending);
    return at + 4;
}

static uint64_t load(const uint8_t *values, size_t i, size_t width) {
    if (width == 8) return pq_load_u64(values + i * 8);
    return (uint64_t)(int64_t)(int32_t)pq_load_u32(values + i * 4);
}

/// The difference wraps around at the width of the values.
static int64_t delta_of(uint64_t value, uint64_t before, size_t width) {
    const uint64_t delta = value - before;
    return width == 8 ? (int64_t)delta : (int64_t)(int32_t)(uint32_t)delta;
}

/// A block of `count` deltas: unneeded miniblocks have a width of 0 and no body.
static pqdb_code encode_block(const int64_t *deltas, size_t count, size_t width,
                              struct pq_bytes *out, pqdb_error *err) {
    int64_t least = deltas[0];
    for (size_t i = 1; i < count; i++) least = deltas[i] < least ? deltas[i] : least;
    uint64_t above[block_values] = {0};
    const uint64_t mask = width == 8 ? UINT64_MAX : UINT32_MAX;
    for (size_t i = 0; i < count; i++) above[i] = ((uint64_t)deltas[i] - (uint64_t)least) & mask;
    PQ_TRY(pq_bytes_reserve(out, block_bytes_max, err));
    PQ_TRY(pq_bytes_append_varint(out, pq_zigzag(least), err));
    uint8_t *widths = out->data + out->length, *at = widths + miniblocks;
    for (size_t m = 0; m < miniblocks; m++) {
        uint64_t all = 0;
        const uint64_t *values = above + m * miniblock_values;
        for (size_t i = 0; i < miniblock_values; i++) all |= values[i];
        widths[m] = (uint8_t)bits_of(all);
        if (m * miniblock_values < count) at = pack(values, widths[m], at);
    }
    out->length = (size_t)(at - out->data);
    return PQDB_OK;
}

pqdb_code pq_delta_encode(const void *values, size_t count, size_t width, struct pq_bytes *out,
                          pqdb_error *err) {
    pq_assert(width == 4 || width == 8);
    const uint64_t first = count == 0 ? 0 : load(values, 0, width);
    PQ_TRY(pq_bytes_append_varint(out, block_values, err));
    PQ_TRY(pq_bytes_append_varint(out, miniblocks, err));
    PQ_TRY(pq_bytes_append_varint(out, count, err));
    PQ_TRY(pq_bytes_append_varint(out, pq_zigzag((int64_t)first), err));
    uint64_t before = first;
    for (size_t i = 1; i < count;) {
        int64_t deltas[block_values];
        size_t n = 0;
        for (; n < block_values && i < count; n++, i++) {
            const uint64_t value = load(values, i, width);
            deltas[n] = delta_of(value, before, width);
            before = value;
        }
        PQ_TRY(encode_block(deltas, n, width, out, err));
    }
    return PQDB_OK;
}

// ---- texts ------------------------------------------------------------------------------------

static size_t shared_prefix(const uint8_t *a, size_t a_length, const uint8_t *b,
                            size_t b_length) {
    const size_t most = a_length < b_length ? a_length : b_length;
    size_t i = 0;
    while (i + 8 <= most && pq_load_u64(a + i) == pq_load_u64(b + i)) i += 8;
    while (i < most && a[i] == b[i]) i++;
    return i;
}

/// The prefix that each value shares with the one before, into `prefixes`; gives their sum.
static size_t find_prefixes(const uint8_t *plain, size_t count, int32_t *prefixes, size_t *bytes) {
    const uint8_t *before = plain, *at = plain;
    size_t before_length = 0, sum = 0;
    *bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t length = pq_load_u32(at);
        const size_t prefix = shared_prefix(before, before_length, at + 4, length);
        prefixes[i] = (int32_t)prefix;
        sum += prefix;
        *bytes += length;
        before = at + 4;
        before_length = length;
        at += 4 + length;
    }
    return sum;
}

pqdb_code pq_delta_encode_texts(const uint8_t *plain, size_t count, struct pq_bytes *scratch,
                                struct pq_bytes *out, bool *has_prefixes, pqdb_error *err) {
    scratch->length = 0;
    PQ_TRY(pq_bytes_reserve(scratch, 2 * count * sizeof(int32_t) + 1, err));
    int32_t *prefixes = (int32_t *)(void *)scratch->data, *suffixes = prefixes + count;
    size_t bytes;
    const size_t shared = find_prefixes(plain, count, prefixes, &bytes);
    *has_prefixes = shared > 0 && shared >= bytes / share_min;
    if (!*has_prefixes && count > 0) memset(prefixes, 0, count * sizeof *prefixes);
    const uint8_t *at = plain;
    for (size_t i = 0; i < count; i++) {
        const uint32_t length = pq_load_u32(at);
        suffixes[i] = (int32_t)length - prefixes[i];
        at += 4 + length;
    }
    if (*has_prefixes) PQ_TRY(pq_delta_encode(prefixes, count, sizeof *prefixes, out, err));
    PQ_TRY(pq_delta_encode(suffixes, count, sizeof *suffixes, out, err));
    PQ_TRY(pq_bytes_reserve(out, bytes + 1, err));
    at = plain;
    for (size_t i = 0; i < count; i++) {
        const size_t suffix = (size_t)suffixes[i];
        memcpy(out->data + out->length, at + 4 + prefixes[i], suffix);
        out->length += suffix;
        at += 4 + (size_t)prefixes[i] + suffix;
    }
    return PQDB_OK;
}

pqdb_code pq_split_bytes(const uint8_t *values, size_t count, size_t width, struct pq_bytes *out,
                         pqdb_error *err) {
    PQ_TRY(pq_bytes_reserve(out, count * width + 1, err));
    uint8_t *to = out->data + out->length;
    for (size_t k = 0; k < width; k++) {
        for (size_t i = 0; i < count; i++) to[k * count + i] = values[i * width + k];
    }
    out->length += count * width;
    return PQDB_OK;
}
