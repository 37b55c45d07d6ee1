/// The part of a file that comes after pages: row groups as they end, indexes and footer at last.
#include "base/check.h"
#include "base/fail.h"
#include "parquet/file_writer_internal.h"

#define CREATED_BY "parquedb version 0.1.0 (build 2)"

enum { iceberg_characters = 16, iceberg_bytes = 16 };

static pqdb_code no_memory(pqdb_error *err) { return pq_parquet_no_memory(err, "the footer"); }

/// Bounds of a chunk from those of its pages. A bound counts as exact if some page has it exactly.
static void merge_bounds(const struct pq_leaf *leaf, const struct pq_page_entry *entries,
                         size_t count, struct pq_meta_statistics *statistics) {
    bool has_min = false, has_max = true;
    struct pq_meta_statistics *s = statistics;
    for (size_t i = 0; i < count; i++) {
        const struct pq_page_entry *page = &entries[i];
        if (!page->has_bounds) continue;
        const int below = has_min ? pq_bounds_compare(leaf, page->min, s->min) : -1;
        if (below < 0) {
            s->min = page->min;
            s->is_min_exact = page->is_min_exact;
        } else if (below == 0 && page->is_min_exact) {
            s->is_min_exact = true;
        }
        has_max = has_max && page->has_max;
        const int above = !has_max ? -1 : has_min ? pq_bounds_compare(leaf, page->max, s->max) : 1;
        if (above > 0) {
            s->max = page->max;
            s->is_max_exact = page->is_max_exact;
        } else if (above == 0 && page->is_max_exact) {
            s->is_max_exact = true;
        }
        has_min = true;
    }
    if (!has_min) return;
    s->has |= 1u << PQ_STATISTICS_MIN | 1u << PQ_STATISTICS_MIN_EXACT;
    if (has_max) s->has |= 1u << PQ_STATISTICS_MAX | 1u << PQ_STATISTICS_MAX_EXACT;
}

static bool is_float(const struct pq_leaf *leaf) {
    return leaf->kind == PQ_FLOAT32 || leaf->kind == PQ_FLOAT64;
}

static void fill_statistics(const struct pq_column_writer *column,
                            struct pq_meta_statistics *statistics) {
    statistics->has = 1u << PQ_STATISTICS_NULL_COUNT;
    statistics->null_count = (int64_t)column->null_count;
    if (is_float(column->leaf)) {
        statistics->has |= 1u << PQ_STATISTICS_NAN_COUNT;
        statistics->nan_count = (int64_t)column->nan_count;
    }
    merge_bounds(column->leaf, column->entries, column->entry_count, statistics);
}

static pqdb_code fill_encodings(const struct pq_column_writer *column, struct pq_arena *arena,
                                struct pq_meta_column *meta, pqdb_error *err) {
    enum { encodings_max = PQ_ENCODING_BYTE_STREAM_SPLIT + 1 };
    int32_t *encodings = pq_arena_calloc(arena, encodings_max, sizeof *encodings);
    struct pq_meta_encoding_stats *stats =
        pq_arena_calloc(arena, encodings_max + 1, sizeof *stats);
    if (encodings == NULL || stats == NULL) return no_memory(err);
    meta->encodings = encodings;
    meta->encoding_stats = stats;
    size_t count = 0;
    if (column->coded_pages > 0) {
        stats[count++] = (struct pq_meta_encoding_stats){0xE, PQ_PAGE_DICTIONARY,
                                                         PQ_ENCODING_PLAIN, 1};
    }
    for (int32_t encoding = 0; encoding < encodings_max; encoding++) {
        const int32_t pages = column->pages_by_encoding[encoding];
        // Levels are runs, dictionary pages PLAIN: those are always there.
        if (pages > 0 || encoding == PQ_ENCODING_PLAIN || encoding == PQ_ENCODING_RLE) {
            encodings[meta->encoding_count++] = encoding;
        }
        if (pages > 0) {
            stats[count++] = (struct pq_meta_encoding_stats){0xE, PQ_PAGE_DATA, encoding, pages};
        }
    }
    meta->encoding_stats_count = count;
    return PQDB_OK;
}

