/// Goal: pin the total order, what is equal, and the canonical bytes, which are persisted.
#include "expr/compare.h"

#include <string.h>

#include "support/cases.h"
#include "support/expr_fixture.h"
#include "support/test.h"

/// Ascending; values in one row are equal. As expressions over an empty row.
static const char *const ladder[][4] = {
    {"false"},
    {"true"},
    {"{ $literal: -Infinity }"},
    {"-1e300"},
    {"{ $toDecimal: ['-99999999999999999999999999999999999999', 0] }"},
    {"-9223372036854775808", "{ $toDouble: '-9223372036854775808' }"},
    {"-9223372036854775807"},
    {"-9007199254740993"},
    {"-9007199254740992", "-9007199254740992.0"},
    {"-1.5", "{ $toDecimal: ['-1.5', 1] }"},
    {"{ $toDecimal: ['-1.4', 1] }"},
    {"-1"},
    {"{ $toDecimal: ['-0.1', 1] }", "{ $toDecimal: ['-0.1', 5] }"},
    {"-5e-324"},
    {"0", "0.0", "{ $divide: [0, -1] }", "{ $toDecimal: [0, 2] }"},
    {"5e-324"},
    {"{ $toDecimal: ['0.00000000000000000000000000000000000001', 38] }"},
    {"{ $toDecimal: ['0.1', 1] }", "{ $toDecimal: ['0.1', 2] }"},
    {"0.1"},
    {"{ $toDecimal: ['0.11', 2] }"},
    {"1", "1.0", "{ $toDecimal: [1, 2] }", "true_as_int"},
    {"{ $toDecimal: ['1.01', 2] }"},
    {"9007199254740992", "9007199254740992.0"},
    {"9007199254740993"},
    {"9007199254740994", "9007199254740994.0"},
    {"9223372036854775807"},
    {"9223372036854775808.0", "9223372036854775808"},
    {"1e38"},
    {"{ $toDecimal: ['99999999999999999999999999999999999999', 0] }"},
    {"1e300"},
    {"Infinity"},
    {"NaN", "{ $subtract: [{ $multiply: [1e300, Infinity] }, Infinity] }"},
    {"{ $toDate: '1969-12-31T23:59:59.999999Z' }"},
    {"{ $toDate: 0 }", "{ $dateTrunc: ['1970-01-01', 'day'] }"},
    {"{ $toDate: '2024-01-15T00:00:00.000001Z' }"},
    {"{ $dateTrunc: ['+999999-12-31', 'day'] }"},
    {"''"},
    {"'\\u0000'"},
    {"'\\u0000a'"},
    {"'\\u0001'"},
    {"'a'"},
    {"'a\\u0000'"},
    {"'a\\u0000\\u0000'"},
    {"'a\\u0000b'"},
    {"'aa'"},
    {"'b'"},
    {"'ä'"},
    {"'🌍'"},
    {"[]"},
    {"[false]"},
    {"[1]", "[1.0]"},
    {"[1, 0]"},
    {"[1, null]"},
    {"[2]"},
    {"['a']", "{ $split: ['a', ','] }"},
    {"['a', 'b']", "{ $split: ['a,b', ','] }"},
    {"[[]]"},
    {"[null]"},
    {"{}", "{ $literal: { a: null } }"},
    {"{ '': 1 }"},
    {"{ a: 1 }", "{ a: 1.0, b: null }"},
    {"{ a: 1, b: 2 }", "{ b: 2, a: 1 }"},
    {"{ a: 1, c: 0 }"},
    {"{ a: 2 }"},
    {"{ 'a\\u0000': 0 }"},
    {"{ aa: 0 }"},
    {"{ b: 0 }"},
    {"null"},
};
enum { RUNGS = sizeof ladder / sizeof *ladder, VALUES_MAX = RUNGS * 4 };

struct rung {
    size_t height;
    struct pq_value value;
    struct pq_bytes key;
    const char *text;
};

