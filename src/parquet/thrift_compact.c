#include "parquet/thrift_compact.h"

#include "base/check.h"
#include "base/fail.h"

enum wire {
    WIRE_STOP,
    WIRE_TRUE,
    WIRE_FALSE,
    WIRE_I8,
    WIRE_I16,
    WIRE_I32,
    WIRE_I64,
    WIRE_DOUBLE,
    WIRE_BINARY,
    WIRE_LIST,
    WIRE_SET,
    WIRE_MAP,
    WIRE_STRUCT,
};

enum { skip_depth_max = 32, list_room_first = 16 };

static const uint8_t wire_of_kind[] = {
    [PQ_THRIFT_BOOL] = WIRE_TRUE,   [PQ_THRIFT_I8] = WIRE_I8,       [PQ_THRIFT_I16] = WIRE_I16,
    [PQ_THRIFT_I32] = WIRE_I32,     [PQ_THRIFT_I64] = WIRE_I64,     [PQ_THRIFT_TEXT] = WIRE_BINARY,
    [PQ_THRIFT_STRUCT] = WIRE_STRUCT,
};

static const uint8_t bytes_of_kind[] = {
    [PQ_THRIFT_BOOL] = sizeof(bool),   [PQ_THRIFT_I8] = sizeof(int8_t),
    [PQ_THRIFT_I16] = sizeof(int16_t), [PQ_THRIFT_I32] = sizeof(int32_t),
    [PQ_THRIFT_I64] = sizeof(int64_t), [PQ_THRIFT_TEXT] = sizeof(struct pq_text),
};

static size_t item_bytes(const struct pq_thrift_field *field) {
    return field->kind == PQ_THRIFT_STRUCT ? field->of->bytes : bytes_of_kind[field->kind];
}

static unsigned bit_of(const struct pq_thrift_field *field) {
    return field->id == PQ_THRIFT_EXTENSION ? PQ_THRIFT_EXTENSION_BIT : field->id;
}

static const void *at_offset(const void *object, size_t offset) {
    return (const uint8_t *)object + offset;
}

static int64_t integer_of(unsigned kind, const void *value) {
    switch (kind) {
        case PQ_THRIFT_I16: {
            int16_t i16;
            memcpy(&i16, value, sizeof i16);
            return i16;
        }
        case PQ_THRIFT_I32: {
            int32_t i32;
            memcpy(&i32, value, sizeof i32);
            return i32;
        }
        default: {
            int64_t i64;
            memcpy(&i64, value, sizeof i64);
            return i64;
        }
    }
}

static pqdb_code encode_value(const struct pq_thrift_field *field, const void *value,
                              struct pq_bytes *out, pqdb_error *err) {
    switch (field->kind) {
        case PQ_THRIFT_BOOL:  // only in lists: elsewhere the header holds it
            return pq_bytes_append_byte(out, *(const bool *)value ? 1 : 2, err);
        case PQ_THRIFT_I8:
            return pq_bytes_append_byte(out, *(const uint8_t *)value, err);
        case PQ_THRIFT_TEXT: {
            const struct pq_text *text = value;
            PQ_TRY(pq_bytes_append_varint(out, text->length, err));
            return pq_bytes_append_text(out, *text, err);
        }
        case PQ_THRIFT_STRUCT:
            return pq_thrift_encode(field->of, value, out, err);
        default:
            return pq_bytes_append_varint(out, pq_zigzag(integer_of(field->kind, value)), err);
    }
}

static pqdb_code encode_list(const struct pq_thrift_field *field, const void *object,
                             struct pq_bytes *out, pqdb_error *err) {
    const void *items;
    size_t count;
    memcpy(&items, at_offset(object, field->offset), sizeof items);
    memcpy(&count, at_offset(object, field->count_offset), sizeof count);
    const uint8_t wire = wire_of_kind[field->kind];
    PQ_TRY(pq_bytes_append_byte(out, (uint8_t)((count < 15 ? count : 15) << 4 | wire), err));
    if (count >= 15) PQ_TRY(pq_bytes_append_varint(out, count, err));
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(encode_value(field, at_offset(items, i * item_bytes(field)), out, err));
    }
    return PQDB_OK;
}

