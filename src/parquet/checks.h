/// parquet/checks.h: checksums of what Parquet's own do not cover: the footer, the indexes, bloom
/// filters and the headers of pages. They stand in the fields that parquet.thrift leaves to writers
/// (id 32767, binary), which other readers pass over.
///
///     FileMetaData   u64 check (pq_hash) of the footer with zeros in its place | 16 bytes: mark
///     ColumnChunk    u64 check of the column index | u64 of the offset index | u64 of the bloom
///                    filter | u64 over the headers of its pages; 0 where there is none
///     OffsetIndex    u32 check of the header of the dictionary page, 0 when there is none | u32 of
///                    the header of each data page
///
/// A file that says it was made by parquedb, build 2 or later, has them all.
#ifndef PQ_PARQUET_CHECKS_H
#define PQ_PARQUET_CHECKS_H

#include "base/bytes.h"
#include "base/hash.h"

enum {
    PQ_CHECKS_FILE_BYTES = 24,
    PQ_CHECKS_CHUNK_BYTES = 32,
    PQ_CHECKS_COLUMN_INDEX = 0,  // offsets in a chunk's
    PQ_CHECKS_OFFSET_INDEX = 8,
    PQ_CHECKS_BLOOM = 16,
    PQ_CHECKS_HEADERS = 24,
};

/// What ends a footer with checks: the mark and the stop of FileMetaData.
extern const uint8_t pq_checks_mark[16];

static inline uint32_t pq_check_header(const void *header, size_t length) {
    return (uint32_t)pq_hash(header, length);
}
/// Over the headers of a chunk, one after the other, from 0 on.
static inline uint64_t pq_check_add_header(uint64_t check, uint32_t header) {
    return pq_hash_word(check + header + 1);
}

/// Check of a footer of `length` bytes, without its trailing length and magic. False: it has no
/// mark. The bytes are as they were afterwards.
bool pq_checks_of_footer(uint8_t *footer, size_t length, uint64_t *stored, uint64_t *check);

#endif
