/// db/compact.c: large data files are merged beside everything else: eight of a tier become one of
/// the next; what is a quarter dead, or does not keep the paths that `$shred` names by now, is
/// written anew.
///
/// One merge at a time. It reads a snapshot, so nobody waits for it. What it wrote bears a name
/// that the next open would remove; the next checkpoint gives it its own and puts it into its
/// root, as if it had written it itself. Rows that die meanwhile are carried over by the map of
/// positions.
#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "db/cut_internal.h"
#include "table/data_file.h"
#include "table/merge.h"
#include "table/shred.h"

enum {
    tier_files = 8,             // of a tier become one
    tier_factor = 8,
    merged_rows_max = 1 << 25,  // of one file
};

/// What is merged, or has been. Under `refreshing` but for the thread that runs it.
struct pq_db_merge {
    uint32_t table_id;
    struct pq_table_snapshot *snapshot;  // referenced: keeps the segments
    struct pq_segment *old[tier_files];
    size_t old_count;
    char path[PQ_STORE_PATH_MAX];
    struct pq_rewritten rewritten;
    bool is_done;
};

// ---- choosing -----------------------------------------------------------------------------------

static int tier_of(const pqdb_db *db, size_t rows) {
    int tier = 0;
    for (size_t bound = db->merge_rows * tier_factor; rows > bound; bound *= tier_factor) tier++;
    return tier;
}

static bool is_quarter_dead(const pqdb_db *db, const struct pq_segment *segment) {
    return segment->rows > pq_db_cut_rows_max(db) && segment->dead * 4 >= segment->rows;
}

/// Those that lack shredded paths, as many of one tier as are merged at once.
static bool choose_unshredded(const pqdb_db *db, const struct pq_catalog *catalog,
                              struct pq_db_merge *merge) {
    size_t rows = 0;
    merge->old_count = 0;
    for (size_t i = 0; i < catalog->file_count && merge->old_count < tier_files; i++) {
        struct pq_segment *segment = catalog->segments[i];
        if (!segment->lacks_shreds || segment->dead == segment->rows) continue;
        if (merge->old_count > 0) {
            const size_t first_rows = merge->old[0]->rows;
            if (tier_of(db, first_rows) != tier_of(db, segment->rows)) continue;
            if (rows + segment->rows > merged_rows_max) continue;
        }
        merge->old[merge->old_count++] = segment;
        rows += segment->rows;
    }
    return merge->old_count > 0;
}

/// Leader. The first file that is a quarter dead, or else those that lack shredded paths, or else
/// tier_files of the lowest tier that has them; false when there is nothing to do.
static bool choose(const pqdb_db *db, const struct pq_catalog *catalog,
                   struct pq_db_merge *merge) {
    for (size_t i = 0; i < catalog->file_count; i++) {
        struct pq_segment *segment = catalog->segments[i];
        if (!is_quarter_dead(db, segment) || segment->dead == segment->rows) continue;
        merge->old[0] = segment;
        merge->old_count = 1;
        return true;
    }
    if (choose_unshredded(db, catalog, merge)) return true;
    for (int tier = 0; tier <= tier_of(db, merged_rows_max); tier++) {
        size_t rows = 0;
        merge->old_count = 0;
        for (size_t i = 0; i < catalog->file_count && merge->old_count < tier_files; i++) {
            struct pq_segment *segment = catalog->segments[i];
            if (segment->rows <= db->merge_rows || tier_of(db, segment->rows) != tier) continue;
            merge->old[merge->old_count++] = segment;
            rows += segment->rows - segment->dead;
        }
        if (merge->old_count == tier_files && rows <= merged_rows_max) return true;
    }
    merge->old_count = 0;
    return false;
}

static bool is_chosen(const struct pq_db_merge *merge, const struct pq_segment *segment) {
    for (size_t i = 0; i < merge->old_count; i++) {
        if (merge->old[i] == segment) return true;
    }
    return false;
}

