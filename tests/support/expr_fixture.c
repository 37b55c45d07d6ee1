#include "support/expr_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "batch/builder.h"
#include "batch/dictionary.h"
#include "expr/nested.h"
#include "expr/print.h"
#include "expr/run_internal.h"

#define FIELD(label, ...) {.name = {label, sizeof label - 1}, .type = {__VA_ARGS__}}
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct pq_field text_element[] = {FIELD("element", .kind = PQ_TEXT)};
static const struct pq_field variant_element[] = {FIELD("element", .kind = PQ_VARIANT)};
static const struct pq_field geo_members[] = {FIELD("lat", .kind = PQ_FLOAT64)};
static const struct pq_field address_members[] = {
    FIELD("street", .kind = PQ_TEXT),
    FIELD("city", .kind = PQ_TEXT),
    FIELD("geo", .kind = PQ_OBJECT, .field_count = 1, .fields = geo_members),
};
static const struct pq_field item_members[] = {
    FIELD("product", .kind = PQ_TEXT),
    FIELD("qty", .kind = PQ_INT64),
    FIELD("note", .kind = PQ_VARIANT),
};
static const struct pq_field item_element[] = {
    FIELD("element", .kind = PQ_OBJECT, .field_count = 3, .fields = item_members)};

static const struct pq_field columns[] = {
    FIELD("$id", .kind = PQ_TEXT),
    FIELD("$seq", .kind = PQ_INT64),
    FIELD("$type", .kind = PQ_TEXT),
    FIELD("b", .kind = PQ_BOOL),
    FIELD("i", .kind = PQ_INT64),
    FIELD("j", .kind = PQ_INT64),
    FIELD("f", .kind = PQ_FLOAT32),
    FIELD("d", .kind = PQ_FLOAT64),
    FIELD("e", .kind = PQ_FLOAT64),
    FIELD("dec", .kind = PQ_DECIMAL, .precision = 10, .scale = 2),
    FIELD("day", .kind = PQ_DATE),
    FIELD("clock", .kind = PQ_TIME),
    FIELD("at", .kind = PQ_TIMESTAMP),
    FIELD("at2", .kind = PQ_TIMESTAMP),
    FIELD("s", .kind = PQ_TEXT),
    FIELD("t", .kind = PQ_TEXT),
    FIELD("bin", .kind = PQ_BINARY),
    FIELD("tags", .kind = PQ_LIST, .field_count = 1, .fields = text_element),
    FIELD("items", .kind = PQ_LIST, .field_count = 1, .fields = item_element),
    FIELD("addr", .kind = PQ_OBJECT, .field_count = 3, .fields = address_members),
    FIELD("v", .kind = PQ_VARIANT),
    FIELD("inner", .kind = PQ_VARIANT),
    FIELD("logs", .kind = PQ_LIST, .field_count = 1, .fields = variant_element),
    FIELD("friend", .kind = PQ_TEXT),
    FIELD("_extra", .kind = PQ_VARIANT),
};
enum { COLUMNS = COUNT(columns), EXTRA = COLUMNS - 1, FRIEND = COLUMNS - 2 };

static const struct pq_type row_type = {
    .kind = PQ_OBJECT, .field_count = COLUMNS, .fields = columns};

static const struct pq_typed_path typed_paths[] = {
    {.path = {"inner.n", 7}, .type = {.kind = PQ_INT64}},
    {.path = {"inner.t", 7}, .type = {.kind = PQ_TEXT}},
    {.path = {"inner.at", 8}, .type = {.kind = PQ_TIMESTAMP}},
    {.path = {"inner.x", 7}, .type = {.kind = PQ_DECIMAL, .precision = 6, .scale = 2}},
    {.path = {"inner.tags", 10},
     .type = {.kind = PQ_LIST, .field_count = 1, .fields = text_element}},
    {.path = {"logs.level", 10}, .type = {.kind = PQ_TEXT}},
};

static const struct pq_relation friendship = {.target = {"Person", 6}};
static const struct pq_relation *const relations[COLUMNS] = {[FRIEND] = &friendship};

void expr_fixture_init(struct expr_fixture *fixture) {
    *fixture = (struct expr_fixture){0};
    pq_arena_init(&fixture->arena, &pq_alloc_libc);
    pq_problems_init(&fixture->problems, &fixture->arena);
    fixture->scope = (struct pq_scope){
        .type = &row_type,
        .paths = typed_paths,
        .path_count = COUNT(typed_paths),
        .relations = relations,
        .extra_column = EXTRA,
        .owner_name = "Things",
        .problems = &fixture->problems,
    };
    if (pq_variant_names_create(&pq_alloc_libc, &fixture->names, NULL) != PQDB_OK) abort();
}

