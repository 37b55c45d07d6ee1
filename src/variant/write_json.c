#include <stdio.h>

#include "base/base64.h"
#include "base/check.h"
#include "base/fail.h"
#include "type/decimal.h"
#include "type/timestamp.h"
#include "variant/container_internal.h"

static pqdb_code write_uuid(struct pq_text bytes, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(out, '"', err));
    for (size_t i = 0; i < bytes.length; i++) {
        const unsigned byte = (uint8_t)bytes.data[i];
        const bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        PQ_TRY(pq_bytes_printf(out, err, "%s%02x", dash ? "-" : "", byte));
    }
    return pq_bytes_append_byte(out, '"', err);
}

static pqdb_code write_binary(struct pq_text bytes, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(out, '"', err));
    PQ_TRY(pq_base64_write(out, bytes, err));
    return pq_bytes_append_byte(out, '"', err);
}

static pqdb_code write_time(const struct pq_value *value, struct pq_bytes *out, pqdb_error *err) {
    char text[PQ_TIME_TEXT_MAX];
    if (value->kind == PQ_DATE) {
        pq_date_format(value->as.integer, text);
    } else if (value->kind == PQ_TIME) {
        pq_time_format(value->as.integer, text);
    } else {
        pq_timestamp_format(value->as.integer, text);
    }
    return pq_bytes_printf(out, err, "\"%s\"", text);
}

static pqdb_code write_scalar(const struct pq_variant *variant, struct pq_bytes *out,
                              pqdb_error *err) {
    const struct pq_value value = pq_variant_unwrap(variant);
    switch (value.kind) {
    case PQ_NULL: return pq_bytes_append(out, "null", 4, err);
    case PQ_BOOL:
        return value.as.boolean ? pq_bytes_append(out, "true", 4, err)
                                : pq_bytes_append(out, "false", 5, err);
    case PQ_INT64: return pq_json_write_int(out, value.as.integer, err);
    case PQ_FLOAT32:
    case PQ_FLOAT64: return pq_json_write_real(out, value.as.real, err);
    case PQ_DECIMAL: {
        char digits[PQ_DECIMAL_TEXT_MAX];
        const struct pq_decimal decimal = {.units = value.as.decimal, .scale = value.scale};
        const size_t length = pq_decimal_format(decimal, digits);
        return pq_bytes_append(out, digits, length, err);
    }
    case PQ_TEXT: return pq_json_write_text(out, value.as.text, err);
    case PQ_BINARY:
        if (variant->bytes[0] == (BASIC_PRIMITIVE | PQ_PRIMITIVE_UUID << 2)) {
            return write_uuid(value.as.text, out, err);
        }
        return write_binary(value.as.text, out, err);
    default: return write_time(&value, out, err);
    }
}

static pqdb_code write_value(const struct pq_variant *variant, struct pq_bytes *out,
                             pqdb_error *err) {
    const unsigned basic = variant->bytes[0] & 3;
    if (basic == BASIC_SHORT_TEXT) {
        const struct pq_text text = {(const char *)variant->bytes + 1, variant->bytes[0] >> 2};
        return pq_json_write_text(out, text, err);
    }
    if (basic == BASIC_PRIMITIVE) return write_scalar(variant, out, err);
    const struct pq_opened opened = pq_open_container(variant->bytes);
    const bool is_object = basic == BASIC_OBJECT;
    PQ_TRY(pq_bytes_append_byte(out, is_object ? '{' : '[', err));
    struct pq_variant value = *variant;
    for (uint32_t k = 0; k < opened.count; k++) {
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        if (is_object) {
            const struct pq_text name = pq_variant_name(variant, pq_opened_id(&opened, k));
            PQ_TRY(pq_json_write_text(out, name, err));
            PQ_TRY(pq_bytes_append_byte(out, ':', err));
        }
        value.bytes = opened.values + pq_opened_offset(&opened, k);
        PQ_TRY(write_value(&value, out, err));
    }
    return pq_bytes_append_byte(out, is_object ? '}' : ']', err);
}

pqdb_code pq_variant_write_json(const struct pq_variant *variant, struct pq_bytes *out,
                                pqdb_error *err) {
    // A guess that is right for most values, so that the buffer grows once.
    PQ_TRY(pq_bytes_reserve(out, variant->length * 2, err));
    return write_value(variant, out, err);
}
