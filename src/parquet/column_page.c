#include "parquet/column_page.h"

#include "base/fail.h"
#include "base/hash.h"
#include "parquet/bloom.h"
#include "parquet/encoding/bit_pack.h"
#include "parquet/encoding/delta_encode.h"
#include "parquet/encoding/rle.h"

/// u32 length, then the RLE of the levels. Without nulls the definition levels are one run.
static pqdb_code append_levels(struct pq_column_writer *column, const struct pq_bytes *levels,
                               uint8_t max, bool is_one_run, pqdb_error *err) {
    struct pq_bytes *raw = &column->raw;
    const size_t start = raw->length, count = column->page.levels;
    const uint8_t *level = levels->data + column->start.levels;
    const unsigned width = pq_bits_needed(max);
    static const uint8_t length_room[4] = {0};
    PQ_TRY(pq_bytes_append(raw, length_room, sizeof length_room, err));
    if (is_one_run) {
        PQ_TRY(pq_rle_encode_run(max, count, width, raw, err));
    } else {
        column->wide.length = 0;
        PQ_TRY(pq_bytes_reserve(&column->wide, count * sizeof(uint32_t), err));
        uint32_t *wide = (uint32_t *)(void *)column->wide.data;
        for (size_t i = 0; i < count; i++) wide[i] = level[i];
        PQ_TRY(pq_rle_encode(wide, count, width, raw, err));
    }
    pq_store_u32(raw->data + start, (uint32_t)(raw->length - start - 4));
    return PQDB_OK;
}

/// A page of nulls alone says nothing about the dictionary and uses none.
static bool page_is_coded(const struct pq_column_writer *column) {
    return column->is_coded && column->page.values > 0;
}

static const uint8_t *page_plain(const struct pq_column_writer *column) {
    return column->page_plain.data + column->start.plain_bytes;
}

static pqdb_code pack_booleans(struct pq_column_writer *column, pqdb_error *err) {
    struct pq_bytes *raw = &column->raw;
    const size_t bytes = (column->page.values + 7) / 8;
    PQ_TRY(pq_bytes_reserve(raw, bytes + 1, err));
    uint8_t *packed = raw->data + raw->length;
    memset(packed, 0, bytes);
    const uint8_t *plain = page_plain(column);
    for (size_t i = 0; i < column->page.values; i++) {
        packed[i / 8] |= (uint8_t)((plain[i] != 0) << (i % 8));
    }
    raw->length += bytes;
    return PQDB_OK;
}

/// u32 length, then runs.
static pqdb_code run_booleans(struct pq_column_writer *column, const uint8_t *plain, size_t count,
                              struct pq_bytes *raw, pqdb_error *err) {
    const size_t start = raw->length;
    column->wide.length = 0;
    PQ_TRY(pq_bytes_reserve(&column->wide, count * sizeof(uint32_t) + 1, err));
    uint32_t *wide = (uint32_t *)(void *)column->wide.data;
    for (size_t i = 0; i < count; i++) wide[i] = plain[i] != 0;
    PQ_TRY(pq_bytes_append(raw, &(uint32_t){0}, sizeof(uint32_t), err));
    PQ_TRY(pq_rle_encode(wide, count, 1, raw, err));
    pq_store_u32(raw->data + start, (uint32_t)(raw->length - start - 4));
    return PQDB_OK;
}

pqdb_code pq_column_stored_bytes(struct pq_column_writer *column, struct pq_text raw,
                                 size_t *bytes, pqdb_error *err) {
    struct pq_page_writer *writer = &column->writer;
    *bytes = raw.length;
    if (writer->codec == NULL) return PQDB_OK;
    writer->stored.length = 0;
    PQ_TRY(writer->codec->compress(raw, writer->level, &writer->stored, err));
    *bytes = writer->stored.length;
    return PQDB_OK;
}

/// Split bytes, unless the first page of the chunk is stored in less as it is: reals with few
/// significant digits repeat whole, which splitting hides from the codec.
static pqdb_code append_reals(struct pq_column_writer *column, struct pq_text plain,
                              size_t count, struct pq_bytes *out, int32_t *encoding,
                              pqdb_error *err) {
    const size_t start = out->length;
    *encoding = column->split == PQ_SPLIT_NEVER ? PQ_ENCODING_PLAIN
                                                : PQ_ENCODING_BYTE_STREAM_SPLIT;
    if (column->split == PQ_SPLIT_NEVER) return pq_bytes_append_text(out, plain, err);
    PQ_TRY(pq_split_bytes((const uint8_t *)plain.data, count, plain.length / count, out, err));
    if (column->split == PQ_SPLIT_ALWAYS) return PQDB_OK;
    size_t split_bytes, plain_bytes;
    const struct pq_text split = {(const char *)out->data + start, out->length - start};
    PQ_TRY(pq_column_stored_bytes(column, split, &split_bytes, err));
    PQ_TRY(pq_column_stored_bytes(column, plain, &plain_bytes, err));
    column->split = split_bytes <= plain_bytes ? PQ_SPLIT_ALWAYS : PQ_SPLIT_NEVER;
    if (column->split == PQ_SPLIT_ALWAYS) return PQDB_OK;
    out->length = start;
    *encoding = PQ_ENCODING_PLAIN;
    return pq_bytes_append_text(out, plain, err);
}

