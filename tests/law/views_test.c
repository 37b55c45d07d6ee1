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
#include <parquedb/query.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "db/open_with.h"
#include "db/view_internal.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/law_random.h"
#include "support/temp.h"
#include "support/test.h"
#include "type/schema_edit.h"

enum { views_max = 12, steps_max = 32, seconds = 40, worlds_everyday = 48 };
enum mode { STREAMING, SCHEDULED, MANUAL };

/// What of a seed's world is left out: a failure that stays without it does not need it.
struct cut {
    bool steps[steps_max];
    bool views[NAIVE_TABLES];
    int rows_max;  // of a batch; 0: any
};

struct world {
    uint64_t seed;
    const struct cut *cut;
    struct law_dice dice;
    struct pq_arena memory, scratch;  // the world's; one computation's
    struct naive_db naive;
    enum mode modes[NAIVE_TABLES];
    bool dropped[NAIVE_TABLES];
    bool appends[NAIVE_TABLES];
    bool retains[NAIVE_TABLES];    // collections
    bool is_on_disk;               // that may lose its power; there nothing happens by itself
    int collections;
    uint64_t stream;  // of the dice of a step
    const char *max_staleness;  // of what is asked
    bool is_chain;    // each view is on the one before it
    struct pq_bytes schema;
    // In a directory with a keeper, or on a disk that loses its power.
    struct temp_directory place;
    struct fault_store *disk;
    pqdb_options options;
    pqdb_db *db;
    bool failed;
    char failure[8192];
};

static pqdb_error err;
static bool tells_story;  // of the world that runs

__attribute__((format(printf, 2, 3))) static void fail(struct world *w, const char *format, ...) {
    if (w->failed) return;
    w->failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->failure, sizeof w->failure, format, arguments);
    va_end(arguments);
}

/// The call succeeds, or the world has failed.
static void must(struct world *w, pqdb_code code, const char *what) {
    test_checks_++;
    if (code != PQDB_OK) fail(w, "%s: %s: %s", what, err.subject, err.message);
}

/// A step of the story, while it happens: what crashes is told as well.
static void tell(const char *verb, const char *name, const char *text) {
    if (tells_story) fprintf(stderr, "%s %s %s\n", verb, name, text);
}

static uint64_t roll(struct world *w, uint64_t sides) { return law_roll(&w->dice, sides); }

static struct law_scope scope_of(struct world *w) {
    return (struct law_scope){
        .dice = &w->dice, .db = &w->naive, .may_expand = true, .all_aggregates = true};
}

/// Not in the database (any more).
static bool is_out(const struct world *w, int t) { return w->cut->views[t] || w->dropped[t]; }

// ---- schemas ----------------------------------------------------------------------------------

