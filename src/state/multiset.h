/// state/multiset.h: traces whose weights add up: for each group a multiset of values in order.
///
/// A change is appended unread. Small pieces are sorted when they are full or asked, and merged
/// 8 to 1, in memory and as runs; there weights of equal keys add up and zeros vanish. Reading is a
/// walk over all pieces from a place in a group's order, up or down.
///
/// A row's key is the group's key and then the value's bytes; its hash is the group's. So the
/// values of a group lie together, in the order of their bytes, if no group's key is a prefix of
/// another one's. Freezing, writing, installing and opening are those of trace.h.
#ifndef PQ_STATE_MULTISET_H
#define PQ_STATE_MULTISET_H

#include "base/arena.h"
#include "state/trace.h"

/// A group, and a place in its order.
struct pq_multiset_place {
    uint64_t hash;
    struct pq_text group;
    struct pq_text value;
};

/// Cost: 5-10 ns, and 50-150 ns for sorting and merging. Errors: PQDB_NO_MEMORY, PQDB_LIMIT.
pqdb_code pq_multiset_add(struct pq_trace *trace, const struct pq_multiset_place *place,
                          int64_t weight, pqdb_error *err);

/// Many rows at once.
struct pq_multiset_row {
    uint32_t group;           // of `groups`
    uint32_t offset, length;  // of the value in `values`
    int64_t weight;
};
struct pq_multiset_rows {
    const struct pq_multiset_place *groups;  // of their values nothing is read; any may repeat
    size_t group_count;
    const uint8_t *values;
    const struct pq_multiset_row *rows;
    size_t count;
};

/// The same as to add them one by one.
/// Cost: 40-80 ns a row, sorting included; `scratch`: 60 bytes a row. Errors: as pq_multiset_add.
pqdb_code pq_multiset_add_rows(struct pq_trace *trace, const struct pq_multiset_rows *rows,
                               struct pq_arena *scratch, pqdb_error *err);

/// UP: from the first value that does not lie before the place. DOWN: from the last one that does,
/// backwards.
enum pq_multiset_way { PQ_MULTISET_UP, PQ_MULTISET_DOWN };

/// A walk over one group's values. One at a time in each trace, ended by the next change of the
/// trace or the next walk. Memory is the trace's and is used again.
struct pq_multiset_walk {
    struct pq_trace *trace;
    struct pq_multiset_place from;  // borrowed texts
    enum pq_multiset_way way;
    struct pq_text value;  // the current one: view until the next step
    int64_t weight;        // never 0
};

/// Cost: a binary search in each piece in memory, one to three blocks of each run.
/// Errors: PQDB_NO_MEMORY, PQDB_IO, PQDB_CORRUPT.
pqdb_code pq_multiset_seek(struct pq_trace *trace, const struct pq_multiset_place *from,
                           enum pq_multiset_way way, struct pq_multiset_walk *walk,
                           pqdb_error *err);
/// `*more` is false behind the group's last value.
pqdb_code pq_multiset_next(struct pq_multiset_walk *walk, bool *more, pqdb_error *err);

#endif
