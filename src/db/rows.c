/// db/rows.c: the rows a view reads: of a collection, of what is stored of a view, or of a view
/// computed anew from the collections below it.
#include "base/fail.h"
#include "db/view_internal.h"
#include "table/scan.h"

static pqdb_code scan_stored(const struct pq_db_rows *source, const uint32_t *columns,
                             size_t column_count, pq_db_take take, void *taker, pqdb_error *err) {
    pqdb_db *db = source->db;
    struct pq_table_snapshot *snapshot =
        source->snapshot == NULL ? source->table->table->published
                                 : pq_db_snapshot_rows(source->snapshot, source->table);
    struct pq_arena batch_arena;
    pq_arena_init(&batch_arena, db->alloc);
    bool *wanted = pq_resize(db->alloc, NULL, 0, snapshot->type->field_count, sizeof *wanted);
    if (wanted == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t k = 0; k < snapshot->type->field_count; k++) wanted[k] = columns == NULL;
    for (size_t k = 0; columns != NULL && k < column_count; k++) wanted[columns[k]] = true;
    const struct pq_scan_options options = {.columns = wanted};
    struct pq_scan scan;
    pq_scan_open(&scan, snapshot, &options, db->alloc);
    struct pq_batch batch;
    pqdb_code code;
    do {
        pq_arena_reset(&batch_arena);
        PQ_GO(pq_scan_next(&scan, &batch_arena, &batch, err));
        if (batch.count > 0) PQ_GO(take(taker, &batch, err));
    } while (batch.count > 0);
done:
    pq_scan_close(&scan);
    pq_free(db->alloc, wanted, snapshot->type->field_count, sizeof *wanted);
    pq_arena_deinit(&batch_arena);
    return code;
}

pqdb_code pq_db_compute(const struct pq_db_rows *source, pq_db_take take, void *taker,
                        pqdb_error *err) {
    pqdb_db *db = source->db;
    struct pq_db_rows below = *source;
    below.table = pq_db_by_id(db, source->table->view->source);
    const struct pq_rows rows = pq_db_rows_of(&below);
    struct pq_node_spec spec = source->table->view->spec;
    spec.refill = &rows;
    struct pq_node *node;
    PQ_TRY(pq_node_create(&spec, db->alloc, &node, err));
    const struct pq_sink sink = {.put = take, .ctx = taker};
    const pqdb_code code = pq_node_full(node, &rows, &sink, err);
    pq_node_destroy(node);
    return code;
}

static pqdb_code scan(void *ctx, const uint32_t *columns, size_t column_count, pq_db_take take,
                      void *taker, pqdb_error *err) {
    const struct pq_db_rows *source = ctx;
    const struct pq_view *view = source->table->view;
    // What lags shows an older version, which only its stored rows still know.
    const bool compute = source->recompute && view != NULL && view->mode == PQ_VIEW_STREAMING;
    if (compute) return pq_db_compute(source, take, taker, err);
    return scan_stored(source, columns, column_count, take, taker, err);
}

struct pq_rows pq_db_rows_of(struct pq_db_rows *source) {
    return (struct pq_rows){.scan = scan, .ctx = source};
}
