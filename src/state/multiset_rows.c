/// state/multiset_rows.c: many rows into a multiset: sorted as a whole, by group and then by value,
/// they are a piece at once, and nothing is left to merge.
#include "base/check.h"
#include "base/fail.h"
#include "state/multiset_internal.h"

enum {
    few_rows = 1024,  // fewer are added one by one: the open piece takes them
    insertion_max = 16,
    radix_rows = 512,  // from so many on the words are sorted byte by byte
    word_bytes = 8,
};

/// Something to be sorted: by its first eight bytes, then by its text.
struct item {
    uint64_t word;
    uint32_t at;  // of `texts`
};

static bool is_before(const struct pq_text *texts, const struct item *a, const struct item *b) {
    if (a->word != b->word) return a->word < b->word;
    return pq_text_compare(texts[a->at], texts[b->at]) < 0;
}

static void sort_few(const struct pq_text *texts, struct item *items, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const struct item item = items[i];
        size_t at = i;
        for (; at > 0 && is_before(texts, &item, &items[at - 1]); at--) items[at] = items[at - 1];
        items[at] = item;
    }
}

/// Runs of insertion_max, then runs of twice as many; `other` has as much room.
static void sort_runs(const struct pq_text *texts, struct item *items, struct item *other,
                      size_t count) {
    struct item *from = items, *to = other;
    for (size_t start = 0; start < count; start += insertion_max) {
        const size_t left = count - start;
        sort_few(texts, items + start, left < insertion_max ? left : insertion_max);
    }
    for (size_t width = insertion_max; width < count; width *= 2) {
        for (size_t start = 0; start < count; start += 2 * width) {
            const size_t middle = start + width < count ? start + width : count;
            const size_t end = middle + width < count ? middle + width : count;
            size_t a = start, b = middle;
            for (size_t k = start; k < end; k++) {
                const bool takes_b =
                    a == middle || (b < end && is_before(texts, &from[b], &from[a]));
                to[k] = takes_b ? from[b++] : from[a++];
            }
        }
        struct item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
}

/// By the words alone, a byte at a time from the last; bytes that are all the same are passed over.
static void sort_words(struct item *items, struct item *other, size_t count) {
    struct item *from = items, *to = other;
    for (unsigned shift = 0; shift < 8 * word_bytes; shift += 8) {
        size_t ends[257] = {0};
        for (size_t i = 0; i < count; i++) ends[(from[i].word >> shift & 0xFF) + 1]++;
        if (ends[(from[0].word >> shift & 0xFF) + 1] == count) continue;
        for (size_t i = 1; i <= 256; i++) ends[i] += ends[i - 1];
        for (size_t i = 0; i < count; i++) to[ends[from[i].word >> shift & 0xFF]++] = from[i];
        struct item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
}

static void sort_items(const struct pq_text *texts, struct item *items, struct item *other,
                       size_t count) {
    if (count < radix_rows) {
        sort_runs(texts, items, other, count);
        return;
    }
    sort_words(items, other, count);
    for (size_t start = 0, end; start < count; start = end) {
        for (end = start + 1; end < count && items[end].word == items[start].word;) end++;
        if (end > start + 1) sort_runs(texts, items + start, other, end - start);
    }
}

/// The first eight bytes, zeros behind a shorter text: its order among others is theirs.
static uint64_t word_of(struct pq_text text) {
    uint8_t bytes[word_bytes] = {0};
    memcpy(bytes, text.data, text.length < word_bytes ? text.length : word_bytes);
    return __builtin_bswap64(pq_load_u64(bytes));
}

// ---- rows by group ----------------------------------------------------------------------------

struct bulk {
    const struct pq_multiset_rows *given;
    struct pq_text *groups;  // keys, [group_count]
    struct pq_text *values;  // [count]
    uint32_t *rank_of;       // of the groups; equal ones have the same
    uint32_t *first_of;      // [ranks]: one of the groups
    uint32_t *ends;          // [ranks + 1]: where each one's rows end in `items`
    size_t rank_count;
    struct item *items, *other;
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
        bulk->items[i] = (struct item){places[i].hash, (uint32_t)i};
    }
    sort_items(bulk->groups, bulk->items, bulk->other, count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t group = bulk->items[i].at;
        const bool is_new =
            i == 0 || is_before(bulk->groups, &bulk->items[i - 1], &bulk->items[i]);
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
            (struct item){word_of(bulk->values[i]), (uint32_t)i};
    }
    uint32_t start = 0;
    for (size_t k = 0; k < bulk->rank_count; k++) {  // each end was moved on to the group's own
        const uint32_t end = bulk->ends[k];
        if (end > start + 1) {
            sort_items(bulk->values, bulk->items + start, bulk->other, end - start);
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

static void push(struct weighted_rows *rows, uint64_t hash, struct pq_text group,
                 struct pq_text value, int64_t weight) {
    uint8_t *key = rows->keys.data + rows->keys.length;
    const size_t length = group.length + value.length;
    if (group.length > 0) memcpy(key, group.data, group.length);
    if (value.length > 0) memcpy(key + group.length, value.data, value.length);
    rows->rows[rows->count++] =
        (struct weighted){hash, (uint32_t)rows->keys.length, (uint32_t)length, weight};
    rows->keys.length += length;
}

/// Rows of one group: weights of equal values add up, zeros vanish. There is room for all.
static void push_group(const struct bulk *bulk, size_t rank, struct weighted_rows *rows) {
    const uint32_t group = bulk->first_of[rank];
    const size_t end = bulk->ends[rank];
    for (size_t i = rank == 0 ? 0 : bulk->ends[rank - 1]; i < end;) {
        const struct item *item = &bulk->items[i];
        int64_t weight = bulk->given->rows[item->at].weight;
        for (i++; i < end && !is_before(bulk->values, item, &bulk->items[i]); i++) {
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
