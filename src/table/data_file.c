#include "table/data_file.h"

#include <stdio.h>

#include "base/check.h"
#include "base/fail.h"
#include "batch/project.h"
#include "parquet/reader.h"
#include "table/data_file_internal.h"
#include "table/id_filter.h"
#include "table/link_file.h"
#include "type/shape.h"

static atomic_uint_least64_t next_id = 1;

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
                                  .path_bytes = options->path.length + 1,
                                  .id = atomic_fetch_add(&next_id, 1)};
    atomic_init(&made->references, 1);
    made->options.path = (struct pq_text){path, options->path.length};
    pthread_mutex_init(&made->lock, NULL);
    pthread_mutex_init(&made->links_lock, NULL);
    if (options->pages == NULL) {
        const pqdb_code code = pq_page_cache_create(PQ_PAGES_OWN_BYTES, alloc, &made->own_pages,
                                                    err);
        if (code != PQDB_OK) {
            pq_data_file_unref(made);
            return code;
        }
        made->options.pages = made->own_pages;
    }
    *file = made;
    return PQDB_OK;
}

void pq_data_file_ref(struct pq_data_file *file) {
    atomic_fetch_add_explicit(&file->references, 1, memory_order_relaxed);
}

void pq_data_file_unref(struct pq_data_file *file) {
    if (file == NULL) return;
    if (atomic_fetch_sub_explicit(&file->references, 1, memory_order_acq_rel) != 1) return;
    const struct pq_alloc *alloc = file->options.alloc;
    pq_page_cache_destroy(file->own_pages);
    pq_id_filter_destroy(file->filter, alloc);
    const size_t columns = file->options.type->field_count;
    for (size_t k = 0; file->links != NULL && k < columns; k++) pq_link_file_close(file->links[k]);
    pq_free(alloc, file->links, file->links == NULL ? 0 : columns, sizeof(struct pq_link_file *));
    pq_parquet_close(file->reader);
    pq_file_close(file->file);
    pq_free(alloc, file->fields, file->fields == NULL ? 0 : columns, sizeof *file->fields);
    pthread_mutex_destroy(&file->lock);
    pthread_mutex_destroy(&file->links_lock);
    pq_free(alloc, file->path, file->path_bytes, 1);
    pq_free(alloc, file, 1, sizeof *file);
}

struct pq_text pq_data_file_path(const struct pq_data_file *file) { return file->options.path; }
uint64_t pq_data_file_bytes(const struct pq_data_file *file) { return file->options.bytes; }
uint64_t pq_data_file_rows(const struct pq_data_file *file) { return file->options.rows; }
const struct pq_type *pq_data_file_type(const struct pq_data_file *file) {
    return file->options.type;
}

static pqdb_code read_source(void *ctx, uint64_t offset, void *out, size_t length,
                             pqdb_error *err) {
    return pq_file_read_all(ctx, offset, out, length, err);
}

pqdb_code pq_data_file_named(const struct pq_data_file *file, pqdb_code code, pqdb_error *err) {
    if (code == PQDB_OK || code == PQDB_NO_MEMORY || err == NULL) return code;
    if (strchr(err->subject, '/') != NULL) return code;  // it names a file
    if (err->subject[0] != '\0') {  // a column
        char message[sizeof err->message];
        snprintf(message, sizeof message, "%.100s: %.150s", err->subject, err->message);
        memcpy(err->message, message, sizeof message);
    }
    return pq_fail_subject(err, code, file->options.path);
}

static pqdb_code map_fields(struct pq_data_file *file, const struct pq_parquet_file *reader,
                            pqdb_error *err) {
    const struct pq_type *type = file->options.type, *stored = pq_parquet_type(reader);
    uint32_t *fields = pq_resize(file->options.alloc, NULL, 0, type->field_count, sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "the columns of a file");
    file->fields = fields;
    for (uint32_t k = 0; k < type->field_count; k++) {
        fields[k] = PQ_NO_FIELD;
        for (uint32_t j = 0; j < stored->field_count; j++) {
            if (stored->fields[j].id == type->fields[k].id) fields[k] = j;
        }
        if (fields[k] == PQ_NO_FIELD) continue;
        if (pq_shape_reads_as(&stored->fields[fields[k]].type, &type->fields[k].type)) continue;
        return pq_fail(err, PQDB_CORRUPT, "column %.*s has another type than the table's",
                       PQ_TEXT_ARG(type->fields[k].name));
    }
    return PQDB_OK;
}

