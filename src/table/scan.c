#include "table/scan.h"

#include "base/fail.h"
#include "table/data_file.h"
#include "variant/variant.h"

void pq_scan_open(struct pq_scan *scan, struct pq_table_snapshot *snapshot,
                  const struct pq_scan_options *options, const struct pq_alloc *alloc) {
    *scan = (struct pq_scan){.snapshot = pq_table_snapshot_ref(snapshot), .alloc = alloc};
    if (options != NULL) scan->options = *options;
}

void pq_scan_close(struct pq_scan *scan) {
    pq_variant_encoder_destroy(scan->encoder);
    pq_table_snapshot_unref(scan->snapshot);
    *scan = (struct pq_scan){0};
}

static pqdb_code need_encoder(struct pq_scan *scan, pqdb_error *err) {
    if (scan->encoder != NULL) return PQDB_OK;
    // Reading back adds no name that the table's list does not have, but for names that once did
    // not fit it; those values bring their own.
    struct pq_variant_names *names = (struct pq_variant_names *)(uintptr_t)scan->snapshot->names;
    return pq_variant_encoder_create(names, scan->alloc, &scan->encoder, err);
}

/// Rows [first, first + batch->count) of a segment that is no open chunk; fewer may come.
static pqdb_code read_segment(struct pq_scan *scan, struct pq_segment *segment, uint64_t first,
                              struct pq_arena *arena, struct pq_batch *batch, pqdb_error *err) {
    const uint64_t count = batch->count;
    if (segment->kind == PQ_SEGMENT_CHUNK) {
        return pq_batch_slice(&segment->batch, first, count, arena, batch, err);
    }
    PQ_TRY(need_encoder(scan, err));
    const struct pq_file_read read = {.columns = scan->options.columns, .first = first,
                                      .count = count, .encoder = scan->encoder,
                                      .names = scan->snapshot->names};
    return pq_data_file_read(segment->file, &read, arena, batch, err);
}

/// Drop the rows that are dead at the snapshot's version.
static pqdb_code keep_live(const struct pq_scan *scan, const struct pq_segment *segment,
                           uint64_t first, struct pq_arena *arena, struct pq_batch *batch,
                           pqdb_error *err) {
    const uint64_t version = scan->snapshot->version;
    if (!pq_segment_has_dead(segment, first, batch->count, version)) return PQDB_OK;
    uint32_t *rows = pq_arena_alloc(arena, batch->count * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of live rows");
    size_t live = 0;
    for (size_t row = 0; row < batch->count; row++) {
        if (!pq_segment_is_dead(segment, first + row, version)) rows[live++] = (uint32_t)row;
    }
    struct pq_batch kept;
    PQ_TRY(pq_batch_gather(batch, rows, live, arena, &kept, err));
    *batch = kept;
    return PQDB_OK;
}

static size_t rows_of(const struct pq_scan *scan, size_t index, struct pq_segment **segment) {
    const struct pq_catalog *catalog = scan->snapshot->catalog;
    if (index < catalog->count) {
        *segment = catalog->segments[index];
        return (*segment)->rows;
    }
    *segment = scan->snapshot->open;
    return scan->snapshot->open_rows.count;
}

pqdb_code pq_scan_next(struct pq_scan *scan, struct pq_arena *arena, struct pq_batch *batch,
                       pqdb_error *err) {
    const struct pq_table_snapshot *snapshot = scan->snapshot;
    for (;;) {
        if (scan->segment > snapshot->catalog->count) break;
        struct pq_segment *segment;
        const size_t rows = rows_of(scan, scan->segment, &segment);
        if (scan->row >= rows) {
            scan->segment++;
            scan->row = 0;
            continue;
        }
        const uint64_t first = scan->row;
        uint64_t count = rows - first;
        if (count > PQ_SCAN_ROWS) count = PQ_SCAN_ROWS;
        if (segment == snapshot->open) {
            PQ_TRY(pq_batch_slice(&snapshot->open_rows, first, count, arena, batch, err));
        } else {
            batch->count = count;
            PQ_TRY(read_segment(scan, segment, first, arena, batch, err));
        }
        scan->row += batch->count;
        if (batch->count == 0) {
            return pq_fail(err, PQDB_CORRUPT, "a segment ends before its last row");
        }
        PQ_TRY(keep_live(scan, segment, first, arena, batch, err));
        if (batch->count > 0) return PQDB_OK;
    }
    *batch = (struct pq_batch){.type = snapshot->type};
    return PQDB_OK;
}
