/// table/shred_write.c: the columns of shredded paths, made from variants.
#include <math.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "table/shred.h"
#include "variant/variant.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "columns of shredded paths");
}

static struct pq_value value_at(const struct pq_column *column, size_t row) {
    if (pq_column_is_null(column, row)) return (struct pq_value){.kind = PQ_NULL};
    const struct pq_value value = pq_column_value(column, row);
    return pq_variant_unwrap(&value.as.variant);
}

/// May the value stand in a column of its kind, to be read back as what its JSON text is? A whole
/// double may become an int there.
static bool is_plain(const struct pq_value *value) {
    switch (value->kind) {
    case PQ_TEXT:
    case PQ_INT64:
    case PQ_BOOL: return true;
    case PQ_FLOAT64: return isfinite(value->as.real) && value->as.real != floor(value->as.real);
    default: return false;
    }
}

static enum pq_kind most_common(const struct pq_column *column) {
    static const enum pq_kind kinds[] = {PQ_TEXT, PQ_INT64, PQ_FLOAT64, PQ_BOOL};
    size_t counts[4] = {0};
    size_t best = 0;
    for (size_t row = 0; row < column->count; row++) {
        const struct pq_value value = value_at(column, row);
        for (size_t k = 0; k < 4 && is_plain(&value); k++) counts[k] += value.kind == kinds[k];
    }
    for (size_t k = 1; k < 4; k++) {
        if (counts[k] > counts[best]) best = k;
    }
    return kinds[best];
}

// ---- the file's type ----------------------------------------------------------------------------

/// Fields of the file's type in the making.
struct fields {
    const struct pq_shreds *shreds;
    struct pq_field *at;
    uint32_t count;
    struct pq_arena *arena;
};

static pqdb_code add_field(struct fields *fields, const struct pq_shred *shred, const char *what,
                           struct pq_type type, pqdb_error *err) {
    const struct pq_shreds *shreds = fields->shreds;
    struct pq_arena *arena = fields->arena;
    struct pq_field *field = &fields->at[fields->count];
    struct pq_bytes name;
    pq_bytes_init(&name, &arena->alloc);
    PQ_TRY(pq_bytes_append_text(&name, shreds->type->fields[shred->inner.column].name, err));
    for (size_t i = 0; i < shred->inner.step_count; i++) {
        PQ_TRY(pq_bytes_append_byte(&name, '.', err));
        PQ_TRY(pq_bytes_append_text(&name, shred->inner.steps[i].name, err));
    }
    PQ_TRY(pq_bytes_printf(&name, err, ":%s", what));
    *field = (struct pq_field){
        .name = pq_arena_copy(arena, pq_bytes_text(&name)), .type = type,
        .id = PQ_SHRED_FIELD_ID + (int32_t)(fields->count - shreds->first)};
    fields->count++;
    return field->name.data == NULL ? no_memory(err) : PQDB_OK;
}

static pqdb_code add_fields(const struct pq_shred_layout *layout, struct fields *fields,
                            pqdb_error *err) {
    for (size_t i = 0; i < layout->shreds->count; i++) {
        const struct pq_shred *shred = &layout->shreds->items[i];
        if (shred->type.kind != PQ_VARIANT) {
            PQ_TRY(add_field(fields, shred, "typed", shred->type, err));
            continue;
        }
        const struct pq_type kind = {.kind = layout->kinds[i]};
        PQ_TRY(add_field(fields, shred, "any", kind, err));
        PQ_TRY(add_field(fields, shred, "rest", pq_type_variant, err));
    }
    return PQDB_OK;
}

pqdb_code pq_shred_plan(const struct pq_shreds *shreds, const struct pq_batch *first,
                        struct pq_arena *arena, struct pq_shred_layout *layout, pqdb_error *err) {
    *layout = (struct pq_shred_layout){.shreds = shreds};
    for (size_t i = 0; i < shreds->count; i++) {
        struct pq_column column;
        if (shreds->items[i].type.kind != PQ_VARIANT) continue;
        PQ_TRY(pq_program_run(shreds->items[i].program, first, arena, &column, err));
        layout->kinds[i] = most_common(&column);
    }
    struct pq_type *type = pq_arena_alloc(arena, sizeof *type);
    struct fields fields = {.shreds = shreds, .count = shreds->first, .arena = arena};
    fields.at = pq_arena_calloc(arena, shreds->first + 2 * shreds->count, sizeof *fields.at);
    if (type == NULL || fields.at == NULL) return no_memory(err);
    memcpy(fields.at, shreds->type->fields, shreds->first * sizeof *fields.at);
    PQ_TRY(add_fields(layout, &fields, err));
    *type = (struct pq_type){.kind = PQ_OBJECT, .fields = fields.at, .field_count = fields.count};
    layout->type = type;
    return PQDB_OK;
}

