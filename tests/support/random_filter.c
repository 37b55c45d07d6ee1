#include "support/random_filter.h"

#include <stdint.h>

#include "base/hash.h"

enum { DEPTH_MAX = 3 };

static uint64_t state;

void random_seed(uint64_t seed) { state = seed; }

size_t random_draw(size_t below) {
    state += UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(pq_hash_word(state) % below);
}

#define draw random_draw
#define PICK(pool) (pool)[draw(sizeof(pool) / sizeof *(pool))]

static const char *const literals[] = {
    "null", "true", "false", "0", "1", "2", "5", "-1", "9223372036854775807", "1.5", "0.1", "1.50",
    "-0.0", "1e300", "9007199254740993", "Infinity", "-Infinity", "NaN", "'a'", "'b'", "'ab'", "''",
    "'2024-01-15'", "'2024-01-15T10:00:00Z'", "1705312800000", "[1, 2]", "['a']", "{ a: 1 }",
    "0.10", "'10:30'", "1.255", "12345678901234567890",
};
static const char *const ints[] = {"0", "1", "2", "5", "-1", "9223372036854775807",
                                   "-9223372036854775808", "9007199254740993"};
static const char *const reals[] = {"0", "-0.0", "0.1", "1.5", "-1", "1e300", "5", "NaN",
                                    "Infinity", "9007199254740992"};
static const char *const decimals[] = {"0", "0.10", "1.25", "-3", "5", "99999999.99"};
static const char *const texts[] = {"'a'", "'b'", "'ab'", "''", "'Ä🌍'", "'2024-01-15'", "'5'"};
static const char *const times[] = {"'2024-01-15T10:00:00Z'", "'2024-01-15'", "0", "1705312800000",
                                    "'1969-12-31T23:59:59.999999Z'", "'2024-10-27T00:30:00Z'"};
static const char *const days[] = {"'2024-01-15'", "'1969-12-31'", "'2024-12-30'"};
static const char *const anything[] = {
    "null", "true", "0", "1", "1.5", "0.1", "'a'", "''", "[1, 2]", "[]", "['a', null, { a: 1 }]",
    "{ a: 1 }", "{ a: { b: 'x' } }", "{ a: [1, 2], b: null }", "'2024-01-15'",
    "12345678901234567890",
};

struct column_pool {
    const char *name;
    const char *const *values;
    size_t count;
};
#define POOL(name, pool) {name, pool, sizeof(pool) / sizeof *(pool)}
static const char *const bools[] = {"true", "false"};
static const char *const lists[] = {"[]", "['a']", "['a', 'b']", "['b', null]"};
static const char *const objects[] = {"{}", "{ city: 'a' }", "{ street: 'b', geo: { lat: 1.5 } }"};
static const char *const items[] = {"[]", "[{ product: 'a', qty: 1 }]",
                                    "[{ product: 'b', qty: 5 }, { note: { a: 1 } }]"};
static const char *const inners[] = {"{ n: 1, t: 'a' }", "{ n: 'x' }", "{ at: 5, tags: ['a', 1] }",
                                     "7", "{ n: 1.0, x: 2.5 }"};
static const struct column_pool pools[] = {
    POOL("b", bools),    POOL("i", ints),       POOL("j", ints),      POOL("f", reals),
    POOL("d", reals),    POOL("e", reals),      POOL("dec", decimals), POOL("day", days),
    POOL("at", times),   POOL("at2", times),    POOL("s", texts),     POOL("t", texts),
    POOL("tags", lists), POOL("items", items),  POOL("addr", objects), POOL("v", anything),
    POOL("w", anything), POOL("inner", inners), POOL("logs", lists),  POOL("bin", texts),
};
static const char *const paths[] = {
    "b", "i", "j", "f", "d", "e", "dec", "day", "at", "at2", "s", "t", "tags", "items", "addr", "v",
    "w", "inner", "logs", "bin", "v.a", "v.a.b", "v.0", "w.a", "tags.0", "items.0.qty",
    "items.1.note.a", "addr.city", "addr.geo.lat", "inner.n", "inner.t", "inner.at", "inner.tags",
    "logs.0", "missing",
};

