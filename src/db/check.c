/// db/check.c: reads everything a database consists of, without opening it.
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "changelog/log.h"
#include "db/check_internal.h"
#include "db/db_internal.h"
#include "db/schema_change.h"

enum { walks_max = 4 };

void pq_db_check_init(struct pq_db_check *check, const struct pq_open_with *with,
                      const pqdb_check_options *options) {
    static const pqdb_check_options none;
    *check = (struct pq_db_check){.with = with, .store = with->store, .alloc = with->alloc,
                                  .options = options == NULL ? &none : options};
    pq_arena_init(&check->arena, with->alloc);
    check->damages_end = &check->damages;
}

void pq_db_check_deinit(struct pq_db_check *check) {
    pq_schema_unref(check->schema);
    pq_db_plan_destroy(check->alloc, check->plan);
    pq_arena_deinit(&check->arena);
}

bool pq_db_is_damage(pqdb_code code) {
    return code == PQDB_CORRUPT || code == PQDB_NOT_FOUND || code == PQDB_INVALID ||
           code == PQDB_LIMIT || code == PQDB_UNSUPPORTED;
}

static pqdb_code no_memory(pqdb_error *err) { return pq_fail(err, PQDB_NO_MEMORY, "a check"); }

static const char *keep(struct pq_db_check *check, const char *text) {
    return text == NULL ? "" : pq_arena_copy(&check->arena, pq_text_of(text)).data;
}

pqdb_code pq_db_check_found(struct pq_db_check *check, const struct pq_db_found *found,
                            const pqdb_error *why, pqdb_error *err) {
    struct pq_db_damage *damage = pq_arena_calloc(&check->arena, 1, sizeof *damage);
    if (damage == NULL) return no_memory(err);
    const char *message = found->message != NULL ? found->message : why->message;
    damage->remedy = found->act;
    damage->table = found->id;
    check->has_missing = check->has_missing || (why != NULL && why->code == PQDB_NOT_FOUND);
    damage->shown = (pqdb_damage){
        .file = keep(check, found->file), .offset = why == NULL ? -1 : why->offset,
        .part = found->part, .message = keep(check, message),
        .table = found->table.length == 0 ? ""
                                          : pq_arena_copy(&check->arena, found->table).data,
        .remedy = keep(check, found->remedy), .is_lost = found->is_lost};
    const pqdb_damage *shown = &damage->shown;
    if (shown->file == NULL || shown->message == NULL || shown->table == NULL ||
        shown->remedy == NULL) {
        return no_memory(err);
    }
    *check->damages_end = damage;
    check->damages_end = &damage->next;
    check->checked.damages++;
    check->checked.lost += found->is_lost;
    return PQDB_OK;
}

pqdb_code pq_db_check_know(struct pq_db_check *check, const char *path, pqdb_error *err) {
    if (check->known_count == check->known_room) {
        const size_t room = check->known_room == 0 ? 64 : check->known_room * 2;
        struct pq_text *known = pq_arena_alloc(&check->arena, room * sizeof *known);
        if (known == NULL) return no_memory(err);
        if (check->known_count > 0) {
            memcpy(known, check->known, check->known_count * sizeof *known);
        }
        check->known = known;
        check->known_room = room;
    }
    const struct pq_text copy = pq_arena_copy(&check->arena, pq_text_of(path));
    if (copy.data == NULL) return no_memory(err);
    check->known[check->known_count++] = copy;
    return PQDB_OK;
}

void pq_db_check_file(struct pq_db_check *check, const char *path, uint64_t bytes) {
    check->checked.files++;
    check->checked.bytes += bytes;
    if (check->options->on_progress == NULL) return;
    check->options->on_progress(check->options->ctx, path, check->checked.bytes,
                                check->bytes_all);
}

// ---- the schema -------------------------------------------------------------------------------

bool pq_db_check_is_view(struct pq_db_check *check, struct pq_text name) {
    const struct pq_entry *entry =
        check->schema == NULL ? NULL : pq_schema_find(check->schema, name);
    if (entry != NULL) return entry->kind == PQ_ENTRY_VIEW;
    char path[PQ_STORE_PATH_MAX];
    struct pq_store_list list;
    snprintf(path, sizeof path, "_views/%.*s", PQ_TEXT_ARG(name));
    return pq_store_list(check->store, path, &check->arena, &list, NULL) == PQDB_OK;
}

