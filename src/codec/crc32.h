#ifndef PQ_CODEC_CRC32_H
#define PQ_CODEC_CRC32_H

#include <stddef.h>
#include <stdint.h>

/// The CRC-32 of zlib, gzip and PNG. Begin with `crc` 0; pass a result on to continue it.
uint32_t pq_crc32(uint32_t crc, const void *data, size_t length);

#endif
