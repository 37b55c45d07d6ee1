/// Goal: pin every declaration of SPEC 2.1, every mistake in one, and the forms of text.
#include "type/ice_type.h"

#include <string.h>

#include "base/bytes.h"
#include "support/cases.h"
#include "support/test.h"
#include "type/decimal.h"

static void print_relation(struct pq_bytes *out, const struct pq_relation *relation) {
    pq_bytes_printf(out, NULL, " %s %s", relation->inverse ? "<-" : "->", relation->target.data);
    if (relation->reverse.length > 0)
        pq_bytes_printf(out, NULL, " back %s", relation->reverse.data);
    if (relation->field.length > 0) pq_bytes_printf(out, NULL, " field %s", relation->field.data);
    if (relation->many) pq_bytes_printf(out, NULL, " many");
}

static void print_form(struct pq_bytes *out, const struct pq_declared_field *field) {
    static const char *const names[] = {"",     " varchar", " char", " email",
                                        " url", " uuid",    " enum"};
    pq_bytes_printf(out, NULL, "%s", names[field->form]);
    if (field->length_max > 0) pq_bytes_printf(out, NULL, " %u", field->length_max);
    for (size_t i = 0; i < field->enum_count; i++) {
        pq_bytes_printf(out, NULL, "%s%s", i == 0 ? " " : "|", field->enum_values[i].data);
    }
}

static void print_value(struct pq_bytes *out, const struct pq_value *value) {
    char text[PQ_DECIMAL_TEXT_MAX];
    switch (value->kind) {
    case PQ_NULL: pq_bytes_printf(out, NULL, " nested"); break;
    case PQ_TEXT: pq_bytes_printf(out, NULL, " text %s", value->as.text.data); break;
    case PQ_BOOL: pq_bytes_printf(out, NULL, " %s", value->as.boolean ? "true" : "false"); break;
    case PQ_FLOAT32:
    case PQ_FLOAT64: pq_bytes_printf(out, NULL, " real %.17g", value->as.real); break;
    case PQ_DECIMAL:
        pq_decimal_format((struct pq_decimal){value->as.decimal, value->scale}, text);
        pq_bytes_printf(out, NULL, " decimal %s", text);
        break;
    default: pq_bytes_printf(out, NULL, " %lld", (long long)value->as.integer);
    }
}

static void print_field(struct pq_bytes *out, struct pq_arena *arena,
                        const struct pq_declared_field *field) {
    pq_bytes_append_text(out, pq_type_format(&field->field.type, arena), NULL);
    print_form(out, field);
    if (field->vector_length > 0) pq_bytes_printf(out, NULL, " of %u", field->vector_length);
    if (field->relation != NULL) print_relation(out, field->relation);
    if (field->field.required) pq_bytes_printf(out, NULL, " required");
    if (field->unique) pq_bytes_printf(out, NULL, " unique");
    if (field->indexed) pq_bytes_printf(out, NULL, " indexed");
    if (!field->has_default) return;
    pq_bytes_printf(out, NULL, " default %s =", field->default_json.data);
    print_value(out, &field->default_value);
}

static void check_declaration(const struct test_case *test) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_declared_field field;
    struct pq_ice_target target = {&arena, &problems, &field};
    const struct pq_problem_at at = {PQ_TEXT("E.f"), 3, 5};
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    pqdb_error err;
    const pqdb_code code =
        pq_ice_type_parse(PQ_TEXT("f"), pq_text_of(test->input), at, &target, &err);
    CHECK((code == PQDB_OK) == (problems.errors == 0), "%s: %s", test->name, err.message);
    if (code == PQDB_OK) print_field(&out, &arena, &field);
    for (size_t i = 0; i < problems.count; i++) {
        const struct pq_problem *problem = &problems.items[i];
        CHECK(problem->line == 3 && problem->column == 5, "%zu:%zu", problem->line,
              problem->column);
        pq_bytes_printf(&out, NULL, "%s: %s", problem->code, problem->message.data);
        if (problem->remedy.length > 0) pq_bytes_printf(&out, NULL, " | %s", problem->remedy.data);
    }
    pq_bytes_append_byte(&out, '\0', NULL);
    case_expect(test, (const char *)out.data);
    pq_bytes_deinit(&out);
    pq_arena_deinit(&arena);
}

/// "email ann@example.com": the declaration's first word, then the text.
static void check_form(const struct test_case *test) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_declared_field field;
    struct pq_ice_target target = {&arena, &problems, &field};
    CHECK(pq_ice_type_parse(PQ_TEXT("f"), pq_text_of(test->input), (struct pq_problem_at){0},
                            &target, NULL) == PQDB_OK,
          "%s", test->input);
    struct pq_rule_text why = {""};
    char got[200];
    const bool accepted = pq_declared_accepts(&field, pq_text_of(test->parts[1]), &why);
    snprintf(got, sizeof got, "%s%s", accepted ? "yes" : "not ", why.text);
    case_expect(test, got);
    pq_arena_deinit(&arena);
}

static void declarations_mean_what_the_table_says(void) {
    cases_run("type/ice_type.cases", check_declaration);
}
static void texts_are_held_to_their_form(void) { cases_run("type/form.cases", check_form); }

static void a_link_with_its_collection_is_the_bare_id(void) {
    const struct pq_relation relation = {.target = PQ_TEXT("Customer")};
    static const char *const links[][2] = {{"customer/ann", "ann"},
                                           {"Customer/ann", "ann"},
                                           {"ann", "ann"},
                                           {"order/ann", "order/ann"},
                                           {"customer", "customer"},
                                           {"customers/x", "customers/x"},
                                           {"", ""},
                                           {"customer/", ""}};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        const struct pq_text id = pq_relation_id(&relation, pq_text_of(links[i][0]));
        CHECK(pq_text_is(id, links[i][1]), "%s became %.*s", links[i][0], PQ_TEXT_ARG(id));
    }
}

static void every_allocation_may_fail(void) {
    static const char *const declarations[] = {"enum(a,b)## = a",         "-> Customer[]",
                                               "decimal(4,1)[] = [1.25]", "<- Order.customer[]",
                                               "vector(2) = [1,2]",       "nonsense"};
    for (size_t i = 0; i < sizeof declarations / sizeof *declarations; i++) {
        for (long n = 0;; n++) {
            struct failing_alloc memory = {.alloc = {failing_resize, &memory}, .left = n};
            struct pq_arena arena;
            pq_arena_init(&arena, &memory.alloc);
            struct pq_problems problems;
            pq_problems_init(&problems, &arena);
            struct pq_declared_field field;
            struct pq_ice_target target = {&arena, &problems, &field};
            const pqdb_code code = pq_ice_type_parse(PQ_TEXT("f"), pq_text_of(declarations[i]),
                                                     (struct pq_problem_at){0}, &target, NULL);
            pq_arena_deinit(&arena);
            CHECK(memory.live_bytes == 0, "%s: allocation %ld leaks", declarations[i], n);
            if (code != PQDB_NO_MEMORY) {
                CHECK(code == (i == 5 ? PQDB_INVALID : PQDB_OK), "%s", declarations[i]);
                break;
            }
        }
    }
}

int main(void) {
    RUN(declarations_mean_what_the_table_says);
    RUN(texts_are_held_to_their_form);
    RUN(a_link_with_its_collection_is_the_bare_id);
    RUN(every_allocation_may_fail);
    return test_done();
}
