/// Values that are known per row as a column of variants.
#include "batch/variant_value.h"
#include "expr/run_internal.h"

/// Rows of nested columns need names of their own: they come from the program's list.
static pqdb_code encode_nested(struct pq_run *run, struct pq_variant_encoder **encoder,
                               const struct pq_value *value, struct pq_variant *variant,
                               pqdb_error *err) {
    struct pq_variant_names *names = run->program->names;
    struct pq_bytes bytes;
    bool own = false;
    pqdb_code code = PQDB_OK;
    pq_bytes_init(&bytes, &run->arena->alloc);
    if (*encoder == NULL) {
        code = pq_variant_encoder_create(names, &run->arena->alloc, encoder, err);
    }
    if (code == PQDB_OK) code = pq_variant_encode_value(*encoder, value, &bytes, &own, err);
    if (code != PQDB_OK) return code;
    return pq_variant_of_row(pq_bytes_text(&bytes), own ? PQ_ROW_OWN_NAMES : PQ_ROW_VALID, names,
                             run->arena, variant, err);
}

static pqdb_code append(struct pq_run *run, struct pq_variant_encoder **encoder,
                        struct pq_builder *builder, const struct pq_value *value,
                        struct pq_bytes *scratch, pqdb_error *err) {
    if (value->kind == PQ_NULL) return pq_builder_append_null(builder, err);
    if (value->kind == PQ_VARIANT) return pq_builder_append_value(builder, value, err);
    if (value->kind == PQ_LIST || value->kind == PQ_OBJECT) {
        struct pq_value variant = {.kind = PQ_VARIANT};
        const pqdb_code code = encode_nested(run, encoder, value, &variant.as.variant, err);
        return code == PQDB_OK ? pq_builder_append_value(builder, &variant, err) : code;
    }
    scratch->length = 0;
    const pqdb_code code = pq_variant_encode_scalar(value, scratch, err);
    if (code != PQDB_OK) return code;
    return pq_builder_append_bytes(builder, scratch->data, scratch->length, err);
}

static const struct pq_variant_names *names_below(const struct pq_column *column) {
    if (column->names != NULL) return column->names;
    const uint32_t count = column->children == NULL ? 0 : column->type->field_count;
    for (uint32_t k = 0; k < count; k++) {
        const struct pq_variant_names *names = names_below(&column->children[k]);
        if (names != NULL) return names;
    }
    return NULL;
}

const struct pq_variant_names *pq_run_names(const struct pq_run *run) {
    size_t count;
    const uint32_t *columns = pq_program_columns(run->program, &count);
    for (size_t k = 0; k < count && run->batch != NULL; k++) {
        const struct pq_variant_names *names = names_below(&run->batch->columns[columns[k]]);
        if (names != NULL) return names;
    }
    return run->program->names;
}

pqdb_code pq_run_encode(struct pq_run *run, const struct pq_vector *vector, struct pq_column *out,
                        pqdb_error *err) {
    struct pq_builder builder;
    struct pq_bytes scratch;
    struct pq_variant_encoder *encoder = NULL;
    pqdb_code code = pq_builder_init(&builder, &pq_type_variant, &run->arena->alloc, err);
    pq_bytes_init(&scratch, &run->arena->alloc);
    for (size_t row = 0; row < run->count && code == PQDB_OK; row++) {
        const struct pq_value value = pq_vector_at(vector, row);
        code = append(run, &encoder, &builder, &value, &scratch, err);
    }
    pq_variant_encoder_destroy(encoder);
    if (builder.names == NULL) builder.names = pq_run_names(run);
    if (code == PQDB_OK) *out = pq_builder_finish(&builder);
    return code;
}
