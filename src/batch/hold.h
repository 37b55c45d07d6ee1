/// batch/hold.h: shared ownership of the memory under a batch. Whoever keeps columns beyond the
/// step that made them keeps the hold; the last one to let go frees arena and dictionaries.
#ifndef PQ_BATCH_HOLD_H
#define PQ_BATCH_HOLD_H

#include <parquedb/error.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "batch/column.h"

struct pq_hold_link;

struct pq_hold {
    struct pq_arena arena;  // the batch's memory; one thread fills it, then it is read only
    atomic_uint references;
    const struct pq_alloc *alloc;
    struct pq_hold_link *links;  // dictionaries kept alive, in `arena`
};

/// Errors: PQDB_NO_MEMORY.
pqdb_code pq_hold_create(const struct pq_alloc *alloc, struct pq_hold **hold, pqdb_error *err);
struct pq_hold *pq_hold_ref(struct pq_hold *hold);
void pq_hold_unref(struct pq_hold *hold);  // NULL is fine

/// Is the caller the only one who holds it? Then pq_hold_reset empties it for the next use; memory
/// is kept as in pq_arena_reset.
bool pq_hold_is_alone(const struct pq_hold *hold);
void pq_hold_reset(struct pq_hold *hold);

/// A hold with a copy of the rows and their weights that pins nothing else but dictionaries and
/// names.
pqdb_code pq_hold_copy(const struct pq_batch *batch, const struct pq_alloc *alloc,
                       struct pq_hold **hold, struct pq_batch *copy, pqdb_error *err);

/// Keep every dictionary the batch's columns use (each once).
pqdb_code pq_hold_keep_dictionaries(struct pq_hold *hold, const struct pq_batch *batch,
                                    pqdb_error *err);

#endif
