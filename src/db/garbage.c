/// db/garbage.c: what nobody needs any more, after a root has been written.
///
/// The rule, of which docs/limits.md (Disk) tells the figures. A data file stays while the root
/// names it, a kept snapshot of its table's metadata does (table/publish.h), a snapshot in this
/// process holds its segment (answers, builds, merges, what is put together of before), or a
/// process reads a root that named it. A run stays while the last root names it or such a process
/// does, or a merge reads or makes it. The log stays as trim_log says. Nothing else stays,
/// and what a crash leaves is found by the next opening.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "db/cut_internal.h"
#include "db/readers.h"
#include "db/schema_change.h"
#include "db/spill.h"
#include "db/view_internal.h"
#include "table/data_file.h"

enum { roots_kept = 2, name_digits = 20 };

struct pq_db_retired {
    struct pq_db_retired *next;
    struct pq_segment *segment;  // referenced
    uint64_t unnamed_at;         // the first root that does not name it; 0: none yet
    bool released;               // no kept snapshot of the table's metadata names it
    bool is_shared;              // another segment stands for the file, and will bury it
};

static void retire(pqdb_db *db, struct pq_segment *segment, bool is_shared) {
    struct pq_db_retired *retired = pq_resize(db->alloc, NULL, 0, 1, sizeof *retired);
    if (retired == NULL) return;  // its file is found by the next open
    *retired = (struct pq_db_retired){.next = db->retired, .segment = pq_segment_ref(segment),
                                      .released = is_shared, .is_shared = is_shared};
    db->retired = retired;
}

void pq_db_retire(pqdb_db *db, struct pq_segment *segment) { retire(db, segment, false); }

void pq_db_retire_files(pqdb_db *db, const struct pq_table *table) {
    const struct pq_catalog *catalog = table->published->catalog;
    for (size_t i = 0; i < catalog->count; i++) {
        if (catalog->segments[i]->kind == PQ_SEGMENT_FILE) pq_db_retire(db, catalog->segments[i]);
    }
}

void pq_db_share(pqdb_db *db, struct pq_segment *segment) { retire(db, segment, true); }

/// A name that stays does no harm; the next checkpoint looks for it.
static void bury_in(pqdb_db *db, struct pq_db_table *table, struct pq_text name) {
    char path[PQ_STORE_PATH_MAX];
    snprintf(path, sizeof path, "%s/%.*s", table->directory, PQ_TEXT_ARG(name));
    if (pq_pace_bury(db->pace, path, NULL) != PQDB_OK) table->is_tidied = false;
}

/// Rows of the table as it is are in this file, whatever the metadata says.
static bool is_live(pqdb_db *db, const struct pq_db_table *table, const char *path) {
    pthread_mutex_lock(&db->leader);
    struct pq_table_snapshot *snapshot = pq_table_snapshot_ref(table->table->published);
    pthread_mutex_unlock(&db->leader);
    bool is = false;
    for (size_t i = 0; i < snapshot->catalog->count && !is; i++) {
        const struct pq_segment *segment = snapshot->catalog->segments[i];
        is = segment->kind == PQ_SEGMENT_FILE && pq_text_is(pq_data_file_path(segment->file), path);
    }
    pq_table_snapshot_unref(snapshot);
    return is;
}

pqdb_code pq_db_release(pqdb_db *db, struct pq_db_table *table,
                        const struct pq_iceberg_outcome *outcome, pqdb_error *err) {
    (void)err;
    for (size_t i = 0; i < outcome->unneeded_count; i++) bury_in(db, table, outcome->unneeded[i]);
    for (size_t i = 0; i < outcome->released_count; i++) {
        char path[PQ_STORE_PATH_MAX];
        snprintf(path, sizeof path, "%s/%.*s", table->directory,
                 PQ_TEXT_ARG(outcome->released[i]));
        bool known = false;
        for (struct pq_db_retired *r = db->retired; r != NULL; r = r->next) {
            if (!pq_text_is(pq_data_file_path(r->segment->file), path)) continue;
            r->released = true;
            known = true;
        }
        // Of an earlier opening; the next one finds it.
        if (!known && (pq_db_is_read(db, db->root_version) || is_live(db, table, path))) continue;
        if (!known) pq_data_file_bury(db->pace, pq_text_of(path), table->table->options.type);
    }
    return PQDB_OK;
}

