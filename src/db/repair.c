/// db/repair.c: what a check found is mended: damaged files are moved aside, the newest root
/// forgets them, and the database is opened once, which makes anew what follows from the rest.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "changelog/log.h"
#include "db/check_internal.h"
#include "db/checkpoint_internal.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "table/data_file.h"

#define ASIDE "damaged"

enum { names_max = 1000 };

/// A directory that files were moved out of or into becomes durable.
static pqdb_code sync_parent(struct pq_store *store, const char *path, pqdb_error *err) {
    char parent[PQ_STORE_PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(parent, sizeof parent, "%.*s", slash == NULL ? 0 : (int)(slash - path), path);
    return pq_store_sync_directory(store, parent, err);
}

static pqdb_code make_parent(struct pq_store *store, const char *path, pqdb_error *err) {
    char parent[PQ_STORE_PATH_MAX];
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    return pq_store_make_directory(store, parent, err);
}

/// A name below damaged/ that is free.
static pqdb_code free_name(struct pq_store *store, const char *path,
                           char target[PQ_STORE_PATH_MAX], pqdb_error *err) {
    for (int number = 1; number < names_max; number++) {
        struct pq_file *file = NULL;
        if (number == 1) snprintf(target, PQ_STORE_PATH_MAX, ASIDE "/%.900s", path);
        if (number > 1) snprintf(target, PQ_STORE_PATH_MAX, ASIDE "/%.900s.%d", path, number);
        const pqdb_code code = pq_file_open(store, target, PQ_OPEN_READ, &file, err);
        pq_file_close(file);
        if (code == PQDB_NOT_FOUND) return PQDB_OK;
        PQ_TRY(code);
    }
    return pq_fail(err, PQDB_LIMIT, "too many files in " ASIDE "/: remove some");
}

/// What is not there need not go.
static pqdb_code move_aside(struct pq_store *store, const char *path, pqdb_error *err) {
    char target[PQ_STORE_PATH_MAX];
    PQ_TRY(free_name(store, path, target, err));
    PQ_TRY(make_parent(store, target, err));
    const pqdb_code code = pq_store_rename(store, path, target, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    PQ_TRY(sync_parent(store, target, err));
    return sync_parent(store, path, err);
}

/// Under both names: the root that names it as it is may be the one that stays.
static pqdb_code link_aside(struct pq_store *store, const char *path, pqdb_error *err) {
    char target[PQ_STORE_PATH_MAX];
    PQ_TRY(free_name(store, path, target, err));
    PQ_TRY(make_parent(store, target, err));
    PQ_TRY(pq_store_link(store, path, target, err));
    return sync_parent(store, target, err);
}

static pqdb_code copy_aside(struct pq_db_check *check, const char *path, pqdb_error *err) {
    char target[PQ_STORE_PATH_MAX];
    struct pq_bytes bytes;
    PQ_TRY(free_name(check->store, path, target, err));
    PQ_TRY(make_parent(check->store, target, err));
    pq_bytes_init(&bytes, check->alloc);
    pqdb_code code = pq_store_read_file(check->store, path, SIZE_MAX / 2, &bytes, err);
    if (code == PQDB_OK) {
        code = pq_store_write_file(check->store, target, pq_bytes_text(&bytes), err);
    }
    pq_bytes_deinit(&bytes);
    return code;
}

// ---- the log ----------------------------------------------------------------------------------

/// What follows the damage goes aside whole, of its segment a copy.
static pqdb_code cut_log(struct pq_db_check *check, const char *path, pqdb_error *err) {
    struct pq_store_list list;
    PQ_TRY(pq_store_list(check->store, "log", &check->arena, &list, err));
    for (size_t i = list.count; i-- > 0;) {
        char later[PQ_STORE_PATH_MAX];
        snprintf(later, sizeof later, "log/%.*s", PQ_TEXT_ARG(list.entries[i].name));
        if (strcmp(later, path) > 0) PQ_TRY(move_aside(check->store, later, err));
    }
    PQ_TRY(copy_aside(check, path, err));
    struct pq_file *file;
    PQ_TRY(pq_file_open(check->store, path, PQ_OPEN_WRITE, &file, err));
    pqdb_code code = pq_file_truncate(file, check->cut.offset, err);
    if (code == PQDB_OK) code = pq_file_sync(file, err);
    pq_file_close(file);
    return code;
}

/// Segments up to this one, below the one where the next replay begins.
static pqdb_code drop_old_log(struct pq_db_check *check, const char *path, pqdb_error *err) {
    struct pq_store_list list;
    struct pq_root newest = {0};
    bool found;
    char needed[64];
    PQ_TRY(pq_root_read_newest(check->store, &check->arena, &newest, &found, err));
    snprintf(needed, sizeof needed, "log/%012" PRIu64 ".log", newest.position.segment);
    if (!found || strcmp(path, needed) >= 0) return PQDB_OK;
    PQ_TRY(pq_store_list(check->store, "log", &check->arena, &list, err));
    for (size_t i = 0; i < list.count; i++) {
        char older[PQ_STORE_PATH_MAX];
        snprintf(older, sizeof older, "log/%.*s", PQ_TEXT_ARG(list.entries[i].name));
        if (strcmp(older, path) <= 0) PQ_TRY(move_aside(check->store, older, err));
    }
    return PQDB_OK;
}

// ---- the root ---------------------------------------------------------------------------------

/// Among the first `count`: those that left the root are behind the others.
static struct pq_root_table *table_among(struct pq_db_check *check, size_t count, uint32_t id) {
    for (size_t i = 0; i < count; i++) {
        // The tables of a root that was read are in the check's arena.
        struct pq_root_table *table = (struct pq_root_table *)(uintptr_t)&check->root.tables[i];
        if (table->id == id) return table;
    }
    return NULL;
}

static struct pq_root_table *table_of(struct pq_db_check *check, uint32_t id) {
    return table_among(check, check->root.table_count, id);
}

static pqdb_code move_metadata(struct pq_db_check *check, const struct pq_root_table *table,
                               pqdb_error *err) {
    char home[PQ_STORE_PATH_MAX], directory[PQ_STORE_PATH_MAX], path[PQ_STORE_PATH_MAX];
    struct pq_store_list list;
    pq_db_check_directory(check, table, home);
    snprintf(directory, sizeof directory, "%.1000s/metadata", home);
    const pqdb_code code = pq_store_list(check->store, directory, &check->arena, &list, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    for (size_t i = 0; i < list.count; i++) {
        snprintf(path, sizeof path, "%.600s/%.*s", directory, PQ_TEXT_ARG(list.entries[i].name));
        PQ_TRY(move_aside(check->store, path, err));
    }
    return PQDB_OK;
}

/// The table leaves the root, so that an open builds it like a new one.
static void forget_table(struct pq_db_check *check, struct pq_root_table *table) {
    struct pq_root_table *last =
        (struct pq_root_table *)(uintptr_t)&check->root.tables[--check->root.table_count];
    const struct pq_root_table gone = *table;
    *table = *last;
    *last = gone;
}

/// Below `metadata`, or all of it: moved with the rest of it.
static bool is_metadata(const char *path) {
    const char *at = strstr(path, "/metadata");
    return at != NULL && (at[9] == '\0' || at[9] == '/');
}

/// A path in the same directory that no file has, of no later version than the root.
static pqdb_code name_saved(struct pq_db_check *check, const char *path,
                            char target[PQ_STORE_PATH_MAX], pqdb_error *err) {
    const int length = (int)(strrchr(path, '/') - path);
    for (unsigned number = 1; number < names_max; number++) {
        snprintf(target, PQ_STORE_PATH_MAX, "%.*s/%020" PRIu64 "-5a%06x.parquet", length, path,
                 check->root.version, number);
        if (!pq_db_check_has_file(check, pq_text_of(target))) return PQDB_OK;
    }
    return pq_fail(err, PQDB_LIMIT, "too many files beside %s", path);
}

/// What was there before is not known any more: as of now, or of the last commit that was found.
static void note_lost(struct pq_db_check *check, struct pq_root_table *table) {
    const uint64_t found = check->checked.version, root = check->root.version;
    table->lost_before = found > root ? found : root;
    check->has_lost = true;
}

/// Its rows that can be read take the file's place in the root; what other engines see follows.
static pqdb_code save_rows(struct pq_db_check *check, struct pq_root_table *table,
                           const char *path, pqdb_error *err) {
    struct pq_root_file *file = NULL;
    char target[PQ_STORE_PATH_MAX];
    for (size_t i = 0; i < table->file_count; i++) {
        // As above: the check's arena has it.
        if (pq_text_is(table->files[i].path, path)) {
            file = (struct pq_root_file *)(uintptr_t)&table->files[i];
        }
    }
    if (file == NULL) return PQDB_OK;  // another damage of the same file
    PQ_TRY(name_saved(check, path, target, err));
    struct pq_db_salvage saved = {.table = table, .file = file, .to = target};
    pq_bytes_init(&saved.where, &check->arena.alloc);
    PQ_TRY(pq_db_salvage(check, &saved, err));
    PQ_TRY(sync_parent(check->store, target, err));
    const struct pq_text name = pq_arena_copy(&check->arena, pq_text_of(target));
    if (name.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a repair");
    *file = (struct pq_root_file){.path = name, .bytes = saved.bytes, .rows = saved.saved};
    if (saved.lost > 0) note_lost(check, table);
    table->published = 0;
    return link_aside(check->store, path, err);
}

static bool is_named(const struct pq_root *root, const char *path) {
    for (size_t t = 0; t < root->table_count; t++) {
        for (size_t i = 0; i < root->tables[t].file_count; i++) {
            if (pq_text_is(root->tables[t].files[i].path, path)) return true;
        }
    }
    return false;
}

/// Those whose rows are in another file now. What stays goes with the next opening.
static void remove_saved(struct pq_db_check *check) {
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        const char *path = d->shown.file;
        if (d->remedy != PQ_REMEDY_SALVAGE || is_named(&check->root, path)) continue;
        pq_store_unlink(check->store, path, NULL);
    }
}

/// Views have seen rows that are gone: they are built from those that are there.
static void forget_views(struct pq_db_check *check) {
    for (size_t i = check->root.table_count; i-- > 0;) {
        const struct pq_root_table *table = &check->root.tables[i];
        if (!pq_db_check_is_view(check, table->name)) continue;
        if (pq_db_check_keeps(check, table->name)) continue;
        forget_table(check, table_of(check, table->id));
    }
}

static pqdb_code mend(struct pq_db_check *check, struct pq_db_damage *damage, bool *root_changed,
                      pqdb_error *err) {
    struct pq_root_table *table = table_of(check, damage->table);
    const char *path = damage->shown.file;
    const struct pq_log_repair header = {check->store, path, check->alloc};
    switch (damage->remedy) {
        case PQ_REMEDY_NONE:
        case PQ_REMEDY_OLD_LOG:  // once the root has moved on
        case PQ_REMEDY_STEP_BACK:  // below
            return PQDB_OK;
        case PQ_REMEDY_MOVE:
        case PQ_REMEDY_NEW_ROOT:
            return move_aside(check->store, path, err);
        case PQ_REMEDY_HEADER:
            PQ_TRY(copy_aside(check, path, err));
            return pq_log_repair_header(&header, err);
        case PQ_REMEDY_CUT_LOG:
            return cut_log(check, path, err);
        case PQ_REMEDY_TOKENS:
            check->root.tokens.run_count = 0;
            break;
        case PQ_REMEDY_VIEW:
            if (table != NULL) forget_table(check, table);
            break;
        case PQ_REMEDY_SALVAGE:
            *root_changed = true;
            return table == NULL ? PQDB_OK : save_rows(check, table, path, err);
        case PQ_REMEDY_HINT:
            *root_changed = true;
            if (table != NULL) table->published = 0;
            return PQDB_OK;
        case PQ_REMEDY_METADATA:  // it goes once the root says that there is none
            *root_changed = true;
            if (table != NULL) table->published = 0;
            return PQDB_OK;
    }
    *root_changed = true;
    return move_aside(check->store, path, err);
}

static bool has_remedy(const struct pq_db_check *check, enum pq_db_remedy remedy) {
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        if (d->remedy == remedy) return true;
    }
    return false;
}

/// What other engines see of tables that are published anew, and what only that names.
static pqdb_code move_published(struct pq_db_check *check, size_t tables, pqdb_error *err) {
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        const struct pq_root_table *table = table_among(check, tables, d->table);
        if (d->remedy != PQ_REMEDY_METADATA && d->remedy != PQ_REMEDY_SALVAGE) continue;
        if (table != NULL) PQ_TRY(move_metadata(check, table, err));
        const bool is_old = d->remedy == PQ_REMEDY_METADATA && !is_metadata(d->shown.file);
        if (is_old) PQ_TRY(move_aside(check->store, d->shown.file, err));
    }
    return PQDB_OK;
}

/// The root first: without it nothing needs the files.
static pqdb_code step_back(struct pq_db_check *check, pqdb_error *err) {
    for (size_t i = 0; i < check->roots.count; i++) {
        char path[64];
        if (check->roots.versions[i] < check->step_back_to) break;
        pq_root_path(check->roots.versions[i], path);
        PQ_TRY(move_aside(check->store, path, err));
    }
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        if (d->remedy != PQ_REMEDY_STEP_BACK) continue;
        PQ_TRY(move_aside(check->store, d->shown.file, err));
    }
    return PQDB_OK;
}

