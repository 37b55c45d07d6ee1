/// collection/unique.h: fields that are declared unique (`##`).
///
/// An index from value to `$id`, kept in memory by the leader. It needs no upkeep where rows change
/// or go (ENGINE R3): an entry says who had the value last, and whether that row still has it is
/// looked up. It is built by one scan at the first write after an open, and follows every commit
/// from then on; losing it costs only another scan.
#ifndef PQ_COLLECTION_UNIQUE_H
#define PQ_COLLECTION_UNIQUE_H

#include "collection/delta.h"
#include "state/trace.h"
#include "table/fetch.h"
#include "type/schema.h"

struct pq_unique {
    const struct pq_entry *entry;
    const struct pq_alloc *alloc;
    struct pq_trace holders;  // position of the field, canonical value -> $id
    bool is_warm;             // it knows every live row
};

/// Does the entry declare a unique field?
bool pq_entry_has_unique(const struct pq_entry *entry);

void pq_unique_init(struct pq_unique *unique, const struct pq_entry *entry,
                    const struct pq_alloc *alloc);
void pq_unique_deinit(struct pq_unique *unique);

/// What a write may not take.
struct pq_unique_clash {
    uint32_t row;                 // of the delta
    const struct pq_field *field;
    struct pq_text holder;        // $id of the row that has the value
    bool in_batch;                // that is a row of the same write
};
struct pq_unique_clashes {
    struct pq_unique_clash *items;  // ascending by row
    size_t count, capacity;
    const uint64_t *hashes;         // of all values that the delta takes or frees
    size_t hash_count;
};

/// Compare the rows that come with what is live in `snapshot`, which is the state before them. Rows
/// that the same delta takes away hold nothing. Missing values are never alike.
///
/// Owns    everything is in `arena`
/// Cost    a look-up a value; the first time a scan of the unique fields
/// Errors  those of pq_scan_next and pq_table_fetch
pqdb_code pq_unique_check(struct pq_unique *unique, const struct pq_write_delta *delta,
                          struct pq_table_snapshot *snapshot, struct pq_arena *arena,
                          struct pq_unique_clashes *clashes, pqdb_error *err);

/// The rows are there now. When memory is out the index goes cold.
void pq_unique_note(struct pq_unique *unique, const struct pq_batch *delta);

#endif
