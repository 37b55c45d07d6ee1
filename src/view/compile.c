/// Compiling values and filters of a definition, with every mistake reported at its place.
#include "view/plan_internal.h"

struct pq_view_program {
    struct pq_view_program *next;
    struct pq_program *program;  // owned
};

pqdb_code pq_views_keep(struct pq_views *views, struct pq_program *program, pqdb_error *err) {
    struct pq_view_program *kept = pq_arena_alloc(&views->arena, sizeof *kept);
    if (kept == NULL) {
        pq_program_destroy(program);
        return pq_plan_no_memory(err);
    }
    *kept = (struct pq_view_program){views->programs, program};
    views->programs = kept;
    return PQDB_OK;
}

void pq_views_destroy(struct pq_views *views) {
    if (views == NULL) return;
    for (struct pq_view_program *kept = views->programs; kept != NULL; kept = kept->next) {
        pq_program_destroy(kept->program);
    }
    const struct pq_alloc *alloc = views->alloc;
    pq_arena_deinit(&views->arena);
    pq_free(alloc, views, 1, sizeof *views);
}

/// What compiling reported without a position (a path has no JSON of its own, rewritten JSON is
/// not in the text) stands at the place of the whole.
static void place_problems(struct pq_view_plan *plan, const struct pq_place *place, size_t from) {
    struct pq_problems *problems = plan->planner->problems;
    const struct pq_definition *definition = plan->definition;
    const struct pq_problem_at at =
        place->json == NULL
            ? (struct pq_problem_at){place->path, definition->entry->line,
                                     definition->entry->column}
            : pq_schema_at(definition->schema, place->json, place->path);
    for (size_t k = from; k < problems->count; k++) {
        if (problems->items[k].line > 0) continue;
        problems->items[k].line = at.line;
        problems->items[k].column = at.column;
    }
}

/// After compiling: keep the program, or see that its mistake is reported.
static pqdb_code settle(struct pq_view_plan *plan, const struct pq_place *place, pqdb_code code,
                        struct pq_program *program, const pqdb_error *why) {
    switch (code) {
        case PQDB_OK: return pq_views_keep(plan->planner->views, program, NULL);
        case PQDB_INVALID: plan->definition->mistakes++; return PQDB_OK;
        case PQDB_LIMIT:
        case PQDB_UNSUPPORTED:
            pq_definition_mistake(plan->definition, place, NULL, "%s", why->message);
            return PQDB_OK;
        case PQDB_NOT_FOUND:
        case PQDB_CONFLICT:
        case PQDB_CORRUPT:
        case PQDB_IO:
        case PQDB_NO_MEMORY:
        case PQDB_CANCELLED: break;
    }
    return code;
}

static pqdb_code pass_error(pqdb_code code, const pqdb_error *why, pqdb_error *err) {
    if (code != PQDB_OK && err != NULL) {
        *err = *why;
        if (code == PQDB_NO_MEMORY) pq_plan_no_memory(err);
    }
    return code;
}

/// A column as it is needs no program.
static bool is_plain_column(const struct pq_stage *stage, struct pq_text path, int *column) {
    struct pq_path_meaning meaning;
    if (memchr(path.data, '.', path.length) != NULL) return false;
    if (pq_path_resolve(&stage->scope, path, &meaning, NULL) != PQDB_OK) return false;
    *column = meaning.column;
    return meaning.column >= 0 &&
           pq_text_equal(stage->scope.type->fields[meaning.column].name, path);
}

static pqdb_code parse_text(const struct pq_alloc *alloc, struct pq_text json,
                            struct pq_json_document **document, pqdb_error *err) {
    return pq_json_parse(json, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, alloc, document, err);
}

/// The expression with its paths rewritten, as a document of its own.
static pqdb_code rewrite_expr(const struct pq_alloc *alloc, const struct pq_argument *argument,
                              struct pq_json_document **document, pqdb_error *err) {
    struct pq_bytes text;
    pq_bytes_init(&text, alloc);
    pqdb_code code = pq_json_copy(&text, argument->place.json, argument->rewrite, err);
    if (code == PQDB_OK) code = parse_text(alloc, pq_bytes_text(&text), document, err);
    pq_bytes_deinit(&text);
    return code;
}

