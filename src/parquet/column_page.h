/// parquet/column_page.h: a page of a column once its rows are there: levels, values, bounds.
#ifndef PQ_PARQUET_COLUMN_PAGE_H
#define PQ_PARQUET_COLUMN_PAGE_H

#include "parquet/column_write.h"

/// Codes of the page at hand.
static inline const uint32_t *pq_column_page_codes(const struct pq_column_writer *column) {
    return (const uint32_t *)(const void *)column->page_codes.data + column->start.values;
}

/// Encode, compress and keep the page at hand (`start`, `page`): its bytes in `pages`, what the
/// indexes say in `entries`, its values for the bloom filter. The buffers stay as they are.
/// Errors: PQDB_LIMIT (a page of 1 GiB), PQDB_NO_MEMORY.
pqdb_code pq_column_page_write(struct pq_column_writer *column, pqdb_error *err);

/// Append `count` PLAIN values in the compact profile's encoding of the column.
pqdb_code pq_column_append_compact(struct pq_column_writer *column, const uint8_t *plain,
                                   size_t count, struct pq_bytes *out, int32_t *encoding,
                                   pqdb_error *err);

/// How long `raw` is once the codec had it. Errors: PQDB_NO_MEMORY.
pqdb_code pq_column_stored_bytes(struct pq_column_writer *column, struct pq_text raw,
                                 size_t *bytes, pqdb_error *err);

/// The chunk's filter, out of the dictionary and of the values of pages without codes.
pqdb_code pq_column_make_bloom(struct pq_column_writer *column, pqdb_error *err);

#endif