/// A view on any table, or on a collection, or on the view before it: so there are long chains.
static const struct naive_table *source_for(struct world *w) {
    const uint64_t count = (uint64_t)w->naive.table_count;
    const uint64_t kind = w->is_chain ? 1 : roll(w, 4), any = roll(w, count);
    const uint64_t at = kind == 0 ? roll(w, (uint64_t)w->collections) : kind == 1 ? count - 1 : any;
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

/// Does a view that appends lie below it, or is it one?
static bool is_over_append(const struct world *w, const struct naive_table *at) {
    for (; !at->is_collection; at = naive_db_find(&w->naive, at->from)) {
        if (w->appends[at - w->naive.tables]) return true;
    }
    return false;
}

/// The definition of a new view, which the evaluator has from here on.
static const char *define_view(struct world *w) {
    static const char *const modes[] = {"mode: 'streaming'",
                                        "mode: 'scheduled', schedule: '0 * * * *'",
                                        "mode: 'manual'"};
    const struct law_scope scope = scope_of(w);
    const struct naive_table *from = source_for(w);
    const int at = w->naive.table_count;
    struct pq_bytes text;
    pq_bytes_init(&text, &w->memory.alloc);
    w->modes[at] = roll(w, 5) != 0 ? STREAMING : roll(w, 2) == 0 ? SCHEDULED : MANUAL;
    law_say(&text, "{ $from: '%s',", from->name);
    law_view(&scope, from, &text);
    w->appends[at] = roll(w, 5) == 0 && may_append(w, from);
    law_say(&text, " $refresh: { %s%s } }", modes[w->modes[at]],
            w->appends[at] ? ", strategy: 'append'" : "");
    const char *name = naive_text("V%d", at - w->collections);
    naive_db_add(&w->naive, name, law_parse(law_text(&text)));
    if (w->modes[at] == MANUAL || w->appends[at]) w->naive.tables[at].row_count = 0;
    return law_text(&text);
}

static void make_schema(struct world *w) {
    struct pq_bytes fields;
    pq_bytes_init(&fields, &w->memory.alloc);
    w->is_chain = roll(w, 6) == 0;
    w->collections = 2 + (int)roll(w, 3);
    for (int i = 0; i < w->collections; i++) w->retains[i] = w->is_on_disk && roll(w, 3) == 0;
    law_collections(&w->dice, w->collections, w->retains, &fields);
    naive_db_read(&w->naive, law_parse(naive_text("{%s}", law_text(&fields))));
    law_say(&w->schema, "{\n%s", law_text(&fields));
    const int views = 3 + (int)roll(w, views_max - 2);
    for (int i = 0; i < views; i++) {
        const int at = w->naive.table_count;
        const char *text = define_view(w);
        if (!w->cut->views[at]) law_say(&w->schema, "  V%d: %s,\n", at - w->collections, text);
    }
    law_say(&w->schema, "}\n");
}

// ---- the database -----------------------------------------------------------------------------

static struct pq_open_with on_disk(const struct world *w) {
    return (struct pq_open_with){.store = w->disk == NULL ? NULL : &w->disk->base,
                                 .location = "file:///world",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc,
                                 .log_segment_bytes = 1 << 16, .late_rows = 1,
                                 .no_keeper = true};
}

static void open_world(struct world *w) {
    const struct pq_open_with with = on_disk(w);
    w->db = NULL;
    must(w, w->disk != NULL ? pq_db_open_with(&with, &w->options, &w->db, &err)
                            : pqdb_open(w->place.path, &w->options, &w->db, &err), "open");
}

static void make_world(struct world *w, uint64_t seed, const struct cut *cut) {
    *w = (struct world){.seed = seed, .cut = cut, .dice = {.seed = seed}};
    pq_arena_init(&w->memory, &pq_alloc_libc);
    pq_arena_init(&w->scratch, &pq_alloc_libc);
    pq_bytes_init(&w->schema, &w->memory.alloc);
    naive_use(&w->memory);
    w->is_on_disk = roll(w, 3) != 0;
    make_schema(w);
    const struct pq_text schema = pq_bytes_text(&w->schema);
    tell("schema", "", law_text(&w->schema));
    w->options.checkpoint_ms = 5;
    if (w->is_on_disk) {
        w->disk = fault_store_create();
        const struct pq_open_with with = on_disk(w);
        must(w, pq_db_init_with(&with, schema, &err), "init");
    } else {
        w->place = temp_directory_make();
        must(w, pqdb_init(w->place.path, schema.data, schema.length, NULL, NULL, &err), "init");
    }
    // With one byte everything leaves memory as soon as it may; with a keeper writers wait for it.
    static const size_t budgets[] = {1 << 22, 1 << 18, 1};
    w->options.memory_bytes = budgets[roll(w, w->disk == NULL ? 2 : 3)];
    if (!w->failed) open_world(w);
}

static void end_world(struct world *w) {
    if (w->db != NULL) must(w, pqdb_close(w->db, &err), "close");
    if (w->disk != NULL) fault_store_destroy(w->disk);
    if (w->place.path[0] != '\0') temp_directory_remove(&w->place);
    pq_arena_deinit(&w->scratch);
    pq_arena_deinit(&w->memory);
}

/// The power fails: what was acknowledged is there, whatever the disk kept of the rest.
static void lose_power(struct world *w) {
    struct fault_store *next =
        fault_store_crash(w->disk, (enum fault_mode)roll(w, 3), w->dice.seed);
    tell("power fails", "", "");
    pqdb_close(w->db, NULL);
    fault_store_destroy(w->disk);
    w->disk = next;
    open_world(w);
}

static void reopen(struct world *w) {
    tell("reopen", "", "");
    must(w, pqdb_close(w->db, &err), "close");
    w->db = NULL;
    if (!w->failed) open_world(w);
}

// ---- the law ----------------------------------------------------------------------------------

/// Streaming views follow, the others stay as they were refreshed.
static void compute(struct world *w) {
    pq_arena_reset(&w->scratch);
    naive_use(&w->scratch);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        if (w->modes[t] == STREAMING && !w->dropped[t] && !w->appends[t]) {
            naive_view_eval(&w->naive, &w->naive.tables[t]);
        }
    }
    naive_use(&w->memory);
}

