/// The naive views' definitions and values as JSON, and the comparison with what was printed.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/naive_view.h"

static void print_time(int64_t us, char out[static 32]) {
    const int64_t ms = us / 1000;
    const time_t seconds = (ms >= 0 ? ms : ms - 999) / 1000;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    const size_t length = strftime(out, 24, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out + length, 32 - length, ".%03dZ", (int)(ms - seconds * 1000));
}

static void print_date(int64_t days, char out[static 32]) {
    const time_t seconds = days * 86400;
    struct tm utc;
    gmtime_r(&seconds, &utc);
    strftime(out, 32, "%Y-%m-%d", &utc);
}

static void print_hundredths(int64_t number, struct pq_bytes *out) {
    const int64_t size = number < 0 ? -number : number;
    pq_bytes_printf(out, NULL, "%s%" PRId64 ".%02" PRId64, number < 0 ? "-" : "", size / 100,
                    size % 100);
}

void naive_print(const struct naive *value, struct pq_bytes *out) {
    char text[32];
    switch (value->kind) {
    case NAIVE_NULL: pq_bytes_append_text(out, PQ_TEXT("null"), NULL); return;
    case NAIVE_BOOL: pq_bytes_printf(out, NULL, "%s", value->number ? "true" : "false"); return;
    case NAIVE_INT: pq_bytes_printf(out, NULL, "%" PRId64, value->number); return;
    case NAIVE_DECIMAL:
    case NAIVE_REAL: print_hundredths(value->number, out); return;
    case NAIVE_MEAN: abort();
    case NAIVE_TEXT: pq_json_write_text(out, pq_text_of(value->text), NULL); return;
    case NAIVE_DATE:
        print_date(value->number, text);
        pq_bytes_printf(out, NULL, "\"%s\"", text);
        return;
    case NAIVE_TIME:
        print_time(value->number, text);
        pq_bytes_printf(out, NULL, "\"%s\"", text);
        return;
    case NAIVE_LIST:
    case NAIVE_OBJECT: break;
    }
    const bool is_list = value->kind == NAIVE_LIST;
    pq_bytes_append_byte(out, is_list ? '[' : '{', NULL);
    for (int i = 0; i < value->item_count; i++) {
        if (i > 0) pq_bytes_append_byte(out, ',', NULL);
        if (!is_list) pq_bytes_printf(out, NULL, "\"%s\":", value->items[i].key);
        naive_print(&value->items[i], out);
    }
    pq_bytes_append_byte(out, is_list ? ']' : '}', NULL);
}

// ---- definitions ------------------------------------------------------------------------------

static void print_path(struct naive_ref ref, const struct naive_table *table,
                       struct pq_bytes *out) {
    pq_bytes_printf(out, NULL, "%s", table->columns[ref.column].name);
    if (ref.member != 0) pq_bytes_printf(out, NULL, ".%c", ref.member);
}

void naive_print_filter(const struct naive_filter *filter, const struct naive_table *table,
                        struct pq_bytes *out) {
    static const char *const names[] = {"$eq", "$ne", "$lt", "$lte", "$gt", "$gte",
                                        "$in", "$nin", "$exists", "$and", "$or", "$nor"};
    if (filter->test >= NAIVE_AND) {
        pq_bytes_printf(out, NULL, "{ %s: [", names[filter->test]);
        for (int i = 0; i < filter->part_count; i++) {
            if (i > 0) pq_bytes_append_byte(out, ',', NULL);
            naive_print_filter(filter->parts[i], table, out);
        }
        pq_bytes_append_text(out, PQ_TEXT("] }"), NULL);
        return;
    }
    const bool is_list = filter->test == NAIVE_IN || filter->test == NAIVE_NIN;
    pq_bytes_append_text(out, PQ_TEXT("{ '"), NULL);
    print_path(filter->ref, table, out);
    pq_bytes_printf(out, NULL, "': { %s: %s", names[filter->test], is_list ? "[" : "");
    for (int i = 0; i < filter->value_count; i++) {
        if (i > 0) pq_bytes_append_byte(out, ',', NULL);
        naive_print(&filter->values[i], out);
    }
    pq_bytes_printf(out, NULL, "%s } }", is_list ? "]" : "");
}

static void print_select(const struct naive_item *item, const struct naive_table *table,
                         struct pq_bytes *out) {
    static const char *const before[] = {"'$", "{ $add: ['$", "{ $ifNull: ['$", "{ $cond: ['$"};
    static const char *const after[] = {"'", "', 3] }", "', 'seven'] }", "', 1, 0] }"};
    pq_bytes_printf(out, NULL, " %s: %s", item->name, before[item->what]);
    print_path(item->ref, table, out);
    pq_bytes_printf(out, NULL, "%s,", after[item->what]);
}

static void print_key(const struct naive_item *key, const struct naive_table *table,
                      struct pq_bytes *out) {
    static const char *const names[] = {"", "hour", "day", "week", "month", "year"};
    pq_bytes_printf(out, NULL, key->what == NAIVE_NO_BUCKET ? "{ %s: '$" : "{ %s: { %s: '$",
                    key->name, names[key->what]);
    print_path(key->ref, table, out);
    if (key->what == NAIVE_NO_BUCKET) {
        pq_bytes_append_text(out, PQ_TEXT("' },"), NULL);
    } else {
        pq_bytes_printf(out, NULL, "', timezone: '%s' } },", key->zone);
    }
}

