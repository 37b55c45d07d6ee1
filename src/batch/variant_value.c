#include "batch/variant_value.h"

#include "base/check.h"

static size_t nested_count(const struct pq_value *nested) {
    const struct pq_column *column = nested->as.nested.column;
    const size_t row = nested->as.nested.row;
    if (column->layout == PQ_MEMBERS) return column->type->field_count;
    pq_assert(column->layout == PQ_ROWS);
    return column->offsets[row + 1] - column->offsets[row];
}

static struct pq_value nested_at(const struct pq_value *nested, size_t k, struct pq_text *name) {
    const struct pq_column *column = nested->as.nested.column;
    const size_t row = nested->as.nested.row;
    if (column->layout == PQ_MEMBERS) {
        *name = column->type->fields[k].name;
        return pq_column_value(&column->children[k], row);
    }
    return pq_column_value(&column->children[0], column->offsets[row] + k);
}

static const struct pq_variant_nested columns = {.count = nested_count, .at = nested_at};

pqdb_code pq_variant_encode_value(struct pq_variant_encoder *encoder, const struct pq_value *value,
                                  struct pq_bytes *out, bool *own, pqdb_error *err) {
    pq_variant_encoder_look_inside(encoder, &columns);
    return pq_variant_encode_any(encoder, value, out, own, err);
}
