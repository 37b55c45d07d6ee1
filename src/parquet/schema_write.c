/// From a pq_type to SchemaElements, nodes and leaves, in one walk.
#include <stdio.h>

#include "base/check.h"
#include "parquet/schema.h"

struct walk {
    struct pq_arena *arena;
    enum pq_parquet_variant_form form;
    struct pq_schema *schema;
    size_t element_room, leaf_room;
    struct pq_text path[PQ_SCHEMA_DEPTH_MAX * 3 + 2];
    size_t path_count;
};

struct spot {  // where a node stands
    int depth;
    uint8_t def, rep;
};

static struct pq_meta_element *add_element(struct walk *walk, struct pq_text name,
                                           int repetition, int32_t field_id) {
    struct pq_schema *schema = walk->schema;
    if (schema->element_count == walk->element_room) {
        const size_t room = walk->element_room == 0 ? 32 : walk->element_room * 2;
        void *grown = pq_resize(&walk->arena->alloc, schema->elements, walk->element_room, room,
                                sizeof *schema->elements);
        if (grown == NULL) return NULL;
        schema->elements = grown;
        walk->element_room = room;
    }
    struct pq_meta_element *element = &schema->elements[schema->element_count++];
    *element = (struct pq_meta_element){
        .has = 1u << PQ_ELEMENT_REPETITION | 1u << PQ_ELEMENT_NAME,
        .repetition = repetition,
        .name = name,
        .field_id = field_id,
    };
    if (field_id != 0) element->has |= 1u << PQ_ELEMENT_FIELD_ID;
    return element;
}

static void set_converted(struct pq_meta_element *element, enum pq_converted converted) {
    element->converted = (int32_t)converted;
    element->has |= 1u << PQ_ELEMENT_CONVERTED;
}

static void set_logical(struct pq_meta_element *element, enum pq_logical logical) {
    element->logical.has = 1u << logical;
    element->has |= 1u << PQ_ELEMENT_LOGICAL;
}

static void set_children(struct pq_meta_element *element, size_t count) {
    element->child_count = (int32_t)count;
    element->has |= 1u << PQ_ELEMENT_CHILD_COUNT;
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
    struct pq_leaf *leaf = &schema->leaves[schema->leaf_count++];
    *leaf = (struct pq_leaf){
        .physical = (enum pq_physical)element->type,
        .type_length = (uint32_t)element->type_length,
        .max_def = spot->def,
        .max_rep = spot->rep,
        .field_id = element->field_id,
        .path = path,
        .path_count = walk->path_count,
    };
    return leaf;
}

/// FIXED_LEN_BYTE_ARRAY takes the fewest bytes that hold the precision.
static int32_t decimal_bytes(unsigned precision) {
    static const uint8_t precision_max[] = {0,  2,  4,  6,  9,  11, 14, 16, 18,
                                            21, 23, 26, 28, 31, 33, 35, 38};
    int32_t bytes = 1;
    while (precision_max[bytes] < precision) bytes++;
    return bytes;
}

static void set_decimal(struct pq_meta_element *element, const struct pq_type *type) {
    set_converted(element, PQ_CONVERTED_DECIMAL);
    set_logical(element, PQ_LOGICAL_DECIMAL);
    element->precision = type->precision;
    element->scale = type->scale;
    element->has |= 1u << PQ_ELEMENT_PRECISION | 1u << PQ_ELEMENT_SCALE;
    element->logical.decimal = (struct pq_meta_decimal){6, type->scale, type->precision};
    if (type->precision <= 9) {
        element->type = PQ_PHYSICAL_INT32;
    } else if (type->precision <= 18) {
        element->type = PQ_PHYSICAL_INT64;
    } else {
        element->type = PQ_PHYSICAL_FIXED;
        element->type_length = decimal_bytes(type->precision);
        element->has |= 1u << PQ_ELEMENT_TYPE_LENGTH;
    }
}

static void set_time(struct pq_meta_element *element, bool is_timestamp) {
    set_converted(element,
                  is_timestamp ? PQ_CONVERTED_TIMESTAMP_MICROS : PQ_CONVERTED_TIME_MICROS);
    set_logical(element, is_timestamp ? PQ_LOGICAL_TIMESTAMP : PQ_LOGICAL_TIME);
    element->type = PQ_PHYSICAL_INT64;
    element->logical.time =
        (struct pq_meta_time){6, is_timestamp, {1u << PQ_UNIT_MICROS, {0}}};
}

