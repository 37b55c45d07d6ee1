/// db/check_table.c: the files of one table: Parquet, what is beside it, runs of state, metadata.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "db/check_internal.h"
#include "db/checkpoint_internal.h"
#include "db/parquet_internal.h"
#include "table/iceberg/iceberg.h"
#include "table/iceberg/seal.h"
#include "table/id_filter.h"
#include "table/link_file.h"

enum { remedy_bytes = 256 };

/// A walk over one table.
struct walk {
    struct pq_db_check *check;
    const struct pq_root_table *table;
    bool is_view;
    char directory[PQ_STORE_PATH_MAX];
    char rebuilt[remedy_bytes];  // what a view's file or state is rebuilt from
    struct pq_iceberg_outcome orphans;  // has_metadata: what no kept snapshot needs
    bool has_metadata;
    const char *salvaged, *remedy;  // the file that was looked for rows last, and what is said
    bool can_save, loses;
};

static void begin(struct walk *walk, struct pq_db_check *check,
                  const struct pq_root_table *table) {
    *walk = (struct walk){.check = check, .table = table,
                          .is_view = pq_db_check_is_view(check, table->name)};
    pq_db_check_directory(check, table, walk->directory);
    const struct pq_text source = pq_db_check_source(check, table->name);
    snprintf(walk->rebuilt, sizeof walk->rebuilt, "the view is built again from %.*s",
             PQ_TEXT_ARG(source));
}

// ---- runs -------------------------------------------------------------------------------------

static pqdb_code read_run(void *ctx, uint64_t id, uint64_t offset, void *out, size_t length,
                          pqdb_error *err) {
    (void)id;
    return pq_file_read_all(ctx, offset, out, length, err);
}

static pqdb_code walk_run(struct pq_db_check *check, const char *path,
                          const struct pq_run_name *name, pqdb_error *err) {
    struct pq_file *file;
    struct pq_run *run = NULL;
    uint64_t rows;
    PQ_TRY(pq_file_open(check->store, path, PQ_OPEN_READ, &file, err));
    pq_db_check_file(check, path, name->length);
    const struct pq_run_io io = {.read = read_run, .ctx = file};
    pqdb_code code = pq_run_open(&io, name, check->alloc, &run, err);
    if (code == PQDB_OK) code = pq_run_check(run, &rows, err);
    if (code == PQDB_OK) check->checked.run_rows += rows;
    pq_run_unref(run);
    pq_file_close(file);
    return code;
}

pqdb_code pq_db_check_run(struct pq_db_check *check, const struct pq_run_name *name,
                          const struct pq_db_found *found, pqdb_error *err) {
    char path[64];
    pqdb_error why = {.offset = -1};
    pq_db_run_path(name->id, path);
    PQ_TRY(pq_db_check_know(check, path, err));
    check->checked.runs++;
    const pqdb_code code = walk_run(check, path, name, &why);
    if (code == PQDB_OK) return PQDB_OK;
    // One of a newer version is no damage.
    if (!pq_db_is_damage(code) || code == PQDB_UNSUPPORTED) {
        if (err != NULL) *err = why;
        return code;
    }
    struct pq_db_found here = *found;
    here.file = path;
    return pq_db_check_found(check, &here, &why, err);
}

pqdb_code pq_db_check_states(struct pq_db_check *check, const struct pq_root_table *table,
                             pqdb_error *err) {
    struct walk walk;
    begin(&walk, check, table);
    const struct pq_db_found found = {.part = "state", .table = table->name, .id = table->id,
                                      .act = PQ_REMEDY_VIEW, .remedy = walk.rebuilt};
    for (size_t s = 0; s < table->state_count; s++) {
        for (size_t i = 0; i < table->states[s].run_count; i++) {
            PQ_TRY(pq_db_check_run(check, &table->states[s].runs[i], &found, err));
        }
    }
    return PQDB_OK;
}

// ---- data files -------------------------------------------------------------------------------

static const struct pq_root_file *named_file(const struct pq_root_table *table,
                                             struct pq_text path) {
    for (size_t i = 0; i < table->file_count; i++) {
        if (pq_text_equal(table->files[i].path, path)) return &table->files[i];
    }
    return NULL;
}

