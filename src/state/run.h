/// state/run.h: an immutable file of keyed rows sorted by (hash, key), as a trace writes it.
///
///     offset  what
///     0       blocks, each at most PQ_RUN_BLOCK_BYTES unless one row alone is larger:
///             u64 check (pq_hash of the rest) | u32 bytes | u32 rows | rows
///               row: u64 hash | varint key bytes | varint (payload bytes << 1 | dead) | both
///     ...     index: per block u64 first hash | u64 offset | u32 bytes | u32 rows
///     ...     filter: 10 bits a key in 64-byte lines, 6 bits of one line set per key
///     end-72  u64 magic | u64 rows | u64 dead | u64 blocks | u64 index offset | u64 filter offset
///             | u64 check of index | u64 check of filter | u64 check of the 64 bytes before
///
/// All integers little-endian. A `dead` row is a tombstone: older runs may know the key.
///
/// A run of a multiset (magic "PQPQRUN2") has weights that add up with those of other runs, and no
/// dead rows. Its rows:
///             varint (1 + bytes shared with the key before) | varint bytes that follow | bytes
///             | zigzag varint weight
///     where 0 in place of the first varint says that the hash is a new one: u64 hash, whole key.
///     The first row of a block is whole. Its filter has one entry a hash.
#ifndef PQ_STATE_RUN_H
#define PQ_STATE_RUN_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/text.h"

enum { PQ_RUN_BLOCK_BYTES = 4096 };

/// Where runs live. db fills it with the store, tests with memory. Ids are chosen by the caller and
/// never used twice. `append` and `finish` are called by one thread per run, `read` by any.
struct pq_run_io {
    pqdb_code (*append)(void *ctx, uint64_t id, const void *data, size_t length, pqdb_error *err);
    pqdb_code (*finish)(void *ctx, uint64_t id, pqdb_error *err);  // durable after this
    pqdb_code (*read)(void *ctx, uint64_t id, uint64_t offset, void *out, size_t length,
                      pqdb_error *err);
    /// Name the run's file in an error; NULL: it has no name.
    void (*blame)(void *ctx, uint64_t id, pqdb_error *err);
    void *ctx;
};

/// What a root must remember to open a run again.
struct pq_run_name {
    uint64_t id;
    uint64_t length;  // of the file
    uint64_t rows;    // tombstones included
};

/// A key and its hash: any good one, but always the same, because it is stored.
struct pq_hashed_key {
    uint64_t hash;
    struct pq_text bytes;
};

/// What two rows of one key mean: the newer one replaces the older one, or their weights add up.
enum pq_trace_kind { PQ_TRACE_NEWEST_WINS, PQ_TRACE_WEIGHTS_ADD };

/// A row of a run or of a slab, on its way into a run.
struct pq_run_row {
    uint64_t hash;
    struct pq_text key;
    struct pq_text payload;  // NEWEST_WINS
    bool dead;               // likewise
    int64_t weight;          // WEIGHTS_ADD
};

/// <0, 0, >0 in the order of runs.
int pq_run_compare(const struct pq_run_row *a, const struct pq_run_row *b);

/// Writes rows given in strictly ascending order, at most `rows_max` of them.
struct pq_run_writer;
struct pq_run_place {
    const struct pq_run_io *io;
    uint64_t id;
    const struct pq_alloc *alloc;
};
pqdb_code pq_run_writer_create(const struct pq_run_place *place, enum pq_trace_kind kind,
                               uint64_t rows_max, struct pq_run_writer **writer, pqdb_error *err);
/// Errors: PQDB_NO_MEMORY, PQDB_IO. The writer is of no more use then, except to destroy it.
pqdb_code pq_run_writer_append(struct pq_run_writer *writer, const struct pq_run_row *row,
                               pqdb_error *err);
/// Durable afterwards.
pqdb_code pq_run_writer_finish(struct pq_run_writer *writer, struct pq_run_name *name,
                               pqdb_error *err);
