/// Goal: every codec gives back what it took, for any shape of block, and names damage as damage:
/// each cut, each announced length that is off by one, bytes behind the end, bits flipped.
#include "codec/codec.h"

#include <pthread.h>
#include <string.h>

#include "support/test.h"

static const struct pq_codec *const codecs[] = {
    &pq_codec_zstd, &pq_codec_lz4,     &pq_codec_lz4_hadoop, &pq_codec_snappy,
    &pq_codec_gzip, &pq_codec_deflate, &pq_codec_brotli,
};
#define CODEC_COUNT (sizeof codecs / sizeof *codecs)
#define BLOCK_BYTES ((size_t)300000)

enum shape { EMPTY, ONE_BYTE, TEXT, ZEROS, NOISE, SHAPE_COUNT };

/// A block of the given shape; the caller frees it.
static struct pq_text block_of(enum shape shape) {
    static const size_t lengths[] = {0, 1, BLOCK_BYTES, BLOCK_BYTES, BLOCK_BYTES};
    char *data = malloc(BLOCK_BYTES);
    if (data == NULL) abort();
    uint64_t random = 42;
    for (size_t i = 0; i < lengths[shape]; i++) {
        random = random * UINT64_C(6364136223846793005) + 1;
        if (shape == ZEROS) {
            data[i] = 0;
        } else {
            data[i] = shape == NOISE ? (char)(random >> 33) : "the row "[(i + (random >> 60)) % 8];
        }
    }
    return (struct pq_text){data, lengths[shape]};
}

static struct pq_bytes compressed(const struct pq_codec *codec, struct pq_text block, int level) {
    struct pq_bytes bytes;
    pqdb_error err;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    const pqdb_code code = codec->compress(block, level, &bytes, &err);
    CHECK(code == PQDB_OK, "%s: %s", codec->name, err.message);
    return bytes;
}

static pqdb_code decompressed(const struct pq_codec *codec, struct pq_text in, size_t length,
                              uint8_t **out) {
    *out = malloc(length == 0 ? 1 : length);  // of the exact size, for ASan
    if (*out == NULL) abort();
    return codec->decompress(in, *out, length, NULL);
}

static void check_round_trip(const struct pq_codec *codec, enum shape shape, int level) {
    const struct pq_text block = block_of(shape);
    struct pq_bytes bytes = compressed(codec, block, level);
    uint8_t *out;
    CHECK(decompressed(codec, pq_bytes_text(&bytes), block.length, &out) == PQDB_OK &&
              memcmp(out, block.data, block.length) == 0,
          "%s, shape %d, level %d", codec->name, shape, level);
    free(out);
    for (int delta = -1; delta <= 1; delta += 2) {
        if (block.length == 0 && delta < 0) continue;
        const size_t announced = block.length + (size_t)delta;
        CHECK(decompressed(codec, pq_bytes_text(&bytes), announced, &out) == PQDB_CORRUPT,
              "%s, shape %d, announced length off by %d", codec->name, shape, delta);
        free(out);
    }
    pq_bytes_deinit(&bytes);
    free((char *)block.data);
}

static void blocks_of_every_shape_come_back(void) {
    static const int levels[] = {0, 1, 3, 9, 1000, -5};
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        for (enum shape shape = EMPTY; shape < SHAPE_COUNT; shape++) {
            check_round_trip(codecs[i], shape, 0);
        }
        for (size_t j = 0; j < sizeof levels / sizeof *levels; j++) {
            check_round_trip(codecs[i], ONE_BYTE, levels[j]);
        }
    }
}

static void text_and_zeros_shrink(void) {
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        for (enum shape shape = TEXT; shape <= ZEROS; shape++) {
            const struct pq_text block = block_of(shape);
            struct pq_bytes bytes = compressed(codecs[i], block, 0);
            CHECK(bytes.length < block.length / (shape == TEXT ? 1 : 20), "%s: %zu bytes",
                  codecs[i]->name, bytes.length);
            pq_bytes_deinit(&bytes);
            free((char *)block.data);
        }
    }
}

static void the_level_reaches_the_codec(void) {
    const struct pq_text block = block_of(TEXT);
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        if (codecs[i] == &pq_codec_snappy) continue;
        struct pq_bytes low = compressed(codecs[i], block, 1);
        struct pq_bytes high = compressed(codecs[i], block, 9);
        CHECK(high.length != low.length, "%s: %zu, then %zu bytes", codecs[i]->name, low.length,
              high.length);
        pq_bytes_deinit(&low);
        pq_bytes_deinit(&high);
    }
    free((char *)block.data);
}