static pqdb_code keep_entries(struct pq_parquet_writer *writer, struct pq_written_group *group,
                              size_t leaf, uint64_t data_offset, pqdb_error *err) {
    const struct pq_column_writer *column = &writer->columns[leaf];
    struct pq_page_entry *kept =
        pq_arena_calloc(&writer->arena, column->entry_count, sizeof *kept);
    if (kept == NULL) return no_memory(err);
    memcpy(kept, column->entries, column->entry_count * sizeof *kept);
    for (size_t i = 0; i < column->entry_count; i++) kept[i].offset += data_offset;
    group->entries[leaf] = kept;
    group->entry_counts[leaf] = column->entry_count;
    return PQDB_OK;
}

/// What the chunk's own struct says of it; the rest is filled in as it is written.
static pqdb_code begin_checks(struct pq_parquet_writer *writer, struct pq_written_group *group,
                              size_t leaf, pqdb_error *err) {
    uint8_t *checks = pq_arena_calloc(&writer->arena, PQ_CHECKS_CHUNK_BYTES, 1);
    if (checks == NULL) return no_memory(err);
    group->checks[leaf] = checks;
    const bool has_dictionary = writer->columns[leaf].coded_pages > 0;
    group->dictionary_checks[leaf] =
        has_dictionary ? writer->columns[leaf].writer.header_check : 0;
    uint64_t headers = 0;
    if (has_dictionary) headers = pq_check_add_header(headers, group->dictionary_checks[leaf]);
    for (size_t i = 0; i < group->entry_counts[leaf]; i++) {
        headers = pq_check_add_header(headers, group->entries[leaf][i].header_check);
    }
    pq_store_u64(checks + PQ_CHECKS_HEADERS, headers);
    struct pq_meta_chunk *chunk = &group->chunks[leaf];
    chunk->has |= 1u << PQ_THRIFT_EXTENSION_BIT;
    chunk->extension = (struct pq_text){(const char *)checks, PQ_CHECKS_CHUNK_BYTES};
    return PQDB_OK;
}

static void add_to_totals(struct pq_parquet_writer *writer, size_t leaf,
                          const struct pq_meta_column *meta) {
    const struct pq_column_writer *column = &writer->columns[leaf];
    const struct pq_meta_statistics *statistics = &meta->statistics;
    struct pq_leaf_total *total = &writer->totals[leaf];
    total->stored_bytes += (uint64_t)meta->stored_bytes;
    total->value_count += column->value_count;
    total->null_count += column->null_count;
    total->nan_count += column->nan_count;
    if (!PQ_THRIFT_HAS(statistics, PQ_STATISTICS_MIN)) return;
    const struct pq_leaf *leaf_of = column->leaf;
    const bool first = !total->has_bounds;
    if (first || pq_bounds_compare(leaf_of, statistics->min, total->min) < 0) {
        total->min = statistics->min;
    }
    total->has_max = (first || total->has_max) && PQ_THRIFT_HAS(statistics, PQ_STATISTICS_MAX);
    if (total->has_max && (first || pq_bounds_compare(leaf_of, statistics->max, total->max) > 0)) {
        total->max = statistics->max;
    }
    total->has_bounds = true;
}

