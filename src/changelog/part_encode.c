/// Encoding of parts. The format is in changelog/format_internal.h and docs/format.md.
#include "base/check.h"
#include "base/fail.h"
#include "batch/dictionary.h"
#include "changelog/format_internal.h"
#include "changelog/part_internal.h"
#include "codec/codec.h"

struct encoder {
    struct pq_bytes *out;
    pqdb_error *err;
    bool has_variant;
    bool is_seq_free;  // $seq may be left out
    bool waits_for_seq;  // and is, whatever it holds
    size_t pairs;      // rows that go, each of which comes again in its place behind them
    bool has_seq;      // it was: `first_seq` stands for it
    int64_t first_seq;
    uint64_t made;     // at least what part_decode.c will make of it
};

/// Rows [start, start + count) of a column, the unit of recursion.
struct range {
    const struct pq_column *column;
    size_t start;
    size_t count;
    uint16_t place;  // among its siblings
    bool is_top;
};

static pqdb_code too_large(pqdb_error *err) {
    return pq_fail(err, PQDB_LIMIT, "one write has more than %d rows, %d MiB, or %d MiB in "
                   "columns: write it in pieces", PQ_LOG_ROWS_MAX, PQ_LOG_PART_BYTES_MAX >> 20,
                   (int)(PQ_LOG_MADE_BYTES_MAX >> 20));
}

/// What a chunk makes when it is decoded, at most.
static uint64_t made_bytes(const struct range *range, enum pq_chunk_encoding encoding,
                           enum pq_chunk_marks marks, size_t raw) {
    const struct pq_type *type = range->column->type;
    const uint64_t count = range->count, width = pq_kind_width(type->kind);
    if (marks == PQ_MARKS_NULL) return pq_log_nulls_bytes(type, count);
    const uint64_t copies = raw <= PQ_LOG_CONST_BYTES_MAX / count ? count * raw : 0;
    const uint64_t bytes = raw + (marks == PQ_MARKS_OWN_NAMES ? count : 0);
    switch (encoding) {
        case PQ_CHUNK_CONST: return bytes + (width > 0 ? count * width : 4 * (count + 1) + copies);
        case PQ_CHUNK_FIXED: return bytes + (width > 8 ? count * width : 0);  // to align them
        case PQ_CHUNK_DICTIONARY: return bytes + 4 * count;
        case PQ_CHUNK_COUNTING:
        case PQ_CHUNK_SEQ: return bytes + 8 * count;
        case PQ_CHUNK_ROWS:
        case PQ_CHUNK_MEMBERS: return bytes + type->field_count * sizeof(struct pq_column);
        case PQ_CHUNK_BYTES:
        case PQ_CHUNK_SAME: return bytes;
    }
    return bytes;
}

/// Room for a chunk's header, `raw` bytes, their compressed form and the padding. The content goes
/// where the result points, then end_chunk closes it.
static uint8_t *begin_chunk(struct encoder *encoder, uint64_t raw, pqdb_code *code) {
    struct pq_bytes *out = encoder->out;
    *code = raw > PQ_LOG_PART_BYTES_MAX
                ? too_large(encoder->err)
                : pq_bytes_reserve(out, PQ_CHUNK_HEADER_BYTES + (size_t)(2 * raw + raw / 255 + 64),
                                   encoder->err);
    return *code == PQDB_OK ? out->data + out->length + PQ_CHUNK_HEADER_BYTES : NULL;
}

static void zero_padding(struct pq_bytes *out) {
    const size_t padded = pq_log_padded(out->length);
    memset(out->data + out->length, 0, padded - out->length);
    out->length = padded;
}

