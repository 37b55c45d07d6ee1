/// Decoding of parts. No byte is trusted, although frames carry a checksum: a log may come from
/// another hand. The format is in changelog/format_internal.h and docs/format.md.
#include "base/check.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "batch/dictionary.h"
#include "batch/project.h"
#include "changelog/format_internal.h"
#include "changelog/part.h"
#include "changelog/part_internal.h"
#include "codec/codec.h"

enum { const_text_rows_min = 8 };  // below, a dictionary costs more than it saves

struct decoder {
    struct pq_cursor cursor;
    struct pq_arena *arena;
    const struct pq_variant_names *names;
    uint64_t first_seq;
    size_t pairs;     // rows that go and come again in their order; 0 below the top level
    uint64_t budget;  // bytes that may still be made
    pqdb_error *err;
};

struct chunk {
    enum pq_chunk_encoding encoding;
    enum pq_chunk_marks marks;
    const uint8_t *data;  // decompressed, 8-aligned
    size_t length;
};

static pqdb_code damaged(struct decoder *decoder, const char *what) {
    return pq_fail(decoder->err, PQDB_CORRUPT, "a part of the log is damaged: %s", what);
}

/// Memory of the arena within the budget.
static pqdb_code take(struct decoder *decoder, size_t count, size_t item_bytes, void *memory) {
    if (item_bytes != 0 && count > decoder->budget / item_bytes) {
        return damaged(decoder, "it claims more rows than a part may have");
    }
    decoder->budget -= count * item_bytes;
    void *taken = pq_arena_alloc(decoder->arena, count * item_bytes);
    if (taken == NULL) {
        return pq_fail(decoder->err, PQDB_NO_MEMORY, "reading %zu bytes of the log",
                       count * item_bytes);
    }
    memcpy(memory, &taken, sizeof taken);
    return PQDB_OK;
}

static pqdb_code inflate(struct decoder *decoder, struct pq_text packed, struct chunk *chunk) {
    uint8_t *raw;
    if (chunk->length / 255 > packed.length) return damaged(decoder, "impossible LZ4 length");
    PQ_TRY(take(decoder, chunk->length, 1, &raw));
    PQ_TRY(pq_codec_lz4.decompress(packed, raw, chunk->length, decoder->err));
    chunk->data = raw;
    return PQDB_OK;
}

/// The next chunk, which must be that of `type` at `place`, as it is stored.
struct stored_chunk {
    struct chunk chunk;  // its data is not decompressed
    size_t length;       // of the data as it is
    uint8_t codec;
};

static pqdb_code take_chunk(struct decoder *decoder, const struct pq_type *type, uint16_t place,
                            struct stored_chunk *stored) {
    const uint8_t *header = pq_cursor_take(&decoder->cursor, PQ_CHUNK_HEADER_BYTES);
    if (header == NULL) return damaged(decoder, "a column is missing");
    const size_t length = pq_load_u32(header + 12);
    const uint8_t *data = pq_cursor_take(&decoder->cursor, pq_log_padded(length));
    if (data == NULL) return damaged(decoder, "a column is cut off");
    if (pq_load_u16(header) != place || header[2] != (uint8_t)type->kind ||
        header[6] != type->scale) {
        return damaged(decoder, "a column has another type than its schema");
    }
    *stored = (struct stored_chunk){.chunk = {.encoding = (enum pq_chunk_encoding)header[3],
                                              .marks = (enum pq_chunk_marks)header[5],
                                              .data = data,
                                              .length = pq_load_u32(header + 8)},
                                    .length = length,
                                    .codec = header[4]};
    return PQDB_OK;
}

static pqdb_code next_chunk(struct decoder *decoder, const struct pq_type *type, uint16_t place,
                            struct chunk *chunk) {
    struct stored_chunk stored;
    PQ_TRY(take_chunk(decoder, type, place, &stored));
    *chunk = stored.chunk;
    if (stored.codec == PQ_CHUNK_LZ4) {
        return inflate(decoder, (struct pq_text){(const char *)chunk->data, stored.length}, chunk);
    }
    if (stored.codec != PQ_CHUNK_RAW) return damaged(decoder, "an unknown codec");
    if (chunk->length != stored.length) return damaged(decoder, "two lengths of one column");
    return PQDB_OK;
}

