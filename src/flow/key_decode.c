/// flow/key_decode.c: from canonical key bytes (expr/compare.h) back to values.
///
/// The result depends on the key alone, so it does not matter which of several equal values (1,
/// 1.0, 1.00) came first. As a variant an integer is int64 where it fits, then a decimal; any other
/// number a double where that is exact, else a decimal.
#include <math.h>

#include "base/json.h"
#include "expr/compare.h"
#include "expr/print.h"
#include "flow/window.h"
#include "type/decimal.h"
#include "type/timestamp.h"
#include "variant/variant.h"

enum {
    TAG_FALSE = 0x01,
    TAG_TRUE = 0x02,
    TAG_NUMBER = 0x03,
    TAG_TIME = 0x04,
    TAG_TEXT = 0x05,
    TAG_BINARY = 0x06,
    TAG_LIST = 0x07,
    TAG_OBJECT = 0x08,
    TAG_NULL = 0x7F,
};

static pqdb_code damaged(pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "a stored key is damaged");
}

/// 0.d1d2… * 100^e as units / 10^scale, with the smallest scale.
static bool take_decimal(struct pq_cursor *key, bool negative, struct pq_decimal *decimal) {
    const uint8_t turn = negative ? 0xFF : 0;
    int power = (pq_cursor_u8(key) ^ turn) - 0x80;
    pq_u128 units = 0;
    unsigned count = 0;
    while (true) {
        const uint8_t digit = pq_cursor_u8(key) ^ turn;
        if (key->failed || digit > 100 || count > 20) return false;
        if (digit == 0) break;
        if (units > pq_decimal_power(38)) return false;
        units = units * 100 + digit - 1;
        count++;
    }
    power = 2 * (power - (int)count);  // units * 10^power
    for (; power < 0 && units % 10 == 0 && units > 0; power++) units /= 10;
    if (power < -PQ_DECIMAL_DIGITS_MAX || power > PQ_DECIMAL_DIGITS_MAX) return false;
    const pq_u128 factor = power > 0 ? pq_decimal_power((unsigned)power) : 1;
    if (units > pq_decimal_power(38) / factor) return false;
    units *= factor;
    *decimal = (struct pq_decimal){negative ? -(pq_i128)units : (pq_i128)units,
                                   power < 0 ? (uint8_t)-power : 0};
    return pq_decimal_fits(decimal->units, PQ_DECIMAL_DIGITS_MAX);
}

/// A number: a double that is it, or its decimal.
struct number {
    bool is_real;
    double real;
    struct pq_decimal decimal;
};

static bool take_number(struct pq_cursor *key, struct number *number) {
    uint64_t image = __builtin_bswap64(pq_cursor_u64(key));
    image = image >> 63 != 0 ? image ^ UINT64_C(1) << 63 : ~image;
    memcpy(&number->real, &image, sizeof image);
    const uint8_t more = pq_cursor_u8(key);
    number->is_real = more == 0;
    if (key->failed || more > 1) return false;
    return number->is_real || take_decimal(key, number->real < 0, &number->decimal);
}

/// The number with this scale, if it has no more digits.
static bool number_units(const struct number *number, uint8_t scale, pq_i128 *units) {
    if (!number->is_real) {
        struct pq_decimal scaled;
        if (!pq_decimal_rescale(number->decimal, scale, PQ_ROUND_DOWN, &scaled)) return false;
        *units = scaled.units;
        return pq_decimal_compare(scaled, number->decimal) == 0;
    }
    if (!pq_decimal_from_real(number->real, scale, units)) return false;
    const struct pq_value as_real = {.kind = PQ_FLOAT64, .as.real = number->real};
    const struct pq_value as_decimal = {.kind = PQ_DECIMAL, .scale = scale, .as.decimal = *units};
    return pq_number_compare(&as_real, &as_decimal) == 0;
}

