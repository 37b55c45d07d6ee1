/// type/name_set.h: names that must differ in more than case, and where each of them is.
#ifndef PQ_TYPE_NAME_SET_H
#define PQ_TYPE_NAME_SET_H

#include <stdint.h>

#include "base/arena.h"

/// Invariant: no two names are equal when ASCII letters are compared without case.
struct pq_name_set {
    struct pq_text *names;  // borrowed texts
    uint32_t *positions;    // what each was added as
    uint32_t *slots;        // open addressing, index + 1; a power of two of them
    uint32_t slot_count;
    uint32_t count;
    uint32_t count_max;
};

/// False when memory is out.
bool pq_name_set_init(struct pq_name_set *set, uint32_t count_max, struct pq_arena *arena);

/// Add a name; UINT32_MAX, or the position of the name that is there already, whatever its case.
uint32_t pq_name_set_add(struct pq_name_set *set, struct pq_text name, uint32_t position);

/// The position of a name: exactly it, or in any case; UINT32_MAX when it is not there.
uint32_t pq_name_set_find(const struct pq_name_set *set, struct pq_text name);
uint32_t pq_name_set_find_any_case(const struct pq_name_set *set, struct pq_text name);

#endif
