#include "parquet/variant_shredded.h"

#include "base/check.h"
#include "base/fail.h"
#include "variant/build.h"
#include "variant/variant.h"

/// What a value is put together with.
struct joining {
    const struct pq_leaf *leaves;
    const struct pq_variant *like;
    struct pq_bytes *members;  // a stack of pq_variant_member
    struct pq_bytes *out;
};

/// `value` and `typed_value` of a group at hand.
struct halves {
    const struct pq_column *value, *typed;
    const struct pq_node *node;
};

static pqdb_code corrupt(pqdb_error *err, const char *what) {
    return pq_fail(err, PQDB_CORRUPT, "a shredded variant is damaged: %s", what);
}

static struct halves halves_of(const struct pq_column *group, const struct pq_node *node) {
    struct halves halves = {0};
    for (uint32_t i = 0; i < node->child_count; i++) {
        const struct pq_text name = group->type->fields[i].name;
        if (pq_text_is(name, "value")) halves.value = &group->children[i];
        if (pq_text_is(name, "typed_value")) {
            halves.typed = &group->children[i];
            halves.node = &node->children[i];
        }
    }
    return halves;
}

static bool has_row(const struct pq_column *column, size_t row) {
    return column != NULL && !pq_column_is_null(column, row);
}

static struct pq_variant_member *members_from(const struct joining *joining, size_t first) {
    return (struct pq_variant_member *)(void *)(joining->members->data + first);
}

/// The value of a row, if there is one.
static pqdb_code join(const struct joining *joining, struct halves halves, size_t row,
                      bool *is_there, pqdb_error *err);

/// Primitives whose bytes are the low ones of a 64-bit or 128-bit value.
static size_t primitive_bytes(uint8_t primitive) {
    switch (primitive) {
    case PQ_PRIMITIVE_INT8: return 1;
    case PQ_PRIMITIVE_INT16: return 2;
    case PQ_PRIMITIVE_INT32:
    case PQ_PRIMITIVE_DATE:
    case PQ_PRIMITIVE_FLOAT:
    case PQ_PRIMITIVE_DECIMAL4: return 4;
    case PQ_PRIMITIVE_DECIMAL16:
    case PQ_PRIMITIVE_UUID: return 16;
    default: return 8;
    }
}

static pqdb_code join_scalar(const struct joining *joining, struct halves halves, size_t row,
                             pqdb_error *err) {
    const struct pq_leaf *leaf = &joining->leaves[halves.node->leaf];
    const struct pq_column *column = halves.typed;
    const size_t bytes = primitive_bytes(leaf->primitive);
    switch (leaf->primitive) {
    case PQ_PRIMITIVE_TEXT:
        return pq_variant_append_text(joining->out, pq_column_text(column, row), err);
    case PQ_PRIMITIVE_BINARY:
        return pq_variant_append_binary(joining->out, pq_column_text(column, row), err);
    case PQ_PRIMITIVE_UUID: {
        const struct pq_text uuid = pq_column_text(column, row);
        pq_assert(uuid.length == bytes);
        return pq_variant_append_primitive(joining->out, PQ_PRIMITIVE_UUID, uuid.data, bytes, err);
    }
    case PQ_PRIMITIVE_TRUE: {
        const bool is_true = ((const uint8_t *)column->values)[row] != 0;
        return pq_variant_append_primitive(
            joining->out, is_true ? PQ_PRIMITIVE_TRUE : PQ_PRIMITIVE_FALSE, NULL, 0, err);
    }
    default: break;
    }
    const size_t width = pq_kind_width(leaf->kind);
    const uint8_t *value = (const uint8_t *)column->values + row * width;
    if (leaf->kind != PQ_DECIMAL) {
        return pq_variant_append_primitive(joining->out, leaf->primitive, value, bytes, err);
    }
    uint8_t decimal[17] = {leaf->scale};
    memcpy(decimal + 1, value, bytes);
    return pq_variant_append_primitive(joining->out, leaf->primitive, decimal, bytes + 1, err);
}

static pqdb_code join_list(const struct joining *joining, struct halves halves, size_t row,
                           pqdb_error *err) {
    const size_t start = joining->out->length, first = joining->members->length;
    const struct pq_column *element = halves.typed->children;
    const uint32_t begin = halves.typed->offsets[row], end = halves.typed->offsets[row + 1];
    const struct halves inner = halves_of(element, halves.node->children);
    for (uint32_t i = begin; i < end; i++) {
        const struct pq_variant_member place = {
            .offset = (uint32_t)(joining->out->length - start)};
        PQ_TRY(pq_bytes_append(joining->members, &place, sizeof place, err));
        bool is_there = false;
        if (!pq_column_is_null(element, i)) PQ_TRY(join(joining, inner, i, &is_there, err));
        if (!is_there) {
            PQ_TRY(pq_variant_append_primitive(joining->out, PQ_PRIMITIVE_NULL, NULL, 0, err));
        }
    }
    PQ_TRY(pq_variant_wrap_array(joining->out, start, members_from(joining, first), end - begin,
                                 err));
    joining->members->length = first;
    return PQDB_OK;
}