/// The file with the fewest live rows that is not chosen yet; or NULL.
static struct pq_segment *smallest(const struct pq_catalog *catalog,
                                   const struct pq_db_merge *merge) {
    struct pq_segment *least = NULL;
    for (size_t i = 0; i < catalog->file_count; i++) {
        struct pq_segment *segment = catalog->segments[i];
        const size_t live = segment->rows - segment->dead;
        if (live == 0 || is_chosen(merge, segment)) continue;
        if (least == NULL || live < least->rows - least->dead) least = segment;
    }
    return least;
}

/// Leader. As many of the smallest files as become one, or one with dead rows, however few; false
/// when the table has as few files as it needs, and no dead row.
static bool choose_any(const struct pq_catalog *catalog, struct pq_db_merge *merge) {
    size_t rows = 0;
    merge->old_count = 0;
    while (merge->old_count < tier_files) {
        struct pq_segment *least = smallest(catalog, merge);
        if (least == NULL || rows + least->rows - least->dead > merged_rows_max) break;
        merge->old[merge->old_count++] = least;
        rows += least->rows - least->dead;
    }
    if (merge->old_count > 1) return true;
    merge->old_count = 0;
    for (size_t i = 0; i < catalog->file_count && merge->old_count == 0; i++) {
        struct pq_segment *segment = catalog->segments[i];
        if (segment->dead == 0 || segment->dead == segment->rows) continue;
        merge->old[merge->old_count++] = segment;
    }
    return merge->old_count > 0;
}

/// Under `refreshing`: look into the footers of files that nobody looked into for these paths.
static pqdb_code seek_shreds(const struct pq_table_snapshot *snapshot, pqdb_error *err) {
    const struct pq_catalog *catalog = snapshot->catalog;
    for (size_t i = 0; i < catalog->file_count; i++) {
        struct pq_segment *segment = catalog->segments[i];
        bool kept = true;
        if (segment->shreds_sought == snapshot->shreds) continue;
        if (snapshot->shreds != NULL) {
            PQ_TRY(pq_shreds_are_kept(snapshot->shreds, segment->file, &kept, err));
        }
        segment->lacks_shreds = !kept;
        segment->shreds_sought = snapshot->shreds;
    }
    return PQDB_OK;
}

static pqdb_code seek_all_shreds(pqdb_db *db, pqdb_error *err) {
    const struct pq_db_tables *tables = db->tables;
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; i < tables->count && code == PQDB_OK; i++) {
        if (tables->at[i]->shreds == NULL) continue;
        pthread_mutex_lock(&db->leader);
        struct pq_table *table = tables->at[i]->table;
        struct pq_table_snapshot *snapshot =
            table == NULL ? NULL : pq_table_snapshot_ref(table->published);
        pthread_mutex_unlock(&db->leader);
        if (snapshot == NULL) continue;
        code = seek_shreds(snapshot, err);
        pq_table_snapshot_unref(snapshot);
    }
    return code;
}

static void drop(pqdb_db *db) {
    struct pq_db_merge *merge = db->merge;
    if (merge == NULL) return;
    pq_rewritten_deinit(&merge->rewritten);
    pq_table_snapshot_unref(merge->snapshot);
    pq_free(db->alloc, merge, 1, sizeof *merge);
    db->merge = NULL;
}

