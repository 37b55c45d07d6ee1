/// db/listen.h: what a view puts out while another one is built over it.
///
/// The changes of a collection are in the log, and those of a view follow from them; not so where a
/// view keeps what came of rows that are gone. A build over one reads its stored rows and then,
/// beside the log, what steps have brought into it since. It is held in memory; what is too much
/// is not, and the build begins again while writers wait.
/// Thread: the leader adds, the owner of the build (`building`) reads.
#ifndef PQ_DB_LISTEN_H
#define PQ_DB_LISTEN_H

#include <parquedb/db.h>
#include <stdatomic.h>

#include "batch/hold.h"

struct pq_db_table;
struct pq_db_stepped;

struct pq_db_heard {
    _Atomic(struct pq_db_heard *) next;
    uint64_t version;
    struct pq_hold *hold;  // owned
    struct pq_batch rows;
};

struct pq_db_listener {
    struct pq_db_table *to;  // the view that is listened to; NULL: nobody listens
    _Atomic(struct pq_db_heard *) first;
    struct pq_db_heard *last;  // leader
    size_t bytes, bytes_max;
    _Atomic(pqdb_code) code;  // not PQDB_OK: it does not have all; PQDB_LIMIT: that is too much
};

/// Leader: from the next step on. / It is forgotten.
void pq_db_listen(pqdb_db *db, struct pq_db_table *view);
void pq_db_listen_end(pqdb_db *db);

/// Leader, within a step.
void pq_db_hear(pqdb_db *db, const struct pq_db_stepped *stepped);

#endif
