#include "parquet/column_write.h"

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "parquet/bloom.h"
#include "parquet/encoding/bit_pack.h"
#include "parquet/encoding/delta_encode.h"
#include "parquet/encoding/rle.h"

enum { levels_max = INT32_MAX / 8 };

pqdb_code pq_column_writer_init(struct pq_column_writer *column, const struct pq_schema *schema,
                                size_t leaf, const struct pq_parquet_writer_options *options,
                                struct pq_arena *arena, pqdb_error *err) {
    const struct pq_alloc *alloc = arena->source;
    const struct pq_leaf *of = &schema->leaves[leaf];
    *column = (struct pq_column_writer){.leaf = of, .options = options, .arena = arena};
    pq_levels_init(&column->levels, alloc);
    pq_value_scratch_init(&column->scratch, alloc);
    struct pq_bytes *const buffers[] = {
        &column->codes,      &column->page_def, &column->page_rep, &column->page_plain,
        &column->page_codes, &column->raw,      &column->wide,     &column->pages,
        &column->hashes,     &column->bloom,    &column->writer.stored,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pq_bytes_init(buffers[i], alloc);
    column->writer.codec = options->codec;
    column->writer.level = options->level;
    pq_column_dictionary_init(&column->dictionary,
                              pq_physical_width(of->physical, of->type_length), alloc);
    if (of->conversion == PQ_CONVERT_VARIANT) {
        column->is_metadata = pq_text_is(of->path[of->path_count - 1], "metadata");
        column->is_variant_value = !column->is_metadata;
    }
    pq_column_writer_reset(column);
    PQ_TRY(pq_shred_path_of(schema, leaf, arena, &column->path, err));
    column->wants_bloom = options->bloom_fields != NULL && column->path.is_flat &&
                          options->bloom_fields[column->path.members[0]] &&
                          of->physical != PQ_PHYSICAL_BOOLEAN &&
                          of->conversion != PQ_CONVERT_VARIANT &&
                          of->conversion != PQ_CONVERT_JSON && of->conversion != PQ_CONVERT_NULL;
    return PQDB_OK;
}

void pq_column_writer_deinit(struct pq_column_writer *column) {
    struct pq_bytes *const buffers[] = {
        &column->codes,      &column->page_def, &column->page_rep, &column->page_plain,
        &column->page_codes, &column->raw,      &column->wide,     &column->pages,
        &column->hashes,     &column->bloom,    &column->writer.stored,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pq_bytes_deinit(buffers[i]);
    pq_levels_deinit(&column->levels);
    pq_value_scratch_deinit(&column->scratch);
    pq_column_dictionary_deinit(&column->dictionary);
    pq_free(column->arena->source, column->entries, column->entry_capacity,
            sizeof *column->entries);
}

static bool may_be_coded(const struct pq_column_writer *column) {
    if (column->is_metadata) return true;
    return !column->options->no_dictionary && !column->skip_dictionary &&
           column->leaf->physical != PQ_PHYSICAL_BOOLEAN && !column->is_variant_value &&
           column->leaf->conversion != PQ_CONVERT_JSON &&
           column->leaf->conversion != PQ_CONVERT_NULL;
}

void pq_column_writer_reset(struct pq_column_writer *column) {
    pq_column_dictionary_reset(&column->dictionary);
    column->is_coded = may_be_coded(column);
    column->pages.length = 0;
    column->entry_count = 0;
    column->row_count = column->value_count = column->null_count = column->nan_count = 0;
    column->coded_pages = 0;
    column->hashes.length = column->bloom.length = 0;
    memset(column->pages_by_encoding, 0, sizeof column->pages_by_encoding);
    column->writer.raw_bytes = 0;
}

static void clear_page(struct pq_column_writer *column) {
    column->page_rows = column->page_levels = column->page_values = 0;
    column->page_plain_bytes = 0;
    column->page_def.length = column->page_rep.length = 0;
    column->page_plain.length = column->page_codes.length = 0;
}

/// u32 length, then the RLE of the levels. Without nulls the definition levels are one run.
static pqdb_code append_levels(struct pq_column_writer *column, const struct pq_bytes *levels,
                               uint8_t max, bool is_one_run, pqdb_error *err) {
    struct pq_bytes *raw = &column->raw;
    const size_t start = raw->length, count = column->page_levels;
    const unsigned width = pq_bits_needed(max);
    static const uint8_t length_room[4] = {0};
    PQ_TRY(pq_bytes_append(raw, length_room, sizeof length_room, err));
    if (is_one_run) {
        PQ_TRY(pq_rle_encode_run(max, count, width, raw, err));
    } else {
        column->wide.length = 0;
        PQ_TRY(pq_bytes_reserve(&column->wide, count * sizeof(uint32_t), err));
        uint32_t *wide = (uint32_t *)(void *)column->wide.data;
        for (size_t i = 0; i < count; i++) wide[i] = levels->data[i];
        PQ_TRY(pq_rle_encode(wide, count, width, raw, err));
    }
    pq_store_u32(raw->data + start, (uint32_t)(raw->length - start - 4));
    return PQDB_OK;
}

/// A page of nulls alone says nothing about the dictionary and uses none.
static bool page_is_coded(const struct pq_column_writer *column) {
    return column->is_coded && column->page_values > 0;
}

static const uint32_t *page_codes(const struct pq_column_writer *column) {
    return (const uint32_t *)(const void *)column->page_codes.data;
}

static pqdb_code pack_booleans(struct pq_column_writer *column, pqdb_error *err) {
    struct pq_bytes *raw = &column->raw;
    const size_t bytes = (column->page_values + 7) / 8;
    PQ_TRY(pq_bytes_reserve(raw, bytes + 1, err));
    uint8_t *packed = raw->data + raw->length;
    memset(packed, 0, bytes);
    for (size_t i = 0; i < column->page_values; i++) {
        packed[i / 8] |= (uint8_t)((column->page_plain.data[i] != 0) << (i % 8));
    }
    raw->length += bytes;
    return PQDB_OK;
}

/// u32 length, then runs.
static pqdb_code run_booleans(struct pq_column_writer *column, pqdb_error *err) {
    struct pq_bytes *raw = &column->raw;
    const size_t start = raw->length, count = column->page_values;
    column->wide.length = 0;
    PQ_TRY(pq_bytes_reserve(&column->wide, count * sizeof(uint32_t) + 1, err));
    uint32_t *wide = (uint32_t *)(void *)column->wide.data;
    for (size_t i = 0; i < count; i++) wide[i] = column->page_plain.data[i] != 0;
    PQ_TRY(pq_bytes_append(raw, &(uint32_t){0}, sizeof(uint32_t), err));
    PQ_TRY(pq_rle_encode(wide, count, 1, raw, err));
    pq_store_u32(raw->data + start, (uint32_t)(raw->length - start - 4));
    return PQDB_OK;
}

static pqdb_code append_compact(struct pq_column_writer *column, int32_t *encoding,
                                pqdb_error *err) {
    struct pq_bytes *raw = &column->raw;
    const uint8_t *plain = column->page_plain.data;
    const size_t count = column->page_values, width = column->dictionary.width;
    bool has_prefixes;
    switch (column->leaf->physical) {
    case PQ_PHYSICAL_BOOLEAN: *encoding = PQ_ENCODING_RLE; return run_booleans(column, err);
    case PQ_PHYSICAL_INT32:
    case PQ_PHYSICAL_INT64:
        *encoding = PQ_ENCODING_DELTA_BINARY_PACKED;
        return pq_delta_encode(plain, count, width, raw, err);
    case PQ_PHYSICAL_FLOAT:
    case PQ_PHYSICAL_DOUBLE:
        *encoding = PQ_ENCODING_BYTE_STREAM_SPLIT;
        return pq_split_bytes(plain, count, width, raw, err);
    case PQ_PHYSICAL_BYTE_ARRAY:
        PQ_TRY(pq_delta_encode_texts(plain, count, &column->wide, raw, &has_prefixes, err));
        *encoding = has_prefixes ? PQ_ENCODING_DELTA_BYTE_ARRAY
                                 : PQ_ENCODING_DELTA_LENGTH_BYTE_ARRAY;
        return PQDB_OK;
    default: return pq_bytes_append_text(raw, pq_bytes_text(&column->page_plain), err);
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
        return pq_rle_encode(page_codes(column), column->page_values, width, raw, err);
    }
    if (column->page_values > 0 && column->options->profile == PQ_PROFILE_COMPACT) {
        return append_compact(column, encoding, err);
    }
    if (column->leaf->physical == PQ_PHYSICAL_BOOLEAN) return pack_booleans(column, err);
    return pq_bytes_append_text(raw, pq_bytes_text(&column->page_plain), err);
}

// ---- bloom filter -----------------------------------------------------------------------------

/// The values of a page without codes. They may repeat: the filter is then larger than it must be.
static pqdb_code hash_page(struct pq_column_writer *column, pqdb_error *err) {
    const size_t count = column->page_values, width = column->dictionary.width;
    const uint8_t *at = column->page_plain.data;
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

static pqdb_code make_bloom(struct pq_column_writer *column, pqdb_error *err) {
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

static void find_bounds(struct pq_column_writer *column, struct pq_value_bounds *bounds) {
    if (!page_is_coded(column)) {
        pq_bounds_of_plain(column->leaf, column->page_plain.data, column->page_values, bounds);
        return;
    }
    *bounds = (struct pq_value_bounds){0};
    const uint32_t mark = (uint32_t)column->entry_count + 1;
    const uint32_t *codes = page_codes(column);
    uint32_t *marks = column->dictionary.marks;
    const bool counts_nans = column->leaf->kind == PQ_FLOAT32 || column->leaf->kind == PQ_FLOAT64;
    for (size_t i = 0; i < column->page_values; i++) {
        if (marks[codes[i]] == mark && !counts_nans) continue;
        marks[codes[i]] = mark;
        pq_bounds_add(column->leaf, bounds,
                      pq_column_dictionary_value(&column->dictionary, codes[i]));
    }
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
    find_bounds(column, &bounds);
    *entry = &column->entries[column->entry_count];
    **entry = (struct pq_page_entry){
        .offset = column->pages.length,
        .first_row = column->row_count,
        .null_count = column->page_levels - column->page_values,
        .nan_count = bounds.nan_count,
        .is_null_page = column->page_values == 0,
        .has_bounds = bounds.has_bounds,
    };
    if (bounds.has_bounds) {
        PQ_TRY(keep_bound(column, bounds.min, false, *entry, err));
        PQ_TRY(keep_bound(column, bounds.max, true, *entry, err));
    }
    column->entry_count++;
    return PQDB_OK;
}

/// Bring the codes of the page being filled back to values, and write no dictionary.
static pqdb_code give_up_dictionary(struct pq_column_writer *column, pqdb_error *err) {
    column->is_coded = false;
    column->skip_dictionary = true;
    PQ_TRY(pq_bytes_reserve(&column->page_plain, column->page_plain_bytes, err));
    const uint32_t *codes = page_codes(column);
    for (size_t i = 0; i < column->page_values; i++) {
        const struct pq_text value = pq_column_dictionary_value(&column->dictionary, codes[i]);
        const uint32_t length = (uint32_t)value.length;
        if (column->dictionary.width == 0) {
            PQ_TRY(pq_bytes_append(&column->page_plain, &length, sizeof length, err));
        }
        PQ_TRY(pq_bytes_append_text(&column->page_plain, value, err));
    }
    column->page_codes.length = 0;
    pq_column_dictionary_reset(&column->dictionary);
    return PQDB_OK;
}

static bool is_on_trial(const struct pq_column_writer *column) {
    return column->is_coded && column->coded_pages == 0 && !column->is_metadata;
}

/// Deltas of the first page against its codes: the dictionary itself serves many pages, and codes
/// compress better, so that deltas must be clearly shorter.
static pqdb_code deltas_are_shorter(struct pq_column_writer *column, size_t code_bytes,
                                    bool *is_shorter, pqdb_error *err) {
    const enum pq_physical physical = column->leaf->physical;
    *is_shorter = false;
    if (column->options->profile != PQ_PROFILE_COMPACT ||
        (physical != PQ_PHYSICAL_INT32 && physical != PQ_PHYSICAL_INT64)) {
        return PQDB_OK;
    }
    const size_t width = column->dictionary.width;
    const uint32_t *codes = page_codes(column);
    column->wide.length = column->raw.length = 0;
    PQ_TRY(pq_bytes_reserve(&column->wide, column->page_values * width + 1, err));
    for (size_t i = 0; i < column->page_values; i++) {
        const struct pq_text value = pq_column_dictionary_value(&column->dictionary, codes[i]);
        memcpy(column->wide.data + i * width, value.data, width);
    }
    PQ_TRY(pq_delta_encode(column->wide.data, column->page_values, width, &column->raw, err));
    *is_shorter = column->raw.length <= code_bytes / 4 * 3;
    return PQDB_OK;
}

/// The first page tells whether a dictionary pays.
static pqdb_code judge_dictionary(struct pq_column_writer *column, pqdb_error *err) {
    if (!is_on_trial(column) || column->page_values == 0) return PQDB_OK;
    const size_t code_bytes = column->page_values * pq_bits_needed(column->dictionary.count) / 8;
    bool is_worse = column->dictionary.plain.length + code_bytes >= column->page_plain_bytes;
    if (!is_worse) PQ_TRY(deltas_are_shorter(column, code_bytes, &is_worse, err));
    return is_worse ? give_up_dictionary(column, err) : PQDB_OK;
}

static pqdb_code end_page(struct pq_column_writer *column, pqdb_error *err) {
    if (column->page_rows == 0) return PQDB_OK;
    PQ_TRY(judge_dictionary(column, err));
    struct pq_page_entry *entry = NULL;
    PQ_TRY(add_entry(column, &entry, err));
    const struct pq_leaf *leaf = column->leaf;
    const bool has_nulls = column->page_values < column->page_levels;
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
        .value_count = (int32_t)column->page_levels,
        .encoding = encoding,
        .def_encoding = PQ_ENCODING_RLE,
        .rep_encoding = PQ_ENCODING_RLE,
    };
    PQ_TRY(pq_page_write(&column->writer, &header, pq_bytes_text(&column->raw), &column->pages,
                         err));
    entry->bytes = (uint32_t)(column->pages.length - entry->offset);
    entry->header_check = column->writer.header_check;
    column->row_count += column->page_rows;
    column->value_count += column->page_levels;
    column->null_count += entry->null_count;
    column->nan_count += entry->nan_count;
    column->coded_pages += is_coded;
    column->pages_by_encoding[encoding]++;
    clear_page(column);
    return PQDB_OK;
}

/// A run of rows of the block: its levels and values.
struct run {
    size_t rows, levels, values;
    size_t plain_bytes;
};

static size_t value_bytes(const struct pq_column_writer *column, size_t value) {
    const struct pq_value_block *block = &column->block;
    return block->texts == NULL ? block->width : block->texts[value].length + 4;
}

/// How many of the rows left fit into the page being filled: at least one if it is empty.
static struct run fitting_run(const struct pq_column_writer *column, size_t level, size_t value) {
    const struct pq_levels *levels = &column->levels;
    const size_t rows_max = column->options->page_rows - column->page_rows;
    const bool counts_codes = column->is_coded && !is_on_trial(column);
    const bool has_lists = column->leaf->max_rep > 0;
    const size_t bytes_max = column->options->page_bytes, used = column->page_plain_bytes;
    struct run run = {0}, row = {0};
    size_t at = level, next = value;
    while (at < levels->count && run.rows < rows_max) {
        row = run;
        do {
            if (!levels->has_nulls || levels->def[at] == column->leaf->max_def) {
                row.plain_bytes += counts_codes ? 4 : value_bytes(column, next);
                row.values++;
                next++;
            }
            row.levels++;
            at++;
        } while (has_lists && at < levels->count && levels->rep[at] != 0);
        row.rows++;
        if (used + row.plain_bytes > bytes_max && (run.rows > 0 || column->page_rows > 0)) break;
        run = row;
    }
    return run;
}

static pqdb_code copy_values(struct pq_column_writer *column, size_t value, size_t count,
                             size_t plain_bytes, pqdb_error *err) {
    const struct pq_value_block *block = &column->block;
    if (column->is_coded) {
        const uint32_t *codes = (const uint32_t *)(const void *)column->codes.data;
        return pq_bytes_append(&column->page_codes, codes + value, count * sizeof *codes, err);
    }
    struct pq_bytes *plain = &column->page_plain;
    if (block->texts == NULL) {
        return pq_bytes_append(plain, block->fixed + value * block->width, count * block->width,
                               err);
    }
    PQ_TRY(pq_bytes_reserve(plain, plain_bytes, err));
    uint8_t *out = plain->data + plain->length;
    const bool is_text = column->leaf->kind == PQ_TEXT;
    for (size_t i = value; i < value + count; i++) {
        const struct pq_text text = block->texts[i];
        if (is_text && !pq_text_is_utf8(text)) {
            return pq_fail(err, PQDB_INVALID, "text that is not UTF-8");
        }
        pq_store_u32(out, (uint32_t)text.length);
        if (text.length > 0) memcpy(out + 4, text.data, text.length);
        out += 4 + text.length;
    }
    plain->length = (size_t)(out - plain->data);
    return PQDB_OK;
}

static pqdb_code copy_run(struct pq_column_writer *column, size_t level, size_t value,
                          const struct run *run, pqdb_error *err) {
    const struct pq_levels *levels = &column->levels;
    const struct pq_leaf *leaf = column->leaf;
    if (run->levels > levels_max - column->page_levels) {
        return pq_fail(err, PQDB_LIMIT, "a row with more than %d list elements", levels_max);
    }
    if (leaf->max_rep > 0) {
        PQ_TRY(pq_bytes_append(&column->page_rep, levels->rep + level, run->levels, err));
    }
    if (leaf->max_def > 0) {
        PQ_TRY(pq_bytes_reserve(&column->page_def, run->levels, err));
        uint8_t *def = column->page_def.data + column->page_def.length;
        if (levels->has_nulls) {
            memcpy(def, levels->def + level, run->levels);
        } else {
            memset(def, leaf->max_def, run->levels);
        }
        column->page_def.length += run->levels;
    }
    if (run->values > 0) PQ_TRY(copy_values(column, value, run->values, run->plain_bytes, err));
    column->page_rows += run->rows;
    column->page_levels += run->levels;
    column->page_values += run->values;
    column->page_plain_bytes += run->plain_bytes;
    return PQDB_OK;
}

static pqdb_code gather(struct pq_column_writer *column, struct pq_text metadata,
                        pqdb_error *err) {
    if (column->leaf->conversion == PQ_CONVERT_VARIANT) {
        return pq_values_gather_variant(&column->levels, column->is_metadata, metadata,
                                        &column->scratch, &column->block, err);
    }
    return pq_values_gather(column->leaf, &column->levels, &column->scratch, &column->block, err);
}

/// The codes of the block's values: by remapping where the column is coded itself, else by value.
static pqdb_code code_block(struct pq_column_writer *column, pqdb_error *err) {
    const struct pq_levels *levels = &column->levels;
    column->codes.length = 0;
    PQ_TRY(pq_bytes_reserve(&column->codes, levels->value_count * sizeof(uint32_t) + 1, err));
    uint32_t *codes = (uint32_t *)(void *)column->codes.data;
    if (levels->column->layout == PQ_DICTIONARY) {
        return pq_column_dictionary_remap(&column->dictionary, levels, codes, err);
    }
    return pq_column_dictionary_encode(&column->dictionary, &column->block,
                                       column->leaf->kind == PQ_TEXT, codes, err);
}

/// A dictionary that outgrew its bound ends with the pages before this block.
static pqdb_code check_dictionary(struct pq_column_writer *column, pqdb_error *err) {
    if (column->is_metadata ||
        column->dictionary.plain.length <= column->options->dictionary_bytes) {
        return PQDB_OK;
    }
    if (is_on_trial(column)) return give_up_dictionary(column, err);
    PQ_TRY(end_page(column, err));
    column->is_coded = false;
    return PQDB_OK;
}

/// Values are gathered unless codes alone will do. While the dictionary is on trial both are ready,
/// because the trial may end in the middle of the block.
static pqdb_code prepare_values(struct pq_column_writer *column, struct pq_text metadata,
                                pqdb_error *err) {
    if (column->levels.value_count == 0) return PQDB_OK;
    const bool needs_values = !column->is_coded || is_on_trial(column) ||
                              column->levels.column->layout != PQ_DICTIONARY;
    if (needs_values) PQ_TRY(gather(column, metadata, err));
    if (!column->is_coded) return PQDB_OK;
    PQ_TRY(code_block(column, err));
    PQ_TRY(check_dictionary(column, err));
    return column->is_coded || needs_values ? PQDB_OK : gather(column, metadata, err);
}

static pqdb_code append_block(struct pq_column_writer *column, struct pq_text metadata,
                              pqdb_error *err) {
    PQ_TRY(prepare_values(column, metadata, err));
    size_t level = 0, value = 0;
    while (level < column->levels.count) {
        const struct run run = fitting_run(column, level, value);
        if (run.rows == 0) {
            PQ_TRY(end_page(column, err));
            continue;
        }
        PQ_TRY(copy_run(column, level, value, &run, err));
        level += run.levels;
        value += run.values;
        if (column->page_rows == column->options->page_rows) PQ_TRY(end_page(column, err));
    }
    return PQDB_OK;
}

pqdb_code pq_column_writer_append(struct pq_column_writer *column, const struct pq_batch *batch,
                                  size_t start, size_t count, struct pq_text metadata,
                                  pqdb_error *err) {
    pqdb_code code = pq_shred(&column->path, batch, start, count, &column->levels, err);
    if (code == PQDB_OK) code = append_block(column, metadata, err);
    return code == PQDB_OK ? code : pq_parquet_at(code, err, -1, column->leaf);
}

pqdb_code pq_column_writer_end_chunk(struct pq_column_writer *column,
                                     struct pq_bytes *dictionary_page, pqdb_error *err) {
    PQ_TRY(end_page(column, err));
    if (column->wants_bloom) PQ_TRY(make_bloom(column, err));
    if (column->coded_pages == 0) return PQDB_OK;
    struct pq_meta_page header = {.has = 1u << PQ_PAGE_HAS_DICTIONARY, .type = PQ_PAGE_DICTIONARY};
    header.dictionary = (struct pq_meta_dictionary_page){
        .has = 0x6,
        .value_count = (int32_t)column->dictionary.count,
        .encoding = PQ_ENCODING_PLAIN,
    };
    return pq_page_write(&column->writer, &header, pq_bytes_text(&column->dictionary.plain),
                         dictionary_page, err);
}
