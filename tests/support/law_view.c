/// Random view definitions over what a table has.
#include <stdlib.h>
#include <string.h>

#include "support/law_random.h"

static uint64_t roll(const struct law_scope *scope, uint64_t sides) {
    return law_roll(scope->dice, sides);
}

static const struct naive_type *element_of(const struct naive_type *type) {
    while (type->kind == NAIVE_LIST) type = type->element;
    return type;
}

// ---- $expand ----------------------------------------------------------------------------------

/// A path that ends with a relation, NULL when none was found. `lists` counts what it goes through.
static const char *relation(const struct law_scope *scope, const struct naive_table *table,
                            int hops, int *lists) {
    for (int attempt = 0; attempt < 20; attempt++) {
        const struct naive_column *column =
            &table->columns[roll(scope, (uint64_t)table->column_count)];
        const char *path = column->name;
        const struct naive_type *type = element_of(column->type);
        const int passed = column->type->kind == NAIVE_LIST;
        const bool is_nested = passed && column->type->element->kind == NAIVE_LIST;
        if (passed + *lists > 1 || is_nested) continue;
        if (type->kind == NAIVE_OBJECT && table->is_collection) {
            int at = 0;
            while (at < type->member_count && type->members[at].type->link == NULL) at++;
            if (at == type->member_count) continue;
            path = naive_text("%s.%s", path, type->members[at].name);
            type = type->members[at].type;
        }
        if (type->link == NULL) continue;
        *lists += passed;
        if (hops == 0 || roll(scope, 2) == 0) return path;
        const char *rest = relation(scope, naive_db_find(scope->db, type->link), hops - 1, lists);
        return rest == NULL ? path : naive_text("%s.%s", path, rest);
    }
    return NULL;
}

static void say_expand(const struct law_scope *scope, const struct naive_table *from,
                       struct pq_bytes *out) {
    const char *paths[3];
    const int wanted = 1 + (int)roll(scope, 2);
    int count = 0;
    for (int i = 0; i < wanted; i++) {
        int lists = 0;
        const char *path = relation(scope, from, 2, &lists);
        bool is_new = path != NULL;
        for (int k = 0; k < count; k++) is_new = is_new && strcmp(paths[k], path) != 0;
        if (is_new) paths[count++] = path;
    }
    if (count == 0) return;
    law_say(out, " $expand: [");
    for (int i = 0; i < count; i++) law_say(out, "%s'%s'", i > 0 ? ", " : "", paths[i]);
    law_say(out, "],");
    // Names of its own for the first, so that two expansions never clash.
    const int number = scope->db->table_count * 1000 + (int)roll(scope, 1000);
    law_say(out, " $flatten: { '%s': 'x%d'", paths[0], number);
    if (count > 1) law_say(out, ", '%s': 'y%d'", paths[1], number);
    law_say(out, " },");
}

// ---- $unnest ----------------------------------------------------------------------------------

static void say_unnest(const struct law_scope *scope, const struct naive_table *from,
                       struct pq_bytes *out) {
    const char *path = NULL;
    for (int k = 0; k < from->column_count; k++) {
        const struct naive_type *type = from->columns[k].type;
        if (type->kind != NAIVE_LIST || element_of(type)->via != NULL) continue;
        if (path == NULL || roll(scope, 2) == 0) path = from->columns[k].name;
    }
    if (path == NULL || strchr(path, '_') != NULL) return;
    if (roll(scope, 3) == 0) {
        law_say(out, " $unnest: '%s',", path);
        return;
    }
    law_say(out, " $unnest: { path: '%s'", path);
    if (roll(scope, 2) == 0) law_say(out, ", as: 'element%d'", (int)roll(scope, 1000));
    if (roll(scope, 2) == 0) law_say(out, ", index: 'at%d'", (int)roll(scope, 1000));
    law_say(out, ", keepEmpty: %s },", roll(scope, 2) == 0 ? "true" : "false");
}

// ---- $select ----------------------------------------------------------------------------------

static const char *path_in(const struct law_scope *scope, const struct naive_table *table) {
    return law_path(scope, table, scope->may_expand ? 2 : 0);
}

static const struct naive_type *type_in(const struct law_scope *scope,
                                        const struct naive_table *table, const char *path) {
    return naive_path_type(scope->db, table, path);
}

