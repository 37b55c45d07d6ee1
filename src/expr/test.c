/// Comparisons with literals, brought to the kind of their operand once, when they are compiled.
#include <math.h>
#include <stdlib.h>

#include "expr/functions_internal.h"
#include "type/decimal.h"
#include "type/timestamp.h"

/// Beyond every value of a column.
#define FAR ((pq_i128)(((pq_u128)1 << 126) - 1) * 2)

/// A literal in units of a column: the nearest whole numbers at or below and at or above it.
struct place {
    pq_i128 floor, ceil;
};

static struct place far_away(bool negative) {
    return negative ? (struct place){-FAR, -FAR} : (struct place){FAR, FAR};
}

/// The number times 10^scale.
static struct place place_of_number(const struct pq_value *number, uint8_t scale) {
    struct pq_decimal decimal, floor, ceil;
    if (number->kind == PQ_INT64) {
        decimal = (struct pq_decimal){number->as.integer, 0};
    } else if (number->kind == PQ_DECIMAL) {
        decimal = (struct pq_decimal){number->as.decimal, number->scale};
    } else {  // beyond 38 digits, or no number at all: above or below everything, or next to a unit
        const struct pq_value *real = number;
        struct pq_value units = {.kind = PQ_DECIMAL, .scale = scale};
        if (isnan(real->as.real)) return far_away(false);
        if (!pq_decimal_from_real(real->as.real, scale, &units.as.decimal)) {
            return far_away(real->as.real < 0);
        }
        const int order = pq_number_compare(&units, real);
        return (struct place){units.as.decimal - (order > 0), units.as.decimal + (order < 0)};
    }
    if (!pq_decimal_rescale(decimal, scale, PQ_ROUND_DOWN, &floor) ||
        !pq_decimal_rescale(decimal, scale, PQ_ROUND_UP, &ceil)) {
        return far_away(decimal.units < 0);
    }
    return (struct place){floor.units, ceil.units};
}

static pq_i128 floor_days(pq_i128 us) {
    const pq_i128 days = us / PQ_US_PER_DAY;
    return us % PQ_US_PER_DAY < 0 ? days - 1 : days;
}

/// Where text or a number lies among the values of a time column. False: nowhere.
static bool place_of_time(const struct pq_type *type, const struct pq_value *value,
                          struct place *place) {
    int64_t us;
    int32_t days;
    const bool text = value->kind == PQ_TEXT;
    if (!text) {
        *place = place_of_number(value, 3);  // milliseconds with three digits: microseconds
    } else if (type->kind == PQ_TIME) {
        if (!pq_time_parse(value->as.text, &us)) return false;
        *place = (struct place){us, us};
    } else if (pq_date_parse(value->as.text, &days)) {
        *place = (struct place){(pq_i128)days * PQ_US_PER_DAY, (pq_i128)days * PQ_US_PER_DAY};
    } else {
        if (!pq_timestamp_parse(value->as.text, &us)) return false;
        *place = (struct place){us, us};
    }
    if (type->kind == PQ_DATE) {
        place->floor = floor_days(place->floor);
        place->ceil = -floor_days(-place->ceil);
    }
    return true;
}

static bool is_exact_number(enum pq_kind kind) {
    return kind == PQ_INT64 || kind == PQ_DECIMAL || kind == PQ_FLOAT64;
}

/// For columns whose values are whole numbers of some unit. False: the kinds do not mix.
static bool place_of(const struct pq_type *type, const struct pq_literal *literal,
                     struct place *place) {
    const struct pq_value *value = &literal->exact;
    switch (type->kind) {
        case PQ_BOOL:
            if (value->kind != PQ_BOOL) return false;
            *place = (struct place){value->as.boolean, value->as.boolean};
            return true;
        case PQ_INT64:
        case PQ_DECIMAL:
            if (!is_exact_number(value->kind)) return false;
            *place = place_of_number(value, type->kind == PQ_DECIMAL ? type->scale : 0);
            return true;
        case PQ_DATE:
        case PQ_TIME:
        case PQ_TIMESTAMP:
            return (is_exact_number(value->kind) || value->kind == PQ_TEXT) &&
                   place_of_time(type, value, place);
        default: return false;
    }
}