/// The files first, then the root that no longer names them; metadata last, because a table that
/// the root calls published is not published again.
static pqdb_code mend_files(struct pq_db_check *check, pqdb_error *err) {
    bool root_changed = false;
    const size_t tables = check->root.table_count;
    for (struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        PQ_TRY(mend(check, d, &root_changed, err));
    }
    if (check->has_lost) forget_views(check);
    if (root_changed) PQ_TRY(pq_root_write(check->store, &check->root, check->alloc, err));
    PQ_TRY(move_published(check, tables, err));
    remove_saved(check);
    return PQDB_OK;
}

// ---- the database -----------------------------------------------------------------------------

static pqdb_code write_ids(pqdb_db *db, const struct pq_db_table *table, pqdb_error *err) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const struct pq_table_snapshot *rows = pq_db_snapshot_rows(snapshot, table);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; rows != NULL && code == PQDB_OK && i < rows->catalog->count; i++) {
        struct pq_segment *segment = rows->catalog->segments[i];
        if (segment->kind != PQ_SEGMENT_FILE) continue;
        code = pq_data_file_write_ids(segment->file, rows->marks_ids, db->pace, err);
    }
    pq_db_snapshot_unref(snapshot);
    return code;
}

/// A view that nobody builds by itself.
static pqdb_code refresh_manual(pqdb_db *db, const struct pq_db_table *table, pqdb_error *err) {
    if (table->view == NULL || table->view->mode != PQ_VIEW_MANUAL) return PQDB_OK;
    const bool is_new = pq_db_is_new(&table->facts);  // else it was not forgotten
    if (table->view->append || !is_new) return PQDB_OK;
    return pqdb_view_refresh(db, table->entry->name.data, true, NULL, err);
}

