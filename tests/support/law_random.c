/// Random data: collections, values, rows, operators, filters.
#include "support/law_random.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "support/test.h"

uint64_t law_roll(struct law_dice *dice, uint64_t sides) {
    return pq_hash_word(dice->seed * 1000003 + dice->throws++) % sides;
}

void law_say(struct pq_bytes *out, const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text) abort();
    pq_bytes_append(out, text, (size_t)length, NULL);
}

const char *law_text(struct pq_bytes *out) {
    return naive_copy((const char *)out->data, out->length);
}

const struct pq_json *law_parse(const char *text) {
    struct pq_json_document *document;
    pqdb_error err = {0};
    // The document lives as long as the evaluator's memory.
    const pqdb_code code = pq_json_parse(pq_text_of(text), PQ_JSON_5 | PQ_JSON_RAW_NUMBERS,
                                         &naive_memory()->alloc, &document, &err);
    CHECK(code == PQDB_OK, "%s: %s", err.message, text);
    if (code != PQDB_OK) abort();
    return pq_json_root(document);
}

// ---- collections ------------------------------------------------------------------------------

static const char *const names[] = {"Ant", "Bee", "Cow", "Dog", "Elk"};
enum { names_max = sizeof names / sizeof *names };

/// Where the fields one, many, parts.to and object.to of each collection lead.
struct link_plan {
    uint64_t to[names_max][4];
    int count;
};

static const char *name_of(const struct link_plan *plan, int collection) {
    return collection == plan->count - 1 ? "Feed" : names[collection];
}

static void say_links(struct law_dice *dice, const struct link_plan *plan, int at,
                      struct pq_bytes *out) {
    static const char *const fields[] = {"one", "many"};
    const uint64_t *to = plan->to[at];
    law_say(out, " one: '-> %s', many: '-> %s[]',", names[to[0]], names[to[1]]);
    law_say(out, " parts: [{ a: 'int', b: 'string', to: '-> %s' }],", names[to[2]]);
    law_say(out, " object: { a: 'int', b: 'string', to: '-> %s' },", names[to[3]]);
    for (int field = 0; field < 2; field++) {
        for (int from = 0; from < plan->count; from++) {
            if (plan->to[from][field] != (uint64_t)at || law_roll(dice, 2) == 0) continue;
            law_say(out, " by_%s: '<- %s.%s[]',", fields[field], name_of(plan, from),
                    fields[field]);
            break;
        }
    }
}

void law_collections(struct law_dice *dice, int count, const bool *retains,
                     struct pq_bytes *out) {
    static const char *const kinds[] = {"int", "double", "decimal(10,2)", "string", "boolean",
                                        "date", "timestamp", "string[]", "variant",
                                        "decimal(12,3)"};
    struct link_plan plan = {.count = count};
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < 4; k++) plan.to[i][k] = law_roll(dice, (uint64_t)count - 1);
    }
    for (int i = 0; i < count; i++) {
        law_say(out, "  %s: {%s", name_of(&plan, i),
                i == count - 1 ? " $ingest: 'custom:feed'," : "");
        for (int k = 0; k < 10; k++) {
            const uint64_t kind = k < 8 ? (uint64_t)k : law_roll(dice, 10);
            law_say(out, " f%d: '%s',", k, kinds[kind]);
        }
        say_links(dice, &plan, i, out);
        if (retains[i]) law_say(out, " $retention: { after: '1h', by: 'f6' },");
        law_say(out, " },\n");
    }
}

// ---- values -----------------------------------------------------------------------------------

static const char *const words[] = {"", "a", "b", "\xc3\xa4", "ab", "a\\\"b", "\xf0\x9f\x98\x80"};

static void real(struct law_dice *dice, struct pq_bytes *out) {
    static const char *const wild[] = {"0.1", "-0.1", "1e150", "-1e150", "1e-150", "3.3e-5",
                                       "1e16", "9007199254740993", "0.3"};
    if (law_roll(dice, 4) == 0) {
        law_say(out, "%s", wild[law_roll(dice, sizeof wild / sizeof *wild)]);
    } else {
        law_say(out, "%.2f", ((double)law_roll(dice, 60) - 20) * 0.25);
    }
}

