/// Paths, expressions and filters, on one row.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/naive.h"

static const struct naive missing;

static bool is(const char *name, const char *other) { return strcmp(name, other) == 0; }

// ---- paths ------------------------------------------------------------------------------------

static struct naive text_of(const char *text) {
    return (struct naive){.kind = NAIVE_TEXT, .text = text};
}

/// A field of a row, `length` bytes of name; its declared type, or a variant.
static struct naive field(const struct naive_table *table, const struct naive_row *row,
                          const char *name, size_t length, const struct naive_type **type) {
    static const struct naive_type any;
    *type = &any;
    const int at = naive_column_find(table, name, length);
    if (length == 3 && strncmp(name, "$id", 3) == 0) return text_of(row->id);
    if (length == 5 && strncmp(name, "$type", 5) == 0) return text_of(table->name);
    if (at >= 0) {
        *type = table->columns[at].type;
        return row->cells[at];
    }
    if (!table->is_collection) return missing;
    const struct naive *more = naive_member(&row->extra, naive_copy(name, length));
    return more == NULL ? missing : *more;
}

static struct naive element(const struct naive *list, const char *name, size_t length) {
    char *end;
    const long at = strtol(name, &end, 10);
    return end == name + length && at >= 0 && at < list->count ? list->items[at] : missing;
}

static const struct naive_type *member_type(const struct naive_type *type, const char *name) {
    static const struct naive_type any;
    for (int i = 0; i < type->member_count; i++) {
        if (is(type->members[i].name, name)) return type->members[i].type;
    }
    return &any;
}

struct naive naive_path(const struct naive_scope *scope, const char *path) {
    const struct naive_type *type;
    size_t length = strcspn(path, ".");
    struct naive value = field(scope->table, scope->row, path, length, &type);
    while (path[length] != '\0') {
        path += length + 1;
        length = strcspn(path, ".");
        if (value.kind == NAIVE_LIST) {
            value = element(&value, path, length);
            type = type->kind == NAIVE_LIST ? type->element : type;
        } else if (value.kind == NAIVE_OBJECT) {
            const char *name = naive_copy(path, length);
            const struct naive *member = naive_member(&value, name);
            value = member == NULL ? missing : *member;
            type = member_type(type, name);
        } else if (value.kind == NAIVE_TEXT && type->link != NULL && type->via == NULL) {
            const struct naive_table *table = naive_db_find(scope->db, type->link);
            const struct naive_row *row = naive_row_find(table, value.text);
            value = row == NULL ? missing : field(table, row, path, length, &type);
        } else {
            return missing;
        }
    }
    value.key = NULL;
    return value;
}

static struct naive_type *copy_type(const struct naive_type *type) {
    struct naive_type *copy = naive_alloc(sizeof *copy);
    *copy = *type;
    return copy;
}

struct naive_type *naive_path_type(const struct naive_db *db, const struct naive_table *table,
                                   const char *path) {
    size_t length = strcspn(path, ".");
    const int at = naive_column_find(table, path, length);
    if (at < 0) return naive_type_plain(path[0] == '$' ? NAIVE_TEXT : NAIVE_NULL);
    const struct naive_type *type = table->columns[at].type;
    while (path[length] != '\0') {
        path += length + 1;
        length = strcspn(path, ".");
        if (type->kind == NAIVE_LIST && path[0] >= '0' && path[0] <= '9') {
            type = type->element;
        } else if (type->kind == NAIVE_OBJECT) {
            type = member_type(type, naive_copy(path, length));
        } else if (type->link != NULL) {
            return naive_path_type(db, naive_db_find(db, type->link), path);
        } else {
            return naive_type_plain(NAIVE_NULL);
        }
    }
    return copy_type(type);
}

// ---- arithmetic -------------------------------------------------------------------------------

static double real_of(const struct naive *value) {
    if (value->kind == NAIVE_REAL) return value->real;
    const struct naive big_scale = *value;
    const struct naive_big big = naive_big_of(value->number);
    return naive_big_round(&big, 0, big_scale.kind == NAIVE_DECIMAL ? big_scale.scale : 0);
}

static naive_i128 at_scale(const struct naive *value, int scale) {
    naive_i128 number = value->number;
    for (int i = value->kind == NAIVE_DECIMAL ? value->scale : 0; i < scale; i++) number *= 10;
    return number;
}

static int scale_of(const struct naive *value) {
    return value->kind == NAIVE_DECIMAL ? value->scale : 0;
}

