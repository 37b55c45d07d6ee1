/// table/scan_paths.c: shredded paths instead of the variants that they lead into.
#include "base/fail.h"
#include "batch/project.h"
#include "table/scan_internal.h"

static pqdb_code no_memory(pqdb_error *err) { return pq_fail(err, PQDB_NO_MEMORY, "a scan"); }

enum pq_shred_presence pq_scan_find_shred(const struct pq_data_file *file,
                                          const struct pq_parquet_file *reader,
                                          const struct pq_shred *shred,
                                          struct pq_shred_place *place) {
    const uint32_t field = file->fields[shred->inner.column];
    if (field == PQ_NO_FIELD) return PQ_SHRED_MISSING;
    const struct pq_type *type = pq_parquet_type(reader);
    const bool is_kept = pq_shred_find(shred, type->fields[field].name, type, place);
    return is_kept ? PQ_SHRED_KEPT : PQ_SHRED_INSIDE;
}

pqdb_code pq_shreds_are_kept(const struct pq_shreds *shreds, struct pq_data_file *file, bool *kept,
                             pqdb_error *err) {
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_reader(file, &reader, err));
    *kept = true;
    for (size_t i = 0; i < shreds->count && *kept; i++) {
        struct pq_shred_place place;
        *kept = pq_scan_find_shred(file, reader, &shreds->items[i], &place) != PQ_SHRED_INSIDE;
    }
    return PQDB_OK;
}

// ---- which paths --------------------------------------------------------------------------------

static int shred_of(const struct pq_shreds *shreds, const struct pq_read_path *read) {
    for (size_t i = 0; i < shreds->count; i++) {
        if (pq_text_equal(shreds->items[i].path, read->path)) return (int)i;
    }
    return -1;
}

/// Does one of the paths lead through the other?
static bool is_nested(const struct pq_shred *a, const struct pq_shred *b) {
    const struct pq_shred *outer = a->inner.step_count < b->inner.step_count ? a : b;
    const struct pq_shred *inner = outer == a ? b : a;
    return pq_text_starts_with(inner->path, outer->path) &&
           inner->path.data[outer->path.length] == '.';
}

static bool are_apart(const struct pq_shreds *shreds, const uint16_t *chosen, size_t count) {
    for (size_t i = 1; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (is_nested(&shreds->items[chosen[i]], &shreds->items[chosen[k]])) return false;
        }
    }
    return true;
}

/// What is read of the column, if all of it is shredded paths.
static pqdb_code choose(const struct pq_reads *reads, const struct pq_shreds *shreds,
                        uint32_t column, struct pq_arena *arena, struct pq_scan_paths *out,
                        pqdb_error *err) {
    uint16_t *chosen = pq_arena_alloc(arena, (reads->path_count + 1) * sizeof *chosen);
    if (chosen == NULL) return no_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < reads->path_count; i++) {
        if (reads->paths[i].column != column) continue;
        const int shred = shred_of(shreds, &reads->paths[i]);
        if (shred < 0) return PQDB_OK;
        chosen[count++] = (uint16_t)shred;
    }
    if (are_apart(shreds, chosen, count)) *out = (struct pq_scan_paths){chosen, count};
    return PQDB_OK;
}

pqdb_code pq_scan_choose_paths(struct pq_scan *scan, pqdb_error *err) {
    const struct pq_shreds *shreds = scan->snapshot->shreds;
    const struct pq_reads *reads = scan->options.reads;
    const struct pq_scan_filter *filter = scan->options.filter;
    if (shreds == NULL || reads == NULL || reads->path_count == 0) return PQDB_OK;
    struct pq_scan_paths *paths =
        pq_arena_calloc(&scan->arena, reads->column_count + 1, sizeof *paths);
    if (paths == NULL) return no_memory(err);
    for (uint32_t k = 0; k < reads->column_count && k < shreds->first; k++) {
        if (reads->whole[k] || shreds->type->fields[k].type.kind != PQ_VARIANT) continue;
        if (filter != NULL && pq_scan_wants(filter->columns, k)) continue;  // it is read for that
        PQ_TRY(choose(reads, shreds, k, &scan->arena, &paths[k], err));
    }
    scan->paths = paths;
    return PQDB_OK;
}

// ---- of variants that are wanted for their paths ------------------------------------------------

static const struct pq_shred *shred_at(const struct pq_scan_span *span,
                                       const struct pq_scan_paths *paths, size_t i) {
    return &span->scan->snapshot->shreds->items[paths->shreds[i]];
}

static bool is_kept(const struct pq_scan_span *span, const struct pq_shred *shred,
                    struct pq_shred_place *place) {
    const struct pq_data_file *file = span->task->segment->file;
    return pq_scan_find_shred(file, file->reader, shred, place) == PQ_SHRED_KEPT;
}

const struct pq_scan_paths *pq_scan_kept_paths(const struct pq_scan_span *span, uint32_t column) {
    if (span->scan->paths == NULL) return NULL;
    const struct pq_scan_paths *paths = &span->scan->paths[column];
    struct pq_shred_place place;
    for (size_t i = 0; i < paths->count; i++) {
        if (!is_kept(span, shred_at(span, paths, i), &place)) return NULL;
    }
    return paths->count == 0 ? NULL : paths;
}

size_t pq_scan_path_fields(const struct pq_scan_span *span, const struct pq_scan_paths *paths,
                           uint32_t *fields) {
    size_t count = 0;
    for (size_t i = 0; i < paths->count; i++) {
        struct pq_shred_place place;
        is_kept(span, shred_at(span, paths, i), &place);
        fields[count++] = place.typed;
        if (place.rest != UINT32_MAX) fields[count++] = place.rest;
    }
    return count;
}

