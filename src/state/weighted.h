/// state/weighted.h: keys with weights in the order of runs: the pieces of a multiset in memory,
/// and a decoded block of a run.
#ifndef PQ_STATE_WEIGHTED_H
#define PQ_STATE_WEIGHTED_H

#include "base/bytes.h"
#include "state/run.h"

struct weighted {
    uint64_t hash;
    uint32_t offset, length;  // of the key in `keys`
    int64_t weight;
};

/// Owns both arrays. `is_sorted`: ascending by (hash, key), no key twice.
struct weighted_rows {
    struct weighted *rows;
    size_t count, capacity;
    struct pq_bytes keys;
    bool is_sorted;
};

void weighted_init(struct weighted_rows *rows, const struct pq_alloc *alloc);
void weighted_deinit(struct weighted_rows *rows);
size_t weighted_bytes(const struct weighted_rows *rows);

/// Append a row whose key's bytes are at the end of `keys` already. Errors: PQDB_NO_MEMORY,
/// PQDB_LIMIT (4 GiB of keys).
pqdb_code weighted_push(struct weighted_rows *rows, uint64_t hash, size_t key_start,
                        int64_t weight, pqdb_error *err);

static inline struct pq_text weighted_key(const struct weighted_rows *rows, size_t at) {
    return (struct pq_text){(const char *)rows->keys.data + rows->rows[at].offset,
                            rows->rows[at].length};
}

/// <0, 0, >0 as row `at` lies before, at or behind (hash, key).
int weighted_compare(const struct weighted_rows *rows, size_t at, uint64_t hash,
                     struct pq_text key);

/// The first row that does not lie before (hash, key).
size_t weighted_find(const struct weighted_rows *rows, uint64_t hash, struct pq_text key);

/// Sort; weights of equal keys add up, zeros vanish. Without memory it takes its time.
void weighted_sort(struct weighted_rows *rows);

/// Give back the memory that sorted rows do not need, if that is most of it.
void weighted_shrink(struct weighted_rows *rows);

/// All rows of several sorted pieces in order, weights of equal keys added up, zeros left out.
pqdb_code weighted_merge_each(const struct weighted_rows *const *pieces, size_t count,
                              const struct pq_alloc *alloc,
                              pqdb_code (*each)(void *ctx, const struct pq_run_row *row,
                                                pqdb_error *err),
                              void *ctx, pqdb_error *err);

#endif
