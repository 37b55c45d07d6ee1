/// type/schema_edit.h: an entry more or less in a schema's text; everything else stays as written,
/// comments too.
#ifndef PQ_TYPE_SCHEMA_EDIT_H
#define PQ_TYPE_SCHEMA_EDIT_H

#include "base/bytes.h"
#include "base/text.h"

/// Where the definition begins in the new text, so that messages about it can count from there.
struct pq_schema_place {
    size_t line, column;  // from 1
};

/// Append to `out` the text with `name: definition` behind its last entry. `schema` is a valid
/// JSON5 object; `definition` is one JSON5 value, whatever it holds.
/// Errors: PQDB_INVALID when one of them is not; PQDB_NO_MEMORY.
pqdb_code pq_schema_text_add(struct pq_text schema, struct pq_text name,
                             struct pq_text definition, struct pq_bytes *out,
                             struct pq_schema_place *place, pqdb_error *err);

/// Append the text with another definition for the entry of this name; comments inside the old one
/// go with it. Errors: PQDB_NOT_FOUND, PQDB_INVALID, PQDB_NO_MEMORY.
pqdb_code pq_schema_text_replace(struct pq_text schema, struct pq_text name,
                                 struct pq_text definition, struct pq_bytes *out,
                                 pqdb_error *err);

/// Append the text without the entries that are named (others are no error), with the comments
/// that stand in front of each on lines of their own and the one behind it on its line.
pqdb_code pq_schema_text_remove(struct pq_text schema, const struct pq_text *names, size_t count,
                                struct pq_bytes *out, pqdb_error *err);

#endif
