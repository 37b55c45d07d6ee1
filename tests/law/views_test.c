/// Law: whatever the collections, the views, the writes, how they are split into commits, and
/// wherever the database is closed, loses its power or makes a checkpoint, every view equals its
/// recomputation bit for bit (view verify) and what a naive evaluator without any code of ours
/// says, as printed JSON; find and count agree.
///
/// A world is a seed: its schema and its steps follow from it. A failure is cut down to the steps
/// and views it needs and printed with its seed. Everyday worlds are the same each time;
/// PQ_LAW_SEED=n runs one world alone,
/// PQ_LAW_SECONDS=n draws new ones for so long.
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "db/view_internal.h"
#include "support/law_world.h"
#include "support/test.h"
#include "type/schema_edit.h"

enum { seconds = 40, worlds_everyday = 48 };

static pqdb_error err;

// ---- steps ------------------------------------------------------------------------------------

/// An id that is free: the pool is small, so that ids that were deleted come back. Or any id.
static const char *pick_id(struct world *w, const struct naive_table *table, bool is_free) {
    const uint64_t pool = table->is_stream ? 4000 : 40;
    for (int attempt = 0; attempt < 200; attempt++) {
        const char *id = naive_text("k%02d", (int)world_roll(w, pool));
        if (!is_free || naive_row_find(table, id) == NULL) return id;
    }
    return NULL;
}

/// A list of rows with ids of their own, or (`repeats`) whatever ids come.
static const char *say_rows(struct world *w, const struct naive_table *table, int count,
                            enum naive_conflict conflict) {
    const struct law_scope scope = world_scope(w);
    const char *ids[400];
    int made = 0;
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    law_say(&out, "[");
    for (int i = 0; i < count && (w->cut->rows_max == 0 || i < w->cut->rows_max); i++) {
        const char *id = pick_id(w, table, conflict == NAIVE_REFUSE);
        bool is_new = id != NULL;
        for (int k = 0; k < made && conflict != NAIVE_IGNORE; k++) {
            is_new = is_new && strcmp(ids[k], id) != 0;
        }
        if (!is_new) continue;
        law_say(&out, "%s{\"$id\":\"%s\"", made > 0 ? ",\n" : "", id);
        law_fields(&scope, table, &out);
        law_say(&out, "}");
        ids[made++] = id;
    }
    law_say(&out, "]");
    return made == 0 ? NULL : law_text(&out);
}

static void feed(struct world *w, const struct naive_table *table, const char *text,
                 pqdb_written *written) {
    pqdb_ingest *ingest;
    const size_t length = strlen(text);
    WORLD_MUST(w, pqdb_ingest_open(w->db, table->name, NULL, &ingest, &err), "ingest");
    for (size_t used = 0; used < length && !w->failed;) {
        size_t piece = 1 + world_roll(w, 2000);
        if (piece > length - used) piece = length - used;
        WORLD_MUST(w, pqdb_ingest_feed(ingest, text + used, piece, &err), "ingest");
        used += piece;
    }
    if (!w->failed) WORLD_MUST(w, pqdb_ingest_finish(ingest, written, &err), "ingest");
    pqdb_ingest_close(ingest);
}

/// A known token changes nothing, not even after the database was opened again.
static void repeat(struct world *w, const struct naive_table *table, const char *text,
                   const pqdb_write_options *options) {
    pqdb_written written = {0};
    if (world_roll(w, 3) == 0) world_reopen(w);
    if (w->failed) return;
    WORLD_MUST(w, pqdb_create(w->db, table->name, text, strlen(text), options, &written, &err),
               "repeat");
    if (!written.repeated) world_fail(w, "a token was not known any more");
}