/// Mostly a few numbers again and again, else so many that no window holds them all.
static void whole(struct law_dice *dice, struct pq_bytes *out) {
    const bool is_few = law_roll(dice, 3) != 0;
    law_say(out, "%d", is_few ? (int)law_roll(dice, 12) - 4 : (int)law_roll(dice, 400) - 150);
}

static void fixed(struct law_dice *dice, int scale, struct pq_bytes *out) {
    struct naive value = {.kind = NAIVE_DECIMAL, .scale = scale,
                          .number = (naive_i128)law_roll(dice, 2000) - 700};
    if (scale == 0) value.kind = NAIVE_INT;
    naive_print(&value, out);
}

static void instant(struct law_dice *dice, struct pq_bytes *out) {
    // Around the ends of summer time, to the millisecond.
    const int64_t from = law_roll(dice, 2) == 0 ? INT64_C(1761400000000) : INT64_C(1774700000000);
    const struct naive value = {.kind = NAIVE_TIME,
                                .number = (from + (int64_t)law_roll(dice, 200000000)) * 1000};
    naive_print(&value, out);
}

static void link_to(const struct law_scope *scope, const char *collection, bool may_dangle,
                    struct pq_bytes *out) {
    const struct naive_table *table = naive_db_find(scope->db, collection);
    const bool prefix = law_roll(scope->dice, 6) == 0;
    const char *id = may_dangle && law_roll(scope->dice, 3) == 0
                         ? naive_text("k%02d", (int)law_roll(scope->dice, 24)) : NULL;
    if (id == NULL && table->row_count > 0) {
        // A few are preferred, so that many rows link one.
        const uint64_t of = (uint64_t)table->row_count;
        const bool prefers = law_roll(scope->dice, 2) == 0 && of > 2;
        id = table->rows[law_roll(scope->dice, prefers ? 2 : of)].id;
    }
    if (id == NULL) law_say(out, "null");
    else law_say(out, "\"%s%s%s\"", prefix ? collection : "", prefix ? "/" : "", id);
}

static void object(const struct law_scope *scope, const struct naive_type *type, bool may_dangle,
                   struct pq_bytes *out) {
    law_say(out, "{");
    bool any = false;
    for (int i = 0; i < type->member_count; i++) {
        if (law_roll(scope->dice, 5) == 0) continue;
        law_say(out, "%s\"%s\":", any ? "," : "", type->members[i].name);
        law_value(scope, type->members[i].type, may_dangle, out);
        any = true;
    }
    law_say(out, "}");
}

static void variant(const struct law_scope *scope, struct pq_bytes *out) {
    static const struct naive_type kinds[] = {{.kind = NAIVE_BOOL}, {.kind = NAIVE_INT},
                                              {.kind = NAIVE_TEXT}, {.kind = NAIVE_REAL}};
    const uint64_t kind = law_roll(scope->dice, 5);
    if (kind < 4) {
        law_value(scope, &kinds[kind], false, out);
        return;
    }
    law_say(out, "{\"b\":");
    law_value(scope, &kinds[2], false, out);
    law_say(out, ",\"a\":");
    law_value(scope, &kinds[1], false, out);
    law_say(out, "}");
}

void law_value(const struct law_scope *scope, const struct naive_type *type, bool may_dangle,
               struct pq_bytes *out) {
    struct law_dice *dice = scope->dice;
    if (type->link != NULL) {
        link_to(scope, type->link, may_dangle, out);
        return;
    }
    struct naive day = {.kind = NAIVE_DATE};
    switch (type->kind) {
    case NAIVE_BOOL: law_say(out, "%s", law_roll(dice, 2) == 0 ? "true" : "false"); return;
    case NAIVE_INT: whole(dice, out); return;
    case NAIVE_DECIMAL: fixed(dice, type->scale, out); return;
    case NAIVE_REAL: real(dice, out); return;
    case NAIVE_TEXT: law_say(out, "\"%s\"", words[law_roll(dice, 7)]); return;
    case NAIVE_TIME: instant(dice, out); return;
    case NAIVE_DATE:
        day.number = 20500 + (int64_t)law_roll(dice, 40);
        naive_print(&day, out);
        return;
    case NAIVE_OBJECT: object(scope, type, may_dangle, out); return;
    case NAIVE_NULL: variant(scope, out); return;
    case NAIVE_LIST: break;
    }
    law_say(out, "[");
    const uint64_t count = law_roll(dice, 4);
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0) law_say(out, ",");
        if (law_roll(dice, 9) == 0 && type->element->link == NULL) law_say(out, "null");
        else law_value(scope, type->element, may_dangle, out);
    }
    law_say(out, "]");
}

