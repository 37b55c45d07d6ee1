/// Reading variants. Everything but pq_variant_check trusts the bytes, which were checked at the
/// door or written by us; so that a slip there is a crash in a test and not a wrong answer, slow
/// checks look again.
#include "base/arena.h"
#include "base/check.h"
#include "base/fail.h"
#include "variant/container_internal.h"

/// How many bytes follow a primitive's header byte, for those of fixed size.
const uint8_t pq_primitive_bytes[PQ_PRIMITIVE_COUNT] = {
    [PQ_PRIMITIVE_INT8] = 1,          [PQ_PRIMITIVE_INT16] = 2,
    [PQ_PRIMITIVE_INT32] = 4,         [PQ_PRIMITIVE_INT64] = 8,
    [PQ_PRIMITIVE_DOUBLE] = 8,        [PQ_PRIMITIVE_DECIMAL4] = 5,
    [PQ_PRIMITIVE_DECIMAL8] = 9,      [PQ_PRIMITIVE_DECIMAL16] = 17,
    [PQ_PRIMITIVE_DATE] = 4,          [PQ_PRIMITIVE_TIMESTAMP] = 8,
    [PQ_PRIMITIVE_TIMESTAMP_NTZ] = 8, [PQ_PRIMITIVE_FLOAT] = 4,
    [PQ_PRIMITIVE_BINARY] = 4,        [PQ_PRIMITIVE_TEXT] = 4,
    [PQ_PRIMITIVE_TIME] = 8,          [PQ_PRIMITIVE_TIMESTAMP_NANOS] = 8,
    [PQ_PRIMITIVE_TIMESTAMP_NTZ_NANOS] = 8, [PQ_PRIMITIVE_UUID] = 16,
};

// ---- check ------------------------------------------------------------------------------------

static pqdb_code corrupt(pqdb_error *err, const char *what) {
    return pq_fail(err, PQDB_CORRUPT, "variant: %s", what);
}

/// The bytes at hand: a value must end at or before `end`.
struct region {
    const uint8_t *at, *end;
};

static size_t left(struct region region) { return (size_t)(region.end - region.at); }

/// Take the container apart only as far as bytes reach.
static pqdb_code check_header(struct region region, struct pq_opened *container,
                              pqdb_error *err) {
    const unsigned header = region.at[0] >> 2;
    const bool is_object = (region.at[0] & 3) == BASIC_OBJECT;
    if (is_object ? header >> 5 : header >> 3) return corrupt(err, "unknown bits in a header");
    const bool large = is_object ? header >> 4 & 1 : header >> 2 & 1;
    if (left(region) < (large ? 5u : 2u)) return corrupt(err, "a cut container");
    const size_t count = large ? pq_load_u32(region.at + 1) : region.at[1];
    const size_t id_width = is_object ? (header >> 2 & 3) + 1 : 0, offset_width = (header & 3) + 1;
    const size_t room = left(region) - (large ? 5 : 2);
    if (room < offset_width || count > (room - offset_width) / (id_width + offset_width)) {
        return corrupt(err, "a container with more values than bytes");
    }
    *container = pq_open_container(region.at);
    const size_t values = (size_t)(region.end - container->values);
    if (pq_opened_offset(container, container->count) > values) {
        return corrupt(err, "a container ends behind its bytes");
    }
    return PQDB_OK;
}

static pqdb_code check_scalar(struct region region, size_t *size, pqdb_error *err) {
    const unsigned header = region.at[0] >> 2;
    struct pq_text text = {(const char *)region.at + 1, header};
    if ((region.at[0] & 3) == BASIC_PRIMITIVE) {
        if (header >= PQ_PRIMITIVE_COUNT) return corrupt(err, "an unknown primitive type");
        if (left(region) < 1 + (size_t)pq_primitive_bytes[header]) {
            return corrupt(err, "a cut primitive");
        }
        *size = pq_value_size(region.at);
        if (header >= PQ_PRIMITIVE_DECIMAL4 && header <= PQ_PRIMITIVE_DECIMAL16 &&
            region.at[1] > 38) {
            return corrupt(err, "a decimal with a scale above 38");
        }
        if (header != PQ_PRIMITIVE_TEXT && header != PQ_PRIMITIVE_BINARY) return PQDB_OK;
        if (*size > left(region)) return corrupt(err, "a cut text or binary");
        text = (struct pq_text){(const char *)region.at + 5, *size - 5};
        if (header == PQ_PRIMITIVE_BINARY) return PQDB_OK;
    } else {
        *size = 1 + (size_t)header;
        if (*size > left(region)) return corrupt(err, "a cut text");
    }
    return pq_text_is_utf8(text) ? PQDB_OK : corrupt(err, "text that is not UTF-8");
}

