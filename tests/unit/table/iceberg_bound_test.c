/// Goal: pin the bytes of bounds, one table of values; what has no bound has none.
#include <math.h>
#include <string.h>

#include "support/test.h"
#include "table/iceberg/measure.h"

#define TEXT(literal) {.kind = PQ_TEXT, .as.text = {(literal), sizeof(literal) - 1}}
#define BINARY(literal) {.kind = PQ_BINARY, .as.text = {(literal), sizeof(literal) - 1}}
#define BYTES(literal) (literal), sizeof(literal) - 1
#define NONE NULL, 0

static const struct {
    const char *name;
    struct pq_value value;
    const char *lower;
    size_t lower_bytes;
    const char *upper;
    size_t upper_bytes;
} bounds[] = {
    {"false", {.kind = PQ_BOOL}, BYTES("\0"), BYTES("\0")},
    {"true", {.kind = PQ_BOOL, .as.boolean = true}, BYTES("\1"), BYTES("\1")},
    {"int", {.kind = PQ_INT64, .as.integer = -2}, BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff"),
     BYTES("\xfe\xff\xff\xff\xff\xff\xff\xff")},
    {"date", {.kind = PQ_DATE, .as.integer = 258}, BYTES("\2\1\0\0"), BYTES("\2\1\0\0")},
    {"float", {.kind = PQ_FLOAT32, .as.real = 1.5}, BYTES("\0\0\xc0\x3f"), BYTES("\0\0\xc0\x3f")},
    {"zero", {.kind = PQ_FLOAT64, .as.real = 0}, BYTES("\0\0\0\0\0\0\0\x80"),
     BYTES("\0\0\0\0\0\0\0\0")},
    {"NaN", {.kind = PQ_FLOAT64, .as.real = NAN}, NONE, NONE},
    {"decimal 0", {.kind = PQ_DECIMAL, .as.decimal = 0}, BYTES("\0"), BYTES("\0")},
    {"decimal 127", {.kind = PQ_DECIMAL, .as.decimal = 127}, BYTES("\x7f"), BYTES("\x7f")},
    {"decimal 128", {.kind = PQ_DECIMAL, .as.decimal = 128}, BYTES("\0\x80"), BYTES("\0\x80")},
    {"decimal -128", {.kind = PQ_DECIMAL, .as.decimal = -128}, BYTES("\x80"), BYTES("\x80")},
    {"decimal -129", {.kind = PQ_DECIMAL, .as.decimal = -129}, BYTES("\xff\x7f"),
     BYTES("\xff\x7f")},
    {"decimal -1", {.kind = PQ_DECIMAL, .as.decimal = -1}, BYTES("\xff"), BYTES("\xff")},
    {"empty text", TEXT(""), BYTES(""), BYTES("")},
    {"16 characters", TEXT("abcdefghijklmnop"), BYTES("abcdefghijklmnop"),
     BYTES("abcdefghijklmnop")},
    {"17 characters", TEXT("abcdefghijklmnopq"), BYTES("abcdefghijklmnop"),
     BYTES("abcdefghijklmnoq")},
    {"17 characters of two bytes",
     TEXT("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
          "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"),
     BYTES("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
           "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"),
     BYTES("\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
           "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa5")},
    {"binary that cannot be raised",
     BINARY("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
     BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), NONE},
    {"null", {.kind = PQ_NULL}, NONE, NONE},
    {"variant", {.kind = PQ_VARIANT}, NONE, NONE},
};

static void bounds_match_the_table(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        struct pq_text lower, upper;
        CHECK(pq_iceberg_bound(&bounds[i].value, false, &arena, &lower, NULL) == PQDB_OK &&
              pq_iceberg_bound(&bounds[i].value, true, &arena, &upper, NULL) == PQDB_OK, "%s",
              bounds[i].name);
        CHECK((lower.data == NULL) == (bounds[i].lower == NULL) &&
                  lower.length == bounds[i].lower_bytes &&
                  (lower.length == 0 || memcmp(lower.data, bounds[i].lower, lower.length) == 0),
              "%s: lower", bounds[i].name);
        CHECK((upper.data == NULL) == (bounds[i].upper == NULL) &&
                  upper.length == bounds[i].upper_bytes &&
                  (upper.length == 0 || memcmp(upper.data, bounds[i].upper, upper.length) == 0),
              "%s: upper", bounds[i].name);
    }
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(bounds_match_the_table);
    return test_done();
}
