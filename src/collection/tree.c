#include <math.h>

#include "base/check.h"
#include "base/fail.h"
#include "collection/tree_internal.h"
#include "expr/compare.h"
#include "expr/nested.h"
#include "expr/print.h"
#include "type/decimal.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "a value of an update");
}

static struct pq_tree *room_for(size_t count, struct pq_tree *tree, struct pq_arena *arena) {
    tree->items = pq_arena_calloc(arena, count, sizeof *tree->items);
    tree->count = tree->capacity = tree->items == NULL ? 0 : count;
    return tree->items;
}

// ---- from JSON --------------------------------------------------------------------------------

static pqdb_code number_of_json(const struct pq_json *json, struct pq_tree *tree,
                                pqdb_error *err) {
    struct pq_value *value = &tree->value;
    struct pq_decimal exact;
    tree->as_written = true;
    if (pq_json_kind(json) == PQ_JSON_INT) {
        *value = (struct pq_value){.kind = PQ_INT64, .as.integer = pq_json_int(json)};
    } else if (pq_json_kind(json) == PQ_JSON_REAL) {
        *value = (struct pq_value){.kind = PQ_FLOAT64, .as.real = pq_json_real(json)};
    } else if (pq_decimal_parse_exact(pq_json_text(json), &exact)) {
        *value = exact.scale == 0 && exact.units == (int64_t)exact.units
                     ? (struct pq_value){.kind = PQ_INT64, .as.integer = (int64_t)exact.units}
                     : (struct pq_value){
                           .kind = PQ_DECIMAL, .scale = exact.scale, .as.decimal = exact.units};
    } else {
        double real;
        if (!pq_json_number_real(json, &real)) real = INFINITY;
        *value = (struct pq_value){.kind = PQ_FLOAT64, .as.real = real};
    }
    if (value->kind == PQ_FLOAT64 && !isfinite(value->as.real)) {
        return pq_fail(err, PQDB_INVALID, "is beyond the range of a double");
    }
    return PQDB_OK;
}

static pqdb_code of_json(const struct pq_json *json, struct pq_arena *arena, struct pq_tree *tree,
                         int depth, pqdb_error *err);

static pqdb_code items_of_json(const struct pq_json *json, struct pq_arena *arena,
                               struct pq_tree *tree, int depth, pqdb_error *err) {
    const bool is_object = pq_json_kind(json) == PQ_JSON_OBJECT;
    const size_t count = pq_json_count(json);
    if (room_for(count, tree, arena) == NULL) return no_memory(err);
    tree->value.kind = is_object ? PQ_OBJECT : PQ_LIST;
    const struct pq_json *at = count == 0 ? NULL : pq_json_first(json);
    for (size_t i = 0; i < count; i++, at = pq_json_next(at)) {
        struct pq_text name = {0};
        if (is_object) {
            name = pq_json_text(at);
            at = pq_json_next(at);
        }
        const pqdb_code code = of_json(at, arena, &tree->items[i], depth + 1, err);
        if (code != PQDB_OK && is_object) pq_fail_in_member(err, name);
        if (code != PQDB_OK && !is_object) pq_fail_in_element(err, i);
        PQ_TRY(code);
        tree->items[i].name = name;
    }
    return PQDB_OK;
}

static pqdb_code of_json(const struct pq_json *json, struct pq_arena *arena, struct pq_tree *tree,
                         int depth, pqdb_error *err) {
    *tree = (struct pq_tree){0};
    if (depth > PQ_VARIANT_DEPTH_MAX) {
        return pq_fail(err, PQDB_LIMIT, "nested deeper than %d levels", PQ_VARIANT_DEPTH_MAX);
    }
    switch (pq_json_kind(json)) {
    case PQ_JSON_NULL: return PQDB_OK;
    case PQ_JSON_BOOL:
        tree->value = (struct pq_value){.kind = PQ_BOOL, .as.boolean = pq_json_bool(json)};
        return PQDB_OK;
    case PQ_JSON_TEXT:
        tree->value = (struct pq_value){.kind = PQ_TEXT, .as.text = pq_json_text(json)};
        return PQDB_OK;
    case PQ_JSON_LIST:
    case PQ_JSON_OBJECT: return items_of_json(json, arena, tree, depth, err);
    default: return number_of_json(json, tree, err);
    }
}

pqdb_code pq_tree_of_json(const struct pq_json *json, struct pq_arena *arena, struct pq_tree *tree,
                          pqdb_error *err) {
    if (err != NULL) err->subject[0] = '\0';
    return of_json(json, arena, tree, 1, err);
}

// ---- from rows --------------------------------------------------------------------------------

