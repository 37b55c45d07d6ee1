/// A small database in any store, for the tests that break the store or the memory below it: a
/// schema with every kind of view, commits that tell of themselves, and the look afterwards.
///
/// Commit i writes db_world_rows(i) rows whose field `commit` is i, into Item, or every third one
/// into the stream Feed, with the token "t<i>".
#ifndef PQ_TEST_DB_WORLD_H
#define PQ_TEST_DB_WORLD_H

#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>

#include "db/open_with.h"

/// A clock that ticks and dice that repeat; sleeping takes no time. Any thread.
extern const struct pq_env db_world_env;

extern const char db_world_schema[];

size_t db_world_rows(unsigned commit);
pqdb_code db_world_init(struct pq_store *store, const struct pq_alloc *alloc, pqdb_error *err);
pqdb_code db_world_open(struct pq_store *store, const struct pq_alloc *alloc, pqdb_db **db,
                        pqdb_error *err);
pqdb_code db_world_commit(pqdb_db *db, unsigned commit, pqdb_error *err);

/// Every row of commits 1..acknowledged is there once, those of later ones up to `attempted` whole
/// or not at all, and none else. A problem is a failed CHECK that says `what` and `number`. Returns
/// the last commit that is there.
unsigned db_world_check_rows(pqdb_db *db, unsigned acknowledged, unsigned attempted,
                             const char *what, long number);

/// The same, and db_world_verify.
unsigned db_world_check(pqdb_db *db, unsigned acknowledged, unsigned attempted, const char *what,
                        long number);

/// Every view verified, the lagging ones refreshed before.
void db_world_verify(pqdb_db *db, const char *what, long number);

#endif
