/// Goal: types print as a schema would say them, and are equal by shape; problems are kept in
/// order and within their bound.
#include "type/type.h"

#include <string.h>

#include "support/test.h"
#include "type/problem.h"

static const struct pq_field element = {.type = {.kind = PQ_VARIANT}};
static const struct pq_field members[] = {
    {.name = {"a", 1}, .type = {.kind = PQ_INT64}, .required = true, .id = 4},
    {.name = {"b", 1}, .type = {.kind = PQ_LIST, .field_count = 1, .fields = &element}},
    {.name = {"c", 1}, .type = {.kind = PQ_DECIMAL, .precision = 10, .scale = 2}},
};
static const struct pq_type object = {.kind = PQ_OBJECT, .field_count = 3, .fields = members};

static void types_print_as_a_schema_says_them(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    const struct pq_text text = pq_type_format(&object, &arena);
    CHECK(pq_text_is(text, "{ a: int!, b: variant[], c: decimal(10,2) }"), "%s", text.data);
    for (int kind = PQ_NULL; kind <= PQ_VARIANT; kind++) {
        if (kind == PQ_LIST || kind == PQ_OBJECT) continue;
        const struct pq_type scalar = {.kind = (enum pq_kind)kind};
        CHECK(pq_type_format(&scalar, &arena).length > 0, "kind %d", kind);
    }
    pq_arena_deinit(&arena);
}

static void types_are_equal_by_shape(void) {
    struct pq_field others[3];
    memcpy(others, members, sizeof others);
    const struct pq_type other = {.kind = PQ_OBJECT, .field_count = 3, .fields = others};
    others[0].required = false;
    others[0].id = 9;
    CHECK(pq_type_equal(&object, &other), "required and ids do not count");
    others[2].type.scale = 3;
    CHECK(!pq_type_equal(&object, &other), "the scale counts");
    others[2].type.scale = 2;
    others[0].name = PQ_TEXT("A");
    CHECK(!pq_type_equal(&object, &other), "names count");
    CHECK(pq_type_find(&object, PQ_TEXT("c")) == 2 && pq_type_find(&object, PQ_TEXT("C")) == -1,
          "members are found by exact name");
    CHECK(pq_kind_width(PQ_DECIMAL) == 16 && pq_kind_width(PQ_TEXT) == 0, "widths");
}

static void problems_are_kept_in_order_up_to_their_bound(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    pqdb_error err;
    CHECK(pq_problems_code(&problems, &err) == PQDB_OK, "nothing is wrong yet");
    pq_problem_warn(&problems, "HINT", (struct pq_problem_at){PQ_TEXT("A"), 1, 1}, NULL, "odd");
    CHECK(pq_problems_code(&problems, &err) == PQDB_OK, "a warning is no error");
    for (size_t i = 0; i < PQ_PROBLEMS_MAX + 5; i++) {
        pq_problem_add(&problems, "BAD", (struct pq_problem_at){PQ_TEXT("A.b"), i + 2, 3}, "fix it",
                       "mistake %zu", i);
    }
    CHECK(problems.count == PQ_PROBLEMS_MAX && problems.errors == PQ_PROBLEMS_MAX + 5 &&
              problems.warnings == 1,
          "%zu kept", problems.count);
    CHECK(problems.items[50].line == 51 && pq_text_is(problems.items[50].message, "mistake 49") &&
              pq_text_is(problems.items[50].remedy, "fix it"),
          "%s", problems.items[50].message.data);
    CHECK(pq_problems_code(&problems, &err) == PQDB_INVALID &&
              strcmp(err.message, "line 2: BAD: mistake 0; fix it (and 104 more)") == 0 &&
              strcmp(err.subject, "A.b") == 0,
          "%s", err.message);
    pq_arena_deinit(&arena);
}

static void problems_are_counted_when_memory_is_out(void) {
    struct failing_alloc memory = {.alloc = {failing_resize, &memory}, .left = 0};
    struct pq_arena arena;
    pq_arena_init(&arena, &memory.alloc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    pq_problem_add(&problems, "BAD", (struct pq_problem_at){PQ_TEXT("A"), 1, 1}, NULL, "mistake");
    pqdb_error err;
    CHECK(problems.errors == 1 && pq_problems_code(&problems, &err) == PQDB_INVALID, "lost");
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(types_print_as_a_schema_says_them);
    RUN(types_are_equal_by_shape);
    RUN(problems_are_kept_in_order_up_to_their_bound);
    RUN(problems_are_counted_when_memory_is_out);
    return test_done();
}
