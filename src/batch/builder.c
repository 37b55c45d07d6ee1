#include "batch/builder.h"

#include <string.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/fail.h"
#include "batch/dictionary.h"
#include "variant/variant.h"

enum { rows_min = 32, data_bytes_min = 256 };

static const uint32_t no_offsets[1] = {0};

static pqdb_code no_memory(size_t rows, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "column of %zu rows", rows);
}

static enum pq_layout layout_of(enum pq_kind kind) {
    switch (kind) {
        case PQ_TEXT:
        case PQ_BINARY:
        case PQ_VARIANT:
            return PQ_BYTES;
        case PQ_LIST:
            return PQ_ROWS;
        case PQ_OBJECT:
            return PQ_MEMBERS;
        default:
            return PQ_FIXED;
    }
}

static size_t value_width(const struct pq_builder *builder) {
    if (builder->layout == PQ_DICTIONARY) return sizeof(uint32_t);
    return builder->layout == PQ_FIXED ? pq_kind_width(builder->type->kind) : 0;
}

static bool has_offsets(const struct pq_builder *builder) {
    return builder->layout == PQ_BYTES || builder->layout == PQ_ROWS;
}

static pqdb_code init_children(struct pq_builder *builder, pqdb_error *err) {
    const size_t count = builder->type->field_count;
    builder->children = pq_resize(builder->alloc, NULL, 0, count, sizeof *builder->children);
    if (builder->children == NULL) return no_memory(0, err);
    for (size_t k = 0; k < count; k++) {
        builder->children[k] = (struct pq_builder){.alloc = builder->alloc};
    }
    builder->finished = pq_resize(builder->alloc, NULL, 0, count, sizeof *builder->finished);
    if (builder->finished == NULL) return no_memory(0, err);
    for (size_t k = 0; k < count; k++) {
        PQ_TRY(pq_builder_init(&builder->children[k], &builder->type->fields[k].type,
                               builder->alloc, err));
    }
    return PQDB_OK;
}

pqdb_code pq_builder_init(struct pq_builder *builder, const struct pq_type *type,
                          const struct pq_alloc *alloc, pqdb_error *err) {
    *builder = (struct pq_builder){.type = type, .layout = layout_of(type->kind), .alloc = alloc};
    if (type->field_count == 0) return PQDB_OK;
    const pqdb_code code = init_children(builder, err);
    if (code != PQDB_OK) pq_builder_deinit(builder);
    return code;
}

/// Bytes of the block `rows`: values or offsets first, then the marks.
static size_t block_bytes(const struct pq_builder *builder, size_t capacity) {
    if (capacity == 0) return 0;
    const size_t offsets = has_offsets(builder) ? (capacity + 1) * sizeof(uint32_t) : 0;
    return capacity * value_width(builder) + offsets + capacity;
}

/// Take `block`, made for the builder's layout, in place of `rows`. Its content is the caller's.
static void use_block(struct pq_builder *builder, uint8_t *block, size_t capacity) {
    builder->rows = block;
    builder->capacity = capacity;
    builder->valid = block + block_bytes(builder, capacity) - capacity;
    builder->offsets = has_offsets(builder) ? (uint32_t *)(void *)block : NULL;
    builder->values = has_offsets(builder) || value_width(builder) == 0 ? NULL : block;
}

static void free_rows(struct pq_builder *builder) {
    pq_free(builder->alloc, builder->rows, block_bytes(builder, builder->capacity), 1);
    pq_free(builder->alloc, builder->data, builder->data_capacity, 1);
    builder->rows = builder->data = builder->valid = NULL;
    builder->values = NULL;
    builder->offsets = NULL;
    builder->capacity = builder->data_capacity = 0;
}

void pq_builder_deinit(struct pq_builder *builder) {
    if (builder->type == NULL) return;
    free_rows(builder);
    if (builder->children != NULL) {
        const size_t count = builder->type->field_count;
        for (size_t k = 0; k < count; k++) pq_builder_deinit(&builder->children[k]);
        pq_free(builder->alloc, builder->children, count, sizeof *builder->children);
        if (builder->finished != NULL) {
            pq_free(builder->alloc, builder->finished, count, sizeof *builder->finished);
        }
    }
    *builder = (struct pq_builder){.alloc = builder->alloc};
}

