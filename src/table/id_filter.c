#include "table/id_filter.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "base/hash.h"
#include "state/run_format.h"
#include "store/pace.h"
#include "table/data_file_internal.h"

enum { head_bytes = 40, piece_rows = 16384 };

static const char magic[] = "PQIDS001";

struct pq_id_filter {
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
    if (filter != NULL) pq_free(alloc, filter, room_of(filter->line_count), 1);
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

static pqdb_code read_lines(struct pq_file *in, uint64_t rows, const struct pq_alloc *alloc,
                            struct pq_id_filter **out, pqdb_error *err) {
    const char *path = in->path;
    uint8_t head[head_bytes];
    uint64_t bytes;
    PQ_TRY(pq_file_size(in, &bytes, err));
    if (bytes < head_bytes) return pq_store_fail(err, PQDB_CORRUPT, path, "it is cut off");
    PQ_TRY(pq_file_read_all(in, 0, head, head_bytes, err));
    const uint64_t lines = pq_load_u64(head + 16);
    if (memcmp(head, magic, 8) != 0 || pq_load_u64(head + 32) != pq_hash(head, 32) ||
        (rows != PQ_ID_FILTER_ANY && pq_load_u64(head + 8) != rows) ||
        lines != run_filter_lines(pq_load_u64(head + 8)) ||
        bytes != head_bytes + lines * RUN_FILTER_LINE) {
        return pq_store_fail_at(err, PQDB_CORRUPT, path, 0,
                                "its head is damaged, or not of this data file");
    }
    struct pq_id_filter *filter;
    PQ_TRY(create(lines, alloc, &filter, err));
    const size_t length = (size_t)lines * RUN_FILTER_LINE;
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
    pq_file_close(in);
    // It only saves work: without it the answers are the same.
    return code == PQDB_NOT_FOUND || code == PQDB_CORRUPT ? PQDB_OK : code;
}

pqdb_code pq_id_filter_check(struct pq_store *store, const char *path, uint64_t rows,
                             const struct pq_alloc *alloc, pqdb_error *err) {
    struct pq_file *in;
    struct pq_id_filter *filter = NULL;
    PQ_TRY(pq_file_open(store, path, PQ_OPEN_READ, &in, err));
    const pqdb_code code = read_lines(in, rows, alloc, &filter, err);
    pq_id_filter_destroy(filter, alloc);
    pq_file_close(in);
    return code;
}

// ---- writing ------------------------------------------------------------------------------------

static pqdb_code fill(struct pq_data_file *file, struct pq_id_filter *filter, pqdb_error *err) {
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
        for (size_t i = 0; i < batch.count; i++) {
            const struct pq_text id = pq_column_text(&batch.columns[0], i);
            add(filter, pq_hash(id.data, id.length));
        }
        read.first += batch.count;
    }
done:
    pq_arena_deinit(&piece_arena);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code write_lines(const struct pq_data_file *file, const struct pq_id_filter *filter,
                             struct pq_pace *pace, const char *path, pqdb_error *err) {
    const struct pq_text lines = {(const char *)filter->lines,
                                  (size_t)filter->line_count * RUN_FILTER_LINE};
    uint8_t head[head_bytes];
    memcpy(head, magic, 8);
    pq_store_u64(head + 8, file->options.rows);
    pq_store_u64(head + 16, filter->line_count);
    pq_store_u64(head + 24, pq_hash(lines.data, lines.length));
    pq_store_u64(head + 32, pq_hash(head, 32));
    struct pq_file *out;
    PQ_TRY(pq_file_open(file->options.store, path, PQ_OPEN_WRITE, &out, err));
    pqdb_code code = pq_file_truncate(out, 0, err);
    const struct pq_text start = {(const char *)head, head_bytes};
    if (code == PQDB_OK) code = pq_file_write(out, 0, &start, 1, err);
    if (code == PQDB_OK) code = pq_pace_write(pace, out, head_bytes, lines, err);
    pq_file_close(out);
    return code;
}

pqdb_code pq_id_filter_write(struct pq_data_file *file, struct pq_pace *pace, pqdb_error *err) {
    char path[PQ_STORE_PATH_MAX], unfinished[PQ_STORE_PATH_MAX];
    const int length = snprintf(path, sizeof path, "%s.ids", file->path);
    if (length + 4 >= PQ_STORE_PATH_MAX) {
        return pq_store_fail(err, PQDB_LIMIT, file->path, "its path is too long for a file beside");
    }
    snprintf(unfinished, sizeof unfinished, "%.*s.new", (int)sizeof unfinished - 5, path);
    struct pq_id_filter *filter;
    const struct pq_alloc *alloc = file->options.alloc;
    PQ_TRY(create(run_filter_lines(file->options.rows), alloc, &filter, err));
    pqdb_code code = fill(file, filter, err);
    if (code == PQDB_OK) code = write_lines(file, filter, pace, unfinished, err);
    if (code == PQDB_OK) code = pq_store_rename(file->options.store, unfinished, path, err);
    if (code != PQDB_OK) pq_store_unlink(file->options.store, unfinished, NULL);
    pq_id_filter_destroy(filter, alloc);
    return code;
}
