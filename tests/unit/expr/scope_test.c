/// Goal: what a program says about itself (columns, bounds, type), what paths mean, date buckets,
/// places of mistakes, limits, and every allocation that can fail.
#include <pthread.h>
#include <string.h>

#include "base/zone.h"
#include "expr/compare.h"
#include "expr/print.h"
#include "support/expr_fixture.h"
#include "support/test.h"

static const struct pq_json *parse(struct expr_fixture *fixture, const char *text) {
    struct pq_json_document *document;
    pqdb_error err = {0};
    CHECK(pq_json_parse(pq_text_of(text), PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &fixture->arena.alloc,
                        &document, &err) == PQDB_OK,
          "%s: %s", text, err.message);
    return pq_json_root(document);
}

static struct pq_program *filter_of(struct expr_fixture *fixture, const char *text) {
    struct pq_program *program = NULL;
    pqdb_error err = {0};
    const struct pq_source source = {.json = parse(fixture, text), .code = "INVALID_FILTER"};
    CHECK(pq_filter_compile(&source, &fixture->scope, &pq_alloc_libc, &program, &err) == PQDB_OK,
          "%s: %s", text, err.message);
    return program;
}

static const struct {
    const char *filter;
    const char *columns;  // names of the columns that are read
    const char *bounds;
} plans[] = {
    {"{ $id: 'a' }", "$id", "$id in \"a\""},
    {"{ $id: { $in: ['a', 'b'] } }", "$id", "$id in \"a\" \"b\""},
    {"{ i: { $gt: 5, $lte: 9.5 } }", "i", "i >= 6, i <= 9"},
    {"{ i: 5.5 }", "i", "i in"},
    {"{ i: { $gt: 1e30 } }", "i", "i in"},
    {"{ i: { $lt: 1e30 } }", "i", ""},
    {"{ i: { $in: [1, 2.5, 'x', 3] } }", "i", "i in 1 3"},
    {"{ i: { $in: [1, null] } }", "i", ""},
    {"{ d: { $gte: 1.5 }, s: { $lt: 'b' } }", "d s", "d >= 1.5, s < \"b\""},
    {"{ at: { $gte: '2024-01-15' } }", "at", "at >= \"2024-01-15T00:00:00.000Z\""},
    {"{ day: '2024-01-15' }", "day", "day in \"2024-01-15\""},
    {"{ b: true, $and: [{ i: 1 }, { $or: [{ j: 2 }] }] }", "b i j", "b in true, i in 1"},
    {"{ i: { $ne: 5 }, j: { $not: { $gt: 5 } } }", "i j", ""},
    {"{ $or: [{ i: 1 }, { j: 2 }] }", "i j", ""},
    {"{ 'addr.city': 'x', 'v.a': 1, 'tags.0': 'a' }", "tags addr v", ""},
    {"{ tags: { $elemMatch: { $eq: 'a' } }, color: 'red' }", "tags _extra", ""},
    {"{ $expr: { $gt: ['$i', 5] } }", "i", "i >= 6"},
    {"{ friend: 'person/ann' }", "friend", "friend in \"ann\""},
    {"{ dec: 1.5 }", "dec", "dec in 1.50"},
    {"{ dec: { $in: [1.5, 2, 'x', 0.005] } }", "dec", "dec in 1.50 2.00"},
    {"{ dec: 1.505 }", "dec", "dec in"},
    {"{ dec: { $gt: 1.5 } }", "dec", ""},
    {"{ b: { $gt: false } }", "b", "b in true"},
    {"{ s: { $gt: 'b' }, d: { $gt: 1 } }", "d s", "s > \"b\", d > 1"},
};

static void print_plan(const struct expr_fixture *fixture, const struct pq_program *program,
                       struct pq_bytes *columns, struct pq_bytes *bounds) {
    static const char *const operators[] = {"<", "<=", ">", ">=", "in"};
    size_t count;
    const uint32_t *read = pq_program_columns(program, &count);
    for (size_t i = 0; i < count; i++) {
        pq_bytes_printf(columns, NULL, "%s%s", i == 0 ? "" : " ",
                        fixture->scope.type->fields[read[i]].name.data);
    }
    const struct pq_bound *list = pq_program_bounds(program, &count);
    for (size_t i = 0; i < count; i++) {
        pq_bytes_printf(bounds, NULL, "%s%s %s", i == 0 ? "" : ", ",
                        fixture->scope.type->fields[list[i].column].name.data,
                        operators[list[i].op]);
        for (size_t k = 0; k < list[i].value_count; k++) {
            pq_bytes_append_byte(bounds, ' ', NULL);
            pq_print_json(bounds, &list[i].values[k], NULL);
        }
    }
}

