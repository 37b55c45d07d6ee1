/// state/trace.h: keyed state, the one structure behind groups, tokens, unique values, multisets.
///
/// Key bytes -> payload bytes, three levels deep: a hash table of (tag, row address) over
/// append-only
/// slabs over immutable sorted runs. All rows of a slab belong to one epoch; touching a row of an
/// older epoch copies it into the current slab. So `freeze` is O(1), the frozen slabs are the
/// list of
/// what changed since the last freeze, and a background thread can sort and write them as a run
/// while
/// the owner goes on. A key that is not in memory is looked up in the runs, newest first.
///
/// Thread: one owner; only `pq_trace_write` and `pq_run_merge` may run beside it.
/// Invariant: a frozen row never changes; a slot points to the newest row of its key.
#ifndef PQ_STATE_TRACE_H
#define PQ_STATE_TRACE_H

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/text.h"
#include "state/run.h"

/// 8-aligned in its slab; the key follows, then, 8-aligned, the payload.
struct pq_trace_row {
    uint64_t hash;
    uint32_t epoch;
    uint32_t slab;  // number of its slab
    uint32_t key_bytes;
    uint32_t payload_bytes;
    uint32_t payload_room;
    uint32_t flags;  // enum pq_trace_flags
};
enum pq_trace_flags {
    PQ_TRACE_DEAD = 1,      ///< a tombstone
    PQ_TRACE_REPLACED = 2,  ///< a newer row of the same key and epoch exists
};

static inline struct pq_text pq_trace_key(const struct pq_trace_row *row) {
    return (struct pq_text){(const char *)(row + 1), row->key_bytes};
}
static inline uint8_t *pq_trace_payload(struct pq_trace_row *row) {
    return (uint8_t *)(row + 1) + ((row->key_bytes + 7u) & ~7u);
}

struct pq_trace_slab;
struct pq_multiset;
struct pq_multiset_piece;

/// Kind WEIGHTS_ADD has no slots and slabs, but a multiset: see state/multiset.h for what is done
/// with it. Open, freeze, write, install, replace, clear and bytes are the same for both.
struct pq_trace {
    enum pq_trace_kind kind;
    const struct pq_alloc *alloc;  // borrowed
    uint64_t *slots;      // owned: tag 16 | row address 48; 0 is empty, 1 was left
    size_t slot_count;    // power of two, or 0
    size_t slots_used;    // left ones and tombstones included
    size_t live_rows;     // in memory
    struct pq_trace_slab *slabs;   // owned, newest first
    struct pq_trace_slab **table;  // owned array: a row's `slab` -> the slab, NULL where freed
    size_t table_count, table_capacity;
    struct pq_trace_slab *tidied;  // of them, or NULL: takes the rows that are left of sparse ones
    size_t dirty_slabs;    // the newest ones, of epochs after clean_epoch
    size_t dirty_bytes;    // held by them
    uint32_t epoch;        // from 1
    uint32_t clean_epoch;  // rows up to this epoch are in the runs
    struct pq_run **runs;  // owned references, newest first
    size_t run_count, run_capacity;
    size_t bytes_held;     // slabs, slots and table
    struct pq_bytes room;  // of look-ups in runs
    struct pq_multiset *multiset;  // owned, NULL until something is added
    struct pq_trace *parent;       // borrowed: what a branch does not know itself; or NULL
};

void pq_trace_init(struct pq_trace *trace, enum pq_trace_kind kind, const struct pq_alloc *alloc);
void pq_trace_deinit(struct pq_trace *trace);

/// Start from runs, newest first. The trace must be empty.
/// Cost: two reads a run. Errors: as pq_run_open; the trace is empty then.
pqdb_code pq_trace_open(struct pq_trace *trace, const struct pq_run_io *io,
                        const struct pq_run_name *runs, size_t run_count, pqdb_error *err);

/// An empty trace that reads through `parent` and writes to itself: another future of the same
/// state, which may be thrown away. Where it is asked the parent is read too, in its memory. It is
/// of no more use once the parent has changed; what freezing, writing, installing and evicting do
/// is no change. A branch is not frozen.
void pq_trace_branch(struct pq_trace *trace, struct pq_trace *parent);

/// The live row of a key, or NULL in `*row`. It may not be written to; valid until the next touch
/// or resize.
/// Cost: 5-40 ns in memory; not there: a filter probe a run, and one block read.
pqdb_code pq_trace_find(struct pq_trace *trace, const struct pq_hashed_key *key,
                        struct pq_trace_row **row, pqdb_error *err);

