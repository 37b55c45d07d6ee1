/// Goal: every operator of filters and expressions by text cases, in every layout a batch may have,
/// by vectors and value by value.
#include <string.h>

#include "support/cases.h"
#include "support/expr_fixture.h"
#include "support/test.h"

static bool is_filter, dictionaries, foreign_names, closed, strict;

/// A single row is written as an object, several as a list.
static struct pq_text rows_of(struct expr_fixture *fixture, const char *text) {
    struct pq_bytes rows;
    if (text[0] == '[') return pq_text_of(text);
    pq_bytes_init(&rows, &fixture->arena.alloc);
    pq_bytes_printf(&rows, NULL, "[%s]", text);
    return pq_bytes_text(&rows);
}

static void check_case(const struct test_case *test) {
    struct expr_fixture fixture;
    expr_fixture_init(&fixture);
    fixture.dictionaries = dictionaries;
    fixture.foreign_names = foreign_names;
    fixture.scope.closed = closed;
    fixture.scope.strict = strict;
    const struct expr_case run = {
        .rows = rows_of(&fixture, test->parts[0]),
        .source = pq_text_of(test->parts[1]),
        .is_filter = is_filter,
    };
    const struct pq_text got = expr_fixture_run(&fixture, &run);
    char *text = strndup(got.data == NULL ? "" : got.data, got.length);
    if (text != NULL) case_expect(test, text);
    free(text);
    expr_fixture_deinit(&fixture);
}

static void run_layouts(const char *file) {
    for (int layout = 0; layout < 3; layout++) {
        dictionaries = layout == 1;
        foreign_names = layout == 2;
        cases_run(file, check_case);
    }
    dictionaries = foreign_names = false;
}

static void filters_match_what_the_cases_say(void) {
    is_filter = true;
    run_layouts("expr/filter_fields.cases");
    run_layouts("expr/filter_operators.cases");
    run_layouts("expr/filter_logic.cases");
    run_layouts("expr/filter_errors.cases");
}

static void expressions_give_what_the_cases_say(void) {
    is_filter = false;
    run_layouts("expr/expr_values.cases");
    run_layouts("expr/expr_choice.cases");
    run_layouts("expr/expr_number.cases");
    run_layouts("expr/expr_text.cases");
    run_layouts("expr/expr_time.cases");
    run_layouts("expr/expr_convert.cases");
    run_layouts("expr/expr_errors.cases");
}

static void closed_tables_warn_and_strict_ones_refuse(void) {
    is_filter = false;
    closed = true;
    cases_run("expr/closed.cases", check_case);
    strict = true;
    cases_run("expr/strict.cases", check_case);
    closed = strict = false;
}

int main(void) {
    RUN(filters_match_what_the_cases_say);
    RUN(expressions_give_what_the_cases_say);
    RUN(closed_tables_warn_and_strict_ones_refuse);
    return test_done();
}