static void create(struct world *w, struct naive_table *table) {
    static const int sizes[] = {1, 2, 5, 12, 300};
    const int kind = (int)world_roll(w, table->is_stream ? 5 : 4);
    if (table->row_count > 300) return;
    const int count = 1 + (int)world_roll(w, (uint64_t)sizes[kind]);
    const char *text = say_rows(w, table, count, NAIVE_REFUSE);
    if (text == NULL) return;
    world_tell("create", table->name, text);
    const struct pq_json *list = law_parse(text);
    pqdb_written written = {0};
    const char *token = naive_text("token-%" PRIu64, w->stream);
    const pqdb_write_options options = {.token = world_roll(w, 3) == 0 ? token : NULL};
    if (world_roll(w, 2) == 0) {
        WORLD_MUST(w, pqdb_create(w->db, table->name, text, strlen(text), &options, &written, &err),
             "create");
        if (options.token != NULL) repeat(w, table, text, &options);
    } else {
        feed(w, table, text, &written);
    }
    if (written.accepted != pq_json_count(list)) {
        world_fail(w, "%" PRIu64 " of %zu rows accepted", written.accepted, pq_json_count(list));
    }
    naive_create(&w->naive, table, list, NAIVE_REFUSE);
    world_follow(w, written.version);
}

/// Ids that may be there: the batch is refused, or they are ignored or replaced.
static void create_again(struct world *w, struct naive_table *table) {
    static const char *const names[] = {NULL, "ignore", "replace"};
    if (table->is_stream) return;
    const enum naive_conflict conflict = (enum naive_conflict)world_roll(w, 3);
    const char *text = say_rows(w, table, 1 + (int)world_roll(w, 8),
                                conflict == NAIVE_REFUSE ? NAIVE_REPLACE : conflict);
    if (text == NULL) return;
    world_tell(conflict == NAIVE_REFUSE ? "create" : names[conflict], table->name, text);
    const pqdb_write_options options = {.on_conflict = names[conflict]};
    const bool taken = naive_create(&w->naive, table, law_parse(text), conflict);
    pqdb_written written = {0};
    const pqdb_code code =
        pqdb_create(w->db, table->name, text, strlen(text), &options, &written, &err);
    if (taken) WORLD_MUST(w, code, "create");
    if (taken) world_follow(w, written.version);
    if (!taken && code != PQDB_CONFLICT) world_fail(w, "a live id was not refused: %d", (int)code);
}

/// Which rows: one by its id, those of a filter, or all.
static const char *say_where(struct world *w, const struct naive_table *table) {
    struct law_scope scope = world_scope(w);
    scope.may_expand = false;  // what changes rows leads through no relation
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    const uint64_t kind = world_roll(w, 8);
    if (kind == 0) return "{}";
    if (kind < 5 && table->row_count > 0) {
        const uint64_t at = world_roll(w, (uint64_t)table->row_count);
        return naive_text("{ $id: '%s' }", table->rows[at].id);
    }
    law_filter(&scope, table, 1, &out);
    return law_text(&out);
}

static void update(struct world *w, struct naive_table *table) {
    const struct law_scope scope = world_scope(w);
    const char *where = say_where(w, table);
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    law_operators(&scope, table, &out);
    const char *ops = law_text(&out);
    world_tell(naive_text("update %s", where), table->name, ops);
    pqdb_written written = {0};
    const pqdb_edit edit = {where, ops};
    WORLD_MUST(w, pqdb_update(w->db, table->name, &edit, NULL, &written, &err), "update");
    const int changed = naive_update(&w->naive, table, law_parse(where), law_parse(ops));
    world_follow(w, written.version);
    if ((int)written.changed != changed) {
        world_fail(w, "%" PRIu64 " rows changed, not %d", written.changed, changed);
    }
}

/// Optimistic locking: another version than the row's is a conflict, and nothing changes.
static void update_expected(struct world *w, struct naive_table *table) {
    if (table->row_count == 0) return;
    const struct law_scope scope = world_scope(w);
    const struct naive_row *row = &table->rows[world_roll(w, (uint64_t)table->row_count)];
    const bool wrong = world_roll(w, 2) == 0;
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    law_operators(&scope, table, &out);
    const char *where = naive_text("{ $id: '%s' }", row->id), *ops = law_text(&out);
    const pqdb_write_options options = {.expected_version = (uint64_t)(row->version + wrong)};
    const pqdb_edit edit = {where, ops};
    world_tell(naive_text("update version %d %s", row->version + wrong, where), table->name, ops);
    const pqdb_code code = pqdb_update(w->db, table->name, &edit, &options, NULL, &err);
    if (wrong && code != PQDB_CONFLICT) {
        world_fail(w, "another version was not refused: %d", (int)code);
    }
    if (wrong) return;
    WORLD_MUST(w, code, "update");
    naive_update(&w->naive, table, law_parse(where), law_parse(ops));
    world_follow(w, 0);
}