/// Under `refreshing`: is there something to merge, or in the one table of which all is? Then it is
/// db->merge.
static pqdb_code prepare(pqdb_db *db, const uint32_t *only, pqdb_error *err) {
    if (db->merge != NULL) return PQDB_OK;
    PQ_TRY(seek_all_shreds(db, err));
    struct pq_db_merge *merge = pq_resize(db->alloc, NULL, 0, 1, sizeof *merge);
    if (merge == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a merge of files");
    *merge = (struct pq_db_merge){0};
    const struct pq_db_tables *tables = db->tables;
    bool found = false;
    pthread_mutex_lock(&db->leader);
    for (size_t i = 0; i < tables->count && !found && !db->broken; i++) {
        struct pq_table *table = tables->at[i]->table;
        if (only != NULL && tables->at[i]->id != *only) continue;
        found = only != NULL ? choose_any(table->published->catalog, merge)
                             : choose(db, table->published->catalog, merge);
        if (!found) continue;
        merge->snapshot = pq_table_snapshot_ref(table->published);
        merge->table_id = tables->at[i]->id;
        // Above every version: a leftover for the next open, until a checkpoint names it.
        snprintf(merge->path, sizeof merge->path, "%s/data/%020" PRIu64 "-%08" PRIx64 ".parquet",
                 tables->at[i]->directory, UINT64_MAX, ++db->merge_id);
    }
    pthread_mutex_unlock(&db->leader);
    if (found) {
        db->merge = merge;
        for (size_t i = 0; i < merge->old_count; i++) merge->old[i]->is_merging = true;
    } else {
        pq_free(db->alloc, merge, 1, sizeof *merge);
    }
    return PQDB_OK;
}

// ---- merging ------------------------------------------------------------------------------------

/// A database that closes does not wait for a merge.
static pqdb_code pause(void *ctx, pqdb_error *err) {
    pqdb_db *db = ctx;
    return db->closes ? pq_fail(err, PQDB_CONFLICT, "the database is being closed") : PQDB_OK;
}

/// No lock held: nobody else looks into db->merge until it is done.
static pqdb_code run(pqdb_db *db, struct pq_db_merge *merge, pqdb_error *err) {
    const struct pq_merge files = {
        .rewrite = {.snapshot = merge->snapshot, .segments = merge->old,
                    .count = merge->old_count, .store = db->store, .pace = db->pace,
                    .path = merge->path, .alloc = db->alloc},
        .pause = pause, .ctx = db};
    const pqdb_code code = pq_table_merge(&files, &merge->rewritten, err);
    pthread_mutex_lock(&db->refreshing);
    merge->is_done = code == PQDB_OK;
    if (code != PQDB_OK) {
        for (size_t i = 0; i < merge->old_count; i++) merge->old[i]->is_merging = false;
        pq_pace_bury(db->pace, merge->path, NULL);
        drop(db);
    }
    pthread_mutex_unlock(&db->refreshing);
    return code;
}

static bool is_unshredded(const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->at[i]->shreds == NULL || tables->at[i]->table == NULL) continue;
        const struct pq_catalog *catalog = tables->at[i]->table->published->catalog;
        for (size_t k = 0; k < catalog->file_count; k++) {
            const struct pq_segment *segment = catalog->segments[k];
            if (segment->lacks_shreds && segment->dead < segment->rows) return true;
        }
    }
    return false;
}

pqdb_code pq_db_shred_files(pqdb_db *db, pqdb_error *err) {
    for (;;) {
        bool merged;
        pthread_mutex_lock(&db->refreshing);
        pqdb_code code = seek_all_shreds(db, err);
        pthread_mutex_lock(&db->leader);
        const bool is_due = is_unshredded(db);
        pthread_mutex_unlock(&db->leader);
        pthread_mutex_unlock(&db->refreshing);
        if (code != PQDB_OK || !is_due) return code;
        PQ_TRY(pq_db_merge_files(db, &merged, err));
        PQ_TRY(pq_db_checkpoint(db, true, err));
        if (!merged) return PQDB_OK;  // one runs already: the background goes on
    }
}

pqdb_code pq_db_merge_files(pqdb_db *db, bool *merged, pqdb_error *err) {
    *merged = false;
    pthread_mutex_lock(&db->refreshing);
    struct pq_db_merge *before = db->merge;
    const pqdb_code code = prepare(db, NULL, err);
    struct pq_db_merge *merge = before == NULL ? db->merge : NULL;
    pthread_mutex_unlock(&db->refreshing);
    if (code != PQDB_OK || merge == NULL) return code;
    PQ_TRY(run(db, merge, err));
    *merged = true;
    return PQDB_OK;
}

