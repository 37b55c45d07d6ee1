#include "parquet/inspect.h"

#include <stdio.h>

#include "base/check.h"
#include "base/fail.h"
#include "parquet/file_reader_internal.h"
#include "parquet/page_write.h"

enum { header_bytes = 4096, header_bytes_max = 16 << 20, text_max = 64 };

size_t pq_parquet_leaf_count(const struct pq_parquet_file *file) { return file->schema.leaf_count; }

// ---- words of the specification ---------------------------------------------------------------

static const char *name_in(const char *const *names, size_t count, int32_t number) {
    const bool is_known = number >= 0 && (size_t)number < count && names[number] != NULL;
    return is_known ? names[number] : "unknown";
}

#define NAME_IN(names, number) name_in(names, sizeof(names) / sizeof *(names), number)

static const char *encoding_name(int32_t encoding) {
    static const char *const names[] = {
        [PQ_ENCODING_PLAIN] = "PLAIN",
        [PQ_ENCODING_PLAIN_DICTIONARY] = "PLAIN_DICTIONARY",
        [PQ_ENCODING_RLE] = "RLE",
        [PQ_ENCODING_BIT_PACKED] = "BIT_PACKED",
        [PQ_ENCODING_DELTA_BINARY_PACKED] = "DELTA_BINARY_PACKED",
        [PQ_ENCODING_DELTA_LENGTH_BYTE_ARRAY] = "DELTA_LENGTH_BYTE_ARRAY",
        [PQ_ENCODING_DELTA_BYTE_ARRAY] = "DELTA_BYTE_ARRAY",
        [PQ_ENCODING_RLE_DICTIONARY] = "RLE_DICTIONARY",
        [PQ_ENCODING_BYTE_STREAM_SPLIT] = "BYTE_STREAM_SPLIT",
    };
    return NAME_IN(names, encoding);
}

static const char *codec_name(int32_t number) {
    static const char *const names[] = {"none", "snappy", "gzip", "lzo",
                                        "brotli", "lz4_hadoop", "zstd", "lz4"};
    return NAME_IN(names, number);
}

static const char *converted_name(int32_t converted) {
    static const char *const names[] = {
        "UTF8", "MAP", "MAP_KEY_VALUE", "LIST", "ENUM", "DECIMAL", "DATE", "TIME_MILLIS",
        "TIME_MICROS", "TIMESTAMP_MILLIS", "TIMESTAMP_MICROS", "UINT_8", "UINT_16", "UINT_32",
        "UINT_64", "INT_8", "INT_16", "INT_32", "INT_64", "JSON", "BSON", "INTERVAL"};
    return NAME_IN(names, converted);
}

/// The arm of a logical type; NULL when there is none we know.
static const char *logical_name(const struct pq_meta_logical *logical) {
    static const char *const names[] = {
        [PQ_LOGICAL_STRING] = "STRING",       [PQ_LOGICAL_MAP] = "MAP",
        [PQ_LOGICAL_LIST] = "LIST",           [PQ_LOGICAL_ENUM] = "ENUM",
        [PQ_LOGICAL_DECIMAL] = "DECIMAL",     [PQ_LOGICAL_DATE] = "DATE",
        [PQ_LOGICAL_TIME] = "TIME",           [PQ_LOGICAL_TIMESTAMP] = "TIMESTAMP",
        [PQ_LOGICAL_INTEGER] = "INT",         [PQ_LOGICAL_UNKNOWN] = "UNKNOWN",
        [PQ_LOGICAL_JSON] = "JSON",           [PQ_LOGICAL_BSON] = "BSON",
        [PQ_LOGICAL_UUID] = "UUID",           [PQ_LOGICAL_FLOAT16] = "FLOAT16",
        [PQ_LOGICAL_VARIANT] = "VARIANT",     [PQ_LOGICAL_GEOMETRY] = "GEOMETRY",
        [PQ_LOGICAL_GEOGRAPHY] = "GEOGRAPHY",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i] != NULL && PQ_THRIFT_HAS(logical, i)) return names[i];
    }
    return NULL;
}

