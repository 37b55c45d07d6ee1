/// base/json.h: the doorway to yyjson. Reads JSON, JSON5 and single values of NDJSON.
///
/// A document owns a copy of its text; values are views into it. Containers are walked with
/// first/next: in an object keys and values alternate, so `pq_json_next(key)` is the value.
#ifndef PQ_BASE_JSON_H
#define PQ_BASE_JSON_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/text.h"

enum pq_json_kind {
    PQ_JSON_NULL,
    PQ_JSON_BOOL,
    PQ_JSON_INT,     ///< fits int64
    PQ_JSON_REAL,    ///< finite double, unless JSON5 wrote Infinity or NaN
    PQ_JSON_NUMBER,  ///< a number kept as its text: all of them under PQ_JSON_RAW_NUMBERS, else
                     ///< those that fit neither int64 nor a finite double exactly as written
    PQ_JSON_TEXT,
    PQ_JSON_LIST,
    PQ_JSON_OBJECT,
};

enum pq_json_flags {
    PQ_JSON_STRICT = 0,
    PQ_JSON_5 = 1,            ///< comments, trailing commas, unquoted keys, single quotes …
    PQ_JSON_RAW_NUMBERS = 2,  ///< keep every number as written
};

struct pq_json;           // one value
struct pq_json_document;  // owned text and values

/// Parse exactly one value from `text`. Errors: PQDB_INVALID with err->offset at the fault and a
/// sentence saying what was expected; PQDB_NO_MEMORY. Cost: about 1.8 GB/s, three or four
/// allocations, no recursion.
pqdb_code pq_json_parse(struct pq_text text, unsigned flags, const struct pq_alloc *alloc,
                        struct pq_json_document **document, pqdb_error *err);
void pq_json_destroy(struct pq_json_document *document);
const struct pq_json *pq_json_root(const struct pq_json_document *document);

/// A parser whose memory is reused from one text to the next (NDJSON): the previous document's
/// values become invalid. `document` is valid until the next call or deinit.
struct pq_json_reader {
    const struct pq_alloc *alloc;
    struct pq_json_document *document;  // owned; NULL before the first parse
};
void pq_json_reader_init(struct pq_json_reader *reader, const struct pq_alloc *alloc);
void pq_json_reader_deinit(struct pq_json_reader *reader);
pqdb_code pq_json_reader_parse(struct pq_json_reader *reader, struct pq_text text, unsigned flags,
                               const struct pq_json **root, pqdb_error *err);

enum pq_json_kind pq_json_kind(const struct pq_json *value);
bool pq_json_bool(const struct pq_json *value);
int64_t pq_json_int(const struct pq_json *value);
double pq_json_real(const struct pq_json *value);
struct pq_text pq_json_text(const struct pq_json *value);  // TEXT or NUMBER; NUL-terminated
/// The nearest double of a NUMBER; false when it is beyond all doubles.
bool pq_json_number_real(const struct pq_json *number, double *real);

/// The double nearest to a NUMBER's text; infinite beyond double. False when it is no number.
bool pq_json_read_real(struct pq_text number, double *real);

/// Elements of a list, or keys of an object.
size_t pq_json_count(const struct pq_json *container);
const struct pq_json *pq_json_first(const struct pq_json *container);  // undefined when count is 0
const struct pq_json *pq_json_next(const struct pq_json *value);
/// NULL where `value` is no object, or has no such key.
const struct pq_json *pq_json_find(const struct pq_json *value, const char *key);

/// Where in the text a TEXT or NUMBER value (so every key) begins, or -1 for other kinds; a NUMBER
/// between 2^63 and 2^64 - 1 has no place either.
int64_t pq_json_offset(const struct pq_json_document *document, const struct pq_json *value);

/// The same for any value: of another kind, where the nearest key or text before it begins; 0
/// when there is none. For messages that must point somewhere.
int64_t pq_json_offset_near(const struct pq_json_document *document, const struct pq_json *value);

/// Line and column from 1 of a byte offset.
void pq_json_position(struct pq_text text, int64_t offset, size_t *line, size_t *column);

/// Append JSON: a quoted and escaped string; the shortest text that reads back the same double
/// (`null` for NaN and infinities).
pqdb_code pq_json_write_text(struct pq_bytes *out, struct pq_text text, pqdb_error *err);
pqdb_code pq_json_write_real(struct pq_bytes *out, double value, pqdb_error *err);
pqdb_code pq_json_write_int(struct pq_bytes *out, int64_t integer, pqdb_error *err);

/// The value as compact JSON, numbers as they were.
pqdb_code pq_json_write(struct pq_bytes *out, const struct pq_json *value, pqdb_error *err);

#endif
