/// state/trace_runs.c: freezing, writing, installing, evicting, and walking everything.
#include "base/check.h"
#include "base/fail.h"
#include "state/multiset_internal.h"
#include "state/trace_internal.h"

pqdb_code pq_trace_open(struct pq_trace *trace, const struct pq_run_io *io,
                        const struct pq_run_name *runs, size_t run_count, pqdb_error *err) {
    pq_assert(trace->run_count == 0 && trace->slabs == NULL);
    if (run_count == 0) return PQDB_OK;
    struct pq_run **opened = pq_resize(trace->alloc, NULL, 0, run_count, sizeof(struct pq_run *));
    if (opened == NULL) return pq_fail(err, PQDB_NO_MEMORY, "state of %zu runs", run_count);
    for (size_t i = 0; i < run_count; i++) {
        pqdb_code code = pq_run_open(io, &runs[i], trace->alloc, &opened[i], err);
        if (code == PQDB_OK && pq_run_kind(opened[i]) != trace->kind) {
            pq_run_unref(opened[i]);
            code = pq_fail(err, PQDB_CORRUPT, "state run %llu is of another kind",
                           (unsigned long long)runs[i].id);
        }
        if (code != PQDB_OK) {
            while (i-- > 0) pq_run_unref(opened[i]);
            pq_free(trace->alloc, opened, run_count, sizeof(struct pq_run *));
            return code;
        }
    }
    trace->runs = opened;
    trace->run_count = trace->run_capacity = run_count;
    return PQDB_OK;
}

struct pq_trace_frozen pq_trace_freeze(struct pq_trace *trace) {
    struct pq_multiset *multiset = trace->multiset;
    if (multiset != NULL && multiset->pieces != NULL) weighted_sort(&multiset->pieces->rows);
    const struct pq_trace_frozen frozen = {
        .newest = trace->dirty_slabs > 0 ? trace->slabs : NULL,
        .slab_count = trace->dirty_slabs,
        .epoch = trace->epoch,
        .first_run = trace->run_count == 0,
        .kind = trace->kind,
        .pieces = multiset == NULL ? NULL : multiset->pieces,
    };
    trace->epoch++;
    return frozen;
}

struct sorted_row {
    uint64_t hash;
    const struct pq_trace_row *row;
};

/// By hash, eight passes of eight bits; stable, so that newer rows of a key stay in front.
static void sort_by_hash(struct sorted_row *rows, struct sorted_row *other, size_t count) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t starts[256] = {0};
        for (size_t i = 0; i < count; i++) starts[rows[i].hash >> shift & 255]++;
        size_t start = 0;
        for (size_t i = 0; i < 256; i++) {
            const size_t here = starts[i];
            starts[i] = start;
            start += here;
        }
        for (size_t i = 0; i < count; i++) {
            other[starts[rows[i].hash >> shift & 255]++] = rows[i];
        }
        struct sorted_row *swap = rows;
        rows = other;
        other = swap;
    }
}

static int compare_keys(const struct sorted_row *a, const struct sorted_row *b) {
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return pq_text_compare(pq_trace_key(a->row), pq_trace_key(b->row));
}

/// Keys of one hash by their bytes, the newest row of a key first. Such keys are few.
static void sort_equal_hashes(struct sorted_row *rows, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const struct sorted_row row = rows[i];
        size_t at = i;
        for (; at > 0 && rows[at - 1].hash == row.hash; at--) {
            const int order = compare_keys(&rows[at - 1], &row);
            if (order < 0 || (order == 0 && rows[at - 1].row->epoch >= row.row->epoch)) break;
            rows[at] = rows[at - 1];
        }
        rows[at] = row;
    }
}

static size_t collect(const struct pq_trace_frozen *frozen, struct sorted_row *rows) {
    size_t count = 0;
    const struct pq_trace_slab *slab = frozen->newest;
    for (size_t left = frozen->slab_count; left > 0; left--) {
        for (const struct pq_trace_row *row = slab_first(slab); row != NULL;
             row = slab_next(slab, row)) {
            if ((row->flags & PQ_TRACE_REPLACED) != 0) continue;
            if (rows != NULL) rows[count] = (struct sorted_row){row->hash, row};
            count++;
        }
        if (left > 1) slab = slab->older;  // the link behind the last one may be changing
    }
    return count;
}