static pqdb_code write_chunk(struct pq_parquet_writer *writer, struct pq_written_group *group,
                             size_t leaf, pqdb_error *err) {
    struct pq_column_writer *column = &writer->columns[leaf];
    struct pq_meta_chunk *chunk = &group->chunks[leaf];
    struct pq_meta_column *meta = &chunk->column;
    writer->page.length = 0;
    PQ_TRY(pq_column_writer_end_chunk(column, &writer->page, err));
    const uint64_t start = writer->position, data = start + writer->page.length;
    PQ_TRY(pq_parquet_emit(writer, pq_bytes_text(&writer->page), err));
    PQ_TRY(pq_parquet_emit(writer, pq_bytes_text(&column->pages), err));
    *chunk = (struct pq_meta_chunk){.has = 1u << PQ_CHUNK_FILE_OFFSET | 1u << PQ_CHUNK_COLUMN};
    *meta = (struct pq_meta_column){
        .has = PQ_COLUMN_ALWAYS | 1u << PQ_COLUMN_STATISTICS | 1u << PQ_COLUMN_ENCODING_STATS,
        .type = (int32_t)column->leaf->physical,
        .path = column->leaf->path,
        .path_count = column->leaf->path_count,
        .codec = pq_parquet_codec_number(writer->options.codec),
        .value_count = (int64_t)column->value_count,
        .raw_bytes = column->writer.raw_bytes,
        .stored_bytes = (int64_t)(writer->position - start),
        .data_page_offset = (int64_t)data,
    };
    if (data > start) {
        meta->has |= 1u << PQ_COLUMN_DICTIONARY_OFFSET;
        meta->dictionary_page_offset = (int64_t)start;
    }
    fill_statistics(column, &meta->statistics);
    PQ_TRY(fill_encodings(column, &writer->arena, meta, err));
    PQ_TRY(keep_entries(writer, group, leaf, data, err));
    PQ_TRY(begin_checks(writer, group, leaf, err));
    add_to_totals(writer, leaf, meta);
    group->raw_bytes += meta->raw_bytes;
    group->stored_bytes += meta->stored_bytes;
    return PQDB_OK;
}

/// Behind the pages of the row group, so that no filter waits for the end of the file.
static pqdb_code write_blooms(struct pq_parquet_writer *writer, struct pq_written_group *group,
                              pqdb_error *err) {
    for (size_t i = 0; i < writer->column_count; i++) {
        struct pq_column_writer *column = &writer->columns[i];
        struct pq_meta_column *meta = &group->chunks[i].column;
        if (column->bloom.length > 0) {
            meta->has |= 1u << PQ_COLUMN_BLOOM_OFFSET | 1u << PQ_COLUMN_BLOOM_BYTES;
            meta->bloom_offset = (int64_t)writer->position;
            meta->bloom_bytes = (int32_t)column->bloom.length;
            PQ_TRY(pq_parquet_emit(writer, pq_bytes_text(&column->bloom), err));
            pq_store_u64(group->checks[i] + PQ_CHECKS_BLOOM,
                         pq_hash(column->bloom.data, column->bloom.length));
        }
        pq_column_writer_reset(column);
    }
    return PQDB_OK;
}

static pqdb_code add_group(struct pq_parquet_writer *writer, struct pq_written_group **out,
                           pqdb_error *err) {
    if (writer->group_count == writer->group_capacity) {
        const size_t room = writer->group_capacity == 0 ? 8 : writer->group_capacity * 2;
        void *grown = pq_resize(writer->alloc, writer->groups, writer->group_capacity, room,
                                sizeof *writer->groups);
        if (grown == NULL) return no_memory(err);
        writer->groups = grown;
        writer->group_capacity = room;
    }
    struct pq_written_group *group = &writer->groups[writer->group_count];
    const size_t leaves = writer->column_count;
    struct pq_arena *arena = &writer->arena;
    *group = (struct pq_written_group){
        .chunks = pq_arena_calloc(arena, leaves, sizeof *group->chunks),
        .entries = pq_arena_calloc(arena, leaves, sizeof *group->entries),
        .entry_counts = pq_arena_calloc(arena, leaves, sizeof *group->entry_counts),
        .dictionary_checks = pq_arena_calloc(arena, leaves, sizeof *group->dictionary_checks),
        .checks = pq_arena_calloc(arena, leaves, sizeof *group->checks),
        .row_count = (int64_t)writer->group_rows,
        .file_offset = (int64_t)writer->position,
    };
    if (group->chunks == NULL || group->entries == NULL || group->entry_counts == NULL ||
        group->dictionary_checks == NULL || group->checks == NULL) {
        return no_memory(err);
    }
    writer->group_count++;
    *out = group;
    return PQDB_OK;
}

