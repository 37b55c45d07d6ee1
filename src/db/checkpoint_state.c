/// db/checkpoint_state.c: one trace's part of a checkpoint: groups, counts, multisets, tokens.
#include "base/fail.h"
#include "db/cut_internal.h"

void pq_db_cut_freeze(struct pq_db_cut_state *cut, const char *name, struct pq_trace *trace) {
    *cut = (struct pq_db_cut_state){
        .name = name, .trace = trace, .frozen = pq_trace_freeze(trace)};
}

void pq_db_cut_deinit(struct pq_db_cut_state *cut) {
    pq_run_unref(cut->opened);
    pq_run_unref(cut->merged);
}

/// Runs [merge_first, merge_first + merge_count) of the state as one.
static pqdb_code merge_runs(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_run *const *runs,
                            size_t total, pqdb_error *err) {
    const struct pq_run_io io = pq_db_run_io(db);
    const struct pq_alloc *alloc = &db->memory.states.alloc;
    const struct pq_run_place place = {.io = &io, .id = ++db->run_id, .alloc = alloc};
    const bool has_oldest = cut->merge_first + cut->merge_count == total;
    struct pq_run_merge merge = {.runs = runs + cut->merge_first, .count = cut->merge_count,
                                 .drop_dead = has_oldest};
    if (cut->tokens != NULL && has_oldest) {
        PQ_TRY(pq_db_tokens_choose(cut->tokens, runs, total, db->alloc, err));
        merge.stays = pq_db_token_stays;
        merge.ctx = cut->tokens;
    }
    struct pq_run_name name;
    PQ_TRY(pq_run_merge(&merge, &place, &name, err));
    return name.rows == 0 ? PQDB_OK : pq_run_open(&io, &name, alloc, &cut->merged, err);
}

/// What of them becomes one: what was merged beside the cut, or what is due and not too much.
static pqdb_code merge_some(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_run *const *runs,
                            size_t total, pqdb_error *err) {
    if (pq_db_run_merge_take(db, cut, runs, total)) return PQDB_OK;
    const struct pq_db_runs_due due = pq_db_runs_due(db, cut->tokens, runs, total);
    if (due.bytes > db->cut_run_bytes_left) {
        db->runs_wait = true;
        return PQDB_OK;
    }
    db->cut_run_bytes_left -= due.bytes;
    cut->merge_first = due.first;
    cut->merge_count = due.count;
    return due.count > 0 ? merge_runs(db, cut, runs, total, err) : PQDB_OK;
}

pqdb_code pq_db_cut_write(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_arena *arena,
                          struct pq_root_state *state, pqdb_error *err) {
    const struct pq_run_io io = pq_db_run_io(db);
    const struct pq_alloc *alloc = &db->memory.states.alloc;
    const struct pq_run_place place = {.io = &io, .id = ++db->run_id, .alloc = alloc};
    struct pq_run_name run;
    PQ_TRY(pq_trace_write(&cut->frozen, &place, &run, err));
    if (run.rows > 0) PQ_TRY(pq_run_open(&io, &run, alloc, &cut->opened, err));
    const size_t old = cut->trace->run_count;
    struct pq_run_name *all = pq_arena_calloc(arena, old + 1, sizeof *all);
    struct pq_run **runs = pq_arena_calloc(arena, old + 1, sizeof(struct pq_run *));
    const struct pq_text name = pq_arena_copy(arena, pq_text_of(cut->name));
    if (all == NULL || runs == NULL || name.data == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a list of runs");
    }
    size_t total = 0, kept = 0;
    if (cut->opened != NULL) runs[total++] = cut->opened;
    for (size_t i = 0; i < old; i++) runs[total++] = cut->trace->runs[i];
    PQ_TRY(merge_some(db, cut, runs, total, err));
    for (size_t i = 0; i < total; i++) {
        const bool is_merged = i - cut->merge_first < cut->merge_count;
        if (!is_merged) {
            all[kept++] = *pq_run_name(runs[i]);
        } else if (i == cut->merge_first && cut->merged != NULL) {
            all[kept++] = *pq_run_name(cut->merged);
        }
    }
    *state = (struct pq_root_state){.name = name, .runs = all, .run_count = kept};
    return PQDB_OK;
}

pqdb_code pq_db_cut_install(struct pq_db_cut_state *cut, pqdb_error *err) {
    PQ_TRY(pq_trace_install(cut->trace, &cut->frozen, cut->opened, err));
    if (cut->merge_count > 0) {
        pq_trace_replace(cut->trace, cut->merge_first, cut->merge_count, cut->merged);
    }
    pq_db_run_merge_taken(cut);
    return PQDB_OK;
}
