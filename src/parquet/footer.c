#include "parquet/footer.h"
#include "parquet/page_header.h"

// A row: FIELD(struct, id, kind, member), LIST with the count's member, or NEST with a table.
// Required ones end in _R.
#define ROW_(s, id, kind, required, list, member, count, of)                              \
    {id, kind, required, list, offsetof(struct s, member), offsetof(struct s, count), of}
#define FIELD(s, id, kind, member) ROW_(s, id, PQ_THRIFT_##kind, false, false, member, has, NULL)
#define FIELD_R(s, id, kind, member) ROW_(s, id, PQ_THRIFT_##kind, true, false, member, has, NULL)
#define NEST(s, id, of, member) ROW_(s, id, PQ_THRIFT_STRUCT, false, false, member, has, &of)
#define NEST_R(s, id, of, member) ROW_(s, id, PQ_THRIFT_STRUCT, true, false, member, has, &of)
#define LIST(s, id, kind, member, count) \
    ROW_(s, id, PQ_THRIFT_##kind, false, true, member, count, NULL)
#define LIST_R(s, id, kind, member, count) \
    ROW_(s, id, PQ_THRIFT_##kind, true, true, member, count, NULL)
#define ITEMS(s, id, of, member, count) \
    ROW_(s, id, PQ_THRIFT_STRUCT, false, true, member, count, &of)
#define ITEMS_R(s, id, of, member, count) \
    ROW_(s, id, PQ_THRIFT_STRUCT, true, true, member, count, &of)

#define TABLE_(linkage, table, name, type, rows) \
    linkage const struct pq_thrift_struct table = {name, sizeof(struct type), rows,     \
                                                   sizeof(rows) / sizeof *(rows)}
#define TABLE(table, name, type, rows) TABLE_(static, table, name, type, rows)
#define PUBLIC_TABLE(table, name, type, rows) TABLE_(, table, name, type, rows)

static const struct pq_thrift_struct empty_table = {"empty struct", sizeof(struct pq_meta_empty),
                                                    NULL, 0};

static const struct pq_thrift_field unit_rows[] = {
    NEST(pq_meta_unit, PQ_UNIT_MILLIS, empty_table, none),
    NEST(pq_meta_unit, PQ_UNIT_MICROS, empty_table, none),
    NEST(pq_meta_unit, PQ_UNIT_NANOS, empty_table, none),
};
TABLE(unit_table, "TimeUnit", pq_meta_unit, unit_rows);

static const struct pq_thrift_field decimal_rows[] = {
    FIELD_R(pq_meta_decimal, 1, I32, scale),
    FIELD_R(pq_meta_decimal, 2, I32, precision),
};
TABLE(decimal_table, "DecimalType", pq_meta_decimal, decimal_rows);

static const struct pq_thrift_field time_rows[] = {
    FIELD_R(pq_meta_time, 1, BOOL, is_utc),
    NEST_R(pq_meta_time, 2, unit_table, unit),
};
TABLE(time_table, "TimeType", pq_meta_time, time_rows);

static const struct pq_thrift_field integer_rows[] = {
    FIELD_R(pq_meta_integer, 1, I8, bit_width),
    FIELD_R(pq_meta_integer, 2, BOOL, is_signed),
};
TABLE(integer_table, "IntType", pq_meta_integer, integer_rows);

static const struct pq_thrift_field variant_rows[] = {FIELD(pq_meta_variant, 1, I8, version)};
TABLE(variant_table, "VariantType", pq_meta_variant, variant_rows);

static const struct pq_thrift_field logical_rows[] = {
    NEST(pq_meta_logical, PQ_LOGICAL_STRING, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_MAP, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_LIST, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_ENUM, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_DECIMAL, decimal_table, decimal),
    NEST(pq_meta_logical, PQ_LOGICAL_DATE, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_TIME, time_table, time),
    NEST(pq_meta_logical, PQ_LOGICAL_TIMESTAMP, time_table, time),
    NEST(pq_meta_logical, PQ_LOGICAL_INTEGER, integer_table, integer),
    NEST(pq_meta_logical, PQ_LOGICAL_UNKNOWN, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_JSON, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_BSON, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_UUID, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_FLOAT16, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_VARIANT, variant_table, variant),
    NEST(pq_meta_logical, PQ_LOGICAL_GEOMETRY, empty_table, none),
    NEST(pq_meta_logical, PQ_LOGICAL_GEOGRAPHY, empty_table, none),
};
TABLE(logical_table, "LogicalType", pq_meta_logical, logical_rows);

static const struct pq_thrift_field element_rows[] = {
    FIELD(pq_meta_element, PQ_ELEMENT_TYPE, I32, type),
    FIELD(pq_meta_element, PQ_ELEMENT_TYPE_LENGTH, I32, type_length),
    FIELD(pq_meta_element, PQ_ELEMENT_REPETITION, I32, repetition),
    FIELD_R(pq_meta_element, PQ_ELEMENT_NAME, TEXT, name),
    FIELD(pq_meta_element, PQ_ELEMENT_CHILD_COUNT, I32, child_count),
    FIELD(pq_meta_element, PQ_ELEMENT_CONVERTED, I32, converted),
    FIELD(pq_meta_element, PQ_ELEMENT_SCALE, I32, scale),
    FIELD(pq_meta_element, PQ_ELEMENT_PRECISION, I32, precision),
    FIELD(pq_meta_element, PQ_ELEMENT_FIELD_ID, I32, field_id),
    NEST(pq_meta_element, PQ_ELEMENT_LOGICAL, logical_table, logical),
};
TABLE(element_table, "SchemaElement", pq_meta_element, element_rows);

static const struct pq_thrift_field statistics_rows[] = {
    FIELD(pq_meta_statistics, PQ_STATISTICS_OLD_MAX, TEXT, old_max),
    FIELD(pq_meta_statistics, PQ_STATISTICS_OLD_MIN, TEXT, old_min),
    FIELD(pq_meta_statistics, PQ_STATISTICS_NULL_COUNT, I64, null_count),
    FIELD(pq_meta_statistics, 4, I64, distinct_count),
    FIELD(pq_meta_statistics, PQ_STATISTICS_MAX, TEXT, max),
    FIELD(pq_meta_statistics, PQ_STATISTICS_MIN, TEXT, min),
    FIELD(pq_meta_statistics, PQ_STATISTICS_MAX_EXACT, BOOL, is_max_exact),
    FIELD(pq_meta_statistics, PQ_STATISTICS_MIN_EXACT, BOOL, is_min_exact),
    FIELD(pq_meta_statistics, PQ_STATISTICS_NAN_COUNT, I64, nan_count),
};
TABLE(statistics_table, "Statistics", pq_meta_statistics, statistics_rows);

static const struct pq_thrift_field pair_rows[] = {
    FIELD_R(pq_meta_pair, 1, TEXT, key),
    FIELD(pq_meta_pair, 2, TEXT, value),
};
TABLE(pair_table, "KeyValue", pq_meta_pair, pair_rows);

static const struct pq_thrift_field encoding_stats_rows[] = {
    FIELD_R(pq_meta_encoding_stats, 1, I32, page_type),
    FIELD_R(pq_meta_encoding_stats, 2, I32, encoding),
    FIELD_R(pq_meta_encoding_stats, 3, I32, count),
};
TABLE(encoding_stats_table, "PageEncodingStats", pq_meta_encoding_stats, encoding_stats_rows);

static const struct pq_thrift_field column_rows[] = {
    FIELD_R(pq_meta_column, 1, I32, type),
    LIST_R(pq_meta_column, 2, I32, encodings, encoding_count),
    LIST_R(pq_meta_column, 3, TEXT, path, path_count),
    FIELD_R(pq_meta_column, 4, I32, codec),
    FIELD_R(pq_meta_column, 5, I64, value_count),
    FIELD_R(pq_meta_column, 6, I64, raw_bytes),
    FIELD_R(pq_meta_column, 7, I64, stored_bytes),
    FIELD_R(pq_meta_column, 9, I64, data_page_offset),
    FIELD(pq_meta_column, PQ_COLUMN_DICTIONARY_OFFSET, I64, dictionary_page_offset),
    NEST(pq_meta_column, PQ_COLUMN_STATISTICS, statistics_table, statistics),
    ITEMS(pq_meta_column, PQ_COLUMN_ENCODING_STATS, encoding_stats_table, encoding_stats,
          encoding_stats_count),
    FIELD(pq_meta_column, PQ_COLUMN_BLOOM_OFFSET, I64, bloom_offset),
    FIELD(pq_meta_column, PQ_COLUMN_BLOOM_BYTES, I32, bloom_bytes),
};
TABLE(column_table, "ColumnMetaData", pq_meta_column, column_rows);

static const struct pq_thrift_field chunk_rows[] = {
    FIELD(pq_meta_chunk, PQ_CHUNK_FILE_PATH, TEXT, file_path),
    FIELD_R(pq_meta_chunk, PQ_CHUNK_FILE_OFFSET, I64, file_offset),
    NEST(pq_meta_chunk, PQ_CHUNK_COLUMN, column_table, column),
    FIELD(pq_meta_chunk, PQ_CHUNK_OFFSET_INDEX, I64, offset_index_offset),
    FIELD(pq_meta_chunk, PQ_CHUNK_OFFSET_INDEX + 1, I32, offset_index_bytes),
    FIELD(pq_meta_chunk, PQ_CHUNK_COLUMN_INDEX, I64, column_index_offset),
    FIELD(pq_meta_chunk, PQ_CHUNK_COLUMN_INDEX + 1, I32, column_index_bytes),
    NEST(pq_meta_chunk, PQ_CHUNK_ENCRYPTION, empty_table, encryption),
    FIELD(pq_meta_chunk, PQ_THRIFT_EXTENSION, TEXT, extension),
};
TABLE(chunk_table, "ColumnChunk", pq_meta_chunk, chunk_rows);

static const struct pq_thrift_field sorting_rows[] = {
    FIELD_R(pq_meta_sorting, 1, I32, column),
    FIELD_R(pq_meta_sorting, 2, BOOL, is_descending),
    FIELD_R(pq_meta_sorting, 3, BOOL, nulls_first),
};
TABLE(sorting_table, "SortingColumn", pq_meta_sorting, sorting_rows);

static const struct pq_thrift_field group_rows[] = {
    ITEMS_R(pq_meta_group, 1, chunk_table, chunks, chunk_count),
    FIELD_R(pq_meta_group, 2, I64, raw_bytes),
    FIELD_R(pq_meta_group, 3, I64, row_count),
    ITEMS(pq_meta_group, 4, sorting_table, sorting, sorting_count),
    FIELD(pq_meta_group, 5, I64, file_offset),
    FIELD(pq_meta_group, 6, I64, stored_bytes),
    FIELD(pq_meta_group, 7, I16, ordinal),
};
TABLE(group_table, "RowGroup", pq_meta_group, group_rows);

static const struct pq_thrift_field order_rows[] = {NEST(pq_meta_order, 1, empty_table, none)};
TABLE(order_table, "ColumnOrder", pq_meta_order, order_rows);

static const struct pq_thrift_field bloom_rows[] = {
    FIELD_R(pq_meta_bloom, 1, I32, bytes),
    NEST_R(pq_meta_bloom, 2, order_table, algorithm),
    NEST_R(pq_meta_bloom, 3, order_table, hash),
    NEST_R(pq_meta_bloom, 4, order_table, compression),
};
PUBLIC_TABLE(pq_meta_bloom_table, "BloomFilterHeader", pq_meta_bloom, bloom_rows);

static const struct pq_thrift_field file_rows[] = {
    FIELD_R(pq_meta_file, 1, I32, version),
    ITEMS_R(pq_meta_file, 2, element_table, elements, element_count),
    FIELD_R(pq_meta_file, 3, I64, row_count),
    ITEMS_R(pq_meta_file, 4, group_table, groups, group_count),
    ITEMS(pq_meta_file, PQ_FILE_PAIRS, pair_table, pairs, pair_count),
    FIELD(pq_meta_file, PQ_FILE_CREATED_BY, TEXT, created_by),
    ITEMS(pq_meta_file, PQ_FILE_ORDERS, order_table, orders, order_count),
    NEST(pq_meta_file, PQ_FILE_ENCRYPTION, empty_table, encryption),
    FIELD(pq_meta_file, PQ_THRIFT_EXTENSION, TEXT, extension),
};
PUBLIC_TABLE(pq_meta_file_table, "FileMetaData", pq_meta_file, file_rows);

static const struct pq_thrift_field data_page_rows[] = {
    FIELD_R(pq_meta_data_page, 1, I32, value_count),
    FIELD_R(pq_meta_data_page, 2, I32, encoding),
    FIELD_R(pq_meta_data_page, 3, I32, def_encoding),
    FIELD_R(pq_meta_data_page, 4, I32, rep_encoding),
};
TABLE(data_page_table, "DataPageHeader", pq_meta_data_page, data_page_rows);

static const struct pq_thrift_field dictionary_page_rows[] = {
    FIELD_R(pq_meta_dictionary_page, 1, I32, value_count),
    FIELD_R(pq_meta_dictionary_page, 2, I32, encoding),
    FIELD(pq_meta_dictionary_page, 3, BOOL, is_sorted),
};
TABLE(dictionary_page_table, "DictionaryPageHeader", pq_meta_dictionary_page,
      dictionary_page_rows);

static const struct pq_thrift_field data_page_v2_rows[] = {
    FIELD_R(pq_meta_data_page_v2, 1, I32, value_count),
    FIELD_R(pq_meta_data_page_v2, 2, I32, null_count),
    FIELD_R(pq_meta_data_page_v2, 3, I32, row_count),
    FIELD_R(pq_meta_data_page_v2, 4, I32, encoding),
    FIELD_R(pq_meta_data_page_v2, 5, I32, def_bytes),
    FIELD_R(pq_meta_data_page_v2, 6, I32, rep_bytes),
    FIELD(pq_meta_data_page_v2, 7, BOOL, is_compressed),
};
TABLE(data_page_v2_table, "DataPageHeaderV2", pq_meta_data_page_v2, data_page_v2_rows);

static const struct pq_thrift_field page_rows[] = {
    FIELD_R(pq_meta_page, 1, I32, type),
    FIELD_R(pq_meta_page, 2, I32, raw_bytes),
    FIELD_R(pq_meta_page, 3, I32, stored_bytes),
    FIELD(pq_meta_page, PQ_PAGE_CRC, I32, crc),
    NEST(pq_meta_page, PQ_PAGE_HAS_DATA, data_page_table, data),
    NEST(pq_meta_page, PQ_PAGE_HAS_DICTIONARY, dictionary_page_table, dictionary),
    NEST(pq_meta_page, PQ_PAGE_HAS_DATA_V2, data_page_v2_table, data_v2),
};
PUBLIC_TABLE(pq_meta_page_table, "PageHeader", pq_meta_page, page_rows);

static const struct pq_thrift_field location_rows[] = {
    FIELD_R(pq_meta_location, 1, I64, offset),
    FIELD_R(pq_meta_location, 2, I32, bytes),
    FIELD_R(pq_meta_location, 3, I64, first_row),
};
TABLE(location_table, "PageLocation", pq_meta_location, location_rows);

static const struct pq_thrift_field offset_index_rows[] = {
    ITEMS_R(pq_meta_offset_index, 1, location_table, locations, location_count),
    FIELD(pq_meta_offset_index, PQ_THRIFT_EXTENSION, TEXT, extension),
};
PUBLIC_TABLE(pq_meta_offset_index_table, "OffsetIndex", pq_meta_offset_index, offset_index_rows);

static const struct pq_thrift_field column_index_rows[] = {
    LIST_R(pq_meta_column_index, 1, BOOL, null_pages, null_page_count),
    LIST_R(pq_meta_column_index, 2, TEXT, mins, min_count),
    LIST_R(pq_meta_column_index, 3, TEXT, maxs, max_count),
    FIELD_R(pq_meta_column_index, 4, I32, order),
    LIST(pq_meta_column_index, PQ_COLUMN_INDEX_NULL_COUNTS, I64, null_counts, null_count_count),
    LIST(pq_meta_column_index, PQ_COLUMN_INDEX_NAN_COUNTS, I64, nan_counts, nan_count_count),
};
PUBLIC_TABLE(pq_meta_column_index_table, "ColumnIndex", pq_meta_column_index, column_index_rows);
