/// Deltas: what is encoded is what the decoder takes, at every length around blocks and miniblocks,
/// for values that wrap around; texts that share prefixes lose them.
#include "parquet/encoding/delta_encode.h"

#include <string.h>

#include "parquet/encoding/delta.h"
#include "support/test.h"

enum { values_max = 700 };

static uint64_t state = 1;

static uint64_t draw(void) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return state ^ (state >> 29);
}

/// Value i of a shape: constant, rising, small steps, extremes, anything.
static int64_t value_of(size_t shape, size_t i) {
    switch (shape) {
    case 0: return -7;
    case 1: return (int64_t)i * 1000003;
    case 2: return (int64_t)(draw() % 16);
    case 3: return i % 2 == 0 ? INT64_MIN : INT64_MAX;
    default: return (int64_t)draw();
    }
}

static void check_values(size_t shape, size_t count, size_t width) {
    int64_t wide[values_max], got[values_max];
    int32_t narrow[values_max];
    for (size_t i = 0; i < count; i++) {
        wide[i] = value_of(shape, i);
        if (width == 4) wide[i] = narrow[i] = (int32_t)(wide[i] >> (shape > 2 ? 32 : 0));
    }
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    const void *values = width == 4 ? (const void *)narrow : (const void *)wide;
    CHECK(pq_delta_encode(values, count, width, &out, NULL) == PQDB_OK, "encode");
    struct pq_delta_decoder decoder;
    CHECK(pq_delta_decoder_init(&decoder, out.data, out.length, (unsigned)width * 8, count),
          "shape %zu, %zu of %zu bytes: header", shape, count, width);
    CHECK(decoder.value_count == count && pq_delta_take(&decoder, got, count),
          "shape %zu, %zu of %zu bytes: take", shape, count, width);
    CHECK(count == 0 || memcmp(got, wide, count * sizeof *got) == 0,
          "shape %zu, %zu of %zu bytes: other values", shape, count, width);
    CHECK(pq_delta_finish(&decoder) && decoder.cursor.at == out.data + out.length,
          "shape %zu, %zu of %zu bytes: bytes are left", shape, count, width);
    pq_bytes_deinit(&out);
}

static void what_is_encoded_is_decoded(void) {
    static const size_t counts[] = {0, 1, 2, 32, 33, 34, 64, 97, 128, 129, 130, 257, 641, 700};
    for (size_t shape = 0; shape < 5; shape++) {
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            check_values(shape, counts[i], 4);
            check_values(shape, counts[i], 8);
        }
    }
}

static void a_rising_sequence_takes_next_to_nothing(void) {
    int64_t values[values_max];
    for (size_t i = 0; i < values_max; i++) values[i] = 1795330208220000 + (int64_t)i * 1000;
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    CHECK(pq_delta_encode(values, values_max, 8, &out, NULL) == PQDB_OK, "encode");
    CHECK(out.length < 60, "%zu bytes", out.length);
    pq_bytes_deinit(&out);
}

static void check_texts(const char *const *texts, size_t count, bool shares) {
    struct pq_bytes plain, scratch, out;
    pq_bytes_init(&plain, &pq_alloc_libc);
    pq_bytes_init(&scratch, &pq_alloc_libc);
    pq_bytes_init(&out, &pq_alloc_libc);
    pq_bytes_reserve(&plain, 1, NULL);
    for (size_t i = 0; i < count; i++) {
        const uint32_t length = (uint32_t)strlen(texts[i]);
        pq_bytes_append(&plain, &length, sizeof length, NULL);
        pq_bytes_append(&plain, texts[i], length, NULL);
    }
    bool has_prefixes;
    CHECK(pq_delta_encode_texts(plain.data, count, &scratch, &out, &has_prefixes, NULL) == PQDB_OK,
          "encode");
    CHECK(has_prefixes == shares, "%s: shares %d", count > 0 ? texts[0] : "", has_prefixes);
    pq_bytes_deinit(&plain);
    pq_bytes_deinit(&scratch);
    pq_bytes_deinit(&out);
}

static void neighbours_that_share_lose_their_prefixes(void) {
    check_texts((const char *const[]){"order-0001", "order-0002", "order-0003"}, 3, true);
    check_texts((const char *const[]){"alpha", "beta", "gamma"}, 3, false);
    check_texts((const char *const[]){"", "", ""}, 3, false);
    check_texts(NULL, 0, false);
}

int main(void) {
    RUN(what_is_encoded_is_decoded);
    RUN(a_rising_sequence_takes_next_to_nothing);
    RUN(neighbours_that_share_lose_their_prefixes);
    return test_done();
}
