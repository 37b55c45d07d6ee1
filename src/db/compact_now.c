/// db/compact_now.c: pqdb_compact: files of tables are merged until each has the few that it needs,
/// without dead rows, by the merges that the background does (db/compact.c), one after the other.
#include "base/fail.h"
#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "table/data_file.h"

enum {
    wait_ns = 20 * 1000 * 1000,
    rounds_more = 4,  // than files: rows die while it works
};

struct held {
    uint64_t files, bytes;
};

/// False: there is no such table any more.
static bool held_by(pqdb_db *db, uint32_t id, struct held *held) {
    *held = (struct held){0};
    pthread_mutex_lock(&db->leader);
    const struct pq_db_table *table = pq_db_by_id(db, id);
    if (table != NULL) {
        const struct pq_catalog *catalog = table->table->published->catalog;
        held->files = catalog->file_count;
        for (size_t i = 0; i < catalog->file_count; i++) {
            held->bytes += pq_data_file_bytes(catalog->segments[i]->file);
        }
    }
    pthread_mutex_unlock(&db->leader);
    return table != NULL;
}

/// Each checkpoint takes one merge up; one of the background's is waited for.
static pqdb_code compact_table(pqdb_db *db, uint32_t id, uint64_t rounds, pqdb_error *err) {
    while (rounds > 0) {
        enum pq_db_merged merged;
        PQ_TRY(pq_db_merge_table(db, id, &merged, err));
        if (merged == PQ_DB_MERGE_NONE) break;
        if (merged == PQ_DB_MERGE_RUNS) {
            db->env->sleep_ns(db->env->ctx, wait_ns);
            continue;
        }
        PQ_TRY(pq_db_checkpoint(db, true, err));
        rounds--;
    }
    return PQDB_OK;
}

struct each {
    uint32_t id;
    struct pq_text name;
};

/// The tables at the beginning; views may come and go meanwhile.
static pqdb_code list_tables(pqdb_db *db, const char *name, struct pq_arena *arena,
                             struct each **list, size_t *count, pqdb_error *err) {
    struct pq_db_table *one = NULL;
    const struct pq_db_tables *tables = db->tables;
    if (name != NULL) PQ_TRY(pq_db_find_table(db, pq_text_of(name), &one, err));
    *list = pq_arena_calloc(arena, tables->count + 1, sizeof **list);
    if (*list == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
    *count = 0;
    for (size_t i = 0; i < tables->count; i++) {
        if (one != NULL && one != tables->at[i]) continue;
        struct each *each = &(*list)[(*count)++];
        each->id = tables->at[i]->id;
        each->name = pq_arena_copy(arena, tables->at[i]->entry->name);
        if (each->name.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of tables");
    }
    return PQDB_OK;
}

pqdb_code pqdb_compact(pqdb_db *db, const char *name, pqdb_on_compacted on_compacted, void *ctx,
                       pqdb_error *err) {
    pthread_mutex_lock(&db->leader);
    pqdb_code code = pq_db_check_open(db, err);
    pthread_mutex_unlock(&db->leader);
    PQ_TRY(code);
    struct pq_arena arena;
    struct each *list;
    size_t count;
    pq_arena_init(&arena, db->alloc);
    PQ_GO(list_tables(db, name, &arena, &list, &count, err));
    PQ_GO(pq_db_checkpoint(db, true, err));
    for (size_t i = 0; i < count; i++) {
        struct held before, after;
        if (!held_by(db, list[i].id, &before)) continue;
        PQ_GO(compact_table(db, list[i].id, before.files + rounds_more, err));
        if (!held_by(db, list[i].id, &after)) continue;
        const pqdb_compacted compacted = {
            .name = list[i].name.data, .files_before = before.files, .files_after = after.files,
            .bytes_before = before.bytes, .bytes_after = after.bytes};
        if (on_compacted != NULL) on_compacted(ctx, &compacted);
    }
done:
    pq_arena_deinit(&arena);
    return code;
}
