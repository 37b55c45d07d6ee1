#include <inttypes.h>

#include "base/fail.h"
#include "table/iceberg/iceberg_internal.h"
#include "table/iceberg/schema_json.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "no memory for a table's file list");
}

static pqdb_code copy_text(struct pq_arena *arena, struct pq_text text, struct pq_text *copy,
                           pqdb_error *err) {
    *copy = (struct pq_text){NULL, 0};
    if (text.data == NULL) return PQDB_OK;
    *copy = pq_arena_copy(arena, text);
    return copy->data == NULL ? no_memory(err) : PQDB_OK;
}

static pqdb_code copy_pairs(struct pq_arena *arena, const struct pq_iceberg_pair *pairs,
                            size_t count, const struct pq_iceberg_pair **copy, pqdb_error *err) {
    struct pq_iceberg_pair *made = pq_arena_calloc(arena, count, sizeof *made);
    if (made == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(copy_text(arena, pairs[i].key, &made[i].key, err));
        PQ_TRY(copy_text(arena, pairs[i].value, &made[i].value, err));
    }
    *copy = made;
    return PQDB_OK;
}

/// Metrics and names of live files; `list` and the bytes of manifests stay in the arena as well.
static pqdb_code load_files(const struct pq_iceberg *table,
                            const struct pq_iceberg_snapshot *snapshot, struct pq_arena *arena,
                            struct pq_iceberg_view *view, pqdb_error *err) {
    struct pq_iceberg_list list = {NULL, 0};
    PQ_TRY(pq_iceberg_read_list(table, snapshot, arena, &list, err));
    struct pq_iceberg_entries *entries = pq_arena_calloc(arena, list.count, sizeof *entries);
    if (entries == NULL) return no_memory(err);
    size_t live_count = 0;
    for (size_t i = 0; i < list.count; i++) {
        PQ_TRY(pq_iceberg_read_entries(table, &list.items[i], arena, &entries[i], err));
        for (size_t k = 0; k < entries[i].count; k++) {
            live_count += pq_iceberg_is_live(&entries[i].items[k]);
        }
    }
    struct pq_iceberg_file *files = pq_arena_calloc(arena, live_count, sizeof *files);
    if (files == NULL) return no_memory(err);
    for (size_t i = 0; i < list.count; i++) {
        for (size_t k = 0; k < entries[i].count; k++) {
            const struct pq_iceberg_entry *entry = &entries[i].items[k];
            if (pq_iceberg_is_live(entry)) files[view->file_count++] = entry->file;
        }
    }
    view->files = files;
    return PQDB_OK;
}

static pqdb_code load(struct pq_iceberg *table, struct pq_arena *arena,
                      struct pq_iceberg_view *view, pqdb_error *err) {
    const struct pq_iceberg_metadata *metadata = &table->metadata;
    const struct pq_iceberg_snapshot *snapshot = pq_iceberg_current(metadata);
    struct pq_type *schema = pq_arena_alloc(arena, sizeof *schema);
    if (schema == NULL) return no_memory(err);
    PQ_TRY(pq_iceberg_metadata_schema(metadata, arena, schema, err));
    view->schema = schema;
    view->format_version = metadata->format_version;
    view->schema_id = metadata->current_schema_id;
    view->last_column_id = metadata->last_column_id;
    PQ_TRY(copy_text(arena, metadata->location, &view->location, err));
    PQ_TRY(copy_text(arena, metadata->uuid, &view->uuid, err));
    view->property_count = metadata->property_count;
    PQ_TRY(copy_pairs(arena, metadata->properties, metadata->property_count, &view->properties,
                      err));
    if (snapshot == NULL) return PQDB_OK;
    view->has_snapshot = true;
    view->snapshot_id = snapshot->id;
    view->sequence_number = snapshot->sequence_number;
    view->time_ms = snapshot->time_ms;
    view->summary_count = metadata->summary_count;
    PQ_TRY(copy_pairs(arena, metadata->summary, metadata->summary_count, &view->summary, err));
    return load_files(table, snapshot, arena, view, err);
}

pqdb_code pq_iceberg_load(struct pq_iceberg *table, struct pq_arena *arena,
                          struct pq_iceberg_view *view, pqdb_error *err) {
    PQ_TRY(pq_iceberg_read(table, err));
    if (!table->exists) {
        return pq_fail(err, PQDB_NOT_FOUND, "there is no table in '%.*s'",
                       PQ_TEXT_ARG(table->directory));
    }
    struct pq_iceberg_view made = {0};
    PQ_TRY(load(table, arena, &made, err));
    *view = made;
    return PQDB_OK;
}