/// LZ4 of the `raw` bytes at the end of `out`, in their place, if that saves an eighth. True if so.
static pqdb_code compress_tail(struct pq_bytes *out, size_t raw, bool *packed, pqdb_error *err) {
    *packed = false;
    if (raw < PQ_LOG_LZ4_BYTES_MIN) return PQDB_OK;
    const size_t start = out->length - raw;
    const struct pq_text text = {(const char *)out->data + start, raw};
    PQ_TRY(pq_codec_lz4.compress(text, 0, out, err));
    const size_t length = out->length - start - raw;
    *packed = length <= raw - raw / 8;
    if (*packed) memmove(out->data + start, out->data + start + raw, length);
    out->length = start + (*packed ? length : raw);
    return PQDB_OK;
}

static pqdb_code end_chunk(struct encoder *encoder, const struct range *range,
                           enum pq_chunk_encoding encoding, enum pq_chunk_marks marks,
                           size_t raw) {
    struct pq_bytes *out = encoder->out;
    const size_t at = out->length;
    bool packed;
    encoder->made += made_bytes(range, encoding, marks, raw);
    out->length += PQ_CHUNK_HEADER_BYTES + raw;
    PQ_TRY(compress_tail(out, raw, &packed, encoder->err));
    uint8_t *header = out->data + at;
    pq_store_u16(header, range->place);
    header[2] = (uint8_t)range->column->type->kind;
    header[3] = (uint8_t)encoding;
    header[4] = packed ? PQ_CHUNK_LZ4 : PQ_CHUNK_RAW;
    header[5] = (uint8_t)marks;
    header[6] = range->column->type->scale;
    header[7] = 0;
    pq_store_u32(header + 8, (uint32_t)raw);
    pq_store_u32(header + 12, (uint32_t)(out->length - at - PQ_CHUNK_HEADER_BYTES));
    zero_padding(out);
    return PQDB_OK;
}

/// What the marks of a range say as a whole.
static enum pq_chunk_marks marks_of(const struct range *range) {
    const uint8_t *valid = range->column->valid;
    if (range->count == 0 || range->column->type->kind == PQ_NULL) return PQ_MARKS_NULL;
    if (valid == NULL) return PQ_MARKS_VALID;
    valid += range->start;
    if (memcmp(valid, valid + 1, range->count - 1) != 0) return PQ_MARKS_BYTES;
    return valid[0] == PQ_ROW_NULL        ? PQ_MARKS_NULL
           : valid[0] == PQ_ROW_OWN_NAMES ? PQ_MARKS_OWN_NAMES
                                          : PQ_MARKS_VALID;
}

static size_t marks_bytes(const struct range *range, enum pq_chunk_marks marks) {
    return marks == PQ_MARKS_BYTES ? range->count : 0;
}

static void put_marks(const struct range *range, enum pq_chunk_marks marks, uint8_t *at) {
    if (marks == PQ_MARKS_BYTES) memcpy(at, range->column->valid + range->start, range->count);
}

static pqdb_code encode_const(struct encoder *encoder, const struct range *range,
                              enum pq_chunk_marks marks, struct pq_text value) {
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, value.length, &code);
    PQ_TRY(code);
    if (value.length > 0) memcpy(at, value.data, value.length);
    return end_chunk(encoder, range, PQ_CHUNK_CONST, marks, value.length);
}

/// Does an 8-byte integer column count up by one?
static bool is_counting(const struct range *range) {
    const enum pq_kind kind = range->column->type->kind;
    if (kind != PQ_INT64 && kind != PQ_TIME && kind != PQ_TIMESTAMP) return false;
    const uint64_t *values = (const uint64_t *)range->column->values + range->start;
    for (size_t i = 1; i < range->count; i++) {
        if (values[i] != values[0] + i) return false;
    }
    return true;
}

/// Is it the column that first_seq may stand for?
static bool is_seq(const struct encoder *encoder, const struct range *range) {
    return encoder->is_seq_free && range->is_top && range->place == PQ_LOG_SEQ_COLUMN &&
           range->column->type->kind == PQ_INT64;
}

