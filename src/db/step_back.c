/// db/step_back.c: rows of a damaged data file that no other file has may still be in the log. Then
/// nothing is lost: the newest root goes aside and the database is opened from the root before it,
/// whose files are whole, or from the log alone where that reaches back to the first commit.
#include "base/fail.h"
#include "changelog/log.h"
#include "db/check_internal.h"

static const char from_older[] =
    "nothing is lost: the root before the newest and the log lead to the same";
static const char from_log[] =
    "nothing is lost: the log, which reaches back to the first commit, leads to the same";

static bool loses_rows(const struct pq_db_damage *damage) {
    return damage->shown.is_lost && pq_text_is(pq_text_of(damage->shown.part), "data");
}

/// Loses nothing but what a step back would bring again?
static bool is_worth_it(const struct pq_db_check *check) {
    bool has_lost = false;
    for (const struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        if (d->shown.is_lost && !loses_rows(d)) return false;
        has_lost = has_lost || d->shown.is_lost;
    }
    return has_lost && check->has_root && check->schema != NULL && check->shapes.count > 0;
}

/// The log alone makes collections, and views that follow from them, as long as the schema was
/// never changed.
static pqdb_code is_all_in_log(struct pq_db_check *check, bool *is, pqdb_error *err) {
    const struct pq_log_options options = {
        .store = check->store, .directory = "log", .env = check->with->env, .alloc = check->alloc,
        .read_only = true};
    for (size_t i = 0; i < check->schema->entry_count; i++) {
        *is = *is && !pq_db_check_keeps(check, check->schema->entries[i].name);
    }
    if (!*is) return PQDB_OK;
    struct pq_log *log = NULL;
    const pqdb_code code = pq_log_open(&options, &log, err);
    *is = code == PQDB_OK && pq_log_first_version(log) == 1;
    pq_log_close(log, NULL);
    if (code != PQDB_OK && !pq_db_is_damage(code)) return code;
    return *is ? pq_db_check_shapes_follow(check, is, err) : PQDB_OK;
}

/// Is all whole that an open would begin from, were there only the roots before this version?
static pqdb_code try_below(struct pq_db_check *check, uint64_t version, const char **remedy,
                           pqdb_error *err) {
    struct pq_db_check below;
    pqdb_check_options options = *check->options;
    options.name = NULL;
    options.on_progress = NULL;
    options.on_unnamed = NULL;
    pq_db_check_init(&below, check->with, &options);
    below.roots_below = version;
    pqdb_error why = {0};
    pqdb_code code = pq_db_check_walk(&below, &why);
    bool is_whole = code == PQDB_OK;
    for (const struct pq_db_damage *d = below.damages; d != NULL; d = d->next) {
        is_whole = is_whole && !d->shown.is_lost && d->remedy != PQ_REMEDY_NONE;
    }
    if (is_whole && !below.has_root) code = is_all_in_log(&below, &is_whole, &why);
    if (code == PQDB_OK && is_whole) *remedy = below.has_root ? from_older : from_log;
    pq_db_check_deinit(&below);
    if (code == PQDB_OK || pq_db_is_damage(code)) return PQDB_OK;
    if (err != NULL) *err = why;
    return code;
}

pqdb_code pq_db_check_step_back(struct pq_db_check *check, pqdb_error *err) {
    const char *remedy = NULL;
    if (check->roots_below > 0 || !is_worth_it(check)) return PQDB_OK;
    uint64_t below = check->root.version;
    PQ_TRY(try_below(check, below, &remedy, err));
    if (remedy == NULL && check->has_older) PQ_TRY(try_below(check, below = 1, &remedy, err));
    if (remedy == NULL) return PQDB_OK;
    check->step_back_to = below;
    for (struct pq_db_damage *d = check->damages; d != NULL; d = d->next) {
        if (!loses_rows(d)) continue;
        d->remedy = PQ_REMEDY_STEP_BACK;
        d->shown.remedy = remedy;
        d->shown.is_lost = false;
        check->checked.lost--;
    }
    return PQDB_OK;
}
