/// db/rows.c: the rows a view reads: of a collection, of what is stored of a view, or of a view
/// computed anew from the collections below it.
#include "base/fail.h"
#include "db/created.h"
#include "db/overlay.h"
#include "db/spill.h"
#include "db/view_internal.h"
#include "table/scan_ahead.h"

static struct pq_table_snapshot *stored(const struct pq_db_rows *source) {
    if (source->held != NULL) return source->held->published;
    return source->snapshot == NULL ? source->table->table->published
                                    : pq_db_snapshot_rows(source->snapshot, source->table);
}

static pqdb_code note_progress(const struct pq_db_rows *source, size_t rows, pqdb_error *err) {
    struct pq_db_table *built = source->progress;
    if (built != NULL) {
        atomic_fetch_add_explicit(&built->built_rows, rows, memory_order_relaxed);
    }
    if (source->stops == NULL || !(source->db->closes || *source->stops)) return PQDB_OK;
    return pq_fail(err, PQDB_CONFLICT, "the build was given up");
}

static pqdb_code scan_stored(const struct pq_db_rows *source, const struct pq_rows_wish *wish,
                             pq_db_take take, void *taker, pqdb_error *err) {
    pqdb_db *db = source->db;
    struct pq_table_snapshot *snapshot = stored(source);
    const size_t field_count = snapshot->type->field_count;
    bool *wanted = pq_resize(db->alloc, NULL, 0, field_count, sizeof *wanted);
    if (wanted == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t k = 0; k < field_count; k++) wanted[k] = wish == NULL;
    for (size_t k = 0; wish != NULL && k < wish->column_count; k++) wanted[wish->columns[k]] = true;
    const bool patched =
        source->held == NULL && pq_db_overlay_touches(source->overlay, source->table);
    if (patched) wanted[PQ_ID_COLUMN] = true;
    const struct pq_scan_options options = {.columns = wanted,
                                            .reads = wish == NULL ? NULL : wish->reads};
    struct pq_arena batch_arena;  // of what the overlay leaves
    pq_arena_init(&batch_arena, db->alloc);
    struct pq_scan_ahead scan;
    pq_scan_ahead_open(&scan, snapshot, &options, db->ahead_rows, db->alloc);
    struct pq_batch batch;
    pqdb_code code;
    for (;;) {
        pq_arena_reset(&batch_arena);
        PQ_GO(pq_scan_ahead_next(&scan, &batch, err));
        PQ_GO(note_progress(source, batch.count, err));
        if (batch.count == 0) break;
        const struct pq_batch all = batch;
        if (patched) {
            PQ_GO(pq_db_overlay_filter(source->overlay, source->table, &all, &batch_arena, &batch,
                                       err));
        }
        if (batch.count > 0) PQ_GO(take(taker, &batch, err));
    }
    if (patched) code = pq_db_overlay_each(source->overlay, source->table, take, taker, err);
done:
    pq_scan_ahead_close(&scan);
    pq_free(db->alloc, wanted, field_count, sizeof *wanted);
    pq_arena_deinit(&batch_arena);
    return code;
}

pqdb_code pq_db_compute(const struct pq_db_rows *source, pq_db_take take, void *taker,
                        pqdb_error *err) {
    pqdb_db *db = source->db;
    struct pq_db_rows below = *source;
    const uint32_t source_id = source->table->view->source;
    below.table = source->snapshot == NULL ? pq_db_by_id(db, source_id)
                                           : pq_db_snapshot_by_id(source->snapshot, source_id);
    const struct pq_rows rows = pq_db_rows_of(&below);
    struct pq_node_spec spec = source->table->view->spec;
    struct pq_db_lookup linked = {.db = db, .snapshot = source->snapshot,
                                  .overlay = source->overlay};
    const struct pq_lookup lookup = pq_db_lookup_of(&linked, source->table, true);
    spec.refill = &rows;
    spec.lookup = &lookup;
    struct pq_node *node;
    PQ_TRY(pq_node_create(&spec, &db->memory.states.alloc, &node, err));
    const struct pq_sink sink = {.put = take, .ctx = taker};
    struct pq_db_spill spill;
    pq_node_use_spill(node, pq_db_spill_begin(db, &spill));
    const pqdb_code code = pq_node_full(node, &rows, &sink, err);
    pq_node_destroy(node);
    pq_db_spill_end(&spill);
    return code;
}

