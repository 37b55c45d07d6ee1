#include "table/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "parquet/writer.h"
#include "table/data_file.h"
#include "table/iceberg/measure.h"

enum { held_bytes_min = 256 << 10 };

struct job {
    const struct pq_publish *publish;
    struct pq_arena *arena;
    struct pq_iceberg_file *files;  // data files, then perhaps one of deletes
    size_t file_count;
};

static pqdb_code measure(void *ctx, size_t index, struct pq_arena *arena,
                         struct pq_iceberg_file *file, pqdb_error *err) {
    const struct job *job = ctx;
    if (file->content != PQ_ICEBERG_DATA) return PQDB_OK;
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_reader(job->publish->files[index]->file, &reader, err));
    file->is_sorted = true;
    return pq_iceberg_measure_footer(reader, arena, file, err);
}

// ---- rows that are dead -----------------------------------------------------------------------

static const struct pq_field delete_fields[] = {
    {.name = {"file_path", 9}, .type = {.kind = PQ_TEXT}, .required = true,
     .id = PQ_ICEBERG_ID_DELETE_PATH},
    {.name = {"pos", 3}, .type = {.kind = PQ_INT64}, .required = true,
     .id = PQ_ICEBERG_ID_DELETE_POS},
};
static const struct pq_type delete_type = {.kind = PQ_OBJECT, .field_count = 2,
                                           .fields = delete_fields};

static int by_path(const void *a, const void *b) {
    const struct pq_segment *x = *(struct pq_segment *const *)a;
    const struct pq_segment *y = *(struct pq_segment *const *)b;
    return pq_text_compare(pq_data_file_path(x->file), pq_data_file_path(y->file));
}

/// Rows of (path, position), in that order: readers may count on it.
static pqdb_code collect_dead(const struct job *job, struct pq_builder columns[2],
                              pqdb_error *err) {
    const struct pq_publish *publish = job->publish;
    const struct pq_segment **files =
        pq_arena_calloc(job->arena, publish->file_count, sizeof(void *));
    if (files == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of files");
    for (size_t i = 0; i < publish->file_count; i++) files[i] = publish->files[i];
    qsort(files, publish->file_count, sizeof(void *), by_path);
    for (size_t i = 0; i < publish->file_count; i++) {
        const struct pq_segment *segment = files[i];
        if (!pq_segment_has_dead(segment, 0, segment->rows, publish->version)) continue;
        const struct pq_text path = pq_data_file_path(segment->file);
        struct pq_bytes full;
        pq_bytes_init(&full, &job->arena->alloc);
        PQ_TRY(pq_bytes_printf(&full, err, "%s/%.*s", publish->location, PQ_TEXT_ARG(path)));
        for (size_t row = 0; row < segment->rows; row++) {
            if (!pq_segment_is_dead(segment, row, publish->version)) continue;
            const int64_t position = (int64_t)row;
            PQ_TRY(pq_builder_append_bytes(&columns[0], full.data, full.length, err));
            PQ_TRY(pq_builder_append_fixed(&columns[1], &position, err));
        }
    }
    return PQDB_OK;
}

static pqdb_code append_bytes(void *ctx, const void *data, size_t length, pqdb_error *err) {
    return pq_bytes_append(ctx, data, length, err);
}

static pqdb_code encode_deletes(const struct job *job, const struct pq_batch *rows,
                                struct pq_bytes *out, pqdb_error *err) {
    const struct pq_parquet_writer_options options = {.type = &delete_type};
    const struct pq_parquet_sink sink = {.append = append_bytes, .ctx = out};
    struct pq_parquet_writer *writer;
    PQ_TRY(pq_parquet_writer_create(&options, sink, job->publish->alloc, &writer, err));
    struct pq_parquet_file_info info;
    pqdb_code code = pq_parquet_writer_append(writer, rows, err);
    if (code == PQDB_OK) code = pq_parquet_writer_finish(writer, &info, err);
    pq_parquet_writer_destroy(writer);
    return code;
}

/// One file for all dead rows of the table's files, named after the version and its content: files
/// that kept snapshots name never change, though a compaction publishes the same version again.
static pqdb_code write_deletes(struct job *job, pqdb_error *err) {
    const struct pq_publish *publish = job->publish;
    struct pq_builder columns[2];
    for (size_t k = 0; k < 2; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &delete_fields[k].type, &job->arena->alloc, err));
    }
    PQ_TRY(collect_dead(job, columns, err));
    if (columns[0].count == 0) return PQDB_OK;
    struct pq_batch rows;
    PQ_TRY(pq_builder_finish_batch(columns, &delete_type, job->arena, &rows, err));
    struct pq_bytes content;
    pq_bytes_init(&content, publish->alloc);
    char path[PQ_STORE_PATH_MAX];
    pqdb_code code = encode_deletes(job, &rows, &content, err);
    snprintf(path, sizeof path, "%s/data/%020" PRIu64 "-%016" PRIx64 "-deletes.parquet",
             publish->directory, publish->version, pq_hash(content.data, content.length));
    if (code == PQDB_OK) {
        code = pq_store_write_file(publish->store, path, pq_bytes_text(&content), err);
    }
    const int64_t bytes = (int64_t)content.length;
    pq_bytes_deinit(&content);
    PQ_TRY(code);
    const struct pq_text below = pq_text_of(path + strlen(publish->directory) + 1);
    struct pq_iceberg_file *file = &job->files[job->file_count++];
    *file = (struct pq_iceberg_file){.content = PQ_ICEBERG_POSITION_DELETES,
                                     .path = pq_arena_copy(job->arena, below),
                                     .row_count = (int64_t)rows.count, .file_bytes = bytes};
    return file->path.data == NULL ? pq_fail(err, PQDB_NO_MEMORY, "a delete file") : PQDB_OK;
}