static pqdb_code write_sorted(const struct pq_trace_frozen *frozen, const struct sorted_row *rows,
                              size_t count, struct pq_run_writer *writer, pqdb_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && compare_keys(&rows[i - 1], &rows[i]) == 0) continue;
        const struct pq_trace_row *row = rows[i].row;
        const bool dead = (row->flags & PQ_TRACE_DEAD) != 0;
        if (dead && frozen->first_run) continue;
        const struct pq_run_row out = {
            .hash = row->hash,
            .key = pq_trace_key(row),
            .payload = {(const char *)pq_trace_payload((struct pq_trace_row *)(uintptr_t)row),
                        row->payload_bytes},
            .dead = dead,
        };
        PQ_TRY(pq_run_writer_append(writer, &out, err));
    }
    return PQDB_OK;
}

pqdb_code pq_trace_write(const struct pq_trace_frozen *frozen, const struct pq_run_place *place,
                         struct pq_run_name *name, pqdb_error *err) {
    *name = (struct pq_run_name){.id = place->id};
    if (frozen->kind == PQ_TRACE_WEIGHTS_ADD) return multiset_write(frozen, place, name, err);
    const size_t count = collect(frozen, NULL);
    if (count == 0) return PQDB_OK;
    struct sorted_row *rows = pq_resize(place->alloc, NULL, 0, count, 2 * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "sorting %zu rows of state", count);
    collect(frozen, rows);
    sort_by_hash(rows, rows + count, count);
    sort_equal_hashes(rows, count);

    // Tombstones alone need no first run.
    bool any = !frozen->first_run;
    for (size_t i = 0; i < count && !any; i++) any = (rows[i].row->flags & PQ_TRACE_DEAD) == 0;
    struct pq_run_writer *writer = NULL;
    pqdb_code code = PQDB_OK;
    if (!any) goto done;
    PQ_GO(pq_run_writer_create(place, PQ_TRACE_NEWEST_WINS, count, &writer, err));
    PQ_GO(write_sorted(frozen, rows, count, writer, err));
    PQ_GO(pq_run_writer_finish(writer, name, err));
done:
    pq_run_writer_destroy(writer);
    pq_free(place->alloc, rows, count, 2 * sizeof *rows);
    return code;
}

/// Is it worth emptying? Rows that are no longer touched would hold the slabs of long gone epochs.
/// A row moves only after three times its bytes around it were replaced, so this is paid for.
static bool is_sparse(const struct pq_trace *trace, const struct pq_trace_slab *slab) {
    return slab->epoch <= trace->clean_epoch && slab->live_bytes < slab->capacity / 4 &&
           slab != trace->tidied;
}

/// The rows of a sparse slab that are still the newest of their keys go to `target`, with room
/// for them. Returns how many were looked at.
static size_t move_rows(struct pq_trace *trace, struct pq_trace_slab *slab,
                        struct pq_trace_slab *target) {
    size_t looked = 0;
    for (struct pq_trace_row *row = slab_first(slab); row != NULL && slab->live_bytes > 0;
         row = slab_next(slab, row)) {
        looked++;
        uint64_t *slot = trace_slot_of(trace, row->hash, pq_trace_key(row));
        if (slot == NULL || slot_row(*slot) != row) continue;
        const size_t bytes = trace_row_bytes(row);
        slab->live_bytes -= bytes;
        if ((row->flags & PQ_TRACE_DEAD) != 0) {
            *slot = TRACE_SLOT_LEFT;  // the runs have its tombstone
            continue;
        }
        struct pq_trace_row *moved =
            (struct pq_trace_row *)(uintptr_t)(target->room + target->used);
        memcpy(moved, row, bytes);
        moved->slab = target->number;
        target->used += bytes;
        target->live_bytes += bytes;
        *slot = (*slot & ~TRACE_ADDRESS_MASK) | (uint64_t)(uintptr_t)moved;
    }
    return looked;
}

static struct pq_trace_slab **dirty_end(struct pq_trace *trace) {
    struct pq_trace_slab **end = &trace->slabs;
    while (*end != NULL && (*end)->epoch > trace->clean_epoch) end = &(*end)->older;
    return end;
}

