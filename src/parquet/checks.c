#include "parquet/checks.h"

const uint8_t pq_checks_mark[16] = {0x0c, 0x6a, 0x5f, 0x0e, 0x9d, 0x0b, 0x4c, 0x1e,
                                    0x8f, 0x57, 0x71, 0xbe, 0x2a, 0x94, 0xd3, 0xc6};

bool pq_checks_of_footer(uint8_t *footer, size_t length, uint64_t *stored, uint64_t *check) {
    if (length < PQ_CHECKS_FILE_BYTES + 1) return false;
    uint8_t *at = footer + length - 1 - PQ_CHECKS_FILE_BYTES;
    if (memcmp(at + 8, pq_checks_mark, sizeof pq_checks_mark) != 0) return false;
    *stored = pq_load_u64(at);
    pq_store_u64(at, 0);
    *check = pq_hash(footer, length);
    pq_store_u64(at, *stored);
    return true;
}
