/// Goal: the cases of tests/cases/flow: a definition, steps, and the rows of the view at the end.
/// Each runs in the steps as given, row by row, and all at once, with text as bytes and as
/// dictionary codes, and is compared with the view computed from scratch.
#include <string.h>

#include "support/cases.h"
#include "support/flow_fixture.h"
#include "support/test.h"

enum { ROWS_MAX = 256 };

/// The rows of a case's steps: lines "+ {…}" and "- {…}"; a line "." ends a step.
struct steps {
    struct pq_text rows[ROWS_MAX];
    int64_t weights[ROWS_MAX];
    bool last[ROWS_MAX];  // of its step
    size_t count;
};

static bool read_steps(const char *text, struct steps *steps) {
    steps->count = 0;
    while (*text != '\0') {
        const size_t length = strcspn(text, "\n");
        if (text[0] == '.' && steps->count > 0) {
            steps->last[steps->count - 1] = true;
        } else if (length > 1 && (text[0] == '+' || text[0] == '-')) {
            if (steps->count == ROWS_MAX) return false;
            steps->rows[steps->count] = (struct pq_text){text + 1, length - 1};
            steps->weights[steps->count] = text[0] == '+' ? 1 : -1;
            steps->last[steps->count++] = false;
        } else if (length > 0) {
            return false;
        }
        text += length + (text[length] == '\n');
    }
    if (steps->count > 0) steps->last[steps->count - 1] = true;
    return true;
}

enum split { AS_GIVEN, ROW_BY_ROW, AT_ONCE };

static pqdb_code run_steps(struct flow_fixture *fixture, const struct steps *steps,
                           enum split split, pqdb_error *err) {
    size_t start = 0;
    for (size_t i = 0; i < steps->count; i++) {
        const bool last = split == ROW_BY_ROW || (split == AS_GIVEN && steps->last[i]);
        if (!last && i + 1 < steps->count) continue;
        const pqdb_code code = flow_fixture_step(fixture, steps->rows + start,
                                                 steps->weights + start, i + 1 - start, err);
        if (code != PQDB_OK) return code;
        start = i + 1;
    }
    return PQDB_OK;
}

static void check_case(const struct test_case *test, const struct steps *steps, enum split split,
                       bool dictionaries) {
    struct flow_fixture fixture;
    pqdb_error err = {0};
    char text[512];
    pqdb_code code = flow_fixture_init(&fixture, pq_text_of(test->input), &pq_alloc_libc, &err);
    fixture.base.dictionaries = dictionaries;
    if (code == PQDB_OK) code = run_steps(&fixture, steps, split, &err);
    if (code != PQDB_OK) {
        snprintf(text, sizeof text, "error %d: %s", (int)code, err.message);
        case_expect(test, text);
    } else {
        case_expect(test, flow_fixture_text(&fixture, &fixture.view).data);
        struct text_set full = {0};
        code = flow_fixture_full(&fixture, &full, &err);
        CHECK(code == PQDB_OK, "%s:%d: full: %s", test->file, test->line, err.message);
        CHECK(text_set_equal(&full, &fixture.view), "%s:%d: from scratch:\n%s", test->file,
              test->line, flow_fixture_text(&fixture, &full).data);
        text_set_deinit(&full);
    }
    flow_fixture_deinit(&fixture);
}

static void check(const struct test_case *test) {
    struct steps steps;
    CHECK(test->part_count == 3 && read_steps(test->parts[1], &steps), "%s:%d: malformed",
          test->file, test->line);
    for (int split = AS_GIVEN; split <= AT_ONCE; split++) {
        check_case(test, &steps, (enum split)split, split == AT_ONCE);
    }
    check_case(test, &steps, AS_GIVEN, true);
}

static void rows(void) { cases_run("flow/rows.cases", check); }
static void groups(void) { cases_run("flow/groups.cases", check); }
static void aggregates(void) { cases_run("flow/aggregates.cases", check); }
static void retractions(void) { cases_run("flow/retractions.cases", check); }

int main(void) {
    RUN(rows);
    RUN(groups);
    RUN(aggregates);
    RUN(retractions);
    return test_done();
}