static uint32_t name_count_of(const struct pq_variant *variant) {
    if (variant->metadata != NULL) return pq_metadata_count(variant->metadata);
    return variant->names == NULL ? 0 : pq_variant_names_count(variant->names);
}

static pqdb_code check_names(const struct pq_opened *container, const struct pq_variant *whole,
                             pqdb_error *err) {
    const uint32_t name_count = name_count_of(whole);
    struct pq_text before = {0};
    for (uint32_t k = 0; k < container->count; k++) {
        const uint32_t id = pq_opened_id(container, k);
        if (id >= name_count) return corrupt(err, "a field without a name");
        const struct pq_text name = pq_variant_name(whole, id);
        if (k > 0 && pq_text_compare(before, name) >= 0) {
            return corrupt(err, "fields that are not in the order of their names");
        }
        before = name;
    }
    return PQDB_OK;
}

/// Values may stand in any order, but not on one another: then the work is bounded by the bytes.
static pqdb_code check_value(struct region region, const struct pq_variant *whole, int depth,
                             size_t *size, pqdb_error *err) {
    if (depth > PQ_VARIANT_DEPTH_MAX) return corrupt(err, "nested too deeply");
    if (left(region) == 0) return corrupt(err, "a value without bytes");
    const unsigned basic = region.at[0] & 3;
    if (basic == BASIC_PRIMITIVE || basic == BASIC_SHORT_TEXT) {
        return check_scalar(region, size, err);
    }
    struct pq_opened container;
    PQ_TRY(check_header(region, &container, err));
    if (container.id_width > 0) PQ_TRY(check_names(&container, whole, err));
    const uint32_t total = pq_opened_offset(&container, container.count);
    size_t used = 0;
    for (uint32_t k = 0; k < container.count; k++) {
        const uint32_t offset = pq_opened_offset(&container, k);
        if (offset >= total) return corrupt(err, "a value outside its container");
        const struct region inner = {container.values + offset, container.values + total};
        size_t inner_size;
        PQ_TRY(check_value(inner, whole, depth + 1, &inner_size, err));
        used += inner_size;
        if (used > total) return corrupt(err, "values that overlap");
    }
    *size = (size_t)(container.values - region.at) + total;
    return PQDB_OK;
}

pqdb_code pq_variant_check(const struct pq_variant *variant, pqdb_error *err) {
    const struct region region = {variant->bytes, variant->bytes + variant->length};
    size_t size;
    PQ_TRY(check_value(region, variant, 1, &size, err));
    return size == variant->length ? PQDB_OK : corrupt(err, "bytes behind the value");
}

// ---- reading ----------------------------------------------------------------------------------

static struct pq_value decimal_value(const uint8_t *at, size_t width) {
    struct pq_value value = {.kind = PQ_DECIMAL, .scale = at[0]};
    if (width == 4) {
        value.as.decimal = (int32_t)pq_load_u32(at + 1);
    } else if (width == 8) {
        value.as.decimal = (int64_t)pq_load_u64(at + 1);
    } else {
        memcpy(&value.as.decimal, at + 1, 16);
    }
    return value;
}

static struct pq_value integer_value(enum pq_kind kind, int64_t integer) {
    return (struct pq_value){.kind = kind, .as.integer = integer};
}

/// Nanoseconds to microseconds, towards minus infinity.
static int64_t microseconds(int64_t nanoseconds) {
    return nanoseconds / 1000 - (nanoseconds % 1000 < 0);
}

