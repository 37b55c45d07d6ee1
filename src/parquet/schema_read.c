/// From a footer's SchemaElements to a pq_type, nodes and leaves.
///
/// An annotation that does not fit its physical type is dropped, as the specification allows: the
/// bytes are then read as what they physically are.
#include <stdio.h>

#include "base/check.h"
#include "parquet/schema.h"
#include "variant/build.h"

static const struct pq_text text_key = {"key", 3}, text_value = {"value", 5},
                            text_metadata = {"metadata", 8}, text_element = {"element", 7},
                            text_typed_value = {"typed_value", 11};

struct walk {
    const struct pq_meta_file *file;
    bool json_as_variant;
    struct pq_arena *arena;
    struct pq_schema *schema;
    size_t next;  // element to read
    size_t leaf_room;
    struct pq_text path[PQ_SCHEMA_DEPTH_MAX * 2 + 4];
    size_t path_count;
    const char *unreadable;  // of everything below the current node
    bool in_variant;         // below a shredded variant
};

struct spot {
    int depth;
    uint8_t def, rep;
    const struct pq_meta_element *list;  // the LIST group around a repeated element
};

static pqdb_code broken(pqdb_error *err, const char *why) {
    return pq_fail(err, PQDB_CORRUPT, "the Parquet schema is malformed: %s", why);
}

static bool has(const struct pq_meta_element *element, unsigned id) {
    return PQ_THRIFT_HAS(element, id);
}

static bool is_converted(const struct pq_meta_element *element, int converted) {
    return has(element, PQ_ELEMENT_CONVERTED) && element->converted == converted;
}

static bool is_logical(const struct pq_meta_element *element, unsigned logical) {
    return has(element, PQ_ELEMENT_LOGICAL) && PQ_THRIFT_HAS(&element->logical, logical);
}

static bool is_group(const struct pq_meta_element *element) {
    return !has(element, PQ_ELEMENT_TYPE);
}

static bool is_repeated(const struct pq_meta_element *element) {
    return element->repetition == PQ_REPEATED;
}

static pqdb_code take(struct walk *walk, const struct pq_meta_element **element,
                      pqdb_error *err) {
    if (walk->next >= walk->file->element_count) return broken(err, "it ends too early");
    const struct pq_meta_element *taken = &walk->file->elements[walk->next++];
    if (taken->repetition < PQ_REQUIRED || taken->repetition > PQ_REPEATED) {
        return broken(err, "unknown repetition");
    }
    if (is_group(taken) && taken->child_count <= 0) return broken(err, "a group without members");
    if (!is_group(taken)) {
        if (taken->type < 0 || taken->type > PQ_PHYSICAL_FIXED) {
            return broken(err, "unknown physical type");
        }
        if (has(taken, PQ_ELEMENT_CHILD_COUNT) && taken->child_count != 0) {
            return broken(err, "a value with members");
        }
        if (taken->type == PQ_PHYSICAL_FIXED && taken->type_length <= 0) {
            return broken(err, "fixed-length bytes without a length");
        }
    }
    if (!pq_text_is_utf8(taken->name)) return broken(err, "a name that is not UTF-8");
    *element = taken;
    return PQDB_OK;
}

static const struct pq_meta_element *peek(const struct walk *walk, size_t ahead) {
    const size_t at = walk->next + ahead;
    return at < walk->file->element_count ? &walk->file->elements[at] : NULL;
}

/// What a leaf's annotation makes of its bytes: kind, conversion, precision and scale.
struct reading {
    enum pq_kind kind;
    enum pq_conversion conversion;
    uint8_t precision, scale;
    bool has_order;
    const char *unreadable;
};

