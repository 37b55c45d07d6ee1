/// db/salvage.c: the rows of a damaged data file that can still be read, in a file of their own.
///
/// A row is read when every column of it is: a damaged page loses the rows that it holds a value
/// of, a damaged dictionary those of its row group. What cannot be read is halved until single rows
/// are left, so not a row more is lost than the damage takes.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "db/check_internal.h"
#include "db/checkpoint_internal.h"
#include "parquet/reader.h"
#include "table/data_file.h"
#include "table/fetch.h"
#include "table/file_out.h"
#include "variant/variant.h"

enum { step_rows = 2048, gaps_told = 4 };

struct work {
    struct pq_db_salvage *asked;
    struct pq_data_file *file;
    struct pq_file_read read;
    struct pq_file_out out;
    const struct pq_alloc *alloc;
    struct pq_bytes last;   // id of the last row that was read; empty: none yet
    uint64_t gap;           // rows lost behind it
    size_t gaps;
    uint64_t untold;        // rows of gaps beyond gaps_told
};

static bool is_live(const struct pq_root_file *file, uint64_t row) {
    if (row / 8 >= file->dead.length) return true;
    return ((unsigned char)file->dead.data[row / 8] >> (row % 8) & 1) == 0;
}

// ---- what is lost -----------------------------------------------------------------------------

/// `next` is the id of the first row behind the gap; empty: it reaches to the end.
static pqdb_code end_gap(struct work *work, struct pq_text next, pqdb_error *err) {
    if (work->gap == 0) return PQDB_OK;
    const uint64_t rows = work->gap;
    work->gap = 0;
    if (work->gaps++ >= gaps_told) {
        work->untold += rows;
        return PQDB_OK;
    }
    struct pq_bytes *where = &work->asked->where;
    PQ_TRY(pq_bytes_printf(where, err, "%s%" PRIu64 " with $id", work->gaps > 1 ? ", " : "",
                           rows));
    if (work->last.length > 0) {
        PQ_TRY(pq_bytes_printf(where, err, " behind '%.*s'",
                               PQ_TEXT_ARG(pq_bytes_text(&work->last))));
    }
    if (next.length == 0) {
        return work->last.length > 0 ? PQDB_OK : pq_bytes_printf(where, err, " of any value");
    }
    return pq_bytes_printf(where, err, "%s before '%.*s'", work->last.length > 0 ? " and" : "",
                           PQ_TEXT_ARG(next));
}

// ---- what is saved ----------------------------------------------------------------------------

static pqdb_code take(struct work *work, const struct pq_batch *batch, pqdb_error *err) {
    const struct pq_root_file *file = work->asked->file;
    const struct pq_column *ids = &batch->columns[0];
    for (size_t row = 0; row < batch->count;) {
        size_t end = row;
        while (end < batch->count && is_live(file, work->read.first + end)) end++;
        if (end == row) {
            row++;
            continue;
        }
        PQ_TRY(end_gap(work, pq_column_text(ids, row), err));
        if (work->asked->to != NULL) {
            PQ_TRY(pq_file_out_append(&work->out, batch, row, end - row, err));
        }
        work->asked->saved += end - row;
        work->last.length = 0;
        PQ_TRY(pq_bytes_append_text(&work->last, pq_column_text(ids, end - 1), err));
        row = end;
    }
    return PQDB_OK;
}

