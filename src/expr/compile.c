#include <stdarg.h>
#include <stdio.h>

#include "base/fail.h"
#include "expr/compile_internal.h"
#include "expr/regex.h"

enum { NAMES_MAX = 128 };  // among which the nearest is sought

static pqdb_code program_create(const struct pq_alloc *alloc, const struct pq_scope *scope,
                                struct pq_program **program, pqdb_error *err) {
    struct pq_program *created = pq_resize(alloc, NULL, 0, 1, sizeof *created);
    if (created == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a program");
    memset(created, 0, sizeof *created);
    created->alloc = alloc;
    created->scope_type = scope->type;
    atomic_init(&created->mismatches, 0);
    pq_arena_init(&created->arena, alloc);
    *program = created;
    return PQDB_OK;
}

void pq_program_destroy(struct pq_program *program) {
    if (program == NULL) return;
    pq_regex_destroy_all(program->regexes);
    pq_variant_names_unref(program->names);
    pq_arena_deinit(&program->arena);
    pq_free(program->alloc, program, 1, sizeof *program);
}

const struct pq_type *pq_program_type(const struct pq_program *program) {
    return &program->root->type;
}

const uint32_t *pq_program_columns(const struct pq_program *program, size_t *count) {
    *count = program->column_count;
    return program->columns;
}

int pq_program_column(const struct pq_program *program) {
    const struct pq_node *root = program->root;
    const bool plain = root->kind == PQ_NODE_PATH && root->path.step_count == 0 &&
                       root->path.inner_count == 0;
    return plain ? (int)root->path.column : -1;
}

bool pq_program_inner_path(const struct pq_program *program, struct pq_inner_path *path) {
    const struct pq_node *root = program->root;
    if (root->kind != PQ_NODE_PATH || root->path.inner_count == 0) return false;
    *path = (struct pq_inner_path){.column = root->path.column,
                                   .is_nested = root->path.step_count > 0,
                                   .steps = root->path.inner,
                                   .step_count = root->path.inner_count};
    return true;
}

const struct pq_bound *pq_program_bounds(const struct pq_program *program, size_t *count) {
    *count = program->bound_count;
    return program->bounds;
}

uint64_t pq_program_mismatches(const struct pq_program *program) {
    return atomic_load_explicit(&program->mismatches, memory_order_relaxed);
}

struct pq_node *pq_compile_no_memory(struct pq_compiler *compiler) {
    if (compiler->code == PQDB_OK) {
        compiler->code = pq_fail(compiler->err, PQDB_NO_MEMORY, "compiling an expression");
    }
    return NULL;
}

static struct pq_problem_at place_of(const struct pq_compiler *compiler,
                                     const struct pq_json *json) {
    const struct pq_text path = pq_bytes_text(&compiler->path);
    const struct pq_scope *scope = compiler->scope;
    if (scope->position != NULL && json != NULL) {
        return scope->position(scope->position_ctx, json, path);
    }
    return (struct pq_problem_at){.path = path};
}

struct pq_node *pq_compile_mistake(struct pq_compiler *compiler, const struct pq_json *json,
                                   const char *remedy, const char *format, ...) {
    char message[256];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    const struct pq_text path = pq_bytes_text(&compiler->path);
    if (compiler->scope->problems != NULL) {
        pq_problem_add(compiler->scope->problems, compiler->source->code,
                       place_of(compiler, json), remedy, "%s", message);
    } else if (compiler->mistakes == 0 && compiler->err != NULL) {
        pq_fail(compiler->err, PQDB_INVALID, "%s%s%s%s", message, remedy == NULL ? "" : " (",
                remedy == NULL ? "" : remedy, remedy == NULL ? "" : ")");
        snprintf(compiler->err->subject, sizeof compiler->err->subject, "%.*s",
                 PQ_TEXT_ARG(path));
    }
    compiler->mistakes++;
    return pq_node_null(compiler);
}

void pq_compile_warn(struct pq_compiler *compiler, const struct pq_json *json, const char *code,
                     const char *format, ...) {
    if (compiler->scope->problems == NULL) return;
    char message[256];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    pq_problem_warn(compiler->scope->problems, code, place_of(compiler, json), NULL, "%s",
                    message);
}

size_t pq_compile_enter(struct pq_compiler *compiler, struct pq_text key) {
    const size_t mark = compiler->path.length;
    pqdb_code code = PQDB_OK;
    if (mark > 0) code = pq_bytes_append_byte(&compiler->path, '.', NULL);
    if (code == PQDB_OK) code = pq_bytes_append_text(&compiler->path, key, NULL);
    if (code != PQDB_OK) pq_compile_no_memory(compiler);
    return mark;
}

size_t pq_compile_enter_index(struct pq_compiler *compiler, size_t index) {
    char key[24];
    snprintf(key, sizeof key, "%zu", index);
    return pq_compile_enter(compiler, pq_text_of(key));
}

void pq_compile_leave(struct pq_compiler *compiler, size_t mark) { compiler->path.length = mark; }

bool pq_compile_deeper(struct pq_compiler *compiler) {
    if (compiler->code != PQDB_OK) return false;
    if (++compiler->depth <= PQ_EXPR_DEPTH_MAX) return true;
    compiler->code = pq_fail(compiler->err, PQDB_LIMIT, "%.*s is nested deeper than %d",
                             PQ_TEXT_ARG(compiler->source->path), PQ_EXPR_DEPTH_MAX);
    return false;
}

static struct pq_node *node_new(struct pq_compiler *compiler, enum pq_node_kind kind) {
    if (compiler->code != PQDB_OK) return NULL;
    if (++compiler->node_count > PQ_EXPR_NODES_MAX) {
        compiler->code = pq_fail(compiler->err, PQDB_LIMIT, "%.*s has more than %d parts",
                                 PQ_TEXT_ARG(compiler->source->path), PQ_EXPR_NODES_MAX);
        return NULL;
    }
    struct pq_node *node = pq_arena_calloc(compiler->arena, 1, sizeof *node);
    if (node == NULL) return pq_compile_no_memory(compiler);
    node->kind = kind;
    node->type = pq_type_null;
    node->slot = (uint32_t)compiler->slot_count++;
    return node;
}

static struct pq_type type_of_literal(const struct pq_value *value) {
    if (value->kind != PQ_DECIMAL) return (struct pq_type){.kind = value->kind};
    return (struct pq_type){.kind = PQ_DECIMAL, .precision = 38, .scale = value->scale};
}

struct pq_node *pq_node_literal(struct pq_compiler *compiler, const struct pq_literal *literal) {
    struct pq_node *node = node_new(compiler, PQ_NODE_CONST);
    if (node == NULL) return NULL;
    node->literal = *literal;
    node->type = type_of_literal(&literal->own);
    return node;
}

struct pq_node *pq_node_null(struct pq_compiler *compiler) {
    return node_new(compiler, PQ_NODE_CONST);
}

struct pq_node *pq_node_bool(struct pq_compiler *compiler, bool value) {
    struct pq_literal literal = {.own = {.kind = PQ_BOOL, .as.boolean = value}};
    literal.exact = literal.real = literal.single = literal.own;
    return pq_node_literal(compiler, &literal);
}

struct pq_node *pq_node_bare_call(struct pq_compiler *compiler,
                                  const struct pq_function *function, size_t arg_count) {
    struct pq_node *node = node_new(compiler, PQ_NODE_CALL);
    if (node == NULL) return NULL;
    node->function = function;
    node->arg_count = arg_count;
    node->args = pq_arena_calloc(compiler->arena, arg_count + 1, sizeof *node->args);
    return node->args == NULL ? pq_compile_no_memory(compiler) : node;
}

struct pq_node *pq_node_calls(struct pq_compiler *compiler, const struct pq_function *function,
                              const struct pq_json *json, struct pq_node **args, size_t count) {
    struct pq_node *node = pq_node_bare_call(compiler, function, count);
    if (node == NULL) return NULL;
    for (size_t k = 0; k < count; k++) {
        if (args[k] == NULL) return NULL;
        node->args[k] = args[k];
    }
    if (function->rule(compiler, node, json)) return node;
    return compiler->code == PQDB_OK ? pq_node_null(compiler) : NULL;
}

struct pq_node *pq_node_call(struct pq_compiler *compiler, const char *name,
                             const struct pq_json *json, struct pq_node *a, struct pq_node *b) {
    struct pq_node *args[2] = {a, b};
    const struct pq_function *function = pq_function_get(name);
    return pq_node_calls(compiler, function, json, args, function->args_min == 1 ? 1 : 2);
}

const char *pq_remedy_nearest(struct pq_text given, const char *const *names, size_t count,
                              struct pq_remedy *room) {
    const char *bare[NAMES_MAX];
    const bool dollar = given.length > 0 && given.data[0] == '$';  // it makes nothing more alike
    for (size_t i = 0; i < count && i < NAMES_MAX; i++) {
        bare[i] = names[i] + (dollar && names[i][0] == '$');
    }
    if (dollar) given = (struct pq_text){given.data + 1, given.length - 1};
    const char *nearest = pq_text_nearest(given, bare, count < NAMES_MAX ? count : NAMES_MAX);
    if (nearest == NULL) return NULL;
    snprintf(room->text, sizeof room->text, "did you mean %s%s", dollar ? "$" : "", nearest);
    return room->text;
}

typedef struct pq_node *compile_root(struct pq_compiler *compiler, const void *what);

static pqdb_code compile(compile_root *build, const void *what, const struct pq_source *source,
                         struct pq_compiler *compiler, struct pq_program **program) {
    pqdb_code code = program_create(compiler->alloc, compiler->scope, program, compiler->err);
    if (code != PQDB_OK) return code;
    compiler->program = *program;
    compiler->arena = &(*program)->arena;
    compiler->source = source;
    pq_bytes_init(&compiler->path, (*program)->alloc);
    if (pq_bytes_append_text(&compiler->path, source->path, NULL) != PQDB_OK) {
        pq_compile_no_memory(compiler);
    }
    struct pq_node *root = compiler->code == PQDB_OK ? build(compiler, what) : NULL;
    if (root != NULL) {
        (*program)->root = root;
        (*program)->slot_count = compiler->slot_count;
        pq_compile_finish(compiler);
    }
    code = compiler->code;
    if (code == PQDB_OK && compiler->mistakes > 0) {
        code = PQDB_INVALID;
        if (compiler->scope->problems != NULL) {
            pq_problems_code(compiler->scope->problems, compiler->err);
        }
    }
    pq_variant_encoder_destroy(compiler->encoder);
    pq_bytes_deinit(&compiler->path);
    return code;
}

static struct pq_node *filter_root(struct pq_compiler *compiler, const void *what) {
    return pq_compile_filter(compiler, what);
}

static struct pq_node *expr_root(struct pq_compiler *compiler, const void *what) {
    if (compiler->source->json == NULL) {
        return pq_compile_path(compiler, compiler->source->field, NULL);
    }
    return pq_compile_expr(compiler, what);
}

static struct pq_node *bucket_root(struct pq_compiler *compiler, const void *what) {
    const struct pq_bucket_key *key = what;
    struct pq_node *source = expr_root(compiler, key->source.json);
    return source == NULL ? NULL : pq_node_bucket(compiler, source, key->bucket, key->zone);
}

static pqdb_code compile_to(compile_root *build, const void *what, const struct pq_source *source,
                            struct pq_compiler *compiler, struct pq_program **out) {
    struct pq_program *program = NULL;
    const pqdb_code code = compile(build, what, source, compiler, &program);
    if (code == PQDB_OK) {
        *out = program;
    } else {
        pq_program_destroy(program);
    }
    return code;
}

pqdb_code pq_filter_compile(const struct pq_source *source, const struct pq_scope *scope,
                            const struct pq_alloc *alloc, struct pq_program **program,
                            pqdb_error *err) {
    struct pq_compiler compiler = {.scope = scope, .alloc = alloc, .err = err};
    return compile_to(filter_root, source->json, source, &compiler, program);
}

pqdb_code pq_expr_compile(const struct pq_source *source, const struct pq_scope *scope,
                          const struct pq_alloc *alloc, struct pq_program **program,
                          pqdb_error *err) {
    struct pq_compiler compiler = {.scope = scope, .alloc = alloc, .err = err};
    return compile_to(expr_root, source->json, source, &compiler, program);
}

pqdb_code pq_bucket_compile(const struct pq_bucket_key *key, const struct pq_scope *scope,
                            const struct pq_alloc *alloc, struct pq_program **program,
                            pqdb_error *err) {
    struct pq_compiler compiler = {.scope = scope, .alloc = alloc, .err = err};
    return compile_to(bucket_root, key, &key->source, &compiler, program);
}
