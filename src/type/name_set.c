#include "type/name_set.h"

#include "base/check.h"
#include "base/hash.h"

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

static uint64_t hash_any_case(struct pq_text name) {
    uint64_t hash = name.length;
    for (size_t i = 0; i < name.length; i++) {
        hash = pq_hash_word(hash ^ (uint64_t)(unsigned char)lower(name.data[i]));
    }
    return hash;
}

bool pq_name_set_init(struct pq_name_set *set, uint32_t count_max, struct pq_arena *arena) {
    uint32_t slot_count = 8;
    while (slot_count < count_max * 2) slot_count *= 2;
    *set = (struct pq_name_set){
        .names = pq_arena_calloc(arena, count_max, sizeof *set->names),
        .positions = pq_arena_calloc(arena, count_max, sizeof *set->positions),
        .slots = pq_arena_calloc(arena, slot_count, sizeof *set->slots),
        .slot_count = slot_count,
        .count_max = count_max,
    };
    return set->names != NULL && set->positions != NULL && set->slots != NULL;
}

/// The slot that holds the name, or the empty one where it would go.
static uint32_t *slot_of(const struct pq_name_set *set, struct pq_text name) {
    uint32_t at = (uint32_t)hash_any_case(name) & (set->slot_count - 1);
    while (set->slots[at] != 0 && !pq_text_equal_any_case(set->names[set->slots[at] - 1], name)) {
        at = (at + 1) & (set->slot_count - 1);
    }
    return &set->slots[at];
}

uint32_t pq_name_set_add(struct pq_name_set *set, struct pq_text name, uint32_t position) {
    uint32_t *slot = slot_of(set, name);
    if (*slot != 0) return set->positions[*slot - 1];
    pq_assert(set->count < set->count_max);
    set->names[set->count] = name;
    set->positions[set->count] = position;
    *slot = ++set->count;
    return UINT32_MAX;
}

uint32_t pq_name_set_find_any_case(const struct pq_name_set *set, struct pq_text name) {
    const uint32_t *slot = slot_of(set, name);
    return *slot == 0 ? UINT32_MAX : set->positions[*slot - 1];
}

uint32_t pq_name_set_find(const struct pq_name_set *set, struct pq_text name) {
    const uint32_t *slot = slot_of(set, name);
    const bool is_it = *slot != 0 && pq_text_equal(set->names[*slot - 1], name);
    return is_it ? set->positions[*slot - 1] : UINT32_MAX;
}