static bool read_decimal(const struct pq_meta_element *element, struct reading *reading) {
    const bool logical = is_logical(element, PQ_LOGICAL_DECIMAL);
    if (!logical && !is_converted(element, PQ_CONVERTED_DECIMAL)) return false;
    const int32_t precision = logical ? element->logical.decimal.precision : element->precision;
    const int32_t scale = logical ? element->logical.decimal.scale : element->scale;
    if (precision < 1 || scale < 0 || scale > precision) return false;
    if (element->type != PQ_PHYSICAL_INT32 && element->type != PQ_PHYSICAL_INT64 &&
        element->type != PQ_PHYSICAL_FIXED && element->type != PQ_PHYSICAL_BYTE_ARRAY) {
        return false;
    }
    *reading = (struct reading){PQ_DECIMAL, PQ_CONVERT_DECIMAL, 38, 0, false, NULL};
    if (precision > 38) {
        reading->unreadable = "decimals of more than 38 digits are not supported";
    } else {
        reading->precision = (uint8_t)precision;
        reading->scale = (uint8_t)scale;
        reading->has_order = true;
    }
    return true;
}

static bool read_integer(const struct pq_meta_element *element, struct reading *reading) {
    bool is_unsigned = false;
    if (is_logical(element, PQ_LOGICAL_INTEGER)) {
        is_unsigned = !element->logical.integer.is_signed;
    } else if (has(element, PQ_ELEMENT_CONVERTED)) {
        is_unsigned = element->converted >= PQ_CONVERTED_UINT_8 &&
                      element->converted <= PQ_CONVERTED_UINT_64;
    }
    *reading = (struct reading){PQ_INT64, PQ_CONVERT_NONE, 0, 0, true, NULL};
    if (element->type == PQ_PHYSICAL_INT32) {
        reading->conversion = is_unsigned ? PQ_CONVERT_UINT32 : PQ_CONVERT_INT32;
    } else if (is_unsigned) {
        *reading = (struct reading){PQ_DECIMAL, PQ_CONVERT_UINT64, 20, 0, true, NULL};
    }
    return true;
}

static bool is_time(const struct pq_meta_element *element, unsigned logical, unsigned unit) {
    return is_logical(element, logical) &&
           PQ_THRIFT_HAS(&element->logical.time.unit, unit);
}

static void read_int32(const struct pq_meta_element *element, struct reading *reading) {
    if (is_logical(element, PQ_LOGICAL_DATE) || is_converted(element, PQ_CONVERTED_DATE)) {
        *reading = (struct reading){PQ_DATE, PQ_CONVERT_NONE, 0, 0, true, NULL};
    } else if (is_time(element, PQ_LOGICAL_TIME, PQ_UNIT_MILLIS) ||
               is_converted(element, PQ_CONVERTED_TIME_MILLIS)) {
        *reading = (struct reading){PQ_TIME, PQ_CONVERT_MILLIS32, 0, 0, true, NULL};
    } else {
        read_integer(element, reading);
    }
}

static void read_int64(const struct pq_meta_element *element, struct reading *reading) {
    static const struct {
        unsigned logical, unit;
        int converted;
        struct reading reading;
    } times[] = {
        {PQ_LOGICAL_TIMESTAMP, PQ_UNIT_MICROS, PQ_CONVERTED_TIMESTAMP_MICROS,
         {PQ_TIMESTAMP, PQ_CONVERT_NONE, 0, 0, true, NULL}},
        {PQ_LOGICAL_TIMESTAMP, PQ_UNIT_MILLIS, PQ_CONVERTED_TIMESTAMP_MILLIS,
         {PQ_TIMESTAMP, PQ_CONVERT_MILLIS, 0, 0, true, NULL}},
        {PQ_LOGICAL_TIMESTAMP, PQ_UNIT_NANOS, -1,
         {PQ_TIMESTAMP, PQ_CONVERT_NANOS, 0, 0, true, NULL}},
        {PQ_LOGICAL_TIME, PQ_UNIT_MICROS, PQ_CONVERTED_TIME_MICROS,
         {PQ_TIME, PQ_CONVERT_NONE, 0, 0, true, NULL}},
        {PQ_LOGICAL_TIME, PQ_UNIT_NANOS, -1, {PQ_TIME, PQ_CONVERT_NANOS, 0, 0, true, NULL}},
    };
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (is_time(element, times[i].logical, times[i].unit) ||
            is_converted(element, times[i].converted)) {
            *reading = times[i].reading;
            return;
        }
    }
    read_integer(element, reading);
}