pqdb_code pq_column_append_compact(struct pq_column_writer *column, const uint8_t *plain,
                                   size_t count, struct pq_bytes *out, int32_t *encoding,
                                   pqdb_error *err) {
    const size_t width = column->dictionary.width;
    bool has_prefixes;
    switch (column->leaf->physical) {
    case PQ_PHYSICAL_BOOLEAN:
        *encoding = PQ_ENCODING_RLE;
        return run_booleans(column, plain, count, out, err);
    case PQ_PHYSICAL_INT32:
    case PQ_PHYSICAL_INT64:
        *encoding = PQ_ENCODING_DELTA_BINARY_PACKED;
        return pq_delta_encode(plain, count, width, out, err);
    case PQ_PHYSICAL_FLOAT:
    case PQ_PHYSICAL_DOUBLE:
        return append_reals(column, (struct pq_text){(const char *)plain, count * width}, count,
                            out, encoding, err);
    case PQ_PHYSICAL_BYTE_ARRAY:
        PQ_TRY(pq_delta_encode_texts(plain, count, &column->wide, out, &has_prefixes, err));
        *encoding = has_prefixes ? PQ_ENCODING_DELTA_BYTE_ARRAY
                                 : PQ_ENCODING_DELTA_LENGTH_BYTE_ARRAY;
        return PQDB_OK;
    default: *encoding = PQ_ENCODING_PLAIN; return pq_bytes_append(out, plain, count * width, err);
    }
}

static pqdb_code append_values(struct pq_column_writer *column, int32_t *encoding,
                               pqdb_error *err) {
    struct pq_bytes *raw = &column->raw;
    *encoding = PQ_ENCODING_PLAIN;
    if (page_is_coded(column)) {
        *encoding = PQ_ENCODING_RLE_DICTIONARY;
        const unsigned bits = pq_bits_needed(column->dictionary.count - 1);
        const unsigned width = bits == 0 ? 1 : bits;  // some readers refuse width 0
        PQ_TRY(pq_bytes_append_byte(raw, (uint8_t)width, err));
        return pq_rle_encode(pq_column_page_codes(column), column->page.values, width, raw, err);
    }
    if (column->page.values == 0) return PQDB_OK;
    const uint8_t *plain = page_plain(column);
    if (column->options->profile == PQ_PROFILE_COMPACT) {
        return pq_column_append_compact(column, plain, column->page.values, raw, encoding, err);
    }
    if (column->leaf->physical == PQ_PHYSICAL_BOOLEAN) return pack_booleans(column, err);
    return pq_bytes_append(raw, plain, column->page.plain_bytes, err);
}


/// The values of a page without codes. They may repeat: the filter is then larger than it must be.
static pqdb_code hash_page(struct pq_column_writer *column, pqdb_error *err) {
    const size_t count = column->page.values, width = column->dictionary.width;
    const uint8_t *at = page_plain(column);
    PQ_TRY(pq_bytes_reserve(&column->hashes, count * sizeof(uint64_t) + 1, err));
    for (size_t i = 0; i < count; i++) {
        const size_t prefix = width == 0 ? 4 : 0, length = width == 0 ? pq_load_u32(at) : width;
        pq_store_u64(column->hashes.data + column->hashes.length,
                     pq_hash_xxh64(at + prefix, length));
        column->hashes.length += sizeof(uint64_t);
        at += prefix + length;
    }
    return PQDB_OK;
}

pqdb_code pq_column_make_bloom(struct pq_column_writer *column, pqdb_error *err) {
    const uint32_t entries = column->coded_pages > 0 ? column->dictionary.count : 0;
    PQ_TRY(pq_bytes_reserve(&column->hashes, entries * sizeof(uint64_t) + 1, err));
    for (uint32_t i = 0; i < entries; i++) {
        const struct pq_text value = pq_column_dictionary_value(&column->dictionary, i);
        pq_store_u64(column->hashes.data + column->hashes.length,
                     pq_hash_xxh64(value.data, value.length));
        column->hashes.length += sizeof(uint64_t);
    }
    const uint64_t *hashes = (const uint64_t *)(const void *)column->hashes.data;
    return pq_bloom_write(hashes, column->hashes.length / sizeof *hashes, &column->bloom, err);
}

// ---- pages ------------------------------------------------------------------------------------

/// The values of codes into `wide`: each once, or all where that is no more work, and where NaN
/// are counted.
static pqdb_code values_of_codes(struct pq_column_writer *column, size_t *count,
                                 pqdb_error *err) {
    const struct pq_column_dictionary *dictionary = &column->dictionary;
    const bool counts_nans = column->leaf->kind == PQ_FLOAT32 || column->leaf->kind == PQ_FLOAT64;
    const uint32_t mark = (uint32_t)column->entry_count + 1;
    const uint32_t *codes = pq_column_page_codes(column);
    const size_t values = column->page.values;
    struct pq_bytes *wide = &column->wide;
    wide->length = 0;
    *count = values;
    if (counts_nans || dictionary->count > values / 2) {
        return pq_column_dictionary_values(dictionary, codes, values, wide, err);
    }
    *count = 0;
    for (size_t i = 0; i < values; i++) {
        if (dictionary->marks[codes[i]] == mark) continue;
        dictionary->marks[codes[i]] = mark;
        PQ_TRY(pq_column_dictionary_values(dictionary, &codes[i], 1, wide, err));
        ++*count;
    }
    return PQDB_OK;
}

