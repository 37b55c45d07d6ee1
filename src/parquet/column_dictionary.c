#include "parquet/column_dictionary.h"

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"

enum {
    capacity_first = 256,
    plain_bytes_max = INT32_MAX,
    group = 32,              // values looked up side by side
    cached_slots = 1 << 14,  // beyond, a look-up waits for memory
};

void pq_column_dictionary_init(struct pq_column_dictionary *dictionary, size_t width,
                               const struct pq_alloc *alloc) {
    *dictionary = (struct pq_column_dictionary){.alloc = alloc, .width = width};
    pq_bytes_init(&dictionary->plain, alloc);
}

void pq_column_dictionary_deinit(struct pq_column_dictionary *dictionary) {
    const struct pq_alloc *alloc = dictionary->alloc;
    pq_bytes_deinit(&dictionary->plain);
    pq_free(alloc, dictionary->starts, dictionary->capacity, sizeof *dictionary->starts);
    pq_free(alloc, dictionary->marks, dictionary->capacity, sizeof *dictionary->marks);
    pq_free(alloc, dictionary->slots, dictionary->slot_count, sizeof *dictionary->slots);
    pq_free(alloc, dictionary->remap, dictionary->remap_count, sizeof *dictionary->remap);
}

void pq_column_dictionary_reset(struct pq_column_dictionary *dictionary) {
    dictionary->plain.length = 0;
    dictionary->count = 0;
    dictionary->serial = 0;
    if (dictionary->slots != NULL) {
        memset(dictionary->slots, 0, dictionary->slot_count * sizeof *dictionary->slots);
    }
}

size_t pq_column_dictionary_bytes(const struct pq_column_dictionary *dictionary) {
    const size_t marks = sizeof *dictionary->starts + sizeof *dictionary->marks;
    return dictionary->plain.length +
           dictionary->count * (marks + 2 * sizeof *dictionary->slots);  // half of them are used
}

static const uint8_t *entry_of(const struct pq_column_dictionary *dictionary, uint32_t code) {
    const size_t width = dictionary->width;
    return dictionary->plain.data + (width > 0 ? code * width : dictionary->starts[code]);
}

struct pq_text pq_column_dictionary_value(const struct pq_column_dictionary *dictionary,
                                          uint32_t code) {
    const uint8_t *entry = entry_of(dictionary, code);
    if (dictionary->width > 0) return (struct pq_text){(const char *)entry, dictionary->width};
    return (struct pq_text){(const char *)entry + 4, pq_load_u32(entry)};
}

static pqdb_code grow_entries(struct pq_column_dictionary *dictionary, pqdb_error *err) {
    const uint32_t old = dictionary->capacity, room = old == 0 ? capacity_first : old * 2;
    uint32_t *starts = pq_resize(dictionary->alloc, NULL, 0, room, sizeof *starts);
    uint32_t *marks = pq_resize(dictionary->alloc, NULL, 0, room, sizeof *marks);
    if (starts == NULL || marks == NULL) {
        pq_free(dictionary->alloc, starts, room, sizeof *starts);
        pq_free(dictionary->alloc, marks, room, sizeof *marks);
        return pq_parquet_no_memory(err, "a dictionary");
    }
    if (old > 0) {
        memcpy(starts, dictionary->starts, old * sizeof *starts);
        memcpy(marks, dictionary->marks, old * sizeof *marks);
    }
    pq_free(dictionary->alloc, dictionary->starts, old, sizeof *starts);
    pq_free(dictionary->alloc, dictionary->marks, old, sizeof *marks);
    dictionary->starts = starts;
    dictionary->marks = marks;
    dictionary->capacity = room;
    return PQDB_OK;
}

static pqdb_code grow_slots(struct pq_column_dictionary *dictionary, pqdb_error *err) {
    const size_t old = dictionary->slot_count, room = old == 0 ? 2 * capacity_first : old * 2;
    uint64_t *slots = pq_resize(dictionary->alloc, NULL, 0, room, sizeof *slots);
    if (slots == NULL) return pq_parquet_no_memory(err, "a dictionary");
    memset(slots, 0, room * sizeof *slots);
    for (size_t i = 0; i < old; i++) {
        const uint64_t slot = dictionary->slots[i];
        if (slot == 0) continue;
        size_t at = (size_t)(slot >> 32) & (room - 1);
        while (slots[at] != 0) at = (at + 1) & (room - 1);
        slots[at] = slot;
    }
    pq_free(dictionary->alloc, dictionary->slots, old, sizeof *slots);
    dictionary->slots = slots;
    dictionary->slot_count = room;
    return PQDB_OK;
}

