#include "variant/build.h"

#include <stdlib.h>

#include "base/fail.h"
#include "variant/names_internal.h"

enum { short_text_max = 63, small_count_max = 255 };

pqdb_code pq_variant_append_primitive(struct pq_bytes *out, enum pq_variant_primitive primitive,
                                      const void *bytes, size_t length, pqdb_error *err) {
    PQ_TRY(pq_bytes_reserve(out, length + 1, err));
    out->data[out->length++] = (uint8_t)(BASIC_PRIMITIVE | (unsigned)primitive << 2);
    if (length > 0) memcpy(out->data + out->length, bytes, length);
    out->length += length;
    return PQDB_OK;
}

static pqdb_code append_long(struct pq_bytes *out, enum pq_variant_primitive primitive,
                             struct pq_text text, pqdb_error *err) {
    if (text.length > PQ_VARIANT_BYTES_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a variant of more than %d bytes", PQ_VARIANT_BYTES_MAX);
    }
    const uint32_t length = (uint32_t)text.length;
    PQ_TRY(pq_variant_append_primitive(out, primitive, &length, sizeof length, err));
    return pq_bytes_append_text(out, text, err);
}

pqdb_code pq_variant_append_text(struct pq_bytes *out, struct pq_text text, pqdb_error *err) {
    if (text.length > short_text_max) return append_long(out, PQ_PRIMITIVE_TEXT, text, err);
    PQ_TRY(pq_bytes_append_byte(out, (uint8_t)(BASIC_SHORT_TEXT | text.length << 2), err));
    return pq_bytes_append_text(out, text, err);
}

pqdb_code pq_variant_append_binary(struct pq_bytes *out, struct pq_text bytes, pqdb_error *err) {
    return append_long(out, PQ_PRIMITIVE_BINARY, bytes, err);
}

/// Make room for `extra` bytes in front of the values.
static pqdb_code move_values(struct pq_bytes *out, size_t start, size_t extra, pqdb_error *err) {
    PQ_TRY(pq_bytes_reserve(out, extra, err));
    memmove(out->data + start + extra, out->data + start, out->length - start);
    out->length += extra;
    return PQDB_OK;
}

static pqdb_code check_size(const struct pq_bytes *out, size_t start, size_t count,
                            pqdb_error *err) {
    if (out->length - start <= PQ_VARIANT_BYTES_MAX && count <= PQ_VARIANT_BYTES_MAX) {
        return PQDB_OK;
    }
    return pq_fail(err, PQDB_LIMIT, "a variant of more than %d bytes", PQ_VARIANT_BYTES_MAX);
}

static uint8_t *put_count(uint8_t *at, size_t count) {
    return pq_put_width(at, (uint32_t)count, count > small_count_max ? 4 : 1);
}

static int by_name(const void *a, const void *b) {
    const struct pq_variant_member *left = a, *right = b;
    return pq_text_compare(left->name, right->name);
}

pqdb_code pq_variant_wrap_object(struct pq_bytes *out, size_t start,
                                 struct pq_variant_member *members, size_t count,
                                 pqdb_error *err) {
    PQ_TRY(check_size(out, start, count, err));
    if (count > 1) qsort(members, count, sizeof *members, by_name);
    uint32_t largest = 0;
    for (size_t k = 0; k < count; k++) {
        if (k > 0 && pq_text_equal(members[k - 1].name, members[k].name)) {
            return pq_fail(err, PQDB_INVALID, "the name '%.*s' comes twice in one object",
                           PQ_TEXT_ARG(members[k].name));
        }
        if (members[k].id > largest) largest = members[k].id;
    }
    const size_t value_bytes = out->length - start;
    const unsigned id_width = pq_width_of(largest), offset_width = pq_width_of(value_bytes);
    const bool is_large = count > small_count_max;
    PQ_TRY(move_values(out, start,
                       1 + (is_large ? 4u : 1u) + count * id_width + (count + 1) * offset_width,
                       err));
    uint8_t *at = out->data + start;
    *at++ = (uint8_t)(BASIC_OBJECT |
                      ((offset_width - 1) | (id_width - 1) << 2 | (unsigned)is_large << 4) << 2);
    at = put_count(at, count);
    for (size_t k = 0; k < count; k++) at = pq_put_width(at, members[k].id, id_width);
    for (size_t k = 0; k < count; k++) at = pq_put_width(at, members[k].offset, offset_width);
    pq_put_width(at, (uint32_t)value_bytes, offset_width);
    return PQDB_OK;
}

pqdb_code pq_variant_wrap_array(struct pq_bytes *out, size_t start,
                                const struct pq_variant_member *elements, size_t count,
                                pqdb_error *err) {
    PQ_TRY(check_size(out, start, count, err));
    const size_t value_bytes = out->length - start;
    const unsigned offset_width = pq_width_of(value_bytes);
    const bool is_large = count > small_count_max;
    PQ_TRY(move_values(out, start, 1 + (is_large ? 4u : 1u) + (count + 1) * offset_width, err));
    uint8_t *at = out->data + start;
    *at++ = (uint8_t)(BASIC_ARRAY | ((offset_width - 1) | (unsigned)is_large << 2) << 2);
    at = put_count(at, count);
    for (size_t k = 0; k < count; k++) at = pq_put_width(at, elements[k].offset, offset_width);
    pq_put_width(at, (uint32_t)value_bytes, offset_width);
    return PQDB_OK;
}
