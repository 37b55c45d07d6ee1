#include "parquet/column_read.h"

#include "base/check.h"
#include "base/fail.h"
#include "parquet/encoding/bit_pack.h"
#include "parquet/encoding/rle.h"

enum { believed_expansion = 100, believed_bytes_max = 256 << 20 };

/// A page of more values is refused: levels of one run take no bytes, but a byte each in memory.
enum { page_values_max = 1 << 24, window_bytes = 1 << 20, window_bytes_min = 256 << 10 };

struct chunk_reader {
    const struct pq_parquet_source *source;
    const struct pq_chunk *chunk;
    const struct pq_chunk_request *request;
    struct pq_leaf_values *out;
    struct pq_page_reader pages;
    struct pq_chunk_memo *memo;
    struct pq_bytes bytes;      // stored: the pages wanted, or the window over the chunk
    struct pq_bytes head;       // stored, of the dictionary page alone
    struct pq_bytes def, rep;   // levels of the page
    bool saw_dictionary;
    uint64_t rows_seen;         // begun so far, from the row group's first
    uint64_t levels_seen;
    uint64_t rows_taken;
    bool was_asked_for_codes;
};

void pq_chunk_memo_init(struct pq_chunk_memo *memo, const struct pq_leaf *leaf,
                        const struct pq_alloc *alloc) {
    *memo = (struct pq_chunk_memo){0};
    pq_value_decoder_init(&memo->decoder, leaf, alloc);
    pq_bytes_init(&memo->remap, alloc);
    pq_bytes_init(&memo->converted, alloc);
}

void pq_chunk_memo_deinit(struct pq_chunk_memo *memo) {
    pq_value_decoder_deinit(&memo->decoder);
    pq_bytes_deinit(&memo->remap);
    pq_bytes_deinit(&memo->converted);
    if (memo->dictionary != NULL) pq_dictionary_unref(memo->dictionary);
}

static pqdb_code corrupt(const char *why, pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "a Parquet column is damaged: %s", why);
}

static pqdb_code read_levels(struct pq_text section, int32_t encoding, uint8_t max, uint32_t count,
                             struct pq_bytes *out, pqdb_error *err) {
    out->length = 0;
    PQ_TRY(pq_bytes_reserve(out, (size_t)count + 1, err));
    out->length = count;
    if (encoding == PQ_ENCODING_BIT_PACKED) {
        struct pq_cursor cursor = pq_cursor_of(section.data, section.length);
        if (pq_bit_packed_levels(&cursor, pq_bits_needed(max), out->data, count, max)) {
            return PQDB_OK;
        }
    } else {
        struct pq_rle_decoder rle;
        pq_rle_decoder_init(&rle, section.data, section.length, pq_bits_needed(max));
        if (pq_rle_take_levels(&rle, out->data, count, max)) return PQDB_OK;
    }
    return corrupt("there are too few levels, or one is too high", err);
}

/// The part of a page that belongs to the wanted rows.
struct cut {
    size_t first_level, level_count;
    size_t values_before, value_count;
    uint64_t rows;
};

static size_t count_values(const struct chunk_reader *reader, size_t start, size_t count) {
    const uint8_t max = reader->chunk->leaf->max_def;
    if (max == 0) return count;
    size_t values = 0;
    for (size_t i = start; i < start + count; i++) values += reader->def.data[i] == max;
    return values;
}

static void cut_flat(struct chunk_reader *reader, size_t levels, struct cut *cut) {
    const uint64_t from = reader->request->first_row, to = from + reader->request->row_count;
    const uint64_t begin = reader->rows_seen, end = begin + levels;
    const uint64_t first = from < begin ? begin : from < end ? from : end;
    const uint64_t last = to < begin ? begin : to < end ? to : end;
    cut->first_level = (size_t)(first - begin);
    cut->level_count = last > first ? (size_t)(last - first) : 0;
    cut->rows = cut->level_count;
    reader->rows_seen = end;
}