uint64_t pq_log_nulls_bytes(const struct pq_type *type, uint64_t count) {
    const size_t width = pq_kind_width(type->kind);
    uint64_t bytes = (count + 1) * (width < 4 ? 4 : width);
    if (type->kind != PQ_OBJECT && type->kind != PQ_LIST) return bytes;
    for (size_t k = 0; k < type->field_count; k++) {
        bytes += sizeof(struct pq_column) +
                 pq_log_nulls_bytes(&type->fields[k].type, type->kind == PQ_OBJECT ? count : 0);
    }
    return bytes;
}

/// Rows without values: zeros serve as values, offsets and marks.
static pqdb_code decode_nulls(struct decoder *decoder, struct pq_column *column) {
    const size_t width = pq_kind_width(column->type->kind);
    const size_t row_bytes = width < 4 ? 4 : width;
    void *zeros;
    PQ_TRY(take(decoder, column->count + 1, row_bytes, &zeros));
    memset(zeros, 0, (column->count + 1) * row_bytes);
    column->valid = column->values = zeros;
    column->offsets = zeros;
    column->data = zeros;
    const size_t child_count = column->type->kind == PQ_OBJECT || column->type->kind == PQ_LIST
                                   ? column->type->field_count
                                   : 0;
    if (child_count == 0) return PQDB_OK;
    struct pq_column *children;
    PQ_TRY(take(decoder, child_count, sizeof *children, &children));
    for (size_t k = 0; k < child_count; k++) {
        children[k] = pq_log_column_of(&column->type->fields[k].type, decoder->names);
        children[k].count = column->type->kind == PQ_OBJECT ? column->count : 0;
        PQ_TRY(decode_nulls(decoder, &children[k]));
    }
    column->children = children;
    return PQDB_OK;
}

struct pq_column pq_log_column_of(const struct pq_type *type,
                                  const struct pq_variant_names *names) {
    struct pq_column column = {.type = type, .layout = PQ_FIXED};
    switch (type->kind) {
        case PQ_VARIANT:
            column.names = names;
            column.layout = PQ_BYTES;
            break;
        case PQ_TEXT:
        case PQ_BINARY:
            column.layout = PQ_BYTES;
            break;
        case PQ_LIST:
            column.layout = PQ_ROWS;
            break;
        case PQ_OBJECT:
            column.layout = PQ_MEMBERS;
            break;
        default:
            break;
    }
    return column;
}

/// Take the marks off the end of the content.
static pqdb_code decode_marks(struct decoder *decoder, struct chunk *chunk,
                              struct pq_column *column) {
    const bool is_variant = column->type->kind == PQ_VARIANT;
    if (chunk->marks == PQ_MARKS_VALID) return PQDB_OK;
    if (chunk->marks == PQ_MARKS_OWN_NAMES && is_variant) {
        uint8_t *valid;
        PQ_TRY(take(decoder, column->count, 1, &valid));
        memset(valid, PQ_ROW_OWN_NAMES, column->count);
        column->valid = valid;
        return PQDB_OK;
    }
    if (chunk->marks != PQ_MARKS_BYTES) return damaged(decoder, "unknown marks");
    if (column->count > chunk->length) return damaged(decoder, "too few marks");
    chunk->length -= column->count;
    column->valid = chunk->data + chunk->length;
    uint8_t most = 0;
    for (size_t i = 0; i < column->count; i++) {
        if (column->valid[i] > most) most = column->valid[i];
    }
    if (most > (is_variant ? PQ_ROW_OWN_NAMES : PQ_ROW_VALID)) {
        return damaged(decoder, "a mark without meaning");
    }
    return PQDB_OK;
}