static pqdb_code encode_counting(struct encoder *encoder, const struct range *range) {
    const int64_t *values = (const int64_t *)range->column->values + range->start;
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, 8, &code);
    PQ_TRY(code);
    if (is_seq(encoder, range)) {
        encoder->has_seq = true;
        encoder->first_seq = values[0];
        return end_chunk(encoder, range, PQ_CHUNK_SEQ, PQ_MARKS_VALID, 0);
    }
    memcpy(at, values, 8);
    const enum pq_chunk_encoding encoding =
        range->count == 1 ? PQ_CHUNK_CONST : PQ_CHUNK_COUNTING;
    return end_chunk(encoder, range, encoding, PQ_MARKS_VALID, 8);
}

static pqdb_code encode_fixed(struct encoder *encoder, const struct range *range,
                              enum pq_chunk_marks marks) {
    const size_t width = pq_kind_width(range->column->type->kind);
    const uint8_t *values = (const uint8_t *)range->column->values + range->start * width;
    const size_t bytes = range->count * width;
    if (marks == PQ_MARKS_VALID) {
        const bool waits = encoder->waits_for_seq && is_seq(encoder, range);
        if (waits || is_counting(range)) return encode_counting(encoder, range);
        if (memcmp(values, values + width, bytes - width) == 0) {
            return encode_const(encoder, range, marks,
                                (struct pq_text){(const char *)values, width});
        }
    }
    const size_t padded = pq_log_padded(bytes), raw = padded + marks_bytes(range, marks);
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, raw, &code);
    PQ_TRY(code);
    memcpy(at, values, bytes);
    memset(at + bytes, 0, padded - bytes);
    put_marks(range, marks, at + padded);
    return end_chunk(encoder, range, PQ_CHUNK_FIXED, marks, raw);
}

/// Rows all of the same bytes? Then `*value` is them.
static bool is_one_text(const struct range *range, struct pq_text *value) {
    const uint32_t *offsets = range->column->offsets + range->start;
    const uint8_t *data = range->column->data + offsets[0];
    const size_t length = offsets[1] - offsets[0];
    *value = (struct pq_text){(const char *)data, length};
    if (range->count > 1 && length > PQ_LOG_CONST_BYTES_MAX / range->count) return false;
    for (size_t i = 1; i < range->count; i++) {
        if (offsets[i + 1] - offsets[i] != length) return false;
        if (length > 0 && memcmp(data, data + i * length, length) != 0) return false;
    }
    return true;
}

static void put_offsets(uint8_t *at, const uint32_t *offsets, size_t count) {
    const uint32_t base = offsets[0];
    for (size_t i = 0; i <= count; i++) pq_store_u32(at + 4 * i, offsets[i] - base);
}

static pqdb_code encode_bytes(struct encoder *encoder, const struct range *range,
                              enum pq_chunk_marks marks) {
    struct pq_text value;
    if (marks != PQ_MARKS_BYTES && is_one_text(range, &value)) {
        return encode_const(encoder, range, marks, value);
    }
    const uint32_t *offsets = range->column->offsets + range->start;
    const size_t data_bytes = offsets[range->count] - offsets[0];
    const size_t data_at = 4 * (range->count + 1);
    const uint64_t raw = (uint64_t)data_at + data_bytes + marks_bytes(range, marks);
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, raw, &code);
    PQ_TRY(code);
    put_offsets(at, offsets, range->count);
    if (data_bytes > 0) memcpy(at + data_at, range->column->data + offsets[0], data_bytes);
    put_marks(range, marks, at + data_at + data_bytes);
    return end_chunk(encoder, range, PQ_CHUNK_BYTES, marks, (size_t)raw);
}

/// Old code -> new code, in the order of first use.
struct recode {
    uint32_t *slots;  // pairs: old code + 1, new code; open addressing, zero when free
    uint32_t mask;
    uint32_t *used;   // old codes by new code
    uint32_t *codes;  // new codes by row
    uint32_t used_count;
    size_t text_bytes;
};

