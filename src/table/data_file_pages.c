/// table/data_file_pages.c: few rows of a data file, by `$id` and by position, from pages that stay
/// decoded in the cache.
#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "batch/project.h"
#include "parquet/reader.h"
#include "table/data_file_internal.h"
#include "table/id_filter.h"
#include "variant/variant.h"

enum { few_rows = 16 };  // so close together they are worth less than their page

/// Where a page's rows are, or some of them.
struct page_place {
    size_t group;
    uint64_t first_row;  // in the group
    uint64_t row_count;
    uint64_t before;     // rows of the groups before it
};

/// What decoding needs besides.
struct page_reader {
    struct pq_data_file *file;
    const struct pq_variant_names *names;  // of the table
};

// ---- pages --------------------------------------------------------------------------------------

static bool has_variants(const struct pq_type *type) {
    if (type->kind == PQ_VARIANT) return true;
    for (uint32_t k = 0; k < type->field_count; k++) {
        if (has_variants(&type->fields[k].type)) return true;
    }
    return false;
}

/// A copy without the room that decoding needed.
static pqdb_code copy_rows(const struct pq_column *decoded, const struct pq_type *type,
                           struct pq_hold *hold, struct pq_column *copy, pqdb_error *err) {
    struct pq_builder builder;
    struct pq_column typed;
    PQ_TRY(pq_column_project(decoded, type, &hold->arena, &typed, err));
    PQ_TRY(pq_builder_init(&builder, type, &hold->arena.alloc, err));
    PQ_TRY(pq_builder_reserve(&builder, decoded->count, 0, err));
    PQ_TRY(pq_builder_append_rows(&builder, &typed, 0, decoded->count, err));
    *copy = pq_builder_finish(&builder);
    if (copy->names == NULL) copy->names = decoded->names;
    return PQDB_OK;
}

static pqdb_code decode_page(const struct page_reader *reader, uint32_t column,
                             const struct page_place *place, struct pq_page **out,
                             pqdb_error *err) {
    struct pq_data_file *file = reader->file;
    const struct pq_type *type = &file->options.type->fields[column].type;
    struct pq_arena decode_arena;
    struct pq_hold *hold = NULL;
    struct pq_variant_encoder *encoder = NULL;
    pq_arena_init(&decode_arena, file->options.alloc);
    pqdb_code code;
    if (has_variants(type)) {
        // Reading back adds no name that the list does not have, but for those that never fit it.
        struct pq_variant_names *names = (struct pq_variant_names *)(uintptr_t)reader->names;
        PQ_GO(pq_variant_encoder_create(names, file->options.alloc, &encoder, err));
    }
    PQ_GO(pq_hold_create(file->options.alloc, &hold, err));
    const struct pq_parquet_request request = {
        .fields = &file->fields[column], .field_count = 1, .group = place->group,
        .first_row = place->first_row, .row_count = place->row_count,
        .encoder = encoder, .names = reader->names};
    struct pq_batch batch;
    PQ_GO(pq_parquet_read(file->reader, &request, &decode_arena, &batch, err));
    struct pq_column rows;
    PQ_GO(copy_rows(&batch.columns[0], type, hold, &rows, err));
    const uint64_t first = place->before + place->first_row;
    const struct pq_page_key key = {file->id, column, (uint32_t)first};
    PQ_GO(pq_page_create(&key, &rows, hold, out, err));
    hold = NULL;
    (*out)->first_row = first;
done:
    pq_variant_encoder_destroy(encoder);
    pq_hold_unref(hold);
    pq_arena_deinit(&decode_arena);
    return code;
}

/// A reference to the page, from the cache or decoded.
static pqdb_code get_page(const struct page_reader *reader, uint32_t column,
                          const struct page_place *place, struct pq_page **out, pqdb_error *err) {
    struct pq_page_cache *cache = reader->file->options.pages;
    const struct pq_page_key key = {reader->file->id, column,
                                    (uint32_t)(place->before + place->first_row)};
    *out = pq_page_cache_find(cache, &key);
    if (*out != NULL) return PQDB_OK;
    PQ_TRY(decode_page(reader, column, place, out, err));
    pq_page_cache_add(cache, *out);
    return PQDB_OK;
}

// ---- by id --------------------------------------------------------------------------------------

