/// db/kept.h: views that keep what came of rows that are gone (`$onRetention: 'keep'`).
///
/// Rows of the collection at the bottom that go by retention never reach such a view: not in the
/// circuit, not in replay, not in a refresh by the log. From the first of them on its contents do
/// not follow from its sources any more (facts.kept): nothing computes it anew unless it is told
/// to, and then they are lost. So its state has all its pieces from the start: a window that runs
/// empty could not be filled from the source.
#ifndef PQ_DB_KEPT_H
#define PQ_DB_KEPT_H

#include "db/view_internal.h"

/// Would a computation from its sources lose something of the view?
bool pq_db_is_kept(const struct pq_db_table *table, const struct pq_db_facts *facts);
/// Would it be the end of what the view keeps to go on without it, for an error that passes? Its
/// state is lost with the step, and nothing could make it again but the log, at the next opening.
bool pq_db_dies_of(const struct pq_db_table *table, pqdb_code code);
/// Does the view read, in whatever way, rows of a view that keeps, or that appends with commits?
/// How these came to be no log tells.
bool pq_db_reads_kept(const pqdb_db *db, const struct pq_db_table *table);
/// INVALID: what is asked for would lose it. `why` it would be computed anew.
pqdb_code pq_db_refuse_loss(const struct pq_db_table *table, const char *why, pqdb_error *err);

/// Leader: rows of the collection went by retention.
void pq_db_note_forgotten(pqdb_db *db, const struct pq_db_table *collection);

/// Rows come again under ids that the view's table kept: what was kept goes in the same step, so
/// that views above it step rightly. A batch that has no such row is left as it is. Of rows that
/// come under one id only the last is left.
///
/// Owns    what is added is in `arena`, or in `table->published`
/// Cost    a look-up of every row that comes
pqdb_code pq_db_complete_kept(const struct pq_db_table *view, struct pq_table *table,
                              struct pq_batch *rows, struct pq_arena *arena, pqdb_error *err);
/// The same as a pq_circuit_keeper of a view's own table; its ctx is the view.
pqdb_code pq_db_complete_streaming(void *view, struct pq_batch *rows, struct pq_arena *arena,
                                   pqdb_error *err);

#endif
