#include "table/segment.h"

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "table/data_file.h"

/// Open addressing; a slot is the hash's upper half and row + 1, 0 when free. Ids may repeat: a
/// row that died and its successor both stay.
struct pq_id_index {
    size_t slot_count;  // power of two
    uint64_t slots[];
};

static atomic_uint_least64_t next_serial = 1;

static size_t block_count(size_t rows) {
    return (rows + PQ_DEATH_BLOCK_ROWS - 1) / PQ_DEATH_BLOCK_ROWS;
}

static pqdb_code create(enum pq_segment_kind kind, size_t rows, uint64_t version,
                        const struct pq_alloc *alloc, struct pq_segment **segment,
                        pqdb_error *err) {
    struct pq_segment *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a segment of %zu rows", rows);
    *made = (struct pq_segment){.kind = kind, .alloc = alloc, .base_version = version,
                                .rows = rows};
    made->serial = atomic_fetch_add(&next_serial, 1);
    atomic_init(&made->references, 1);
    atomic_init(&made->ids, NULL);
    atomic_init(&made->sealed, false);
    const size_t blocks = block_count(rows);
    if (blocks > 0) {
        made->died = pq_resize(alloc, NULL, 0, blocks, sizeof *made->died);
        if (made->died == NULL) {
            pq_free(alloc, made, 1, sizeof *made);
            return pq_fail(err, PQDB_NO_MEMORY, "a segment of %zu rows", rows);
        }
        memset(made->died, 0, blocks * sizeof *made->died);
    }
    *segment = made;
    return PQDB_OK;
}

pqdb_code pq_segment_create_chunk(const struct pq_batch *batch, struct pq_hold *hold,
                                  uint64_t version, const struct pq_alloc *alloc,
                                  struct pq_segment **segment, pqdb_error *err) {
    PQ_TRY(create(PQ_SEGMENT_CHUNK, batch->count, version, alloc, segment, err));
    (*segment)->hold = pq_hold_ref(hold);
    pq_segment_seal(*segment, batch);
    return PQDB_OK;
}

pqdb_code pq_segment_create_open(size_t rows_max, struct pq_hold *hold, uint64_t version,
                                 const struct pq_alloc *alloc, struct pq_segment **segment,
                                 pqdb_error *err) {
    PQ_TRY(create(PQ_SEGMENT_CHUNK, rows_max, version, alloc, segment, err));
    (*segment)->hold = pq_hold_ref(hold);
    return PQDB_OK;
}

void pq_segment_seal(struct pq_segment *segment, const struct pq_batch *batch) {
    pq_assert(block_count(batch->count) <= block_count(segment->rows));
    segment->batch = *batch;
    segment->rows = batch->count;
    atomic_store_explicit(&segment->sealed, true, memory_order_release);
}

pqdb_code pq_segment_create_file(const struct pq_segment_file *given, const struct pq_alloc *alloc,
                                 struct pq_segment **segment, pqdb_error *err) {
    const size_t rows = given->rows;
    struct pq_segment *made = NULL;
    PQ_TRY(create(PQ_SEGMENT_FILE, rows, given->version, alloc, &made, err));
    const size_t words = (rows + 63) / 64;
    if (given->dead != NULL && words > 0) {
        uint64_t *copy = pq_resize(alloc, NULL, 0, words, sizeof *copy);
        if (copy == NULL) {
            pq_segment_unref(made);
            return pq_fail(err, PQDB_NO_MEMORY, "deletions of %zu rows", rows);
        }
        memcpy(copy, given->dead, words * sizeof *copy);
        for (size_t i = 0; i < words; i++) made->dead += (size_t)__builtin_popcountll(copy[i]);
        made->dead_base = copy;
    }
    made->file = given->file;
    *segment = made;
    return PQDB_OK;
}

struct pq_segment *pq_segment_ref(struct pq_segment *segment) {
    atomic_fetch_add_explicit(&segment->references, 1, memory_order_relaxed);
    return segment;
}

void pq_segment_unref(struct pq_segment *segment) {
    if (segment == NULL) return;
    if (atomic_fetch_sub_explicit(&segment->references, 1, memory_order_acq_rel) != 1) return;
    const struct pq_alloc *alloc = segment->alloc;
    const size_t blocks = block_count(segment->rows);
    for (size_t i = 0; i < blocks; i++) {
        pq_free(alloc, (void *)segment->died[i],
                segment->died[i] == NULL ? 0 : PQ_DEATH_BLOCK_ROWS, sizeof(uint32_t));
    }
    pq_free(alloc, segment->died, blocks, sizeof *segment->died);
    pq_free(alloc, (void *)(uintptr_t)segment->dead_base,
            segment->dead_base == NULL ? 0 : (segment->rows + 63) / 64, sizeof(uint64_t));
    struct pq_id_index *ids = atomic_load(&segment->ids);
    if (ids != NULL) pq_free(alloc, ids, sizeof *ids + ids->slot_count * sizeof(uint64_t), 1);
    pq_hold_unref(segment->hold);
    pq_data_file_destroy(segment->file);
    pq_free(alloc, segment, 1, sizeof *segment);
}

