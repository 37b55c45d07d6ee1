/// state/multiset_rows.c: many rows into a multiset: sorted as a whole, by group and then by value,
/// they are a piece at once, and nothing is left to merge.
#include "base/check.h"
#include "base/fail.h"
#include "state/multiset_internal.h"
#include "state/sort_texts.h"

enum {
    few_rows = 1024,  // fewer are added one by one: the open piece takes them
};

// ---- rows by group ----------------------------------------------------------------------------

struct bulk {
    const struct pq_multiset_rows *given;
    struct pq_text *groups;  // keys, [group_count]
    struct pq_text *values;  // [count]
    uint32_t *rank_of;       // of the groups; equal ones have the same
    uint32_t *first_of;      // [ranks]: one of the groups
    uint32_t *ends;          // [ranks + 1]: where each one's rows end in `items`
    size_t rank_count;
    struct sorted_text *items, *other;
};

static pqdb_code make_room(struct bulk *bulk, struct pq_arena *scratch, pqdb_error *err) {
    const struct pq_multiset_rows *given = bulk->given;
    const size_t groups = given->group_count;
    const size_t most = groups > given->count ? groups : given->count;
    bulk->groups = pq_arena_alloc(scratch, groups * sizeof *bulk->groups);
    bulk->values = pq_arena_alloc(scratch, given->count * sizeof *bulk->values);
    bulk->rank_of = pq_arena_alloc(scratch, groups * sizeof *bulk->rank_of);
    bulk->first_of = pq_arena_alloc(scratch, groups * sizeof *bulk->first_of);
    bulk->ends = pq_arena_calloc(scratch, groups + 1, sizeof *bulk->ends);
    bulk->items = pq_arena_alloc(scratch, most * sizeof *bulk->items);
    bulk->other = pq_arena_alloc(scratch, most * sizeof *bulk->other);
    const bool has_all = bulk->groups != NULL && bulk->values != NULL && bulk->rank_of != NULL &&
                         bulk->first_of != NULL && bulk->ends != NULL && bulk->items != NULL &&
                         bulk->other != NULL;
    return has_all ? PQDB_OK : pq_fail(err, PQDB_NO_MEMORY, "%zu values", given->count);
}

/// Groups in the order of runs: by hash, then by key.
static void rank_groups(struct bulk *bulk) {
    const struct pq_multiset_place *places = bulk->given->groups;
    const size_t count = bulk->given->group_count;
    for (size_t i = 0; i < count; i++) {
        bulk->groups[i] = places[i].group;
        bulk->items[i] = (struct sorted_text){places[i].hash, (uint32_t)i};
    }
    sort_texts(bulk->groups, bulk->items, bulk->other, count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t group = bulk->items[i].at;
        const bool is_new =
            i == 0 || text_is_before(bulk->groups, &bulk->items[i - 1], &bulk->items[i]);
        if (is_new) bulk->first_of[bulk->rank_count++] = group;
        bulk->rank_of[group] = (uint32_t)bulk->rank_count - 1;
    }
}

/// Rows by their groups' ranks, and in each by value.
static void sort_rows(struct bulk *bulk) {
    const struct pq_multiset_rows *given = bulk->given;
    for (size_t i = 0; i < given->count; i++) {
        bulk->ends[bulk->rank_of[given->rows[i].group] + 1]++;
    }
    for (size_t k = 1; k <= bulk->rank_count; k++) bulk->ends[k] += bulk->ends[k - 1];
    for (size_t i = 0; i < given->count; i++) {
        const struct pq_multiset_row *row = &given->rows[i];
        bulk->values[i] =
            (struct pq_text){(const char *)given->values + row->offset, row->length};
        bulk->items[bulk->ends[bulk->rank_of[row->group]]++] =
            (struct sorted_text){text_word(bulk->values[i]), (uint32_t)i};
    }
    uint32_t start = 0;
    for (size_t k = 0; k < bulk->rank_count; k++) {  // each end was moved on to the group's own
        const uint32_t end = bulk->ends[k];
        if (end > start + 1) {
            sort_texts(bulk->values, bulk->items + start, bulk->other, end - start);
        }
        start = end;
    }
}

