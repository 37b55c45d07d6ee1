/// state/trace.c: the two levels in memory, and the way down to the runs.
#include "base/check.h"
#include "base/fail.h"
#include "state/multiset_internal.h"
#include "state/trace_internal.h"

enum {
    slab_bytes_min = 4096,
    slots_min = 64,
    row_bytes_max = 1 << 30,
};

void pq_trace_init(struct pq_trace *trace, enum pq_trace_kind kind, const struct pq_alloc *alloc) {
    *trace = (struct pq_trace){.kind = kind, .alloc = alloc, .epoch = 1};
    pq_bytes_init(&trace->room, alloc);
}

void pq_trace_clear(struct pq_trace *trace) {
    const struct pq_alloc *alloc = trace->alloc;
    while (trace->slabs != NULL) {
        struct pq_trace_slab *slab = trace->slabs;
        trace->slabs = slab->older;
        pq_free(alloc, slab, sizeof *slab + slab->capacity, 1);
    }
    for (size_t i = 0; i < trace->run_count; i++) pq_run_unref(trace->runs[i]);
    pq_free(alloc, trace->runs, trace->run_capacity, sizeof(struct pq_run *));
    pq_free(alloc, trace->table, trace->table_capacity, sizeof(struct pq_trace_slab *));
    pq_free(alloc, trace->slots, trace->slot_count, sizeof *trace->slots);
    pq_bytes_deinit(&trace->room);
    multiset_destroy(trace->multiset);
    // Epochs go on: whoever remembers a row by its epoch must not find another one.
    const uint32_t epoch = trace->epoch + 1;
    pq_trace_init(trace, trace->kind, alloc);
    trace->epoch = epoch;
    trace->clean_epoch = epoch - 1;
}

void pq_trace_branch(struct pq_trace *trace, struct pq_trace *parent) {
    pq_assert(trace->kind == parent->kind && trace->live_rows == 0 && trace->run_count == 0);
    trace->parent = parent;
}

void pq_trace_deinit(struct pq_trace *trace) { pq_trace_clear(trace); }

size_t pq_trace_bytes(const struct pq_trace *trace) {
    size_t bytes =
        trace->bytes_held + trace->room.capacity + multiset_bytes(trace->multiset);
    for (size_t i = 0; i < trace->run_count; i++) bytes += pq_run_bytes_held(trace->runs[i]);
    return bytes;
}

size_t pq_trace_dirty_bytes(const struct pq_trace *trace) {
    return trace->dirty_bytes + multiset_bytes(trace->multiset);
}

static bool slot_matches(uint64_t slot, uint64_t hash, struct pq_text key) {
    if (slot >> 48 != hash >> 48) return false;
    const struct pq_trace_row *row = slot_row(slot);
    return row->hash == hash && pq_text_equal(pq_trace_key(row), key);
}

uint64_t *trace_slot_of(struct pq_trace *trace, uint64_t hash, struct pq_text key) {
    if (trace->slot_count == 0) return NULL;
    const size_t mask = trace->slot_count - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        const uint64_t slot = trace->slots[i];
        if (slot == 0) return NULL;
        if (slot != TRACE_SLOT_LEFT && slot_matches(slot, hash, key)) return &trace->slots[i];
    }
}

static void put_slot(uint64_t *slots, size_t slot_count, struct pq_trace_row *row) {
    size_t i = row->hash & (slot_count - 1);
    while (slots[i] > TRACE_SLOT_LEFT) i = (i + 1) & (slot_count - 1);
    slots[i] = row->hash >> 48 << 48 | (uint64_t)(uintptr_t)row;
}

/// Tombstones that the runs hold need no slot any more.
static bool needs_slot(const struct pq_trace *trace, uint64_t slot) {
    if (slot <= TRACE_SLOT_LEFT) return false;
    const struct pq_trace_row *row = slot_row(slot);
    return (row->flags & PQ_TRACE_DEAD) == 0 || row->epoch > trace->clean_epoch;
}

/// Room for one more key. Rows whose slot goes stay in their slabs, without being counted live.
static pqdb_code reserve_slot(struct pq_trace *trace, pqdb_error *err) {
    if (trace->slots_used + 1 <= trace->slot_count / 4 * 3) return PQDB_OK;
    size_t needed = 0;
    for (size_t i = 0; i < trace->slot_count; i++) needed += needs_slot(trace, trace->slots[i]);
    size_t count = slots_min;
    while (count / 2 < needed + 1) count *= 2;  // half full after a rebuild
    uint64_t *slots = pq_resize(trace->alloc, NULL, 0, count, sizeof *slots);
    if (slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "state of %zu keys", needed);
    memset(slots, 0, count * sizeof *slots);
    for (size_t i = 0; i < trace->slot_count; i++) {
        const uint64_t slot = trace->slots[i];
        if (needs_slot(trace, slot)) {
            put_slot(slots, count, slot_row(slot));
        } else if (slot > TRACE_SLOT_LEFT) {
            const struct pq_trace_row *row = slot_row(slot);
            trace->table[row->slab]->live_bytes -= trace_row_bytes(row);
        }
    }
    pq_free(trace->alloc, trace->slots, trace->slot_count, sizeof *slots);
    trace->bytes_held += (count - trace->slot_count) * sizeof *slots;
    trace->slots = slots;
    trace->slot_count = count;
    trace->slots_used = needed;
    return PQDB_OK;
}

