/// db/lookup.h: the rows that links lead to, for steps of the circuit, refreshes and queries.
#ifndef PQ_DB_LOOKUP_H
#define PQ_DB_LOOKUP_H

#include "db/db_internal.h"

/// Fills flow's look-up from tables as they are published (leader: before the running step), or as
/// a snapshot has them.
struct pq_db_lookup {
    pqdb_db *db;
    const struct pq_db_snapshot *snapshot;  // borrowed; NULL: what is published now (leader)
    const struct pq_table *held;  // the rows of table `held_id` stand here instead: of a view being
    uint32_t held_id;             // built; or NULL
    const struct pq_db_overlay *overlay;  // tables as they were then; or NULL
};

/// For a view's node. `is_after`: its steps come after its tables have moved on (it lags).
/// `source` outlives it.
struct pq_lookup pq_db_lookup_of(struct pq_db_lookup *source, const struct pq_db_table *view,
                                 bool is_after);

#endif
