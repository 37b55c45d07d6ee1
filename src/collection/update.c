#include "collection/update.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "collection/compile_internal.h"
#include "expr/compare.h"
#include "ingest/fields.h"
#include "type/decimal.h"

struct pq_update {
    struct pq_update_options options;
    struct pq_arena arena;      // operands and paths
    struct pq_arena row_arena;  // trees of the running row
    struct pq_json_document *document;  // owned, as all below
    struct pq_field_reader *reader;
    struct pq_operations operations;
    uint32_t *columns;  // that the operations may change, ascending
    size_t *fields;     // of each, its place among the declared fields; _extra: SIZE_MAX
    size_t column_count;
    struct pq_bytes scratch;
};

// ---- life -------------------------------------------------------------------------------------

void pq_update_destroy(struct pq_update *update) {
    if (update == NULL) return;
    pq_operations_deinit(&update->operations);
    pq_field_reader_destroy(update->reader);
    pq_json_destroy(update->document);
    pq_bytes_deinit(&update->scratch);
    pq_arena_deinit(&update->row_arena);
    pq_arena_deinit(&update->arena);
    pq_free(update->options.alloc, update, 1, sizeof *update);
}

static struct pq_update_context context_of(struct pq_update *update, struct pq_arena *arena) {
    return (struct pq_update_context){.entry = update->options.entry,
                                      .alloc = update->options.alloc,
                                      .arena = arena,
                                      .now_us = update->options.now_us,
                                      .encoder = pq_field_encoder(update->reader),
                                      .names = update->options.names};
}

static void add_column(struct pq_update *update, const struct pq_update_path *path) {
    size_t at = 0;
    while (at < update->column_count && update->columns[at] < path->column) at++;
    if (at < update->column_count && update->columns[at] == path->column) return;
    const size_t behind = update->column_count++ - at;
    memmove(update->columns + at + 1, update->columns + at, behind * sizeof *update->columns);
    memmove(update->fields + at + 1, update->fields + at, behind * sizeof *update->fields);
    update->columns[at] = path->column;
    update->fields[at] = path->field == NULL
                             ? SIZE_MAX
                             : (size_t)(path->field - update->options.entry->fields);
}

static pqdb_code list_columns(struct pq_update *update, pqdb_error *err) {
    const struct pq_operations *all = &update->operations;
    update->columns = pq_arena_alloc(&update->arena, 2 * all->count * sizeof *update->columns);
    update->fields = pq_arena_alloc(&update->arena, 2 * all->count * sizeof *update->fields);
    if (update->columns == NULL || update->fields == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "an update");
    }
    for (size_t i = 0; i < all->count; i++) {
        if (all->items[i].kind->on_insert) continue;
        add_column(update, &all->items[i].path);
        if (all->items[i].kind->renames) add_column(update, &all->items[i].to);
    }
    return PQDB_OK;
}

