/// Goal: pin JSON through variants by text cases, by the same cases with names that do not fit the
/// shared list, and by the limits of depth, size and names.
#include <string.h>

#include "base/arena.h"
#include "support/cases.h"
#include "support/test.h"
#include "variant/variant.h"

enum { own_names = 2 };  // PQ_ROW_OWN_NAMES

/// A list so small that the third name does not fit.
static struct pq_variant_names *tiny_names(void) {
    static const uint8_t metadata[] = {1, 2, 0, 1, 2, 'a', 'b'};
    struct pq_variant_names *names;
    size_t used;
    CHECK(pq_variant_names_from_metadata(metadata, sizeof metadata, &pq_alloc_libc, &names, &used,
                                         NULL) == PQDB_OK, "metadata");
    return names;
}

static pqdb_code through_variant(struct pq_variant_encoder *encoder,
                                 const struct pq_variant_names *names, const struct pq_json *json,
                                 struct pq_bytes *text, pqdb_error *err) {
    struct pq_bytes bytes;
    struct pq_arena arena;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_append(&bytes, "before", 6, NULL);
    bool own = false;
    struct pq_variant variant;
    pqdb_code code = pq_variant_encode_json(encoder, json, &bytes, &own, err);
    if (code == PQDB_OK) {
        const struct pq_text row = {(const char *)bytes.data + 6, bytes.length - 6};
        code = pq_variant_of_row(row, own ? own_names : 1, names, &arena, &variant, err);
        if (code == PQDB_OK) code = pq_variant_check(&variant, err);
        if (code == PQDB_OK) code = pq_variant_write_json(&variant, text, err);
    } else {
        CHECK(bytes.length == 6, "a failure leaves %zu bytes", bytes.length);
    }
    CHECK(memcmp(bytes.data, "before", 6) == 0, "what was there before is kept");
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
    return code;
}

static void check_with(const struct test_case *test, struct pq_variant_names *names,
                       unsigned flags) {
    struct pq_variant_encoder *encoder;
    struct pq_json_document *document;
    struct pq_bytes text;
    pqdb_error err = {0};
    pq_bytes_init(&text, &pq_alloc_libc);
    CHECK(pq_json_parse(pq_text_of(test->input), flags, &pq_alloc_libc, &document, &err) == PQDB_OK,
          "%s: %s", test->name, err.message);
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "create");
    for (int pass = 0; pass < 2; pass++) {  // the second one with known shapes
        text.length = 0;
        err = (pqdb_error){0};
        const pqdb_code code = through_variant(encoder, names, pq_json_root(document), &text, &err);
        if (code != PQDB_OK) {
            pq_bytes_printf(&text, NULL, "%s %s: %s", code == PQDB_LIMIT ? "LIMIT" : "INVALID",
                            err.subject, err.message);
        }
        pq_bytes_append_byte(&text, '\0', NULL);
        case_expect(test, (const char *)text.data);
    }
    pq_variant_encoder_destroy(encoder);
    pq_json_destroy(document);
    pq_bytes_deinit(&text);
}

static void check_case(const struct test_case *test) {
    struct pq_variant_names *names;
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    check_with(test, names, PQ_JSON_STRICT);
    check_with(test, names, PQ_JSON_RAW_NUMBERS);
    pq_variant_names_unref(names);
    names = tiny_names();
    check_with(test, names, PQ_JSON_STRICT);
    CHECK(pq_variant_names_count(names) == 2, "%u names", pq_variant_names_count(names));
    pq_variant_names_unref(names);
}

static void json_through_variants_matches_the_cases(void) {
    CHECK(cases_run("variant/json.cases", check_case) > 10, "cases");
}

/// The code for a text made of `count` times `open`, then "1", then `count` times `close`.
static pqdb_code code_of_nesting(const char *open, const char *close, size_t count,
                                 pqdb_error *err) {
    struct pq_bytes json, text;
    pq_bytes_init(&json, &pq_alloc_libc);
    pq_bytes_init(&text, &pq_alloc_libc);
    for (size_t i = 0; i < count; i++) pq_bytes_append_text(&json, pq_text_of(open), NULL);
    pq_bytes_append_byte(&json, '1', NULL);
    for (size_t i = 0; i < count; i++) pq_bytes_append_text(&json, pq_text_of(close), NULL);
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    struct pq_json_document *document;
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "create");
    CHECK(pq_json_parse(pq_bytes_text(&json), 0, &pq_alloc_libc, &document, NULL) == PQDB_OK, "p");
    const pqdb_code code = through_variant(encoder, names, pq_json_root(document), &text, err);
    pq_json_destroy(document);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_bytes_deinit(&json);
    pq_bytes_deinit(&text);
    return code;
}

static void nesting_ends_at_its_limit(void) {
    pqdb_error err = {0};
    const size_t most = PQ_VARIANT_DEPTH_MAX - 1;  // the number inside is a level, too
    CHECK(code_of_nesting("[", "]", most, &err) == PQDB_OK, "%s", err.message);
    CHECK(code_of_nesting("{\"a\":", "}", most, &err) == PQDB_OK, "%s", err.message);
    CHECK(code_of_nesting("[", "]", most + 1, &err) == PQDB_LIMIT, "lists");
    CHECK(code_of_nesting("{\"a\":", "}", most + 1, &err) == PQDB_LIMIT, "objects");
    CHECK(code_of_nesting("[", "]", 10000, &err) == PQDB_LIMIT, "a bomb");
    CHECK(strlen(err.subject) < sizeof err.subject, "the path is cut to fit");
}

