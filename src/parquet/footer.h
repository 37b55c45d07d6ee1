/// parquet/footer.h: the structs of parquet.thrift that we read and write, and their tables.
///
///     file   "PAR1" | pages | column indexes | offset indexes | FileMetaData | u32 length | "PAR1"
///
/// `has` bit n says that field n of the specification is present. Source: parquet.thrift.
#ifndef PQ_PARQUET_FOOTER_H
#define PQ_PARQUET_FOOTER_H

#include "parquet/format.h"
#include "parquet/thrift_compact.h"

struct pq_meta_empty {
    uint32_t has;
};

struct pq_meta_unit {  // bits PQ_UNIT_*
    uint32_t has;
    struct pq_meta_empty none;
};

struct pq_meta_decimal {
    uint32_t has;
    int32_t scale, precision;
};

struct pq_meta_time {
    uint32_t has;
    bool is_utc;
    struct pq_meta_unit unit;
};

struct pq_meta_integer {
    uint32_t has;
    int8_t bit_width;
    bool is_signed;
};

struct pq_meta_variant {
    uint32_t has;
    int8_t version;
};

struct pq_meta_logical {  // bits PQ_LOGICAL_*
    uint32_t has;
    struct pq_meta_empty none;
    struct pq_meta_decimal decimal;
    struct pq_meta_time time;  // TIME and TIMESTAMP
    struct pq_meta_integer integer;
    struct pq_meta_variant variant;
};

struct pq_meta_element {  // SchemaElement
    uint32_t has;
    int32_t type, type_length, repetition;
    struct pq_text name;
    int32_t child_count, converted, scale, precision, field_id;
    struct pq_meta_logical logical;
};

enum {
    PQ_ELEMENT_TYPE = 1,
    PQ_ELEMENT_TYPE_LENGTH = 2,
    PQ_ELEMENT_REPETITION = 3,
    PQ_ELEMENT_NAME = 4,
    PQ_ELEMENT_CHILD_COUNT = 5,
    PQ_ELEMENT_CONVERTED = 6,
    PQ_ELEMENT_SCALE = 7,
    PQ_ELEMENT_PRECISION = 8,
    PQ_ELEMENT_FIELD_ID = 9,
    PQ_ELEMENT_LOGICAL = 10,
};

struct pq_meta_statistics {
    uint32_t has;
    struct pq_text old_max, old_min;
    int64_t null_count, distinct_count;
    struct pq_text max, min;
    bool is_max_exact, is_min_exact;
    int64_t nan_count;
};

enum {
    PQ_STATISTICS_OLD_MAX = 1,
    PQ_STATISTICS_OLD_MIN = 2,
    PQ_STATISTICS_NULL_COUNT = 3,
    PQ_STATISTICS_MAX = 5,
    PQ_STATISTICS_MIN = 6,
    PQ_STATISTICS_MAX_EXACT = 7,
    PQ_STATISTICS_MIN_EXACT = 8,
    PQ_STATISTICS_NAN_COUNT = 9,
};

struct pq_meta_pair {  // KeyValue
    uint32_t has;
    struct pq_text key, value;
};

struct pq_meta_encoding_stats {  // PageEncodingStats
    uint32_t has;
    int32_t page_type, encoding, count;
};

struct pq_meta_column {  // ColumnMetaData
    uint32_t has;
    int32_t type;
    const int32_t *encodings;
    size_t encoding_count;
    const struct pq_text *path;
    size_t path_count;
    int32_t codec;
    int64_t value_count, raw_bytes, stored_bytes;
    int64_t data_page_offset, dictionary_page_offset;
    struct pq_meta_statistics statistics;
    const struct pq_meta_encoding_stats *encoding_stats;
    size_t encoding_stats_count;
    int64_t bloom_offset;
    int32_t bloom_bytes;
};

enum {
    PQ_COLUMN_DICTIONARY_OFFSET = 11,
    PQ_COLUMN_STATISTICS = 12,
    PQ_COLUMN_ENCODING_STATS = 13,
    PQ_COLUMN_BLOOM_OFFSET = 14,
    PQ_COLUMN_BLOOM_BYTES = 15,
};
#define PQ_COLUMN_ALWAYS 0x2FEu  // fields 1 to 7 and 9

struct pq_meta_chunk {  // ColumnChunk
    uint32_t has;
    struct pq_text file_path;
    int64_t file_offset;
    struct pq_meta_column column;
    int64_t offset_index_offset, column_index_offset;
    int32_t offset_index_bytes, column_index_bytes;
    struct pq_meta_empty encryption;
    struct pq_text extension;  // parquet/checks.h
};

enum {
    PQ_CHUNK_FILE_PATH = 1,
    PQ_CHUNK_FILE_OFFSET = 2,
    PQ_CHUNK_COLUMN = 3,
    PQ_CHUNK_OFFSET_INDEX = 4,       // and 5
    PQ_CHUNK_COLUMN_INDEX = 6,       // and 7
    PQ_CHUNK_ENCRYPTION = 8,
};

struct pq_meta_sorting {  // SortingColumn
    uint32_t has;
    int32_t column;
    bool is_descending, nulls_first;
};

struct pq_meta_group {  // RowGroup
    uint32_t has;
    const struct pq_meta_chunk *chunks;
    size_t chunk_count;
    int64_t raw_bytes, row_count;
    const struct pq_meta_sorting *sorting;
    size_t sorting_count;
    int64_t file_offset, stored_bytes;
    int16_t ordinal;
};

struct pq_meta_order {  // ColumnOrder: bit 1 is TypeDefinedOrder
    uint32_t has;
    struct pq_meta_empty none;
};

struct pq_meta_file {  // FileMetaData
    uint32_t has;
    int32_t version;
    const struct pq_meta_element *elements;
    size_t element_count;
    int64_t row_count;
    const struct pq_meta_group *groups;
    size_t group_count;
    const struct pq_meta_pair *pairs;
    size_t pair_count;
    struct pq_text created_by;
    const struct pq_meta_order *orders;
    size_t order_count;
    struct pq_meta_empty encryption;
    struct pq_text extension;  // parquet/checks.h
};

struct pq_meta_bloom {  // BloomFilterHeader
    uint32_t has;
    int32_t bytes;
    struct pq_meta_order algorithm, hash, compression;  // bit 1: BLOCK, XXHASH, UNCOMPRESSED
};

enum { PQ_FILE_PAIRS = 5, PQ_FILE_CREATED_BY = 6, PQ_FILE_ORDERS = 7, PQ_FILE_ENCRYPTION = 8 };
#define PQ_FILE_ALWAYS 0x1Eu  // fields 1 to 4

extern const struct pq_thrift_struct pq_meta_file_table, pq_meta_bloom_table;

#endif
