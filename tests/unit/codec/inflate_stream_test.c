/// Goal: .gz, .zst and plain streams come out as plain bytes whatever the sizes of the reads on
/// either side; damage and a failing source are told apart, and stay told.
#include "codec/inflate_stream.h"

#include <string.h>

#include "base/fail.h"
#include "codec/codec.h"
#include "support/test.h"

#define PLAIN_BYTES ((size_t)200000)

struct source {
    struct pq_bytes bytes;
    size_t at;
    size_t chunk;    // most that one read gives
    size_t fail_at;  // a read from here on fails
};

static pqdb_code read_source(void *ctx, uint8_t *out, size_t capacity, size_t *length,
                             pqdb_error *err) {
    struct source *source = ctx;
    if (source->at >= source->fail_at) return pq_fail(err, PQDB_IO, "the disk is gone");
    const size_t left = source->bytes.length - source->at;
    *length = capacity < source->chunk ? capacity : source->chunk;
    if (*length > left) *length = left;
    if (*length > 0) memcpy(out, source->bytes.data + source->at, *length);
    source->at += *length;
    return PQDB_OK;
}

static void source_init(struct source *source, size_t chunk) {
    *source = (struct source){.chunk = chunk, .fail_at = SIZE_MAX};
    pq_bytes_init(&source->bytes, &pq_alloc_libc);
}

static void fill_plain(char plain[static PLAIN_BYTES]) {
    uint64_t random = 7;
    for (size_t i = 0; i < PLAIN_BYTES; i++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        plain[i] = "0123456789abcdef"[random >> 60];
    }
}

/// Read all of it in pieces of `piece` bytes; returns the first failure.
static pqdb_code read_all(struct source *source, size_t piece, struct pq_bytes *out,
                          pqdb_error *err) {
    struct pq_inflate_stream *stream = NULL;
    pqdb_code code = pq_inflate_stream_open(read_source, source, &pq_alloc_libc, &stream, err);
    if (code != PQDB_OK) return code;
    for (size_t length = piece; length == piece && code == PQDB_OK;) {
        pq_bytes_reserve(out, piece, NULL);
        code = pq_inflate_stream_read(stream, out->data + out->length, piece, &length, err);
        if (code == PQDB_OK) out->length += length;
    }
    if (code == PQDB_OK) {
        CHECK(pq_inflate_stream_taken(stream) == source->bytes.length, "taken");
    } else {
        size_t length;
        source->fail_at = SIZE_MAX;  // a source that recovers does not bring the lost bytes back
        CHECK(pq_inflate_stream_read(stream, out->data, piece, &length, NULL) == code, "again");
    }
    pq_inflate_stream_close(stream);
    return code;
}

/// `codec` NULL is plain; the bytes are compressed as two members.
static void check_stream(const struct pq_codec *codec, size_t chunk, size_t piece) {
    static char plain[PLAIN_BYTES];
    struct source source;
    struct pq_bytes out;
    const struct pq_text whole = {plain, PLAIN_BYTES}, first = {plain, 1000},
                         second = {plain + 1000, PLAIN_BYTES - 1000};
    fill_plain(plain);
    source_init(&source, chunk);
    pq_bytes_init(&out, &pq_alloc_libc);
    if (codec == NULL) {
        pq_bytes_append_text(&source.bytes, whole, NULL);
    } else {
        codec->compress(first, 0, &source.bytes, NULL);
        codec->compress(second, 0, &source.bytes, NULL);
    }
    pqdb_error err = {.message = ""};
    const pqdb_code code = read_all(&source, piece, &out, &err);
    CHECK(code == PQDB_OK && pq_text_equal(pq_bytes_text(&out), whole),
          "%s in chunks of %zu, read by %zu: %s, %zu bytes", codec == NULL ? "plain" : codec->name,
          chunk, piece, err.message, out.length);
    pq_bytes_deinit(&out);
    pq_bytes_deinit(&source.bytes);
}

static void streams_come_out_plain_whatever_the_sizes_of_reads(void) {
    static const struct pq_codec *const codecs[] = {NULL, &pq_codec_gzip, &pq_codec_zstd};
    static const size_t chunks[] = {1, 13, 4096, 1 << 20}, pieces[] = {1, 1000, 1 << 18};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 4; j++) {
            for (size_t k = 0; k < 3; k++) check_stream(codecs[i], chunks[j], pieces[k]);
        }
    }
}

