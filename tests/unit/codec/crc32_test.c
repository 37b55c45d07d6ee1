/// Goal: the CRC is the one of the standard, and continues over pieces.
#include "codec/crc32.h"

#include "support/test.h"

static void the_check_value_of_the_standard_comes_out(void) {
    CHECK(pq_crc32(0, "123456789", 9) == 0xCBF43926u, "got %08x", pq_crc32(0, "123456789", 9));
    CHECK(pq_crc32(0, NULL, 0) == 0, "of nothing");
}

static void pieces_give_the_crc_of_the_whole(void) {
    for (size_t cut = 0; cut <= 9; cut++) {
        const uint32_t crc = pq_crc32(pq_crc32(0, "123456789", cut), "123456789" + cut, 9 - cut);
        CHECK(crc == 0xCBF43926u, "cut at %zu", cut);
    }
}

int main(void) {
    RUN(the_check_value_of_the_standard_comes_out);
    RUN(pieces_give_the_crc_of_the_whole);
    return test_done();
}
