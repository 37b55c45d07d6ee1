/// A small database with every kind of file, for tests that damage it: links, a unique field,
/// variants, a stream, views of all kinds, data files with deletions, filters and links beside
/// them, states, tokens, carried rows, two roots, a log of several segments with a tail.
#ifndef PQ_TEST_RICH_DB_H
#define PQ_TEST_RICH_DB_H

#include "base/bytes.h"
#include "db/open_with.h"

/// In an empty store. Ends the test program when something fails.
void rich_db_make(struct pq_store *store);

/// How it is opened; `location` as when it was made.
struct pq_open_with rich_db_with(struct pq_store *store);

/// Every row of every collection and view but their times, and looks by id and through links, as
/// text with a NUL behind it; or the first error.
pqdb_code rich_db_dump(pqdb_db *db, struct pq_bytes *out, pqdb_error *err);

/// Files of the store, paths in `arena`; those of `lock`, and below damaged/, are left out.
struct rich_files {
    const char **paths;
    uint64_t *bytes;
    size_t count;
};
void rich_db_files(struct pq_store *store, struct pq_arena *arena, struct rich_files *files);

#endif
