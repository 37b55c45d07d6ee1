#include "table/segment.h"

#include "base/check.h"
#include "base/fail.h"
#include "table/data_file.h"

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
    const size_t blocks = block_count(rows);
    if (blocks > 0) {
        made->died = pq_resize(alloc, NULL, 0, blocks, sizeof *made->died);
        if (made->died == NULL) {
            pq_free(alloc, made, 1, sizeof *made);
            return pq_fail(err, PQDB_NO_MEMORY, "a segment of %zu rows", rows);
        }
        memset((void *)made->died, 0, blocks * sizeof *made->died);
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

/// Rows of one block that are dead at `version`, as bits.
static void add_block(const struct pq_deaths *deaths, uint32_t last, uint64_t *bits) {
    size_t at = 0, row;
    uint32_t when;
    while (pq_deaths_next(deaths, &at, &row, &when)) {
        if (when <= last) bits[row / 64] |= UINT64_C(1) << row % 64;
    }
}

void pq_segment_dead_bits(const struct pq_segment *segment, uint64_t version, uint64_t *bits) {
    const size_t words = (segment->rows + 63) / 64;
    if (words > 0) memset(bits, 0, words * sizeof *bits);
    if (segment->dead_base != NULL) memcpy(bits, segment->dead_base, words * sizeof *bits);
    if (version < segment->base_version) return;
    const uint64_t since = version - segment->base_version + 1;
    const uint32_t last = since < UINT32_MAX ? (uint32_t)since : UINT32_MAX;
    for (size_t row = 0; row < segment->rows; row += PQ_DEATH_BLOCK_ROWS) {
        const struct pq_deaths *deaths = pq_segment_deaths(segment, row);
        if (deaths != NULL) add_block(deaths, last, bits + row / 64);
    }
}

pqdb_code pq_segment_fold(const struct pq_segment *segment, uint64_t version, const uint64_t *dead,
                          struct pq_segment **folded, pqdb_error *err) {
    pq_assert(segment->kind == PQ_SEGMENT_FILE && version >= segment->base_version);
    const struct pq_segment_file given = {.file = segment->file, .rows = segment->rows,
                                          .dead = dead, .version = version};
    PQ_TRY(pq_segment_create_file(&given, segment->alloc, folded, err));
    pq_data_file_ref(segment->file);
    (*folded)->shreds_sought = segment->shreds_sought;
    (*folded)->lacks_shreds = segment->lacks_shreds;
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
    for (size_t i = 0; i < blocks; i++) pq_deaths_destroy(segment->died[i], alloc);
    pq_free(alloc, (void *)segment->died, blocks, sizeof *segment->died);
    pq_free(alloc, (void *)(uintptr_t)segment->dead_base,
            segment->dead_base == NULL ? 0 : (segment->rows + 63) / 64, sizeof(uint64_t));
    pq_hold_unref(segment->hold);
    if (segment->origin == NULL) pq_data_file_unref(segment->file);
    pq_segment_unref(segment->origin);
    pq_free(alloc, segment, 1, sizeof *segment);
}

pqdb_code pq_segment_kill(struct pq_segment *segment, size_t row, uint64_t version,
                          pqdb_error *err) {
    pq_assert(row < segment->rows);
    pq_assert(version >= segment->base_version);
    const uint64_t since = version - segment->base_version + 1;
    if (since > UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "a segment older than 2^32 versions");
    PQ_TRY(pq_deaths_put(&segment->died[row / PQ_DEATH_BLOCK_ROWS], row % PQ_DEATH_BLOCK_ROWS,
                         (uint32_t)since, segment->alloc, &segment->died_bytes, err));
    segment->dead++;
    return PQDB_OK;
}

size_t pq_segment_bytes(const struct pq_segment *chunk) {
    const size_t rows = pq_batch_bytes(&chunk->batch);
    const size_t held = chunk->hold == NULL ? 0 : chunk->hold->arena.bytes_held;
    return held > rows ? held : rows;
}

size_t pq_segment_live(const struct pq_segment *segment, uint64_t version) {
    size_t live = 0;
    for (size_t first = 0; first < segment->rows; first += PQ_DEATH_BLOCK_ROWS) {
        size_t end = first + PQ_DEATH_BLOCK_ROWS;
        if (end > segment->rows) end = segment->rows;
        live += end - first;
        if (segment->dead_base == NULL && pq_segment_deaths(segment, first) == NULL) continue;
        for (size_t row = first; row < end; row++) {
            live -= pq_segment_is_dead(segment, row, version);
        }
    }
    return live;
}

bool pq_segment_has_dead(const struct pq_segment *segment, size_t start, size_t count,
                         uint64_t version) {
    for (size_t row = start; row < start + count;) {
        const size_t block = row / PQ_DEATH_BLOCK_ROWS;
        size_t end = (block + 1) * PQ_DEATH_BLOCK_ROWS;
        if (end > start + count) end = start + count;
        const bool touched = segment->dead_base != NULL || pq_segment_deaths(segment, row) != NULL;
        for (; touched && row < end; row++) {
            if (pq_segment_is_dead(segment, row, version)) return true;
        }
        row = end;
    }
    return false;
}
