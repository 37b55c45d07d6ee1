/// The offset index (where pages are) and the column index (their bounds) of a chunk, and what
/// statistics say of values.
#include "base/check.h"
#include "base/fail.h"
#include "parquet/file_reader_internal.h"
#include "parquet/leaf_values.h"

void pq_loaded_index_destroy(struct pq_loaded_index *index, const struct pq_alloc *alloc) {
    if (index == NULL) return;
    pq_bytes_deinit(&index->bytes);
    pq_arena_deinit(&index->arena);
    pq_free(alloc, index, 1, sizeof *index);
}

static pqdb_code corrupt(int64_t offset, const char *why, pqdb_error *err) {
    const pqdb_code code = pq_fail(err, PQDB_CORRUPT, "a Parquet page index is damaged: %s", why);
    return pq_parquet_at(code, err, offset, NULL);
}

static bool is_within(const struct pq_parquet_file *file, int64_t offset, int64_t bytes) {
    return offset >= 0 && bytes > 0 && (uint64_t)bytes <= file->file_bytes &&
           (uint64_t)offset <= file->file_bytes - (uint64_t)bytes;
}

static pqdb_code set_pages(const struct pq_parquet_file *file, size_t group,
                           const struct pq_meta_offset_index *stored, int64_t offset,
                           struct pq_loaded_index *index, pqdb_error *err) {
    const int64_t row_count = file->meta.groups[group].row_count;
    index->pages = pq_arena_calloc(&index->arena, stored->location_count, sizeof *index->pages);
    if (index->pages == NULL) return pq_parquet_no_memory(err, "the page index");
    index->count = stored->location_count;
    int64_t end_before = 0;
    for (size_t i = 0; i < index->count; i++) {
        const struct pq_meta_location *at = &stored->locations[i];
        const int64_t next =
            i + 1 < index->count ? stored->locations[i + 1].first_row : row_count;
        if (!is_within(file, at->offset, at->bytes) || at->offset < end_before) {
            return corrupt(offset, "a page outside of the file", err);
        }
        if ((i == 0 && at->first_row != 0) || next < at->first_row || next > row_count) {
            return corrupt(offset, "its rows are out of order", err);
        }
        end_before = at->offset + at->bytes;
        index->pages[i] = (struct pq_parquet_page){
            .first_row = (uint64_t)at->first_row,
            .row_count = (uint64_t)(next - at->first_row),
            .offset = (uint64_t)at->offset,
            .bytes = (uint32_t)at->bytes,
        };
    }
    return PQDB_OK;
}

/// A column index that does not fit the pages is no index: bounds are help, not truth.
static void set_bounds(struct pq_loaded_index *index) {
    const struct pq_meta_column_index *bounds = &index->bounds;
    const size_t count = index->count;
    index->has_bounds = bounds->null_page_count == count && bounds->min_count == count &&
                        bounds->max_count == count &&
                        (!PQ_THRIFT_HAS(bounds, PQ_COLUMN_INDEX_NULL_COUNTS) ||
                         bounds->null_count_count == count) &&
                        (!PQ_THRIFT_HAS(bounds, PQ_COLUMN_INDEX_NAN_COUNTS) ||
                         bounds->nan_count_count == count);
}

/// Checks of page headers, copied to where they can be read as numbers.
static pqdb_code set_headers(const struct pq_meta_offset_index *stored,
                             struct pq_loaded_index *index, pqdb_error *err) {
    const size_t bytes = (index->count + 1) * sizeof *index->headers;
    if (stored->extension.length != bytes) return PQDB_OK;
    index->headers = pq_arena_alloc(&index->arena, bytes);
    if (index->headers == NULL) return pq_parquet_no_memory(err, "the page index");
    memcpy(index->headers, stored->extension.data, bytes);
    return PQDB_OK;
}

