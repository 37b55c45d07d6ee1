/// parquedb/query.h: rows out. Collections and views are asked the same way.
#ifndef PQDB_QUERY_H
#define PQDB_QUERY_H

#include <parquedb/db.h>

PQDB_BEGIN

/// Zero is a default everywhere.
typedef struct pqdb_find_options {
    const char *filter;   ///< JSON5, as in a `$filter`; NULL or "": every row
    const char *sort;     ///< JSON5 `{ total: -1, name: 1 }`; NULL: by `$id`; "none": storage order
    const char *select;   ///< "a,b": only these columns and `$id`; NULL: all
    uint64_t limit;       ///< 0: no limit
    uint64_t skip;
    const char *max_staleness;  ///< "30s": a stale view's rows are at most so old, see below; NULL:
                                ///< as its gracePeriod says, or however old they are
    bool system_columns;  ///< also $type, createdAt, updatedAt, version of a collection
    const char *as_of;    ///< as it was: a version (42, seq-42), or a time (ISO 8601), of which the
                          ///< last commit up to it; NULL: now
    const char *cursor;   ///< pqdb_rows_cursor of the page before: go on behind it; NULL: begin
    struct pqdb_answered *answered;  ///< of pqdb_count_with, or NULL
} pqdb_find_options;

/// What an answer shows.
typedef struct pqdb_answered {
    uint64_t version;      ///< pqdb_rows_version
    int64_t staleness_us;  ///< pqdb_rows_staleness_us
    bool is_caught_up;     ///< pqdb_rows_is_caught_up
    char note[600];        ///< pqdb_rows_note
} pqdb_answered;

/// An open answer, on one snapshot. One thread at a time.
typedef struct pqdb_rows pqdb_rows;

/// A stale view is shown as it is stored, unless that is older than the smaller of `max_staleness`
/// and the view's gracePeriod: its age is the time since the first commit that it lacks. Then the
/// answer is of rows that are brought up to the last commit, exactly, through the part of the log
/// that the view has not seen; stored is nothing. What was done stays in memory until the view is
/// refreshed, and the next such answer goes on from there.
///
/// Errors: PQDB_NOT_FOUND (no such collection or view; the nearest name is suggested),
/// PQDB_INVALID (the filter, the sort, the columns, the cursor: err->subject is the path),
/// PQDB_LIMIT, PQDB_CORRUPT, PQDB_IO. With `as_of` also PQDB_NOT_FOUND (older than `$history`: the
/// message says how far back it goes), PQDB_INVALID (no version, or one to come), PQDB_UNSUPPORTED
/// (a view that reads one that is not streaming, or appends). A collection is answered at any
/// version within its `$history`; a view by its definition at that version, and one that is not
/// streaming at its last refresh until then, which the version of the answer names.
PQDB_API pqdb_code pqdb_find(pqdb_db *db, const char *name, const pqdb_find_options *options,
                             pqdb_rows **rows, pqdb_error *err);

/// Step to the next row; `*has_row` is false at the end.
PQDB_API pqdb_code pqdb_rows_next(pqdb_rows *rows, bool *has_row, pqdb_error *err);

/// Columns of the answer: `$id` first, then the definition's order.
PQDB_API size_t pqdb_rows_column_count(const pqdb_rows *rows);
PQDB_API const char *pqdb_rows_column_name(const pqdb_rows *rows, size_t column);
/// "text", "number", "boolean", "time", "other": how to align it.
PQDB_API const char *pqdb_rows_column_kind(const pqdb_rows *rows, size_t column);

/// The current row as one JSON object, undeclared fields inline; valid until the next step.
PQDB_API const char *pqdb_rows_json(pqdb_rows *rows, size_t *length);
/// One cell as plain text ("" for a missing value), valid until the next call.
PQDB_API const char *pqdb_rows_cell(pqdb_rows *rows, size_t column, size_t *length, bool *is_null);

/// The version the answer reflects: the last commit at the time of pqdb_find for a fresh table.
PQDB_API uint64_t pqdb_rows_version(const pqdb_rows *rows);
/// How old that is: the time since the first source commit that the answer lacks; 0: it lacks none,
/// INT64_MAX: nobody knows. And were its rows brought up for it, younger than what is stored?
PQDB_API int64_t pqdb_rows_staleness_us(const pqdb_rows *rows);
PQDB_API bool pqdb_rows_is_caught_up(const pqdb_rows *rows);
/// A sentence for people when the answer is stale or a filter names an unknown field, or "".
PQDB_API const char *pqdb_rows_note(const pqdb_rows *rows);
/// Once the limit is reached: what the next page goes on from, with the same name, filter and sort.
/// "" when no row follows, without a limit, in storage order, when memory is out. It names the last
/// row by its sort keys and `$id`, so the next page shows what lies behind it at that time: no row
/// whose keys stay comes twice or is missed, whatever is written meanwhile. Valid until the next
/// call.
PQDB_API const char *pqdb_rows_cursor(pqdb_rows *rows);
PQDB_API void pqdb_rows_close(pqdb_rows *rows);  ///< NULL is fine

/// Find, and tell how: one JSON object, free with pqdb_free. Which way (scan, ids), the conditions
/// of the filter, how it was sorted, columns read first and late; files, row groups, pages and
/// bytes, all and read; rows skipped, and by which condition; tested, matched, given; ms.
/// Errors: those of pqdb_find.
PQDB_API pqdb_code pqdb_explain(pqdb_db *db, const char *name, const pqdb_find_options *options,
                                char **json, size_t *length, pqdb_error *err);

/// One row by id, as JSON in memory of the caller's: free with pqdb_free.
/// Errors: PQDB_NOT_FOUND (no such table, or no such row: the message says which).
PQDB_API pqdb_code pqdb_get(pqdb_db *db, const char *name, const char *id, char **json,
                            size_t *length, pqdb_error *err);
PQDB_API void pqdb_free(char *text);

PQDB_API pqdb_code pqdb_count(pqdb_db *db, const char *name, const char *filter, uint64_t *count,
                              pqdb_error *err);

/// The same at another time, or no older than that; `answered`, if given, says which version it
/// is, as pqdb_rows_version and those behind it say of rows.
typedef struct pqdb_row_name {
    const char *table, *id;
    const char *as_of, *max_staleness;  ///< as pqdb_find_options has them
    pqdb_answered *answered;            ///< filled where the table is there, or NULL
} pqdb_row_name;
PQDB_API pqdb_code pqdb_get_row(pqdb_db *db, const pqdb_row_name *row, char **json,
                                size_t *length, pqdb_error *err);
/// With `filter`, `as_of`, `max_staleness`, `answered` and nothing else of the options.
PQDB_API pqdb_code pqdb_count_with(pqdb_db *db, const char *name,
                                   const pqdb_find_options *options, uint64_t *count,
                                   pqdb_error *err);

PQDB_END

#endif
