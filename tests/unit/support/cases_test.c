/// Goal: hold the cases reader against its own documentation.
#include "support/cases.h"

#include "support/test.h"

static int seen;

static void check_block(const struct test_case *test) {
    char got[256];
    snprintf(got, sizeof got, "%d %zu [%s] [%s]\n", ++seen, test->part_count, test->input,
             test->name);
    case_expect(test, got);
}

static void blocks_are_read_as_documented(void) {
    const size_t count = cases_run("support/format.cases", check_block);
    CHECK(count == 4 && seen == 4, "read %zu blocks", count);
}

int main(void) {
    RUN(blocks_are_read_as_documented);
    return test_done();
}