void pq_builder_use_dictionary(struct pq_builder *builder, struct pq_dictionary *dictionary) {
    pq_assert(builder->type->kind == PQ_TEXT && builder->count == 0);
    const enum pq_layout layout = dictionary == NULL ? PQ_BYTES : PQ_DICTIONARY;
    if (layout != builder->layout) free_rows(builder);
    builder->layout = layout;
    builder->dictionary = dictionary;
    builder->data_length = 0;
}

void pq_builder_reset(struct pq_builder *builder) {
    builder->count = builder->null_count = builder->data_length = 0;
    builder->has_marks = false;
    if (builder->children == NULL) return;
    for (size_t k = 0; k < builder->type->field_count; k++) {
        pq_builder_reset(&builder->children[k]);
    }
}

void pq_builder_truncate(struct pq_builder *builder, size_t count) {
    pq_assert(count <= builder->count);
    for (size_t i = count; i < builder->count; i++) {
        builder->null_count -= builder->valid[i] == PQ_ROW_NULL;
    }
    if (count < builder->count) builder->count = count;
    const uint32_t end = builder->offsets == NULL ? 0 : builder->offsets[builder->count];
    if (builder->layout == PQ_BYTES) builder->data_length = end;
    if (builder->layout == PQ_ROWS) pq_builder_truncate(&builder->children[0], end);
    if (builder->layout != PQ_MEMBERS) return;
    for (size_t k = 0; k < builder->type->field_count; k++) {
        pq_builder_truncate(&builder->children[k], count);
    }
}

// ---- room -------------------------------------------------------------------------------------

static pqdb_code set_capacity(struct pq_builder *builder, size_t capacity, pqdb_error *err) {
    uint8_t *block = pq_resize(builder->alloc, NULL, 0, block_bytes(builder, capacity), 1);
    if (block == NULL) return no_memory(capacity, err);
    const struct pq_builder old = *builder;
    use_block(builder, block, capacity);
    if (old.rows == NULL) {
        if (builder->offsets != NULL) builder->offsets[0] = 0;
        return PQDB_OK;
    }
    memcpy(builder->valid, old.valid, old.count);
    if (builder->values != NULL) {
        memcpy(builder->values, old.values, old.count * value_width(builder));
    }
    if (builder->offsets != NULL) {
        memcpy(builder->offsets, old.offsets, (old.count + 1) * sizeof *old.offsets);
    }
    pq_free(old.alloc, old.rows, block_bytes(&old, old.capacity), 1);
    return PQDB_OK;
}

static pqdb_code grow_rows(struct pq_builder *builder, size_t extra, pqdb_error *err) {
    size_t capacity = builder->capacity == 0 ? rows_min : builder->capacity * 2;
    if (capacity < builder->count + extra) capacity = builder->count + extra;
    return set_capacity(builder, capacity, err);
}

static inline pqdb_code reserve_rows(struct pq_builder *builder, size_t extra, pqdb_error *err) {
    if (extra <= builder->capacity - builder->count) return PQDB_OK;
    return grow_rows(builder, extra, err);
}

static pqdb_code set_data_capacity(struct pq_builder *builder, size_t capacity, pqdb_error *err) {
    void *grown = pq_resize(builder->alloc, builder->data, builder->data_capacity, capacity, 1);
    if (grown == NULL) return no_memory(builder->count, err);
    builder->data = grown;
    builder->data_capacity = capacity;
    return PQDB_OK;
}

