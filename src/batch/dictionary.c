#include "batch/dictionary.h"

#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"

enum { slots_min = 64 };

static uint64_t last_serial;

/// The arrays that never move are one block behind the header, in the order of their alignment.
struct room {
    size_t hashes, offsets, data, bytes;  // where each begins; `bytes` in all
};

static struct room room_of(uint32_t entries_max, uint32_t bytes_max) {
    struct room room;
    room.hashes = (sizeof(struct pq_dictionary) + 7) & ~(size_t)7;
    room.offsets = room.hashes + sizeof(uint64_t) * entries_max;
    room.data = room.offsets + sizeof(uint32_t) * ((size_t)entries_max + 1);
    room.bytes = room.data + bytes_max;
    return room;
}

pqdb_code pq_dictionary_create(uint32_t entries_max, uint32_t bytes_max,
                               const struct pq_alloc *alloc, struct pq_dictionary **dictionary,
                               pqdb_error *err) {
    pq_assert(entries_max <= PQ_DICTIONARY_ENTRIES_MAX && bytes_max <= PQ_DICTIONARY_BYTES_MAX);
    const struct room room = room_of(entries_max, bytes_max);
    uint8_t *block = pq_resize(alloc, NULL, 0, room.bytes, 1);
    uint32_t *slots = pq_resize(alloc, NULL, 0, slots_min, sizeof *slots);
    if (block == NULL || slots == NULL) {
        pq_free(alloc, block, block == NULL ? 0 : room.bytes, 1);
        pq_free(alloc, slots, slots == NULL ? 0 : slots_min, sizeof *slots);
        return pq_fail(err, PQDB_NO_MEMORY, "dictionary of %u entries", entries_max);
    }
    memset(slots, 0, slots_min * sizeof *slots);
    struct pq_dictionary *made = (struct pq_dictionary *)(void *)block;
    *made = (struct pq_dictionary){
        .serial = __atomic_add_fetch(&last_serial, 1, __ATOMIC_RELAXED),
        .entries_max = entries_max,
        .bytes_max = bytes_max,
        .offsets = (uint32_t *)(void *)(block + room.offsets),
        .data = block + room.data,
        .hashes = (uint64_t *)(void *)(block + room.hashes),
        .slots = slots,
        .slot_count = slots_min,
        .alloc = alloc,
        .references = 1,
    };
    ((uint32_t *)made->offsets)[0] = 0;
    *dictionary = made;
    return PQDB_OK;
}

struct pq_dictionary *pq_dictionary_ref(const struct pq_dictionary *dictionary) {
    struct pq_dictionary *shared = (struct pq_dictionary *)dictionary;
    __atomic_add_fetch(&shared->references, 1, __ATOMIC_RELAXED);
    return shared;
}

void pq_dictionary_unref(const struct pq_dictionary *dictionary) {
    struct pq_dictionary *shared = (struct pq_dictionary *)dictionary;
    if (shared == NULL) return;
    if (__atomic_sub_fetch(&shared->references, 1, __ATOMIC_ACQ_REL) > 0) return;
    const struct pq_alloc *alloc = shared->alloc;
    pq_free(alloc, shared->slots, shared->slot_count, sizeof *shared->slots);
    pq_free(alloc, shared, room_of(shared->entries_max, shared->bytes_max).bytes, 1);
}

/// Only the writer looks at slots, so they alone may move. False when memory is out.
static bool grow_slots(struct pq_dictionary *dictionary) {
    const uint32_t grown_count = dictionary->slot_count * 2;
    uint32_t *grown = pq_resize(dictionary->alloc, NULL, 0, grown_count, sizeof *grown);
    if (grown == NULL) return false;
    memset(grown, 0, grown_count * sizeof *grown);
    for (uint32_t code = 0; code < dictionary->count; code++) {
        uint32_t slot = (uint32_t)dictionary->hashes[code] & (grown_count - 1);
        while (grown[slot] != 0) slot = (slot + 1) & (grown_count - 1);
        grown[slot] = code + 1;
    }
    pq_free(dictionary->alloc, dictionary->slots, dictionary->slot_count, sizeof *grown);
    dictionary->slots = grown;
    dictionary->slot_count = grown_count;
    return true;
}

static uint32_t add(struct pq_dictionary *dictionary, struct pq_text text, uint64_t hash) {
    const uint32_t code = dictionary->count;
    uint32_t *offsets = (uint32_t *)dictionary->offsets;
    if (code == dictionary->entries_max ||
        text.length > dictionary->bytes_max - offsets[code]) {
        return UINT32_MAX;
    }
    if (code >= dictionary->slot_count / 2 && !grow_slots(dictionary)) return UINT32_MAX;
    const uint32_t mask = dictionary->slot_count - 1;
    uint32_t slot = (uint32_t)hash & mask;
    while (dictionary->slots[slot] != 0) slot = (slot + 1) & mask;

    uint8_t *data = (uint8_t *)dictionary->data;
    if (text.length > 0) memcpy(data + offsets[code], text.data, text.length);
    offsets[code + 1] = offsets[code] + (uint32_t)text.length;
    ((uint64_t *)dictionary->hashes)[code] = hash;
    dictionary->slots[slot] = code + 1;
    __atomic_store_n(&dictionary->count, code + 1, __ATOMIC_RELEASE);
    return code;
}

uint32_t pq_dictionary_code(struct pq_dictionary *dictionary, struct pq_text text) {
    const uint64_t hash = pq_hash(text.data, text.length);
    const uint32_t mask = dictionary->slot_count - 1;
    for (uint32_t slot = (uint32_t)hash & mask;; slot = (slot + 1) & mask) {
        const uint32_t taken = dictionary->slots[slot];
        if (taken == 0) return add(dictionary, text, hash);
        if (dictionary->hashes[taken - 1] == hash &&
            pq_text_equal(pq_dictionary_text(dictionary, taken - 1), text)) {
            return taken - 1;
        }
    }
}
