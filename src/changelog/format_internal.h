/// changelog/format_internal.h: the numbers of the log's format. docs/format.md has the prose.
///
/// Everything is little-endian and begins at a multiple of 8 bytes. Offsets of
///
///     segment header          frame                   commit              part
///     0  u64 check of 8..63   0  u64 check of 8..     0  u8  kind         0  u8  form
///     8  u32 magic            8  u32 magic            1  u8  flags        1  u8  flags
///     12 u32 format           12 u8  format           2  u8  token bytes  2  u16 columns
///     16 u64 segment          13 u8  flags            3  u8  0            4  u32 length
///     24 u64 nonce            14 u16 0                4  u32 parts        8  u32 collection
///     32 u64 first frame      16 u64 frame            8  u32 length       12 u32 schema id
///     40 u64 first version    24 u64 nonce            12 u32 0            16 u32 rows minus
///     48 u64 previous check   32 u64 previous check   16 token, parts     20 u32 rows plus
///     56 i64 made at, us      40 u64 first version                        24 u64 first seq
///     64 frames               48 i64 time, us                             32 chunks
///                             56 u32 commits
///     chunk                   60 u32 length           names               payload
///     0  u16 column           64 commits              8  u32 collection   8  u32 raw length
///     2  u8  kind                                     12 u32 first id     12 u32 length
///     3  u8  encoding                                 16 u32 count        32 bytes
///     4  u8  codec                                    32 varint, text …
///     5  u8  marks
///     6  u8  scale
///     7  u8  0
///     8  u32 raw length
///     12 u32 length
///     16 bytes
#ifndef PQ_CHANGELOG_FORMAT_INTERNAL_H
#define PQ_CHANGELOG_FORMAT_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

enum {
    PQ_SEGMENT_HEADER_BYTES = 64,
    PQ_FRAME_HEADER_BYTES = 64,
    PQ_COMMIT_HEADER_BYTES = 16,
    PQ_PART_HEADER_BYTES = 32,
    PQ_CHUNK_HEADER_BYTES = 16,
};

#define PQ_SEGMENT_MAGIC UINT32_C(0x53445150)  // "PQDS"
#define PQ_FRAME_MAGIC UINT32_C(0x46445150)    // "PQDF"

enum pq_frame_flags {
    PQ_FRAME_COPY = 1,    ///< repeats a frame of the segment before: what recovery writes first
    PQ_FRAME_CLOSED = 2,  ///< empty, written by close
};

enum pq_commit_flags {
    PQ_COMMIT_MORE = 1,       ///< the next frame continues this commit
    PQ_COMMIT_CONTINUED = 2,  ///< what follows continues the parts of the frame before
};

enum pq_part_form { PQ_PART_ROWS = 1, PQ_PART_NAMES = 2, PQ_PART_PAYLOAD = 3 };

enum pq_part_flags {
    PQ_PART_HAS_VARIANT = 1,  ///< ROWS: some column, at any depth, is a variant
    PQ_PART_LZ4 = 2,          ///< PAYLOAD
};

enum pq_chunk_encoding {
    PQ_CHUNK_CONST = 1,       ///< one value for all rows
    PQ_CHUNK_FIXED = 2,       ///< values, zeros up to a multiple of 8, marks
    PQ_CHUNK_BYTES = 3,       ///< u32 offsets[rows + 1] from 0, data, marks
    PQ_CHUNK_DICTIONARY = 4,  ///< u32 entries, u32 offsets[entries + 1], codes, data, marks
    PQ_CHUNK_SAME = 5,        ///< u32 places of plus rows that differ from their minus rows;
                              ///< then a chunk of the minus rows and one of those and the rest
    PQ_CHUNK_COUNTING = 6,    ///< i64 first: each row one more than the row before
    PQ_CHUNK_SEQ = 7,         ///< nothing: counts up from the part's first seq
    PQ_CHUNK_ROWS = 8,        ///< u32 offsets[rows + 1] from 0, marks; then the elements' chunk
    PQ_CHUNK_MEMBERS = 9,     ///< marks; then a chunk a member
};

enum pq_chunk_codec { PQ_CHUNK_RAW = 0, PQ_CHUNK_LZ4 = 1 };

enum pq_chunk_marks {
    PQ_MARKS_VALID = 0,      ///< every row has a value
    PQ_MARKS_NULL = 1,       ///< no row has; only with CONST, and then no other chunk below
    PQ_MARKS_BYTES = 2,      ///< a byte per row, as in pq_column.valid
    PQ_MARKS_OWN_NAMES = 3,  ///< every row is a variant with its own names
};

static inline size_t pq_log_padded(size_t length) { return (length + 7) & ~(size_t)7; }

/// Bytes of one code of a DICTIONARY chunk.
static inline size_t pq_log_code_width(uint32_t entries) {
    return entries <= 256 ? 1 : entries <= 65536 ? 2 : 4;
}

/// Decoding makes at most so many rows and bytes out of one part.
enum { PQ_LOG_ROWS_MAX = 1 << 24, PQ_LOG_CONST_BYTES_MAX = 1 << 26 };

#endif
