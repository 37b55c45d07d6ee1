/// JSON to variant in one pass over the parser's values. Objects of a known shape take their order
/// and ids from the shape; the width of their offsets is guessed from the last one of that shape.
/// Each place where an object can stand remembers the shape it had last: a hint, tried first.
#include "base/check.h"
#include "type/decimal.h"
#include "variant/encode_internal.h"

/// What a shape keeps for objects that end at it.
struct pq_shape_end {
    uint32_t count;
    uint8_t id_width;
    uint8_t offset_width;         // of the last such object
    uint8_t *ids;                 // in order of names, id_width each
    uint16_t *rank;               // of the key at each position, by name
    struct pq_shape_end **hints;  // for the value at each position: its shape the last time
    struct pq_text keys[];
};

/// Where a value stands: what was there last, and how deep that is.
struct place {
    struct pq_shape_end **hint;
    int depth;
};

static pqdb_code encode(struct pq_variant_encoder *encoder, const struct pq_json *value,
                        struct place place, pqdb_error *err);

/// Sort the keys of the path from the root to `node`. NULL when memory is out.
static struct pq_shape_end *make_end(struct pq_shapes *shapes, uint32_t node) {
    const uint32_t count = shapes->nodes[node].depth;
    struct pq_arena *arena = &shapes->arena;
    struct pq_shape_end *end = pq_arena_alloc(arena, sizeof *end + count * sizeof *end->keys);
    uint8_t *ids = pq_arena_alloc(arena, (size_t)count * 2);
    uint16_t *rank = pq_arena_alloc(arena, count * sizeof *rank);
    struct pq_shape_end **hints = pq_arena_calloc(arena, count, sizeof *hints);
    if (end == NULL || ids == NULL || rank == NULL || hints == NULL) return NULL;
    uint32_t values[PQ_SHAPE_KEYS_MAX], highest = 0;
    for (uint32_t at = node, i = count; i > 0; at = shapes->nodes[at].parent) {
        end->keys[--i] = shapes->nodes[at].key;
        values[i] = shapes->nodes[at].value;
        if (values[i] > highest) highest = values[i];
    }
    end->count = count;
    end->id_width = (uint8_t)pq_width_of(highest);
    end->offset_width = 1;
    end->ids = ids;
    end->rank = rank;
    end->hints = hints;
    for (uint32_t i = 0; i < count; i++) {
        rank[i] = 0;
        for (uint32_t k = 0; k < count; k++) {
            if (pq_text_compare(end->keys[k], end->keys[i]) < 0) rank[i]++;
        }
        pq_put_width(ids + (size_t)rank[i] * end->id_width, values[i], end->id_width);
    }
    shapes->nodes[node].end = end;
    return end;
}

/// The object, or the part of it that is meant, and where its values go among the offsets.
struct members {
    const struct pq_json *object;
    const bool *keep;                // NULL: all
    size_t count;                    // kept ones
    const struct pq_shape_end *end;  // NULL: the shape is not known
    size_t first;                    // in the encoder's members, when it is not
};

/// Are the keys those of the object that stood here last?
static bool has_shape(const struct pq_shape_end *end, const struct members *members) {
    if (end->count != members->count) return false;
    const struct pq_json *key = pq_json_first(members->object);
    for (uint32_t i = 0, k = 0; k < end->count; i++) {
        if (members->keep == NULL || members->keep[i]) {
            if (!pq_key_equal(end->keys[k++], pq_json_text(key))) return false;
        }
        key = pq_json_next(pq_json_next(key));
    }
    return true;
}

/// The shape of the kept keys, PQ_SHAPE_UNKNOWN, or PQ_SHAPE_REPEATED with *at the second one.
static uint32_t shape_of(struct pq_shapes *shapes, const struct members *members,
                         const struct pq_json **at) {
    uint32_t node = PQ_SHAPE_ROOT;
    const size_t count = pq_json_count(members->object);
    const struct pq_json *key = pq_json_first(members->object);
    for (size_t i = 0; i < count; i++) {
        if (members->keep == NULL || members->keep[i]) {
            node = pq_shape_next(shapes, node, pq_json_text(key));
            *at = key;
            if (node >= PQ_SHAPE_REPEATED) return node;
        }
        key = pq_json_next(pq_json_next(key));
    }
    return node;
}

