/// flow/window_bytes.c: windows of byte keys. For $min and $max of any kind the key is the value's
/// canonical bytes; for $first and $last it is the creation order, with the value behind it; for
/// $mode and $topK it is the count, the highest first, and the value's canonical bytes. $collect's
/// window holds everything.
///
///     entry: u32 key bytes | u32 value bytes | i64 weight | key | value | zeros to 8
///
/// Entries ascend by (key, value), or descend by key; inside is what is not behind the last key.
#include "expr/compare.h"
#include "flow/states.h"
#include "flow/window.h"

struct entry {
    uint32_t key_bytes, value_bytes;
    int64_t weight;
};

/// A row on its way into a window. The value is written only when it gets that far.
struct candidate {
    struct pq_text key;
    int64_t weight;
    size_t row;                      // of the value in `values`
    const struct pq_column *values;  // NULL: the key says it all
    struct pq_bytes *value;          // the value as a cell, once written
    bool descending;
    uint32_t shown;                  // of $topK, or 0
};
#define SHOWN_ALL UINT32_MAX

static struct window *window_at(const struct addition *addition, uint32_t cell) {
    return (struct window *)(void *)(addition->cells->rows[cell] + addition->offset);
}

static struct entry *entry_at(const uint8_t *row, const struct window *window, size_t at) {
    return (struct entry *)(uintptr_t)(row + window->entries.offset + at);
}
static size_t entry_bytes(size_t key_bytes, size_t value_bytes) {
    return (sizeof(struct entry) + key_bytes + value_bytes + 7) & ~(size_t)7;
}
static size_t entry_size(const struct entry *entry) {
    return entry_bytes(entry->key_bytes, entry->value_bytes);
}
static struct pq_text entry_key(const struct entry *entry) {
    return (struct pq_text){(const char *)(entry + 1), entry->key_bytes};
}
static struct pq_text entry_value(const struct entry *entry) {
    return (struct pq_text){(const char *)(entry + 1) + entry->key_bytes, entry->value_bytes};
}

static int compare_keys(const struct candidate *candidate, const struct entry *entry) {
    const int order = pq_text_compare(candidate->key, entry_key(entry));
    return candidate->descending ? -order : order;
}

/// `entries.mark` is where the last entry begins.
static const struct entry *last_entry(const uint8_t *row, const struct window *window) {
    return entry_at(row, window, window->entries.mark);
}

static void find_last(const uint8_t *row, struct window *window) {
    size_t at = 0;
    for (uint32_t i = 0; i + 1 < window->count; i++) at += entry_size(entry_at(row, window, at));
    window->entries.mark = (uint32_t)at;
}

static void remove_entry(uint8_t *row, struct window *window, size_t at) {
    struct entry *entry = entry_at(row, window, at);
    const size_t size = entry_size(entry);
    const bool is_last = at == window->entries.mark;
    memmove(entry, (uint8_t *)entry + size, window->entries.length - at - size);
    window->entries.length -= (uint32_t)size;
    window->entries.mark -= is_last ? 0 : (uint32_t)size;
    window->count--;
    if (is_last) find_last(row, window);
}

/// How many values a window holds.
static uint32_t values_max(const struct window *window, uint32_t shown) {
    if (shown > 0) return shown + WINDOW_ENTRIES;
    return window->wide ? WINDOW_ENTRIES : 1;
}

/// Send whole keys behind the edge until K values are inside, or one key is left.
static void trim(uint8_t *row, struct window *window, uint32_t shown) {
    const uint32_t most = values_max(window, shown);
    if (shown == SHOWN_ALL || window->count <= most) return;
    while (true) {
        uint32_t values = 0, i = 0, key_index = 0;
        size_t at = 0, key_start = 0;
        const struct entry *before = NULL;
        for (; i < window->count; i++) {
            const struct entry *entry = entry_at(row, window, at);
            if (before == NULL || !pq_text_equal(entry_key(before), entry_key(entry))) {
                key_start = at;
                key_index = i;
            }
            values += entry->weight > 0;
            before = entry;
            at += entry_size(entry);
        }
        if (values <= most || key_index == 0) return;
        for (at = key_start, i = key_index; i < window->count; i++) {
            window->outside += entry_at(row, window, at)->weight;
            at += entry_size(entry_at(row, window, at));
        }
        window->count = key_index;
        window->entries.length = (uint32_t)key_start;
        window->bounded = true;
        find_last(row, window);
    }
}