static struct naive calculate(const char *op, const struct naive *a, const struct naive *b) {
    if (!naive_is_number(a) || !naive_is_number(b)) return missing;
    const double x = real_of(a), y = real_of(b);
    if (is(op, "$divide")) return y == 0 ? missing : naive_real(x / y);
    if (a->kind == NAIVE_REAL || b->kind == NAIVE_REAL) {
        return naive_real(is(op, "$add") ? x + y : is(op, "$subtract") ? x - y : x * y);
    }
    const bool is_product = is(op, "$multiply");
    struct naive made = {.kind = NAIVE_DECIMAL, .scale = scale_of(a)};
    if (scale_of(b) > made.scale) made.scale = scale_of(b);
    if (is_product) made.scale = scale_of(a) + scale_of(b);
    const naive_i128 left = at_scale(a, is_product ? scale_of(a) : made.scale);
    const naive_i128 right = at_scale(b, is_product ? scale_of(b) : made.scale);
    made.number = is_product ? left * right : is(op, "$add") ? left + right : left - right;
    if (a->kind == NAIVE_DECIMAL || b->kind == NAIVE_DECIMAL) return made;
    if (made.number > INT64_MAX || made.number < INT64_MIN) return missing;
    made.kind = NAIVE_INT;
    return made;
}

/// False, null, 0 and '' are false.
static bool holds(const struct naive *value) {
    if (value->kind == NAIVE_NULL) return false;
    if (value->kind == NAIVE_TEXT) return value->text[0] != '\0';
    if (value->kind == NAIVE_REAL) return value->real != 0;
    const bool counts = value->kind <= NAIVE_DECIMAL;
    return !counts || value->number != 0;
}

static struct naive truth(bool value) {
    return (struct naive){.kind = NAIVE_BOOL, .number = value};
}

static bool ordered(const char *op, const struct naive *a, const struct naive *b) {
    if (!naive_comparable(a, b)) return false;
    const int order = naive_compare(a, b);
    if (is(op, "$gt")) return order > 0;
    if (is(op, "$gte")) return order >= 0;
    return is(op, "$lt") ? order < 0 : order <= 0;
}

static bool among(const struct naive *value, const struct naive *list) {
    for (int i = 0; i < list->count; i++) {
        if (naive_equal(value, &list->items[i])) return true;
    }
    return false;
}

static struct naive concat(const struct naive *parts, int count) {
    const char *text = "";
    for (int i = 0; i < count; i++) {
        if (parts[i].kind != NAIVE_TEXT) return missing;
        text = naive_text("%s%s", text, parts[i].text);
    }
    return text_of(text);
}

static struct naive code_points(const struct naive *value) {
    if (value->kind != NAIVE_TEXT) return missing;
    int64_t count = 0;
    for (const char *at = value->text; *at != '\0'; at++) {
        count += ((unsigned char)*at & 0xC0) != 0x80;
    }
    return naive_int(count);
}

// ---- expressions ------------------------------------------------------------------------------

enum { arguments_max = 8 };

static int arguments_of(const struct naive_scope *scope, const struct pq_json *json,
                        struct naive *out) {
    if (pq_json_kind(json) != PQ_JSON_LIST) {
        out[0] = naive_expr(scope, json);
        return 1;
    }
    const int count = (int)pq_json_count(json);
    const struct pq_json *at = count > 0 ? pq_json_first(json) : NULL;
    if (count > arguments_max) abort();
    for (int i = 0; i < count; i++, at = pq_json_next(at)) out[i] = naive_expr(scope, at);
    return count;
}

static struct naive apply(const char *op, const struct naive *a, int count) {
    struct naive made = a[0];
    if (is(op, "$cond")) return holds(&a[0]) ? a[1] : a[2];
    if (is(op, "$eq")) return truth(naive_equal(&a[0], &a[1]));
    if (is(op, "$ne")) return truth(!naive_equal(&a[0], &a[1]));
    if (is(op, "$not")) return truth(!holds(&a[0]));
    if (is(op, "$exists")) return truth(a[0].kind != NAIVE_NULL);
    if (is(op, "$concat")) return concat(a, count);
    if (is(op, "$strLen")) return code_points(&a[0]);
    if (is(op, "$size")) return a[0].kind == NAIVE_LIST ? naive_int(a[0].count) : missing;
    if (is(op, "$in")) return truth(a[1].kind == NAIVE_LIST && among(&a[0], &a[1]));
    if (is(op, "$gt") || is(op, "$gte") || is(op, "$lt") || is(op, "$lte")) {
        return truth(ordered(op, &a[0], &a[1]));
    }
    for (int i = 1; i < count; i++) {
        if (is(op, "$ifNull")) made = made.kind == NAIVE_NULL ? a[i] : made;
        else if (is(op, "$and")) made = truth(holds(&made) && holds(&a[i]));
        else if (is(op, "$or")) made = truth(holds(&made) || holds(&a[i]));
        else made = calculate(op, &made, &a[i]);
    }
    return made;
}

