/// A small log for tests: commits made of numbers, and what a replay showed, as text.
///
/// Commit n of a test holds rows that follow from n alone, so a line of text says whether all of it
/// is there: "5: 3 rows of 5" is version 5, whole.
#ifndef PQ_TEST_LOG_WORLD_H
#define PQ_TEST_LOG_WORLD_H

#include "changelog/log.h"

struct log_world {
    struct pq_store *store;    // borrowed
    const struct pq_alloc *alloc;  // of the log; NULL: libc
    struct pq_log *log;        // NULL when closed
    uint64_t segment_bytes;    // 0: the usual
    struct pq_log_position from;
    struct pq_variant_names *names;  // of collection 1; a fresh list at each open
    uint64_t first;            // version of the first commit replayed
    uint64_t last;             // of the last one; 0: none
    bool is_right;             // versions without gap, every row as it was written
    struct pq_log_position at_last;
    bool read_only;
    bool with_variants;        // commits have a variant column with names of their own
    size_t rows;               // of each commit
};

extern const struct pq_log_schemas log_world_schemas;  // without names: types only

/// Open and replay from world->from into first, last, is_right.
pqdb_code log_world_open(struct log_world *world, pqdb_error *err);
/// Append commits `version`, `version` + 1, …, in one call; they must be the next versions.
pqdb_code log_world_append(struct log_world *world, uint64_t version, size_t count,
                           pqdb_error *err);
pqdb_code log_world_close(struct log_world *world, pqdb_error *err);

/// Is the record the one that log_world_append writes as its version?
bool log_world_is_right(const struct log_world *world, const struct pq_log_record *record);

/// A clock and dice that repeat.
extern const struct pq_env log_world_env;

#endif