void expr_fixture_deinit(struct expr_fixture *fixture) {
    pq_variant_names_unref(fixture->names);
    pq_arena_deinit(&fixture->arena);
}

/// A JSON value as a plain value in the arena; with `foreign_names` under a list of its own.
static pqdb_code value_of(struct expr_fixture *fixture, const struct pq_json *json,
                          const bool *keep, struct pq_value *value, pqdb_error *err) {
    struct pq_variant_encoder *encoder = NULL;
    struct pq_variant_names *names = fixture->names;
    struct pq_bytes bytes;
    bool own;
    pq_bytes_init(&bytes, &fixture->arena.alloc);
    if (fixture->foreign_names) {
        PQ_TRY(pq_variant_names_create(&fixture->arena.alloc, &names, err));
    }
    pqdb_code code = pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, err);
    if (code == PQDB_OK && keep != NULL) {
        code = pq_variant_encode_members(encoder, json, keep, &bytes, &own, err);
    } else if (code == PQDB_OK) {
        code = pq_variant_encode_json(encoder, json, &bytes, &own, err);
    }
    pq_variant_encoder_destroy(encoder);
    if (code != PQDB_OK) return code;
    *value = (struct pq_value){.kind = PQ_VARIANT};
    return pq_variant_of_row(pq_bytes_text(&bytes), own ? PQ_ROW_OWN_NAMES : PQ_ROW_VALID, names,
                             &fixture->arena, &value->as.variant, err);
}

/// Any value into a builder of any type: variants stay encoded.
static pqdb_code append(struct pq_builder *builder, const struct pq_value *variant,
                        pqdb_error *err) {
    const struct pq_value plain = pq_value_plain(variant);
    if (builder->type->kind == PQ_VARIANT) {
        return plain.kind == PQ_NULL ? pq_builder_append_null(builder, err)
                                     : pq_builder_append_value(builder, variant, err);
    }
    if (builder->type->kind == PQ_BINARY && plain.kind == PQ_TEXT) {
        return pq_builder_append_bytes(builder, plain.as.text.data, plain.as.text.length, err);
    }
    if (builder->type->kind == PQ_LIST && builder->type->fields[0].type.kind == PQ_VARIANT) {
        if (!pq_value_is_list(&plain)) return pq_builder_append_null(builder, err);
        for (size_t k = 0; k < pq_nested_count(&plain); k++) {
            const struct pq_value element = {
                .kind = PQ_VARIANT, .as.variant = pq_variant_at(&plain.as.variant, k, NULL)};
            PQ_TRY(append(&builder->children[0], &element, err));
        }
        return pq_builder_end_list(builder, err);
    }
    bool mismatch = false;
    return pq_append_converted(builder, &plain, &mismatch, err);
}

static pqdb_code append_row(struct expr_fixture *fixture, struct pq_builder *builders,
                            const struct pq_json *row, pqdb_error *err) {
    bool keep[64];
    bool any = false;
    const size_t count = pq_json_count(row);
    const struct pq_json *key = count == 0 ? NULL : pq_json_first(row);
    for (size_t i = 0; i < count && i < 64; i++, key = pq_json_next(pq_json_next(key))) {
        keep[i] = pq_type_find(&row_type, pq_json_text(key)) < 0;
        any |= keep[i];
    }
    for (size_t k = 0; k < COLUMNS; k++) {
        const struct pq_json *json = pq_json_find(row, columns[k].name.data);
        struct pq_value value = {.kind = PQ_NULL};
        if (k == EXTRA && any) PQ_TRY(value_of(fixture, row, keep, &value, err));
        if (k != EXTRA && json != NULL) PQ_TRY(value_of(fixture, json, NULL, &value, err));
        if (value.kind == PQ_NULL) {
            PQ_TRY(pq_builder_append_null(&builders[k], err));
        } else {
            PQ_TRY(append(&builders[k], &value, err));
        }
    }
    return PQDB_OK;
}

static pqdb_code fill(struct expr_fixture *fixture, const struct pq_json *rows,
                      struct pq_batch *batch, pqdb_error *err) {
    struct pq_builder *builders = pq_arena_calloc(&fixture->arena, COLUMNS, sizeof *builders);
    struct pq_dictionary *dictionary;
    for (size_t k = 0; k < COLUMNS; k++) {
        PQ_TRY(pq_builder_init(&builders[k], &columns[k].type, &fixture->arena.alloc, err));
        if (!fixture->dictionaries || columns[k].type.kind != PQ_TEXT) continue;
        PQ_TRY(pq_dictionary_create(4096, 1 << 16, &fixture->arena.alloc, &dictionary, err));
        pq_builder_use_dictionary(&builders[k], dictionary);
    }
    const size_t count = pq_json_count(rows);
    const struct pq_json *row = count == 0 ? NULL : pq_json_first(rows);
    for (size_t i = 0; i < count; i++, row = pq_json_next(row)) {
        PQ_TRY(append_row(fixture, builders, row, err));
    }
    return pq_builder_finish_batch(builders, &row_type, &fixture->arena, batch, err);
}

