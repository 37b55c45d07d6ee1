/// store/pace.h: background writing and deleting that leave the disk to the commits (ENGINE R2).
///
/// Three rules. Data is written in steps of at most PQ_PACE_STEP_BYTES, each followed by a sync, at
/// a bounded rate; the rate is halved when a commit's sync took more than 8 times their average and
/// raised slowly again; without a commit for PQ_PACE_IDLE_NS there is no bound. A file is never
/// removed at once: its name goes, the open file shrinks by one step every PQ_PACE_SHRINK_NS, and
/// the more slowly the lower the rate is: a file system may tell the disk of all that becomes free,
/// and a commit's sync then waits for that as for a write.
/// One pace per database. Thread: any; `note_sync` never waits for the others.
#ifndef PQ_STORE_PACE_H
#define PQ_STORE_PACE_H

#include <stdatomic.h>

#include "base/env.h"
#include "store/store.h"

enum {
    PQ_PACE_STEP_BYTES = 1 << 20,
    PQ_PACE_RATE_MAX = 200 * 1000 * 1000,  // bytes a second
    PQ_PACE_RATE_MIN = 10 * 1000 * 1000,
    PQ_PACE_SHRINK_NS = 5 * 1000 * 1000,  // at the highest rate
    PQ_PACE_GRAVES_MAX = 256,             // open files
    PQ_PACE_BURIED_MAX = 1 << 30,         // bytes; with more there is no rest
    PQ_PACE_IDLE_NS = 500 * 1000 * 1000,
};

struct pq_pace;

/// `env` and `store` are borrowed until destroy. Errors: NO_MEMORY.
pqdb_code pq_pace_create(struct pq_store *store, const struct pq_env *env, struct pq_pace **pace,
                         pqdb_error *err);
/// Buried files that are left are closed (and so freed by the store) at once.
void pq_pace_destroy(struct pq_pace *pace);

/// The leader's report: its sync took so long. Cost: some atomic operations.
void pq_pace_note_sync(struct pq_pace *pace, uint64_t sync_ns);

/// Bytes a second that background writers may write now; UINT64_MAX when nobody commits.
uint64_t pq_pace_rate(const struct pq_pace *pace);

/// Write at `offset` in steps, each synced, waiting between them as the rate demands. Afterwards
/// everything is durable. Buried files shrink meanwhile. `pace` NULL: no waiting.
pqdb_code pq_pace_write(struct pq_pace *pace, struct pq_file *file, uint64_t offset,
                        struct pq_text data, pqdb_error *err);

/// Wait as a writer of `bytes` elsewhere would have to (a library that writes for itself).
void pq_pace_spend(struct pq_pace *pace, uint64_t bytes);

/// Remove the name now and the bytes later, by pq_pace_shrink; those of a file of at most one step
/// at once when PQ_PACE_GRAVES_MAX wait already. NOT_FOUND when it does not exist.
pqdb_code pq_pace_bury(struct pq_pace *pace, const char *path, pqdb_error *err);

/// Shrink the oldest buried file by one step, if the last step is long enough ago. Returns in how
/// many ns the next call is due, UINT64_MAX when the graveyard is empty.
uint64_t pq_pace_shrink(struct pq_pace *pace);

/// Files still shrinking.
size_t pq_pace_buried(struct pq_pace *pace);

#endif
