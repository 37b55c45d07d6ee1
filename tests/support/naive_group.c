/// Groups: keys, date buckets, and every aggregate as a function of the rows in creation order.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/naive_view.h"

static bool is(const char *name, const char *other) { return strcmp(name, other) == 0; }

int naive_by_id(const void *left, const void *right) {
    const struct naive_row *a = left, *b = right;
    return strcmp(a->id, b->id);
}

int naive_by_creation(const void *left, const void *right) {
    const struct naive_row *a = left, *b = right;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    for (int i = 0; i < NAIVE_DEPTH; i++) {
        if (a->order[i] != b->order[i]) return a->order[i] < b->order[i] ? -1 : 1;
    }
    return 0;
}

// ---- date buckets: the C library's own calendar and zones ---------------------------------------

static const char *const buckets[] = {"minute", "hour", "date", "day", "week",
                                      "month", "quarter", "year"};
enum { bucket_count = sizeof buckets / sizeof *buckets };

static bool is_bucket(const char *name) {
    for (int i = 0; i < bucket_count; i++) {
        if (is(name, buckets[i])) return true;
    }
    return false;
}

static void use_zone(const char *zone) {
    static char now[64];
    if (is(now, zone)) return;
    snprintf(now, sizeof now, "%s", zone);
    setenv("TZ", zone, 1);
    tzset();
}

static naive_i128 days_of(int year, int month, int day) {
    struct tm first = {.tm_year = year, .tm_mon = month, .tm_mday = day};
    const time_t seconds = timegm(&first);
    return seconds / 86400 - (seconds % 86400 < 0);
}

static struct naive bucket_of(const char *name, const char *zone, const struct naive *value) {
    const bool is_date = value->kind == NAIVE_DATE;
    if (!is_date && value->kind != NAIVE_TIME) return (struct naive){0};
    naive_i128 seconds = is_date ? value->number * 86400 : value->number / 1000000;
    if (!is_date && value->number % 1000000 < 0) seconds--;
    const time_t at = (time_t)seconds;
    struct tm local;
    use_zone(is_date ? "UTC" : zone);
    localtime_r(&at, &local);
    if (is(name, "minute") || is(name, "hour")) {
        const naive_i128 start = at - local.tm_sec - (is(name, "hour") ? local.tm_min * 60 : 0);
        return (struct naive){.kind = NAIVE_TIME, .number = start * 1000000};
    }
    naive_i128 days = days_of(local.tm_year, local.tm_mon, local.tm_mday);
    if (is(name, "week")) days -= (local.tm_wday + 6) % 7;
    if (is(name, "month")) days = days_of(local.tm_year, local.tm_mon, 1);
    if (is(name, "quarter")) days = days_of(local.tm_year, local.tm_mon / 3 * 3, 1);
    if (is(name, "year")) days = days_of(local.tm_year, 0, 1);
    return (struct naive){.kind = NAIVE_DATE, .number = days};
}

// ---- keys -------------------------------------------------------------------------------------

enum { keys_max = 8 };

struct group_key {
    const char *name;
    const struct pq_json *expr;  // or a text that is a path without '$'
    const char *path;
    const char *bucket, *zone;
};

static const char *zone_of(const struct pq_json *object) {
    const struct pq_json *zone = object == NULL ? NULL : pq_json_find(object, "timezone");
    return zone == NULL ? NULL : naive_text("%s", pq_json_text(zone).data);
}

static struct group_key read_key(const struct pq_json *item, const struct pq_json *view) {
    struct group_key key = {0};
    if (pq_json_kind(item) == PQ_JSON_TEXT) {
        key.path = naive_text("%s", pq_json_text(item).data);
        char *name = (char *)(uintptr_t)naive_text("%s", key.path);
        for (char *at = name; *at != '\0'; at++) *at = *at == '.' ? '_' : *at;
        key.name = name;
        return key;
    }
    key.name = naive_text("%s", pq_json_text(pq_json_first(item)).data);
    key.expr = pq_json_next(pq_json_first(item));
    key.zone = zone_of(pq_json_find(view, "$refresh"));
    if (is_bucket(key.name)) key.bucket = key.name;
    if (pq_json_kind(key.expr) == PQ_JSON_OBJECT) {
        const char *first = pq_json_text(pq_json_first(key.expr)).data;
        if (zone_of(key.expr) != NULL) key.zone = zone_of(key.expr);
        if (is_bucket(first)) {
            key.bucket = naive_text("%s", first);
            key.expr = pq_json_next(pq_json_first(key.expr));
        }
    }
    if (key.zone == NULL) key.zone = "UTC";
    return key;
}

