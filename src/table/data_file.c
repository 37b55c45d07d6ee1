#include "table/data_file.h"

#include <pthread.h>

#include "base/check.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "batch/hold.h"
#include "parquet/reader.h"

/// One decoded page of `$id`.
struct id_page {
    struct pq_hold *hold;  // NULL: free
    size_t group, page;
    struct pq_column ids;
    uint64_t used;  // clock of the last use
};

struct pq_data_file {
    struct pq_data_file_options options;
    char *path;  // owned, NUL-terminated
    size_t path_bytes;
    pthread_mutex_t lock;             // guards opening and the page cache
    struct pq_file *file;             // open once the reader is
    struct pq_parquet_file *reader;   // set once, under the lock
    uint32_t *fields;                 // owned: the file's member for each table column, or none
    struct id_page *pages;            // owned, PQ_ID_PAGES_KEPT
    uint64_t clock;
};

enum { no_field = UINT32_MAX };

pqdb_code pq_data_file_create(const struct pq_data_file_options *options,
                              struct pq_data_file **file, pqdb_error *err) {
    const struct pq_alloc *alloc = options->alloc;
    struct pq_data_file *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    char *path = pq_resize(alloc, NULL, 0, options->path.length + 1, 1);
    if (made == NULL || path == NULL) {
        pq_free(alloc, path, options->path.length + 1, 1);
        pq_free(alloc, made, 1, sizeof *made);
        return pq_fail(err, PQDB_NO_MEMORY, "a data file");
    }
    memcpy(path, options->path.data, options->path.length);
    path[options->path.length] = '\0';
    *made = (struct pq_data_file){.options = *options, .path = path,
                                  .path_bytes = options->path.length + 1};
    made->options.path = (struct pq_text){path, options->path.length};
    pthread_mutex_init(&made->lock, NULL);
    *file = made;
    return PQDB_OK;
}

void pq_data_file_destroy(struct pq_data_file *file) {
    if (file == NULL) return;
    const struct pq_alloc *alloc = file->options.alloc;
    if (file->pages != NULL) {
        for (size_t i = 0; i < PQ_ID_PAGES_KEPT; i++) pq_hold_unref(file->pages[i].hold);
        pq_free(alloc, file->pages, PQ_ID_PAGES_KEPT, sizeof *file->pages);
    }
    pq_parquet_close(file->reader);
    pq_file_close(file->file);
    pq_free(alloc, file->fields, file->fields == NULL ? 0 : file->options.type->field_count,
            sizeof *file->fields);
    pthread_mutex_destroy(&file->lock);
    pq_free(alloc, file->path, file->path_bytes, 1);
    pq_free(alloc, file, 1, sizeof *file);
}

struct pq_text pq_data_file_path(const struct pq_data_file *file) { return file->options.path; }
uint64_t pq_data_file_bytes(const struct pq_data_file *file) { return file->options.bytes; }
uint64_t pq_data_file_rows(const struct pq_data_file *file) { return file->options.rows; }

static pqdb_code read_source(void *ctx, uint64_t offset, void *out, size_t length,
                             pqdb_error *err) {
    return pq_file_read_all(ctx, offset, out, length, err);
}

/// Errors of the reader get the file's name.
static pqdb_code named(const struct pq_data_file *file, pqdb_code code, pqdb_error *err) {
    if (code == PQDB_OK || code == PQDB_NO_MEMORY) return code;
    if (err != NULL && err->subject[0] == '\0') pq_fail_subject(err, code, file->options.path);
    return code;
}

static pqdb_code map_fields(struct pq_data_file *file, const struct pq_parquet_file *reader,
                            pqdb_error *err) {
    const struct pq_type *type = file->options.type, *stored = pq_parquet_type(reader);
    uint32_t *fields = pq_resize(file->options.alloc, NULL, 0, type->field_count, sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "the columns of a file");
    file->fields = fields;
    for (uint32_t k = 0; k < type->field_count; k++) {
        fields[k] = no_field;
        for (uint32_t j = 0; j < stored->field_count; j++) {
            if (stored->fields[j].id == type->fields[k].id) fields[k] = j;
        }
        if (fields[k] == no_field) continue;
        if (pq_type_equal(&stored->fields[fields[k]].type, &type->fields[k].type)) continue;
        return pq_fail(err, PQDB_CORRUPT, "column %.*s has another type than the table's",
                       PQ_TEXT_ARG(type->fields[k].name));
    }
    return PQDB_OK;
}

