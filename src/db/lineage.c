/// db/lineage.c: what a table's own metadata says of where its rows come from.
#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/checkpoint_internal.h"
#include "expr/print.h"

enum { pairs_max = 8 };

struct pq_text pq_db_table_property(const struct pq_db_table *table, char room[static 16]) {
    return (struct pq_text){room, (size_t)snprintf(room, 16, "%" PRIu32, table->id)};
}

static void add_pair(struct pq_db_pairs *out, const char *key, struct pq_text value) {
    out->pairs[out->count++] = (struct pq_iceberg_pair){.key = pq_text_of(key), .value = value};
}

/// By the facts of the cut: those of the table move on while the keeper writes.
static pqdb_code print_lineage(pqdb_db *db, const struct pq_db_table *table,
                               const struct pq_root_table *cut, struct pq_bytes *out,
                               pqdb_error *err) {
    const struct pq_view *view = table->view;
    const struct pq_db_table *source = pq_db_by_id(db, view->source);
    const uint64_t version = table->node != NULL ? cut->reflects : cut->version;
    const struct pq_value refreshed = {.kind = PQ_TIMESTAMP,
                                       .as = {.integer = cut->refreshed_us}};
    PQ_TRY(pq_bytes_printf(out, err, "{\"sourceSnapshots\":{"));
    PQ_TRY(pq_json_write_text(out, source->entry->name, err));
    PQ_TRY(pq_bytes_printf(out, err, ":\"seq-%" PRIu64 "\"", version));
    for (size_t i = 0; i < view->linked_count; i++) {
        const struct pq_db_table *linked = pq_db_by_id(db, view->linked[i]);
        if (linked == source) continue;
        PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, linked->entry->name, err));
        PQ_TRY(pq_bytes_printf(out, err, ":\"seq-%" PRIu64 "\"", version));
    }
    PQ_TRY(pq_bytes_printf(out, err,
                           "},\"refreshVersionId\":\"%016" PRIx64
                           "\",\"lastRefreshTime\":",
                           view->refresh_version));
    PQ_TRY(pq_print_json(out, &refreshed, err));
    return pq_bytes_append_byte(out, '}', err);
}

pqdb_code pq_db_lineage(pqdb_db *db, const struct pq_db_table *table,
                        const struct pq_root_table *cut, struct pq_arena *arena,
                        struct pq_db_pairs *out, pqdb_error *err) {
    char *room = pq_arena_alloc(arena, 16);
    *out = (struct pq_db_pairs){.pairs = pq_arena_calloc(arena, pairs_max, sizeof *out->pairs)};
    if (out->pairs == NULL || room == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a table's properties");
    }
    add_pair(out, PQ_DB_TABLE_KEY, pq_db_table_property(table, room));
    add_pair(out, "parquedb.entry", table->entry->name);
    if (table->view == NULL) return PQDB_OK;
    struct pq_bytes lineage;
    pq_bytes_init(&lineage, &arena->alloc);
    PQ_TRY(print_lineage(db, table, cut, &lineage, err));
    add_pair(out, "parquedb.lineage", pq_bytes_text(&lineage));
    add_pair(out, "parquedb.definition", table->view->definition);
    return PQDB_OK;
}
