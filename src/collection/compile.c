/// collection/compile.c: the text of an update into operations.
#include <stdio.h>

#include "base/fail.h"
#include "collection/compile_internal.h"

static const struct pq_operator *find_operator(struct pq_text name) {
    for (size_t i = 0; pq_operators[i] != NULL; i++) {
        if (pq_text_is(name, pq_operators[i]->name)) return pq_operators[i];
    }
    return NULL;
}

static pqdb_code unknown_operator(struct pq_text name, pqdb_error *err) {
    const char *names[32];
    size_t count = 0;
    while (pq_operators[count] != NULL) {
        names[count] = pq_operators[count]->name;
        count++;
    }
    const bool is_plain = name.length == 0 || name.data[0] != '$';
    const char *nearest = is_plain ? NULL : pq_text_nearest(name, names, count);
    if (is_plain) {
        pq_fail(err, PQDB_INVALID, "is no operator: an update says what to do with a field, like "
                                   "{ $set: { %.40s: … } }", name.data);
    } else {
        pq_fail(err, PQDB_INVALID, "is no update operator%s%s",
                nearest == NULL ? "" : ": did you mean ", nearest == NULL ? "" : nearest);
    }
    return pq_fail_subject(err, PQDB_INVALID, name);
}

/// A declared field of a kind the operator cannot work on is refused before any row is looked at.
static pqdb_code check_leaf(const struct pq_operation *operation, pqdb_error *err) {
    const struct pq_update_path *path = &operation->path;
    if (path->leaf == NULL) return PQDB_OK;
    const struct pq_type *type = &path->leaf->field.type;
    if (path->leaf_is_element) type = &type->fields[0].type;
    const enum pq_kind kind = type->kind;
    const bool is_number = kind == PQ_INT64 || kind == PQ_FLOAT32 || kind == PQ_FLOAT64 ||
                           kind == PQ_DECIMAL;
    if (kind == PQ_VARIANT) return PQDB_OK;
    if (operation->kind->for_numbers && !is_number) {
        return pq_fail(err, PQDB_INVALID, "is no number, and %s needs one", operation->kind->name);
    }
    if (operation->kind->for_lists && kind != PQ_LIST) {
        return pq_fail(err, PQDB_INVALID, "is no list, and %s needs one", operation->kind->name);
    }
    return PQDB_OK;
}

static pqdb_code compile_rename(const struct pq_update_context *context,
                                struct pq_operation *operation, pqdb_error *err) {
    const struct pq_value *to = &operation->operand.value;
    if (to->kind != PQ_TEXT) {
        return pq_fail(err, PQDB_INVALID, "needs its new name as text with $rename, not %s",
                       pq_tree_kind_name(&operation->operand));
    }
    return pq_update_path_resolve(context->entry, to->as.text, context->arena, &operation->to, err);
}

static pqdb_code compile_operation(const struct pq_update_context *context,
                                   struct pq_operation *operation, struct pq_text path,
                                   const struct pq_json *operand, pqdb_error *err) {
    PQ_TRY(pq_update_path_resolve(context->entry, path, context->arena, &operation->path, err));
    pqdb_code code = check_leaf(operation, err);
    if (code == PQDB_OK) {
        code = pq_tree_of_json(operand, context->arena, &operation->operand, err);
    }
    if (code == PQDB_OK && operation->kind->check != NULL) {
        code = operation->kind->check(context, operation, operand, err);
    }
    if (code == PQDB_OK && operation->kind->renames) {
        code = compile_rename(context, operation, err);
    }
    if (code != PQDB_OK && err != NULL && err->subject[0] == '\0') {
        pq_fail_subject(err, code, path);
    }
    return code;
}