pqdb_code pq_parquet_end_group(struct pq_parquet_writer *writer, pqdb_error *err) {
    if (writer->group_rows == 0) return PQDB_OK;
    struct pq_written_group *group = NULL;
    PQ_TRY(add_group(writer, &group, err));
    for (size_t i = 0; i < writer->column_count; i++) PQ_TRY(write_chunk(writer, group, i, err));
    PQ_TRY(write_blooms(writer, group, err));
    writer->row_count += writer->group_rows;
    writer->group_rows = 0;
    return PQDB_OK;
}

static pqdb_code emit_struct(struct pq_parquet_writer *writer, const struct pq_thrift_struct *of,
                             const void *object, int64_t *offset, int32_t *bytes,
                             pqdb_error *err) {
    writer->page.length = 0;
    PQ_TRY(pq_thrift_encode(of, object, &writer->page, err));
    *offset = (int64_t)writer->position;
    *bytes = (int32_t)writer->page.length;
    return pq_parquet_emit(writer, pq_bytes_text(&writer->page), err);
}

/// 1 ascending, 2 descending, 0 neither; null pages do not count.
static int32_t boundary_order(const struct pq_leaf *leaf, const struct pq_page_entry *entries,
                              size_t count) {
    bool ascending = true, descending = true;
    const struct pq_page_entry *before = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct pq_page_entry *page = &entries[i];
        if (page->is_null_page) continue;
        if (before != NULL) {
            const int min = pq_bounds_compare(leaf, before->min, page->min);
            const int max = pq_bounds_compare(leaf, before->max, page->max);
            if (min > 0 || max > 0) ascending = false;
            if (min < 0 || max < 0) descending = false;
        }
        before = page;
    }
    return ascending ? 1 : descending ? 2 : 0;
}

/// A column index needs both bounds of every page that is not all null.
static bool is_indexable(const struct pq_leaf *leaf, const struct pq_page_entry *entries,
                         size_t count) {
    if (!leaf->has_order) return false;
    for (size_t i = 0; i < count; i++) {
        if (!entries[i].is_null_page && !(entries[i].has_bounds && entries[i].has_max)) {
            return false;
        }
    }
    return true;
}

static pqdb_code write_column_index(struct pq_parquet_writer *writer,
                                    struct pq_written_group *group, size_t leaf,
                                    pqdb_error *err) {
    const struct pq_leaf *of = &writer->schema.leaves[leaf];
    const struct pq_page_entry *entries = group->entries[leaf];
    const size_t count = group->entry_counts[leaf];
    if (!is_indexable(of, entries, count)) return PQDB_OK;
    struct pq_arena *arena = &writer->arena;
    bool *null_pages = pq_arena_calloc(arena, count, sizeof *null_pages);
    struct pq_text *mins = pq_arena_calloc(arena, count, sizeof *mins);
    struct pq_text *maxs = pq_arena_calloc(arena, count, sizeof *maxs);
    int64_t *nulls = pq_arena_calloc(arena, count, sizeof *nulls);
    int64_t *nans = pq_arena_calloc(arena, count, sizeof *nans);
    if (null_pages == NULL || mins == NULL || maxs == NULL || nulls == NULL || nans == NULL) {
        return no_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        null_pages[i] = entries[i].is_null_page;
        mins[i] = entries[i].min;
        maxs[i] = entries[i].max;
        nulls[i] = (int64_t)entries[i].null_count;
        nans[i] = (int64_t)entries[i].nan_count;
    }
    struct pq_meta_column_index index = {
        .has = PQ_COLUMN_INDEX_ALWAYS | 1u << PQ_COLUMN_INDEX_NULL_COUNTS,
        .null_pages = null_pages, .null_page_count = count,
        .mins = mins, .min_count = count,
        .maxs = maxs, .max_count = count,
        .order = boundary_order(of, entries, count),
        .null_counts = nulls, .null_count_count = count,
        .nan_counts = nans, .nan_count_count = count,
    };
    if (is_float(of)) index.has |= 1u << PQ_COLUMN_INDEX_NAN_COUNTS;
    struct pq_meta_chunk *chunk = &group->chunks[leaf];
    chunk->has |= 3u << PQ_CHUNK_COLUMN_INDEX;
    PQ_TRY(emit_struct(writer, &pq_meta_column_index_table, &index, &chunk->column_index_offset,
                       &chunk->column_index_bytes, err));
    pq_store_u64(group->checks[leaf] + PQ_CHECKS_COLUMN_INDEX,
                 pq_hash(writer->page.data, writer->page.length));
    return PQDB_OK;
}

