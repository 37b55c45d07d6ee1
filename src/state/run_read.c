/// state/run_read.c: open, look up, walk. Nothing read from a run is trusted: every length is
/// bounded by its block, every block by the file, and all of it stands under checksums.
#include <inttypes.h>

#include "base/fail.h"
#include "state/run_internal.h"

pqdb_code run_corrupt(const struct pq_run *run, uint64_t offset, const char *what,
                      pqdb_error *err) {
    pq_fail(err, PQDB_CORRUPT, "state run %" PRIu64 ": %s", run->name.id, what);
    if (err != NULL) err->offset = (int64_t)offset;
    if (run->io.blame != NULL) run->io.blame(run->io.ctx, run->name.id, err);
    return PQDB_CORRUPT;
}

pqdb_code run_bad_row(const struct pq_run *run, size_t block, pqdb_error *err) {
    const uint64_t offset = pq_load_u64(run->index + block * RUN_INDEX_ENTRY + 8);
    return run_corrupt(run, offset, "a row is damaged", err);
}

static pqdb_code read_run(const struct pq_run *run, uint64_t offset, void *out, size_t length,
                          pqdb_error *err) {
    return run->io.read(run->io.ctx, run->name.id, offset, out, length, err);
}

static pqdb_code check_index(const struct pq_run *run, uint64_t index_offset, pqdb_error *err) {
    uint64_t offset = 0;
    for (size_t i = 0; i < run->block_count; i++) {
        const uint8_t *entry = run->index + i * RUN_INDEX_ENTRY;
        if (pq_load_u64(entry + 8) != offset || pq_load_u32(entry + 16) < RUN_BLOCK_HEAD) {
            return run_corrupt(run, index_offset, "its index has a gap", err);
        }
        offset += pq_load_u32(entry + 16);
        if (i > 0 && run_block_hash(run, i - 1) > pq_load_u64(entry)) {
            return run_corrupt(run, index_offset, "its index is not sorted", err);
        }
    }
    return offset == index_offset ? PQDB_OK
                                  : run_corrupt(run, index_offset, "its index has a gap", err);
}

static pqdb_code newer_run(const struct pq_run *run, char format, pqdb_error *err) {
    pq_fail(err, PQDB_UNSUPPORTED,
            "state run %" PRIu64 " of format %c: this version reads up to 2, open it with a newer "
            "one",
            run->name.id, format);
    if (run->io.blame != NULL) run->io.blame(run->io.ctx, run->name.id, err);
    return PQDB_UNSUPPORTED;
}

static pqdb_code read_tail(struct pq_run *run, pqdb_error *err) {
    uint8_t tail[RUN_TAIL];
    if (run->name.length < RUN_TAIL) return run_corrupt(run, 0, "it is too short", err);
    const uint64_t end = run->name.length - RUN_TAIL;
    PQ_TRY(read_run(run, end, tail, sizeof tail, err));
    const uint64_t magic = pq_load_u64(tail);
    const bool is_sound = pq_load_u64(tail + 64) == pq_hash(tail, 64);
    if (is_sound && memcmp(tail, "PQPQRUN", 7) == 0 && tail[7] > '2') {
        return newer_run(run, (char)tail[7], err);
    }
    if ((magic != PQ_RUN_MAGIC && magic != PQ_RUN_MAGIC_WEIGHTED) ||
        pq_load_u64(tail + 64) != pq_hash(tail, 64)) {
        return run_corrupt(run, end, "its tail is damaged", err);
    }
    run->kind = magic == PQ_RUN_MAGIC ? PQ_TRACE_NEWEST_WINS : PQ_TRACE_WEIGHTS_ADD;
    const uint64_t blocks = pq_load_u64(tail + 24), index = pq_load_u64(tail + 32);
    run->filter_offset = pq_load_u64(tail + 40);
    run->filter_check = pq_load_u64(tail + 56);
    if (pq_load_u64(tail + 8) != run->name.rows || index > run->filter_offset ||
        run->filter_offset > end || (end - run->filter_offset) % RUN_FILTER_LINE != 0 ||
        end == run->filter_offset || (run->filter_offset - index) / RUN_INDEX_ENTRY != blocks ||
        (run->filter_offset - index) % RUN_INDEX_ENTRY != 0) {
        return run_corrupt(run, end, "its tail does not fit the file", err);
    }
    run->filter_lines = (end - run->filter_offset) / RUN_FILTER_LINE;
    run->index = pq_resize(run->alloc, NULL, 0, blocks + 1, RUN_INDEX_ENTRY);
    if (run->index == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "index of state run %" PRIu64, run->name.id);
    }
    run->block_count = blocks;
    const size_t bytes = blocks * RUN_INDEX_ENTRY;
    PQ_TRY(read_run(run, index, run->index, bytes, err));
    if (pq_hash(run->index, bytes) != pq_load_u64(tail + 48)) {
        return run_corrupt(run, index, "its index is damaged", err);
    }
    return check_index(run, index, err);
}

