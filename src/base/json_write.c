/// JSON text from values. Numbers follow ECMAScript's Number::toString, which is the shortest text
/// that reads back the same double; only -0 keeps its sign, because it would not read back without.
#include <stdio.h>

#include "base/fail.h"
#include "base/json_internal.h"

/// What follows the backslash, 'u' for \u00XX, 0 for bytes that stand for themselves.
static char escape_of(uint8_t c) {
    static const char below_space[] = "uuuuuuuubtnufruuuuuuuuuuuuuuuuuu";
    if (c < 0x20) return below_space[c];
    return c == '"' || c == '\\' ? (char)c : '\0';
}

/// Is some byte of the eight below 0x20, a quote or a backslash? (The top bit of a byte is set in
/// the sum where the byte minus the bound borrows and the byte itself is ASCII.)
static bool has_special(uint64_t word) {
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    const uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
    const uint64_t low = (word - ones * 0x20) & ~word;
    return ((low | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops) != 0;
}

/// Copy a text of 1 to 7 bytes if all of them stand for themselves.
static bool copy_short(const char *at, size_t length, uint8_t *to) {
    const uint64_t spaces = UINT64_C(0x2020202020202020);  // stand for themselves
    if (length >= 4) {
        const uint32_t head = pq_load_u32(at), tail = pq_load_u32(at + length - 4);
        if (has_special(head | (uint64_t)tail << 32)) return false;
        pq_store_u32(to, head);
        pq_store_u32(to + length - 4, tail);
        return true;
    }
    const uint8_t first = (uint8_t)at[0], middle = (uint8_t)at[length / 2];
    const uint8_t last = (uint8_t)at[length - 1];
    const uint64_t word = first | (uint64_t)middle << 8 | (uint64_t)last << 16;
    if (has_special(word | spaces << 24)) return false;
    to[0] = first;
    to[length / 2] = middle;
    to[length - 1] = last;
    return true;
}

/// Copy bytes that stand for themselves, up to the first one that does not; how many they were.
/// There is room for `left`.
static size_t copy_plain(const char *at, size_t left, uint8_t *to) {
    size_t length = 0;
    if (left > 0 && left < 8 && copy_short(at, left, to)) return left;
    for (; left - length >= 8; length += 8) {
        const uint64_t word = pq_load_u64(at + length);
        if (has_special(word)) break;
        pq_store_u64(to + length, word);
    }
    if (length > 0 && left - length < 8) {  // the rest as the last word, a part of it once more
        const uint64_t word = pq_load_u64(at + left - 8);
        if (!has_special(word)) {
            pq_store_u64(to + left - 8, word);
            return left;
        }
    }
    for (; length < left && escape_of((uint8_t)at[length]) == '\0'; length++) {
        to[length] = (uint8_t)at[length];
    }
    return length;
}

static size_t write_escape(uint8_t c, uint8_t *to) {
    const char escape = escape_of(c);
    to[0] = '\\';
    to[1] = (uint8_t)escape;
    if (escape != 'u') return 2;
    memcpy(to + 2, "00", 2);
    to[4] = (uint8_t)('0' + (c >> 4));
    to[5] = (uint8_t) "0123456789abcdef"[c & 15];
    return 6;
}

pqdb_code pq_json_write_text(struct pq_bytes *out, struct pq_text text, pqdb_error *err) {
    enum { escaped_bytes_max = 6 };
    PQ_TRY(pq_bytes_reserve(out, text.length + 2, err));
    out->data[out->length++] = '"';
    for (size_t i = 0;;) {
        const size_t plain =
            copy_plain(text.data + i, text.length - i, out->data + out->length);
        out->length += plain;
        i += plain;
        if (i == text.length) break;
        PQ_TRY(pq_bytes_reserve(out, text.length - i + escaped_bytes_max + 1, err));
        out->length += write_escape((uint8_t)text.data[i++], out->data + out->length);
    }
    out->data[out->length++] = '"';
    return PQDB_OK;
}

/// The significant digits of a finite number, and where its point is: 0.digits × 10^point.
struct shortest {
    char digits[32];
    int count;
    int point;
    bool negative;
};

static struct shortest shortest_of(const char *text) {
    struct shortest result = {.negative = *text == '-'};
    bool past_point = false;
    int exponent = 0;
    for (const char *c = text + result.negative; *c != '\0'; c++) {
        if (*c == '.') {
            past_point = true;
        } else if (*c == 'e') {
            const int sign = c[1] == '-' ? -1 : 1;
            for (c += c[1] == '-' || c[1] == '+' ? 2 : 1; *c != '\0'; c++) {
                exponent = exponent * 10 + (*c - '0');
            }
            exponent *= sign;
            break;
        } else if (*c == '0' && result.count == 0) {
            result.point -= past_point;  // leading zeros say only where the point is
        } else {
            if (result.count < (int)sizeof result.digits) result.digits[result.count++] = *c;
            result.point += !past_point;
        }
    }
    result.point += exponent;
    while (result.count > 0 && result.digits[result.count - 1] == '0') result.count--;
    return result;
}

static size_t put_zeros(char *out, int count) {
    for (int i = 0; i < count; i++) out[i] = '0';
    return count > 0 ? (size_t)count : 0;
}

static size_t put_digits(char *out, const struct shortest *number, int from, int to) {
    for (int i = from; i < to; i++) out[i - from] = number->digits[i];
    return (size_t)(to - from);
}

/// At most 26 bytes: sign, 17 digits, point, and "e-324" or the zeros before or after the digits.
static size_t format_shortest(const struct shortest *number, char *out) {
    const int count = number->count, point = number->point;
    size_t used = 0;
    if (number->negative) out[used++] = '-';
    if (count == 0) {
        out[used++] = '0';
    } else if (point > 21 || point < -5) {
        out[used++] = number->digits[0];
        if (count > 1) out[used++] = '.';
        used += put_digits(out + used, number, 1, count);
        used += (size_t)snprintf(out + used, 8, "e%+d", point - 1);
    } else if (point <= 0) {
        out[used++] = '0';
        out[used++] = '.';
        used += put_zeros(out + used, -point);
        used += put_digits(out + used, number, 0, count);
    } else {
        const int whole = count < point ? count : point;
        used += put_digits(out + used, number, 0, whole);
        used += put_zeros(out + used, point - whole);
        if (count > whole) out[used++] = '.';
        used += put_digits(out + used, number, whole, count);
    }
    return used;
}

pqdb_code pq_json_write_real(struct pq_bytes *out, double value, pqdb_error *err) {
    if (!__builtin_isfinite(value)) return pq_bytes_append(out, "null", 4, err);
    char text[PQ_JSON_REAL_TEXT_MAX], result[64];
    pq_json_real_digits(value, text);
    const struct shortest number = shortest_of(text);
    return pq_bytes_append(out, result, format_shortest(&number, result), err);
}

/// A number kept as text; JSON5's `+5`, `.5` and `5.` become `5`, `0.5` and `5`.
static pqdb_code write_number(struct pq_bytes *out, struct pq_text text, pqdb_error *err) {
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.data[i];
        const bool digit_before = i > 0 && text.data[i - 1] >= '0' && text.data[i - 1] <= '9';
        const bool digit_after = i + 1 < text.length && text.data[i + 1] >= '0' &&
                                 text.data[i + 1] <= '9';
        if (c == '+' && i == 0) continue;
        if (c == '.' && !digit_after) continue;
        if (c == '.' && !digit_before) PQ_TRY(pq_bytes_append_byte(out, '0', err));
        PQ_TRY(pq_bytes_append_byte(out, (uint8_t)c, err));
    }
    return PQDB_OK;
}

