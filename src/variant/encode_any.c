/// Values other than JSON as variants: scalars, rows of nested columns, variants with other names.
#include "base/check.h"
#include "variant/encode_internal.h"

static pqdb_code encode(struct pq_variant_encoder *encoder, const struct pq_value *value, int depth,
                        pqdb_error *err);

/// How to look inside a container, whatever it is.
struct inside {
    bool is_object;
    size_t count;
    struct pq_value (*at)(const struct pq_variant_encoder *encoder, const struct pq_value *value,
                          size_t k, struct pq_text *name);
};

static struct pq_value nested_at(const struct pq_variant_encoder *encoder,
                                 const struct pq_value *value, size_t k, struct pq_text *name) {
    return encoder->nested->at(value, k, name);
}

static struct pq_value variant_at(const struct pq_variant_encoder *encoder,
                                  const struct pq_value *value, size_t k, struct pq_text *name) {
    (void)encoder;
    return (struct pq_value){.kind = PQ_VARIANT,
                             .as.variant = pq_variant_at(&value->as.variant, k, name)};
}

static struct inside look_inside(const struct pq_variant_encoder *encoder,
                                 const struct pq_value *value) {
    if (value->kind == PQ_VARIANT) {
        return (struct inside){
            .is_object = pq_variant_shape(&value->as.variant) == PQ_VARIANT_OBJECT,
            .count = pq_variant_count(&value->as.variant),
            .at = variant_at};
    }
    pq_assert(encoder->nested != NULL);
    return (struct inside){.is_object = value->kind == PQ_OBJECT,
                           .count = encoder->nested->count(value),
                           .at = nested_at};
}

static pqdb_code push_names(struct pq_variant_encoder *encoder, const struct pq_value *value,
                            const struct inside *inside, pqdb_error *err) {
    for (size_t k = 0; k < inside->count; k++) {
        struct pq_text name;
        inside->at(encoder, value, k, &name);
        PQ_TRY(pq_members_push(encoder, name, err));
    }
    return PQDB_OK;
}

static pqdb_code encode_container(struct pq_variant_encoder *encoder, const struct pq_value *value,
                                  int depth, pqdb_error *err) {
    const struct inside inside = look_inside(encoder, value);
    const size_t first = encoder->member_count;
    struct pq_container container = {.count = (uint32_t)inside.count, .offset_width = 2};
    if (inside.is_object) {
        PQ_TRY(push_names(encoder, value, &inside, err));
        PQ_TRY(pq_members_sort(encoder, first, err));
        container.id_width = (uint8_t)pq_members_id_width(encoder, first);
    }
    PQ_TRY(pq_container_begin(encoder, &container, err));
    for (size_t k = 0; k < inside.count; k++) {
        struct pq_text name = {0};
        const struct pq_value child = inside.at(encoder, value, k, &name);
        const size_t place = inside.is_object ? encoder->members[first + k].rank : k;
        pq_container_value(encoder, &container, place);
        const pqdb_code code = encode(encoder, &child, depth + 1, err);
        if (code != PQDB_OK) {
            if (inside.is_object) pq_fail_in_member(err, name);
            if (!inside.is_object) pq_fail_in_element(err, k);
            return code;
        }
    }
    uint8_t *ids;
    PQ_TRY(pq_container_end(encoder, &container, &ids, err));
    if (inside.is_object) pq_members_pop(encoder, first, &container, ids);
    return PQDB_OK;
}

static pqdb_code encode_decimal(struct pq_variant_encoder *encoder, const struct pq_value *value,
                                pqdb_error *err) {
    const pq_i128 units = value->as.decimal;
    uint8_t bytes[17] = {value->scale};
    memcpy(bytes + 1, &units, 16);
    if (units == (int32_t)units && units > -1000000000 && units < 1000000000) {
        return pq_encode_primitive(encoder, PQ_PRIMITIVE_DECIMAL4, bytes, 5, err);
    }
    if (units == (int64_t)units && units > -1000000000000000000 && units < 1000000000000000000) {
        return pq_encode_primitive(encoder, PQ_PRIMITIVE_DECIMAL8, bytes, 9, err);
    }
    return pq_encode_primitive(encoder, PQ_PRIMITIVE_DECIMAL16, bytes, 17, err);
}