static void every_cut_and_every_tail_is_corrupt(void) {
    const struct pq_text block = PQ_TEXT("a short block, a short block, and then another tail");
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        struct pq_bytes bytes = compressed(codecs[i], block, 0);
        uint8_t *out;
        for (size_t cut = 0; cut < bytes.length; cut++) {
            uint8_t *exact = malloc(cut == 0 ? 1 : cut);
            memcpy(exact, bytes.data, cut);
            const struct pq_text in = {(const char *)exact, cut};
            CHECK(decompressed(codecs[i], in, block.length, &out) == PQDB_CORRUPT, "%s cut at %zu",
                  codecs[i]->name, cut);
            free(out);
            free(exact);
        }
        pq_bytes_append_text(&bytes, PQ_TEXT("tail"), NULL);
        CHECK(decompressed(codecs[i], pq_bytes_text(&bytes), block.length, &out) == PQDB_CORRUPT,
              "%s with a tail", codecs[i]->name);
        free(out);
        pq_bytes_deinit(&bytes);
    }
}

static void flipped_bits_never_reach_past_the_block(void) {
    const struct pq_text block = PQ_TEXT("abcabcabcabcabcabcabc defdefdefdef 0123456789 abcabc");
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        struct pq_bytes bytes = compressed(codecs[i], block, 0);
        for (size_t bit = 0; bit < bytes.length * 8; bit++) {
            uint8_t *out;
            bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            const pqdb_code code =
                decompressed(codecs[i], pq_bytes_text(&bytes), block.length, &out);
            CHECK(code == PQDB_OK || code == PQDB_CORRUPT, "%s, bit %zu: code %d", codecs[i]->name,
                  bit, (int)code);
            free(out);
            struct pq_bytes expanded;
            pq_bytes_init(&expanded, &pq_alloc_libc);
            pq_codec_expand(codecs[i], pq_bytes_text(&bytes), 4096, &expanded, NULL);
            CHECK(expanded.length <= 4096, "%s, bit %zu", codecs[i]->name, bit);
            pq_bytes_deinit(&expanded);
            bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        pq_bytes_deinit(&bytes);
    }
}

static void check_expand(const struct pq_codec *codec, enum shape shape) {
    const struct pq_text block = block_of(shape);
    struct pq_bytes bytes = compressed(codec, block, 0), out;
    pq_bytes_init(&out, &pq_alloc_libc);
    pq_bytes_append_text(&out, PQ_TEXT("kept"), NULL);
    const pqdb_code code =
        pq_codec_expand(codec, pq_bytes_text(&bytes), block.length, &out, NULL);
    if (codec == &pq_codec_lz4 || codec == &pq_codec_lz4_hadoop) {
        CHECK(code == PQDB_UNSUPPORTED && out.length == 4, "%s", codec->name);
    } else {
        CHECK(code == PQDB_OK && out.length == 4 + block.length &&
                  memcmp(out.data, "kept", 4) == 0 &&
                  memcmp(out.data + 4, block.data, block.length) == 0,
              "%s, shape %d: code %d, %zu bytes", codec->name, shape, (int)code, out.length);
        out.length = 4;
        if (block.length > 0) {
            const pqdb_code over =
                pq_codec_expand(codec, pq_bytes_text(&bytes), block.length - 1, &out, NULL);
            CHECK(over == PQDB_LIMIT && out.length == 4, "%s, shape %d: code %d", codec->name,
                  shape, (int)over);
        }
        bytes.length--;
        const pqdb_code cut =
            pq_codec_expand(codec, pq_bytes_text(&bytes), block.length, &out, NULL);
        CHECK(cut == PQDB_CORRUPT && out.length == 4, "%s, shape %d", codec->name, shape);
    }
    pq_bytes_deinit(&out);
    pq_bytes_deinit(&bytes);
    free((char *)block.data);
}

static void a_block_of_unknown_length_expands_up_to_the_limit(void) {
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        for (enum shape shape = EMPTY; shape < SHAPE_COUNT; shape++) check_expand(codecs[i], shape);
    }
}

#define BYTES(literal) {literal, sizeof literal - 1}

