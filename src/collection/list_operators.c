/// collection/list_operators.c: the operators on lists. One descriptor each.
#include "base/fail.h"
#include "collection/update_internal.h"

static pqdb_code no_room(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "a value of an update");
}

/// The list that is there; a null becomes an empty one where `begins`. NULL: none is there.
static pqdb_code list_of(const struct pq_operation *operation, struct pq_tree *slot, bool begins,
                         struct pq_tree **list, pqdb_error *err) {
    *list = NULL;
    if (pq_tree_is_null(slot)) {
        if (!begins) return PQDB_OK;
        *slot = (struct pq_tree){.value.kind = PQ_LIST, .name = slot->name};
    }
    if (slot->value.kind != PQ_LIST) {
        return pq_fail(err, PQDB_INVALID, "is %s, and %s needs a list", pq_tree_kind_name(slot),
                       operation->kind->name);
    }
    *list = slot;
    return PQDB_OK;
}

static pqdb_code append(struct pq_tree *list, size_t index, const struct pq_tree *item,
                        struct pq_arena *arena, pqdb_error *err) {
    struct pq_tree copy;
    PQ_TRY(pq_tree_copy(item, arena, &copy, err));
    struct pq_tree *slot = pq_tree_insert(list, index, arena);
    if (slot == NULL) return no_room(err);
    *slot = copy;
    slot->name = (struct pq_text){0};
    return PQDB_OK;
}

// ---- operands ---------------------------------------------------------------------------------

static bool is_whole(const struct pq_tree *tree) { return tree->value.kind == PQ_INT64; }

static pqdb_code read_modifier(struct pq_operation *operation, const struct pq_tree *given,
                               pqdb_error *err) {
    const struct pq_text name = given->name;
    const bool is_push = operation->kind == &pq_operator_push;
    if (pq_text_is(name, "$each")) {
        if (given->value.kind != PQ_LIST) {
            return pq_fail(err, PQDB_INVALID, "needs a list with $each, not %s",
                           pq_tree_kind_name(given));
        }
        operation->items = *given;
        return PQDB_OK;
    }
    const bool is_position = is_push && pq_text_is(name, "$position");
    if (!is_position && !(is_push && pq_text_is(name, "$slice"))) {
        return pq_fail(err, PQDB_INVALID, "knows no %.*s with %s: only %s", PQ_TEXT_ARG(name),
                       operation->kind->name, is_push ? "$each, $position and $slice" : "$each");
    }
    if (!is_whole(given)) {
        return pq_fail(err, PQDB_INVALID, "needs a whole number with %.*s, not %s",
                       PQ_TEXT_ARG(name), pq_tree_kind_name(given));
    }
    if (is_position) {
        operation->has_position = true;
        operation->position = given->value.as.integer;
    } else {
        operation->has_slice = true;
        operation->slice = given->value.as.integer;
    }
    return PQDB_OK;
}

/// One value, or { $each: […], … }.
static pqdb_code check_items(const struct pq_update_context *context,
                             struct pq_operation *operation, const struct pq_json *operand,
                             pqdb_error *err) {
    (void)operand;
    struct pq_tree *given = &operation->operand;
    const bool has_modifiers = given->value.kind == PQ_OBJECT && given->count > 0 &&
                               given->items[0].name.length > 0 &&
                               given->items[0].name.data[0] == '$';
    operation->items = (struct pq_tree){.value.kind = PQ_LIST};
    if (has_modifiers) {
        bool has_each = false;
        for (size_t i = 0; i < given->count; i++) {
            has_each = has_each || pq_text_is(given->items[i].name, "$each");
            PQ_TRY(read_modifier(operation, &given->items[i], err));
        }
        if (!has_each) return pq_fail(err, PQDB_INVALID, "needs $each beside its modifiers");
    } else {
        struct pq_tree *only = pq_tree_insert(&operation->items, 0, context->arena);
        if (only == NULL) return no_room(err);
        *only = *given;
    }
    // Links are held as ids.
    const struct pq_declared_field *leaf = operation->path.leaf;
    for (size_t i = 0; leaf != NULL && leaf->relation != NULL && i < operation->items.count; i++) {
        struct pq_value *value = &operation->items.items[i].value;
        if (value->kind == PQ_TEXT) value->as.text = pq_relation_id(leaf->relation, value->as.text);
    }
    return PQDB_OK;
}

// ---- $push, $addToSet -------------------------------------------------------------------------

static size_t place_of(const struct pq_operation *operation, const struct pq_tree *list) {
    if (!operation->has_position) return list->count;
    const int64_t count = (int64_t)list->count;
    int64_t at = operation->position;
    if (at < 0) at = at < -count ? 0 : count + at;
    return (size_t)(at > count ? count : at);
}