/// A row of a v1 page may go on in the next one, so a page may begin in the middle of a row.
static pqdb_code cut_nested(struct chunk_reader *reader, size_t levels, struct cut *cut,
                            pqdb_error *err) {
    const uint64_t from = reader->request->first_row, to = from + reader->request->row_count;
    bool has_begun = false;
    for (size_t i = 0; i < levels; i++) {
        if (reader->rep.data[i] == 0) {
            if (reader->rows_seen >= from && reader->rows_seen < to) cut->rows++;
            reader->rows_seen++;
        } else if (reader->rows_seen == 0) {
            return corrupt("its first row does not begin", err);
        }
        const uint64_t row = reader->rows_seen - 1;
        if (row < from || row >= to) continue;
        if (!has_begun) cut->first_level = i;
        has_begun = true;
        cut->level_count = i + 1 - cut->first_level;
    }
    return PQDB_OK;
}

static pqdb_code cut_page(struct chunk_reader *reader, const struct pq_page *page,
                          struct cut *cut, pqdb_error *err) {
    const struct pq_leaf *leaf = reader->chunk->leaf;
    const uint32_t levels = page->value_count;
    if (leaf->max_rep > 0) {
        PQ_TRY(read_levels(page->rep, page->rep_encoding, leaf->max_rep, levels, &reader->rep,
                           err));
    }
    if (leaf->max_def > 0) {
        PQ_TRY(read_levels(page->def, page->def_encoding, leaf->max_def, levels, &reader->def,
                           err));
    }
    *cut = (struct cut){0};
    if (leaf->max_rep > 0) {
        PQ_TRY(cut_nested(reader, levels, cut, err));
    } else {
        cut_flat(reader, levels, cut);
    }
    cut->values_before = count_values(reader, 0, cut->first_level);
    cut->value_count = count_values(reader, cut->first_level, cut->level_count);
    return PQDB_OK;
}

static void append_levels(struct chunk_reader *reader, const struct cut *cut) {
    struct pq_leaf_values *out = reader->out;
    if (cut->level_count == 0) return;
    if (out->def != NULL) {
        memcpy(out->def + out->level_count, reader->def.data + cut->first_level,
               cut->level_count);
    }
    if (out->rep != NULL) {
        memcpy(out->rep + out->level_count, reader->rep.data + cut->first_level,
               cut->level_count);
    }
    out->level_count += cut->level_count;
}

/// The hold takes a reference of its own.
static pqdb_code keep_dictionary(struct pq_hold *hold, const struct pq_dictionary *dictionary,
                                 pqdb_error *err) {
    static const struct pq_field field = {.type = {.kind = PQ_TEXT}};
    static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 1, .fields = &field};
    const struct pq_column column = {
        .type = &field.type, .layout = PQ_DICTIONARY, .dictionary = dictionary};
    const struct pq_batch batch = {.type = &type, .columns = &column};
    return pq_hold_keep_dictionaries(hold, &batch, err);
}

/// The metadata of annotated variants is one long text for all rows: it is never multiplied.
static pqdb_code begin_variant_codes(struct chunk_reader *reader, pqdb_error *err) {
    struct pq_leaf_values *out = reader->out;
    const uint32_t count = reader->memo->decoder.entry_count;
    const struct pq_text *entries = pq_value_decoder_entry_texts(&reader->memo->decoder);
    struct pq_text *kept = pq_arena_calloc(out->arena, (size_t)count + 1, sizeof *kept);
    if (kept == NULL) return pq_parquet_no_memory(err, "a column");
    for (uint32_t i = 0; i < count; i++) {
        kept[i] = pq_arena_copy(out->arena, entries[i]);
        if (kept[i].data == NULL) return pq_parquet_no_memory(err, "a column");
    }
    out->entries = kept;
    out->is_coded = true;
    return PQDB_OK;
}