static pqdb_code check_booleans(struct decoder *decoder, const struct pq_column *column) {
    const uint8_t *values = column->values;
    if (column->type->kind != PQ_BOOL) return PQDB_OK;
    for (size_t i = 0; i < column->count; i++) {
        if (values[i] > 1 && !pq_column_is_null(column, i)) {
            return damaged(decoder, "a boolean beyond 1");
        }
    }
    return PQDB_OK;
}

static pqdb_code decode_fixed(struct decoder *decoder, struct chunk *chunk,
                              struct pq_column *column) {
    const size_t width = pq_kind_width(column->type->kind);
    PQ_TRY(decode_marks(decoder, chunk, column));
    if (chunk->length != pq_log_padded(column->count * width)) {
        return damaged(decoder, "another count of values than rows");
    }
    column->values = chunk->data;
    if ((uintptr_t)chunk->data % width != 0) {  // 16-byte decimals in an 8-aligned frame
        void *copy;
        PQ_TRY(take(decoder, column->count, width, &copy));
        memcpy(copy, chunk->data, column->count * width);
        column->values = copy;
    }
    return check_booleans(decoder, column);
}

static pqdb_code decode_const_fixed(struct decoder *decoder, const struct chunk *chunk,
                                    struct pq_column *column) {
    const size_t width = pq_kind_width(column->type->kind);
    uint8_t *values;
    if (chunk->length != width) return damaged(decoder, "a constant of another width");
    PQ_TRY(take(decoder, column->count, width, &values));
    for (size_t i = 0; i < column->count; i++) memcpy(values + i * width, chunk->data, width);
    column->values = values;
    return check_booleans(decoder, column);
}

static pqdb_code make_dictionary(struct decoder *decoder, uint32_t entries, uint32_t bytes,
                                 struct pq_dictionary **dictionary) {
    if (entries > PQ_DICTIONARY_ENTRIES_MAX || bytes > PQ_DICTIONARY_BYTES_MAX) {
        return damaged(decoder, "a dictionary beyond its bounds");
    }
    return pq_dictionary_create(entries, bytes, &decoder->arena->alloc, dictionary, decoder->err);
}

static pqdb_code decode_const_text(struct decoder *decoder, const struct chunk *chunk,
                                   struct pq_column *column) {
    struct pq_dictionary *dictionary;
    uint32_t *codes;
    const struct pq_text text = {(const char *)chunk->data, chunk->length};
    PQ_TRY(make_dictionary(decoder, 1, (uint32_t)chunk->length, &dictionary));
    if (pq_dictionary_code(dictionary, text) != 0) {
        return pq_fail(decoder->err, PQDB_NO_MEMORY, "reading a column of the log");
    }
    PQ_TRY(take(decoder, column->count, sizeof *codes, &codes));
    memset(codes, 0, column->count * sizeof *codes);
    column->layout = PQ_DICTIONARY;
    column->dictionary = dictionary;
    column->values = codes;
    return PQDB_OK;
}

static pqdb_code decode_const_bytes(struct decoder *decoder, struct chunk *chunk,
                                    struct pq_column *column) {
    const size_t count = column->count, length = chunk->length;
    PQ_TRY(decode_marks(decoder, chunk, column));
    if (column->type->kind == PQ_VARIANT && length == 0) {
        return damaged(decoder, "an empty variant");
    }
    if (column->type->kind == PQ_TEXT && count > const_text_rows_min &&
        length <= PQ_DICTIONARY_BYTES_MAX) {
        return decode_const_text(decoder, chunk, column);
    }
    if (count > 1 && length > PQ_LOG_CONST_BYTES_MAX / count) {
        return damaged(decoder, "a constant beyond its bounds");
    }
    uint32_t *offsets;
    uint8_t *data = NULL;
    PQ_TRY(take(decoder, count + 1, sizeof *offsets, &offsets));
    for (size_t i = 0; i <= count; i++) offsets[i] = (uint32_t)(i * length);
    column->offsets = offsets;
    column->data = chunk->data;
    if (count == 1) return PQDB_OK;
    PQ_TRY(take(decoder, count * length, 1, &data));
    for (size_t i = 0; i < count && length > 0; i++) memcpy(data + i * length, chunk->data, length);
    column->data = data;
    return PQDB_OK;
}