static void upsert(struct world *w, struct naive_table *table) {
    const struct law_scope scope = world_scope(w);
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    law_operators(&scope, table, &out);
    const char *where = naive_text("{ $id: '%s' }", pick_id(w, table, false));
    const char *ops = law_text(&out);
    world_tell(naive_text("upsert %s", where), table->name, ops);
    const pqdb_edit edit = {where, ops};
    pqdb_written written = {0};
    WORLD_MUST(w, pqdb_upsert(w->db, table->name, &edit, NULL, &written, &err), "upsert");
    naive_upsert(&w->naive, table, law_parse(where), law_parse(ops));
    world_follow(w, written.version);
}

static void delete(struct world *w, struct naive_table *table) {
    const char *where = say_where(w, table);
    world_tell("delete", table->name, where);
    pqdb_written written = {0};
    WORLD_MUST(w, pqdb_delete(w->db, table->name, where, NULL, &written, &err), "delete");
    const int removed = naive_delete(&w->naive, table, law_parse(where));
    world_follow(w, written.version);
    if ((int)written.removed != removed) {
        world_fail(w, "%" PRIu64 " rows removed, not %d", written.removed, removed);
    }
}

static void write_rows(struct world *w) {
    struct naive_table *table = &w->naive.tables[world_roll(w, (uint64_t)w->collections)];
    const uint64_t what = world_roll(w, 11);
    if (what < 4) create(w, table);
    else if (what < 5) create_again(w, table);
    else if (what < 7) update(w, table);
    else if (what < 8) update_expected(w, table);
    else if (what < 9) upsert(w, table);
    else delete(w, table);
}

/// A view on a database that has rows; its definition may name any table.
static void create_view(struct world *w) {
    const int at = w->naive.table_count;
    if (at == NAIVE_TABLES) return;
    world_compute(w);
    const char *text = world_define_view(w), *name = w->naive.tables[at].name;
    if (w->modes[at] != STREAMING) naive_keep(&w->naive.tables[at]);
    if (w->cut->views[at]) return;
    world_tell("view create", name, text);
    WORLD_MUST(w, pqdb_view_create(w->db, name, text, NULL, NULL, &err), "view create");
    if (w->appends[at] && w->modes[at] != MANUAL) world_append(w, at, world_version(w));
    if (w->modes[at] != MANUAL) world_shows_now(w, at);
}

/// A view that no other is on.
static void drop_view(struct world *w, int t) {
    const char *name = w->naive.tables[t].name;
    for (int i = w->collections; i < w->naive.table_count; i++) {
        const bool is_on_it = strcmp(w->naive.tables[i].from, name) == 0;
        if (is_on_it && !w->dropped[i]) return;
    }
    if (world_lacks(w, t)) return;
    w->dropped[t] = true;
    world_tell("view drop", name, "");
    WORLD_MUST(w, pqdb_view_drop(w->db, name, false, &err), "view drop");
}

/// Does a view append, or keep, what comes of it?
static bool feeds_rows(const struct world *w, int t) {
    for (int i = w->collections; i < w->naive.table_count; i++) {
        const struct naive_table *at = &w->naive.tables[i];
        for (; (w->appends[i] || w->keeps[i]) && !world_lacks(w, i) && !at->is_collection;
             at = naive_db_find(&w->naive, at->from)) {
            if (at != &w->naive.tables[i] && at == &w->naive.tables[t]) return true;
        }
    }
    return false;
}

