/// state/weighted.c: see weighted.h.
#include "state/weighted.h"

#include "base/fail.h"
#include "state/sort_texts.h"

void weighted_init(struct weighted_rows *rows, const struct pq_alloc *alloc) {
    *rows = (struct weighted_rows){.is_sorted = true};
    pq_bytes_init(&rows->keys, alloc);
}

void weighted_deinit(struct weighted_rows *rows) {
    pq_free(rows->keys.alloc, rows->rows, rows->capacity, sizeof *rows->rows);
    pq_bytes_deinit(&rows->keys);
    rows->rows = NULL;
    rows->count = rows->capacity = 0;
}

size_t weighted_bytes(const struct weighted_rows *rows) {
    return rows->capacity * sizeof *rows->rows + rows->keys.capacity;
}

pqdb_code weighted_push(struct weighted_rows *rows, uint64_t hash, size_t key_start,
                        int64_t weight, pqdb_error *err) {
    if (rows->keys.length > UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than 4 GiB of values between two checkpoints");
    }
    if (rows->count == rows->capacity) {
        const size_t capacity = rows->capacity == 0 ? 64 : rows->capacity * 2;
        void *grown =
            pq_resize(rows->keys.alloc, rows->rows, rows->capacity, capacity, sizeof *rows->rows);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu values", capacity);
        rows->rows = grown;
        rows->capacity = capacity;
    }
    rows->rows[rows->count++] = (struct weighted){
        hash, (uint32_t)key_start, (uint32_t)(rows->keys.length - key_start), weight};
    return PQDB_OK;
}

int weighted_compare(const struct weighted_rows *rows, size_t at, uint64_t hash,
                     struct pq_text key) {
    const struct weighted *row = &rows->rows[at];
    if (row->hash != hash) return row->hash < hash ? -1 : 1;
    return pq_text_compare(weighted_key(rows, at), key);
}

