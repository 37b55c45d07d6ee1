#include "parquet/column_values.h"

#include "base/check.h"
#include "base/fail.h"
#include "parquet/variant_column.h"
#include "variant/variant.h"

#define VALUE_BYTES_MAX ((size_t)1 << 30)

void pq_value_scratch_init(struct pq_value_scratch *scratch, const struct pq_alloc *alloc) {
    pq_bytes_init(&scratch->bytes, alloc);
    pq_bytes_init(&scratch->texts, alloc);
    pq_bytes_init(&scratch->offsets, alloc);
}

void pq_value_scratch_deinit(struct pq_value_scratch *scratch) {
    pq_bytes_deinit(&scratch->bytes);
    pq_bytes_deinit(&scratch->texts);
    pq_bytes_deinit(&scratch->offsets);
}

static size_t row_of(const struct pq_levels *levels, size_t i) {
    return levels->is_dense ? levels->first_row + i : levels->rows[i];
}

static pqdb_code room_for(struct pq_bytes *bytes, size_t count, size_t width, void **room,
                          pqdb_error *err) {
    bytes->length = 0;
    PQ_TRY(pq_bytes_reserve(bytes, count * width + 1, err));
    *room = bytes->data;
    return PQDB_OK;
}

/// Values of a FIXED column, whose stored form is the same.
static pqdb_code gather_fixed(const struct pq_levels *levels, size_t width,
                              struct pq_value_scratch *scratch, struct pq_value_block *block,
                              pqdb_error *err) {
    const uint8_t *values = levels->column->values;
    block->width = width;
    if (levels->is_dense) {
        block->fixed = values + levels->first_row * width;
        return PQDB_OK;
    }
    void *room;
    PQ_TRY(room_for(&scratch->bytes, block->count, width, &room, err));
    for (size_t i = 0; i < block->count; i++) {
        const size_t row = levels->rows[i];
        if (width == 8) {
            pq_store_u64((uint8_t *)room + i * 8, pq_load_u64(values + row * 8));
        } else {
            memcpy((uint8_t *)room + i * width, values + row * width, width);
        }
    }
    block->fixed = room;
    return PQDB_OK;
}

static pq_i128 power_of_ten(unsigned exponent) {
    pq_i128 power = 1;
    while (exponent-- > 0) power *= 10;
    return power;
}

static pqdb_code gather_decimals(const struct pq_leaf *leaf, const struct pq_levels *levels,
                                 struct pq_value_scratch *scratch, struct pq_value_block *block,
                                 pqdb_error *err) {
    const unsigned precision = levels->column->type->precision;
    const pq_i128 limit = power_of_ten(precision);
    const size_t width = pq_physical_width(leaf->physical, leaf->type_length);
    void *room;
    PQ_TRY(room_for(&scratch->bytes, block->count, width, &room, err));
    const uint8_t *values = levels->column->values;
    uint8_t *at = room;
    for (size_t i = 0; i < block->count; i++, at += width) {
        pq_i128 value;
        memcpy(&value, values + row_of(levels, i) * sizeof value, sizeof value);
        if (value >= limit || value <= -limit) {
            return pq_fail(err, PQDB_INVALID, "a decimal has more than %u digits", precision);
        }
        if (leaf->physical != PQ_PHYSICAL_FIXED) {
            memcpy(at, &value, width);  // little-endian: the low bytes come first
            continue;
        }
        for (size_t k = width; k-- > 0; value >>= 8) at[k] = (uint8_t)value;
    }
    block->fixed = room;
    block->width = width;
    return PQDB_OK;
}

static pqdb_code check_length(size_t length, pqdb_error *err) {
    if (length <= VALUE_BYTES_MAX) return PQDB_OK;
    return pq_fail(err, PQDB_LIMIT, "a value of %zu bytes, at most %zu", length, VALUE_BYTES_MAX);
}