static pqdb_code write_offset_index(struct pq_parquet_writer *writer,
                                    struct pq_written_group *group, size_t leaf,
                                    pqdb_error *err) {
    const struct pq_page_entry *entries = group->entries[leaf];
    const size_t count = group->entry_counts[leaf];
    struct pq_meta_location *locations =
        pq_arena_calloc(&writer->arena, count, sizeof *locations);
    if (locations == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        locations[i] = (struct pq_meta_location){
            0xE, (int64_t)entries[i].offset, (int32_t)entries[i].bytes,
            (int64_t)entries[i].first_row};
    }
    uint32_t *headers = pq_arena_alloc(&writer->arena, (count + 1) * sizeof *headers);
    if (headers == NULL) return no_memory(err);
    headers[0] = group->dictionary_checks[leaf];
    for (size_t i = 0; i < count; i++) headers[i + 1] = entries[i].header_check;
    const struct pq_meta_offset_index index = {
        .has = 2u | 1u << PQ_THRIFT_EXTENSION_BIT, .locations = locations, .location_count = count,
        .extension = {(const char *)headers, (count + 1) * sizeof *headers}};
    struct pq_meta_chunk *chunk = &group->chunks[leaf];
    chunk->has |= 3u << PQ_CHUNK_OFFSET_INDEX;
    PQ_TRY(emit_struct(writer, &pq_meta_offset_index_table, &index, &chunk->offset_index_offset,
                       &chunk->offset_index_bytes, err));
    pq_store_u64(group->checks[leaf] + PQ_CHECKS_OFFSET_INDEX,
                 pq_hash(writer->page.data, writer->page.length));
    return PQDB_OK;
}

static pqdb_code write_indexes(struct pq_parquet_writer *writer, pqdb_error *err) {
    for (size_t g = 0; g < writer->group_count; g++) {
        for (size_t i = 0; i < writer->column_count; i++) {
            PQ_TRY(write_column_index(writer, &writer->groups[g], i, err));
        }
    }
    for (size_t g = 0; g < writer->group_count; g++) {
        for (size_t i = 0; i < writer->column_count; i++) {
            PQ_TRY(write_offset_index(writer, &writer->groups[g], i, err));
        }
    }
    return PQDB_OK;
}

/// The leaf by which rows are sorted, when it is one.
static const struct pq_meta_sorting *sorting_of(const struct pq_parquet_writer *writer,
                                                struct pq_meta_sorting *room) {
    if (!writer->options.is_sorted) return NULL;
    const struct pq_node *node = &writer->schema.root.children[writer->options.sort_field];
    if (node->child_count > 0 || node->leaf_count != 1) return NULL;
    *room = (struct pq_meta_sorting){.has = 0xE, .column = (int32_t)node->leaf};
    return room;
}

static pqdb_code fill_groups(struct pq_parquet_writer *writer, struct pq_meta_file *file,
                             const struct pq_meta_sorting *sorting, pqdb_error *err) {
    struct pq_meta_group *groups =
        pq_arena_calloc(&writer->arena, writer->group_count, sizeof *groups);
    if (groups == NULL) return no_memory(err);
    for (size_t g = 0; g < writer->group_count; g++) {
        const struct pq_written_group *group = &writer->groups[g];
        groups[g] = (struct pq_meta_group){
            .has = 0x6E,  // chunks, bytes, rows, offset, stored bytes
            .chunks = group->chunks,
            .chunk_count = writer->column_count,
            .raw_bytes = group->raw_bytes,
            .row_count = group->row_count,
            .sorting = sorting,
            .sorting_count = sorting != NULL,
            .file_offset = group->file_offset,
            .stored_bytes = group->stored_bytes,
            .ordinal = (int16_t)g,
        };
        if (sorting != NULL) groups[g].has |= 1u << 4;
        if (g <= INT16_MAX) groups[g].has |= 1u << 7;
    }
    file->groups = groups;
    file->group_count = writer->group_count;
    return PQDB_OK;
}

