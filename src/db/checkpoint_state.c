/// db/checkpoint_state.c: one trace's part of a checkpoint: groups, counts, multisets, tokens.
#include "base/fail.h"
#include "db/checkpoint_internal.h"

enum { state_runs_max = PQ_RUN_MERGE_MAX };

void pq_db_cut_freeze(struct pq_db_cut_state *cut, const char *name, struct pq_trace *trace) {
    *cut = (struct pq_db_cut_state){
        .name = name, .trace = trace, .frozen = pq_trace_freeze(trace)};
}

void pq_db_cut_deinit(struct pq_db_cut_state *cut) {
    pq_run_unref(cut->opened);
    pq_run_unref(cut->merged);
}

/// All runs of the state, newest first, as one.
static pqdb_code merge_runs(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_run *const *runs,
                            size_t count, pqdb_error *err) {
    const struct pq_run_io io = pq_db_run_io(db);
    const struct pq_run_place place = {.io = &io, .id = ++db->run_id, .alloc = db->alloc};
    struct pq_run_merge merge = {.runs = runs, .count = count, .drop_dead = true};
    if (cut->tokens != NULL) {
        PQ_TRY(pq_db_tokens_choose(cut->tokens, runs, count, db->alloc, err));
        merge.stays = pq_db_token_stays;
        merge.ctx = cut->tokens;
    }
    struct pq_run_name name;
    PQ_TRY(pq_run_merge(&merge, &place, &name, err));
    if (name.rows > 0) PQ_TRY(pq_run_open(&io, &name, db->alloc, &cut->merged, err));
    cut->merges = true;
    return PQDB_OK;
}

pqdb_code pq_db_cut_write(pqdb_db *db, struct pq_db_cut_state *cut, struct pq_arena *arena,
                          struct pq_root_state *state, pqdb_error *err) {
    const struct pq_run_io io = pq_db_run_io(db);
    const struct pq_run_place place = {.io = &io, .id = ++db->run_id, .alloc = db->alloc};
    struct pq_run_name run;
    PQ_TRY(pq_trace_write(&cut->frozen, &place, &run, err));
    if (run.rows > 0) PQ_TRY(pq_run_open(&io, &run, db->alloc, &cut->opened, err));
    const size_t old = cut->trace->run_count;
    struct pq_run_name *all = pq_arena_calloc(arena, old + 1, sizeof *all);
    struct pq_run **runs = pq_arena_calloc(arena, old + 1, sizeof(struct pq_run *));
    const struct pq_text name = pq_arena_copy(arena, pq_text_of(cut->name));
    if (all == NULL || runs == NULL || name.data == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a list of runs");
    }
    size_t total = 0;
    if (cut->opened != NULL) runs[total++] = cut->opened;
    for (size_t i = 0; i < old; i++) runs[total++] = cut->trace->runs[i];
    const bool overflows = cut->tokens != NULL && pq_db_tokens_overflow(cut->tokens, runs, total);
    if (total >= state_runs_max || overflows) {
        PQ_TRY(merge_runs(db, cut, runs, total, err));
        runs[0] = cut->merged;
        total = cut->merged != NULL ? 1 : 0;
    }
    for (size_t i = 0; i < total; i++) all[i] = *pq_run_name(runs[i]);
    *state = (struct pq_root_state){.name = name, .runs = all, .run_count = total};
    return PQDB_OK;
}

pqdb_code pq_db_cut_install(struct pq_db_cut_state *cut, pqdb_error *err) {
    PQ_TRY(pq_trace_install(cut->trace, &cut->frozen, cut->opened, err));
    if (cut->merges) pq_trace_replace(cut->trace, 0, cut->trace->run_count, cut->merged);
    return PQDB_OK;
}