static void read_byte_array(const struct pq_meta_element *element, bool json_as_variant,
                            struct reading *reading) {
    if (is_logical(element, PQ_LOGICAL_JSON) || is_converted(element, PQ_CONVERTED_JSON)) {
        *reading = json_as_variant
                       ? (struct reading){PQ_VARIANT, PQ_CONVERT_JSON, 0, 0, false, NULL}
                       : (struct reading){PQ_TEXT, PQ_CONVERT_NONE, 0, 0, true, NULL};
    } else if (is_logical(element, PQ_LOGICAL_STRING) || is_logical(element, PQ_LOGICAL_ENUM) ||
               is_converted(element, PQ_CONVERTED_UTF8) ||
               is_converted(element, PQ_CONVERTED_ENUM)) {
        *reading = (struct reading){PQ_TEXT, PQ_CONVERT_NONE, 0, 0, true, NULL};
    } else {
        *reading = (struct reading){PQ_BINARY, PQ_CONVERT_NONE, 0, 0, true, NULL};
    }
}

static void read_fixed(const struct pq_meta_element *element, struct reading *reading) {
    if (is_logical(element, PQ_LOGICAL_UUID) && element->type_length == 16) {
        *reading = (struct reading){PQ_TEXT, PQ_CONVERT_UUID, 0, 0, false, NULL};
    } else if (is_logical(element, PQ_LOGICAL_FLOAT16) && element->type_length == 2) {
        *reading = (struct reading){PQ_FLOAT32, PQ_CONVERT_FLOAT16, 0, 0, false, NULL};
    } else {
        *reading = (struct reading){PQ_BINARY, PQ_CONVERT_FIXED, 0, 0, true, NULL};
    }
}

static struct reading read_leaf(const struct walk *walk, const struct pq_meta_element *element) {
    struct reading reading = {PQ_BOOL, PQ_CONVERT_NONE, 0, 0, true, NULL};
    if (is_logical(element, PQ_LOGICAL_UNKNOWN)) {
        return (struct reading){PQ_NULL, PQ_CONVERT_NULL, 0, 0, false, NULL};
    }
    if (read_decimal(element, &reading)) return reading;
    switch (element->type) {
        case PQ_PHYSICAL_INT32: read_int32(element, &reading); break;
        case PQ_PHYSICAL_INT64: read_int64(element, &reading); break;
        case PQ_PHYSICAL_INT96: {
            reading = (struct reading){PQ_TIMESTAMP, PQ_CONVERT_INT96, 0, 0, false, NULL};
            break;
        }
        case PQ_PHYSICAL_FLOAT: reading.kind = PQ_FLOAT32; break;
        case PQ_PHYSICAL_DOUBLE: reading.kind = PQ_FLOAT64; break;
        case PQ_PHYSICAL_BYTE_ARRAY:
            read_byte_array(element, walk->json_as_variant, &reading);
            break;
        case PQ_PHYSICAL_FIXED: read_fixed(element, &reading); break;
        default: break;
    }
    return reading;
}

static uint8_t primitive_of_int32(const struct pq_meta_element *element) {
    const struct pq_meta_integer *integer = &element->logical.integer;
    if (is_logical(element, PQ_LOGICAL_DATE) || is_converted(element, PQ_CONVERTED_DATE)) {
        return PQ_PRIMITIVE_DATE;
    }
    if (is_logical(element, PQ_LOGICAL_INTEGER)) {
        if (!integer->is_signed) return PQ_PRIMITIVE_COUNT;
        return integer->bit_width == 8    ? PQ_PRIMITIVE_INT8
               : integer->bit_width == 16 ? PQ_PRIMITIVE_INT16
                                          : PQ_PRIMITIVE_INT32;
    }
    if (is_converted(element, PQ_CONVERTED_INT_8)) return PQ_PRIMITIVE_INT8;
    if (is_converted(element, PQ_CONVERTED_INT_8 + 1)) return PQ_PRIMITIVE_INT16;
    const bool is_plain = !has(element, PQ_ELEMENT_CONVERTED) && !has(element, PQ_ELEMENT_LOGICAL);
    const bool is_int32 = is_converted(element, PQ_CONVERTED_INT_64 - 1);
    return is_plain || is_int32 ? PQ_PRIMITIVE_INT32 : PQ_PRIMITIVE_COUNT;
}