static struct naive key_value(const struct naive_scope *scope, const struct group_key *key) {
    if (key->path != NULL) return naive_path(scope, key->path);
    const struct naive value = naive_expr(scope, key->expr);
    return key->bucket == NULL ? value : bucket_of(key->bucket, key->zone, &value);
}

static struct naive_type *key_type(const struct naive_db *db, const struct naive_table *table,
                                   const struct group_key *key) {
    if (key->path != NULL) return naive_path_type(db, table, key->path);
    if (key->bucket == NULL) return naive_expr_type(db, table, key->expr);
    const bool is_time = is(key->bucket, "hour") || is(key->bucket, "minute");
    return naive_type_plain(is_time ? NAIVE_TIME : NAIVE_DATE);
}

// ---- aggregates over the values of a group ------------------------------------------------------

struct values {
    struct naive *items;
    int count;
};

static int by_value(const void *a, const void *b) { return naive_compare(a, b); }

static double real_of(const struct naive *value) {
    if (value->kind == NAIVE_REAL) return value->real;
    const struct naive_big big = naive_big_of(value->number);
    return naive_big_round(&big, 0, value->kind == NAIVE_DECIMAL ? value->scale : 0);
}

/// Whole numbers on one grid: value = big * 2^exponent / 10^scale.
struct grid {
    int exponent, scale;
};

static struct grid grid_of(const struct naive_type *type) {
    if (type->kind == NAIVE_INT) return (struct grid){0, 0};
    if (type->kind == NAIVE_DECIMAL) return (struct grid){0, type->scale};
    return (struct grid){-1074, 0};
}

static struct naive_big on_grid(const struct naive *value, struct grid grid) {
    return grid.exponent == 0 ? naive_big_of(value->number) : naive_big_of_real(real_of(value));
}

static struct naive_big sum_of(const struct values *values, struct grid grid) {
    struct naive_big sum = naive_big_of(0);
    for (int i = 0; i < values->count; i++) {
        const struct naive_big value = on_grid(&values->items[i], grid);
        sum = naive_big_add(&sum, &value);
    }
    return sum;
}

static struct naive sum(const struct values *values, const struct naive_type *type) {
    const struct grid grid = grid_of(type);
    const struct naive_big total = sum_of(values, grid);
    if (grid.exponent != 0) return naive_real(naive_big_round(&total, grid.exponent, 0));
    struct naive made = {.kind = type->kind, .scale = type->scale};
    if (!naive_big_fits(&total, &made.number)) abort();
    return made;
}

static struct naive avg(const struct values *values, const struct naive_type *type) {
    const struct grid grid = grid_of(type);
    const struct naive_big total = sum_of(values, grid);
    return naive_real(naive_big_round(&total, grid.exponent, grid.scale) / values->count);
}

/// (n * sum of squares - square of sum) / (n * n), or n * (n - 1) of a sample; or its root.
static struct naive variance(const struct values *values, const struct naive_type *type,
                             bool is_sample, bool is_root) {
    const struct grid grid = grid_of(type);
    const struct naive_big total = sum_of(values, grid), n = naive_big_of(values->count);
    struct naive_big squares = naive_big_of(0);
    if (is_sample && values->count == 1) return (struct naive){0};
    for (int i = 0; i < values->count; i++) {
        const struct naive_big value = on_grid(&values->items[i], grid);
        const struct naive_big square = naive_big_multiply(&value, &value);
        squares = naive_big_add(&squares, &square);
    }
    squares = naive_big_multiply(&squares, &n);
    const struct naive_big squared = naive_big_multiply(&total, &total);
    const struct naive_big above = naive_big_subtract(&squares, &squared);
    const uint64_t below = (uint64_t)values->count * (uint64_t)(values->count - is_sample);
    return naive_real(naive_big_quotient(
        &above, (struct naive_ratio){2 * grid.exponent, 2 * grid.scale, below, is_root}));
}