static void set_physical(struct pq_meta_element *element, const struct pq_type *type) {
    element->has |= 1u << PQ_ELEMENT_TYPE;
    switch (type->kind) {
        case PQ_BOOL: element->type = PQ_PHYSICAL_BOOLEAN; break;
        case PQ_INT64: element->type = PQ_PHYSICAL_INT64; break;
        case PQ_FLOAT32: element->type = PQ_PHYSICAL_FLOAT; break;
        case PQ_FLOAT64: element->type = PQ_PHYSICAL_DOUBLE; break;
        case PQ_DECIMAL: set_decimal(element, type); break;
        case PQ_TIME: set_time(element, false); break;
        case PQ_TIMESTAMP: set_time(element, true); break;
        case PQ_DATE:
            element->type = PQ_PHYSICAL_INT32;
            set_converted(element, PQ_CONVERTED_DATE);
            set_logical(element, PQ_LOGICAL_DATE);
            break;
        case PQ_TEXT:
            element->type = PQ_PHYSICAL_BYTE_ARRAY;
            set_converted(element, PQ_CONVERTED_UTF8);
            set_logical(element, PQ_LOGICAL_STRING);
            break;
        case PQ_BINARY: element->type = PQ_PHYSICAL_BYTE_ARRAY; break;
        case PQ_VARIANT:
            element->type = PQ_PHYSICAL_BYTE_ARRAY;
            set_converted(element, PQ_CONVERTED_JSON);
            set_logical(element, PQ_LOGICAL_JSON);
            break;
        default:
            pq_assert(type->kind == PQ_NULL);
            element->type = PQ_PHYSICAL_INT32;
            set_logical(element, PQ_LOGICAL_UNKNOWN);
    }
}

static enum pq_conversion conversion_of(enum pq_kind kind) {
    switch (kind) {
        case PQ_DECIMAL: return PQ_CONVERT_DECIMAL;
        case PQ_VARIANT: return PQ_CONVERT_JSON;
        case PQ_NULL: return PQ_CONVERT_NULL;
        default: return PQ_CONVERT_NONE;
    }
}

static pqdb_code add_scalar(struct walk *walk, const struct pq_type *type,
                            struct pq_meta_element *element, const struct spot *spot,
                            pqdb_error *err) {
    set_physical(element, type);
    struct pq_leaf *leaf = add_leaf(walk, element, spot);
    if (leaf == NULL) return pq_parquet_no_memory(err, "the schema");
    leaf->kind = type->kind;
    leaf->scale = type->scale;
    leaf->conversion = conversion_of(type->kind);
    leaf->has_order = type->kind != PQ_VARIANT && type->kind != PQ_NULL;
    return PQDB_OK;
}

/// group (VARIANT) { required binary metadata; required binary value }
static pqdb_code add_variant(struct walk *walk, struct pq_meta_element *group,
                             const struct spot *spot, pqdb_error *err) {
    set_logical(group, PQ_LOGICAL_VARIANT);
    group->logical.variant = (struct pq_meta_variant){2, 1};
    set_children(group, 2);
    static const struct pq_text names[] = {{"metadata", 8}, {"value", 5}};
    for (size_t i = 0; i < 2; i++) {
        struct pq_meta_element *element = add_element(walk, names[i], PQ_REQUIRED, 0);
        if (element == NULL) return pq_parquet_no_memory(err, "the schema");
        element->has |= 1u << PQ_ELEMENT_TYPE;
        element->type = PQ_PHYSICAL_BYTE_ARRAY;
        walk->path[walk->path_count++] = names[i];
        struct pq_leaf *leaf = add_leaf(walk, element, spot);
        if (leaf == NULL) return pq_parquet_no_memory(err, "the schema");
        walk->path_count--;
        leaf->kind = PQ_BINARY;
        leaf->conversion = PQ_CONVERT_VARIANT;
    }
    return PQDB_OK;
}

static pqdb_code add_node(struct walk *walk, const struct pq_field *field, struct pq_text name,
                          struct spot spot, struct pq_node *node, pqdb_error *err);