static const char *unit_name(const struct pq_meta_unit *unit) {
    if (PQ_THRIFT_HAS(unit, PQ_UNIT_MILLIS)) return "ms";
    return PQ_THRIFT_HAS(unit, PQ_UNIT_MICROS) ? "us" : "ns";
}

static void describe_logical(const struct pq_meta_logical *logical, char text[text_max]) {
    const char *name = logical_name(logical);
    if (PQ_THRIFT_HAS(logical, PQ_LOGICAL_DECIMAL)) {
        snprintf(text, text_max, "DECIMAL(%d,%d)", logical->decimal.precision,
                 logical->decimal.scale);
    } else if (PQ_THRIFT_HAS(logical, PQ_LOGICAL_TIME) ||
               PQ_THRIFT_HAS(logical, PQ_LOGICAL_TIMESTAMP)) {
        snprintf(text, text_max, "%s(%s,%s)", name, unit_name(&logical->time.unit),
                 logical->time.is_utc ? "UTC" : "local");
    } else if (PQ_THRIFT_HAS(logical, PQ_LOGICAL_INTEGER)) {
        snprintf(text, text_max, "%sINT(%d)", logical->integer.is_signed ? "" : "U",
                 logical->integer.bit_width);
    } else {
        snprintf(text, text_max, "%s", name);
    }
}

static void describe_annotation(const struct pq_meta_element *element, char text[text_max]) {
    text[0] = '\0';
    if (PQ_THRIFT_HAS(element, PQ_ELEMENT_LOGICAL) && logical_name(&element->logical) != NULL) {
        describe_logical(&element->logical, text);
    } else if (PQ_THRIFT_HAS(element, PQ_ELEMENT_CONVERTED)) {
        if (element->converted == PQ_CONVERTED_DECIMAL) {
            snprintf(text, text_max, "DECIMAL(%d,%d)", element->precision, element->scale);
        } else {
            snprintf(text, text_max, "%s", converted_name(element->converted));
        }
    }
}

static void describe_physical(const struct pq_meta_element *element, char text[text_max]) {
    static const char *const names[] = {"BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE",
                                        "BYTE_ARRAY", "FIXED"};
    if (!PQ_THRIFT_HAS(element, PQ_ELEMENT_TYPE)) {
        text[0] = '\0';
    } else if (element->type == PQ_PHYSICAL_FIXED) {
        snprintf(text, text_max, "FIXED(%d)", element->type_length);
    } else {
        snprintf(text, text_max, "%s", NAME_IN(names, element->type));
    }
}

// ---- the schema -------------------------------------------------------------------------------

static const char *copy(struct pq_arena *arena, const char *text) {
    return pq_arena_copy(arena, pq_text_of(text)).data;
}

static pqdb_code describe_field(const struct pq_meta_element *element, struct pq_arena *arena,
                                pqdb_parquet_field *field, pqdb_error *err) {
    static const char *const repetitions[] = {"required", "optional", "repeated"};
    char annotation[text_max], physical[text_max];
    describe_annotation(element, annotation);
    describe_physical(element, physical);
    const bool has_id = PQ_THRIFT_HAS(element, PQ_ELEMENT_FIELD_ID);
    *field = (pqdb_parquet_field){
        .name = pq_arena_copy(arena, element->name).data,
        .repetition = NAME_IN(repetitions, element->repetition),
        .physical = copy(arena, physical),
        .annotation = copy(arena, annotation),
        .field_id = has_id ? element->field_id : 0,
        .column = -1,
        .read_as = "",
        .unreadable = "",
    };
    const bool is_complete =
        field->name != NULL && field->physical != NULL && field->annotation != NULL;
    return is_complete ? PQDB_OK : pq_parquet_no_memory(err, "the schema");
}