static struct pq_value variant_number(const struct number *number) {
    pq_i128 units;
    if (number_units(number, 0, &units)) {
        if (units == (int64_t)units) {
            return (struct pq_value){.kind = PQ_INT64, .as.integer = (int64_t)units};
        }
        return (struct pq_value){.kind = PQ_DECIMAL, .as.decimal = units};
    }
    if (number->is_real) return (struct pq_value){.kind = PQ_FLOAT64, .as.real = number->real};
    return (struct pq_value){.kind = PQ_DECIMAL,
                             .scale = number->decimal.scale,
                             .as.decimal = number->decimal.units};
}

static pqdb_code number_of(struct pq_cursor *key, const struct pq_type *type,
                           struct pq_value *value, pqdb_error *err) {
    struct number number;
    pq_i128 units;
    if (!take_number(key, &number)) return damaged(err);
    switch (type->kind) {
        case PQ_INT64:
            if (!number_units(&number, 0, &units) || units != (int64_t)units) return damaged(err);
            *value = (struct pq_value){.kind = PQ_INT64, .as.integer = (int64_t)units};
            return PQDB_OK;
        case PQ_DECIMAL:
            if (!number_units(&number, type->scale, &units)) return damaged(err);
            *value = (struct pq_value){
                .kind = PQ_DECIMAL, .scale = type->scale, .as.decimal = units};
            return PQDB_OK;
        case PQ_FLOAT32:
        case PQ_FLOAT64:
            if (!number.is_real) return damaged(err);
            *value = (struct pq_value){.kind = type->kind, .as.real = number.real};
            return PQDB_OK;
        case PQ_VARIANT: *value = variant_number(&number); return PQDB_OK;
        default: return damaged(err);
    }
}

static pqdb_code instant(struct pq_cursor *key, const struct pq_type *type,
                         struct pq_value *value, pqdb_error *err) {
    const uint8_t form = pq_cursor_u8(key);
    const int8_t high = (int8_t)(pq_cursor_u8(key) ^ 0x80);
    const uint64_t low = __builtin_bswap64(pq_cursor_u64(key));
    if (key->failed || form > 1) return damaged(err);
    pq_i128 us = (pq_i128)high * ((pq_i128)1 << 64) + low;
    enum pq_kind kind = type->kind;
    if (kind == PQ_VARIANT) kind = form == 1 ? PQ_TIME : PQ_TIMESTAMP;
    if ((kind == PQ_TIME) != (form == 1)) return damaged(err);
    if (kind == PQ_DATE) us /= PQ_US_PER_DAY;  // a midnight: nothing is left over
    *value = (struct pq_value){.kind = kind, .as.integer = (int64_t)us};
    return PQDB_OK;
}

/// Bytes up to 00 00, each 00 FF standing for 00: in place, or in `scratch` where there is one.
static pqdb_code take_text(struct pq_cursor *key, struct pq_bytes *scratch, struct pq_text *text,
                           pqdb_error *err) {
    const uint8_t *start = key->at;
    scratch->length = 0;
    while (true) {
        const uint8_t *zero = memchr(key->at, 0, pq_cursor_left(key));
        if (zero == NULL || zero + 1 == key->end) return damaged(err);
        const bool last = zero[1] == 0;
        if (last && scratch->length == 0) {
            *text = (struct pq_text){(const char *)start, (size_t)(zero - start)};
            key->at = zero + 2;
            return PQDB_OK;
        }
        PQ_TRY(pq_bytes_append(scratch, key->at, (size_t)(zero - key->at) + !last, err));
        key->at = zero + 2;
        if (last) {
            *text = pq_bytes_text(scratch);
            return PQDB_OK;
        }
    }
}

/// A scalar of the type (VARIANT: of its own kind). Text may lie in `scratch`.
static pqdb_code scalar(struct pq_cursor *key, const struct pq_type *type, struct pq_value *value,
                        struct pq_bytes *scratch, pqdb_error *err) {
    *value = (struct pq_value){.kind = PQ_NULL};
    const uint8_t tag = pq_cursor_u8(key);
    switch (tag) {
        case TAG_NULL: return key->failed ? damaged(err) : PQDB_OK;
        case TAG_FALSE:
        case TAG_TRUE:
            *value = (struct pq_value){.kind = PQ_BOOL, .as.boolean = tag == TAG_TRUE};
            return PQDB_OK;
        case TAG_NUMBER: return number_of(key, type, value, err);
        case TAG_TIME: return instant(key, type, value, err);
        case TAG_TEXT:
        case TAG_BINARY:
            value->kind = tag == TAG_TEXT ? PQ_TEXT : PQ_BINARY;
            return take_text(key, scratch, &value->as.text, err);
        default: return damaged(err);
    }
}