/// What can be saved of a file of rows that nothing else has, said once for all its damages.
static pqdb_code look_for_rows(struct walk *walk, const char *path, pqdb_error *err) {
    struct pq_db_check *check = walk->check;
    if (walk->salvaged != NULL && strcmp(walk->salvaged, path) == 0) return PQDB_OK;
    struct pq_db_salvage look = {.table = walk->table,
                                 .file = named_file(walk->table, pq_text_of(path))};
    pqdb_error why = {0};
    pq_bytes_init(&look.where, &check->arena.alloc);
    const pqdb_code code = pq_db_salvage(check, &look, &why);
    if (code != PQDB_OK && !pq_db_is_damage(code)) {
        if (err != NULL) *err = why;
        return code;
    }
    struct pq_bytes remedy;
    pq_bytes_init(&remedy, &check->arena.alloc);
    walk->salvaged = pq_arena_copy(&check->arena, pq_text_of(path)).data;
    walk->can_save = code == PQDB_OK && look.saved > 0;
    if (!walk->can_save) {
        PQ_TRY(pq_bytes_printf(&remedy, err, "rows are lost: restore the file from a copy of the "
                               "database"));
    } else if (look.lost == 0) {
        PQ_TRY(pq_bytes_printf(&remedy, err, "all its rows can be read: they go into a new file"));
    } else {
        PQ_TRY(pq_bytes_printf(&remedy, err, "%" PRIu64 " of %" PRIu64 " rows are saved; lost are "
                               "%.*s", look.saved, look.saved + look.lost,
                               PQ_TEXT_ARG(pq_bytes_text(&look.where))));
    }
    PQ_TRY(pq_bytes_append_byte(&remedy, '\0', err));
    walk->remedy = (const char *)remedy.data;
    walk->loses = !walk->can_save || look.lost > 0;
    return PQDB_OK;
}

/// What is said of a data file, wherever in it the damage is.
static pqdb_code found_in_file(struct walk *walk, const char *path, bool is_live,
                               const pqdb_error *why, pqdb_error *err) {
    struct pq_db_found found = {.file = path, .part = "data", .table = walk->table->name,
                                .id = walk->table->id};
    if (!is_live) {
        found.remedy = "only older snapshots or hidden rows: the table is published anew";
        found.act = PQ_REMEDY_METADATA;
    } else if (walk->is_view && !pq_db_check_keeps(walk->check, walk->table->name)) {
        found.remedy = walk->rebuilt;
        found.act = PQ_REMEDY_VIEW;
    } else {
        PQ_TRY(look_for_rows(walk, path, err));
        found.remedy = walk->remedy;
        found.act = walk->can_save ? PQ_REMEDY_SALVAGE : PQ_REMEDY_NONE;
        found.is_lost = walk->loses;
    }
    return pq_db_check_found(walk->check, &found, why, err);
}

struct told {
    struct walk *walk;
    const char *path;
    bool is_live;
    pqdb_code code;
    pqdb_error *err;
};

static void tell_problem(void *ctx, const pqdb_parquet_problem *problem) {
    struct told *told = ctx;
    pqdb_error why = {.offset = problem->offset};
    snprintf(why.message, sizeof why.message, "%s%s%s", problem->column,
             problem->column[0] == '\0' ? "" : ": ", problem->message);
    if (told->code != PQDB_OK) return;
    told->code = found_in_file(told->walk, told->path, told->is_live, &why, told->err);
}

static bool is_among(const struct pq_text *names, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++) {
        if (pq_text_is(names[i], name)) return true;
    }
    return false;
}

static pqdb_code compare_with_root(const pqdb_parquet *file, const struct pq_root_file *named,
                                   pqdb_error *err) {
    if (named == NULL) return PQDB_OK;
    pqdb_parquet_facts facts;
    pqdb_parquet_facts_get(file, &facts);
    if (facts.rows == named->rows && facts.file_bytes == named->bytes) return PQDB_OK;
    return pq_fail(err, PQDB_CORRUPT,
                   "it has %" PRIu64 " rows in %" PRIu64 " bytes, the root says %" PRIu64
                   " in %" PRIu64,
                   facts.rows, facts.file_bytes, named->rows, named->bytes);
}

static pqdb_code check_data_file(struct walk *walk, const char *path, pqdb_error *err) {
    struct pq_db_check *check = walk->check;
    const struct pq_root_file *named = named_file(walk->table, pq_text_of(path));
    struct told told = {.walk = walk, .path = path, .is_live = named != NULL, .err = err};
    pqdb_error why = {.offset = -1};
    pqdb_parquet *file = NULL;
    pqdb_parquet_checked found = {0};
    PQ_TRY(pq_db_check_know(check, path, err));
    check->checked.data_files++;
    pqdb_code code = pq_db_parquet_open_in(check->store, path, check->alloc, &file, &why);
    if (code == PQDB_OK) {
        pq_db_check_file(check, path, file->file_bytes);
        code = compare_with_root(file, named, &why);
    }
    if (code == PQDB_OK) {
        code = pqdb_parquet_check(file, tell_problem, &told, &found, err);
        if (code == PQDB_OK) code = told.code;
        check->checked.pages += found.pages;
        check->checked.values += found.values;
        pqdb_parquet_close(file);
        return code;
    }
    pqdb_parquet_close(file);
    if (pq_db_is_damage(code)) return found_in_file(walk, path, told.is_live, &why, err);
    if (err != NULL) *err = why;
    return code;
}

