/// batch/builder.h: makes a column row by row. Used by ingest, the Parquet reader, flow outputs.
///
/// Memory comes from `alloc` (often an arena's); `finish` gives a view that lives as long as the
/// builder's memory. A builder can be reset and filled again.
#ifndef PQ_BATCH_BUILDER_H
#define PQ_BATCH_BUILDER_H

#include "base/alloc.h"
#include "batch/column.h"

struct pq_builder {
    const struct pq_type *type;  // borrowed
    enum pq_layout layout;
    const struct pq_alloc *alloc;  // borrowed
    size_t count;
    size_t capacity;       // rows there is room for
    size_t null_count;     // rows that are PQ_ROW_NULL
    bool has_marks;        // some row is not PQ_ROW_VALID
    uint8_t *rows;         // owned; one block of `capacity` rows, which the next three point into
    void *values;          // FIXED, DICTIONARY
    uint32_t *offsets;     // BYTES, ROWS
    uint8_t *valid;
    uint8_t *data;         // owned; BYTES
    size_t data_length;
    size_t data_capacity;
    struct pq_builder *children;  // owned; ROWS 1, MEMBERS field_count
    struct pq_column *finished;   // owned; as many as children, where `finish` puts their columns
    struct pq_dictionary *dictionary;      // borrowed; DICTIONARY: text is coded as it comes
    const struct pq_variant_names *names;  // borrowed; VARIANT
};

/// The layout follows from the type: FIXED, BYTES, ROWS or MEMBERS.
pqdb_code pq_builder_init(struct pq_builder *builder, const struct pq_type *type,
                          const struct pq_alloc *alloc, pqdb_error *err);
void pq_builder_deinit(struct pq_builder *builder);

/// Make a TEXT builder without rows code its values in `dictionary` (NULL: plain BYTES). A text
/// that no longer fits turns the column so far into BYTES, also for the builds that follow.
void pq_builder_use_dictionary(struct pq_builder *builder, struct pq_dictionary *dictionary);
void pq_builder_reset(struct pq_builder *builder);

/// Room for exactly `rows` more rows and, for BYTES, `bytes` more bytes: it saves growing, and a
/// batch of one row the room for more.
pqdb_code pq_builder_reserve(struct pq_builder *builder, size_t rows, size_t bytes,
                             pqdb_error *err);

/// Forget the rows from `count` on, in children too (for a row that turns out to be refused
/// halfway). Elements of a list row that was not closed are forgotten as well.
void pq_builder_truncate(struct pq_builder *builder, size_t count);

/// All of these append one row. Errors: PQDB_NO_MEMORY; PQDB_LIMIT when a column's bytes or
/// elements would pass 4 GiB. A failure inside a nested row leaves children of unequal length: then
/// truncate, reset or deinit.
pqdb_code pq_builder_append_null(struct pq_builder *builder, pqdb_error *err);
pqdb_code pq_builder_append_fixed(struct pq_builder *builder, const void *value, pqdb_error *err);
pqdb_code pq_builder_append_bytes(struct pq_builder *builder, const void *data, size_t length,
                                  pqdb_error *err);
/// A variant that brings its own metadata in front of its value (PQ_ROW_OWN_NAMES).
pqdb_code pq_builder_append_own_names(struct pq_builder *builder, const void *data, size_t length,
                                      pqdb_error *err);

/// A LIST row: append its elements to children[0] first, then close the row.
pqdb_code pq_builder_end_list(struct pq_builder *builder, pqdb_error *err);
/// An OBJECT row: append one row to each child first, then close the row.
pqdb_code pq_builder_end_object(struct pq_builder *builder, pqdb_error *err);

/// `value` must be of the builder's kind or PQ_NULL (no conversion); a decimal of the same scale.
/// A variant with another list of names brings that list along.
pqdb_code pq_builder_append_value(struct pq_builder *builder, const struct pq_value *value,
                                  pqdb_error *err);

/// Copy rows of a column of equal type. Different dictionaries are recoded, different names are
/// the caller's business (see pq_variant_rename in variant/variant.h): they must be equal here. A
/// builder without names takes those of the first column that has some.
pqdb_code pq_builder_append_rows(struct pq_builder *builder, const struct pq_column *from,
                                 size_t start, size_t count, pqdb_error *err);

/// The rows so far as a view. Appending afterwards may move the memory under it; finishing again
/// rewrites the children of an earlier view.
struct pq_column pq_builder_finish(const struct pq_builder *builder);

/// The same for readers on other threads while the builder goes on: nested columns are placed at
/// `*room`, which moves past them. A type needs room for pq_builder_view_room columns below its
/// own.
/// The memory of the rows must be an arena's, which never takes anything back.
struct pq_column pq_builder_view(const struct pq_builder *builder, struct pq_column **room);
size_t pq_builder_view_room(const struct pq_type *type);

/// A row-wise set of builders for an OBJECT type, finished as a batch whose columns array is in
/// `arena`. All members must have equally many rows.
pqdb_code pq_builder_finish_batch(const struct pq_builder *members, const struct pq_type *type,
                                  struct pq_arena *arena, struct pq_batch *batch,
                                  pqdb_error *err);

#endif
