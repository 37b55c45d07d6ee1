/// parquet/page_header.h: the structs of parquet.thrift that stand beside pages: their headers, and
/// the indexes of a chunk's pages. `has` bit n says that field n is present.
#ifndef PQ_PARQUET_PAGE_HEADER_H
#define PQ_PARQUET_PAGE_HEADER_H

#include "parquet/format.h"
#include "parquet/thrift_compact.h"

struct pq_meta_data_page {  // DataPageHeader
    uint32_t has;
    int32_t value_count, encoding, def_encoding, rep_encoding;
};

struct pq_meta_dictionary_page {
    uint32_t has;
    int32_t value_count, encoding;
    bool is_sorted;
};

struct pq_meta_data_page_v2 {
    uint32_t has;
    int32_t value_count, null_count, row_count, encoding, def_bytes, rep_bytes;
    bool is_compressed;  // field 7, true when absent
};

struct pq_meta_page {  // PageHeader
    uint32_t has;
    int32_t type, raw_bytes, stored_bytes, crc;
    struct pq_meta_data_page data;
    struct pq_meta_dictionary_page dictionary;
    struct pq_meta_data_page_v2 data_v2;
};

enum { PQ_PAGE_CRC = 4, PQ_PAGE_HAS_DATA = 5, PQ_PAGE_HAS_DICTIONARY = 7, PQ_PAGE_HAS_DATA_V2 = 8 };
#define PQ_PAGE_ALWAYS 0xEu  // fields 1 to 3

struct pq_meta_location {  // PageLocation
    uint32_t has;
    int64_t offset;
    int32_t bytes;
    int64_t first_row;
};

struct pq_meta_offset_index {
    uint32_t has;
    const struct pq_meta_location *locations;
    size_t location_count;
    struct pq_text extension;  // parquet/checks.h
};

struct pq_meta_column_index {
    uint32_t has;
    const bool *null_pages;
    size_t null_page_count;
    const struct pq_text *mins;
    size_t min_count;
    const struct pq_text *maxs;
    size_t max_count;
    int32_t order;
    const int64_t *null_counts;
    size_t null_count_count;
    const int64_t *nan_counts;
    size_t nan_count_count;
};

enum { PQ_COLUMN_INDEX_NULL_COUNTS = 5, PQ_COLUMN_INDEX_NAN_COUNTS = 8 };
#define PQ_COLUMN_INDEX_ALWAYS 0x1Eu

extern const struct pq_thrift_struct pq_meta_page_table, pq_meta_offset_index_table,
    pq_meta_column_index_table;

#endif
