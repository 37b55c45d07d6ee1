/// parquet/file_writer_internal.h: the writer's state, shared by file_writer.c (rows in) and
/// file_writer_footer.c (row groups, indexes, footer and file info out).
#ifndef PQ_PARQUET_FILE_WRITER_INTERNAL_H
#define PQ_PARQUET_FILE_WRITER_INTERNAL_H

#include "parquet/checks.h"
#include "parquet/column_write.h"
#include "parquet/writer.h"

/// A finished row group: what the footer and the indexes need of it. All in the writer's arena.
struct pq_written_group {
    struct pq_meta_chunk *chunks;          // a leaf each
    struct pq_page_entry **entries;        // a leaf each
    size_t *entry_counts;
    uint32_t *dictionary_checks;           // a leaf each: of the page's header, 0: none
    uint8_t **checks;                      // a leaf each: the chunk's, PQ_CHECKS_CHUNK_BYTES
    int64_t row_count, raw_bytes, stored_bytes, file_offset;
};

/// Sums and bounds of a leaf over all row groups.
struct pq_leaf_total {
    uint64_t stored_bytes, value_count, null_count, nan_count;
    bool has_bounds, has_max;  // a max stays missing once it was
    struct pq_text min, max;
};

/// Metadata of the names that a variant column uses at present.
struct pq_shared_names {
    bool is_set;
    const struct pq_variant_names *names;  // counted; NULL: none
    uint32_t count;
    struct pq_bytes metadata;
};

struct pq_parquet_writer {
    const struct pq_alloc *alloc;  // borrowed
    struct pq_parquet_sink sink;
    struct pq_parquet_writer_options options;
    struct pq_arena arena;  // dies with the writer
    struct pq_schema schema;
    const struct pq_meta_pair *pairs;
    struct pq_column_writer *columns;  // a leaf each
    size_t column_count;
    struct pq_shared_names *shared;  // a leaf each; annotated metadata only
    struct pq_leaf_total *totals;    // a leaf each
    struct pq_bytes page;            // scratch
    uint64_t position;               // bytes given to the sink
    uint64_t group_rows;             // in the row group being filled
    uint64_t row_count;              // in finished ones
    struct pq_written_group *groups;  // owned
    size_t group_count, group_capacity;
    bool is_finished;
    pqdb_code failed;
    pqdb_error error;
};

pqdb_code pq_parquet_emit(struct pq_parquet_writer *writer, struct pq_text bytes,
                          pqdb_error *err);

/// Write the row group being filled, if it has rows.
pqdb_code pq_parquet_end_group(struct pq_parquet_writer *writer, pqdb_error *err);
/// Write column indexes, offset indexes and the footer.
pqdb_code pq_parquet_write_footer(struct pq_parquet_writer *writer, pqdb_error *err);
pqdb_code pq_parquet_fill_info(struct pq_parquet_writer *writer,
                               struct pq_parquet_file_info *info, pqdb_error *err);

#endif
