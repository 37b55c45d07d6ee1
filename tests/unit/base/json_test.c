/// Goal: pin what the JSON doorway accepts, how it says what it does not, where its values are,
/// and that a hostile text costs no more than its length.
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "support/cases.h"
#include "support/test.h"

static void print_value(struct pq_bytes *out, const struct pq_json_document *document,
                        const struct pq_json *value);

static void print_members(struct pq_bytes *out, const struct pq_json_document *document,
                          const struct pq_json *container) {
    const bool is_object = pq_json_kind(container) == PQ_JSON_OBJECT;
    const struct pq_json *at = pq_json_first(container);
    for (size_t i = 0; i < pq_json_count(container); i++) {
        if (i > 0) pq_bytes_append(out, ", ", 2, NULL);
        if (is_object) {
            print_value(out, document, at);
            pq_bytes_append(out, ": ", 2, NULL);
            at = pq_json_next(at);
        }
        print_value(out, document, at);
        at = pq_json_next(at);
    }
}

/// "object{"a"@1: int 5}": every value with its kind, texts and numbers kept as text with offset.
static void print_value(struct pq_bytes *out, const struct pq_json_document *document,
                        const struct pq_json *value) {
    switch (pq_json_kind(value)) {
    case PQ_JSON_NULL: pq_bytes_printf(out, NULL, "null"); break;
    case PQ_JSON_BOOL:
        pq_bytes_printf(out, NULL, "%s", pq_json_bool(value) ? "true" : "false");
        break;
    case PQ_JSON_INT: pq_bytes_printf(out, NULL, "int %lld", (long long)pq_json_int(value)); break;
    case PQ_JSON_REAL:
        pq_bytes_printf(out, NULL, "real ");
        if (isfinite(pq_json_real(value)))
            pq_json_write_real(out, pq_json_real(value), NULL);
        else
            pq_bytes_printf(out, NULL, "%g", pq_json_real(value));
        break;
    case PQ_JSON_NUMBER:
        pq_bytes_printf(out, NULL, "number %s@%lld", pq_json_text(value).data,
                        (long long)pq_json_offset(document, value));
        break;
    case PQ_JSON_TEXT:
        pq_json_write_text(out, pq_json_text(value), NULL);
        pq_bytes_printf(out, NULL, "@%lld", (long long)pq_json_offset(document, value));
        break;
    case PQ_JSON_LIST:
    case PQ_JSON_OBJECT: {
        const bool is_object = pq_json_kind(value) == PQ_JSON_OBJECT;
        pq_bytes_append_byte(out, is_object ? '{' : '[', NULL);
        print_members(out, document, value);
        pq_bytes_append_byte(out, is_object ? '}' : ']', NULL);
        break;
    }
    }
}

static unsigned flags_of(const char *words) {
    return (strstr(words, "json5") != NULL ? PQ_JSON_5 : 0u) |
           (strstr(words, "raw") != NULL ? PQ_JSON_RAW_NUMBERS : 0u);
}

static void check_parse(const struct test_case *test) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    struct pq_json_document *document = NULL;
    pqdb_error err;
    const pqdb_code code = pq_json_parse(pq_text_of(test->input), flags_of(test->parts[1]),
                                         &pq_alloc_libc, &document, &err);
    if (code == PQDB_OK) {
        print_value(&out, document, pq_json_root(document));
        pq_json_destroy(document);
    } else {
        pq_bytes_printf(&out, NULL, "error at %lld: %s", (long long)err.offset, err.message);
    }
    pq_bytes_append_byte(&out, '\0', NULL);
    case_expect(test, (const char *)out.data);
    pq_bytes_deinit(&out);
}

static void texts_parse_as_the_table_says(void) { cases_run("base/json.cases", check_parse); }

static void expect_real(double value, const char *expected) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    pq_json_write_real(&out, value, NULL);
    CHECK(pq_text_is(pq_bytes_text(&out), expected), "%a gave %.*s, not %s", value,
          PQ_TEXT_ARG(pq_bytes_text(&out)), expected);
    pq_bytes_deinit(&out);
}

static void doubles_print_as_javascript_prints_them(void) {
    expect_real(1, "1");
    expect_real(-1.5, "-1.5");
    expect_real(0, "0");
    expect_real(-0.0, "-0");
    expect_real(100, "100");
    expect_real(0.1, "0.1");
    expect_real(0.1 + 0.2, "0.30000000000000004");
    expect_real(1e20, "100000000000000000000");
    expect_real(123456789012345680000.0, "123456789012345680000");
    expect_real(1e21, "1e+21");
    expect_real(1.25e22, "1.25e+22");
    expect_real(1e308, "1e+308");
    expect_real(1.7976931348623157e308, "1.7976931348623157e+308");
    expect_real(0.000001, "0.000001");
    expect_real(0.0000012, "0.0000012");
    expect_real(1e-7, "1e-7");
    expect_real(1.5e-9, "1.5e-9");
    expect_real(5e-324, "5e-324");
    expect_real(9007199254740993.0, "9007199254740992");
    expect_real((double)INFINITY, "null");
    expect_real((double)NAN, "null");
}

