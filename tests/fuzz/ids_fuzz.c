/// Any bytes as the filter of ids beside a data file, with marks of its rows or without: refused as
/// damaged, or it answers every hash, and marks name rows of the range that was asked. Mutations
/// would all die at the checksums, so those of head, lines and marks are made right first, mostly.
#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "table/data_file_internal.h"
#include "table/id_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { head_bytes = 40, line_bytes = 64, asked_hashes = 16, input_max = 1 << 18 };

static void must(pqdb_code code) {
    if (code != PQDB_OK) __builtin_trap();
}

/// As far as the numbers in the head allow.
static void seal(uint8_t *bytes, size_t size) {
    if (size < head_bytes) return;
    const uint64_t rows = pq_load_u64(bytes + 8), lines = pq_load_u64(bytes + 16);
    const size_t room = size - head_bytes;
    if (lines <= room / line_bytes) {
        const size_t length = (size_t)lines * line_bytes;
        pq_store_u64(bytes + 24, pq_hash(bytes + head_bytes, length));
        uint64_t left = rows;
        for (size_t at = head_bytes + length; left > 0;) {
            const uint64_t some = left < PQ_MARKS_ROWS ? left : PQ_MARKS_ROWS;
            if (8 + 3 * some > size - at) break;
            pq_store_u64(bytes + at, pq_hash(bytes + at + 8, 3 * (size_t)some));
            at += 8 + 3 * (size_t)some;
            left -= some;
        }
    }
    pq_store_u64(bytes + 32, pq_hash(bytes, 32));
}

/// What was asked of the marks, and what came last.
struct asked {
    struct pq_row_range range;
    uint64_t next;
};

static void take(void *ctx, size_t index, uint32_t row) {
    struct asked *asked = ctx;
    pq_assert(index == 7 && row >= asked->range.first && row < asked->range.end);
    pq_assert(row >= asked->next);
    asked->next = (uint64_t)row + 1;
}

static void ask_marks(const struct pq_id_filter *filter, uint64_t hash, uint64_t rows) {
    static struct pq_marks marks;
    memset(&marks, 0, sizeof marks);
    const uint64_t starts[] = {0, rows / 3, rows - rows / 5, rows};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        struct asked asked = {.range = {starts[i], i % 2 == 0 ? rows : rows - rows / 7}};
        if (asked.range.end < asked.range.first) continue;
        const struct pq_marked to = {.hash = hash, .take = take, .ctx = &asked, .index = 7};
        bool sound;
        must(pq_id_filter_marked(filter, asked.range, &marks, &to, &sound, NULL));
        if (!sound) return;
    }
    struct asked beyond = {.range = {0, rows + 1}};
    const struct pq_marked to = {.hash = hash, .take = take, .ctx = &beyond, .index = 7};
    bool sound;
    must(pq_id_filter_marked(filter, beyond.range, &marks, &to, &sound, NULL));
    pq_assert(!sound);
}

static void ask(struct pq_data_file *file, uint64_t rows, bool is_sound) {
    struct pq_id_filter *filter;
    must(pq_id_filter_read(file, &filter, NULL));
    pq_assert(filter != NULL || !is_sound);
    if (filter == NULL) return;
    uint64_t hash = rows;
    for (int i = 0; i < asked_hashes; i++) {
        hash = pq_hash_word(hash + 1);
        pq_id_filter_may_have(filter, hash);
        if (pq_id_filter_has_marks(filter)) ask_marks(filter, hash, rows);
    }
    pq_id_filter_destroy(filter, &pq_alloc_libc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char path[] = "T/data/a.parquet", beside[] = "T/data/a.parquet.ids";
    if (size < 2 || size > input_max) return 0;
    struct pq_bytes bytes;
    struct pq_store *store;
    pqdb_error err;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    must(pq_bytes_append(&bytes, data + 1, size - 1, NULL));
    if ((data[0] & 1) == 0) seal(bytes.data, bytes.length);
    must(pq_store_open_memory(&pq_alloc_libc, &store, NULL));
    must(pq_store_make_directory(store, "T/data", NULL));
    must(pq_store_write_file(store, beside, pq_bytes_text(&bytes), NULL));
    const uint64_t rows = size > head_bytes ? pq_load_u64(bytes.data + 8) : 1;
    const bool fits = rows > 0 && rows <= UINT32_MAX;
    const pqdb_code code =
        pq_id_filter_check(store, beside, PQ_ID_FILTER_ANY, &pq_alloc_libc, &err);
    pq_assert(code == PQDB_OK || (code == PQDB_CORRUPT && strcmp(err.subject, beside) == 0));
    const struct pq_type type = {0};
    const struct pq_data_file_options options = {.store = store, .path = pq_text_of(path),
                                                 .rows = fits ? rows : 1, .type = &type,
                                                 .alloc = &pq_alloc_libc};
    struct pq_data_file *file;
    must(pq_data_file_create(&options, &file, NULL));
    ask(file, options.rows, code == PQDB_OK && fits);
    pq_data_file_unref(file);
    pq_store_destroy(store);
    pq_bytes_deinit(&bytes);
    return 0;
}
