/// type/schema.h: the schema document, read and checked whole (SPEC 2).
///
/// Immutable after parse and counted; every text in it is NUL-terminated and lives as long as it.
/// View definitions are kept as JSON: room view checks them.
#ifndef PQ_TYPE_SCHEMA_H
#define PQ_TYPE_SCHEMA_H

#include "base/json.h"
#include "type/ice_type.h"

enum pq_entry_kind {
    PQ_ENTRY_COLLECTION,
    PQ_ENTRY_STREAM,    ///< $ingest
    PQ_ENTRY_VIEW,      ///< $from
    PQ_ENTRY_EXTERNAL,  ///< $source
};

enum pq_backend { PQ_BACKEND_DEFAULT, PQ_BACKEND_NATIVE, PQ_BACKEND_ICEBERG, PQ_BACKEND_DELTA };

/// The columns every collection and stream begins with. An own field named createdAt, updatedAt or
/// version takes the place of the system column.
enum {
    PQ_COLUMN_ID,
    PQ_COLUMN_SEQ,
    PQ_COLUMN_TYPE,
    PQ_COLUMN_CREATED_AT,
    PQ_COLUMN_UPDATED_AT,
    PQ_COLUMN_VERSION,
    PQ_COLUMN_DECLARED,  ///< the first declared field; the last column is _extra
};

/// A declared type inside a variant. A list on the way is passed through: `logs.level`.
struct pq_variant_path_type {
    struct pq_text path;  // "event.request.url"
    struct pq_declared_field declared;
    bool built_in;
};

struct pq_former_name {
    struct pq_text now, was;
};

struct pq_entry {
    struct pq_text name;
    enum pq_entry_kind kind;
    size_t line, column;       // of its name
    bool broken;               // has errors: what follows may be incomplete
    struct pq_text type_name;  // $type: in each row's $type
    struct pq_text description, was;
    struct pq_former_name *former;  // fields by $was: { now: 'before' }
    size_t former_count;
    struct pq_text id_field;  // $id, or empty
    struct pq_text ingest;    // "tail", "ai-sdk", "evalite", "custom:orders", or empty
    struct pq_text ingest_collection;  // built-in: "TailEvents", "AIRequests" … else empty
    bool strict;
    enum pq_backend backend;
    int64_t history_us;       // $history, default 7 days
    bool has_history;         // it was given (a view answers `changes` only then)
    int64_t retention_us;     // $retention, 0: none
    /// The timestamp or date column that tells a row's age: as given, else the field eventTimestamp
    /// or timestamp, else createdAt.
    struct pq_text retention_by;
    bool retention_keeps;     // $onRetention: 'keep' on a view
    struct pq_text source_format, source_location;  // $source
    struct pq_declared_field *fields;  // in declared order, computed inverses too
    size_t field_count;
    struct pq_variant_path_type *paths;  // $paths, built-in ones last
    size_t path_count;
    struct pq_text *shred;  // $shred: variant paths stored as columns of their own
    size_t shred_count;
    bool shreds_auto;  // $shred: 'auto': those that views over it read
    struct pq_type row_type;  // see pq_entry_row_type
    /// The entry's object in the schema's document, never NULL.
    const struct pq_json *definition;
};

struct pq_name_set;  // type/name_set.h

struct pq_schema {
    struct pq_arena arena;
    struct pq_text source;              // the text as given
    struct pq_json_document *document;  // owned
    struct pq_entry *entries;           // in the order of the text
    size_t entry_count;
    const struct pq_name_set *names;  // of the entries
    int32_t references;  // atomic
};

enum { PQ_SCHEMA_BYTES_MAX = 1 << 20, PQ_SCHEMA_ENTRIES_MAX = 4096, PQ_ENTRY_FIELDS_MAX = 4096,
       PQ_SHRED_PATHS_MAX = 64 };

/// Read a JSON5 schema. All mistakes go into `problems` (its arena is the caller's); the result is
/// PQDB_OK as long as the text is a JSON5 object, so that views can be checked as well before
/// pq_problems_code decides. Entries with mistakes are there, marked `broken`.
///
/// Owns    *schema is the caller's reference; pq_schema_unref
/// Errors  PQDB_INVALID when the text is no JSON5 object (also in problems), PQDB_LIMIT beyond
///         PQ_SCHEMA_BYTES_MAX or PQ_SCHEMA_ENTRIES_MAX, PQDB_NO_MEMORY
pqdb_code pq_schema_parse(struct pq_text text, const struct pq_alloc *alloc,
                          struct pq_schema **schema, struct pq_problems *problems,
                          pqdb_error *err);
struct pq_schema *pq_schema_ref(const struct pq_schema *schema);
void pq_schema_unref(const struct pq_schema *schema);

/// The entry with exactly this name, or NULL.
const struct pq_entry *pq_schema_find(const struct pq_schema *schema, struct pq_text name);

/// The declared entry name nearest to `name`, or NULL.
const char *pq_schema_nearest(const struct pq_schema *schema, struct pq_text name);

/// A declared field by exact name, computed inverses included; or NULL.
const struct pq_declared_field *pq_entry_find(const struct pq_entry *entry, struct pq_text name);

/// Did the entry declare the field that stands in this position of its row type?
bool pq_entry_owns_column(const struct pq_entry *entry, size_t column);

/// The OBJECT of the table's batches. Collections and streams: $id text!, $seq int!, $type,
/// createdAt, updatedAt, version (all of these required), the declared fields that have a column,
/// _extra variant. External tables: $id, $seq and the declared fields. Views: no fields here.
///
/// Ids: the columns before the declared ones 1 to 6, _extra 7, declared columns from 8 on, then
/// nested ones: the members of each object together, depth first. External: from 1 on.
const struct pq_type *pq_entry_row_type(const struct pq_entry *entry);

/// The ids of `ids`, a type of the same form, for the row type and the declarations it was made of.
void pq_entry_use_ids(struct pq_entry *entry, const struct pq_type *ids);

/// Give every field below `object` an id from `first` on, in the order just described; returns the
/// next free one. `arena` holds the new field arrays.
pqdb_code pq_type_assign_ids(const struct pq_type *object, int32_t first, struct pq_arena *arena,
                             struct pq_type *out, int32_t *next, pqdb_error *err);

/// Line and column of a value in the document: of itself when it is a text, a number or a key, else
/// of the nearest key or text before it.
struct pq_problem_at pq_schema_at(const struct pq_schema *schema, const struct pq_json *value,
                                  struct pq_text path);

/// The `$` keys an entry may have, for "did you mean"; views have their directives besides.
extern const char *const pq_entry_keys[];
extern const size_t pq_entry_key_count;

/// Does it match [A-Za-z]\w* (entries) or [A-Za-z_]\w* (columns)?
bool pq_is_entry_name(struct pq_text name);
bool pq_is_column_name(struct pq_text name);

#endif