struct pq_value pq_variant_unwrap(const struct pq_variant *variant) {
    const uint8_t *at = variant->bytes + 1;
    const unsigned basic = variant->bytes[0] & 3, header = variant->bytes[0] >> 2;
    struct pq_value value = {.kind = PQ_VARIANT, .as.variant = *variant};
    if (basic == BASIC_SHORT_TEXT) {
        value.kind = PQ_TEXT;
        value.as.text = (struct pq_text){(const char *)at, header};
        return value;
    }
    if (basic != BASIC_PRIMITIVE) return value;
    switch (header) {
    case PQ_PRIMITIVE_TRUE:
    case PQ_PRIMITIVE_FALSE:
        return (struct pq_value){.kind = PQ_BOOL, .as.boolean = header == PQ_PRIMITIVE_TRUE};
    case PQ_PRIMITIVE_INT8: return integer_value(PQ_INT64, (int8_t)at[0]);
    case PQ_PRIMITIVE_INT16: return integer_value(PQ_INT64, (int16_t)pq_load_u16(at));
    case PQ_PRIMITIVE_INT32: return integer_value(PQ_INT64, (int32_t)pq_load_u32(at));
    case PQ_PRIMITIVE_INT64: return integer_value(PQ_INT64, (int64_t)pq_load_u64(at));
    case PQ_PRIMITIVE_DOUBLE:
        value.kind = PQ_FLOAT64;
        memcpy(&value.as.real, at, 8);
        return value;
    case PQ_PRIMITIVE_FLOAT: {
        float narrow;
        memcpy(&narrow, at, 4);
        return (struct pq_value){.kind = PQ_FLOAT32, .as.real = (double)narrow};
    }
    case PQ_PRIMITIVE_DECIMAL4: return decimal_value(at, 4);
    case PQ_PRIMITIVE_DECIMAL8: return decimal_value(at, 8);
    case PQ_PRIMITIVE_DECIMAL16: return decimal_value(at, 16);
    case PQ_PRIMITIVE_DATE: return integer_value(PQ_DATE, (int32_t)pq_load_u32(at));
    case PQ_PRIMITIVE_TIME: return integer_value(PQ_TIME, (int64_t)pq_load_u64(at));
    case PQ_PRIMITIVE_TIMESTAMP:
    case PQ_PRIMITIVE_TIMESTAMP_NTZ: return integer_value(PQ_TIMESTAMP, (int64_t)pq_load_u64(at));
    case PQ_PRIMITIVE_TIMESTAMP_NANOS:
    case PQ_PRIMITIVE_TIMESTAMP_NTZ_NANOS:
        return integer_value(PQ_TIMESTAMP, microseconds((int64_t)pq_load_u64(at)));
    case PQ_PRIMITIVE_TEXT:
    case PQ_PRIMITIVE_BINARY:
        value.kind = header == PQ_PRIMITIVE_TEXT ? PQ_TEXT : PQ_BINARY;
        value.as.text = (struct pq_text){(const char *)at + 4, pq_load_u32(at)};
        return value;
    case PQ_PRIMITIVE_UUID:
        value.kind = PQ_BINARY;
        value.as.text = (struct pq_text){(const char *)at, 16};
        return value;
    default: return (struct pq_value){.kind = PQ_NULL};
    }
}

enum pq_variant_shape pq_variant_shape(const struct pq_variant *variant) {
    const unsigned basic = variant->bytes[0] & 3;
    if (basic == BASIC_OBJECT) return PQ_VARIANT_OBJECT;
    return basic == BASIC_ARRAY ? PQ_VARIANT_ARRAY : PQ_VARIANT_SCALAR;
}

size_t pq_variant_count(const struct pq_variant *variant) {
    pq_assert(pq_variant_shape(variant) != PQ_VARIANT_SCALAR);
    return pq_open_container(variant->bytes).count;
}

static struct pq_variant value_at(const struct pq_variant *variant,
                                  const struct pq_opened *container, size_t k) {
    const uint8_t *bytes = container->values + pq_opened_offset(container, k);
    const struct pq_variant value = {
        .bytes = bytes, .length = pq_value_size(bytes), .names = variant->names,
        .metadata = variant->metadata};
    pq_assert_slow(value.bytes + value.length <= variant->bytes + variant->length);
    return value;
}

struct pq_variant pq_variant_at(const struct pq_variant *variant, size_t k, struct pq_text *name) {
    pq_assert(pq_variant_shape(variant) != PQ_VARIANT_SCALAR);
    const struct pq_opened container = pq_open_container(variant->bytes);
    pq_assert(k < container.count);
    if (container.id_width > 0 && name != NULL) {
        *name = pq_variant_name(variant, pq_opened_id(&container, k));
    }
    return value_at(variant, &container, k);
}