void pq_db_check_directory(struct pq_db_check *check, const struct pq_root_table *table,
                           char path[static PQ_STORE_PATH_MAX]) {
    const struct pq_db_shape *shape = pq_db_shape_find(&check->shapes, table->id);
    if (shape != NULL) {
        snprintf(path, PQ_STORE_PATH_MAX, "%.*s", PQ_TEXT_ARG(shape->directory));
    } else {
        snprintf(path, PQ_STORE_PATH_MAX, "%s%.*s",
                 pq_db_check_is_view(check, table->name) ? "_views/" : "",
                 PQ_TEXT_ARG(table->name));
    }
}

static bool is_text(const struct pq_json *object, const char *name, const char *text) {
    const bool is_object = object != NULL && pq_json_kind(object) == PQ_JSON_OBJECT;
    const struct pq_json *value = is_object ? pq_json_find(object, name) : NULL;
    return value != NULL && pq_json_kind(value) == PQ_JSON_TEXT &&
           pq_text_is(pq_json_text(value), text);
}

bool pq_db_check_keeps(const struct pq_db_check *check, struct pq_text view) {
    const struct pq_entry *entry =
        check->schema == NULL ? NULL : pq_schema_find(check->schema, view);
    if (entry == NULL || entry->definition == NULL) return false;
    return is_text(entry->definition, "$onRetention", "keep") ||
           is_text(pq_json_find(entry->definition, "$refresh"), "strategy", "append");
}

struct pq_text pq_db_check_source(const struct pq_db_check *check, struct pq_text view) {
    const struct pq_entry *entry =
        check->schema == NULL ? NULL : pq_schema_find(check->schema, view);
    const struct pq_json *from =
        entry == NULL ? NULL : pq_json_find(entry->definition, "$from");
    return from != NULL && pq_json_kind(from) == PQ_JSON_TEXT ? pq_json_text(from)
                                                              : PQ_TEXT("its source");
}

static pqdb_code check_schema(struct pq_db_check *check, pqdb_error *err) {
    struct pq_bytes text;
    struct pq_problems problems;
    pqdb_error why = {.offset = -1};
    pq_bytes_init(&text, &check->arena.alloc);
    pq_problems_init(&problems, &check->arena);
    pqdb_code code = pq_schema_file_read(check->store, &text, &why);
    if (code == PQDB_OK) pq_db_check_file(check, PQ_DB_SCHEMA_FILE, text.length);
    if (code == PQDB_OK) {
        code = pq_schema_parse(pq_bytes_text(&text), check->alloc, &check->schema, &problems,
                               &why);
    }
    if (code == PQDB_OK) code = pq_problems_code(&problems, &why);
    if (code == PQDB_OK) return PQDB_OK;
    if (!pq_db_is_damage(code)) {
        if (err != NULL) *err = why;
        return code;
    }
    const struct pq_db_found found = {
        .file = PQ_DB_SCHEMA_FILE, .part = "schema",
        .remedy = "put the schema as it was applied there again"};
    return pq_db_check_found(check, &found, &why, err);
}

