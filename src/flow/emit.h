/// flow/emit.h: an output column in the making. Fixed widths are written straight into arrays sized
/// beforehand; everything else goes through a builder.
#ifndef PQ_FLOW_EMIT_H
#define PQ_FLOW_EMIT_H

#include <string.h>

#include "base/arena.h"
#include "batch/builder.h"

struct emit {
    const struct pq_type *type;
    size_t width;     // bytes of a fixed value, or 0: see `builder`
    size_t count;     // rows so far (fixed widths)
    size_t capacity;  // rows there is room for
    uint8_t *valid;
    uint8_t *values;
    bool nulls;
    struct pq_builder builder;
    struct pq_variant_encoder *encoder;           // owned; see emit_encoder
    const struct pq_variant_names *encoder_names;
    struct pq_arena *arena;
};

/// Room for `capacity` rows in `arena`. Errors: PQDB_NO_MEMORY.
pqdb_code emit_init(struct emit *out, const struct pq_type *type, size_t capacity,
                    struct pq_arena *arena, pqdb_error *err);
struct pq_column emit_finish(struct emit *out);
void emit_deinit(struct emit *out);

/// The variants inside a type, depth first, have names of their own: gather those of a column's,
/// for outputs that will hold values like it. A column that says nothing leaves them alone.
size_t names_count(const struct pq_type *type);
void names_take(const struct pq_column *column, const struct pq_variant_names **names);
void emit_use_names(struct emit *out, const struct pq_variant_names *const *names);

/// An encoder for variants with these names (NULL: names of its own). Valid until the next call.
pqdb_code emit_encoder(struct emit *out, const struct pq_variant_names *names,
                       struct pq_variant_encoder **encoder, pqdb_error *err);
pqdb_code emit_null(struct emit *out, pqdb_error *err);
/// A scalar of the output's kind, or PQ_NULL.
pqdb_code emit_value(struct emit *out, const struct pq_value *value, pqdb_error *err);

/// A fixed-width row that is not null.
static inline void emit_fixed(struct emit *out, const void *value, size_t width) {
    memcpy(out->values + out->count * width, value, width);
    out->valid[out->count++] = PQ_ROW_VALID;
}
static inline void emit_int64(struct emit *out, int64_t value) { emit_fixed(out, &value, 8); }
static inline void emit_real(struct emit *out, double value) { emit_fixed(out, &value, 8); }
static inline void emit_fixed_null(struct emit *out) {
    memset(out->values + out->count * out->width, 0, out->width);
    out->valid[out->count++] = PQ_ROW_NULL;
    out->nulls = true;
}

#endif
