/// Law: a program gives the same rows by vectors as value by value, whatever the layout of the
/// batch and however it is cut. Random filters and expressions over random rows, from seeds.
#include <string.h>

#include "base/hash.h"
#include "expr/compare.h"
#include "expr/nested.h"
#include "expr/print.h"
#include "expr/run_internal.h"
#include "support/expr_fixture.h"
#include "support/test.h"

enum { ROUNDS = 1500, ROWS_MAX = 40, DEPTH_MAX = 3 };

static uint64_t state;

static size_t draw(size_t below) {
    state += UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(pq_hash_word(state) % below);
}

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

static void write_rows(struct pq_bytes *out, size_t count) {
    const size_t sparse = 1 + draw(5);  // how often a value is there; 1: always
    pq_bytes_printf(out, NULL, "[");
    for (size_t row = 0; row < count; row++) {
        pq_bytes_printf(out, NULL, "{");
        for (size_t k = 0; k < sizeof pools / sizeof *pools; k++) {
            if (draw(6) >= 7 - sparse) continue;
            pq_bytes_printf(out, NULL, "%s: %s, ", pools[k].name,
                            pools[k].values[draw(pools[k].count)]);
        }
        pq_bytes_printf(out, NULL, "},\n");
    }
    pq_bytes_printf(out, NULL, "]");
}

static void write_expr(struct pq_bytes *out, int depth);

static void write_arguments(struct pq_bytes *out, const char *name, size_t count, int depth) {
    pq_bytes_printf(out, NULL, "{ %s: [", name);
    for (size_t k = 0; k < count; k++) {
        write_expr(out, depth + 1);
        pq_bytes_printf(out, NULL, k + 1 < count ? ", " : "] }");
    }
}

static void write_expr(struct pq_bytes *out, int depth) {
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
        write_expr(out, depth + 1);
        pq_bytes_printf(out, NULL, ", '%s'%s] }", PICK(units), PICK(zones));
    }
}

static void write_filter(struct pq_bytes *out, int depth) {
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
            write_filter(out, depth + 1);
            pq_bytes_printf(out, NULL, ", ");
        }
        pq_bytes_printf(out, NULL, "] }");
    } else {
        pq_bytes_printf(out, NULL, "{ $expr: ");
        write_expr(out, depth + 1);
        pq_bytes_printf(out, NULL, " }");
    }
}

/// What JSON prints alike is told apart: a null from an infinity, 1 from 1.0.
static struct pq_text print_column(const struct pq_column *column, struct pq_arena *arena) {
    struct pq_bytes out;
    pq_bytes_init(&out, &arena->alloc);
    for (size_t row = 0; row < column->count; row++) {
        const struct pq_value value = pq_column_value(column, row);
        const struct pq_value plain = pq_value_plain(&value);
        pq_bytes_printf(&out, NULL, "%d ", (int)plain.kind);
        pq_print_text(&out, &plain, NULL);
        pq_bytes_append_byte(&out, '\n', NULL);
    }
    return pq_bytes_text(&out);
}

/// The batch in pieces: what the pieces give is what the whole gives.
static struct pq_text run_pieces(const struct pq_program *program, const struct pq_batch *batch,
                                 struct pq_arena *arena) {
    struct pq_bytes out;
    pq_bytes_init(&out, &arena->alloc);
    for (size_t start = 0, step; start < batch->count; start += step) {
        struct pq_batch piece;
        struct pq_column column;
        step = 1 + draw(batch->count - start);
        CHECK(pq_batch_slice(batch, start, step, arena, &piece, NULL) == PQDB_OK, "slice");
        CHECK(pq_program_run(program, &piece, arena, &column, NULL) == PQDB_OK, "run");
        pq_bytes_append_text(&out, print_column(&column, arena), NULL);
    }
    return pq_bytes_text(&out);
}

static void check_selection(const struct pq_program *program, const struct pq_batch *batch,
                            const struct pq_column *mask, struct pq_arena *arena) {
    struct pq_selection selection;
    CHECK(pq_program_select(program, batch, arena, &selection, NULL) == PQDB_OK, "select");
    size_t at = 0;
    for (size_t row = 0; row < batch->count; row++) {
        CHECK(!pq_column_is_null(mask, row), "a filter gave null");
        if (!pq_column_value(mask, row).as.boolean) continue;
        CHECK(at < selection.count &&
                  (selection.rows == NULL ? row : selection.rows[at]) == row,
              "row %zu is not selected", row);
        at++;
    }
    CHECK(at == selection.count, "%zu rows selected, not %zu", selection.count, at);
}

/// A row that a bound excludes is not selected.
static void check_bounds(const struct pq_program *program, const struct pq_batch *batch,
                         const struct pq_column *mask);