void pq_variant_path_resolve(const struct pq_variant_names *names,
                             const struct pq_variant_step *steps, size_t count, uint32_t *ids) {
    for (size_t i = 0; i < count; i++) ids[i] = pq_variant_names_find(names, steps[i].name);
}

/// Which field has the id, or -1. One-byte ids, nearly all of them, are a search for a byte.
static int64_t find_id(const struct pq_opened *container, uint32_t id) {
    if (container->id_width == 1) {
        if (id > UINT8_MAX) return -1;
        const uint8_t *found = memchr(container->ids, (int)id, container->count);
        return found == NULL ? -1 : found - container->ids;
    }
    for (uint32_t k = 0; k < container->count; k++) {
        if (pq_opened_id(container, k) == id) return k;
    }
    return -1;
}

static int64_t find_name(const struct pq_opened *container, const struct pq_variant *variant,
                         struct pq_text name) {
    for (uint32_t k = 0; k < container->count; k++) {
        if (pq_text_equal(pq_variant_name(variant, pq_opened_id(container, k)), name)) return k;
    }
    return -1;
}

bool pq_variant_find(const struct pq_variant *variant, const struct pq_variant_step *steps,
                     const uint32_t *ids, size_t count, struct pq_variant *found) {
    const uint8_t *bytes = variant->bytes;
    for (size_t i = 0; i < count; i++) {
        const unsigned basic = bytes[0] & 3;
        if (basic != BASIC_OBJECT && basic != BASIC_ARRAY) return false;
        const struct pq_opened container = pq_open_container(bytes);
        int64_t k = steps[i].index;
        if (container.id_width > 0 && (variant->metadata != NULL || variant->names->has_repeated)) {
            k = find_name(&container, variant, steps[i].name);
        } else if (container.id_width > 0) {
            k = ids[i] == UINT32_MAX ? -1 : find_id(&container, ids[i]);
        }
        if (k < 0 || k >= (int64_t)container.count) return false;
        bytes = container.values + pq_opened_offset(&container, (size_t)k);
    }
    *found = (struct pq_variant){.bytes = bytes, .length = pq_value_size(bytes),
                                 .names = variant->names, .metadata = variant->metadata};
    pq_assert_slow(found->bytes + found->length <= variant->bytes + variant->length);
    return true;
}

struct pq_value pq_variant_path(const struct pq_variant *variant,
                                const struct pq_variant_step *steps, const uint32_t *ids,
                                size_t count) {
    struct pq_variant found;
    if (!pq_variant_find(variant, steps, ids, count, &found)) {
        return (struct pq_value){.kind = PQ_NULL};
    }
    return pq_variant_unwrap(&found);
}

pqdb_code pq_variant_of_row(struct pq_text bytes, uint8_t mark,
                            const struct pq_variant_names *names, struct pq_arena *arena,
                            struct pq_variant *variant, pqdb_error *err) {
    enum { own_names = 2 };  // PQ_ROW_OWN_NAMES of batch/column.h, a room above
    const uint8_t *at = (const uint8_t *)bytes.data;
    if (mark != own_names) {
        *variant = (struct pq_variant){.bytes = at, .length = bytes.length, .names = names};
        return PQDB_OK;
    }
    struct pq_variant_names *own;
    size_t used;
    PQ_TRY(pq_variant_names_from_metadata(at, bytes.length, &arena->alloc, &own, &used, err));
    *variant = (struct pq_variant){.bytes = at + used, .length = bytes.length - used, .names = own};
    return PQDB_OK;
}

struct pq_variant pq_variant_of_own(struct pq_text bytes) {
    const uint8_t *metadata = (const uint8_t *)bytes.data;
    const size_t used = pq_metadata_length(metadata);
    pq_assert(used < bytes.length);
    return (struct pq_variant){
        .bytes = metadata + used, .length = bytes.length - used, .metadata = metadata};
}

pqdb_code pq_variant_write_own(const struct pq_variant *variant, struct pq_bytes *out,
                               pqdb_error *err) {
    if (variant->metadata != NULL) {
        PQ_TRY(pq_bytes_append(out, variant->metadata, pq_metadata_length(variant->metadata),
                               err));
    } else {
        const uint32_t count = pq_variant_names_count(variant->names);
        PQ_TRY(pq_variant_names_write(variant->names, count, out, err));
    }
    return pq_bytes_append(out, variant->bytes, variant->length, err);
}
