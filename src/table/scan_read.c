/// table/scan_read.c: the rows of one task: columns of the filter first, then, for what matched,
/// the others.
#include "base/fail.h"
#include "batch/builder.h"
#include "batch/project.h"
#include "table/scan_internal.h"
#include "variant/variant.h"

/// Between two matches further apart than that a column's pages are left unread.
enum { gap_rows = 4096 };

struct reading {
    const struct pq_scan *scan;
    struct pq_scan_reader *reader;
    const struct pq_scan_task *task;
    const struct pq_scan_into *into;
    const struct pq_type *type;
    struct pq_arena *scratch;  // its hold's
    struct pq_batch tested;    // columns of the filter, of all rows of the task; may be empty
    const uint32_t *rows;      // in the task; NULL: all
    size_t count;
};

void pq_scan_reader_deinit(struct pq_scan_reader *reader) {
    pq_variant_encoder_destroy(reader->encoder);
    pq_parquet_memo_destroy(reader->memo);
    pq_hold_unref(reader->scratch);
    *reader = (struct pq_scan_reader){0};
}

void pq_scan_reader_report(struct pq_scan *scan, struct pq_scan_reader *reader) {
    struct pq_scan_counts *to = scan->options.counts;
    const struct pq_scan_counts *from = &reader->counts;
    if (to != NULL) {
        to->rows_tested += from->rows_tested;
        to->rows_certain += from->rows_certain;
        to->rows_matched += from->rows_matched;
        to->memory_rows += from->memory_rows;
        to->first.pages += from->first.pages;
        to->first.bytes += from->first.bytes;
        to->late.pages += from->late.pages;
        to->late.bytes += from->late.bytes;
    }
    reader->counts = (struct pq_scan_counts){0};
}

static pqdb_code prepare(struct reading *reading, pqdb_error *err) {
    struct pq_scan_reader *reader = reading->reader;
    const struct pq_scan *scan = reading->scan;
    if (reader->scratch == NULL) PQ_TRY(pq_hold_create(scan->alloc, &reader->scratch, err));
    pq_hold_reset(reader->scratch);
    reading->scratch = &reader->scratch->arena;
    if (reading->task->segment->kind != PQ_SEGMENT_FILE) return PQDB_OK;
    if (reader->encoder == NULL) {
        // Reading back adds no name that the table's list does not have, but for names that once
        // did not fit it; those values bring their own.
        struct pq_variant_names *names =
            (struct pq_variant_names *)(uintptr_t)scan->snapshot->names;
        PQ_TRY(pq_variant_encoder_create(names, scan->alloc, &reader->encoder, err));
    }
    if (reader->memo != NULL && reader->memo_segment == reading->task->segment &&
        reader->memo_group == reading->task->group) {
        return PQDB_OK;
    }
    pq_parquet_memo_destroy(reader->memo);
    reader->memo = NULL;
    reader->memo_segment = reading->task->segment;
    reader->memo_group = reading->task->group;
    return pq_parquet_memo_create(reading->task->segment->file->reader, reading->task->group,
                                  &reader->memo, err);
}

// ---- columns of a file --------------------------------------------------------------------------

/// Which columns, of which rows of the task, and whose memory they are in.
struct wish {
    const bool *columns;
    const bool *without;  // or NULL
    uint64_t first, count;
    struct pq_arena *arena;
    struct pq_hold *hold;
    struct pq_parquet_counts *counts;
};

static bool is_wished(const struct wish *wish, size_t column) {
    return pq_scan_wants(wish->columns, column) &&
           (wish->without == NULL || !wish->without[column]);
}

static struct pq_scan_span span_of(const struct reading *reading, const struct wish *wish) {
    return (struct pq_scan_span){.scan = reading->scan, .reader = reading->reader,
                                 .task = reading->task, .first = wish->first,
                                 .count = wish->count, .arena = wish->arena, .hold = wish->hold,
                                 .counts = wish->counts};
}

pqdb_code pq_scan_read_fields(const struct pq_scan_span *span, const uint32_t *fields,
                              size_t count, struct pq_batch *found, pqdb_error *err) {
    const struct pq_scan_task *task = span->task;
    const struct pq_parquet_request request = {
        .fields = fields, .field_count = count, .group = task->group,
        .first_row = task->first - task->group_first + span->first, .row_count = span->count,
        .encoder = span->reader->encoder, .names = span->scan->snapshot->names,
        .hold = span->hold, .memo = span->reader->memo, .counts = span->counts};
    *found = (struct pq_batch){.count = span->count};
    if (count == 0) return PQDB_OK;
    return pq_parquet_read(task->segment->file->reader, &request, span->arena, found, err);
}

