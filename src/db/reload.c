/// db/reload.c: a running database goes over to another schema: a new list of tables, which take
/// over what stays the same and read the rest from the last root, as an opening does.
///
/// Readers go on with the list of their snapshot; it stays until the database is closed.
#include "base/fail.h"
#include "db/catch_up.h"
#include "db/checkpoint_internal.h"
#include "db/schema_change.h"
#include "db/view_internal.h"

static struct pq_db_table *find_in(const struct pq_db_tables *tables, uint32_t id) {
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->at[i]->id == id) return tables->at[i];
    }
    return NULL;
}

/// Are the rows the same, column by column?
static bool keeps_rows(const struct pq_db_table *before, const struct pq_db_table *now) {
    if (now->view != NULL) {
        return !before->facts.unbuilt &&
               before->view->refresh_version == now->view->refresh_version;
    }
    return pq_shape_is_same(pq_entry_row_type(before->entry), pq_entry_row_type(now->entry));
}

/// The files stay as they are; what they keep beside their rows may be another thing from now on.
static pqdb_code take_over_rows(struct pq_db_table *before, struct pq_db_table *now,
                                pqdb_error *err) {
    pq_table_destroy(now->table);
    now->table = before->table;
    before->table = NULL;
    now->in_root = true;
    now->next_seq = before->next_seq;
    now->facts = before->facts;
    now->failure = before->failure;
    if (now->shreds == NULL && before->shreds == NULL) return PQDB_OK;
    now->table->options.shreds = now->shreds;
    return pq_table_publish(now->table, err);
}

static pqdb_code fill(pqdb_db *db, const struct pq_root *root, struct pq_db_table *before,
                      struct pq_db_table *now, pqdb_error *err) {
    const struct pq_root_table *named = pq_db_named_in(root, now->id);
    if (keeps_rows(before, now)) {
        PQ_TRY(take_over_rows(before, now, err));
    } else if (now->view == NULL && named != NULL) {
        PQ_TRY(pq_db_load_table(db, root, named, err));
    } else if (now->view != NULL) {
        const bool streams = before->view->mode == PQ_VIEW_STREAMING && !before->facts.failed &&
                             !before->facts.unbuilt;
        now->facts.slot_us = before->facts.slot_us;
        now->facts.reflects = streams ? db->version : before->facts.reflects;
        now->facts.reflects_position =
            streams ? pq_log_position(db->log) : before->facts.reflects_position;
        now->facts.refreshed_us = before->facts.refreshed_us;
        now->facts.last = before->facts.last;
    }
    now->published_version = before->published_version;
    now->lost_before = before->lost_before;
    now->is_announced = before->is_announced;
    now->is_tidied = before->is_tidied;
    now->iceberg = before->iceberg;
    before->iceberg = NULL;
    return PQDB_OK;
}

/// Its files are those of `now` too, which reads them in another shape; or nobody's any more.
static void let_files_go(pqdb_db *db, const struct pq_table *table, bool is_shared) {
    const struct pq_catalog *catalog = table->published->catalog;
    for (size_t i = 0; i < catalog->count; i++) {
        if (catalog->segments[i]->kind != PQ_SEGMENT_FILE) continue;
        if (is_shared) {
            pq_db_share(db, catalog->segments[i]);
        } else {
            pq_db_retire(db, catalog->segments[i]);
        }
    }
}

/// Until its new contents are there, reads of the view get the old ones with their columns. A
/// manual one waits for its refresh, and says so.
static void keep_shown(struct pq_db_table *before, struct pq_db_table *now) {
    if (now == NULL || now->view == NULL || now->view->mode == PQ_VIEW_MANUAL) return;
    if (!now->facts.unbuilt) return;
    now->shown = before->facts.unbuilt ? before->shown : before;
    before->shown = NULL;
}

static void let_go(pqdb_db *db, struct pq_db_table *before, struct pq_db_table *now) {
    pq_db_catch_up_drop(db, before);
    pq_node_destroy(before->node);
    before->node = NULL;
    pq_db_part_destroy(db, before->part);
    before->part = NULL;
    pq_iceberg_close(before->iceberg);
    before->iceberg = NULL;
    if (before->table == NULL) return;
    const bool is_shared = now != NULL && now->view == NULL;
    keep_shown(before, now);
    if (now != NULL && now->shown == before) return;  // with its files
    pq_db_hide_shown(db, before);
    let_files_go(db, before->table, is_shared);
    if (is_shared) pq_db_remove_left_beside(db, now);
    pq_table_destroy(before->table);
    before->table = NULL;
}

static pqdb_code fill_all(pqdb_db *db, const struct pq_root *root,
                          const struct pq_db_tables *before, pqdb_error *err) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        struct pq_db_table *now = tables->at[i], *was = find_in(before, now->id);
        if (was != NULL) PQ_TRY(fill(db, root, was, now, err));
    }
    for (size_t i = 0; i < db->plans->views->count; i++) {
        const struct pq_view *view = &db->plans->views->views[i];
        struct pq_db_table *table = pq_db_by_id(db, view->table);
        PQ_TRY(pq_db_open_view(db, root, view, err));
        if (table->facts.failed && table->view->mode == PQ_VIEW_STREAMING) {
            pq_circuit_detach(db->circuit, table->id, &table->failure);
        }
    }
    return PQDB_OK;
}

static void share_names(const struct pq_db_tables *before, const struct pq_db_tables *now) {
    for (size_t i = 0; i < now->count; i++) {
        const struct pq_db_table *was = find_in(before, now->at[i]->id);
        const bool is_collection = was != NULL && was->view == NULL;
        if (is_collection) now->at[i]->names = pq_variant_names_ref(was->names);
    }
}

static pqdb_code go_over(pqdb_db *db, struct pq_db_plan *plan, const struct pq_root *root,
                         pqdb_error *err) {
    const struct pq_db_tables *before = db->tables;
    struct pq_circuit *circuit = db->circuit;
    struct pq_db_tables *tables;
    PQ_TRY(pq_db_list_tables(db, plan, before->generation + 1, &tables, err));
    tables->older = before;
    share_names(before, tables);
    pq_db_use_plan(db, plan);
    db->tables = tables;
    db->circuit = NULL;
    pqdb_code code = pq_db_make_tables(db, err);
    if (code == PQDB_OK) code = fill_all(db, root, before, err);
    pq_circuit_destroy(circuit);
    for (size_t i = 0; i < before->count; i++) {
        let_go(db, before->at[i], find_in(tables, before->at[i]->id));
    }
    return code;
}

pqdb_code pq_db_reload(pqdb_db *db, struct pq_db_plan *plan, pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    struct pq_root root = {0};
    bool found;
    pqdb_code code = pq_root_read_newest(db->store, &arena, &root, &found, err);
    if (code == PQDB_OK && (!found || root.version != db->version)) {
        code = pq_fail(err, PQDB_IO, "the checkpoint before the change is not there");
    }
    if (code == PQDB_OK) code = go_over(db, plan, &root, err);
    pq_arena_deinit(&arena);
    return code;
}