/// A member of the rows: what the reader makes of it.
static pqdb_code describe_member(const struct pq_parquet_file *file, uint32_t member,
                                 struct pq_arena *arena, pqdb_parquet_field *field,
                                 pqdb_error *err) {
    pq_assert(member < file->schema.type->field_count);
    const struct pq_text read_as =
        pq_type_format(&file->schema.type->fields[member].type, arena);
    if (read_as.data == NULL) return pq_parquet_no_memory(err, "the schema");
    field->read_as = read_as.data;
    if (file->unreadable[member] != NULL) field->unreadable = file->unreadable[member];
    return PQDB_OK;
}

pqdb_code pq_parquet_fields(const struct pq_parquet_file *file, struct pq_arena *arena,
                            const pqdb_parquet_field **fields, size_t *count, pqdb_error *err) {
    const size_t all = file->meta.element_count - 1;
    pqdb_parquet_field *made = pq_arena_calloc(arena, all + 1, sizeof *made);
    int32_t left[PQ_SCHEMA_DEPTH_MAX * 2 + 4];  // members to come, per open group
    if (made == NULL) return pq_parquet_no_memory(err, "the schema");
    unsigned depth = 0;
    int column = 0;
    uint32_t member = 0;
    left[0] = INT32_MAX;
    for (size_t i = 0; i < all; i++) {
        const struct pq_meta_element *element = &file->meta.elements[i + 1];
        while (depth > 0 && left[depth] == 0) depth--;
        left[depth]--;
        PQ_TRY(describe_field(element, arena, &made[i], err));
        made[i].depth = depth;
        if (depth == 0) PQ_TRY(describe_member(file, member++, arena, &made[i], err));
        if (PQ_THRIFT_HAS(element, PQ_ELEMENT_TYPE)) {
            made[i].column = column++;
        } else {
            depth++;
            pq_assert(depth < sizeof left / sizeof *left);
            left[depth] = element->child_count;
        }
    }
    *fields = made;
    *count = all;
    return PQDB_OK;
}

// ---- row groups and chunks --------------------------------------------------------------------

static const char *join_path(const struct pq_leaf *leaf, struct pq_bytes *out, pqdb_error *err) {
    for (size_t i = 0; i < leaf->path_count; i++) {
        if (pq_bytes_append_text(out, i == 0 ? PQ_TEXT("") : PQ_TEXT("."), err) != PQDB_OK ||
            pq_bytes_append_text(out, leaf->path[i], err) != PQDB_OK) {
            return NULL;
        }
    }
    return pq_bytes_append_byte(out, '\0', err) == PQDB_OK ? (const char *)out->data : NULL;
}

pqdb_code pq_parquet_describe_group(const struct pq_parquet_file *file, size_t group,
                                    struct pq_arena *arena, pqdb_parquet_group *facts,
                                    pqdb_error *err) {
    const struct pq_meta_group *meta = &file->meta.groups[group];
    struct pq_bytes sorted;
    pq_bytes_init(&sorted, &arena->alloc);
    for (size_t i = 0; i < meta->sorting_count; i++) {
        const struct pq_meta_sorting *by = &meta->sorting[i];
        if (by->column < 0 || (size_t)by->column >= file->schema.leaf_count) continue;
        const struct pq_leaf *leaf = &file->schema.leaves[by->column];
        if (sorted.length > 0) PQ_TRY(pq_bytes_append_text(&sorted, PQ_TEXT(", "), err));
        if (join_path(leaf, &sorted, err) == NULL) return PQDB_NO_MEMORY;
        sorted.length--;
        if (by->is_descending) PQ_TRY(pq_bytes_append_text(&sorted, PQ_TEXT(" descending"), err));
    }
    PQ_TRY(pq_bytes_append_byte(&sorted, '\0', err));
    *facts = (pqdb_parquet_group){
        .first_row = file->group_first_row[group],
        .rows = (uint64_t)meta->row_count,
        .stored_bytes = pq_parquet_group_bytes(file, group),
        .sorted_by = (const char *)sorted.data,
    };
    for (size_t i = 0; i < file->schema.leaf_count; i++) {
        facts->raw_bytes += (uint64_t)pq_file_chunk(file, group, i)->column.raw_bytes;
    }
    return PQDB_OK;
}

