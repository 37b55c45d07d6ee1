/// type/shape.h: the columns of a table over definitions that change.
///
/// A column keeps its id for life and an id its column, whatever it is called: so files and log
/// parts of an older shape are read with the newer one (batch/project.h). Pure: no schema, no rows.
#ifndef PQ_TYPE_SHAPE_H
#define PQ_TYPE_SHAPE_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/json.h"
#include "type/type.h"

enum pq_shape_change_kind {
    PQ_SHAPE_ADDED,
    PQ_SHAPE_RENAMED,
    PQ_SHAPE_WIDENED,   ///< every value stays what it is
    PQ_SHAPE_RETYPED,   ///< another column of the same name: the old values are gone
    PQ_SHAPE_DROPPED,
    PQ_SHAPE_REQUIRED,  ///< null before, no longer
    PQ_SHAPE_OPTIONAL,
};

struct pq_shape_change {
    enum pq_shape_change_kind kind;
    struct pq_text path;  // "address.city", as it is called now; DROPPED: as it was
    const struct pq_field *before, *now;  // NULL where there is none
    uint32_t column;      // of the one it lies in, now; DROPPED at the top: before
};

struct pq_shape_rename {
    struct pq_text now, was;
};

/// `type` as it follows `before`: a column of the same name (or renamed, at the top) whose values
/// it can take over keeps its id, members and elements as well; others get *next_id and so on.
struct pq_shape_follow {
    const struct pq_type *type;    // OBJECT; its ids do not matter
    const struct pq_type *before;  // OBJECT with ids
    const struct pq_shape_rename *renames;
    size_t rename_count;
};
struct pq_shape_changes {
    const struct pq_shape_change *items;  // in the order of the columns, those dropped last
    size_t count;
};

/// Shape   `changes` may be NULL
/// Owns    everything new is in `arena`; `out` shares names with the given types
/// Errors  PQDB_NO_MEMORY
pqdb_code pq_shape_follow(const struct pq_shape_follow *asked, int32_t *next_id,
                          struct pq_arena *arena, struct pq_type *out,
                          struct pq_shape_changes *changes, pqdb_error *err);

/// Can every value of `stored` be read as `wanted`? Members are the same by id, missing ones null.
bool pq_shape_reads_as(const struct pq_type *stored, const struct pq_type *wanted);
/// Does nothing need to be done for that? Then also the ids are the same.
bool pq_shape_is_same(const struct pq_type *a, const struct pq_type *b);

/// Give a type, whose fields nobody else has yet, the ids of one of the same form.
void pq_shape_copy_ids(struct pq_type *to, const struct pq_type *from);

/// The highest id in a type, 0 for none.
int32_t pq_shape_highest_id(const struct pq_type *type);

/// An OBJECT's columns as JSON, and back. Errors of parse: PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_shape_write(const struct pq_type *object, struct pq_bytes *out, pqdb_error *err);
pqdb_code pq_shape_parse(const struct pq_json *json, struct pq_arena *arena, struct pq_type *out,
                         pqdb_error *err);

#endif
