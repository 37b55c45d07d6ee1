/// What tests of a whole database do again and again, each in one call that must succeed: what
/// fails is a failed CHECK, and where nothing could follow, the test program ends.
#ifndef PQ_TEST_DB_CALLS_H
#define PQ_TEST_DB_CALLS_H

#include "base/bytes.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

/// For calls that fill `err`, the test's own.
#define MUST(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

/// In `disk`, by the clock of db_world.h, log segments of 64 KiB, nothing in the background.
struct pq_open_with db_with(struct fault_store *disk);

pqdb_db *db_open(struct pq_open_with with);
pqdb_db *db_make(struct pq_open_with with, const char *schema);
pqdb_db *db_reopen(pqdb_db *db, struct pq_open_with with);
/// The disk goes as well.
void db_end(pqdb_db *db, struct fault_store *disk);

/// `rows` as pqdb_create takes them, in one commit.
void db_put(pqdb_db *db, const char *collection, const char *rows);

/// `filter` may be NULL.
uint64_t db_count(pqdb_db *db, const char *name, const char *filter);

/// The answer of pqdb_find as NDJSON with a NUL behind; freed with pq_bytes_deinit. `options` may
/// be NULL.
struct pq_bytes db_rows(pqdb_db *db, const char *name, const pqdb_find_options *options);
void db_check_rows(pqdb_db *db, const char *name, const char *expected);

/// The view is what its definition makes of its sources at the version that it shows.
void db_verify(pqdb_db *db, const char *view);

/// Files that stand in `directory`; 0 if it is not there.
size_t db_files(struct pq_store *store, const char *directory);

#endif
