/// flow/cell.c: one row of a column as bytes that stand for themselves, as windows keep them.
///
///     0     the row's mark (PQ_ROW_NULL, _VALID, _OWN_NAMES); a null has nothing behind it
///     1     fixed width: the value; text, binary, variant: the bytes
///           list: u32 count, then each element, object: each member, as u32 length and its cell
///
/// A variant's bytes keep the ids of its collection's list of names.
#include "flow/window.h"

static pqdb_code write_child(const struct pq_column *child, size_t row, struct pq_bytes *out,
                             pqdb_error *err) {
    const size_t start = out->length;
    PQ_TRY(pq_bytes_append(out, &(uint32_t){0}, 4, err));
    PQ_TRY(cell_write(child, row, out, err));
    pq_store_u32(out->data + start, (uint32_t)(out->length - start - 4));
    return PQDB_OK;
}

pqdb_code cell_write(const struct pq_column *column, size_t row, struct pq_bytes *out,
                     pqdb_error *err) {
    const uint8_t mark = column->valid == NULL ? PQ_ROW_VALID : column->valid[row];
    PQ_TRY(pq_bytes_append_byte(out, mark, err));
    if (mark == PQ_ROW_NULL) return PQDB_OK;
    if (column->layout == PQ_FIXED) {
        const size_t width = pq_kind_width(column->type->kind);
        return pq_bytes_append(out, (const uint8_t *)column->values + row * width, width, err);
    }
    if (column->layout == PQ_ROWS) {
        const uint32_t start = column->offsets[row], end = column->offsets[row + 1];
        PQ_TRY(pq_bytes_append(out, &(uint32_t){end - start}, 4, err));
        for (uint32_t i = start; i < end; i++) {
            PQ_TRY(write_child(&column->children[0], i, out, err));
        }
        return PQDB_OK;
    }
    if (column->layout == PQ_MEMBERS) {
        for (uint32_t k = 0; k < column->type->field_count; k++) {
            PQ_TRY(write_child(&column->children[k], row, out, err));
        }
        return PQDB_OK;
    }
    return pq_bytes_append_text(out, pq_column_text(column, row), err);
}

static pqdb_code build(struct pq_cursor *cell, struct pq_builder *builder, pqdb_error *err);

static pqdb_code build_child(struct pq_cursor *cell, struct pq_builder *builder, pqdb_error *err) {
    const uint32_t length = pq_cursor_u32(cell);
    const uint8_t *bytes = pq_cursor_take(cell, length);
    if (bytes == NULL) return pq_fail(err, PQDB_CORRUPT, "a stored value is cut short");
    struct pq_cursor child = pq_cursor_of(bytes, length);
    return build(&child, builder, err);
}

static pqdb_code build(struct pq_cursor *cell, struct pq_builder *builder, pqdb_error *err) {
    const uint8_t mark = pq_cursor_u8(cell);
    if (mark == PQ_ROW_NULL) return pq_builder_append_null(builder, err);
    const struct pq_type *type = builder->type;
    if (type->kind == PQ_LIST) {
        for (uint32_t left = pq_cursor_u32(cell); left > 0; left--) {
            PQ_TRY(build_child(cell, &builder->children[0], err));
        }
        return pq_builder_end_list(builder, err);
    }
    if (type->kind == PQ_OBJECT) {
        for (uint32_t k = 0; k < type->field_count; k++) {
            PQ_TRY(build_child(cell, &builder->children[k], err));
        }
        return pq_builder_end_object(builder, err);
    }
    const size_t width = pq_kind_width(type->kind), length = pq_cursor_left(cell);
    if (width == 0) {
        return mark == PQ_ROW_OWN_NAMES
                   ? pq_builder_append_own_names(builder, cell->at, length, err)
                   : pq_builder_append_bytes(builder, cell->at, length, err);
    }
    if (length != width) return pq_fail(err, PQDB_CORRUPT, "a stored value has %zu bytes", length);
    return pq_builder_append_fixed(builder, cell->at, err);
}

pqdb_code cell_build(struct pq_text cell, struct pq_builder *builder, pqdb_error *err) {
    struct pq_cursor cursor = pq_cursor_of(cell.data, cell.length);
    return build(&cursor, builder, err);
}

pqdb_code cell_emit(struct pq_text cell, struct emit *out, pqdb_error *err) {
    struct pq_cursor cursor = pq_cursor_of(cell.data, cell.length);
    if (out->width == 0) return build(&cursor, &out->builder, err);
    if (pq_cursor_u8(&cursor) == PQ_ROW_NULL) {
        emit_fixed_null(out);
        return PQDB_OK;
    }
    if (pq_cursor_left(&cursor) != out->width) {
        return pq_fail(err, PQDB_CORRUPT, "a stored value has %zu bytes", cell.length);
    }
    emit_fixed(out, cursor.at, out->width);
    return PQDB_OK;
}