// ---- beside data files ------------------------------------------------------------------------

static bool ends_with(struct pq_text text, const char *ending) {
    const size_t length = strlen(ending);
    return text.length > length &&
           memcmp(text.data + text.length - length, ending, length) == 0;
}

static bool is_unfinished(struct pq_text name) {
    return ends_with(name, ".tmp") || ends_with(name, ".new");
}

/// The path of the data file that a file belongs to by its name; "" when by none.
static struct pq_text data_file_of(const char *path) {
    const char *end = strstr(path, ".parquet.");
    return (struct pq_text){path, end == NULL ? 0 : (size_t)(end - path) + strlen(".parquet")};
}

static pqdb_code check_side_file(struct walk *walk, const char *path, uint64_t rows,
                                 pqdb_error *err) {
    struct pq_db_check *check = walk->check;
    const bool is_ids = ends_with(pq_text_of(path), ".ids");
    pqdb_error why = {.offset = -1};
    const pqdb_code code =
        is_ids ? pq_id_filter_check(check->store, path, rows, check->alloc, &why)
               : pq_link_file_check(check->store, path, check->alloc, &why);
    if (code == PQDB_OK) return PQDB_OK;
    if (!pq_db_is_damage(code)) {
        if (err != NULL) *err = why;
        return code;
    }
    const struct pq_db_found found = {
        .file = path, .part = is_ids ? "ids" : "links", .table = walk->table->name,
        .id = walk->table->id, .act = PQ_REMEDY_MOVE,
        .remedy = "it is made again from its data file"};
    return pq_db_check_found(check, &found, &why, err);
}

// ---- metadata ---------------------------------------------------------------------------------

static pqdb_code found_in_metadata(struct walk *walk, const pqdb_error *why, pqdb_error *err) {
    // The same file is read as what it is, and as bytes.
    for (const struct pq_db_damage *d = walk->check->damages; d != NULL; d = d->next) {
        if (strcmp(d->shown.file, why->subject) == 0) return PQDB_OK;
    }
    char room[PQ_STORE_PATH_MAX];
    snprintf(room, sizeof room, "%.900s/metadata", walk->directory);
    const bool is_named = why->subject[0] != '\0';
    const struct pq_db_found found = {
        .file = is_named ? why->subject : room, .part = "metadata", .table = walk->table->name,
        .id = walk->table->id, .act = PQ_REMEDY_METADATA,
        .remedy = "the table is published again from the root"};
    return pq_db_check_found(walk->check, &found, why, err);
}

/// Rows that other engines see, against those of the root, when both are at the same commit.
static pqdb_code compare_rows(struct walk *walk, const struct pq_iceberg *iceberg,
                              const struct pq_iceberg_view *view, pqdb_error *err) {
    uint64_t version, live = 0;
    const struct pq_root_table *table = walk->table;
    if (!pq_iceberg_version(iceberg, &version) || table->carried.length > 0) return PQDB_OK;
    if (version < table->version || version > walk->check->root.version) return PQDB_OK;
    for (size_t i = 0; i < table->file_count; i++) {
        live += table->files[i].rows;
        for (size_t k = 0; k < table->files[i].dead.length; k++) {
            live -= (uint64_t)__builtin_popcount((unsigned char)table->files[i].dead.data[k]);
        }
    }
    int64_t shown = 0;
    for (size_t i = 0; i < view->file_count; i++) {
        const bool hides = view->files[i].content == PQ_ICEBERG_POSITION_DELETES;
        shown += hides ? -view->files[i].row_count : view->files[i].row_count;
    }
    if (shown == (int64_t)live) return PQDB_OK;
    return pq_fail(err, PQDB_CORRUPT, "its metadata shows %" PRId64 " rows, the root %" PRIu64,
                   shown, live);
}