static void run_program(struct expr_fixture *fixture, const struct pq_program *program,
                        const struct pq_batch *batch, bool is_filter, struct pq_text source) {
    struct pq_column vector, scalar;
    struct pq_arena *arena = &fixture->arena;
    pqdb_error err = {0};
    CHECK(pq_program_run(program, batch, arena, &vector, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_program_run_scalar(program, batch, arena, &scalar, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pq_column_is_sound(&vector, &err), "%s", err.message);
    CHECK(vector.count == batch->count, "%zu rows", vector.count);
    const bool own = program->root->kind != PQ_NODE_PATH;  // or a column of the batch
    CHECK(vector.type->kind != PQ_VARIANT || vector.names != NULL || !own, "no names");
    const struct pq_text a = print_column(&vector, arena), b = print_column(&scalar, arena);
    CHECK(pq_text_equal(a, b), "%.*s by vectors:\n%.*sby value:\n%.*s", PQ_TEXT_ARG(source),
          PQ_TEXT_ARG(a), PQ_TEXT_ARG(b));
    const struct pq_text c = run_pieces(program, batch, arena);
    CHECK(pq_text_equal(a, c), "%.*s whole:\n%.*sin pieces:\n%.*s", PQ_TEXT_ARG(source),
          PQ_TEXT_ARG(a), PQ_TEXT_ARG(c));
    if (!is_filter) return;
    check_selection(program, batch, &vector, arena);
    check_bounds(program, batch, &vector);
}

static bool satisfies(const struct pq_value *value, const struct pq_bound *bound) {
    int order = 1;
    if (value->kind == PQ_NULL) return false;
    for (size_t i = 0; i < bound->value_count; i++) {
        CHECK(value->kind == bound->values[i].kind, "a bound of another kind");
        order = pq_value_compare(value, &bound->values[i]);
        if (bound->op == PQ_BOUND_IN && order == 0) return true;
    }
    switch (bound->op) {
        case PQ_BOUND_LT: return order < 0;
        case PQ_BOUND_LTE: return order <= 0;
        case PQ_BOUND_GT: return order > 0;
        case PQ_BOUND_GTE: return order >= 0;
        case PQ_BOUND_IN: return false;
    }
    return false;
}

static void check_bounds(const struct pq_program *program, const struct pq_batch *batch,
                         const struct pq_column *mask) {
    size_t count;
    const struct pq_bound *bounds = pq_program_bounds(program, &count);
    for (size_t row = 0; row < batch->count; row++) {
        if (!pq_column_value(mask, row).as.boolean) continue;
        for (size_t i = 0; i < count; i++) {
            const struct pq_value value = pq_column_value(&batch->columns[bounds[i].column], row);
            CHECK(satisfies(&value, &bounds[i]), "row %zu is selected beyond a bound", row);
        }
    }
}

static void check_round(uint64_t seed) {
    struct expr_fixture fixture;
    struct pq_batch batch;
    struct pq_bytes rows, source;
    pqdb_error err = {0};
    state = seed;
    expr_fixture_init(&fixture);
    fixture.dictionaries = draw(2) == 0;
    fixture.foreign_names = draw(3) == 0;
    fixture.scope.problems = NULL;
    pq_bytes_init(&rows, &fixture.arena.alloc);
    write_rows(&rows, draw(3) == 0 ? draw(4) : draw(ROWS_MAX));
    CHECK(expr_fixture_batch(&fixture, pq_bytes_text(&rows), &batch, &err) == PQDB_OK, "%s",
          err.message);
    for (int k = 0; k < 4; k++) {
        struct pq_json_document *document;
        struct pq_program *program;
        const bool is_filter = k % 2 == 0;
        pq_bytes_init(&source, &fixture.arena.alloc);
        (is_filter ? write_filter : write_expr)(&source, 0);
        const struct pq_text text = pq_bytes_text(&source);
        CHECK(pq_json_parse(text, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &fixture.arena.alloc, &document,
                            &err) == PQDB_OK,
              "%.*s: %s", PQ_TEXT_ARG(text), err.message);
        const struct pq_source what = {.json = pq_json_root(document), .code = "INVALID"};
        const pqdb_code code = (is_filter ? pq_filter_compile : pq_expr_compile)(
            &what, &fixture.scope, &pq_alloc_libc, &program, &err);
        if (code == PQDB_INVALID) continue;  // `$in` of what is no list
        CHECK(code == PQDB_OK, "%.*s: %s", PQ_TEXT_ARG(text), err.message);
        run_program(&fixture, program, &batch, is_filter, text);
        pq_program_destroy(program);
    }
    expr_fixture_deinit(&fixture);
}

static void vectors_and_pieces_give_what_single_values_give(void) {
    for (uint64_t seed = 1; seed <= ROUNDS && test_failures_ == 0; seed++) {
        check_round(seed);
        if (test_failures_ > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    }
}

int main(void) {
    RUN(vectors_and_pieces_give_what_single_values_give);
    return test_done();
}