/// Room for `bytes` of rows in the slab that takes what is left of sparse ones, `all_bytes` in
/// all; false when memory is out.
static bool reserve_tidied(struct pq_trace *trace, size_t bytes, size_t all_bytes) {
    const struct pq_trace_slab *there = trace->tidied;
    if (there != NULL && bytes <= there->capacity - there->used) return true;
    size_t capacity = all_bytes < PQ_TRACE_SLAB_BYTES ? all_bytes : PQ_TRACE_SLAB_BYTES;
    if (capacity < bytes) capacity = bytes;
    struct pq_trace_slab *made = trace_make_slab(trace, capacity, trace->clean_epoch, NULL);
    if (made == NULL) return false;
    struct pq_trace_slab **end = dirty_end(trace);
    made->older = *end;
    *end = trace->tidied = made;
    return true;
}

size_t pq_trace_tidy(struct pq_trace *trace, size_t rows_max) {
    size_t left = 0;  // bytes
    for (const struct pq_trace_slab *slab = trace->slabs; slab != NULL; slab = slab->older) {
        if (is_sparse(trace, slab)) left += slab->live_bytes;
    }
    struct pq_trace_slab *slab = *dirty_end(trace);
    while (slab != NULL) {
        struct pq_trace_slab *older = slab->older;
        if (is_sparse(trace, slab)) {
            const size_t bytes = slab->live_bytes;
            if (rows_max == 0) return 0;
            if (bytes > 0 && !reserve_tidied(trace, bytes, left)) break;  // they stay for now
            const size_t looked = move_rows(trace, slab, trace->tidied);
            rows_max -= looked < rows_max ? looked : rows_max;
            left -= bytes;
            trace_free_slab(trace, slab);
        }
        slab = older;
    }
    trace->tidied = NULL;
    return rows_max;
}

pqdb_code pq_trace_install(struct pq_trace *trace, const struct pq_trace_frozen *frozen,
                           struct pq_run *run, pqdb_error *err) {
    pq_assert(frozen->epoch < trace->epoch);
    if (run != NULL && trace->run_count == trace->run_capacity) {
        const size_t capacity = trace->run_capacity + PQ_RUN_MERGE_MAX;
        void *grown = pq_resize(trace->alloc, trace->runs, trace->run_capacity, capacity,
                                sizeof(struct pq_run *));
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu runs of state", capacity);
        trace->runs = grown;
        trace->run_capacity = capacity;
    }
    if (run != NULL) {
        memmove(trace->runs + 1, trace->runs, trace->run_count * sizeof(struct pq_run *));
        trace->runs[0] = pq_run_ref(run);
        trace->run_count++;
    }
    trace->clean_epoch = frozen->epoch;
    if (trace->multiset != NULL) multiset_drop(trace->multiset, frozen->epoch);
    trace->dirty_slabs = trace->dirty_bytes = 0;
    for (const struct pq_trace_slab *slab = trace->slabs;
         slab != NULL && slab->epoch > trace->clean_epoch; slab = slab->older) {
        trace->dirty_slabs++;
        trace->dirty_bytes += sizeof *slab + slab->capacity;
    }
    return PQDB_OK;
}

void pq_trace_replace(struct pq_trace *trace, size_t first, size_t count, struct pq_run *merged) {
    pq_assert(first + count <= trace->run_count && count > 0);
    for (size_t i = 0; i < count; i++) pq_run_unref(trace->runs[first + i]);
    const size_t kept = merged != NULL ? 1 : 0;
    if (merged != NULL) trace->runs[first] = pq_run_ref(merged);
    memmove(trace->runs + first + kept, trace->runs + first + count,
            (trace->run_count - first - count) * sizeof(struct pq_run *));
    trace->run_count -= count - kept;
}

/// No row is in memory: then no slot is needed.
static void drop_slots(struct pq_trace *trace) {
    pq_free(trace->alloc, trace->slots, trace->slot_count, sizeof *trace->slots);
    trace->bytes_held -= trace->slot_count * sizeof *trace->slots;
    trace->slots = NULL;
    trace->slot_count = trace->slots_used = 0;
}