/// A pq_dictionary of the chunk's, in the memo.
static pqdb_code make_dictionary(struct chunk_reader *reader, size_t bytes, pqdb_error *err) {
    struct pq_chunk_memo *memo = reader->memo;
    const uint32_t count = memo->decoder.entry_count;
    const struct pq_text *entries = pq_value_decoder_entry_texts(&memo->decoder);
    struct pq_dictionary *dictionary;
    PQ_TRY(pq_bytes_reserve(&memo->remap, count * sizeof(uint32_t), err));
    uint32_t *remap = (uint32_t *)(void *)memo->remap.data;
    for (uint32_t i = 0; i < count; i++) {
        if (!pq_text_is_utf8(entries[i])) {
            return pq_fail(err, PQDB_CORRUPT, "a text is not UTF-8");
        }
    }
    PQ_TRY(pq_dictionary_create(count, (uint32_t)bytes + 1, reader->request->hold->alloc,
                                &dictionary, err));
    for (uint32_t i = 0; i < count; i++) {
        remap[i] = pq_dictionary_code(dictionary, entries[i]);
        pq_assert(remap[i] != UINT32_MAX);
    }
    memo->dictionary = dictionary;
    return PQDB_OK;
}

/// Give codes if the chunk's dictionary fits and so many rows share it that it pays.
static pqdb_code begin_codes(struct chunk_reader *reader, pqdb_error *err) {
    struct pq_leaf_values *out = reader->out;
    const struct pq_leaf *leaf = reader->chunk->leaf;
    const struct pq_chunk_request *request = reader->request;
    const uint32_t count = reader->memo->decoder.entry_count;
    const uint64_t rows = request->memo != NULL ? reader->chunk->row_count : request->row_count;
    reader->was_asked_for_codes = true;
    if (leaf->conversion == PQ_CONVERT_VARIANT && out->count == 0) {
        return begin_variant_codes(reader, err);
    }
    if (request->hold == NULL || leaf->kind != PQ_TEXT || leaf->conversion != PQ_CONVERT_NONE ||
        out->count > 0 || count == 0 || count > PQ_DICTIONARY_ENTRIES_MAX || rows / 2 < count) {
        return PQDB_OK;
    }
    if (reader->memo->dictionary == NULL) {
        const struct pq_text *entries = pq_value_decoder_entry_texts(&reader->memo->decoder);
        size_t bytes = 0;
        for (uint32_t i = 0; i < count; i++) bytes += entries[i].length;
        if (bytes > PQ_DICTIONARY_BYTES_MAX) return PQDB_OK;
        PQ_TRY(make_dictionary(reader, bytes, err));
    }
    PQ_TRY(keep_dictionary(request->hold, reader->memo->dictionary, err));
    out->dictionary = reader->memo->dictionary;
    out->is_coded = true;
    return PQDB_OK;
}

/// Codes of values of a fixed width: the dictionary is converted once, then values are fetched.
static pqdb_code append_fixed_codes(struct chunk_reader *reader,
                                    const struct pq_stored_values *values, pqdb_error *err) {
    struct pq_leaf_values *out = reader->out;
    if (!reader->memo->has_converted) {
        const struct pq_value_decoder *decoder = &reader->memo->decoder;
        const struct pq_stored_values entries = {.count = decoder->entry_count,
                                                 .fixed = decoder->entries.data,
                                                 .width = decoder->width};
        PQ_TRY(pq_bytes_reserve(&reader->memo->converted, entries.count * out->width + 1, err));
        PQ_TRY(pq_leaf_convert(out->leaf, &entries, reader->memo->converted.data, err));
        reader->memo->has_converted = true;
    }
    pq_leaf_values_gather(out, reader->memo->converted.data, values->codes, values->count);
    return PQDB_OK;
}

static bool is_fixed(const struct pq_leaf *leaf) {
    return leaf->physical != PQ_PHYSICAL_BYTE_ARRAY && leaf->conversion != PQ_CONVERT_UUID &&
           leaf->conversion != PQ_CONVERT_FIXED && leaf->conversion != PQ_CONVERT_NULL &&
           pq_kind_width(leaf->kind) > 0;
}

