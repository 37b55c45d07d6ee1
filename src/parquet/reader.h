/// parquet/reader.h: a Parquet file as row groups and pages, read into batches.
///
/// No byte is trusted: a count is bounded by the bytes that are left before memory is taken, CRCs
/// are checked wherever a page has one. An open file is immutable: any number of threads may read
/// it at once, each with its own arena and encoder. Source: FORMATS 1.
///
/// How foreign types are seen: all integers are INT64 (an unsigned 64-bit one DECIMAL(20,0)); times
/// and timestamps of any unit, INT96 too, are microseconds, rounded down; float16 is FLOAT32; UUID
/// is TEXT; ENUM is TEXT; a map is a LIST of OBJECT key, value; unannotated bytes, BSON, INTERVAL
/// and unknown annotations are BINARY. Legacy lists lose their middle group.
#ifndef PQ_PARQUET_READER_H
#define PQ_PARQUET_READER_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "batch/column.h"
#include "batch/hold.h"
#include "parquet/writer.h"

struct pq_variant_encoder;  // variant/variant.h

/// Fills `out` with `length` bytes of the file from `offset`, or fails. Must be callable from every
/// thread that reads the file.
struct pq_parquet_source {
    pqdb_code (*read)(void *ctx, uint64_t offset, void *out, size_t length, pqdb_error *err);
    void *ctx;
};

struct pq_parquet_open_options {
    bool json_as_variant;  // columns marked as JSON have kind VARIANT instead of TEXT
};

struct pq_parquet_file;

/// Read the footer (two reads, or one when it fits into 64 KiB). `options` may be NULL.
///
/// Owns    `source->ctx` and `alloc` (which must be thread-safe) are borrowed until close
/// Errors  PQDB_CORRUPT with err->offset in the file; PQDB_UNSUPPORTED: encrypted; PQDB_NO_MEMORY;
///         those of the source
pqdb_code pq_parquet_open(const struct pq_parquet_source *source, uint64_t file_bytes,
                          const struct pq_parquet_open_options *options,
                          const struct pq_alloc *alloc, struct pq_parquet_file **file,
                          pqdb_error *err);
void pq_parquet_close(struct pq_parquet_file *file);

/// An OBJECT: names, kinds, field ids (0 where the file has none). Lives as long as the file.
const struct pq_type *pq_parquet_type(const struct pq_parquet_file *file);

/// Why a member of the type cannot be read (decimals beyond 38 digits, an encrypted column …), or
/// NULL. Reading such a member is PQDB_UNSUPPORTED; the others can be read.
const char *pq_parquet_unreadable(const struct pq_parquet_file *file, size_t field);

uint64_t pq_parquet_row_count(const struct pq_parquet_file *file);
size_t pq_parquet_group_count(const struct pq_parquet_file *file);
uint64_t pq_parquet_group_rows(const struct pq_parquet_file *file, size_t group);
uint64_t pq_parquet_group_first_row(const struct pq_parquet_file *file, size_t group);
/// Stored bytes of all pages of a row group.
uint64_t pq_parquet_group_bytes(const struct pq_parquet_file *file, size_t group);
/// And of those of one leaf in it, its dictionary too.
uint64_t pq_parquet_chunk_bytes(const struct pq_parquet_file *file, size_t group, size_t leaf);
/// The row group that holds row `row` of the file; `*row_in_group` may be NULL.
size_t pq_parquet_find_group(const struct pq_parquet_file *file, uint64_t row,
                             uint64_t *row_in_group);

const struct pq_parquet_pair *pq_parquet_pairs(const struct pq_parquet_file *file, size_t *count);
struct pq_text pq_parquet_created_by(const struct pq_parquet_file *file);

/// The leaf of a member that is neither list, object nor annotated variant, else -1.
int pq_parquet_leaf(const struct pq_parquet_file *file, size_t field);

/// Of a member inside objects, or of one itself (`count` 0): members[0] is one of the field's.
int pq_parquet_member_leaf(const struct pq_parquet_file *file, size_t field,
                           const uint32_t *members, size_t count);

/// The leaves of a member: `count` of them from `first` on.
void pq_parquet_leaves(const struct pq_parquet_file *file, size_t field, size_t *first,
                       size_t *count);

/// What is known of the values of a leaf in a row group or page. NaN is not in the bounds, -0 is
/// below +0. A text or binary bound may be cut: it is a bound all the same.
struct pq_parquet_bounds {
    int64_t null_count;  // -1 unknown
    int64_t nan_count;   // -1 unknown
    bool has_min, has_max;
    bool is_min_exact, is_max_exact;
    struct pq_value min, max;  // of the leaf's kind, views into the file's memory
};