static pqdb_code write_integer(struct pq_bytes *out, int64_t value, pqdb_error *err) {
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) *--at = '-';
    return pq_bytes_append(out, at, (size_t)(digits + sizeof digits - at), err);
}

static pqdb_code write_scalar(struct pq_bytes *out, const struct pq_json *value, pqdb_error *err) {
    switch (pq_json_kind(value)) {
    case PQ_JSON_BOOL: return pq_bytes_append_text(
        out, pq_json_bool(value) ? PQ_TEXT("true") : PQ_TEXT("false"), err);
    case PQ_JSON_INT: return write_integer(out, pq_json_int(value), err);
    case PQ_JSON_REAL: return pq_json_write_real(out, pq_json_real(value), err);
    case PQ_JSON_NUMBER: return write_number(out, pq_json_text(value), err);
    case PQ_JSON_TEXT: return pq_json_write_text(out, pq_json_text(value), err);
    default: return pq_bytes_append(out, "null", 4, err);
    }
}

/// A container that is being written.
struct level {
    size_t left;  // members still to come; for objects keys and values each count
    bool is_object;
};

static struct level *top(const struct pq_bytes *levels) {
    return (struct level *)(void *)(levels->data + levels->length - sizeof(struct level));
}

/// Close what is complete, then write what separates the next value from the last.
static pqdb_code write_between(struct pq_bytes *out, struct pq_bytes *levels, pqdb_error *err) {
    while (levels->length > 0 && top(levels)->left == 0) {
        PQ_TRY(pq_bytes_append_byte(out, top(levels)->is_object ? '}' : ']', err));
        levels->length -= sizeof(struct level);
    }
    if (levels->length == 0) return PQDB_OK;
    const uint8_t last = out->data[out->length - 1];
    if (last == '[' || last == '{') return PQDB_OK;
    const bool after_key = top(levels)->is_object && top(levels)->left % 2 == 1;
    return pq_bytes_append_byte(out, after_key ? ':' : ',', err);
}

