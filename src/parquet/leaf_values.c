#include "parquet/leaf_values.h"

#include <math.h>

#include "base/check.h"
#include "base/fail.h"
#include "variant/variant.h"

#define BELIEVED_COUNT ((size_t)1 << 20)

enum { uuid_length = 36, unix_epoch_julian_day = 2440588 };

static bool is_bytes(const struct pq_leaf *leaf) {
    return leaf->kind == PQ_TEXT || leaf->kind == PQ_BINARY || leaf->kind == PQ_VARIANT;
}

static pqdb_code no_memory(pqdb_error *err) { return pq_parquet_no_memory(err, "a column"); }

static pqdb_code grow(struct pq_arena *arena, void *array, size_t old_count, size_t new_count,
                      size_t width, pqdb_error *err) {
    void *old;
    memcpy(&old, array, sizeof old);
    void *grown = pq_resize(&arena->alloc, old, old_count, new_count, width);
    if (grown == NULL) return no_memory(err);
    memcpy(array, &grown, sizeof grown);
    return PQDB_OK;
}

static size_t room_for(size_t room, size_t needed, size_t expected) {
    size_t wanted = room * 2;
    if (wanted < expected && expected <= BELIEVED_COUNT) wanted = expected;
    return wanted < needed ? needed : wanted;
}

pqdb_code pq_leaf_values_reserve(struct pq_leaf_values *leaf, size_t extra, size_t expected,
                                 pqdb_error *err) {
    const size_t needed = leaf->count + extra;
    if (needed <= leaf->room && leaf->room > 0) return PQDB_OK;
    const size_t old = leaf->room, room = room_for(old, needed + 1, expected);
    struct pq_arena *arena = leaf->arena;
    if (leaf->is_coded) {
        PQ_TRY(grow(arena, &leaf->codes, old, room, sizeof *leaf->codes, err));
    } else if (is_bytes(leaf->leaf)) {
        PQ_TRY(grow(arena, &leaf->offsets, old == 0 ? 0 : old + 1, room + 1,
                    sizeof *leaf->offsets, err));
        if (old == 0) leaf->offsets[0] = 0;
    } else if (leaf->width > 0) {
        PQ_TRY(grow(arena, &leaf->values, old, room, leaf->width, err));
    }
    if (leaf->leaf->conversion == PQ_CONVERT_JSON) {
        PQ_TRY(grow(arena, &leaf->marks, old, room, 1, err));
    }
    leaf->room = room;
    return PQDB_OK;
}

pqdb_code pq_leaf_values_reserve_levels(struct pq_leaf_values *leaf, size_t extra,
                                        size_t expected, pqdb_error *err) {
    const size_t needed = leaf->level_count + extra;
    if (needed > UINT32_MAX - 1) {
        return pq_fail(err, PQDB_LIMIT, "more than 2^32 values in a column");
    }
    if (needed <= leaf->level_room) return PQDB_OK;
    const size_t room = room_for(leaf->level_room, needed, expected);
    if (leaf->leaf->max_def > 0) {
        PQ_TRY(grow(leaf->arena, &leaf->def, leaf->level_room, room, 1, err));
    }
    if (leaf->leaf->max_rep > 0) {
        PQ_TRY(grow(leaf->arena, &leaf->rep, leaf->level_room, room, 1, err));
    }
    leaf->level_room = room;
    return PQDB_OK;
}

static pqdb_code reserve_data(struct pq_leaf_values *leaf, size_t extra, pqdb_error *err) {
    const size_t needed = leaf->data_length + extra;
    if (needed > UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than 4 GiB in one column; read fewer rows at once");
    }
    if (needed <= leaf->data_room) return PQDB_OK;
    size_t room = leaf->data_room * 2;
    if (room < leaf->data_expected) room = leaf->data_expected;
    if (room < needed) room = needed;
    PQ_TRY(grow(leaf->arena, &leaf->data, leaf->data_room, room, 1, err));
    leaf->data_room = room;
    return PQDB_OK;
}

/// Are the texts from value `first` on well formed? They stand one behind the other, so all of them
/// are checked at once, then that none begins in the middle of a character.
static pqdb_code check_utf8(const struct pq_leaf_values *leaf, size_t first, pqdb_error *err) {
    const uint32_t start = leaf->offsets[first], end = leaf->offsets[leaf->count];
    bool is_sound = end == start || pq_text_is_utf8((struct pq_text){
                                        (const char *)leaf->data + start, end - start});
    for (size_t i = first; i < leaf->count && is_sound; i++) {
        const uint32_t at = leaf->offsets[i];
        is_sound = at == end || (leaf->data[at] & 0xC0) != 0x80;
    }
    return is_sound ? PQDB_OK : pq_fail(err, PQDB_CORRUPT, "a text is not UTF-8");
}

