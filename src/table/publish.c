#include "table/publish.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/hash.h"
#include "batch/dictionary.h"
#include "codec/codec.h"
#include "parquet/writer.h"
#include "table/data_file.h"
#include "table/iceberg/measure.h"

enum {
    held_bytes_min = 256 << 10,
    piece_rows = 1 << 14,  // of a file of deletes, in memory
    // Paths are few and coded; positions are all different, and are given up early.
    deletes_dictionary_bytes = 256 << 10,
    deletes_group_bytes = 4 << 20,
};

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

static pqdb_code append_bytes(void *ctx, const void *data, size_t length, pqdb_error *err) {
    return pq_bytes_append(ctx, data, length, err);
}

/// The file of deletes while it is made: a piece of rows at a time, however many are dead.
struct deletes {
    const struct pq_publish *publish;
    struct pq_dictionary *path;  // of the data file at hand, the only entry
    uint32_t *codes;             // owned, as positions: piece_rows zeros
    int64_t *positions;
    size_t count;                // of the piece
    struct pq_parquet_writer *writer;
    struct pq_bytes content;  // encoded
    uint64_t rows;
};

static pqdb_code end_piece(struct deletes *out, pqdb_error *err) {
    if (out->count == 0) return PQDB_OK;
    const struct pq_column columns[2] = {
        {.type = &delete_fields[0].type, .layout = PQ_DICTIONARY, .count = out->count,
         .values = out->codes, .dictionary = out->path},
        {.type = &delete_fields[1].type, .layout = PQ_FIXED, .count = out->count,
         .values = out->positions}};
    const struct pq_batch rows = {.type = &delete_type, .count = out->count, .columns = columns};
    out->rows += out->count;
    out->count = 0;
    return pq_parquet_writer_append(out->writer, &rows, err);
}

static pqdb_code add_dead(struct deletes *out, const struct pq_segment *segment,
                          struct pq_text path, pqdb_error *err) {
    PQ_TRY(pq_dictionary_create(1, (uint32_t)path.length, out->publish->alloc, &out->path, err));
    pq_dictionary_code(out->path, path);
    pqdb_code code = PQDB_OK;
    for (size_t row = 0; row < segment->rows; row++) {
        if (!pq_segment_is_dead(segment, row, out->publish->version)) continue;
        out->positions[out->count++] = (int64_t)row;
        if (out->count == piece_rows) PQ_GO(end_piece(out, err));
    }
    code = end_piece(out, err);
done:
    pq_dictionary_unref(out->path);
    out->path = NULL;
    return code;
}

/// Rows of (path, position), in that order: readers may count on it.
static pqdb_code add_all_dead(const struct job *job, struct deletes *out, pqdb_error *err) {
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
        PQ_TRY(add_dead(out, segment, pq_bytes_text(&full), err));
    }
    return PQDB_OK;
}

static pqdb_code encode_deletes(const struct job *job, struct deletes *out, pqdb_error *err) {
    const struct pq_parquet_writer_options options = {.type = &delete_type,
                                                      .codec = &pq_codec_zstd,
                                                      .row_group_bytes = deletes_group_bytes,
                                                      .dictionary_bytes =
                                                          deletes_dictionary_bytes};
    const struct pq_parquet_sink sink = {.append = append_bytes, .ctx = &out->content};
    struct pq_parquet_file_info info;
    PQ_TRY(pq_parquet_writer_create(&options, sink, job->publish->alloc, &out->writer, err));
    const struct pq_alloc *alloc = job->publish->alloc;
    out->codes = pq_resize(alloc, NULL, 0, piece_rows, sizeof *out->codes);
    out->positions = pq_resize(alloc, NULL, 0, piece_rows, sizeof *out->positions);
    if (out->codes == NULL || out->positions == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a delete file");
    }
    memset(out->codes, 0, piece_rows * sizeof *out->codes);
    PQ_TRY(add_all_dead(job, out, err));
    return pq_parquet_writer_finish(out->writer, &info, err);
}

static pqdb_code name_deletes(struct job *job, const struct deletes *out, pqdb_error *err) {
    const struct pq_publish *publish = job->publish;
    char path[PQ_STORE_PATH_MAX];
    snprintf(path, sizeof path, "%s/data/%020" PRIu64 "-%016" PRIx64 "-deletes.parquet",
             publish->directory, publish->version, pq_hash(out->content.data, out->content.length));
    PQ_TRY(pq_store_write_file(publish->store, path, pq_bytes_text(&out->content), err));
    const struct pq_text below = pq_text_of(path + strlen(publish->directory) + 1);
    struct pq_iceberg_file *file = &job->files[job->file_count++];
    *file = (struct pq_iceberg_file){.content = PQ_ICEBERG_POSITION_DELETES,
                                     .path = pq_arena_copy(job->arena, below),
                                     .row_count = (int64_t)out->rows,
                                     .file_bytes = (int64_t)out->content.length};
    return file->path.data == NULL ? pq_fail(err, PQDB_NO_MEMORY, "a delete file") : PQDB_OK;
}

/// One file for all dead rows of the table's files, named after the version and its content: files
/// that kept snapshots name never change, though a compaction publishes the same version again.
static pqdb_code write_deletes(struct job *job, pqdb_error *err) {
    const struct pq_publish *publish = job->publish;
    bool has_dead = false;
    for (size_t i = 0; i < publish->file_count && !has_dead; i++) {
        const struct pq_segment *segment = publish->files[i];
        has_dead = pq_segment_has_dead(segment, 0, segment->rows, publish->version);
    }
    if (!has_dead) return PQDB_OK;
    struct deletes out = {.publish = publish};
    pq_bytes_init(&out.content, publish->alloc);
    pqdb_code code = encode_deletes(job, &out, err);
    if (code == PQDB_OK) code = name_deletes(job, &out, err);
    pq_parquet_writer_destroy(out.writer);
    pq_bytes_deinit(&out.content);
    pq_free(publish->alloc, out.codes, out.codes == NULL ? 0 : piece_rows, sizeof *out.codes);
    pq_free(publish->alloc, out.positions, out.positions == NULL ? 0 : piece_rows,
            sizeof *out.positions);
    return code;
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