// ---- rows ---------------------------------------------------------------------------------------

/// Values of the kind go to `any`, the others to `rest`.
static pqdb_code split(const struct pq_column *column, const struct pq_field *fields,
                       struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    const struct pq_type *kind = &fields[0].type;
    struct pq_builder any, rest;
    PQ_TRY(pq_builder_init(&any, kind, &arena->alloc, err));
    PQ_TRY(pq_builder_init(&rest, &fields[1].type, &arena->alloc, err));
    rest.names = column->names;
    for (size_t row = 0; row < column->count; row++) {
        const struct pq_value value = value_at(column, row);
        const bool is_any = value.kind == kind->kind && is_plain(&value);
        if (is_any) {
            PQ_TRY(pq_builder_append_value(&any, &value, err));
        } else {
            PQ_TRY(pq_builder_append_null(&any, err));
        }
        if (is_any || value.kind == PQ_NULL) {
            PQ_TRY(pq_builder_append_null(&rest, err));
        } else {
            PQ_TRY(pq_builder_append_rows(&rest, column, row, 1, err));
        }
    }
    out[0] = pq_builder_finish(&any);
    out[1] = pq_builder_finish(&rest);
    return PQDB_OK;
}

/// The JSON text of a double that is -0 reads as the integer 0.
static bool is_zero_as_text(const struct pq_shred *shred, const struct pq_batch *rows, size_t row,
                            uint32_t *ids) {
    const struct pq_inner_path *path = &shred->inner;
    const struct pq_value outer = pq_column_value(&rows->columns[path->column], row);
    struct pq_variant found;
    if (outer.kind != PQ_VARIANT) return false;
    const struct pq_variant *variant = &outer.as.variant;
    if (variant->metadata == NULL && variant->names != NULL) {
        pq_variant_path_resolve(variant->names, path->steps, path->step_count, ids);
    }
    if (!pq_variant_find(variant, path->steps, ids, path->step_count, &found)) return false;
    const struct pq_value value = pq_variant_unwrap(&found);
    return (value.kind == PQ_FLOAT64 || value.kind == PQ_FLOAT32) && value.as.real == 0;
}

static bool is_minus_zero(const struct pq_column *column, size_t row) {
    if (pq_column_is_null(column, row)) return false;
    const struct pq_value value = pq_column_value(column, row);
    return value.as.real == 0 && signbit(value.as.real);
}

/// A column of reals as it would be read from the JSON text.
static pqdb_code as_text_reads(const struct pq_shred *shred, const struct pq_batch *rows,
                               struct pq_arena *arena, struct pq_column *column, pqdb_error *err) {
    const size_t width = pq_kind_width(shred->type.kind);
    uint32_t *ids = NULL;
    uint8_t *values = NULL;
    for (size_t row = 0; row < column->count; row++) {
        if (!is_minus_zero(column, row)) continue;
        if (ids == NULL) ids = pq_arena_alloc(arena, shred->inner.step_count * sizeof *ids);
        if (ids == NULL) return no_memory(err);
        if (!is_zero_as_text(shred, rows, row, ids)) continue;
        if (values == NULL) {
            values = pq_arena_alloc(arena, column->count * width);
            if (values == NULL) return no_memory(err);
            memcpy(values, column->values, column->count * width);
            column->values = values;
        }
        memset(values + row * width, 0, width);
    }
    return PQDB_OK;
}

pqdb_code pq_shred_rows(const struct pq_shred_layout *layout, const struct pq_batch *rows,
                        struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    const struct pq_shreds *shreds = layout->shreds;
    const uint32_t width = layout->type->field_count;
    struct pq_column *columns = pq_arena_alloc(arena, width * sizeof *columns);
    if (columns == NULL) return no_memory(err);
    memcpy(columns, rows->columns, shreds->first * sizeof *columns);
    uint32_t at = shreds->first;
    for (size_t i = 0; i < shreds->count; i++) {
        const struct pq_shred *shred = &shreds->items[i];
        struct pq_column column;
        PQ_TRY(pq_program_run(shred->program, rows, arena, &column, err));
        if (shred->type.kind != PQ_VARIANT) {
            if (shred->type.kind == PQ_FLOAT64 || shred->type.kind == PQ_FLOAT32) {
                PQ_TRY(as_text_reads(shred, rows, arena, &column, err));
            }
            columns[at++] = column;
            continue;
        }
        PQ_TRY(split(&column, &layout->type->fields[at], arena, &columns[at], err));
        at += 2;
    }
    *out = (struct pq_batch){.type = layout->type, .count = rows->count, .columns = columns};
    return PQDB_OK;
}
