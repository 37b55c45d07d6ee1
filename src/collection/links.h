/// collection/links.h: a link that a write sets must lead to a row (SPEC 2.2).
#ifndef PQ_COLLECTION_LINKS_H
#define PQ_COLLECTION_LINKS_H

#include "base/arena.h"
#include "batch/column.h"
#include "type/schema.h"

/// The ids that the rows' links name, by target collection; each once.
struct pq_link_target {
    const struct pq_relation *relation;  // the first one that names it
    struct pq_text path;                 // where, for messages: "items.product"
    struct pq_text *ids;
    size_t count, capacity;
};
struct pq_links {
    struct pq_arena *arena;
    struct pq_link_target *targets;
    size_t count;
};

/// Does the entry declare any link?
bool pq_entry_has_links(const struct pq_entry *entry);

/// The links in `rows`; where `old` is not NULL, its row i is what row i of `rows` was, and links
/// that it had in the same field are left out: they may dangle. Errors: PQDB_NO_MEMORY.
pqdb_code pq_links_collect(const struct pq_entry *entry, const struct pq_batch *rows,
                           const struct pq_batch *old, struct pq_arena *arena,
                           struct pq_links *links, pqdb_error *err);

#endif
