#include "parquet/statistics.h"

#include <math.h>

#include "base/check.h"

static struct pq_text view(const void *data, size_t length) {
    return (struct pq_text){data, length};
}

static void set_fixed(struct pq_value_bounds *bounds, const void *min, const void *max,
                      size_t width) {
    memcpy(bounds->room[0], min, width);
    memcpy(bounds->room[1], max, width);
    bounds->min = view(bounds->room[0], width);
    bounds->max = view(bounds->room[1], width);
    bounds->has_bounds = true;
}

// The extremes of `count` values at `plain`, into `out`.
#define FIND_INTEGERS(type)                                         \
    do {                                                            \
        type min, max;                                              \
        memcpy(&min, plain, sizeof min);                            \
        max = min;                                                  \
        for (size_t i = 1; i < count; i++) {                        \
            type value;                                             \
            memcpy(&value, plain + i * sizeof value, sizeof value); \
            min = value < min ? value : min;                        \
            max = value > max ? value : max;                        \
        }                                                           \
        set_fixed(out, &min, &max, sizeof min);                     \
    } while (0)

#define FIND_REALS(type)                                            \
    do {                                                            \
        type min = (type)INFINITY, max = -(type)INFINITY;           \
        size_t nans = 0;                                            \
        for (size_t i = 0; i < count; i++) {                        \
            type value;                                             \
            memcpy(&value, plain + i * sizeof value, sizeof value); \
            min = value < min ? value : min;                        \
            max = value > max ? value : max;                        \
            nans += value != value;                                 \
        }                                                           \
        out->nan_count += nans;                                     \
        if (nans == count) return;                                  \
        if (min >= 0 && min <= 0) min = -(type)0.0;                 \
        if (max >= 0 && max <= 0) max = (type)0.0;                  \
        set_fixed(out, &min, &max, sizeof min);                     \
    } while (0)

static void bounds_of_fixed(enum pq_physical physical, const uint8_t *plain, size_t count,
                            struct pq_value_bounds *out) {
    switch (physical) {
        case PQ_PHYSICAL_BOOLEAN: FIND_INTEGERS(uint8_t); return;
        case PQ_PHYSICAL_INT32: FIND_INTEGERS(int32_t); return;
        case PQ_PHYSICAL_INT64: FIND_INTEGERS(int64_t); return;
        case PQ_PHYSICAL_FLOAT: FIND_REALS(float); return;
        default: FIND_REALS(double); return;
    }
}

/// The first 8 bytes as a number: decides most comparisons without a call.
static uint64_t head_of(const uint8_t *data, size_t length) {
    uint64_t head = 0;
    if (length >= 8) return __builtin_bswap64(pq_load_u64(data));
    for (size_t i = 0; i < length; i++) head |= (uint64_t)data[i] << (56 - 8 * i);
    return head;
}

static void bounds_of_texts(const uint8_t *plain, size_t count, struct pq_value_bounds *out) {
    struct pq_text min = {0}, max = {0};
    uint64_t min_head = 0, max_head = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t length = pq_load_u32(plain);
        const struct pq_text value = view(plain + 4, length);
        const uint64_t head = head_of(plain + 4, length);
        plain += 4 + (size_t)length;
        if (i == 0 || head < min_head || (head == min_head && pq_text_compare(value, min) < 0)) {
            min = value;
            min_head = head;
        }
        if (i == 0 || head > max_head || (head == max_head && pq_text_compare(value, max) > 0)) {
            max = value;
            max_head = head;
        }
    }
    out->min = min;
    out->max = max;
    out->has_bounds = true;
}

void pq_bounds_of_plain(const struct pq_leaf *leaf, const uint8_t *plain, size_t count,
                        struct pq_value_bounds *bounds) {
    *bounds = (struct pq_value_bounds){0};
    if (count == 0 || !leaf->has_order) return;
    if (leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        bounds_of_texts(plain, count, bounds);
    } else if (leaf->physical != PQ_PHYSICAL_FIXED) {
        bounds_of_fixed(leaf->physical, plain, count, bounds);
    } else {
        const size_t width = leaf->type_length;
        bounds->has_bounds = true;
        bounds->min = bounds->max = view(plain, width);
        for (size_t i = 1; i < count; i++) {
            const struct pq_text value = view(plain + i * width, width);
            if (pq_bounds_compare(leaf, value, bounds->min) < 0) bounds->min = value;
            if (pq_bounds_compare(leaf, value, bounds->max) > 0) bounds->max = value;
        }
    }
}

