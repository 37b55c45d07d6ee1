/// db/parquet_file.c: Parquet files that stand alone: what they say of themselves.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "db/parquet_internal.h"
#include "expr/print.h"

enum { bound_bytes_max = 256 };

static pqdb_code read_bytes(void *ctx, uint64_t offset, void *out, size_t length,
                            pqdb_error *err) {
    return pq_file_read_all(ctx, offset, out, length, err);
}

static pqdb_code open_bytes(pqdb_parquet *file, struct pq_store *store, const char *path,
                            pqdb_error *err) {
    file->path = pq_arena_copy(&file->arena, pq_text_of(path)).data;
    if (file->path == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a Parquet file");
    PQ_TRY(pq_file_open(store, path, PQ_OPEN_READ, &file->bytes, err));
    PQ_TRY(pq_file_size(file->bytes, &file->file_bytes, err));
    const struct pq_parquet_source source = {.read = read_bytes, .ctx = file->bytes};
    const struct pq_parquet_open_options options = {.json_as_variant = true};
    PQ_TRY(pq_parquet_open(&source, file->file_bytes, &options, file->alloc, &file->file, err));
    file->created_by = pq_arena_copy(&file->arena, pq_parquet_created_by(file->file)).data;
    if (file->created_by == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a Parquet file");
    return pq_parquet_fields(file->file, &file->arena, &file->fields, &file->field_count, err);
}

pqdb_code pq_db_parquet_open_in(struct pq_store *store, const char *path,
                                const struct pq_alloc *alloc, pqdb_parquet **file,
                                pqdb_error *err) {
    pqdb_parquet *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a Parquet file");
    *made = (pqdb_parquet){.alloc = alloc};
    pq_arena_init(&made->arena, alloc);
    const pqdb_code code = open_bytes(made, store, path, err);
    if (code != PQDB_OK) {
        pqdb_parquet_close(made);
        return pq_fail_subject(err, code, pq_text_of(path));
    }
    *file = made;
    return PQDB_OK;
}

pqdb_code pqdb_parquet_open(const char *path, pqdb_parquet **file, pqdb_error *err) {
    char absolute[PATH_MAX];
    struct pq_store *store;
    if (realpath(path, absolute) == NULL) return pq_store_fail_errno(err, path, "open", errno);
    PQ_TRY(pq_store_open_fs("/", false, &pq_alloc_libc, &store, err));
    const pqdb_code code = pq_db_parquet_open_in(store, absolute, &pq_alloc_libc, file, err);
    if (code == PQDB_OK) {
        (*file)->store = store;
        const char *given = pq_arena_copy(&(*file)->arena, pq_text_of(path)).data;
        if (given != NULL) (*file)->path = given;  // else the absolute one will do
        return PQDB_OK;
    }
    pq_store_destroy(store);
    return pq_fail_subject(err, code, pq_text_of(path));
}

void pqdb_parquet_close(pqdb_parquet *file) {
    if (file == NULL) return;
    pq_parquet_close(file->file);
    pq_file_close(file->bytes);
    pq_store_destroy(file->store);
    pq_arena_deinit(&file->arena);
    pq_free(file->alloc, file, 1, sizeof *file);
}

void pqdb_parquet_facts_get(const pqdb_parquet *file, pqdb_parquet_facts *facts) {
    size_t pairs;
    pq_parquet_pairs(file->file, &pairs);
    *facts = (pqdb_parquet_facts){
        .created_by = file->created_by,
        .file_bytes = file->file_bytes,
        .rows = pq_parquet_row_count(file->file),
        .groups = pq_parquet_group_count(file->file),
        .fields = file->field_count,
        .columns = pq_parquet_leaf_count(file->file),
        .pairs = pairs,
    };
}

void pqdb_parquet_pair_get(const pqdb_parquet *file, size_t index, pqdb_parquet_pair *pair) {
    size_t count;
    const struct pq_parquet_pair *pairs = pq_parquet_pairs(file->file, &count);
    pq_assert(index < count);
    *pair = (pqdb_parquet_pair){.key = pairs[index].key.data,
                                .key_length = pairs[index].key.length,
                                .value = pairs[index].value.data,
                                .value_length = pairs[index].value.length};
}

void pqdb_parquet_field_get(const pqdb_parquet *file, size_t index, pqdb_parquet_field *field) {
    pq_assert(index < file->field_count);
    *field = file->fields[index];
}

void pqdb_parquet_group_get(pqdb_parquet *file, size_t group, pqdb_parquet_group *facts) {
    pq_assert(group < pq_parquet_group_count(file->file));
    if (pq_parquet_describe_group(file->file, group, &file->arena, facts, NULL) == PQDB_OK) return;
    *facts = (pqdb_parquet_group){.rows = pq_parquet_group_rows(file->file, group),
                                  .sorted_by = ""};
}

/// A bound as it prints; NULL when there is none.
static pqdb_code print_bound(pqdb_parquet *file, bool has_bound, const struct pq_value *bound,
                             const char **text, pqdb_error *err) {
    *text = NULL;
    if (!has_bound) return PQDB_OK;
    struct pq_value value = *bound;
    const bool is_bytes = value.kind == PQ_TEXT || value.kind == PQ_BINARY;
    if (is_bytes && value.as.text.length > bound_bytes_max) value.as.text.length = bound_bytes_max;
    if (value.kind == PQ_TEXT && !pq_text_is_utf8(value.as.text)) value.kind = PQ_BINARY;
    struct pq_bytes out;
    pq_bytes_init(&out, &file->arena.alloc);
    PQ_TRY(pq_print_text(&out, &value, err));
    PQ_TRY(pq_bytes_append_byte(&out, '\0', err));
    *text = (const char *)out.data;
    return PQDB_OK;
}

pqdb_code pqdb_parquet_chunk_get(pqdb_parquet *file, size_t group, size_t column,
                                 pqdb_parquet_chunk *chunk, pqdb_error *err) {
    pq_assert(group < pq_parquet_group_count(file->file));
    pq_assert(column < pq_parquet_leaf_count(file->file));
    pqdb_parquet_chunk made;
    PQ_TRY(pq_parquet_describe_chunk(file->file, group, column, &file->arena, &made, err));
    struct pq_parquet_pages pages = {0};
    // A damaged page index is a matter of the check.
    if (pq_parquet_pages(file->file, group, column, &pages, NULL) == PQDB_OK) {
        made.indexed_pages = pages.count;
    }
    struct pq_parquet_bounds bounds;
    pq_parquet_group_bounds(file->file, group, column, &bounds);
    PQ_TRY(print_bound(file, bounds.has_min, &bounds.min, &made.min, err));
    PQ_TRY(print_bound(file, bounds.has_max, &bounds.max, &made.max, err));
    *chunk = made;
    return PQDB_OK;
}

pqdb_code pqdb_parquet_pages(pqdb_parquet *file, size_t group, size_t column,
                             pqdb_on_parquet_page on_page, void *ctx, pqdb_error *err) {
    pq_assert(group < pq_parquet_group_count(file->file));
    pq_assert(column < pq_parquet_leaf_count(file->file));
    return pq_parquet_walk_pages(file->file, group, column, on_page, ctx, err);
}
