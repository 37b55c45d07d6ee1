/// db/commit.h: writes on their way through the sequencer, and steps of the circuit.
#ifndef PQ_DB_COMMIT_H
#define PQ_DB_COMMIT_H

#include "db/db_internal.h"

/// Hashes of what a write touches (see pq_db_row_hash); in its hold, or the caller's.
struct pq_db_hashes {
    const uint64_t *hashes;
    size_t count;
};

/// One commit on its way. Lives on its caller's stack.
struct pq_db_write {
    struct pq_db_write *next;
    struct pq_db_table *table;
    struct pq_batch batch;      // the delta; without `form` complete but for $seq
    struct pq_hold *hold;       // its memory, the caller's reference
    struct pq_text part;        // encoded
    struct pq_text token;       // "" or token, NUL, eight bytes of content hash
    /// Leader: batch, part, changes, relies and new_rows against the published state, the new rows
    /// numbered from `first_seq`; or changes_nothing. An error is the write's own. Perhaps called
    /// again, when the write has to wait for the next frame. NULL: they are final, all rows new.
    pqdb_code (*form)(struct pq_db_write *write, pqdb_error *err);
    void *ctx;                  // of `form`
    bool reads_all;             // relies on rows that cannot be named: first in its frame
    bool forgets;               // rows that are too old: alone in its frame
    bool changes_nothing;
    struct pq_db_hashes changes;  // rows and unique values; those known before form as well
    struct pq_db_hashes relies;   // rows that must be there, or not
    uint64_t first_seq;         // leader
    uint64_t new_rows;          // that take a $seq
    // Result.
    bool done;
    bool repeated;
    pqdb_code code;
    pqdb_error error;
    uint64_t version;
};

/// Into the queue; whoever leads commits it. Returns once it is durable and applied, or refused
/// (write->error).
pqdb_code pq_db_commit(pqdb_db *db, struct pq_db_write *write);
/// Leader: deltas through tables and circuit at `version`; not yet published.
struct pq_db_delta {
    struct pq_db_table *table;
    struct pq_batch rows;
    struct pq_hold *hold;
};
pqdb_code pq_db_step(pqdb_db *db, const struct pq_db_delta *deltas, size_t count,
                     uint64_t version, int64_t time_us, pqdb_error *err);

#endif