static pqdb_code append_values(struct chunk_reader *reader, struct pq_stored_values *values,
                               size_t expected, pqdb_error *err) {
    struct pq_leaf_values *out = reader->out;
    if (values->codes != NULL && !reader->was_asked_for_codes) {
        PQ_TRY(begin_codes(reader, err));
    } else if (values->codes == NULL && out->is_coded) {
        PQ_TRY(pq_leaf_values_drop_codes(out, err));
    }
    PQ_TRY(pq_leaf_values_reserve(out, values->count, expected, err));
    if (values->codes == NULL) return pq_leaf_values_append(out, values, err);
    if (!out->is_coded && is_fixed(out->leaf)) return append_fixed_codes(reader, values, err);
    if (!out->is_coded) {
        PQ_TRY(pq_value_decoder_look_up(&reader->memo->decoder, values, err));
        return pq_leaf_values_append(out, values, err);
    }
    const uint32_t *remap = (const uint32_t *)(const void *)reader->memo->remap.data;
    uint32_t *codes = out->codes + out->count;
    for (size_t i = 0; i < values->count; i++) {
        codes[i] = out->entries != NULL ? values->codes[i] : remap[values->codes[i]];
    }
    out->count += values->count;
    return PQDB_OK;
}

/// How many levels the wanted rows will have, for reserving.
static size_t expected_levels(const struct chunk_reader *reader) {
    const uint64_t wanted = reader->request->row_count, all = reader->chunk->row_count;
    return (size_t)(wanted == all ? reader->chunk->value_count : wanted);
}

static pqdb_code read_data_page(struct chunk_reader *reader, struct pq_page *page,
                                pqdb_error *err) {
    const struct pq_leaf *leaf = reader->chunk->leaf;
    if (page->value_count > page_values_max) {
        return pq_fail(err, PQDB_LIMIT, "a page of %u values, at most %d", page->value_count,
                       (int)page_values_max);
    }
    if (page->value_count > reader->chunk->value_count - reader->levels_seen) {
        return corrupt("its pages hold more values than it says", err);
    }
    reader->levels_seen += page->value_count;
    if (reader->request->counts != NULL) reader->request->counts->pages++;
    if (leaf->max_rep == 0 && reader->rows_seen + page->value_count > reader->chunk->row_count) {
        return corrupt("its pages hold more rows than the row group", err);
    }
    PQ_TRY(pq_page_split_levels(page, leaf->max_rep, leaf->max_def, err));
    struct cut cut;
    PQ_TRY(cut_page(reader, page, &cut, err));
    reader->rows_taken += cut.rows;
    if (cut.level_count == 0) return PQDB_OK;
    const size_t expected = expected_levels(reader);
    PQ_TRY(pq_leaf_values_reserve_levels(reader->out, cut.level_count, expected, err));
    append_levels(reader, &cut);
    if (cut.value_count == 0) return PQDB_OK;
    struct pq_stored_values values;
    PQ_TRY(pq_value_decode(&reader->memo->decoder, page, cut.values_before, cut.value_count,
                           &values, err));
    return append_values(reader, &values, expected, err);
}

static pqdb_code fetch(struct chunk_reader *reader, uint64_t offset, uint64_t length,
                       struct pq_bytes *bytes, pqdb_error *err) {
    bytes->length = 0;
    PQ_TRY(pq_bytes_reserve(bytes, (size_t)length + 1, err));
    PQ_TRY(reader->source->read(reader->source->ctx, offset, bytes->data, (size_t)length, err));
    bytes->length = (size_t)length;
    if (reader->request->counts != NULL) reader->request->counts->bytes += length;
    return PQDB_OK;
}

static pqdb_code take_dictionary(struct chunk_reader *reader, const struct pq_page *page,
                                 pqdb_error *err) {
    if (reader->saw_dictionary) return corrupt("it has two dictionaries", err);
    reader->saw_dictionary = true;
    if (reader->memo->decoder.has_dictionary) return PQDB_OK;  // an earlier read took it
    return pq_value_decoder_set_dictionary(&reader->memo->decoder, page, err);
}

static bool is_coded(const struct pq_page *page) {
    return page->encoding == PQ_ENCODING_RLE_DICTIONARY ||
           page->encoding == PQ_ENCODING_PLAIN_DICTIONARY;
}

