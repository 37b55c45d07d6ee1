#include "table/id_filter.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "base/hash.h"
#include "state/run_format.h"
#include "store/pace.h"
#include "table/data_file_internal.h"

enum {
    head_bytes = 40,
    piece_rows = 16384,
    mark_bytes = 3,
};

static const char magic[] = "PQIDS001", magic_marks[] = "PQIDS002";

struct pq_id_filter {
    uint64_t rows;
    struct pq_file *marks;  // owned, where there are some; NULL: none
    uint64_t marks_at;      // in it
    uint64_t line_count;
    uint8_t lines[];
};

static size_t room_of(uint64_t lines) {
    return sizeof(struct pq_id_filter) + (size_t)lines * RUN_FILTER_LINE;
}

static pqdb_code create(uint64_t lines, const struct pq_alloc *alloc,
                        struct pq_id_filter **filter, pqdb_error *err) {
    struct pq_id_filter *made = pq_resize(alloc, NULL, 0, room_of(lines), 1);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a filter of ids");
    memset(made, 0, room_of(lines));
    made->line_count = lines;
    *filter = made;
    return PQDB_OK;
}

void pq_id_filter_destroy(struct pq_id_filter *filter, const struct pq_alloc *alloc) {
    if (filter == NULL) return;
    pq_file_close(filter->marks);
    pq_free(alloc, filter, room_of(filter->line_count), 1);
}

bool pq_id_filter_may_have(const struct pq_id_filter *filter, uint64_t hash) {
    const uint8_t *line =
        filter->lines + run_filter_line(hash, filter->line_count) * RUN_FILTER_LINE;
    const uint64_t mixed = pq_hash_word(hash);
    for (unsigned probe = 0; probe < RUN_FILTER_PROBES; probe++) {
        const uint32_t bit = run_filter_bit(mixed, probe);
        if ((line[bit / 8] >> (bit % 8) & 1) == 0) return false;
    }
    return true;
}

static void add(struct pq_id_filter *filter, uint64_t hash) {
    uint8_t *line = filter->lines + run_filter_line(hash, filter->line_count) * RUN_FILTER_LINE;
    const uint64_t mixed = pq_hash_word(hash);
    for (unsigned probe = 0; probe < RUN_FILTER_PROBES; probe++) {
        const uint32_t bit = run_filter_bit(mixed, probe);
        line[bit / 8] = (uint8_t)(line[bit / 8] | 1u << (bit % 8));
    }
}

// ---- reading ------------------------------------------------------------------------------------

static uint64_t marks_bytes(uint64_t rows) {
    return rows * mark_bytes + (rows + PQ_MARKS_ROWS - 1) / PQ_MARKS_ROWS * 8;
}

static bool is_sound_head(const uint8_t head[head_bytes], uint64_t rows, uint64_t bytes) {
    const bool has_marks = memcmp(head, magic_marks, 8) == 0;
    if (!has_marks && memcmp(head, magic, 8) != 0) return false;
    const uint64_t said = pq_load_u64(head + 8), lines = pq_load_u64(head + 16);
    if (pq_load_u64(head + 32) != pq_hash(head, 32) || said > UINT32_MAX) return false;
    return (rows == PQ_ID_FILTER_ANY || said == rows) && lines == run_filter_lines(said) &&
           bytes == head_bytes + lines * RUN_FILTER_LINE + (has_marks ? marks_bytes(said) : 0);
}

/// The filter; it does not have the file yet.
static pqdb_code read_lines(struct pq_file *in, uint64_t rows, const struct pq_alloc *alloc,
                            struct pq_id_filter **out, pqdb_error *err) {
    const char *path = in->path;
    uint8_t head[head_bytes];
    uint64_t bytes;
    PQ_TRY(pq_file_size(in, &bytes, err));
    if (bytes < head_bytes) return pq_store_fail(err, PQDB_CORRUPT, path, "it is cut off");
    PQ_TRY(pq_file_read_all(in, 0, head, head_bytes, err));
    if (!is_sound_head(head, rows, bytes)) {
        return pq_store_fail_at(err, PQDB_CORRUPT, path, 0,
                                "its head is damaged, or not of this data file");
    }
    struct pq_id_filter *filter;
    PQ_TRY(create(pq_load_u64(head + 16), alloc, &filter, err));
    const size_t length = (size_t)filter->line_count * RUN_FILTER_LINE;
    filter->rows = pq_load_u64(head + 8);
    if (memcmp(head, magic_marks, 8) == 0) filter->marks_at = head_bytes + length;
    pqdb_code code = pq_file_read_all(in, head_bytes, filter->lines, length, err);
    if (code == PQDB_OK && pq_hash(filter->lines, length) != pq_load_u64(head + 24)) {
        code = pq_store_fail_at(err, PQDB_CORRUPT, path, head_bytes,
                                "the filter is damaged");
    }
    if (code != PQDB_OK) {
        pq_id_filter_destroy(filter, alloc);
        return code;
    }
    *out = filter;
    return PQDB_OK;
}

