/// JSON objects into rows: which key is which field, decided once per shape of objects.
#ifndef PQ_INGEST_OBJECT_INTERNAL_H
#define PQ_INGEST_OBJECT_INTERNAL_H

#include "ingest/convert_internal.h"
#include "ingest/source.h"
#include "variant/shapes.h"

struct pq_object_plan;
struct pq_object_end;

/// A declared field or nested member.
struct pq_member_plan {
    const struct pq_declared_field *declared;
    size_t column;                           // its builder, among those of the object
    bool is_computed;                        // an inverse: it has no column and cannot be given
    const struct pq_fill *fill;              // or NULL
    struct pq_json_document *default_value;  // owned, or NULL
    struct pq_object_plan *object;           // owned: of an inline object, or a list of them
};

/// How to read one kind of object: the whole row, or an inline object.
struct pq_object_plan {
    const struct pq_alloc *alloc;
    const struct pq_entry *entry;  // of a row, NULL for inline objects
    struct pq_member_plan *members;  // owned
    size_t member_count;
    const struct pq_member_plan *id_member;  // the field named by the entry's $id, or NULL
    size_t extra_column;                     // of a row: _extra
    struct pq_shapes shapes;                 // value: a slot, end: a struct pq_object_end
    struct pq_object_end *last_end;          // of the last object with a known shape
};

/// What reading needs besides plan and value.
struct pq_object_reader {
    struct pq_converter converter;
    struct pq_arena arena;  // until the item is read
    int64_t received_us;
};

/// `entry` and what it points to must outlive the plan. Errors: PQDB_NO_MEMORY, PQDB_UNSUPPORTED.
pqdb_code pq_row_plan_create(const struct pq_entry *entry, const struct pq_alloc *alloc,
                             struct pq_object_plan **plan, pqdb_error *err);
void pq_object_plan_destroy(struct pq_object_plan *plan);

/// Does any field below keep decimals, so that numbers are needed as written?
bool pq_object_plan_needs_digits(const struct pq_object_plan *plan);

/// Append one row to `builders`: of a row plan those of the row type's columns, except $seq, $type,
/// updatedAt and version; else of the object's members. After PQDB_INVALID and PQDB_LIMIT (with the
/// path in err->subject) builders are of unequal length: truncate them.
pqdb_code pq_object_read(struct pq_object_reader *reader, struct pq_object_plan *plan,
                         const struct pq_json *object, struct pq_builder *builders,
                         pqdb_error *err);

/// Append the value of one member, `value` NULL when it is missing: then its fill or default stands
/// in, or it is null, or refused when it is required. Errors: as above.
pqdb_code pq_object_read_member(struct pq_object_reader *reader, struct pq_member_plan *member,
                                const struct pq_json *value, struct pq_builder *builder,
                                pqdb_error *err);

#endif