/// Files that other engines would look for.
static pqdb_code find_shown(struct walk *walk, const struct pq_iceberg_view *view,
                            pqdb_error *err) {
    for (size_t i = 0; i < view->file_count; i++) {
        char path[PQ_STORE_PATH_MAX];
        struct pq_file *file = NULL;
        const struct pq_text name = view->files[i].path;
        if (name.data[0] == '/') continue;  // of another place
        snprintf(path, sizeof path, "%.500s/%.*s", walk->directory, PQ_TEXT_ARG(name));
        const pqdb_code code = pq_file_open(walk->check->store, path, PQ_OPEN_READ, &file, err);
        pq_file_close(file);
        if (code == PQDB_NOT_FOUND) {
            return pq_fail(err, PQDB_CORRUPT, "its metadata names %s, which is missing", path);
        }
        PQ_TRY(code);
    }
    return PQDB_OK;
}

static pqdb_code read_metadata(struct walk *walk, struct pq_iceberg **iceberg, pqdb_error *err) {
    struct pq_db_check *check = walk->check;
    struct pq_iceberg_view view;
    PQ_TRY(pq_iceberg_open(check->store, pq_text_of(walk->directory), check->with->env,
                           check->alloc, iceberg, err));
    const pqdb_code code = pq_iceberg_load(*iceberg, &check->arena, &view, err);
    if (code == PQDB_NOT_FOUND && walk->table->published > 0) {
        return pq_fail(err, PQDB_CORRUPT, "the table was published and has no metadata");
    }
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    PQ_TRY(pq_iceberg_find_orphans(*iceberg, &check->arena, &walk->orphans, err));
    PQ_TRY(compare_rows(walk, *iceberg, &view, err));
    PQ_TRY(find_shown(walk, &view, err));
    walk->has_metadata = true;
    return PQDB_OK;
}

/// version-hint.text must name the newest metadata: other readers begin there.
static pqdb_code check_hint(struct walk *walk, pqdb_error *err) {
    char path[PQ_STORE_PATH_MAX], wanted[24];
    struct pq_bytes hint;
    pqdb_error why = {.offset = 0};
    pq_bytes_init(&hint, &walk->check->arena.alloc);
    snprintf(path, sizeof path, "%.900s/metadata/version-hint.text", walk->directory);
    snprintf(wanted, sizeof wanted, "%" PRIu64, walk->orphans.metadata_number);
    pqdb_code code = pq_store_read_file(walk->check->store, path, 64, &hint, &why);
    if (code == PQDB_OK && pq_text_is(pq_bytes_text(&hint), wanted)) return PQDB_OK;
    if (code != PQDB_OK && !pq_db_is_damage(code)) {
        if (err != NULL) *err = why;
        return code;
    }
    pq_fail(&why, PQDB_CORRUPT, "it does not name the newest metadata, %s", wanted);
    why.offset = 0;
    const struct pq_db_found found = {.file = path, .part = "metadata",
                                      .table = walk->table->name, .id = walk->table->id,
                                      .act = PQ_REMEDY_HINT,
                                      .remedy = "it follows from the metadata beside it"};
    return pq_db_check_found(walk->check, &found, &why, err);
}

/// Manifests, lists and metadata carry a checksum of themselves.
static pqdb_code check_seal(struct walk *walk, const char *path, pqdb_error *err) {
    const struct pq_text name = pq_text_of(strrchr(path, '/') + 1);
    const bool is_ours = (name.data[0] == 'v' && ends_with(name, ".metadata.json")) ||
                         (ends_with(name, ".avro") &&
                          (pq_text_starts_with(name, PQ_TEXT("snap-")) ||
                           pq_text_starts_with(name, PQ_TEXT("manifest-"))));
    if (!is_ours) return PQDB_OK;
    struct pq_bytes bytes;
    pqdb_error why = {.offset = 0};
    pq_bytes_init(&bytes, walk->check->alloc);
    pqdb_code code = pq_store_read_file(walk->check->store, path, 1 << 30, &bytes, &why);
    const enum pq_seal_state state =
        code == PQDB_OK ? pq_seal_look(pq_bytes_text(&bytes)) : PQ_SEAL_WHOLE;
    pq_bytes_deinit(&bytes);
    if (code == PQDB_OK && state != PQ_SEAL_WHOLE) {
        code = pq_store_fail_at(&why, PQDB_CORRUPT, path, 0, "its checksum is %s",
                                state == PQ_SEAL_NONE ? "missing" : "wrong");
    }
    if (code == PQDB_OK) return PQDB_OK;
    if (pq_db_is_damage(code)) return found_in_metadata(walk, &why, err);
    if (err != NULL) *err = why;
    return code;
}