void law_fields(const struct law_scope *scope, const struct naive_table *table,
                struct pq_bytes *out) {
    for (int k = 0; k < table->column_count; k++) {
        const struct naive_type *type = table->columns[k].type;
        if (naive_is_inverse(type)) continue;
        const uint64_t there = law_roll(scope->dice, 12);
        if (there == 0) law_say(out, ",\"%s\":null", table->columns[k].name);
        if (there < 2) continue;
        law_say(out, ",\"%s\":", table->columns[k].name);
        law_value(scope, type, table->is_stream, out);
    }
    if (law_roll(scope->dice, 4) != 0) return;
    law_say(out, ",\"more\":");
    variant(scope, out);
}

// ---- operators --------------------------------------------------------------------------------

static const char *operator_for(struct law_dice *dice, const struct naive_type *type) {
    static const char *const on_numbers[] = {"$set", "$inc", "$mul", "$min", "$max", "$unset"};
    static const char *const on_lists[] = {"$set", "$push", "$pull", "$addToSet", "$pop", "$unset"};
    static const char *const on_others[] = {"$set", "$min", "$max", "$unset", "$set", "$set"};
    const uint64_t which = law_roll(dice, 6);
    if (type->kind == NAIVE_INT) return on_numbers[which];
    if (type->kind == NAIVE_DECIMAL && which != 2) return on_numbers[which];
    if (type->kind == NAIVE_LIST && type->element->kind == NAIVE_TEXT) return on_lists[which];
    const bool is_plain = type->kind != NAIVE_NULL && type->kind != NAIVE_LIST &&
                          type->kind != NAIVE_OBJECT && type->kind != NAIVE_BOOL;
    return is_plain && type->link == NULL ? on_others[which] : which == 0 ? "$unset" : "$set";
}

/// One operator on one column (or on a member of an object).
static void operate(const struct law_scope *scope, const struct naive_table *table, int column,
                    struct pq_bytes *out) {
    const struct naive_type *type = table->columns[column].type;
    const char *path = table->columns[column].name;
    if (type->kind == NAIVE_OBJECT && law_roll(scope->dice, 2) == 0) {
        path = naive_text("%s.a", path);
        type = naive_type_plain(NAIVE_INT);
    }
    const char *op = operator_for(scope->dice, type);
    const char *to = type->kind == NAIVE_LIST ? type->element->link : type->link;
    if (to != NULL && naive_db_find(scope->db, to)->row_count == 0) op = "$unset";
    law_say(out, " %s: { '%s': ", op, path);
    if (strcmp(op, "$unset") == 0) {
        law_say(out, "true");
    } else if (strcmp(op, "$pop") == 0) {
        law_say(out, law_roll(scope->dice, 2) == 0 ? "1" : "-1");
    } else if (strcmp(op, "$mul") == 0) {
        law_say(out, "%d", (int)law_roll(scope->dice, 4) - 1);
    } else if (strcmp(op, "$push") == 0 || strcmp(op, "$pull") == 0 ||
               strcmp(op, "$addToSet") == 0) {
        law_value(scope, type->element, table->is_stream, out);
    } else {
        law_value(scope, type, table->is_stream, out);
    }
    law_say(out, " },");
}

static bool has(const struct pq_bytes *out, size_t from, const char *text) {
    return memmem(out->data + from, out->length - from, text, strlen(text)) != NULL;
}