static pqdb_code append_texts(struct pq_leaf_values *leaf, const struct pq_text *texts,
                              size_t count, pqdb_error *err) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += texts[i].length;
    PQ_TRY(reserve_data(leaf, total, err));
    const size_t first = leaf->count;
    uint8_t *at = leaf->data + leaf->data_length;
    for (size_t i = 0; i < count; i++) {
        if (texts[i].length > 0) memcpy(at, texts[i].data, texts[i].length);
        at += texts[i].length;
        leaf->data_length += texts[i].length;
        leaf->offsets[++leaf->count] = (uint32_t)leaf->data_length;
    }
    return leaf->leaf->kind == PQ_TEXT ? check_utf8(leaf, first, err) : PQDB_OK;
}

static pqdb_code append_json(struct pq_leaf_values *leaf, const struct pq_text *texts,
                             size_t count, pqdb_error *err) {
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *root;
        bool own = false;
        leaf->scratch.length = 0;
        PQ_TRY(pq_json_reader_parse(leaf->json, texts[i], PQ_JSON_STRICT, &root, err));
        PQ_TRY(pq_variant_encode_json(leaf->encoder, root, &leaf->scratch, &own, err));
        PQ_TRY(reserve_data(leaf, leaf->scratch.length, err));
        memcpy(leaf->data + leaf->data_length, leaf->scratch.data, leaf->scratch.length);
        leaf->data_length += leaf->scratch.length;
        leaf->marks[leaf->count] = own ? PQ_ROW_OWN_NAMES : PQ_ROW_VALID;
        leaf->offsets[++leaf->count] = (uint32_t)leaf->data_length;
    }
    return PQDB_OK;
}

/// Big-endian two's complement of any length; false beyond 128 bits.
static bool decimal_of(const uint8_t *bytes, size_t length, pq_i128 *value) {
    if (length == 0) {
        *value = 0;
        return true;
    }
    const bool is_negative = (bytes[0] & 0x80) != 0;
    while (length > 16) {  // only sign may stand in front
        if (bytes[0] != (is_negative ? 0xFF : 0x00)) return false;
        bytes++;
        length--;
    }
    if (((bytes[0] & 0x80) != 0) != is_negative && length == 16) return false;
    pq_u128 sum = is_negative ? ~(pq_u128)0 : 0;
    for (size_t i = 0; i < length; i++) sum = sum << 8 | bytes[i];
    *value = (pq_i128)sum;
    return true;
}

static float half_of(uint16_t half) {
    const int exponent = half >> 10 & 31, mantissa = half & 1023;
    const float sign = half >> 15 ? -1.0f : 1.0f;
    if (exponent == 31) return mantissa != 0 ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * ldexpf((float)mantissa, -24);
    return sign * ldexpf((float)(mantissa + 1024), exponent - 25);
}

static int64_t floor_div(int64_t value, int64_t by) {
    const int64_t quotient = value / by;
    return value % by < 0 ? quotient - 1 : quotient;
}

/// 8 bytes of nanoseconds of the day, 4 of the Julian day. Days and sum wrap around, as they do in
/// the writers: Spark's years beyond 200000 come out right only so.
static int64_t int96_of(const uint8_t *bytes) {
    const int64_t nanos = (int64_t)pq_load_u64(bytes);
    const int64_t day = (int64_t)(int32_t)pq_load_u32(bytes + 8) - unix_epoch_julian_day;
    return (int64_t)((uint64_t)day * UINT64_C(86400000000) + (uint64_t)floor_div(nanos, 1000));
}

static void format_uuid(const uint8_t *bytes, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *out++ = '-';
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }
}

