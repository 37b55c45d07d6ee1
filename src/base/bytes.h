/// base/bytes.h: a growable byte buffer, little-endian loads and stores, bounded reading.
#ifndef PQ_BASE_BYTES_H
#define PQ_BASE_BYTES_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

struct pq_bytes {
    uint8_t *data;  // owned, `capacity` long
    size_t length;
    size_t capacity;
    const struct pq_alloc *alloc;  // borrowed, outlives the buffer
};

void pq_bytes_init(struct pq_bytes *bytes, const struct pq_alloc *alloc);
void pq_bytes_deinit(struct pq_bytes *bytes);

/// Room for `extra` more bytes at data + length; the length stays. Errors: PQDB_NO_MEMORY.
pqdb_code pq_bytes_reserve(struct pq_bytes *bytes, size_t extra, pqdb_error *err);
pqdb_code pq_bytes_append(struct pq_bytes *bytes, const void *data, size_t length,
                          pqdb_error *err);
pqdb_code pq_bytes_append_text(struct pq_bytes *bytes, struct pq_text text, pqdb_error *err);
pqdb_code pq_bytes_append_byte(struct pq_bytes *bytes, uint8_t byte, pqdb_error *err);
__attribute__((format(printf, 3, 4))) pqdb_code pq_bytes_printf(struct pq_bytes *bytes,
                                                                pqdb_error *err,
                                                                const char *format, ...);

/// LEB128, at most 10 bytes.
pqdb_code pq_bytes_append_varint(struct pq_bytes *bytes, uint64_t value, pqdb_error *err);

static inline struct pq_text pq_bytes_text(const struct pq_bytes *bytes) {
    return (struct pq_text){(const char *)bytes->data, bytes->length};
}

static inline uint16_t pq_load_u16(const void *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline uint32_t pq_load_u32(const void *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline uint64_t pq_load_u64(const void *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}
static inline void pq_store_u16(void *at, uint16_t value) { memcpy(at, &value, sizeof value); }
static inline void pq_store_u32(void *at, uint32_t value) { memcpy(at, &value, sizeof value); }
static inline void pq_store_u64(void *at, uint64_t value) { memcpy(at, &value, sizeof value); }

static inline uint64_t pq_zigzag(int64_t value) {
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}
static inline int64_t pq_unzigzag(uint64_t value) {
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/// A cursor over bytes nobody has vouched for: every take is bounded, failure is sticky.
struct pq_cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;  // something was taken past the end, or a varint was too long
};

static inline struct pq_cursor pq_cursor_of(const void *data, size_t length) {
    return (struct pq_cursor){data, (const uint8_t *)data + length, false};
}
static inline size_t pq_cursor_left(const struct pq_cursor *cursor) {
    return (size_t)(cursor->end - cursor->at);
}

/// The next `length` bytes, or NULL (and failed) when fewer are left.
static inline const uint8_t *pq_cursor_take(struct pq_cursor *cursor, size_t length) {
    if (cursor->failed || length > pq_cursor_left(cursor)) {
        cursor->failed = true;
        return NULL;
    }
    const uint8_t *taken = cursor->at;
    cursor->at += length;
    return taken;
}

/// Zero once failed.
uint64_t pq_cursor_varint(struct pq_cursor *cursor);
uint8_t pq_cursor_u8(struct pq_cursor *cursor);
uint32_t pq_cursor_u32(struct pq_cursor *cursor);
uint64_t pq_cursor_u64(struct pq_cursor *cursor);

#endif
