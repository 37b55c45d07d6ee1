/// flow/unnest.c: the elements of lists as rows.
#include <inttypes.h>

#include "flow/op_row.h"
#include "variant/variant.h"

enum { index_bits = 24 };  // of one level, below an unnested source

static pqdb_code no_memory(size_t rows, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "unnesting %zu rows", rows);
}

/// Elements of a row; a value that is no list has none.
static pqdb_code count_elements(const struct pq_column *list, size_t row, struct pq_arena *arena,
                                struct pq_variant *variant, uint32_t *count, pqdb_error *err) {
    *count = 0;
    if (pq_column_is_null(list, row)) return PQDB_OK;
    if (list->layout == PQ_ROWS) {
        *count = list->offsets[row + 1] - list->offsets[row];
        return PQDB_OK;
    }
    if (list->type->kind != PQ_VARIANT) return PQDB_OK;
    const uint8_t mark = list->valid == NULL ? PQ_ROW_VALID : list->valid[row];
    PQ_TRY(pq_variant_of_row(pq_column_text(list, row), mark, list->names, arena, variant, err));
    if (pq_variant_shape(variant) == PQ_VARIANT_ARRAY) {
        *count = (uint32_t)pq_variant_count(variant);
    }
    return PQDB_OK;
}

/// An element of a variant list, written with the column's names. A list with names of its own is
/// copied with them.
static pqdb_code append_element(const struct pq_column *list, size_t row,
                                const struct pq_variant *variant, size_t k,
                                struct pq_builder *builder, pqdb_error *err) {
    struct pq_text name;
    const struct pq_variant element = pq_variant_at(variant, k, &name);
    const uint8_t mark = list->valid == NULL ? PQ_ROW_VALID : list->valid[row];
    if (pq_variant_unwrap(&element).kind == PQ_NULL) return pq_builder_append_null(builder, err);
    if (mark != PQ_ROW_OWN_NAMES) {
        return pq_builder_append_bytes(builder, element.bytes, element.length, err);
    }
    const struct pq_text whole = pq_column_text(list, row);
    const size_t metadata = (size_t)((const char *)variant->bytes - whole.data);
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, builder->alloc);
    PQ_TRY(pq_bytes_append(&bytes, whole.data, metadata, err));
    PQ_TRY(pq_bytes_append(&bytes, element.bytes, element.length, err));
    return pq_builder_append_own_names(builder, bytes.data, bytes.length, err);
}

/// Variant lists: element by element.
static pqdb_code variant_elements(const struct pq_column *list, bool keep_empty,
                                  struct elements *out, struct pq_arena *arena, pqdb_error *err) {
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, &pq_type_variant, &arena->alloc, err));
    builder.names = list->names;
    struct pq_variant variant;
    for (size_t row = 0; row < list->count; row++) {
        uint32_t count;
        PQ_TRY(count_elements(list, row, arena, &variant, &count, err));
        if (count == 0 && keep_empty) PQ_TRY(pq_builder_append_null(&builder, err));
        for (uint32_t k = 0; k < count; k++) {
            PQ_TRY(append_element(list, row, &variant, k, &builder, err));
        }
    }
    pq_assert(builder.count == out->count);
    out->column = pq_builder_finish(&builder);
    return PQDB_OK;
}

/// Typed lists: the child column itself where no row is added to it.
static pqdb_code typed_elements(const struct pq_column *list, struct elements *out,
                                struct pq_arena *arena, pqdb_error *err) {
    const struct pq_column *child = &list->children[0];
    if (out->empty == NULL) {
        return pq_column_slice(child, list->offsets[0], out->count, arena, &out->column, err);
    }
    uint32_t *rows = pq_arena_alloc(arena, out->count * sizeof *rows);
    if (rows == NULL) return no_memory(out->count, err);
    for (size_t i = 0; i < out->count; i++) {
        rows[i] = out->empty[i] ? UINT32_MAX
                                : list->offsets[out->parents[i]] + (uint32_t)out->indices[i];
    }
    return pq_column_gather(child, rows, out->count, arena, &out->column, err);
}

/// A column that is no list: nothing, or the null elements of keepEmpty.
static pqdb_code no_elements(const struct pq_type *type, struct elements *out,
                             struct pq_arena *arena, pqdb_error *err) {
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, type, &arena->alloc, err));
    for (size_t i = 0; i < out->count; i++) PQ_TRY(pq_builder_append_null(&builder, err));
    out->column = pq_builder_finish(&builder);
    return PQDB_OK;
}

