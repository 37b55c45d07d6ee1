#include "batch/column.h"

#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/fail.h"
#include "batch/dictionary.h"
#include "variant/variant.h"

static pqdb_code no_memory(size_t rows, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "column of %zu rows", rows);
}

struct pq_text pq_column_text(const struct pq_column *column, size_t row) {
    if (column->layout == PQ_DICTIONARY) {
        return pq_dictionary_text(column->dictionary, ((const uint32_t *)column->values)[row]);
    }
    const uint32_t start = column->offsets[row];
    return (struct pq_text){(const char *)column->data + start, column->offsets[row + 1] - start};
}

static struct pq_value fixed_value(const struct pq_column *column, size_t row) {
    const enum pq_kind kind = column->type->kind;
    const uint8_t *at = (const uint8_t *)column->values + row * pq_kind_width(kind);
    struct pq_value value = {.kind = kind};
    if (kind == PQ_BOOL) {
        value.as.boolean = *at != 0;
    } else if (kind == PQ_FLOAT32) {
        float real;
        memcpy(&real, at, sizeof real);
        value.as.real = (double)real;
    } else if (kind == PQ_FLOAT64) {
        memcpy(&value.as.real, at, sizeof value.as.real);
    } else if (kind == PQ_DECIMAL) {
        value.scale = column->type->scale;
        memcpy(&value.as.decimal, at, sizeof value.as.decimal);
    } else if (kind == PQ_DATE) {
        value.as.integer = (int32_t)pq_load_u32(at);
    } else {
        value.as.integer = (int64_t)pq_load_u64(at);
    }
    return value;
}

struct pq_value pq_column_value(const struct pq_column *column, size_t row) {
    if (pq_column_is_null(column, row) || column->type->kind == PQ_NULL) {
        return (struct pq_value){.kind = PQ_NULL};
    }
    struct pq_value value = {.kind = column->type->kind};
    switch (column->layout) {
        case PQ_FIXED:
            return fixed_value(column, row);
        case PQ_BYTES:
        case PQ_DICTIONARY: {
            const struct pq_text text = pq_column_text(column, row);
            if (value.kind == PQ_VARIANT) {
                const bool own = column->valid != NULL && column->valid[row] == PQ_ROW_OWN_NAMES;
                value.as.variant = own ? pq_variant_of_own(text)
                                       : (struct pq_variant){.bytes = (const uint8_t *)text.data,
                                                             .length = text.length,
                                                             .names = column->names};
            } else {
                value.as.text = text;
            }
            return value;
        }
        case PQ_ROWS:
        case PQ_MEMBERS:
            value.as.nested.column = column;
            value.as.nested.row = row;
            return value;
    }
    return value;
}

pqdb_code pq_column_slice(const struct pq_column *column, size_t start, size_t count,
                          struct pq_arena *arena, struct pq_column *slice, pqdb_error *err) {
    pq_assert(start <= column->count && count <= column->count - start);
    *slice = *column;
    slice->count = count;
    if (column->valid != NULL) slice->valid = column->valid + start;
    if (column->offsets != NULL) slice->offsets = column->offsets + start;
    if (column->values != NULL) {
        const size_t width = column->layout == PQ_DICTIONARY ? sizeof(uint32_t)
                                                             : pq_kind_width(column->type->kind);
        slice->values = (const uint8_t *)column->values + start * width;
    }
    if (column->layout != PQ_MEMBERS) return PQDB_OK;
    const size_t child_count = column->type->field_count;
    struct pq_column *children = pq_arena_alloc(arena, child_count * sizeof *children);
    if (children == NULL) return no_memory(count, err);
    for (size_t k = 0; k < child_count; k++) {
        PQ_TRY(pq_column_slice(&column->children[k], start, count, arena, &children[k], err));
    }
    slice->children = children;
    return PQDB_OK;
}