pqdb_code pq_update_compile(const struct pq_update_options *options, struct pq_text operators,
                            struct pq_update **update, pqdb_error *err) {
    struct pq_update *made = pq_resize(options->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an update");
    *made = (struct pq_update){.options = *options};
    pq_arena_init(&made->arena, options->alloc);
    pq_arena_init(&made->row_arena, options->alloc);
    pq_bytes_init(&made->scratch, options->alloc);
    pqdb_code code = pq_json_parse(operators, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, options->alloc,
                                   &made->document, err);
    if (code != PQDB_OK) {
        pq_fail_subject(err, code, PQ_TEXT("operators"));
        goto done;
    }
    PQ_GO(pq_field_reader_create(options->entry, options->names, options->alloc, &made->reader,
                                 err));
    const struct pq_update_context context = context_of(made, &made->arena);
    PQ_GO(pq_operations_compile(&context, pq_json_root(made->document), &made->operations, err));
    PQ_GO(list_columns(made, err));
    *update = made;
    return PQDB_OK;
done:
    pq_update_destroy(made);
    return code;
}

// ---- one row ----------------------------------------------------------------------------------

static size_t place_of(const struct pq_update *update, uint32_t column) {
    size_t at = 0;
    while (update->columns[at] != column) at++;
    return at;
}

/// May the tree's value be appended as it is: of the builder's kind, under no rule?
static bool is_plain(const struct pq_declared_field *field, const struct pq_tree *tree,
                     const struct pq_builder *builder) {
    const enum pq_kind kind = builder->type->kind;
    if (tree->value.kind != kind || kind == PQ_LIST || kind == PQ_OBJECT) return false;
    if (kind == PQ_DECIMAL) {
        return tree->value.scale == builder->type->scale &&
               pq_decimal_fits(tree->value.as.decimal, builder->type->precision);
    }
    return field->form == PQ_FORM_ANY && field->relation == NULL;
}

static pqdb_code put_variant(struct pq_update *update, const struct pq_tree *tree,
                             struct pq_builder *builder, pqdb_error *err) {
    struct pq_bytes *scratch = &update->scratch;
    bool own;
    scratch->length = 0;
    PQ_TRY(pq_tree_encode(tree, pq_field_encoder(update->reader), scratch, &own, err));
    if (own) return pq_builder_append_own_names(builder, scratch->data, scratch->length, err);
    return pq_builder_append_bytes(builder, scratch->data, scratch->length, err);
}

/// The value of a column as it becomes, under the rules of its declaration.
static pqdb_code put(struct pq_update *update, size_t field_index, const struct pq_tree *tree,
                     struct pq_builder *builder, pqdb_error *err) {
    if (err != NULL) err->subject[0] = '\0';
    if (field_index == SIZE_MAX) {
        const bool is_empty = tree->value.kind != PQ_OBJECT || tree->count == 0;
        return is_empty ? pq_builder_append_null(builder, err)
                        : put_variant(update, tree, builder, err);
    }
    const struct pq_declared_field *field = &update->options.entry->fields[field_index];
    struct pq_text json = {0};
    if (!pq_tree_is_null(tree)) {
        if (is_plain(field, tree, builder)) {
            return pq_builder_append_value(builder, &tree->value, err);
        }
        pqdb_code code = PQDB_OK;
        if (builder->type->kind == PQ_VARIANT) {
            code = put_variant(update, tree, builder, err);
        } else {
            update->scratch.length = 0;
            code = pq_tree_print(tree, &update->scratch, err);
            json = pq_bytes_text(&update->scratch);
        }
        if (code != PQDB_OK) pq_fail_in_member(err, field->field.name);
        if (code != PQDB_OK || json.length == 0) return code;
    }
    return pq_field_read(update->reader, field_index, json, update->options.now_us, builder, err);
}

/// The field that supplies the row's id stays what it is.
static pqdb_code check_id_field(const struct pq_update *update, size_t at,
                                const struct pq_column *before, size_t row,
                                const struct pq_builder *after, pqdb_error *err) {
    const struct pq_entry *entry = update->options.entry;
    if (update->fields[at] == SIZE_MAX || entry->id_field.length == 0) return PQDB_OK;
    const struct pq_text name = entry->fields[update->fields[at]].field.name;
    if (!pq_text_equal(name, entry->id_field)) return PQDB_OK;
    const struct pq_column now = pq_builder_finish(after);
    if (pq_column_compare(before, row, &now, now.count - 1) == 0) return PQDB_OK;
    pq_fail(err, PQDB_INVALID, "supplies $id and cannot change: delete the row and create another");
    return pq_fail_subject(err, PQDB_INVALID, name);
}

/// "n: in row 'a' of Item it must be an integer …"
static pqdb_code in_row(const struct pq_update *update, struct pq_text id, pqdb_code code,
                        pqdb_error *err) {
    if (err == NULL || (code != PQDB_INVALID && code != PQDB_LIMIT)) return code;
    const pqdb_error fault = *err;
    pq_fail(err, code, "in row '%.*s' of %.*s it %s", (int)(id.length < 60 ? id.length : 60),
            id.data, PQ_TEXT_ARG(update->options.entry->name), fault.message);
    return pq_fail_subject(err, code, pq_text_of(fault.subject));
}

static pqdb_code change_row(struct pq_update *update, const struct pq_batch *old, size_t row,
                            struct pq_builder *builders, pqdb_error *err) {
    pq_arena_reset(&update->row_arena);
    const struct pq_update_context context = context_of(update, &update->row_arena);
    struct pq_tree *trees =
        pq_arena_calloc(&update->row_arena, update->column_count, sizeof *trees);
    if (trees == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a row of an update");
    for (size_t k = 0; k < update->column_count; k++) {
        PQ_TRY(pq_tree_of_row(&old->columns[update->columns[k]], row, &update->row_arena,
                              &trees[k], err));
    }
    for (size_t i = 0; i < update->operations.count; i++) {
        const struct pq_operation *operation = &update->operations.items[i];
        if (operation->kind->on_insert) continue;
        struct pq_tree *to = operation->kind->renames
                                 ? &trees[place_of(update, operation->to.column)]
                                 : NULL;
        PQ_TRY(pq_operation_apply(&context, operation,
                                  &trees[place_of(update, operation->path.column)], to, err));
    }
    for (size_t k = 0; k < update->column_count; k++) {
        PQ_TRY(put(update, update->fields[k], &trees[k], &builders[k], err));
        PQ_TRY(check_id_field(update, k, &old->columns[update->columns[k]], row, &builders[k],
                              err));
    }
    return PQDB_OK;
}

// ---- all rows ---------------------------------------------------------------------------------

/// Old rows, the columns as they become, and which rows differ.
struct run {
    struct pq_update *update;
    const struct pq_batch *old;
    struct pq_arena *arena;
    struct pq_builder *builders;  // one per changing column
    struct pq_column *fresh;
    uint32_t *changed;
    size_t count;
};

static pqdb_code find_changed(struct run *run, pqdb_error *err) {
    const struct pq_update *update = run->update;
    const struct pq_batch *old = run->old;
    run->changed = pq_arena_alloc(run->arena, old->count * sizeof *run->changed);
    if (run->changed == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an update");
    for (size_t row = 0; row < old->count; row++) {
        bool differs = false;
        for (size_t k = 0; k < update->column_count && !differs; k++) {
            differs = pq_column_compare(&old->columns[update->columns[k]], row, &run->fresh[k],
                                        row) != 0;
        }
        if (differs) run->changed[run->count++] = (uint32_t)row;
    }
    return PQDB_OK;
}

/// updatedAt and version, unless the entry declares them as its own.
static pqdb_code stamp(const struct pq_update *update, size_t count, struct pq_arena *arena,
                       struct pq_column *columns, pqdb_error *err) {
    static const size_t system[] = {PQ_COLUMN_UPDATED_AT, PQ_COLUMN_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct pq_column *column = &columns[system[i]];
        if (pq_entry_owns_column(update->options.entry, system[i])) continue;
        int64_t *values = pq_arena_alloc(arena, count * sizeof *values);
        if (values == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an update of %zu rows", count);
        const int64_t *before = column->values;
        for (size_t row = 0; row < count; row++) {
            values[row] = i == 0 ? update->options.now_us : before[row] + 1;
        }
        column->values = values;
        column->valid = NULL;
    }
    return PQDB_OK;
}

/// The rows that differ: changed columns as they become, the others as they are.
static pqdb_code assemble(const struct run *run, struct pq_batch *rows, pqdb_error *err) {
    const struct pq_update *update = run->update;
    const size_t width = run->old->type->field_count;
    struct pq_column *columns = pq_arena_alloc(run->arena, width * sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an update of %zu rows", run->count);
    size_t next = 0;
    for (size_t k = 0; k < width; k++) {
        const bool is_fresh = next < update->column_count && update->columns[next] == k;
        const struct pq_column *from = is_fresh ? &run->fresh[next++] : &run->old->columns[k];
        if (run->count == run->old->count) {
            columns[k] = *from;
        } else {
            PQ_TRY(pq_column_gather(from, run->changed, run->count, run->arena, &columns[k], err));
        }
    }
    *rows = (struct pq_batch){.type = run->old->type, .count = run->count, .columns = columns};
    return stamp(update, run->count, run->arena, columns, err);
}

/// Variants at any depth are written with the collection's names.
static void use_names(struct pq_builder *builder, const struct pq_variant_names *names) {
    if (builder->type->kind == PQ_VARIANT) builder->names = names;
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        use_names(&builder->children[k], names);
    }
}

static pqdb_code begin_run(struct run *run, pqdb_error *err) {
    const struct pq_update *update = run->update;
    const size_t width = update->column_count;
    run->builders = pq_arena_calloc(run->arena, width, sizeof *run->builders);
    run->fresh = pq_arena_calloc(run->arena, width, sizeof *run->fresh);
    if (run->builders == NULL || run->fresh == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "an update");
    }
    for (size_t k = 0; k < width; k++) {
        const struct pq_type *type = &run->old->type->fields[update->columns[k]].type;
        PQ_TRY(pq_builder_init(&run->builders[k], type, &run->arena->alloc, err));
        use_names(&run->builders[k], update->options.names);
    }
    return PQDB_OK;
}

pqdb_code pq_update_run(struct pq_update *update, const struct pq_batch *old,
                        struct pq_arena *arena, struct pq_updated *updated, pqdb_error *err) {
    struct run run = {.update = update, .old = old, .arena = arena};
    *updated = (struct pq_updated){.rows = {.type = old->type}};
    if (old->count == 0) return PQDB_OK;
    PQ_TRY(begin_run(&run, err));
    for (size_t row = 0; row < old->count; row++) {
        const pqdb_code code = change_row(update, old, row, run.builders, err);
        if (code != PQDB_OK) {
            return in_row(update, pq_column_text(&old->columns[PQ_COLUMN_ID], row), code, err);
        }
    }
    for (size_t k = 0; k < update->column_count; k++) {
        run.fresh[k] = pq_builder_finish(&run.builders[k]);
    }
    PQ_TRY(find_changed(&run, err));
    updated->old = run.changed;
    return assemble(&run, &updated->rows, err);
}

// ---- an upsert that creates -------------------------------------------------------------------

/// A path of the row to be created. `$id` is one, too.
static pqdb_code set_path(const struct pq_update_context *context, struct pq_text text,
                          const struct pq_tree *value, struct pq_tree *row, pqdb_error *err) {
    struct pq_arena *arena = context->arena;
    if (pq_text_is(text, "$id") || pq_text_is(text, "$type")) {
        struct pq_tree *member = pq_tree_insert(row, row->count, arena);
        if (member == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an upsert");
        *member = *value;
        member->name = text;
        return PQDB_OK;
    }
    struct pq_update_path path;
    PQ_TRY(pq_update_path_resolve(context->entry, text, arena, &path, err));
    if (path.field != NULL) {  // the row is an object: its first name is a step as well
        path.steps--;
        path.step_count++;
    }
    struct pq_update_place place;
    PQ_TRY(pq_update_path_find(&path, row, true, arena, &place, err));
    const struct pq_text name = place.slot->name;
    PQ_TRY(pq_tree_copy(value, arena, place.slot, err));
    place.slot->name = name;
    return PQDB_OK;
}

static bool has_operators(const struct pq_json *value) {
    if (pq_json_kind(value) != PQ_JSON_OBJECT || pq_json_count(value) == 0) return false;
    const struct pq_text first = pq_json_text(pq_json_first(value));
    return first.length > 0 && first.data[0] == '$';
}

/// Fields that the filter sets equal to a value, in all its conjuncts.
static pqdb_code set_equalities(const struct pq_update_context *context,
                                const struct pq_json *filter, struct pq_tree *row,
                                pqdb_error *err) {
    if (pq_json_kind(filter) != PQ_JSON_OBJECT) return PQDB_OK;
    const size_t count = pq_json_count(filter);
    const struct pq_json *key = count == 0 ? NULL : pq_json_first(filter);
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *value = pq_json_next(key);
        const struct pq_text name = pq_json_text(key);
        key = pq_json_next(value);
        if (pq_text_is(name, "$and") && pq_json_kind(value) == PQ_JSON_LIST) {
            const size_t parts = pq_json_count(value);
            const struct pq_json *part = parts == 0 ? NULL : pq_json_first(value);
            for (size_t k = 0; k < parts; k++, part = pq_json_next(part)) {
                PQ_TRY(set_equalities(context, part, row, err));
            }
            continue;
        }
        const bool is_field = name.data[0] != '$' || pq_text_is(name, "$id");
        const struct pq_json *equal = has_operators(value) ? pq_json_find(value, "$eq") : value;
        if (!is_field || equal == NULL || pq_json_kind(equal) == PQ_JSON_NULL) continue;
        struct pq_tree tree;
        PQ_TRY(pq_tree_of_json(equal, context->arena, &tree, err));
        PQ_TRY(set_path(context, name, &tree, row, err));
    }
    return PQDB_OK;
}

/// The tree of a whole row as `path` sees its column, and what it is afterwards.
static pqdb_code apply_to_row(const struct pq_update_context *context,
                              const struct pq_operation *operation, struct pq_tree *row,
                              pqdb_error *err) {
    struct pq_operation whole = *operation;
    if (whole.path.field != NULL) {
        whole.path.steps--;
        whole.path.step_count++;
    }
    if (whole.kind->renames && whole.to.field != NULL) {
        whole.to.steps--;
        whole.to.step_count++;
    }
    return pq_operation_apply(context, &whole, row, row, err);
}

/// The value of the field that supplies the id, for this id: an integer where it declares one.
static struct pq_tree supplier_of(const struct pq_entry *entry, struct pq_text id) {
    struct pq_tree tree = {.value = {.kind = PQ_TEXT, .as.text = id}};
    const struct pq_declared_field *field = pq_entry_find(entry, entry->id_field);
    char digits[24], again[24];
    if (field == NULL || field->field.type.kind != PQ_INT64 || id.length >= sizeof digits) {
        return tree;
    }
    memcpy(digits, id.data, id.length);
    digits[id.length] = '\0';
    const long long integer = strtoll(digits, NULL, 10);
    snprintf(again, sizeof again, "%lld", integer);
    if (strcmp(digits, again) == 0) {  // else the reader says that it must be an integer
        tree.value = (struct pq_value){.kind = PQ_INT64, .as.integer = integer};
    }
    return tree;
}

/// A row whose `$id` is given has the field that would supply it.
static pqdb_code set_supplier(const struct pq_update_context *context, struct pq_tree *row,
                              pqdb_error *err) {
    const struct pq_text name = context->entry->id_field;
    const struct pq_tree *id = pq_tree_find(row, PQ_TEXT("$id"));
    if (name.length == 0 || id == NULL || id->value.kind != PQ_TEXT) return PQDB_OK;
    if (pq_tree_find(row, name) != NULL) return PQDB_OK;
    const struct pq_tree value = supplier_of(context->entry, id->value.as.text);
    return set_path(context, name, &value, row, err);
}

/// It is another one after the operators, or in the filter?
static pqdb_code check_supplier(const struct pq_update_context *context,
                                const struct pq_tree *row, pqdb_error *err) {
    const struct pq_text name = context->entry->id_field;
    const struct pq_tree *id = pq_tree_find(row, PQ_TEXT("$id"));
    if (name.length == 0 || id == NULL || id->value.kind != PQ_TEXT) return PQDB_OK;
    const struct pq_tree value = supplier_of(context->entry, id->value.as.text);
    const struct pq_tree *field = pq_tree_find(row, name);
    if (field != NULL && pq_tree_equal(field, &value)) return PQDB_OK;
    const struct pq_text text = id->value.as.text;
    pq_fail(err, PQDB_INVALID, "supplies $id and must be '%.*s', as the id is",
            (int)(text.length < 60 ? text.length : 60), text.data);
    return pq_fail_subject(err, PQDB_INVALID, name);
}

pqdb_code pq_update_insert(struct pq_update *update, const struct pq_json *filter,
                           struct pq_text id, struct pq_bytes *json, pqdb_error *err) {
    pq_arena_reset(&update->row_arena);
    const struct pq_update_context context = context_of(update, &update->row_arena);
    struct pq_tree row = {.value.kind = PQ_OBJECT};
    if (err != NULL) err->subject[0] = '\0';
    if (filter != NULL) PQ_TRY(set_equalities(&context, filter, &row, err));
    if (id.length > 0) {
        const struct pq_tree text = {.value = {.kind = PQ_TEXT, .as.text = id}};
        PQ_TRY(set_path(&context, PQ_TEXT("$id"), &text, &row, err));
    }
    PQ_TRY(set_supplier(&context, &row, err));
    for (size_t i = 0; i < update->operations.count; i++) {
        PQ_TRY(apply_to_row(&context, &update->operations.items[i], &row, err));
    }
    PQ_TRY(check_supplier(&context, &row, err));
    return pq_tree_print(&row, json, err);
}
