/// collection/update.h: update operators (SPEC 3), compiled once and run over rows that matched.
///
/// One operator is one const descriptor in operators.c or list_operators.c; copy one to add one.
/// They work on declared fields, on paths below them (`address.city`, `tags.0`) and on undeclared
/// fields; what comes out is held to the same rules as a row that is created. docs/writing.md has
/// each operator and each error.
#ifndef PQ_COLLECTION_UPDATE_H
#define PQ_COLLECTION_UPDATE_H

#include "base/arena.h"
#include "batch/column.h"
#include "type/schema.h"
#include "variant/variant.h"

struct pq_update;

struct pq_update_options {
    const struct pq_entry *entry;    // borrowed, a collection or stream
    struct pq_variant_names *names;  // the collection's list; a reference is taken
    const struct pq_alloc *alloc;    // outlives the update
    int64_t now_us;                  // what `$currentDate` gives and updatedAt becomes
};

enum { PQ_UPDATE_OPERATIONS_MAX = 4096, PQ_UPDATE_STEPS_MAX = 64 };

/// Compile `{ $set: { … }, $inc: { … } }` (JSON5).
///
/// Errors  PQDB_INVALID, err->subject the path or operator: not JSON, a plain object, an unknown
///         operator or field, two operators on one path, an operand that cannot be right;
///         PQDB_LIMIT, PQDB_NO_MEMORY
pqdb_code pq_update_compile(const struct pq_update_options *options, struct pq_text operators,
                            struct pq_update **update, pqdb_error *err);
void pq_update_destroy(struct pq_update *update);  // NULL is fine

/// The rows that differ afterwards.
struct pq_updated {
    struct pq_batch rows;    // as they become: version one more, updatedAt now
    const uint32_t *old;     // which of the old rows each was, ascending
};

/// Run it over whole rows. One thread.
///
/// Owns    everything is in `arena` or a view into `old`
/// Errors  PQDB_INVALID, PQDB_LIMIT: the first row that would break a rule; err->subject is the
///         path, the message names the row. PQDB_NO_MEMORY
pqdb_code pq_update_run(struct pq_update *update, const struct pq_batch *old,
                        struct pq_arena *arena, struct pq_updated *updated, pqdb_error *err);

/// Append the row that an upsert creates, as JSON for a reader of rows: the fields that `filter`
/// (parsed with PQ_JSON_RAW_NUMBERS, an object, or NULL) sets equal to something, `id` where it is
/// not empty, the field that supplies `$id` where one does, then every operator. Errors: as
/// pq_update_run.
pqdb_code pq_update_insert(struct pq_update *update, const struct pq_json *filter,
                           struct pq_text id, struct pq_bytes *json, pqdb_error *err);

#endif
