/// codec/inflate_stream.h: reads a .gz, .zst or plain stream as plain bytes, in bounded memory.
///
/// The format is told by the first bytes, not by a name. gzip members and zstd frames may follow
/// each other. What is neither is passed through.
#ifndef PQ_CODEC_INFLATE_STREAM_H
#define PQ_CODEC_INFLATE_STREAM_H

#include <parquedb/error.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

/// Put up to `capacity` bytes into `out`; `*length` 0 only at the end. Short reads are fine.
typedef pqdb_code pq_read_fn(void *ctx, uint8_t *out, size_t capacity, size_t *length,
                             pqdb_error *err);

struct pq_inflate_stream;

/// Begin to read; takes the first bytes to see which format it is.
///
/// Owns    `ctx` and `alloc` are borrowed until close
/// Cost    64 KiB; gzip 48 KiB more, zstd the window of the frame, which may be 128 MiB at most
/// Errors  those of `read`; PQDB_NO_MEMORY
pqdb_code pq_inflate_stream_open(pq_read_fn *read, void *ctx, const struct pq_alloc *alloc,
                                 struct pq_inflate_stream **stream, pqdb_error *err);
void pq_inflate_stream_close(struct pq_inflate_stream *stream);

/// Fill `out`; fewer than `capacity` bytes (perhaps 0) only at the end, so this is a pq_read_fn.
///
/// Errors  those of `read`; PQDB_CORRUPT if the data is damaged or cut off, with err->offset in the
///         compressed stream. What was filled before is lost, and every later read fails alike.
pqdb_code pq_inflate_stream_read(void *stream, uint8_t *out, size_t capacity, size_t *length,
                                 pqdb_error *err);

/// "gzip", "zstd" or "plain".
const char *pq_inflate_stream_format(const struct pq_inflate_stream *stream);

/// Bytes taken from the compressed stream so far, for a progress bar.
uint64_t pq_inflate_stream_taken(const struct pq_inflate_stream *stream);

#endif
