/// See law_world.h.
#include "support/law_world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "db/open_with.h"
#include "support/db_world.h"
#include "support/test.h"

enum { views_max = 12 };

static pqdb_error err;
bool world_tells_story;  // of the world that runs

__attribute__((format(printf, 2, 3))) void world_fail(struct world *w, const char *format, ...) {
    if (w->failed) return;
    w->failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->failure, sizeof w->failure, format, arguments);
    va_end(arguments);
}

void world_must(struct world *w, pqdb_code code, const char *what, const pqdb_error *why) {
    test_checks_++;
    if (code != PQDB_OK) world_fail(w, "%s: %s: %s", what, why->subject, why->message);
}

/// A step of the story, while it happens: what crashes is told as well.
void world_tell(const char *verb, const char *name, const char *text) {
    if (world_tells_story) fprintf(stderr, "%s %s %s\n", verb, name, text);
}

uint64_t world_roll(struct world *w, uint64_t sides) { return law_roll(&w->dice, sides); }

struct law_scope world_scope(struct world *w) {
    return (struct law_scope){
        .dice = &w->dice, .db = &w->naive, .may_expand = true, .all_aggregates = true};
}

/// Not in the database (any more).
bool world_lacks(const struct world *w, int t) { return w->cut->views[t] || w->dropped[t]; }

// ---- schemas ----------------------------------------------------------------------------------

/// A view on any table, or on a collection, or on the view before it: so there are long chains.
static const struct naive_table *source_for(struct world *w) {
    const uint64_t count = (uint64_t)w->naive.table_count;
    const uint64_t kind = w->is_chain ? 1 : world_roll(w, 4), any = world_roll(w, count);
    const uint64_t collection = kind == 0 ? world_roll(w, (uint64_t)w->collections) : 0;
    const uint64_t at = kind == 0 ? collection : kind == 1 ? count - 1 : any;
    return &w->naive.tables[w->dropped[at] ? 0 : at];
}

/// What can append is on a collection, or on streaming views that map its rows.
static bool may_append(const struct world *w, const struct naive_table *from) {
    for (; !from->is_collection; from = naive_db_find(&w->naive, from->from)) {
        const size_t at = (size_t)(from - w->naive.tables);
        if (w->modes[at] != STREAMING || w->appends[at] || from->by_id) return false;
    }
    return w->is_on_disk;
}

/// And what can keep; here where nothing is read through links, so that what is kept stays.
static bool may_keep(const struct world *w, const struct naive_table *from) {
    const struct naive_table *root = from;
    for (; !root->is_collection; root = naive_db_find(&w->naive, root->from)) {
        const size_t at = (size_t)(root - w->naive.tables);
        if (!w->is_plain[at] || w->keeps[at]) return false;
    }
    return may_append(w, from) && w->retains[root - w->naive.tables];
}

bool world_is_over_keep(const struct world *w, const struct naive_table *at) {
    for (; !at->is_collection; at = naive_db_find(&w->naive, at->from)) {
        if (w->keeps[at - w->naive.tables]) return true;
    }
    return false;
}

/// Does a view that appends lie below it, or is it one?
bool world_is_over_append(const struct world *w, const struct naive_table *at) {
    for (; !at->is_collection; at = naive_db_find(&w->naive, at->from)) {
        if (w->appends[at - w->naive.tables]) return true;
    }
    return false;
}