/// The encodings of data pages come first: they are what matters.
static const char *join_encodings(const struct pq_meta_column *column, struct pq_bytes *out,
                                  pqdb_error *err) {
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < column->encoding_count; i++) {
            const int32_t encoding = column->encodings[i];
            const bool is_plain = encoding == PQ_ENCODING_PLAIN || encoding == PQ_ENCODING_RLE ||
                                  encoding == PQ_ENCODING_BIT_PACKED;
            if (is_plain != (pass == 1)) continue;
            const struct pq_text comma = out->length > 0 ? PQ_TEXT(", ") : PQ_TEXT("");
            if (pq_bytes_append_text(out, comma, err) != PQDB_OK ||
                pq_bytes_append_text(out, pq_text_of(encoding_name(encoding)), err) != PQDB_OK) {
                return NULL;
            }
        }
    }
    return pq_bytes_append_byte(out, '\0', err) == PQDB_OK ? (const char *)out->data : NULL;
}

pqdb_code pq_parquet_describe_chunk(const struct pq_parquet_file *file, size_t group, size_t leaf,
                                    struct pq_arena *arena, pqdb_parquet_chunk *chunk,
                                    pqdb_error *err) {
    const struct pq_meta_column *column = &pq_file_chunk(file, group, leaf)->column;
    struct pq_bytes path, encodings;
    pq_bytes_init(&path, &arena->alloc);
    pq_bytes_init(&encodings, &arena->alloc);
    const struct pq_meta_statistics *statistics = &column->statistics;
    const bool has_nulls = PQ_THRIFT_HAS(column, PQ_COLUMN_STATISTICS) &&
                           PQ_THRIFT_HAS(statistics, PQ_STATISTICS_NULL_COUNT);
    const bool has_bloom = PQ_THRIFT_HAS(column, PQ_COLUMN_BLOOM_OFFSET);
    *chunk = (pqdb_parquet_chunk){
        .path = join_path(&file->schema.leaves[leaf], &path, err),
        .codec = codec_name(column->codec),
        .encodings = join_encodings(column, &encodings, err),
        .values = (uint64_t)column->value_count,
        .nulls = has_nulls ? statistics->null_count : -1,
        .stored_bytes = (uint64_t)column->stored_bytes,
        .raw_bytes = (uint64_t)column->raw_bytes,
        .offset = pq_chunk_start(column),
        .bloom_bytes = has_bloom && column->bloom_bytes > 0 ? (uint64_t)column->bloom_bytes : 0,
    };
    const bool is_complete = chunk->path != NULL && chunk->encodings != NULL;
    return is_complete ? PQDB_OK : pq_parquet_no_memory(err, "a column");
}

// ---- pages ------------------------------------------------------------------------------------

struct page_walk {
    const struct pq_parquet_file *file;
    uint64_t offset, end;  // of the next page, of the chunk
    struct pq_arena arena;  // of one header
};

/// Decode the header at `offset`; `*length` is its own.
static pqdb_code read_header(struct page_walk *walk, struct pq_meta_page *header, size_t *length,
                             pqdb_error *err) {
    const struct pq_parquet_file *file = walk->file;
    struct pq_arena *arena = &walk->arena;
    const uint64_t offset = walk->offset, left = walk->end - offset;
    for (uint64_t wanted = header_bytes;; wanted *= 16) {
        const size_t bytes = (size_t)(wanted < left ? wanted : left);
        pq_arena_reset(arena);
        uint8_t *room = pq_arena_alloc(arena, bytes + 1);
        if (room == NULL) return pq_parquet_no_memory(err, "a page header");
        PQ_TRY(file->source.read(file->source.ctx, offset, room, bytes, err));
        struct pq_cursor cursor = pq_cursor_of(room, bytes);
        const pqdb_code code = pq_thrift_decode(&pq_meta_page_table, &cursor, arena, header, err);
        if (code == PQDB_OK) {
            *length = (size_t)(cursor.at - room);
            return PQDB_OK;
        }
        // Statistics in a header may be long: then it looks cut off.
        const bool is_all = bytes == left || wanted >= header_bytes_max;
        if (code != PQDB_CORRUPT || is_all) return pq_parquet_at(code, err, (int64_t)offset, NULL);
    }
}