/// Linear between the ranks p * (n - 1).
static struct naive percentile(struct values *values, double p) {
    qsort(values->items, (size_t)values->count, sizeof *values->items, by_value);
    const double rank = p * (values->count - 1);
    const int below = (int)rank, above = below + 1 < values->count ? below + 1 : below;
    const double low = real_of(&values->items[below]), high = real_of(&values->items[above]);
    return naive_real(low + (high - low) * (rank - below));
}

struct distinct {
    struct naive value;
    const char *printed;
    int count;
};

/// The distinct values and how often each is there, the most frequent first, then the smallest.
static int by_frequency(const void *left, const void *right) {
    const struct distinct *a = left, *b = right;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    return naive_compare(&a->value, &b->value);
}

static int distinct_of(const struct values *values, struct distinct *out) {
    int count = 0;
    for (int i = 0; i < values->count; i++) {
        const char *printed = naive_printed(&values->items[i]);
        int at = 0;
        while (at < count && !is(out[at].printed, printed)) at++;
        if (at == count) out[count++] = (struct distinct){values->items[i], printed, 0};
        out[at].count++;
    }
    qsort(out, (size_t)count, sizeof *out, by_frequency);
    return count;
}

static struct naive top(const struct distinct *distinct, int count) {
    struct naive list = naive_list(count);
    for (int i = 0; i < count; i++) {
        list.items[i] = naive_list(2);
        list.items[i].kind = NAIVE_OBJECT;
        list.items[i].items[0] = distinct[i].value;
        list.items[i].items[0].key = "value";
        list.items[i].items[1] = naive_int(distinct[i].count);
        list.items[i].items[1].key = "count";
    }
    return list;
}

static struct naive by_values(const char *op, struct values *values, const struct pq_json *extra) {
    struct distinct *distinct = naive_alloc(((size_t)values->count + 1) * sizeof *distinct);
    const int count = distinct_of(values, distinct);
    if (is(op, "$countDistinct")) return naive_int(count);
    if (values->count == 0) return (struct naive){0};
    if (is(op, "$mode")) return distinct[0].value;
    const int k = (int)naive_literal(extra).number;
    return top(distinct, k < count ? k : count);
}

static struct naive ends(const char *op, struct values *values) {
    if (values->count == 0) return (struct naive){0};
    if (is(op, "$collect")) {
        return (struct naive){.kind = NAIVE_LIST, .items = values->items, .count = values->count};
    }
    struct naive best = values->items[0];
    for (int i = 1; i < values->count; i++) {
        const int order = naive_compare(&values->items[i], &best);
        if (is(op, "$min") ? order < 0 : order > 0) best = values->items[i];
    }
    return best;
}

static struct naive numeric(const char *op, struct values *values, const struct naive_type *type,
                            const struct pq_json *extra) {
    if (is(op, "$sum")) return sum(values, type);
    if (values->count == 0) return (struct naive){0};
    if (is(op, "$avg")) return avg(values, type);
    if (is(op, "$variance")) return variance(values, type, false, false);
    if (is(op, "$varianceSamp")) return variance(values, type, true, false);
    if (is(op, "$stddev")) return variance(values, type, false, true);
    if (is(op, "$stddevSamp")) return variance(values, type, true, true);
    double p = 0.5;
    const struct naive rank = extra == NULL ? (struct naive){0} : naive_literal(extra);
    if (extra != NULL) p = real_of(&rank);
    return percentile(values, p);
}

static bool is_numeric(const char *op) {
    static const char *const names[] = {"$sum", "$avg", "$variance", "$varianceSamp", "$stddev",
                                        "$stddevSamp", "$percentile", "$median"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (is(op, names[i])) return true;
    }
    return false;
}

/// A path without '$', or an expression.
static struct naive argument_of(const struct naive_scope *scope, const struct pq_json *argument) {
    struct naive value = pq_json_kind(argument) == PQ_JSON_TEXT
                             ? naive_path(scope, pq_json_text(argument).data)
                             : naive_expr(scope, argument);
    value.key = NULL;
    return value;
}

/// What is computed of links is plain text.
static struct naive_type *argument_type(const struct naive_db *db, const struct naive_table *table,
                                        const struct pq_json *argument) {
    struct naive_type *type = pq_json_kind(argument) == PQ_JSON_TEXT
                                  ? naive_path_type(db, table, pq_json_text(argument).data)
                                  : naive_expr_type(db, table, argument);
    type->link = NULL;
    return type;
}