/// One value of a fixed stored width into `out`, which has the kind's width. False: out of range.
static bool convert_fixed(const struct pq_leaf *leaf, const uint8_t *stored, void *out) {
    int64_t integer = 0;
    switch (leaf->conversion) {
        case PQ_CONVERT_INT32: integer = (int32_t)pq_load_u32(stored); break;
        case PQ_CONVERT_UINT32: integer = pq_load_u32(stored); break;
        case PQ_CONVERT_MILLIS32: integer = (int64_t)(int32_t)pq_load_u32(stored) * 1000; break;
        case PQ_CONVERT_NANOS: integer = floor_div((int64_t)pq_load_u64(stored), 1000); break;
        case PQ_CONVERT_MILLIS:
            if (__builtin_mul_overflow((int64_t)pq_load_u64(stored), 1000, &integer)) return false;
            break;
        case PQ_CONVERT_INT96: integer = int96_of(stored); break;
        case PQ_CONVERT_FLOAT16: {
            const float real = half_of(pq_load_u16(stored));
            memcpy(out, &real, sizeof real);
            return true;
        }
        case PQ_CONVERT_UINT64:
        case PQ_CONVERT_DECIMAL: {
            pq_i128 decimal = 0;
            if (leaf->conversion == PQ_CONVERT_UINT64) {
                decimal = (pq_i128)pq_load_u64(stored);
            } else if (leaf->physical == PQ_PHYSICAL_INT32) {
                decimal = (int32_t)pq_load_u32(stored);
            } else if (leaf->physical == PQ_PHYSICAL_INT64) {
                decimal = (int64_t)pq_load_u64(stored);
            } else if (!decimal_of(stored, leaf->type_length, &decimal)) {
                return false;
            }
            memcpy(out, &decimal, sizeof decimal);
            return true;
        }
        default: return false;
    }
    memcpy(out, &integer, sizeof integer);
    return true;
}

static pqdb_code out_of_range(pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "a stored value is out of its type's range");
}

/// The same for `count` values; the common conversions are loops of their own.
static bool convert_block(const struct pq_leaf *leaf, const uint8_t *stored, size_t width,
                          size_t count, uint8_t *out) {
    const bool is_decimal = leaf->conversion == PQ_CONVERT_DECIMAL;
    if (leaf->conversion == PQ_CONVERT_INT32) {
        for (size_t i = 0; i < count; i++) {
            pq_store_u64(out + i * 8, (uint64_t)(int64_t)(int32_t)pq_load_u32(stored + i * 4));
        }
    } else if (is_decimal && leaf->physical == PQ_PHYSICAL_INT64) {
        for (size_t i = 0; i < count; i++) {
            const pq_i128 decimal = (int64_t)pq_load_u64(stored + i * 8);
            memcpy(out + i * sizeof decimal, &decimal, sizeof decimal);
        }
    } else if (is_decimal && leaf->physical == PQ_PHYSICAL_INT32) {
        for (size_t i = 0; i < count; i++) {
            const pq_i128 decimal = (int32_t)pq_load_u32(stored + i * 4);
            memcpy(out + i * sizeof decimal, &decimal, sizeof decimal);
        }
    } else {
        const size_t out_width = pq_kind_width(leaf->kind);
        for (size_t i = 0; i < count; i++) {
            if (!convert_fixed(leaf, stored + i * width, out + i * out_width)) return false;
        }
    }
    return true;
}

pqdb_code pq_leaf_convert(const struct pq_leaf *leaf, const struct pq_stored_values *values,
                          uint8_t *out, pqdb_error *err) {
    if (leaf->conversion == PQ_CONVERT_NONE) {
        const size_t bytes = values->count * values->width;
        if (bytes > 0) memcpy(out, values->fixed, bytes);
        return PQDB_OK;
    }
    return convert_block(leaf, values->fixed, values->width, values->count, out)
               ? PQDB_OK
               : out_of_range(err);
}

#define GATHER(type)                                                       \
    {                                                                      \
        const type *from = (const void *)entries;                         \
        type *to = (type *)(void *)leaf->values + leaf->count;             \
        for (size_t i = 0; i < count; i++) to[i] = from[codes[i]];         \
    }

void pq_leaf_values_gather(struct pq_leaf_values *leaf, const uint8_t *entries,
                           const uint32_t *codes, size_t count) {
    switch (leaf->width) {
        case 1: GATHER(uint8_t) break;
        case 4: GATHER(uint32_t) break;
        case 8: GATHER(uint64_t) break;
        default: pq_assert(leaf->width == 16); GATHER(pq_u128) break;
    }
    leaf->count += count;
}

static pqdb_code append_fixed(struct pq_leaf_values *leaf, const struct pq_stored_values *values,
                              pqdb_error *err) {
    pq_assert(leaf->leaf->conversion != PQ_CONVERT_NONE || leaf->width == values->width);
    PQ_TRY(pq_leaf_convert(leaf->leaf, values, leaf->values + leaf->count * leaf->width, err));
    leaf->count += values->count;
    return PQDB_OK;
}

static pqdb_code append_fixed_as_bytes(struct pq_leaf_values *leaf,
                                       const struct pq_stored_values *values, pqdb_error *err) {
    const bool is_uuid = leaf->leaf->conversion == PQ_CONVERT_UUID;
    const size_t length = is_uuid ? uuid_length : values->width;
    if (values->count > UINT32_MAX / length) return out_of_range(err);
    PQ_TRY(reserve_data(leaf, values->count * length, err));
    for (size_t i = 0; i < values->count; i++) {
        const uint8_t *stored = values->fixed + i * values->width;
        uint8_t *out = leaf->data + leaf->data_length;
        if (is_uuid) {
            format_uuid(stored, (char *)out);
        } else {
            memcpy(out, stored, length);
        }
        leaf->data_length += length;
        leaf->offsets[++leaf->count] = (uint32_t)leaf->data_length;
    }
    return PQDB_OK;
}