/// Another mode: what goes on lagging stays as it is, unless it is scheduled and has no contents.
static void alter_mode(struct world *w, int t) {
    static const char *const settings[] = {
        "{ mode: 'streaming', schedule: null, gracePeriod: null }",
        "{ mode: 'scheduled', schedule: '0 * * * *' }", "{ mode: 'manual', schedule: null }"};
    const char *name = w->naive.tables[t].name;
    const enum mode was = w->modes[t], is = (enum mode)((was + 1 + world_roll(w, 2)) % 3);
    world_tell("view alter", name, settings[is]);
    world_compute(w);
    WORLD_MUST(w, pqdb_view_alter(w->db, name, settings[is], NULL, NULL, &err), name);
    world_counts.alters++;
    if (was == STREAMING) naive_keep(&w->naive.tables[t]);
    if (was == STREAMING) world_shows_now(w, t);
    const bool is_built = is == STREAMING || (is == SCHEDULED && !w->has_contents[t]);
    w->modes[t] = is;
    if (is == STREAMING) w->grace_us[t] = -1;
    if (!is_built) return;
    if (w->appends[t]) {
        world_append(w, t, world_version(w));
        world_shows_now(w, t);
    } else if (is == STREAMING) {
        world_settle(w, t);
        world_shows_now(w, t);
    } else {
        world_refreshed(w, t);
    }
    naive_use(&w->memory);
}

/// Another collection beside everything, or another mode of a view: all else is as it was.
static void change_schema(struct world *w, int t) {
    const char *name = w->naive.tables[t].name;
    const bool alters = world_roll(w, 2) == 0 && !world_lacks(w, t);
    if (alters && feeds_rows(w, t)) return;
    struct pq_schema_place place;
    struct pq_bytes next;
    pq_bytes_init(&next, &w->memory.alloc);
    if (alters) {
        alter_mode(w, t);
        return;
    }
    world_tell("schema apply", name, "");
    world_compute(w);
    const char *other = naive_text("Z%llu", (unsigned long long)w->stream);
    WORLD_MUST(w, pq_schema_text_add(pq_text_of(pqdb_schema_text(w->db, NULL)), pq_text_of(other),
                               PQ_TEXT("{ z: 'int' }"), &next, &place, &err), "another text");
    WORLD_MUST(w, pqdb_schema_apply(w->db, (const char *)next.data, next.length, NULL, NULL, &err),
         "schema apply");
}

/// Is the view at or above `t`?
static bool is_over(const struct world *w, int at, int t) {
    const struct naive_table *table = &w->naive.tables[at];
    while (table != &w->naive.tables[t] && !table->is_collection) {
        table = naive_db_find(&w->naive, table->from);
    }
    return table == &w->naive.tables[t];
}

/// Another filter for rows that come straight from the source; where nobody waits for a refresh.
static bool may_change_filter(const struct world *w, int t) {
    const struct pq_json *view = w->naive.tables[t].view;
    for (int i = w->collections; i < w->naive.table_count; i++) {
        if (world_lacks(w, i) || !is_over(w, i, t)) continue;
        if (w->modes[i] == MANUAL || w->appends[i] || w->keeps[i]) return false;
    }
    return !world_lacks(w, t) && pq_json_find(view, "$expand") == NULL &&
           pq_json_find(view, "$unnest") == NULL;
}

/// The definition changes: the view, and those on it, are built anew.
static void change_filter(struct world *w, int t) {
    struct naive_table *table = &w->naive.tables[t];
    const struct law_scope scope = world_scope(w);
    if (!may_change_filter(w, t)) return;
    world_compute(w);
    struct pq_bytes filter, text;
    pq_bytes_init(&filter, &w->memory.alloc);
    pq_bytes_init(&text, &w->memory.alloc);
    law_filter(&scope, naive_db_find(&w->naive, table->from), 2, &filter);
    const char *settings = naive_text("{ $filter: %s }", law_text(&filter));
    world_tell("view alter", table->name, settings);
    WORLD_MUST(w, pqdb_view_alter(w->db, table->name, settings, NULL, NULL, &err), table->name);
    world_counts.alters++;
    law_say(&text, "{");
    const struct pq_json *key = pq_json_first(table->view);
    for (size_t i = pq_json_count(table->view); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
        if (pq_text_is(pq_json_text(key), "$filter")) continue;
        law_say(&text, "\"%s\": ", pq_json_text(key).data);
        pq_json_write(&text, pq_json_next(key), NULL);
        law_say(&text, ", ");
    }
    law_say(&text, "$filter: %s }", law_text(&filter));
    table->view = law_parse(law_text(&text));
    for (int i = t; i < w->naive.table_count; i++) {
        if (world_lacks(w, i) || !is_over(w, i, t)) continue;
        naive_view_eval(&w->naive, &w->naive.tables[i]);
        naive_keep(&w->naive.tables[i]);
        if (w->modes[i] != STREAMING) world_shows_now(w, i);
    }
}