pqdb_code pq_run_open(const struct pq_run_io *io, const struct pq_run_name *name,
                      const struct pq_alloc *alloc, struct pq_run **run, pqdb_error *err) {
    struct pq_run *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "state run %" PRIu64, name->id);
    *made = (struct pq_run){.io = *io, .name = *name, .alloc = alloc, .references = 1};
    const pqdb_code code = read_tail(made, err);
    if (code != PQDB_OK) {
        pq_run_unref(made);
        return code;
    }
    *run = made;
    return PQDB_OK;
}

struct pq_run *pq_run_ref(struct pq_run *run) {
    run->references++;
    return run;
}

void pq_run_unref(struct pq_run *run) {
    if (run == NULL || --run->references > 0) return;
    pq_free(run->alloc, run->index, run->block_count + 1, RUN_INDEX_ENTRY);
    pq_free(run->alloc, run->filter, run->filter_lines, RUN_FILTER_LINE);
    pq_free(run->alloc, run, 1, sizeof *run);
}

const struct pq_run_name *pq_run_name(const struct pq_run *run) { return &run->name; }

enum pq_trace_kind pq_run_kind(const struct pq_run *run) { return run->kind; }

size_t pq_run_bytes_held(const struct pq_run *run) {
    return sizeof *run + (run->block_count + 1) * RUN_INDEX_ENTRY +
           (run->filter != NULL ? run->filter_lines * RUN_FILTER_LINE : 0);
}

static pqdb_code load_filter(struct pq_run *run, pqdb_error *err) {
    uint8_t *filter = pq_resize(run->alloc, NULL, 0, run->filter_lines, RUN_FILTER_LINE);
    if (filter == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "filter of state run %" PRIu64, run->name.id);
    }
    const size_t bytes = run->filter_lines * RUN_FILTER_LINE;
    pqdb_code code = read_run(run, run->filter_offset, filter, bytes, err);
    if (code == PQDB_OK && pq_hash(filter, bytes) != run->filter_check) {
        code = run_corrupt(run, run->filter_offset, "its filter is damaged", err);
    }
    if (code != PQDB_OK) {
        pq_free(run->alloc, filter, run->filter_lines, RUN_FILTER_LINE);
        return code;
    }
    run->filter = filter;
    return PQDB_OK;
}

pqdb_code pq_run_warm(struct pq_run *run, pqdb_error *err) {
    return run->filter != NULL ? PQDB_OK : load_filter(run, err);
}

pqdb_code run_may_have(struct pq_run *run, uint64_t hash, bool *may_have, pqdb_error *err) {
    if (run->filter == NULL) PQ_TRY(load_filter(run, err));
    const uint8_t *line = run->filter + run_filter_line(hash, run->filter_lines) * RUN_FILTER_LINE;
    const uint64_t mixed = pq_hash_word(hash);
    *may_have = true;
    for (unsigned probe = 0; probe < RUN_FILTER_PROBES && *may_have; probe++) {
        const uint32_t bit = run_filter_bit(mixed, probe);
        *may_have = (line[bit / 8] >> (bit % 8) & 1) != 0;
    }
    return PQDB_OK;
}

pqdb_code run_read_block(const struct pq_run *run, size_t block, struct pq_bytes *room,
                         pqdb_error *err) {
    const uint8_t *entry = run->index + block * RUN_INDEX_ENTRY;
    const uint32_t bytes = pq_load_u32(entry + 16);
    room->length = 0;
    PQ_TRY(pq_bytes_reserve(room, bytes, err));
    PQ_TRY(read_run(run, pq_load_u64(entry + 8), room->data, bytes, err));
    if (pq_load_u64(room->data) != pq_hash(room->data + 8, bytes - 8) ||
        pq_load_u32(room->data + 8) != bytes ||
        pq_load_u32(room->data + 12) != pq_load_u32(entry + 20)) {
        return run_corrupt(run, pq_load_u64(entry + 8), "a block is damaged", err);
    }
    room->length = bytes;
    return PQDB_OK;
}

static bool take_row(struct pq_cursor *cursor, struct pq_run_row *row) {
    row->weight = 0;
    row->hash = pq_cursor_u64(cursor);
    const uint64_t key = pq_cursor_varint(cursor);
    const uint64_t payload = pq_cursor_varint(cursor);
    row->dead = (payload & 1) != 0;
    if (key > SIZE_MAX / 4 || payload > SIZE_MAX / 4) return false;
    row->key = (struct pq_text){(const char *)pq_cursor_take(cursor, key), key};
    row->payload =
        (struct pq_text){(const char *)pq_cursor_take(cursor, payload >> 1), payload >> 1};
    return !cursor->failed;
}