/// What the tables are called, and their columns.
static pqdb_code check_shapes(struct pq_db_check *check, pqdb_error *err) {
    struct pq_bytes text;
    pqdb_error why = {.offset = -1};
    bool is_exact;
    const struct pq_text schema =
        check->schema == NULL ? PQ_TEXT("") : check->schema->source;
    pq_bytes_init(&text, &check->arena.alloc);
    pqdb_code code = pq_store_read_file(check->store, PQ_DB_SHAPES_FILE, PQ_ROOT_BYTES_MAX, &text,
                                        &why);
    bool follow;
    // Of a database of before, or one whose repair was cut short: an open makes it.
    if (code == PQDB_NOT_FOUND) {
        return check->has_root ? pq_db_check_shapes_follow(check, &follow, err) : PQDB_OK;
    }
    if (code == PQDB_OK) {
        pq_db_check_file(check, PQ_DB_SHAPES_FILE, text.length);
        PQ_TRY(pq_db_check_know(check, PQ_DB_SHAPES_FILE, err));
        code = pq_db_shapes_read(check->store, schema, &check->arena, &check->shapes, &is_exact,
                                 &why);
    }
    if (code == PQDB_OK) return PQDB_OK;
    if (code != PQDB_CORRUPT) {
        if (err != NULL) *err = why;
        return code;
    }
    PQ_TRY(pq_db_check_shapes_follow(check, &follow, err));
    const struct pq_db_found found = {
        .file = PQ_DB_SHAPES_FILE, .part = "tables",
        .act = follow ? PQ_REMEDY_MOVE : PQ_REMEDY_NONE,
        .remedy = follow ? "it follows from the schema, which was never changed"
                         : "the schema has been changed, so ids and columns do not follow from it: "
                           "put the file of a copy there"};
    return pq_db_check_found(check, &found, &why, err);
}

// ---- roots ------------------------------------------------------------------------------------

bool pq_db_check_has_file(struct pq_db_check *check, struct pq_text path) {
    char name[PQ_STORE_PATH_MAX];
    struct pq_file *file = NULL;
    snprintf(name, sizeof name, "%.*s", PQ_TEXT_ARG(path));
    const pqdb_code code = pq_file_open(check->store, name, PQ_OPEN_READ, &file, NULL);
    pq_file_close(file);
    return code == PQDB_OK;
}

/// Files that a root names must not have gone yet.
static bool has_files(struct pq_db_check *check, const struct pq_root *root) {
    for (size_t t = 0; t < root->table_count; t++) {
        for (size_t i = 0; i < root->tables[t].file_count; i++) {
            if (!pq_db_check_has_file(check, root->tables[t].files[i].path)) return false;
        }
    }
    return true;
}

/// Can the database go on from what is there below the damaged newest root?
static const char *instead_of_root(struct pq_db_check *check, bool *possible) {
    *possible = check->has_root ? has_files(check, &check->root) : check->roots.count == 1;
    if (*possible && check->has_root) return "the root before it and the log lead to the same";
    if (*possible) return "the log, if it reaches back to the first commit";
    return "nothing names the data files any more: restore a copy of the database";
}

static pqdb_code check_root(struct pq_db_check *check, size_t index, bool *is_whole,
                            pqdb_error *err) {
    char path[64];
    pqdb_error why = {.offset = -1};
    struct pq_root root = {0};
    const uint64_t version = check->roots.versions[index];
    pq_root_path(version, path);
    PQ_TRY(pq_db_check_know(check, path, err));
    const pqdb_code code = pq_root_read(check->store, version, &check->arena, &root, &why);
    *is_whole = code == PQDB_OK;
    if (code == PQDB_OK) {
        check->checked.roots++;
        pq_db_check_file(check, path, 0);
        if (!check->has_root) {
            check->root = root;
            check->has_root = true;
        } else if (!check->has_older) {
            check->older = root;
            check->has_older = true;
        }
        return PQDB_OK;
    }
    if (code == PQDB_CORRUPT) return PQDB_OK;
    if (err != NULL) *err = why;
    return code;
}

static pqdb_code check_roots(struct pq_db_check *check, pqdb_error *err) {
    PQ_TRY(pq_root_list(check->store, &check->arena, &check->roots, err));
    while (check->roots_below > 0 && check->roots.count > 0 &&
           check->roots.versions[0] >= check->roots_below) {
        check->roots.versions++;
        check->roots.count--;
    }
    bool *whole = pq_arena_calloc(&check->arena, check->roots.count + 1, sizeof *whole);
    if (whole == NULL) return no_memory(err);
    for (size_t i = 0; i < check->roots.count; i++) PQ_TRY(check_root(check, i, &whole[i], err));
    for (size_t i = 0; i < check->roots.count; i++) {
        if (whole[i]) continue;
        char path[64];
        pqdb_error why = {.offset = -1};
        struct pq_root root;
        bool possible = true;
        pq_root_path(check->roots.versions[i], path);
        pq_root_read(check->store, check->roots.versions[i], &check->arena, &root, &why);
        const char *remedy =
            i > 0 ? "a newer root is whole" : instead_of_root(check, &possible);
        const struct pq_db_found found = {
            .file = path, .part = "root", .remedy = remedy, .is_lost = !possible,
            .act = i > 0 ? PQ_REMEDY_MOVE : possible ? PQ_REMEDY_NEW_ROOT : PQ_REMEDY_NONE};
        PQ_TRY(pq_db_check_found(check, &found, &why, err));
    }
    return PQDB_OK;
}

