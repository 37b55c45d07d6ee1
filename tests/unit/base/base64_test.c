/// Goal: pin base64 by RFC 4648's own table, and what is refused.
#include "base/base64.h"

#include "support/test.h"

static const struct {
    const char *bytes, *text;
} pairs[] = {
    {"", ""},          {"f", "Zg=="},         {"fo", "Zm8="},          {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xFE", "+//+"},
};

static void texts_and_bytes_match_the_table(void) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        out.length = 0;
        CHECK(pq_base64_write(&out, pq_text_of(pairs[i].bytes), NULL) == PQDB_OK, "%zu", i);
        CHECK(pq_text_is(pq_bytes_text(&out), pairs[i].text), "%s", pairs[i].text);
        out.length = 0;
        CHECK(pq_base64_read(&out, pq_text_of(pairs[i].text), NULL) == PQDB_OK, "%zu", i);
        CHECK(pq_text_is(pq_bytes_text(&out), pairs[i].bytes), "%s", pairs[i].text);
    }
    pq_bytes_deinit(&out);
}

static void url_letters_and_missing_padding_are_taken(void) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    CHECK(pq_base64_read(&out, PQ_TEXT("-__-Zg"), NULL) == PQDB_OK, "read");
    CHECK(pq_text_is(pq_bytes_text(&out), "\xFB\xFF\xFE" "f"), "bytes");
    pq_bytes_deinit(&out);
}

static void other_texts_are_refused_and_leave_nothing(void) {
    static const char *const texts[] = {"Z", "Zg=", "Zg=a", "Z g=", "=", "====", "Zm9v\n", "Zm9vZ"};
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK(pq_base64_read(&out, pq_text_of(texts[i]), NULL) == PQDB_INVALID, "%s", texts[i]);
        CHECK(out.length == 0, "%s", texts[i]);
    }
    pq_bytes_deinit(&out);
}

int main(void) {
    RUN(texts_and_bytes_match_the_table);
    RUN(url_letters_and_missing_padding_are_taken);
    RUN(other_texts_are_refused_and_leave_nothing);
    return test_done();
}
