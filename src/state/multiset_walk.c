/// state/multiset_walk.c: reading a multiset: all its pieces and runs at once, in order.
#include "base/check.h"
#include "base/fail.h"
#include "state/multiset_internal.h"

/// Has this source nothing of the hash left, on the way it goes?
static bool is_over(const struct source *source, enum pq_multiset_way way, uint64_t hash) {
    const struct weighted_rows *rows = source->rows;
    if (way == PQ_MULTISET_UP) {
        return source->at == rows->count || rows->rows[source->at].hash != hash;
    }
    return source->at == 0 || rows->rows[source->at - 1].hash != hash;
}

/// At the end of a run's block: on to the next one.
static pqdb_code turn_page(struct pq_multiset *multiset, struct source *source,
                           enum pq_multiset_way way, pqdb_error *err) {
    const bool is_up = way == PQ_MULTISET_UP;
    if (source->run == NULL || source->at != (is_up ? source->rows->count : 0)) return PQDB_OK;
    if (is_up ? source->block + 1 == source->run->block_count : source->block == 0) return PQDB_OK;
    source->block += is_up ? 1 : -(size_t)1;
    PQ_TRY(run_block_rows(source->run, source->block, &multiset->room, &source->block_rows, err));
    source->at = is_up ? 0 : source->block_rows.count;
    return PQDB_OK;
}

/// The next free source, its block's memory from earlier walks.
static pqdb_code next_source(struct pq_multiset *multiset, struct source **source,
                             pqdb_error *err) {
    if (multiset->walking == multiset->source_count) {
        const size_t count = multiset->source_count + 8;
        struct source *grown = pq_resize(multiset->alloc, multiset->sources,
                                         multiset->source_count, count, sizeof *grown);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a walk over %zu pieces", count);
        for (size_t i = 0; i < count; i++) {
            if (i >= multiset->source_count) {
                grown[i] = (struct source){.rows = NULL};
                weighted_init(&grown[i].block_rows, multiset->alloc);
            } else if (grown[i].run != NULL) {
                grown[i].rows = &grown[i].block_rows;  // it moved
            }
        }
        multiset->sources = grown;
        multiset->source_count = count;
    }
    *source = &multiset->sources[multiset->walking];
    return PQDB_OK;
}

static pqdb_code seek_pieces(struct pq_multiset_walk *walk, const struct pq_trace *trace,
                             struct pq_text key, pqdb_error *err) {
    struct pq_multiset *multiset = walk->trace->multiset;
    for (const struct pq_multiset_piece *piece = trace->multiset->pieces; piece != NULL;
         piece = piece->older) {
        struct source *source;
        PQ_TRY(next_source(multiset, &source, err));
        source->run = NULL;
        source->rows = &piece->rows;
        source->at = weighted_find(&piece->rows, walk->from.hash, key);
        if (!is_over(source, walk->way, walk->from.hash)) multiset->walking++;
    }
    return PQDB_OK;
}

static pqdb_code seek_runs(struct pq_multiset_walk *walk, const struct pq_trace *trace,
                           struct pq_text key, pqdb_error *err) {
    struct pq_multiset *multiset = walk->trace->multiset;
    const struct pq_hashed_key at = {walk->from.hash, key};
    for (size_t i = 0; i < trace->run_count; i++) {
        struct source *source;
        bool may_have;
        PQ_TRY(run_may_have(trace->runs[i], at.hash, &may_have, err));
        if (!may_have) continue;
        PQ_TRY(next_source(multiset, &source, err));
        source->run = trace->runs[i];
        source->rows = &source->block_rows;
        PQ_TRY(run_block_of(source->run, &at, &multiset->room, &source->block, err));
        PQ_TRY(run_block_rows(source->run, source->block, &multiset->room, &source->block_rows,
                              err));
        source->at = weighted_find(source->rows, at.hash, key);
        PQ_TRY(turn_page(multiset, source, walk->way, err));
        if (!is_over(source, walk->way, at.hash)) multiset->walking++;
    }
    return PQDB_OK;
}

