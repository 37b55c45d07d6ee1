/// parquedb/parquet.h: any Parquet file, whoever wrote it: what it says of itself, its rows, and
/// whether it is sound. No database is needed.
#ifndef PQDB_PARQUET_H
#define PQDB_PARQUET_H

#include <parquedb/query.h>

PQDB_BEGIN

/// An open file. One thread at a time. Texts in the structs below are valid until it is closed,
/// those of a page during the call that gives it.
typedef struct pqdb_parquet pqdb_parquet;

/// Errors: PQDB_NOT_FOUND, PQDB_IO, PQDB_CORRUPT (err->offset is the place in the file),
/// PQDB_UNSUPPORTED (encrypted).
PQDB_API pqdb_code pqdb_parquet_open(const char *path, pqdb_parquet **file, pqdb_error *err);
PQDB_API void pqdb_parquet_close(pqdb_parquet *file);  ///< NULL is fine; no rows may be open

typedef struct pqdb_parquet_facts {
    const char *created_by;  ///< or ""
    uint64_t file_bytes;
    uint64_t rows;
    size_t groups;     ///< row groups
    size_t fields;     ///< of the schema: groups and leaves, without the root
    size_t columns;    ///< leaves
    size_t pairs;      ///< of key-value metadata
} pqdb_parquet_facts;
PQDB_API void pqdb_parquet_facts_get(const pqdb_parquet *file, pqdb_parquet_facts *facts);

/// A pair of the key-value metadata. Not NUL-terminated; the value may be any bytes.
typedef struct pqdb_parquet_pair {
    const char *key;
    size_t key_length;
    const char *value;
    size_t value_length;
} pqdb_parquet_pair;
PQDB_API void pqdb_parquet_pair_get(const pqdb_parquet *file, size_t index,
                                    pqdb_parquet_pair *pair);

/// A field of the schema tree, depth first.
typedef struct pqdb_parquet_field {
    const char *name;
    unsigned depth;          ///< 0: a member of the rows
    const char *repetition;  ///< "required", "optional" or "repeated"
    const char *physical;    ///< "INT64", "FIXED(16)" …; "" for a group
    const char *annotation;  ///< "DECIMAL(10,2)", "LIST", "UTF8" …, or ""
    int field_id;            ///< 0: none
    int column;              ///< of a leaf, from 0; -1: a group
    const char *read_as;     ///< of a member of the rows: "decimal(10,2)", else ""
    const char *unreadable;  ///< of such a member: why it cannot be read, or ""
} pqdb_parquet_field;
PQDB_API void pqdb_parquet_field_get(const pqdb_parquet *file, size_t index,
                                     pqdb_parquet_field *field);

typedef struct pqdb_parquet_group {
    uint64_t first_row;
    uint64_t rows;
    uint64_t stored_bytes;
    uint64_t raw_bytes;  ///< before compression
    const char *sorted_by;  ///< "a, b descending", or ""
} pqdb_parquet_group;
PQDB_API void pqdb_parquet_group_get(pqdb_parquet *file, size_t group,
                                     pqdb_parquet_group *facts);

/// One column of one row group.
typedef struct pqdb_parquet_chunk {
    const char *path;      ///< "a.list.element"
    const char *codec;     ///< "zstd" …, "none"
    const char *encodings; ///< "RLE_DICTIONARY, PLAIN"
    uint64_t values;       ///< with nulls; in lists also one for each empty or missing list
    int64_t nulls;         ///< -1: unknown
    uint64_t stored_bytes;
    uint64_t raw_bytes;
    uint64_t offset;       ///< in the file
    size_t indexed_pages;  ///< of its page index; 0: there is none
    uint64_t bloom_bytes;  ///< of its bloom filter; 0: there is none
    const char *min, *max; ///< as they print, perhaps cut; NULL: unknown
} pqdb_parquet_chunk;
PQDB_API pqdb_code pqdb_parquet_chunk_get(pqdb_parquet *file, size_t group, size_t column,
                                          pqdb_parquet_chunk *chunk, pqdb_error *err);

typedef struct pqdb_parquet_page {
    const char *kind;      ///< "dictionary", "data", "data v2" or "index"
    const char *encoding;
    uint64_t offset;       ///< in the file
    uint64_t stored_bytes; ///< with its header
    uint64_t raw_bytes;    ///< without
    uint64_t values;       ///< with nulls; of a dictionary: entries
    int64_t rows;          ///< -1: the header does not say
    int64_t nulls;         ///< -1: the header does not say
    bool has_crc;
} pqdb_parquet_page;
typedef void (*pqdb_on_parquet_page)(void *ctx, const pqdb_parquet_page *page);

/// The headers of a chunk's pages, in order. Cost: one read a page.
/// Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED (encrypted, or in another file), PQDB_IO.
PQDB_API pqdb_code pqdb_parquet_pages(pqdb_parquet *file, size_t group, size_t column,
                                      pqdb_on_parquet_page on_page, void *ctx, pqdb_error *err);

/// The rows of the file, in order. Members that cannot be read are left out, and the note says so.
/// Memory: a few thousand rows where the file has a page index, else a row group.
/// Errors: PQDB_UNSUPPORTED when no member can be read.
PQDB_API pqdb_code pqdb_parquet_rows(pqdb_parquet *file, pqdb_rows **rows, pqdb_error *err);

typedef struct pqdb_parquet_problem {
    size_t group;
    const char *column;   ///< member of the rows, or path of a leaf
    int64_t offset;       ///< in the file, or -1
    const char *code;     ///< "CORRUPT", "UNSUPPORTED", "IO" …
    const char *message;
} pqdb_parquet_problem;
typedef void (*pqdb_on_parquet_problem)(void *ctx, const pqdb_parquet_problem *problem);

typedef struct pqdb_parquet_checked {
    uint64_t pages;
    uint64_t pages_with_crc;
    uint64_t values;       ///< decoded
    uint64_t bounds;       ///< chunks whose statistics were compared with their values
    uint64_t unsupported;  ///< columns of row groups that cannot be read here
    uint64_t problems;     ///< given to `on_problem`
} pqdb_parquet_checked;

/// Decode every page, compare checksums, and statistics with the values. A problem ends the column
/// of that row group, not the check. Memory: a column of a row group.
/// Errors: PQDB_NO_MEMORY; problems are none.
PQDB_API pqdb_code pqdb_parquet_check(pqdb_parquet *file, pqdb_on_parquet_problem on_problem,
                                      void *ctx, pqdb_parquet_checked *checked, pqdb_error *err);

PQDB_END

#endif