static pqdb_code list_metadata(struct walk *walk, pqdb_error *err) {
    struct pq_db_check *check = walk->check;
    struct pq_store_list list;
    char path[PQ_STORE_PATH_MAX], directory[PQ_STORE_PATH_MAX];
    snprintf(directory, sizeof directory, "%.900s/metadata", walk->directory);
    const pqdb_code code = pq_store_list(check->store, directory, &check->arena, &list, err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    PQ_TRY(code);
    for (size_t i = 0; i < list.count; i++) {
        snprintf(path, sizeof path, "metadata/%.*s", PQ_TEXT_ARG(list.entries[i].name));
        if (is_among(walk->orphans.unneeded, walk->orphans.unneeded_count, path)) continue;
        if (is_unfinished(list.entries[i].name)) continue;
        snprintf(path, sizeof path, "%.600s/%.*s", directory,
                 PQ_TEXT_ARG(list.entries[i].name));
        PQ_TRY(pq_db_check_know(check, path, err));
        pq_db_check_file(check, path, list.entries[i].bytes);
        check->checked.metadata_files++;
        PQ_TRY(check_seal(walk, path, err));
    }
    return PQDB_OK;
}

// ---- the table --------------------------------------------------------------------------------

/// One of the directory `data`: a data file that the root names or a kept snapshot of the metadata
/// needs, or something beside one.
static pqdb_code check_in_data(struct walk *walk, const struct pq_store_entry *entry,
                               pqdb_error *err) {
    char path[PQ_STORE_PATH_MAX], relative[PQ_STORE_PATH_MAX];
    const bool is_data = ends_with(entry->name, ".parquet");
    snprintf(path, sizeof path, "%.600s/data/%.*s", walk->directory, PQ_TEXT_ARG(entry->name));
    const struct pq_text file = is_data ? pq_text_of(path) : data_file_of(path);
    if (file.length == 0 || is_unfinished(entry->name)) return PQDB_OK;
    const size_t above = strlen(walk->directory) + 1;
    snprintf(relative, sizeof relative, "%.*s", (int)(file.length - above), file.data + above);
    const struct pq_root_file *named = named_file(walk->table, file);
    const bool is_shown = walk->has_metadata && !is_among(walk->orphans.released,
                                                          walk->orphans.released_count, relative);
    if (named == NULL && !is_shown) return PQDB_OK;
    if (is_data) return check_data_file(walk, path, err);
    if (named == NULL && !pq_db_check_has_file(walk->check, file)) return PQDB_OK;
    PQ_TRY(pq_db_check_know(walk->check, path, err));
    pq_db_check_file(walk->check, path, entry->bytes);
    walk->check->checked.side_files++;
    return check_side_file(walk, path, named == NULL ? PQ_ID_FILTER_ANY : named->rows, err);
}

static pqdb_code list_data(struct walk *walk, pqdb_error *err) {
    struct pq_store_list list = {0};
    char directory[PQ_STORE_PATH_MAX];
    snprintf(directory, sizeof directory, "%.900s/data", walk->directory);
    const pqdb_code code =
        pq_store_list(walk->check->store, directory, &walk->check->arena, &list, err);
    if (code != PQDB_NOT_FOUND) PQ_TRY(code);
    for (size_t i = 0; i < list.count; i++) PQ_TRY(check_in_data(walk, &list.entries[i], err));
    return PQDB_OK;
}

static pqdb_code find_missing(struct walk *walk, pqdb_error *err) {
    for (size_t i = 0; i < walk->table->file_count; i++) {
        const char *path = walk->table->files[i].path.data;
        struct pq_file *file = NULL;
        const pqdb_code code = pq_file_open(walk->check->store, path, PQ_OPEN_READ, &file, err);
        pq_file_close(file);
        if (code == PQDB_OK) continue;
        if (code != PQDB_NOT_FOUND) return code;
        pqdb_error why = {.offset = -1};
        pq_fail(&why, PQDB_NOT_FOUND, "the file is missing");
        PQ_TRY(found_in_file(walk, path, true, &why, err));
    }
    return PQDB_OK;
}

pqdb_code pq_db_check_table(struct pq_db_check *check, const struct pq_root_table *table,
                            pqdb_error *err) {
    struct walk walk;
    struct pq_iceberg *iceberg = NULL;
    pqdb_error why = {.offset = -1};
    begin(&walk, check, table);
    const pqdb_code code = read_metadata(&walk, &iceberg, &why);
    pq_iceberg_close(iceberg);
    if (code != PQDB_OK && !pq_db_is_damage(code)) {
        if (err != NULL) *err = why;
        return code;
    }
    if (code != PQDB_OK) PQ_TRY(found_in_metadata(&walk, &why, err));
    if (walk.has_metadata) PQ_TRY(check_hint(&walk, err));
    PQ_TRY(list_metadata(&walk, err));
    PQ_TRY(find_missing(&walk, err));
    return list_data(&walk, err);
}
