#include "parquet/page_read.h"

#include "base/check.h"
#include "base/fail.h"
#include "codec/crc32.h"
#include "parquet/encoding/bit_pack.h"

/// What claims to expand further is refused before memory is taken: zstd's longest run is 128 KiB
/// in 4 bytes. (Brotli could do more.)
enum { expansion_max = 40000, expansion_room = 65536 };

void pq_page_reader_init(struct pq_page_reader *reader, const struct pq_codec *codec,
                         const struct pq_alloc *alloc) {
    *reader = (struct pq_page_reader){.codec = codec};
    pq_arena_init(&reader->arena, alloc);
    pq_bytes_init(&reader->room, alloc);
}

void pq_page_reader_deinit(struct pq_page_reader *reader) {
    pq_bytes_deinit(&reader->room);
    pq_arena_deinit(&reader->arena);
}

void pq_page_reader_begin(struct pq_page_reader *reader, const uint8_t *bytes, size_t length,
                          uint64_t offset) {
    reader->cursor = pq_cursor_of(bytes, length);
    reader->bytes = bytes;
    reader->offset = offset;
}

static pqdb_code corrupt(const struct pq_page *page, const char *why, pqdb_error *err) {
    const pqdb_code code = pq_fail(err, PQDB_CORRUPT, "a Parquet page is damaged: %s", why);
    if (err != NULL) err->offset = (int64_t)page->offset;
    return code;
}

/// `raw_length` bytes out of `stored`, into the reader's room from `start` on.
static pqdb_code decompress(struct pq_page_reader *reader, const struct pq_page *page,
                            struct pq_text stored, size_t raw_length, struct pq_text *raw,
                            pqdb_error *err) {
    if (raw_length == 0) {
        *raw = PQ_TEXT("");
        return PQDB_OK;
    }
    if (reader->codec == NULL || stored.length == 0) {
        if (stored.length != raw_length) return corrupt(page, "its sizes disagree", err);
        *raw = stored;
        return PQDB_OK;
    }
    if ((raw_length - 1) / expansion_max > stored.length && raw_length > expansion_room) {
        if (reader->has_checks) return corrupt(page, "it expands beyond belief", err);
        return pq_fail(err, PQDB_LIMIT, "a page of %zu bytes expands to %zu: beyond belief",
                       stored.length, raw_length);
    }
    reader->room.length = 0;
    PQ_TRY(pq_bytes_reserve(&reader->room, raw_length, err));
    const pqdb_code code =
        reader->codec->decompress(stored, reader->room.data, raw_length, err);
    if (code != PQDB_OK) {
        if (err != NULL) err->offset = (int64_t)page->offset;
        return code;
    }
    reader->room.length = raw_length;
    *raw = pq_bytes_text(&reader->room);
    return PQDB_OK;
}

static pqdb_code open_v2(struct pq_page_reader *reader, const struct pq_meta_page *header,
                         struct pq_text stored, struct pq_page *page, pqdb_error *err) {
    const struct pq_meta_data_page_v2 *v2 = &header->data_v2;
    if (v2->rep_bytes < 0 || v2->def_bytes < 0 || v2->value_count < 0) {
        return corrupt(page, "a negative length", err);
    }
    const size_t levels = (size_t)v2->rep_bytes + (size_t)v2->def_bytes;
    if (levels > stored.length || levels > (size_t)header->raw_bytes) {
        return corrupt(page, "its levels are longer than itself", err);
    }
    page->is_v2 = true;
    page->encoding = v2->encoding;
    page->rep_encoding = page->def_encoding = PQ_ENCODING_RLE;
    page->value_count = (uint32_t)v2->value_count;
    page->rep = (struct pq_text){stored.data, (size_t)v2->rep_bytes};
    page->def = (struct pq_text){stored.data + v2->rep_bytes, (size_t)v2->def_bytes};
    const struct pq_text values = {stored.data + levels, stored.length - levels};
    const size_t raw_length = (size_t)header->raw_bytes - levels;
    const bool is_compressed = PQ_THRIFT_HAS(v2, 7) ? v2->is_compressed : true;
    if (!is_compressed) {
        if (values.length != raw_length) return corrupt(page, "its sizes disagree", err);
        page->body = values;
        return PQDB_OK;
    }
    return decompress(reader, page, values, raw_length, &page->body, err);
}

