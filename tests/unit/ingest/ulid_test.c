/// Goal: pin the form of generated ids and that they rise.
#include "ingest/ulid.h"

#include <string.h>

#include "support/test.h"

static int64_t clock_us;
static uint8_t random_byte;

static int64_t test_now_us(void *ctx) {
    (void)ctx;
    return clock_us;
}

static void test_random(void *ctx, void *out, size_t length) {
    (void)ctx;
    memset(out, random_byte, length);
}

static const struct pq_env test_env = {.now_us = test_now_us, .random = test_random};

static void the_text_is_lower_case_base_32_of_128_bits(void) {
    char text[PQ_ULID_LENGTH + 1] = {0};
    pq_ulid_format(0, text);
    CHECK(strcmp(text, "00000000000000000000000000") == 0, "%s", text);
    pq_ulid_format(~(pq_u128)0, text);
    CHECK(strcmp(text, "7zzzzzzzzzzzzzzzzzzzzzzzzz") == 0, "%s", text);
    // The specification's example: 1469918176385 ms is 01ARYZ6S41.
    pq_ulid_format((pq_u128)UINT64_C(1469918176385) << 80, text);
    CHECK(strcmp(text, "01aryz6s410000000000000000") == 0, "%s", text);
}

static void ids_rise_within_a_millisecond_and_when_the_clock_goes_back(void) {
    struct pq_ulids ulids;
    clock_us = 1000000;
    random_byte = 0xFF;
    pq_ulids_init(&ulids, &test_env);
    const pq_u128 first = pq_ulids_take(&ulids, 10);
    CHECK((uint64_t)(first >> 80) == 1000, "the time comes first");
    random_byte = 0;
    CHECK(pq_ulids_take(&ulids, 5) == first + 10, "the same millisecond goes on counting");
    clock_us = 500000;
    CHECK(pq_ulids_take(&ulids, 1) == first + 15, "so does a clock that went back");
    clock_us = 1001000;
    const pq_u128 later = pq_ulids_take(&ulids, 1);
    CHECK(later > first + 15 && (uint64_t)(later >> 80) == 1001, "a new millisecond");
    CHECK((uint64_t)((first + 1000000000) >> 80) == 1000, "counting never reaches the time");
}

int main(void) {
    RUN(the_text_is_lower_case_base_32_of_128_bits);
    RUN(ids_rise_within_a_millisecond_and_when_the_clock_goes_back);
    return test_done();
}