static pqdb_code gather_texts(const struct pq_levels *levels, struct pq_value_scratch *scratch,
                              struct pq_value_block *block, pqdb_error *err) {
    void *room;
    PQ_TRY(room_for(&scratch->texts, block->count, sizeof(struct pq_text), &room, err));
    struct pq_text *texts = room;
    const struct pq_column *column = levels->column;
    for (size_t i = 0; i < block->count; i++) {
        const size_t row = row_of(levels, i);
        if (column->layout == PQ_DICTIONARY) {
            texts[i] = pq_column_text(column, row);
        } else {
            const uint32_t begin = column->offsets[row];
            texts[i].data = (const char *)column->data + begin;
            texts[i].length = column->offsets[row + 1] - begin;
        }
        if (texts[i].length > VALUE_BYTES_MAX) return check_length(texts[i].length, err);
    }
    block->texts = texts;
    return PQDB_OK;
}

static uint8_t mark_of(const struct pq_column *column, size_t row) {
    return column->valid == NULL ? PQ_ROW_VALID : column->valid[row];
}

static struct pq_text bytes_of(const struct pq_column *column, size_t row) {
    const uint32_t begin = column->offsets[row];
    return (struct pq_text){(const char *)column->data + begin, column->offsets[row + 1] - begin};
}

static pqdb_code gather_json(const struct pq_levels *levels, struct pq_value_scratch *scratch,
                             struct pq_value_block *block, pqdb_error *err) {
    void *room;
    PQ_TRY(room_for(&scratch->offsets, block->count + 1, sizeof(size_t), &room, err));
    size_t *offsets = room;
    PQ_TRY(room_for(&scratch->texts, block->count, sizeof(struct pq_text), &room, err));
    struct pq_text *texts = room;
    const struct pq_column *column = levels->column;
    scratch->bytes.length = 0;
    for (size_t i = 0; i < block->count; i++) {
        const size_t row = row_of(levels, i);
        offsets[i] = scratch->bytes.length;
        const struct pq_text bytes = bytes_of(column, row);
        struct pq_variant variant = {
            .bytes = (const uint8_t *)bytes.data, .length = bytes.length, .names = column->names};
        if (mark_of(column, row) == PQ_ROW_OWN_NAMES) variant = pq_variant_of_own(bytes);
        PQ_TRY(pq_variant_write_json(&variant, &scratch->bytes, err));
        PQ_TRY(check_length(scratch->bytes.length - offsets[i], err));
    }
    offsets[block->count] = scratch->bytes.length;
    for (size_t i = 0; i < block->count; i++) {
        texts[i].data = (const char *)scratch->bytes.data + offsets[i];
        texts[i].length = offsets[i + 1] - offsets[i];
    }
    block->texts = texts;
    return PQDB_OK;
}

pqdb_code pq_values_gather(const struct pq_leaf *leaf, const struct pq_levels *levels,
                           struct pq_value_scratch *scratch, struct pq_value_block *block,
                           pqdb_error *err) {
    *block = (struct pq_value_block){.count = levels->value_count};
    if (block->count == 0) return PQDB_OK;
    if (leaf->conversion == PQ_CONVERT_DECIMAL) {
        return gather_decimals(leaf, levels, scratch, block, err);
    }
    if (leaf->conversion == PQ_CONVERT_JSON) return gather_json(levels, scratch, block, err);
    if (leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        return gather_texts(levels, scratch, block, err);
    }
    return gather_fixed(levels, pq_kind_width(leaf->kind), scratch, block, err);
}

pqdb_code pq_values_gather_variant(const struct pq_levels *levels, bool is_metadata,
                                   struct pq_text shared, struct pq_value_scratch *scratch,
                                   struct pq_value_block *block, pqdb_error *err) {
    *block = (struct pq_value_block){.count = levels->value_count};
    void *room;
    PQ_TRY(room_for(&scratch->texts, block->count, sizeof(struct pq_text), &room, err));
    struct pq_text *texts = room;
    const struct pq_column *column = levels->column;
    for (size_t i = 0; i < block->count; i++) {
        const size_t row = row_of(levels, i);
        struct pq_text metadata = shared, value = bytes_of(column, row);
        if (mark_of(column, row) == PQ_ROW_OWN_NAMES) {
            const size_t length = pq_variant_metadata_bytes(value);
            pq_assert(length > 0 && length <= value.length);
            metadata = (struct pq_text){value.data, length};
            value = (struct pq_text){value.data + length, value.length - length};
        }
        texts[i] = is_metadata ? metadata : value;
    }
    block->texts = texts;
    return PQDB_OK;
}