static pqdb_code decode_const(struct decoder *decoder, struct chunk *chunk,
                              struct pq_column *column) {
    if (column->layout == PQ_BYTES && chunk->marks != PQ_MARKS_BYTES) {
        return decode_const_bytes(decoder, chunk, column);
    }
    if (column->layout == PQ_FIXED && chunk->marks == PQ_MARKS_VALID &&
        column->type->kind != PQ_NULL) {
        return decode_const_fixed(decoder, chunk, column);
    }
    return damaged(decoder, "a constant of a kind that has none");
}

/// Offsets at the front of the content: from 0, never falling, null rows empty.
static pqdb_code decode_offsets(struct decoder *decoder, const struct chunk *chunk,
                                struct pq_column *column) {
    if (chunk->length / 4 < column->count + 1) return damaged(decoder, "too few offsets");
    const uint32_t *offsets = (const uint32_t *)(const void *)chunk->data;
    const bool is_variant = column->type->kind == PQ_VARIANT;
    if (offsets[0] != 0) return damaged(decoder, "offsets that do not begin at 0");
    for (size_t i = 0; i < column->count; i++) {
        if (offsets[i + 1] < offsets[i]) return damaged(decoder, "falling offsets");
        const bool is_null = pq_column_is_null(column, i);
        if (offsets[i + 1] == offsets[i]) {
            if (is_variant && !is_null) return damaged(decoder, "an empty variant");
        } else if (is_null) {
            return damaged(decoder, "a null row with content");
        }
    }
    column->offsets = offsets;
    return PQDB_OK;
}

static pqdb_code decode_bytes(struct decoder *decoder, struct chunk *chunk,
                              struct pq_column *column) {
    PQ_TRY(decode_marks(decoder, chunk, column));
    PQ_TRY(decode_offsets(decoder, chunk, column));
    const size_t data_at = 4 * (column->count + 1);
    if (column->offsets[column->count] != chunk->length - data_at) {
        return damaged(decoder, "offsets that do not end with the data");
    }
    column->data = chunk->data + data_at;
    return PQDB_OK;
}

static pqdb_code decode_codes(struct decoder *decoder, const uint8_t *at, uint32_t entries,
                              struct pq_column *column) {
    const size_t width = pq_log_code_width(entries);
    uint32_t *codes;
    PQ_TRY(take(decoder, column->count, sizeof *codes, &codes));
    for (size_t i = 0; i < column->count; i++) {
        codes[i] = width == 1   ? at[i]
                   : width == 2 ? pq_load_u16(at + 2 * i)
                                : pq_load_u32(at + 4 * i);
        if (codes[i] >= entries) return damaged(decoder, "a code without an entry");
    }
    column->values = codes;
    return PQDB_OK;
}

static pqdb_code decode_entries(struct decoder *decoder, struct pq_dictionary *dictionary,
                                uint32_t entries, const uint32_t *offsets, const uint8_t *data) {
    for (uint32_t i = 0; i < entries; i++) {
        const struct pq_text text = {(const char *)data + offsets[i], offsets[i + 1] - offsets[i]};
        if (pq_dictionary_code(dictionary, text) != i) {
            return damaged(decoder, "a dictionary with an entry twice");
        }
    }
    return PQDB_OK;
}