static uint8_t primitive_of_int64(const struct pq_meta_element *element) {
    if (is_logical(element, PQ_LOGICAL_TIMESTAMP)) {
        const bool is_utc = element->logical.time.is_utc;
        if (is_time(element, PQ_LOGICAL_TIMESTAMP, PQ_UNIT_NANOS)) {
            return is_utc ? PQ_PRIMITIVE_TIMESTAMP_NANOS : PQ_PRIMITIVE_TIMESTAMP_NTZ_NANOS;
        }
        if (!is_time(element, PQ_LOGICAL_TIMESTAMP, PQ_UNIT_MICROS)) return PQ_PRIMITIVE_COUNT;
        return is_utc ? PQ_PRIMITIVE_TIMESTAMP : PQ_PRIMITIVE_TIMESTAMP_NTZ;
    }
    if (is_converted(element, PQ_CONVERTED_TIMESTAMP_MICROS)) return PQ_PRIMITIVE_TIMESTAMP;
    if (is_time(element, PQ_LOGICAL_TIME, PQ_UNIT_MICROS) ||
        is_converted(element, PQ_CONVERTED_TIME_MICROS)) {
        return PQ_PRIMITIVE_TIME;
    }
    const bool is_signed =
        is_logical(element, PQ_LOGICAL_INTEGER) && element->logical.integer.is_signed;
    const bool is_plain = !has(element, PQ_ELEMENT_CONVERTED) && !has(element, PQ_ELEMENT_LOGICAL);
    return is_signed || is_plain || is_converted(element, PQ_CONVERTED_INT_64)
               ? PQ_PRIMITIVE_INT64
               : PQ_PRIMITIVE_COUNT;
}

/// What a typed value is in a variant; PQ_PRIMITIVE_COUNT: variants have nothing like it.
static uint8_t primitive_of(const struct pq_meta_element *element,
                            const struct reading *reading) {
    const bool is_decimal = reading->kind == PQ_DECIMAL && reading->precision <= 38;
    switch (element->type) {
        case PQ_PHYSICAL_BOOLEAN: return PQ_PRIMITIVE_TRUE;
        case PQ_PHYSICAL_INT32:
            return is_decimal ? PQ_PRIMITIVE_DECIMAL4 : primitive_of_int32(element);
        case PQ_PHYSICAL_INT64:
            if (reading->conversion == PQ_CONVERT_UINT64) return PQ_PRIMITIVE_COUNT;
            return is_decimal ? PQ_PRIMITIVE_DECIMAL8 : primitive_of_int64(element);
        case PQ_PHYSICAL_FLOAT: return PQ_PRIMITIVE_FLOAT;
        case PQ_PHYSICAL_DOUBLE: return PQ_PRIMITIVE_DOUBLE;
        case PQ_PHYSICAL_BYTE_ARRAY:
            if (is_decimal) return PQ_PRIMITIVE_DECIMAL16;
            if (reading->kind == PQ_BINARY) return PQ_PRIMITIVE_BINARY;
            return is_logical(element, PQ_LOGICAL_STRING) ||
                           is_converted(element, PQ_CONVERTED_UTF8)
                       ? PQ_PRIMITIVE_TEXT
                       : PQ_PRIMITIVE_COUNT;
        case PQ_PHYSICAL_FIXED:
            if (is_decimal) return PQ_PRIMITIVE_DECIMAL16;
            return reading->conversion == PQ_CONVERT_UUID ? PQ_PRIMITIVE_UUID
                                                          : PQ_PRIMITIVE_COUNT;
        default: return PQ_PRIMITIVE_COUNT;
    }
}

/// Typed values are read as they are stored, so that nothing of their kind is lost.
static struct reading read_shredded(const struct walk *walk, const struct pq_meta_element *element,
                                    uint8_t *primitive) {
    struct reading reading = read_leaf(walk, element);
    *primitive = primitive_of(element, &reading);
    if (*primitive == PQ_PRIMITIVE_COUNT) {
        reading.unreadable = "a shredded variant holds a type that variants do not have";
    } else if (*primitive == PQ_PRIMITIVE_UUID) {
        reading.kind = PQ_BINARY;
        reading.conversion = PQ_CONVERT_FIXED;
    } else if (reading.conversion == PQ_CONVERT_NANOS) {
        reading.kind = PQ_INT64;
        reading.conversion = PQ_CONVERT_NONE;
    }
    return reading;
}

