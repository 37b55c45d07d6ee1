/// flow/group_keys.c: see group_keys.h.
#include "flow/group_keys.h"

#include "base/hash.h"
#include "batch/dictionary.h"
#include "expr/compare.h"

enum {
    memo_ids_max = 1 << 17,     // entries of a dictionary
    memo_values_max = 1 << 12,  // distinct values it is worth remembering
    memo_text_max = 64,         // bytes of one
    resets_max = 4,  // then the column's values are taken as they come
    block_rows = 128,
    packed_columns_max = 6,    // ids of 21 bits in two words
    slots_min = 256,
    slots_max = 1 << 16,
};

/// Canonical bytes of an id's value: text[offset ..).
struct key_part {
    uint64_t hash;
    uint32_t offset;
    uint32_t length;  // 0: not encoded yet
};

enum memo_of {
    MEMO_OF_NOTHING,
    MEMO_OF_CODES,  // of the dictionary `serial`: the ids are codes + 1
    MEMO_OF_WORDS,  // fixed widths up to 8 bytes
    MEMO_OF_TEXTS,  // short ones
};

/// Ids of one key column; 0 is null.
struct key_memo {
    enum memo_of of;
    uint64_t serial;
    struct key_part *parts;  // owned
    size_t part_count, part_capacity;
    struct pq_bytes text;
    uint64_t *values;  // owned: words or hashes, open addressing, of memo_values_max * 2
    uint32_t *ids;     // owned: 0 is empty
    unsigned resets;
    bool direct;  // too many values: no ids
};

struct key_slot {
    uint64_t ids[2];
    struct pq_trace_row *row;
};

/// One column of the batch at hand.
struct column_keys {
    const uint32_t *ids;  // NULL: `keys`
    struct pq_keys keys;
};

pqdb_code group_keys_init(struct group_keys *keys, size_t count, const struct pq_alloc *alloc,
                          pqdb_error *err) {
    *keys = (struct group_keys){.alloc = alloc, .count = count};
    keys->memos = pq_resize(alloc, NULL, 0, count + 1, sizeof *keys->memos);
    if (keys->memos == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu group keys", count);
    for (size_t k = 0; k < count; k++) {
        keys->memos[k] = (struct key_memo){0};
        pq_bytes_init(&keys->memos[k].text, alloc);
    }
    return PQDB_OK;
}

void group_keys_deinit(struct group_keys *keys) {
    if (keys->memos == NULL) return;
    for (size_t k = 0; k < keys->count; k++) {
        struct key_memo *memo = &keys->memos[k];
        pq_bytes_deinit(&memo->text);
        pq_free(keys->alloc, memo->parts, memo->part_capacity, sizeof *memo->parts);
        pq_free(keys->alloc, memo->values, memo_values_max * 2, sizeof *memo->values);
        pq_free(keys->alloc, memo->ids, memo_values_max * 2, sizeof *memo->ids);
    }
    pq_free(keys->alloc, keys->memos, keys->count + 1, sizeof *keys->memos);
    pq_free(keys->alloc, keys->slots, keys->slot_count, sizeof *keys->slots);
    *keys = (struct group_keys){0};
}

void group_keys_forget(struct group_keys *keys) {
    if (keys->slot_count > 0) memset(keys->slots, 0, keys->slot_count * sizeof *keys->slots);
}

size_t group_keys_bytes(const struct group_keys *keys) {
    size_t bytes = keys->slot_count * sizeof *keys->slots;
    for (size_t k = 0; k < keys->count; k++) {
        const struct key_memo *memo = &keys->memos[k];
        bytes += memo->text.capacity + memo->part_capacity * sizeof *memo->parts;
        if (memo->ids != NULL) {
            bytes += memo_values_max * 2 * (sizeof *memo->values + sizeof *memo->ids);
        }
    }
    return bytes;
}

static pqdb_code reserve_parts(struct group_keys *keys, struct key_memo *memo, size_t count,
                               pqdb_error *err) {
    if (count > memo->part_capacity) {
        size_t capacity = memo->part_capacity < 64 ? 64 : memo->part_capacity * 2;
        if (capacity < count) capacity = count;
        void *grown = pq_resize(keys->alloc, memo->parts, memo->part_capacity, capacity,
                                sizeof *memo->parts);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "memo of %zu keys", capacity);
        memo->parts = grown;
        memo->part_capacity = capacity;
    }
    while (memo->part_count < count) memo->parts[memo->part_count++] = (struct key_part){0};
    return PQDB_OK;
}