/// Bounds are views into the page or `wide`.
static pqdb_code find_bounds(struct pq_column_writer *column, struct pq_value_bounds *bounds,
                             pqdb_error *err) {
    const uint8_t *plain = page_plain(column);
    size_t count = column->page.values;
    if (page_is_coded(column) && column->leaf->has_order) {
        PQ_TRY(values_of_codes(column, &count, err));
        plain = column->wide.data;
    }
    pq_bounds_of_plain(column->leaf, plain, count, bounds);
    return PQDB_OK;
}

static pqdb_code keep_bound(struct pq_column_writer *column, struct pq_text bound, bool is_upper,
                            struct pq_page_entry *entry, pqdb_error *err) {
    char room[PQ_BOUND_BYTES_MAX];
    struct pq_text cut = bound;
    bool is_exact = true, has = true;
    if (column->leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        const struct pq_bound_limit limit = {column->leaf->kind == PQ_TEXT, is_upper, sizeof room,
                                             SIZE_MAX};
        has = pq_bound_cut(&limit, bound, room, &cut, &is_exact);
    }
    struct pq_text kept = {0};
    if (has) {
        kept = pq_arena_copy(column->arena, cut);
        if (kept.data == NULL) return pq_parquet_no_memory(err, "statistics");
    }
    if (is_upper) {
        entry->max = kept;
        entry->has_max = has;
        entry->is_max_exact = is_exact;
    } else {
        entry->min = kept;
        entry->is_min_exact = is_exact;
    }
    return PQDB_OK;
}

static pqdb_code add_entry(struct pq_column_writer *column, struct pq_page_entry **entry,
                           pqdb_error *err) {
    if (column->entry_count == column->entry_capacity) {
        const size_t room = column->entry_capacity == 0 ? 16 : column->entry_capacity * 2;
        void *grown = pq_resize(column->arena->source, column->entries, column->entry_capacity,
                                room, sizeof *column->entries);
        if (grown == NULL) return pq_parquet_no_memory(err, "the page index");
        column->entries = grown;
        column->entry_capacity = room;
    }
    struct pq_value_bounds bounds;
    PQ_TRY(find_bounds(column, &bounds, err));
    *entry = &column->entries[column->entry_count];
    **entry = (struct pq_page_entry){
        .offset = column->pages.length,
        .first_row = column->row_count,
        .null_count = column->page.levels - column->page.values,
        .nan_count = bounds.nan_count,
        .is_null_page = column->page.values == 0,
        .has_bounds = bounds.has_bounds,
    };
    if (bounds.has_bounds) {
        PQ_TRY(keep_bound(column, bounds.min, false, *entry, err));
        PQ_TRY(keep_bound(column, bounds.max, true, *entry, err));
    }
    column->entry_count++;
    return PQDB_OK;
}
pqdb_code pq_column_page_write(struct pq_column_writer *column, pqdb_error *err) {
    struct pq_page_entry *entry = NULL;
    PQ_TRY(add_entry(column, &entry, err));
    const struct pq_leaf *leaf = column->leaf;
    const bool has_nulls = column->page.values < column->page.levels;
    const bool is_coded = page_is_coded(column);
    if (column->wants_bloom && !is_coded) PQ_TRY(hash_page(column, err));
    column->raw.length = 0;
    if (leaf->max_rep > 0) {
        PQ_TRY(append_levels(column, &column->page_rep, leaf->max_rep, false, err));
    }
    if (leaf->max_def > 0) {
        PQ_TRY(append_levels(column, &column->page_def, leaf->max_def, !has_nulls, err));
    }
    int32_t encoding;
    PQ_TRY(append_values(column, &encoding, err));
    struct pq_meta_page header = {.has = 1u << PQ_PAGE_HAS_DATA, .type = PQ_PAGE_DATA};
    header.data = (struct pq_meta_data_page){
        .has = 0x1E,
        .value_count = (int32_t)column->page.levels,
        .encoding = encoding,
        .def_encoding = PQ_ENCODING_RLE,
        .rep_encoding = PQ_ENCODING_RLE,
    };
    column->writer.level = column->options->level;
    PQ_TRY(pq_page_write(&column->writer, &header, pq_bytes_text(&column->raw), &column->pages,
                         err));
    entry->bytes = (uint32_t)(column->pages.length - entry->offset);
    entry->header_check = column->writer.header_check;
    column->row_count += column->page.rows;
    column->value_count += column->page.levels;
    column->null_count += entry->null_count;
    column->nan_count += entry->nan_count;
    column->coded_pages += is_coded;
    column->pages_by_encoding[encoding]++;
    return PQDB_OK;
}
