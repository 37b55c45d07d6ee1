/// parquedb/write.h: rows and events in.
///
/// Every write is one commit: it is in the log durably before the call returns, and every streaming
/// view that has not failed reflects it. A batch is all or nothing, except that stream collections
/// set invalid items aside.
#ifndef PQDB_WRITE_H
#define PQDB_WRITE_H

#include <parquedb/db.h>

PQDB_BEGIN

/// An item that was not taken. Texts are valid during the call that gives it.
typedef struct pqdb_refusal {
    uint64_t index;       ///< of the item in the input, from 0
    uint64_t line;        ///< of the input, from 1; 0: the input is not lines
    const char *field;    ///< "logs.0.timestamp", or ""
    const char *code;     ///< "INVALID", "CONFLICT", "LIMIT"
    const char *message;
} pqdb_refusal;
typedef void (*pqdb_on_refusal)(void *ctx, const pqdb_refusal *refusal);

/// Zero is a default everywhere; what is reserved must be zero, so that options can be added.
typedef struct pqdb_write_options {
    const char *token;  ///< idempotency token; a known one changes nothing
    pqdb_on_refusal on_refusal;
    void *ctx;
    bool set_aside;  ///< ingest runs: a collection sets invalid items aside as streams do
    const char *on_conflict;    ///< create: NULL refuses a live id, or "ignore", "replace"
    uint64_t expected_version;  ///< update, upsert, delete: of the rows that match; 0: any
    uint64_t reserved[4];
} pqdb_write_options;

typedef struct pqdb_written {
    uint64_t version;   ///< of the commit; with a known token of the first one
    uint64_t accepted;  ///< rows now there as they are because of this call
    uint64_t refused;   ///< items set aside (streams)
    bool repeated;      ///< the token was known: nothing was done
    uint64_t matched;   ///< update, upsert, delete: rows the filter found
    uint64_t created;   ///< rows that were not there before
    uint64_t changed;   ///< rows that were, and differ now
    uint64_t removed;   ///< rows that are gone
    uint64_t reserved[4];
} pqdb_written;

/// One row (a JSON object), a list of rows, or NDJSON, as one commit into a collection or stream.
///
/// A live `$id` is refused, unless options->on_conflict says "ignore" (the row that is there stays;
/// within a batch the first one) or "replace" (it is replaced, keeps createdAt and has the next
/// version; within a batch the last one stays).
///
/// Errors  PQDB_INVALID: not JSON, a field of the wrong kind, a link that leads nowhere …
///         (err->subject is the field; for a collection nothing is written, a stream sets the item
///         aside into rejected/<collection>.ndjson); PQDB_NOT_FOUND: no such collection;
///         PQDB_CONFLICT: a live id, a unique value that is taken, or the token with other content;
///         PQDB_IO: not written, or after a failed sync unknown: reopen. `written` may be NULL.
PQDB_API pqdb_code pqdb_create(pqdb_db *db, const char *collection, const char *json,
                               size_t length, const pqdb_write_options *options,
                               pqdb_written *written, pqdb_error *err);

/// Which rows change, and how.
typedef struct pqdb_edit {
    /// A filter like "{ status: 'open' }" (JSON5; "{}" is every row), or an id.
    const char *where;
    /// "{ $set: { status: 'paid' }, $inc: { visits: 1 } }" (JSON5), with $set $unset $inc $mul $min
    /// $max $push $pull $addToSet $pop $rename $currentDate $setOnInsert: see docs/writing.md.
    const char *operators;
} pqdb_edit;

/// Change rows, all in one commit or none. A row that would not differ is left alone; when none
/// differs there is no commit.
///
/// Errors  PQDB_INVALID: a filter, operator or path that is wrong, or a row that would break a rule
///         of the schema (err->subject is the path, the message names the row); PQDB_CONFLICT: a
///         row has another version than options->expected_version, a unique value is taken, or the
///         token was used for something else; others as pqdb_create. Matching nothing is none.
PQDB_API pqdb_code pqdb_update(pqdb_db *db, const char *collection, const pqdb_edit *edit,
                               const pqdb_write_options *options, pqdb_written *written,
                               pqdb_error *err);

/// Change the first row that matches, by `$id`, or create one: out of the fields that the filter
/// sets equal to something (or the id), the operators, and the defaults. Errors: as pqdb_update and
/// pqdb_create.
PQDB_API pqdb_code pqdb_upsert(pqdb_db *db, const char *collection, const pqdb_edit *edit,
                               const pqdb_write_options *options, pqdb_written *written,
                               pqdb_error *err);

/// Remove the rows that `where` (as in pqdb_edit) names; links to them dangle. Errors: as
/// pqdb_update.
PQDB_API pqdb_code pqdb_delete(pqdb_db *db, const char *collection, const char *where,
                               const pqdb_write_options *options, pqdb_written *written,
                               pqdb_error *err);

/// Many events from a byte stream: JSON objects, lists of them, or NDJSON, committed every
/// PQDB_INGEST_ROWS rows while the caller goes on feeding. A worker thread commits one batch while
/// the next is parsed.
typedef struct pqdb_ingest pqdb_ingest;

enum { PQDB_INGEST_ROWS = 10000 };

/// `target` is a built-in source ("tail": the collection with that `$ingest`) or a collection.
/// With a token, each batch has its own derived one: a repeated run skips what was committed.
PQDB_API pqdb_code pqdb_ingest_open(pqdb_db *db, const char *target,
                                    const pqdb_write_options *options, pqdb_ingest **ingest,
                                    pqdb_error *err);
/// Plain bytes as they come, cut anywhere. After an error only pqdb_ingest_close is allowed.
PQDB_API pqdb_code pqdb_ingest_feed(pqdb_ingest *ingest, const char *bytes, size_t length,
                                    pqdb_error *err);

/// Puts up to `capacity` bytes into `out`; `*length` 0 is the end.
typedef pqdb_code (*pqdb_read)(void *ctx, void *out, size_t capacity, size_t *length,
                               pqdb_error *err);
/// A whole stream: plain, gzip or zstd, told by its first bytes. PQDB_CORRUPT when it is damaged or
/// cut off; what was committed before stays.
PQDB_API pqdb_code pqdb_ingest_from(pqdb_ingest *ingest, pqdb_read read, void *ctx,
                                    pqdb_error *err);
/// Commit what is left. `written` counts the whole run; its version is the last commit's.
PQDB_API pqdb_code pqdb_ingest_finish(pqdb_ingest *ingest, pqdb_written *written, pqdb_error *err);
/// Rows committed so far, for progress. Any thread.
PQDB_API uint64_t pqdb_ingest_rows(const pqdb_ingest *ingest);
PQDB_API void pqdb_ingest_close(pqdb_ingest *ingest);  ///< NULL is fine

PQDB_END

#endif