static pqdb_code push(const struct joining *joining, struct pq_text name, size_t start,
                      pqdb_error *err) {
    const struct pq_variant_member member = {
        .name = name,
        .id = pq_variant_names_find(joining->like->names, name),
        .offset = (uint32_t)(joining->out->length - start),
    };
    if (member.id == UINT32_MAX) return corrupt(err, "its metadata lacks a field's name");
    return pq_bytes_append(joining->members, &member, sizeof member, err);
}

/// The fields that are not typed.
static pqdb_code join_rest(const struct joining *joining, struct halves halves, size_t row,
                           size_t start, pqdb_error *err) {
    const struct pq_text bytes = pq_column_text(halves.value, row);
    struct pq_variant rest = *joining->like;
    rest.bytes = (const uint8_t *)bytes.data;
    rest.length = bytes.length;
    PQ_TRY(pq_variant_check(&rest, err));
    if (pq_variant_shape(&rest) != PQ_VARIANT_OBJECT) {
        return corrupt(err, "a value that is no object has typed fields");
    }
    const size_t count = pq_variant_count(&rest);
    for (size_t k = 0; k < count; k++) {
        struct pq_text name;
        const struct pq_variant member = pq_variant_at(&rest, k, &name);
        if (pq_type_find(halves.typed->type, name) >= 0) continue;
        PQ_TRY(push(joining, name, start, err));
        PQ_TRY(pq_bytes_append(joining->out, member.bytes, member.length, err));
    }
    return PQDB_OK;
}

static pqdb_code join_object(const struct joining *joining, struct halves halves, size_t row,
                             pqdb_error *err) {
    const size_t start = joining->out->length, first = joining->members->length;
    if (has_row(halves.value, row)) PQ_TRY(join_rest(joining, halves, row, start, err));
    const struct pq_type *type = halves.typed->type;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct pq_column *field = &halves.typed->children[i];
        if (pq_column_is_null(field, row)) continue;
        const size_t before = joining->members->length;
        PQ_TRY(push(joining, type->fields[i].name, start, err));
        bool is_there;
        PQ_TRY(join(joining, halves_of(field, &halves.node->children[i]), row, &is_there, err));
        if (!is_there) joining->members->length = before;
    }
    const size_t count =
        (joining->members->length - first) / sizeof(struct pq_variant_member);
    PQ_TRY(pq_variant_wrap_object(joining->out, start, members_from(joining, first), count, err));
    joining->members->length = first;
    return PQDB_OK;
}

static pqdb_code join(const struct joining *joining, struct halves halves, size_t row,
                      bool *is_there, pqdb_error *err) {
    const bool has_value = has_row(halves.value, row);
    *is_there = has_value || has_row(halves.typed, row);
    if (!has_row(halves.typed, row)) {
        if (!has_value) return PQDB_OK;
        return pq_bytes_append_text(joining->out, pq_column_text(halves.value, row), err);
    }
    const enum pq_kind kind = halves.typed->type->kind;
    if (kind == PQ_OBJECT) return join_object(joining, halves, row, err);
    if (has_value) return corrupt(err, "a row has both value and typed_value");
    if (kind == PQ_LIST) return join_list(joining, halves, row, err);
    return join_scalar(joining, halves, row, err);
}

pqdb_code pq_shredded_value(const struct pq_shredded *shredded, size_t row,
                            const struct pq_variant *like, struct pq_bytes *out, pqdb_error *err) {
    const struct joining joining = {
        .leaves = shredded->leaves, .like = like, .members = shredded->members, .out = out};
    const struct halves halves = {shredded->value, shredded->typed, shredded->node};
    const size_t before = out->length;
    bool is_there;
    shredded->members->length = 0;
    PQ_TRY(pq_bytes_reserve(shredded->members, sizeof(struct pq_variant_member), err));
    pqdb_code code = join(&joining, halves, row, &is_there, err);
    if (code == PQDB_OK && !is_there) {
        code = pq_variant_append_primitive(out, PQ_PRIMITIVE_NULL, NULL, 0, err);
    }
    if (code == PQDB_OK) return PQDB_OK;
    out->length = before;
    return code == PQDB_INVALID ? corrupt(err, "a field comes twice") : code;
}