static pqdb_code encode_part(struct key_memo *memo, uint32_t id, const struct pq_column *column,
                             size_t row, pqdb_error *err) {
    const struct pq_value value = pq_column_value(column, row);
    const size_t start = memo->text.length;
    PQ_TRY(pq_key_encode(&value, &memo->text, err));
    struct key_part *part = &memo->parts[id];
    part->offset = (uint32_t)start;
    part->length = (uint32_t)(memo->text.length - start);
    part->hash = pq_hash(memo->text.data + start, part->length);
    return PQDB_OK;
}

/// What the ids meant is void, and so is the cache.
static void reset_memo(struct group_keys *keys, struct key_memo *memo) {
    memo->part_count = 0;
    memo->text.length = 0;
    if (memo->ids != NULL) memset(memo->ids, 0, memo_values_max * 2 * sizeof *memo->ids);
    group_keys_forget(keys);
}

static pqdb_code dictionary_ids(struct group_keys *keys, struct key_memo *memo,
                                const struct pq_column *column, uint32_t *ids, pqdb_error *err) {
    if (memo->of != MEMO_OF_CODES || memo->serial != column->dictionary->serial) {
        reset_memo(keys, memo);
        memo->of = MEMO_OF_CODES;
        memo->serial = column->dictionary->serial;
    }
    const uint32_t *codes = column->values;
    for (size_t i = 0; i < column->count; i++) {
        const uint32_t id = pq_column_is_null(column, i) ? 0 : codes[i] + 1;
        ids[i] = id;
        if (id < memo->part_count && memo->parts[id].length > 0) continue;
        PQ_TRY(reserve_parts(keys, memo, (size_t)id + 1, err));
        PQ_TRY(encode_part(memo, id, column, i, err));
    }
    return PQDB_OK;
}

static uint64_t value_word(const struct pq_column *column, size_t row) {
    switch (pq_kind_width(column->type->kind)) {
        case 1: return ((const uint8_t *)column->values)[row];
        case 4: return ((const uint32_t *)column->values)[row];
        default: return ((const uint64_t *)column->values)[row];
    }
}

static pqdb_code prepare_values(struct group_keys *keys, struct key_memo *memo,
                                const struct pq_column *column, pqdb_error *err) {
    if (memo->ids == NULL) {
        memo->values = pq_resize(keys->alloc, NULL, 0, memo_values_max * 2, sizeof *memo->values);
        memo->ids = pq_resize(keys->alloc, NULL, 0, memo_values_max * 2, sizeof *memo->ids);
        if (memo->values == NULL || memo->ids == NULL) {
            pq_free(keys->alloc, memo->values, memo_values_max * 2, sizeof *memo->values);
            pq_free(keys->alloc, memo->ids, memo_values_max * 2, sizeof *memo->ids);
            memo->values = NULL;
            memo->ids = NULL;
            return pq_fail(err, PQDB_NO_MEMORY, "memo of group keys");
        }
        memset(memo->ids, 0, memo_values_max * 2 * sizeof *memo->ids);
    }
    const enum memo_of of = column->layout == PQ_BYTES ? MEMO_OF_TEXTS : MEMO_OF_WORDS;
    if (memo->of != of) {
        reset_memo(keys, memo);
        memo->of = of;
    }
    return reserve_parts(keys, memo, 1, err);
}