static void doubles_read_back_the_same(void) {
    uint64_t seed = 42;
    for (int i = 0; i < 20000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t bits = seed ^ seed >> 29;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        struct pq_bytes out;
        pq_bytes_init(&out, &pq_alloc_libc);
        pq_json_write_real(&out, value, NULL);
        pq_bytes_append_byte(&out, '\0', NULL);
        const double back = strtod((const char *)out.data, NULL);
        CHECK(memcmp(&back, &value, sizeof value) == 0, "%a printed as %s", value, out.data);
        pq_bytes_deinit(&out);
    }
}

static void number_texts_read_as_the_nearest_double(void) {
    static const struct {
        const char *text;
        double real;
    } numbers[] = {{"0.1", 0.1},
                   {"1e400", (double)INFINITY},
                   {"-1e400", -(double)INFINITY},
                   {"5e-324", 5e-324},
                   {"123456789012345678901234567890", 123456789012345678901234567890.0},
                   {".5", 0.5},
                   {"+7", 7},
                   {"18446744073709551615", 18446744073709551615.0},
                   {"-3", -3},
                   {"1e-400", 0}};
    double real = 0;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        CHECK(pq_json_read_real(pq_text_of(numbers[i].text), &real) && real == numbers[i].real,
              "%s gave %g", numbers[i].text, real);
    }
    CHECK(!pq_json_read_real(PQ_TEXT("1x"), &real) && !pq_json_read_real(PQ_TEXT(""), &real), "1x");
}

static void expect_written(const char *text, unsigned flags, const char *expected) {
    struct pq_json_document *document;
    pqdb_error err;
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    CHECK(pq_json_parse(pq_text_of(text), flags, &pq_alloc_libc, &document, &err) == PQDB_OK, "%s",
          text);
    CHECK(pq_json_write(&out, pq_json_root(document), NULL) == PQDB_OK, "%s", text);
    CHECK(pq_text_is(pq_bytes_text(&out), expected), "%s gave %.*s", text,
          PQ_TEXT_ARG(pq_bytes_text(&out)));
    pq_bytes_deinit(&out);
    pq_json_destroy(document);
}

static void values_are_written_compactly_with_their_numbers_as_they_were(void) {
    expect_written(
        " { \"a\" : [ 1 , 2.50, { } , [ ] , [[]], {\"b\":null} ] , "
        "\"c\" : \"x\\ny\\u0001\\\"\" } ",
        PQ_JSON_STRICT, "{\"a\":[1,2.5,{},[],[[]],{\"b\":null}],\"c\":\"x\\ny\\u0001\\\"\"}");
    expect_written("[2.50, 1e3, 18446744073709551615]", PQ_JSON_RAW_NUMBERS,
                   "[2.50,1e3,18446744073709551615]");
    expect_written("[18446744073709551615, 99999999999999999999999]", PQ_JSON_STRICT,
                   "[18446744073709551615,99999999999999999999999]");
    expect_written("[+5, .5, 5., -.5e3, 0x1F, NaN]", PQ_JSON_5 | PQ_JSON_RAW_NUMBERS,
                   "[5,0.5,5,-0.5e3,31,null]");
    expect_written("\"t\"", PQ_JSON_STRICT, "\"t\"");
}

static void every_byte_is_escaped_where_it_must_be(void) {
    for (unsigned c = 0; c < 128; c++) {
        for (size_t at = 0; at < 17; at++) {
            char plain[] = "abcdefghijklmnopq";
            plain[at] = (char)c;
            const struct pq_text text = {plain, 17};
            struct pq_bytes out;
            pq_bytes_init(&out, &pq_alloc_libc);
            CHECK(pq_json_write_text(&out, text, NULL) == PQDB_OK, "byte %u", c);
            struct pq_json_document *document;
            pqdb_error err;
            CHECK(pq_json_parse(pq_bytes_text(&out), PQ_JSON_STRICT, &pq_alloc_libc, &document,
                                &err) == PQDB_OK,
                  "byte %u at %zu: %s", c, at, err.message);
            CHECK(pq_text_equal(pq_json_text(pq_json_root(document)), text), "byte %u", c);
            pq_json_destroy(document);
            pq_bytes_deinit(&out);
        }
    }
}

static void ten_thousand_brackets_are_only_a_long_text(void) {
    enum { depth = 10000 };
    char *text = malloc(2 * depth);
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    struct pq_json_document *document;
    pqdb_error err;
    CHECK(pq_json_parse((struct pq_text){text, depth}, PQ_JSON_STRICT, &pq_alloc_libc, &document,
                        &err) == PQDB_INVALID &&
              err.offset == depth,
          "an open list was accepted");
    CHECK(pq_json_parse((struct pq_text){text, 2 * depth}, PQ_JSON_STRICT, &pq_alloc_libc,
                        &document, &err) == PQDB_OK,
          "%s", err.message);
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    CHECK(pq_json_write(&out, pq_json_root(document), NULL) == PQDB_OK && out.length == 2 * depth &&
              memcmp(out.data, text, 2 * depth) == 0,
          "wrote %zu bytes", out.length);
    pq_bytes_deinit(&out);
    pq_json_destroy(document);
    free(text);
}

