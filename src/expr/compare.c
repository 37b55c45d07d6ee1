#include "expr/compare.h"

#include "base/check.h"
#include "expr/nested.h"
#include "type/decimal.h"
#include "type/timestamp.h"
#include "variant/variant.h"

/// Classes of kinds that compare with each other, in the order of sort.
enum rank { BOOLEANS, NUMBERS, INSTANTS, CLOCKS, TEXTS, BINARIES, LISTS, OBJECTS, NULLS };

static enum rank rank_of(const struct pq_value *plain) {
    switch (plain->kind) {
        case PQ_NULL: return NULLS;
        case PQ_BOOL: return BOOLEANS;
        case PQ_INT64:
        case PQ_FLOAT32:
        case PQ_FLOAT64:
        case PQ_DECIMAL: return NUMBERS;
        case PQ_DATE:
        case PQ_TIMESTAMP: return INSTANTS;
        case PQ_TIME: return CLOCKS;
        case PQ_TEXT: return TEXTS;
        case PQ_BINARY: return BINARIES;
        case PQ_LIST: return LISTS;
        case PQ_OBJECT: return OBJECTS;
        case PQ_VARIANT: return pq_value_is_list(plain) ? LISTS : OBJECTS;
    }
    return NULLS;
}

static int order_of(bool less, bool greater) { return less ? -1 : greater; }

/// Dates reach further than 64 bits of microseconds.
static pq_i128 instant_us(const struct pq_value *time) {
    const pq_i128 value = time->as.integer;
    return time->kind == PQ_DATE ? value * PQ_US_PER_DAY : value;
}

static int compare_instants(const struct pq_value *a, const struct pq_value *b) {
    const pq_i128 x = instant_us(a), y = instant_us(b);
    return order_of(x < y, x > y);
}

static int compare_numbers(const struct pq_value *a, const struct pq_value *b) {
    if (a->kind == PQ_INT64 && b->kind == PQ_INT64) {
        return order_of(a->as.integer < b->as.integer, a->as.integer > b->as.integer);
    }
    return pq_number_compare(a, b);
}

static int compare_plain(const struct pq_value *a, const struct pq_value *b);

static int compare_lists(const struct pq_value *a, const struct pq_value *b) {
    const size_t a_count = pq_nested_count(a), b_count = pq_nested_count(b);
    for (size_t k = 0; k < a_count && k < b_count; k++) {
        const struct pq_value x = pq_nested_at(a, k, NULL), y = pq_nested_at(b, k, NULL);
        const int order = compare_plain(&x, &y);
        if (order != 0) return order;
    }
    return order_of(a_count < b_count, a_count > b_count);
}

static int compare_objects(const struct pq_value *a, const struct pq_value *b) {
    struct pq_members a_members = pq_members_of(a), b_members = pq_members_of(b);
    for (;;) {
        struct pq_text a_name, b_name;
        struct pq_value x, y;
        const bool a_more = pq_members_next(&a_members, &a_name, &x);
        const bool b_more = pq_members_next(&b_members, &b_name, &y);
        if (!a_more || !b_more) return order_of(b_more, a_more);
        int order = pq_text_compare(a_name, b_name);
        if (order == 0) order = compare_plain(&x, &y);
        if (order != 0) return order;
    }
}

static int compare_plain(const struct pq_value *a, const struct pq_value *b) {
    const enum rank a_rank = rank_of(a), b_rank = rank_of(b);
    if (a_rank != b_rank) return order_of(a_rank < b_rank, true);
    switch (a_rank) {
        case BOOLEANS:
            return order_of(a->as.boolean < b->as.boolean, a->as.boolean > b->as.boolean);
        case NUMBERS: return compare_numbers(a, b);
        case INSTANTS: return compare_instants(a, b);
        case CLOCKS:
            return order_of(a->as.integer < b->as.integer, a->as.integer > b->as.integer);
        case TEXTS:
        case BINARIES: return pq_text_compare(a->as.text, b->as.text);
        case LISTS: return compare_lists(a, b);
        case OBJECTS: return compare_objects(a, b);
        case NULLS: return 0;
    }
    return 0;
}

/// The value itself when it is plain already: values are wide, and most are.
static const struct pq_value *plain_of(const struct pq_value *value, struct pq_value *room) {
    if (value->kind != PQ_VARIANT) return value;
    *room = pq_variant_unwrap(&value->as.variant);
    return room;
}

