/// Views computed the naive way: row by row over plain values, with an arithmetic of its own. No
/// code is shared with src/expr or src/flow, so that both can only agree by being right.
///
/// Values are small on purpose: numbers are multiples of a hundredth and fit a double, so that
/// every sum here is exact.
#ifndef PQ_TEST_NAIVE_VIEW_H
#define PQ_TEST_NAIVE_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/json.h"

enum naive_kind {
    NAIVE_NULL, NAIVE_BOOL, NAIVE_INT, NAIVE_DECIMAL, NAIVE_REAL, NAIVE_MEAN, NAIVE_TEXT,
    NAIVE_DATE, NAIVE_TIME, NAIVE_LIST, NAIVE_OBJECT,
};

enum { NAIVE_COLUMNS = 40, NAIVE_PARTS = 4 };

struct naive {
    enum naive_kind kind;
    int64_t number;     // int; bool; decimal and real: hundredths; days; microseconds; mean: sum
    int64_t count;      // mean: of so many; hundredths unless is_int
    bool is_int;
    const char *text;   // also the key of an object's member
    const char *key;
    struct naive *items;
    int item_count;
};

/// What a column holds: `element` of a list, whose objects (and `OBJECT`) have members a (int) and
/// b (text).
struct naive_column {
    char name[24];
    enum naive_kind kind, element;
    bool is_extra;  // undeclared, or of no kind: cannot be used above a collection
};

struct naive_row {
    const char *id;
    int64_t seq;
    int index;
    struct naive *cells;
};

struct naive_table {
    struct naive_column columns[NAIVE_COLUMNS];
    int column_count;
    struct naive_row *rows;
    int row_count;
    bool by_id;       // rows of groups have no other order
    bool is_unnested;
    bool is_open;     // a collection
};

/// A column, or the member 'a' or 'b' of an object column.
struct naive_ref {
    int column;
    char member;  // 0: none
};

enum naive_test {
    NAIVE_EQ, NAIVE_NE, NAIVE_LT, NAIVE_LTE, NAIVE_GT, NAIVE_GTE, NAIVE_IN, NAIVE_NIN,
    NAIVE_EXISTS, NAIVE_AND, NAIVE_OR, NAIVE_NOR,
};

struct naive_filter {
    enum naive_test test;
    struct naive_ref ref;
    struct naive values[NAIVE_PARTS];
    int value_count;
    struct naive_filter *parts[NAIVE_PARTS];
    int part_count;
};

enum naive_bucket { NAIVE_NO_BUCKET, NAIVE_HOUR, NAIVE_DAY, NAIVE_WEEK, NAIVE_MONTH, NAIVE_YEAR };
enum naive_agg { NAIVE_COUNT_ALL, NAIVE_COUNT, NAIVE_SUM, NAIVE_AVG, NAIVE_MIN, NAIVE_MAX,
                 NAIVE_FIRST, NAIVE_LAST };
/// Plain, plus 3, 7 where missing, 1 or 0 as it is there.
enum naive_expr { NAIVE_PLAIN, NAIVE_PLUS, NAIVE_IF_NULL, NAIVE_COND };

struct naive_item {
    char name[24];
    struct naive_ref ref;
    int what;          // naive_expr, naive_bucket or naive_agg
    const char *zone;  // of a bucket
};

struct naive_view {
    int unnest;        // column, or -1
    bool keep_empty;
    char as[24], position[24];  // "" when not given
    struct naive_filter *filter;  // sees the unnested table; or NULL
    struct naive_item select[NAIVE_PARTS];
    int select_count;
    bool is_grouped;
    struct naive_item keys[NAIVE_PARTS], aggs[NAIVE_PARTS * 2];
    int key_count, agg_count;
    int having;        // aggs[0] is the count of all: at least so many; 0: none
    int list_sum;      // column of a list of objects whose a's are summed up as `list_sum`, or -1
};

/// Columns first: what the view's filter, items and later views can name.
void naive_unnest_columns(const struct naive_view *view, const struct naive_table *source,
                          struct naive_table *out);
void naive_view_columns(const struct naive_view *view, const struct naive_table *unnested,
                        struct naive_table *out);
/// The rows; `out` gets its columns as well.
void naive_view_eval(const struct naive_view *view, const struct naive_table *source,
                     struct pq_arena *arena, struct naive_table *out);

enum naive_kind naive_kind_of(const struct naive_table *table, struct naive_ref ref);
bool naive_matches(const struct naive_filter *filter, const struct naive_row *row);

/// The definition as JSON5: a filter, the directives of a view but `$from` and `$refresh`, a value.
void naive_print_filter(const struct naive_filter *filter, const struct naive_table *table,
                        struct pq_bytes *out);
void naive_print_view(const struct naive_view *view, const struct naive_table *source,
                      const struct naive_table *unnested, struct pq_bytes *out);
void naive_print(const struct naive *value, struct pq_bytes *out);

/// Is what the database printed this value?
bool naive_is(const struct naive *value, const struct pq_json *printed);

#endif
