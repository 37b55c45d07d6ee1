/// db/memory.h: one budget for all that a database holds in memory.
///
/// Memtables may take a quarter: past a quarter of that a checkpoint is wanted, past all of it
/// writers wait for one. An eighth is left to steps, scans and answers, which are bounded by what
/// they are asked. Beside them stand the indexes of files (filters of ids, runs of links, page
/// indexes), some bits a row. What is left is for the views' states, and for decoded pages as far
/// as states leave it; less where all others together hold more than was set aside for them, as
/// checkpoints and merges do for a while. Each of the two has a floor, below which the budget is
/// too small and is not kept. States that are in runs leave memory, oldest first; what changed
/// since the last checkpoint cannot, so a checkpoint is wanted when that is half of their share.
#ifndef PQ_DB_MEMORY_H
#define PQ_DB_MEMORY_H

#include <parquedb/db.h>

#include "base/account.h"

/// Any thread reads the accounts.
struct pq_db_memory {
    struct pq_account total;   // everything, free blocks that are kept as well
    struct pq_account states;  // of views: rows, slots, indexes and filters of runs
    struct pq_account files;   // open data files: indexes, and decoded pages
    size_t limit;
    size_t rows_max;           // of memtables
};

/// By db->options.memory_bytes, 0: half of the machine's memory.
void pq_db_memory_init(pqdb_db *db, const struct pq_alloc *alloc);

size_t pq_db_states_max(const pqdb_db *db);
size_t pq_db_pages_max(const pqdb_db *db);
/// What an answer or a change that begins now may hold: an eighth, or half of what nobody has, and
/// as much as a few blocks in any case.
size_t pq_db_answer_max(const pqdb_db *db);

/// Leader: is there more in memtables, or in states that changed, than should be before the next
/// checkpoint? Or so much that writers should wait for it? `backlog`: how much of that, in 1024ths.
enum pq_db_pressure { PQ_DB_AT_EASE, PQ_DB_WANTS_CHECKPOINT, PQ_DB_MUST_WAIT };
enum pq_db_pressure pq_db_pressure(const pqdb_db *db, uint32_t *backlog);

/// Leader, between two steps: states above their share leave memory, `rows_max` rows at most, and
/// the cache of pages gets what is left. False: there is more to be done.
bool pq_db_memory_fit(pqdb_db *db, size_t rows_max);

/// After a checkpoint, under `refreshing`: slabs of states in which little is left are emptied,
/// with the leader's lock taken a few milliseconds at a time.
void pq_db_tidy_states(pqdb_db *db);

/// As pq_db_memory_fit, a few milliseconds at a time, until nothing is left.
void pq_db_memory_fit_all(pqdb_db *db);

void pq_db_memory_status(pqdb_db *db, pqdb_status *status);  // leader

#endif
