/// parquet/schema.h: the tree of a pq_type beside the leaves (columns) of a file.
///
/// A node is one pq_type with its levels; a leaf is one physical column. The writer makes both from
/// a pq_type, the reader from the footer's elements, legacy list shapes included: the levels say
/// all that shredding and assembling need to know.
///
///     definition level   how many optional or repeated ancestors (and itself) are there
///     repetition level   at which repeated ancestor this value continues a list; 0 begins a row
#ifndef PQ_PARQUET_SCHEMA_H
#define PQ_PARQUET_SCHEMA_H

#include "base/arena.h"
#include "base/fail.h"
#include "parquet/footer.h"
#include "parquet/writer.h"
#include "type/type.h"

enum { PQ_SCHEMA_DEPTH_MAX = 64 };

/// How a stored value becomes a value of the kind; the writer uses the first group only.
enum pq_conversion {
    PQ_CONVERT_NONE,            // same width and meaning
    PQ_CONVERT_DECIMAL,         // INT32, INT64, big-endian FIXED or BYTE_ARRAY
    PQ_CONVERT_JSON,            // JSON text to and from VARIANT
    PQ_CONVERT_VARIANT,         // metadata, and value in the next leaf
    PQ_CONVERT_NULL,            // UNKNOWN: nothing but nulls
    PQ_CONVERT_INT32,           // sign-extended
    PQ_CONVERT_UINT32,
    PQ_CONVERT_UINT64,          // to DECIMAL(20,0)
    PQ_CONVERT_MILLIS32,        // INT32 thousandths to microseconds
    PQ_CONVERT_MILLIS,
    PQ_CONVERT_NANOS,
    PQ_CONVERT_INT96,
    PQ_CONVERT_FLOAT16,
    PQ_CONVERT_UUID,
    PQ_CONVERT_FIXED,           // FIXED to BINARY
};

struct pq_leaf {
    enum pq_physical physical;
    enum pq_conversion conversion;
    enum pq_kind kind;     // what it is read as; BINARY for the leaves of an annotated variant
    uint32_t type_length;  // FIXED
    uint8_t max_def, max_rep;
    uint8_t scale;         // DECIMAL
    bool has_order;        // min and max mean something
    uint8_t primitive;     // pq_variant_primitive of a shredded variant's typed value
    int32_t field_id;
    const struct pq_text *path;
    size_t path_count;
    const char *unreadable;  // why, or NULL
};

struct pq_node {
    const struct pq_type *type;
    bool is_required;
    uint8_t def;          // level from which on the value is not null
    uint8_t def_element;  // LIST: level from which on there is an element
    uint8_t rep;          // LIST: level of its elements
    uint32_t leaf;        // the first leaf below
    uint32_t leaf_count;
    bool is_value_first;  // an annotated variant whose value stands before its metadata
    uint32_t metadata_leaf;          // of a shredded variant
    const struct pq_node *shredded;  // its group as an OBJECT; NULL: no shredded variant
    uint32_t child_count;
    struct pq_node *children;
};

struct pq_schema {
    const struct pq_type *type;  // OBJECT
    struct pq_node root;
    struct pq_leaf *leaves;
    size_t leaf_count;
    struct pq_meta_element *elements;  // writer: depth first, the root included
    size_t element_count;
};

/// Bytes of a physical value, type_length for FIXED; 0 for BYTE_ARRAY and BOOLEAN.
size_t pq_physical_width(enum pq_physical physical, uint32_t type_length);

/// Everything lives in `arena`; `type` is borrowed.
pqdb_code pq_schema_of_type(const struct pq_type *type, enum pq_parquet_variant_form form,
                            struct pq_arena *arena, struct pq_schema *schema, pqdb_error *err);
pqdb_code pq_schema_of_footer(const struct pq_meta_file *file, bool json_as_variant,
                              struct pq_arena *arena, struct pq_schema *schema, pqdb_error *err);

static inline pqdb_code pq_parquet_no_memory(pqdb_error *err, const char *what) {
    return pq_fail(err, PQDB_NO_MEMORY, "no memory for %s of a Parquet file", what);
}

/// Put place and column to an error; returns its code.
pqdb_code pq_parquet_at(pqdb_code code, pqdb_error *err, int64_t offset,
                        const struct pq_leaf *leaf);

#endif