static uint32_t recode_one(struct recode *table, const struct pq_dictionary *dictionary,
                           uint32_t old) {
    uint32_t slot = old & table->mask;
    while (table->slots[2 * slot] != 0 && table->slots[2 * slot] != old + 1) {
        slot = (slot + 1) & table->mask;
    }
    if (table->slots[2 * slot] == 0) {
        table->slots[2 * slot] = old + 1;
        table->slots[2 * slot + 1] = table->used_count;
        table->used[table->used_count++] = old;
        table->text_bytes += dictionary->offsets[old + 1] - dictionary->offsets[old];
    }
    return table->slots[2 * slot + 1];
}

static void recode_rows(struct recode *table, const struct range *range) {
    const struct pq_column *column = range->column;
    const uint32_t *old = (const uint32_t *)column->values + range->start;
    for (size_t i = 0; i < range->count; i++) {
        const bool is_null = pq_column_is_null(column, range->start + i);
        table->codes[i] = is_null ? 0 : recode_one(table, column->dictionary, old[i]);
    }
}

static void put_codes(uint8_t *at, size_t width, const uint32_t *codes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (width == 1) at[i] = (uint8_t)codes[i];
        if (width == 2) pq_store_u16(at + 2 * i, (uint16_t)codes[i]);
        if (width == 4) pq_store_u32(at + 4 * i, codes[i]);
    }
}

static pqdb_code put_dictionary(struct encoder *encoder, const struct range *range,
                                enum pq_chunk_marks marks, const struct recode *table) {
    const struct pq_dictionary *dictionary = range->column->dictionary;
    const size_t entries = table->used_count, width = pq_log_code_width(table->used_count);
    const size_t codes_at = 4 + 4 * (entries + 1), data_at = codes_at + width * range->count;
    const size_t raw = data_at + table->text_bytes + marks_bytes(range, marks);
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, raw, &code);
    PQ_TRY(code);
    uint8_t *const data = at + data_at, *end = data;
    pq_store_u32(at, table->used_count);
    pq_store_u32(at + 4, 0);
    for (size_t i = 0; i < entries; i++) {
        const struct pq_text text = pq_dictionary_text(dictionary, table->used[i]);
        if (text.length > 0) memcpy(end, text.data, text.length);
        end += text.length;
        pq_store_u32(at + 8 + 4 * i, (uint32_t)(end - data));
    }
    put_codes(at + codes_at, width, table->codes, range->count);
    put_marks(range, marks, end);
    return end_chunk(encoder, range, PQ_CHUNK_DICTIONARY, marks, raw);
}

static pqdb_code encode_dictionary(struct encoder *encoder, const struct range *range,
                                   enum pq_chunk_marks marks) {
    const uint32_t *old = (const uint32_t *)range->column->values + range->start;
    if (marks == PQ_MARKS_VALID && memcmp(old, old + 1, (range->count - 1) * sizeof *old) == 0) {
        const struct pq_text text = pq_dictionary_text(range->column->dictionary, old[0]);
        return encode_const(encoder, range, marks, text);
    }
    // Batches of usual size need no memory of their own.
    enum { rows_on_stack = 1024, words_on_stack = 6 * rows_on_stack };
    uint32_t on_stack[words_on_stack], *words = on_stack;
    size_t slot_count = 16;
    while (slot_count < 2 * range->count) slot_count *= 2;
    const size_t word_count = 2 * slot_count + 2 * range->count;
    const struct pq_alloc *alloc = encoder->out->alloc;
    if (word_count > words_on_stack) {
        words = pq_resize(alloc, NULL, 0, word_count, sizeof *words);
        if (words == NULL) return pq_fail(encoder->err, PQDB_NO_MEMORY, "codes of a column");
    }
    memset(words, 0, 2 * slot_count * sizeof *words);
    struct recode table = {.slots = words,
                           .mask = (uint32_t)slot_count - 1,
                           .used = words + 2 * slot_count,
                           .codes = words + 2 * slot_count + range->count};
    recode_rows(&table, range);
    const pqdb_code code = put_dictionary(encoder, range, marks, &table);
    if (words != on_stack) pq_free(alloc, words, word_count, sizeof *words);
    return code;
}