pqdb_code expr_fixture_batch(struct expr_fixture *fixture, struct pq_text rows,
                             struct pq_batch *batch, pqdb_error *err) {
    struct pq_json_document *document;
    PQ_TRY(pq_json_parse(rows, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &fixture->arena.alloc, &document,
                         err));
    return fill(fixture, pq_json_root(document), batch, err);
}

static void print_problems(const struct expr_fixture *fixture, struct pq_bytes *out) {
    for (size_t i = 0; i < fixture->problems.count; i++) {
        const struct pq_problem *problem = &fixture->problems.items[i];
        pq_bytes_printf(out, NULL, "%s %s at %.*s: %.*s", problem->warning ? "warning" : "error",
                        problem->code, PQ_TEXT_ARG(problem->path), PQ_TEXT_ARG(problem->message));
        if (problem->remedy.length > 0) {
            pq_bytes_printf(out, NULL, " (%.*s)", PQ_TEXT_ARG(problem->remedy));
        }
        pq_bytes_append_byte(out, '\n', NULL);
    }
}

static void print_run(struct expr_fixture *fixture, const struct pq_program *program,
                      const struct pq_batch *batch, bool scalar, struct pq_bytes *out) {
    struct pq_column column;
    pqdb_error err;
    const pqdb_code code =
        (scalar ? pq_program_run_scalar : pq_program_run)(program, batch, &fixture->arena, &column,
                                                          &err);
    if (code != PQDB_OK) {
        pq_bytes_printf(out, NULL, "failed with %d: %s\n", (int)code, err.message);
        return;
    }
    if (!pq_column_is_sound(&column, &err)) pq_bytes_printf(out, NULL, "%s\n", err.message);
    for (size_t row = 0; row < batch->count; row++) {
        if (row > 0) pq_bytes_printf(out, NULL, ", ");
        pq_print_row(out, &column, row, NULL);
    }
    pq_bytes_append_byte(out, '\n', NULL);
}

struct pq_text expr_fixture_run(struct expr_fixture *fixture, const struct expr_case *test) {
    struct pq_bytes out, again;
    struct pq_json_document *document;
    struct pq_program *program = NULL;
    struct pq_batch batch;
    pqdb_error err = {0};
    pq_bytes_init(&out, &fixture->arena.alloc);
    pq_bytes_init(&again, &fixture->arena.alloc);
    pqdb_code code = expr_fixture_batch(fixture, test->rows, &batch, &err);
    if (code == PQDB_OK) {
        code = pq_json_parse(test->source, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &fixture->arena.alloc,
                             &document, &err);
    }
    if (code != PQDB_OK) {
        pq_bytes_printf(&out, NULL, "the case is wrong: %s\n", err.message);
        return pq_bytes_text(&out);
    }
    const struct pq_source source = {.json = pq_json_root(document),
                                     .path = PQ_TEXT("$"),
                                     .code = test->is_filter ? "INVALID_FILTER" : "INVALID_SELECT"};
    code = (test->is_filter ? pq_filter_compile : pq_expr_compile)(&source, &fixture->scope,
                                                                   &pq_alloc_libc, &program, &err);
    print_problems(fixture, &out);
    if (code != PQDB_OK && fixture->problems.errors == 0) {
        pq_bytes_printf(&out, NULL, "failed with %d: %s\n", (int)code, err.message);
    }
    if (code != PQDB_OK) return pq_bytes_text(&out);
    if (!test->is_filter) {
        const struct pq_text type = pq_type_format(pq_program_type(program), &fixture->arena);
        pq_bytes_printf(&out, NULL, "%.*s: ", PQ_TEXT_ARG(type));
    }
    const size_t start = out.length;
    print_run(fixture, program, &batch, false, &out);
    print_run(fixture, program, &batch, true, &again);
    const struct pq_text vector = {(char *)out.data + start, out.length - start};
    if (!pq_text_equal(vector, pq_bytes_text(&again))) {
        pq_bytes_printf(&out, NULL, "but value by value:\n");
        pq_bytes_append_text(&out, pq_bytes_text(&again), NULL);
    }
    const uint64_t mismatches = pq_program_mismatches(program);
    if (mismatches > 0) {
        pq_bytes_printf(&out, NULL, "mismatches %llu\n", (unsigned long long)mismatches / 2);
    }
    pq_program_destroy(program);
    return pq_bytes_text(&out);
}
