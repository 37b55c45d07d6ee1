#include "parquet/bloom.h"

#include "base/fail.h"
#include "parquet/footer.h"

enum { block_words = 8, bits_per_value = 10 };

static const uint32_t salts[block_words] = {0x47b6137bU, 0x44974d91U, 0x8824ad5bU, 0xa2b7289dU,
                                            0x705495c7U, 0x2df1424bU, 0x9efc4947U, 0x5c6bfb31U};

static size_t block_of(uint64_t hash, size_t blocks) {
    return (size_t)(((hash >> 32) * (uint64_t)blocks) >> 32);
}

/// The bit that the hash sets in word `word` of its block.
static uint32_t bit_of(uint64_t hash, size_t word) {
    return UINT32_C(1) << (((uint32_t)hash * salts[word]) >> 27);
}

/// A power of two, as some readers demand.
static size_t bytes_for(size_t count) {
    size_t bytes = PQ_BLOOM_BLOCK_BYTES;
    while (bytes < PQ_BLOOM_BYTES_MAX && bytes * 8 < count * bits_per_value) bytes *= 2;
    return bytes;
}

pqdb_code pq_bloom_write(const uint64_t *hashes, size_t count, struct pq_bytes *out,
                         pqdb_error *err) {
    const size_t bytes = bytes_for(count), blocks = bytes / PQ_BLOOM_BLOCK_BYTES;
    const struct pq_meta_bloom header = {.has = 0x1E,
                                         .bytes = (int32_t)bytes,
                                         .algorithm = {.has = 2},
                                         .hash = {.has = 2},
                                         .compression = {.has = 2}};
    PQ_TRY(pq_thrift_encode(&pq_meta_bloom_table, &header, out, err));
    PQ_TRY(pq_bytes_reserve(out, bytes, err));
    uint8_t *bitset = out->data + out->length;
    memset(bitset, 0, bytes);
    for (size_t i = 0; i < count; i++) {
        uint8_t *block = bitset + block_of(hashes[i], blocks) * PQ_BLOOM_BLOCK_BYTES;
        for (size_t k = 0; k < block_words; k++) {
            pq_store_u32(block + k * 4, pq_load_u32(block + k * 4) | bit_of(hashes[i], k));
        }
    }
    out->length += bytes;
    return PQDB_OK;
}

bool pq_bloom_open(struct pq_text stored, struct pq_arena *arena, struct pq_text *bitset) {
    struct pq_cursor cursor = pq_cursor_of(stored.data, stored.length);
    struct pq_meta_bloom header;
    if (pq_thrift_decode(&pq_meta_bloom_table, &cursor, arena, &header, NULL) != PQDB_OK) {
        return false;
    }
    const bool is_known = PQ_THRIFT_HAS(&header.algorithm, 1) && PQ_THRIFT_HAS(&header.hash, 1) &&
                          PQ_THRIFT_HAS(&header.compression, 1);
    const size_t left = pq_cursor_left(&cursor);
    if (!is_known || header.bytes < PQ_BLOOM_BLOCK_BYTES ||
        header.bytes % PQ_BLOOM_BLOCK_BYTES != 0 || (size_t)header.bytes > left) {
        return false;
    }
    *bitset = (struct pq_text){(const char *)cursor.at, (size_t)header.bytes};
    return true;
}

bool pq_bloom_has(struct pq_text bitset, uint64_t hash) {
    const size_t blocks = bitset.length / PQ_BLOOM_BLOCK_BYTES;
    const char *block = bitset.data + block_of(hash, blocks) * PQ_BLOOM_BLOCK_BYTES;
    for (size_t k = 0; k < block_words; k++) {
        if ((pq_load_u32(block + k * 4) & bit_of(hash, k)) == 0) return false;
    }
    return true;
}
