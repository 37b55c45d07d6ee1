/// db/load.c: contents of tables out of a root; and those of views whose definition has changed
/// since, which readers get until the new ones are there.
#include "base/fail.h"
#include "base/json.h"
#include "db/checkpoint_internal.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "query/find.h"
#include "table/data_file.h"

// ---- rows -------------------------------------------------------------------------------------

/// Ids of names are positions, so they are added in the order in which they were written.
static pqdb_code load_names(pqdb_db *db, struct pq_db_table *table, struct pq_text metadata,
                            pqdb_error *err) {
    if (metadata.length == 0) return PQDB_OK;
    struct pq_variant_names *stored;
    size_t used;
    PQ_TRY(pq_variant_names_from_metadata((const uint8_t *)metadata.data, metadata.length,
                                          db->alloc, &stored, &used, err));
    const uint32_t count = pq_variant_names_count(stored);
    bool same = true;
    for (uint32_t id = 0; id < count; id++) {
        same = same &&
               pq_variant_names_add(table->names, pq_variant_names_text(stored, id)) == id;
    }
    pq_variant_names_unref(stored);
    return same ? PQDB_OK : pq_fail(err, PQDB_CORRUPT, "the root's list of names has doubles");
}

static pqdb_code load_file(pqdb_db *db, struct pq_db_table *table,
                           const struct pq_root_file *named, uint64_t version, pqdb_error *err) {
    const struct pq_data_file_options options = {
        .store = db->store, .path = named->path, .bytes = named->bytes, .rows = named->rows,
        .type = table->table->options.type, .pages = db->pages,
        .read_only = db->options.read_only, .alloc = &db->memory.files.alloc};
    struct pq_data_file *file;
    PQ_TRY(pq_data_file_create(&options, &file, err));
    const size_t words = (named->rows + 63) / 64;
    const bool has_dead = named->dead.length > 0;
    if (has_dead && named->dead.length != words * sizeof(uint64_t)) {
        pq_data_file_unref(file);
        return pq_store_fail(err, PQDB_CORRUPT, named->path.data,
                             "the root's deletions do not fit the file");
    }
    const struct pq_segment_file given = {
        .file = file, .rows = named->rows, .version = version,
        .dead = has_dead ? (const uint64_t *)(const void *)named->dead.data : NULL};
    struct pq_segment *segment;
    const pqdb_code code = pq_segment_create_file(&given, db->alloc, &segment, err);
    if (code != PQDB_OK) {
        pq_data_file_unref(file);
        return code;
    }
    const struct pq_table_swap swap = {.fresh = segment};
    const pqdb_code swapped = pq_table_swap(table->table, &swap, err);
    if (swapped != PQDB_OK) pq_segment_unref(segment);
    return swapped;
}

static pqdb_code load_carried(struct pq_db_table *table, struct pq_text part, uint64_t version,
                              const struct pq_log_schemas *schemas, pqdb_error *err) {
    if (part.length == 0) return PQDB_OK;
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(table->table->options.alloc, &hold, err));
    struct pq_log_rows rows;
    pqdb_code code;
    const struct pq_text copy = pq_arena_copy(&hold->arena, part);  // columns are views into it
    if (copy.data == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "carried rows");
        goto done;
    }
    PQ_GO(pq_log_decode_rows(copy, schemas, &hold->arena, &rows, err));
    PQ_GO(pq_table_apply(table->table, &rows.batch, hold, version, err));
done:
    pq_hold_unref(hold);
    return code;
}

/// Into a table without rows.
static pqdb_code load_rows(pqdb_db *db, struct pq_db_table *table, const struct pq_root *root,
                           const struct pq_root_table *named,
                           const struct pq_log_schemas *schemas, pqdb_error *err) {
    for (size_t i = 0; i < named->file_count; i++) {
        PQ_TRY(load_file(db, table, &named->files[i], root->version, err));
    }
    PQ_TRY(load_carried(table, named->carried, root->version, schemas, err));
    table->table->version = named->version;
    return pq_table_publish(table->table, err);
}

// ---- of a definition before -------------------------------------------------------------------

const struct pq_root_table *pq_db_named_in(const struct pq_root *root, uint32_t id) {
    for (size_t i = 0; i < root->table_count; i++) {
        if (root->tables[i].id == id) return &root->tables[i];
    }
    return NULL;
}

static const struct pq_type *old_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)collection, (void)schema_id;
    return ((const struct pq_db_table *)ctx)->table->options.type;
}

static struct pq_variant_names *old_names(void *ctx, uint32_t collection) {
    (void)collection;
    return ((const struct pq_db_table *)ctx)->names;
}

static pqdb_code parse_columns(pqdb_db *db, struct pq_text text, struct pq_type *type,
                               pqdb_error *err) {
    struct pq_json_document *columns;
    PQ_TRY(pq_json_parse(text, PQ_JSON_STRICT, db->alloc, &columns, err));
    const pqdb_code code = pq_shape_parse(pq_json_root(columns), &db->arena, type, err);
    pq_json_destroy(columns);
    return code;
}