static uint64_t version_of(struct world *w) {
    pqdb_status status = {0};
    must(w, pqdb_status_get(w->db, &status, &err), "status");
    return status.version;
}

/// The definition over the rows that were created since the last time, added to what is there.
static void append_new(struct world *w, int t, uint64_t version) {
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

/// Behind a commit: streaming views that append have followed it.
static void append_streaming(struct world *w, uint64_t version) {
    bool any = false;
    for (int t = w->collections; t < w->naive.table_count; t++) {
        const bool follows = w->appends[t] && w->modes[t] == STREAMING && !is_out(w, t);
        if (follows && !any) compute(w);
        if (follows) append_new(w, t, version);
        any = any || follows;
    }
}

/// Of a view that appends; now and then it begins again.
static void refresh_appending(struct world *w, int t) {
    struct naive_table *table = &w->naive.tables[t];
    const bool discards = roll(w, 4) == 0;
    tell("refresh", table->name, discards ? "--full --discard" : "");
    must(w, discards ? pqdb_view_discard(w->db, table->name, NULL, &err)
                     : pqdb_view_refresh(w->db, table->name, false, NULL, &err), table->name);
    compute(w);
    if (discards) table->row_count = 0;
    if (discards) table->first_seq = 0;
    append_new(w, t, version_of(w));
}

static void refresh(struct world *w, int t) {
    struct naive_table *table = &w->naive.tables[t];
    if (w->appends[t]) {
        refresh_appending(w, t);
        return;
    }
    const bool full = roll(w, 4) == 0;
    tell("refresh", table->name, full ? "--full" : "");
    must(w, pqdb_view_refresh(w->db, table->name, full, NULL, &err), table->name);
    pqdb_view_state state;
    if (w->failed) return;
    must(w, pqdb_view_state_get(w->db, table->name, &state, &err), table->name);
    if (naive_db_find(&w->naive, table->from)->is_collection && strcmp(state.state, "fresh") != 0) {
        fail(w, "%s is %s after its refresh: %s", table->name, state.state, state.reason);
    }
    compute(w);
    naive_view_eval(&w->naive, table);
    naive_keep(table);
}

/// Every row of the answer, in order; `filter` (or NULL) picks among the expected ones.
static void check_answer(struct world *w, const struct naive_table *table, const char *filter) {
    const struct pq_json *test = filter == NULL ? NULL : law_parse(filter);
    const pqdb_find_options options = {.filter = filter, .max_staleness = w->max_staleness};
    pqdb_rows *rows;
    must(w, pqdb_find(w->db, table->name, &options, &rows, &err), "find");
    if (w->failed) return;
    uint64_t expected = 0, count = 0;
    bool has_row = false;
    must(w, pqdb_rows_next(rows, &has_row, &err), "next row");
    for (int i = 0; i < table->row_count && !w->failed; i++) {
        const struct naive_scope scope = {&w->naive, table, &table->rows[i]};
        if (test != NULL && !naive_matches(&scope, test)) continue;
        size_t length = 0;
        const char *stored = has_row ? pqdb_rows_json(rows, &length) : "nothing";
        const char *right = naive_row_text(table, &table->rows[i]);
        expected++;
        if (!has_row || strcmp(stored, right) != 0) {
            fail(w, "%s %s: row %" PRIu64 "\n    stored  %s\n    expected %s", table->name,
                 filter == NULL ? "" : filter, expected, stored, right);
        } else {
            must(w, pqdb_rows_next(rows, &has_row, &err), "next row");
        }
    }
    size_t length;
    if (!w->failed && has_row) {
        fail(w, "%s %s: too much: %s", table->name, filter == NULL ? "" : filter,
             pqdb_rows_json(rows, &length));
    }
    pqdb_rows_close(rows);
    if (w->max_staleness != NULL) return;
    must(w, pqdb_count(w->db, table->name, filter, &count, &err), "count");
    if (count != expected) {
        fail(w, "count %s %s: %" PRIu64 ", not %" PRIu64, table->name,
             filter == NULL ? "" : filter, count, expected);
    }
}

/// Each row's version: 1, then one more for each update.
static void check_versions(struct world *w, const struct naive_table *table) {
    const pqdb_find_options options = {.select = "version", .system_columns = true};
    pqdb_rows *rows;
    bool has_row = true;
    must(w, pqdb_find(w->db, table->name, &options, &rows, &err), "find");
    if (w->failed) return;
    for (int i = 0; i < table->row_count && has_row && !w->failed; i++) {
        size_t length;
        must(w, pqdb_rows_next(rows, &has_row, &err), "next row");
        const char *stored = has_row ? pqdb_rows_json(rows, &length) : "nothing";
        const char *right = naive_text("{\"$id\":\"%s\",\"version\":%d}", table->rows[i].id,
                                       table->rows[i].version);
        if (strcmp(stored, right) != 0) fail(w, "%s: %s, not %s", table->name, stored, right);
    }
    pqdb_rows_close(rows);
}

static void show_difference(void *ctx, const pqdb_difference *difference) {
    struct world *w = ctx;
    fail(w, "verify: %s\n    stored     %s\n    recomputed %s", difference->id,
         difference->stored == NULL ? "-" : difference->stored,
         difference->recomputed == NULL ? "-" : difference->recomputed);
}

static void verify(struct world *w, const char *view) {
    pqdb_view_state state;
    pqdb_verified verified = {0};
    must(w, pqdb_view_state_get(w->db, view, &state, &err), view);
    if (w->failed) return;
    if (state.last_error[0] != '\0') fail(w, "%s: %s", view, state.last_error);
    if (strcmp(state.state, "fresh") != 0) return;
    must(w, pqdb_view_verify(w->db, view, show_difference, w, &verified, &err), "verify");
    if (verified.differences != 0) fail(w, "%s: differences", view);
}

static void check_table(struct world *w, int t) {
    struct naive_table *table = &w->naive.tables[t];
    if (is_out(w, t)) return;
    w->dice = (struct law_dice){.seed = w->stream * 64 + (uint64_t)t};
    struct naive_table sorted = *table;
    sorted.rows = naive_alloc(((size_t)table->row_count + 1) * sizeof *table->rows);
    for (int i = 0; i < table->row_count; i++) sorted.rows[i] = table->rows[i];
    qsort(sorted.rows, (size_t)sorted.row_count, sizeof *sorted.rows, naive_by_id);
    check_answer(w, &sorted, NULL);
    if (t < w->collections && !w->failed) check_versions(w, &sorted);
    const struct law_scope scope = scope_of(w);
    struct pq_bytes filter;
    pq_bytes_init(&filter, &w->memory.alloc);
    law_filter(&scope, table, 2, &filter);
    if (!w->failed) check_answer(w, &sorted, law_text(&filter));
    const bool follows_sources = !w->appends[t];  // else there is nothing to compare it with
    if (!w->failed && t >= w->collections && w->max_staleness == NULL && follows_sources) {
        verify(w, table->name);
    }
}

// ---- steps ------------------------------------------------------------------------------------

/// An id that is free: the pool is small, so that ids that were deleted come back. Or any id.
static const char *pick_id(struct world *w, const struct naive_table *table, bool is_free) {
    const uint64_t pool = table->is_stream ? 4000 : 40;
    for (int attempt = 0; attempt < 200; attempt++) {
        const char *id = naive_text("k%02d", (int)roll(w, pool));
        if (!is_free || naive_row_find(table, id) == NULL) return id;
    }
    return NULL;
}

/// A list of rows with ids of their own, or (`repeats`) whatever ids come.
static const char *say_rows(struct world *w, const struct naive_table *table, int count,
                            enum naive_conflict conflict) {
    const struct law_scope scope = scope_of(w);
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
    must(w, pqdb_ingest_open(w->db, table->name, NULL, &ingest, &err), "ingest");
    for (size_t used = 0; used < length && !w->failed;) {
        size_t piece = 1 + roll(w, 2000);
        if (piece > length - used) piece = length - used;
        must(w, pqdb_ingest_feed(ingest, text + used, piece, &err), "ingest");
        used += piece;
    }
    if (!w->failed) must(w, pqdb_ingest_finish(ingest, written, &err), "ingest");
    pqdb_ingest_close(ingest);
}

/// A known token changes nothing, not even after the database was opened again.
static void repeat(struct world *w, const struct naive_table *table, const char *text,
                   const pqdb_write_options *options) {
    pqdb_written written = {0};
    if (roll(w, 3) == 0) reopen(w);
    if (w->failed) return;
    must(w, pqdb_create(w->db, table->name, text, strlen(text), options, &written, &err), "repeat");
    if (!written.repeated) fail(w, "a token was not known any more");
}

static void create(struct world *w, struct naive_table *table) {
    static const int sizes[] = {1, 2, 5, 12, 300};
    const int kind = (int)roll(w, table->is_stream ? 5 : 4);
    if (table->row_count > 300) return;
    const char *text = say_rows(w, table, 1 + (int)roll(w, (uint64_t)sizes[kind]), NAIVE_REFUSE);
    if (text == NULL) return;
    tell("create", table->name, text);
    const struct pq_json *list = law_parse(text);
    pqdb_written written = {0};
    const char *token = naive_text("token-%" PRIu64, w->stream);
    const pqdb_write_options options = {.token = roll(w, 3) == 0 ? token : NULL};
    if (roll(w, 2) == 0) {
        must(w, pqdb_create(w->db, table->name, text, strlen(text), &options, &written, &err),
             "create");
        if (options.token != NULL) repeat(w, table, text, &options);
    } else {
        feed(w, table, text, &written);
    }
    if (written.accepted != pq_json_count(list)) {
        fail(w, "%" PRIu64 " of %zu rows accepted", written.accepted, pq_json_count(list));
    }
    naive_create(&w->naive, table, list, NAIVE_REFUSE);
    append_streaming(w, written.version);
}

/// Ids that may be there: the batch is refused, or they are ignored or replaced.
static void create_again(struct world *w, struct naive_table *table) {
    static const char *const names[] = {NULL, "ignore", "replace"};
    if (table->is_stream) return;
    const enum naive_conflict conflict = (enum naive_conflict)roll(w, 3);
    const char *text = say_rows(w, table, 1 + (int)roll(w, 8),
                                conflict == NAIVE_REFUSE ? NAIVE_REPLACE : conflict);
    if (text == NULL) return;
    tell(conflict == NAIVE_REFUSE ? "create" : names[conflict], table->name, text);
    const pqdb_write_options options = {.on_conflict = names[conflict]};
    const bool taken = naive_create(&w->naive, table, law_parse(text), conflict);
    pqdb_written written = {0};
    const pqdb_code code =
        pqdb_create(w->db, table->name, text, strlen(text), &options, &written, &err);
    if (taken) must(w, code, "create");
    if (taken) append_streaming(w, written.version);
    if (!taken && code != PQDB_CONFLICT) fail(w, "a live id was not refused: %d", (int)code);
}

/// Which rows: one by its id, those of a filter, or all.
static const char *say_where(struct world *w, const struct naive_table *table) {
    struct law_scope scope = scope_of(w);
    scope.may_expand = false;  // what changes rows leads through no relation
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    const uint64_t kind = roll(w, 8);
    if (kind == 0) return "{}";
    if (kind < 5 && table->row_count > 0) {
        const uint64_t at = roll(w, (uint64_t)table->row_count);
        return naive_text("{ $id: '%s' }", table->rows[at].id);
    }
    law_filter(&scope, table, 1, &out);
    return law_text(&out);
}

static void update(struct world *w, struct naive_table *table) {
    const struct law_scope scope = scope_of(w);
    const char *where = say_where(w, table);
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    law_operators(&scope, table, &out);
    const char *ops = law_text(&out);
    tell(naive_text("update %s", where), table->name, ops);
    pqdb_written written = {0};
    const pqdb_edit edit = {where, ops};
    must(w, pqdb_update(w->db, table->name, &edit, NULL, &written, &err), "update");
    const int changed = naive_update(&w->naive, table, law_parse(where), law_parse(ops));
    if ((int)written.changed != changed) {
        fail(w, "%" PRIu64 " rows changed, not %d", written.changed, changed);
    }
}

/// Optimistic locking: another version than the row's is a conflict, and nothing changes.
static void update_expected(struct world *w, struct naive_table *table) {
    if (table->row_count == 0) return;
    const struct law_scope scope = scope_of(w);
    const struct naive_row *row = &table->rows[roll(w, (uint64_t)table->row_count)];
    const bool wrong = roll(w, 2) == 0;
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    law_operators(&scope, table, &out);
    const char *where = naive_text("{ $id: '%s' }", row->id), *ops = law_text(&out);
    const pqdb_write_options options = {.expected_version = (uint64_t)(row->version + wrong)};
    const pqdb_edit edit = {where, ops};
    tell(naive_text("update version %d %s", row->version + wrong, where), table->name, ops);
    const pqdb_code code = pqdb_update(w->db, table->name, &edit, &options, NULL, &err);
    if (wrong && code != PQDB_CONFLICT) fail(w, "another version was not refused: %d", (int)code);
    if (wrong) return;
    must(w, code, "update");
    naive_update(&w->naive, table, law_parse(where), law_parse(ops));
}

static void upsert(struct world *w, struct naive_table *table) {
    const struct law_scope scope = scope_of(w);
    struct pq_bytes out;
    pq_bytes_init(&out, &w->memory.alloc);
    law_operators(&scope, table, &out);
    const char *where = naive_text("{ $id: '%s' }", pick_id(w, table, false));
    const char *ops = law_text(&out);
    tell(naive_text("upsert %s", where), table->name, ops);
    const pqdb_edit edit = {where, ops};
    pqdb_written written = {0};
    must(w, pqdb_upsert(w->db, table->name, &edit, NULL, &written, &err), "upsert");
    naive_upsert(&w->naive, table, law_parse(where), law_parse(ops));
    append_streaming(w, written.version);
}

static void delete(struct world *w, struct naive_table *table) {
    const char *where = say_where(w, table);
    tell("delete", table->name, where);
    pqdb_written written = {0};
    must(w, pqdb_delete(w->db, table->name, where, NULL, &written, &err), "delete");
    const int removed = naive_delete(&w->naive, table, law_parse(where));
    if ((int)written.removed != removed) {
        fail(w, "%" PRIu64 " rows removed, not %d", written.removed, removed);
    }
}

static void write_rows(struct world *w) {
    struct naive_table *table = &w->naive.tables[roll(w, (uint64_t)w->collections)];
    const uint64_t what = roll(w, 11);
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
    compute(w);
    const char *text = define_view(w), *name = w->naive.tables[at].name;
    if (w->modes[at] != STREAMING) naive_keep(&w->naive.tables[at]);
    if (w->cut->views[at]) return;
    tell("view create", name, text);
    must(w, pqdb_view_create(w->db, name, text, NULL, NULL, &err), "view create");
    if (w->appends[at] && w->modes[at] != MANUAL) append_new(w, at, version_of(w));
}

/// A view that no other is on.
static void drop_view(struct world *w, int t) {
    const char *name = w->naive.tables[t].name;
    for (int i = w->collections; i < w->naive.table_count; i++) {
        const bool is_on_it = strcmp(w->naive.tables[i].from, name) == 0;
        if (is_on_it && !w->dropped[i]) return;
    }
    if (is_out(w, t)) return;
    w->dropped[t] = true;
    tell("view drop", name, "");
    must(w, pqdb_view_drop(w->db, name, false, &err), "view drop");
}

/// Does a view append what comes of it?
static bool is_below_append(const struct world *w, int t) {
    for (int i = w->collections; i < w->naive.table_count; i++) {
        const struct naive_table *at = &w->naive.tables[i];
        for (; w->appends[i] && !is_out(w, i) && !at->is_collection;
             at = naive_db_find(&w->naive, at->from)) {
            if (at != &w->naive.tables[i] && at == &w->naive.tables[t]) return true;
        }
    }
    return false;
}

/// Another collection beside everything, or another mode of a view: all else is as it was.
static void change_schema(struct world *w, int t) {
    const char *name = w->naive.tables[t].name;
    const bool streams = w->modes[t] == STREAMING, alters = roll(w, 2) == 0 && !is_out(w, t);
    if (alters && is_below_append(w, t)) return;
    struct pq_schema_place place;
    struct pq_bytes next;
    pq_bytes_init(&next, &w->memory.alloc);
    tell(alters ? "view alter" : "schema apply", name, streams ? "manual" : "streaming");
    compute(w);
    if (alters) {
        must(w, pqdb_view_alter(w->db, name, streams ? "{ mode: 'manual', schedule: null }"
                                                     : "{ mode: 'streaming', schedule: null }",
                                NULL, NULL, &err), name);
        if (streams) naive_keep(&w->naive.tables[t]);
        w->modes[t] = streams ? MANUAL : STREAMING;
        if (!streams && w->appends[t]) append_new(w, t, version_of(w));
        return;
    }
    const char *other = naive_text("Z%llu", (unsigned long long)w->stream);
    must(w, pq_schema_text_add(pq_text_of(pqdb_schema_text(w->db, NULL)), pq_text_of(other),
                               PQ_TEXT("{ z: 'int' }"), &next, &place, &err), "another text");
    must(w, pqdb_schema_apply(w->db, (const char *)next.data, next.length, NULL, NULL, &err),
         "schema apply");
}

/// What is too old goes; between the two times around which all instants lie.
static void retain(struct world *w) {
    const struct pq_json *old = law_parse("{ f6: { $lt: '2026-01-01' } }");
    for (int i = 0; i < w->collections; i++) {
        if (w->retains[i]) naive_delete(&w->naive, &w->naive.tables[i], old);
    }
}

static void step(struct world *w) {
    const uint64_t what = roll(w, 20);
    const int view = w->collections +
                     (int)roll(w, (uint64_t)(w->naive.table_count - w->collections));
    if (what < 10) {
        write_rows(w);
    } else if (what < 12) {
        // A streaming view is fresh unless something below it lags.
        if (w->modes[view] != STREAMING && !is_out(w, view)) refresh(w, view);
    } else if (what < 14) {
        tell("checkpoint", "", "");
        // As in the background: views that have failed, and state that is missing.
        if (roll(w, 2) == 0) pq_db_build_due(w->db);
        retain(w);
        must(w, pqdb_checkpoint(w->db, &err), "checkpoint");
    } else if (what == 14) {
        create_view(w);
    } else if (what == 15) {
        drop_view(w, view);
    } else if (what >= 18) {
        change_schema(w, view);
    } else if (what == 16 || w->disk == NULL) {
        reopen(w);
    } else {
        lose_power(w);
    }
}

/// Asked for rows of now, a view that lags says what it would if it did not; what is stored stays.
static void check_now(struct world *w) {
    struct naive_table stored[NAIVE_TABLES];
    memcpy(stored, w->naive.tables, sizeof stored);
    naive_use(&w->scratch);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        const struct naive_table *table = &w->naive.tables[t];
        const bool is_old = w->modes[t] != STREAMING && is_over_append(w, table);
        const bool stays = is_old || w->appends[t];
        if (!w->dropped[t] && !stays) naive_view_eval(&w->naive, &w->naive.tables[t]);
    }
    naive_use(&w->memory);
    w->max_staleness = "0s";
    tell("ask for now", "", "");
    for (int t = w->collections; t < w->naive.table_count && !w->failed; t++) check_table(w, t);
    w->max_staleness = NULL;
    memcpy(w->naive.tables, stored, sizeof stored);
}