static pqdb_code encode_range(struct encoder *encoder, const struct range *range);

static pqdb_code encode_list(struct encoder *encoder, const struct range *range,
                             enum pq_chunk_marks marks) {
    const uint32_t *offsets = range->column->offsets + range->start;
    const size_t raw = 4 * (range->count + 1) + marks_bytes(range, marks);
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, raw, &code);
    PQ_TRY(code);
    put_offsets(at, offsets, range->count);
    put_marks(range, marks, at + 4 * (range->count + 1));
    PQ_TRY(end_chunk(encoder, range, PQ_CHUNK_ROWS, marks, raw));
    const struct range elements = {.column = &range->column->children[0],
                                   .start = offsets[0],
                                   .count = offsets[range->count] - offsets[0]};
    return encode_range(encoder, &elements);
}

static pqdb_code encode_object(struct encoder *encoder, const struct range *range,
                               enum pq_chunk_marks marks) {
    const size_t raw = marks_bytes(range, marks);
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, raw, &code);
    PQ_TRY(code);
    put_marks(range, marks, at);
    PQ_TRY(end_chunk(encoder, range, PQ_CHUNK_MEMBERS, marks, raw));
    for (uint32_t k = 0; k < range->column->type->field_count; k++) {
        const struct range member = {.column = &range->column->children[k],
                                     .start = range->start,
                                     .count = range->count,
                                     .place = (uint16_t)k};
        PQ_TRY(encode_range(encoder, &member));
    }
    return PQDB_OK;
}

static pqdb_code encode_range(struct encoder *encoder, const struct range *range) {
    const enum pq_chunk_marks marks = marks_of(range);
    if (range->column->type->kind == PQ_VARIANT) encoder->has_variant = true;
    if (range->count > PQ_LOG_ROWS_MAX) return too_large(encoder->err);
    if (marks == PQ_MARKS_NULL) return encode_const(encoder, range, marks, (struct pq_text){0});
    switch (range->column->layout) {
        case PQ_FIXED:
            return encode_fixed(encoder, range, marks);
        case PQ_BYTES:
            return encode_bytes(encoder, range, marks);
        case PQ_DICTIONARY:
            return encode_dictionary(encoder, range, marks);
        case PQ_ROWS:
            return encode_list(encoder, range, marks);
        case PQ_MEMBERS:
            return encode_object(encoder, range, marks);
    }
    pq_assert(false);  // a layout of batch/column.h
    return PQDB_UNSUPPORTED;
}

// ---- rows that come again ---------------------------------------------------------------------

/// Do two rows of a column have the same bytes?
static bool rows_equal(const struct pq_column *column, size_t a, size_t b) {
    const uint8_t *valid = column->valid;
    if (valid != NULL && valid[a] != valid[b]) return false;
    if (column->type->kind == PQ_NULL || (valid != NULL && valid[a] == PQ_ROW_NULL)) return true;
    const size_t width = column->layout == PQ_DICTIONARY ? 4 : pq_kind_width(column->type->kind);
    const uint32_t *offsets = column->offsets;
    switch (column->layout) {
    case PQ_FIXED:
    case PQ_DICTIONARY: {
        const uint8_t *values = column->values;
        return memcmp(values + a * width, values + b * width, width) == 0;
    }
    case PQ_BYTES: {
        const size_t length = offsets[a + 1] - offsets[a];
        return length == offsets[b + 1] - offsets[b] &&
               (length == 0 ||
                memcmp(column->data + offsets[a], column->data + offsets[b], length) == 0);
    }
    case PQ_ROWS: {
        const size_t length = offsets[a + 1] - offsets[a];
        if (length != offsets[b + 1] - offsets[b]) return false;
        for (size_t i = 0; i < length; i++) {
            if (!rows_equal(&column->children[0], offsets[a] + i, offsets[b] + i)) return false;
        }
        return true;
    }
    case PQ_MEMBERS:
        for (uint32_t k = 0; k < column->type->field_count; k++) {
            if (!rows_equal(&column->children[k], a, b)) return false;
        }
        return true;
    }
    return false;
}

