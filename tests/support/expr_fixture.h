/// A table with a column of every kind, rows from JSON, and what a filter or an expression gives on
/// them: for the tests of room expr.
#ifndef PQ_TEST_EXPR_FIXTURE_H
#define PQ_TEST_EXPR_FIXTURE_H

#include "expr/expr.h"
#include "variant/variant.h"

/// `$paths` declares inner.n int, inner.t text, inner.at timestamp, inner.tags text[], logs.level
/// text. `friend` is a relation.
struct expr_fixture {
    struct pq_arena arena;
    struct pq_scope scope;
    struct pq_variant_names *names;
    struct pq_problems problems;
    bool dictionaries;  // text columns are coded
    bool foreign_names;  // variants bring names of their own
};
void expr_fixture_init(struct expr_fixture *fixture);
void expr_fixture_deinit(struct expr_fixture *fixture);

/// The rows of a list of JSON objects (JSON5). Undeclared members go into _extra, declared ones are
/// converted: ISO text to times, base64 to nothing (binary is given as text).
pqdb_code expr_fixture_batch(struct expr_fixture *fixture, struct pq_text rows,
                             struct pq_batch *batch, pqdb_error *err);

/// Compile and run; `out` is text in the fixture's arena: what each row gives as
/// "true, false" or, for expressions, as "int: 1, null"; or "error CODE at PATH: MESSAGE (REMEDY)",
/// one a line; warnings come first.
struct expr_case {
    struct pq_text rows;
    struct pq_text source;
    bool is_filter;
};
struct pq_text expr_fixture_run(struct expr_fixture *fixture, const struct expr_case *test);

#endif
