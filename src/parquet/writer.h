/// parquet/writer.h: batches in, one Parquet file out.
///
/// The file: v1 data pages, encodings as the profile says, RLE levels, a CRC on every page,
/// statistics, column and offset index, bloom filters, converted and logical types, field ids. Rows
/// keep the order in which they came. Bytes leave in order through one callback, so pacing and
/// uploads sit behind it.
/// A leaf is a column of the file: nested members are leaves of their own. Source: FORMATS 1.
#ifndef PQ_PARQUET_WRITER_H
#define PQ_PARQUET_WRITER_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/text.h"
#include "batch/column.h"

struct pq_codec;  // codec/codec.h

/// Where the file goes. Bytes come in order; the pieces are a page or more.
struct pq_parquet_sink {
    pqdb_code (*append)(void *ctx, const void *data, size_t length, pqdb_error *err);
    void *ctx;
};

enum pq_parquet_variant_form {
    PQ_VARIANT_AS_JSON,    ///< JSON text, marked as JSON: for tables whose format has no variant
    PQ_VARIANT_ANNOTATED,  ///< group of metadata and value, marked as VARIANT, unshredded
};

enum pq_parquet_profile {
    PQ_PROFILE_COMPATIBLE,  ///< PLAIN and RLE_DICTIONARY: every reader
    PQ_PROFILE_COMPACT,     ///< also deltas for integers and texts, split bytes for reals, runs of
                            ///< booleans: DuckDB, arrow, parquet-java 1.13, not old Spark or Trino
};

struct pq_parquet_pair {
    struct pq_text key;
    struct pq_text value;
};

/// Zero is a default everywhere but `type`.
struct pq_parquet_writer_options {
    const struct pq_type *type;      // OBJECT, borrowed until destroy; field ids are written
    const struct pq_codec *codec;    // NULL: not compressed. Parquet has zstd, snappy, gzip, lz4,
                                     // brotli; for reach use zstd or snappy
    int level;                       // of the codec; 0 is its own default; zstd compresses
                                     // dictionaries at 3 or more
    uint32_t row_group_rows;         // at most; 0 is 1048576
    size_t row_group_bytes;          // of encoded pages held at most; 0 is 64 MiB
    uint32_t page_rows;              // at most; 0 is 4096, which is also the maximum; compact:
                                     // 20000
    uint32_t page_bytes;             // uncompressed, unless one row has more; 0 is 128 KiB;
                                     // compact: 1 MiB
    uint32_t dictionary_bytes;       // fall back to PLAIN beyond; 0 is 1 MiB
    bool no_dictionary;              // PLAIN everywhere
    bool is_sorted;                  // rows ascend by `sort_field`: the caller's promise, recorded
    uint32_t sort_field;             // member of `type`
    enum pq_parquet_variant_form variant_form;
    enum pq_parquet_profile profile;
    const bool *bloom_fields;  // by member of `type`: a bloom filter per row group; NULL: none.
                               // Members that are lists, objects, variants, booleans have none.
    const struct pq_parquet_pair *pairs;  // key-value metadata, copied
    size_t pair_count;
};

struct pq_parquet_writer;

/// Owns    options are copied but for `type`; `sink.ctx`, `alloc` are borrowed until destroy
/// Errors  PQDB_INVALID: `type` cannot be written (an object without members, too deep);
///         PQDB_UNSUPPORTED: a codec Parquet lacks; PQDB_NO_MEMORY; those of the sink
pqdb_code pq_parquet_writer_create(const struct pq_parquet_writer_options *options,
                                   struct pq_parquet_sink sink, const struct pq_alloc *alloc,
                                   struct pq_parquet_writer **writer, pqdb_error *err);
void pq_parquet_writer_destroy(struct pq_parquet_writer *writer);

/// Add all rows of a batch whose columns have the kinds of `type`; weights are not looked at. The
/// batch need not outlive the call. Dictionary columns keep their codes (remapped, not hashed).
///
/// Cost    amortised no allocation; memory is bounded by row_group_bytes and a page per leaf
/// Errors  PQDB_INVALID: null in a required member, text that is not UTF-8, a decimal beyond its
///         precision; PQDB_LIMIT: a value or row beyond 1 GiB; PQDB_NO_MEMORY; those of the sink.
///         After any of them the file is unusable and every later call fails alike.
pqdb_code pq_parquet_writer_append(struct pq_parquet_writer *writer, const struct pq_batch *batch,
                                   pqdb_error *err);

/// What a leaf holds, for a table's own metadata (Iceberg data_file).
struct pq_parquet_leaf_info {
    int32_t field_id;        // of the member, or of a list's element; 0 when it has none
    struct pq_text path;     // "a.list.element.b"
    uint64_t stored_bytes;   // compressed pages with their headers
    uint64_t value_count;    // with nulls; in lists also one for each empty or null list
    uint64_t null_count;
    uint64_t nan_count;      // FLOAT32, FLOAT64
    bool has_bounds;         // none for all null, in lists, JSON, variants, only NaN
    struct pq_text lower;    // Iceberg single-value encoding; text cut to 16 code points, binary to
    struct pq_text upper;    // 16 bytes, the upper one then raised
    bool has_upper;          // false when nothing short lies above
};

struct pq_parquet_file_info {
    uint64_t row_count;
    uint64_t file_bytes;
    const struct pq_parquet_leaf_info *leaves;  // an annotated variant has one, for the whole group
    size_t leaf_count;
    const int64_t *split_offsets;  // where each row group begins
    size_t split_count;
};

/// Write what is left and the footer. `info` is valid until destroy. Nothing may follow.
pqdb_code pq_parquet_writer_finish(struct pq_parquet_writer *writer,
                                   struct pq_parquet_file_info *info, pqdb_error *err);

/// Bytes given to the sink so far plus encoded pages waiting: to close a file at a target size.
uint64_t pq_parquet_writer_bytes(const struct pq_parquet_writer *writer);

#endif
