/// flow/group_keys.h: which group a row belongs to, quickly.
///
/// Each key column maps its values to small ids (dictionary codes, or a memo of 8-byte values)
/// whose
/// canonical bytes and hashes are remembered from batch to batch; the ids of a row lead to its
/// group
/// row through a direct-mapped cache. Only what misses assembles key bytes and asks the trace.
#ifndef PQ_FLOW_GROUP_KEYS_H
#define PQ_FLOW_GROUP_KEYS_H

#include "flow/flow_internal.h"

struct key_memo;
struct key_slot;

struct group_keys {
    const struct pq_alloc *alloc;
    size_t count;            // key columns
    struct key_memo *memos;  // owned, [count]
    struct key_slot *slots;  // owned, the cache
    size_t slot_count;
    uint32_t epoch;  // of the trace that the cache points into
};

pqdb_code group_keys_init(struct group_keys *keys, size_t count, const struct pq_alloc *alloc,
                          pqdb_error *err);
void group_keys_deinit(struct group_keys *keys);

/// Forget which rows there are (the trace was cleared).
void group_keys_forget(struct group_keys *keys);

/// Memory that the memos and the cache hold.
size_t group_keys_bytes(const struct group_keys *keys);

/// Rows to be looked up, and where the answer goes.
struct key_rows {
    const struct pq_column *columns;  // [keys->count], `count` rows each
    size_t count;
    size_t payload_bytes;  // of a new group's row
    /// Called for each group that was not there: fill its row. `batch_row` belongs to it.
    pqdb_code (*make)(void *ctx, struct pq_trace_row **row, size_t batch_row, pqdb_error *err);
    void *ctx;
    struct pq_trace_row **rows;  // [count] out: writable in the trace's epoch
};
pqdb_code group_keys_touch(struct group_keys *keys, struct pq_trace *trace,
                           const struct key_rows *given, struct pq_arena *arena, pqdb_error *err);

/// Where rows belong, without asking the trace: the keys and hashes of their groups, in `arena`.
/// `places` has room for `count`.
pqdb_code group_keys_places(const struct pq_column *columns, size_t column_count, size_t count,
                            struct pq_arena *arena, struct pq_multiset_place *places,
                            pqdb_error *err);

#endif
