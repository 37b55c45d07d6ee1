/// collection/operators.c: the operators on single values. One descriptor each.
#include <math.h>

#include "base/fail.h"
#include "collection/update_internal.h"
#include "type/decimal.h"
#include "type/timestamp.h"

/// The operand in the place of what was there; the name stays.
static void put(struct pq_tree *slot, const struct pq_tree *value) {
    const struct pq_text name = slot->name;
    *slot = *value;
    slot->name = name;
}

// ---- $set, $unset, $setOnInsert, $rename ------------------------------------------------------

static pqdb_code apply_set(const struct pq_update_context *context,
                           const struct pq_operation *operation, struct pq_tree *slot,
                           pqdb_error *err) {
    struct pq_tree copy;
    PQ_TRY(pq_tree_copy(&operation->operand, context->arena, &copy, err));
    put(slot, &copy);
    return PQDB_OK;
}

static pqdb_code apply_unset(const struct pq_update_context *context,
                             const struct pq_operation *operation, struct pq_tree *slot,
                             pqdb_error *err) {
    (void)context, (void)operation, (void)err;
    put(slot, &(struct pq_tree){0});
    return PQDB_OK;
}

static const struct pq_operator operator_set = {
    .name = "$set", .makes_way = true, .apply = apply_set};
static const struct pq_operator operator_unset = {
    .name = "$unset", .removes = true, .apply = apply_unset};
static const struct pq_operator operator_set_on_insert = {
    .name = "$setOnInsert", .makes_way = true, .on_insert = true, .apply = apply_set};
static const struct pq_operator operator_rename = {
    .name = "$rename", .removes = true, .renames = true, .apply = apply_unset};

// ---- $inc, $mul -------------------------------------------------------------------------------

static bool is_number(const struct pq_tree *tree) {
    const enum pq_kind kind = tree->value.kind;
    return kind == PQ_INT64 || kind == PQ_FLOAT32 || kind == PQ_FLOAT64 || kind == PQ_DECIMAL;
}

static bool is_real(const struct pq_tree *tree) {
    return tree->value.kind == PQ_FLOAT32 || tree->value.kind == PQ_FLOAT64;
}

static struct pq_decimal decimal_of(const struct pq_tree *tree) {
    if (tree->value.kind == PQ_INT64) return (struct pq_decimal){tree->value.as.integer, 0};
    return (struct pq_decimal){tree->value.as.decimal, tree->value.scale};
}

static pqdb_code check_number(const struct pq_update_context *context,
                              struct pq_operation *operation, const struct pq_json *operand,
                              pqdb_error *err) {
    (void)context, (void)operand;
    if (is_number(&operation->operand)) return PQDB_OK;
    return pq_fail(err, PQDB_INVALID, "needs a number with %s, not %s", operation->kind->name,
                   pq_tree_kind_name(&operation->operand));
}

static pqdb_code calculate(const struct pq_operation *operation, struct pq_tree *slot,
                           bool multiplies, pqdb_error *err) {
    const struct pq_tree *by = &operation->operand;
    struct pq_tree result = {.as_written = true};
    if (is_real(slot) || is_real(by)) {
        const double a = pq_number_real(&slot->value), b = pq_number_real(&by->value);
        result.value = (struct pq_value){.kind = PQ_FLOAT64, .as.real = multiplies ? a * b : a + b};
        if (!isfinite(result.value.as.real) && isfinite(a)) {
            return pq_fail(err, PQDB_INVALID, "would be beyond the range of a double");
        }
    } else {
        struct pq_decimal exact;
        const struct pq_decimal a = decimal_of(slot), b = decimal_of(by);
        if (multiplies ? !pq_decimal_mul(a, b, &exact) : !pq_decimal_add(a, b, &exact)) {
            return pq_fail(err, PQDB_INVALID, "would need more than 38 digits");
        }
        const bool is_integer = exact.scale == 0 && exact.units == (int64_t)exact.units;
        result.value = is_integer
                           ? (struct pq_value){.kind = PQ_INT64, .as.integer = (int64_t)exact.units}
                           : (struct pq_value){.kind = PQ_DECIMAL, .scale = exact.scale,
                                               .as.decimal = exact.units};
    }
    put(slot, &result);
    return PQDB_OK;
}

