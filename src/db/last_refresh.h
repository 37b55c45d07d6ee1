/// db/last_refresh.h: what the last refresh of a view was, as its state tells it and as the log and
/// the root keep it.
#ifndef PQ_DB_LAST_REFRESH_H
#define PQ_DB_LAST_REFRESH_H

#include "base/bytes.h"
#include "base/json.h"

enum pq_refresh_kind {
    PQ_REFRESH_NONE,
    PQ_REFRESH_STREAMING,    // a step, in the commit that changed a source
    PQ_REFRESH_INCREMENTAL,  // by the log
    PQ_REFRESH_FULL,
    PQ_REFRESH_APPEND,
};

/// Why a view was computed anew.
enum pq_refresh_why {
    PQ_WHY_NOT,  // it was not
    PQ_WHY_ASKED,
    PQ_WHY_DISCARD,  // and nothing had to be kept
    PQ_WHY_FAILED,
    PQ_WHY_DEFINITION,
    PQ_WHY_SOURCE_STATE,
    PQ_WHY_SOURCE_KEEPS,
    PQ_WHY_SOURCE_LAGGED,
    PQ_WHY_FIRST,
    PQ_WHY_LOG_GONE,
    PQ_WHY_COST,
    PQ_WHY_TAKEN_BACK,
};

struct pq_last_refresh {
    enum pq_refresh_kind kind;
    enum pq_refresh_why why;
    uint64_t rows;    // that it changed; of a full one: that it made
    int64_t took_us;  // until it was ready to be logged; of a step: 0
    uint64_t names;   // of one that appended: the version in the ids of its rows; 0: its own
};

/// As a sentence goes on after "because"; "" for PQ_WHY_NOT.
const char *pq_refresh_kind_text(enum pq_refresh_kind kind);
const char *pq_refresh_why_text(enum pq_refresh_why why);

/// `{"kind", "reason", "rows", "us", "names"}`, with the texts; `names` only where it is not 0.
/// Errors: PQDB_NO_MEMORY.
pqdb_code pq_last_refresh_write(struct pq_bytes *out, const struct pq_last_refresh *last,
                                pqdb_error *err);
/// The same back. What is unknown here, and NULL, is as if there had been none.
struct pq_last_refresh pq_last_refresh_read(const struct pq_json *object);

#endif