#define COMPARE_AS(type, a, b)                    \
    do {                                          \
        type left, right;                         \
        memcpy(&left, (a).data, sizeof left);     \
        memcpy(&right, (b).data, sizeof right);   \
        return left < right ? -1 : left > right;  \
    } while (0)

int pq_bounds_compare(const struct pq_leaf *leaf, struct pq_text a, struct pq_text b) {
    switch (leaf->physical) {
        case PQ_PHYSICAL_BOOLEAN: COMPARE_AS(uint8_t, a, b);
        case PQ_PHYSICAL_INT32: COMPARE_AS(int32_t, a, b);
        case PQ_PHYSICAL_INT64: COMPARE_AS(int64_t, a, b);
        case PQ_PHYSICAL_FLOAT: COMPARE_AS(float, a, b);
        case PQ_PHYSICAL_DOUBLE: COMPARE_AS(double, a, b);
        case PQ_PHYSICAL_FIXED:
            if (leaf->kind == PQ_DECIMAL) {  // two's complement, so the sign decides first
                const int left = (int8_t)a.data[0] < 0, right = (int8_t)b.data[0] < 0;
                if (left != right) return right - left;
            }
            return pq_text_compare(a, b);
        default: return pq_text_compare(a, b);
    }
}

static bool is_tail(char byte) { return ((uint8_t)byte & 0xC0) == 0x80; }

/// Length of the longest prefix of whole characters within both limits.
static size_t prefix_length(struct pq_text text, size_t bytes_max, size_t characters_max) {
    size_t characters = 0, length = 0;
    while (length < text.length && characters < characters_max) {
        size_t next = length + 1;
        while (next < text.length && is_tail(text.data[next])) next++;
        if (next > bytes_max) break;
        length = next;
        characters++;
    }
    return length;
}

static uint32_t decode_character(const char *at, size_t length) {
    const uint8_t lead = (uint8_t)at[0];
    uint32_t code = length == 1 ? lead : lead & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++) code = code << 6 | ((uint8_t)at[i] & 0x3Fu);
    return code;
}

static size_t encode_character(uint32_t code, char *at) {
    if (code < 0x80) {
        at[0] = (char)code;
        return 1;
    }
    const size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6) at[i] = (char)(0x80 | (code & 0x3F));
    at[0] = (char)((0xF00u >> length & 0xF0) | code);
    return length;
}

/// Raise the last character that can be, dropping those behind it. A raised one may be longer.
static bool raise_text(char *room, size_t *length, size_t bytes_max) {
    while (*length > 0) {
        size_t start = *length - 1;
        while (start > 0 && is_tail(room[start])) start--;
        uint32_t code = decode_character(room + start, *length - start) + 1;
        if (code == 0xD800) code = 0xE000;
        char encoded[4];
        const size_t bytes = code <= 0x10FFFF ? encode_character(code, encoded) : SIZE_MAX;
        if (bytes <= bytes_max - start) {
            memcpy(room + start, encoded, bytes);
            *length = start + bytes;
            return true;
        }
        *length = start;
    }
    return false;
}

static bool raise_bytes(char *room, size_t *length) {
    while (*length > 0) {
        if ((uint8_t)room[*length - 1] != 0xFF) {
            room[*length - 1]++;
            return true;
        }
        (*length)--;
    }
    return false;
}

bool pq_bound_cut(const struct pq_bound_limit *limit, struct pq_text bound, char *room,
                  struct pq_text *cut, bool *is_exact) {
    const size_t max = limit->bytes_max;
    size_t length = limit->is_text ? prefix_length(bound, max, limit->characters_max)
                                   : (bound.length < max ? bound.length : max);
    *is_exact = length == bound.length;
    if (length > 0) memcpy(room, bound.data, length);
    if (!*is_exact && limit->is_upper &&
        !(limit->is_text ? raise_text(room, &length, max) : raise_bytes(room, &length))) {
        return false;
    }
    *cut = (struct pq_text){room, length};
    return true;
}