pqdb_code pq_db_merge_table(pqdb_db *db, uint32_t id, enum pq_db_merged *merged,
                            pqdb_error *err) {
    pqdb_code code = PQDB_OK;
    pthread_mutex_lock(&db->refreshing);
    const bool is_busy = db->merge != NULL, is_done = pq_db_merge_waits(db);
    if (!is_busy) code = prepare(db, &id, err);
    struct pq_db_merge *merge = is_busy ? NULL : db->merge;
    pthread_mutex_unlock(&db->refreshing);
    PQ_TRY(code);
    if (merge != NULL) PQ_TRY(run(db, merge, err));
    *merged = merge != NULL || is_done ? PQ_DB_MERGE_WAITS
              : is_busy                ? PQ_DB_MERGE_RUNS
                                       : PQ_DB_MERGE_NONE;
    return PQDB_OK;
}

// ---- into a checkpoint --------------------------------------------------------------------------

bool pq_db_merge_waits(const pqdb_db *db) { return db->merge != NULL && db->merge->is_done; }

bool pq_db_merge_waits_for(const pqdb_db *db, uint32_t table_id) {
    return pq_db_merge_waits(db) && db->merge->table_id == table_id;
}

static bool holds_all(const struct pq_catalog *catalog, const struct pq_db_merge *merge) {
    size_t held = 0;
    for (size_t i = 0; i < catalog->file_count; i++) {
        for (size_t k = 0; k < merge->old_count; k++) held += catalog->segments[i] == merge->old[k];
    }
    return held == merge->old_count;
}

pqdb_code pq_db_merge_adopt(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    struct pq_db_merge *merge = cut->db->merge;
    if (!pq_db_merge_waits_for(cut->db, table->table->id)) return PQDB_OK;
    if (!holds_all(table->snapshot->catalog, merge)) {  // the table was made anew meanwhile
        pq_pace_bury(cut->db->pace, merge->path, NULL);
        drop(cut->db);
        return PQDB_OK;
    }
    struct cut_piece *piece = &table->pieces[table->piece_count];
    *piece = (struct cut_piece){.old = table->old + table->old_count,
                                .old_count = merge->old_count, .db = cut->db,
                                .snapshot = table->snapshot, .merged_at = merge->snapshot->version,
                                .is_merged = true};
    for (size_t i = 0; i < merge->old_count; i++) {
        table->old[table->old_count++] = merge->old[i];
    }
    char path[PQ_STORE_PATH_MAX];
    PQ_TRY(pq_db_name_file(cut->db, table->table, cut->root.version, path, err));
    const struct pq_text kept = pq_arena_copy(&cut->arena, pq_text_of(path));
    if (kept.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    if (merge->rewritten.rows > 0) {
        PQ_TRY(pq_store_rename(cut->db->store, merge->path, path, err));
    }
    piece->path = (char *)(uintptr_t)kept.data;
    piece->rewritten = merge->rewritten;
    piece->rewritten.segments = piece->old;
    merge->rewritten = (struct pq_rewritten){0};
    table->piece_count++;
    table->writes = true;
    return PQDB_OK;
}

void pq_db_merge_end(pqdb_db *db) {
    struct pq_db_merge *merge = db->merge;
    if (!pq_db_merge_waits(db)) return;
    const bool is_taken = merge->rewritten.moved == NULL;
    if (!is_taken && pq_db_by_id(db, merge->table_id) != NULL) return;  // the next one takes it
    if (!is_taken) pq_pace_bury(db->pace, merge->path, NULL);
    // In the root by now; or the checkpoint failed, and the files may be chosen once more.
    for (size_t i = 0; i < merge->old_count; i++) merge->old[i]->is_merging = false;
    drop(db);
}

void pq_db_merge_close(pqdb_db *db) {
    if (db->merge != NULL) pq_pace_bury(db->pace, db->merge->path, NULL);
    drop(db);
}
