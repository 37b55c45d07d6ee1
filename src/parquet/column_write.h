/// parquet/column_write.h: one leaf of a file while it is written, page by page.
///
/// Rows go into the page being filled; a full page is encoded, compressed and kept until the row
/// group ends, because the dictionary page, which is complete only then, stands before it. A chunk
/// begins with a dictionary on trial (dictionary_trial.h); a dictionary that outgrows its bound
/// later ends, and the rest of the chunk has none. Values without a dictionary are gathered PLAIN;
/// the compact profile brings them into their encoding when the page ends.
#ifndef PQ_PARQUET_COLUMN_WRITE_H
#define PQ_PARQUET_COLUMN_WRITE_H

#include "parquet/column_dictionary.h"
#include "parquet/page_write.h"
#include "parquet/shred.h"
#include "parquet/statistics.h"

struct pq_page_entry {  // what the indexes say of a page; texts live in the file's arena
    uint64_t offset;    // in the chunk's data pages
    uint32_t bytes;
    uint32_t header_check;
    uint64_t first_row;
    uint64_t null_count, nan_count;
    bool is_null_page;
    bool has_bounds, has_max;
    bool is_min_exact, is_max_exact;
    struct pq_text min, max;
};

struct pq_page_part {    // the rows of a page, and its share of the buffers
    size_t rows, levels, values;
    size_t plain_bytes;  // of its values as PLAIN, also of coded ones
};

struct pq_dictionary_trial {
    bool is_on;
    struct pq_page_part *waiting;  // owned, `waiting_capacity` long: pages not yet encoded
    size_t waiting_count, waiting_capacity;
    double value_share, entry_share;  // stored bytes to PLAIN ones, of values and of entries
};

enum pq_split { PQ_SPLIT_TO_MEASURE, PQ_SPLIT_ALWAYS, PQ_SPLIT_NEVER };

struct pq_column_writer {
    const struct pq_leaf *leaf;                            // borrowed
    const struct pq_parquet_writer_options *options;       // borrowed, no zeros
    struct pq_arena *arena;                                // borrowed; dies with the file
    struct pq_shred_path path;
    bool is_metadata;       // of an annotated variant: always a dictionary
    bool is_variant_value;

    // The block of rows at hand.
    struct pq_levels levels;
    struct pq_value_scratch scratch;
    struct pq_value_block block;
    struct pq_bytes codes;  // of uint32_t; the block's

    // The page being filled or written begins at `start` in the buffers, behind waiting ones.
    struct pq_page_part page, start;
    struct pq_bytes page_def, page_rep, page_plain;
    struct pq_bytes page_codes;  // of uint32_t
    struct pq_bytes raw, wide;   // scratch

    // The chunk so far.
    bool is_coded;  // values go through the dictionary
    bool skip_dictionary;  // the trial failed before
    struct pq_column_dictionary dictionary;
    struct pq_dictionary_trial trial;
    enum pq_split split;  // of reals without dictionary in the compact profile
    struct pq_page_writer writer;
    struct pq_bytes pages;
    struct pq_page_entry *entries;  // owned, `entry_capacity` long
    size_t entry_count, entry_capacity;
    uint64_t row_count, value_count, null_count, nan_count;
    int32_t coded_pages;
    int32_t pages_by_encoding[PQ_ENCODING_BYTE_STREAM_SPLIT + 1];  // data pages
    bool wants_bloom;
    struct pq_bytes hashes;  // of uint64_t: values of pages that are not coded
    struct pq_bytes bloom;   // the chunk's filter, made when it ends
};

/// Errors: PQDB_NO_MEMORY. Whatever comes back, deinit may follow.
pqdb_code pq_column_writer_init(struct pq_column_writer *column, const struct pq_schema *schema,
                                size_t leaf, const struct pq_parquet_writer_options *options,
                                struct pq_arena *arena, pqdb_error *err);
void pq_column_writer_deinit(struct pq_column_writer *column);

/// Add rows. `metadata`: of the names an annotated variant column uses.
pqdb_code pq_column_writer_append(struct pq_column_writer *column, const struct pq_batch *batch,
                                  size_t start, size_t count, struct pq_text metadata,
                                  pqdb_error *err);

/// What the chunk holds in memory.
size_t pq_column_writer_bytes(const struct pq_column_writer *column);

/// Finish the page being filled, make the bloom filter, and put the dictionary page, if any, into
/// `dictionary_page`.
pqdb_code pq_column_writer_end_chunk(struct pq_column_writer *column,
                                     struct pq_bytes *dictionary_page, pqdb_error *err);
/// Forget the chunk and begin the next one.
void pq_column_writer_reset(struct pq_column_writer *column);

#endif