/// The capacity never passes what offsets can say, so that whatever fits it is within the limit.
static pqdb_code grow_data(struct pq_builder *builder, size_t extra, pqdb_error *err) {
    if (extra > UINT32_MAX - builder->data_length) {
        return pq_fail(err, PQDB_LIMIT, "more than 4 GiB in one column of a batch");
    }
    size_t capacity = builder->data_capacity == 0 ? data_bytes_min : builder->data_capacity * 2;
    if (capacity < builder->data_length + extra) capacity = builder->data_length + extra;
    if (capacity > UINT32_MAX) capacity = UINT32_MAX;
    return set_data_capacity(builder, capacity, err);
}

static inline pqdb_code reserve_data(struct pq_builder *builder, size_t extra, pqdb_error *err) {
    if (extra <= builder->data_capacity - builder->data_length) return PQDB_OK;
    return grow_data(builder, extra, err);
}

pqdb_code pq_builder_reserve(struct pq_builder *builder, size_t rows, size_t bytes,
                             pqdb_error *err) {
    const size_t wanted = builder->count + rows, data_wanted = builder->data_length + bytes;
    if (wanted > builder->capacity) PQ_TRY(set_capacity(builder, wanted, err));
    if (builder->layout != PQ_BYTES || data_wanted <= builder->data_capacity) return PQDB_OK;
    if (data_wanted > UINT32_MAX) return PQDB_OK;  // a hint: appending will say so
    return set_data_capacity(builder, data_wanted, err);
}

static inline void mark_row(struct pq_builder *builder, uint8_t mark) {
    builder->valid[builder->count++] = mark;
    if (mark == PQ_ROW_VALID) return;
    builder->has_marks = true;
    builder->null_count += mark == PQ_ROW_NULL;
}

/// A dictionary that is full: give every row so far its own bytes.
static pqdb_code leave_dictionary(struct pq_builder *builder, pqdb_error *err) {
    const struct pq_builder old = *builder;
    const uint32_t *codes = old.values;
    size_t total = 0;
    for (size_t i = 0; i < old.count; i++) {
        if (old.valid[i]) total += pq_dictionary_text(old.dictionary, codes[i]).length;
    }
    PQ_TRY(reserve_data(builder, total, err));
    builder->layout = PQ_BYTES;
    const size_t capacity = old.capacity == 0 ? rows_min : old.capacity;
    uint8_t *block = pq_resize(builder->alloc, NULL, 0, block_bytes(builder, capacity), 1);
    if (block == NULL) {
        builder->layout = PQ_DICTIONARY;
        return no_memory(capacity, err);
    }
    builder->dictionary = NULL;
    use_block(builder, block, capacity);
    if (old.count > 0) memcpy(builder->valid, old.valid, old.count);
    builder->offsets[0] = 0;
    for (size_t i = 0; i < old.count; i++) {
        struct pq_text text = {0};
        if (old.valid[i]) text = pq_dictionary_text(old.dictionary, codes[i]);
        if (text.length > 0) memcpy(builder->data + builder->offsets[i], text.data, text.length);
        builder->offsets[i + 1] = builder->offsets[i] + (uint32_t)text.length;
    }
    builder->data_length = builder->offsets[old.count];
    pq_free(old.alloc, old.rows, block_bytes(&old, old.capacity), 1);
    return PQDB_OK;
}

// ---- one row ----------------------------------------------------------------------------------

pqdb_code pq_builder_append_null(struct pq_builder *builder, pqdb_error *err) {
    PQ_TRY(reserve_rows(builder, 1, err));
    const size_t width = value_width(builder);
    if (width > 0) memset((uint8_t *)builder->values + builder->count * width, 0, width);
    if (has_offsets(builder)) {
        builder->offsets[builder->count + 1] = builder->offsets[builder->count];
    }
    if (builder->layout == PQ_MEMBERS) {
        for (size_t k = 0; k < builder->type->field_count; k++) {
            PQ_TRY(pq_builder_append_null(&builder->children[k], err));
        }
    }
    mark_row(builder, PQ_ROW_NULL);
    return PQDB_OK;
}

