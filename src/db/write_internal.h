/// db/write_internal.h: a write on its way from its caller's thread, which parses and compiles, to
/// the leader, who forms its delta against the state it is applied to.
#ifndef PQ_DB_WRITE_INTERNAL_H
#define PQ_DB_WRITE_INTERNAL_H

#include "collection/create.h"
#include "collection/links.h"
#include "collection/match.h"
#include "collection/update.h"
#include "db/commit.h"
#include "ingest/rows.h"

/// A write and what forming it needs. Lives on its caller's stack.
struct pq_db_change {
    pqdb_db *db;
    struct pq_db_write write;  // .ctx is this
    struct pq_bytes part;      // owned; the encoded delta
    struct pq_bytes token;     // owned
    // Rows that are created:
    struct pq_row_batch *rows;      // borrowed
    enum pq_on_conflict on_conflict;
    bool ids_are_new;               // generated: no look-up
    uint32_t *set_aside;            // where that is done, with PQDB_CONFLICT: rows not taken
    pqdb_error *faults;             // of each
    size_t set_aside_count;
    // Rows that change:
    struct pq_match match;
    const char *where;              // what it was made of
    bool follows_links;             // it reads other tables: pq_find is asked
    struct pq_update *update;       // owned; NULL: they are deleted
    struct pq_row_reader *creator;  // owned; of an upsert
    struct pq_row_batch created;    // owned; what an upsert creates
    uint64_t expected_version;      // 0: any
    uint64_t rows_max;              // that one write takes, 0: all; asked as by find
    bool is_encoded;                // `part` is that of all the rows
    // What came of it:
    uint64_t matched, added, changed, removed;
};

void pq_db_change_init(struct pq_db_change *change, pqdb_db *db, struct pq_db_table *table);
void pq_db_change_deinit(struct pq_db_change *change);

/// Of a token that somebody gives: what the log takes, less NUL, content, and `#` with a number.
enum { PQ_DB_TOKEN_BYTES_MAX = PQ_LOG_TOKEN_BYTES_MAX - 30 };

/// `out`: the token, NUL, eight bytes that stand for the content. `number` UINT64_MAX: the token of
/// a single write. Nothing for no token. Errors: PQDB_LIMIT when it is too long.
pqdb_code pq_db_make_token(const char *token, uint64_t number, uint64_t content,
                           struct pq_bytes *out, pqdb_error *err);

/// Commit `rows` as they are now, complete but for `$seq`; encoded here unless the leader has to
/// look at them. Errors: those of the write; with set_aside_count > 0 nothing was written, and the
/// rest may be tried without these.
pqdb_code pq_db_create_rows(struct pq_db_change *change, pqdb_error *err);

/// What the answer says; `written` may be NULL.
void pq_db_written(const struct pq_db_change *change, struct pqdb_written *written);

/// write.c: at most so many rows that match, as a commit of retention.
pqdb_code pq_db_delete_old(pqdb_db *db, const char *collection, const char *where,
                           uint64_t rows_max, uint64_t *removed, pqdb_error *err);

// form.c, as leader
pqdb_code pq_db_form_create(struct pq_db_write *write, pqdb_error *err);
pqdb_code pq_db_form_change(struct pq_db_write *write, pqdb_error *err);

/// A row's place among the hashes of frames.
uint64_t pq_db_row_hash(uint32_t table, struct pq_text id);

// set_aside.c
/// Append refused items to rejected/<collection>.ndjson, durably, before the batch is acknowledged.
pqdb_code pq_db_keep_refusals(pqdb_db *db, const struct pq_db_table *table,
                              const struct pq_refusal *refusals, size_t count, pqdb_error *err);
void pq_db_tell_refusals(const struct pqdb_write_options *options,
                         const struct pq_refusal *refusals, size_t count);
/// In the order of the items.
void pq_db_sort_refusals(struct pq_row_batch *rows);
/// The rows the leader would not take become refusals of `rows`, which loses them.
pqdb_code pq_db_set_aside(struct pq_db_change *change, pqdb_error *err);

// ingest.c
/// NOT_FOUND, or INVALID when it is a view.
pqdb_code pq_db_find_writable(pqdb_db *db, const char *name, struct pq_db_table **table,
                              pqdb_error *err);
/// `set_aside`: refused items are told, else the first one is an error.
pqdb_code pq_db_make_reader(pqdb_db *db, const struct pq_db_table *table, bool set_aside,
                            struct pq_row_reader **reader, pqdb_error *err);

#endif