static pqdb_code scan(void *ctx, const struct pq_rows_wish *wish, pq_db_take take, void *taker,
                      pqdb_error *err) {
    const struct pq_db_rows *source = ctx;
    if (source->refuses) {
        return pq_fail(err, PQDB_UNSUPPORTED, "the rows of that version are not kept");
    }
    const struct pq_view *view = source->table->view;
    // What lags shows an older version, which only its stored rows still know.
    const bool compute = source->recompute && view != NULL && view->mode == PQ_VIEW_STREAMING;
    if (compute) return pq_db_compute(source, take, taker, err);
    return scan_stored(source, wish, take, taker, err);
}

static pqdb_code scan_created(void *ctx, const struct pq_rows_wish *wish, pq_db_take take,
                              void *taker, pqdb_error *err) {
    struct pq_db_rows *source = ctx;
    if (!source->appends) return scan(source, wish, take, taker, err);
    const struct pq_rows all = {.scan = scan, .ctx = source};
    struct pq_db_created created = {.from = source->created_from, .alloc = source->db->alloc,
                                    .stored = &all};
    const struct pq_rows rows = pq_db_created_rows(&created);
    const pqdb_code code = rows.scan(rows.ctx, wish, take, taker, err);
    source->created_rows += created.rows;
    return code;
}

struct pq_rows pq_db_rows_of(struct pq_db_rows *source) {
    return (struct pq_rows){.scan = scan_created, .ctx = source};
}

pqdb_code pq_db_put_rows(pqdb_db *db, struct pq_table *table, const struct pq_batch *rows,
                         struct pq_hold *hold, uint64_t version, pqdb_error *err) {
    if (rows->count < PQ_ADOPT_ROWS && hold != NULL) {
        return pq_table_apply(table, rows, hold, version, err);
    }
    struct pq_hold *own;
    struct pq_batch copy;
    PQ_TRY(pq_hold_copy(rows, db->alloc, &own, &copy, err));
    const pqdb_code code = pq_table_apply(table, &copy, own, version, err);
    pq_hold_unref(own);
    return code;
}

// ---- nodes ------------------------------------------------------------------------------------

void pq_db_use_all_parts(struct pq_node *node) {
    size_t count;
    pq_node_parts(node, &count);
    for (size_t i = 0; i < count; i++) pq_node_use_part(node, i);
}

pqdb_code pq_db_part_create(pqdb_db *db, struct pq_db_table *table, struct pq_db_part **part,
                            pqdb_error *err) {
    struct pq_db_part *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a view");
    *made = (struct pq_db_part){.spec = table->view->spec,
                                .source = {.db = db,
                                           .table = pq_db_by_id(db, table->view->source)}};
    made->refill = pq_db_rows_of(&made->source);
    made->spec.refill = &made->refill;
    made->linked.db = db;
    made->lookup = pq_db_lookup_of(&made->linked, table, false);
    made->spec.lookup = &made->lookup;
    const pqdb_code code = pq_node_create(&made->spec, &db->memory.states.alloc,
                                          &made->node, err);
    // What a window would be filled from again may be gone by then.
    if (code == PQDB_OK && table->entry->retention_keeps) pq_db_use_all_parts(made->node);
    if (code == PQDB_OK) *part = made;
    if (code != PQDB_OK) pq_free(db->alloc, made, 1, sizeof *made);
    return code;
}

void pq_db_part_destroy(pqdb_db *db, struct pq_db_part *part) {
    if (part == NULL) return;
    pq_node_destroy(part->node);
    pq_free(db->alloc, part, 1, sizeof *part);
}
