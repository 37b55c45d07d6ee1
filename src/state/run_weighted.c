/// state/run_weighted.c: blocks of runs whose weights add up (format: run.h), decoded whole, and
/// found by (hash, key).
#include "base/fail.h"
#include "state/run_internal.h"

static bool take_row(struct pq_cursor *cursor, struct weighted_rows *rows, uint64_t *hash,
                     pqdb_code *code, pqdb_error *err) {
    const uint64_t shared_more = pq_cursor_varint(cursor);
    if (shared_more == 0) *hash = pq_cursor_u64(cursor);
    const uint64_t rest = pq_cursor_varint(cursor);
    const uint8_t *bytes = pq_cursor_take(cursor, rest);
    const int64_t weight = pq_unzigzag(pq_cursor_varint(cursor));
    const size_t shared = shared_more == 0 ? 0 : shared_more - 1;
    if (cursor->failed) return false;
    if (shared_more > 0 && (rows->count == 0 || shared > rows->rows[rows->count - 1].length)) {
        return false;
    }
    const size_t start = rows->keys.length;
    *code = pq_bytes_reserve(&rows->keys, shared + rest, err);
    if (*code != PQDB_OK) return true;
    uint8_t *key = rows->keys.data + start;
    if (shared > 0) {
        memcpy(key, rows->keys.data + rows->rows[rows->count - 1].offset, shared);
    }
    if (rest > 0) memcpy(key + shared, bytes, rest);
    rows->keys.length += shared + rest;
    *code = weighted_push(rows, *hash, start, weight, err);
    return true;
}

pqdb_code run_block_rows(const struct pq_run *run, size_t block, struct pq_bytes *room,
                         struct weighted_rows *rows, pqdb_error *err) {
    rows->count = 0;
    rows->keys.length = 0;
    rows->is_sorted = true;
    PQ_TRY(run_read_block(run, block, room, err));
    struct pq_cursor cursor = pq_cursor_of(room->data, room->length);
    pq_cursor_take(&cursor, RUN_BLOCK_HEAD);
    uint64_t hash = 0;
    for (uint32_t left = pq_load_u32(room->data + 12); left > 0; left--) {
        pqdb_code code = PQDB_OK;
        if (!take_row(&cursor, rows, &hash, &code, err)) {
            return run_bad_row(run, block, err);
        }
        PQ_TRY(code);
    }
    return PQDB_OK;
}

/// Does the block's first row lie behind (hash, key)?
static pqdb_code begins_behind(const struct pq_run *run, size_t block,
                               const struct pq_hashed_key *at, struct pq_bytes *room,
                               bool *is_behind, pqdb_error *err) {
    const uint64_t first = run_block_hash(run, block);
    *is_behind = first > at->hash;
    if (first != at->hash) return PQDB_OK;
    PQ_TRY(run_read_block(run, block, room, err));
    struct pq_cursor cursor = pq_cursor_of(room->data, room->length);
    pq_cursor_take(&cursor, RUN_BLOCK_HEAD + 1 + 8);  // a whole key and its hash
    const uint64_t length = pq_cursor_varint(&cursor);
    const uint8_t *key = pq_cursor_take(&cursor, length);
    if (key == NULL) return run_bad_row(run, block, err);
    *is_behind =
        pq_text_compare((struct pq_text){(const char *)key, length}, at->bytes) > 0;
    return PQDB_OK;
}

pqdb_code run_block_of(const struct pq_run *run, const struct pq_hashed_key *at,
                       struct pq_bytes *room, size_t *block, pqdb_error *err) {
    size_t low = 0, high = run->block_count;  // the first block that begins behind
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        bool is_behind;
        PQ_TRY(begins_behind(run, middle, at, room, &is_behind, err));
        if (is_behind) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *block = low > 0 ? low - 1 : 0;
    return PQDB_OK;
}