static pqdb_code write_json(struct pq_cursor *key, struct pq_bytes *out, struct pq_bytes *scratch,
                            pqdb_error *err);

static pqdb_code write_members(struct pq_cursor *key, struct pq_bytes *out,
                               struct pq_bytes *scratch, pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    for (bool first = true;; first = false) {
        if (pq_cursor_left(key) >= 3 && memcmp(key->at, "\0\0\0", 3) == 0) break;
        struct pq_text name;
        PQ_TRY(take_text(key, scratch, &name, err));
        if (!first) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(write_json(key, out, scratch, err));
    }
    pq_cursor_take(key, 3);
    return pq_bytes_append_byte(out, '}', err);
}

static pqdb_code write_json(struct pq_cursor *key, struct pq_bytes *out, struct pq_bytes *scratch,
                            pqdb_error *err) {
    if (pq_cursor_left(key) == 0) return damaged(err);
    if (*key->at == TAG_OBJECT) {
        key->at++;
        return write_members(key, out, scratch, err);
    }
    if (*key->at != TAG_LIST) {
        struct pq_value value;
        PQ_TRY(scalar(key, &pq_type_variant, &value, scratch, err));
        return pq_print_json(out, &value, err);
    }
    key->at++;
    PQ_TRY(pq_bytes_append_byte(out, '[', err));
    for (bool first = true; pq_cursor_left(key) > 0 && *key->at != 0; first = false) {
        if (!first) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(write_json(key, out, scratch, err));
    }
    pq_cursor_take(key, 1);
    return key->failed ? damaged(err) : pq_bytes_append_byte(out, ']', err);
}

/// A variant: scalars as they are, lists and objects by way of their JSON.
static pqdb_code build_variant(struct pq_cursor *key, struct emit *out, struct pq_builder *builder,
                               pqdb_error *err) {
    struct pq_bytes scratch, bytes;
    pq_bytes_init(&scratch, &out->arena->alloc);
    pq_bytes_init(&bytes, &out->arena->alloc);
    if (pq_cursor_left(key) > 0 && *key->at == TAG_NULL) {
        key->at++;
        return pq_builder_append_null(builder, err);
    }
    struct pq_variant_encoder *encoder;
    PQ_TRY(emit_encoder(out, builder->names, &encoder, err));
    bool own = false;
    if (pq_cursor_left(key) > 0 && (*key->at == TAG_LIST || *key->at == TAG_OBJECT)) {
        struct pq_bytes json;
        pq_bytes_init(&json, &out->arena->alloc);
        PQ_TRY(write_json(key, &json, &scratch, err));
        struct pq_json_document *document;
        PQ_TRY(pq_json_parse(pq_bytes_text(&json), PQ_JSON_STRICT, &out->arena->alloc, &document,
                             err));
        PQ_TRY(pq_variant_encode_json(encoder, pq_json_root(document), &bytes, &own, err));
    } else {
        struct pq_value value;
        PQ_TRY(scalar(key, &pq_type_variant, &value, &scratch, err));
        PQ_TRY(pq_variant_encode_any(encoder, &value, &bytes, &own, err));
    }
    return own ? pq_builder_append_own_names(builder, bytes.data, bytes.length, err)
               : pq_builder_append_bytes(builder, bytes.data, bytes.length, err);
}

/// Move the cursor behind one value.
static pqdb_code skip(struct pq_cursor *key, struct pq_bytes *scratch, pqdb_error *err) {
    struct pq_bytes unused;
    pq_bytes_init(&unused, scratch->alloc);
    return write_json(key, &unused, scratch, err);
}

static pqdb_code build(struct pq_cursor *key, struct emit *out, struct pq_builder *builder,
                       pqdb_error *err);

