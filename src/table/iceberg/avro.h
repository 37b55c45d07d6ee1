/// table/iceberg/avro.h: Avro object container files, as far as Iceberg's manifests need them.
///
///     "Obj" 01 | map<string, bytes> header | 16 bytes sync | blocks
///     block:    long records | long bytes | data, by the header's codec | 16 bytes sync
///
/// Reading decodes by the writer's schema into values that are found by Iceberg's field ids; what
/// has another id is decoded and ignored. Files are nobody's promise: every count is bounded by the
/// bytes that are left, and the number of values by the number of bytes. Writing takes the schema
/// as text and keeps it verbatim; the caller encodes its records. Source: FORMATS 4.
#ifndef PQ_TABLE_ICEBERG_AVRO_H
#define PQ_TABLE_ICEBERG_AVRO_H

#include <parquedb/error.h>

#include "base/arena.h"
#include "base/bytes.h"

enum {
    PQ_AVRO_DEPTH_MAX = 32,           // of schemas and values
    PQ_AVRO_BLOCK_BYTES_MAX = 1 << 28,  // uncompressed
    PQ_AVRO_SYNC_BYTES = 16,
};

enum pq_avro_kind {
    PQ_AVRO_NULL,
    PQ_AVRO_BOOL,
    PQ_AVRO_INT,
    PQ_AVRO_LONG,
    PQ_AVRO_FLOAT,
    PQ_AVRO_DOUBLE,
    PQ_AVRO_BYTES,
    PQ_AVRO_STRING,
    PQ_AVRO_FIXED,
    PQ_AVRO_ENUM,
    PQ_AVRO_ARRAY,
    PQ_AVRO_MAP,
    PQ_AVRO_RECORD,
    PQ_AVRO_UNION,
};

/// A schema: a tree, but for named types, which may be met again (also inside themselves).
struct pq_avro_node;
struct pq_avro_member {  // of RECORD, ENUM (names only) and UNION; ARRAY and MAP have one
    struct pq_text name;
    int32_t id;  // "field-id", "element-id" or "value-id"; -1 when there is none
    const struct pq_avro_node *node;
};
struct pq_avro_node {
    enum pq_avro_kind kind;
    uint32_t fixed_bytes;  // FIXED
    size_t member_count;
    const struct pq_avro_member *members;
};

/// Parse a schema into `arena`. Errors: PQDB_CORRUPT.
pqdb_code pq_avro_schema_parse(struct pq_text json, struct pq_arena *arena,
                               const struct pq_avro_node **schema, pqdb_error *err);

/// A decoded value; a union is the value of its branch.
struct pq_avro_value {
    enum pq_avro_kind kind;
    const struct pq_avro_node *node;
    size_t count;  // ARRAY: items; MAP: keys and values, alternating; RECORD: fields
    union {
        int64_t integer;  // BOOL, INT, LONG
        double real;      // FLOAT, DOUBLE
        struct pq_text bytes;  // BYTES, STRING, FIXED, ENUM (the symbol): a view into the block
        const struct pq_avro_value *items;
    } as;
};

/// The record's field with this id, or NULL when there is none or it is null.
const struct pq_avro_value *pq_avro_find(const struct pq_avro_value *record, int32_t id);

struct pq_avro_reader;

/// `file` is borrowed until close. Codecs: null, deflate, snappy, zstandard.
/// Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED (codec), PQDB_NO_MEMORY.
pqdb_code pq_avro_open(struct pq_text file, const struct pq_alloc *alloc,
                       struct pq_avro_reader **reader, pqdb_error *err);
void pq_avro_close(struct pq_avro_reader *reader);

/// A header entry, or data NULL.
struct pq_text pq_avro_header(const struct pq_avro_reader *reader, const char *key);

/// The next record, valid until the next call; NULL after the last.
pqdb_code pq_avro_next(struct pq_avro_reader *reader, const struct pq_avro_value **record,
                       pqdb_error *err);

struct pq_avro_entry {
    struct pq_text key, value;
};

struct pq_avro_options {
    struct pq_text schema;               // JSON, written as it is
    const struct pq_avro_entry *entries;  // header beside avro.schema and avro.codec
    size_t entry_count;
    bool deflate;
    const uint8_t *sync;  // PQ_AVRO_SYNC_BYTES random bytes
};

/// Appends a container file to `out`: encode a record into `block`, end it, and so on, finish.
struct pq_avro_writer {
    struct pq_bytes block;
    struct pq_bytes *out;  // borrowed
    uint64_t record_count;  // in the block
    size_t start;  // of the file in `out`
    bool deflate;
    uint8_t sync[PQ_AVRO_SYNC_BYTES];
};
pqdb_code pq_avro_writer_init(struct pq_avro_writer *writer, const struct pq_avro_options *options,
                              const struct pq_alloc *alloc, struct pq_bytes *out, pqdb_error *err);
pqdb_code pq_avro_end_record(struct pq_avro_writer *writer, pqdb_error *err);
pqdb_code pq_avro_finish(struct pq_avro_writer *writer, pqdb_error *err);
void pq_avro_writer_deinit(struct pq_avro_writer *writer);

/// int and long, also union branches, enum indexes and the counts of arrays and maps.
pqdb_code pq_avro_put_long(struct pq_bytes *out, int64_t value, pqdb_error *err);
pqdb_code pq_avro_put_bytes(struct pq_bytes *out, struct pq_text bytes, pqdb_error *err);

#endif