pqdb_code pq_batch_slice(const struct pq_batch *batch, size_t start, size_t count,
                         struct pq_arena *arena, struct pq_batch *slice, pqdb_error *err) {
    pq_assert(start <= batch->count && count <= batch->count - start);
    const size_t column_count = batch->type->field_count;
    struct pq_column *columns = pq_arena_alloc(arena, column_count * sizeof *columns);
    if (columns == NULL) return no_memory(count, err);
    for (size_t k = 0; k < column_count; k++) {
        PQ_TRY(pq_column_slice(&batch->columns[k], start, count, arena, &columns[k], err));
    }
    *slice = (struct pq_batch){.type = batch->type,
                               .count = count,
                               .columns = columns,
                               .weights = batch->weights ? batch->weights + start : NULL};
    return PQDB_OK;
}

// ---- gather -----------------------------------------------------------------------------------

static bool names_a_null(const uint32_t *rows, size_t count) {
    uint32_t highest = 0;
    for (size_t i = 0; i < count; i++) highest = rows[i] > highest ? rows[i] : highest;
    return count > 0 && highest == UINT32_MAX;
}

/// What is to be gathered, once for the column and once more for each child.
struct selection {
    const uint32_t *rows;
    size_t count;
    bool with_nulls;  // some row is UINT32_MAX
};

/// One loop per width, so that each is a load and a store; a row UINT32_MAX becomes zero.
#define GATHER_WORDS(word)                                                             \
    do {                                                                               \
        const word *source_ = from;                                                    \
        word *target_ = to;                                                            \
        const uint32_t *rows_ = selection->rows;                                       \
        if (selection->with_nulls) {                                                   \
            for (size_t i_ = 0; i_ < selection->count; i_++) {                         \
                target_[i_] = rows_[i_] == UINT32_MAX ? (word)0 : source_[rows_[i_]];  \
            }                                                                          \
        } else {                                                                       \
            for (size_t i_ = 0; i_ < selection->count; i_++) {                         \
                target_[i_] = source_[rows_[i_]];                                      \
            }                                                                          \
        }                                                                              \
    } while (0)

static void gather_fixed(const void *from, size_t width, const struct selection *selection,
                         void *to) {
    if (width == 1) GATHER_WORDS(uint8_t);
    if (width == 4) GATHER_WORDS(uint32_t);
    if (width == 8) GATHER_WORDS(uint64_t);
    if (width == 16) GATHER_WORDS(pq_u128);
}

static pqdb_code gather_column(const struct pq_column *column, const struct selection *selection,
                               struct pq_arena *arena, struct pq_column *out, pqdb_error *err);

/// New offsets of BYTES and ROWS; how many bytes or elements they cover in `*total`.
static pqdb_code gather_offsets(const struct pq_column *column, const struct selection *selection,
                                uint32_t *offsets, size_t *total, pqdb_error *err) {
    uint64_t sum = 0;
    for (size_t i = 0; i < selection->count; i++) {
        const uint32_t row = selection->rows[i];
        offsets[i] = (uint32_t)sum;
        if (row != UINT32_MAX) sum += column->offsets[row + 1] - column->offsets[row];
    }
    offsets[selection->count] = (uint32_t)sum;
    *total = (size_t)sum;
    if (sum <= UINT32_MAX) return PQDB_OK;
    return pq_fail(err, PQDB_LIMIT, "the gathered rows have more than 4 GiB in one column");
}

static void copy_ranges(const struct pq_column *column, const struct selection *selection,
                        const uint32_t *offsets, uint8_t *data) {
    for (size_t i = 0; i < selection->count; i++) {
        const size_t length = offsets[i + 1] - offsets[i];
        if (length == 0) continue;
        memcpy(data + offsets[i], column->data + column->offsets[selection->rows[i]], length);
    }
}

