/// db/append.h: views that only ever grow (strategy 'append').
///
/// A refresh applies the definition to the rows that were created since the last one, as they are
/// now, and adds what that gives; what is there stays whatever becomes of its sources. A streaming
/// one is refreshed by every step that touches its collection. Rows are told by their creation
/// number: those from facts.mark on are new. So every refresh is a function of the tables at its
/// commit and of the mark, and replay makes the same rows with the same ids, nothing twice.
///
/// The view's node takes part in no circuit: streaming views above it step in its refreshes, as
/// above any view that lags.
#ifndef PQ_DB_APPEND_H
#define PQ_DB_APPEND_H

#include "db/view_internal.h"

/// `building`. The record in the log comes first, so that nothing is added twice. With `discard`
/// what is there goes in the same commit, and all rows count as new.
/// Cost: what the log has of the collection since the last refresh; else a scan of the source.
/// Beside the writers. More than db->led_rows rows are written into files there, under ids with
/// the version that the refresh has if nobody commits meanwhile, and writers wait for as many at
/// most; but where
/// streaming views stand on it for their step, and where rows that links lead to have changed
/// meanwhile for a computation.
/// Errors: as pq_node_full; the view keeps what it has and its mark, and has failed.
pqdb_code pq_db_append_refresh(pqdb_db *db, struct pq_db_table *table, bool discard,
                               pqdb_error *err);

/// The same in recovery, at a version whose record is being replayed. `names`: of the record.
struct pq_db_append_at {
    bool discard;
    uint64_t version, names;
    int64_t time_us;
};
pqdb_code pq_db_append_here(pqdb_db *db, struct pq_db_table *table,
                            const struct pq_db_append_at *at, pqdb_error *err);

/// The rows under ids of their refresh, `<id>@<names>`. Columns but the ids are shared.
/// Owns: what is made is in `arena`. Errors: PQDB_NO_MEMORY.
pqdb_code pq_db_append_name(const struct pq_batch *rows, uint64_t names, struct pq_arena *arena,
                            struct pq_batch *named, pqdb_error *err);

/// Leader, within a step of the circuit: the views that follow what it has changed. What is the
/// view's own error makes it fail; others are returned.
struct pq_db_stepped {
    const struct pq_delta *inputs;
    size_t input_count;
    const struct pq_output *outputs;
    size_t output_count;
    uint64_t version;
    int64_t time_us;
};
/// What the step has brought into a table, or NULL.
const struct pq_batch *pq_db_stepped_into(const struct pq_db_stepped *stepped, uint32_t table);
pqdb_code pq_db_append_step(pqdb_db *db, const struct pq_db_stepped *stepped, pqdb_error *err);

/// Does any view append with every commit? Then frames are replayed one by one.
bool pq_db_has_appending(const pqdb_db *db);

#endif