/// Is the part the canonical form of the text? There is no 00 in it, so it stands as it is.
static bool is_text(const struct key_memo *memo, uint32_t id, struct pq_text text) {
    const struct key_part *part = &memo->parts[id];
    return part->length == text.length + 3 &&
           (text.length == 0 ||
            memcmp(memo->text.data + part->offset + 1, text.data, text.length) == 0);
}

/// The word that stands for a value in the memo; false for a text that none shall stand for.
static bool memo_word(const struct pq_column *column, size_t row, uint64_t *word,
                      struct pq_text *text) {
    *text = (struct pq_text){"", 0};
    if (column->layout == PQ_FIXED) {
        *word = value_word(column, row);
        return true;
    }
    *text = pq_column_text(column, row);
    if (text->length == 0) text->data = "";  // it may be NULL
    *word = pq_hash(text->data, text->length);
    return text->length <= memo_text_max && memchr(text->data, 0, text->length) == NULL;
}

/// `*full` when the memo is: then the ids are worth nothing.
static pqdb_code value_ids(struct group_keys *keys, struct key_memo *memo,
                           const struct pq_column *column, uint32_t *ids, bool *full,
                           pqdb_error *err) {
    *full = false;
    for (size_t i = 0; i < column->count; i++) {
        ids[i] = 0;
        if (pq_column_is_null(column, i)) {
            if (memo->parts[0].length == 0) PQ_TRY(encode_part(memo, 0, column, i, err));
            continue;
        }
        uint64_t word;
        struct pq_text text;
        *full = !memo_word(column, i, &word, &text);
        if (*full) return PQDB_OK;
        size_t at = pq_hash_word(word) & (memo_values_max * 2 - 1);
        while (memo->ids[at] != 0 &&
               (memo->values[at] != word ||
                (memo->of == MEMO_OF_TEXTS && !is_text(memo, memo->ids[at], text)))) {
            at = (at + 1) & (memo_values_max * 2 - 1);
        }
        if (memo->ids[at] == 0) {
            const size_t id = memo->part_count;
            *full = id >= memo_values_max;
            if (*full) return PQDB_OK;
            PQ_TRY(reserve_parts(keys, memo, id + 1, err));
            PQ_TRY(encode_part(memo, (uint32_t)id, column, i, err));
            memo->values[at] = word;
            memo->ids[at] = (uint32_t)id;
        }
        ids[i] = memo->ids[at];
    }
    return PQDB_OK;
}

static bool is_memoised(const struct key_memo *memo, const struct pq_column *column) {
    if (column->layout == PQ_DICTIONARY) {
        return column->dictionary->entries_max < memo_ids_max;
    }
    if (column->type->kind == PQ_TEXT) return !memo->direct;
    const size_t width = pq_kind_width(column->type->kind);
    return width > 0 && width <= 8 && !memo->direct;
}

static pqdb_code prepare_column(struct group_keys *keys, size_t k, const struct pq_column *column,
                                struct column_keys *out, struct pq_arena *arena,
                                pqdb_error *err) {
    struct key_memo *memo = &keys->memos[k];
    *out = (struct column_keys){0};
    if (!is_memoised(memo, column)) {
        return pq_keys_encode(column, 1, column->count, arena, &out->keys, err);
    }
    uint32_t *ids = pq_arena_alloc(arena, column->count * sizeof *ids);
    if (ids == NULL) return pq_fail(err, PQDB_NO_MEMORY, "keys of %zu rows", column->count);
    out->ids = ids;
    if (column->layout == PQ_DICTIONARY) return dictionary_ids(keys, memo, column, ids, err);
    bool full;
    PQ_TRY(prepare_values(keys, memo, column, err));
    PQ_TRY(value_ids(keys, memo, column, ids, &full, err));
    if (!full) return PQDB_OK;
    reset_memo(keys, memo);
    memo->direct = ++memo->resets >= resets_max;
    out->ids = NULL;
    return pq_keys_encode(column, 1, column->count, arena, &out->keys, err);
}

