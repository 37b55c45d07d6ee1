/// Goal: pin what each primitive reads as, and that damaged bytes are refused at the door.
#include <string.h>

#include "base/arena.h"
#include "support/test.h"
#include "variant/variant.h"

/// Names a, b; the value's bytes in `hex`.
struct value_of_hex {
    struct pq_arena arena;
    struct pq_variant variant;
};

static void open_hex(struct value_of_hex *value, const char *hex) {
    static const uint8_t names[] = {1, 2, 0, 1, 2, 'a', 'b'};
    uint8_t row[512];
    size_t length = sizeof names;
    memcpy(row, names, sizeof names);
    for (unsigned byte; sscanf(hex, " %2x", &byte) == 1; length++) {
        row[length] = (uint8_t)byte;
        hex += strspn(hex, " ") + 2;
    }
    pq_arena_init(&value->arena, &pq_alloc_libc);
    uint8_t *exact = pq_arena_alloc(&value->arena, length);
    memcpy(exact, row, length);
    const struct pq_text text = {(const char *)exact, length};
    CHECK(pq_variant_of_row(text, 2, NULL, &value->arena, &value->variant, NULL) == PQDB_OK, "row");
}

static const struct {
    const char *hex, *json;
} sound[] = {
    {"00", "null"},
    {"04", "true"},
    {"08", "false"},
    {"0c ff", "-1"},
    {"10 00 80", "-32768"},
    {"14 ff ff ff 7f", "2147483647"},
    {"18 00 00 00 00 00 00 00 80", "-9223372036854775808"},
    {"1c 00 00 00 00 00 00 f8 3f", "1.5"},
    {"1c 00 00 00 00 00 00 f8 7f", "null"},
    {"20 02 d2 04 00 00", "12.34"},
    {"24 01 ff ff ff ff ff ff ff ff", "-0.1"},
    {"28 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00", "18446744073709551616"},
    {"2c 00 00 00 00", "\"1970-01-01\""},
    {"30 40 42 0f 00 00 00 00 00", "\"1970-01-01T00:00:01.000Z\""},
    {"34 01 00 00 00 00 00 00 00", "\"1970-01-01T00:00:00.000001Z\""},
    {"38 00 00 c0 3f", "1.5"},
    {"3c 03 00 00 00 66 6f 6f", "\"Zm9v\""},
    {"40 03 00 00 00 66 6f 6f", "\"foo\""},
    {"44 40 42 0f 00 00 00 00 00", "\"00:00:01\""},
    {"48 ff ff ff ff ff ff ff ff", "\"1969-12-31T23:59:59.999999Z\""},
    {"4c e8 03 00 00 00 00 00 00", "\"1970-01-01T00:00:00.000001Z\""},
    {"50 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff",
     "\"00112233-4455-6677-8899-aabbccddeeff\""},
    {"01", "\"\""},
    {"0d 66 6f 6f", "\"foo\""},
    {"03 00 00", "[]"},
    {"03 02 00 01 02 04 08", "[true,false]"},
    {"02 00 00", "{}"},
    {"02 02 00 01 01 00 02 04 08", "{\"a\":false,\"b\":true}"},  // values in any order
    {"13 01 00 00 00 00 01 04", "[true]"},                       // a large array of one
    {"42 01 00 00 00 00 00 01 04", "{\"a\":true}"},              // a large object of one
    {"07 01 00 00 01 00 04", "[true]"},                          // offsets of two bytes
};

static void values_read_as_in_the_table(void) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (size_t i = 0; i < sizeof sound / sizeof *sound; i++) {
        struct value_of_hex value;
        pqdb_error err = {0};
        open_hex(&value, sound[i].hex);
        text.length = 0;
        CHECK(pq_variant_check(&value.variant, &err) == PQDB_OK, "%s: %s", sound[i].hex,
              err.message);
        if (err.code == PQDB_OK) pq_variant_write_json(&value.variant, &text, NULL);
        CHECK(pq_text_is(pq_bytes_text(&text), sound[i].json), "%s: %.*s", sound[i].hex,
              PQ_TEXT_ARG(pq_bytes_text(&text)));
        pq_arena_deinit(&value.arena);
    }
    pq_bytes_deinit(&text);
}