void pq_run_writer_destroy(struct pq_run_writer *writer);

/// An open run: the block index in memory, the filter read at the first look-up. Counted; any
/// thread may walk it, one at a time may look keys up.
struct pq_run;

/// Cost: two reads, memory 24 B a block. Errors: PQDB_CORRUPT, PQDB_IO, PQDB_NO_MEMORY.
/// `io` is copied; what it points to outlives the run.
pqdb_code pq_run_open(const struct pq_run_io *io, const struct pq_run_name *name,
                      const struct pq_alloc *alloc, struct pq_run **run, pqdb_error *err);
struct pq_run *pq_run_ref(struct pq_run *run);
void pq_run_unref(struct pq_run *run);
const struct pq_run_name *pq_run_name(const struct pq_run *run);
enum pq_trace_kind pq_run_kind(const struct pq_run *run);
size_t pq_run_bytes_held(const struct pq_run *run);

/// Read what the first look-up would read besides its block, before others know the run.
/// Errors: as pq_run_open.
pqdb_code pq_run_warm(struct pq_run *run, pqdb_error *err);

/// Read all of it: every block and row, the filter. Errors: PQDB_CORRUPT with the offset, PQDB_IO,
/// PQDB_NO_MEMORY.
pqdb_code pq_run_check(struct pq_run *run, uint64_t *rows, pqdb_error *err);

/// Look a key of a NEWEST_WINS run up. `*found` with the row as a view into `room` (a buffer of the
/// caller's that is reused from call to call), dead or not. Cost: a miss is a filter probe; a hit
/// reads one block.
pqdb_code pq_run_find(struct pq_run *run, const struct pq_hashed_key *key, struct pq_bytes *room,
                      struct pq_run_row *row, bool *found, pqdb_error *err);

/// Walk all rows in order, a block at a time. The row is a view until the next call.
struct weighted_rows;
struct pq_run_cursor {
    struct pq_run *run;  // borrowed
    struct pq_bytes block;
    size_t block_index;
    const uint8_t *at, *end;
    uint32_t rows_left;           // in this block
    struct weighted_rows *rows;   // owned: the block of a WEIGHTS_ADD run, decoded
};
void pq_run_cursor_init(struct pq_run_cursor *cursor, struct pq_run *run,
                        const struct pq_alloc *alloc);
void pq_run_cursor_deinit(struct pq_run_cursor *cursor);
/// Go on at or up to a block before the first row whose hash is at least `hash`.
void pq_run_cursor_seek(struct pq_run_cursor *cursor, uint64_t hash);
/// `*more` is false behind the last row.
pqdb_code pq_run_cursor_next(struct pq_run_cursor *cursor, struct pq_run_row *row, bool *more,
                             pqdb_error *err);

/// Merge runs of one kind, given newest first, into one: the newest row of a key wins, or weights
/// add up and zeros vanish. `drop_dead` when no older run is left that a tombstone could be hiding.
/// Any thread.
struct pq_run_merge {
    struct pq_run *const *runs;
    size_t count;  // at most PQ_RUN_MERGE_MAX
    bool drop_dead;
    /// NULL: all rows. Which of the newest rows of a key stay, of all runs that know it, and with
    /// drop_dead; what goes is as if it had never been there.
    bool (*stays)(const void *ctx, const struct pq_run_row *row);
    const void *ctx;
    /// Called between two steps, each of rows of at most PQ_RUN_MERGE_STEP_BYTES and one more; may
    /// be NULL. An error of it ends the merge.
    pqdb_code (*pause)(void *ctx, pqdb_error *err);
    void *pause_ctx;
};
enum { PQ_RUN_MERGE_MAX = 8, PQ_RUN_MERGE_STEP_BYTES = 1 << 20 };
/// `name->rows` 0: nothing was left and no run was written.
pqdb_code pq_run_merge(const struct pq_run_merge *merge, const struct pq_run_place *place,
                       struct pq_run_name *name, pqdb_error *err);

#endif