/// The values, in the order of the text.
static pqdb_code put_values(struct pq_variant_encoder *encoder, const struct members *members,
                            const struct pq_container *container, struct place place,
                            pqdb_error *err) {
    const size_t count = pq_json_count(members->object);
    const struct pq_shape_end *end = members->end;
    const struct pq_json *key = pq_json_first(members->object);
    place.depth++;
    for (size_t i = 0, kept = 0; i < count; i++) {
        const struct pq_json *value = pq_json_next(key);
        if (members->keep == NULL || members->keep[i]) {
            size_t rank;
            if (end != NULL) {
                rank = end->rank[kept];
                place.hint = &end->hints[kept];
            } else {
                rank = encoder->members[members->first + kept].rank;
            }
            pq_container_value(encoder, container, rank);
            const pqdb_code code = encode(encoder, value, place, err);
            if (code != PQDB_OK) {
                pq_fail_in_member(err, pq_json_text(key));
                return code;
            }
            kept++;
        }
        key = pq_json_next(value);
    }
    return PQDB_OK;
}

static pqdb_code put_known_object(struct pq_variant_encoder *encoder, struct members *members,
                                  struct pq_shape_end *end, struct place place, pqdb_error *err) {
    struct pq_container container = {
        .count = end->count, .id_width = end->id_width, .offset_width = end->offset_width};
    members->end = end;
    PQ_TRY(pq_container_begin(encoder, &container, err));
    PQ_TRY(put_values(encoder, members, &container, place, err));
    uint8_t *ids;
    PQ_TRY(pq_container_end(encoder, &container, &ids, err));
    memcpy(ids, end->ids, (size_t)end->count * end->id_width);
    end->offset_width = container.offset_width;
    return PQDB_OK;
}

static pqdb_code put_unknown_object(struct pq_variant_encoder *encoder, struct members *members,
                                    struct place place, pqdb_error *err) {
    members->first = encoder->member_count;
    const size_t count = pq_json_count(members->object);
    const struct pq_json *key = pq_json_first(members->object);
    for (size_t i = 0; i < count; i++) {
        if (members->keep == NULL || members->keep[i]) {
            PQ_TRY(pq_members_push(encoder, pq_json_text(key), err));
        }
        key = pq_json_next(pq_json_next(key));
    }
    PQ_TRY(pq_members_sort(encoder, members->first, err));
    struct pq_container container = {
        .count = (uint32_t)members->count,
        .id_width = (uint8_t)pq_members_id_width(encoder, members->first),
        .offset_width = 2};
    PQ_TRY(pq_container_begin(encoder, &container, err));
    PQ_TRY(put_values(encoder, members, &container, place, err));
    uint8_t *ids;
    PQ_TRY(pq_container_end(encoder, &container, &ids, err));
    pq_members_pop(encoder, members->first, &container, ids);
    return PQDB_OK;
}

static pqdb_code put_object(struct pq_variant_encoder *encoder, struct members *members,
                            struct place place, pqdb_error *err) {
    struct pq_shapes *shapes = &encoder->shapes;
    if (members->count == 0 || encoder->own != NULL) {
        return put_unknown_object(encoder, members, place, err);
    }
    if (*place.hint != NULL && has_shape(*place.hint, members)) {
        return put_known_object(encoder, members, *place.hint, place, err);
    }
    const struct pq_json *at = NULL;
    const uint32_t node = shape_of(shapes, members, &at);
    if (node == PQ_SHAPE_REPEATED) {
        pq_fail(err, PQDB_INVALID, "the key occurs twice");
        pq_fail_in_member(err, pq_json_text(at));
        return PQDB_INVALID;
    }
    struct pq_shape_end *end = NULL;
    if (node != PQ_SHAPE_UNKNOWN) {
        end = shapes->nodes[node].end;
        if (end == NULL) end = make_end(shapes, node);
    }
    if (end == NULL) return put_unknown_object(encoder, members, place, err);
    *place.hint = end;
    return put_known_object(encoder, members, end, place, err);
}

/// The elements of a list stand in the same place.
static pqdb_code put_list(struct pq_variant_encoder *encoder, const struct pq_json *list,
                          struct place place, pqdb_error *err) {
    const size_t count = pq_json_count(list);
    struct pq_container container = {.count = (uint32_t)count, .offset_width = 1};
    PQ_TRY(pq_container_begin(encoder, &container, err));
    const struct pq_json *value = pq_json_first(list);
    place.depth++;
    for (size_t i = 0; i < count; i++) {
        pq_container_value(encoder, &container, i);
        const pqdb_code code = encode(encoder, value, place, err);
        if (code != PQDB_OK) {
            pq_fail_in_element(err, i);
            return code;
        }
        value = pq_json_next(value);
    }
    uint8_t *ids;
    return pq_container_end(encoder, &container, &ids, err);
}