static pqdb_code write_value(struct candidate *candidate, pqdb_error *err) {
    if (candidate->values == NULL || candidate->value->length > 0) return PQDB_OK;
    return cell_write(candidate->values, candidate->row, candidate->value, err);
}

static struct pq_text value_of(const struct candidate *candidate) {
    return candidate->value == NULL ? (struct pq_text){"", 0} : pq_bytes_text(candidate->value);
}

/// Open a gap of the entry's size at `at` and fill it.
static pqdb_code insert_entry(const struct addition *addition, uint32_t cell,
                              const struct candidate *candidate, size_t at, pqdb_error *err) {
    const struct pq_text value = value_of(candidate);
    const size_t size = entry_bytes(candidate->key.length, value.length);
    struct window *window = window_at(addition, cell);
    const size_t needed = window->entries.length + size;
    if (needed > window->entries.room) {
        PQ_TRY(addition->cells->grow(addition->cells, cell,
                                     addition->offset + offsetof(struct window, entries),
                                     needed + needed / 2, err));
        window = window_at(addition, cell);
    }
    uint8_t *row = addition->cells->rows[cell];
    struct entry *entry = entry_at(row, window, at);
    memmove((uint8_t *)entry + size, entry, window->entries.length - at);
    memset(entry, 0, size);
    *entry = (struct entry){(uint32_t)candidate->key.length, (uint32_t)value.length,
                            candidate->weight};
    memcpy(entry + 1, candidate->key.data, candidate->key.length);
    if (value.length > 0) {
        memcpy((uint8_t *)(entry + 1) + candidate->key.length, value.data, value.length);
    }
    window->entries.mark =
        at == window->entries.length ? (uint32_t)at : window->entries.mark + (uint32_t)size;
    window->entries.length += (uint32_t)size;
    window->count++;
    return PQDB_OK;
}

/// The usual cases of a window of one: behind it, or in its place.
static pqdb_code add_to_one(const struct addition *addition, uint32_t cell,
                            struct candidate *candidate, bool *done, pqdb_error *err) {
    uint8_t *row = addition->cells->rows[cell];
    struct window *window = window_at(addition, cell);
    const struct entry *one = entry_at(row, window, 0);
    *done = false;
    if (window->count != 1 || window->wide || candidate->shown > 0 || candidate->weight < 0 ||
        one->weight <= 0) {
        return PQDB_OK;
    }
    const int order = compare_keys(candidate, one);
    if (order == 0) return PQDB_OK;
    *done = true;
    window->bounded = true;
    if (order > 0) {
        window->outside += candidate->weight;
        return PQDB_OK;
    }
    window->outside += one->weight;
    window->entries.length = 0;
    window->count = 0;
    PQ_TRY(write_value(candidate, err));
    return insert_entry(addition, cell, candidate, 0, err);
}

static pqdb_code add_candidate(const struct addition *addition, uint32_t cell,
                               struct candidate *candidate, pqdb_error *err) {
    bool done;
    PQ_TRY(add_to_one(addition, cell, candidate, &done, err));
    if (done) return PQDB_OK;
    uint8_t *row = addition->cells->rows[cell];
    struct window *window = window_at(addition, cell);
    if (window->bounded && compare_keys(candidate, last_entry(row, window)) > 0) {
        window->outside += candidate->weight;
        return PQDB_OK;
    }
    if (candidate->weight < 0) window->wide = true;
    PQ_TRY(write_value(candidate, err));
    size_t at = 0;
    uint32_t i = 0;
    if (window->count > 0 && compare_keys(candidate, last_entry(row, window)) > 0) {
        i = window->count;  // the usual case of $collect
        at = window->entries.length;
    }
    for (; i < window->count; i++) {
        struct entry *entry = entry_at(row, window, at);
        int order = compare_keys(candidate, entry);
        if (order == 0) order = pq_text_compare(value_of(candidate), entry_value(entry));
        if (order < 0) break;
        if (order == 0) {
            entry->weight += candidate->weight;
            const bool is_edge = window->bounded && i + 1 == window->count;
            if (entry->weight == 0 && !is_edge) remove_entry(row, window, at);
            trim(row, window, candidate->shown);
            return PQDB_OK;
        }
        at += entry_size(entry);
    }
    PQ_TRY(insert_entry(addition, cell, candidate, at, err));
    trim(addition->cells->rows[cell], window_at(addition, cell), candidate->shown);
    return PQDB_OK;
}