static pqdb_code apply_number(const struct pq_operation *operation, struct pq_tree *slot,
                              bool multiplies, pqdb_error *err) {
    if (pq_tree_is_null(slot)) {
        const struct pq_tree zero = {.value = {.kind = PQ_INT64}, .as_written = true};
        put(slot, multiplies ? &zero : &operation->operand);
        return PQDB_OK;
    }
    if (is_number(slot)) return calculate(operation, slot, multiplies, err);
    return pq_fail(err, PQDB_INVALID, "is %s, and %s needs a number", pq_tree_kind_name(slot),
                   operation->kind->name);
}

static pqdb_code apply_inc(const struct pq_update_context *context,
                           const struct pq_operation *operation, struct pq_tree *slot,
                           pqdb_error *err) {
    (void)context;
    return apply_number(operation, slot, false, err);
}

static pqdb_code apply_mul(const struct pq_update_context *context,
                           const struct pq_operation *operation, struct pq_tree *slot,
                           pqdb_error *err) {
    (void)context;
    return apply_number(operation, slot, true, err);
}

static const struct pq_operator operator_inc = {.name = "$inc", .makes_way = true,
                                                .for_numbers = true, .check = check_number,
                                                .apply = apply_inc};
static const struct pq_operator operator_mul = {.name = "$mul", .makes_way = true,
                                                .for_numbers = true, .check = check_number,
                                                .apply = apply_mul};

// ---- $min, $max -------------------------------------------------------------------------------

static pqdb_code check_value(const struct pq_update_context *context,
                             struct pq_operation *operation, const struct pq_json *operand,
                             pqdb_error *err) {
    (void)context, (void)operand;
    if (!pq_tree_is_null(&operation->operand)) return PQDB_OK;
    return pq_fail(err, PQDB_INVALID, "needs a value with %s, not null", operation->kind->name);
}

static pqdb_code apply_extreme(const struct pq_update_context *context,
                               const struct pq_operation *operation, struct pq_tree *slot,
                               int wanted, pqdb_error *err) {
    const int order = pq_tree_is_null(slot) ? wanted : pq_tree_compare(&operation->operand, slot);
    if ((order < 0) != (wanted < 0) || order == 0) return PQDB_OK;
    return apply_set(context, operation, slot, err);
}

static pqdb_code apply_min(const struct pq_update_context *context,
                           const struct pq_operation *operation, struct pq_tree *slot,
                           pqdb_error *err) {
    return apply_extreme(context, operation, slot, -1, err);
}

static pqdb_code apply_max(const struct pq_update_context *context,
                           const struct pq_operation *operation, struct pq_tree *slot,
                           pqdb_error *err) {
    return apply_extreme(context, operation, slot, 1, err);
}

static const struct pq_operator operator_min = {
    .name = "$min", .makes_way = true, .check = check_value, .apply = apply_min};
static const struct pq_operator operator_max = {
    .name = "$max", .makes_way = true, .check = check_value, .apply = apply_max};

// ---- $currentDate -----------------------------------------------------------------------------