/// Point the cache at the trace's current rows, large enough for its groups.
static pqdb_code prepare_slots(struct group_keys *keys, const struct pq_trace *trace,
                               pqdb_error *err) {
    size_t count = keys->slot_count == 0 ? slots_min : keys->slot_count;
    while (count < slots_max && count < 4 * trace->live_rows) count *= 2;
    if (count != keys->slot_count) {
        struct key_slot *slots = pq_resize(keys->alloc, NULL, 0, count, sizeof *slots);
        if (slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "cache of %zu groups", count);
        pq_free(keys->alloc, keys->slots, keys->slot_count, sizeof *slots);
        keys->slots = slots;
        keys->slot_count = count;
        group_keys_forget(keys);
    }
    if (keys->epoch != trace->epoch) {
        group_keys_forget(keys);
        keys->epoch = trace->epoch;
    }
    return PQDB_OK;
}

/// What one call works with.
struct lookup {
    struct group_keys *keys;
    struct pq_trace *trace;
    const struct key_rows *given;
    const struct column_keys *columns;
    bool packed;  // every column has ids, and they fit
    struct pq_bytes scratch;  // key bytes of the misses of a block
};

struct miss {
    uint64_t hash;
    size_t row;
    uint32_t offset, length;  // in scratch
    struct key_slot *slot;    // to fill, or NULL
    uint64_t ids[2];
};

static void pack_ids(const struct lookup *lookup, size_t row, uint64_t ids[2]) {
    ids[0] = ids[1] = 0;
    for (size_t k = 0; k < lookup->keys->count; k++) {
        ids[k / 3] = ids[k / 3] << 21 | lookup->columns[k].ids[row];
    }
}

/// The row's key bytes behind those in scratch, and their hash.
static pqdb_code assemble(struct lookup *lookup, struct miss *miss, pqdb_error *err) {
    struct pq_bytes *scratch = &lookup->scratch;
    miss->offset = (uint32_t)scratch->length;
    uint64_t hash = 0;
    for (size_t k = 0; k < lookup->keys->count; k++) {
        const struct column_keys *column = &lookup->columns[k];
        if (column->ids != NULL) {
            const struct key_memo *memo = &lookup->keys->memos[k];
            const struct key_part *part = &memo->parts[column->ids[miss->row]];
            PQ_TRY(pq_bytes_append(scratch, memo->text.data + part->offset, part->length, err));
            hash = pq_hash_word(hash ^ part->hash);
        } else {
            const uint32_t start = column->keys.offsets[miss->row];
            const uint32_t length = column->keys.offsets[miss->row + 1] - start;
            PQ_TRY(pq_bytes_append(scratch, column->keys.data + start, length, err));
            hash = pq_hash_word(hash ^ pq_hash(column->keys.data + start, length));
        }
    }
    miss->length = (uint32_t)scratch->length - miss->offset;
    miss->hash = hash;
    pq_trace_prefetch(lookup->trace, hash);
    return PQDB_OK;
}

static pqdb_code resolve(struct lookup *lookup, const struct miss *miss, pqdb_error *err) {
    const struct key_rows *given = lookup->given;
    const struct pq_hashed_key key = {
        miss->hash, {(const char *)lookup->scratch.data + miss->offset, miss->length}};
    struct pq_trace_row *row;
    bool created;
    PQ_TRY(pq_trace_touch(lookup->trace, &key, given->payload_bytes, &row, &created, err));
    if (created) PQ_TRY(given->make(given->ctx, &row, miss->row, err));
    given->rows[miss->row] = row;
    if (miss->slot != NULL) {
        *miss->slot = (struct key_slot){{miss->ids[0], miss->ids[1]}, row};
    }
    return PQDB_OK;
}

/// Where the cache would have each row's group: first all slots, then all rows come into reach.
static void look_into_cache(const struct lookup *lookup, size_t start, size_t count,
                            struct miss *misses) {
    const struct group_keys *keys = lookup->keys;
    for (size_t i = 0; i < count; i++) {
        struct miss *miss = &misses[i];
        pack_ids(lookup, start + i, miss->ids);
        const uint64_t mixed = pq_hash_word(miss->ids[0] ^ miss->ids[1] << 1);
        miss->slot = &keys->slots[mixed & (keys->slot_count - 1)];
        __builtin_prefetch(miss->slot);
    }
    for (size_t i = 0; i < count; i++) __builtin_prefetch(misses[i].slot->row);
}