pqdb_code pq_parquet_write_footer(struct pq_parquet_writer *writer, pqdb_error *err) {
    PQ_TRY(write_indexes(writer, err));
    struct pq_meta_order *orders =
        pq_arena_calloc(&writer->arena, writer->column_count, sizeof *orders);
    if (orders == NULL) return no_memory(err);
    for (size_t i = 0; i < writer->column_count; i++) orders[i].has = 2;  // TypeDefinedOrder
    struct pq_meta_file file = {
        .has = PQ_FILE_ALWAYS | 1u << PQ_FILE_CREATED_BY | 1u << PQ_FILE_ORDERS,
        .version = 1,
        .elements = writer->schema.elements,
        .element_count = writer->schema.element_count,
        .row_count = (int64_t)writer->row_count,
        .pairs = writer->pairs,
        .pair_count = writer->options.pair_count,
        .created_by = PQ_TEXT(CREATED_BY),
        .orders = orders,
        .order_count = writer->column_count,
    };
    if (file.pair_count > 0) file.has |= 1u << PQ_FILE_PAIRS;
    uint8_t checks[PQ_CHECKS_FILE_BYTES] = {0};
    memcpy(checks + 8, pq_checks_mark, sizeof pq_checks_mark);
    file.has |= 1u << PQ_THRIFT_EXTENSION_BIT;
    file.extension = (struct pq_text){(const char *)checks, sizeof checks};
    struct pq_meta_sorting sorting;
    PQ_TRY(fill_groups(writer, &file, sorting_of(writer, &sorting), err));
    writer->page.length = 0;
    PQ_TRY(pq_thrift_encode(&pq_meta_file_table, &file, &writer->page, err));
    if (writer->page.length > INT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a Parquet footer of more than 2 GiB");
    }
    const uint32_t length = (uint32_t)writer->page.length;
    pq_store_u64(writer->page.data + length - 1 - PQ_CHECKS_FILE_BYTES,
                 pq_hash(writer->page.data, length));
    PQ_TRY(pq_bytes_append(&writer->page, &length, sizeof length, err));
    PQ_TRY(pq_bytes_append(&writer->page, "PAR1", 4, err));
    return pq_parquet_emit(writer, pq_bytes_text(&writer->page), err);
}

/// Iceberg's single-value form: as PLAIN, but decimals big-endian in as few bytes as they need.
/// Without data when no upper bound is short enough.
static pqdb_code iceberg_bound(struct pq_parquet_writer *writer, const struct pq_leaf *leaf,
                               struct pq_text bound, bool is_upper, struct pq_text *out,
                               pqdb_error *err) {
    char room[PQ_BOUND_BYTES_MAX];
    struct pq_text cut = bound;
    *out = (struct pq_text){0};
    if (leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        const bool is_text = leaf->kind == PQ_TEXT;
        const struct pq_bound_limit limit = {is_text, is_upper,
                                             is_text ? sizeof room : iceberg_bytes,
                                             iceberg_characters};
        bool is_exact;
        if (!pq_bound_cut(&limit, bound, room, &cut, &is_exact)) return PQDB_OK;
    } else if (leaf->kind == PQ_DECIMAL) {
        uint8_t big_endian[16];
        size_t width = bound.length, skip = 0;
        for (size_t i = 0; i < width; i++) {
            const size_t from = leaf->physical == PQ_PHYSICAL_FIXED ? i : width - 1 - i;
            big_endian[i] = (uint8_t)bound.data[from];
        }
        while (skip + 1 < width && (big_endian[skip] == 0x00 || big_endian[skip] == 0xFF) &&
               (big_endian[skip] >> 7) == (big_endian[skip + 1] >> 7)) {
            skip++;
        }
        memcpy(room, big_endian + skip, width - skip);
        cut = (struct pq_text){room, width - skip};
    }
    *out = pq_arena_copy(&writer->arena, cut);
    return out->data == NULL ? no_memory(err) : PQDB_OK;
}