static const struct {
    const char *name, *hex;
} damaged[] = {
    {"nothing", ""},
    {"an unknown primitive", "54"},
    {"a cut int64", "18 00 00"},
    {"a cut short text", "0d 66"},
    {"a cut long text", "40 04 00 00 00 66"},
    {"a long text without its length", "40 04 00"},
    {"text that is not UTF-8", "05 ff"},
    {"a scale above 38", "20 27 00 00 00 00"},
    {"bytes behind the value", "04 04"},
    {"an array without a count", "03"},
    {"an array with more values than bytes", "03 ff 00"},
    {"a large array with more values than bytes", "13 ff ff ff ff 00"},
    {"an array that ends behind its bytes", "03 01 00 02 04"},
    {"a value outside its array", "03 01 01 01 04"},
    {"a value that ends behind its array", "03 01 00 01 0c 05"},
    {"two values in one place", "03 02 00 00 01 04"},
    {"values that overlap", "03 02 00 01 03 0c 0c 01"},
    {"unknown bits of an array", "23 00 00"},
    {"unknown bits of an object", "82 00 00"},
    {"a field without a name", "02 01 02 00 01 04"},
    {"fields out of order", "02 02 01 00 00 01 02 04 04"},
    {"the same field twice", "02 02 00 00 00 01 02 04 04"},
    {"a damaged value inside", "02 01 00 00 01 54"},
};

static void damaged_values_are_refused(void) {
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct value_of_hex value;
        open_hex(&value, damaged[i].hex);
        CHECK(pq_variant_check(&value.variant, NULL) == PQDB_CORRUPT, "%s", damaged[i].name);
        pq_arena_deinit(&value.arena);
    }
}

static void nesting_beyond_the_limit_is_refused(void) {
    for (size_t depth = PQ_VARIANT_DEPTH_MAX - 1; depth < PQ_VARIANT_DEPTH_MAX + 2; depth++) {
        uint8_t bytes[8 * PQ_VARIANT_DEPTH_MAX];
        size_t start = sizeof bytes - 1;
        bytes[start] = 4;
        for (size_t i = 0; i < depth; i++) {  // [ … ] with offsets of four bytes
            const uint32_t inner = (uint32_t)(sizeof bytes - start);
            const uint8_t header[] = {3 | 1 << 2, 1, 0, 0, (uint8_t)inner, (uint8_t)(inner >> 8)};
            start -= sizeof header;
            memcpy(bytes + start, header, sizeof header);
        }
        const struct pq_variant variant = {.bytes = bytes + start,
                                           .length = sizeof bytes - start};
        const pqdb_code want = depth < PQ_VARIANT_DEPTH_MAX ? PQDB_OK : PQDB_CORRUPT;
        CHECK(pq_variant_check(&variant, NULL) == want, "depth %zu", depth);
    }
}

/// Foreign metadata may give one name two ids; a path finds the field by its name then.
static void a_path_finds_a_name_that_metadata_repeats(void) {
    static const uint8_t row[] = {1, 2, 0, 1, 2, 'a', 'a', /* {a: true} */ 2, 1, 1, 0, 1, 4};
    struct pq_arena arena;
    struct pq_variant variant;
    uint32_t id;
    pq_arena_init(&arena, &pq_alloc_libc);
    CHECK(pq_variant_of_row((struct pq_text){(const char *)row, sizeof row}, 2, NULL, &arena,
                            &variant, NULL) == PQDB_OK, "row");
    CHECK(pq_variant_check(&variant, NULL) == PQDB_OK, "check");
    const struct pq_variant_step step = {.name = PQ_TEXT("a"), .index = -1};
    pq_variant_path_resolve(variant.names, &step, 1, &id);
    CHECK(pq_variant_path(&variant, &step, &id, 1).kind == PQ_BOOL, "found");
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(values_read_as_in_the_table);
    RUN(damaged_values_are_refused);
    RUN(nesting_beyond_the_limit_is_refused);
    RUN(a_path_finds_a_name_that_metadata_repeats);
    return test_done();
}
