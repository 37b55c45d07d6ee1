/// Random schemas, rows, operators, filters and view definitions, as text. What they are drawn from
/// is what the naive evaluator knows of the tables, so that what is written makes sense.
#ifndef PQ_TEST_LAW_RANDOM_H
#define PQ_TEST_LAW_RANDOM_H

#include "support/naive_view.h"

/// Dice that repeat: the nth throw of a stream depends on its seed and n only.
struct law_dice {
    uint64_t seed, throws;
};
uint64_t law_roll(struct law_dice *dice, uint64_t sides);

__attribute__((format(printf, 2, 3))) void law_say(struct pq_bytes *out, const char *format, ...);
/// NUL-terminated, of what was said; the bytes stay as they are.
const char *law_text(struct pq_bytes *out);
const struct pq_json *law_parse(const char *text);

/// Which parts of the language the draws may use.
struct law_scope {
    struct law_dice *dice;
    const struct naive_db *db;
    bool may_expand, all_aggregates;
};

/// The fields of `count` collections linked to each other, the last one a stream: "Name: {…},".
/// Of those that retain go what is older than an hour by `f6`.
void law_collections(struct law_dice *dice, int count, const bool *retains, struct pq_bytes *out);

/// A value for a column as JSON; links lead to live rows, or anywhere (`may_dangle`).
void law_value(const struct law_scope *scope, const struct naive_type *type, bool may_dangle,
               struct pq_bytes *out);
/// The fields of a row, without braces and `$id`: ',"f0":1,"f2":"x"'.
void law_fields(const struct law_scope *scope, const struct naive_table *table,
                struct pq_bytes *out);
/// Update operators, no two on one path.
void law_operators(const struct law_scope *scope, const struct naive_table *table,
                   struct pq_bytes *out);
/// A filter as `find`, a view or an update takes it; `{}` when the table has no scalar.
void law_filter(const struct law_scope *scope, const struct naive_table *table, int depth,
                struct pq_bytes *out);
/// A path to a scalar, over at most `hops` relations; NULL when none was found.
const char *law_path(const struct law_scope *scope, const struct naive_table *table, int hops);
/// The directives of a view on `from`, after "$from: …," and without `$refresh`.
void law_view(const struct law_scope *scope, const struct naive_table *from,
              struct pq_bytes *out);

#endif