static struct pq_leaf *add_leaf(struct walk *walk, const struct pq_meta_element *element,
                                const struct spot *spot) {
    struct pq_schema *schema = walk->schema;
    if (schema->leaf_count == walk->leaf_room) {
        const size_t room = walk->leaf_room == 0 ? 32 : walk->leaf_room * 2;
        void *grown = pq_resize(&walk->arena->alloc, schema->leaves, walk->leaf_room, room,
                                sizeof *schema->leaves);
        if (grown == NULL) return NULL;
        schema->leaves = grown;
        walk->leaf_room = room;
    }
    struct pq_text *path = pq_arena_calloc(walk->arena, walk->path_count, sizeof *path);
    if (path == NULL) return NULL;
    memcpy(path, walk->path, walk->path_count * sizeof *path);
    uint8_t primitive = 0;
    const struct reading reading = walk->in_variant ? read_shredded(walk, element, &primitive)
                                                    : read_leaf(walk, element);
    struct pq_leaf *leaf = &schema->leaves[schema->leaf_count++];
    *leaf = (struct pq_leaf){
        .physical = (enum pq_physical)element->type,
        .conversion = reading.conversion,
        .kind = reading.kind,
        .type_length = element->type == PQ_PHYSICAL_FIXED ? (uint32_t)element->type_length : 0,
        .max_def = spot->def,
        .max_rep = spot->rep,
        .scale = reading.scale,
        .primitive = primitive,
        .has_order = reading.has_order,
        .field_id = has(element, PQ_ELEMENT_FIELD_ID) ? element->field_id : 0,
        .path = path,
        .path_count = walk->path_count,
        .unreadable = walk->unreadable != NULL ? walk->unreadable : reading.unreadable,
    };
    return leaf;
}

static pqdb_code name_field(struct walk *walk, const struct pq_meta_element *element,
                            struct pq_field *field, pqdb_error *err) {
    field->name = pq_arena_copy(walk->arena, element->name);
    if (field->name.data == NULL) return pq_parquet_no_memory(err, "the schema");
    field->id = has(element, PQ_ELEMENT_FIELD_ID) ? element->field_id : 0;
    return PQDB_OK;
}

static pqdb_code read_node(struct walk *walk, struct spot spot, struct pq_field *field,
                           struct pq_node *node, pqdb_error *err);

/// The value of an element that was taken: its annotation, and all below it.
static pqdb_code read_value(struct walk *walk, const struct pq_meta_element *element,
                            struct spot spot, struct pq_field *field, struct pq_node *node,
                            pqdb_error *err);

static pqdb_code add_children(struct walk *walk, size_t count, struct pq_type *type,
                              struct pq_node *node, struct pq_field **fields, pqdb_error *err) {
    if (count > walk->file->element_count - walk->next) {
        return broken(err, "more members than elements");
    }
    *fields = pq_arena_calloc(walk->arena, count, sizeof **fields);
    node->children = pq_arena_calloc(walk->arena, count, sizeof *node->children);
    if (*fields == NULL || node->children == NULL) return pq_parquet_no_memory(err, "the schema");
    node->child_count = type->field_count = (uint32_t)count;
    type->fields = *fields;
    return PQDB_OK;
}

static pqdb_code read_members(struct walk *walk, const struct pq_meta_element *group,
                              struct spot spot, struct pq_type *type, struct pq_node *node,
                              pqdb_error *err) {
    struct pq_field *fields;
    type->kind = PQ_OBJECT;
    PQ_TRY(add_children(walk, (size_t)group->child_count, type, node, &fields, err));
    for (uint32_t i = 0; i < node->child_count; i++) {
        PQ_TRY(read_node(walk, spot, &fields[i], &node->children[i], err));
    }
    return PQDB_OK;
}