static void step(struct world *w) {
    const uint64_t what = world_roll(w, 22);
    const int view = w->collections +
                     (int)world_roll(w, (uint64_t)(w->naive.table_count - w->collections));
    if (what < 10) {
        write_rows(w);
    } else if (what < 12) {
        // A streaming view is fresh unless something below it lags.
        if (w->modes[view] != STREAMING && !world_lacks(w, view)) world_refresh(w, view);
    } else if (what < 14) {
        world_tell("checkpoint", "", "");
        // As in the background: views that have failed, and state that is missing.
        if (world_roll(w, 2) == 0) pq_db_build_due(w->db);
        world_retain(w);
        WORLD_MUST(w, pqdb_checkpoint(w->db, &err), "checkpoint");
        world_counts.checkpoints++;
    } else if (what == 14) {
        create_view(w);
    } else if (what == 15) {
        drop_view(w, view);
    } else if (what == 18) {
        change_schema(w, view);
    } else if (what == 19) {
        change_filter(w, view);
    } else if (what > 19) {
        world_pass_time(w);
    } else if (what == 16 || w->disk == NULL) {
        world_reopen(w);
    } else {
        world_lose_power(w);
    }
}

/// Does it read a view that keeps and lags? What that one keeps nothing but a refresh can tell it.
static bool is_over_kept_past(const struct world *w, int t) {
    const struct naive_table *at = &w->naive.tables[t];
    while (!at->is_collection) {
        at = naive_db_find(&w->naive, at->from);
        const size_t below = (size_t)(at - w->naive.tables);
        if (w->keeps[below] && w->modes[below] != STREAMING) return true;
    }
    return false;
}

/// Asked for rows that are so old at most, a view that lags says what it would if it did not, once
/// what is stored is older; that stays as it is.
static void check_asked(struct world *w, const char *max_staleness, int64_t staleness_us) {
    struct naive_table stored[NAIVE_TABLES], now[NAIVE_TABLES];
    memcpy(stored, w->naive.tables, sizeof stored);
    naive_use(&w->scratch);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        const struct naive_table *table = &w->naive.tables[t];
        const bool is_old = w->modes[t] != STREAMING && world_is_over_append(w, table);
        const bool stays = is_old || w->appends[t];
        if (!w->dropped[t] && !stays) world_eval(w, t);
    }
    naive_use(&w->memory);
    memcpy(now, w->naive.tables, sizeof now);
    memcpy(w->naive.tables, stored, sizeof stored);
    w->max_staleness = max_staleness;
    world_tell("ask", max_staleness == NULL ? "" : max_staleness, "");
    for (int t = 0; t < w->naive.table_count && !w->failed; t++) {
        if (world_lacks(w, t)) continue;
        const enum law_answer answer = world_answer(w, t, staleness_us);
        const bool is_unsure = answer == ANSWER_UNSURE;
        world_counts.answers[answer]++;
        if (is_unsure || (answer == ANSWER_NOW && is_over_kept_past(w, t))) continue;
        if (answer == ANSWER_NOW) w->naive.tables[t] = now[t];
        world_check_table(w, t);
        w->naive.tables[t] = stored[t];
    }
    w->max_staleness = NULL;
}

static void check_all(struct world *w) {
    world_compute(w);
    world_read_log(w);
    if (w->failed) return;
    check_asked(w, NULL, -1);
    if (w->stream % 3 == 0) check_asked(w, "0s", 0);
    if (w->stream % 3 == 1) check_asked(w, LAW_GRACE, law_grace_us);
}

