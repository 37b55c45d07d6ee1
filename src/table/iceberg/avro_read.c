#include <inttypes.h>

#include "base/fail.h"
#include "codec/codec.h"
#include "codec/crc32.h"
#include "table/iceberg/avro.h"

/// Values have bytes, on the whole, or the file is a bomb: types without any (null, empty records)
/// may not multiply through named types.
enum { VALUES_PER_BYTE_MAX = 64, VALUES_BASE = 1024 };

static const uint8_t magic[4] = {'O', 'b', 'j', 1};

struct pq_avro_reader {
    const struct pq_alloc *alloc;
    struct pq_arena file_arena;    // schema and header
    struct pq_arena record_arena;  // one record's values
    const struct pq_avro_node *schema;
    struct pq_avro_entry *entries;
    size_t entry_count;
    const struct pq_codec *codec;  // NULL: blocks are not compressed
    const uint8_t *sync;           // view into the file
    struct pq_cursor file;
    struct pq_bytes expanded;
    struct pq_cursor block;
    uint64_t records_left;
    uint64_t values_left;
};

static pqdb_code cut_off(pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "Avro file ends in the middle of a value");
}

static int64_t take_long(struct pq_cursor *cursor) {
    return pq_unzigzag(pq_cursor_varint(cursor));
}

static pqdb_code take_bytes(struct pq_cursor *cursor, struct pq_text *bytes, pqdb_error *err) {
    const int64_t length = take_long(cursor);
    if (cursor->failed || length < 0) return cut_off(err);
    bytes->data = (const char *)pq_cursor_take(cursor, (size_t)length);
    bytes->length = (size_t)length;
    return cursor->failed ? cut_off(err) : PQDB_OK;
}

/// How many items the next block of an array or map has; 0 ends it. A negative count is followed by
/// the block's length in bytes, which only those need that skip.
static pqdb_code take_count(struct pq_cursor *cursor, uint64_t *count, pqdb_error *err) {
    const int64_t given = take_long(cursor);
    if (given < 0) take_long(cursor);
    *count = given < 0 ? 0 - (uint64_t)given : (uint64_t)given;
    if (cursor->failed || *count > pq_cursor_left(cursor)) return cut_off(err);
    return PQDB_OK;
}

static pqdb_code decode(struct pq_avro_reader *reader, const struct pq_avro_node *node,
                        unsigned depth, struct pq_avro_value *value, pqdb_error *err);

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "no memory for an Avro record");
}

static pqdb_code decode_record(struct pq_avro_reader *reader, const struct pq_avro_node *node,
                               unsigned depth, struct pq_avro_value *value, pqdb_error *err) {
    struct pq_avro_value *fields =
        pq_arena_calloc(&reader->record_arena, node->member_count, sizeof *fields);
    if (fields == NULL) return no_memory(err);
    for (size_t i = 0; i < node->member_count; i++) {
        PQ_TRY(decode(reader, node->members[i].node, depth, &fields[i], err));
    }
    value->count = node->member_count;
    value->as.items = fields;
    return PQDB_OK;
}

static pqdb_code grow_items(struct pq_avro_reader *reader, struct pq_avro_value **items,
                            size_t count, size_t *capacity, size_t needed, pqdb_error *err) {
    if (needed <= *capacity) return PQDB_OK;
    const size_t wanted = needed > 2 * *capacity ? needed : 2 * *capacity;
    struct pq_avro_value *grown =
        pq_arena_alloc(&reader->record_arena, wanted * sizeof *grown);
    if (grown == NULL) return no_memory(err);
    if (count > 0) memcpy(grown, *items, count * sizeof *grown);
    *items = grown;
    *capacity = wanted;
    return PQDB_OK;
}