static pqdb_parquet_page page_of(const struct pq_meta_page *header, uint64_t offset,
                                 size_t header_length, bool is_flat) {
    pqdb_parquet_page page = {
        .kind = "index", .encoding = "", .offset = offset, .rows = -1, .nulls = -1,
        .stored_bytes = header_length + (uint64_t)header->stored_bytes,
        .raw_bytes = (uint64_t)header->raw_bytes,
        .has_crc = PQ_THRIFT_HAS(header, PQ_PAGE_CRC)};
    if (header->type == PQ_PAGE_DATA) {
        page.kind = "data";
        page.encoding = encoding_name(header->data.encoding);
        page.values = (uint64_t)header->data.value_count;
        if (is_flat) page.rows = header->data.value_count;
    } else if (header->type == PQ_PAGE_DICTIONARY) {
        page.kind = "dictionary";
        page.encoding = encoding_name(header->dictionary.encoding);
        page.values = (uint64_t)header->dictionary.value_count;
    } else if (header->type == PQ_PAGE_DATA_V2) {
        page.kind = "data v2";
        page.encoding = encoding_name(header->data_v2.encoding);
        page.values = (uint64_t)header->data_v2.value_count;
        page.rows = header->data_v2.row_count;
        page.nulls = header->data_v2.null_count;
    }
    return page;
}

static bool is_sound(const struct pq_meta_page *header) {
    return header->stored_bytes >= 0 && header->raw_bytes >= 0 && header->type >= PQ_PAGE_DATA &&
           header->type <= PQ_PAGE_DATA_V2 && header->data.value_count >= 0 &&
           header->dictionary.value_count >= 0 && header->data_v2.value_count >= 0;
}

pqdb_code pq_parquet_walk_pages(const struct pq_parquet_file *file, size_t group, size_t leaf,
                                pqdb_on_parquet_page on_page, void *ctx, pqdb_error *err) {
    const struct pq_meta_chunk *chunk = pq_file_chunk(file, group, leaf);
    const char *unreadable = pq_chunk_unreadable(chunk);
    if (unreadable != NULL) {
        return pq_fail(err, PQDB_UNSUPPORTED, "%s", unreadable);
    }
    struct page_walk walk = {.file = file, .offset = pq_chunk_start(&chunk->column)};
    walk.end = walk.offset + pq_chunk_bytes(file, &chunk->column);
    const bool is_flat = file->schema.leaves[leaf].max_rep == 0;
    pq_arena_init(&walk.arena, file->alloc);
    pqdb_code code = PQDB_OK;
    uint64_t values = 0;
    while (code == PQDB_OK && values < (uint64_t)chunk->column.value_count &&
           walk.offset < walk.end) {
        struct pq_meta_page header;
        size_t length;
        code = read_header(&walk, &header, &length, err);
        if (code != PQDB_OK) break;
        if (!is_sound(&header)) {
            code = pq_fail(err, PQDB_CORRUPT, "a page header with impossible numbers");
            break;
        }
        const pqdb_parquet_page page = page_of(&header, walk.offset, length, is_flat);
        if (header.type == PQ_PAGE_DATA || header.type == PQ_PAGE_DATA_V2) values += page.values;
        on_page(ctx, &page);
        walk.offset += page.stored_bytes;
    }
    pq_arena_deinit(&walk.arena);
    if (code == PQDB_OK) return PQDB_OK;
    return pq_parquet_at(code, err, (int64_t)walk.offset, &file->schema.leaves[leaf]);
}