pqdb_code pq_builder_append_fixed(struct pq_builder *builder, const void *value, pqdb_error *err) {
    pq_assert(builder->layout == PQ_FIXED);
    PQ_TRY(reserve_rows(builder, 1, err));
    uint8_t *values = builder->values;
    switch (pq_kind_width(builder->type->kind)) {
        case 1: values[builder->count] = *(const uint8_t *)value; break;
        case 4: memcpy(values + builder->count * 4, value, 4); break;
        case 8: memcpy(values + builder->count * 8, value, 8); break;
        case 16: memcpy(values + builder->count * 16, value, 16); break;
        default: pq_assert(false);
    }
    mark_row(builder, PQ_ROW_VALID);
    return PQDB_OK;
}

static pqdb_code append_marked(struct pq_builder *builder, struct pq_text text, uint8_t mark,
                               pqdb_error *err) {
    PQ_TRY(reserve_rows(builder, 1, err));
    PQ_TRY(reserve_data(builder, text.length, err));
    if (text.length > 0) memcpy(builder->data + builder->data_length, text.data, text.length);
    builder->data_length += text.length;
    builder->offsets[builder->count + 1] = (uint32_t)builder->data_length;
    mark_row(builder, mark);
    return PQDB_OK;
}

pqdb_code pq_builder_append_bytes(struct pq_builder *builder, const void *data, size_t length,
                                  pqdb_error *err) {
    const struct pq_text text = {data, length};
    if (builder->layout == PQ_DICTIONARY) {
        const uint32_t code = pq_dictionary_code(builder->dictionary, text);
        if (code != UINT32_MAX) {
            PQ_TRY(reserve_rows(builder, 1, err));
            ((uint32_t *)builder->values)[builder->count] = code;
            mark_row(builder, PQ_ROW_VALID);
            return PQDB_OK;
        }
        PQ_TRY(leave_dictionary(builder, err));
    }
    pq_assert(builder->layout == PQ_BYTES);
    return append_marked(builder, text, PQ_ROW_VALID, err);
}

pqdb_code pq_builder_append_own_names(struct pq_builder *builder, const void *data, size_t length,
                                      pqdb_error *err) {
    pq_assert(builder->type->kind == PQ_VARIANT);
    return append_marked(builder, (struct pq_text){data, length}, PQ_ROW_OWN_NAMES, err);
}

pqdb_code pq_builder_end_list(struct pq_builder *builder, pqdb_error *err) {
    pq_assert(builder->layout == PQ_ROWS);
    if (builder->children[0].count > UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than 4 G elements in one column of a batch");
    }
    PQ_TRY(reserve_rows(builder, 1, err));
    builder->offsets[builder->count + 1] = (uint32_t)builder->children[0].count;
    mark_row(builder, PQ_ROW_VALID);
    return PQDB_OK;
}

pqdb_code pq_builder_end_object(struct pq_builder *builder, pqdb_error *err) {
    pq_assert(builder->layout == PQ_MEMBERS);
    PQ_TRY(reserve_rows(builder, 1, err));
    mark_row(builder, PQ_ROW_VALID);
    for (size_t k = 0; k < builder->type->field_count; k++) {
        pq_assert(builder->children[k].count == builder->count);
    }
    return PQDB_OK;
}

static pqdb_code append_fixed_value(struct pq_builder *builder, const struct pq_value *value,
                                    pqdb_error *err) {
    const float narrow = (float)(value->kind == PQ_FLOAT32 ? value->as.real : 0);
    const int32_t days = value->kind == PQ_DATE ? (int32_t)value->as.integer : 0;
    const uint8_t truth = value->kind == PQ_BOOL ? value->as.boolean : 0;
    const void *at = &value->as.integer;
    if (value->kind == PQ_FLOAT32) at = &narrow;
    if (value->kind == PQ_DATE) at = &days;
    if (value->kind == PQ_BOOL) at = &truth;
    if (value->kind == PQ_FLOAT64) at = &value->as.real;
    if (value->kind == PQ_DECIMAL) {
        pq_assert(value->scale == builder->type->scale);
        at = &value->as.decimal;
    }
    return pq_builder_append_fixed(builder, at, err);
}