static pqdb_code reserve_table(struct pq_trace *trace, uint32_t *number, pqdb_error *err) {
    for (size_t i = trace->table_count; i-- > 0 && trace->table_count - i <= 8;) {
        if (trace->table[i] == NULL) {
            *number = (uint32_t)i;
            return PQDB_OK;
        }
    }
    if (trace->table_count == trace->table_capacity) {
        // Slabs come rarely: look for a freed number before growing.
        for (size_t i = 0; i < trace->table_count; i++) {
            if (trace->table[i] == NULL) {
                *number = (uint32_t)i;
                return PQDB_OK;
            }
        }
        const size_t capacity = trace->table_capacity == 0 ? 8 : trace->table_capacity * 2;
        void *grown = pq_resize(trace->alloc, trace->table, trace->table_capacity, capacity,
                                sizeof(struct pq_trace_slab *));
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu slabs of state", capacity);
        trace->bytes_held += (capacity - trace->table_capacity) * sizeof(struct pq_trace_slab *);
        trace->table = grown;
        trace->table_capacity = capacity;
    }
    *number = (uint32_t)trace->table_count;
    trace->table[trace->table_count++] = NULL;
    return PQDB_OK;
}

struct pq_trace_slab *trace_make_slab(struct pq_trace *trace, size_t capacity, uint32_t epoch,
                                      pqdb_error *err) {
    uint32_t number = 0;
    if (reserve_table(trace, &number, err) != PQDB_OK) return NULL;
    struct pq_trace_slab *slab = pq_resize(trace->alloc, NULL, 0, sizeof *slab + capacity, 1);
    if (slab == NULL) {
        pq_fail(err, PQDB_NO_MEMORY, "slab of %zu bytes", capacity);
        return NULL;
    }
    pq_assert(((uintptr_t)slab + capacity) >> 48 == 0);  // a slot has 48 bits for an address
    *slab = (struct pq_trace_slab){.capacity = capacity, .epoch = epoch, .number = number};
    trace->table[number] = slab;
    trace->bytes_held += sizeof *slab + capacity;
    return slab;
}

static pqdb_code add_slab(struct pq_trace *trace, size_t bytes, pqdb_error *err) {
    const struct pq_trace_slab *newest = trace->slabs;
    size_t capacity = slab_bytes_min;
    if (newest != NULL && newest->epoch == trace->epoch) capacity = newest->capacity * 2;
    if (capacity > PQ_TRACE_SLAB_BYTES) capacity = PQ_TRACE_SLAB_BYTES;
    if (capacity < bytes) capacity = bytes;
    struct pq_trace_slab *slab = trace_make_slab(trace, capacity, trace->epoch, err);
    if (slab == NULL) return PQDB_NO_MEMORY;
    slab->older = trace->slabs;
    trace->slabs = slab;
    trace->dirty_slabs++;
    trace->dirty_bytes += sizeof *slab + slab->capacity;
    return PQDB_OK;
}

void trace_free_slab(struct pq_trace *trace, struct pq_trace_slab *slab) {
    struct pq_trace_slab **link = &trace->slabs;
    while (*link != slab) link = &(*link)->older;
    *link = slab->older;
    trace->table[slab->number] = NULL;
    if (trace->tidied == slab) trace->tidied = NULL;
    trace->bytes_held -= sizeof *slab + slab->capacity;
    pq_free(trace->alloc, slab, sizeof *slab + slab->capacity, 1);
}