static pqdb_code open_locked(struct pq_data_file *file, pqdb_error *err) {
    PQ_TRY(pq_file_open(file->options.store, file->path, PQ_OPEN_READ, &file->file, err));
    const struct pq_parquet_source source = {.read = read_source, .ctx = file->file};
    const struct pq_parquet_open_options options = {.json_as_variant = true};
    struct pq_parquet_file *reader = NULL;
    pqdb_code code = pq_parquet_open(&source, file->options.bytes, &options, file->options.alloc,
                                     &reader, err);
    if (code == PQDB_OK && pq_parquet_row_count(reader) != file->options.rows) {
        code = pq_fail(err, PQDB_CORRUPT, "the file has another number of rows than the root says");
    }
    if (code == PQDB_OK) code = map_fields(file, reader, err);
    if (code != PQDB_OK) {
        pq_parquet_close(reader);
        pq_file_close(file->file);
        file->file = NULL;
        return code;
    }
    __atomic_store_n(&file->reader, reader, __ATOMIC_RELEASE);
    return PQDB_OK;
}

pqdb_code pq_data_file_reader(struct pq_data_file *file, const struct pq_parquet_file **reader,
                              pqdb_error *err) {
    *reader = __atomic_load_n(&file->reader, __ATOMIC_ACQUIRE);
    if (*reader != NULL) return PQDB_OK;
    pthread_mutex_lock(&file->lock);
    const pqdb_code code = file->reader != NULL ? PQDB_OK : open_locked(file, err);
    *reader = file->reader;
    pthread_mutex_unlock(&file->lock);
    return named(file, code, err);
}

// ---- look-up by id ----------------------------------------------------------------------------

static pqdb_code decode_page(struct pq_data_file *file, size_t group,
                             const struct pq_parquet_page *page, struct id_page *out,
                             pqdb_error *err) {
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(file->options.alloc, &hold, err));
    const struct pq_parquet_request request = {.fields = &file->fields[0], .field_count = 1,
                                               .group = group, .first_row = page->first_row,
                                               .row_count = page->row_count};
    struct pq_batch batch;
    const pqdb_code code = pq_parquet_read(file->reader, &request, &hold->arena, &batch, err);
    if (code != PQDB_OK) {
        pq_hold_unref(hold);
        return code;
    }
    pq_hold_unref(out->hold);
    out->hold = hold;
    out->ids = batch.columns[0];
    return PQDB_OK;
}

static pqdb_code page_of(struct pq_data_file *file, size_t group, size_t index,
                         const struct pq_parquet_page *page, struct id_page **found,
                         pqdb_error *err) {
    if (file->pages == NULL) {
        file->pages = pq_resize(file->options.alloc, NULL, 0, PQ_ID_PAGES_KEPT,
                                sizeof *file->pages);
        if (file->pages == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a cache of ids");
        memset(file->pages, 0, PQ_ID_PAGES_KEPT * sizeof *file->pages);
    }
    struct id_page *oldest = &file->pages[0];
    *found = NULL;
    for (size_t i = 0; i < PQ_ID_PAGES_KEPT; i++) {
        struct id_page *kept = &file->pages[i];
        if (kept->hold != NULL && kept->group == group && kept->page == index) *found = kept;
        if (kept->used < oldest->used) oldest = kept;
    }
    if (*found == NULL) {
        PQ_TRY(decode_page(file, group, page, oldest, err));
        oldest->group = group;
        oldest->page = index;
        *found = oldest;
    }
    (*found)->used = ++file->clock;
    return PQDB_OK;
}

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

static pqdb_code find_in_group(struct pq_data_file *file, size_t group, struct pq_text id,
                               int64_t *row, pqdb_error *err) {
    const int leaf = pq_parquet_leaf(file->reader, file->fields[0]);
    if (leaf < 0) return pq_fail(err, PQDB_CORRUPT, "$id is not a plain column");
    struct pq_parquet_bounds bounds;
    pq_parquet_group_bounds(file->reader, group, (size_t)leaf, &bounds);
    if (!may_hold(&bounds, id)) return PQDB_OK;
    struct pq_parquet_pages pages;
    PQ_TRY(pq_parquet_pages(file->reader, group, (size_t)leaf, &pages, err));
    if (pages.count == 0) return pq_fail(err, PQDB_CORRUPT, "the page index of $id is missing");
    for (size_t i = first_page(file, group, (size_t)leaf, &pages, id); i < pages.count; i++) {
        if (pages.has_bounds) {
            pq_parquet_page_bounds(file->reader, group, (size_t)leaf, i, &bounds);
            if (!may_hold(&bounds, id)) return PQDB_OK;
        }
        struct id_page *page;
        PQ_TRY(page_of(file, group, i, &pages.pages[i], &page, err));
        const int64_t at = search(&page->ids, id);
        if (at < 0) continue;
        *row = (int64_t)(pq_parquet_group_first_row(file->reader, group) +
                         pages.pages[i].first_row) + at;
        return PQDB_OK;
    }
    return PQDB_OK;
}

pqdb_code pq_data_file_find(struct pq_data_file *file, struct pq_text id, int64_t *row,
                            pqdb_error *err) {
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_reader(file, &reader, err));
    *row = -1;
    if (file->fields[0] == no_field) {
        return named(file, pq_fail(err, PQDB_CORRUPT, "the file has no $id"), err);
    }
    pqdb_code code = PQDB_OK;
    pthread_mutex_lock(&file->lock);
    const size_t groups = pq_parquet_group_count(reader);
    for (size_t group = 0; code == PQDB_OK && *row < 0 && group < groups; group++) {
        code = find_in_group(file, group, id, row, err);
    }
    pthread_mutex_unlock(&file->lock);
    return named(file, code, err);
}