pqdb_code pq_scan_assemble_paths(const struct pq_scan_span *span,
                                 const struct pq_scan_paths *paths,
                                 const struct pq_column **found, struct pq_column *out,
                                 bool *done, pqdb_error *err) {
    struct pq_shred_part *parts = pq_arena_alloc(span->arena, paths->count * sizeof *parts);
    if (parts == NULL) return no_memory(err);
    for (size_t i = 0; i < paths->count; i++) {
        const struct pq_shred *shred = shred_at(span, paths, i);
        parts[i] = (struct pq_shred_part){.shred = shred, .typed = (*found)++};
        if (shred->type.kind == PQ_VARIANT) parts[i].rest = (*found)++;
    }
    const struct pq_shred_parts all = {
        parts, paths->count, (struct pq_variant_names *)(uintptr_t)span->scan->snapshot->names};
    return pq_shred_assemble(&all, span->arena, out, done, err);
}

// ---- of a filter --------------------------------------------------------------------------------

/// All that is read for the paths of a filter in one go.
struct path_read {
    const struct pq_scan_span *span;
    const struct pq_shreds *shreds;
    uint32_t *fields;
    size_t field_count;
    const struct pq_column *found;
    struct pq_column *sources;  // by column of the table: variants of which a path is not kept
    bool *has_source;
    struct pq_batch source;     // of them
};

static pqdb_code prepare(struct path_read *read, pqdb_error *err) {
    struct pq_arena *arena = read->span->arena;
    const uint32_t width = read->shreds->first;
    read->fields = pq_arena_alloc(arena, (2 * read->shreds->count + 1) * sizeof *read->fields);
    read->sources = pq_arena_calloc(arena, width, sizeof *read->sources);
    read->has_source = pq_arena_calloc(arena, width, sizeof *read->has_source);
    if (read->fields == NULL || read->sources == NULL || read->has_source == NULL) {
        return no_memory(err);
    }
    read->source = (struct pq_batch){.type = read->span->scan->snapshot->type,
                                     .count = read->span->count, .columns = read->sources};
    return PQDB_OK;
}

/// The path of a file that does not keep it.
static pqdb_code from_variants(struct path_read *read, const struct pq_shred *shred,
                               struct pq_column *out, pqdb_error *err) {
    const uint32_t column = shred->inner.column;
    if (!read->has_source[column]) {
        const struct pq_data_file *file = read->span->task->segment->file;
        struct pq_batch found;
        PQ_TRY(pq_scan_read_fields(read->span, &file->fields[column], 1, &found, err));
        PQ_TRY(pq_column_project(&found.columns[0], &read->source.type->fields[column].type,
                                 read->span->arena, &read->sources[column], err));
        read->has_source[column] = true;
    }
    return pq_program_run(shred->program, &read->source, read->span->arena, out, err);
}

static pqdb_code take_path(struct path_read *read, const struct pq_shred *shred,
                           struct pq_column *out, pqdb_error *err) {
    const struct pq_scan_span *span = read->span;
    const struct pq_data_file *file = span->task->segment->file;
    struct pq_shred_place place;
    switch (pq_scan_find_shred(file, file->reader, shred, &place)) {
    case PQ_SHRED_MISSING:
        PQ_TRY(pq_column_of_nulls(&shred->type, span->count, span->arena, out, err));
        out->names = span->scan->snapshot->names;
        return PQDB_OK;
    case PQ_SHRED_INSIDE: return from_variants(read, shred, out, err);
    default: break;
    }
    struct pq_shred_part part = {.shred = shred, .typed = read->found++};
    if (place.rest != UINT32_MAX) part.rest = read->found++;
    return pq_shred_join(&part, span->scan->snapshot->names, span->arena, out, err);
}

static pqdb_code read_file(struct path_read *read, const bool *wanted, struct pq_column *out,
                           pqdb_error *err) {
    const struct pq_shreds *shreds = read->shreds;
    for (size_t i = 0; i < shreds->count; i++) {
        struct pq_shred_place place;
        if (!wanted[i] || !is_kept(read->span, &shreds->items[i], &place)) continue;
        read->fields[read->field_count++] = place.typed;
        if (place.rest != UINT32_MAX) read->fields[read->field_count++] = place.rest;
    }
    struct pq_batch found;
    PQ_TRY(pq_scan_read_fields(read->span, read->fields, read->field_count, &found, err));
    read->found = found.columns;
    for (size_t i = 0; i < shreds->count; i++) {
        if (wanted[i]) PQ_TRY(take_path(read, &shreds->items[i], &out[i], err));
    }
    return PQDB_OK;
}

pqdb_code pq_scan_read_paths(const struct pq_scan_span *span, const bool *columns,
                             const struct pq_batch *chunk, struct pq_column *out,
                             pqdb_error *err) {
    struct path_read read = {.span = span, .shreds = span->scan->snapshot->shreds};
    const struct pq_shreds *shreds = read.shreds;
    const bool *wanted = columns + shreds->first;
    for (size_t i = 0; i < shreds->count; i++) {
        if (wanted[i] && chunk == NULL) continue;
        if (wanted[i]) {
            PQ_TRY(pq_program_run(shreds->items[i].program, chunk, span->arena, &out[i], err));
        } else {
            PQ_TRY(pq_column_of_nulls(&shreds->items[i].type, 0, span->arena, &out[i], err));
        }
    }
    if (chunk != NULL) return PQDB_OK;
    PQ_TRY(prepare(&read, err));
    return read_file(&read, wanted, out, err);
}