/// The number of the step after which the world failed, or -1.
static int run_world(struct world *w, uint64_t seed, const struct cut *cut) {
    int at = 0;
    world_make(w, seed, cut);
    for (; at < world_steps_max && !w->failed; at++) {
        w->stream = seed * 64 + (uint64_t)at;
        w->dice = (struct law_dice){.seed = w->stream * 64 + 63};
        if (cut->steps[at]) continue;
        const bool looks = world_roll(w, 3) == 0;
        step(w);
        if (!w->failed && looks) check_all(w);
    }
    for (int t = w->collections; !w->failed && t < w->naive.table_count; t++) {
        if (w->modes[t] != STREAMING && !world_lacks(w, t)) world_refresh(w, t);
    }
    if (!w->failed) check_all(w);
    world_end(w);
    return w->failed ? at : -1;
}

// ---- cutting a failure down ---------------------------------------------------------------------

/// Leaves out what the failure does not need: steps from the end, then views with all on them.
static void shrink(struct world *w, uint64_t seed, struct cut *cut, int last) {
    const time_t began = time(NULL);
    for (int i = last; i < world_steps_max; i++) cut->steps[i] = true;
    for (int i = last - 1; i >= 0 && time(NULL) - began < 40; i--) {
        cut->steps[i] = true;
        if (run_world(w, seed, cut) < 0) cut->steps[i] = false;
    }
    for (int rows = 1; rows < 16 && time(NULL) - began < 50; rows *= 2) {
        cut->rows_max = rows;
        if (run_world(w, seed, cut) >= 0) break;
        cut->rows_max = 0;
    }
    for (int t = NAIVE_TABLES - 1; t >= 0 && time(NULL) - began < 60; t--) {
        cut->views[t] = true;
        if (run_world(w, seed, cut) < 0 || strncmp(w->failure, "init", 4) == 0) {
            cut->views[t] = false;
        }
    }
}

static void report(uint64_t seed, int last) {
    static struct world w;
    struct cut cut = {0};
    shrink(&w, seed, &cut, last);
    world_tells_story = true;
    run_world(&w, seed, &cut);
    world_tells_story = false;
    CHECK(false, "seed %" PRIu64 ": %s", seed, w.failure);
}

static void views_equal_their_definitions(void) {
    static struct world w;
    const struct cut whole = {0};
    const char *one = getenv("PQ_LAW_SEED"), *longer = getenv("PQ_LAW_SECONDS");
    // Everyday worlds are always the same ones, so that a failure belongs to the change at hand.
    const uint64_t everyday = longer == NULL ? 1 : (uint64_t)time(NULL);
    const uint64_t first = one == NULL ? everyday : strtoull(one, NULL, 10);
    const uint64_t worlds_max = longer == NULL ? worlds_everyday : UINT64_MAX;
    const time_t until = time(NULL) + (longer == NULL ? seconds : strtol(longer, NULL, 10));
    uint64_t done = 0;
    fprintf(stderr, "    seed %" PRIu64 "\n", first);
    do {
        world_tells_story = one != NULL;
        const int last = run_world(&w, first + done, &whole);
        world_tells_story = false;
        if (last >= 0) report(first + done, last);
        done++;
    } while (one == NULL && test_failures_ < 3 && done < worlds_max && time(NULL) < until);
    const struct world_counts *all = &world_counts;
    fprintf(stderr, "    %" PRIu64 " worlds; views: %u streaming, %u scheduled, %u manual, of them "
            "%u append, %u keep, %u with grace;\n    %u refreshes, %u by schedule, %u crashes, "
            "%u reopens, %u alters, %u checkpoints;\n    answers: %u as stored, %u brought up, "
            "%u either\n", done, all->views[STREAMING],
            all->views[SCHEDULED], all->views[MANUAL], all->appends, all->keeps, all->graces,
            all->refreshes, all->due, all->crashes, all->reopens, all->alters, all->checkpoints,
            all->answers[ANSWER_STORED], all->answers[ANSWER_NOW], all->answers[ANSWER_UNSURE]);
}

int main(void) {
    RUN(views_equal_their_definitions);
    return test_done();
}