int pq_value_compare(const struct pq_value *a, const struct pq_value *b) {
    struct pq_value a_room, b_room;
    return compare_plain(plain_of(a, &a_room), plain_of(b, &b_room));
}

/// A time and ISO 8601 text. False when the text is no such time.
static bool relate_text(const struct pq_value *time, struct pq_text text, int *order) {
    struct pq_value parsed = {.kind = time->kind == PQ_TIME ? PQ_TIME : PQ_TIMESTAMP};
    if (time->kind == PQ_TIME) {
        if (!pq_time_parse(text, &parsed.as.integer)) return false;
        *order = order_of(time->as.integer < parsed.as.integer,
                          time->as.integer > parsed.as.integer);
        return true;
    }
    int32_t days;
    if (pq_date_parse(text, &days)) {  // also those beyond the reach of a timestamp
        parsed = (struct pq_value){.kind = PQ_DATE, .as.integer = days};
    } else if (!pq_timestamp_parse(text, &parsed.as.integer)) {
        return false;
    }
    *order = compare_instants(time, &parsed);
    return true;
}

/// A time as milliseconds, exactly: microseconds with three digits after the point.
static int compare_with_ms(const struct pq_value *time, const struct pq_value *number) {
    struct pq_value ms = {.kind = PQ_DECIMAL, .scale = 3};
    ms.as.decimal = instant_us(time);
    return pq_number_compare(&ms, number);
}

static bool relate_plain(const struct pq_value *a, const struct pq_value *b, int *order) {
    const enum rank a_rank = rank_of(a), b_rank = rank_of(b);
    if (a_rank == NULLS || b_rank == NULLS) return false;
    if (a_rank == b_rank) {
        *order = compare_plain(a, b);
        return true;
    }
    const bool a_time = a_rank == INSTANTS || a_rank == CLOCKS;
    const bool b_time = b_rank == INSTANTS || b_rank == CLOCKS;
    if (a_time && b_rank == TEXTS) return relate_text(a, b->as.text, order);
    if (a_time && b_rank == NUMBERS) {
        *order = compare_with_ms(a, b);
        return true;
    }
    if (!b_time || (a_rank != TEXTS && a_rank != NUMBERS) || !relate_plain(b, a, order)) {
        return false;
    }
    *order = -*order;
    return true;
}

bool pq_value_relate(const struct pq_value *a, const struct pq_value *b, int *order) {
    struct pq_value a_room, b_room;
    return relate_plain(plain_of(a, &a_room), plain_of(b, &b_room), order);
}

bool pq_value_match(const struct pq_value *a, const struct pq_value *b) {
    struct pq_value a_room, b_room;
    int order;
    const struct pq_value *x = plain_of(a, &a_room), *y = plain_of(b, &b_room);
    if (x->kind == PQ_NULL || y->kind == PQ_NULL) return x->kind == y->kind;
    return relate_plain(x, y, &order) && order == 0;
}

int pq_column_compare(const struct pq_column *a, size_t a_row, const struct pq_column *b,
                      size_t b_row) {
    const bool a_null = pq_column_is_null(a, a_row), b_null = pq_column_is_null(b, b_row);
    if (a_null || b_null) return order_of(b_null && !a_null, a_null && !b_null);
    if (a->type->kind == b->type->kind) {
        switch (a->type->kind) {
            case PQ_INT64:
            case PQ_TIMESTAMP:
            case PQ_TIME: {
                const int64_t x = ((const int64_t *)a->values)[a_row];
                const int64_t y = ((const int64_t *)b->values)[b_row];
                return order_of(x < y, x > y);
            }
            case PQ_DATE: {
                const int32_t x = ((const int32_t *)a->values)[a_row];
                const int32_t y = ((const int32_t *)b->values)[b_row];
                return order_of(x < y, x > y);
            }
            case PQ_TEXT:
            case PQ_BINARY:
                return pq_text_compare(pq_column_text(a, a_row), pq_column_text(b, b_row));
            default: break;
        }
    }
    const struct pq_value x = pq_column_value(a, a_row), y = pq_column_value(b, b_row);
    return pq_value_compare(&x, &y);
}