/// Lineage belongs to the snapshot as well: it says what exactly these rows reflect.
static const struct pq_iceberg_pair *find_lineage(const struct pq_publish *publish) {
    for (size_t i = 0; i < publish->property_count; i++) {
        if (pq_text_is(publish->properties[i].key, "parquedb.lineage")) {
            return &publish->properties[i];
        }
    }
    return NULL;
}

// ---- older snapshots ----------------------------------------------------------------------------

uint64_t pq_table_held_bytes(uint64_t bytes, uint64_t live) {
    const uint64_t all = live + live / 4 * 3;
    return all > bytes + held_bytes_min ? all - bytes : held_bytes_min;
}

/// Of the job's files, the one of deletes included.
static uint64_t held_bytes_max(const struct job *job) {
    const struct pq_publish *publish = job->publish;
    uint64_t bytes = 0;
    double live = 0;
    for (size_t i = 0; i < job->file_count; i++) bytes += (uint64_t)job->files[i].file_bytes;
    for (size_t i = 0; i < publish->file_count; i++) {
        const struct pq_segment *segment = publish->files[i];
        const size_t rows = pq_segment_live(segment, publish->version);
        live += (double)job->files[i].file_bytes * (double)rows / (double)segment->rows;
    }
    return pq_table_held_bytes(bytes, (uint64_t)live);
}

// ---- the publish ------------------------------------------------------------------------------

pqdb_code pq_table_publish_files(struct pq_iceberg *iceberg, const struct pq_publish *publish,
                                 struct pq_arena *arena, struct pq_iceberg_outcome *outcome,
                                 pqdb_error *err) {
    struct job job = {.publish = publish, .arena = arena};
    job.files = pq_arena_calloc(arena, publish->file_count + 1, sizeof *job.files);
    if (job.files == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of files");
    const size_t directory_bytes = strlen(publish->directory) + 1;
    for (size_t i = 0; i < publish->file_count; i++) {
        const struct pq_data_file *file = publish->files[i]->file;
        const struct pq_text path = pq_data_file_path(file);
        job.files[job.file_count++] = (struct pq_iceberg_file){
            .content = PQ_ICEBERG_DATA,
            .path = {path.data + directory_bytes, path.length - directory_bytes},
            .row_count = (int64_t)pq_data_file_rows(file),
            .file_bytes = (int64_t)pq_data_file_bytes(file)};
    }
    PQ_TRY(write_deletes(&job, err));
    struct pq_bytes location;
    pq_bytes_init(&location, &arena->alloc);
    PQ_TRY(pq_bytes_printf(&location, err, "%s/%s", publish->location, publish->directory));
    const struct pq_iceberg_pair *lineage = find_lineage(publish);
    const struct pq_iceberg_commit commit = {
        .version = publish->version, .time_us = publish->time_us,
        .location = pq_bytes_text(&location),
        .operation = publish->rows_changed ? PQ_ICEBERG_DERIVED : PQ_ICEBERG_REPLACE,
        .schema = publish->type, .key_field_id = publish->type->fields[0].id,
        .files = job.files, .file_count = job.file_count, .measure = measure, .measure_ctx = &job,
        .properties = publish->properties, .property_count = publish->property_count,
        .summary = lineage, .summary_count = lineage != NULL,
        .snapshots_kept = publish->snapshots_kept, .held_bytes_max = held_bytes_max(&job)};
    return pq_iceberg_publish(iceberg, &commit, arena, outcome, err);
}