/// Members lie in name order without their nulls: look each declared one up.
static pqdb_code build_object(struct pq_cursor *key, struct emit *out, struct pq_builder *builder,
                              pqdb_error *err) {
    struct pq_bytes scratch;
    pq_bytes_init(&scratch, &out->arena->alloc);
    struct pq_cursor end = *key;
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        struct pq_cursor at = *key;
        bool found = false;
        while (!found && !(pq_cursor_left(&at) >= 3 && memcmp(at.at, "\0\0\0", 3) == 0)) {
            struct pq_text name;
            PQ_TRY(take_text(&at, &scratch, &name, err));
            found = pq_text_equal(name, builder->type->fields[k].name);
            if (!found) PQ_TRY(skip(&at, &scratch, err));
        }
        PQ_TRY(found ? build(&at, out, &builder->children[k], err)
                     : pq_builder_append_null(&builder->children[k], err));
    }
    while (!(pq_cursor_left(&end) >= 3 && memcmp(end.at, "\0\0\0", 3) == 0)) {
        struct pq_text name;
        PQ_TRY(take_text(&end, &scratch, &name, err));
        PQ_TRY(skip(&end, &scratch, err));
    }
    key->at = end.at + 3;
    return pq_builder_end_object(builder, err);
}

static pqdb_code build(struct pq_cursor *key, struct emit *out, struct pq_builder *builder,
                       pqdb_error *err) {
    const enum pq_kind kind = builder->type->kind;
    if (kind == PQ_VARIANT) return build_variant(key, out, builder, err);
    if (pq_cursor_left(key) == 0) return damaged(err);
    if (kind == PQ_LIST && *key->at == TAG_LIST) {
        key->at++;
        while (pq_cursor_left(key) > 0 && *key->at != 0) {
            PQ_TRY(build(key, out, &builder->children[0], err));
        }
        pq_cursor_take(key, 1);
        return key->failed ? damaged(err) : pq_builder_end_list(builder, err);
    }
    if (kind == PQ_OBJECT && *key->at == TAG_OBJECT) {
        key->at++;
        return build_object(key, out, builder, err);
    }
    struct pq_bytes scratch;
    pq_bytes_init(&scratch, &out->arena->alloc);
    struct pq_value value;
    PQ_TRY(scalar(key, builder->type, &value, &scratch, err));
    if (value.kind != PQ_NULL && value.kind != kind) return damaged(err);
    return pq_builder_append_value(builder, &value, err);
}

pqdb_code key_build(struct pq_cursor *key, struct emit *out, struct pq_builder *builder,
                    pqdb_error *err) {
    return build(key, out, builder, err);
}

bool key_real(struct pq_cursor *key, double *real) {
    struct number number;
    if (pq_cursor_u8(key) != TAG_NUMBER || !take_number(key, &number)) return false;
    *real = number.is_real ? number.real : pq_decimal_to_real(number.decimal);
    return !isnan(*real);
}

bool key_word(struct pq_cursor *key, const struct pq_type *type, uint64_t *word) {
    struct pq_bytes none;
    struct pq_value value;
    pq_bytes_init(&none, &pq_alloc_libc);  // word kinds need no room
    if (scalar(key, type, &value, &none, NULL) != PQDB_OK || value.kind != type->kind) return false;
    switch (value.kind) {
        case PQ_BOOL: *word = value.as.boolean; break;
        case PQ_FLOAT32:
        case PQ_FLOAT64: *word = word_of_real(value.as.real); break;
        case PQ_DECIMAL: *word = (uint64_t)value.as.decimal ^ UINT64_C(1) << 63; break;
        default: *word = (uint64_t)value.as.integer ^ UINT64_C(1) << 63; break;
    }
    return true;
}

pqdb_code key_emit(struct pq_cursor *key, struct emit *out, pqdb_error *err) {
    if (out->width == 0) return build(key, out, &out->builder, err);
    struct pq_bytes scratch;
    pq_bytes_init(&scratch, &out->arena->alloc);
    struct pq_value value;
    PQ_TRY(scalar(key, out->type, &value, &scratch, err));
    if (value.kind != PQ_NULL && value.kind != out->type->kind) return damaged(err);
    return emit_value(out, &value, err);
}