static pqdb_code encode_binary(struct pq_variant_encoder *encoder, struct pq_text bytes,
                               pqdb_error *err) {
    if (bytes.length > UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "more than 4 GiB of binary");
    const uint32_t length = (uint32_t)bytes.length;
    PQ_TRY(pq_encode_primitive(encoder, PQ_PRIMITIVE_BINARY, &length, 4, err));
    return pq_bytes_append(encoder->out, bytes.data, bytes.length, err);
}

static pqdb_code encode_scalar(struct pq_variant_encoder *encoder, const struct pq_value *value,
                               pqdb_error *err) {
    const int32_t days = value->kind == PQ_DATE ? (int32_t)value->as.integer : 0;
    const float narrow = value->kind == PQ_FLOAT32 ? (float)value->as.real : 0;
    switch (value->kind) {
    case PQ_NULL: return pq_encode_primitive(encoder, PQ_PRIMITIVE_NULL, NULL, 0, err);
    case PQ_BOOL:
        return pq_encode_primitive(
            encoder, value->as.boolean ? PQ_PRIMITIVE_TRUE : PQ_PRIMITIVE_FALSE, NULL, 0, err);
    case PQ_INT64: return pq_encode_integer(encoder, value->as.integer, err);
    case PQ_FLOAT32: return pq_encode_primitive(encoder, PQ_PRIMITIVE_FLOAT, &narrow, 4, err);
    case PQ_FLOAT64:
        return pq_encode_primitive(encoder, PQ_PRIMITIVE_DOUBLE, &value->as.real, 8, err);
    case PQ_DECIMAL: return encode_decimal(encoder, value, err);
    case PQ_DATE: return pq_encode_primitive(encoder, PQ_PRIMITIVE_DATE, &days, 4, err);
    case PQ_TIME:
        return pq_encode_primitive(encoder, PQ_PRIMITIVE_TIME, &value->as.integer, 8, err);
    case PQ_TIMESTAMP:
        return pq_encode_primitive(encoder, PQ_PRIMITIVE_TIMESTAMP, &value->as.integer, 8, err);
    case PQ_TEXT: return pq_encode_text(encoder, value->as.text, err);
    case PQ_BINARY: return encode_binary(encoder, value->as.text, err);
    default: break;
    }
    pq_assert(false);
    return PQDB_INVALID;
}

static pqdb_code encode(struct pq_variant_encoder *encoder, const struct pq_value *value, int depth,
                        pqdb_error *err) {
    if (depth > PQ_VARIANT_DEPTH_MAX) {
        return pq_fail(err, PQDB_LIMIT, "nested deeper than %d levels", PQ_VARIANT_DEPTH_MAX);
    }
    if (value->kind == PQ_LIST || value->kind == PQ_OBJECT) {
        return encode_container(encoder, value, depth, err);
    }
    if (value->kind != PQ_VARIANT) return encode_scalar(encoder, value, err);
    const struct pq_variant *variant = &value->as.variant;
    const enum pq_variant_shape shape = pq_variant_shape(variant);
    // Scalars are the same with any names, and so is everything with the names it has.
    if (shape == PQ_VARIANT_SCALAR ||
        (encoder->own == NULL && variant->names == encoder->names)) {
        return pq_bytes_append(encoder->out, variant->bytes, variant->length, err);
    }
    return encode_container(encoder, value, depth, err);
}

pqdb_code pq_variant_encode_scalar(const struct pq_value *value, struct pq_bytes *out,
                                   pqdb_error *err) {
    struct pq_variant_encoder encoder = {.out = out};
    return encode_scalar(&encoder, value, err);
}

static pqdb_code encode_root(struct pq_variant_encoder *encoder, const void *source,
                             pqdb_error *err) {
    return encode(encoder, source, 1, err);
}

pqdb_code pq_variant_encode_any(struct pq_variant_encoder *encoder, const struct pq_value *value,
                                struct pq_bytes *out, bool *own, pqdb_error *err) {
    const struct pq_encode_job job = {.encode = encode_root, .source = value};
    return pq_encode_run(encoder, job, out, own, err);
}

pqdb_code pq_variant_rename(struct pq_variant_encoder *encoder, const struct pq_variant *variant,
                            struct pq_bytes *out, bool *own, pqdb_error *err) {
    const struct pq_value value = {.kind = PQ_VARIANT, .as.variant = *variant};
    return pq_variant_encode_any(encoder, &value, out, own, err);
}