static pqdb_code open_page(struct pq_page_reader *reader, const struct pq_meta_page *header,
                           struct pq_text stored, struct pq_page *page, pqdb_error *err) {
    if (header->type == PQ_PAGE_DATA_V2 && PQ_THRIFT_HAS(header, PQ_PAGE_HAS_DATA_V2)) {
        return open_v2(reader, header, stored, page, err);
    }
    int32_t count = -1;
    if (header->type == PQ_PAGE_DATA && PQ_THRIFT_HAS(header, PQ_PAGE_HAS_DATA)) {
        count = header->data.value_count;
        page->encoding = header->data.encoding;
        page->def_encoding = header->data.def_encoding;
        page->rep_encoding = header->data.rep_encoding;
    } else if (header->type == PQ_PAGE_DICTIONARY &&
               PQ_THRIFT_HAS(header, PQ_PAGE_HAS_DICTIONARY)) {
        count = header->dictionary.value_count;
        page->encoding = header->dictionary.encoding;
    }
    if (count < 0) return corrupt(page, "its header lacks the count, or it is negative", err);
    page->value_count = (uint32_t)count;
    return decompress(reader, page, stored, (size_t)header->raw_bytes, &page->body, err);
}

pqdb_code pq_page_read(struct pq_page_reader *reader, struct pq_page *page, pqdb_error *err) {
    struct pq_cursor *cursor = &reader->cursor;
    for (;;) {
        *page = (struct pq_page){.offset = reader->offset + (uint64_t)(cursor->at - reader->bytes)};
        struct pq_meta_page header;
        pq_arena_reset(&reader->arena);
        const pqdb_code code =
            pq_thrift_decode(&pq_meta_page_table, cursor, &reader->arena, &header, err);
        if (code != PQDB_OK) {
            if (err != NULL) err->offset = (int64_t)page->offset;
            return code;
        }
        const uint32_t check =
            pq_check_header(reader->bytes + (page->offset - reader->offset),
                            (size_t)(cursor->at - reader->bytes) - (page->offset - reader->offset));
        if (reader->expected != NULL && *reader->expected != check) {
            return corrupt(page, "the checksum of its header is wrong", err);
        }
        if (header.raw_bytes < 0 || header.stored_bytes < 0) {
            return corrupt(page, "a negative size", err);
        }
        const size_t length = (size_t)header.stored_bytes;
        const uint8_t *data = pq_cursor_take(cursor, length);
        if (data == NULL) return corrupt(page, "it is longer than its column chunk", err);
        if (PQ_THRIFT_HAS(&header, PQ_PAGE_CRC) &&
            pq_crc32(0, data, length) != (uint32_t)header.crc) {
            return corrupt(page, "its checksum is wrong", err);
        }
        const uint64_t headers = pq_check_add_header(reader->headers, check);
        if (header.type == PQ_PAGE_INDEX) {
            reader->headers = headers;
            continue;
        }
        if (header.type < PQ_PAGE_DATA || header.type > PQ_PAGE_DATA_V2) {
            return corrupt(page, "unknown page type", err);
        }
        page->type = (enum pq_page_type)header.type;
        const struct pq_text stored = {(const char *)data, length};
        PQ_TRY(open_page(reader, &header, stored, page, err));
        reader->headers = headers;  // a page that failed may be read again
        return PQDB_OK;
    }
}

static pqdb_code split_section(struct pq_page *page, uint8_t max, int32_t encoding,
                               struct pq_text *section, pqdb_error *err) {
    if (max == 0) return PQDB_OK;
    size_t skip = 0, length;
    if (encoding == PQ_ENCODING_BIT_PACKED) {
        length = (size_t)(((uint64_t)page->value_count * pq_bits_needed(max) + 7) / 8);
    } else if (encoding == PQ_ENCODING_RLE) {
        if (page->body.length < 4) return corrupt(page, "its levels are cut off", err);
        length = pq_load_u32(page->body.data);
        skip = 4;
    } else {
        return corrupt(page, "unknown encoding of levels", err);
    }
    if (length > page->body.length - skip) return corrupt(page, "its levels are cut off", err);
    *section = (struct pq_text){page->body.data + skip, length};
    page->body.data += skip + length;
    page->body.length -= skip + length;
    return PQDB_OK;
}

pqdb_code pq_page_split_levels(struct pq_page *page, uint8_t max_rep, uint8_t max_def,
                               pqdb_error *err) {
    if (page->is_v2) return PQDB_OK;
    PQ_TRY(split_section(page, max_rep, page->rep_encoding, &page->rep, err));
    return split_section(page, max_def, page->def_encoding, &page->def, err);
}