static pqdb_code append_decimals(struct pq_leaf_values *leaf, const struct pq_text *texts,
                                 size_t count, pqdb_error *err) {
    for (size_t i = 0; i < count; i++) {
        pq_i128 value;
        if (!decimal_of((const uint8_t *)texts[i].data, texts[i].length, &value)) {
            return out_of_range(err);
        }
        memcpy(leaf->values + leaf->count++ * sizeof value, &value, sizeof value);
    }
    return PQDB_OK;
}

pqdb_code pq_leaf_values_append(struct pq_leaf_values *leaf, const struct pq_stored_values *values,
                                pqdb_error *err) {
    if (values->count == 0) return PQDB_OK;
    switch (leaf->leaf->conversion) {
        case PQ_CONVERT_NULL:
            return pq_fail(err, PQDB_CORRUPT, "a column of unknown type has a value");
        case PQ_CONVERT_JSON: return append_json(leaf, values->texts, values->count, err);
        case PQ_CONVERT_UUID:
        case PQ_CONVERT_FIXED: return append_fixed_as_bytes(leaf, values, err);
        default: break;
    }
    if (values->texts == NULL) return append_fixed(leaf, values, err);
    if (leaf->leaf->kind == PQ_DECIMAL) {
        return append_decimals(leaf, values->texts, values->count, err);
    }
    return append_texts(leaf, values->texts, values->count, err);
}

pqdb_code pq_leaf_values_drop_codes(struct pq_leaf_values *leaf, pqdb_error *err) {
    const uint32_t *codes = leaf->codes;
    const size_t count = leaf->count;
    leaf->is_coded = false;
    leaf->count = leaf->room = 0;
    PQ_TRY(pq_leaf_values_reserve(leaf, count, count, err));
    for (size_t i = 0; i < count; i++) {
        const struct pq_text text = leaf->entries != NULL
                                        ? leaf->entries[codes[i]]
                                        : pq_dictionary_text(leaf->dictionary, codes[i]);
        PQ_TRY(reserve_data(leaf, text.length, err));
        if (text.length > 0) memcpy(leaf->data + leaf->data_length, text.data, text.length);
        leaf->data_length += text.length;
        leaf->offsets[++leaf->count] = (uint32_t)leaf->data_length;
    }
    return PQDB_OK;
}

static bool set_scalar(enum pq_kind kind, const uint8_t *bytes, struct pq_value *value) {
    float single;
    switch (kind) {
        case PQ_BOOL: value->as.boolean = bytes[0] != 0; return true;
        case PQ_DATE: value->as.integer = (int32_t)pq_load_u32(bytes); return true;
        case PQ_FLOAT32:
            memcpy(&single, bytes, sizeof single);
            value->as.real = (double)single;
            return !isnan(single);
        case PQ_FLOAT64:
            memcpy(&value->as.real, bytes, sizeof value->as.real);
            return !isnan(value->as.real);
        case PQ_DECIMAL: memcpy(&value->as.decimal, bytes, sizeof value->as.decimal); return true;
        default: value->as.integer = (int64_t)pq_load_u64(bytes); return true;
    }
}

bool pq_stored_value(const struct pq_leaf *leaf, struct pq_text stored, struct pq_value *value) {
    *value = (struct pq_value){.kind = leaf->kind, .scale = leaf->scale};
    const uint8_t *bytes = (const uint8_t *)stored.data;
    if (!leaf->has_order) return false;
    if (leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        if (leaf->kind == PQ_DECIMAL) {
            return decimal_of(bytes, stored.length, &value->as.decimal);
        }
        value->as.text = stored;
        return true;
    }
    const size_t width = leaf->physical == PQ_PHYSICAL_BOOLEAN
                             ? 1
                             : pq_physical_width(leaf->physical, leaf->type_length);
    if (leaf->conversion == PQ_CONVERT_FIXED) {
        value->as.text = stored;
        return stored.length <= width;
    }
    if (stored.length != width) return false;
    if (leaf->conversion == PQ_CONVERT_NONE) return set_scalar(leaf->kind, bytes, value);
    uint8_t room[16];
    return convert_fixed(leaf, bytes, room) && set_scalar(leaf->kind, room, value);
}