/// A table of these columns, for readers only.
static pqdb_code make_shown(pqdb_db *db, const struct pq_db_table *table,
                            struct pq_db_table *shown, const struct pq_type *type,
                            pqdb_error *err) {
    int extra = -1;
    for (uint32_t k = 0; k < type->field_count; k++) {
        if (pq_text_is(type->fields[k].name, "_extra")) extra = (int)k;
    }
    shown->find = pq_arena_calloc(&db->arena, 1, sizeof *shown->find);
    if (shown->find == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a view");
    *shown->find = (struct pq_find_table){.name = table->entry->name, .extra_column = extra,
                                          .closed = extra < 0};
    PQ_TRY(pq_variant_names_create(db->alloc, &shown->names, err));
    const struct pq_table_options options = {.name = table->entry->name, .names = shown->names,
                                             .alloc = db->alloc, .type = type};
    return pq_table_create(&options, &shown->table, err);
}

/// What of the view's facts holds whatever its definition is.
static void load_facts(const struct pq_root *root, const struct pq_root_table *named,
                       struct pq_db_facts *facts) {
    const bool followed = !named->is_old && named->pace == PQ_ROOT_BY_COMMITS &&
                          named->failure.length == 0 && named->columns.length > 0;
    facts->reflects = followed ? root->version : named->reflects;
    facts->reflects_position = followed ? root->position : named->reflects_position;
    facts->refreshed_us = named->refreshed_us;
    facts->slot_us = named->slot_us;
    facts->last = named->last;
}

static pqdb_code load_old(pqdb_db *db, const struct pq_root *root,
                          const struct pq_root_table *named, struct pq_db_table *table,
                          pqdb_error *err) {
    load_facts(root, named, &table->facts);
    table->published_version = named->published;
    table->lost_before = named->lost_before;
    if (named->columns.length == 0 || table->view->mode == PQ_VIEW_MANUAL) return PQDB_OK;
    const struct pq_root_table *names_of =
        named->is_old ? named : pq_db_named_in(root, named->names_of);
    struct pq_db_table *shown = pq_arena_calloc(&db->arena, 1, sizeof *shown);
    struct pq_type *type = pq_arena_calloc(&db->arena, 1, sizeof *type);
    if (shown == NULL || type == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a view");
    *shown = (struct pq_db_table){.generation = table->generation, .entry = table->entry,
                                  .id = table->id, .directory = table->directory,
                                  .shape = table->shape, .root = shown, .shown = db->loaded,
                                  .published_version = named->published};
    table->shown = db->loaded = shown;
    PQ_TRY(parse_columns(db, named->columns, type, err));
    PQ_TRY(make_shown(db, table, shown, type, err));
    if (names_of != NULL) PQ_TRY(load_names(db, shown, names_of->names, err));
    const struct pq_log_schemas schemas = {.type = old_type, .names = old_names, .ctx = shown};
    return load_rows(db, shown, root, named, &schemas, err);
}

void pq_db_hide_shown(pqdb_db *db, struct pq_db_table *table) {
    struct pq_db_table *shown = table->shown;
    if (shown == NULL || shown->table == NULL) return;
    pq_db_retire_files(db, shown->table);
    pq_table_destroy(shown->table);
    shown->table = NULL;  // snapshots that show its rows hold them
}

void pq_db_free_shown(pqdb_db *db) {
    for (struct pq_db_table *shown = db->loaded; shown != NULL; shown = shown->shown) {
        pq_table_destroy(shown->table);
        pq_variant_names_unref(shown->names);
    }
}

// ---- tables -----------------------------------------------------------------------------------

/// A view's contents are of use only if its definition is still the one that made them.
static bool is_of_use(const struct pq_db_table *table, const struct pq_root_table *named) {
    return table->view == NULL ||
           (!named->is_old && table->view->refresh_version == named->refresh_version);
}

pqdb_code pq_db_check_discards(const pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    for (size_t i = 0; i < root->table_count; i++) {
        const struct pq_root_table *named = &root->tables[i];
        const struct pq_db_table *table = pq_db_by_id(db, named->id);
        const bool has_rows = named->file_count > 0 || named->carried.length > 0;
        if (table == NULL || is_of_use(table, named) || named->is_old || !has_rows) continue;
        if (!table->view->append && !named->kept) continue;
        pq_fail(err, PQDB_INVALID, "its definition in " PQ_DB_SCHEMA_FILE " has changed, which "
                "would discard what it has %s: take the change back, or give the view another "
                "name", table->view->append ? "appended" : "kept");
        return pq_fail_subject(err, PQDB_INVALID, table->entry->name);
    }
    return PQDB_OK;
}

pqdb_code pq_db_load_table(pqdb_db *db, const struct pq_root *root,
                           const struct pq_root_table *named, pqdb_error *err) {
    struct pq_db_table *table = pq_db_by_id(db, named->id);
    if (table == NULL) return PQDB_OK;
    if (!is_of_use(table, named)) return load_old(db, root, named, table, err);
    table->in_root = true;
    table->next_seq = named->next_seq;
    const bool is_behind = pq_db_has_newer_files(named);
    table->published_version = is_behind ? 0 : named->published;  // 0: whatever has changed
    table->lost_before = named->lost_before;
    table->facts.reflects = named->reflects;
    table->facts.shows = named->shows;
    table->facts.mark = named->mark;
    table->facts.kept = named->kept;
    table->facts.reflects_position = named->reflects_position;
    table->facts.refreshed_us = named->refreshed_us;
    table->facts.slot_us = named->slot_us;
    table->facts.last = named->last;
    table->facts.failed = named->failure.length > 0;
    table->facts.refresh_failed = named->tried.length > 0;
    if (table->facts.failed) pq_db_recall_failure(db, table, named->failure);
    if (table->facts.refresh_failed) pq_db_recall_failure(db, table, named->tried);
    if (is_behind || named->published < named->version) db->unpublished = true;
    if (table->view == NULL) PQ_TRY(load_names(db, table, named->names, err));
    const struct pq_log_schemas schemas = pq_db_log_schemas(db);
    return load_rows(db, table, root, named, &schemas, err);
}
