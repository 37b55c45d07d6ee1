/// db/compact_runs.c: large runs of states are merged beside everything else.
///
/// A checkpoint itself merges a little (PQ_DB_CUT_RUN_BYTES, of all states together). What is more
/// is merged here with no lock held, in steps of PQ_RUN_MERGE_STEP_BYTES. Between two of them it is
/// asked whether the database closes, and whether another merge is due that is at most a quarter as
/// large: that one goes first, so that the runs of a state stay few however long a large merge
/// takes. What was written is in no root: the next checkpoint names it in the place of the runs
/// that it was made of, which it finds by their ids. Where no state has them any more it goes; and
/// what a crash leaves of it goes with the next opening.
#include "base/fail.h"
#include "db/backlog.h"
#include "db/cut_internal.h"
#include "db/view_internal.h"
#include "state/spill.h"

enum { smaller_share = 4, runs_max = 128 };

/// Under `refreshing`, but for the thread that runs it.
struct pq_db_run_merge {
    struct pq_db_run_merge *next;
    pqdb_db *db;
    struct pq_run *runs[PQ_RUN_MERGE_MAX];  // referenced, newest first
    size_t count;
    uint64_t bytes;                  // of their files
    bool drop_dead;
    bool is_of_tokens;
    struct pq_db_token_bound bound;  // then
    uint64_t id;                     // of what they become
    struct pq_run *merged;           // NULL: nothing was left
    bool is_done;
    bool is_named;   // perhaps, by a root
    bool is_wanted;  // by a state of the checkpoint under way
    bool is_over;    // it is in the place of its runs
};

// ---- choosing -----------------------------------------------------------------------------------

static bool has_run(const struct pq_db_run_merge *merge, uint64_t id) {
    for (size_t i = 0; i < merge->count; i++) {
        if (pq_run_name(merge->runs[i])->id == id) return true;
    }
    return false;
}

/// So many of the newest runs are in no merge.
static size_t free_runs(const pqdb_db *db, struct pq_run *const *runs, size_t total) {
    size_t free = total;
    for (const struct pq_db_run_merge *merge = db->run_merges; merge != NULL; merge = merge->next) {
        for (size_t i = 0; i < free; i++) {
            if (has_run(merge, pq_run_name(runs[i])->id)) free = i;
        }
    }
    return free;
}

/// A state whose rows change again and again: once the newer runs are two thirds of the oldest,
/// much of them is the same rows. So a state takes 5/3 of its size; a row is written 5/2 times
/// more.
static bool is_hot(struct pq_run *const *runs, size_t total) {
    uint64_t newer = 0;
    for (size_t i = 0; i + 1 < total; i++) newer += pq_run_name(runs[i])->length;
    return total >= 2 && newer * 3 >= pq_run_name(runs[total - 1])->length * 2;
}

struct pq_db_runs_due pq_db_runs_due(const pqdb_db *db, const struct pq_db_token_bound *tokens,
                                     struct pq_run *const *runs, size_t total) {
    struct pq_db_runs_due due = {0};
    const size_t free = free_runs(db, runs, total);
    bool takes_oldest = false;
    if (tokens == NULL) {
        due.count = pq_runs_to_merge(runs, free, &due.first);
        takes_oldest = due.count == 0 && free == total && is_hot(runs, total);
    } else if (free == total) {
        takes_oldest = total >= PQ_RUN_MERGE_MAX || pq_db_tokens_overflow(tokens, runs, total);
    }
    if (takes_oldest) {
        due.count = total < PQ_RUN_MERGE_MAX ? total : PQ_RUN_MERGE_MAX;
        due.first = total - due.count;
    }
    for (size_t i = 0; i < due.count; i++) due.bytes += pq_run_name(runs[due.first + i])->length;
    return due;
}

/// Is what is due of this state at most `bytes_max`, and less than what was found before?
static void consider(pqdb_db *db, const struct pq_trace *trace, uint64_t bytes_max,
                     struct pq_db_run_merge *merge) {
    const struct pq_db_token_bound bound = {
        .tokens_max = db->tokens_max, .now_us = pq_log_time_us(db->log), .end = db->version};
    const bool is_of_tokens = trace == &db->tokens;
    const struct pq_db_runs_due due = pq_db_runs_due(db, is_of_tokens ? &bound : NULL,
                                                     trace->runs, trace->run_count);
    if (due.count == 0 || due.bytes > bytes_max) return;
    if (merge->count > 0 && merge->bytes <= due.bytes) return;
    *merge = (struct pq_db_run_merge){
        .db = db, .count = due.count, .bytes = due.bytes, .is_of_tokens = is_of_tokens,
        .drop_dead = due.first + due.count == trace->run_count, .bound = bound};
    for (size_t i = 0; i < due.count; i++) merge->runs[i] = trace->runs[due.first + i];
}