/// The definition of a new view, which the evaluator has from here on.
const char *world_define_view(struct world *w) {
    static const char *const modes[] = {"mode: 'streaming'",
                                        "mode: 'scheduled', schedule: '0 * * * *'",
                                        "mode: 'manual'"};
    struct law_scope scope = world_scope(w);
    const struct naive_table *from = source_for(w);
    const int at = w->naive.table_count;
    struct pq_bytes text;
    pq_bytes_init(&text, &w->memory.alloc);
    w->modes[at] = world_roll(w, 5) != 0 ? STREAMING : world_roll(w, 2) == 0 ? SCHEDULED : MANUAL;
    law_say(&text, "{ $from: '%s',", from->name);
    w->is_plain[at] = world_roll(w, 3) == 0;
    w->keeps[at] = w->is_plain[at] && may_keep(w, from);
    scope.may_expand = !w->is_plain[at];
    law_view(&scope, from, &text);
    w->appends[at] = !w->keeps[at] && world_roll(w, 5) == 0 && may_append(w, from);
    w->has_contents[at] = w->modes[at] != MANUAL;
    if (w->keeps[at]) law_say(&text, " $onRetention: 'keep',");
    const char *graces[] = {NULL, NULL, "0s", LAW_GRACE};
    const uint64_t grace = w->modes[at] == STREAMING || w->appends[at] ? 0 : world_roll(w, 4);
    w->grace_us[at] = grace == 3 ? law_grace_us : grace == 2 ? 0 : -1;
    law_say(&text, " $refresh: { %s%s%s } }", modes[w->modes[at]],
            w->appends[at] ? ", strategy: 'append'" : "",
            graces[grace] == NULL ? "" : naive_text(", gracePeriod: '%s'", graces[grace]));
    world_counts.views[w->modes[at]]++;
    world_counts.appends += w->appends[at];
    world_counts.keeps += w->keeps[at];
    world_counts.graces += w->grace_us[at] >= 0;
    const char *name = naive_text("V%d", at - w->collections);
    naive_db_add(&w->naive, name, law_parse(law_text(&text)));
    if (w->modes[at] == MANUAL || w->appends[at]) w->naive.tables[at].row_count = 0;
    return law_text(&text);
}

static void make_schema(struct world *w) {
    struct pq_bytes fields;
    pq_bytes_init(&fields, &w->memory.alloc);
    w->is_chain = world_roll(w, 6) == 0;
    w->collections = 2 + (int)world_roll(w, 3);
    for (int i = 0; i < w->collections; i++) w->retains[i] = w->is_on_disk && world_roll(w, 3) == 0;
    law_collections(&w->dice, w->collections, w->retains, &fields);
    naive_db_read(&w->naive, law_parse(naive_text("{%s}", law_text(&fields))));
    law_say(&w->schema, "{\n%s", law_text(&fields));
    const int views = 3 + (int)world_roll(w, views_max - 2);
    for (int i = 0; i < views; i++) {
        const int at = w->naive.table_count;
        const char *text = world_define_view(w);
        if (!w->cut->views[at]) law_say(&w->schema, "  V%d: %s,\n", at - w->collections, text);
    }
    law_say(&w->schema, "}\n");
}

// ---- the database -----------------------------------------------------------------------------

static struct pq_open_with on_disk(const struct world *w) {
    return (struct pq_open_with){.store = w->disk == NULL ? NULL : &w->disk->base,
                                 .location = "file:///world",
                                 .env = &w->env, .alloc = &pq_alloc_libc,
                                 .log_segment_bytes = 1 << 16, .late_rows = 1,
                                 .piece_rows = w->seed % 3,  // 0: the usual
                                 .no_keeper = true};
}

static void open_world(struct world *w) {
    const struct pq_open_with with = on_disk(w);
    w->db = NULL;
    WORLD_MUST(w, w->disk != NULL ? pq_db_open_with(&with, &w->options, &w->db, &err)
                            : pqdb_open(w->place.path, &w->options, &w->db, &err), "open");
}

void world_make(struct world *w, uint64_t seed, const struct cut *cut) {
    *w = (struct world){.seed = seed, .cut = cut, .dice = {.seed = seed}};
    pq_arena_init(&w->memory, &pq_alloc_libc);
    pq_arena_init(&w->scratch, &pq_alloc_libc);
    pq_bytes_init(&w->schema, &w->memory.alloc);
    naive_use(&w->memory);
    w->is_on_disk = world_roll(w, 3) != 0;
    w->env = world_clock_begin();
    make_schema(w);
    const struct pq_text schema = pq_bytes_text(&w->schema);
    world_tell("schema", "", law_text(&w->schema));
    w->options.checkpoint_ms = 5;
    if (w->is_on_disk) {
        w->disk = fault_store_create();
        const struct pq_open_with with = on_disk(w);
        WORLD_MUST(w, pq_db_init_with(&with, schema, &err), "init");
    } else {
        w->place = temp_directory_make();
        WORLD_MUST(w, pqdb_init(w->place.path, schema.data, schema.length, NULL, NULL, &err),
                   "init");
    }
    // With one byte everything leaves memory as soon as it may; with a keeper writers wait for it.
    static const size_t budgets[] = {1 << 22, 1 << 18, 1};
    w->options.memory_bytes = budgets[world_roll(w, w->disk == NULL ? 2 : 3)];
    if (!w->failed) open_world(w);
}

