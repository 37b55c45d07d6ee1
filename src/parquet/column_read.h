/// parquet/column_read.h: rows of one column chunk, decoded.
#ifndef PQ_PARQUET_COLUMN_READ_H
#define PQ_PARQUET_COLUMN_READ_H

#include "parquet/leaf_values.h"
#include "parquet/reader.h"

/// A column chunk, as the footer describes it; checked against the file's size.
struct pq_chunk {
    const struct pq_leaf *leaf;
    const struct pq_codec *codec;
    uint64_t offset, bytes;
    uint64_t raw_bytes;    // decompressed, says the footer
    uint64_t value_count;  // levels
    uint64_t row_count;    // of the row group
    const uint64_t *headers;  // check over the headers of its pages; NULL: unknown
};

/// What several reads of one chunk share: its dictionary, decoded once. One thread.
struct pq_chunk_memo {
    struct pq_value_decoder decoder;
    struct pq_bytes remap;      // of uint32_t: entry of the page to code of the dictionary
    struct pq_bytes converted;  // the dictionary's entries of a fixed width, as values
    bool has_converted;
    struct pq_dictionary *dictionary;  // owned reference, or NULL
};
void pq_chunk_memo_init(struct pq_chunk_memo *memo, const struct pq_leaf *leaf,
                        const struct pq_alloc *alloc);
void pq_chunk_memo_deinit(struct pq_chunk_memo *memo);

struct pq_chunk_request {
    uint64_t first_row, row_count;  // within the row group
    const struct pq_parquet_pages *pages;  // NULL: read the whole chunk
    struct pq_hold *hold;                  // may keep a dictionary; NULL: no codes
    struct pq_chunk_memo *memo;            // of this chunk, or NULL: nothing is shared
    struct pq_parquet_counts *counts;      // or NULL
    const struct pq_alloc *alloc;          // for scratch
};

/// Fill `out`, whose leaf, arena, width and JSON tools are set.
/// Errors: as pq_parquet_read.
pqdb_code pq_chunk_read(const struct pq_parquet_source *source, const struct pq_chunk *chunk,
                        const struct pq_chunk_request *request, struct pq_leaf_values *out,
                        pqdb_error *err);

#endif
