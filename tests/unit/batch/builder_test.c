/// Goal: pin what a builder promises beyond the law in law/column_test.c: null lists, truncation,
/// dictionaries that overflow, memory that runs out.
#include "batch/builder.h"

#include <string.h>

#include "base/arena.h"
#include "batch/dictionary.h"
#include "support/column_text.h"
#include "support/test.h"

static const struct pq_field text_element[1] = {
    {.name = {"element", 7}, .type = {.kind = PQ_TEXT}},
};
static const struct pq_type text_list = {.kind = PQ_LIST, .field_count = 1, .fields = text_element};

static void check_rows(const struct pq_builder *builder, const char *want) {
    const struct pq_column column = pq_builder_finish(builder);
    struct pq_bytes got;
    pq_bytes_init(&got, &pq_alloc_libc);
    column_texts(&column, &got);
    pqdb_error err = {0};
    CHECK(pq_column_is_sound(&column, &err), "%s", err.message);
    CHECK(pq_text_is(pq_bytes_text(&got), want), "got\n%.*swant\n%s",
          PQ_TEXT_ARG(pq_bytes_text(&got)), want);
    pq_bytes_deinit(&got);
}

static void append_text(struct pq_builder *builder, const char *text) {
    CHECK(pq_builder_append_bytes(builder, text, strlen(text), NULL) == PQDB_OK, "%s", text);
}

