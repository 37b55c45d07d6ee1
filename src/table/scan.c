/// table/scan.c: which pieces of which segments are read. What a row group is skipped for is
/// decided when it is entered.
#include "table/scan.h"

#include "base/fail.h"
#include "table/data_file_internal.h"
#include "table/scan_internal.h"
#include "variant/variant.h"

void pq_scan_open(struct pq_scan *scan, struct pq_table_snapshot *snapshot,
                  const struct pq_scan_options *options, const struct pq_alloc *alloc) {
    *scan = (struct pq_scan){.snapshot = pq_table_snapshot_ref(snapshot), .alloc = alloc};
    if (options != NULL) scan->options = *options;
    pq_arena_init(&scan->arena, alloc);
    pq_arena_init(&scan->group_arena, alloc);
    scan->rows_next = scan->options.rows_first;
    if (scan->rows_next == 0 || scan->rows_next > PQ_SCAN_ROWS) scan->rows_next = PQ_SCAN_ROWS;
}

void pq_scan_close(struct pq_scan *scan) {
    pq_scan_reader_report(scan, &scan->reader);
    pq_scan_reader_deinit(&scan->reader);
    pq_arena_deinit(&scan->arena);
    pq_arena_deinit(&scan->group_arena);
    pq_table_snapshot_unref(scan->snapshot);
    *scan = (struct pq_scan){0};
}

static pqdb_code make_nulls(struct pq_scan *scan, pqdb_error *err) {
    const struct pq_type *type = scan->snapshot->type;
    size_t rows = PQ_SCAN_ROWS;
    struct pq_batch *nulls = pq_arena_calloc(&scan->arena, 1, sizeof *nulls);
    struct pq_column *columns = pq_arena_calloc(&scan->arena, type->field_count, sizeof *columns);
    if (nulls == NULL || columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t k = 0; k < type->field_count; k++) {
        if (scan->options.columns == NULL || scan->options.columns[k]) continue;
        PQ_TRY(pq_column_of_nulls(&type->fields[k].type, rows, &scan->arena, &columns[k], err));
        columns[k].names = scan->snapshot->names;
    }
    *nulls = (struct pq_batch){.type = type, .count = rows, .columns = columns};
    scan->nulls = nulls;
    return PQDB_OK;
}

// ---- where it goes ------------------------------------------------------------------------------

/// Segment `index` of the scan's order; NULL when there is none.
static struct pq_segment *segment_at(const struct pq_scan *scan, size_t index, size_t *rows) {
    const struct pq_table_snapshot *snapshot = scan->snapshot;
    const struct pq_catalog *catalog = snapshot->catalog;
    const size_t at = scan->options.backwards ? catalog->count - index : index;
    if (at < catalog->count) {
        *rows = catalog->segments[at]->rows;
        return catalog->segments[at];
    }
    *rows = snapshot->open_rows.count;
    return snapshot->open;
}