/// Of a whole row group. Never fails: what is missing or unusable is unknown.
void pq_parquet_group_bounds(const struct pq_parquet_file *file, size_t group, size_t leaf,
                             struct pq_parquet_bounds *bounds);

enum pq_parquet_order { PQ_PAGES_UNORDERED, PQ_PAGES_ASCENDING, PQ_PAGES_DESCENDING };

struct pq_parquet_page {
    uint64_t first_row;  // in the row group
    uint64_t row_count;
    uint64_t offset;  // in the file
    uint32_t bytes;   // stored, with its header
};

/// The page index of a leaf in a row group.
struct pq_parquet_pages {
    size_t count;  // 0: the file has no offset index here
    const struct pq_parquet_page *pages;
    bool has_bounds;  // there is a column index as well
    enum pq_parquet_order order;
    const uint32_t *headers;  // checks of page headers, the dictionary's first; NULL: none
};

/// Load (at the first call) and give the page index; it lives as long as the file.
/// Errors: PQDB_CORRUPT, PQDB_NO_MEMORY, those of the source.
pqdb_code pq_parquet_pages(const struct pq_parquet_file *file, size_t group, size_t leaf,
                           struct pq_parquet_pages *pages, pqdb_error *err);
/// Of one page of it (has_bounds). An all-null page has null_count = its rows and no bounds.
void pq_parquet_page_bounds(const struct pq_parquet_file *file, size_t group, size_t leaf,
                            size_t page, struct pq_parquet_bounds *bounds);

/// Can the value stand in this leaf of the row group, as far as its bloom filter knows? Loaded at
/// the first call. True where there is no filter, none that is known, or a value of another kind.
/// Errors: those of the source; PQDB_NO_MEMORY.
pqdb_code pq_parquet_may_hold(const struct pq_parquet_file *file, size_t group, size_t leaf,
                              const struct pq_value *value, bool *may_hold, pqdb_error *err);

/// The distinct values of a leaf in a row group, where all its pages are coded: a look into its
/// dictionary. `*holds` is true where that is not so, or the value is of another kind.
/// Cost    the dictionary page is read into `arena` by the first call
/// Errors  as pq_parquet_read
struct pq_parquet_dictionary {
    const struct pq_parquet_file *file;
    size_t group, leaf;
    struct pq_arena *arena;
    bool is_read;  // the rest is its own
    bool is_whole;
    struct pq_text plain;  // the entries
    uint32_t count;
};
pqdb_code pq_parquet_dictionary_holds(struct pq_parquet_dictionary *dictionary,
                                      const struct pq_value *value, bool *holds,
                                      pqdb_error *err);

/// What reads of one row group share: dictionaries, decoded once. One thread at a time; it must
/// not outlive the file.
struct pq_parquet_memo;
pqdb_code pq_parquet_memo_create(const struct pq_parquet_file *file, size_t group,
                                 struct pq_parquet_memo **memo, pqdb_error *err);
void pq_parquet_memo_destroy(struct pq_parquet_memo *memo);  // NULL is fine

/// What was read: added up.
struct pq_parquet_counts {
    uint64_t pages, bytes;  // of data; as stored
};

/// What to read. Rows are counted from the row group's first; row_count UINT64_MAX is "to its end".
struct pq_parquet_request {
    const uint32_t *fields;  // members of pq_parquet_type, in the order wanted
    size_t field_count;
    size_t group;
    uint64_t first_row;
    uint64_t row_count;
    struct pq_variant_encoder *encoder;        // needed when a VARIANT is read: values come in its
    const struct pq_variant_names *names;      // names, which are these
    struct pq_hold *hold;  // whose arena is given; NULL: every TEXT column as PQ_BYTES
    struct pq_parquet_memo *memo;      // of the group, or NULL
    struct pq_parquet_counts *counts;  // or NULL
};

/// Read rows of one row group into a batch whose type is an OBJECT of the wanted fields.
///
/// Shape   rows in file order. TEXT comes as PQ_DICTIONARY where all its pages are coded, the
///         dictionary fits pq_dictionary and the range is worth it, else as PQ_BYTES
/// Owns    the batch is in `arena`; dictionaries are kept by `request->hold`
/// Cost    with an offset index only the pages of the range are read, else the whole column chunk
/// Errors  PQDB_CORRUPT with err->offset and the column; PQDB_UNSUPPORTED; PQDB_LIMIT: more than
///         4 GiB in a column; PQDB_INVALID: a JSON value that is none; PQDB_NO_MEMORY; the source's
pqdb_code pq_parquet_read(const struct pq_parquet_file *file,
                          const struct pq_parquet_request *request, struct pq_arena *arena,
                          struct pq_batch *batch, pqdb_error *err);

#endif
