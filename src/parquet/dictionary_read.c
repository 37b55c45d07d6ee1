/// A look into the dictionary of a chunk, for filters: does any row have the value?
#include "base/check.h"
#include "base/fail.h"
#include "parquet/file_reader_internal.h"
#include "parquet/page_read.h"
#include "parquet/page_write.h"

/// Are all data pages coded, as far as the footer says?
static bool is_whole(const struct pq_meta_column *column) {
    bool any = false;
    if (!PQ_THRIFT_HAS(column, PQ_COLUMN_DICTIONARY_OFFSET) ||
        !PQ_THRIFT_HAS(column, PQ_COLUMN_ENCODING_STATS)) {
        return false;
    }
    for (size_t i = 0; i < column->encoding_stats_count; i++) {
        const struct pq_meta_encoding_stats *stats = &column->encoding_stats[i];
        if (stats->page_type == PQ_PAGE_DICTIONARY || stats->count == 0) continue;
        if (stats->encoding != PQ_ENCODING_RLE_DICTIONARY &&
            stats->encoding != PQ_ENCODING_PLAIN_DICTIONARY) {
            return false;
        }
        any = true;
    }
    return any;
}

/// The page at the chunk's start, up to its first data page.
static pqdb_code read_page(struct pq_parquet_dictionary *dictionary, uint64_t start,
                           uint64_t length, pqdb_error *err) {
    const struct pq_parquet_file *file = dictionary->file;
    const struct pq_meta_chunk *meta = pq_file_chunk(file, dictionary->group, dictionary->leaf);
    const struct pq_codec *codec;
    struct pq_page_reader pages;
    struct pq_page page;
    uint8_t *bytes = pq_arena_alloc(dictionary->arena, (size_t)length + 1);
    if (bytes == NULL) return pq_parquet_no_memory(err, "a dictionary");
    PQ_TRY(file->source.read(file->source.ctx, start, bytes, (size_t)length, err));
    pq_parquet_codec_of(meta->column.codec, &codec);
    pq_page_reader_init(&pages, codec, file->alloc);
    pq_page_reader_begin(&pages, bytes, (size_t)length, start);
    pqdb_code code = pq_page_read(&pages, &page, err);
    if (code == PQDB_OK && page.type == PQ_PAGE_DICTIONARY) {
        dictionary->plain = pq_arena_copy(dictionary->arena, page.body);
        dictionary->count = page.value_count;
        dictionary->is_whole = dictionary->plain.data != NULL;
        if (!dictionary->is_whole) code = pq_parquet_no_memory(err, "a dictionary");
    }
    pq_page_reader_deinit(&pages);
    return code;
}

static pqdb_code read_dictionary(struct pq_parquet_dictionary *dictionary, pqdb_error *err) {
    const struct pq_parquet_file *file = dictionary->file;
    const struct pq_meta_chunk *meta = pq_file_chunk(file, dictionary->group, dictionary->leaf);
    const struct pq_leaf *leaf = &file->schema.leaves[dictionary->leaf];
    dictionary->is_read = true;
    if (pq_chunk_unreadable(meta) != NULL || leaf->unreadable != NULL ||
        !is_whole(&meta->column)) {
        return PQDB_OK;
    }
    const uint64_t start = pq_chunk_start(&meta->column);
    const uint64_t data = (uint64_t)meta->column.data_page_offset;
    if (start >= data || data - start > pq_chunk_bytes(file, &meta->column)) return PQDB_OK;
    const pqdb_code code = read_page(dictionary, start, data - start, err);
    return code == PQDB_OK ? code : pq_parquet_at(code, err, (int64_t)start, leaf);
}

static bool has_text(const struct pq_parquet_dictionary *dictionary, struct pq_text wanted) {
    const char *at = dictionary->plain.data, *end = at + dictionary->plain.length;
    for (uint32_t i = 0; i < dictionary->count; i++) {
        if (end - at < 4 || pq_load_u32(at) > (size_t)(end - at) - 4) return true;  // damaged
        const struct pq_text entry = {at + 4, pq_load_u32(at)};
        if (pq_text_equal(entry, wanted)) return true;
        at += 4 + entry.length;
    }
    return false;
}

static bool has_fixed(const struct pq_parquet_dictionary *dictionary, struct pq_text wanted) {
    if (dictionary->count > dictionary->plain.length / wanted.length) return true;  // damaged
    for (uint32_t i = 0; i < dictionary->count; i++) {
        const char *entry = dictionary->plain.data + i * wanted.length;
        if (memcmp(entry, wanted.data, wanted.length) == 0) return true;
    }
    return false;
}

pqdb_code pq_parquet_dictionary_holds(struct pq_parquet_dictionary *dictionary,
                                      const struct pq_value *value, bool *holds,
                                      pqdb_error *err) {
    const struct pq_parquet_file *file = dictionary->file;
    pq_assert(dictionary->group < file->meta.group_count &&
              dictionary->leaf < file->schema.leaf_count);
    const struct pq_leaf *leaf = &file->schema.leaves[dictionary->leaf];
    uint8_t room[8];
    struct pq_text plain;
    *holds = true;
    if (!pq_plain_of_value(leaf, value, room, &plain)) return PQDB_OK;
    if (!dictionary->is_read) PQ_TRY(read_dictionary(dictionary, err));
    if (!dictionary->is_whole) return PQDB_OK;
    *holds = leaf->physical == PQ_PHYSICAL_BYTE_ARRAY ? has_text(dictionary, plain)
                                                      : has_fixed(dictionary, plain);
    return PQDB_OK;
}