static pqdb_code load_parts(const struct pq_parquet_file *file, size_t group,
                            const struct pq_meta_chunk *chunk, struct pq_loaded_index *index,
                            pqdb_error *err) {
    const int64_t offset = chunk->offset_index_offset, bytes = chunk->offset_index_bytes;
    if (!is_within(file, offset, bytes)) return corrupt(offset, "outside of the file", err);
    const bool has_column = PQ_THRIFT_HAS(chunk, PQ_CHUNK_COLUMN_INDEX) &&
                            is_within(file, chunk->column_index_offset, chunk->column_index_bytes);
    const size_t column_bytes = has_column ? (size_t)chunk->column_index_bytes : 0;
    PQ_TRY(pq_bytes_reserve(&index->bytes, (size_t)bytes + column_bytes, err));
    uint8_t *room = index->bytes.data;
    PQ_TRY(file->source.read(file->source.ctx, (uint64_t)offset, room, (size_t)bytes, err));
    if (!pq_chunk_matches(file, chunk, PQ_CHECKS_OFFSET_INDEX,
                          (struct pq_text){(const char *)room, (size_t)bytes})) {
        return corrupt(offset, "its checksum is wrong", err);
    }
    struct pq_cursor cursor = pq_cursor_of(room, (size_t)bytes);
    struct pq_meta_offset_index stored;
    pqdb_code code = pq_thrift_decode(&pq_meta_offset_index_table, &cursor, &index->arena, &stored,
                                      err);
    if (code == PQDB_OK) code = set_pages(file, group, &stored, offset, index, err);
    if (code == PQDB_OK && file->has_checks) code = set_headers(&stored, index, err);
    if (code != PQDB_OK) return pq_parquet_at(code, err, offset, NULL);
    if (!has_column) return PQDB_OK;
    const uint64_t column_offset = (uint64_t)chunk->column_index_offset;
    PQ_TRY(file->source.read(file->source.ctx, column_offset, room + bytes, column_bytes, err));
    if (!pq_chunk_matches(file, chunk, PQ_CHECKS_COLUMN_INDEX,
                          (struct pq_text){(const char *)room + bytes, column_bytes})) {
        return corrupt((int64_t)column_offset, "its checksum is wrong", err);
    }
    cursor = pq_cursor_of(room + bytes, column_bytes);
    code = pq_thrift_decode(&pq_meta_column_index_table, &cursor, &index->arena, &index->bounds,
                            err);
    if (code != PQDB_OK) return pq_parquet_at(code, err, (int64_t)column_offset, NULL);
    set_bounds(index);
    return PQDB_OK;
}

static pqdb_code load(const struct pq_parquet_file *file, size_t group, size_t leaf,
                      struct pq_loaded_index **out, pqdb_error *err) {
    struct pq_loaded_index *index = pq_resize(file->alloc, NULL, 0, 1, sizeof *index);
    if (index == NULL) return pq_parquet_no_memory(err, "the page index");
    *index = (struct pq_loaded_index){0};
    pq_arena_init(&index->arena, file->alloc);
    pq_bytes_init(&index->bytes, file->alloc);
    const struct pq_meta_chunk *chunk = pq_file_chunk(file, group, leaf);
    pqdb_code code = PQDB_OK;
    if (PQ_THRIFT_HAS(chunk, PQ_CHUNK_OFFSET_INDEX) && chunk->offset_index_bytes > 0) {
        code = load_parts(file, group, chunk, index, err);
    }
    if (code != PQDB_OK) {
        pq_loaded_index_destroy(index, file->alloc);
        return code;
    }
    *out = index;
    return PQDB_OK;
}

/// Whoever loads it first publishes it; a second loader throws its own away.
static pqdb_code get_index(const struct pq_parquet_file *file, size_t group, size_t leaf,
                           const struct pq_loaded_index **out, pqdb_error *err) {
    pq_assert(group < file->meta.group_count && leaf < file->schema.leaf_count);
    _Atomic(struct pq_loaded_index *) *place =
        &file->indexes[group * file->schema.leaf_count + leaf];
    struct pq_loaded_index *index = atomic_load_explicit(place, memory_order_acquire);
    if (index == NULL) {
        PQ_TRY(load(file, group, leaf, &index, err));
        struct pq_loaded_index *other = NULL;
        if (!atomic_compare_exchange_strong_explicit(place, &other, index, memory_order_acq_rel,
                                                     memory_order_acquire)) {
            pq_loaded_index_destroy(index, file->alloc);
            index = other;
        }
    }
    *out = index;
    return PQDB_OK;
}

pqdb_code pq_parquet_pages(const struct pq_parquet_file *file, size_t group, size_t leaf,
                           struct pq_parquet_pages *pages, pqdb_error *err) {
    const struct pq_loaded_index *index = NULL;
    PQ_TRY(get_index(file, group, leaf, &index, err));
    enum pq_parquet_order order = PQ_PAGES_UNORDERED;
    if (index->has_bounds && index->bounds.order == 1) order = PQ_PAGES_ASCENDING;
    if (index->has_bounds && index->bounds.order == 2) order = PQ_PAGES_DESCENDING;
    *pages = (struct pq_parquet_pages){
        .count = index->count,
        .pages = index->pages,
        .has_bounds = index->has_bounds,
        .order = order,
        .headers = index->headers,
    };
    return PQDB_OK;
}

/// -0 and +0 are equal for filters: a bound that is zero includes both.
static void widen_zero(struct pq_parquet_bounds *bounds) {
    const enum pq_kind kind = bounds->min.kind;
    if (kind != PQ_FLOAT32 && kind != PQ_FLOAT64) return;
    if (bounds->has_min && bounds->min.as.real >= 0 && bounds->min.as.real <= 0) {
        bounds->min.as.real = -0.0;
    }
    if (bounds->has_max && bounds->max.as.real >= 0 && bounds->max.as.real <= 0) {
        bounds->max.as.real = 0.0;
    }
}

