/// parquet/encoding/delta.h: reading DELTA_BINARY_PACKED, and the lengths and prefixes made of it.
///
///     header      varints: block size, miniblocks in a block, total count, first value (zigzag)
///     block       min delta (zigzag), a width byte per miniblock, the miniblocks' packed deltas
///
/// Arithmetic wraps around; the last block's unneeded miniblocks have widths but no bodies.
#ifndef PQ_PARQUET_DELTA_H
#define PQ_PARQUET_DELTA_H

#include "base/bytes.h"

enum { PQ_DELTA_BLOCK_MAX = 65536 };

struct pq_delta_decoder {
    struct pq_cursor cursor;   // after the last value: the byte behind the encoding
    uint64_t value_count;      // in all
    uint64_t taken;
    unsigned width_max;        // 32 or 64
    uint32_t miniblock_values;
    uint32_t miniblocks;       // in a block
    uint64_t value;            // the last one
    uint64_t min_delta;
    const uint8_t *widths;     // of the block's miniblocks
    uint32_t miniblock;        // within the block, the next to begin
    uint32_t buffered, used;   // deltas in `room`
    uint64_t room[128];
    const uint8_t *packed;     // rest of the current miniblock
    size_t packed_bytes;
    uint32_t packed_next, packed_values;
    unsigned width;
};

/// False when the header is malformed or promises more values than `value_count_max`.
bool pq_delta_decoder_init(struct pq_delta_decoder *decoder, const void *data, size_t length,
                           unsigned width_max, uint64_t value_count_max);
/// The next `count` values; false when there are fewer, or the data is malformed.
bool pq_delta_take(struct pq_delta_decoder *decoder, int64_t *out, size_t count);
/// Consume what is left, so that the cursor stands behind the encoding.
bool pq_delta_finish(struct pq_delta_decoder *decoder);

#endif