void random_rows(struct pq_bytes *out, const char *prefix, size_t count) {
    const size_t sparse = 1 + draw(5);  // how often a value is there; 1: always
    pq_bytes_printf(out, NULL, "[");
    for (size_t row = 0; row < count; row++) {
        pq_bytes_printf(out, NULL, "{");
        if (prefix != NULL) pq_bytes_printf(out, NULL, "$id: '%s%05zu', ", prefix, row);
        for (size_t k = 0; k < sizeof pools / sizeof *pools; k++) {
            if (draw(6) >= 7 - sparse) continue;
            pq_bytes_printf(out, NULL, "%s: %s, ", pools[k].name,
                            pools[k].values[draw(pools[k].count)]);
        }
        pq_bytes_printf(out, NULL, "},\n");
    }
    pq_bytes_printf(out, NULL, "]");
}

static void write_arguments(struct pq_bytes *out, const char *name, size_t count, int depth) {
    pq_bytes_printf(out, NULL, "{ %s: [", name);
    for (size_t k = 0; k < count; k++) {
        random_expr(out, depth + 1);
        pq_bytes_printf(out, NULL, k + 1 < count ? ", " : "] }");
    }
}

void random_expr(struct pq_bytes *out, int depth) {
    static const char *const pairs[] = {"$eq",       "$ne",       "$gt",     "$gte", "$lt",
                                        "$lte",      "$add",      "$subtract", "$mod", "$multiply",
                                        "$divide",   "$min",      "$max",    "$and", "$or",
                                        "$ifNull",   "$arrayElem", "$concat", "$in"};
    static const char *const singles[] = {
        "$not",     "$exists",   "$abs",      "$round",    "$floor",    "$ceil", "$toLower",
        "$toUpper", "$trim",     "$strLen",   "$hash",     "$toInt",    "$toDouble",
        "$toDate",  "$toString", "$toDecimal", "$size",
    };
    static const char *const units[] = {"minute", "hour", "day", "week", "month", "year"};
    static const char *const zones[] = {"", ", 'Europe/Berlin'", ", 'Asia/Kolkata'"};
    const size_t what = depth >= DEPTH_MAX ? draw(4) : draw(12);
    if (what < 3) {
        pq_bytes_printf(out, NULL, "'$%s'", PICK(paths));
    } else if (what < 4) {
        pq_bytes_printf(out, NULL, "%s", PICK(literals));
    } else if (what < 8) {
        write_arguments(out, PICK(pairs), 2, depth);
    } else if (what < 10) {
        write_arguments(out, PICK(singles), 1, depth);
    } else if (what < 11) {
        write_arguments(out, "$cond", 3, depth);
    } else {
        pq_bytes_printf(out, NULL, "{ $dateTrunc: [");
        random_expr(out, depth + 1);
        pq_bytes_printf(out, NULL, ", '%s'%s] }", PICK(units), PICK(zones));
    }
}

void random_filter(struct pq_bytes *out, int depth) {
    static const char *const operators[] = {"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"};
    static const char *const lists_of[] = {"$in", "$nin", "$all"};
    static const char *const others[] = {
        "$exists: true",   "$exists: false", "$type: ['number', 'string']", "$mod: [2, 1]",
        "$regex: '^a|5$'", "$startsWith: 'a'", "$endsWith: 'b'",            "$contains: '-'",
        "$size: 1",        "$elemMatch: { $gt: 'a' }", "$elemMatch: { qty: { $gt: 1 } }",
        "$elemMatch: { a: 1 }", "$not: { $lt: 5 }", "$elemMatch: { $ne: null }",
    };
    static const char *const logic[] = {"$and", "$or", "$nor"};
    const size_t what = depth >= DEPTH_MAX ? draw(6) : draw(9);
    if (what < 3) {
        pq_bytes_printf(out, NULL, "{ '%s': { %s: %s } }", PICK(paths), PICK(operators),
                        PICK(literals));
    } else if (what < 4) {
        pq_bytes_printf(out, NULL, "{ '%s': { %s: [%s, %s, %s] } }", PICK(paths), PICK(lists_of),
                        PICK(literals), PICK(literals), PICK(literals));
    } else if (what < 6) {
        pq_bytes_printf(out, NULL, "{ '%s': { %s } }", PICK(paths), PICK(others));
    } else if (what < 8) {
        pq_bytes_printf(out, NULL, "{ %s: [", PICK(logic));
        for (size_t k = draw(3) + 1; k > 0; k--) {
            random_filter(out, depth + 1);
            pq_bytes_printf(out, NULL, ", ");
        }
        pq_bytes_printf(out, NULL, "] }");
    } else {
        pq_bytes_printf(out, NULL, "{ $expr: ");
        random_expr(out, depth + 1);
        pq_bytes_printf(out, NULL, " }");
    }
}