static pqdb_code of_value(const struct pq_value *given, struct pq_arena *arena,
                          struct pq_tree *tree, pqdb_error *err) {
    const struct pq_value plain = pq_value_plain(given);
    const bool is_object = pq_value_is_object(&plain);
    *tree = (struct pq_tree){.value = plain};
    if (!is_object && !pq_value_is_list(&plain)) return PQDB_OK;
    const bool is_typed = plain.kind == PQ_OBJECT;
    const size_t count = pq_nested_count(&plain);
    if (room_for(count, tree, arena) == NULL) return no_memory(err);
    tree->value = (struct pq_value){.kind = is_object ? PQ_OBJECT : PQ_LIST};
    tree->count = 0;
    for (size_t k = 0; k < count; k++) {
        struct pq_text name = {0};
        const struct pq_value item = pq_nested_at(&plain, k, &name);
        if (is_typed && item.kind == PQ_NULL) continue;
        struct pq_tree *made = &tree->items[tree->count++];
        PQ_TRY(of_value(&item, arena, made, err));
        made->name = name;
    }
    return PQDB_OK;
}

pqdb_code pq_tree_of_row(const struct pq_column *column, size_t row, struct pq_arena *arena,
                         struct pq_tree *tree, pqdb_error *err) {
    const struct pq_value value = pq_column_value(column, row);
    return of_value(&value, arena, tree, err);
}

pqdb_code pq_tree_copy(const struct pq_tree *tree, struct pq_arena *arena, struct pq_tree *copy,
                       pqdb_error *err) {
    *copy = *tree;
    if (tree->value.kind != PQ_LIST && tree->value.kind != PQ_OBJECT) return PQDB_OK;
    if (room_for(tree->count, copy, arena) == NULL) return no_memory(err);
    for (size_t i = 0; i < tree->count; i++) {
        PQ_TRY(pq_tree_copy(&tree->items[i], arena, &copy->items[i], err));
    }
    return PQDB_OK;
}

// ---- changes ----------------------------------------------------------------------------------

struct pq_tree *pq_tree_find(const struct pq_tree *object, struct pq_text name) {
    for (size_t i = 0; i < object->count; i++) {
        if (pq_text_equal(object->items[i].name, name)) return &object->items[i];
    }
    return NULL;
}

struct pq_tree *pq_tree_insert(struct pq_tree *container, size_t index, struct pq_arena *arena) {
    pq_assert(index <= container->count);
    if (container->count == container->capacity) {
        const size_t capacity = container->capacity < 4 ? 8 : container->capacity * 2;
        struct pq_tree *grown = pq_arena_alloc(arena, capacity * sizeof *grown);
        if (grown == NULL) return NULL;
        if (container->count > 0) {
            memcpy(grown, container->items, container->count * sizeof *grown);
        }
        container->items = grown;
        container->capacity = capacity;
    }
    memmove(container->items + index + 1, container->items + index,
            (container->count - index) * sizeof *container->items);
    container->items[index] = (struct pq_tree){0};
    container->count++;
    return &container->items[index];
}

void pq_tree_remove(struct pq_tree *container, size_t index) {
    container->count--;
    memmove(container->items + index, container->items + index + 1,
            (container->count - index) * sizeof *container->items);
}

// ---- into variants and JSON -------------------------------------------------------------------

/// The scalar as a variant keeps it. A nested value points to its tree.
static struct pq_value value_of(const struct pq_tree *tree) {
    struct pq_value value = tree->value;
    if (value.kind == PQ_LIST || value.kind == PQ_OBJECT) {
        value.as.nested.column = (const struct pq_column *)(const void *)tree;
    } else if (value.kind == PQ_DECIMAL && tree->as_written && value.scale > 0) {
        value = (struct pq_value){.kind = PQ_FLOAT64, .as.real = pq_number_real(&tree->value)};
    }
    return value;
}

static const struct pq_tree *tree_of(const struct pq_value *nested) {
    return (const struct pq_tree *)(const void *)nested->as.nested.column;
}

static size_t item_count(const struct pq_value *nested) { return tree_of(nested)->count; }

static struct pq_value item_at(const struct pq_value *nested, size_t k, struct pq_text *name) {
    const struct pq_tree *item = &tree_of(nested)->items[k];
    *name = item->name;
    return value_of(item);
}

static const struct pq_variant_nested trees = {.count = item_count, .at = item_at};

pqdb_code pq_tree_encode(const struct pq_tree *tree, struct pq_variant_encoder *encoder,
                         struct pq_bytes *out, bool *own, pqdb_error *err) {
    const struct pq_value value = value_of(tree);
    pq_variant_encoder_look_inside(encoder, &trees);
    return pq_variant_encode_any(encoder, &value, out, own, err);
}