static pqdb_code append_variant(struct pq_builder *builder, const struct pq_variant *variant,
                                pqdb_error *err) {
    if (builder->names == NULL) builder->names = variant->names;
    const bool shared = variant->names == builder->names || variant->names == NULL;
    if (shared && variant->metadata == NULL) {
        return pq_builder_append_bytes(builder, variant->bytes, variant->length, err);
    }
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, builder->alloc);
    pqdb_code code;
    PQ_GO(pq_variant_write_own(variant, &bytes, err));
    PQ_GO(pq_builder_append_own_names(builder, bytes.data, bytes.length, err));
done:
    pq_bytes_deinit(&bytes);
    return code;
}

pqdb_code pq_builder_append_value(struct pq_builder *builder, const struct pq_value *value,
                                  pqdb_error *err) {
    if (value->kind == PQ_NULL) return pq_builder_append_null(builder, err);
    pq_assert(value->kind == builder->type->kind);
    switch (value->kind) {
        case PQ_TEXT:
        case PQ_BINARY:
            return pq_builder_append_bytes(builder, value->as.text.data, value->as.text.length,
                                           err);
        case PQ_VARIANT:
            return append_variant(builder, &value->as.variant, err);
        case PQ_LIST:
        case PQ_OBJECT:
            return pq_builder_append_rows(builder, value->as.nested.column, value->as.nested.row,
                                          1, err);
        default:
            return append_fixed_value(builder, value, err);
    }
}

// ---- many rows --------------------------------------------------------------------------------

static void copy_marks(struct pq_builder *builder, const struct pq_column *from, size_t start,
                       size_t count) {
    uint8_t *marks = builder->valid + builder->count;
    if (from->valid == NULL) {
        memset(marks, PQ_ROW_VALID, count);
    } else {
        memcpy(marks, from->valid + start, count);
        size_t nulls = 0, marked = 0;
        for (size_t i = 0; i < count; i++) {
            nulls += marks[i] == PQ_ROW_NULL;
            marked += marks[i] != PQ_ROW_VALID;
        }
        builder->null_count += nulls;
        builder->has_marks = builder->has_marks || marked > 0;
    }
    builder->count += count;
}

/// New offsets for `count` rows whose content begins at `base` here.
static void copy_offsets(struct pq_builder *builder, const uint32_t *from, size_t count,
                         uint32_t base) {
    uint32_t *to = builder->offsets + builder->count + 1;
    const uint32_t shift = base - from[0];  // modulo 2^32
    for (size_t i = 0; i < count; i++) to[i] = from[i + 1] + shift;
}

static pqdb_code append_ranges(struct pq_builder *builder, const struct pq_column *from,
                               size_t start, size_t count, pqdb_error *err) {
    const uint32_t *offsets = from->offsets + start;
    const size_t length = offsets[count] - offsets[0];
    PQ_TRY(reserve_data(builder, length, err));
    if (length > 0) memcpy(builder->data + builder->data_length, from->data + offsets[0], length);
    copy_offsets(builder, offsets, count, (uint32_t)builder->data_length);
    builder->data_length += length;
    return PQDB_OK;
}

/// Texts between columns that are coded differently: one by one.
static pqdb_code append_texts(struct pq_builder *builder, const struct pq_column *from,
                              size_t start, size_t count, pqdb_error *err) {
    for (size_t row = start; row < start + count; row++) {
        if (pq_column_is_null(from, row)) {
            PQ_TRY(pq_builder_append_null(builder, err));
            continue;
        }
        const struct pq_text text = pq_column_text(from, row);
        PQ_TRY(pq_builder_append_bytes(builder, text.data, text.length, err));
    }
    return PQDB_OK;
}

static pqdb_code append_elements(struct pq_builder *builder, const struct pq_column *from,
                                 size_t start, size_t count, pqdb_error *err) {
    const uint32_t *offsets = from->offsets + start;
    const size_t elements = offsets[count] - offsets[0], base = builder->children[0].count;
    if (base + elements > UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than 4 G elements in one column of a batch");
    }
    PQ_TRY(pq_builder_append_rows(&builder->children[0], &from->children[0], offsets[0], elements,
                                  err));
    copy_offsets(builder, offsets, count, (uint32_t)base);
    return PQDB_OK;
}