pqdb_code pq_id_filter_read(struct pq_data_file *file, struct pq_id_filter **filter,
                            pqdb_error *err) {
    char path[PQ_STORE_PATH_MAX];
    struct pq_file *in = NULL;
    *filter = NULL;
    snprintf(path, sizeof path, "%s.ids", file->path);
    pqdb_code code = pq_file_open(file->options.store, path, PQ_OPEN_READ, &in, err);
    if (code == PQDB_OK) {
        code = read_lines(in, file->options.rows, file->options.alloc, filter, err);
    }
    if (code == PQDB_OK && (*filter)->marks_at > 0) {
        (*filter)->marks = in;
        in = NULL;
    }
    pq_file_close(in);
    // It only saves work: without it the answers are the same.
    return code == PQDB_NOT_FOUND || code == PQDB_CORRUPT ? PQDB_OK : code;
}

// ---- marks --------------------------------------------------------------------------------------

bool pq_id_filter_has_marks(const struct pq_id_filter *filter) { return filter->marks != NULL; }

static uint64_t block_rows(const struct pq_id_filter *filter, uint64_t block) {
    const uint64_t left = filter->rows - block * PQ_MARKS_ROWS;
    return left < PQ_MARKS_ROWS ? left : PQ_MARKS_ROWS;
}

/// Read them; `*bad` tells one that is damaged.
static pqdb_code read_marks(const struct pq_id_filter *filter, struct pq_file *in,
                            struct pq_marks *marks, uint64_t *bad, pqdb_error *err) {
    const uint64_t last = marks->block + marks->count - 1;
    const size_t bytes = (size_t)(marks->count - 1) * PQ_MARKS_BLOCK + 8 +
                         mark_bytes * (size_t)block_rows(filter, last);
    PQ_TRY(pq_file_read_all(in, filter->marks_at + marks->block * PQ_MARKS_BLOCK, marks->data,
                            bytes, err));
    *bad = UINT64_MAX;
    for (uint64_t block = marks->block; block <= last && *bad == UINT64_MAX; block++) {
        const uint8_t *data = marks->data + (block - marks->block) * PQ_MARKS_BLOCK;
        const size_t length = mark_bytes * (size_t)block_rows(filter, block);
        if (pq_load_u64(data) != pq_hash(data + 8, length)) *bad = block;
    }
    return PQDB_OK;
}

static pqdb_code check_marks(const struct pq_id_filter *filter, struct pq_file *in,
                             pqdb_error *err) {
    struct pq_marks marks;
    const uint64_t blocks = (filter->rows + PQ_MARKS_ROWS - 1) / PQ_MARKS_ROWS;
    for (uint64_t block = 0; block < blocks; block += marks.count) {
        uint64_t bad;
        marks.block = block;
        marks.count = blocks - block < PQ_MARKS_READ ? blocks - block : PQ_MARKS_READ;
        PQ_TRY(read_marks(filter, in, &marks, &bad, err));
        if (bad == UINT64_MAX) continue;
        return pq_store_fail_at(err, PQDB_CORRUPT, in->path,
                                filter->marks_at + bad * PQ_MARKS_BLOCK,
                                "marks of rows are damaged");
    }
    return PQDB_OK;
}

pqdb_code pq_id_filter_check(struct pq_store *store, const char *path, uint64_t rows,
                             const struct pq_alloc *alloc, pqdb_error *err) {
    struct pq_file *in;
    struct pq_id_filter *filter = NULL;
    PQ_TRY(pq_file_open(store, path, PQ_OPEN_READ, &in, err));
    pqdb_code code = read_lines(in, rows, alloc, &filter, err);
    if (code == PQDB_OK && filter->marks_at > 0) code = check_marks(filter, in, err);
    pq_id_filter_destroy(filter, alloc);
    pq_file_close(in);
    return code;
}

