/// flow/emit.c: see emit.h.
#include "flow/emit.h"

#include "base/check.h"
#include "base/fail.h"
#include "variant/variant.h"

pqdb_code emit_init(struct emit *out, const struct pq_type *type, size_t capacity,
                    struct pq_arena *arena, pqdb_error *err) {
    *out = (struct emit){
        .type = type, .width = pq_kind_width(type->kind), .capacity = capacity, .arena = arena};
    if (out->width == 0) return pq_builder_init(&out->builder, type, &arena->alloc, err);
    out->values = pq_arena_alloc(arena, capacity * out->width);
    out->valid = pq_arena_alloc(arena, capacity);
    if (out->values == NULL || out->valid == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a column of %zu rows", capacity);
    }
    return PQDB_OK;
}

struct pq_column emit_finish(struct emit *out) {
    if (out->width == 0) return pq_builder_finish(&out->builder);
    pq_assert(out->count <= out->capacity);
    return (struct pq_column){
        .type = out->type,
        .layout = PQ_FIXED,
        .count = out->count,
        .valid = out->nulls ? out->valid : NULL,
        .values = out->values,
    };
}

pqdb_code emit_null(struct emit *out, pqdb_error *err) {
    if (out->width == 0) return pq_builder_append_null(&out->builder, err);
    emit_fixed_null(out);
    return PQDB_OK;
}

pqdb_code emit_value(struct emit *out, const struct pq_value *value, pqdb_error *err) {
    if (out->width == 0) return pq_builder_append_value(&out->builder, value, err);
    switch (value->kind) {
        case PQ_BOOL: {
            const uint8_t truth = value->as.boolean;
            emit_fixed(out, &truth, 1);
            break;
        }
        case PQ_DATE: {
            const int32_t days = (int32_t)value->as.integer;
            emit_fixed(out, &days, 4);
            break;
        }
        case PQ_INT64:
        case PQ_TIME:
        case PQ_TIMESTAMP: emit_int64(out, value->as.integer); break;
        case PQ_FLOAT32: {
            const float real = (float)value->as.real;
            emit_fixed(out, &real, 4);
            break;
        }
        case PQ_FLOAT64: emit_real(out, value->as.real); break;
        case PQ_DECIMAL: emit_fixed(out, &value->as.decimal, 16); break;
        default: emit_fixed_null(out); break;
    }
    return PQDB_OK;
}

void emit_deinit(struct emit *out) {
    if (out->encoder != NULL) pq_variant_encoder_destroy(out->encoder);
    out->encoder = NULL;
}

size_t names_count(const struct pq_type *type) {
    size_t count = type->kind == PQ_VARIANT;
    for (uint32_t k = 0; k < type->field_count; k++) count += names_count(&type->fields[k].type);
    return count;
}

static void take_names(const struct pq_column *column, const struct pq_variant_names ***names) {
    if (column->type->kind == PQ_VARIANT) {
        if (column->names != NULL) **names = column->names;
        ++*names;
    }
    for (uint32_t k = 0; k < column->type->field_count; k++) {
        take_names(&column->children[k], names);
    }
}

void names_take(const struct pq_column *column, const struct pq_variant_names **names) {
    take_names(column, &names);
}

static void use_names(struct pq_builder *builder, const struct pq_variant_names *const **names) {
    if (builder->type->kind == PQ_VARIANT) builder->names = *(*names)++;
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        use_names(&builder->children[k], names);
    }
}

void emit_use_names(struct emit *out, const struct pq_variant_names *const *names) {
    if (out->width == 0) use_names(&out->builder, &names);
}

pqdb_code emit_encoder(struct emit *out, const struct pq_variant_names *names,
                       struct pq_variant_encoder **encoder, pqdb_error *err) {
    if (out->encoder == NULL || out->encoder_names != names) {
        emit_deinit(out);
        // Adding names takes the list's own lock; a reader's view of it is const all the same.
        struct pq_variant_names *list = (struct pq_variant_names *)(uintptr_t)names;
        PQ_TRY(pq_variant_encoder_create(list, &out->arena->alloc, &out->encoder, err));
        out->encoder_names = names;
    }
    *encoder = out->encoder;
    return PQDB_OK;
}