// ---- the piece --------------------------------------------------------------------------------

static pqdb_code reserve(const struct bulk *bulk, struct weighted_rows *rows, pqdb_error *err) {
    const struct pq_multiset_rows *given = bulk->given;
    size_t bytes = 0;
    for (size_t i = 0; i < given->count; i++) {
        bytes += bulk->groups[given->rows[i].group].length + given->rows[i].length;
    }
    if (bytes > UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than 4 GiB of values in one step");
    }
    PQ_TRY(pq_bytes_reserve(&rows->keys, bytes, err));
    rows->rows = pq_resize(rows->keys.alloc, NULL, 0, given->count, sizeof *rows->rows);
    if (rows->rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu values", given->count);
    rows->capacity = given->count;
    return PQDB_OK;
}

/// Of a few words, where a call would cost more than the copy.
static void copy_short(uint8_t *to, struct pq_text from) {
    const size_t length = from.length;
    if (length < 8 || length > 64) {
        if (length > 0) memcpy(to, from.data, length);
        return;
    }
    for (size_t i = 0; i + 8 < length; i += 8) memcpy(to + i, from.data + i, 8);
    memcpy(to + length - 8, from.data + length - 8, 8);
}

static void push(struct weighted_rows *rows, uint64_t hash, struct pq_text group,
                 struct pq_text value, int64_t weight) {
    uint8_t *key = rows->keys.data + rows->keys.length;
    const size_t length = group.length + value.length;
    copy_short(key, group);
    copy_short(key + group.length, value);
    rows->rows[rows->count++] =
        (struct weighted){hash, (uint32_t)rows->keys.length, (uint32_t)length, weight};
    rows->keys.length += length;
}

/// Rows of one group: weights of equal values add up, zeros vanish. There is room for all.
static void push_group(const struct bulk *bulk, size_t rank, struct weighted_rows *rows) {
    const uint32_t group = bulk->first_of[rank];
    const size_t end = bulk->ends[rank];
    for (size_t i = rank == 0 ? 0 : bulk->ends[rank - 1]; i < end;) {
        const struct sorted_text *item = &bulk->items[i];
        int64_t weight = bulk->given->rows[item->at].weight;
        for (i++; i < end && !text_is_before(bulk->values, item, &bulk->items[i]); i++) {
            weight += bulk->given->rows[bulk->items[i].at].weight;
        }
        if (weight == 0) continue;
        push(rows, bulk->given->groups[group].hash, bulk->groups[group], bulk->values[item->at],
             weight);
    }
}

static pqdb_code add_few(struct pq_trace *trace, const struct pq_multiset_rows *given,
                         pqdb_error *err) {
    for (size_t i = 0; i < given->count; i++) {
        const struct pq_multiset_row *row = &given->rows[i];
        struct pq_multiset_place place = given->groups[row->group];
        place.value = (struct pq_text){(const char *)given->values + row->offset, row->length};
        PQ_TRY(pq_multiset_add(trace, &place, row->weight, err));
    }
    return PQDB_OK;
}

pqdb_code pq_multiset_add_rows(struct pq_trace *trace, const struct pq_multiset_rows *given,
                               struct pq_arena *scratch, pqdb_error *err) {
    pq_assert(trace->kind == PQ_TRACE_WEIGHTS_ADD);
    if (given->count < few_rows) return add_few(trace, given, err);
    struct bulk bulk = {.given = given};
    struct weighted_rows rows;
    if (trace->multiset == NULL) PQ_TRY(multiset_create(trace->alloc, &trace->multiset, err));
    PQ_TRY(make_room(&bulk, scratch, err));
    rank_groups(&bulk);
    sort_rows(&bulk);
    weighted_init(&rows, trace->alloc);
    pqdb_code code;
    PQ_GO(reserve(&bulk, &rows, err));
    for (size_t k = 0; k < bulk.rank_count; k++) push_group(&bulk, k, &rows);
    PQ_GO(multiset_sort(trace->multiset, trace->epoch, err));
    weighted_shrink(&rows);
    PQ_GO(multiset_take(trace->multiset, trace->epoch, &rows, err));
done:
    weighted_deinit(&rows);
    return code;
}