/// Is the repeated field below a LIST the element itself (a legacy shape), not the middle group?
static bool is_legacy_element(const struct walk *walk, const struct pq_meta_element *list,
                              const struct pq_meta_element *repeated) {
    if (!is_group(repeated) || repeated->child_count != 1) return true;
    const struct pq_meta_element *only = peek(walk, 0);
    if (only == NULL || is_repeated(only)) return true;
    if (pq_text_is(repeated->name, "array")) return true;
    const size_t length = list->name.length;
    return repeated->name.length == length + 6 &&
           memcmp(repeated->name.data, list->name.data, length) == 0 &&
           memcmp(repeated->name.data + length, "_tuple", 6) == 0;
}

/// The repeated element of a list, already taken; without spot.list it is a bare repeated field.
static pqdb_code read_list(struct walk *walk, const struct pq_meta_element *repeated,
                           struct spot spot, struct pq_type *type, struct pq_node *node,
                           pqdb_error *err) {
    struct pq_field *fields;
    type->kind = PQ_LIST;
    const bool is_element = spot.list == NULL || is_legacy_element(walk, spot.list, repeated);
    spot.list = NULL;
    spot.def++;
    spot.rep++;
    node->def_element = spot.def;
    node->rep = spot.rep;
    if (!is_element) {
        PQ_TRY(add_children(walk, 1, type, node, &fields, err));
        return read_node(walk, spot, &fields[0], &node->children[0], err);
    }
    fields = pq_arena_calloc(walk->arena, 1, sizeof *fields);
    node->children = pq_arena_calloc(walk->arena, 1, sizeof *node->children);
    if (fields == NULL || node->children == NULL) return pq_parquet_no_memory(err, "the schema");
    node->child_count = type->field_count = 1;
    type->fields = fields;
    PQ_TRY(name_field(walk, repeated, fields, err));
    fields->name = text_element;
    fields->required = node->children[0].is_required = true;
    node->children[0].def = spot.def;
    return read_value(walk, repeated, spot, fields, &node->children[0], err);
}

/// MAP { repeated group { key; value? } } as a list of objects.
static pqdb_code read_map(struct walk *walk, struct spot spot, struct pq_type *type,
                          struct pq_node *node, pqdb_error *err) {
    const struct pq_meta_element *repeated;
    PQ_TRY(take(walk, &repeated, err));
    struct pq_field *fields, *members;
    type->kind = PQ_LIST;
    spot.def++;
    spot.rep++;
    node->def_element = spot.def;
    node->rep = spot.rep;
    PQ_TRY(add_children(walk, 1, type, node, &fields, err));
    fields[0] = (struct pq_field){.name = text_element, .required = true};
    fields[0].type.kind = PQ_OBJECT;
    struct pq_node *entry = &node->children[0];
    *entry = (struct pq_node){
        .type = &fields[0].type,
        .is_required = true,
        .def = spot.def,
        .leaf = (uint32_t)walk->schema->leaf_count,
    };
    const size_t count = (size_t)repeated->child_count;
    walk->path[walk->path_count++] = repeated->name;
    PQ_TRY(add_children(walk, count, &fields[0].type, entry, &members, err));
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(read_node(walk, spot, &members[i], &entry->children[i], err));
        members[i].name = i == 0 ? text_key : text_value;
    }
    walk->path_count--;
    entry->leaf_count = (uint32_t)walk->schema->leaf_count - entry->leaf;
    return PQDB_OK;
}