/// Values lie one after the other, containers before their content, so this needs no recursion:
/// a document may be nested as deeply as it is long.
pqdb_code pq_json_write(struct pq_bytes *out, const struct pq_json *value, pqdb_error *err) {
    pqdb_code code = PQDB_OK;
    struct pq_bytes levels;
    pq_bytes_init(&levels, out->alloc);
    do {
        PQ_GO(pq_bytes_reserve(out, 2, err));
        if (levels.length > 0) top(&levels)->left--;
        const enum pq_json_kind kind = pq_json_kind(value);
        if (kind == PQ_JSON_LIST || kind == PQ_JSON_OBJECT) {
            const bool is_object = kind == PQ_JSON_OBJECT;
            const struct level level = {pq_json_count(value) * (is_object ? 2 : 1), is_object};
            PQ_GO(pq_bytes_append_byte(out, is_object ? '{' : '[', err));
            PQ_GO(pq_bytes_append(&levels, &level, sizeof level, err));
            value = pq_json_first(value);
        } else {
            PQ_GO(write_scalar(out, value, err));
            value = pq_json_next(value);
        }
        PQ_GO(write_between(out, &levels, err));
    } while (levels.length > 0);
done:
    pq_bytes_deinit(&levels);
    return code;
}

/// Most numbers of events are small: two digits at a time, from the end.
pqdb_code pq_json_write_int(struct pq_bytes *out, int64_t integer, pqdb_error *err) {
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = integer < 0 ? -(uint64_t)integer : (uint64_t)integer;
    for (; rest >= 100; rest /= 100) memcpy(digits + (at -= 2), pairs + rest % 100 * 2, 2);
    if (rest >= 10) {
        memcpy(digits + (at -= 2), pairs + rest * 2, 2);
    } else {
        digits[--at] = (char)('0' + rest);
    }
    if (integer < 0) digits[--at] = '-';
    return pq_bytes_append(out, digits + at, sizeof digits - at, err);
}
