/// query/find_internal.h: an answer in the making, for the files that make it.
#ifndef PQ_QUERY_FIND_INTERNAL_H
#define PQ_QUERY_FIND_INTERNAL_H

#include "base/account.h"
#include "expr/reads.h"
#include "query/find.h"
#include "query/order.h"
#include "table/scan_ahead.h"

struct pq_json_document;

enum { PQ_SORT_KEYS_MAX = 16, PQ_FIND_NOTE_BYTES = 256 };

#define PQ_FIND_ROWS_MAX (UINT64_MAX / 4)  // so that sums of them do not wrap

/// Where the page before ended: the canonical bytes (expr/compare.h) of its last row's keys and,
/// behind them, of its `$id`.
struct pq_find_position {
    bool is_set;
    struct pq_text keys[PQ_SORT_KEYS_MAX + 1];
};

struct pq_find {
    struct pq_find_table table;
    struct pq_account memory;     // what the answer holds
    struct pq_account ordered;    // of that, what the order has copied
    const struct pq_alloc *alloc; // of it
    struct pq_table_snapshot *snapshot;  // referenced
    struct pq_arena arena;        // lives as long as the answer
    struct pq_hold *rows;         // owned: what is ordered; of a streamed answer what the piece at
                                  // hand takes besides
    struct pq_query_links links;
    struct pq_json_document *documents[4];  // filter and sort, and once more for their links
    size_t document_count, filter_document;
    struct pq_program *filter;
    struct pq_program *path_filter;  // the same where shredded paths are columns; or NULL
    struct pq_order_key keys[PQ_SORT_KEYS_MAX];
    size_t key_count;
    bool streams;      // storage order: nothing is collected
    bool counts_only;  // no columns
    bool explains;     // `counts` is filled in
    struct pq_scan_counts counts;
    const char *way;        // in which the rows are found
    struct pq_text index;   // the column, where it was by its index
    struct pq_text sort;    // as it was asked, or empty
    struct pq_find_column *columns;
    size_t column_count;
    bool all_columns;  // no select: undeclared fields are printed too
    bool *wanted;      // columns of the table that are read in the end
    bool *tested;      // by the filter
    bool *scanned;     // by the filter of a scan: of the table, behind that its shredded paths
    struct pq_reads reads;  // of what is wanted and sorted, when paths are columns
    bool *sorted;      // by the keys of the sort; `$id`
    uint64_t skip, limit, given;
    // Reading.
    struct pq_scan_ahead scan;
    bool scanning;
    struct pq_scan_filter scan_filter;
    struct pq_scan_cut scan_cut;
    struct pq_order order;
    size_t next;            // row of `order`
    bool is_late;           // the other columns come when it is known which rows are first
    struct pq_hold *late;   // owned, then: their memory
    struct pq_batch late_rows;
    size_t late_first;      // row of `order` that is row 0 of late_rows
    struct pq_find_position after;
    bool in_windows;         // order.keep rows at a time; more may follow when there are as many
    bool shows_windows;      // by `$id`; or would be, if the answer was not only explained
    struct pq_bytes window;  // the keys behind which the next ones begin
    bool has_cursor;         // `cursor` is made
    uint64_t question;      // hash of what was asked, for cursors
    // The current row.
    struct pq_batch batch;
    size_t row;
    struct pq_column *computed;  // of program columns, for `batch`
    bool is_computed;            // in a streamed answer
    struct pq_arena computed_arena;
    struct pq_bytes cursor;      // text, made when asked for
    char note[PQ_FIND_NOTE_BYTES];
};

/// find_plan.c: compile what is asked. Errors: see pq_find_open.
pqdb_code pq_find_plan(struct pq_find *find, const struct pq_find_request *request,
                       pqdb_error *err);
/// A collection's own system columns: those between `$seq` and the declared ones.
bool pq_find_is_system(const struct pq_find *find, struct pq_text name);

/// find_cursor.c: set `question`. Errors: PQDB_NO_MEMORY.
pqdb_code pq_find_question(struct pq_find *find, const struct pq_find_request *request,
                           pqdb_error *err);
/// Take the position out of a cursor, which must be one of this very question.
/// Errors: PQDB_INVALID, PQDB_NO_MEMORY.
pqdb_code pq_find_position_parse(struct pq_find *find, const struct pq_find_request *request,
                                 pqdb_error *err);
/// Row `index` of the order becomes the position.
pqdb_code pq_find_position_take(struct pq_find *find, size_t index, pqdb_error *err);
/// Rows of the batch that come behind the position; `batch` is replaced.
pqdb_code pq_find_position_drop(struct pq_find *find, struct pq_scan_rows *rows,
                                struct pq_arena *arena, pqdb_error *err);
/// Does all of what is known lie at or before the position?
bool pq_find_position_is_behind(const struct pq_find *find, const struct pq_known *known);

/// find.c: the rows behind those of the last window; false when there are none.
pqdb_code pq_find_next_window(struct pq_find *find, bool *more, pqdb_error *err);

#endif
