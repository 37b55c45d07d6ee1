/// The naive evaluator's views, and what writes do to collections. See naive.h.
#ifndef PQ_TEST_NAIVE_VIEW_H
#define PQ_TEST_NAIVE_VIEW_H

#include "support/naive.h"

/// Recompute columns and rows of a view from what the database's tables hold now.
void naive_view_eval(const struct naive_db *db, struct naive_table *view);

/// Own copies of all its rows hold, in the memory in use: they stay when the source's are gone.
void naive_keep(struct naive_table *view);

/// Adds the columns of `$expand`, named as `$flatten` says; `paths[k]` becomes the path a column
/// came by, or stays NULL.
void naive_expand(const struct naive_db *db, struct naive_table *table, const struct pq_json *view,
                  const char **paths);

/// The rows become their groups; without keys there is one group, whatever the rows.
void naive_group(const struct naive_db *db, struct naive_table *table, const struct pq_json *view);
/// One aggregate over some rows, which are in creation order.
struct naive naive_aggregate(const struct naive_db *db, const struct naive_table *table,
                             const struct naive_row *rows, int count,
                             const struct pq_json *aggregate);
struct naive_type *naive_aggregate_type(const struct naive_db *db, const struct naive_table *table,
                                        const struct pq_json *aggregate);
int naive_by_creation(const void *a, const void *b);
int naive_by_id(const void *a, const void *b);

// ---- naive_write.c: each is one commit's effect on one collection, assumed to be valid ----------

enum naive_conflict { NAIVE_REFUSE, NAIVE_IGNORE, NAIVE_REPLACE };

/// Rows of a JSON list. False when a live `$id` refuses the batch: nothing happened.
bool naive_create(struct naive_db *db, struct naive_table *table, const struct pq_json *rows,
                  enum naive_conflict conflict);
/// `ops` on every row that matches; how many changed.
int naive_update(struct naive_db *db, struct naive_table *table, const struct pq_json *filter,
                 const struct pq_json *ops);
/// On the first match by `$id`; else it creates a row of the filter's equalities and the operators.
void naive_upsert(struct naive_db *db, struct naive_table *table, const struct pq_json *filter,
                  const struct pq_json *ops);
int naive_delete(struct naive_db *db, struct naive_table *table, const struct pq_json *filter);

#endif
