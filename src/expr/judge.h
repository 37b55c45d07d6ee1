/// expr/judge.h: what a filter says of rows of which only bounds are known: of a file, a row group,
/// a page. It is how rows are left unread.
///
/// Sound under SPEC 4: a verdict without PQ_MAY_BE_TRUE means that the filter selects none of the
/// rows, one without PQ_MAY_BE_FALSE that it selects each of them. Whatever is not understood may
/// be both. Errors that a filter would meet in such rows are not met.
#ifndef PQ_EXPR_JUDGE_H
#define PQ_EXPR_JUDGE_H

#include "base/bytes.h"
#include "expr/expr.h"

/// What is known of a column in some rows; what is not known may be. Bounds need not be reached.
/// NaN is above no bound and below none. A VARIANT column may have values of one kind within the
/// bounds, and `may_other` of any kind besides; without bounds nothing is known of its values.
struct pq_known {
    bool may_null, may_value, may_nan, may_other;
    bool has_min, has_max;
    struct pq_value min, max;  // of the column's kind and scale; of what is not null
};

/// A column of the program's scope, or a member of the inline objects in it: the first of `steps`
/// is one of the column's type, and so on. No step is a position of a list.
struct pq_static_step;  // expr/program_internal.h
struct pq_known_at {
    uint32_t column;
    const struct pq_static_step *steps;
    size_t step_count;
};
uint32_t pq_known_member(const struct pq_known_at *at, size_t step);

/// Asked for when the filter needs it.
struct pq_facts {
    pqdb_code (*known)(void *ctx, const struct pq_known_at *at, struct pq_known *known,
                       pqdb_error *err);
    /// May a row hold the value? NULL: yes.
    pqdb_code (*may_hold)(void *ctx, const struct pq_known_at *at, const struct pq_value *value,
                          bool *may, pqdb_error *err);
    void *ctx;
};

enum pq_verdict {
    PQ_MAY_BE_FALSE = 1,
    PQ_MAY_BE_TRUE = 2,
    PQ_MAY_BE_BOTH = PQ_MAY_BE_FALSE | PQ_MAY_BE_TRUE,
};

/// The filter and each of its conditions: those that all have to hold, from 0 on.
#define PQ_WHOLE_FILTER UINT32_MAX
size_t pq_program_condition_count(const struct pq_program *program);

/// Nothing is read, nothing is allocated but by the facts.
/// Errors: those of the facts.
pqdb_code pq_program_judge(const struct pq_program *program, uint32_t condition,
                           const struct pq_facts *facts, enum pq_verdict *verdict,
                           pqdb_error *err);

/// A condition as a filter could write it: `total $gte 500`. Errors: PQDB_NO_MEMORY.
pqdb_code pq_program_print_condition(const struct pq_program *program, uint32_t condition,
                                     struct pq_bytes *out, pqdb_error *err);

#endif