static pqdb_code add_entry(struct pq_column_dictionary *dictionary, struct pq_text value,
                           bool is_text, pqdb_error *err) {
    if (is_text && !pq_text_is_utf8(value)) {
        return pq_fail(err, PQDB_INVALID, "text that is not UTF-8");
    }
    if (dictionary->count == dictionary->capacity) PQ_TRY(grow_entries(dictionary, err));
    if (value.length + 4 > plain_bytes_max - dictionary->plain.length) {
        return pq_fail(err, PQDB_LIMIT, "a dictionary of more than 2 GiB");
    }
    dictionary->starts[dictionary->count] = (uint32_t)dictionary->plain.length;
    dictionary->marks[dictionary->count] = 0;
    const uint32_t length = (uint32_t)value.length;
    PQ_TRY(pq_bytes_reserve(&dictionary->plain, value.length + sizeof length, err));
    if (dictionary->width == 0) {
        PQ_TRY(pq_bytes_append(&dictionary->plain, &length, sizeof length, err));
    }
    PQ_TRY(pq_bytes_append_text(&dictionary->plain, value, err));
    dictionary->count++;
    return PQDB_OK;
}

static bool is_entry(const struct pq_column_dictionary *dictionary, uint32_t code,
                     struct pq_text value) {
    const uint8_t *entry = entry_of(dictionary, code);
    if (dictionary->width == 8) return pq_load_u64(entry) == pq_load_u64(value.data);
    if (dictionary->width > 0) return memcmp(entry, value.data, dictionary->width) == 0;
    return pq_load_u32(entry) == value.length &&
           (value.length == 0 || memcmp(entry + 4, value.data, value.length) == 0);
}

static pqdb_code code_of(struct pq_column_dictionary *dictionary, struct pq_text value,
                         uint64_t hash, bool is_text, uint32_t *code, pqdb_error *err) {
    if ((size_t)dictionary->count * 2 >= dictionary->slot_count) {
        PQ_TRY(grow_slots(dictionary, err));
    }
    const size_t mask = dictionary->slot_count - 1;
    size_t at = (size_t)(hash >> 32) & mask;
    for (; dictionary->slots[at] != 0; at = (at + 1) & mask) {
        const uint64_t slot = dictionary->slots[at];
        *code = (uint32_t)slot - 1;
        if (slot >> 32 == hash >> 32 && is_entry(dictionary, *code, value)) return PQDB_OK;
    }
    *code = dictionary->count;
    PQ_TRY(add_entry(dictionary, value, is_text, err));
    dictionary->slots[at] = (hash >> 32) << 32 | (uint64_t)dictionary->count;
    return PQDB_OK;
}

static uint64_t hash_of(const struct pq_column_dictionary *dictionary, struct pq_text value) {
    if (dictionary->width == 8) return pq_hash_word(pq_load_u64(value.data));
    if (dictionary->width == 4) return pq_hash_word(pq_load_u32(value.data));
    return pq_hash(value.data, value.length);
}

static struct pq_text value_at(const struct pq_value_block *block, size_t i) {
    if (block->texts != NULL) return block->texts[i];
    return (struct pq_text){(const char *)block->fixed + i * block->width, block->width};
}

/// Have the memory that the look-ups of these hashes will touch come at the same time.
/// Inline always: as a call it has no effect that gcc knows of, and goes.
__attribute__((always_inline)) static inline void fetch_ahead(
    const struct pq_column_dictionary *dictionary, const uint64_t *hashes, size_t count) {
    const size_t mask = dictionary->slot_count - 1;
    uint32_t codes[group];
    if (dictionary->slot_count < cached_slots) return;
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(&dictionary->slots[(size_t)(hashes[i] >> 32) & mask]);
    }
    for (size_t i = 0; i < count; i++) {
        const uint64_t slot = dictionary->slots[(size_t)(hashes[i] >> 32) & mask];
        codes[i] = slot == 0 ? 0 : (uint32_t)slot - 1;
        if (dictionary->width == 0) __builtin_prefetch(&dictionary->starts[codes[i]]);
    }
    for (size_t i = 0; i < count; i++) __builtin_prefetch(entry_of(dictionary, codes[i]));
}