/// What roots name but the walk does not look into: runs of an older root.
static pqdb_code know_root(struct pq_db_check *check, const struct pq_root *root,
                           pqdb_error *err) {
    for (size_t t = 0; t < root->table_count; t++) {
        for (size_t i = 0; i < root->tables[t].file_count; i++) {
            PQ_TRY(pq_db_check_know(check, root->tables[t].files[i].path.data, err));
        }
        for (size_t s = 0; s < root->tables[t].state_count; s++) {
            const struct pq_root_state *state = &root->tables[t].states[s];
            for (size_t i = 0; i < state->run_count; i++) {
                char path[64];
                snprintf(path, sizeof path, PQ_STATE_DIRECTORY "/%020" PRIu64 ".run",
                         state->runs[i].id);
                PQ_TRY(pq_db_check_know(check, path, err));
            }
        }
    }
    return PQDB_OK;
}

static pqdb_code check_tokens(struct pq_db_check *check, pqdb_error *err) {
    const struct pq_db_found found = {
        .part = "tokens", .act = PQ_REMEDY_TOKENS,
        .remedy = "tokens are forgotten: do not repeat a write of before that was acknowledged"};
    for (size_t i = 0; i < check->root.tokens.run_count; i++) {
        PQ_TRY(pq_db_check_run(check, &check->root.tokens.runs[i], &found, err));
    }
    return PQDB_OK;
}

// ---- the log ----------------------------------------------------------------------------------

static pqdb_code found_in_log(struct pq_db_check *check, const struct pq_log_checked *walked,
                              const pqdb_error *why, pqdb_error *err) {
    char remedy[160];
    const bool is_header = why->offset == 0;
    struct pq_db_found found = {.file = why->subject, .part = "log", .remedy = remedy};
    if (is_header) {
        found.act = PQ_REMEDY_HEADER;
        snprintf(remedy, sizeof remedy, "the segment's header follows from its first frame");
    } else if (walked->end.segment == 0) {
        found.is_lost = true;
        snprintf(remedy, sizeof remedy, "restore the file from a copy of the database");
    } else {
        found.act = PQ_REMEDY_CUT_LOG;
        found.is_lost = true;
        check->cut = walked->end;
        snprintf(remedy, sizeof remedy, "commits from seq-%" PRIu64 " on are lost",
                 walked->end.version);
    }
    return pq_db_check_found(check, &found, why, err);
}

static pqdb_code found_in_old_log(struct pq_db_check *check, const struct pq_log_checked *walked,
                                  pqdb_error *err) {
    const pqdb_error *why = &walked->older_damage;
    const bool is_header = why->offset == 0;
    const struct pq_db_found found = {
        .file = why->subject, .part = "log",
        .act = is_header ? PQ_REMEDY_HEADER : PQ_REMEDY_OLD_LOG,
        .remedy = is_header ? "the segment's header follows from its first frame"
                            : "a checkpoint holds these commits; only the history of changes and "
                              "views that lag behind it begin anew"};
    return pq_db_check_found(check, &found, why, err);
}