/// The row of a key, writable in the current epoch, made with `payload_bytes` zeros when it was not
/// there (`*created`). Valid until the next freeze, resize of this row or remove.
/// Errors: PQDB_NO_MEMORY, PQDB_CORRUPT, PQDB_IO, PQDB_LIMIT (row beyond 1 GiB); nothing changed.
pqdb_code pq_trace_touch(struct pq_trace *trace, const struct pq_hashed_key *key,
                         size_t payload_bytes, struct pq_trace_row **row, bool *created,
                         pqdb_error *err);

/// Bring the slot a later touch will read into the cache.
static inline void pq_trace_prefetch(const struct pq_trace *trace, uint64_t hash) {
    if (trace->slot_count > 0) __builtin_prefetch(&trace->slots[hash & (trace->slot_count - 1)]);
}

/// A little later: the row itself.
static inline void pq_trace_prefetch_row(const struct pq_trace *trace, uint64_t hash) {
    if (trace->slot_count == 0) return;
    const uint64_t slot = trace->slots[hash & (trace->slot_count - 1)];
    if (slot >> 48 == hash >> 48) {
        const char *row = (const char *)(uintptr_t)(slot & UINT64_C(0x0000FFFFFFFFFFFF));
        __builtin_prefetch(row);
        __builtin_prefetch(row + 64);
    }
}

/// Change the payload's length; new bytes are zeros. The row may move: `*row` follows. The row must
/// come from touch in this epoch.
pqdb_code pq_trace_resize(struct pq_trace *trace, struct pq_trace_row **row, size_t payload_bytes,
                          pqdb_error *err);

/// The key is gone. The row must come from touch in this epoch; a later touch makes it anew.
void pq_trace_remove(struct pq_trace *trace, struct pq_trace_row *row);

/// Every live row, in no order: `each` gets key and payload as views. It must not use the trace.
pqdb_code pq_trace_each(struct pq_trace *trace,
                        pqdb_code (*each)(void *ctx, const struct pq_run_row *row,
                                          pqdb_error *err),
                        void *ctx, pqdb_error *err);

/// Forget everything, runs too.
void pq_trace_clear(struct pq_trace *trace);

/// The rows that changed since the last freeze (and since earlier freezes not yet installed).
struct pq_trace_frozen {
    const struct pq_trace_slab *newest;  // view into the trace until installed
    size_t slab_count;
    uint32_t epoch;   // the last one frozen
    bool first_run;   // no run exists: tombstones need not be written
    enum pq_trace_kind kind;
    const struct pq_multiset_piece *pieces;  // view, likewise
};

/// O(1), allocates nothing. One frozen part at a time: it is installed or dropped before the next
/// freeze, which then includes it.
struct pq_trace_frozen pq_trace_freeze(struct pq_trace *trace);

/// Write the frozen rows as a run; any thread, beside the owner. `name->rows` 0 means that
/// nothing had changed and no run was written.
pqdb_code pq_trace_write(const struct pq_trace_frozen *frozen, const struct pq_run_place *place,
                         struct pq_run_name *name, pqdb_error *err);

/// The owner learns that the frozen part is written (`run` NULL: it was empty). Takes a reference.
/// Errors: PQDB_NO_MEMORY, nothing changed.
pqdb_code pq_trace_install(struct pq_trace *trace, const struct pq_trace_frozen *frozen,
                           struct pq_run *run, pqdb_error *err);

/// Put `merged` (NULL: nothing was left) in the place of runs [first, first + count).
void pq_trace_replace(struct pq_trace *trace, size_t first, size_t count, struct pq_run *merged);

/// The owner: clean slabs in which few newest rows are left are emptied and freed, looking at no
/// more than `rows_max` rows and those of one slab. Returns how many may still be looked at.
size_t pq_trace_tidy(struct pq_trace *trace, size_t rows_max);

/// Drop clean slabs, oldest first, until at most `bytes_max` are held or no clean slab is left,
/// looking at no more than `rows_max` rows. What is dropped is found in the runs again. Returns how
/// many rows may still be looked at.
size_t pq_trace_evict(struct pq_trace *trace, size_t bytes_max, size_t rows_max);

/// Bytes of memory held; and those of what changed since the last install, which cannot be evicted.
size_t pq_trace_bytes(const struct pq_trace *trace);
size_t pq_trace_dirty_bytes(const struct pq_trace *trace);

#endif