pqdb_code pq_column_dictionary_encode(struct pq_column_dictionary *dictionary,
                                      const struct pq_value_block *block, bool is_text,
                                      uint32_t *codes, pqdb_error *err) {
    struct pq_text before = {0};
    for (size_t start = 0; start < block->count; start += group) {
        const size_t left = block->count - start, count = left < group ? left : group;
        uint64_t hashes[group], hash = 0;
        bool is_same[group];  // the metadata of variants is one long text all the time
        for (size_t i = 0; i < count; i++) {
            const struct pq_text value = value_at(block, start + i);
            is_same[i] = i > 0 && value.data == before.data && value.length == before.length;
            if (!is_same[i]) hash = hash_of(dictionary, value);
            hashes[i] = hash;
            before = value;
        }
        fetch_ahead(dictionary, hashes, count);
        for (size_t i = 0; i < count; i++) {
            uint32_t *code = &codes[start + i];
            if (is_same[i]) {
                *code = code[-1];
            } else {
                PQ_TRY(code_of(dictionary, value_at(block, start + i), hashes[i], is_text, code,
                               err));
            }
        }
    }
    return PQDB_OK;
}

static pqdb_code begin_remap(struct pq_column_dictionary *dictionary,
                             const struct pq_dictionary *from, pqdb_error *err) {
    const size_t room = from->entries_max;
    if (dictionary->remap_count < room) {
        uint32_t *remap = pq_resize(dictionary->alloc, NULL, 0, room, sizeof *remap);
        if (remap == NULL) return pq_parquet_no_memory(err, "a dictionary");
        pq_free(dictionary->alloc, dictionary->remap, dictionary->remap_count, sizeof *remap);
        dictionary->remap = remap;
        dictionary->remap_count = room;
    }
    memset(dictionary->remap, 0xFF, room * sizeof *dictionary->remap);
    dictionary->serial = from->serial;
    return PQDB_OK;
}

pqdb_code pq_column_dictionary_remap(struct pq_column_dictionary *dictionary,
                                     const struct pq_levels *levels, uint32_t *codes,
                                     pqdb_error *err) {
    const struct pq_dictionary *from = levels->column->dictionary;
    if (dictionary->serial != from->serial) PQ_TRY(begin_remap(dictionary, from, err));
    const uint32_t *values = levels->column->values;
    if (levels->is_dense) values += levels->first_row;
    for (size_t i = 0; i < levels->value_count; i++) {
        const uint32_t code = values[levels->is_dense ? i : levels->rows[i]];
        pq_assert(code < dictionary->remap_count);
        if (dictionary->remap[code] == PQ_NO_CODE) {
            PQ_TRY(code_of(dictionary, pq_dictionary_text(from, code), from->hashes[code], true,
                           &dictionary->remap[code], err));
        }
        codes[i] = dictionary->remap[code];
    }
    return PQDB_OK;
}

pqdb_code pq_column_dictionary_values(const struct pq_column_dictionary *dictionary,
                                      const uint32_t *codes, size_t count, struct pq_bytes *out,
                                      pqdb_error *err) {
    const size_t width = dictionary->width;
    size_t bytes = count * width;
    if (width == 0) {
        for (size_t i = 0; i < count; i++) {
            bytes += 4 + (size_t)pq_load_u32(entry_of(dictionary, codes[i]));
        }
    }
    PQ_TRY(pq_bytes_reserve(out, bytes + 1, err));
    uint8_t *at = out->data + out->length;
    if (width == 8) {
        for (size_t i = 0; i < count; i++, at += 8) {
            pq_store_u64(at, pq_load_u64(entry_of(dictionary, codes[i])));
        }
    } else {
        for (size_t i = 0; i < count; i++) {
            const uint8_t *entry = entry_of(dictionary, codes[i]);
            const size_t length = width > 0 ? width : 4 + (size_t)pq_load_u32(entry);
            memcpy(at, entry, length);
            at += length;
        }
    }
    out->length += bytes;
    return PQDB_OK;
}
