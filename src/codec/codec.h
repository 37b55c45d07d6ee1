/// codec/codec.h: compression of whole blocks, one const descriptor per format.
///
/// The formats are those of Parquet pages and Avro blocks: no frame, length or checksum is added
/// to what the format itself has. Compressed bytes are nobody's promise: damage is PQDB_CORRUPT.
/// The libraries take their working memory from libc; zstd keeps it per thread, until the thread
/// ends.
/// To add a format: copy codec_brotli.c, add its descriptor to PQ_CODECS.
#ifndef PQ_CODEC_CODEC_H
#define PQ_CODEC_CODEC_H

#include <parquedb/error.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/text.h"

/// Each `x` names a descriptor pq_codec_x. zstd: frames. lz4: one raw block, no frame (LZ4_RAW).
/// lz4_hadoop: Parquet's deprecated LZ4, framed blocks; reads raw ones too. snappy: one raw block.
/// gzip: RFC 1952, also several members. deflate: RFC 1951 without a header. brotli: one stream.
#define PQ_CODECS(x) x(zstd) x(lz4) x(lz4_hadoop) x(snappy) x(gzip) x(deflate) x(brotli)

/// The largest block, compressed or not (what LZ4 takes at most); beyond it is PQDB_LIMIT.
#define PQ_CODEC_BLOCK_MAX ((size_t)0x7E000000)

struct pq_inflater;

struct pq_codec {
    const char *name;

    /// Append the compressed form of `in` to `out`.
    ///
    /// Units   level: 0 is the codec's own default; others are brought into its range. zstd 1-22
    ///         (default 3), lz4 1 fast, 3-12 high compression (1), gzip and deflate 1-9 (6),
    ///         brotli 1-11 (5); snappy has none
    /// Errors  PQDB_NO_MEMORY, PQDB_LIMIT. Then `out` has its old length.
    pqdb_code (*compress)(struct pq_text in, int level, struct pq_bytes *out, pqdb_error *err);

    /// Fill `out` with exactly `out_length` bytes. Zero bytes of input are no block of any format.
    ///
    /// Errors  PQDB_CORRUPT: damaged, cut off, followed by other bytes, or of another length.
    ///         PQDB_NO_MEMORY, PQDB_LIMIT. Then `out` holds anything.
    pqdb_code (*decompress)(struct pq_text in, uint8_t *out, size_t out_length, pqdb_error *err);

    /// For pq_codec_expand: the length a block states of itself (snappy), or how to inflate it
    /// piece by piece; both NULL where the format allows neither (lz4).
    pqdb_code (*stated_length)(struct pq_text in, size_t *length, pqdb_error *err);
    const struct pq_inflater *inflater;
};

#define PQ_CODEC_DECLARE(x) extern const struct pq_codec pq_codec_##x;
PQ_CODECS(PQ_CODEC_DECLARE)
#undef PQ_CODEC_DECLARE

/// The codec of that name, or NULL.
const struct pq_codec *pq_codec_find(struct pq_text name);

/// Decompress a block whose length is not known beforehand, appending to `out`.
///
/// Cost    memory follows what the block really holds, not what it claims; at most length_max
/// Errors  PQDB_CORRUPT as for decompress; PQDB_LIMIT if there is more than `length_max`;
///         PQDB_UNSUPPORTED for lz4; PQDB_NO_MEMORY. Then `out` has its old length.
pqdb_code pq_codec_expand(const struct pq_codec *codec, struct pq_text in, size_t length_max,
                          struct pq_bytes *out, pqdb_error *err);

#endif