/// `[path, p]` of $percentile and $topK; else `*extra` is NULL.
static const struct pq_json *split(const struct pq_json *aggregate, const struct pq_json **extra) {
    const struct pq_json *argument = pq_json_next(pq_json_first(aggregate));
    *extra = NULL;
    if (pq_json_kind(argument) != PQ_JSON_LIST) return argument;
    *extra = pq_json_next(pq_json_first(argument));
    return pq_json_first(argument);
}

/// The first or last row's value, null or not; with `$by` that of the smallest or largest.
static struct naive first_or_last(const struct naive_scope *all, const struct naive_row *rows,
                                  int count, const struct pq_json *aggregate) {
    const struct pq_json *by = pq_json_find(aggregate, "$by");
    const bool is_last = is(pq_json_text(pq_json_first(aggregate)).data, "$last");
    struct naive best = {0};
    int at = -1;
    for (int i = 0; i < count; i++) {
        const struct naive_scope scope = {all->db, all->table, &rows[i]};
        const struct naive order = by == NULL ? naive_int(i) : argument_of(&scope, by);
        if (order.kind == NAIVE_NULL) continue;
        const int than = at < 0 ? 0 : naive_compare(&order, &best);
        if (at >= 0 && (is_last ? than < 0 : than >= 0)) continue;
        best = order;
        at = i;
    }
    if (at < 0) return (struct naive){0};
    const struct naive_scope scope = {all->db, all->table, &rows[at]};
    return argument_of(&scope, pq_json_next(pq_json_first(aggregate)));
}

struct naive naive_aggregate(const struct naive_db *db, const struct naive_table *table,
                             const struct naive_row *rows, int count,
                             const struct pq_json *aggregate) {
    const char *op = pq_json_text(pq_json_first(aggregate)).data;
    const struct pq_json *extra, *argument = split(aggregate, &extra);
    const struct naive_scope all = {db, table, NULL};
    const bool counts_all = is(op, "$count") && pq_json_kind(argument) == PQ_JSON_TEXT &&
                            is(pq_json_text(argument).data, "*");
    if (counts_all) return naive_int(count);
    if (is(op, "$first") || is(op, "$last")) return first_or_last(&all, rows, count, aggregate);
    struct values values = {naive_alloc(((size_t)count + 1) * sizeof(struct naive)), 0};
    for (int i = 0; i < count; i++) {
        const struct naive_scope scope = {db, table, &rows[i]};
        const struct naive value = argument_of(&scope, argument);
        if (value.kind == NAIVE_NULL || (is_numeric(op) && !naive_is_number(&value))) continue;
        values.items[values.count++] = value;
    }
    if (is(op, "$count")) return naive_int(values.count);
    if (is_numeric(op)) return numeric(op, &values, argument_type(db, table, argument), extra);
    if (is(op, "$min") || is(op, "$max") || is(op, "$collect")) return ends(op, &values);
    return by_values(op, &values, extra);
}

struct naive_type *naive_aggregate_type(const struct naive_db *db, const struct naive_table *table,
                                        const struct pq_json *aggregate) {
    const char *op = pq_json_text(pq_json_first(aggregate)).data;
    const struct pq_json *extra, *argument = split(aggregate, &extra);
    if (is(op, "$count") || is(op, "$countDistinct")) return naive_type_plain(NAIVE_INT);
    struct naive_type *type = argument_type(db, table, argument);
    if (is(op, "$sum") && (type->kind == NAIVE_INT || type->kind == NAIVE_DECIMAL)) return type;
    if (is_numeric(op)) return naive_type_plain(NAIVE_REAL);
    if (!is(op, "$collect") && !is(op, "$topK")) return type;
    struct naive_type *list = naive_type_plain(NAIVE_LIST);
    list->element = type;
    if (is(op, "$collect")) return list;
    list->element = naive_type_plain(NAIVE_OBJECT);
    list->element->members = naive_alloc(2 * sizeof *type->members);
    list->element->members[0] = (struct naive_column){"value", type};
    list->element->members[1] = (struct naive_column){"count", naive_type_plain(NAIVE_INT)};
    list->element->member_count = 2;
    return list;
}

// ---- groups -----------------------------------------------------------------------------------

struct group {
    const char *id;
    struct naive keys[keys_max];
    struct naive_row *rows;
    int count;
};

