/// A stream of bytes into JSON items: lines, elements of lists, or objects over several lines.
///
/// A value that begins with '[' is a list: its elements are items, wherever they break lines. Any
/// other line is an item. Only at the start, or after such a value, may an object span lines: its
/// first line then ends with '{', '[', ',' or ':'. A line that is broken spoils no other.
#ifndef PQ_INGEST_SPLIT_INTERNAL_H
#define PQ_INGEST_SPLIT_INTERNAL_H

#include "base/bytes.h"

enum pq_split_mode {
    PQ_SPLIT_BETWEEN,     // before a value
    PQ_SPLIT_LINE,        // in an item that ends with its line
    PQ_SPLIT_VALUE,       // in an object over several lines
    PQ_SPLIT_LIST_START,  // behind '['
    PQ_SPLIT_LIST_NEXT,   // behind a comma of a list
    PQ_SPLIT_ELEMENT,     // in an element of a list
};

struct pq_item {
    struct pq_text text;  // a view until the next call
    uint64_t line;        // from 1
    const char *fault;    // why this is no item at all, or NULL
    bool is_too_long;     // that is the fault, and `text` is only the beginning
    struct pq_text original;  // what is kept instead of `text`, if any
};

struct pq_splitter {
    struct pq_bytes rest;  // of an item begun in an earlier chunk
    enum pq_split_mode mode;
    uint64_t line, item_line;
    unsigned bom_bytes;        // of a byte order mark at the start, skipped so far
    bool may_span_lines;
    bool is_too_long;          // `rest` keeps only the beginning
    size_t depth;              // VALUE and ELEMENT: open brackets
    bool in_text, is_escaped;  // VALUE and ELEMENT
};

void pq_splitter_init(struct pq_splitter *splitter, const struct pq_alloc *alloc);
void pq_splitter_deinit(struct pq_splitter *splitter);
void pq_splitter_reset(struct pq_splitter *splitter);

/// The next item of `input`, which is moved behind it. `*found` is false when more input is needed;
/// all of it was then taken. Errors: PQDB_NO_MEMORY.
pqdb_code pq_splitter_next(struct pq_splitter *splitter, struct pq_text *input,
                           struct pq_item *item, bool *found, pqdb_error *err);

/// What is left when the input is over; call it until it finds nothing.
bool pq_splitter_end(struct pq_splitter *splitter, struct pq_item *item);

#endif
