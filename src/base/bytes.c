#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/block_cache.h"
#include "base/fail.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "stored integers are little-endian");

void pq_bytes_init(struct pq_bytes *bytes, const struct pq_alloc *alloc) {
    *bytes = (struct pq_bytes){.alloc = alloc};
}

void pq_bytes_deinit(struct pq_bytes *bytes) {
    if (bytes->alloc != NULL) pq_free(bytes->alloc, bytes->data, bytes->capacity, 1);
    *bytes = (struct pq_bytes){.alloc = bytes->alloc};
}

pqdb_code pq_bytes_reserve(struct pq_bytes *bytes, size_t extra, pqdb_error *err) {
    if (extra <= bytes->capacity - bytes->length) return PQDB_OK;
    if (extra > SIZE_MAX / 4 - bytes->length) {
        return pq_fail(err, PQDB_NO_MEMORY, "buffer of more than %zu bytes", SIZE_MAX / 4);
    }
    size_t capacity = bytes->capacity < 64 ? 64 : bytes->capacity * 2;
    if (capacity < bytes->length + extra) capacity = bytes->length + extra;
    // A block cache keeps whole units, so that the next large buffer finds one.
    const size_t unit = PQ_CACHE_UNIT_BYTES;
    if (capacity > unit / 2) capacity = (capacity + unit - 1) / unit * unit;
    void *grown = pq_resize(bytes->alloc, bytes->data, bytes->capacity, capacity, 1);
    if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "buffer of %zu bytes", capacity);
    bytes->data = grown;
    bytes->capacity = capacity;
    return PQDB_OK;
}

pqdb_code pq_bytes_append(struct pq_bytes *bytes, const void *data, size_t length,
                          pqdb_error *err) {
    PQ_TRY(pq_bytes_reserve(bytes, length, err));
    if (length > 0) memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
    return PQDB_OK;
}

pqdb_code pq_bytes_append_text(struct pq_bytes *bytes, struct pq_text text, pqdb_error *err) {
    return pq_bytes_append(bytes, text.data, text.length, err);
}

pqdb_code pq_bytes_append_byte(struct pq_bytes *bytes, uint8_t byte, pqdb_error *err) {
    return pq_bytes_append(bytes, &byte, 1, err);
}

pqdb_code pq_bytes_printf(struct pq_bytes *bytes, pqdb_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) return pq_fail(err, PQDB_INVALID, "text that cannot be formatted");
    PQ_TRY(pq_bytes_reserve(bytes, (size_t)length + 1, err));
    va_start(args, format);
    vsnprintf((char *)bytes->data + bytes->length, (size_t)length + 1, format, args);
    va_end(args);
    bytes->length += (size_t)length;
    return PQDB_OK;
}

pqdb_code pq_bytes_append_varint(struct pq_bytes *bytes, uint64_t value, pqdb_error *err) {
    uint8_t encoded[10];
    size_t length = 0;
    for (; value >= 0x80; value >>= 7) encoded[length++] = (uint8_t)(value | 0x80);
    encoded[length++] = (uint8_t)value;
    return pq_bytes_append(bytes, encoded, length, err);
}

uint64_t pq_cursor_varint(struct pq_cursor *cursor) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const uint8_t *byte = pq_cursor_take(cursor, 1);
        if (byte == NULL) return 0;
        if (shift == 63 && *byte > 1) break;
        value |= (uint64_t)(*byte & 0x7F) << shift;
        if ((*byte & 0x80) == 0) return value;
    }
    cursor->failed = true;
    return 0;
}

uint8_t pq_cursor_u8(struct pq_cursor *cursor) {
    const uint8_t *at = pq_cursor_take(cursor, 1);
    return at == NULL ? 0 : *at;
}

uint32_t pq_cursor_u32(struct pq_cursor *cursor) {
    const uint8_t *at = pq_cursor_take(cursor, 4);
    return at == NULL ? 0 : pq_load_u32(at);
}

uint64_t pq_cursor_u64(struct pq_cursor *cursor) {
    const uint8_t *at = pq_cursor_take(cursor, 8);
    return at == NULL ? 0 : pq_load_u64(at);
}