/// The file that a merge beside the keeper makes: no root names it yet.
static bool is_being_merged(struct pq_text path) {
    return path.length > 5 && strtoull(path.data + 5, NULL, 10) == UINT64_MAX;  // below data/
}

static int by_name(const void *name, const void *entry) {
    return pq_text_compare(*(const struct pq_text *)name,
                           ((const struct pq_store_entry *)entry)->name);
}

/// `rest` is what follows the data file's name: ".11.links".
static bool is_of_lost_column(const struct pq_db_table *table, const char *rest) {
    const struct pq_type *type = table->table->options.type;
    char *end;
    const long id = strtol(rest + 1, &end, 10);
    if (strncmp(end, ".links", 6) != 0) return false;
    for (size_t k = 0; k < type->field_count; k++) {
        if (type->fields[k].id == id) return false;
    }
    return true;
}

static bool ends_with(struct pq_text name, const char *ending) {
    const size_t length = strlen(ending);
    return name.length > length &&
           memcmp(name.data + name.length - length, ending, length) == 0;
}

bool pq_db_is_left_beside(const struct pq_db_table *table, const struct pq_store_list *list,
                          struct pq_text name) {
    const char *end = strstr(name.data, ".parquet.");
    if (end == NULL) return false;
    if (ends_with(name, ".tmp")) return true;  // written in whole by the publisher, who is done
    end += strlen(".parquet");
    const struct pq_text file = {name.data, (size_t)(end - name.data)};
    return is_of_lost_column(table, end) ||
           bsearch(&file, list->entries, list->count, sizeof *list->entries, by_name) == NULL;
}

void pq_db_remove_left_beside(pqdb_db *db, struct pq_db_table *table) {
    struct pq_arena arena;
    struct pq_store_list list = {0};
    char path[PQ_STORE_PATH_MAX];
    pq_arena_init(&arena, db->alloc);
    snprintf(path, sizeof path, "%.900s/data", table->directory);
    if (pq_store_list(db->store, path, &arena, &list, NULL) != PQDB_OK) list.count = 0;
    for (size_t i = 0; i < list.count; i++) {
        snprintf(path, sizeof path, "data/%.900s", list.entries[i].name.data);
        if (is_being_merged(pq_text_of(path))) continue;
        if (pq_db_is_left_beside(table, &list, list.entries[i].name)) {
            bury_in(db, table, pq_text_of(path));
        }
    }
    pq_arena_deinit(&arena);
}

void pq_db_remove_orphans(pqdb_db *db, struct pq_db_table *table, struct pq_arena *arena) {
    struct pq_iceberg_outcome orphans;
    if (pq_iceberg_find_orphans(table->iceberg, arena, &orphans, NULL) != PQDB_OK) return;
    if (pq_db_spills(db)) return;  // its files are not named yet
    if (pq_db_is_read(db, db->root_version)) return;
    struct pq_text *released = pq_arena_alloc(arena, orphans.released_count * sizeof *released);
    if (released == NULL) return;
    size_t count = 0;
    for (size_t i = 0; i < orphans.released_count; i++) {
        if (!is_being_merged(orphans.released[i])) released[count++] = orphans.released[i];
    }
    orphans.released = released;
    orphans.released_count = count;
    pq_db_release(db, table, &orphans, NULL);
    pq_db_remove_left_beside(db, table);
}

/// Does another segment stand for the same file, which somebody still reads?
static bool is_held_otherwise(const pqdb_db *db, const struct pq_db_retired *retired) {
    const struct pq_text path = pq_data_file_path(retired->segment->file);
    for (const struct pq_db_retired *r = db->retired; r != NULL; r = r->next) {
        if (r->is_shared && pq_text_equal(pq_data_file_path(r->segment->file), path)) return true;
    }
    return false;
}