/// ARRAY and MAP. A map's items are key, value, key, value.
static pqdb_code decode_items(struct pq_avro_reader *reader, const struct pq_avro_node *node,
                              unsigned depth, struct pq_avro_value *value, pqdb_error *err) {
    const size_t width = node->kind == PQ_AVRO_MAP ? 2 : 1;
    struct pq_avro_value *items = NULL;
    size_t count = 0, capacity = 0;
    for (;;) {
        uint64_t more = 0;
        PQ_TRY(take_count(&reader->block, &more, err));
        if (more == 0) break;
        if (more > reader->values_left) return cut_off(err);
        PQ_TRY(grow_items(reader, &items, count, &capacity, count + (size_t)more * width, err));
        for (uint64_t i = 0; i < more; i++) {
            if (width == 2) {
                items[count] = (struct pq_avro_value){.kind = PQ_AVRO_STRING};
                PQ_TRY(take_bytes(&reader->block, &items[count++].as.bytes, err));
            }
            PQ_TRY(decode(reader, node->members[0].node, depth, &items[count++], err));
        }
    }
    value->count = count;
    value->as.items = items;
    return PQDB_OK;
}

static pqdb_code decode_union(struct pq_avro_reader *reader, const struct pq_avro_node *node,
                              unsigned depth, struct pq_avro_value *value, pqdb_error *err) {
    const int64_t branch = take_long(&reader->block);
    if (reader->block.failed) return cut_off(err);
    if (branch < 0 || (uint64_t)branch >= node->member_count) {
        return pq_fail(err, PQDB_CORRUPT, "Avro union has no branch %" PRId64, branch);
    }
    return decode(reader, node->members[branch].node, depth, value, err);
}

static pqdb_code decode_enum(struct pq_avro_reader *reader, const struct pq_avro_node *node,
                             struct pq_avro_value *value, pqdb_error *err) {
    const int64_t symbol = take_long(&reader->block);
    if (reader->block.failed) return cut_off(err);
    if (symbol < 0 || (uint64_t)symbol >= node->member_count) {
        return pq_fail(err, PQDB_CORRUPT, "Avro enum has no symbol %" PRId64, symbol);
    }
    value->as.bytes = node->members[symbol].name;
    return PQDB_OK;
}

static pqdb_code decode_number(struct pq_avro_reader *reader, struct pq_avro_value *value,
                               pqdb_error *err) {
    struct pq_cursor *block = &reader->block;
    if (value->kind == PQ_AVRO_BOOL) {
        value->as.integer = pq_cursor_u8(block) != 0;
    } else if (value->kind == PQ_AVRO_FLOAT) {
        const uint32_t bits = pq_cursor_u32(block);
        float real;
        memcpy(&real, &bits, sizeof real);
        value->as.real = (double)real;
    } else if (value->kind == PQ_AVRO_DOUBLE) {
        const uint64_t bits = pq_cursor_u64(block);
        memcpy(&value->as.real, &bits, sizeof value->as.real);
    } else {
        value->as.integer = take_long(block);
        if (value->kind == PQ_AVRO_INT &&
            (value->as.integer < INT32_MIN || value->as.integer > INT32_MAX)) {
            return pq_fail(err, PQDB_CORRUPT, "Avro int %" PRId64 " leaves 32 bits",
                           value->as.integer);
        }
    }
    return block->failed ? cut_off(err) : PQDB_OK;
}

static pqdb_code decode(struct pq_avro_reader *reader, const struct pq_avro_node *node,
                        unsigned depth, struct pq_avro_value *value, pqdb_error *err) {
    if (depth >= PQ_AVRO_DEPTH_MAX) {
        return pq_fail(err, PQDB_CORRUPT, "Avro value is nested deeper than %d",
                       PQ_AVRO_DEPTH_MAX);
    }
    if (reader->values_left == 0) {
        return pq_fail(err, PQDB_CORRUPT, "Avro block has far more values than bytes");
    }
    reader->values_left--;
    *value = (struct pq_avro_value){.kind = node->kind, .node = node};
    switch (node->kind) {
        case PQ_AVRO_NULL: return PQDB_OK;
        case PQ_AVRO_BYTES:
        case PQ_AVRO_STRING: return take_bytes(&reader->block, &value->as.bytes, err);
        case PQ_AVRO_FIXED:
            value->as.bytes.data = (const char *)pq_cursor_take(&reader->block, node->fixed_bytes);
            value->as.bytes.length = node->fixed_bytes;
            return reader->block.failed ? cut_off(err) : PQDB_OK;
        case PQ_AVRO_ENUM: return decode_enum(reader, node, value, err);
        case PQ_AVRO_ARRAY:
        case PQ_AVRO_MAP: return decode_items(reader, node, depth + 1, value, err);
        case PQ_AVRO_RECORD: return decode_record(reader, node, depth + 1, value, err);
        case PQ_AVRO_UNION: return decode_union(reader, node, depth + 1, value, err);
        default: return decode_number(reader, value, err);
    }
}