/// The first block that may hold the hash: the one before the first that begins at or above it.
static size_t first_block(const struct pq_run *run, uint64_t hash) {
    size_t low = 0, high = run->block_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (run_block_hash(run, middle) < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? low - 1 : 0;
}

pqdb_code pq_run_find(struct pq_run *run, const struct pq_hashed_key *key, struct pq_bytes *room,
                      struct pq_run_row *row, bool *found, pqdb_error *err) {
    const uint64_t hash = key->hash;
    bool may_have;
    *found = false;
    PQ_TRY(run_may_have(run, hash, &may_have, err));
    if (!may_have) return PQDB_OK;
    for (size_t block = first_block(run, hash);
         block < run->block_count && run_block_hash(run, block) <= hash; block++) {
        PQ_TRY(run_read_block(run, block, room, err));
        struct pq_cursor cursor = pq_cursor_of(room->data, room->length);
        pq_cursor_take(&cursor, RUN_BLOCK_HEAD);
        for (uint32_t left = pq_load_u32(room->data + 12); left > 0; left--) {
            struct pq_run_row next;
            if (!take_row(&cursor, &next)) return run_bad_row(run, block, err);
            if (next.hash > hash) return PQDB_OK;
            if (next.hash == hash && pq_text_equal(next.key, key->bytes)) {
                *row = next;
                *found = true;
                return PQDB_OK;
            }
        }
    }
    return PQDB_OK;
}

void pq_run_cursor_init(struct pq_run_cursor *cursor, struct pq_run *run,
                        const struct pq_alloc *alloc) {
    *cursor = (struct pq_run_cursor){.run = run};
    pq_bytes_init(&cursor->block, alloc);
}

void pq_run_cursor_deinit(struct pq_run_cursor *cursor) {
    if (cursor->rows != NULL) {
        weighted_deinit(cursor->rows);
        pq_free(cursor->block.alloc, cursor->rows, 1, sizeof *cursor->rows);
        cursor->rows = NULL;
    }
    pq_bytes_deinit(&cursor->block);
}

void pq_run_cursor_seek(struct pq_run_cursor *cursor, uint64_t hash) {
    cursor->block_index = first_block(cursor->run, hash);
    cursor->rows_left = 0;
}

static pqdb_code next_block(struct pq_run_cursor *cursor, pqdb_error *err) {
    const struct pq_run *run = cursor->run;
    struct pq_bytes *block = &cursor->block;
    if (run->kind == PQ_TRACE_WEIGHTS_ADD) {
        if (cursor->rows == NULL) {
            cursor->rows = pq_resize(block->alloc, NULL, 0, 1, sizeof *cursor->rows);
            if (cursor->rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a block of values");
            weighted_init(cursor->rows, block->alloc);
        }
        PQ_TRY(run_block_rows(run, cursor->block_index, block, cursor->rows, err));
    } else {
        PQ_TRY(run_read_block(run, cursor->block_index, block, err));
        cursor->at = block->data + RUN_BLOCK_HEAD;
        cursor->end = block->data + block->length;
    }
    cursor->block_index++;
    cursor->rows_left = pq_load_u32(block->data + 12);
    return PQDB_OK;
}

pqdb_code pq_run_cursor_next(struct pq_run_cursor *cursor, struct pq_run_row *row, bool *more,
                             pqdb_error *err) {
    while (cursor->rows_left == 0) {
        if (cursor->block_index == cursor->run->block_count) {
            *more = false;
            return PQDB_OK;
        }
        PQ_TRY(next_block(cursor, err));
    }
    if (cursor->run->kind == PQ_TRACE_WEIGHTS_ADD) {
        const size_t at = cursor->rows->count - cursor->rows_left;
        *row = (struct pq_run_row){.hash = cursor->rows->rows[at].hash,
                                   .key = weighted_key(cursor->rows, at),
                                   .weight = cursor->rows->rows[at].weight};
    } else {
        struct pq_cursor bytes = pq_cursor_of(cursor->at, (size_t)(cursor->end - cursor->at));
        if (!take_row(&bytes, row)) {
            return run_bad_row(cursor->run, cursor->block_index - 1, err);
        }
        cursor->at = bytes.at;
    }
    cursor->rows_left--;
    *more = true;
    return PQDB_OK;
}

pqdb_code pq_run_check(struct pq_run *run, uint64_t *rows, pqdb_error *err) {
    struct pq_run_cursor cursor;
    pq_run_cursor_init(&cursor, run, run->alloc);
    bool more = true;
    pqdb_code code = run->filter == NULL ? load_filter(run, err) : PQDB_OK;
    *rows = 0;
    while (code == PQDB_OK && more) {
        struct pq_run_row row;
        code = pq_run_cursor_next(&cursor, &row, &more, err);
        *rows += code == PQDB_OK && more;
    }
    pq_run_cursor_deinit(&cursor);
    if (code == PQDB_OK && *rows != run->name.rows) {
        code = run_corrupt(run, 0, "it has another number of rows than it says", err);
    }
    return code;
}