/// The trace and those it branches from, ready to be walked.
static pqdb_code sort_all(struct pq_trace *trace, pqdb_error *err) {
    for (struct pq_trace *at = trace; at != NULL; at = at->parent) {
        if (at->multiset == NULL) PQ_TRY(multiset_create(at->alloc, &at->multiset, err));
        PQ_TRY(multiset_sort(at->multiset, at->epoch, err));
    }
    return PQDB_OK;
}

pqdb_code pq_multiset_seek(struct pq_trace *trace, const struct pq_multiset_place *from,
                           enum pq_multiset_way way, struct pq_multiset_walk *walk,
                           pqdb_error *err) {
    pq_assert(trace->kind == PQ_TRACE_WEIGHTS_ADD);
    *walk = (struct pq_multiset_walk){.trace = trace, .from = *from, .way = way};
    PQ_TRY(sort_all(trace, err));
    struct pq_multiset *multiset = trace->multiset;
    multiset->walking = 0;
    multiset->key.length = 0;
    PQ_TRY(pq_bytes_append_text(&multiset->key, from->group, err));
    PQ_TRY(pq_bytes_append_text(&multiset->key, from->value, err));
    for (const struct pq_trace *at = trace; at != NULL; at = at->parent) {
        PQ_TRY(seek_pieces(walk, at, pq_bytes_text(&multiset->key), err));
        PQ_TRY(seek_runs(walk, at, pq_bytes_text(&multiset->key), err));
    }
    return PQDB_OK;
}

static size_t current(const struct source *source, enum pq_multiset_way way) {
    return way == PQ_MULTISET_UP ? source->at : source->at - 1;
}

/// The source whose row comes next.
static const struct source *next_of(const struct pq_multiset *multiset,
                                    enum pq_multiset_way way) {
    const struct source *best = &multiset->sources[0];
    for (size_t i = 1; i < multiset->walking; i++) {
        const struct source *source = &multiset->sources[i];
        const int order = pq_text_compare(weighted_key(source->rows, current(source, way)),
                                          weighted_key(best->rows, current(best, way)));
        if (way == PQ_MULTISET_UP ? order < 0 : order > 0) best = source;
    }
    return best;
}

/// Take the key in multiset->key from all that have it.
static pqdb_code take_key(struct pq_multiset_walk *walk, pqdb_error *err) {
    struct pq_multiset *multiset = walk->trace->multiset;
    const struct pq_text key = pq_bytes_text(&multiset->key);
    for (size_t i = 0; i < multiset->walking;) {
        struct source *source = &multiset->sources[i];
        const size_t at = current(source, walk->way);
        if (!pq_text_equal(weighted_key(source->rows, at), key)) {
            i++;
            continue;
        }
        walk->weight += source->rows->rows[at].weight;
        source->at = walk->way == PQ_MULTISET_UP ? at + 1 : at;
        PQ_TRY(turn_page(multiset, source, walk->way, err));
        if (!is_over(source, walk->way, walk->from.hash)) {
            i++;
            continue;
        }
        struct source *last = &multiset->sources[--multiset->walking];
        const struct source swap = *source;  // both keep their memory
        *source = *last;
        *last = swap;
        if (source->run != NULL) source->rows = &source->block_rows;
        if (last->run != NULL) last->rows = &last->block_rows;
    }
    return PQDB_OK;
}

pqdb_code pq_multiset_next(struct pq_multiset_walk *walk, bool *more, pqdb_error *err) {
    struct pq_multiset *multiset = walk->trace->multiset;
    const struct pq_text group = walk->from.group;
    *more = false;
    while (multiset->walking > 0) {
        const struct source *next = next_of(multiset, walk->way);
        const struct pq_text key = weighted_key(next->rows, current(next, walk->way));
        if (!pq_text_starts_with(key, group)) return PQDB_OK;  // another group of this hash
        multiset->key.length = 0;
        PQ_TRY(pq_bytes_append_text(&multiset->key, key, err));
        walk->weight = 0;
        PQ_TRY(take_key(walk, err));
        if (walk->weight == 0) continue;
        walk->value = (struct pq_text){(const char *)multiset->key.data + group.length,
                                       multiset->key.length - group.length};
        *more = true;
        return PQDB_OK;
    }
    return PQDB_OK;
}