// ---- rows -------------------------------------------------------------------------------------

static pqdb_code fill_columns(const struct pq_data_file *file, const struct pq_file_read *read,
                              const struct pq_batch *found, struct pq_arena *arena,
                              struct pq_batch *batch, pqdb_error *err) {
    const struct pq_type *type = file->options.type;
    struct pq_column *columns = pq_arena_alloc(arena, type->field_count * sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a batch");
    size_t next = 0;
    for (uint32_t k = 0; k < type->field_count; k++) {
        const bool wanted = read->columns == NULL || read->columns[k];
        if (wanted && file->fields[k] != no_field) {
            columns[k] = found->columns[next++];
            columns[k].type = &type->fields[k].type;
            continue;
        }
        PQ_TRY(pq_column_of_nulls(&type->fields[k].type, found->count, arena, &columns[k], err));
        columns[k].names = read->names;
    }
    *batch = (struct pq_batch){.type = type, .count = found->count, .columns = columns};
    return PQDB_OK;
}

pqdb_code pq_data_file_read(struct pq_data_file *file, const struct pq_file_read *read,
                            struct pq_arena *arena, struct pq_batch *batch, pqdb_error *err) {
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_reader(file, &reader, err));
    pq_assert(read->first < file->options.rows);
    const struct pq_type *type = file->options.type;
    uint32_t *fields = pq_arena_alloc(arena, type->field_count * sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a batch");
    struct pq_parquet_request request = {.fields = fields, .encoder = read->encoder,
                                         .names = read->names};
    for (uint32_t k = 0; k < type->field_count; k++) {
        if (read->columns != NULL && !read->columns[k]) continue;
        if (file->fields[k] != no_field) fields[request.field_count++] = file->fields[k];
    }
    request.group = pq_parquet_find_group(reader, read->first, &request.first_row);
    const uint64_t left = pq_parquet_group_rows(reader, request.group) - request.first_row;
    request.row_count = read->count < left ? read->count : left;
    struct pq_batch found = {.count = request.row_count};
    if (request.field_count > 0) {
        PQ_TRY(named(file, pq_parquet_read(reader, &request, arena, &found, err), err));
    }
    return fill_columns(file, read, &found, arena, batch, err);
}

// ---- rows by position ---------------------------------------------------------------------------

enum { fetch_gap_max = 64 };  // rows between two wanted ones that are read along

/// How many of the rows from `at` on are near enough to be read in one go.
static size_t near_rows(const struct pq_file_fetch *fetch, size_t at) {
    size_t end = at + 1;
    while (end < fetch->count && fetch->rows[end] - fetch->rows[end - 1] <= fetch_gap_max) end++;
    return end - at;
}

pqdb_code pq_data_file_fetch(struct pq_data_file *file, const struct pq_file_fetch *fetch,
                             struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    const struct pq_type *type = file->options.type;
    struct pq_builder *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of a file");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &arena->alloc, err));
    }
    for (size_t at = 0; at < fetch->count;) {
        const size_t near = near_rows(fetch, at);
        const uint32_t first = fetch->rows[at];
        const struct pq_file_read read = {.columns = fetch->columns, .first = first,
                                          .count = fetch->rows[at + near - 1] - first + 1,
                                          .encoder = fetch->encoder, .names = fetch->names};
        struct pq_batch piece;
        PQ_TRY(pq_data_file_read(file, &read, arena, &piece, err));
        size_t took = 0;
        while (took < near && fetch->rows[at + took] - first < piece.count) {
            const size_t row = fetch->rows[at + took] - first;
            for (size_t k = 0; k < type->field_count; k++) {
                PQ_TRY(pq_builder_append_rows(&columns[k], &piece.columns[k], row, 1, err));
            }
            took++;
        }
        at += took;
    }
    return pq_builder_finish_batch(columns, type, arena, out, err);
}
