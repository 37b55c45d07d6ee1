/// state/run_internal.h: an open run, and its blocks (run_read.c, run_weighted.c).
#ifndef PQ_STATE_RUN_INTERNAL_H
#define PQ_STATE_RUN_INTERNAL_H

#include "state/run_format.h"
#include "state/weighted.h"

struct pq_run {
    struct pq_run_io io;
    struct pq_run_name name;
    enum pq_trace_kind kind;
    const struct pq_alloc *alloc;
    uint8_t *index;  // owned, RUN_INDEX_ENTRY each
    size_t block_count;
    uint8_t *filter;  // owned, NULL until the first look-up
    uint64_t filter_lines, filter_offset, filter_check;
    _Atomic uint32_t references;
};

static inline uint64_t run_block_hash(const struct pq_run *run, size_t block) {
    return pq_load_u64(run->index + block * RUN_INDEX_ENTRY);
}

/// Errors: PQDB_CORRUPT, with the run's id and the offset in its file.
pqdb_code run_corrupt(const struct pq_run *run, uint64_t offset, const char *what,
                      pqdb_error *err);
pqdb_code run_bad_row(const struct pq_run *run, size_t block, pqdb_error *err);

/// The block's bytes, checked, as all there is in `room`.
pqdb_code run_read_block(const struct pq_run *run, size_t block, struct pq_bytes *room,
                         pqdb_error *err);

/// Can the run know the hash? Reads the filter when it is asked first.
pqdb_code run_may_have(struct pq_run *run, uint64_t hash, bool *may_have, pqdb_error *err);

/// A block of a WEIGHTS_ADD run, decoded. `room` is for its bytes.
pqdb_code run_block_rows(const struct pq_run *run, size_t block, struct pq_bytes *room,
                         struct weighted_rows *rows, pqdb_error *err);

/// The last block of a WEIGHTS_ADD run that does not begin behind the key; or the first.
pqdb_code run_block_of(const struct pq_run *run, const struct pq_hashed_key *at,
                       struct pq_bytes *room, size_t *block, pqdb_error *err);

#endif
