/// db/shreds.c: which paths inside variants the files of a collection keep as columns of their own:
/// those that its entry names, or (`auto`) those that views over it read.
#include "base/fail.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "flow/node_reads.h"
#include "query/find.h"
#include "table/shred.h"

/// Paths that the views read which stand directly on the collection, in the schema's order. Cost:
/// what it takes to walk their definitions.
static pqdb_code list_read(const pqdb_db *db, const struct pq_db_table *table,
                           struct pq_arena *arena, struct pq_text *paths, size_t *count,
                           pqdb_error *err) {
    *count = 0;
    for (size_t i = 0; i < db->views->count; i++) {
        const struct pq_view *view = &db->views->views[i];
        struct pq_reads reads;
        if (view->source != table->id) continue;
        PQ_TRY(pq_node_collect_reads(&view->spec, arena, &reads, err));
        for (size_t k = 0; k < reads.path_count && *count < PQ_SHREDS_MAX; k++) {
            bool is_known = false;
            for (size_t n = 0; n < *count; n++) {
                is_known = is_known || pq_text_equal(paths[n], reads.paths[k].path);
            }
            if (!is_known) paths[(*count)++] = reads.paths[k].path;
        }
    }
    return PQDB_OK;
}

pqdb_code pq_db_make_shreds(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    const struct pq_entry *entry = table->entry;
    struct pq_text found[PQ_SHREDS_MAX];
    const struct pq_text *paths = entry->shred;
    size_t count = entry->shred_count;
    struct pq_scope scope;
    if (entry->shreds_auto) {
        PQ_TRY(list_read(db, table, &db->arena, found, &count, err));
        paths = found;
    }
    if (count == 0) return PQDB_OK;
    PQ_TRY(pq_entry_scope(entry, &db->arena, &scope, err));
    return pq_shreds_create(&scope, paths, count, db->alloc, &table->shreds, err);
}