/// All of a chunk.
static pqdb_code enter_chunk(struct pq_scan *scan, struct pq_segment *segment, size_t rows,
                             pqdb_error *err) {
    scan->ranges = pq_arena_alloc(&scan->group_arena, sizeof *scan->ranges);
    if (scan->ranges == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    scan->ranges[0] = (struct pq_scan_range){0, rows};
    scan->range_count = rows > 0;
    scan->current = (struct pq_scan_task){.segment = segment};
    scan->in_group = true;
    return PQDB_OK;
}

/// The next group of the file, if there is one.
static pqdb_code enter_group(struct pq_scan *scan, struct pq_segment *segment, pqdb_error *err) {
    const struct pq_parquet_file *file;
    PQ_TRY(pq_data_file_reader(segment->file, &file, err));
    const size_t count = pq_parquet_group_count(file);
    struct pq_scan_counts *counts = scan->options.counts;
    if (counts != NULL && scan->group == 0) counts->files++;
    if (scan->group == count) return PQDB_OK;
    const size_t group = scan->options.backwards ? count - 1 - scan->group : scan->group;
    scan->current = (struct pq_scan_task){
        .segment = segment, .group = group,
        .group_first = pq_parquet_group_first_row(file, group)};
    scan->in_group = true;
    const pqdb_code code = pq_scan_choose_ranges(scan, file, err);
    PQ_TRY(pq_data_file_named(segment->file, code, err));
    if (counts == NULL) return PQDB_OK;
    counts->groups++;
    counts->rows += pq_parquet_group_rows(file, group);
    return PQDB_OK;
}

static void leave_group(struct pq_scan *scan) {
    scan->in_group = false;
    scan->ranges = NULL;
    scan->range = scan->range_count = 0;
    pq_arena_reset(&scan->group_arena);
    if (scan->current.segment->kind == PQ_SEGMENT_FILE) {
        scan->group++;
    } else {
        scan->segment++;
    }
}

/// Enter what comes next; `*more` false when nothing does.
static pqdb_code advance(struct pq_scan *scan, bool *more, pqdb_error *err) {
    *more = true;
    if (scan->in_group) leave_group(scan);
    while (scan->segment <= scan->snapshot->catalog->count) {
        size_t rows;
        struct pq_segment *segment = segment_at(scan, scan->segment, &rows);
        if (segment != NULL && segment->kind == PQ_SEGMENT_CHUNK) {
            return enter_chunk(scan, segment, rows, err);
        }
        if (segment != NULL) {
            PQ_TRY(enter_group(scan, segment, err));
            if (scan->in_group) return PQDB_OK;
        }
        scan->segment++;
        scan->group = 0;
        scan->has_read_file = false;
    }
    *more = false;
    return PQDB_OK;
}

/// The next rows of the ranges.
static void take_rows(struct pq_scan *scan, struct pq_scan_task *task) {
    const size_t last = scan->range_count - 1 - scan->range;
    struct pq_scan_range *range = &scan->ranges[scan->options.backwards ? last : scan->range];
    *task = scan->current;
    task->count = range->count < scan->rows_next ? range->count : scan->rows_next;
    task->first = range->first;
    if (scan->options.backwards) {
        task->first += range->count - task->count;
    } else {
        range->first += task->count;
    }
    range->count -= task->count;
    if (range->count == 0) scan->range++;
}

static void count_read(struct pq_scan *scan, const struct pq_scan_task *task) {
    struct pq_scan_counts *counts = scan->options.counts;
    if (counts == NULL || task->segment->kind != PQ_SEGMENT_FILE) return;
    counts->files_read += !scan->has_read_file;
    scan->has_read_file = true;
    if (scan->current.count == 0) counts->groups_read++;
    scan->current.count = 1;  // the group has been counted
}

pqdb_code pq_scan_plan(struct pq_scan *scan, struct pq_scan_task *task, bool *more,
                       pqdb_error *err) {
    if (scan->nulls == NULL) {
        PQ_TRY(pq_scan_choose_paths(scan, err));
        PQ_TRY(make_nulls(scan, err));
    }
    for (;;) {
        while (scan->range == scan->range_count) {
            PQ_TRY(advance(scan, more, err));
            if (!*more) return PQDB_OK;
        }
        take_rows(scan, task);
        if (pq_scan_is_cut(scan, task)) {
            if (scan->options.counts != NULL) scan->options.counts->cut += task->count;
            continue;
        }
        count_read(scan, task);
        if (scan->rows_next < PQ_SCAN_ROWS) scan->rows_next *= 2;
        if (scan->rows_next > PQ_SCAN_ROWS) scan->rows_next = PQ_SCAN_ROWS;
        *more = true;
        return PQDB_OK;
    }
}

// ---- both halves --------------------------------------------------------------------------------

static pqdb_code step(struct pq_scan *scan, const struct pq_scan_into *into,
                      struct pq_scan_rows *rows, pqdb_error *err) {
    for (;;) {
        struct pq_scan_task task;
        bool more;
        PQ_TRY(pq_scan_plan(scan, &task, &more, err));
        if (!more) break;
        PQ_TRY(pq_scan_read(scan, &scan->reader, &task, into, rows, err));
        if (rows->batch.count > 0) return PQDB_OK;
    }
    *rows = (struct pq_scan_rows){.batch = {.type = scan->snapshot->type}};
    return PQDB_OK;
}

pqdb_code pq_scan_next(struct pq_scan *scan, struct pq_arena *arena, struct pq_batch *batch,
                       pqdb_error *err) {
    const struct pq_scan_into into = {.arena = arena};
    struct pq_scan_rows rows;
    PQ_TRY(step(scan, &into, &rows, err));
    *batch = rows.batch;
    return PQDB_OK;
}

pqdb_code pq_scan_step(struct pq_scan *scan, struct pq_hold *hold, struct pq_scan_rows *rows,
                       pqdb_error *err) {
    const struct pq_scan_into into = {.arena = &hold->arena, .hold = hold};
    return step(scan, &into, rows, err);
}