void world_end(struct world *w) {
    if (w->db != NULL) WORLD_MUST(w, pqdb_close(w->db, &err), "close");
    if (w->disk != NULL) fault_store_destroy(w->disk);
    if (w->place.path[0] != '\0') temp_directory_remove(&w->place);
    pq_arena_deinit(&w->scratch);
    pq_arena_deinit(&w->memory);
}

/// The power fails: what was acknowledged is there, whatever the disk kept of the rest.
void world_lose_power(struct world *w) {
    struct fault_store *next =
        fault_store_crash(w->disk, (enum fault_mode)world_roll(w, 3), w->dice.seed);
    world_tell("power fails", "", "");
    world_note_slots(w);
    pqdb_close(w->db, NULL);
    fault_store_destroy(w->disk);
    w->disk = next;
    world_counts.crashes++;
    open_world(w);
    if (!w->failed) world_check_slots(w);
}

void world_reopen(struct world *w) {
    world_tell("reopen", "", "");
    world_note_slots(w);
    WORLD_MUST(w, pqdb_close(w->db, &err), "close");
    w->db = NULL;
    world_counts.reopens++;
    if (!w->failed) open_world(w);
    if (!w->failed) world_check_slots(w);
}

// ---- the law ----------------------------------------------------------------------------------

/// Streaming views follow, the others stay as they were refreshed.
static const struct naive_row *find_in(const struct law_rows *rows, const char *id) {
    for (int i = 0; i < rows->count; i++) {
        if (strcmp(rows->rows[i].id, id) == 0) return &rows->rows[i];
    }
    return NULL;
}

static void add_row(struct law_rows *to, const struct naive_row *row) {
    struct naive_row *rows = naive_alloc(((size_t)to->count + 1) * sizeof *rows);
    for (int i = 0; i < to->count; i++) rows[i] = to->rows[i];
    rows[to->count++] = *row;
    to->rows = rows;
}

/// What the view would keep: a grouped one rows of its source, another one rows of its own, of
/// which the last of an id stays.
static struct law_rows keep_more(struct world *w, int t) {
    struct naive_table *view = &w->naive.tables[t];
    struct law_rows kept = w->kept[t];
    if (view->is_grouped) {
        for (int i = 0; i < w->gone[t].count; i++) add_row(&kept, &w->gone[t].rows[i]);
        return kept;
    }
    struct naive_table of_gone = *view;
    for (int i = 0; i < w->gone[t].count; i++) {  // one by one: an id may have gone twice
        of_gone.kept = &w->gone[t].rows[i];
        of_gone.kept_count = 1;
        of_gone.first_seq = INT64_MAX;
        naive_view_eval(&w->naive, &of_gone);
        for (int k = 0; k < of_gone.row_count; k++) {
            struct law_rows others = {0};
            for (int n = 0; n < kept.count; n++) {
                const bool is_same = strcmp(kept.rows[n].id, of_gone.rows[k].id) == 0;
                if (!is_same) add_row(&others, &kept.rows[n]);
            }
            kept = others;
            add_row(&kept, &of_gone.rows[k]);
        }
    }
    return kept;
}

