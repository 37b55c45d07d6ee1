/// expr/nested.h: lists and objects seen alike, whether rows of nested columns or variants.
#ifndef PQ_EXPR_NESTED_H
#define PQ_EXPR_NESTED_H

#include "batch/column.h"

/// The value with a variant scalar as its own kind; only lists and objects stay PQ_VARIANT.
struct pq_value pq_value_plain(const struct pq_value *value);

bool pq_value_is_list(const struct pq_value *plain);
bool pq_value_is_object(const struct pq_value *plain);

/// Elements of a list or members of an object; 0 for anything else.
size_t pq_nested_count(const struct pq_value *plain);

/// Element k of a list or member k of an object as it is stored, plain; `name` may be NULL.
struct pq_value pq_nested_at(const struct pq_value *plain, size_t k, struct pq_text *name);

/// Walks the members of an object that are not null by ascending name.
struct pq_members {
    const struct pq_value *object;  // plain
    size_t next;                    // of a variant, whose members are in order
    struct pq_text last;            // of a column, whose members are not: the name given out last
    bool begun;
};
struct pq_members pq_members_of(const struct pq_value *plain);
bool pq_members_next(struct pq_members *members, struct pq_text *name, struct pq_value *value);

#endif