/// Column k of the table, as the file has it.
static pqdb_code read_whole(const struct reading *reading, const struct pq_scan_span *span,
                            uint32_t k, struct pq_column *column, pqdb_error *err) {
    struct pq_batch found;
    PQ_TRY(pq_scan_read_fields(span, &reading->task->segment->file->fields[k], 1, &found, err));
    return pq_column_project(&found.columns[0], &reading->type->fields[k].type, span->arena,
                             column, err);
}

/// The next columns of what was found become column k.
static pqdb_code take_found(const struct reading *reading, const struct pq_scan_span *span,
                            uint32_t k, const struct pq_column **found, struct pq_column *column,
                            pqdb_error *err) {
    const struct pq_scan_paths *paths = pq_scan_kept_paths(span, k);
    if (paths == NULL) {
        return pq_column_project((*found)++, &reading->type->fields[k].type, span->arena, column,
                                 err);
    }
    bool done;
    PQ_TRY(pq_scan_assemble_paths(span, paths, found, column, &done, err));
    return done ? PQDB_OK : read_whole(reading, span, k, column, err);
}

/// Fill in the columns wished; those that the file lacks are null.
static pqdb_code read_columns(const struct reading *reading, const struct wish *wish,
                              struct pq_column *columns, pqdb_error *err) {
    const struct pq_data_file *file = reading->task->segment->file;
    const struct pq_scan_span span = span_of(reading, wish);
    const size_t room = pq_parquet_type(file->reader)->field_count + 1;
    uint32_t *fields = pq_arena_alloc(wish->arena, room * sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    size_t field_count = 0;
    for (uint32_t k = 0; k < reading->type->field_count; k++) {
        if (!is_wished(wish, k) || file->fields[k] == PQ_NO_FIELD) continue;
        const struct pq_scan_paths *paths = pq_scan_kept_paths(&span, k);
        if (paths == NULL) {
            fields[field_count++] = file->fields[k];
        } else {
            field_count += pq_scan_path_fields(&span, paths, fields + field_count);
        }
    }
    struct pq_batch found;
    PQ_TRY(pq_scan_read_fields(&span, fields, field_count, &found, err));
    const struct pq_column *next = found.columns;
    for (uint32_t k = 0; k < reading->type->field_count; k++) {
        if (!is_wished(wish, k)) continue;
        if (file->fields[k] != PQ_NO_FIELD) {
            PQ_TRY(take_found(reading, &span, k, &next, &columns[k], err));
            continue;
        }
        PQ_TRY(pq_column_of_nulls(&reading->type->fields[k].type, wish->count, wish->arena,
                                  &columns[k], err));
        columns[k].names = reading->scan->snapshot->names;
    }
    return PQDB_OK;
}

// ---- which rows ---------------------------------------------------------------------------------

/// Codes are taken only where somebody keeps what they stand for.
static struct pq_hold *scratch_hold(const struct reading *reading) {
    return reading->into->hold == NULL ? NULL : reading->reader->scratch;
}

static pqdb_code take_chunk(struct reading *reading, pqdb_error *err) {
    const struct pq_scan_task *task = reading->task;
    const struct pq_batch *from = task->segment == reading->scan->snapshot->open
                                      ? &reading->scan->snapshot->open_rows
                                      : &task->segment->batch;
    return pq_batch_slice(from, task->first, task->count, reading->scratch, &reading->tested, err);
}

/// Behind the table's columns those of the paths that the filter reads.
static pqdb_code add_paths(struct reading *reading, const bool *columns, pqdb_error *err) {
    const struct pq_shreds *shreds = reading->scan->snapshot->shreds;
    struct pq_column *made =
        pq_arena_calloc(reading->scratch, shreds->type->field_count, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    memcpy(made, reading->tested.columns, shreds->first * sizeof *made);
    const struct wish wish = {.count = reading->task->count, .arena = reading->scratch,
                              .hold = scratch_hold(reading),
                              .counts = &reading->reader->counts.first};
    const struct pq_scan_span span = span_of(reading, &wish);
    const bool is_chunk = reading->task->segment->kind == PQ_SEGMENT_CHUNK;
    PQ_TRY(pq_scan_read_paths(&span, columns, is_chunk ? &reading->tested : NULL,
                              made + shreds->first, err));
    reading->tested.type = shreds->type;
    reading->tested.columns = made;
    return PQDB_OK;
}

static pqdb_code read_first(struct reading *reading, const bool *columns, pqdb_error *err) {
    const struct pq_scan_task *task = reading->task;
    struct pq_column *made =
        pq_arena_alloc(reading->scratch, reading->type->field_count * sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t k = 0; k < reading->type->field_count; k++) {
        if (pq_scan_wants(columns, k)) continue;
        // Nobody reads it; it only has the right shape.
        PQ_TRY(pq_column_of_nulls(&reading->type->fields[k].type, 0, reading->scratch, &made[k],
                                  err));
    }
    const struct wish wish = {.columns = columns, .count = task->count,
                              .arena = reading->scratch, .hold = scratch_hold(reading),
                              .counts = &reading->reader->counts.first};
    PQ_TRY(read_columns(reading, &wish, made, err));
    reading->tested =
        (struct pq_batch){.type = reading->type, .count = task->count, .columns = made};
    return PQDB_OK;
}

/// The columns of the filter, of all rows of the task.
static pqdb_code read_tested(struct reading *reading, const struct pq_scan_filter *filter,
                             pqdb_error *err) {
    const bool *columns = filter == NULL ? NULL : filter->columns;
    PQ_TRY(reading->task->segment->kind == PQ_SEGMENT_CHUNK ? take_chunk(reading, err)
                                                            : read_first(reading, columns, err));
    if (filter == NULL || !filter->by_paths || reading->task->is_certain) return PQDB_OK;
    return add_paths(reading, columns, err);
}

static pqdb_code list_live(struct reading *reading, pqdb_error *err) {
    const struct pq_scan_task *task = reading->task;
    const uint64_t version = reading->scan->snapshot->version;
    reading->count = task->count;
    if (!pq_segment_has_dead(task->segment, task->first, task->count, version)) return PQDB_OK;
    uint32_t *rows = pq_arena_alloc(reading->scratch, (task->count + 1) * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of live rows");
    reading->count = 0;
    for (size_t row = 0; row < task->count; row++) {
        if (pq_segment_is_dead(task->segment, task->first + row, version)) continue;
        rows[reading->count++] = (uint32_t)row;
    }
    reading->rows = rows;
    return PQDB_OK;
}

/// What the filter reads of the live rows; other columns stay as nobody filled them.
static pqdb_code gather_live(const struct reading *reading, const bool *columns,
                             struct pq_batch *live, pqdb_error *err) {
    const struct pq_batch *tested = &reading->tested;
    struct pq_column *made =
        pq_arena_alloc(reading->scratch, tested->type->field_count * sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t k = 0; k < tested->type->field_count; k++) {
        made[k] = tested->columns[k];
        made[k].count = 0;
        if (!pq_scan_wants(columns, k)) continue;
        PQ_TRY(pq_column_gather(&tested->columns[k], reading->rows, reading->count,
                                reading->scratch, &made[k], err));
    }
    *live = (struct pq_batch){.type = tested->type, .count = reading->count, .columns = made};
    return PQDB_OK;
}

/// What the filter keeps of the live rows.
static pqdb_code test_rows(struct reading *reading, pqdb_error *err) {
    const struct pq_scan_filter *filter = reading->scan->options.filter;
    struct pq_batch live = reading->tested;
    struct pq_selection selection;
    reading->reader->counts.rows_tested += reading->count;
    if (reading->rows != NULL) {
        PQ_TRY(gather_live(reading, filter->columns, &live, err));
    }
    if (filter->select != NULL) {
        PQ_TRY(filter->select(filter->ctx, &live, reading->scratch, &selection, err));
    } else {
        PQ_TRY(pq_program_select(filter->program, &live, reading->scratch, &selection, err));
    }
    if (selection.count == reading->count) return PQDB_OK;
    uint32_t *rows = pq_arena_alloc(reading->scratch, (selection.count + 1) * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of rows");
    for (size_t i = 0; i < selection.count; i++) {
        rows[i] = reading->rows == NULL ? selection.rows[i] : reading->rows[selection.rows[i]];
    }
    reading->rows = rows;
    reading->count = selection.count;
    return PQDB_OK;
}

// ---- what comes out -----------------------------------------------------------------------------

/// Rows [from, to) of the list stand close together.
static size_t end_of_run(const struct reading *reading, size_t from) {
    size_t to = from + 1;
    while (to < reading->count && reading->rows[to] - reading->rows[to - 1] <= gap_rows) to++;
    return to;
}

/// Matches that stand close together: their place in the list, and where their values go.
struct run {
    size_t from, to;
    struct pq_arena *arena;
    struct pq_column *columns;
};

static pqdb_code gather_run(const struct reading *reading, struct wish *wish,
                            const struct run *run, pqdb_error *err) {
    const size_t from = run->from, to = run->to;
    struct pq_column *decoded =
        pq_arena_alloc(reading->scratch, reading->type->field_count * sizeof *decoded);
    uint32_t *rows = pq_arena_alloc(reading->scratch, (to - from) * sizeof *rows);
    if (decoded == NULL || rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    wish->first = reading->rows[from];
    wish->count = reading->rows[to - 1] - wish->first + 1;
    PQ_TRY(read_columns(reading, wish, decoded, err));
    for (size_t i = from; i < to; i++) rows[i - from] = reading->rows[i] - (uint32_t)wish->first;
    for (size_t k = 0; k < reading->type->field_count; k++) {
        if (!is_wished(wish, k)) continue;
        PQ_TRY(pq_column_gather(&decoded[k], rows, to - from, run->arena, &run->columns[k], err));
    }
    return PQDB_OK;
}

/// Several runs, put together.
static pqdb_code join_runs(const struct reading *reading, struct wish *wish,
                           struct pq_column *columns, pqdb_error *err) {
    const size_t field_count = reading->type->field_count;
    struct pq_arena *arena = reading->into->arena;
    struct pq_builder *builders =
        pq_arena_calloc(reading->scratch, field_count, sizeof *builders);
    struct run run = {.arena = reading->scratch};
    run.columns = pq_arena_alloc(reading->scratch, field_count * sizeof *run.columns);
    if (builders == NULL || run.columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t k = 0; k < field_count; k++) {
        if (!is_wished(wish, k)) continue;
        PQ_TRY(pq_builder_init(&builders[k], &reading->type->fields[k].type, &arena->alloc, err));
    }
    for (; run.from < reading->count; run.from = run.to) {
        run.to = end_of_run(reading, run.from);
        PQ_TRY(gather_run(reading, wish, &run, err));
        for (size_t k = 0; k < field_count; k++) {
            if (!is_wished(wish, k)) continue;
            PQ_TRY(pq_builder_append_rows(&builders[k], &run.columns[k], 0, run.to - run.from,
                                          err));
        }
    }
    for (size_t k = 0; k < field_count; k++) {
        if (!is_wished(wish, k)) continue;
        columns[k] = pq_builder_finish(&builders[k]);
        if (columns[k].names == NULL) columns[k].names = reading->scan->snapshot->names;
    }
    return PQDB_OK;
}

/// The columns that the filter did not read.
static pqdb_code read_late(const struct reading *reading, const bool *tested,
                           struct pq_column *columns, pqdb_error *err) {
    struct wish wish = {.columns = reading->scan->options.columns, .without = tested,
                        .count = reading->task->count, .arena = reading->scratch,
                        .hold = scratch_hold(reading),
                        .counts = &reading->reader->counts.late};
    if (reading->rows == NULL) {
        wish.arena = reading->into->arena;
        wish.hold = reading->into->hold;
        return read_columns(reading, &wish, columns, err);
    }
    if (end_of_run(reading, 0) < reading->count) return join_runs(reading, &wish, columns, err);
    const struct run all = {0, reading->count, reading->into->arena, columns};
    return gather_run(reading, &wish, &all, err);
}

/// Columns that are there already: of a chunk, or read for the filter into the scratch.
static pqdb_code take_tested(const struct reading *reading, const bool *tested,
                             struct pq_column *columns, pqdb_error *err) {
    struct pq_arena *arena = reading->into->arena;
    const bool is_chunk = reading->task->segment->kind == PQ_SEGMENT_CHUNK;
    const uint32_t *rows = reading->rows;
    if (rows == NULL && !is_chunk) {  // the scratch does not last
        uint32_t *all = pq_arena_alloc(reading->scratch, (reading->count + 1) * sizeof *all);
        if (all == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
        for (size_t i = 0; i < reading->count; i++) all[i] = (uint32_t)i;
        rows = all;
    }
    for (size_t k = 0; k < reading->type->field_count; k++) {
        if (!pq_scan_wants(reading->scan->options.columns, k)) continue;
        if (!is_chunk && !pq_scan_wants(tested, k)) continue;
        const struct pq_column *from = &reading->tested.columns[k];
        if (rows != NULL) {
            PQ_TRY(pq_column_gather(from, rows, reading->count, arena, &columns[k], err));
        } else {
            PQ_TRY(pq_column_slice(from, 0, reading->count, arena, &columns[k], err));
        }
    }
    return PQDB_OK;
}

static pqdb_code take_nulls(const struct reading *reading, struct pq_column *columns,
                            pqdb_error *err) {
    const struct pq_scan *scan = reading->scan;
    for (size_t k = 0; k < reading->type->field_count; k++) {
        if (pq_scan_wants(scan->options.columns, k)) continue;
        PQ_TRY(pq_column_slice(&scan->nulls->columns[k], 0, reading->count, reading->into->arena,
                               &columns[k], err));
    }
    return PQDB_OK;
}

static pqdb_code name_rows(const struct reading *reading, struct pq_scan_rows *out,
                           pqdb_error *err) {
    uint32_t *rows = pq_arena_alloc(reading->into->arena, (reading->count + 1) * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t i = 0; i < reading->count; i++) {
        const size_t row = reading->rows == NULL ? i : reading->rows[i];
        rows[i] = (uint32_t)(reading->task->first + row);
    }
    out->segment = reading->task->segment;
    out->rows = rows;
    return PQDB_OK;
}

static pqdb_code finish(const struct reading *reading, const bool *tested,
                        struct pq_scan_rows *out, pqdb_error *err) {
    const size_t field_count = reading->type->field_count;
    struct pq_column *columns =
        pq_arena_calloc(reading->into->arena, field_count + 1, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    PQ_TRY(take_nulls(reading, columns, err));
    if (reading->tested.columns != NULL) PQ_TRY(take_tested(reading, tested, columns, err));
    if (reading->task->segment->kind == PQ_SEGMENT_FILE) {
        const bool *already = reading->tested.columns == NULL ? NULL : tested;
        PQ_TRY(read_late(reading, already, columns, err));
    }
    out->batch =
        (struct pq_batch){.type = reading->type, .count = reading->count, .columns = columns};
    if (reading->into->hold == NULL) return PQDB_OK;
    PQ_TRY(name_rows(reading, out, err));
    return pq_hold_keep_dictionaries(reading->into->hold, &out->batch, err);
}

static pqdb_code read_task(struct reading *reading, struct pq_scan_rows *rows, pqdb_error *err) {
    const struct pq_scan_filter *filter = reading->scan->options.filter;
    const bool is_chunk = reading->task->segment->kind == PQ_SEGMENT_CHUNK;
    struct pq_scan_counts *counts = &reading->reader->counts;
    PQ_TRY(prepare(reading, err));
    PQ_TRY(list_live(reading, err));
    if (is_chunk) counts->memory_rows += reading->count;
    const bool tests = filter != NULL && !reading->task->is_certain;
    if (is_chunk || tests) {
        PQ_TRY(read_tested(reading, filter, err));
    }
    if (tests && reading->count > 0) PQ_TRY(test_rows(reading, err));
    if (filter != NULL && !tests) counts->rows_certain += reading->count;
    counts->rows_matched += reading->count;
    if (reading->count == 0) return PQDB_OK;
    return finish(reading, filter == NULL ? NULL : filter->columns, rows, err);
}

pqdb_code pq_scan_read(const struct pq_scan *scan, struct pq_scan_reader *reader,
                       const struct pq_scan_task *task, const struct pq_scan_into *into,
                       struct pq_scan_rows *rows, pqdb_error *err) {
    struct reading reading = {.scan = scan, .reader = reader, .task = task, .into = into,
                              .type = scan->snapshot->type};
    *rows = (struct pq_scan_rows){.batch = {.type = scan->snapshot->type}};
    const pqdb_code code = read_task(&reading, rows, err);
    if (task->segment->kind != PQ_SEGMENT_FILE) return code;
    return pq_data_file_named(task->segment->file, code, err);
}