static void check_all(struct world *w) {
    compute(w);
    if (w->stream % 2 == 0) check_now(w);
    for (int t = 0; t < w->naive.table_count && !w->failed; t++) check_table(w, t);
}

/// The number of the step after which the world failed, or -1.
static int run_world(struct world *w, uint64_t seed, const struct cut *cut) {
    int at = 0;
    make_world(w, seed, cut);
    for (; at < steps_max && !w->failed; at++) {
        w->stream = seed * 64 + (uint64_t)at;
        w->dice = (struct law_dice){.seed = w->stream * 64 + 63};
        if (cut->steps[at]) continue;
        const bool looks = roll(w, 3) == 0;
        step(w);
        if (!w->failed && looks) check_all(w);
    }
    for (int t = w->collections; !w->failed && t < w->naive.table_count; t++) {
        if (w->modes[t] != STREAMING && !is_out(w, t)) refresh(w, t);
    }
    if (!w->failed) check_all(w);
    end_world(w);
    return w->failed ? at : -1;
}

// ---- cutting a failure down ---------------------------------------------------------------------

/// Leaves out what the failure does not need: steps from the end, then views with all on them.
static void shrink(struct world *w, uint64_t seed, struct cut *cut, int last) {
    const time_t began = time(NULL);
    for (int i = last; i < steps_max; i++) cut->steps[i] = true;
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
    tells_story = true;
    run_world(&w, seed, &cut);
    tells_story = false;
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
        tells_story = one != NULL;
        const int last = run_world(&w, first + done, &whole);
        tells_story = false;
        if (last >= 0) report(first + done, last);
        done++;
    } while (one == NULL && test_failures_ < 3 && done < worlds_max && time(NULL) < until);
    fprintf(stderr, "    %" PRIu64 " worlds\n", done);
}

int main(void) {
    RUN(views_equal_their_definitions);
    return test_done();
}
