/// db/overlay.h: the commits between two versions, held in memory, and with them the tables as they
/// were at any version in between: a snapshot of the last one, with the rows that changed replaced
/// by what they were.
///
/// Thread: its owner. The snapshot it stands over must be of the version it was read up to.
#ifndef PQ_DB_OVERLAY_H
#define PQ_DB_OVERLAY_H

#include "db/db_internal.h"
#include "flow/lookup.h"

struct pq_db_overlay;

/// One collection's part of a commit.
struct pq_db_part_rows {
    const struct pq_db_table *table;
    struct pq_batch rows;
};

struct pq_db_overlay_commit {
    uint64_t version;
    int64_t time_us;
    bool forgets;  // a commit of retention
    const struct pq_db_part_rows *parts;
    size_t part_count;
};

/// The commits of (from, to] that touch tables that `wants` names; the tables are as at `from`.
/// Cost: those commits, in memory. Errors: PQDB_NOT_FOUND when the log no longer reaches back;
/// PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
struct pq_db_overlay_range {
    uint64_t from, to;
    const struct pq_db_snapshot *snapshot;  // of `to` or later: its schema says what rows are
    bool (*wants)(void *ctx, const struct pq_db_table *table);
    void *ctx;
};
pqdb_code pq_db_overlay_create(pqdb_db *db, const struct pq_db_overlay_range *range,
                               struct pq_db_overlay **overlay, pqdb_error *err);
void pq_db_overlay_destroy(struct pq_db_overlay *overlay);  // NULL is allowed

/// The next commit, not yet applied; NULL: the tables are as the snapshot has them.
const struct pq_db_overlay_commit *pq_db_overlay_next(const struct pq_db_overlay *overlay);
/// Now it is.
void pq_db_overlay_apply(struct pq_db_overlay *overlay);

/// A table seen through the overlay. Did any row of it change?
bool pq_db_overlay_touches(const struct pq_db_overlay *overlay, const struct pq_db_table *table);
/// Without the rows that have changed since.
pqdb_code pq_db_overlay_filter(const struct pq_db_overlay *overlay,
                               const struct pq_db_table *table, const struct pq_batch *rows,
                               struct pq_arena *arena, struct pq_batch *out, pqdb_error *err);
/// Of the rows that change, those with one of these ids, or with a link that is: as they are now,
/// behind `rows` (of the snapshot, without those that change).
pqdb_code pq_db_overlay_look_up(const struct pq_db_overlay *overlay,
                                const struct pq_db_table *table,
                                const struct pq_lookup_want *want, struct pq_arena *arena,
                                struct pq_batch *rows, pqdb_error *err);
/// Those, as they are now, in batches.
pqdb_code pq_db_overlay_each(const struct pq_db_overlay *overlay,
                             const struct pq_db_table *table,
                             pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                               pqdb_error *err),
                             void *taker, pqdb_error *err);

#endif
