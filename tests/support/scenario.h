/// Scenarios as text: a schema, then writes line by line, and what tables hold at some of them.
///
///     { Order: { total: 'int', customer: '-> Customer' }, Customer: { name: 'string' },
///       V: { $from: 'Order', $expand: ['customer'] } }
///     --
///     create Customer { $id: 'ann', name: 'Ann' }
///     create Order [{ $id: 'o1', total: 5, customer: 'ann' }]
///     update Order { total: { $gt: 3 } } { $inc: { total: 1 } }
///     show V
///     --
///     V
///       {"$id":"o1","total":6,"customer":"ann","customer_id":"ann","customer_name":"Ann"}
///
/// Verbs: create, ignore and replace (on conflict) with a row or a list; update and upsert with a
/// filter and operators; delete with a filter; refresh and show with a name; checkpoint, reopen.
/// A write that is refused says so in a line of its own: "create Order: CONFLICT".
#ifndef PQ_TEST_SCENARIO_H
#define PQ_TEST_SCENARIO_H

#include "base/bytes.h"
#include "support/cases.h"

struct scenario_step {
    const char *verb, *table;
    const char *first, *second;  // JSON5 texts, "" where the verb has none
};

struct scenario_player {
    void *ctx;
    /// Makes the database of a schema.
    void (*begin)(void *ctx, const char *schema);
    void (*play)(void *ctx, const struct scenario_step *step, struct pq_bytes *out);
    void (*end)(void *ctx);
};

/// Plays one case and expects its last part.
void scenario_run(const struct test_case *test, const struct scenario_player *player);

/// The naive evaluator as a player, one scenario at a time. Refreshes and restarts mean nothing to
/// it: its views are always as their definitions say now.
extern const struct scenario_player scenario_naive;

#endif