/// Snappy blocks end with the big-endian CRC-32 of what they hold.
static pqdb_code expand_snappy(struct pq_avro_reader *reader, struct pq_text data,
                               pqdb_error *err) {
    if (data.length < 4) return cut_off(err);
    const uint8_t *tail = (const uint8_t *)data.data + data.length - 4;
    data.length -= 4;
    PQ_TRY(pq_codec_expand(reader->codec, data, PQ_AVRO_BLOCK_BYTES_MAX, &reader->expanded, err));
    const uint32_t check = (uint32_t)tail[0] << 24 | (uint32_t)tail[1] << 16 |
                           (uint32_t)tail[2] << 8 | (uint32_t)tail[3];
    if (pq_crc32(0, reader->expanded.data, reader->expanded.length) != check) {
        return pq_fail(err, PQDB_CORRUPT, "Avro block has another checksum than its bytes");
    }
    return PQDB_OK;
}

static pqdb_code next_block(struct pq_avro_reader *reader, pqdb_error *err) {
    const int64_t count = take_long(&reader->file);
    struct pq_text data = {NULL, 0};
    PQ_TRY(take_bytes(&reader->file, &data, err));
    const uint8_t *sync = pq_cursor_take(&reader->file, PQ_AVRO_SYNC_BYTES);
    if (sync == NULL) return cut_off(err);
    if (memcmp(sync, reader->sync, PQ_AVRO_SYNC_BYTES) != 0) {
        return pq_fail(err, PQDB_CORRUPT, "Avro block does not end with the file's sync marker");
    }
    if (reader->codec != NULL) {
        reader->expanded.length = 0;
        if (reader->codec == &pq_codec_snappy) {
            PQ_TRY(expand_snappy(reader, data, err));
        } else {
            PQ_TRY(pq_codec_expand(reader->codec, data, PQ_AVRO_BLOCK_BYTES_MAX,
                                   &reader->expanded, err));
        }
        data = pq_bytes_text(&reader->expanded);
    }
    if (count < 0 || (uint64_t)count > data.length) {
        return pq_fail(err, PQDB_CORRUPT, "Avro block of %zu bytes claims %" PRId64 " records",
                       data.length, count);
    }
    reader->block = pq_cursor_of(data.data, data.length);
    reader->records_left = (uint64_t)count;
    reader->values_left = (uint64_t)data.length * VALUES_PER_BYTE_MAX + VALUES_BASE;
    return PQDB_OK;
}

pqdb_code pq_avro_next(struct pq_avro_reader *reader, const struct pq_avro_value **record,
                       pqdb_error *err) {
    while (reader->records_left == 0) {
        if (pq_cursor_left(&reader->block) > 0) {
            return pq_fail(err, PQDB_CORRUPT, "Avro block goes on after its last record");
        }
        if (pq_cursor_left(&reader->file) == 0) {
            *record = NULL;
            return PQDB_OK;
        }
        PQ_TRY(next_block(reader, err));
    }
    pq_arena_reset(&reader->record_arena);
    struct pq_avro_value *value = pq_arena_calloc(&reader->record_arena, 1, sizeof *value);
    if (value == NULL) return no_memory(err);
    PQ_TRY(decode(reader, reader->schema, 0, value, err));
    reader->records_left--;
    *record = value;
    return PQDB_OK;
}

const struct pq_avro_value *pq_avro_find(const struct pq_avro_value *record, int32_t id) {
    if (record->kind != PQ_AVRO_RECORD) return NULL;
    for (size_t i = 0; i < record->count; i++) {
        if (record->node->members[i].id != id) continue;
        return record->as.items[i].kind == PQ_AVRO_NULL ? NULL : &record->as.items[i];
    }
    return NULL;
}