pqdb_code pq_tree_print(const struct pq_tree *tree, struct pq_bytes *out, pqdb_error *err) {
    const enum pq_kind kind = tree->value.kind;
    if ((kind == PQ_FLOAT64 || kind == PQ_FLOAT32) && !isfinite(tree->value.as.real)) {
        return pq_fail(err, PQDB_INVALID, "holds NaN or Infinity, which no write can give: "
                                          "$set the whole field");
    }
    if (kind != PQ_LIST && kind != PQ_OBJECT) return pq_print_json(out, &tree->value, err);
    const bool is_object = kind == PQ_OBJECT;
    PQ_TRY(pq_bytes_append_byte(out, is_object ? '{' : '[', err));
    for (size_t i = 0; i < tree->count; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        if (is_object) {
            PQ_TRY(pq_json_write_text(out, tree->items[i].name, err));
            PQ_TRY(pq_bytes_append_byte(out, ':', err));
        }
        PQ_TRY(pq_tree_print(&tree->items[i], out, err));
    }
    return pq_bytes_append_byte(out, is_object ? '}' : ']', err);
}

pqdb_code pq_tree_untype(struct pq_tree *tree, struct pq_arena *arena, pqdb_error *err) {
    for (size_t i = 0; i < tree->count; i++) PQ_TRY(pq_tree_untype(&tree->items[i], arena, err));
    switch (tree->value.kind) {
    case PQ_FLOAT32: tree->value.kind = PQ_FLOAT64; return PQDB_OK;
    case PQ_DECIMAL: tree->as_written = true; return PQDB_OK;
    case PQ_DATE:
    case PQ_TIME:
    case PQ_TIMESTAMP:
    case PQ_BINARY: break;
    default: return PQDB_OK;
    }
    struct pq_bytes text;
    pq_bytes_init(&text, &arena->alloc);
    PQ_TRY(pq_print_text(&text, &tree->value, err));
    tree->value = (struct pq_value){.kind = PQ_TEXT, .as.text = pq_bytes_text(&text)};
    return PQDB_OK;
}

// ---- comparing --------------------------------------------------------------------------------

static bool is_nested(const struct pq_tree *tree) {
    return tree->value.kind == PQ_LIST || tree->value.kind == PQ_OBJECT;
}

/// Lists before objects, both behind everything that is no null.
static int nested_rank(const struct pq_tree *tree) {
    if (tree->value.kind == PQ_NULL) return 3;
    return tree->value.kind == PQ_OBJECT ? 2 : tree->value.kind == PQ_LIST ? 1 : 0;
}

static int compare_lists(const struct pq_tree *a, const struct pq_tree *b) {
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        const int order = pq_tree_compare(&a->items[i], &b->items[i]);
        if (order != 0) return order;
    }
    return a->count < b->count ? -1 : a->count > b->count;
}

/// The member that is not null with the lowest name above `last`, or NULL.
static const struct pq_tree *member_after(const struct pq_tree *object,
                                          const struct pq_text *last) {
    const struct pq_tree *next = NULL;
    for (size_t i = 0; i < object->count; i++) {
        const struct pq_tree *item = &object->items[i];
        if (pq_tree_is_null(item)) continue;
        if (last != NULL && pq_text_compare(item->name, *last) <= 0) continue;
        if (next == NULL || pq_text_compare(item->name, next->name) < 0) next = item;
    }
    return next;
}

static int compare_objects(const struct pq_tree *a, const struct pq_tree *b) {
    const struct pq_text *last = NULL;
    for (;;) {
        const struct pq_tree *x = member_after(a, last), *y = member_after(b, last);
        if (x == NULL || y == NULL) return x != NULL ? 1 : y != NULL ? -1 : 0;
        int order = pq_text_compare(x->name, y->name);
        if (order == 0) order = pq_tree_compare(x, y);
        if (order != 0) return order;
        last = &x->name;
    }
}

int pq_tree_compare(const struct pq_tree *a, const struct pq_tree *b) {
    if (is_nested(a) || is_nested(b)) {
        const int rank = nested_rank(a) - nested_rank(b);
        if (rank != 0) return rank;
        return a->value.kind == PQ_LIST ? compare_lists(a, b) : compare_objects(a, b);
    }
    int order;
    if (pq_value_relate(&a->value, &b->value, &order)) return order;
    return pq_value_compare(&a->value, &b->value);
}

bool pq_tree_equal(const struct pq_tree *a, const struct pq_tree *b) {
    if (is_nested(a) || is_nested(b)) return pq_tree_compare(a, b) == 0;
    return pq_value_match(&a->value, &b->value);
}

const char *pq_tree_kind_name(const struct pq_tree *tree) {
    switch (tree->value.kind) {
    case PQ_NULL: return "nothing";
    case PQ_BOOL: return "a boolean";
    case PQ_TEXT: return "text";
    case PQ_BINARY: return "binary";
    case PQ_LIST: return "a list";
    case PQ_OBJECT: return "an object";
    case PQ_DATE:
    case PQ_TIME:
    case PQ_TIMESTAMP: return "a time";
    default: return "a number";
    }
}