static pqdb_code decode_dictionary(struct decoder *decoder, struct chunk *chunk,
                                   struct pq_column *column) {
    PQ_TRY(decode_marks(decoder, chunk, column));
    if (column->type->kind != PQ_TEXT) return damaged(decoder, "a dictionary of a wrong kind");
    if (chunk->length < 8) return damaged(decoder, "a dictionary cut off");
    const uint32_t entries = pq_load_u32(chunk->data);
    if (entries == 0 || entries > PQ_DICTIONARY_ENTRIES_MAX) {
        return damaged(decoder, "a dictionary beyond its bounds");
    }
    const size_t codes_at = 4 + 4 * ((size_t)entries + 1);
    const size_t data_at = codes_at + pq_log_code_width(entries) * column->count;
    if (data_at > chunk->length) return damaged(decoder, "a dictionary cut off");
    const uint32_t *offsets = (const uint32_t *)(const void *)(chunk->data + 4);
    for (uint32_t i = 0; i < entries; i++) {
        if (offsets[i + 1] < offsets[i]) return damaged(decoder, "falling offsets");
    }
    if (offsets[0] != 0 || offsets[entries] != chunk->length - data_at) {
        return damaged(decoder, "offsets that do not end with the data");
    }
    struct pq_dictionary *dictionary;
    PQ_TRY(make_dictionary(decoder, entries, offsets[entries], &dictionary));
    PQ_TRY(decode_entries(decoder, dictionary, entries, offsets, chunk->data + data_at));
    PQ_TRY(decode_codes(decoder, chunk->data + codes_at, entries, column));
    column->layout = PQ_DICTIONARY;
    column->dictionary = dictionary;
    return PQDB_OK;
}

/// `first`, then one more a row.
static pqdb_code decode_counting(struct decoder *decoder, uint64_t first,
                                 struct pq_column *column) {
    uint64_t *values;
    const enum pq_kind kind = column->type->kind;
    if (kind != PQ_INT64 && kind != PQ_TIME && kind != PQ_TIMESTAMP) {
        return damaged(decoder, "counting in a kind that cannot");
    }
    PQ_TRY(take(decoder, column->count, sizeof *values, &values));
    for (size_t i = 0; i < column->count; i++) values[i] = first + i;
    column->values = values;
    return PQDB_OK;
}

static pqdb_code decode_column(struct decoder *decoder, uint16_t place, struct pq_column *column);

static pqdb_code decode_list(struct decoder *decoder, struct chunk *chunk,
                             struct pq_column *column) {
    struct pq_column *element;
    if (column->type->kind != PQ_LIST) return damaged(decoder, "rows of a wrong kind");
    PQ_TRY(decode_marks(decoder, chunk, column));
    if (chunk->length != 4 * (column->count + 1)) return damaged(decoder, "a wrong list length");
    PQ_TRY(decode_offsets(decoder, chunk, column));
    const uint32_t elements = column->offsets[column->count];
    if (elements > PQ_LOG_ROWS_MAX) return damaged(decoder, "too many elements");
    PQ_TRY(take(decoder, 1, sizeof *element, &element));
    *element = pq_log_column_of(&column->type->fields[0].type, decoder->names);
    element->count = elements;
    column->children = element;
    return decode_column(decoder, 0, element);
}

static pqdb_code decode_object(struct decoder *decoder, struct chunk *chunk,
                               struct pq_column *column) {
    struct pq_column *members;
    if (column->type->kind != PQ_OBJECT) return damaged(decoder, "members of a wrong kind");
    PQ_TRY(decode_marks(decoder, chunk, column));
    if (chunk->length != 0) return damaged(decoder, "an object with bytes of its own");
    PQ_TRY(take(decoder, column->type->field_count, sizeof *members, &members));
    column->children = members;
    for (uint32_t k = 0; k < column->type->field_count; k++) {
        members[k] = pq_log_column_of(&column->type->fields[k].type, decoder->names);
        members[k].count = column->count;
        PQ_TRY(decode_column(decoder, (uint16_t)k, &members[k]));
    }
    return PQDB_OK;
}

/// A run of rows that are as they went, or that differ, at a time.
static pqdb_code join_pairs(struct decoder *decoder, const uint32_t *patches, size_t patch_count,
                            const struct pq_column sources[2], struct pq_column *column) {
    const size_t pairs = sources[0].count;
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, column->type, &decoder->arena->alloc, decoder->err));
    PQ_TRY(pq_builder_append_rows(&builder, &sources[0], 0, pairs, decoder->err));
    size_t row = 0;
    for (size_t i = 0; i <= patch_count; i++) {
        const size_t end = i < patch_count ? patches[i] : pairs;
        PQ_TRY(pq_builder_append_rows(&builder, &sources[0], row, end - row, decoder->err));
        if (i == patch_count) break;
        PQ_TRY(pq_builder_append_rows(&builder, &sources[1], i, 1, decoder->err));
        row = end + 1;
    }
    PQ_TRY(pq_builder_append_rows(&builder, &sources[1], patch_count,
                                  sources[1].count - patch_count, decoder->err));
    *column = pq_builder_finish(&builder);
    return PQDB_OK;
}

