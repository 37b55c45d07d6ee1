/// How old the contents of a world's views are, by what the log tells.
#include <string.h>

#include "db/view_internal.h"
#include "support/law_world.h"

static pqdb_error err;

// ---- commits ----------------------------------------------------------------------------------

static int collection_named(const struct world *w, const char *name) {
    for (int i = 0; i < w->collections; i++) {
        if (strcmp(w->naive.tables[i].name, name) == 0) return i;
    }
    return -1;
}

static pqdb_code note(void *ctx, const pqdb_change *change) {
    struct world *w = ctx;
    const int collection = collection_named(w, change->collection);
    if (collection < 0) return PQDB_OK;
    if ((w->commit_count & (w->commit_count - 1)) == 0) {  // full: at each power of two
        const size_t room = w->commit_count == 0 ? 1 : (size_t)w->commit_count * 2;
        struct law_commit *grown = pq_arena_alloc(&w->memory, room * sizeof *grown);
        for (int i = 0; i < w->commit_count; i++) grown[i] = w->commits[i];
        w->commits = grown;
    }
    w->commits[w->commit_count++] = (struct law_commit){
        .version = change->version, .time_us = change->time_us, .collection = collection};
    return PQDB_OK;
}

void world_read_log(struct world *w) {
    const uint64_t first = pqdb_log_first(w->db);
    uint64_t since = w->commit_count == 0 ? 0 : w->commits[w->commit_count - 1].version;
    if (since + 1 < first) since = first - 1;  // what came before was read when it came
    WORLD_MUST(w, pqdb_log_read(w->db, since, note, w, &err), "the log");
}

// ---- contents ---------------------------------------------------------------------------------

static int index_of(const struct world *w, const struct naive_table *table) {
    return (int)(table - w->naive.tables);
}

static const struct naive_table *below(const struct world *w, const struct naive_table *table) {
    return naive_db_find(&w->naive, table->from);
}

/// The version of what the view shows; UINT64_MAX: of now.
static uint64_t shown_by(const struct world *w, const struct naive_table *table) {
    for (; !table->is_collection; table = below(w, table)) {
        const int t = index_of(w, table);
        if (w->modes[t] != STREAMING) return w->has_contents[t] ? w->shows[t] : 0;
    }
    return UINT64_MAX;
}

void world_shows_now(struct world *w, int t) {
    const uint64_t version = world_version(w);
    const uint64_t shown = shown_by(w, below(w, &w->naive.tables[t]));
    w->shows[t] = shown < version ? shown : version;
    w->has_contents[t] = true;
}

static bool lacks_contents(const struct world *w, const struct naive_table *table) {
    for (; !table->is_collection; table = below(w, table)) {
        if (!w->has_contents[index_of(w, table)]) return true;
    }
    return false;
}

/// Is the log held for whatever the view lacks?
static bool is_held(const struct world *w, const struct naive_table *table) {
    bool has_lag = false;
    for (; !table->is_collection; table = below(w, table)) {
        const int t = index_of(w, table);
        const bool lags = w->modes[t] != STREAMING;
        if (has_lag && (lags || table->is_grouped || w->keeps[t])) return false;
        has_lag = has_lag || lags;
    }
    return true;
}

static bool reads(const struct world *w, const struct naive_table *table, int collection) {
    const struct pq_db_table *view = pq_db_find(w->db, pq_text_of(table->name));
    const struct pq_db_table *of =
        pq_db_find(w->db, pq_text_of(w->naive.tables[collection].name));
    if (view->root == of) return true;
    for (const struct pq_view *at = view->view; at != NULL; at = at->upstream) {
        for (size_t i = 0; i < at->linked_count; i++) {
            if (at->linked[i] == of->id) return true;
        }
    }
    return false;
}

/// The first commit that the contents lack, or NULL.
static const struct law_commit *first_lacked(const struct world *w,
                                             const struct naive_table *table) {
    const uint64_t shown = shown_by(w, table);
    for (int i = 0; i < w->commit_count; i++) {
        const struct law_commit *commit = &w->commits[i];
        if (commit->version > shown && reads(w, table, commit->collection)) return commit;
    }
    return NULL;
}

enum law_answer world_answer(struct world *w, int t, int64_t staleness_us) {
    const struct naive_table *table = &w->naive.tables[t];
    const int64_t grace_us = w->grace_us[t];
    const bool by_grace = staleness_us < 0 || (grace_us >= 0 && grace_us < staleness_us);
    const int64_t limit_us = by_grace ? grace_us : staleness_us;
    if (table->is_collection || limit_us < 0 || world_is_over_append(w, table)) {
        return ANSWER_STORED;
    }
    const struct law_commit *lacked = first_lacked(w, table);
    const bool lacks_all = lacks_contents(w, table);
    if (lacked == NULL && !lacks_all) return ANSWER_STORED;
    if (limit_us == 0) return ANSWER_NOW;
    if (lacked == NULL) return ANSWER_UNSURE;
    if (world_now_us(w) - lacked->time_us > limit_us) return ANSWER_NOW;
    return is_held(w, table) && !lacks_all ? ANSWER_STORED : ANSWER_UNSURE;
}