/// true, or { $type: 'timestamp' | 'date' }; the time is that of the write.
static pqdb_code check_current_date(const struct pq_update_context *context,
                                    struct pq_operation *operation, const struct pq_json *operand,
                                    pqdb_error *err) {
    (void)operand;
    const struct pq_tree *given = &operation->operand;
    const struct pq_tree *type = given->value.kind == PQ_OBJECT && given->count == 1
                                     ? pq_tree_find(given, PQ_TEXT("$type"))
                                     : NULL;
    const bool is_text = type != NULL && type->value.kind == PQ_TEXT;
    const bool as_date = is_text && pq_text_is(type->value.as.text, "date");
    const bool as_time = (is_text && pq_text_is(type->value.as.text, "timestamp")) ||
                         (given->value.kind == PQ_BOOL && given->value.as.boolean);
    if (!as_date && !as_time) {
        return pq_fail(err, PQDB_INVALID,
                       "takes true, { $type: 'timestamp' } or { $type: 'date' } with $currentDate");
    }
    const struct pq_declared_field *leaf = operation->path.leaf;
    const enum pq_kind kind = leaf == NULL ? PQ_VARIANT : leaf->field.type.kind;
    const int64_t now_us = context->now_us;
    const int64_t days = now_us / PQ_US_PER_DAY - (now_us % PQ_US_PER_DAY < 0);
    struct pq_tree now = {.value = {.kind = PQ_TIMESTAMP, .as.integer = now_us}};
    if (as_date || kind == PQ_DATE) {
        const bool at_midnight = kind == PQ_TIMESTAMP;
        now.value = (struct pq_value){.kind = at_midnight ? PQ_TIMESTAMP : PQ_DATE,
                                      .as.integer = days * (at_midnight ? PQ_US_PER_DAY : 1)};
    }
    if (kind == PQ_VARIANT) PQ_TRY(pq_tree_untype(&now, context->arena, err));
    operation->operand = now;
    return PQDB_OK;
}

static const struct pq_operator operator_current_date = {.name = "$currentDate", .makes_way = true,
                                                         .check = check_current_date,
                                                         .apply = apply_set};

const struct pq_operator *const pq_operators[] = {
    &operator_set,    &operator_unset,         &operator_inc,    &operator_mul,
    &operator_min,    &operator_max,           &pq_operator_push, &pq_operator_pull,
    &pq_operator_add_to_set, &pq_operator_pop, &operator_rename, &operator_current_date,
    &operator_set_on_insert, NULL,
};

// ---- applying ---------------------------------------------------------------------------------

static pqdb_code in_path(pqdb_code code, const struct pq_update_path *path, pqdb_error *err) {
    if (code != PQDB_OK && err != NULL && err->subject[0] == '\0') {
        pq_fail_subject(err, code, path->text);
    }
    return code;
}

static void leave(const struct pq_operation *operation, const struct pq_update_place *place) {
    if (!operation->kind->removes || place->container == NULL) return;
    if (place->container->value.kind == PQ_OBJECT && pq_tree_is_null(place->slot)) {
        pq_tree_remove(place->container, place->index);
    }
}

static pqdb_code rename_to(const struct pq_update_context *context,
                           const struct pq_operation *operation, const struct pq_tree *value,
                           struct pq_tree *column, pqdb_error *err) {
    const struct pq_update_path *to = &operation->to;
    struct pq_tree moved = *value;
    struct pq_update_place place;
    PQ_TRY(pq_update_path_find(to, column, true, context->arena, &place, err));
    if (place.container != NULL && place.container->value.kind == PQ_LIST) {
        return in_path(pq_fail(err, PQDB_INVALID, "is in a list, where $rename cannot go"), to,
                       err);
    }
    if (to->leaf == NULL || to->leaf->field.type.kind == PQ_VARIANT) {
        PQ_TRY(pq_tree_untype(&moved, context->arena, err));
    }
    put(place.slot, &moved);
    return PQDB_OK;
}

pqdb_code pq_operation_apply(const struct pq_update_context *context,
                             const struct pq_operation *operation, struct pq_tree *column,
                             struct pq_tree *to, pqdb_error *err) {
    const struct pq_operator *kind = operation->kind;
    const struct pq_update_path *path = &operation->path;
    struct pq_update_place place;
    if (err != NULL) err->subject[0] = '\0';
    PQ_TRY(pq_update_path_find(path, column, kind->makes_way, context->arena, &place, err));
    if (place.slot == NULL) return PQDB_OK;
    const struct pq_tree before = *place.slot;
    if (kind->renames && pq_tree_is_null(&before)) return PQDB_OK;
    if (kind->renames && place.container != NULL && place.container->value.kind == PQ_LIST) {
        return in_path(pq_fail(err, PQDB_INVALID, "is in a list, where $rename cannot go"), path,
                       err);
    }
    PQ_TRY(in_path(kind->apply(context, operation, place.slot, err), path, err));
    leave(operation, &place);
    return kind->renames ? rename_to(context, operation, &before, to, err) : PQDB_OK;
}