/// Rows that come again: what went, and what of it differs.
static pqdb_code decode_same(struct decoder *decoder, uint16_t place, const struct chunk *chunk,
                             struct pq_column *column) {
    const size_t pairs = decoder->pairs, patch_count = chunk->length / 4;
    const uint32_t *patches = (const uint32_t *)(const void *)chunk->data;
    if (pairs == 0 || chunk->length % 4 != 0 || patch_count > pairs) {
        return damaged(decoder, "rows that come again where none went");
    }
    for (size_t i = 0; i < patch_count; i++) {
        if (patches[i] >= pairs || (i > 0 && patches[i] <= patches[i - 1])) {
            return damaged(decoder, "places of changed rows that do not rise");
        }
    }
    struct pq_column sources[2];
    for (size_t i = 0; i < 2; i++) {
        sources[i] = pq_log_column_of(column->type, decoder->names);
        sources[i].count = i == 0 ? pairs : patch_count + column->count - 2 * pairs;
        decoder->pairs = 0;
        PQ_TRY(decode_column(decoder, place, &sources[i]));
        decoder->pairs = pairs;
    }
    const struct pq_field field = {.type = *column->type};
    const struct pq_type row = {.kind = PQ_OBJECT, .field_count = 1, .fields = &field};
    const struct pq_batch gone = {.type = &row, .count = pairs, .columns = &sources[0]};
    const size_t bytes = 16 * column->count + 2 * pq_batch_bytes(&gone);
    if (bytes > decoder->budget) return damaged(decoder, "it claims more than a part may have");
    decoder->budget -= bytes;
    return join_pairs(decoder, patches, patch_count, sources, column);
}

/// `column` has type, count and the layout of its kind.
static pqdb_code decode_column(struct decoder *decoder, uint16_t place, struct pq_column *column) {
    struct chunk chunk;
    PQ_TRY(next_chunk(decoder, column->type, place, &chunk));
    if (chunk.marks == PQ_MARKS_NULL) {
        if (chunk.encoding != PQ_CHUNK_CONST || chunk.length != 0) {
            return damaged(decoder, "nulls with content");
        }
        return decode_nulls(decoder, column);
    }
    if (column->count == 0) return damaged(decoder, "values without rows");
    switch (chunk.encoding) {
        case PQ_CHUNK_CONST:
            return decode_const(decoder, &chunk, column);
        case PQ_CHUNK_FIXED:
            if (pq_kind_width(column->type->kind) == 0) break;
            return decode_fixed(decoder, &chunk, column);
        case PQ_CHUNK_BYTES:
            if (column->layout != PQ_BYTES) break;
            return decode_bytes(decoder, &chunk, column);
        case PQ_CHUNK_DICTIONARY:
            return decode_dictionary(decoder, &chunk, column);
        case PQ_CHUNK_COUNTING:
            if (chunk.length != 8) break;
            return decode_counting(decoder, pq_load_u64(chunk.data), column);
        case PQ_CHUNK_SEQ:
            if (chunk.length != 0) break;
            return decode_counting(decoder, decoder->first_seq, column);
        case PQ_CHUNK_ROWS:
            return decode_list(decoder, &chunk, column);
        case PQ_CHUNK_MEMBERS:
            return decode_object(decoder, &chunk, column);
        case PQ_CHUNK_SAME:
            return decode_same(decoder, place, &chunk, column);
    }
    return damaged(decoder, "an encoding that does not fit its column");
}