bool key_is_null(const struct pq_keys *keys, size_t row) {
    const uint32_t start = keys->offsets[row];
    return keys->offsets[row + 1] - start == 1 && keys->data[start] == 0x7F;
}

static pqdb_code add_keys(const struct addition *addition, bool descending, pqdb_error *err) {
    const struct pq_column *argument = addition->argument;
    struct pq_keys keys;
    PQ_TRY(pq_keys_encode(argument, 1, addition->count, addition->arena, &keys, err));
    for (size_t i = 0; i < addition->count; i++) {
        if (pq_column_is_null(argument, i)) continue;
        struct candidate candidate = {
            .key = {(const char *)keys.data + keys.offsets[i],
                    keys.offsets[i + 1] - keys.offsets[i]},
            .weight = weight_at(addition->weights, i),
            .descending = descending,
        };
        if (key_is_null(&keys, i)) continue;
        PQ_TRY(add_candidate(addition, addition->cell_of[i], &candidate, err));
    }
    return PQDB_OK;
}

static pqdb_code add_min(const struct addition *addition, pqdb_error *err) {
    return add_keys(addition, false, err);
}
static pqdb_code add_max(const struct addition *addition, pqdb_error *err) {
    return add_keys(addition, true, err);
}

static void store_ordered(uint8_t *out, const struct pq_column *column, size_t row) {
    uint64_t word = 0;
    if (column != NULL && !pq_column_is_null(column, row)) {
        word = (uint64_t)((const int64_t *)column->values)[row] ^ UINT64_C(1) << 63;
    }
    word = __builtin_bswap64(word);
    memcpy(out, &word, sizeof word);
}

pqdb_code order_write(const struct addition *addition, const struct pq_keys *by, size_t row,
                      struct pq_bytes *key, pqdb_error *err) {
    uint8_t created[16];
    struct pq_text last = {(const char *)created, sizeof created};
    if (addition->id != NULL) {
        last = pq_column_text(addition->id, row);
    } else {
        store_ordered(created, addition->seq, row);
        store_ordered(created + 8, addition->index, row);
    }
    key->length = 0;
    if (addition->by != NULL) {
        const uint32_t start = by->offsets[row];
        PQ_TRY(pq_bytes_append(key, by->data + start, by->offsets[row + 1] - start, err));
    }
    return pq_bytes_append_text(key, last, err);
}

/// By order; `SHOWN_ALL`: no null, and everything stays.
static pqdb_code add_order(const struct addition *addition, bool descending, uint32_t shown,
                           pqdb_error *err) {
    struct pq_bytes key, value;
    struct pq_keys by = {NULL, NULL};
    pq_bytes_init(&key, &addition->arena->alloc);
    pq_bytes_init(&value, &addition->arena->alloc);
    if (addition->by != NULL) {
        PQ_TRY(pq_keys_encode(addition->by, 1, addition->count, addition->arena, &by, err));
    }
    for (size_t i = 0; i < addition->count; i++) {
        if (addition->by != NULL && key_is_null(&by, i)) continue;
        if (shown == SHOWN_ALL && pq_column_is_null(addition->argument, i)) continue;
        PQ_TRY(order_write(addition, &by, i, &key, err));
        struct candidate candidate = {
            .key = pq_bytes_text(&key),
            .weight = weight_at(addition->weights, i),
            .row = i,
            .values = addition->argument,
            .value = &value,
            .descending = descending,
            .shown = shown,
        };
        value.length = 0;
        PQ_TRY(add_candidate(addition, addition->cell_of[i], &candidate, err));
    }
    return PQDB_OK;
}

