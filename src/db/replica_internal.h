/// What replica.c and replica_steps.c share.
#ifndef PQ_DB_REPLICA_INTERNAL_H
#define PQ_DB_REPLICA_INTERNAL_H

#include "db/replica.h"

struct pq_db_part *pq_db_replica_part(const struct pq_db_member *member);
/// What a step finds behind links: the tables as they are after it (NULL: now, for the leader).
void pq_db_replica_show_linked(struct pq_db_replica *replica,
                               const struct pq_db_snapshot *snapshot);
/// Sources are as the snapshot, of which a reference is taken, has them.
void pq_db_replica_take(struct pq_db_replica *replica, struct pq_db_snapshot *snapshot);
/// What a member puts out, into memory or, where that is too much, into files.
pqdb_code pq_db_replica_put(struct pq_db_replica *replica, const struct pq_db_member *member,
                            const struct pq_batch *rows, struct pq_hold *hold, uint64_t version,
                            pqdb_error *err);

#endif