static void programs_tell_what_they_read_and_what_bounds_them(void) {
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        struct expr_fixture fixture;
        struct pq_bytes columns, bounds;
        expr_fixture_init(&fixture);
        pq_bytes_init(&columns, &fixture.arena.alloc);
        pq_bytes_init(&bounds, &fixture.arena.alloc);
        struct pq_program *program = filter_of(&fixture, plans[i].filter);
        print_plan(&fixture, program, &columns, &bounds);
        CHECK(pq_text_is(pq_bytes_text(&columns), plans[i].columns), "%s reads %.*s",
              plans[i].filter, PQ_TEXT_ARG(pq_bytes_text(&columns)));
        CHECK(pq_text_is(pq_bytes_text(&bounds), plans[i].bounds), "%s is bound by %.*s",
              plans[i].filter, PQ_TEXT_ARG(pq_bytes_text(&bounds)));
        pq_program_destroy(program);
        expr_fixture_deinit(&fixture);
    }
}

static const struct {
    const char *path, *type;
    bool through_list;
} meanings[] = {
    {"i", "int", false},          {"addr.geo.lat", "double", false},
    {"tags", "string[]", false},  {"tags.0", "string", false},
    {"items.qty", "null", true},  {"items.0.qty", "int", false},
    {"v.a.b", "variant", false},  {"inner.n", "int", false},
    {"logs.level", "null", true}, {"logs.7.level", "string", false},
    {"missing", "variant", false}, {"missing.x", "variant", false},
    {"i.x", "null", false},       {"addr.zip", "null", false},
    {"$id", "string", false},
};

static void paths_mean_columns(void) {
    struct expr_fixture fixture;
    struct pq_path_meaning meaning;
    expr_fixture_init(&fixture);
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        CHECK(pq_path_resolve(&fixture.scope, pq_text_of(meanings[i].path), &meaning, NULL) ==
                  PQDB_OK,
              "%s", meanings[i].path);
        const struct pq_text type = pq_type_format(&meaning.type, &fixture.arena);
        CHECK(pq_text_is(type, meanings[i].type), "%s is %.*s", meanings[i].path,
              PQ_TEXT_ARG(type));
        CHECK(meaning.through_list == meanings[i].through_list, "%s", meanings[i].path);
        CHECK(meaning.column >= 0, "%s begins nowhere", meanings[i].path);
    }
    fixture.scope.closed = true;
    CHECK(pq_path_resolve(&fixture.scope, PQ_TEXT("missing"), &meaning, NULL) == PQDB_OK &&
              meaning.column == -1,
          "a closed table has no other fields");
    static const char *const wrong[] = {"", ".", "a.", ".a", "a..b", "$seq", "a.$id", "$"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK(pq_path_resolve(&fixture.scope, pq_text_of(wrong[i]), &meaning, NULL) ==
                  PQDB_INVALID,
              "'%s'", wrong[i]);
    }
    expr_fixture_deinit(&fixture);
}