static pqdb_code add_first(const struct addition *addition, pqdb_error *err) {
    return add_order(addition, false, 0, err);
}
static pqdb_code add_last(const struct addition *addition, pqdb_error *err) {
    return add_order(addition, true, 0, err);
}

static pqdb_code add_all(const struct addition *addition, pqdb_error *err) {
    return add_order(addition, false, SHOWN_ALL, err);
}

static pqdb_code add_change(const struct addition *addition, const struct value_change *change,
                            int64_t count, int64_t weight, struct pq_bytes *key, pqdb_error *err) {
    key->length = 0;
    PQ_TRY(ranked_write(change->value, count, key, err));
    struct candidate candidate = {
        .key = pq_bytes_text(key), .weight = weight, .shown = addition->given.limit};
    return add_candidate(addition, change->cell, &candidate, err);
}

static pqdb_code add_top(const struct addition *addition, pqdb_error *err) {
    struct pq_bytes key;
    pq_bytes_init(&key, &addition->arena->alloc);
    for (size_t i = 0; i < addition->changes->count; i++) {
        const struct value_change *change = &addition->changes->all[i];
        if (change->before > 0) {
            PQ_TRY(add_change(addition, change, change->before, -1, &key, err));
        }
        if (change->now > 0) PQ_TRY(add_change(addition, change, change->now, 1, &key, err));
    }
    return PQDB_OK;
}

static int entries_blob(const uint8_t *state) {
    (void)state;
    return (int)offsetof(struct window, entries);
}

static enum settled settle_bytes(uint8_t *row, const struct state_place *place) {
    struct window *window = (struct window *)(void *)(row + place->offset);
    const uint32_t needed = place->given.limit == 0 ? 1 : place->given.limit;
    if (window->outside < 0) return STATE_BROKEN;
    if (window->outside == 0) window->bounded = false;
    uint32_t values = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < window->count;) {
        const struct entry *entry = entry_at(row, window, at);
        if (entry->weight < 0) return STATE_BROKEN;
        values += entry->weight > 0;
        const bool is_edge = window->bounded && i + 1 == window->count;
        if (entry->weight == 0 && !is_edge) {
            remove_entry(row, window, at);
        } else {
            at += entry_size(entry);
            i++;
        }
    }
    return values < needed && window->outside > 0 ? STATE_EXHAUSTED : STATE_WHOLE;
}

static void restart_bytes(uint8_t *row, uint32_t offset) {
    struct window *window = (struct window *)(void *)(row + offset);
    window->outside = 0;
    window->count = 0;
    window->bounded = false;
    window->wide = true;
    window->entries.length = window->entries.mark = 0;
}

bool window_bytes_each(const uint8_t *row, uint32_t offset, struct window_visit *visit) {
    const struct window *window = (const struct window *)(const void *)(row + offset);
    while (visit->next < window->count) {
        const struct entry *entry = entry_at(row, window, visit->at);
        visit->next++;
        visit->at += entry_size(entry);
        if (entry->weight <= 0) continue;
        visit->key = entry_key(entry);
        visit->value = entry_value(entry);
        visit->weight = entry->weight;
        return true;
    }
    return false;
}

bool window_bytes_head(const uint8_t *row, uint32_t offset, struct pq_text *key,
                       struct pq_text *value) {
    const struct window *window = (const struct window *)(const void *)(row + offset);
    size_t at = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        const struct entry *entry = entry_at(row, window, at);
        if (entry->weight > 0) {
            *key = entry_key(entry);
            *value = entry_value(entry);
            return true;
        }
        at += entry_size(entry);
    }
    return false;
}

// ---- from a multiset --------------------------------------------------------------------------