/// The dictionary page stands in front of the first data page; it is read when a page needs it.
static pqdb_code fetch_dictionary(struct chunk_reader *reader, pqdb_error *err) {
    const uint64_t start = reader->chunk->offset, end = reader->request->pages->pages[0].offset;
    if (end <= start) return corrupt("coded, but there is no dictionary", err);
    PQ_TRY(fetch(reader, start, end - start, &reader->head, err));
    struct pq_page_reader pages;
    pq_page_reader_init(&pages, reader->chunk->codec, reader->request->alloc);
    pq_page_reader_begin(&pages, reader->head.data, reader->head.length, start);
    pages.expected = reader->request->pages->headers;
    struct pq_page page;
    pqdb_code code = pq_page_read(&pages, &page, err);
    if (code == PQDB_OK && page.type != PQ_PAGE_DICTIONARY) {
        code = corrupt("coded, but there is no dictionary", err);
    }
    if (code == PQDB_OK) code = take_dictionary(reader, &page, err);
    pq_page_reader_deinit(&pages);
    return code;
}

static uint64_t page_position(const struct chunk_reader *reader) {
    return reader->pages.offset + (uint64_t)(reader->pages.cursor.at - reader->pages.bytes);
}

static pqdb_code take_page(struct chunk_reader *reader, struct pq_page *page, pqdb_error *err) {
    pqdb_code code = PQDB_OK;
    if (page->type == PQ_PAGE_DICTIONARY) {
        code = take_dictionary(reader, page, err);
    } else {
        const bool lacks = is_coded(page) && !reader->memo->decoder.has_dictionary;
        if (lacks && reader->request->pages != NULL) {
            code = fetch_dictionary(reader, err);
        }
        if (code == PQDB_OK) code = read_data_page(reader, page, err);
    }
    return code == PQDB_OK ? code
                           : pq_parquet_at(code, err, (int64_t)page->offset, reader->chunk->leaf);
}

/// Let `bytes` begin at `position` and hold `length` bytes, or the rest of the chunk.
static pqdb_code move_window(struct chunk_reader *reader, uint64_t position, uint64_t length,
                             pqdb_error *err) {
    const uint64_t left = reader->chunk->offset + reader->chunk->bytes - position;
    PQ_TRY(fetch(reader, position, length < left ? length : left, &reader->bytes, err));
    pq_page_reader_begin(&reader->pages, reader->bytes.data, reader->bytes.length, position);
    return PQDB_OK;
}

/// The next page, through a window that moves on over the chunk. A page that does not fit looks
/// damaged at first: then the window grows until it does, or the chunk ends.
static pqdb_code next_page(struct chunk_reader *reader, struct pq_page *page, pqdb_error *err) {
    const uint64_t chunk_end = reader->chunk->offset + reader->chunk->bytes;
    const uint64_t position = page_position(reader);
    uint64_t window_end = reader->pages.offset + reader->bytes.length;
    if (window_end - position < window_bytes_min && window_end < chunk_end) {
        PQ_TRY(move_window(reader, position, window_bytes, err));
        window_end = reader->pages.offset + reader->bytes.length;
    }
    pqdb_code code = pq_page_read(&reader->pages, page, err);
    for (uint64_t length = 4 * window_bytes; code == PQDB_CORRUPT && window_end < chunk_end;
         length *= 4) {
        PQ_TRY(move_window(reader, position, length, err));
        window_end = reader->pages.offset + reader->bytes.length;
        code = pq_page_read(&reader->pages, page, err);
    }
    return code;
}

static pqdb_code read_whole(struct chunk_reader *reader, pqdb_error *err) {
    const struct pq_chunk *chunk = reader->chunk;
    PQ_TRY(move_window(reader, chunk->offset, window_bytes, err));
    const uint64_t to = reader->request->first_row + reader->request->row_count;
    const bool to_end = to == chunk->row_count;
    while (reader->levels_seen < chunk->value_count) {
        // Without lists it is known where the wanted rows end.
        if (!to_end && chunk->leaf->max_rep == 0 && reader->rows_seen >= to) break;
        struct pq_page page;
        PQ_TRY(next_page(reader, &page, err));
        PQ_TRY(take_page(reader, &page, err));
    }
    if (to_end && reader->rows_seen != chunk->row_count) {
        return corrupt("its rows are not those of the row group", err);
    }
    if (to_end && chunk->headers != NULL && *chunk->headers != reader->pages.headers) {
        return corrupt("the checksum of its pages' headers is wrong", err);
    }
    return PQDB_OK;
}