static pqdb_code add_list(struct walk *walk, const struct pq_field *field,
                          struct pq_meta_element *group, struct spot spot, struct pq_node *node,
                          pqdb_error *err) {
    static const struct pq_text list = {"list", 4}, element = {"element", 7};
    set_converted(group, PQ_CONVERTED_LIST);
    set_logical(group, PQ_LOGICAL_LIST);
    set_children(group, 1);
    struct pq_meta_element *middle = add_element(walk, list, PQ_REPEATED, 0);
    if (middle == NULL) return pq_parquet_no_memory(err, "the schema");
    set_children(middle, 1);
    walk->path[walk->path_count++] = list;
    spot.def++;
    spot.rep++;
    node->def_element = spot.def;
    node->rep = spot.rep;
    PQ_TRY(add_node(walk, &field->type.fields[0], element, spot, &node->children[0], err));
    walk->path_count--;
    return PQDB_OK;
}

static pqdb_code add_members(struct walk *walk, const struct pq_type *type, struct spot spot,
                             struct pq_node *node, pqdb_error *err) {
    for (uint32_t i = 0; i < type->field_count; i++) {
        PQ_TRY(add_node(walk, &type->fields[i], type->fields[i].name, spot, &node->children[i],
                        err));
    }
    return PQDB_OK;
}

static pqdb_code check_members(const struct pq_type *type, struct pq_text name, int depth,
                               pqdb_error *err) {
    if (depth > PQ_SCHEMA_DEPTH_MAX) {
        return pq_fail(err, PQDB_INVALID, "'%.*s' is nested deeper than %d", PQ_TEXT_ARG(name),
                       PQ_SCHEMA_DEPTH_MAX);
    }
    if (type->kind == PQ_OBJECT && type->field_count == 0) {
        return pq_fail(err, PQDB_INVALID, "object '%.*s' has no members; Parquet needs one",
                       PQ_TEXT_ARG(name));
    }
    return PQDB_OK;
}

static pqdb_code add_node(struct walk *walk, const struct pq_field *field, struct pq_text name,
                          struct spot spot, struct pq_node *node, pqdb_error *err) {
    const struct pq_type *type = &field->type;
    PQ_TRY(check_members(type, name, ++spot.depth, err));
    const bool is_required = field->required && type->kind != PQ_NULL;
    struct pq_meta_element *element =
        add_element(walk, name, is_required ? PQ_REQUIRED : PQ_OPTIONAL, field->id);
    if (element == NULL) return pq_parquet_no_memory(err, "the schema");
    if (!is_required) spot.def++;
    *node = (struct pq_node){
        .type = type,
        .is_required = is_required,
        .def = spot.def,
        .leaf = (uint32_t)walk->schema->leaf_count,
        .child_count = type->field_count,
        .children = pq_arena_calloc(walk->arena, type->field_count, sizeof *node),
    };
    if (node->children == NULL) return pq_parquet_no_memory(err, "the schema");
    walk->path[walk->path_count++] = name;
    if (type->kind == PQ_LIST) {
        PQ_TRY(add_list(walk, field, element, spot, node, err));
    } else if (type->kind == PQ_OBJECT) {
        set_children(element, type->field_count);
        PQ_TRY(add_members(walk, type, spot, node, err));
    } else if (type->kind == PQ_VARIANT && walk->form == PQ_VARIANT_ANNOTATED) {
        PQ_TRY(add_variant(walk, element, &spot, err));
    } else {
        PQ_TRY(add_scalar(walk, type, element, &spot, err));
    }
    walk->path_count--;
    node->leaf_count = (uint32_t)walk->schema->leaf_count - node->leaf;
    return PQDB_OK;
}

pqdb_code pq_schema_of_type(const struct pq_type *type, enum pq_parquet_variant_form form,
                            struct pq_arena *arena, struct pq_schema *schema, pqdb_error *err) {
    static const struct pq_text name = {"schema", 6};
    pq_assert(type->kind == PQ_OBJECT);
    PQ_TRY(check_members(type, name, 0, err));
    *schema = (struct pq_schema){.type = type};
    struct walk walk = {.arena = arena, .form = form, .schema = schema};
    struct pq_meta_element *root = add_element(&walk, name, PQ_REQUIRED, 0);
    struct pq_node *children = pq_arena_calloc(arena, type->field_count, sizeof *children);
    if (root == NULL || children == NULL) return pq_parquet_no_memory(err, "the schema");
    root->has = 1u << PQ_ELEMENT_NAME;
    set_children(root, type->field_count);
    schema->root = (struct pq_node){
        .type = type,
        .is_required = true,
        .child_count = type->field_count,
        .children = children,
    };
    PQ_TRY(add_members(&walk, type, (struct spot){0}, &schema->root, err));
    schema->root.leaf_count = (uint32_t)schema->leaf_count;
    return PQDB_OK;
}