struct pq_text pq_avro_header(const struct pq_avro_reader *reader, const char *key) {
    for (size_t i = 0; i < reader->entry_count; i++) {
        if (pq_text_is(reader->entries[i].key, key)) return reader->entries[i].value;
    }
    return (struct pq_text){NULL, 0};
}

static pqdb_code read_entries(struct pq_avro_reader *reader, pqdb_error *err) {
    for (;;) {
        uint64_t count = 0;
        PQ_TRY(take_count(&reader->file, &count, err));
        if (count == 0) return PQDB_OK;
        const size_t total = reader->entry_count + (size_t)count;
        struct pq_avro_entry *entries =
            pq_arena_alloc(&reader->file_arena, total * sizeof *entries);
        if (entries == NULL) return no_memory(err);
        if (reader->entry_count > 0) {
            memcpy(entries, reader->entries, reader->entry_count * sizeof *entries);
        }
        reader->entries = entries;
        for (; reader->entry_count < total; reader->entry_count++) {
            struct pq_avro_entry *entry = &entries[reader->entry_count];
            PQ_TRY(take_bytes(&reader->file, &entry->key, err));
            PQ_TRY(take_bytes(&reader->file, &entry->value, err));
        }
    }
}

static pqdb_code find_codec(struct pq_avro_reader *reader, pqdb_error *err) {
    const struct pq_text name = pq_avro_header(reader, "avro.codec");
    if (name.data == NULL || pq_text_is(name, "null")) return PQDB_OK;
    if (pq_text_is(name, "deflate")) reader->codec = &pq_codec_deflate;
    if (pq_text_is(name, "snappy")) reader->codec = &pq_codec_snappy;
    if (pq_text_is(name, "zstandard")) reader->codec = &pq_codec_zstd;
    if (reader->codec != NULL) return PQDB_OK;
    return pq_fail(err, PQDB_UNSUPPORTED, "Avro file is compressed with '%.*s'",
                   PQ_TEXT_ARG(name));
}

static pqdb_code read_header(struct pq_avro_reader *reader, pqdb_error *err) {
    const uint8_t *start = pq_cursor_take(&reader->file, sizeof magic);
    if (start == NULL || memcmp(start, magic, sizeof magic) != 0) {
        return pq_fail(err, PQDB_CORRUPT, "not an Avro file");
    }
    PQ_TRY(read_entries(reader, err));
    reader->sync = pq_cursor_take(&reader->file, PQ_AVRO_SYNC_BYTES);
    if (reader->sync == NULL) return cut_off(err);
    PQ_TRY(find_codec(reader, err));
    const struct pq_text schema = pq_avro_header(reader, "avro.schema");
    if (schema.data == NULL) return pq_fail(err, PQDB_CORRUPT, "Avro file without a schema");
    return pq_avro_schema_parse(schema, &reader->file_arena, &reader->schema, err);
}

pqdb_code pq_avro_open(struct pq_text file, const struct pq_alloc *alloc,
                       struct pq_avro_reader **reader, pqdb_error *err) {
    struct pq_avro_reader *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return no_memory(err);
    *made = (struct pq_avro_reader){.alloc = alloc};
    made->file = pq_cursor_of(file.data, file.length);
    made->block = pq_cursor_of(file.data, 0);
    pq_arena_init(&made->file_arena, alloc);
    pq_arena_init(&made->record_arena, alloc);
    pq_bytes_init(&made->expanded, alloc);
    const pqdb_code code = read_header(made, err);
    if (code != PQDB_OK) {
        pq_avro_close(made);
        return code;
    }
    *reader = made;
    return PQDB_OK;
}

void pq_avro_close(struct pq_avro_reader *reader) {
    if (reader == NULL) return;
    pq_arena_deinit(&reader->file_arena);
    pq_arena_deinit(&reader->record_arena);
    pq_bytes_deinit(&reader->expanded);
    pq_free(reader->alloc, reader, 1, sizeof *reader);
}