size_t weighted_find(const struct weighted_rows *rows, uint64_t hash, struct pq_text key) {
    size_t low = 0, high = rows->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (weighted_compare(rows, middle, hash, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool is_before(const uint8_t *keys, const struct weighted *a, const struct weighted *b) {
    if (a->hash != b->hash) return a->hash < b->hash;
    const size_t common = a->length < b->length ? a->length : b->length;
    const int order = common == 0 ? 0 : memcmp(keys + a->offset, keys + b->offset, common);
    return order != 0 ? order < 0 : a->length < b->length;
}

enum { insertion_max = 12 };

static void sort_few(const uint8_t *keys, struct weighted *rows, size_t count) {
    for (size_t i = 1; i < count; i++) {
        const struct weighted row = rows[i];
        size_t at = i;
        for (; at > 0 && is_before(keys, &row, &rows[at - 1]); at--) rows[at] = rows[at - 1];
        rows[at] = row;
    }
}

/// Runs of `width` rows in `from` become runs of twice that in `to`.
static void merge_pass(const uint8_t *keys, const struct weighted *from, struct weighted *to,
                       size_t count, size_t width) {
    for (size_t start = 0; start < count; start += 2 * width) {
        const size_t middle = start + width < count ? start + width : count;
        const size_t end = middle + width < count ? middle + width : count;
        size_t a = start, b = middle;
        for (size_t k = start; k < end; k++) {
            const bool takes_b = a == middle || (b < end && is_before(keys, &from[b], &from[a]));
            to[k] = takes_b ? from[b++] : from[a++];
        }
    }
}

static void add_up(struct weighted_rows *rows) {
    size_t kept = 0;
    for (size_t i = 0; i < rows->count;) {
        struct weighted row = rows->rows[i];
        const struct pq_text key = weighted_key(rows, i);
        for (i++; i < rows->count && weighted_compare(rows, i, row.hash, key) == 0; i++) {
            row.weight += rows->rows[i].weight;
        }
        if (row.weight != 0) rows->rows[kept++] = row;
    }
    rows->count = kept;
}

/// `other` has as much room; NULL: slowly, in place.
static void sort_range(const uint8_t *keys, struct weighted *rows, struct weighted *other,
                       size_t count) {
    size_t width = other == NULL ? count : insertion_max;
    for (size_t start = 0; start < count; start += width) {
        const size_t left = count - start;
        sort_few(keys, rows + start, left < width ? left : width);
    }
    struct weighted *from = rows, *to = other;
    for (; width < count; width *= 2) {
        merge_pass(keys, from, to, count, width);
        struct weighted *swap = from;
        from = to;
        to = swap;
    }
    if (from != rows) memcpy(rows, from, count * sizeof *rows);
}

/// The first eight bits of the hash put most rows near their place; what has one hash is compared.
static void sort_by_buckets(const uint8_t *keys, struct weighted *rows, struct weighted *other,
                            size_t count) {
    size_t ends[257] = {0};
    for (size_t i = 0; i < count; i++) ends[(rows[i].hash >> 56) + 1]++;
    for (size_t i = 1; i <= 256; i++) ends[i] += ends[i - 1];
    for (size_t i = 0; i < count; i++) other[ends[rows[i].hash >> 56]++] = rows[i];
    size_t start = 0;
    for (size_t i = 0; i < 256; i++) {
        if (ends[i] > start + 1) sort_range(keys, other + start, rows + start, ends[i] - start);
        start = ends[i];
    }
}

void weighted_sort(struct weighted_rows *rows) {
    if (rows->is_sorted) return;
    const size_t count = rows->count, capacity = rows->capacity;
    struct weighted *other = NULL;
    if (count > insertion_max) {
        other = pq_resize(rows->keys.alloc, NULL, 0, capacity, sizeof *other);
    }
    if (other == NULL) {
        sort_range(rows->keys.data, rows->rows, NULL, count);
    } else {
        sort_by_buckets(rows->keys.data, rows->rows, other, count);
        struct weighted *swap = rows->rows;
        rows->rows = other;
        pq_free(rows->keys.alloc, swap, capacity, sizeof *swap);
    }
    add_up(rows);
    rows->is_sorted = true;
}

void weighted_shrink(struct weighted_rows *rows) {
    struct weighted_rows small;
    if (rows->count * 2 > rows->capacity || rows->count == 0) return;
    weighted_init(&small, rows->keys.alloc);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; i < rows->count && code == PQDB_OK; i++) {
        const size_t start = small.keys.length;
        code = pq_bytes_append_text(&small.keys, weighted_key(rows, i), NULL);
        if (code != PQDB_OK) break;
        code = weighted_push(&small, rows->rows[i].hash, start, rows->rows[i].weight, NULL);
    }
    if (code == PQDB_OK) {
        weighted_deinit(rows);
        *rows = small;
    } else {
        weighted_deinit(&small);
    }
}

// ---- merging ----------------------------------------------------------------------------------

/// What is left of a piece, or of its rows of one hash.
struct head {
    const struct weighted_rows *rows;
    size_t at, end;
};

/// Where rows go in order.
struct output {
    pqdb_code (*each)(void *ctx, const struct pq_run_row *row, pqdb_error *err);
    void *ctx;
};

static bool head_is_before(const struct head *a, const struct head *b) {
    const struct weighted *row = &b->rows->rows[b->at];
    return weighted_compare(a->rows, a->at, row->hash, weighted_key(b->rows, b->at)) < 0;
}

/// Let heads[at] sink to its place.
static void sift(struct head *heads, size_t count, size_t at) {
    while (true) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (head_is_before(&heads[child], &heads[least])) least = child;
        }
        if (least == at) return;
        const struct head swap = heads[at];
        heads[at] = heads[least];
        heads[least] = swap;
        at = least;
    }
}

/// One row at a time, however many there are.
static pqdb_code merge_heads(struct head *heads, size_t count, const struct output *output,
                             pqdb_error *err) {
    for (size_t i = count; i-- > 0;) sift(heads, count, i);
    while (count > 0) {
        const struct weighted_rows *first = heads[0].rows;
        const struct weighted *row = &first->rows[heads[0].at];
        struct pq_run_row out = {.hash = row->hash, .key = weighted_key(first, heads[0].at)};
        while (count > 0 &&
               weighted_compare(heads[0].rows, heads[0].at, out.hash, out.key) == 0) {
            out.weight += heads[0].rows->rows[heads[0].at].weight;
            if (++heads[0].at == heads[0].end) heads[0] = heads[--count];
            sift(heads, count, 0);
        }
        if (out.weight != 0) PQ_TRY(output->each(output->ctx, &out, err));
    }
    return PQDB_OK;
}

// ---- few rows of one hash, out of several pieces ------------------------------------------------

enum {
    few_rows = 1024,
    few_pieces = 16,  // with more, to look at each for every hash costs more than it saves
};

/// Their keys, behind what all of them begin with: mostly a group's key.
struct few {
    struct pq_text keys[few_rows], texts[few_rows];
    int64_t weights[few_rows];
    struct sorted_text items[few_rows], other[few_rows];
    size_t count;
};

static size_t common_bytes(struct pq_text a, struct pq_text b, size_t most) {
    if (most > a.length) most = a.length;
    if (most > b.length) most = b.length;
    size_t count = 0;
    while (count < most && a.data[count] == b.data[count]) count++;
    return count;
}