static void say_expr(const struct law_scope *scope, const struct naive_table *table,
                     const char *path, struct pq_bytes *out) {
    const struct naive_type *type = type_in(scope, table, path);
    const bool adds = type->kind == NAIVE_INT || type->kind == NAIVE_DECIMAL;
    const bool is_text = type->kind == NAIVE_TEXT;
    const uint64_t which = roll(scope, 8);
    if (which == 0) law_say(out, "{ $cond: ['$%s', 1, 0] }", path);
    else if (which == 1 && adds) law_say(out, "{ $add: ['$%s', 3] }", path);
    else if (which == 2 && adds) law_say(out, "{ $multiply: ['$%s', '$%s'] }", path, path);
    else if (which == 1 && is_text) law_say(out, "{ $strLen: '$%s' }", path);
    else if (which == 2 && is_text) law_say(out, "{ $concat: ['$%s', '-'] }", path);
    else if (which == 3 && is_text) law_say(out, "{ $ifNull: ['$%s', 'x'] }", path);
    else if (which == 3 && adds) law_say(out, "{ $cond: [{ $gt: ['$%s', 1] }, 5, 2] }", path);
    else law_say(out, "'$%s'", path);
}

static void say_select(const struct law_scope *scope, const struct naive_table *table,
                       struct pq_bytes *out) {
    const int count = 1 + (int)roll(scope, 6);
    law_say(out, " $select: {");
    for (int i = 0; i < count; i++) {
        // Now and then a whole column, whatever it holds, so that links and lists live on.
        const char *whole = table->columns[roll(scope, (uint64_t)table->column_count)].name;
        const char *path = path_in(scope, table);
        law_say(out, " s%d: ", i);
        if (roll(scope, 3) == 0 || path == NULL) law_say(out, "'$%s'", whole);
        else say_expr(scope, table, path, out);
        law_say(out, ",");
    }
    law_say(out, " },");
}

// ---- groups -----------------------------------------------------------------------------------

static void say_keys(const struct law_scope *scope, const struct naive_table *table,
                     struct pq_bytes *out) {
    static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York",
                                        "Asia/Kathmandu"};
    static const char *const buckets[] = {"day", "week", "month", "quarter", "year",
                                          "hour", "minute"};
    const int count = (int)roll(scope, 3);
    if (count == 0) return;
    law_say(out, " $groupBy: [");
    for (int i = 0; i < count; i++) {
        const char *path = path_in(scope, table);
        if (path == NULL) path = "$id";
        const enum naive_kind kind = type_in(scope, table, path)->kind;
        const bool is_time = kind == NAIVE_TIME, is_date = kind == NAIVE_DATE;
        if ((is_time || is_date) && roll(scope, 4) != 0) {
            law_say(out, "%s{ k%d: { %s: '$%s', timezone: '%s' } }", i > 0 ? ", " : "", i,
                    buckets[roll(scope, is_date ? 5 : 7)], path, zones[roll(scope, 4)]);
        } else if (path[0] == '$') {
            law_say(out, "%s{ k%d: '$$id' }", i > 0 ? ", " : "", i);
        } else {
            law_say(out, "%s{ k%d: '$%s' }", i > 0 ? ", " : "", i, path);
        }
    }
    law_say(out, "],");
}

/// An argument as an aggregate takes it: mostly a path, else an expression.
static void say_argument(const struct law_scope *scope, const struct naive_table *table,
                         const char *path, struct pq_bytes *out) {
    const enum naive_kind kind = type_in(scope, table, path)->kind;
    const bool adds = kind == NAIVE_INT || kind == NAIVE_DECIMAL;
    if (roll(scope, 5) != 0) law_say(out, "'%s'", path);
    else if (adds) law_say(out, "{ $add: ['$%s', 1] }", path);
    else law_say(out, "{ $cond: [{ $exists: '$%s' }, 1, 0] }", path);
}

static const char *aggregate_for(const struct law_scope *scope, enum naive_kind kind) {
    static const char *const plain[] = {"$count", "$first", "$last", "$min", "$max"};
    static const char *const sums[] = {"$sum", "$avg"};
    static const char *const values[] = {"$countDistinct", "$mode", "$collect", "$topK"};
    static const char *const numbers[] = {"$stddev", "$stddevSamp", "$variance", "$varianceSamp",
                                          "$median", "$percentile"};
    const bool adds = kind == NAIVE_INT || kind == NAIVE_DECIMAL || kind == NAIVE_REAL;
    const uint64_t family = roll(scope, 5);
    if (family == 1 && adds) return sums[roll(scope, 2)];
    if (family >= 3 && adds) return numbers[roll(scope, scope->all_aggregates ? 6 : 4)];
    if (family >= 2 && scope->all_aggregates) return values[roll(scope, 4)];
    const char *name = plain[roll(scope, 5)];
    return name;
}