/// The log went on behind what the check of one table looked at.
static void note_version(const struct pq_db_check *check, const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; check->has_lost && i < tables->count; i++) {
        struct pq_db_table *table = tables->at[i];
        const bool has_lost = table->lost_before > 0 && table->lost_before >= check->root.version;
        if (has_lost) table->lost_before = db->version;
    }
}

static pqdb_code make_anew(struct pq_db_check *check, pqdb_db *db, pqdb_error *err) {
    note_version(check, db);
    for (size_t i = 0; check->has_lost && i < pqdb_view_count(db); i++) {
        PQ_TRY(refresh_manual(db, pq_db_find(db, pq_text_of(pqdb_view_name(db, i))), err));
    }
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        // By name: a table that left the root has got another id.
        const struct pq_db_table *table = pq_db_find(db, pq_text_of(d->shown.table));
        if (table == NULL) continue;
        if (d->remedy == PQ_REMEDY_VIEW) PQ_TRY(refresh_manual(db, table, err));
        if (d->remedy == PQ_REMEDY_MOVE) PQ_TRY(write_ids(db, table, err));
    }
    db->unpublished = true;
    return pqdb_checkpoint(db, err);
}

static pqdb_code open_once(struct pq_db_check *check, pqdb_error *err) {
    struct pq_open_with with = *check->with;
    pqdb_db *db;
    with.no_keeper = true;
    with.forgives_lost = check->has_lost;
    PQ_TRY(pq_db_open_with(&with, NULL, &db, err));
    pqdb_error late;
    const pqdb_code code = make_anew(check, db, err);
    const pqdb_code closed = pqdb_close(db, &late);
    if (code != PQDB_OK || closed == PQDB_OK) return code;
    if (err != NULL) *err = late;
    return closed;
}

