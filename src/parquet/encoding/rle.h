/// parquet/encoding/rle.h: the hybrid of runs and bit-packed groups, for levels and codes.
///
///     run      varint (count << 1), the value in ceil(width / 8) bytes
///     groups   varint (groups << 1 | 1), groups * width bytes: 8 values each, the last one padded
#ifndef PQ_PARQUET_RLE_H
#define PQ_PARQUET_RLE_H

#include "base/bytes.h"

/// Append the encoding of `count` values below 2^width.
pqdb_code pq_rle_encode(const uint32_t *values, size_t count, unsigned width,
                        struct pq_bytes *out, pqdb_error *err);
/// The same for one value `count` times.
pqdb_code pq_rle_encode_run(uint32_t value, size_t count, unsigned width, struct pq_bytes *out,
                            pqdb_error *err);

struct pq_rle_decoder {
    struct pq_cursor cursor;
    unsigned width;            // 0 to 32; width 0 needs no data at all
    uint32_t run_value;
    size_t run_left;
    const uint8_t *packed;     // the current groups
    size_t packed_bytes;
    size_t packed_next;        // value in them
    size_t packed_left;
};

void pq_rle_decoder_init(struct pq_rle_decoder *decoder, const void *data, size_t length,
                         unsigned width);
/// The next `count` values into `out`; false when the data ends before, or is malformed.
bool pq_rle_take(struct pq_rle_decoder *decoder, uint32_t *out, size_t count);
bool pq_rle_skip(struct pq_rle_decoder *decoder, size_t count);
/// The same for levels, none of which may be above `max`.
bool pq_rle_take_levels(struct pq_rle_decoder *decoder, uint8_t *out, size_t count, uint8_t max);

/// The deprecated BIT_PACKED levels: most significant bit first, no header. False when cut off or
/// above `max`.
bool pq_bit_packed_levels(struct pq_cursor *cursor, unsigned width, uint8_t *out, size_t count,
                          uint8_t max);

#endif
