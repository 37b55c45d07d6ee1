/// A view over the table of expr_fixture.h, from a definition in JSON5, stepped with rows in JSON5;
/// the test keeps the multiset of source rows and adds up what the view puts out.
///
///     { unnest: 'items', filter: {…}, lists: { n: { $sum: 'items.qty' } }, select: { out: '$i' },
///       groupBy: ['s', { day: '$at' }, { k: {…} }], compute: { n: { $count: '*' } }, having: {…} }
#ifndef PQ_TEST_FLOW_FIXTURE_H
#define PQ_TEST_FLOW_FIXTURE_H

#include "flow/flow.h"
#include "support/expr_fixture.h"

enum { FLOW_PROGRAMS_MAX = 64 };

/// Texts with weights: a multiset of rows. Texts live in the fixture's arena.
struct text_set {
    struct text_entry {
        struct pq_text text;
        int64_t weight;
    } *entries;  // malloc
    size_t count, capacity;
};
void text_set_add(struct text_set *set, struct pq_text text, int64_t weight);
void text_set_deinit(struct text_set *set);
/// Sorted by text; entries of weight 0 gone.
void text_set_sort(struct text_set *set);
bool text_set_equal(const struct text_set *a, const struct text_set *b);

struct flow_fixture {
    struct expr_fixture base;
    struct pq_node_spec spec;
    struct pq_node *node;
    struct pq_program *programs[FLOW_PROGRAMS_MAX];
    size_t program_count;
    struct text_set source;  // rows as JSON
    struct text_set view;    // what the steps add up to
    struct pq_rows rows;     // the source before the running step, for refill and full
    struct pq_arena step_arena;
    size_t refills;  // scans so far
};

/// Plan the definition, make the node and build it over no rows. Errors: as the planning calls.
pqdb_code flow_fixture_init(struct flow_fixture *fixture, struct pq_text definition,
                            const struct pq_alloc *alloc, pqdb_error *err);
void flow_fixture_deinit(struct flow_fixture *fixture);

/// One step: rows as JSON objects, each with a weight (NULL: 1). The node's output is added to
/// `view`; a row put out must not be there already, one taken back must have been there.
pqdb_code flow_fixture_step(struct flow_fixture *fixture, const struct pq_text *rows,
                            const int64_t *weights, size_t count, pqdb_error *err);

/// The view computed from all source rows by another node of the same spec.
pqdb_code flow_fixture_full(struct flow_fixture *fixture, struct text_set *view, pqdb_error *err);

/// The view's rows as JSON lines, sorted by $id; in the fixture's arena.
struct pq_text flow_fixture_text(struct flow_fixture *fixture, struct text_set *view);

#endif