// ---- and looking again ------------------------------------------------------------------------

static pqdb_code take_over(struct pq_db_check *to, const struct pq_db_damage *damage,
                           pqdb_error *err) {
    pqdb_error why = {.offset = damage->shown.offset};
    const struct pq_db_found found = {
        .file = damage->shown.file, .part = damage->shown.part, .message = damage->shown.message,
        .remedy = damage->shown.remedy, .table = pq_text_of(damage->shown.table),
        .act = damage->remedy, .id = damage->table, .is_lost = damage->shown.is_lost};
    return pq_db_check_found(to, &found, &why, err);
}

static bool is_there(const struct pq_db_damage *list, const char *file) {
    for (; list != NULL; list = list->next) {
        if (strcmp(list->shown.file, file) == 0) return true;
    }
    return false;
}

/// What is found no more is repaired; the counts are those of the walk that found nothing or less.
static pqdb_code look_again(struct pq_db_check *check, pqdb_error *err) {
    struct pq_db_check after;
    pqdb_check_options options = *check->options;
    options.on_progress = NULL;
    pq_db_check_init(&after, check->with, &options);
    pqdb_code code = pq_db_check_walk(&after, err);
    for (struct pq_db_damage *d = check->damages; code == PQDB_OK && d != NULL; d = d->next) {
        d->shown.is_repaired =
            d->remedy != PQ_REMEDY_NONE && !is_there(after.damages, d->shown.file);
        check->checked.repaired += d->shown.is_repaired;
    }
    for (struct pq_db_damage *d = after.damages; code == PQDB_OK && d != NULL; d = d->next) {
        if (!is_there(check->damages, d->shown.file)) code = take_over(check, d, err);
    }
    pq_db_check_deinit(&after);
    return code;
}