static void blocks_that_others_wrote_are_read(void) {
    static const struct {
        const char *name;
        const struct pq_codec *codec;
        struct pq_text in, want;
    } foreign[] = {
        {"two gzip members", &pq_codec_gzip,
         BYTES("\x1f\x8b\x08\0\0\0\0\0\0\x03KL\x04\0\xd7\x19\x8a\x07\x02\0\0\0"
                 "\x1f\x8b\x08\0\0\0\0\0\0\x03KJ\x02\0\xae\x1b\xae\xb5\x02\0\0\0"),
         BYTES("aabb")},
        {"stored deflate", &pq_codec_deflate, BYTES("\x01\x02\x00\xfd\xffhi"), BYTES("hi")},
        {"snappy with a copy", &pq_codec_snappy, BYTES("\x0a\x04" "ab\x1e\x02\x00"),
         BYTES("ababababab")},
        {"lz4 with a match", &pq_codec_lz4, BYTES("\x23" "ab\x02\0\x50" "vwxyz"),
         BYTES("ababababavwxyz")},
        {"two hadoop frames", &pq_codec_lz4_hadoop,
         BYTES("\0\0\0\x04\0\0\0\x03\x20" "ab\0\0\0\x03\x20" "cd\0\0\0\x01\0\0\0\x02\x10" "e"),
         BYTES("abcde")},
        {"raw block named hadoop", &pq_codec_lz4_hadoop, BYTES("\x50" "abcde"),
         BYTES("abcde")},
        {"zstd raw block after a skippable frame", &pq_codec_zstd,
         BYTES("\x50\x2a\x4d\x18\x01\0\0\0?"
                 "\x28\xb5\x2f\xfd\x20\x02\x11\0\0hi"),
         BYTES("hi")},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        uint8_t *out;
        const pqdb_code code =
            decompressed(foreign[i].codec, foreign[i].in, foreign[i].want.length, &out);
        CHECK(code == PQDB_OK && memcmp(out, foreign[i].want.data, foreign[i].want.length) == 0,
              "%s: code %d", foreign[i].name, (int)code);
        free(out);
    }
}

static void a_gzip_checksum_is_checked(void) {
    const struct pq_text block = PQ_TEXT("checked");
    struct pq_bytes bytes = compressed(&pq_codec_gzip, block, 0);
    uint8_t *out;
    bytes.data[bytes.length - 8] ^= 1;
    CHECK(decompressed(&pq_codec_gzip, pq_bytes_text(&bytes), 7, &out) == PQDB_CORRUPT, "crc");
    free(out);
    pq_bytes_deinit(&bytes);
}

static void a_failed_allocation_leaves_the_output_as_it_was(void) {
    const struct pq_text block = block_of(ZEROS);
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = 0};
        failing.alloc.ctx = &failing;
        struct pq_bytes out;
        pq_bytes_init(&out, &failing.alloc);
        CHECK(codecs[i]->compress(block, 0, &out, NULL) == PQDB_NO_MEMORY && out.length == 0, "%s",
              codecs[i]->name);
        pq_bytes_deinit(&out);
        if (codecs[i]->inflater == NULL) continue;
        struct pq_bytes in = compressed(codecs[i], block, 0);
        pqdb_code code = PQDB_NO_MEMORY;
        for (long fail_at = 0; code == PQDB_NO_MEMORY && fail_at < 100; fail_at++) {
            failing.left = fail_at;
            pq_bytes_init(&out, &failing.alloc);
            code = pq_codec_expand(codecs[i], pq_bytes_text(&in), block.length, &out, NULL);
            CHECK(code == PQDB_OK || out.length == 0, "%s at %ld", codecs[i]->name, fail_at);
            pq_bytes_deinit(&out);
        }
        CHECK(code == PQDB_OK && failing.live_bytes == 0, "%s: %d", codecs[i]->name, (int)code);
        pq_bytes_deinit(&in);
    }
    free((char *)block.data);
}

static void *round_trips(void *unused) {
    (void)unused;
    for (size_t i = 0; i < CODEC_COUNT; i++) check_round_trip(codecs[i], TEXT, 0);
    return NULL;
}

static void threads_do_not_share_working_memory(void) {
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) pthread_create(&threads[i], NULL, round_trips, NULL);
    for (size_t i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static void codecs_are_found_by_name(void) {
    for (size_t i = 0; i < CODEC_COUNT; i++) {
        CHECK(pq_codec_find(pq_text_of(codecs[i]->name)) == codecs[i], "%s", codecs[i]->name);
    }
    CHECK(pq_codec_find(PQ_TEXT("zst")) == NULL, "zst");
}

int main(void) {
    RUN(blocks_of_every_shape_come_back);
    RUN(text_and_zeros_shrink);
    RUN(the_level_reaches_the_codec);
    RUN(every_cut_and_every_tail_is_corrupt);
    RUN(flipped_bits_never_reach_past_the_block);
    RUN(a_block_of_unknown_length_expands_up_to_the_limit);
    RUN(blocks_that_others_wrote_are_read);
    RUN(a_gzip_checksum_is_checked);
    RUN(a_failed_allocation_leaves_the_output_as_it_was);
    RUN(threads_do_not_share_working_memory);
    RUN(codecs_are_found_by_name);
    return test_done();
}
