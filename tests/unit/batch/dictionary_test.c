/// Goal: pin codes, bounds and the promise that entries never move.
#include "batch/dictionary.h"

#include <string.h>

#include "support/test.h"

static void equal_texts_share_a_code_and_codes_count_up(void) {
    struct pq_dictionary *dictionary;
    CHECK(pq_dictionary_create(16, 64, &pq_alloc_libc, &dictionary, NULL) == PQDB_OK, "create");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("ok")) == 0, "the first text");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("")) == 1, "an empty text is a text");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("exception")) == 2, "the third");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("ok")) == 0, "known");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("")) == 1, "known");
    CHECK(dictionary->count == 3, "%u", dictionary->count);
    CHECK(pq_text_is(pq_dictionary_text(dictionary, 2), "exception"), "text of a code");
    pq_dictionary_unref(dictionary);
}

static void a_text_that_does_not_fit_has_no_code(void) {
    struct pq_dictionary *dictionary;
    CHECK(pq_dictionary_create(3, 8, &pq_alloc_libc, &dictionary, NULL) == PQDB_OK, "create");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("123456789")) == UINT32_MAX, "9 of 8 bytes");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("1234567")) == 0, "7 of 8 bytes");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("ab")) == UINT32_MAX, "bytes are out");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("a")) == 1, "the last byte");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("")) == 2, "the last entry");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("b")) == UINT32_MAX, "entries are out");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("a")) == 1, "what is there is still found");
    pq_dictionary_unref(dictionary);
}

static void entries_stay_where_they_are_while_more_are_added(void) {
    struct pq_dictionary *dictionary;
    CHECK(pq_dictionary_create(PQ_DICTIONARY_ENTRIES_MAX, PQ_DICTIONARY_BYTES_MAX, &pq_alloc_libc,
                               &dictionary, NULL) == PQDB_OK, "create");
    pq_dictionary_code(dictionary, PQ_TEXT("first"));
    const char *first = pq_dictionary_text(dictionary, 0).data;
    char text[32];
    for (unsigned i = 0; i < 5000; i++) {
        const int length = snprintf(text, sizeof text, "entry %u", i);
        const struct pq_text entry = {text, (size_t)length};
        const uint32_t code = pq_dictionary_code(dictionary, entry);
        CHECK(code == i + 1, "entry %u has code %u", i, code);
    }
    CHECK(pq_dictionary_text(dictionary, 0).data == first, "the first entry moved");
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("entry 4321")) == 4322, "found after growth");
    pq_dictionary_unref(dictionary);
}

static void serials_differ_and_the_last_reference_frees(void) {
    struct failing_alloc counting = {.alloc = {.resize = failing_resize}, .left = -1};
    counting.alloc.ctx = &counting;
    struct pq_dictionary *a, *b;
    CHECK(pq_dictionary_create(4, 4, &counting.alloc, &a, NULL) == PQDB_OK, "create");
    CHECK(pq_dictionary_create(4, 4, &counting.alloc, &b, NULL) == PQDB_OK, "create");
    CHECK(a->serial != b->serial, "one serial for two dictionaries");
    CHECK(pq_dictionary_ref(a) == a, "ref gives the same one");
    pq_dictionary_unref(a);
    CHECK(pq_dictionary_code(a, PQ_TEXT("x")) == 0, "still alive");
    pq_dictionary_unref(a);
    pq_dictionary_unref(b);
    pq_dictionary_unref(NULL);
    CHECK(counting.live_bytes == 0, "%ld bytes leak", counting.live_bytes);
}

static void a_failed_allocation_is_reported_and_leaks_nothing(void) {
    for (long fail_at = 0; fail_at < 2; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        struct pq_dictionary *dictionary = NULL;
        CHECK(pq_dictionary_create(4, 4, &failing.alloc, &dictionary, NULL) == PQDB_NO_MEMORY,
              "fail_at %ld", fail_at);
        CHECK(dictionary == NULL && failing.live_bytes == 0, "fail_at %ld", fail_at);
    }
    struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = 2};
    failing.alloc.ctx = &failing;
    struct pq_dictionary *dictionary;
    CHECK(pq_dictionary_create(100, 400, &failing.alloc, &dictionary, NULL) == PQDB_OK, "create");
    unsigned added = 0;
    for (char text[3] = "aa"; added < 90; added++) {
        text[0] = (char)('a' + added / 26);
        text[1] = (char)('a' + added % 26);
        if (pq_dictionary_code(dictionary, (struct pq_text){text, 2}) == UINT32_MAX) break;
    }
    CHECK(added == 32, "without memory to grow, %u fit", added);
    CHECK(pq_dictionary_code(dictionary, PQ_TEXT("aa")) == 0, "what is there is found");
    pq_dictionary_unref(dictionary);
    CHECK(failing.live_bytes == 0, "%ld bytes leak", failing.live_bytes);
}

int main(void) {
    RUN(equal_texts_share_a_code_and_codes_count_up);
    RUN(a_text_that_does_not_fit_has_no_code);
    RUN(entries_stay_where_they_are_while_more_are_added);
    RUN(serials_differ_and_the_last_reference_frees);
    RUN(a_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