static const char *id_of(const struct naive *keys, int count) {
    struct naive list = naive_list(count);
    for (int k = 0; k < count; k++) list.items[k] = keys[k];
    return naive_printed(&list);
}

/// The group of these keys, made when it is new.
static struct group *group_of(struct group *groups, int *count, const struct naive *keys,
                              int key_count, int rows_max) {
    const char *id = id_of(keys, key_count);
    int at = 0;
    while (at < *count && !is(groups[at].id, id)) at++;
    if (at < *count) return &groups[at];
    groups[at].id = id;
    memcpy(groups[at].keys, keys, sizeof groups[at].keys);
    groups[at].rows = naive_alloc(((size_t)rows_max + 1) * sizeof *groups[at].rows);
    (*count)++;
    return &groups[at];
}

static int read_keys(const struct pq_json *view, struct group_key *keys) {
    const struct pq_json *list = pq_json_find(view, "$groupBy");
    if (list == NULL) return 0;
    const int count = (int)pq_json_count(list);
    const struct pq_json *item = pq_json_first(list);
    for (int k = 0; k < count; k++, item = pq_json_next(item)) keys[k] = read_key(item, view);
    return count;
}

static void group_columns(const struct naive_db *db, const struct naive_table *from,
                          const struct pq_json *view, struct naive_table *out) {
    struct group_key keys[keys_max];
    const int key_count = read_keys(view, keys);
    for (int k = 0; k < key_count; k++) {
        out->columns[out->column_count++] =
            (struct naive_column){keys[k].name, key_type(db, from, &keys[k])};
    }
    const struct pq_json *compute = pq_json_find(view, "$compute");
    const struct pq_json *key = compute == NULL ? NULL : pq_json_first(compute);
    for (size_t i = compute == NULL ? 0 : pq_json_count(compute); i > 0; i--) {
        out->columns[out->column_count++] =
            (struct naive_column){naive_text("%s", pq_json_text(key).data),
                                  naive_aggregate_type(db, from, pq_json_next(key))};
        key = pq_json_next(pq_json_next(key));
    }
}

static void finish(const struct naive_db *db, const struct naive_table *from,
                   const struct pq_json *view, const struct group *group, struct naive_row *out) {
    const struct pq_json *compute = pq_json_find(view, "$compute");
    const struct pq_json *list = pq_json_find(view, "$groupBy");
    int at = list == NULL ? 0 : (int)pq_json_count(list);
    *out = (struct naive_row){.id = group->id};
    out->cells = naive_alloc(NAIVE_COLUMNS * sizeof *out->cells);
    for (int k = 0; k < at; k++) out->cells[k] = group->keys[k];
    if (compute == NULL) return;
    const struct pq_json *key = pq_json_first(compute);
    for (size_t i = pq_json_count(compute); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
        out->cells[at++] =
            naive_aggregate(db, from, group->rows, group->count, pq_json_next(key));
    }
}

void naive_group(const struct naive_db *db, struct naive_table *table,
                 const struct pq_json *view) {
    struct naive_table out = {.name = table->name, .view = table->view, .from = table->from,
                              .by_id = true};
    struct group_key keys[keys_max];
    const int key_count = read_keys(view, keys);
    struct group *groups = naive_alloc(((size_t)table->row_count + 1) * sizeof *groups);
    int count = 0;
    qsort(table->rows, (size_t)table->row_count, sizeof *table->rows,
          table->by_id ? naive_by_id : naive_by_creation);
    struct naive values[keys_max] = {0};
    if (key_count == 0) group_of(groups, &count, values, 0, table->row_count);
    for (int i = 0; i < table->row_count; i++) {
        const struct naive_scope scope = {db, table, &table->rows[i]};
        for (int k = 0; k < key_count; k++) values[k] = key_value(&scope, &keys[k]);
        struct group *group = group_of(groups, &count, values, key_count, table->row_count);
        group->rows[group->count++] = table->rows[i];
    }
    group_columns(db, table, view, &out);
    out.rows = naive_alloc(((size_t)count + 1) * sizeof *out.rows);
    const struct pq_json *having = pq_json_find(view, "$having");
    for (int i = 0; i < count; i++) {
        struct naive_row *row = &out.rows[out.row_count];
        finish(db, table, view, &groups[i], row);
        const struct naive_scope scope = {db, &out, row};
        out.row_count += having == NULL || naive_matches(&scope, having);
    }
    *table = out;
}