static pqdb_code check_log(struct pq_db_check *check, pqdb_error *err) {
    const struct pq_log_options options = {
        .store = check->store, .directory = "log", .env = check->with->env, .alloc = check->alloc,
        .from = check->root.position, .read_only = true};
    struct pq_log *log = NULL;
    struct pq_log_checked walked = {0};
    pqdb_error why = {.offset = -1};
    pqdb_code code = pq_log_open(&options, &log, &why);
    if (code == PQDB_OK) code = pq_log_check(log, &walked, &why);
    pq_log_close(log, NULL);
    check->checked.segments = walked.segments;
    check->checked.frames = walked.frames;
    check->checked.commits = walked.commits;
    check->checked.files += walked.segments;
    check->checked.bytes += walked.bytes;
    check->checked.version = check->root.version;
    if (walked.end.version > check->root.version) check->checked.version = walked.end.version - 1;
    if (walked.older_is_damaged) PQ_TRY(found_in_old_log(check, &walked, err));
    if (code == PQDB_CORRUPT || code == PQDB_NOT_FOUND) {
        return found_in_log(check, &walked, &why, err);
    }
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

// ---- what nothing names -----------------------------------------------------------------------

static int by_bytes(const void *a, const void *b) {
    return pq_text_compare(*(const struct pq_text *)a, *(const struct pq_text *)b);
}

static bool is_known(const struct pq_db_check *check, struct pq_text path) {
    return check->known_count > 0 && bsearch(&path, check->known, check->known_count,
                                             sizeof path, by_bytes) != NULL;
}

static pqdb_code count_unnamed(struct pq_db_check *check, const char *directory,
                               pqdb_error *err) {
    struct pq_store_list list;
    const pqdb_code code = pq_store_list(check->store, directory, &check->arena, &list, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    for (size_t i = 0; i < list.count; i++) {
        char path[PQ_STORE_PATH_MAX];
        const int length = snprintf(path, sizeof path, "%s/%.*s", directory,
                                    PQ_TEXT_ARG(list.entries[i].name));
        if (list.entries[i].is_directory || length >= (int)sizeof path) continue;
        if (is_known(check, pq_text_of(path))) continue;
        check->checked.unnamed_files++;
        if (check->options->on_unnamed != NULL) {
            check->options->on_unnamed(check->options->ctx, path, list.entries[i].bytes);
        }
        check->checked.unnamed_bytes += list.entries[i].bytes;
    }
    return PQDB_OK;
}

/// Directories of tables, those of views that are no more too.
static pqdb_code look_for_unnamed(struct pq_db_check *check, const char *below, pqdb_error *err) {
    struct pq_store_list list;
    const pqdb_code code = pq_store_list(check->store, below, &check->arena, &list, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    for (size_t i = 0; i < list.count; i++) {
        const struct pq_text name = list.entries[i].name;
        char path[PQ_STORE_PATH_MAX];
        if (!list.entries[i].is_directory || name.data[0] == '_' || name.length > 500) continue;
        snprintf(path, sizeof path, "%s%s%.*s/data", below, below[0] == '\0' ? "" : "/",
                 PQ_TEXT_ARG(name));
        PQ_TRY(count_unnamed(check, path, err));
        snprintf(path, sizeof path, "%s%s%.*s/metadata", below, below[0] == '\0' ? "" : "/",
                 PQ_TEXT_ARG(name));
        PQ_TRY(count_unnamed(check, path, err));
    }
    return PQDB_OK;
}

static pqdb_code check_unnamed(struct pq_db_check *check, pqdb_error *err) {
    if (check->known_count > 0) {
        qsort(check->known, check->known_count, sizeof *check->known, by_bytes);
    }
    PQ_TRY(count_unnamed(check, PQ_STATE_DIRECTORY, err));
    PQ_TRY(look_for_unnamed(check, "_views", err));
    return look_for_unnamed(check, "", err);
}

// ---- the whole --------------------------------------------------------------------------------

static pqdb_code check_named(struct pq_db_check *check, pqdb_error *err) {
    const char *name = check->options->name;
    bool found = name == NULL;
    for (size_t i = 0; i < check->root.table_count; i++) {
        const struct pq_root_table *table = &check->root.tables[i];
        if (name != NULL && !pq_text_is(table->name, name)) continue;
        found = true;
        PQ_TRY(pq_db_check_table(check, table, err));
        PQ_TRY(pq_db_check_states(check, table, err));
    }
    if (found || (check->schema != NULL && pq_schema_find(check->schema, pq_text_of(name)))) {
        return PQDB_OK;
    }
    pq_fail(err, PQDB_NOT_FOUND, "there is no collection or view %s", name);
    return pq_fail_subject(err, PQDB_NOT_FOUND, pq_text_of(name));
}

static void add_bytes(struct pq_db_check *check, const struct pq_root *root) {
    for (size_t t = 0; t < root->table_count; t++) {
        for (size_t i = 0; i < root->tables[t].file_count; i++) {
            check->bytes_all += root->tables[t].files[i].bytes;
        }
    }
}

static pqdb_code walk_all(struct pq_db_check *check, pqdb_error *err) {
    PQ_TRY(check_schema(check, err));
    PQ_TRY(check_roots(check, err));
    PQ_TRY(check_shapes(check, err));
    add_bytes(check, &check->root);
    PQ_TRY(check_named(check, err));
    if (check->options->name != NULL) return PQDB_OK;
    PQ_TRY(check_tokens(check, err));
    PQ_TRY(check_log(check, err));
    PQ_TRY(know_root(check, &check->older, err));
    return check_unnamed(check, err);
}

pqdb_code pq_db_check_walk(struct pq_db_check *check, pqdb_error *err) {
    PQ_TRY(walk_all(check, err));
    return pq_db_check_step_back(check, err);
}

static void tell(const struct pq_db_check *check) {
    if (check->options->on_damage == NULL) return;
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        check->options->on_damage(check->options->ctx, &d->shown);
    }
}

/// Has a writer gone on meanwhile, so that what was found may be no damage?
static bool has_moved(struct pq_db_check *check) {
    struct pq_roots now;
    if (pq_root_list(check->store, &check->arena, &now, NULL) != PQDB_OK) return false;
    return now.count > 0 &&
           (check->roots.count == 0 || now.versions[0] != check->roots.versions[0]);
}

pqdb_code pq_db_check_with(const struct pq_open_with *with, const pqdb_check_options *options,
                           pqdb_checked *checked, pqdb_error *err) {
    struct pq_db_check check;
    struct pq_lock *lock = NULL;
    pqdb_code code = PQDB_OK;
    bool again = true;
    if (options != NULL && options->repair) {
        PQ_TRY(pq_store_lock(with->store, "lock", &lock, err));
    }
    for (int walk = 0; again; walk++) {
        pq_db_check_init(&check, with, options);
        code = pq_db_check_walk(&check, err);
        // Between its root and its metadata a writer's checkpoint may take files away.
        const bool may_be_late = walk == 0 && lock == NULL && check.has_missing;
        again = code != PQDB_NO_MEMORY && (code != PQDB_OK || check.damages != NULL) &&
                walk < walks_max && (may_be_late || has_moved(&check));
        if (again) pq_db_check_deinit(&check);
    }
    if (code == PQDB_OK && lock != NULL) code = pq_db_repair(&check, &lock, err);
    tell(&check);
    if (code == PQDB_OK) *checked = check.checked;
    pq_store_unlock(lock);
    pq_db_check_deinit(&check);
    return code;
}

pqdb_code pqdb_check(const char *directory, const pqdb_check_options *options,
                     pqdb_checked *checked, pqdb_error *err) {
    char path[PATH_MAX], location[PATH_MAX + 8];
    struct pq_store *store = NULL;
    struct pq_store_list list;
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    bool is_database = realpath(directory, path) != NULL;
    pqdb_code code = PQDB_OK;
    if (is_database) PQ_GO(pq_store_open_fs(path, false, &pq_alloc_libc, &store, err));
    // A database without its schema is still one that can be looked at.
    is_database = is_database &&
                  (pq_store_list(store, PQ_STATE_DIRECTORY, &arena, &list, NULL) == PQDB_OK ||
                   pq_store_list(store, "log", &arena, &list, NULL) == PQDB_OK);
    if (!is_database) {
        pq_fail(err, PQDB_NOT_FOUND, "there is no database here; make one with init");
        code = pq_fail_subject(err, PQDB_NOT_FOUND, pq_text_of(directory));
        goto done;
    }
    snprintf(location, sizeof location, "file://%s", path);
    const struct pq_open_with with = {.store = store, .location = location, .env = &pq_env_system,
                                      .alloc = &pq_alloc_libc, .no_keeper = true};
    code = pq_db_check_with(&with, options, checked, err);
done:
    pq_store_destroy(store);
    pq_arena_deinit(&arena);
    return code;
}