static bool is_integer_text(struct pq_text text) {
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.data[i];
        if ((c < '0' || c > '9') && !(i == 0 && c == '-')) return false;
    }
    return true;
}

/// A number kept as text: int64 if it is such an integer, decimal up to 38 digits, else double.
static pqdb_code put_number(struct pq_variant_encoder *encoder, const struct pq_json *number,
                            pqdb_error *err) {
    const struct pq_text text = pq_json_text(number);
    struct pq_decimal decimal;
    if (is_integer_text(text) && pq_decimal_parse_exact(text, &decimal)) {
        if (decimal.units == (int64_t)decimal.units) {
            return pq_encode_integer(encoder, (int64_t)decimal.units, err);
        }
        uint8_t bytes[17] = {0};
        memcpy(bytes + 1, &decimal.units, 16);
        return pq_encode_primitive(encoder, PQ_PRIMITIVE_DECIMAL16, bytes, sizeof bytes, err);
    }
    double real;
    if (!pq_json_number_real(number, &real)) {
        return pq_fail(err, PQDB_INVALID, "the number is beyond the range of a double");
    }
    return pq_encode_primitive(encoder, PQ_PRIMITIVE_DOUBLE, &real, sizeof real, err);
}

static pqdb_code encode(struct pq_variant_encoder *encoder, const struct pq_json *value,
                        struct place place, pqdb_error *err) {
    if (place.depth > PQ_VARIANT_DEPTH_MAX) {
        return pq_fail(err, PQDB_LIMIT, "nested deeper than %d levels", PQ_VARIANT_DEPTH_MAX);
    }
    switch (pq_json_kind(value)) {
    case PQ_JSON_NULL: return pq_encode_primitive(encoder, PQ_PRIMITIVE_NULL, NULL, 0, err);
    case PQ_JSON_BOOL:
        return pq_encode_primitive(
            encoder, pq_json_bool(value) ? PQ_PRIMITIVE_TRUE : PQ_PRIMITIVE_FALSE, NULL, 0, err);
    case PQ_JSON_INT: return pq_encode_integer(encoder, pq_json_int(value), err);
    case PQ_JSON_REAL: {
        const double real = pq_json_real(value);
        return pq_encode_primitive(encoder, PQ_PRIMITIVE_DOUBLE, &real, sizeof real, err);
    }
    case PQ_JSON_NUMBER: return put_number(encoder, value, err);
    case PQ_JSON_TEXT: return pq_encode_text(encoder, pq_json_text(value), err);
    case PQ_JSON_LIST: return put_list(encoder, value, place, err);
    case PQ_JSON_OBJECT: {
        struct members members = {.object = value, .count = pq_json_count(value)};
        return put_object(encoder, &members, place, err);
    }
    }
    return pq_fail(err, PQDB_INVALID, "a value of no kind");
}

/// Values of several columns come in turn: tell their places apart by what they look like.
static struct place root_place(struct pq_variant_encoder *encoder, const struct pq_json *value) {
    size_t look = 0;
    if (pq_json_kind(value) == PQ_JSON_OBJECT && pq_json_count(value) > 0) {
        look = pq_json_count(value) + 3 * pq_json_text(pq_json_first(value)).length;
    }
    return (struct place){.hint = &encoder->root_hints[look % PQ_ROOT_HINTS], .depth = 1};
}

static pqdb_code encode_root(struct pq_variant_encoder *encoder, const void *source,
                             pqdb_error *err) {
    return encode(encoder, source, root_place(encoder, source), err);
}

pqdb_code pq_variant_encode_json(struct pq_variant_encoder *encoder, const struct pq_json *value,
                                 struct pq_bytes *out, bool *own, pqdb_error *err) {
    const struct pq_encode_job job = {.encode = encode_root, .source = value};
    return pq_encode_run(encoder, job, out, own, err);
}

static pqdb_code encode_members(struct pq_variant_encoder *encoder, const void *source,
                                pqdb_error *err) {
    struct members members = *(const struct members *)source;
    return put_object(encoder, &members, root_place(encoder, members.object), err);
}

pqdb_code pq_variant_encode_members(struct pq_variant_encoder *encoder,
                                    const struct pq_json *object, const bool *keep,
                                    struct pq_bytes *out, bool *own, pqdb_error *err) {
    struct members members = {.object = object, .keep = keep};
    const size_t count = pq_json_count(object);
    for (size_t i = 0; i < count; i++) members.count += keep[i];
    const struct pq_encode_job job = {.encode = encode_members, .source = &members};
    return pq_encode_run(encoder, job, out, own, err);
}