/// How many new rows each row gives, and which.
static pqdb_code enumerate(const struct pq_column *list, bool keep_empty, struct elements *out,
                           struct pq_arena *arena, pqdb_error *err) {
    uint32_t *counts = pq_arena_alloc(arena, list->count * sizeof *counts);
    if (counts == NULL) return no_memory(list->count, err);
    size_t total = 0, empty_rows = 0;
    for (size_t row = 0; row < list->count; row++) {
        struct pq_variant variant;
        PQ_TRY(count_elements(list, row, arena, &variant, &counts[row], err));
        const bool empty = counts[row] == 0 && keep_empty;
        total += counts[row] + empty;
        empty_rows += empty;
    }
    if (total >= UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "%zu unnested rows at once", total);
    uint32_t *parents = pq_arena_alloc(arena, total * sizeof *parents);
    int64_t *indices = pq_arena_alloc(arena, total * sizeof *indices);
    bool *is_empty = empty_rows > 0 ? pq_arena_calloc(arena, total, sizeof *is_empty) : NULL;
    if (parents == NULL || indices == NULL || (is_empty == NULL && empty_rows > 0)) {
        return no_memory(total, err);
    }
    size_t at = 0;
    for (size_t row = 0; row < list->count; row++) {
        const bool empty = counts[row] == 0 && keep_empty;
        if (empty) is_empty[at] = true;
        for (uint32_t k = 0; k < counts[row] + empty; k++) {
            parents[at] = (uint32_t)row;
            indices[at++] = k;
        }
    }
    out->count = total;
    out->parents = parents;
    out->indices = indices;
    out->empty = is_empty;
    return PQDB_OK;
}

pqdb_code elements_of(const struct pq_unnest_spec *spec, const struct pq_type *element,
                      const struct pq_batch *batch, struct pq_arena *arena, struct elements *out,
                      pqdb_error *err) {
    struct pq_column list;
    *out = (struct elements){0};
    PQ_TRY(operand_run(&spec->list, batch, arena, &list, err));
    PQ_TRY(enumerate(&list, spec->keep_empty, out, arena, err));
    if (list.layout == PQ_ROWS) return typed_elements(&list, out, arena, err);
    if (list.type->kind == PQ_VARIANT) {
        return variant_elements(&list, spec->keep_empty, out, arena, err);
    }
    return no_elements(element, out, arena, err);
}

pqdb_code elements_beside(const struct pq_unnest_spec *spec, const struct pq_batch *batch,
                          const struct elements *elements, struct pq_arena *arena,
                          struct pq_column *columns, pqdb_error *err) {
    if (spec->beside_count == 0) return PQDB_OK;
    uint32_t *rows = pq_arena_alloc(arena, elements->count * sizeof *rows);
    if (rows == NULL) return no_memory(elements->count, err);
    for (size_t k = 0; k < spec->beside_count; k++) {
        struct pq_column list;
        PQ_TRY(operand_run(&spec->beside[k], batch, arena, &list, err));
        pq_assert(list.layout == PQ_ROWS);
        for (size_t i = 0; i < elements->count; i++) {
            const uint32_t parent = elements->parents[i];
            const uint32_t count = list.offsets[parent + 1] - list.offsets[parent];
            const bool is_there = (elements->empty == NULL || !elements->empty[i]) &&
                                  elements->indices[i] < count;
            rows[i] = is_there ? list.offsets[parent] + (uint32_t)elements->indices[i]
                               : UINT32_MAX;
        }
        PQ_TRY(pq_column_gather(&list.children[0], rows, elements->count, arena, &columns[k],
                                err));
    }
    return PQDB_OK;
}

/// `<id>#<n>`, `<id>#` for keepEmpty.
static pqdb_code id_column(const struct elements *elements, const struct pq_column *ids,
                           struct pq_arena *arena, struct pq_column *column, pqdb_error *err) {
    size_t bytes = 0;
    for (size_t i = 0; i < elements->count; i++) {
        bytes += pq_column_text(ids, elements->parents[i]).length + 12;
    }
    if (bytes > UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "the ids of %zu unnested rows take more than 4 GiB",
                       elements->count);
    }
    uint32_t *offsets = pq_arena_alloc(arena, (elements->count + 1) * sizeof *offsets);
    char *data = pq_arena_alloc(arena, bytes);
    if (offsets == NULL || data == NULL) return no_memory(elements->count, err);
    uint32_t end = 0;
    for (size_t i = 0; i < elements->count; i++) {
        const struct pq_text id = pq_column_text(ids, elements->parents[i]);
        offsets[i] = end;
        memcpy(data + end, id.data, id.length);
        end += (uint32_t)id.length;
        data[end++] = '#';
        if (elements->empty != NULL && elements->empty[i]) continue;
        char digits[10];
        size_t digit_count = 0;
        for (uint32_t n = (uint32_t)elements->indices[i]; n > 0 || digit_count == 0; n /= 10) {
            digits[digit_count++] = (char)('0' + n % 10);
        }
        while (digit_count > 0) data[end++] = digits[--digit_count];
    }
    offsets[elements->count] = end;
    *column = (struct pq_column){.layout = PQ_BYTES,
                                 .count = elements->count,
                                 .offsets = offsets,
                                 .data = (const uint8_t *)data};
    return PQDB_OK;
}

