/// db/readers.h: processes that read while another one writes.
///
/// A reader opens a root and replays the log behind it, once. For as long as it is open it shares
/// a lock on the root's version in the file `readers`; the system lets go of it when the process
/// ends, however it ends. What a root no longer names is removed only when nobody reads an older
/// one.
#ifndef PQ_DB_READERS_H
#define PQ_DB_READERS_H

#include "db/db_internal.h"

/// The newest root, in `arena`; *found false: there is none yet. A reader has registered for it
/// before anything it names can be removed: db->lock, NULL where that is not possible because the
/// file is not there and cannot be made: then nobody can write either.
pqdb_code pq_db_open_root(pqdb_db *db, struct pq_arena *arena, struct pq_root *root, bool *found,
                          pqdb_error *err);

/// Does anybody read a root of a version below this one? Who cannot tell says yes.
bool pq_db_is_read(pqdb_db *db, uint64_t below);

#endif
