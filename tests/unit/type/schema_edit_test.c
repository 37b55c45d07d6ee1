/// Goal: an entry goes into and out of a schema's text, and nothing else of the text changes.
#include "type/schema_edit.h"

#include <string.h>

#include "support/test.h"

static pqdb_error err;

static void check_add(const char *schema, const char *definition, const char *expected,
                      size_t line, size_t column) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    struct pq_schema_place place = {0};
    const pqdb_code code = pq_schema_text_add(pq_text_of(schema), PQ_TEXT("V"),
                                              pq_text_of(definition), &out, &place, &err);
    CHECK(code == PQDB_OK, "%s: %s", schema, err.message);
    CHECK(pq_text_equal(pq_bytes_text(&out), pq_text_of(expected)), "%.*s",
          PQ_TEXT_ARG(pq_bytes_text(&out)));
    CHECK(place.line == line && place.column == column, "%zu:%zu in %s", place.line,
          place.column, expected);
    pq_bytes_deinit(&out);
}

static void an_entry_is_added_behind_the_last_one(void) {
    check_add("{}", "{ $from: 'A' }", "{\n  V: { $from: 'A' },\n}", 2, 6);
    check_add("{ A: { x: 'int' } }", "{a:1}", "{ A: { x: 'int' }, \n  V: {a:1},\n}", 2, 6);
    check_add("{\n  A: {},\n}\n", " {a:1}\n", "{\n  A: {},\n  V: {a:1},\n}\n", 3, 6);
    check_add("{\n  'A': {} // } last\n}", "{a:1}",
              "{\n  'A': {}, // } last\n  V: {a:1},\n}", 3, 6);
    check_add("/* { */ { A: '}\\'{', /* } */ } // end {", "{ b: 1 } // c",
              "/* { */ { A: '}\\'{', /* } */ \n  V: { b: 1 } // c\n,\n} // end {", 2, 6);
}

static void only_one_object_is_a_definition(void) {
    static const char *const wrong[] = {"{} , W: {}", "", "'text'", "[]", "{", "{}}", "7"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct pq_bytes out;
        pq_bytes_init(&out, &pq_alloc_libc);
        struct pq_schema_place place;
        CHECK(pq_schema_text_add(PQ_TEXT("{}"), PQ_TEXT("V"), pq_text_of(wrong[i]), &out, &place,
                                 &err) == PQDB_INVALID, "%s", wrong[i]);
        pq_bytes_deinit(&out);
    }
}

static void check_remove(const char *schema, const char *expected) {
    const struct pq_text names[] = {PQ_TEXT("V"), PQ_TEXT("W")};
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    CHECK(pq_schema_text_remove(pq_text_of(schema), names, 2, &out, &err) == PQDB_OK, "%s: %s",
          schema, err.message);
    CHECK(pq_text_equal(pq_bytes_text(&out), pq_text_of(expected)), "%s: %.*s", schema,
          PQ_TEXT_ARG(pq_bytes_text(&out)));
    pq_bytes_deinit(&out);
}

static void entries_go_with_their_comments(void) {
    check_remove("{}", "{}");
    check_remove("{ A: {}, V: { $from: 'A' } }", "{ A: {},  }");
    check_remove("{ V: {}, A: { V: 1 } }", "{  A: { V: 1 } }");
    check_remove("{\n  A: {}, // a\n  // about V,\n  'V': { x: ['}', \"V: {\"] }, // v\n"
                 "  B: {},\n}",
                 "{\n  A: {}, // a\n  B: {},\n}");
    check_remove("{\n  V: {},\n  W: {},\n  A: {}\n}\n", "{\n  A: {}\n}\n");
    check_remove("{\n  A: {},\n  V: {},\n  W: {}\n}\n", "{\n  A: {},\n}\n");
    check_remove("{ V : /* x */ {} , W: 1, A: 2 }", "{   A: 2 }");
}

int main(void) {
    RUN(an_entry_is_added_behind_the_last_one);
    RUN(only_one_object_is_a_definition);
    RUN(entries_go_with_their_comments);
    return test_done();
}