static bool is_variable(const struct pq_leaf *leaf) {
    return leaf->physical == PQ_PHYSICAL_BYTE_ARRAY || leaf->conversion == PQ_CONVERT_FIXED;
}

static bool is_type_ordered(const struct pq_parquet_file *file, size_t leaf) {
    return leaf < file->meta.order_count && PQ_THRIFT_HAS(&file->meta.orders[leaf], 1);
}

/// The deprecated bounds were compared as signed numbers: good for those alone.
static bool old_bounds_hold(const struct pq_leaf *leaf) {
    return leaf->has_order && leaf->physical != PQ_PHYSICAL_BYTE_ARRAY &&
           leaf->physical != PQ_PHYSICAL_FIXED && leaf->conversion != PQ_CONVERT_UINT32 &&
           leaf->conversion != PQ_CONVERT_UINT64;
}

void pq_parquet_group_bounds(const struct pq_parquet_file *file, size_t group, size_t leaf,
                             struct pq_parquet_bounds *bounds) {
    pq_assert(group < file->meta.group_count && leaf < file->schema.leaf_count);
    *bounds = (struct pq_parquet_bounds){.null_count = -1, .nan_count = -1};
    const struct pq_leaf *of = &file->schema.leaves[leaf];
    const struct pq_meta_column *column = &pq_file_chunk(file, group, leaf)->column;
    const struct pq_meta_statistics *s = &column->statistics;
    if (!PQ_THRIFT_HAS(column, PQ_COLUMN_STATISTICS)) return;
    if (PQ_THRIFT_HAS(s, PQ_STATISTICS_NULL_COUNT) && s->null_count >= 0) {
        bounds->null_count = s->null_count;
    }
    if (PQ_THRIFT_HAS(s, PQ_STATISTICS_NAN_COUNT) && s->nan_count >= 0) {
        bounds->nan_count = s->nan_count;
    }
    if (is_type_ordered(file, leaf)) {
        bounds->has_min = PQ_THRIFT_HAS(s, PQ_STATISTICS_MIN) &&
                          pq_stored_value(of, s->min, &bounds->min);
        bounds->has_max = PQ_THRIFT_HAS(s, PQ_STATISTICS_MAX) &&
                          pq_stored_value(of, s->max, &bounds->max);
        bounds->is_min_exact = PQ_THRIFT_HAS(s, PQ_STATISTICS_MIN_EXACT) ? s->is_min_exact
                                                                         : !is_variable(of);
        bounds->is_max_exact = PQ_THRIFT_HAS(s, PQ_STATISTICS_MAX_EXACT) ? s->is_max_exact
                                                                         : !is_variable(of);
    }
    if (!bounds->has_min && !bounds->has_max && old_bounds_hold(of)) {
        bounds->has_min = PQ_THRIFT_HAS(s, PQ_STATISTICS_OLD_MIN) &&
                          pq_stored_value(of, s->old_min, &bounds->min);
        bounds->has_max = PQ_THRIFT_HAS(s, PQ_STATISTICS_OLD_MAX) &&
                          pq_stored_value(of, s->old_max, &bounds->max);
        bounds->is_min_exact = bounds->is_max_exact = true;
    }
    widen_zero(bounds);
}

void pq_parquet_page_bounds(const struct pq_parquet_file *file, size_t group, size_t leaf,
                            size_t page, struct pq_parquet_bounds *bounds) {
    *bounds = (struct pq_parquet_bounds){.null_count = -1, .nan_count = -1};
    const struct pq_loaded_index *index = atomic_load_explicit(
        &file->indexes[group * file->schema.leaf_count + leaf], memory_order_acquire);
    if (index == NULL || !index->has_bounds || page >= index->count) return;
    const struct pq_meta_column_index *stored = &index->bounds;
    if (PQ_THRIFT_HAS(stored, PQ_COLUMN_INDEX_NULL_COUNTS) && stored->null_counts[page] >= 0) {
        bounds->null_count = stored->null_counts[page];
    }
    if (PQ_THRIFT_HAS(stored, PQ_COLUMN_INDEX_NAN_COUNTS) && stored->nan_counts[page] >= 0) {
        bounds->nan_count = stored->nan_counts[page];
    }
    if (stored->null_pages[page]) {
        bounds->null_count = (int64_t)index->pages[page].row_count;
        return;
    }
    if (!is_type_ordered(file, leaf)) return;
    const struct pq_leaf *of = &file->schema.leaves[leaf];
    bounds->has_min = pq_stored_value(of, stored->mins[page], &bounds->min);
    bounds->has_max = pq_stored_value(of, stored->maxs[page], &bounds->max);
    bounds->is_min_exact = bounds->is_max_exact = !is_variable(of);
    widen_zero(bounds);
}