static void a_null_list_an_empty_list_and_a_list_of_null_differ(void) {
    struct pq_builder builder;
    CHECK(pq_builder_init(&builder, &text_list, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    check_rows(&builder, "");
    pq_builder_append_null(&builder, NULL);
    pq_builder_end_list(&builder, NULL);
    pq_builder_append_null(&builder.children[0], NULL);
    pq_builder_end_list(&builder, NULL);
    append_text(&builder.children[0], "a");
    append_text(&builder.children[0], "b");
    pq_builder_end_list(&builder, NULL);
    check_rows(&builder, "~\n[]\n[~]\n['a', 'b']\n");
    CHECK(builder.null_count == 1, "%zu nulls", builder.null_count);
    pq_builder_reset(&builder);
    check_rows(&builder, "");
    pq_builder_deinit(&builder);
}

static void truncation_forgets_rows_and_what_was_begun(void) {
    const struct pq_field fields[] = {
        {.name = {"tags", 4}, .type = text_list},
        {.name = {"n", 1}, .type = {.kind = PQ_INT64}},
    };
    const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};
    struct pq_builder builder;
    CHECK(pq_builder_init(&builder, &type, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    struct pq_builder *tags = &builder.children[0], *n = &builder.children[1];
    for (int64_t i = 0; i < 3; i++) {
        append_text(&tags->children[0], "x");
        pq_builder_end_list(tags, NULL);
        pq_builder_append_fixed(n, &i, NULL);
        pq_builder_end_object(&builder, NULL);
    }
    pq_builder_append_null(&builder, NULL);
    append_text(&tags->children[0], "begun");
    pq_builder_truncate(&builder, 2);
    CHECK(builder.null_count == 0 && tags->null_count == 0, "nulls are counted down");
    check_rows(&builder, "{['x'], 0}\n{['x'], 1}\n");
    pq_builder_append_null(&builder, NULL);
    append_text(&tags->children[0], "begun");
    pq_builder_truncate(&builder, 3);
    check_rows(&builder, "{['x'], 0}\n{['x'], 1}\n~\n");
    append_text(&tags->children[0], "after");
    pq_builder_end_list(tags, NULL);
    pq_builder_append_null(n, NULL);
    pq_builder_end_object(&builder, NULL);
    check_rows(&builder, "{['x'], 0}\n{['x'], 1}\n~\n{['after'], ~}\n");
    pq_builder_truncate(&builder, 0);
    check_rows(&builder, "");
    pq_builder_deinit(&builder);
}

static void a_full_dictionary_turns_the_column_into_bytes(void) {
    struct pq_dictionary *dictionary;
    CHECK(pq_dictionary_create(2, 64, &pq_alloc_libc, &dictionary, NULL) == PQDB_OK, "create");
    struct pq_builder builder;
    CHECK(pq_builder_init(&builder, &pq_type_text, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    pq_builder_use_dictionary(&builder, dictionary);
    append_text(&builder, "ok");
    pq_builder_append_null(&builder, NULL);
    append_text(&builder, "no");
    append_text(&builder, "ok");
    CHECK(builder.layout == PQ_DICTIONARY, "layout %d", (int)builder.layout);
    check_rows(&builder, "'ok'\n~\n'no'\n'ok'\n");
    append_text(&builder, "a third");
    CHECK(builder.layout == PQ_BYTES, "layout %d", (int)builder.layout);
    append_text(&builder, "ok");
    check_rows(&builder, "'ok'\n~\n'no'\n'ok'\n'a third'\n'ok'\n");

    pq_builder_reset(&builder);
    pq_builder_use_dictionary(&builder, dictionary);
    append_text(&builder, "no");
    check_rows(&builder, "'no'\n");
    CHECK(builder.layout == PQ_DICTIONARY, "layout %d", (int)builder.layout);
    pq_builder_deinit(&builder);
    pq_dictionary_unref(dictionary);
}

static void reserved_room_is_exact_and_not_taken_twice(void) {
    struct pq_builder builder;
    CHECK(pq_builder_init(&builder, &pq_type_text, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    CHECK(pq_builder_reserve(&builder, 2, 5, NULL) == PQDB_OK, "reserve");
    CHECK(builder.capacity == 2 && builder.data_capacity == 5, "%zu rows, %zu bytes",
          builder.capacity, builder.data_capacity);
    append_text(&builder, "abc");
    CHECK(pq_builder_reserve(&builder, 1, 2, NULL) == PQDB_OK, "reserve");
    append_text(&builder, "de");
    CHECK(builder.capacity == 2 && builder.data_capacity == 5, "what is left is enough");
    append_text(&builder, "more");
    check_rows(&builder, "'abc'\n'de'\n'more'\n");
    pq_builder_deinit(&builder);
}

static void rows_travel_between_dictionaries(void) {
    struct pq_dictionary *dictionaries[2];
    struct pq_builder from, to;
    for (size_t i = 0; i < 2; i++) {
        CHECK(pq_dictionary_create(8, 64, &pq_alloc_libc, &dictionaries[i], NULL) == PQDB_OK, "d");
    }
    pq_dictionary_code(dictionaries[1], PQ_TEXT("shifts the codes"));
    CHECK(pq_builder_init(&from, &pq_type_text, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    CHECK(pq_builder_init(&to, &pq_type_text, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    pq_builder_use_dictionary(&from, dictionaries[0]);
    append_text(&from, "a");
    append_text(&from, "b");
    pq_builder_append_null(&from, NULL);
    const struct pq_column column = pq_builder_finish(&from);
    for (int i = 0; i < 3; i++) {  // recoded, expanded, copied
        if (i < 2) pq_builder_use_dictionary(&to, i == 0 ? dictionaries[1] : NULL);
        if (i == 2) pq_builder_use_dictionary(&to, dictionaries[0]);
        CHECK(pq_builder_append_rows(&to, &column, 1, 2, NULL) == PQDB_OK, "append_rows");
        CHECK(pq_builder_append_rows(&to, &column, 0, 1, NULL) == PQDB_OK, "append_rows");
        check_rows(&to, "'b'\n~\n'a'\n");
        CHECK(to.null_count == 1, "%zu nulls", to.null_count);
        pq_builder_reset(&to);
    }
    pq_builder_deinit(&from);
    pq_builder_deinit(&to);
    pq_dictionary_unref(dictionaries[0]);
    pq_dictionary_unref(dictionaries[1]);
}

/// Everything a column can do once, with memory that fails at the nth request.
static pqdb_code build_and_copy(const struct pq_alloc *alloc) {
    struct pq_dictionary *dictionary = NULL;
    struct pq_builder list = {0}, text = {0};
    struct pq_arena arena;
    pq_arena_init(&arena, alloc);
    struct pq_column column, copy;
    const uint32_t rows[] = {3, UINT32_MAX, 0, 3};
    pqdb_code code = pq_dictionary_create(40, 4096, alloc, &dictionary, NULL);
    if (code == PQDB_OK) code = pq_builder_init(&list, &text_list, alloc, NULL);
    if (code == PQDB_OK) code = pq_builder_init(&text, &pq_type_text, alloc, NULL);
    if (code == PQDB_OK) pq_builder_use_dictionary(&text, dictionary);
    for (int i = 0; i < 100 && code == PQDB_OK; i++) {
        char word[2] = {(char)('0' + i), '\0'};
        code = pq_builder_append_bytes(&text, word, 1, NULL);
        if (code != PQDB_OK) break;
        code = pq_builder_append_bytes(&list.children[0], word, 1, NULL);
        if (code == PQDB_OK) code = pq_builder_end_list(&list, NULL);
    }
    if (code == PQDB_OK) {
        column = pq_builder_finish(&list);
        code = pq_column_gather(&column, rows, 4, &arena, &copy, NULL);
    }
    if (code == PQDB_OK) code = pq_builder_append_rows(&list, &copy, 0, 4, NULL);
    pq_builder_deinit(&text);
    pq_builder_deinit(&list);
    pq_arena_deinit(&arena);
    pq_dictionary_unref(dictionary);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    pqdb_code code = PQDB_NO_MEMORY;
    long fail_at = 0;
    for (; code == PQDB_NO_MEMORY && fail_at < 200; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        code = build_and_copy(&failing.alloc);
        CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
    }
    CHECK(code == PQDB_OK && fail_at > 6, "stopped at %ld with code %d", fail_at, (int)code);
}

int main(void) {
    RUN(a_null_list_an_empty_list_and_a_list_of_null_differ);
    RUN(truncation_forgets_rows_and_what_was_begun);
    RUN(a_full_dictionary_turns_the_column_into_bytes);
    RUN(reserved_room_is_exact_and_not_taken_twice);
    RUN(rows_travel_between_dictionaries);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