/// A group of metadata, value and typed_value in any order; one of the last two may be missing.
static pqdb_code read_shredded_variant(struct walk *walk, const struct pq_meta_element *group,
                                       struct spot spot, struct pq_node *node, pqdb_error *err) {
    struct pq_type *type = pq_arena_calloc(walk->arena, 1, sizeof *type);
    struct pq_node *shredded = pq_arena_calloc(walk->arena, 1, sizeof *shredded);
    if (type == NULL || shredded == NULL) return pq_parquet_no_memory(err, "the schema");
    const size_t first = walk->schema->leaf_count;
    walk->in_variant = true;
    const pqdb_code code = read_members(walk, group, spot, type, shredded, err);
    walk->in_variant = false;
    if (code != PQDB_OK) return code;
    struct pq_leaf *leaves = walk->schema->leaves;
    const int metadata = pq_type_find(type, text_metadata), value = pq_type_find(type, text_value);
    const int typed = pq_type_find(type, text_typed_value);
    const bool has_parts =
        metadata >= 0 && (value >= 0 || typed >= 0) &&
        type->fields[metadata].required && type->fields[metadata].type.kind == PQ_BINARY &&
        (value < 0 || type->fields[value].type.kind == PQ_BINARY);
    if (!has_parts) {
        for (size_t i = first; i < walk->schema->leaf_count; i++) {
            leaves[i].unreadable = "a variant without metadata, or with other parts than it has";
        }
        return PQDB_OK;
    }
    node->metadata_leaf = shredded->children[metadata].leaf;
    leaves[node->metadata_leaf].conversion = PQ_CONVERT_VARIANT;
    shredded->type = type;
    shredded->is_required = node->is_required;
    shredded->def = node->def;
    shredded->leaf = (uint32_t)first;
    shredded->leaf_count = (uint32_t)(walk->schema->leaf_count - first);
    node->shredded = shredded;
    return PQDB_OK;
}

static bool is_binary(const struct pq_meta_element *element) {
    return element != NULL && !is_group(element) && element->type == PQ_PHYSICAL_BYTE_ARRAY;
}

/// A VARIANT group. Unshredded: required metadata and value, in either order.
static pqdb_code read_variant(struct walk *walk, const struct pq_meta_element *group,
                              struct spot spot, struct pq_type *type, struct pq_node *node,
                              pqdb_error *err) {
    const struct pq_meta_element *first = peek(walk, 0), *second = peek(walk, 1);
    const bool is_plain = group->child_count == 2 && is_binary(first) && is_binary(second) &&
                          first->repetition == PQ_REQUIRED && second->repetition == PQ_REQUIRED;
    const bool in_order = is_plain && pq_text_equal(first->name, text_metadata) &&
                          pq_text_equal(second->name, text_value);
    const bool is_swapped = is_plain && pq_text_equal(second->name, text_metadata) &&
                            pq_text_equal(first->name, text_value);
    if (!in_order && !is_swapped) {
        *type = (struct pq_type){.kind = PQ_VARIANT};
        return read_shredded_variant(walk, group, spot, node, err);
    }
    struct pq_type group_type = {0};
    const uint32_t leaf = node->leaf;
    PQ_TRY(read_members(walk, group, spot, &group_type, node, err));
    *type = (struct pq_type){.kind = PQ_VARIANT};
    node->child_count = 0;
    struct pq_leaf *leaves = &walk->schema->leaves[leaf];
    for (size_t i = 0; i < 2; i++) {
        leaves[i].kind = PQ_BINARY;
        leaves[i].conversion = PQ_CONVERT_VARIANT;
        leaves[i].has_order = false;
    }
    node->is_value_first = is_swapped;
    return PQDB_OK;
}

static bool is_map(const struct walk *walk, const struct pq_meta_element *element) {
    if (!is_logical(element, PQ_LOGICAL_MAP) && !is_converted(element, PQ_CONVERTED_MAP) &&
        !is_converted(element, PQ_CONVERTED_MAP_KEY_VALUE)) {
        return false;
    }
    const struct pq_meta_element *entry = peek(walk, 0);
    return element->child_count == 1 && entry != NULL && is_repeated(entry) && is_group(entry) &&
           entry->child_count >= 1 && entry->child_count <= 2;
}

static bool is_list(const struct walk *walk, const struct pq_meta_element *element) {
    if (!is_logical(element, PQ_LOGICAL_LIST) && !is_converted(element, PQ_CONVERTED_LIST)) {
        return false;
    }
    const struct pq_meta_element *repeated = peek(walk, 0);
    return element->child_count == 1 && repeated != NULL && is_repeated(repeated);
}

static pqdb_code read_group(struct walk *walk, const struct pq_meta_element *element,
                            struct spot spot, struct pq_field *field, struct pq_node *node,
                            pqdb_error *err) {
    if (is_logical(element, PQ_LOGICAL_VARIANT) && !walk->in_variant) {
        return read_variant(walk, element, spot, &field->type, node, err);
    }
    if (is_map(walk, element) && !walk->in_variant) {
        return read_map(walk, spot, &field->type, node, err);
    }
    if (!is_list(walk, element)) {
        return read_members(walk, element, spot, &field->type, node, err);
    }
    const struct pq_meta_element *repeated;
    PQ_TRY(take(walk, &repeated, err));
    walk->path[walk->path_count++] = repeated->name;
    spot.list = element;
    PQ_TRY(read_list(walk, repeated, spot, &field->type, node, err));
    walk->path_count--;
    return PQDB_OK;
}

