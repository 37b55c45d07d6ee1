#include "table/fetch.h"

#include <stdlib.h>

#include "base/fail.h"
#include "batch/builder.h"
#include "table/data_file.h"

/// What is wanted, in storage order.
struct wanted_row {
    struct pq_segment *segment;
    uint64_t serial;  // of the segment; 0: a row of nulls
    uint32_t row;
    uint32_t place;  // in the order asked
};

struct fetching {
    const struct pq_fetch *fetch;
    struct pq_arena *arena;
    struct wanted_row *rows;
    struct pq_builder *columns;  // of the table; made when a second piece comes
};

static int compare_wanted(const void *left, const void *right) {
    const struct wanted_row *a = left, *b = right;
    if (a->serial != b->serial) return a->serial < b->serial ? -1 : 1;
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static pqdb_code sort_places(struct fetching *fetching, bool *in_order, pqdb_error *err) {
    const struct pq_fetch *fetch = fetching->fetch;
    struct wanted_row *rows = pq_arena_alloc(fetching->arena, fetch->count * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "places of %zu rows", fetch->count);
    *in_order = true;
    for (size_t i = 0; i < fetch->count; i++) {
        struct pq_segment *segment = fetch->places[i].segment;
        rows[i] = (struct wanted_row){.segment = segment, .row = fetch->places[i].row,
                                      .serial = segment == NULL ? 0 : segment->serial,
                                      .place = (uint32_t)i};
        *in_order = *in_order && (i == 0 || compare_wanted(&rows[i - 1], &rows[i]) < 0);
    }
    if (!*in_order) qsort(rows, fetch->count, sizeof *rows, compare_wanted);
    fetching->rows = rows;
    return PQDB_OK;
}

/// Rows of a chunk.
static pqdb_code gather_chunk(const struct fetching *fetching, const struct pq_batch *from,
                              const uint32_t *rows, size_t count, struct pq_batch *batch,
                              pqdb_error *err) {
    const struct pq_fetch *fetch = fetching->fetch;
    struct pq_arena *arena = fetching->arena;
    if (fetch->columns == NULL) return pq_batch_gather(from, rows, count, arena, batch, err);
    const struct pq_type *type = fetch->snapshot->type;
    struct pq_column *columns = pq_arena_alloc(arena, type->field_count * sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows to fetch");
    for (size_t k = 0; k < type->field_count; k++) {
        if (fetch->columns[k]) {
            PQ_TRY(pq_column_gather(&from->columns[k], rows, count, arena, &columns[k], err));
            continue;
        }
        PQ_TRY(pq_column_of_nulls(&type->fields[k].type, count, arena, &columns[k], err));
        columns[k].names = fetch->snapshot->names;
    }
    *batch = (struct pq_batch){.type = type, .count = count, .columns = columns};
    return PQDB_OK;
}

/// Rows of one segment, ascending; they may repeat.
static pqdb_code read_piece(struct fetching *fetching, struct pq_segment *segment,
                            const uint32_t *rows, size_t count, struct pq_batch *batch,
                            pqdb_error *err) {
    const struct pq_fetch *fetch = fetching->fetch;
    struct pq_table_snapshot *snapshot = fetch->snapshot;
    if (segment->kind == PQ_SEGMENT_CHUNK) {
        const struct pq_batch *from =
            segment == snapshot->open ? &snapshot->open_rows : &segment->batch;
        return gather_chunk(fetching, from, rows, count, batch, err);
    }
    const struct pq_file_fetch read = {.columns = fetch->columns, .rows = rows, .count = count,
                                       .names = snapshot->names};
    return pq_data_file_fetch(segment->file, &read, fetching->arena, batch, err);
}

static pqdb_code need_builders(struct fetching *fetching, pqdb_error *err) {
    const struct pq_type *type = fetching->fetch->snapshot->type;
    struct pq_arena *arena = fetching->arena;
    if (fetching->columns != NULL) return PQDB_OK;
    fetching->columns = pq_arena_calloc(arena, type->field_count, sizeof *fetching->columns);
    if (fetching->columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows to fetch");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&fetching->columns[k], &type->fields[k].type, &arena->alloc, err));
    }
    return PQDB_OK;
}

/// Rows that follow one another in storage order, in the same segment.
struct run {
    struct pq_segment *segment;  // NULL: rows of nulls
    const uint32_t *rows;
    size_t count;
};

static pqdb_code add_column(struct fetching *fetching, const struct run *run, size_t column,
                            const struct pq_batch *from, pqdb_error *err) {
    const bool *wanted = fetching->fetch->columns;
    struct pq_builder *builder = &fetching->columns[column];
    const bool gives = from != NULL && (wanted == NULL || wanted[column]);
    for (size_t i = 0; i < run->count; i++) {
        if (gives) {
            PQ_TRY(pq_builder_append_rows(builder, &from->columns[column], run->rows[i], 1, err));
        } else {
            PQ_TRY(pq_builder_append_null(builder, err));
        }
    }
    return PQDB_OK;
}

static pqdb_code add_run(struct fetching *fetching, const struct run *run, pqdb_error *err) {
    const struct pq_table_snapshot *snapshot = fetching->fetch->snapshot;
    PQ_TRY(need_builders(fetching, err));
    if (run->segment != NULL && run->segment->kind == PQ_SEGMENT_FILE) {
        struct pq_batch piece;
        PQ_TRY(read_piece(fetching, run->segment, run->rows, run->count, &piece, err));
        for (size_t k = 0; k < snapshot->type->field_count; k++) {
            PQ_TRY(pq_builder_append_rows(&fetching->columns[k], &piece.columns[k], 0, run->count,
                                          err));
        }
        return PQDB_OK;
    }
    const struct pq_batch *from = run->segment == NULL             ? NULL
                                  : run->segment == snapshot->open ? &snapshot->open_rows
                                                                   : &run->segment->batch;
    for (size_t k = 0; k < snapshot->type->field_count; k++) {
        PQ_TRY(add_column(fetching, run, k, from, err));
    }
    return PQDB_OK;
}

/// All rows in storage order.
static pqdb_code read_pieces(struct fetching *fetching, struct pq_batch *batch, pqdb_error *err) {
    const struct pq_fetch *fetch = fetching->fetch;
    uint32_t *rows = pq_arena_alloc(fetching->arena, fetch->count * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "places of %zu rows", fetch->count);
    for (size_t i = 0; i < fetch->count;) {
        struct pq_segment *segment = fetching->rows[i].segment;
        size_t count = 0;
        while (i + count < fetch->count && fetching->rows[i + count].segment == segment) {
            rows[count] = fetching->rows[i + count].row;
            count++;
        }
        if (count == fetch->count && segment != NULL) {
            return read_piece(fetching, segment, rows, count, batch, err);
        }
        const struct run run = {segment, rows, count};
        PQ_TRY(add_run(fetching, &run, err));
        i += count;
    }
    return pq_builder_finish_batch(fetching->columns, fetch->snapshot->type, fetching->arena,
                                   batch, err);
}

/// From storage order back to the order asked.
static pqdb_code restore_order(struct fetching *fetching, struct pq_batch *batch,
                               pqdb_error *err) {
    const struct pq_fetch *fetch = fetching->fetch;
    uint32_t *from = pq_arena_alloc(fetching->arena, fetch->count * sizeof *from);
    if (from == NULL) return pq_fail(err, PQDB_NO_MEMORY, "places of %zu rows", fetch->count);
    for (size_t i = 0; i < fetch->count; i++) from[fetching->rows[i].place] = (uint32_t)i;
    const struct pq_batch stored = *batch;
    return pq_batch_gather(&stored, from, fetch->count, fetching->arena, batch, err);
}

pqdb_code pq_table_fetch(const struct pq_fetch *fetch, struct pq_arena *arena,
                         struct pq_batch *out, pqdb_error *err) {
    struct fetching fetching = {.fetch = fetch, .arena = arena};
    struct pq_batch batch = {.type = fetch->snapshot->type};
    bool in_order = true;
    if (fetch->count > 0) {
        PQ_TRY(sort_places(&fetching, &in_order, err));
        PQ_TRY(read_pieces(&fetching, &batch, err));
        if (!in_order) PQ_TRY(restore_order(&fetching, &batch, err));
    }
    *out = batch;
    return PQDB_OK;
}

pqdb_code pq_table_get(struct pq_table_snapshot *snapshot, struct pq_text id,
                       const struct pq_alloc *alloc, struct pq_arena *arena,
                       struct pq_batch *batch, pqdb_error *err) {
    struct pq_row_place place;
    PQ_TRY(pq_table_locate(snapshot, &id, 1, &place, err));
    const struct pq_fetch fetch = {.snapshot = snapshot, .places = &place,
                                   .count = place.segment != NULL, .alloc = alloc};
    return pq_table_fetch(&fetch, arena, batch, err);
}