/// The chunks of a column that nobody reads.
static pqdb_code skip_column(struct decoder *decoder, const struct pq_type *type, uint16_t place,
                             bool may_repeat) {
    struct stored_chunk stored;
    PQ_TRY(take_chunk(decoder, type, place, &stored));
    if (stored.chunk.marks == PQ_MARKS_NULL) return PQDB_OK;
    switch (stored.chunk.encoding) {
        case PQ_CHUNK_ROWS:
            if (type->kind != PQ_LIST) return damaged(decoder, "rows of a wrong kind");
            return skip_column(decoder, &type->fields[0].type, 0, false);
        case PQ_CHUNK_MEMBERS:
            if (type->kind != PQ_OBJECT) return damaged(decoder, "members of a wrong kind");
            for (uint32_t k = 0; k < type->field_count; k++) {
                PQ_TRY(skip_column(decoder, &type->fields[k].type, (uint16_t)k, false));
            }
            return PQDB_OK;
        case PQ_CHUNK_SAME:
            if (!may_repeat) return damaged(decoder, "rows that come again where none went");
            PQ_TRY(skip_column(decoder, type, place, false));
            return skip_column(decoder, type, place, false);
        default: return PQDB_OK;
    }
}

/// `reads`: NULL, or which columns are.
static pqdb_code decode_batch(struct decoder *decoder, const struct pq_type *type,
                              const bool *reads, struct pq_log_rows *rows) {
    struct pq_batch *batch = &rows->batch;
    struct pq_column *columns;
    PQ_TRY(take(decoder, type->field_count, sizeof *columns, &columns));
    for (uint32_t k = 0; k < type->field_count; k++) {
        decoder->pairs = rows->rows_plus >= rows->rows_minus ? rows->rows_minus : 0;
        if (reads != NULL && !reads[k]) {
            columns[k] = (struct pq_column){.type = &type->fields[k].type};
            PQ_TRY(skip_column(decoder, columns[k].type, (uint16_t)k, decoder->pairs > 0));
            continue;
        }
        columns[k] = pq_log_column_of(&type->fields[k].type, decoder->names);
        columns[k].count = batch->count;
        PQ_TRY(decode_column(decoder, (uint16_t)k, &columns[k]));
    }
    if (pq_cursor_left(&decoder->cursor) > 0) return damaged(decoder, "bytes behind its columns");
    if (rows->rows_minus > 0) {
        int64_t *weights;
        PQ_TRY(take(decoder, batch->count, sizeof *weights, &weights));
        for (size_t i = 0; i < batch->count; i++) weights[i] = i < rows->rows_minus ? -1 : 1;
        batch->weights = weights;
    }
    batch->type = type;
    batch->columns = columns;
    return PQDB_OK;
}

/// Rows of an older shape of their collection are given in the shape that it has now.
static pqdb_code decode_as_wanted(struct decoder *decoder, const struct pq_log_schemas *schemas,
                                  const struct pq_type *type, struct pq_log_rows *rows) {
    const struct pq_type *wanted =
        schemas->wanted == NULL ? NULL : schemas->wanted(schemas->ctx, rows->collection);
    const bool is_older = wanted != NULL && wanted != type;
    const bool *reads = schemas->reads == NULL || is_older
                            ? NULL
                            : schemas->reads(schemas->ctx, rows->collection);
    PQ_TRY(decode_batch(decoder, type, reads, rows));
    if (!is_older) return PQDB_OK;
    const struct pq_batch stored = rows->batch;
    return pq_batch_project(&stored, wanted, decoder->names, decoder->arena, &rows->batch,
                            decoder->err);
}

