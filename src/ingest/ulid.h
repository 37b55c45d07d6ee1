/// ingest/ulid.h: generated ids, lower-case ULIDs: 48 bits of milliseconds since 1970, 80 bits of
/// randomness, as 26 characters of Crockford's base 32.
///
/// Ids of one generator rise strictly: within a millisecond (or when the clock goes back) the next
/// one is the last one plus one.
#ifndef PQ_INGEST_ULID_H
#define PQ_INGEST_ULID_H

#include "base/env.h"
#include "type/type.h"

enum { PQ_ULID_LENGTH = 26 };

struct pq_ulids {
    const struct pq_env *env;  // borrowed
    pq_u128 last;
    bool started;
};

void pq_ulids_init(struct pq_ulids *ulids, const struct pq_env *env);

/// The first of `count` consecutive ids: the others are the following numbers.
pq_u128 pq_ulids_take(struct pq_ulids *ulids, uint64_t count);

/// Exactly PQ_ULID_LENGTH characters, no NUL. Order of texts is order of numbers.
void pq_ulid_format(pq_u128 ulid, char out[PQ_ULID_LENGTH]);

#endif
