/// parquet/thrift_compact.h: Thrift's compact protocol, driven by tables.
///
/// A struct of the protocol is a C struct whose first member is `uint32_t has` (bit n: field n is
/// present) and a table of its fields; encode and decode both walk the table. Fields the table does
/// not name are skipped. A list is a pointer and a size_t count.
///
///     field header   (id delta << 4) | type; delta 0: a type byte, then the id as zigzag varint
///     types          1 true, 2 false, 3 i8, 4 i16, 5 i32, 6 i64, 7 double, 8 binary, 9 list,
///                    10 set, 11 map, 12 struct, 0 stop; integers are zigzag varints, i8 a byte
///     list header    (count << 4) | type; count 15: a varint follows. Booleans are bytes 1 and 2
#ifndef PQ_PARQUET_THRIFT_COMPACT_H
#define PQ_PARQUET_THRIFT_COMPACT_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/bytes.h"

enum pq_thrift_kind {
    PQ_THRIFT_BOOL,    // bool
    PQ_THRIFT_I8,      // int8_t
    PQ_THRIFT_I16,     // int16_t
    PQ_THRIFT_I32,     // int32_t
    PQ_THRIFT_I64,     // int64_t
    PQ_THRIFT_TEXT,    // struct pq_text
    PQ_THRIFT_STRUCT,  // embedded
};

struct pq_thrift_struct;

struct pq_thrift_field {
    uint16_t id;  // below 31, or PQ_THRIFT_EXTENSION
    uint8_t kind;
    bool is_required;
    bool is_list;
    uint16_t offset;        // of the value, or of a list's pointer
    uint16_t count_offset;  // of a list's size_t
    const struct pq_thrift_struct *of;
};

struct pq_thrift_struct {
    const char *name;
    size_t bytes;
    const struct pq_thrift_field *fields;  // by ascending id
    size_t field_count;
};

/// The field that parquet.thrift leaves to writers: binary, in any struct. Its bit is 31.
enum { PQ_THRIFT_EXTENSION = 32767, PQ_THRIFT_EXTENSION_BIT = 31 };

#define PQ_THRIFT_HAS(object, id) (((object)->has >> (id)) & 1u)

/// Append `object`: its fields whose bit is set in `has`.
pqdb_code pq_thrift_encode(const struct pq_thrift_struct *of, const void *object,
                           struct pq_bytes *out, pqdb_error *err);

/// Fill `object` from the cursor. Texts are views into the cursor's bytes, lists live in `arena`.
///
/// Cost    memory follows what is really there, not what a count claims
/// Errors  PQDB_CORRUPT: cut off, too deep, a required field missing; PQDB_NO_MEMORY
pqdb_code pq_thrift_decode(const struct pq_thrift_struct *of, struct pq_cursor *cursor,
                           struct pq_arena *arena, void *object, pqdb_error *err);

#endif