static void slice(const struct pq_operation *operation, struct pq_tree *list) {
    if (!operation->has_slice) return;
    const int64_t wanted = operation->slice, count = (int64_t)list->count;
    if (wanted >= 0) {
        if (wanted < count) list->count = (size_t)wanted;
    } else if (wanted > -count) {
        const size_t gone = (size_t)(count + wanted);
        list->count -= gone;
        memmove(list->items, list->items + gone, list->count * sizeof *list->items);
    }
}

static pqdb_code apply_push(const struct pq_update_context *context,
                            const struct pq_operation *operation, struct pq_tree *slot,
                            pqdb_error *err) {
    struct pq_tree *list;
    PQ_TRY(list_of(operation, slot, true, &list, err));
    size_t at = place_of(operation, list);
    for (size_t i = 0; i < operation->items.count; i++) {
        PQ_TRY(append(list, at++, &operation->items.items[i], context->arena, err));
    }
    slice(operation, list);
    return PQDB_OK;
}

static bool contains(const struct pq_tree *list, const struct pq_tree *item) {
    for (size_t i = 0; i < list->count; i++) {
        if (pq_tree_equal(&list->items[i], item)) return true;
    }
    return false;
}

static pqdb_code apply_add_to_set(const struct pq_update_context *context,
                                  const struct pq_operation *operation, struct pq_tree *slot,
                                  pqdb_error *err) {
    struct pq_tree *list;
    PQ_TRY(list_of(operation, slot, true, &list, err));
    for (size_t i = 0; i < operation->items.count; i++) {
        const struct pq_tree *item = &operation->items.items[i];
        if (contains(list, item)) continue;
        PQ_TRY(append(list, list->count, item, context->arena, err));
    }
    return PQDB_OK;
}

const struct pq_operator pq_operator_push = {.name = "$push", .makes_way = true, .for_lists = true,
                                             .check = check_items, .apply = apply_push};
const struct pq_operator pq_operator_add_to_set = {.name = "$addToSet", .makes_way = true,
                                                   .for_lists = true, .check = check_items,
                                                   .apply = apply_add_to_set};

// ---- $pull ------------------------------------------------------------------------------------

static pqdb_code check_pull(const struct pq_update_context *context,
                            struct pq_operation *operation, const struct pq_json *operand,
                            pqdb_error *err) {
    const struct pq_declared_field *leaf = operation->path.leaf;
    struct pq_value *value = &operation->operand.value;
    if (leaf != NULL && leaf->relation != NULL && value->kind == PQ_TEXT) {
        value->as.text = pq_relation_id(leaf->relation, value->as.text);
    }
    return pq_pull_create(context, operation, operand, &operation->pull, err);
}

static pqdb_code apply_pull(const struct pq_update_context *context,
                            const struct pq_operation *operation, struct pq_tree *slot,
                            pqdb_error *err) {
    struct pq_tree *list;
    PQ_TRY(list_of(operation, slot, false, &list, err));
    if (list == NULL || list->count == 0) return PQDB_OK;
    bool *goes = pq_arena_calloc(context->arena, list->count, sizeof *goes);
    if (goes == NULL) return no_room(err);
    PQ_TRY(pq_pull_run(context, operation->pull, operation, list, goes, err));
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!goes[i]) list->items[kept++] = list->items[i];
    }
    list->count = kept;
    return PQDB_OK;
}

const struct pq_operator pq_operator_pull = {
    .name = "$pull", .for_lists = true, .check = check_pull, .apply = apply_pull};

// ---- $pop -------------------------------------------------------------------------------------

static pqdb_code check_pop(const struct pq_update_context *context, struct pq_operation *operation,
                           const struct pq_json *operand, pqdb_error *err) {
    (void)context, (void)operand;
    const struct pq_value *given = &operation->operand.value;
    if (given->kind == PQ_INT64 && (given->as.integer == 1 || given->as.integer == -1)) {
        return PQDB_OK;
    }
    return pq_fail(err, PQDB_INVALID, "takes 1 (the last) or -1 (the first) with $pop");
}

static pqdb_code apply_pop(const struct pq_update_context *context,
                           const struct pq_operation *operation, struct pq_tree *slot,
                           pqdb_error *err) {
    (void)context;
    struct pq_tree *list;
    PQ_TRY(list_of(operation, slot, false, &list, err));
    if (list == NULL || list->count == 0) return PQDB_OK;
    pq_tree_remove(list, operation->operand.value.as.integer == 1 ? list->count - 1 : 0);
    return PQDB_OK;
}

const struct pq_operator pq_operator_pop = {
    .name = "$pop", .for_lists = true, .check = check_pop, .apply = apply_pop};