static void check_format(struct pq_text bytes, const char *format, struct pq_text want) {
    struct source source;
    struct pq_inflate_stream *stream = NULL;
    uint8_t out[64];
    size_t length = 99;
    source_init(&source, 2);
    pq_bytes_append_text(&source.bytes, bytes, NULL);
    CHECK(pq_inflate_stream_open(read_source, &source, &pq_alloc_libc, &stream, NULL) == PQDB_OK &&
              strcmp(pq_inflate_stream_format(stream), format) == 0,
          "not taken for %s", format);
    CHECK(pq_inflate_stream_read(stream, out, sizeof out, &length, NULL) == PQDB_OK &&
              length == want.length && memcmp(out, want.data, length) == 0,
          "%s: %zu bytes", format, length);
    pq_inflate_stream_close(stream);
    pq_bytes_deinit(&source.bytes);
}

static void the_format_is_told_by_the_first_bytes(void) {
    check_format(PQ_TEXT(""), "plain", PQ_TEXT(""));
    check_format(PQ_TEXT("{}"), "plain", PQ_TEXT("{}"));
    check_format(PQ_TEXT("\x1f\x8b"), "plain", PQ_TEXT("\x1f\x8b"));
    check_format(PQ_TEXT("\x28\xb5\x2f\xfd\x20\x02\x11\0\0hi"), "zstd", PQ_TEXT("hi"));
    check_format(PQ_TEXT("\x1f\x8b\x08\0\0\0\0\0\0\x03KL\x04\0\xd7\x19\x8a\x07\x02\0\0\0\0\0\0"),
                 "gzip", PQ_TEXT("aa"));
}

static void check_damage(const struct pq_codec *codec) {
    static char plain[PLAIN_BYTES];
    const struct pq_text whole = {plain, PLAIN_BYTES};
    struct source source;
    struct pq_bytes out;
    pqdb_error err;
    fill_plain(plain);
    source_init(&source, 5000);
    pq_bytes_init(&out, &pq_alloc_libc);
    codec->compress(whole, 0, &source.bytes, NULL);

    const size_t length = source.bytes.length;
    for (size_t cut = 1; cut <= 20; cut++) {
        source.at = out.length = 0;
        source.bytes.length = cut < 10 ? length - cut : length * (cut - 9) / 20;
        CHECK(read_all(&source, 1000, &out, &err) == PQDB_CORRUPT, "%s cut %zu", codec->name, cut);
        CHECK(err.offset == (int64_t)source.bytes.length, "%s cut %zu: offset %lld", codec->name,
              cut, (long long)err.offset);
    }
    source.bytes.length = length;
    pq_bytes_append_text(&source.bytes, PQ_TEXT("tail"), NULL);
    source.at = out.length = 0;
    CHECK(read_all(&source, 1000, &out, &err) == PQDB_CORRUPT, "%s with a tail", codec->name);
    source.at = out.length = 0;
    source.fail_at = length / 2;
    CHECK(read_all(&source, 1000, &out, &err) == PQDB_IO, "%s, source fails", codec->name);
    pq_bytes_deinit(&out);
    pq_bytes_deinit(&source.bytes);
}

static void damage_and_a_failing_source_are_told_apart(void) {
    check_damage(&pq_codec_gzip);
    check_damage(&pq_codec_zstd);
}

static void a_source_that_fails_at_once_opens_nothing(void) {
    struct source source;
    struct pq_inflate_stream *stream = NULL;
    struct failing_alloc counting = {.alloc = {.resize = failing_resize}, .left = -1};
    counting.alloc.ctx = &counting;
    source_init(&source, 1);
    source.fail_at = 0;
    CHECK(pq_inflate_stream_open(read_source, &source, &counting.alloc, &stream, NULL) == PQDB_IO,
          "opened");
    CHECK(stream == NULL && counting.live_bytes == 0, "%ld bytes live", counting.live_bytes);
    counting.left = 0;
    CHECK(pq_inflate_stream_open(read_source, &source, &counting.alloc, &stream, NULL) ==
              PQDB_NO_MEMORY,
          "opened without memory");
    pq_inflate_stream_close(NULL);
}

int main(void) {
    RUN(streams_come_out_plain_whatever_the_sizes_of_reads);
    RUN(the_format_is_told_by_the_first_bytes);
    RUN(damage_and_a_failing_source_are_told_apart);
    RUN(a_source_that_fails_at_once_opens_nothing);
    return test_done();
}