void world_eval(struct world *w, int t) {
    struct naive_table *view = &w->naive.tables[t];
    if (!w->keeps[t]) {
        naive_view_eval(&w->naive, view);
        return;
    }
    const struct law_rows kept = keep_more(w, t);
    view->kept = kept.rows;
    view->kept_count = view->is_grouped ? kept.count : 0;
    naive_view_eval(&w->naive, view);
    if (view->is_grouped) return;
    struct law_rows all = {.rows = view->rows, .count = view->row_count};
    for (int i = 0; i < kept.count; i++) {
        const struct law_rows live = {.rows = view->rows, .count = view->row_count};
        if (find_in(&live, kept.rows[i].id) == NULL) add_row(&all, &kept.rows[i]);
    }
    view->rows = all.rows;
    view->row_count = all.count;
}

/// Own copies, in the world's memory.
static struct law_rows own_rows(struct world *w, const struct naive_table *of,
                                struct law_rows rows) {
    struct naive_table copy = *of;
    naive_use(&w->memory);
    if (rows.count == 0) return rows;
    copy.rows = rows.rows;
    copy.row_count = rows.count;
    naive_keep(&copy);
    return (struct law_rows){.rows = copy.rows, .count = copy.row_count};
}

void world_settle(struct world *w, int t) {
    const struct naive_table *view = &w->naive.tables[t];
    if (!w->keeps[t]) return;
    naive_use(&w->scratch);
    struct law_rows kept = keep_more(w, t), left = {0};
    struct naive_table live = *view;
    live.kept_count = 0;
    naive_view_eval(&w->naive, &live);
    const struct law_rows rows = {.rows = live.rows, .count = live.row_count};
    for (int i = 0; i < kept.count; i++) {
        const bool stays = view->is_grouped || find_in(&rows, kept.rows[i].id) == NULL;
        if (stays) add_row(&left, &kept.rows[i]);
    }
    const struct naive_table *of =
        view->is_grouped ? naive_db_find(&w->naive, view->from) : &live;
    w->kept[t] = own_rows(w, of, left);
    w->gone[t].count = 0;
}

/// A view that keeps, with something that it may lose.
static bool has_rows_to_keep(const struct world *w, int t) {
    return w->keeps[t] && !world_lacks(w, t) && w->has_contents[t];
}

void world_retain(struct world *w) {
    struct law_rows before[NAIVE_TABLES] = {0};
    world_compute(w);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        if (!has_rows_to_keep(w, t)) continue;
        const struct naive_table *source = naive_db_find(&w->naive, w->naive.tables[t].from);
        const struct law_rows rows = {.rows = source->rows, .count = source->row_count};
        before[t] = own_rows(w, source, rows);
    }
    // Between the two times around which all instants lie.
    const struct pq_json *old = law_parse("{ f6: { $lt: '2026-01-01' } }");
    for (int i = 0; i < w->collections; i++) {
        if (w->retains[i]) naive_delete(&w->naive, &w->naive.tables[i], old);
    }
    world_compute(w);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        if (!has_rows_to_keep(w, t)) continue;
        const struct naive_table *source = naive_db_find(&w->naive, w->naive.tables[t].from);
        for (int i = 0; i < before[t].count; i++) {
            const bool is_there = naive_row_find(source, before[t].rows[i].id) != NULL;
            if (!is_there) add_row(&w->gone[t], &before[t].rows[i]);
        }
        world_settle(w, t);
        naive_use(&w->memory);
    }
    world_compute(w);
}

void world_compute(struct world *w) {
    pq_arena_reset(&w->scratch);
    naive_use(&w->scratch);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        if (w->modes[t] == STREAMING && !w->dropped[t] && !w->appends[t]) world_eval(w, t);
    }
    naive_use(&w->memory);
}

uint64_t world_version(struct world *w) {
    pqdb_status status = {0};
    WORLD_MUST(w, pqdb_status_get(w->db, &status, &err), "status");
    return status.version;
}