/// One value of the multiset as a candidate: in that of creation the key is what the last four
/// bytes say, and the value is behind it.
static bool split_value(const struct refill *refill, struct pq_text stored,
                        struct candidate *candidate) {
    candidate->key = stored;
    if (refill->place->kind->multiset != TRACE_CREATION) return true;
    if (stored.length < 4) return false;
    const uint32_t length = pq_load_u32(stored.data + stored.length - 4);
    if (length > stored.length - 4) return false;
    candidate->key.length = length;
    candidate->value->length = 0;
    return pq_bytes_append(candidate->value, stored.data + length, stored.length - 4 - length,
                           NULL) == PQDB_OK;
}

/// The first values of the multiset in the window's order, as many as it holds.
static pqdb_code refill_bytes(const struct refill *refill, bool descending, pqdb_error *err) {
    const struct state_place *place = refill->place;
    const struct addition addition = {.cells = refill->cells, .offset = place->offset};
    const uint32_t most = WINDOW_ENTRIES + place->given.limit, cell = refill->cell;
    struct window *window = window_at(&addition, cell);
    int64_t left = window->outside;
    size_t at = 0;
    for (uint32_t i = 0; i < window->count; i++) {
        const struct entry *entry = entry_at(refill->cells->rows[cell], window, at);
        left += entry->weight;
        at += entry_size(entry);
    }
    restart_bytes(refill->cells->rows[cell], place->offset);
    struct pq_bytes value;
    pq_bytes_init(&value, &refill->arena->alloc);
    struct candidate candidate = {
        .descending = descending, .shown = place->given.limit, .value = &value};
    struct pq_multiset_place from = refill->group;
    from.value = descending ? multiset_end : PQ_TEXT("");
    struct pq_multiset_walk walk;
    PQ_TRY(pq_multiset_seek(refill->trace, &from,
                            descending ? PQ_MULTISET_DOWN : PQ_MULTISET_UP, &walk, err));
    for (uint32_t i = 0; i < most; i++) {
        bool more;
        PQ_TRY(pq_multiset_next(&walk, &more, err));
        if (!more) break;
        if (!split_value(refill, walk.value, &candidate)) {
            return pq_fail(err, PQDB_CORRUPT, "a stored value is damaged");
        }
        candidate.weight = walk.weight;
        PQ_TRY(add_candidate(&addition, cell, &candidate, err));
        left -= walk.weight;
    }
    window = window_at(&addition, cell);
    window->outside = left;
    window->bounded = left != 0;
    return PQDB_OK;
}

static pqdb_code refill_up(const struct refill *refill, pqdb_error *err) {
    return refill_bytes(refill, false, err);
}
static pqdb_code refill_down(const struct refill *refill, pqdb_error *err) {
    return refill_bytes(refill, true, err);
}

#define BYTES_WINDOW(kind_name, add_values, of, refill_values)                          \
    {                                                                                   \
        .name = kind_name, .bytes = sizeof(struct window), .add = add_values,           \
        .blob = entries_blob, .settle = settle_bytes,                                   \
        .multiset = of, .multiset_is_late = true, .refill = refill_values,              \
    }
const struct pq_state_kind pq_state_min_bytes =
    BYTES_WINDOW("lowest values", add_min, TRACE_VALUES, refill_up);
const struct pq_state_kind pq_state_max_bytes =
    BYTES_WINDOW("highest values", add_max, TRACE_VALUES, refill_down);
const struct pq_state_kind pq_state_first =
    BYTES_WINDOW("first values", add_first, TRACE_CREATION, refill_up);
const struct pq_state_kind pq_state_last =
    BYTES_WINDOW("last values", add_last, TRACE_CREATION, refill_down);
const struct pq_state_kind pq_state_top = {
    .name = "most frequent values",
    .bytes = sizeof(struct window),
    .add = add_top,
    .blob = entries_blob,
    .settle = settle_bytes,
    .needs_counts = true,
    .multiset = TRACE_RANKED,
    .refill = refill_up,
};
const struct pq_state_kind pq_state_all = {
    .name = "all values",
    .bytes = sizeof(struct window),
    .add = add_all,
    .blob = entries_blob,
    .settle = settle_bytes,
};