static pqdb_code read_value(struct walk *walk, const struct pq_meta_element *element,
                            struct spot spot, struct pq_field *field, struct pq_node *node,
                            pqdb_error *err) {
    if (++spot.depth > PQ_SCHEMA_DEPTH_MAX) {
        return pq_fail(err, PQDB_UNSUPPORTED, "the Parquet schema is nested deeper than %d",
                       PQ_SCHEMA_DEPTH_MAX);
    }
    node->type = &field->type;
    node->leaf = (uint32_t)walk->schema->leaf_count;
    if (is_group(element)) {
        PQ_TRY(read_group(walk, element, spot, field, node, err));
    } else {
        const struct pq_leaf *leaf = add_leaf(walk, element, &spot);
        if (leaf == NULL) return pq_parquet_no_memory(err, "the schema");
        uint8_t primitive;
        const struct reading reading = walk->in_variant ? read_shredded(walk, element, &primitive)
                                                        : read_leaf(walk, element);
        field->type.kind = reading.kind;
        field->type.precision = reading.precision;
        field->type.scale = reading.scale;
    }
    node->leaf_count = (uint32_t)walk->schema->leaf_count - node->leaf;
    return PQDB_OK;
}

static pqdb_code read_node(struct walk *walk, struct spot spot, struct pq_field *field,
                           struct pq_node *node, pqdb_error *err) {
    const struct pq_meta_element *element;
    PQ_TRY(take(walk, &element, err));
    PQ_TRY(name_field(walk, element, field, err));
    if (walk->path_count >= PQ_SCHEMA_DEPTH_MAX * 2) {
        return pq_fail(err, PQDB_UNSUPPORTED, "the Parquet schema is nested deeper than %d",
                       PQ_SCHEMA_DEPTH_MAX);
    }
    walk->path[walk->path_count++] = element->name;
    if (is_repeated(element)) {  // without a LIST around it: a required list
        field->required = node->is_required = true;
        node->def = spot.def;
        node->type = &field->type;
        node->leaf = (uint32_t)walk->schema->leaf_count;
        if (++spot.depth > PQ_SCHEMA_DEPTH_MAX) return broken(err, "nested too deep");
        PQ_TRY(read_list(walk, element, spot, &field->type, node, err));
        node->leaf_count = (uint32_t)walk->schema->leaf_count - node->leaf;
    } else {
        field->required = node->is_required = element->repetition == PQ_REQUIRED;
        if (!node->is_required) spot.def++;
        node->def = spot.def;
        PQ_TRY(read_value(walk, element, spot, field, node, err));
    }
    walk->path_count--;
    return PQDB_OK;
}

pqdb_code pq_schema_of_footer(const struct pq_meta_file *file, bool json_as_variant,
                              struct pq_arena *arena, struct pq_schema *schema, pqdb_error *err) {
    if (file->element_count == 0) return broken(err, "it is empty");
    const struct pq_meta_element *root = &file->elements[0];
    if (has(root, PQ_ELEMENT_TYPE) || root->child_count < 0) return broken(err, "no root group");
    *schema = (struct pq_schema){0};
    struct walk walk = {.file = file, .json_as_variant = json_as_variant, .arena = arena};
    walk.schema = schema;
    walk.next = 1;
    struct pq_type *type = pq_arena_calloc(arena, 1, sizeof *type);
    if (type == NULL) return pq_parquet_no_memory(err, "the schema");
    PQ_TRY(read_members(&walk, root, (struct spot){0}, type, &schema->root, err));
    if (walk.next != file->element_count) return broken(err, "elements are left over");
    schema->type = schema->root.type = type;
    schema->root.is_required = true;
    schema->root.leaf_count = (uint32_t)schema->leaf_count;
    return PQDB_OK;
}