struct naive naive_expr(const struct naive_scope *scope, const struct pq_json *expr) {
    if (pq_json_kind(expr) == PQ_JSON_TEXT) {
        const char *text = pq_json_text(expr).data;
        if (text[0] == '$') return naive_path(scope, text + 1);
    }
    if (pq_json_kind(expr) != PQ_JSON_OBJECT) return naive_literal(expr);
    const struct pq_json *key = pq_json_first(expr), *argument = pq_json_next(key);
    struct naive arguments[arguments_max];
    if (is(pq_json_text(key).data, "$literal")) return naive_literal(argument);
    const int count = arguments_of(scope, argument, arguments);
    struct naive made = apply(pq_json_text(key).data, arguments, count);
    made.key = NULL;
    made.is_literal = false;
    return made;
}

static struct naive_type *number_type(const char *op, const struct naive_type *a,
                                      const struct naive_type *b) {
    const bool is_real = a->kind == NAIVE_REAL || b->kind == NAIVE_REAL || is(op, "$divide");
    const bool is_decimal = a->kind == NAIVE_DECIMAL || b->kind == NAIVE_DECIMAL;
    struct naive_type *type =
        naive_type_plain(is_real ? NAIVE_REAL : is_decimal ? NAIVE_DECIMAL : NAIVE_INT);
    type->scale = a->scale > b->scale ? a->scale : b->scale;
    if (is(op, "$multiply")) type->scale = a->scale + b->scale;
    return type;
}

static struct naive_type *literal_type(const struct pq_json *json) {
    const struct naive value = naive_literal(json);
    struct naive_type *type = naive_type_plain(value.kind);
    type->scale = value.scale;
    return type;
}

struct naive_type *naive_expr_type(const struct naive_db *db, const struct naive_table *table,
                                   const struct pq_json *expr) {
    if (pq_json_kind(expr) == PQ_JSON_TEXT && pq_json_text(expr).data[0] == '$') {
        return naive_path_type(db, table, pq_json_text(expr).data + 1);
    }
    if (pq_json_kind(expr) != PQ_JSON_OBJECT) return literal_type(expr);
    const char *op = pq_json_text(pq_json_first(expr)).data;
    const struct pq_json *argument = pq_json_next(pq_json_first(expr));
    if (is(op, "$literal")) return literal_type(argument);
    if (is(op, "$concat")) return naive_type_plain(NAIVE_TEXT);
    if (is(op, "$strLen") || is(op, "$size")) return naive_type_plain(NAIVE_INT);
    const bool is_list = pq_json_kind(argument) == PQ_JSON_LIST;
    const struct pq_json *first = is_list ? pq_json_first(argument) : argument;
    if (is(op, "$cond") || is(op, "$ifNull")) {
        struct naive_type *type =
            naive_expr_type(db, table, is(op, "$cond") ? pq_json_next(first) : first);
        type->link = NULL;
        return type;
    }
    if (is(op, "$add") || is(op, "$subtract") || is(op, "$multiply") || is(op, "$divide")) {
        struct naive_type *type = naive_expr_type(db, table, first);
        const struct pq_json *at = first;
        for (size_t i = pq_json_count(argument); i > 1; i--) {
            at = pq_json_next(at);
            type = number_type(op, type, naive_expr_type(db, table, at));
        }
        return type;
    }
    return naive_type_plain(NAIVE_BOOL);
}

// ---- filters ----------------------------------------------------------------------------------

/// A value of the field's own kind: a link may be written with its collection.
static struct naive literal(const struct naive_type *type, const struct pq_json *json) {
    struct naive value = naive_literal(json);
    if (type->link == NULL) return value;
    for (int i = 0; i < value.count; i++) value.items[i] = naive_convert(type, &value.items[i]);
    return value.kind == NAIVE_TEXT ? naive_convert(type, &value) : value;
}