static pqdb_code count_operations(const struct pq_json *root, size_t *total, pqdb_error *err) {
    *total = 0;
    const size_t count = pq_json_count(root);
    const struct pq_json *key = count == 0 ? NULL : pq_json_first(root);
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *fields = pq_json_next(key);
        const struct pq_text name = pq_json_text(key);
        if (find_operator(name) == NULL) return unknown_operator(name, err);
        if (pq_json_kind(fields) != PQ_JSON_OBJECT) {
            pq_fail(err, PQDB_INVALID, "takes an object of fields, like { %.*s: { field: … } }",
                    PQ_TEXT_ARG(name));
            return pq_fail_subject(err, PQDB_INVALID, name);
        }
        *total += pq_json_count(fields);
        key = pq_json_next(fields);
    }
    if (count == 0) {
        return pq_fail(err, PQDB_INVALID,
                       "an update needs at least one operator, like { $set: { field: … } }");
    }
    if (*total <= PQ_UPDATE_OPERATIONS_MAX) return PQDB_OK;
    return pq_fail(err, PQDB_LIMIT, "an update of more than %d operations",
                   PQ_UPDATE_OPERATIONS_MAX);
}

static pqdb_code refuse_pair(struct pq_text a, struct pq_text b, pqdb_error *err) {
    if (pq_text_equal(a, b)) {
        pq_fail(err, PQDB_INVALID, "is changed by two operators: use one of them");
    } else {
        pq_fail(err, PQDB_INVALID, "is changed by one operator and %.100s by another: use one",
                a.data);
    }
    return pq_fail_subject(err, PQDB_INVALID, b);
}

static pqdb_code check_pairs(const struct pq_operations *all, pqdb_error *err) {
    for (size_t i = 0; i < all->count; i++) {
        const struct pq_operation *a = &all->items[i];
        if (a->kind->renames && pq_update_paths_meet(&a->path, &a->to)) {
            return refuse_pair(a->path.text, a->to.text, err);
        }
        for (size_t k = 0; k < i; k++) {
            const struct pq_operation *b = &all->items[k];
            const struct pq_update_path *paths[] = {&b->path, b->kind->renames ? &b->to : NULL};
            for (size_t p = 0; p < 2 && paths[p] != NULL; p++) {
                if (pq_update_paths_meet(paths[p], &a->path)) {
                    return refuse_pair(paths[p]->text, a->path.text, err);
                }
                if (a->kind->renames && pq_update_paths_meet(paths[p], &a->to)) {
                    return refuse_pair(paths[p]->text, a->to.text, err);
                }
            }
        }
    }
    return PQDB_OK;
}

pqdb_code pq_operations_compile(const struct pq_update_context *context, const struct pq_json *root,
                                struct pq_operations *all, pqdb_error *err) {
    size_t total;
    if (err != NULL) err->subject[0] = '\0';
    if (pq_json_kind(root) != PQ_JSON_OBJECT) {
        return pq_fail(err, PQDB_INVALID,
                       "an update is an object of operators, like { $set: { field: … } }");
    }
    PQ_TRY(count_operations(root, &total, err));
    all->items = pq_arena_calloc(context->arena, total, sizeof *all->items);
    if (all->items == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an update");
    const struct pq_json *key = pq_json_first(root);
    for (size_t i = 0, count = pq_json_count(root); i < count; i++) {
        const struct pq_json *fields = pq_json_next(key);
        const struct pq_operator *kind = find_operator(pq_json_text(key));
        const size_t field_count = pq_json_count(fields);
        const struct pq_json *field = field_count == 0 ? NULL : pq_json_first(fields);
        for (size_t k = 0; k < field_count; k++) {
            const struct pq_json *operand = pq_json_next(field);
            struct pq_operation *operation = &all->items[all->count++];
            operation->kind = kind;
            PQ_TRY(compile_operation(context, operation, pq_json_text(field), operand, err));
            field = pq_json_next(operand);
        }
        key = pq_json_next(fields);
    }
    return check_pairs(all, err);
}

void pq_operations_deinit(struct pq_operations *all) {
    for (size_t i = 0; i < all->count; i++) pq_pull_destroy(all->items[i].pull);
}