static void check_bucket(enum pq_bucket bucket, const char *zone_name, const char *field,
                         const char *rows, const char *want) {
    struct expr_fixture fixture;
    struct pq_program *program;
    struct pq_batch batch;
    struct pq_column column;
    struct pq_bytes out;
    pqdb_error err = {0};
    expr_fixture_init(&fixture);
    struct pq_bucket_key key = {
        .source = {.field = pq_text_of(field), .code = "INVALID_GROUP_BY"}, .bucket = bucket};
    if (zone_name != NULL) {
        CHECK(pq_zone_find(pq_text_of(zone_name), &key.zone, &err) == PQDB_OK, "%s", err.message);
    }
    CHECK(pq_bucket_compile(&key, &fixture.scope, &pq_alloc_libc, &program, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(expr_fixture_batch(&fixture, pq_text_of(rows), &batch, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pq_program_run(program, &batch, &fixture.arena, &column, &err) == PQDB_OK, "%s",
          err.message);
    pq_bytes_init(&out, &fixture.arena.alloc);
    for (size_t row = 0; row < column.count; row++) {
        if (row > 0) pq_bytes_append_byte(&out, ' ', NULL);
        pq_print_row(&out, &column, row, NULL);
    }
    CHECK(pq_text_is(pq_bytes_text(&out), want), "%s of %s: %.*s", pq_bucket_names[bucket], rows,
          PQ_TEXT_ARG(pq_bytes_text(&out)));
    const enum pq_kind kind = pq_program_type(program)->kind;
    CHECK(kind == (pq_bucket_is_date(bucket) ? PQ_DATE : PQ_TIMESTAMP), "kind %d", (int)kind);
    pq_program_destroy(program);
    expr_fixture_deinit(&fixture);
}

static void buckets_are_those_of_group_by(void) {
    check_bucket(PQ_BUCKET_DAY, NULL, "at", "[{ at: '2024-01-15' }, { at: '2024-02-15' }, {}]",
                 "\"2024-01-15\" \"2024-02-15\" null");
    check_bucket(PQ_BUCKET_WEEK, NULL, "day", "[{ day: '2024-01-14' }, { day: '2024-01-15' }]",
                 "\"2024-01-08\" \"2024-01-15\"");
    check_bucket(PQ_BUCKET_DATE, "Europe/Berlin", "at", "[{ at: '2024-03-30T23:30:00Z' }]",
                 "\"2024-03-31\"");
    check_bucket(PQ_BUCKET_DATE, "Europe/Berlin", "day", "[{ day: '2024-03-30' }]",
                 "\"2024-03-30\"");
    check_bucket(PQ_BUCKET_HOUR, "Europe/Berlin", "at",
                 "[{ at: '2024-10-27T00:30:00Z' }, { at: '2024-10-27T01:30:00Z' }]",
                 "\"2024-10-27T00:00:00.000Z\" \"2024-10-27T01:00:00.000Z\"");
    check_bucket(PQ_BUCKET_MINUTE, NULL, "v", "[{ v: 1705314659999 }, { v: 'x' }]",
                 "\"2024-01-15T10:30:00.000Z\" null");
}

/// A table whose object column has nulls that its members do not repeat.
static void members_of_a_missing_object_are_missing(void) {
    struct pq_arena arena;
    struct pq_program *program;
    struct pq_column out;
    pq_arena_init(&arena, &pq_alloc_libc);
    const struct pq_field member = {.name = PQ_TEXT("x"), .type = {.kind = PQ_INT64}};
    const struct pq_field field = {
        .name = PQ_TEXT("o"), .type = {.kind = PQ_OBJECT, .field_count = 1, .fields = &member}};
    const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 1, .fields = &field};
    const int64_t values[] = {1, 2, 3};
    const uint8_t valid[] = {PQ_ROW_VALID, PQ_ROW_NULL, PQ_ROW_VALID};
    const struct pq_column x = {
        .type = &member.type, .layout = PQ_FIXED, .count = 3, .values = values};
    const struct pq_column o = {
        .type = &field.type, .layout = PQ_MEMBERS, .count = 3, .valid = valid, .children = &x};
    const struct pq_batch batch = {.type = &type, .count = 3, .columns = &o};
    const struct pq_scope scope = {.type = &type, .extra_column = -1};
    const struct pq_source source = {.field = PQ_TEXT("o.x"), .code = "X"};
    CHECK(pq_expr_compile(&source, &scope, &pq_alloc_libc, &program, NULL) == PQDB_OK, "compile");
    CHECK(pq_program_run(program, &batch, &arena, &out, NULL) == PQDB_OK, "run");
    CHECK(!pq_column_is_null(&out, 0) && pq_column_is_null(&out, 1) && !pq_column_is_null(&out, 2),
          "nulls");
    CHECK(out.values == values, "nothing is copied");
    pq_program_destroy(program);
    pq_arena_deinit(&arena);
}

static void without_a_list_of_problems_the_first_is_the_error(void) {
    struct expr_fixture fixture;
    struct pq_program *program;
    pqdb_error err = {0};
    expr_fixture_init(&fixture);
    fixture.scope.problems = NULL;
    const struct pq_source source = {.json = parse(&fixture, "{ i: { $nee: 1 }, $or: 5 }"),
                                     .path = PQ_TEXT("V.$filter"),
                                     .code = "INVALID_FILTER"};
    CHECK(pq_filter_compile(&source, &fixture.scope, &pq_alloc_libc, &program, &err) ==
              PQDB_INVALID,
          "compiled");
    CHECK(strcmp(err.subject, "V.$filter.i") == 0, "%s", err.subject);
    CHECK(strcmp(err.message, "$nee is no operator of a filter's field (did you mean $ne)") == 0,
          "%s", err.message);
    expr_fixture_deinit(&fixture);
}

static struct pq_problem_at position(const void *ctx, const struct pq_json *value,
                                     struct pq_text path) {
    struct pq_problem_at at = {.path = path};
    const struct pq_text *text = ctx;
    pq_json_position(*text, pq_json_text(value).length > 0 ? 7 : 0, &at.line, &at.column);
    return at;
}

static void mistakes_have_a_place(void) {
    struct expr_fixture fixture;
    struct pq_program *program;
    const struct pq_text text = PQ_TEXT("{ i: { $nee: 1 } }");
    expr_fixture_init(&fixture);
    fixture.scope.position = position;
    fixture.scope.position_ctx = &text;
    const struct pq_source source = {.json = parse(&fixture, text.data), .code = "INVALID_FILTER"};
    CHECK(pq_filter_compile(&source, &fixture.scope, &pq_alloc_libc, &program, NULL) ==
              PQDB_INVALID,
          "compiled");
    CHECK(fixture.problems.count == 1 && fixture.problems.items[0].line == 1 &&
              fixture.problems.items[0].column == 8,
          "%zu problems", fixture.problems.count);
    expr_fixture_deinit(&fixture);
}

static pqdb_code compile_text(struct expr_fixture *fixture, struct pq_text text) {
    struct pq_json_document *document;
    struct pq_program *program = NULL;
    CHECK(pq_json_parse(text, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &fixture->arena.alloc, &document,
                        NULL) == PQDB_OK,
          "parse");
    const struct pq_source source = {.json = pq_json_root(document), .code = "X"};
    const pqdb_code code =
        pq_expr_compile(&source, &fixture->scope, &pq_alloc_libc, &program, NULL);
    pq_program_destroy(program);
    return code;
}

static void depth_and_size_are_bounded(void) {
    struct expr_fixture fixture;
    struct pq_bytes text;
    expr_fixture_init(&fixture);
    pq_bytes_init(&text, &fixture.arena.alloc);
    for (int k = 0; k < 100; k++) pq_bytes_printf(&text, NULL, "{$not:");
    pq_bytes_printf(&text, NULL, "1");
    for (int k = 0; k < 100; k++) pq_bytes_printf(&text, NULL, "}");
    CHECK(compile_text(&fixture, pq_bytes_text(&text)) == PQDB_LIMIT, "100 deep");
    text.length = 0;
    pq_bytes_printf(&text, NULL, "{$and:[");
    for (int k = 0; k < 200; k++) {
        pq_bytes_printf(&text, NULL, "{$and:[");
        for (int n = 0; n < 30; n++) pq_bytes_printf(&text, NULL, "'$i',");
        pq_bytes_printf(&text, NULL, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21]},");
    }
    pq_bytes_printf(&text, NULL, "]}");
    CHECK(compile_text(&fixture, pq_bytes_text(&text)) == PQDB_LIMIT, "4000 parts");
    expr_fixture_deinit(&fixture);
}

static const char *const swept[] = {
    "{ $and: [{ i: { $in: [1, 2] } }, { s: { $regex: 'a', $options: 'i' } }, { 'v.a': 1 },"
    " { tags: { $elemMatch: { $gt: 'a' } } }, { 'logs.0.level': 'x' }, { v: { $all: [[1]] } },"
    " { $expr: { $eq: [{ $toUpper: '$t' }, 'Ä'] } }, { i: { $type: 'int' } }] }",
    "{ $expr: { $switch: { branches: [{ case: '$b', then: { $split: ['$s', ','] } },"
    " { case: { $gt: ['$d', 1] }, then: { $concat: ['$s', '$t', { $toString: '$v' }] } }],"
    " default: '$addr' } } }",
    "{ $expr: { $add: [{ $hash: '$v' }, { $multiply: ['$i', '$j'] }, { $cond: ['$b', 1, 2] },"
    " { $strLen: { $trim: '$s' } }, { $divide: ['$d', 2] }] } }",
};

static pqdb_code sweep_once(struct expr_fixture *fixture, const struct pq_batch *batch,
                            const struct pq_json *json, struct failing_alloc *failing) {
    struct pq_program *program = NULL;
    struct pq_arena arena;
    struct pq_column column;
    pqdb_error err = {0};
    const struct pq_source source = {.json = json, .code = "X"};
    pq_arena_init(&arena, &failing->alloc);
    pqdb_code code = pq_filter_compile(&source, &fixture->scope, &failing->alloc, &program, &err);
    CHECK((code == PQDB_OK) == (program != NULL), "a program after code %d", (int)code);
    if (code == PQDB_OK) code = pq_program_run(program, batch, &arena, &column, &err);
    CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "%s", err.message);
    pq_program_destroy(program);
    pq_arena_deinit(&arena);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    struct expr_fixture fixture;
    struct pq_batch batch;
    expr_fixture_init(&fixture);
    fixture.scope.problems = NULL;
    CHECK(expr_fixture_batch(&fixture,
                             PQ_TEXT("[{ i: 1, j: 2, s: 'a,b', t: 'ä', v: { a: 1 }, b: true, d: 2,"
                                     " tags: ['b'], logs: [{ level: 'x' }], addr: { city: 'c' } },"
                                     " { s: 'A', v: [[1]], t: 'ö' }, {}]"),
                             &batch, NULL) == PQDB_OK,
          "batch");
    for (size_t i = 0; i < sizeof swept / sizeof *swept; i++) {
        const struct pq_json *json = parse(&fixture, swept[i]);
        pqdb_code code = PQDB_NO_MEMORY;
        long fail_at = 0;
        for (; code == PQDB_NO_MEMORY && fail_at < 10000; fail_at++) {
            struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
            failing.alloc.ctx = &failing;
            code = sweep_once(&fixture, &batch, json, &failing);
            CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at,
                  failing.live_bytes);
        }
        CHECK(code == PQDB_OK && fail_at > 4, "stopped at %ld with code %d", fail_at, (int)code);
    }
    expr_fixture_deinit(&fixture);
}