static bool is_held(pqdb_db *db, const struct pq_db_retired *retired) {
    if (atomic_load(&retired->segment->references) > 1) return true;
    if (retired->is_shared) return false;
    return !retired->released || retired->unnamed_at == 0 ||
           pq_db_is_read(db, retired->unnamed_at) || is_held_otherwise(db, retired);
}

void pq_db_bury_released(pqdb_db *db) {
    for (struct pq_db_retired **link = &db->retired; *link != NULL;) {
        struct pq_db_retired *retired = *link;
        if (is_held(db, retired)) {
            link = &retired->next;
            continue;
        }
        if (!retired->is_shared) {
            pq_data_file_bury(db->pace, pq_data_file_path(retired->segment->file),
                              pq_data_file_type(retired->segment->file));
        }
        pq_segment_unref(retired->segment);
        *link = retired->next;
        pq_free(db->alloc, retired, 1, sizeof *retired);
    }
}

static bool is_below(struct pq_text path, const char *directory) {
    const size_t length = strlen(directory);
    return path.length > length && memcmp(path.data, directory, length) == 0 &&
           path.data[length] == '/';
}

static bool is_retired(const pqdb_db *db, const char *path) {
    for (const struct pq_db_retired *r = db->retired; r != NULL; r = r->next) {
        if (pq_text_is(pq_data_file_path(r->segment->file), path)) return true;
    }
    return false;
}

static void bury_all(pqdb_db *db, const char *directory, struct pq_arena *arena) {
    struct pq_store_list list;
    if (pq_store_list(db->store, directory, arena, &list, NULL) != PQDB_OK) return;
    for (size_t i = 0; i < list.count; i++) {
        struct pq_bytes path;
        pq_bytes_init(&path, &arena->alloc);
        if (list.entries[i].is_directory) continue;
        if (pq_bytes_printf(&path, NULL, "%s/%.*s", directory,
                            PQ_TEXT_ARG(list.entries[i].name)) != PQDB_OK) {
            continue;  // the next opening finds it
        }
        const char *text = (const char *)path.data;
        if (!is_retired(db, text)) pq_pace_bury(db->pace, text, NULL);
    }
}

void pq_db_remove_files(pqdb_db *db, const char *directory) {
    struct pq_arena arena;
    if (pq_db_is_read(db, UINT64_MAX)) return;  // the next opening finds them
    pq_arena_init(&arena, db->alloc);
    for (struct pq_db_retired *r = db->retired; r != NULL; r = r->next) {
        if (!is_below(pq_data_file_path(r->segment->file), directory)) continue;
        r->released = true;
        if (r->unnamed_at == 0) r->unnamed_at = db->root_version;
    }
    const char *const parts[] = {"metadata", "data"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char path[PQ_STORE_PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", directory, parts[i]);
        bury_all(db, path, &arena);
    }
    pq_db_bury_released(db);
    pq_arena_deinit(&arena);
}

static bool is_in_use(const pqdb_db *db, struct pq_text directory) {
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        if (pq_text_is(directory, tables->at[i]->directory)) return true;
    }
    return false;
}

