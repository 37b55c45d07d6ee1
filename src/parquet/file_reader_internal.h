/// parquet/file_reader_internal.h: an open file, shared by file_reader.c (footer, reading),
/// page_index.c (the indexes of pages) and bounds.c.
#ifndef PQ_PARQUET_FILE_READER_INTERNAL_H
#define PQ_PARQUET_FILE_READER_INTERNAL_H

#include <stdatomic.h>

#include "parquet/checks.h"
#include "parquet/page_header.h"
#include "parquet/reader.h"
#include "parquet/schema.h"

/// The page index of one chunk, loaded when it is first asked for.
struct pq_loaded_index {
    struct pq_arena arena;
    struct pq_bytes bytes;  // the stored indexes: texts are views into them
    struct pq_parquet_page *pages;
    size_t count;
    bool has_bounds;
    struct pq_meta_column_index bounds;
    uint32_t *headers;  // checks, the dictionary's first; NULL: none
};

/// The bloom filter of one chunk; an empty bitset when it is none of a known kind.
struct pq_loaded_bloom {
    struct pq_bytes bytes;
    struct pq_text bitset;  // view into bytes
};

/// Immutable but for `indexes` and `blooms`, each of which is set once.
struct pq_parquet_file {
    const struct pq_alloc *alloc;
    struct pq_parquet_source source;
    uint64_t file_bytes;
    struct pq_arena arena;
    struct pq_bytes footer;  // names and statistics are views into it
    struct pq_meta_file meta;
    struct pq_schema schema;
    bool has_checks;            // parquet/checks.h
    const char **unreadable;    // a reason or NULL per member
    uint64_t *group_first_row;  // group_count + 1
    struct pq_parquet_pair *pairs;
    _Atomic(struct pq_loaded_index *) *indexes;  // group * leaf_count + leaf
    _Atomic(struct pq_loaded_bloom *) *blooms;   // the same
};

void pq_loaded_index_destroy(struct pq_loaded_index *index, const struct pq_alloc *alloc);
void pq_loaded_bloom_destroy(struct pq_loaded_bloom *bloom, const struct pq_alloc *alloc);

/// The check at `at` of a chunk (PQ_CHECKS_…): do the bytes match it? True without checks.
bool pq_chunk_matches(const struct pq_parquet_file *file, const struct pq_meta_chunk *chunk,
                      size_t at, struct pq_text bytes);

/// The PLAIN bytes of a value of the leaf's kind, without length; false when it is of another kind,
/// or has no such form.
bool pq_plain_of_value(const struct pq_leaf *leaf, const struct pq_value *value, uint8_t room[8],
                       struct pq_text *plain);

/// Where a chunk begins: dictionary_page_offset 0 is a known writer's bug for "none".
uint64_t pq_chunk_start(const struct pq_meta_column *column);
/// Old writers did not count the dictionary page's header, so a few bytes more are looked at. Pages
/// end where the count of values says.
uint64_t pq_chunk_bytes(const struct pq_parquet_file *file, const struct pq_meta_column *column);
/// Why its pages cannot be read, or NULL.
const char *pq_chunk_unreadable(const struct pq_meta_chunk *chunk);

/// The chunk's metadata; NULL if the footer has none (encrypted).
static inline const struct pq_meta_chunk *pq_file_chunk(const struct pq_parquet_file *file,
                                                        size_t group, size_t leaf) {
    return &file->meta.groups[group].chunks[leaf];
}

#endif