static struct pq_value evaluate(struct expr_fixture *fixture, const char *text) {
    struct pq_json_document *document;
    struct pq_program *program;
    struct pq_batch batch;
    struct pq_column column;
    pqdb_error err = {0};
    struct pq_column *kept = pq_arena_alloc(&fixture->arena, sizeof *kept);
    CHECK(expr_fixture_batch(fixture, PQ_TEXT("[{}]"), &batch, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_json_parse(pq_text_of(text), PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &fixture->arena.alloc,
                        &document, &err) == PQDB_OK,
          "%s: %s", text, err.message);
    const struct pq_source source = {.json = pq_json_root(document), .code = "X"};
    // The program lives in the fixture's arena, so that its constants do, too.
    CHECK(pq_expr_compile(&source, &fixture->scope, &fixture->arena.alloc, &program, &err) ==
              PQDB_OK,
          "%s", text);
    CHECK(pq_program_run(program, &batch, &fixture->arena, &column, &err) == PQDB_OK, "%s",
          err.message);
    *kept = column;
    return pq_column_value(kept, 0);
}

static size_t climb(struct expr_fixture *fixture, struct rung *rungs) {
    size_t count = 0;
    for (size_t height = 0; height < RUNGS; height++) {
        for (size_t k = 0; k < 4 && ladder[height][k] != NULL; k++) {
            const char *text = ladder[height][k];
            if (strcmp(text, "true_as_int") == 0) text = "{ $toInt: true }";
            rungs[count] = (struct rung){.height = height, .text = text};
            rungs[count].value = evaluate(fixture, text);
            pq_bytes_init(&rungs[count].key, &fixture->arena.alloc);
            CHECK(pq_key_encode(&rungs[count].value, &rungs[count].key, NULL) == PQDB_OK, "key");
            count++;
        }
    }
    return count;
}

static int sign(int order) { return order < 0 ? -1 : order > 0; }

static void the_order_is_total_and_keys_follow_it(void) {
    struct expr_fixture fixture;
    static struct rung rungs[VALUES_MAX];
    expr_fixture_init(&fixture);
    const size_t count = climb(&fixture, rungs);
    for (size_t a = 0; a < count; a++) {
        for (size_t b = 0; b < count; b++) {
            const struct rung *x = &rungs[a], *y = &rungs[b];
            const int want = x->height < y->height ? -1 : x->height > y->height;
            CHECK(sign(pq_value_compare(&x->value, &y->value)) == want, "%s and %s", x->text,
                  y->text);
            CHECK(sign(pq_text_compare(pq_bytes_text(&x->key), pq_bytes_text(&y->key))) == want,
                  "keys of %s and %s", x->text, y->text);
            if (want == 0) {
                CHECK(pq_value_match(&x->value, &y->value), "%s is %s", x->text, y->text);
            } else {
                CHECK(x->key.length < 1 || y->key.length < x->key.length ||
                          memcmp(x->key.data, y->key.data, x->key.length) != 0,
                      "the key of %s begins that of %s", x->text, y->text);
            }
        }
    }
    expr_fixture_deinit(&fixture);
}

static void times_match_text_and_numbers_but_are_not_equal_to_them(void) {
    struct expr_fixture fixture;
    int order;
    expr_fixture_init(&fixture);
    const struct pq_value time = evaluate(&fixture, "{ $toDate: 1500 }");
    const struct pq_value text = evaluate(&fixture, "'1970-01-01T00:00:01.5Z'");
    const struct pq_value number = evaluate(&fixture, "1500.0");
    const struct pq_value junk = evaluate(&fixture, "'x'");
    CHECK(pq_value_match(&time, &text) && pq_value_match(&text, &time), "text");
    CHECK(pq_value_match(&time, &number) && pq_value_match(&number, &time), "number");
    CHECK(!pq_value_match(&text, &number) && !pq_value_match(&time, &junk), "not transitive");
    CHECK(!pq_value_relate(&time, &junk, &order) && !pq_value_relate(&text, &number, &order), "no");
    CHECK(pq_value_compare(&time, &text) < 0 && pq_value_compare(&time, &number) > 0, "sort");
    expr_fixture_deinit(&fixture);
}

static void rows_of_columns_compare_like_their_values(void) {
    struct expr_fixture fixture;
    struct pq_batch batch;
    static const char rows[] =
        "[{ i: 5, s: 'b', day: '2024-01-02', at: 0, d: NaN, dec: 1, v: [1], tags: ['a'] },"
        " { i: -5, s: 'a', day: '2024-01-01', at: -1, d: 1, dec: 1.0, v: 'x', tags: ['a'] }, {}]";
    for (int coded = 0; coded < 2; coded++) {
        expr_fixture_init(&fixture);
        fixture.dictionaries = coded == 1;
        CHECK(expr_fixture_batch(&fixture, PQ_TEXT(rows), &batch, NULL) == PQDB_OK, "batch");
        for (size_t k = 0; k < batch.type->field_count; k++) {
            const struct pq_column *column = &batch.columns[k];
            for (size_t a = 0; a < 3; a++) {
                for (size_t b = 0; b < 3; b++) {
                    const struct pq_value x = pq_column_value(column, a);
                    const struct pq_value y = pq_column_value(column, b);
                    CHECK(sign(pq_column_compare(column, a, column, b)) ==
                              sign(pq_value_compare(&x, &y)),
                          "column %zu, rows %zu and %zu", k, a, b);
                }
            }
        }
        expr_fixture_deinit(&fixture);
    }
}

/// Keys of several columns, as hexadecimals, one row a line.
static void check_key(const struct test_case *test) {
    struct expr_fixture fixture;
    struct pq_bytes hex;
    expr_fixture_init(&fixture);
    const struct pq_value value = evaluate(&fixture, test->input);
    pq_bytes_init(&hex, &fixture.arena.alloc);
    struct pq_bytes key;
    pq_bytes_init(&key, &fixture.arena.alloc);
    CHECK(pq_key_encode(&value, &key, NULL) == PQDB_OK, "encode");
    for (size_t i = 0; i < key.length; i++) pq_bytes_printf(&hex, NULL, "%02X", key.data[i]);
    pq_bytes_append_byte(&hex, '\0', NULL);
    case_expect(test, (const char *)hex.data);
    expr_fixture_deinit(&fixture);
}

static void keys_are_these_bytes(void) { cases_run("expr/keys.cases", check_key); }

static void keys_of_rows_are_the_values_keys_in_a_row(void) {
    struct expr_fixture fixture;
    struct pq_batch batch;
    struct pq_keys keys;
    expr_fixture_init(&fixture);
    CHECK(expr_fixture_batch(&fixture, PQ_TEXT("[{ i: 1, s: 'a' }, {}, { i: 2, v: { a: 1 } }]"),
                             &batch, NULL) == PQDB_OK,
          "batch");
    CHECK(pq_keys_encode(batch.columns, batch.type->field_count, batch.count, &fixture.arena, &keys,
                         NULL) == PQDB_OK,
          "keys");
    for (size_t row = 0; row < batch.count; row++) {
        struct pq_bytes want;
        pq_bytes_init(&want, &fixture.arena.alloc);
        for (size_t k = 0; k < batch.type->field_count; k++) {
            const struct pq_value value = pq_column_value(&batch.columns[k], row);
            pq_key_encode(&value, &want, NULL);
        }
        const struct pq_text got = {(const char *)keys.data + keys.offsets[row],
                                    keys.offsets[row + 1] - keys.offsets[row]};
        CHECK(pq_text_equal(got, pq_bytes_text(&want)), "row %zu", row);
    }
    expr_fixture_deinit(&fixture);
}

int main(void) {
    RUN(the_order_is_total_and_keys_follow_it);
    RUN(times_match_text_and_numbers_but_are_not_equal_to_them);
    RUN(rows_of_columns_compare_like_their_values);
    RUN(keys_are_these_bytes);
    RUN(keys_of_rows_are_the_values_keys_in_a_row);
    return test_done();
}
