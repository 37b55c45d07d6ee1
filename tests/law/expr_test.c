/// Law: a program gives the same rows by vectors as value by value, whatever the layout of the
/// batch and however it is cut. Random filters and expressions over random rows, from seeds.
#include <math.h>
#include <string.h>

#include "base/hash.h"
#include "expr/compare.h"
#include "expr/judge.h"
#include "expr/nested.h"
#include "expr/print.h"
#include "expr/run_internal.h"
#include "support/expr_fixture.h"
#include "support/random_filter.h"
#include "support/test.h"

enum { ROUNDS = 1500, ROWS_MAX = 40 };

static size_t judged, decided;  // runs of rows of which a filter was asked by bounds alone

static size_t draw(size_t below) { return random_draw(below); }

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
/// The verdict over a run of rows allows what the filter gives for each of them.
static void check_verdicts(const struct pq_program *program, const struct pq_batch *batch,
                           const struct pq_column *mask, struct pq_arena *arena);

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
    check_verdicts(program, batch, &vector, arena);
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

// ---- what bounds of the rows say --------------------------------------------------------------

/// Rows of which only bounds are known: exact ones, wider ones, or none.
struct told {
    const struct pq_batch *rows;
    unsigned vagueness;
};

static bool is_nan(const struct pq_value *value) {
    return (value->kind == PQ_FLOAT64 || value->kind == PQ_FLOAT32) && isnan(value->as.real);
}

static void widen(struct pq_known *known, const struct pq_value *value) {
    known->may_value = true;
    if (is_nan(value)) {
        known->may_nan = true;
        return;
    }
    if (!known->has_min || pq_value_compare(value, &known->min) < 0) known->min = *value;
    if (!known->has_max || pq_value_compare(value, &known->max) > 0) known->max = *value;
    known->has_min = known->has_max = true;
}

/// The column, or the member of objects that are all there.
static const struct pq_column *column_at(const struct told *told, const struct pq_known_at *place,
                                         bool *may_lack) {
    const struct pq_column *column = &told->rows->columns[place->column];
    *may_lack = false;
    for (size_t k = 0; k < place->step_count; k++) {
        for (size_t row = 0; row < column->count; row++) {
            *may_lack = *may_lack || pq_column_is_null(column, row);
        }
        column = &column->children[pq_known_member(place, k)];
    }
    return column;
}

static pqdb_code tell(void *ctx, const struct pq_known_at *place, struct pq_known *known,
                      pqdb_error *err) {
    const struct told *told = ctx;
    bool may_lack;
    const struct pq_column *column = column_at(told, place, &may_lack);
    const uint32_t at = place->column;
    (void)err;
    *known = (struct pq_known){.may_null = told->vagueness > 1 || may_lack,
                               .may_nan = told->vagueness > 1};
    const bool nested = column->type->kind == PQ_LIST || column->type->kind == PQ_OBJECT ||
                        column->type->kind == PQ_VARIANT;
    for (size_t row = 0; row < column->count; row++) {
        const struct pq_value value = pq_column_value(column, row);
        known->may_null |= value.kind == PQ_NULL || column->type->kind == PQ_VARIANT;
        if (value.kind == PQ_NULL) continue;
        known->may_value = true;
        if (!nested) widen(known, &value);
    }
    if (told->vagueness > 0) known->has_min &= at % 2 == 0;
    if (told->vagueness > 1) known->has_max &= at % 3 == 0;
    if (known->has_max && known->max.kind == PQ_TEXT && told->vagueness > 0) {
        known->max.as.text = PQ_TEXT("\xF4\x8F\xBF\xBF");  // not reached
    }
    if (told->vagueness > 0 && known->has_min && known->min.kind == PQ_TEXT) {
        known->min.as.text.length /= 2;
    }
    return PQDB_OK;
}

static pqdb_code have(void *ctx, const struct pq_known_at *place, const struct pq_value *value,
                      bool *may, pqdb_error *err) {
    const struct told *told = ctx;
    bool may_lack;
    const struct pq_column *column = column_at(told, place, &may_lack);
    (void)err;
    CHECK(value->kind == column->type->kind, "a value of another kind is asked for");
    *may = false;
    for (size_t row = 0; row < column->count && !*may; row++) {
        const struct pq_value there = pq_column_value(column, row);
        *may = there.kind != PQ_NULL && pq_value_compare(&there, value) == 0;
    }
    return PQDB_OK;
}

static void check_verdicts(const struct pq_program *program, const struct pq_batch *batch,
                           const struct pq_column *mask, struct pq_arena *arena) {
    for (size_t start = 0, count; start < batch->count; start += count) {
        struct pq_batch rows;
        enum pq_verdict verdict;
        count = 1 + draw(1 + draw(batch->count));
        if (count > batch->count - start) count = batch->count - start;
        CHECK(pq_batch_slice(batch, start, count, arena, &rows, NULL) == PQDB_OK, "slice");
        struct told told = {&rows, (unsigned)draw(3)};
        const struct pq_facts facts = {
            .known = tell, .may_hold = draw(2) == 0 ? have : NULL, .ctx = &told};
        const size_t conditions = pq_program_condition_count(program);
        CHECK(pq_program_judge(program, PQ_WHOLE_FILTER, &facts, &verdict, NULL) == PQDB_OK,
              "judge");
        for (size_t row = start; row < start + count; row++) {
            const bool holds = pq_column_value(mask, row).as.boolean;
            CHECK((verdict & (holds ? PQ_MAY_BE_TRUE : PQ_MAY_BE_FALSE)) != 0,
                  "row %zu is %s in spite of verdict %d", row, holds ? "true" : "false", verdict);
        }
        for (uint32_t k = 0; k < conditions; k++) {
            enum pq_verdict one;
            CHECK(pq_program_judge(program, k, &facts, &one, NULL) == PQDB_OK, "judge");
            if ((one & PQ_MAY_BE_TRUE) != 0) continue;
            CHECK((verdict & PQ_MAY_BE_TRUE) == 0, "one of the conditions never holds, but all do");
        }
        decided += verdict != PQ_MAY_BE_BOTH;
        judged++;
    }
}

static void check_round(uint64_t seed) {
    struct expr_fixture fixture;
    struct pq_batch batch;
    struct pq_bytes rows, source;
    pqdb_error err = {0};
    random_seed(seed);
    expr_fixture_init(&fixture);
    fixture.dictionaries = draw(2) == 0;
    fixture.foreign_names = draw(3) == 0;
    fixture.scope.problems = NULL;
    pq_bytes_init(&rows, &fixture.arena.alloc);
    random_rows(&rows, NULL, draw(3) == 0 ? draw(4) : draw(ROWS_MAX));
    CHECK(expr_fixture_batch(&fixture, pq_bytes_text(&rows), &batch, &err) == PQDB_OK, "%s",
          err.message);
    for (int k = 0; k < 4; k++) {
        struct pq_json_document *document;
        struct pq_program *program;
        const bool is_filter = k % 2 == 0;
        pq_bytes_init(&source, &fixture.arena.alloc);
        (is_filter ? random_filter : random_expr)(&source, 0);
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
    CHECK(decided > judged / 5, "%zu of %zu were decided", decided, judged);
}

int main(void) {
    RUN(vectors_and_pieces_give_what_single_values_give);
    return test_done();
}