static void a_reader_stops_allocating_once_it_is_warm(void) {
    struct failing_alloc memory = {.alloc = {failing_resize, &memory}, .left = 1000};
    struct pq_json_reader reader;
    pq_json_reader_init(&reader, &memory.alloc);
    const struct pq_json *root;
    pqdb_error err;
    const char *texts[] = {"{\"a\": [1, 2, 3, 4, 5, 6, 7, 8], \"b\": \"text\"}", "[]", "[1,2,3]",
                           "{\"b\": \"longer text than that\"}", "{"};
    for (size_t round = 0; round < 20; round++) {
        if (round == 10) memory.left = 0;
        for (size_t i = 0; i < 5; i++) {
            const pqdb_code code =
                pq_json_reader_parse(&reader, pq_text_of(texts[i]), PQ_JSON_STRICT, &root, &err);
            CHECK(code == (i == 4 ? PQDB_INVALID : PQDB_OK), "%s: %s", texts[i], err.message);
            if (i != 3) continue;
            const struct pq_text b = pq_json_text(pq_json_find(root, "b"));
            CHECK(pq_text_is(b, "longer text than that"), "%s", b.data);
        }
    }
    pq_json_reader_deinit(&reader);
    CHECK(memory.live_bytes == 0, "%ld bytes leak", memory.live_bytes);
}

static void every_allocation_may_fail(void) {
    for (long n = 0;; n++) {
        struct failing_alloc memory = {.alloc = {failing_resize, &memory}, .left = n};
        struct pq_json_document *document = NULL;
        pqdb_error err;
        const pqdb_code code = pq_json_parse(
            PQ_TEXT("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,18446744073709551615,[[[]]]]"),
            PQ_JSON_STRICT, &memory.alloc, &document, &err);
        if (code == PQDB_OK) {
            struct pq_bytes out;
            pq_bytes_init(&out, &pq_alloc_libc);
            pq_json_write(&out, pq_json_root(document), NULL);
            pq_bytes_deinit(&out);
            pq_json_destroy(document);
        }
        CHECK(memory.live_bytes == 0, "allocation %ld: %ld bytes leak", n, memory.live_bytes);
        if (code == PQDB_OK) break;
        CHECK(code == PQDB_NO_MEMORY, "allocation %ld gave code %d", n, code);
    }
}

static void text_that_is_not_utf8_is_refused_wherever_it_stands(void) {
    static const char *const texts[] = {"\"\xff\"", "{\"\xc0\x80\": 1}", "\"\xed\xa0\x80\"",
                                        "// \xff\n1", "{a\xff: 1}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct pq_json_document *document;
        pqdb_error err;
        const unsigned flags = i < 3 ? PQ_JSON_STRICT : PQ_JSON_5;
        const pqdb_code code =
            pq_json_parse(pq_text_of(texts[i]), flags, &pq_alloc_libc, &document, &err);
        CHECK(code == PQDB_INVALID && strstr(err.message, "UTF-8") != NULL, "text %zu", i);
    }
}

static void positions_count_lines_and_code_points(void) {
    const struct pq_text text = PQ_TEXT("{\n  'ü': 1,\n  b: [true]\n}");
    struct pq_json_document *document;
    pqdb_error err;
    CHECK(pq_json_parse(text, PQ_JSON_5, &pq_alloc_libc, &document, &err) == PQDB_OK, "%s",
          err.message);
    const struct pq_json *list = pq_json_find(pq_json_root(document), "b");
    size_t line, column;
    pq_json_position(text, pq_json_offset_near(document, list), &line, &column);
    CHECK(line == 3 && column == 3, "key b is at %zu:%zu", line, column);
    CHECK(pq_json_offset(document, list) == -1, "a list has no place of its own");
    pq_json_position(text, 7, &line, &column);
    CHECK(line == 2 && column == 5, "after ü is %zu:%zu", line, column);
    pq_json_position(text, 1000, &line, &column);
    CHECK(line == 4 && column == 2, "the end is %zu:%zu", line, column);
    CHECK(pq_json_offset_near(document, pq_json_root(document)) == 0, "the root");
    pq_json_destroy(document);
}

int main(void) {
    RUN(texts_parse_as_the_table_says);
    RUN(doubles_print_as_javascript_prints_them);
    RUN(doubles_read_back_the_same);
    RUN(number_texts_read_as_the_nearest_double);
    RUN(values_are_written_compactly_with_their_numbers_as_they_were);
    RUN(every_byte_is_escaped_where_it_must_be);
    RUN(ten_thousand_brackets_are_only_a_long_text);
    RUN(a_reader_stops_allocating_once_it_is_warm);
    RUN(every_allocation_may_fail);
    RUN(text_that_is_not_utf8_is_refused_wherever_it_stands);
    RUN(positions_count_lines_and_code_points);
    return test_done();
}