void law_operators(const struct law_scope *scope, const struct naive_table *table,
                   struct pq_bytes *out) {
    const size_t begin = out->length;
    const int wanted = 1 + (int)law_roll(scope->dice, 3);
    bool used[NAIVE_COLUMNS] = {false};
    law_say(out, "{");
    for (int i = 0; i < wanted; i++) {
        const int at = (int)law_roll(scope->dice, (uint64_t)table->column_count);
        const size_t before = out->length;
        if (used[at] || naive_is_inverse(table->columns[at].type)) continue;
        used[at] = true;
        operate(scope, table, at, out);
        // The same operator twice would be a key twice.
        const char *said = naive_copy((const char *)out->data + before, out->length - before);
        const char *op = naive_copy(said, strcspn(said, "{"));
        const struct pq_bytes earlier = {.data = out->data, .length = before};
        if (has(&earlier, begin, op)) out->length = before;
    }
    if (law_roll(scope->dice, 6) == 0 && !has(out, begin, "$set:")) {
        law_say(out, " $set: { more: ");
        variant(scope, out);
        law_say(out, " },");
    }
    if (out->length == begin + 1) law_say(out, " $set: { f0: %d }", (int)law_roll(scope->dice, 9));
    law_say(out, " }");
}

// ---- filters ----------------------------------------------------------------------------------

static bool is_scalar(const struct naive_type *type) {
    return type->kind >= NAIVE_BOOL && type->kind <= NAIVE_TEXT;
}

const char *law_path(const struct law_scope *scope, const struct naive_table *table, int hops) {
    // Links are few among columns: now and then only they will do, if there are any.
    const bool follows = hops > 0 && law_roll(scope->dice, 4) == 0;
    for (int attempt = 0; attempt < 40; attempt++) {
        const int at = (int)law_roll(scope->dice, (uint64_t)table->column_count);
        const char *path = table->columns[at].name;
        const struct naive_type *type = table->columns[at].type;
        if (type->kind == NAIVE_OBJECT) {
            const int member = (int)law_roll(scope->dice, (uint64_t)type->member_count);
            path = naive_text("%s.%s", path, type->members[member].name);
            type = type->members[member].type;
        }
        if (!is_scalar(type) || type->via != NULL) continue;
        if (follows && attempt < 30 && type->link == NULL) continue;
        if (type->link == NULL || hops == 0 || law_roll(scope->dice, 3) == 0) return path;
        const char *rest = law_path(scope, naive_db_find(scope->db, type->link), hops - 1);
        if (rest != NULL) return naive_text("%s.%s", path, rest);
    }
    return NULL;
}

static void test_of(const struct law_scope *scope, const struct naive_type *type,
                    struct pq_bytes *out) {
    static const char *const names_of[] = {"$eq", "$ne", "$lt", "$lte", "$gt", "$gte",
                                           "$in", "$nin", "$exists"};
    const uint64_t test = law_roll(scope->dice, 9);
    const bool negated = law_roll(scope->dice, 6) == 0;
    law_say(out, "%s{ %s: ", negated ? "{ $not: " : "", names_of[test]);
    if (test == 8) {
        law_say(out, law_roll(scope->dice, 2) == 0 ? "true" : "false");
    } else if (test >= 6) {
        law_say(out, "[");
        for (int i = 0; i < 3; i++) {
            if (i > 0) law_say(out, ",");
            if (law_roll(scope->dice, 8) == 0) law_say(out, "null");
            else law_value(scope, type, true, out);
        }
        law_say(out, "]");
    } else if (test < 2 && law_roll(scope->dice, 6) == 0) {
        law_say(out, "null");
    } else {
        const bool as_int = type->kind == NAIVE_DECIMAL && law_roll(scope->dice, 2) == 0;
        law_value(scope, as_int ? naive_type_plain(NAIVE_INT) : type, true, out);
    }
    law_say(out, negated ? " } }" : " }");
}

void law_filter(const struct law_scope *scope, const struct naive_table *table, int depth,
                struct pq_bytes *out) {
    static const char *const logical[] = {"$and", "$or", "$nor"};
    if (depth > 0 && law_roll(scope->dice, 3) == 0) {
        const uint64_t parts = 1 + law_roll(scope->dice, 3);
        law_say(out, "{ %s: [", logical[law_roll(scope->dice, 3)]);
        for (uint64_t i = 0; i < parts; i++) {
            if (i > 0) law_say(out, ",");
            law_filter(scope, table, depth - 1, out);
        }
        law_say(out, "] }");
        return;
    }
    const char *path = law_path(scope, table, scope->may_expand ? 2 : 0);
    if (path == NULL) {
        law_say(out, "{}");
        return;
    }
    law_say(out, "{ '%s': ", path);
    test_of(scope, naive_path_type(scope->db, table, path), out);
    law_say(out, " }");
}