/// PCRE2's compiled code has a small stack of its own; beyond it the interpreter takes over.
static void long_texts_match_without_a_deep_stack(void) {
    struct expr_fixture fixture;
    struct pq_bytes rows;
    struct pq_batch batch;
    struct pq_selection selection;
    pqdb_error err = {0};
    expr_fixture_init(&fixture);
    pq_bytes_init(&rows, &fixture.arena.alloc);
    pq_bytes_printf(&rows, NULL, "[{ s: '");
    for (int k = 0; k < 20000; k++) pq_bytes_append_byte(&rows, k % 2 == 0 ? 'a' : 'b', NULL);
    pq_bytes_printf(&rows, NULL, "c' }, {}]");
    CHECK(expr_fixture_batch(&fixture, pq_bytes_text(&rows), &batch, &err) == PQDB_OK, "%s",
          err.message);
    struct pq_program *program = filter_of(&fixture, "{ s: { $regex: '^(?:a|b|ab)*c$' } }");
    CHECK(pq_program_select(program, &batch, &fixture.arena, &selection, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(selection.count == 1, "%zu rows", selection.count);
    pq_program_destroy(program);
    expr_fixture_deinit(&fixture);
}

enum { THREADS = 4 };

struct crew {
    const struct pq_program *program;
    const struct pq_batch *batch;
};

static void *work(void *ctx) {
    const struct crew *crew = ctx;
    for (int round = 0; round < 50; round++) {
        struct pq_arena arena;
        struct pq_selection selection;
        pq_arena_init(&arena, &pq_alloc_libc);
        CHECK(pq_program_select(crew->program, crew->batch, &arena, &selection, NULL) == PQDB_OK &&
                  selection.count == 1 && selection.rows[0] == 1,
              "%zu rows", selection.count);
        pq_arena_deinit(&arena);
    }
    return NULL;
}

static void many_threads_run_one_program(void) {
    struct expr_fixture fixture;
    struct pq_batch batch;
    pthread_t threads[THREADS];
    expr_fixture_init(&fixture);
    CHECK(expr_fixture_batch(&fixture,
                             PQ_TEXT("[{ s: 'a', inner: { n: 'x' } }, { s: 'Ä', v: [1], inner: { n:"
                                     " 1 } }, {}]"),
                             &batch, NULL) == PQDB_OK,
          "batch");
    struct pq_program *program = filter_of(
        &fixture, "{ s: { $regex: '^ä', $options: 'i' }, v: [1], 'inner.n': 1,"
                  " $expr: { $eq: [{ $toLower: '$s' }, 'ä'] } }");
    struct crew crew = {.program = program, .batch = &batch};
    for (int k = 0; k < THREADS; k++) {
        CHECK(pthread_create(&threads[k], NULL, work, &crew) == 0, "thread %d", k);
    }
    for (int k = 0; k < THREADS; k++) pthread_join(threads[k], NULL);
    CHECK(pq_program_mismatches(program) == THREADS * 50, "%llu mismatches",
          (unsigned long long)pq_program_mismatches(program));
    pq_program_destroy(program);
    expr_fixture_deinit(&fixture);
}

int main(void) {
    RUN(programs_tell_what_they_read_and_what_bounds_them);
    RUN(paths_mean_columns);
    RUN(buckets_are_those_of_group_by);
    RUN(members_of_a_missing_object_are_missing);
    RUN(without_a_list_of_problems_the_first_is_the_error);
    RUN(mistakes_have_a_place);
    RUN(depth_and_size_are_bounded);
    RUN(long_texts_match_without_a_deep_stack);
    RUN(many_threads_run_one_program);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