pqdb_code pq_db_repair(struct pq_db_check *check, struct pq_lock **lock, pqdb_error *err) {
    if (check->damages == NULL) return PQDB_OK;
    // Without their newest root nobody knew what else is damaged.
    const bool steps_back = has_remedy(check, PQ_REMEDY_STEP_BACK);
    const bool walks_again = steps_back || has_remedy(check, PQ_REMEDY_NEW_ROOT);
    PQ_TRY(steps_back ? step_back(check, err) : mend_files(check, err));
    if (walks_again) {
        struct pq_db_check below;
        pqdb_check_options options = *check->options;
        pq_db_check_init(&below, check->with, &options);
        pqdb_code code = pq_db_check_walk(&below, err);
        if (code == PQDB_OK) code = mend_files(&below, err);
        check->has_lost = check->has_lost || below.has_lost;
        for (const struct pq_db_damage *d = below.damages; code == PQDB_OK && d != NULL;
             d = d->next) {
            if (!is_there(check->damages, d->shown.file)) code = take_over(check, d, err);
        }
        pq_db_check_deinit(&below);
        PQ_TRY(code);
    }
    pq_store_unlock(*lock);
    *lock = NULL;
    // Where something stays lost the database may not open; what else was mended is told.
    pqdb_error why = {0};
    const pqdb_code opened = open_once(check, &why);
    if (opened == PQDB_CORRUPT && has_remedy(check, PQ_REMEDY_NONE)) return look_again(check, err);
    if (opened != PQDB_OK) {
        if (err != NULL) *err = why;
        return opened;
    }
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        if (d->remedy == PQ_REMEDY_OLD_LOG) PQ_TRY(drop_old_log(check, d->shown.file, err));
    }
    return look_again(check, err);
}