/// Position of `id` in an ascending column, or -1.
static int64_t search(const struct pq_column *ids, struct pq_text id) {
    size_t low = 0, high = ids->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (pq_text_compare(pq_column_text(ids, middle), id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == ids->count || !pq_text_equal(pq_column_text(ids, low), id)) return -1;
    return (int64_t)low;
}

static bool may_hold(const struct pq_parquet_bounds *bounds, struct pq_text id) {
    if (bounds->has_min && pq_text_compare(id, bounds->min.as.text) < 0) return false;
    return !bounds->has_max || pq_text_compare(id, bounds->max.as.text) <= 0;
}

/// The first page whose upper bound is not below `id`.
static size_t first_page(const struct pq_data_file *file, size_t group, size_t leaf,
                         const struct pq_parquet_pages *pages, struct pq_text id) {
    size_t low = 0, high = pages->count;
    while (pages->has_bounds && low < high) {
        const size_t middle = low + (high - low) / 2;
        struct pq_parquet_bounds bounds;
        pq_parquet_page_bounds(file->reader, group, leaf, middle, &bounds);
        if (bounds.has_max && pq_text_compare(bounds.max.as.text, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/// The pages of a group that may hold an id: one as a rule, or none.
struct id_pages {
    struct pq_parquet_pages pages;
    size_t first, end;  // of them
    uint64_t before;    // rows of the groups before it
};

static pqdb_code pages_of_id(const struct pq_data_file *file, size_t group, struct pq_text id,
                             struct id_pages *out, pqdb_error *err) {
    const int leaf = pq_parquet_leaf(file->reader, file->fields[0]);
    if (leaf < 0) return pq_fail(err, PQDB_CORRUPT, "$id is not a plain column");
    struct pq_parquet_bounds bounds;
    pq_parquet_group_bounds(file->reader, group, (size_t)leaf, &bounds);
    *out = (struct id_pages){.first = 0};
    if (!may_hold(&bounds, id)) return PQDB_OK;
    PQ_TRY(pq_parquet_pages(file->reader, group, (size_t)leaf, &out->pages, err));
    const size_t count = out->pages.count;
    if (count == 0) return pq_fail(err, PQDB_CORRUPT, "the page index of $id is missing");
    out->first = out->end = first_page(file, group, (size_t)leaf, &out->pages, id);
    for (; out->end < count; out->end++) {
        if (!out->pages.has_bounds) continue;
        pq_parquet_page_bounds(file->reader, group, (size_t)leaf, out->end, &bounds);
        if (!may_hold(&bounds, id)) break;
    }
    out->before = pq_parquet_group_first_row(file->reader, group);
    return PQDB_OK;
}

static pqdb_code find_in_group(struct pq_data_file *file, size_t group, struct pq_text id,
                               int64_t *row, pqdb_error *err) {
    struct id_pages may;
    PQ_TRY(pages_of_id(file, group, id, &may, err));
    const struct page_reader reader = {.file = file};
    for (size_t i = may.first; i < may.end; i++) {
        const struct page_place place = {
            .group = group, .first_row = may.pages.pages[i].first_row,
            .row_count = may.pages.pages[i].row_count, .before = may.before};
        struct pq_page *page;
        PQ_TRY(get_page(&reader, 0, &place, &page, err));
        const int64_t at = search(&page->rows, id);
        const uint64_t first = page->first_row;
        pq_page_unref(page);
        if (at < 0) continue;
        *row = (int64_t)first + at;
        return PQDB_OK;
    }
    return PQDB_OK;
}

/// The reader, of a file that has ids.
static pqdb_code reader_of_ids(struct pq_data_file *file, const struct pq_parquet_file **reader,
                               pqdb_error *err) {
    PQ_TRY(pq_data_file_reader(file, reader, err));
    if (file->fields[0] != PQ_NO_FIELD) return PQDB_OK;
    return pq_data_file_named(file, pq_fail(err, PQDB_CORRUPT, "the file has no $id"), err);
}

pqdb_code pq_data_file_find(struct pq_data_file *file, struct pq_text id, int64_t *row,
                            pqdb_error *err) {
    const struct pq_parquet_file *reader;
    PQ_TRY(reader_of_ids(file, &reader, err));
    *row = -1;
    pqdb_code code = PQDB_OK;
    const size_t groups = pq_parquet_group_count(reader);
    for (size_t group = 0; code == PQDB_OK && *row < 0 && group < groups; group++) {
        code = find_in_group(file, group, id, row, err);
    }
    return pq_data_file_named(file, code, err);
}

static pqdb_code marked_in_groups(struct pq_data_file *file, const struct pq_hashed_id *id,
                                  struct pq_marks *marks, const struct pq_marked *to,
                                  bool *known, pqdb_error *err) {
    const size_t groups = pq_parquet_group_count(file->reader);
    for (size_t group = 0; *known && group < groups; group++) {
        struct id_pages may;
        PQ_TRY(pages_of_id(file, group, id->id, &may, err));
        if (may.first == may.end) continue;
        const struct pq_parquet_page *last = &may.pages.pages[may.end - 1];
        const struct pq_row_range range = {
            may.before + may.pages.pages[may.first].first_row,
            may.before + last->first_row + last->row_count};
        PQ_TRY(pq_id_filter_marked(file->filter, range, marks, to, known, err));
    }
    return PQDB_OK;
}

pqdb_code pq_data_file_marked(struct pq_data_file *file, const struct pq_file_marked *asked,
                              bool *known, pqdb_error *err) {
    const struct pq_parquet_file *reader;
    struct pq_marks marks;
    marks.block = marks.count = 0;
    *known = true;
    PQ_TRY(reader_of_ids(file, &reader, err));
    for (size_t i = 0; *known && i < asked->count; i++) {
        const struct pq_hashed_id *id = &asked->ids[i];
        bool may;
        PQ_TRY(pq_data_file_may_have(file, id->id, id->hash, &may, err));
        if (!may) continue;
        *known = file->filter != NULL && pq_id_filter_has_marks(file->filter);
        if (!*known) break;
        const struct pq_marked to = {id->hash, asked->take, asked->ctx, i};
        const pqdb_code code = marked_in_groups(file, id, &marks, &to, known, err);
        if (code != PQDB_OK) return pq_data_file_named(file, code, err);
    }
    return PQDB_OK;
}

// ---- by position --------------------------------------------------------------------------------

static bool page_holds(const struct pq_parquet_page *page, uint64_t row) {
    return page->first_row <= row && row - page->first_row < page->row_count;
}

/// The page that holds a row of a group; most often `guess`.
static size_t find_page(const struct pq_parquet_pages *pages, uint64_t row, size_t guess) {
    if (guess < pages->count && page_holds(&pages->pages[guess], row)) return guess;
    size_t low = 0, high = pages->count;
    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;
        if (pages->pages[middle].first_row <= row) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/// The page of a column that holds a row. *guess: its number; in, that of another column for it.
static pqdb_code place_of(const struct pq_data_file *file, int leaf, uint64_t row, size_t *guess,
                          struct page_place *place, pqdb_error *err) {
    uint64_t in_group;
    place->group = pq_parquet_find_group(file->reader, row, &in_group);
    place->before = row - in_group;
    place->first_row = 0;
    place->row_count = pq_parquet_group_rows(file->reader, place->group);
    if (leaf < 0) return PQDB_OK;
    struct pq_parquet_pages pages;
    PQ_TRY(pq_parquet_pages(file->reader, place->group, (size_t)leaf, &pages, err));
    if (pages.count == 0) return PQDB_OK;
    *guess = find_page(&pages, in_group, *guess);
    place->first_row = pages.pages[*guess].first_row;
    place->row_count = pages.pages[*guess].row_count;
    return PQDB_OK;
}

/// Rows of a fetch that are in one page of a column.
struct span {
    size_t at, count;  // in the fetch
    size_t number;     // of the page, in its group
    struct pq_page *page;
};

struct spans {
    struct span *items;  // room for one a row
    size_t count;
};

/// How many of the rows from `at` on are in this page.
static size_t rows_within(const struct pq_file_fetch *fetch, size_t at,
                          const struct page_place *place) {
    const uint64_t end = place->before + place->first_row + place->row_count;
    size_t count = 0;
    while (at + count < fetch->count && fetch->rows[at + count] < end) count++;
    return count;
}

static void drop_pages(struct spans *spans) {
    for (size_t i = 0; i < spans->count; i++) pq_page_unref(spans->items[i].page);
    spans->count = 0;
}

/// Ask for the memory of a row of a page before it is read.
static void prefetch_row(const struct pq_page *page, uint64_t row) {
    const struct pq_column *rows = &page->rows;
    const size_t at = (size_t)(row - page->first_row);
    if (rows->valid != NULL) __builtin_prefetch(rows->valid + at);
    if (rows->offsets != NULL) __builtin_prefetch(rows->offsets + at);
    if (rows->values != NULL) {
        const size_t width = rows->layout == PQ_DICTIONARY ? 4 : pq_kind_width(rows->type->kind);
        __builtin_prefetch((const char *)rows->values + at * width);
    }
}

/// Is it the first time that rows of this page are wanted? It is remembered.
static bool is_new(struct pq_data_file *file, const struct pq_page_key *key) {
    const uint64_t mark = pq_hash_word(((uint64_t)key->column << 32 | key->page) + 1) | 1;
    atomic_uint_fast64_t *slot = &file->touched[(mark >> 1) % PQ_TOUCHED_PAGES];
    return atomic_exchange_explicit(slot, mark, memory_order_relaxed) != mark;
}

/// The page that holds rows [at, at + count) of the fetch. Variants are parsed out of text, which
/// is most of the work: the first time that few rows of a page are wanted it is of these alone, and
/// not kept.
static pqdb_code get_rows(const struct page_reader *reader, const struct pq_file_fetch *fetch,
                          uint32_t column, const struct page_place *place, struct span *span,
                          pqdb_error *err) {
    struct pq_data_file *file = reader->file;
    const uint64_t first = fetch->rows[span->at];
    const uint64_t count = fetch->rows[span->at + span->count - 1] - first + 1;
    if (count <= few_rows && count < place->row_count &&
        has_variants(&file->options.type->fields[column].type)) {
        const struct pq_page_key key = {file->id, column,
                                        (uint32_t)(place->before + place->first_row)};
        span->page = pq_page_cache_find(file->options.pages, &key);
        if (span->page != NULL) return PQDB_OK;
        const struct page_place rows = {.group = place->group,
                                        .first_row = first - place->before,
                                        .row_count = count,
                                        .before = place->before};
        if (is_new(file, &key)) return decode_page(reader, column, &rows, &span->page, err);
    }
    return get_page(reader, column, place, &span->page, err);
}

/// The pages of the column, all at once, so that the waits for their rows overlap. On entry the
/// spans may be those of another column, whose pages nearly always begin at the same rows.
static pqdb_code get_pages(const struct page_reader *reader, const struct pq_file_fetch *fetch,
                           uint32_t column, struct spans *spans, pqdb_error *err) {
    size_t first_leaf, leaves;
    pq_parquet_leaves(reader->file->reader, reader->file->fields[column], &first_leaf, &leaves);
    const int leaf = leaves == 0 ? -1 : (int)first_leaf;
    spans->count = 0;
    for (size_t at = 0; at < fetch->count;) {
        struct span *span = &spans->items[spans->count];
        struct page_place place;
        PQ_TRY(place_of(reader->file, leaf, fetch->rows[at], &span->number, &place, err));
        span->at = at;
        span->count = rows_within(fetch, at, &place);
        PQ_TRY(get_rows(reader, fetch, column, &place, span, err));
        spans->count++;
        prefetch_row(span->page, fetch->rows[at]);
        at += span->count;
    }
    return PQDB_OK;
}

/// All wanted rows are in one page.
static pqdb_code gather_page(const struct pq_page *page, const struct pq_file_fetch *fetch,
                             struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    uint32_t *rows = pq_arena_alloc(arena, fetch->count * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of a page");
    for (size_t i = 0; i < fetch->count; i++) {
        rows[i] = fetch->rows[i] - (uint32_t)page->first_row;
    }
    return pq_column_gather(&page->rows, rows, fetch->count, arena, out, err);
}

static pqdb_code gather_spans(const struct pq_file_fetch *fetch, const struct spans *spans,
                              struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, spans->items[0].page->rows.type, &arena->alloc, err));
    PQ_TRY(pq_builder_reserve(&builder, fetch->count, 0, err));
    for (size_t i = 0; i < spans->count; i++) {
        const struct span *span = &spans->items[i];
        for (size_t k = span->at; k < span->at + span->count; k++) {
            const size_t row = fetch->rows[k] - (uint32_t)span->page->first_row;
            PQ_TRY(pq_builder_append_rows(&builder, &span->page->rows, row, 1, err));
        }
    }
    *out = pq_builder_finish(&builder);
    if (out->names == NULL) out->names = fetch->names;
    return PQDB_OK;
}

static pqdb_code gather(const struct pq_file_fetch *fetch, const struct spans *spans,
                        struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    if (spans->count == 1) return gather_page(spans->items[0].page, fetch, arena, out, err);
    return gather_spans(fetch, spans, arena, out, err);
}

pqdb_code pq_data_file_fetch(struct pq_data_file *file, const struct pq_file_fetch *fetch,
                             struct pq_arena *arena, struct pq_batch *batch, pqdb_error *err) {
    const struct pq_parquet_file *opened;
    PQ_TRY(pq_data_file_reader(file, &opened, err));
    pq_assert(fetch->count > 0 && fetch->rows[fetch->count - 1] < file->options.rows);
    const struct page_reader reader = {.file = file, .names = fetch->names};
    const struct pq_type *type = file->options.type;
    struct pq_column *columns = pq_arena_alloc(arena, type->field_count * sizeof *columns);
    struct spans spans = {.items = pq_arena_calloc(arena, fetch->count, sizeof *spans.items)};
    if (columns == NULL || spans.items == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "rows of a file");
    }
    for (uint32_t k = 0; k < type->field_count; k++) {
        const bool wanted = fetch->columns == NULL || fetch->columns[k];
        if (wanted && file->fields[k] != PQ_NO_FIELD) {
            pqdb_code code = get_pages(&reader, fetch, k, &spans, err);
            if (code == PQDB_OK) code = gather(fetch, &spans, arena, &columns[k], err);
            drop_pages(&spans);
            PQ_TRY(pq_data_file_named(file, code, err));
            continue;
        }
        PQ_TRY(pq_column_of_nulls(&type->fields[k].type, fetch->count, arena, &columns[k], err));
        columns[k].names = fetch->names;
    }
    *batch = (struct pq_batch){.type = type, .count = fetch->count, .columns = columns};
    return PQDB_OK;
}
