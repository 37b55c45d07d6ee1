/// table/data_file.h: one Parquet file of a table, sorted by `$id`, opened when first needed.
///
/// Invariant: immutable, so any number of threads read it. The page index of `$id` is the id index:
/// a look-up reads one page. Pages that look-ups and reads of few rows decode stay in a cache.
#ifndef PQ_TABLE_DATA_FILE_H
#define PQ_TABLE_DATA_FILE_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "batch/column.h"
#include "store/store.h"

enum {
    PQ_PAGES_OWN_BYTES = 8 << 20,
    PQ_IDS_ROWS_MIN = 4096,  // smaller files have no filter of ids: they are few pages
};

struct pq_data_file;
struct pq_page_cache;
struct pq_parquet_file;
struct pq_variant_encoder;

/// `path` is copied; `type` is the table's (outlives the file). The file itself is not touched yet.
struct pq_data_file_options {
    struct pq_store *store;
    struct pq_text path;   // in the store
    uint64_t bytes;        // its size
    uint64_t rows;
    const struct pq_type *type;
    struct pq_page_cache *pages;  // outlives the file; NULL: one of its own, PQ_PAGES_OWN_BYTES
    bool read_only;               // nothing is written beside it either
    const struct pq_alloc *alloc;
};
pqdb_code pq_data_file_create(const struct pq_data_file_options *options,
                              struct pq_data_file **file, pqdb_error *err);
void pq_data_file_ref(struct pq_data_file *file);
void pq_data_file_unref(struct pq_data_file *file);  // NULL is fine

struct pq_text pq_data_file_path(const struct pq_data_file *file);
uint64_t pq_data_file_bytes(const struct pq_data_file *file);
uint64_t pq_data_file_rows(const struct pq_data_file *file);
const struct pq_type *pq_data_file_type(const struct pq_data_file *file);  // as given

/// The row with this id, or -1. Errors: PQDB_IO, PQDB_CORRUPT (subject: the path), PQDB_NO_MEMORY.
pqdb_code pq_data_file_find(struct pq_data_file *file, struct pq_text id, int64_t *row,
                            pqdb_error *err);

/// May the file hold an id? `hash` is its pq_hash. False is certain; about one in a hundred ids
/// that are not there passes. Errors: PQDB_IO, PQDB_CORRUPT (subject: the path), PQDB_NO_MEMORY.
pqdb_code pq_data_file_may_have(struct pq_data_file *file, struct pq_text id, uint64_t hash,
                                bool *may, pqdb_error *err);

/// The rows that may hold one of these ids: the one that does is among them, if any does, and
/// another hardly ever.
/// Shape   `take` gets an id's place among the ids, and the row; `*known` false: the file has no
///         marks of its ids, and nothing of what was taken counts
/// Cost    3 bytes a row of each page that may hold one are read, once; nothing is decoded
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the path), PQDB_NO_MEMORY
struct pq_file_marked {
    const struct pq_hashed_id *ids;  // ascending
    size_t count;
    void (*take)(void *ctx, size_t index, uint32_t row);
    void *ctx;
};
struct pq_hashed_id {
    struct pq_text id;
    uint64_t hash;   // its pq_hash
    uint32_t index;  // the caller's
};
pqdb_code pq_data_file_marked(struct pq_data_file *file, const struct pq_file_marked *asked,
                              bool *known, pqdb_error *err);

/// Rows [first, first + count) in the table's own type. `columns` (NULL: all) says which are
/// wanted; the others come as columns of nulls. Columns the file lacks are nulls too.
///
/// Shape   at most `count` rows, fewer at the end of a row group: `batch->count` tells
/// Owns    everything is in `arena`
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the path), PQDB_NO_MEMORY
struct pq_file_read {
    const bool *columns;
    uint64_t first, count;
    struct pq_variant_encoder *encoder;    // of the reader's own thread
    const struct pq_variant_names *names;  // the encoder's
};
pqdb_code pq_data_file_read(struct pq_data_file *file, const struct pq_file_read *read,
                            struct pq_arena *arena, struct pq_batch *batch, pqdb_error *err);

/// Rows by their position, in the same form, through the cache of pages.
/// Cost    a page not in the cache is read and decoded whole, once
struct pq_file_fetch {
    const bool *columns;   // as above
    const uint32_t *rows;  // ascending; they may repeat
    size_t count;          // at least 1
    const struct pq_variant_names *names;  // of the table
};
pqdb_code pq_data_file_fetch(struct pq_data_file *file, const struct pq_file_fetch *fetch,
                             struct pq_arena *arena, struct pq_batch *batch, pqdb_error *err);

/// Rows that hold one of the texts in a column, TEXT or LIST of TEXT, by the sorted run beside the
/// file (table/link_file.h). It is written when it is missing, unless the file is read only.
struct pq_file_linked {
    uint32_t column;
    const struct pq_text *targets;
    size_t count;
    pqdb_code (*take)(void *ctx, uint32_t row, pqdb_error *err);  // a row may come more than once
    void *ctx;
};
/// Shape   `*known` false: there is no run, nothing was taken
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the path), PQDB_NO_MEMORY, those of `take`
pqdb_code pq_data_file_linked(struct pq_data_file *file, const struct pq_file_linked *asked,
                              bool *known, pqdb_error *err);

/// Write the filter that pq_data_file_may_have asks (and marks, if rows shall be found by them), or
/// that run if it is missing: with a new file, before anybody looks. Names become durable with the
/// directory. `pace` may be NULL. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
struct pq_pace;
pqdb_code pq_data_file_write_ids(struct pq_data_file *file, bool with_marks,
                                 struct pq_pace *pace, pqdb_error *err);
pqdb_code pq_data_file_write_links(struct pq_data_file *file, uint32_t column,
                                   struct pq_pace *pace, pqdb_error *err);

/// Remove a data file and what is beside it. `type` is its table's.
void pq_data_file_bury(struct pq_pace *pace, struct pq_text path, const struct pq_type *type);

/// The open reader, for statistics. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_data_file_reader(struct pq_data_file *file, const struct pq_parquet_file **reader,
                              pqdb_error *err);

#endif