pqdb_code pq_thrift_encode(const struct pq_thrift_struct *of, const void *object,
                           struct pq_bytes *out, pqdb_error *err) {
    const uint32_t has = pq_load_u32(object);
    unsigned id_before = 0;
    for (size_t i = 0; i < of->field_count; i++) {
        const struct pq_thrift_field *field = &of->fields[i];
        if ((has >> bit_of(field) & 1) == 0) {
            pq_assert(!field->is_required);
            continue;
        }
        const void *value = at_offset(object, field->offset);
        unsigned wire = field->is_list ? WIRE_LIST : wire_of_kind[field->kind];
        if (!field->is_list && field->kind == PQ_THRIFT_BOOL && !*(const bool *)value) {
            wire = WIRE_FALSE;
        }
        const unsigned delta = field->id - id_before;
        if (delta <= 15) {
            PQ_TRY(pq_bytes_append_byte(out, (uint8_t)(delta << 4 | wire), err));
        } else {
            PQ_TRY(pq_bytes_append_byte(out, (uint8_t)wire, err));
            PQ_TRY(pq_bytes_append_varint(out, pq_zigzag(field->id), err));
        }
        id_before = field->id;
        if (field->is_list) {
            PQ_TRY(encode_list(field, object, out, err));
        } else if (field->kind != PQ_THRIFT_BOOL) {
            PQ_TRY(encode_value(field, value, out, err));
        }
    }
    return pq_bytes_append_byte(out, WIRE_STOP, err);
}

static pqdb_code cut_off(const struct pq_thrift_struct *of, pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "%s is cut off or malformed", of->name);
}

/// Element count and type of a list; a count that cannot fit into what is left fails the cursor.
static size_t take_list_header(struct pq_cursor *cursor, unsigned *wire) {
    const uint8_t header = pq_cursor_u8(cursor);
    *wire = header & 15;
    uint64_t count = header >> 4;
    if (count == 15) count = pq_cursor_varint(cursor);
    if (count > pq_cursor_left(cursor)) cursor->failed = true;
    return cursor->failed ? 0 : (size_t)count;
}

static void skip_value(struct pq_cursor *cursor, unsigned wire, bool in_list, int depth);

static void skip_struct(struct pq_cursor *cursor, int depth) {
    while (!cursor->failed) {
        const uint8_t header = pq_cursor_u8(cursor);
        if (cursor->failed || (header & 15) == WIRE_STOP) return;
        if (header >> 4 == 0) pq_cursor_varint(cursor);
        skip_value(cursor, header & 15, false, depth + 1);
    }
}

static void skip_items(struct pq_cursor *cursor, unsigned wire, int depth) {
    if (wire != WIRE_MAP) {
        unsigned item;
        const size_t count = take_list_header(cursor, &item);
        for (size_t i = 0; i < count && !cursor->failed; i++) {
            skip_value(cursor, item, true, depth + 1);
        }
        return;
    }
    const uint64_t count = pq_cursor_varint(cursor);
    if (count == 0) return;
    const uint8_t kinds = pq_cursor_u8(cursor);
    if (count > pq_cursor_left(cursor)) cursor->failed = true;
    for (uint64_t i = 0; i < count && !cursor->failed; i++) {
        skip_value(cursor, kinds >> 4, true, depth + 1);
        skip_value(cursor, kinds & 15, true, depth + 1);
    }
}

static void skip_value(struct pq_cursor *cursor, unsigned wire, bool in_list, int depth) {
    if (depth > skip_depth_max) {
        cursor->failed = true;
        return;
    }
    switch (wire) {
        case WIRE_TRUE:
        case WIRE_FALSE:
            if (in_list) pq_cursor_u8(cursor);
            return;
        case WIRE_I8:
            pq_cursor_u8(cursor);
            return;
        case WIRE_I16:
        case WIRE_I32:
        case WIRE_I64:
            pq_cursor_varint(cursor);
            return;
        case WIRE_DOUBLE:
            pq_cursor_u64(cursor);
            return;
        case WIRE_BINARY: {
            const uint64_t length = pq_cursor_varint(cursor);
            pq_cursor_take(cursor, length);
            return;
        }
        case WIRE_LIST:
        case WIRE_SET:
        case WIRE_MAP:
            skip_items(cursor, wire, depth);
            return;
        case WIRE_STRUCT:
            skip_struct(cursor, depth);
            return;
        default:
            cursor->failed = true;
    }
}

static void decode_integer(unsigned kind, struct pq_cursor *cursor, void *value) {
    const int64_t i64 = pq_unzigzag(pq_cursor_varint(cursor));
    const int32_t i32 = (int32_t)i64;
    const int16_t i16 = (int16_t)i64;
    switch (kind) {
        case PQ_THRIFT_I16:
            if (i16 != i64) cursor->failed = true;
            memcpy(value, &i16, sizeof i16);
            return;
        case PQ_THRIFT_I32:
            if (i32 != i64) cursor->failed = true;
            memcpy(value, &i32, sizeof i32);
            return;
        default:
            memcpy(value, &i64, sizeof i64);
    }
}