static pqdb_code join_path(struct pq_parquet_writer *writer, const struct pq_leaf *leaf,
                           size_t parts, struct pq_text *path, pqdb_error *err) {
    writer->page.length = 0;
    for (size_t i = 0; i < parts; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(&writer->page, '.', err));
        PQ_TRY(pq_bytes_append_text(&writer->page, leaf->path[i], err));
    }
    *path = pq_arena_copy(&writer->arena, pq_bytes_text(&writer->page));
    return path->data == NULL ? no_memory(err) : PQDB_OK;
}

static pqdb_code fill_leaf(struct pq_parquet_writer *writer, const struct pq_node *node,
                           int32_t field_id, struct pq_parquet_leaf_info *info, pqdb_error *err) {
    const struct pq_leaf *leaf = &writer->schema.leaves[node->leaf];
    const struct pq_leaf_total *total = &writer->totals[node->leaf];
    const size_t hidden = node->leaf_count - 1;  // metadata and value are below the group
    *info = (struct pq_parquet_leaf_info){
        .field_id = field_id,
        .value_count = total->value_count,
        .null_count = total->null_count,
        .nan_count = total->nan_count,
        .has_bounds = total->has_bounds && leaf->max_rep == 0,
    };
    for (size_t i = 0; i < node->leaf_count; i++) info->stored_bytes += total[i].stored_bytes;
    PQ_TRY(join_path(writer, leaf, leaf->path_count - hidden, &info->path, err));
    if (!info->has_bounds) return PQDB_OK;
    PQ_TRY(iceberg_bound(writer, leaf, total->min, false, &info->lower, err));
    if (!total->has_max) return PQDB_OK;
    PQ_TRY(iceberg_bound(writer, leaf, total->max, true, &info->upper, err));
    info->has_upper = info->upper.data != NULL;
    return PQDB_OK;
}

/// Depth first, the order of leaves. A list's leaf carries the id of its element.
static pqdb_code fill_leaves(struct pq_parquet_writer *writer, const struct pq_node *node,
                             int32_t field_id, struct pq_parquet_leaf_info *leaves,
                             size_t *leaf_count, pqdb_error *err) {
    if (node->child_count == 0) {
        return fill_leaf(writer, node, field_id, &leaves[(*leaf_count)++], err);
    }
    for (uint32_t i = 0; i < node->child_count; i++) {
        PQ_TRY(fill_leaves(writer, &node->children[i], node->type->fields[i].id, leaves,
                           leaf_count, err));
    }
    return PQDB_OK;
}

pqdb_code pq_parquet_fill_info(struct pq_parquet_writer *writer,
                               struct pq_parquet_file_info *info, pqdb_error *err) {
    struct pq_arena *arena = &writer->arena;
    struct pq_parquet_leaf_info *leaves =
        pq_arena_calloc(arena, writer->column_count, sizeof *leaves);
    int64_t *splits = pq_arena_calloc(arena, writer->group_count, sizeof *splits);
    if (leaves == NULL || splits == NULL) return no_memory(err);
    size_t leaf_count = 0;
    PQ_TRY(fill_leaves(writer, &writer->schema.root, 0, leaves, &leaf_count, err));
    for (size_t i = 0; i < writer->group_count; i++) splits[i] = writer->groups[i].file_offset;
    *info = (struct pq_parquet_file_info){
        .row_count = writer->row_count,
        .file_bytes = writer->position,
        .leaves = leaves,
        .leaf_count = leaf_count,
        .split_offsets = splits,
        .split_count = writer->group_count,
    };
    return PQDB_OK;
}
