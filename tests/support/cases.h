/// Cases as text: tests/cases/<room>/*.cases, a sequence of blocks.
///
///     # A line that begins with '#' is a comment, wherever it stands.
///     == equal numbers of different kinds match
///     { a: 5 }
///     --
///     true
///
/// "== " begins a block and names it; lines that are "--" alone divide it into parts. The first
/// part is the input, the last one the expected text; what stands between (a row, options) is the
/// test's own business. A part's closing newlines do not belong to it, all other bytes do. There
/// are no escapes, but a line loses one leading "\", so that it can begin with "#", "==" or "--".
#ifndef PQ_TEST_CASES_H
#define PQ_TEST_CASES_H

#include <stddef.h>

#define CASE_PARTS_MAX 8

struct test_case {
    const char *file;  // as given to cases_run
    int line;          // of its name, from 1
    const char *name;
    const char *input;     // parts[0]
    const char *expected;  // parts[part_count - 1]
    const char *parts[CASE_PARTS_MAX];
    size_t part_count;  // at least 2
};

/// Read tests/cases/<file> and call `check` for each block in order; returns how many there were.
/// A file that is missing, empty or malformed counts as one failure.
size_t cases_run(const char *file, void (*check)(const struct test_case *test));

/// One check: `got` is the expected text (closing newlines apart). If not, prints both.
void case_expect(const struct test_case *test, const char *got);

#endif
