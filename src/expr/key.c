/// Canonical key bytes: the format is in expr/compare.h and is final, because it is persisted.
#include <math.h>

#include "base/check.h"
#include "base/fail.h"
#include "expr/compare.h"
#include "expr/nested.h"
#include "type/decimal.h"
#include "type/timestamp.h"

enum {
    TAG_FALSE = 1,
    TAG_TRUE = 2,
    TAG_NUMBER = 3,
    TAG_TIME = 4,
    TAG_TEXT = 5,
    TAG_BINARY = 6,
    TAG_LIST = 7,
    TAG_OBJECT = 8,
    TAG_NULL = 0x7F,
};

enum { NUMBER_HEAD = 10, DIGIT_BYTES_MAX = 1 + 20 + 1 };
enum { key_bytes = 16 };  // of most numbers

static void store_big_endian(uint8_t *at, uint64_t value) {
    pq_store_u64(at, __builtin_bswap64(value));
}

/// Bytes whose order is that of the doubles.
static uint64_t ordered_bits(double real) {
    uint64_t bits;
    if (isnan(real)) real = (double)NAN;
    if (real == 0) real = 0;  // -0
    memcpy(&bits, &real, sizeof bits);
    if (isnan(real)) bits = UINT64_C(0x7FF8000000000000);
    return bits >> 63 ? ~bits : bits | UINT64_C(1) << 63;
}

/// exponent, base-100 digits and the closing 00 of a decimal that is not zero; returns the length.
static size_t decimal_digits(struct pq_decimal decimal, uint8_t out[DIGIT_BYTES_MAX]) {
    pq_u128 units = decimal.units < 0 ? -(pq_u128)decimal.units : (pq_u128)decimal.units;
    int exponent_10 = -(int)decimal.scale;
    uint8_t reversed[20];
    size_t count = 0;
    if (exponent_10 % 2 != 0) {  // base-100 digits begin at an even power of ten
        const pq_u128 tens = units > UINT64_MAX ? units / 10 : (uint64_t)units / 10;
        reversed[count++] = (uint8_t)((uint64_t)(units - tens * 10) * 10);
        units = tens;
        exponent_10--;
    }
    for (; units > UINT64_MAX; units /= 100) reversed[count++] = (uint8_t)(units % 100);
    for (uint64_t left = (uint64_t)units; left != 0; left /= 100) {
        reversed[count++] = (uint8_t)(left % 100);
    }
    const int exponent = exponent_10 / 2 + (int)count;
    size_t lowest = 0;
    while (reversed[lowest] == 0) lowest++;

    size_t length = 0;
    out[length++] = (uint8_t)(0x80 + exponent);
    while (count > lowest) out[length++] = (uint8_t)(reversed[--count] + 1);
    out[length++] = 0;
    if (decimal.units < 0) {
        for (size_t i = 0; i < length; i++) out[i] = (uint8_t)~out[i];
    }
    return length;
}

static struct pq_decimal decimal_of(const struct pq_value *number) {
    if (number->kind == PQ_INT64) return (struct pq_decimal){number->as.integer, 0};
    return (struct pq_decimal){number->as.decimal, number->scale};
}

static pqdb_code encode_number(const struct pq_value *number, struct pq_bytes *out,
                               pqdb_error *err) {
    PQ_TRY(pq_bytes_reserve(out, NUMBER_HEAD + DIGIT_BYTES_MAX, err));
    uint8_t *bytes = out->data + out->length;
    size_t length = NUMBER_HEAD;
    double floor;
    bool exact = true;
    const bool small = number->kind == PQ_INT64 && number->as.integer >= -(INT64_C(1) << 53) &&
                       number->as.integer <= INT64_C(1) << 53;
    if (small) {
        floor = (double)number->as.integer;
    } else if (number->kind == PQ_FLOAT64 || number->kind == PQ_FLOAT32) {
        floor = number->as.real;
    } else {
        const struct pq_decimal decimal = decimal_of(number);
        floor = pq_decimal_floor(decimal, &exact);
        if (!exact) length += decimal_digits(decimal, bytes + NUMBER_HEAD);
    }
    bytes[0] = TAG_NUMBER;
    store_big_endian(bytes + 1, ordered_bits(floor));
    bytes[NUMBER_HEAD - 1] = exact ? 0 : 1;
    out->length += length;
    return PQDB_OK;
}

static pqdb_code encode_time(const struct pq_value *time, struct pq_bytes *out, pqdb_error *err) {
    pq_i128 us = time->as.integer;
    if (time->kind == PQ_DATE) us *= PQ_US_PER_DAY;
    uint8_t bytes[11] = {TAG_TIME, time->kind == PQ_TIME ? 1 : 0};
    bytes[2] = (uint8_t)((uint8_t)(us >> 64) ^ 0x80);
    store_big_endian(bytes + 3, (uint64_t)us);
    return pq_bytes_append(out, bytes, sizeof bytes, err);
}