/// The definition over the rows that were created since the last time, added to what is there.
void world_append(struct world *w, int t, uint64_t version) {
    struct naive_table *view = &w->naive.tables[t];
    const struct naive_table *source = naive_db_find(&w->naive, view->from), before = *view;
    bool any = false;  // of none not even a global row comes
    for (int i = 0; i < source->row_count; i++) {
        any = any || source->rows[i].seq >= view->first_seq;
    }
    naive_view_eval(&w->naive, view);
    naive_keep(view);
    view->first_seq = w->naive.next_seq;
    const int count = any ? view->row_count : 0;
    struct naive_row *rows =
        naive_alloc(((size_t)(before.row_count + count) + 1) * sizeof *rows);
    for (int i = 0; i < before.row_count; i++) rows[i] = before.rows[i];
    for (int i = 0; i < count; i++) {
        rows[before.row_count + i] = view->rows[i];
        rows[before.row_count + i].id =
            naive_text("%s@%llu", view->rows[i].id, (unsigned long long)version);
    }
    view->rows = rows;
    view->row_count = before.row_count + count;
}

/// Behind a commit: streaming views that append have followed it, and what is kept, also of views
/// that will show it with their next refresh.
void world_follow(struct world *w, uint64_t version) {
    bool any = false;
    world_read_log(w);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        const bool appends = w->appends[t] && w->modes[t] == STREAMING;
        const bool keeps = w->keeps[t] && w->has_contents[t];
        if ((!appends && !keeps) || world_lacks(w, t)) continue;
        if (!any) world_compute(w);
        any = true;
        if (appends) world_append(w, t, version);
        if (keeps) world_settle(w, t);
        naive_use(&w->memory);
    }
}

/// Of a view that appends; now and then it begins again.
static void refresh_appending(struct world *w, int t) {
    struct naive_table *table = &w->naive.tables[t];
    const bool discards = world_roll(w, 4) == 0;
    world_tell("refresh", table->name, discards ? "--full --discard" : "");
    WORLD_MUST(w, discards ? pqdb_view_discard(w->db, table->name, NULL, &err)
                     : pqdb_view_refresh(w->db, table->name, false, NULL, &err), table->name);
    world_compute(w);
    if (discards) table->row_count = 0;
    if (discards) table->first_seq = 0;
    world_append(w, t, world_version(w));
    world_shows_now(w, t);
}

void world_refreshed(struct world *w, int t) {
    world_compute(w);
    world_eval(w, t);
    world_settle(w, t);
    naive_use(&w->memory);
    naive_keep(&w->naive.tables[t]);
    world_shows_now(w, t);
}

void world_refresh(struct world *w, int t) {
    struct naive_table *table = &w->naive.tables[t];
    if (w->appends[t]) {
        refresh_appending(w, t);
        return;
    }
    const bool full = world_roll(w, 4) == 0 && !w->keeps[t];
    world_tell("refresh", table->name, full ? "--full" : "");
    WORLD_MUST(w, pqdb_view_refresh(w->db, table->name, full, NULL, &err), table->name);
    pqdb_view_state state;
    if (w->failed) return;
    WORLD_MUST(w, pqdb_view_state_get(w->db, table->name, &state, &err), table->name);
    if (naive_db_find(&w->naive, table->from)->is_collection && strcmp(state.state, "fresh") != 0) {
        world_fail(w, "%s is %s after its refresh: %s", table->name, state.state, state.reason);
    }
    world_counts.refreshes++;
    world_refreshed(w, t);
}

/// Every row of the answer, in order; `filter` (or NULL) picks among the expected ones.
static void check_answer(struct world *w, const struct naive_table *table, const char *filter) {
    const struct pq_json *test = filter == NULL ? NULL : law_parse(filter);
    const pqdb_find_options options = {.filter = filter, .max_staleness = w->max_staleness};
    pqdb_rows *rows;
    WORLD_MUST(w, pqdb_find(w->db, table->name, &options, &rows, &err), "find");
    if (w->failed) return;
    uint64_t expected = 0, count = 0;
    bool has_row = false;
    WORLD_MUST(w, pqdb_rows_next(rows, &has_row, &err), "next row");
    for (int i = 0; i < table->row_count && !w->failed; i++) {
        const struct naive_scope scope = {&w->naive, table, &table->rows[i]};
        if (test != NULL && !naive_matches(&scope, test)) continue;
        size_t length = 0;
        const char *stored = has_row ? pqdb_rows_json(rows, &length) : "nothing";
        const char *right = naive_row_text(table, &table->rows[i]);
        expected++;
        if (!has_row || strcmp(stored, right) != 0) {
            world_fail(w, "%s %s: row %" PRIu64 "\n    stored  %s\n    expected %s", table->name,
                 filter == NULL ? "" : filter, expected, stored, right);
        } else {
            WORLD_MUST(w, pqdb_rows_next(rows, &has_row, &err), "next row");
        }
    }
    size_t length;
    if (!w->failed && has_row) {
        world_fail(w, "%s %s: too much: %s", table->name, filter == NULL ? "" : filter,
             pqdb_rows_json(rows, &length));
    }
    pqdb_rows_close(rows);
    if (w->max_staleness != NULL) return;
    WORLD_MUST(w, pqdb_count(w->db, table->name, filter, &count, &err), "count");
    if (count != expected) {
        world_fail(w, "count %s %s: %" PRIu64 ", not %" PRIu64, table->name,
             filter == NULL ? "" : filter, count, expected);
    }
}

