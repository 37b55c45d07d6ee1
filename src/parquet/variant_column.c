#include "parquet/variant_column.h"

#include "base/bytes.h"

size_t pq_variant_metadata_bytes(struct pq_text bytes) {
    struct pq_cursor cursor = pq_cursor_of(bytes.data, bytes.length);
    const uint8_t header = pq_cursor_u8(&cursor);
    const size_t width = (size_t)(header >> 6) + 1;
    uint32_t count = 0, end = 0;
    const uint8_t *at = pq_cursor_take(&cursor, width);
    if (at == NULL || (header & 15) != 1) return 0;
    memcpy(&count, at, width);
    if ((size_t)count > pq_cursor_left(&cursor) / width) return 0;
    pq_cursor_take(&cursor, count * width);
    at = pq_cursor_take(&cursor, width);  // the last offset: where the names end
    if (at == NULL) return 0;
    memcpy(&end, at, width);
    pq_cursor_take(&cursor, end);
    return cursor.failed ? 0 : bytes.length - pq_cursor_left(&cursor);
}