/// The bytes with each 00 as 00 FF, then 00 00.
static pqdb_code encode_escaped(struct pq_text text, struct pq_bytes *out, pqdb_error *err) {
    static const uint8_t zero[2] = {0, 0xFF}, end[2] = {0, 0};
    while (text.length > 0) {
        const char *found = memchr(text.data, 0, text.length);
        const size_t plain = found == NULL ? text.length : (size_t)(found - text.data);
        PQ_TRY(pq_bytes_append(out, text.data, plain, err));
        if (found == NULL) break;
        PQ_TRY(pq_bytes_append(out, zero, sizeof zero, err));
        text = (struct pq_text){found + 1, text.length - plain - 1};
    }
    return pq_bytes_append(out, end, sizeof end, err);
}

static pqdb_code encode_plain(const struct pq_value *value, struct pq_bytes *out, pqdb_error *err);

static pqdb_code encode_list(const struct pq_value *list, struct pq_bytes *out, pqdb_error *err) {
    const size_t count = pq_nested_count(list);
    PQ_TRY(pq_bytes_append_byte(out, TAG_LIST, err));
    for (size_t k = 0; k < count; k++) {
        const struct pq_value element = pq_nested_at(list, k, NULL);
        PQ_TRY(encode_plain(&element, out, err));
    }
    return pq_bytes_append_byte(out, 0, err);
}

static pqdb_code encode_object(const struct pq_value *object, struct pq_bytes *out,
                               pqdb_error *err) {
    static const uint8_t end[3] = {0};
    struct pq_members members = pq_members_of(object);
    struct pq_text name;
    struct pq_value value;
    PQ_TRY(pq_bytes_append_byte(out, TAG_OBJECT, err));
    while (pq_members_next(&members, &name, &value)) {
        PQ_TRY(encode_escaped(name, out, err));
        PQ_TRY(encode_plain(&value, out, err));
    }
    return pq_bytes_append(out, end, sizeof end, err);
}

static pqdb_code encode_plain(const struct pq_value *value, struct pq_bytes *out,
                              pqdb_error *err) {
    switch (value->kind) {
        case PQ_NULL: return pq_bytes_append_byte(out, TAG_NULL, err);
        case PQ_BOOL:
            return pq_bytes_append_byte(out, value->as.boolean ? TAG_TRUE : TAG_FALSE, err);
        case PQ_INT64:
        case PQ_FLOAT32:
        case PQ_FLOAT64:
        case PQ_DECIMAL: return encode_number(value, out, err);
        case PQ_DATE:
        case PQ_TIME:
        case PQ_TIMESTAMP: return encode_time(value, out, err);
        case PQ_TEXT:
        case PQ_BINARY:
            PQ_TRY(pq_bytes_append_byte(out, value->kind == PQ_TEXT ? TAG_TEXT : TAG_BINARY, err));
            return encode_escaped(value->as.text, out, err);
        case PQ_LIST: return encode_list(value, out, err);
        case PQ_OBJECT: return encode_object(value, out, err);
        case PQ_VARIANT:
            return pq_value_is_list(value) ? encode_list(value, out, err)
                                           : encode_object(value, out, err);
    }
    return PQDB_OK;
}

pqdb_code pq_key_encode(const struct pq_value *value, struct pq_bytes *out, pqdb_error *err) {
    if (value->kind != PQ_VARIANT) return encode_plain(value, out, err);
    const struct pq_value plain = pq_value_plain(value);
    return encode_plain(&plain, out, err);
}

pqdb_code pq_keys_encode(const struct pq_column *columns, size_t column_count, size_t row_count,
                         struct pq_arena *arena, struct pq_keys *keys, pqdb_error *err) {
    uint32_t *offsets = pq_arena_alloc(arena, (row_count + 1) * sizeof *offsets);
    if (offsets == NULL) return pq_fail(err, PQDB_NO_MEMORY, "keys of %zu rows", row_count);
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &arena->alloc);
    PQ_TRY(pq_bytes_reserve(&bytes, (row_count * column_count + 2) * key_bytes, err));
    for (size_t row = 0; row < row_count; row++) {
        offsets[row] = (uint32_t)bytes.length;
        for (size_t k = 0; k < column_count; k++) {
            const struct pq_value value = pq_column_value(&columns[k], row);
            PQ_TRY(pq_key_encode(&value, &bytes, err));
        }
        if (bytes.length > UINT32_MAX) {
            return pq_fail(err, PQDB_LIMIT, "the keys of %zu rows pass 4 GiB", row_count);
        }
    }
    offsets[row_count] = (uint32_t)bytes.length;
    *keys = (struct pq_keys){bytes.data, offsets};
    return PQDB_OK;
}