/// Each state that the next root will name, and the tokens.
static void each_state(pqdb_db *db, void (*each)(void *ctx, const struct pq_trace *trace),
                       void *ctx) {
    const struct pq_db_tables *tables = db->tables;
    each(ctx, &db->tokens);
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_db_table *table = tables->at[i];
        struct pq_node *node = pq_db_node(db, table);
        if (node == NULL || table->facts.failed || table->facts.unbuilt) continue;
        size_t count;
        const struct pq_node_part *parts = pq_node_parts(node, &count);
        for (size_t k = 0; k < count; k++) {
            if (parts[k].is_there) each(ctx, parts[k].trace);
        }
    }
}

struct choice {
    pqdb_db *db;
    uint64_t bytes_max;
    struct pq_db_run_merge merge;
};

static void consider_for(void *ctx, const struct pq_trace *trace) {
    struct choice *choice = ctx;
    consider(choice->db, trace, choice->bytes_max, &choice->merge);
}

/// Under `refreshing`: the smallest merge that is due, of at most `bytes_max`, is begun; NULL:
/// there is none.
static pqdb_code begin(pqdb_db *db, uint64_t bytes_max, struct pq_db_run_merge **begun,
                       pqdb_error *err) {
    struct choice choice = {.db = db, .bytes_max = bytes_max};
    *begun = NULL;
    db->runs_wait = false;
    pthread_mutex_lock(&db->leader);
    if (!db->broken) each_state(db, consider_for, &choice);
    pthread_mutex_unlock(&db->leader);
    if (choice.merge.count == 0) return PQDB_OK;
    struct pq_db_run_merge *merge = pq_resize(db->alloc, NULL, 0, 1, sizeof *merge);
    if (merge == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a merge of runs");
    *merge = choice.merge;
    for (size_t i = 0; i < merge->count; i++) pq_run_ref(merge->runs[i]);
    merge->id = ++db->run_id;
    merge->next = db->run_merges;
    db->run_merges = *begun = merge;
    return PQDB_OK;
}

/// Under `refreshing`. What it made goes as well, unless a root names it.
static void drop(struct pq_db_run_merge *merge) {
    pqdb_db *db = merge->db;
    struct pq_db_run_merge **link = &db->run_merges;
    while (*link != merge) link = &(*link)->next;
    *link = merge->next;
    for (size_t i = 0; i < merge->count; i++) pq_run_unref(merge->runs[i]);
    pq_run_unref(merge->merged);
    if (!merge->is_named) pq_db_run_remove(db, merge->id);
    pq_free(db->alloc, merge, 1, sizeof *merge);
}

// ---- merging ------------------------------------------------------------------------------------

static pqdb_code run(struct pq_db_run_merge *merge, pqdb_error *err);

/// A database that closes does not wait; small merges do not either.
static pqdb_code pause(void *ctx, pqdb_error *err) {
    const struct pq_db_run_merge *merge = ctx;
    pqdb_db *db = merge->db;
    if (db->closes) return pq_fail(err, PQDB_CONFLICT, "the database is being closed");
    // Whoever has the lock now may leave more to do: the next pause sees it.
    if (!db->runs_wait || pthread_mutex_trylock(&db->refreshing) != 0) return PQDB_OK;
    struct pq_db_run_merge *smaller;
    const pqdb_code code = begin(db, merge->bytes / smaller_share, &smaller, err);
    pthread_mutex_unlock(&db->refreshing);
    return code == PQDB_OK && smaller != NULL ? run(smaller, err) : code;
}

static pqdb_code write_merged(struct pq_db_run_merge *merge, struct pq_run **merged,
                              pqdb_error *err) {
    pqdb_db *db = merge->db;
    const struct pq_run_io io = pq_db_run_io(db);
    const struct pq_alloc *alloc = &db->memory.states.alloc;
    const struct pq_run_place place = {.io = &io, .id = merge->id, .alloc = alloc};
    struct pq_run_merge given = {.runs = merge->runs, .count = merge->count,
                                 .drop_dead = merge->drop_dead,
                                 .pause = pause, .pause_ctx = merge};
    if (merge->is_of_tokens) {
        PQ_TRY(pq_db_tokens_choose(&merge->bound, merge->runs, merge->count, db->alloc, err));
        given.stays = pq_db_token_stays;
        given.ctx = &merge->bound;
    }
    struct pq_run_name name;
    PQ_TRY(pq_run_merge(&given, &place, &name, err));
    if (name.rows == 0) return PQDB_OK;
    PQ_TRY(pq_run_open(&io, &name, alloc, merged, err));
    return pq_run_kind(*merged) == PQ_TRACE_NEWEST_WINS ? pq_run_warm(*merged, err) : PQDB_OK;
}

/// No lock held: nobody else looks at what it makes until it is done.
static pqdb_code run(struct pq_db_run_merge *merge, pqdb_error *err) {
    pqdb_db *db = merge->db;
    struct pq_run *merged = NULL;
    const pqdb_code code = write_merged(merge, &merged, err);
    pthread_mutex_lock(&db->refreshing);
    merge->merged = merged;
    merge->is_done = code == PQDB_OK;
    if (code != PQDB_OK) drop(merge);
    pthread_mutex_unlock(&db->refreshing);
    return code;
}

pqdb_code pq_db_merge_runs(pqdb_db *db, bool *merged, pqdb_error *err) {
    struct pq_db_run_merge *merge = NULL;
    pqdb_code code = PQDB_OK;
    *merged = false;
    pthread_mutex_lock(&db->refreshing);
    if (!db->merges_runs) code = begin(db, UINT64_MAX, &merge, err);
    if (merge != NULL) db->merges_runs = true;
    pthread_mutex_unlock(&db->refreshing);
    if (merge == NULL) return code;
    code = run(merge, err);
    pthread_mutex_lock(&db->refreshing);
    db->merges_runs = false;
    pthread_mutex_unlock(&db->refreshing);
    *merged = code == PQDB_OK;
    return code;
}

// ---- into a checkpoint --------------------------------------------------------------------------

bool pq_db_run_merge_waits(const pqdb_db *db) {
    for (const struct pq_db_run_merge *merge = db->run_merges; merge != NULL; merge = merge->next) {
        if (merge->is_done) return true;
    }
    return false;
}

/// The first of its runs among these; they stand together, or not at all.
static bool find_first(const struct pq_db_run_merge *merge, struct pq_run *const *runs,
                       size_t total, size_t *first) {
    for (*first = 0; *first < total; ++*first) {
        if (pq_run_name(runs[*first])->id == pq_run_name(merge->runs[0])->id) break;
    }
    if (total - *first < merge->count) return false;
    for (size_t i = 0; i < merge->count; i++) {
        if (!has_run(merge, pq_run_name(runs[*first + i])->id)) return false;
    }
    return true;
}

bool pq_db_run_merge_take(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_run *const *runs,
                          size_t total) {
    for (struct pq_db_run_merge *merge = db->run_merges; merge != NULL; merge = merge->next) {
        size_t first;
        if (!merge->is_done || !find_first(merge, runs, total, &first)) continue;
        merge->is_wanted = true;
        if (cut->taken != NULL) continue;  // one at a time
        merge->is_named = true;
        cut->taken = merge;
        cut->merge_first = first;
        cut->merge_count = merge->count;
        cut->merged = merge->merged == NULL ? NULL : pq_run_ref(merge->merged);
        if (cut->tokens != NULL) cut->tokens->from = merge->bound.from;
    }
    return cut->taken != NULL;
}

void pq_db_run_merge_taken(struct pq_db_cut_state *cut) {
    if (cut->taken != NULL) cut->taken->is_over = true;
}

void pq_db_run_merges_end(pqdb_db *db) {
    for (struct pq_db_run_merge *merge = db->run_merges, *next; merge != NULL; merge = next) {
        next = merge->next;
        if (!merge->is_done) continue;
        if (merge->is_over || !merge->is_wanted) drop(merge);
        else merge->is_wanted = false;
    }
}

bool pq_db_merges_run(const pqdb_db *db, uint64_t id) {
    for (const struct pq_db_run_merge *merge = db->run_merges; merge != NULL; merge = merge->next) {
        if (merge->id == id || has_run(merge, id)) return true;
    }
    return false;
}

void pq_db_run_merges_close(pqdb_db *db) {
    while (db->run_merges != NULL) drop(db->run_merges);
}

// ---- behind the writers -------------------------------------------------------------------------

static void count_runs(void *ctx, const struct pq_trace *trace) {
    size_t *most = ctx;
    if (trace->run_count > *most) *most = trace->run_count;
}

uint32_t pq_db_run_backlog(pqdb_db *db) {
    size_t most = 0;
    each_state(db, count_runs, &most);
    return most >= runs_max ? PQ_DB_BACKLOG_FULL
                            : (uint32_t)(most * PQ_DB_BACKLOG_FULL / runs_max);
}