pqdb_code pq_segment_kill(struct pq_segment *segment, size_t row, uint64_t version,
                          pqdb_error *err) {
    pq_assert(row < segment->rows);
    pq_assert(version >= segment->base_version);
    const uint64_t since = version - segment->base_version + 1;
    if (since > UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "a segment older than 2^32 versions");
    _Atomic(uint32_t) **slot = &segment->died[row / PQ_DEATH_BLOCK_ROWS];
    if (*slot == NULL) {
        _Atomic(uint32_t) *block = pq_resize(segment->alloc, NULL, 0, PQ_DEATH_BLOCK_ROWS,
                                             sizeof(uint32_t));
        if (block == NULL) return pq_fail(err, PQDB_NO_MEMORY, "deaths of a block of rows");
        memset((void *)block, 0, PQ_DEATH_BLOCK_ROWS * sizeof(uint32_t));
        __atomic_store_n(slot, block, __ATOMIC_RELEASE);
    }
    _Atomic(uint32_t) *died = &(*slot)[row % PQ_DEATH_BLOCK_ROWS];
    pq_assert(atomic_load_explicit(died, memory_order_relaxed) == 0);
    atomic_store_explicit(died, (uint32_t)since, memory_order_release);
    segment->dead++;
    return PQDB_OK;
}

uint64_t pq_segment_death(const struct pq_segment *segment, size_t row) {
    _Atomic(uint32_t) *block = segment->died[row / PQ_DEATH_BLOCK_ROWS];
    const uint32_t died =
        block == NULL ? 0 : atomic_load_explicit(&block[row % PQ_DEATH_BLOCK_ROWS],
                                                 memory_order_relaxed);
    return died == 0 ? 0 : segment->base_version + died - 1;
}

bool pq_segment_has_dead(const struct pq_segment *segment, size_t start, size_t count,
                         uint64_t version) {
    for (size_t row = start; row < start + count;) {
        const size_t block = row / PQ_DEATH_BLOCK_ROWS;
        size_t end = (block + 1) * PQ_DEATH_BLOCK_ROWS;
        if (end > start + count) end = start + count;
        const bool touched = segment->dead_base != NULL ||
                             __atomic_load_n(&segment->died[block], __ATOMIC_ACQUIRE) != NULL;
        for (; touched && row < end; row++) {
            if (pq_segment_is_dead(segment, row, version)) return true;
        }
        row = end;
    }
    return false;
}

static pqdb_code build_index(struct pq_segment *segment, const struct pq_batch *batch,
                             struct pq_id_index **index, pqdb_error *err) {
    size_t slot_count = 16;
    while (slot_count < batch->count * 2) slot_count *= 2;
    struct pq_id_index *made = pq_resize(segment->alloc, NULL, 0,
                                         sizeof *made + slot_count * sizeof(uint64_t), 1);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an index of %zu ids", batch->count);
    made->slot_count = slot_count;
    memset(made->slots, 0, slot_count * sizeof(uint64_t));
    for (size_t row = 0; row < batch->count; row++) {
        const struct pq_text id = pq_column_text(&batch->columns[0], row);
        const uint64_t hash = pq_hash(id.data, id.length);
        size_t at = (size_t)hash & (slot_count - 1);
        while (made->slots[at] != 0) at = (at + 1) & (slot_count - 1);
        made->slots[at] = (hash & UINT64_C(0xFFFFFFFF00000000)) | (uint64_t)(row + 1);
    }
    struct pq_id_index *expected = NULL;
    if (!atomic_compare_exchange_strong(&segment->ids, &expected, made)) {
        pq_free(segment->alloc, made, sizeof *made + slot_count * sizeof(uint64_t), 1);
        made = expected;  // another reader was first
    }
    *index = made;
    return PQDB_OK;
}

static int64_t find_indexed(const struct pq_segment *segment, const struct pq_id_index *index,
                            size_t visible, struct pq_text id, uint64_t version) {
    const uint64_t hash = pq_hash(id.data, id.length);
    const size_t mask = index->slot_count - 1;
    for (size_t at = (size_t)hash & mask; index->slots[at] != 0; at = (at + 1) & mask) {
        if ((index->slots[at] ^ hash) >> 32 != 0) continue;
        const size_t row = (size_t)(uint32_t)index->slots[at] - 1;
        if (row >= visible) continue;  // sealed since the reader's snapshot was taken
        if (pq_segment_is_dead(segment, row, version)) continue;
        if (pq_text_equal(pq_column_text(&segment->batch.columns[0], row), id)) {
            return (int64_t)row;
        }
    }
    return -1;
}

/// An open chunk is still growing: look at each of the few rows the reader can see.
static int64_t find_linear(const struct pq_segment *segment, const struct pq_batch *batch,
                           struct pq_text id, uint64_t version) {
    for (size_t row = batch->count; row-- > 0;) {
        if (pq_text_equal(pq_column_text(&batch->columns[0], row), id) &&
            !pq_segment_is_dead(segment, row, version)) {
            return (int64_t)row;
        }
    }
    return -1;
}

pqdb_code pq_segment_find(struct pq_segment *segment, const struct pq_batch *batch,
                          struct pq_text id, uint64_t version, int64_t *row, pqdb_error *err) {
    if (segment->kind == PQ_SEGMENT_FILE) {
        PQ_TRY(pq_data_file_find(segment->file, id, row, err));
        if (*row >= 0 && pq_segment_is_dead(segment, (size_t)*row, version)) *row = -1;
        return PQDB_OK;
    }
    if (!atomic_load_explicit(&segment->sealed, memory_order_acquire)) {
        *row = find_linear(segment, batch, id, version);
        return PQDB_OK;
    }
    struct pq_id_index *index = atomic_load_explicit(&segment->ids, memory_order_acquire);
    if (index == NULL) PQ_TRY(build_index(segment, &segment->batch, &index, err));
    *row = find_indexed(segment, index, batch->count, id, version);
    return PQDB_OK;
}