/// Rows [first, end) of a block of `rows`; `base` is the number of its first.
static void search_block(const uint8_t *block, struct pq_row_range range, uint64_t base,
                         uint64_t rows, const struct pq_marked *to) {
    enum { lane = 64 };  // compared together, without a branch
    const uint8_t *low = block + 8, *high = low + 2 * rows;
    const uint16_t mark = (uint16_t)to->hash;
    const uint8_t above = (uint8_t)(to->hash >> 16);
    for (uint64_t row = range.first - base; row < range.end - base;) {
        const uint64_t left = range.end - base - row, some = left < lane ? left : lane;
        uint16_t words[lane], any = 0;
        memcpy(words, low + 2 * row, 2 * some);
        for (size_t i = 0; i < some; i++) any |= words[i] == mark;
        for (size_t i = 0; any != 0 && i < some; i++) {
            if (words[i] != mark || high[row + i] != above) continue;
            to->take(to->ctx, to->index, (uint32_t)(base + row + i));
        }
        row += some;
    }
}

pqdb_code pq_id_filter_marked(const struct pq_id_filter *filter, struct pq_row_range range,
                              struct pq_marks *marks, const struct pq_marked *to, bool *sound,
                              pqdb_error *err) {
    *sound = range.end <= filter->rows;
    while (*sound && range.first < range.end) {
        const uint64_t block = range.first / PQ_MARKS_ROWS;
        if (block - marks->block >= marks->count) {
            const uint64_t needed = (range.end - 1) / PQ_MARKS_ROWS - block + 1;
            uint64_t bad;
            marks->block = block;
            marks->count = needed < PQ_MARKS_READ ? needed : PQ_MARKS_READ;
            const pqdb_code code = read_marks(filter, filter->marks, marks, &bad, err);
            *sound = bad == UINT64_MAX;
            if (code != PQDB_OK || !*sound) marks->count = 0;
            PQ_TRY(code);
            if (!*sound) break;
        }
        const uint64_t base = block * PQ_MARKS_ROWS, end = base + PQ_MARKS_ROWS;
        const struct pq_row_range part = {range.first, end < range.end ? end : range.end};
        search_block(marks->data + (block - marks->block) * PQ_MARKS_BLOCK, part, base,
                     block_rows(filter, block), to);
        range.first = part.end;
    }
    return PQDB_OK;
}

// ---- writing ------------------------------------------------------------------------------------

/// A filter in the making.
struct making {
    struct pq_data_file *file;
    struct pq_pace *pace;
    struct pq_id_filter *filter;  // owned
    struct pq_file *out;          // owned
    struct pq_bytes marks;        // whole blocks, not yet written
    uint64_t written;             // bytes of them
    uint32_t block[PQ_MARKS_ROWS];  // the marks of the next one
    size_t block_rows;
};

static pqdb_code flush_marks(struct making *making, pqdb_error *err) {
    struct pq_bytes *marks = &making->marks;
    PQ_TRY(pq_pace_write(making->pace, making->out, making->filter->marks_at + making->written,
                         pq_bytes_text(marks), err));
    making->written += marks->length;
    marks->length = 0;
    return PQDB_OK;
}

static pqdb_code end_block(struct making *making, pqdb_error *err) {
    struct pq_bytes *marks = &making->marks;
    const size_t rows = making->block_rows, length = mark_bytes * rows;
    if (rows == 0) return PQDB_OK;
    PQ_TRY(pq_bytes_reserve(marks, 8 + length, err));
    uint8_t *block = marks->data + marks->length, *low = block + 8, *high = low + 2 * rows;
    for (size_t i = 0; i < rows; i++) {
        pq_store_u16(low + 2 * i, (uint16_t)making->block[i]);
        high[i] = (uint8_t)(making->block[i] >> 16);
    }
    pq_store_u64(block, pq_hash(low, length));
    marks->length += 8 + length;
    making->block_rows = 0;
    return marks->length < PQ_PACE_STEP_BYTES - PQ_MARKS_BLOCK ? PQDB_OK
                                                               : flush_marks(making, err);
}