static bool is_uniform(const struct pq_column *column) {
    for (size_t row = 1; row < column->count; row++) {
        if (!rows_equal(column, 0, row)) return false;
    }
    return true;
}

/// The positions, from 0 among the rows that come, of those that are not as they went, and of
/// those that were not there; NULL where too many differ for that to be worth it.
static uint32_t *find_patches(const struct encoder *encoder, const struct pq_column *column,
                              struct pq_arena *arena, size_t *count, pqdb_code *code) {
    const size_t pairs = encoder->pairs, come = column->count - pairs;
    uint32_t *rows = pq_arena_alloc(arena, come * sizeof *rows);
    *code = rows == NULL ? pq_fail(encoder->err, PQDB_NO_MEMORY, "an update") : PQDB_OK;
    *count = 0;
    for (size_t row = 0; rows != NULL && row < come; row++) {
        if (row < pairs && rows_equal(column, row, pairs + row)) continue;
        rows[(*count)++] = (uint32_t)(pairs + row);
        if (row < pairs && *count * 2 > pairs) return NULL;
    }
    return rows;
}

static pqdb_code put_same(struct encoder *encoder, const struct range *range,
                          const uint32_t *patches, size_t count, struct pq_arena *arena) {
    size_t differing = 0;
    while (differing < count && patches[differing] < 2 * encoder->pairs) differing++;
    pqdb_code code;
    uint8_t *at = begin_chunk(encoder, 4 * differing, &code);
    PQ_TRY(code);
    for (size_t i = 0; i < differing; i++) {
        pq_store_u32(at + 4 * i, patches[i] - (uint32_t)encoder->pairs);
    }
    PQ_TRY(end_chunk(encoder, range, PQ_CHUNK_SAME, PQ_MARKS_VALID, 4 * differing));
    const struct range gone = {
        .column = range->column, .count = encoder->pairs, .place = range->place};
    const uint64_t before = encoder->made;
    PQ_TRY(encode_range(encoder, &gone));
    // They are copied twice, with a mark for each row and what a builder takes.
    encoder->made += 3 * (encoder->made - before) + 18 * (uint64_t)range->column->count;
    struct pq_column column;
    PQ_TRY(pq_column_gather(range->column, patches, count, arena, &column, encoder->err));
    const struct range fresh = {.column = &column, .count = count, .place = range->place};
    return encode_range(encoder, &fresh);
}

