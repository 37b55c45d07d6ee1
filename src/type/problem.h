/// type/problem.h: everything that is wrong with a schema or a definition, all at once.
#ifndef PQ_TYPE_PROBLEM_H
#define PQ_TYPE_PROBLEM_H

#include <parquedb/error.h>
#include <stdbool.h>

#include "base/arena.h"

/// One mistake. All texts are NUL-terminated and live in the list's arena.
struct pq_problem {
    const char *code;     // "INVALID_FILTER", "DUPLICATE_KEY" …
    struct pq_text path;  // "WorkerErrors.$filter.outcome"
    size_t line, column;  // from 1; 0 when the text has no position
    struct pq_text message;  // what is wrong
    struct pq_text remedy;   // what to do, may be empty
    bool warning;            // the definition still works
};

/// Bounded: after PQ_PROBLEMS_MAX further ones are only counted.
enum { PQ_PROBLEMS_MAX = 100 };

struct pq_problems {
    struct pq_arena *arena;  // borrowed
    struct pq_problem *items;
    size_t count;     // kept
    size_t errors;    // seen, without warnings
    size_t warnings;  // seen
};

void pq_problems_init(struct pq_problems *problems, struct pq_arena *arena);

/// Add one; `remedy` may be NULL. Out of memory is kept as a count without text.
struct pq_problem_at {
    struct pq_text path;
    size_t line, column;
};
__attribute__((format(printf, 5, 6))) void pq_problem_add(struct pq_problems *problems,
                                                          const char *code,
                                                          struct pq_problem_at at,
                                                          const char *remedy,
                                                          const char *format, ...);
__attribute__((format(printf, 5, 6))) void pq_problem_warn(struct pq_problems *problems,
                                                           const char *code,
                                                           struct pq_problem_at at,
                                                           const char *remedy,
                                                           const char *format, ...);

/// Into the order of the text, those without a place at the end.
void pq_problems_sort(struct pq_problems *problems);

/// PQDB_OK when there is no error, else PQDB_INVALID with the first one and how many follow.
pqdb_code pq_problems_code(const struct pq_problems *problems, pqdb_error *err);

#endif
