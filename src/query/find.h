/// query/find.h: filter, sort, page and print the rows of one table snapshot.
#ifndef PQ_QUERY_FIND_H
#define PQ_QUERY_FIND_H

#include "expr/expr.h"
#include "flow/lookup.h"
#include "table/table.h"
#include "view/links.h"

/// What paths mean in a table, beside its columns.
struct pq_find_table {
    struct pq_text name;
    const struct pq_typed_path *paths;
    size_t path_count;
    const struct pq_relation *const *relations;  // per column, or NULL
    int extra_column;   // `_extra`, or -1
    bool closed, strict;
    bool is_past;       // rows may keep undeclared what is declared by now
    const struct pq_stage *stage;    // for paths through links, or NULL
    const struct pq_lookup *lookup;  // rows that links lead to; outlives the answer
    const bool *indexed;             // columns with an index (`#`), or NULL
    uint64_t window_rows;            // of answers by `$id` without a limit: so many at a time
    size_t bytes_max;                // of memory for what is ordered; 0: unbounded
    uint64_t ahead_rows;             // in files: from there on two threads scan
};

struct pq_find_request {
    struct pq_text filter;  // JSON5; empty: every row
    struct pq_text sort;    // JSON5 `{ path: 1, path: -1 }`; empty: by `$id`; "none"
    struct pq_text select;  // "a,b.c"; empty: all
    uint64_t limit;         // 0: none
    uint64_t skip;
    bool system_columns;
    struct pq_text cursor;  // of the page before, or empty
    bool counts_only;       // no columns; rows are counted
    bool explains;          // what is read is counted too
};

struct pq_find_column {
    struct pq_text name;
    struct pq_type type;
    uint32_t column;              // of the table, or
    struct pq_program *program;   // a path that is no column
};

struct pq_find;

/// Sorted answers are computed here: memory for the matching rows; with a limit for the first
/// limit + skip of them, whatever matches; by `$id` for `window_rows` of them. Where that is more
/// than `bytes_max`, for as many as fit, and for the next ones the table is scanned again.
/// Errors: PQDB_INVALID (filter, sort or select; err->subject is the path), PQDB_LIMIT, PQDB_IO,
/// PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_find_open(const struct pq_find_table *table, struct pq_table_snapshot *snapshot,
                       const struct pq_find_request *request, const struct pq_alloc *alloc,
                       struct pq_find **find, pqdb_error *err);
void pq_find_close(struct pq_find *find);

const struct pq_find_column *pq_find_columns(const struct pq_find *find, size_t *count);
/// Warnings of the filter, "" when there are none.
const char *pq_find_note(const struct pq_find *find);

/// Step to the next row.
pqdb_code pq_find_next(struct pq_find *find, bool *has_row, pqdb_error *err);

/// The current row: as one JSON object, or one cell as plain text. Appended to `out`.
pqdb_code pq_find_json(struct pq_find *find, struct pq_bytes *out, pqdb_error *err);
pqdb_code pq_find_cell(struct pq_find *find, size_t column, struct pq_bytes *out, bool *is_null,
                       pqdb_error *err);

/// The current row's `$id`, valid until the next step.
struct pq_text pq_find_id(const struct pq_find *find);

/// What was read and why not more, so far: members of a JSON object, appended behind others. For
/// answers opened with `explains`. Errors: PQDB_NO_MEMORY, those of page indexes.
pqdb_code pq_find_explain(struct pq_find *find, struct pq_bytes *out, pqdb_error *err);

/// Where the page ends: for the request of the next one, with the same filter and sort. Empty when
/// no row follows, before the limit is reached, or without an order. Valid until the next call.
/// Errors: PQDB_NO_MEMORY.
pqdb_code pq_find_cursor(struct pq_find *find, struct pq_text *cursor, pqdb_error *err);

/// How many rows match; without a filter that is known.
pqdb_code pq_find_count(const struct pq_find_table *table, struct pq_table_snapshot *snapshot,
                        struct pq_text filter, const struct pq_alloc *alloc, uint64_t *count,
                        pqdb_error *err);

#endif
