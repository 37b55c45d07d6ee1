/// ingest/rows.h: JSON text into typed batches of one collection: the way in of every row.
///
/// Input is one object, a list of them, or lines of either (NDJSON), pushed in chunks cut anywhere.
/// Declared fields are converted and held to their rules (SPEC 2.1), the rest is kept in `_extra`
/// or refused when the entry is $strict. Nothing is guessed: an item is right, or refused with its
/// index, line and field. `$id` may be null afterwards (pq_rows_fill_ids), `$seq`, `updatedAt`,
/// `version` and `createdAt` where not given are null until pq_rows_stamp.
///
///     while (more) {
///         push(chunk, &used)        // reads until the chunk is used up or the batch is full
///         if (full) take(&rows)
///     }
///     end(), take(&rows)
#ifndef PQ_INGEST_ROWS_H
#define PQ_INGEST_ROWS_H

#include "base/env.h"
#include "batch/hold.h"
#include "ingest/ulid.h"
#include "type/schema.h"
#include "variant/variant.h"

enum {
    PQ_ITEM_BYTES_MAX = 64 << 20,   // of one line or one element of a list
    PQ_ITEM_DEPTH_MAX = 128,
    PQ_ID_BYTES_MAX = 1024,
    PQ_REFUSAL_TEXT_MAX = 1 << 20,  // of a refused item, as kept
    PQ_ROWS_DEFAULT = 10000,        // rows of a batch (SPEC 3)
    PQ_ROWS_TEXT_BYTES = 32 << 20,  // JSON text of a batch, after which it is full
};

/// An item that is no row. All texts live in the batch's hold.
struct pq_refusal {
    uint64_t index;  // among the items of the input, from 0
    uint64_t line;   // of the input, where the item begins, from 1
    pqdb_code code;  // PQDB_INVALID or PQDB_LIMIT
    struct pq_text field;    // JSON path, "address.city", "tags.3"; empty: the item itself
    struct pq_text message;  // what is wrong and what would be right
    struct pq_text text;     // the item as given; may be no JSON and no UTF-8
    bool is_cut;             // `text` is only its first PQ_REFUSAL_TEXT_MAX bytes
};

/// One batch, in the entry's row type.
struct pq_row_batch {
    struct pq_hold *hold;   // the caller's reference; owns everything else in here
    struct pq_batch batch;  // rows in the order of their items
    uint64_t first_item;    // index of the batch's first item in the input, refused or not
    const uint32_t *items;  // row r was item first_item + items[r]
    const uint64_t *lines;  // and began in this line of the input, from 1
    const struct pq_refusal *refusals;
    size_t refusal_count;
    size_t missing_ids;  // rows whose $id is null
    size_t text_bytes;   // of the input, in this batch
    uint64_t text_hash;  // of its items' texts, in order
};

struct pq_row_reader;

struct pq_row_options {
    const struct pq_entry *entry;    // borrowed, a collection or stream that is not broken
    struct pq_variant_names *names;  // the collection's list; the reader takes a reference
    const struct pq_env *env;        // borrowed: the time of receipt
    bool set_aside;   // streams: refused items are set aside; else the first one fails the batch
    size_t rows_max;  // 0: PQ_ROWS_DEFAULT
};

/// Errors: PQDB_NO_MEMORY; PQDB_UNSUPPORTED when the entry is a view or an external table.
pqdb_code pq_row_reader_create(const struct pq_row_options *options, const struct pq_alloc *alloc,
                               struct pq_row_reader **reader, pqdb_error *err);
void pq_row_reader_destroy(struct pq_row_reader *reader);

/// Read items from `chunk`; `*used` tells how much of it is done with. Less than all of it means
/// that the batch is full: take it and push the rest again.
///
/// Cost    no allocation per row; the unfinished item at the end is copied
/// Errors  PQDB_NO_MEMORY, PQDB_LIMIT (a column beyond 4 GiB). Without `set_aside` also those of
///         the first refusal, with err->subject the field and the item's index and line in the
///         message. After any error the batch is gone and the input must begin anew (restart).
pqdb_code pq_row_reader_push(struct pq_row_reader *reader, struct pq_text chunk, size_t *used,
                             pqdb_error *err);

/// An item that was taken apart elsewhere (CSV).
struct pq_row_item {
    struct pq_text json;      // one object; not looked at when there is a fault
    struct pq_text original;  // what is kept when it is refused
    uint64_t line;            // where it begins, from 1
    const char *fault;        // why it is no row, or NULL
};

/// The same as push, for one item; the batch must not be full.
pqdb_code pq_row_reader_add(struct pq_row_reader *reader, const struct pq_row_item *item,
                            pqdb_error *err);

/// The input is over: what is left is the last item, or cut. The batch may exceed rows_max by one.
pqdb_code pq_row_reader_end(struct pq_row_reader *reader, pqdb_error *err);

/// Items in the batch so far, and whether push will take no more of them.
size_t pq_row_reader_count(const struct pq_row_reader *reader);
bool pq_row_reader_is_full(const struct pq_row_reader *reader);

/// Hand over the batch (perhaps empty) and begin the next; items and lines are counted on.
pqdb_code pq_row_reader_take(struct pq_row_reader *reader, struct pq_row_batch *rows,
                             pqdb_error *err);

/// Forget batch and unfinished input; items and lines are counted from the start again.
void pq_row_reader_restart(struct pq_row_reader *reader);

/// A whole input in one batch, whatever its size: restart, push, end, take. The message about an
/// item that is all of it names no item and no line.
pqdb_code pq_row_reader_read(struct pq_row_reader *reader, struct pq_text text,
                             struct pq_row_batch *rows, pqdb_error *err);

/// Give every row without $id a ULID, rising from row to row.
pqdb_code pq_rows_fill_ids(struct pq_row_batch *rows, struct pq_ulids *ulids, pqdb_error *err);

/// What the commit decides: $seq counts up from `first_seq`, version is 1, createdAt is `now_us`
/// where it was not given, updatedAt is `now_us`. Columns that the entry declares itself are left
/// alone. No allocation: the leader may call it.
void pq_rows_stamp(struct pq_row_batch *rows, const struct pq_entry *entry, int64_t first_seq,
                   int64_t now_us);

static inline void pq_rows_deinit(struct pq_row_batch *rows) {
    pq_hold_unref(rows->hold);
    *rows = (struct pq_row_batch){0};
}

#endif