/// A row in the current slab, zeroed behind its key, not yet in a slot.
static pqdb_code make_row(struct pq_trace *trace, const struct pq_hashed_key *given,
                          size_t payload_bytes, struct pq_trace_row **row, pqdb_error *err) {
    const struct pq_text key = given->bytes;
    const size_t key_room = (key.length + 7) & ~(size_t)7;
    const size_t payload_room = (payload_bytes + 7) & ~(size_t)7;
    const size_t bytes = sizeof **row + key_room + payload_room;
    if (key.length > row_bytes_max / 2 || payload_bytes > row_bytes_max / 2) {
        return pq_fail(err, PQDB_LIMIT, "a state row of %zu bytes (at most %d)", bytes,
                       row_bytes_max);
    }
    struct pq_trace_slab *slab = trace->slabs;
    if (slab == NULL || slab->epoch != trace->epoch || bytes > slab->capacity - slab->used) {
        PQ_TRY(add_slab(trace, bytes, err));
        slab = trace->slabs;
    }
    struct pq_trace_row *made = (struct pq_trace_row *)(uintptr_t)(slab->room + slab->used);
    slab->used += bytes;
    slab->live_bytes += bytes;
    *made = (struct pq_trace_row){.hash = given->hash,
                                  .epoch = trace->epoch,
                                  .slab = slab->number,
                                  .key_bytes = (uint32_t)key.length,
                                  .payload_bytes = (uint32_t)payload_bytes,
                                  .payload_room = (uint32_t)payload_room};
    memset(made + 1, 0, key_room + payload_room);
    if (key.length > 0) memcpy(made + 1, key.data, key.length);
    *row = made;
    return PQDB_OK;
}

/// `newer` takes the place of the row in `slot`.
static void replace_row(struct pq_trace *trace, uint64_t *slot, struct pq_trace_row *newer) {
    struct pq_trace_row *old = slot_row(*slot);
    trace->table[old->slab]->live_bytes -= trace_row_bytes(old);
    // A frozen row stays as it is: a run may be in the making.
    if (old->epoch == trace->epoch) old->flags |= PQ_TRACE_REPLACED;
    *slot = newer->hash >> 48 << 48 | (uint64_t)(uintptr_t)newer;
}

static pqdb_code find_in_runs(struct pq_trace *trace, const struct pq_hashed_key *key,
                              struct pq_run_row *row, bool *found, pqdb_error *err) {
    *found = false;
    for (size_t i = 0; i < trace->run_count && !*found; i++) {
        PQ_TRY(pq_run_find(trace->runs[i], key, &trace->room, row, found, err));
    }
    if (*found && row->dead) *found = false;
    return PQDB_OK;
}

pqdb_code pq_trace_find(struct pq_trace *trace, const struct pq_hashed_key *given,
                        struct pq_trace_row **row, pqdb_error *err) {
    const struct pq_text key = given->bytes;
    uint64_t *slot = trace_slot_of(trace, given->hash, key);
    *row = NULL;
    if (slot != NULL) {
        struct pq_trace_row *there = slot_row(*slot);
        if ((there->flags & PQ_TRACE_DEAD) == 0) *row = there;
        return PQDB_OK;
    }
    if (trace->parent != NULL) return pq_trace_find(trace->parent, given, row, err);
    struct pq_run_row stored;
    bool found = false;
    if (trace->run_count > 0) PQ_TRY(find_in_runs(trace, given, &stored, &found, err));
    if (!found) return PQDB_OK;
    // The row is made in the same buffer, behind the block it was found in.
    struct pq_bytes *room = &trace->room;
    const size_t key_room = (key.length + 7) & ~(size_t)7;
    const size_t payload_offset = (size_t)((const uint8_t *)stored.payload.data - room->data);
    room->length = payload_offset + stored.payload.length;
    const size_t start = (room->length + 7) & ~(size_t)7;
    PQ_TRY(pq_bytes_reserve(room, 8 + sizeof **row + key_room + stored.payload.length, err));
    struct pq_trace_row *made = (struct pq_trace_row *)(uintptr_t)(room->data + start);
    *made = (struct pq_trace_row){.hash = given->hash,
                                  .key_bytes = (uint32_t)key.length,
                                  .payload_bytes = (uint32_t)stored.payload.length};
    if (key.length > 0) memcpy(made + 1, key.data, key.length);
    memcpy(pq_trace_payload(made), room->data + payload_offset, stored.payload.length);
    *row = made;
    return PQDB_OK;
}

/// From the parent of a branch.
static pqdb_code find_in_parent(struct pq_trace *parent, const struct pq_hashed_key *key,
                                struct pq_run_row *row, bool *found, pqdb_error *err) {
    struct pq_trace_row *there;
    PQ_TRY(pq_trace_find(parent, key, &there, err));
    *found = there != NULL;
    if (*found) {
        row->payload = (struct pq_text){(const char *)pq_trace_payload(there),
                                        there->payload_bytes};
    }
    return PQDB_OK;
}