/// A top-level column of rows that come again: what differs, where little does.
static pqdb_code encode_pairs(struct encoder *encoder, const struct range *range) {
    if (encoder->pairs == 0 || is_uniform(range->column)) return encode_range(encoder, range);
    struct pq_arena arena;
    size_t count;
    pqdb_code code;
    pq_arena_init(&arena, encoder->out->alloc);
    const uint32_t *patches = find_patches(encoder, range->column, &arena, &count, &code);
    if (code == PQDB_OK) {
        code = patches == NULL ? encode_range(encoder, range)
                               : put_same(encoder, range, patches, count, &arena);
    }
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code encode_columns(struct encoder *encoder, const struct pq_batch *batch) {
    const size_t start = encoder->out->length;
    for (uint32_t k = 0; k < batch->type->field_count; k++) {
        const struct range range = {.column = &batch->columns[k],
                                    .count = batch->count,
                                    .place = (uint16_t)k,
                                    .is_top = true};
        PQ_TRY(encode_pairs(encoder, &range));
        if (encoder->out->length - start > PQ_LOG_PART_BYTES_MAX ||
            encoder->made > PQ_LOG_MADE_BYTES_MAX) {
            return too_large(encoder->err);
        }
    }
    return PQDB_OK;
}

/// The header's room, all zero.
static pqdb_code begin_part(struct pq_bytes *out, pqdb_error *err) {
    pq_assert(out->length % 8 == 0);
    PQ_TRY(pq_bytes_reserve(out, PQ_PART_HEADER_BYTES, err));
    memset(out->data + out->length, 0, PQ_PART_HEADER_BYTES);
    out->length += PQ_PART_HEADER_BYTES;
    return PQDB_OK;
}

pqdb_code pq_log_encode_rows(const struct pq_log_rows *rows, struct pq_bytes *out,
                             pqdb_error *err) {
    const struct pq_batch *batch = &rows->batch;
    pq_assert(batch->count == (size_t)rows->rows_minus + rows->rows_plus);
    pq_assert(batch->type->kind == PQ_OBJECT);
    const size_t start = out->length;
    if (batch->count > PQ_LOG_ROWS_MAX || batch->type->field_count > UINT16_MAX) {
        return too_large(err);
    }
    const bool has_pairs = rows->rows_plus >= rows->rows_minus;
    struct encoder encoder = {.out = out, .err = err, .is_seq_free = rows->rows_minus == 0,
                              .waits_for_seq = rows->waits_for_seq,
                              .pairs = has_pairs ? rows->rows_minus : 0,
                              .made = batch->type->field_count * sizeof(struct pq_column) +
                                      (rows->rows_minus > 0 ? 8 * (uint64_t)batch->count : 0)};
    pqdb_code code;
    PQ_GO(begin_part(out, err));
    PQ_GO(encode_columns(&encoder, batch));
    uint8_t *header = out->data + start;
    header[0] = PQ_PART_ROWS;
    header[1] = encoder.has_variant ? PQ_PART_HAS_VARIANT : 0;
    pq_store_u16(header + 2, (uint16_t)batch->type->field_count);
    pq_store_u32(header + 4, (uint32_t)(out->length - start));
    pq_store_u32(header + 8, rows->collection);
    pq_store_u32(header + 12, rows->schema_id);
    pq_store_u32(header + 16, rows->rows_minus);
    pq_store_u32(header + 20, rows->rows_plus);
    pq_store_u64(header + 24, encoder.has_seq ? (uint64_t)encoder.first_seq : rows->first_seq);
    pq_assert_slow(pq_log_part_is_within((struct pq_text){(const char *)header,
                                                          out->length - start},
                                         batch->type, encoder.made));
done:
    if (code != PQDB_OK) out->length = start;
    return code;
}

pqdb_code pq_log_encode_payload(struct pq_text payload, struct pq_bytes *out, pqdb_error *err) {
    const size_t start = out->length;
    if (payload.length > PQ_LOG_PART_BYTES_MAX) return too_large(err);
    bool packed;
    pqdb_code code;
    PQ_GO(begin_part(out, err));
    PQ_GO(pq_bytes_reserve(out, 2 * payload.length + payload.length / 255 + 64, err));
    if (payload.length > 0) memcpy(out->data + out->length, payload.data, payload.length);
    out->length += payload.length;
    PQ_GO(compress_tail(out, payload.length, &packed, err));
    const size_t length = out->length - start - PQ_PART_HEADER_BYTES;
    zero_padding(out);
    uint8_t *header = out->data + start;
    header[0] = PQ_PART_PAYLOAD;
    header[1] = packed ? PQ_PART_LZ4 : 0;
    pq_store_u32(header + 4, (uint32_t)(out->length - start));
    pq_store_u32(header + 8, (uint32_t)payload.length);
    pq_store_u32(header + 12, (uint32_t)length);
done:
    if (code != PQDB_OK) out->length = start;
    return code;
}
