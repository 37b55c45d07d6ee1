/// ingest/csv.h: CSV (RFC 4180) into the JSON objects that a row reader takes.
///
/// The first record names the columns. A column that the entry declares has that type; of others
/// the type is inferred from the records at hand when the first of them is given: all numbers, all
/// booleans, else text (a number is one only as JSON writes it, so "007" is text). Of a declared
/// number, boolean, list, object or variant the text is what JSON would have; what it is not stays
/// text, so that it is refused with the field's own message. Nothing between two separators is a
/// missing value, "" is an empty text.
///
/// Separators: the one of , ; tab | that the header has most. Lines end with LF or CRLF. A quote
/// inside a field that does not begin with one is a character like others; one that no other ends
/// costs its line. Blank lines are skipped.
#ifndef PQ_INGEST_CSV_H
#define PQ_INGEST_CSV_H

#include "ingest/rows.h"

enum {
    PQ_CSV_COLUMNS_MAX = 4096,
    PQ_CSV_SAMPLE_BYTES = 1 << 20,  // looked at to infer types
};

struct pq_csv_options {
    const struct pq_entry *entry;  // borrowed
    /// Takes each record, valid during the call. One that is no row has a `fault`.
    pqdb_code (*on_item)(void *ctx, const struct pq_row_item *item, pqdb_error *err);
    void *ctx;
};

struct pq_csv;

pqdb_code pq_csv_create(const struct pq_csv_options *options, const struct pq_alloc *alloc,
                        struct pq_csv **csv, pqdb_error *err);
void pq_csv_destroy(struct pq_csv *csv);

/// Bytes as they come, cut anywhere; end when there are no more.
///
/// Cost    no allocation per record
/// Errors  PQDB_INVALID: the header (a column without a name, or twice the same);
///         PQDB_LIMIT: more than PQ_CSV_COLUMNS_MAX columns; PQDB_NO_MEMORY; those of on_item
pqdb_code pq_csv_push(struct pq_csv *csv, struct pq_text chunk, pqdb_error *err);
pqdb_code pq_csv_end(struct pq_csv *csv, pqdb_error *err);

#endif
