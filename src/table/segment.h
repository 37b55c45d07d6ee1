/// table/segment.h: a run of rows that never change; they only die.
///
/// Invariant: a row's values are fixed once a snapshot shows it. A death is one store into died[]
/// by the single writer; readers load it atomically and compare with their own version, so nobody
/// locks and nothing is copied per commit. A block takes 0.5 to 20 KiB (table/deaths.h), once a row
/// of it died; what a root knows of takes a bit a row from then on (pq_segment_fold).
/// A segment is shared by snapshots and freed with the last one. Source: ENGINE R3.
#ifndef PQ_TABLE_SEGMENT_H
#define PQ_TABLE_SEGMENT_H

#include <parquedb/error.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "batch/column.h"
#include "batch/hold.h"
#include "table/deaths.h"

struct pq_data_file;

enum pq_segment_kind {
    PQ_SEGMENT_CHUNK,  ///< rows in memory, in commit order
    PQ_SEGMENT_FILE,   ///< a Parquet file, rows in ascending order of `$id`
};

struct pq_segment {
    enum pq_segment_kind kind;
    atomic_uint references;
    const struct pq_alloc *alloc;
    uint64_t serial;        // unique in the process, ascending by creation
    uint64_t base_version;  // died[] counts versions from here
    size_t rows;            // for an open chunk: the most it may hold
    _Atomic(struct pq_deaths *) *died;  // per PQ_DEATH_BLOCK_ROWS, NULL until the first death
    atomic_size_t died_bytes;           // of these blocks
    const uint64_t *dead_base;   // owned; bit per row dead before base_version, or NULL
    size_t dead;                 // rows dead by now; only the writer reads it
    size_t evacuated;            // no row before it lives; only the writer reads it
    bool is_frozen;              // being written to a file: stays until that is installed
    bool is_merging;             // being merged beside checkpoints, which leave it alone; theirs

    // CHUNK
    uint64_t first_row;      // number of row 0 among all rows its table ever had in memory
    struct pq_hold *hold;    // owned reference: the memory of `batch`
    struct pq_batch batch;   // all rows, once `sealed`; until then snapshots carry their own view

    // FILE
    struct pq_data_file *file;  // owned reference, unless it is
    struct pq_segment *origin;  // this one's: of a branch (table/branch.h); referenced, or NULL
    const struct pq_shreds *shreds_sought;  // merges: what it was last looked through for,
    bool lacks_shreds;                      // and whether it keeps not all of them
};

/// A chunk that takes over the rows of `batch`, whose memory `hold` keeps (a new reference).
/// Cost O(1). Errors: PQDB_NO_MEMORY.
pqdb_code pq_segment_create_chunk(const struct pq_batch *batch, struct pq_hold *hold,
                                  uint64_t version, const struct pq_alloc *alloc,
                                  struct pq_segment **segment, pqdb_error *err);

/// A chunk still to be filled with at most `rows_max` rows, and the moment it is full or frozen:
/// from then on `batch` is what it holds.
pqdb_code pq_segment_create_open(size_t rows_max, struct pq_hold *hold, uint64_t version,
                                 const struct pq_alloc *alloc, struct pq_segment **segment,
                                 pqdb_error *err);
void pq_segment_seal(struct pq_segment *segment, const struct pq_batch *batch);

/// A segment over a file; takes `file`. `dead` (may be NULL, ceil(rows / 64) words) is copied.
struct pq_segment_file {
    struct pq_data_file *file;
    size_t rows;
    const uint64_t *dead;  // bit per row, as of `version`
    uint64_t version;
};
pqdb_code pq_segment_create_file(const struct pq_segment_file *given, const struct pq_alloc *alloc,
                                 struct pq_segment **segment, pqdb_error *err);

/// The rows that are dead at `version`, a bit each, into (rows + 63) / 64 words.
void pq_segment_dead_bits(const struct pq_segment *segment, uint64_t version, uint64_t *bits);
/// Another segment over the same file, for readers at `version` and later: rows that are dead then
/// take the bits `dead`. Later deaths it does not know. Errors: PQDB_NO_MEMORY.
pqdb_code pq_segment_fold(const struct pq_segment *segment, uint64_t version, const uint64_t *dead,
                          struct pq_segment **folded, pqdb_error *err);

struct pq_segment *pq_segment_ref(struct pq_segment *segment);
void pq_segment_unref(struct pq_segment *segment);

/// Of the block of the row, since base_version; NULL: none.
static inline const struct pq_deaths *pq_segment_deaths(const struct pq_segment *segment,
                                                        size_t row) {
    return atomic_load_explicit(&segment->died[row / PQ_DEATH_BLOCK_ROWS], memory_order_acquire);
}

/// Is the row dead for a reader at `version`?
static inline bool pq_segment_is_dead(const struct pq_segment *segment, size_t row,
                                      uint64_t version) {
    if (segment->dead_base != NULL && (segment->dead_base[row / 64] >> (row % 64) & 1)) return true;
    const struct pq_deaths *block = pq_segment_deaths(segment, row);
    const uint32_t died = block == NULL ? 0 : pq_deaths_find(block, row % PQ_DEATH_BLOCK_ROWS);
    return died != 0 && segment->base_version + died - 1 <= version;
}

/// The row is dead for readers at `version` and later. Writer only. Errors: PQDB_NO_MEMORY;
/// PQDB_LIMIT when the segment is four billion versions old (rewrite it).
pqdb_code pq_segment_kill(struct pq_segment *segment, size_t row, uint64_t version,
                          pqdb_error *err);

/// Does any of rows [start, start + count) look dead at `version`? Cheap when no block has deaths.
bool pq_segment_has_dead(const struct pq_segment *segment, size_t start, size_t count,
                         uint64_t version);

/// Memory of a sealed chunk: of its rows, or all of the hold that they keep.
size_t pq_segment_bytes(const struct pq_segment *chunk);

/// Rows that live at `version`. Cost: a look at each row of blocks with deaths.
size_t pq_segment_live(const struct pq_segment *segment, uint64_t version);

#endif