static void say_aggregate(const struct law_scope *scope, const struct naive_table *table,
                          const char *path, struct pq_bytes *out) {
    static const char *const ranks[] = {"0", "0.25", "0.5", "0.75", "1"};
    const char *name = aggregate_for(scope, type_in(scope, table, path)->kind);
    law_say(out, "{ %s: ", name);
    const bool is_percentile = strcmp(name, "$percentile") == 0;
    const bool is_top = strcmp(name, "$topK") == 0;
    if (is_percentile || is_top) law_say(out, "[");
    say_argument(scope, table, path, out);
    if (is_percentile) law_say(out, ", %s]", ranks[roll(scope, 5)]);
    if (is_top) law_say(out, ", %d]", 1 + (int)roll(scope, 3));
    const char *by = path_in(scope, table);
    const bool is_end = strcmp(name, "$first") == 0 || strcmp(name, "$last") == 0;
    if (scope->all_aggregates && is_end && by != NULL && roll(scope, 2) == 0) {
        law_say(out, ", $by: '%s'", by);
    }
    law_say(out, " }");
}

static void say_group(const struct law_scope *scope, const struct naive_table *table,
                      struct pq_bytes *out) {
    const size_t before = out->length;
    say_keys(scope, table, out);
    const bool has_keys = out->length > before;
    law_say(out, " $compute: { rows: { $count: '*' },");
    const int count = (int)roll(scope, 7);
    for (int i = 0; i < count; i++) {
        const char *path = path_in(scope, table);
        if (path == NULL) break;
        law_say(out, " c%d: ", i);
        say_aggregate(scope, table, path, out);
        law_say(out, ",");
    }
    law_say(out, " },");
    if (has_keys && roll(scope, 4) == 0) {
        law_say(out, " $having: { rows: { $gte: %d } },", 1 + (int)roll(scope, 4));
    }
}

// ---- computed per row ---------------------------------------------------------------------------

static void say_per_row(const struct law_scope *scope, const struct naive_table *table,
                        struct pq_bytes *out) {
    static const char *const by_a[] = {"$sum", "$avg", "$min", "$max"};
    int at = -1;
    for (int k = 0; k < table->column_count; k++) {
        const struct naive_type *type = table->columns[k].type;
        if (type->kind == NAIVE_LIST && element_of(type)->via == NULL) at = k;
    }
    if (at < 0) return;
    const char *name = table->columns[at].name;
    const struct naive_type *element = table->columns[at].type->element;
    law_say(out, " $compute: { n%d: { $count: '%s' },", (int)roll(scope, 1000), name);
    if (element->kind == NAIVE_OBJECT && element->member_count > 0 &&
        element->members[0].type->kind == NAIVE_INT) {
        law_say(out, " m%d: { %s: '%s.%s' },", (int)roll(scope, 1000), by_a[roll(scope, 4)], name,
                element->members[0].name);
    }
    law_say(out, " },");
}

// ---- a view -----------------------------------------------------------------------------------

void law_view(const struct law_scope *scope, const struct naive_table *from,
              struct pq_bytes *out) {
    struct pq_bytes start;
    pq_bytes_init(&start, &naive_memory()->alloc);
    const bool has_room = from->column_count + 40 < NAIVE_COLUMNS;
    if (scope->may_expand && has_room && roll(scope, 2) == 0) say_expand(scope, from, &start);
    if (roll(scope, 3) == 0) say_unnest(scope, from, &start);
    // What the rest can name: the columns after these.
    struct naive_table *table = naive_alloc(sizeof *table);
    table->name = "start";
    table->from = from->name;
    table->view = law_parse(naive_text("{ $from: '%s', %s }", from->name, law_text(&start)));
    naive_view_eval(scope->db, table);
    pq_bytes_append(out, start.data, start.length, NULL);
    if (roll(scope, 2) == 0) {
        law_say(out, " $filter: ");
        law_filter(scope, table, 2, out);
        law_say(out, ",");
    }
    const uint64_t shape = roll(scope, 6);
    if (table->column_count == 0) return;
    if (shape < 2) say_select(scope, table, out);
    if (shape == 2) say_per_row(scope, table, out);
    if (shape > 2 && shape < 5) say_group(scope, table, out);
}