/// The element's index; below an unnested source behind its parent's.
static pqdb_code index_column(const struct pq_unnest_spec *spec, const struct elements *elements,
                              const struct pq_batch *batch, struct pq_arena *arena,
                              struct pq_column *column, pqdb_error *err) {
    *column = (struct pq_column){
        .layout = PQ_FIXED, .count = elements->count, .values = elements->indices};
    if (spec->parent_index == PQ_NO_COLUMN) return PQDB_OK;
    const int64_t *parents = batch->columns[spec->parent_index].values;
    int64_t *indices = pq_arena_alloc(arena, elements->count * sizeof *indices);
    if (indices == NULL) return no_memory(elements->count, err);
    for (size_t i = 0; i < elements->count; i++) {
        const int64_t parent = parents[elements->parents[i]], index = elements->indices[i];
        if (parent >> (63 - index_bits) != 0 || index >> index_bits != 0) {
            return pq_fail(err, PQDB_LIMIT,
                           "element %" PRId64 " of element %" PRId64
                           ": nested lists this long cannot be numbered",
                           index, parent);
        }
        indices[i] = parent << index_bits | index;
    }
    column->values = indices;
    return PQDB_OK;
}

/// The element's number in its list, null where there is no element.
static pqdb_code position_column(const struct elements *elements, struct pq_arena *arena,
                                 struct pq_column *column, pqdb_error *err) {
    *column = (struct pq_column){
        .layout = PQ_FIXED, .count = elements->count, .values = elements->indices};
    if (elements->empty == NULL) return PQDB_OK;
    uint8_t *valid = pq_arena_alloc(arena, elements->count);
    if (valid == NULL) return no_memory(elements->count, err);
    for (size_t i = 0; i < elements->count; i++) {
        valid[i] = elements->empty[i] ? PQ_ROW_NULL : PQ_ROW_VALID;
    }
    column->valid = valid;
    return PQDB_OK;
}

pqdb_code unnest_rows(const struct pq_unnest_spec *spec, const struct pq_batch *batch,
                      struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    struct elements elements;
    PQ_TRY(elements_of(spec, &spec->type->fields[3].type, batch, arena, &elements, err));
    const size_t count = elements.count;
    struct pq_column *columns =
        pq_arena_calloc(arena, spec->type->field_count, sizeof *columns);
    if (columns == NULL) return no_memory(count, err);
    PQ_TRY(id_column(&elements, &batch->columns[PQ_ID_COLUMN], arena, &columns[0], err));
    PQ_TRY(pq_column_gather(&batch->columns[PQ_SEQ_COLUMN], elements.parents, count, arena,
                            &columns[1], err));
    PQ_TRY(index_column(spec, &elements, batch, arena, &columns[2], err));
    columns[3] = elements.column;
    if (spec->has_position) PQ_TRY(position_column(&elements, arena, &columns[4], err));
    struct pq_column *beside = &columns[spec->has_position ? 5 : 4];
    PQ_TRY(elements_beside(spec, batch, &elements, arena, beside, err));
    struct pq_column *carried = beside + spec->beside_count;
    for (size_t k = 0; k < spec->carry_count; k++) {
        PQ_TRY(pq_column_gather(&batch->columns[spec->carry[k]], elements.parents, count, arena,
                                &carried[k], err));
    }
    for (uint32_t k = 0; k < spec->type->field_count; k++) {
        columns[k].type = &spec->type->fields[k].type;
    }
    int64_t *weights = NULL;
    if (batch->weights != NULL) {
        weights = pq_arena_alloc(arena, count * sizeof *weights);
        if (weights == NULL) return no_memory(count, err);
        for (size_t i = 0; i < count; i++) weights[i] = batch->weights[elements.parents[i]];
    }
    *out = (struct pq_batch){
        .type = spec->type, .count = count, .columns = columns, .weights = weights};
    return PQDB_OK;
}