static bool is_hit(const struct miss *miss) {
    const struct key_slot *slot = miss->slot;
    return slot != NULL && slot->row != NULL && slot->ids[0] == miss->ids[0] &&
           slot->ids[1] == miss->ids[1] &&
           (slot->row->flags & (PQ_TRACE_DEAD | PQ_TRACE_REPLACED)) == 0;
}

static pqdb_code touch_block(struct lookup *lookup, size_t start, size_t end, pqdb_error *err) {
    struct miss misses[block_rows];
    const size_t count = end - start;
    size_t miss_count = 0;
    lookup->scratch.length = 0;
    if (lookup->packed) look_into_cache(lookup, start, count, misses);
    for (size_t i = 0; i < count; i++) {
        struct miss miss = {.slot = NULL};
        if (lookup->packed) miss = misses[i];
        miss.row = start + i;
        if (is_hit(&miss)) {
            lookup->given->rows[miss.row] = miss.slot->row;
            continue;
        }
        PQ_TRY(assemble(lookup, &miss, err));
        misses[miss_count++] = miss;
    }
    for (size_t i = 0; i < miss_count; i++) pq_trace_prefetch_row(lookup->trace, misses[i].hash);
    for (size_t i = 0; i < miss_count; i++) PQ_TRY(resolve(lookup, &misses[i], err));
    return PQDB_OK;
}

pqdb_code group_keys_touch(struct group_keys *keys, struct pq_trace *trace,
                           const struct key_rows *given, struct pq_arena *arena,
                           pqdb_error *err) {
    struct column_keys *columns = pq_arena_calloc(arena, keys->count + 1, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu group keys", keys->count);
    struct lookup lookup = {.keys = keys,
                            .trace = trace,
                            .given = given,
                            .columns = columns,
                            .packed = keys->count <= packed_columns_max};
    pq_bytes_init(&lookup.scratch, &arena->alloc);
    for (size_t k = 0; k < keys->count; k++) {
        PQ_TRY(prepare_column(keys, k, &given->columns[k], &columns[k], arena, err));
        if (columns[k].ids == NULL) lookup.packed = false;
    }
    PQ_TRY(prepare_slots(keys, trace, err));
    for (size_t start = 0; start < given->count; start += block_rows) {
        const size_t end = given->count - start < block_rows ? given->count : start + block_rows;
        PQ_TRY(touch_block(&lookup, start, end, err));
    }
    return PQDB_OK;
}

pqdb_code group_keys_places(const struct pq_column *columns, size_t column_count, size_t count,
                            struct pq_arena *arena, struct pq_multiset_place *places,
                            pqdb_error *err) {
    struct pq_keys *keys = pq_arena_alloc(arena, (column_count + 1) * sizeof *keys);
    if (keys == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu group keys", column_count);
    size_t bytes = 0;
    for (size_t k = 0; k < column_count; k++) {
        PQ_TRY(pq_keys_encode(&columns[k], 1, count, arena, &keys[k], err));
        bytes += keys[k].offsets[count];
    }
    char *data = pq_arena_alloc(arena, bytes);
    if (data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "groups of %zu rows", count);
    for (size_t i = 0; i < count; i++) {
        places[i] = (struct pq_multiset_place){.group = {data, 0}, .value = {"", 0}};
        for (size_t k = 0; k < column_count; k++) {
            const uint8_t *part = keys[k].data + keys[k].offsets[i];
            const size_t length = keys[k].offsets[i + 1] - keys[k].offsets[i];
            memcpy(data, part, length);
            data += length;
            places[i].group.length += length;
            places[i].hash = pq_hash_word(places[i].hash ^ pq_hash(part, length));
        }
    }
    return PQDB_OK;
}