static bool is_unit_kind(enum pq_kind kind) {
    return kind == PQ_BOOL || kind == PQ_INT64 || kind == PQ_DECIMAL || kind == PQ_DATE ||
           kind == PQ_TIME || kind == PQ_TIMESTAMP;
}

static void set_range(struct pq_test *test, const struct place *place) {
    test->kind = PQ_TEST_RANGE;
    test->low = -FAR - 1;
    test->high = FAR + 1;
    switch (test->op) {
        case PQ_OP_GT: test->low = place->floor + 1; break;
        case PQ_OP_GTE: test->low = place->ceil; break;
        case PQ_OP_LT: test->high = place->ceil - 1; break;
        case PQ_OP_LTE: test->high = place->floor; break;
        default:  // between two units there is nothing: ceil is then above floor
            test->low = place->ceil;
            test->high = place->floor;
    }
}

void pq_test_prepare(struct pq_test *test, const struct pq_type *type,
                     const struct pq_literal *literal) {
    struct place place;
    const enum pq_kind kind = type->kind;
    test->kind = PQ_TEST_GENERAL;
    if (literal->own.kind == PQ_NULL) {
        test->kind = PQ_TEST_NULL;
    } else if (is_unit_kind(kind)) {
        test->kind = PQ_TEST_NEVER;
        if (place_of(type, literal, &place)) set_range(test, &place);
    } else if (kind == PQ_FLOAT64 || kind == PQ_FLOAT32) {
        test->kind = literal->is_number ? PQ_TEST_REAL : PQ_TEST_NEVER;
        test->real = kind == PQ_FLOAT64 ? literal->real.as.real : literal->single.as.real;
    } else if (kind == PQ_TEXT) {
        test->kind = literal->own.kind == PQ_TEXT ? PQ_TEST_TEXT : PQ_TEST_NEVER;
        test->text = literal->own.as.text;
    }
}

static int by_size(const void *a, const void *b) {
    const pq_i128 x = *(const pq_i128 *)a, y = *(const pq_i128 *)b;
    return x < y ? -1 : x > y;
}

bool pq_test_prepare_set(struct pq_test *test, const struct pq_type *type,
                         const struct pq_set *set, struct pq_arena *arena) {
    *test = (struct pq_test){.op = PQ_OP_IN, .set = set};
    if (type->kind == PQ_TEXT) test->kind = PQ_TEST_TEXT;
    if (!is_unit_kind(type->kind)) return true;
    pq_i128 *members = pq_arena_alloc(arena, (set->count + 1) * sizeof *members);
    if (members == NULL) return false;
    for (size_t i = 0; i < set->count; i++) {
        struct place place;
        if (!place_of(type, &set->items[i], &place) || place.floor != place.ceil) continue;
        members[test->member_count++] = place.floor;
    }
    qsort(members, test->member_count, sizeof *members, by_size);
    test->kind = PQ_TEST_MEMBER;
    test->members = members;
    return true;
}

static bool ends_with(struct pq_text text, struct pq_text end) {
    return text.length >= end.length &&
           (end.length == 0 ||
            memcmp(text.data + text.length - end.length, end.data, end.length) == 0);
}

bool pq_test_text(const struct pq_test *test, struct pq_text text) {
    switch (test->op) {
        case PQ_OP_EQ: return pq_text_equal(text, test->text);
        case PQ_OP_NE: return !pq_text_equal(text, test->text);
        case PQ_OP_GT: return pq_text_compare(text, test->text) > 0;
        case PQ_OP_GTE: return pq_text_compare(text, test->text) >= 0;
        case PQ_OP_LT: return pq_text_compare(text, test->text) < 0;
        case PQ_OP_LTE: return pq_text_compare(text, test->text) <= 0;
        case PQ_OP_IN: return pq_set_has_text(test->set, text);
        case PQ_OP_STARTS: return pq_text_starts_with(text, test->text);
        case PQ_OP_ENDS: return ends_with(text, test->text);
        case PQ_OP_CONTAINS:
            return test->text.length == 0 ||
                   (text.length > 0 && memmem(text.data, text.length, test->text.data,
                                              test->text.length) != NULL);
        case PQ_OP_REGEX: return false;
    }
    return false;
}