static pqdb_code compile_argument(struct pq_view_plan *plan, const struct pq_stage *stage,
                                  const struct pq_argument *argument,
                                  struct pq_program **program, pqdb_error *err) {
    const struct pq_alloc *alloc = plan->planner->views->alloc;
    struct pq_scope scope = stage->scope;
    struct pq_json_document *document = NULL;
    struct pq_source source = {
        .json = argument->is_path ? NULL : argument->place.json,
        .field = argument->path,
        .path = argument->place.path,
        .code = argument->place.code,
        .related = argument->related,
    };
    if (argument->rewrite != NULL && !argument->is_path) {
        PQ_TRY(rewrite_expr(alloc, argument, &document, err));
        source.json = pq_json_root(document);
        scope.position = NULL;
    }
    pqdb_code code;
    if (argument->is_bucket) {
        const struct pq_bucket_key key = {source, argument->bucket, argument->zone};
        code = pq_bucket_compile(&key, &scope, alloc, program, err);
    } else {
        code = pq_expr_compile(&source, &scope, alloc, program, err);
    }
    pq_json_destroy(document);
    return code;
}

/// The path that the value is, without its `$`; empty when it is something else.
static pqdb_code path_of(struct pq_view_plan *plan, const struct pq_argument *argument,
                         struct pq_text *path, pqdb_error *err) {
    *path = argument->path;
    if (!argument->is_path) {
        const struct pq_text text = pq_json_text_or_empty(argument->place.json);
        *path = PQ_TEXT("");
        if (text.length < 2 || text.data[0] != '$') return PQDB_OK;
        *path = (struct pq_text){text.data + 1, text.length - 1};
    }
    if (argument->rewrite == NULL) return PQDB_OK;
    pq_rewrite_path(argument->rewrite, *path, plan->arena, path);
    return path->data == NULL ? pq_plan_no_memory(err) : PQDB_OK;
}

pqdb_code pq_plan_value(struct pq_view_plan *plan, const struct pq_stage *stage,
                        const struct pq_argument *argument, struct pq_column_plan *out,
                        pqdb_error *err) {
    int column;
    struct pq_program *program = NULL;
    pqdb_error why = {0};
    struct pq_argument moved = *argument;
    *out = (struct pq_column_plan){
        .operand = {NULL, PQ_NO_COLUMN}, .type = pq_type_null, .path = PQ_TEXT("")};
    PQ_TRY(path_of(plan, argument, &moved.path, err));
    if (!argument->is_bucket && moved.path.length > 0) {
        if (!argument->related && is_plain_column(stage, moved.path, &column)) {
            *out = pq_stage_column(stage, (uint32_t)column);
            return PQDB_OK;
        }
        out->path = moved.path;
        out->declared = pq_stage_declared(stage, moved.path);
    }
    const size_t problems = plan->planner->problems->count;
    pqdb_code code = compile_argument(plan, stage, &moved, &program, &why);
    place_problems(plan, &argument->place, problems);
    code = settle(plan, &argument->place, code, program, &why);
    PQ_TRY(pass_error(code, &why, err));
    if (program == NULL) return PQDB_OK;
    out->operand.program = program;
    out->type = *pq_program_type(program);
    return PQDB_OK;
}

pqdb_code pq_plan_filter(struct pq_view_plan *plan, const struct pq_stage *stage,
                         const struct pq_place *place, const struct pq_program **program,
                         pqdb_error *err) {
    const struct pq_source source = {.json = place->json, .path = place->path,
                                     .code = place->code};
    struct pq_program *compiled = NULL;
    pqdb_error why = {0};
    const size_t problems = plan->planner->problems->count;
    pqdb_code code = pq_filter_compile(&source, &stage->scope, plan->planner->views->alloc,
                                       &compiled, &why);
    place_problems(plan, place, problems);
    code = settle(plan, place, code, compiled, &why);
    PQ_TRY(pass_error(code, &why, err));
    *program = compiled;
    return PQDB_OK;
}

pqdb_code pq_plan_filter_text(struct pq_view_plan *plan, const struct pq_stage *stage,
                              struct pq_text json, const struct pq_program **program,
                              pqdb_error *err) {
    const struct pq_alloc *alloc = plan->planner->views->alloc;
    struct pq_scope scope = stage->scope;
    scope.problems = NULL;
    scope.position = NULL;
    struct pq_json_document *document;
    struct pq_program *compiled = NULL;
    PQ_TRY(parse_text(alloc, json, &document, err));
    const struct pq_source source = {.json = pq_json_root(document), .path = PQ_TEXT("$filter"),
                                     .code = "INVALID_FILTER"};
    const pqdb_code code = pq_filter_compile(&source, &scope, alloc, &compiled, err);
    pq_json_destroy(document);
    PQ_TRY(code);
    PQ_TRY(pq_views_keep(plan->planner->views, compiled, err));
    *program = compiled;
    return PQDB_OK;
}
