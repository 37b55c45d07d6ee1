/// db/tokens.h: which tokens of writes are known. A token is kept for seven days, the newest
/// million of them at most; then it is as if it had never been used.
///
/// A row of the trace `db->tokens`: key is the token's name, payload
///     0   u64 version of the commit
///     8   u64 what stands for the content
///     16  i64 time of the commit, microseconds since 1970; missing in old rows: no time is known
/// Rows go when their runs are merged, at a checkpoint and beside the leader.
#ifndef PQ_DB_TOKENS_H
#define PQ_DB_TOKENS_H

#include "db/db_internal.h"

enum { PQ_DB_TOKENS_MAX = 1000000 };  // pqdb_db.tokens_max

/// A token in full: its name, NUL, eight bytes that stand for the content. "" is none.
bool pq_db_token_same_name(struct pq_text a, struct pq_text b);

/// Leader. Has a write with this token been committed? `*version` by which commit.
/// `*code`: PQDB_CONFLICT when it had other content (the answer is true); errors of the trace.
bool pq_db_token_known(pqdb_db *db, struct pq_text token, uint64_t *version, pqdb_code *code,
                       pqdb_error *err);
/// Leader. From the commit `version` of `time_us` on it is known.
pqdb_code pq_db_token_add(pqdb_db *db, struct pq_text token, uint64_t version, int64_t time_us,
                          pqdb_error *err);

/// What a merge of all runs of tokens keeps.
struct pq_db_token_bound {
    uint64_t tokens_max;
    int64_t now_us;  // of the cut
    uint64_t end;    // no version of the cut is higher
    uint64_t from;   // of lower versions than that none stays; of choose
};
/// Are there so many that a merge is worth it?
bool pq_db_tokens_overflow(const struct pq_db_token_bound *bound, struct pq_run *const *runs,
                           size_t count);
/// Sets `from`. Cost: two walks over the runs up to 2^24 versions, three up to 2^36.
pqdb_code pq_db_tokens_choose(struct pq_db_token_bound *bound, struct pq_run *const *runs,
                              size_t count, const struct pq_alloc *alloc, pqdb_error *err);
/// A filter of pq_run_merge; `bound` was chosen.
bool pq_db_token_stays(const void *bound, const struct pq_run_row *row);

/// Leader, after a checkpoint: what its merge dropped is unknown, and memory is bounded.
void pq_db_tokens_forget(pqdb_db *db, const struct pq_db_token_bound *bound);

#endif