/// Each row's version: 1, then one more for each update.
static void check_versions(struct world *w, const struct naive_table *table) {
    const pqdb_find_options options = {.select = "version", .system_columns = true};
    pqdb_rows *rows;
    bool has_row = true;
    WORLD_MUST(w, pqdb_find(w->db, table->name, &options, &rows, &err), "find");
    if (w->failed) return;
    for (int i = 0; i < table->row_count && has_row && !w->failed; i++) {
        size_t length;
        WORLD_MUST(w, pqdb_rows_next(rows, &has_row, &err), "next row");
        const char *stored = has_row ? pqdb_rows_json(rows, &length) : "nothing";
        const char *right = naive_text("{\"$id\":\"%s\",\"version\":%d}", table->rows[i].id,
                                       table->rows[i].version);
        if (strcmp(stored, right) != 0) world_fail(w, "%s: %s, not %s", table->name, stored, right);
    }
    pqdb_rows_close(rows);
}

static void show_difference(void *ctx, const pqdb_difference *difference) {
    struct world *w = ctx;
    world_fail(w, "verify: %s\n    stored     %s\n    recomputed %s", difference->id,
         difference->stored == NULL ? "-" : difference->stored,
         difference->recomputed == NULL ? "-" : difference->recomputed);
}

static void verify(struct world *w, const char *view) {
    pqdb_view_state state;
    pqdb_verified verified = {0};
    WORLD_MUST(w, pqdb_view_state_get(w->db, view, &state, &err), view);
    if (w->failed) return;
    if (state.last_error[0] != '\0') world_fail(w, "%s: %s", view, state.last_error);
    if (strcmp(state.state, "fresh") != 0) return;
    WORLD_MUST(w, pqdb_view_verify(w->db, view, show_difference, w, &verified, &err), "verify");
    if (verified.differences != 0) world_fail(w, "%s: differences", view);
}

void world_check_table(struct world *w, int t) {
    struct naive_table *table = &w->naive.tables[t];
    if (world_lacks(w, t)) return;
    w->dice = (struct law_dice){.seed = w->stream * 64 + (uint64_t)t};
    struct naive_table sorted = *table;
    sorted.rows = naive_alloc(((size_t)table->row_count + 1) * sizeof *table->rows);
    for (int i = 0; i < table->row_count; i++) sorted.rows[i] = table->rows[i];
    qsort(sorted.rows, (size_t)sorted.row_count, sizeof *sorted.rows, naive_by_id);
    check_answer(w, &sorted, NULL);
    if (t < w->collections && !w->failed) check_versions(w, &sorted);
    const struct law_scope scope = world_scope(w);
    struct pq_bytes filter;
    pq_bytes_init(&filter, &w->memory.alloc);
    law_filter(&scope, table, 2, &filter);
    if (!w->failed) check_answer(w, &sorted, law_text(&filter));
    // Else there is nothing to compare it with.
    const bool follows_sources = !w->appends[t] && !world_is_over_keep(w, table);
    if (!w->failed && t >= w->collections && w->max_staleness == NULL && follows_sources) {
        verify(w, table->name);
    }
}