/// The file is sorted: what the first row group begins with and the last one ends with.
static void note_bounds(struct pq_data_file *file, const struct pq_parquet_file *reader) {
    const size_t groups = pq_parquet_group_count(reader);
    const int leaf = file->fields[0] == PQ_NO_FIELD ? -1 : pq_parquet_leaf(reader, file->fields[0]);
    if (leaf < 0 || groups == 0) return;
    struct pq_parquet_bounds first, last;
    pq_parquet_group_bounds(reader, 0, (size_t)leaf, &first);
    pq_parquet_group_bounds(reader, groups - 1, (size_t)leaf, &last);
    if (!first.has_min || !last.has_max) return;
    file->id_low = first.min.as.text;
    file->id_high = last.max.as.text;
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
    note_bounds(file, reader);
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
    return pq_data_file_named(file, code, err);
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
        if (wanted && file->fields[k] != PQ_NO_FIELD) {
            PQ_TRY(pq_column_project(&found->columns[next++], &type->fields[k].type, arena,
                                     &columns[k], err));
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
        if (file->fields[k] != PQ_NO_FIELD) fields[request.field_count++] = file->fields[k];
    }
    request.group = pq_parquet_find_group(reader, read->first, &request.first_row);
    const uint64_t left = pq_parquet_group_rows(reader, request.group) - request.first_row;
    request.row_count = read->count < left ? read->count : left;
    struct pq_batch found = {.count = request.row_count};
    if (request.field_count > 0) {
        const pqdb_code code = pq_parquet_read(reader, &request, arena, &found, err);
        PQ_TRY(pq_data_file_named(file, code, err));
    }
    return fill_columns(file, read, &found, arena, batch, err);
}

// ---- what is beside it: ids, links --------------------------------------------------------------

pqdb_code pq_data_file_write_ids(struct pq_data_file *file, bool with_marks,
                                 struct pq_pace *pace, pqdb_error *err) {
    if (file->options.rows < PQ_IDS_ROWS_MIN || file->options.read_only) return PQDB_OK;
    return pq_data_file_named(file, pq_id_filter_write(file, with_marks, pace, err), err);
}

/// Bounds are asked before the filter: they stay in the processor's cache, its lines do not.
static bool is_within(const struct pq_data_file *file, struct pq_text id) {
    const bool is_open = __atomic_load_n(&file->reader, __ATOMIC_ACQUIRE) != NULL;
    if (!is_open || file->id_high.data == NULL) return true;
    return pq_text_compare(id, file->id_low) >= 0 && pq_text_compare(id, file->id_high) <= 0;
}

pqdb_code pq_data_file_may_have(struct pq_data_file *file, struct pq_text id, uint64_t hash,
                                bool *may, pqdb_error *err) {
    *may = is_within(file, id);
    if (!*may) return PQDB_OK;
    if (!atomic_load_explicit(&file->is_filter_read, memory_order_acquire)) {
        pthread_mutex_lock(&file->lock);
        const bool is_read = atomic_load(&file->is_filter_read);
        const pqdb_code code = is_read ? PQDB_OK : pq_id_filter_read(file, &file->filter, err);
        if (code == PQDB_OK) {
            atomic_store_explicit(&file->is_filter_read, true, memory_order_release);
        }
        pthread_mutex_unlock(&file->lock);
        PQ_TRY(code);
    }
    *may = file->filter == NULL || pq_id_filter_may_have(file->filter, hash);
    return PQDB_OK;
}

/// Under links_lock. *links NULL: there is no run, and none may be made.
static pqdb_code need_links(struct pq_data_file *file, uint32_t column, struct pq_pace *pace,
                            struct pq_link_file **links, pqdb_error *err) {
    const size_t columns = file->options.type->field_count;
    if (file->links == NULL) {
        file->links = pq_resize(file->options.alloc, NULL, 0, columns,
                                sizeof(struct pq_link_file *));
        if (file->links == NULL) return pq_fail(err, PQDB_NO_MEMORY, "links of a file");
        memset(file->links, 0, columns * sizeof(struct pq_link_file *));
    }
    *links = file->links[column];
    if (*links != NULL) return PQDB_OK;
    const pqdb_code opened = pq_link_file_open(file, column, links, err);
    const bool is_damaged = opened == PQDB_CORRUPT;  // it is made again, like one that is missing
    if (is_damaged) *links = NULL;
    if (opened != PQDB_OK && !is_damaged) return opened;
    if (*links == NULL && !file->options.read_only) {
        PQ_TRY(pq_link_file_write(file, column, pace, err));
        PQ_TRY(pq_link_file_open(file, column, links, err));
    }
    file->links[column] = *links;
    return PQDB_OK;
}

static pqdb_code get_links(struct pq_data_file *file, uint32_t column, struct pq_pace *pace,
                           struct pq_link_file **links, pqdb_error *err) {
    pthread_mutex_lock(&file->links_lock);
    const pqdb_code code = need_links(file, column, pace, links, err);
    pthread_mutex_unlock(&file->links_lock);
    return pq_data_file_named(file, code, err);
}

pqdb_code pq_data_file_write_links(struct pq_data_file *file, uint32_t column,
                                   struct pq_pace *pace, pqdb_error *err) {
    struct pq_link_file *links;
    return get_links(file, column, pace, &links, err);
}

pqdb_code pq_data_file_linked(struct pq_data_file *file, const struct pq_file_linked *asked,
                              bool *known, pqdb_error *err) {
    struct pq_link_file *links;
    PQ_TRY(get_links(file, asked->column, NULL, &links, err));
    if (links != NULL) PQ_TRY(pq_link_file_find(links, asked, err));
    *known = links != NULL;
    return PQDB_OK;
}
