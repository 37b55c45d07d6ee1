/// expr/regex.h: the doorway to PCRE2. UTF-8, with match limits: a catastrophic pattern ends in an
/// error, never in a hang. A compiled expression is immutable and serves many threads.
#ifndef PQ_EXPR_REGEX_H
#define PQ_EXPR_REGEX_H

#include <parquedb/error.h>
#include <stdbool.h>

#include "base/arena.h"

enum {
    PQ_REGEX_PATTERN_MAX = 8192,    // bytes of a pattern
    PQ_REGEX_STEPS_MAX = 1000000,   // PCRE2's match limit
    PQ_REGEX_HEAP_KIB_MAX = 8192,
};

struct pq_regex;

/// Compile `pattern`; `options` are letters of i m s x. The result is put in front of `*chain`.
/// Errors: PQDB_INVALID with the offset in the pattern and what PCRE2 says, PQDB_NO_MEMORY.
pqdb_code pq_regex_create(struct pq_text pattern, struct pq_text options,
                          const struct pq_alloc *alloc, struct pq_regex **chain, pqdb_error *err);
void pq_regex_destroy_all(struct pq_regex *chain);  // NULL is fine

/// Does it match anywhere in `text`? `arena` holds the scratch. Errors: PQDB_LIMIT, PQDB_NO_MEMORY.
struct pq_regex_match;
pqdb_code pq_regex_match_create(const struct pq_regex *regex, struct pq_arena *arena,
                                struct pq_regex_match **match, pqdb_error *err);
pqdb_code pq_regex_matches(struct pq_regex_match *match, struct pq_text text, bool *matches,
                           pqdb_error *err);

/// The text in upper or lower case, code point by code point as Unicode pairs them. `*caser` begins
/// as NULL and is made in the arena when the first text beyond ASCII comes. Errors: PQDB_NO_MEMORY.
struct pq_caser;
pqdb_code pq_text_to_case(struct pq_text text, bool upper, struct pq_arena *arena,
                          struct pq_caser **caser, struct pq_text *out, pqdb_error *err);

#endif