static pqdb_code decode_value(const struct pq_thrift_field *field, struct pq_cursor *cursor,
                              struct pq_arena *arena, void *value, pqdb_error *err) {
    switch (field->kind) {
        case PQ_THRIFT_BOOL:
            *(bool *)value = pq_cursor_u8(cursor) == 1;
            return PQDB_OK;
        case PQ_THRIFT_I8:
            *(uint8_t *)value = pq_cursor_u8(cursor);
            return PQDB_OK;
        case PQ_THRIFT_TEXT: {
            const uint64_t length = pq_cursor_varint(cursor);
            const uint8_t *data = pq_cursor_take(cursor, length);
            *(struct pq_text *)value =
                (struct pq_text){(const char *)data, data == NULL ? 0 : (size_t)length};
            return PQDB_OK;
        }
        case PQ_THRIFT_STRUCT:
            return pq_thrift_decode(field->of, cursor, arena, value, err);
        default:
            decode_integer(field->kind, cursor, value);
            return PQDB_OK;
    }
}

static bool is_wire_of(unsigned wire, unsigned kind) {
    return wire == wire_of_kind[kind] || (kind == PQ_THRIFT_BOOL && wire == WIRE_FALSE);
}

/// `*is_kept` is false when the elements are of another type than the table says.
static pqdb_code decode_list(const struct pq_thrift_field *field, struct pq_cursor *cursor,
                             struct pq_arena *arena, void *object, bool *is_kept,
                             pqdb_error *err) {
    unsigned wire;
    const size_t count = take_list_header(cursor, &wire), bytes = item_bytes(field);
    *is_kept = count == 0 || is_wire_of(wire, field->kind);
    if (!*is_kept) {
        for (size_t i = 0; i < count && !cursor->failed; i++) skip_value(cursor, wire, true, 0);
        return PQDB_OK;
    }
    uint8_t *items = NULL;
    size_t room = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == room) {
            const size_t want = room == 0 ? (count < list_room_first ? count : list_room_first)
                                          : (room > count / 2 ? count : room * 2);
            uint8_t *grown = pq_resize(&arena->alloc, items, room, want, bytes);
            if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu list items", want);
            items = grown;
            memset(items + room * bytes, 0, (want - room) * bytes);
            room = want;
        }
        PQ_TRY(decode_value(field, cursor, arena, items + i * bytes, err));
        if (cursor->failed) return PQDB_OK;
    }
    memcpy((uint8_t *)object + field->offset, &items, sizeof items);
    memcpy((uint8_t *)object + field->count_offset, &count, sizeof count);
    return PQDB_OK;
}

static const struct pq_thrift_field *find_field(const struct pq_thrift_struct *of, int64_t id) {
    for (size_t i = 0; i < of->field_count; i++) {
        if (of->fields[i].id == id) return &of->fields[i];
    }
    return NULL;
}

static pqdb_code decode_field(const struct pq_thrift_field *field, unsigned wire,
                              struct pq_cursor *cursor, struct pq_arena *arena, void *object,
                              pqdb_error *err) {
    bool is_kept = true;
    uint8_t *value = (uint8_t *)object + field->offset;
    if (field->is_list && wire == WIRE_LIST) {
        PQ_TRY(decode_list(field, cursor, arena, object, &is_kept, err));
    } else if (field->is_list || !is_wire_of(wire, field->kind)) {
        skip_value(cursor, wire, false, 0);
        return PQDB_OK;
    } else if (field->kind == PQ_THRIFT_BOOL) {
        *(bool *)value = wire == WIRE_TRUE;
    } else {
        PQ_TRY(decode_value(field, cursor, arena, value, err));
    }
    if (is_kept) pq_store_u32(object, pq_load_u32(object) | UINT32_C(1) << bit_of(field));
    return PQDB_OK;
}

pqdb_code pq_thrift_decode(const struct pq_thrift_struct *of, struct pq_cursor *cursor,
                           struct pq_arena *arena, void *object, pqdb_error *err) {
    memset(object, 0, of->bytes);
    int64_t id = 0;
    for (;;) {
        const uint8_t header = pq_cursor_u8(cursor);
        if (cursor->failed) return cut_off(of, err);
        if ((header & 15) == WIRE_STOP) break;
        id = header >> 4 == 0 ? pq_unzigzag(pq_cursor_varint(cursor)) : id + (header >> 4);
        if (id < 0 || id > INT16_MAX) return cut_off(of, err);
        const struct pq_thrift_field *field = find_field(of, id);
        if (field == NULL) {
            skip_value(cursor, header & 15, false, 0);
        } else {
            PQ_TRY(decode_field(field, header & 15, cursor, arena, object, err));
        }
        if (cursor->failed) return cut_off(of, err);
    }
    for (size_t i = 0; i < of->field_count; i++) {
        const struct pq_thrift_field *field = &of->fields[i];
        if (field->is_required && (pq_load_u32(object) >> bit_of(field) & 1) == 0) {
            return pq_fail(err, PQDB_CORRUPT, "%s lacks field %u", of->name, field->id);
        }
    }
    return PQDB_OK;
}