static pqdb_code gather_ranges(const struct pq_column *column, const struct selection *selection,
                               struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    uint32_t *offsets = pq_arena_alloc(arena, (selection->count + 1) * sizeof *offsets);
    if (offsets == NULL) return no_memory(selection->count, err);
    size_t total;
    PQ_TRY(gather_offsets(column, selection, offsets, &total, err));
    out->offsets = offsets;
    if (column->layout == PQ_BYTES) {
        uint8_t *data = pq_arena_alloc(arena, total);
        if (data == NULL) return no_memory(selection->count, err);
        copy_ranges(column, selection, offsets, data);
        out->data = data;
        return PQDB_OK;
    }
    uint32_t *elements = pq_arena_alloc(arena, total * sizeof *elements);
    struct pq_column *child = pq_arena_alloc(arena, sizeof *child);
    if (elements == NULL || child == NULL) return no_memory(selection->count, err);
    for (size_t i = 0, n = 0; i < selection->count; i++) {
        if (offsets[i + 1] == offsets[i]) continue;
        uint32_t element = column->offsets[selection->rows[i]];
        while (n < offsets[i + 1]) elements[n++] = element++;
    }
    const struct selection below = {.rows = elements, .count = total};
    out->children = child;
    return gather_column(&column->children[0], &below, arena, child, err);
}

static pqdb_code gather_members(const struct pq_column *column, const struct selection *selection,
                                struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    const size_t child_count = column->type->field_count;
    struct pq_column *children = pq_arena_alloc(arena, child_count * sizeof *children);
    if (children == NULL) return no_memory(selection->count, err);
    for (size_t k = 0; k < child_count; k++) {
        PQ_TRY(gather_column(&column->children[k], selection, arena, &children[k], err));
    }
    out->children = children;
    return PQDB_OK;
}

static pqdb_code gather_valid(const struct pq_column *column, const struct selection *selection,
                              struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    if (column->valid == NULL && !selection->with_nulls) return PQDB_OK;
    uint8_t *valid = pq_arena_alloc(arena, selection->count);
    if (valid == NULL) return no_memory(selection->count, err);
    if (column->valid != NULL) {
        gather_fixed(column->valid, 1, selection, valid);
    } else {
        for (size_t i = 0; i < selection->count; i++) {
            valid[i] = selection->rows[i] == UINT32_MAX ? PQ_ROW_NULL : PQ_ROW_VALID;
        }
    }
    out->valid = valid;
    return PQDB_OK;
}

static pqdb_code gather_column(const struct pq_column *column, const struct selection *selection,
                               struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    *out = (struct pq_column){.type = column->type,
                              .layout = column->layout,
                              .count = selection->count,
                              .dictionary = column->dictionary,
                              .names = column->names};
    PQ_TRY(gather_valid(column, selection, arena, out, err));
    if (column->layout == PQ_MEMBERS) return gather_members(column, selection, arena, out, err);
    if (column->layout == PQ_BYTES || column->layout == PQ_ROWS) {
        return gather_ranges(column, selection, arena, out, err);
    }
    const size_t width = column->layout == PQ_DICTIONARY ? sizeof(uint32_t)
                                                         : pq_kind_width(column->type->kind);
    void *values = pq_arena_alloc(arena, selection->count * width);
    if (values == NULL) return no_memory(selection->count, err);
    gather_fixed(column->values, width, selection, values);
    out->values = values;
    return PQDB_OK;
}

pqdb_code pq_column_gather(const struct pq_column *column, const uint32_t *rows, size_t count,
                           struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    const struct selection selection = {
        .rows = rows, .count = count, .with_nulls = names_a_null(rows, count)};
    return gather_column(column, &selection, arena, out, err);
}

pqdb_code pq_batch_gather(const struct pq_batch *batch, const uint32_t *rows, size_t count,
                          struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    const struct selection selection = {
        .rows = rows, .count = count, .with_nulls = names_a_null(rows, count)};
    const size_t column_count = batch->type->field_count;
    struct pq_column *columns = pq_arena_alloc(arena, column_count * sizeof *columns);
    if (columns == NULL) return no_memory(count, err);
    for (size_t k = 0; k < column_count; k++) {
        columns[k] = (struct pq_column){.type = batch->columns[k].type};
        if (batch->columns[k].count != batch->count) continue;  // nobody reads it
        PQ_TRY(gather_column(&batch->columns[k], &selection, arena, &columns[k], err));
    }
    int64_t *weights = NULL;
    if (batch->weights != NULL) {
        weights = pq_arena_alloc(arena, count * sizeof *weights);
        if (weights == NULL) return no_memory(count, err);
        for (size_t i = 0; i < count; i++) {
            weights[i] = rows[i] == UINT32_MAX ? 1 : batch->weights[rows[i]];
        }
    }
    *out = (struct pq_batch){
        .type = batch->type, .count = count, .columns = columns, .weights = weights};
    return PQDB_OK;
}

