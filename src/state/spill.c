#include "state/spill.h"

#include "base/fail.h"

enum { first_tier_bytes = 256 << 10, tier_bits = 3 };

static unsigned tier_of(const struct pq_run *run) {
    unsigned tier = 0;
    for (uint64_t bytes = first_tier_bytes; pq_run_name(run)->length > bytes; bytes <<= tier_bits) {
        tier++;
    }
    return tier;
}

/// Runs in front of which none is of a higher tier, for the lowest tier that has enough of them.
size_t pq_runs_to_merge(struct pq_run *const *runs, size_t count, size_t *first) {
    size_t low = 0;
    for (unsigned tier = 0; low < count; tier++) {
        while (low < count && tier_of(runs[low]) <= tier) low++;
        if (low < PQ_RUN_MERGE_MAX) continue;
        *first = low - PQ_RUN_MERGE_MAX;
        return PQ_RUN_MERGE_MAX;
    }
    return 0;
}

static pqdb_code write_changes(struct pq_trace *trace, const struct pq_spill *spill,
                               const struct pq_trace_frozen *frozen, pqdb_error *err) {
    const struct pq_run_place place = {&spill->io, spill->next_id(spill->ctx), trace->alloc};
    struct pq_run_name name;
    struct pq_run *run = NULL;
    PQ_TRY(pq_trace_write(frozen, &place, &name, err));
    if (name.rows > 0) PQ_TRY(pq_run_open(&spill->io, &name, trace->alloc, &run, err));
    const pqdb_code code = pq_trace_install(trace, frozen, run, err);
    pq_run_unref(run);
    return code;
}

static pqdb_code merge_runs(struct pq_trace *trace, const struct pq_spill *spill,
                            pqdb_error *err) {
    size_t first;
    for (;;) {
        const size_t count = pq_runs_to_merge(trace->runs, trace->run_count, &first);
        if (count == 0) return PQDB_OK;
        const struct pq_run_place place = {&spill->io, spill->next_id(spill->ctx), trace->alloc};
        const struct pq_run_merge merge = {.runs = trace->runs + first, .count = count,
                                           .drop_dead = first + count == trace->run_count};
        struct pq_run_name name;
        struct pq_run *merged = NULL;
        PQ_TRY(pq_run_merge(&merge, &place, &name, err));
        if (name.rows > 0) PQ_TRY(pq_run_open(&spill->io, &name, trace->alloc, &merged, err));
        pq_trace_replace(trace, first, count, merged);
        pq_run_unref(merged);
    }
}

pqdb_code pq_trace_spill(struct pq_trace *trace, const struct pq_spill *spill, pqdb_error *err) {
    const struct pq_trace_frozen frozen = pq_trace_freeze(trace);
    PQ_TRY(write_changes(trace, spill, &frozen, err));
    pq_trace_evict(trace, 0, SIZE_MAX);
    return merge_runs(trace, spill, err);
}
