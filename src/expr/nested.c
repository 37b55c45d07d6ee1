#include "expr/nested.h"

#include "variant/variant.h"

struct pq_value pq_value_plain(const struct pq_value *value) {
    return value->kind == PQ_VARIANT ? pq_variant_unwrap(&value->as.variant) : *value;
}

bool pq_value_is_list(const struct pq_value *plain) {
    return plain->kind == PQ_LIST || (plain->kind == PQ_VARIANT &&
                                      pq_variant_shape(&plain->as.variant) == PQ_VARIANT_ARRAY);
}

bool pq_value_is_object(const struct pq_value *plain) {
    return plain->kind == PQ_OBJECT || (plain->kind == PQ_VARIANT &&
                                        pq_variant_shape(&plain->as.variant) == PQ_VARIANT_OBJECT);
}

size_t pq_nested_count(const struct pq_value *plain) {
    if (plain->kind == PQ_VARIANT) return pq_variant_count(&plain->as.variant);
    if (plain->kind == PQ_OBJECT) return plain->as.nested.column->type->field_count;
    if (plain->kind != PQ_LIST) return 0;
    const uint32_t *at = plain->as.nested.column->offsets + plain->as.nested.row;
    return at[1] - at[0];
}

struct pq_value pq_nested_at(const struct pq_value *plain, size_t k, struct pq_text *name) {
    struct pq_value value;
    if (plain->kind == PQ_VARIANT) {
        struct pq_text ignored;
        value = (struct pq_value){.kind = PQ_VARIANT};
        value.as.variant = pq_variant_at(&plain->as.variant, k, name == NULL ? &ignored : name);
    } else {
        const struct pq_column *column = plain->as.nested.column;
        const size_t row = plain->as.nested.row;
        if (plain->kind == PQ_LIST) {
            value = pq_column_value(&column->children[0], column->offsets[row] + k);
        } else {
            value = pq_column_value(&column->children[k], row);
            if (name != NULL) *name = column->type->fields[k].name;
        }
    }
    return pq_value_plain(&value);
}

struct pq_members pq_members_of(const struct pq_value *plain) {
    return (struct pq_members){.object = plain};
}

/// The smallest name above the last one: quadratic, but typed objects are small and nothing is
/// allocated.
static bool next_declared(struct pq_members *members, size_t *found) {
    const struct pq_type *type = members->object->as.nested.column->type;
    bool any = false;
    for (size_t k = 0; k < type->field_count; k++) {
        const struct pq_text name = type->fields[k].name;
        if (members->begun && pq_text_compare(name, members->last) <= 0) continue;
        if (any && pq_text_compare(name, type->fields[*found].name) >= 0) continue;
        *found = k;
        any = true;
    }
    if (any) members->last = type->fields[*found].name;
    members->begun = true;
    return any;
}

bool pq_members_next(struct pq_members *members, struct pq_text *name, struct pq_value *value) {
    if (members->object->kind == PQ_VARIANT) {
        const size_t count = pq_variant_count(&members->object->as.variant);
        while (members->next < count) {
            *value = pq_nested_at(members->object, members->next++, name);
            if (value->kind != PQ_NULL) return true;
        }
        return false;
    }
    for (size_t k = 0; next_declared(members, &k);) {
        *value = pq_nested_at(members->object, k, name);
        if (value->kind != PQ_NULL) return true;
    }
    return false;
}