// ---- size -------------------------------------------------------------------------------------

static size_t range_bytes(const struct pq_column *column, size_t start, size_t count) {
    size_t bytes = column->valid == NULL ? 0 : count;
    switch (column->layout) {
        case PQ_FIXED:
            return bytes + count * pq_kind_width(column->type->kind);
        case PQ_DICTIONARY:
            return bytes + count * sizeof(uint32_t);
        case PQ_BYTES:
            return bytes + count * sizeof(uint32_t) + column->offsets[start + count] -
                   column->offsets[start];
        case PQ_ROWS: {
            const uint32_t first = column->offsets[start];
            return bytes + count * sizeof(uint32_t) +
                   range_bytes(&column->children[0], first, column->offsets[start + count] - first);
        }
        case PQ_MEMBERS:
            for (size_t k = 0; k < column->type->field_count; k++) {
                bytes += range_bytes(&column->children[k], start, count);
            }
            return bytes;
    }
    return bytes;
}

size_t pq_batch_bytes(const struct pq_batch *batch) {
    size_t bytes = batch->weights == NULL ? 0 : batch->count * sizeof *batch->weights;
    for (size_t k = 0; k < batch->type->field_count; k++) {
        bytes += range_bytes(&batch->columns[k], 0, batch->count);
    }
    return bytes;
}

// ---- nothing ------------------------------------------------------------------------------------

enum { zero_rows = 16384, zero_width = 16 };

/// What columns of nulls are made of, mostly: so one costs nothing, however many rows it has.
static _Alignas(16) uint8_t zeros[(zero_rows + 1) * zero_width];  // never written

static const void *zero_items(struct pq_arena *arena, size_t count, size_t width) {
    if (count <= zero_rows && width <= zero_width) return zeros;
    return pq_arena_calloc(arena, count + 1, width);
}

pqdb_code pq_column_of_nulls(const struct pq_type *type, size_t count, struct pq_arena *arena,
                             struct pq_column *out, pqdb_error *err) {
    const uint8_t *valid = zero_items(arena, count, 1);
    const size_t width = pq_kind_width(type->kind);
    const void *values = width == 0 ? NULL : zero_items(arena, count, width);
    const uint32_t *offsets = width != 0 ? NULL : zero_items(arena, count, sizeof *offsets);
    if (valid == NULL || (values == NULL && offsets == NULL)) {
        return pq_fail(err, PQDB_NO_MEMORY, "a column of nulls");
    }
    *out = (struct pq_column){.type = type, .count = count, .valid = valid, .values = values,
                              .offsets = offsets};
    static const uint8_t no_bytes[1];
    if (width != 0) {
        out->layout = PQ_FIXED;
    } else if (type->kind == PQ_LIST || type->kind == PQ_OBJECT) {
        struct pq_column *children = pq_arena_calloc(arena, type->field_count, sizeof *children);
        if (children == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a column of nulls");
        for (uint32_t k = 0; k < type->field_count; k++) {
            const size_t rows = type->kind == PQ_LIST ? 0 : count;
            PQ_TRY(pq_column_of_nulls(&type->fields[k].type, rows, arena, &children[k], err));
        }
        out->layout = type->kind == PQ_LIST ? PQ_ROWS : PQ_MEMBERS;
        out->children = children;
    } else {
        out->layout = PQ_BYTES;
        out->data = no_bytes;
    }
    return PQDB_OK;
}