pqdb_code pq_builder_append_rows(struct pq_builder *builder, const struct pq_column *from,
                                 size_t start, size_t count, pqdb_error *err) {
    pq_assert(start <= from->count && count <= from->count - start);
    pq_assert_slow(pq_type_equal(builder->type, from->type));
    if (count == 0) return PQDB_OK;
    if (builder->layout == PQ_DICTIONARY || from->layout == PQ_DICTIONARY) {
        if (builder->layout != from->layout || builder->dictionary != from->dictionary) {
            return append_texts(builder, from, start, count, err);
        }
    }
    if (builder->type->kind == PQ_VARIANT && from->names != NULL) {
        if (builder->names == NULL) builder->names = from->names;
        pq_assert(builder->names == from->names);
    }
    PQ_TRY(reserve_rows(builder, count, err));
    const size_t width = value_width(builder);
    if (builder->layout == PQ_BYTES) {
        PQ_TRY(append_ranges(builder, from, start, count, err));
    } else if (builder->layout == PQ_ROWS) {
        PQ_TRY(append_elements(builder, from, start, count, err));
    } else if (builder->layout == PQ_MEMBERS) {
        for (size_t k = 0; k < builder->type->field_count; k++) {
            PQ_TRY(pq_builder_append_rows(&builder->children[k], &from->children[k], start, count,
                                          err));
        }
    } else if (width > 0) {
        memcpy((uint8_t *)builder->values + builder->count * width,
               (const uint8_t *)from->values + start * width, count * width);
    }
    copy_marks(builder, from, start, count);
    return PQDB_OK;
}

// ---- finish -----------------------------------------------------------------------------------

static struct pq_column own_column(const struct pq_builder *builder) {
    struct pq_column column = {
        .type = builder->type,
        .layout = builder->layout,
        .count = builder->count,
        .valid = builder->has_marks ? builder->valid : NULL,
        .values = builder->values,
        .data = builder->data,
        .dictionary = builder->dictionary,
        .names = builder->names,
    };
    if (has_offsets(builder)) column.offsets = builder->offsets ? builder->offsets : no_offsets;
    return column;
}

struct pq_column pq_builder_finish(const struct pq_builder *builder) {
    struct pq_column column = own_column(builder);
    if (builder->children == NULL) return column;
    for (size_t k = 0; k < builder->type->field_count; k++) {
        builder->finished[k] = pq_builder_finish(&builder->children[k]);
    }
    column.children = builder->finished;
    return column;
}

struct pq_column pq_builder_view(const struct pq_builder *builder, struct pq_column **room) {
    struct pq_column column = own_column(builder);
    if (builder->children == NULL) return column;
    struct pq_column *children = *room;
    *room += builder->type->field_count;
    for (size_t k = 0; k < builder->type->field_count; k++) {
        children[k] = pq_builder_view(&builder->children[k], room);
    }
    column.children = children;
    return column;
}

size_t pq_builder_view_room(const struct pq_type *type) {
    size_t room = type->field_count;
    for (size_t k = 0; k < type->field_count; k++) {
        room += pq_builder_view_room(&type->fields[k].type);
    }
    return room;
}

pqdb_code pq_builder_finish_batch(const struct pq_builder *members, const struct pq_type *type,
                                  struct pq_arena *arena, struct pq_batch *batch,
                                  pqdb_error *err) {
    struct pq_column *columns = pq_arena_alloc(arena, type->field_count * sizeof *columns);
    if (columns == NULL) return no_memory(0, err);
    for (size_t k = 0; k < type->field_count; k++) {
        pq_assert(members[k].count == members[0].count);
        columns[k] = pq_builder_finish(&members[k]);
    }
    *batch = (struct pq_batch){.type = type,
                               .count = type->field_count == 0 ? 0 : members[0].count,
                               .columns = columns};
    return PQDB_OK;
}
