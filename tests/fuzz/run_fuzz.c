/// Any bytes as a state run: opened or refused, walked, checked and asked for a key. Mutations
/// would all die at the checksums, so those of blocks, index, filter and end are made right first,
/// as far as the offsets allow.
#include "base/hash.h"
#include "support/memory_runs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { tail_bytes = 72, entry_bytes = 24, input_max = 1 << 20 };

static void seal_blocks(uint8_t *bytes, size_t index, uint64_t blocks, size_t room) {
    for (uint64_t i = 0; i < blocks && (i + 1) * entry_bytes <= room; i++) {
        const uint8_t *entry = bytes + index + i * entry_bytes;
        const uint64_t at = pq_load_u64(entry + 8), length = pq_load_u32(entry + 16);
        if (at > index || length > index - at || length < 16) continue;
        pq_store_u64(bytes + at, pq_hash(bytes + at + 8, (size_t)length - 8));
    }
}

static void seal(uint8_t *bytes, size_t size) {
    if (size < tail_bytes) return;
    uint8_t *tail = bytes + size - tail_bytes;
    const uint64_t end = size - tail_bytes, index = pq_load_u64(tail + 32);
    const uint64_t filter = pq_load_u64(tail + 40);
    if (index <= filter && filter <= end) {
        seal_blocks(bytes, (size_t)index, pq_load_u64(tail + 24), (size_t)(filter - index));
        pq_store_u64(tail + 48, pq_hash(bytes + index, (size_t)(filter - index)));
        pq_store_u64(tail + 56, pq_hash(bytes + filter, (size_t)(end - filter)));
    }
    pq_store_u64(tail + 64, pq_hash(tail, 64));
}

static void walk(struct pq_run *run) {
    struct pq_run_cursor cursor;
    struct pq_run_row row;
    struct pq_bytes room;
    bool more = true;
    uint64_t sum = 0;
    pq_bytes_init(&room, &pq_alloc_libc);
    pq_run_cursor_init(&cursor, run, &pq_alloc_libc);
    while (more && pq_run_cursor_next(&cursor, &row, &more, NULL) == PQDB_OK) {
        if (!more) break;
        for (size_t i = 0; i < row.key.length; i++) sum += (unsigned char)row.key.data[i];
        for (size_t i = 0; i < row.payload.length; i++) sum += (unsigned char)row.payload.data[i];
    }
    if (pq_run_kind(run) == PQ_TRACE_NEWEST_WINS) {
        const struct pq_hashed_key key = {sum, PQ_TEXT("key")};
        bool found;
        pq_run_find(run, &key, &room, &row, &found, NULL);
    }
    pq_run_cursor_seek(&cursor, sum);
    pq_run_cursor_next(&cursor, &row, &more, NULL);
    pq_run_cursor_deinit(&cursor);
    pq_bytes_deinit(&room);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct memory_runs runs;
    if (size < 2 || size > input_max) return 0;
    const struct pq_run_io io = memory_runs_init(&runs);
    if (pq_bytes_append(&runs.files[0], data + 1, size - 1, NULL) != PQDB_OK) return 0;
    runs.finished[0] = true;
    if ((data[0] & 1) == 0) seal(runs.files[0].data, size - 1);
    const uint8_t *tail = runs.files[0].data + size - 1 - tail_bytes;
    const struct pq_run_name name = {.length = size - 1,
                                     .rows = size > tail_bytes ? pq_load_u64(tail + 8) : 0};
    struct pq_run *run;
    if (pq_run_open(&io, &name, &pq_alloc_libc, &run, NULL) == PQDB_OK) {
        uint64_t rows;
        walk(run);
        pq_run_check(run, &rows, NULL);
        pq_run_unref(run);
    }
    memory_runs_deinit(&runs);
    return 0;
}
