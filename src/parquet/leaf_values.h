/// parquet/leaf_values.h: what is read of one leaf: levels, and values of its kind without gaps.
#ifndef PQ_PARQUET_LEAF_VALUES_H
#define PQ_PARQUET_LEAF_VALUES_H

#include "base/arena.h"
#include "base/json.h"
#include "batch/dictionary.h"
#include "batch/hold.h"
#include "parquet/value_decode.h"

struct pq_variant_encoder;

/// All memory is the result's arena. Which members are set follows from the kind: `values` for
/// kinds of a fixed width, `offsets` and `data` for text, binary and variants, `codes` when coded.
struct pq_leaf_values {
    const struct pq_leaf *leaf;
    struct pq_arena *arena;
    // Levels; def is unset for max_def 0, rep for max_rep 0.
    uint8_t *def, *rep;
    size_t level_count, level_room;
    size_t count;  // of values
    size_t room;   // of values, offsets (one more), codes, marks
    size_t width;  // of a value in `values`
    uint8_t *values;
    uint32_t *offsets;  // from 0
    uint8_t *data;
    size_t data_length, data_room;
    uint8_t *marks;  // JSON read as variants: PQ_ROW_VALID or PQ_ROW_OWN_NAMES
    bool is_coded;
    uint32_t *codes;
    struct pq_dictionary *dictionary;  // kept by the hold; TEXT
    const struct pq_text *entries;     // parts of annotated variants: what the codes stand for
    size_t data_expected;              // bytes there will be as far as anybody knows
    // For JSON.
    struct pq_variant_encoder *encoder;
    struct pq_json_reader *json;
    struct pq_bytes scratch;
};

/// Room for `extra` more levels or values. `expected` is how many there will be in the end as far
/// as anybody knows; it is believed up to a million.
pqdb_code pq_leaf_values_reserve_levels(struct pq_leaf_values *leaf, size_t extra,
                                        size_t expected, pqdb_error *err);
pqdb_code pq_leaf_values_reserve(struct pq_leaf_values *leaf, size_t extra, size_t expected,
                                 pqdb_error *err);

/// Append stored values (no codes), converted to the leaf's kind; there is room for them.
/// Errors: PQDB_CORRUPT, PQDB_INVALID (JSON that is none), PQDB_LIMIT, PQDB_NO_MEMORY.
pqdb_code pq_leaf_values_append(struct pq_leaf_values *leaf, const struct pq_stored_values *values,
                                pqdb_error *err);

/// Stored values of a fixed width, in any leaf whose kind has one, converted to `out`.
/// Errors: PQDB_CORRUPT.
pqdb_code pq_leaf_convert(const struct pq_leaf *leaf, const struct pq_stored_values *values,
                          uint8_t *out, pqdb_error *err);
/// Append values that were converted already: entries[codes[i]], `leaf->width` bytes each. There is
/// room for them, and every code has its entry.
void pq_leaf_values_gather(struct pq_leaf_values *leaf, const uint8_t *entries,
                           const uint32_t *codes, size_t count);

/// Turn codes taken so far into the texts they stand for.
pqdb_code pq_leaf_values_drop_codes(struct pq_leaf_values *leaf, pqdb_error *err);

/// Convert one stored value, for bounds: false when it is none of the kind. Texts stay views.
bool pq_stored_value(const struct pq_leaf *leaf, struct pq_text stored, struct pq_value *value);

#endif
