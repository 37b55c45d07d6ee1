/// db/spill.h: what outgrows the budget before a checkpoint can name it: the state and the rows of
/// a view that is being built, and all of a database that replays its log.
///
/// Files made so are as those of a checkpoint. Until a root names them they are nobody's: what a
/// crash leaves of them the next opening removes, and while a spill is under way garbage collection
/// leaves what it does not know.
#ifndef PQ_DB_SPILL_H
#define PQ_DB_SPILL_H

#include "db/db_internal.h"
#include "flow/node_spill.h"

/// Its owner's memory, from begin to end.
struct pq_db_spill {
    struct pq_spill states;
    pqdb_db *db;
    struct pq_db_spill *next;
    uint64_t first_id;  // of its runs
};

/// `spill->states` may be used until end, unless the database is read only: then NULL is returned.
const struct pq_spill *pq_db_spill_begin(pqdb_db *db, struct pq_db_spill *spill);
void pq_db_spill_end(struct pq_db_spill *spill);

/// Any thread: does any go on? And is the run perhaps one of theirs?
bool pq_db_spills(pqdb_db *db);
bool pq_db_spills_run(pqdb_db *db, uint64_t id);

/// Rows in memory, of which there are some, become a file below `table->directory`; `rows` is the
/// caller's own, or the leader's. `version` begins the file's name. `rows` is published.
/// Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_db_write_rows(pqdb_db *db, const struct pq_db_table *table, struct pq_table *rows,
                           uint64_t version, pqdb_error *err);
/// The same where they are too many.
pqdb_code pq_db_spill_rows(pqdb_db *db, const struct pq_db_table *table, struct pq_table *rows,
                           uint64_t version, pqdb_error *err);
/// The files of a table that never became the database's.
void pq_db_spill_bury(pqdb_db *db, const struct pq_table *rows);

/// While the log is replayed: rows and states of every table.
pqdb_code pq_db_spill_replay(pqdb_db *db, pqdb_error *err);

#endif
