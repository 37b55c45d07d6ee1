/// parquedb/schema.h: changing the schema of a database that is in use.
#ifndef PQDB_SCHEMA_H
#define PQDB_SCHEMA_H

#include <parquedb/db.h>

PQDB_BEGIN

/// One step from the schema that was applied to the one that is given. Texts are valid during the
/// call that gives it.
typedef struct pqdb_schema_step {
    const char *action;  ///< "add", "change", "rename", "rebuild" or "drop"
    const char *kind;    ///< "collection", "stream", "view", "field" or "external"
    const char *name;    ///< "Order", "Order.address.zip"
    const char *detail;  ///< what changes: "float to double", "was Purchase", or ""
    bool is_refused;     ///< then `reason` and `remedy` say why and what to do
    const char *reason;
    const char *remedy;
} pqdb_schema_step;

/// Zero is a default everywhere.
typedef struct pqdb_schema_options {
    bool dry_run;                   ///< tell the steps, change nothing
    const char *const *allow_drop;  ///< names whose data may be lost: "Order", "Order.note"
    size_t allow_drop_count;
    void (*on_step)(void *ctx, const pqdb_schema_step *step);  ///< all of them, before anything
    pqdb_on_problem on_problem;                                ///< mistakes in the schema
    void *ctx;
} pqdb_schema_options;

typedef struct pqdb_schema_applied {
    uint64_t version;  ///< of the commit that changed it; the last commit if there was none
    size_t steps, refused;
} pqdb_schema_applied;

/// Make `schema` the schema of the database, in one commit, while readers and writers go on.
///
/// Columns keep their ids, also under another name (`$was`), so rows that exist are read as they
/// are: a new field is missing in them whatever its default, a wider type holds the same values.
/// Views whose definition or sources changed are built anew before this returns; those that are not
/// affected keep their contents and state. Files that lack paths of `$shred` are written anew (what
/// of that fails is done later in the background). Writers wait for the moment of the change; an
/// ingest run into a collection that changes ends with PQDB_CONFLICT and goes on when it is started
/// again.
///
/// What would lose data is refused as a whole, unless `allow_drop` names it: dropping a collection
/// or field that has rows, or another type for it that does not hold every value. Not allowed in
/// any case: to require or restrict a field while rows break the rule (their number is told).
///
/// Shape   `applied` may be NULL
/// Errors  PQDB_INVALID: a mistake, or a step that is refused; nothing has changed. PQDB_IO: as
///         before, or the database refuses writes until it is opened again. After an error of a
///         view's build the schema is applied, and the build is tried again later
PQDB_API pqdb_code pqdb_schema_apply(pqdb_db *db, const char *schema, size_t length,
                                     const pqdb_schema_options *options,
                                     pqdb_schema_applied *applied, pqdb_error *err);

PQDB_END

#endif