static pqdb_code add_ids(struct making *making, const struct pq_column *ids, pqdb_error *err) {
    for (size_t i = 0; i < ids->count; i++) {
        const struct pq_text id = pq_column_text(ids, i);
        const uint64_t hash = pq_hash(id.data, id.length);
        add(making->filter, hash);
        if (making->filter->marks_at == 0) continue;
        making->block[making->block_rows++] = (uint32_t)hash;
        if (making->block_rows == PQ_MARKS_ROWS) PQ_TRY(end_block(making, err));
    }
    return PQDB_OK;
}

static pqdb_code fill(struct making *making, pqdb_error *err) {
    struct pq_data_file *file = making->file;
    const size_t field_count = file->options.type->field_count;
    const struct pq_alloc *alloc = file->options.alloc;
    struct pq_arena arena, piece_arena;
    pq_arena_init(&arena, alloc);
    pq_arena_init(&piece_arena, alloc);
    pqdb_code code = PQDB_OK;
    bool *columns = pq_arena_calloc(&arena, field_count, sizeof *columns);
    if (columns == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "a filter of ids");
        goto done;
    }
    columns[0] = true;
    struct pq_file_read read = {.columns = columns, .count = piece_rows};
    while (read.first < file->options.rows) {
        struct pq_batch batch;
        pq_arena_reset(&piece_arena);
        PQ_GO(pq_data_file_read(file, &read, &piece_arena, &batch, err));
        PQ_GO(add_ids(making, &batch.columns[0], err));
        read.first += batch.count;
    }
    PQ_GO(end_block(making, err));
    PQ_GO(flush_marks(making, err));
done:
    pq_arena_deinit(&piece_arena);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code write_lines(struct making *making, pqdb_error *err) {
    const struct pq_id_filter *filter = making->filter;
    const struct pq_text lines = {(const char *)filter->lines,
                                  (size_t)filter->line_count * RUN_FILTER_LINE};
    uint8_t head[head_bytes];
    memcpy(head, filter->marks_at > 0 ? magic_marks : magic, 8);
    pq_store_u64(head + 8, filter->rows);
    pq_store_u64(head + 16, filter->line_count);
    pq_store_u64(head + 24, pq_hash(lines.data, lines.length));
    pq_store_u64(head + 32, pq_hash(head, 32));
    const struct pq_text start = {(const char *)head, head_bytes};
    PQ_TRY(pq_file_write(making->out, 0, &start, 1, err));
    return pq_pace_write(making->pace, making->out, head_bytes, lines, err);
}

static pqdb_code make(struct making *making, bool with_marks, const char *path, pqdb_error *err) {
    const struct pq_data_file *file = making->file;
    PQ_TRY(create(run_filter_lines(file->options.rows), file->options.alloc, &making->filter,
                  err));
    struct pq_id_filter *filter = making->filter;
    filter->rows = file->options.rows;
    if (with_marks) filter->marks_at = head_bytes + filter->line_count * RUN_FILTER_LINE;
    PQ_TRY(pq_file_open(file->options.store, path, PQ_OPEN_WRITE, &making->out, err));
    PQ_TRY(pq_file_truncate(making->out, 0, err));
    PQ_TRY(fill(making, err));
    return write_lines(making, err);
}

pqdb_code pq_id_filter_write(struct pq_data_file *file, bool with_marks, struct pq_pace *pace,
                             pqdb_error *err) {
    char path[PQ_STORE_PATH_MAX], unfinished[PQ_STORE_PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s.ids", file->path);
    if (length + 4 >= PQ_STORE_PATH_MAX) {
        return pq_store_fail(err, PQDB_LIMIT, file->path, "its path is too long for a file beside");
    }
    snprintf(unfinished, sizeof unfinished, "%.*s.new", (int)sizeof unfinished - 5, path);
    struct making making = {.file = file, .pace = pace};
    pq_bytes_init(&making.marks, file->options.alloc);
    pqdb_code code = make(&making, with_marks, unfinished, err);
    pq_file_close(making.out);
    if (code == PQDB_OK) code = pq_store_rename(file->options.store, unfinished, path, err);
    if (code != PQDB_OK) pq_store_unlink(file->options.store, unfinished, NULL);
    pq_id_filter_destroy(making.filter, file->options.alloc);
    pq_bytes_deinit(&making.marks);
    return code;
}
