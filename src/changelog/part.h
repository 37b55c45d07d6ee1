/// changelog/part.h: rows as bytes, the unit that callers encode before their commit has a version.
///
/// A part is one finished delta of one collection under one schema: time, ids and defaults are
/// resolved; of all numbers only $seq may still wait for the leader. docs/format.md has the bytes.
/// What costs nothing: a column whose rows are all equal or all null (a few bytes), one that counts
/// up by one ($seq). A chunk of PQ_LOG_LZ4_BYTES_MIN or more is LZ4 if that saves an eighth.
/// A checkpoint root carries small memtables in the same form.
#ifndef PQ_CHANGELOG_PART_H
#define PQ_CHANGELOG_PART_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "batch/column.h"

enum {
    PQ_LOG_LZ4_BYTES_MIN = 4096,
    PQ_LOG_PART_BYTES_MAX = 1 << 30,  // encoded
    PQ_LOG_SEQ_COLUMN = 1,            // $seq, by the convention of all tables
};
#define PQ_LOG_MADE_BYTES_MAX (UINT64_C(4) << 30)  // decoded: rows in columns

/// The delta of a collection: first the rows that go (-1), then those that come (+1).
struct pq_log_rows {
    uint32_t collection;
    uint32_t schema_id;  // says which type the batch has; its meaning is the caller's
    uint32_t rows_minus;
    uint32_t rows_plus;
    uint64_t first_seq;     // of the first row, where rows_minus is 0
    bool waits_for_seq;     // rows_minus is 0, and the leader will number the rows: see below
    struct pq_batch batch;  // type NULL when the reader did not know the schema: only counts then
};

/// What the bytes of a log refer to. Both may return NULL: dropped since, or of no interest.
struct pq_log_schemas {
    const struct pq_type *(*type)(void *ctx, uint32_t collection, uint32_t schema_id);
    struct pq_variant_names *(*names)(void *ctx, uint32_t collection);
    void *ctx;
    /// The type to give rows in that have another one, which reads as this (type/shape.h); NULL, or
    /// NULL of it: as they are.
    const struct pq_type *(*wanted)(void *ctx, uint32_t collection);
    /// Which columns of that type are read, a flag each; NULL, or NULL of it: all of them. Rows
    /// that have it already come without the others, which are stepped over; rows of an older type
    /// come whole.
    const bool *(*reads)(void *ctx, uint32_t collection);
};

/// Append rows->batch (its weights are not looked at: rows_minus + rows_plus is its count).
///
/// Where as many rows come as go, the first ones count as the same rows again: an update. A column
/// in which at most half of them differ is then written once, and only what differs beside it.
///
/// Shape   rows without minus whose $seq column counts up from any number are written without it:
///         first_seq stands for it, which pq_log_append replaces. Rows that wait for their numbers
///         are always written so, whatever the column holds.
/// Owns    `out` must hold a multiple of 8 bytes and does so afterwards
/// Cost    one copy of the batch, LZ4 about 1.8 GB/s; no allocation once `out` is large enough
/// Thread  any; needs no log
/// Errors  NO_MEMORY, LIMIT beyond PQ_LOG_PART_BYTES_MAX, PQ_LOG_MADE_BYTES_MAX and 16,777,216
///         rows; `out` has its old length then
pqdb_code pq_log_encode_rows(const struct pq_log_rows *rows, struct pq_bytes *out,
                             pqdb_error *err);

/// Append opaque bytes: the content of a SCHEMA, SWAP or REFRESH commit. Same rules.
pqdb_code pq_log_encode_payload(struct pq_text payload, struct pq_bytes *out, pqdb_error *err);

/// Read one part of ROWS, as it stands at the front of `bytes`.
///
/// Owns    columns that are stored raw are views into `bytes` (which must be 8-aligned), all else
///         lives in `arena`; rows->batch has weights when there are minus rows
/// Shape   columns that nobody reads have their type and no rows
/// Errors  CORRUPT, whatever the bytes; NO_MEMORY
pqdb_code pq_log_decode_rows(struct pq_text bytes, const struct pq_log_schemas *schemas,
                             struct pq_arena *arena, struct pq_log_rows *rows, pqdb_error *err);

#endif
