/// ingest/source.h: what a built-in source of events adds to items that lack something.
///
/// One source is one file with one const descriptor; copy tail.c to add one, and list it in
/// source.c. The fields of its collections are declared in type (SPEC 7).
#ifndef PQ_INGEST_SOURCE_H
#define PQ_INGEST_SOURCE_H

#include "type/schema.h"

/// What stands in for a field that is missing or null.
enum pq_fill_kind {
    PQ_FILL_TEXT,      ///< `text`; for TEXT fields
    PQ_FILL_RECEIVED,  ///< the time of receipt; for TIMESTAMP fields
    PQ_FILL_EMPTY,     ///< an empty list; for LIST fields
};

struct pq_fill {
    const char *field;
    enum pq_fill_kind kind;
    const char *text;
};

struct pq_event_source {
    const char *name;  // as `$ingest` says it, for custom sources what stands before the colon
    const char *input;  // what one item is, for people
    const struct pq_fill *fills;
    size_t fill_count;
};

extern const struct pq_event_source pq_source_tail, pq_source_ai_sdk, pq_source_evalite,
    pq_source_custom;

/// The source of a stream collection; NULL for an entry without `$ingest`.
const struct pq_event_source *pq_source_of(const struct pq_entry *entry);

/// What stands in for a missing value of `field`, or NULL. A field that an entry declares with a
/// kind the fill does not suit has none.
const struct pq_fill *pq_source_fill(const struct pq_event_source *source,
                                     const struct pq_declared_field *field);

#endif