static void print_agg(const struct naive_item *agg, const struct naive_table *table,
                      struct pq_bytes *out) {
    static const char *const names[] = {"count", "count", "sum", "avg",
                                        "min", "max", "first", "last"};
    pq_bytes_printf(out, NULL, " %s: { $%s: '", agg->name, names[agg->what]);
    if (agg->what == NAIVE_COUNT_ALL) {
        pq_bytes_append_byte(out, '*', NULL);
    } else {
        print_path(agg->ref, table, out);
    }
    pq_bytes_append_text(out, PQ_TEXT("' },"), NULL);
}

void naive_print_view(const struct naive_view *view, const struct naive_table *source,
                      const struct naive_table *unnested, struct pq_bytes *out) {
    if (view->unnest >= 0) {
        pq_bytes_printf(out, NULL, " $unnest: { path: '%s'", source->columns[view->unnest].name);
        if (view->as[0] != '\0') pq_bytes_printf(out, NULL, ", as: '%s'", view->as);
        if (view->position[0] != '\0') pq_bytes_printf(out, NULL, ", index: '%s'", view->position);
        pq_bytes_printf(out, NULL, ", keepEmpty: %s },", view->keep_empty ? "true" : "false");
    }
    if (view->filter != NULL) {
        pq_bytes_append_text(out, PQ_TEXT(" $filter: "), NULL);
        naive_print_filter(view->filter, unnested, out);
        pq_bytes_append_byte(out, ',', NULL);
    }
    if (view->select_count > 0) {
        pq_bytes_append_text(out, PQ_TEXT(" $select: {"), NULL);
        for (int i = 0; i < view->select_count; i++) print_select(&view->select[i], unnested, out);
        pq_bytes_append_text(out, PQ_TEXT(" },"), NULL);
    }
    if (view->list_sum >= 0) {
        pq_bytes_printf(out, NULL, " $compute: { list_sum: { $sum: '%s.a' } },",
                        unnested->columns[view->list_sum].name);
    }
    if (!view->is_grouped) return;
    if (view->key_count > 0) {
        pq_bytes_append_text(out, PQ_TEXT(" $groupBy: ["), NULL);
        for (int i = 0; i < view->key_count; i++) print_key(&view->keys[i], unnested, out);
        pq_bytes_append_text(out, PQ_TEXT("],"), NULL);
    }
    pq_bytes_append_text(out, PQ_TEXT(" $compute: {"), NULL);
    for (int i = 0; i < view->agg_count; i++) print_agg(&view->aggs[i], unnested, out);
    pq_bytes_append_text(out, PQ_TEXT(" },"), NULL);
    if (view->having == 0) return;
    pq_bytes_printf(out, NULL, " $having: { %s: { $gte: %d } },", view->aggs[0].name,
                    view->having);
}

// ---- what was printed -------------------------------------------------------------------------

static bool is_real(const struct pq_json *printed, double expected, double tolerance) {
    double real;
    if (pq_json_kind(printed) == PQ_JSON_INT) {
        real = (double)pq_json_int(printed);
    } else if (pq_json_kind(printed) == PQ_JSON_REAL) {
        real = pq_json_real(printed);
    } else if (pq_json_kind(printed) != PQ_JSON_NUMBER ||
               !pq_json_number_real(printed, &real)) {
        return false;
    }
    return fabs(real - expected) <= tolerance * fabs(expected);
}

static bool is_nested(const struct naive *value, const struct pq_json *printed) {
    const bool is_list = value->kind == NAIVE_LIST;
    if (pq_json_kind(printed) != (is_list ? PQ_JSON_LIST : PQ_JSON_OBJECT)) return false;
    if (is_list) {
        if (pq_json_count(printed) != (size_t)value->item_count) return false;
        const struct pq_json *item = value->item_count == 0 ? NULL : pq_json_first(printed);
        for (int i = 0; i < value->item_count; i++, item = pq_json_next(item)) {
            if (!naive_is(&value->items[i], item)) return false;
        }
        return true;
    }
    for (int i = 0; i < value->item_count; i++) {
        if (!naive_is(&value->items[i], pq_json_find(printed, value->items[i].key))) return false;
    }
    return pq_json_count(printed) <= (size_t)value->item_count ||
           pq_json_count(printed) <= 2;  // a declared member that is missing is printed as null
}

bool naive_is(const struct naive *value, const struct pq_json *printed) {
    char text[32];
    if (printed == NULL || pq_json_kind(printed) == PQ_JSON_NULL) return value->kind == NAIVE_NULL;
    switch (value->kind) {
    case NAIVE_NULL: return false;
    case NAIVE_BOOL:
        return pq_json_kind(printed) == PQ_JSON_BOOL &&
               pq_json_bool(printed) == (value->number != 0);
    case NAIVE_INT:
        return pq_json_kind(printed) == PQ_JSON_INT && pq_json_int(printed) == value->number;
    case NAIVE_DECIMAL:
    case NAIVE_REAL: return is_real(printed, (double)value->number / 100.0, 0);
    case NAIVE_MEAN:
        return is_real(printed,
                       (double)value->number / (value->is_int ? 1.0 : 100.0) /
                           (double)value->count, 1e-14);
    case NAIVE_TEXT:
        return pq_json_kind(printed) == PQ_JSON_TEXT &&
               strcmp(pq_json_text(printed).data, value->text) == 0;
    case NAIVE_DATE:
    case NAIVE_TIME:
        if (value->kind == NAIVE_DATE) print_date(value->number, text);
        if (value->kind == NAIVE_TIME) print_time(value->number, text);
        return pq_json_kind(printed) == PQ_JSON_TEXT &&
               strcmp(pq_json_text(printed).data, text) == 0;
    case NAIVE_LIST:
    case NAIVE_OBJECT: return is_nested(value, printed);
    }
    return false;
}
