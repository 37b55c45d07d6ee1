/// db/answer_internal.h: an open answer (pqdb_rows), whatever its rows come from.
#ifndef PQ_DB_ANSWER_INTERNAL_H
#define PQ_DB_ANSWER_INTERNAL_H

#include <parquedb/query.h>

#include "base/bytes.h"
#include "type/type.h"

/// Where rows come from. `ctx` is the source's own.
struct pq_answer_kind {
    size_t (*column_count)(const void *ctx);
    const char *(*column_name)(const void *ctx, size_t column);
    enum pq_kind (*column_kind)(const void *ctx, size_t column);
    pqdb_code (*next)(void *ctx, bool *has_row, pqdb_error *err);
    // Of the current row, appended to `out`.
    pqdb_code (*json)(void *ctx, struct pq_bytes *out, pqdb_error *err);
    pqdb_code (*cell)(void *ctx, size_t column, struct pq_bytes *out, bool *is_null,
                      pqdb_error *err);
    const char *(*cursor)(void *ctx);  // NULL: there is none
    void (*close)(void *ctx);
};

struct pqdb_rows {
    const struct pq_answer_kind *kind;
    void *ctx;
    const struct pq_alloc *alloc;
    struct pq_bytes text;  // of the current row or cell
    pqdb_answered shows;
};

/// An answer without a source yet; then kind and ctx are set. Errors: PQDB_NO_MEMORY.
pqdb_code pq_answer_create(const struct pq_alloc *alloc, pqdb_rows **rows, pqdb_error *err);

#endif