/// Each head's rows ascend: what the first and the last begin with all begin with.
static size_t common_prefix(const struct head *heads, size_t count) {
    const struct pq_text key = weighted_key(heads[0].rows, heads[0].at);
    size_t common = key.length;
    for (size_t i = 0; i < count; i++) {
        common = common_bytes(key, weighted_key(heads[i].rows, heads[i].at), common);
        common = common_bytes(key, weighted_key(heads[i].rows, heads[i].end - 1), common);
    }
    return common;
}

static pqdb_code merge_few(struct few *few, const struct head *heads, size_t count,
                           const struct output *output, pqdb_error *err) {
    const uint64_t hash = heads[0].rows->rows[heads[0].at].hash;
    const size_t common = common_prefix(heads, count);
    few->count = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t at = heads[i].at; at < heads[i].end; at++) {
            const size_t k = few->count++;
            const struct pq_text key = weighted_key(heads[i].rows, at);
            few->keys[k] = key;
            few->texts[k] = (struct pq_text){key.data + common, key.length - common};
            few->weights[k] = heads[i].rows->rows[at].weight;
            few->items[k] = (struct sorted_text){text_word(few->texts[k]), (uint32_t)k};
        }
    }
    sort_texts(few->texts, few->items, few->other, few->count);
    for (size_t i = 0; i < few->count;) {
        const struct sorted_text *item = &few->items[i];
        struct pq_run_row out = {.hash = hash, .key = few->keys[item->at]};
        for (; i < few->count && !text_is_before(few->texts, item, &few->items[i]); i++) {
            out.weight += few->weights[few->items[i].at];
        }
        if (out.weight != 0) PQ_TRY(output->each(output->ctx, &out, err));
    }
    return PQDB_OK;
}

static pqdb_code give_head(const struct head *head, const struct output *output,
                           pqdb_error *err) {
    for (size_t at = head->at; at < head->end; at++) {
        const struct weighted *row = &head->rows->rows[at];
        const struct pq_run_row out = {
            .hash = row->hash, .key = weighted_key(head->rows, at), .weight = row->weight};
        PQ_TRY(output->each(output->ctx, &out, err));
    }
    return PQDB_OK;
}

/// The rows of the least hash: `now` gets those of each piece that has some, and `heads` go on.
static size_t take_hash(struct head *heads, size_t *count, struct head *now, size_t *rows) {
    uint64_t hash = UINT64_MAX;
    size_t taken = 0, left = 0;
    for (size_t i = 0; i < *count; i++) {
        const uint64_t its = heads[i].rows->rows[heads[i].at].hash;
        if (its < hash) hash = its;
    }
    *rows = 0;
    for (size_t i = 0; i < *count; i++) {
        struct head head = heads[i];
        const struct weighted *all = head.rows->rows;
        if (all[head.at].hash == hash) {
            size_t end = head.at + 1;
            while (end < head.end && all[end].hash == hash) end++;
            now[taken++] = (struct head){head.rows, head.at, end};
            *rows += end - head.at;
            head.at = end;
        }
        if (head.at < head.end) heads[left++] = head;
    }
    *count = left;
    return taken;
}

static pqdb_code merge_hashes(struct head *heads, size_t count, struct few *few,
                              const struct output *output, pqdb_error *err) {
    struct head *const now = heads + count;
    while (count > 0) {
        size_t rows;
        const size_t pieces = take_hash(heads, &count, now, &rows);
        if (pieces == 1) {
            PQ_TRY(give_head(&now[0], output, err));
        } else if (rows <= few_rows) {
            PQ_TRY(merge_few(few, now, pieces, output, err));
        } else {
            PQ_TRY(merge_heads(now, pieces, output, err));
        }
    }
    return PQDB_OK;
}

pqdb_code weighted_merge_each(const struct weighted_rows *const *pieces, size_t count,
                              const struct pq_alloc *alloc,
                              pqdb_code (*each)(void *ctx, const struct pq_run_row *row,
                                                pqdb_error *err),
                              void *ctx, pqdb_error *err) {
    const struct output output = {each, ctx};
    struct head *heads = pq_resize(alloc, NULL, 0, 2 * count + 1, sizeof *heads);
    struct few *few = pq_resize(alloc, NULL, 0, 1, sizeof *few);
    pqdb_code code = PQDB_OK;
    if (heads == NULL || few == NULL) {
        PQ_GO(pq_fail(err, PQDB_NO_MEMORY, "merging %zu lists", count));
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i]->count > 0) heads[used++] = (struct head){pieces[i], 0, pieces[i]->count};
    }
    PQ_GO(used <= few_pieces ? merge_hashes(heads, used, few, &output, err)
                             : merge_heads(heads, used, &output, err));
done:
    pq_free(alloc, heads, 2 * count + 1, sizeof *heads);
    pq_free(alloc, few, 1, sizeof *few);
    return code;
}