pqdb_code pq_db_remove_dropped(pqdb_db *db, struct pq_arena *arena, pqdb_error *err) {
    const struct pq_db_shapes *shapes = db->plans->shapes;
    for (size_t i = 0; i < shapes->count; i++) {
        const struct pq_db_shape *shape = &shapes->tables[i];
        if (!shape->is_dropped || is_in_use(db, shape->directory)) continue;
        pq_db_remove_files(db, shape->directory.data);
    }
    struct pq_store_list list;
    const pqdb_code code = pq_store_list(db->store, "_views", arena, &list, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    for (size_t i = 0; i < list.count; i++) {
        char path[PQ_STORE_PATH_MAX];
        snprintf(path, sizeof path, "_views/%.*s", PQ_TEXT_ARG(list.entries[i].name));
        if (!list.entries[i].is_directory || is_in_use(db, pq_text_of(path))) continue;
        pq_db_remove_files(db, path);
    }
    return PQDB_OK;
}

/// Files below `directory` that begin with `start` and were never finished.
static pqdb_code remove_unfinished(pqdb_db *db, const char *directory, const char *start,
                                   struct pq_arena *arena, pqdb_error *err) {
    struct pq_store_list list;
    const pqdb_code code = pq_store_list(db->store, directory, arena, &list, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    for (size_t i = 0; i < list.count; i++) {
        const struct pq_text name = list.entries[i].name;
        char path[PQ_STORE_PATH_MAX];
        const bool is_unfinished = ends_with(name, ".tmp") || ends_with(name, ".new");
        if (!is_unfinished || !pq_text_starts_with(name, pq_text_of(start))) continue;
        const int length =
            snprintf(path, sizeof path, "%s%s%.*s", directory, directory[0] == '\0' ? "" : "/",
                     PQ_TEXT_ARG(name));
        if (length < (int)sizeof path) PQ_TRY(pq_store_unlink(db->store, path, err));
    }
    return PQDB_OK;
}

pqdb_code pq_db_remove_unfinished(pqdb_db *db, struct pq_arena *arena, pqdb_error *err) {
    PQ_TRY(remove_unfinished(db, "", PQ_DB_SCHEMA_FILE ".", arena, err));
    PQ_TRY(remove_unfinished(db, PQ_STATE_DIRECTORY, "", arena, err));
    const struct pq_db_tables *tables = db->tables;
    for (size_t i = 0; i < tables->count; i++) {
        char path[PQ_STORE_PATH_MAX];
        snprintf(path, sizeof path, "%.900s/metadata", tables->at[i]->directory);
        PQ_TRY(remove_unfinished(db, path, "", arena, err));
    }
    return PQDB_OK;
}

static bool state_names_run(const struct pq_root_state *state, uint64_t id) {
    for (size_t i = 0; i < state->run_count; i++) {
        if (state->runs[i].id == id) return true;
    }
    return false;
}

static bool names_run(const struct pq_root *root, uint64_t id) {
    for (size_t t = 0; t < root->table_count; t++) {
        for (size_t i = 0; i < root->tables[t].state_count; i++) {
            if (state_names_run(&root->tables[t].states[i], id)) return true;
        }
    }
    return state_names_run(&root->tokens, id);
}

/// A run that the root does not name, and the first that did not.
struct pq_db_unnamed {
    struct pq_db_unnamed *next;
    uint64_t id, since;
};

/// Since when is it so? Without memory: too short a time to remove it.
static struct pq_db_unnamed *unnamed_run(pqdb_db *db, uint64_t id, uint64_t version) {
    for (struct pq_db_unnamed *at = db->unnamed; at != NULL; at = at->next) {
        if (at->id == id) return at;
    }
    struct pq_db_unnamed *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return NULL;
    *made = (struct pq_db_unnamed){.next = db->unnamed, .id = id, .since = version};
    db->unnamed = made;
    return made;
}

static void forget_unnamed(pqdb_db *db, const struct pq_db_unnamed *gone) {
    struct pq_db_unnamed **link = &db->unnamed;
    while (*link != gone) link = &(*link)->next;
    *link = gone->next;
    pq_free(db->alloc, (void *)(uintptr_t)gone, 1, sizeof *gone);
}

static void sweep_run(pqdb_db *db, uint64_t id, uint64_t version) {
    const struct pq_db_unnamed *run = unnamed_run(db, id, version);
    if (run == NULL || pq_db_is_read(db, run->since)) return;
    forget_unnamed(db, run);
    pq_db_run_remove(db, id);
}

/// Roots but the last two, and runs that the last one does not name and the one before could not
/// miss: a run is younger than the root that first names it.
static pqdb_code sweep_state(pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    struct pq_store_list list;
    pqdb_code code;
    PQ_GO(pq_store_list(db->store, PQ_STATE_DIRECTORY, &arena, &list, err));
    size_t roots = 0;
    for (size_t i = list.count; i-- > 0;) {
        const struct pq_text name = list.entries[i].name;
        if (name.length < name_digits) continue;
        const char *ending = name.data + name_digits;
        const uint64_t number = strtoull(name.data, NULL, 10);
        char path[128];
        snprintf(path, sizeof path, PQ_STATE_DIRECTORY "/%.*s", PQ_TEXT_ARG(name));
        if (strcmp(ending, ".root") == 0 && ++roots > roots_kept) {
            PQ_GO(pq_pace_bury(db->pace, path, err));
        } else if (strcmp(ending, ".run") == 0 && !names_run(root, number) &&
                   !pq_db_spills_run(db, number) && !pq_db_merges_run(db, number)) {
            sweep_run(db, number, root->version);
        }
    }
done:
    pq_arena_deinit(&arena);
    return code;
}

void pq_db_retired_close(pqdb_db *db) {
    while (db->unnamed != NULL) forget_unnamed(db, db->unnamed);
    while (db->retired != NULL) {
        struct pq_db_retired *retired = db->retired;
        db->retired = retired->next;
        pq_segment_unref(retired->segment);
        pq_free(db->alloc, retired, 1, sizeof *retired);
    }
}

// ---- the log ----------------------------------------------------------------------------------

/// How long rows and changes of before can be asked for: of collections always, of views where they
/// say so.
static int64_t longest_history(const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    int64_t longest = 0;
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_entry *entry = tables->at[i]->entry;
        const bool keeps = tables->at[i]->view == NULL || entry->has_history;
        if (keeps && entry->history_us > longest) longest = entry->history_us;
    }
    return longest;
}

static const struct pq_root_table *root_table(const struct pq_root *root, uint32_t id) {
    for (size_t i = 0; i < root->table_count; i++) {
        if (root->tables[i].id == id) return &root->tables[i];
    }
    return NULL;
}

static uint64_t bytes_of(const struct pq_root *root, uint32_t id) {
    const struct pq_root_table *table = root_table(root, id);
    uint64_t bytes = 0;
    for (size_t i = 0; table != NULL && i < table->file_count; i++) bytes += table->files[i].bytes;
    return bytes;
}

/// Is the log kept for a view that lags?
static bool holds_log(pqdb_db *db, const struct pq_root *root, const struct pq_root_table *named) {
    const struct pq_db_table *table = pq_db_by_id(db, named->id);
    if (table == NULL || table->node == NULL) return false;
    if (named->reflects == 0 && named->last.kind == PQ_REFRESH_NONE) return false;
    if (named->refresh_version == 0) return false;  // it is being built
    const struct pq_view *view = table->view;
    uint64_t bytes = bytes_of(root, view->source);
    for (size_t i = 0; i < view->linked_count; i++) bytes += bytes_of(root, view->linked[i]);
    const uint64_t most = pq_db_log_most(db, table, bytes);
    return most > 0 && pq_log_bytes_since(db->log, &named->reflects_position) <= most;
}

/// The log is needed from the root on, by processes that read an earlier one, from where builds and
/// the views that lag are, and as long as somebody may ask how it was.
static pqdb_code trim_log(pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    struct pq_log_position oldest = db->trimmable;
    db->trimmable = root->position;  // one root late: the root before the last one stays usable
    if (oldest.version == 0 || pq_db_is_read(db, oldest.version - 1)) return PQDB_OK;
    pthread_mutex_lock(&db->leader);
    const struct pq_log_position pinned[] = {db->pinned, db->making_pinned};
    pthread_mutex_unlock(&db->leader);
    for (size_t i = 0; i < 2; i++) {
        if (pinned[i].version != 0 && pinned[i].version < oldest.version) oldest = pinned[i];
    }
    for (size_t i = 0; i < root->table_count; i++) {
        const struct pq_root_table *named = &root->tables[i];
        if (named->reflects_position.version >= oldest.version) continue;
        if (holds_log(db, root, named)) oldest = named->reflects_position;
    }
    const int64_t keep_us = db->env->now_us(db->env->ctx) - longest_history(db);
    return pq_log_trim_before(db->log, &oldest, keep_us, err);
}

pqdb_code pq_db_collect_garbage(pqdb_db *db, const struct pq_root *root, pqdb_error *err) {
    for (struct pq_db_retired *r = db->retired; r != NULL; r = r->next) {
        if (r->unnamed_at == 0) r->unnamed_at = root->version;
    }
    pq_db_bury_released(db);
    PQ_TRY(sweep_state(db, root, err));
    return trim_log(db, root, err);
}
