/// collection/pull.c: which elements a $pull takes out: those equal to a value, those that a field
/// filter selects (`{ $gte: 5 }`), or, where the value is an object, those whose fields match it as
/// a filter (`{ product: 'p1', qty: { $lt: 2 } }`).
#include "base/fail.h"
#include "batch/builder.h"
#include "collection/update_internal.h"

struct pq_pull {
    const struct pq_alloc *alloc;
    struct pq_program *program;  // over one variant per element; NULL: equality
    struct pq_json_document *document;
    struct pq_type type;
    struct pq_field field;
    struct pq_type element;  // VARIANT
};

void pq_pull_destroy(struct pq_pull *pull) {
    if (pull == NULL) return;
    pq_program_destroy(pull->program);
    pq_json_destroy(pull->document);
    pq_free(pull->alloc, pull, 1, sizeof *pull);
}

/// Does it begin with an operator, as `{ $gte: 5 }` does?
static bool is_condition(const struct pq_tree *operand) {
    return operand->count > 0 && operand->items[0].name.length > 0 &&
           operand->items[0].name.data[0] == '$';
}

/// A field filter stands under a name of its own; an object's filter reads the element's fields.
static pqdb_code parse_filter(struct pq_pull *pull, const struct pq_tree *operand,
                              const struct pq_json *json, pqdb_error *err) {
    struct pq_bytes text;
    pq_bytes_init(&text, pull->alloc);
    const bool wraps = is_condition(operand);
    pqdb_code code;
    if (wraps) PQ_GO(pq_bytes_append_text(&text, PQ_TEXT("{\"element\":"), err));
    PQ_GO(pq_json_write(&text, json, err));
    if (wraps) PQ_GO(pq_bytes_append_byte(&text, '}', err));
    PQ_GO(pq_json_parse(pq_bytes_text(&text), PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, pull->alloc,
                        &pull->document, err));
done:
    pq_bytes_deinit(&text);
    return code;
}

static pqdb_code compile(struct pq_pull *pull, const struct pq_update_context *context,
                         const struct pq_operation *operation, const struct pq_json *json,
                         pqdb_error *err) {
    const bool wraps = is_condition(&operation->operand);
    PQ_TRY(parse_filter(pull, &operation->operand, json, err));
    pull->element = pq_type_variant;
    // A field of the element may have any name but one that begins with '$'.
    pull->field = (struct pq_field){.name = wraps ? PQ_TEXT("element") : PQ_TEXT("$element"),
                                    .type = pull->element};
    pull->type = (struct pq_type){.kind = PQ_OBJECT, .field_count = 1, .fields = &pull->field};
    struct pq_problems problems;
    pq_problems_init(&problems, context->arena);
    const struct pq_scope scope = {.type = &pull->type, .extra_column = wraps ? -1 : 0,
                                   .owner_name = context->entry->name.data,
                                   .problems = &problems};
    const struct pq_source source = {.json = pq_json_root(pull->document),
                                     .path = operation->path.text, .code = "INVALID_FILTER"};
    const pqdb_code code = pq_filter_compile(&source, &scope, pull->alloc, &pull->program, err);
    if (code != PQDB_INVALID) return code;
    pq_problems_code(&problems, err);
    return pq_fail_subject(err, code, operation->path.text);
}

pqdb_code pq_pull_create(const struct pq_update_context *context,
                         const struct pq_operation *operation, const struct pq_json *operand,
                         struct pq_pull **pull, pqdb_error *err) {
    struct pq_pull *made = pq_resize(context->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an update");
    *made = (struct pq_pull){.alloc = context->alloc};
    pqdb_code code = PQDB_OK;
    if (operation->operand.value.kind == PQ_OBJECT && operation->operand.count > 0) {
        code = compile(made, context, operation, operand, err);
    }
    if (code != PQDB_OK) {
        pq_pull_destroy(made);
        return code;
    }
    *pull = made;
    return PQDB_OK;
}

static pqdb_code encode_items(const struct pq_update_context *context, const struct pq_pull *pull,
                              const struct pq_tree *list, struct pq_column *column,
                              pqdb_error *err) {
    struct pq_builder builder;
    struct pq_bytes scratch;
    pq_bytes_init(&scratch, &context->arena->alloc);
    PQ_TRY(pq_builder_init(&builder, &pull->element, &context->arena->alloc, err));
    builder.names = context->names;
    for (size_t i = 0; i < list->count; i++) {
        bool own;
        scratch.length = 0;
        PQ_TRY(pq_tree_encode(&list->items[i], context->encoder, &scratch, &own, err));
        PQ_TRY(own ? pq_builder_append_own_names(&builder, scratch.data, scratch.length, err)
                   : pq_builder_append_bytes(&builder, scratch.data, scratch.length, err));
    }
    *column = pq_builder_finish(&builder);
    return PQDB_OK;
}

pqdb_code pq_pull_run(const struct pq_update_context *context, const struct pq_pull *pull,
                      const struct pq_operation *operation, const struct pq_tree *list,
                      bool *goes, pqdb_error *err) {
    if (pull->program == NULL) {
        for (size_t i = 0; i < list->count; i++) {
            goes[i] = pq_tree_equal(&list->items[i], &operation->operand);
        }
        return PQDB_OK;
    }
    struct pq_column column;
    struct pq_selection selected;
    PQ_TRY(encode_items(context, pull, list, &column, err));
    const struct pq_batch batch = {.type = &pull->type, .count = list->count, .columns = &column};
    PQ_TRY(pq_program_select(pull->program, &batch, context->arena, &selected, err));
    for (size_t i = 0; i < selected.count; i++) {
        goes[selected.rows == NULL ? i : selected.rows[i]] = true;
    }
    return PQDB_OK;
}
