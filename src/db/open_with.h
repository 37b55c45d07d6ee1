/// db/open_with.h: open a database over any store, clock and allocator: for tests, and for stores
/// that are no directory.
#ifndef PQ_DB_OPEN_WITH_H
#define PQ_DB_OPEN_WITH_H

#include <parquedb/db.h>

#include "base/env.h"
#include "store/store.h"

/// All borrowed until the database is closed.
struct pq_open_with {
    struct pq_store *store;
    const char *location;  // of the store, for the tables' metadata: "file:///srv/db"
    const struct pq_env *env;
    const struct pq_alloc *alloc;  // thread-safe, when threads are used
    uint64_t merge_rows;  // files of more are merged by tiers from there; 0: the usual
    uint64_t tokens_max;  // so many tokens of writes are kept; 0: the usual
    uint64_t ahead_rows;  // views read tables of more in files by two threads; 0: the usual
    uint64_t late_rows;   // over more, what order windows need is made ahead; 0: the usual
    uint64_t piece_rows;  // of the log that a build takes at once; 0: the usual
    uint64_t led_rows;    // more of a refresh that appends go into files first; 0: the usual
    uint64_t wait_rows;   // views over more are not built by an opening, but after it; 0: the usual
    uint64_t lag_bytes;   // the least of the log that is kept for a view that lags; 0: the usual
    uint64_t dead_bytes;  // of files, above which dead rows delay commits; 0: the usual
    uint64_t listen_bytes;  // of what a view puts out that a build over it holds; 0: the usual
    uint64_t cut_run_bytes;  // of runs that a checkpoint merges itself; 0: the usual
    uint64_t log_segment_bytes;  // 0: PQ_LOG_SEGMENT_BYTES
    bool forgives_lost;  // what the log takes away need not be there: a repair has lost rows
    bool no_keeper;  // no background thread: a checkpoint happens only when it is asked for
};

/// As pqdb_init and pqdb_open, without the file system.
pqdb_code pq_db_init_with(const struct pq_open_with *with, struct pq_text schema, pqdb_error *err);
pqdb_code pq_db_open_with(const struct pq_open_with *with, const pqdb_options *options,
                          pqdb_db **db, pqdb_error *err);

#endif
