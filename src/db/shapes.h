/// db/shapes.h: what the database knows of its tables beside the text of the schema: their ids and
/// directories, and the columns with the ids that they had and have.
///
/// `_state/tables.json` holds up to two generations, each with a hash of the schema's text: it is
/// replaced before the text is, so that the text says which one holds. A text that belongs to
/// neither was edited by hand: what loses nothing is taken, the rest is refused.
#ifndef PQ_DB_SHAPES_H
#define PQ_DB_SHAPES_H

#include <parquedb/db.h>

#include "base/arena.h"
#include "store/store.h"
#include "type/schema.h"
#include "type/shape.h"

#define PQ_DB_SHAPES_FILE "_state/tables.json"

struct pq_view;
struct pq_root;

/// One table. Its place is kept whatever it is called.
struct pq_db_shape {
    struct pq_text name, directory;  // "Order", "_views/Recent"; NUL-terminated
    uint32_t id;
    bool is_view;
    bool is_dropped;     // a collection whose files are to be removed
    int32_t next_field;  // the id of the next new column
    const struct pq_type *types;  // by schema id, the newest last; of a view the newest only
    size_t type_count;     // 0: nothing is known of its columns
};

struct pq_db_shapes {
    uint64_t schema_hash;
    uint32_t next_id;
    struct pq_db_shape *tables;
    size_t count;
};

/// How an entry follows what was there before.
struct pq_db_follow {
    const struct pq_db_shape *before;  // NULL: it is new
    const struct pq_db_shape *now;
    struct pq_shape_changes changes;   // of its columns
    bool is_reshaped;                  // rows are read in another shape than they were written
};

/// The generation for this schema text, or the newest one with `*is_exact` false. Errors:
/// PQDB_NOT_FOUND (there is no file), PQDB_CORRUPT, PQDB_IO, PQDB_NO_MEMORY.
pqdb_code pq_db_shapes_read(struct pq_store *store, struct pq_text schema,
                            struct pq_arena *arena, struct pq_db_shapes *shapes, bool *is_exact,
                            pqdb_error *err);
/// Both generations, durably; `before` may be NULL. Errors: PQDB_IO, PQDB_NO_MEMORY, PQDB_LIMIT
/// (beyond 1 GiB: nothing is written).
pqdb_code pq_db_shapes_write(struct pq_store *store, const struct pq_db_shapes *before,
                             const struct pq_db_shapes *now, const struct pq_alloc *alloc,
                             pqdb_error *err);

/// Ids and columns of the schema's entries as they follow from `before` (NULL: a new database,
/// where ids follow from names). The row types of the entries get their ids. Everything is in the
/// schema's arena; `follows` has one for each entry (external ones: zero).
pqdb_code pq_db_shapes_follow(const struct pq_db_shapes *before, struct pq_schema *schema,
                              struct pq_db_shapes **shapes, struct pq_db_follow **follows,
                              pqdb_error *err);
/// The same for the columns of a planned view, which get their ids.
pqdb_code pq_db_shapes_follow_view(struct pq_schema *schema, struct pq_db_follow *follow,
                                   const struct pq_view *view, pqdb_error *err);

const struct pq_db_shape *pq_db_shape_find(const struct pq_db_shapes *shapes, uint32_t id);

#endif