static bool value_matches(const struct naive_type *type, const struct naive *value,
                          const struct pq_json *test);

static bool element_matches(const struct naive *value, const struct pq_json *test) {
    static const struct naive_type any;
    const struct naive_table none = {.name = "", .is_collection = true};
    for (int i = 0; value->kind == NAIVE_LIST && i < value->count; i++) {
        const struct naive_row row = {.extra = value->items[i]};
        const struct naive_scope scope = {.table = &none, .row = &row};
        const bool by_operator = pq_json_text(pq_json_first(test)).data[0] == '$';
        const bool matches = by_operator ? value_matches(&any, &value->items[i], test)
                                         : naive_matches(&scope, test);
        if (matches) return true;
    }
    return false;
}

static bool holds_all(const struct naive *value, const struct naive *wanted) {
    for (int i = 0; i < wanted->count; i++) {
        if (value->kind != NAIVE_LIST || !among(&wanted->items[i], value)) return false;
    }
    return wanted->count > 0;
}

static bool text_matches(const char *op, const struct naive *value, const struct naive *with) {
    if (value->kind != NAIVE_TEXT || with->kind != NAIVE_TEXT) return false;
    const size_t length = strlen(value->text), part = strlen(with->text);
    if (is(op, "$contains")) return strstr(value->text, with->text) != NULL;
    if (part > length) return false;
    const char *at = is(op, "$startsWith") ? value->text : value->text + length - part;
    return strncmp(at, with->text, part) == 0;
}

static bool operator_matches(const struct naive_type *type, const struct naive *value,
                             const char *op, const struct pq_json *argument) {
    if (is(op, "$not")) return !value_matches(type, value, argument);
    if (is(op, "$elemMatch")) return element_matches(value, argument);
    const struct naive with = literal(type, argument);
    if (is(op, "$eq")) return naive_equal(value, &with);
    if (is(op, "$ne")) return !naive_equal(value, &with);
    if (is(op, "$in")) return among(value, &with);
    if (is(op, "$nin")) return !among(value, &with);
    if (is(op, "$exists")) return (value->kind != NAIVE_NULL) == holds(&with);
    if (is(op, "$all")) return holds_all(value, &with);
    if (is(op, "$size")) return value->kind == NAIVE_LIST && value->count == (int)with.number;
    if (is(op, "$startsWith") || is(op, "$endsWith") || is(op, "$contains")) {
        return text_matches(op, value, &with);
    }
    return ordered(op, value, &with);
}

/// A test is a value, or operators that must all hold.
static bool value_matches(const struct naive_type *type, const struct naive *value,
                          const struct pq_json *test) {
    if (pq_json_kind(test) != PQ_JSON_OBJECT || pq_json_count(test) == 0 ||
        pq_json_text(pq_json_first(test)).data[0] != '$') {
        const struct naive with = literal(type, test);
        return naive_equal(value, &with);
    }
    const struct pq_json *key = pq_json_first(test);
    for (size_t i = pq_json_count(test); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
        if (!operator_matches(type, value, pq_json_text(key).data, pq_json_next(key))) return false;
    }
    return true;
}

static int count_matches(const struct naive_scope *scope, const struct pq_json *parts) {
    int count = 0;
    const struct pq_json *at = pq_json_count(parts) > 0 ? pq_json_first(parts) : NULL;
    for (size_t i = pq_json_count(parts); i > 0; i--, at = pq_json_next(at)) {
        count += naive_matches(scope, at);
    }
    return count;
}

bool naive_matches(const struct naive_scope *scope, const struct pq_json *filter) {
    const struct pq_json *key = pq_json_count(filter) > 0 ? pq_json_first(filter) : NULL;
    for (size_t i = pq_json_count(filter); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
        const char *name = pq_json_text(key).data;
        const struct pq_json *test = pq_json_next(key);
        bool matches;
        if (is(name, "$and")) {
            matches = count_matches(scope, test) == (int)pq_json_count(test);
        } else if (is(name, "$or")) {
            matches = count_matches(scope, test) > 0;
        } else if (is(name, "$nor")) {
            matches = count_matches(scope, test) == 0;
        } else if (is(name, "$expr")) {
            const struct naive value = naive_expr(scope, test);
            matches = holds(&value);
        } else {
            const struct naive value = naive_path(scope, name);
            const struct naive_type *type = naive_path_type(scope->db, scope->table, name);
            matches = value_matches(type, &value, test);
        }
        if (!matches) return false;
    }
    return true;
}
