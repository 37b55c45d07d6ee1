#include "base/base64.h"

#include "base/fail.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pqdb_code pq_base64_write(struct pq_bytes *out, struct pq_text bytes, pqdb_error *err) {
    PQ_TRY(pq_bytes_reserve(out, bytes.length / 3 * 4 + 4, err));
    const uint8_t *in = (const uint8_t *)bytes.data;
    uint8_t *to = out->data + out->length;
    for (size_t i = 0; i < bytes.length; i += 3) {
        const size_t left = bytes.length - i;
        const uint32_t b = left > 1 ? in[i + 1] : 0u, c = left > 2 ? in[i + 2] : 0u;
        const uint32_t word = (uint32_t)in[i] << 16 | b << 8 | c;
        *to++ = (uint8_t)digits[word >> 18];
        *to++ = (uint8_t)digits[word >> 12 & 63];
        *to++ = left > 1 ? (uint8_t)digits[word >> 6 & 63] : '=';
        *to++ = left > 2 ? (uint8_t)digits[word & 63] : '=';
    }
    out->length = (size_t)(to - out->data);
    return PQDB_OK;
}

static int digit_of(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

pqdb_code pq_base64_read(struct pq_bytes *out, struct pq_text text, pqdb_error *err) {
    size_t length = text.length;
    for (int i = 0; i < 2 && length > 0 && text.length % 4 == 0; i++) {
        length -= text.data[length - 1] == '=';
    }
    if (length % 4 == 1) return pq_fail(err, PQDB_INVALID, "base64 text of %zu digits", length);
    PQ_TRY(pq_bytes_reserve(out, length / 4 * 3 + 2, err));
    uint8_t *to = out->data + out->length;
    uint32_t word = 0;
    for (size_t i = 0; i < length; i++) {
        const int digit = digit_of(text.data[i]);
        if (digit < 0) {
            return pq_fail(err, PQDB_INVALID, "character %zu is no base64 digit", i + 1);
        }
        word = word << 6 | (uint32_t)digit;
        if (i % 4 == 0) continue;
        *to++ = (uint8_t)(word >> (6 - 2 * (i % 4)));
    }
    out->length = (size_t)(to - out->data);
    return PQDB_OK;
}
