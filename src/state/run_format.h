/// state/run_format.h: the numbers of the run format that writer and reader share (see run.h).
#ifndef PQ_STATE_RUN_FORMAT_H
#define PQ_STATE_RUN_FORMAT_H

#include "base/bytes.h"
#include "base/hash.h"
#include "state/run.h"

#define PQ_RUN_MAGIC UINT64_C(0x314e555251505150)           // "PQPQRUN1"
#define PQ_RUN_MAGIC_WEIGHTED UINT64_C(0x324e555251505150)  // "PQPQRUN2"

enum {
    RUN_BLOCK_HEAD = 16,   // check, bytes, rows
    RUN_INDEX_ENTRY = 24,  // first hash, offset, bytes, rows
    RUN_TAIL = 72,
    RUN_FILTER_LINE = 64,
    RUN_FILTER_BITS = 10,   // per key
    RUN_FILTER_PROBES = 6,  // bits of one line
    RUN_VARINT_MAX = 10,
};

/// Lines of the filter for that many rows; at least one.
static inline uint64_t run_filter_lines(uint64_t rows) {
    return rows * RUN_FILTER_BITS / (RUN_FILTER_LINE * 8) + 1;
}

/// The first of the eight words of a hash's line; its bits are `run_filter_bit`.
static inline uint64_t run_filter_line(uint64_t hash, uint64_t lines) {
    return (uint64_t)(((hash >> 32) * lines) >> 32);
}
static inline uint32_t run_filter_bit(uint64_t mixed, unsigned probe) {
    return (uint32_t)(mixed >> (9 * probe)) & 511;
}

#endif