size_t pq_trace_evict(struct pq_trace *trace, size_t bytes_max, size_t rows_max) {
    while (trace->bytes_held > bytes_max) {
        struct pq_trace_slab *oldest = NULL;
        for (struct pq_trace_slab *slab = trace->slabs; slab != NULL; slab = slab->older) {
            if (slab->epoch <= trace->clean_epoch) oldest = slab;
        }
        if (oldest == NULL) break;
        size_t left = oldest->live_bytes;
        for (struct pq_trace_row *row = slab_first(oldest); row != NULL && left > 0;
             row = slab_next(oldest, row)) {
            if (rows_max == 0) return 0;
            rows_max--;
            uint64_t *slot = trace_slot_of(trace, row->hash, pq_trace_key(row));
            if (slot == NULL || slot_row(*slot) != row) continue;
            *slot = TRACE_SLOT_LEFT;
            if ((row->flags & PQ_TRACE_DEAD) == 0) trace->live_rows--;
            left -= trace_row_bytes(row);
            oldest->live_bytes = left;
        }
        trace_free_slab(trace, oldest);
    }
    if (trace->slabs == NULL && trace->slots != NULL) drop_slots(trace);
    return rows_max;
}

/// A run on its way through `each`.
struct walked {
    struct pq_run_cursor cursor;
    struct pq_run_row row;
    bool more;
};

static pqdb_code advance(struct walked *walked, pqdb_error *err) {
    return pq_run_cursor_next(&walked->cursor, &walked->row, &walked->more, err);
}

/// The newest of the runs with the smallest key, or NULL behind the last.
static struct walked *smallest(struct walked *runs, size_t count) {
    struct walked *best = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!runs[i].more) continue;
        if (best == NULL || pq_run_compare(&runs[i].row, &best->row) < 0) best = &runs[i];
    }
    return best;
}

/// Rows of the runs that memory does not know, the newest of each key, all runs side by side.
static pqdb_code each_in_runs(struct pq_trace *trace,
                              pqdb_code (*each)(void *ctx, const struct pq_run_row *row,
                                                pqdb_error *err),
                              void *ctx, pqdb_error *err) {
    const size_t count = trace->run_count;
    if (count == 0) return PQDB_OK;
    struct walked *runs = pq_resize(trace->alloc, NULL, 0, count, sizeof *runs);
    if (runs == NULL) return pq_fail(err, PQDB_NO_MEMORY, "walking %zu runs of state", count);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; i < count; i++) {
        pq_run_cursor_init(&runs[i].cursor, trace->runs[i], trace->alloc);
    }
    for (size_t i = 0; i < count; i++) PQ_GO(advance(&runs[i], err));
    for (struct walked *best; (best = smallest(runs, count)) != NULL;) {
        const struct pq_run_row row = best->row;
        for (struct walked *older = best + 1; older < runs + count; older++) {
            if (older->more && pq_run_compare(&older->row, &row) == 0) PQ_GO(advance(older, err));
        }
        const bool is_known = row.dead || trace_slot_of(trace, row.hash, row.key) != NULL;
        if (!is_known) PQ_GO(each(ctx, &row, err));
        PQ_GO(advance(best, err));
    }
done:
    for (size_t i = 0; i < count; i++) pq_run_cursor_deinit(&runs[i].cursor);
    pq_free(trace->alloc, runs, count, sizeof *runs);
    return code;
}

pqdb_code pq_trace_each(struct pq_trace *trace,
                        pqdb_code (*each)(void *ctx, const struct pq_run_row *row,
                                          pqdb_error *err),
                        void *ctx, pqdb_error *err) {
    for (size_t i = 0; i < trace->slot_count; i++) {
        if (trace->slots[i] <= TRACE_SLOT_LEFT) continue;
        struct pq_trace_row *row = slot_row(trace->slots[i]);
        if ((row->flags & PQ_TRACE_DEAD) != 0) continue;
        const struct pq_run_row out = {
            .hash = row->hash,
            .key = pq_trace_key(row),
            .payload = {(const char *)pq_trace_payload(row), row->payload_bytes},
        };
        PQ_TRY(each(ctx, &out, err));
    }
    return each_in_runs(trace, each, ctx, err);
}