/// A key that memory does not know: from the runs, from the parent, or new.
static pqdb_code bring(struct pq_trace *trace, const struct pq_hashed_key *key,
                       size_t payload_bytes, struct pq_trace_row **row, bool *created,
                       pqdb_error *err) {
    struct pq_run_row stored = {0};
    bool found = false;
    if (trace->run_count > 0) PQ_TRY(find_in_runs(trace, key, &stored, &found, err));
    if (trace->parent != NULL) PQ_TRY(find_in_parent(trace->parent, key, &stored, &found, err));
    PQ_TRY(reserve_slot(trace, err));
    struct pq_trace_row *made;
    PQ_TRY(make_row(trace, key, found ? stored.payload.length : payload_bytes, &made, err));
    if (found && stored.payload.length > 0) {
        memcpy(pq_trace_payload(made), stored.payload.data, stored.payload.length);
    }
    put_slot(trace->slots, trace->slot_count, made);
    trace->slots_used++;
    trace->live_rows++;
    *row = made;
    *created = !found;
    return PQDB_OK;
}

pqdb_code pq_trace_touch(struct pq_trace *trace, const struct pq_hashed_key *key,
                         size_t payload_bytes, struct pq_trace_row **row, bool *created,
                         pqdb_error *err) {
    uint64_t *slot = trace_slot_of(trace, key->hash, key->bytes);
    if (slot == NULL) return bring(trace, key, payload_bytes, row, created, err);
    struct pq_trace_row *there = slot_row(*slot);
    const bool dead = (there->flags & PQ_TRACE_DEAD) != 0;
    if (!dead && there->epoch == trace->epoch) {
        *row = there;
        *created = false;
        return PQDB_OK;
    }
    struct pq_trace_row *made;
    const size_t bytes = dead ? payload_bytes : there->payload_bytes;
    PQ_TRY(make_row(trace, key, bytes, &made, err));
    if (!dead && bytes > 0) memcpy(pq_trace_payload(made), pq_trace_payload(there), bytes);
    replace_row(trace, slot, made);
    trace->live_rows += dead;
    *row = made;
    *created = dead;
    return PQDB_OK;
}

/// The newest row of the current slab grows where it is.
static bool extend_row(struct pq_trace *trace, struct pq_trace_row *row, size_t payload_bytes) {
    struct pq_trace_slab *slab = trace->table[row->slab];
    const uint8_t *end = (uint8_t *)row + trace_row_bytes(row);
    const size_t extra = ((payload_bytes + 7) & ~(size_t)7) - row->payload_room;
    if (end != slab->room + slab->used || extra > slab->capacity - slab->used ||
        payload_bytes > row_bytes_max / 2) {
        return false;
    }
    memset(pq_trace_payload(row) + row->payload_bytes, 0,
           row->payload_room - row->payload_bytes + extra);
    slab->used += extra;
    slab->live_bytes += extra;
    row->payload_room += (uint32_t)extra;
    row->payload_bytes = (uint32_t)payload_bytes;
    return true;
}

pqdb_code pq_trace_resize(struct pq_trace *trace, struct pq_trace_row **row, size_t payload_bytes,
                          pqdb_error *err) {
    struct pq_trace_row *old = *row;
    pq_assert(old->epoch == trace->epoch);
    pq_assert((old->flags & (PQ_TRACE_DEAD | PQ_TRACE_REPLACED)) == 0);
    if (payload_bytes <= old->payload_room) {
        uint8_t *payload = pq_trace_payload(old);
        if (payload_bytes > old->payload_bytes) {
            memset(payload + old->payload_bytes, 0, payload_bytes - old->payload_bytes);
        }
        old->payload_bytes = (uint32_t)payload_bytes;
        return PQDB_OK;
    }
    if (extend_row(trace, old, payload_bytes)) return PQDB_OK;
    struct pq_trace_row *made;
    const struct pq_hashed_key key = {old->hash, pq_trace_key(old)};
    PQ_TRY(make_row(trace, &key, payload_bytes, &made, err));
    memcpy(pq_trace_payload(made), pq_trace_payload(old), old->payload_bytes);
    replace_row(trace, trace_slot_of(trace, old->hash, pq_trace_key(old)), made);
    *row = made;
    return PQDB_OK;
}

void pq_trace_remove(struct pq_trace *trace, struct pq_trace_row *row) {
    pq_assert(row->epoch == trace->epoch);
    pq_assert((row->flags & (PQ_TRACE_DEAD | PQ_TRACE_REPLACED)) == 0);
    trace->live_rows--;
    if (trace->run_count > 0 || trace->parent != NULL ||
        trace->clean_epoch + 1 < trace->epoch) {
        row->flags |= PQ_TRACE_DEAD;
        return;
    }
    // Nothing below can know the key: no tombstone is needed.
    uint64_t *slot = trace_slot_of(trace, row->hash, pq_trace_key(row));
    *slot = TRACE_SLOT_LEFT;
    row->flags |= PQ_TRACE_REPLACED;
    trace->table[row->slab]->live_bytes -= trace_row_bytes(row);
}
