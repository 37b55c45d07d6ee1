/// Any text as a declaration, a number, a time, a link: what is read prints back as itself.
#include "base/check.h"
#include "type/decimal.h"
#include "type/ice_type.h"
#include "type/timestamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_declaration(struct pq_text text) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_declared_field field;
    struct pq_ice_target target = {&arena, &problems, &field};
    const pqdb_code code = pq_ice_type_parse(PQ_TEXT("f"), text, (struct pq_problem_at){0},
                                             &target, NULL);
    pq_assert((code == PQDB_OK) == (problems.errors == 0));
    struct pq_rule_text why;
    if (code == PQDB_OK) {
        pq_declared_accepts(&field, text, &why);
        if (field.relation != NULL) pq_relation_id(field.relation, text);
    }
    pq_arena_deinit(&arena);
}

static void check_number(struct pq_text text) {
    struct pq_decimal decimal, again;
    char printed[PQ_DECIMAL_TEXT_MAX];
    if (!pq_decimal_parse_exact(text, &decimal)) return;
    pq_assert(pq_decimal_fits(decimal.units, PQ_DECIMAL_DIGITS_MAX));
    pq_decimal_format(decimal, printed);
    pq_assert(pq_decimal_parse_exact(pq_text_of(printed), &again));
    pq_assert(again.units == decimal.units && again.scale == decimal.scale);
    pq_i128 units;
    pq_assert(pq_decimal_parse(text, PQ_DECIMAL_DIGITS_MAX, decimal.scale, &units, NULL) ==
              PQDB_OK);
    pq_assert(units == decimal.units);
    const struct pq_value exact = {
        .kind = PQ_DECIMAL, .scale = decimal.scale, .as.decimal = decimal.units};
    const struct pq_value real = {.kind = PQ_FLOAT64, .as.real = pq_decimal_to_real(decimal)};
    pq_assert(pq_number_compare(&exact, &real) == -pq_number_compare(&real, &exact));
    const struct pq_value canonical = pq_number_canonical(&exact);
    pq_assert(pq_number_compare(&exact, &canonical) == 0);
}

static void check_time(struct pq_text text) {
    char printed[PQ_TIME_TEXT_MAX];
    int64_t value, again;
    int32_t days, days_again;
    if (pq_timestamp_parse(text, &value)) {
        pq_timestamp_format(value, printed);
        pq_assert(pq_timestamp_parse(pq_text_of(printed), &again) && again == value);
    }
    if (pq_date_parse(text, &days)) {
        pq_date_format(days, printed);
        pq_assert(pq_date_parse(pq_text_of(printed), &days_again) && days_again == days);
    }
    if (pq_time_parse(text, &value)) {
        pq_time_format(value, printed);
        pq_assert(pq_time_parse(pq_text_of(printed), &again) && again == value);
    }
    if (pq_duration_parse(text, &value)) pq_assert(value >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct pq_text text = {(const char *)data, size};
    if (size > 4096) return 0;
    check_number(text);
    check_time(text);
    if (pq_text_is_utf8(text)) check_declaration(text);  // as the JSON reader has seen to
    return 0;
}