/// `*made` is what it took of PQ_LOG_MADE_BYTES_MAX.
static pqdb_code decode_rows(struct pq_text bytes, const struct pq_log_schemas *schemas,
                             struct pq_arena *arena, struct pq_log_rows *rows, uint64_t *made,
                             pqdb_error *err) {
    pq_assert((uintptr_t)bytes.data % 8 == 0);
    struct decoder decoder = {.cursor = pq_cursor_of(bytes.data, bytes.length),
                              .arena = arena,
                              .budget = PQ_LOG_MADE_BYTES_MAX,
                              .err = err};
    const uint8_t *header = pq_cursor_take(&decoder.cursor, PQ_PART_HEADER_BYTES);
    if (header == NULL || header[0] != PQ_PART_ROWS ||
        pq_log_part_length(bytes) != bytes.length) {
        return damaged(&decoder, "no part of rows");
    }
    struct pq_log_rows read = {.collection = pq_load_u32(header + 8),
                               .schema_id = pq_load_u32(header + 12),
                               .rows_minus = pq_load_u32(header + 16),
                               .rows_plus = pq_load_u32(header + 20),
                               .first_seq = pq_load_u64(header + 24)};
    read.batch.count = (size_t)read.rows_minus + read.rows_plus;
    if (read.batch.count > PQ_LOG_ROWS_MAX) return damaged(&decoder, "too many rows");
    const struct pq_type *type =
        schemas == NULL ? NULL : schemas->type(schemas->ctx, read.collection, read.schema_id);
    if (type != NULL) {
        if (pq_load_u16(header + 2) != type->field_count) {
            return damaged(&decoder, "another count of columns than its schema");
        }
        decoder.names = schemas->names(schemas->ctx, read.collection);
        decoder.first_seq = read.first_seq;
        PQ_TRY(decode_as_wanted(&decoder, schemas, type, &read));
    }
    *rows = read;
    *made = PQ_LOG_MADE_BYTES_MAX - decoder.budget;
    return PQDB_OK;
}

pqdb_code pq_log_decode_rows(struct pq_text bytes, const struct pq_log_schemas *schemas,
                             struct pq_arena *arena, struct pq_log_rows *rows, pqdb_error *err) {
    uint64_t made;
    return decode_rows(bytes, schemas, arena, rows, &made, err);
}

static const struct pq_type *given_type(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)collection, (void)schema_id;
    return *(const struct pq_type *const *)ctx;
}

static struct pq_variant_names *no_names(void *ctx, uint32_t collection) {
    (void)ctx, (void)collection;
    return NULL;
}

bool pq_log_part_is_within(struct pq_text part, const struct pq_type *type, uint64_t bytes) {
    enum { small_bytes = 1 << 14 };
    const struct pq_log_schemas schemas = {.type = given_type, .names = no_names, .ctx = &type};
    struct pq_arena arena;
    struct pq_log_rows rows;
    uint64_t made = 0;
    if (part.length > small_bytes) return true;
    pq_arena_init(&arena, &pq_alloc_libc);
    const pqdb_code code = decode_rows(part, &schemas, &arena, &rows, &made, NULL);
    pq_arena_deinit(&arena);
    return code == PQDB_NO_MEMORY || (code == PQDB_OK && made <= bytes);
}

size_t pq_log_part_length(struct pq_text bytes) {
    if (bytes.length < PQ_PART_HEADER_BYTES) return 0;
    const size_t length = pq_load_u32(bytes.data + 4);
    return length >= PQ_PART_HEADER_BYTES && length % 8 == 0 && length <= bytes.length ? length : 0;
}

pqdb_code pq_log_decode_payload(struct pq_text bytes, struct pq_arena *arena,
                                struct pq_text *payload, pqdb_error *err) {
    struct decoder decoder = {.arena = arena, .budget = PQ_LOG_PART_BYTES_MAX, .err = err};
    const uint8_t *header = (const uint8_t *)bytes.data;
    const size_t raw = pq_load_u32(header + 8), length = pq_load_u32(header + 12);
    const struct pq_text stored = {bytes.data + PQ_PART_HEADER_BYTES, length};
    if (length > bytes.length - PQ_PART_HEADER_BYTES) return damaged(&decoder, "a payload cut off");
    struct chunk chunk = {.length = raw};
    if ((header[1] & PQ_PART_LZ4) != 0) {
        PQ_TRY(inflate(&decoder, stored, &chunk));
        *payload = (struct pq_text){(const char *)chunk.data, raw};
        return PQDB_OK;
    }
    if (raw != length) return damaged(&decoder, "two lengths of one payload");
    *payload = stored;
    return PQDB_OK;
}
