/// collection/match.h: the rows that an update or delete means: an id, or a filter.
#ifndef PQ_COLLECTION_MATCH_H
#define PQ_COLLECTION_MATCH_H

#include "expr/expr.h"
#include "table/fetch.h"

/// Immutable: any thread may find with it.
struct pq_match {
    const struct pq_alloc *alloc;
    struct pq_json_document *document;  // owned; NULL: `where` is an id
    struct pq_program *filter;          // owned, or NULL
    const struct pq_text *ids;          // those it can match, when it names them
    size_t id_count, id_capacity;
    bool by_id;
    struct pq_text id;                  // of a `where` that is one
    bool is_warned;                     // a search would be warned:
    pqdb_error warning;                 // PQDB_INVALID
};

/// `where` is a filter (JSON5, it begins with '{') or an id, which may be written "customer/ann";
/// it must outlive the match. `scope->problems` is not used. Empty text is refused: it would mean
/// all rows, and {} says so. Errors: PQDB_INVALID, err->subject the path; PQDB_LIMIT,
/// PQDB_NO_MEMORY. Deinit in any case.
pqdb_code pq_match_init(struct pq_match *match, struct pq_text where, const struct pq_scope *scope,
                        struct pq_text type_name, const struct pq_alloc *alloc, pqdb_error *err);
void pq_match_deinit(struct pq_match *match);

/// What a search would be warned of must not choose rows to change: a field that reads as null
/// would make `$ne` match every row. Errors: PQDB_INVALID.
pqdb_code pq_match_refuse_warnings(const struct pq_match *match, pqdb_error *err);

/// Of a match that is by id, the live rows, whole; others are found like those of any question
/// (query/find.h). `first`: only the one with the lowest id.
///
/// Shape   rows in the order of the ids
/// Owns    `rows` is in `arena`, or kept by the snapshot
/// Cost    a look-up each
/// Errors  PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY, PQDB_LIMIT (a regular expression)
pqdb_code pq_match_find(const struct pq_match *match, struct pq_table_snapshot *snapshot,
                        bool first, struct pq_arena *arena, struct pq_batch *rows,
                        pqdb_error *err);

#endif