/// As many rows as come at once.
static pqdb_code read_some(struct work *work, uint64_t first, uint64_t count, uint64_t *got,
                           pqdb_error *err) {
    struct pq_arena arena;
    struct pq_batch batch;
    pq_arena_init(&arena, work->alloc);
    work->read.first = first;
    work->read.count = count;
    pqdb_code code = pq_data_file_read(work->file, &work->read, &arena, &batch, err);
    *got = 0;
    if (code == PQDB_OK && batch.count == 0) code = PQDB_CORRUPT;
    if (code == PQDB_OK) {
        *got = batch.count;
        code = take(work, &batch, err);
    }
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code save(struct work *work, uint64_t first, uint64_t count, pqdb_error *err) {
    while (count > 0) {
        uint64_t got;
        pqdb_error why = {0};
        const pqdb_code code = read_some(work, first, count, &got, &why);
        if (code != PQDB_OK && (got > 0 || !pq_db_is_damage(code))) {
            if (err != NULL) *err = why;
            return code;
        }
        if (code != PQDB_OK && count > 1) {
            PQ_TRY(save(work, first, count / 2, err));
            got = count / 2;
        } else if (code != PQDB_OK) {
            const bool counts = is_live(work->asked->file, first);
            work->gap += counts;
            work->asked->lost += counts;
            got = 1;
        }
        first += got;
        count -= got;
    }
    return PQDB_OK;
}

static pqdb_code save_all(struct work *work, pqdb_error *err) {
    const uint64_t rows = work->asked->file->rows;
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_reader(work->file, &reader, err));
    if (pq_parquet_row_count(reader) != rows) {
        return pq_fail(err, PQDB_CORRUPT, "it is another file");
    }
    for (uint64_t row = 0; row < rows; row += step_rows) {
        PQ_TRY(save(work, row, rows - row < step_rows ? rows - row : step_rows, err));
    }
    PQ_TRY(end_gap(work, (struct pq_text){0}, err));
    if (work->untold == 0) return PQDB_OK;
    return pq_bytes_printf(&work->asked->where, err, ", %" PRIu64 " elsewhere", work->untold);
}

pqdb_code pq_db_salvage(struct pq_db_check *check, struct pq_db_salvage *asked, pqdb_error *err) {
    const struct pq_db_shape *shape = pq_db_shape_find(&check->shapes, asked->table->id);
    struct pq_variant_names *names = NULL;
    struct pq_variant_encoder *encoder = NULL;
    struct work work = {.asked = asked, .alloc = check->alloc};
    pq_bytes_init(&work.last, check->alloc);
    asked->saved = asked->lost = asked->bytes = 0;
    asked->where.length = 0;
    if (shape == NULL || shape->type_count == 0) {
        return pq_fail(err, PQDB_CORRUPT, "its columns are not known");
    }
    const struct pq_type *type = &shape->types[shape->type_count - 1];
    const struct pq_data_file_options options = {
        .store = check->store, .path = asked->file->path, .bytes = asked->file->bytes,
        .rows = asked->file->rows, .type = type, .read_only = true, .alloc = check->alloc};
    work.out = (struct pq_file_out){.store = check->store, .path = asked->to, .type = type,
                                    .alloc = check->alloc};
    pqdb_code code;
    PQ_GO(pq_data_file_create(&options, &work.file, err));
    PQ_GO(pq_variant_names_create(check->alloc, &names, err));
    PQ_GO(pq_variant_encoder_create(names, check->alloc, &encoder, err));
    work.read = (struct pq_file_read){.encoder = encoder, .names = names};
    if (asked->to != NULL) PQ_GO(pq_file_out_open(&work.out, err));
    PQ_GO(save_all(&work, err));
    if (asked->to != NULL) {
        uint64_t rows;
        PQ_GO(pq_file_out_finish(&work.out, &rows, &asked->bytes, err));
    }
done:
    if (asked->to != NULL) pq_file_out_close(&work.out);
    if (code != PQDB_OK && asked->to != NULL) pq_store_unlink(check->store, asked->to, NULL);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_data_file_unref(work.file);
    pq_bytes_deinit(&work.last);
    return code;
}

// ---- what the log still says of lost rows -----------------------------------------------------

pqdb_code pq_db_forgive_lost(struct pq_db_table *table, const struct pq_column *ids,
                             int8_t *weights, size_t count, pqdb_error *err) {
    for (size_t row = 0; row < count; row++) {
        if (weights[row] >= 0) continue;
        const struct pq_text id = pq_column_text(ids, row);
        struct pq_row_place place;
        PQ_TRY(pq_table_locate_now(table->table, &id, 1, &place, err));
        const bool is_there =
            place.segment != NULL && !pq_segment_is_dead(place.segment, place.row, UINT64_MAX);
        if (!is_there) weights[row] = 0;
    }
    return PQDB_OK;
}