static void a_value_ends_at_16_mebibytes(void) {
    struct pq_bytes json, text;
    pq_bytes_init(&json, &pq_alloc_libc);
    pq_bytes_init(&text, &pq_alloc_libc);
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "create");
    for (size_t over = 0; over < 2; over++) {  // a header of five bytes, then the text
        const size_t length = PQ_VARIANT_BYTES_MAX - 5 + over;
        json.length = 0;
        pq_bytes_append_byte(&json, '"', NULL);
        pq_bytes_reserve(&json, length, NULL);
        memset(json.data + 1, 'x', length);
        json.length += length;
        pq_bytes_append_byte(&json, '"', NULL);
        struct pq_json_document *document;
        CHECK(pq_json_parse(pq_bytes_text(&json), 0, &pq_alloc_libc, &document, NULL) == PQDB_OK,
              "parse");
        CHECK(through_variant(encoder, names, pq_json_root(document), &text, NULL) ==
              (over == 0 ? PQDB_OK : PQDB_LIMIT), "%zu bytes", length);
        pq_json_destroy(document);
    }
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_bytes_deinit(&json);
    pq_bytes_deinit(&text);
}

static void many_names_and_many_members_work(void) {
    struct pq_bytes json, text;
    pq_bytes_init(&json, &pq_alloc_libc);
    pq_bytes_init(&text, &pq_alloc_libc);
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "create");
    for (size_t count = 250; count < 100000; count *= 7) {
        json.length = 0;
        pq_bytes_append_byte(&json, '{', NULL);
        for (size_t i = 0; i < count; i++) {
            pq_bytes_printf(&json, NULL, "%s\"%06zu\":%zu", i > 0 ? "," : "", i, i % 10);
        }
        pq_bytes_append_byte(&json, '}', NULL);
        struct pq_json_document *document;
        pqdb_error err = {0};
        CHECK(pq_json_parse(pq_bytes_text(&json), 0, &pq_alloc_libc, &document, NULL) == PQDB_OK,
              "parse");
        text.length = 0;
        CHECK(through_variant(encoder, names, pq_json_root(document), &text, &err) == PQDB_OK,
              "%zu: %s", count, err.message);
        CHECK(pq_text_equal(pq_bytes_text(&text), pq_bytes_text(&json)), "%zu members", count);
        pq_json_destroy(document);
    }
    CHECK(pq_variant_names_count(names) <= PQ_VARIANT_NAMES_MAX, "the shared list is bounded");
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_bytes_deinit(&json);
    pq_bytes_deinit(&text);
}

static void chosen_members_make_an_object_of_their_own(void) {
    static const bool keep[] = {false, true, false, true};
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    struct pq_json_document *document;
    struct pq_bytes bytes, text;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    pq_bytes_init(&text, &pq_alloc_libc);
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "create");
    CHECK(pq_json_parse(PQ_TEXT("{\"a\":1,\"z\":2,\"a\":{\"q\":1},\"c\":[3]}"), 0, &pq_alloc_libc,
                        &document, NULL) == PQDB_OK, "parse");
    bool own;
    CHECK(pq_variant_encode_members(encoder, pq_json_root(document), keep, &bytes, &own, NULL) ==
          PQDB_OK, "encode");
    const struct pq_variant variant = {.bytes = bytes.data, .length = bytes.length, .names = names};
    CHECK(pq_variant_check(&variant, NULL) == PQDB_OK, "check");
    pq_variant_write_json(&variant, &text, NULL);
    CHECK(pq_text_is(pq_bytes_text(&text), "{\"c\":[3],\"z\":2}"), "%.*s",
          PQ_TEXT_ARG(pq_bytes_text(&text)));
    pq_json_destroy(document);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_bytes_deinit(&bytes);
    pq_bytes_deinit(&text);
}

/// Once with a list that is too small, so that own names are needed.
static pqdb_code encode_with(const struct pq_alloc *alloc, const struct pq_json *json) {
    static const uint8_t metadata[] = {1, 2, 0, 1, 2, 'x', 'b'};
    struct pq_variant_names *names = NULL;
    struct pq_variant_encoder *encoder = NULL;
    struct pq_bytes bytes;
    bool own;
    size_t used;
    pq_bytes_init(&bytes, alloc);
    pqdb_code code = pq_variant_names_from_metadata(metadata, sizeof metadata, alloc, &names,
                                                    &used, NULL);
    if (code == PQDB_OK) code = pq_variant_encoder_create(names, alloc, &encoder, NULL);
    if (code == PQDB_OK) code = pq_variant_encode_json(encoder, json, &bytes, &own, NULL);
    pq_bytes_deinit(&bytes);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    struct pq_json_document *document;
    const char *json = "{\"x\":{\"c\":[1,2],\"b\":\"text\"},\"b\":{},\"y\":[{\"q\":1}]}";
    CHECK(pq_json_parse(pq_text_of(json), 0, &pq_alloc_libc, &document, NULL) == PQDB_OK, "parse");
    bool failed = true;
    long fail_at = 0;
    for (; failed && fail_at < 100; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        const pqdb_code code = encode_with(&failing.alloc, pq_json_root(document));
        failed = failing.left < 0;
        CHECK(code == PQDB_NO_MEMORY || code == PQDB_OK, "code %d", (int)code);
        CHECK(failed || code == PQDB_OK, "code %d without a failure", (int)code);
        CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
    }
    CHECK(!failed && fail_at > 8, "stopped at %ld", fail_at);
    pq_json_destroy(document);
}

int main(void) {
    RUN(json_through_variants_matches_the_cases);
    RUN(nesting_ends_at_its_limit);
    RUN(a_value_ends_at_16_mebibytes);
    RUN(many_names_and_many_members_work);
    RUN(chosen_members_make_an_object_of_their_own);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