static pqdb_code read_indexed(struct chunk_reader *reader, pqdb_error *err) {
    const struct pq_parquet_pages *pages = reader->request->pages;
    const uint64_t from = reader->request->first_row, to = from + reader->request->row_count;
    size_t first = 0, end = 0;
    while (first + 1 < pages->count && pages->pages[first + 1].first_row <= from) first++;
    for (end = first; end < pages->count && pages->pages[end].first_row < to;) end++;
    if (end == first) return corrupt("its page index lacks rows", err);
    const struct pq_parquet_page *last = &pages->pages[end - 1];
    const uint64_t start = pages->pages[first].offset;
    PQ_TRY(fetch(reader, start, last->offset + last->bytes - start, &reader->bytes, err));
    pq_page_reader_begin(&reader->pages, reader->bytes.data, reader->bytes.length, start);
    for (size_t i = first; i < end; i++) {
        if (page_position(reader) != pages->pages[i].offset) {
            return corrupt("its pages are not where the page index says", err);
        }
        reader->rows_seen = pages->pages[i].first_row;
        struct pq_page page;
        if (pages->headers != NULL) reader->pages.expected = &pages->headers[i + 1];
        PQ_TRY(pq_page_read(&reader->pages, &page, err));
        PQ_TRY(take_page(reader, &page, err));
        if (reader->rows_seen != pages->pages[i].first_row + pages->pages[i].row_count) {
            return corrupt("its pages have other rows than the page index says", err);
        }
    }
    return PQDB_OK;
}

/// How many bytes of text will come: what the footer says, as far as it can be believed.
static size_t expected_bytes(const struct chunk_reader *reader) {
    const struct pq_chunk *chunk = reader->chunk;
    uint64_t bytes = chunk->raw_bytes;
    if (bytes / believed_expansion > chunk->bytes || bytes > believed_bytes_max) return 0;
    if (chunk->row_count > 0) {
        const double share = (double)reader->request->row_count / (double)chunk->row_count;
        bytes = (uint64_t)((double)bytes * share * 1.1);
    }
    return (size_t)bytes;
}

static pqdb_code read_chunk(struct chunk_reader *reader, pqdb_error *err) {
    reader->out->data_expected = expected_bytes(reader);
    if (reader->request->row_count > 0) {
        PQ_TRY(reader->request->pages == NULL ? read_whole(reader, err)
                                              : read_indexed(reader, err));
    }
    if (reader->rows_taken != reader->request->row_count) {
        return corrupt("it has fewer rows than the row group", err);
    }
    return pq_leaf_values_reserve(reader->out, 0, 0, err);  // never without offsets
}

pqdb_code pq_chunk_read(const struct pq_parquet_source *source, const struct pq_chunk *chunk,
                        const struct pq_chunk_request *request, struct pq_leaf_values *out,
                        pqdb_error *err) {
    struct pq_chunk_memo own;
    struct chunk_reader reader = {.source = source, .chunk = chunk, .request = request,
                                  .memo = request->memo == NULL ? &own : request->memo,
                                  .out = out};
    struct pq_bytes *const buffers[] = {&reader.bytes, &reader.head, &reader.def, &reader.rep};
    for (size_t i = 0; i < 4; i++) pq_bytes_init(buffers[i], request->alloc);
    pq_page_reader_init(&reader.pages, chunk->codec, request->alloc);
    reader.pages.has_checks = chunk->headers != NULL;
    if (request->memo == NULL) pq_chunk_memo_init(&own, chunk->leaf, request->alloc);
    pqdb_code code = read_chunk(&reader, err);
    // What we wrote is never beyond us: a header that says so is damaged.
    const bool is_odd = code == PQDB_UNSUPPORTED || code == PQDB_INVALID;
    if (is_odd && chunk->headers != NULL) code = corrupt("its pages make no sense", err);
    for (size_t i = 0; i < 4; i++) pq_bytes_deinit(buffers[i]);
    pq_page_reader_deinit(&reader.pages);
    if (request->memo == NULL) pq_chunk_memo_deinit(&own);
    return code == PQDB_OK ? code : pq_parquet_at(code, err, (int64_t)chunk->offset, chunk->leaf);
}
